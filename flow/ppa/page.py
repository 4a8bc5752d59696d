# SPDX-License-Identifier: Apache-2.0
"""docs/ppa.md and its plots, written by `make ppa` from docs/ppa.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..accuracy.tables import LONG, figure, write_plot
from ..errors import UserError
from ..paths import short, write_whole
from . import fpga, memories, plots, steps
from .baseline import ALLOWED
from .compare import (
    AIM_TITLES,
    COST_TITLES,
    GLANCE_TITLES,
    GOAL_TITLES,
    RATIO_TITLES,
    SPEED_TITLES,
    SPREAD_TITLES,
    aims,
    bit_ratios,
    bit_titles,
    costs,
    features,
    glance,
    pairs,
    ratios,
    speed_ratios,
    spreads,
    words,
)
from .measure import ROWS
from .memories import Bit
from .pareto import Point, points
from .screen import parts_table
from .sets import SETS
from .store import DOCS, FILE, Flow, Kept, Store, others, plain, size
from .timing import ACCESS
from .wires import picture
from .wires.figures import EDGES, FILL, NEAR, WiredFigures

PAGE = "ppa.md"

INTRODUCTION = """\
# Area, speed and energy

Area, speed and energy of the units in a real cell library and in an FPGA, measured with open tools.
`make ppa .. OUT=docs` stores its measurements in `docs/ppa.json` and writes this page and its plots
from it; `make ppa PAGE=1` only writes them. The default library and the timing tool are two Debian
packages, `apt-get install --no-install-recommends qflow-tech-osu018 opensta`; `LIBERTY=` takes any
other library.

