// SPDX-License-Identifier: Apache-2.0
// What the row guard promises (rtl/common/sn_row_guard.sv, docs/stream.md), counted in elements: lane i of
// a row's beat t holds element t LANES + i, and those from MAX_LEN on are not part of the row. Bound to
// the guard.

module sn_row_guard_checker #(
  parameter  int LANES     = 32,
  parameter  int MAX_LEN   = 1024,
  parameter  int LANE_W    = 8,
  parameter  int CFG_W     = 1,
  parameter  int REG       = 1,
  localparam int MAX_BEATS = (MAX_LEN + LANES - 1) / LANES
) (
  input logic                             clk_i,
  input logic                             rst_ni,
  input logic [LANES-1:0][LANE_W-1:0]     s_axis_tdata,
  input logic [LANES-1:0]                 s_axis_tkeep,
  input logic [LANES-1:0]                 s_axis_tstrb,
  input logic                             s_axis_tlast,
  input logic                             s_axis_tvalid,
  input logic                             s_axis_tready,
  input logic [CFG_W-1:0]                 cfg_i,
  input logic                             take_o,
  input logic                             valid_o,
  input logic                             store_o,
  input logic                             first_o,
  input logic                             stored_last_o,
  input logic                             close_o,
  input logic [LANES-1:0][LANE_W-1:0]     data_o,
  input logic [LANES-1:0]                 keep_o,
  input logic [LANES-1:0]                 active_o,
  input logic [CFG_W-1:0]                 cfg_o,
  input logic                             row_err_len_o,
  input logic                             row_err_keep_o,
  input logic                             err_len_o,
  input logic                             err_keep_o,
  // inside
  input logic                             err_len_q,
  input logic                             err_keep_q,
  input logic [CFG_W-1:0]                 cfg_q,
  input logic                             in_row_q,
  input logic [$clog2(MAX_BEATS+1)-1:0]   beats_q
);
  // ------------------------------------------------------------------ a beat, by the contract's words
  logic [31:0]      beat_q, beat;  // its number in the row; stands at MAX_LEN, beyond any end
  logic             row_q, had_len_q, had_keep_q, has_len, has_keep;
  logic [CFG_W-1:0] had_cfg_q, cfg;
  logic             accept, dropped, last_place, too_long, keep_bad, keep_gap;
  logic [LANES-1:0] keep;

  assign accept = s_axis_tvalid && s_axis_tready;
  assign beat   = row_q ? beat_q : 0;
  assign cfg    = row_q ? had_cfg_q : cfg_i;

  always_comb begin
    dropped    = beat * LANES >= MAX_LEN;
    last_place = (beat + 1) * LANES >= MAX_LEN;
    too_long   = dropped;
    keep_gap   = 1'b0;
    for (int i = 0; i < LANES; i++) begin
      keep[i] = s_axis_tkeep[i] && beat * LANES + i < MAX_LEN;
      if (s_axis_tkeep[i] && !keep[i]) too_long = 1'b1;
      if (i > 0 && s_axis_tkeep[i] && !s_axis_tkeep[(i>0)?i-1:0]) keep_gap = 1'b1;
    end
    keep_bad = s_axis_tlast ? (keep_gap || !s_axis_tkeep[0]) : s_axis_tkeep != '1;
  end

  assign has_len  = too_long || (row_q && had_len_q);
  assign has_keep = keep_bad || (row_q && had_keep_q);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      row_q      <= 1'b0;
      beat_q     <= 0;
      had_len_q  <= 1'b0;
      had_keep_q <= 1'b0;
    end else if (accept) begin
      row_q      <= !s_axis_tlast;
      beat_q     <= (beat < MAX_LEN) ? beat + 1 : beat;
      had_len_q  <= has_len;
      had_keep_q <= has_keep;
    end
  end
  always_ff @(posedge clk_i) if (accept) had_cfg_q <= cfg;

  // ------------------------------------------------------------- what comes out, and REG clocks later
  localparam int OutW = 7 + CFG_W + LANES * (2 + LANE_W);

  logic                         off, seen, pulse_len_q, pulse_keep_q;
  logic                         valid, store, first, last, close, len, bad;
  logic [CFG_W-1:0]             settings;
  logic [LANES-1:0]             kept, active;
  logic [LANES-1:0][LANE_W-1:0] data, lanes;
  logic [OutW-1:0]              now;

  logic clocked_q = 1'b0;
  always_ff @(posedge clk_i) clocked_q <= 1'b1;
  assign off = !rst_ni || !clocked_q;

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    assign data[i] = (keep[i] && s_axis_tstrb[i]) ? s_axis_tdata[i] : '0;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      pulse_len_q  <= 1'b0;
      pulse_keep_q <= 1'b0;
    end else begin
      pulse_len_q  <= accept && too_long && !(row_q && had_len_q);
      pulse_keep_q <= accept && keep_bad;
    end
  end
  assign now = {
    accept, !dropped, !row_q, s_axis_tlast || last_place, s_axis_tlast, has_len, has_keep, cfg,
    {LANES{accept}} & keep, {LANES{accept}} & keep & s_axis_tstrb, {LANES * LANE_W{accept}} & data
  };

  if (REG == 1) begin : gen_later
    logic            seen_q;
    logic [OutW-1:0] out_q;
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) begin
        seen_q <= 1'b0;
        out_q  <= '0;
      end else begin
        seen_q <= 1'b1;
        out_q  <= now;
      end
    end
    // Lanes are 0 where no beat has come.
    assign seen = seen_q;
    assign {valid, store, first, last, close, len, bad, settings, kept, active, lanes} = out_q;
  end else begin : gen_now
    assign seen = valid;
    assign {valid, store, first, last, close, len, bad, settings, kept, active, lanes} = now;
  end

  a_err_len : assert property (@(posedge clk_i) disable iff (off) err_len_o == pulse_len_q)
    else $error("err_len_o is not the clock after the first beat beyond MAX_LEN");
  a_err_keep : assert property (@(posedge clk_i) disable iff (off) err_keep_o == pulse_keep_q)
    else $error("err_keep_o is not the clock after a tkeep that is not allowed");
  a_take : assert property (@(posedge clk_i) disable iff (off) take_o == (accept && !dropped))
    else $error("a beat within MAX_LEN is dropped, or one beyond it stored");
  a_valid : assert property (@(posedge clk_i) disable iff (off) valid_o == valid)
    else $error("a beat is lost or made up");
  a_place : assert property (@(posedge clk_i) disable iff (off) !valid ||
      {store_o, first_o, close_o} == {store, first, close} && (!store || stored_last_o == last))
    else $error("a beat's place in its row is wrong");
  a_flags : assert property (@(posedge clk_i) disable iff (off) !valid ||
      {row_err_len_o, row_err_keep_o} == {len, bad})
    else $error("the row's flags are wrong");
  a_settings : assert property (@(posedge clk_i) disable iff (off) !valid || cfg_o == settings)
    else $error("the row's settings are not those of its first beat");
  a_lanes : assert property (@(posedge clk_i) disable iff (off) !seen ||
      {keep_o, active_o, data_o} == {kept, active, lanes})
    else $error("lanes are wrong");

