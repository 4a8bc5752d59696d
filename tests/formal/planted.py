# SPDX-License-Identifier: Apache-2.0
"""Bugs planted in a copy of the RTL, each with the proof that it breaks."""

from __future__ import annotations

from dataclasses import dataclass

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
COMPRESS = "ailayernorm/ailayernorm_compress.sv"

PLANTED = {
    "log2exp: floor for round": Planted(
        ((LOG2EXP, "raw[CODE_W:1] + CODE_W'(raw[0])", "raw[CODE_W:1]"),),
        *("e2softmax", "Log2Exp", "a_equation"),
    ),
    "log2exp: wraps past the last code": Planted(
        ((LOG2EXP, "|| (&raw[CODE_W:0])", ""),),
        *("e2softmax", "Log2Exp", "a_equation"),
    ),
    "compress: wraps at 62": Planted(
        ((COMPRESS, "(&top) ? top : top + 4'(half)", "top + 4'(half)"),),
        *("ailayernorm", "DynamicCompress", "a_equation"),
    ),
    "compress: |-a| one short": Planted(
        ((COMPRESS, "t[1] || (negative && t[0])", "t[1]"),),
        *("ailayernorm", "DynamicCompress", "a_equation"),
    ),
    "output: payload moves while it waits": Planted(
        (
            (
                OUTPUT,
                "    if (advance_o) begin\n      m_axis_tdata",
                "    begin\n      m_axis_tdata",
            ),
        ),
        *("e2softmax", "output stream", "a_payload_stable"),
        slow=True,
    ),
    "output: tvalid falls by itself": Planted(
        ((OUTPUT, "else if (advance_o) m_axis_tvalid", "else m_axis_tvalid"),),
        *("e2softmax", "output stream", "a_valid_stays"),
        slow=True,
    ),
}
