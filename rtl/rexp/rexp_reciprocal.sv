// SPDX-License-Identifier: Apache-2.0
// REXP's row step: the reciprocal of a row's sum, from its top bits and a table.
//
//   sum_i --> rnd >> W --> saturate to 1 .. XS --[reg]--> TA --[reg]--> ta_o [W]
//
//   j = sat(rnd(S / 2^W), 1, XS),   TA[j] = round((2^W - 1) / j)
//
// j is 0 before it is saturated for an all-masked row alone. Latency two clocks.

module rexp_reciprocal #(
  parameter int W     = 8,
  parameter int XS    = 256,
  parameter int SUM_W = 18
) (
  input  logic             clk_i,
  input  logic [SUM_W-1:0] sum_i,
  output logic [W-1:0]     ta_o
);
  localparam int TopW = SUM_W - W + 1;  // the sum's top bits, rounded
  localparam int CmpW = (TopW > 10) ? TopW : 10;

  logic [CmpW-1:0] top;
  logic [8:0]      index, index_q;  // j - 1
  logic [W-1:0]    ta;

  assign top = CmpW'(TopW'({1'b0, sum_i} >> W) + TopW'(sum_i[W-1]));

  always_comb begin
    if (top == '0) index = 9'd0;
    else if (top > CmpW'(XS)) index = 9'(XS - 1);
    else index = 9'(top - CmpW'(1));
  end

  if (W == 2) begin : gen_w2
    assign ta = rexp_tables_pkg::ta_w2(index_q);
  end else if (W == 4) begin : gen_w4
    assign ta = rexp_tables_pkg::ta_w4(index_q);
  end else if (W == 8) begin : gen_w8
    assign ta = rexp_tables_pkg::ta_w8(index_q);
  end else begin : gen_w15
    assign ta = rexp_tables_pkg::ta_w15(index_q);
  end

  always_ff @(posedge clk_i) begin
    index_q <= index;
    ta_o <= ta;
  end
endmodule
