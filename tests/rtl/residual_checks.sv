// SPDX-License-Identifier: Apache-2.0
// The stream rules at the three streams of residual_add, as tb/sv/sn_stream_bind.sv has them at two.

bind residual_add sn_stream_checker #(
  .DATA_W(IN_W * LANES),
  .KEEP_W(LANES),
  .SIDE_W(LANES)
) u_check_s (
  .clk_i, .rst_ni, .tdata(s_axis_tdata), .tkeep(s_axis_tkeep), .side(s_axis_tstrb),
  .tlast(s_axis_tlast), .tvalid(s_axis_tvalid), .tready(s_axis_tready)
);

bind residual_add sn_stream_checker #(
  .DATA_W(IN_W * LANES),
  .KEEP_W(LANES),
  .SIDE_W(LANES)
) u_check_r (
  .clk_i, .rst_ni, .tdata(r_axis_tdata), .tkeep(r_axis_tkeep), .side(r_axis_tstrb),
  .tlast(r_axis_tlast), .tvalid(r_axis_tvalid), .tready(r_axis_tready)
);

bind residual_add sn_stream_checker #(
  .DATA_W(IN_W * LANES),
  .KEEP_W(LANES),
  .SIDE_W(7 + LANES),
  .OUTPUT(1'b1),
  .CELL  (1'b1)
) u_check_m (
  .clk_i, .rst_ni, .tdata(m_axis_tdata), .tkeep(m_axis_tkeep), .side({m_axis_tuser, m_axis_tstrb}),
  .tlast(m_axis_tlast), .tvalid(m_axis_tvalid), .tready(m_axis_tready)
);
