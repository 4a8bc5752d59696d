# SPDX-License-Identifier: Apache-2.0
"""How far the units reach: softmaxes over lengths and scales, LayerNorms over their statistics.

Real tensors hide what they do not have. The shipped rows of logits are short, and an 8-bit output
that is linear holds nothing below 2^-9: in long rows most of the probability comes out as 0. The
shipped LayerNorm inputs have means near 0, and there alone a variance that is a difference of
compressed squares is right. So both are measured on rows made for it, of normal values, seed 1:

- `lengths`: logits of deviation 1, each build at the F of the least squared error for that length;
- `means`: rows of CHANNELS values of a deviation in input steps, with a mean of so many of them.

And a scale of logits is seldom a power of two, as those of the shipped rows are:

- `scales`: the shipped rows of logits with their scales times RATIOS, in a build that takes the
  nearest power of two, and in the one of any scale.

Bit-exact models run; nothing here names a unit. Command: make accuracy LENGTHS=1, MEANS=1,
SCALES=1.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from softnorm.models import metrics, reference, vectors
from softnorm.tb.stimulus import scenarios
from softnorm.units.softmax import SoftmaxUnit
from softnorm.units.unit import ChannelSet, ParameterError, Parameters, Rows, Unit, Variant

from ..bulk import rtl
from ..errors import UserError
from ..networks import digits_accuracy, stand_in
from ..paths import DATA, ROOT, short
from . import tables

FILE, LENGTHS_PLOT, MEANS_PLOT = "reach.json", "lengths.svg", "means.svg"
KEYS = (49, 197, 256, 512, 1024, 2048, 4096)
ROWS = 64  # of each length
CHANNELS, NORM_ROWS = 384, 200
DEVIATIONS = (2, 4, 8, 16, 32)  # input steps
MEANS = (0, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12)  # deviations
PLOTTED = 16  # deviation of the plot over means
RATIOS = (0.71, 0.84, 1, 1.19, 1.41)  # of scales to the nearest power of two: quarter octaves
SCALED = {"SCALE": 1}  # what a build of any scale has
STYLES = (*tables.STYLES, ("#111111", (0, (4, 1, 1, 1)), 1.2))
# Gamma is 1.0 and an output's step 2^-5, so that four deviations come out as int8's end.
GAMMA, GFRAC, OFRAC = 64, 6, 5

# By the names of models/metrics.py; their titles are those of `tables.COLUMNS`.
LENGTH_FIGURES = (
    *("row_sum_min", "row_sum_max", "mean_abs_error", "kl_mean"),
    *("argmax_flips", "argmax_index_flips", "inverted_rows", "inversion_max"),
)
MEAN_FIGURES = (
    *("statistics: std_error_mean", "statistics: std_error_std"),
    *("mean_abs_error", "max_abs_error"),
)


def _titles(figures: Sequence[str]) -> list[str]:
    return [column.title for name in figures if (column := tables.COLUMNS[name])]


LENGTH_TITLES = ("build", "keys", "F", "mean sum", *_titles(LENGTH_FIGURES))
MEAN_TITLES = ("build", "deviation", "mean", *_titles(MEAN_FIGURES))
SCALE_FIGURES = ("mean_abs_error", "max_abs_error", "kl_mean", "argmax_flips")
SCALE_TITLES = ("build", "ratio", *_titles(SCALE_FIGURES))


def lengths(
    units: Iterable[Unit], progress: Callable[[str], None] = lambda _: None
) -> list[list[str]]:
    """Return a line for each length of each variant of the softmaxes among units: LENGTH_TITLES."""
    rng = np.random.default_rng(1)
    logits = {keys: rng.normal(size=(1, ROWS, keys)) for keys in KEYS}
    lines = []
    for unit in filter(stand_in.is_softmax, units):
        for variant in unit.variants:
            name = digits_accuracy.label(unit, variant)
            lines += [[name, *_length(unit, variant, one)] for one in logits.values()]
            progress(name)
    return lines


def _length(unit: SoftmaxUnit, variant: Variant, logits: np.ndarray) -> list[str]:
    keys = logits.shape[2]
    longest = max(keys, unit.defaults["MAX_LEN"])
    parameters = unit.resolve({**variant.parameters, "MAX_LEN": longest})
    mask = np.ones(logits.shape[1:], bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they warn of is what is measured
        fitted = stand_in.fit_softmax(unit, parameters, variant.settings, [logits], mask)
    x, given = fitted.quantise(logits[0][:, None, None], np.ones(1, bool), 0)
    given = {name: int(value.ravel()[0]) for name, value in given.items()}
    settings = {**variant.settings, **given}
    rows = rtl.rows_of(unit, parameters, x.reshape(-1, keys), settings=settings)
    found = unit.accuracy(parameters, rows, unit.predict(parameters, rows))
    total = tables.figure(1 + found["row_sum_error_mean"])
    return [str(keys), str(given.get("frac", "-")), total, *_shown(found, LENGTH_FIGURES)]


def _shown(found: Mapping[str, float], figures: Sequence[str]) -> list[str]:
    """The figures as the tables of the tensors show them."""
    columns = [(name, tables.COLUMNS[name]) for name in figures]
    return [tables.figure(found[name], column.percent) for name, column in columns if column]


def divergences(path: Path = ROOT / "docs" / FILE) -> dict[str, dict[int, float]]:
    """What `lengths` has measured of all units: build -> keys -> divergence in nats.

    Builds are named as by `digits_accuracy.label`; nothing where nothing was measured. Raises
    UserError for a file that cannot be read.
    """
    found: dict[str, dict[int, float]] = {}
    try:
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        measured = kept.get("make accuracy LENGTHS=1", {"titles": [], "lines": []})
        for cells in measured["lines"]:
            line = dict(zip(measured["titles"], cells, strict=True))
            of = found.setdefault(line["build"], {})
            of[int(line["keys"])] = float(line[tables.COLUMNS["kl_mean"].title])
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"cannot read {short(path)}: {error!r}; run make accuracy") from None
    return found


def axis(keys: int) -> str:
    """What a plot calls the divergence in rows of so many keys."""
    return f"divergence, nats ({keys} keys)"


def means(
    units: Iterable[Unit], progress: Callable[[str], None] = lambda _: None
) -> list[list[str]]:
    """Return a line for each deviation and mean of each LayerNorm variant: MEAN_TITLES."""
    lines = []
    for unit in itertools.filterfalse(stand_in.is_softmax, units):
        for variant in unit.variants:
            if variant.settings.get("rms"):
                continue  # which has no mean to take off
            name = digits_accuracy.label(unit, Variant(variant.parameters))
            for deviation, mean in itertools.product(DEVIATIONS, MEANS):
                if (mean + 4) * deviation <= 255:
                    found = _mean(unit, variant, deviation, mean)
                    lines.append([name, str(deviation), f"{mean:g}", *found])
            progress(name)
    return lines


def _mean(unit: Unit, variant: Variant, deviation: int, mean: float) -> list[str]:
    rng = np.random.default_rng(1)
    # So that no input saturates: the zero point moves, not the inputs.
    zp = int(max(128 - mean * deviation, 0))
    # A row's mean is anywhere within a deviation: what compression gets wrong depends on the place.
    centre = (mean + rng.uniform(-0.5, 0.5, (NORM_ROWS, 1))) * deviation
    x = rng.normal(size=(NORM_ROWS, CHANNELS)) * deviation + centre + zp
    x = np.clip(np.rint(x), 0, 255).astype(np.uint8)
    alpha, gamma = np.zeros(CHANNELS, np.uint8), np.full(CHANNELS, GAMMA, np.int8)
    known = {"alpha": alpha, "gamma": gamma, "beta": np.zeros(CHANNELS, np.int8)}
    columns = ChannelSet({column.name: known[column.name] for column in unit.channels})
    q, given = unit.quantised(x, zp, alpha)
    parameters = unit.resolve(variant.parameters)
    taken = {setting.name for setting in unit.settings(parameters)}
    given |= {n: v for n, v in (("gfrac", GFRAC), ("ofrac", OFRAC), ("rms", 0)) if n in taken}
    rows = rtl.rows_of(unit, parameters, q, settings=given, channels=columns)
    found = unit.accuracy(parameters, rows, unit.predict(parameters, rows))
    return _shown(found, MEAN_FIGURES)


def scales(
    units: Iterable[Unit], progress: Callable[[str], None] = lambda _: None
) -> list[list[str]]:
    """Return a line for each of RATIOS of each variant that can have any scale: SCALE_TITLES.

    One with the nearest power of two, then one with SCALED, by the names of builds.
    """
    lines = []
    for unit in units:
        if not {*SCALED} <= {*unit.features}:
            continue
        file = vectors.load(DATA / unit.tensors)
        rows = scenarios.rows_of(unit, unit.resolve({}), file)
        for variant in unit.variants:
            if not _can_have(unit, {**variant.parameters, **SCALED}):
                continue
            for more in ({}, SCALED):
                build = Variant({**variant.parameters, **more}, variant.settings)
                name = digits_accuracy.label(unit, build)
                lines += [
                    [name, f"{ratio:g}", *_scale(unit, build, rows, ratio)] for ratio in RATIOS
                ]
                progress(name)
    return lines


def _can_have(unit: SoftmaxUnit, parameters: Parameters) -> bool:
    try:
        unit.resolve(parameters)
    except ParameterError:
        return False
    return True


def _scale(unit: SoftmaxUnit, build: Variant, rows: Rows, ratio: float) -> list[str]:
    """The figures of rows of the default build, if an input is worth `ratio` times what it was."""
    parameters, frac = unit.resolve(build.parameters), rows.settings["frac"]
    x, given = rows.x, {"frac": frac}
    logits = ratio * unit.logits(unit.resolve({}), rows)
    if {*SCALED} <= {*parameters}:
        x, given = unit.scores(parameters, logits, ratio * np.ldexp(1.0, -frac)[:, None])
        given = {name: np.ravel(value) for name, value in given.items()}
    run = rtl.rows_of(
        *(unit, parameters, x, rows.mask),
        settings={**build.settings, **given},
        length=rows.length,
    )
    result = unit.result(parameters, unit.predict(parameters, run), run.settings)
    exact = reference.softmax(logits, rows.mask)
    found = metrics.softmax_errors(result.to_real(), exact, rows.mask, result.half_lsb())
    return _shown(found.as_dict(), SCALE_FIGURES)


# --- the plots ------------------------------------------------------------------------------------


def stamp(lines: Sequence[Sequence[str]]) -> str:
    """A hash of the plotted lines, stored in the plot."""
    return hashlib.sha256(repr([list(line) for line in lines]).encode()).hexdigest()[:16]


def plot_lengths(lines: Sequence[Sequence[str]], builds: Mapping[str, str]) -> bytes:
    """Mean row sums over the length as SVG. builds: which, by name, with what they are called.

    Raises ImportError without matplotlib.
    """
    drawn = {}
    for build, text in builds.items():
        some = [line for line in lines if line[0] == build]
        drawn[text] = [float(line[1]) for line in some], [float(line[3]) for line in some]
    about = ("keys of a row", "mean sum of a row's outputs; 1 is right")
    return _plot("Rows of normal logits, deviation 1", drawn, about, lines, "LENGTHS", np.log10)


def plot_means(lines: Sequence[Sequence[str]], builds: Mapping[str, str]) -> bytes:
    """Errors of the standard deviation over a row's mean as SVG, builds as lines.

    Raises ImportError without matplotlib.
    """
    drawn = {}
    for build, text in builds.items():
        some = [line for line in lines if line[0] == build and line[1] == str(PLOTTED)]
        worst = [abs(_number(line[3])) + 2 * _number(line[4]) for line in some]
        drawn[text] = [float(line[2]) for line in some], worst
    about = ("mean of a row, in deviations", "|bias| + 2 spreads of the deviation, %")
    title = f"LayerNorm rows of {CHANNELS} normal values, deviation of {PLOTTED} input steps"
    return _plot(title, drawn, about, lines, "MEANS")


def _number(cell: str) -> float:
    return float(cell.removesuffix(" %"))


def _plot(
    title: str,
    drawn: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    about: tuple[str, str],
    lines: Sequence[Sequence[str]],
    word: str,
    scale: Callable | None = None,
) -> bytes:
    import matplotlib
    from matplotlib.figure import Figure

    style = {"svg.hashsalt": "softnorm", "svg.fonttype": "path", "font.size": 9}
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **style}):
        figure = Figure(figsize=(7.2, 3.4), layout="constrained", facecolor="white")
        axes = figure.subplots()
        axes.set_title(title, loc="left", fontsize=10)
        for (text, (x, y)), look in zip(drawn.items(), itertools.cycle(STYLES), strict=False):
            colour, dash, width = look
            axes.plot(x, y, label=text, color=colour, linestyle=dash, linewidth=width, marker=".")
        ticks = sorted({at for x, _ in drawn.values() for at in x})
        if scale is not None:
            axes.set_xscale("log")
        else:
            axes.set_yscale("symlog", linthresh=1)
            axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
        axes.set_xticks(ticks, [f"{at:g}" for at in ticks])
        axes.minorticks_off()
        axes.set_ylim(0, None)
        axes.set_xlabel(about[0])
        axes.set_ylabel(about[1])
        axes.grid(color="#dddddd", linewidth=0.5)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(
            loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8, borderaxespad=0
        )
        file = io.BytesIO()
        creator = {"Creator": f"make accuracy {word}=1", "Description": f"of {stamp(lines)}"}
        figure.savefig(file, format="svg", metadata={"Date": None, **creator})
    return file.getvalue()
