// SPDX-License-Identifier: Apache-2.0
// Trees over the lanes of a beat, and what a row takes of them, for proofs over all inputs. A tree is proved
// by induction: a leaf is its lane, a node is the sum, or the larger, of the two trees below it, whatever
// those give.

module sn_leaf_tree #(
  parameter  int N      = 32,
  parameter  int W      = 8,
  parameter  int ABOVE  = 0,
  localparam int LEVELS = $clog2(N)
) (
  input logic                  clk_i,
  input logic [N-1:0][W-1:0]   data_i,
  input logic [W-1:0]          data_o,
  // inside: what each level gives, the top first, the leaves last
  input logic [2*N-2:0][W-1:0] out
);
  logic clocked_q = 1'b0;
  always_ff @(posedge clk_i) clocked_q <= 1'b1;

  for (genvar i = 0; i < N; i++) begin : gen_leaf
    a_leaf : assert property (@(posedge clk_i) out[i] == data_i[i]);
  end
  for (genvar l = 1; l <= LEVELS; l++) begin : gen_level
    localparam int Below = 2 * N - ((2 * N) >> (l - 1));  // the first tree of the level below
    localparam int Here  = 2 * N - ((2 * N) >> l);
    for (genvar i = 0; i < (N >> l); i++) begin : gen_node
      logic [W-1:0] want, want_q;
      assign want = out[Below+2*i] + out[Below+2*i+1];
      always_ff @(posedge clk_i) want_q <= want;
      if ((l + ABOVE) % 3 == 0) begin : gen_late
        a_node : assert property (@(posedge clk_i) !clocked_q || out[Here+i] == want_q);
      end else begin : gen_now
        a_node : assert property (@(posedge clk_i) out[Here+i] == want);
      end
    end
  end
  a_root : assert property (@(posedge clk_i) data_o == out[2*N-2]);
  r_root : assert property (@(posedge clk_i) !clocked_q || data_o != 1);
endmodule

