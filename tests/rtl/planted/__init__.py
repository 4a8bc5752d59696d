"""Bugs planted in a copy of the RTL: what a unit's file of them holds, and how one is simulated.

`tests/rtl/planted/<unit>.py` has

BUGS   name -> Bug
SMALL  parameters that they are simulated with: small, so that each takes a second or two
RULES  name -> Rule, where the unit has any: broken rules of the stream contract

A bug of a cell that several units use is planted in one of them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from softnorm.flow import tools
from softnorm.flow.build.bulk import bulk_build
from softnorm.flow.build.pins import build
from softnorm.flow.paths import RTL
from softnorm.flow.sim.bulk import simulate_bulk
from softnorm.flow.sim.simulate import DEFAULT_ROWS, Result, simulate
from softnorm.units import UNITS

# Icarus builds in a second; where it is missing, Verilator finds the same.
SIM = "icarus" if tools.icarus() else "verilator"

# Pieces of reports.
VALUE = "tdata: expected"
TUSER = "tuser {err_keep, err_len, exponent}: expected"

Edit = tuple[str, str, str]  # file below rtl/, old, new


@dataclass(frozen=True)
class Bug:
    """Edits, the test that catches it, a piece of its report.

    parameters  over the unit's SMALL, for a bug that shows nowhere else
    rows        scale of the random rows, for a bug that shows in few of them
    """

    edits: tuple[Edit, ...]
    test: str
    report: str
    parameters: Mapping[str, int | str] = field(default_factory=dict)
    rows: int = DEFAULT_ROWS


@dataclass(frozen=True)
class Rule:
    """Edits that break a rule of the stream contract, and how the bench names it.

    Assertions hold the rules on Verilator, and the monitors everywhere: each must name what is
    broken. `needs_x` tells that the rule is about X, which Verilator does not have.
    """

    edits: tuple[Edit, ...]
    report: str
    needs_x: bool = False


def plant(edits: Sequence[Edit], folder: Path) -> Path:
    """A copy of the RTL below `folder`, with the edits; each must find its place, and one only."""
    rtl = folder / "rtl"
    shutil.copytree(RTL, rtl)
    for file, old, new in edits:
        path = rtl / file
        text = path.read_text()
        assert text.count(old) == 1, f"{file} no longer has one {old!r}: plant the bug anew"
        path.write_text(text.replace(old, new))
    return rtl


def simulate_planted(
    unit: str,
    given: Mapping[str, int | str],
    edits: Sequence[Edit],
    test: str,
    sim: str = SIM,
    *,
    seed: int = 1,
    rows: int = DEFAULT_ROWS,
    bulk: bool = False,
) -> Result:
    """Run `test` on a unit with the edits."""
    descriptor = UNITS[unit]
    with tempfile.TemporaryDirectory() as folder:
        rtl = plant(edits, Path(folder)) if edits else RTL
        make = bulk_build if bulk else build
        made = make(descriptor, descriptor.resolve(given), sim, rtl=rtl)
    return (simulate_bulk if bulk else simulate)(made, test, seed, rows=rows)
