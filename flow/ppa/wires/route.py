# SPDX-License-Identifier: Apache-2.0
"""Routing with qrouter, as far as it comes in its time, and the lengths of its wires by layer."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...errors import UserError
from . import job
from .design import Design, Net
from .lef import Technology
from .place import Placement

NAME = "routed"
_UNITS = 100  # a micrometre in DEF
_MARGIN = 4  # tracks around the rows

Segment = tuple[str, float, float, float, float]  # layer, from x and y, to x and y


class RouteError(UserError):
    """qrouter did not start."""

    exit_code = 1


@dataclass(frozen=True)
class Routes:
    """Wires by net, in micrometres from the rows' lower left corner; how the run ended."""

    segments: dict[Net, list[Segment]]
    vias: dict[Net, int]
    how: str

    def length(self, net: Net) -> float:
        """Of a net's wires."""
        return sum(_length(one) for one in self.segments[net])

    def capacitance(self, net: Net, technology: Technology) -> float:
        """Of a net's wires, in femtofarads."""
        return sum(
            _length(one) * technology.layer(one[0]).capacitance for one in self.segments[net]
        )


def _length(segment: Segment) -> float:
    _, x0, y0, x1, y1 = segment
    return abs(x1 - x0) + abs(y1 - y0)


# A second write_def leaves out what the first has written: hence one, at the end.
_SCRIPT = """\
verbose 1
read_lef {lef}
catch {{layers {layers}}}
via stack all
vdd vdd
gnd gnd
read_def {name}.def
set begun [clock seconds]
set left [stage1]
foreach {{mask effort}} {{10 10 20 10 50 20 none 20 none 50 none 100}} {{
  if {{$left == 0 || [clock seconds] - $begun > {soft}}} break
  set left [stage2 mask $mask effort $effort]
}}
write_def {name}_1.def
quit
"""


def route(
    design: Design, placed: Placement, folder: Path, limit: float, say: Callable[[str], None]
) -> Routes:
    """Route in `folder` for `limit` seconds at the most; what is not routed then stays so.

    Raises RouteError.
    """
    technology = placed.technology
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{NAME}.def").write_text(definition(design, placed))
    (folder / "route.tcl").write_text(
        _SCRIPT.format(
            lef=technology.path, layers=len(technology.layers), name=NAME, soft=limit / 2
        )
    )
    made = folder / f"{NAME}_1.def"
    made.unlink(missing_ok=True)
    well, how = job.run(["qrouter", "-nog", "-s", "route.tcl"], folder, limit, say)
    if not made.exists():
        if well:
            raise RouteError(f"qrouter has written nothing: {how}")
        return Routes({}, {}, how)
    return parse(made.read_text(), how)


def definition(design: Design, placed: Placement) -> str:
    """Cells, ports and nets as DEF."""
    technology = placed.technology
    down = next(layer for layer in technology.layers[1:] if not layer.across)
    along = next(layer for layer in technology.layers[1:] if layer.across)
    margin = _MARGIN * down.pitch, _MARGIN * along.pitch

    def at(x: float, y: float) -> str:
        return f"( {round(_UNITS * x)} {round(_UNITS * y)} )"

    lines = [
        "VERSION 5.6 ;",
        "NAMESCASESENSITIVE ON ;",
        'DIVIDERCHAR "/" ;',
        'BUSBITCHARS "[]" ;',
        f"DESIGN {design.netlist.unit.name} ;",
        f"UNITS DISTANCE MICRONS {_UNITS} ;",
        f"DIEAREA {at(-margin[0], -margin[1])} "
        f"{at(placed.width + margin[0], placed.height + margin[1])} ;",
    ]
    for layer in technology.layers:
        size = placed.height + 2 * margin[1] if layer.across else placed.width + 2 * margin[0]
        start = layer.offset - (margin[1] if layer.across else margin[0])
        lines.append(
            f"TRACKS {'Y' if layer.across else 'X'} {round(_UNITS * start)} DO "
            f"{int(size / layer.pitch)} STEP {round(_UNITS * layer.pitch)} LAYER {layer.name} ;"
        )
    lines.append(f"COMPONENTS {len(design.cells)} ;")
    for place, cell in enumerate(design.cells):
        corner = at(placed.left[place], placed.row[place] * technology.height)
        lines.append(f"- c{place} {cell.kind} + PLACED {corner} {placed.way[place]} ;")
    lines.append("END COMPONENTS")
    # qrouter finds a port by its net's name alone: the first of a net's ports stands for all.
    ports = {net: port for port, net in [*design.outputs.items(), *design.inputs.items()]}
    used: set[tuple[float, float]] = set()
    pins = []
    for net, port in ports.items():
        if port not in placed.ports:
            continue
        x, y = placed.ports[port]
        upright = y <= 0 or y >= placed.height
        layer = down if upright else along
        x = down.offset + down.pitch * round((x - down.offset) / down.pitch)
        y = along.offset + along.pitch * round((y - along.offset) / along.pitch)
        if upright:
            y = along.offset - 2 * along.pitch if y < placed.height / 2 else placed.height + 1.5
        else:
            x = down.offset - 2 * down.pitch if x < placed.width / 2 else placed.width + 1.2
        while (x, y) in used:
            x, y = (round(x + down.pitch, 3), y) if upright else (x, round(y + along.pitch, 3))
        used.add((x, y))
        pins.append(
            f"- {design.word(net)} + NET {design.word(net)} + LAYER {layer.name} ( 0 0 ) ( 1 1 ) "
            f"+ PLACED {at(x, y)} N ;"
        )
    lines += [f"PINS {len(pins)} ;", *pins, "END PINS"]
    nets = design.nets()
    lines.append(f"NETS {len(nets)} ;")
    for net, of in nets.items():
        words = dict.fromkeys(
            f"( PIN {design.word(net)} )" if pin.cell < 0 else f"( c{pin.cell} {pin.name} )"
            for pin in of
        )
        # qrouter finds the name alone on its line when it writes the routes.
        lines += [f"- {design.word(net)}", *(f"  {word}" for word in words), ";"]
    lines += ["END NETS", "END DESIGN", ""]
    return "\n".join(lines)


_POINT = re.compile(r"\(\s*(\S+)\s+(\S+)(?:\s+\S+)?\s*\)")


def parse(text: str, how: str = "") -> Routes:
    """The wires in a routed DEF file's text."""
    found = re.search(r"UNITS\s+DISTANCE\s+MICRONS\s+(\d+)", text)
    units = float(found[1]) if found else _UNITS
    segments: dict[Net, list[Segment]] = defaultdict(list)
    vias: dict[Net, int] = defaultdict(int)
    nets = text.partition("\nNETS")[2].partition("\nEND NETS")[0]
    for word, body in re.findall(r"^\s*-\s+n(\d+)\s(.*?);", nets, re.M | re.S):
        net = int(word)
        routed = re.split(r"\+\s*ROUTED|\+\s*FIXED|\bNEW\b", body)[1:]
        for wire in routed:
            wire = wire.partition("+")[0]
            layer = wire.split()[0]
            x, y, last = 0.0, 0.0, 0
            for point in _POINT.finditer(wire):
                to = tuple(
                    old if given == "*" else float(given) / units
                    for given, old in zip(point.groups(), (x, y), strict=True)
                )
                if last:
                    segments[net].append((layer, x, y, *to))
                (x, y), last = to, point.end()
            segments.setdefault(net, [])
            vias[net] += bool(wire[last:].strip())
    return Routes(dict(segments), dict(vias), how)
