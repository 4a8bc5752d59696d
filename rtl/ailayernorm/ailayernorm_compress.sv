// SPDX-License-Identifier: Apache-2.0
// DynamicCompress: 4 bits for the magnitude of x - zp, so that its square is a table of 16 entries.
//
//   a_i [9] --> u = |a| --> range --> four leading bits, rounded half up, clipped at 15 --> y_o [4]
//                              +----------------------------------------------------------> range_o
//
//   CMP_RANGES = 2:  u < 64: y = min(15, (u + 2) >> 2), range 0     u is about 4 * y
//                    else    y = min(15, (u + 8) >> 4), range 1     u is about 16 * y
//   CMP_RANGES = 3:  u < 16: y = u, range 0; the others as above, as ranges 1 and 2
//
// SOLE, section 3.3; the third range is this project's. Rounding up from 15 has to clip, at u = 62
// and 63 and from 248 on: as it would wrap, it would make 0 of the largest squares.
//
// A negative a is only inverted: t = |a| - 1. The missing 1 goes into the carry that rounds, where
// it decides nothing but what is one short of a step; an adder of 8 bits is saved. Combinational.

module ailayernorm_compress #(
  parameter int CMP_RANGES = 2
) (
  input  logic [8:0] a_i,  // signed, -255 .. 255
  output logic [3:0] y_o,
  output logic [1:0] range_o
);
  logic       negative, upper, half_upper, half_lower;
  logic [7:0] t;

  assign negative   = a_i[8];
  assign t          = a_i[7:0] ^ {8{negative}};
  assign upper      = t[7:6] != 2'd0 || (negative && t[5:0] == 6'd63);
  assign half_upper = t[3] || (negative && t[2:0] == 3'd7);
  assign half_lower = t[1] || (negative && t[0]);

  logic       half;
  logic [3:0] top;
  assign y_o = (&top) ? top : top + 4'(half);

  if (CMP_RANGES == 2) begin : gen_two
    assign top     = upper ? t[7:4] : t[5:2];
    assign half    = upper ? half_upper : half_lower;
    assign range_o = {1'b0, upper};
  end else begin : gen_three
    logic exact;
    assign exact   = t[7:4] == 4'd0 && !(negative && t[3:0] == 4'd15);
    assign top     = exact ? t[3:0] : upper ? t[7:4] : t[5:2];
    assign half    = exact ? negative : upper ? half_upper : half_lower;
    assign range_o = exact ? 2'd0 : {upper, !upper};
  end
endmodule
