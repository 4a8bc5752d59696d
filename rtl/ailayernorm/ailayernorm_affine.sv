// SPDX-License-Identifier: Apache-2.0
// Affine stage: (x - mean) / sigma * gamma + beta of a beat, with two small multipliers a lane.
//
//   gamma x rsqrt --> rnd >> 8 -------[reg]--> A --+
//                                                  x --[reg]--> num --> rnd >> sh, to 9 bits --[reg]--+
//   a << alpha << 2, less mu ---------[reg]--------+                                                  v
//   beta (3 clocks later) --------------------------------------------------------------------------> + --> sat
//
//   A    = rnd(gamma * RSQRT / 2^8)                    10 bits signed
//   num  = A * (((a << alpha) << 2) - mu)              25 bits signed
//   out  = sat(rnd(num / 2^sh) + beta, -128, 127)      sh = e + gfrac - ofrac; negative: shift left
//
/// sh_i is sh + 7, so that one right shift of num << 7 does both. Before beta is added the quotient is
/// cut to 9 bits: what is beyond them saturates whatever beta is. Latency 3 clocks, one beat a clock;
/// all holds while en_i is low.

module ailayernorm_affine #(
  parameter int LANES = 32
) (
  input  logic                  clk_i,
  input  logic                  en_i,
  // the beat
  input  logic [LANES-1:0][8:0] a_i,       // x - zp, signed
  input  logic [LANES-1:0][1:0] alpha_i,
  input  logic [LANES-1:0][7:0] gamma_i,   // int8
  // its row
  input  logic signed [14:0]    mu_i,
  input  logic [9:0]            rsqrt_i,
  input  logic [4:0]            sh_i,
  // 3 clocks later
  input  logic [LANES-1:0][7:0] beta_i,    // int8
  output logic [LANES-1:0][7:0] out_o      // int8
);
  logic [4:0] sh;

  sn_pipe #(
    .W     (5),
    .STAGES(2)
  ) u_sh (
    .clk_i,
    .en_i,
    .data_i(sh_i),
    .data_o(sh)
  );

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic [18:0]        scaled;           // gamma * rsqrt
    logic [9:0]         factor_q;         // A
    logic signed [11:0] input_step;       // a << alpha
    logic [14:0]        centred_q;
    logic [24:0]        num;
    logic [23:0]        num_q;            // |A| <= 508: bit 24 is as bit 23
    logic signed [8:0]  quotient_q;
    logic               half_q;
    logic signed [9:0]  total;

    sn_multiply #(
      .A_W(8),
      .B_W(11)
    ) u_scaled (
      .a_i(gamma_i[i]),
      .b_i({1'b0, rsqrt_i}),
      .p_o(scaled)
    );

    assign input_step = 12'($signed(a_i[i])) <<< alpha_i[i];

    always_ff @(posedge clk_i) begin
      if (en_i) begin
        factor_q  <= 10'(scaled[18:8]) + 10'(scaled[7]);
        centred_q <= 15'($signed({input_step, 2'b0})) - mu_i;
      end
    end

    sn_multiply #(
      .A_W(10),
      .B_W(15)
    ) u_num (
      .a_i(factor_q),
      .b_i(centred_q),
      .p_o(num)
    );

    always_ff @(posedge clk_i) begin
      if (en_i) num_q <= num[23:0];
    end

    // num << 8 >> sh, cut to 10 bits, the lowest of which rounds: bit by bit of sh, with no more bits
    // than what may still be shifted out below. Above them only the sign may stand.
    logic [24:0] by16;
    logic [16:0] by8;
    logic [12:0] by4;
    logic [10:0] by2;
    logic [9:0]  by1;
    logic [4:0]  over;
    logic        sign;

    assign sign    = num_q[23];
    assign by16    = sh[4] ? {{9{sign}}, num_q[23:8]} : {num_q[16:0], 8'b0};
    assign by8     = sh[3] ? by16[24:8] : by16[16:0];
    assign by4     = sh[2] ? by8[16:4] : by8[12:0];
    assign by2     = sh[1] ? by4[12:2] : by4[10:0];
    assign by1     = sh[0] ? by2[10:1] : by2[9:0];
    assign over[4] = !sh[4] && num_q[23:16] != {8{sign}};
    assign over[3] = !sh[3] && by16[24:16] != {9{sign}};
    assign over[2] = !sh[2] && by8[16:12] != {5{sign}};
    assign over[1] = !sh[1] && by4[12:10] != {3{sign}};
    assign over[0] = !sh[0] && by2[10:9] != {2{sign}};

    always_ff @(posedge clk_i) begin
      if (en_i) begin
        half_q     <= by1[0];
        quotient_q <= (over == '0) ? by1[9:1] : {sign, {8{!sign}}};
      end
    end

    assign total = 10'(quotient_q) + 10'($signed(beta_i[i])) + $signed({9'b0, half_q});
    logic unused;
    assign unused = ^{scaled[6:0], num[24]};

    assign out_o[i] = (total > 10'sd127) ? 8'h7f : (total < -10'sd128) ? 8'h80 : total[7:0];
  end
endmodule
