# SPDX-License-Identifier: Apache-2.0
"""A unit compared with its baseline, in the same flow at the same size, and a paper's ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .. import lists
from ..errors import UserError
from ..paths import short
from .measure import Figures
from .store import others, size

PAIRS = Path(__file__).with_name("pairs.hjson")


@dataclass(frozen=True)
class Pair:
    """A unit and what it is compared with.

    paper   a paper's own ratios, by name
    aims    the project's goals for the ratios, by a name of AIMS
    missed  the reason, if a goal is missed
    """

    unit: str
    baseline: str
    paper: dict[str, float | str]
    aims: dict[str, float] = field(default_factory=dict)
    missed: str = ""


def pairs(path: Path = PAIRS) -> list[Pair]:
    """Which unit is compared with which. Raises UserError."""
    try:
        return [
            Pair(
                *(p["unit"], p["baseline"], p.get("paper", {})),
                *(p.get("aims", {}), " ".join(p.get("missed", "").split())),
            )
            for p in lists.entries(path, "pairs")
        ]
    except (KeyError, AttributeError) as error:
        raise UserError(f"{short(path)}: a pair is wrong: {error}") from None


# What an aim is of: memories count as SRAM, and Fmax as the slowest path does.
AIMS = {"area": "with_sram", "energy": "energy_with_sram", "Fmax": "delay"}
AIM_TITLES = ("unit", "baseline", "ratio of", "goal", "measured", "")


def aims(found: Sequence[Figures], compared: Sequence[Pair]) -> list[list[str]]:
    """A line under AIM_TITLES for each aim whose two sides were measured, all at one size."""
    units = {one.unit: one for one in found if not others(one)}
    lines = []
    for pair in compared:
        one, other = units.get(pair.unit), units.get(pair.baseline)
        for name, aim in pair.aims.items() if one and other else ():
            mine, its = getattr(one, AIMS[name]), getattr(other, AIMS[name])
            if mine is None or its is None:
                continue
            word = "met" if its / mine >= aim else "missed"
            lines.append([pair.unit, pair.baseline, name, f"{aim:g}x", _times(its, mine), word])
    return lines


# Of what is better when it is less; of elements/s/um2 it is the unit's over the baseline's.
RATIOS = (
    ("area, logic", "logic"),
    ("area, with SRAM", "with_sram"),
    ("area, with flip-flops", "with_flip_flops"),
    ("energy, logic", "logic_energy"),
    ("energy, with SRAM", "energy_with_sram"),
    ("energy, with flip-flops", "energy_with_flip_flops"),
    ("delay", "delay"),
    ("clocks a row", "cycles"),
)
RATE = "elements/s/um2"
RATIO_TITLES = (
    *("unit", "baseline", "LANES", "MAX_LEN"),
    *(title for title, _ in RATIOS),
    *(RATE, "paper: area", "paper: energy", "of"),
)


def ratios(found: Sequence[Figures], compared: Sequence[Pair]) -> list[list[str]]:
    """A line under RATIO_TITLES for each pair and size whose two sides were measured.

    Both sides have their default parameters. "-" means not measured.
    """
    by_size = {(one.unit, *size(one)): one for one in found if not others(one)}
    lines = []
    for pair in compared:
        for (unit, *place), one in by_size.items():
            other = by_size.get((pair.baseline, *place))
            if unit != pair.unit or other is None:
                continue
            cells = [_times(getattr(other, name), getattr(one, name)) for _, name in RATIOS]
            paper = [pair.paper.get(name) for name in ("area", "energy")]
            shown = ["-" if value is None else f"{value:.2f}x" for value in paper]
            source = str(pair.paper.get("source", "-"))
            rate = _times(one.rate, other.rate)
            names = [pair.unit, pair.baseline, *map(str, place)]
            lines.append([*names, *cells, rate, *shown, source])
    return lines


def _times(one: float | None, other: float | None) -> str:
    return "-" if one is None or not other else f"{one / other:.2f}x"
