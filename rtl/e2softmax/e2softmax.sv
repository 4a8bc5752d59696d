// SPDX-License-Identifier: Apache-2.0
// E2Softmax: softmax over rows of int8 logits with 4-bit codes, shifts and adders (SOLE, ICCAD 2023).
//
//            pass 1: LANES elements a clock                    pass 2: LANES elements a clock
//   s_axis --> row guard --> max tree, online max              m_axis <--[reg]-- log divider
//                 |               | m_t                                          ^    ^
//                 |  x            v                                        codes |    | row
//                 +-----------> m_t - x --> Log2Exp --> codes --> [ row buffer ]-+    |
//                                                         |                           |
//                                                         +--> reduction, online --> leading one
//                                                              correction    Sum     ks, bin, m_L
//
//   x int8, real value x * 2^-F (cfg_frac_i)                 m_t running maximum, m_L the row's
//   SCALE = 1: x of IN_W bits, a scale of the row (cfg_mult_i, cfg_shift_i) in log2exp, in place of F
//   y_i   = log2exp(m_t - x_i)                               4 bits (EXP_FRAC = 1: 5)
//   Sum_t = (Sum_(t-1) >> log2exp(m_t - m_(t-1))) + sum of 2^(15 - y_i)     16 + clog2(MAX_LEN) bits
//   k_i   = y_i + log2exp(m_L - m_t),  ks = floor(log2 Sum) - 15,  C = DIV_C[bits after the leading one]
//   out_i = rnd(C / 2^(k_i + ks))  cfg_fmt_i = 0, linear:     value out * 2^-8
//   out_i = rnd(C / 2^k_i)         cfg_fmt_i = 1, row-scaled: value out * 2^-(8 + ks), ks in tuser
//   FORMATS = 1: cfg_fmt_i has 2 bits
//   out_i = rnd(1 / 2^(k_i - 7))   cfg_fmt_i = 2, 3, unnormalised: value out * 2^-7
//   cfg_s7_i = 1: one bit more of shift, so that no output is above 127; each is worth twice as much
//   LOG_FIRST = 1: octaves first (e2softmax_octaves), then the maximum: in the place of x and log2exp(a - b)
//   q_i = rnd(23 x_i / 2^(F + 4 - EXP_FRAC))  and  min(top, a - b), top = 15, EXP_FRAC = 1: 31
//   FRAC >= 0: F is FRAC, whatever cfg_frac_i
//
// BLOCKS = 1: a row may come in blocks of whole beats. m_t and Sum, now 32 bits that saturate, start from
// {cfg_carry_max_i, cfg_carry_sum_i}, a row of its own where that sum is 0. What the next block is to go
// on from comes out above the flags in m_axis_tuser: {Sum, m_L}, both 0 before the first unmasked element.
//
// Contract: docs/stream.md. The exponent in m_axis_tuser is ks of a row-scaled row, else 0.
//
// Throughput: one beat a clock for ever, rows of any length, when neither side stalls.
// Latency: from the transfer of a row's last beat to that of its first output beat
//   LATENCY = 9 + T clocks, T = floor(clog2(LANES) / 3): 9 to LANES 4, 10 to LANES 32, 11 with 64;
//   with IN_W > 8 three clocks more: codes take one more, the correction of the row's end two; with
//   IN_W = 32 five: the maximum and the codes take one more each. With LOG_FIRST = 1 one clock more.
//   A clock less without the register at a port (IN_REG = 0, OUT_REG = 0).
// Storage: a ring of ceil(MAX_LEN/LANES) + 7 + T beats of (4 + EXP_FRAC) LANES + IN_W + 1 bits between
//   the passes, and as many row entries of 6 + IN_W + clog2(clog2(MAX_LEN) + 1) + DIV_BITS bits; with
//   IN_W > 8 three or five more of each, with SCALE = 1 10 bits more a row entry, with FORMATS = 1 2 bits, and
//   with BLOCKS = 1 32 bits and 5 of ks. FRAC >= 0: 3 bits less a row entry. LOG_FIRST = 1: as many less, one of
//   each more, and 9 + EXP_FRAC bits in the place of IN_W.
//
// s_axis_tready is a flip-flop. m_axis_tready enables the registers of pass 2 and goes no further.