// All of a tree at once, where a solver can: data_o is the sum, some clocks later.
module sn_leaf_sum #(
  parameter int N      = 8,
  parameter int W      = 11,
  parameter int STAGES = 1
) (
  input logic                clk_i,
  input logic [N-1:0][W-1:0] data_i,
  input logic [W-1:0]        data_o
);
  logic [STAGES:0][W-1:0] sum;
  logic [STAGES:0]        filled_q = '0;
  logic [STAGES:1][W-1:0] sum_q;
  always_comb begin
    sum = {sum_q, W'(0)};
    for (int i = 0; i < N; i++) sum[0] = sum[0] + data_i[i];
  end
  always_ff @(posedge clk_i) begin
    sum_q    <= sum[STAGES-1:0];
    filled_q <= {filled_q[STAGES-1:0], 1'b1};
  end
  a_sum : assert property (@(posedge clk_i) !filled_q[STAGES-1] || data_o == sum[STAGES]);
  r_sum : assert property (@(posedge clk_i) !filled_q[STAGES-1] || data_o != 1);
endmodule

// What a row's sum takes of its tree: any beat's sum, with the offset of signed elements.
module sn_leaf_row_sum #(
  parameter  int LANES  = 32,
  parameter  int ELEM_W = 8,
  parameter  int SUM_W  = 18,
  parameter  bit SIGNED = 0,
  localparam int BeatW  = ELEM_W + $clog2(LANES)
) (
  input logic                         clk_i,
  input logic [LANES-1:0][ELEM_W-1:0] data_i,
  input logic                         load_i,
  input logic                         first_i,
  input logic [SUM_W-1:0]             sum_o,
  // inside
  input logic [LANES-1:0][BeatW-1:0]  elem,
  input logic [BeatW-1:0]             beat_sum
);
  logic signed [SUM_W+1:0] of_beat, want_q;
  logic                    clocked_q = 1'b0;
  always_comb begin
    // LANES offsets of 2^(ELEM_W - 1) are in it.
    of_beat = (SUM_W + 2)'(beat_sum);
    if (SIGNED) of_beat = of_beat - (SUM_W + 2)'(LANES * 2 ** (ELEM_W - 1));
  end
  always_ff @(posedge clk_i) begin
    clocked_q <= 1'b1;
    want_q    <= !load_i ? (SUM_W + 2)'(sum_o) : first_i ? of_beat : (SUM_W + 2)'(sum_o) + of_beat;
  end
  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    if (SIGNED) begin : gen_signed
      a_offset : assert property (@(posedge clk_i)
          BeatW'(elem[i]) == BeatW'($signed(data_i[i]) + (2 ** (ELEM_W - 1))));
    end else begin : gen_unsigned
      a_offset : assert property (@(posedge clk_i) elem[i] == BeatW'(data_i[i]));
    end
  end
  a_row_sum : assert property (@(posedge clk_i) !clocked_q || sum_o == SUM_W'(want_q));
  r_row_sum : assert property (@(posedge clk_i) !clocked_q || sum_o != 1);
endmodule

// The maximum of a row so far: none is larger, and it is one of them, or 0 where there is none.
module sn_leaf_row_max #(
  parameter int LANES = 32
) (
  input logic                  clk_i,
  input logic                  load_i,
  input logic                  store_i,
  input logic [LANES-1:0]      on_i,
  input logic [LANES-1:0][7:0] key_i,
  input logic                  first_i,
  input logic [7:0]            max_o,
  input logic [7:0]            prev_o
);
  logic                  clocked_q = 1'b0, load_q;
  logic [LANES-1:0][7:0] key_q;
  logic [7:0]            before_q, max_q, prev_q;
  logic                  one;
  always_ff @(posedge clk_i) begin
    clocked_q <= 1'b1;
    load_q    <= load_i;
    for (int i = 0; i < LANES; i++) key_q[i] <= (store_i && on_i[i]) ? key_i[i] : 8'd0;
    before_q  <= first_i ? 8'd0 : max_o;
    max_q     <= max_o;
    prev_q    <= prev_o;
  end
  always_comb begin
    one = max_o == before_q;  // or 0, which a beat with no lane that counts has, too
    for (int i = 0; i < LANES; i++) if (max_o == key_q[i]) one = 1'b1;
  end
  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    a_larger : assert property (@(posedge clk_i) !(clocked_q && load_q) || max_o >= key_q[i]);
  end
  a_rises : assert property (@(posedge clk_i) !(clocked_q && load_q) || max_o >= before_q);
  a_one : assert property (@(posedge clk_i) !(clocked_q && load_q) || one);
  a_before : assert property (@(posedge clk_i) !(clocked_q && load_q) || prev_o == before_q);
  a_holds : assert property (@(posedge clk_i) !clocked_q || load_q ||
      {max_o, prev_o} == {max_q, prev_q});
  r_max : assert property (@(posedge clk_i) !(clocked_q && load_q) || max_o != 200);
endmodule

// A lane of the affine stage, of any products: A, the quotient, beta, saturation.
module sn_leaf_affine #(
  parameter int DEV_W     = 20,
  parameter int R_W       = 16,
  parameter int SH_W      = 6,
  parameter int LEFT      = 2,
  parameter int SHIFT_REG = 1
) (
  input logic                    clk_i,
  input logic                    en_i,
  input logic [DEV_W-1:0]        dev_i,
  input logic [SH_W-1:0]         sh_i,
  input logic [7:0]              beta_i,
  input logic [7:0]              out_o,
  // inside
  input logic [R_W+8:0]          scaled,
  input logic [R_W-1:0]          factor_q,
  input logic [DEV_W-1:0]        dev_q,
  input logic [R_W+DEV_W-1:0]    num
);
  localparam int Wide = R_W + DEV_W + LEFT + 2;
  localparam int Late = 2 + SHIFT_REG;
  // Both products are of their inputs, with room (sn_multiply): R_W + 8 and R_W + DEV_W - 1 bits.
  m_num : assume property (@(posedge clk_i) num[R_W+DEV_W-1] == num[R_W+DEV_W-2]);

  logic [Late-1:0]           filled_q = '0;
  logic [1:0][SH_W-1:0]      sh_q;
  logic signed [Wide-1:0]    num_q, twice, rounded, rounded_q, total;
  logic [R_W-1:0]            factor_want_q;
  logic [DEV_W-1:0]          dev_want_q;
  always_ff @(posedge clk_i) begin
    if (en_i) begin
      filled_q      <= Late'({filled_q, 1'b1});
      sh_q          <= {sh_q[0], sh_i};
      factor_want_q <= R_W'(scaled >> 8);
      dev_want_q    <= dev_i;
      num_q         <= Wide'($signed(num));
      rounded_q     <= rounded;
    end
  end
  always_comb begin
    // rnd(num / 2^sh), sh = sh_i - LEFT
    twice   = (num_q <<< (LEFT + 1)) >>> sh_q[1];
    rounded = (twice + 1) >>> 1;
    total   = ((SHIFT_REG == 1) ? rounded_q : rounded) + Wide'($signed(beta_i));
    if (total > 127) total = 127;
    if (total < -128) total = -128;
  end
  a_factor : assert property (@(posedge clk_i) !filled_q[0] ||
      factor_q == factor_want_q && dev_q == dev_want_q);
  a_out : assert property (@(posedge clk_i) !filled_q[Late-1] || Wide'($signed(out_o)) == total);
  r_out : assert property (@(posedge clk_i) !filled_q[Late-1] || out_o != 8'd5);
endmodule

`ifdef SN_LEAF_TREE32
bind sn_reduce_tree sn_leaf_tree #(.N(N), .W(W), .ABOVE(ABOVE)) u_leaf (
  .out({gen_level[5].out, gen_level[4].out, gen_level[3].out, gen_level[2].out, gen_level[1].out,
        gen_level[0].out}),
  .*
);
`endif
`ifdef SN_LEAF_TREE16
bind sn_reduce_tree sn_leaf_tree #(.N(N), .W(W), .ABOVE(ABOVE)) u_leaf (
  .out({gen_level[4].out, gen_level[3].out, gen_level[2].out, gen_level[1].out, gen_level[0].out}),
  .*
);
`endif
`ifdef SN_LEAF_SUM
bind sn_reduce_tree sn_leaf_sum #(.N(N), .W(W), .STAGES(STAGES)) u_leaf (.*);
`endif
`ifdef SN_LEAF_ROW_SUM
bind sn_row_sum sn_leaf_row_sum #(
  .LANES(LANES), .ELEM_W(ELEM_W), .SUM_W(SUM_W), .SIGNED(SIGNED)
) u_leaf (.*);
`endif
`ifdef SN_LEAF_ROW_MAX
bind sn_row_max sn_leaf_row_max #(.LANES(LANES)) u_leaf (.*);
`endif
`ifdef SN_LEAF_AFFINE
bind sn_affine sn_leaf_affine #(
  .DEV_W(DEV_W), .R_W(R_W), .SH_W(SH_W), .LEFT(LEFT), .SHIFT_REG(SHIFT_REG)
) u_leaf (
  .dev_i   (dev_i[0]),
  .beta_i  (beta_i[0]),
  .out_o   (out_o[0]),
  .scaled  (gen_lane[0].scaled),
  .factor_q(gen_lane[0].factor_q),
  .dev_q   (gen_lane[0].dev_q),
  .num     (gen_lane[0].num),
  .*
);
`endif
