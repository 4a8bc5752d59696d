// SPDX-License-Identifier: Apache-2.0
// residual_add: the saturated sum of two streams, element by element. A stream cell: no row buffer.
//
//   s_axis --> [skid] --+
//                       +--> join --> s + r, saturate --[reg]--> m_axis
//   r_axis --> [skid] --+      |
//                              +--> err_keep_o
//
//   out = s + r, saturated to IN_W bits; tkeep, tstrb: those of both (AND), tlast: that of either (OR)
//
// Contract: docs/stream.md. Beats of the two streams are taken in pairs, so that either waits for the
// other. A row ends with the first tlast of either stream; the beats that the other still has up to its
// own tlast are taken and dropped. A row has no longest length, and its beats come out while others of
// it go in: m_axis_tuser holds the row's flags so far, final with tlast. err_len and exponent are 0.
//
// err_keep_o is high for one clock, right after a pair was joined or a beat dropped, once for each pair
// whose tkeep or tlast are not equal, or with a tkeep that is not allowed in either, and for each
// dropped beat with such a tkeep. All but the last set the row's err_keep.
//
// Throughput one pair a clock; a dropped beat takes a clock. LATENCY = 2 clocks from the transfer of
// the later beat of a pair to that of the output beat. Storage: none but the registers of three beats.

