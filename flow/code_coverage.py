"""Code coverage: what Verilator counted, merged, without what is waived; exports of it.

Verilator writes one line a point: `C '<keys>' <count>`. Points are keyed here by file below rtl/,
line, kind and detail, so all instances of a module are one, whatever their parameters, and so are
the blocks of a generate loop. Counts add: merging does not depend on order.

    line        a line of a block or of an arm; covered when any of them was run
    branch      an arm of if, case or ?:, taken
    toggle      a bit that went from 0 to 1, or from 1 to 0 (of signals of at most 256 bits)
    expression  a row of a condition's truth table that decided its value
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import hjson
import numpy as np

from flow.errors import UserError
from flow.paths import ROOT, RTL
from tb.coverage import Coverage
from tb.units import UNITS

KINDS = ("line", "branch", "toggle", "expression")
ALL_KINDS = ("functional", *KINDS)
WAIVERS = ROOT / "testplans/waivers.hjson"


class Point(NamedTuple):
    """What is to be covered. Of functional coverage `file` is the covergroup and coverpoint."""

    file: str
    line: int
    kind: str
    detail: str

    @property
    def place(self) -> str:
        """Where it is, for a person."""
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
    """What Verilator wrote. Points outside `rtl` are left out. Raises ValueError for other text."""
    coverage = CodeCoverage()
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("#") or not line:
            continue
        parts = re.fullmatch(r"C '\x01(.*)' (\d+)", line)
        if not parts:
            raise ValueError(f"{path}, line {number}: no coverage point: {line[:60]!r}")
        keys = dict(part.split("\x02", 1) for part in parts[1].split("\x01"))
        source = Path(keys["f"])
        if source.is_relative_to(rtl):
            file = source.relative_to(rtl).as_posix()
            coverage.add(_point(file, keys), int(parts[2]), _span(keys))
    return coverage


def _point(file: str, keys: Mapping[str, str]) -> Point:
    line, kind, text = int(keys["l"]), keys["t"], keys["o"]
    # Widths of constants follow from parameters, the index of a generate block is an instance.
    text = re.sub(r"\b\d+'(?=s?[hbd])", "'", text)
    text = re.sub(r"(\)|\b[A-Z]\w*[a-z]\w*)\[\d+:0\]", r"\1", text)
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
        """Points that are to be covered: a waiver takes off only what was not."""
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
    """Of each unit all configurations as one: covered in any, waived if in all that have it."""
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
    """What is below its goal: `unit kind percent < goal`."""
    found = []
    for one in figures:
        for kind, goal in goals.items():
            percent = one.percent(kind)
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


# --- waivers --------------------------------------------------------------------------------------

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
        return self.unit in ("", figures.unit) and all(
            figures.parameters.get(name) in values for name, values in self.when.items()
        )

    def matches(self, point: Point) -> bool:
        """Whether the point is one of those."""
        return (
            point.file == self.file
            and point.kind in self.kinds
            and _like(self.details, point.detail)
            and (not self.lines or _like(self.lines, _text(point)))
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


def _like(patterns: tuple[str, ...], text: str) -> bool:
    return not patterns or _pattern(patterns).fullmatch(text) is not None


def _several(value: object) -> tuple:
    return tuple(value) if isinstance(value, list) else (value,)


def load_waivers(path: Path = WAIVERS) -> list[Waiver]:
    """Read waivers. Raises UserError, in one line, for anything that cannot be meant."""
    try:
        text = path.read_text(encoding="utf-8")
        entries = hjson.loads(text, object_pairs_hook=dict)["waivers"]
    except (OSError, KeyError, hjson.HjsonDecodeError) as error:
        raise UserError(f"cannot read the waivers {path}: {error}") from None
    found = []
    for number, entry in enumerate(entries):
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
        if entry.get("unit", next(iter(UNITS))) not in UNITS:
            raise UserError(f"{where}: there is no unit {entry['unit']}")
        if unknown := entry.get("when", {}).keys() - {
            *chain(*(u.defaults for u in UNITS.values()))
        }:
            raise UserError(f"{where}, when: no unit has a parameter {min(unknown)}")
        if not entry.keys() & {"line", "detail", "bin"}:
            raise UserError(f"{where} waives all of {entry[what]}: name a line, detail or bin")
        found.append(
            Waiver(
                file=entry[what],
                kinds=kinds,
                lines=_several(entry["line"]) if "line" in entry else (),
                details=_several(entry[detail]) if detail in entry else (),
                unit=entry.get("unit", ""),
                when={name: _several(value) for name, value in entry.get("when", {}).items()},
                reason=" ".join(entry["reason"].split()),
            )
        )
    return found


def apply(waivers: Sequence[Waiver], figures: Sequence[Figures]) -> None:
    """Mark what is waived in each configuration. Raises UserError for one that matches no point.

    What cannot match here is not looked at: a regression may be of some units and configurations.
    """
    for waiver in waivers:
        about = [one for one in figures if waiver.is_about(one)]
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


# --- for other tools ------------------------------------------------------------------------------


def lcov(figures: Iterable[Figures]) -> str:
    """LCOV tracefile: lines and branches of each unit (as test name), without what is waived."""
    text = []
    for one in figures:
        by_file: dict[str, list[tuple[Point, int]]] = {}
        for point, count in one.counts.items():
            if point.kind in ("line", "branch") and point not in one.waived:
                by_file.setdefault(point.file, []).append((point, count))
        for file, points in sorted(by_file.items()):
            text += [f"TN:{one.unit}", f"SF:{RTL / file}"]
            arms = sorted((p, n) for p, n in points if p.kind == "branch")
            lines = sorted((p, n) for p, n in points if p.kind == "line")
            run = {p.line: n for p, n in lines}
            number: dict[int, int] = {}
            for point, count in arms:
                index = number.setdefault(point.line, 0)
                number[point.line] += 1
                taken = count if run.get(point.line, 1) else "-"
                text.append(f"BRDA:{point.line},0,{index},{taken}")
            text += [f"BRF:{len(arms)}", f"BRH:{sum(1 for _, n in arms if n)}"]
            text += [f"DA:{point.line},{count}" for point, count in lines]
            text += [f"LF:{len(lines)}", f"LH:{sum(1 for _, n in lines if n)}", "end_of_record"]
    return "\n".join(text) + "\n"


def ucis(figures: Iterable[Figures], when: str, tool: str) -> str:
    """UCIS 1.0 interchange XML: an instance for each unit and each file of it.

    Lines are statements, expressions conditions; what is waived is there as excluded, with its
    reason. `when` is the time of the regression, `tool` the simulator's version.
    """
    figures = list(figures)
    when = when[:19]  # pyucis reads no time zone
    files = sorted({p.file for one in figures for p in one.counts if p.line})
    number = {file: index for index, file in enumerate(files, 1)}
    root = Element("UCIS", ucisVersion="1.0", writtenBy="softnorm", writtenTime=when)
    for file, index in number.items():
        SubElement(root, "sourceFiles", fileName=f"rtl/{file}", id=str(index))
    SubElement(
        root,
        "historyNodes",
        historyNodeId="0",
        logicalName="regression",
        testStatus="true",
        date=when,
        toolCategory="UCIS:simulator",
        ucisVersion="1.0",
        vendorId="Verilator",
        vendorTool="Verilator",
        vendorToolVersion=tool,
    )
    for one in figures:
        by_file: dict[str, dict[str, list[Point]]] = {}
        for point in one.counts:
            by_file.setdefault(point.file, {}).setdefault(point.kind, []).append(point)
        top = SubElement(root, "instanceCoverages", name=one.unit, key="0", moduleName=one.unit)
        _statement(top, "id", 1, 1)
        groups = {f: kinds["functional"] for f, kinds in by_file.items() if "functional" in kinds}
        if groups:
            _covergroups(SubElement(top, "covergroupCoverage"), one, groups)
        for file in sorted(number.keys() & by_file.keys()):
            module = Path(file).stem
            node = SubElement(
                root,
                "instanceCoverages",
                name=f"{one.unit}.{module}",
                key="0",
                moduleName=module,
            )
            _statement(node, "id", number[file], 1)
            for name, kind, write in (
                ("toggleCoverage", "toggle", _toggles),
                ("blockCoverage", "line", _statements),
                ("conditionCoverage", "expression", _conditions),
                ("branchCoverage", "branch", _branches),
            ):
                if kind in by_file[file]:
                    write(SubElement(node, name), one, by_file[file][kind], number[file])
    indent(root, " ")
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _statement(parent: Element, name: str, file: int, line: int) -> None:
    SubElement(parent, name, file=str(file), line=str(line), inlineCount="1")


def _bin(parent: Element, name: str, one: Figures, point: Point, label: str = "") -> None:
    excluded = {}
    if point in one.waived:
        excluded = {"excluded": "true", "excludedReason": one.waived[point]}
    made = SubElement(parent, name, excluded)
    SubElement(made, "contents", nameComponent=label, coverageCount=str(one.counts[point]))


def _toggles(parent: Element, one: Figures, points: list[Point], file: int) -> None:
    signals: dict[tuple[int, str], dict[str, list[tuple[Point, str, str]]]] = {}
    for point in points:
        bit, _, change = point.detail.rpartition(":")
        start, _, end = change.partition("->")
        signal = re.sub(r"(\[\d+\])+$", "", bit)
        bits = signals.setdefault((point.line, signal), {})
        bits.setdefault(bit, []).append((point, start, end))
    for (line, signal), bits in signals.items():
        node = SubElement(parent, "toggleObject", name=signal, key="0")
        _statement(node, "id", file, line)
        for bit, changes in bits.items():
            inner = SubElement(node, "toggleBit", name=bit, key="0")
            for point, start, end in changes:
                _bin(SubElement(inner, "toggle", {"from": start, "to": end}), "bin", one, point)


def _statements(parent: Element, one: Figures, points: list[Point], file: int) -> None:
    for point in points:
        node = SubElement(parent, "statement")
        _statement(node, "id", file, point.line)
        _bin(node, "bin", one, point)


def _conditions(parent: Element, one: Figures, points: list[Point], file: int) -> None:
    for index, point in enumerate(points):
        column, _, row = point.detail.partition(": ")
        node = SubElement(
            parent,
            "expr",
            name=column,
            key="0",
            exprString=row,
            index=str(index),
            width="1",
        )
        _statement(node, "id", file, point.line)
        SubElement(node, "subExpr").text = row
        _bin(node, "bin", one, point, row)


def _branches(parent: Element, one: Figures, points: list[Point], file: int) -> None:
    lines: dict[int, list[Point]] = {}
    for point in points:
        lines.setdefault(point.line, []).append(point)
    for line, arms in lines.items():
        node = SubElement(parent, "statement", statementType="if")
        _statement(node, "id", file, line)
        for point in arms:
            arm = SubElement(node, "branch")
            _statement(arm, "id", file, line)
            _bin(arm, "branchBin", one, point, point.detail)


def _covergroups(parent: Element, one: Figures, groups: Mapping[str, list[Point]]) -> None:
    instances: dict[str, Element] = {}
    for name, points in groups.items():
        group, _, label = name.partition(".")
        if group not in instances:
            instances[group] = SubElement(parent, "cgInstance", name=group, key="0")
            SubElement(instances[group], "options")
            where = SubElement(instances[group], "cgId", cgName=group, moduleName=one.unit)
            _statement(where, "cginstSourceId", 1, 1)
            _statement(where, "cgSourceId", 1, 1)
        node = SubElement(instances[group], "coverpoint", name=label, key="0")
        SubElement(node, "options")
        for index, point in enumerate(points):
            kind = "ignore" if point in one.waived else "bins"
            made = SubElement(node, "coverpointBin", name=point.detail, type=kind, key="0")
            place = SubElement(made, "range", {"from": str(index), "to": str(index)})
            SubElement(place, "contents", coverageCount=str(one.counts[point]))
