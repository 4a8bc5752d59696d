#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One simulation: a unit's RTL in the test bench, every element compared with the bit-exact model.

usage: scripts/sim.py [NAME=VALUE ...]      (same arguments as `make sim`)

  UNIT=e2softmax      the unit; LIST=1 shows all, with tests and parameters
  SIM=verilator       or icarus
  TEST=default        the test; default is the shipped real tensors plus a short random mix
  SEED=1              any whole number, or `random` for a fresh one (it is printed)
  ROWS=200            scale of the random parts
  TENSORS=FILE        rows to drive instead of the shipped ones (docs/vectors.md)
  STIMULUS=FILE       rows to drive instead of the test's; SHRINK=1 writes such a file
  SHRINK=1            if the run fails, reduce its stimulus to the smallest that still fails
  WAVES=1             write waves (FST, for GTKWave or Surfer); slower
  BULK=1              faster: same rows, scoreboard and coverage, but no Python at the pins
  COVER=1             list every coverpoint and its holes
  LANES=32 ...        any parameter of the unit

exit code: 0 all matched, 1 a check failed, 2 bad input or a missing tool
"""

import bootstrap  # noqa: F401  isort: skip

import secrets
import sys
from pathlib import Path

from softnorm import units
from softnorm.flow import tools
from softnorm.flow.build.bulk import bulk_build
from softnorm.flow.build.pins import build, check_simulator
from softnorm.flow.cli import flag, main, number, table, words
from softnorm.flow.errors import UserError
from softnorm.flow.sim import report
from softnorm.flow.sim.bulk import simulate_bulk
from softnorm.flow.sim.shrink import shrink
from softnorm.flow.sim.simulate import (
    DEFAULT_ROWS,
    choose_tensors,
    environment_is_quiet,
    load_stimulus,
    load_tensors,
    simulate,
)
from softnorm.tb.stimulus.scenarios import SCENARIOS


def known(unit) -> dict:
    """All parameters of a unit, with their defaults."""
    return {**unit.defaults, **unit.features}


def listing() -> str:
    """Units, tests and parameters."""
    parts = []
    for unit in units.UNITS.values():
        parameters = " ".join(f"{name}={value}" for name, value in known(unit).items())
        parts.append(f"{unit.name}: {unit.title}\n  parameters: {parameters}")
    tests = table([(name, scenario.about) for name, scenario in SCENARIOS.items()])
    return "units:\n" + "\n".join(parts) + "\n\ntests:\n" + tests


def command(arguments) -> int:
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip())
        return 0
    if "--list" in arguments or "LIST=1" in arguments:
        print(listing())
        return 0
    given = words(arguments)
    unit = units.get(given.pop("UNIT", "e2softmax"))
    sim = given.pop("SIM", "verilator")
    test = given.pop("TEST", "default")
    seed_word = given.pop("SEED", "1")
    seed = secrets.randbelow(1 << 31) if seed_word == "random" else number("SEED", seed_word)
    rows = number("ROWS", given.pop("ROWS", str(DEFAULT_ROWS)), least=1)
    waves = flag("WAVES", given.pop("WAVES", "0"))
    cover = flag("COVER", given.pop("COVER", "0"))
    shrink_it = flag("SHRINK", given.pop("SHRINK", "0"))
    bulk = flag("BULK", given.pop("BULK", "0"))
    stimulus = Path(given.pop("STIMULUS")) if "STIMULUS" in given else None
    given_tensors = Path(given.pop("TENSORS")) if "TENSORS" in given else None
    for name in given:
        if name not in known(unit):
            there = "UNIT SIM TEST SEED ROWS TENSORS STIMULUS SHRINK WAVES COVER BULK "
            raise UserError(f"there is no {name}; there are: {there}{' '.join(known(unit))}")
    if bulk and (waves or shrink_it):
        raise UserError("a bulk run has no waves and is not shrunk: leave BULK=1 out")
    parameters = unit.resolve(unit.parse(given))
    # All of the input is looked at before the first slow step.
    check_simulator(sim)
    tensors = choose_tensors(unit, parameters, test, given_tensors)
    if stimulus is not None:
        load_stimulus(stimulus, unit, parameters)

    print(
        f"{unit.name} on {sim}, test {test}, seed {seed}, "
        + " ".join(f"{name}={value}" for name, value in parameters.items()),
        flush=True,
    )
    made = bulk_build(unit, parameters, sim) if bulk else build(unit, parameters, sim, waves=waves)
    if waves and sim == "verilator" and not tools.has_fst():
        print(f"waves as VCD, which is large; for FST: apt-get install {tools.FST_PACKAGES}")
    print("build: " + ("as before" if made.reused else f"{made.seconds:.1f} s"))
    print(report.storage_line(made), flush=True)

    if tensors:
        length = load_tensors(unit, parameters, tensors).length
        fit = int((length <= unit.max_len(parameters)).sum())
        print(f"tensors: {tensors}, {fit} of {len(length)} rows fit MAX_LEN", flush=True)

    lively = sys.stdout.isatty()

    def show(counts: dict) -> None:
        print(f"\r  {counts['rows']} rows, {counts['beats']} beats driven ", end="", flush=True)

    result = (simulate_bulk if bulk else simulate)(
        made,
        test,
        seed,
        rows=rows,
        tensors=given_tensors,
        stimulus=stimulus,
        on_progress=show if lively and not environment_is_quiet() else None,
    )
    if lively:
        print("\r" + " " * 60 + "\r", end="")
    if result.passed:
        print(report.summary(result, all_coverage=cover))
        print("PASS")
    else:
        print("FAIL\n" + result.report)
        if shrink_it:
            least = shrink(build(unit, parameters, sim), result.run, on_progress=report.shrinking)
            print(report.shrunk_text(least.as_dict()) if least else "it does not fail again")
    if result.waves:
        print(f"waves: {result.waves}")
    print(f"results: {result.run.folder}")
    print(f"rerun: {result.run.rerun}")
    return 0 if result.passed else 1


if __name__ == "__main__":
    main(command)
