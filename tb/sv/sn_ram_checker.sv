// SPDX-License-Identifier: Apache-2.0
// The memory: a read gives the word that was written there last. Proved for one address, which may be any.

module sn_ram_checker #(
  parameter  int DEPTH = 16,
  parameter  int WIDTH = 8,
  parameter  int PARTS = 1,
  localparam int AW    = (DEPTH > 1) ? $clog2(DEPTH) : 1
) (
  input logic             clk_i,
  input logic [PARTS-1:0] wr_en_i,
  input logic [AW-1:0]    wr_addr_i,
  input logic [WIDTH-1:0] wr_data_i,
  input logic             rd_en_i,
  input logic [AW-1:0]    rd_addr_i,
  input logic [WIDTH-1:0] rd_data_o
);
  localparam int PartW = WIDTH / PARTS;

  logic [AW-1:0]    address;  // what the first clock reads, so that it may be any
  logic [WIDTH-1:0] word_q, read_q;
  logic [PARTS-1:0] known_q = '0, read_known_q = '0;
  logic             clocked_q = 1'b0;

  always_ff @(posedge clk_i) begin
    clocked_q <= 1'b1;
    if (!clocked_q) address <= rd_addr_i;
  end
  m_address : assume property (@(posedge clk_i) address < DEPTH);

  for (genvar p = 0; p < PARTS; p++) begin : gen_part
    logic hit;
    assign hit = wr_en_i[p] && wr_addr_i == address && clocked_q;
    always_ff @(posedge clk_i) begin
      if (hit) begin
        word_q[p*PartW+:PartW] <= wr_data_i[p*PartW+:PartW];
        known_q[p]             <= 1'b1;
      end
      if (rd_en_i) begin
        // A word that is being written is none (see the module).
        read_known_q[p]        <= rd_addr_i == address && known_q[p] && !hit;
        read_q[p*PartW+:PartW] <= word_q[p*PartW+:PartW];
      end
    end
    a_read : assert property (@(posedge clk_i)
        !(clocked_q && read_known_q[p]) || rd_data_o[p*PartW+:PartW] == read_q[p*PartW+:PartW]);
    i_word : assert property (@(posedge clk_i) !(clocked_q && known_q[p]) ||
        word_q[p*PartW+:PartW] == sn_ram_1r1w.mem[address][p*PartW+:PartW]);
    // Must be refuted: a word can be read.
    r_read : assert property (@(posedge clk_i) !read_known_q[p]);
  end
endmodule

bind sn_ram_1r1w sn_ram_checker #(
  .DEPTH(DEPTH),
  .WIDTH(WIDTH),
  .PARTS(PARTS)
) u_check (.*);
