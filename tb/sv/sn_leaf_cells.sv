// SPDX-License-Identifier: Apache-2.0
// Combinational cells that units share, as their headers' equations have them, for proofs over all inputs.

module sn_leaf_max #(
  parameter int W = 8
) (
  input logic         a_on_i,
  input logic         b_on_i,
  input logic [W-1:0] a_i,
  input logic [W-1:0] b_i,
  input logic [W-1:0] max_o
);
  logic [W-1:0] a, b;
  always_comb begin
    a = a_on_i ? a_i : '0;
    b = b_on_i ? b_i : '0;
    a_equation : assert (max_o == ((a > b) ? a : b));
    r_second : assert (max_o == a_i);
  end
endmodule

module sn_leaf_leading_one #(
  parameter  int W    = 11,
  parameter  int FRAC = 1,
  localparam int PW   = (W > 1) ? $clog2(W) : 1
) (
  input logic [W+FRAC-1:0] data_i,
  input logic [PW-1:0]     pos_o,
  input logic [FRAC-1:0]   frac_o
);
  logic [W+FRAC-1:0] places;
  always_comb begin
    places = data_i >> FRAC;
    // 2^pos <= places < 2^(pos + 1), and the fraction is what stands below that one.
    a_found : assert (places == 0 || (places >> pos_o) == 1);
    a_fraction : assert (places == 0 || frac_o == FRAC'(data_i >> pos_o));
    a_none : assert (places != 0 || pos_o == 0 && frac_o == 0);
    r_top : assert (32'(pos_o) != W - 1);
  end
endmodule

module sn_leaf_shift_saturate #(
  parameter int W     = 24,
  parameter int SH_W  = 5,
  parameter int LEFT  = 7,
  parameter int OUT_W = 9
) (
  input logic [W-1:0]     num_i,
  input logic [SH_W-1:0]  sh_i,
  input logic [OUT_W-1:0] out_o,
  input logic [OUT_W-1:0] low_o,
  input logic             over_o,
  input logic             half_o
);
  localparam int Wide = W + LEFT + 2;
  logic signed [Wide-1:0] doubled, q, most;
  logic                   fits;
  always_comb begin
    doubled = (Wide'($signed(num_i)) <<< (LEFT + 1)) >>> sh_i;  // twice the quotient, floored
    q       = doubled >>> 1;
    most    = Wide'(2 ** (OUT_W - 1) - 1);
    fits    = q <= most && q >= -most - 1;
    a_over : assert (over_o == !fits);
    a_quotient : assert (Wide'($signed(out_o)) == (fits ? q : (q < 0) ? -most - 1 : most));
    a_low : assert (!fits || Wide'($signed(low_o)) == q);
    a_half : assert (half_o == doubled[0]);
    r_over : assert (!over_o);
  end
endmodule

// The rows of a Booth product, their digits and their sum: row n is worth digit_n b 4^n, the digits are
// worth a, and so the sum is worth a b + ADD.
module sn_leaf_multiply #(
  parameter  int A_W  = 8,
  parameter  int B_W  = 8,
  parameter  int ADD  = 0,
  localparam int Rows = (A_W + 1) / 2,
  localparam int W    = A_W + B_W
) (
  input logic [A_W-1:0]         a_i,
  input logic [B_W-1:0]         b_i,
  input logic [W-1:0]           p_o,
  // inside
  input logic [Rows-1:0][W-1:0] row,
  input logic [Rows:0][W-1:0]   sum,
  input logic [2*Rows-1:0]      ones
);
  logic [2*Rows:0]              a;  // with a 0 below
  logic signed [W-1:0]          b;
  logic signed [Rows:0][W-1:0]  digits;  // what the first n are worth
  logic [Rows:0][W-1:0]         signs;   // 2^B_W 4^m of rows m < n
  assign a         = (2 * Rows + 1)'($signed({a_i, 1'b0}));
  assign b         = W'($signed(b_i));
  assign digits[0] = '0;
  assign signs[0]  = '0;

  for (genvar n = 0; n < Rows; n++) begin : gen_row
    logic signed [W-1:0] digit, worth;
    always_comb begin
      case (a[2*n+:3])
        3'b001, 3'b010: digit = 1;
        3'b011: digit = 2;
        3'b100: digit = -2;
        3'b101, 3'b110: digit = -1;
        default: digit = 0;
      endcase
      case (a[2*n+:3])
        3'b001, 3'b010: worth = b;
        3'b011: worth = b <<< 1;
        3'b100: worth = -(b <<< 1);
        3'b101, 3'b110: worth = -b;
        default: worth = 0;
      endcase
      a_row : assert (row[n] + (W'(ones[2*n]) << (2 * n)) - (W'(1) << (B_W + 2 * n)) ==
                      W'(worth <<< (2 * n)));
      a_one : assert (!ones[2*n+1]);
      a_sum : assert (sum[n+1] == sum[n] + row[n]);
    end
    assign digits[n+1] = digits[n] + W'(digit <<< (2 * n));
    assign signs[n+1]  = signs[n] + (W'(1) << (B_W + 2 * n));
  end

  always_comb begin
    a_digits : assert (digits[Rows] == W'($signed(a_i)));
    a_first : assert (sum[0] == W'(ones) + W'(ADD) - signs[Rows]);
    a_product : assert (p_o == sum[Rows]);
    r_negative : assert (!p_o[W-1]);
  end
endmodule

// All of it at once, where a solver can.
module sn_leaf_product #(
  parameter int A_W     = 6,
  parameter int B_W     = 6,
  parameter int ADD     = 0,
  parameter int TO_HALF = 0
) (
  input logic [A_W-1:0]     a_i,
  input logic [B_W-1:0]     b_i,
  input logic [A_W+B_W-1:0] p_o
);
  localparam int W = A_W + B_W;
  logic [W-1:0] a;
  assign a = (TO_HALF == 1) ? W'(a_i) : W'($signed(a_i));
  always_comb begin
    a_whole : assert ((TO_HALF == 1 && a_i > A_W'(1 << (A_W - 1))) ||
                      p_o == a * W'($signed(b_i)) + W'(ADD));
    r_zero : assert (p_o != 0);
  end
endmodule

`ifdef SN_LEAF_MAX
bind sn_max sn_leaf_max #(.W(W)) u_leaf (.*);
`endif
`ifdef SN_LEAF_LEADING_ONE
bind sn_leading_one sn_leaf_leading_one #(.W(W), .FRAC(FRAC)) u_leaf (.*);
`endif
`ifdef SN_LEAF_SHIFT
bind sn_shift_saturate sn_leaf_shift_saturate #(
  .W(W), .SH_W(SH_W), .LEFT(LEFT), .OUT_W(OUT_W)
) u_leaf (.*);
`endif
`ifdef SN_LEAF_MULTIPLY
bind sn_multiply sn_leaf_multiply #(.A_W(A_W), .B_W(B_W), .ADD(ADD)) u_leaf (.*);
`endif
`ifdef SN_LEAF_PRODUCT
bind sn_multiply sn_leaf_product #(
  .A_W(A_W), .B_W(B_W), .ADD(ADD), .TO_HALF(TO_HALF)
) u_leaf (.*);
`endif
