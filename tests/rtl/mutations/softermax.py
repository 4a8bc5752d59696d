# SPDX-License-Identifier: Apache-2.0
"""Bugs of Softermax. Those of the cells and of the flow control that it shares are E2Softmax's."""

from tests.rtl.mutations import TUSER, VALUE, Mutation, Rule

SMALL = {"LANES": 4, "MAX_LEN": 32}

TOP = "baseline/softermax/softermax.sv"
POWER = "baseline/softermax/softermax_power.sv"
REDUCTION = "baseline/softermax/softermax_reduction.sv"
RECIPROCAL = "baseline/softermax/softermax_reciprocal.sv"
NORMALISE = "baseline/softermax/softermax_normalise.sv"
TABLES = "baseline/softermax/softermax_tables_pkg.sv"

MUTATIONS: dict[str, Mutation] = {
    "reciprocal of 128 taken as -128": Mutation(
        ((NORMALISE, ".TO_HALF(1)", ".TO_HALF(0)"),), "shapes", VALUE
    ),
    "maximum rounded down": Mutation(
        ((TOP, "max_up = 9'(p1_max_m) + 9'd3;", "max_up = 9'(p1_max_m);"),), "shapes", VALUE
    ),
    "maximum of 32 wraps": Mutation(
        ((TOP, "p1_pow_m   <= p1_max_up[8:2];", "p1_pow_m   <= {1'b0, p1_max_up[7:2]};"),),
        "shapes",
        VALUE,
    ),
    "sum renormalised by a bit too few": Mutation(
        (
            (
                REDUCTION,
                "rise    = first_i ? '0 : max_i - last_max_i;",
                "rise    = (first_i || max_i == last_max_i) ? '0 : max_i - last_max_i - 7'd1;",
            ),
        ),
        "shapes",
        VALUE,
    ),
    "numerators renormalised from the next beat's maximum": Mutation(
        (
            (
                TOP,
                ".wr_beat_i  ({p1_pow_m, p1_pow_word}),",
                ".wr_beat_i  ({p1_max_up[8:2], p1_pow_word}),",
            ),
        ),
        "shapes",
        VALUE,
    ),
    "sum of a beat rounded down": Mutation(
        ((REDUCTION, "beat_sum[BeatW-1:8] + (BeatW - 8)'(1);", "beat_sum[BeatW-1:8];"),),
        "shapes",
        VALUE,
    ),
    "sum not cut at its top": Mutation(
        ((REDUCTION, "total[SUM_W] ? '1 : total[SUM_W-1:0];", "total[SUM_W-1:0];"),),
        "shapes",
        VALUE,
        rows=400,
    ),
    "line of the next segment": Mutation(
        (
            (RECIPROCAL, "::intercept(s_q[7:5]);", "::intercept(s_q[7:5] + 3'd1);"),
            (RECIPROCAL, "::slope(s_q[7:5]);", "::slope(s_q[7:5] + 3'd1);"),
        ),
        "shapes",
        VALUE,
    ),
    "slope of the next segment": Mutation(
        ((RECIPROCAL, "::slope(s_q[7:5]);", "::slope(s_q[7:5] + 3'd1);"),), "levels", VALUE
    ),
    "reciprocal rounded down": Mutation(
        ((RECIPROCAL, "8'(line[14:8]) + 8'(line[7]);", "8'(line[14:8]);"),), "shapes", VALUE
    ),
    "output rounded down": Mutation(
        ((NORMALISE, ".ADD    (1 << 13)", ".ADD(0)"),), "shapes", VALUE
    ),
    "masked elements in the sum": Mutation(
        ((POWER, "active_i ? softermax_tables_pkg", "(active_i | 1'b1) ? softermax_tables_pkg"),),
        "masks",
        VALUE,
    ),
    "numerators from the maximum before the beat": Mutation(
        (
            (
                TOP,
                ".max_i   (p1_max_up[8:2]),",
                ".max_i   (7'((9'(unused_prev) + 9'd3) >> 2)),",
            ),
        ),
        "smoke",
        VALUE,
    ),
    "POW2: wrong entry": Mutation(
        ((TABLES, "2'd2: pow2 = 16'd46341;", "2'd2: pow2 = 16'd46597;"),), "shapes", VALUE
    ),
    "numerators rounded up": Mutation(
        (
            (
                POWER,
                "softermax_tables_pkg::pow2(key_i[1:0]) >> k :",
                "power >> k :",
            ),
            (
                POWER,
                "  logic [6:0] k;\n",
                "  logic [6:0] k;\n  logic [16:0] power;\n"
                "  assign power = softermax_tables_pkg::pow2(key_i[1:0]) + ((17'd1 << k) >> 1);\n",
            ),
        ),
        "masks",
        VALUE,
    ),
    "sum of the last row kept": Mutation(
        ((REDUCTION, "prev    = first_i ? '0 : sum_o;", "prev    = sum_o;"),), "smoke", VALUE
    ),
    "sum lost in a masked beat": Mutation(
        ((REDUCTION, "prev    = first_i ? '0", "prev    = (first_i || p_i == '0) ? '0"),),
        "masks",
        VALUE,
    ),
    "leading one of the sum a place too low": Mutation(
        ((RECIPROCAL, "shift_q <= shift;", "shift_q <= shift - E_W'(shift != '0);"),),
        "smoke",
        VALUE,
    ),
    "masked elements not zeroed": Mutation(
        (
            (
                TOP,
                "p1_pow_keep[i] ? p1_pow_p[i] :",
                "p1_pow_keep[i] ? (p1_pow_p[i] == '0 ? 16'd16384 : p1_pow_p[i]) :",
            ),
        ),
        "masks",
        VALUE,
    ),
    "masked elements are absent": Mutation(
        ((TOP, "p1_max_lane[i][8] || p1_max_lane[i][0];", "p1_max_lane[i][8];"),),
        "masks",
        "tkeep: expected",
    ),
    "exponent not 0": Mutation(
        ((TOP, "p2_rd_err_len, 5'd0};", "p2_rd_err_len, 5'd1};"),), "smoke", TUSER
    ),
    "top bit of the output lost": Mutation(
        ((NORMALISE, "= product[21:14];", "= {1'b0, product[20:14]};"),), "shapes", VALUE
    ),
}

RULES: dict[str, Rule] = {}
