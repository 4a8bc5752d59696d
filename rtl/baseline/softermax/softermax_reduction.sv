// SPDX-License-Identifier: Apache-2.0
// Softermax's running sum: the numerators of a row whose maximum may still rise.
//
//   p_i [LANES] --> adder tree --> rnd >> 9 ----------------------------> + --> cut --[reg]--+--> sum_o
//                                                                         ^                  |
//   max_i - last_max_i (how far the maximum rose) --> >> <---- 0 at first +------------------+
//
//   B_t = rnd((sum of p_i) / 2^9),  S_t = min(2^SUM_W - 1, (S_(t-1) >> (m_t - m_(t-1))) + B_t)
//
// 6 fraction bits. Only a row of 2^(SUM_W - 6) elements that are all 1.0 is cut, which needs a
// MAX_LEN of that size. Latency floor(clog2(LANES) / 3) + 1 clocks, one beat a clock: the loop from
// sum_o to sum_o is one clock long.

module softermax_reduction #(
  parameter int LANES = 32,
  parameter int SUM_W = 16
) (
  input  logic                   clk_i,
  input  logic                   load_i,      // with the last stage: it holds a beat
  input  logic [LANES-1:0][15:0] p_i,
  input  logic                   first_i,     // with the last stage: first beat of its row
  input  logic [6:0]             max_i,       // with the last stage: m_t
  input  logic [6:0]             last_max_i,  // ... and m_(t-1)
  output logic [SUM_W-1:0]       sum_o
);
  localparam int BeatW = 16 + $clog2(LANES);
  localparam int AddW  = SUM_W + 1;

  logic [LANES-1:0][BeatW-1:0] leaf;
  logic [BeatW-1:0]            beat_sum;
  logic [BeatW-9:0]            rounded;  // the bit below, too
  logic [6:0]                  rise;
  logic [SUM_W-1:0]            prev;
  logic [AddW-1:0]             total;

  for (genvar i = 0; i < LANES; i++) begin : gen_leaf
    assign leaf[i] = BeatW'(p_i[i]);
  end

  sn_reduce_tree #(
    .N  (LANES),
    .W  (BeatW)
  ) u_tree (
    .clk_i,
    .data_i(leaf),
    .data_o(beat_sum)
  );

  // Half is rounded up: (a + 2^8) >> 9 is ((a >> 8) + 1) >> 1.
  assign rounded = beat_sum[BeatW-1:8] + (BeatW - 8)'(1);
  // What a row's first beat finds in the registers is another row's.
  assign prev    = first_i ? '0 : sum_o;
  assign rise    = first_i ? '0 : max_i - last_max_i;
  assign total   = AddW'(prev >> rise) + AddW'(rounded[BeatW-9:1]);

  always_ff @(posedge clk_i) begin
    if (load_i) sum_o <= total[SUM_W] ? '1 : total[SUM_W-1:0];
  end

  logic unused;
  assign unused = ^{beat_sum[7:0], rounded[0]};
endmodule
