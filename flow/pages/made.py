# SPDX-License-Identifier: Apache-2.0
"""What stands in the pages between markers, by name: tables and numbers made of docs/*.json.

A number's name is a table, a line and a column of it (`minilm: REXP and AILayerNorm: lost`), or a
table and a fact (`minilm: pairs`). Where a line begins with two cells that tell it from others,
` + ` stands between them. What was measured on sources that have changed since is said to be older.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from softnorm.models import reference
from softnorm.models.e2softmax import E2Softmax
from softnorm.units import NETWORK_UNITS, ROW_UNITS, UNITS
from softnorm.units.unit import Unit, Variant

from ..accuracy import frontier, reach, tables
from ..errors import UserError
from ..mutate import page as mutation
from ..mutate.results import Status
from ..mutate.results import status as mutation_status
from ..networks import advice, digits_accuracy
from ..paths import ROOT
from ..ppa import store
from ..ppa.compare import pairs
from ..sim.report import table_bytes
from . import builds, figures, kept, markers, sentences

SIZE = (32, 1024)  # LANES, MAX_LEN of the units' defaults
OLDER = "older"
SINCE = f"{OLDER}, sources have changed since"


def files(folder: Path = kept.DOCS) -> dict[Path, str]:
    """Every page that has markers, as it has to be: path -> text. Raises UserError.

    folder: of the figures that it is made of.
    """
    found = {}
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        if "<!--" in text:
            try:
                found[path] = filled(text, folder)
            except UserError as error:
                raise UserError(f"{path.relative_to(ROOT)}: {error}") from None
    return found


def filled(page: str, folder: Path = kept.DOCS) -> str:
    """A page's text with what stands between its markers, of the figures in a folder."""
    made = Made(folder)
    return markers.filled(page, made.block, made.number)


@dataclass(frozen=True)
class Table:
    """Where what a command measured is kept, and the hash that it has to have to be new."""

    file: str
    by: str
    sources: Callable[[], str | None]


_STSB = "STSB=sts-test.tsv"
TABLES = {
    "digits": "NETWORK=digits",
    "digits int8": "NETWORK=digits PRODUCTS=int8",
    "minilm": f"NETWORK=minilm {_STSB}",
    "minilm int8": f"NETWORK=minilm PRODUCTS=int8 {_STSB}",
    "minilm documents": f"NETWORK=minilm DOCUMENTS=1 {_STSB}",
    "minilm int8 documents": f"NETWORK=minilm PRODUCTS=int8 DOCUMENTS=1 {_STSB} ONLY=LANES=8",
    "minilm rtl": f"NETWORK=minilm RTL=1 {_STSB}",
    "minilm int8 rtl": f"NETWORK=minilm PRODUCTS=int8 RTL=1 ONLY=LANES=8 {_STSB}",
    "minilm layers": "NETWORK=minilm LAYERS=1 STSB=sts-dev.tsv "
    "ONLY='E2Softmax DIV_BITS=3 EXP_FRAC=1 row-scaled and AILayerNorm CMP_RANGES=3'",
}
PYTORCH = "make bench ONLY=pytorch"
ONNX = ("minilm", "ocr", "ocr-int8")


def _network(words: str) -> Table:
    name = re.match(r"NETWORK=(\w+)", words)[1]
    built = NETWORK_UNITS.values() if "RTL=1" in words else ()
    return Table(kept.NETWORKS, f"make accuracy {words}", lambda: kept.of_network(name, built))


def _tables() -> dict[str, Table]:
    every = {name: _network(words) for name, words in TABLES.items()}
    for name in ("lengths", "means", "scales"):
        every[name] = Table(kept.REACH, f"make accuracy {name.upper()}=1", kept.of_reach)
    of_tiles = lambda: kept.of_tiles(ROW_UNITS.values())  # noqa: E731
    every["tiles"] = Table(kept.REACH, "make accuracy TILES=1", of_tiles)
    every["bulk"] = Table(kept.FIGURES, kept.BULK, lambda: kept.of_bulk(ROW_UNITS.values()))
    every["architectures"] = Table(
        kept.FIGURES, "make accuracy ARCHITECTURES=1", kept.of_architectures
    )
    every["pytorch"] = Table(kept.FIGURES, PYTORCH, kept.of_architectures)
    for name in ONNX:
        every[f"onnx {name}"] = Table(kept.ONNX, f"make accuracy ONNX={name}", kept.of_onnx)
    return every


