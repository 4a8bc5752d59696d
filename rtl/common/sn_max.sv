// SPDX-License-Identifier: Apache-2.0
// The larger of two unsigned numbers, from the top bit down. Combinational.
//
//   a_i, b_i --> bit W-1 --> which may still be it --> bit W-2 --> ... --> bit 0
//                   |                                     |                  |
//                   +---------------> max_o <-------------+------------------+
//
//   max[j]    = a[j] of a, if a is level with max above j, or b[j] of b, likewise
//   a remains = a[j] == max[j]; from the start it is out where a_on_i is 0, and counts as 0, and so is b
//
//   W = 4:   a = 0110    b = 0101
//   bit 3:   0           0           max 0, both remain
//   bit 2:   1           1           max 1, both remain
//   bit 1:   1           0           max 1, b is out
//   bit 0:   0           not asked   max 0: 0110
//
// A carry-chain comparator has its result only after all W bits, so that a tree of them adds W bit
// delays a level. From the top bit down the next level starts on the upper bits at once: a level costs
// the delay of one or two bits, at two thirds of the area.

module sn_max #(
  parameter int W = 8
) (
  input  logic         a_on_i,
  input  logic         b_on_i,
  input  logic [W-1:0] a_i,
  input  logic [W-1:0] b_i,
  output logic [W-1:0] max_o
);
  always_comb begin
    logic a, b;  // level with max_o so far
    a = a_on_i;
    b = b_on_i;
    for (int j = W - 1; j >= 0; j--) begin
      max_o[j] = (a && a_i[j]) || (b && b_i[j]);
      a = a && (a_i[j] || !max_o[j]);
      b = b && (b_i[j] || !max_o[j]);
    end
  end
endmodule
