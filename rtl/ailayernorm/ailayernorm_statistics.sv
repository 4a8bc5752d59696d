// SPDX-License-Identifier: Apache-2.0
// Row statistics: sum and sum of squares of a row's elements, and their number, beat by beat.
//
//   x, zp --> a = x - zp --+--[reg]--> << alpha --+--------------------> adder tree --> + --[reg]--> sum_o
//                          |              ^       +--> step_o                         ^______|
//                          |   alpha -----+ (the clock after x)
//                          |              v
//                          +--> DynamicCompress --[reg]--> y^2 << 4 range << 2 alpha
//                               (EXACT_SQ: square --[reg]--> << 2 alpha)
//                                                            --> adder tree --> + --[reg]--> square_sum_o
//   active --[reg]--> adder tree --> + --[reg]--> count_o
//
//   sum        = sum of a << alpha                           12 bits signed an element
//   square_sum = sum of (y*y << 4*range) << 2*alpha          18 bits (CMP_RANGES = 3: 22)
//   EXACT_SQ = 1: sum of a*a << 2*alpha                      22 bits
//   both, and the count, over the row's unmasked elements so far
//
// Latency floor(clog2(LANES) / 3) + 2 clocks, one beat a clock.

module ailayernorm_statistics #(
  parameter int LANES      = 32,
  parameter int SUM_W      = 22,
  parameter int SQUARE_W   = 28,
  parameter int COUNT_W    = 11,
  parameter int CMP_RANGES = 2,
  parameter int EXACT_SQ   = 0,
  parameter int MASK_LATE  = 0   // 1: lanes of x_i that are not active may be anything
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
  localparam int SqW = (CMP_RANGES == 2 && EXACT_SQ == 0) ? 18 : 22;  // of a square

  // --------------------------------------------------------------------------------- stage 1: a lane
  logic [LANES-1:0][SqW-1:0] square;
  logic [LANES-1:0]          active_q;

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic signed [8:0] a, a_q, a_masked;
    logic [1:0]        alpha;

    // What is active comes late where there is no register behind the pins: then it is for stage 1.
    if (MASK_LATE == 1) begin : gen_mask_late
      assign a        = {1'b0, x_i[i]} - {1'b0, zp_i};
      assign a_masked = a_q & {9{active_q[i]}};
    end else begin : gen_mask
      assign a        = active_i[i] ? {1'b0, x_i[i]} - {1'b0, zp_i} : 9'd0;
      assign a_masked = a_q;
    end
    always_ff @(posedge clk_i) a_q <= a;

    // A channel that nobody has loaded may be anything, X in a simulation.
    assign alpha     = active_q[i] ? alpha_i[i] : 2'd0;
    assign step_o[i] = 12'(a_masked) <<< alpha;

    if (EXACT_SQ == 1) begin : gen_exact
      logic [15:0] exact, exact_q, exact_masked;

      ailayernorm_square u_square (
        .a_i     (a),
        .square_o(exact)
      );

      always_ff @(posedge clk_i) exact_q <= exact;
      if (MASK_LATE == 1) begin : gen_square_late
        assign exact_masked = exact_q & {16{active_q[i]}};
      end else begin : gen_square
        assign exact_masked = exact_q;
      end
      assign square[i] = SqW'(exact_masked) << {alpha, 1'b0};
    end else begin : gen_compressed
      logic [1:0] range, range_q;
      logic [3:0] y, y_q, y_masked;
      logic [7:0] y_square;

      ailayernorm_compress #(
        .CMP_RANGES(CMP_RANGES)
      ) u_compress (
        .a_i    (a),
        .y_o    (y),
        .range_o(range)
      );

      always_ff @(posedge clk_i) begin
        y_q     <= y;
        range_q <= range;
      end

      if (MASK_LATE == 1) begin : gen_root_late
        assign y_masked = y_q & {4{active_q[i]}};
      end else begin : gen_root
        assign y_masked = y_q;
      end
      assign y_square  = ailayernorm_tables_pkg::square(y_masked);
      assign square[i] = (SqW'(y_square) << {range_q, 2'b0}) << {alpha, 1'b0};
    end
  end

  always_ff @(posedge clk_i) active_q <= active_i;

  // ------------------------------------------------------------------------------------ over the row
  sn_row_sum #(
    .LANES (LANES),
    .ELEM_W(12),
    .SUM_W (SUM_W),
    .SIGNED(1)
  ) u_sum (
    .clk_i,
    .data_i (step_o),
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
    .data_i (square),
    .load_i,
    .first_i,
    .sum_o  (square_sum_o)
  );

  sn_row_sum #(
    .LANES (LANES),
    .ELEM_W(1),
    .SUM_W (COUNT_W)
  ) u_count (
    .clk_i,
    .data_i (active_q),
    .load_i,
    .first_i,
    .sum_o  (count_o)
  );
endmodule
