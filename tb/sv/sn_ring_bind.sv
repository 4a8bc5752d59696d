// SPDX-License-Identifier: Apache-2.0
// Binds sn_ring_source to a unit, in front of the row buffer SN_RING that the guard SN_GUARD feeds.

bind `SN_UNIT sn_ring_source #(
  .WR_DELAY  (`SN_WR_DELAY),
  .DONE_DELAY(`SN_DONE_DELAY),
  .MAX_BEATS ((MAX_LEN + LANES - 1) / LANES),
  .ASSUME    (1'b0)
) u_check_source (
  .clk_i      (clk_i),
  .rst_ni     (rst_ni),
  .take_i     (`SN_RING.take_i),
  .ready_o    (`SN_RING.ready_o),
  .wr_en_i    (`SN_RING.wr_en_i),
  .wr_last_i  (`SN_RING.wr_last_i),
  .done_i     (`SN_RING.done_i),
  .close_i    (`SN_RING.close_i),
  .row_beats_i(`SN_GUARD.in_row_q ? 32'(`SN_GUARD.beats_q) : 32'd0),
  .row_full_i (`SN_GUARD.in_row_q && 32'(`SN_GUARD.beats_q) == (MAX_LEN + LANES - 1) / LANES),
  .taken_q    (),
  .last_q     (),
  .ended_q    (),
  .beats_q    ()
);
