#!/usr/bin/env python3
"""Accuracy of every unit and variant on the shipped real tensors, against float64.

usage: scripts/accuracy.py [UNIT=name | OUT=folder]

  UNIT=name     print this unit's table only, and write nothing
  OUT=docs      folder to write accuracy.md and accuracy.svg to

The plot needs matplotlib (requirements-plot.txt); without it a plot that is there is left alone.
Exit code: 0 done, 2 bad input.
"""

import bootstrap  # noqa: F401  isort: skip

from collections.abc import Sequence
from pathlib import Path

from flow import accuracy
from flow.cli import main, table, words
from flow.errors import UserError
from flow.paths import ROOT
from tb import units


def command(arguments: Sequence[str]) -> int:
    """Measure, print and write; return the exit code."""
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip())
        return 0
    given = words(arguments)
    if len(given) > 1 or not {*given} <= {"UNIT", "OUT"} or "" in given.values():
        raise UserError("accuracy takes UNIT=<unit>, or OUT=<folder>, or nothing")
    chosen = [units.get(given["UNIT"])] if "UNIT" in given else list(units.UNITS.values())
    results = [accuracy.measure(unit, lambda line: print(line, flush=True)) for unit in chosen]
    for result in results:
        titles, lines = accuracy.cells(result)
        print(f"\n{result.unit.title}\n{accuracy.heading(result)}\n\n{table(lines, titles)}")
    if "UNIT" not in given:
        written = accuracy.write(results, Path(given.get("OUT", ROOT / "docs")))
        print("\n" + "\n".join(written))
    return 0


if __name__ == "__main__":
    main(command)
