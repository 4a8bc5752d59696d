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
//   chan_* ------------------> [ channel table, two banks ] -----------------------------------+
//
//   a = x - zp                                       x uint8, real value scale * 2^alpha * a
//   Ex  = sum of a << alpha                          12 + clog2(MAX_LEN) bits
//   Ex2 = sum of (y*y << 4s) << 2 alpha              y: 4 bits of |a| (DynamicCompress), s: its range
//   mean = Ex / n,  var = max(Ex2 / n - mean^2, 1)   1/n as a 16-bit mantissa and a shift
//   out = sat(rnd(A * ((a << alpha << 2) - mu) / 2^sh) + beta),  A = rnd(gamma * RSQRT / 2^8)
//   cfg_rms_i = 1: mean = 0, which is RMSNorm        out int8, real value out * 2^-ofrac
//
// Contract (the same for every unit of the library, docs/stream.md):
//   - s_axis: LANES bytes a beat. tkeep marks the row's elements; tkeep with tstrb = 0 is a masked
//     element: it counts nowhere and comes out as 0. tie s_axis_tstrb to s_axis_tkeep if unused.
//   - m_axis: one beat for each stored input beat, same tkeep; tuser = {err_keep, err_len,
//     exponent[4:0]}, constant over the row; the exponent is 0.
//   - cfg_*_i are taken with the first beat of each row. cfg_len_i is the row's number of unmasked
//     elements, cfg_inv_mant_i = round(2^(15 + Lz) / n) and cfg_inv_exp_i = Lz = floor(log2 n) its
//     reciprocal. A row of another number sets err_len in tuser and pulses err_len_o.
//   - chan_*: channel chan_addr_i of bank chan_bank_i is written at each clock with chan_we_i. Do not
//     write a bank that a row inside, or the row going in, names in cfg_bank_i.
//
// Throughput: one beat a clock for ever, rows of any length, when neither side stalls.
// Latency: from the transfer of a row's last beat to that of its first output beat
//   LATENCY = 14 + T clocks, T = floor(clog2(LANES) / 3): 14 to LANES 4, 15 to LANES 32, 16 with 64.
// Storage: between the passes a ring of ceil(MAX_LEN/LANES) + 10 + T beats of 12 LANES bits (steps, which
//   also tell what is masked or absent) and 2 bits (bank, and which is the last), and as many rows of 31
//   bits; the channel table of 2 ceil(MAX_LEN/LANES) words of 2 LANES bits, and
//   as many of 8 LANES, twice.
//
/// s_axis_tready is a flip-flop. m_axis_tready enables the registers of pass 2 and goes no further.

