// SPDX-License-Identifier: Apache-2.0
// Affine stage of a LayerNorm: deviation * gamma / sigma + beta of a beat, to int8.
//
//   gamma x 1/sigma --> rnd >> 8 --[reg]--> A --+
//   dev ---------------------------[reg]--------x --[reg]--> num --> rnd >> sh, to 9 bits --[reg]--+
//   beta (3 clocks later) ---------------------------------------------------------------------> + --> sat
//
//   A    = rnd(gamma * R / 2^8)                        16 bits signed; R 16 bits unsigned
//   num  = A * dev                                     16 + DEV_W bits signed
//   out  = sat(rnd(num / 2^sh) + beta, -128, 127)      sh >= -LEFT; negative: shift left
//
/// sh_i is sh + LEFT, so that one right shift of num << LEFT does both. Before beta is added the
/// quotient is cut to 9 bits: what is beyond them saturates whatever beta is. Latency 3 clocks, one
/// beat a clock; all holds while en_i is low.

module sn_affine #(
  parameter  int LANES  = 32,
  parameter  int DEV_W  = 20,
  parameter  int SH_W   = 6,
  parameter  int LEFT   = 2,
  localparam int R_W    = 16
) (
  input  logic                        clk_i,
  input  logic                        en_i,
  // the beat
  input  logic [LANES-1:0][DEV_W-1:0] dev_i,    // signed
  input  logic [LANES-1:0][7:0]       gamma_i,  // int8
  // its row
  input  logic [R_W-1:0]              r_i,
  input  logic [SH_W-1:0]             sh_i,
  // 3 clocks later
  input  logic [LANES-1:0][7:0]       beta_i,   // int8
  output logic [LANES-1:0][7:0]       out_o     // int8
);
  localparam int NumW = R_W + DEV_W;

  logic [SH_W-1:0] sh;

  sn_pipe #(
    .W     (SH_W),
    .STAGES(2)
  ) u_sh (
    .clk_i,
    .en_i,
    .data_i(sh_i),
    .data_o(sh)
  );

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic [R_W+8:0]    scaled;  // gamma * R
    logic [R_W-1:0]    factor_q;
    logic [DEV_W-1:0]  dev_q;
    logic [NumW-1:0]   num, num_q;
    logic signed [8:0] quotient_q;
    logic              half_q;
    logic signed [9:0] total;

    sn_multiply #(
      .A_W(8),
      .B_W(R_W + 1)
    ) u_scaled (
      .a_i(gamma_i[i]),
      .b_i({1'b0, r_i}),
      .p_o(scaled)
    );

    always_ff @(posedge clk_i) begin
      if (en_i) begin
        factor_q <= scaled[R_W+7:8] + R_W'(scaled[7]);
        dev_q    <= dev_i[i];
      end
    end

    sn_multiply #(
      .A_W(R_W),
      .B_W(DEV_W)
    ) u_num (
      .a_i(factor_q),
      .b_i(dev_q),
      .p_o(num)
    );

    always_ff @(posedge clk_i) begin
      if (en_i) num_q <= num;
    end

    // num << (LEFT + 1) >> sh, cut to 10 bits, the lowest of which rounds: bit by bit of sh, the large
    // steps first, with no more bits than what may still be shifted out below. Above them only the sign
    // may stand; a quotient that 9 bits cannot hold becomes one of the ends.
    logic            sign;
    logic [SH_W-1:0] over;
    assign sign = num_q[NumW-1];

    for (genvar s = SH_W; s >= 0; s--) begin : gen_shift
      logic [8+2**s:0] d;
      if (s == SH_W) begin : gen_first
        assign d = (9 + 2 ** s)'($signed({num_q, (LEFT + 1)'(0)}));
      end else begin : gen_next
        assign d       = sh[s] ? gen_shift[s+1].d[8+2**(s+1):2**s] : gen_shift[s+1].d[8+2**s:0];
        assign over[s] = !sh[s] && gen_shift[s+1].d[8+2**(s+1):8+2**s] != {(2 ** s + 1) {sign}};
      end
    end

    always_ff @(posedge clk_i) begin
      if (en_i) begin
        half_q     <= gen_shift[0].d[0];
        quotient_q <= (over == '0) ? gen_shift[0].d[9:1] : {sign, {8{!sign}}};
      end
    end

    assign total = 10'(quotient_q) + 10'($signed(beta_i[i])) + $signed({9'b0, half_q});
    assign out_o[i] = (total > 10'sd127) ? 8'h7f : (total < -10'sd128) ? 8'h80 : total[7:0];

    logic unused;
    assign unused = scaled[R_W+8];
  end
endmodule
