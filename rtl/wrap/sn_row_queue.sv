// SPDX-License-Identifier: Apache-2.0
// Queue of row descriptors: the settings of the rows to come, one entry a row, in flip-flops.
//
//   push_i, data_i --> [ DEPTH entries ] --> data_o, of the oldest; count_o > 0: it is there
//   pop_i ------------------------------^
//
// What is pushed into an empty queue is at data_o a clock later. pop_i only with count_o > 0; push_i with
// count_o = DEPTH changes nothing. A row a clock goes through.

module sn_row_queue #(
  parameter  int W     = 8,
  parameter  int DEPTH = 16,
  localparam int CNT_W = $clog2(DEPTH + 1)
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             push_i,
  input  logic [W-1:0]     data_i,
  input  logic             pop_i,
  output logic [W-1:0]     data_o,
  output logic [CNT_W-1:0] count_o
);
  localparam int PtrW = (DEPTH > 1) ? $clog2(DEPTH) : 1;

  logic [DEPTH-1:0][W-1:0] entry_q;
  logic [PtrW-1:0]         wr_q, rd_q;
  logic                    push;

  function automatic logic [PtrW-1:0] next(input logic [PtrW-1:0] ptr);
    next = (ptr == PtrW'(DEPTH - 1)) ? '0 : ptr + PtrW'(1);
  endfunction

  assign push   = push_i && count_o != CNT_W'(DEPTH);
  assign data_o = entry_q[rd_q];

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      wr_q    <= '0;
      rd_q    <= '0;
      count_o <= '0;
    end else begin
      if (push) wr_q <= next(wr_q);
      if (pop_i) rd_q <= next(rd_q);
      count_o <= count_o + CNT_W'(push) - CNT_W'(pop_i);
    end
  end

  always_ff @(posedge clk_i) begin
    if (push) entry_q[wr_q] <= data_i;
  end
endmodule
