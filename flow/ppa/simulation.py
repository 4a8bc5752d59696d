"""The mapped netlist on real rows: its outputs against the RTL's, and how often each net toggles.

The netlist is written as one flat module: an expression for each cell from its liberty functions, a
register for each flip-flop, an array for each memory. Nets have the numbers of the JSON netlist.
There are no delays: a net settles at once, so that glitches are not counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from flow import rtl
from flow.bulk_build import bulk_build
from flow.errors import UserError
from flow.ppa.liberty import Group, LibertyError, Library, function
from flow.ppa.netlist import MEMORY, Netlist
from tb.bulk.beats import RtlOutputs
from tb.unit import Rows

Bit = int | str  # a net's number, or "0", "1", "x"


class GateError(UserError):
    """The gates do not do what the RTL does."""

    exit_code = 1


@dataclass(frozen=True)
class Activity:
    """What a simulation counted.

    clocks   simulated, after the reset
    toggles  net -> changes of its value
    high     net -> share of the time that it was 1
    elements that came out
    """

    clocks: int
    toggles: dict[int, int]
    high: dict[int, float]
    elements: int


def activity(netlist: Netlist, rows: Rows) -> Activity:
    """Drive the rows through gates and RTL, nothing stalls. Raises GateError if they differ."""
    unit, parameters = netlist.unit, netlist.parameters
    source = netlist.folder / "gates.v"
    text = verilog(netlist)
    if not source.exists() or source.read_text() != text:
        source.write_text(text)
    saif = netlist.folder / "gates.saif"
    first = rows.select(np.arange(1))  # behind it, nothing is as the reset left it
    with rtl.Instance(bulk_build(unit, parameters)) as instance:
        instance.run(first)
        want = instance.run(rows, reset=False)
    with rtl.Instance(bulk_build(unit, parameters, gates=source)) as instance:
        try:
            instance.run(first)
            instance.simulator.count_toggles(saif)
            wrong = difference(instance.run(rows, reset=False), want)
            instance.simulator.count_toggles(None)
        except rtl.RtlError as error:
            wrong = str(error)
    if wrong:
        words = " ".join(f"{name}={value}" for name, value in parameters.items())
        raise GateError(
            f"the gates of {unit.name} {words} are not its RTL: {wrong}\n  netlist: {source}"
        )
    toggles, high, duration = read_saif(saif.read_text())
    saif.unlink()
    missing = nets(netlist) - toggles.keys()
    if missing:
        raise GateError(f"the simulation of {unit.name} lost {len(missing)} nets")
    return Activity(duration // 2, toggles, high, int(rows.mask.sum()))


def difference(got: RtlOutputs, want: RtlOutputs) -> str:
    """What differs first, in words; "" where nothing does."""
    for name in ("out", "exponent", "err_len", "err_keep"):
        one, other = getattr(got, name), getattr(want, name)
        if not np.array_equal(one, other):
            row = int(np.argwhere(one != other)[0][0])
            return f"{name} of row {row} is {one[row].tolist()}, not {other[row].tolist()}"
    for name in ("len_pulses", "keep_pulses", "beats", "clocks"):
        one, other = getattr(got, name), getattr(want, name)
        if one != other:
            return f"{name} are {one}, not {other}"
    return ""


# --- the netlist as one module --------------------------------------------------------------------


def verilog(netlist: Netlist) -> str:
    """The netlist as a module of the unit's name and ports."""
    module, library = netlist.module, netlist.library
    ports, body = [], []
    for name, port in module["ports"].items():
        bits = port["bits"]
        ports.append(f"{port['direction']} wire [{len(bits) - 1}:0] {name}")
        for place, bit in enumerate(bits):
            if port["direction"] == "input":
                body.append(f"assign {_net(bit)} = {name}[{place}];")
            else:
                body.append(f"assign {name}[{place}] = {_net(bit)};")
    clocked: dict[str, list[str]] = {}
    for number, cell in enumerate(module["cells"].values()):
        pins = {pin: bits[0] for pin, bits in cell["connections"].items() if bits}
        if cell["type"] == MEMORY:
            body += _memory(f"m{number}", cell)
            continue
        kind = library.cells[cell["type"]]
        body += _cell(library, kind, pins, f"q{number}", clocked)
    for event, lines in clocked.items():
        body += [f"always @({event}) begin", *lines, "end"]
    lines = [
        "// What flow/ppa/simulation.py made of a mapped netlist.",
        f"module {netlist.unit.name} ({', '.join(ports)});",
        *(f"wire {_net(bit)};" for bit in sorted(nets(netlist))),
        *body,
        "endmodule",
    ]
    return "\n".join([*lines, ""])


def nets(netlist: Netlist) -> set[int]:
    """The numbers of all nets."""
    module = netlist.module
    found = [bits for cell in module["cells"].values() for bits in cell["connections"].values()]
    found += [port["bits"] for port in module["ports"].values()]
    return {bit for bits in found for bit in bits if isinstance(bit, int)}


def _net(bit: Bit) -> str:
    if isinstance(bit, int):
        return f"n{bit}"
    return "1'b1" if bit == "1" else "1'b0"


