// SPDX-License-Identifier: Apache-2.0
// Approximate log divider: 2^-code / Sum for the LANES codes of a beat, with no divider or multiplier.
//
//   beat: max --> log2exp(m_L - m_t) --> + ks (linear) --> saturate --[reg]--> base --+
//   row:  bin j --> C = DIV_C[j] ------------------------------------[reg]--> C >> base --> steps
//   beat: codes [LANES] ---------------------------------------------[reg]--> select a step --> out
//
//   k_i = code_i + log2exp(m_L - m_t, F)           m_t: maximum when code_i was made, m_L: of the row
//   Sum = 2^(15 + ks) * (1 + s), j = top DIV_BITS bits of s, C ~ 256 / (1 + s)
//   out = rnd(C / 2^(k_i + ks))  linear;    rnd(C / 2^k_i)  row-scaled, exponent ks
//   EXP_FRAC = 1: k_i counts half octaves, an odd one scales C by 181/256 first
//
/// What all codes of a beat have in common, C and how far they still move (base), meets once: C goes
/// right by base with the bits that round kept. C is below 2^8, so rnd(C / 2^n) is 0 from n = 9 on: what
/// a code stands for is one of 9 (18) steps, and each lane selects its own. The codes above the last step
/// give 0 whatever the base, which is why the row buffer may use the top two for masked and absent
/// elements (e2softmax).
///
/// Latency one clock, one beat a clock; all holds while advance_i is low.

module e2softmax_log_div #(
  parameter  int LANES    = 32,
  parameter  int KS_W     = 4,
  parameter  int DIV_BITS = 1,
  parameter  int EXP_FRAC = 0,
  localparam int CODE_W   = 4 + EXP_FRAC
) (
  input  logic                         clk_i,
  input  logic                         advance_i,
  // the beat
  input  logic [LANES-1:0][CODE_W-1:0] code_i,
  input  logic [7:0]                   beat_max_i,
  // its row
  input  logic [7:0]                   row_max_i,
  input  logic [2:0]                   frac_i,
  input  logic                         row_scaled_i,
  input  logic [KS_W-1:0]              ks_i,
  input  logic [DIV_BITS-1:0]          bin_i,
  // one clock later
  output logic [LANES-1:0][CODE_W-1:0] code_o,
  output logic [LANES-1:0][7:0]        out_o
);
  localparam int Steps  = 9 << EXP_FRAC;  // from here on the output is 0
  localparam int TotalW = 7;              // 15 + 12 (31 + 2 * 12), 31 + 2 * 16 at the most

  // 256 / (1 + s) over each bin of s. DIV_BITS = 1: the paper's 0.818 and 0.568. Else the mean over
  // the bin, round(256 * 2^B * ln((1 + b)/(1 + a))), a = j/2^B, b = a + 2^-B; checked by a test.
  function automatic logic [7:0] div_c(input logic [3:0] j);
    div_c = 8'd0;
    if (DIV_BITS == 1) begin
      div_c = j[0] ? 8'd145 : 8'd209;
    end else if (DIV_BITS == 2) begin
      case (j[1:0])
        2'd0:    div_c = 8'd228;
        2'd1:    div_c = 8'd187;
        2'd2:    div_c = 8'd158;
        default: div_c = 8'd137;
      endcase
    end else if (DIV_BITS == 3) begin
      case (j[2:0])
        3'd0:    div_c = 8'd241;
        3'd1:    div_c = 8'd216;
        3'd2:    div_c = 8'd195;
        3'd3:    div_c = 8'd178;
        3'd4:    div_c = 8'd164;
        3'd5:    div_c = 8'd152;
        3'd6:    div_c = 8'd141;
        default: div_c = 8'd132;
      endcase
    end else begin
      case (j)
        4'd0:    div_c = 8'd248;
        4'd1:    div_c = 8'd234;
        4'd2:    div_c = 8'd221;
        4'd3:    div_c = 8'd210;
        4'd4:    div_c = 8'd200;
        4'd5:    div_c = 8'd191;
        4'd6:    div_c = 8'd182;
        4'd7:    div_c = 8'd174;
        4'd8:    div_c = 8'd167;
        4'd9:    div_c = 8'd161;
        4'd10:   div_c = 8'd155;
        4'd11:   div_c = 8'd149;
        4'd12:   div_c = 8'd144;
        4'd13:   div_c = 8'd139;
        4'd14:   div_c = 8'd134;
        default: div_c = 8'd130;
      endcase
    end
  endfunction

  // Per beat: how far every code of it still moves, saturated where all outputs are 0.
  logic [CODE_W-1:0] correction;
  logic [TotalW-1:0] total;
  logic [CODE_W-1:0] base;

  e2softmax_log2exp #(
    .EXP_FRAC(EXP_FRAC)
  ) u_correction (
    .d_i   (row_max_i - beat_max_i),
    .frac_i,
    .code_o(correction)
  );

  assign total = TotalW'(correction) + (row_scaled_i ? '0 : TotalW'(ks_i) << EXP_FRAC);
  assign base  = (total >= TotalW'(Steps)) ? CODE_W'(Steps) : CODE_W'(total);

  logic [CODE_W-1:0]            base_q;
  logic [7:0]                   c_q;
  logic [LANES-1:0][CODE_W-1:0] code_q;

  always_ff @(posedge clk_i) begin
    if (advance_i) begin
      base_q <= base;
      c_q    <= div_c(4'(bin_i));
      code_q <= code_i;
    end
  end

  // Per beat: the values an output can take, step[y] for code y. C >> base keeps one bit more, which
  // rounds where y is 0; for the others it is one of C's own.
  logic [Steps-1:0][7:0] step;
  if (EXP_FRAC == 0) begin : gen_octave
    logic [9:0] c;
    assign c = {1'b0, c_q, 1'b0} >> base_q;
    for (genvar y = 0; y < Steps; y++) begin : gen_step
      assign step[y] = 8'(c >> (y + 1)) + 8'(c[y]);
    end
  end else begin : gen_half
    // Codes of the base's own parity stand for whole octaves, the others for half ones, of 181/256 C.
    logic [7:0] half;
    logic [9:0] whole_c, half_c, even, odd;
    logic       up;
    assign half    = 8'((16'(c_q) * 16'd181 + 16'd128) >> 8);
    assign whole_c = {1'b0, c_q, 1'b0} >> base_q[CODE_W-1:1];
    assign half_c  = {1'b0, half, 1'b0} >> base_q[CODE_W-1:1];
    // An odd code on an odd base makes one octave more.
    assign up      = base_q[0];
    assign even    = up ? half_c : whole_c;
    assign odd     = up ? whole_c >> 1 : half_c;
    for (genvar y = 0; y < Steps; y++) begin : gen_step
      if (y % 2 == 0) begin : gen_even
        assign step[y] = 8'(even >> (y / 2 + 1)) + 8'(even[y/2]);
      end else begin : gen_odd
        assign step[y] = 8'(odd >> (y / 2 + 1)) + 8'(odd[y/2]);
      end
    end
  end

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    assign out_o[i] = (code_q[i] < CODE_W'(Steps)) ? step[code_q[i]] : 8'd0;
  end

  assign code_o = code_q;
endmodule
