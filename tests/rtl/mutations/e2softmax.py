# SPDX-License-Identifier: Apache-2.0
"""Bugs of E2Softmax, of the cells that all units share, and of what comes with those."""

from tests.rtl.mutations import TUSER, VALUE, Mutation, Rule

SMALL = {"LANES": 4, "MAX_LEN": 32}

GUARD = "common/sn_row_guard.sv"
FRONT = "common/sn_max_front.sv"
BUFFER = "common/sn_row_buffer.sv"
OUTPUT = "common/sn_row_output.sv"
TREE = "common/sn_reduce_tree.sv"
MAX = "common/sn_row_max.sv"
LARGER = "common/sn_max.sv"
TOP = "e2softmax/e2softmax.sv"
LOG2EXP = "e2softmax/e2softmax_log2exp.sv"
WIDE_MAX = "e2softmax/e2softmax_wide_max.sv"
ANY_SCALE = "e2softmax/e2softmax_log2exp_scaled.sv"
OCTAVES = "e2softmax/e2softmax_octaves.sv"
SUM = "e2softmax/e2softmax_reduction.sv"
DIV = "e2softmax/e2softmax_log_div.sv"
LEADING = "common/sn_leading_one.sv"
TABLES = "e2softmax/e2softmax_tables_pkg.sv"

HALVES = {"EXP_FRAC": 1}
SCALED = {"SCALE": 1}
STATE = {"EXP_FRAC": 1, "BLOCKS": 1, "FORMATS": 1}
WIDE = {"IN_W": 32, "SCALE": 1}
LOGS = {"LOG_FIRST": 1}
HALF_LOGS = {"LOG_FIRST": 1, "EXP_FRAC": 1}
ONE_LOG = {"LOG_FIRST": 1, "FRAC": 2}
ONE = {"FRAC": 3}

# What the guard lets into lanes that are not active.
_UNMASKED = (GUARD, "{LANE_W{active[i] && accept}}", "{LANE_W{accept}}")

_SIGNED = (
    FRONT,
    "{!s_axis_tdata[IN_W*i+IN_W-1], s_axis_tdata[IN_W*i+:IN_W-1]}",
    "s_axis_tdata[IN_W*i+:IN_W]",
)

# What cfg_i had in the first clock in which a beat was shown.
_SHOWN = """  logic shown_q;
  logic [CFG_W-1:0] early_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) shown_q <= 1'b0;
    else shown_q <= s_axis_tvalid && !s_axis_tready;
  end
  always_ff @(posedge clk_i) if (s_axis_tvalid && !shown_q) early_q <= cfg_i;
"""

# A dropped beat that is not its row's first, where MAX_LEN is whole beats.
_LATER = "past_end && row_err_len_o"


def _only_where(condition: str) -> tuple[str, str, str]:
    """An edit: a wrong tkeep counts only there."""
    right = "s_axis_tlast ? (run != '0 || !s_axis_tkeep[0]) : !(&s_axis_tkeep);"
    return GUARD, right, f"({right[:-1]}) && {condition};"


def _late(output, value, also=""):
    """An error output a clock late, or `also` at its own clock."""
    return (
        (
            GUARD,
            f"      {output:10} <= {value};",
            f"      late_q <= {value};\n      {output} <= {also}late_q;",
        ),
        (GUARD, f"      {output:10} <= 1'b0;", f"      {output} <= 1'b0;\n      late_q <= 1'b0;"),
        (
            GUARD,
            "  logic [CntW-1:0]  beats;",
            "  logic             late_q;\n  logic [CntW-1:0]  beats;",
        ),
    )


