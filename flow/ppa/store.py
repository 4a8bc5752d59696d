# SPDX-License-Identifier: Apache-2.0
"""docs/ppa.json: stored figures of many runs, from which page, plots and report are made.

A run replaces only the figures that it has measured. Each figure has hashes of its sources, so that
outdated figures can be marked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path

from softnorm.units import UNITS

from ..errors import UserError
from ..paths import ROOT, short
from . import memories, sources
from .fpga import FpgaFigures
from .liberty import Library
from .measure import GATED, ROW, Figures, Sram, named
from .memories import Bit
from .wires.figures import WiredFigures

FILE = "ppa.json"
DOCS = ROOT / "docs"


@dataclass(frozen=True)
class Flow:
    """Flow settings shared by all areas and energies of a file, so that they can be compared.

    library      its name
    period       nanoseconds that gates are sized for
    sram_area    square micrometres of a bit of SRAM, `sram_share` in plain flip-flops
    sram_energy  picojoules for a bit read or written
    """

    library: str
    period: float
    sram_area: float
    sram_share: float
    sram_energy: float

    @classmethod
    def of(cls, library: Library, period: float, sram: Sram, gated: bool = False) -> Flow:
        """That of a run."""
        share = round(sram.area / library.area(library.flip_flop), 6)
        return cls(named(library, gated), period, sram.area, share, sram.energy)

    @property
    def gated(self) -> bool:
        """Whether clocks are gated."""
        return self.library.endswith(GATED)

    @property
    def cells(self) -> str:
        """The library's own name."""
        return self.library.removesuffix(GATED)

    @property
    def bits(self) -> list[Bit]:
        """What a bit of memory takes, from each source: the assumptions of this flow first."""
        return memories.bits(self.library, self.sram_area, self.sram_energy)

    def __str__(self) -> str:
        return (
            f"library {self.library}, {self.period:g} ns, SRAM of {self.sram_area:g} um2 and "
            f"{self.sram_energy:g} pJ a bit"
        )


@dataclass(frozen=True)
class Kept:
    """Figures in a cell library, and hashes of the sources that they are of."""

    figures: Figures
    gates: str
    energy: str

    @cached_property
    def older(self) -> bool:
        """Whether the sources of areas and delays have changed since, at the first look."""
        return self.gates != sources.gates(UNITS[self.figures.unit])

    @cached_property
    def older_energy(self) -> bool:
        """Whether the sources of energies have changed since."""
        return self.energy != sources.energy(UNITS[self.figures.unit])


@dataclass(frozen=True)
class KeptFpga:
    """Figures in an FPGA, and the hash of the sources that they are of."""

    figures: FpgaFigures
    of: str

    @cached_property
    def older(self) -> bool:
        """Whether their sources have changed since."""
        return self.of != sources.fpga(UNITS[self.figures.unit])


@dataclass(frozen=True)
class KeptWires:
    """Figures with wires, and the hash of the sources that they are of."""

    figures: WiredFigures
    of: str

    @cached_property
    def older(self) -> bool:
        """Whether their sources have changed since."""
        return self.of != sources.wires(UNITS[self.figures.unit])


@dataclass(frozen=True)
class Store:
    """What a file holds, in the order of units, sizes and parameters. flow: None without cells."""

    flow: Flow | None = None
    cells: tuple[Kept, ...] = ()
    fpga: tuple[KeptFpga, ...] = ()
    wires: tuple[KeptWires, ...] = ()
    libraries: tuple[Store, ...] = ()  # of other libraries, cells alone

    def of(self, library: str) -> Store:
        """What the file holds of a library: the file's own, or another's beside it."""
        if self.flow is None or self.flow.library == library:
            return self
        named = {other.flow.library: other for other in self.libraries if other.flow}
        return named.get(library, Store())

    def beside(self, other: Store) -> Store:
        """The store with the figures of another library in the place of those it had of it."""
        if other.flow is None or self.flow is None or self.flow.library == other.flow.library:
            return other
        rest = [o for o in self.libraries if o.flow and o.flow.library != other.flow.library]
        return replace(self, libraries=(*rest, other))

    def check(self, flow: Flow, path: Path) -> None:
        """Raise UserError if this flow differs from that of the file."""
        if self.flow is not None and self.flow != flow:
            raise UserError(
                f"{short(path)} is of {self.flow}, not of {flow}; give another folder as OUT="
            )

    def with_cells(self, found: Iterable[Figures], flow: Flow) -> Store:
        """The store with these figures in it."""
        kept = {_key(one.figures): one for one in self.cells}
        for figures in found:
            unit = UNITS[figures.unit]
            new = Kept(figures, sources.gates(unit), sources.energy(unit))
            old = kept.get(_key(figures))
            kept[_key(figures)] = new if old is None else _completed(new, old)
        return replace(self, flow=flow, cells=_ordered(kept.values()))

    def with_fpga(self, found: Iterable[FpgaFigures]) -> Store:
        """The store with these figures in it."""
        kept = {_key(one.figures): one for one in self.fpga}
        kept |= {_key(one): KeptFpga(one, sources.fpga(UNITS[one.unit])) for one in found}
        return replace(self, fpga=_ordered(kept.values()))

    def with_wires(self, found: Iterable[WiredFigures], flow: Flow) -> Store:
        """The store with these figures in it."""
        kept = {_key(one.figures): one for one in self.wires}
        kept |= {_key(one): KeptWires(one, sources.wires(UNITS[one.unit])) for one in found}
        return replace(self, flow=flow, wires=_ordered(kept.values()))

    def text(self) -> str:
        """The file's text: one line per configuration, so that diffs are small."""
        return self._text() + "\n"

    def _text(self) -> str:
        cells = [{**_shown(one.figures), "sources": [one.gates, one.energy]} for one in self.cells]
        fpga, wires = (
            [{**asdict(one.figures), "sources": [one.of]} for one in kept]
            for kept in (self.fpga, self.wires)
        )
        parts = [f'"flow": {json.dumps(self.flow and asdict(self.flow))}']
        for name, entries in (("cells", cells), ("fpga", fpga), ("wires", wires)):
            lines = ",\n".join(map(json.dumps, entries))
            parts.append(f'"{name}": [\n{lines}\n]' if lines else f'"{name}": []')
        if self.libraries:
            others = ",\n".join(other._text() for other in self.libraries)
            parts.append(f'"libraries": [\n{others}\n]')
        return "{\n" + ",\n".join(parts) + "\n}"


