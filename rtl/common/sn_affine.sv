// SPDX-License-Identifier: Apache-2.0
// Affine stage of a LayerNorm: deviation * gamma / sigma + beta of a beat, to int8.
//
//   gamma x 1/sigma --> rnd >> 8 --[reg]--> A --+
//   dev ---------------------------[reg]--------x --[reg]--> num --> >> sh, sat --([reg])--> + --> sat --> out
//   beta (2 + SHIFT_REG clocks later) -------------------------------------------------------+
//
//   A    = rnd(gamma * R / 2^8)                        R_W bits signed; R unsigned
//   num  = A * dev                                     R_W + DEV_W - 1 bits signed, as |A| < 2^(R_W - 1)
//   out  = sat(rnd(num / 2^sh) + beta, -128, 127)      sh >= -LEFT; negative: shift left
//
// sh_i is sh + LEFT. Before beta is added the quotient is saturated to 9 bits: what does not fit there
// saturates with any beta. SHIFT_REG = 1 puts a register behind the shifter, for a wide num; without it
// the sum does not wait for that saturation. Latency 2 + SHIFT_REG clocks, one beat a clock; all holds
// while en_i is low.

module sn_affine #(
  parameter int LANES     = 32,
  parameter int DEV_W     = 20,
  parameter int R_W       = 16,
  parameter int SH_W      = 6,
  parameter int LEFT      = 2,
  parameter int SHIFT_REG = 1
) (
  input  logic                        clk_i,
  input  logic                        en_i,
  // the beat
  input  logic [LANES-1:0][DEV_W-1:0] dev_i,    // signed
  input  logic [LANES-1:0][7:0]       gamma_i,  // int8
  // its row
  input  logic [R_W-1:0]              r_i,
  input  logic [SH_W-1:0]             sh_i,
  // 2 + SHIFT_REG clocks later
  input  logic [LANES-1:0][7:0]       beta_i,   // int8
  output logic [LANES-1:0][7:0]       out_o     // int8
);
  localparam int NumW = R_W + DEV_W - 1;

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
    logic [R_W+8:0]    scaled;  // gamma * R + 2^7
    logic [R_W-1:0]    factor_q;  // A
    logic [DEV_W-1:0]  dev_q;
    logic [NumW:0]     num;
    logic [NumW-1:0]   num_q;
    logic [8:0]        shifted, shifted_low;
    logic              shifted_half, shifted_over;
    logic signed [8:0] quotient;
    logic              half, over, high, low;
    logic signed [9:0] total;

    sn_multiply #(
      .A_W(8),
      .B_W(R_W + 1),
      .ADD(128)
    ) u_scaled (
      .a_i(gamma_i[i]),
      .b_i({1'b0, r_i}),
      .p_o(scaled)
    );

    always_ff @(posedge clk_i) begin
      if (en_i) begin
        factor_q <= scaled[R_W+7:8];
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
      if (en_i) num_q <= num[NumW-1:0];
    end

    sn_shift_saturate #(
      .W    (NumW),
      .SH_W (SH_W),
      .LEFT (LEFT),
      .OUT_W(9)
    ) u_shift (
      .num_i (num_q),
      .sh_i  (sh),
      .out_o (shifted),
      .low_o (shifted_low),
      .over_o(shifted_over),
      .half_o(shifted_half)
    );

    if (SHIFT_REG == 1) begin : gen_reg
      assign over = 1'b0;
      always_ff @(posedge clk_i) begin
        if (en_i) begin
          quotient <= shifted;
          half     <= shifted_half;
        end
      end
    end else begin : gen_wire
      assign {quotient, half, over} = {shifted_low, shifted_half, shifted_over};
    end

    assign total    = 10'(quotient) + 10'($signed(beta_i[i])) + $signed({9'b0, half});
    assign high     = over ? !num_q[NumW-1] : total > 10'sd127;
    assign low      = over ? num_q[NumW-1] : total < -10'sd128;
    assign out_o[i] = high ? 8'h7f : low ? 8'h80 : total[7:0];

    logic unused;
    assign unused = ^{scaled[R_W+8], scaled[7:0], num[NumW], shifted, shifted_low, shifted_over};
  end
endmodule
