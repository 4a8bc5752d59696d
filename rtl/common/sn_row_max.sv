// SPDX-License-Identifier: Apache-2.0
// Online maximum: the largest unmasked element of a row so far, beat by beat.
//
//   x, active [LANES] --> keys --> maximum tree --> max(row so far, beat) --[reg]--> max_o
//                                                                         --[reg]--> rise_o
//
//   m_t    = max(m_(t-1), max of unmasked x in beat t)
//   rise_o = m_t - m_(t-1)
//
/// Elements are compared as x + 128, unsigned, and a masked lane counts as 0: where no unmasked
/// element has come yet, max_o is 0, i.e. x = -128. The rise from there is not a correction, and
/// does no harm: the sum it would correct is still 0.
///
/// Latency STAGES clocks (tree and one register), one beat a clock.

module sn_row_max #(
  parameter  int LANES  = 32,
  localparam int TREE   = ($clog2(LANES) > 3) ? ($clog2(LANES) + 2) / 3 : 1,
  localparam int STAGES = TREE + 1
) (
  input  logic                  clk_i,
  input  logic [STAGES-1:0]     load_i,    // valid bits of the stages, see sn_reduce_tree
  input  logic [LANES-1:0][7:0] x_i,       // int8
  input  logic [LANES-1:0]      active_i,
  input  logic                  first_i,   // with the last stage: first beat of its row
  output logic [7:0]            max_o,     // m_t + 128
  output logic [7:0]            rise_o
);
  logic [LANES-1:0][7:0] key;
  logic [7:0]            beat_max, prev, max;

  for (genvar i = 0; i < LANES; i++) begin : gen_key
    assign key[i] = active_i[i] ? {!x_i[i][7], x_i[i][6:0]} : 8'd0;
  end

  sn_reduce_tree #(
    .N  (LANES),
    .W  (8),
    .SUM(1'b0)
  ) u_tree (
    .clk_i,
    .load_i(load_i[TREE-1:0]),
    .data_i(key),
    .data_o(beat_max)
  );

  assign prev   = first_i ? 8'd0 : max_o;
  assign max    = (beat_max > prev) ? beat_max : prev;

  always_ff @(posedge clk_i) begin
    if (load_i[STAGES-1]) begin
      max_o  <= max;
      rise_o <= max - prev;
    end
  end
endmodule