MUTATIONS: dict[str, Mutation] = {
    # ------------------------------------------------------------------- registers at the ports
    "no input register: settings of the row before": Mutation(
        ((GUARD, "assign cfg_o          = first ? cfg_i : cfg_q;", "assign cfg_o = cfg_q;"),),
        "settings",
        "",
        {"IN_REG": 0},
    ),
    "no input register: a beat that waits goes in": Mutation(
        ((GUARD, "assign valid_o        = accept;", "assign valid_o = s_axis_tvalid;"),),
        "stalls",
        "",
        {"IN_REG": 0},
    ),
    "no input register: a wrong tkeep a beat late": Mutation(
        ((GUARD, "assign row_err_keep_o = row_err_keep;", "assign row_err_keep_o = err_keep_q;"),),
        "errors",
        TUSER,
        {"IN_REG": 0},
    ),
    "no input register: a length a beat late": Mutation(
        ((GUARD, "assign row_err_len_o  = new_len_err;", "assign row_err_len_o = err_len_q;"),),
        "errors",
        TUSER,
        {"IN_REG": 0},
    ),
    "no output register: tvalid waits for tready": Mutation(
        (
            (
                OUTPUT,
                "assign m_axis_tvalid = valid_i;",
                "assign m_axis_tvalid = valid_i && m_axis_tready;",
            ),
        ),
        "timing",
        "",
        {"OUT_REG": 0},
    ),
    "no output register: payload goes on while it waits": Mutation(
        ((DIV, "if (advance_i) begin\n      fall_q ", "if (1'b1) begin\n      fall_q "),),
        "stalls",
        "",
        {"OUT_REG": 0},
    ),
    # ------------------------------------------------------------------ octaves first, a fixed F
    "octaves: 16 x without its sign": Mutation(
        ((OCTAVES, "13'($signed({x, 4'b0}))", "13'({x, 4'b0})"),), "smoke", VALUE, LOGS
    ),
    "octaves: not rounded": Mutation(
        ((OCTAVES, "raw[KEY_W:1] + KEY_W'(raw[0])", "raw[KEY_W:1]"),), "smoke", VALUE, LOGS
    ),
    "octaves: a bit too few of half octaves": Mutation(
        ((OCTAVES, "(product >>> (3 - EXP_FRAC))", "(product >>> 3)"),), "smoke", "", HALF_LOGS
    ),
    "octaves: F of the beat before": Mutation(
        ((TOP, "      .frac_i (p1_in_ctl.scale),", "      .frac_i (p1_key_ctl.scale),"),),
        "smoke",
        "",
        LOGS,
    ),
    "octaves: first beat of the maximum a clock early": Mutation(
        ((TOP, "      .first_i(p1_key_ctl.first),", "      .first_i(p1_in_ctl.first),"),),
        "smoke",
        "",
        LOGS,
    ),
    "octaves: a code not saturated": Mutation(
        (
            (
                TOP,
                "assign code[i] = CodeW'(diff) | {CodeW{diff[KeyW-1:CodeW] != '0}};",
                "assign code[i] = CodeW'(diff);",
            ),
        ),
        "smoke",
        "",
        LOGS,
    ),
    "octaves: a rise not saturated": Mutation(
        (
            (
                TOP,
                "assign rise         = CodeW'(diff) | {CodeW{diff[KeyW-1:CodeW] != '0}};",
                "assign rise         = CodeW'(diff);",
            ),
        ),
        "shapes",
        "",
        LOGS,
    ),
    "octaves: a correction not saturated": Mutation(
        (
            (
                DIV,
                "assign code   = CODE_W'(fall_q) | {CODE_W{fall_q[KEY_W-1:CODE_W] != '0}};",
                "assign code   = CODE_W'(fall_q);",
            ),
        ),
        "shapes",
        "",
        LOGS,
    ),
    "octaves: F from its pin where it is fixed": Mutation(
        ((TOP, "(FRAC < 0) ? p1_in_cfg[ScaleW-1:0] : ScaleW'(FRAC)", "p1_in_cfg[ScaleW-1:0]"),),
        "smoke",
        "",
        ONE_LOG,
    ),
    "fixed F: another one for the codes": Mutation(
        ((TOP, ".FRAC    (FRAC)\n      ) u_log2exp", ".FRAC    (FRAC ^ 1)\n      ) u_log2exp"),),
        "smoke",
        "",
        ONE,
    ),
    "fixed F: even distances left out of the table": Mutation(
        ((LOG2EXP, "Codes[d_i[AddrW-1:0]*", "Codes[(d_i[AddrW-1:0] | AddrW'(1))*"),),
        "shapes",
        VALUE,
        ONE,
    ),
    "fixed F: a table that is too short": Mutation(
        ((LOG2EXP, "$clog2(Far)", "($clog2(Far) - 1)"),), "shapes", VALUE, ONE
    ),
    "fixed F: from its pin for the codes": Mutation(
        (
            (TOP, "(FRAC < 0) ? p1_in_cfg[ScaleW-1:0] : ScaleW'(FRAC)", "p1_in_cfg[ScaleW-1:0]"),
            (TOP, ".FRAC    (FRAC)\n      ) u_log2exp", ".FRAC    (-1)\n      ) u_log2exp"),
        ),
        "smoke",
        "",
        ONE,
    ),
    "fixed F: another one for the correction": Mutation(
        ((DIV, ".FRAC    (FRAC)\n    ) u_corr", ".FRAC    (FRAC ^ 1)\n    ) u_corr"),),
        "smoke",
        "",
        ONE,
    ),
    # ------------------------------------------------------------------------- arithmetic
    "divider constants swapped": Mutation(
        ((DIV, "::div_c1(bin);", "::div_c1(!bin);"),), "shapes", VALUE
    ),
    "log2exp: floor for round": Mutation(
        ((LOG2EXP, "raw[CODE_W:1] + CODE_W'(raw[0])", "raw[CODE_W:1]"),), "shapes", VALUE
    ),
    "log2exp: wraps past the last code": Mutation(
        ((LOG2EXP, "|| (&raw[CODE_W:0])", ""),), "random", VALUE
    ),
    "log2exp: F of the next row": Mutation(
        ((TOP, "frac = p1_max_ctl.scale[2:0]", "frac = p1_in_ctl.scale[2:0]"),),
        "settings",
        VALUE,
    ),
    "correction shift of Sum left out": Mutation(
        ((SUM, "assign decayed = rise_code_i[0] ? by2 >> 1 : by2;", "assign decayed = prev;"),),
        "shapes",
        "expected",
    ),
    "codes not corrected in pass 2": Mutation(
        ((DIV, "total = TotalW'(correction) +", "total = TotalW'(0) +"),), "shapes", VALUE
    ),
    "maximum over masked lanes": Mutation(
        (_UNMASKED,),
        "masks",
        VALUE,
    ),
    "masked lanes in the sum": Mutation(
        (
            (SUM, "assign a_only = active_i[2*i] &&", "assign a_only ="),
            _UNMASKED,
        ),
        "masks",
        "expected",
    ),
    "masked lanes not zeroed": Mutation(
        (
            (
                TOP,
                "active ? code[i] : exists ? CodeZero : CodeAbsent;",
                "(active || exists) ? code[i] : CodeAbsent;",
            ),
        ),
        "masks",
        VALUE,
    ),
    "Sum one bit narrow": Mutation(
        (
            (TOP, "? 32 : 16 + LenW", "? 32 : 15 + LenW"),
            (
                TOP,
                ".data_i(p1_sum[SumW-1:15-DIV_BITS])",
                ".data_i({1'b0, p1_sum[SumW-1:15-DIV_BITS]})",
            ),
        ),
        "shapes",
        "expected",
    ),
    "maximum compares as signed": Mutation(
        (_SIGNED,),
        "shapes",
        VALUE,
    ),
    "output steps floored": Mutation(
        ((DIV, "(9'(whole) + 9'(1 << (Shift - 1))) >> Shift", "9'(whole) >> Shift"),),
        "shapes",
        VALUE,
    ),
    "ks applied in row-scaled format": Mutation(
        ((DIV, "row_scaled_i ? '0 : ks_i", "ks_i"),), "settings", VALUE
    ),
    "exponent given in linear format": Mutation(
        ((TOP, "p2_rd_fmt ? 5'(p2_rd_ks) : 5'd0", "5'(p2_rd_ks)"),), "settings", TUSER
    ),
    "equal pair counted once": Mutation(
        ((SUM, "equal ? code_i[2*i] - 4'd1 : code_i[2*i]", "code_i[2*i]"),), "shapes", "expected"
    ),
    "pair of the largest lost": Mutation(
        ((SUM, "sum[16] = equal && code_i[2*i] == 4'd0", "sum[16] = 1'b0"),), "shapes", "expected"
    ),
    # Only rows at the edges of a sum show these.
    "half octave: 23170 for 23168": Mutation(
        ((SUM, "HalfStep = 16'd23168;", "HalfStep = 16'd23170;"),),
        "levels",
        VALUE,
        {"EXP_FRAC": 1},
    ),
    "half octave: 23167 for 23168": Mutation(
        ((SUM, "HalfStep = 16'd23168;", "HalfStep = 16'd23167;"),),
        "shapes",
        VALUE,
        {"EXP_FRAC": 1},
    ),
    "decay by 182/256": Mutation(
        ((SUM, "(SUM_W + 8)'(181)", "(SUM_W + 8)'(182)"),), "levels", VALUE, {"EXP_FRAC": 1}
    ),
    "half octave: last bit lost": Mutation(
        ((SUM, "PairW'(top >> code_i", "~PairW'(1) & PairW'(top >> code_i"),),
        "shapes",
        VALUE,
        {"EXP_FRAC": 1},
    ),
    "smallest weight lost": Mutation(
        (
            (
                SUM,
                "assign sum[15-c] = at_a || at_b;",
                "assign sum[15-c] = (at_a || at_b) && c != 15;",
            ),
        ),
        "levels",
        VALUE,
    ),
    # Rows of 16 equal elements have an exponent that needs a bit more than that of 15.
    "ks a bit narrow": Mutation(
        ((TOP, "(LenW > 0) ? $clog2(LenW + 1) : 1;", "(LenW > 1) ? $clog2(LenW) : 1;"),),
        "random",
        "expected",
        {"MAX_LEN": 16},
    ),
    "sum of the last row kept": Mutation(
        ((SUM, "assign prev = first_i ? '0 : sum_o;", "assign prev = sum_o;"),), "smoke", "expected"
    ),
    "maximum of the last row kept": Mutation(
        ((MAX, "assign prev = first_i ? '0 : max_o;", "assign prev = max_o;"),),
        "smoke",
        "",
    ),
    # -------------------------------------------------------------------------- any scale
    "any scale: floor for round": Mutation(
        ((ANY_SCALE, "raw[CODE_W:1] + CODE_W'(raw[0])", "raw[CODE_W:1]"),), "levels", VALUE, SCALED
    ),
    "any scale: wraps past the last code": Mutation(
        ((ANY_SCALE, "|| (&raw[CODE_W:0])", ""),), "levels", VALUE, SCALED
    ),
    "any scale: M without its leading one": Mutation(
        ((ANY_SCALE, "8'd0 : {1'b1, mult_i}", "8'd0 : {1'b0, mult_i}"),),
        "smoke",
        "expected",
        SCALED,
    ),
    "any scale: S of 32 and more wraps": Mutation(
        ((ANY_SCALE, "(shift_i > 6'd16)", "(shift_i[4:0] > 5'd16)"),),
        "levels",
        VALUE,
        SCALED,
    ),
    "any scale: S below the least wraps": Mutation(
        ((ANY_SCALE, "(shift_i < 6'(Least)) ? 4'd0 : ", ""),),
        "levels",
        VALUE,
        SCALED,
    ),
    "any scale: three of M is two": Mutation(
        ((ANY_SCALE, "(bits[2*n] ? thrice", "(bits[2*n] ? {1'b0, m, 1'b0}"),),
        "smoke",
        "expected",
        SCALED,
    ),
    "any scale: a digit's carry stops": Mutation(
        ((ANY_SCALE, "= (row[n][j] ^ prev[j]) ?", "= (row[n][j] ^ prev[j]) && j != 8 ?"),),
        "levels",
        VALUE,
        SCALED,
    ),
    "any scale: S of 16 shifts by 15": Mutation(
        ((ANY_SCALE, "4'(shift_i - 6'(Least))", "4'(shift_i - 6'(Least)) - 4'(shift_i == 6'd16)"),),
        "levels",
        VALUE,
        SCALED,
    ),
    "any scale: S of the next row": Mutation(
        (
            (
                TOP,
                "        .shift_i(diff_scale[12:7]),",
                "        .shift_i(p1_in_ctl.scale[12:7]),",
            ),
        ),
        "settings",
        "expected",
        SCALED,
    ),
    "any scale: M of the next row": Mutation(
        ((TOP, ".data_i(7'(diff_scale))", ".data_i(7'(p1_in_ctl.scale))"),),
        "settings",
        "expected",
        SCALED,
    ),
    "any scale: codes not corrected by M in pass 2": Mutation(
        ((DIV, ".data_i(scale_q[6:0])", ".data_i('0)"),), "shapes", VALUE, SCALED
    ),
    # Its pins are left open in bulk, so that on Icarus they are X wherever they are looked at.
    "any scale: its pins not ignored without it": Mutation(
        (
            (
                TOP,
                "frac = p1_max_ctl.scale[2:0]",
                "frac = p1_max_ctl.scale[2:0] ^ {2'b0, cfg_mult_i[0]}",
            ),
        ),
        "shapes",
        "",
    ),
    # --------------------------------------------------------------------- rows in blocks
    "blocks: sum of the blocks before ignored": Mutation(
        ((SUM, "prev = first_i ? start_i", "prev = first_i ? SUM_W'(0)"),),
        "settings",
        "tuser out_sum: expected",
        STATE,
    ),
    "blocks: maximum of the blocks before ignored": Mutation(
        ((MAX, "prev = first_i ? start_i", "prev = first_i ? W'(0)"),),
        "settings",
        "expected",
        STATE,
    ),
    "blocks: maximum of the blocks before unsigned": Mutation(
        ((TOP, "{!cfg_carry_max_i[IN_W-1],", "{cfg_carry_max_i[IN_W-1],"),),
        "settings",
        "expected",
        STATE,
    ),
    "blocks: maximum of a new row not ignored": Mutation(
        ((TOP, "{IN_W{cfg_carry_sum_i != '0}}", "{IN_W{1'b1}}"),), "settings", "expected", STATE
    ),
    "blocks: Sum wraps": Mutation(
        ((SUM, "total[SUM_W-1:0] | {SUM_W{total[SUM_W]}}", "total[SUM_W-1:0]"),),
        "levels",
        "tuser out_sum: expected",
        STATE,
    ),
    "blocks: Sum saturates a bit early": Mutation(
        ((SUM, "{SUM_W{total[SUM_W]}}", "{SUM_W{total[SUM_W] || &total[SUM_W-1:15]}}"),),
        "levels",
        "tuser out_sum: expected",
        STATE,
    ),
    "blocks: no bin of a small sum": Mutation(
        ((TOP, "(p1_sum[31:15] != '0) ? bin : low_bin", "bin"),), "levels", VALUE, STATE
    ),
    "blocks: exponent of a masked block": Mutation(
        ((TOP, "= ks & {KsW{p1_sum_some}};", "= ks;"),), "levels", TUSER, STATE
    ),
    "blocks: elements of the row before count": Mutation(
        ((TOP, "(some_q && !p1_in_ctl.first)", "some_q"),), "levels", TUSER, STATE
    ),
    "blocks: a maximum before the first element": Mutation(
        ((TOP, "p1_sum_m[IN_W-1] || p1_sum == '0", "p1_sum_m[IN_W-1]"),),
        "masks",
        "tuser out_max: expected",
        STATE,
    ),
    "blocks: the next row's sum": Mutation(
        ((TOP, ".STAGES(StBeat)\n    ) u_start", ".STAGES(StBeat - 1)\n    ) u_start"),),
        "settings",
        "expected",
        STATE,
    ),
    "blocks: the sum of the beat before": Mutation(
        ((TOP, "{{Blocks{p1_sum}}, p1_sum_ctl", "{{Blocks{p1_sum & ~32'd1}}, p1_sum_ctl"),),
        "settings",
        "tuser out_sum: expected",
        STATE,
    ),
    "blocks: maximum as a key": Mutation(
        ((TOP, "{p2_rd_sum, !p2_rd_row_m[IN_W-1],", "{p2_rd_sum, p2_rd_row_m[IN_W-1],"),),
        "settings",
        "tuser out_max: expected",
        STATE,
    ),
    # Its pins are left open in bulk, as those of a scale are.
    "blocks: its pins not ignored without it": Mutation(
        (
            (MAX, "prev = first_i ? '0", "prev = first_i ? start_i"),
            (TOP, "assign p1_in_start   = '0;", "assign p1_in_start   = carry_key;"),
        ),
        "shapes",
        "",
    ),
    # ----------------------------------------------------------------------- more formats
    "formats: 3 is linear": Mutation(
        (
            (TOP, "= p2_rd_cfg[1];", "= p2_rd_cfg[1:0] == 2'd2;"),
            (TOP, "= p2_rd_cfg[1:0] == 2'd0;", "= p2_rd_cfg[1:0] == 2'd0 || &p2_rd_cfg[1:0];"),
        ),
        "settings",
        VALUE,
        STATE,
    ),
    "formats: ks applied in the unnormalised format": Mutation(
        ((TOP, "= p2_rd_cfg[1:0] == 2'd0;", "= !p2_rd_cfg[0];"),), "settings", VALUE, STATE
    ),
    "formats: exponent given in the unnormalised format": Mutation(
        ((TOP, "= p2_rd_cfg[1:0] == 2'd1;", "= p2_rd_cfg[1:0] != 2'd0;"),),
        "settings",
        TUSER,
        STATE,
    ),
    "formats: 7 bits not given": Mutation(
        ((DIV, "MoreW'(ks_i)) + MoreW'(s7_i)", "MoreW'(ks_i))"),), "settings", VALUE, STATE
    ),
    "formats: unnormalised from 127": Mutation(
        ((DIV, "unnormalised ? 8'd128", "unnormalised ? 8'd127"),), "settings", VALUE, STATE
    ),
    "formats: odd half octaves of 182": Mutation(
        ((DIV, "odd_181 ? 9'd181", "odd_181 ? 9'd182"),), "settings", VALUE, STATE
    ),
    "formats: odd half octaves a clock early": Mutation(
        ((DIV, "odd_181        <= unnormalised;", "odd_181        <= unnormalised_i;"),),
        "settings",
        VALUE,
        STATE,
    ),
    "formats: 7 bits of a row of the largest ks": Mutation(
        ((DIV, "? KS_W : KS_W + 1;", "? KS_W : KS_W;"),),
        "shapes",
        VALUE,
        {"MAX_LEN": 8, "FORMATS": 1},
    ),
    "wide: floor for round": Mutation(
        ((ANY_SCALE, "raw[CODE_W:1] + CODE_W'(raw[0])", "raw[CODE_W:1]"),), "levels", VALUE, WIDE
    ),
    "wide: wraps past the last code": Mutation(
        ((ANY_SCALE, "|| (&raw[CODE_W:0])", ""),), "levels", VALUE, WIDE
    ),
    "wide: M without its leading one": Mutation(
        ((ANY_SCALE, "m     = {1'b1, mult_i}", "m     = {1'b0, mult_i}"),),
        "smoke",
        "expected",
        WIDE,
    ),
    "wide: S of 16 shifts by 1": Mutation(
        (
            (
                ANY_SCALE,
                "ShiftW'({d_i, 16'b0})",
                "ShiftW'({d_i, 16'b0}) >> (shift_i == 6'd16)",
            ),
        ),
        "levels",
        VALUE,
        WIDE,
    ),
    "wide: S of 32 and more wraps": Mutation(
        ((ANY_SCALE, "shifted  = place[Steps-1-n]", "shifted  = (n > 0 && place[Steps-1-n])"),),
        "levels",
        VALUE,
        WIDE,
    ),
    "wide: first bit beyond the product lost": Mutation(
        (
            (
                ANY_SCALE,
                "(ShiftW > LeftW - 1 + Step) ? ShiftW - (LeftW - 1 + Step) : 0",
                "(ShiftW > LeftW + Step) ? ShiftW - (LeftW + Step) : 0",
            ),
        ),
        "shapes",
        VALUE,
        WIDE,
    ),
    "wide: bits that the first step finds beyond lost": Mutation(
        ((ANY_SCALE, "far_here = far_prev ||", "far_here = (n > 1 && far_prev) ||"),),
        "levels",
        VALUE,
        WIDE,
    ),
    "wide: maximum compares as signed": Mutation((_SIGNED,), "shapes", "expected", WIDE),
    "wide: fall of the maximum at 16 bits": Mutation(
        (
            (
                DIV,
                "fall_q  <= row_max_i - beat_max_i;",
                "fall_q  <= IN_W'(16'(row_max_i - beat_max_i));",
            ),
        ),
        "levels",
        VALUE,
        WIDE,
    ),
    "wide: M a clock early": Mutation(
        ((TOP, ".STAGES(Wide)\n  ) u_mult", ".STAGES(0)\n  ) u_mult"),),
        "shapes",
        "expected",
        WIDE,
    ),
    "wide: rise is the first element's code": Mutation(
        ((TOP, "p1_code_rise <= rise;", "p1_code_rise <= code[0];"),),
        "smoke",
        "expected",
        WIDE,
    ),
    "wide: mask a clock early": Mutation(
        ((TOP, "p1_code_active[i] <= active;", "p1_code_active[i] <= p1_max_lane[i][IN_W];"),),
        "smoke",
        "expected",
        WIDE,
    ),
    "wide: maximum a clock early": Mutation(
        ((TOP, ".data_i({p1_max_ctl, p1_max_m})", ".data_i({p1_max_ctl, front_max})"),),
        "smoke",
        "expected",
        WIDE,
    ),
    "wide: a carry of the product stops": Mutation(
        ((ANY_SCALE, "= (a[j] ^ b[j]) ?", "= (a[j] ^ b[j]) && j != 11 ?"),),
        "levels",
        VALUE,
        WIDE,
    ),
    "wide maximum: lower bits whatever is above": Mutation(
        ((WIDE_MAX, "a_in = a_level_q;", "a_in = 1'b1;"),), "smoke", "expected", WIDE
    ),
    "wide maximum: a bit at the cut lost": Mutation(
        (
            (
                WIDE_MAX,
                "lower[i*W+:W] = {above_q, below};",
                "lower[i*W+:W] = {above_q, below & ~Low'(1)};",
            ),
        ),
        "levels",
        "expected",
        WIDE,
    ),
    "wide maximum: lower bits of the row before": Mutation(
        ((WIDE_MAX, "prev_low = first_q ? start_q :", "prev_low = first_i ? start_q :"),),
        "smoke",
        "expected",
        WIDE,
    ),
    "wide maximum: upper bits of the row before": Mutation(
        ((WIDE_MAX, "prev    = first_i ? '0 : max_q;", "prev    = max_q;"),),
        "smoke",
        "expected",
        WIDE,
    ),
    "wide maximum: lower bits of the next beat": Mutation(
        ((TOP, ".load_late_i(p1_valid[1])", ".load_late_i(p1_valid[0])"),),
        "stalls",
        "",
        WIDE,
    ),
    "wide maximum: that of the blocks before ignored": Mutation(
        ((WIDE_MAX, "first_i ? start_i[W-1:Cut]", "first_i ? '0"),),
        "settings",
        "expected",
        {**WIDE, **STATE},
    ),
    "wide maximum: state of the next row": Mutation(
        ((WIDE_MAX, "first_q ? start_q :", "first_q ? start_i[Cut-1:0] :"),),
        "settings",
        "expected",
        {**WIDE, **STATE},
    ),
    "wide: shifted difference goes on while the output waits": Mutation(
        ((ANY_SCALE, "if (en_i) {beyond", "{beyond"),), "stalls", "expected", WIDE
    ),
    "wide: correction goes on while the output waits": Mutation(
        ((DIV, ".en_i  (advance_i),\n    .data_i(code),", ".en_i  (1'b1),\n    .data_i(code),"),),
        "stalls",
        "expected",
        WIDE,
    ),
    "wide: a beat of the last pass is lost": Mutation(
        ((TOP, "else if (advance) p2_valid <=", "else p2_valid <="),),
        "stalls",
        "",
        WIDE,
    ),
    # ----------------------------------------------------------------------- flow control
    "ready stuck high": Mutation(
        ((BUFFER, "ready_q  <= free_d != '0;", "ready_q  <= 1'b1;"),), "stalls", ""
    ),
    "a slot too few": Mutation(
        (
            (
                BUFFER,
                "DEPTH      = MAX_BEATS + TURNAROUND",
                "DEPTH      = MAX_BEATS + TURNAROUND - 1",
            ),
        ),
        "timing",
        "s_axis_tready fell with no stall outside",
    ),
    "a slot lost at reset of nothing": Mutation(
        ((BUFFER, "free_q       <= CntW'(DEPTH);", "free_q       <= CntW'(DEPTH + 1);"),),
        "stalls",
        "",
    ),
    "tready ignored at the output": Mutation(
        ((OUTPUT, "advance_o = !m_axis_tvalid || m_axis_tready;", "advance_o = 1'b1;"),),
        "stalls",
        "",
    ),
    "tlast a beat early": Mutation(
        ((TOP, ".last_i   (p2_div_last),", ".last_i   (p2_rd_last),"),),
        "lengths",
        "",
    ),
    "pass 2 starts a beat early": Mutation(
        (
            (BUFFER, "close_i ? '0 : open_d", "'0"),
            (BUFFER, "(close_i ? CntW'(open_d) : '0)", "CntW'(done_i)"),
        ),
        "lengths",
        "",
    ),
    "slot given back before its codes are read": Mutation(
        ((BUFFER, "CntW'(take_i) + CntW'(rd_all)", "CntW'(take_i) + CntW'(rd_beat)"),),
        "stalls",
        "",
    ),
    "codes of the beat behind": Mutation(
        ((BUFFER, ".rd_addr_i(ptr_q),", ".rd_addr_i(rd_ptr_q),"),), "smoke", ""
    ),
    "codes read in a stall": Mutation(
        ((BUFFER, "rd_all = advance_i && reads[READ_DELAY]", "rd_all = reads[READ_DELAY]"),),
        "stalls",
        "",
    ),
    "row entry read a row late": Mutation(
        ((BUFFER, "rd_beat && (start_q || last_o)", "rd_beat && !start_q && last_o"),), "smoke", ""
    ),
    "a bubble after each row": Mutation(
        (
            (
                OUTPUT,
                "advance_o = !m_axis_tvalid || m_axis_tready;",
                "advance_o = !m_axis_tvalid || (m_axis_tready && !m_axis_tlast);",
            ),
        ),
        "timing",
        "",
    ),
    "a clock more to close a row": Mutation(
        (
            (
                BUFFER,
                "closed_q <= closed_q - CntW'(rd_beat) + (close_i ? CntW'(open_d) : '0);",
                "late_q   <= close_i ? CntW'(open_d) : '0;\n"
                "      closed_q <= closed_q - CntW'(rd_beat) + late_q;",
            ),
            (BUFFER, "      open_q       <= '0;", "      open_q       <= '0;\n late_q <= '0;"),
            (BUFFER, "  logic            ready_q,", "  logic [CntW-1:0] late_q;\n  logic ready_q,"),
        ),
        "timing",
        "latency 9",
    ),
    # ----------------------------------------------------------------- settings and errors
    "settings taken with the last beat": Mutation(
        ((GUARD, "if (first) cfg_q <= cfg_i;", "cfg_q <= cfg_i;"),), "settings", ""
    ),
    "settings taken when tvalid rises": Mutation(
        (
            (GUARD, "  logic            in_row_q;", _SHOWN + "  logic            in_row_q;"),
            (
                GUARD,
                "if (first) cfg_q <= cfg_i;",
                "if (first) cfg_q <= shown_q ? early_q : cfg_i;",
            ),
        ),
        "settings",
        "does not match the model",
    ),
    "tlast counts without tvalid": Mutation(
        (
            (
                GUARD,
                "if (accept) in_row_q <= !s_axis_tlast;",
                "if (accept || s_axis_tlast) in_row_q <= !s_axis_tlast;",
            ),
        ),
        "stalls",
        "does not match the model",
    ),
    "last beat counts by tstrb alone": Mutation(
        (
            (
                GUARD,
                "assign active = keep & s_axis_tstrb;",
                "assign active = (s_axis_tlast && !past_end) ? s_axis_tstrb : keep & s_axis_tstrb;",
            ),
        ),
        "lengths",
        "does not match the model",
    ),
    "long row not flagged": Mutation(
        ((GUARD, "new_len_err = past_end ||", "new_len_err = 1'b0 ||"),), "errors", ""
    ),
    "err_len_o at every dropped beat": Mutation(
        ((GUARD, "new_len_err && (first || !err_len_q)", "new_len_err"),),
        "errors",
        "err_len_o was high for",
    ),
    # The number of pulses is right: only their clock shows these three.
    "err_keep_o a clock late": Mutation(
        _late("err_keep_o", "accept && keep_bad"), "errors", "and must be 1: row"
    ),
    "err_len_o a clock late": Mutation(
        _late("err_len_o", "accept && new_len_err && (first || !err_len_q)"),
        "errors",
        "and must be 1: row",
    ),
    "err_len_o at the row's end": Mutation(
        (
            (
                GUARD,
                "new_len_err && (first || !err_len_q);",
                "s_axis_tlast && (new_len_err || (!first && err_len_q));",
            ),
        ),
        "errors",
        "and must be 1: row",
    ),
    "err_keep_o two clocks long": Mutation(
        _late("err_keep_o", "accept && keep_bad", "(accept && keep_bad) || "),
        "errors",
        "err_keep_o was high for",
    ),
    "dropped beats stored": Mutation(
        ((GUARD, "take_o      = accept && !past_end", "take_o      = accept"),),
        "errors",
        "no tready came, with no whole row inside",
    ),
    "count of dropped beats wraps": Mutation(
        (
            (
                GUARD,
                "past_end = beats == CntW'(MAX_BEATS);",
                "past_end = beats >= CntW'(MAX_BEATS);",
            ),
            (GUARD, "past_end ? beats : beats + CntW'(1);", "beats + CntW'(1);"),
        ),
        "errors",
        "does not match the model",
    ),
    "count of dropped beats wraps, 4 bits more": Mutation(
        (
            (GUARD, "CntW  = $clog2(MAX_BEATS + 1);", "CntW  = $clog2(MAX_BEATS + 1) + 4;"),
            (
                GUARD,
                "past_end = beats == CntW'(MAX_BEATS);",
                "past_end = beats >= CntW'(MAX_BEATS);",
            ),
            (GUARD, "past_end ? beats : beats + CntW'(1);", "beats + CntW'(1);"),
        ),
        "errors",
        "does not match the model",
    ),
    "tkeep of the first dropped beat alone": Mutation(
        (_only_where(f"!({_LATER})"),), "errors", "err_keep"
    ),
    "tkeep of the last dropped beat alone": Mutation(
        (_only_where("!(past_end && !s_axis_tlast)"),), "errors", "err_keep"
    ),
    "tkeep of the first and the last dropped beat alone": Mutation(
        (_only_where(f"!({_LATER} && !s_axis_tlast)"),), "errors", "err_keep"
    ),
    "hole in tkeep let pass": Mutation(
        ((GUARD, "(run != '0 || !s_axis_tkeep[0])", "(!s_axis_tkeep[0])"),), "errors", ""
    ),
    "empty last beat let pass": Mutation(
        ((GUARD, "(run != '0 || !s_axis_tkeep[0])", "(run != '0)"),), "errors", ""
    ),
    "flag of the last row kept": Mutation(
        ((GUARD, "keep_bad || (!first && err_keep_q)", "keep_bad || err_keep_q"),),
        "errors",
        "",
    ),
    "tkeep comes out whole": Mutation(
        ((TOP, "p2_div_keep[i] = p2_div_code[i] != CodeAbsent;", "p2_div_keep[i] = 1'b1;"),),
        "lengths",
        "tkeep: expected",
    ),
    # ------------------------------------------------------------------------------ reset
    "middle of a row not reset": Mutation(
        ((GUARD, "      in_row_q   <= 1'b0;\n      err_len_o ", "      err_len_o "),), "reset", ""
    ),
    "start of the ring not reset": Mutation(
        ((BUFFER, "      start_q      <= 1'b1;\n    end else", "    end else"),), "reset", ""
    ),
    "stages not reset": Mutation(
        ((FRONT, "if (!rst_ni) valid_q <= '0;", "if (!rst_ni) valid_q[0] <= 1'b0;"),), "reset", ""
    ),
    "payload kept in reset": Mutation(
        (
            (
                OUTPUT,
                "always_ff @(posedge clk_i) begin\n      if (advance_o)",
                "always_ff @(posedge clk_i) begin\n      if (advance_o && rst_ni)",
            ),
        ),
        "reset",
        "in reset",
    ),
    "tready high in reset": Mutation(
        ((BUFFER, "      ready_q      <= 1'b0;", "      ready_q      <= 1'b1;"),),
        "reset",
        "in reset",
    ),
    "tready rises with the release": Mutation(
        (
            (BUFFER, "      ready_q      <= 1'b0;", "      ready_q      <= 1'b1;"),
            (BUFFER, "assign ready_o = ready_q;", "assign ready_o = ready_q && rst_ni;"),
        ),
        "reset",
        "tready",
    ),
    "tready a clock late after reset": Mutation(
        (
            (
                BUFFER,
                "      ready_q      <= 1'b0;",
                "      ready_q      <= 1'b0;\n warm_q <= 1'b0;",
            ),
            (
                BUFFER,
                "ready_q  <= free_d != '0;",
                "warm_q <= 1'b1;\n ready_q <= warm_q && free_d != '0;",
            ),
            (
                BUFFER,
                "  logic            ready_q,",
                "  logic            warm_q;\n  logic            ready_q,",
            ),
        ),
        "reset",
        "first clock after reset",
    ),
    "reset waits for a clock": Mutation(
        (
            (
                OUTPUT,
                "always_ff @(posedge clk_i or negedge rst_ni) begin",
                "always_ff @(posedge clk_i) begin",
            ),
        ),
        "reset",
        "in reset",
    ),
    # --------------------------------------------------------------------------- sub-units
    "the smaller of two stays in": Mutation(
        ((LARGER, "b = b && (b_i[j] || !max_o[j]);", "b = b && b_i[j];"),), "smoke", "expected"
    ),
    "the larger of two drops out": Mutation(
        ((LARGER, "a = a && (a_i[j] || !max_o[j]);", "a = a && a_i[j];"),), "smoke", "expected"
    ),
    "tree drops its last lane": Mutation(
        (
            (
                TREE,
                "assign b = gen_level[l-1].out[(2*i+1)*W+:W];",
                "assign b = (i == N / 2 - 1) ? a : gen_level[l-1].out[(2*i+1)*W+:W];",
            ),
        ),
        "smoke",
        "expected",
    ),
    # ------------------------------------------- one sentence of the contract or the page each
    "row cut at the end of its beat": Mutation(
        ((GUARD, "    else if (at_end) keep = s_axis_tkeep & TailMask;\n", ""),),
        "errors",
        "expected",
        {"MAX_LEN": 30},
    ),
    "equal pair of the smallest weight counted once": Mutation(
        (
            (
                SUM,
                "equal ? code_i[2*i] - 4'd1 :",
                "(equal && code_i[2*i] != 4'd15) ? code_i[2*i] - 4'd1 :",
            ),
        ),
        "shapes",
        "expected",
    ),
    "exponent with the last beat alone": Mutation(
        ((TOP, "p2_rd_fmt ? 5'(p2_rd_ks)", "(p2_rd_fmt && p2_rd_last) ? 5'(p2_rd_ks)"),),
        "settings",
        "tuser ",  # the assertion of the bulk engine is first
    ),
    "exponent of an all-masked row": Mutation(
        ((LEADING, "pos_o  = '0;", "pos_o  = PW'(1);"),), "masks", TUSER
    ),
    "all-masked row flagged": Mutation(
        ((TOP, "p1_sum_ctl.err_len, p1_sum_ctl.fmt", "p1_sum == '0, p1_sum_ctl.fmt"),),
        "masks",
        TUSER,
    ),
    "maximum kept where the first beat is masked": Mutation(
        ((MAX, "prev = first_i ? '0", "prev = (first_i && key_i != '0) ? 8'd0"),), "masks", VALUE
    ),
    "Sum kept where the first beat is masked": Mutation(
        ((SUM, "prev = first_i ? '0", "prev = (first_i && active_i != '0) ? '0"),),
        "masks",
        "expected",
    ),
    "Sum lost in a masked beat": Mutation(
        ((SUM, "prev = first_i ? '0", "prev = (first_i || active_i == '0) ? '0"),),
        "masks",
        "expected",
    ),
    "codes from the maximum before the beat": Mutation(
        ((TOP, "p1_max_m[7:0] - p1_max_lane[i]", "p1_max_prev[7:0] - p1_max_lane[i]"),),
        "smoke",
        "expected",
    ),
    "element of code 15 is absent": Mutation(
        (
            (
                TOP,
                "(p1_code_active[i] && p1_code_y[i] == CodeAbsent) ? CodeZero : p1_code_y[i];",
                "p1_code_y[i];",
            ),
        ),
        "shapes",
        "tkeep: expected",
    ),
    "ks of 3 taken for 2": Mutation(
        ((DIV, "row_scaled_i ? '0 : ks_i;", "row_scaled_i ? '0 : (ks_i == 3) ? 2 : ks_i;"),),
        "levels",
        VALUE,
    ),
    "bits of the bin in another order": Mutation(
        ((DIV, "div_c3(bin);", "div_c3({bin[0], bin[2:1]});"),),
        "shapes",
        VALUE,
        {"DIV_BITS": 3},
    ),
    "bits of the bin in another order, DIV_BITS = 2": Mutation(
        ((DIV, "div_c2(bin);", "div_c2({bin[0], bin[1]});"),),
        "shapes",
        VALUE,
        {"DIV_BITS": 2},
    ),
    "divider table: wrong entry": Mutation(
        ((TABLES, "4'd9: div_c4 = 8'd161;", "4'd9: div_c4 = 8'd163;"),),
        "shapes",
        VALUE,
        {"DIV_BITS": 4},
    ),
    "half octaves floored": Mutation(
        ((LOG2EXP, "raw[CODE_W:1] + CODE_W'(raw[0])", "raw[CODE_W:1]"),),
        "shapes",
        VALUE,
        HALVES,
    ),
    "half octaves wrap past the last code": Mutation(
        ((LOG2EXP, "|| (&raw[CODE_W:0])", ""),), "random", VALUE, HALVES
    ),
    "even halves for all weights": Mutation(
        ((SUM, "(EXP_FRAC == 1 && code_i[2*i+k][0]) ?", "1'b0 ?"),), "shapes", "expected", HALVES
    ),
    "odd falls of Sum left out": Mutation(
        ((SUM, "(rise_code_i[0] ? (SUM_W + 8)'(181)", "(1'b0 ? (SUM_W + 8)'(181)"),),
        "shapes",
        "expected",
        HALVES,
    ),
    "half octaves not corrected in pass 2": Mutation(
        ((DIV, "total = TotalW'(correction) +", "total = TotalW'(0) +"),), "shapes", VALUE, HALVES
    ),
    "C of an odd half rounded down": Mutation(
        ((DIV, "* 16'd181 + 16'd128)", "* 16'd181)"),), "shapes", VALUE, HALVES
    ),
    "ks counted in half octaves": Mutation(
        ((DIV, "(TotalW'(ks) << EXP_FRAC)", "TotalW'(ks)"),), "shapes", VALUE, HALVES
    ),
    # ----------------------------------------------------------------------- errors
    "settings taken from dropped beats": Mutation(
        ((GUARD, "if (first) cfg_q", "if (first || past_end) cfg_q"),), "errors", "expected"
    ),
    "empty beat past the end let pass": Mutation(
        (
            (
                GUARD,
                "new_len_err = past_end ||",
                "new_len_err = (past_end && s_axis_tkeep != '0) ||",
            ),
        ),
        "errors",
        "expected",
    ),
    "row of one beat with a hole let pass": Mutation(
        (
            (
                GUARD,
                "(run != '0 || !s_axis_tkeep[0])",
                "((run != '0 && !first) || !s_axis_tkeep[0])",
            ),
        ),
        "errors",
        "expected",
    ),
    "empty row of one beat let pass": Mutation(
        (
            (
                GUARD,
                "(run != '0 || !s_axis_tkeep[0])",
                "(run != '0 || (!s_axis_tkeep[0] && !first))",
            ),
        ),
        "errors",
        "expected",
    ),
    "wrong tkeep of a dropped beat not flagged": Mutation(
        ((GUARD, "row_err_keep = keep_bad ||", "row_err_keep = (keep_bad && !past_end) ||"),),
        "errors",
        TUSER,
    ),
    "wrong tkeep of a dropped beat without a pulse": Mutation(
        ((GUARD, "err_keep_o <= accept && keep_bad;", "err_keep_o <= take_o && keep_bad;"),),
        "errors",
        "err_keep_o was high for",
    ),
    "wrong tkeep forgotten by dropped beats": Mutation(
        ((GUARD, "(!first && err_keep_q);", "(!first && err_keep_q && !past_end);"),),
        "errors",
        TUSER,
    ),
    "err_keep_o once a row": Mutation(
        (
            (
                GUARD,
                "err_keep_o <= accept && keep_bad;",
                "err_keep_o <= accept && keep_bad && (first || !row_err_keep_o);",
            ),
        ),
        "errors",
        "err_keep_o was high for",
    ),
    "err_len_o again with a wrong tkeep": Mutation(
        ((GUARD, "(first || !err_len_q);", "(first || !err_len_q || keep_bad);"),),
        "errors",
        "err_len_o was high for",
    ),
    "format lost in a row of one beat behind two others": Mutation(
        (
            (
                TOP,
                ".row_scaled_i  (!p2_rd_linear),",
                ".row_scaled_i(!p2_rd_linear && !(p2_rd_last && p2_div_last && p2_rd_err_keep)),",
            ),
        ),
        "errors",
        VALUE,
    ),
    "tkeep of a row with a hole repaired": Mutation(
        (
            (
                TOP,
                "p2_div_keep[i] = p2_div_code[i] != CodeAbsent;",
                "p2_div_keep[i] = p2_div_code[i] != CodeAbsent ||\n"
                "                            (p2_div_user[6] && !p2_div_last);",
            ),
        ),
        "errors",
        "tkeep: expected",
    ),
    "err_keep_o not reset": Mutation(
        ((GUARD, "      err_keep_o <= 1'b0;\n", ""),), "reset", "in reset"
    ),
    # --------------------------------------------------------------------- rate and latency
    "a clock more after a long row": Mutation(
        (
            (
                BUFFER,
                "rd_beat = advance_i && closed_q != '0;",
                "rd_beat = advance_i && closed_q != '0 && !(valid_q && last_o && row_o[ROW_W-2]);",
            ),
        ),
        "timing",
        "latency 9",
    ),
    "falls of Sum rounded up": Mutation(
        ((SUM, "rise_code_i[0] ? by2 >> 1 :", "rise_code_i[0] ? (by2 + SUM_W'(1)) >> 1 :"),),
        "shapes",
        VALUE,
    ),
    "a clock more after a row with a wrong tkeep": Mutation(
        (
            (
                BUFFER,
                "rd_beat = advance_i && closed_q != '0;",
                "rd_beat = advance_i && closed_q != '0 && !(valid_q && last_o && row_o[ROW_W-1]);",
            ),
        ),
        "timing",
        "latency 9",
    ),
    # Of each row inside, up to two of them without a beat left in the ring, an entry.
    "three rows too few": Mutation(
        (
            (
                BUFFER,
                "row_wr_ptr_q <= next(row_wr_ptr_q);",
                "row_wr_ptr_q <= (row_wr_ptr_q == PtrW'(DEPTH - 4)) ?\n"
                "                                        '0 : row_wr_ptr_q + PtrW'(1);",
            ),
            (
                BUFFER,
                "row_rd_ptr_q <= next(row_rd_ptr_q);",
                "row_rd_ptr_q <= (row_rd_ptr_q == PtrW'(DEPTH - 4)) ?\n"
                "                                       '0 : row_rd_ptr_q + PtrW'(1);",
            ),
        ),
        "stalls",
        "",
    ),
}

RULES: dict[str, Rule] = {
    "payload moves": Rule(
        (
            (
                OUTPUT,
                "      m_axis_tdata <= valid_i ? data_i : '0;",
                "      m_axis_tdata <= valid_i ? data_i : '0;\n    end else begin\n"
                "      m_axis_tdata <= ~m_axis_tdata;\n    end\n    if (advance_o) begin",
            ),
        ),
        "payload changed while tvalid waited for tready",
    ),
    "tvalid falls": Rule(
        (
            (
                OUTPUT,
                "else if (advance_o) m_axis_tvalid <= valid_i;",
                "else m_axis_tvalid <= advance_o && valid_i;",
            ),
        ),
        "tvalid fell before tready came",
    ),
    "tvalid waits for tready": Rule(
        (
            (
                OUTPUT,
                "advance_o = !m_axis_tvalid || m_axis_tready;",
                "advance_o = m_axis_tready || !rst_ni;",
            ),
        ),
        "no tvalid came while tready was low, with a whole row inside",
    ),
    "X on an idle output": Rule(
        ((OUTPUT, "valid_i ? data_i : '0;", "valid_i || rst_ni ? data_i : '0;"),),
        "X on a pin that must have a value",
        needs_x=True,
    ),
}
