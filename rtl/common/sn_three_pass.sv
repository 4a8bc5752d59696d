// SPDX-License-Identifier: Apache-2.0
// Three passes over a row, for a softmax that looks its outputs up: maximum, sum, selection.
//
//              pass 1                    pass 2                              pass 3
//   s_axis --> guard --> maximum   +--> m - x ==> code, share --> sum        m_axis <--[reg]-- select
//                |          | m    |                 |              |                        ^    ^
//                |  x       v      |                 |              v                   code |    | line
//                +-----> [ ring 1: x ]               +--> [ ring 2: codes ] <== row word     |    |
//                                                                  |   ==> row word ==> line -+----+
//
// What a unit puts in at the arrows ==> , each with a register of its own behind every step:
//   elem_*  from an element's distance d = m - x: its 4-bit code, and its share of the sum   2 clocks
//   row_*   from the row's sum: a word that tells which outputs the codes stand for          2 clocks
//   line_*  from that word: the output of each code                                          1 clock
//
// The sum is exact and has SHARE_W + clog2(MAX_LEN) bits. A masked element has no share and gets
// ZERO_CODE, whose output must be 0; code 15 means that there is no element.
//
// Throughput: one beat a clock for ever, rows of any length, when neither side stalls.
// Latency: pass 2 takes a row's first beat T + 4 clocks after the transfer of its last one, or right
//   behind the row before; the output has it T + 10 clocks after pass 2 has had the last, or right
//   behind the row before. T = max(1, ceil(clog2(LANES) / 3)). For a row of B beats that is
//   LATENCY = 2 T + 13 + B clocks.
// Storage: rings of ceil(MAX_LEN/LANES) + T + 3 beats of 9 LANES + 1 bits and as many rows of
//   10 + CFG_W bits, and of ceil(MAX_LEN/LANES) + T + 7 beats of 4 LANES + 1 bits and as many rows of
//   2 + ROW_W bits.
//
/// Pass 2 takes a beat from ring 1 only when ring 2 has a slot for it, so that nothing behind it ever
/// has to wait. s_axis_tready is a flip-flop; m_axis_tready enables the registers of pass 3 and goes
/// no further. For a sum that can be made while the maximum still grows see e2softmax.

