"""The figures of a configuration: areas, buffers counted three ways, speed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial

from flow import tools
from flow.lint import label
from flow.ppa import netlist as gates
from flow.ppa.liberty import Library
from flow.ppa.timing import timing
from tb.unit import Parameters, Unit

PERIOD = 5.0  # nanoseconds, of the default library: what gates are sized for
# Of an SRAM, periphery included. A guess, and stated as such: no open memory compiler covers the
# default library. What an SRAM takes a bit, of a plain flip-flop of the library:
SRAM_AREA = 0.15

SETS = ("default", "smallest", "full")


@dataclass(frozen=True)
class Sram:
    """What the third count of the buffers takes for a bit.

    area  of a bit, square micrometres
    """

    area: float

    @classmethod
    def of(cls, library: Library, area: float | None = None) -> Sram:
        """The assumption for a library, or the given figure."""
        return cls(SRAM_AREA * library.area(library.flip_flop) if area is None else area)


@dataclass(frozen=True)
class Figures:
    """A configuration in a library. Areas in square micrometres, times in nanoseconds.

    logic      all but the memories; `nand2` is the library's smallest NAND of two inputs
    buffers    memories as flip-flops; None: not asked for
    parts      area by instance in the top module ("" is the top's own), mapped apart
    delay      what the slowest path needs of a clock
    cycles     clocks a row of MAX_LEN takes, last output beat included
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
    def rate(self) -> float:
        """Elements a second at Fmax and a square micrometre of logic."""
        return self.lanes * self.fmax * 1e6 / self.logic

    def as_dict(self) -> dict:
        """All of it as JSON takes it."""
        return asdict(self)


def figures(
    unit: Unit, parameters: Parameters, library: Library, period: float, sram: Sram, whole: bool
) -> Figures:
    """Measure a configuration; `whole` adds its parts and its memories as flip-flops.

    Raises UserError for a missing tool, SynthesisError, TimingError.
    """
    parameters = unit.resolve(parameters)
    mapped = gates.netlist(unit, parameters, library, period)
    path = timing(mapped, period)
    inside, buffers = {}, None
    if whole:
        counted = gates.parts(unit, parameters, library, period)
        inside = {part: gates.area(library, cells) for part, cells in counted.items()}
        every = Counter(mapped.memories.values())
        buffers = sum(n * gates.memory_area(m, library, period) for m, n in every.items())
    beats = -(-parameters["MAX_LEN"] // parameters["LANES"])
    passes = unit.latency(parameters)
    return Figures(
        unit.name,
        dict(parameters),
        library.name,
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
    )


def configurations(
    units: Sequence[Unit], chosen: str, given: Parameters
) -> list[tuple[Unit, dict[str, int | str]]]:
    """What a set measures, with `given` parameters over it. Raises ParameterError."""
    grid = {
        "default": [(32, 1024)],
        "smallest": [(2, 64)],
        "full": [(lanes, longest) for longest in (256, 1024) for lanes in (8, 16, 32, 64)],
    }[chosen]
    found = []
    for unit in units:
        for lanes, longest in grid:
            parameters = {"LANES": lanes, "MAX_LEN": longest, **given}
            if (unit, parameters) not in found:
                unit.resolve(parameters)
                found.append((unit, parameters))
    return found


def measure(
    wanted: Sequence[tuple[Unit, Parameters]],
    one: Callable[[Unit, Parameters], Figures],
    progress: Callable[[str], None],
) -> list[Figures]:
    """Measure configurations, one a core at a time, in the order they were asked for."""
    jobs = {
        f"{unit.name}  {label(parameters)}": partial(one, unit, parameters)
        for unit, parameters in wanted
    }
    weights = {name: p["LANES"] for name, (_, p) in zip(jobs, wanted, strict=True)}
    done, found = 0, {}
    start = time.monotonic()
    for number, (name, result, seconds) in enumerate(tools.parallel(jobs), 1):
        found[name] = result
        done += weights[name]
        spent = time.monotonic() - start
        left = spent * (sum(weights.values()) - done) / done
        progress(f"[{number}/{len(jobs)}] {seconds:5.1f} s  {name}, about {left:.0f} s left")
    return [found[name] for name in jobs]


HEADER = (
    *("unit", "configuration", "logic um2", "kNAND2", "flip-flops", "memory bits"),
    *("+ SRAM um2", "+ flip-flops um2", "ns", "Fmax MHz", "cells", "clocks a row"),
    "elements/s/um2",
)


def row(one: Figures) -> tuple[object, ...]:
    """Figures as a line under HEADER."""
    return (
        one.unit,
        label(one.parameters),
        f"{one.logic:.0f}",
        f"{one.logic / one.nand2 / 1000:.2f}",
        one.flip_flops,
        one.memory_bits,
        f"{one.with_sram:.0f}",
        "-" if one.with_flip_flops is None else f"{one.with_flip_flops:.0f}",
        f"{one.delay:.2f}",
        f"{one.fmax:.0f}",
        one.stages,
        one.cycles,
        f"{one.rate:.0f}",
    )


def parts_table(one: Figures) -> list[tuple[str, str, str]]:
    """(part, area, share), the largest first."""
    total = sum(one.parts.values())
    ranked = sorted(one.parts.items(), key=lambda item: -item[1])
    return [
        (name or "(top)", f"{area:.0f}", f"{100 * area / total:.1f} %") for name, area in ranked
    ]
