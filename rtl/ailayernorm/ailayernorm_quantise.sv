// SPDX-License-Identifier: Apache-2.0
// PTF bytes of wide inputs, by the scale of the row and the power of two of the channel.
//
//   v, Q --> v * Q --[regs]--> >> (qshift + alpha), rnd --[reg]--> + zp, saturate --[reg]--> x_o
//            qshift, alpha (PROD clocks later) --^                    ^-- zp (a clock behind these)
//
//   x = sat(rnd(v * Q / 2^(qshift + alpha)) + zp, 0, 255)      v: signed, IN_W bits; Q: 16 bits
//
// The product is below 2^47: from a shift of 49 on the quotient is 0, and one of 63 is as good as of 66.
// A quotient that 9 bits do not hold saturates with every zp. PROD + 2 clocks, PROD = IN_W / 16; a beat a
// clock.

module ailayernorm_quantise #(
  parameter  int LANES = 32,
  parameter  int IN_W  = 32,  // 16, 32
  localparam int PROD  = IN_W / 16
) (
  input  logic                       clk_i,
  input  logic [LANES-1:0][IN_W-1:0] v_i,
  input  logic [15:0]                qmult_i,   // with v_i
  input  logic [5:0]                 qshift_i,  // PROD clocks later
  input  logic [LANES-1:0][1:0]      alpha_i,   // PROD clocks later
  input  logic [7:0]                 zp_i,      // PROD + 1 clocks later
  output logic [LANES-1:0][7:0]      x_o
);
  localparam int ProdW = IN_W + 16;

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic [ProdW:0]    product;
    logic [6:0]        sum;
    logic [5:0]        sh;
    logic [8:0]        quotient, quotient_q, unused_low;
    logic              half, half_q, unused_over;
    logic signed [9:0] total;  // -256 .. 256 + 255

    sn_multiply_clocked #(
      .A_W   (17),
      .B_W   (IN_W),
      .CLOCKS(PROD)
    ) u_product (
      .clk_i,
      .en_i(1'b1),
      .a_i ({1'b0, qmult_i}),
      .b_i (v_i[i]),
      .p_o (product)
    );

    assign sum = 7'(qshift_i) + 7'(alpha_i[i]);
    assign sh  = sum[6] ? '1 : sum[5:0];

    sn_shift_saturate #(
      .W    (ProdW),
      .SH_W (6),
      .LEFT (0),
      .OUT_W(9)
    ) u_shift (
      .num_i (product[ProdW-1:0]),
      .sh_i  (sh),
      .out_o (quotient),
      .low_o (unused_low),
      .over_o(unused_over),
      .half_o(half)
    );

    assign total = 10'($signed(quotient_q)) + $signed({2'b0, zp_i}) + $signed({9'b0, half_q});

    always_ff @(posedge clk_i) begin
      quotient_q <= quotient;
      half_q     <= half;
      x_o[i]     <= total[9] ? 8'd0 : total[8:0] > 9'd255 ? 8'd255 : total[7:0];
    end

    logic unused;
    assign unused = ^{product[ProdW], unused_low, unused_over};
  end
endmodule
