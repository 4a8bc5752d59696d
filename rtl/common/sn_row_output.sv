// SPDX-License-Identifier: Apache-2.0
// Output side of the stream contract (docs/stream.md): the one register in front of the m_axis pins.
//
//   data_i, keep_i, last_i, user_i --> & valid_i --[reg]--> m_axis_*
//   m_axis_tvalid, m_axis_tready ----> advance_o: the register is free, or is being emptied
//
// Whatever stands before the register loads while advance_o is high and holds while it is low.
// Where there is no beat the payload is 0, so that its inputs may be X there. The first clock of a
// reset loads that 0: the payload needs no reset of its own, and its flip-flops are the smaller ones.
//
// REG = 0: no register. valid_i is then a flip-flop, and what the payload is made of holds while advance_o
// is low; without a beat, and in reset, the payload is anything.
//
// Latency REG clocks, one beat a clock.

module sn_row_output #(
  parameter int LANES  = 32,
  parameter int OUT_W  = 8,  // bits a lane
  parameter int USER_W = 7,
  parameter int REG    = 1
) (
  input  logic                        clk_i,
  input  logic                        rst_ni,

  output logic                        advance_o,
  input  logic                        valid_i,  // there is a beat
  input  logic [LANES-1:0][OUT_W-1:0] data_i,
  input  logic [LANES-1:0]            keep_i,
  input  logic                        last_i,
  input  logic [USER_W-1:0]           user_i,   // {.., err_keep, err_len, exponent[4:0]}

  output logic [OUT_W*LANES-1:0]      m_axis_tdata,
  output logic [LANES-1:0]            m_axis_tkeep,
  output logic                        m_axis_tlast,
  output logic [USER_W-1:0]           m_axis_tuser,
  output logic                        m_axis_tvalid,
  input  logic                        m_axis_tready
);
  assign advance_o = !m_axis_tvalid || m_axis_tready;

  if (REG == 1) begin : gen_reg
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) m_axis_tvalid <= 1'b0;
      else if (advance_o) m_axis_tvalid <= valid_i;
    end

    always_ff @(posedge clk_i) begin
      if (advance_o) begin
        m_axis_tdata <= valid_i ? data_i : '0;
        m_axis_tkeep <= valid_i ? keep_i : '0;
        m_axis_tlast <= valid_i && last_i;
        m_axis_tuser <= valid_i ? user_i : '0;
      end
    end
  end else begin : gen_wire
    assign m_axis_tvalid = valid_i;
    assign m_axis_tdata  = data_i;
    assign m_axis_tkeep  = keep_i;
    assign m_axis_tlast  = last_i;
    assign m_axis_tuser  = user_i;
    logic unused;
    assign unused = ^{clk_i, rst_ni};
  end
endmodule
