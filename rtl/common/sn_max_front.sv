// SPDX-License-Identifier: Apache-2.0
// Front of every softmax: checked beats of unsigned elements, and the maximum of their row so far.
//
//                 stage 0                                        stage 1
//   s_axis_* --> x + B   --> row guard --[reg]--+--> row maximum --[reg]--> max_o, prev_o
//   cfg_i ----------------------^               +--> lane_o, first_o, store_o, ...
//
// From here on an element is its key x + B, unsigned, B = 2^(IN_W-1): x + 128 of int8. A lane has a
// bit more, and a lane that is not active has no key, so that bit 0 tells a masked element from none:
//
//   lane_o[i] = 1 kkkkkkkk   an element with the key k
//               0 00000001   a masked element
//               0 00000000   no element
//
// IN_REG = 0: stage 0 is the pins, and an int8 lane that is not active may have anything in bits 7 to 1.
//
// valid_o[s] tells that stage s of pass 1 holds a beat, for the stages that the softmax has behind
// this cell, too. Nothing stalls: whoever owns s_axis_tready gives it only when the beat has a place
// to go (sn_row_guard).

module sn_max_front #(
  parameter int LANES   = 32,
  parameter int MAX_LEN = 1024,
  parameter int IN_W    = 8,    // bits of an element
  parameter int START   = 0,    // 1: a row's maximum starts from start_i (sn_row_max)
  parameter int CFG_W   = 1,
  parameter int STAGES  = 1,    // of pass 1, behind stage 0
  parameter int IN_REG  = 1     // 0: stage 0 is the pins
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic [CFG_W-1:0]      cfg_i,

  input  logic [IN_W*LANES-1:0] s_axis_tdata,
  input  logic [LANES-1:0]      s_axis_tkeep,
  input  logic [LANES-1:0]      s_axis_tstrb,
  input  logic                  s_axis_tlast,
  input  logic                  s_axis_tvalid,
  input  logic                  s_axis_tready,

  output logic                  err_len_o,
  output logic                  err_keep_o,

  output logic                  take_o,         // this clock's beat will be stored: reserve
  output logic [STAGES:0]       valid_o,

  // Stage 0, as sn_row_guard has it.
  output logic                  store_o,
  output logic                  first_o,
  output logic                  stored_last_o,
  output logic                  close_o,
  output logic [CFG_W-1:0]      cfg_o,
  output logic                  row_err_len_o,
  output logic                  row_err_keep_o,
  output logic [LANES-1:0][IN_W:0] lane_o,
  input  logic [IN_W-1:0]       start_i,        // with first_o: a key

  // Stage 1, as sn_row_max has it.
  output logic [IN_W-1:0]       max_o,
  output logic [IN_W-1:0]       prev_o
);
  logic [LANES-1:0][IN_W-1:0] in_key, key;
  logic [LANES-1:0]           keep, active;
  logic [STAGES-1:0]          valid_q;

  logic [LANES-1:0][IN_W-1:0] max_key, lane_key;
  logic [LANES-1:0]           on;
  logic                       store;

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    assign in_key[i] = {!s_axis_tdata[IN_W*i+IN_W-1], s_axis_tdata[IN_W*i+:IN_W-1]};
    assign lane_o[i] = {active[i], lane_key[i][IN_W-1:1], active[i] ? lane_key[i][0] : keep[i]};
  end

  // Straight from the pins nothing but tkeep and tstrb is in front of the maximum, where MAX_LEN cuts no
  // beat: that a beat is past the end comes late, and at the root. Wide elements are masked: what takes
  // their maximum in two clocks (e2softmax_wide_max) looks at no flags.
  if (IN_REG != 0) begin : gen_reg
    assign max_key = key;
    assign on      = {LANES{1'b1}};
    assign store   = 1'b1;
  end else begin : gen_pins
    assign max_key = in_key;
    assign store   = store_o;
    if (MAX_LEN % LANES == 0) begin : gen_whole
      assign on = s_axis_tkeep & s_axis_tstrb;
    end else begin : gen_cut
      assign on = active;
    end
  end
  if (IN_REG != 0 || IN_W != 8) begin : gen_masked
    assign lane_key = key;
  end else begin : gen_unmasked
    logic unused_key;
    assign lane_key   = in_key;
    assign unused_key = ^key;
  end

  sn_row_guard #(
    .LANES  (LANES),
    .MAX_LEN(MAX_LEN),
    .LANE_W (IN_W),
    .CFG_W  (CFG_W),
    .REG    (IN_REG)
  ) u_guard (
    .clk_i,
    .rst_ni,
    .s_axis_tdata(in_key),
    .s_axis_tkeep,
    .s_axis_tstrb,
    .s_axis_tlast,
    .s_axis_tvalid,
    .s_axis_tready,
    .cfg_i,
    .take_o,
    .valid_o     (valid_o[0]),
    .store_o,
    .first_o,
    .stored_last_o,
    .close_o,
    .data_o      (key),
    .keep_o      (keep),
    .active_o    (active),
    .cfg_o,
    .row_err_len_o,
    .row_err_keep_o,
    .err_len_o,
    .err_keep_o
  );

  sn_row_max #(
    .LANES(LANES),
    .W    (IN_W),
    .START(START)
  ) u_max (
    .clk_i,
    .load_i (valid_o[0]),
    .store_i(store),
    .on_i   (on),
    .key_i  (max_key),
    .first_i(first_o),
    .start_i,
    .max_o,
    .prev_o
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= valid_o[STAGES-1:0];
  end
  assign valid_o[STAGES:1] = valid_q;
endmodule
