// SPDX-License-Identifier: Apache-2.0
// Rules of progress of the stream contract, as assertions: a row that is inside whole shows tvalid,
// whatever tready does, and without one the input has tready. Of a stream cell the same of beats. Bound
// to a unit. The monitors of the test bench hold the same rules on simulators without assertions
// (tb/check/progress.py).

module sn_progress_checker #(
  parameter int LIMIT = 64,   // clocks that a row may take, whole inside and the first
  parameter bit CELL  = 1'b0  // a beat in the place of a row
) (
  input logic clk_i,
  input logic rst_ni,
  input logic s_tlast,
  input logic s_tvalid,
  input logic s_tready,
  input logic m_tlast,
  input logic m_tvalid,
  input logic m_tready
);
  int   inside_q;   // rows that are inside whole, or beats
  int   silent_q;   // clocks without tvalid, with one
  int   closed_q;   // clocks without tready of the input, without one
  logic refused_q;  // tready was low in all silent clocks

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      inside_q  <= 0;
      silent_q  <= 0;
      closed_q  <= 0;
      refused_q <= 1'b1;
    end else begin
      inside_q <= inside_q + int'(s_tvalid && s_tready && (s_tlast || CELL)) -
                  int'(m_tvalid && m_tready && (m_tlast || CELL));
      silent_q <= (inside_q == 0 || m_tvalid) ? 0 : silent_q + 1;
      closed_q <= (inside_q != 0 || s_tready) ? 0 : closed_q + 1;
      refused_q <= inside_q == 0 || m_tvalid || (refused_q && !m_tready);
    end
  end

  // As in sn_stream_checker: at the first clock edge of a simulation nothing may have a value yet.
  logic clocked_q = 1'b0;
  always_ff @(posedge clk_i) clocked_q <= 1'b1;

  logic off;
  assign off = !rst_ni || !clocked_q;

  a_tvalid_does_not_wait : assert property (
    @(posedge clk_i) disable iff (off) silent_q <= LIMIT || !refused_q)
    else $error("no tvalid came while tready was low, with a whole row inside");

  a_tvalid_comes : assert property (
    @(posedge clk_i) disable iff (off) silent_q <= LIMIT || refused_q)
    else $error("no tvalid came, with a whole row inside");

  a_tready_comes : assert property (
    @(posedge clk_i) disable iff (off) closed_q <= LIMIT)
    else $error("no tready came, with no whole row inside");
endmodule