module ailayernorm #(
  parameter  int LANES      = 32,    // 1, 2, 4, 8, 16, 32, 64: elements a beat
  parameter  int MAX_LEN    = 1024,  // LANES .. 65536: elements a row; longer rows are cut there
  parameter  int CMP_RANGES = 2,     // 2 (paper) or 3: ranges of DynamicCompress
  localparam int ADDR_W     = (MAX_LEN > 1) ? $clog2(MAX_LEN) : 1,
  localparam int LEN_W      = $clog2(MAX_LEN + 1),
  localparam int EXP_W      = (MAX_LEN > 1) ? $clog2($clog2(MAX_LEN + 1)) : 1,
  localparam int USER_W     = 7
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

  output logic               err_len_o,   // one clock: a row longer than MAX_LEN, or not of cfg_len_i
  output logic               err_keep_o   // one clock: a beat with a tkeep that is not allowed
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

  localparam int MaxBeats = (MAX_LEN + LANES - 1) / LANES;
  localparam int IndexW   = (MaxBeats > 1) ? $clog2(MaxBeats) : 1;
  localparam int LenLog   = $clog2(MAX_LEN);
  localparam int SumW     = 12 + LenLog;
  localparam int SquareW  = ((CMP_RANGES == 2) ? 18 : 22) + LenLog;
  localparam int RunW     = LEN_W + 16 + EXP_W + 3 + 3 + 1;
  localparam int CfgW     = 1 + 8 + RunW;
  localparam int StepW    = 12;
  localparam int RowW     = 2 + 15 + 9 + 5;

  // Stages of pass 1: valid[s] tells that stage s holds a beat. Stage 0 is the guard's register.
  localparam int Tree       = $clog2(LANES) / 3;
  localparam int StSum      = Tree + 2;   // sums over the row
  localparam int Moments    = 5;
  localparam int StRow      = StSum + Moments;  // the row is closed from here
  localparam int Turnaround = StRow + 2;  // + accept, + the row buffer's count of closed beats

  // ---------------------------------------------------------------------------------- stage 0: guard
  typedef struct packed {  // what the row's sums need
    logic [LEN_W-1:0] len;
    logic [15:0]      inv_mant;
    logic [EXP_W-1:0] inv_exp;
    logic [2:0]       gfrac;
    logic [2:0]       ofrac;
    logic             rms;
  } run_t;
  typedef struct packed {
    logic       bank;
    logic [7:0] zp;
    run_t       run;
  } cfg_t;
  cfg_t s0_cfg;
  run_t sum_run;

  // What every beat carries along pass 1.
  typedef struct packed {
    logic err_keep;  // the row's flags so far
    logic err_len;
    logic first;     // first beat of its row
    logic store;     // has a place in the row buffer
    logic close;     // the row is complete
  } ctl_t;
  ctl_t s0_ctl, s1_ctl, beat_ctl, sum_ctl;
  localparam int CtlW = 5;  // bits of ctl_t: not every tool takes $bits of a type here

  logic                  take, s0_valid, s0_last, guard_err_len;
  logic [LANES-1:0][7:0] s0_x;
  logic [LANES-1:0]      s0_keep, s0_active;
  logic [StRow:0]        valid;
  logic [StRow-1:0]      valid_q;

  sn_row_guard #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN),
    .LANE_W (8),
    .CFG_W  (CfgW)
  ) u_guard (
    .clk_i,
    .rst_ni,
    .s_axis_tdata,
    .s_axis_tkeep,
    .s_axis_tstrb,
    .s_axis_tlast,
    .s_axis_tvalid,
    .s_axis_tready,
    .cfg_i         ({cfg_bank_i, cfg_zp_i, cfg_len_i, cfg_inv_mant_i, cfg_inv_exp_i, cfg_gfrac_i,
                     cfg_ofrac_i, cfg_rms_i}),
    .take_o        (take),
    .valid_o       (s0_valid),
    .store_o       (s0_ctl.store),
    .first_o       (s0_ctl.first),
    .stored_last_o (s0_last),
    .close_o       (s0_ctl.close),
    .data_o        (s0_x),
    .keep_o        (s0_keep),
    .active_o      (s0_active),
    .cfg_o         (s0_cfg),
    .row_err_len_o (s0_ctl.err_len),
    .row_err_keep_o(s0_ctl.err_keep),
    .err_len_o     (guard_err_len),
    .err_keep_o
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= valid[StRow-1:0];
  end
  assign valid = {valid_q, s0_valid};

  // ----------------------------------------------------------------------- stages to StSum: statistics
  logic [IndexW-1:0]        s0_index, s0_index_q;
  logic [LANES-1:0][1:0]    s1_alpha;
  logic [LANES-1:0][11:0]   s1_step;
  logic [LANES-1:0]         s1_keep, s1_active;
  logic                     s1_bank, s1_last;
  logic signed [SumW-1:0]   sum;
  logic [SquareW-1:0]       square_sum;
  logic [LEN_W-1:0]         count;

  assign s0_index = s0_ctl.first ? '0 : s0_index_q;
  always_ff @(posedge clk_i) begin
    if (s0_valid) s0_index_q <= s0_index + IndexW'(1);
  end

  ailayernorm_statistics #(
    .LANES     (LANES),
    .SUM_W     (SumW),
    .SQUARE_W  (SquareW),
    .COUNT_W   (LEN_W),
    .CMP_RANGES(CMP_RANGES)
  ) u_statistics (
    .clk_i,
    .load_i      (valid[StSum-1]),
    .x_i         (s0_x),
    .active_i    (s0_active),
    .zp_i        (s0_cfg.zp),
    .alpha_i     (s1_alpha),
    .first_i     (beat_ctl.first),
    .step_o      (s1_step),
    .sum_o       (sum),
    .square_sum_o(square_sum),
    .count_o     (count)
  );

  sn_pipe #(
    .W     (CtlW + 2 + 2 * LANES),
    .STAGES(1)
  ) u_s1 (
    .clk_i,
    .en_i  (1'b1),
    .data_i({s0_ctl, s0_cfg.bank, s0_last, s0_keep, s0_active}),
    .data_o({s1_ctl, s1_bank, s1_last, s1_keep, s1_active})
  );

  sn_pipe #(
    .W     (CtlW),
    .STAGES(StSum - 2)
  ) u_beat_ctl (
    .clk_i,
    .en_i  (1'b1),
    .data_i(s1_ctl),
    .data_o(beat_ctl)
  );

  sn_pipe #(
    .W     (CtlW),
    .STAGES(1)
  ) u_sum_ctl (
    .clk_i,
    .en_i  (1'b1),
    .data_i(beat_ctl),
    .data_o(sum_ctl)
  );

  // The guard's settings are those of the next row by the time that the sums are there.
  sn_pipe #(
    .W     (RunW),
    .STAGES(StSum)
  ) u_sum_run (
    .clk_i,
    .en_i  (1'b1),
    .data_i(s0_cfg.run),
    .data_o(sum_run)
  );

  // ----------------------------------------------------------------------------- the row's own errors
  logic wrong_len;
  assign wrong_len = count != sum_run.len;

  // Both causes of err_len_o come from one beat at a time. The guard's is held up until the sums of
  // that beat are there, so that no two rows meet in one clock.
  logic [StSum-1:0] late_err_len_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      late_err_len_q <= '0;
      err_len_o      <= 1'b0;
    end else begin
      late_err_len_q <= StSum'({late_err_len_q, guard_err_len});
      err_len_o      <= late_err_len_q[StSum-1] ||
                        (valid[StSum] && sum_ctl.close && !sum_ctl.err_len && wrong_len);
    end
  end

  // --------------------------------------------------------------------- stages to StRow: once a row
  logic [Moments:0]    closing;  // [s]: s stages behind StSum a row becomes complete
  logic [Moments:0]    storing;  // ... a beat has a place in the row buffer
  logic [Moments-1:0]  closing_q, storing_q;
  logic signed [14:0]  row_mu;
  logic [9:0]          row_rsqrt;  // 513 or more: bit 9 is set
  logic [4:0]          row_sh;
  logic                row_err_keep, row_err_len;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      closing_q <= '0;
      storing_q <= '0;
    end else begin
      closing_q <= closing[Moments-1:0];
      storing_q <= storing[Moments-1:0];
    end
  end
  assign closing = {closing_q, valid[StSum] && sum_ctl.close};
  assign storing = {storing_q, valid[StSum] && sum_ctl.store};

  ailayernorm_moments #(
    .SUM_W     (SumW),
    .SQUARE_W  (SquareW),
    .EXP_W     (EXP_W),
    .CMP_RANGES(CMP_RANGES)
  ) u_moments (
    .clk_i,
    .load_i      (closing[0]),
    .sum_i       (sum),
    .square_sum_i(square_sum),
    .inv_mant_i  (sum_run.inv_mant),
    .inv_exp_i   (sum_run.inv_exp),
    .rms_i       (sum_run.rms),
    .gfrac_i     (sum_run.gfrac),
    .ofrac_i     (sum_run.ofrac),
    .mu_o        (row_mu),
    .rsqrt_o     (row_rsqrt),
    .sh_o        (row_sh)
  );

  sn_pipe #(
    .W     (2),
    .STAGES(Moments)
  ) u_row (
    .clk_i,
    .en_i  (1'b1),
    .data_i({sum_ctl.err_keep, sum_ctl.err_len || wrong_len}),
    .data_o({row_err_keep, row_err_len})
  );

  // -------------------------------------------------------------------------------------- row buffer
  // A lane's word is its step. No step is below -2040: where the lane is not active bits 11:3 are those
  // of -2048, and bit 0 tells a masked element from none. The lanes are read a clock after the bank, with
  // the channels that are looked up by it: no register has to hold them until those are there.
  logic                          advance, rd_valid, rd_bank, rd_last, rd_err_keep, rd_err_len;
  logic [LANES-1:0][StepW-1:0]   wr_lane, p1_lane;
  logic signed [14:0]            rd_mu;
  logic [8:0]                    rd_rsqrt;
  logic [4:0]                    rd_sh;

  for (genvar i = 0; i < LANES; i++) begin : gen_wr_lane
    assign wr_lane[i] = s1_active[i] ? s1_step[i] : {1'b1, 10'b0, s1_keep[i]};
  end

  sn_row_buffer #(
    .BEAT_W    (StepW * LANES + 1),
    .ROW_W     (RowW),
    .MAX_BEATS (MaxBeats),
    .TURNAROUND(Turnaround),
    .READ_DELAY(1),
    .FIRST_W   (1)
  ) u_row_buffer (
    .clk_i,
    .rst_ni,
    .take_i     (take),
    .ready_o    (s_axis_tready),
    .wr_en_i    (valid[1] && s1_ctl.store),
    .wr_beat_i  ({wr_lane, s1_bank}),
    .wr_last_i  (s1_last),
    .done_i     (storing[Moments]),
    .close_i    (closing[Moments]),
    .close_row_i({row_err_keep, row_err_len, row_mu, row_rsqrt[8:0], row_sh}),
    .advance_i  (advance),
    .valid_o    (rd_valid),
    .beat_o     ({p1_lane, rd_bank}),
    .last_o     (rd_last),
    .row_o      ({rd_err_keep, rd_err_len, rd_mu, rd_rsqrt, rd_sh})
  );

  // ---------------------------------------------------------------------------- pass 2: the channels
  // Stages of pass 2: they move all together; stage 0 is the row buffer's output, stage 1 that of the
  // beats and the channels.
  localparam int Affine = 2;
  localparam int StOut  = 1 + Affine;  // the output register takes from here
  localparam int StBeta = StOut - 1;   // beta is read from here

  logic [StOut:0]        p_valid;
  logic [StOut-1:0]      p_valid_q;
  logic [IndexW-1:0]     p0_index_q;
  logic [LANES-1:0][7:0] p1_gamma, out_beta;
  logic                  beta_bank;
  logic [IndexW-1:0]     beta_index;
  logic [LANES-1:0]      p1_keep, p1_active, out_keep, out_active;
  logic signed [14:0]    p1_mu;
  logic [8:0]            p1_rsqrt;
  logic [4:0]            p1_sh;
  logic                  p1_last, p1_err_keep, p1_err_len, out_last, out_err_keep, out_err_len;
  logic [LANES-1:0][7:0] out;

  assign p_valid = {p_valid_q, rd_valid};

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      p_valid_q  <= '0;
      p0_index_q <= '0;
    end else if (advance) begin
      p_valid_q <= p_valid[StOut-1:0];
      if (rd_valid) p0_index_q <= rd_last ? '0 : p0_index_q + IndexW'(1);
    end
  end

  ailayernorm_channels #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN)
  ) u_channels (
    .clk_i,
    .chan_we_i,
    .chan_bank_i,
    .chan_addr_i,
    .chan_alpha_i,
    .chan_gamma_i,
    .chan_beta_i,
    .rd1_en_i   (s0_valid),
    .rd1_bank_i (s0_cfg.bank),
    .rd1_beat_i (s0_index),
    .rd1_alpha_o(s1_alpha),
    .rd2_en_i   (advance && rd_valid),
    .rd2_bank_i (rd_bank),
    .rd2_beat_i (p0_index_q),
    .rd2_factor_o(p1_gamma),
    .rd3_en_i   (advance && p_valid[StBeta]),
    .rd3_bank_i (beta_bank),
    .rd3_beat_i (beta_index),
    .rd3_beta_o (out_beta)
  );

  sn_pipe #(
    .W     (1 + IndexW),
    .STAGES(StBeta)
  ) u_beta_place (
    .clk_i,
    .en_i  (advance),
    .data_i({rd_bank, p0_index_q}),
    .data_o({beta_bank, beta_index})
  );

  sn_pipe #(
    .W     (32),
    .STAGES(1)
  ) u_p1 (
    .clk_i,
    .en_i  (advance),
    .data_i({rd_mu, rd_rsqrt, rd_sh, rd_last, rd_err_keep, rd_err_len}),
    .data_o({p1_mu, p1_rsqrt, p1_sh, p1_last, p1_err_keep, p1_err_len})
  );

  for (genvar i = 0; i < LANES; i++) begin : gen_p1
    assign p1_active[i] = !p1_lane[i][11] || p1_lane[i][10:3] != '0;
    assign p1_keep[i]   = p1_active[i] || p1_lane[i][0];
  end

  // ------------------------------------------------------------------------------ affine and output
  ailayernorm_affine #(
    .LANES(LANES)
  ) u_affine (
    .clk_i,
    .en_i   (advance),
    .step_i (p1_lane),
    .gamma_i(p1_gamma),
    .mu_i   (p1_mu),
    .rsqrt_i(p1_rsqrt),
    .sh_i   (p1_sh),
    .beta_i (out_beta),
    .out_o  (out)
  );

  sn_pipe #(
    .W     (2 * LANES + 3),
    .STAGES(Affine)
  ) u_out (
    .clk_i,
    .en_i  (advance),
    .data_i({p1_keep, p1_active, p1_last, p1_err_keep, p1_err_len}),
    .data_o({out_keep, out_active, out_last, out_err_keep, out_err_len})
  );

  assign advance = !m_axis_tvalid || m_axis_tready;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) m_axis_tvalid <= 1'b0;
    else if (advance) m_axis_tvalid <= p_valid[StOut];
  end

  // 0 where there is no beat, which the first clock of a reset loads: no X leaves the unit, and
  // none of these takes a flip-flop with a reset of its own, twice as large.
  always_ff @(posedge clk_i) begin
    if (advance) begin
      for (int i = 0; i < LANES; i++) begin
        m_axis_tdata[8*i+:8] <= (p_valid[StOut] && out_active[i]) ? out[i] : 8'd0;
      end
      m_axis_tkeep <= p_valid[StOut] ? out_keep : '0;
      m_axis_tlast <= p_valid[StOut] && out_last;
      m_axis_tuser <= p_valid[StOut] ? {out_err_keep, out_err_len, 5'd0} : '0;
    end
  end

  logic unused;
  assign unused = ^{s1_ctl, sum_ctl.first, row_rsqrt[9]};
endmodule
