// SPDX-License-Identifier: Apache-2.0
// Restoring divider, unrolled: STEPS bits of the quotient a clock, a division a clock.
//
//   rem, low, divisor --> STEPS x { rem = 2 rem + next bit of low; take divisor out if it is in } --[reg]--> ...
//
//   quot_o = floor((rem_i * 2^Q + low_i) / divisor_i)        rem_i < divisor_i
//
// A register holds what is left of low and what there is of the quotient in the same Q bits: one
// leaves at the top as the other comes in below. A divisor of 0 gives a quotient of ones. Latency
// Q / STEPS clocks; STEPS divides Q. Never stalls: it takes a division of another row each clock, so
// the divisor travels along. In exact_softmax_divider the lanes share the divisor's registers, and hold.

module exact_layernorm_divide #(
  parameter int W     = 16,  // bits of the divisor
  parameter int Q     = 16,  // bits of the quotient
  parameter int STEPS = 4
) (
  input  logic         clk_i,
  input  logic [W-1:0] rem_i,
  input  logic [Q-1:0] low_i,
  input  logic [W-1:0] divisor_i,
  output logic [Q-1:0] quot_o
);
  for (genvar k = 0; k < Q; k++) begin : gen_bit
    logic [W-1:0] rem_in, rem_d, rem, divisor_in, divisor;
    logic [Q-1:0] low_in, low_d, low;
    logic [W:0]   twice;
    logic         take;

    if (k == 0) begin : gen_first
      assign {rem_in, low_in, divisor_in} = {rem_i, low_i, divisor_i};
    end else begin : gen_next
      assign {rem_in, low_in, divisor_in} = {
        gen_bit[k-1].rem, gen_bit[k-1].low, gen_bit[k-1].divisor
      };
    end

    assign twice = {rem_in, low_in[Q-1]};
    assign take  = twice >= {1'b0, divisor_in};
    assign rem_d = take ? W'(twice - {1'b0, divisor_in}) : twice[W-1:0];
    assign low_d = {low_in[Q-2:0], take};

    if (k % STEPS == STEPS - 1) begin : gen_reg
      always_ff @(posedge clk_i) begin
        rem     <= rem_d;
        low     <= low_d;
        divisor <= divisor_in;
      end
    end else begin : gen_wire
      assign {rem, low, divisor} = {rem_d, low_d, divisor_in};
    end
  end

  assign quot_o = gen_bit[Q-1].low;

  logic unused;
  assign unused = ^{gen_bit[Q-1].rem, gen_bit[Q-1].divisor};
endmodule
