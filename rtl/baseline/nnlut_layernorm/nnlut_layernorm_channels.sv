// SPDX-License-Identifier: Apache-2.0
// Channel table: gamma and beta of each channel, in two banks.
//
//   chan_* (a channel a clock) --+--> [ gamma   2 x beats x 8 LANES ] --> pass 3
//                                +--> [ beta    2 x beats x 8 LANES ] --> pass 3, where it is added
//
/// A word holds the channels of a beat; a write changes one lane of it. A bank must not be written
/// while a row that names it is in the unit: load one bank while the rows use the other. Writes take
/// effect at the clock edge, reset or not; contents are not reset. Read latency one clock; the word
/// stays until the next read. For a table with a power of two a channel see ailayernorm_channels.

module nnlut_layernorm_channels #(
  parameter  int LANES     = 32,
  parameter  int MAX_LEN   = 1024,
  localparam int MAX_BEATS = (MAX_LEN + LANES - 1) / LANES,
  localparam int ADDR_W    = (MAX_LEN > 1) ? $clog2(MAX_LEN) : 1,
  localparam int BEAT_W    = (MAX_BEATS > 1) ? $clog2(MAX_BEATS) : 1
) (
  input  logic                  clk_i,

  input  logic                  chan_we_i,
  input  logic                  chan_bank_i,
  input  logic [ADDR_W-1:0]     chan_addr_i,
  input  logic [7:0]            chan_gamma_i,
  input  logic [7:0]            chan_beta_i,

  input  logic                  rd1_en_i,
  input  logic                  rd1_bank_i,
  input  logic [BEAT_W-1:0]     rd1_beat_i,
  output logic [LANES-1:0][7:0] rd1_gamma_o,

  input  logic                  rd2_en_i,
  input  logic                  rd2_bank_i,
  input  logic [BEAT_W-1:0]     rd2_beat_i,
  output logic [LANES-1:0][7:0] rd2_beta_o
);
  localparam int LaneW = $clog2(LANES);
  localparam int WordW = BEAT_W + 1;
  // With one beat a row, both banks are two words, whatever BEAT_W has to be.
  localparam int AddrW = (MAX_BEATS > 1) ? WordW : 1;

  logic [LANES-1:0]  wr_en;
  logic [BEAT_W-1:0] wr_beat;
  logic [WordW-1:0]  wr_addr, rd1_addr, rd2_addr;  // the bank is the low bit of the address

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    if (LANES == 1) begin : gen_only
      assign wr_en[i] = chan_we_i;
    end else begin : gen_one
      assign wr_en[i] = chan_we_i && chan_addr_i[LaneW-1:0] == LaneW'(i);
    end
  end
  assign wr_beat  = BEAT_W'(chan_addr_i >> LaneW);
  assign wr_addr  = {wr_beat, chan_bank_i};
  assign rd1_addr = {rd1_beat_i, rd1_bank_i};
  assign rd2_addr = {rd2_beat_i, rd2_bank_i};

  sn_ram_1r1w #(
    .DEPTH(2 * MAX_BEATS),
    .WIDTH(8 * LANES),
    .PARTS(LANES)
  ) u_gamma (
    .clk_i,
    .wr_en_i  (wr_en),
    .wr_addr_i(wr_addr[AddrW-1:0]),
    .wr_data_i({LANES{chan_gamma_i}}),
    .rd_en_i  (rd1_en_i),
    .rd_addr_i(rd1_addr[AddrW-1:0]),
    .rd_data_o(rd1_gamma_o)
  );

  sn_ram_1r1w #(
    .DEPTH(2 * MAX_BEATS),
    .WIDTH(8 * LANES),
    .PARTS(LANES)
  ) u_beta (
    .clk_i,
    .wr_en_i  (wr_en),
    .wr_addr_i(wr_addr[AddrW-1:0]),
    .wr_data_i({LANES{chan_beta_i}}),
    .rd_en_i  (rd2_en_i),
    .rd_addr_i(rd2_addr[AddrW-1:0]),
    .rd_data_o(rd2_beta_o)
  );

  if (AddrW < WordW) begin : gen_unused
    logic unused;
    assign unused = ^{wr_addr[WordW-1], rd1_addr[WordW-1], rd2_addr[WordW-1]};
  end
endmodule
