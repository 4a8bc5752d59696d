// SPDX-License-Identifier: Apache-2.0
// Integer square root, unrolled: STEPS bits of the root a clock, a root a clock.
//
//   w --> STEPS x { rem = 4 rem + next two bits of w; take 4 root + 1 out if it is in } --[reg]--> ...
//
//   root_o = floor(sqrt(w_i))
//
// Latency BITS / STEPS clocks; STEPS divides BITS.

module exact_layernorm_root #(
  parameter int BITS  = 16,  // of the root; w has twice as many
  parameter int STEPS = 4
) (
  input  logic              clk_i,
  input  logic [2*BITS-1:0] w_i,
  output logic [BITS-1:0]   root_o
);
  localparam int RemW = BITS + 1;  // a remainder is at most twice the root

  for (genvar k = 0; k < BITS; k++) begin : gen_bit
    logic [RemW-1:0]   rem_in, rem_d, rem;
    logic [RemW+1:0]   four, trial;
    logic [BITS-1:0]   root_in, root_d, root;
    logic [2*BITS-1:0] w_in, w_d, w;
    logic              take;

    if (k == 0) begin : gen_first
      assign {rem_in, root_in, w_in} = {RemW'(0), BITS'(0), w_i};
    end else begin : gen_next
      assign {rem_in, root_in, w_in} = {gen_bit[k-1].rem, gen_bit[k-1].root, gen_bit[k-1].w};
    end

    assign four   = {rem_in, w_in[2*BITS-1-:2]};
    assign trial  = {1'b0, root_in, 2'b01};
    assign take   = four >= trial;
    assign rem_d  = RemW'(take ? four - trial : four);
    assign root_d = {root_in[BITS-2:0], take};
    assign w_d    = w_in << 2;

    if (k % STEPS == STEPS - 1) begin : gen_reg
      always_ff @(posedge clk_i) begin
        rem  <= rem_d;
        root <= root_d;
        w    <= w_d;
      end
    end else begin : gen_wire
      assign {rem, root, w} = {rem_d, root_d, w_d};
    end
  end

  assign root_o = gen_bit[BITS-1].root;

  logic unused;
  assign unused = ^{gen_bit[BITS-1].rem, gen_bit[BITS-1].w};
endmodule
