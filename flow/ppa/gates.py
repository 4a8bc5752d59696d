# SPDX-License-Identifier: Apache-2.0
"""A mapped netlist as tables, and a build of the bulk engine that reads them (tb/gates).

A cell is a truth table for each output, from its liberty functions; a flip-flop is a state with a
net that it takes, and nets that clear and preset it. The engine's C++ is the same for all netlists
of a unit's ports: what is compiled does not grow with the netlist.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from .. import tools
from ..build.bulk import HARNESS, HARNESS_SOURCES, BulkBuild, compile_library, ports_header
from ..build.pins import kept
from ..errors import UserError
from ..paths import ROOT
from .liberty import Group, LibertyError, evaluate, function, variables
from .netlist import MEMORY, Netlist

_ENGINE = ROOT / "tb/gates"
_PINS = 16  # of a gate, as many as the engine's fan-out lists can name

Bit = int | str  # a net's number, or "0", "1", "x"


class GateError(UserError):
    """The netlist differs from the RTL, or has something that a table cannot represent."""

    exit_code = 1


@dataclass(frozen=True)
class Tables:
    """What the engine reads.

    nets   numbers of the netlist's nets; the engine's are those from 2 on, in this order
    count  of the engine's nets: 0, 1, these, and some that are inside of cells
    words  little-endian, 32 bits: sections, each behind its length
    """

    nets: list[int]
    count: int
    words: np.ndarray


@cache
def _function(text: str) -> tuple:
    return function(text)


class _Writer:
    """The tables while they grow; nets are the engine's."""

    def __init__(self, nets: Sequence[int], clock: Bit):
        # Where a value is unknown, it is 0.
        self.number: dict[Bit, int] = {"0": 0, "1": 1, "x": 0, "z": 0}
        self.number |= {net: at for at, net in enumerate(nets, 2)}
        self.count = 2 + len(nets)
        self.clock = self.number[clock]
        self.table: list[int] = []
        self.entry: list[int] = []  # of each gate, its inputs 0
        self.output: list[int] = []
        self.inputs: list[tuple[int, ...]] = []
        self.flip_flops: list[int] = []  # each: what it takes, its state, clear, preset
        self.enables: dict[int, int] = {}  # of each gated clock
        self._known: dict[tuple, tuple[list[str], int]] = {}

    def new(self) -> int:
        """A net inside of a cell."""
        self.count += 1
        return self.count - 1

    def gate(self, tree: tuple, pins: Mapping[str, int], output: int) -> None:
        """A function of pins."""
        if tree not in self._known:
            self._known[tree] = self._write(tree)
        names, entry = self._known[tree]
        self.entry.append(entry)
        self.output.append(output)
        self.inputs.append(tuple(pins[name] for name in names))

    def _write(self, tree: tuple) -> tuple[list[str], int]:
        """A truth table: the names of its inputs, the lowest bit first, and where it lies."""
        names = sorted(variables(tree))
        if len(names) > _PINS:
            raise GateError(f"a cell has {len(names)} inputs; {_PINS} are the most")
        size = 1 << len(names)
        entry = -(-len(self.table) // size) * size  # an input is then a bit of the place
        self.table += [0] * (entry - len(self.table))
        for row in range(size):
            values = {name: row >> bit & 1 for bit, name in enumerate(names)}
            self.table.append(evaluate(tree, values))
        return names, entry

    def net(self, tree: tuple, pins: Mapping[str, int]) -> int:
        """A net that has a function's value: a pin's own, or that of a new gate."""
        if tree[0] == "var":
            return pins[tree[1]]
        output = self.new()
        self.gate(tree, pins, output)
        return output

    def cell(self, kind: Group, given: Mapping[str, Bit]) -> None:
        """A cell of the library. Raises LibertyError if it is neither gate nor flip-flop."""
        pins = {pin: self.number[bit] for pin, bit in given.items()}
        outputs = [
            (_function(pin.text("function")), pins[pin.name])
            for pin in kind.all("pin")
            if pin.text("direction") == "output" and isinstance(given.get(pin.name), int)
        ]
        ff = kind.first("ff")
        if ff is not None:
            pins, outputs = self._flip_flop(kind, ff, pins, outputs)
        elif kind.first("latch"):
            pins, outputs = self._latch(kind, pins, outputs)
        elif kind.first("statetable"):
            raise LibertyError(f"cell {kind.name} is neither a gate nor a flip-flop")
        for tree, net in outputs:
            self.gate(tree, pins, net)

    def _flip_flop(
        self, kind: Group, ff: Group, pins: dict[str, int], outputs: list[tuple[tuple, int]]
    ) -> tuple[dict[str, int], list[tuple[tuple, int]]]:
        """Pins with the state's, and the outputs that are still to be made of them."""
        clocked = _function(ff.text("clocked_on"))
        clock = pins[clocked[1]] if clocked[0] == "var" else None
        if clock != self.clock and clock not in self.enables:
            raise LibertyError(f"cell {kind.name} does not take the rising edge of clk_i")
        name, inverse = ff.arguments
        takes = _function(ff.text("next_state"))
        # An output that is the state needs no gate.
        state = next((net for tree, net in outputs if tree == ("var", name)), None)
        outputs = [(tree, net) for tree, net in outputs if net != state]
        pins[name] = self.new() if state is None else state
        if any(inverse in variables(tree) for tree in [takes, *(tree for tree, _ in outputs)]):
            pins[inverse] = self.net(("not", ("var", name)), pins)
        held = [
            self.net(_function(ff.text(what)), pins) if what in ff.values else 0
            for what in ("clear", "preset")
        ]
        taken = self.net(takes, pins)
        if clock in self.enables:
            both = {"on": self.enables[clock], "new": taken, "old": pins[name]}
            taken = self.net(_HELD, both)
        self.flip_flops += [taken, pins[name], *held]
        return pins, outputs

    def _latch(
        self, kind: Group, pins: dict[str, int], outputs: list[tuple[tuple, int]]
    ) -> tuple[dict[str, int], list[tuple[tuple, int]]]:
        """A clock gate's: open while the clock is 0, so that behind its rising edge it has what was
        there before, as a flip-flop has."""
        name, _ = kind.first("latch").arguments
        [net] = [net for tree, net in outputs if tree == ("var", name)]
        data = _function(kind.first("latch").text("data_in"))
        self.flip_flops += [self.net(data, pins), net, 0, 0]
        return pins, []

    def memory(self, cell: dict) -> list[list[int]]:
        """Sections of a memory, as sn_ram_1r1w is. Raises GateError for another one."""
        pins, numbers = cell["connections"], cell["parameters"]
        one = ("RD_PORTS", "WR_PORTS", *(f"{p}_CLK_{w}" for p in _PORTS for w in _CLOCKED))
        clocks = {self.number[bit] for port in _PORTS for bit in pins[f"{port}_CLK"]}
        resets = {self.number[bit] for kind in "AS" for bit in pins[f"RD_{kind}RST"]}
        plain = all(int(numbers[name], 2) == 1 for name in one) and not int(numbers["OFFSET"], 2)
        if not plain or clocks != {self.clock} or resets != {0}:
            raise GateError(f"memory {numbers['MEMID']} is not one of a read and a write port")
        read = [bit if isinstance(bit, int) else None for bit in pins["RD_DATA"]]
        return [
            [int(numbers["SIZE"], 2), int(numbers["WIDTH"], 2), self.number[pins["RD_EN"][0]]],
            *(self.bus(pins[name]) for name in ("RD_ADDR", "WR_ADDR", "WR_EN", "WR_DATA")),
            [self.new() if bit is None else self.number[bit] for bit in read],
        ]

    def bus(self, bits: Sequence[Bit]) -> list[int]:
        """Nets of bits."""
        return [self.number[bit] for bit in bits]

    def ordered(self) -> list[np.ndarray]:
        """Sections of the gates, in an order from inputs to outputs. Raises GateError."""
        readers: list[list[int]] = [[] for _ in range(self.count)]  # gate and pin, packed
        for gate, inputs in enumerate(self.inputs):
            for pin, net in enumerate(inputs):
                readers[net].append(gate << 4 | pin)
        driven = set(self.output)
        waits = [sum(net in driven for net in inputs) for inputs in self.inputs]
        order = [gate for gate, missing in enumerate(waits) if not missing]
        for gate in order:  # grows
            for reader in readers[self.output[gate]]:
                waits[reader >> 4] -= 1
                if not waits[reader >> 4]:
                    order.append(reader >> 4)
        if len(order) < len(waits):
            raise GateError(f"{len(waits) - len(order)} cells of the netlist are in a loop")
        place = np.zeros(len(order), np.int64)
        place[order] = np.arange(len(order))
        fan = np.array([reader for each in readers for reader in each], np.int64)
        ends = np.cumsum([0, *(len(each) for each in readers)])
        entry, output = (np.array(values, np.int64)[order] for values in (self.entry, self.output))
        return [entry, output, ends, place[fan >> 4] << 4 | fan & 15]


_HELD = function("(on & new) | (!on & old)")
_PORTS = ("RD", "WR")
_CLOCKED = ("ENABLE", "POLARITY")


def nets(netlist: Netlist) -> list[int]:
    """The numbers of all nets, in order."""
    module = netlist.module
    found = [bits for cell in module["cells"].values() for bits in cell["connections"].values()]
    found += [port["bits"] for port in module["ports"].values()]
    return sorted({bit for bits in found for bit in bits if isinstance(bit, int)})


def clock_gates(netlist: Netlist) -> dict[int, Bit]:
    """Gated clocks of a netlist, and what each waits for. Raises GateError for a latch that is not
    a clock gate's."""
    library, [clock] = netlist.library, netlist.module["ports"]["clk_i"]["bits"]
    cells = []
    for cell in netlist.module["cells"].values():
        kind = library.cells.get(cell["type"])
        output = library.output(cell["type"]) if kind else None
        if kind and output and not kind.first("ff"):
            pins = {pin: bits[0] for pin, bits in cell["connections"].items() if bits}
            cells.append((kind, pins, pins.get(output.name), output.text("function")))
    inverted = {
        net
        for _, pins, net, text in cells
        for tree in [_function(text)]
        if tree[0] == "not" and tree[1][0] == "var" and pins[tree[1][1]] == clock
    }
    waits = {}
    for kind, pins, net, _ in cells:
        latch = kind.first("latch")
        if latch:
            enable = _function(latch.text("enable"))
            low = enable[0] == "not"
            opened = pins[(enable[1] if low else enable)[1]]
            if opened not in ({clock} if low else inverted):
                raise GateError(f"{kind.name} is no latch of a clock gate")
            waits[net] = pins[_function(latch.text("data_in"))[1]]
    return {
        net: waits[on]
        for kind, pins, net, _ in cells
        if clock in pins.values() and not kind.first("latch")
        for on in pins.values()
        if on in waits
    }


def tables(netlist: Netlist) -> Tables:
    """The tables of a netlist. Raises LibertyError, GateError."""
    module, library = netlist.module, netlist.library
    numbers = nets(netlist)
    writer = _Writer(numbers, module["ports"]["clk_i"]["bits"][0])
    writer.enables = {
        writer.number[net]: writer.number[on] for net, on in clock_gates(netlist).items()
    }
    memories = []
    for cell in module["cells"].values():
        if cell["type"] == MEMORY:
            memories.append(writer.memory(cell))
        else:
            pins = {pin: bits[0] for pin, bits in cell["connections"].items() if bits}
            writer.cell(library.cells[cell["type"]], pins)
    ordered = writer.ordered()
    sections = [
        [writer.count, len(memories), writer.clock],
        writer.table,
        *ordered,
        writer.flip_flops,
        *(section for memory in memories for section in memory),
        *(writer.bus(bits) for way in ("input", "output") for _, bits in _ports(netlist, way)),
    ]
    parts = [part for section in sections for part in ([len(section)], section)]
    words = np.concatenate([np.asarray(part, "<u4") for part in parts])
    return Tables(numbers, writer.count, words)


def _ports(netlist: Netlist, direction: str) -> list[tuple[str, list[Bit]]]:
    ports = netlist.module["ports"].items()
    return [(name, port["bits"]) for name, port in ports if port["direction"] == direction]


def gate_build(netlist: Netlist, made: Tables) -> BulkBuild:
    """A build of the bulk engine with the netlist in place of the unit. Raises BuildError."""
    unit, parameters = netlist.unit, netlist.parameters
    header = ports_header(unit, parameters)
    for direction in ("input", "output"):
        ports = " ".join(f"X({name}, {len(bits)})" for name, bits in _ports(netlist, direction))
        header += f"#define SN_{direction.upper()}S(X) {ports}\n"
    content = made.words.tobytes()

    def make(folder: Path) -> None:
        (folder / "tables.bin").write_bytes(content)
        (folder / "tables.s").write_text(_ASSEMBLY)
        sources = [_ENGINE / "gates.cpp", folder / "tables.s", *HARNESS_SOURCES]
        compile_library(unit, folder, header, sources, [f"-I{_ENGINE}"])

    own = sorted(file for folder in (HARNESS, _ENGINE) for file in folder.glob("*.[hc]*"))
    started = time.perf_counter()
    folder, reused = kept(
        f"{unit.name}-gates",
        [unit.name, parameters, header, tools.versions("verilator"), _digest(content)],
        [*own, Path(__file__)],
        make,
        below="ppa",
    )
    seconds = time.perf_counter() - started
    return BulkBuild(unit, dict(parameters), "gates", folder, reused, seconds)


_ASSEMBLY = """\
.section .rodata
.balign 4
.globl sn_tables
.hidden sn_tables
sn_tables:
.incbin "tables.bin"
.section .note.GNU-stack,"",%progbits
"""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
