#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write a regression as static HTML pages and JUnit XML.

usage: scripts/report.py [NAME=VALUE ...]

  NAME=ci             the regression in build/regress/<name>; default: the most recent one
  OUT=build/report    folder to write to; start at index.html

The pages need no network and no server. Accuracy and area come from docs/. A finished regression
also gets a line in build/regress/history.jsonl, which history.html plots.
Exit code: 0 written, even if the regression failed, 2 bad input.
"""

import bootstrap  # noqa: F401  isort: skip

from collections.abc import Sequence
from pathlib import Path

from softnorm.flow import dashboard
from softnorm.flow.cli import main, words
from softnorm.flow.errors import UserError
from softnorm.flow.paths import BUILD, short
from softnorm.flow.regress import folder


def command(arguments: Sequence[str]) -> int:
    """Read, write and say what was written; return the exit code."""
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip())
        return 0
    given = words(arguments)
    if "" in given.values():
        raise UserError("NAME= and OUT= each need a value")
    name = given.pop("NAME", None)
    out = Path(given.pop("OUT", BUILD / "report"))
    if given:
        raise UserError(f"there is no {next(iter(given))}; there are: NAME OUT")
    regression = folder.find(name)
    new = dashboard.remember(regression)
    files = dashboard.write(regression, out)
    size = sum(file.stat().st_size for file in files)
    pages = sum(file.suffix == ".html" for file in files)
    print(
        f"regression {regression.name}: {regression.verdict}, {len(regression.results)} runs, "
        f"{regression.failed} failed, {regression.missing} left"
    )
    if new:
        print(f"history: a line in {short(regression.folder.parent / dashboard.HISTORY)}")
    print(f"{out / 'index.html'}: {pages} pages, {len(files)} files, {size / 1024:,.0f} KiB")
    return 0


if __name__ == "__main__":
    main(command)
