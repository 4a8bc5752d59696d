// SPDX-License-Identifier: Apache-2.0
// The lanes of the beats between the passes: a ring of words that is written and read in order.
//
//   wr_en_i, wr_data_i --> [ DEPTH x WIDTH ] --> rd_data_o    a clock after rd_en_i, until the next read
//
/// The row buffer counts the beats, and so this one has a place for each. What it holds is read a clock
/// after the row buffer has put the beat's row out, together with the channels that are looked up by
/// that row: no register has to hold a beat until they are there.

module ailayernorm_beats #(
  parameter int DEPTH = 44,
  parameter int WIDTH = 384
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             wr_en_i,
  input  logic [WIDTH-1:0] wr_data_i,
  input  logic             rd_en_i,
  output logic [WIDTH-1:0] rd_data_o
);
  localparam int PtrW = $clog2(DEPTH);

  function automatic logic [PtrW-1:0] next(input logic [PtrW-1:0] ptr);
    next = (ptr == PtrW'(DEPTH - 1)) ? '0 : ptr + PtrW'(1);
  endfunction

  logic [PtrW-1:0] wr_ptr_q, rd_ptr_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      wr_ptr_q <= '0;
      rd_ptr_q <= '0;
    end else begin
      if (wr_en_i) wr_ptr_q <= next(wr_ptr_q);
      if (rd_en_i) rd_ptr_q <= next(rd_ptr_q);
    end
  end

  sn_ram_1r1w #(
    .DEPTH(DEPTH),
    .WIDTH(WIDTH)
  ) u_words (
    .clk_i,
    .wr_en_i,
    .wr_addr_i(wr_ptr_q),
    .wr_data_i,
    .rd_en_i,
    .rd_addr_i(rd_ptr_q),
    .rd_data_o
  );
endmodule
