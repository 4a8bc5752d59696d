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
//   y_i   = log2exp(m_t - x_i)                               4 bits (EXP_FRAC = 1: 5)
//   Sum_t = (Sum_(t-1) >> log2exp(m_t - m_(t-1))) + sum of 2^(15 - y_i)     16 + clog2(MAX_LEN) bits
//   k_i   = y_i + log2exp(m_L - m_t),  ks = floor(log2 Sum) - 15,  C = DIV_C[bits after the leading one]
//   out_i = rnd(C / 2^(k_i + ks))  cfg_fmt_i = 0, linear:     value out * 2^-8
//   out_i = rnd(C / 2^k_i)         cfg_fmt_i = 1, row-scaled: value out * 2^-(8 + ks), ks in tuser
//
// Contract (the same for every unit of the library, docs/stream.md):
//   - s_axis: LANES bytes a beat. tkeep marks the row's elements; tkeep with tstrb = 0 is a masked
//     element: it counts nowhere and comes out as 0. tie s_axis_tstrb to s_axis_tkeep if unused.
//   - m_axis: one beat for each stored input beat, same tkeep; tuser = {err_keep, err_len,
//     exponent[4:0]}, constant over the row.
//   - cfg_*_i are taken with the first beat of each row.
//
// Throughput: one beat a clock for ever, rows of any length, when neither side stalls.
// Latency: from the transfer of a row's last beat to that of its first output beat
//   LATENCY = 9 + T clocks, T = floor(clog2(LANES) / 3): 9 to LANES 4, 10 to LANES 32, 11 with 64.
// Storage: a ring of ceil(MAX_LEN/LANES) + 7 + T beats of (4 + EXP_FRAC) LANES + 9 bits between the
//   passes, and as many row entries of 14 + clog2(clog2(MAX_LEN) + 1) + DIV_BITS bits.
//
/// s_axis_tready is a flip-flop. m_axis_tready enables the registers of pass 2 and goes no further.

