# SPDX-License-Identifier: Apache-2.0
"""A picture of a layout: its cells by what they are, and its wires by layer."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ..store import others
from .figures import Layout, WiredFigures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Cells by what they are, wires by layer from the lowest up.
CELLS = {
    "gate": "#c9d6e6",
    "flip-flop": "#2f6db3",
    "port of a memory": "#e08a1e",
    "buffer for wires": "#c8334a",
}
LAYERS = ("#8a8f98", "#2f6db3", "#2e9e6b", "#e08a1e", "#c8334a", "#7b52ab")


def name(figures: WiredFigures) -> str:
    """The file's name."""
    words = [f"{name}{value}" for name, value in others(figures).items()]
    return "_".join(["ppa_layout", figures.unit, str(figures.parameters["LANES"]), *words]) + ".png"


def png(figures: WiredFigures, layout: Layout) -> bytes:
    """Two panels to one scale. Raises ImportError without matplotlib."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    from PIL import Image

    width, height = layout.placed.width, layout.placed.height
    drawn = Figure(figsize=(11, 5.3 * height / width + 1.05), dpi=130, layout="constrained")
    left, right = drawn.subplots(1, 2)
    _cells(left, layout, figures.buffers)
    _wires(right, layout)
    for axes in (left, right):
        axes.set_xlim(-8, width + 8)
        axes.set_ylim(-8, height + 8)
        axes.set_aspect("equal")
        axes.tick_params(labelsize=7, length=2)
        axes.set_xlabel("um", fontsize=7)
        for spine in axes.spines.values():
            spine.set_linewidth(0.5)
    words = " ".join(f"{n}={v}" for n, v in figures.parameters.items())
    drawn.suptitle(
        f"{figures.unit} {words}: {width:.0f} x {height:.0f} um, "
        f"{100 * figures.utilisation:.0f} % of the rows taken, "
        f"{figures.wire / 1000:.0f} mm of wire",
        fontsize=9,
    )
    left.legend(
        handles=[Patch(color=colour, label=word) for word, colour in CELLS.items()],
        **_LEGEND,
    )
    names = [layer.name for layer in layout.placed.technology.layers]
    right.legend(
        handles=[
            Patch(color=colour, label=layer) for layer, colour in zip(names, LAYERS, strict=False)
        ],
        **_LEGEND,
    )
    plain, out = io.BytesIO(), io.BytesIO()
    drawn.savefig(plain, format="png")
    # Lines of a pixel in few colours: a palette is half the size.
    few = Image.open(plain).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    few.save(out, format="png", optimize=True)
    return out.getvalue()


_LEGEND = {
    "loc": "upper center",
    "bbox_to_anchor": (0.5, -0.1),
    "ncols": 6,
    "fontsize": 7,
    "frameon": False,
    "handlelength": 1.0,
    "columnspacing": 1.0,
}


def _cells(axes: Axes, layout: Layout, buffers: int) -> None:
    from matplotlib.collections import PolyCollection

    design, placed = layout.design, layout.placed
    technology = placed.technology
    first = len(design.cells) - buffers
    boxes: dict[str, list[list[tuple[float, float]]]] = {word: [] for word in CELLS}
    for place, cell in enumerate(design.cells):
        word = "gate"
        if place >= first:
            word = "buffer for wires"
        elif cell.memory:
            word = "port of a memory"
        elif design.library.cells[cell.kind].first("ff"):
            word = "flip-flop"
        x, y = placed.left[place], placed.row[place] * technology.height
        # A gap between rows, so that they can be told apart.
        x1, y1 = x + technology.macro(cell.kind).width, y + 0.86 * technology.height
        boxes[word].append([(x, y), (x1, y), (x1, y1), (x, y1)])
    for word, found in boxes.items():
        axes.add_collection(
            PolyCollection(found, facecolors=CELLS[word], edgecolors="white", linewidths=0.15)
        )
    axes.set_title("cells", fontsize=8)


def _wires(axes: Axes, layout: Layout) -> None:
    from matplotlib.collections import LineCollection

    names = [layer.name for layer in layout.placed.technology.layers]
    lines: dict[str, list] = {layer: [] for layer in names}
    for segments in layout.routes.segments.values():
        for layer, x0, y0, x1, y1 in segments:
            lines[layer].append([(x0, y0), (x1, y1)])
    for layer, colour in zip(names, LAYERS, strict=False):
        axes.add_collection(LineCollection(lines[layer], colors=colour, linewidths=0.35))
    count = len(layout.routes.segments)
    axes.set_title(f"wires of {count} routed nets" if count else "not routed", fontsize=8)
