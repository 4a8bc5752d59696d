// SPDX-License-Identifier: Apache-2.0
// Elements, rows and lines of the two softmaxes that look their outputs up (docs/units.md), for proofs over
// all inputs. Tables are worked out here from their equations, in real numbers.

module sn_leaf_rexp_elem #(
  parameter int W          = 8,
  parameter int ENTRIES    = 8,
  parameter int INDEX_MODE = 0
) (
  input logic         clk_i,
  input logic [7:0]   d_i,
  input logic [2:0]   frac_i,
  input logic [3:0]   code_o,
  input logic [W-1:0] share_o
);
  localparam int P    = 2 ** W - 1;
  localparam int Last = $rtoi($ceil($ln(real'(P)))) + 1;  // xq + 1
  function automatic logic [15:0][W-1:0] table1();
    for (int i = 0; i < 16; i++) table1[i] = W'($rtoi($floor(P * $exp(-1.0 * i) + 0.5)));
  endfunction
  localparam logic [15:0][W-1:0] T1 = table1();

  logic [31:0] index, index_q, index_qq;
  logic [1:0]  clocks_q = 2'd0;
  always_comb begin
    index = 32'(d_i);
    if (INDEX_MODE == 0 && frac_i != 0) index = index + (32'd1 << (frac_i - 1));
    index = index >> frac_i;
    if (index > Last) index = Last;
  end
  always_ff @(posedge clk_i) begin
    {index_qq, index_q} <= {index_q, index};
    if (clocks_q != 2'd2) clocks_q <= clocks_q + 2'd1;
  end
  a_code : assert property (@(posedge clk_i) clocks_q != 2'd2 || 32'(code_o) == index_qq);
  a_share : assert property (@(posedge clk_i) clocks_q != 2'd2 || share_o == T1[index_qq[3:0]]);
  r_last : assert property (@(posedge clk_i) clocks_q != 2'd2 || 32'(code_o) != Last);
endmodule

module sn_leaf_rexp_reciprocal #(
  parameter int W     = 8,
  parameter int XS    = 256,
  parameter int SUM_W = 18
) (
  input logic             clk_i,
  input logic [SUM_W-1:0] sum_i,
  input logic [W-1:0]     ta_o
);
  localparam int P = 2 ** W - 1;
  function automatic logic [511:0][W-1:0] table_a();
    for (int j = 0; j < 512; j++) table_a[j] = W'((2 * P + (j + 1)) / (2 * (j + 1)));
  endfunction
  localparam logic [511:0][W-1:0] TA = table_a();  // of j - 1

  logic [SUM_W:0] j, j_q, j_qq;
  logic [1:0]     clocks_q = 2'd0;
  always_comb begin
    j = ((SUM_W + 1)'(sum_i) + (SUM_W + 1)'(2 ** (W - 1))) >> W;
    if (32'(j) > XS) j = (SUM_W + 1)'(XS);
    if (j == 0) j = (SUM_W + 1)'(1);
  end
  always_ff @(posedge clk_i) begin
    {j_qq, j_q} <= {j_q, j};
    if (clocks_q != 2'd2) clocks_q <= clocks_q + 2'd1;
  end
  a_reciprocal : assert property (@(posedge clk_i) clocks_q != 2'd2 || ta_o == TA[9'(j_qq - 1'b1)]);
  r_last : assert property (@(posedge clk_i) clocks_q != 2'd2 || 32'(j_qq) != XS);
endmodule

module sn_leaf_rexp_line #(
  parameter int W       = 8,
  parameter int ENTRIES = 8
) (
  input logic                      clk_i,
  input logic                      load_i,
  input logic [W-1:0]              ta_i,
  input logic [ENTRIES-1:0][W-1:0] line_o
);
  localparam int P = 2 ** W - 1;
  logic         clocked_q = 1'b0, load_q;
  logic [W-1:0] ta_q;
  always_ff @(posedge clk_i) begin
    clocked_q <= 1'b1;
    load_q    <= load_i;
    ta_q      <= ta_i;
  end
  for (genvar n = 0; n < ENTRIES; n++) begin : gen_entry
    localparam int T1 = $rtoi($floor(P * $exp(-1.0 * n) + 0.5));
    logic [31:0] out;
    assign out = (32'(T1) * 32'(ta_q) + 32'(2 ** (W - 1))) >> W;
    a_line : assert property (@(posedge clk_i) !(clocked_q && load_q) ||
        32'(line_o[n]) == ((out > P) ? 32'(P) : out));
  end
  r_load : assert property (@(posedge clk_i) !(clocked_q && load_q) || line_o[0] == 0);
endmodule

module sn_leaf_lut2d_elem #(
  parameter int W = 8
) (
  input logic         clk_i,
  input logic [7:0]   d_i,
  input logic [2:0]   frac_i,
  input logic [3:0]   code_o,
  input logic [W-1:0] share_o
);
  localparam int P = 2 ** W - 1;
  function automatic logic [127:0][W-1:0] table_e();
    for (int i = 0; i < 128; i++) table_e[i] = W'($rtoi($floor(P * $exp(-0.1 * i) + 0.5)));
  endfunction
  localparam logic [127:0][W-1:0] E = table_e();
  function automatic logic [127:0][3:0] table_col();
    for (int i = 0; i < 128; i++) table_col[i] = 4'((20 * 32'(E[i]) + P) / (2 * P));
  endfunction
  localparam logic [127:0][3:0] Col = table_col();

  logic [31:0] index, index_q, index_qq;
  logic [1:0]  clocks_q = 2'd0;
  always_comb begin
    index = 32'd10 * d_i;
    if (frac_i != 0) index = (index + (32'd1 << (frac_i - 1))) >> frac_i;
    if (index > 100) index = 100;
  end
  always_ff @(posedge clk_i) begin
    {index_qq, index_q} <= {index_q, index};
    if (clocks_q != 2'd2) clocks_q <= clocks_q + 2'd1;
  end
  a_code : assert property (@(posedge clk_i) clocks_q != 2'd2 || code_o == Col[index_qq[6:0]]);
  a_share : assert property (@(posedge clk_i) clocks_q != 2'd2 || share_o == E[index_qq[6:0]]);
  r_last : assert property (@(posedge clk_i) clocks_q != 2'd2 || index_qq != 100);
endmodule

module sn_leaf_lut2d_row #(
  parameter int W     = 8,
  parameter int SUM_W = 18
) (
  input logic             clk_i,
  input logic [SUM_W-1:0] sum_i,
  input logic [5:0]       row_o
);
  logic [SUM_W:0] row, row_q, row_qq;
  logic [1:0]     clocks_q = 2'd0;
  always_comb begin
    row = ((SUM_W + 1)'(sum_i) + (SUM_W + 1)'(2 ** (W - 1))) >> W;
    if (32'(row) > 60) row = (SUM_W + 1)'(60);
    if (row == 0) row = (SUM_W + 1)'(1);
  end
  always_ff @(posedge clk_i) begin
    {row_qq, row_q} <= {row_q, row};
    if (clocks_q != 2'd2) clocks_q <= clocks_q + 2'd1;
  end
  a_row : assert property (@(posedge clk_i) clocks_q != 2'd2 || 32'(row_o) + 1 == 32'(row_qq));
  r_last : assert property (@(posedge clk_i) clocks_q != 2'd2 || row_o != 59);
endmodule

module sn_leaf_lut2d_line #(
  parameter int W = 8
) (
  input logic               clk_i,
  input logic               load_i,
  input logic [5:0]         row_i,
  input logic [10:0][W-1:0] line_o
);
  localparam int P = 2 ** W - 1;
  function automatic logic [59:0][10:0][W-1:0] table_2();
    for (int row = 1; row <= 60; row++)
      for (int col = 0; col <= 10; col++) begin
        int out;
        out = (2 * P * col + 10 * row) / (20 * row);  // P * (col / 10) / row, halves up
        table_2[row-1][col] = W'((out > P) ? P : out);
      end
  endfunction
  localparam logic [59:0][10:0][W-1:0] T2 = table_2();

  logic       clocked_q = 1'b0, load_q;
  logic [5:0] row_q;
  always_ff @(posedge clk_i) begin
    clocked_q <= 1'b1;
    load_q    <= load_i;
    row_q     <= row_i;
  end
  a_line : assert property (@(posedge clk_i) !(clocked_q && load_q && row_q < 60) ||
      line_o == T2[row_q]);
  r_load : assert property (@(posedge clk_i) !(clocked_q && load_q) || row_q != 59);
endmodule

`ifdef SN_LEAF_REXP_ELEM
bind rexp_elem sn_leaf_rexp_elem #(
  .W(W), .ENTRIES(ENTRIES), .INDEX_MODE(INDEX_MODE)
) u_leaf (.*);
`endif
`ifdef SN_LEAF_REXP_RECIPROCAL
bind rexp_reciprocal sn_leaf_rexp_reciprocal #(.W(W), .XS(XS), .SUM_W(SUM_W)) u_leaf (.*);
`endif
`ifdef SN_LEAF_REXP_LINE
bind rexp_line sn_leaf_rexp_line #(.W(W), .ENTRIES(ENTRIES)) u_leaf (.*);
`endif
`ifdef SN_LEAF_LUT2D_ELEM
bind lut2d_elem sn_leaf_lut2d_elem #(.W(W)) u_leaf (.*);
`endif
`ifdef SN_LEAF_LUT2D_ROW
bind lut2d_row sn_leaf_lut2d_row #(.W(W), .SUM_W(SUM_W)) u_leaf (.*);
`endif
`ifdef SN_LEAF_LUT2D_LINE
bind lut2d_line sn_leaf_lut2d_line #(.W(W)) u_leaf (.*);
`endif
