# SPDX-License-Identifier: Apache-2.0
"""The figures of a configuration: areas, buffers counted three ways, speed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import median_low
from typing import TYPE_CHECKING

import numpy as np

from softnorm.models import vectors
from softnorm.tb.stimulus.scenarios import rows_of
from softnorm.units.unit import Parameters, Unit

from ..paths import DATA
from . import netlist as gates
from . import power
from .liberty import Library
from .memories import Bit
from .simulation import activity
from .timing import timing

PERIOD = 5.0  # nanoseconds, of the default library: what gates are sized for
# What an SRAM takes, periphery included. Assumptions, not measurements: there is no open memory
# compiler for the default library. SRAM_AREA= and SRAM_ENERGY= replace them.
SRAM_AREA = 0.15  # of a bit, in areas of the library's plain flip-flop
# Picojoules for a bit read or written. Horowitz (ISSCC 2014) has 10 pJ for 64 bit of 8 KB at 45 nm
# and 0.9 V; with four times the capacitance and the voltage of 180 nm that is 2.5 pJ a bit, and the
# memories here are a tenth of that size.
SRAM_ENERGY = 1.0
ROWS = 512  # of the shipped tensors, evenly taken, that energies are measured on
GATED = ", gated clocks"  # behind the name of a library
ROW = 1024  # elements of the row that the clocks of a cell are counted of


@dataclass(frozen=True)
class Sram:
    """Assumed area and energy of an SRAM bit.

    area    of a bit, square micrometres
    energy  of a bit read or written, picojoules
    """

    area: float
    energy: float

    @classmethod
    def of(cls, library: Library, area: float | None = None, energy: float | None = None) -> Sram:
        """The assumptions for a library, or the given figures."""
        own = SRAM_AREA * library.area(library.flip_flop)
        return cls(area or own, energy or SRAM_ENERGY)


class Counted:
    """What figures with and without wires say alike: of `logic`, of the bits of memory beside it
    and of an element's `energy`."""

    if TYPE_CHECKING:
        logic: float
        energy: dict[str, float]
        sram_energy: float

        @property
        def memory_bits(self) -> int:
            """Bits of all memories."""
            raise NotImplementedError

    @property
    def logic_energy(self) -> float | None:
        """Picojoules an element, memories left out."""
        kinds = ("clock", "registers", "logic", "leakage")
        return sum(self.energy[kind] for kind in kinds) if self.energy else None

    def area_with(self, bit: Bit) -> float:
        """Area with memories of such bits."""
        return self.logic + self.memory_bits * bit.area

    def energy_with(self, bit: Bit) -> float | None:
        """Picojoules an element with memories of such bits."""
        if self.logic_energy is None:
            return None
        return self.logic_energy + self.energy["sram"] / self.sram_energy * bit.energy


@dataclass(frozen=True)
class Figures(Counted):
    """A configuration in a library. Areas in square micrometres, times in nanoseconds.

    logic      all but the memories; `nand2` is the library's smallest NAND of two inputs
    buffers    memories as flip-flops; None: not asked for
    sram       assumed area of a bit, and `sram_energy` picojoules for one read or written
    parts      area by instance in the top module ("" is the top's own), mapped apart
    delay      of the slowest path, including set-up time
    delay_sram  the same with an SRAM's access time at memories; None: not measured
    cycles     clocks a row of MAX_LEN takes, of a cell one of ROW, last output beat included
    energy     picojoules an element, by what takes it, on real rows; {} not asked for. "sram" and
               "flip_flops" are the memories', counted as one or the other
    runs       where it was mapped several times, each with other names of wires and cells: what
               each run gave of `logic`, `delay` and `logic_energy`; the figures are medians
    """

    unit: str
    parameters: dict[str, int | str]
    library: str
    period: float
    logic: float
    nand2: float
    flip_flops: int
    memories: dict[str, tuple[int, int]]
    sram: float
    delay: float
    start: str
    end: str
    stages: int
    report: str
    cycles: int
    buffers: float | None = None
    parts: dict[str, float] = field(default_factory=dict)
    energy: dict[str, float] = field(default_factory=dict)
    delay_sram: float | None = None
    sram_energy: float = SRAM_ENERGY
    runs: dict[str, list[float]] = field(default_factory=dict)

    @property
    def lanes(self) -> int:
        """Elements a clock."""
        return self.parameters["LANES"]

    @property
    def memory_bits(self) -> int:
        """Bits of all memories."""
        return sum(words * bits for words, bits in self.memories.values())

    @property
    def fmax(self) -> float:
        """In megahertz."""
        return 1000 / self.delay

    @property
    def with_sram(self) -> float:
        """Area with the memories as SRAM of the stated bit area."""
        return self.logic + self.memory_bits * self.sram

    @property
    def with_flip_flops(self) -> float | None:
        """Area with the memories as flip-flops."""
        return None if self.buffers is None else self.logic + self.buffers

    @property
    def energy_with_sram(self) -> float | None:
        """Picojoules an element, memories as SRAM of the stated energy."""
        return self.logic_energy + self.energy["sram"] if self.energy else None

    @property
    def energy_with_flip_flops(self) -> float | None:
        """Picojoules an element, memories as flip-flops: their clock pins."""
        return self.logic_energy + self.energy["flip_flops"] if self.energy else None

    def spread(self, name: str) -> tuple[float, float] | None:
        """The least and the greatest `with_sram`, `delay` or `energy_with_sram` of several runs."""
        own = {"with_sram": "logic", "energy_with_sram": "logic_energy"}.get(name, name)
        if own not in self.runs:
            return None
        memories = getattr(self, name) - getattr(self, own)
        return min(self.runs[own]) + memories, max(self.runs[own]) + memories

    @property
    def rate(self) -> float:
        """Elements a second at Fmax and a square micrometre of logic."""
        return self.lanes * self.fmax * 1e6 / self.logic

    def as_dict(self) -> dict:
        """All of it as JSON takes it."""
        return asdict(self)


