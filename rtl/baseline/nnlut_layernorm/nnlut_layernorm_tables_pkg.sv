// SPDX-License-Identifier: Apache-2.0
// Constant tables of nnlut_layernorm: made by `make generate` from models/nnlut_layernorm.py.

package nnlut_layernorm_tables_pkg;

  // b[i + 1] = round(2^14 * 4^((i + 1)/16)): 15 entries of 16 bits.
  function automatic logic [15:0] place(input logic [3:0] i);
    case (i)
      4'd0: place = 16'd17867;
      4'd1: place = 16'd19484;
      4'd2: place = 16'd21247;
      4'd3: place = 16'd23170;
      4'd4: place = 16'd25268;
      4'd5: place = 16'd27554;
      4'd6: place = 16'd30048;
      4'd7: place = 16'd32768;
      4'd8: place = 16'd35734;
      4'd9: place = 16'd38968;
      4'd10: place = 16'd42495;
      4'd11: place = 16'd46341;
      4'd12: place = 16'd50535;
      4'd13: place = 16'd55109;
      default: place = 16'd60097;
    endcase
  endfunction

  // S[i], the line's slope downwards, 16 fraction bits: 16 entries of 15 bits.
  function automatic logic [14:0] slope(input logic [3:0] i);
    case (i)
      4'd0: slope = 15'd30699;
      4'd1: slope = 15'd26958;
      4'd2: slope = 15'd23673;
      4'd3: slope = 15'd20788;
      4'd4: slope = 15'd18254;
      4'd5: slope = 15'd16029;
      4'd6: slope = 15'd14076;
      4'd7: slope = 15'd12360;
      4'd8: slope = 15'd10854;
      4'd9: slope = 15'd9531;
      4'd10: slope = 15'd8369;
      4'd11: slope = 15'd7349;
      4'd12: slope = 15'd6454;
      4'd13: slope = 15'd5667;
      4'd14: slope = 15'd4976;
      default: slope = 15'd4370;
    endcase
  endfunction

  // T[i], the line's intercept, 16 fraction bits: 16 entries of 17 bits.
  function automatic logic [16:0] intercept(input logic [3:0] i);
    case (i)
      4'd0: intercept = 17'd96212;
      4'd1: intercept = 17'd92133;
      4'd2: intercept = 17'd88228;
      4'd3: intercept = 17'd84488;
      4'd4: intercept = 17'd80905;
      4'd5: intercept = 17'd77475;
      4'd6: intercept = 17'd74191;
      4'd7: intercept = 17'd71045;
      4'd8: intercept = 17'd68032;
      4'd9: intercept = 17'd65148;
      4'd10: intercept = 17'd62386;
      4'd11: intercept = 17'd59741;
      4'd12: intercept = 17'd57208;
      4'd13: intercept = 17'd54783;
      4'd14: intercept = 17'd52460;
      default: intercept = 17'd50236;
    endcase
  endfunction

endpackage
