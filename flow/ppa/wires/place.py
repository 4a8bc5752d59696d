# SPDX-License-Identifier: Apache-2.0
"""Placing with graywolf, and rows of cells that do not overlap.

graywolf says in which row a cell lies and which ones are beside it. The rows are then laid out
anew, in places of the library's site, with the room that the router needs spread between cells.
"""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...errors import UserError
from . import job
from .design import Design, Net, Pin
from .lef import Technology

NAME = "placed"
_UNITS = 100  # a micrometre in graywolf's unit
# In graywolf's numbers from 0 on, as DEF names them. Standard cells take the first four.
_WAYS = ("N", "FS", "FN", "S", "FE", "FW", "W", "E")


class PlaceError(UserError):
    """graywolf did not place the cells."""

    exit_code = 1


@dataclass
class Placement:
    """Where cells lie. Lengths in micrometres, from the lower left corner of the rows.

    rows    cells of each row from left to right, from the lowest row up
    left    of each cell
    way     of each cell: N, FS, FN or S
    ports   middle of each port's bit
    """

    technology: Technology
    rows: list[list[int]]
    left: dict[int, float]
    way: dict[int, str]
    ports: dict[str, tuple[float, float]]
    width: float = 0.0
    row: dict[int, int] = field(default_factory=dict)

    @property
    def height(self) -> float:
        """Of all rows."""
        return len(self.rows) * self.technology.height

    @property
    def area(self) -> float:
        """Of all rows, in square micrometres."""
        return self.width * self.height

    def pin(self, design: Design, pin: Pin) -> tuple[float, float]:
        """The middle of a pin."""
        if pin.cell < 0:
            return self.ports[pin.name]
        macro = self.technology.macro(design.cells[pin.cell].kind)
        x, y = macro.pin(pin.name)
        way = self.way[pin.cell]
        if way in ("FN", "S"):
            x = macro.width - x
        if way in ("FS", "S"):
            y = macro.height - y
        return self.left[pin.cell] + x, self.row[pin.cell] * macro.height + y

    def half_perimeter(self, design: Design, pins: Sequence[Pin]) -> float:
        """Of the box around the pins."""
        places = np.array([self.pin(design, pin) for pin in pins])
        return float(np.ptp(places, axis=0).sum())


def require() -> None:
    """Raise UserError, saying what to install, unless graywolf and qrouter can run."""
    if missing := [name for name in ("graywolf", "qrouter") if shutil.which(name) is None]:
        raise UserError(
            f"WIRES=1 needs {' and '.join(missing)}: run `apt-get install "
            "--no-install-recommends graywolf qrouter`"
        )


def place(
    design: Design,
    technology: Technology,
    folder: Path,
    limit: float,
    say: Callable[[str], None],
) -> list[str]:
    """Run graywolf in `folder` within `limit` seconds; return the lines of what it placed.

    Raises UserError without it, PlaceError.
    """
    require()
    parameters = technology.path.with_name(re.sub(r"_stdcells$", "", technology.path.stem) + ".par")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        (folder / f"{NAME}.par").write_text(parameters.read_text())
    except OSError as error:
        raise UserError(f"cannot read {parameters}: {error.strerror}") from None
    (folder / f"{NAME}.cel").write_text(cells(design, technology))
    well, how = job.run(["graywolf", "-n", NAME], folder, limit, say)
    found = folder / f"{NAME}.pl1"
    if not well or not found.exists():
        raise PlaceError(f"{design.netlist.unit.name} is not placed: {how}")
    return found.read_text().splitlines()


