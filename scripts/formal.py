#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prove properties of the units: for all inputs, all stalls, all resets, and for all time.

usage: scripts/formal.py [UNIT=name] [PROPERTY=words] [OUT=docs]

  UNIT=name       this unit only, or `common`: the cells that units share (default: all)
  PROPERTY=words  properties with these words in their name only
  OUT=docs        folder of proofs.json, where the results are kept; not with PROPERTY=

A property that does not hold has a trace: a table of beats, and waves in build/formal.
Exit code: 0 done, 1 a property does not hold or is no longer proved, 2 bad input or no pyosys.
"""

import bootstrap  # noqa: F401  isort: skip

from collections.abc import Sequence
from pathlib import Path

from softnorm.flow.cli import main, words
from softnorm.flow.errors import UserError
from softnorm.flow.formal import results
from softnorm.flow.pages import kept


def command(arguments: Sequence[str]) -> int:
    """Prove; return the exit code."""
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip())
        return 0
    given = words(arguments)
    unit, name, out = (given.pop(word, None) for word in ("UNIT", "PROPERTY", "OUT"))
    if given:
        raise UserError("formal takes UNIT=<unit>, PROPERTY=<words> and OUT=<folder>")
    if name is not None and out is not None:
        raise UserError("OUT= keeps all that is proved of a unit: leave PROPERTY= out")

    def keep(found: dict[str, kept.Kept]) -> None:
        if out is not None:
            print(f"\n{kept.put(kept.PROOFS, found, Path(out))}")

    return 1 if results.run(results.chosen(unit, name), keep) else 0


if __name__ == "__main__":
    main(command)
