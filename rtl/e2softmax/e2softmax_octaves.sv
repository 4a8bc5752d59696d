// SPDX-License-Identifier: Apache-2.0
// Octaves first: each logit as a whole number of octaves, or half octaves, and the row's maximum of them.
//
//               stage 0                                   stage 1                         stage 2
//   lane_i --> x23 --> >> F --> rnd --> + B --[reg]--+--> row maximum ------------[reg]--> max_o, prev_o
//                                                    +-----------------------------------> lane_o
//
//   q_i = rnd(23 x_i / 2^(F + 4 - EXP_FRAC))          9 bits signed, EXP_FRAC = 1: 10
//
// From here on an element is the key q + B, unsigned, B = 2^(KEY_W - 1), and lanes are those of
// sn_max_front: {active, key}, with bit 0 to tell a masked element from none. No difference of two q is
// rounded any more, so that outputs are monotone in x, and codes do not depend on where beats begin.
//
// Latency one clock to lane_o, two to max_o; one beat a clock.

module e2softmax_octaves #(
  parameter  int LANES    = 32,
  parameter  int EXP_FRAC = 0,
  localparam int KEY_W    = 9 + EXP_FRAC
) (
  input  logic                      clk_i,
  input  logic [LANES-1:0][8:0]     lane_i,  // {active, x + 128}
  input  logic [2:0]                frac_i,  // F
  output logic [LANES-1:0][KEY_W:0] lane_o,  // a clock later
  // a clock behind lane_i
  input  logic                      load_i,
  input  logic                      first_i,
  output logic [KEY_W-1:0]          max_o,
  output logic [KEY_W-1:0]          prev_o
);
  logic [LANES-1:0][KEY_W-1:0] key;

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic signed [7:0]       x;
    logic signed [12:0]      product;
    logic signed [KEY_W+1:0] raw;  // with a bit below q
    logic [KEY_W-1:0]        q;

    assign x       = {!lane_i[i][7], lane_i[i][6:0]};
    // 23 x = 16 x + 8 x - x
    assign product = 13'($signed({x, 4'b0})) + 13'($signed({x, 3'b0})) - 13'(x);
    assign raw     = (KEY_W + 2)'(product >>> (3 - EXP_FRAC)) >>> frac_i;
    assign q       = raw[KEY_W:1] + KEY_W'(raw[0]);

    always_ff @(posedge clk_i) begin
      lane_o[i] <= lane_i[i][8] ? {1'b1, !q[KEY_W-1], q[KEY_W-2:0]} : (KEY_W + 1)'(lane_i[i][0]);
    end
    // A masked lane's 1 is below all keys, which are 72 or more, EXP_FRAC = 1: 144.
    assign key[i] = lane_o[i][KEY_W-1:0];

    logic unused;
    assign unused = raw[KEY_W+1];
  end

  sn_row_max #(
    .LANES(LANES),
    .W    (KEY_W)
  ) u_max (
    .clk_i,
    .load_i,
    .store_i(1'b1),
    .on_i   ({LANES{1'b1}}),
    .key_i  (key),
    .first_i,
    .start_i({KEY_W{1'b0}}),
    .max_o,
    .prev_o
  );
endmodule
