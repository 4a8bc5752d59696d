// SPDX-License-Identifier: Apache-2.0
// Log2Exp at a run-time scale: the code of a difference of logits of any width, for M * 2^-S.
//
//   t    = S <= 16 ? d << (16 - S) : d >> (S - 16)                 M = 128 + mult_i, S = shift_i
//   code = min(top, (M t + 2^15) >> 16)                            top = 15 (EXP_FRAC = 1: 31)
//
//   IN_W > 8:  d_i [IN_W] --> shifter --> t [13 + EXP_FRAC], beyond? --[reg]--> x M --> round --> code_o
//   IN_W = 8:  d_i [8] --> x M --> shifter --> r [5 + EXP_FRAC], beyond? --------------> round --> code_o
//
// From t = 2^(13 + EXP_FRAC) on the code is the top one, so that the shifter puts out the bits below
// and one that tells of any above: the product is one of 8 x 13 (14) bits, whatever IN_W. An int8
// difference is narrower than that, and is multiplied first: up to S = 16 the shifts commute with the
// product, and from 17 on both ways give 0. Below S = 3 - EXP_FRAC each difference but 0 has the top
// code, as it has there.
//
// The product is by radix-4 digits of t, a row for two bits: 0, M, 2 M or 3 M. M is the row's, so that
// 3 M is made once for all lanes: equal logic of equal inputs is one in a netlist.
//
//   t = 1101 = 3, 1:   row[0] = M,  row[1] = 3 M << 2
//
// Half is rounded up: (p + 2^15) >> 16 equals ((p >> 15) + 1) >> 1, so only one bit below the result is
// kept. A wide difference takes a clock: shift_i comes with d_i, mult_i a clock later. One code a clock;
// all holds while en_i is low.

