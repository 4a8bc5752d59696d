// SPDX-License-Identifier: Apache-2.0
// AILayerNorm: LayerNorm and RMSNorm over rows of 8-bit PTF activations (SOLE, ICCAD 2023).
//
//            pass 1: LANES elements a clock, then once a row           pass 2: LANES elements a clock
//   s_axis --> row guard ----> statistics --+--> moments ------+       m_axis <--[reg]-- affine
//                              sum, sum of  |   mean, 1/sigma  |                         ^  ^  ^
//                                ^ squares  |                  v  rsqrt, mu, sh          |  |  |
//                                |          |      [ row buffer: rows, bank ] --+--------+  |  |
//                                |          +--> [      (x - zp) << alpha     ] -|-----------+  |
//                                | alpha                                  place v gamma, beta  |
//   chan_* ------------------> [ channel table, BANKS banks ] ---------------------------------+
//
//   a = x - zp                                       x uint8, real value scale * 2^alpha * a
//   Ex  = sum of a << alpha                          12 + clog2(MAX_LEN) bits
//   Ex2 = sum of (y*y << 4s) << 2 alpha              y: 4 bits of |a| (DynamicCompress), s: its range
//         EXACT_SQ = 1: sum of a*a << 2 alpha
//   mean = Ex / n,  var = max(Ex2 / n - mean^2, 1)   1/n as a 16-bit mantissa and a shift
//   out = sat(rnd(A * ((a << alpha << 2) - mu) / 2^sh) + beta),  A = rnd(gamma * RSQRT / 2^8)
//   cfg_rms_i = 1: mean = 0, which is RMSNorm        out int8, real value out * 2^-ofrac
//
// Contract: docs/stream.md. Beside it, cfg_len_i is the row's number of unmasked elements, n, and
// cfg_inv_mant_i = round(2^(15 + Lz) / n), cfg_inv_exp_i = Lz = floor(log2 n) its reciprocal. A row of
// another number sets err_len in tuser and pulses err_len_o. tuser's exponent is 0.
//
// Off by default, and then the ports are ignored, the outputs 0 and the cells those of before:
//   IN_W = 16, 32  x is made here of wide inputs: sat(rnd(v * Q / 2^(qshift + alpha)) + zp, 0, 255)
//   EPS = 1        var = min(max(Ex2 / n - mean^2 + eps, 1), 2^30 - 1)
//   IMPRECISE = 1  a flag on top of tuser, and err_imprecise_o: mean^2 > 4 max(Ex2 / n - mean^2, 1), where
//                  4-bit squares may be wrong by as much as the variance; never with EXACT_SQ = 1
//   EXACT_SQ = 1   exact squares, in the place of DynamicCompress; CMP_RANGES has no effect
//   A_BITS = 8     A of 8 bits: rnd(RSQRT / 4) in the place of RSQRT, and sh is 2 less
//
// Throughput: one beat a clock for ever, rows of any length, when neither side stalls.
// Latency: from the transfer of a row's last beat to that of its first output beat
//   LATENCY = 14 + T clocks, T = floor(clog2(LANES) / 3): 14 to LANES 4, 15 to LANES 32, 16 with 64.
//   IN_W = 16: three clocks more, here and of err_len_o and err_imprecise_o; IN_W = 32: five, and of
//   err_len_o four.
//   A clock less without the register at a port (IN_REG = 0, OUT_REG = 0), and pulses of err_len_o and
//   err_imprecise_o that wait for a row's sums without the first of them.
// Errors: err_keep_o is high 1 clock after the transfer of its beat; err_len_o comes
//   ERR_LEN = 4 + T clocks after that of the first beat beyond MAX_LEN, or of the last beat of a row that
//   has another number of unmasked elements than cfg_len_i; err_imprecise_o is high for one clock
//   ERR_IMPRECISE = 7 + T clocks after that of a row's last beat.
// Storage: between the passes a ring of ceil(MAX_LEN/LANES) + 10 + T beats of 12 LANES bits (steps, which
//   also tell what is masked or absent) and 2 bits (bank, and which is the last), and as many rows of 31
//   bits, 32 with IMPRECISE = 1, 2 less with A_BITS = 8; the channel table of BANKS ceil(MAX_LEN/LANES)
//   words of 2 LANES bits, and as many of 8 LANES, twice. IN_W = 16: three beats and rows more; 32: five.
//
// s_axis_tready is a flip-flop. m_axis_tready enables the registers of pass 2 and goes no further.

