// SPDX-License-Identifier: Apache-2.0
// e2softmax_axil for cocotbext-axi, whose streams have no tstrb: a lane has a bit more, that it counts.

module axil_top #(
  parameter int LANES   = 4,
  parameter int MAX_LEN = 16,
  parameter int SCALE   = 0,
  parameter int BLOCKS  = 0,
  parameter int FORMATS = 0,
  parameter int IN_W    = 8,
  parameter int DEPTH   = 4,
  localparam int USER_W = (BLOCKS == 0) ? 7 : 39 + IN_W
) (
  input  logic                      clk,
  input  logic                      rst_n,
  input  logic [5:0]                s_axil_awaddr,
  input  logic                      s_axil_awvalid,
  output logic                      s_axil_awready,
  input  logic [31:0]               s_axil_wdata,
  input  logic [3:0]                s_axil_wstrb,
  input  logic                      s_axil_wvalid,
  output logic                      s_axil_wready,
  output logic [1:0]                s_axil_bresp,
  output logic                      s_axil_bvalid,
  input  logic                      s_axil_bready,
  input  logic [5:0]                s_axil_araddr,
  input  logic                      s_axil_arvalid,
  output logic                      s_axil_arready,
  output logic [31:0]               s_axil_rdata,
  output logic [1:0]                s_axil_rresp,
  output logic                      s_axil_rvalid,
  input  logic                      s_axil_rready,
  output logic                      irq,
  input  logic [(IN_W+1)*LANES-1:0] s_axis_tdata,
  input  logic [LANES-1:0]          s_axis_tkeep,
  input  logic                      s_axis_tlast,
  input  logic                      s_axis_tvalid,
  output logic                      s_axis_tready,
  output logic [8*LANES-1:0]        m_axis_tdata,
  output logic [LANES-1:0]          m_axis_tkeep,
  output logic                      m_axis_tlast,
  output logic [USER_W-1:0]         m_axis_tuser,
  output logic                      m_axis_tvalid,
  input  logic                      m_axis_tready
);
  logic [IN_W*LANES-1:0] x;
  logic [LANES-1:0]      counts;

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    assign {counts[i], x[IN_W*i+:IN_W]} = s_axis_tdata[(IN_W+1)*i+:IN_W+1];
  end

  e2softmax_axil #(
    .LANES(LANES), .MAX_LEN(MAX_LEN), .SCALE(SCALE), .BLOCKS(BLOCKS), .FORMATS(FORMATS),
    .IN_W(IN_W), .DEPTH(DEPTH)
  ) u_dut (
    .clk_i(clk), .rst_ni(rst_n), .irq_o(irq), .s_axis_tdata(x), .s_axis_tstrb(counts), .*
  );
endmodule
