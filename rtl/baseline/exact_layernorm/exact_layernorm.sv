// SPDX-License-Identifier: Apache-2.0
// Exact LayerNorm and RMSNorm over rows of 8-bit PTF activations: the baseline of ailayernorm.
//
//            pass 1: LANES elements a clock, then once a row           pass 2: LANES elements a clock
//   s_axis --> row guard --+--> statistics --> moments ---+            m_axis <--[reg]-- affine
//                          |    sum, sum of  mean, 1/sigma|                                ^  ^
//                          |      ^ squares               v  R, mean, sh            x - zp |  |row
//                          +------|--------------> [ row buffer: x, rows ] ----------------+--+
//                                 | alpha                          alpha, gamma, beta |
//   chan_* ------------------> [ channel table, two banks ] --------------------------+
//
//   v    = (x - zp) << alpha                         x uint8, real value scale * v
//   S    = sum of v,  Q = sum of v*v                 12 and 22 + clog2(MAX_LEN) bits: exact
//   mean = S / n                                     rounded to 7 fraction bits; n is counted
//   R    = n / root of (n*Q - S^2)                   16 bits; 1/sigma, normalised
//   out  = sat(rnd(A * (v - mean) / 2^sh) + beta),  A = rnd(gamma * R / 2^8)
//   cfg_rms_i = 1: mean = 0 and S = 0, which is RMSNorm      out int8, real value out * 2^-ofrac
//
// Contract (the same for every unit of the library, docs/stream.md):
//   - s_axis: LANES bytes a beat. tkeep marks the row's elements; tkeep with tstrb = 0 is a masked
//     element: it counts nowhere and comes out as 0. tie s_axis_tstrb to s_axis_tkeep if unused.
//   - m_axis: one beat for each stored input beat, same tkeep; tuser = {err_keep, err_len,
//     exponent[4:0]}, constant over the row; the exponent is 0.
//   - cfg_*_i are taken with the first beat of each row.
//   - chan_*: channel chan_addr_i of bank chan_bank_i is written at each clock with chan_we_i. Do not
//     write a bank that a row inside, or the row going in, names in cfg_bank_i.
//
// Throughput: one beat a clock for ever, rows of any length, when neither side stalls.
// Latency: from the transfer of a row's last beat to that of its first output beat
//   LATENCY = 23 + T clocks, T = floor(clog2(LANES) / 3): 23 to LANES 4, 24 to LANES 32, 25 with 64.
// Storage: a ring of ceil(MAX_LEN/LANES) + 17 + T beats of 9 LANES + 1 bits between the passes (x, and
//   a bit for what is masked or absent), and as many row entries of 52 bits; the channel table of
//   2 ceil(MAX_LEN/LANES) words of 10 LANES bits, as many of 8 LANES and of 2 LANES bits.
//
/// s_axis_tready is a flip-flop. m_axis_tready enables the registers of pass 2 and goes no further.

