// SPDX-License-Identifier: Apache-2.0
// Constant tables of e2softmax: made by `make generate` from models/e2softmax.py.

package e2softmax_tables_pkg;

  // DIV_C[j] for DIV_BITS = 1: 1/(1 + s) over bin j of s, by 2^-8: 2 entries of 8 bits.
  function automatic logic [7:0] div_c1(input logic [0:0] i);
    case (i)
      1'd0: div_c1 = 8'd209;
      default: div_c1 = 8'd145;
    endcase
  endfunction

  // DIV_C[j] for DIV_BITS = 2: 1/(1 + s) over bin j of s, by 2^-8: 4 entries of 8 bits.
  function automatic logic [7:0] div_c2(input logic [1:0] i);
    case (i)
      2'd0: div_c2 = 8'd228;
      2'd1: div_c2 = 8'd187;
      2'd2: div_c2 = 8'd158;
      default: div_c2 = 8'd137;
    endcase
  endfunction

  // DIV_C[j] for DIV_BITS = 3: 1/(1 + s) over bin j of s, by 2^-8: 8 entries of 8 bits.
  function automatic logic [7:0] div_c3(input logic [2:0] i);
    case (i)
      3'd0: div_c3 = 8'd241;
      3'd1: div_c3 = 8'd216;
      3'd2: div_c3 = 8'd195;
      3'd3: div_c3 = 8'd178;
      3'd4: div_c3 = 8'd164;
      3'd5: div_c3 = 8'd152;
      3'd6: div_c3 = 8'd141;
      default: div_c3 = 8'd132;
    endcase
  endfunction

  // DIV_C[j] for DIV_BITS = 4: 1/(1 + s) over bin j of s, by 2^-8: 16 entries of 8 bits.
  function automatic logic [7:0] div_c4(input logic [3:0] i);
    case (i)
      4'd0: div_c4 = 8'd248;
      4'd1: div_c4 = 8'd234;
      4'd2: div_c4 = 8'd221;
      4'd3: div_c4 = 8'd210;
      4'd4: div_c4 = 8'd200;
      4'd5: div_c4 = 8'd191;
      4'd6: div_c4 = 8'd182;
      4'd7: div_c4 = 8'd174;
      4'd8: div_c4 = 8'd167;
      4'd9: div_c4 = 8'd161;
      4'd10: div_c4 = 8'd155;
      4'd11: div_c4 = 8'd149;
      4'd12: div_c4 = 8'd144;
      4'd13: div_c4 = 8'd139;
      4'd14: div_c4 = 8'd134;
      default: div_c4 = 8'd130;
    endcase
  endfunction

endpackage
