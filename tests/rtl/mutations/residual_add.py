# SPDX-License-Identifier: Apache-2.0
"""Bugs of the residual adder; those of the register in front of each stream are quantise's."""

from tests.rtl.mutations import TUSER, VALUE, Mutation, Rule

SMALL = {"LANES": 4, "IN_W": 16}

TOP = "residual_add/residual_add.sv"

LOST = "row "  # a wrong row, one too many, or one that does not come out
BEATS = "beats (tlast): expected"
TSTRB = "tstrb: expected"
KEEP_O = "err_keep_o was high for"
SUM = "(sum[IN_W] != sum[IN_W-1]) ? {sum[IN_W], {(IN_W - 1) {!sum[IN_W]}}} : sum[IN_W-1:0]"


def _one(old: str, new: str, test: str, report: str) -> Mutation:
    return Mutation(((TOP, old, new),), test, report)


MUTATIONS: dict[str, Mutation] = {
    # ------------------------------------------------------------------------- arithmetic
    "sum wraps": _one(SUM, "sum[IN_W-1:0]", "shapes", VALUE),
    "saturates at the other end": _one(
        "{sum[IN_W], {(IN_W - 1)", "{!sum[IN_W], {(IN_W - 1)", "shapes", VALUE
    ),
    "residual as unsigned": _one(
        "{r.data[i][IN_W-1], r.data[i]}", "{1'b0, r.data[i]}", "shapes", VALUE
    ),
    # ------------------------------------------------------------------------------ masks
    "mask of s alone": _one("keep & s.strb & r.strb;", "keep & s.strb;", "masks", TSTRB),
    "mask of r alone": _one("keep & s.strb & r.strb;", "keep & r.strb;", "masks", TSTRB),
    "tstrb without tkeep": _one("keep & s.strb & r.strb;", "s.strb & r.strb;", "lengths", "tstrb"),
    "tkeep of s": _one("s.keep & r.keep;", "s.keep;", "errors", "tkeep: expected"),
    "tkeep of r": _one("s.keep & r.keep;", "r.keep;", "errors", "tkeep: expected"),
    "masked elements come out": _one(
        "fits & {IN_W{active[i]}}", "fits & {IN_W{keep[i]}}", "masks", VALUE
    ),
    # --------------------------------------------------------------- rows that do not fit
    "a row ends with s": _one(
        "assign last     = s.last || r.last;", "assign last     = s.last;", "errors", BEATS
    ),
    "a row ends with r": _one(
        "assign last     = s.last || r.last;", "assign last     = r.last;", "errors", BEATS
    ),
    "rest of s not dropped": _one(
        "s_drops_q  <= r.last && !s.last;", "s_drops_q  <= 1'b0;", "errors", LOST
    ),
    "rest of r not dropped": _one(
        "r_drops_q  <= s.last && !r.last;", "r_drops_q  <= 1'b0;", "errors", LOST
    ),
    "drops on behind tlast": _one(
        "if (r_valid && r.last) r_drops_q <= 1'b0;", "", "errors", "no tvalid came"
    ),
    "a pair while r is dropped": _one(
        "&& !s_drops_q && !r_drops_q;", "&& !s_drops_q;", "errors", LOST
    ),
    "a pair while s is dropped": _one(
        "&& !s_drops_q && !r_drops_q;", "&& !r_drops_q;", "errors", LOST
    ),
    "drops wait for the output": _one(
        "assign s_take   = joined || s_drops_q;",
        "assign s_take   = joined || (s_drops_q && advance);",
        "errors",
        LOST,
    ),
    # ----------------------------------------------------------------------------- errors
    "unequal tkeep let pass": _one(" || s.keep != r.keep ||", " ||", "errors", TUSER),
    "unequal tlast let pass": _one(" || s.last != r.last;", ";", "errors", TUSER),
    "wrong tkeep in both let pass": _one(
        "wrong    = s_bad || r_bad || ", "wrong    = ", "errors", TUSER
    ),
    "flag of the beat alone": _one(
        "err_keep = wrong || err_keep_q;", "err_keep = wrong;", "errors", "tuser"
    ),
    "flag of the row before": _one(
        "err_keep_q <= err_keep && !last;", "err_keep_q <= err_keep;", "errors", TUSER
    ),
    "dropped beats of s are not checked": _one(
        "(joined && wrong) || (s_drops_q && s_valid && s_bad) ||",
        "(joined && wrong) ||",
        "errors",
        KEEP_O,
    ),
    "dropped beats of r are not checked": _one(
        "(r_drops_q && r_valid && r_bad);", "1'b0;", "errors", KEEP_O
    ),
    "err_keep_o while the output waits": _one(
        "err_keep_o <= (joined && wrong)", "err_keep_o <= (pair && wrong)", "errors", KEEP_O
    ),
    "err_keep_o before its pair": _one(
        "err_keep_o <= (joined && wrong)",
        "err_keep_o <= ((joined && wrong) || (s_valid && !r_valid && s_bad))",
        "errors",
        KEEP_O,
    ),
    "err_len_o not 0": _one("err_len_o = 1'b0;", "err_len_o = s_valid;", "smoke", "err_len_o"),
    "err_len in tuser": _one("({err_keep, 6'b0})", "({err_keep, 6'd32})", "smoke", TUSER),
    # -------------------------------------------------------------------------- handshake
    "s goes on without r": _one(
        "assign s_take   = joined ||", "assign s_take   = (s_valid && advance) ||", "stalls", LOST
    ),
    "r goes on without s": _one(
        "assign r_take   = joined ||", "assign r_take   = (r_valid && advance) ||", "stalls", LOST
    ),
    "a pair without r": _one(
        "assign pair     = s_valid && r_valid", "assign pair     = s_valid", "stalls", LOST
    ),
    "a clock more": _one(
        "  assign pair     = s_valid && r_valid &&",
        "  logic there_q;\n"
        "  always_ff @(posedge clk_i or negedge rst_ni) begin\n"
        "    if (!rst_ni) there_q <= 1'b0;\n"
        "    else there_q <= s_valid && r_valid;\n"
        "  end\n"
        "  assign pair     = there_q && s_valid && r_valid &&",
        "timing",
        "latency ",
    ),
    "a last pair waits for the next": _one(
        "assign pair     = s_valid && r_valid &&",
        "assign pair     = s_valid && r_valid && !(s_axis_tready && r_axis_tready && s.last) &&",
        "stalls",
        "no tvalid came",
    ),
    # ------------------------------------------------------------------------------ reset
    "drops on behind a reset": _one(
        "      s_drops_q  <= 1'b0;\n      r_drops_q  <= 1'b0;\n      err",
        "      err",
        "reset",
        "",
    ),
    "flag of a row before a reset": _one(
        "      err_keep_q <= 1'b0;\n      err_keep_o", "      err_keep_o", "reset", ""
    ),
    "err_keep_o: reset waits for a clock": _one(
        "      err_keep_q <= 1'b0;\n      err_keep_o <= 1'b0;",
        "      err_keep_q <= 1'b0;",
        "reset",
        "in reset",
    ),
}

RULES: dict[str, Rule] = {}
