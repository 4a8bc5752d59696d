// SPDX-License-Identifier: Apache-2.0
// Square of x - zp, exactly: what takes DynamicCompress's place with EXACT_SQ = 1. Combinational.
//
//   a_i [9] --> each pair of bits once --> rows --> sum --> - what the sign meets --> square_o [16]
//
//   a = low - 256 sign,  a^2 = low^2 - 512 sign low   modulo 2^16, which holds 255 * 255
//
// Bits i and j meet twice, at i + j, and so once at i + j + 1: half the rows of a product. No magnitude
// is needed: what the sign meets comes off.
//
//   a = -3: low = 11111101 = 253     253^2 = 64009     512 * 253 = 129536     64009 - 129536 = 9 - 65536

module ailayernorm_square (
  input  logic [8:0]  a_i,  // signed, -255 .. 255
  output logic [15:0] square_o
);
  logic [7:0]       low;       // verilator lint_off UNOPTFLAT
  logic [7:0][15:0] row, sum;  // verilator lint_on UNOPTFLAT

  assign low = a_i[7:0];
  for (genvar i = 0; i < 8; i++) begin : gen_row
    // Bit i with itself and with all above it.
    assign row[i] = 16'({({1'b0, low} >> (i + 1)) & {9{low[i]}}, 1'b0, low[i]}) << (2 * i);
  end

  assign sum[0] = row[0];
  for (genvar i = 1; i < 8; i++) begin : gen_sum
    assign sum[i] = sum[i-1] + row[i];
  end

  assign square_o = sum[7] - {low[6:0] & {7{a_i[8]}}, 9'b0};
endmodule
