// SPDX-License-Identifier: Apache-2.0
// What the row guard promises (rtl/common/sn_row_guard.sv, docs/stream.md), counted in elements: lane i of
// a row's beat t holds element t LANES + i, and those from MAX_LEN on are not part of the row. Bound to
// the guard.

module sn_row_guard_checker #(
  parameter  int LANES     = 32,
  parameter  int MAX_LEN   = 1024,
  parameter  int LANE_W    = 8,
  parameter  int CFG_W     = 1,
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
  input logic                             in_row_q,
  input logic [$clog2(MAX_BEATS+1)-1:0]   beats_q
);
  // ------------------------------------------------------------------ a beat, by the contract's words
  logic [31:0]      beat_q, beat;  // its number in the row; stands at MAX_LEN, beyond any end
  logic             row_q, had_len_q, had_keep_q;
  logic [CFG_W-1:0] cfg_q, cfg;
  logic             accept, dropped, last_place, too_long, keep_bad, keep_gap;
  logic [LANES-1:0] keep;

  assign accept = s_axis_tvalid && s_axis_tready;
  assign beat   = row_q ? beat_q : 0;
  assign cfg    = row_q ? cfg_q : cfg_i;

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

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      row_q      <= 1'b0;
      beat_q     <= 0;
      had_len_q  <= 1'b0;
      had_keep_q <= 1'b0;
    end else if (accept) begin
      row_q      <= !s_axis_tlast;
      beat_q     <= (beat < MAX_LEN) ? beat + 1 : beat;
      had_len_q  <= too_long || (row_q && had_len_q);
      had_keep_q <= keep_bad || (row_q && had_keep_q);
    end
  end
  always_ff @(posedge clk_i) if (accept) cfg_q <= cfg;

  // ----------------------------------------------------------------------------------- a clock later
  logic                         off, seen_q, pulse_len_q, pulse_keep_q, valid_q;
  logic                         store_q, first_q, last_q, close_q;
  logic [LANES-1:0]             keep_q, active_q;
  logic [LANES-1:0][LANE_W-1:0] data_q, data;

  logic clocked_q = 1'b0;
  always_ff @(posedge clk_i) clocked_q <= 1'b1;
  assign off = !rst_ni || !clocked_q;

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    assign data[i] = (keep[i] && s_axis_tstrb[i]) ? s_axis_tdata[i] : '0;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      seen_q       <= 1'b0;
      valid_q      <= 1'b0;
      pulse_len_q  <= 1'b0;
      pulse_keep_q <= 1'b0;
    end else begin
      seen_q       <= 1'b1;
      valid_q      <= accept;
      pulse_len_q  <= accept && too_long && !(row_q && had_len_q);
      pulse_keep_q <= accept && keep_bad;
    end
  end
  always_ff @(posedge clk_i) begin
    store_q  <= !dropped;
    first_q  <= !row_q;
    last_q   <= s_axis_tlast || last_place;
    close_q  <= s_axis_tlast;
    keep_q   <= accept ? keep : '0;
    active_q <= accept ? keep & s_axis_tstrb : '0;
    data_q   <= accept ? data : '0;
  end

  a_err_len : assert property (@(posedge clk_i) disable iff (off) err_len_o == pulse_len_q)
    else $error("err_len_o is not the clock after the first beat beyond MAX_LEN");
  a_err_keep : assert property (@(posedge clk_i) disable iff (off) err_keep_o == pulse_keep_q)
    else $error("err_keep_o is not the clock after a tkeep that is not allowed");
  a_take : assert property (@(posedge clk_i) disable iff (off) take_o == (accept && !dropped))
    else $error("a beat within MAX_LEN is dropped, or one beyond it stored");
  a_valid : assert property (@(posedge clk_i) disable iff (off) valid_o == valid_q)
    else $error("a beat is lost or made up");
  a_place : assert property (@(posedge clk_i) disable iff (off) !valid_q ||
      {store_o, first_o, close_o} == {store_q, first_q, close_q} &&
      (!store_q || stored_last_o == last_q))
    else $error("a beat's place in its row is wrong");
  a_flags : assert property (@(posedge clk_i) disable iff (off) !valid_q ||
      {row_err_len_o, row_err_keep_o} == {had_len_q, had_keep_q})
    else $error("the row's flags are wrong");
  a_settings : assert property (@(posedge clk_i) disable iff (off) !valid_q || cfg_o == cfg_q)
    else $error("the row's settings are not those of its first beat");
  a_lanes : assert property (@(posedge clk_i) disable iff (off) !seen_q ||
      {keep_o, active_o, data_o} == {keep_q, active_q, data_q})
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
      {row_err_len_o, row_err_keep_o, cfg_o} == {had_len_q, had_keep_q, cfg_q});

  // Must be refuted: a row can be too long, and end.
  r_long : assert property (@(posedge clk_i) disable iff (off) !(valid_q && !store_q && close_q));
  r_bad : assert property (@(posedge clk_i) disable iff (off) !pulse_keep_q);
`else
  logic unused;
  assign unused = ^{in_row_q, beats_q};
`endif
endmodule

bind sn_row_guard sn_row_guard_checker #(
  .LANES  (LANES),
  .MAX_LEN(MAX_LEN),
  .LANE_W (LANE_W),
  .CFG_W  (CFG_W)
) u_check (.*);