module ailayernorm #(
  parameter  int LANES      = 32,    // 1, 2, 4, 8, 16, 32, 64: elements a beat
  parameter  int MAX_LEN    = 1024,  // LANES .. 65536: elements a row; longer rows are cut there
  parameter  int CMP_RANGES = 2,     // 2 (paper) or 3: ranges of DynamicCompress
  parameter  int IN_W       = 8,     // 8, 16, 32: bits of an input; above 8 it is signed, and no PTF byte
  parameter  int EPS        = 0,     // 1: cfg_eps_i is added to the variance
  parameter  int IMPRECISE  = 0,     // 1: a flag for rows whose mean is too large for DynamicCompress
  parameter  int EXACT_SQ   = 0,     // 1: exact squares, in the place of DynamicCompress
  parameter  int A_BITS     = 10,    // 10, 8: bits of gamma / sigma
  parameter  int IN_REG     = 1,     // 0: no register behind the s_axis pins, and a clock less
  parameter  int OUT_REG    = 1,     // 0: none in front of the m_axis pins, and a clock less
  parameter  int BANKS      = 2,     // 1: one bank of channels; *_bank_i are ignored
  localparam int ADDR_W     = (MAX_LEN > 1) ? $clog2(MAX_LEN) : 1,
  localparam int LEN_W      = $clog2(MAX_LEN + 1),
  localparam int EXP_W      = (MAX_LEN > 1) ? $clog2($clog2(MAX_LEN + 1)) : 1,
  localparam int USER_W     = (IMPRECISE == 1) ? 8 : 7
) (
  input  logic               clk_i,
  input  logic               rst_ni,  // asynchronous assert, synchronous release

  input  logic               cfg_bank_i,      // of the channel table
  input  logic [7:0]         cfg_zp_i,        // the input that stands for 0
  input  logic [LEN_W-1:0]   cfg_len_i,       // n: unmasked elements of the row
  input  logic [15:0]        cfg_inv_mant_i,  // M
  input  logic [EXP_W-1:0]   cfg_inv_exp_i,   // Lz
  input  logic [2:0]         cfg_gfrac_i,     // fraction bits of gamma
  input  logic [2:0]         cfg_ofrac_i,     // fraction bits of the output
  input  logic               cfg_rms_i,       // 0 LayerNorm, 1 RMSNorm
  input  logic [15:0]        cfg_qmult_i,     // with IN_W > 8: x is rnd(v * Q / 2^(qshift + alpha)) + zp
  input  logic [5:0]         cfg_qshift_i,
  input  logic [15:0]        cfg_eps_i,       // with EPS = 1; in units of 1/256 of a step squared

  input  logic               chan_we_i,
  input  logic               chan_bank_i,
  input  logic [ADDR_W-1:0]  chan_addr_i,   // channel, 0 .. MAX_LEN-1
  input  logic [1:0]         chan_alpha_i,  // power of two of the input's step
  input  logic [7:0]         chan_gamma_i,  // int8, gfrac fraction bits
  input  logic [7:0]         chan_beta_i,   // int8, in output steps

  input  logic [IN_W*LANES-1:0] s_axis_tdata,
  input  logic [LANES-1:0]   s_axis_tkeep,
  input  logic [LANES-1:0]   s_axis_tstrb,
  input  logic               s_axis_tlast,
  input  logic               s_axis_tvalid,
  output logic               s_axis_tready,

  output logic [8*LANES-1:0] m_axis_tdata,
  output logic [LANES-1:0]   m_axis_tkeep,
  output logic               m_axis_tlast,
  output logic [USER_W-1:0]  m_axis_tuser,
  output logic               m_axis_tvalid,
  input  logic               m_axis_tready,

  output logic               err_len_o,       // one clock: a row longer than MAX_LEN, or not of cfg_len_i
  output logic               err_keep_o,      // one clock: a beat with a tkeep that is not allowed
  output logic               err_imprecise_o  // one clock: a row with the flag of IMPRECISE = 1
);
  // Icarus has no elaboration-time $error: a missing module stops every tool, and its name tells.
  if (LANES < 1 || LANES > 64 || (LANES & (LANES - 1)) != 0) begin : gen_check_lanes
    ailayernorm_error_LANES_must_be_1_2_4_8_16_32_or_64 u_stop ();
  end
  if (MAX_LEN < LANES || MAX_LEN > 65536) begin : gen_check_max_len
    ailayernorm_error_MAX_LEN_must_be_from_LANES_to_65536 u_stop ();
  end
  if (CMP_RANGES < 2 || CMP_RANGES > 3) begin : gen_check_cmp_ranges
    ailayernorm_error_CMP_RANGES_must_be_2_or_3 u_stop ();
  end
  if (IN_W != 8 && IN_W != 16 && IN_W != 32) begin : gen_check_in_w
    ailayernorm_error_IN_W_must_be_8_16_or_32 u_stop ();
  end
  if (EPS < 0 || EPS > 1) begin : gen_check_eps
    ailayernorm_error_EPS_must_be_0_or_1 u_stop ();
  end
  if (IMPRECISE < 0 || IMPRECISE > 1) begin : gen_check_imprecise
    ailayernorm_error_IMPRECISE_must_be_0_or_1 u_stop ();
  end
  if (EXACT_SQ < 0 || EXACT_SQ > 1) begin : gen_check_exact_sq
    ailayernorm_error_EXACT_SQ_must_be_0_or_1 u_stop ();
  end
  if (A_BITS != 8 && A_BITS != 10) begin : gen_check_a_bits
    ailayernorm_error_A_BITS_must_be_8_or_10 u_stop ();
  end
  if (IN_REG < 0 || IN_REG > 1) begin : gen_check_in_reg
    ailayernorm_error_IN_REG_must_be_0_or_1 u_stop ();
  end
  if (OUT_REG < 0 || OUT_REG > 1) begin : gen_check_out_reg
    ailayernorm_error_OUT_REG_must_be_0_or_1 u_stop ();
  end
  if (BANKS < 1 || BANKS > 2) begin : gen_check_banks
    ailayernorm_error_BANKS_must_be_1_or_2 u_stop ();
  end

  localparam int MaxBeats = (MAX_LEN + LANES - 1) / LANES;
  localparam int IndexW   = (MaxBeats > 1) ? $clog2(MaxBeats) : 1;
  localparam int LenLog   = $clog2(MAX_LEN);
  localparam int SumW     = 12 + LenLog;
  localparam int Ranges   = (EXACT_SQ == 1) ? 3 : CMP_RANGES;  // of three the squares count ones, too
  localparam int MaskLate = (IN_W == 8 && IN_REG == 0) ? 1 : 0;
  localparam int Flag     = (EXACT_SQ == 1) ? 0 : IMPRECISE;  // nothing is imprecise with exact squares
  localparam int SquareW  = ((Ranges == 2) ? 18 : 22) + LenLog;
  localparam int PlaceW   = $clog2($clog2(MAX_LEN + 1) + 1);  // of Lz + 1
  localparam int StepW    = 12;
  localparam int DevW     = 15;  // of a step less mu, and of mu
  localparam int RsqrtW   = A_BITS;
  localparam int ShW      = 5;
  localparam int ErrW     = USER_W - 5;  // {imprecise where there is one, err_keep, err_len}

  // Stages of pass 1: p1_valid[s] tells that stage s holds a beat. Stage 0 is the guard's register.
  localparam int Tree       = $clog2(LANES) / 3;
  localparam int Prod       = IN_W / 16;           // of the product that makes bytes of wide inputs
  localparam int Wide       = (IN_W > 8) ? Prod + 2 : 0;  // of the bytes
  localparam int StSum      = Wide + Tree + 2;     // sums over the row
  localparam int RowProd    = (IN_W > 16) ? 2 : 1;  // of the products of a row's sums
  localparam int Moments    = 4 + RowProd;
  localparam int StRow      = StSum + Moments;  // the row is closed from here
  localparam int Turnaround = StRow + 1 + IN_REG;  // + accept, + the row buffer's count of closed beats

  // ---------------------------------------------------------------------------------- stage 0: guard
  localparam int ZpW   = 8;
  localparam int MantW = 16;
  localparam int FracW = 3;
  localparam int RunW  = LEN_W + MantW + EXP_W + FracW + FracW + 1;
  localparam int BaseW = 1 + ZpW + RunW;  // settings of every build
  localparam int EpsW  = (EPS == 1) ? 16 : 0;
  localparam int CfgW  = BaseW + EpsW + ((IN_W > 8) ? 22 : 0);
  typedef struct packed {  // settings that the row's sums need
    logic [LEN_W-1:0] len;
    logic [MantW-1:0] inv_mant;
    logic [EXP_W-1:0] inv_exp;
    logic [FracW-1:0] gfrac;
    logic [FracW-1:0] ofrac;
    logic             rms;
  } run_t;
  run_t p1_s0_run, p1_sum_run;

  // What every beat carries along pass 1.
  typedef struct packed {
    logic err_keep;  // the row's flags so far
    logic err_len;
    logic first;     // first beat of its row
    logic store;     // has a place in the row buffer
    logic close;     // the row is complete
  } ctl_t;
  ctl_t p1_s0_ctl, p1_s1_ctl, p1_beat_ctl, p1_sum_ctl;
  localparam int CtlW = 5;  // flags of ctl_t: not every tool takes $bits of a type here

  logic                  take, p1_s0_last, p1_s0_bank, guard_err_len;
  logic [ZpW-1:0]        p1_s0_zp;
  logic [CfgW-1:0]       cfg, p1_s0_cfg;
  logic [LANES-1:0][IN_W-1:0] p1_s0_x;
  logic [LANES-1:0]      p1_s0_keep, p1_s0_active;
  logic [StSum:0]        p1_valid;
  logic [StSum-1:0]      p1_valid_q;
  logic                  p1_s0_valid;

  // A feature that is off has no bits here.
  assign cfg = CfgW'((CfgW + 22)'({cfg_qshift_i, cfg_qmult_i}) << (BaseW + EpsW)) |
               CfgW'((BaseW + EpsW)'({cfg_eps_i, cfg_bank_i, cfg_zp_i, cfg_len_i, cfg_inv_mant_i,
                                      cfg_inv_exp_i, cfg_gfrac_i, cfg_ofrac_i, cfg_rms_i}));
  assign {p1_s0_bank, p1_s0_zp, p1_s0_run} = p1_s0_cfg[BaseW-1:0];

  sn_row_guard #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN),
    .LANE_W (IN_W),
    .CFG_W  (CfgW),
    .REG    (IN_REG)
  ) u_guard (
    .clk_i,
    .rst_ni,
    .s_axis_tdata,
    .s_axis_tkeep,
    .s_axis_tstrb,
    .s_axis_tlast,
    .s_axis_tvalid,
    .s_axis_tready,
    .cfg_i         (cfg),
    .take_o        (take),
    .valid_o       (p1_s0_valid),
    .store_o       (p1_s0_ctl.store),
    .first_o       (p1_s0_ctl.first),
    .stored_last_o (p1_s0_last),
    .close_o       (p1_s0_ctl.close),
    .data_o        (p1_s0_x),
    .keep_o        (p1_s0_keep),
    .active_o      (p1_s0_active),
    .cfg_o         (p1_s0_cfg),
    .row_err_len_o (p1_s0_ctl.err_len),
    .row_err_keep_o(p1_s0_ctl.err_keep),
    .err_len_o     (guard_err_len),
    .err_keep_o
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) p1_valid_q <= '0;
    else p1_valid_q <= p1_valid[StSum-1:0];
  end
  assign p1_valid = {p1_valid_q, p1_s0_valid};

  // --------------------------------------------------------------------- stages to Wide: bytes of wide inputs
  logic [IndexW-1:0]     p1_s0_index, p1_s0_index_q;
  logic [LANES-1:0][1:0] p1_rd_alpha, p1_s1_alpha;  // as read, a clock behind stage 0; a clock behind p1_x
  ctl_t                  p1_x_ctl;
  logic                  p1_x_bank, p1_x_last;
  logic [ZpW-1:0]        p1_x_zp;
  logic [LANES-1:0][7:0] p1_x;
  logic [LANES-1:0]      p1_x_keep, p1_x_active;

  assign p1_s0_index = p1_s0_ctl.first ? '0 : p1_s0_index_q;
  always_ff @(posedge clk_i) begin
    if (p1_s0_valid) p1_s0_index_q <= p1_s0_index + IndexW'(1);
  end

  sn_channel_column #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN),
    .W      (2),
    .BANKS  (BANKS)
  ) u_alpha (
    .clk_i,
    .wr_en_i  (chan_we_i),
    .wr_bank_i(chan_bank_i),
    .wr_chan_i(chan_addr_i),
    .wr_data_i(chan_alpha_i),
    .rd_en_i  (p1_s0_valid),
    .rd_bank_i(p1_s0_bank),
    .rd_beat_i(p1_s0_index),
    .rd_data_o(p1_rd_alpha)
  );

  if (IN_W == 8) begin : gen_bytes
    if (IN_REG == 1) begin : gen_masked
      assign p1_x = p1_s0_x;
    end else begin : gen_early
      // The statistics mask them a clock later: no position in the row is in front of them.
      assign p1_x = s_axis_tdata;
      logic unused_x;
      assign unused_x = ^p1_s0_x;
    end
    assign p1_x_ctl    = p1_s0_ctl;
    assign p1_x_bank   = p1_s0_bank;
    assign p1_x_last   = p1_s0_last;
    assign p1_x_zp     = p1_s0_zp;
    assign p1_x_keep   = p1_s0_keep;
    assign p1_x_active = p1_s0_active;
    assign p1_s1_alpha = p1_rd_alpha;

    logic unused_scale;
    assign unused_scale = ^{cfg_qmult_i, cfg_qshift_i};
  end else begin : gen_wide
    logic [15:0]           qmult;
    logic [5:0]            qshift, qshift_late;
    logic [ZpW-1:0]        zp_late, zp_late_q;
    logic [LANES-1:0][1:0] alpha_late;

    assign {qshift, qmult} = p1_s0_cfg[CfgW-1-:22];

    sn_pipe #(
      .W     (6 + ZpW),
      .STAGES(Prod)
    ) u_scale (
      .clk_i,
      .en_i  (1'b1),
      .data_i({qshift, p1_s0_zp}),
      .data_o({qshift_late, zp_late})
    );
    always_ff @(posedge clk_i) zp_late_q <= zp_late;

    ailayernorm_quantise #(
      .IN_W (IN_W),
      .LANES(LANES)
    ) u_quantise (
      .clk_i,
      .v_i     (p1_s0_x),
      .qmult_i (qmult),
      .qshift_i(qshift_late),
      .alpha_i (alpha_late),
      .zp_i    (zp_late_q),
      .x_o     (p1_x)
    );

    sn_pipe #(
      .W     (CtlW + 2 + ZpW + 2 * LANES),
      .STAGES(Wide)
    ) u_beside (
      .clk_i,
      .en_i  (1'b1),
      .data_i({p1_s0_ctl, p1_s0_bank, p1_s0_last, p1_s0_zp, p1_s0_keep, p1_s0_active}),
      .data_o({p1_x_ctl, p1_x_bank, p1_x_last, p1_x_zp, p1_x_keep, p1_x_active})
    );

    sn_pipe #(
      .W     (2 * LANES),
      .STAGES(Prod - 1)
    ) u_alpha_late (
      .clk_i,
      .en_i  (1'b1),
      .data_i(p1_rd_alpha),
      .data_o(alpha_late)
    );

    sn_pipe #(
      .W     (2 * LANES),
      .STAGES(3)
    ) u_alpha_step (
      .clk_i,
      .en_i  (1'b1),
      .data_i(alpha_late),
      .data_o(p1_s1_alpha)
    );
  end

  // ------------------------------------------------------------------ stages from Wide to StSum: statistics
  logic [LANES-1:0][StepW-1:0] p1_s1_step;
  logic [LANES-1:0]            p1_s1_keep, p1_s1_active;
  logic                        p1_s1_bank, p1_s1_last;
  logic signed [SumW-1:0]      p1_sum;
  logic [SquareW-1:0]          p1_square_sum;
  logic [LEN_W-1:0]            p1_count;

  ailayernorm_statistics #(
    .LANES     (LANES),
    .SUM_W     (SumW),
    .SQUARE_W  (SquareW),
    .COUNT_W   (LEN_W),
    .CMP_RANGES(CMP_RANGES),
    .EXACT_SQ  (EXACT_SQ),
    .MASK_LATE (MaskLate)
  ) u_statistics (
    .clk_i,
    .load_i      (p1_valid[StSum-1]),
    .x_i         (p1_x),
    .active_i    (p1_x_active),
    .zp_i        (p1_x_zp),
    .alpha_i     (p1_s1_alpha),
    .first_i     (p1_beat_ctl.first),
    .step_o      (p1_s1_step),
    .sum_o       (p1_sum),
    .square_sum_o(p1_square_sum),
    .count_o     (p1_count)
  );

  always_ff @(posedge clk_i) begin
    p1_s1_ctl    <= p1_x_ctl;
    p1_s1_bank   <= p1_x_bank;
    p1_s1_last   <= p1_x_last;
    p1_s1_keep   <= p1_x_keep;
    p1_s1_active <= p1_x_active;
    p1_sum_ctl   <= p1_beat_ctl;
  end

  sn_pipe #(
    .W     (CtlW),
    .STAGES(Tree)
  ) u_beat_ctl (
    .clk_i,
    .en_i  (1'b1),
    .data_i(p1_s1_ctl),
    .data_o(p1_beat_ctl)
  );

  // The guard's settings are those of the next row by the time that the sums are there.
  sn_pipe #(
    .W     (RunW),
    .STAGES(StSum)
  ) u_sum_run (
    .clk_i,
    .en_i  (1'b1),
    .data_i(p1_s0_run),
    .data_o(p1_sum_run)
  );

  logic [15:0] p1_sum_eps;
  if (EPS == 1) begin : gen_eps
    sn_pipe #(
      .W     (16),
      .STAGES(StSum)
    ) u_sum_eps (
      .clk_i,
      .en_i  (1'b1),
      .data_i(p1_s0_cfg[BaseW+:16]),
      .data_o(p1_sum_eps)
    );
  end else begin : gen_no_eps
    assign p1_sum_eps = '0;
    logic unused_eps;
    assign unused_eps = ^cfg_eps_i;
  end

  // ----------------------------------------------------------------------------- the row's own errors
  logic p1_wrong_len;
  assign p1_wrong_len = p1_count != p1_sum_run.len;

  // Both causes of err_len_o come from one beat at a time. The guard's is held up until the sums of
  // that beat are there, so that no two rows meet in one clock.
  localparam int StErr = StSum - 1 + IN_REG;  // the guard's has a register of its own
  logic [StSum:0]   p1_err_len;
  logic [StSum-1:0] p1_err_len_q;
  assign p1_err_len = {p1_err_len_q, guard_err_len};
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      p1_err_len_q <= '0;
      err_len_o    <= 1'b0;
    end else begin
      p1_err_len_q <= p1_err_len[StSum-1:0];
      err_len_o    <= p1_err_len[StErr] ||
                      (p1_valid[StSum] && p1_sum_ctl.close && !p1_sum_ctl.err_len && p1_wrong_len);
    end
  end

  // --------------------------------------------------------------------- stages to StRow: once a row
  logic [Moments:0]       p1_closing;  // [s]: s stages behind StSum a row becomes complete
  logic [Moments:0]       p1_storing;  // ... a beat has a place in the row buffer
  logic [Moments-1:0]     p1_closing_q, p1_storing_q;
  logic signed [DevW-1:0] p1_row_mu;
  logic [RsqrtW-1:0]      p1_row_rsqrt;  // 513, 128 or more: the top bit is set
  logic [ShW-1:0]         p1_row_sh;
  logic [ErrW-1:0]        p1_row_err;
  logic [1:0]             p1_row_flags;  // without what is imprecise
  logic                   p1_imprecise;  // of the row that is complete four clocks later

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      p1_closing_q <= '0;
      p1_storing_q <= '0;
    end else begin
      p1_closing_q <= p1_closing[Moments-1:0];
      p1_storing_q <= p1_storing[Moments-1:0];
    end
  end
  assign p1_closing = {p1_closing_q, p1_valid[StSum] && p1_sum_ctl.close};
  assign p1_storing = {p1_storing_q, p1_valid[StSum] && p1_sum_ctl.store};

  ailayernorm_moments #(
    .SUM_W     (SumW),
    .SQUARE_W  (SquareW),
    .EXP_W     (EXP_W),
    .PLACE_W   (PlaceW),
    .CMP_RANGES(Ranges),
    .EPS       (EPS),
    .IMPRECISE (Flag),
    .A_BITS    (A_BITS),
    .PROD      (RowProd)
  ) u_moments (
    .clk_i,
    .load_i      (p1_closing[0]),
    .sum_i       (p1_sum),
    .square_sum_i(p1_square_sum),
    .inv_mant_i  (p1_sum_run.inv_mant),
    .inv_exp_i   (p1_sum_run.inv_exp),
    .rms_i       (p1_sum_run.rms),
    .gfrac_i     (p1_sum_run.gfrac),
    .ofrac_i     (p1_sum_run.ofrac),
    .eps_i       (p1_sum_eps),
    .mu_o        (p1_row_mu),
    .rsqrt_o     (p1_row_rsqrt),
    .sh_o        (p1_row_sh),
    .imprecise_o (p1_imprecise)
  );

  sn_pipe #(
    .W     (2),
    .STAGES(Moments)
  ) u_row (
    .clk_i,
    .en_i  (1'b1),
    .data_i({p1_sum_ctl.err_keep, p1_sum_ctl.err_len || p1_wrong_len}),
    .data_o(p1_row_flags)
  );

  if (IMPRECISE == 1) begin : gen_imprecise
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) err_imprecise_o <= 1'b0;
      else err_imprecise_o <= p1_imprecise && p1_closing[Moments-2];
    end
    logic row_q;
    always_ff @(posedge clk_i) row_q <= err_imprecise_o;
    assign p1_row_err = {row_q, p1_row_flags};
  end else begin : gen_precise
    assign err_imprecise_o = 1'b0;
    assign p1_row_err      = p1_row_flags;
    logic unused_flag;
    assign unused_flag = p1_imprecise;
  end

  // -------------------------------------------------------------------------------------- row buffer
  // A lane's word is its step. No step is below -2040: where the lane is not active bits 11:3 are those
  // of -2048, and bit 0 tells a masked element from none. The lanes are read a clock after the bank, with
  // the channels that are looked up by it: no register has to hold them until those are there.
  logic                        advance, p2_s0_valid, p2_s0_bank, p2_s0_last;
  logic [LANES-1:0][StepW-1:0] p1_s1_lane, p2_s1_lane;
  logic [ErrW-1:0]             p2_s0_err;
  logic signed [DevW-1:0]      p2_s0_mu;
  logic [RsqrtW-2:0]           p2_s0_rsqrt;
  logic [ShW-1:0]              p2_s0_sh;

  for (genvar i = 0; i < LANES; i++) begin : gen_p1_lane
    assign p1_s1_lane[i] = p1_s1_active[i] ? p1_s1_step[i] : {1'b1, 10'b0, p1_s1_keep[i]};
  end

  sn_row_buffer #(
    .BEAT_W    (StepW * LANES + 1),
    .ROW_W     (ErrW + DevW + RsqrtW - 1 + ShW),
    .MAX_BEATS (MaxBeats),
    .TURNAROUND(Turnaround),
    .READ_DELAY(1),
    .FIRST_W   (1)
  ) u_row_buffer (
    .clk_i,
    .rst_ni,
    .take_i     (take),
    .ready_o    (s_axis_tready),
    .wr_en_i    (p1_valid[Wide+1] && p1_s1_ctl.store),
    .wr_beat_i  ({p1_s1_lane, p1_s1_bank}),
    .wr_last_i  (p1_s1_last),
    .done_i     (p1_storing[Moments]),
    .close_i    (p1_closing[Moments]),
    .close_row_i({p1_row_err, p1_row_mu, p1_row_rsqrt[RsqrtW-2:0], p1_row_sh}),
    .advance_i  (advance),
    .valid_o    (p2_s0_valid),
    .beat_o     ({p2_s1_lane, p2_s0_bank}),
    .last_o     (p2_s0_last),
    .row_o      ({p2_s0_err, p2_s0_mu, p2_s0_rsqrt, p2_s0_sh})
  );

  // ------------------------------------------------------------ pass 2: deviations, affine and output
  logic [LANES-1:0][7:0]      p2_s1_gamma;
  logic [LANES-1:0][DevW-1:0] p2_s1_dev;
  logic [LANES-1:0]           p2_s1_keep, p2_s1_active;
  logic signed [DevW-1:0]     p2_s1_mu;

  always_ff @(posedge clk_i) begin
    if (advance) p2_s1_mu <= p2_s0_mu;
  end

  for (genvar i = 0; i < LANES; i++) begin : gen_p2_s1
    assign p2_s1_active[i] = !p2_s1_lane[i][11] || p2_s1_lane[i][10:3] != '0;
    assign p2_s1_keep[i]   = p2_s1_active[i] || p2_s1_lane[i][0];
    assign p2_s1_dev[i]    = DevW'($signed({p2_s1_lane[i], 2'b0})) - p2_s1_mu;
  end

  sn_norm_back #(
    .LANES    (LANES),
    .MAX_LEN  (MAX_LEN),
    .FACTOR_W (8),
    .DEV_W    (DevW),
    .R_W      (RsqrtW),
    .SH_W     (ShW),
    .LEFT     (17 - RsqrtW),
    .SHIFT_REG(0),
    .ERR_W    (ErrW),
    .OUT_REG  (OUT_REG),
    .BANKS    (BANKS)
  ) u_back (
    .clk_i,
    .rst_ni,
    .chan_we_i,
    .chan_bank_i,
    .chan_addr_i,
    .chan_factor_i(chan_gamma_i),
    .chan_beta_i,
    .advance_o    (advance),
    .valid_i      (p2_s0_valid),
    .bank_i       (p2_s0_bank),
    .last_i       (p2_s0_last),
    .err_i        (p2_s0_err),
    .r_i          ({1'b1, p2_s0_rsqrt}),
    .sh_i         (p2_s0_sh),
    .factor_o     (p2_s1_gamma),
    .gamma_i      (p2_s1_gamma),
    .dev_i        (p2_s1_dev),
    .keep_i       (p2_s1_keep),
    .active_i     (p2_s1_active),
    .m_axis_tdata,
    .m_axis_tkeep,
    .m_axis_tlast,
    .m_axis_tuser,
    .m_axis_tvalid,
    .m_axis_tready
  );

  logic unused;
  assign unused = ^{p1_s1_ctl, p1_err_len[StSum], p1_sum_ctl.first, p1_row_rsqrt[RsqrtW-1]};
endmodule
