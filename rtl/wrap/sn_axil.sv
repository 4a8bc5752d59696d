// SPDX-License-Identifier: Apache-2.0
// AXI4-Lite subordinate: one request at a time to registers that answer in the same clock.
//
//   aw*, w* --[reg]--+--> req_o, write_o, addr_o, data_o, strb_o --> registers
//   ar*     --[reg]--+--> refuse_i? --> SLVERR, no request
//                    +<-- err_i, data_i ---------------------------- registers
//   b*, r*  <--[reg]-+
//
// A request is made when its response has a place to go: address and data of a write may come in any
// order. Where a write and a read wait, they take turns. refuse_i is asked with what would be requested:
// it is answered with SLVERR, and nothing else happens. Each ready is a flip-flop, and so is each
// response.

module sn_axil #(
  parameter int ADDR_W = 6
) (
  input  logic              clk_i,
  input  logic              rst_ni,  // asynchronous assert, synchronous release

  input  logic [ADDR_W-1:0] s_axil_awaddr,
  input  logic              s_axil_awvalid,
  output logic              s_axil_awready,
  input  logic [31:0]       s_axil_wdata,
  input  logic [3:0]        s_axil_wstrb,
  input  logic              s_axil_wvalid,
  output logic              s_axil_wready,
  output logic [1:0]        s_axil_bresp,
  output logic              s_axil_bvalid,
  input  logic              s_axil_bready,
  input  logic [ADDR_W-1:0] s_axil_araddr,
  input  logic              s_axil_arvalid,
  output logic              s_axil_arready,
  output logic [31:0]       s_axil_rdata,
  output logic [1:0]        s_axil_rresp,
  output logic              s_axil_rvalid,
  input  logic              s_axil_rready,

  output logic              req_o,     // one clock
  output logic              write_o,
  output logic [ADDR_W-1:0] addr_o,
  output logic [31:0]       data_o,
  output logic [3:0]        strb_o,
  input  logic              refuse_i,
  input  logic              err_i,
  input  logic [31:0]       data_i
);
  localparam logic [1:0] Okay   = 2'b00;
  localparam logic [1:0] SlvErr = 2'b10;

  logic              live_q;  // reset is over: readies rise with the first clock after it
  logic              aw_q, w_q, ar_q, turn_q;
  logic [ADDR_W-1:0] awaddr_q, araddr_q;
  logic              can_write, can_read, write, read;

  assign s_axil_awready = live_q && !aw_q;
  assign s_axil_wready  = live_q && !w_q;
  assign s_axil_arready = live_q && !ar_q;

  assign can_write = aw_q && w_q && !s_axil_bvalid;
  assign can_read  = ar_q && !s_axil_rvalid;
  assign write     = can_write && !(can_read && turn_q);
  assign read      = can_read && !write;

  assign req_o     = read || (write && !refuse_i);
  assign write_o   = write;
  assign addr_o    = write ? awaddr_q : araddr_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      live_q        <= 1'b0;
      aw_q          <= 1'b0;
      w_q           <= 1'b0;
      ar_q          <= 1'b0;
      turn_q        <= 1'b0;
      s_axil_bvalid <= 1'b0;
      s_axil_rvalid <= 1'b0;
    end else begin
      live_q <= 1'b1;
      aw_q   <= (s_axil_awvalid && s_axil_awready) || (aw_q && !write);
      w_q    <= (s_axil_wvalid && s_axil_wready) || (w_q && !write);
      ar_q   <= (s_axil_arvalid && s_axil_arready) || (ar_q && !read);
      if (write || read) turn_q <= write;
      s_axil_bvalid <= write || (s_axil_bvalid && !s_axil_bready);
      s_axil_rvalid <= read || (s_axil_rvalid && !s_axil_rready);
    end
  end

  always_ff @(posedge clk_i) begin
    if (s_axil_awvalid && s_axil_awready) awaddr_q <= s_axil_awaddr;
    if (s_axil_arvalid && s_axil_arready) araddr_q <= s_axil_araddr;
    if (s_axil_wvalid && s_axil_wready) begin
      data_o <= s_axil_wdata;
      strb_o <= s_axil_wstrb;
    end
    if (write) s_axil_bresp <= (refuse_i || err_i) ? SlvErr : Okay;
    if (read) begin
      s_axil_rresp <= err_i ? SlvErr : Okay;
      s_axil_rdata <= data_i;
    end
  end
endmodule
