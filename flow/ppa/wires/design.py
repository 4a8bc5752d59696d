# SPDX-License-Identifier: Apache-2.0
"""The netlist that is placed: cells of the library, and a flip-flop at each bit of memories' ports.

Nets have the numbers of the mapped netlist; those of inserted buffers come behind them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..liberty import Library
from ..netlist import MEMORY, Netlist

Net = int
CLOCK, RESET = "clk_i", "rst_ni"


@dataclass
class Cell:
    """A cell; `pins` are those with a net, `constant` those at 0 or 1, which no wire reaches.

    memory  (memory cell, port, places in it that this drives) that a port's flip-flop stands for
    """

    kind: str
    pins: dict[str, Net]
    constant: dict[str, str] = field(default_factory=dict)
    memory: tuple[str, str, tuple[int, ...]] | None = None
    name: str = ""


@dataclass(frozen=True)
class Pin:
    """A pin of a cell (its place in `cells`), or with cell -1 a port's bit."""

    cell: int
    name: str


@dataclass
class Design:
    """Cells, and ports' bits by the words `port[bit]`."""

    netlist: Netlist
    cells: list[Cell]
    inputs: dict[str, Net]
    outputs: dict[str, Net]
    clock: Net
    reset: Net
    next: Net

    @property
    def library(self) -> Library:
        """That of the cells."""
        return self.netlist.library

    @property
    def ideal(self) -> frozenset[Net]:
        """Clock and reset: nets without a tree, which timing takes for ideal."""
        return frozenset((self.clock, self.reset))

    def drivers(self) -> dict[Net, Pin]:
        """What drives each net."""
        outputs = _outputs(self.library)
        found = {net: Pin(-1, port) for port, net in self.inputs.items()}
        for place, cell in enumerate(self.cells):
            for pin, net in cell.pins.items():
                if pin in outputs[cell.kind]:
                    found[net] = Pin(place, pin)
        return found

    def sinks(self) -> dict[Net, list[Pin]]:
        """What each net drives, in order."""
        outputs = _outputs(self.library)
        found: dict[Net, list[Pin]] = defaultdict(list)
        for place, cell in enumerate(self.cells):
            for pin, net in cell.pins.items():
                if pin not in outputs[cell.kind]:
                    found[net].append(Pin(place, pin))
        for port, net in self.outputs.items():
            found[net].append(Pin(-1, port))
        return found

    def nets(self) -> dict[Net, list[Pin]]:
        """All pins of each net, its driver first, clock and reset left out."""
        drivers, sinks = self.drivers(), self.sinks()
        return {
            net: [drivers[net], *sinks[net]]
            for net in sorted(drivers.keys() & sinks.keys())
            if net not in self.ideal
        }

    @property
    def area(self) -> float:
        """Of all cells, in square micrometres."""
        return sum(self.library.area(cell.kind) for cell in self.cells)

    def word(self, net: Net) -> str:
        """A net's name in Verilog."""
        return {self.clock: CLOCK, self.reset: RESET}.get(net, f"n{net}")

    def verilog(self) -> str:
        """As static timing reads it: a port for each bit, cells named after their places."""
        ports, assigns = [], []
        for net in dict.fromkeys(self.inputs.values()):
            ports.append(f"input {self.word(net)}")
        for place, net in enumerate(self.outputs.values()):
            ports.append(f"output o{place}")
            assigns.append(f"  assign o{place} = {self.word(net)};\n")
        lines = [f"module {self.netlist.unit.name} ({', '.join(p.split()[1] for p in ports)});\n"]
        lines += [f"  {port};\n" for port in ports]
        for place, cell in enumerate(self.cells):
            pins = {pin: self.word(net) for pin, net in cell.pins.items()}
            pins |= {pin: f"1'b{value}" for pin, value in cell.constant.items()}
            joined = ", ".join(f".{pin}({net})" for pin, net in pins.items())
            # A read port as memory_boundary.v names it, which static timing looks for.
            word = f"\\c{place}.rd_data " if cell.memory and "Q" in cell.pins else f"c{place}"
            lines.append(f"  {cell.kind} {word} ({joined});\n")
        return "".join([*lines, *assigns, "endmodule\n"])

    def named(self, word: str) -> str:
        """The RTL's word for a cell or port of `verilog`."""
        place = word[1:].removesuffix(".rd_data")
        if word[:1] == "c" and place.isdigit():
            return self.cells[int(place)].name or word
        if word[:1] == "o" and place.isdigit():
            return list(self.outputs)[int(place)]
        return next((port for port, net in self.inputs.items() if self.word(net) == word), word)

    def save(self, folder: Path) -> Netlist:
        """The netlist with its buffers, as all that reads a Netlist takes it; memories are
        memories again."""
        whole = json.loads(self.netlist.json.read_text())
        module = whole["modules"][self.netlist.unit.name]
        memories = {n: c for n, c in module["cells"].items() if c["type"] == MEMORY}
        for cell in self.cells:
            if cell.memory:
                # Its data input is what the port's bit is connected to; buffers may lie before it.
                name, port, places = cell.memory
                for place in places:
                    memories[name]["connections"][port][place] = cell.pins["D"]
        module["cells"] = memories | {
            f"c{place}": {
                "type": cell.kind,
                "connections": {
                    **{pin: [net] for pin, net in cell.pins.items()},
                    **{pin: [value] for pin, value in cell.constant.items()},
                },
            }
            for place, cell in enumerate(self.cells)
            if not cell.memory
        }
        for port, bit, net in _bits(self.outputs):
            module["ports"][port]["bits"][bit] = net
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "mapped.json").write_text(json.dumps(whole))
        (folder / "memories.json").write_text((self.netlist.folder / "memories.json").read_text())
        (folder / "timing.v").write_text(self.verilog())
        return Netlist(self.netlist.unit, self.netlist.parameters, self.library, folder)


