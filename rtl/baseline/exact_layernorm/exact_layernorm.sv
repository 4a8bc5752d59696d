// SPDX-License-Identifier: Apache-2.0
// Exact LayerNorm and RMSNorm over rows of 8-bit PTF activations: the baseline of ailayernorm.
//
//            pass 1: LANES elements a clock, then once a row           pass 2: LANES elements a clock
//   s_axis --> row guard --+--> statistics --> moments ---+            m_axis <--[reg]-- affine
//                          |    sum, sum of  mean, 1/sigma|                                ^  ^
//                          |      ^ squares               v  R, mean, sh            x - zp |  |row
//                          +------|--------------> [ row buffer: x, rows ] ----------------+--+
//                                 | alpha                          alpha, gamma, beta |
//   chan_* ------------------> [ channel table, BANKS banks ] ------------------------+
//
//   v    = (x - zp) << alpha                         x uint8, real value scale * v
//   S    = sum of v,  Q = sum of v*v                 12 and 22 + clog2(MAX_LEN) bits: exact
//   mean = S / n                                     rounded to 7 fraction bits; n is counted
//   R    = n / root of (n*Q - S^2)                   16 bits; 1/sigma, normalised
//   out  = sat(rnd(A * (v - mean) / 2^sh) + beta),  A = rnd(gamma * R / 2^8)
//   cfg_rms_i = 1: mean = 0 and S = 0, which is RMSNorm      out int8, real value out * 2^-ofrac
//
// Contract: docs/stream.md. tuser's exponent is 0.
//
// Throughput: one beat a clock for ever, rows of any length, when neither side stalls.
// Latency: from the transfer of a row's last beat to that of its first output beat
//   LATENCY = 23 + T clocks, T = floor(clog2(LANES) / 3): 23 to LANES 4, 24 to LANES 32, 25 with 64.
//   A clock less without the register at a port (IN_REG = 0, OUT_REG = 0).
// Storage: between the passes a ring of ceil(MAX_LEN/LANES) + 18 + T beats of 9 LANES bits (x, and what is
//   masked or absent) and 2 bits (bank, and which is the last), and as many row entries of 51 bits; the
//   channel table of BANKS ceil(MAX_LEN/LANES) words of 10 LANES bits, as many of 8 LANES and of 2 LANES bits.
//
// s_axis_tready is a flip-flop. m_axis_tready enables the registers of pass 2 and goes no further.

