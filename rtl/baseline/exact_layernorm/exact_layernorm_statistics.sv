// SPDX-License-Identifier: Apache-2.0
// Row statistics: exact sum and sum of squares of a row's elements, and their number, beat by beat.
//
//   x, zp --> a = x - zp --[reg]--> << alpha --[reg]--> v --+--[reg]----------> sn_row_sum --> sum_o
//                                   |                       |
//   alpha (the same clock) ---------+                       +--> v * v --[reg]--> sn_row_sum --> square_sum_o
//   active --> 3 clocks --> sn_row_sum --> count_o
//
//   sum        = sum of v = a << alpha                 12 bits signed an element
//   square_sum = sum of v * v                          22 bits
//   both, and the count, over the row's unmasked elements so far
//
// Latency floor(clog2(LANES) / 3) + 4 clocks, one beat a clock.

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
  localparam int ElemW      = 12;
  localparam int SqW        = 22;
  localparam int BeatCountW = 1 + $clog2(LANES);

  // ------------------------------------------------------------------------- stages 1 to 3: a lane
  logic [LANES-1:0][ElemW-1:0]      v3_q;  // with its square
  logic [LANES-1:0][SqW-1:0]        square_q;
  logic [LANES-1:0][BeatCountW-1:0] elem_count;

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic signed [8:0]       a_q;
    logic                    active_q;
    logic signed [ElemW-1:0] v_q;
    logic [2*ElemW-1:0]      square;  // 2040 squared at the most

    always_ff @(posedge clk_i) begin
      a_q      <= {1'b0, x_i[i]} - {1'b0, zp_i};
      active_q <= active_i[i];
    end

    // Masked last: a channel that nobody has loaded may be anything, X in a simulation.
    always_ff @(posedge clk_i) begin
      v_q <= (ElemW'(a_q) <<< alpha_i[i]) & {ElemW{active_q}};
    end

    sn_multiply #(
      .A_W(ElemW),
      .B_W(ElemW)
    ) u_v_square (
      .a_i(v_q),
      .b_i(v_q),
      .p_o(square)
    );

    always_ff @(posedge clk_i) begin
      v3_q[i]     <= v_q;
      square_q[i] <= square[SqW-1:0];
    end

    logic unused;
    assign unused = ^square[2*ElemW-1:SqW];

    assign elem_count[i] = BeatCountW'(active_i[i]);
  end

  // ------------------------------------------------------------------------------------ over the row
  sn_row_sum #(
    .LANES (LANES),
    .ELEM_W(ElemW),
    .SUM_W (SUM_W),
    .SIGNED(1)
  ) u_sum (
    .clk_i,
    .data_i (v3_q),
    .load_i,
    .first_i,
    .sum_o  (sum_o)
  );

  sn_row_sum #(
    .LANES (LANES),
    .ELEM_W(SqW),
    .SUM_W (SQUARE_W)
  ) u_square_sum (
    .clk_i,
    .data_i (square_q),
    .load_i,
    .first_i,
    .sum_o  (square_sum_o)
  );

  // The number of a beat is known three clocks before its sums: it takes fewer registers than the lanes.
  logic [BeatCountW-1:0] beat_count_early, beat_count;

  sn_reduce_tree #(
    .N(LANES),
    .W(BeatCountW)
  ) u_beat_count (
    .clk_i,
    .data_i(elem_count),
    .data_o(beat_count_early)
  );

  sn_pipe #(
    .W     (BeatCountW),
    .STAGES(3)
  ) u_beat_count_pipe (
    .clk_i,
    .en_i  (1'b1),
    .data_i(beat_count_early),
    .data_o(beat_count)
  );

  sn_row_sum #(
    .LANES (1),
    .ELEM_W(BeatCountW),
    .SUM_W (COUNT_W)
  ) u_count (
    .clk_i,
    .data_i (beat_count),
    .load_i,
    .first_i,
    .sum_o  (count_o)
  );
endmodule
