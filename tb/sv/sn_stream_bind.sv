// SPDX-License-Identifier: Apache-2.0
// Binds the stream rules to both sides of the unit named by the macro SN_UNIT, and the rules of progress,
// with the limit SN_PATIENCE: those in simulations alone.

bind `SN_UNIT sn_stream_checker #(
  .DATA_W($bits(s_axis_tdata)),
  .KEEP_W($bits(s_axis_tkeep)),
  .SIDE_W($bits(s_axis_tstrb)),
  .OUTPUT(1'b0)
) u_check_s_axis (
  .clk_i (clk_i),
  .rst_ni(rst_ni),
  .tdata (s_axis_tdata),
  .tkeep (s_axis_tkeep),
  .side  (s_axis_tstrb),
  .tlast (s_axis_tlast),
  .tvalid(s_axis_tvalid),
  .tready(s_axis_tready)
);

bind `SN_UNIT sn_stream_checker #(
  .DATA_W($bits(m_axis_tdata)),
  .KEEP_W($bits(m_axis_tkeep)),
  .SIDE_W($bits(m_axis_tuser)),
  .OUTPUT(1'b1)
) u_check_m_axis (
  .clk_i (clk_i),
  .rst_ni(rst_ni),
  .tdata (m_axis_tdata),
  .tkeep (m_axis_tkeep),
  .side  (m_axis_tuser),
  .tlast (m_axis_tlast),
  .tvalid(m_axis_tvalid),
  .tready(m_axis_tready)
);

`ifndef SN_PROOF
bind `SN_UNIT sn_progress_checker #(
  .LIMIT(`SN_PATIENCE)
) u_check_progress (
  .clk_i   (clk_i),
  .rst_ni  (rst_ni),
  .s_tlast (s_axis_tlast),
  .s_tvalid(s_axis_tvalid),
  .s_tready(s_axis_tready),
  .m_tlast (m_axis_tlast),
  .m_tvalid(m_axis_tvalid),
  .m_tready(m_axis_tready)
);
`endif
