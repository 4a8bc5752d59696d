// SPDX-License-Identifier: Apache-2.0
// NN-LUT LayerNorm over rows of 32-bit integers (NN-LUT, DAC 2022, on I-BERT's LayerNorm): a baseline.
//
//              pass 1                     pass 2                               pass 3
//   s_axis --> guard --> sum, mean  +--> x - mean, square ==> sum ==> table    m_axis <--[reg]-- affine
//                |          | mean  |              |                   |                          ^  ^
//                |  x       v       |              | d                 v R, sh                    |  |
//                +-----> [ ring 1: x ]             +---------> [ ring 2: d ] ---------------------+  |
//                                                                                  gamma, beta       |
//   chan_* ----------------------------------------> [ channel table, two banks ] -------------------+
//
//   mean = sat(rnd(sum * M / 2^(15 + Lz)))                32 bits; 1/n as a 16-bit mantissa and a shift
//   d    = sat(x - mean),  y = sat(d >> shift)            32 and 16 bits
//   var  = sat(rnd((sum of y*y) * M / 2^(15 + Lz)))       32 bits, at least 1
//   R    = 1/sqrt(var scaled into [1, 4))                 one of 16 lines, 15 comparators; 16 bits
//   out  = sat(rnd(A * d / 2^sh) + beta),  A = rnd(gamma * R / 2^8)     int8, real value out * 2^-ofrac
//
// Contract (the same for every unit of the library, docs/stream.md):
//   - s_axis: 4 LANES bytes a beat, int32. tkeep marks the row's elements, a bit a lane; tkeep with
//     tstrb = 0 is a masked element: it counts nowhere and comes out as 0. tie s_axis_tstrb to
//     s_axis_tkeep if unused.
//   - m_axis: LANES bytes a beat, one beat for each stored input beat, same tkeep; tuser = {err_keep,
//     err_len, exponent[4:0]}, constant over the row; the exponent is 0.
//   - cfg_*_i are taken with the first beat of each row. cfg_len_i is the row's number of unmasked
//     elements, cfg_inv_mant_i = round(2^(15 + Lz) / n) and cfg_inv_exp_i = Lz = floor(log2 n) its
//     reciprocal. A row of another number sets err_len in tuser and pulses err_len_o.
//   - chan_*: channel chan_addr_i of bank chan_bank_i is written at each clock with chan_we_i. Do not
//     write a bank that a row inside, or the row going in, names in cfg_bank_i.
//
// Throughput: one beat a clock for ever, rows of any length, when neither side stalls.
// Latency: pass 2 takes a row's first beat T + 6 clocks after the transfer of its last one, or right
//   behind the row before; the output has it T + 16 clocks after pass 2 has had the last, or right
//   behind the row before. T = floor(clog2(LANES) / 3). For a row of B beats that is
//   LATENCY = 2 T + 21 + B clocks.
// Storage: rings of ceil(MAX_LEN/LANES) + T + 5 and ceil(MAX_LEN/LANES) + T + 10 beats of 33 LANES + 1
//   bits (x, then d, and a bit for what is masked or absent), and as many row entries of 62 + EXP_W and
//   25 bits; the channel table of 2 ceil(MAX_LEN/LANES) words of 8 LANES bits, twice.
//
/// Pass 2 takes a beat from ring 1 only when ring 2 has a slot for it. s_axis_tready is a flip-flop;
/// m_axis_tready enables the registers of pass 3 and goes no further.

