// SPDX-License-Identifier: Apache-2.0
// REXP: softmax over rows of int8 logits with a table of e^-i and one of reciprocals, no divider.
//
//   s_axis --> maximum --> [ ring 1: x ] --> i, T1[i] --> [ ring 2: i ] --> select --[reg]--> m_axis
//                                              |                              ^
//                                              +--> sum S --> j --> TA[j] --> rnd(T1[.] * TA)
//
//   Vasyltsov & Chang, arXiv 2111.10770, reconstructed:
//   m   = maximum of the row,  i = min(xq + 1, rnd((m - x) / 2^F)),  s = T1[i],  S = sum of s
//   j   = sat(rnd(S / 2^W), 1, XS)                       F: cfg_frac_i, xq = ceil(ln(2^W - 1))
//   out = rnd(s * TA[j] / 2^W)                           W bits, real value out / (2^W - 1)
//
// Contract: docs/stream.md. The exponent in m_axis_tuser is 0. For W = 15 an output has two bytes.
//
// Throughput, latency, storage: those of sn_three_pass, with ROW_W = W. For rows of B beats
//   LATENCY = T + 13 + B clocks, T = floor(clog2(LANES) / 3).
//
// The lanes share their multipliers (rexp_line).

module rexp #(
  parameter  int LANES      = 32,    // 1, 2, 4, 8, 16, 32, 64: elements a beat
  parameter  int MAX_LEN    = 1024,  // LANES .. 65536: elements a row; longer rows are cut there
  parameter  int W          = 8,     // 2, 4, 8 or 15: precision in bits
  parameter  int XS         = 256,   // 16, 256, 320 or 512: entries of TA
  parameter  int INDEX_MODE = 0,     // 0: i is rounded, 1: floored
  parameter  int IN_REG   = 1,     // 0: no register behind the s_axis pins, and a clock less
  parameter  int OUT_REG  = 1,     // 0: none in front of the m_axis pins, and a clock less
  localparam int OUT_W      = (W <= 8) ? 8 : 16,
  localparam int USER_W     = 7
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,  // asynchronous assert, synchronous release

  input  logic [2:0]             cfg_frac_i,  // F

  input  logic [8*LANES-1:0]     s_axis_tdata,
  input  logic [LANES-1:0]       s_axis_tkeep,
  input  logic [LANES-1:0]       s_axis_tstrb,
  input  logic                   s_axis_tlast,
  input  logic                   s_axis_tvalid,
  output logic                   s_axis_tready,

  output logic [OUT_W*LANES-1:0] m_axis_tdata,
  output logic [LANES-1:0]       m_axis_tkeep,
  output logic                   m_axis_tlast,
  output logic [USER_W-1:0]      m_axis_tuser,
  output logic                   m_axis_tvalid,
  input  logic                   m_axis_tready,

  output logic                   err_len_o,   // one clock: a row longer than MAX_LEN
  output logic                   err_keep_o   // one clock: a beat with a tkeep that is not allowed
);
  // Icarus has no elaboration-time $error: a missing module stops every tool, and its name tells.
  if (LANES < 1 || LANES > 64 || (LANES & (LANES - 1)) != 0) begin : gen_check_lanes
    rexp_error_LANES_must_be_1_2_4_8_16_32_or_64 u_stop ();
  end
  if (MAX_LEN < LANES || MAX_LEN > 65536) begin : gen_check_max_len
    rexp_error_MAX_LEN_must_be_from_LANES_to_65536 u_stop ();
  end
  if (W != 2 && W != 4 && W != 8 && W != 15) begin : gen_check_w
    rexp_error_W_must_be_2_4_8_or_15 u_stop ();
  end
  if (XS != 16 && XS != 256 && XS != 320 && XS != 512) begin : gen_check_xs
    rexp_error_XS_must_be_16_256_320_or_512 u_stop ();
  end
  if (INDEX_MODE < 0 || INDEX_MODE > 1) begin : gen_check_index_mode
    rexp_error_INDEX_MODE_must_be_0_or_1 u_stop ();
  end
  if (IN_REG < 0 || IN_REG > 1) begin : gen_check_in_reg
    rexp_error_IN_REG_must_be_0_or_1 u_stop ();
  end
  if (OUT_REG < 0 || OUT_REG > 1) begin : gen_check_out_reg
    rexp_error_OUT_REG_must_be_0_or_1 u_stop ();
  end

  localparam int Entries = (W == 2) ? 4 : (W == 4) ? 5 : (W == 8) ? 8 : 13;  // of T1: xq + 2
  localparam int SumW    = W + $clog2(MAX_LEN);

  logic [LANES-1:0][7:0]     elem_d;
  logic [2:0]                elem_frac;
  logic [LANES-1:0][3:0]     elem_code;
  logic [LANES-1:0][W-1:0]   elem_share;
  logic [SumW-1:0]           row_sum;
  logic [W-1:0]              row_ta, line_ta;
  logic                      line_load;
  logic [Entries-1:0][W-1:0] line;

  sn_three_pass #(
    .LANES    (LANES),
    .MAX_LEN  (MAX_LEN),
    .CFG_W    (3),
    .SHARE_W  (W),
    .ROW_W    (W),
    .ENTRIES  (Entries),
    .VALUE_W  (W),
    .OUT_W    (OUT_W),
    .ZERO_CODE(4'(Entries - 1)),
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
    .row_word_i  (row_ta),
    .line_load_o (line_load),
    .line_word_o (line_ta),
    .line_i      (line)
  );

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    rexp_elem #(
      .W         (W),
      .ENTRIES   (Entries),
      .INDEX_MODE(INDEX_MODE)
    ) u_elem (
      .clk_i,
      .d_i    (elem_d[i]),
      .frac_i (elem_frac),
      .code_o (elem_code[i]),
      .share_o(elem_share[i])
    );
  end

  rexp_reciprocal #(
    .W    (W),
    .XS   (XS),
    .SUM_W(SumW)
  ) u_reciprocal (
    .clk_i,
    .sum_i (row_sum),
    .ta_o  (row_ta)
  );

  rexp_line #(
    .W      (W),
    .ENTRIES(Entries)
  ) u_line (
    .clk_i,
    .load_i(line_load),
    .ta_i  (line_ta),
    .line_o(line)
  );
endmodule
