// SPDX-License-Identifier: Apache-2.0
// In reset a unit is quiet at once, without a clock (docs/stream.md, "Reset"). Bound to a unit, for proofs.

module sn_reset_checker (
  input logic clk_i,
  input logic rst_ni,
  input logic s_axis_tready,
  input logic m_axis_tvalid,
  input logic err_len_o,
  input logic err_keep_o
);
  a_quiet : assert property (@(posedge clk_i) rst_ni ||
      !{s_axis_tready, m_axis_tvalid, err_len_o, err_keep_o});
  // Must be refuted: the unit is not quiet for ever.
  r_error : assert property (@(posedge clk_i) !err_keep_o);
endmodule

bind `SN_UNIT sn_reset_checker u_check_reset (.*);