Use the figures only to compare designs on this page with each other: there is no clock tree and
only one corner, and wires are in [one table](#with-wires) alone.

{older}
"""
OLDER = (
    "Rows marked *older* were measured before their sources changed: {count} of {all}. "
    "All others were measured with the present sources."
)
CURRENT = "All {all} configurations were measured with the present sources."

METHOD = """
## How it is measured

- **Synthesis**: Yosys with slang, `synth -flatten`, flip-flops and gates of `{library}`, mapped
  for area and buffered by ABC, and sized for a clock of {period:g} ns, the same for all units
  (`PERIOD=`). In a library with few drive strengths the clock has little effect.
- **Timing**: OpenSTA, an ideal clock. Inputs come from flip-flops and outputs go to flip-flops, as
  in a chain of units; memory ports count as flip-flops, which is optimistic for an SRAM: a second
  figure has what a memory reads {access:g} ns behind the clock's edge, as a macro that is laid out
  in 130 nm gives it. Paths from the asynchronous reset are ignored. Fmax is the inverse of the
  slowest path including set-up time, in the netlist sized for that clock.
- **Buffers** are counted in three ways: not at all ("logic"); as SRAM with {sram:.1f} um2 per bit
  ({share:g} of a flip-flop) and {energy:g} pJ per bit read or written, which is an assumption, not
  a measurement (`SRAM_AREA=`, `SRAM_ENERGY=`), and at [two more pairs of
  constants](#constants-of-memories) wherever it is a ratio; as flip-flops with their multiplexers,
  mapped like the rest. Every buffer is an `sn_ram_1r1w`.
- **Energy**: {rows} rows, evenly spaced in the unit's shipped tensors (for a LayerNorm, in those of
  one layer), go through the mapped netlist without stalls; its outputs must equal the RTL's to the
  bit. The energy follows from the toggles of every net and the library's internal energies, pin
  capacitances and leakage (`flow/ppa/power.py`). The simulation has no delays, so glitches are not
  counted. Clocks are gated only where a table says so: every flip-flop uses clock energy in every
  clock. Memories as flip-flops count with their clock pins only. A row that does not fill its last
  beat has a higher energy per element.
- **Parts** are mapped separately, so their sum differs slightly from the area of the unit.
- **Speed**: a row has MAX_LEN elements; elements/s/um2 is the throughput at Fmax divided by the
  area of the logic.
- `-` means not measured.
"""


WIRES = """
## With wires

Measured by `make ppa WIRES=1 UNIT=..`, and drawn at the end of this section. graywolf places the
mapped netlist, with a flip-flop at each bit of a memory's port; the rows are laid out again, as
wide as the fullest one is or as it takes for {fill:.0f} % of them to be taken. Where a net's load
makes its edges slower than a limit its driver becomes a stronger gate, or its sinks get buffers
in the middle of them. Limits of {edges} ns are tried for each unit, and of those within {near:g}
% of the shortest path the one with the least area is taken. Buffers can make a path shorter than
it is without wires, since the mapping itself buffers by fanout. qrouter routes all nets but clock
and reset on six layers; what it has not routed in its time counts with half the perimeter around
its pins. A wire's capacitance is its length by layer times what the cells' LEF file has for a
wire of the least width, area and both edges: no coupling to neighbours is added, and resistance
is left out. Gates of the netlist with its buffers run the same rows as those without and must
give the same bits. The clock's wire is the shortest tree between the flip-flops, without buffers.
Memories themselves are not placed. *Memories of {access:g} ns* has what a memory reads so long
after the clock.

"""


def page(store: Store) -> str:
    """The page's text. Raises UserError for a file beside it that cannot be read."""
    every = [*store.cells, *store.fpga, *store.wires]
    older = sum(
        one.older or (one.older_energy if isinstance(one, Kept) else False) for one in every
    )
    text = (OLDER if older else CURRENT if every else "Nothing is measured yet.").format(
        count=older, all=len(every)
    )
    parts = [INTRODUCTION.format(older=text).rstrip() + "\n"]
    parts.append(_glance(store))
    if store.cells:
        flow = store.flow
        parts.append(
            METHOD.format(
                library=flow.library,
                period=flow.period,
                sram=flow.sram_area,
                share=flow.sram_share,
                energy=flow.sram_energy,
                rows=ROWS,
                access=ACCESS,
            )
        )
        parts.append(_constants(flow))
    by_size: dict[tuple[int, int], list[Kept]] = {}
    for one in plain(store.cells):
        by_size.setdefault(size(one.figures), []).append(one)
    # The default size first, then what is not of a size, then the other sizes.
    default = SETS["default"][0]
    if default in by_size:
        cells = by_size.pop(default)
        every_build = [one for one in store.cells if size(one.figures) == default]
        parts += [_of_a_size(cells, *default, store.flow.bits), _aims(every_build)]
        parts.append(_spreads(every_build))
    parts += [_wires(store), _libraries(store), _features(store)]
    if store.cells:
        parts += [_against_lanes(store), _variants(store)]
    parts += [_fpga(store), _steps()]
    for place in sorted(by_size, key=lambda place: place[::-1]):
        parts.append(_of_a_size(by_size[place], *place, store.flow.bits))
    if store.cells:
        parts.append(
            "\n## Check in CI\n\nCI compares the smallest size with reference figures "
            "(`make ppa SET=smallest CHECK=1`) and fails if a unit gets larger or slower by more "
            f"than {100 * ALLOWED:.0f} %.\n"
        )
    return "".join(parts)


def _glance(store: Store) -> str:
    """The builds that papers are compared with: one table that leads the page."""
    found = [one.figures for one in store.cells if size(one.figures) == SETS["default"][0]]
    compared = [pair for pair in pairs() if pair.paper]
    lines = glance(found, compared)
    if not lines:
        return ""
    beside = ", ".join(f"`{pair.baseline}` of `{pair.unit}`" for pair in compared)
    return (
        "\n## At a glance\n\n`LANES={} MAX_LEN={}`, memories as SRAM. Ratios are the baseline's "
        "figure divided by the unit's: {}. *Equal care*: the baseline has the same registers at "
        "its ports, and as many banks of channels. *As built*: it has all of them. A paper's "
        "ratios are its own, from its flow and process.\n\n{}\nWithout wires and at one pair of "
        "constants: see [with "
        "wires](#with-wires) and [constants of memories](#constants-of-memories). {}\n"
    ).format(
        *SETS["default"][0],
        beside,
        _markdown(GLANCE_TITLES, lines),
        " ".join(pair.note for pair in compared if pair.note),
    )


def _constants(flow: Flow) -> str:
    """What a bit of memory takes, from each source."""
    lines = [
        [bit.name, f"{bit.area:.1f}", f"{bit.energy:.2f}", _number(bit.access, ".2f"), bit.source]
        for bit in flow.bits
    ]
    titles = ("", "um2 a bit", "pJ a bit", "access, ns", "source")
    return (
        "\n## Constants of memories\n\nThere is no open memory compiler for the default library. "
        "Every ratio with memories is therefore given at three pairs of constants "
        "(`flow/ppa/memories.hjson`). From one node to another an area goes with the square of the "
        "node, a delay and a capacitance with the node, an energy with the capacitance and the "
        "square of the supply; the energy is the mean of a read and a write.\n\n"
        f"{_markdown(titles, lines)}\nA check that is no model: {memories.laid_out()}.\n"
    )


def _build(one: WiredFigures) -> str:
    given = others(one)
    return f"{one.unit} {words(given)}" if given else one.unit


WIRES_TITLES = (
    *("unit", "parameters", "cells, um2", "rows, um2", "taken", "buffers", "wire, mm", "routed"),
    *(
        "wires, pF",
        "pins, pF",
        "without wires, ns",
        "with wires, ns",
        f"memories of {ACCESS} ns, ns",
    ),
    *("Fmax, MHz", "from", "to", "pJ per element"),
)


def _wires(store: Store) -> str:
    """Figures with wires, ratios of pairs, and the layouts."""
    if not store.wires:
        return ""
    lines = []
    for kept in store.wires:
        one = kept.figures
        lines.append(
            [
                f"`{one.unit}`{' older' * kept.older}",
                " ".join(f"{n}={v}" for n, v in one.parameters.items()),
                *(f"{area:,.0f}" for area in (one.cells, one.rows)),
                f"{100 * one.utilisation:.0f} %",
                *(str(one.buffers), f"{one.wire / 1000:.0f}", f"{100 * one.routed:.2f} %"),
                *(f"{load:.1f}" for load in (one.wire_load, one.pin_load)),
                *(f"{delay:.2f}" for delay in (one.ideal, one.delay, one.delay_sram)),
                *(f"{one.fmax:.0f}", f"`{one.start}`", f"`{one.end}`"),
                _number(one.logic_energy, ".1f"),
            ]
        )
    parts = [
        WIRES.format(
            fill=100 * FILL,
            edges=", ".join(f"{e:g}" for e in EDGES),
            near=100 * NEAR,
            access=ACCESS,
        ),
        _markdown(WIRES_TITLES, lines),
    ]
    found = [kept.figures for kept in store.wires]
    bits = store.flow.bits
    by_size = {size(one): [o for o in found if size(o) == size(one)] for one in found}
    for (lanes, longest), cells in by_size.items():
        compared = bit_ratios(cells, pairs(), bits)
        if compared:
            parts.append(
                f"\n### Ratios with wires, LANES={lanes} MAX_LEN={longest}\n\nAreas are of the "
                "rows and of the memories, energies of all with wires, at each pair of [constants "
                "of memories](#constants-of-memories).\n\n"
                f"{_markdown(bit_titles(bits), compared)}\n"
                f"{_markdown(SPEED_TITLES, speed_ratios(cells, pairs()))}"
            )
    parts += [
        f"\n![Cells and wires of {_build(one)}]({picture.name(one)})\n"
        for one in found
        if (DOCS / picture.name(one)).exists()
    ]
    return "".join(parts)


LIBRARY = """
## Library {library}

Measured by `make ppa LIBERTY=<its liberty file> OUT=docs`, sized for {period:g} ns."""
GATED = """
## With gated clocks

Measured by `make ppa GATED=1 OUT=docs`, in {library}, sized for {period:g} ns. Flip-flops that
share an enable, four or more, have a gate in front of their clock in its place: a latch and an
AND (Yosys' `clockgate`). Neither the clock nor a gated one has a tree. These gates run the same
rows and give the same bits; a gated clock takes energy where it is let through, and the gate at
each edge."""
LIBRARY_TITLES = (
    *("unit", "build", "LANES", "MAX_LEN", "logic, um2", "kNAND2", "flip-flops"),
    *("memory bits", "ns"),
    *("memories late, ns", "Fmax, MHz", "pJ per element, logic"),
)


def _libraries(store: Store) -> str:
    """Areas, delays, energies and ratios in the other libraries of the file."""
    parts = []
    for other in store.libraries:
        flow, found = other.flow, other.cells
        lines = [
            [
                *(_name(kept, kept.older), words(others(one)), *map(str, size(one))),
                f"{one.logic:,.0f}",
                *(f"{one.logic / one.nand2 / 1000:.2f}", f"{one.flip_flops:,}"),
                *(f"{one.memory_bits:,}", f"{one.delay:.2f}", _number(one.delay_sram, ".2f")),
                *(f"{one.fmax:.0f}", _number(one.logic_energy, ".1f")),
            ]
            for kept in found
            for one in [kept.figures]
        ]
        about = GATED if flow.gated else LIBRARY
        parts.append(
            about.format(library=flow.cells, period=flow.period)
            + " A bit of memory takes "
            + "; ".join(
                f"{bit.area:.1f} um2 and {bit.energy:.2f} pJ ({bit.name})" for bit in flow.bits
            )
            + f". *Memories late*: what they read comes {ACCESS:g} ns behind the clock.\n\n"
            + _markdown(LIBRARY_TITLES, lines)
        )
        for place in sorted({size(kept.figures) for kept in found}):
            cells = [kept.figures for kept in found if size(kept.figures) == place]
            compared = bit_ratios(cells, pairs(), flow.bits)
            if compared:
                parts.append(
                    f"\nThe baseline's figure divided by the unit's, LANES={place[0]} "
                    f"MAX_LEN={place[1]}:\n\n" + _markdown(bit_titles(flow.bits), compared)
                )
    return "".join(parts)


def _name(one: Kept, older: bool | None = None) -> str:
    """A unit's table cell, marked if the row's figures are older than their sources."""
    word = " older" if (one.older if older is None else older) else ""
    return f"`{one.figures.unit}`{word}"


def _against_baselines(cells: Sequence[Kept], bits: Sequence[Bit]) -> str:
    """Ratios of units to their baselines at one size, and the papers of the paper ratios."""
    compared = ratios([one.figures for one in cells], pairs())
    if not compared:
        return ""
    older = {
        one.figures.unit: one.older or bool(one.figures.energy and one.older_energy)
        for one in cells
    }
    lines, papers = [], []
    for unit, baseline, _, _, *rest, paper in compared:
        names = [f"`{name}`{' older' * older[name]}" for name in (unit, baseline)]
        lines.append([*names, *rest])
        if paper != "-":
            papers.append(f"`{unit}`: {paper}.")
    said = (
        " Paper ratios are the paper's own figures, from its flow and process. " + " ".join(papers)
        if papers
        else ""
    )
    titles = (*RATIO_TITLES[:2], *RATIO_TITLES[4:-1])
    return (
        "\n### Ratios to baselines\n\nThe baseline's figure divided by the unit's; for "
        f"elements/s/um2 the unit's divided by the baseline's.{said}\n\n{_markdown(titles, lines)}"
        "\nThe same with memories at each pair of [constants](#constants-of-memories):\n\n"
        f"{_markdown(bit_titles(bits), bit_ratios([one.figures for one in cells], pairs(), bits))}"
    )


def _aims(cells: Sequence[Kept]) -> str:
    """The project's goals, at the size that they apply to, and why one is missed."""
    every = pairs()
    lines = aims([one.figures for one in cells], every)
    if not lines:
        return ""
    missed = {line[0] for line in lines if line[-1] == "missed"}
    reasons = [f"`{p.unit}`: {p.missed}" for p in every if p.missed and p.unit in missed]
    return (
        "\n### Goals\n\nThe baseline's figure divided by the unit's at equal care, with memories "
        "as SRAM.\n\n"
        + _markdown(AIM_TITLES, lines)
        + "".join(f"\n{reason}\n" for reason in reasons)
    )


def _spreads(cells: Sequence[Kept]) -> str:
    """How far the runs of one build lie apart, at the size of the goals."""
    lines = spreads([one.figures for one in cells])
    if not lines:
        return ""
    return (
        "\n### Runs with other names\n\nThe order that gates are mapped in hangs on the names of "
        "wires and cells. These builds were mapped several times (`make ppa RUNS=5`), each with "
        "other names: their figures on this page are medians, and a difference smaller than "
        "the spread is none. Areas and energies with memories as SRAM.\n\n"
        + _markdown(SPREAD_TITLES, lines)
    )


def _features(store: Store) -> str:
    """What features cost, beside the same build without, and why it is more than the goal."""
    found = [one for one in store.cells if size(one.figures) == SETS["features"][0]]
    compared = features()
    lines, goals = costs(found, compared)
    if not lines:
        return ""
    text = (
        "\n## Features\n\nA build with a feature over one without, both measured by "
        "`make ppa SET=features`, in {} lanes with rows to {}; the last two columns are those of "
        "both builds, energies with memories as SRAM. Of a feature that is off a unit has no "
        "cell.\n\n".format(*SETS["features"][0])
    )
    text += _markdown(COST_TITLES, lines)
    if goals:
        text += f"\n### Goals of features\n\n{_markdown(GOAL_TITLES, goals)}"
    missed = {tuple(line[1:3]) for line in goals if line[-1] == "missed"}
    reasons = [f for f in compared if f.missed and (words(f.build), words(f.over)) in missed]
    return text + "".join(f"\n`{f.unit}` {words(f.build)}: {f.missed}\n" for f in reasons)


def _against_lanes(store: Store) -> str:
    if not plots.shown_lanes(store.cells):
        return ""
    return (
        "\n## Area and Fmax against LANES\n\nMeasured by `make ppa SET=full`; the tables below are "
        "ordered by size.\n\n"
        f"![Area and Fmax of the units against LANES]({plots.LANES})\n"
    )


VARIANT_TITLES = (
    *("unit", "parameters", "output format", "mean abs error", "errors in"),
    *(f"nats, {keys} keys" for keys in LONG),
    *("logic, um2", "with SRAM, um2", "Fmax, MHz", "pJ per element", "with SRAM, pJ"),
    *("best by area", "best by energy"),
)


def _variants(store: Store) -> str:
    found = points(store.cells)
    if not found:
        return ""
    return (
        "\n## Accuracy against area and energy\n\nEvery variant of the units and every output "
        "format, measured by `make ppa SET=variants`, with the error on the shipped tensors "
        "([accuracy.md](accuracy.md)). The output format is a run-time setting: all formats share "
        "the same gates, and the energy is measured with the format of the shipped rows. *Best* "
        "(Pareto-optimal): no other variant with errors in the same unit is as good in both error "
        "and area (or energy) and better in one; for a softmax it is said of which rows. The "
        "shipped rows are short: *nats* is the divergence in long ones "
        "([by length](accuracy.md#by-the-length-of-rows)).\n\n"
        f"![Mean absolute error against area and energy]({plots.PARETO})\n\n"
        f"{_markdown(VARIANT_TITLES, [_variant(one, found) for one in found if not one.keys])}"
    )


def _variant(one: Point, found: Sequence[Point]) -> list[str]:
    """The line of a variant and format: `one`, and what is found of the same in long rows."""
    figures = one.kept.figures
    long = {p.keys: p for p in found if p.keys and (p.kept, p.words) == (one.kept, one.words)}
    rows = (
        {"short": one, **{f"{keys} keys": of for keys, of in long.items()}}
        if long
        else {"yes": one}
    )
    return [
        _name(one.kept, one.kept.older or bool(figures.energy and one.kept.older_energy)),
        " ".join(f"{name}={value}" for name, value in others(figures).items()) or "defaults",
        one.words or "-",
        figure(one.error),
        one.errors_in,
        *(figure(long[keys].error) if keys in long else "" for keys in LONG),
        *(f"{area:,.0f}" for area in (figures.logic, figures.with_sram)),
        f"{figures.fmax:.0f}",
        *(_number(e, ".1f") for e in (figures.logic_energy, figures.energy_with_sram)),
        ", ".join(name for name, of in rows.items() if of.least_area),
        ", ".join(name for name, of in rows.items() if of.least_energy),
    ]


def _fpga(store: Store) -> str:
    if not store.fpga:
        return ""
    lines = []
    for one in store.fpga:
        name, lanes, longest, *rest = fpga.row(one.figures)
        words = " ".join(f"{n}={v}" for n, v in others(one.figures).items()) or "defaults"
        lines.append([f"`{name}`{' older' * one.older}", lanes, longest, words, *rest])
    titles = (*fpga.HEADER[:3], "parameters", *fpga.HEADER[3:])
    return (
        f"\n## FPGA\n\nMeasured by `make ppa FPGA=1` in an {fpga.DEVICE}: synthesised by Yosys' "
        f"`synth_ecp5`, placed and routed by nextpnr with seed {fpga.SEED}. The unit is alone in "
        "the device and its ports are not connected to pins, because it has more ports than the "
        "device has pins. Fmax covers paths between registers; another seed changes it by some "
        "percent. LUTs are TRELLIS_COMB, including those of carries and small memories; flip-flops "
        "TRELLIS_FF, block RAMs DP16KD, multipliers MULT18X18D.\n\n"
        f"{_markdown(titles, lines)}"
    )


def _steps() -> str:
    found = steps.steps()
    if not found:
        return ""
    return (
        "\n## Effect of each optimisation\n\nEach step is measured with and without it, on the "
        "sources at the time of the change (`flow/ppa/steps.hjson`): areas of the logic, energies "
        f"without memories.\n\n{_markdown(steps.TITLES, steps.lines(found))}"
    )


def _of_a_size(cells: Sequence[Kept], lanes: int, longest: int, bits: Sequence[Bit]) -> str:
    """All tables of the units at one size."""
    titles = ("unit", "logic, um2", "kNAND2", "flip-flops", "memory bits")
    titles += ("with SRAM, um2", "with flip-flops, um2")
    lines = []
    for kept in cells:
        one = kept.figures
        lines.append(
            [
                *(_name(kept), f"{one.logic:,.0f}", f"{one.logic / one.nand2 / 1000:.2f}"),
                *(f"{one.flip_flops:,}", f"{one.memory_bits:,}", f"{one.with_sram:,.0f}"),
                _number(one.with_flip_flops, ",.0f"),
            ]
        )
    parts = [f"\n## LANES={lanes} MAX_LEN={longest}\n\n### Area\n\n", _markdown(titles, lines)]
    titles = ("unit", "slowest path, ns", "Fmax, MHz", "from", "to", "cells")
    titles += ("clocks a row", "elements/s/um2", f"memories of {ACCESS} ns: slowest path, ns")
    lines = []
    for kept in cells:
        one = kept.figures
        lines.append(
            [
                *(_name(kept), f"{one.delay:.2f}", f"{one.fmax:.0f}", f"`{one.start}`"),
                *(f"`{one.end}`", str(one.stages), str(one.cycles), f"{one.rate:,.0f}"),
                _number(one.delay_sram, ".2f"),
            ]
        )
    parts += ["\n### Speed\n\n", _markdown(titles, lines)]
    kinds = ("clock", "registers", "logic", "leakage")
    titles = ("unit", *kinds, "sum", "with SRAM", "with flip-flops")
    lines = []
    for kept in cells:
        one = kept.figures
        sums = (one.logic_energy, one.energy_with_sram, one.energy_with_flip_flops)
        lines.append(
            [
                _name(kept, bool(one.energy) and kept.older_energy),
                *(_number(one.energy.get(kind), ".2f") for kind in kinds),
                *(_number(value, ".1f") for value in sums),
            ]
        )
    parts += ["\n### Energy\n\nPicojoules per element.\n\n", _markdown(titles, lines)]
    parts.append(_against_baselines(cells, bits))
    lines = [
        [_name(kept), f"`{part}`", *rest]
        for kept in cells
        if kept.figures.parts
        for part, *rest in parts_table(kept.figures)
    ]
    if lines:
        parts += ["\n### Parts\n\n", _markdown(("unit", "part", "um2", "share"), lines)]
    return "".join(parts)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


def _markdown(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    head, *body = [f"| {' | '.join(line)} |\n" for line in [titles, *lines]]
    return "".join([head, f"|{'---|' * len(titles)}\n", *body])


def drawn(store: Store) -> list[str]:
    """The plots that the page shows."""
    found = [plots.LANES] if plots.shown_lanes(store.cells) else []
    return found + ([plots.PARETO] if points(store.cells) else [])


def write(store: Store, folder: Path = DOCS) -> list[str]:
    """Write file, page and plots into `folder`; return one line about each.

    Without matplotlib existing plots are left as they are. Raises UserError for a folder that
    cannot be written.
    """
    said = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in ((FILE, store.text()), (PAGE, page(store))):
            write_whole(folder / name, text)
            said.append(f"written: {short(folder / name)}")
    except OSError as error:
        raise UserError(f"cannot write {error.filename}: {error.strerror}") from None
    draw = {
        plots.LANES: lambda: plots.lanes(store.cells),
        plots.PARETO: lambda: plots.pareto(points(store.cells)),
    }
    return said + [write_plot(draw[name], folder / name) for name in drawn(store)]
