# SPDX-License-Identifier: Apache-2.0
"""Code coverage: Verilator's counts, merged, without waived points.

Verilator writes one line per point: `C '<keys>' <count>`. Points are keyed here by file below rtl/,
line, kind and detail, so all instances of a module are one, whatever their parameters, and so are
the blocks of a generate loop. Counts add: merging does not depend on order.

    line        a line of a block or of an arm; covered when any of them was run
    branch      an arm of if, case or ?:, taken
    toggle      a bit that went from 0 to 1, or from 1 to 0 (of signals of at most 256 bits)
    expression  a row of a condition's truth table that decided its value
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from softnorm.units.coverage import Coverage

from ..paths import RTL

KINDS = ("line", "branch", "toggle", "expression")
ALL_KINDS = ("functional", *KINDS)


class Point(NamedTuple):
    """A point to cover. For functional coverage `file` is the covergroup and coverpoint."""

    file: str
    line: int
    kind: str
    detail: str

    @property
    def place(self) -> str:
        """Its place, for printing."""
        return f"rtl/{self.file}:{self.line}" if self.line else self.file


# --- Verilator's file -----------------------------------------------------------------------------

_ARMS = {"cond_then": "?: then", "cond_else": "?: else"}


@dataclass
class CodeCoverage:
    """Counts by point, and the lines that are run when a block or an arm is.

    The kinds here are those that are counted: block (lines in no arm), branch, toggle, expression.
    """

    counts: dict[Point, int] = field(default_factory=dict)
    lines: dict[Point, frozenset[int]] = field(default_factory=dict)

    def add(self, point: Point, count: int, lines: Iterable[int] = ()) -> None:
        """Count a point; it is made if it is not there."""
        self.counts[point] = self.counts.get(point, 0) + count
        if lines := frozenset(lines):
            self.lines[point] = self.lines.get(point, frozenset()) | lines

    def merge(self, other: CodeCoverage) -> None:
        """Add another's counts."""
        for point, count in other.counts.items():
            self.add(point, count, other.lines.get(point, ()))

    def covered(self) -> dict[Point, int]:
        """Counts of all points, with those of lines made out of blocks and arms."""
        found: dict[Point, int] = {}
        for point, lines in self.lines.items():
            # The condition's own line is run with either arm.
            for line in lines | {point.line}:
                key = Point(point.file, line, "line", "")
                found[key] = max(found.get(key, 0), self.counts[point])
        found |= {point: n for point, n in self.counts.items() if point.kind != "block"}
        return dict(sorted(found.items()))


def read(path: Path, rtl: Path = RTL) -> CodeCoverage:
    """Read Verilator's file, without points outside `rtl`. Raises ValueError for other text."""
    coverage = CodeCoverage()
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("#") or not line:
            continue
        keys, _, count = line.rpartition(" ")
        if not (keys.startswith("C '\x01") and keys.endswith("'") and count.isdigit()):
            raise ValueError(f"{path}, line {number}: no coverage point: {line[:60]!r}")
        point, lines = _point_of(keys[4:-1], rtl)
        if point is not None:
            coverage.add(point, int(count), lines)
    return coverage


@functools.lru_cache(1 << 17)  # every run of a build has the same
def _point_of(text: str, rtl: Path) -> tuple[Point | None, frozenset[int]]:
    """The point of Verilator's keys and the lines that are run with it; None: outside `rtl`."""
    keys = dict(part.split("\x02", 1) for part in text.split("\x01"))
    file = _below(keys["f"], rtl)
    if not file:
        return None, frozenset()
    return _point(file, keys), frozenset(_span(keys))


@functools.lru_cache
def _below(source: str, rtl: Path) -> str:
    """A source's name below `rtl`; empty: outside it."""
    path = Path(source)
    return path.relative_to(rtl).as_posix() if path.is_relative_to(rtl) else ""


def _point(file: str, keys: Mapping[str, str]) -> Point:
    line, kind, text = int(keys["l"]), keys["t"], keys["o"]
    # Widths of constants follow from parameters, the index of a generate block is an instance.
    if "'" in text:
        text = re.sub(r"\b\d+'(?=s?[hbd])", "'", text)
    if ":0]" in text:
        text = re.sub(r"(\)|\b[A-Z]\w*[a-z]\w*)\[\d+:0\]", r"\1", text)
    if "gen_" in text:
        text = re.sub(r"\b(gen_\w+)\[\d+\]", r"\1[*]", text)
    if kind == "toggle":
        return Point(file, line, "toggle", text)
    at = f"column {keys['n']}: {_ARMS.get(text, text)}"
    if kind == "expr":
        return Point(file, line, "expression", at)
    # Verilator counts the arms of a case and of else-if chains as lines.
    return Point(file, line, "block" if text == "block" else "branch", at)


