# SPDX-License-Identifier: Apache-2.0
"""All mutants of a unit in one netlist, behind an input that chooses one of them.

Yosys reads the RTL through slang, flattens it and keeps its memories; `mutate -list` draws faults
in all of its modes (a pin inverted, stuck at 0 or 1, or changed where another is 1 or 0), and
`mutate -ctrl` puts each behind a comparison with a number. 0 chooses none.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from softnorm.units.unit import Parameters, Unit

from .. import tools
from ..build.bulk import BulkBuild, defines, netlist_library
from ..build.pins import CHECKERS, kept
from ..errors import UserError
from ..paths import ROOT, RTL
from ..static.lint import Source, elaborate, source, warnings

VERSION = 2  # of how a netlist and its mutants are made
MODES = ("inv", "const0", "const1", "cnot0", "cnot1")
CHOSEN, SELECT, LOAD = "sn_chosen", "sn_select", "sn_load"
# A mutated clock is no fault of the logic, and a simulator gives it races.
_CLOCKS = frozenset({"CLK", "WR_CLK", "RD_CLK"})
# A memory is read without a clock here, its register beside it: a clocked read alone has these.
_NO_PINS = frozenset({"RD_EN", "RD_ARST", "RD_SRST"})
FLAT = ("flatten", "opt_clean", "memory_collect")


class MutateError(UserError):
    """Yosys stopped, or the netlist is not what the RTL is."""

    exit_code = 1


@dataclass(frozen=True)
class Mutant:
    """A fault: a bit of a cell's pin, and what becomes of it.

    number   what chooses it, from 1
    mode     of MODES
    module, cell, port, bit  where
    control  the bit that decides in cnot0 and cnot1, of the same pin; None in others
    wire     the net's name with its bit, where it has one of the RTL's; else empty
    lines    of the RTL, `file:line`, the innermost first
    """

    number: int
    mode: str
    module: str
    cell: str
    port: str
    bit: int
    control: int | None
    wire: str
    lines: tuple[str, ...]

    @property
    def name(self) -> str:
        """What is done to what, in words."""
        to = {"inv": "inverted", "const0": "stuck at 0", "const1": "stuck at 1"}
        what = to.get(self.mode) or f"inverted where bit {self.control} is {self.mode[-1]}"
        return f"{self.cell} {self.port}[{self.bit}] {what}"

    @property
    def command(self) -> str:
        """The Yosys pass that makes it, without what chooses it."""
        words = ["mutate", "-mode", self.mode, "-module", self.module, "-cell", self.cell]
        words += ["-port", self.port]
        words += ["-portbit", str(self.bit)]
        if self.control is not None:
            words += ["-ctrlbit", str(self.control)]
        return " ".join(words)


@dataclass(frozen=True)
class Mutants:
    """The mutants of a configuration.

    folder  holds the netlist: `mutants.il`, in which CHOSEN is an input, and `mutants.v`
    """

    unit: Unit
    parameters: dict[str, int | str]
    seed: int
    mutants: tuple[Mutant, ...]
    folder: Path


def mutants(
    unit: Unit, parameters: Parameters, count: int, seed: int, *, rtl: Path = RTL
) -> Mutants:
    """The first `count` mutants of a seed; fewer, where there are no more.

    `rtl` is the folder of the sources: the project's, or a copy with a change. What exists is used
    again. Raises MutateError and UserError.
    """
    tools.package("pyosys")
    parameters = unit.resolve(parameters)
    folder, _ = kept(
        unit.name,
        [unit.name, parameters, count, seed, tools.versions("yosys"), VERSION],
        [rtl / file for file in unit.rtl],
        lambda folder: _timed(folder, lambda: draw(unit, parameters, count, seed, rtl, folder)),
        below="mutate",
    )
    listed = json.loads((folder / "mutants.json").read_text())
    found = tuple(Mutant(**{**one, "lines": tuple(one["lines"])}) for one in listed)
    return Mutants(unit, dict(parameters), seed, found, folder)


def library(made: Mutants) -> BulkBuild:
    """The mutants' netlist as a library of the bulk engine. Raises BuildError and UserError."""
    tools.require_verilator()
    verilog = made.folder / "mutants.v"
    sources = [verilog, *(ROOT / file for file in CHECKERS)]
    harness = sorted([*(ROOT / "tb/bulk").glob("*.h"), *(ROOT / "tb/bulk").glob("*.cpp")])
    folder, reused = kept(
        f"{made.unit.name}-library",
        [defines(made.unit, made.parameters), made.parameters, tools.versions("verilator")],
        [*sources, *harness, ROOT / "flow/build/bulk.py"],
        lambda folder: _timed(
            folder, lambda: netlist_library(made.unit, made.parameters, sources, folder)
        ),
        below="mutate",
    )
    return BulkBuild(made.unit, made.parameters, "verilator", folder, reused, spent(folder))


