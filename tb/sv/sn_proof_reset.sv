// SPDX-License-Identifier: Apache-2.0
// A proof's first clock is in reset; before it every flip-flop and memory holds anything. Later resets
// come when they like. Bound to the top module, named by the macro SN_TOP.

module sn_proof_reset (
  input logic clk_i,
  input logic rst_ni
);
  logic started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;

  m_reset : assume property (@(posedge clk_i) started_q || !rst_ni);
endmodule

bind `SN_TOP sn_proof_reset u_proof_reset (
  .clk_i (clk_i),
  .rst_ni(rst_ni)
);
