// SPDX-License-Identifier: Apache-2.0
// 2D-LUT's outputs of a row: the row of T2, one output for each column.
//
//   row_i --> T2 [60 x 11] --[reg]--> line_o [11]
//
//   T2[row][col] = min(P, round(P * (col/10) / row)),  P = 2^W - 1
//
// A row of elements has one row of T2, so that the table is read once a beat, not once a lane.
// Latency one clock.

module lut2d_line #(
  parameter int W = 8
) (
  input  logic               clk_i,
  input  logic               load_i,
  input  logic [5:0]         row_i,  // row - 1
  output logic [10:0][W-1:0] line_o
);
  logic [10:0][W-1:0] line;

  if (W == 2) begin : gen_w2
    assign line = lut2d_tables_pkg::t2_w2(row_i);
  end else if (W == 4) begin : gen_w4
    assign line = lut2d_tables_pkg::t2_w4(row_i);
  end else begin : gen_w8
    assign line = lut2d_tables_pkg::t2_w8(row_i);
  end

  always_ff @(posedge clk_i) begin
    if (load_i) line_o <= line;
  end
endmodule
