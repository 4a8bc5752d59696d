"""docs/ppa.md: what `make ppa` measured, and each unit beside its baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import hjson

from flow.errors import UserError
from flow.ppa.baseline import ALLOWED
from flow.ppa.liberty import Library
from flow.ppa.measure import ROWS, SRAM_AREA, Figures, Sram, parts_table

PAGE = "ppa.md"
PAIRS = Path(__file__).with_name("pairs.hjson")


@dataclass(frozen=True)
class Pair:
    """A unit and what it is compared with; `paper` holds a paper's own ratios, by name."""

    unit: str
    baseline: str
    paper: dict[str, float | str]


def pairs(path: Path = PAIRS) -> list[Pair]:
    """Which unit is compared with which. Raises UserError."""
    try:
        text = hjson.loads(path.read_text(encoding="utf-8"), object_pairs_hook=dict)
        return [Pair(p["unit"], p["baseline"], p.get("paper", {})) for p in text["pairs"]]
    except (OSError, KeyError, hjson.HjsonDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}") from None


RATIOS = (
    ("area, logic", "logic"),
    ("area, with SRAM", "with_sram"),
    ("area, with flip-flops", "with_flip_flops"),
    ("energy, logic", "logic_energy"),
    ("energy, with SRAM", "energy_with_sram"),
    ("energy, with flip-flops", "energy_with_flip_flops"),
    ("delay", "delay"),
)
RATIO_TITLES = (
    *("unit", "baseline", "configuration"),
    *(title for title, _ in RATIOS),
    *("paper: area", "paper: energy", "of"),
)


def ratios(found: Sequence[Figures], compared: Sequence[Pair]) -> list[list[str]]:
    """Baseline over unit, a line for each pair and size whose two sides were measured."""
    by_size = {(one.unit, *_size(one)): one for one in found}
    lines = []
    for pair in compared:
        for one in found:
            other = by_size.get((pair.baseline, *_size(one)))
            if one.unit != pair.unit or other is None:
                continue
            cells = [_times(getattr(one, name), getattr(other, name)) for _, name in RATIOS]
            paper = [pair.paper.get(name) for name in ("area", "energy")]
            shown = ["-" if value is None else f"{value:.2f}x" for value in paper]
            size = "LANES={} MAX_LEN={}".format(*_size(one))
            source = str(pair.paper.get("source", "-"))
            lines.append([pair.unit, pair.baseline, size, *cells, *shown, source])
    return lines


def _size(one: Figures) -> tuple[int, int]:
    return one.parameters["LANES"], one.parameters["MAX_LEN"]


def _times(one: float | None, other: float | None) -> str:
    return "-" if not one or other is None else f"{other / one:.2f}x"


INTRODUCTION = """\
# Area, speed and energy

What the units take in a real cell library, by open tools that anyone can run. This page is what
`make ppa` writes; this copy is of `{command}`. It needs two packages of Debian:
`apt-get install --no-install-recommends qflow-tech-osu018 opensta`; `LIBERTY=<file>` takes another
library.

Compare figures of this page with each other, and with nothing else: no placement, no wires, no
clock tree, one corner. Ratios between designs in one flow are what it is for.

## How it is measured

- **Synthesis**: Yosys with slang, `synth -flatten`, flip-flops and gates of {library}, mapped,
  buffered and sized by ABC for a clock of {period:g} ns, the same for all units (`PERIOD=`).
- **Timing**: OpenSTA, an ideal clock. Inputs come from flip-flops and outputs go to flip-flops, as
  in a chain of units; a memory's ports count as flip-flops, which flatters an SRAM. Paths from the
  asynchronous reset are left out. Fmax is one over the slowest path with its set-up time, of the
  netlist that was made for that clock.
- **Buffers** are counted three ways, side by side: not at all (logic); as SRAM of {sram:.1f} um2 a
  bit ({fraction:g} of a flip-flop) and {energy:g} pJ for a bit read or written, which is an
  assumption (`flow/ppa/measure.py`, `SRAM_AREA=`, `SRAM_ENERGY=`) and no measurement; as
  flip-flops with their multiplexers, mapped like the rest. Every buffer is an `sn_ram_1r1w`.
- **Energy**: {rows} rows of the unit's shipped tensors go through the mapped netlist without
  stalls; its outputs must be those of the RTL, to the bit. Toggles of every net times the library's
  tables of internal energy, pin capacitances and leakage give the energy (`flow/ppa/power.py`). The
  simulation has no delays, so glitches are not counted, and there is no clock gating: every
  flip-flop pays for every clock. Memories as flip-flops pay for their clock pins only. Rows that
  do not fill their last beat make an element dearer.
- **Parts** are mapped one by one, so that their sum is not quite the area of the whole unit.

"""


