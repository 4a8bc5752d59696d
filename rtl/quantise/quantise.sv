// SPDX-License-Identifier: Apache-2.0
// quantise: wide integers to bytes by a scale and a zero point of the row. A stream cell: no row buffer.
//
//   s_axis --> [skid] --> v * Q --[regs]--> >> S, rnd --[reg]--> + zp, saturate --[reg]--> m_axis
//   cfg_*  ----^   |
//                  +--> err_keep_o
//
//   q = rnd(v * Q / 2^S) + zp       v: signed, IN_W bits; Q: cfg_qmult_i; S: cfg_qshift_i
//   out = q saturated to -128 .. 127, or, with cfg_unsigned_i, to 0 .. 255
//
// Contract: docs/stream.md. A row has no longest length, and its beats come out while others of it go
// in: m_axis_tuser holds the row's flags so far, final with tlast. err_len and exponent are always 0.
// m_axis_tstrb tells which elements are not masked; masked and absent ones put out 0.
//
// Throughput one beat a clock. LATENCY = 5 clocks from the transfer of a beat to that of its output; with
// IN_W = 16 it is 4, for a product of one clock.
// Storage: none but the pipeline's registers, and one beat more in front of it.
//
// Everything behind the skid register holds while the output is not taken; s_axis_tready is a
// flip-flop. What has come out is 0 where there is no beat.

