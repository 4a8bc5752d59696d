// SPDX-License-Identifier: Apache-2.0
// 2D-LUT's row step: the row of T2 that belongs to a sum.
//
//   sum_i --> rnd >> W --[reg]--> saturate to 1 .. 60, less 1 --[reg]--> row_o
//
//   row = sat(rnd(S / 2^W), 1, 60)
//
// 0 before it is saturated for an all-masked row alone. Latency two clocks.

module lut2d_row #(
  parameter int W     = 8,
  parameter int SUM_W = 18
) (
  input  logic             clk_i,
  input  logic [SUM_W-1:0] sum_i,
  output logic [5:0]       row_o  // row - 1
);
  localparam int TopW = SUM_W - W + 1;  // the sum's top bits, rounded
  localparam int CmpW = (TopW > 7) ? TopW : 7;

  logic [CmpW-1:0] top_q;

  always_ff @(posedge clk_i) begin
    top_q <= CmpW'(TopW'({1'b0, sum_i} >> W) + TopW'(sum_i[W-1]));
    if (top_q == '0) row_o <= 6'd0;
    else if (top_q > CmpW'(60)) row_o <= 6'd59;
    else row_o <= 6'(top_q - CmpW'(1));
  end
endmodule
