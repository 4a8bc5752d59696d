# SPDX-License-Identifier: Apache-2.0
"""Waivers: points that need not be covered, and why, from regression/waivers.hjson."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

from softnorm.units import UNITS

from .. import lists
from ..errors import UserError
from ..paths import ROOT, RTL
from .code import KINDS, Figures, Point

WAIVERS = ROOT / "regression/waivers.hjson"

_WORDS = {
    "file": {"file", "line", "detail", "kind", "unit", "when", "reason"},
    "point": {"point", "bin", "unit", "when", "reason"},
}


@dataclass(frozen=True)
class Waiver:
    """Points that need not be covered, and why. In a pattern only `*` is special.

    file    a file below rtl/, or covergroup.coverpoint
    kinds   of which kinds
    lines   texts of source lines, without the space around them; none: all lines
    details arms, signals, expressions or bins; none: all of them
    unit    in this unit only; "" in all
    when    in configurations with these parameters only: name -> values
    """

    file: str
    kinds: tuple[str, ...]
    lines: tuple[str, ...]
    details: tuple[str, ...]
    unit: str
    when: Mapping[str, tuple[int | str, ...]]
    reason: str

    def is_about(self, figures: Figures) -> bool:
        """Whether it can waive a point of these."""
        off = UNITS[figures.unit].features if figures.unit in UNITS else {}
        given = {**off, **figures.parameters}  # a build's features that are off are not among these
        return self.unit in ("", figures.unit) and all(
            given.get(name) in values for name, values in self.when.items()
        )

    def matches(self, point: Point) -> bool:
        """Whether the point is one of those."""
        return (
            point.file == self.file
            and point.kind in self.kinds
            and like(self.details, point.detail)
            and (not self.lines or like(self.lines, _text(point)))
        )

    def __str__(self) -> str:
        parts = [f"unit {self.unit}"] if self.unit else []
        parts += [f"{name} {'|'.join(map(str, values))}" for name, values in self.when.items()]
        parts += [repr(pattern) for pattern in (*self.lines, *self.details)]
        return f"{'/'.join(self.kinds)} in {self.file}: {', '.join(parts)}"


@cache
def _source(file: str) -> list[str]:
    path = RTL / file
    return path.read_text().splitlines() if path.is_file() else []


def _text(point: Point) -> str:
    lines = _source(point.file)
    return lines[point.line - 1].strip() if point.line <= len(lines) else ""


@cache
def _pattern(patterns: tuple[str, ...]) -> re.Pattern:
    every = (".*".join(map(re.escape, pattern.split("*"))) for pattern in patterns)
    return re.compile("|".join(every))


def like(patterns: tuple[str, ...], text: str) -> bool:
    """Whether a text is one of the patterns; in them only `*` is special. None: any text is."""
    return not patterns or _pattern(patterns).fullmatch(text) is not None


def _several(value: object) -> tuple:
    return tuple(value) if isinstance(value, list) else (value,)


def load_waivers(path: Path = WAIVERS) -> list[Waiver]:
    """Read waivers. Raises UserError, in one line, for an invalid entry."""
    found = []
    for number, entry in enumerate(lists.entries(path, "waivers")):
        where = f"{path.name}, waiver {number}"
        if ("file" in entry) == ("point" in entry):
            raise UserError(f"{where}: name a file or a point")
        what, detail = ("file", "detail") if "file" in entry else ("point", "bin")
        if unknown := entry.keys() - _WORDS[what]:
            raise UserError(f"{where}: a waiver of a {what} has no {min(unknown)}")
        if not str(entry.get("reason", "")).strip():
            raise UserError(f"{where} has no reason")
        kinds = _several(entry.get("kind", "functional" if what == "point" else ""))
        if what == "file" and not {*kinds} <= {*KINDS}:
            raise UserError(f"{where}: kind must be of {', '.join(KINDS)}")
        units = _several(entry.get("unit", ""))
        if wrong := {*units} - {"", *UNITS}:
            raise UserError(f"{where}: there is no unit {min(wrong)}")
        if unknown := entry.get("when", {}).keys() - {
            *chain(*({**u.defaults, **u.features} for u in UNITS.values()))
        }:
            raise UserError(f"{where}, when: no unit has a parameter {min(unknown)}")
        if not entry.keys() & {"line", "detail", "bin"}:
            raise UserError(f"{where} waives all of {entry[what]}: name a line, detail or bin")
        found += [
            Waiver(
                file=entry[what],
                kinds=kinds,
                lines=_several(entry["line"]) if "line" in entry else (),
                details=_several(entry[detail]) if detail in entry else (),
                unit=unit,
                when={name: _several(value) for name, value in entry.get("when", {}).items()},
                reason=" ".join(entry["reason"].split()),
            )
            for unit in units
        ]
    return found


def apply(waivers: Sequence[Waiver], figures: Sequence[Figures]) -> None:
    """Mark what is waived in each configuration. Raises UserError for one that matches no point.

    Waivers of other units and configurations, and those of code where none was counted, are
    ignored: a regression may have only some.
    """
    counted = [one for one in figures if any(point.line for point in one.counts)]
    for waiver in waivers:
        some = figures if waiver.kinds == ("functional",) else counted
        about = [one for one in some if waiver.is_about(one)]
        used = False
        for one in about:
            for point, count in one.counts.items():
                if point.file == waiver.file and waiver.matches(point):
                    used = True
                    if not count:
                        one.waived.setdefault(point, waiver.reason)
        if about and not used and (waiver.unit or not _is_elsewhere(waiver.file, figures)):
            raise UserError(f"a waiver matches nothing: {waiver}")


def _is_elsewhere(file: str, figures: Iterable[Figures]) -> bool:
    """Whether a file, or a covergroup, may be of a unit that is not among the figures."""
    if any(point.file == file for one in figures for point in one.counts):
        return False
    units = {one.unit for one in figures}
    if file.endswith(".sv"):
        return any(file in unit.rtl for name, unit in UNITS.items() if name not in units)
    return not {*UNITS} <= units