module nnlut_layernorm #(
  parameter  int LANES   = 32,    // 1, 2, 4, 8, 16, 32, 64: elements a beat
  parameter  int MAX_LEN = 1024,  // LANES .. 65536: elements a row; longer rows are cut there
  localparam int ADDR_W  = (MAX_LEN > 1) ? $clog2(MAX_LEN) : 1,
  localparam int LEN_W   = $clog2(MAX_LEN + 1),
  localparam int EXP_W   = (MAX_LEN > 1) ? $clog2($clog2(MAX_LEN + 1)) : 1,
  localparam int USER_W  = 7
) (
  input  logic                clk_i,
  input  logic                rst_ni,  // asynchronous assert, synchronous release

  input  logic                cfg_bank_i,      // of the channel table
  input  logic [4:0]          cfg_shift_i,     // 0 .. 16: bits a deviation loses before it is squared
  input  logic [LEN_W-1:0]    cfg_len_i,       // n: unmasked elements of the row
  input  logic [15:0]         cfg_inv_mant_i,  // M
  input  logic [EXP_W-1:0]    cfg_inv_exp_i,   // Lz
  input  logic [2:0]          cfg_gfrac_i,     // fraction bits of gamma
  input  logic [2:0]          cfg_ofrac_i,     // fraction bits of the output

  input  logic                chan_we_i,
  input  logic                chan_bank_i,
  input  logic [ADDR_W-1:0]   chan_addr_i,   // channel, 0 .. MAX_LEN-1
  input  logic [7:0]          chan_gamma_i,  // int8, gfrac fraction bits
  input  logic [7:0]          chan_beta_i,   // int8, in output steps

  input  logic [32*LANES-1:0] s_axis_tdata,
  input  logic [LANES-1:0]    s_axis_tkeep,
  input  logic [LANES-1:0]    s_axis_tstrb,
  input  logic                s_axis_tlast,
  input  logic                s_axis_tvalid,
  output logic                s_axis_tready,

  output logic [8*LANES-1:0]  m_axis_tdata,
  output logic [LANES-1:0]    m_axis_tkeep,
  output logic                m_axis_tlast,
  output logic [USER_W-1:0]   m_axis_tuser,
  output logic                m_axis_tvalid,
  input  logic                m_axis_tready,

  output logic                err_len_o,   // one clock: a row longer than MAX_LEN, or not of cfg_len_i
  output logic                err_keep_o   // one clock: a beat with a tkeep that is not allowed
);
  // Icarus has no elaboration-time $error: a missing module stops every tool, and its name tells.
  if (LANES < 1 || LANES > 64 || (LANES & (LANES - 1)) != 0) begin : gen_check_lanes
    nnlut_layernorm_error_LANES_must_be_1_2_4_8_16_32_or_64 u_stop ();
  end
  if (MAX_LEN < LANES || MAX_LEN > 65536) begin : gen_check_max_len
    nnlut_layernorm_error_MAX_LEN_must_be_from_LANES_to_65536 u_stop ();
  end

  localparam int MaxBeats = (MAX_LEN + LANES - 1) / LANES;
  localparam int IndexW   = (MaxBeats > 1) ? $clog2(MaxBeats) : 1;
  localparam int LenLog   = $clog2(MAX_LEN);
  localparam int SumW     = 32 + LenLog;
  localparam int SquareW  = 31 + LenLog;
  localparam int RunW     = 1 + 5 + 16 + EXP_W + 3 + 3;  // settings that go further than pass 1
  localparam int CfgW     = LEN_W + RunW;
  localparam int BeatW    = 33 * LANES;
  localparam int Row1W    = 2 + RunW + 32;
  localparam int Row2W    = 2 + 1 + 16 + 6;

  // Stages of pass 1: valid[s] tells that stage s holds a beat. Stage 0 is the guard's register.
  localparam int Tree        = $clog2(LANES) / 3;
  localparam int StSum       = Tree + 1;       // sum over the row
  localparam int StMean      = StSum + 2;      // the row is closed from here
  localparam int Turnaround1 = StMean + 2;     // + accept, + the row buffer's count of closed beats
  // Stages of pass 2; ring 1 puts out stage 0.
  localparam int StD         = 1;
  localparam int StSquare    = 3;
  localparam int StSquares   = StSquare + Tree + 1;
  localparam int StVar       = StSquares + 2;
  localparam int StRow       = StVar + 3;      // the row is closed from here
  localparam int Turnaround2 = StRow + 1;

  // ------------------------------------------------------------------------------------ pass 1: mean
  typedef struct packed {
    logic             bank;
    logic [4:0]       shift;
    logic [15:0]      inv_mant;
    logic [EXP_W-1:0] inv_exp;
    logic [2:0]       gfrac;
    logic [2:0]       ofrac;
  } run_t;

  // What every beat carries along pass 1.
  typedef struct packed {
    logic [LEN_W-1:0] len;
    run_t             run;
    logic             err_keep;  // the row's flags so far
    logic             err_len;
    logic             first;     // first beat of its row
    logic             store;     // has a place in ring 1
    logic             close;     // the row is complete
  } ctl_t;
  ctl_t s0_ctl, tree_ctl, sum_ctl, mean_ctl;
  localparam int CtlW = CfgW + 5;  // bits of ctl_t: not every tool takes $bits of a type here

  logic                   take, s0_valid, s0_last, guard_err_len;
  logic [LANES-1:0][31:0] s0_x;
  logic [LANES-1:0]       s0_keep, s0_active;
  logic [StMean:0]        valid;
  logic [StMean-1:0]      valid_q;

  sn_row_guard #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN),
    .LANE_W (32),
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
    .cfg_i         ({cfg_len_i, cfg_bank_i, cfg_shift_i, cfg_inv_mant_i, cfg_inv_exp_i, cfg_gfrac_i,
                     cfg_ofrac_i}),
    .take_o        (take),
    .valid_o       (s0_valid),
    .store_o       (s0_ctl.store),
    .first_o       (s0_ctl.first),
    .stored_last_o (s0_last),
    .close_o       (s0_ctl.close),
    .data_o        (s0_x),
    .keep_o        (s0_keep),
    .active_o      (s0_active),
    .cfg_o         ({s0_ctl.len, s0_ctl.run}),
    .row_err_len_o (s0_ctl.err_len),
    .row_err_keep_o(s0_ctl.err_keep),
    .err_len_o     (guard_err_len),
    .err_keep_o
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= valid[StMean-1:0];
  end
  assign valid = {valid_q, s0_valid};

  // The tree adds x + 2^31, unsigned; LANES * 2^31 leaves again as the total's top bit flips.
  localparam int BeatSumW   = 32 + $clog2(LANES);
  localparam int BeatCountW = 1 + $clog2(LANES);
  logic [LANES-1:0][BeatSumW-1:0]   elem;
  logic [LANES-1:0][BeatCountW-1:0] elem_count;
  logic [BeatSumW-1:0]              beat_sum;
  logic signed [BeatSumW-1:0]       beat_sum_signed;
  logic [BeatCountW-1:0]            beat_count;
  logic signed [SumW-1:0]           sum_q;
  logic [LEN_W-1:0]                 count_q;

  for (genvar i = 0; i < LANES; i++) begin : gen_elem
    assign elem[i]       = BeatSumW'({!s0_x[i][31], s0_x[i][30:0]});
    assign elem_count[i] = BeatCountW'(s0_active[i]);
  end

  sn_reduce_tree #(
    .N  (LANES),
    .W  (BeatSumW)
  ) u_sum (
    .clk_i,
    .data_i(elem),
    .data_o(beat_sum)
  );

  sn_reduce_tree #(
    .N  (LANES),
    .W  (BeatCountW)
  ) u_count (
    .clk_i,
    .data_i(elem_count),
    .data_o(beat_count)
  );

  sn_pipe #(
    .W     (CtlW),
    .STAGES(Tree)
  ) u_tree_ctl (
    .clk_i,
    .en_i  (1'b1),
    .data_i(s0_ctl),
    .data_o(tree_ctl)
  );

  assign beat_sum_signed = {!beat_sum[BeatSumW-1], beat_sum[BeatSumW-2:0]};

  always_ff @(posedge clk_i) begin
    if (valid[StSum-1]) begin
      sum_q   <= (tree_ctl.first ? '0 : sum_q) + SumW'(beat_sum_signed);
      count_q <= (tree_ctl.first ? '0 : count_q) + LEN_W'(beat_count);
    end
    sum_ctl <= tree_ctl;
  end

  logic signed [31:0] mean;
  logic               wrong_len, mean_wrong_len;
  assign wrong_len = count_q != sum_ctl.len;

  nnlut_layernorm_average #(
    .SUM_W(SumW),
    .OUT_W(32),
    .EXP_W(EXP_W)
  ) u_mean (
    .clk_i,
    .load_i    (valid[StSum] && sum_ctl.close),
    .sum_i     (sum_q),
    .inv_mant_i(sum_ctl.run.inv_mant),
    .inv_exp_i (sum_ctl.run.inv_exp),
    .average_o (mean)
  );

  sn_pipe #(
    .W     (CtlW + 1),
    .STAGES(2)
  ) u_mean_ctl (
    .clk_i,
    .en_i  (1'b1),
    .data_i({sum_ctl, wrong_len}),
    .data_o({mean_ctl, mean_wrong_len})
  );

  // Both causes of err_len_o come from one beat at a time. The guard's is held up until the count of
  // that beat is there, so that no two rows meet in one clock.
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

  // A lane's word in either ring: {active, value}; a lane that is not has none, and bit 0 tells a
  // masked element from no element.
  logic                   q0_valid, q0_last, q0_err_keep, q0_err_len, ring2_ready, q0_go;
  logic [LANES-1:0][32:0] wr_lane, q0_lane;
  run_t                   q0_run;
  logic signed [31:0]     q0_mean;

  for (genvar i = 0; i < LANES; i++) begin : gen_wr_lane
    assign wr_lane[i] = s0_active[i] ? {1'b1, s0_x[i]} : {32'b0, s0_keep[i]};
  end

  sn_row_buffer #(
    .BEAT_W    (BeatW),
    .ROW_W     (Row1W),
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
    .done_i     (valid[StMean] && mean_ctl.store),
    .close_i    (valid[StMean] && mean_ctl.close),
    .close_row_i({mean_ctl.err_keep, mean_ctl.err_len || mean_wrong_len, mean_ctl.run, mean}),
    .advance_i  (ring2_ready),
    .valid_o    (q0_valid),
    .beat_o     (q0_lane),
    .last_o     (q0_last),
    .row_o      ({q0_err_keep, q0_err_len, q0_run, q0_mean})
  );

  // -------------------------------------------------------------------------------- pass 2: variance
  logic [StRow:1]         q_valid;
  logic                   q0_start_q;  // the next beat is its row's first
  logic [LANES-1:0]       q0_active, q0_keep, d_active, d_keep;
  logic [LANES-1:0][31:0] q0_x, d;
  logic [LANES-1:0][32:0] d_lane;
  logic [LANES-1:0][30:0] square;
  logic                   d_last, d_first, tree_last, tree_first, sum_last, row_last;

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
    assign q0_active[i] = q0_lane[i][32];
    assign q0_keep[i]   = q0_lane[i][32] || q0_lane[i][0];
    assign q0_x[i]      = q0_lane[i][31:0];
    assign d_lane[i]    = d_active[i] ? {1'b1, d[i]} : {32'b0, d_keep[i]};
  end

  nnlut_layernorm_deviation #(
    .LANES(LANES)
  ) u_deviation (
    .clk_i,
    .x_i     (q0_x),
    .active_i(q0_active),
    .mean_i  (q0_mean),
    .shift_i (q0_run.shift),
    .d_o     (d),
    .square_o(square)
  );

  sn_pipe #(
    .W     (2 * LANES + 2),
    .STAGES(StD)
  ) u_d (
    .clk_i,
    .en_i  (1'b1),
    .data_i({q0_active, q0_keep, q0_last, q0_start_q}),
    .data_o({d_active, d_keep, d_last, d_first})
  );

  localparam int BeatSqW = 31 + $clog2(LANES);
  logic [LANES-1:0][BeatSqW-1:0] elem_sq;
  logic [BeatSqW-1:0]            beat_square;
  logic [SquareW-1:0]            square_sum_q;

  for (genvar i = 0; i < LANES; i++) begin : gen_square
    assign elem_sq[i] = BeatSqW'(square[i]);
  end

  sn_reduce_tree #(
    .N  (LANES),
    .W  (BeatSqW)
  ) u_square (
    .clk_i,
    .data_i(elem_sq),
    .data_o(beat_square)
  );

  sn_pipe #(
    .W     (2),
    .STAGES(StSquares - 1 - StD)
  ) u_tree_last (
    .clk_i,
    .en_i  (1'b1),
    .data_i({d_last, d_first}),
    .data_o({tree_last, tree_first})
  );

  always_ff @(posedge clk_i) begin
    if (q_valid[StSquares-1]) begin
      square_sum_q <= (tree_first ? '0 : square_sum_q) + SquareW'(beat_square);
    end
  end

  // --------------------------------------------------------------------------- once a row: the table
  logic               sum_err_keep, sum_err_len, row_err_keep, row_err_len, row_bank;
  run_t               sum_run;
  logic [4:0]         row_shift;
  logic [2:0]         row_gfrac, row_ofrac;
  logic signed [32:0] variance;
  logic [15:0]        row_r;
  logic [3:0]         row_e;
  logic [5:0]         row_sh;

  always_ff @(posedge clk_i) sum_last <= tree_last;

  // Ring 1 has a row's flags and settings for as long as its beats come out.
  sn_pipe #(
    .W     (2 + RunW),
    .STAGES(StSquares)
  ) u_sum_run (
    .clk_i,
    .en_i  (1'b1),
    .data_i({q0_err_keep, q0_err_len, q0_run}),
    .data_o({sum_err_keep, sum_err_len, sum_run})
  );

  nnlut_layernorm_average #(
    .SUM_W(SquareW + 1),
    .OUT_W(33),
    .EXP_W(EXP_W)
  ) u_var (
    .clk_i,
    .load_i    (q_valid[StSquares] && sum_last),
    .sum_i     ({1'b0, square_sum_q}),
    .inv_mant_i(sum_run.inv_mant),
    .inv_exp_i (sum_run.inv_exp),
    .average_o (variance)
  );

  nnlut_layernorm_rsqrt u_rsqrt (
    .clk_i,
    .var_i(variance),
    .r_o  (row_r),
    .e_o  (row_e)
  );

  sn_pipe #(
    .W     (1),
    .STAGES(StRow - StSquares)
  ) u_row_last (
    .clk_i,
    .en_i  (1'b1),
    .data_i(sum_last),
    .data_o(row_last)
  );

  sn_pipe #(
    .W     (14),
    .STAGES(StRow - StSquares)
  ) u_row (
    .clk_i,
    .en_i  (1'b1),
    .data_i({sum_err_keep, sum_err_len, sum_run.bank, sum_run.shift, sum_run.gfrac, sum_run.ofrac}),
    .data_o({row_err_keep, row_err_len, row_bank, row_shift, row_gfrac, row_ofrac})
  );

  assign row_sh = 6'd8 + 6'(row_e) + 6'(row_shift) + 6'(row_gfrac) - 6'(row_ofrac);

  logic                   advance, rd_valid, rd_last, rd_err_keep, rd_err_len, rd_bank;
  logic [LANES-1:0][32:0] rd_lane;
  logic [15:0]            rd_r;
  logic [5:0]             rd_sh;

  sn_row_buffer #(
    .BEAT_W    (BeatW),
    .ROW_W     (Row2W),
    .MAX_BEATS (MaxBeats),
    .TURNAROUND(Turnaround2)
  ) u_ring2 (
    .clk_i,
    .rst_ni,
    .take_i     (q0_go),
    .ready_o    (ring2_ready),
    .wr_en_i    (q_valid[StD]),
    .wr_beat_i  (d_lane),
    .wr_last_i  (d_last),
    .done_i     (q_valid[StRow]),
    .close_i    (q_valid[StRow] && row_last),
    .close_row_i({row_err_keep, row_err_len, row_bank, row_r, row_sh}),
    .advance_i  (advance),
    .valid_o    (rd_valid),
    .beat_o     (rd_lane),
    .last_o     (rd_last),
    .row_o      ({rd_err_keep, rd_err_len, rd_bank, rd_r, rd_sh})
  );

  // --------------------------------------------------------------------- pass 3: channels and affine
  // Stages of pass 3: they move all together; stage 0 is ring 2's output.
  localparam int Affine = 3;
  localparam int StOut  = 1 + Affine;  // the output register takes from here
  localparam int StBeta = StOut - 1;   // beta is read from here

  logic [StOut:0]         p_valid;
  logic [StOut-1:0]       p_valid_q;
  logic [IndexW-1:0]      p0_index_q;
  logic [LANES-1:0][31:0] p0_d, p1_d;
  logic [LANES-1:0][7:0]  p1_gamma, out_beta, out;
  logic                   beta_bank;
  logic [IndexW-1:0]      beta_index;
  logic [LANES-1:0]       p0_keep, p0_active, p1_keep, p1_active, out_keep, out_active;
  logic [15:0]            p1_r;
  logic [5:0]             p1_sh;
  logic                   p1_last, p1_err_keep, p1_err_len, out_last, out_err_keep, out_err_len;

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

  nnlut_layernorm_channels #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN)
  ) u_channels (
    .clk_i,
    .chan_we_i,
    .chan_bank_i,
    .chan_addr_i,
    .chan_gamma_i,
    .chan_beta_i,
    .rd1_en_i   (advance && rd_valid),
    .rd1_bank_i (rd_bank),
    .rd1_beat_i (p0_index_q),
    .rd1_gamma_o(p1_gamma),
    .rd2_en_i   (advance && p_valid[StBeta]),
    .rd2_bank_i (beta_bank),
    .rd2_beat_i (beta_index),
    .rd2_beta_o (out_beta)
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

  for (genvar i = 0; i < LANES; i++) begin : gen_p0
    assign p0_active[i] = rd_lane[i][32];
    assign p0_keep[i]   = rd_lane[i][32] || rd_lane[i][0];
    assign p0_d[i]      = rd_lane[i][31:0];
  end

  sn_pipe #(
    .W     (34 * LANES + 25),
    .STAGES(1)
  ) u_p1 (
    .clk_i,
    .en_i  (advance),
    .data_i({p0_d, p0_keep, p0_active, rd_r, rd_sh, rd_last, rd_err_keep, rd_err_len}),
    .data_o({p1_d, p1_keep, p1_active, p1_r, p1_sh, p1_last, p1_err_keep, p1_err_len})
  );

  sn_affine #(
    .LANES(LANES),
    .DEV_W(32),
    .SH_W (6),
    .LEFT (0)
  ) u_affine (
    .clk_i,
    .en_i   (advance),
    .dev_i  (p1_d),
    .gamma_i(p1_gamma),
    .r_i    (p1_r),
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

  // The outputs are reset whole: no X leaves the unit.
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      m_axis_tvalid <= 1'b0;
      m_axis_tdata  <= '0;
      m_axis_tkeep  <= '0;
      m_axis_tlast  <= 1'b0;
      m_axis_tuser  <= '0;
    end else if (advance) begin
      m_axis_tvalid <= p_valid[StOut];
      if (p_valid[StOut]) begin
        for (int i = 0; i < LANES; i++) m_axis_tdata[8*i+:8] <= out_active[i] ? out[i] : 8'd0;
        m_axis_tkeep <= out_keep;
        m_axis_tlast <= out_last;
        m_axis_tuser <= {out_err_keep, out_err_len, 5'd0};
      end
    end
  end

  logic unused;
  assign unused = ^{mean_ctl.first, mean_ctl.len, sum_run};
endmodule
