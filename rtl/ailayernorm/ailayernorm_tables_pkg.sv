// SPDX-License-Identifier: Apache-2.0
// Constant tables of ailayernorm: made by `make generate` from models/ailayernorm.py.

package ailayernorm_tables_pkg;

  // y * y: 16 entries of 8 bits.
  function automatic logic [7:0] square(input logic [3:0] i);
    case (i)
      4'd0: square = 8'd0;
      4'd1: square = 8'd1;
      4'd2: square = 8'd4;
      4'd3: square = 8'd9;
      4'd4: square = 8'd16;
      4'd5: square = 8'd25;
      4'd6: square = 8'd36;
      4'd7: square = 8'd49;
      4'd8: square = 8'd64;
      4'd9: square = 8'd81;
      4'd10: square = 8'd100;
      4'd11: square = 8'd121;
      4'd12: square = 8'd144;
      4'd13: square = 8'd169;
      4'd14: square = 8'd196;
      default: square = 8'd225;
    endcase
  endfunction

  // round(2^10 / sqrt((v + 0.5)/32)), v = i + 32: 96 entries of 10 bits.
  function automatic logic [9:0] rsqrt(input logic [6:0] i);
    case (i)
      7'd0: rsqrt = 10'd1016;
      7'd1: rsqrt = 10'd1001;
      7'd2: rsqrt = 10'd986;
      7'd3: rsqrt = 10'd972;
      7'd4: rsqrt = 10'd959;
      7'd5: rsqrt = 10'd946;
      7'd6: rsqrt = 10'd934;
      7'd7: rsqrt = 10'd922;
      7'd8: rsqrt = 10'd910;
      7'd9: rsqrt = 10'd899;
      7'd10: rsqrt = 10'd889;
      7'd11: rsqrt = 10'd878;
      7'd12: rsqrt = 10'd868;
      7'd13: rsqrt = 10'd859;
      7'd14: rsqrt = 10'd849;
      7'd15: rsqrt = 10'd840;
      7'd16: rsqrt = 10'd832;
      7'd17: rsqrt = 10'd823;
      7'd18: rsqrt = 10'd815;
      7'd19: rsqrt = 10'd807;
      7'd20: rsqrt = 10'd799;
      7'd21: rsqrt = 10'd792;
      7'd22: rsqrt = 10'd785;
      7'd23: rsqrt = 10'd778;
      7'd24: rsqrt = 10'd771;
      7'd25: rsqrt = 10'd764;
      7'd26: rsqrt = 10'd757;
      7'd27: rsqrt = 10'd751;
      7'd28: rsqrt = 10'd745;
      7'd29: rsqrt = 10'd739;
      7'd30: rsqrt = 10'd733;
      7'd31: rsqrt = 10'd727;
      7'd32: rsqrt = 10'd721;
      7'd33: rsqrt = 10'd716;
      7'd34: rsqrt = 10'd710;
      7'd35: rsqrt = 10'd705;
      7'd36: rsqrt = 10'd700;
      7'd37: rsqrt = 10'd695;
      7'd38: rsqrt = 10'd690;
      7'd39: rsqrt = 10'd685;
      7'd40: rsqrt = 10'd680;
      7'd41: rsqrt = 10'd676;
      7'd42: rsqrt = 10'd671;
      7'd43: rsqrt = 10'd667;
      7'd44: rsqrt = 10'd662;
      7'd45: rsqrt = 10'd658;
      7'd46: rsqrt = 10'd654;
      7'd47: rsqrt = 10'd650;
      7'd48: rsqrt = 10'd646;
      7'd49: rsqrt = 10'd642;
      7'd50: rsqrt = 10'd638;
      7'd51: rsqrt = 10'd634;
      7'd52: rsqrt = 10'd630;
      7'd53: rsqrt = 10'd626;
      7'd54: rsqrt = 10'd623;
      7'd55: rsqrt = 10'd619;
      7'd56: rsqrt = 10'd616;
      7'd57: rsqrt = 10'd612;
      7'd58: rsqrt = 10'd609;
      7'd59: rsqrt = 10'd606;
      7'd60: rsqrt = 10'd602;
      7'd61: rsqrt = 10'd599;
      7'd62: rsqrt = 10'd596;
      7'd63: rsqrt = 10'd593;
      7'd64: rsqrt = 10'd590;
      7'd65: rsqrt = 10'd587;
      7'd66: rsqrt = 10'd584;
      7'd67: rsqrt = 10'd581;
      7'd68: rsqrt = 10'd578;
      7'd69: rsqrt = 10'd575;
      7'd70: rsqrt = 10'd572;
      7'd71: rsqrt = 10'd569;
      7'd72: rsqrt = 10'd567;
      7'd73: rsqrt = 10'd564;
      7'd74: rsqrt = 10'd561;
      7'd75: rsqrt = 10'd559;
      7'd76: rsqrt = 10'd556;
      7'd77: rsqrt = 10'd554;
      7'd78: rsqrt = 10'd551;
      7'd79: rsqrt = 10'd549;
      7'd80: rsqrt = 10'd546;
      7'd81: rsqrt = 10'd544;
      7'd82: rsqrt = 10'd541;
      7'd83: rsqrt = 10'd539;
      7'd84: rsqrt = 10'd537;
      7'd85: rsqrt = 10'd534;
      7'd86: rsqrt = 10'd532;
      7'd87: rsqrt = 10'd530;
      7'd88: rsqrt = 10'd528;
      7'd89: rsqrt = 10'd526;
      7'd90: rsqrt = 10'd523;
      7'd91: rsqrt = 10'd521;
      7'd92: rsqrt = 10'd519;
      7'd93: rsqrt = 10'd517;
      7'd94: rsqrt = 10'd515;
      default: rsqrt = 10'd513;
    endcase
  endfunction

endpackage
