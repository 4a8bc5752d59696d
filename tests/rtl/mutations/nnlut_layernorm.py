# SPDX-License-Identifier: Apache-2.0
"""Bugs of NN-LUT LayerNorm; those of the cells that it shares with other units are there."""

from tests.rtl.mutations import TUSER, VALUE, Bug, Mutation, Rule

# Rows of two beats: those of the longest sums are among those that every setting is tried with.
SMALL = {"LANES": 4, "MAX_LEN": 8}

FOLDER = "baseline/nnlut_layernorm/nnlut_layernorm"
AFFINE = "common/sn_affine.sv"
AVERAGE = f"{FOLDER}_average.sv"
DEVIATION = f"{FOLDER}_deviation.sv"
RSQRT = f"{FOLDER}_rsqrt.sv"
TOP = f"{FOLDER}.sv"

MUTATIONS: dict[str, Mutation] = {
    "averages rounded down": Bug(
        ((AVERAGE, "(raw + (ProdW - Low)'(1)) >>> 1;", "raw >>> 1;"),), "random", VALUE
    ),
    "averages wrap": Bug(
        ((AVERAGE, "average_o <= fits ?", "average_o <= 1'b1 ?"),), "random", VALUE
    ),
    "sum a bit narrow": Bug(
        ((TOP, "SumW     = 32 + LenLog;", "SumW     = 31 + LenLog;"),), "settings", VALUE
    ),
    "deviation wraps": Bug(((DEVIATION, "(diff[32] == diff[31]) ?", "1'b1 ?"),), "random", VALUE),
    "what is squared wraps": Bug(
        ((DEVIATION, "if (shifted[31:15] == '0 || shifted[31:15] == '1)", "if (1'b1)"),),
        "settings",
        VALUE,
    ),
    "masked lanes in the squares": Bug(
        ((DEVIATION, "if (!active_i[i]) d_q <= '0;\n      else d_q", "d_q"),), "random", VALUE
    ),
    "slope of the next line": Bug(
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
    "pairs of bits by the upper one": Bug(
        ((RSQRT, "if (floored[2*i+:2] != 2'd0)", "if (floored[2*i+1])"),), "smoke", VALUE
    ),
    "variance of 0 kept": Bug(
        ((RSQRT, "{var_i[31:1], var_i[0] || var_i[31:1] == '0};", "var_i[31:0];"),), "random", ""
    ),
    "gamma and beta change places": Bug(
        (
            (TOP, ".chan_gamma_i,", ".chan_gamma_i(chan_beta_i),"),
            (TOP, ".chan_beta_i,", ".chan_beta_i(chan_gamma_i),"),
        ),
        "smoke",
        VALUE,
    ),
    "beta of the beat behind": Bug(
        ((TOP, ".STAGES(StBeta)", ".STAGES(StBeta - 1)"),), "smoke", VALUE
    ),
    "overflow not seen before the shift by 32": Bug(
        ((AFFINE, "assign over[s] = !sh[s]", "assign over[s] = s != 5 && !sh[s]"),),
        "settings",
        VALUE,
    ),
    "mean of a beat that does not close": Bug(
        ((TOP, "(valid[StSum] && sum_ctl.close),", "(valid[StSum] && sum_ctl.first),"),),
        "smoke",
        VALUE,
    ),
    "wrong count not flagged": Bug(
        ((TOP, "mean_ctl.err_len || mean_wrong_len,", "mean_ctl.err_len,"),), "random", TUSER
    ),
    "pass 2 does not wait for ring 2": Bug(
        ((TOP, ".advance_i  (ring2_ready),", ".advance_i  (1'b1),"),), "stalls", ""
    ),
    "a slot too few in ring 2": Bug(
        ((TOP, "Turnaround2 = StRow + 1;", "Turnaround2 = StRow;"),),
        "timing",
        "",
    ),
}

RULES: dict[str, Rule] = {}
