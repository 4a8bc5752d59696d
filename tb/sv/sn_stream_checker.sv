// SPDX-License-Identifier: Apache-2.0
// Rules of the stream contract on one AXI4-Stream, as assertions. Bound to a unit, never instantiated
// by one. The monitors of the test bench hold the same rules on simulators without assertions.
//
// One file for simulations and proofs (make formal): a rule about two clocks is written with $past,
// which every tool takes. In a proof the input stream is anybody's: nothing is assumed of a master,
// not even that it keeps the rules, and only what the unit drives is proved.

module sn_stream_checker #(
  parameter int DATA_W = 8,
  parameter int KEEP_W = 1,
  parameter int SIDE_W = 1,     // tstrb of an input, tuser of an output; of a cell {tuser, tstrb}
  parameter bit OUTPUT = 1'b0,  // the unit drives all but tready
  parameter bit CELL   = 1'b0,  // an output of a stream cell: tuser has the row's flags so far
  parameter bit BARE   = 1'b0   // an output without a register: without a beat its payload is anything
) (
  input logic              clk_i,
  input logic              rst_ni,
  input logic [DATA_W-1:0] tdata,
  input logic [KEEP_W-1:0] tkeep,
  input logic [SIDE_W-1:0] side,
  input logic              tlast,
  input logic              tvalid,
  input logic              tready
);
  logic              in_row_q;
  logic [SIDE_W-1:0] row_side_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      in_row_q   <= 1'b0;
      row_side_q <= '0;
    end else if (tvalid && tready) begin
      in_row_q   <= !tlast;
      row_side_q <= side;
    end
  end

  // At the first clock edge of a simulation nobody may have driven rst_ni yet, and a reset that is low
  // from the start has had no edge: look from the second clock on.
  logic clocked_q = 1'b0;
  always_ff @(posedge clk_i) clocked_q <= 1'b1;

  logic off, waits;
  assign off   = !rst_ni || !clocked_q;
  assign waits = tvalid && !tready && !off;

`ifdef SN_PROOF
  localparam bit Check = OUTPUT;
`else
  localparam bit Check = 1'b1;
`endif

  if (Check) begin : gen_check
    a_valid_stays : assert property (
      @(posedge clk_i) disable iff (off) !$past(waits) || tvalid)
      else $error("tvalid fell before tready came");

    a_payload_stable : assert property (
      @(posedge clk_i) disable iff (off) !$past(waits) || $stable({tdata, tkeep, side, tlast}))
      else $error("payload changed while tvalid waited for tready");
  end

  if (CELL) begin : gen_cell
    a_flags_stay : assert property (
      @(posedge clk_i) disable iff (off) !(tvalid && in_row_q) || (row_side_q & ~side) >> KEEP_W == '0)
      else $error("a flag of tuser fell within a row");

    a_strb_in_keep : assert property (
      @(posedge clk_i) disable iff (off) !tvalid || (side[KEEP_W-1:0] & ~tkeep) == '0)
      else $error("tstrb in a lane without tkeep");
  end else if (OUTPUT) begin : gen_constant
    a_side_constant : assert property (
      @(posedge clk_i) disable iff (off) !(tvalid && in_row_q) || side == row_side_q)
      else $error("tuser changed within a row");
  end

  if (OUTPUT) begin : gen_output
    a_quiet_in_reset : assert property (@(posedge clk_i) !(clocked_q && !rst_ni) || !tvalid)
      else $error("tvalid in reset");
  end

  // Whether a clock edge found reset: [0] the one before this, [1] the one before that. The first ones
  // of a simulation do not count.
  logic [1:0] reset_q = 2'b00;
  always_ff @(posedge clk_i) reset_q <= {reset_q[0], !rst_ni && clocked_q};

  a_payload_in_reset : assert property (
    @(posedge clk_i) !(OUTPUT && !BARE && reset_q[0]) || {tdata, tkeep, side, tlast} == '0)
    else $error("the payload is not 0 in reset");

  a_ready_in_reset : assert property (
    @(posedge clk_i) !(!OUTPUT && clocked_q && (!rst_ni || reset_q[0])) || !tready)
    else $error("tready in reset");

  a_ready_after_reset : assert property (
    @(posedge clk_i) !(!OUTPUT && rst_ni && reset_q == 2'b10) || tready)
    else $error("tready did not rise with the first clock after reset");

`ifdef SN_PROOF
  // Must be refuted: a beat can wait, and then go.
  if (OUTPUT) begin : gen_reach
    r_waits : assert property (@(posedge clk_i) disable iff (off) !$past(waits) || !tready);
  end
`else
  a_no_x : assert property (
    @(posedge clk_i) disable iff (off) !$isunknown({tvalid, tready}))
    else $error("X on tvalid or tready");

  a_no_x_payload : assert property (
    @(posedge clk_i) disable iff (off) !(tvalid || (OUTPUT && !BARE)) || !$isunknown({tkeep, side, tlast}))
    else $error("X on the payload");
`endif
endmodule
