// SPDX-License-Identifier: Apache-2.0
// 2D-LUT: softmax over rows of int8 logits with a table of exponentials and one of quotients.
//
//   s_axis --> maximum --> [ ring 1: x ] --> i, E[i] --> [ ring 2: COL[i] ] --> select --[reg]--> m_axis
//                                              |                                  ^
//                                              +--> sum S --> row --------------> T2[row]
//
//   Vasyltsov & Chang, arXiv 2111.10770, reconstructed:
//   m   = maximum of the row,  i = min(100, rnd(10 (m - x) / 2^F)),  S = sum of E[i]
//   row = sat(rnd(S / 2^W), 1, 60),  col = COL[i]        F: cfg_frac_i
//   out = T2[row][col]                                   W bits, real value out / (2^W - 1)
//
// Contract: docs/stream.md. The exponent in m_axis_tuser is 0.
//
// Throughput, latency, storage: those of sn_three_pass, with ROW_W = 6. For rows of B beats
//   LATENCY = T + 13 + B clocks, T = floor(clog2(LANES) / 3).
//
// No multiplier and no divider; the lanes share the large table (lut2d_line).

module lut2d #(
  parameter  int LANES   = 32,    // 1, 2, 4, 8, 16, 32, 64: elements a beat
  parameter  int MAX_LEN = 1024,  // LANES .. 65536: elements a row; longer rows are cut there
  parameter  int W       = 8,     // 2, 4 or 8: precision in bits
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
    lut2d_error_LANES_must_be_1_2_4_8_16_32_or_64 u_stop ();
  end
  if (MAX_LEN < LANES || MAX_LEN > 65536) begin : gen_check_max_len
    lut2d_error_MAX_LEN_must_be_from_LANES_to_65536 u_stop ();
  end
  if (W != 2 && W != 4 && W != 8) begin : gen_check_w
    lut2d_error_W_must_be_2_4_or_8 u_stop ();
  end
  if (IN_REG < 0 || IN_REG > 1) begin : gen_check_in_reg
    lut2d_error_IN_REG_must_be_0_or_1 u_stop ();
  end
  if (OUT_REG < 0 || OUT_REG > 1) begin : gen_check_out_reg
    lut2d_error_OUT_REG_must_be_0_or_1 u_stop ();
  end

  localparam int Columns = 11;  // of T2
  localparam int SumW    = W + $clog2(MAX_LEN);

  logic [LANES-1:0][7:0]     elem_d;
  logic [2:0]                elem_frac;
  logic [LANES-1:0][3:0]     elem_code;
  logic [LANES-1:0][W-1:0]   elem_share;
  logic [SumW-1:0]           row_sum;
  logic [5:0]                row_index, line_index;
  logic                      line_load;
  logic [Columns-1:0][W-1:0] line;

  sn_three_pass #(
    .LANES    (LANES),
    .MAX_LEN  (MAX_LEN),
    .CFG_W    (3),
    .SHARE_W  (W),
    .ROW_W    (6),
    .ENTRIES  (Columns),
    .VALUE_W  (W),
    .OUT_W    (8),
    .ZERO_CODE(4'd0),
    .IN_REG   (IN_REG),
    .OUT_REG  (OUT_REG)
  ) u_passes (
    .clk_i,
    .rst_ni,
    .cfg_i       (cfg_frac_i),
    .s_axis_tdata,
    .s_axis_tkeep,
    .s_axis_tstrb,
    .s_axis_tlast,
    .s_axis_tvalid,
    .s_axis_tready,
    .m_axis_tdata,
    .m_axis_tkeep,
    .m_axis_tlast,
    .m_axis_tuser,
    .m_axis_tvalid,
    .m_axis_tready,
    .err_len_o,
    .err_keep_o,
    .elem_d_o    (elem_d),
    .elem_cfg_o  (elem_frac),
    .elem_code_i (elem_code),
    .elem_share_i(elem_share),
    .row_sum_o   (row_sum),
    .row_word_i  (row_index),
    .line_load_o (line_load),
    .line_word_o (line_index),
    .line_i      (line)
  );

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    lut2d_elem #(
      .W(W)
    ) u_elem (
      .clk_i,
      .d_i    (elem_d[i]),
      .frac_i (elem_frac),
      .code_o (elem_code[i]),
      .share_o(elem_share[i])
    );
  end

  lut2d_row #(
    .W    (W),
    .SUM_W(SumW)
  ) u_row (
    .clk_i,
    .sum_i (row_sum),
    .row_o (row_index)
  );

  lut2d_line #(
    .W(W)
  ) u_line (
    .clk_i,
    .load_i(line_load),
    .row_i (line_index),
    .line_o(line)
  );
endmodule
