// SPDX-License-Identifier: Apache-2.0
// Reduction with online correction: the sum of 2^-code over a row whose maximum may still grow.
//
//   code, active [LANES] --> sums of pairs --> adder tree --------------> + --[reg]--+--> sum_o
//                                                                         ^          |
//   rise_code_i (how far the maximum rose, as a code) --> decay  <------ 0 at first -+
//
//   weight(y) = 2^(15-y)                      EXP_FRAC = 1: 2^(15-y/2), odd y times 181/256
//   Sum_t     = decay(Sum_(t-1), rise code) + sum of weight(y_i) over unmasked i
//   decay     = floor shift by the code       EXP_FRAC = 1: by half the code, odd ones times 181/256
//
// A weight has one bit set, so that two of them need no adder: they stand side by side in one word, and
// where they are equal one of twice the weight stands for both. Half octaves have more bits and are
// added.
//
//   codes 3, 5      bits 12 and 10      2^12 + 2^10
//   codes 3, 3      bit 13, of code 2   2^13
//   codes 0, 0      bit 16              2^16: no code has it
//   codes 3, none   bit 12              2^12
//
// BLOCKS = 1: a row starts from start_i, the sum so far, in place of 0, and Sum stays at 2^SUM_W - 1 once
// it gets there.
//
// Units of 2^-15. SUM_W = 16 + clog2(MAX_LEN) bits hold MAX_LEN weights of 2^15, so it never
// overflows; from the first unmasked element on it is at least 2^15. Latency
// floor(clog2(LANES) / 3) + 1 clocks, one beat a clock: the loop from sum_o to sum_o is one clock long.

module e2softmax_reduction #(
  parameter  int LANES    = 32,
  parameter  int SUM_W    = 26,
  parameter  int EXP_FRAC = 0,
  parameter  int BLOCKS   = 0,
  localparam int CODE_W   = 4 + EXP_FRAC
) (
  input  logic                         clk_i,
  input  logic                         load_i,       // with the last stage: it holds a beat
  input  logic [LANES-1:0][CODE_W-1:0] code_i,
  input  logic [LANES-1:0]             active_i,
  input  logic                         first_i,      // with the last stage: first beat of its row
  input  logic [SUM_W-1:0]             start_i,      // with it; ignored with BLOCKS = 0
  input  logic [CODE_W-1:0]            rise_code_i,  // with the last stage
  output logic [SUM_W-1:0]             sum_o
);
  localparam int          BeatW    = 16 + $clog2(LANES);
  localparam logic [15:0] HalfStep = 16'd23168;  // 2^15 * 181/256 (1/sqrt 2)

  localparam int          Pairs    = (LANES + 1) / 2;
  localparam int          PairW    = (LANES == 1) ? 16 : 17;

  logic [Pairs-1:0][BeatW-1:0] pair;
  logic [BeatW-1:0]            beat_sum;
  logic [SUM_W-1:0]            prev, decayed;

  for (genvar i = 0; i < Pairs; i++) begin : gen_pair
    logic [PairW-1:0] sum;

    if (EXP_FRAC == 0 && LANES > 1) begin : gen_octave
      logic [3:0] a, b;
      logic       equal, a_only;

      assign equal  = active_i[2*i] && active_i[2*i+1] && code_i[2*i] == code_i[2*i+1];
      assign a      = equal ? code_i[2*i] - 4'd1 : code_i[2*i];
      assign b      = code_i[2*i+1];
      // Twice the weight of code 0 has a bit of its own.
      assign a_only = active_i[2*i] && !(equal && code_i[2*i] == 4'd0);
      for (genvar c = 0; c < 16; c++) begin : gen_code
        logic at_a, at_b;
        assign at_a      = (a[3:2] == 2'(c >> 2) && a_only) && a[1:0] == 2'(c);
        assign at_b      = (b[3:2] == 2'(c >> 2) && active_i[2*i+1] && !equal) && b[1:0] == 2'(c);
        assign sum[15-c] = at_a || at_b;
      end
      assign sum[16] = equal && code_i[2*i] == 4'd0;
    end else begin : gen_add
      logic [2*PairW-1:0] weight;
      for (genvar k = 0; k < 2; k++) begin : gen_weight
        if (2 * i + k < LANES) begin : gen_lane
          logic [15:0] top;
          assign top = (EXP_FRAC == 1 && code_i[2*i+k][0]) ? HalfStep : 16'h8000;
          assign weight[k*PairW+:PairW] = active_i[2*i+k] ?
              PairW'(top >> code_i[2*i+k][CODE_W-1:EXP_FRAC]) : '0;
        end else begin : gen_none
          assign weight[k*PairW+:PairW] = '0;
        end
      end
      assign sum = weight[0+:PairW] + weight[PairW+:PairW];
    end
    assign pair[i] = BeatW'(sum);
  end

  sn_reduce_tree #(
    .N    (Pairs),
    .W    (BeatW),
    .ABOVE((LANES == 1) ? 0 : 1)
  ) u_tree (
    .clk_i,
    .data_i(pair),
    .data_o(beat_sum)
  );

  if (BLOCKS == 0) begin : gen_zero
    logic unused;
    assign prev = first_i ? '0 : sum_o;
    assign unused = ^start_i;
  end else begin : gen_start
    assign prev = first_i ? start_i : sum_o;
  end

  if (EXP_FRAC == 0) begin : gen_decay
    // The largest step first: `>>` is mapped smallest first, which makes this the slowest path.
    logic [SUM_W-1:0] by8, by4, by2;
    assign by8     = rise_code_i[3] ? prev >> 8 : prev;
    assign by4     = rise_code_i[2] ? by8 >> 4 : by8;
    assign by2     = rise_code_i[1] ? by4 >> 2 : by4;
    assign decayed = rise_code_i[0] ? by2 >> 1 : by2;
  end else begin : gen_decay_half
    logic [SUM_W+7:0] scaled;
    assign scaled  = (SUM_W + 8)'(prev) * (rise_code_i[0] ? (SUM_W + 8)'(181) : (SUM_W + 8)'(256));
    assign decayed = SUM_W'(scaled >> 8) >> rise_code_i[CODE_W-1:1];
  end

  if (BLOCKS == 0) begin : gen_fits
    always_ff @(posedge clk_i) begin
      if (load_i) sum_o <= decayed + SUM_W'(beat_sum);
    end
  end else begin : gen_saturate
    logic [SUM_W:0] total;
    assign total = (SUM_W + 1)'(decayed) + (SUM_W + 1)'(beat_sum);
    always_ff @(posedge clk_i) begin
      if (load_i) sum_o <= total[SUM_W-1:0] | {SUM_W{total[SUM_W]}};
    end
  end
endmodule
