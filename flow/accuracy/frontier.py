# SPDX-License-Identifier: Apache-2.0
"""Accuracy against storage: every unit and variant, the Pareto frontier, and a plot.

The cost of a variant is its buffer bits per element between the passes, and its constant tables. It
is on the frontier of its kind, softmax or LayerNorm, if no other variant is at least as good in
error, bits and table bytes and better in one of them. Operations are not counted. The divergence in
long rows, which the shipped tensors do not have, is an error of its own with a frontier of its own.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from softnorm.units.unit import Unit, Variant

from ..networks import digits_accuracy
from ..sim import report
from . import reach
from . import tables as accuracy

PLOT = "frontier.svg"
MARKERS = "osD^vPX<>*"


@dataclass(frozen=True)
class Point:
    """A variant: an error, and what it stores.

    error: on the shipped tensors mean and absolute, of an element; in long rows the divergence.
    errors_in: what the error is; points with the same one are compared.
    bits: of an element in the buffers between passes, in a row of MAX_LEN, what a row has beside
    its elements included. tables: bytes of constant tables, those that only hold indices left out.
    best: on the frontier.
    """

    unit: Unit
    variant: Variant
    error: float
    errors_in: str
    bits: float
    tables: float
    best: bool = False

    @property
    def label(self) -> str:
        """The variant in a few words."""
        return accuracy.label(self.unit, self.variant)


def points(
    results: Sequence[accuracy.Measured], long: Mapping[str, Mapping[int, float]] | None = None
) -> list[Point]:
    """Return the variants that a network of LayerNorms can have, in order, with `best` set.

    long: as of `reach.divergences`; those variants follow again, with their errors in long rows.
    """
    found = []
    for result in results:
        unit = result.unit
        wanted = digits_accuracy.network_variants(unit)
        for line in result.lines:
            if line.variant not in wanted:
                continue
            parameters = unit.resolve(line.variant.parameters)
            found.append(
                Point(
                    unit,
                    line.variant,
                    line.figures["mean_abs_error"],
                    f"mean absolute error ({unit.value_unit})",
                    unit.row_bits(parameters) / parameters["MAX_LEN"],
                    report.table_bytes(unit, parameters),
                )
            )
    for keys in accuracy.LONG:
        by_build = {build: of[keys] for build, of in (long or {}).items() if keys in of}
        found += [
            replace(point, error=by_build[build], errors_in=reach.axis(keys))
            for point in found
            if point.errors_in.startswith("mean")
            and (build := digits_accuracy.label(point.unit, point.variant)) in by_build
        ]
    costs = np.array([_costs(point) for point in found])
    kinds = np.array([point.errors_in for point in found])
    return [
        replace(point, best=not _beaten(one, costs[kinds == kind]))
        for point, one, kind in zip(found, costs, kinds, strict=True)
    ]


def _costs(point: Point) -> tuple[float, float, float]:
    """What of a point is compared; of an error as many digits as are the same everywhere."""
    return float(f"{point.error:.8e}"), point.bits, point.tables


def _beaten(one: np.ndarray, others: np.ndarray) -> bool:
    """Whether any of others [points, 3] is nowhere worse than one [3], and somewhere better."""
    return bool(((others <= one).all(axis=1) & (others < one).any(axis=1)).any())


# --- the table ------------------------------------------------------------------------------------

TITLES = ("unit", "bits", "table bytes", "mean abs", "errors in", "digits", "as float", "frontier")


def cells(
    found: Sequence[Point], in_digits: Iterable[digits_accuracy.Line]
) -> Iterable[tuple[str, ...]]:
    """Yield the lines under TITLES. in_digits: each point in the vision transformer, in order."""
    # What follows in `in_digits`, pairs of units, is not asked for.
    for point, line in zip(found, in_digits, strict=False):
        yield (
            point.label,
            f"{point.bits:.2f}",
            f"{point.tables:.0f}",
            accuracy.figure(point.error),
            point.unit.value_unit,
            f"{line.correct}/{line.images}",
            f"{100 * line.kept / line.images:.2f} %",
            "yes" if point.best else "",
        )


# --- the plot -------------------------------------------------------------------------------------


def stamp(found: Sequence[Point]) -> str:
    """A hash of the plotted figures, stored in the plot."""
    shown = [
        (
            *(point.label, point.errors_in, accuracy.figure(point.error)),
            *(point.bits, point.tables, point.best),
        )
        for point in found
    ]
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def plot(found: Sequence[Point]) -> bytes:
    """The errors against bits and against tables as SVG, a row of panels for each kind of error.

    The same points make the same bytes. Raises ImportError without matplotlib.
    """
    import matplotlib
    from matplotlib.figure import Figure

    kinds = list(dict.fromkeys(point.errors_in for point in found))
    style = {"svg.hashsalt": "softnorm", "svg.fonttype": "path", "font.size": 9}
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **style}):
        drawn = Figure(figsize=(8.4, 3.2 * len(kinds)), layout="constrained", facecolor="white")
        drawn.suptitle(
            "Errors on real tensors and in long rows, against what is stored", fontsize=11
        )
        for row, kind in zip(drawn.subplots(len(kinds), 2, squeeze=False), kinds, strict=True):
            _panels(row, [point for point in found if point.errors_in == kind])
        file = io.BytesIO()
        about = {
            "Date": None,
            "Creator": "make accuracy FRONTIER=1",
            "Description": f"of {stamp(found)}",
        }
        drawn.savefig(file, format="svg", metadata=about)
    return file.getvalue()


def _panels(row, found: Sequence[Point]) -> None:
    by_unit: dict[str, list[Point]] = {}
    for point in found:
        by_unit.setdefault(accuracy.head(point.unit), []).append(point)
    widest = max(point.error for point in found) / min(point.error for point in found)
    costs = ("bits", "bits stored for an element"), ("tables", "bytes of tables")
    for axes, (cost, about) in zip(row, costs, strict=True):
        for place, (name, group) in enumerate(by_unit.items()):
            colour = accuracy.STYLES[place % len(accuracy.STYLES)][0]
            for best in (False, True):
                some = [point for point in group if point.best == best]
                axes.plot(
                    [getattr(point, cost) for point in some],
                    [point.error for point in some],
                    linestyle="none",
                    marker=MARKERS[place % len(MARKERS)],
                    markersize=6,
                    color=colour,
                    markerfacecolor=colour if best else "none",
                    label=name if best == any(point.best for point in group) else None,
                )
        if widest > 10:
            axes.set_yscale("log")
            axes.yaxis.set_minor_formatter(lambda error, _: "")
        else:
            axes.set_ylim(0, 1.08 * max(point.error for point in found))
        axes.yaxis.set_major_formatter(lambda error, _: f"{error:g}")
        axes.set_xlabel(about)
        axes.grid(color="#dddddd", linewidth=0.5, which="both")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    row[0].set_xlim(0, 1.08 * max(point.bits for point in found))
    row[1].set_xscale("symlog", linthresh=1)
    row[1].xaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
    row[1].set_xlim(-0.3, 2 * max(point.tables for point in found))
    row[0].set_ylabel(found[0].errors_in)
    row[0].set_title("filled: on the frontier", loc="left", fontsize=9)
    row[1].legend(
        loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8, borderaxespad=0
    )
