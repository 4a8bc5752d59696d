#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Conformance vectors through the bit-exact model, and through the RTL.

usage: scripts/conform.py VECTORS=<file or folder> [RTL=1] [SIM=verilator|icarus]

  VECTORS   .npz files in the format of docs/vectors.md; each names its unit and parameters
  RTL=1     also drive them through the RTL, built with the file's parameters
  SIM       verilator (default) or icarus

Prints rows, elements and mismatches of each file. Files of unknown units are listed and skipped.
Exit code: 0 no mismatch, 1 mismatches, 2 bad input or a missing tool.
"""

import bootstrap  # noqa: F401  isort: skip

from pathlib import Path

from softnorm import units
from softnorm.flow.build.pins import check_simulator
from softnorm.flow.cli import flag, main, table, words
from softnorm.flow.errors import UserError
from softnorm.flow.sim.conform import conform_model, conform_rtl, files
from softnorm.models import vectors


def command(arguments) -> int:
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip())
        return 0
    given = words(arguments)
    if "VECTORS" not in given:
        raise UserError("say which vectors: VECTORS=<file or folder>")
    path = Path(given.pop("VECTORS"))
    rtl = flag("RTL", given.pop("RTL", "0"))
    sim = given.pop("SIM", "verilator")
    if given:
        raise UserError(f"there is no {next(iter(given))}; there are: VECTORS RTL SIM")
    if rtl:
        check_simulator(sim)
    rows, reports, skipped, wrong = [], [], [], 0
    for file in files(path):
        if path.is_dir() and vectors.load(file).unit not in units.UNITS:
            skipped.append(file.name)
            continue
        result = conform_model(file)
        line = [file.name, result.rows, result.elements, result.mismatches]
        wrong += result.mismatches
        if rtl:
            print(f"  {file.name}: the model is done, building the RTL", flush=True)
            result = conform_rtl(file, sim)
            line.append(result.mismatches)
            wrong += result.mismatches
            if result.report:
                reports.append(f"{file.name}: {result.report}")
        print(f"  {file.name}: {'ok' if not sum(line[3:]) else 'MISMATCH'}", flush=True)
        rows.append(line)
    if not rows:
        raise UserError(f"{path} holds no file for a unit that is here: {', '.join(units.UNITS)}")
    header = ["file", "rows", "elements", "model mismatches"] + [f"{sim} mismatches"] * rtl
    print("\n" + table(rows, header))
    for report in reports:
        print("\n" + report)
    if skipped:
        print(f"\nleft out, units that are not here: {', '.join(skipped)}")
    print(
        f"\n{sum(line[1] for line in rows)} rows, {sum(line[2] for line in rows)} elements, "
        f"{wrong} mismatches"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    main(command)
