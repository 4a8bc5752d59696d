#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Coverage of a regression: functional bins, lines, branches, toggles, expressions, and the holes.

usage: scripts/coverage.py [NAME=ci] [HOLES=20]

  NAME=ci     the regression's folder, build/regress/<name>; default: the most recent one
  HOLES=20    number of holes to list

`make regress` makes the regression. Code coverage comes from Verilator, functional bins from both
simulators, after the waivers of regression/waivers.hjson. The command also writes coverage.info
(LCOV, for genhtml) and coverage.xml (UCIS) into the regression's folder. Goals are set in
regression/plan.hjson, for each unit over the configurations named there, of code also over those
that count it alone; other configurations are listed without their holes.
Exit code: 0 goals met, 1 below a goal, 2 bad input, or a waiver that matches nothing.
"""

import bootstrap  # noqa: F401  isort: skip

from collections.abc import Sequence

from softnorm.flow.cli import main, number, table, words
from softnorm.flow.coverage import code as code_coverage
from softnorm.flow.coverage import exports as coverage_exports
from softnorm.flow.coverage import waivers
from softnorm.flow.errors import UserError
from softnorm.flow.paths import write_whole
from softnorm.flow.regress import folder, plan


def report(
    parts: Sequence[code_coverage.Figures],
    judged: Sequence[code_coverage.Figures],
    names: str,
) -> str:
    """The table: each configuration, then the unit over those that have goals, called `names`."""
    lines = []
    for unit in judged:
        for one in [*(part for part in parts if part.unit == unit.unit), unit]:
            percent = [code_coverage.shown(one.percent(kind)) for kind in code_coverage.ALL_KINDS]
            lines.append((one.unit, one.configuration or names, *percent, len(one.waived)))
    return table(lines, ("unit", "configuration", *code_coverage.ALL_KINDS, "waived"))


def command(arguments: Sequence[str]) -> int:
    """Print the report, write the files; return the exit code."""
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip())
        return 0
    given = words(arguments)
    shown = number("HOLES", given.pop("HOLES", "20"))
    name = given.pop("NAME", None)
    if given:
        raise UserError(f"there is no {next(iter(given))}; there are: NAME HOLES")
    regression = folder.find(name)
    parts = regression.figures()
    if not parts:
        raise UserError(f"{regression.folder} holds no run that passed")
    waivers.apply(waivers.load_waivers(), parts)
    whole = code_coverage.merged(parts)
    about = regression.metadata
    print(f"{regression.folder}: {len(regression.results)} of {about['jobs']} runs\n")
    goals = plan.load_plan()
    having = goals.judged(parts)
    judged = code_coverage.merged(having or parts)
    names = (*goals.goals_of, "code of features")
    print(report(parts, judged, (having and " + ".join(names)) or "all"))
    holes = code_coverage.grouped_holes(judged)
    if holes and shown:
        lines = []
        for unit, place, kind, details in holes[:shown]:
            text = "; ".join(details[:4]) + (" ..." if len(details) > 4 else "")
            lines.append((unit, place, kind, len(details), text))
        print("\n" + table(lines, ("unit", "place", "kind", "holes", "what")))
        if len(holes) > shown:
            print(f"and {len(holes) - shown} places more (HOLES=)")
    info, xml = regression.folder / "coverage.info", regression.folder / "coverage.xml"
    write_whole(info, coverage_exports.lcov(whole))
    write_whole(xml, coverage_exports.ucis(whole, about["started"], regression.simulators))
    print(f"\nwritten: {info}, {xml.name}")
    missed = code_coverage.under(judged, goals.goals)
    print(f"FAIL: {', '.join(missed)}" if missed else "PASS: every goal is met")
    return 1 if missed else 0


if __name__ == "__main__":
    main(command)
