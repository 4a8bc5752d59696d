// SPDX-License-Identifier: Apache-2.0
// The arithmetic of E2Softmax as its page has it (docs/units.md), for proofs over all inputs.

module sn_leaf_log2exp #(
  parameter int EXP_FRAC = 0
) (
  input logic [7:0]          d_i,
  input logic [2:0]          frac_i,
  input logic [3+EXP_FRAC:0] code_o
);
  localparam int Top = (EXP_FRAC == 0) ? 15 : 31;
  logic [31:0] sum, shift, quotient;

  always_comb begin
    shift    = 32'(frac_i) + 32'd4 - EXP_FRAC;
    sum      = 32'd23 * d_i + (32'd1 << (shift - 1));
    quotient = sum >> shift;
    a_equation : assert (32'(code_o) == ((quotient < Top) ? quotient : Top));
    r_top : assert (code_o != Top);
  end
endmodule

bind e2softmax_log2exp sn_leaf_log2exp #(.EXP_FRAC(EXP_FRAC)) u_leaf (.*);