module sn_three_pass #(
  parameter  int         LANES     = 32,
  parameter  int         MAX_LEN   = 1024,
  parameter  int         CFG_W     = 3,
  parameter  int         SHARE_W   = 8,
  parameter  int         ROW_W     = 8,
  parameter  int         ENTRIES   = 8,     // codes in use: 0 .. ENTRIES-1, at most 15
  parameter  int         VALUE_W   = 8,     // bits of an output
  parameter  int         OUT_W     = 8,     // bits of an output's lane
  parameter  logic [3:0] ZERO_CODE = 4'd0,
  localparam int         SUM_W     = SHARE_W + $clog2(MAX_LEN),
  localparam int         USER_W    = 7
) (
  input  logic                            clk_i,
  input  logic                            rst_ni,
  input  logic [CFG_W-1:0]                cfg_i,

  input  logic [8*LANES-1:0]              s_axis_tdata,
  input  logic [LANES-1:0]                s_axis_tkeep,
  input  logic [LANES-1:0]                s_axis_tstrb,
  input  logic                            s_axis_tlast,
  input  logic                            s_axis_tvalid,
  output logic                            s_axis_tready,

  output logic [OUT_W*LANES-1:0]          m_axis_tdata,
  output logic [LANES-1:0]                m_axis_tkeep,
  output logic                            m_axis_tlast,
  output logic [USER_W-1:0]               m_axis_tuser,
  output logic                            m_axis_tvalid,
  input  logic                            m_axis_tready,

  output logic                            err_len_o,
  output logic                            err_keep_o,

  // An element: load bits of the two steps, and what goes in and comes out.
  output logic [1:0]                      elem_load_o,
  output logic [LANES-1:0][7:0]           elem_d_o,
  output logic [CFG_W-1:0]                elem_cfg_o,
  input  logic [LANES-1:0][3:0]           elem_code_i,
  input  logic [LANES-1:0][SHARE_W-1:0]   elem_share_i,
  // A row.
  output logic [1:0]                      row_load_o,
  output logic [SUM_W-1:0]                row_sum_o,
  input  logic [ROW_W-1:0]                row_word_i,
  // Its outputs.
  output logic                            line_load_o,
  output logic [ROW_W-1:0]                line_word_o,
  input  logic [ENTRIES-1:0][VALUE_W-1:0] line_i
);
  localparam int MaxBeats = (MAX_LEN + LANES - 1) / LANES;
  localparam int Tree     = ($clog2(LANES) > 3) ? ($clog2(LANES) + 2) / 3 : 1;

  // Stages of pass 1: valid[s] tells that stage s holds a beat. Stage 0 is the guard's register.
  localparam int StMax       = Tree + 1;        // running maximum: the row is closed from here
  localparam int Turnaround1 = StMax + 2;       // + accept, + the row buffer's count of closed beats
  // Stages of pass 2; ring 1 puts out stage 0.
  localparam int StCode      = 3;               // d, then the unit's two steps
  localparam int StSum       = StCode + Tree + 1;
  localparam int StRow       = StSum + 2;       // the unit's two steps: the row is closed from here
  localparam int Turnaround2 = StRow + 1;

  localparam logic [3:0] CodeAbsent = 4'd15;

  // --------------------------------------------------------------------------------- pass 1: maximum
  typedef struct packed {
    logic [CFG_W-1:0] cfg;
    logic             err_keep;  // the row's flags so far
    logic             err_len;
    logic             first;     // first beat of its row
    logic             store;     // has a place in ring 1
    logic             close;     // the row is complete
  } ctl_t;
  ctl_t s0_ctl, tree_ctl, max_ctl;
  localparam int CtlW = CFG_W + 5;  // bits of ctl_t: not every tool takes $bits of a type here

  logic                  take, s0_valid, s0_last;
  logic [LANES-1:0][7:0] s0_x;
  logic [LANES-1:0]      s0_keep, s0_active;
  logic [StMax:0]        valid;
  logic [StMax-1:0]      valid_q;
  logic [7:0]            max_m, unused_rise;

  sn_row_guard #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN),
    .LANE_W (8),
    .CFG_W  (CFG_W)
  ) u_guard (
    .clk_i,
    .rst_ni,
    .s_axis_tdata,
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
    .data_o        (s0_x),
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

  sn_pipe #(
    .W     (CtlW),
    .STAGES(Tree)
  ) u_tree_ctl (
    .clk_i,
    .load_i(valid[Tree-1:0]),
    .data_i(s0_ctl),
    .data_o(tree_ctl)
  );

  sn_row_max #(
    .LANES(LANES)
  ) u_max (
    .clk_i,
    .load_i  (valid[StMax-1:0]),
    .x_i     (s0_x),
    .active_i(s0_active),
    .first_i (tree_ctl.first),
    .max_o   (max_m),
    .rise_o  (unused_rise)
  );

  sn_pipe #(
    .W     (CtlW),
    .STAGES(1)
  ) u_max_ctl (
    .clk_i,
    .load_i(valid[StMax-1]),
    .data_i(tree_ctl),
    .data_o(max_ctl)
  );

  // A lane's word in ring 1: {active, x}; a lane that is not has no x, and bit 0 tells a masked
  // element from none.
  logic                  q0_valid, q0_last, q0_err_keep, q0_err_len, ring2_ready, q0_go;
  logic [LANES-1:0][8:0] wr_lane, q0_lane;
  logic [CFG_W-1:0]      q0_cfg;
  logic [7:0]            q0_m;

  for (genvar i = 0; i < LANES; i++) begin : gen_wr_lane
    assign wr_lane[i] = s0_active[i] ? {1'b1, s0_x[i]} : {8'b0, s0_keep[i]};
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
    // The maximum is kept as m + 128, and so x is taken here.
    assign q0_d[i]      = q0_m - {!q0_lane[i][7], q0_lane[i][6:0]};
  end

  sn_pipe #(
    .W     (8 * LANES + CFG_W),
    .STAGES(1)
  ) u_d (
    .clk_i,
    .load_i(q0_go),
    .data_i({q0_d, q0_cfg}),
    .data_o({elem_d_o, elem_cfg_o})
  );

  assign elem_load_o = q_valid[2:1];

  sn_pipe #(
    .W     (2 * LANES + 2),
    .STAGES(StCode)
  ) u_code (
    .clk_i,
    .load_i({q_valid[2:1], q0_go}),
    .data_i({q0_active, q0_keep, q0_last, q0_start_q}),
    .data_o({code_active, code_keep, code_last, code_first})
  );

  localparam int BeatW = SHARE_W + $clog2(LANES);
  logic [LANES-1:0][3:0]       code_word;
  logic [LANES-1:0][BeatW-1:0] share;
  logic [BeatW-1:0]            beat_sum;
  logic [SUM_W-1:0]            sum_q;

  for (genvar i = 0; i < LANES; i++) begin : gen_share
    assign code_word[i] = !code_keep[i] ? CodeAbsent : !code_active[i] ? ZERO_CODE : elem_code_i[i];
    assign share[i]     = code_active[i] ? BeatW'(elem_share_i[i]) : '0;
  end

  sn_reduce_tree #(
    .N  (LANES),
    .W  (BeatW),
    .SUM(1'b1)
  ) u_tree (
    .clk_i,
    .load_i(q_valid[StCode+Tree-1:StCode]),
    .data_i(share),
    .data_o(beat_sum)
  );

  sn_pipe #(
    .W     (2),
    .STAGES(Tree)
  ) u_sum (
    .clk_i,
    .load_i(q_valid[StCode+Tree-1:StCode]),
    .data_i({code_last, code_first}),
    .data_o({sum_last, sum_first})
  );

  always_ff @(posedge clk_i) begin
    if (q_valid[StSum-1]) sum_q <= (sum_first ? '0 : sum_q) + SUM_W'(beat_sum);
  end

  assign row_sum_o  = sum_q;
  assign row_load_o = q_valid[StRow-1:StSum];

  sn_pipe #(
    .W     (1),
    .STAGES(3)
  ) u_row_last (
    .clk_i,
    .load_i(q_valid[StRow-1:StSum-1]),
    .data_i(sum_last),
    .data_o(row_last)
  );

  // A row's flags are ring 1's for as long as its beats come out.
  sn_pipe #(
    .W     (2),
    .STAGES(StRow)
  ) u_flags (
    .clk_i,
    .load_i({q_valid[StRow-1:1], q0_go}),
    .data_i({q0_err_keep, q0_err_len}),
    .data_o({row_err_keep, row_err_len})
  );

  logic                  advance, p0_valid, p0_last, p0_err_keep, p0_err_len;
  logic [LANES-1:0][3:0] p0_code;

  sn_row_buffer #(
    .BEAT_W    (4 * LANES),
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
    .advance_i  (advance),
    .valid_o    (p0_valid),
    .beat_o     (p0_code),
    .last_o     (p0_last),
    .row_o      ({p0_err_keep, p0_err_len, line_word_o})
  );

  // ---------------------------------------------------------------------- pass 3: selection, output
  logic                      p1_valid_q, p1_last, p1_err_keep, p1_err_len;
  logic [LANES-1:0][3:0]     p1_code;
  logic [15:0][VALUE_W-1:0]  line;

  assign line_load_o = advance && p0_valid;
  assign advance     = !m_axis_tvalid || m_axis_tready;

  sn_pipe #(
    .W     (4 * LANES + 3),
    .STAGES(1)
  ) u_p1 (
    .clk_i,
    .load_i(line_load_o),
    .data_i({p0_code, p0_last, p0_err_keep, p0_err_len}),
    .data_o({p1_code, p1_last, p1_err_keep, p1_err_len})
  );

  for (genvar n = 0; n < 16; n++) begin : gen_line
    if (n < ENTRIES) begin : gen_used
      assign line[n] = line_i[n];
    end else begin : gen_zero
      assign line[n] = '0;
    end
  end

  // The outputs are reset whole: no X leaves the unit.
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      p1_valid_q    <= 1'b0;
      m_axis_tvalid <= 1'b0;
      m_axis_tdata  <= '0;
      m_axis_tkeep  <= '0;
      m_axis_tlast  <= 1'b0;
      m_axis_tuser  <= '0;
    end else if (advance) begin
      p1_valid_q    <= p0_valid;
      m_axis_tvalid <= p1_valid_q;
      if (p1_valid_q) begin
        for (int i = 0; i < LANES; i++) begin
          m_axis_tdata[OUT_W*i+:OUT_W] <= OUT_W'(line[p1_code[i]]);
          m_axis_tkeep[i]              <= p1_code[i] != CodeAbsent;
        end
        m_axis_tlast <= p1_last;
        m_axis_tuser <= {p1_err_keep, p1_err_len, 5'd0};
      end
    end
  end

  logic unused;
  assign unused = ^{max_ctl.first, unused_rise};
endmodule
