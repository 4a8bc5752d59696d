// SPDX-License-Identifier: Apache-2.0
// Log2Exp: the negated base-2 logarithm of exp(-d * 2^-F), rounded to a short code.
//
//   EXP_FRAC = 0:  code = min(15, (23 d + 2^(F+3)) >> (F+4))     octaves, 4 bits
//   EXP_FRAC = 1:  code = min(31, (23 d + 2^(F+2)) >> (F+3))     half octaves, 5 bits
//
//   d_i [8] --> x23, drop 3 - EXP_FRAC --> >> F --[r]--> (r + 1) >> 1, saturated --> code_o
//
/// 23/16 = 1.4375 stands for 1/ln 2 (SOLE, section 3.2): two adders in place of a multiplier. Half is
/// rounded up: (p + 2^(s-1)) >> s equals ((p >> (s-1)) + 1) >> 1, so only one bit below the result is
/// kept. The bits that every F drops are not even made: 23 d = 24 d - d, and with s = 3 - EXP_FRAC
///   23 d >> s = (24 >> s) d - ceil(d / 2^s),   -ceil(d / 2^s) = ~(d >> s) + (d mod 2^s == 0)
/// Combinational; no latency.

module e2softmax_log2exp #(
  parameter  int EXP_FRAC = 0,
  localparam int CODE_W   = 4 + EXP_FRAC
) (
  input  logic [7:0]        d_i,     // maximum minus element, 0 .. 255
  input  logic [2:0]        frac_i,  // F: fraction bits of the logits
  output logic [CODE_W-1:0] code_o
);
  localparam int RawW = 10 + EXP_FRAC;
  localparam int Low  = 3 - EXP_FRAC;

  logic [RawW-1:0]   d, high;  // high: d >> Low
  logic [RawW-1:0]   product;  // 23 d, without its Low low bits
  logic [RawW-1:0]   raw;      // one bit below the code is kept
  logic [CODE_W-1:0] rounded;
  logic              saturate;

  assign d        = RawW'(d_i);
  assign high     = RawW'(d_i[7:Low]);
  assign product  = (d << (1 + EXP_FRAC)) + (d << EXP_FRAC) + ~high + RawW'(d_i[Low-1:0] == '0);
  assign raw      = product >> frac_i;
  assign rounded  = raw[CODE_W:1] + CODE_W'(raw[0]);
  // The largest raw value below the cut would round up past the last code.
  assign saturate = (raw[RawW-1:CODE_W+1] != '0) || (&raw[CODE_W:0]);
  assign code_o   = saturate ? '1 : rounded;
endmodule
