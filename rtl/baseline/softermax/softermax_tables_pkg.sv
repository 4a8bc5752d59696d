// SPDX-License-Identifier: Apache-2.0
// Constant tables of softermax: made by `make generate` from models/softermax.py.

package softermax_tables_pkg;

  // POW2[f] = round(2^15 2^(f/4)): 4 entries of 16 bits.
  function automatic logic [15:0] pow2(input logic [1:0] i);
    case (i)
      2'd0: pow2 = 16'd32768;
      2'd1: pow2 = 16'd38968;
      2'd2: pow2 = 16'd46341;
      default: pow2 = 16'd55109;
    endcase
  endfunction

  // C[j], of the line for 1/v over segment j, by 2^-15: 8 entries of 15 bits.
  function automatic logic [14:0] intercept(input logic [2:0] i);
    case (i)
      3'd0: intercept = 15'd32658;
      3'd1: intercept = 15'd29043;
      3'd2: intercept = 15'd26149;
      3'd3: intercept = 15'd23779;
      3'd4: intercept = 15'd21802;
      3'd5: intercept = 15'd20129;
      3'd6: intercept = 15'd18694;
      default: intercept = 15'd17450;
    endcase
  endfunction

  // M[j], how much it falls at each 2^-8, by 2^-15: 8 entries of 7 bits.
  function automatic logic [6:0] slope(input logic [2:0] i);
    case (i)
      3'd0: slope = 7'd114;
      3'd1: slope = 7'd91;
      3'd2: slope = 7'd74;
      3'd3: slope = 7'd62;
      3'd4: slope = 7'd53;
      3'd5: slope = 7'd45;
      3'd6: slope = 7'd39;
      default: slope = 7'd34;
    endcase
  endfunction

endpackage