def _bits(ports: dict[str, Net]) -> Iterator[tuple[str, int, Net]]:
    for word, net in ports.items():
        port, _, bit = word.partition("[")
        yield port, int(bit.rstrip("]") or 0), net


def design(netlist: Netlist) -> Design:
    """The cells of a mapped netlist and the flip-flops at its memories' ports."""
    module, library = netlist.module, netlist.library
    names = _names(module)
    cells = []
    for name, cell in module["cells"].items():
        if cell["type"] == MEMORY:
            cells += _ports(name, cell, library)
            continue
        pins = {pin: bits[0] for pin, bits in cell["connections"].items() if bits}
        nets = {pin: bit for pin, bit in pins.items() if isinstance(bit, int)}
        constant = {pin: bit for pin, bit in pins.items() if bit in ("0", "1")}
        register = library.cells[cell["type"]].first("ff") is not None
        own = next((names[bit] for pin, bit in nets.items() if pin == "Q" and bit in names), "")
        cells.append(Cell(cell["type"], nets, constant, name=own if register else ""))
    ways: dict[str, dict[str, Net]] = {"input": {}, "output": {}}
    for port, of in module["ports"].items():
        for place, bit in enumerate(of["bits"]):
            if isinstance(bit, int):
                word = port if len(of["bits"]) == 1 else f"{port}[{place}]"
                ways[of["direction"]][word] = bit
    last = max(bit for cell in cells for bit in cell.pins.values())
    return Design(
        netlist,
        cells,
        ways["input"],
        ways["output"],
        ways["input"][CLOCK],
        ways["input"].get(RESET, -1),
        max(last, *ways["input"].values(), *ways["output"].values()) + 1,
    )


def _ports(name: str, memory: dict, library: Library) -> list[Cell]:
    """The flip-flops of memory_boundary.v: one for each bit of a port, one for an enable's bits
    that are written together."""
    pins = memory["connections"]
    kind = library.flip_flop
    place = memory["parameters"]["MEMID"].lstrip("\\")
    clock = pins["RD_CLK"][0]
    found = [
        Cell(
            kind,
            {"CLK": clock, "Q": bit},
            {"D": "0"},
            (name, "RD_DATA", ()),
            f"{place}.RD_DATA[{at}]",
        )
        for at, bit in enumerate(pins["RD_DATA"])
        if isinstance(bit, int)
    ]
    for port in ("RD_EN", "RD_ADDR", "WR_EN", "WR_ADDR", "WR_DATA"):
        places: dict[Net, list[int]] = defaultdict(list)
        for at, bit in enumerate(pins[port]):
            if isinstance(bit, int):
                places[bit].append(at)
        together = port == "WR_EN"
        for bit, of in places.items():
            for at in [of] if together else [[one] for one in of]:
                word = f"{place}.{port}[{at[0]}]"
                found.append(
                    Cell(kind, {"CLK": clock, "D": bit}, {}, (name, port, tuple(at)), word)
                )
    return found


def _names(module: dict) -> dict[Net, str]:
    """The shortest of the RTL's words for each net."""
    found: dict[Net, str] = {}
    for name, of in module["netnames"].items():
        if of.get("hide_name"):
            continue
        for place, bit in enumerate(of["bits"]):
            word = name if len(of["bits"]) == 1 else f"{name}[{place}]"
            if isinstance(bit, int) and len(word) < len(found.get(bit, word + ".")):
                found[bit] = word
    return found


def _outputs(library: Library) -> dict[str, set[str]]:
    return {
        name: {pin for pin, of in library.pins(name).items() if of.text("direction") == "output"}
        for name in library.cells
    }
