# SPDX-License-Identifier: Apache-2.0
"""Bugs of the exact LayerNorm; those of the cells that it shares with other units are there."""

from tests.rtl.mutations import VALUE, Bug, Mutation, Rule

# Rows of two beats: those of the longest sums are among those that every setting is tried with.
SMALL = {"LANES": 4, "MAX_LEN": 8}

AFFINE = "common/sn_affine.sv"
FOLDER = "baseline/exact_layernorm/exact_layernorm"
STATISTICS = f"{FOLDER}_statistics.sv"
MOMENTS = f"{FOLDER}_moments.sv"
DIVIDE = f"{FOLDER}_divide.sv"
ROOT = f"{FOLDER}_root.sv"
TOP = f"{FOLDER}.sv"

MUTATIONS: dict[str, Mutation] = {
    "square of the magnitude's low byte": Bug(
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
    "sum of squares a bit narrow": Bug(
        ((TOP, "SquareW  = 22 + $clog2(MAX_LEN);", "SquareW  = 21 + $clog2(MAX_LEN);"),),
        "settings",
        VALUE,
    ),
    "square of the sum kept for RMSNorm": Bug(
        ((MOMENTS, "rms_i ? '0 : sum_square", "sum_square"),), "smoke", VALUE
    ),
    "mean rounded down": Bug(((MOMENTS, " + 19'(quotient[0]);", ";"),), "random", VALUE),
    "leading pair of D off by one": Bug(
        ((MOMENTS, "if (var_q[2*i+:2] != 2'd0)", "if (var_q[2*i+1])"),), "smoke", VALUE
    ),
    "root's last bit": Bug(
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
    "a remainder that equals the divisor stays": Bug(
        ((DIVIDE, "twice >= {1'b0, divisor_in}", "twice > {1'b0, divisor_in}"),), "smoke", VALUE
    ),
    "A rounded down": Bug(
        ((AFFINE, "scaled[R_W+7:8] + R_W'(scaled[7])", "scaled[R_W+7:8]"),), "random", VALUE
    ),
    "quotient rounded down": Bug(
        ((AFFINE, "half_q     <= gen_shift[0].d[0];", "half_q     <= 1'b0;"),), "smoke", VALUE
    ),
    "quotient wraps": Bug(
        ((AFFINE, "(over == '0) ? gen_shift", "1'b1 ? gen_shift"),), "smoke", VALUE
    ),
    **{
        f"overflow not seen before the shift by {1 << bit}": Bug(
            ((AFFINE, "assign over[s] = !sh[s]", f"assign over[s] = s != {bit} && !sh[s]"),),
            "settings",
            VALUE,
        )
        for bit in range(5)
    },
    "beta of the beat behind": Bug(
        ((TOP, ".STAGES(StBeta)", ".STAGES(StBeta - 1)"),), "smoke", VALUE
    ),
    "gfrac of the next row": Bug(
        ((TOP, ".gfrac_i     (sum_cfg.gfrac),", ".gfrac_i     (s0_cfg.gfrac),"),), "random", VALUE
    ),
    "a slot too few": Bug(
        ((TOP, "Turnaround = StRow + 2;", "Turnaround = StRow + 1;"),),
        "timing",
        "s_axis_tready fell with no stall outside",
    ),
}

RULES: dict[str, Rule] = {}
