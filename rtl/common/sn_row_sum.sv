// SPDX-License-Identifier: Apache-2.0
// Sum over a row's elements, beat by beat.
//
//   data_i [LANES][ELEM_W] --> adder tree --> + --[reg]--> sum_o [SUM_W]
//                                             ^______|
//
// SIGNED: the tree adds v + 2^(ELEM_W - 1), unsigned, which flips v's top bit. Leaves are then narrow
// and positive, where signed ones would be extended to the total's width. LANES = 2^k such offsets make
// 2^(ELEM_W - 1 + k), the weight of the total's top bit, so that flipping that bit takes them off.
// Four lanes of 3 bits, -4 .. 3:
//
//   v         3    -4    -1     2    sum  0
//   v + 4     7     0     3     6    sum 16 = 10000; top bit flipped: 00000 = 0
//
// Latency floor(clog2(LANES) / 3) + 1 clocks, one beat a clock. load_i and first_i come with the beat's
// last stage.

module sn_row_sum #(
  parameter int LANES  = 32,
  parameter int ELEM_W = 8,
  parameter int SUM_W  = 18,  // at least ELEM_W + clog2(LANES)
  parameter bit SIGNED = 0    // the elements, and so the sum
) (
  input  logic                         clk_i,
  input  logic [LANES-1:0][ELEM_W-1:0] data_i,
  input  logic                         load_i,   // the last stage holds a beat ...
  input  logic                         first_i,  // ... which is the first of its row
  output logic [SUM_W-1:0]             sum_o     // over the row so far
);
  localparam int BeatW = ELEM_W + $clog2(LANES);

  logic [LANES-1:0][BeatW-1:0] elem;
  logic [BeatW-1:0]            beat_sum;

  for (genvar i = 0; i < LANES; i++) begin : gen_elem
    assign elem[i] = BeatW'(data_i[i]) ^ (BeatW'(SIGNED) << (ELEM_W - 1));
  end

  sn_reduce_tree #(
    .N(LANES),
    .W(BeatW)
  ) u_tree (
    .clk_i,
    .data_i(elem),
    .data_o(beat_sum)
  );

  if (SIGNED) begin : gen_signed
    logic signed [BeatW-1:0] beat_sum_signed;
    assign beat_sum_signed = {!beat_sum[BeatW-1], beat_sum[BeatW-2:0]};
    always_ff @(posedge clk_i) begin
      if (load_i) sum_o <= (first_i ? SUM_W'(0) : sum_o) + SUM_W'(beat_sum_signed);
    end
  end else begin : gen_unsigned
    always_ff @(posedge clk_i) begin
      if (load_i) sum_o <= (first_i ? SUM_W'(0) : sum_o) + SUM_W'(beat_sum);
    end
  end
endmodule
