# SPDX-License-Identifier: Apache-2.0
"""The figures of a configuration with wires: placed, divided, routed, timed, and its energy."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from softnorm.units.unit import Parameters, Unit

from ... import tools
from ...build.pins import kept
from .. import netlist as gates
from ..liberty import DEFAULT, Library
from ..measure import SRAM_ENERGY, Counted, Sram, spent
from ..timing import timing
from . import lef, place
from .buffers import Loads, buffered
from .design import Design, design
from .lef import Technology
from .place import Placement
from .route import Routes, definition, parse, route

LEF = DEFAULT.with_suffix(".lef")
FILL = 0.8  # of the rows that cells take before buffers
LIMIT = 1800  # seconds for placing, and for routing
SIZE = {"LANES": 8, "MAX_LEN": 1024}
NEAR = 0.01  # what a path may be longer than the shortest for less area
# Limits of edges in nanoseconds that are tried.
EDGES = (0.6, 0.4, 0.3, 0.25, 0.2, 0.15)

Say = Callable[[str], None]


@dataclass(frozen=True)
class WiredFigures(Counted):
    """A configuration with wires. Areas in square micrometres, times in nanoseconds.

    edge      limit of edges that was taken; `buffers` are those that it needed
    cells     area of all cells, a flip-flop at each bit of a memory's port among them
    rows      area of the rows that they lie in: `width` by `height` micrometres
    wire      length of all wires but the clock's in micrometres, `routed` the share of the nets
              that are routed; the others have half the perimeter of their pins
    wire_load and pin_load  in picofarads
    clock     length of the shortest tree of the clock's pins in micrometres: its wire without a
              buffer
    delay     of the slowest path, including set-up time; `delay_sram` the same with an SRAM's
              access time at memories, and `ideal` without wires and without buffers for them
    energy    picojoules an element, as Figures has it
    """

    unit: str
    parameters: dict[str, int | str]
    edge: float
    buffers: int
    cells: float
    rows: float
    width: float
    height: float
    wire: float
    routed: float
    wire_load: float
    pin_load: float
    clock: float
    delay: float
    delay_sram: float
    start: str
    end: str
    ideal: float
    memory_bits: int
    energy: dict[str, float] = field(default_factory=dict)
    sram_energy: float = SRAM_ENERGY

    @property
    def fmax(self) -> float:
        """In megahertz."""
        return 1000 / self.delay

    @property
    def logic(self) -> float:
        """Area of all but the memories: the rows."""
        return self.rows

    @property
    def utilisation(self) -> float:
        """Share of the rows that cells take."""
        return self.cells / self.rows


@dataclass(frozen=True)
class Layout:
    """What a picture shows."""

    design: Design
    placed: Placement
    routes: Routes


def wired(
    unit: Unit,
    parameters: Parameters,
    library: Library,
    period: float,
    sram: Sram,
    energies: bool,
    limit: float,
    say: Say,
) -> tuple[WiredFigures, Layout]:
    """Measure a configuration with wires, `limit` seconds for placing and for routing.

    Raises UserError for a missing tool, PlaceError, RouteError, and what `figures` raises.
    """
    place.require()
    parameters = unit.resolve(parameters)
    technology = lef.load(LEF)
    say("mapping to gates")
    mapped = gates.netlist(unit, parameters, library, period)
    ideal = timing(mapped, period).delay
    whole = design(mapped)
    say(f"placing {len(whole.cells)} cells")
    placed = place.rows(whole, technology, _placed(whole, technology, limit, say), FILL)
    say("buffers")
    edge, chosen, laid, count = _fastest(whole, placed, mapped.folder / "wires", period)
    nets = chosen.nets()
    say(f"routing {len(nets)} nets, {count} buffers")
    routes = _routed(chosen, laid, limit, say)
    length = {
        net: routes.length(net) if net in routes.segments else laid.half_perimeter(chosen, pins)
        for net, pins in nets.items()
    }
    load = {
        net: 1e-15
        * (
            routes.capacitance(net, technology)
            if net in routes.segments
            else length[net] * technology.capacitance
        )
        for net in nets
    }
    final = chosen.save(mapped.folder / "wires")
    path = timing(final, period, {chosen.word(net): farads for net, farads in load.items()})
    clock = _clock(chosen, laid)
    pins = Loads(chosen, laid, edge)
    energy = {}
    if energies:
        say("energy")
        tree = clock * technology.capacitance * 1e-15
        energy = spent(final, period, sram, {**load, chosen.clock: tree})
    figures = WiredFigures(
        unit.name,
        dict(parameters),
        edge,
        count,
        chosen.area,
        laid.area,
        laid.width,
        laid.height,
        sum(length.values()),
        len(routes.segments.keys() & nets.keys()) / len(nets),
        1e12 * sum(load.values()),
        1e-3 * sum(pins.sink(pin) for of in nets.values() for pin in of[1:]),
        clock,
        path.delay,
        path.sram,
        chosen.named(path.start),
        chosen.named(path.end),
        ideal,
        sum(memory.words * memory.bits for memory in mapped.memories.values()),
        energy,
        sram.energy,
    )
    return figures, Layout(chosen, laid, routes)


def _fastest(
    whole: Design, placed: Placement, folder: Path, period: float
) -> tuple[float, Design, Placement, int]:
    """The limit of edges whose buffers take the least area, of those whose paths are as short as
    the shortest but for NEAR; wires of half a perimeter."""
    found: list[tuple[float, float, float, Design, Placement, int]] = []
    for edge in EDGES:
        chosen, laid, count = buffered(whole, placed, edge)
        scale = laid.technology.capacitance * 1e-15
        wires = {
            chosen.word(net): laid.half_perimeter(chosen, pins) * scale
            for net, pins in chosen.nets().items()
        }
        delay = timing(chosen.save(folder), period, wires).delay
        found.append((chosen.area, delay, edge, chosen, laid, count))
    most = (1 + NEAR) * min(delay for _, delay, *_ in found)
    _, _, *best = min((one for one in found if one[1] <= most), key=lambda one: one[:2])
    return tuple(best)


def _placed(whole: Design, technology: Technology, limit: float, say: Say) -> list[str]:
    """What graywolf places, or has placed before of the same cells."""

    def make(folder: Path) -> None:
        lines = place.place(whole, technology, folder, limit, say)
        (folder / "lines.json").write_text(json.dumps(lines))

    about = [place.cells(whole, technology), tools.versions("yosys"), "graywolf"]
    folder, _ = kept(f"{whole.netlist.unit.name}-placed", about, [], make, below="ppa")
    return json.loads((folder / "lines.json").read_text())


def _routed(chosen: Design, laid: Placement, limit: float, say: Say) -> Routes:
    """What qrouter routes, or has routed before of the same placement."""

    def make(folder: Path) -> None:
        started = time.monotonic()
        routes = route(chosen, laid, folder, limit, say)
        (folder / "how").write_text(f"{routes.how}; {time.monotonic() - started:.0f} s")

    text = definition(chosen, laid)
    about = [hashlib.sha256(text.encode()).hexdigest(), int(limit)]
    folder, _ = kept(f"{chosen.netlist.unit.name}-routed", about, [], make, below="ppa")
    made = folder / "routed_1.def"
    how = (folder / "how").read_text()
    return parse(made.read_text(), how) if made.exists() else Routes({}, {}, how)


def _clock(chosen: Design, laid: Placement) -> float:
    """Length of the shortest tree between the clock's pins, along the axes, in micrometres."""
    pins = [pin for pin in chosen.sinks()[chosen.clock] if pin.cell >= 0]
    places = np.array([laid.pin(chosen, pin) for pin in pins])
    left = np.ones(len(places), bool)
    far = np.full(len(places), np.inf)
    far[0] = 0.0
    length = 0.0
    for _ in places:
        nearest = int(np.argmin(np.where(left, far, np.inf)))
        length += float(far[nearest])
        left[nearest] = False
        far = np.minimum(far, np.abs(places - places[nearest]).sum(axis=1))
    return length
