// SPDX-License-Identifier: Apache-2.0
// What a beat exceeds the row's mean by, and its square, a lane each.
//
//   x - mean --> sat --[reg]--> d_o --> >> shift --> sat --[reg]--> y --> y * y --[reg]--> square_o
//
//   d      = sat(x - mean)                             32 bits signed
//   square = y * y,  y = sat(d >> shift)               16 bits signed; the square 31
//
/// A lane that is not active has d and square 0. d_o comes after a clock, square_o after STAGES.

module nnlut_layernorm_deviation #(
  parameter  int LANES  = 32,
  localparam int STAGES = 3
) (
  input  logic                   clk_i,
  input  logic [STAGES-1:0]      load_i,  // a beat is before the stage
  input  logic [LANES-1:0][31:0] x_i,
  input  logic [LANES-1:0]       active_i,
  input  logic signed [31:0]     mean_i,
  input  logic [4:0]             shift_i,
  output logic [LANES-1:0][31:0] d_o,
  output logic [LANES-1:0][30:0] square_o
);
  logic [4:0] shift_q;

  always_ff @(posedge clk_i) begin
    if (load_i[0]) shift_q <= shift_i;
  end

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic signed [32:0] diff;
    logic signed [31:0] d_q, shifted;
    logic signed [15:0] y_q;
    logic [30:0]        square_q;

    assign diff    = 33'($signed(x_i[i])) - 33'(mean_i);
    assign shifted = d_q >>> shift_q;

    always_ff @(posedge clk_i) begin
      if (load_i[0]) begin
        if (!active_i[i]) d_q <= '0;
        else d_q <= (diff[32] == diff[31]) ? diff[31:0] : {diff[32], {31{!diff[32]}}};
      end
    end

    always_ff @(posedge clk_i) begin
      if (load_i[1]) begin
        if (shifted[31:15] == '0 || shifted[31:15] == '1) y_q <= shifted[15:0];
        else y_q <= {shifted[31], {15{!shifted[31]}}};
      end
    end

    always_ff @(posedge clk_i) begin
      if (load_i[2]) square_q <= 31'(y_q) * 31'(y_q);
    end

    assign d_o[i]      = d_q;
    assign square_o[i] = square_q;
  end
endmodule
