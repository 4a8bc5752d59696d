// SPDX-License-Identifier: Apache-2.0
// One column of the channel table (docs/stream.md): a parameter of each channel, in two banks or one.
//
//   wr_* (a channel a clock) --> its lane of a word --> [ BANKS x beats x W LANES ] --> rd_data_o, a beat a clock
//
// A word holds the channels of a beat; its address is {beat, bank}, or the beat where there is one bank. A
// write changes one lane of it, at the clock edge, reset or not; contents are not reset. Read latency one
// clock; the word stays until the next read. A column for each reader: what a stage needs is read in that
// stage, and no register has to take it there.

module sn_channel_column #(
  parameter  int LANES     = 32,
  parameter  int MAX_LEN   = 1024,
  parameter  int W         = 8,  // bits a channel
  parameter  int BANKS     = 2,  // 1: *_bank_i is ignored
  localparam int MAX_BEATS = (MAX_LEN + LANES - 1) / LANES,
  localparam int ADDR_W    = (MAX_LEN > 1) ? $clog2(MAX_LEN) : 1,
  localparam int BEAT_W    = (MAX_BEATS > 1) ? $clog2(MAX_BEATS) : 1
) (
  input  logic                    clk_i,

  input  logic                    wr_en_i,
  input  logic                    wr_bank_i,
  input  logic [ADDR_W-1:0]       wr_chan_i,
  input  logic [W-1:0]            wr_data_i,

  input  logic                    rd_en_i,
  input  logic                    rd_bank_i,
  input  logic [BEAT_W-1:0]       rd_beat_i,
  output logic [LANES-1:0][W-1:0] rd_data_o
);
  localparam int LaneW = $clog2(LANES);
  localparam int WordW = BEAT_W + BANKS - 1;
  // With one beat a row, a bank is a word, whatever BEAT_W has to be.
  localparam int AddrW = (MAX_BEATS > 1) ? WordW : 1;

  logic [LANES-1:0]  wr_en;
  logic [BEAT_W-1:0] wr_beat;
  logic [WordW-1:0]  wr_addr, rd_addr;

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    if (LANES == 1) begin : gen_only
      assign wr_en[i] = wr_en_i;
    end else begin : gen_one
      assign wr_en[i] = wr_en_i && wr_chan_i[LaneW-1:0] == LaneW'(i);
    end
  end
  assign wr_beat = BEAT_W'(wr_chan_i >> LaneW);

  if (BANKS == 2) begin : gen_two_banks
    assign wr_addr = {wr_beat, wr_bank_i};
    assign rd_addr = {rd_beat_i, rd_bank_i};
  end else begin : gen_one_bank
    assign wr_addr = wr_beat;
    assign rd_addr = rd_beat_i;
    logic unused_bank;
    assign unused_bank = ^{wr_bank_i, rd_bank_i};
  end

  sn_ram_1r1w #(
    .DEPTH(BANKS * MAX_BEATS),
    .WIDTH(W * LANES),
    .PARTS(LANES)
  ) u_ram (
    .clk_i,
    .wr_en_i  (wr_en),
    .wr_addr_i(wr_addr[AddrW-1:0]),
    .wr_data_i({LANES{wr_data_i}}),
    .rd_en_i,
    .rd_addr_i(rd_addr[AddrW-1:0]),
    .rd_data_o
  );

  if (AddrW < WordW) begin : gen_unused
    logic unused;
    assign unused = ^{wr_addr[WordW-1], rd_addr[WordW-1]};
  end
endmodule
