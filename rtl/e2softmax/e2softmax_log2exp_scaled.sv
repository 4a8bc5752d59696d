// SPDX-License-Identifier: Apache-2.0
// Log2Exp at a run-time scale: the code of a difference of logits of any width, for M * 2^-S.
//
//   t    = S <= 16 ? d << (16 - S) : d >> (S - 16)                 M = 128 + mult_i, S = shift_i
//   code = min(top, (M t + 2^15) >> 16)                            top = 15 (EXP_FRAC = 1: 31)
//
//   IN_W > 8:  d_i [IN_W] --> shifter --> t [13 + EXP_FRAC], beyond? --[STAGES]--> x M --> round --> code_o
//   IN_W = 8:  d_i [8] -----------------------------------------> x M --> >> S --> round --> code_o
//
// From t = 2^(13 + EXP_FRAC) on the code is the top one, so that the shifter puts out the bits below
// and one that tells of any above: the product is one of 8 x 13 (14) bits, whatever IN_W. An int8
// difference is narrower than that, and is multiplied first: up to S = 16 the shifts commute with the
// product, and from 17 on both ways give 0.
//
// Half is rounded up: (p + 2^15) >> 16 equals ((p >> 15) + 1) >> 1, so only one bit below the result is
// kept. STAGES registers lie between shifter and product: shift_i comes with d_i, mult_i STAGES clocks
// later. One code a clock; nothing stalls.

module e2softmax_log2exp_scaled #(
  parameter  int IN_W     = 32,
  parameter  int EXP_FRAC = 0,
  parameter  int STAGES   = 0,
  localparam int CODE_W   = 4 + EXP_FRAC
) (
  input  logic              clk_i,
  input  logic [IN_W-1:0]   d_i,      // maximum minus element
  input  logic [5:0]        shift_i,  // S
  input  logic [6:0]        mult_i,   // M - 128
  output logic [CODE_W-1:0] code_o
);
  // raw: one bit below the code, the code, and what is above it.
  localparam int RawW = (IN_W == 8) ? 17 : 6 + EXP_FRAC;

  logic [RawW-1:0]   raw;
  logic              beyond;
  logic [CODE_W-1:0] rounded;
  logic              saturate;

  if (IN_W == 8) begin : gen_narrow
    logic [7:0]  d;
    logic [15:0] product;

    sn_pipe #(
      .W     (8),
      .STAGES(STAGES)
    ) u_d (
      .clk_i,
      .en_i  (1'b1),
      .data_i(d_i),
      .data_o(d)
    );

    assign product = 16'(d) * {8'b0, 1'b1, mult_i};
    assign raw     = {product, 1'b0} >> shift_i;
    assign beyond  = 1'b0;
  end else begin : gen_wide
    localparam int TW    = 13 + EXP_FRAC;
    localparam int WideW = 48;  // d << 16: what is left of it after >> S is t

    logic [TW-1:0] t;
    logic [TW+7:0] product;

    // The largest step first. What no later step brings back into t is known to be beyond it.
    for (genvar n = 0; n < 6; n++) begin : gen_step
      localparam int               Step = 1 << (5 - n);
      localparam int               Over = (WideW > TW - 1 + Step) ? WideW - (TW - 1 + Step) : 0;
      localparam logic [WideW-1:0] Kept = {WideW{1'b1}} >> Over;
      logic [WideW-1:0] prev, shifted, left;
      logic             far_prev, far;
      if (n == 0) begin : gen_first
        assign prev     = WideW'({d_i, 16'b0});
        assign far_prev = 1'b0;
      end else begin : gen_next
        assign prev     = gen_step[n-1].left;
        assign far_prev = gen_step[n-1].far;
      end
      assign shifted = shift_i[5-n] ? prev >> Step : prev;
      assign left    = shifted & Kept;
      assign far     = far_prev || (shifted & ~Kept) != '0;
    end

    sn_pipe #(
      .W     (1 + TW),
      .STAGES(STAGES)
    ) u_t (
      .clk_i,
      .en_i  (1'b1),
      .data_i({gen_step[5].far, gen_step[5].left[TW-1:0]}),
      .data_o({beyond, t})
    );

    assign product = (TW + 8)'(t) * (TW + 8)'({1'b1, mult_i});
    assign raw     = product[TW+7:15];

    logic unused;
    assign unused = ^{gen_step[5].left[WideW-1:TW], product[14:0]};
  end

  assign rounded  = raw[CODE_W:1] + CODE_W'(raw[0]);
  // The largest raw value below the cut would round up past the last code.
  assign saturate = beyond || (raw[RawW-1:CODE_W+1] != '0) || (&raw[CODE_W:0]);
  assign code_o   = saturate ? '1 : rounded;
endmodule