module exact_layernorm #(
  parameter  int LANES   = 32,    // 1, 2, 4, 8, 16, 32, 64: elements a beat
  parameter  int MAX_LEN = 1024,  // LANES .. 65536: elements a row; longer rows are cut there
  localparam int ADDR_W  = (MAX_LEN > 1) ? $clog2(MAX_LEN) : 1,
  localparam int USER_W  = 7
) (
  input  logic               clk_i,
  input  logic               rst_ni,  // asynchronous assert, synchronous release

  input  logic               cfg_bank_i,   // of the channel table
  input  logic [7:0]         cfg_zp_i,     // the input that stands for 0
  input  logic [2:0]         cfg_gfrac_i,  // fraction bits of gamma
  input  logic [2:0]         cfg_ofrac_i,  // fraction bits of the output
  input  logic               cfg_rms_i,    // 0 LayerNorm, 1 RMSNorm

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

  output logic               err_len_o,   // one clock: a row longer than MAX_LEN
  output logic               err_keep_o   // one clock: a beat with a tkeep that is not allowed
);
  // Icarus has no elaboration-time $error: a missing module stops every tool, and its name tells.
  if (LANES < 1 || LANES > 64 || (LANES & (LANES - 1)) != 0) begin : gen_check_lanes
    exact_layernorm_error_LANES_must_be_1_2_4_8_16_32_or_64 u_stop ();
  end
  if (MAX_LEN < LANES || MAX_LEN > 65536) begin : gen_check_max_len
    exact_layernorm_error_MAX_LEN_must_be_from_LANES_to_65536 u_stop ();
  end

  localparam int MaxBeats = (MAX_LEN + LANES - 1) / LANES;
  localparam int IndexW   = (MaxBeats > 1) ? $clog2(MaxBeats) : 1;
  localparam int CountW   = $clog2(MAX_LEN + 1);
  localparam int SumW     = 12 + $clog2(MAX_LEN);
  localparam int SquareW  = 22 + $clog2(MAX_LEN);
  localparam int CfgW     = 1 + 8 + 3 + 3 + 1;
  localparam int BeatW    = 9 * LANES;
  localparam int RowW     = 2 + 1 + 8 + 19 + 16 + 6;

  // Stages of pass 1: valid[s] tells that stage s holds a beat. Stage 0 is the guard's register.
  localparam int Tree       = $clog2(LANES) / 3;
  localparam int StSum      = Tree + 4;   // sums over the row
  localparam int Moments    = 11;
  localparam int StRow      = StSum + Moments;  // the row is closed from here
  localparam int Turnaround = StRow + 2;  // + accept, + the row buffer's count of closed beats

  // ---------------------------------------------------------------------------------- stage 0: guard
  typedef struct packed {
    logic       bank;
    logic [7:0] zp;
    logic [2:0] gfrac;
    logic [2:0] ofrac;
    logic       rms;
  } cfg_t;
  cfg_t s0_cfg, sum_cfg;

  // What every beat carries along pass 1.
  typedef struct packed {
    logic err_keep;  // the row's flags so far
    logic err_len;
    logic first;     // first beat of its row
    logic store;     // has a place in the row buffer
    logic close;     // the row is complete
  } ctl_t;
  ctl_t s0_ctl, beat_ctl, sum_ctl;
  localparam int CtlW = 5;  // bits of ctl_t: not every tool takes $bits of a type here

  logic                  take, s0_valid, s0_last;
  logic [LANES-1:0][7:0] s0_x;
  logic [LANES-1:0]      s0_keep, s0_active;
  logic [StSum:0]        valid;
  logic [StSum-1:0]      valid_q;

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
    .cfg_i         ({cfg_bank_i, cfg_zp_i, cfg_gfrac_i, cfg_ofrac_i, cfg_rms_i}),
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
    .err_len_o,
    .err_keep_o
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= valid[StSum-1:0];
  end
  assign valid = {valid_q, s0_valid};

  // ----------------------------------------------------------------------- stages to StSum: statistics
  logic [IndexW-1:0]      s0_index, s0_index_q;
  logic [LANES-1:0][1:0]  s1_alpha;
  logic signed [SumW-1:0] sum;
  logic [SquareW-1:0]     square_sum;
  logic [CountW-1:0]      count;

  assign s0_index = s0_ctl.first ? '0 : s0_index_q;
  always_ff @(posedge clk_i) begin
    if (s0_valid) s0_index_q <= s0_index + IndexW'(1);
  end

  exact_layernorm_statistics #(
    .LANES   (LANES),
    .SUM_W   (SumW),
    .SQUARE_W(SquareW),
    .COUNT_W (CountW)
  ) u_statistics (
    .clk_i,
    .load_i      (valid[StSum-1]),
    .x_i         (s0_x),
    .active_i    (s0_active),
    .zp_i        (s0_cfg.zp),
    .alpha_i     (s1_alpha),
    .first_i     (beat_ctl.first),
    .sum_o       (sum),
    .square_sum_o(square_sum),
    .count_o     (count)
  );

  sn_pipe #(
    .W     (CtlW),
    .STAGES(StSum - 1)
  ) u_beat_ctl (
    .clk_i,
    .en_i  (1'b1),
    .data_i(s0_ctl),
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
    .W     (CfgW),
    .STAGES(StSum)
  ) u_sum_cfg (
    .clk_i,
    .en_i  (1'b1),
    .data_i(s0_cfg),
    .data_o(sum_cfg)
  );

  // --------------------------------------------------------------------- stages to StRow: once a row
  logic [Moments:0]    closing;  // [s]: s stages behind StSum a row becomes complete
  logic [Moments:0]    storing;  // ... a beat has a place in the row buffer
  logic [Moments-1:0]  closing_q, storing_q;
  logic signed [18:0]  row_mean;
  logic [15:0]         row_r;
  logic [5:0]          row_sh;
  logic                row_err_keep, row_err_len, row_bank;
  logic [7:0]          row_zp;

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

  exact_layernorm_moments #(
    .SUM_W   (SumW),
    .SQUARE_W(SquareW),
    .COUNT_W (CountW)
  ) u_moments (
    .clk_i,
    .load_i      (closing[0]),
    .sum_i       (sum),
    .square_sum_i(square_sum),
    .count_i     (count),
    .rms_i       (sum_cfg.rms),
    .gfrac_i     (sum_cfg.gfrac),
    .ofrac_i     (sum_cfg.ofrac),
    .mean_o      (row_mean),
    .r_o         (row_r),
    .sh_o        (row_sh)
  );

  sn_pipe #(
    .W     (11),
    .STAGES(Moments)
  ) u_row (
    .clk_i,
    .en_i  (1'b1),
    .data_i({sum_ctl.err_keep, sum_ctl.err_len, sum_cfg.bank, sum_cfg.zp}),
    .data_o({row_err_keep, row_err_len, row_bank, row_zp})
  );

  // -------------------------------------------------------------------------------------- row buffer
  // A lane's word: {active, x}; a lane that is not has no x, and bit 0 tells a masked element from none.
  logic                  advance, rd_valid, rd_last, rd_err_keep, rd_err_len, rd_bank;
  logic [LANES-1:0][8:0] wr_lane, rd_lane;
  logic [7:0]            rd_zp;
  logic signed [18:0]    rd_mean;
  logic [15:0]           rd_r;
  logic [5:0]            rd_sh;

  for (genvar i = 0; i < LANES; i++) begin : gen_wr_lane
    assign wr_lane[i] = s0_active[i] ? {1'b1, s0_x[i]} : {8'b0, s0_keep[i]};
  end

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
    .wr_en_i    (s0_valid && s0_ctl.store),
    .wr_beat_i  (wr_lane),
    .wr_last_i  (s0_last),
    .done_i     (storing[Moments]),
    .close_i    (closing[Moments]),
    .close_row_i({row_err_keep, row_err_len, row_bank, row_zp, row_mean, row_r, row_sh}),
    .advance_i  (advance),
    .valid_o    (rd_valid),
    .beat_o     (rd_lane),
    .last_o     (rd_last),
    .row_o      ({rd_err_keep, rd_err_len, rd_bank, rd_zp, rd_mean, rd_r, rd_sh})
  );

  // ---------------------------------------------------------------------------- pass 2: the channels
  // Stages of pass 2: they move all together; stage 0 is the row buffer's output.
  localparam int Affine = 3;
  localparam int StOut  = 1 + Affine;  // the output register takes from here
  localparam int StBeta = StOut - 1;   // beta is read from here
  localparam int DevW   = 20;

  logic [StOut:0]             p_valid;
  logic [StOut-1:0]           p_valid_q;
  logic [IndexW-1:0]          p0_index_q;
  logic [LANES-1:0][9:0]      p1_factor;  // gamma, alpha
  logic [LANES-1:0][7:0]      p1_gamma, out_beta;
  logic                       beta_bank;
  logic [IndexW-1:0]          beta_index;
  logic [LANES-1:0][8:0]      p0_a, p1_a;
  logic [LANES-1:0][DevW-1:0] p1_dev;
  logic [LANES-1:0]           p0_keep, p0_active, p1_keep, p1_active, out_keep, out_active;
  logic signed [18:0]         p1_mean;
  logic [15:0]                p1_r;
  logic [5:0]                 p1_sh;
  logic                       p1_last, p1_err_keep, p1_err_len, out_last, out_err_keep, out_err_len;
  logic [LANES-1:0][7:0]      out;

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
    .LANES   (LANES),
    .MAX_LEN (MAX_LEN),
    .FACTOR_W(10)
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
    .rd2_factor_o(p1_factor),
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

  for (genvar i = 0; i < LANES; i++) begin : gen_p0
    assign p0_active[i] = rd_lane[i][8];
    assign p0_keep[i]   = rd_lane[i][8] || rd_lane[i][0];
    assign p0_a[i]      = {1'b0, rd_lane[i][7:0]} - {1'b0, rd_zp};
  end

  sn_pipe #(
    .W     (11 * LANES + 44),
    .STAGES(1)
  ) u_p1 (
    .clk_i,
    .en_i  (advance),
    .data_i({p0_a, p0_keep, p0_active, rd_mean, rd_r, rd_sh, rd_last, rd_err_keep, rd_err_len}),
    .data_o({p1_a, p1_keep, p1_active, p1_mean, p1_r, p1_sh, p1_last, p1_err_keep, p1_err_len})
  );

  for (genvar i = 0; i < LANES; i++) begin : gen_p1
    logic signed [11:0] v;
    assign v           = 12'($signed(p1_a[i])) <<< p1_factor[i][1:0];
    assign p1_gamma[i] = p1_factor[i][9:2];
    assign p1_dev[i]   = DevW'($signed({v, 7'd0})) - DevW'(p1_mean);
  end

  // ------------------------------------------------------------------------------ affine and output
  sn_affine #(
    .LANES(LANES),
    .DEV_W(DevW),
    .SH_W (6),
    .LEFT (2)
  ) u_affine (
    .clk_i,
    .en_i   (advance),
    .dev_i  (p1_dev),
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
  assign unused = sum_ctl.first;
endmodule
