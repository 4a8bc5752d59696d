// SPDX-License-Identifier: Apache-2.0
// Online maximum of wide elements, as sn_row_max has it, in two clocks: upper bits, then lower ones.
//
//   key [LANES] --> upper bits of a tree of maxima --> max(row so far, beat) --[reg]--+--[reg]--> max_o
//               |               which are level with their maximum --[regs]--+        |           prev_o
//               +--[reg]--> lower bits of the tree <-------------------------+        |
//                                          --> max(row so far, beat) --[reg]----------+
//
// A maximum is found from the top bit down (sn_max), and the bits of a level follow those of the level
// before. So the cut between the clocks runs across the tree: each level has one bit less above it than
// the one before, and both clocks are half as long as the whole. Below the cut a level needs of its two
// inputs only whether they are level with their maximum above it.
//
//   W = 32, LANES = 32:    level 1: 18 bits, then 14    ..    level 5: 14, 18    the row: 13, 19
//
// The row so far goes on from beat to beat in each clock by itself: the upper bits do not wait for the
// lower ones. Two clocks, one beat a clock.

module e2softmax_wide_max #(
  parameter  int LANES  = 32,
  parameter  int W      = 32,
  parameter  int START  = 0,
  localparam int LEVELS = $clog2(LANES)
) (
  input  logic                    clk_i,
  input  logic                    load_i,       // there is a beat
  input  logic                    load_late_i,  // a clock later
  input  logic [LANES-1:0][W-1:0] key_i,        // x + B, 0 where it is masked
  input  logic                    first_i,      // it is the first of its row
  input  logic [W-1:0]            start_i,      // with first_i; ignored with START = 0
  output logic [W-1:0]            max_o,
  output logic [W-1:0]            prev_o
);
  // Bits below the cut: of level 1 this many, and one more each level.
  localparam int Low1 = W / 2 - (LEVELS + 1) / 2 + 1;
  localparam int Cut  = Low1 + LEVELS;  // of the row so far, the last level's second input

  logic           first_q;
  logic [W-1:Cut] prev, max_q, prev_q;
  logic [Cut-1:0] prev_low, start_q;

  if (START == 0) begin : gen_zero
    logic unused;
    assign start_q = '0;
    assign prev    = first_i ? '0 : max_q;
    assign unused  = ^start_i;
  end else begin : gen_start
    always_ff @(posedge clk_i) start_q <= start_i[Cut-1:0];
    assign prev = first_i ? start_i[W-1:Cut] : max_q;
  end
  assign prev_low = first_q ? start_q : max_o[Cut-1:0];

  for (genvar l = 0; l <= LEVELS + 1; l++) begin : gen_level
    localparam int Nodes = (l == 0) ? LANES : (l > LEVELS) ? 1 : LANES >> l;
    localparam int Low   = (l == 0) ? W : Low1 + l - 1;
    // Above the cut; the same a clock later, with what is below.
    logic [Nodes*W-1:0] upper, lower;

    if (l == 0) begin : gen_leaf
      assign upper = key_i;
      always_ff @(posedge clk_i) lower <= key_i;
    end else begin : gen_max
      for (genvar i = 0; i < Nodes; i++) begin : gen_node
        logic [W-1:0] a, b, a_late, b_late;
        logic         a_level, b_level, a_level_q, b_level_q;  // with the maximum, above the cut
        logic [W-1:Low] above, above_q;
        logic [Low-1:0] below;

        if (l <= LEVELS) begin : gen_tree
          assign {b, a}           = gen_level[l-1].upper[2*i*W+:2*W];
          assign {b_late, a_late} = gen_level[l-1].lower[2*i*W+:2*W];
        end else begin : gen_row
          assign {b, a}           = {prev, Cut'(0), gen_level[LEVELS].upper};
          assign {b_late, a_late} = {(W - Cut)'(0), prev_low, gen_level[LEVELS].lower};
        end

        always_comb begin
          a_level = 1'b1;
          b_level = 1'b1;
          for (int j = W - 1; j >= Low; j--) begin
            above[j] = (a_level && a[j]) || (b_level && b[j]);
            a_level  = a_level && (a[j] || !above[j]);
            b_level  = b_level && (b[j] || !above[j]);
          end
        end

        always_ff @(posedge clk_i) begin
          a_level_q <= a_level;
          b_level_q <= b_level;
          above_q   <= above;
        end

        always_comb begin
          logic a_in, b_in;
          a_in = a_level_q;
          b_in = b_level_q;
          for (int j = Low - 1; j >= 0; j--) begin
            below[j] = (a_in && a_late[j]) || (b_in && b_late[j]);
            a_in     = a_in && (a_late[j] || !below[j]);
            b_in     = b_in && (b_late[j] || !below[j]);
          end
        end

        assign upper[i*W+:W] = {above, Low'(0)};
        assign lower[i*W+:W] = {above_q, below};

        logic unused;
        assign unused = ^{a[Low-1:0], b[Low-1:0], a_late[W-1:Low], b_late[W-1:Low]};
      end
    end
  end

  logic unused_low;
  assign unused_low = ^gen_level[LEVELS+1].upper[Cut-1:0];

  always_ff @(posedge clk_i) begin
    first_q <= first_i;
    if (load_i) begin
      max_q  <= gen_level[LEVELS+1].upper[W-1:Cut];
      prev_q <= prev;
    end
    if (load_late_i) begin
      max_o  <= gen_level[LEVELS+1].lower;
      prev_o <= {prev_q, prev_low};
    end
  end
endmodule
