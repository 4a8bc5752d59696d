# SPDX-License-Identifier: Apache-2.0
"""Gates of a cell library out of a unit: Yosys with slang as its front end, ABC for the mapping.

Memories (every one is an sn_ram_1r1w) stay memories: Yosys keeps them as `$mem_v2` cells, so that
ABC sees their ports as ends of paths, and an SRAM macro can take their place.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from softnorm.units.unit import Parameters, Unit

from .. import tools
from ..build.pins import kept
from ..errors import UserError
from ..paths import RTL
from ..static.lint import Source, elaborate, source, warnings
from .liberty import Library

MEMORY = "$mem_v2"
_BOUNDARY = Path(__file__).with_name("memory_boundary.v")
_LIMIT = 3600  # seconds for one run of Yosys


class SynthesisError(UserError):
    """Yosys stopped, or left something that is no cell of the library."""

    exit_code = 1


@dataclass(frozen=True)
class Memory:
    """An sn_ram_1r1w: words of `bits`, written in `parts` equal parts."""

    words: int
    bits: int
    parts: int


@dataclass(frozen=True)
class Netlist:
    """A mapped unit; its files lie in `folder`."""

    unit: Unit
    parameters: dict[str, int | str]
    library: Library
    folder: Path

    @property
    def json(self) -> Path:
        """The netlist as Yosys' JSON; memories are `$mem_v2` cells."""
        return self.folder / "mapped.json"

    @property
    def verilog(self) -> Path:
        """The same as Verilog; memories are arrays."""
        return self.folder / "mapped.v"

    @property
    def timing_verilog(self) -> Path:
        """The same with a register at every port of a memory (memory_boundary.v)."""
        return self.folder / "timing.v"

    @cached_property
    def module(self) -> dict:
        """The module of the JSON netlist."""
        return json.loads(self.json.read_text())["modules"][self.unit.name]

    @cached_property
    def cells(self) -> Counter[str]:
        """Cells of the library: name -> how many."""
        found = Counter(cell["type"] for cell in self.module["cells"].values())
        del found[MEMORY]
        return found

    @property
    def area(self) -> float:
        """Area of the logic, memories left out, in square micrometres."""
        return area(self.library, self.cells)

    @property
    def flip_flops(self) -> int:
        """Flip-flops outside of memories."""
        return sum(n for cell, n in self.cells.items() if self.library.cells[cell].first("ff"))

    @cached_property
    def memories(self) -> dict[str, Memory]:
        """Memories by their place in the hierarchy, as the RTL asks for them."""
        text = (self.folder / "memories.json").read_text()
        asked = _memory_cells(json.loads(text)["modules"][self.unit.name])
        # How many parts of a word are written apart shows once the enables are optimised.
        mapped = _memory_cells(self.module)
        return {
            place: Memory(*_shape(cell), len(set(map(str, mapped[place]["connections"]["WR_EN"]))))
            for place, cell in asked.items()
        }


def area(library: Library, cells: Counter[str]) -> float:
    """Sum of the cells' areas, in square micrometres."""
    return sum(number * library.area(cell) for cell, number in sorted(cells.items()))


def netlist(
    unit: Unit,
    parameters: Parameters,
    library: Library,
    period: float,
    names: int = 0,
    gated: bool = False,
) -> Netlist:
    """Map a unit, or find what an earlier run has made of the same sources.

    `period` in nanoseconds is what ABC sizes gates for. The order that wires and cells are mapped
    in hangs on their names: each `names` above 0 gives them others. gated: flip-flops that share an
    enable get a gated clock in its place. Raises SynthesisError.
    """
    parameters = unit.resolve(parameters)
    rtl = source(unit, parameters)

    passes = [
        *elaborate(rtl),
        "select -assert-none t:$dlatch t:$adlatch t:$dlatchsr t:$sr",
        "flatten",
        "check -assert",
        "memory_collect",
        "write_json {folder}/memories.json",
        *[f"rename -scramble-name -seed {names}"] * bool(names),
        "synth -flatten -run coarse:fine",
        *_mapping(library, period, gated),
        "write_json {folder}/mapped.json",
        "write_verilog -noattr -noexpr -nohex {folder}/mapped.v",
        # Registers get the names of what they drive: a path's ends can then be read.
        "rename -wire",
        f"techmap -map {_BOUNDARY}",
        f"dfflibmap -liberty {library.path}",
        f"select -assert-none t:{MEMORY}",
        "write_verilog -noattr -noexpr -nohex -simple-lhs {folder}/timing.v",
    ]
    folder = _mapped(f"{unit.name}-netlist", passes, rtl, library, [_BOUNDARY])
    return Netlist(unit, dict(parameters), library, folder)


def parts(
    unit: Unit, parameters: Parameters, library: Library, period: float
) -> dict[str, Counter[str]]:
    """Cells by the part of the unit they are in: an instance in the top module, or "" for the top.

    Mapped apart, each part on its own: their sum is not to the micrometre that of `netlist`, which
    optimises across parts. Raises SynthesisError.
    """
    parameters = unit.resolve(parameters)
    rtl = source(unit, parameters)

    read, _, process = elaborate(rtl)
    passes = [
        read.replace("read_slang", "read_slang --keep-hierarchy", 1),
        f"hierarchy -check -top {unit.name}",
        process,
        # What the top module instantiates keeps its border; what is below does not.
        f"setattr -set keep_hierarchy 1 {unit.name}/t:*",
        "flatten",
        "synth -run coarse:fine",
        *_mapping(library, period),
        "write_json {folder}/parts.json",
    ]
    folder = _mapped(f"{unit.name}-parts", passes, rtl, library)
    modules = json.loads((folder / "parts.json").read_text())["modules"]
    return _parts(modules, unit.name)