module exact_layernorm #(
  parameter  int LANES   = 32,    // 1, 2, 4, 8, 16, 32, 64: elements a beat
  parameter  int MAX_LEN = 1024,  // LANES .. 65536: elements a row; longer rows are cut there
  parameter  int IN_REG  = 1,     // 0: no register behind the s_axis pins, and a clock less
  parameter  int OUT_REG = 1,     // 0: none in front of the m_axis pins, and a clock less
  parameter  int BANKS   = 2,     // 1: one bank of channels; *_bank_i are ignored
  localparam int ADDR_W  = (MAX_LEN > 1) ? $clog2(MAX_LEN) : 1,
  localparam int USER_W  = 7
) (
  input  logic               clk_i,
  input  logic               rst_ni,  // asynchronous assert, synchronous release

  input  logic               cfg_bank_i,   // of the channel table
  input  logic [7:0]         cfg_zp_i,     // the input that stands for 0
  input  logic [2:0]         cfg_gfrac_i,  // fraction bits of gamma
  input  logic [2:0]         cfg_ofrac_i,  // fraction bits of the output
  input  logic               cfg_rms_i,    // 0 LayerNorm, 1 RMSNorm

  input  logic               chan_we_i,
  input  logic               chan_bank_i,
  input  logic [ADDR_W-1:0]  chan_addr_i,   // channel, 0 .. MAX_LEN-1
  input  logic [1:0]         chan_alpha_i,  // power of two of the input's step
  input  logic [7:0]         chan_gamma_i,  // int8, gfrac fraction bits
  input  logic [7:0]         chan_beta_i,   // int8, in output steps

  input  logic [8*LANES-1:0] s_axis_tdata,
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

  output logic               err_len_o,   // one clock: a row longer than MAX_LEN
  output logic               err_keep_o   // one clock: a beat with a tkeep that is not allowed
);
  // Icarus has no elaboration-time $error: a missing module stops every tool, and its name tells.
  if (LANES < 1 || LANES > 64 || (LANES & (LANES - 1)) != 0) begin : gen_check_lanes
    exact_layernorm_error_LANES_must_be_1_2_4_8_16_32_or_64 u_stop ();
  end
  if (MAX_LEN < LANES || MAX_LEN > 65536) begin : gen_check_max_len
    exact_layernorm_error_MAX_LEN_must_be_from_LANES_to_65536 u_stop ();
  end
  if (IN_REG < 0 || IN_REG > 1) begin : gen_check_in_reg
    exact_layernorm_error_IN_REG_must_be_0_or_1 u_stop ();
  end
  if (OUT_REG < 0 || OUT_REG > 1) begin : gen_check_out_reg
    exact_layernorm_error_OUT_REG_must_be_0_or_1 u_stop ();
  end
  if (BANKS < 1 || BANKS > 2) begin : gen_check_banks
    exact_layernorm_error_BANKS_must_be_1_or_2 u_stop ();
  end

  localparam int MaxBeats = (MAX_LEN + LANES - 1) / LANES;
  localparam int IndexW   = (MaxBeats > 1) ? $clog2(MaxBeats) : 1;
  localparam int CountW   = $clog2(MAX_LEN + 1);
  localparam int SumW     = 12 + $clog2(MAX_LEN);
  localparam int SquareW  = 22 + $clog2(MAX_LEN);
  localparam int MeanW    = 19;
  localparam int DevW     = MeanW + 1;
  localparam int RW       = 16;
  localparam int ShW      = 6;
  localparam int ErrW     = 2;   // {err_keep, err_len}

  // Stages of pass 1: p1_valid[s] tells that stage s holds a beat. Stage 0 is the guard's register.
  localparam int Tree       = $clog2(LANES) / 3;
  localparam int StSum      = Tree + 4;   // sums over the row
  localparam int Moments    = 11;
  localparam int StRow      = StSum + Moments;  // the row is closed from here
  localparam int Turnaround = StRow + 1 + IN_REG;  // + accept, + the row buffer's count of closed beats

  // ---------------------------------------------------------------------------------- stage 0: guard
  localparam int ZpW   = 8;
  localparam int FracW = 3;
  localparam int RunW  = FracW + FracW + 1;
  typedef struct packed {  // settings that the row's sums need
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
  ctl_t p1_s0_ctl, p1_beat_ctl, p1_sum_ctl;
  localparam int CtlW = 5;  // flags of ctl_t: not every tool takes $bits of a type here

  logic                  take, p1_s0_valid, p1_s0_last, p1_s0_bank;
  logic [ZpW-1:0]        p1_s0_zp, p1_sum_zp;
  logic [LANES-1:0][7:0] p1_s0_x;
  logic [LANES-1:0]      p1_s0_keep, p1_s0_active;
  logic [StSum:0]        p1_valid;
  logic [StSum-1:0]      p1_valid_q;

  sn_row_guard #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN),
    .LANE_W (8),
    .CFG_W  (1 + ZpW + RunW),
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
    .cfg_i         ({cfg_bank_i, cfg_zp_i, cfg_gfrac_i, cfg_ofrac_i, cfg_rms_i}),
    .take_o        (take),
    .valid_o       (p1_s0_valid),
    .store_o       (p1_s0_ctl.store),
    .first_o       (p1_s0_ctl.first),
    .stored_last_o (p1_s0_last),
    .close_o       (p1_s0_ctl.close),
    .data_o        (p1_s0_x),
    .keep_o        (p1_s0_keep),
    .active_o      (p1_s0_active),
    .cfg_o         ({p1_s0_bank, p1_s0_zp, p1_s0_run}),
    .row_err_len_o (p1_s0_ctl.err_len),
    .row_err_keep_o(p1_s0_ctl.err_keep),
    .err_len_o,
    .err_keep_o
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) p1_valid_q <= '0;
    else p1_valid_q <= p1_valid[StSum-1:0];
  end
  assign p1_valid = {p1_valid_q, p1_s0_valid};

  // ----------------------------------------------------------------------- stages to StSum: statistics
  logic [IndexW-1:0]      p1_s0_index, p1_s0_index_q;
  logic [LANES-1:0][1:0]  p1_s1_alpha;
  logic signed [SumW-1:0] p1_sum;
  logic [SquareW-1:0]     p1_square_sum;
  logic [CountW-1:0]      p1_count;

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
    .rd_data_o(p1_s1_alpha)
  );

  exact_layernorm_statistics #(
    .LANES   (LANES),
    .SUM_W   (SumW),
    .SQUARE_W(SquareW),
    .COUNT_W (CountW)
  ) u_statistics (
    .clk_i,
    .load_i      (p1_valid[StSum-1]),
    .x_i         (p1_s0_x),
    .active_i    (p1_s0_active),
    .zp_i        (p1_s0_zp),
    .alpha_i     (p1_s1_alpha),
    .first_i     (p1_beat_ctl.first),
    .sum_o       (p1_sum),
    .square_sum_o(p1_square_sum),
    .count_o     (p1_count)
  );

  sn_pipe #(
    .W     (CtlW),
    .STAGES(StSum - 1)
  ) u_beat_ctl (
    .clk_i,
    .en_i  (1'b1),
    .data_i(p1_s0_ctl),
    .data_o(p1_beat_ctl)
  );

  always_ff @(posedge clk_i) p1_sum_ctl <= p1_beat_ctl;

  // The guard's settings are those of the next row by the time that the sums are there.
  sn_pipe #(
    .W     (ZpW + RunW),
    .STAGES(StSum)
  ) u_sum_run (
    .clk_i,
    .en_i  (1'b1),
    .data_i({p1_s0_zp, p1_s0_run}),
    .data_o({p1_sum_zp, p1_sum_run})
  );

  // --------------------------------------------------------------------- stages to StRow: once a row
  logic [Moments:0]        p1_closing;  // [s]: s stages behind StSum a row becomes complete
  logic [Moments:0]        p1_storing;  // ... a beat has a place in the row buffer
  logic [Moments-1:0]      p1_closing_q, p1_storing_q;
  logic signed [MeanW-1:0] p1_row_mean;
  logic [RW-1:0]           p1_row_r;
  logic [ShW-1:0]          p1_row_sh;
  logic [ErrW-1:0]         p1_row_err;
  logic [ZpW-1:0]          p1_row_zp;

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

  exact_layernorm_moments #(
    .SUM_W   (SumW),
    .SQUARE_W(SquareW),
    .COUNT_W (CountW)
  ) u_moments (
    .clk_i,
    .load_i      (p1_closing[0]),
    .sum_i       (p1_sum),
    .square_sum_i(p1_square_sum),
    .count_i     (p1_count),
    .rms_i       (p1_sum_run.rms),
    .gfrac_i     (p1_sum_run.gfrac),
    .ofrac_i     (p1_sum_run.ofrac),
    .mean_o      (p1_row_mean),
    .r_o         (p1_row_r),
    .sh_o        (p1_row_sh)
  );

  sn_pipe #(
    .W     (ErrW + ZpW),
    .STAGES(Moments)
  ) u_row (
    .clk_i,
    .en_i  (1'b1),
    .data_i({p1_sum_ctl.err_keep, p1_sum_ctl.err_len, p1_sum_zp}),
    .data_o({p1_row_err, p1_row_zp})
  );

  // -------------------------------------------------------------------------------------- row buffer
  // A lane's word: {active, x}; a lane that is not has no x, and bit 0 tells a masked element from none.
  // The lanes are read a clock after the bank, with the channels that are looked up by it: no register has
  // to hold them until those are there.
  logic                    advance, p2_s0_valid, p2_s0_last, p2_s0_bank;
  logic [LANES-1:0][8:0]   p1_s0_lane, p2_s1_lane;
  logic [ErrW-1:0]         p2_s0_err;
  logic [ZpW-1:0]          p2_s0_zp;
  logic signed [MeanW-1:0] p2_s0_mean;
  logic [RW-1:0]           p2_s0_r;
  logic [ShW-1:0]          p2_s0_sh;

  for (genvar i = 0; i < LANES; i++) begin : gen_p1_lane
    assign p1_s0_lane[i] = p1_s0_active[i] ? {1'b1, p1_s0_x[i]} : {8'b0, p1_s0_keep[i]};
  end

  sn_row_buffer #(
    .BEAT_W    (9 * LANES + 1),
    .ROW_W     (ErrW + ZpW + MeanW + RW + ShW),
    .MAX_BEATS (MaxBeats),
    .TURNAROUND(Turnaround),
    .READ_DELAY(1),
    .FIRST_W   (1)
  ) u_row_buffer (
    .clk_i,
    .rst_ni,
    .take_i     (take),
    .ready_o    (s_axis_tready),
    .wr_en_i    (p1_s0_valid && p1_s0_ctl.store),
    .wr_beat_i  ({p1_s0_lane, p1_s0_bank}),
    .wr_last_i  (p1_s0_last),
    .done_i     (p1_storing[Moments]),
    .close_i    (p1_closing[Moments]),
    .close_row_i({p1_row_err, p1_row_zp, p1_row_mean, p1_row_r, p1_row_sh}),
    .advance_i  (advance),
    .valid_o    (p2_s0_valid),
    .beat_o     ({p2_s1_lane, p2_s0_bank}),
    .last_o     (p2_s0_last),
    .row_o      ({p2_s0_err, p2_s0_zp, p2_s0_mean, p2_s0_r, p2_s0_sh})
  );

  // ------------------------------------------------------------ pass 2: deviations, affine and output
  logic [LANES-1:0][9:0]      p2_s1_gamma_alpha;
  logic [LANES-1:0][7:0]      p2_s1_gamma;
  logic [LANES-1:0][DevW-1:0] p2_s1_dev;
  logic [LANES-1:0]           p2_s1_keep, p2_s1_active;
  logic [ZpW-1:0]             p2_s1_zp;
  logic signed [MeanW-1:0]    p2_s1_mean;

  always_ff @(posedge clk_i) begin
    if (advance) begin
      p2_s1_zp   <= p2_s0_zp;
      p2_s1_mean <= p2_s0_mean;
    end
  end

  for (genvar i = 0; i < LANES; i++) begin : gen_p2_s1
    logic [8:0]         a;
    logic signed [11:0] v;
    assign p2_s1_active[i] = p2_s1_lane[i][8];
    assign p2_s1_keep[i]   = p2_s1_lane[i][8] || p2_s1_lane[i][0];
    assign p2_s1_gamma[i]  = p2_s1_gamma_alpha[i][9:2];
    assign a               = {1'b0, p2_s1_lane[i][7:0]} - {1'b0, p2_s1_zp};
    assign v               = 12'($signed(a)) <<< p2_s1_gamma_alpha[i][1:0];
    assign p2_s1_dev[i]    = DevW'($signed({v, 7'd0})) - DevW'(p2_s1_mean);
  end

  sn_norm_back #(
    .LANES    (LANES),
    .MAX_LEN  (MAX_LEN),
    .FACTOR_W (8 + 2),
    .DEV_W    (DevW),
    .R_W      (RW),
    .SH_W     (ShW),
    .LEFT     (2),
    .SHIFT_REG(1),
    .OUT_REG  (OUT_REG),
    .BANKS    (BANKS)
  ) u_back (
    .clk_i,
    .rst_ni,
    .chan_we_i,
    .chan_bank_i,
    .chan_addr_i,
    .chan_factor_i({chan_gamma_i, chan_alpha_i}),
    .chan_beta_i,
    .advance_o    (advance),
    .valid_i      (p2_s0_valid),
    .bank_i       (p2_s0_bank),
    .last_i       (p2_s0_last),
    .err_i        (p2_s0_err),
    .r_i          (p2_s0_r),
    .sh_i         (p2_s0_sh),
    .factor_o     (p2_s1_gamma_alpha),
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
  assign unused = p1_sum_ctl.first;
endmodule
