// SPDX-License-Identifier: Apache-2.0
// The arithmetic of AILayerNorm as its page has it (docs/units.md), for proofs over all inputs.

module sn_leaf_compress #(
  parameter int CMP_RANGES = 2
) (
  input logic [8:0] a_i,
  input logic [3:0] y_o,
  input logic [1:0] range_o
);
  logic [31:0] u, y, s;

  always_comb begin
    m_range : assume (a_i != 9'h100);  // x - zp is -255 .. 255
    u = a_i[8] ? 32'd512 - 32'(a_i) : 32'(a_i);
    if (u >= 64) begin
      y = (u + 8) >> 4;
      s = CMP_RANGES - 1;
    end else if (CMP_RANGES == 3 && u < 16) begin
      y = u;
      s = 0;
    end else begin
      y = (u + 2) >> 2;
      s = CMP_RANGES - 2;
    end
    a_equation : assert (32'(y_o) == ((y < 15) ? y : 15) && 32'(range_o) == s);
    r_clipped : assert (y <= 15);
  end
endmodule

`ifdef SN_LEAF_COMPRESS
bind ailayernorm_compress sn_leaf_compress #(.CMP_RANGES(CMP_RANGES)) u_leaf (.*);
`endif

// A lane of the statistics, up to the trees.
module sn_leaf_statistics #(
  parameter  int CMP_RANGES = 2,
  parameter  int EXACT_SQ   = 0,
  localparam int SqW        = (CMP_RANGES == 2 && EXACT_SQ == 0) ? 18 : 22
) (
  input logic           clk_i,
  input logic [7:0]     x_i,
  input logic           active_i,
  input logic [7:0]     zp_i,
  input logic [1:0]     alpha_i,
  input logic [11:0]    step_o,
  // inside
  input logic [SqW-1:0] square
);
  logic               clocked_q = 1'b0, active_q;
  logic signed [31:0] a, a_q;
  logic [31:0]        u, y, s, want;
  assign a = 32'(x_i) - 32'(zp_i);
  always_ff @(posedge clk_i) begin
    clocked_q <= 1'b1;
    active_q  <= active_i;
    a_q       <= a;
  end
  always_comb begin
    u = (a_q < 0) ? -a_q : a_q;
    if (u >= 64) begin
      y = (u + 8) >> 4;
      s = CMP_RANGES - 1;
    end else if (CMP_RANGES == 3 && u < 16) begin
      y = u;
      s = 0;
    end else begin
      y = (u + 2) >> 2;
      s = CMP_RANGES - 2;
    end
    if (y > 15) y = 15;
    want = ((EXACT_SQ == 1) ? u * u : (y * y) << (4 * s)) << (2 * alpha_i);
  end
  a_step : assert property (@(posedge clk_i) !clocked_q ||
      step_o == (active_q ? 12'(a_q <<< alpha_i) : 12'd0));
  a_square : assert property (@(posedge clk_i) !clocked_q ||
      32'(square) == (active_q ? want : 32'd0));
  r_square : assert property (@(posedge clk_i) !clocked_q || square != 16);
endmodule

`ifdef SN_LEAF_STATISTICS
bind ailayernorm_statistics sn_leaf_statistics #(
  .CMP_RANGES(CMP_RANGES), .EXACT_SQ(EXACT_SQ)
) u_leaf (
  .x_i     (x_i[0]),
  .active_i(active_i[0]),
  .alpha_i (alpha_i[0]),
  .step_o  (step_o[0]),
  .square  (square[0]),
  .*
);
`endif

