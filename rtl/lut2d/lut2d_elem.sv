// SPDX-License-Identifier: Apache-2.0
// 2D-LUT's element step: from the distance to the maximum to an index in tenths, and two tables of it.
//
//   d_i [8] --> x10 --> >> F, rounded --> min(100) --[reg]--+--> E ----[reg]--> share_o [W]
//                                                           +--> COL --[reg]--> code_o [4]
//
//   i = min(100, rnd(10 d / 2^F)),  E[i] = round((2^W - 1) * e^(-i/10)),  COL[i] = round(10 E[i] / (2^W - 1))
//
// COL, 0 to 10, is the column of T2 in which the element's output stands. Latency two clocks.

module lut2d_elem #(
  parameter int W = 8
) (
  input  logic         clk_i,
  input  logic [7:0]   d_i,
  input  logic [2:0]   frac_i,
  output logic [3:0]   code_o,
  output logic [W-1:0] share_o
);
  localparam logic [6:0] Last = 7'd100;

  logic [11:0]  tenths;
  logic [12:0]  raw;  // with the bit below
  logic [11:0]  index;
  logic [6:0]   index_q;
  logic [3:0]   col;
  logic [W-1:0] share;

  assign tenths = {1'b0, d_i, 3'b0} + {3'b0, d_i, 1'b0};
  assign raw    = {tenths, 1'b0} >> frac_i;
  assign index  = raw[12:1] + 12'(raw[0]);

  if (W == 2) begin : gen_w2
    assign share = lut2d_tables_pkg::e_w2(index_q);
    assign col   = lut2d_tables_pkg::col_w2(index_q);
  end else if (W == 4) begin : gen_w4
    assign share = lut2d_tables_pkg::e_w4(index_q);
    assign col   = lut2d_tables_pkg::col_w4(index_q);
  end else begin : gen_w8
    assign share = lut2d_tables_pkg::e_w8(index_q);
    assign col   = lut2d_tables_pkg::col_w8(index_q);
  end

  always_ff @(posedge clk_i) begin
    index_q <= (index > 12'(Last)) ? Last : index[6:0];
    code_o  <= col;
    share_o <= share;
  end
endmodule
