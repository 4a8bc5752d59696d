// SPDX-License-Identifier: Apache-2.0
// What a beat exceeds the row's mean by, and its square, a lane each.
//
//   x - mean --> sat --[reg]--> d_o --> >> shift --> sat --[reg]--> y --> y * y --[reg]--> square_o
//
//   d      = sat(x - mean)                             32 bits signed
//   square = y * y,  y = sat(d >> shift)               16 bits signed; the square 31
//
// A lane that is not active has d and square 0. d_o comes after a clock, square_o after three.

module nnlut_layernorm_deviation #(
  parameter int LANES = 32
) (
  input  logic                   clk_i,
  input  logic [LANES-1:0][31:0] x_i,
  input  logic [LANES-1:0]       active_i,
  input  logic signed [31:0]     mean_i,
  input  logic [4:0]             shift_i,
  output logic [LANES-1:0][31:0] d_o,
  output logic [LANES-1:0][30:0] square_o
);
  logic [4:0] shift_q;

  always_ff @(posedge clk_i) begin
    shift_q <= shift_i;
  end

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic signed [32:0] diff;
    logic signed [31:0] d_q;
    logic [15:0]        y, y_q;
    logic [15:0]        unused_low;
    logic               unused_over, unused_half;
    logic [31:0]        square;  // 2^30 at the most
    logic [30:0]        square_q;

    assign diff = 33'($signed(x_i[i])) - 33'(mean_i);

    always_ff @(posedge clk_i) begin
      if (!active_i[i]) d_q <= '0;
      else d_q <= (diff[32] == diff[31]) ? diff[31:0] : {diff[32], {31{!diff[32]}}};
    end

    sn_shift_saturate #(
      .W    (32),
      .SH_W (5),
      .LEFT (0),
      .OUT_W(16)
    ) u_shift (
      .num_i (d_q),
      .sh_i  (shift_q),
      .out_o (y),
      .low_o (unused_low),
      .over_o(unused_over),
      .half_o(unused_half)
    );

    sn_multiply #(
      .A_W(16),
      .B_W(16)
    ) u_square (
      .a_i(y_q),
      .b_i(y_q),
      .p_o(square)
    );

    always_ff @(posedge clk_i) begin
      y_q      <= y;
      square_q <= square[30:0];
    end

    logic unused;
    assign unused = ^{square[31], unused_low, unused_over, unused_half};

    assign d_o[i]      = d_q;
    assign square_o[i] = square_q;
  end
endmodule
