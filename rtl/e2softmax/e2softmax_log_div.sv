// SPDX-License-Identifier: Apache-2.0
// Approximate log divider: 2^-code / Sum for the LANES codes of a beat, with no divider or multiplier.
//
//   beat: m_L - m_t --[reg]--> log2exp --> + ks (linear) --> saturate --[reg]--+
//   beat: codes [LANES], two clocks later -------------------------------------+--> step per lane
//   IN_W > 8: log2exp has a register in it and one behind it, and all is two clocks later
//   row:  bin j --------[reg]--> C = DIV_C[j] -------------------------[reg]--> steps --> select --> out
//
//   k_i = code_i + log2exp(m_L - m_t, F)           m_t: maximum when code_i was made, m_L: of the row
//   Sum = 2^(15 + ks) * (1 + s), j = top DIV_BITS bits of s, C ~ 256 / (1 + s)
//   out = rnd(C / 2^(k_i + ks))  linear;    rnd(C / 2^k_i)  row-scaled, exponent ks
//   EXP_FRAC = 1: k_i counts half octaves, an odd one scales C by 181/256 first
//   LOG_FIRST = 1: m counts as codes do, min(top, m_L - m_t) in the place of log2exp, and top is beyond all steps
//   FORMATS = 1: unnormalised, rnd(B / 2^(k_i + 1)), B = 256, odd half octaves 181; s7_i: one bit more
//
// C is a table (e2softmax_tables_pkg): the paper's two for DIV_BITS = 1, else the mean of 256 / (1 + s)
// over the bin. It is below 2^8, so that rnd(C / 2^n) is 0 from n = 9 on: a beat needs only the 9 (18)
// values rnd(C / 2^n), made once, and each lane selects one of them. The codes above the last step give
// 0 whatever the correction, which is why the row buffer may use the top two for masked and absent
// elements (e2softmax).
//
// Unnormalised, C is 128, which stands for B / 2; 181 / 2 is no whole number, and odd steps have a bit
// more. No output is above 248, nor above 124 with s7_i: the limits 255 and 127 of the formats are never
// met.
//
// Two clocks from the beat's maximum (IN_W > 8: four), none from its codes; one beat a clock; all holds
// while advance_i is low.

