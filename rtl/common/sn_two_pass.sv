// SPDX-License-Identifier: Apache-2.0
// Two passes over a row, for a softmax whose exponentials need the row's maximum: maximum, then sum.
//
//              pass 1                    pass 2
//   s_axis --> guard --> maximum   +--> m - x ==> code, share --> sum          to pass 3
//                |          | m    |                 |              |
//                |  x       v      |                 |              v
//                +-----> [ ring 1: x ]               +--> [ ring 2: codes ] --> codes of a beat
//                                                                  |    ==> row word --> of its row
//
// What a unit puts in at the arrows ==> , each with a register of its own behind every step:
//   elem_*  from an element's distance d = m - x: its code, and its share of the sum         2 clocks
//   row_*   from the row's sum: a word that pass 3 needs with the codes                      2 clocks
//
// The sum is exact and has SHARE_W + clog2(MAX_LEN) bits. A masked element has no share and gets
// ZERO_CODE; ABSENT_CODE, which no element may have, means that there is none.
//
// Throughput: one beat a clock for ever, rows of any length, when neither side stalls.
// Latency: pass 2 takes a row's first beat 4 clocks after the transfer of its last one, or right
//   behind the row before; valid_o has it T + 8 clocks after pass 2 has had the last, or right behind
//   the row before. T = floor(clog2(LANES) / 3).
// Storage: rings of ceil(MAX_LEN/LANES) + 3 beats of 9 LANES + 1 bits and as many rows of
//   10 + CFG_W bits, and of ceil(MAX_LEN/LANES) + T + 7 beats of CODE_W LANES + 1 bits and as many rows
//   of 2 + ROW_W bits.
//
/// Pass 2 takes a beat from ring 1 only when ring 2 has a slot for it, so that nothing behind it ever
/// has to wait. s_axis_tready is a flip-flop. For a softmax that selects its outputs by the code see
/// sn_three_pass; for a sum that can be made while the maximum still grows see e2softmax.

