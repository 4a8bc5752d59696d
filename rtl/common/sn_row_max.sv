// SPDX-License-Identifier: Apache-2.0
// Online maximum: the largest unmasked element of a row so far, beat by beat.
//
//   key [LANES] --> maximum tree --> max(row so far, beat) --[reg]--> max_o
//                                    row so far ------------[reg]--> prev_o
//
//   m_t = max(m_(t-1), max of unmasked x in beat t)       max_o = m_t + 128,  prev_o = m_(t-1) + 128
//
/// Elements are compared as x + 128, unsigned, and a masked lane counts as 0: where no unmasked
/// element has come yet, max_o is 0, i.e. x = -128. The rise from there is not a correction, and
/// does no harm: the sum it would correct is still 0.
///
/// Latency floor(clog2(LANES) / 3) + 1 clocks, one beat a clock.

module sn_row_max #(
  parameter int LANES = 32
) (
  input  logic                  clk_i,
  input  logic                  load_i,   // with the last stage: it holds a beat
  input  logic [LANES-1:0][7:0] key_i,    // x + 128, 0 where it is masked
  input  logic                  first_i,  // with the last stage: first beat of its row
  output logic [7:0]            max_o,
  output logic [7:0]            prev_o
);
  logic [7:0] beat_max, prev;

  sn_reduce_tree #(
    .N  (LANES),
    .W  (8),
    .SUM(1'b0)
  ) u_tree (
    .clk_i,
    .data_i(key_i),
    .data_o(beat_max)
  );

  assign prev = first_i ? 8'd0 : max_o;

  always_ff @(posedge clk_i) begin
    if (load_i) begin
      max_o    <= (beat_max > prev) ? beat_max : prev;
      prev_o <= prev;
    end
  end
endmodule
