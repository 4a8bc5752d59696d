// SPDX-License-Identifier: Apache-2.0
// The arithmetic of E2Softmax as its page has it (docs/units.md), for proofs over all inputs.

module sn_leaf_log2exp #(
  parameter int EXP_FRAC = 0,
  parameter int FRAC     = -1
) (
  input logic [7:0]          d_i,
  input logic [2:0]          frac_i,
  input logic [3+EXP_FRAC:0] code_o
);
  localparam int Top = (EXP_FRAC == 0) ? 15 : 31;
  logic [31:0] sum, shift, quotient;

  always_comb begin
    shift    = ((FRAC < 0) ? 32'(frac_i) : FRAC) + 32'd4 - EXP_FRAC;
    sum      = 32'd23 * d_i + (32'd1 << (shift - 1));
    quotient = sum >> shift;
    a_equation : assert (32'(code_o) == ((quotient < Top) ? quotient : Top));
    r_zero : assert (code_o != 0);
  end
endmodule

`ifdef SN_LEAF_LOG2EXP
bind e2softmax_log2exp sn_leaf_log2exp #(.EXP_FRAC(EXP_FRAC), .FRAC(FRAC)) u_leaf (.*);
`endif

// Octaves of a logit, one lane: q = floor((23 x + 2^(s-1)) / 2^s), s = F + 4 - EXP_FRAC, as the key q + B.
module sn_leaf_octaves #(
  parameter int EXP_FRAC = 0
) (
  input logic                clk_i,
  input logic [8:0]          lane_i,
  input logic [2:0]          frac_i,
  input logic [9+EXP_FRAC:0] lane_o
);
  logic               clocked_q = 1'b0;
  logic [8:0]         lane_q;
  logic signed [31:0] shift, sum, sum_q, shift_q, key;
  always_ff @(posedge clk_i) begin
    clocked_q <= 1'b1;
    lane_q    <= lane_i;
    sum_q     <= sum;
    shift_q   <= shift;
  end
  always_comb begin
    shift = 32'(frac_i) + 32'sd4 - EXP_FRAC;
    sum   = 32'sd23 * (32'(lane_i[7:0]) - 32'sd128) + (32'sd1 <<< (shift - 32'sd1));
    key   = (sum_q >>> shift_q) + (32'sd1 <<< (8 + EXP_FRAC));
  end
  a_equation : assert property (@(posedge clk_i) !(clocked_q && lane_q[8]) ||
      lane_o == {1'b1, key[8+EXP_FRAC:0]} && key > 1 && key < (32'sd1 <<< (9 + EXP_FRAC)));
  a_none : assert property (@(posedge clk_i) !clocked_q || lane_q[8] ||
      lane_o == (10 + EXP_FRAC)'(lane_q[0]));
  r_key : assert property (@(posedge clk_i) !(clocked_q && lane_q[8]) || key != (32'sd1 <<< (8 + EXP_FRAC)));
endmodule

`ifdef SN_LEAF_OCTAVES
bind e2softmax_octaves sn_leaf_octaves #(.EXP_FRAC(EXP_FRAC)) u_leaf (
  .lane_i(lane_i[0]), .lane_o(lane_o[0]), .*
);
`endif

// Log2Exp at a run-time scale. Of wide logits the shift takes a clock, and mult_i comes behind it.
module sn_leaf_log2exp_scaled #(
  parameter int IN_W     = 32,
  parameter int EXP_FRAC = 0
) (
  input logic                clk_i,
  input logic                en_i,
  input logic [IN_W-1:0]     d_i,
  input logic [5:0]          shift_i,
  input logic [6:0]          mult_i,
  input logic [3+EXP_FRAC:0] code_o,
  input logic                beyond,
  input logic [((IN_W == 8) ? 8 : 13 + EXP_FRAC)-1:0] t
);
  localparam int Top   = (EXP_FRAC == 0) ? 15 : 31;
  localparam int Whole = 13 + EXP_FRAC;

  logic [IN_W-1:0] d;
  logic [5:0]      shift;
  logic            filled;

  if (IN_W == 8) begin : gen_narrow
    assign {d, shift, filled} = {d_i, shift_i, 1'b1};
  end else begin : gen_wide
    logic filled_q = 1'b0;
    assign filled = filled_q;
    always_ff @(posedge clk_i) begin
      if (en_i) {d, shift, filled_q} <= {d_i, shift_i, 1'b1};
    end
  end

  logic [IN_W+15:0] wanted;
  logic [Whole-1:0] part;
  logic [31:0]      quotient;
  logic [31:0]      paper, places, mult;
  logic             far;
  always_comb begin
    mult     = 32'd128 + 32'(mult_i);
    wanted   = (shift <= 6'd16) ? {16'd0, d} << (6'd16 - shift) : {16'd0, d} >> (shift - 6'd16);
    part     = Whole'(wanted);
    far      = (wanted >> Whole) != '0;
    quotient = (mult * 32'(part) + 32'h8000) >> 16;
    if (far || quotient > Top) quotient = Top;
    if (IN_W > 8) begin
      a_shift : assert (!filled || {beyond, beyond ? part : t} == {far, part});
    end
    a_equation : assert (!filled || 32'(code_o) == quotient);
    // M = 184, S = F + 7 - EXP_FRAC: the paper's code at F fraction bits.
    places = 32'(shift) - 3;
    paper  = (32'd23 * d + (32'd1 << (places - 1))) >> places;
    if (paper > Top) paper = Top;
    if (mult == 184 && shift >= 7 - EXP_FRAC && shift <= 14 - EXP_FRAC && d < 256) begin
      a_paper : assert (!filled || 32'(code_o) == paper);
    end
    r_top : assert (code_o != Top);
  end
endmodule

`ifdef SN_LEAF_LOG2EXP_SCALED
bind e2softmax_log2exp_scaled sn_leaf_log2exp_scaled #(.IN_W(IN_W), .EXP_FRAC(EXP_FRAC)) u_leaf (.*);
`endif

// The divider, one lane: out = min(255, rnd(C / 2^n)), n the code corrected to the row's maximum and, in a
// linear row, by ks; in half octaves where EXP_FRAC = 1.
module sn_leaf_log_div #(
  parameter int KS_W     = 4,
  parameter int DIV_BITS = 1,
  parameter int EXP_FRAC = 0
) (
  input logic                clk_i,
  input logic                advance_i,
  input logic [7:0]          beat_max_i,
  input logic [7:0]          row_max_i,
  input logic [2:0]          scale_i,
  input logic                row_scaled_i,
  input logic [KS_W-1:0]     ks_i,
  input logic [DIV_BITS-1:0] bin_i,
  input logic [3+EXP_FRAC:0] code_i,
  input logic [7:0]          out_o
);
  localparam int Top  = (EXP_FRAC == 0) ? 15 : 31;
  localparam int Bins = 2 ** DIV_BITS;
  // DIV_C[j] = round(256 2^B ln((1 + b) / (1 + a))), a = j / 2^B, b = a + 2^-B; the paper's two for B = 1.
  function automatic logic [Bins-1:0][7:0] table_c();
    for (int j = 0; j < Bins; j++) begin
      if (Bins == 2) table_c[j] = (j == 0) ? 8'd209 : 8'd145;
      else table_c[j] = 8'($rtoi($floor(256.0 * Bins *
          $ln((1.0 + (j + 1.0) / Bins) / (1.0 + (1.0 * j) / Bins)) + 0.5)));
    end
  endfunction
  localparam logic [Bins-1:0][7:0] C = table_c();

  logic [1:0][31:0] fall_q, shift_q, c_q, frac_q;
  logic [1:0]       filled_q = 2'b00;
  always_ff @(posedge clk_i) begin
    if (advance_i) begin
      fall_q   <= {fall_q[0], 32'(row_max_i) - 32'(beat_max_i)};
      frac_q   <= {frac_q[0], 32'(scale_i)};
      shift_q  <= {shift_q[0], row_scaled_i ? 32'd0 : 32'(ks_i)};
      c_q      <= {c_q[0], 32'(C[bin_i])};
      filled_q <= {filled_q[0], 1'b1};
    end
  end
  m_maximum : assume property (@(posedge clk_i) row_max_i >= beat_max_i);

  logic [31:0] point, log2, n, c, whole, out;
  always_comb begin
    point = frac_q[1] + 32'd4 - EXP_FRAC;
    log2  = (32'd23 * fall_q[1] + (32'd1 << (point - 1))) >> point;
    if (log2 > Top) log2 = Top;
    n     = 32'(code_i) + log2;
    c     = (EXP_FRAC == 1 && n[0]) ? (32'd181 * c_q[1] + 128) >> 8 : c_q[1];
    whole = (n >> EXP_FRAC) + shift_q[1];
    out   = (whole == 0) ? c : (c + (32'd1 << (whole - 1))) >> whole;
    if (out > 255) out = 255;
  end
  // A shift by 32 and more is none in SystemVerilog: what is that far is 0.
  a_output : assert property (@(posedge clk_i)
      !filled_q[1] || 32'(out_o) == ((whole > 16) ? 32'd0 : out));
  r_output : assert property (@(posedge clk_i) !filled_q[1] || out_o < 100);
endmodule

// The reduction of a beat that needs no register before the row's sum: Sum = decay(Sum) + weights.
module sn_leaf_reduction #(
  parameter int LANES    = 2,
  parameter int SUM_W    = 26,
  parameter int EXP_FRAC = 0
) (
  input logic                           clk_i,
  input logic                           load_i,
  input logic [LANES-1:0][3+EXP_FRAC:0] code_i,
  input logic [LANES-1:0]               active_i,
  input logic                           first_i,
  input logic [3+EXP_FRAC:0]            rise_code_i,
  input logic [SUM_W-1:0]               sum_o
);
  function automatic logic [SUM_W+7:0] decay(input logic [SUM_W+7:0] s, input logic [4:0] code);
    if (EXP_FRAC == 0) decay = s >> code;
    else decay = ((s * (SUM_W + 8)'(code[0] ? 181 : 256)) >> 8) >> (code / 2);
  endfunction
  logic [SUM_W+7:0] sum;
  always_comb begin
    sum = '0;
    for (int i = 0; i < LANES; i++) begin
      if (active_i[i]) begin
        if (EXP_FRAC == 0) sum = sum + ((SUM_W + 8)'(2 ** 15) >> code_i[i]);
        else if (!code_i[i][0]) sum = sum + ((SUM_W + 8)'(2 ** 15) >> (code_i[i] / 2));
        else sum = sum + (((SUM_W + 8)'(181) << 15 >> ((code_i[i] - 1) / 2)) >> 8);
      end
    end
    sum = sum + decay((SUM_W + 8)'(first_i ? SUM_W'(0) : sum_o), 5'(rise_code_i));
  end
  logic             clocked_q = 1'b0, load_q;
  logic [SUM_W-1:0] want_q;
  always_ff @(posedge clk_i) begin
    clocked_q <= 1'b1;
    load_q    <= load_i;
    want_q    <= load_i ? SUM_W'(sum) : sum_o;
  end
  a_sum : assert property (@(posedge clk_i) !clocked_q || sum_o == want_q);
  r_sum : assert property (@(posedge clk_i) !(clocked_q && load_q) || sum_o < 2 ** 16);
endmodule

`ifdef SN_LEAF_DIV
bind e2softmax_log_div sn_leaf_log_div #(
  .KS_W(KS_W), .DIV_BITS(DIV_BITS), .EXP_FRAC(EXP_FRAC)
) u_leaf (.*);
`endif
`ifdef SN_LEAF_REDUCTION
bind e2softmax_reduction sn_leaf_reduction #(
  .LANES(LANES), .SUM_W(SUM_W), .EXP_FRAC(EXP_FRAC)
) u_leaf (.*);
`endif

// The maximum of wide elements: in two clocks what a comparison of whole elements gives.
module sn_leaf_wide_max #(
  parameter int LANES = 8,
  parameter int W     = 8,
  parameter int START = 0,
  parameter int Cut   = W / 2
) (
  input logic                    clk_i,
  input logic                    load_i,
  input logic                    load_late_i,
  input logic [LANES-1:0][W-1:0] key_i,
  input logic                    first_i,
  input logic [W-1:0]            start_i,
  input logic [W-1:0]            max_o,
  input logic [W-1:0]            prev_o,
  // inside
  input logic [W-1:Cut]          max_q
);
  logic         clocked_q = 1'b0, begun_q = 1'b0, begun_late_q = 1'b0, load_q;
  logic [W-1:0] base, whole, whole_q, base_q, whole_late_q, base_late_q;
  always_comb begin
    base  = first_i ? (START == 1 ? start_i : '0) : whole_q;
    whole = base;
    for (int i = 0; i < LANES; i++) if (key_i[i] > whole) whole = key_i[i];
  end
  always_ff @(posedge clk_i) begin
    clocked_q <= 1'b1;
    load_q    <= load_i;
    if (load_i) begin
      begun_q  <= 1'b1;
      whole_q  <= whole;
      base_q <= base;
    end
    if (load_late_i) begin
      begun_late_q  <= begun_q;
      whole_late_q  <= whole_q;
      base_late_q <= base_q;
    end
  end
  m_late : assume property (@(posedge clk_i) load_late_i == (clocked_q && load_q));
  m_first : assume property (@(posedge clk_i) begun_q || !load_i || first_i);
  a_above : assert property (@(posedge clk_i) !begun_q || max_q == whole_q[W-1:Cut]);
  a_max : assert property (@(posedge clk_i) !begun_late_q || max_o == whole_late_q);
  a_prev : assert property (@(posedge clk_i) !begun_late_q || prev_o == base_late_q);
  // Between two beats the row so far is the late one.
  i_before : assert property (@(posedge clk_i) !begun_q || (clocked_q && load_q) ||
      (begun_late_q && whole_late_q == whole_q));
  r_max : assert property (@(posedge clk_i) !begun_late_q || max_o != 200);
endmodule

`ifdef SN_LEAF_WIDE_MAX
bind e2softmax_wide_max sn_leaf_wide_max #(.LANES(LANES), .W(W), .START(START), .Cut(Cut)) u_leaf (.*);
`endif