class Made:
    """What is made of the figures in a folder."""

    def __init__(self, folder: Path = kept.DOCS):
        names = (kept.NETWORKS, kept.SYNTH, kept.FIGURES, kept.PROOFS, kept.REACH, kept.ONNX)
        self.folder = folder
        self._kept = {name: kept.load(name, folder) for name in names}
        self._tables = _tables()

    def block(self, name: str) -> str:
        """What stands between a block's markers. Raises UserError for a name that is none."""
        if name not in BLOCKS:
            raise UserError(f"nothing makes {name!r}; there are: {', '.join(BLOCKS)}")
        return BLOCKS[name](self)

    def number(self, name: str) -> str:
        """A number in a sentence. Raises UserError."""
        table, *place = name.split(": ")
        one, older = self.table(table)
        if len(place) == 1 and place[0] in one.facts:  # what it was run with: the same when older
            return f"{one.facts[place[0]]:,}"
        if len(place) == 2 and place[1] in one.titles:
            found = one.row(*place[0].split(" + "))[place[1]]
            return f"{found} ({OLDER})" if older else found
        raise UserError(f"there is no number {name!r}")

    def table(self, name: str) -> tuple[kept.Kept, bool]:
        """What is kept under a short name, and whether it is older than the sources."""
        if name not in self._tables:
            raise UserError(f"there is no table {name!r}; there are: {', '.join(self._tables)}")
        table = self._tables[name]
        one = self.one(table.file, table.by)
        return one, one.sources is None or one.sources != table.sources()

    def one(self, file: str, by: str) -> kept.Kept:
        """What a command has measured. Raises UserError."""
        if by not in self._kept[file]:
            raise UserError(f"docs/{file} has no figures of {by!r}")
        return self._kept[file][by]

    def shown(
        self,
        name: str,
        columns: Mapping[str, str],
        wanted: Sequence[str] = (),
        facts: Sequence[str] = (),
    ) -> str:
        """A kept table: columns (title there -> title here), lines by how they begin, all without
        `wanted`; then the command, the day, and these facts."""
        one, _ = self.table(name)
        lines = [one.row(*first.split(" + ")) for first in wanted] or [
            dict(zip(one.titles, line, strict=True)) for line in one.lines
        ]
        cells = [[_named(line[title]) for title in columns] for line in lines]
        counts = [f"{one.facts[fact]:,} {fact}" for fact in facts]
        return _markdown(list(columns.values()), cells) + self._by(name, *counts)

    def printed(self, name: str) -> str:
        """What a command has printed, as it stands."""
        one, _ = self.table(name)
        return "\n".join(["```text", *(line for (line,) in one.lines), "```", self._by(name)])

    def _by(self, name: str, *more: str) -> str:
        """The line below a kept table."""
        one, older = self.table(name)
        by = self._tables[name].by
        words = [f"`{by}`" if by.startswith("make") else by, *more, one.measured]
        return f"\n{', '.join(words)}" + f" ({SINCE})" * older

    # --- blocks -----------------------------------------------------------------------------------

    def summary(self) -> str:
        """The README's: units in columns."""
        measured = self._kept[kept.FIGURES]
        units = [u for u in ROW_UNITS.values() if not u.baseline and figures.command(u) in measured]
        cells = {
            one.figures.unit: one
            for one in store.plain(store.load(self.folder).cells)
            if store.size(one.figures) == SIZE
        }
        simulated = {unit.name: self.one(kept.FIGURES, figures.command(unit)) for unit in units}
        facts = [one.facts for one in simulated.values()]
        compared = [f"{one['elements']:,}, {one['mismatches']}" for one in facts]
        clocks = [latency(unit, one["latency"]) for unit, one in zip(units, facts, strict=True)]
        mutants = mutation_status({unit.name: unit for unit in units}, self.folder)
        rows = (
            ("elements compared with the model, of them different", compared, "figures"),
            (
                "beats per clock, no stalls, rows of any length",
                [f"{one['beats a clock']:.3f}" for one in facts],
                "figures",
            ),
            ("latency in clocks, B the beats of a row", clocks, "figures"),
            (
                "area of a baseline over the unit's, memories as SRAM",
                [_area(unit, cells) for unit in units],
                "ppa",
            ),
            ("mean absolute error against float64", list(map(self._error, units)), "accuracy"),
            (
                "sum of a row's outputs, 1024 normal logits of deviation 1; 1 is right",
                [self._long(unit) for unit in units],
                "accuracy LENGTHS=1",
            ),
            (
                "small faults in the netlist that a check finds, of those not proved equal",
                [_percent(mutants.get(unit.name)) for unit in units],
                "mutate",
            ),
        )
        simulations = [
            unit.name for unit in units if simulated[unit.name].sources != kept.of_simulation(unit)
        ]
        areas = [name for name, one in cells.items() if one.older]
        older = [*_some("simulation", simulations, units), *_some("area", areas, cells)]
        older += _some("mutant", [name for name, one in mutants.items() if one.older], mutants)
        titles = ["32 lanes, rows to 1024, defaults", *map(short, units), "measured by"]
        lines = [[name, *row, f"`make {by}`"] for name, row, by in rows]
        return _markdown(titles, lines) + _aged(older)

    def _error(self, unit: Unit) -> str:
        """The default build's mean absolute error, in its first variant."""
        for entry in json.loads((self.folder / tables.FIGURES).read_text(encoding="utf-8")):
            if entry["unit"] == unit.name and entry["parameters"] == unit.defaults:
                shown = tables.figure(entry["figures"]["mean_abs_error"])
                return f"{shown} {entry['errors in']}".removesuffix(" probability")
        raise UserError(f"docs/{tables.FIGURES} has no figures of {unit.name}")

    def _long(self, unit: Unit) -> str:
        """The mean sum of rows of 1024 by the default build, and by the recommended one."""
        one, older = self.table("lengths")
        sums = {line[0]: line[3] for line in one.lines if line[1] == str(SIZE[1])}
        builds = [name for name in LENGTH_BUILDS if name.split()[0] == unit.name]
        if not builds:
            return "-"
        better = advice.RECOMMENDED
        more = f"; {sums[better]} ({better.partition(' ')[2]})" if better in builds else ""
        return f"{sums[builds[0]]}{more}{f' ({OLDER})' * older}"

    def units(self) -> str:
        """Generic cells and what is stored, of all units by default."""
        lines, older = [], []
        for unit in UNITS.values():
            if kept.synthesis(unit, unit.defaults) not in self._kept[kept.SYNTH]:
                continue  # a new one
            one = self.one(kept.SYNTH, kept.synthesis(unit, unit.defaults))
            if one.sources != kept.of_gates(unit):
                older.append(short(unit))
            gates = [f"{one.facts[name]:,}" for name in ("gates", "flip-flops")]
            bits = sum(words * width for words, width in unit.storage(unit.defaults).values())
            stored = [f"{bits:,}", _bits(unit, unit.defaults)]
            lines.append([short(unit), *gates, *stored, f"{table_bytes(unit, unit.defaults):,g}"])
        titles = ["generic cells, 32 lanes, rows to 1024", "gates", "flip-flops", "memory bits"]
        titles += ["buffer bits an element", "table bytes"]
        return _markdown(titles, lines) + _aged(["all"] if len(older) == len(lines) else older)

    def options(self) -> str:
        """What E2Softmax's parameters cost, in the cell library."""
        unit = UNITS["e2softmax"]
        lines, older = [], []
        for one in store.load(self.folder).cells:
            found = one.figures
            if {*found.parameters} & {*unit.features}:
                continue
            if found.unit == unit.name and store.size(found) == SIZE:
                options = [str(found.parameters[name]) for name in ("DIV_BITS", "EXP_FRAC")]
                area = [f"{found.logic:,.0f}", f"{found.with_sram:,.0f}"]
                stored = [f"{found.flip_flops:,}", _bits(unit, found.parameters)]
                lines.append([*options, *area, *stored])
                older += [", ".join(options)] * one.older
        titles = ["DIV_BITS", "EXP_FRAC", "logic, um2", "with SRAM, um2", "flip-flops"]
        older = ["all"] if len(older) == len(lines) else older
        return _markdown([*titles, "buffer bits an element"], lines) + _aged(older)

    def level_rows(self) -> str:
        """Sums of long, level rows in both formats of E2Softmax, by the model."""
        rng = np.random.default_rng(1)
        normal = np.rint(rng.normal(0, 0.5, (1000, 785)) * 16).astype(np.int8)
        rows = {
            "all equal": np.zeros((1, 785), np.int8),
            "normal, standard deviation 0.5, F = 4 (1000 rows)": normal,
        }
        lines = [
            [
                name,
                *(f"{E2Softmax()(x, frac=4, fmt=f).to_real().sum(1).mean():.3f}" for f in (0, 1)),
            ]
            for name, x in rows.items()
        ]
        titles = ["785 logits per row", "mean sum of a row's outputs, linear", "row-scaled"]
        return _markdown(titles, lines)

    def scale_example(self) -> str:
        """Logits at a scale that is no power of two, by the models."""
        x, step = np.array([[127, 117, 107, 97]], np.int8), 0.1
        fine = {"DIV_BITS": 4, "EXP_FRAC": 1}
        lines = [["exact softmax", *_of_256(reference.softmax(x * step))]]
        lines.append(["exact softmax at 2^-3, the nearest", *_of_256(reference.softmax(x / 8))])
        for given in ({}, fine):
            words = " ".join(["E2Softmax", *(f"{name}={value}" for name, value in given.items())])
            nearest = E2Softmax(**given)(x, frac=3, fmt=1)
            unit = E2Softmax(**given, SCALE=1)
            scaled = unit(x, **unit.scale_of(step), fmt=1)
            lines.append([f"{words}, F = 3", *_of_256(nearest.to_real())])
            lines.append([f"{words} SCALE=1", *_of_256(scaled.to_real())])
        return _markdown(["probabilities, by 1/256", *map(str, x[0])], lines)

    def scales(self) -> str:
        """Mean errors of the shipped rows at other scales, by their ratio to a power of two."""
        one, _ = self.table("scales")
        shown = {}
        for build in SCALE_BUILDS:
            for more, words in (("", "nearest power of two"), ("SCALE=1 ", "SCALE=1")):
                head, _, fmt = build.rpartition(" ")
                shown[f"{head} {more}{fmt}"] = [_named(build), words]
        found = {name: {} for name in shown}
        for cells in one.lines:
            line = dict(zip(one.titles, cells, strict=True))
            if line["build"] in found:
                found[line["build"]][line["ratio"]] = line["mean abs"]
        ratios = [f"{ratio:g}" for ratio in reach.RATIOS]
        lines = [[*shown[name], *(of[ratio] for ratio in ratios)] for name, of in found.items()]
        return _markdown(["build", "scale", *ratios], lines) + self._by("scales")

    def builds(self) -> str:
        """Which build to take where."""

        def number(table: str, first: tuple[str, ...], column: str) -> str:
            if table == "accuracy":
                return self._mean_error(*first)
            one, older = self.table(table)
            return f"{one.row(*first)[column]}{f' ({OLDER})' * older}"

        return _markdown(builds.TITLES, builds.table(number, store.load(self.folder)))

    def _mean_error(self, build: str) -> str:
        """The mean absolute error of a build on the shipped tensors."""
        for result in kept_results(self.folder):
            for line in result.lines:
                if digits_accuracy.label(result.unit, line.variant) == build:
                    return tables.figure(line.figures["mean_abs_error"])
        raise UserError(f"docs/{tables.FIGURES} has no figures of {build}")

    def lengths(self, columns: Sequence[str], builds: Collection[str] = ()) -> str:
        """Figures of rows of normal logits, over their length; of all builds without `builds`."""
        return self._over("lengths", columns, "keys", ["build"], "build", builds)

    def means(self, columns: Sequence[str], unit: str = "") -> str:
        """Figures of LayerNorms over the mean of rows: of one at all deviations, or of all units at
        that of the plot."""
        one, _ = self.table("means")
        if unit:
            builds = {line[0] for line in one.lines if line[0].split()[0] == unit}
            return self._over("means", columns, "mean", ["build", "deviation"], "build", builds)
        return self._over("means", columns, "mean", ["build"], "deviation", {str(reach.PLOTTED)})

    def _over(
        self,
        name: str,
        columns: Sequence[str],
        axis: str,
        firsts: Sequence[str],
        key: str,
        wanted: Collection[str],
    ) -> str:
        """Columns of a kept table, with the axis to the right: a line each, where they are several.

        firsts: what a line begins with. wanted: values of the column `key`; all, if empty.
        """
        one, _ = self.table(name)
        found: dict[tuple[str, ...], dict[str, str]] = {}
        for cells in one.lines:
            line = dict(zip(one.titles, cells, strict=True))
            if not wanted or line[key] in wanted:
                for column in columns:
                    names = [_named(line[first]) for first in firsts]
                    more = [column] * (len(columns) > 1)
                    found.setdefault((*names, *more), {})[line[axis]] = line[column]
        places = list(dict.fromkeys(at for line in found.values() for at in line))
        titles = [*firsts, *["figure"] * (len(columns) > 1), *places]
        lines = [[*names, *(line.get(at, "") for at in places)] for names, line in found.items()]
        return _markdown(titles, lines) + self._by(name)

    def frontier(self, best: bool) -> str:
        """Errors against what is stored: of docs/accuracy.json, descriptors and the digits."""
        digits, older = self.table("digits")
        long, longer = self.table("lengths")
        sums = {line[0]: line[3] for line in long.lines if line[1] == str(reach.KEYS[-1])}
        lines = []
        for point in frontier_points(self.folder):
            plain = point.variant.parameters.items() <= point.unit.defaults.items()
            if point.best == best and (best or plain):
                row = digits_row(digits, point.unit, point.variant)
                name = short(point.unit) + point.label.removeprefix(tables.head(point.unit))
                stored = [f"{point.bits:.2f}", f"{point.tables:.0f}", tables.figure(point.error)]
                total = sums.get(digits_accuracy.label(point.unit, point.variant), "")
                lines.append([name, *stored, total, row["correct"], row["as float"]])
        titles = ["on the frontier" if best else "not on it", "bits", "table bytes", "mean abs"]
        titles += [f"sum, {reach.KEYS[-1]} keys", "digits: correct", "same prediction as float"]
        return _markdown(titles, lines) + _aged(["digits"] * older + ["sums"] * longer)

    def bulk(self) -> str:
        """What a row costs in bulk, and how fast that is beside others."""
        one, _ = self.table("bulk")
        ratios = [[name, str(value)] for name, value in one.facts.items()]
        speeds = _markdown(["speed of the bulk engine, all units", "ratio"], ratios)
        return f"{speeds}\n{self.shown('bulk', {name: name for name in one.titles})}"

    def proofs(self) -> str:
        """What is proved, a line for each property and size."""
        lines, older, days = [], [], set()
        for by, one in self._kept[kept.PROOFS].items():
            unit = by.partition("UNIT=")[2]
            name = short(UNITS[unit]) if unit in UNITS else unit
            lines += [[name, *line] for line in one.lines]
            older += [name] * (one.sources != kept.of_proofs(unit))
            days.add(one.measured)
        titles = ["of", "property", "what is proved", "size", "by", "result", "seconds"]
        days_ = " to ".join(sorted({min(days), max(days)})) if days else "never"
        return f"{_markdown(titles, lines)}\n`make formal OUT=docs`, {days_}{_aged(older)}"

    def rtl(self, name: str, of: str) -> str:
        """What went through the RTL in MiniLM, a line for each method; scores are of a table."""
        one, _ = self.table(name)
        scores, _ = self.table(of)
        lines: list[list[str]] = []
        for cells in one.lines:
            line = dict(zip(one.titles, cells, strict=True))
            passed = f"{short(UNITS[line['unit']])}: {int(line['rows']):,}"
            if not line["method"]:
                lines[-1][2] += f"; {passed}"
                continue
            row = scores.row(line["method"])
            differ = f"{line['other bits']} of {int(line['values']):,}"
            lines.append([line["method"], differ, passed, row["STS-B"], row["fidelity"]])
        titles = ["method", "values with other bits", "rows through the RTL", "STS-B", "fidelity"]
        return _markdown(titles, lines) + self._by(name, f"{one.facts['pairs']:,} pairs")


