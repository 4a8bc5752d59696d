# SPDX-License-Identifier: Apache-2.0
"""Area and energy of a bit of memory from several sources, scaled to the default library's node."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .. import lists
from ..errors import UserError
from ..paths import short

FILE = Path(__file__).with_name("memories.hjson")
# Nanometres of libraries, by how their names begin, and the supply of a node. Of another library no
# constants are known but the assumed ones.
NODES = {"osu018": 180, "sky130": 130}
VOLTS = {180: 1.8, 130: 1.8, 90: 1.2}


@dataclass(frozen=True)
class Bit:
    """Square micrometres of a bit, and picojoules for a bit read or written; `access` is None or
    nanoseconds from the clock to the data."""

    name: str
    area: float
    energy: float
    source: str
    access: float | None = None


def bits(library: str, area: float, energy: float, path: Path = FILE) -> list[Bit]:
    """The pairs of constants for a library's node, the assumed area and energy first.

    Raises UserError.
    """
    node = next((of for name, of in NODES.items() if library.startswith(name)), None)
    try:
        assumed, *others = lists.entries(path, "pairs")
        first = Bit(assumed["name"], area, energy, _words(assumed))
        return [first, *(_scaled(entry, node) for entry in others if node)]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{short(path)}: a pair is wrong: {error!r}") from None


def _words(entry: dict) -> str:
    return " ".join(entry["source"].split())


def _scaled(entry: dict, to: int) -> Bit:
    macro, node = entry["macro"], entry["node"]
    step = to / node
    # Areas go with the square of the node, capacitances and delays with the node.
    area = 1e6 * macro["mm2"] / (macro["words"] * macro["bits"]) * step**2
    mean = (macro["read"] + macro["write"]) / 2 / macro["bits"]
    energy = mean * step * (VOLTS[to] / VOLTS[node]) ** 2
    size = f"{macro['words']} words of {macro['bits']} bits"
    given = (
        f"{macro['mm2']:g} mm2, {macro['read']:g} pJ a read, {macro['write']:g} pJ a write and "
        f"{macro['access']:g} ns in {node} nm"
    )
    return Bit(
        entry["name"], area, energy, f"{_words(entry)}; {size}: {given}", macro["access"] * step
    )


def laid_out(path: Path = FILE) -> str:
    """What a macro that is laid out takes, in a sentence. Raises UserError."""
    try:
        one = lists.read(path, "laid_out")["laid_out"]
        area = one["width"] * one["height"] / one["bits"]
        return (
            f"`{one['name']}` ({one['source']}) is {one['width']:g} by {one['height']:g} um in "
            f"{one['node']} nm: {area:.1f} um2 a bit, not scaled"
        )
    except (KeyError, TypeError) as error:
        raise UserError(f"{short(path)}: laid_out is wrong: {error!r}") from None
