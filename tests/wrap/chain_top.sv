// SPDX-License-Identifier: Apache-2.0
// block_chain for cocotbext-axi, whose streams have no tstrb: a lane has a bit more, that it counts.

module chain_top #(
  parameter  int LANES   = 4,
  parameter  int MAX_LEN = 32,
  localparam int ADDR_W  = $clog2(MAX_LEN),
  localparam int LEN_W   = $clog2(MAX_LEN + 1),
  localparam int EXP_W   = $clog2($clog2(MAX_LEN + 1))
) (
  input  logic                clk,
  input  logic                rst_n,
  input  logic                cfg_bank,
  input  logic [7:0]          cfg_zp,
  input  logic [LEN_W-1:0]    cfg_len,
  input  logic [15:0]         cfg_inv_mant,
  input  logic [EXP_W-1:0]    cfg_inv_exp,
  input  logic [2:0]          cfg_gfrac,
  input  logic [2:0]          cfg_ofrac,
  input  logic                cfg_rms,
  input  logic [15:0]         cfg_qmult,
  input  logic [5:0]          cfg_qshift,
  input  logic                chan_we,
  input  logic                chan_bank,
  input  logic [ADDR_W-1:0]   chan_addr,
  input  logic [1:0]          chan_alpha,
  input  logic [7:0]          chan_gamma,
  input  logic [7:0]          chan_beta,
  input  logic [33*LANES-1:0] score_axis_tdata,  // a lane: {counts, int32}
  input  logic [LANES-1:0]    score_axis_tkeep,
  input  logic [13:0]         score_axis_tuser,  // {fmt, shift, mult}
  input  logic                score_axis_tlast,
  input  logic                score_axis_tvalid,
  output logic                score_axis_tready,
  output logic [8*LANES-1:0]  prob_axis_tdata,
  output logic [LANES-1:0]    prob_axis_tkeep,
  output logic                prob_axis_tlast,
  output logic [6:0]          prob_axis_tuser,
  output logic                prob_axis_tvalid,
  input  logic                prob_axis_tready,
  input  logic [33*LANES-1:0] sum_axis_tdata,
  input  logic [LANES-1:0]    sum_axis_tkeep,
  input  logic                sum_axis_tlast,
  input  logic                sum_axis_tvalid,
  output logic                sum_axis_tready,
  input  logic [33*LANES-1:0] res_axis_tdata,
  input  logic [LANES-1:0]    res_axis_tkeep,
  input  logic                res_axis_tlast,
  input  logic                res_axis_tvalid,
  output logic                res_axis_tready,
  output logic [8*LANES-1:0]  norm_axis_tdata,
  output logic [LANES-1:0]    norm_axis_tkeep,
  output logic                norm_axis_tlast,
  output logic [6:0]          norm_axis_tuser,
  output logic                norm_axis_tvalid,
  input  logic                norm_axis_tready
);
  logic [2:0][32*LANES-1:0] x;
  logic [2:0][LANES-1:0]    counts;

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    assign {counts[0][i], x[0][32*i+:32]} = score_axis_tdata[33*i+:33];
    assign {counts[1][i], x[1][32*i+:32]} = sum_axis_tdata[33*i+:33];
    assign {counts[2][i], x[2][32*i+:32]} = res_axis_tdata[33*i+:33];
  end

  block_chain #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN)
  ) u_dut (
    .clk_i(clk), .rst_ni(rst_n),
    .cfg_mult_i(score_axis_tuser[6:0]), .cfg_shift_i(score_axis_tuser[12:7]),
    .cfg_fmt_i(score_axis_tuser[13]),
    .cfg_bank_i(cfg_bank), .cfg_zp_i(cfg_zp), .cfg_len_i(cfg_len), .cfg_inv_mant_i(cfg_inv_mant),
    .cfg_inv_exp_i(cfg_inv_exp), .cfg_gfrac_i(cfg_gfrac), .cfg_ofrac_i(cfg_ofrac),
    .cfg_rms_i(cfg_rms), .cfg_qmult_i(cfg_qmult), .cfg_qshift_i(cfg_qshift),
    .chan_we_i(chan_we), .chan_bank_i(chan_bank), .chan_addr_i(chan_addr),
    .chan_alpha_i(chan_alpha), .chan_gamma_i(chan_gamma), .chan_beta_i(chan_beta),
    .score_axis_tdata(x[0]), .score_axis_tkeep, .score_axis_tstrb(counts[0]), .score_axis_tlast,
    .score_axis_tvalid, .score_axis_tready,
    .prob_axis_tdata, .prob_axis_tkeep, .prob_axis_tlast, .prob_axis_tuser, .prob_axis_tvalid,
    .prob_axis_tready,
    .sum_axis_tdata(x[1]), .sum_axis_tkeep, .sum_axis_tstrb(counts[1]), .sum_axis_tlast,
    .sum_axis_tvalid, .sum_axis_tready,
    .res_axis_tdata(x[2]), .res_axis_tkeep, .res_axis_tstrb(counts[2]), .res_axis_tlast,
    .res_axis_tvalid, .res_axis_tready,
    .norm_axis_tdata, .norm_axis_tkeep, .norm_axis_tlast, .norm_axis_tuser, .norm_axis_tvalid,
    .norm_axis_tready,
    .err_len_o(), .err_keep_o()
  );
endmodule
