# SPDX-License-Identifier: Apache-2.0
"""Errors of every unit against float64 on the shipped tensors: tables, docs/accuracy.md, its plot.

docs/accuracy.json has the same figures in machine-readable form.

The bit-exact models run here, which the RTL equals. Nothing here names a unit: the descriptors give
the variants and convert outputs to real values. Only the plot needs matplotlib (the extra `plot`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from softnorm.models import vectors
from softnorm.tb.stimulus.scenarios import rows_of
from softnorm.units.unit import Rows, Setting, Unit, Variant

from .. import tools
from ..errors import UserError
from ..networks import digits_accuracy
from ..paths import DATA, ROOT, write_whole

PAGE, PLOT, FIGURES = "accuracy.md", "accuracy.svg", "accuracy.json"
NO_MATPLOTLIB = f"no plot without matplotlib; run: {tools.install('plot')}, then again"
LONG = (1024, 4096)  # keys of the long rows that stand beside short ones in tables and plots
MAX_BINS = 100  # of a histogram; fewer, so that a bin's width is a round number
# Colour, dash, width. They differ in dash and darkness too, for printing without colour.
STYLES = (
    ("#14507f", "-", 1.6),
    ("#f08a24", "-", 1.2),
    ("#2a7f4f", (0, (4, 1.5)), 1.2),
    ("#8a1c4a", (0, (1, 1)), 1.4),
    ("#7a5bb5", (0, (6, 1.5, 1, 1.5)), 1.2),
    ("#6b6b6b", (0, (2, 2)), 1.2),
)


@dataclass(frozen=True)
class Column:
    """How a figure of `Unit.accuracy` is shown; with `percent`, multiplied by 100."""

    title: str
    about: str
    percent: bool = False


# By the names of models/metrics.py. None: a figure that only counts rows has no column.
COLUMNS: dict[str, Column | None] = {
    "max_abs_error": Column("max abs", "largest absolute error of an element"),
    "mean_abs_error": Column(
        "mean abs",
        "mean absolute error of the elements; in output steps, rounding alone costs 0.25",
    ),
    "row_sum_error_mean": Column(
        "row sum, bias", "sum of a row's outputs minus the exact sum, which is 1"
    ),
    "row_sum_error_std": Column("row sum, spread", "spread of the same error"),
    "row_sum_min": Column("least sum", "the smallest sum of a row's outputs"),
    "row_sum_max": Column("largest sum", "the largest sum of a row's outputs"),
    "kl_mean": Column(
        "KL, nats",
        "Kullback-Leibler divergence of the output from the exact row, mean over the rows; an "
        "output of 0 counts as half a step, and each row is divided by its sum",
    ),
    "argmax_flips": Column(
        "arg-max flips",
        "share of rows in which no largest element has the largest output; a tie is no flip",
        percent=True,
    ),
    "argmax_index_flips": Column(
        "flips by index",
        "share of rows in which the first of the largest outputs is not at the first largest "
        "element: what an arg-max over the outputs gets wrong, ties among them",
        percent=True,
    ),
    "inverted_rows": Column(
        "inverted rows",
        "share of rows in which an element has more than another that is larger",
        percent=True,
    ),
    "inversion_max": Column("worst inversion", "by how much at most"),
    "row_max_error_mean": Column(
        "row max abs", "a row's largest absolute error: mean over the rows"
    ),
    "statistics: mean_error_mean": Column(
        "mean, bias",
        "error of a row's mean, relative to the row's standard deviation; 0 for RMSNorm, which "
        "has no mean",
        percent=True,
    ),
    "statistics: mean_error_std": Column("mean, spread", "spread of the same error", percent=True),
    "statistics: std_error_mean": Column(
        "std, bias",
        "error of a row's standard deviation (RMSNorm: root mean square), relative to the exact "
        "one; SOLE reports 0.4 % for its unit, on uniform data (their figure)",
        percent=True,
    ),
    "statistics: std_error_std": Column("std, spread", "spread of the same error", percent=True),
    "rows": None,
    "statistics: rows": None,
}


@dataclass(frozen=True, eq=False)
class Line:
    """A variant measured: figures by the names of `Unit.accuracy`, signed errors [elements]."""

    variant: Variant
    figures: dict[str, float]
    errors: np.ndarray


@dataclass(frozen=True)
class Measured:
    """A unit's variants on its tensors: `rows` rows, `elements` of them unmasked."""

    unit: Unit
    rows: int
    elements: int
    lines: tuple[Line, ...]