def _digits(made: Made, table: str, wanted: Sequence[str]) -> str:
    titles = {"softmax": "softmax", "LayerNorm": "LayerNorm", "correct": "correct"}
    return made.shown(
        table, {**titles, "accuracy": "accuracy", "as float": "same prediction as float"}, wanted
    )


_FINE = "E2Softmax DIV_BITS=3 EXP_FRAC=1 row-scaled"
_MINILM = {name: name for name in ("method", "STS-B", "lost", "95 %", "fidelity", "cosine")}
_DOCUMENTS = {name: name for name in ("method", "tokens", "fidelity", "cosine", "mean sum")}
_TILES = {
    **{name: name for name in ("build", "keys")},
    "rows": "rows compared",
    "other state": "of them with another state",
    "largest difference": "largest difference",
    "mean difference": "mean difference",
    "mean error, tiles": "mean error, tiles",
    "mean error, whole": "mean error, whole rows",
    "clocks": "clocks",
    "in turn": "beats a clock, queries in turn",
    "one at a time": "one query at a time",
}
_BEST = "e2softmax DIV_BITS=4 EXP_FRAC=1 fmt=1"
# Builds that the plot over lengths has, with their names there: each unit's own, and what to take.
LENGTH_BUILDS = {
    "e2softmax DIV_BITS=1 EXP_FRAC=0 fmt=0": "E2Softmax, the paper's",
    "e2softmax DIV_BITS=1 EXP_FRAC=0 fmt=1": "E2Softmax, row-scaled",
    advice.RECOMMENDED: "E2Softmax, recommended",
    "rexp W=8": "REXP",
    "lut2d W=8": "2D-LUT",
    "softermax": "Softermax",
    "exact_softmax": "Exact softmax",
}
SCALE_BUILDS = (
    "e2softmax DIV_BITS=1 EXP_FRAC=0 fmt=0",
    "e2softmax DIV_BITS=1 EXP_FRAC=0 fmt=1",
    advice.RECOMMENDED,
    _BEST,
)
MEAN_BUILDS = {
    "ailayernorm CMP_RANGES=2": "AILayerNorm",
    "ailayernorm CMP_RANGES=3": "AILayerNorm CMP_RANGES=3",
    "ailayernorm EXACT_SQ=1": "AILayerNorm EXACT_SQ=1",
    "ailayernorm A_BITS=8": "AILayerNorm A_BITS=8",
    "nnlut_layernorm": "NN-LUT LayerNorm",
    "exact_layernorm": "Exact LayerNorm",
}


