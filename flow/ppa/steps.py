# SPDX-License-Identifier: Apache-2.0
"""Effect of each optimisation: flow/ppa/steps.hjson, which is written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from softnorm.units import UNITS

from .. import lists
from ..errors import UserError
from ..paths import short

STEPS = Path(__file__).with_name("steps.hjson")
FIGURES = ("area", "delay", "energy")  # um2 of the logic, ns, pJ an element


@dataclass(frozen=True)
class Step:
    """A change, and figures before and after it; None where one was not measured."""

    step: str
    unit: str
    size: str
    why: str
    area: tuple[float, float] | None
    delay: tuple[float, float] | None
    energy: tuple[float, float] | None


def steps(path: Path = STEPS) -> list[Step]:
    """The steps in the order of the file. Raises UserError, which names the wrong one."""
    given = lists.entries(path, "steps")
    return [_step(number, one, path) for number, one in enumerate(given, 1)]


def _step(number: int, given: dict, path: Path) -> Step:
    where = f"{short(path)}: step {number}"
    texts = ("step", "unit", "size", "why")
    unknown = given.keys() - {*texts, *FIGURES}
    missing = [name for name in texts if not isinstance(given.get(name), str)]
    if unknown or missing:
        word = f"has no {missing[0]}" if missing else f"has an unknown {min(unknown)}"
        raise UserError(f"{where} {word}; it has {', '.join((*texts, *FIGURES))}")
    if given["unit"] not in UNITS:
        raise UserError(f"{where} is of {given['unit']}; there are: {', '.join(UNITS)}")
    figures = {}
    for name in FIGURES:
        pair = given.get(name)
        if pair is not None and not (
            isinstance(pair, list)
            and len(pair) == 2
            and all(isinstance(x, (int, float)) and x > 0 for x in pair)
        ):
            raise UserError(f"{where}: {name} is [before, after], two numbers above 0")
        figures[name] = None if pair is None else tuple(pair)
    return Step(**{name: given[name] for name in texts}, **figures)


TITLES = (
    *("step", "unit", "size", "area before, um2", "after", "less"),
    *("delay before, ns", "after", "less", "energy before, pJ", "after", "less", "why"),
)


def lines(found: Sequence[Step]) -> list[list[str]]:
    """A line under TITLES for each step. "less" is negative where a figure grew."""
    return [
        [
            *(one.step, f"`{one.unit}`", one.size),
            *_change(one.area, ",.0f"),
            *_change(one.delay, ".2f"),
            *_change(one.energy, ".1f"),
            one.why,
        ]
        for one in found
    ]


def _change(pair: tuple[float, float] | None, form: str) -> list[str]:
    if pair is None:
        return ["-"] * 3
    before, after = pair
    return [f"{before:{form}}", f"{after:{form}}", f"{100 * (1 - after / before):.1f} %"]
