// SPDX-License-Identifier: Apache-2.0
// Channel table: alpha, gamma and beta of each channel, in two banks, read by both passes.
//
//   chan_* (a channel a clock) --+--> [ alpha   2 x beats x 2 LANES ] --> pass 1
//                                +--> [ gamma   2 x beats x 8 LANES ] --> pass 2 (FACTOR_W 10: alpha, too)
//                                +--> [ beta    2 x beats x 8 LANES ] --> pass 2, where it is added
//
/// A word holds the channels of a beat, so that each port reads one word a clock; a write changes one
/// lane of it. beta is read when it is added: to take it along from the clock of gamma would cost 16
/// flip-flops a lane.
///
/// A bank must not be written while a row that names it is in the unit: load one bank while the rows
/// use the other. Writes take effect at the clock edge, reset or not; contents are not reset.
/// Read latency one clock; the word stays until the next read.

module ailayernorm_channels #(
  parameter  int LANES     = 32,
  parameter  int MAX_LEN   = 1024,
  parameter  int FACTOR_W  = 8,     // bits a lane of rd2_factor_o: 8 gamma, 10 gamma and alpha
  localparam int MAX_BEATS = (MAX_LEN + LANES - 1) / LANES,
  localparam int ADDR_W    = (MAX_LEN > 1) ? $clog2(MAX_LEN) : 1,
  localparam int BEAT_W    = (MAX_BEATS > 1) ? $clog2(MAX_BEATS) : 1
) (
  input  logic                  clk_i,

  input  logic                  chan_we_i,
  input  logic                  chan_bank_i,
  input  logic [ADDR_W-1:0]     chan_addr_i,
  input  logic [1:0]            chan_alpha_i,
  input  logic [7:0]            chan_gamma_i,
  input  logic [7:0]            chan_beta_i,

  input  logic                  rd1_en_i,
  input  logic                  rd1_bank_i,
  input  logic [BEAT_W-1:0]     rd1_beat_i,
  output logic [LANES-1:0][1:0] rd1_alpha_o,

  input  logic                  rd2_en_i,
  input  logic                  rd2_bank_i,
  input  logic [BEAT_W-1:0]     rd2_beat_i,
  output logic [LANES-1:0][FACTOR_W-1:0] rd2_factor_o,

  input  logic                  rd3_en_i,
  input  logic                  rd3_bank_i,
  input  logic [BEAT_W-1:0]     rd3_beat_i,
  output logic [LANES-1:0][7:0] rd3_beta_o
);
  localparam int LaneW = $clog2(LANES);
  localparam int Depth = 2 * MAX_BEATS;  // the bank is the low bit of the address
  localparam int WordW = BEAT_W + 1;

  logic [LANES-1:0]  wr_en;
  logic [BEAT_W-1:0] wr_beat;

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    if (LANES == 1) begin : gen_only
      assign wr_en[i] = chan_we_i;
    end else begin : gen_one
      assign wr_en[i] = chan_we_i && chan_addr_i[LaneW-1:0] == LaneW'(i);
    end
  end
  assign wr_beat = BEAT_W'(chan_addr_i >> LaneW);

  logic [FACTOR_W-1:0] factor;
  assign factor = FACTOR_W'({chan_gamma_i, chan_alpha_i} >> (10 - FACTOR_W));

  // With one beat a row, both banks are two words, whatever BEAT_W has to be.
  localparam int AddrW = (MAX_BEATS > 1) ? WordW : 1;
  logic [WordW-1:0] wr_addr, rd1_addr, rd2_addr, rd3_addr;
  assign wr_addr  = {wr_beat, chan_bank_i};
  assign rd1_addr = {rd1_beat_i, rd1_bank_i};
  assign rd2_addr = {rd2_beat_i, rd2_bank_i};
  assign rd3_addr = {rd3_beat_i, rd3_bank_i};

  sn_ram_1r1w #(
    .DEPTH(Depth),
    .WIDTH(2 * LANES),
    .PARTS(LANES)
  ) u_alpha (
    .clk_i,
    .wr_en_i  (wr_en),
    .wr_addr_i(wr_addr[AddrW-1:0]),
    .wr_data_i({LANES{chan_alpha_i}}),
    .rd_en_i  (rd1_en_i),
    .rd_addr_i(rd1_addr[AddrW-1:0]),
    .rd_data_o(rd1_alpha_o)
  );

  sn_ram_1r1w #(
    .DEPTH(Depth),
    .WIDTH(FACTOR_W * LANES),
    .PARTS(LANES)
  ) u_factor (
    .clk_i,
    .wr_en_i  (wr_en),
    .wr_addr_i(wr_addr[AddrW-1:0]),
    .wr_data_i({LANES{factor}}),
    .rd_en_i  (rd2_en_i),
    .rd_addr_i(rd2_addr[AddrW-1:0]),
    .rd_data_o(rd2_factor_o)
  );

  sn_ram_1r1w #(
    .DEPTH(Depth),
    .WIDTH(8 * LANES),
    .PARTS(LANES)
  ) u_beta (
    .clk_i,
    .wr_en_i  (wr_en),
    .wr_addr_i(wr_addr[AddrW-1:0]),
    .wr_data_i({LANES{chan_beta_i}}),
    .rd_en_i  (rd3_en_i),
    .rd_addr_i(rd3_addr[AddrW-1:0]),
    .rd_data_o(rd3_beta_o)
  );

  if (AddrW < WordW) begin : gen_unused
    logic unused;
    assign unused = ^{wr_addr[WordW-1], rd1_addr[WordW-1], rd2_addr[WordW-1], rd3_addr[WordW-1]};
  end
endmodule
