# SPDX-License-Identifier: Apache-2.0
"""Stronger gates and buffers for nets whose load is large once their wires are known.

The same rule for every unit: no gate drives more than makes its edges slower than a limit. A gate
with a stronger variant is replaced by it; else sinks that lie together get a buffer in the middle
of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from ..liberty import Library
from ..power import Table
from .design import Cell, Design, Pin
from .place import Placement, spread

_WIDER = 1.6  # micrometres that a stronger gate may take more: its neighbours move by as much
EDGE = 0.1  # nanoseconds, of the inputs of a gate whose own edges are looked up


class Loads:
    """Loads in femtofarads, and what each gate may drive for edges no slower than a limit."""

    def __init__(self, design: Design, placed: Placement, slowest: float):
        library = design.library
        self.design, self.placed = design, placed
        self._outside = 1000 * library.load
        self._unit = library.farads / 1e-15
        self.pins = {
            kind: {name: pin.number("capacitance") * self._unit for name, pin in pins.items()}
            for kind, pins in ((kind, library.pins(kind)) for kind in library.cells)
        }
        self._most = {
            kind: _reached(library, kind, slowest) * self._unit
            for kind in library.cells
            if library.output(kind) is not None or library.cells[kind].first("ff")
        }

    def most(self, driver: Pin) -> float:
        """What may be on a driver's net; a port has the gate that stands for what drives it."""
        library = self.design.library
        kind = library.driver if driver.cell < 0 else self.design.cells[driver.cell].kind
        return self._most.get(kind, float("inf"))

    def most_of(self, kind: str) -> float:
        """The same of a gate."""
        return self._most[kind]

    def sink(self, pin: Pin) -> float:
        """Of one sink."""
        if pin.cell < 0:
            return self._outside
        return self.pins[self.design.cells[pin.cell].kind][pin.name]

    def wire(self, pins: Sequence[Pin]) -> float:
        """Of a wire of half the perimeter around the pins."""
        if len(pins) < 2:
            return 0.0
        length = self.placed.half_perimeter(self.design, pins)
        return length * self.placed.technology.capacitance

    def net(self, pins: Sequence[Pin]) -> float:
        """Of sinks behind their driver, and of the wire."""
        return sum(map(self.sink, pins[1:])) + self.wire(pins)


def _reached(library: Library, kind: str, slowest: float) -> float:
    """The load, in the library's unit, at which a gate's slowest edge takes so many nanoseconds."""
    templates = {g.name: g for g in library.group.groups if g.kind == "lu_table_template"}
    tables = [
        Table(table, templates)
        for pin in library.pins(kind).values()
        if pin.text("direction") == "output"
        for arc in pin.all("timing")
        if arc.text("timing_type") not in ("clear", "preset")
        for edge in ("rise_transition", "fall_transition")
        for table in arc.all(edge)
    ]
    unit = library.seconds / 1e-9
    low, high = 0.0, 20e-12 / library.farads
    for _ in range(30):
        middle = (low + high) / 2
        slow = max((table(middle, EDGE / unit) for table in tables), default=0.0) * unit
        low, high = (middle, high) if slow < slowest else (low, middle)
    return low


def stronger(library: Library) -> dict[str, list[str]]:
    """Gates that do the same by the same pins with more drive, the weakest first: `NANDX1` and
    `NANDX2` differ in the number behind the X alone."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name in library.cells.keys() - set(library.unusable):
        if (split := re.fullmatch(r"(.*[A-Z])X(\d+)", name)) and library.output(name) is not None:
            found.setdefault(split[1], []).append((int(split[2]), name))
    ranks = [[name for _, name in sorted(group)] for group in found.values()]
    return {name: rank[place + 1 :] for rank in ranks for place, name in enumerate(rank)}


def buffers(library: Library) -> list[str]:
    """The library's buffers, the weakest first."""
    found = [
        name
        for name in library.cells.keys() - set(library.unusable)
        if (output := library.output(name)) is not None
        and output.text("function") in library.pins(name)
        and "three_state" not in output.values
        and not name.startswith("CLK")
    ]
    return sorted(found, key=lambda name: (library.area(name), name))