# Divergence in rows of normal logits, nats: build as `digits_accuracy.label` names it -> keys -> it
Long = Mapping[str, Mapping[int, float]]

# --- measuring ------------------------------------------------------------------------------------


def measure(unit: Unit, progress: Callable[[str], None] = lambda _: None) -> Measured:
    """Run every variant of the unit's model on its shipped tensors; report each to `progress`.

    Raises VectorError for a tensor file that cannot be read.
    """
    file = vectors.load(DATA / unit.tensors)
    lines = []
    for number, variant in enumerate(unit.variants, 1):
        parameters = unit.resolve(variant.parameters)
        rows = _with(rows_of(unit, parameters, file), variant.settings)
        outputs = unit.predict(parameters, rows)
        approx, exact = unit.values(parameters, rows, outputs)
        figures = unit.accuracy(parameters, rows, outputs)
        lines.append(Line(variant, figures, (approx - exact)[rows.mask]))
        progress(f"[{number}/{len(unit.variants)}] {label(unit, variant)}")
    return Measured(unit, len(file.length), int(file.mask.sum()), tuple(lines))


def _with(rows: Rows, settings: dict[str, int]) -> Rows:
    """The same rows with these settings instead of their own."""
    every = {name: np.full(len(rows), value) for name, value in settings.items()}
    return dataclasses.replace(rows, settings={**rows.settings, **every})


# --- the table ------------------------------------------------------------------------------------


def figure(value: float, percent: bool = False) -> str:
    """Three significant digits, the same on every machine.

    Machines differ in the last bits. So the value is first rounded to nine digits, and to 0 below
    1e-12. Otherwise a value exactly between two three-digit results, like 0.0625, could be rounded
    up on one machine and down on another.
    """
    nine = Decimal(f"{round(100 * value if percent else value, 12):.8e}")
    return (f"{Decimal(f'{nine:.2e}'):f}" if nine else "0") + " %" * percent


def cells(measured: Measured, long: Long | None = None) -> tuple[list[str], list[list[str]]]:
    """(titles, lines) of a unit's table: parameters and settings that vary, then the figures.

    long: what is known of long rows; columns of LONG for a unit that it knows.
    """
    unit, lines = measured.unit, measured.lines
    of_long = [(long or {}).get(digits_accuracy.label(unit, line.variant), {}) for line in lines]
    lengths = [keys for keys in LONG if any(keys in of for of in of_long)]
    known_parameters = {**unit.defaults, **unit.features}
    parameters = _varied(known_parameters, (line.variant.parameters for line in lines))
    settings = _varied(_settings(unit), (line.variant.settings for line in lines))
    shown = {name: column for name in lines[0].figures if (column := COLUMNS[name])}
    table = []
    for line, of in zip(lines, of_long, strict=True):
        resolved = {**unit.features, **unit.resolve(line.variant.parameters)}
        table.append(
            [
                *(str(resolved[name]) for name in parameters),
                *(_word(unit, name, line.variant.settings.get(name, 0)) for name in settings),
                *(figure(line.figures[name], column.percent) for name, column in shown.items()),
                *(figure(of[keys]) if keys in of else "-" for keys in lengths),
            ]
        )
    titles = [*(column.title for column in shown.values()), *map(_long_title, lengths)]
    return [*parameters, *settings, *titles], table


def _long_title(keys: int) -> str:
    return f"KL, {keys} keys"