def page(found: Sequence[Figures], library: Library, sram: Sram, command: str) -> str:
    """The page's text; `command` is what measured it."""
    text = INTRODUCTION.format(
        library=f"`{library.name}`",
        period=found[0].period,
        sram=sram.area,
        fraction=SRAM_AREA,
        energy=sram.energy,
        rows=ROWS,
        command=command,
    )
    titles = ("unit", "LANES", "MAX_LEN", "logic, um2", "kNAND2", "flip-flops", "memory bits")
    titles += ("with SRAM, um2", "with flip-flops, um2")
    lines = [
        [
            *(f"`{one.unit}`", *map(str, _size(one))),
            *(f"{one.logic:,.0f}", f"{one.logic / one.nand2 / 1000:.2f}", f"{one.flip_flops:,}"),
            *(f"{one.memory_bits:,}", f"{one.with_sram:,.0f}", _number(one.with_flip_flops)),
        ]
        for one in found
    ]
    parts = [text, "## Area\n\n", _markdown(titles, lines)]
    titles = ("unit", "LANES", "MAX_LEN", "slowest path, ns", "Fmax, MHz", "from", "to", "cells")
    titles += ("clocks a row", "elements/s/um2")
    lines = [
        [
            *(f"`{one.unit}`", *map(str, _size(one)), f"{one.delay:.2f}", f"{one.fmax:.0f}"),
            *(f"`{one.start}`", f"`{one.end}`", str(one.stages), str(one.cycles)),
            f"{one.rate:,.0f}",
        ]
        for one in found
    ]
    parts += [
        "\n## Speed\n\nA row has MAX_LEN elements; elements a second at Fmax, on the logic's area."
        "\n\n",
        _markdown(titles, lines),
    ]
    kinds = ("clock", "registers", "logic", "leakage")
    titles = ("unit", "LANES", "MAX_LEN", *kinds, "sum", "with SRAM", "with flip-flops")
    lines = [
        [
            *(f"`{one.unit}`", *map(str, _size(one))),
            *(f"{one.energy[kind]:.2f}" for kind in kinds),
            f"{one.logic_energy:.1f}",
            *(f"{e:.1f}" for e in (one.energy_with_sram, one.energy_with_flip_flops)),
        ]
        for one in found
        if one.energy
    ]
    if lines:
        parts += ["\n## Energy\n\nPicojoules an element.\n\n", _markdown(titles, lines)]
    compared = ratios(found, pairs())
    if compared:
        parts += [
            "\n## Against baselines\n\nThe baseline's figure over the unit's, same flow and size. "
            "The paper's ratios are the paper's own, from its flow and process.\n\n",
            _markdown(RATIO_TITLES, compared),
        ]
    for one in found:
        if one.parts:
            words = " ".join(f"{name}={value}" for name, value in one.parameters.items())
            parts.append(f"\n## Parts of {one.unit}, {words}\n\n")
            table = [[f"`{part}`", *rest] for part, *rest in parts_table(one)]
            parts.append(_markdown(("part", "um2", "share"), table))
    parts.append(
        f"\nCI fails when the smallest size (`make ppa SET=smallest CHECK=1`) gets larger "
        f"or slower by more than {100 * ALLOWED:.0f} %.\n"
    )
    return "".join(parts)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _markdown(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    head, *body = [f"| {' | '.join(line)} |\n" for line in [titles, *lines]]
    return "".join([head, f"|{'---|' * len(titles)}\n", *body])
