# SPDX-License-Identifier: Apache-2.0
"""Derived files: table packages and manifests of the units' descriptors, drawings of their texts.

They are committed, so that the RTL can be used without this flow; a test fails when one of them is
not what this module makes.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

import numpy as np

from softnorm.units import UNITS
from softnorm.units.unit import Rom, Unit

from .. import drawings
from ..paths import ROOT, RTL, write_whole
from . import registers
from .systems import SYSTEMS


def version() -> str:
    """The project's version: pyproject.toml has it."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def files() -> dict[Path, str]:
    """All derived files: path -> content."""
    made = {RTL / package_file(unit): package(unit) for unit in UNITS.values() if unit.roms()}
    made |= {ROOT / "Bender.yml": bender(), **cores()}
    return {**made, **registers.files(), **drawings.files()}


def write(files: Mapping[Path, str]) -> list[Path]:
    """Write what differs of these files; return those."""
    changed = []
    for path, text in files.items():
        if not path.exists() or path.read_text() != text:
            write_whole(path, text)
            changed.append(path)
    return changed


# --- packages -------------------------------------------------------------------------------------


def package_file(unit: Unit) -> str:
    """A unit's table package, below rtl/."""
    return f"{unit.folder}/{unit.name}_tables_pkg.sv"


def package(unit: Unit) -> str:
    """The package of a unit's tables: a function each, which synthesis makes a ROM or logic of."""
    parts = [
        "// SPDX-License-Identifier: Apache-2.0",
        f"// Constant tables of {unit.name}: made by `make generate` from {_source(unit)}.",
        "",
        f"package {unit.name}_tables_pkg;",
    ]
    for rom in unit.roms():
        parts += ["", *_function(rom)]
    return "\n".join([*parts, "", "endpackage", ""])


def _source(unit: Unit) -> str:
    return f"models/{unit.model.__module__.rpartition('.')[2]}.py"


def _function(rom: Rom) -> Iterator[str]:
    """A table as a function of its index; the last entry is the default."""
    values = np.asarray(rom.values)
    rows = values.reshape(len(values), -1)
    columns = rows.shape[1]
    index = max(1, (len(rows) - 1).bit_length())
    width = rom.bits * columns
    if not 0 <= values.min() <= values.max() < 1 << rom.bits:
        raise ValueError(f"table {rom.name} has entries that {rom.bits} bits cannot hold")
    of = f"{rom.bits}" if columns == 1 else f"{columns} x {rom.bits}"
    yield f"  // {rom.about}: {len(rows)} entries of {of} bits."
    returned = f"logic [{width - 1}:0]"
    yield f"  function automatic {returned} {rom.name}(input logic [{index - 1}:0] i);"
    if rom.by_lane:
        yield "    // verilator no_inline_task"
    yield "    case (i)"
    for number, row in enumerate(rows.tolist()):
        last = number == len(rows) - 1
        label = "default" if last else f"{index}'d{number}"
        # The first column is the low one.
        entry = ", ".join(f"{rom.bits}'d{value}" for value in reversed(row))
        entry = f"{{{entry}}}" if columns > 1 else entry
        yield f"      {label}: {rom.name} = {entry};"
    yield "    endcase"
    yield "  endfunction"


# --- manifests ------------------------------------------------------------------------------------


def _groups() -> dict[str, list[str]]:
    """RTL files by manifest group, in compile order: those of several units, then each unit's.

    A file is in the group of its folder, whichever unit lists it first: a unit may take a module of
    one that stands before it in the registry.
    """
    groups: dict[str, list[str]] = {"common": [], **{name: [] for name in UNITS}}
    for unit in UNITS.values():
        for file in unit.rtl:
            group = groups[PurePath(file).parent.name]
            if file not in group:
                group.append(file)
    # A unit lists what it needs in order, and so must the whole: after every file before it.
    groups["common"] = _in_order([unit.rtl for unit in UNITS.values()], groups["common"])
    return groups


def _in_order(lists: Sequence[Sequence[str]], files: Sequence[str]) -> list[str]:
    """The files in an order that agrees with every list. Raises ValueError if there is none."""
    left, ordered = list(files), []
    while left:
        for file in left:
            before = {f for one in lists if file in one for f in one[: one.index(file)]}
            if not before & set(left):
                ordered.append(file)
                left.remove(file)
                break
        else:
            raise ValueError(f"the units' descriptors disagree on the order of {', '.join(left)}")
    return ordered


def bender() -> str:
    """Bender.yml: a target a unit, which chooses its files; without any of them all are chosen."""
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        "# Made by `make generate`. A unit's name is a target that leaves out what it does not",
        f"# need: `bender script -t softnorm:{next(iter(UNITS))} ..`. Without any all is there.",
        "package:",
        "  name: softnorm",
        '  description: "Softmax and LayerNorm hardware behind one AXI4-Stream contract"',
        "",
        "sources:",
    ]
    systems = {system.name: list(system.files) for system in SYSTEMS.values()}
    for files in (_groups() | systems).values():
        for users, several in itertools.groupby(files, _users):
            lines += [f"  - target: {_chosen_by(users)}", "    files:"]
            lines += [f"      - rtl/{file}" for file in several]
    return "\n".join(lines) + "\n"


