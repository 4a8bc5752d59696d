# SPDX-License-Identifier: Apache-2.0
"""A unit compared with its baseline, in the same flow at the same size, and a paper's ratios.

And what features cost: a build with one compared with a build without.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from softnorm.units.unit import BANKS, IN_REG, OUT_REG, Parameters

from .. import lists
from ..errors import UserError
from ..paths import short
from .measure import Figures
from .memories import Bit
from .store import Kept, others, size
from .timing import ACCESS
from .wires.figures import WiredFigures

# Both sides of a fair comparison have the same of these: parameter -> its default.
CARE = {IN_REG: 1, OUT_REG: 1, "BANKS": BANKS}

PAIRS = Path(__file__).with_name("pairs.hjson")
FEATURES = Path(__file__).with_name("features.hjson")


@dataclass(frozen=True)
class Pair:
    """A unit and what it is compared with.

    paper   a paper's own ratios, by name
    aims    the project's goals for the ratios at equal care, by a name of AIMS
    build   parameters beside the defaults of the build that these are of
    missed  the reason, if a goal is missed
    bits    parameters of builds that are compared, too -> what they do to the results
    note    what is to be said of these
    """

    unit: str
    baseline: str
    paper: dict[str, float | str]
    aims: dict[str, float] = field(default_factory=dict)
    missed: str = ""
    bits: dict[str, str] = field(default_factory=dict)
    note: str = ""
    build: Parameters = field(default_factory=dict)


def pairs(path: Path = PAIRS) -> list[Pair]:
    """Which unit is compared with which. Raises UserError."""
    try:
        return [
            Pair(
                *(p["unit"], p["baseline"], p.get("paper", {})),
                *(p.get("aims", {}), " ".join(p.get("missed", "").split())),
                *(p.get("bits", {}), " ".join(p.get("note", "").split())),
                p.get("build", {}),
            )
            for p in lists.entries(path, "pairs")
        ]
    except (KeyError, AttributeError) as error:
        raise UserError(f"{short(path)}: a pair is wrong: {error}") from None


# What an aim is of: memories count as SRAM, and Fmax as the slowest path does.
AIMS = {"area": "with_sram", "energy": "energy_with_sram", "Fmax": "delay"}
AIM_TITLES = ("unit", "build", "baseline", "ratio of", "goal", "measured", "")


def aims(found: Sequence[Figures], compared: Sequence[Pair]) -> list[list[str]]:
    """A line under AIM_TITLES for each aim whose two sides were measured, all at one size."""
    lines = []
    for pair in compared:
        alike = [
            side
            for side in sides(found, [pair])
            if others(side[0]) == pair.build and care(side[0]) == care(side[1])
        ]
        one, other = alike[0] if alike else (None, None)
        for name, aim in pair.aims.items() if one and other else ():
            mine, its = getattr(one, AIMS[name]), getattr(other, AIMS[name])
            if mine is None or its is None:
                continue
            word = "met" if its / mine >= aim else "missed"
            build = words(pair.build) if pair.build else "as it is"
            ratio = _times(its, mine)
            spreads = [side.spread(AIMS[name]) for side in (one, other)]
            if None not in spreads:
                (least, most), (its_least, its_most) = spreads
                ratio += f" ({_times(its_least, most)} to {_times(its_most, least)})"
            lines.append([pair.unit, build, pair.baseline, name, f"{aim:g}x", ratio, word])
    return lines


SPREAD_TITLES = ("unit", "build", "runs", *(f"{name}: least, most" for name in AIMS))


def spreads(found: Sequence[Figures]) -> list[list[str]]:
    """A line under SPREAD_TITLES for each of them that was mapped several times."""
    lines = []
    for one in found:
        if one.runs:
            area, energy, delay = (one.spread(name) for name in AIMS.values())
            lines.append(
                [
                    *(f"`{one.unit}`", words(others(one)), str(len(one.runs["logic"]))),
                    "{:,.0f}, {:,.0f} um2".format(*area),
                    "{:.1f}, {:.1f} pJ".format(*energy) if energy else "-",
                    "{:.0f}, {:.0f} MHz".format(*(1000 / ns for ns in delay[::-1])),
                ]
            )
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
    (f"delay, memories of {ACCESS} ns", "delay_sram"),
    ("clocks a row", "cycles"),
)
RATE = "elements/s/um2"
RATIO_TITLES = (
    *("unit", "baseline", "LANES", "MAX_LEN"),
    *(title for title, _ in RATIOS),
    *(RATE, "paper: area", "paper: energy", "of"),
)


def bit_titles(bits: Sequence[Bit]) -> list[str]:
    """The titles of `bit_ratios`."""
    return ["unit", "baseline", *(f"{w}, {bit.name}" for w in ("area", "energy") for bit in bits)]


T = TypeVar("T", bound=Figures | WiredFigures)


def care(one: Figures | WiredFigures) -> tuple[int | str, ...]:
    """What a build has of CARE."""
    return tuple(one.parameters.get(name, default) for name, default in CARE.items())


def sides(found: Sequence[T], compared: Sequence[Pair]) -> list[tuple[T, T]]:
    """(unit, baseline) of each pair: all builds of the unit, each beside the baseline as it is by
    default and, if that is another, beside the one with the same of CARE.
    """
    return [
        (one, other)
        for pair in compared
        for one in found
        for other in found
        if one.unit == pair.unit
        and other.unit == pair.baseline
        and {*others(other)} <= {*CARE}
        and (not others(other) or care(other) == care(one))
    ]


GLANCE_TITLES = (
    *("unit", "bits", "area, um2", "Fmax, MHz", "pJ an element"),
    *(f"{of}, {care}" for care in ("equal care", "as built") for of in ("area", "energy", "Fmax")),
    *("area, paper", "energy, paper"),
)


def glance(found: Sequence[Figures], compared: Sequence[Pair]) -> list[list[str]]:
    """A line under GLANCE_TITLES for each build of a unit of which a paper has ratios, all of one
    size. Equal care: the baseline has the same of CARE. "-" means not measured.
    """
    lines = []
    for pair in compared:
        if not pair.paper:
            continue
        known = {*CARE, *pair.bits}
        built = [one for one in found if one.unit == pair.unit and {*others(one)} <= known]
        for one in sorted(built, key=lambda one: -one.with_sram):
            beside = {care(other): other for mine, other in sides(found, [pair]) if mine is one}
            ratios_ = []
            for other in (beside.get(care(one)), beside.get(tuple(CARE.values()))):
                ratios_ += [
                    _times(getattr(other, name), getattr(one, name)) if other else "-"
                    for name in AIMS.values()
                ]
            bits = ", ".join(pair.bits[name] for name in others(one) if name in pair.bits)
            lines.append(
                [
                    *(_named(one), bits or "the same", f"{one.with_sram:,.0f}", f"{one.fmax:.0f}"),
                    "-" if one.energy_with_sram is None else f"{one.energy_with_sram:.1f}",
                    *ratios_,
                    *(f"{pair.paper[name]:.2f}x" for name in ("area", "energy")),
                ]
            )
    return lines


def _named(one: Figures | WiredFigures) -> str:
    """A unit, and its parameters beside the defaults."""
    return f"`{one.unit}` {words(others(one))}" if others(one) else f"`{one.unit}`"


def bit_ratios(
    found: Sequence[Figures | WiredFigures], compared: Sequence[Pair], bits: Sequence[Bit]
) -> list[list[str]]:
    """A line under `bit_titles` for each of `sides`: both sides' memories alike."""
    return [
        [
            *(_named(one), _named(other)),
            *(_times(other.area_with(bit), one.area_with(bit)) for bit in bits),
            *(_times(other.energy_with(bit), one.energy_with(bit)) for bit in bits),
        ]
        for one, other in sides(found, compared)
    ]


