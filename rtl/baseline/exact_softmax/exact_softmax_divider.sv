// SPDX-License-Identifier: Apache-2.0
// Restoring divider of an element by the sum of its row, a step a clock.
//
//   e_i [16] --> R --> 2 R - S >= 0 ? --[reg]--> R, b_1 --> .. --[reg]--> b_1 .. b_9 --> rnd --> out_o
//                            ^                                    ^
//   sum_i [0] ---------------+                  sum_i [8] --------+
//
//   R_k = 2 R_(k-1) - b_k S,  b_k = (2 R_(k-1) >= S),  Q = b_1 .. b_9
//   out = min(255, (Q + 1) >> 1) = min(255, rnd(2^8 e / S))
//
// e is at most S, and S at least 1. A remainder has the bits of e and one more a step, as far as S
// has them. Latency STEPS clocks; all holds while en_i is low.
//
// Not exact_layernorm_divide: there each division carries its divisor along and nothing stalls. Here
// the lanes share the divisor's registers (sum_i: the S of the element in each step), and all holds.

module exact_softmax_divider #(
  parameter  int SUM_W = 26,
  localparam int STEPS = 9
) (
  input  logic                        clk_i,
  input  logic                        en_i,
  input  logic [15:0]                 e_i,
  input  logic [STEPS-1:0][SUM_W-1:0] sum_i,
  output logic [7:0]                  out_o
);
  for (genvar k = 0; k < STEPS; k++) begin : gen_step
    localparam int RestW = (17 + k < SUM_W) ? 17 + k : SUM_W;  // of the remainder behind the step
    logic [SUM_W:0]   twice, less;
    logic [RestW-1:0] rest_q;
    logic [k:0]       bits_d, bits_q;
    logic             fits;

    if (k == 0) begin : gen_first
      assign twice  = (SUM_W + 1)'({e_i, 1'b0});
      assign bits_d = fits;
    end else begin : gen_next
      assign twice  = (SUM_W + 1)'({gen_step[k-1].rest_q, 1'b0});
      assign bits_d = {gen_step[k-1].bits_q, fits};
    end

    assign fits = twice >= {1'b0, sum_i[k]};
    assign less = twice - {1'b0, sum_i[k]};

    always_ff @(posedge clk_i) begin
      if (en_i) begin
        rest_q <= fits ? less[RestW-1:0] : twice[RestW-1:0];
        bits_q <= bits_d;
      end
    end

    logic unused;
    assign unused = ^{twice[SUM_W:RestW], less[SUM_W:RestW]};
  end

  logic [8:0] q;
  assign q     = gen_step[STEPS-1].bits_q;
  assign out_o = (&q[8:1]) ? 8'd255 : q[8:1] + 8'(q[0]);

  logic unused_rest;
  assign unused_rest = ^gen_step[STEPS-1].rest_q;
endmodule
