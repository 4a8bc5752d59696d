// SPDX-License-Identifier: Apache-2.0
// Softermax, a baseline: base-2 softmax over rows of int8 logits (Stevens et al., DAC 2021).
//
//            pass 1: LANES elements a clock                    pass 2: LANES elements a clock
//   s_axis --> row guard --> max tree, online, ceiling         m_axis <--[reg]-- >> k --> multipliers
//                 |               | m_t                                           ^           ^
//                 |  x            v                                   numerators  |           | r
//                 +---------> 2^(x/4 - m_t) --> numerators --> [ row buffer ]-----+-----------+
//                                                    |                            | row: m_L + e, r
//                                                    +--> reduction, online --> leading one, 8 lines
//                                                         renormalisation  S
//
//   x int8, Q(6,2), to base 2                                m_t running maximum, m_L the row's
//   m_t  = max(m_(t-1), ceilings of x / 4)                   whole numbers: every correction is a shift
//   p_i  = POW2[x_i & 3] >> (m_t - (x_i >> 2))               Q(1,15), POW2[f] ~ 2^15 * 2^(f/4)
//   S_t  = (S_(t-1) >> (m_t - m_(t-1))) + rnd(sum of p_i)    6 fraction bits, Q(10,6) to MAX_LEN 1024
//   S    = 2^e * v, 1 <= v < 2;  r ~ 1/v                     Q(1,7)
//   out  = rnd((p_i >> (m_L - m_t + e)) * r)                 Q(1,7), real value out * 2^-7
//
// Contract: docs/stream.md. The exponent in m_axis_tuser is 0.
//
// Throughput: one beat a clock for ever, rows of any length, when neither side stalls.
// Latency: from the transfer of a row's last beat to that of its first output beat
//   LATENCY = 10 + T clocks, T = floor(clog2(LANES) / 3): 10 to LANES 4, 11 to LANES 32, 12 with 64.
// Storage: a ring of ceil(MAX_LEN/LANES) + 7 + T beats of 16 LANES + 8 bits between the passes, and
//   as many row entries of 17 bits.
//
// s_axis_tready is a flip-flop. m_axis_tready enables the registers of pass 2 and goes no further.