def cells(design: Design, technology: Technology) -> str:
    """graywolf's input: cells with their pins from the middle, then the ports."""
    lines = []

    def pin(name: str, net: Net, x: float, y: float) -> str:
        return f"pin name {name} signal n{net} layer 1 {round(_UNITS * x)} {round(_UNITS * y)}"

    pitch = next(layer.pitch for layer in technology.layers if not layer.across)
    for place, cell in enumerate(design.cells):
        macro = technology.macro(cell.kind)
        x, y = (round(_UNITS * size / 2) for size in (macro.width, macro.height))
        lines.append(f"cell {place} c{place}")
        lines.append(f"left {-x} right {x} bottom {-y} top {y}")
        for number in range(int(macro.width / pitch)):
            at = round(_UNITS * pitch * (number + 0.5)) - x
            lines.append(f"pin name twfeed{number + 1} signal TW_PASS_THRU layer 1 {at} {-y}")
            lines.append(f"   equiv name twfeed{number + 1} layer 1 {at} {y}")
        for name, net in cell.pins.items():
            if net not in design.ideal:
                at = macro.pin(name)
                lines.append(pin(name, net, at[0] - macro.width / 2, at[1] - macro.height / 2))
    number = 0
    x, y = (
        round(_UNITS * layer.pitch / 2) for layer in (technology.layers[1], technology.layers[0])
    )
    for port, net in [*design.inputs.items(), *design.outputs.items()]:
        if net not in design.ideal:
            number += 1
            lines.append(f"pad {number} name twpin_{port}")
            lines.append(f"corners 4 {-x} {-y} {-x} {y} {x} {y} {x} {-y}")
            lines.append(pin(port, net, 0, 0))
    return "\n".join([*lines, ""])


def rows(design: Design, technology: Technology, lines: Sequence[str], fill: float) -> Placement:
    """The rows of what graywolf placed, `fill` of their width taken by cells. Raises PlaceError."""
    boxes: dict[int, tuple[int, int, int, int, int]] = {}
    ports: dict[str, tuple[float, float]] = {}
    for line in lines:
        found = re.match(r"\s*(\S+)" + r"\s+(-?\d+)" * 6, line)
        if found is None:
            continue
        name, *numbers = found.groups()
        left, bottom, right, top, way, _ = map(int, numbers)
        if name.startswith("twpin_"):
            ports[name.removeprefix("twpin_")] = ((left + right) / 2, (bottom + top) / 2)
        elif re.fullmatch(r"c\d+", name):
            boxes[int(name[1:])] = (left, bottom, right, top, way)
    if len(boxes) < len(design.cells):
        raise PlaceError(f"graywolf placed {len(boxes)} of {len(design.cells)} cells")
    levels: dict[int, list[int]] = defaultdict(list)
    for place, box in boxes.items():
        levels[box[1]].append(place)
    ordered = [sorted(levels[y], key=lambda place: boxes[place][0]) for y in sorted(levels)]
    x0, x1 = min(b[0] for b in boxes.values()), max(b[2] for b in boxes.values())
    y0, y1 = min(levels), max(b[3] for b in boxes.values())
    placed = Placement(
        technology,
        ordered,
        {place: (box[0] - x0) / _UNITS for place, box in boxes.items()},
        {},
        {},
        (x1 - x0) / _UNITS,
    )
    spread(design, placed, fill)
    # Ports keep their place beside the rows, which are wider now.
    for port, (x, y) in ports.items():
        placed.ports[port] = (
            min(max((x - x0) / (x1 - x0), 0.0), 1.0) * placed.width,
            min(max((y - y0) / (y1 - y0), 0.0), 1.0) * placed.height,
        )
    return placed


def spread(design: Design, placed: Placement, fill: float) -> None:
    """Lay the rows out: no overlap, every cell near where it was, `fill` of the rows' width taken.

    Cells stand upright in even rows and upside down in odd ones, so that rows share their rails.
    """
    site = placed.technology.site
    sizes = [round(placed.technology.macro(cell.kind).width / site) for cell in design.cells]
    taken = [sum(sizes[place] for place in row) for row in placed.rows]
    # No row can be wider than the core; all together have the room that was asked for.
    places = max(max(taken), round(sum(taken) / len(taken) / fill))
    scale = places * site / placed.width
    for number, row in enumerate(placed.rows):
        # Room to the left of each cell that puts it where it was, as far as the row's end allows.
        left = 0
        behind = taken[number]
        for place in row:
            wanted = round(placed.left[place] * scale / site)
            left = min(max(wanted, left), places - behind)
            placed.left[place] = left * site
            placed.row[place] = number
            placed.way[place] = "FS" if number % 2 else "N"
            left += sizes[place]
            behind -= sizes[place]
    old = placed.width
    placed.width = places * site
    placed.ports = {port: (x * placed.width / old, y) for port, (x, y) in placed.ports.items()}
