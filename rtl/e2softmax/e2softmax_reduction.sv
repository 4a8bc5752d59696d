// SPDX-License-Identifier: Apache-2.0
// Reduction with online correction: the sum of 2^-code over a row whose maximum may still grow.
//
//   code, active [LANES] --> weights --> adder tree --------------------> + --[reg]--+--> sum_o
//                                                                         ^          |
//   rise_code_i (how far the maximum rose, as a code) --> decay  <------ 0 at first -+
//
//   weight(y) = 2^(15-y)                      EXP_FRAC = 1: 2^(15-y/2), odd y times 181/256
//   Sum_t     = decay(Sum_(t-1), rise code) + sum of weight(y_i) over unmasked i
//   decay     = floor shift by the code       EXP_FRAC = 1: by half the code, odd ones times 181/256
//
/// Units of 2^-15. SUM_W = 16 + clog2(MAX_LEN) bits hold MAX_LEN weights of 2^15, so it never
/// overflows; from the first unmasked element on it is at least 2^15. Latency
/// floor(clog2(LANES) / 3) + 1 clocks, one beat a clock: the loop from sum_o to sum_o is one clock long.

module e2softmax_reduction #(
  parameter  int LANES    = 32,
  parameter  int SUM_W    = 26,
  parameter  int EXP_FRAC = 0,
  localparam int CODE_W   = 4 + EXP_FRAC
) (
  input  logic                         clk_i,
  input  logic                         load_i,       // with the last stage: it holds a beat
  input  logic [LANES-1:0][CODE_W-1:0] code_i,
  input  logic [LANES-1:0]             active_i,
  input  logic                         first_i,      // with the last stage: first beat of its row
  input  logic [CODE_W-1:0]            rise_code_i,  // with the last stage
  output logic [SUM_W-1:0]             sum_o
);
  localparam int          BeatW    = 16 + $clog2(LANES);
  localparam logic [15:0] HalfStep = 16'd23168;  // 2^15 * 181/256 (1/sqrt 2)

  logic [LANES-1:0][BeatW-1:0] weight;
  logic [BeatW-1:0]            beat_sum;
  logic [SUM_W-1:0]            prev, decayed;

  for (genvar i = 0; i < LANES; i++) begin : gen_weight
    logic [15:0] top;
    if (EXP_FRAC == 0) begin : gen_octave
      assign top = 16'h8000;
    end else begin : gen_half
      assign top = code_i[i][0] ? HalfStep : 16'h8000;
    end
    assign weight[i] = active_i[i] ? BeatW'(top >> code_i[i][CODE_W-1:EXP_FRAC]) : '0;
  end

  sn_reduce_tree #(
    .N  (LANES),
    .W  (BeatW),
    .SUM(1'b1)
  ) u_tree (
    .clk_i,
    .data_i(weight),
    .data_o(beat_sum)
  );

  assign prev = first_i ? '0 : sum_o;

  if (EXP_FRAC == 0) begin : gen_decay
    assign decayed = prev >> rise_code_i;
  end else begin : gen_decay_half
    logic [SUM_W+7:0] scaled;
    assign scaled  = (SUM_W + 8)'(prev) * (rise_code_i[0] ? (SUM_W + 8)'(181) : (SUM_W + 8)'(256));
    assign decayed = SUM_W'(scaled >> 8) >> rise_code_i[CODE_W-1:1];
  end

  always_ff @(posedge clk_i) begin
    if (load_i) sum_o <= decayed + SUM_W'(beat_sum);
  end
endmodule