module e2softmax_log_div #(
  parameter  int LANES    = 32,
  parameter  int KS_W     = 4,
  parameter  int DIV_BITS = 1,
  parameter  int EXP_FRAC = 0,
  parameter  int IN_W     = 8,
  parameter  int SCALE    = 0,
  parameter  int FORMATS  = 0,
  parameter  int LOG_FIRST = 0,
  parameter  int FRAC     = -1,
  localparam int KEY_W    = (LOG_FIRST == 0) ? IN_W : 9 + EXP_FRAC,
  localparam int SCALE_W  = (SCALE == 0) ? 3 : 13,
  localparam int CODE_W   = 4 + EXP_FRAC
) (
  input  logic                         clk_i,
  input  logic                         advance_i,
  // the beat
  input  logic [KEY_W-1:0]             beat_max_i,
  // its row
  input  logic [KEY_W-1:0]             row_max_i,
  input  logic [SCALE_W-1:0]           scale_i,       // F, or {S, M - 128} with SCALE = 1
  input  logic                         row_scaled_i,  // or unnormalised: no ks
  input  logic                         unnormalised_i,  // ignored with FORMATS = 0, as the next
  input  logic                         s7_i,
  input  logic [KS_W-1:0]              ks_i,
  input  logic [DIV_BITS-1:0]          bin_i,
  // two clocks later (IN_W > 8: four)
  input  logic [LANES-1:0][CODE_W-1:0] code_i,
  output logic [LANES-1:0][7:0]        out_o
);
  localparam int Steps  = 9 << EXP_FRAC;  // from here on the output is 0
  localparam int StepW  = CODE_W + 1;     // a code plus a saturated base: at most 15 + 9 (31 + 18)
  localparam int TotalW = 7;              // 15 + 12 (31 + 2 * 12), 31 + 2 * 17 at the most
  localparam int Wide   = (IN_W > 8) ? 1 : 0;
  localparam int MoreW  = (FORMATS == 0) ? KS_W : KS_W + 1;

  // Per beat: how far every code of it still moves, saturated where all outputs are 0.
  logic [KEY_W-1:0]    fall_q;
  logic [SCALE_W-1:0]  scale_q;
  logic [MoreW-1:0]    ks_q, ks, more;  // ks, and s7
  logic [DIV_BITS-1:0] bin_q, bin;
  logic [CODE_W-1:0]   code, correction, base, base_q;
  logic [TotalW-1:0]   total;
  logic [7:0]          table_c, c, c_q;

  if (LOG_FIRST == 1) begin : gen_octaves
    logic unused;
    assign unused = ^scale_q;
    assign code   = CODE_W'(fall_q) | {CODE_W{fall_q[KEY_W-1:CODE_W] != '0}};
  end else if (SCALE == 1) begin : gen_scaled
    logic [6:0] mult;
    sn_pipe #(
      .W     (7),
      .STAGES(Wide)
    ) u_mult (
      .clk_i,
      .en_i  (advance_i),
      .data_i(scale_q[6:0]),
      .data_o(mult)
    );
    e2softmax_log2exp_scaled #(
      .IN_W    (IN_W),
      .EXP_FRAC(EXP_FRAC)
    ) u_correction (
      .clk_i,
      .en_i   (advance_i),
      .d_i    (fall_q),
      .shift_i(scale_q[12:7]),
      .mult_i (mult),
      .code_o (code)
    );
  end else begin : gen_frac
    e2softmax_log2exp #(
      .EXP_FRAC(EXP_FRAC),
      .FRAC    (FRAC)
    ) u_correction (
      .d_i   (fall_q[7:0]),
      .frac_i(scale_q[2:0]),
      .code_o(code)
    );
  end

  sn_pipe #(
    .W     (CODE_W),
    .STAGES(Wide)
  ) u_code (
    .clk_i,
    .en_i  (advance_i),
    .data_i(code),
    .data_o(correction)
  );

  sn_pipe #(
    .W     (MoreW + DIV_BITS),
    .STAGES(2 * Wide)
  ) u_beside (
    .clk_i,
    .en_i  (advance_i),
    .data_i({ks_q, bin_q}),
    .data_o({ks, bin})
  );

  assign total = TotalW'(correction) + (TotalW'(ks) << EXP_FRAC);
  assign base  = (total >= TotalW'(Steps)) ? CODE_W'(Steps) : CODE_W'(total);

  if (DIV_BITS == 1) begin : gen_div_c1
    assign table_c = e2softmax_tables_pkg::div_c1(bin);
  end else if (DIV_BITS == 2) begin : gen_div_c2
    assign table_c = e2softmax_tables_pkg::div_c2(bin);
  end else if (DIV_BITS == 3) begin : gen_div_c3
    assign table_c = e2softmax_tables_pkg::div_c3(bin);
  end else begin : gen_div_c4
    assign table_c = e2softmax_tables_pkg::div_c4(bin);
  end

  logic odd_181, unused_odd;  // with c_q: odd steps are of 181 / 2
  assign unused_odd = odd_181;
  if (FORMATS == 0) begin : gen_normalised
    logic unused;
    assign unused  = ^{unnormalised_i, s7_i};
    assign more    = row_scaled_i ? '0 : ks_i;
    assign c       = table_c;
    assign odd_181 = 1'b0;
  end else begin : gen_formats
    logic unnormalised_q, unnormalised;
    assign more = (row_scaled_i ? '0 : MoreW'(ks_i)) + MoreW'(s7_i);
    assign c    = unnormalised ? 8'd128 : table_c;
    sn_pipe #(
      .W     (1),
      .STAGES(2 * Wide)
    ) u_unnormalised (
      .clk_i,
      .en_i  (advance_i),
      .data_i(unnormalised_q),
      .data_o(unnormalised)
    );
    always_ff @(posedge clk_i) begin
      if (advance_i) begin
        unnormalised_q <= unnormalised_i;
        odd_181        <= unnormalised;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (advance_i) begin
      fall_q  <= row_max_i - beat_max_i;
      scale_q <= scale_i;
      ks_q    <= more;
      bin_q   <= bin_i;
      base_q  <= base;
      c_q     <= c;
    end
  end

  // Per row: the values an output can take. step[n] = rnd(C / 2^n), in half octaves where EXP_FRAC.
  logic [Steps-1:0][7:0] step;
  for (genvar n = 0; n < Steps; n++) begin : gen_step
    localparam int Shift = n >> EXP_FRAC;
    logic [7:0] whole;  // C, or C / sqrt 2
    if (EXP_FRAC == 1 && n % 2 == 1) begin : gen_odd
      assign whole = 8'((16'(c_q) * 16'd181 + 16'd128) >> 8);
    end else begin : gen_even
      assign whole = c_q;
    end
    if (EXP_FRAC == 1 && n % 2 == 1 && FORMATS != 0) begin : gen_twice
      logic [8:0] twice;
      assign twice   = odd_181 ? 9'd181 : {whole, 1'b0};
      assign step[n] = 8'((10'(twice) + 10'(1 << Shift)) >> (Shift + 1));
    end else if (Shift == 0) begin : gen_whole
      assign step[n] = whole;
    end else begin : gen_round
      assign step[n] = 8'((9'(whole) + 9'(1 << (Shift - 1))) >> Shift);
    end
  end

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic [StepW-1:0] k;
    assign k        = StepW'(code_i[i]) + StepW'(base_q);
    assign out_o[i] = (k < StepW'(Steps)) ? step[k[CODE_W-1:0]] : 8'd0;
  end
endmodule
