# SPDX-License-Identifier: Apache-2.0
"""Text that a simulation prints at its end."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from softnorm.units.coverage import Coverage
from softnorm.units.unit import Parameters, Unit

from ..build.bulk import BulkBuild
from ..build.pins import Build
from ..cli import table
from .simulate import Result


def storage_line(build: Build | BulkBuild) -> str:
    """Bits that the unit's memories and tables hold, in this configuration."""
    parameters = build.parameters
    if build.unit.cell:
        return "memories: none"
    parts = []
    for name, (words, width) in build.unit.storage(parameters).items():
        parts.append(f"{name} {words} x {width} = {words * width} bits")
    bits = build.unit.row_bits(parameters)
    return (
        f"memories: {', '.join(parts)}; a row of {parameters['MAX_LEN']}: {bits} bits "
        f"({bits / parameters['MAX_LEN']:.2f} an element)\n{tables_line(build.unit, parameters)}"
    )


def tables_line(unit: Unit, parameters: Parameters) -> str:
    """Constant tables of a build; an entry of W bits takes W/8 bytes."""
    parts = [
        f"{name} {table.entries} x {table.bits} bits{' (index, not counted)' * table.index}"
        for name, table in unit.tables(parameters).items()
    ]
    return f"tables: {table_bytes(unit, parameters):g} bytes" + "".join(f", {p}" for p in parts)


def table_bytes(unit: Unit, parameters: Parameters) -> float:
    """Bytes of a build's constant tables of values."""
    tables = unit.tables(parameters).values()
    return sum(table.entries * table.bits for table in tables if not table.index) / 8


def _accuracy(values: dict[str, float]) -> list[tuple[str, str]]:
    return [
        (name, f"{value:.3e}" if isinstance(value, float) else str(value))
        for name, value in values.items()
    ]


def summary(result: Result, *, all_coverage: bool = False) -> str:
    """The closing table of a run that passed."""
    values = result.values
    rows = [
        ("rows", values["rows"]),
        ("elements", values["elements"]),
        ("mismatches", values["mismatches"]),
        ("beats per clock, stalls included", f"{values['beats'] / values['clocks']:.3f}"),
    ]
    rows += [
        (name, f"{value:.3f}" if isinstance(value, float) else value)
        for name, value in values["measured"].items()
    ]
    if values["resets"]:
        rows.append(("resets (rows cut off)", f"{values['resets']} ({values['aborted']})"))
    rows += [(f"vs float64: {name}", text) for name, text in _accuracy(values["accuracy"])]
    coverage = Coverage.load(result.run.folder / "coverage.json")
    groups: dict[str, list[int]] = {}
    for point in coverage.points.values():
        group = groups.setdefault(point.group, [0, 0])
        group[0] += point.hit
        group[1] += len(point.bins)
    for name, (hit, total) in groups.items():
        rows.append((f"coverage: {name}", f"{hit}/{total} bins"))
    rows.append(
        (
            "coverage: all",
            f"{coverage.hit}/{coverage.total} bins ({100 * coverage.hit / coverage.total:.1f} %)",
        )
    )
    rows += [("seed", result.run.seed), ("wall time", f"{result.seconds:.1f} s")]
    text = table(rows)
    if all_coverage:
        text += "\n\n" + table(coverage.table(), ("coverpoint", "hit", "holes"))
    return text


def shrunk_text(shrunk: Mapping) -> str:
    """What the shrinker left (`Shrunk.as_dict`), with the line that repeats it."""
    before = shrunk["before"]
    lines = [
        f"shrunk from {before['rows']} rows of {before['elements']} elements to "
        f"{shrunk['rows']} of {shrunk['elements']}, {shrunk['tried']} stimuli tried:",
        *(f"  {line}" for line in shrunk["text"].splitlines()),
        f"rerun: {shrunk['rerun']}",
    ]
    if shrunk["waves"]:
        lines.append(f"waves: {shrunk['waves']}")
    return "\n".join(lines)


def shrinking(tried: int, rows: int, elements: int) -> None:
    """Progress of the shrinker, on a terminal: a line that rewrites itself."""
    if sys.stdout.isatty():
        text = f"shrinking: {tried} tried, {rows} rows of {elements} elements still fail"
        print(f"\r\x1b[K{text}", end="\r", flush=True)
