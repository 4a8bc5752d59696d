// SPDX-License-Identifier: Apache-2.0
// NN-LUT LayerNorm over rows of 32-bit integers (NN-LUT, DAC 2022, on I-BERT's LayerNorm): a baseline.
//
//              pass 1                     pass 2                               pass 3
//   s_axis --> guard --> sum, mean  +--> x - mean, square ==> sum ==> table    m_axis <--[reg]-- affine
//                |          | mean  |              |                   |                          ^  ^
//                |  x       v       |              | d                 v R, sh                    |  |
//                +-----> [ ring 1: x ]             +---------> [ ring 2: d ] ---------------------+  |
//                                                                                  gamma, beta       |
//   chan_* ----------------------------------------> [ channel table, BANKS banks ] -----------------+
//
//   mean = sat(rnd(sum * M / 2^(15 + Lz)))                32 bits; 1/n as a 16-bit mantissa and a shift
//   d    = sat(x - mean),  y = sat(d >> shift)            32 and 16 bits
//   var  = sat(rnd((sum of y*y) * M / 2^(15 + Lz)))       32 bits, at least 1
//   R    = 1/sqrt(var scaled into [1, 4))                 one of 16 lines, 15 comparators; 16 bits
//   out  = sat(rnd(A * d / 2^sh) + beta),  A = rnd(gamma * R / 2^8)     int8, real value out * 2^-ofrac
//
// Contract: docs/stream.md, with 4 LANES bytes a beat of s_axis. Beside it, cfg_len_i is the row's number
// of unmasked elements, n, and cfg_inv_mant_i = round(2^(15 + Lz) / n), cfg_inv_exp_i = Lz =
// floor(log2 n) its reciprocal. A row of another number sets err_len in tuser and pulses err_len_o.
// tuser's exponent is 0.
//
// Throughput: one beat a clock for ever, rows of any length, when neither side stalls.
// Latency: pass 2 takes a row's first beat T + 6 clocks after the transfer of its last one, or right
//   behind the row before; the output has it T + 16 clocks after pass 2 has had the last, or right
//   behind the row before. T = floor(clog2(LANES) / 3). For a row of B beats that is
//   LATENCY = 2 T + 21 + B clocks.
//   A clock less without the register at a port (IN_REG = 0, OUT_REG = 0), and err_len_o without the first.
// Errors: err_keep_o is high 1 clock after the transfer of its beat; err_len_o comes
//   ERR_LEN = 3 + T clocks after that of the first beat beyond MAX_LEN, or of the last beat of a row that
//   has another number of unmasked elements than cfg_len_i.
// Storage: a ring of ceil(MAX_LEN/LANES) + T + 5 beats of 33 LANES + 1 bits (x, and a bit for what is masked
//   or absent), and as many row entries of 62 + EXP_W bits; a ring of ceil(MAX_LEN/LANES) + T + 11 beats of
//   33 LANES bits (d, likewise) and 2 bits (bank, and which is the last), and as many row entries of 24
//   bits; the channel table of BANKS ceil(MAX_LEN/LANES) words of 8 LANES bits, twice.
//
// Pass 2 takes a beat from ring 1 only when ring 2 has a slot for it. s_axis_tready is a flip-flop;
// m_axis_tready enables the registers of pass 3 and goes no further.

