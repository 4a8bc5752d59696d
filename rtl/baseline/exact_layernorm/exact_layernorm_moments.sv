// SPDX-License-Identifier: Apache-2.0
// A row's mean and inverse standard deviation from its sums, by division and root: once a row, pipelined.
//
//   count, sum, square_sum --> n*Q, S^2 --[reg]--> D = n*Q - S^2 --[reg]--> its leading pair to the top --[reg]
//                          |                                                     | e              | w
//                          |                                                     v       root of w, 4 clocks
//                          |                          sh_o <-- e - Lz + fractions               | root
//                          |                                    n to the top --> n / root, 4 clocks --> r_o
//                          +--> S + 2048 n --[reg]--> / n, 5 clocks --> rounded --> 5 clocks --> mean_o
//
//   D    = n*Q - S^2                                   n squared times the variance; RMSNorm: n*Q. Where it is
//                                                      0, not 1 as in the model, elements are 0 at any R
//   e    = floor(log2 D) >> 1,  Lz = floor(log2 n)
//   root = isqrt(floor(D * 2^(30 - 2e)))
//   R    = floor(n * 2^(16 - Lz) * 2^14 / root)        1/sigma is R * 2^(Lz - e - 15)
//   mean = floor(S * 2^7 / n + 1/2)                    7 fraction bits; 0 for RMSNorm
//
// Dividing S + 2048 n, which is not negative, needs no sign. Latency STAGES clocks, a row a clock: a
// root and a division that were shared over the clocks of a row would be smaller, and rows of a few
// beats would have to wait for them.

