# SPDX-License-Identifier: Apache-2.0
"""Bugs planted in a copy of the RTL, each with the proof that it breaks."""

from __future__ import annotations

from dataclasses import dataclass

from softnorm.units import UNITS
from tests.rtl.mutations import Edit


@dataclass(frozen=True)
class Planted:
    """Edits, and what fails: a proof by unit and name, and a label of what does not hold."""

    edits: tuple[Edit, ...]
    unit: str
    proof: str
    label: str
    slow: bool = False


OUTPUT = "common/sn_row_output.sv"
LOG2EXP = "e2softmax/e2softmax_log2exp.sv"
SCALED = "e2softmax/e2softmax_log2exp_scaled.sv"
OCTAVES = "e2softmax/e2softmax_octaves.sv"
COMPRESS = "ailayernorm/ailayernorm_compress.sv"
GUARD = "common/sn_row_guard.sv"
BUFFER = "common/sn_row_buffer.sv"
TREE = "common/sn_reduce_tree.sv"

_MOVES = (OUTPUT, "if (advance_o) begin\n        m_axis_tdata", "begin\n        m_axis_tdata")
_NOT_ZERO = (OUTPUT, "m_axis_tdata <= valid_i ? data_i : '0;", "m_axis_tdata <= data_i;")
_LOUD = (OUTPUT, "if (!rst_ni) m_axis_tvalid <= 1'b0;", "if (!rst_ni) m_axis_tvalid <= 1'b1;")
_TWO_PASS = ("common/sn_two_pass.sv", "(p1_valid[0] && p1_in_ctl.store)", "(p1_valid[0])")
_STORED = {
    "e2softmax": (
        "e2softmax/e2softmax.sv",
        "(p1_valid[StCode] && p1_code_ctl.store)",
        "(p1_valid[StCode])",
    ),
    "ailayernorm": (
        "ailayernorm/ailayernorm.sv",
        "(p1_valid[Wide+1] && p1_s1_ctl.store)",
        "(p1_valid[Wide+1])",
    ),
    "rexp": _TWO_PASS,
    "lut2d": _TWO_PASS,
}

