// SPDX-License-Identifier: Apache-2.0
// Row statistics: exact sum and sum of squares of a row's elements, and their number, beat by beat.
//
//   x, zp --> a = x - zp --[reg]--> << alpha --[reg]--> v --+--[reg]--> adder tree --> + --[reg]--> sum_o
//                                   |                       |                          ^______|
//   alpha (the same clock) ---------+                       +--> v * v --[reg]--> adder tree --> + --[reg]--> square_sum_o
//   active --> adder tree --> + --[reg]--> count_o
//
//   sum        = sum of v = a << alpha                 12 bits signed an element
//   square_sum = sum of v * v                          22 bits
//   both, and the count, over the row's unmasked elements so far
//
/// Latency floor(clog2(LANES) / 3) + 4 clocks, one beat a clock. The trees add the sum's elements as
/// v + 2048, unsigned, so that synthesis sees their narrow leaves; LANES * 2048 leaves again as the
/// total's top bit flips.

module exact_layernorm_statistics #(
  parameter int LANES    = 32,
  parameter int SUM_W    = 22,
  parameter int SQUARE_W = 32,
  parameter int COUNT_W  = 11
) (
  input  logic                    clk_i,
  input  logic                    load_i,    // with the last stage: it holds a beat
  input  logic [LANES-1:0][7:0]   x_i,
  input  logic [LANES-1:0]        active_i,
  input  logic [7:0]              zp_i,
  input  logic [LANES-1:0][1:0]   alpha_i,   // with stage 1, a clock after x_i
  input  logic                    first_i,   // with the last stage: first beat of its row
  output logic signed [SUM_W-1:0] sum_o,
  output logic [SQUARE_W-1:0]     square_sum_o,
  output logic [COUNT_W-1:0]      count_o
);
  localparam int BeatW      = 12 + $clog2(LANES);
  localparam int BeatSqW    = 22 + $clog2(LANES);
  localparam int BeatCountW = 1 + $clog2(LANES);

  // ------------------------------------------------------------------------- stages 1 to 3: a lane
  logic [LANES-1:0][BeatW-1:0]      elem;
  logic [LANES-1:0][BeatSqW-1:0]    elem_sq;
  logic [LANES-1:0][BeatCountW-1:0] elem_count;

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic signed [8:0]  a_q;
    logic               active_q;
    logic signed [11:0] v_q;
    logic [11:0]        offset_q;
    logic [23:0]        square;    // 2040 squared at the most
    logic [21:0]        square_q;

    always_ff @(posedge clk_i) begin
      a_q      <= active_i[i] ? {1'b0, x_i[i]} - {1'b0, zp_i} : 9'd0;
      active_q <= active_i[i];
    end

    // A channel that nobody has loaded may be anything, X in a simulation.
    always_ff @(posedge clk_i) begin
      v_q <= 12'(a_q) <<< (active_q ? alpha_i[i] : 2'd0);
    end

    sn_multiply #(
      .A_W(12),
      .B_W(12)
    ) u_v_square (
      .a_i(v_q),
      .b_i(v_q),
      .p_o(square)
    );

    always_ff @(posedge clk_i) begin
      offset_q <= {!v_q[11], v_q[10:0]};
      square_q <= square[21:0];
    end

    logic unused;
    assign unused = ^square[23:22];

    assign elem[i]       = BeatW'(offset_q);
    assign elem_sq[i]    = BeatSqW'(square_q);
    assign elem_count[i] = BeatCountW'(active_i[i]);
  end

  // --------------------------------------------------------------------------- the sums over a beat
  logic [BeatW-1:0]      beat_sum;
  logic [BeatSqW-1:0]    beat_square;
  logic [BeatCountW-1:0] beat_count_early, beat_count;

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
    .data_o(beat_count_early)
  );

  sn_pipe #(
    .W     (BeatCountW),
    .STAGES(3)
  ) u_count_pipe (
    .clk_i,
    .en_i  (1'b1),
    .data_i(beat_count_early),
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
