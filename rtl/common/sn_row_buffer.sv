// SPDX-License-Identifier: Apache-2.0
// Ring of beats between two passes over a row: pass 2 reads a row once pass 1 has closed it.
//
//   take_i ----> free slots ----> ready_o (to s_axis_tready, a flip-flop)
//                    ^
//   wr_* ----> [ beat memory, DEPTH x BEAT_W ] ----> beat_o, last_o   one beat a clock
//   close_* -> [ row memory,  DEPTH x ROW_W  ] ----> row_o            held over the row's beats
//
// With READ_DELAY, the lower FIRST_W bits of beat_o come first, and the rest READ_DELAY clocks of
// advance_i later: what pass 2 needs of a beat only then is read then, from a memory of its own, in
// place of being carried along in registers.
//
// DEPTH = MAX_BEATS + TURNAROUND + READ_DELAY slots, one ring for all rows. A slot is taken when a
// beat is accepted and given back when all of it is read, so pass 1 never stalls and nothing can
// overflow. With TURNAROUND the clocks from accepting a row's last beat to reading its first one, the
// ring holds one whole row plus what arrives in that time: enough for a beat a clock for ever, in any
// mix of row lengths, where two row-sized halves would need nearly twice the bits.
//
// A row has at least one stored beat, so DEPTH entries of row memory are always enough.

module sn_row_buffer #(
  parameter  int BEAT_W     = 128,
  parameter  int ROW_W      = 16,
  parameter  int MAX_BEATS  = 32,
  parameter  int TURNAROUND = 9,
  parameter  int READ_DELAY = 0,
  parameter  int FIRST_W    = BEAT_W,  // with READ_DELAY 0 all of it
  localparam int DEPTH      = MAX_BEATS + TURNAROUND + READ_DELAY
) (
  input  logic              clk_i,
  input  logic              rst_ni,

  // Slots, at the input of pass 1.
  input  logic              take_i,    // a beat that will be written is being accepted
  output logic              ready_o,   // a beat may be accepted

  // Beats and rows, from pass 1, both in stream order.
  input  logic              wr_en_i,
  input  logic [BEAT_W-1:0] wr_beat_i,
  input  logic              wr_last_i,  // last beat of its row
  input  logic              done_i,     // a written beat has left pass 1 ...
  input  logic              close_i,    // ... or its row is complete (or both), with this in
  input  logic [ROW_W-1:0]  close_row_i,

  // To pass 2: everything holds while advance_i is low.
  input  logic              advance_i,
  output logic              valid_o,
  output logic [BEAT_W-1:0] beat_o,
  output logic              last_o,
  output logic [ROW_W-1:0]  row_o
);
  localparam int PtrW  = $clog2(DEPTH);
  localparam int CntW  = $clog2(DEPTH + 1);
  localparam int OpenW = $clog2(MAX_BEATS + 1);

  function automatic logic [PtrW-1:0] next(input logic [PtrW-1:0] ptr);
    next = (ptr == PtrW'(DEPTH - 1)) ? '0 : ptr + PtrW'(1);
  endfunction

  logic [PtrW-1:0] wr_ptr_q, rd_ptr_q, row_wr_ptr_q, row_rd_ptr_q;
  logic [CntW-1:0] free_q, free_d;  // slots not taken
  logic [OpenW-1:0] open_q, open_d; // beats of the row in pass 1 that have left it
  logic [CntW-1:0] closed_q;        // beats of closed rows, not read yet
  logic            ready_q, valid_q, start_q;
  logic            rd_beat, rd_row, rd_all;

  assign rd_beat = advance_i && closed_q != '0;
  // The beat read now starts a row when the one read before it ended one (or there was none).
  assign rd_row  = rd_beat && (start_q || last_o);
  assign open_d  = open_q + OpenW'(done_i);
  assign free_d  = free_q - CntW'(take_i) + CntW'(rd_all);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      free_q       <= CntW'(DEPTH);
      open_q       <= '0;
      closed_q     <= '0;
      wr_ptr_q     <= '0;
      rd_ptr_q     <= '0;
      row_wr_ptr_q <= '0;
      row_rd_ptr_q <= '0;
      ready_q      <= 1'b0;
      valid_q      <= 1'b0;
      start_q      <= 1'b1;
    end else begin
      free_q   <= free_d;
      ready_q  <= free_d != '0;
      open_q   <= close_i ? '0 : open_d;
      closed_q <= closed_q - CntW'(rd_beat) + (close_i ? CntW'(open_d) : '0);
      if (wr_en_i) wr_ptr_q <= next(wr_ptr_q);
      if (close_i) row_wr_ptr_q <= next(row_wr_ptr_q);
      if (rd_row) row_rd_ptr_q <= next(row_rd_ptr_q);
      if (rd_beat) begin
        rd_ptr_q <= next(rd_ptr_q);
        start_q  <= 1'b0;
      end
      if (advance_i) valid_q <= rd_beat;
    end
  end

  sn_ram_1r1w #(
    .DEPTH(DEPTH),
    .WIDTH(FIRST_W + 1)
  ) u_beats (
    .clk_i,
    .wr_en_i,
    .wr_addr_i(wr_ptr_q),
    .wr_data_i({wr_last_i, wr_beat_i[FIRST_W-1:0]}),
    .rd_en_i  (rd_beat),
    .rd_addr_i(rd_ptr_q),
    .rd_data_o({last_o, beat_o[FIRST_W-1:0]})
  );

  if (READ_DELAY == 0) begin : gen_all
    assign rd_all = rd_beat;
  end else begin : gen_rest
    logic [READ_DELAY:0] reads;  // [n]: a beat was read n clocks of advance_i ago
    logic [READ_DELAY:1] reads_q;
    logic [PtrW-1:0]     ptr_q;

    assign reads  = {reads_q, rd_beat};
    assign rd_all = advance_i && reads[READ_DELAY];

    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) begin
        reads_q <= '0;
        ptr_q   <= '0;
      end else if (advance_i) begin
        reads_q <= reads[READ_DELAY-1:0];
        if (reads[READ_DELAY]) ptr_q <= next(ptr_q);
      end
    end

    sn_ram_1r1w #(
      .DEPTH(DEPTH),
      .WIDTH(BEAT_W - FIRST_W)
    ) u_rest (
      .clk_i,
      .wr_en_i,
      .wr_addr_i(wr_ptr_q),
      .wr_data_i(wr_beat_i[BEAT_W-1:FIRST_W]),
      .rd_en_i  (rd_all),
      .rd_addr_i(ptr_q),
      .rd_data_o(beat_o[BEAT_W-1:FIRST_W])
    );
  end

  sn_ram_1r1w #(
    .DEPTH(DEPTH),
    .WIDTH(ROW_W)
  ) u_rows (
    .clk_i,
    .wr_en_i  (close_i),
    .wr_addr_i(row_wr_ptr_q),
    .wr_data_i(close_row_i),
    .rd_en_i  (rd_row),
    .rd_addr_i(row_rd_ptr_q),
    .rd_data_o(row_o)
  );

  assign ready_o = ready_q;
  assign valid_o = valid_q;
endmodule