module residual_add #(
  parameter  int LANES  = 32,  // 1, 2, 4, 8, 16, 32, 64: elements a beat
  parameter  int IN_W   = 32,  // 16, 32: bits of an element, in and out
  localparam int USER_W = 7
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,  // asynchronous assert, synchronous release

  input  logic [IN_W*LANES-1:0] s_axis_tdata,
  input  logic [LANES-1:0]      s_axis_tkeep,
  input  logic [LANES-1:0]      s_axis_tstrb,
  input  logic                  s_axis_tlast,
  input  logic                  s_axis_tvalid,
  output logic                  s_axis_tready,

  input  logic [IN_W*LANES-1:0] r_axis_tdata,
  input  logic [LANES-1:0]      r_axis_tkeep,
  input  logic [LANES-1:0]      r_axis_tstrb,
  input  logic                  r_axis_tlast,
  input  logic                  r_axis_tvalid,
  output logic                  r_axis_tready,

  output logic [IN_W*LANES-1:0] m_axis_tdata,
  output logic [LANES-1:0]      m_axis_tkeep,
  output logic [LANES-1:0]      m_axis_tstrb,
  output logic                  m_axis_tlast,
  output logic [USER_W-1:0]     m_axis_tuser,
  output logic                  m_axis_tvalid,
  input  logic                  m_axis_tready,

  output logic                  err_len_o,  // always 0: no row is too long
  output logic                  err_keep_o  // one clock: see above
);
  // Icarus has no elaboration-time $error: a missing module stops every tool, and its name tells.
  if (LANES < 1 || LANES > 64 || (LANES & (LANES - 1)) != 0) begin : gen_check_lanes
    residual_add_error_LANES_must_be_1_2_4_8_16_32_or_64 u_stop ();
  end
  if (IN_W != 16 && IN_W != 32) begin : gen_check_in_w
    residual_add_error_IN_W_must_be_16_or_32 u_stop ();
  end

  localparam int BeatW = 1 + (2 + IN_W) * LANES;

  typedef struct packed {
    logic                       last;
    logic [LANES-1:0]           keep;
    logic [LANES-1:0]           strb;
    logic [LANES-1:0][IN_W-1:0] data;
  } beat_t;

  // -------------------------------------------------------------------------------- both inputs [s, r]
  beat_t s, r;
  logic  s_valid, r_valid, s_take, r_take, s_bad, r_bad;

  sn_skid #(
    .W(BeatW)
  ) u_s (
    .clk_i,
    .rst_ni,
    .valid_i  (s_axis_tvalid),
    .ready_o  (s_axis_tready),
    .data_i   ({s_axis_tlast, s_axis_tkeep, s_axis_tstrb, s_axis_tdata}),
    .valid_o  (s_valid),
    .advance_i(s_take),
    .data_o   (s)
  );

  sn_skid #(
    .W(BeatW)
  ) u_r (
    .clk_i,
    .rst_ni,
    .valid_i  (r_axis_tvalid),
    .ready_o  (r_axis_tready),
    .data_i   ({r_axis_tlast, r_axis_tkeep, r_axis_tstrb, r_axis_tdata}),
    .valid_o  (r_valid),
    .advance_i(r_take),
    .data_o   (r)
  );

  sn_keep_check #(
    .LANES(LANES)
  ) u_s_keep (
    .keep_i(s.keep),
    .last_i(s.last),
    .bad_o (s_bad)
  );

  sn_keep_check #(
    .LANES(LANES)
  ) u_r_keep (
    .keep_i(r.keep),
    .last_i(r.last),
    .bad_o (r_bad)
  );

  // -------------------------------------------------------------------------------------- the join
  logic s_drops_q, r_drops_q;  // the row has ended with the other's tlast: drop up to the own one
  logic err_keep_q;            // of the row under way
  logic advance, pair, joined, last, wrong, err_keep;

  assign pair     = s_valid && r_valid && !s_drops_q && !r_drops_q;
  assign joined   = pair && advance;
  assign s_take   = joined || s_drops_q;
  assign r_take   = joined || r_drops_q;
  assign last     = s.last || r.last;
  assign wrong    = s_bad || r_bad || s.keep != r.keep || s.last != r.last;
  assign err_keep = wrong || err_keep_q;

  assign err_len_o = 1'b0;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      s_drops_q  <= 1'b0;
      r_drops_q  <= 1'b0;
      err_keep_q <= 1'b0;
      err_keep_o <= 1'b0;
    end else begin
      if (joined) begin
        s_drops_q  <= r.last && !s.last;
        r_drops_q  <= s.last && !r.last;
        err_keep_q <= err_keep && !last;
      end else begin
        if (s_valid && s.last) s_drops_q <= 1'b0;
        if (r_valid && r.last) r_drops_q <= 1'b0;
      end
      err_keep_o <= (joined && wrong) || (s_drops_q && s_valid && s_bad) ||
                    (r_drops_q && r_valid && r_bad);
    end
  end

  // --------------------------------------------------------------------------------------- the sum
  logic [LANES-1:0]           keep, active;
  logic [LANES-1:0][IN_W:0]   out, m_lane;  // {tstrb, tdata} of a lane

  assign keep   = s.keep & r.keep;
  assign active = keep & s.strb & r.strb;

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic [IN_W:0]   sum;
    logic [IN_W-1:0] fits;
    // The two signs of a sum that does not fit differ; the upper one is right.
    assign sum  = {s.data[i][IN_W-1], s.data[i]} + {r.data[i][IN_W-1], r.data[i]};
    assign fits = (sum[IN_W] != sum[IN_W-1]) ? {sum[IN_W], {(IN_W - 1) {!sum[IN_W]}}} : sum[IN_W-1:0];

    assign out[i]                       = {active[i], fits & {IN_W{active[i]}}};
    assign m_axis_tstrb[i]              = m_lane[i][IN_W];
    assign m_axis_tdata[IN_W*i +: IN_W] = m_lane[i][IN_W-1:0];
  end

  sn_row_output #(
    .LANES(LANES),
    .OUT_W(IN_W + 1)
  ) u_output (
    .clk_i,
    .rst_ni,
    .advance_o    (advance),
    .valid_i      (pair),
    .data_i       (out),
    .keep_i       (keep),
    .last_i       (last),
    .user_i       ({err_keep, 6'b0}),
    .m_axis_tdata (m_lane),
    .m_axis_tkeep,
    .m_axis_tlast,
    .m_axis_tuser,
    .m_axis_tvalid,
    .m_axis_tready
  );
endmodule
