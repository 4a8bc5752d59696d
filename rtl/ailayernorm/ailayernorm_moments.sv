// SPDX-License-Identifier: Apache-2.0
// A row's mean and inverse standard deviation from its sums: once a row, pipelined.
//
//   sum --------> x M --[reg]--> rnd >> --[reg]--> mean --+--> square --[reg]--+
//                                                         |                    v
//   square_sum -> x M --[reg]--> >> --[reg]--> rnd, ex2 --|----[reg]---------> - --> max 1 --[reg]--> var
//                                                         |
//                                                         +--[reg]--[reg]--[reg]--> mu_o
//   var --> leading pair of bits --[reg]--> e, v --> RSQRT[v - 32] --> rsqrt_o,  e + gfrac - ofrac --> sh_o
//
//   mean = rnd(sum * M / 2^(11 + Lz))                  4 fraction bits; 0 for RMSNorm
//   ex2  = rnd((square_sum << 4) * M / 2^(7 + Lz))     8 fraction bits (CMP_RANGES = 3: without << 4)
//   var  = max(ex2 - mean * mean, 1)                   EPS = 1: min(max(ex2 - mean * mean + eps, 1), 2^30 - 1)
//   e    = floor(log2 var) >> 1,  v = floor(var * 2^(5 - 2e)),  1/sigma = RSQRT[v - 32] * 2^-(6 + e)
//   mu   = rnd(mean / 4)
//   imprecise = mean * mean > 4 * max(ex2 - mean * mean, 1)
//   A_BITS = 8: rnd(RSQRT / 4), and 1/sigma that * 2^-(4 + e)
//
// M and Lz stand for 1/n: 1/n is about M * 2^-(15 + Lz). With the M and Lz of the row's own n, mean
// needs 16 bits and ex2 30; with another's they wrap. Latency 4 + PROD clocks, a row a clock: PROD = 2
// gives the products with M two (sn_multiply_clocked).