def _cell(
    library: Library, kind: Group, pins: dict[str, Bit], state: str, clocked: dict[str, list[str]]
) -> list[str]:
    """Lines of a cell; what a flip-flop does goes into `clocked`, by event."""
    lines, inner = [], {}
    ff = kind.first("ff")
    if ff is not None:
        lines.append(f"/*verilator tracing_off*/ reg {state}; /*verilator tracing_on*/")
        inner = {ff.arguments[0]: state, ff.arguments[1]: f"~{state}"}
        events = [_edge(ff.text("clocked_on"), pins)]
        resets = []
        for what, value in (("clear", 0), ("preset", 1)):
            if what in ff.values:
                condition = _expression(ff.text(what), pins)
                event = _edge(ff.text(what), pins, asynchronous=True)
                if event:
                    events.append(event)
                    resets.append(f"if ({condition}) {state} <= 1'b{value}; else ")
        then = "".join(resets) + f"{state} <= {_expression(ff.text('next_state'), pins, inner)};"
        clocked.setdefault(" or ".join(events), []).append(then)
    elif kind.first("latch") or kind.first("statetable"):
        raise LibertyError(f"cell {kind.name} is neither a gate nor a flip-flop")
    for pin in kind.all("pin"):
        if pin.text("direction") == "output" and isinstance(pins.get(pin.name), int):
            value = _expression(pin.text("function"), pins, inner)
            lines.append(f"assign {_net(pins[pin.name])} = {value};")
    return lines


def _edge(text: str, pins: dict[str, Bit], asynchronous: bool = False) -> str:
    """An event: the rising edge of a function of one pin; "" of a constant, where that may be."""
    tree, edge = function(text), "posedge"
    while tree[0] == "not":
        tree, edge = tree[1], "negedge" if edge == "posedge" else "posedge"
    if tree[0] != "var":
        raise LibertyError(f"{text!r} is no edge of one pin")
    bit = pins[tree[1]]
    if not isinstance(bit, int):
        if asynchronous and (bit == "1") == (edge == "negedge"):
            return ""
        raise LibertyError(f"{text!r} is constant")
    return f"{edge} {_net(bit)}"


_OPERATORS = {"and": "&", "or": "|", "xor": "^"}


def _expression(text: str, pins: dict[str, Bit], inner: dict[str, str] | None = None) -> str:
    def write(tree: tuple) -> str:
        kind, *given = tree
        if kind == "var":
            name = given[0]
            return inner[name] if inner and name in inner else _net(pins[name])
        if kind == "const":
            return f"1'b{given[0]}"
        words = [write(part) for part in given]
        if kind == "not":
            return f"~{words[0]}"
        return f"({words[0]} {_OPERATORS[kind]} {words[1]})"

    return write(function(text))


def _memory(name: str, cell: dict) -> list[str]:
    """Lines of a memory with one write and one registered read port, as sn_ram_1r1w is."""
    pins = cell["connections"]
    number = {key: int(value, 2) for key, value in cell["parameters"].items() if key in _NUMBERS}
    if any(number[key] != 1 for key in _NUMBERS[:6]):
        raise GateError(f"memory {cell['parameters']['MEMID']} has other ports than one of each")
    width, words = number["WIDTH"], number["SIZE"]

    def bus(bits: list[Bit]) -> str:
        return "{" + ", ".join(map(_net, reversed(bits))) + "}"

    parts: dict[Bit, list[int]] = {}
    for place, bit in enumerate(pins["WR_EN"]):
        parts.setdefault(bit, []).append(place)
    lines = [
        "/*verilator tracing_off*/",
        f"reg [{width - 1}:0] {name} [0:{words - 1}];",
        f"reg [{width - 1}:0] {name}_q;",
        f"wire [{width - 1}:0] {name}_d = {bus(pins['WR_DATA'])};",
        f"wire [{len(pins['WR_ADDR']) - 1}:0] {name}_w = {bus(pins['WR_ADDR'])};",
        "/*verilator tracing_on*/",
        f"always @(posedge {_net(pins['RD_CLK'][0])}) begin",
        f"if ({_net(pins['RD_EN'][0])}) {name}_q <= {name}[{bus(pins['RD_ADDR'])}];",
    ]
    for bit, places in parts.items():
        lines.append(f"if ({_net(bit)}) begin")
        lines += [
            f"{name}[{name}_w][{low}+:{n}] <= {name}_d[{low}+:{n}];" for low, n in runs(places)
        ]
        lines.append("end")
    lines.append("end")
    lines += [
        f"assign {_net(bit)} = {name}_q[{place}];"
        for place, bit in enumerate(pins["RD_DATA"])
        if isinstance(bit, int)
    ]
    return lines


_NUMBERS = (
    *("RD_PORTS", "WR_PORTS", "RD_CLK_ENABLE", "WR_CLK_ENABLE"),
    *("RD_CLK_POLARITY", "WR_CLK_POLARITY", "SIZE", "WIDTH"),
)


def runs(places: list[int]) -> list[tuple[int, int]]:
    """Neighbours together: (first, how many)."""
    found: list[tuple[int, int]] = []
    for place in places:
        if found and sum(found[-1]) == place:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((place, 1))
    return found


# --- toggles --------------------------------------------------------------------------------------

_NET = re.compile(
    r"\(n(\d+) \(T0 (\d+)\) \(T1 (\d+)\) \(TZ \d+\) \(TX \d+\) \(TB \d+\) \(TC (\d+)\)\)"
)


def read_saif(text: str) -> tuple[dict[int, int], dict[int, float], int]:
    """(toggles, share of time at 1, duration) of the nets n<number>. Raises GateError."""
    duration = re.search(r"\(DURATION (\d+)\)", text)
    if duration is None:
        raise GateError("the simulation left no SAIF file")
    toggles, high = {}, {}
    for name, low, up, count in _NET.findall(re.sub(r"\s+", " ", text)):
        toggles[int(name)] = int(count)
        high[int(name)] = int(up) / (int(low) + int(up) or 1)
    return toggles, high, int(duration[1])