SPEED_TITLES = (
    *("unit", "baseline", "Fmax without wires", "Fmax with wires"),
    f"and memories of {ACCESS} ns",
)


def speed_ratios(found: Sequence[WiredFigures], compared: Sequence[Pair]) -> list[list[str]]:
    """A line under SPEED_TITLES for each of `sides`."""
    kinds = ("ideal", "delay", "delay_sram")
    return [
        [_named(one), _named(other), *(_times(getattr(other, k), getattr(one, k)) for k in kinds)]
        for one, other in sides(found, compared)
    ]


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


# --- what features cost ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Feature:
    """A build with a feature, and one without: parameters beside the defaults.

    goals   what a ratio may be at most, by a title of COSTS
    missed  the reason, if a goal is missed
    """

    unit: str
    build: Parameters
    over: Parameters = field(default_factory=dict)
    goals: dict[str, float] = field(default_factory=dict)
    missed: str = ""

    @property
    def builds(self) -> tuple[Parameters, Parameters]:
        """Without it, and with it."""
        return self.over, {**self.over, **self.build}


def features(path: Path = FEATURES) -> list[Feature]:
    """Which builds are compared. Raises UserError."""
    try:
        found = [
            Feature(**{**one, "missed": " ".join(one.get("missed", "").split())})
            for one in lists.entries(path, "features")
        ]
    except (TypeError, AttributeError) as error:
        raise UserError(f"{short(path)}: an entry is wrong: {error}") from None
    for one in found:
        if unknown := {*one.goals} - {*COSTS}:
            raise UserError(
                f"{short(path)}: no goal is of {min(unknown)}, but of {', '.join(COSTS)}"
            )
    return found


