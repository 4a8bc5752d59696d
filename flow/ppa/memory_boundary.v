// SPDX-License-Identifier: Apache-2.0
// A memory as static timing sees it: a register at each bit of its ports, and one for each write
// enable. A `$mem_v2` has an enable a bit, a macro one for the bits that are written together; as many
// registers as bits would be a load that the mapping knows nothing of.
//
// Ports count as flip-flops; timing.py finds the slowest path once more with what a macro's read
// port takes (rd_data below).

(* techmap_celltype = "$mem_v2" *)
module memory_boundary (
  RD_CLK, RD_EN, RD_ARST, RD_SRST, RD_ADDR, RD_DATA, WR_CLK, WR_EN, WR_ADDR, WR_DATA
);
  parameter MEMID = "";
  parameter SIZE = 1;
  parameter OFFSET = 0;
  parameter ABITS = 1;
  parameter WIDTH = 1;
  parameter INIT = 0;
  parameter RD_PORTS = 1;
  parameter RD_CLK_ENABLE = 1;
  parameter RD_CLK_POLARITY = 1;
  parameter RD_TRANSPARENCY_MASK = 0;
  parameter RD_COLLISION_X_MASK = 0;
  parameter RD_WIDE_CONTINUATION = 0;
  parameter RD_CE_OVER_SRST = 0;
  parameter RD_ARST_VALUE = 0;
  parameter RD_SRST_VALUE = 0;
  parameter RD_INIT_VALUE = 0;
  parameter WR_PORTS = 1;
  parameter WR_CLK_ENABLE = 1;
  parameter WR_CLK_POLARITY = 1;
  parameter WR_PRIORITY_MASK = 0;
  parameter WR_WIDE_CONTINUATION = 0;

  input  [RD_PORTS-1:0]       RD_CLK, RD_EN, RD_ARST, RD_SRST;
  input  [RD_PORTS*ABITS-1:0] RD_ADDR;
  output [RD_PORTS*WIDTH-1:0] RD_DATA;
  input  [WR_PORTS-1:0]       WR_CLK;
  input  [WR_PORTS*WIDTH-1:0] WR_EN, WR_DATA;
  input  [WR_PORTS*ABITS-1:0] WR_ADDR;

  // The library has memories of one write and one registered read port only.
  wire _TECHMAP_FAIL_ = RD_PORTS != 1 || WR_PORTS != 1 || RD_CLK_ENABLE != 1 || WR_CLK_ENABLE != 1;

  // Which net drives an enable, as a number.
  parameter _TECHMAP_BITS_CONNMAP_ = 0;
  parameter [WR_PORTS*WIDTH*_TECHMAP_BITS_CONNMAP_-1:0] _TECHMAP_CONNMAP_WR_EN_ = 0;
  function [_TECHMAP_BITS_CONNMAP_-1:0] enable(input integer place);
    enable = _TECHMAP_CONNMAP_WR_EN_[place*_TECHMAP_BITS_CONNMAP_+:_TECHMAP_BITS_CONNMAP_];
  endfunction

  genvar i;
  wire rd_en_q;
  (* keep *) \$_DFF_P_ rd_en (.C(RD_CLK), .D(RD_EN), .Q(rd_en_q));
  for (i = 0; i < WIDTH; i = i + 1) begin : data
    wire wr_data_q;
    (* keep *) \$_DFF_P_ rd_data (.C(RD_CLK), .D(1'b0), .Q(RD_DATA[i]));
    (* keep *) \$_DFF_P_ wr_data (.C(WR_CLK), .D(WR_DATA[i]), .Q(wr_data_q));
    if (i == 0 || enable(i) != enable(i - 1)) begin : part
      wire wr_en_q;
      (* keep *) \$_DFF_P_ wr_en (.C(WR_CLK), .D(WR_EN[i]), .Q(wr_en_q));
    end
  end
  for (i = 0; i < ABITS; i = i + 1) begin : address
    wire rd_addr_q, wr_addr_q;
    (* keep *) \$_DFF_P_ rd_addr (.C(RD_CLK), .D(RD_ADDR[i]), .Q(rd_addr_q));
    (* keep *) \$_DFF_P_ wr_addr (.C(WR_CLK), .D(WR_ADDR[i]), .Q(wr_addr_q));
  end
endmodule