def heading(measured: Measured) -> str:
    """Number of rows and elements of a table, and the unit of its errors."""
    return (
        f"{measured.rows} rows, {measured.elements:,} unmasked elements. "
        f"Errors of elements: {measured.unit.value_unit}."
    )


def _varied(known: Iterable[str], given: Iterable[dict[str, object]]) -> list[str]:
    """Names that at least one variant sets, in the unit's order."""
    named = {name for one in given for name in one}
    return [name for name in known if name in named]


def _settings(unit: Unit) -> dict[str, Setting]:
    """Those of all variants, by name; one that several have as the first of them has it."""
    builds = [unit.resolve(variant.parameters) for variant in unit.variants]
    found: dict[str, Setting] = {}
    for build in builds:
        found = {**{setting.name: setting for setting in unit.settings(build)}, **found}
    return found


def _word(unit: Unit, name: str, value: int) -> str:
    """A setting's value, by its name if it has one."""
    words = _settings(unit)[name].words
    return words[value] if words else f"{name}={value}"


def head(unit: Unit) -> str:
    """The unit's title without what follows it in brackets or after a comma."""
    return unit.title.partition(" (")[0].partition(",")[0]


def label(unit: Unit, variant: Variant) -> str:
    """A short label: the unit, parameters other than the defaults, settings."""
    other = [f"{n}={v}" for n, v in unit.others(variant.parameters).items()]
    words = [_word(unit, name, value) for name, value in variant.settings.items()]
    return ", ".join([head(unit), *([" ".join(other)] if other else []), *words])


# --- the page -------------------------------------------------------------------------------------

INTRODUCTION = """\
# Accuracy

Errors of the units against float64 on tensors of a real model, for every variant of each unit.
`make accuracy` writes this page and its plot; a test fails if they differ from the models' results.

- Figures are computed with each unit's bit-exact model (`models/`). The RTL gives the same bits, so
  they hold for the RTL too.
- Inputs are the shipped tensors of all-MiniLM-L6-v2 ([data/README.md](../data/README.md)), masks
  included. The exact function (`models/reference.py`) gets the same quantised inputs, so the error
  of quantising the inputs is not included.
- Their scales are powers of two; what others cost is on the page of
  [E2Softmax](units/e2softmax.md#any-width-and-scale).
- These are errors of single rows, not the accuracy of a network ([networks.md](networks.md)). No
  test depends on them.

![Distributions of the errors, by unit and variant](accuracy.svg)

The count axis is logarithmic. Parameters that are not in the legend have their default values.

## Columns

Names in capitals are build parameters, those in small letters run-time settings; a table shows only
those in which its variants differ. An output step is a difference of 1 in an integer output. Bias
and spread are the mean and the standard deviation of an error over the rows. Each figure misses
some errors, which is why there are several (`models/metrics.py`).

"""


REACH = """
## By the length of rows

The rows of the tables below are short. In longer ones most probabilities are below half a step of
an 8-bit output that is linear, and come out as 0: the sum of a row is what is left of it. Rows of
normal logits of deviation 1, each build at the F of the least squared error for that length:

![Mean sum of a row's outputs over the keys of the row](lengths.svg)

Mean sum of a row's outputs, by keys:

<!-- begin made: lengths -->
<!-- end made -->

Divergence, nats:

<!-- begin made: lengths: KL -->
<!-- end made -->

What single rows lose. E2Softmax is not monotone, since the lanes of a beat share a maximum: an
element may have more than a larger one.

<!-- begin made: lengths: worst -->
<!-- end made -->

## By the mean of rows

The shipped LayerNorm inputs have means near 0. Rows of normal values, whose deviation is so many
input steps, and whose mean is so many deviations; gamma is 1, an output's step 2^-5. Here the
deviation is 16 steps:

![Error of a row's standard deviation over its mean](means.svg)

By the mean of a row in deviations; other deviations are in the pages of the units:

<!-- begin made: means -->
<!-- end made -->
"""


