// SPDX-License-Identifier: Apache-2.0
// The row buffer (rtl/common/sn_row_buffer.sv) is a queue: beats come out whole, once and in order, each
// with its own row's word; no slot is written before it is read; a slot comes back while the reader
// drains. Bound to it, for proofs. A pass before it as sn_ring_source has it is taken for granted, and so
// is the memory (sn_ram_checker): a beat's and a row's data are what was written to their slot last.
//
// Ghost numbers, per slot: which beat it holds and of which row; both count for ever, modulo a power of
// two that is larger than what the ring holds.

module sn_row_buffer_checker #(
  parameter  int MAX_BEATS  = 32,
  parameter  int TURNAROUND = 9,
  parameter  int READ_DELAY = 0,
  localparam int DEPTH      = MAX_BEATS + TURNAROUND + READ_DELAY,
  localparam int PTR_W      = $clog2(DEPTH),
  localparam int CNT_W      = $clog2(DEPTH + 1),
  localparam int OPEN_W     = $clog2(MAX_BEATS + 1)
) (
  input logic             clk_i,
  input logic             rst_ni,
  input logic             take_i,
  input logic             ready_o,
  input logic             wr_en_i,
  input logic             wr_last_i,
  input logic             done_i,
  input logic             close_i,
  input logic             advance_i,
  input logic             valid_o,
  input logic             last_o,
  // inside
  input logic [PTR_W-1:0] wr_ptr_q,
  input logic [PTR_W-1:0] rd_ptr_q,
  input logic [PTR_W-1:0] row_wr_ptr_q,
  input logic [PTR_W-1:0] row_rd_ptr_q,
  input logic [CNT_W-1:0] free_q,
  input logic [OPEN_W-1:0] open_q,
  input logic [CNT_W-1:0] closed_q,
  input logic             valid_q,
  input logic             start_q,
  input logic             rd_beat,
  input logic             rd_row,
  input logic             rd_all,
  input logic [PTR_W-1:0] rest_ptr,   // where what is read later is read
  input logic [3:0]       rest_reads  // which of the last reads it still has to follow
);
  localparam int WrDelay   = `SN_WR_DELAY;
  localparam int DoneDelay = TURNAROUND - 1;
  localparam int N         = PTR_W + 2;  // of the ghost numbers

  logic                 off, clocked_q = 1'b0;
  logic [DoneDelay:1]   taken, last_of;
  logic                 ended;
  logic [31:0]          beats;

  always_ff @(posedge clk_i) clocked_q <= 1'b1;
  assign off = !rst_ni || !clocked_q;

  sn_ring_source #(
    .WR_DELAY  (WrDelay),
    .DONE_DELAY(DoneDelay),
    .MAX_BEATS (MAX_BEATS),
    .ASSUME    (1'b1)
  ) u_source (
    .clk_i, .rst_ni, .take_i, .ready_o, .wr_en_i, .wr_last_i, .done_i, .close_i,
    .row_beats_i(32'd0), .row_full_i(1'b0),
    .taken_q(taken), .last_q(last_of), .ended_q(ended), .beats_q(beats)
  );

  // ------------------------------------------------------------------------------------------ ghosts
  logic [DEPTH-1:0]        slot_last;
  logic [DEPTH-1:0][N-1:0] slot_beat, slot_row;
  logic [N-1:0]            wr_beat_q, rd_beat_q, rest_beat_q;  // the next beat's number
  logic [N-1:0]            wr_row_q, closed_row_q, rd_row_q;   // the next row's
  logic                    read_last_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      {wr_beat_q, rd_beat_q, rest_beat_q} <= '0;
      {wr_row_q, closed_row_q, rd_row_q}  <= '0;
    end else begin
      wr_beat_q    <= wr_beat_q + N'(wr_en_i);
      rd_beat_q    <= rd_beat_q + N'(rd_beat);
      rest_beat_q  <= rest_beat_q + N'(rd_all);
      wr_row_q     <= wr_row_q + N'(wr_en_i && wr_last_i);
      closed_row_q <= closed_row_q + N'(close_i);
      rd_row_q     <= rd_row_q + N'(rd_row);
    end
  end
  for (genvar s = 0; s < DEPTH; s++) begin : gen_ghost
    always_ff @(posedge clk_i) begin
      if (wr_en_i && wr_ptr_q == PTR_W'(s)) begin
        slot_last[s] <= wr_last_i;
        slot_beat[s] <= wr_beat_q;
        slot_row[s]  <= wr_row_q;
      end
    end
  end
  // The memory's lemma, for the one bit that the row buffer looks at.
  always_ff @(posedge clk_i) if (rd_beat) read_last_q <= slot_last[rd_ptr_q];
  m_last : assume property (@(posedge clk_i) disable iff (off) last_o == read_last_q);

  // Beats by where they are: accepted, written, done, closed, read but not the rest of it.
  logic [N-1:0] to_write, to_done, done, unread, rest, here;
  always_comb begin
    to_write = '0;
    to_done  = '0;
    rest     = '0;
    for (int j = 1; j <= DoneDelay; j++) begin
      if (j <= WrDelay) to_write = to_write + N'(taken[j]);
      else to_done = to_done + N'(taken[j]);
    end
    for (int j = 0; j < 4; j++) rest = rest + N'(rest_reads[j]);
  end
  assign done   = N'(closed_q) + N'(open_q);
  assign unread = done + to_done;
  assign here   = unread + rest;

  function automatic logic [N-1:0] ahead(input logic [PTR_W-1:0] from, input logic [N-1:0] by);
    logic [N-1:0] sum;
    sum   = N'(from) + by;
    ahead = (sum >= N'(DEPTH)) ? sum - N'(DEPTH) : sum;
  endfunction
  function automatic logic [N-1:0] behind(input int slot, input logic [PTR_W-1:0] from);
    behind = (N'(slot) >= N'(from)) ? N'(slot) - N'(from) : N'(slot + DEPTH) - N'(from);
  endfunction

  logic         boundary;  // the next beat that is read is a row's first
  logic [N-1:0] next_row, rows;
  assign boundary = start_q || last_o;
  assign next_row = boundary ? rd_row_q : rd_row_q - N'(1);
  assign rows     = closed_row_q - rd_row_q;  // whose words are not read

  // -------------------------------------------------------------------------------------- properties
  a_ready : assert property (@(posedge clk_i) disable iff (off) !ready_o || free_q != 0);
  a_slot : assert property (@(posedge clk_i) disable iff (off) !wr_en_i || here < N'(DEPTH));
  a_order : assert property (@(posedge clk_i) disable iff (off) !rd_beat ||
      slot_beat[rd_ptr_q] == rd_beat_q && closed_q != 0);
  a_rest : assert property (@(posedge clk_i) disable iff (off) !rd_all ||
      slot_beat[rest_ptr] == rest_beat_q);
  a_row : assert property (@(posedge clk_i) disable iff (off) !rd_beat ||
      slot_row[rd_ptr_q] == next_row && (!rd_row || rows != 0 && rows <= N'(DEPTH)));
  a_row_slot : assert property (@(posedge clk_i) disable iff (off) !close_i || rows < N'(DEPTH));
  a_collision : assert property (@(posedge clk_i) disable iff (off)
      !(wr_en_i && rd_beat && wr_ptr_q == rd_ptr_q) && !(wr_en_i && rd_all && wr_ptr_q == rest_ptr));
  a_row_collision : assert property (@(posedge clk_i) disable iff (off)
      !(close_i && rd_row && row_wr_ptr_q == row_rd_ptr_q));
  // A row that is closed goes on coming out, whole.
  a_whole : assert property (@(posedge clk_i) disable iff (off) boundary || closed_q != 0);
  a_valid : assert property (@(posedge clk_i) disable iff (off)
      !$past(advance_i && !off) || valid_o == $past(rd_beat));

  // While the reader drains, ready_o is low for READ_DELAY + 1 clocks at the most.
  logic [2:0] dry_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) dry_q <= '0;
    else if (ready_o || !advance_i) dry_q <= '0;
    else if (dry_q != '1) dry_q <= dry_q + 3'd1;
  end
  a_progress : assert property (@(posedge clk_i) disable iff (off)
      32'(dry_q) <= READ_DELAY || ready_o);
  for (genvar j = 1; j <= READ_DELAY; j++) begin : gen_dry
    i_dry : assert property (@(posedge clk_i) disable iff (off)
        32'(dry_q) < j || ready_o || rest_reads[j-1]);
  end

  // -------------------------------------------------------------------------------------- invariants
  i_count : assert property (@(posedge clk_i) disable iff (off)
      N'(free_q) + to_write + here == N'(DEPTH));
  i_ready : assert property (@(posedge clk_i) disable iff (off)
      ready_o == (free_q != 0) || $past(off) && free_q == CNT_W'(DEPTH) && dry_q == 0);
  i_valid : assert property (@(posedge clk_i) disable iff (off) valid_o == valid_q);
  i_open : assert property (@(posedge clk_i) disable iff (off)
      32'(open_q) == beats && open_q <= MAX_BEATS);
  i_wr_ptr : assert property (@(posedge clk_i) disable iff (off)
      N'(wr_ptr_q) == ahead(rd_ptr_q, unread) && rd_ptr_q < DEPTH);
  i_rest_ptr : assert property (@(posedge clk_i) disable iff (off)
      N'(rd_ptr_q) == ahead(rest_ptr, rest) && rest_ptr < DEPTH);
  i_row_ptr : assert property (@(posedge clk_i) disable iff (off)
      N'(row_wr_ptr_q) == ahead(row_rd_ptr_q, rows) && row_rd_ptr_q < DEPTH);
  i_beats : assert property (@(posedge clk_i) disable iff (off)
      wr_beat_q == rd_beat_q + unread && rd_beat_q == rest_beat_q + rest);
  i_boundary : assert property (@(posedge clk_i) disable iff (off) !start_q || rd_row_q == 0);
  i_rows : assert property (@(posedge clk_i) disable iff (off) rows <= N'(closed_q));
  i_base : assert property (@(posedge clk_i) disable iff (off)
      ((unread == 0) ? wr_row_q : slot_row[rd_ptr_q]) == next_row);
  i_pending : assert property (@(posedge clk_i) disable iff (off)
      unread != N'(closed_q) || wr_row_q == closed_row_q);
  i_ended : assert property (@(posedge clk_i) disable iff (off) open_q != 0 || !ended);

  for (genvar s = 0; s < DEPTH; s++) begin : gen_slot
    localparam int Next = (s + 1) % DEPTH;
    logic [N-1:0] at, at_rest;
    assign at      = behind(s, rd_ptr_q);
    assign at_rest = behind(s, rest_ptr);

    i_beat : assert property (@(posedge clk_i) disable iff (off) at_rest >= here ||
        slot_beat[s] == rest_beat_q + at_rest);
    i_next : assert property (@(posedge clk_i) disable iff (off) at >= unread ||
        ((at + N'(1) == unread) ? wr_row_q : slot_row[Next]) == slot_row[s] + N'(slot_last[s]));
    i_closed : assert property (@(posedge clk_i) disable iff (off) at >= N'(closed_q) ||
        closed_row_q - slot_row[s] != 0 && closed_row_q - slot_row[s] <= N'(closed_q) - at);
    i_end : assert property (@(posedge clk_i) disable iff (off) at + N'(1) != N'(closed_q) ||
        slot_last[s]);
    i_open_row : assert property (@(posedge clk_i) disable iff (off)
        at < N'(closed_q) || at >= done && !(at == N'(closed_q) && at < unread) ||
        slot_row[s] == closed_row_q);
    i_open_last : assert property (@(posedge clk_i) disable iff (off)
        at < N'(closed_q) || at >= done || slot_last[s] == (ended && at + N'(1) == done));
  end
  for (genvar j = WrDelay + 1; j <= DoneDelay; j++) begin : gen_way
    logic [N-1:0] older;
    always_comb begin
      older = '0;
      for (int k = j + 1; k <= DoneDelay; k++) older = older + N'(taken[k]);
    end
    i_way : assert property (@(posedge clk_i) disable iff (off) !taken[j] ||
        slot_last[PTR_W'(ahead(rd_ptr_q, done + older))] == last_of[j]);
  end

  // Must be refuted: the ring can be full, a row of two beats can come out.
  r_full : assert property (@(posedge clk_i) disable iff (off) here != N'(DEPTH));
  r_second : assert property (@(posedge clk_i) disable iff (off) !(rd_beat && !rd_row));
endmodule

bind sn_row_buffer sn_row_buffer_checker #(
  .MAX_BEATS (MAX_BEATS),
  .TURNAROUND(TURNAROUND),
  .READ_DELAY(READ_DELAY)
) u_check (
`ifdef SN_READ_DELAY
  .rest_ptr  (gen_rest.ptr_q),
  .rest_reads(4'(gen_rest.reads_q)),
`else
  .rest_ptr  (rd_ptr_q),
  .rest_reads(4'd0),
`endif
  .*
);