module e2softmax #(
  parameter  int LANES    = 32,    // 1, 2, 4, 8, 16, 32, 64: elements a beat
  parameter  int MAX_LEN  = 1024,  // LANES .. 65536: elements a row; longer rows are cut there
  parameter  int DIV_BITS = 1,     // 1 .. 4: bits of Sum the divider looks at; 1 is the paper's
  parameter  int EXP_FRAC = 0,     // 0: codes in octaves (paper), 1: in half octaves
  localparam int USER_W   = 7
) (
  input  logic               clk_i,
  input  logic               rst_ni,  // asynchronous assert, synchronous release

  input  logic [2:0]         cfg_frac_i,  // F
  input  logic               cfg_fmt_i,   // 0 linear, 1 row-scaled

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

  localparam int MaxBeats = (MAX_LEN + LANES - 1) / LANES;
  localparam int CodeW    = 4 + EXP_FRAC;
  localparam int LenW     = $clog2(MAX_LEN);
  localparam int SumW     = 16 + LenW;
  localparam int KsW      = (LenW > 0) ? $clog2(LenW + 1) : 1;
  localparam int CfgW     = 4;
  localparam int BeatW    = CodeW * LANES + 8;
  localparam int RowW     = 2 + 8 + CfgW + KsW + DIV_BITS;

  // Stages of pass 1: valid[s] tells that stage s holds a beat. Stage 0 is the guard's register.
  localparam int Tree     = $clog2(LANES) / 3;
  localparam int StMax    = 1;             // running maximum
  localparam int StCode   = StMax + 1;     // codes: written to the row buffer from here
  localparam int StBeat   = StCode + Tree; // where the beat's sum joins Sum
  localparam int StSum    = StBeat + 1;    // Sum: the row is closed from here
  localparam int Turnaround = StSum + 2;   // + accept, + the row buffer's count of closed beats

  // The top two codes of the buffer are no codes: an element that is masked and one that is not
  // there. Their own codes may share them, since both give 0 in any case (e2softmax_log_div), so
  // masks and tkeep take no bit.
  localparam logic [CodeW-1:0] CodeAbsent = '1;
  localparam logic [CodeW-1:0] CodeZero   = CodeAbsent - CodeW'(1);

  // ---------------------------------------------------------------------------------- stage 0: guard
  // What every beat carries along pass 1.
  typedef struct packed {
    logic       err_keep;  // the row's flags so far
    logic       err_len;
    logic       fmt;       // the row's settings
    logic [2:0] frac;
    logic       first;     // first beat of its row
    logic       store;     // has a place in the row buffer
    logic       last;      // ... and is the last of its row there
    logic       close;     // the row is complete
  } ctl_t;
  ctl_t s0_ctl, max_ctl, code_ctl, beat_ctl, sum_ctl;
  localparam int CtlW = 10;  // bits of ctl_t: not every tool takes $bits of a type here

  logic                  take;
  logic [LANES-1:0][7:0] in_key, s0_key;
  logic [LANES-1:0]      s0_keep, s0_active;
  logic [StSum:0]        valid;
  logic                  s0_valid;
  logic [StSum-1:0]      valid_q;

  // From here on an element is its key x + 128, unsigned. The guard makes those of masked lanes 0.
  for (genvar i = 0; i < LANES; i++) begin : gen_key
    assign in_key[i] = {!s_axis_tdata[8*i+7], s_axis_tdata[8*i+:7]};
  end

  sn_row_guard #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN),
    .LANE_W (8),
    .CFG_W  (CfgW)
  ) u_guard (
    .clk_i,
    .rst_ni,
    .s_axis_tdata  (in_key),
    .s_axis_tkeep,
    .s_axis_tstrb,
    .s_axis_tlast,
    .s_axis_tvalid,
    .s_axis_tready,
    .cfg_i         ({cfg_fmt_i, cfg_frac_i}),
    .take_o        (take),
    .valid_o       (s0_valid),
    .store_o       (s0_ctl.store),
    .first_o       (s0_ctl.first),
    .stored_last_o (s0_ctl.last),
    .close_o       (s0_ctl.close),
    .data_o        (s0_key),
    .keep_o        (s0_keep),
    .active_o      (s0_active),
    .cfg_o         ({s0_ctl.fmt, s0_ctl.frac}),
    .row_err_len_o (s0_ctl.err_len),
    .row_err_keep_o(s0_ctl.err_keep),
    .err_len_o,
    .err_keep_o
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= valid[StSum-1:0];
  end
  assign valid = {valid_q, s0_valid};

  // ----------------------------------------------------------- stage StMax: maximum, keys beside it
  // Beside the maximum a lane has 9 bits: {active, key}. A lane that is not active has no key, and
  // bit 0 tells a masked element from none.
  logic [LANES-1:0][8:0] s0_lane, max_lane;
  logic [7:0]            max_m, max_prev;

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    assign s0_lane[i] = {s0_active[i], s0_key[i][7:1], s0_active[i] ? s0_key[i][0] : s0_keep[i]};
  end

  sn_row_max #(
    .LANES(LANES)
  ) u_max (
    .clk_i,
    .load_i  (s0_valid),
    .key_i   (s0_key),
    .first_i (s0_ctl.first),
    .max_o   (max_m),
    .prev_o  (max_prev)
  );

  sn_pipe #(
    .W     (9 * LANES),
    .STAGES(1)
  ) u_max_lane (
    .clk_i,
    .en_i  (1'b1),
    .data_i(s0_lane),
    .data_o(max_lane)
  );

  sn_pipe #(
    .W     (CtlW),
    .STAGES(1)
  ) u_max_ctl (
    .clk_i,
    .en_i  (1'b1),
    .data_i(s0_ctl),
    .data_o(max_ctl)
  );

  // ------------------------------------------------------------------------ stage StCode: the codes
  // A lane that is not active has its word of the row buffer in place of a code.
  logic [LANES-1:0][CodeW-1:0] code_d, code_y, code_word;
  logic [LANES-1:0]            max_active, code_active;
  logic [CodeW-1:0]            rise_d, code_rise;
  logic [7:0]                  code_m;

  for (genvar i = 0; i < LANES; i++) begin : gen_code
    logic [CodeW-1:0] code;
    e2softmax_log2exp #(
      .EXP_FRAC(EXP_FRAC)
    ) u_log2exp (
      .d_i   (max_m - max_lane[i][7:0]),
      .frac_i(max_ctl.frac),
      .code_o(code)
    );
    assign max_active[i] = max_lane[i][8];
    assign code_d[i]     = max_active[i] ? code : max_lane[i][0] ? CodeZero : CodeAbsent;
    assign code_word[i]  = (code_active[i] && code_y[i] == CodeAbsent) ? CodeZero : code_y[i];
  end

  e2softmax_log2exp #(
    .EXP_FRAC(EXP_FRAC)
  ) u_rise (
    .d_i   (max_m - max_prev),
    .frac_i(max_ctl.frac),
    .code_o(rise_d)
  );

  sn_pipe #(
    .W     (CtlW + 8 + CodeW + (CodeW + 1) * LANES),
    .STAGES(1)
  ) u_code (
    .clk_i,
    .en_i  (1'b1),
    .data_i({max_ctl, max_m, rise_d, code_d, max_active}),
    .data_o({code_ctl, code_m, code_rise, code_y, code_active})
  );

  // ------------------------------------------------------------- stages to StSum: sum, row is closed
  logic [CodeW-1:0] beat_rise;
  logic [7:0]       beat_m, sum_m;
  logic [SumW-1:0]  sum;

  sn_pipe #(
    .W     (CtlW + 8 + CodeW),
    .STAGES(Tree)
  ) u_beat (
    .clk_i,
    .en_i  (1'b1),
    .data_i({code_ctl, code_m, code_rise}),
    .data_o({beat_ctl, beat_m, beat_rise})
  );

  e2softmax_reduction #(
    .LANES   (LANES),
    .SUM_W   (SumW),
    .EXP_FRAC(EXP_FRAC)
  ) u_reduction (
    .clk_i,
    .load_i     (valid[StSum-1]),
    .code_i     (code_y),
    .active_i   (code_active),
    .first_i    (beat_ctl.first),
    .rise_code_i(beat_rise),
    .sum_o      (sum)
  );

  sn_pipe #(
    .W     (CtlW + 8),
    .STAGES(1)
  ) u_sum_ctl (
    .clk_i,
    .en_i  (1'b1),
    .data_i({beat_ctl, beat_m}),
    .data_o({sum_ctl, sum_m})
  );

  // Sum is 0 or at least 2^15: its leading one is at bit 15 + ks.
  logic [KsW-1:0]      sum_ks;
  logic [DIV_BITS-1:0] sum_bin;

  sn_leading_one #(
    .W   (LenW + 1),
    .FRAC(DIV_BITS)
  ) u_leading_one (
    .data_i(sum[SumW-1:15-DIV_BITS]),
    .pos_o (sum_ks),
    .frac_o(sum_bin)
  );

  logic unused;
  assign unused = ^{sum_ctl.first, sum_ctl.last, sum[14-DIV_BITS:0]};

  // -------------------------------------------------------------------------------------- row buffer
  logic                        advance, rd_valid, rd_last;
  logic [LANES-1:0][CodeW-1:0] div_code;  // two clocks later
  logic [7:0]                  rd_m, rd_row_m;
  logic [KsW-1:0]              rd_ks;
  logic [DIV_BITS-1:0]         rd_bin;
  logic                        rd_err_keep, rd_err_len, rd_fmt;
  logic [2:0]                  rd_frac;

  sn_row_buffer #(
    .BEAT_W    (BeatW),
    .ROW_W     (RowW),
    .MAX_BEATS (MaxBeats),
    .TURNAROUND(Turnaround),
    .READ_DELAY(2),
    .FIRST_W   (8)
  ) u_row_buffer (
    .clk_i,
    .rst_ni,
    .take_i     (take),
    .ready_o    (s_axis_tready),
    .wr_en_i    (valid[StCode] && code_ctl.store),
    .wr_beat_i  ({code_word, code_m}),
    .wr_last_i  (code_ctl.last),
    .done_i     (valid[StSum] && sum_ctl.store),
    .close_i    (valid[StSum] && sum_ctl.close),
    .close_row_i({sum_ctl.err_keep, sum_ctl.err_len, sum_ctl.fmt, sum_ctl.frac, sum_m, sum_ks, sum_bin}),
    .advance_i  (advance),
    .valid_o    (rd_valid),
    .beat_o     ({div_code, rd_m}),
    .last_o     (rd_last),
    .row_o      ({rd_err_keep, rd_err_len, rd_fmt, rd_frac, rd_row_m, rd_ks, rd_bin})
  );

  // ------------------------------------------------------------------------------ pass 2 and output
  // The row buffer's output is stage 0, its codes come with stage 2.
  logic [2:1]            p_valid;
  logic                  div_last;
  logic [USER_W-1:0]     div_user;
  logic [LANES-1:0]      div_keep;
  logic [LANES-1:0][7:0] div_out;

  e2softmax_log_div #(
    .LANES   (LANES),
    .KS_W    (KsW),
    .DIV_BITS(DIV_BITS),
    .EXP_FRAC(EXP_FRAC)
  ) u_log_div (
    .clk_i,
    .advance_i   (advance),
    .beat_max_i  (rd_m),
    .row_max_i   (rd_row_m),
    .frac_i      (rd_frac),
    .row_scaled_i(rd_fmt),
    .ks_i        (rd_ks),
    .bin_i       (rd_bin),
    .code_i      (div_code),
    .out_o       (div_out)
  );

  sn_pipe #(
    .W     (1 + USER_W),
    .STAGES(2)
  ) u_user (
    .clk_i,
    .en_i  (advance),
    .data_i({rd_last, rd_err_keep, rd_err_len, rd_fmt ? 5'(rd_ks) : 5'd0}),
    .data_o({div_last, div_user})
  );

  for (genvar i = 0; i < LANES; i++) begin : gen_keep
    assign div_keep[i] = div_code[i] != CodeAbsent;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) p_valid <= '0;
    else if (advance) p_valid <= {p_valid[1], rd_valid};
  end

  sn_row_output #(
    .LANES(LANES),
    .OUT_W(8)
  ) u_output (
    .clk_i,
    .rst_ni,
    .advance_o(advance),
    .valid_i  (p_valid[2]),
    .data_i   (div_out),
    .keep_i   (div_keep),
    .last_i   (div_last),
    .user_i   (div_user),
    .m_axis_tdata,
    .m_axis_tkeep,
    .m_axis_tlast,
    .m_axis_tuser,
    .m_axis_tvalid,
    .m_axis_tready
  );
endmodule
