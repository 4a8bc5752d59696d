// SPDX-License-Identifier: Apache-2.0
// Memory with one write port and one registered read port: the only memory of the library.
//
// Put a foundry or FPGA macro in place of this module to use one; nothing else holds a memory.
// The word appears on rd_data_o after the clock edge that saw rd_en_i and stays until the next
// read. Reading the address that is being written in the same clock gives no defined word: the
// owners never do it. A word has PARTS equal parts with a write enable each. Contents are not
// reset.

module sn_ram_1r1w #(
  parameter  int DEPTH = 16,
  parameter  int WIDTH = 8,
  parameter  int PARTS = 1,  // divides WIDTH
  localparam int AW    = (DEPTH > 1) ? $clog2(DEPTH) : 1
) (
  input  logic             clk_i,
  input  logic [PARTS-1:0] wr_en_i,
  input  logic [AW-1:0]    wr_addr_i,
  input  logic [WIDTH-1:0] wr_data_i,
  input  logic             rd_en_i,
  input  logic [AW-1:0]    rd_addr_i,
  output logic [WIDTH-1:0] rd_data_o
);
  localparam int PartW = WIDTH / PARTS;

  logic [WIDTH-1:0] mem[DEPTH];

  always_ff @(posedge clk_i) begin
    for (int p = 0; p < PARTS; p++) begin
      if (wr_en_i[p]) mem[wr_addr_i][p*PartW+:PartW] <= wr_data_i[p*PartW+:PartW];
    end
    if (rd_en_i) rd_data_o <= mem[rd_addr_i];
  end
endmodule
