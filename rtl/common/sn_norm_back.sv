// SPDX-License-Identifier: Apache-2.0
// Back of every LayerNorm: its last pass, from the row buffer to the m_axis pins.
//
//   stage 0: bank, beat --> [ gamma (and what stands beside it) ] --> factor_o --+
//     |                                                                          v  (the unit)
//     | r, sh --[reg]---------------------------------------------> affine <-- dev_i, gamma_i
//     +--[delay]--> [ beta ] ------------------------------------------^ |
//                                                                         +--> sn_row_output --> m_axis_*
//
// Stage 0 is the row buffer's output; its beats are read a clock later (READ_DELAY = 1), with the
// channels that are looked up by their bank: in stage 1 the unit makes the deviations of both. beta is
// read when it is added. All stages load while advance_o is high and hold while it is low.
//
// Latency from stage 0 to the pins: 3 + SHIFT_REG + OUT_REG clocks, one beat a clock.

module sn_norm_back #(
  parameter  int LANES     = 32,
  parameter  int MAX_LEN   = 1024,
  parameter  int FACTOR_W  = 8,   // bits a channel: gamma, and what else stage 1 looks up
  parameter  int DEV_W     = 20,  // the rest: see sn_affine
  parameter  int R_W       = 16,
  parameter  int SH_W      = 6,
  parameter  int LEFT      = 2,
  parameter  int SHIFT_REG = 1,
  parameter  int ERR_W     = 2,   // a row's flags: {.., err_keep, err_len}
  parameter  int OUT_REG   = 1,   // 0: no register in front of the pins, and a clock less
  parameter  int BANKS     = 2,   // 1: chan_bank_i and bank_i are ignored
  localparam int USER_W    = ERR_W + 5,
  localparam int ADDR_W    = (MAX_LEN > 1) ? $clog2(MAX_LEN) : 1
) (
  input  logic                           clk_i,
  input  logic                           rst_ni,

  // Channel table, write port.
  input  logic                           chan_we_i,
  input  logic                           chan_bank_i,
  input  logic [ADDR_W-1:0]              chan_addr_i,
  input  logic [FACTOR_W-1:0]            chan_factor_i,
  input  logic [7:0]                     chan_beta_i,

  output logic                           advance_o,

  // Stage 0: a beat and its row.
  input  logic                           valid_i,
  input  logic                           bank_i,
  input  logic                           last_i,
  input  logic [ERR_W-1:0]               err_i,
  input  logic [R_W-1:0]                 r_i,   // 1/sigma
  input  logic [SH_W-1:0]                sh_i,

  // Stage 1: its elements.
  output logic [LANES-1:0][FACTOR_W-1:0] factor_o,
  input  logic [LANES-1:0][7:0]          gamma_i,
  input  logic [LANES-1:0][DEV_W-1:0]    dev_i,
  input  logic [LANES-1:0]               keep_i,
  input  logic [LANES-1:0]               active_i,

  output logic [8*LANES-1:0]             m_axis_tdata,
  output logic [LANES-1:0]               m_axis_tkeep,
  output logic                           m_axis_tlast,
  output logic [USER_W-1:0]              m_axis_tuser,
  output logic                           m_axis_tvalid,
  input  logic                           m_axis_tready
);
  localparam int MaxBeats = (MAX_LEN + LANES - 1) / LANES;
  localparam int IndexW   = (MaxBeats > 1) ? $clog2(MaxBeats) : 1;
  localparam int Affine   = 2 + SHIFT_REG;
  localparam int StOut    = 1 + Affine;  // the output register takes from here
  localparam int StBeta   = StOut - 1;   // beta is read from here

  logic                  advance;
  logic [StOut:0]        valid;
  logic [StOut-1:0]      valid_q;
  logic [IndexW-1:0]     index_q, beta_index;
  logic                  beta_bank, s1_last, out_last;
  logic [ERR_W-1:0]      s1_err, out_err;
  logic [R_W-1:0]        s1_r;
  logic [SH_W-1:0]       s1_sh;
  logic [LANES-1:0]      out_keep, out_active;
  logic [LANES-1:0][7:0] out_beta, out_sum, out;

  assign advance_o = advance;
  assign valid     = {valid_q, valid_i};

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      valid_q <= '0;
      index_q <= '0;
    end else if (advance) begin
      valid_q <= valid[StOut-1:0];
      index_q <= (valid_i && !last_i) ? index_q + IndexW'(1) : '0;  // a row has no gaps
    end
  end

  always_ff @(posedge clk_i) begin
    if (advance) begin
      s1_r    <= r_i;
      s1_sh   <= sh_i;
      s1_last <= last_i;
      s1_err  <= err_i;
    end
  end

  // ----------------------------------------------------------------------------------- the channels
  sn_channel_column #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN),
    .W      (FACTOR_W),
    .BANKS  (BANKS)
  ) u_factor (
    .clk_i,
    .wr_en_i  (chan_we_i),
    .wr_bank_i(chan_bank_i),
    .wr_chan_i(chan_addr_i),
    .wr_data_i(chan_factor_i),
    .rd_en_i  (advance && valid_i),
    .rd_bank_i(bank_i),
    .rd_beat_i(index_q),
    .rd_data_o(factor_o)
  );

  sn_pipe #(
    .W     (1 + IndexW),
    .STAGES(StBeta)
  ) u_beta_place (
    .clk_i,
    .en_i  (advance),
    .data_i({bank_i, index_q}),
    .data_o({beta_bank, beta_index})
  );

  sn_channel_column #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN),
    .W      (8),
    .BANKS  (BANKS)
  ) u_beta (
    .clk_i,
    .wr_en_i  (chan_we_i),
    .wr_bank_i(chan_bank_i),
    .wr_chan_i(chan_addr_i),
    .wr_data_i(chan_beta_i),
    .rd_en_i  (advance && valid[StBeta]),
    .rd_bank_i(beta_bank),
    .rd_beat_i(beta_index),
    .rd_data_o(out_beta)
  );

  // ------------------------------------------------------------------------------ affine and output
  sn_affine #(
    .LANES    (LANES),
    .DEV_W    (DEV_W),
    .R_W      (R_W),
    .SH_W     (SH_W),
    .LEFT     (LEFT),
    .SHIFT_REG(SHIFT_REG)
  ) u_affine (
    .clk_i,
    .en_i   (advance),
    .dev_i,
    .gamma_i,
    .r_i    (s1_r),
    .sh_i   (s1_sh),
    .beta_i (out_beta),
    .out_o  (out_sum)
  );

  sn_pipe #(
    .W     (LANES + LANES + 1 + ERR_W),
    .STAGES(Affine)
  ) u_out (
    .clk_i,
    .en_i  (advance),
    .data_i({keep_i, active_i, s1_last, s1_err}),
    .data_o({out_keep, out_active, out_last, out_err})
  );

  for (genvar i = 0; i < LANES; i++) begin : gen_out
    assign out[i] = out_active[i] ? out_sum[i] : 8'd0;
  end

  sn_row_output #(
    .LANES (LANES),
    .OUT_W (8),
    .USER_W(USER_W),
    .REG   (OUT_REG)
  ) u_output (
    .clk_i,
    .rst_ni,
    .advance_o(advance),
    .valid_i  (valid[StOut]),
    .data_i   (out),
    .keep_i   (out_keep),
    .last_i   (out_last),
    .user_i   ({out_err, 5'd0}),
    .m_axis_tdata,
    .m_axis_tkeep,
    .m_axis_tlast,
    .m_axis_tuser,
    .m_axis_tvalid,
    .m_axis_tready
  );
endmodule
