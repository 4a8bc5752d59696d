// SPDX-License-Identifier: Apache-2.0
// DynamicCompress: 4 bits for the 8 bits of a magnitude, so that its square is a table of 16 entries.
//
//   u_i [8] --> range --> four leading bits, rounded half up, clipped at 15 --> y_o [4]
//                    +--------------------------------------------------------> range_o
//
//   CMP_RANGES = 2:  u < 64: y = min(15, (u + 2) >> 2), range 0     u is about 4 * y
//                    else    y = min(15, (u + 8) >> 4), range 1     u is about 16 * y
//   CMP_RANGES = 3:  u < 16: y = u, range 0; the others as above, as ranges 1 and 2
//
/// SOLE, section 3.3; the third range is this project's. Rounding up from 15 has to clip, at u = 62
/// and 63 and from 248 on: as it would wrap, it would make 0 of the largest squares. Combinational.

module ailayernorm_compress #(
  parameter int CMP_RANGES = 2
) (
  input  logic [7:0] u_i,
  output logic [3:0] y_o,
  output logic [1:0] range_o
);
  logic       upper, half;
  logic [3:0] top, rounded;

  assign upper   = u_i[7:6] != 2'd0;
  assign top     = upper ? u_i[7:4] : u_i[5:2];
  assign half    = upper ? u_i[3] : u_i[1];
  assign rounded = (&top) ? top : top + 4'(half);

  if (CMP_RANGES == 2) begin : gen_two
    assign y_o     = rounded;
    assign range_o = {1'b0, upper};
    logic unused;
    assign unused = ^{u_i[2], u_i[0]};
  end else begin : gen_three
    logic exact;
    assign exact   = u_i[7:4] == 4'd0;
    assign y_o     = exact ? u_i[3:0] : rounded;
    assign range_o = exact ? 2'd0 : {upper, !upper};
  end
endmodule