def buffered(design: Design, placed: Placement, slowest: float) -> tuple[Design, Placement, int]:
    """A design and placement in which no gate's edges take longer than `slowest` nanoseconds, as
    far as buffers can do that, and how many of them there are. The given ones stay as they are."""
    design = replace(design, cells=[replace(c, pins=dict(c.pins)) for c in design.cells])
    design.outputs = dict(design.outputs)
    placed = replace(
        placed,
        rows=[list(row) for row in placed.rows],
        left=dict(placed.left),
        way=dict(placed.way),
        row=dict(placed.row),
        ports=dict(placed.ports),
    )
    loads = Loads(design, placed, slowest)
    kind = buffers(design.library)[-1]
    ranks = stronger(design.library)
    before = len(design.cells)
    # Once more behind a first round: a stronger gate is more load to what drives it.
    for _ in range(2):
        for pins in list(design.nets().values()):
            _divide(design, loads, pins, kind, ranks)
    _insert(design, placed, range(before, len(design.cells)))
    return design, placed, len(design.cells) - before


def _divide(
    design: Design, loads: Loads, pins: list[Pin], kind: str, ranks: dict[str, list[str]]
) -> None:
    """One net: a stronger driver, or buffers, where its load is too large."""
    driver, *sinks = pins
    load, macro = loads.net(pins), loads.placed.technology.macro
    if load <= loads.most(driver):
        return
    if driver.cell < 0:
        net = design.inputs[driver.name]
    else:
        own = design.cells[driver.cell]
        net = own.pins[driver.name]
        widths = {other: macro(other).width for other in (own.kind, *ranks.get(own.kind, ()))}
        for other, width in widths.items():
            if width <= widths[own.kind] + _WIDER and load <= loads.most_of(other):
                own.kind = other
                return
    groups = _groups(loads, sinks, loads.most_of(kind))
    if len(groups) == 1 and loads.net([driver, *sinks]) <= 1.2 * loads.most(driver):
        return
    for group in groups:
        place = len(design.cells)
        # An input and an output: what they are called is the library's.
        library = design.library
        output = library.output(kind).name
        entry = next(p for p, of in library.pins(kind).items() if of.text("direction") == "input")
        design.cells.append(Cell(kind, {entry: net, output: design.next}))
        x, y = np.mean([loads.placed.pin(design, pin) for pin in group], axis=0)
        if len(groups) == 1:  # beside the driver, whose wire is too long for it
            x, y = loads.placed.pin(design, driver)
        row = min(max(int(y / macro(kind).height), 0), len(loads.placed.rows) - 1)
        loads.placed.left[place] = float(x) - macro(kind).width / 2
        loads.placed.row[place] = row
        loads.placed.way[place] = "FS" if row % 2 else "N"
        for pin in group:
            if pin.cell < 0:
                design.outputs[pin.name] = design.next
            else:
                design.cells[pin.cell].pins[pin.name] = design.next
        design.next += 1


def _groups(loads: Loads, sinks: list[Pin], most: float) -> list[list[Pin]]:
    """Sinks that lie together, halved until a buffer drives each group."""
    if len(sinks) == 1 or sum(map(loads.sink, sinks)) + loads.wire(sinks) <= most:
        return [sinks]
    places = np.array([loads.placed.pin(loads.design, pin) for pin in sinks])
    axis = int(np.argmax(np.ptp(places, axis=0)))
    order = np.argsort(places[:, axis], kind="stable")
    half = len(sinks) // 2
    return [
        group
        for part in (order[:half], order[half:])
        for group in _groups(loads, [sinks[at] for at in part], most)
    ]


def _insert(design: Design, placed: Placement, new: Iterable[int]) -> None:
    """New cells into the rows near them that have room, and the rows laid out again."""
    technology = placed.technology
    widths = [technology.macro(cell.kind).width for cell in design.cells]
    taken = [sum(widths[place] for place in row) for row in placed.rows]
    total = sum(taken) + sum(widths[place] for place in new)
    fill = total / (placed.width * len(placed.rows))
    for place in new:
        wanted = placed.row[place]
        row = min(
            range(len(placed.rows)),
            key=lambda at: (
                abs(at - wanted) * technology.height
                + max(0.0, taken[at] + widths[place] - placed.width) * 1000
            ),
        )
        placed.rows[row].append(place)
        taken[row] += widths[place]
        placed.row[place] = row
    for row in placed.rows:
        row.sort(key=lambda place: placed.left[place])
    spread(design, placed, fill)
