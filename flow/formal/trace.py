# SPDX-License-Identifier: Apache-2.0
"""A solver's trace in the bench's words: the beats of both streams, clock by clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from .. import cli

_SIDES = ("s_axis", "m_axis")
_PULSES = ("err_len_o", "err_keep_o")


def read(path: Path) -> tuple[list[str], dict[str, list[str]]]:
    """A VCD file of Yosys: (clocks, name of a wire of the top -> its bits in each clock)."""
    names: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    clocks: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"\$var \w+ \d+ (\S+) (.+) \$end", line):
            names[match[1]] = match[2].lstrip("\\")
        elif match := re.match(r"#(-?\d+)$", line):
            clocks.append(match[1])
            for row in values.values():
                row.append(row[-1])
        elif match := re.match(r"(?:b(\w+) |([01xz]))(\S+)$", line):
            clocks = clocks or ["0"]  # without time there is no clock line before
            row = values.setdefault(names[match[3]], ["x"] * len(clocks))
            row[-1] = match[1] or match[2]
    return clocks, values


def table(path: Path) -> str:
    """The trace as text: of a unit its streams, of a cell all that goes in and out of it.

    A transfer has its row and beat; `waits` is a beat that is not taken.
    """
    _, values = read(path)
    if "s_axis_tvalid" in values and "m_axis_tvalid" in values:
        return _streams(values)
    ports = {name: row for name, row in values.items() if re.fullmatch(r"\w+_[io]", name)}
    lines = [[name, *(_hex(bits) for bits in row)] for name, row in ports.items()]
    width = max((len(row) for row in ports.values()), default=0)
    return _indented(cli.table(lines, ["clock", *map(str, range(width))])) if lines else ""


def _streams(values: Mapping[str, list[str]]) -> str:
    titles = ["clock", "reset"]
    for side in _SIDES:
        titles += [f"{side}:", "row", "beat", "tdata", "tkeep", "tstrb/tuser", "tlast"]
    titles += list(_PULSES)
    place = dict.fromkeys(_SIDES, (0, 0))
    lines = []
    for clock in range(len(values["rst_ni"])):
        at = {name: row[clock] for name, row in values.items()}
        off = at["rst_ni"] == "0"
        line = [str(clock), "reset" if off else ""]
        for side in _SIDES:
            row, beat = place[side] = (0, 0) if off else place[side]
            valid, ready = at[f"{side}_tvalid"] == "1", at[f"{side}_tready"] == "1"
            word = ("taken" if ready else "waits") if valid else ("ready" if ready else "")
            strobe = "tstrb" if side == "s_axis" else "tuser"
            shown = [row, beat, *(_hex(at[f"{side}_{n}"]) for n in ("tdata", "tkeep", strobe))]
            last = at[f"{side}_tlast"] == "1"
            line += [
                word,
                *(map(str, shown) if valid else [""] * 5),
                "last" if valid and last else "",
            ]
            if valid and ready:
                place[side] = (row + 1, 0) if last else (row, beat + 1)
        lines.append([*line, *("pulse" if at.get(p) == "1" else "" for p in _PULSES)])
    return _indented(cli.table(lines, titles))


def _hex(bits: str) -> str:
    return bits if set(bits) - {"0", "1"} else f"{int(bits, 2):x}"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
