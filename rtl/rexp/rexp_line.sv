// SPDX-License-Identifier: Apache-2.0
// REXP's outputs of a row: one for each index that an element can have.
//
//   ta_i [W] --> x T1[i], constants --> rnd >> W --[reg]--> line_o [ENTRIES]
//
//   out = rnd(T1[i] * TA / 2^W)
//
// A row has one TA and T1 few entries, so that ENTRIES - 2 multipliers by constants, whatever the
// number of lanes, take the place of one a lane (T1's last entry is 0). T1 and TA are at most
// 2^W - 1, so the output is below 2^W - 1: the equation's min never acts. Latency one clock.

module rexp_line #(
  parameter int W       = 8,
  parameter int ENTRIES = 8
) (
  input  logic                      clk_i,
  input  logic                      load_i,
  input  logic [W-1:0]              ta_i,
  output logic [ENTRIES-1:0][W-1:0] line_o
);
  for (genvar n = 0; n < ENTRIES; n++) begin : gen_entry
    localparam logic [3:0] Index = 4'(n);
    logic [W-1:0]   t1;
    logic [2*W-1:0] product;

    if (W == 2) begin : gen_w2
      assign t1 = rexp_tables_pkg::t1_w2(Index[1:0]);
    end else if (W == 4) begin : gen_w4
      assign t1 = rexp_tables_pkg::t1_w4(Index[2:0]);
    end else if (W == 8) begin : gen_w8
      assign t1 = rexp_tables_pkg::t1_w8(Index[2:0]);
    end else begin : gen_w15
      assign t1 = rexp_tables_pkg::t1_w15(Index);
    end

    assign product = (2 * W)'(t1) * (2 * W)'(ta_i) + (2 * W)'(1 << (W - 1));
    always_ff @(posedge clk_i) begin
      if (load_i) line_o[n] <= product[2*W-1:W];
    end

    logic unused;
    assign unused = ^product[W-1:0];
  end
endmodule
