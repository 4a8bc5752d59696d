# SPDX-License-Identifier: Apache-2.0
"""Bugs of the exact LayerNorm; those of the cells that it shares with other units are there."""

from tests.rtl.mutations import VALUE, Mutation, Rule

# Rows of two beats: those of the longest sums are among those that every setting is tried with.
SMALL = {"LANES": 4, "MAX_LEN": 8}

FOLDER = "baseline/exact_layernorm/exact_layernorm"
STATISTICS = f"{FOLDER}_statistics.sv"
MOMENTS = f"{FOLDER}_moments.sv"
DIVIDE = f"{FOLDER}_divide.sv"
ROOT = f"{FOLDER}_root.sv"
TOP = f"{FOLDER}.sv"

MUTATIONS: dict[str, Mutation] = {
    "square of the magnitude's low byte": Mutation(
        (
            (
                STATISTICS,
                ".a_i(v_q),\n      .b_i(v_q)",
                ".a_i({1'b0, v_q[10:0]}),\n      .b_i({1'b0, v_q[10:0]})",
            ),
        ),
        "random",
        VALUE,
    ),
    "sum of squares a bit narrow": Mutation(
        ((TOP, "SquareW  = 22 + $clog2(MAX_LEN);", "SquareW  = 21 + $clog2(MAX_LEN);"),),
        "settings",
        VALUE,
    ),
    "square of the sum kept for RMSNorm": Mutation(
        ((MOMENTS, "rms_i ? '0 : sum_square", "sum_square"),), "smoke", VALUE
    ),
    "mean rounded down": Mutation(((MOMENTS, " + MeanW'(quotient[0]);", ";"),), "random", VALUE),
    "leading pair of D off by one": Mutation(
        ((MOMENTS, "if (var_q[2*i+:2] != 2'd0)", "if (var_q[2*i+1])"),), "smoke", VALUE
    ),
    "root's last bit": Mutation(
        (
            (
                ROOT,
                "assign root_o = gen_bit[BITS-1].root;",
                "assign root_o = gen_bit[BITS-1].root | 16'd1;",
            ),
        ),
        "settings",
        VALUE,
    ),
    "a remainder that equals the divisor stays": Mutation(
        ((DIVIDE, "twice >= {1'b0, divisor_in}", "twice > {1'b0, divisor_in}"),), "smoke", VALUE
    ),
    "gfrac of the next row": Mutation(
        ((TOP, "(p1_sum_run.gfrac),", "(p1_s0_run.gfrac),"),), "random", VALUE
    ),
    "a slot too few": Mutation(
        ((TOP, "Turnaround = StRow + 2;", "Turnaround = StRow + 1;"),),
        "timing",
        "s_axis_tready fell with no stall outside",
    ),
}

RULES: dict[str, Rule] = {}