`ifdef SN_PROOF
  // A row that is too long is so in each beat to come.
  i_len : assert property (@(posedge clk_i) disable iff (off) !(row_q && had_len_q) ||
      beat_q * LANES >= MAX_LEN);
  i_in_row : assert property (@(posedge clk_i) disable iff (off) in_row_q == row_q);
  i_beats : assert property (@(posedge clk_i) disable iff (off) !row_q ||
      32'(beats_q) == ((beat_q < MAX_BEATS) ? beat_q : MAX_BEATS) && beat_q != 0);
  i_far : assert property (@(posedge clk_i) disable iff (off) beat_q <= MAX_LEN);
  i_held : assert property (@(posedge clk_i) disable iff (off) !row_q ||
      {err_len_q, err_keep_q, cfg_q} == {had_len_q, had_keep_q, had_cfg_q});
  if (REG == 0) begin : gen_early
    i_early : assert property (@(posedge clk_i) disable iff (off) !row_q ||
        {gen_place_early.past_q, gen_place_early.end_q} ==
        {beats_q == MAX_BEATS, beats_q == MAX_BEATS - 1});
  end

  // Must be refuted: a row can be too long, and end.
  r_long : assert property (@(posedge clk_i) disable iff (off) !(valid && !store && close));
  r_bad : assert property (@(posedge clk_i) disable iff (off) !pulse_keep_q);
`else
  logic unused;
  assign unused = ^{in_row_q, beats_q, err_len_q, err_keep_q, cfg_q};
`endif
endmodule

bind sn_row_guard sn_row_guard_checker #(
  .LANES  (LANES),
  .MAX_LEN(MAX_LEN),
  .LANE_W (LANE_W),
  .CFG_W  (CFG_W),
  .REG    (REG)
) u_check (.*);
