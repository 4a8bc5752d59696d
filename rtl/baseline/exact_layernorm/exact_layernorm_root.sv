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
  for (genvar k = 0; k < BITS; k++) begin : gen_bit
    localparam int Rest = 2 * (BITS - k);  // bits of w that are left

    // A remainder is at most twice the root, which then has k + 1 bits.
    logic [Rest-1:0] w;
    logic [k+2:0]    four, trial;
    logic [k+1:0]    rem_d;
    logic [k:0]      root_d;
    logic            take;

    assign take  = four >= trial;
    assign rem_d = (k + 2)'(take ? four - trial : four);

    if (k == 0) begin : gen_first
      assign w      = w_i;
      assign four   = {1'b0, w[Rest-1-:2]};
      assign trial  = 3'd1;
      assign root_d = take;
    end else begin : gen_next
      logic [k:0]   rem;
      logic [k-1:0] root;

      assign four   = {rem, w[Rest-1-:2]};
      assign trial  = {1'b0, root, 2'b01};
      assign root_d = {root, take};

      if (k % STEPS == 0) begin : gen_reg
        always_ff @(posedge clk_i) begin
          rem  <= gen_bit[k-1].rem_d;
          root <= gen_bit[k-1].root_d;
          w    <= gen_bit[k-1].w[Rest-1:0];
        end
      end else begin : gen_wire
        assign {rem, root} = {gen_bit[k-1].rem_d, gen_bit[k-1].root_d};
        assign w           = gen_bit[k-1].w[Rest-1:0];
      end
    end
  end

  always_ff @(posedge clk_i) root_o <= gen_bit[BITS-1].root_d;

  logic unused;
  assign unused = ^gen_bit[BITS-1].rem_d;
endmodule
