#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the files of a new unit, which builds, simulates and passes at once (docs/walkthrough.md).

usage: scripts/new_unit.py NAME=mynorm KIND=softmax|layernorm

  NAME=mynorm   the unit's name: of its RTL folder and top module, and of all other files
  KIND=softmax  int8 in, probabilities out, from the row's maximum; or layernorm: uint8 in, int8
                out, from the row's sum

Exit code: 0 done, 2 a wrong word, and nothing is written.
"""

import bootstrap  # noqa: F401  isort: skip

from collections.abc import Sequence

from softnorm.flow.cli import main, words
from softnorm.flow.errors import UserError
from softnorm.flow.paths import short
from softnorm.flow.static.scaffold import new_unit

NEXT = """
next:
  make lint UNIT={name}
  make sim UNIT={name} LANES=4 MAX_LEN=32
  make test ARGS="tests/models/test_{name}.py"
  make test ARGS="-k {name} tests/rtl/test_mutations.py"
docs/walkthrough.md goes on from here; docs/architecture.md lists what a finished unit has."""


def command(arguments: Sequence[str]) -> int:
    """Make a unit as the arguments say; return the exit code."""
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip())
        return 0
    given = words(arguments)
    for word in given:
        if word not in ("NAME", "KIND"):
            raise UserError(f"there is no {word}; there are: NAME KIND")
    for word in ("NAME", "KIND"):
        if word not in given:
            raise UserError(f"{word}= is missing: NAME=mynorm KIND=softmax, or KIND=layernorm")
    for path in new_unit(given["NAME"], given["KIND"]):
        print(f"written: {short(path)}")
    print(NEXT.format(name=given["NAME"]))
    return 0


if __name__ == "__main__":
    main(command)