_STEP = 8  # bits


def memory_area(memory: Memory, library: Library, period: float) -> float:
    """Area of a memory built of flip-flops, in square micrometres.

    A wide one is mapped with few of its columns (bits, or parts where it has several), with twice
    as many, and carried on in a straight line: columns are alike, and share the decoders. Raises
    SynthesisError.
    """
    several = memory.parts > 1
    width = memory.bits // memory.parts if several else 1
    columns, step = memory.bits // width, -(-_STEP // width)
    if columns <= 2 * step:
        return _memory_area(memory, library, period)
    one, two = (
        _memory_area(Memory(memory.words, n * width, n if several else 1), library, period)
        for n in (step, 2 * step)
    )
    return one + (two - one) * (columns - step) / step


def _memory_area(memory: Memory, library: Library, period: float) -> float:
    numbers = {"DEPTH": memory.words, "WIDTH": memory.bits, "PARTS": memory.parts}
    rtl = Source("sn_ram_1r1w", RTL.parent, (f"{RTL.name}/common/sn_ram_1r1w.sv",), numbers)

    passes = [
        *elaborate(rtl),
        "synth -flatten -run coarse:fine",
        "memory_map",
        *_mapping(library, period),
        "write_json {folder}/memory.json",
    ]
    folder = _mapped("memory", passes, rtl, library)
    module = json.loads((folder / "memory.json").read_text())["modules"][rtl.top]
    return area(library, Counter(cell["type"] for cell in module["cells"].values()))


_CONSTRAINTS = "constraints"
_GATE = "clock_gate.v"
_SHARED = 4  # flip-flops, from which on a gate is smaller than what holds them


def _mapped(
    name: str, passes: Sequence[str], rtl: Source, library: Library, others: Sequence[Path] = ()
) -> Path:
    """The folder of what the passes make; {folder} in them stands for it."""
    # ABC buffers and sizes only if it knows who drives and what is driven, in femtofarads.
    constraints = f"set_driving_cell {library.driver}\nset_load {1000 * library.load:.4f}\n"

    gate = library.clock_gate if any(_GATE in one for one in passes) else ""

    def make(folder: Path) -> None:
        (folder / _CONSTRAINTS).write_text(constraints)
        if gate:
            (folder / _GATE).write_text(gate)
        asked = [one.replace("{folder}", str(folder)) for one in passes]
        ended = tools.yosys(asked, rtl.root, limit=_LIMIT)
        log = folder / "yosys.log"
        log.write_text("\n".join([*ended.stdout, *ended.stderr, ""]))
        if not ended.ok:
            said = [f"Yosys cannot map {rtl.top}; see {log}:", *ended.stderr]
            raise SynthesisError("\n    ".join([*said, *warnings(ended.stdout)[-10:]]))

    about = [passes, constraints, library.digest, tools.versions("yosys")]
    sources = [*(rtl.root / file for file in rtl.files), *others]
    return kept(name, about, sources, make, below="ppa")[0]


_LOGIC = 0.86  # of a clock; the rest is a flip-flop's delay and set-up time, which ABC does not see

# The smallest gates for a clock, and not the fastest: `amap` maps for area, then buffers and sizes
# for the clock. Against mapping for delay (`map -B 0.9 -D`, twice), which recovers little of the
# area that its speed has cost: multipliers 36 % smaller, a third slower, and still within 5 ns.
_ABC = (
    # buffer stops at a node without fanout: hence cleanup.
    "+strash;dch,-f;amap,-m;cleanup;topo;buffer,-c,-N,16;topo;upsize,{D};dnsize,{D};stime,-p"
)


def _mapping(library: Library, period: float, gated: bool = False) -> list[str]:
    """Passes from coarse cells to the library's; memories stay."""
    gate = [
        f"clockgate -pos sn_clock_gate en_i:clk_i:gclk_o -min_net_size {_SHARED}",
        f"techmap -map {{folder}}/{_GATE}",
    ]
    unusable = "".join(f" -dont_use {cell}" for cell in library.unusable)
    return [
        "memory_map -rom-only",
        "opt -fast -full",
        "opt -full",
        "techmap",
        "opt -fast",
        *gate * gated,
        f"dfflibmap -liberty {library.path}{unusable}",
        "opt",
        f"abc -liberty {library.path}{unusable} -D {1000 * _LOGIC * period:.0f} "
        f"-constr {{folder}}/{_CONSTRAINTS} -script {_ABC}",
        "opt_clean -purge",
        f"read_liberty -lib -ignore_miss_func {library.path}",
        "check -assert",
    ]


def _memory_cells(module: dict) -> dict[str, dict]:
    """Memory cells that can be written, by place."""
    return {
        cell["parameters"]["MEMID"].lstrip("\\").removesuffix(".mem"): cell
        for cell in module["cells"].values()
        if cell["type"] == MEMORY and int(cell["parameters"]["WR_PORTS"], 2)
    }


def _shape(cell: dict) -> tuple[int, int]:
    return int(cell["parameters"]["SIZE"], 2), int(cell["parameters"]["WIDTH"], 2)


def _parts(modules: dict, top: str) -> dict[str, Counter[str]]:
    """Cells of each instance in the top module; those of a generate loop together."""
    found: dict[str, Counter[str]] = {"": Counter()}
    for name, cell in modules[top]["cells"].items():
        kind = cell["type"]
        if kind == MEMORY:
            continue
        if kind in modules and not modules[kind]["attributes"].get("blackbox"):
            inside = Counter(c["type"] for c in modules[kind]["cells"].values())
            del inside[MEMORY]
            part = found.setdefault(re.sub(r"\[\d+\]", "[]", name), Counter())
            part.update(inside)
        else:
            found[""][kind] += 1
    return found
