# SPDX-License-Identifier: Apache-2.0
"""Energy of a netlist: counted toggles of its nets times the library's tables.

  switching   C V^2 / 2 for each toggle of a net, C the pins on it
  internal    the cells' internal_power tables, at each pin's load and transition time
  leakage     the cells' leakage, over the simulated time

Wires count where their loads are given. There is no clock tree: clock energy is that of the
flip-flops' clock pins. There are no glitches, since the simulation has no delays. Transition times
propagate through the netlist as in static timing, with the slowest arc of a cell at each output.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from ..errors import UserError
from .gates import clock_gates
from .liberty import Group, Library, evaluate, function, variables
from .netlist import MEMORY, Netlist
from .simulation import Activity

Pair = tuple[float, float]  # of a rising and a falling edge


class PowerError(UserError):
    """The netlist cannot be put in an order from inputs to outputs."""

    exit_code = 1


@dataclass(frozen=True)
class Energy:
    """Joules over a simulation of so many `clocks`, from which so many `elements` came out.

    clock      clock pins: their capacitance, and what flip-flops take for an edge
    registers  the outputs of flip-flops and memories: their nets, and inside
    logic      all other cells and nets
    leakage    over the simulated time
    """

    clock: float
    registers: float
    logic: float
    leakage: float
    clocks: int
    elements: int

    @property
    def total(self) -> float:
        """All of it."""
        return self.clock + self.registers + self.logic + self.leakage

    @property
    def per_element(self) -> float:
        """Picojoules an element."""
        return self.total / self.elements * 1e12


# --- tables ---------------------------------------------------------------------------------------


class Table:
    """A liberty table as a function of load and transition time, in the file's units.

    Between its points it is linear, and so beyond them, as OpenSTA has it.
    """

    def __init__(self, group: Group, templates: dict[str, Group]):
        """`templates` by name: they say which index is which, and give indexes left out here."""
        template = templates.get(group.name)
        axes = []
        for number in (1, 2):
            given = next(
                (g.values[f"index_{number}"] for g in (group, template) if _has(g, number)), None
            )
            if given is not None:
                variable = template.text(f"variable_{number}") if template else ""
                axes.append(("load" if "capacitance" in variable else "slew", _numbers(given[0])))
        rows = [_numbers(text) for text in group.values["values"]]
        if len(axes) == 2 and len(rows) == 1:
            width = len(axes[1][1])
            rows = [rows[0][at : at + width] for at in range(0, len(rows[0]), width)]
        self._kinds = [kind for kind, _ in axes]
        self._axes = [axis for _, axis in axes]
        self._rows = rows

    def __call__(self, load: float, slew: float) -> float:
        """The value there."""
        place = [load if kind == "load" else slew for kind in self._kinds]
        if not place:
            return self._rows[0][0]
        if len(place) == 1:
            return _line(self._axes[0], self._rows[0], place[0])
        # Two neighbours of the first axis, each a line along the second.
        axis = self._axes[0]
        if len(axis) == 1:
            return _line(self._axes[1], self._rows[0], place[1])
        at = min(max(bisect_right(axis, place[0]) - 1, 0), len(axis) - 2)
        low, high = (_line(self._axes[1], self._rows[at + n], place[1]) for n in (0, 1))
        return low + (high - low) * (place[0] - axis[at]) / (axis[at + 1] - axis[at])


def _has(group: Group | None, number: int) -> bool:
    return group is not None and f"index_{number}" in group.values


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.replace(",", " ").split()]


def _line(axis: list[float], values: list[float], place: float) -> float:
    if len(axis) == 1:
        return values[0]
    at = min(max(bisect_right(axis, place) - 1, 0), len(axis) - 2)
    part = (place - axis[at]) / (axis[at + 1] - axis[at])
    return values[at] + (values[at + 1] - values[at]) * part


# --- cells ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Power:
    """An internal_power group: of a pin, for edges that `related` causes, while `when` holds."""

    related: tuple[str, ...]
    when: tuple | None
    tables: tuple[Table, Table]

    def energy(self, load: float, slews: Callable[[str], Pair]) -> float:
        """Mean of a rising and a falling edge, in the file's unit of energy."""
        slew = max((max(slews(pin)) for pin in self.related), default=0.0)
        return sum(table(load, slew) for table in self.tables) / 2


