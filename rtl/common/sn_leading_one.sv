// SPDX-License-Identifier: Apache-2.0
// Position of the leading one of a number, and the FRAC bits that follow it.
//
//   data_i = 0 .. 0 1 f f . . .      pos_o = i,  frac_o = f f        (FRAC = 2)
//                   ^ bit i + FRAC
//
// The FRAC low bits of data_i are only ever fraction: the leading one is searched above them, so
// pos_o counts from bit FRAC. No one found: pos_o = 0 and frac_o = 0. Combinational.

module sn_leading_one #(
  parameter  int W    = 11,  // places searched
  parameter  int FRAC = 1,   // bits taken after the leading one, at least 1
  localparam int PW   = (W > 1) ? $clog2(W) : 1
) (
  input  logic [W+FRAC-1:0] data_i,
  output logic [PW-1:0]     pos_o,
  output logic [FRAC-1:0]   frac_o
);
  // Ascending, so that the highest one wins.
  always_comb begin
    pos_o  = '0;
    frac_o = '0;
    for (int i = 0; i < W; i++) begin
      if (data_i[i+FRAC]) begin
        pos_o  = PW'(i);
        frac_o = data_i[i+:FRAC];
      end
    end
  end
endmodule