module quantise #(
  parameter  int LANES  = 32,  // 1, 2, 4, 8, 16, 32, 64: elements a beat
  parameter  int IN_W   = 32,  // 16, 32: bits of an input
  localparam int USER_W = 7
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,  // asynchronous assert, synchronous release

  input  logic [15:0]           cfg_qmult_i,     // Q
  input  logic [5:0]            cfg_qshift_i,    // S
  input  logic [8:0]            cfg_zp_i,        // signed: the output that stands for 0
  input  logic                  cfg_unsigned_i,  // 0: out is int8, 1: uint8

  input  logic [IN_W*LANES-1:0] s_axis_tdata,
  input  logic [LANES-1:0]      s_axis_tkeep,
  input  logic [LANES-1:0]      s_axis_tstrb,
  input  logic                  s_axis_tlast,
  input  logic                  s_axis_tvalid,
  output logic                  s_axis_tready,

  output logic [8*LANES-1:0]    m_axis_tdata,
  output logic [LANES-1:0]      m_axis_tkeep,
  output logic [LANES-1:0]      m_axis_tstrb,
  output logic                  m_axis_tlast,
  output logic [USER_W-1:0]     m_axis_tuser,
  output logic                  m_axis_tvalid,
  input  logic                  m_axis_tready,

  output logic                  err_len_o,  // always 0: no row is too long
  output logic                  err_keep_o  // one clock: a beat with a tkeep that is not allowed
);
  // Icarus has no elaboration-time $error: a missing module stops every tool, and its name tells.
  if (LANES < 1 || LANES > 64 || (LANES & (LANES - 1)) != 0) begin : gen_check_lanes
    quantise_error_LANES_must_be_1_2_4_8_16_32_or_64 u_stop ();
  end
  if (IN_W != 16 && IN_W != 32) begin : gen_check_in_w
    quantise_error_IN_W_must_be_16_or_32 u_stop ();
  end

  localparam int Clocks = IN_W / 16;  // of the product
  localparam int StOut = Clocks + 2;  // the output register takes from here
  localparam int ProdW = IN_W + 16;
  localparam int CfgW  = 32;
  localparam int BeatW = 2 + 2 * LANES;  // beside the elements

  // ------------------------------------------------------------------------------------- the input
  typedef struct packed {
    logic [15:0] mult;
    logic [5:0]  shift;
    logic [8:0]  zp;
    logic        bare;  // unsigned
  } cfg_t;
  typedef struct packed {
    logic                       err_keep;  // the row's flag so far
    logic                       last;
    logic [LANES-1:0]           keep;      // the element exists
    logic [LANES-1:0]           active;    // and is not masked
  } beat_t;

  logic  accept, in_row_q, err_keep_q, keep_bad;
  cfg_t  cfg_in, cfg_q;
  beat_t in;

  sn_keep_check #(
    .LANES(LANES)
  ) u_keep (
    .keep_i(s_axis_tkeep),
    .last_i(s_axis_tlast),
    .bad_o (keep_bad)
  );

  assign accept      = s_axis_tvalid && s_axis_tready;
  assign cfg_in      = in_row_q ? cfg_q : {cfg_qmult_i, cfg_qshift_i, cfg_zp_i, cfg_unsigned_i};
  assign in.err_keep = keep_bad || (in_row_q && err_keep_q);
  assign in.last     = s_axis_tlast;
  assign in.keep     = s_axis_tkeep;
  assign in.active   = s_axis_tkeep & s_axis_tstrb;
  assign err_len_o   = 1'b0;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      in_row_q   <= 1'b0;
      err_keep_o <= 1'b0;
    end else begin
      if (accept) in_row_q <= !s_axis_tlast;
      err_keep_o <= accept && keep_bad;
    end
  end

  always_ff @(posedge clk_i) begin
    if (accept) begin
      err_keep_q <= in.err_keep;
      cfg_q      <= cfg_in;
    end
  end

  // ---------------------------------------------------------------------------------- the pipeline
  logic                       advance;
  logic [StOut:1]             valid;  // valid[s]: stage s holds a beat
  logic [StOut:2]             valid_q;
  logic                       s1_valid;
  cfg_t                       s1_cfg, s2_cfg, s3_cfg;  // of the skid, behind the product, behind the shift
  beat_t                      s1, s2, s3;
  logic [LANES-1:0][IN_W-1:0] s1_v;

  assign valid = {valid_q, s1_valid};

  sn_skid #(
    .W(CfgW + BeatW + IN_W * LANES)
  ) u_skid (
    .clk_i,
    .rst_ni,
    .valid_i  (s_axis_tvalid),
    .ready_o  (s_axis_tready),
    .data_i   ({cfg_in, in, s_axis_tdata}),
    .valid_o  (s1_valid),
    .advance_i(advance),
    .data_o   ({s1_cfg, s1, s1_v})
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= '0;
    else if (advance) valid_q <= valid[StOut-1:1];
  end

  sn_pipe #(
    .W     (CfgW + BeatW),
    .STAGES(Clocks)
  ) u_beside (
    .clk_i,
    .en_i  (advance),
    .data_i({s1_cfg, s1}),
    .data_o({s2_cfg, s2})
  );

  always_ff @(posedge clk_i) begin
    if (advance) {s3_cfg, s3} <= {s2_cfg, s2};
  end

  logic [LANES-1:0][8:0] out, m_lane;  // {tstrb, tdata} of a lane

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic [ProdW:0]     product;
    logic [9:0]         shifted, unused_low;
    logic               half, unused_over;
    logic signed [9:0]  quotient_q;
    logic               half_q;
    logic signed [10:0] total;
    logic               high, low;
    logic [7:0]         q;

    sn_multiply_clocked #(
      .A_W   (17),
      .B_W   (IN_W),
      .CLOCKS(Clocks)
    ) u_product (
      .clk_i,
      .en_i(advance),
      .a_i ({1'b0, s1_cfg.mult}),
      .b_i (s1_v[i]),
      .p_o (product)
    );

    // Saturated to 10 bits: what does not fit saturates with any zero point.
    sn_shift_saturate #(
      .W    (ProdW),
      .SH_W (6),
      .LEFT (0),
      .OUT_W(10)
    ) u_shift (
      .num_i (product[ProdW-1:0]),
      .sh_i  (s2_cfg.shift),
      .out_o (shifted),
      .low_o (unused_low),
      .over_o(unused_over),
      .half_o(half)
    );

    always_ff @(posedge clk_i) begin
      if (advance) begin
        quotient_q <= shifted;
        half_q     <= half;
      end
    end

    assign total = 11'(quotient_q) + 11'($signed(s3_cfg.zp)) + $signed({10'b0, half_q});
    assign high  = !total[10] && total[9:7] != '0 && !(s3_cfg.bare && total[9:8] == '0);
    assign low   = total[10] && (s3_cfg.bare || total[9:7] != '1);
    assign q     = high ? {s3_cfg.bare, 7'h7f} : low ? {!s3_cfg.bare, 7'h00} : total[7:0];

    assign out[i]                 = {s3.active[i], q & {8{s3.active[i]}}};
    assign m_axis_tstrb[i]        = m_lane[i][8];
    assign m_axis_tdata[8*i +: 8] = m_lane[i][7:0];

    logic unused_bits;
    assign unused_bits = ^{product[ProdW], unused_low, unused_over};
  end

  // ------------------------------------------------------------------------------------ the output
  sn_row_output #(
    .LANES(LANES),
    .OUT_W(9)
  ) u_output (
    .clk_i,
    .rst_ni,
    .advance_o    (advance),
    .valid_i      (valid[StOut]),
    .data_i       (out),
    .keep_i       (s3.keep),
    .last_i       (s3.last),
    .user_i       ({s3.err_keep, 6'b0}),
    .m_axis_tdata (m_lane),
    .m_axis_tkeep,
    .m_axis_tlast,
    .m_axis_tuser,
    .m_axis_tvalid,
    .m_axis_tready
  );

  logic unused;
  assign unused = ^{s2_cfg.mult, s3_cfg.mult, s3_cfg.shift};
endmodule
