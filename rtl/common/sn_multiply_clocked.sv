// SPDX-License-Identifier: Apache-2.0
// Signed product in one or two clocks.
//
//   CLOCKS = 1:  a_i, b_i --> sn_multiply --[reg]--> p_o
//   CLOCKS = 2:  a_i, b_i --> digits --> rows --> two words --+-- low LOW bits --> + --[reg]------> p_o
//                                                             +-- the others --------[regs]--> + --^
//
// In two clocks the rows of sn_multiply become two words by full adders, three words to two at a time,
// in the order in which they come up. The carry of their sum then runs over the lowest two fifths of the
// bits while the upper ones are still being made, and over these in the next clock: no carry is longer
// than a clock, whatever adders they are mapped to.
//
// One product a clock, CLOCKS clocks behind its operands; all holds while en_i is low.

module sn_multiply_clocked #(
  parameter int A_W    = 17,
  parameter int B_W    = 32,
  parameter int CLOCKS = 2  // 1, 2
) (
  input  logic               clk_i,
  input  logic               en_i,
  input  logic [A_W-1:0]     a_i,  // signed
  input  logic [B_W-1:0]     b_i,  // signed
  output logic [A_W+B_W-1:0] p_o   // signed
);
  localparam int W = A_W + B_W;

  if (CLOCKS == 1) begin : gen_one
    logic [W-1:0] product;

    sn_multiply #(
      .A_W(A_W),
      .B_W(B_W)
    ) u_product (
      .a_i,
      .b_i,
      .p_o(product)
    );

    always_ff @(posedge clk_i) begin
      if (en_i) p_o <= product;
    end
  end else begin : gen_two
    localparam int Rows = (A_W + 1) / 2;
    localparam int RowW = B_W + 1;
    localparam int N    = Rows + 1;  // words to add: those of sn_multiply
    localparam int Low  = 2 * W / 5;

    logic [2*Rows:0]        bits;
    logic [2*Rows-1:0]      ones;
    logic [W-1:0]           sum, carry;
    // Each word is of those before it, which is no loop.
    // verilator lint_off UNOPTFLAT
    logic [(3*N-4)*W-1:0]   word;
    // verilator lint_on UNOPTFLAT
    logic [Low:0]           low_q;  // with what it carries
    logic [W-Low-1:0]       sum_q, carry_q;

    assign bits = {{(2 * Rows - A_W + 1) {a_i[A_W-1]}}, a_i[A_W-2:0], 1'b0};
    for (genvar n = 0; n < Rows; n++) begin : gen_row
      logic            one, two, negative;
      logic [RowW-1:0] r;
      assign one      = bits[2*n+1] ^ bits[2*n];
      assign two      = (bits[2*n+2] ^ bits[2*n+1]) && !one;
      assign negative = bits[2*n+2];
      assign r        = (({RowW{one}} & {b_i[B_W-1], b_i}) | ({RowW{two}} & {b_i, 1'b0})) ^
                        {RowW{negative}};
      assign ones[2*n+:2] = {1'b0, negative};
      assign word[n*W+:W] = W'({!r[RowW-1], r[RowW-2:0]}) << (2 * n);
    end
    assign word[Rows*W+:W] = W'(ones) - (W'({Rows{2'b01}}) << (RowW - 1));

    // Each full adder takes the next three words and puts two behind the last.
    for (genvar k = 0; k < N - 2; k++) begin : gen_add
      logic [W-1:0] a, b, c;
      assign {c, b, a}              = word[3*k*W+:3*W];
      assign word[(N+2*k)*W+:W]     = a ^ b ^ c;
      assign word[(N+2*k+1)*W+:W]   = {(a[W-2:0] & b[W-2:0]) | (c[W-2:0] & (a[W-2:0] | b[W-2:0])), 1'b0};
    end
    assign {carry, sum} = word[(3*N-6)*W+:2*W];

    always_ff @(posedge clk_i) begin
      if (en_i) begin
        low_q        <= (Low + 1)'(sum[Low-1:0]) + (Low + 1)'(carry[Low-1:0]);
        sum_q        <= sum[W-1:Low];
        carry_q      <= carry[W-1:Low];
        p_o[Low-1:0] <= low_q[Low-1:0];
        p_o[W-1:Low] <= sum_q + carry_q + (W - Low)'(low_q[Low]);
      end
    end
  end
endmodule
