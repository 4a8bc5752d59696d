// SPDX-License-Identifier: Apache-2.0
// Log2Exp: the negated base-2 logarithm of exp(-d * 2^-F), rounded to a short code.
//
//   EXP_FRAC = 0:  code = min(15, (23 d + 2^(F+3)) >> (F+4))     octaves, 4 bits
//   EXP_FRAC = 1:  code = min(31, (23 d + 2^(F+2)) >> (F+3))     half octaves, 5 bits
//
//   d_i [8] --> x23 --[13]--> drop 3 - EXP_FRAC --> >> F --[r]--> (r + 1) >> 1, saturated --> code_o
//
// 23/16 = 1.4375 stands for 1/ln 2 (SOLE, section 3.2): two adders in place of a multiplier. Half is
// rounded up: (p + 2^(s-1)) >> s equals ((p >> (s-1)) + 1) >> 1, so only one bit below the result is
// kept.
//
// FRAC >= 0, F fixed: a table of the distances below the first that has the last code; it is less than half
// of the adders. Combinational; no latency.

module e2softmax_log2exp #(
  parameter  int EXP_FRAC = 0,
  parameter  int FRAC     = -1,
  localparam int CODE_W   = 4 + EXP_FRAC
) (
  input  logic [7:0]        d_i,     // maximum minus element, 0 .. 255
  input  logic [2:0]        frac_i,  // F: fraction bits of the logits; ignored with FRAC >= 0
  output logic [CODE_W-1:0] code_o
);
  localparam int Half   = 1 << (((FRAC < 0) ? 0 : FRAC) + 3 - EXP_FRAC);
  localparam int Last   = (1 << CODE_W) - 1;
  localparam int Far    = ((2 * Last - 1) * Half + 22) / 23;  // from here on it is the last code
  localparam int AddrW  = (Far < 256) ? $clog2(Far) : 8;
  localparam int TableW = CODE_W << AddrW;

  function automatic logic [TableW-1:0] codes(input int half);
    for (int d = 0; d < (1 << AddrW); d++) begin
      codes[d*CODE_W+:CODE_W] = (d < Far) ? CODE_W'((23 * d + half) / (2 * half)) : CODE_W'(Last);
    end
  endfunction

  if (FRAC < 0) begin : gen_any
    localparam int RawW = 10 + EXP_FRAC;

    logic [12:0]       product;
    logic [RawW-1:0]   raw;  // one bit below the code is kept
    logic [CODE_W-1:0] rounded;
    logic              saturate;

    // 23 d = 16 d + 8 d - d
    assign product  = {1'b0, d_i, 4'b0} + {2'b0, d_i, 3'b0} - {5'b0, d_i};
    assign raw      = RawW'(product >> (3 - EXP_FRAC)) >> frac_i;
    assign rounded  = raw[CODE_W:1] + CODE_W'(raw[0]);
    // The largest raw value below the cut would round up past the last code.
    assign saturate = (raw[RawW-1:CODE_W+1] != '0) || (&raw[CODE_W:0]);
    assign code_o   = saturate ? '1 : rounded;
  end else begin : gen_table
    localparam logic [TableW-1:0] Codes = codes(Half);

    logic unused;
    assign code_o = ((d_i >> AddrW) != '0) ? '1 : Codes[d_i[AddrW-1:0]*CODE_W+:CODE_W];
    assign unused = ^frac_i;
  end
endmodule