def _settings(unit: Unit, made: Made) -> str:
    """Ports of a unit's settings and channel table: widths and values."""
    longest = (unit.defaults["LANES"], unit.defaults.get("MAX_LEN", 1024), 65536)
    several = [unit.settings(unit.resolve({"MAX_LEN": n, "LANES": 1})) for n in (1, *longest)]
    *_, here, _ = several
    lines = []
    for number, setting in enumerate(here):
        each = [one[number] for one in several]
        ends = [one.values[-1] for one in each]
        bits, last = str(setting.bits), str(ends[-2])
        if len(set(ends)) > 1:
            about = f"{each[0].bits} to {each[-1].bits}"
            last = f"{last} at the defaults"
            if ends == [1, *longest]:
                about, last = "clog2(MAX_LEN + 1)", "MAX_LEN"
            bits = f"{about}, {bits} at the defaults"
        values = f"{setting.values[0]} to {last}"
        lines.append((f"`{setting.port}`", f"`{setting.name}`", bits, values))
    for column in unit.channels:
        values = f"{column.values[0]} to {column.values[-1]}"
        lines.append((f"`{column.port}`", f"channels' `{column.name}`", str(column.bits), values))
    return _markdown(("port", "in Python", "bits", "values"), lines)


BLOCKS: dict[str, Callable[[Made], str]] = {
    "evidence summary": lambda made: sentences.summary(),
    "evidence vocabulary": lambda made: sentences.vocabulary(),
    "evidence": lambda made: sentences.evidence(),
    "summary": Made.summary,
    "units": Made.units,
    "e2softmax options": Made.options,
    "level rows": Made.level_rows,
    "tiles": lambda made: made.shown("tiles", _TILES),
    "scale example": Made.scale_example,
    "scales": Made.scales,
    "builds": Made.builds,
    "digits": lambda made: _digits(
        made,
        "digits",
        [
            *("float + float", "e2softmax DIV_BITS=1 EXP_FRAC=0 fmt=0", _BEST),
            "e2softmax DIV_BITS=3 EXP_FRAC=1 FORMATS=1 fmt=1 s7=1",
            *("float + ailayernorm CMP_RANGES=2 rms=0", "float + ailayernorm EXACT_SQ=1 rms=0"),
            "float + nnlut_layernorm",
            *("float + exact_layernorm rms=0", "e2softmax + ailayernorm"),
            *(f"{_BEST} + ailayernorm EXACT_SQ=1 rms=0", "rexp W=8", "lut2d W=8", "softermax"),
            *("exact_softmax", "rexp W=2", "lut2d W=2", "uniform", "one-hot"),
        ],
    ),
    "digits int8": lambda made: _digits(
        made,
        "digits int8",
        [
            *("e2softmax DIV_BITS=1 EXP_FRAC=0 fmt=0", "float + ailayernorm CMP_RANGES=2 rms=0"),
            *("e2softmax + ailayernorm", f"{_BEST} + ailayernorm EXACT_SQ=1 rms=0"),
            *("rexp + ailayernorm", "lut2d + ailayernorm"),
        ],
    ),
    "minilm": lambda made: made.shown("minilm", _MINILM, facts=["pairs", "sentences"]),
    "minilm documents": lambda made: made.shown(
        "minilm documents",
        _DOCUMENTS,
        facts=["documents", "calibrated on"],
    ),
    "minilm layers": lambda made: made.shown(
        "minilm layers",
        {name: name for name in ("replaced", "fidelity", "cosine", "mse", "relative")},
        facts=["pairs"],
    ),
    "minilm rtl": lambda made: made.rtl("minilm rtl", "minilm"),
    "minilm int8 rtl": lambda made: made.rtl("minilm int8 rtl", "minilm int8"),
    "minilm int8 documents": lambda made: made.shown("minilm int8 documents", _DOCUMENTS),
    "minilm int8": lambda made: made.shown(
        "minilm int8",
        _MINILM,
        [
            *("W8A8", "E2Softmax", "E2Softmax IN_W=32 SCALE=1", _FINE, f"{_FINE} IN_W=32 SCALE=1"),
            f"{_FINE} IN_W=32 SCALE=1 LANES=8",
            f"{_FINE} IN_W=32 SCALE=1 LANES=8, tiles of 8 keys",
            *("E2Softmax and AILayerNorm", f"{_FINE} and AILayerNorm CMP_RANGES=3"),
            f"{_FINE} IN_W=32 SCALE=1 and AILayerNorm EXACT_SQ=1",
            *("REXP and AILayerNorm", "REXP, gain a head, and AILayerNorm"),
            "2D-LUT and AILayerNorm",
        ],
    ),
    "lengths": lambda made: made.lengths(["mean sum"]),
    "lengths: KL": lambda made: made.lengths(["KL, nats"]),
    "lengths: worst": lambda made: made.lengths(
        ["least sum", "largest sum", "flips by index", "inverted rows", "worst inversion"],
        LENGTH_BUILDS,
    ),
    "means": lambda made: made.means(["std, bias", "std, spread", "mean abs", "max abs"]),
    "means: ailayernorm": lambda made: made.means(["std, bias", "std, spread"], "ailayernorm"),
    "frontier": lambda made: f"{made.frontier(True).rstrip()}\n\n{made.frontier(False)}",
    "bulk": Made.bulk,
    **{
        name: lambda made, block=block: block(made.folder)
        for name, block in mutation.BLOCKS.items()
    },
    "proofs": Made.proofs,
    **{
        f"settings {unit.name}": partial(_settings, unit)
        for unit in UNITS.values()
        if unit.settings(unit.defaults)
    },
    "architectures": lambda made: made.shown(
        "architectures",
        {
            **{name: name for name in ("architecture", "softmaxes", "norms", "left float")},
            **{name: name for name in ("error", "against exact 8 bit")},
        },
        facts=("architectures", "attach", "counted in full"),
    ),
    **{f"onnx {name}": lambda made, name=name: made.printed(f"onnx {name}") for name in ONNX},
    "pytorch": lambda made: made.shown(
        "pytorch",
        {name: name for name in ("units", "against", "float ms", "units ms", "times as long")},
        facts=("s of the processor for a calibration of BERT-base", "pairs at least"),
    ),
}


