// SPDX-License-Identifier: Apache-2.0
// Softermax's normalisation of a beat: numerators shifted to their row's maximum, times a reciprocal.
//
//   base_i - max_i --> k --> p_i [LANES] >> k --[reg]--> q [15] * r [8] --> rnd >> 14 --> out_o [LANES]
//
//   k = (m_L - m_t) + (e - 5),  q = p >> k,  out = rnd(q * r / 2^14)
//
// base_i is m_L + (e - 5). A numerator of 2^15 comes with a sum of at least 1.0, and so a k of at
// least 1: q has 15 bits. r is 64 to 128. All ones, which is no numerator, stands for an element that is not there.
// Latency one clock, one beat a clock; all holds while advance_i is low.

module softermax_normalise #(
  parameter int LANES = 32
) (
  input  logic                   clk_i,
  input  logic                   advance_i,
  // the beat
  input  logic [LANES-1:0][15:0] p_i,
  input  logic [6:0]             max_i,
  // its row
  input  logic [6:0]             base_i,
  input  logic [7:0]             r_i,
  // one clock later
  output logic [LANES-1:0]       keep_o,
  output logic [LANES-1:0][7:0]  out_o
);
  logic [6:0]             k;
  logic [7:0]             r_q;
  logic [LANES-1:0][14:0] q_q;

  assign k = base_i - max_i;

  always_ff @(posedge clk_i) begin
    if (advance_i) r_q <= r_i;
  end

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic        absent;
    logic [15:0] q;
    logic [23:0] product;

    assign absent = p_i[i][15] && p_i[i][0];
    assign q      = absent ? 16'd0 : p_i[i] >> k;

    sn_multiply #(
      .A_W    (8),
      .B_W    (16),
      .ADD    (1 << 13),
      .TO_HALF(1)
    ) u_product (
      .a_i(r_q),
      .b_i({1'b0, q_q[i]}),
      .p_o(product)
    );

    always_ff @(posedge clk_i) begin
      if (advance_i) begin
        q_q[i]    <= q[14:0];
        keep_o[i] <= !absent;
      end
    end

    assign out_o[i] = product[21:14];

    logic unused;
    assign unused = ^{q[15], product[23:22], product[13:0]};
  end
endmodule
