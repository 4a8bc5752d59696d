# SPDX-License-Identifier: Apache-2.0
"""What a row costs in bulk, through RTL and model, over length and LANES: figures, fit, plot."""

from __future__ import annotations

import io
import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from softnorm.units import UNITS

from ..build.bulk import bulk_build
from ..bulk.rtl import Instance
from .bulk import random_rows, score

MEASURED = ("e2softmax", "ailayernorm")
BEATS = 40_000  # of a batch, at most
ELEMENTS = 2_000_000
LANES = (1, 2, 4, 8, 16, 32, 64)
LENGTHS = (32, 64, 128, 256, 512, 1024, 2048, 4096)
_DRAWN_LANES = (1, 8, 64)


@dataclass(frozen=True)
class Scored:
    """A batch of `rows` of one length, compared with the model.

    rtl_s, model_s  seconds of the processor, of the engine and of model and comparison
    """

    unit: str
    lanes: int
    length: int
    rows: int
    rtl_s: float
    model_s: float

    @property
    def seconds(self) -> float:
        return self.rtl_s + self.model_s

    @property
    def beats(self) -> int:
        return self.rows * -(-self.length // self.lanes)

    @property
    def rows_per_s(self) -> float:
        return self.rows / self.seconds

    @property
    def beats_per_s(self) -> float:
        return self.beats / self.seconds

    @property
    def model_share(self) -> float:
        return self.model_s / self.seconds


@dataclass(frozen=True)
class Fit:
    """seconds = rows * row + beats * beat + elements * element, over all of a unit's batches.

    Least squares of the relative errors, no coefficient below 0. `off` is the median of what a
    batch took over what the fit says, or the other way round, whichever is larger; `worst` is the
    batch that is furthest off, with what it took over what the fit says.
    """

    unit: str
    row: float
    beat: float
    element: float
    off: float
    worst: Scored
    ratio: float

    def seconds(self, rows: int, beats: int, elements: int) -> float:
        """What the fit says of a batch."""
        return rows * self.row + beats * self.beat + elements * self.element


def rows_scored(
    units: Sequence[str] = MEASURED,
    repeats: int = 3,
    on_progress: Callable[[str], None] = lambda words: None,
) -> list[Scored]:
    """Time rows of random values over LANES and LENGTHS, no stalls; medians of `repeats`."""
    results = []
    for unit, lanes in itertools.product(map(UNITS.get, units), LANES):
        on_progress(f"{unit.name} LANES={lanes}")
        parameters = unit.resolve({"LANES": lanes, "MAX_LEN": LENGTHS[-1]})
        with Instance(bulk_build(unit, parameters)) as instance:
            for length in LENGTHS:
                count = max(4, min(BEATS // -(-length // lanes), ELEMENTS // length))
                rows = random_rows(unit, parameters, count, length)
                times = [score(instance, rows) for _ in range(repeats)]
                medians = map(statistics.median, zip(*times, strict=True))
                results.append(Scored(unit.name, lanes, length, count, *medians))
    return results


def fitted(results: Sequence[Scored]) -> Fit:
    """The fit of one unit's batches."""
    seconds = np.array([one.seconds for one in results])
    sizes = np.array([(one.rows, one.beats, one.rows * one.length) for one in results], float)
    found, least = np.zeros(3), np.inf
    for number in range(1, 4):  # the best of all choices of terms that needs none below 0
        for terms in map(list, itertools.combinations(range(3), number)):
            relative = sizes[:, terms] / seconds[:, None]
            chosen, *_ = np.linalg.lstsq(relative, np.ones(len(seconds)), rcond=None)
            error = ((relative @ chosen - 1) ** 2).sum()
            if (chosen >= 0).all() and error < least:
                least, found = error, np.zeros(3)
                found[terms] = chosen
    ratio = seconds / (sizes @ found)
    off = np.maximum(ratio, 1 / ratio)
    worst = int(off.argmax())
    return Fit(
        results[0].unit,
        *found.tolist(),
        off=float(np.median(off)),
        worst=results[worst],
        ratio=float(ratio[worst]),
    )


def fits(results: Sequence[Scored]) -> list[Fit]:
    """The fit of each unit."""
    return [fitted(list(group)) for _, group in itertools.groupby(results, lambda one: one.unit)]


def plot(results: Sequence[Scored]) -> bytes:
    """Cost of a row over its length as SVG, a panel a unit. Raises ImportError without matplotlib.

    Marks are measured, lines are the fit's; the model alone is dotted.
    """
    import matplotlib
    from matplotlib.figure import Figure

    style = {"svg.hashsalt": "softnorm", "svg.fonttype": "path", "font.size": 9}
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **style}):
        every = fits(results)
        drawn = Figure(figsize=(7.2, 3.6), layout="constrained", facecolor="white")
        drawn.suptitle("A row through RTL and model in bulk, compared, on one core", fontsize=11)
        panels = drawn.subplots(1, len(every), squeeze=False, sharey=True)[0]
        for axes, fit in zip(panels, every, strict=True):
            mine = [one for one in results if one.unit == fit.unit]
            _panel(axes, fit, mine)
        panels[0].set_ylabel("microseconds a row")
        file = io.BytesIO()
        drawn.savefig(file, format="svg", metadata={"Date": None, "Creator": "make bench"})
    return file.getvalue()


def _panel(axes, fit: Fit, results: Sequence[Scored]) -> None:
    """The rows of one unit."""
    shown = [lanes for lanes in _DRAWN_LANES if any(one.lanes == lanes for one in results)]
    for colour, lanes in zip(("#b35900", "#1b6ca8", "#4a7a2b"), shown, strict=False):
        some = [one for one in results if one.lanes == lanes]
        lengths = np.array([one.length for one in some])
        cost = [1e6 * one.seconds / one.rows for one in some]
        line = [1e6 * fit.seconds(1, -(-int(n) // lanes), int(n)) for n in lengths]
        axes.plot(lengths, cost, "o", color=colour, markersize=4, label=f"LANES={lanes}")
        axes.plot(lengths, line, "-", color=colour, linewidth=1)
    last = [one for one in results if one.lanes == shown[-1]]
    model = [1e6 * one.model_s / one.rows for one in last]
    axes.plot([one.length for one in last], model, ":", color="#555555", label="model alone")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sorted({one.length for one in results}))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.tick_params(axis="x", labelrotation=45)
    axes.set_xlabel("elements a row")
    axes.set_title(fit.unit, fontsize=10)
    axes.grid(True, which="major", linewidth=0.4, color="#dddddd")
    axes.legend(fontsize=8, frameon=False)
