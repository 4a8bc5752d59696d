// SPDX-License-Identifier: Apache-2.0
// The output register: tvalid does not wait for tready. Bound to it, for proofs.

module sn_row_output_checker (
  input logic clk_i,
  input logic rst_ni,
  input logic valid_i,
  input logic m_axis_tvalid,
  input logic m_axis_tready
);
  logic off, clocked_q = 1'b0;
  always_ff @(posedge clk_i) clocked_q <= 1'b1;
  assign off = !rst_ni || !clocked_q;

  a_does_not_wait : assert property (@(posedge clk_i) disable iff (off)
      !$past(valid_i && !m_axis_tvalid && !off) || m_axis_tvalid);
  r_waits : assert property (@(posedge clk_i) disable iff (off) !m_axis_tvalid || m_axis_tready);
endmodule

bind sn_row_output sn_row_output_checker u_check (.*);