module ailayernorm_moments #(
  parameter  int SUM_W      = 22,
  parameter  int SQUARE_W   = 28,
  parameter  int EXP_W      = 4,  // bits of Lz
  parameter  int PLACE_W    = 4,  // bits of Lz + 1
  parameter  int CMP_RANGES = 2,
  parameter  int EPS        = 0,
  parameter  int IMPRECISE  = 0,
  parameter  int A_BITS     = 10,  // 10, 8: of RSQRT
  parameter  int PROD       = 1,  // 1, 2: clocks of stage 1
  localparam int STAGES     = 4 + PROD
) (
  input  logic                    clk_i,
  input  logic                    load_i,  // a row's sums are complete
  input  logic signed [SUM_W-1:0] sum_i,
  input  logic [SQUARE_W-1:0]     square_sum_i,
  input  logic [15:0]             inv_mant_i,  // M
  input  logic [EXP_W-1:0]        inv_exp_i,   // Lz
  input  logic                    rms_i,
  input  logic [2:0]              gfrac_i,
  input  logic [2:0]              ofrac_i,
  input  logic [15:0]             eps_i,       // with EPS = 1; 8 fraction bits
  output logic signed [14:0]      mu_o,        // 2 fraction bits
  output logic [A_BITS-1:0]       rsqrt_o,
  output logic [4:0]              sh_o,        // e + gfrac - ofrac, plus 7 (A_BITS = 8: sh plus 9)
  output logic                    imprecise_o  // with IMPRECISE = 1; of the row in stage 4, a clock before
);
  localparam int MeanW   = 16;
  localparam int Ex2W    = 30;
  localparam int MuW     = 15;
  localparam int FracW   = 3;
  localparam int ProdW   = SUM_W + 16;
  localparam int ProdSqW = SQUARE_W + 17;  // with a sign
  // The bit below the result, which rounds it, is at 10 + Lz, and at 2 + Lz (6 + Lz), and one lower
  // where M is taken for its half.
  localparam int MeanLow = 9;
  localparam int Ex2Low  = (CMP_RANGES == 2) ? 1 : 5;

  // ----------------------------------------------------------------------------- stage 1: times M
  // The sums change with every beat: what is not a whole row's stays away from the multipliers.
  logic signed [SUM_W-1:0] sum;
  logic [SQUARE_W-1:0]     square_sum;

  assign sum        = load_i ? sum_i : '0;
  assign square_sum = load_i ? square_sum_i : '0;

  logic signed [ProdW-1:0] prod_q;
  logic [ProdSqW-1:0]      prod_sq_q;
  logic [15:0]             mant;
  logic [PLACE_W-1:0]      exp_q;
  logic                    rms_q;

  // M has bit 14, or it is 2^15, which goes as 2^14 with a shift less: a row of digits less each.
  assign mant = {2'b01, inv_mant_i[13:0]};

  sn_multiply_clocked #(
    .A_W   (16),
    .B_W   (SUM_W),
    .CLOCKS(PROD)
  ) u_prod (
    .clk_i,
    .en_i(1'b1),
    .a_i (mant),
    .b_i (sum),
    .p_o (prod_q)
  );

  sn_multiply_clocked #(
    .A_W   (16),
    .B_W   (SQUARE_W + 1),
    .CLOCKS(PROD)
  ) u_prod_sq (
    .clk_i,
    .en_i(1'b1),
    .a_i (mant),
    .b_i ({1'b0, square_sum}),
    .p_o (prod_sq_q)
  );

  sn_pipe #(
    .W     (PLACE_W + 1),
    .STAGES(PROD)
  ) u_place (
    .clk_i,
    .en_i  (1'b1),
    .data_i({PLACE_W'(inv_exp_i) + PLACE_W'(!inv_mant_i[15]), rms_i}),
    .data_o({exp_q, rms_q})
  );

  // ------------------------------------------------------------------------ stage 2: by n, rounded
  logic [MeanW:0]          mean_raw;  // with the bit below
  logic [Ex2W:0]           ex2_raw;
  logic signed [MeanW-1:0] mean_q;
  logic [Ex2W:0]           ex2_q;     // rounded in stage 3, for the clock's sake

  assign mean_raw = (MeanW + 1)'((prod_q >>> MeanLow) >>> exp_q);
  assign ex2_raw  = (Ex2W + 1)'((prod_sq_q >> Ex2Low) >> exp_q);

  always_ff @(posedge clk_i) begin
    mean_q <= rms_q ? '0 : mean_raw[MeanW:1] + MeanW'(mean_raw[0]);
    ex2_q  <= ex2_raw;
  end

  // -------------------------------------------------------------------------- stage 3: mean * mean
  localparam int SqW = Ex2W + 1;  // 2^30 at the most
  logic [MeanW-2:0]          low;             // verilator lint_off UNOPTFLAT
  logic [MeanW-1:0][SqW-1:0] sq_row, sq_sum;  // verilator lint_on UNOPTFLAT
  logic [SqW-1:0]            mean_sq_q;
  logic [Ex2W-1:0]           ex2_3_q;

  // Bits i and j meet twice, at i + j, and so once at i + j + 1: half the rows of a product. What the
  // sign meets comes off.
  assign low = mean_q[MeanW-2:0];
  for (genvar i = 0; i < MeanW - 1; i++) begin : gen_square
    // Bit i with itself and with all above it.
    assign sq_row[i] = SqW'({({1'b0, low} >> (i + 1)) & {MeanW{low[i]}}, 1'b0, low[i]}) << (2 * i);
  end
  assign sq_row[MeanW-1] = {mean_q[MeanW-1], {(SqW - 1){1'b0}}};

  assign sq_sum[0] = sq_row[0];
  for (genvar i = 1; i < MeanW; i++) begin : gen_sum
    assign sq_sum[i] = sq_sum[i-1] + sq_row[i];
  end

  always_ff @(posedge clk_i) begin
    mean_sq_q <= sq_sum[MeanW-1] - (SqW'(low & {(MeanW - 1){mean_q[MeanW-1]}}) << MeanW);
    ex2_3_q   <= ex2_q[Ex2W:1] + Ex2W'(ex2_q[0]);
  end

  // --------------------------------------------------------------------------- stage 4: the variance
  logic [Ex2W+1:0] diff;
  logic [Ex2W-1:0] var_q;

  if (EPS == 1) begin : gen_eps
    logic [15:0] eps;

    sn_pipe #(
      .W     (16),
      .STAGES(2 + PROD)
    ) u_eps (
      .clk_i,
      .en_i  (1'b1),
      .data_i(eps_i),
      .data_o(eps)
    );

    // Saturated: an epsilon may be more than what is left up to 2^30.
    logic [Ex2W+1:0] total;
    assign total = {2'b0, ex2_3_q} - {1'b0, mean_sq_q} + (Ex2W + 2)'(eps);
    assign diff  = total | {2'b0, {Ex2W{total[Ex2W+1:Ex2W] == 2'b01}}};
  end else begin : gen_no_eps
    assign diff = {2'b0, ex2_3_q} - {1'b0, mean_sq_q};
    logic unused_eps;
    assign unused_eps = ^eps_i;
  end

  always_ff @(posedge clk_i) begin
    // Negative where the compressed squares fall short of the mean's: the floor acts there, too.
    var_q <= (diff[Ex2W+1] || diff == '0) ? Ex2W'(1) : diff[Ex2W-1:0];
  end

  // mean^2 > 4 max(ex2 - mean^2, 1): the square is above 4, and 4 ex2 - 5 mean^2 negative.
  if (IMPRECISE == 1) begin : gen_imprecise
    logic [Ex2W+4:0] rest;
    assign rest        = {3'b0, ex2_3_q, 2'b0} - {2'b0, mean_sq_q, 2'b0} - (Ex2W + 5)'(mean_sq_q);
    assign imprecise_o = rest[Ex2W+4] && mean_sq_q > SqW'(4);
  end else begin : gen_precise
    assign imprecise_o = 1'b0;
  end

  // ------------------------------------------------------- stage 5: leading pair of bits, and v below
  logic [3:0] e, e_q;
  logic [6:0] v, index_q;
  logic       unused_v;

  always_comb begin
    e = '0;
    for (int i = 0; i < Ex2W / 2; i++) begin
      if (var_q[2*i+:2] != 2'd0) e = 4'(i);
    end
  end
  // var * 2^5 / 4^e: the leading pair is now at bits 6 and 5.
  assign {unused_v, v} = 8'({var_q, 5'b0} >> {e, 1'b0});

  always_ff @(posedge clk_i) begin
    e_q     <= e;
    index_q <= v - 7'd32;
  end

  // ------------------------------------------------------------------------------------- beside it
  logic signed [MuW-1:0] mu;
  logic [FracW-1:0]      gfrac, ofrac;

  assign mu = MuW'((17'(mean_q) + 17'sd2) >>> 2);

  sn_pipe #(
    .W     (MuW),
    .STAGES(3)
  ) u_mu (
    .clk_i,
    .en_i  (1'b1),
    .data_i(mu),
    .data_o(mu_o)
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

  if (A_BITS == 10) begin : gen_rsqrt
    assign rsqrt_o = ailayernorm_tables_pkg::rsqrt(index_q);
  end else begin : gen_rsqrt8
    assign rsqrt_o = ailayernorm_tables_pkg::rsqrt8(index_q);
  end
  assign sh_o    = 5'(e_q) + 5'(gfrac) + 5'd7 - 5'(ofrac);

  logic unused;
  assign unused = ^{unused_v, diff[Ex2W], inv_mant_i[14]};
endmodule