module nnlut_layernorm #(
  parameter  int LANES   = 32,    // 1, 2, 4, 8, 16, 32, 64: elements a beat
  parameter  int MAX_LEN = 1024,  // LANES .. 65536: elements a row; longer rows are cut there
  parameter  int IN_REG  = 1,     // 0: no register behind the s_axis pins, and a clock less
  parameter  int OUT_REG = 1,     // 0: none in front of the m_axis pins, and a clock less
  parameter  int BANKS   = 2,     // 1: one bank of channels; *_bank_i are ignored
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
  if (IN_REG < 0 || IN_REG > 1) begin : gen_check_in_reg
    nnlut_layernorm_error_IN_REG_must_be_0_or_1 u_stop ();
  end
  if (OUT_REG < 0 || OUT_REG > 1) begin : gen_check_out_reg
    nnlut_layernorm_error_OUT_REG_must_be_0_or_1 u_stop ();
  end
  if (BANKS < 1 || BANKS > 2) begin : gen_check_banks
    nnlut_layernorm_error_BANKS_must_be_1_or_2 u_stop ();
  end

  localparam int MaxBeats = (MAX_LEN + LANES - 1) / LANES;
  localparam int LenLog   = $clog2(MAX_LEN);
  localparam int SumW     = 32 + LenLog;
  localparam int SquareW  = 31 + LenLog;
  localparam int PlaceW   = $clog2($clog2(MAX_LEN + 1) + 1);  // of Lz + 1
  localparam int XW       = 32;          // of x, mean and d
  localparam int LaneW    = 1 + XW;      // a lane's word in either ring
  localparam int RW       = 16;
  localparam int ShW      = 6;
  localparam int ErrW     = 2;           // {err_keep, err_len}
  // Settings.
  localparam int ShiftW   = 5;
  localparam int MantW    = 16;
  localparam int FracW    = 3;
  localparam int RunW     = 1 + ShiftW + MantW + EXP_W + FracW + FracW;

  // Stages of pass 1: p1_valid[s] tells that stage s holds a beat. Stage 0 is the guard's register.
  localparam int Tree        = $clog2(LANES) / 3;
  localparam int StSum       = Tree + 1;       // sum over the row
  localparam int StMean      = StSum + 2;      // the row is closed from here
  localparam int Turnaround1 = StMean + 1 + IN_REG;  // + accept, + the row buffer's count of closed beats
  // Stages of pass 2; ring 1 puts out stage 0.
  localparam int StD         = 1;
  localparam int StSquare    = 3;
  localparam int StSquares   = StSquare + Tree + 1;
  localparam int StVar       = StSquares + 2;
  localparam int StRow       = StVar + 3;      // the row is closed from here
  localparam int Turnaround2 = StRow + 1;

  // ------------------------------------------------------------------------------------ pass 1: mean
  typedef struct packed {  // settings that go further than pass 1
    logic              bank;
    logic [ShiftW-1:0] shift;
    logic [MantW-1:0]  inv_mant;
    logic [EXP_W-1:0]  inv_exp;
    logic [FracW-1:0]  gfrac;
    logic [FracW-1:0]  ofrac;
  } run_t;
  run_t p1_s0_run, p1_tree_run, p1_sum_run, p1_row_run;

  // What every beat carries along pass 1.
  typedef struct packed {
    logic err_keep;  // the row's flags so far
    logic err_len;
    logic first;     // first beat of its row
    logic store;     // has a place in ring 1
    logic close;     // the row is complete
  } ctl_t;
  ctl_t p1_s0_ctl, p1_tree_ctl, p1_sum_ctl, p1_row_ctl;
  localparam int CtlW = 5;  // flags of ctl_t: not every tool takes $bits of a type here

  logic                     take, p1_s0_valid, p1_s0_last, guard_err_len;
  logic [LEN_W-1:0]         p1_s0_len, p1_tree_len, p1_sum_len;
  logic [LANES-1:0][XW-1:0] p1_s0_x;
  logic [LANES-1:0]         p1_s0_keep, p1_s0_active;
  logic [StMean:0]          p1_valid;
  logic [StMean-1:0]        p1_valid_q;

  sn_row_guard #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN),
    .LANE_W (XW),
    .CFG_W  (LEN_W + RunW),
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
    .cfg_i         ({cfg_len_i, cfg_bank_i, cfg_shift_i, cfg_inv_mant_i, cfg_inv_exp_i, cfg_gfrac_i,
                     cfg_ofrac_i}),
    .take_o        (take),
    .valid_o       (p1_s0_valid),
    .store_o       (p1_s0_ctl.store),
    .first_o       (p1_s0_ctl.first),
    .stored_last_o (p1_s0_last),
    .close_o       (p1_s0_ctl.close),
    .data_o        (p1_s0_x),
    .keep_o        (p1_s0_keep),
    .active_o      (p1_s0_active),
    .cfg_o         ({p1_s0_len, p1_s0_run}),
    .row_err_len_o (p1_s0_ctl.err_len),
    .row_err_keep_o(p1_s0_ctl.err_keep),
    .err_len_o     (guard_err_len),
    .err_keep_o
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) p1_valid_q <= '0;
    else p1_valid_q <= p1_valid[StMean-1:0];
  end
  assign p1_valid = {p1_valid_q, p1_s0_valid};

  logic signed [SumW-1:0] p1_sum;
  logic [LEN_W-1:0]       p1_count;

  sn_row_sum #(
    .LANES (LANES),
    .ELEM_W(XW),
    .SUM_W (SumW),
    .SIGNED(1)
  ) u_sum (
    .clk_i,
    .data_i (p1_s0_x),
    .load_i (p1_valid[StSum-1]),
    .first_i(p1_tree_ctl.first),
    .sum_o  (p1_sum)
  );

  sn_row_sum #(
    .LANES (LANES),
    .ELEM_W(1),
    .SUM_W (LEN_W)
  ) u_count (
    .clk_i,
    .data_i (p1_s0_active),
    .load_i (p1_valid[StSum-1]),
    .first_i(p1_tree_ctl.first),
    .sum_o  (p1_count)
  );

  sn_pipe #(
    .W     (CtlW + LEN_W + RunW),
    .STAGES(Tree)
  ) u_tree_ctl (
    .clk_i,
    .en_i  (1'b1),
    .data_i({p1_s0_ctl, p1_s0_len, p1_s0_run}),
    .data_o({p1_tree_ctl, p1_tree_len, p1_tree_run})
  );

  always_ff @(posedge clk_i) begin
    p1_sum_ctl <= p1_tree_ctl;
    p1_sum_len <= p1_tree_len;
    p1_sum_run <= p1_tree_run;
  end

  logic signed [XW-1:0] p1_row_mean;
  logic                 p1_wrong_len, p1_row_wrong_len;
  assign p1_wrong_len = p1_count != p1_sum_len;

  nnlut_layernorm_average #(
    .SUM_W  (SumW),
    .OUT_W  (XW),
    .EXP_W  (EXP_W),
    .PLACE_W(PlaceW)
  ) u_mean (
    .clk_i,
    .load_i    (p1_valid[StSum] && p1_sum_ctl.close),
    .sum_i     (p1_sum),
    .inv_mant_i(p1_sum_run.inv_mant),
    .inv_exp_i (p1_sum_run.inv_exp),
    .average_o (p1_row_mean)
  );

  sn_pipe #(
    .W     (CtlW + RunW + 1),
    .STAGES(2)
  ) u_row_ctl (
    .clk_i,
    .en_i  (1'b1),
    .data_i({p1_sum_ctl, p1_sum_run, p1_wrong_len}),
    .data_o({p1_row_ctl, p1_row_run, p1_row_wrong_len})
  );

  // Both causes of err_len_o come from one beat at a time. The guard's is held up until the count of
  // that beat is there, so that no two rows meet in one clock.
  localparam int StErr = StSum - 1 + IN_REG;  // the guard's has a register of its own
  logic [StSum:0]   p1_err_len;
  logic [StSum-1:0] p1_err_len_q;
  assign p1_err_len = {p1_err_len_q, guard_err_len};
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      p1_err_len_q <= '0;
      err_len_o    <= 1'b0;
    end else begin
      p1_err_len_q <= p1_err_len[StSum-1:0];
      err_len_o    <= p1_err_len[StErr] ||
                      (p1_valid[StSum] && p1_sum_ctl.close && !p1_sum_ctl.err_len && p1_wrong_len);
    end
  end

  // A lane's word in either ring: {active, value}; a lane that is not has none, and bit 0 tells a
  // masked element from no element.
  logic                        p2_s0_valid, p2_s0_last, ring2_ready, p2_s0_go;
  logic [LANES-1:0][LaneW-1:0] p1_s0_lane, p2_s0_lane;
  logic [ErrW-1:0]             p2_s0_err;
  run_t                        p2_s0_run;
  logic signed [XW-1:0]        p2_s0_mean;

  for (genvar i = 0; i < LANES; i++) begin : gen_p1_lane
    assign p1_s0_lane[i] = p1_s0_active[i] ? {1'b1, p1_s0_x[i]} : {32'b0, p1_s0_keep[i]};
  end

  sn_row_buffer #(
    .BEAT_W    (LaneW * LANES),
    .ROW_W     (ErrW + RunW + XW),
    .MAX_BEATS (MaxBeats),
    .TURNAROUND(Turnaround1)
  ) u_ring1 (
    .clk_i,
    .rst_ni,
    .take_i     (take),
    .ready_o    (s_axis_tready),
    .wr_en_i    (p1_s0_valid && p1_s0_ctl.store),
    .wr_beat_i  (p1_s0_lane),
    .wr_last_i  (p1_s0_last),
    .done_i     (p1_valid[StMean] && p1_row_ctl.store),
    .close_i    (p1_valid[StMean] && p1_row_ctl.close),
    .close_row_i({p1_row_ctl.err_keep, p1_row_ctl.err_len || p1_row_wrong_len, p1_row_run, p1_row_mean}),
    .advance_i  (ring2_ready),
    .valid_o    (p2_s0_valid),
    .beat_o     (p2_s0_lane),
    .last_o     (p2_s0_last),
    .row_o      ({p2_s0_err, p2_s0_run, p2_s0_mean})
  );

  // -------------------------------------------------------------------------------- pass 2: variance
  logic [StRow:1]              p2_valid;
  logic                        p2_s0_start_q;  // the next beat is its row's first
  logic [LANES-1:0]            p2_s0_active, p2_s0_keep, p2_d_active, p2_d_keep;
  logic [LANES-1:0][XW-1:0]    p2_s0_x, p2_d;
  logic [LANES-1:0][LaneW-1:0] p2_d_lane;
  logic [LANES-1:0][30:0]      p2_square;
  logic                        p2_d_last, p2_d_first, p2_tree_last, p2_tree_first;
  logic                        p2_sum_last, p2_row_last;
  logic                        p2_d_bank;

  assign p2_s0_go = p2_s0_valid && ring2_ready;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      p2_valid      <= '0;
      p2_s0_start_q <= 1'b1;
    end else begin
      p2_valid <= {p2_valid[StRow-1:1], p2_s0_go};
      if (p2_s0_go) p2_s0_start_q <= p2_s0_last;
    end
  end

  for (genvar i = 0; i < LANES; i++) begin : gen_p2_lane
    assign p2_s0_active[i] = p2_s0_lane[i][XW];
    assign p2_s0_keep[i]   = p2_s0_lane[i][XW] || p2_s0_lane[i][0];
    assign p2_s0_x[i]      = p2_s0_lane[i][XW-1:0];
    assign p2_d_lane[i]    = p2_d_active[i] ? {1'b1, p2_d[i]} : {32'b0, p2_d_keep[i]};
  end

  nnlut_layernorm_deviation #(
    .LANES(LANES)
  ) u_deviation (
    .clk_i,
    .x_i     (p2_s0_x),
    .active_i(p2_s0_active),
    .mean_i  (p2_s0_mean),
    .shift_i (p2_s0_run.shift),
    .d_o     (p2_d),
    .square_o(p2_square)
  );

  always_ff @(posedge clk_i) begin
    p2_d_active <= p2_s0_active;
    p2_d_keep   <= p2_s0_keep;
    p2_d_last   <= p2_s0_last;
    p2_d_first  <= p2_s0_start_q;
    p2_d_bank   <= p2_s0_run.bank;
  end

  logic [SquareW-1:0] p2_square_sum;

  sn_row_sum #(
    .LANES (LANES),
    .ELEM_W(31),
    .SUM_W (SquareW)
  ) u_square_sum (
    .clk_i,
    .data_i (p2_square),
    .load_i (p2_valid[StSquares-1]),
    .first_i(p2_tree_first),
    .sum_o  (p2_square_sum)
  );

  sn_pipe #(
    .W     (1 + 1),
    .STAGES(StSquares - 1 - StD)
  ) u_tree_last (
    .clk_i,
    .en_i  (1'b1),
    .data_i({p2_d_last, p2_d_first}),
    .data_o({p2_tree_last, p2_tree_first})
  );

  // --------------------------------------------------------------------------- once a row: the table
  logic [ErrW-1:0]    p2_sum_err, p2_row_err;
  run_t               p2_sum_run;
  logic [ShiftW-1:0]  p2_row_shift;
  logic [FracW-1:0]   p2_row_gfrac, p2_row_ofrac;
  logic signed [32:0] p2_variance;
  logic [RW-1:0]      p2_row_r;
  logic [3:0]         p2_row_e;
  logic [ShW-1:0]     p2_row_sh;

  always_ff @(posedge clk_i) p2_sum_last <= p2_tree_last;

  // Ring 1 has a row's flags and settings for as long as its beats come out.
  sn_pipe #(
    .W     (ErrW + RunW),
    .STAGES(StSquares)
  ) u_sum_run (
    .clk_i,
    .en_i  (1'b1),
    .data_i({p2_s0_err, p2_s0_run}),
    .data_o({p2_sum_err, p2_sum_run})
  );

  nnlut_layernorm_average #(
    .SUM_W  (SquareW + 1),
    .OUT_W  (33),
    .EXP_W  (EXP_W),
    .PLACE_W(PlaceW)
  ) u_var (
    .clk_i,
    .load_i    (p2_valid[StSquares] && p2_sum_last),
    .sum_i     ({1'b0, p2_square_sum}),
    .inv_mant_i(p2_sum_run.inv_mant),
    .inv_exp_i (p2_sum_run.inv_exp),
    .average_o (p2_variance)
  );

  nnlut_layernorm_rsqrt u_rsqrt (
    .clk_i,
    .var_i(p2_variance),
    .r_o  (p2_row_r),
    .e_o  (p2_row_e)
  );

  sn_pipe #(
    .W     (1 + ErrW + ShiftW + FracW + FracW),
    .STAGES(StRow - StSquares)
  ) u_row (
    .clk_i,
    .en_i  (1'b1),
    .data_i({p2_sum_last, p2_sum_err, p2_sum_run.shift, p2_sum_run.gfrac, p2_sum_run.ofrac}),
    .data_o({p2_row_last, p2_row_err, p2_row_shift, p2_row_gfrac, p2_row_ofrac})
  );

  assign p2_row_sh = ShW'(8) + ShW'(p2_row_e) + ShW'(p2_row_shift) + ShW'(p2_row_gfrac) -
                     ShW'(p2_row_ofrac);

  // The lanes are read a clock after the bank, with the channels that are looked up by it: no register has
  // to hold them until those are there.
  logic                        advance, p3_s0_valid, p3_s0_last, p3_s0_bank;
  logic [LANES-1:0][LaneW-1:0] p3_s1_lane;
  logic [ErrW-1:0]             p3_s0_err;
  logic [RW-1:0]               p3_s0_r;
  logic [ShW-1:0]              p3_s0_sh;

  sn_row_buffer #(
    .BEAT_W    (LaneW * LANES + 1),
    .ROW_W     (ErrW + RW + ShW),
    .MAX_BEATS (MaxBeats),
    .TURNAROUND(Turnaround2),
    .READ_DELAY(1),
    .FIRST_W   (1)
  ) u_ring2 (
    .clk_i,
    .rst_ni,
    .take_i     (p2_s0_go),
    .ready_o    (ring2_ready),
    .wr_en_i    (p2_valid[StD]),
    .wr_beat_i  ({p2_d_lane, p2_d_bank}),
    .wr_last_i  (p2_d_last),
    .done_i     (p2_valid[StRow]),
    .close_i    (p2_valid[StRow] && p2_row_last),
    .close_row_i({p2_row_err, p2_row_r, p2_row_sh}),
    .advance_i  (advance),
    .valid_o    (p3_s0_valid),
    .beat_o     ({p3_s1_lane, p3_s0_bank}),
    .last_o     (p3_s0_last),
    .row_o      ({p3_s0_err, p3_s0_r, p3_s0_sh})
  );

  // ------------------------------------------------------------------------- pass 3: affine and output
  logic [LANES-1:0][XW-1:0] p3_s1_d;
  logic [LANES-1:0][7:0]    p3_s1_gamma;
  logic [LANES-1:0]         p3_s1_keep, p3_s1_active;

  for (genvar i = 0; i < LANES; i++) begin : gen_p3_s1
    assign p3_s1_active[i] = p3_s1_lane[i][XW];
    assign p3_s1_keep[i]   = p3_s1_lane[i][XW] || p3_s1_lane[i][0];
    assign p3_s1_d[i]      = p3_s1_lane[i][XW-1:0];
  end

  sn_norm_back #(
    .LANES    (LANES),
    .MAX_LEN  (MAX_LEN),
    .FACTOR_W (8),
    .DEV_W    (XW),
    .R_W      (RW),
    .SH_W     (ShW),
    .LEFT     (0),
    .SHIFT_REG(1),
    .OUT_REG  (OUT_REG),
    .BANKS    (BANKS)
  ) u_back (
    .clk_i,
    .rst_ni,
    .chan_we_i,
    .chan_bank_i,
    .chan_addr_i,
    .chan_factor_i(chan_gamma_i),
    .chan_beta_i,
    .advance_o    (advance),
    .valid_i      (p3_s0_valid),
    .bank_i       (p3_s0_bank),
    .last_i       (p3_s0_last),
    .err_i        (p3_s0_err),
    .r_i          (p3_s0_r),
    .sh_i         (p3_s0_sh),
    .factor_o     (p3_s1_gamma),
    .gamma_i      (p3_s1_gamma),
    .dev_i        (p3_s1_d),
    .keep_i       (p3_s1_keep),
    .active_i     (p3_s1_active),
    .m_axis_tdata,
    .m_axis_tkeep,
    .m_axis_tlast,
    .m_axis_tuser,
    .m_axis_tvalid,
    .m_axis_tready
  );

  logic unused;
  assign unused = ^{p1_row_ctl.first, p2_sum_run.bank};
endmodule
