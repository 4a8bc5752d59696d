// SPDX-License-Identifier: Apache-2.0
// Softermax's reciprocal of a row's sum: one of eight lines, for the sum between 1 and 2.
//
//   sum_i --> leading one --[reg]--+-- e - 5 ----------------------------------[reg]--> shift_o
//                                  +-- s [8] --> j: C[j], M[j];  C - M * t --> rnd --[reg]--> r_o [8]
//
//   S = 2^e * (1 + s / 2^8 + ..),  j = s >> 5,  t = s & 31,  r = rnd((C[j] - M[j] * t) / 2^8)
//
// r is Q(1,7), 64 .. 128. For a sum of 0, that of an all-masked row, shift_o is 0. Latency two
// clocks; the lines stay as they are until the next row's sum.

module softermax_reciprocal #(
  parameter  int SUM_W = 16,
  localparam int E_W   = $clog2(SUM_W - 5)  // of e - 5: 0 .. SUM_W - 6
) (
  input  logic             clk_i,
  input  logic             load_i,   // a row's sum is complete
  input  logic [SUM_W-1:0] sum_i,
  output logic [E_W-1:0]   shift_o,  // e - 5
  output logic [7:0]       r_o
);
  logic [E_W-1:0] shift, shift_q;
  logic [7:0]     s, s_q, r;
  logic [13:0]    product;
  logic [14:0]    intercept, line;
  logic [6:0]     slope;

  // S is 0 or at least 2^5.
  sn_leading_one #(
    .W   (SUM_W - 5),
    .FRAC(8)
  ) u_leading_one (
    .data_i({sum_i, 3'b000}),
    .pos_o (shift),
    .frac_o(s)
  );

  assign intercept = softermax_tables_pkg::intercept(s_q[7:5]);
  assign slope     = softermax_tables_pkg::slope(s_q[7:5]);
  assign line      = intercept - 15'(product);
  assign r         = 8'(line[14:8]) + 8'(line[7]);

  sn_multiply #(
    .A_W(6),
    .B_W(8)
  ) u_product (
    .a_i({1'b0, s_q[4:0]}),
    .b_i({1'b0, slope}),
    .p_o(product)
  );

  always_ff @(posedge clk_i) begin
    if (load_i) begin
      shift_q <= shift;
      s_q     <= s;
    end
    shift_o <= shift_q;
    r_o     <= r;
  end

  logic unused;
  assign unused = ^line[6:0];
endmodule
