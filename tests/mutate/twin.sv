// SPDX-License-Identifier: Apache-2.0
// A module with a unit's handshake and faults of which is known whether they show.

module twin #(
  parameter int LANES   = 1,
  parameter int MAX_LEN = 1
) (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic s_axis_tvalid,
  input  logic s_axis_tdata,
  input  logic m_axis_tready,
  output logic s_axis_tready,
  output logic m_axis_tvalid,
  output logic m_axis_tdata,
  output logic err_len_o,
  output logic err_keep_o
);
  logic one_q, two_q, data_q, idle;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      one_q <= 1'b0;
      two_q <= 1'b0;
    end else begin
      one_q <= s_axis_tvalid;
      two_q <= s_axis_tvalid;
    end
  end

  always_ff @(posedge clk_i) data_q <= s_axis_tdata;

  // Both flip-flops are always the same.
  assign m_axis_tvalid = one_q & two_q;
  // Shows only where tvalid is 1, and there `idle` is 0.
  assign idle          = ~one_q;
  assign m_axis_tdata  = (data_q | idle) & rst_ni;
  assign s_axis_tready = one_q | (one_q & m_axis_tready);
  assign err_len_o     = data_q ^ one_q;
  assign err_keep_o    = 1'b0;
endmodule
