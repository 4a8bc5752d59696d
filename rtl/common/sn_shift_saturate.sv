// SPDX-License-Identifier: Apache-2.0
// Logarithmic right shifter of a signed number, with saturation, and the bit that rounds.
//
//   num_i << (LEFT + 1) --> >> 2^(SH_W-1) --> .. --> >> 2 --> >> 1 --> OUT_W bits and half_o
//                                sh_i[SH_W-1]      sh_i[1]  sh_i[0]
//
//   q = floor(num_i * 2^LEFT / 2^sh_i),  q + half_o = rnd(num_i * 2^LEFT / 2^sh_i)
//   over_o: q does not fit;  out_o = sat(q);  low_o = q's low bits, which are there a multiplexer earlier
//
// Largest step first. Before the step by 2^s at most 2^(s+1) - 1 more bits can be shifted out, so only
// OUT_W + 2^(s+1) bits are kept: the quotient, half_o and those. If a step does not shift, the bits that
// it drops above must all be the sign; otherwise the quotient does not fit (over[s]).
// LEFT makes a left shift possible: sh_i is the shift plus LEFT. Combinational.
//
// OUT_W = 3, SH_W = 2, LEFT = 0, num_i = 22 = 010110:
//
//   sh_i   bits kept     >> 2           >> 1
//   3      0101100       01011 | 00     0101 | 1     out_o = 010 = 2, half_o = 1: 22/8 rounds to 3
//   1      0101100       01 | 01100     over[1]: 01 and the 0 below are not all the sign; 11 saturates to 3

module sn_shift_saturate #(
  parameter int W     = 24,  // W + LEFT < OUT_W + 2^SH_W
  parameter int SH_W  = 5,
  parameter int LEFT  = 7,
  parameter int OUT_W = 9
) (
  input  logic [W-1:0]     num_i,  // signed
  input  logic [SH_W-1:0]  sh_i,
  output logic [OUT_W-1:0] out_o,  // signed
  output logic [OUT_W-1:0] low_o,
  output logic             over_o,
  output logic             half_o
);
  logic            sign;
  logic [SH_W-1:0] over;
  assign sign = num_i[W-1];

  for (genvar s = SH_W; s >= 0; s--) begin : gen_shift
    logic [OUT_W+2**s-1:0] d;
    if (s == SH_W) begin : gen_first
      assign d = (OUT_W + 2 ** s)'($signed({num_i, (LEFT + 1)'(0)}));
    end else begin : gen_next
      localparam int Top = OUT_W + 2 ** s - 1;  // highest bit kept
      assign d       = sh_i[s] ? gen_shift[s+1].d[Top+2**s:2**s] : gen_shift[s+1].d[Top:0];
      assign over[s] = !sh_i[s] && gen_shift[s+1].d[Top+2**s:Top] != {(2 ** s + 1) {sign}};
    end
  end

  assign half_o = gen_shift[0].d[0];
  assign low_o  = gen_shift[0].d[OUT_W:1];
  assign over_o = over != '0;
  assign out_o  = over_o ? {sign, {(OUT_W - 1) {!sign}}} : low_o;
endmodule
