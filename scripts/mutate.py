#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Put many small faults into a unit's netlist and see which of them the ci set's checks find."""

import bootstrap  # noqa: F401  isort: skip

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from softnorm.flow import cli
from softnorm.flow.errors import UserError
from softnorm.flow.mutate import report, results
from softnorm.flow.mutate.run import analyse
from softnorm.units import get


def command(words: Sequence[str]) -> int:
    """Analyse what the arguments say; return the exit code."""
    parser = argparse.ArgumentParser(
        usage="%(prog)s [-h] UNIT= [COUNT=1000] [SEED=1] [JOBS=] [OUT=docs] [NAME=VALUE ...]",
        description=__doc__,
        epilog="NAME=VALUE: parameters other than those of the ci set's small configuration. "
        "OUT=docs keeps the result there. An interrupted analysis goes on where it was. "
        f"Exit code: 0 at least {results.GOAL:g} % of the mutants not proved equal are killed, "
        "1 fewer, 2 wrong arguments or a tool is missing.",
    )
    parser.add_argument("words", nargs="*", metavar="NAME=VALUE")
    given = cli.words(parser.parse_args(words).words)
    if "UNIT" not in given:
        raise UserError("which unit? make mutate UNIT=e2softmax; make sim LIST=1 shows all")
    unit = get(given.pop("UNIT"))
    count = cli.number("COUNT", given.pop("COUNT", "1000"), 1)
    seed = cli.number("SEED", given.pop("SEED", "1"))
    jobs = cli.number("JOBS", given.pop("JOBS"), 1) if "JOBS" in given else None
    out = Path(given.pop("OUT")) if "OUT" in given else None
    if out is not None:
        results.load(out)  # before anything is measured
    parameters = unit.parse(given)
    found, verdicts, folder = analyse(
        unit, parameters, count, seed, jobs=jobs, say=partial(print, flush=True)
    )
    print(f"\n{report.text(found)}")
    print(f"\nreport, all mutants: {report.write(found, verdicts, folder)}")
    if out is not None:
        print(results.put(found, out))
    return 0 if found.percent >= results.GOAL else 1


if __name__ == "__main__":
    cli.main(command)
