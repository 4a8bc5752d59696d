#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Simulate the units and keep rows compared, rate and latency for the pages: docs/figures.json.

usage: scripts/figures.py [UNIT=name] [OUT=docs]

  UNIT=name   this unit only (default: all but the baselines)
  OUT=docs    folder of figures.json

Exit code: 0 done, 2 bad input or a simulation that failed.
"""

import bootstrap  # noqa: F401  isort: skip

from collections.abc import Sequence
from pathlib import Path

from softnorm import units
from softnorm.flow.cli import main, words
from softnorm.flow.errors import UserError
from softnorm.flow.pages import figures, kept


def command(arguments: Sequence[str]) -> int:
    """Measure and write; return the exit code."""
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip())
        return 0
    given = words(arguments)
    name, out = given.pop("UNIT", None), Path(given.pop("OUT", kept.DOCS))
    if given:
        raise UserError("figures takes UNIT=<unit> and OUT=<folder>")
    every = [unit for unit in units.ROW_UNITS.values() if not unit.baseline]
    for unit in [units.get(name)] if name else every:
        print(f"{unit.name}: building and simulating", flush=True)
        found = figures.measure(unit)
        shown = ", ".join(f"{what} {value}" for what, value in found.facts.items())
        print(f"{unit.name}: {shown}", flush=True)
        written = kept.put(kept.FIGURES, {figures.command(unit): found}, out)
    print(written)
    return 0


if __name__ == "__main__":
    main(command)
