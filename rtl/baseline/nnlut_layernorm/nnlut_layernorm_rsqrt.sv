// SPDX-License-Identifier: Apache-2.0
// NN-LUT's table for 1/sqrt: one of 16 lines, once a row, pipelined.
//
//   var --> leading pair of bits --[reg]--> e, m --> 15 comparators --[reg]--> S, T --> T - rnd(S * m) --[reg]--> r_o
//
//   e = floor(log2 var) >> 1,  m = floor(var * 2^(14 - 2e))       14 fraction bits, in [1, 4)
//   k = number of b[1] .. b[15] that are at most m
//   R = T[k] - rnd(S[k] * m / 2^14)                               16 fraction bits
//
// 1/sqrt(var) is R * 2^(-16 - e). A variance of 0 counts as 1. Latency three
// clocks, a row a clock.

module nnlut_layernorm_rsqrt (
  input  logic               clk_i,
  input  logic signed [32:0] var_i,   // not negative
  output logic [15:0]        r_o,
  output logic [3:0]         e_o
);
  localparam int ExpW = 4;

  // ------------------------------------------------------------------ stage 1: scaled into [1, 4)
  logic [31:0]     floored;
  logic [ExpW-1:0] e, e_q;
  logic [15:0]     m_q;

  assign floored = {var_i[31:1], var_i[0] || var_i[31:1] == '0};

  always_comb begin
    e = '0;
    for (int i = 0; i < 16; i++) begin
      if (floored[2*i+:2] != 2'd0) e = ExpW'(i);
    end
  end

  always_ff @(posedge clk_i) begin
    e_q <= e;
    // The leading pair is now at bits 15 and 14.
    m_q <= 16'({floored, 14'b0} >> {e, 1'b0});
  end

  // --------------------------------------------------------------------- stage 2: which of the lines
  logic [15:1] above;  // m has reached b[i]
  logic [3:0]  k;
  logic [15:0] m2_q;
  logic [14:0] slope_q;
  logic [16:0] intercept_q;

  for (genvar i = 1; i < 16; i++) begin : gen_compare
    assign above[i] = m_q >= nnlut_layernorm_tables_pkg::place(4'(i - 1));
  end

  // Ascending, so that the last one reached wins.
  always_comb begin
    k = '0;
    for (int i = 1; i < 16; i++) begin
      if (above[i]) k = 4'(i);
    end
  end

  always_ff @(posedge clk_i) begin
    m2_q        <= m_q;
    slope_q     <= nnlut_layernorm_tables_pkg::slope(k);
    intercept_q <= nnlut_layernorm_tables_pkg::intercept(k);
  end

  // -------------------------------------------------------------------------------- stage 3: the line
  logic [32:0] exact;    // S * m
  logic [17:0] product;  // with the bit below the result, which rounds it
  logic [16:0] drop;

  sn_multiply #(
    .A_W(16),
    .B_W(17)
  ) u_exact (
    .a_i({1'b0, slope_q}),
    .b_i({1'b0, m2_q}),
    .p_o(exact)
  );

  assign product = exact[30:13];
  assign drop    = product[17:1] + 17'(product[0]);

  always_ff @(posedge clk_i) begin
    r_o <= 16'(intercept_q - drop);
  end

  sn_pipe #(
    .W     (ExpW),
    .STAGES(2)
  ) u_e (
    .clk_i,
    .en_i  (1'b1),
    .data_i(e_q),
    .data_o(e_o)
  );

  logic unused;
  assign unused = ^{var_i[32], exact[32:31], exact[12:0]};
endmodule