module softermax #(
  parameter  int LANES   = 32,    // 1, 2, 4, 8, 16, 32, 64: elements a beat
  parameter  int MAX_LEN = 1024,  // LANES .. 65536: elements a row; longer rows are cut there
  parameter  int IN_REG   = 1,     // 0: no register behind the s_axis pins, and a clock less
  parameter  int OUT_REG  = 1,     // 0: none in front of the m_axis pins, and a clock less
  localparam int USER_W  = 7
) (
  input  logic               clk_i,
  input  logic               rst_ni,  // asynchronous assert, synchronous release

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
    softermax_error_LANES_must_be_1_2_4_8_16_32_or_64 u_stop ();
  end
  if (MAX_LEN < LANES || MAX_LEN > 65536) begin : gen_check_max_len
    softermax_error_MAX_LEN_must_be_from_LANES_to_65536 u_stop ();
  end
  if (IN_REG < 0 || IN_REG > 1) begin : gen_check_in_reg
    softermax_error_IN_REG_must_be_0_or_1 u_stop ();
  end
  if (OUT_REG < 0 || OUT_REG > 1) begin : gen_check_out_reg
    softermax_error_OUT_REG_must_be_0_or_1 u_stop ();
  end

  localparam int MaxBeats = (MAX_LEN + LANES - 1) / LANES;
  localparam int SumW     = 6 + ((MAX_LEN > 2) ? $clog2(MAX_LEN) : 1);
  localparam int EW       = $clog2(SumW - 5);
  localparam int BeatW    = 7 + 16 * LANES;  // m_t, numerators
  localparam int RowW     = 2 + 7 + 8;       // flags, m_L + e - 5, r
  localparam int CtlW     = 2 + 4;           // of ctl_t: no $bits in every tool

  // Stages of pass 1: p1_valid[s] tells that stage s holds a beat. Stage 0 is the guard's register.
  localparam int Tree       = $clog2(LANES) / 3;
  localparam int StMax      = 1;              // running maximum
  localparam int StPow      = StMax + 1;      // numerators: written to the row buffer from here
  localparam int StBeat     = StPow + Tree;   // sum over the beat
  localparam int StSum      = StBeat + 1;     // S
  localparam int StRow      = StSum + 2;      // its reciprocal: the row is closed from here
  localparam int Turnaround = StRow + 1 + IN_REG;  // + accept, + the row buffer's count of closed beats

  // No numerator: an element that is not there. A masked one has the numerator 0.
  localparam logic [15:0] Absent = '1;

  // ------------------------------------------------------- pass 1, stages 0 and StMax: guard, maximum
  // What every beat carries along pass 1.
  typedef struct packed {
    logic err_keep;  // the row's flags so far
    logic err_len;
    logic first;     // first beat of its row
    logic store;     // has a place in the row buffer
    logic last;      // ... and is the last of its row there
    logic close;     // the row is complete
  } ctl_t;
  ctl_t p1_in_ctl, p1_max_ctl, p1_pow_ctl, p1_beat_ctl, p1_sum_ctl, p1_row_ctl;

  logic                  take, unused_cfg;
  logic [StRow:0]        p1_valid;
  logic [LANES-1:0][8:0] p1_in_lane, p1_max_lane;  // {active, key}: see sn_max_front
  logic [7:0]            p1_max_m, unused_prev;
  logic [8:0]            p1_max_up;

  sn_max_front #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN),
    .CFG_W  (1),
    .STAGES (StRow),
    .IN_REG (IN_REG)
  ) u_front (
    .clk_i,
    .rst_ni,
    .cfg_i         (1'b0),  // no settings
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
    .cfg_o         (unused_cfg),
    .row_err_len_o (p1_in_ctl.err_len),
    .row_err_keep_o(p1_in_ctl.err_keep),
    .lane_o        (p1_in_lane),
    .start_i       (8'd0),
    .max_o         (p1_max_m),
    .prev_o        (unused_prev)
  );

  always_ff @(posedge clk_i) begin
    p1_max_ctl  <= p1_in_ctl;
    p1_max_lane <= p1_in_lane;
  end

  // The ceiling of the maximum is the maximum of the ceilings, for one adder in place of LANES.
  assign p1_max_up = 9'(p1_max_m) + 9'd3;

  // ----------------------------------------------------------- pass 1, stage StPow: the numerators
  logic [LANES-1:0][15:0] power, p1_pow_p, p1_pow_word;
  logic [LANES-1:0]       p1_pow_keep;
  logic [6:0]             p1_pow_m;

  for (genvar i = 0; i < LANES; i++) begin : gen_power
    softermax_power u_power (
      .max_i   (p1_max_up[8:2]),
      .key_i   (p1_max_lane[i][7:0]),
      .active_i(p1_max_lane[i][8]),
      .p_o     (power[i])
    );

    always_ff @(posedge clk_i) p1_pow_keep[i] <= p1_max_lane[i][8] || p1_max_lane[i][0];
    assign p1_pow_word[i] = p1_pow_keep[i] ? p1_pow_p[i] : Absent;
  end

  always_ff @(posedge clk_i) begin
    p1_pow_ctl <= p1_max_ctl;
    p1_pow_m   <= p1_max_up[8:2];
    p1_pow_p   <= power;
  end

  // ------------------------------------------ pass 1, stages to StRow: sum, reciprocal, row is closed
  logic [6:0]      p1_beat_m, p1_sum_m, p1_row_m;
  logic [SumW-1:0] p1_sum;
  logic [EW-1:0]   p1_row_shift;
  logic [7:0]      p1_row_r;

  sn_pipe #(
    .W     (CtlW + 7),
    .STAGES(Tree)
  ) u_beat (
    .clk_i,
    .en_i  (1'b1),
    .data_i({p1_pow_ctl, p1_pow_m}),
    .data_o({p1_beat_ctl, p1_beat_m})
  );

  softermax_reduction #(
    .LANES(LANES),
    .SUM_W(SumW)
  ) u_reduction (
    .clk_i,
    .load_i    (p1_valid[StBeat]),
    .p_i       (p1_pow_p),
    .first_i   (p1_beat_ctl.first),
    .max_i     (p1_beat_m),
    .last_max_i(p1_sum_m),
    .sum_o     (p1_sum)
  );

  always_ff @(posedge clk_i) begin
    p1_sum_ctl <= p1_beat_ctl;
    p1_sum_m   <= p1_beat_m;
  end

  softermax_reciprocal #(
    .SUM_W(SumW)
  ) u_reciprocal (
    .clk_i,
    .load_i (p1_valid[StSum] && p1_sum_ctl.close),
    .sum_i  (p1_sum),
    .shift_o(p1_row_shift),
    .r_o    (p1_row_r)
  );

  sn_pipe #(
    .W     (CtlW + 7),
    .STAGES(StRow - StSum)
  ) u_row_ctl (
    .clk_i,
    .en_i  (1'b1),
    .data_i({p1_sum_ctl, p1_sum_m}),
    .data_o({p1_row_ctl, p1_row_m})
  );

  logic unused;
  assign unused = ^{p1_row_ctl.first, p1_row_ctl.last, unused_cfg, unused_prev, p1_max_up[1:0]};

  // -------------------------------------------------------------------------------------- row buffer
  logic                   advance, p2_rd_valid, p2_rd_last, p2_rd_err_keep, p2_rd_err_len;
  logic [LANES-1:0][15:0] p2_rd_p;
  logic [6:0]             p2_rd_m, p2_rd_base;
  logic [7:0]             p2_rd_r;

  sn_row_buffer #(
    .BEAT_W    (BeatW),
    .ROW_W     (RowW),
    .MAX_BEATS (MaxBeats),
    .TURNAROUND(Turnaround)
  ) u_row_buffer (
    .clk_i,
    .rst_ni,
    .take_i     (take),
    .ready_o    (s_axis_tready),
    .wr_en_i    (p1_valid[StPow] && p1_pow_ctl.store),
    .wr_beat_i  ({p1_pow_m, p1_pow_word}),
    .wr_last_i  (p1_pow_ctl.last),
    .done_i     (p1_valid[StRow] && p1_row_ctl.store),
    .close_i    (p1_valid[StRow] && p1_row_ctl.close),
    .close_row_i({p1_row_ctl.err_keep, p1_row_ctl.err_len, p1_row_m + 7'(p1_row_shift), p1_row_r}),
    .advance_i  (advance),
    .valid_o    (p2_rd_valid),
    .beat_o     ({p2_rd_m, p2_rd_p}),
    .last_o     (p2_rd_last),
    .row_o      ({p2_rd_err_keep, p2_rd_err_len, p2_rd_base, p2_rd_r})
  );

  // ------------------------------------------------------------------------------ pass 2 and output
  logic                  p2_norm_valid, p2_norm_last;
  logic [USER_W-1:0]     p2_norm_user;
  logic [LANES-1:0]      p2_norm_keep;
  logic [LANES-1:0][7:0] p2_norm_out;

  softermax_normalise #(
    .LANES(LANES)
  ) u_normalise (
    .clk_i,
    .advance_i(advance && p2_rd_valid),
    .p_i      (p2_rd_p),
    .max_i    (p2_rd_m),
    .base_i   (p2_rd_base),
    .r_i      (p2_rd_r),
    .keep_o   (p2_norm_keep),
    .out_o    (p2_norm_out)
  );

  always_ff @(posedge clk_i) begin
    if (advance && p2_rd_valid) begin
      p2_norm_last <= p2_rd_last;
      p2_norm_user <= {p2_rd_err_keep, p2_rd_err_len, 5'd0};
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) p2_norm_valid <= 1'b0;
    else if (advance) p2_norm_valid <= p2_rd_valid;
  end

  sn_row_output #(
    .LANES(LANES),
    .OUT_W(8),
    .REG  (OUT_REG)
  ) u_output (
    .clk_i,
    .rst_ni,
    .advance_o(advance),
    .valid_i  (p2_norm_valid),
    .data_i   (p2_norm_out),
    .keep_i   (p2_norm_keep),
    .last_i   (p2_norm_last),
    .user_i   (p2_norm_user),
    .m_axis_tdata,
    .m_axis_tkeep,
    .m_axis_tlast,
    .m_axis_tuser,
    .m_axis_tvalid,
    .m_axis_tready
  );
endmodule