// The moments of a row, stage by stage: what each register takes of those before it. The products with M
// are sn_multiply's, proved there: here they are any numbers.
module sn_leaf_moments #(
  parameter int SUM_W      = 22,
  parameter int SQUARE_W   = 28,
  parameter int EXP_W      = 4,
  parameter int CMP_RANGES = 2,
  parameter int EPS        = 0,
  parameter int IMPRECISE  = 0
) (
  input logic                       clk_i,
  input logic [15:0]                inv_mant_i,
  input logic [EXP_W-1:0]           inv_exp_i,
  input logic                       rms_i,
  input logic [15:0]                eps_i,
  input logic [9:0]                 rsqrt_o,
  input logic [4:0]                 sh_o,
  input logic                       imprecise_o,
  // inside
  input logic signed [SUM_W+15:0]   prod_q,
  input logic [SQUARE_W+16:0]       prod_sq_q,
  input logic signed [15:0]         mean_q,
  input logic [29:0]                ex2_3_q,
  input logic [30:0]                mean_sq_q,
  input logic [29:0]                var_q,
  input logic [3:0]                 e_q,
  input logic [6:0]                 index_q,
  input logic [2:0]                 gfrac,
  input logic [2:0]                 ofrac,
  input logic signed [14:0]         mu
);
  // RSQRT[v - 32] = round(2^10 / sqrt((v + 0.5) / 32))
  function automatic logic [95:0][9:0] table_r();
    for (int v = 32; v < 128; v++)
      table_r[v-32] = 10'($rtoi($floor(1024.0 / $sqrt((v + 0.5) / 32.0) + 0.5)));
  endfunction
  localparam logic [95:0][9:0] Rsqrt = table_r();
  localparam int               Scale = (CMP_RANGES == 2) ? 4 : 0;

  // M is from 2^14 to 2^15; the products are with M, or with its half where it is 2^15.
  m_mant : assume property (@(posedge clk_i) inv_mant_i[15:14] == 2'b01 || inv_mant_i == 16'h8000);
  // Lz = floor(log2 n), n at most MAX_LEN = 2^(SUM_W - 12).
  m_place : assume property (@(posedge clk_i) 32'(inv_exp_i) <= SUM_W - 12);

  logic        half_q, rms_q, clocked_q = 1'b0, clocked_2_q = 1'b0, clocked_3_q = 1'b0;
  logic        clocked_4_q = 1'b0;
  logic [31:0] lz_q;
  always_ff @(posedge clk_i) begin
    {clocked_4_q, clocked_3_q, clocked_2_q, clocked_q} <= {clocked_3_q, clocked_2_q, clocked_q, 1'b1};
    half_q <= inv_mant_i[15];
    lz_q   <= 32'(inv_exp_i);
    rms_q  <= rms_i;
  end

  logic signed [63:0] sum, mean, mean_want_q;
  logic [63:0]        square, ex2, ex2_q, ex2_want_q;
  logic signed [33:0] diff, total;
  logic [2:0][15:0]   eps_q;  // of the row in stage 4
  logic [29:0]        var_want_q, var_before_q;
  always_comb begin
    sum    = half_q ? 64'(prod_q) * 2 : 64'(prod_q);
    mean   = rms_q ? 64'sd0 : (sum + (64'sd1 <<< (10 + lz_q))) >>> (11 + lz_q);
    square = (half_q ? 64'(prod_sq_q) * 2 : 64'(prod_sq_q)) << Scale;
    ex2    = (square + (64'd1 << (6 + lz_q))) >> (7 + lz_q);
    diff   = 34'(ex2_3_q) - 34'(mean_sq_q);
    total  = (EPS == 1) ? diff + 34'(eps_q[2]) : diff;
  end
  always_ff @(posedge clk_i) begin
    mean_want_q  <= mean;
    ex2_q        <= ex2;
    ex2_want_q   <= ex2_q;
    eps_q        <= {eps_q[1:0], eps_i};
    var_want_q   <= (total < 1) ? 30'd1 : (total > 34'sh3fff_ffff) ? 30'h3fff_ffff : 30'(total);
    var_before_q <= var_q;
  end

  a_mean : assert property (@(posedge clk_i) !clocked_2_q || mean_q == 16'(mean_want_q));
  a_ex2 : assert property (@(posedge clk_i) !clocked_3_q || ex2_3_q == 30'(ex2_want_q));
  a_var : assert property (@(posedge clk_i) !(EPS == 1 ? clocked_4_q : clocked_q) || var_q == var_want_q);
  a_imprecise : assert property (@(posedge clk_i)
      imprecise_o == (IMPRECISE == 1 && 36'(mean_sq_q) > 4 * 36'((diff < 1) ? 34'sd1 : diff)));
  a_root : assert property (@(posedge clk_i) !clocked_2_q ||
      (var_before_q >> (2 * e_q)) != 0 && (var_before_q >> (2 * e_q)) < 4 &&
      32'(index_q) + 32 == 32'((35'(var_before_q) << 5) >> (2 * e_q)));
  a_rsqrt : assert property (@(posedge clk_i) index_q > 95 || rsqrt_o == Rsqrt[index_q]);
  a_sh : assert property (@(posedge clk_i)
      32'(sh_o) == 32'(5'(32'(e_q) + 32'(gfrac) + 7 - 32'(ofrac))));
  a_mu : assert property (@(posedge clk_i) mu == 15'((17'(mean_q) + 17'sd2) >>> 2));
  r_floor : assert property (@(posedge clk_i) !clocked_2_q || var_before_q != 1 || rsqrt_o == 0);
endmodule

`ifdef SN_LEAF_MOMENTS
bind ailayernorm_moments sn_leaf_moments #(
  .SUM_W(SUM_W), .SQUARE_W(SQUARE_W), .EXP_W(EXP_W), .CMP_RANGES(CMP_RANGES), .EPS(EPS),
  .IMPRECISE(IMPRECISE)
) u_leaf (.*);
`endif

// A byte of a wide input, from the product on: that is sn_multiply's, proved there.
module sn_leaf_quantise #(
  parameter int IN_W = 16
) (
  input logic              clk_i,
  input logic [5:0]        qshift_i,
  input logic [1:0]        alpha_i,
  input logic [7:0]        zp_i,
  input logic [7:0]        x_o,
  // inside
  input logic [IN_W+15:0]  product_q
);
  logic               clocked_q = 1'b0, clocked_2_q = 1'b0;
  logic signed [71:0] product, half, shifted_q, q;
  logic [6:0]         sh;
  logic [7:0]         want_q;
  always_comb begin
    product = 72'($signed(product_q));
    sh      = 7'(qshift_i) + 7'(alpha_i);
    half    = (sh == 0) ? 72'sd0 : 72'sd1 <<< (sh - 7'd1);
    q       = shifted_q + $signed({64'b0, zp_i});
  end
  always_ff @(posedge clk_i) begin
    {clocked_2_q, clocked_q} <= {clocked_q, 1'b1};
    shifted_q <= (product + half) >>> sh;
    want_q    <= (q < 0) ? 8'd0 : (q > 255) ? 8'd255 : 8'(q);
  end
  // No product of a signed input and 16 bits is the least number.
  m_product : assume property (@(posedge clk_i) product_q != {1'b1, {(IN_W + 15){1'b0}}});
  a_byte : assert property (@(posedge clk_i) !clocked_2_q || x_o == want_q);
  r_byte : assert property (@(posedge clk_i) !clocked_q || x_o != 77);
endmodule

`ifdef SN_LEAF_QUANTISE
bind ailayernorm_quantise sn_leaf_quantise #(.IN_W(IN_W)) u_leaf (
  .alpha_i  (alpha_i[0]),
  .x_o      (x_o[0]),
  .product_q(gen_lane[0].product[IN_W+15:0]),
  .*
);
`endif
