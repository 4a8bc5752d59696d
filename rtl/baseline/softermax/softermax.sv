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
// Contract (the same for every unit of the library, docs/stream.md):
//   - s_axis: LANES bytes a beat. tkeep marks the row's elements; tkeep with tstrb = 0 is a masked
//     element: it counts nowhere and comes out as 0. tie s_axis_tstrb to s_axis_tkeep if unused.
//   - m_axis: one beat for each stored input beat, same tkeep; tuser = {err_keep, err_len,
//     exponent[4:0]}, constant over the row; the exponent is 0.
//
// Throughput: one beat a clock for ever, rows of any length, when neither side stalls.
// Latency: from the transfer of a row's last beat to that of its first output beat
//   LATENCY = 10 + T clocks, T = floor(clog2(LANES) / 3): 10 to LANES 4, 11 to LANES 32, 12 with 64.
// Storage: a ring of ceil(MAX_LEN/LANES) + 7 + T beats of 16 LANES + 8 bits between the passes, and
//   as many row entries of 17 bits.
//
/// s_axis_tready is a flip-flop. m_axis_tready enables the registers of pass 2 and goes no further.

module softermax #(
  parameter  int LANES   = 32,    // 1, 2, 4, 8, 16, 32, 64: elements a beat
  parameter  int MAX_LEN = 1024,  // LANES .. 65536: elements a row; longer rows are cut there
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

  localparam int MaxBeats = (MAX_LEN + LANES - 1) / LANES;
  localparam int SumW     = 6 + ((MAX_LEN > 2) ? $clog2(MAX_LEN) : 1);
  localparam int EW       = $clog2(SumW - 5);
  localparam int BeatW    = 16 * LANES + 7;
  localparam int RowW     = 2 + 7 + 8;

  // Stages of pass 1: valid[s] tells that stage s holds a beat. Stage 0 is the guard's register.
  localparam int Tree       = $clog2(LANES) / 3;
  localparam int StMax      = 1;              // running maximum
  localparam int StPow      = StMax + 1;      // numerators: written to the row buffer from here
  localparam int StBeat     = StPow + Tree;   // sum over the beat
  localparam int StSum      = StBeat + 1;     // S
  localparam int StRow      = StSum + 2;      // its reciprocal: the row is closed from here
  localparam int Turnaround = StRow + 2;      // + accept, + the row buffer's count of closed beats

  // No numerator: an element that is not there. A masked one has the numerator 0.
  localparam logic [15:0] Absent = '1;

  // ---------------------------------------------------------------------------------- stage 0: guard
  // What every beat carries along pass 1.
  typedef struct packed {
    logic err_keep;  // the row's flags so far
    logic err_len;
    logic first;     // first beat of its row
    logic store;     // has a place in the row buffer
    logic last;      // ... and is the last of its row there
    logic close;     // the row is complete
  } ctl_t;
  ctl_t s0_ctl, max_ctl, pow_ctl, beat_ctl, sum_ctl, row_ctl;
  localparam int CtlW = 6;  // bits of ctl_t: not every tool takes $bits of a type here

  logic                  take, unused_cfg;
  logic [LANES-1:0][7:0] in_key, s0_key;
  logic [LANES-1:0]      s0_keep, s0_active;
  logic [StRow:0]        valid;
  logic                  s0_valid;
  logic [StRow-1:0]      valid_q;

  // From here on an element is its key x + 128, unsigned. The guard makes those of masked lanes 0.
  for (genvar i = 0; i < LANES; i++) begin : gen_key
    assign in_key[i] = {!s_axis_tdata[8*i+7], s_axis_tdata[8*i+:7]};
  end

  sn_row_guard #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN),
    .LANE_W (8),
    .CFG_W  (1)
  ) u_guard (
    .clk_i,
    .rst_ni,
    .s_axis_tdata  (in_key),
    .s_axis_tkeep,
    .s_axis_tstrb,
    .s_axis_tlast,
    .s_axis_tvalid,
    .s_axis_tready,
    .cfg_i         (1'b0),  // no settings
    .take_o        (take),
    .valid_o       (s0_valid),
    .store_o       (s0_ctl.store),
    .first_o       (s0_ctl.first),
    .stored_last_o (s0_ctl.last),
    .close_o       (s0_ctl.close),
    .data_o        (s0_key),
    .keep_o        (s0_keep),
    .active_o      (s0_active),
    .cfg_o         (unused_cfg),
    .row_err_len_o (s0_ctl.err_len),
    .row_err_keep_o(s0_ctl.err_keep),
    .err_len_o,
    .err_keep_o
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= valid[StRow-1:0];
  end
  assign valid = {valid_q, s0_valid};

  // ----------------------------------------------------------- stage StMax: maximum, keys beside it
  // Beside the maximum a lane has 9 bits: {active, key}. A lane that is not active has no key, and
  // bit 0 tells a masked element from none.
  logic [LANES-1:0][8:0] s0_lane, max_lane;
  logic [7:0]            max_m, unused_prev;
  logic [8:0]            max_up;

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    assign s0_lane[i] = {s0_active[i], s0_key[i][7:1], s0_active[i] ? s0_key[i][0] : s0_keep[i]};
  end

  sn_row_max #(
    .LANES(LANES)
  ) u_max (
    .clk_i,
    .load_i (s0_valid),
    .key_i  (s0_key),
    .first_i(s0_ctl.first),
    .max_o  (max_m),
    .prev_o (unused_prev)
  );

  // The ceiling of the maximum is the maximum of the ceilings, for one adder in place of LANES.
  assign max_up = 9'(max_m) + 9'd3;

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

  // -------------------------------------------------------------------- stage StPow: the numerators
  logic [LANES-1:0][15:0] pow_d, pow_p, pow_word;
  logic [LANES-1:0]       max_keep, pow_keep;
  logic [6:0]             pow_m;

  for (genvar i = 0; i < LANES; i++) begin : gen_power
    softermax_power u_power (
      .max_i   (max_up[8:2]),
      .key_i   (max_lane[i][7:0]),
      .active_i(max_lane[i][8]),
      .p_o     (pow_d[i])
    );
    assign max_keep[i] = max_lane[i][8] || max_lane[i][0];
    assign pow_word[i] = pow_keep[i] ? pow_p[i] : Absent;
  end

  sn_pipe #(
    .W     (CtlW + 7 + 17 * LANES),
    .STAGES(1)
  ) u_pow (
    .clk_i,
    .en_i  (1'b1),
    .data_i({max_ctl, max_up[8:2], pow_d, max_keep}),
    .data_o({pow_ctl, pow_m, pow_p, pow_keep})
  );

  // --------------------------------------------------- stages to StRow: sum, reciprocal, row is closed
  logic [6:0]      beat_m, sum_m, row_m;
  logic [SumW-1:0] sum;
  logic [EW-1:0]   row_shift;
  logic [7:0]      row_r;

  sn_pipe #(
    .W     (CtlW + 7),
    .STAGES(Tree)
  ) u_beat (
    .clk_i,
    .en_i  (1'b1),
    .data_i({pow_ctl, pow_m}),
    .data_o({beat_ctl, beat_m})
  );

  softermax_reduction #(
    .LANES(LANES),
    .SUM_W(SumW)
  ) u_reduction (
    .clk_i,
    .load_i    (valid[StSum-1]),
    .p_i       (pow_p),
    .first_i   (beat_ctl.first),
    .max_i     (beat_m),
    .last_max_i(sum_m),
    .sum_o     (sum)
  );

  sn_pipe #(
    .W     (CtlW + 7),
    .STAGES(1)
  ) u_sum_ctl (
    .clk_i,
    .en_i  (1'b1),
    .data_i({beat_ctl, beat_m}),
    .data_o({sum_ctl, sum_m})
  );

  softermax_reciprocal #(
    .SUM_W(SumW)
  ) u_reciprocal (
    .clk_i,
    .load_i (valid[StSum] && sum_ctl.close),
    .sum_i  (sum),
    .shift_o(row_shift),
    .r_o    (row_r)
  );

  sn_pipe #(
    .W     (CtlW + 7),
    .STAGES(2)
  ) u_row_ctl (
    .clk_i,
    .en_i  (1'b1),
    .data_i({sum_ctl, sum_m}),
    .data_o({row_ctl, row_m})
  );

  logic unused;
  assign unused = ^{row_ctl.first, row_ctl.last, unused_cfg, unused_prev, max_up[1:0]};

  // -------------------------------------------------------------------------------------- row buffer
  logic                   advance, rd_valid, rd_last, rd_err_keep, rd_err_len;
  logic [LANES-1:0][15:0] rd_p;
  logic [6:0]             rd_m, rd_base;
  logic [7:0]             rd_r;

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
    .wr_en_i    (valid[StPow] && pow_ctl.store),
    .wr_beat_i  ({pow_m, pow_word}),
    .wr_last_i  (pow_ctl.last),
    .done_i     (valid[StRow] && row_ctl.store),
    .close_i    (valid[StRow] && row_ctl.close),
    .close_row_i({row_ctl.err_keep, row_ctl.err_len, row_m + 7'(row_shift), row_r}),
    .advance_i  (advance),
    .valid_o    (rd_valid),
    .beat_o     ({rd_m, rd_p}),
    .last_o     (rd_last),
    .row_o      ({rd_err_keep, rd_err_len, rd_base, rd_r})
  );

  // ------------------------------------------------------------------------------ pass 2 and output
  logic                  norm_valid_q, norm_last_q;
  logic [USER_W-1:0]     norm_user_q;
  logic [LANES-1:0]      norm_keep;
  logic [LANES-1:0][7:0] norm_out;

  softermax_normalise #(
    .LANES(LANES)
  ) u_normalise (
    .clk_i,
    .advance_i(advance && rd_valid),
    .p_i      (rd_p),
    .max_i    (rd_m),
    .base_i   (rd_base),
    .r_i      (rd_r),
    .keep_o   (norm_keep),
    .out_o    (norm_out)
  );

  always_ff @(posedge clk_i) begin
    if (advance && rd_valid) begin
      norm_last_q <= rd_last;
      norm_user_q <= {rd_err_keep, rd_err_len, 5'd0};
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) norm_valid_q <= 1'b0;
    else if (advance) norm_valid_q <= rd_valid;
  end

  sn_row_output #(
    .LANES(LANES),
    .OUT_W(8)
  ) u_output (
    .clk_i,
    .rst_ni,
    .advance_o(advance),
    .valid_i  (norm_valid_q),
    .data_i   (norm_out),
    .keep_i   (norm_keep),
    .last_i   (norm_last_q),
    .user_i   (norm_user_q),
    .m_axis_tdata,
    .m_axis_tkeep,
    .m_axis_tlast,
    .m_axis_tuser,
    .m_axis_tvalid,
    .m_axis_tready
  );
endmodule