def spent(folder: Path) -> float:
    """Seconds of the processor that it took to make what is there."""
    return float((folder / "seconds").read_text())


def _timed(folder: Path, make: Callable[[], None]) -> None:
    """Make something; how long it took, of the processor, stays in its folder."""
    began = sum(os.times()[:4])
    make()
    (folder / "seconds").write_text(f"{sum(os.times()[:4]) - began:.1f}\n")


def draw(
    unit: Unit, parameters: Parameters, count: int, seed: int, rtl: Path, folder: Path
) -> None:
    """Write the list of mutants and the netlist with all of them. Raises MutateError."""
    given = source(unit, parameters)
    files = tuple(f"{rtl.name}/{file}" for file in unit.rtl)
    given = Source(given.top, rtl.parent, files, given.parameters)
    flat = [*elaborate(given), *FLAT]
    listed, script = folder / "list.txt", folder / "mutate.ys"
    drawn = count + count // 32 + 8  # some go
    _yosys(unit, [*flat, f"mutate -list {drawn} -seed {seed} -o {listed}"], given.root)
    lines = listed.read_text(encoding="utf-8").splitlines()
    found = _read(lines, count)
    if not found:
        raise MutateError(f"Yosys finds nothing to change in {unit.name}")
    width = len(found).bit_length()
    script.write_text(
        "".join(f"{one.command} -ctrl {CHOSEN} {width} {one.number}\n" for one in found)
    )
    il, verilog = folder / "mutants.il", folder / "mutants.v"
    passes = [*flat, f"script {script}", f"write_rtlil {il}", f"write_verilog {verilog}"]
    _yosys(unit, passes, given.root)
    verilog.write_text(chosen_by_register(verilog.read_text(encoding="utf-8"), width))
    text = json.dumps([vars(one) for one in found], indent=0)
    (folder / "mutants.json").write_text(text + "\n")


def _yosys(unit: Unit, passes: Sequence[str], root: Path) -> None:
    ended = tools.yosys(passes, root)
    if not ended.ok:
        said = warnings(ended.stdout)[-10:] + ended.stderr
        raise MutateError("\n    ".join([f"Yosys cannot mutate {unit.name}:", *said]))


def _read(lines: Sequence[str], count: int) -> list[Mutant]:
    """Yosys' list of mutants, those of clocks and of no pin left out; `count` at the most."""
    found: list[Mutant] = []
    for line in lines:
        words = shlex.split(line.replace("\\", "\\\\"))[1:]
        pairs = list(zip(words[::2], words[1::2], strict=True))
        given: Mapping[str, str] = dict(pairs)
        if given["-port"] in _CLOCKS | _NO_PINS or len(found) == count:
            continue
        places = [value for name, value in pairs if name == "-src"]
        found.append(
            Mutant(
                number=len(found) + 1,
                mode=given["-mode"],
                module=given["-module"],
                cell=given["-cell"],
                port=given["-port"],
                bit=int(given["-portbit"]),
                control=int(given["-ctrlbit"]) if "-ctrlbit" in given else None,
                wire=f"{given['-wire']}[{given['-wirebit']}]" if "-wire" in given else "",
                lines=tuple(dict.fromkeys(_line(place) for place in reversed(places))),
            )
        )
    return found


def _line(place: str) -> str:
    """`rtl/a.sv:3.1-4.2` as `rtl/a.sv:3`."""
    return re.sub(r"\.\d+(-.*)?$", "", place)


def chosen_by_register(verilog: str, width: int) -> str:
    """The netlist with a register in place of the input CHOSEN.

    Verilator evaluates what depends on an input twice a clock: all comparisons of all mutants,
    which take longer than the unit.
    """
    inputs = f"  input [{width - 1}:0] {CHOSEN};\n  wire [{width - 1}:0] {CHOSEN};\n"
    if width == 1:
        inputs = inputs.replace("[0:0] ", "")
    register = (
        f"  input [{width - 1}:0] {SELECT};\n  input {LOAD};\n  reg [{width - 1}:0] {CHOSEN};\n"
        f"  always @(posedge {LOAD}) {CHOSEN} <= {SELECT};\n"
    )
    last = re.search(rf"\b{CHOSEN}\s*\);", verilog)  # port; a long list ends in a line of its own
    if last is None or inputs not in verilog:
        raise MutateError(f"Yosys' Verilog has no input {CHOSEN} of {width} bits")
    changed = verilog.replace(last[0], f"{SELECT}, {LOAD});", 1)
    return changed.replace(inputs, register, 1)