def _span(keys: Mapping[str, str]) -> set[int]:
    """The lines of `S`, such as 24-26,30; of an arm without one, its condition's line."""
    if keys["t"] not in ("line", "branch"):
        return set()
    found = {int(keys["l"])}
    for part in filter(None, keys.get("S", "").split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


# --- as JSON: the names once, the counts of each run packed ---------------------------------------


def to_table(coverage: CodeCoverage) -> tuple[list[list], np.ndarray]:
    """Names, the same for all runs of a build, and counts."""
    names = [[*point, sorted(coverage.lines.get(point, ()))] for point in sorted(coverage.counts)]
    counts = [coverage.counts[point] for point in sorted(coverage.counts)]
    return names, np.array(counts, dtype=np.int64)


def from_table(names: Sequence[Sequence], counts: Iterable[int]) -> CodeCoverage:
    """What `to_table` gave."""
    coverage = CodeCoverage()
    for (*point, lines), count in zip(names, counts, strict=True):
        coverage.add(Point(*point), int(count), lines)
    return coverage


def digest(names: Sequence[Sequence]) -> str:
    """A name for a table of names."""
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]


def pack(counts: np.ndarray) -> str:
    """Counts as text."""
    return base64.b64encode(zlib.compress(counts.astype("<i8").tobytes())).decode()


def unpack(text: str) -> np.ndarray:
    """What `pack` gave."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<i8").astype(np.int64)


def functional(coverage: Coverage) -> dict[Point, int]:
    """The bins of functional coverage as points."""
    return {
        Point(f"{point.group}.{name}", 0, "functional", label): count
        for name, point in coverage.points.items()
        for label, count in zip(point.bins, point.counts.tolist(), strict=True)
    }


# --- what a report shows --------------------------------------------------------------------------


@dataclass
class Figures:
    """The points of one unit, in one configuration or over all (""), and which are waived."""

    unit: str
    configuration: str
    counts: dict[Point, int]
    parameters: Mapping[str, int | str] = field(default_factory=dict)
    waived: dict[Point, str] = field(default_factory=dict)  # with its reason

    def hit(self, kind: str) -> int:
        """Points that were covered."""
        return sum(1 for point, n in self.counts.items() if point.kind == kind and n)

    def total(self, kind: str) -> int:
        """Number of points to cover: a waiver only removes uncovered ones."""
        every = sum(1 for point in self.counts if point.kind == kind)
        return every - sum(1 for point in self.waived if point.kind == kind)

    def percent(self, kind: str) -> float | None:
        """Covered in percent; None where there is nothing to cover."""
        total = self.total(kind)
        return 100 * self.hit(kind) / total if total else None

    @property
    def holes(self) -> list[Point]:
        """What is not covered and not waived."""
        return [p for p, n in self.counts.items() if not n and p not in self.waived]


def merged(figures: Iterable[Figures]) -> list[Figures]:
    """Merge each unit's configurations: covered if in any, waived if in all that have the point."""
    units: dict[str, list[Figures]] = {}
    for one in figures:
        units.setdefault(one.unit, []).append(one)
    found = []
    for unit, parts in units.items():
        whole = Figures(unit, "", {})
        for part in parts:
            for point, count in part.counts.items():
                whole.counts[point] = whole.counts.get(point, 0) + count
        for part in parts:
            for point, reason in part.waived.items():
                here = [other for other in parts if point in other.counts]
                if not whole.counts[point] and all(point in other.waived for other in here):
                    whole.waived[point] = reason
        whole.counts = dict(sorted(whole.counts.items()))
        found.append(whole)
    return found


def under(figures: Iterable[Figures], goals: Mapping[str, float]) -> list[str]:
    """Coverage below its goal: `unit kind percent < goal`, or `unit kind: nothing was counted`."""
    found = []
    for one in figures:
        for kind, goal in goals.items():
            percent = one.percent(kind)
            if percent is None and not any(point.kind == kind for point in one.counts):
                found.append(f"{one.unit} {kind}: nothing was counted")
            if percent is not None and percent < goal:
                found.append(f"{one.unit} {kind} {shown(percent)} < {goal} %")
    return found


def shown(percent: float | None) -> str:
    """Percent with one digit, rounded down: 100.0 % is all."""
    return "-" if percent is None else f"{int(percent * 10 + 1e-9) / 10:.1f} %"


def grouped_holes(figures: Iterable[Figures]) -> list[tuple[str, str, str, list[str]]]:
    """Holes as (unit, place, kind, details), worst first: by kind, then the most in one place."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for one in figures:
        for point in one.holes:
            found.setdefault((one.unit, point.place, point.kind), []).append(point.detail)
    order = {kind: n for n, kind in enumerate(("functional", "line", "branch", "expression"))}
    lines = [(*key, details) for key, details in found.items()]
    return sorted(lines, key=lambda line: (order.get(line[2], 9), -len(line[3]), line[:3]))
