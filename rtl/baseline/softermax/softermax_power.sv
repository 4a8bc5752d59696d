// SPDX-License-Identifier: Apache-2.0
// Softermax's power of two: an element's numerator, from its distance to a whole maximum.
//
//   key [8] --+-- fraction [2] --> POW2 [16] --> >> k --> p_o [16]
//             +-- whole [6] --> max_i - whole ---^
//
//   p = POW2[x & 3] >> (m - (x >> 2)),  POW2[f] = round(2^15 * 2^(f/4)),  0 where not active
//
// x comes as its key x + 128 and the maximum as m + 32, both unsigned. m is at least the ceiling of x / 4,
// so p is at most 2^15. Combinational.

module softermax_power (
  input  logic [6:0]  max_i,     // m + 32, 0 .. 64
  input  logic [7:0]  key_i,     // x + 128
  input  logic        active_i,
  output logic [15:0] p_o        // Q(1,15)
);
  logic [6:0] k;

  assign k   = max_i - {1'b0, key_i[7:2]};
  assign p_o = active_i ? softermax_tables_pkg::pow2(key_i[1:0]) >> k : 16'd0;
endmodule