def _of_256(probabilities: np.ndarray) -> list[str]:
    """One row [1, n] of them as whole numbers of 1/256."""
    return [f"{one:.0f}" for one in np.rint(256 * probabilities[0])]


def short(unit: Unit) -> str:
    """A unit's name as the pages have it."""
    name = re.split(r" \(|, a baseline|:", unit.title)[0]
    return name if unit.baseline else name.removesuffix(" softmax")


def latency(unit: Unit, least: int) -> str:
    """Clocks from a row's last beat in to its first one out; `least` of them in a row of a beat."""
    return f"{least - 1} + B" if len(unit.latency(unit.defaults)) > 1 else str(least)


def frontier_points(folder: Path = kept.DOCS) -> list[frontier.Point]:
    """The points of the frontier, errors as docs/accuracy.json has them."""
    return frontier.points(kept_results(folder))


def kept_results(folder: Path = kept.DOCS) -> list[tables.Measured]:
    """What docs/accuracy.json has, without the errors of elements."""
    kept_ = json.loads((folder / tables.FIGURES).read_text(encoding="utf-8"))
    results = []
    for unit in ROW_UNITS.values():
        if not any(one["unit"] == unit.name for one in kept_):
            continue  # a new one
        lines = [
            tables.Line(variant, entry["figures"], np.empty(0))
            for entry, variant in zip(
                (one for one in kept_ if one["unit"] == unit.name), unit.variants, strict=True
            )
        ]
        results.append(tables.Measured(unit, 0, 0, tuple(lines)))
    return results