module e2softmax #(
  parameter  int LANES    = 32,    // 1, 2, 4, 8, 16, 32, 64: elements a beat
  parameter  int MAX_LEN  = 1024,  // LANES .. 65536: elements a row; longer rows are cut there
  parameter  int DIV_BITS = 1,     // 1 .. 4: bits of Sum the divider looks at; 1 is the paper's
  parameter  int EXP_FRAC = 0,     // 0: codes in octaves (paper), 1: in half octaves
  parameter  int IN_W     = 8,     // 8, 16, 32: bits of a logit; above 8 only with SCALE = 1
  parameter  int SCALE    = 0,     // 0: a scale of 2^-F, 1: any, M * 2^-S
  parameter  int BLOCKS   = 0,     // 1: a row may come in blocks, with its state in and out
  parameter  int FORMATS  = 0,     // 1: outputs that are not normalised, and of 7 bits
  parameter  int LOG_FIRST = 0,    // 1: octaves first, then their maximum; only with int8 and none of the above
  parameter  int FRAC     = -1,    // 0 .. 7: F, fixed here; -1: cfg_frac_i
  parameter  int IN_REG   = 1,     // 0: no register behind the s_axis pins, and a clock less
  parameter  int OUT_REG  = 1,     // 0: none in front of the m_axis pins, and a clock less
  localparam int USER_W   = (BLOCKS == 0) ? 7 : 39 + IN_W,
  localparam int FMT_W    = (FORMATS == 0) ? 1 : 2
) (
  input  logic               clk_i,
  input  logic               rst_ni,  // asynchronous assert, synchronous release

  input  logic [2:0]            cfg_frac_i,   // F; ignored with SCALE = 1 or FRAC >= 0
  input  logic [FMT_W-1:0]      cfg_fmt_i,    // 0 linear, 1 row-scaled; FORMATS: 2 unnormalised
  input  logic [6:0]            cfg_mult_i,   // M - 128; ignored with SCALE = 0
  input  logic [5:0]            cfg_shift_i,  // S; ignored with SCALE = 0
  input  logic                  cfg_s7_i,     // outputs of 7 bits; ignored with FORMATS = 0
  input  logic [IN_W-1:0]       cfg_carry_max_i,  // m_0; ignored with BLOCKS = 0, as the next
  input  logic [31:0]           cfg_carry_sum_i,  // Sum_0; 0: a row of its own, whatever m_0

  input  logic [IN_W*LANES-1:0] s_axis_tdata,
  input  logic [LANES-1:0]      s_axis_tkeep,
  input  logic [LANES-1:0]      s_axis_tstrb,
  input  logic                  s_axis_tlast,
  input  logic                  s_axis_tvalid,
  output logic                  s_axis_tready,

  output logic [8*LANES-1:0]    m_axis_tdata,
  output logic [LANES-1:0]      m_axis_tkeep,
  output logic                  m_axis_tlast,
  output logic [USER_W-1:0]     m_axis_tuser,
  output logic                  m_axis_tvalid,
  input  logic                  m_axis_tready,

  output logic                  err_len_o,    // one clock: a row longer than MAX_LEN
  output logic                  err_keep_o    // one clock: a beat with a tkeep that is not allowed
);
  // Icarus has no elaboration-time $error: a missing module stops every tool, and its name tells.
  if (LANES < 1 || LANES > 64 || (LANES & (LANES - 1)) != 0) begin : gen_check_lanes
    e2softmax_error_LANES_must_be_1_2_4_8_16_32_or_64 u_stop ();
  end
  if (MAX_LEN < LANES || MAX_LEN > 65536) begin : gen_check_max_len
    e2softmax_error_MAX_LEN_must_be_from_LANES_to_65536 u_stop ();
  end
  if (DIV_BITS < 1 || DIV_BITS > 4) begin : gen_check_div_bits
    e2softmax_error_DIV_BITS_must_be_1_to_4 u_stop ();
  end
  if (EXP_FRAC < 0 || EXP_FRAC > 1) begin : gen_check_exp_frac
    e2softmax_error_EXP_FRAC_must_be_0_or_1 u_stop ();
  end
  if (IN_W != 8 && IN_W != 16 && IN_W != 32) begin : gen_check_in_w
    e2softmax_error_IN_W_must_be_8_16_or_32 u_stop ();
  end
  if (SCALE < 0 || SCALE > 1) begin : gen_check_scale
    e2softmax_error_SCALE_must_be_0_or_1 u_stop ();
  end
  if (BLOCKS < 0 || BLOCKS > 1) begin : gen_check_blocks
    e2softmax_error_BLOCKS_must_be_0_or_1 u_stop ();
  end
  if (FORMATS < 0 || FORMATS > 1) begin : gen_check_formats
    e2softmax_error_FORMATS_must_be_0_or_1 u_stop ();
  end
  if (IN_W > 8 && SCALE == 0) begin : gen_check_wide
    e2softmax_error_IN_W_must_be_8_without_SCALE_1 u_stop ();
  end
  if (LOG_FIRST < 0 || LOG_FIRST > 1) begin : gen_check_log_first
    e2softmax_error_LOG_FIRST_must_be_0_or_1 u_stop ();
  end
  if (LOG_FIRST == 1 && (SCALE != 0 || BLOCKS != 0 || FORMATS != 0)) begin : gen_check_alone
    e2softmax_error_LOG_FIRST_must_be_0_with_SCALE_BLOCKS_or_FORMATS u_stop ();
  end
  if (FRAC < -1 || FRAC > 7) begin : gen_check_frac
    e2softmax_error_FRAC_must_be_from_minus_1_to_7 u_stop ();
  end
  if (FRAC >= 0 && SCALE != 0) begin : gen_check_one_scale
    e2softmax_error_FRAC_must_be_minus_1_with_SCALE_1 u_stop ();
  end
  if (IN_REG < 0 || IN_REG > 1) begin : gen_check_in_reg
    e2softmax_error_IN_REG_must_be_0_or_1 u_stop ();
  end
  if (OUT_REG < 0 || OUT_REG > 1) begin : gen_check_out_reg
    e2softmax_error_OUT_REG_must_be_0_or_1 u_stop ();
  end

  localparam int MaxBeats = (MAX_LEN + LANES - 1) / LANES;
  localparam int CodeW    = 4 + EXP_FRAC;
  localparam int LenW     = $clog2(MAX_LEN);
  localparam int SumW     = (BLOCKS != 0) ? 32 : 16 + LenW;
  localparam int KsW      = (BLOCKS != 0) ? 5 : (LenW > 0) ? $clog2(LenW + 1) : 1;
  localparam int Scaled   = (SCALE == 0) ? 0 : 1;
  localparam int Formats  = (FORMATS == 0) ? 0 : 1;
  localparam int Blocks   = (BLOCKS == 0) ? 0 : 1;
  localparam int ScaleW   = (SCALE == 0) ? 3 : 13;             // {shift, mult} or frac
  localparam int FmtW     = (FORMATS == 0) ? 1 : 3;            // {s7, fmt} or fmt
  localparam int CfgW     = FmtW + ScaleW;                     // fmt, scale
  localparam int CarryW   = (BLOCKS == 0) ? 0 : IN_W + 32;     // m_0 as a key, Sum_0
  localparam int KeyW     = (LOG_FIRST == 0) ? IN_W : 9 + EXP_FRAC;  // of a maximum
  localparam int BeatW    = KeyW + CodeW * LANES;              // m_t, codes
  localparam int StateW   = (BLOCKS == 0) ? 0 : 32;            // Sum
  localparam int LateW    = (FRAC < 0 && LOG_FIRST == 0) ? ScaleW : 0;  // what pass 2 needs of the scale
  // State, flags, settings, m_L, ks, bin.
  localparam int RowW     = StateW + 2 + FmtW + LateW + KeyW + KsW + DIV_BITS;
  localparam int CtlW     = 2 + CfgW + 4;                      // of ctl_t: no $bits in every tool

  // Stages of pass 1: p1_valid[s] tells that stage s holds a beat. Stage 0 is the guard's register.
  localparam int Tree     = $clog2(LANES) / 3;
  localparam int Wide     = (IN_W > 8) ? 1 : 0;    // the shifter has a clock of its own
  localparam int Widest   = (IN_W > 16) ? 1 : 0;   // so has the difference, and the maximum has two
  localparam int StKey    = LOG_FIRST;             // what the maximum is taken of
  localparam int StMax    = StKey + Widest + 1;    // running maximum
  localparam int Extra    = Wide + Widest;
  localparam int StCode   = StMax + Extra + 1;     // codes: written to the row buffer from here
  localparam int StBeat   = StCode + Tree;         // where the beat's sum joins Sum
  localparam int StSum    = StBeat + 1;            // Sum: the row is closed from here
  localparam int Turnaround = StSum + 1 + IN_REG;  // + accept, + the row buffer's count of closed beats
  localparam int StDiv    = 2 + 2 * Wide;          // pass 2: the divider's steps

  // The top two codes of the buffer are no codes: an element that is masked and one that is not
  // there. Their own codes may share them, since both give 0 in any case (e2softmax_log_div), so
  // masks and tkeep take no bit.
  localparam logic [CodeW-1:0] CodeAbsent = '1;
  localparam logic [CodeW-1:0] CodeZero   = CodeAbsent - CodeW'(1);

  // ------------------------------------------------------- pass 1, stages 0 and StMax: guard, maximum
  // What every beat carries along pass 1.
  typedef struct packed {
    logic              err_keep;  // the row's flags so far
    logic              err_len;
    logic [FmtW-1:0]   fmt;       // the row's settings
    logic [ScaleW-1:0] scale;
    logic              first;     // first beat of its row
    logic              store;     // has a place in the row buffer
    logic              last;      // ... and is the last of its row there
    logic              close;     // the row is complete
  } ctl_t;
  ctl_t p1_in_ctl, p1_key_ctl, p1_max_ctl, p1_code_ctl, p1_beat_ctl, p1_sum_ctl;

  logic                     take;
  logic [StSum:0]           p1_valid;
  logic [LANES-1:0][IN_W:0] p1_in_lane;               // {active, key}: see sn_max_front
  logic [LANES-1:0][KeyW:0] p1_key_lane, p1_max_lane;
  logic [KeyW-1:0]          p1_max_m, p1_max_prev;
  logic [IN_W-1:0]          front_max, front_prev;
  logic [CarryW+CfgW-1:0]   p1_in_cfg;
  logic [IN_W-1:0]          p1_in_start, carry_key;
  logic [SumW-1:0]          p1_beat_start;

  assign carry_key = {!cfg_carry_max_i[IN_W-1], cfg_carry_max_i[IN_W-2:0]} &
                     {IN_W{cfg_carry_sum_i != '0}};
  assign p1_in_ctl.fmt   = p1_in_cfg[ScaleW+:FmtW];
  assign p1_in_ctl.scale = (FRAC < 0) ? p1_in_cfg[ScaleW-1:0] : ScaleW'(FRAC);

  sn_max_front #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN),
    .IN_W   (IN_W),
    .START  (Blocks),
    .CFG_W  (CarryW + CfgW),
    .STAGES (StSum),
    .IN_REG (IN_REG)
  ) u_front (
    .clk_i,
    .rst_ni,
    .cfg_i         ({{Blocks{carry_key, cfg_carry_sum_i}}, {Formats{cfg_s7_i}}, cfg_fmt_i,
                     {Scaled{cfg_shift_i, cfg_mult_i}}, {(1 - Scaled){cfg_frac_i}}}),
    .s_axis_tdata,
    .s_axis_tkeep,
    .s_axis_tstrb,
    .s_axis_tlast,
    .s_axis_tvalid,
    .s_axis_tready,
    .err_len_o,
    .err_keep_o,
    .take_o        (take),
    .valid_o       (p1_valid),
    .store_o       (p1_in_ctl.store),
    .first_o       (p1_in_ctl.first),
    .stored_last_o (p1_in_ctl.last),
    .close_o       (p1_in_ctl.close),
    .cfg_o         (p1_in_cfg),
    .row_err_len_o (p1_in_ctl.err_len),
    .row_err_keep_o(p1_in_ctl.err_keep),
    .lane_o        (p1_in_lane),
    .start_i       (p1_in_start),
    .max_o         (front_max),
    .prev_o        (front_prev)
  );

  sn_pipe #(
    .W     (CtlW + (KeyW + 1) * LANES),
    .STAGES(StMax - StKey)
  ) u_max (
    .clk_i,
    .en_i  (1'b1),
    .data_i({p1_key_ctl, p1_key_lane}),
    .data_o({p1_max_ctl, p1_max_lane})
  );

  if (LOG_FIRST == 1) begin : gen_octaves
    e2softmax_octaves #(
      .LANES   (LANES),
      .EXP_FRAC(EXP_FRAC)
    ) u_octaves (
      .clk_i,
      .lane_i (p1_in_lane),
      .frac_i (p1_in_ctl.scale),
      .lane_o (p1_key_lane),
      .load_i (p1_valid[1]),
      .first_i(p1_key_ctl.first),
      .max_o  (p1_max_m),
      .prev_o (p1_max_prev)
    );
    always_ff @(posedge clk_i) p1_key_ctl <= p1_in_ctl;
  end else begin : gen_keys
    assign p1_key_ctl  = p1_in_ctl;
    assign p1_key_lane = p1_in_lane;
  end

  if (LOG_FIRST == 0 && Widest == 0) begin : gen_front_max
    assign p1_max_m    = front_max;
    assign p1_max_prev = front_prev;
  end else if (LOG_FIRST == 1) begin : gen_no_front_max
    logic unused_front;
    assign unused_front = ^{front_max, front_prev};
  end else begin : gen_wide_max
    logic [IN_W*LANES-1:0] key;
    for (genvar i = 0; i < LANES; i++) begin : gen_key
      assign key[IN_W*i+:IN_W] = {p1_in_lane[i][IN_W-1:1], p1_in_lane[i][0] && p1_in_lane[i][IN_W]};
    end

    e2softmax_wide_max #(
      .LANES(LANES),
      .W    (IN_W),
      .START(Blocks)
    ) u_wide_max (
      .clk_i,
      .load_i     (p1_valid[0]),
      .load_late_i(p1_valid[1]),
      .key_i      (key),
      .first_i    (p1_in_ctl.first),
      .start_i    (p1_in_start),
      .max_o      (p1_max_m),
      .prev_o     (p1_max_prev)
    );

    // That of one clock is as long as two, and falls away.
    logic unused_front;
    assign unused_front = ^{front_max, front_prev};
  end

  // ---------------------------------------------------------------- pass 1, stage StCode: the codes
  // A lane that is not active has its word of the row buffer in place of a code.
  logic [LANES-1:0][CodeW-1:0] code, p1_code_y, p1_code_word;
  logic [LANES-1:0]            p1_code_active;
  logic [CodeW-1:0]            rise, p1_code_rise;
  logic [KeyW-1:0]             p1_code_m;

  // What the code needs of a row's scale: S with the difference, M - 128 with the product.
  logic [ScaleW-1:0] diff_scale;
  logic [6:0]        mult;
  sn_pipe #(
    .W     (ScaleW),
    .STAGES(Widest)
  ) u_diff_scale (
    .clk_i,
    .en_i  (1'b1),
    .data_i(p1_max_ctl.scale),
    .data_o(diff_scale)
  );
  sn_pipe #(
    .W     (7),
    .STAGES(Wide)
  ) u_mult (
    .clk_i,
    .en_i  (1'b1),
    .data_i(7'(diff_scale)),
    .data_o(mult)
  );

  logic [2:0] frac;
  assign frac = p1_max_ctl.scale[2:0];

  for (genvar i = 0; i < LANES; i++) begin : gen_code
    logic active, exists;
    sn_pipe #(
      .W     (2),
      .STAGES(Extra)
    ) u_lane (
      .clk_i,
      .en_i  (1'b1),
      .data_i({p1_max_lane[i][KeyW], p1_max_lane[i][0]}),
      .data_o({active, exists})
    );

    if (LOG_FIRST == 1) begin : gen_octave
      logic [KeyW-1:0] diff;
      assign diff    = p1_max_m - p1_max_lane[i][KeyW-1:0];
      assign code[i] = CodeW'(diff) | {CodeW{diff[KeyW-1:CodeW] != '0}};
    end else if (SCALE == 0) begin : gen_frac
      e2softmax_log2exp #(
        .EXP_FRAC(EXP_FRAC),
        .FRAC    (FRAC)
      ) u_log2exp (
        .d_i   (p1_max_m[7:0] - p1_max_lane[i][7:0]),
        .frac_i(frac),
        .code_o(code[i])
      );
    end else begin : gen_scaled
      logic [IN_W-1:0] diff;
      sn_pipe #(
        .W     (IN_W),
        .STAGES(Widest)
      ) u_diff (
        .clk_i,
        .en_i  (1'b1),
        .data_i(p1_max_m - p1_max_lane[i][KeyW-1:0]),
        .data_o(diff)
      );
      e2softmax_log2exp_scaled #(
        .IN_W    (IN_W),
        .EXP_FRAC(EXP_FRAC)
      ) u_log2exp (
        .clk_i,
        .en_i   (1'b1),
        .d_i    (diff),
        .shift_i(diff_scale[12:7]),
        .mult_i (mult),
        .code_o (code[i])
      );
    end

    always_ff @(posedge clk_i) begin
      p1_code_active[i] <= active;
      p1_code_y[i]      <= active ? code[i] : exists ? CodeZero : CodeAbsent;
    end

    assign p1_code_word[i] =
        (p1_code_active[i] && p1_code_y[i] == CodeAbsent) ? CodeZero : p1_code_y[i];
  end

  if (LOG_FIRST == 1) begin : gen_rise_octaves
    logic [KeyW-1:0] diff;
    logic            unused_scale;
    assign diff         = p1_max_m - p1_max_prev;
    assign rise         = CodeW'(diff) | {CodeW{diff[KeyW-1:CodeW] != '0}};
    assign unused_scale = ^{diff_scale, mult};
  end else if (SCALE == 0) begin : gen_rise
    logic unused_scale;
    assign unused_scale = ^{diff_scale, mult};
    e2softmax_log2exp #(
      .EXP_FRAC(EXP_FRAC),
      .FRAC    (FRAC)
    ) u_rise (
      .d_i   (p1_max_m[7:0] - p1_max_prev[7:0]),
      .frac_i(frac),
      .code_o(rise)
    );
  end else begin : gen_rise_scaled
    logic [IN_W-1:0] diff;
    sn_pipe #(
      .W     (IN_W),
      .STAGES(Widest)
    ) u_diff (
      .clk_i,
      .en_i  (1'b1),
      .data_i(p1_max_m - p1_max_prev),
      .data_o(diff)
    );
    e2softmax_log2exp_scaled #(
      .IN_W    (IN_W),
      .EXP_FRAC(EXP_FRAC)
    ) u_rise (
      .clk_i,
      .en_i   (1'b1),
      .d_i    (diff),
      .shift_i(diff_scale[12:7]),
      .mult_i (mult),
      .code_o (rise)
    );
  end

  sn_pipe #(
    .W     (CtlW + KeyW),
    .STAGES(Extra + 1)
  ) u_code (
    .clk_i,
    .en_i  (1'b1),
    .data_i({p1_max_ctl, p1_max_m}),
    .data_o({p1_code_ctl, p1_code_m})
  );
  always_ff @(posedge clk_i) p1_code_rise <= rise;

  // ----------------------------------------------------- pass 1, stages to StSum: sum, row is closed
  logic [CodeW-1:0] p1_beat_rise;
  logic [KeyW-1:0]  p1_beat_m, p1_sum_m;
  logic [SumW-1:0]  p1_sum;

  sn_pipe #(
    .W     (CtlW + KeyW + CodeW),
    .STAGES(Tree)
  ) u_beat (
    .clk_i,
    .en_i  (1'b1),
    .data_i({p1_code_ctl, p1_code_m, p1_code_rise}),
    .data_o({p1_beat_ctl, p1_beat_m, p1_beat_rise})
  );

  e2softmax_reduction #(
    .LANES   (LANES),
    .SUM_W   (SumW),
    .EXP_FRAC(EXP_FRAC),
    .BLOCKS  (BLOCKS)
  ) u_reduction (
    .clk_i,
    .load_i     (p1_valid[StBeat]),
    .code_i     (p1_code_y),
    .active_i   (p1_code_active),
    .first_i    (p1_beat_ctl.first),
    .start_i    (p1_beat_start),
    .rise_code_i(p1_beat_rise),
    .sum_o      (p1_sum)
  );

  always_ff @(posedge clk_i) begin
    p1_sum_ctl <= p1_beat_ctl;
    p1_sum_m   <= p1_beat_m;
  end

  // Sum is 0 or at least 2^15: its leading one is at bit 15 + ks.
  logic [KsW-1:0]      ks, p1_sum_ks;
  logic [DIV_BITS-1:0] bin, p1_sum_bin;
  logic [KeyW-1:0]     p1_sum_row_m;

  sn_leading_one #(
    .W   ((BLOCKS != 0) ? 17 : LenW + 1),
    .FRAC(DIV_BITS)
  ) u_leading_one (
    .data_i(p1_sum[SumW-1:15-DIV_BITS]),
    .pos_o (ks),
    .frac_o(bin)
  );

  if (BLOCKS == 0) begin : gen_whole
    assign p1_in_start   = '0;
    assign p1_beat_start = '0;
    assign p1_sum_ks     = ks;
    assign p1_sum_bin    = bin;
    assign p1_sum_row_m  = p1_sum_m;
  end else begin : gen_blocks
    logic [LANES-1:0]    active;
    logic                some, some_q, p1_sum_some;  // there has been an unmasked element
    logic [3:0]          unused_pos;
    logic [DIV_BITS-1:0] low_bin;

    assign p1_in_start = p1_in_cfg[CfgW+32+:IN_W];
    sn_pipe #(
      .W     (32),
      .STAGES(StBeat)
    ) u_start (
      .clk_i,
      .en_i  (1'b1),
      .data_i(p1_in_cfg[CfgW+:32]),
      .data_o(p1_beat_start)
    );

    for (genvar i = 0; i < LANES; i++) begin : gen_active
      assign active[i] = p1_in_lane[i][IN_W];
    end
    assign some = active != '0 || (some_q && !p1_in_ctl.first);
    always_ff @(posedge clk_i) begin
      if (p1_valid[0]) some_q <= some;
    end
    sn_pipe #(
      .W     (1),
      .STAGES(StSum - 1)
    ) u_some (
      .clk_i,
      .en_i  (1'b1),
      .data_i(some_q),
      .data_o(p1_sum_some)
    );

    // A sum that somebody else hands in may be less: its ks is 0, and its bin behind its leading one.
    sn_leading_one #(
      .W   (15),
      .FRAC(DIV_BITS)
    ) u_low (
      .data_i({p1_sum[14:0], DIV_BITS'(0)}),
      .pos_o (unused_pos),
      .frac_o(low_bin)
    );
    assign p1_sum_ks  = ks & {KsW{p1_sum_some}};
    assign p1_sum_bin = (p1_sum[31:15] != '0) ? bin : low_bin;
    // Before the first unmasked element the key is 0, and is to come out as the maximum 0.
    assign p1_sum_row_m = {p1_sum_m[IN_W-1] || p1_sum == '0, p1_sum_m[IN_W-2:0]};
  end

  logic unused;
  assign unused = ^{p1_sum_ctl.first, p1_sum_ctl.last, p1_sum_ctl.scale, p1_sum[14-DIV_BITS:0], frac,
                    cfg_frac_i, cfg_mult_i, cfg_shift_i, cfg_s7_i, carry_key};

  // -------------------------------------------------------------------------------------- row buffer
  logic                        advance, p2_rd_valid, p2_rd_last;
  logic [LANES-1:0][CodeW-1:0] p2_div_code;  // StDiv clocks behind the rest
  logic [KeyW-1:0]             p2_rd_m, p2_rd_row_m;
  logic [KsW-1:0]              p2_rd_ks;
  logic [DIV_BITS-1:0]         p2_rd_bin;
  logic                        p2_rd_err_keep, p2_rd_err_len;
  logic [FmtW-1:0]             p2_rd_cfg;
  logic [ScaleW-1:0]           p2_rd_scale;
  logic [RowW-1:0]             p2_rd_row;
  logic [31:0]                 p2_rd_sum;
  logic                        p2_rd_fmt, p2_rd_linear, p2_rd_unnormalised, p2_rd_s7;  // fmt: row-scaled

  sn_row_buffer #(
    .BEAT_W    (BeatW),
    .ROW_W     (RowW),
    .MAX_BEATS (MaxBeats),
    .TURNAROUND(Turnaround),
    .READ_DELAY(StDiv),
    .FIRST_W   (KeyW)
  ) u_row_buffer (
    .clk_i,
    .rst_ni,
    .take_i     (take),
    .ready_o    (s_axis_tready),
    .wr_en_i    (p1_valid[StCode] && p1_code_ctl.store),
    .wr_beat_i  ({p1_code_word, p1_code_m}),
    .wr_last_i  (p1_code_ctl.last),
    .done_i     (p1_valid[StSum] && p1_sum_ctl.store),
    .close_i    (p1_valid[StSum] && p1_sum_ctl.close),
    .close_row_i({{Blocks{p1_sum}}, p1_sum_ctl.err_keep, p1_sum_ctl.err_len, p1_sum_ctl.fmt,
                  {(LateW / ScaleW){p1_sum_ctl.scale}}, p1_sum_row_m, p1_sum_ks, p1_sum_bin}),
    .advance_i  (advance),
    .valid_o    (p2_rd_valid),
    .beat_o     ({p2_div_code, p2_rd_m}),
    .last_o     (p2_rd_last),
    .row_o      (p2_rd_row)
  );

  assign {p2_rd_err_keep, p2_rd_err_len, p2_rd_cfg} = p2_rd_row[RowW-StateW-1-:2+FmtW];
  assign {p2_rd_row_m, p2_rd_ks, p2_rd_bin} = p2_rd_row[KeyW+KsW+DIV_BITS-1:0];
  if (LateW == 0) begin : gen_no_scale
    assign p2_rd_scale = ScaleW'(FRAC);  // with LOG_FIRST = 1 none is needed
  end else begin : gen_scale
    assign p2_rd_scale = p2_rd_row[KeyW+KsW+DIV_BITS+:ScaleW];
  end
  if (BLOCKS == 0) begin : gen_no_state
    logic unused_sum;
    assign p2_rd_sum  = '0;
    assign unused_sum = ^p2_rd_sum;
  end else begin : gen_state
    assign p2_rd_sum = p2_rd_row[RowW-1-:32];
  end
  if (FORMATS == 0) begin : gen_two_formats
    assign p2_rd_fmt          = p2_rd_cfg[0];
    assign p2_rd_linear       = !p2_rd_cfg[0];
    assign p2_rd_unnormalised = 1'b0;
    assign p2_rd_s7           = 1'b0;
  end else begin : gen_formats
    assign p2_rd_fmt          = p2_rd_cfg[1:0] == 2'd1;
    assign p2_rd_linear       = p2_rd_cfg[1:0] == 2'd0;
    assign p2_rd_unnormalised = p2_rd_cfg[1];
    assign p2_rd_s7           = p2_rd_cfg[FmtW-1];
  end

  // ------------------------------------------------------------------------------ pass 2 and output
  // The row buffer's output is stage 0, its codes come with stage StDiv.
  logic [StDiv:1]        p2_valid;
  logic                  p2_div_last;
  logic [USER_W-1:0]     p2_div_user;
  logic [LANES-1:0]      p2_div_keep;
  logic [LANES-1:0][7:0] p2_div_out;

  e2softmax_log_div #(
    .LANES    (LANES),
    .KS_W     (KsW),
    .DIV_BITS (DIV_BITS),
    .EXP_FRAC (EXP_FRAC),
    .IN_W     (IN_W),
    .SCALE    (SCALE),
    .FORMATS  (FORMATS),
    .LOG_FIRST(LOG_FIRST),
    .FRAC     (FRAC)
  ) u_log_div (
    .clk_i,
    .advance_i     (advance),
    .beat_max_i    (p2_rd_m),
    .row_max_i     (p2_rd_row_m),
    .scale_i       (p2_rd_scale),
    .row_scaled_i  (!p2_rd_linear),
    .unnormalised_i(p2_rd_unnormalised),
    .s7_i          (p2_rd_s7),
    .ks_i          (p2_rd_ks),
    .bin_i         (p2_rd_bin),
    .code_i        (p2_div_code),
    .out_o         (p2_div_out)
  );

  sn_pipe #(
    .W     (1 + USER_W),
    .STAGES(StDiv)
  ) u_user (
    .clk_i,
    .en_i  (advance),
    .data_i({p2_rd_last, {Blocks{p2_rd_sum, !p2_rd_row_m[IN_W-1], p2_rd_row_m[IN_W-2:0]}},
             p2_rd_err_keep, p2_rd_err_len, p2_rd_fmt ? 5'(p2_rd_ks) : 5'd0}),
    .data_o({p2_div_last, p2_div_user})
  );

  for (genvar i = 0; i < LANES; i++) begin : gen_keep
    assign p2_div_keep[i] = p2_div_code[i] != CodeAbsent;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) p2_valid <= '0;
    else if (advance) p2_valid <= StDiv'({p2_valid, p2_rd_valid});
  end

  sn_row_output #(
    .LANES (LANES),
    .OUT_W (8),
    .USER_W(USER_W),
    .REG   (OUT_REG)
  ) u_output (
    .clk_i,
    .rst_ni,
    .advance_o(advance),
    .valid_i  (p2_valid[StDiv]),
    .data_i   (p2_div_out),
    .keep_i   (p2_div_keep),
    .last_i   (p2_div_last),
    .user_i   (p2_div_user),
    .m_axis_tdata,
    .m_axis_tkeep,
    .m_axis_tlast,
    .m_axis_tuser,
    .m_axis_tvalid,
    .m_axis_tready
  );
endmodule
