# SPDX-License-Identifier: Apache-2.0
"""The plots of docs/ppa.md. matplotlib is needed for nothing else here (the extra `plot`)."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from softnorm.units import UNITS

from ..accuracy.frontier import MARKERS
from ..accuracy.tables import STYLES
from .pareto import Point
from .store import Kept, plain, size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARETO, LANES = "ppa_pareto.svg", "ppa_lanes.svg"


def stamp(shown: object) -> str:
    """A hash of the plotted figures, stored in the plot."""
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def shown_points(found: Sequence[Point]) -> list[tuple]:
    """The points of the Pareto plot."""
    return [
        (
            *(one.kept.figures.unit, one.errors_in, one.error, round(one.area)),
            None if one.energy is None else round(one.energy, 2),
            *(one.least_area, one.least_energy),
        )
        for one in found
    ]


def pareto(found: Sequence[Point]) -> bytes:
    """Errors against area and energy as SVG, a row of panels for each kind of error.

    The same points make the same bytes. Raises ImportError without matplotlib.
    """
    shown = shown_points(found)
    kinds = list(dict.fromkeys(kind for _, kind, *_ in shown))
    titles = "Errors on real tensors and in long rows, against area and energy"
    axes = {one.errors_in: one.errors_in for one in found if one.keys}

    def draw(drawn: Figure) -> None:
        for row, kind in zip(drawn.subplots(len(kinds), 2, squeeze=False), kinds, strict=True):
            _pareto_row(row, [line for line in shown if line[1] == kind])
            row[0].set_ylabel(axes.get(kind, f"mean absolute error ({kind})"))

    return _svg(titles, (8.4, 3.2 * len(kinds)), stamp(shown), draw)


def _pareto_row(row: Sequence[Axes], shown: Sequence[tuple]) -> None:
    names = list(dict.fromkeys(line[0] for line in shown))
    costs = ((3, 5, 1e6, "area with SRAM, mm2"), (4, 6, 1, "energy with SRAM, pJ an element"))
    for axes, (cost, best, unit, about) in zip(row, costs, strict=True):
        for place, name in enumerate(names):
            colour = STYLES[place % len(STYLES)][0]
            of = [line for line in shown if line[0] == name and line[cost] is not None]
            for filled in (False, True):
                some = [line for line in of if line[best] == filled]
                axes.plot(
                    [line[cost] / unit for line in some],
                    [line[2] for line in some],
                    linestyle="none",
                    marker=MARKERS[place % len(MARKERS)],
                    color=colour,
                    markerfacecolor=colour if filled else "none",
                )
            # The legend's own, so that a name does not need a point.
            axes.plot([], [], MARKERS[place % len(MARKERS)], color=colour, label=name)
        _plain_axes(axes)
        errors = [line[2] for line in shown]
        if max(errors) > 10 * min(errors):
            axes.set_yscale("log")
            axes.yaxis.set_minor_formatter(lambda value, _: "")
        else:
            axes.set_ylim(0, 1.08 * max(errors))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        most = max((line[cost] / unit for line in shown if line[cost] is not None), default=1)
        axes.set_xlim(0, 1.08 * most)
        axes.set_xlabel(about)
    row[0].set_title("filled: none is better in both", loc="left", fontsize=9)
    row[1].legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8)


def shown_lanes(cells: Sequence[Kept]) -> list[tuple]:
    """The curves: (unit, MAX_LEN, [(LANES, area, Fmax)]), of two points or more."""
    curves: dict[tuple[str, int], list] = {}
    for one in plain(cells):
        lanes, longest = size(one.figures)
        point = lanes, round(one.figures.logic), round(one.figures.fmax, 1)
        curves.setdefault((one.figures.unit, longest), []).append(point)
    found = [(*key, sorted(curve)) for key, curve in curves.items() if len(curve) > 1]
    return sorted(found, key=lambda curve: (list(UNITS).index(curve[0]), curve[1]))


def lanes(cells: Sequence[Kept]) -> bytes:
    """Area and Fmax against LANES as SVG, a column of panels for each kind of unit.

    The same figures make the same bytes. Raises ImportError without matplotlib.
    """
    curves = shown_lanes(cells)
    kinds = list(dict.fromkeys(UNITS[unit].value_unit for unit, *_ in curves))

    def draw(drawn: Figure) -> None:
        panels = drawn.subplots(2, len(kinds), squeeze=False, sharex=True)
        for column, kind in zip(panels.T, kinds, strict=True):
            _lanes_column(column, [c for c in curves if UNITS[c[0]].value_unit == kind])
        panels[0][0].set_ylabel("area of the logic, mm2")
        panels[1][0].set_ylabel("Fmax, MHz")

    return _svg("Area and Fmax against LANES", (4.4 * len(kinds), 8), stamp(curves), draw)


def _lanes_column(column: Sequence[Axes], curves: Sequence[tuple]) -> None:
    names = list(dict.fromkeys(unit for unit, *_ in curves))
    lengths = sorted({longest for _, longest, _ in curves})
    for unit, longest, curve in curves:
        place = names.index(unit)
        style = {
            "color": STYLES[place % len(STYLES)][0],
            "marker": MARKERS[place % len(MARKERS)],
            "markersize": 4,
            "linestyle": ("-", "--", ":", "-.")[(len(lengths) - 1 - lengths.index(longest)) % 4],
            "label": f"{unit}, MAX_LEN {longest}",
        }
        across = [lanes for lanes, _, _ in curve]
        column[0].plot(across, [area / 1e6 for _, area, _ in curve], **style)
        column[1].plot(across, [fmax for *_, fmax in curve], **style)
    for axes in column:
        _plain_axes(axes)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    column[0].set_yscale("log", subs=(2, 5))
    column[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    column[0].yaxis.set_minor_formatter(lambda value, _: f"{value:g}")
    column[1].set_ylim(0, None)
    column[1].set_xlabel("LANES")
    column[1].legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), frameon=False, fontsize=8)


def _plain_axes(axes: Axes) -> None:
    axes.grid(color="#dddddd", linewidth=0.5, which="both")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _svg(title: str, inches: tuple[float, float], of: str, draw: Callable[[Figure], None]) -> bytes:
    import matplotlib
    from matplotlib.figure import Figure

    style = {"svg.hashsalt": "softnorm", "svg.fonttype": "path", "font.size": 9}
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **style}):
        drawn = Figure(figsize=inches, layout="constrained", facecolor="white")
        drawn.suptitle(title, fontsize=11)
        draw(drawn)
        file = io.BytesIO()
        about = {"Date": None, "Creator": "make ppa", "Description": f"of {of}"}
        drawn.savefig(file, format="svg", metadata=about)
    return file.getvalue()