def digits_row(digits: kept.Kept, unit: Unit, variant: Variant) -> dict[str, str]:
    """The line of a unit alone in the vision transformer."""
    name = digits_accuracy.label(unit, variant)
    return (
        digits.row("float", name) if digits_accuracy.is_softmax(unit) is False else digits.row(name)
    )


def _area(unit: Unit, cells: Mapping[str, store.Kept]) -> str:
    """How many times the unit's area that of the first baseline beside it is."""
    for pair in pairs():
        mine, other = cells.get(pair.unit), cells.get(pair.baseline)
        if pair.unit == unit.name and mine and other:
            ratio = other.figures.with_sram / mine.figures.with_sram
            return f"{ratio:.2f}x ({short(UNITS[pair.baseline])})"
    return "-"


def _some(what: str, names: Sequence[str], of: Collection) -> list[str]:
    """Names of what is older, in a few words where it is all."""
    return [f"all {what}s"] if len(names) == len(of) else [f"{what} of {name}" for name in names]


def _percent(mutants: Status | None) -> str:
    """Mutants that were killed, of those not proved equal; none where none were played."""
    return f"{mutants.percent:.2f} %" if mutants else "-"


def _aged(names: Sequence[str]) -> str:
    """The line below a table of which some is older."""
    return f"\n{SINCE.capitalize()}: {', '.join(names)}." if names else ""


def _bits(unit: Unit, parameters: Mapping[str, int | str]) -> str:
    """Bits of an element in the buffers between the passes, in a row of MAX_LEN."""
    if unit.cell:
        return "0"
    return f"{unit.row_bits(parameters) / parameters['MAX_LEN']:.2f}"


def _named(cell: str) -> str:
    """A cell with the unit's name as the pages have it."""
    if cell in ("uniform", "one-hot"):
        return f"control: {cell}"
    name, space, rest = cell.partition(" ")
    return f"{short(UNITS[name])}{space}{rest}" if name in UNITS else cell


def _markdown(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    head, *body = [f"| {' | '.join(line)} |\n" for line in [titles, *lines]]
    return "".join([head, f"|{'---|' * len(titles)}\n", *body])
