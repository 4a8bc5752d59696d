# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/mutation.md, made of docs/mutation.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from softnorm.units import UNITS

from ..static.lint import label
from . import results
from .report import source_of, waived
from .results import Result


def _kept(folder: Path) -> list[Result]:
    """In the order of the units, then by seed."""
    order = list(UNITS)
    found = [one for one in results.load(folder).values() if one.unit in UNITS]
    return sorted(found, key=lambda one: (order.index(one.unit), one.seed))


def _table(titles: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    head = f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}\n"
    return head + "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def units(folder: Path) -> str:
    """A line for each analysis."""
    found, older = _kept(folder), []
    titles = ("unit", "seed", "mutants", "killed", "proved", "holes", "percent", "seconds", "day")
    lines = []
    for one in found:
        unit = UNITS[one.unit]
        if one.sources != results.digest(unit):
            older.append(one)
        counts = (one.mutants, one.killed, one.proved, len(one.holes))
        figures = (f"{one.percent:.2f}", f"{one.seconds:.0f}", one.measured)
        lines.append((unit.title.partition(" (")[0].partition(":")[0], one.seed, *counts, *figures))
    where = sorted({_configuration(one) for one in found})
    below = f"\n`make mutate UNIT=.. COUNT=.. SEED=..`, {'; '.join(where)}" if where else ""
    if older:
        names = ", ".join(dict.fromkeys(one.unit for one in older))
        below += f". Older, sources have changed since: {names}"
    return _table(titles, lines) + below + "\n"


def _configuration(one: Result) -> str:
    return label(UNITS[one.unit].others(one.parameters))


def holes(folder: Path) -> str:
    """A line for each mutant that is neither killed nor proved."""
    lines = []
    for one in _kept(folder):
        for hole in one.holes:
            text = source_of(hole).replace("|", "\\|")
            source = f"`{hole.line.removeprefix('rtl/')}`"
            source += f" `{text}`" if text else ""
            what = f"{hole.port_and_fault}"
            tried = waived(one.unit, hole) or hole.by or "-"
            lines.append((one.unit, one.seed, source, what, tried.replace("|", "\\|")))
    if not lines:
        return "None.\n"
    return _table(("unit", "seed", "line", "pin, and what it does", "why it is left"), lines)


def scenarios(folder: Path) -> str:
    """Kills by scenario, units in columns."""
    return _counts(folder, "scenario", lambda one: one.kills)


def checks(folder: Path) -> str:
    """Kills by check, units in columns."""
    return _counts(folder, "check", lambda one: one.checks)


def _counts(folder: Path, what: str, of: Callable[[Result], dict[str, int]]) -> str:
    found = _kept(folder)
    names = list(dict.fromkeys(one.unit for one in found))
    sums: dict[str, Counter[str]] = {}
    for one in found:
        for name, number in of(one).items():
            sums.setdefault(name, Counter())[one.unit] += number
    lines = [
        (name, *(sums[name][unit] or "" for unit in names)) for name in sums if sums[name].total()
    ]
    return _table((what, *names), lines)


def files(folder: Path) -> str:
    """Killed, proved and holes by source file, of all units."""
    sums: dict[str, list[int]] = {}
    for one in _kept(folder):
        for line, counts in one.lines.items():
            file = line.rpartition(":")[0] or line
            sums[file] = [a + b for a, b in zip(sums.get(file, [0, 0, 0]), counts, strict=True)]
    lines = [(f"`{file.removeprefix('rtl/')}`", sum(n), *n) for file, n in sorted(sums.items())]
    return _table(("file", "mutants", "killed", "proved", "holes"), lines)


BLOCKS: dict[str, Callable[[Path], str]] = {
    "mutation": units,
    "mutation holes": holes,
    "mutation scenarios": scenarios,
    "mutation checks": checks,
    "mutation files": files,
}