def load(folder: Path = DOCS) -> Store:
    """What the file in `folder` holds, nothing without a file. Raises UserError.

    Units that are gone are left out.
    """
    path = folder / FILE
    if not path.exists():
        return Store()
    try:
        return _read(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"cannot read {short(path)}: {error!r}; remove it to start anew") from None


def _read(given: dict) -> Store:
    flow = Flow(**given["flow"]) if given["flow"] else None
    cells = [_cells(entry, flow) for entry in given["cells"] if entry["unit"] in UNITS]
    fpga = [_fpga(entry) for entry in given["fpga"] if entry["unit"] in UNITS]
    wires = [_wires(entry) for entry in given.get("wires", []) if entry["unit"] in UNITS]
    libraries = tuple(map(_read, given.get("libraries", ())))
    return Store(flow, _ordered(cells), _ordered(fpga), _ordered(wires), libraries)


_COMMON = (
    "library",
    "period",
    "sram",
    "sram_energy",
    "report",
)  # of Figures: in the flow, or of one machine


def _shown(figures: Figures) -> dict:
    given = {name: value for name, value in asdict(figures).items() if name not in _COMMON}
    if not figures.runs:
        del given["runs"]
    return given


def _cells(entry: dict, flow: Flow) -> Kept:
    given = {f.name: entry[f.name] for f in fields(Figures) if f.name in entry}
    given["memories"] = {place: tuple(shape) for place, shape in given["memories"].items()}
    common = {"library": flow.library, "period": flow.period, "sram": flow.sram_area, "report": ""}
    common |= {"sram_energy": flow.sram_energy}
    return Kept(Figures(**given, **common), *entry["sources"])


def _fpga(entry: dict) -> KeptFpga:
    [of] = entry["sources"]
    return KeptFpga(FpgaFigures(**{f.name: entry[f.name] for f in fields(FpgaFigures)}), of)


def _wires(entry: dict) -> KeptWires:
    [of] = entry["sources"]
    return KeptWires(WiredFigures(**{f.name: entry[f.name] for f in fields(WiredFigures)}), of)


def _completed(new: Kept, old: Kept) -> Kept:
    """New figures with what their run left out (POWER=0, PARTS=0) of old ones of the same
    sources. Medians of several runs stay."""
    figures, was = new.figures, old.figures
    if (old.gates, old.energy) == (new.gates, new.energy) and was.runs and not figures.runs:
        figures, was = was, figures
    if old.gates == new.gates and figures.buffers is None:
        figures = replace(figures, buffers=was.buffers, parts=was.parts)
    if old.energy == new.energy and not figures.energy:
        figures = replace(figures, energy=was.energy)
    return replace(new, figures=figures)


def _key(figures: Figures | FpgaFigures | WiredFigures) -> str:
    return json.dumps([figures.unit, figures.parameters], sort_keys=True)


def _ordered(found: Iterable[Kept] | Iterable[KeptFpga] | Iterable[KeptWires]) -> tuple:
    units = list(UNITS)

    def place(one: Kept | KeptFpga | KeptWires) -> tuple:
        figures = one.figures
        lanes, longest = size(figures)
        # Numbers by value and not by their digits.
        others = [str(value).zfill(6) for value in figures.parameters.values()]
        return units.index(figures.unit), (longest, lanes), others

    return tuple(sorted(found, key=place))


# --- which figures a table is of ------------------------------------------------------------------


def size(figures: Figures | FpgaFigures | WiredFigures) -> tuple[int, int]:
    """(LANES, MAX_LEN); of a cell, which has none, the row that its clocks are counted of."""
    return figures.parameters["LANES"], figures.parameters.get("MAX_LEN", ROW)


def others(figures: Figures | FpgaFigures | WiredFigures) -> dict[str, int | str]:
    """Parameters beside the size that are not the unit's defaults."""
    unit = UNITS.get(figures.unit)
    given = unit.others(figures.parameters) if unit else {}
    return {name: value for name, value in given.items() if name not in ("LANES", "MAX_LEN")}


def plain(found: Sequence[Kept]) -> list[Kept]:
    """Those of a unit as it is by default, at any size."""
    return [one for one in found if not others(one.figures)]
