// SPDX-License-Identifier: Apache-2.0
// REXP's element step: from the distance to the maximum to an index, and the exponential of it.
//
//   d_i [8] --> >> F, rounded (or not) --> min(xq + 1) --[reg]--+--> T1 --[reg]--> share_o [W]
//                                                               +--------[reg]--> code_o [4]
//
//   i = min(xq + 1, rnd(d / 2^F))      INDEX_MODE = 1: min(xq + 1, d >> F)
//   s = T1[i] = round((2^W - 1) * e^-i)
//
// ENTRIES = xq + 2 is the size of T1, whose last entry is 0. Latency two clocks.

module rexp_elem #(
  parameter int W          = 8,
  parameter int ENTRIES    = 8,
  parameter int INDEX_MODE = 0
) (
  input  logic         clk_i,
  input  logic [7:0]   d_i,
  input  logic [2:0]   frac_i,
  output logic [3:0]   code_o,
  output logic [W-1:0] share_o
);
  localparam logic [3:0] Last = 4'(ENTRIES - 1);

  logic [8:0]   raw;  // with the bit below
  logic [7:0]   index;
  logic [3:0]   index_q;
  logic [W-1:0] share;

  assign raw = {d_i, 1'b0} >> frac_i;
  if (INDEX_MODE == 0) begin : gen_round
    // d = 255 rounds to 256 / 2^F at the most, and F >= 1 where it does: no overflow.
    assign index = raw[8:1] + 8'(raw[0]);
  end else begin : gen_floor
    logic unused;
    assign unused = raw[0];
    assign index  = raw[8:1];
  end

  if (W == 2) begin : gen_w2
    assign share = rexp_tables_pkg::t1_w2(index_q[1:0]);
  end else if (W == 4) begin : gen_w4
    assign share = rexp_tables_pkg::t1_w4(index_q[2:0]);
  end else if (W == 8) begin : gen_w8
    assign share = rexp_tables_pkg::t1_w8(index_q[2:0]);
  end else begin : gen_w15
    assign share = rexp_tables_pkg::t1_w15(index_q);
  end

  always_ff @(posedge clk_i) begin
    index_q <= (index > 8'(Last)) ? Last : index[3:0];
    code_o  <= index_q;
    share_o <= share;
  end
endmodule
