// SPDX-License-Identifier: Apache-2.0
// What a Transformer block needs beside its matrix products, as an example: from and to int32 sums.
//
//   int32 scores, a scale a row --> e2softmax (IN_W 32, SCALE) --> 8-bit probabilities
//
//   int32 sums -----+
//                   +--> residual_add --> int32 --> ailayernorm (IN_W 32, EXACT_SQ) --> int8
//   int32 residual -+
//
// Nothing is requantised on the way, and masks go all of it: score_axis_tstrb keeps keys out of the
// softmax, sum_axis_tstrb and res_axis_tstrb channels out of the statistics. Handshakes are those of
// docs/stream.md; the two chains have nothing in common but the clock.
//
// cfg_mult_i, cfg_shift_i and cfg_fmt_i are a row's, taken with its first beat. The norm's settings and
// its channel table are a layer's: they change while no row is in the chain.
//
// Latency: that of e2softmax; two clocks of residual_add and that of ailayernorm. One beat a clock each.

module block_chain #(
  parameter  int LANES   = 8,
  parameter  int MAX_LEN = 256,
  localparam int ADDR_W  = (MAX_LEN > 1) ? $clog2(MAX_LEN) : 1,
  localparam int LEN_W   = $clog2(MAX_LEN + 1),
  localparam int EXP_W   = (MAX_LEN > 1) ? $clog2($clog2(MAX_LEN + 1)) : 1
) (
  input  logic                clk_i,
  input  logic                rst_ni,  // asynchronous assert, synchronous release

  input  logic [6:0]          cfg_mult_i,      // M - 128 of the scores' scale M * 2^-S
  input  logic [5:0]          cfg_shift_i,     // S
  input  logic                cfg_fmt_i,       // 0 linear, 1 row-scaled

  input  logic                cfg_bank_i,
  input  logic [7:0]          cfg_zp_i,
  input  logic [LEN_W-1:0]    cfg_len_i,
  input  logic [15:0]         cfg_inv_mant_i,
  input  logic [EXP_W-1:0]    cfg_inv_exp_i,
  input  logic [2:0]          cfg_gfrac_i,
  input  logic [2:0]          cfg_ofrac_i,
  input  logic                cfg_rms_i,
  input  logic [15:0]         cfg_qmult_i,
  input  logic [5:0]          cfg_qshift_i,
  input  logic                chan_we_i,
  input  logic                chan_bank_i,
  input  logic [ADDR_W-1:0]   chan_addr_i,
  input  logic [1:0]          chan_alpha_i,
  input  logic [7:0]          chan_gamma_i,
  input  logic [7:0]          chan_beta_i,

  input  logic [32*LANES-1:0] score_axis_tdata,
  input  logic [LANES-1:0]    score_axis_tkeep,
  input  logic [LANES-1:0]    score_axis_tstrb,
  input  logic                score_axis_tlast,
  input  logic                score_axis_tvalid,
  output logic                score_axis_tready,
  output logic [8*LANES-1:0]  prob_axis_tdata,
  output logic [LANES-1:0]    prob_axis_tkeep,
  output logic                prob_axis_tlast,
  output logic [6:0]          prob_axis_tuser,
  output logic                prob_axis_tvalid,
  input  logic                prob_axis_tready,

  input  logic [32*LANES-1:0] sum_axis_tdata,
  input  logic [LANES-1:0]    sum_axis_tkeep,
  input  logic [LANES-1:0]    sum_axis_tstrb,
  input  logic                sum_axis_tlast,
  input  logic                sum_axis_tvalid,
  output logic                sum_axis_tready,
  input  logic [32*LANES-1:0] res_axis_tdata,
  input  logic [LANES-1:0]    res_axis_tkeep,
  input  logic [LANES-1:0]    res_axis_tstrb,
  input  logic                res_axis_tlast,
  input  logic                res_axis_tvalid,
  output logic                res_axis_tready,
  output logic [8*LANES-1:0]  norm_axis_tdata,
  output logic [LANES-1:0]    norm_axis_tkeep,
  output logic                norm_axis_tlast,
  output logic [6:0]          norm_axis_tuser,
  output logic                norm_axis_tvalid,
  input  logic                norm_axis_tready,

  output logic [2:0]          err_len_o,   // of norm, adder, softmax; one clock, as in each
  output logic [2:0]          err_keep_o
);
  logic [32*LANES-1:0] add_axis_tdata;
  logic [LANES-1:0]    add_axis_tkeep, add_axis_tstrb;
  logic                add_axis_tlast, add_axis_tvalid, add_axis_tready;
  logic [6:0]          add_axis_tuser;
  logic                imprecise;

  e2softmax #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN),
    .IN_W   (32),
    .SCALE  (1)
  ) u_softmax (
    .clk_i,
    .rst_ni,
    .cfg_frac_i     (3'd0),
    .cfg_fmt_i,
    .cfg_mult_i,
    .cfg_shift_i,
    .cfg_s7_i       (1'b0),
    .cfg_carry_max_i(32'd0),
    .cfg_carry_sum_i(32'd0),
    .s_axis_tdata   (score_axis_tdata),
    .s_axis_tkeep   (score_axis_tkeep),
    .s_axis_tstrb   (score_axis_tstrb),
    .s_axis_tlast   (score_axis_tlast),
    .s_axis_tvalid  (score_axis_tvalid),
    .s_axis_tready  (score_axis_tready),
    .m_axis_tdata   (prob_axis_tdata),
    .m_axis_tkeep   (prob_axis_tkeep),
    .m_axis_tlast   (prob_axis_tlast),
    .m_axis_tuser   (prob_axis_tuser),
    .m_axis_tvalid  (prob_axis_tvalid),
    .m_axis_tready  (prob_axis_tready),
    .err_len_o      (err_len_o[0]),
    .err_keep_o     (err_keep_o[0])
  );

  residual_add #(
    .LANES(LANES),
    .IN_W (32)
  ) u_add (
    .clk_i,
    .rst_ni,
    .s_axis_tdata (sum_axis_tdata),
    .s_axis_tkeep (sum_axis_tkeep),
    .s_axis_tstrb (sum_axis_tstrb),
    .s_axis_tlast (sum_axis_tlast),
    .s_axis_tvalid(sum_axis_tvalid),
    .s_axis_tready(sum_axis_tready),
    .r_axis_tdata (res_axis_tdata),
    .r_axis_tkeep (res_axis_tkeep),
    .r_axis_tstrb (res_axis_tstrb),
    .r_axis_tlast (res_axis_tlast),
    .r_axis_tvalid(res_axis_tvalid),
    .r_axis_tready(res_axis_tready),
    .m_axis_tdata (add_axis_tdata),
    .m_axis_tkeep (add_axis_tkeep),
    .m_axis_tstrb (add_axis_tstrb),
    .m_axis_tlast (add_axis_tlast),
    .m_axis_tuser (add_axis_tuser),
    .m_axis_tvalid(add_axis_tvalid),
    .m_axis_tready(add_axis_tready),
    .err_len_o    (err_len_o[1]),
    .err_keep_o   (err_keep_o[1])
  );

  ailayernorm #(
    .LANES   (LANES),
    .MAX_LEN (MAX_LEN),
    .IN_W    (32),
    .EXACT_SQ(1)
  ) u_norm (
    .clk_i,
    .rst_ni,
    .cfg_bank_i,
    .cfg_zp_i,
    .cfg_len_i,
    .cfg_inv_mant_i,
    .cfg_inv_exp_i,
    .cfg_gfrac_i,
    .cfg_ofrac_i,
    .cfg_rms_i,
    .cfg_qmult_i,
    .cfg_qshift_i,
    .cfg_eps_i      (16'd0),
    .chan_we_i,
    .chan_bank_i,
    .chan_addr_i,
    .chan_alpha_i,
    .chan_gamma_i,
    .chan_beta_i,
    .s_axis_tdata   (add_axis_tdata),
    .s_axis_tkeep   (add_axis_tkeep),
    .s_axis_tstrb   (add_axis_tstrb),
    .s_axis_tlast   (add_axis_tlast),
    .s_axis_tvalid  (add_axis_tvalid),
    .s_axis_tready  (add_axis_tready),
    .m_axis_tdata   (norm_axis_tdata),
    .m_axis_tkeep   (norm_axis_tkeep),
    .m_axis_tlast   (norm_axis_tlast),
    .m_axis_tuser   (norm_axis_tuser),
    .m_axis_tvalid  (norm_axis_tvalid),
    .m_axis_tready  (norm_axis_tready),
    .err_len_o      (err_len_o[2]),
    .err_keep_o     (err_keep_o[2]),
    .err_imprecise_o(imprecise)
  );

  // What the adder finds is told by err_keep_o; nobody takes its tuser on.
  logic unused;
  assign unused = ^{add_axis_tuser, imprecise};
endmodule
