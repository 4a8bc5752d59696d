// SPDX-License-Identifier: Apache-2.0
// Affine stage: (x - mean) / sigma * gamma + beta of a beat, with two small multipliers a lane.
//
//   gamma x rsqrt --> rnd >> 8 --[reg]--> A --+
//                                             x --[reg]--> num --> rnd >> sh, + beta, sat --> out
//   step << 2, less mu ----------[reg]--------+                                ^
//   beta (2 clocks later) -----------------------------------------------------+
//
//   A    = rnd(gamma * RSQRT / 2^8)                    10 bits signed
//   num  = A * ((step << 2) - mu)                      25 bits signed; step = (x - zp) << alpha
//   out  = sat(rnd(num / 2^sh) + beta, -128, 127)      sh = e + gfrac - ofrac; negative: shift left
//
/// sh_i is sh + 7, so that one right shift of num << 7 does both. Before beta is added the quotient is
/// cut to 9 bits: what is beyond them saturates whatever beta is. Latency 2 clocks and what is behind
/// num's register, one beat a clock; all holds while en_i is low.

module ailayernorm_affine #(
  parameter int LANES = 32
) (
  input  logic                   clk_i,
  input  logic                   en_i,
  // the beat
  input  logic [LANES-1:0][11:0] step_i,   // (x - zp) << alpha, signed
  input  logic [LANES-1:0][7:0]  gamma_i,  // int8
  // its row
  input  logic signed [14:0]     mu_i,
  input  logic [8:0]             rsqrt_i,  // RSQRT - 512
  input  logic [4:0]             sh_i,
  // 2 clocks later
  input  logic [LANES-1:0][7:0]  beta_i,   // int8
  output logic [LANES-1:0][7:0]  out_o     // int8
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
    logic [18:0]       scaled;  // gamma * rsqrt + 2^7
    logic [9:0]        factor_q;  // A
    logic [14:0]       centred_q;
    logic [24:0]       num;
    logic [23:0]       num_q;  // |A| <= 508: bit 24 is as bit 23
    logic signed [9:0] total;

    sn_multiply #(
      .A_W(8),
      .B_W(11),
      .ADD(128)
    ) u_scaled (
      .a_i(gamma_i[i]),
      .b_i({2'b01, rsqrt_i}),
      .p_o(scaled)
    );

    always_ff @(posedge clk_i) begin
      if (en_i) begin
        factor_q  <= scaled[17:8];
        centred_q <= 15'($signed({step_i[i], 2'b0})) - mu_i;
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
    logic        sign, cut, high, low;

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

    assign cut   = over != '0;
    assign total = 10'($signed(by1[9:1])) + 10'($signed(beta_i[i])) + $signed({9'b0, by1[0]});
    assign high  = cut ? !sign : total > 10'sd127;
    assign low   = cut ? sign : total < -10'sd128;

    assign out_o[i] = high ? 8'h7f : low ? 8'h80 : total[7:0];

    logic unused;
    assign unused = ^{scaled[18], scaled[7:0], num[24]};
  end
endmodule