module sn_two_pass #(
  parameter  int LANES       = 32,
  parameter  int MAX_LEN     = 1024,
  parameter  int CFG_W       = 3,
  parameter  int CODE_W      = 4,
  parameter  int SHARE_W     = 8,
  parameter  int ROW_W       = 8,
  parameter  int ZERO_CODE   = 0,
  parameter  int ABSENT_CODE = 15,
  localparam int SUM_W       = SHARE_W + $clog2(MAX_LEN)
) (
  input  logic                          clk_i,
  input  logic                          rst_ni,
  input  logic [CFG_W-1:0]              cfg_i,

  input  logic [8*LANES-1:0]            s_axis_tdata,
  input  logic [LANES-1:0]              s_axis_tkeep,
  input  logic [LANES-1:0]              s_axis_tstrb,
  input  logic                          s_axis_tlast,
  input  logic                          s_axis_tvalid,
  output logic                          s_axis_tready,

  output logic                          err_len_o,
  output logic                          err_keep_o,

  // An element: what goes in and, two clocks later, comes out.
  output logic [LANES-1:0][7:0]         elem_d_o,
  output logic [CFG_W-1:0]              elem_cfg_o,
  input  logic [LANES-1:0][CODE_W-1:0]  elem_code_i,
  input  logic [LANES-1:0][SHARE_W-1:0] elem_share_i,
  // A row.
  output logic [SUM_W-1:0]              row_sum_o,
  input  logic [ROW_W-1:0]              row_word_i,

  // To pass 3: everything holds while advance_i is low.
  input  logic                          advance_i,
  output logic                          valid_o,
  output logic [LANES-1:0][CODE_W-1:0]  code_o,
  output logic                          last_o,
  output logic                          row_err_keep_o,
  output logic                          row_err_len_o,
  output logic [ROW_W-1:0]              row_word_o
);
  localparam int MaxBeats = (MAX_LEN + LANES - 1) / LANES;
  localparam int Tree     = $clog2(LANES) / 3;

  // Stages of pass 1: valid[s] tells that stage s holds a beat. Stage 0 is the guard's register.
  localparam int StMax       = 1;               // running maximum: the row is closed from here
  localparam int Turnaround1 = StMax + 2;       // + accept, + the row buffer's count of closed beats
  // Stages of pass 2; ring 1 puts out stage 0.
  localparam int StCode      = 3;               // d, then the unit's two steps
  localparam int StSum       = StCode + Tree + 1;
  localparam int StRow       = StSum + 2;       // the unit's two steps: the row is closed from here
  localparam int Turnaround2 = StRow + 1;

  // --------------------------------------------------------------------------------- pass 1: maximum
  typedef struct packed {
    logic [CFG_W-1:0] cfg;
    logic             err_keep;  // the row's flags so far
    logic             err_len;
    logic             first;     // first beat of its row
    logic             store;     // has a place in ring 1
    logic             close;     // the row is complete
  } ctl_t;
  ctl_t s0_ctl, max_ctl;
  localparam int CtlW = CFG_W + 5;  // bits of ctl_t: not every tool takes $bits of a type here

  logic                  take, s0_valid, s0_last;
  logic [LANES-1:0][7:0] in_key, s0_key;
  logic [LANES-1:0]      s0_keep, s0_active;
  logic [StMax:0]        valid;
  logic [StMax-1:0]      valid_q;
  logic [7:0]            max_m, unused_prev;

  // From here on an element is its key x + 128, unsigned. The guard makes those of masked lanes 0.
  for (genvar i = 0; i < LANES; i++) begin : gen_key
    assign in_key[i] = {!s_axis_tdata[8*i+7], s_axis_tdata[8*i+:7]};
  end

  sn_row_guard #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN),
    .LANE_W (8),
    .CFG_W  (CFG_W)
  ) u_guard (
    .clk_i,
    .rst_ni,
    .s_axis_tdata  (in_key),
    .s_axis_tkeep,
    .s_axis_tstrb,
    .s_axis_tlast,
    .s_axis_tvalid,
    .s_axis_tready,
    .cfg_i,
    .take_o        (take),
    .valid_o       (s0_valid),
    .store_o       (s0_ctl.store),
    .first_o       (s0_ctl.first),
    .stored_last_o (s0_last),
    .close_o       (s0_ctl.close),
    .data_o        (s0_key),
    .keep_o        (s0_keep),
    .active_o      (s0_active),
    .cfg_o         (s0_ctl.cfg),
    .row_err_len_o (s0_ctl.err_len),
    .row_err_keep_o(s0_ctl.err_keep),
    .err_len_o,
    .err_keep_o
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= valid[StMax-1:0];
  end
  assign valid = {valid_q, s0_valid};

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

  sn_pipe #(
    .W     (CtlW),
    .STAGES(1)
  ) u_max_ctl (
    .clk_i,
    .en_i  (1'b1),
    .data_i(s0_ctl),
    .data_o(max_ctl)
  );

  // A lane's word in ring 1: {active, key}. A lane that is not active has no key, and bit 0 tells a
  // masked element from none.
  logic                  q0_valid, q0_last, q0_err_keep, q0_err_len, ring2_ready, q0_go;
  logic [LANES-1:0][8:0] wr_lane, q0_lane;
  logic [CFG_W-1:0]      q0_cfg;
  logic [7:0]            q0_m;

  for (genvar i = 0; i < LANES; i++) begin : gen_wr_lane
    assign wr_lane[i] = {s0_active[i], s0_key[i][7:1], s0_active[i] ? s0_key[i][0] : s0_keep[i]};
  end

  sn_row_buffer #(
    .BEAT_W    (9 * LANES),
    .ROW_W     (10 + CFG_W),
    .MAX_BEATS (MaxBeats),
    .TURNAROUND(Turnaround1)
  ) u_ring1 (
    .clk_i,
    .rst_ni,
    .take_i     (take),
    .ready_o    (s_axis_tready),
    .wr_en_i    (s0_valid && s0_ctl.store),
    .wr_beat_i  (wr_lane),
    .wr_last_i  (s0_last),
    .done_i     (valid[StMax] && max_ctl.store),
    .close_i    (valid[StMax] && max_ctl.close),
    .close_row_i({max_ctl.err_keep, max_ctl.err_len, max_ctl.cfg, max_m}),
    .advance_i  (ring2_ready),
    .valid_o    (q0_valid),
    .beat_o     (q0_lane),
    .last_o     (q0_last),
    .row_o      ({q0_err_keep, q0_err_len, q0_cfg, q0_m})
  );

  // ------------------------------------------------------------------------------------- pass 2: sum
  logic [StRow:1]        q_valid;
  logic                  q0_start_q;  // the next beat is its row's first
  logic [LANES-1:0][7:0] q0_d;
  logic [LANES-1:0]      q0_active, q0_keep, code_active, code_keep;
  logic                  code_last, code_first, sum_last, sum_first, row_last;
  logic                  row_err_keep, row_err_len;

  assign q0_go = q0_valid && ring2_ready;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      q_valid    <= '0;
      q0_start_q <= 1'b1;
    end else begin
      q_valid <= {q_valid[StRow-1:1], q0_go};
      if (q0_go) q0_start_q <= q0_last;
    end
  end

  for (genvar i = 0; i < LANES; i++) begin : gen_q0
    assign q0_active[i] = q0_lane[i][8];
    assign q0_keep[i]   = q0_lane[i][8] || q0_lane[i][0];
    assign q0_d[i]      = q0_m - q0_lane[i][7:0];
  end

  sn_pipe #(
    .W     (8 * LANES + CFG_W),
    .STAGES(1)
  ) u_d (
    .clk_i,
    .en_i  (1'b1),
    .data_i({q0_d, q0_cfg}),
    .data_o({elem_d_o, elem_cfg_o})
  );

  sn_pipe #(
    .W     (2 * LANES + 2),
    .STAGES(StCode)
  ) u_code (
    .clk_i,
    .en_i  (1'b1),
    .data_i({q0_active, q0_keep, q0_last, q0_start_q}),
    .data_o({code_active, code_keep, code_last, code_first})
  );

  localparam int                BeatW  = SHARE_W + $clog2(LANES);
  localparam logic [CODE_W-1:0] Zero   = CODE_W'(ZERO_CODE);
  localparam logic [CODE_W-1:0] Absent = CODE_W'(ABSENT_CODE);
  logic [LANES-1:0][CODE_W-1:0] code_word;
  logic [LANES-1:0][BeatW-1:0]  share;
  logic [BeatW-1:0]             beat_sum;
  logic [SUM_W-1:0]             sum_q;

  for (genvar i = 0; i < LANES; i++) begin : gen_share
    assign code_word[i] = !code_keep[i] ? Absent : !code_active[i] ? Zero : elem_code_i[i];
    assign share[i]     = code_active[i] ? BeatW'(elem_share_i[i]) : '0;
  end

  sn_reduce_tree #(
    .N  (LANES),
    .W  (BeatW)
  ) u_tree (
    .clk_i,
    .data_i(share),
    .data_o(beat_sum)
  );

  sn_pipe #(
    .W     (2),
    .STAGES(Tree)
  ) u_sum (
    .clk_i,
    .en_i  (1'b1),
    .data_i({code_last, code_first}),
    .data_o({sum_last, sum_first})
  );

  always_ff @(posedge clk_i) begin
    if (q_valid[StSum-1]) sum_q <= (sum_first ? '0 : sum_q) + SUM_W'(beat_sum);
  end

  assign row_sum_o = sum_q;

  sn_pipe #(
    .W     (1),
    .STAGES(3)
  ) u_row_last (
    .clk_i,
    .en_i  (1'b1),
    .data_i(sum_last),
    .data_o(row_last)
  );

  // A row's flags are ring 1's for as long as its beats come out.
  sn_pipe #(
    .W     (2),
    .STAGES(StRow)
  ) u_flags (
    .clk_i,
    .en_i  (1'b1),
    .data_i({q0_err_keep, q0_err_len}),
    .data_o({row_err_keep, row_err_len})
  );

  sn_row_buffer #(
    .BEAT_W    (CODE_W * LANES),
    .ROW_W     (2 + ROW_W),
    .MAX_BEATS (MaxBeats),
    .TURNAROUND(Turnaround2)
  ) u_ring2 (
    .clk_i,
    .rst_ni,
    .take_i     (q0_go),
    .ready_o    (ring2_ready),
    .wr_en_i    (q_valid[StCode]),
    .wr_beat_i  (code_word),
    .wr_last_i  (code_last),
    .done_i     (q_valid[StRow]),
    .close_i    (q_valid[StRow] && row_last),
    .close_row_i({row_err_keep, row_err_len, row_word_i}),
    .advance_i,
    .valid_o,
    .beat_o     (code_o),
    .last_o,
    .row_o      ({row_err_keep_o, row_err_len_o, row_word_o})
  );

  logic unused;
  assign unused = ^{max_ctl.first, unused_prev};
endmodule