PLANTED = {
    **{
        f"{unit}: payload moves while it waits": Planted(
            (_MOVES,), unit, "output stream", "a_payload_stable", slow=True
        )
        for unit in _STORED
    },
    **{
        f"{unit.name}: tvalid in reset": Planted(
            (_LOUD,), unit.name, "output stream", "a_quiet_in_reset", slow=True
        )
        for unit in UNITS.values()
        if unit.baseline or unit.cell
    },
    **{
        f"{unit}: payload stays in reset": Planted(
            (_NOT_ZERO,), unit, "reset", "a_payload_in_reset", slow=True
        )
        for unit in UNITS
    },
    **{
        f"{unit}: dropped beats are stored": Planted(
            (edit,), unit, "pass 1 feeds the row buffer", "a_write", slow=True
        )
        for unit, edit in _STORED.items()
    },
    "log2exp: floor for round": Planted(
        ((LOG2EXP, "raw[CODE_W:1] + CODE_W'(raw[0])", "raw[CODE_W:1]"),),
        *("e2softmax", "Log2Exp", "a_equation"),
    ),
    "log2exp: wraps past the last code": Planted(
        ((LOG2EXP, "|| (&raw[CODE_W:0])", ""),),
        *("e2softmax", "Log2Exp", "a_equation"),
    ),
    "log2exp: another F for the table": Planted(
        ((LOG2EXP, "codes(Half)", "codes(2 * Half)"),),
        *("e2softmax", "Log2Exp, F fixed", "a_equation"),
    ),
    "octaves: floor for round": Planted(
        ((OCTAVES, "raw[KEY_W:1] + KEY_W'(raw[0])", "raw[KEY_W:1]"),),
        *("e2softmax", "octaves of a logit", "a_equation"),
    ),
    "any scale: floor for round": Planted(
        ((SCALED, "raw[CODE_W:1] + CODE_W'(raw[0])", "raw[CODE_W:1]"),),
        *("e2softmax", "Log2Exp, any scale", "a_equation"),
    ),
    "any scale: another constant than the paper's": Planted(
        ((SCALED, "10'(m) + {1'b0, m, 1'b0}", "10'(m) + {2'b0, m}"),),
        *("e2softmax", "Log2Exp, any scale", "a_paper"),
        slow=True,
    ),
    "any scale: what is far beyond is forgotten": Planted(
        ((SCALED, "far_prev || (shifted", "(shifted"),),
        *("e2softmax", "Log2Exp, any scale", "a_shift"),
        slow=True,
    ),
    "any scale: goes on while the output waits": Planted(
        ((SCALED, "if (en_i) {beyond, t}", "{beyond, t}"),),
        *("e2softmax", "Log2Exp, any scale", "a_shift"),
        slow=True,
    ),
    "compress: wraps at 62": Planted(
        ((COMPRESS, "(&top) ? top : top + 4'(half)", "top + 4'(half)"),),
        *("ailayernorm", "DynamicCompress", "a_equation"),
    ),
    "compress: |-a| one short": Planted(
        ((COMPRESS, "t[1] || (negative && t[0])", "t[1]"),),
        *("ailayernorm", "DynamicCompress", "a_equation"),
    ),
    "output: tvalid falls by itself": Planted(
        ((OUTPUT, "else if (advance_o) m_axis_tvalid", "else m_axis_tvalid"),),
        *("e2softmax", "output stream", "a_valid_stays"),
        slow=True,
    ),
    "row buffer: ready in reset": Planted(
        ((BUFFER, "ready_q      <= 1'b0;", "ready_q      <= 1'b1;"),),
        *("e2softmax", "reset", "a_quiet"),
        slow=True,
    ),
    "guard: err_len once a beat": Planted(
        ((GUARD, "new_len_err && (first || !err_len_q);", "new_len_err;"),),
        *("common", "row guard", "a_err_len"),
    ),
    "guard: a runaway row wraps": Planted(
        ((GUARD, "past_end ? beats : beats + CntW'(1)", "beats + CntW'(1)"),),
        *("common", "row guard", "a_take"),
        slow=True,
    ),
    "guard: settings of the last beat": Planted(
        ((GUARD, "if (first) cfg_q <= cfg_i;", "cfg_q <= cfg_i;"),),
        *("common", "row guard", "a_settings"),
        slow=True,
    ),
    "guard: the cut a beat late without a register": Planted(
        ((GUARD, "past_q <= next == CntW'(MAX_BEATS);", "past_q <= beats == CntW'(MAX_BEATS);"),),
        *("common", "row guard, no register", "a_take"),
    ),
    "guard: settings a clock late without a register": Planted(
        ((GUARD, "first ? cfg_i : cfg_q;", "cfg_q;"),),
        *("common", "row guard, no register", "a_settings"),
        slow=True,
    ),
    "row buffer: ready without a slot": Planted(
        ((BUFFER, "ready_q  <= free_d != '0;", "ready_q  <= 1'b1;"),),
        *("common", "row buffer, beats", "a_ready"),
        slow=True,
    ),
    "row buffer: a slot is given back early": Planted(
        ((BUFFER, "+ CntW'(rd_all);", "+ CntW'(rd_beat);"),),
        *("common", "row buffer, beats", "a_slot"),
        slow=True,
    ),
    "row buffer: a slot is lost": Planted(
        ((BUFFER, "+ CntW'(rd_all);", "+ CntW'(rd_all && !take_i);"),),
        *("common", "row buffer, beats", "a_progress"),
        slow=True,
    ),
    "memory: reads without being asked": Planted(
        (("common/sn_ram_1r1w.sv", "if (rd_en_i) rd_data_o", "rd_data_o"),),
        *("common", "memory", "a_read"),
    ),
    "max: both remain": Planted(
        (("common/sn_max.sv", "a = a && (a_i[j] || !max_o[j]);", ""),),
        *("common", "larger of two", "a_equation"),
    ),
    "leading one: not at the top": Planted(
        (("common/sn_leading_one.sv", "i < W; i++", "i < W - 1; i++"),),
        *("common", "leading one", "a_found"),
    ),
    "shift: half of the next bit": Planted(
        (
            (
                "common/sn_shift_saturate.sv",
                "half_o = gen_shift[0].d[0]",
                "half_o = gen_shift[0].d[1]",
            ),
        ),
        *("common", "shift and saturate", "a_half"),
    ),
    "product: sign of a digit": Planted(
        (("common/sn_multiply.sv", "negative = bits[2*n+2]", "negative = bits[2*n+1]"),),
        *("common", "product, by rows", "a_row"),
    ),
    "product: a row left out": Planted(
        (("common/sn_multiply.sv", "p_o = sum[Rows];", "p_o = sum[Rows-1];"),),
        *("common", "product, whole", "a_whole"),
    ),
    "rexp: index floored": Planted(
        (("rexp/rexp_elem.sv", "raw[8:1] + 8'(raw[0])", "raw[8:1]"),),
        *("rexp", "element", "a_code"),
        slow=True,
    ),
    "rexp: the next reciprocal": Planted(
        (("rexp/rexp_reciprocal.sv", "9'(top - CmpW'(1))", "9'(top)"),),
        *("rexp", "reciprocal", "a_reciprocal"),
        slow=True,
    ),
    "rexp: output floored": Planted(
        (("rexp/rexp_line.sv", "(2 * W)'(ta_i) + (2 * W)'(1 << (W - 1))", "(2 * W)'(ta_i)"),),
        *("rexp", "outputs of a row", "a_line"),
        slow=True,
    ),
    "lut2d: index floored": Planted(
        (("lut2d/lut2d_elem.sv", "raw[12:1] + 12'(raw[0])", "raw[12:1]"),),
        *("lut2d", "element", "a_share"),
        slow=True,
    ),
    "lut2d: row floored": Planted(
        (("lut2d/lut2d_row.sv", "+ TopW'(sum_i[W-1])", ""),),
        *("lut2d", "row", "a_row"),
        slow=True,
    ),
    "lut2d: the next row": Planted(
        (("lut2d/lut2d_line.sv", "t2_w2(row_i)", "t2_w2(row_i + 6'd1)"),),
        *("lut2d", "outputs of a row", "a_line"),
        slow=True,
    ),
    "divider constants swapped": Planted(
        (("e2softmax/e2softmax_log_div.sv", "::div_c1(bin);", "::div_c1(!bin);"),),
        *("e2softmax", "divider, a lane", "a_output"),
        slow=True,
    ),
    "correction shift of Sum left out": Planted(
        (
            (
                "e2softmax/e2softmax_reduction.sv",
                "assign decayed = rise_code_i[0] ? by2 >> 1 : by2;",
                "assign decayed = prev;",
            ),
        ),
        *("e2softmax", "reduction of a beat", "a_sum"),
        slow=True,
    ),
    "moments: no floor under the variance": Planted(
        (("ailayernorm/ailayernorm_moments.sv", "? Ex2W'(1) : diff", "? Ex2W'(0) : diff"),),
        *("ailayernorm", "moments, stage by stage", "a_var"),
        slow=True,
    ),
    "tree: a node drops a half": Planted(
        ((TREE, "node[i*W+:W] = a + b;", "node[i*W+:W] = (i == 1) ? a : a + b;"),),
        *("common", "adder tree, by nodes", "a_node"),
    ),
    "tree: a lane twice": Planted(
        ((TREE, ".out[(2*i+1)*W+:W]", ".out[(2*i+(i!=3))*W+:W]"),),
        *("common", "adder tree, whole", "a_sum"),
    ),
    "row sum: goes on with the row before": Planted(
        (
            (
                "common/sn_row_sum.sv",
                "(first_i ? SUM_W'(0) : sum_o) + SUM_W'(beat_sum_signed)",
                "sum_o + SUM_W'(beat_sum_signed)",
            ),
        ),
        *("common", "sum of a row", "a_row_sum"),
    ),
    "row max: goes on with the row before": Planted(
        (("common/sn_row_max.sv", "first_i ? '0 : max_o", "max_o"),),
        *("common", "maximum of a row", "a_one"),
        slow=True,
    ),
    "affine: quotient floored": Planted(
        (("common/sn_affine.sv", "$signed({9'b0, half})", "10'sd0"),),
        *("common", "affine, a lane", "a_out"),
        slow=True,
    ),
    "bytes of wide inputs: a shift of 64 wraps": Planted(
        (("ailayernorm/ailayernorm_quantise.sv", "sum[6] ? '1 : sum[5:0]", "sum[5:0]"),),
        *("ailayernorm", "bytes of wide inputs", "a_byte"),
    ),
    "moments: the flag from the square alone": Planted(
        (
            (
                "ailayernorm/ailayernorm_moments.sv",
                "rest[Ex2W+4] && mean_sq_q > SqW'(4)",
                "rest[Ex2W+4]",
            ),
        ),
        *("ailayernorm", "moments, stage by stage", "a_imprecise"),
    ),
    "exact squares: the sign's part left out": Planted(
        (("ailayernorm/ailayernorm_square.sv", "- {low[6:0] & {7{a_i[8]}}, 9'b0}", ""),),
        *("ailayernorm", "exact squares, a lane", "a_square"),
    ),
    "statistics: a square's range is not squared": Planted(
        (("ailayernorm/ailayernorm_statistics.sv", "{range_q, 2'b0}", "{1'b0, range_q, 1'b0}"),),
        *("ailayernorm", "statistics, a lane", "a_square"),
    ),
    "wide maximum: a bit at the cut lost": Planted(
        (
            (
                "e2softmax/e2softmax_wide_max.sv",
                "lower[i*W+:W] = {above_q, below};",
                "lower[i*W+:W] = {above_q, below & ~Low'(1)};",
            ),
        ),
        *("e2softmax", "maximum of wide elements", "a_max"),
    ),
    "e2softmax: a beat of the last pass is lost": Planted(
        (
            (
                "e2softmax/e2softmax.sv",
                "else if (advance) p2_valid <= StDiv'({p2_valid, p2_rd_valid});",
                "else p2_valid <= StDiv'({p2_valid, p2_rd_valid});",
            ),
        ),
        *("e2softmax", "last pass", "a_valid"),
        slow=True,
    ),
    **{
        f"{unit}: a beat of the last pass is lost": Planted(
            (("common/sn_three_pass.sv", "else if (advance) p3_sel_valid", "else p3_sel_valid"),),
            *(unit, "last pass", "a_valid"),
            slow=True,
        )
        for unit in ("rexp", "lut2d")
    },
    "last pass: flags of the next beat": Planted(
        (("common/sn_norm_back.sv", "active_i, s1_last, s1_err}", "active_i, s1_last, err_i}"),),
        *("common", "last pass", "a_side"),
        slow=True,
    ),
    "last pass: a row's flags with its last beat alone": Planted(
        (("common/sn_norm_back.sv", "({out_err, 5'd0})", "({out_last ? out_err : 2'd0, 5'd0})"),),
        *("common", "last pass", "a_user_constant"),
        slow=True,
    ),
    "last pass: tvalid waits for tready": Planted(
        ((OUTPUT, "advance_o = !m_axis_tvalid || m_axis_tready", "advance_o = m_axis_tready"),),
        *("common", "last pass", "a_comes"),
        slow=True,
    ),
    "output: tvalid waits for tready": Planted(
        ((OUTPUT, "advance_o = !m_axis_tvalid || m_axis_tready", "advance_o = m_axis_tready"),),
        *("common", "output register", "a_does_not_wait"),
    ),
}
