// SPDX-License-Identifier: Apache-2.0
// Input side of the stream contract: turns AXI4-Stream beats into checked, registered beats of rows.
//
//                 +-----------------------------------------+
//   s_axis_* ---->| position in the row, tkeep and length   |--[reg]--> data_o, keep_o, .. (1 clock later)
//   cfg_i ------->| checks, settings of the first beat      |--[reg]--> err_len_o, err_keep_o
//                 +-----------------------------------------+
//
// For each accepted beat:
//   - tkeep must be all ones, on the last beat a run of ones from lane 0 with at least one of them;
//     anything else raises err_keep_o for a clock and sets the row's err_keep.
//   - elements from position MAX_LEN on are not part of the row: they raise err_len_o once a row and
//     set the row's err_len. Lanes past MAX_LEN lose their tkeep, whole beats past it are not
//     stored; the row is complete when its tlast has come, like any other.
//   - cfg_i is taken with the row's first beat and held for the row.
//
// REG = 0: all of it but the pulses in the clock of the beat, with no register in between; while valid_o is 0
// the rest is anything.
//
// Throughput one beat a clock, latency REG clocks. There is no stall after this point: whoever owns
// s_axis_tready (sn_row_buffer) gives it only when the beat has a place to go.

module sn_row_guard #(
  parameter  int LANES     = 32,
  parameter  int MAX_LEN   = 1024,
  parameter  int LANE_W    = 8,     // bits a lane
  parameter  int CFG_W     = 1,
  parameter  int REG       = 1,
  localparam int MAX_BEATS = (MAX_LEN + LANES - 1) / LANES
) (
  input  logic                         clk_i,
  input  logic                         rst_ni,

  input  logic [LANES-1:0][LANE_W-1:0] s_axis_tdata,
  input  logic [LANES-1:0]             s_axis_tkeep,
  input  logic [LANES-1:0]             s_axis_tstrb,
  input  logic                         s_axis_tlast,
  input  logic                         s_axis_tvalid,
  input  logic                         s_axis_tready,
  input  logic [CFG_W-1:0]             cfg_i,

  output logic                         take_o,        // this clock's beat will be stored: reserve

  output logic                         valid_o,       // a beat
  output logic                         store_o,       // 0: dropped, no lane is active
  output logic                         first_o,       // first beat of its row
  output logic                         stored_last_o, // last beat of its row that is stored
  output logic                         close_o,       // the row's tlast: all of it has been seen
  output logic [LANES-1:0][LANE_W-1:0] data_o,        // 0 in lanes that are not active
  output logic [LANES-1:0]             keep_o,        // the element exists
  output logic [LANES-1:0]             active_o,      // the element exists and is not masked
  output logic [CFG_W-1:0]             cfg_o,         // the row's settings
  output logic                         row_err_len_o, // the row's flags, whole once close_o is set
  output logic                         row_err_keep_o,

  output logic                         err_len_o,     // one clock a row
  output logic                         err_keep_o     // one clock a beat
);
  localparam int              CntW  = $clog2(MAX_BEATS + 1);
  localparam int              Tail  = MAX_LEN - (MAX_BEATS - 1) * LANES;  // elements of the last beat
  localparam logic [LANES-1:0] TailMask = {LANES{1'b1}} >> (LANES - Tail);

  logic            in_row_q;  // a beat of the row has come, its tlast has not
  logic [CntW-1:0] beats_q;   // beats of the row so far, at most MAX_BEATS

  logic             accept, first, past_end, at_end, new_len_err, keep_bad;
  logic [CntW-1:0]  beats;
  logic [CntW-1:0]  next;
  logic [LANES-1:0] keep, active, run;

  assign accept   = s_axis_tvalid && s_axis_tready;
  assign first    = !in_row_q;
  assign beats    = first ? '0 : beats_q;
  assign next     = past_end ? beats : beats + CntW'(1);

  if (REG == 1) begin : gen_place
    assign past_end = beats == CntW'(MAX_BEATS);
    assign at_end   = beats == CntW'(MAX_BEATS - 1);
  end else begin : gen_place_early
    // Made a beat earlier: what comes straight from the pins waits for it.
    logic past_q, end_q;
    assign past_end = !first && past_q;
    assign at_end   = first ? MAX_BEATS == 1 : end_q;
    always_ff @(posedge clk_i) begin
      if (accept) begin
        past_q <= next == CntW'(MAX_BEATS);
        end_q  <= next == CntW'(MAX_BEATS - 1);
      end
    end
  end

  always_comb begin
    keep = s_axis_tkeep;
    if (past_end) keep = '0;
    else if (at_end) keep = s_axis_tkeep & TailMask;
  end
  assign active = keep & s_axis_tstrb;

  // A run of ones from lane 0 plus one has no bit in common with the run.
  assign run         = s_axis_tkeep & (s_axis_tkeep + LANES'(1));
  assign keep_bad    = s_axis_tlast ? (run != '0 || !s_axis_tkeep[0]) : !(&s_axis_tkeep);
  assign new_len_err = past_end || (keep != s_axis_tkeep);
  assign take_o      = accept && !past_end;

  // The row's flags up to the beat before, and its settings.
  logic             err_len_q, err_keep_q, row_err_keep;
  logic [CFG_W-1:0] cfg_q;

  assign row_err_keep = keep_bad || (!first && err_keep_q);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      in_row_q   <= 1'b0;
      err_len_o  <= 1'b0;
      err_keep_o <= 1'b0;
    end else begin
      if (accept) in_row_q <= !s_axis_tlast;
      err_len_o  <= accept && new_len_err && (first || !err_len_q);
      err_keep_o <= accept && keep_bad;
    end
  end

  always_ff @(posedge clk_i) begin
    if (accept) begin
      beats_q    <= next;
      err_len_q  <= new_len_err;  // so are all beats of the row behind it
      err_keep_q <= row_err_keep;
      if (first) cfg_q <= cfg_i;
    end
  end

  // Dropped beats get in, too: with no active lane they change nothing.
  if (REG == 1) begin : gen_reg
    // Only what an accepted beat brings gets in, so that X on an idle bus stays outside. Lanes are 0
    // without one, which costs less than to hold what they had.
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) valid_o <= 1'b0;
      else valid_o <= accept;
    end
    always_ff @(posedge clk_i) begin
      keep_o   <= keep & {LANES{accept}};
      active_o <= active & {LANES{accept}};
      for (int i = 0; i < LANES; i++) data_o[i] <= s_axis_tdata[i] & {LANE_W{active[i] && accept}};
      if (accept) begin
        store_o       <= !past_end;
        first_o       <= first;
        stored_last_o <= s_axis_tlast || at_end;
        close_o       <= s_axis_tlast;
      end
    end
    assign cfg_o          = cfg_q;
    assign row_err_len_o  = err_len_q;
    assign row_err_keep_o = err_keep_q;
  end else begin : gen_wire
    assign valid_o        = accept;
    assign keep_o         = keep;
    assign active_o       = active;
    for (genvar i = 0; i < LANES; i++) begin : gen_lane
      assign data_o[i] = s_axis_tdata[i] & {LANE_W{active[i]}};
    end
    assign store_o        = !past_end;
    assign first_o        = first;
    assign stored_last_o  = s_axis_tlast || at_end;
    assign close_o        = s_axis_tlast;
    assign cfg_o          = first ? cfg_i : cfg_q;
    assign row_err_len_o  = new_len_err;
    assign row_err_keep_o = row_err_keep;
  end
endmodule