COSTS = {title: name for title, name in RATIOS if not re.search("flip-flops|of .* ns", title)}
COST_TITLES = ("unit", "build", "beside", *COSTS, "pJ an element", "ns")
GOAL_TITLES = ("unit", "build", "beside", "ratio of", "goal", "measured", "")


def costs(found: Sequence[Kept], compared: Sequence[Feature]) -> tuple[list[list[str]], ...]:
    """Lines under COST_TITLES and under GOAL_TITLES, of features of which both builds are found.

    found: all of one size. Figures of older sources are marked.
    """
    lines, goals = [], []
    for feature in compared:
        sides = [_of(found, feature.unit, given) for given in feature.builds]
        if None in sides:
            continue
        without, build = (side.figures for side in sides)
        old = any(one.older or (one.figures.energy and one.older_energy) for one in sides)
        names = [
            f"`{feature.unit}`{' older' * old}",
            *(words(one) for one in (feature.build, feature.over)),
        ]
        energies = [one.energy_with_sram for one in (without, build)]
        shown = "-" if None in energies else "{:.1f}, not {:.1f}".format(*energies[::-1])
        cells = [_times(getattr(build, name), getattr(without, name)) for name in COSTS.values()]
        lines.append([*names, *cells, shown, f"{build.delay:.2f}, not {without.delay:.2f}"])
        for title, goal in feature.goals.items():
            ratio = getattr(build, COSTS[title]) / getattr(without, COSTS[title])
            word = "met" if ratio <= goal else "missed"
            goals.append([*names, title, f"at most {goal:g}x", f"{ratio:.2f}x", word])
    return lines, goals


def _of(found: Sequence[Kept], unit: str, given: Parameters) -> Kept | None:
    """What was measured of a unit with these parameters alone beside its defaults and the size."""
    for one in found:
        if one.figures.unit == unit and others(one.figures) == dict(given):
            return one
    return None


def words(given: Parameters) -> str:
    """Parameters beside the defaults, in words."""
    return " ".join(f"{name}={value}" for name, value in given.items()) or "defaults"
