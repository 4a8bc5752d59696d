// SPDX-License-Identifier: Apache-2.0
// A row's sum over its number of elements, rounded and saturated: once a row, pipelined.
//
//   sum --> x M --[reg]--> rnd >> (15 + Lz) --> sat --[reg]--> average
//
//   average = sat(rnd(sum * M / 2^(15 + Lz)))          signed, OUT_W bits
//
// M and Lz stand for 1/n: 1/n is about M * 2^-(15 + Lz). The sum changes with every beat: what is not
// a whole row's stays away from the multiplier. Latency two clocks, a row a clock.

module nnlut_layernorm_average #(
  parameter int SUM_W   = 42,
  parameter int OUT_W   = 32,
  parameter int EXP_W   = 4,  // bits of Lz
  parameter int PLACE_W = 4   // bits of Lz + 1
) (
  input  logic                    clk_i,
  input  logic                    load_i,  // a row's sum is complete
  input  logic signed [SUM_W-1:0] sum_i,
  input  logic [15:0]             inv_mant_i,  // M
  input  logic [EXP_W-1:0]        inv_exp_i,   // Lz
  output logic signed [OUT_W-1:0] average_o
);
  localparam int ProdW = SUM_W + 16;
  // The bit below the result, which rounds it, is at 14 + Lz, and one lower where M is taken for its half.
  localparam int Low   = 13;

  logic signed [SUM_W-1:0]     sum;
  logic [ProdW-1:0]            prod;
  logic signed [ProdW-1:0]     prod_q;
  logic [15:0]                 mant;
  logic [PLACE_W-1:0]          exp_q;
  logic signed [ProdW-Low-1:0] raw;      // with the bit below
  logic signed [ProdW-Low-1:0] rounded;
  logic                        fits;

  assign sum = load_i ? sum_i : '0;

  // M has bit 14, or it is 2^15, which goes as 2^14 with a shift less: a row of digits less.
  assign mant = {2'b01, inv_mant_i[13:0]};

  sn_multiply #(
    .A_W(16),
    .B_W(SUM_W)
  ) u_prod (
    .a_i(mant),
    .b_i(sum),
    .p_o(prod)
  );

  always_ff @(posedge clk_i) begin
    prod_q <= prod;
    exp_q  <= PLACE_W'(inv_exp_i) + PLACE_W'(!inv_mant_i[15]);
  end

  assign raw     = (ProdW - Low)'(prod_q >>> Low) >>> exp_q;
  assign rounded = (raw + (ProdW - Low)'(1)) >>> 1;
  assign fits    = rounded[ProdW-Low-1:OUT_W-1] == '0 || rounded[ProdW-Low-1:OUT_W-1] == '1;

  always_ff @(posedge clk_i) begin
    average_o <= fits ? rounded[OUT_W-1:0]
                      : {rounded[ProdW-Low-1], {(OUT_W - 1) {!rounded[ProdW-Low-1]}}};
  end

  logic unused;
  assign unused = inv_mant_i[14];
endmodule
