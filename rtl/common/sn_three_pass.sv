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
// Passes 1 and 2 are those of sn_two_pass, with codes of 4 bits. The output of ZERO_CODE must be 0;
// code 15 means that there is no element.
//
// Throughput: one beat a clock for ever, rows of any length, when neither side stalls.
// Latency: pass 2 takes a row's first beat 4 clocks after the transfer of its last one, or right
//   behind the row before; the output has it T + 10 clocks after pass 2 has had the last, or right
//   behind the row before. T = floor(clog2(LANES) / 3). For a row of B beats that is
//   LATENCY = T + 13 + B clocks.
// Storage: that of sn_two_pass, with CODE_W = 4.
//
// m_axis_tready enables the registers of pass 3 and goes no further.

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
  parameter  int         IN_REG    = 1,     // 0: no register in front of pass 1, and a clock less
  parameter  int         OUT_REG   = 1,     // 0: none behind pass 3, and a clock less
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

  // An element: what goes in and, two clocks later, comes out.
  output logic [LANES-1:0][7:0]           elem_d_o,
  output logic [CFG_W-1:0]                elem_cfg_o,
  input  logic [LANES-1:0][3:0]           elem_code_i,
  input  logic [LANES-1:0][SHARE_W-1:0]   elem_share_i,
  // A row.
  output logic [SUM_W-1:0]                row_sum_o,
  input  logic [ROW_W-1:0]                row_word_i,
  // Its outputs.
  output logic                            line_load_o,
  output logic [ROW_W-1:0]                line_word_o,
  input  logic [ENTRIES-1:0][VALUE_W-1:0] line_i
);
  localparam logic [3:0] CodeAbsent = 4'd15;

  logic                  advance, p3_rd_valid, p3_rd_last, p3_rd_err_keep, p3_rd_err_len;
  logic [LANES-1:0][3:0] p3_rd_code;

  sn_two_pass #(
    .LANES      (LANES),
    .MAX_LEN    (MAX_LEN),
    .CFG_W      (CFG_W),
    .CODE_W     (4),
    .SHARE_W    (SHARE_W),
    .ROW_W      (ROW_W),
    .ZERO_CODE  (int'(ZERO_CODE)),
    .ABSENT_CODE(int'(CodeAbsent)),
    .IN_REG     (IN_REG)
  ) u_passes (
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
    .elem_d_o,
    .elem_cfg_o,
    .elem_code_i,
    .elem_share_i,
    .row_sum_o,
    .row_word_i,
    .advance_i     (advance),
    .valid_o       (p3_rd_valid),
    .code_o        (p3_rd_code),
    .last_o        (p3_rd_last),
    .row_err_keep_o(p3_rd_err_keep),
    .row_err_len_o (p3_rd_err_len),
    .row_word_o    (line_word_o)
  );

  // ---------------------------------------------------------------------- pass 3: selection, output
  logic                        p3_sel_valid, p3_sel_last, p3_sel_err_keep, p3_sel_err_len;
  logic [LANES-1:0][3:0]       p3_sel_code;
  logic [LANES-1:0]            p3_sel_keep;
  logic [LANES-1:0][OUT_W-1:0] p3_sel_out;
  logic [15:0][VALUE_W-1:0]    line;

  assign line_load_o = advance && p3_rd_valid;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) p3_sel_valid <= 1'b0;
    else if (advance) p3_sel_valid <= p3_rd_valid;
  end

  always_ff @(posedge clk_i) begin
    if (advance) begin
      p3_sel_code     <= p3_rd_code;
      p3_sel_last     <= p3_rd_last;
      p3_sel_err_keep <= p3_rd_err_keep;
      p3_sel_err_len  <= p3_rd_err_len;
    end
  end

  for (genvar n = 0; n < 16; n++) begin : gen_line
    if (n < ENTRIES) begin : gen_used
      assign line[n] = line_i[n];
    end else begin : gen_zero
      assign line[n] = '0;
    end
  end

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    assign p3_sel_out[i]  = OUT_W'(line[p3_sel_code[i]]);
    assign p3_sel_keep[i] = p3_sel_code[i] != CodeAbsent;
  end

  sn_row_output #(
    .LANES(LANES),
    .OUT_W(OUT_W),
    .REG  (OUT_REG)
  ) u_output (
    .clk_i,
    .rst_ni,
    .advance_o(advance),
    .valid_i  (p3_sel_valid),
    .data_i   (p3_sel_out),
    .keep_i   (p3_sel_keep),
    .last_i   (p3_sel_last),
    .user_i   ({p3_sel_err_keep, p3_sel_err_len, 5'd0}),
    .m_axis_tdata,
    .m_axis_tkeep,
    .m_axis_tlast,
    .m_axis_tuser,
    .m_axis_tvalid,
    .m_axis_tready
  );
endmodule
