// SPDX-License-Identifier: Apache-2.0
// Signed product of two numbers and a constant more, by radix-4 Booth digits. Combinational.
//
//   a_i [A_W] --> digits -2 .. 2, half as many as bits --+
//                                                        x --> rows --> sum --> p_o [A_W + B_W]
//   b_i [B_W] -------------------------------------------+
//
//   a = sum of digit_n * 4^n,   digit_n = -2 a[2n+1] + a[2n] + a[2n-1]
//   p = sum of (digit_n * b) * 4^n + ADD
//
// What synthesis makes of a plain product has a row a bit of a. Half the rows of a multiplexer and an
// XOR a bit are a third smaller. A negative row is inverted, and its one more is added below; a row's
// sign s stands for -s = ~s - 1 in its place, and the ones come off all together. a_i is the operand
// whose digits are made: the narrower one as a rule. ADD joins the constant of the signs: half of what
// is cut off below, it rounds without an adder.

module sn_multiply #(
  parameter int A_W = 8,
  parameter int B_W = 8,
  parameter int ADD = 0
) (
  input  logic [A_W-1:0]     a_i,  // signed
  input  logic [B_W-1:0]     b_i,  // signed
  output logic [A_W+B_W-1:0] p_o   // signed
);
  localparam int Rows = (A_W + 1) / 2;
  localparam int W    = A_W + B_W;
  localparam int RowW = B_W + 1;  // twice b, or its inverse

  logic [2*Rows:0]          bits;  // of a, sign extended, with a 0 below
  logic [Rows-1:0][W-1:0]   row;
  logic [Rows:0][W-1:0]     sum;
  logic [2*Rows-1:0]        ones;

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
    assign row[n]   = W'({!r[RowW-1], r[RowW-2:0]}) << (2 * n);
  end

  // A row's sign is worth 2^(RowW - 1) * 4^n.
  localparam logic [W-1:0] Offset = W'(ADD) - (W'({Rows{2'b01}}) << (RowW - 1));
  assign sum[0] = W'(ones) + Offset;
  for (genvar n = 0; n < Rows; n++) begin : gen_sum
    assign sum[n+1] = sum[n] + row[n];
  end

  assign p_o = sum[Rows];
endmodule
