// SPDX-License-Identifier: Apache-2.0
// Square of a signed number, modulo 2^P_W. Combinational.
//
//   a_i [A_W] --> each pair of bits once --> rows --> sum --> - what the sign meets --> p_o [P_W]
//
//   a = low - 2^(A_W-1) sign:  a^2 = low^2 + 2^(2 A_W - 2) sign - 2^A_W sign low
//
// Bits i and j meet twice, at i + j, and so once at i + j + 1: half the rows of a product. What the
// sign meets comes off.
//
//   A_W = 4, a = -3 = 1101, low = 101 = 5
//
//   row[0]   bit 0 with itself and with bit 2   2^0 + 2^3       9
//   row[2]   bit 2 with itself                  2^4            16
//   row[3]   the sign with itself               2^6            64
//            the sign with low                  - 2^4 * 5     -80
//   p                                                           9

module sn_square #(
  parameter int A_W = 9,
  parameter int P_W = 16  // 2 A_W - 1 at the most: all of it
) (
  input  logic [A_W-1:0] a_i,  // signed
  output logic [P_W-1:0] p_o
);
  logic [A_W-2:0]          low;       // verilator lint_off UNOPTFLAT
  logic [A_W-1:0][P_W-1:0] row, sum;  // verilator lint_on UNOPTFLAT

  assign low = a_i[A_W-2:0];
  for (genvar i = 0; i < A_W - 1; i++) begin : gen_row
    // Bit i with itself and with all above it.
    assign row[i] = P_W'({({1'b0, low} >> (i + 1)) & {A_W{low[i]}}, 1'b0, low[i]}) << (2 * i);
  end
  assign row[A_W-1] = P_W'(a_i[A_W-1]) << (2 * A_W - 2);

  assign sum[0] = row[0];
  for (genvar i = 1; i < A_W; i++) begin : gen_sum
    assign sum[i] = sum[i-1] + row[i];
  end

  assign p_o = sum[A_W-1] - (P_W'(low & {(A_W - 1) {a_i[A_W-1]}}) << A_W);
endmodule