module e2softmax_log2exp_scaled #(
  parameter  int IN_W     = 32,
  parameter  int EXP_FRAC = 0,
  localparam int CODE_W   = 4 + EXP_FRAC
) (
  input  logic              clk_i,
  input  logic              en_i,     // both only where IN_W > 8
  input  logic [IN_W-1:0]   d_i,      // maximum minus element
  input  logic [5:0]        shift_i,  // S
  input  logic [6:0]        mult_i,   // M - 128
  output logic [CODE_W-1:0] code_o
);
  localparam bit Narrow = IN_W == 8;
  localparam int TW     = Narrow ? 8 : 13 + EXP_FRAC;
  localparam int Digits = (TW + 1) / 2;
  localparam int ProdW  = TW + 8;
  localparam int Least  = 3 - EXP_FRAC;  // of S, where IN_W = 8
  localparam int RawW   = CODE_W + 2;    // one bit below the code, it, and one above
  // The shifter: bits in, of which LeftW come out, by up to 2^Steps - 1.
  localparam int Steps  = Narrow ? 4 : 6;
  localparam int ShiftW = Narrow ? ProdW + 1 - Least : 48;  // d << 16: what is left of it after >> S is t
  localparam int LeftW  = Narrow ? CODE_W + 1 : TW;

  logic [TW-1:0]     t;
  logic [7:0]        m;
  logic [9:0]        thrice;
  logic [ProdW-1:0]  product;
  logic [ShiftW-1:0] whole;
  logic [Steps-1:0]  place;
  logic [LeftW-1:0]  left;
  logic              far, beyond;
  logic [RawW-1:0]   raw;
  logic [CODE_W-1:0] rounded;
  logic              saturate;

  if (Narrow) begin : gen_narrow
    logic unused_clk;
    assign unused_clk = ^{clk_i, en_i};
    assign t          = d_i;
    assign m      = (shift_i > 6'd16) ? 8'd0 : {1'b1, mult_i};
    assign place  = (shift_i < 6'(Least)) ? 4'd0 : 4'(shift_i - 6'(Least));
    assign whole  = product[ProdW-1:Least-1];
    assign raw    = {1'b0, left};
    assign beyond = far;
  end else begin : gen_wide
    always_ff @(posedge clk_i) begin
      if (en_i) {beyond, t} <= {far, left};
    end

    assign m     = {1'b1, mult_i};
    assign place = shift_i;
    assign whole = ShiftW'({d_i, 16'b0});
    assign raw   = product[ProdW-1:15];
  end

  // ------------------------------------------------------------------------------------- the product
  // The carries are written out: `+` is mapped to adders that look ahead, which are larger.
  logic [2*Digits-1:0]   bits;
  logic [Digits-1:0][9:0] row;  // at most 3 M
  assign thrice = 10'(m) + {1'b0, m, 1'b0};
  assign bits   = (2 * Digits)'(t);
  for (genvar n = 0; n < Digits; n++) begin : gen_row
    assign row[n] = bits[2*n+1] ? (bits[2*n] ? thrice : {1'b0, m, 1'b0}) :
                                  {2'b0, m & {8{bits[2*n]}}};
  end

  if (Narrow) begin : gen_chain
    // The two lowest bits of a sum are done, the others go on to the next digit.
    for (genvar n = 0; n < Digits; n++) begin : gen_digit
      logic [9:0] sum;  // at most 4 M
      if (n == 0) begin : gen_first
        assign sum = row[0];
      end else begin : gen_next
        logic [9:0] prev;
        assign prev = {2'b0, gen_digit[n-1].sum[9:2]};
        always_comb begin
          logic carry;
          carry = 1'b0;
          for (int j = 0; j < 10; j++) begin
            sum[j] = row[n][j] ^ prev[j] ^ carry;
            carry  = (row[n][j] ^ prev[j]) ? carry : prev[j];
          end
        end
      end
      assign product[2*n+:2] = sum[1:0];
    end
    if (ProdW > 2 * Digits) begin : gen_top
      assign product[ProdW-1:2*Digits] = (ProdW - 2 * Digits)'(gen_digit[Digits-1].sum[9:2]);
    end
  end else begin : gen_tree
    // Pairs of rows, pairs of these: a chain of all digits would be longer than a clock. Each sum takes
    // the next two words and goes behind the last.
    for (genvar k = 0; k < 2 * Digits - 1; k++) begin : gen_word
      logic [ProdW-1:0] word;
      if (k < Digits) begin : gen_leaf
        assign word = ProdW'((ProdW + 10)'(row[k]) << (2 * k));
      end else begin : gen_sum
        logic [ProdW-1:0] a, b;
        assign a = gen_word[2*(k-Digits)].word;
        assign b = gen_word[2*(k-Digits)+1].word;
        always_comb begin
          logic carry;
          carry = 1'b0;
          for (int j = 0; j < ProdW; j++) begin
            word[j] = a[j] ^ b[j] ^ carry;
            carry   = (a[j] ^ b[j]) ? carry : b[j];
          end
        end
      end
    end
    assign product = gen_word[2*Digits-2].word;
  end

  // ------------------------------------------------------------------------------------- the shifter
  // The largest step first. What no later step brings back is known to be beyond what comes out.
  for (genvar n = 0; n < Steps; n++) begin : gen_step
    localparam int                Step = 1 << (Steps - 1 - n);
    localparam int                Over = (ShiftW > LeftW - 1 + Step) ? ShiftW - (LeftW - 1 + Step) : 0;
    localparam logic [ShiftW-1:0] Kept = {ShiftW{1'b1}} >> Over;
    logic [ShiftW-1:0] prev, shifted, rest;
    logic              far_prev, far_here;
    if (n == 0) begin : gen_first
      assign prev     = whole;
      assign far_prev = 1'b0;
    end else begin : gen_next
      assign prev     = gen_step[n-1].rest;
      assign far_prev = gen_step[n-1].far_here;
    end
    assign shifted  = place[Steps-1-n] ? prev >> Step : prev;
    assign rest     = shifted & Kept;
    assign far_here = far_prev || (shifted & ~Kept) != '0;
  end
  assign left = gen_step[Steps-1].rest[LeftW-1:0];
  assign far  = gen_step[Steps-1].far_here;

  // -------------------------------------------------------------------------------------- the result
  assign rounded  = raw[CODE_W:1] + CODE_W'(raw[0]);
  // The largest raw value below the cut would round up past the last code.
  assign saturate = beyond || raw[RawW-1] || (&raw[CODE_W:0]);
  assign code_o   = saturate ? '1 : rounded;

  logic unused;
  assign unused = ^{gen_step[Steps-1].rest[ShiftW-1:LeftW], product};
endmodule