class _Cell:
    """What powers and transition times need of a cell, read once."""

    def __init__(self, library: Library, cell: Group, templates: dict[str, Group]):
        self.name = cell.name
        ff = cell.first("ff")
        self.clock = variables(function(ff.text("clocked_on"))) if ff else set()
        self.leakage = cell.number("cell_leakage_power")
        if "cell_leakage_power" not in cell.values:
            states = [group.number("value") for group in cell.all("leakage_power")]
            self.leakage = sum(states) / len(states) if states else 0.0
        self.capacitance, self.powers, self.outputs = {}, defaultdict(list), []
        self.arcs: dict[str, list[tuple[str, tuple[Table, Table]]]] = defaultdict(list)
        for pin in cell.all("pin"):
            if pin.text("direction") == "output":
                self.outputs.append(pin.name)
            else:
                self.capacitance[pin.name] = pin.number("capacitance")
            for group in pin.all("internal_power"):
                tables = _pair(group, ("rise_power", "fall_power", "power"), templates)
                if tables:
                    when = function(group.text("when")) if "when" in group.values else None
                    related = tuple(group.text("related_pin").split()) or (
                        () if pin.name in self.outputs else (pin.name,)
                    )
                    self.powers[pin.name].append(_Power(related, when, tables))
            for arc in pin.all("timing"):
                tables = _pair(arc, ("rise_transition", "fall_transition"), templates)
                # Set and reset are no edges of the simulated time.
                if tables and arc.text("timing_type") not in ("clear", "preset"):
                    for related in arc.text("related_pin").split():
                        self.arcs[pin.name].append((related, tables))


def _pair(
    group: Group, kinds: tuple[str, ...], templates: dict[str, Group]
) -> tuple[Table, Table] | None:
    found = [table for kind in kinds if (table := group.first(kind)) is not None]
    if not found:
        return None
    tables = [Table(table, templates) for table in found]
    return tables[0], tables[-1]


# --- the netlist ----------------------------------------------------------------------------------


class _Circuit:
    """A netlist with loads and transition times."""

    def __init__(self, netlist: Netlist, wires: Mapping[int, float]):
        library = netlist.library
        self.library = library
        templates = _templates(library)
        module = netlist.module
        self.kinds = {
            name: _Cell(library, library.cells[name], templates) for name in netlist.cells
        }
        register = _Cell(library, library.cells[library.flip_flop], templates)
        data = max(c for pin, c in register.capacitance.items() if pin not in register.clock)
        self.cells = []
        self.loads: dict[int, float] = defaultdict(float)
        for net, farads in wires.items():
            self.loads[net] = farads / library.farads
        self.memory_outputs = set()
        for cell in module["cells"].values():
            if cell["type"] == MEMORY:
                # Its ports weigh as much as the data input of a flip-flop.
                for name, bits in cell["connections"].items():
                    if name == "RD_DATA":
                        self.memory_outputs.update(bits)
                    elif not name.endswith("CLK"):
                        for bit in set(bits):
                            self.loads[bit] += data
                continue
            pins = {pin: bits[0] for pin, bits in cell["connections"].items() if bits}
            kind = self.kinds[cell["type"]]
            self.cells.append((kind, pins))
            for pin, capacitance in kind.capacitance.items():
                self.loads[pins.get(pin)] += capacitance
        outside = library.load * 1e-12 / library.farads
        ports = module["ports"].items()
        self.inputs = {bit for _, p in ports if p["direction"] == "input" for bit in p["bits"]}
        for _, port in ports:
            if port["direction"] == "output":
                for bit in port["bits"]:
                    self.loads[bit] += outside
        self.clock = module["ports"]["clk_i"]["bits"][0]
        # Gated ones are ideal, too: there is no tree behind a gate either.
        self.clocks = {self.clock, *clock_gates(netlist)}
        self.driver = _Cell(library, library.cells[library.driver], templates)

    @cached_property
    def slews(self) -> dict[int, Pair]:
        """Net -> transition times of its edges. Raises PowerError."""
        found: dict[int, Pair] = dict.fromkeys(self.clocks, (0.0, 0.0))
        edge = (0.0, 0.0)
        [output] = self.driver.outputs
        for bit in self.inputs - {self.clock}:
            found[bit] = self._output(self.driver, output, bit, lambda _: edge)
        register = self.kinds.get(self.library.flip_flop)
        for bit in self.memory_outputs:
            if register is None:
                found[bit] = edge
            else:
                found[bit] = self._output(register, register.outputs[0], bit, lambda _: edge)
        waits: dict[int, list[int]] = defaultdict(list)
        missing = []
        ready = []
        for number, (kind, pins) in enumerate(self.cells):
            # A flip-flop's output waits for its clock only, which is ideal.
            needs = set() if kind.clock else {pins[p] for p in kind.capacitance if p in pins}
            needs = {bit for bit in needs if isinstance(bit, int) and bit not in found}
            missing.append(len(needs))
            for bit in needs:
                waits[bit].append(number)
            if not needs:
                ready.append(number)
        done = 0
        while ready:
            kind, pins = self.cells[ready.pop()]
            done += 1
            for pin in kind.outputs:
                bit = pins.get(pin)
                if not isinstance(bit, int) or bit in self.clocks:
                    continue
                found[bit] = self._output(kind, pin, bit, lambda p, at=pins: found.get(at[p], edge))
                for number in waits.pop(bit, ()):
                    missing[number] -= 1
                    if not missing[number]:
                        ready.append(number)
        if done < len(self.cells):
            raise PowerError(f"{len(self.cells) - done} cells of the netlist are in a loop")
        return found

    def _output(self, kind: _Cell, pin: str, bit: int, slews: Callable[[str], Pair]) -> Pair:
        rise = fall = 0.0
        load = self.loads[bit]
        for related, (up, down) in kind.arcs[pin]:
            slew = max(slews(related))
            rise, fall = max(rise, up(load, slew)), max(fall, down(load, slew))
        return rise, fall


