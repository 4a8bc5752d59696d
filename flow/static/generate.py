# SPDX-License-Identifier: Apache-2.0
"""Derived files: table packages and manifests of the units' descriptors, drawings of their texts.

They are committed, so that the RTL can be used without this flow; a test fails when one of them is
not what this module makes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

import numpy as np

from softnorm.units import UNITS
from softnorm.units.unit import Rom, Unit

from .. import drawings
from ..paths import ROOT, RTL, write_whole


def version() -> str:
    """The project's version: pyproject.toml has it."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def files() -> dict[Path, str]:
    """All derived files: path -> content."""
    made = {RTL / package_file(unit): package(unit) for unit in UNITS.values() if unit.roms()}
    made |= {ROOT / "softnorm.core": core(), ROOT / "Bender.yml": bender()}
    return {**made, **drawings.files()}


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
    """Bender.yml."""
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        "# Made by `make generate`.",
        "package:",
        "  name: softnorm",
        '  description: "Softmax and LayerNorm hardware behind one AXI4-Stream contract"',
        "",
        "sources:",
    ]
    for name, listed in _groups().items():
        lines.append("  - files:" + (" # every unit needs of these" if name == "common" else ""))
        lines += [f"      - rtl/{file}" for file in listed]
    return "\n".join(lines) + "\n"


def core() -> str:
    """softnorm.core, for FuseSoC."""
    groups = _groups()
    first = next(iter(UNITS))
    lines = [
        "CAPI=2:",
        "# SPDX-License-Identifier: Apache-2.0",
        "# Made by `make generate`. FuseSoC core: depend on it for the RTL, or run",
        "# `fusesoc --cores-root . run --target=lint softnorm`.",
        f"name: softnorm:ip:softnorm:{version()}",
        "description: Softmax and LayerNorm hardware behind one AXI4-Stream contract",
        "",
        "filesets:",
    ]
    for name, listed in groups.items():
        lines += [f"  {name}:", "    files:", *(f"      - rtl/{file}" for file in listed)]
        lines.append("    file_type: systemVerilogSource")
    lines += [
        "",
        "targets:",
        "  default: &default",
        f"    filesets: [{', '.join(groups)}]",
        "  lint:",
        "    <<: *default",
        f"    toplevel: {first}",
        "    flow: lint",
        "    flow_options:",
        "      tool: verilator",
        "      verilator_options: [-Wall]",
    ]
    return "\n".join(lines) + "\n"
