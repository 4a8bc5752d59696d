// SPDX-License-Identifier: Apache-2.0
// The last pass of a unit, from what its row buffer gives (stage 0) to the m_axis pins: a beat comes out
// once, in order, with its own tlast, tuser and tkeep, and does not wait for tready. For proofs.

module sn_back_checker #(
  parameter int LANES   = 32,
  parameter int STAGES  = 2,  // behind stage 0, before the output register
  parameter int KEEP_AT = 0   // the stage that keep_i is of
) (
  input logic                         clk_i,
  input logic                         rst_ni,
  input logic                         advance,
  input logic                         valid_i,
  input logic [7:0]                   side_i,  // {tlast, tuser}
  input logic [LANES-1:0]             keep_i,
  // inside
  input logic [STAGES:1]              valid_q,
  input logic [STAGES:1][7:0]         side_q,
  input logic [STAGES:1][LANES-1:0]   keep_q,  // behind KEEP_AT
  input logic [LANES-1:0]             m_axis_tkeep,
  input logic                         m_axis_tlast,
  input logic [6:0]                   m_axis_tuser,
  input logic                         m_axis_tvalid,
  input logic                         m_axis_tready
);
  localparam int Out = STAGES + 1;

  logic off, clocked_q = 1'b0;
  always_ff @(posedge clk_i) clocked_q <= 1'b1;
  assign off = !rst_ni || !clocked_q;

  // The beats where they should be, Out: at the pins. What is not valid may be anything.
  logic [Out:0]            beat;
  logic [Out:1]            beat_q;
  logic [Out:0][7:0]       side;
  logic [Out:1][7:0]       beat_side_q;
  logic [Out:0][LANES-1:0] keep;
  logic [Out:1][LANES-1:0] beat_keep_q;
  always_comb begin
    beat          = {beat_q, valid_i};
    side          = {beat_side_q, side_i};
    keep          = {beat_keep_q, keep_i};
    keep[KEEP_AT] = keep_i;
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) beat_q <= '0;
    else if (advance) beat_q <= beat[Out-1:0];
  end
  always_ff @(posedge clk_i) begin
    if (advance) begin
      beat_side_q <= side[Out-1:0];
      beat_keep_q <= keep[Out-1:0];
    end
  end

  // Rows: what went in last, what went out last.
  logic       in_row_q, out_row_q;
  logic [6:0] in_user_q, out_user_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) {in_row_q, out_row_q} <= '0;
    else begin
      if (advance && valid_i) in_row_q <= !side_i[7];
      if (m_axis_tvalid && m_axis_tready) out_row_q <= !m_axis_tlast;
    end
  end
  always_ff @(posedge clk_i) begin
    if (advance && valid_i) in_user_q <= side_i[6:0];
    if (m_axis_tvalid && m_axis_tready) out_user_q <= m_axis_tuser;
  end
  // A row's word is the same for all its beats.
  m_row : assume property (@(posedge clk_i) disable iff (off)
      !(valid_i && in_row_q) || side_i[6:0] == in_user_q);

  // From the pins back: each beat has the tuser of the one before it, unless that is a row's last.
  logic       linked, row;
  logic [6:0] user;
  always_comb begin
    {row, user} = {out_row_q, out_user_q};
    linked      = 1'b1;
    for (int s = Out; s > 0; s--) begin
      if (beat_q[s]) begin
        if (row && beat_side_q[s][6:0] != user) linked = 1'b0;
        {row, user} = {!beat_side_q[s][7], beat_side_q[s][6:0]};
      end
    end
    if (row != in_row_q || (row && user != in_user_q)) linked = 1'b0;
  end

  // A beat that comes into an empty pass, clocks ago.
  logic [Out:1] alone_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) alone_q <= '0;
    else alone_q <= Out'({alone_q, valid_i && beat_q == '0});
  end

  a_drains : assert property (@(posedge clk_i) disable iff (off)
      advance == (!m_axis_tvalid || m_axis_tready));
  a_valid : assert property (@(posedge clk_i) disable iff (off) m_axis_tvalid == beat_q[Out]);
  a_side : assert property (@(posedge clk_i) disable iff (off)
      !m_axis_tvalid || {m_axis_tlast, m_axis_tuser} == beat_side_q[Out]);
  a_keep : assert property (@(posedge clk_i) disable iff (off)
      !m_axis_tvalid || m_axis_tkeep == beat_keep_q[Out]);
  a_user_constant : assert property (@(posedge clk_i) disable iff (off)
      !(m_axis_tvalid && out_row_q) || m_axis_tuser == out_user_q);
  a_comes : assert property (@(posedge clk_i) disable iff (off) !alone_q[Out] || m_axis_tvalid);

  i_linked : assert property (@(posedge clk_i) disable iff (off) linked);
  i_valid : assert property (@(posedge clk_i) disable iff (off) valid_q == beat_q[STAGES:1]);
  for (genvar s = 1; s <= STAGES; s++) begin : gen_stage
    i_side : assert property (@(posedge clk_i) disable iff (off)
        !beat_q[s] || side_q[s] == beat_side_q[s]);
    if (s > KEEP_AT) begin : gen_keep
      i_keep : assert property (@(posedge clk_i) disable iff (off)
          !beat_q[s] || keep_q[s] == beat_keep_q[s]);
    end
  end

  // Must be refuted: a row of two beats can come out, with a flag.
  r_second : assert property (@(posedge clk_i) disable iff (off)
      !(m_axis_tvalid && out_row_q && m_axis_tlast && m_axis_tuser[5]));
endmodule

`ifdef SN_BACK_NORM  // SHIFT_REG = 0
bind sn_norm_back sn_back_checker #(
  .LANES  (LANES),
  .STAGES (3),
  .KEEP_AT(1)
) u_check (
  .side_i ({last_i, err_i, 5'd0}),
  .side_q ({u_out.gen_stage[1].q[2:0], 5'd0, u_out.gen_stage[0].q[2:0], 5'd0, s1_last, s1_err, 5'd0}),
  .keep_q ({u_out.gen_stage[1].q[LANES+3+:LANES], u_out.gen_stage[0].q[LANES+3+:LANES], keep_i}),
  .*
);
`endif
`ifdef SN_BACK_THREE_PASS
bind sn_three_pass sn_back_checker #(
  .LANES  (LANES),
  .STAGES (1),
  .KEEP_AT(1)
) u_check (
  .valid_i(p3_rd_valid),
  .side_i ({p3_rd_last, p3_rd_err_keep, p3_rd_err_len, 5'd0}),
  .keep_i (p3_sel_keep),
  .valid_q(p3_sel_valid),
  .side_q ({p3_sel_last, p3_sel_err_keep, p3_sel_err_len, 5'd0}),
  .keep_q (p3_sel_keep),
  .*
);
`endif
`ifdef SN_BACK_E2SOFTMAX
bind e2softmax sn_back_checker #(
  .LANES  (LANES),
  .STAGES (2),
  .KEEP_AT(2)
) u_check (
  .valid_i(p2_rd_valid),
  .side_i ({p2_rd_last, p2_rd_err_keep, p2_rd_err_len, p2_rd_fmt ? 5'(p2_rd_ks) : 5'd0}),
  .keep_i (p2_div_keep),
  .valid_q(p2_valid),
  .side_q ({u_user.gen_stage[1].q, u_user.gen_stage[0].q}),
  .keep_q ({p2_div_keep, p2_div_keep}),
  .*
);
`endif
