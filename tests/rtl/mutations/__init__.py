# SPDX-License-Identifier: Apache-2.0
"""Mutations, bugs planted in a copy of the RTL: what a list holds, how one is simulated.

`tests/rtl/mutations/<unit>.py` has

MUTATIONS  name -> Mutation
SMALL      parameters of their simulations: small, so that each takes a second or two
RULES      name -> Rule, for some units: mutations that break a rule of the stream contract

A cell that several units share is mutated in only one of them.
"""

from __future__ import annotations

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
class Mutation:
    """Edits, the test that catches it, a piece of its report.

    parameters  in addition to the unit's SMALL, where the bug shows only with them
    rows        scale of the random rows, larger where the bug shows in few of them
    alone       in a build of its own: Verilator refuses it beside others (tests/rtl/merged.py)
    """

    edits: tuple[Edit, ...]
    test: str
    report: str
    parameters: Mapping[str, int | str] = field(default_factory=dict)
    rows: int = DEFAULT_ROWS
    alone: bool = False


@dataclass(frozen=True)
class Rule:
    """Edits that break a rule of the stream contract, and how the bench names it.

    On Verilator the assertions check the rules, on both simulators the monitors do; each must name
    the broken rule. `needs_x` marks a rule about X, which Verilator does not have.
    """

    edits: tuple[Edit, ...]
    report: str
    needs_x: bool = False


def place(text: str, file: str, old: str) -> int:
    """Where an edit's old text begins; it must be there in exactly one place."""
    assert text.count(old) == 1, f"{file} no longer has one {old!r}: update this mutation"
    return text.index(old)


def plant(edits: Sequence[Edit], folder: Path) -> Path:
    """The RTL in `folder` with the edits applied; each must match in exactly one place."""
    rtl = folder / "rtl"
    rtl.symlink_to(RTL)
    for file, old, new in edits:
        path = rtl / file
        text = path.read_text()
        start = place(text, file, old)
        write(path, text[:start] + new + text[start + len(old) :])
    return rtl


def write(path: Path, text: str) -> None:
    """Write to a file of a planted RTL: links to the real one become folders of its own."""
    for folder in reversed(path.parents):
        real = folder.resolve()
        if folder.is_symlink() and real.is_relative_to(RTL):
            folder.unlink()
            folder.mkdir()
            for one in real.iterdir():
                (folder / one.name).symlink_to(one)
    path.unlink(missing_ok=True)
    path.write_text(text)


def simulate_mutated(
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
    """Run `test` on a unit whose RTL has the edits."""
    descriptor = UNITS[unit]
    with tempfile.TemporaryDirectory() as folder:
        rtl = plant(edits, Path(folder)) if edits else RTL
        make = bulk_build if bulk else build
        made = make(descriptor, descriptor.resolve(given), sim, rtl=rtl)
    return (simulate_bulk if bulk else simulate)(made, test, seed, rows=rows)