module exact_layernorm_moments #(
  parameter  int SUM_W    = 22,
  parameter  int SQUARE_W = 32,
  parameter  int COUNT_W  = 11,
  localparam int STAGES   = 11
) (
  input  logic                    clk_i,
  input  logic                    load_i,  // a row's sums are complete
  input  logic signed [SUM_W-1:0] sum_i,
  input  logic [SQUARE_W-1:0]     square_sum_i,
  input  logic [COUNT_W-1:0]      count_i,
  input  logic                    rms_i,
  input  logic [2:0]              gfrac_i,
  input  logic [2:0]              ofrac_i,
  output logic signed [18:0]      mean_o,  // 7 fraction bits
  output logic [15:0]             r_o,
  output logic [5:0]              sh_o     // 14 + e - Lz + gfrac - ofrac, plus 2
);
  // SQUARE_W is 22 and SUM_W 12 bits more than clog2(MAX_LEN).
  localparam int LenLog = SUM_W - 12;
  localparam int VarW   = 22 + 2 * LenLog;  // an even number
  localparam int ExpW   = $clog2(VarW / 2);
  localparam int OffW   = 12 + COUNT_W;     // S + 2048 n is below 4096 n
  localparam int MeanW  = 19;
  localparam int NTopW  = (COUNT_W > 1) ? COUNT_W - 1 : 1;  // of n below its leading one
  localparam int LenW   = 5;                // of Lz
  localparam int FracW  = 3;

  // ------------------------------------------------------------------------------ stage 1: products
  // The sums change with every beat: what is not a whole row's stays away from what follows.
  logic signed [SUM_W-1:0] sum;
  logic [SQUARE_W-1:0]     square_sum;
  logic [COUNT_W-1:0]      count;

  assign sum        = load_i ? sum_i : '0;
  assign square_sum = load_i ? square_sum_i : '0;
  assign count      = load_i ? count_i : '0;

  logic [COUNT_W+SQUARE_W+1:0] n_square;
  logic [2*SUM_W-1:0]          sum_square;
  logic [VarW-1:0]             n_square_q, sum_square_q;
  logic [OffW-1:0]             offset_q;
  logic [COUNT_W-1:0]          n1_q;
  logic                        rms1_q;

  sn_multiply #(
    .A_W(COUNT_W + 1),
    .B_W(SQUARE_W + 1)
  ) u_n_square (
    .a_i({1'b0, count}),
    .b_i({1'b0, square_sum}),
    .p_o(n_square)
  );

  sn_multiply #(
    .A_W(SUM_W),
    .B_W(SUM_W)
  ) u_sum_square (
    .a_i(sum),
    .b_i(sum),
    .p_o(sum_square)
  );

  always_ff @(posedge clk_i) begin
    n_square_q   <= n_square[VarW-1:0];
    sum_square_q <= rms_i ? '0 : sum_square[VarW-1:0];
    offset_q     <= OffW'(sum) + {1'b0, count, 11'd0};
    n1_q         <= count;
    rms1_q       <= rms_i;
  end

  logic unused;
  assign unused = ^{n_square[COUNT_W+SQUARE_W+1:VarW], sum_square[2*SUM_W-1:VarW]};

  // ------------------------------------------------------------------------ stages 2 to 6: the mean
  logic [19:0]        quotient;
  logic signed [MeanW-1:0] mean;
  logic               rms6;

  exact_layernorm_divide #(
    .W    (COUNT_W),
    .Q    (20),
    .STEPS(4)
  ) u_mean (
    .clk_i,
    .rem_i    (offset_q[OffW-1:12]),
    .low_i    ({offset_q[11:0], 8'd0}),
    .divisor_i(n1_q),
    .quot_o   (quotient)
  );

  sn_pipe #(
    .W     (1),
    .STAGES(5)
  ) u_rms (
    .clk_i,
    .en_i  (1'b1),
    .data_i(rms1_q),
    .data_o(rms6)
  );

  // Bit 0 is the half that rounds; 2048 leaves again as the top bit flips.
  assign mean = rms6 ? '0 : {!quotient[19], quotient[18:1]} + MeanW'(quotient[0]);

  sn_pipe #(
    .W     (MeanW),
    .STAGES(5)
  ) u_hold_mean (
    .clk_i,
    .en_i  (1'b1),
    .data_i(mean),
    .data_o(mean_o)
  );

  // -------------------------------------------------------------------------- stage 2: the variance
  logic [VarW-1:0]    diff, var_q;
  logic [COUNT_W-1:0] n2_q;

  assign diff = n_square_q - sum_square_q;

  always_ff @(posedge clk_i) begin
    var_q <= diff;
    n2_q  <= n1_q;
  end

  // -------------------------------------------------------- stage 3: leading pair and one to the top
  logic [ExpW-1:0] e, e_q;
  logic [LenW-1:0] len_exp, len_exp_q;
  logic [31:0]     w_q;
  logic [NTopW-1:0] n_top_q;

  always_comb begin
    e = '0;
    for (int i = 0; i < VarW / 2; i++) begin
      if (var_q[2*i+:2] != 2'd0) e = ExpW'(i);
    end
    len_exp = '0;
    for (int i = 0; i < COUNT_W; i++) begin
      if (n2_q[i]) len_exp = LenW'(i);
    end
  end

  always_ff @(posedge clk_i) begin
    e_q       <= e;
    len_exp_q <= len_exp;
    // D * 2^32 / 4^(e + 1): the leading pair is now at bits 31 and 30.
    w_q       <= 32'(({var_q, 32'b0} >> {e, 1'b0}) >> 2);
    // The leading one leaves at the top: no row whose outputs show is without.
    n_top_q   <= NTopW'(n2_q) << (LenW'(NTopW) - len_exp);
  end

  // --------------------------------------------- stages 4 to 7: the root; 8 to 11: what n is of it
  logic [15:0]     root;
  logic [NTopW-1:0] n_top;
  logic [29:0]      n_frac;
  logic [ExpW-1:0] e11;
  logic [LenW-1:0] len_exp11;
  logic [FracW-1:0] gfrac, ofrac;

  exact_layernorm_root #(
    .BITS (16),
    .STEPS(4)
  ) u_root (
    .clk_i,
    .w_i   (w_q),
    .root_o(root)
  );

  sn_pipe #(
    .W     (NTopW),
    .STAGES(4)
  ) u_n_top (
    .clk_i,
    .en_i  (1'b1),
    .data_i(n_top_q),
    .data_o(n_top)
  );

  assign n_frac = {n_top, (30 - NTopW)'(0)};

  exact_layernorm_divide #(
    .W    (16),
    .Q    (16),
    .STEPS(4)
  ) u_r (
    .clk_i,
    .rem_i    ({2'b01, n_frac[29:16]}),
    .low_i    (n_frac[15:0]),
    .divisor_i(root),
    .quot_o   (r_o)
  );

  // ------------------------------------------------------------------------------------- beside it
  sn_pipe #(
    .W     (ExpW + LenW),
    .STAGES(8)
  ) u_exp (
    .clk_i,
    .en_i  (1'b1),
    .data_i({e_q, len_exp_q}),
    .data_o({e11, len_exp11})
  );

  sn_pipe #(
    .W     (FracW + FracW),
    .STAGES(STAGES)
  ) u_fracs (
    .clk_i,
    .en_i  (1'b1),
    .data_i({gfrac_i, ofrac_i}),
    .data_o({gfrac, ofrac})
  );

  // A level row has e = 0, whatever its length, and may get below -2; by what its zeros are shifted
  // is the same to it.
  assign sh_o = 6'(e11) + 6'd16 - 6'(len_exp11) + 6'(gfrac) - 6'(ofrac);
endmodule
