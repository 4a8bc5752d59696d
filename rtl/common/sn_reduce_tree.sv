// SPDX-License-Identifier: Apache-2.0
// Pipelined binary tree over N unsigned numbers: their sum.
//
//   data_i [N][W] --+-- level 1 --+-- level 2 --+-- level 3 --[reg]-- level 4 -- ... --> data_o [W]
//                 a + b         a + b         a + b
//
// One register behind every third level, counted from those that the caller has before it (ABOVE):
// STAGES clocks, one operand set a clock. What is behind the last of them is not registered: the
// caller goes on from there, as a rule with one level more that takes the row so far, and a register.
// The registers load at every clock, for an enable costs a multiplexer a bit: where the caller has
// nothing to add it holds data_i, and nothing toggles. All nodes are W bits wide, which hold the
// total; synthesis drops the upper bits that are constant near the leaves.

module sn_reduce_tree #(
  parameter  int N      = 32,
  parameter  int W      = 8,
  parameter  int ABOVE  = 0,  // 0 .. 2
  localparam int LEVELS = $clog2(N),
  localparam int STAGES = (LEVELS + ABOVE) / 3  // clocks from data_i to data_o
) (
  input  logic                clk_i,
  input  logic [N-1:0][W-1:0] data_i,
  output logic [W-1:0]        data_o
);
  for (genvar l = 0; l <= LEVELS; l++) begin : gen_level
    logic [(N>>l)*W-1:0] node;  // after the operation
    logic [(N>>l)*W-1:0] out;   // after the register, where this level has one

    if (l == 0) begin : gen_leaf
      assign node = data_i;
    end else begin : gen_sum
      for (genvar i = 0; i < (N >> l); i++) begin : gen_node
        logic [W-1:0] a, b;
        assign a = gen_level[l-1].out[2*i*W+:W];
        assign b = gen_level[l-1].out[(2*i+1)*W+:W];
        assign node[i*W+:W] = a + b;
      end
    end

    if (l > 0 && (l + ABOVE) % 3 == 0) begin : gen_reg
      always_ff @(posedge clk_i) out <= node;
    end else begin : gen_wire
      assign out = node;
    end
  end

  if (STAGES == 0) begin : gen_no_clock
    logic unused;
    assign unused = clk_i;
  end

  assign data_o = gen_level[LEVELS].out;
endmodule
