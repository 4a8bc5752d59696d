// SPDX-License-Identifier: Apache-2.0
// Exact softmax, a baseline: 16-bit exponentials from a table, and a restoring divider in each lane.
//
//   s_axis --> maximum --> [ ring 1: x ] --> m - x --> table --> [ ring 2: e ] --> dividers --> m_axis
//                                                        |                            ^
//                                                        +--> sum S ---> [ rows ] ----+
//
//   m   = maximum of the row,  e = round((2^16 - 1) * e^(-(m - x) * 2^-F)),  S = sum of e
//   out = min(255, rnd(2^8 * e / S))                     F: cfg_frac_i; real value out * 2^-8
//
// Contract: docs/stream.md. The exponent in m_axis_tuser is 0.
//
// Throughput and storage: those of sn_two_pass, with CODE_W = 16 and ROW_W = 16 + clog2(MAX_LEN).
// Latency: pass 2 starts a row 4 clocks behind the input, the output T + 18 behind pass 2, or
//   right behind the row before. For rows of B beats that is
//   LATENCY = T + 21 + B clocks, T = floor(clog2(LANES) / 3).
//
// m_axis_tready enables the registers of the dividers and the output, and goes no further.

module exact_softmax #(
  parameter  int LANES   = 32,    // 1, 2, 4, 8, 16, 32, 64: elements a beat
  parameter  int MAX_LEN = 1024,  // LANES .. 65536: elements a row; longer rows are cut there
  parameter  int IN_REG   = 1,     // 0: no register behind the s_axis pins, and a clock less
  parameter  int OUT_REG  = 1,     // 0: none in front of the m_axis pins, and a clock less
  localparam int USER_W  = 7
) (
  input  logic               clk_i,
  input  logic               rst_ni,  // asynchronous assert, synchronous release

  input  logic [2:0]         cfg_frac_i,  // F

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
    exact_softmax_error_LANES_must_be_1_2_4_8_16_32_or_64 u_stop ();
  end
  if (MAX_LEN < LANES || MAX_LEN > 65536) begin : gen_check_max_len
    exact_softmax_error_MAX_LEN_must_be_from_LANES_to_65536 u_stop ();
  end
  if (IN_REG < 0 || IN_REG > 1) begin : gen_check_in_reg
    exact_softmax_error_IN_REG_must_be_0_or_1 u_stop ();
  end
  if (OUT_REG < 0 || OUT_REG > 1) begin : gen_check_out_reg
    exact_softmax_error_OUT_REG_must_be_0_or_1 u_stop ();
  end

  localparam int SumW  = 16 + $clog2(MAX_LEN);
  localparam int Steps = 9;

  // No exponential: an element that is not there. A masked one has the exponential 0.
  localparam logic [15:0] Absent = 16'hFFFE;

  logic [LANES-1:0][7:0]  elem_d;
  logic [2:0]             elem_frac;
  logic [LANES-1:0][15:0] elem_e;
  logic [SumW-1:0]        row_sum, row_nonzero, row_divisor;
  logic                   advance, p3_rd_valid, p3_rd_last, p3_rd_err_keep, p3_rd_err_len;
  logic [LANES-1:0][15:0] p3_rd_e;
  logic [SumW-1:0]        p3_rd_sum;

  sn_two_pass #(
    .LANES      (LANES),
    .MAX_LEN    (MAX_LEN),
    .CFG_W      (3),
    .CODE_W     (16),
    .SHARE_W    (16),
    .ROW_W      (SumW),
    .ZERO_CODE  (0),
    .ABSENT_CODE(int'(Absent)),
    .IN_REG     (IN_REG)
  ) u_passes (
    .clk_i,
    .rst_ni,
    .cfg_i         (cfg_frac_i),
    .s_axis_tdata,
    .s_axis_tkeep,
    .s_axis_tstrb,
    .s_axis_tlast,
    .s_axis_tvalid,
    .s_axis_tready,
    .err_len_o,
    .err_keep_o,
    .elem_d_o      (elem_d),
    .elem_cfg_o    (elem_frac),
    .elem_code_i   (elem_e),
    .elem_share_i  (elem_e),
    .row_sum_o     (row_sum),
    .row_word_i    (row_divisor),
    .advance_i     (advance),
    .valid_o       (p3_rd_valid),
    .code_o        (p3_rd_e),
    .last_o        (p3_rd_last),
    .row_err_keep_o(p3_rd_err_keep),
    .row_err_len_o (p3_rd_err_len),
    .row_word_o    (p3_rd_sum)
  );

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    exact_softmax_exponential u_exponential (
      .clk_i,
      .d_i   (elem_d[i]),
      .frac_i(elem_frac),
      .e_o   (elem_e[i])
    );
  end

  // An all-masked row is divided by 1: a divisor of 0 would give ones.
  always_ff @(posedge clk_i) begin
    row_nonzero <= (row_sum == '0) ? SumW'(1) : row_sum;
    row_divisor <= row_nonzero;
  end

  // ----------------------------------------------------------------------- pass 3: division, output
  logic [Steps:1]             p3_valid;
  logic [Steps-1:0][SumW-1:0] p3_sum;  // of the row whose beat is in step k
  logic [Steps-1:1][SumW-1:0] p3_sum_q;
  logic [LANES-1:0]           p3_rd_keep, p3_div_keep;
  logic [LANES-1:0][7:0]      p3_div_out;
  logic                       p3_div_last, p3_div_err_keep, p3_div_err_len;

  assign p3_sum = {p3_sum_q, p3_rd_sum};

  always_ff @(posedge clk_i) begin
    if (advance) p3_sum_q <= p3_sum[Steps-2:0];
  end

  for (genvar i = 0; i < LANES; i++) begin : gen_divider
    logic [15:0] e;
    assign p3_rd_keep[i] = p3_rd_e[i] != Absent;
    assign e             = p3_rd_keep[i] ? p3_rd_e[i] : 16'd0;

    exact_softmax_divider #(
      .SUM_W(SumW)
    ) u_divider (
      .clk_i,
      .en_i (advance),
      .e_i  (e),
      .sum_i(p3_sum),
      .out_o(p3_div_out[i])
    );
  end

  sn_pipe #(
    .W     (LANES + 3),
    .STAGES(Steps)
  ) u_beat (
    .clk_i,
    .en_i  (advance),
    .data_i({p3_rd_keep, p3_rd_last, p3_rd_err_keep, p3_rd_err_len}),
    .data_o({p3_div_keep, p3_div_last, p3_div_err_keep, p3_div_err_len})
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) p3_valid <= '0;
    else if (advance) p3_valid <= {p3_valid[Steps-1:1], p3_rd_valid};
  end

  sn_row_output #(
    .LANES(LANES),
    .OUT_W(8),
    .REG  (OUT_REG)
  ) u_output (
    .clk_i,
    .rst_ni,
    .advance_o(advance),
    .valid_i  (p3_valid[Steps]),
    .data_i   (p3_div_out),
    .keep_i   (p3_div_keep),
    .last_i   (p3_div_last),
    .user_i   ({p3_div_err_keep, p3_div_err_len, 5'd0}),
    .m_axis_tdata,
    .m_axis_tkeep,
    .m_axis_tlast,
    .m_axis_tuser,
    .m_axis_tvalid,
    .m_axis_tready
  );
endmodule