def _users(file: str) -> tuple[str, ...]:
    return tuple(name for name, files in _takers().items() if file in files)


def _takers() -> dict[str, tuple[str, ...]]:
    """What has a manifest target of its own, and its files."""
    units = {unit.name: unit.rtl for unit in UNITS.values()}
    return units | {system.name: system.rtl for system in SYSTEMS.values()}


def _chosen_by(users: Sequence[str]) -> str:
    others = [name for name in _takers() if name not in users]
    # One of the users' targets, or no unit's at all.
    return f"any({', '.join(users)}, not(any({', '.join(others)})))" if others else '"*"'


CELL = "softnorm:cell:{}:{}"
IP = "softnorm:ip:{}:{}"


def cores() -> dict[Path, str]:
    """FuseSoC's manifests: a core a unit and a core a shared cell, each beside its files, and
    softnorm.core, which has all; those that put registers in front of a unit need its core."""
    groups = _groups()
    names = [*UNITS, *SYSTEMS]
    every = _core(IP, "softnorm", _ABOUT, [], "", names, IP)
    every += _target(*_LINT, next(iter(UNITS)))
    made = {ROOT / "softnorm.core": every}
    cells = {PurePath(file).stem: file for file in groups["common"]}
    for name, file in cells.items():
        code = re.sub("//.*", "", (RTL / file).read_text(encoding="utf-8"))
        needs = [cell for cell in cells if cell != name and re.search(rf"\b{cell}\b", code)]
        about = f"{name}, a cell of softnorm's units"
        made[(RTL / file).with_suffix(".core")] = _core(CELL, name, about, [file], "", needs, CELL)
    for name, unit in UNITS.items():
        needs = [cell for cell, file in cells.items() if file in unit.rtl]
        about = f"{unit.title}, of softnorm"
        path = RTL / unit.folder / f"{name}.core"
        made[path] = _core(IP, name, about, groups[name], "", needs, CELL) + _targets(unit)
    for system in SYSTEMS.values():
        own = system.files, system.waivers
        core = _core(IP, system.name, system.about, *own, system.units, IP)
        path = RTL / f"{system.folder}/{system.name}.core"
        made[path] = core + _target(*_LINT, system.name)
    return made


_ABOUT = "Softmax and LayerNorm hardware behind one AXI4-Stream contract: all units"


def _core(
    vlnv: str,
    name: str,
    about: str,
    files: Sequence[str],
    waivers: str,
    needs: Sequence[str],
    of: str,
) -> str:
    """A core of these files, which needs the cores `needs`, named as `of` says.

    waivers: a file of Verilator's, or "".
    """
    number = version()
    lines = [
        "CAPI=2:",
        "# SPDX-License-Identifier: Apache-2.0",
        "# Made by `make generate`.",
        f"name: {vlnv.format(name, number)}",
        f'description: "{about}"',
        "",
        "filesets:",
        "  rtl:",
    ]
    if files:
        lines += ["    files:", *(f"      - {PurePath(file).name}" for file in files)]
        lines.append("    file_type: systemVerilogSource")
    if needs:
        lines += ["    depend:", *(f'      - "={of.format(need, number)}"' for need in needs)]
    sets = "rtl"
    if waivers:
        lines += ["  waivers:", f"    files: [{waivers}]", "    file_type: vlt"]
        sets = "waivers, rtl"  # only Verilator takes files of this type
    lines += ["", "targets:", "  default: &default", f"    filesets: [{sets}]"]
    return "\n".join(lines) + "\n"


def _targets(unit: Unit) -> str:
    """What FuseSoC can do with a unit alone, and its parameters."""
    numbers = unit.rtl_parameters({**unit.defaults, **unit.features})
    lines = [f"    parameters: [{', '.join(numbers)}]"]
    text = (
        "\n".join(lines) + "\n" + "".join(_target(*of, unit.name) for of in (_LINT, _SIM, _SYNTH))
    )
    lines = ["", "parameters:"]
    for name in numbers:
        words = ", ".join(f"{n} {word}" for n, word in enumerate(unit.words.get(name, ())))
        about = f"parameter of {unit.name}" + (f": {words}" if words else "")
        lines += [f"  {name}:", "    datatype: int", "    paramtype: vlogparam"]
        lines.append(f'    description: "{about}"')
    return text + "\n".join(lines) + "\n"


# Target, flow, tool and the tool's options.
_LINT = "lint", "lint", "verilator", ["verilator_options: [-Wall]"]
_SIM = "sim", "sim", "icarus", ["iverilog_options: [-g2012, -Wall]"]
_SYNTH = "synth", "generic", "yosys", ["arch: ecp5", "output_format: json"]


def _target(name: str, flow: str, tool: str, options: Sequence[str], top: str) -> str:
    lines = [f"  {name}:", "    <<: *default", f"    toplevel: {top}"]
    lines += [f"    flow: {flow}", "    flow_options:", f"      tool: {tool}"]
    return "\n".join([*lines, *(f"      {option}" for option in options)]) + "\n"
