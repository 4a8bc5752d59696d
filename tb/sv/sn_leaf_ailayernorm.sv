// SPDX-License-Identifier: Apache-2.0
// The arithmetic of AILayerNorm as its page has it (docs/units.md), for proofs over all inputs.

module sn_leaf_compress #(
  parameter int CMP_RANGES = 2
) (
  input logic [8:0] a_i,
  input logic [3:0] y_o,
  input logic [1:0] range_o
);
  logic [31:0] u, y, s;

  always_comb begin
    m_range : assume (a_i != 9'h100);  // x - zp is -255 .. 255
    u = a_i[8] ? 32'd512 - 32'(a_i) : 32'(a_i);
    if (u >= 64) begin
      y = (u + 8) >> 4;
      s = CMP_RANGES - 1;
    end else if (CMP_RANGES == 3 && u < 16) begin
      y = u;
      s = 0;
    end else begin
      y = (u + 2) >> 2;
      s = CMP_RANGES - 2;
    end
    a_equation : assert (32'(y_o) == ((y < 15) ? y : 15) && 32'(range_o) == s);
    r_clipped : assert (y <= 15);
  end
endmodule

bind ailayernorm_compress sn_leaf_compress #(.CMP_RANGES(CMP_RANGES)) u_leaf (.*);
