// SPDX-License-Identifier: Apache-2.0
// What a row buffer may rely on from the pass before it: a beat that is accepted is written WR_DELAY
// clocks later and done DONE_DELAY clocks later, a row's beats are at most MAX_BEATS, the last of them
// alone is marked, and the row is closed with that one or after it, before the next row's first is done.
//
// ASSUME = 1: a proof of the row buffer takes this for granted. ASSUME = 0: it is to be proved, of the
// unit that the row buffer stands in.

module sn_ring_source #(
  parameter int WR_DELAY   = 3,
  parameter int DONE_DELAY = 5,   // more than WR_DELAY
  parameter int MAX_BEATS  = 32,
  parameter bit ASSUME     = 1'b0
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  take_i,
  input  logic                  ready_o,
  input  logic                  wr_en_i,
  input  logic                  wr_last_i,
  input  logic                  done_i,
  input  logic                  close_i,
  // Where beats are accepted, for the proof: of the row there, how many have been taken, and whether all.
  input  logic [31:0]           row_beats_i,
  input  logic                  row_full_i,
  // What is under way, by how many clocks ago it was accepted; whether it is its row's last, once known.
  output logic [DONE_DELAY:1]   taken_q,
  output logic [DONE_DELAY:1]   last_q,
  output logic                  ended_q,  // the row's last beat is done, the row is not closed
  output logic [31:0]           beats_q   // of the open row that are done
);
  logic clocked_q = 1'b0;
  logic off;
  always_ff @(posedge clk_i) clocked_q <= 1'b1;
  assign off = !rst_ni || !clocked_q;

  logic [DONE_DELAY:0] taken, last;
  assign taken = {taken_q, take_i};
  always_comb begin
    last           = {last_q, 1'b0};
    last[WR_DELAY] = wr_last_i;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      taken_q <= '0;
      last_q  <= '0;
      ended_q <= 1'b0;
      beats_q <= 0;
    end else begin
      taken_q <= taken[DONE_DELAY-1:0];
      last_q  <= last[DONE_DELAY-1:0];
      ended_q <= !close_i && (done_i ? last_q[DONE_DELAY] : ended_q);
      beats_q <= close_i ? 0 : beats_q + 32'(done_i);
    end
  end

  logic ready, write, done, next, close, length;
  assign ready  = !take_i || ready_o;
  assign write  = wr_en_i == taken_q[WR_DELAY];
  assign done   = done_i == taken_q[DONE_DELAY];
  assign next   = !done_i || !ended_q;
  assign close  = !close_i || (done_i ? last_q[DONE_DELAY] : ended_q);
  assign length = !done_i || beats_q < MAX_BEATS;

  if (ASSUME) begin : gen_assume
    m_ready : assume property (@(posedge clk_i) disable iff (off) ready);
    m_write : assume property (@(posedge clk_i) disable iff (off) write);
    m_done : assume property (@(posedge clk_i) disable iff (off) done);
    m_next : assume property (@(posedge clk_i) disable iff (off) next);
    m_close : assume property (@(posedge clk_i) disable iff (off) close);
    m_length : assume property (@(posedge clk_i) disable iff (off) length);
  end else begin : gen_assert
    a_ready : assert property (@(posedge clk_i) disable iff (off) ready)
      else $error("a beat is taken without a slot");
    a_write : assert property (@(posedge clk_i) disable iff (off) write)
      else $error("a beat is written too early, too late or twice");
    a_done : assert property (@(posedge clk_i) disable iff (off) done)
      else $error("a beat is done too early, too late or twice");
    a_next : assert property (@(posedge clk_i) disable iff (off) next)
      else $error("a row's beat is done before the row before it is closed");
    a_close : assert property (@(posedge clk_i) disable iff (off) close)
      else $error("a row is closed before its last beat is done");
    a_length : assert property (@(posedge clk_i) disable iff (off) length)
      else $error("a row has more than MAX_BEATS beats");

    // What is done is what was accepted, DONE_DELAY clocks ago.
    logic [DONE_DELAY:1]       full_q;
    logic [DONE_DELAY:1][31:0] count_q;
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) begin
        full_q  <= '0;
        count_q <= '0;
      end else begin
        full_q  <= DONE_DELAY'({full_q, row_full_i});
        count_q <= (32 * DONE_DELAY)'({count_q, row_full_i ? 32'(MAX_BEATS) : row_beats_i});
      end
    end
    i_range : assert property (@(posedge clk_i) disable iff (off) row_beats_i <= MAX_BEATS);
    i_full : assert property (@(posedge clk_i) disable iff (off) ended_q == full_q[DONE_DELAY]);
    i_count : assert property (@(posedge clk_i) disable iff (off) beats_q == count_q[DONE_DELAY]);
    // Must be refuted: a row can be closed after its last stored beat.
    r_late : assert property (@(posedge clk_i) disable iff (off) !(close_i && !done_i));
  end
endmodule
