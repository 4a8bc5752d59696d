// SPDX-License-Identifier: Apache-2.0
// Affine stage of a LayerNorm: deviation * gamma / sigma + beta of a beat, to int8.
//
//   gamma x 1/sigma --> rnd >> 8 --[reg]--> A --+
//   dev ---------------------------[reg]--------x --[reg]--> num --> rnd >> sh, to 9 bits --[reg]--+
//   beta --------------------------[reg]--------------[reg]-------------------------------[reg]--> + --> sat
//
//   A    = rnd(gamma * R / 2^8)                        16 bits signed; R 16 bits unsigned
//   num  = A * dev                                     16 + DEV_W bits signed
//   out  = sat(rnd(num / 2^sh) + beta, -128, 127)      sh >= -LEFT; negative: shift left
//
/// sh_i is sh + LEFT, so that one right shift of num << LEFT does both. Before beta is added the
/// quotient is cut to 9 bits: what is beyond them saturates whatever beta is. Latency STAGES clocks,
/// one beat a clock; a stage takes what is before it when its bit of load_i is set.

module sn_affine #(
  parameter  int LANES  = 32,
  parameter  int DEV_W  = 20,
  parameter  int SH_W   = 6,
  parameter  int LEFT   = 2,
  localparam int R_W    = 16,
  localparam int STAGES = 3
) (
  input  logic                        clk_i,
  input  logic [STAGES-1:0]           load_i,
  // the beat
  input  logic [LANES-1:0][DEV_W-1:0] dev_i,    // signed
  input  logic [LANES-1:0][7:0]       gamma_i,  // int8
  input  logic [LANES-1:0][7:0]       beta_i,   // int8
  // its row
  input  logic [R_W-1:0]              r_i,
  input  logic [SH_W-1:0]             sh_i,
  // STAGES clocks later
  output logic [LANES-1:0][7:0]       out_o     // int8
);
  localparam int NumW   = R_W + DEV_W;
  localparam int ShiftW = NumW + LEFT + 1;  // and the bit below, which rounds

  logic [SH_W-1:0] sh;

  sn_pipe #(
    .W     (SH_W),
    .STAGES(2)
  ) u_sh (
    .clk_i,
    .load_i(load_i[1:0]),
    .data_i(sh_i),
    .data_o(sh)
  );

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic signed [R_W+8:0]    scaled;  // gamma * R
    logic signed [R_W-1:0]    factor_q;
    logic signed [DEV_W-1:0]  dev_q;
    logic signed [NumW-1:0]   num_q;
    logic signed [ShiftW-1:0] shifted;
    logic signed [8:0]        quotient_q;
    logic                     half_q;
    logic [7:0]               beta;
    logic signed [9:0]        total;

    assign scaled = (R_W + 9)'($signed(gamma_i[i])) * (R_W + 9)'($signed({1'b0, r_i}));

    always_ff @(posedge clk_i) begin
      if (load_i[0]) begin
        factor_q <= R_W'((scaled + (R_W + 9)'(128)) >>> 8);
        dev_q    <= dev_i[i];
      end
    end

    always_ff @(posedge clk_i) begin
      if (load_i[1]) num_q <= NumW'(factor_q) * NumW'(dev_q);
    end

    assign shifted = $signed({num_q, (LEFT + 1)'(0)}) >>> sh;

    always_ff @(posedge clk_i) begin
      if (load_i[2]) begin
        // Bit 0 is the half that rounds; a quotient that 9 bits cannot hold becomes one of the ends.
        half_q <= shifted[0];
        if (shifted[ShiftW-1:9] == '0 || shifted[ShiftW-1:9] == '1) quotient_q <= shifted[9:1];
        else quotient_q <= {shifted[ShiftW-1], {8{!shifted[ShiftW-1]}}};
      end
    end

    sn_pipe #(
      .W     (8),
      .STAGES(STAGES)
    ) u_beta (
      .clk_i,
      .load_i,
      .data_i(beta_i[i]),
      .data_o(beta)
    );

    assign total = 10'(quotient_q) + 10'($signed(beta)) + $signed({9'b0, half_q});
    assign out_o[i] = (total > 10'sd127) ? 8'h7f : (total < -10'sd128) ? 8'h80 : total[7:0];
  end
endmodule
