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
// A plain product has a row for each bit of a, this one a row for two: rows of a multiplexer and an
// XOR, a third smaller in all. a_i is the operand whose digits are made: the narrower one as a rule.
//
// A negative partial product is the bitwise inverse plus 1; the +1 goes into the row `ones`. Rows are
// not sign-extended: each has its sign bit inverted, and the sum of those bits' weights is subtracted
// once, in Offset. ADD joins that constant: half of what is cut off below, it rounds without an adder.
//
// TO_HALF = 1: a_i is unsigned and at most 2^(A_W - 1), and A_W is even. Its top digit is 0, 1 or 2, so that no bit
// is needed for its sign: a product by 0 .. 128 has four rows, not five.
//
//   A_W = B_W = 4:  a = 6 = 0110 = -2 + 2 * 4,  b = -5 = 1011,  2 b = 10110,  ADD = 0
//
//   row[0]   digit -2: ~10110 = 01001, sign inverted        0001 1001
//   row[1]   digit  2:  10110,         sign inverted, * 4   0001 1000
//   ones     row[0] was inverted                            0000 0001
//   Offset   -(2^4 + 2^6)                                   1011 0000
//   p                                                       1110 0010 = -30

module sn_multiply #(
  parameter int A_W = 8,
  parameter int B_W = 8,
  parameter int ADD = 0,
  parameter int TO_HALF = 0
) (
  input  logic [A_W-1:0]     a_i,  // signed
  input  logic [B_W-1:0]     b_i,  // signed
  output logic [A_W+B_W-1:0] p_o   // signed
);
  localparam int Rows = (A_W + 1) / 2;
  localparam int W    = A_W + B_W;
  localparam int RowW = B_W + 1;  // twice b, or its inverse

  logic [2*Rows:0]          bits;  // of a, sign extended, with a 0 below
  logic [Rows-1:0][W-1:0]   row;  // verilator lint_off UNOPTFLAT
  logic [Rows:0][W-1:0]     sum;  // verilator lint_on UNOPTFLAT
  logic [2*Rows-1:0]        ones;

  assign bits = {{(2 * Rows - A_W + 1) {a_i[A_W-1]}}, a_i[A_W-2:0], 1'b0};

  for (genvar n = 0; n < Rows; n++) begin : gen_row
    logic            one, two, negative;
    logic [RowW-1:0] r;
    assign one      = bits[2*n+1] ^ bits[2*n];
    assign two      = (bits[2*n+2] ^ bits[2*n+1]) && !one;
    assign negative = bits[2*n+2] && !(TO_HALF == 1 && n == Rows - 1);
    assign r        = (({RowW{one}} & {b_i[B_W-1], b_i}) | ({RowW{two}} & {b_i, 1'b0})) ^
                      {RowW{negative}};
    assign ones[2*n+:2] = {1'b0, negative};
    assign row[n]   = W'({!r[RowW-1], r[RowW-2:0]}) << (2 * n);
  end

  // A row's sign is worth 2^(RowW - 1) * 4^n. Each sum reads the one before, which is no loop.
  localparam logic [W-1:0] Offset = W'(ADD) - (W'({Rows{2'b01}}) << (RowW - 1));
  assign sum[0] = W'(ones) + Offset;
  for (genvar n = 0; n < Rows; n++) begin : gen_sum
    assign sum[n+1] = sum[n] + row[n];
  end

  assign p_o = sum[Rows];
endmodule
