# SPDX-License-Identifier: Apache-2.0
"""Bugs of the exact LayerNorm; those of the cells that it shares with other units are there."""

from tests.rtl.mutations import TUSER, VALUE, Mutation, Rule

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
        (
            (
                TOP,
                ".square_sum_i(p1_square_sum)",
                ".square_sum_i({1'b0, p1_square_sum[SquareW-2:0]})",
            ),
        ),
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
                "root_o <= gen_bit[BITS-1].root_d;",
                "root_o <= gen_bit[BITS-1].root_d | 16'd1;",
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
        ((TOP, "Turnaround = StRow + 1 + IN_REG;", "Turnaround = StRow + IN_REG;"),),
        "timing",
        "s_axis_tready fell with no stall outside",
    ),
    "alpha left out of pass 2": Mutation(
        ((TOP, "12'($signed(a)) <<< p2_s1_gamma_alpha[i][1:0];", "12'($signed(a));"),),
        "smoke",
        VALUE,
    ),
    "zp of the row in pass 1 for pass 2": Mutation(
        ((TOP, "p2_s1_zp   <= p2_s0_zp;", "p2_s1_zp   <= p1_sum_zp;"),), "random", VALUE
    ),
    "bank of the row in pass 1 for pass 2": Mutation(
        ((TOP, ".bank_i       (p2_s0_bank),", ".bank_i       (p1_s0_bank),"),), "random", VALUE
    ),
    "one bank: alpha of pass 1 has two": Mutation(
        ((TOP, "    .W      (2),\n    .BANKS  (BANKS)\n", "    .W      (2)\n"),),
        "smoke",
        "",
        {"BANKS": 1},
    ),
    "one bank: pass 2 has two": Mutation(
        ((TOP, "    .OUT_REG  (OUT_REG),\n    .BANKS    (BANKS)\n", "    .OUT_REG  (OUT_REG)\n"),),
        "smoke",
        "",
        {"BANKS": 1},
    ),
    "masked elements in the count": Mutation(
        ((STATISTICS, "BeatCountW'(active_i[i])", "BeatCountW'(1)"),), "masks", VALUE
    ),
    "sum of the last row kept": Mutation(
        (
            (
                STATISTICS,
                ".data_i (v3_q),\n    .load_i,\n    .first_i,",
                ".data_i (v3_q),\n    .load_i,\n    .first_i(1'b0),",
            ),
        ),
        "smoke",
        "",
    ),
    "mean kept for RMSNorm": Mutation(
        ((MOMENTS, "mean = rms6 ? '0 :", "mean = 1'b0 ? '0 :"),), "smoke", VALUE
    ),
    "Lz a place too low": Mutation(
        ((MOMENTS, "len_exp_q <= len_exp;", "len_exp_q <= len_exp - LenW'(len_exp == 3);"),),
        "random",
        VALUE,
    ),
    "shift without ofrac": Mutation(
        ((MOMENTS, " + 6'(gfrac) - 6'(ofrac);", " + 6'(gfrac);"),), "smoke", VALUE
    ),
    "all-masked row flagged": Mutation(
        ((TOP, "p1_sum_ctl.err_len, p1_sum_zp}", "p1_count == '0, p1_sum_zp}"),), "masks", TUSER
    ),
}

RULES: dict[str, Rule] = {}