def named(library: Library, gated: bool) -> str:
    """What figures are of: the library's name, and whether clocks are gated."""
    return library.name + GATED * gated


def figures(
    unit: Unit,
    parameters: Parameters,
    library: Library,
    period: float,
    sram: Sram,
    whole: bool = True,
    energies: bool = True,
    runs: int = 1,
    gated: bool = False,
) -> Figures:
    """Measure a configuration; `whole` adds its parts and its memories as flip-flops, `energies`
    what it takes for an element. Medians of so many `runs`, an odd number. gated: with gated
    clocks, which parts and memories are mapped without.

    Raises UserError for a missing tool, SynthesisError, TimingError, GateError.
    """
    parameters = unit.resolve(parameters)
    mapped = gates.netlist(unit, parameters, library, period, gated=gated)
    path = timing(mapped, period)
    inside, buffers = {}, None
    if whole:
        counted = gates.parts(unit, parameters, library, period)
        inside = {part: gates.area(library, cells) for part, cells in counted.items()}
        every = Counter(mapped.memories.values())
        buffers = sum(n * gates.memory_area(m, library, period) for m, n in every.items())
    beats = -(-parameters.get("MAX_LEN", ROW) // parameters["LANES"])
    passes = unit.latency(parameters)
    first = Figures(
        unit.name,
        dict(parameters),
        named(library, gated),
        period,
        mapped.area,
        library.area(library.nand2),
        mapped.flip_flops,
        {place: (memory.words, memory.bits) for place, memory in mapped.memories.items()},
        sram.area,
        path.delay,
        path.start,
        path.end,
        path.stages,
        str(path.report),
        # Each pass reads a row's beats once more; the last one's beats come out behind it.
        sum(passes) + beats * (len(passes) + 1) - len(passes),
        buffers,
        inside,
        spent(mapped, period, sram) if energies else {},
        path.sram,
        sram.energy,
    )
    if runs == 1:
        return first
    found = [first]
    for names in range(1, runs):
        mapped = gates.netlist(unit, parameters, library, period, names, gated)
        path = timing(mapped, period)
        energy = spent(mapped, period, sram) if energies else {}
        # Names in reports are those of the first run: nobody can read the others'.
        taken = {"logic": mapped.area, "flip_flops": mapped.flip_flops, "energy": energy}
        found.append(replace(first, **taken, delay=path.delay, delay_sram=path.sram))
    return _median(found)


def _median(found: Sequence[Figures]) -> Figures:
    """The figures of several runs as those of one."""
    first = found[0]
    names = ["logic", "delay", "logic_energy"] if first.energy else ["logic", "delay"]
    return replace(
        first,
        logic=median_low(one.logic for one in found),
        flip_flops=median_low(one.flip_flops for one in found),
        delay=median_low(one.delay for one in found),
        delay_sram=median_low(one.delay_sram for one in found) if first.delay_sram else None,
        energy=sorted(found, key=lambda one: one.logic_energy or 0)[len(found) // 2].energy,
        runs={name: [getattr(one, name) for one in found] for name in names},
    )


def spent(
    mapped: gates.Netlist, period: float, sram: Sram, wires: Mapping[int, float] | None = None
) -> dict[str, float]:
    """Picojoules an element of the unit's own tensors, by what takes them, with `wires` of so many
    farads on nets; {}: no row fits.

    A cell has no tensors. Raises GateError, PowerError.
    """
    unit, parameters = mapped.unit, mapped.parameters
    if unit.cell:
        return {}
    rows = rows_of(unit, parameters, vectors.load(DATA / unit.tensors))
    rows = rows.select(np.flatnonzero(rows.length <= parameters["MAX_LEN"]))
    if not len(rows):
        return {}
    if rows.channel_set is not None:
        # A layer has the same channels for every token: rows of several would measure their loads.
        rows = rows.select(np.flatnonzero(rows.channel_set == rows.channel_set[len(rows) // 2]))
    rows = rows.select(np.linspace(0, len(rows) - 1, ROWS).astype(int))
    counted = activity(mapped, rows)
    taken = power.energy(mapped, counted, period, wires)
    bits = sum(memory.words * memory.bits for memory in mapped.memories.values())
    joules = {
        **{kind: getattr(taken, kind) for kind in ("clock", "registers", "logic", "leakage")},
        "sram": power.memory_accesses(mapped, counted) * sram.energy * 1e-12,
        # Their clock pins alone.
        "flip_flops": bits * power.clock_energy(mapped.library) * counted.clocks,
    }
    return {kind: 1e12 * value / counted.elements for kind, value in joules.items()}
