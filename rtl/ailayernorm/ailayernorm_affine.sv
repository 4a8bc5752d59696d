// SPDX-License-Identifier: Apache-2.0
// Affine stage: (x - mean) / sigma * gamma + beta of a beat, with one 10 x 15 bit multiplier a lane.
//
//   gamma x rsqrt --> rnd >> 8 -------[reg]--> A --+
//                                                  x --[reg]--> num --> rnd >> sh, to 9 bits --[reg]--+
//   a << alpha << 2, less mu ---------[reg]--------+                                                  v
//   beta ----------------------------[reg]--------------[reg]-------------------------------[reg]--> + --> sat
//
//   A    = rnd(gamma * RSQRT / 2^8)                    10 bits signed
//   num  = A * (((a << alpha) << 2) - mu)              24 bits signed
//   out  = sat(rnd(num / 2^sh) + beta, -128, 127)      sh = e + gfrac - ofrac; negative: shift left
//
/// sh_i is sh + 7, so that one right shift of num << 7 does both. Before beta is added the quotient is
/// cut to 9 bits: what is beyond them saturates whatever beta is. Latency STAGES clocks, one beat a
/// clock; all holds while advance_i is low.

module ailayernorm_affine #(
  parameter  int LANES  = 32,
  localparam int STAGES = 3
) (
  input  logic                  clk_i,
  input  logic [STAGES-1:0]     load_i,    // a beat is before the stage, and it advances
  // the beat
  input  logic [LANES-1:0][8:0] a_i,       // x - zp, signed
  input  logic [LANES-1:0][1:0] alpha_i,
  input  logic [LANES-1:0][7:0] gamma_i,   // int8
  input  logic [LANES-1:0][7:0] beta_i,    // int8
  // its row
  input  logic signed [14:0]    mu_i,
  input  logic [9:0]            rsqrt_i,
  input  logic [4:0]            sh_i,
  // STAGES clocks later
  output logic [LANES-1:0][7:0] out_o      // int8
);
  logic [4:0] sh;

  sn_pipe #(
    .W     (5),
    .STAGES(2)
  ) u_sh (
    .clk_i,
    .load_i(load_i[1:0]),
    .data_i(sh_i),
    .data_o(sh)
  );

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic signed [18:0] scaled;           // gamma * rsqrt
    logic signed [9:0]  factor_q;         // A
    logic signed [11:0] input_step;       // a << alpha
    logic signed [14:0] centred_q;
    logic signed [23:0] num_q;
    logic signed [31:0] shifted;          // num << 7 >> sh, with the bit below
    logic signed [8:0]  quotient_q;
    logic               half_q;
    logic [7:0]         beta;
    logic signed [9:0]  total;

    assign scaled     = 19'($signed(gamma_i[i])) * 19'($signed({1'b0, rsqrt_i}));
    assign input_step = 12'($signed(a_i[i])) <<< alpha_i[i];

    always_ff @(posedge clk_i) begin
      if (load_i[0]) begin
        factor_q  <= 10'((scaled + 19'sd128) >>> 8);
        centred_q <= 15'($signed({input_step, 2'b0})) - mu_i;
      end
    end

    always_ff @(posedge clk_i) begin
      if (load_i[1]) num_q <= 24'(factor_q) * 24'(centred_q);
    end

    assign shifted = $signed({num_q, 8'b0}) >>> sh;

    always_ff @(posedge clk_i) begin
      if (load_i[2]) begin
        // Bit 0 is the half that rounds; a quotient that 9 bits cannot hold becomes one of the ends.
        half_q <= shifted[0];
        if (shifted[31:9] == '0 || shifted[31:9] == '1) quotient_q <= shifted[9:1];
        else quotient_q <= {shifted[31], {8{!shifted[31]}}};
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
