// SPDX-License-Identifier: Apache-2.0
// A design that is not softnorm's: E2Softmax and behind it REXP, on wires that this bench does not
// drive. HICCUP is a fault of the wiring: for a clock now and then tvalid does not get through.

module two_units #(
  parameter int LANES   = 4,
  parameter int MAX_LEN = 32,
  parameter bit HICCUP  = 1'b0
) (
  input  logic               clk,
  input  logic               rst_n,
  input  logic [8*LANES-1:0] in_data,
  input  logic [LANES-1:0]   in_keep,
  input  logic               in_last,
  input  logic               in_valid,
  output logic               in_ready,
  output logic [8*LANES-1:0] out_data,
  output logic               out_valid,
  input  logic               out_ready
);
  logic [8*LANES-1:0] data;
  logic [LANES-1:0]   keep, out_keep;
  logic [6:0]         user, out_user;
  logic               last, valid, ready, out_last, open;
  logic [3:0]         err;
  logic [1:0]         count;

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) count <= 2'd0;
    else        count <= count + 2'd1;
  end
  assign open = !HICCUP || count != 2'd3;

  e2softmax #(.LANES(LANES), .MAX_LEN(MAX_LEN)) u_softmax (
    .clk_i(clk), .rst_ni(rst_n), .cfg_frac_i(3'd4), .cfg_fmt_i(1'b0),
    .cfg_mult_i(7'd0), .cfg_shift_i(6'd0),
    .cfg_s7_i(1'b0), .cfg_carry_max_i(8'd0), .cfg_carry_sum_i(32'd0),
    .s_axis_tdata(in_data), .s_axis_tkeep(in_keep), .s_axis_tstrb(in_keep),
    .s_axis_tlast(in_last), .s_axis_tvalid(in_valid), .s_axis_tready(in_ready),
    .m_axis_tdata(data), .m_axis_tkeep(keep), .m_axis_tlast(last), .m_axis_tuser(user),
    .m_axis_tvalid(valid), .m_axis_tready(ready && open), .err_len_o(err[0]), .err_keep_o(err[1])
  );

  rexp #(.LANES(LANES), .MAX_LEN(MAX_LEN)) u_rexp (
    .clk_i(clk), .rst_ni(rst_n), .cfg_frac_i(3'd3),
    .s_axis_tdata(data), .s_axis_tkeep(keep), .s_axis_tstrb(keep),
    .s_axis_tlast(last), .s_axis_tvalid(valid && open), .s_axis_tready(ready),
    .m_axis_tdata(out_data), .m_axis_tkeep(out_keep), .m_axis_tlast(out_last),
    .m_axis_tuser(out_user), .m_axis_tvalid(out_valid), .m_axis_tready(out_ready),
    .err_len_o(err[2]), .err_keep_o(err[3])
  );

  logic unused;
  assign unused = &{out_keep, out_last, out_user, user, err};
endmodule