def page(results: Sequence[Measured], long: Long | None = None) -> str:
    """docs/accuracy.md, without what `flow.pages.made` makes between its markers."""
    titles = {name: None for result in results for name in result.lines[0].figures}
    columns = [column for name in titles if (column := COLUMNS[name])]
    about = [[column.title, column.about] for column in columns]
    about += [
        [_long_title(keys), f"KL of rows of {keys} normal logits, see below"] for keys in LONG
    ]
    parts = [INTRODUCTION, _markdown(["column", "meaning"], about)]
    parts.append(REACH)
    for result in results:
        unit = result.unit
        defaults = ", ".join(f"{name} = {value}" for name, value in unit.defaults.items())
        parts.append(
            f"\n## {unit.title}\n\n"
            f"`{(DATA / unit.tensors).relative_to(ROOT).as_posix()}`: {heading(result)}\n"
            f"Defaults: {defaults}. [Arithmetic](units/{unit.name}.md).\n\n"
            f"{_markdown(*cells(result, long))}"
        )
    return "".join(parts)


def _markdown(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    head, *body = [f"| {' | '.join(line)} |\n" for line in [titles, *lines]]
    return "".join([head, f"|{'---|' * len(titles)}\n", *body])


def data(results: Sequence[Measured]) -> str:
    """docs/accuracy.json: one line per variant, with all parameters, figures as in the table.

    `words` holds its settings as the table shows them.
    """
    lines = []
    for result in results:
        unit = result.unit
        for line in result.lines:
            settings = dict(line.variant.settings)
            entry = {
                "unit": unit.name,
                "parameters": unit.resolve(line.variant.parameters),
                "settings": settings,
                "words": ", ".join(_word(unit, *setting) for setting in settings.items()),
                "errors in": unit.value_unit,
                # Rounded as in the table: the same on every machine.
                "figures": {n: float(figure(v)) for n, v in line.figures.items() if COLUMNS[n]},
            }
            lines.append(json.dumps(entry))
    return "[\n" + ",\n".join(lines) + "\n]\n"


def make(folder: Path) -> None:
    """Make a folder to write into, if it is not there. Raises UserError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {error.filename}: {error.strerror}") from None


def write(
    results: Sequence[Measured],
    folder: Path,
    filled: Callable[[str], str] = lambda page: page,
    long: Long | None = None,
) -> list[str]:
    """Write page, figures and plot into `folder`; return one line about each.

    filled: puts into the page what stands between its markers. Without matplotlib an existing plot
    is left as it is. Raises UserError for a folder that cannot be written.
    """
    make(folder)
    try:
        write_whole(folder / FIGURES, data(results))
        write_whole(folder / PAGE, filled(page(results, long)))
    except OSError as error:
        raise UserError(f"cannot write {error.filename}: {error.strerror}") from None
    return [
        *(f"written: {folder / name}" for name in (PAGE, FIGURES)),
        write_plot(lambda: plot(results, long), folder / PLOT),
    ]


def write_plot(draw: Callable[[], bytes], file: Path) -> str:
    """Write the plot of `draw`; return a line that says so, or that matplotlib is missing.

    Raises UserError for a file that cannot be written.
    """
    try:
        drawn = draw()
    except ImportError:
        return NO_MATPLOTLIB
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, drawn)
    except OSError as error:
        raise UserError(f"cannot write {error.filename}: {error.strerror}") from None
    return f"written: {file}"


# --- the plot -------------------------------------------------------------------------------------


def stamp(results: Sequence[Measured], long: Long | None = None) -> str:
    """A hash of all figures, stored in the plot: a test checks that plot and tables agree."""
    shown = [cells(result) for result in results], _of_long(results, long)
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def plot(results: Sequence[Measured], long: Long | None = None) -> bytes:
    """Error distributions of the plotted variants as SVG, one panel for each unit of values.

    A panel more has their divergence over the length of rows, of those of which it is known.

    The same errors give the same bytes. Raises ImportError without matplotlib.
    """
    import matplotlib
    from matplotlib.figure import Figure

    panels: dict[str, list[Measured]] = {}
    for result in results:
        panels.setdefault(result.unit.value_unit, []).append(result)
    style = {"svg.hashsalt": "softnorm", "svg.fonttype": "path", "font.size": 9}
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **style}):
        curves = _of_long(results, long)
        rows = len(panels) + bool(curves)
        drawn = Figure(figsize=(7.2, 3.2 * rows), layout="constrained", facecolor="white")
        drawn.suptitle("Errors of the units on real tensors and by length", fontsize=11)
        every = drawn.subplots(rows, squeeze=False)[:, 0]
        for axes, (unit, group) in zip(every, panels.items(), strict=False):
            _panel(axes, unit, group)
        if curves:
            _long_panel(every[-1], curves)
        file = io.BytesIO()
        about = {
            "Date": None,
            "Creator": "make accuracy",
            "Description": f"of {stamp(results, long)}",
        }
        drawn.savefig(file, format="svg", metadata=about)
    return file.getvalue()


def _panel(axes, unit: str, group: Sequence[Measured]) -> None:
    lines = [
        (label(result.unit, line.variant), line.errors)
        for result in group
        for line in result.lines
        if line.variant.plotted
    ]
    width, edges = _bins(max(np.abs(errors).max() for _, errors in lines))
    for (text, errors), style in zip(lines, itertools.cycle(STYLES), strict=False):
        counts, _ = np.histogram(errors, edges)
        colour, dash, thickness = style
        axes.stairs(counts, edges, label=text, color=colour, linestyle=dash, linewidth=thickness)
    files = {result.unit.tensors: result.elements for result in group}
    title = ", ".join(f"{count:,} elements of {file}" for file, count in files.items())
    axes.set_title(title, loc="left", fontsize=9)
    axes.set_yscale("log")
    axes.set_ylim(0.8, None)
    axes.yaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel(f"error: output minus exact ({unit})")
    axes.set_ylabel(f"elements in a bin of {width:g}")
    axes.grid(color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper right", borderaxespad=0, handlelength=2.2, frameon=False, fontsize=8)


def _of_long(results: Sequence[Measured], long: Long | None) -> dict[str, dict[int, float]]:
    """The plotted variants by their labels, of which long rows are known: keys -> divergence."""
    found = {}
    for result in results:
        for line in result.lines:
            of = (long or {}).get(digits_accuracy.label(result.unit, line.variant))
            if of and line.variant.plotted:
                found[label(result.unit, line.variant)] = dict(of)
    return found


def _long_panel(axes, curves: Mapping[str, Mapping[int, float]]) -> None:
    for (text, of), style in zip(curves.items(), itertools.cycle(STYLES), strict=False):
        colour, dash, width = style
        axes.plot(
            [*of],
            [*of.values()],
            label=text,
            color=colour,
            linestyle=dash,
            linewidth=width,
            marker=".",
        )
    keys = sorted({at for of in curves.values() for at in of})
    axes.set_title("rows of normal logits, deviation 1", loc="left", fontsize=9)
    axes.set_xscale("log")
    axes.set_xticks(keys, [f"{at}" for at in keys])
    axes.minorticks_off()
    axes.set_ylim(0, None)
    axes.set_xlabel("keys of a row")
    axes.set_ylabel("divergence, nats")
    axes.grid(color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", borderaxespad=0, handlelength=2.2, frameon=False, fontsize=8)


def _bins(largest: float) -> tuple[float, np.ndarray]:
    """(width, edges) of at most MAX_BINS bins up to +-largest, one of them around 0."""
    least = 2 * largest / (MAX_BINS - 1)
    decade = 10.0 ** np.floor(np.log10(least))
    width = next(decade * step for step in (1, 2, 5, 10) if decade * step >= least)
    count = int(np.ceil(largest / width - 0.5))
    return width, (np.arange(-count, count + 2) - 0.5) * width
