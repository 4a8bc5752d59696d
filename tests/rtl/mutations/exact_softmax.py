# SPDX-License-Identifier: Apache-2.0
"""Bugs of the exact softmax. Those of the passes that it shares are REXP's."""

from tests.rtl.mutations import TUSER, VALUE, Mutation, Rule

SMALL = {"LANES": 4, "MAX_LEN": 32}

TOP = "baseline/exact_softmax/exact_softmax.sv"
EXPONENTIAL = "baseline/exact_softmax/exact_softmax_exponential.sv"
DIVIDER = "baseline/exact_softmax/exact_softmax_divider.sv"
TABLES = "baseline/exact_softmax/exact_softmax_tables_pkg.sv"

MUTATIONS: dict[str, Mutation] = {
    "E: wrong entry": Mutation(
        ((TABLES, "exp_0 = 16'd65025;", "exp_0 = 16'd64025;"),),
        "masks",
        VALUE,
        alone=True,  # its function is too large to be inlined
    ),
    "E: reads on beyond its end": Mutation(
        ((EXPONENTIAL, "(beyond_q || z_q[10:9] == 2'b11)", "beyond_q"),), "shapes", VALUE
    ),
    "E: a part of the table begins late": Mutation(
        ((EXPONENTIAL, "z_q[8]  ? exact_softmax_tables_pkg::exp_256(z_q[7:1]) :", ""),),
        "shapes",
        VALUE,
    ),
    "F of the next row": Mutation(
        ((TOP, ".frac_i(elem_frac),", ".frac_i(cfg_frac_i),"),), "settings", VALUE
    ),
    "last bit of the division left out": Mutation(
        ((DIVIDER, "q[8:1] + 8'(q[0]);", "q[8:1];"),), "shapes", VALUE
    ),
    "a remainder as large as the sum does not fit": Mutation(
        ((DIVIDER, "fits = twice >= {1'b0, sum_i[k]};", "fits = twice > {1'b0, sum_i[k]};"),),
        "levels",
        VALUE,
    ),
    "remainder not restored": Mutation(
        ((DIVIDER, "fits ? less[RestW-1:0] : twice[RestW-1:0];", "less[RestW-1:0];"),),
        "smoke",
        VALUE,
    ),
    "remainder a bit narrow": Mutation(
        ((DIVIDER, "RestW = (17 + k < SUM_W) ? 17 + k", "RestW = (17 + k < SUM_W) ? 16 + k"),),
        "shapes",
        VALUE,
    ),
    "output not cut at 255": Mutation(
        ((DIVIDER, "(&q[8:1]) ? 8'd255 : q[8:1]", "q[8:1]"),), "shapes", VALUE
    ),
    "sum of the row that comes next": Mutation(
        ((TOP, "_q <= p3_sum[Steps-2:0];", "_q <= {(Steps - 1) {p3_rd_sum}};"),), "lengths", VALUE
    ),
    "all-masked row divided by 0": Mutation(
        ((TOP, "(row_sum == '0) ? SumW'(1) : row_sum;", "row_sum;"),), "masks", VALUE
    ),
    "masked elements are absent": Mutation(
        ((TOP, "p3_rd_keep[i] = p3_rd_e[i] != Absent;", "p3_rd_keep[i] = p3_rd_e[i] != '0;"),),
        "masks",
        "tkeep: expected",
    ),
    "exponent not 0": Mutation(
        ((TOP, "p3_div_err_len, 5'd0}),", "p3_div_err_len, 5'd1}),"),), "smoke", TUSER
    ),
}

RULES: dict[str, Rule] = {}
