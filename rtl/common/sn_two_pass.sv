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
// Pass 2 takes a beat from ring 1 only when ring 2 has a slot for it, so that nothing behind it ever
// has to wait. s_axis_tready is a flip-flop. For a softmax that selects its outputs by the code see
// sn_three_pass; for a sum that can be made while the maximum still grows see e2softmax.

module sn_two_pass #(
  parameter  int LANES       = 32,
  parameter  int MAX_LEN     = 1024,
  parameter  int CFG_W       = 3,
  parameter  int CODE_W      = 4,
  parameter  int SHARE_W     = 8,
  parameter  int ROW_W       = 8,
  parameter  int ZERO_CODE   = 0,
  parameter  int ABSENT_CODE = 15,
  parameter  int IN_REG      = 1,    // 0: no register in front of pass 1, and a clock less
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

  // Stages of pass 1: p1_valid[s] tells that stage s holds a beat. Stage 0 is the guard's register.
  localparam int StMax       = 1;               // running maximum: the row is closed from here
  localparam int Turnaround1 = StMax + 1 + IN_REG;  // + accept, + the row buffer's count of closed beats
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
    logic             store;     // has a place in ring 1
    logic             close;     // the row is complete
  } ctl_t;
  ctl_t p1_in_ctl, p1_max_ctl;

  logic                  take, p1_in_first, p1_in_last;
  logic [StMax:0]        p1_valid;
  logic [LANES-1:0][8:0] p1_in_lane;  // {active, key}: see sn_max_front
  logic [7:0]            p1_max_m, unused_prev;

  sn_max_front #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN),
    .CFG_W  (CFG_W),
    .STAGES (StMax),
    .IN_REG (IN_REG)
  ) u_front (
    .clk_i,
    .rst_ni,
    .cfg_i,
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
    .first_o       (p1_in_first),
    .stored_last_o (p1_in_last),
    .close_o       (p1_in_ctl.close),
    .cfg_o         (p1_in_ctl.cfg),
    .row_err_len_o (p1_in_ctl.err_len),
    .row_err_keep_o(p1_in_ctl.err_keep),
    .lane_o        (p1_in_lane),
    .start_i       (8'd0),
    .max_o         (p1_max_m),
    .prev_o        (unused_prev)
  );

  always_ff @(posedge clk_i) p1_max_ctl <= p1_in_ctl;

  logic                  p2_rd_valid, p2_rd_last, p2_rd_err_keep, p2_rd_err_len;
  logic                  ring2_ready, p2_rd_go;
  logic [LANES-1:0][8:0] p2_rd_lane;
  logic [CFG_W-1:0]      p2_rd_cfg;
  logic [7:0]            p2_rd_m;

  sn_row_buffer #(
    .BEAT_W    (9 * LANES),
    .ROW_W     (2 + CFG_W + 8),  // flags, settings, m
    .MAX_BEATS (MaxBeats),
    .TURNAROUND(Turnaround1)
  ) u_ring1 (
    .clk_i,
    .rst_ni,
    .take_i     (take),
    .ready_o    (s_axis_tready),
    .wr_en_i    (p1_valid[0] && p1_in_ctl.store),
    .wr_beat_i  (p1_in_lane),
    .wr_last_i  (p1_in_last),
    .done_i     (p1_valid[StMax] && p1_max_ctl.store),
    .close_i    (p1_valid[StMax] && p1_max_ctl.close),
    .close_row_i({p1_max_ctl.err_keep, p1_max_ctl.err_len, p1_max_ctl.cfg, p1_max_m}),
    .advance_i  (ring2_ready),
    .valid_o    (p2_rd_valid),
    .beat_o     (p2_rd_lane),
    .last_o     (p2_rd_last),
    .row_o      ({p2_rd_err_keep, p2_rd_err_len, p2_rd_cfg, p2_rd_m})
  );

  // ------------------------------------------------------------------------------------- pass 2: sum
  logic [StRow:1]   p2_valid;
  logic             p2_rd_first;  // the next beat is its row's first
  logic [LANES-1:0] p2_rd_active, p2_rd_keep, p2_code_active, p2_code_keep;
  logic             p2_code_last, p2_code_first, p2_sum_last, p2_sum_first, p2_row_last;
  logic             p2_row_err_keep, p2_row_err_len;

  assign p2_rd_go = p2_rd_valid && ring2_ready;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      p2_valid    <= '0;
      p2_rd_first <= 1'b1;
    end else begin
      p2_valid <= {p2_valid[StRow-1:1], p2_rd_go};
      if (p2_rd_go) p2_rd_first <= p2_rd_last;
    end
  end

  for (genvar i = 0; i < LANES; i++) begin : gen_rd
    assign p2_rd_active[i] = p2_rd_lane[i][8];
    assign p2_rd_keep[i]   = p2_rd_lane[i][8] || p2_rd_lane[i][0];
    always_ff @(posedge clk_i) elem_d_o[i] <= p2_rd_m - p2_rd_lane[i][7:0];
  end

  always_ff @(posedge clk_i) elem_cfg_o <= p2_rd_cfg;

  sn_pipe #(
    .W     (2 * LANES + 2),
    .STAGES(StCode)
  ) u_code (
    .clk_i,
    .en_i  (1'b1),
    .data_i({p2_rd_active, p2_rd_keep, p2_rd_last, p2_rd_first}),
    .data_o({p2_code_active, p2_code_keep, p2_code_last, p2_code_first})
  );

  localparam int                BeatW  = SHARE_W + $clog2(LANES);
  localparam logic [CODE_W-1:0] Zero   = CODE_W'(ZERO_CODE);
  localparam logic [CODE_W-1:0] Absent = CODE_W'(ABSENT_CODE);
  logic [LANES-1:0][CODE_W-1:0] p2_code_word;
  logic [LANES-1:0][BeatW-1:0]  share;
  logic [BeatW-1:0]             p2_beat_sum;
  logic [SUM_W-1:0]             p2_sum;

  for (genvar i = 0; i < LANES; i++) begin : gen_share
    assign p2_code_word[i] = !p2_code_keep[i] ? Absent : !p2_code_active[i] ? Zero : elem_code_i[i];
    assign share[i]        = p2_code_active[i] ? BeatW'(elem_share_i[i]) : '0;
  end

  sn_reduce_tree #(
    .N  (LANES),
    .W  (BeatW)
  ) u_tree (
    .clk_i,
    .data_i(share),
    .data_o(p2_beat_sum)
  );

  sn_pipe #(
    .W     (2),
    .STAGES(Tree)
  ) u_sum (
    .clk_i,
    .en_i  (1'b1),
    .data_i({p2_code_last, p2_code_first}),
    .data_o({p2_sum_last, p2_sum_first})
  );

  always_ff @(posedge clk_i) begin
    if (p2_valid[StSum-1]) p2_sum <= (p2_sum_first ? '0 : p2_sum) + SUM_W'(p2_beat_sum);
  end

  assign row_sum_o = p2_sum;

  sn_pipe #(
    .W     (1),
    .STAGES(3)
  ) u_row_last (
    .clk_i,
    .en_i  (1'b1),
    .data_i(p2_sum_last),
    .data_o(p2_row_last)
  );

  // A row's flags are ring 1's for as long as its beats come out.
  sn_pipe #(
    .W     (2),
    .STAGES(StRow)
  ) u_flags (
    .clk_i,
    .en_i  (1'b1),
    .data_i({p2_rd_err_keep, p2_rd_err_len}),
    .data_o({p2_row_err_keep, p2_row_err_len})
  );

  sn_row_buffer #(
    .BEAT_W    (CODE_W * LANES),
    .ROW_W     (2 + ROW_W),  // flags, the row's word
    .MAX_BEATS (MaxBeats),
    .TURNAROUND(Turnaround2)
  ) u_ring2 (
    .clk_i,
    .rst_ni,
    .take_i     (p2_rd_go),
    .ready_o    (ring2_ready),
    .wr_en_i    (p2_valid[StCode]),
    .wr_beat_i  (p2_code_word),
    .wr_last_i  (p2_code_last),
    .done_i     (p2_valid[StRow]),
    .close_i    (p2_valid[StRow] && p2_row_last),
    .close_row_i({p2_row_err_keep, p2_row_err_len, row_word_i}),
    .advance_i,
    .valid_o,
    .beat_o     (code_o),
    .last_o,
    .row_o      ({row_err_keep_o, row_err_len_o, row_word_o})
  );

  logic unused;
  assign unused = ^{p1_in_first, unused_prev};
endmodule
