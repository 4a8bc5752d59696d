// SPDX-License-Identifier: Apache-2.0
// Binds the stream rules to both sides of the unit named by the macro SN_UNIT, and the rules of progress,
// with the limit SN_PATIENCE: those in simulations alone. SN_CELL is defined where it is a stream cell,
// SN_R_AXIS where it has a second input stream, SN_BARE where its output has no register.

`ifdef SN_CELL
  `define SN_CELL_BIT 1'b1
  `define SN_SIDE {m_axis_tuser, m_axis_tstrb}
`else
  `define SN_CELL_BIT 1'b0
  `define SN_SIDE m_axis_tuser
`endif

`ifdef SN_BARE
  `define SN_BARE_BIT 1'b1
`else
  `define SN_BARE_BIT 1'b0
`endif

`define SN_CHECK_INPUT(axis) \
  bind `SN_UNIT sn_stream_checker #( \
    .DATA_W($bits(axis``_tdata)), \
    .KEEP_W($bits(axis``_tkeep)), \
    .SIDE_W($bits(axis``_tstrb)), \
    .OUTPUT(1'b0) \
  ) u_check_``axis ( \
    .clk_i (clk_i), \
    .rst_ni(rst_ni), \
    .tdata (axis``_tdata), \
    .tkeep (axis``_tkeep), \
    .side  (axis``_tstrb), \
    .tlast (axis``_tlast), \
    .tvalid(axis``_tvalid), \
    .tready(axis``_tready) \
  );

`SN_CHECK_INPUT(s_axis)
`ifdef SN_R_AXIS
`SN_CHECK_INPUT(r_axis)
`endif

bind `SN_UNIT sn_stream_checker #(
  .DATA_W($bits(m_axis_tdata)),
  .KEEP_W($bits(m_axis_tkeep)),
  .SIDE_W($bits(`SN_SIDE)),
  .OUTPUT(1'b1),
  .CELL  (`SN_CELL_BIT),
  .BARE  (`SN_BARE_BIT)
) u_check_m_axis (
  .clk_i (clk_i),
  .rst_ni(rst_ni),
  .tdata (m_axis_tdata),
  .tkeep (m_axis_tkeep),
  .side  (`SN_SIDE),
  .tlast (m_axis_tlast),
  .tvalid(m_axis_tvalid),
  .tready(m_axis_tready)
);

`ifndef SN_PROOF
`ifndef SN_R_AXIS  // what is inside is then no difference of two counts: tb/check/progress.py has it
bind `SN_UNIT sn_progress_checker #(
  .LIMIT(`SN_PATIENCE),
  .CELL (`SN_CELL_BIT)
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
`endif