def _templates(library: Library) -> dict[str, Group]:
    kinds = ("lu_table_template", "power_lut_template")
    return {group.name: group for group in library.group.groups if group.kind in kinds}


def energy(
    netlist: Netlist, activity: Activity, period: float, wires: Mapping[int, float] | None = None
) -> Energy:
    """Joules that the logic took for what a simulation counted, at `period` nanoseconds a clock,
    with `wires` of so many farads on nets.

    Memories are not included, except the nets on their ports. Raises PowerError.
    """
    circuit = _Circuit(netlist, wires or {})
    library = circuit.library
    volts = library.voltage
    toggles, high = activity.toggles, activity.high
    sums = {"clock": 0.0, "registers": 0.0, "logic": 0.0}
    driven_by_register = set(circuit.memory_outputs)
    leakage = 0.0
    for kind, pins in circuit.cells:
        leakage += kind.leakage
        if kind.clock:
            driven_by_register.update(pins[pin] for pin in kind.outputs if pin in pins)

        def slews(pin: str, at: dict = pins) -> Pair:
            return circuit.slews.get(at.get(pin), (0.0, 0.0))

        for pin, powers in kind.powers.items():
            bit = pins.get(pin)
            count = toggles.get(bit, 0)
            if not count:
                continue
            if pin in kind.outputs:
                own = _output_energy(powers, pins, circuit.loads[bit], slews, toggles, high)
                where = "registers" if kind.clock else "logic"
                where = "clock" if bit in circuit.clocks else where
            else:
                own = sum(p.energy(0.0, slews) * _chance(p.when, pins, high) for p in powers)
                where = "registers" if kind.clock else "logic"
                where = "clock" if bit in circuit.clocks else where
            sums[where] += count * own * library.farads  # the file's unit is its capacitance's V^2
    for bit, load in circuit.loads.items():
        if not isinstance(bit, int):
            continue
        where = "logic"
        if bit in circuit.clocks:
            where = "clock"
        elif bit in driven_by_register:
            where = "registers"
        sums[where] += toggles.get(bit, 0) * load * library.farads * volts**2 / 2
    spent = leakage * library.leakage_watts * activity.clocks * period * 1e-9
    return Energy(**sums, leakage=spent, clocks=activity.clocks, elements=activity.elements)


def memory_accesses(netlist: Netlist, activity: Activity) -> float:
    """Bits read and written, in all memories together."""
    bits = 0.0
    for cell in netlist.module["cells"].values():
        if cell["type"] == MEMORY:
            pins = cell["connections"]
            width = len(pins["RD_DATA"])
            for bit, number in [(pins["RD_EN"][0], width), *((bit, 1) for bit in pins["WR_EN"])]:
                bits += number * _chance(("var", "enable"), {"enable": bit}, activity.high)
    return bits * activity.clocks


def clock_energy(library: Library) -> float:
    """Joules that a flip-flop's clock pin takes a clock."""
    cell = _Cell(library, library.cells[library.flip_flop], _templates(library))
    [pin] = cell.clock
    inside = sum(p.energy(0.0, lambda _: (0.0, 0.0)) for p in cell.powers.get(pin, ()))
    return (2 * inside + cell.capacitance[pin] * library.voltage**2) * library.farads


def _output_energy(powers, pins, load, slews, toggles, high) -> float:
    """Of a toggle of an output, in the file's unit: its groups in proportion to how often the pin
    that each is related to toggles, and to how long its state lasts."""
    total = weight = plain = 0.0
    for power in powers:
        own = power.energy(load, slews)
        share = sum(toggles.get(pins.get(pin), 0) for pin in power.related)
        share *= _chance(power.when, pins, high)
        total, weight, plain = total + share * own, weight + share, plain + own
    return total / weight if weight else plain / len(powers)


def _chance(when: tuple | None, pins: dict, high: dict) -> float:
    """How probable a state of the pins is, each taken for independent."""
    if when is None:
        return 1.0
    names = sorted(variables(when))

    def one(name: str) -> float:
        bit = pins.get(name)
        return high.get(bit, 0.5) if isinstance(bit, int) else float(bit == "1")

    chances = [one(name) for name in names]
    result = 0.0
    for values in product((0, 1), repeat=len(names)):
        if evaluate(when, dict(zip(names, values, strict=True))):
            part = 1.0
            for value, chance in zip(values, chances, strict=True):
                part *= chance if value else 1 - chance
            result += part
    return result
