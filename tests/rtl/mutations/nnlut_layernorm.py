# SPDX-License-Identifier: Apache-2.0
"""Bugs of NN-LUT LayerNorm; those of the cells that it shares with other units are there."""

from tests.rtl.mutations import TUSER, VALUE, Mutation, Rule

# Rows of two beats: those of the longest sums are among those that every setting is tried with.
SMALL = {"LANES": 4, "MAX_LEN": 8}

FOLDER = "baseline/nnlut_layernorm/nnlut_layernorm"
AVERAGE = f"{FOLDER}_average.sv"
DEVIATION = f"{FOLDER}_deviation.sv"
SHIFT = "common/sn_shift_saturate.sv"
RSQRT = f"{FOLDER}_rsqrt.sv"
TOP = f"{FOLDER}.sv"

MUTATIONS: dict[str, Mutation] = {
    "averages rounded down": Mutation(
        ((AVERAGE, "(raw + (ProdW - Low)'(1)) >>> 1;", "raw >>> 1;"),), "random", VALUE
    ),
    "averages wrap": Mutation(
        ((AVERAGE, "average_o <= fits ?", "average_o <= 1'b1 ?"),), "random", VALUE
    ),
    "sum a bit narrow": Mutation(
        ((TOP, "SumW     = 32 + LenLog;", "SumW     = 31 + LenLog;"),), "shapes", VALUE
    ),
    "deviation wraps": Mutation(
        ((DEVIATION, "(diff[32] == diff[31]) ?", "1'b1 ?"),), "random", VALUE
    ),
    "what is squared wraps": Mutation(
        ((SHIFT, "over_o = over != '0;", "over_o = over != '0 && OUT_W != 16;"),),
        "settings",
        VALUE,
    ),
    "masked lanes in the squares": Mutation(
        ((DEVIATION, "if (!active_i[i]) d_q <= '0;\n      else d_q", "d_q"),), "random", VALUE
    ),
    "slope of the next line": Mutation(
        (
            (
                RSQRT,
                "nnlut_layernorm_tables_pkg::slope(k);",
                "nnlut_layernorm_tables_pkg::slope(k + 4'd1);",
            ),
        ),
        "smoke",
        VALUE,
    ),
    "pairs of bits by the upper one": Mutation(
        ((RSQRT, "if (floored[2*i+:2] != 2'd0)", "if (floored[2*i+1])"),), "smoke", VALUE
    ),
    "variance of 0 kept": Mutation(
        ((RSQRT, "{var_i[31:1], var_i[0] || var_i[31:1] == '0};", "var_i[31:0];"),), "random", ""
    ),
    "gamma and beta change places": Mutation(
        (
            (TOP, ".chan_factor_i(chan_gamma_i),", ".chan_factor_i(chan_beta_i),"),
            (TOP, "    .chan_beta_i,\n", "    .chan_beta_i  (chan_gamma_i),\n"),
        ),
        "smoke",
        VALUE,
    ),
    "overflow not seen before the shift by 32": Mutation(
        ((SHIFT, "over[s] = !sh_i[s]", "over[s] = s != 5 && !sh_i[s]"),),
        "settings",
        VALUE,
    ),
    "mean of a beat that does not close": Mutation(
        (
            (
                TOP,
                "(p1_valid[StSum] && p1_sum_ctl.close),",
                "(p1_valid[StSum] && p1_sum_ctl.first),",
            ),
        ),
        "smoke",
        VALUE,
    ),
    "wrong count not flagged": Mutation(
        ((TOP, "p1_row_ctl.err_len || p1_row_wrong_len,", "p1_row_ctl.err_len,"),), "random", TUSER
    ),
    "err_len_o of a long row does not wait for the count": Mutation(
        ((TOP, "err_len_o    <= p1_err_len[StErr] ||", "err_len_o    <= guard_err_len ||"),),
        "errors",
        "it is 1 and must be 0",
    ),
    "pass 2 does not wait for ring 2": Mutation(
        ((TOP, ".advance_i  (ring2_ready),", ".advance_i  (1'b1),"),), "stalls", ""
    ),
    "a slot too few in ring 2": Mutation(
        ((TOP, "Turnaround2 = StRow + 1;", "Turnaround2 = StRow;"),),
        "timing",
        "",
    ),
    "top bit of shift lost": Mutation(
        ((DEVIATION, "shift_q <= shift_i;", "shift_q <= {1'b0, shift_i[3:0]};"),), "settings", VALUE
    ),
    "shift of a deviation rounded up": Mutation(
        ((DEVIATION, "y_q      <= y;", "y_q      <= y + 16'(unused_half);"),), "random", VALUE
    ),
    "sum of squares two bits narrow": Mutation(
        ((TOP, "SquareW  = 31 + LenLog;", "SquareW  = 29 + LenLog;"),), "shapes", VALUE
    ),
    "M of 2^15 for its half": Mutation(
        ((AVERAGE, "PLACE_W'(!inv_mant_i[15]);", "PLACE_W'(1);"),), "lengths", VALUE
    ),
    "shift without gfrac": Mutation(((TOP, " + ShW'(p2_row_gfrac) -\n", " -\n"),), "smoke", VALUE),
    "shift without ofrac": Mutation(((TOP, "ShW'(p2_row_ofrac);", "ShW'(0);"),), "smoke", VALUE),
    "no err_len_o for a wrong count": Mutation(
        ((TOP, "!p1_sum_ctl.err_len && p1_wrong_len);", "1'b0);"),),
        "random",
        "err_len_o was high for",
    ),
    "one bank: pass 3 has two": Mutation(
        ((TOP, "    .OUT_REG  (OUT_REG),\n    .BANKS    (BANKS)\n", "    .OUT_REG  (OUT_REG)\n"),),
        "smoke",
        "",
        {"BANKS": 1},
    ),
    "tkeep of the neighbouring lane": Mutation(
        ((TOP, "{32'b0, p1_s0_keep[i]}", "{32'b0, p1_s0_keep[(i+1)%LANES]}"),),
        "masks",
        "tkeep: expected",
    ),
}

RULES: dict[str, Rule] = {}
