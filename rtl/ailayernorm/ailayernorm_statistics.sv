// SPDX-License-Identifier: Apache-2.0
// Row statistics: sum and sum of squares of a row's elements, and their number, beat by beat.
//
//   x, zp --> a = x - zp --+--[reg]--> << alpha --+--------------------> adder tree --> + --[reg]--> sum_o
//                          |              ^       +--> step_o                         ^______|
//                          |   alpha -----+ (the clock after x)
//                          |              v
//                          +--> DynamicCompress --[reg]--> y^2 << 4 range << 2 alpha
//                                                            --> adder tree --> + --[reg]--> square_sum_o
//   active --[reg]--> adder tree --> + --[reg]--> count_o
//
//   sum        = sum of a << alpha                           12 bits signed an element
//   square_sum = sum of (y*y << 4*range) << 2*alpha          18 bits (CMP_RANGES = 3: 22)
//   both, and the count, over the row's unmasked elements so far
//
/// Latency floor(clog2(LANES) / 3) + 2 clocks, one beat a clock. The trees add the sum's elements as
/// a + 2048, unsigned, so that synthesis sees their narrow leaves; LANES * 2048 leaves again as the
/// total's top bit flips.

module ailayernorm_statistics #(
  parameter int LANES      = 32,
  parameter int SUM_W      = 22,
  parameter int SQUARE_W   = 28,
  parameter int COUNT_W    = 11,
  parameter int CMP_RANGES = 2
) (
  input  logic                    clk_i,
  input  logic                    load_i,    // with the last stage: it holds a beat
  input  logic [LANES-1:0][7:0]   x_i,
  input  logic [LANES-1:0]        active_i,
  input  logic [7:0]              zp_i,
  input  logic [LANES-1:0][1:0]   alpha_i,   // with stage 1, a clock after x_i
  input  logic                    first_i,   // with the last stage: first beat of its row
  output logic [LANES-1:0][11:0]  step_o,    // with stage 1: a << alpha, 0 where not active
  output logic signed [SUM_W-1:0] sum_o,
  output logic [SQUARE_W-1:0]     square_sum_o,
  output logic [COUNT_W-1:0]      count_o
);
  localparam int ElemW      = 12;
  localparam int ElemSqW    = (CMP_RANGES == 2) ? 18 : 22;
  localparam int BeatW      = ElemW + $clog2(LANES);
  localparam int BeatSqW    = ElemSqW + $clog2(LANES);
  localparam int BeatCountW = 1 + $clog2(LANES);

  // --------------------------------------------------------------------------------- stage 1: a lane
  logic [LANES-1:0][BeatW-1:0]      elem;
  logic [LANES-1:0][BeatSqW-1:0]    elem_sq;
  logic [LANES-1:0][BeatCountW-1:0] elem_count;

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic signed [8:0]  a, a_q;
    logic               active_q;
    logic [1:0]         alpha, range, range_q;
    logic [7:0]         square;
    logic [3:0]         y, y_q;
    logic signed [11:0] step;

    assign a = active_i[i] ? {1'b0, x_i[i]} - {1'b0, zp_i} : 9'd0;

    ailayernorm_compress #(
      .CMP_RANGES(CMP_RANGES)
    ) u_compress (
      .a_i    (a),
      .y_o    (y),
      .range_o(range)
    );

    always_ff @(posedge clk_i) begin
      a_q      <= a;
      y_q      <= y;
      range_q  <= range;
      active_q <= active_i[i];
    end

    // A channel that nobody has loaded may be anything, X in a simulation.
    assign alpha         = active_q ? alpha_i[i] : 2'd0;
    assign step          = 12'(a_q) <<< alpha;
    assign step_o[i]     = step;
    assign square        = ailayernorm_tables_pkg::square(y_q);
    assign elem[i]       = BeatW'({!step[11], step[10:0]});
    assign elem_sq[i]    = (BeatSqW'(square) << {range_q, 2'b0}) << {alpha, 1'b0};
    assign elem_count[i] = BeatCountW'(active_q);
  end

  // --------------------------------------------------------------------------- the sums over a beat
  logic [BeatW-1:0]      beat_sum;
  logic [BeatSqW-1:0]    beat_square;
  logic [BeatCountW-1:0] beat_count;

  sn_reduce_tree #(
    .N  (LANES),
    .W  (BeatW)
  ) u_sum (
    .clk_i,
    .data_i(elem),
    .data_o(beat_sum)
  );

  sn_reduce_tree #(
    .N  (LANES),
    .W  (BeatSqW)
  ) u_square (
    .clk_i,
    .data_i(elem_sq),
    .data_o(beat_square)
  );

  sn_reduce_tree #(
    .N  (LANES),
    .W  (BeatCountW)
  ) u_count (
    .clk_i,
    .data_i(elem_count),
    .data_o(beat_count)
  );

  // ------------------------------------------------------------------------------------ over the row
  logic signed [BeatW-1:0] beat_sum_signed;
  assign beat_sum_signed = {!beat_sum[BeatW-1], beat_sum[BeatW-2:0]};

  always_ff @(posedge clk_i) begin
    if (load_i) begin
      sum_o        <= (first_i ? SUM_W'(0) : sum_o) + SUM_W'(beat_sum_signed);
      square_sum_o <= (first_i ? SQUARE_W'(0) : square_sum_o) + SQUARE_W'(beat_square);
      count_o      <= (first_i ? COUNT_W'(0) : count_o) + COUNT_W'(beat_count);
    end
  end
endmodule
