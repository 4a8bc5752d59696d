# SPDX-License-Identifier: Apache-2.0
"""Which build to take: what is in the way, the parameter for it, what it costs, what it buys.

Costs are of the descriptors and, where both builds were measured, of docs/ppa.json; what is bought
is of the tables that `made` keeps. A test holds that each feature of a unit is in one of the lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from softnorm.units import UNITS
from softnorm.units.unit import Parameters

from ..networks import advice
from ..ppa import store

# What makes a number of a sentence: a kept table's name, what a line begins with, its column.
Number = Callable[[str, tuple[str, ...], str], str]

SIZE = {"LANES": 32, "MAX_LEN": 1024}
_NAME, *_WORDS = advice.RECOMMENDED.split()
_FINE = {key: int(value) for key, value in (word.split("=") for word in _WORDS)}
_FMT = {"fmt": _FINE.pop("fmt")}
_PAPER = "e2softmax DIV_BITS=1 EXP_FRAC=0 fmt=0"
_MINILM = "E2Softmax DIV_BITS=3 EXP_FRAC=1 row-scaled"


@dataclass(frozen=True)
class Build:
    """A line of the table.

    symptom  what is in the way
    unit, takes  what to take: parameters
    settings  with them, in words
    over    the parameters that it is compared with, beside the defaults
    buys    a sentence; {0}, {1}, .. are the numbers
    numbers  (table, how the line begins, column) of each
    """

    symptom: str
    unit: str
    takes: Parameters
    buys: str
    numbers: tuple[tuple[str, tuple[str, ...], str], ...] = ()
    settings: str = ""
    over: Mapping[str, int] = field(default_factory=dict)


def _scale(more: str) -> tuple[str, tuple[str, ...], str]:
    words = " ".join(f"{name}={value}" for name, value in _FINE.items())
    return "scales", (f"e2softmax {words} {more}fmt={_FMT['fmt']}", "1.41"), "mean abs"


def _mean(more: str) -> tuple[str, tuple[str, ...], str]:
    return "means", (f"ailayernorm {more}", "16", "8"), "std, spread"


BUILDS = (
    Build(
        "rows of hundreds of keys sum to far from 1",
        "e2softmax",
        _FINE,
        "mean sum of rows of 1024 normal logits {0}, not {1}",
        (
            ("lengths", (advice.RECOMMENDED, "1024"), "mean sum"),
            ("lengths", (_PAPER, "1024"), "mean sum"),
        ),
        settings="fmt=1",
    ),
    Build(
        "the scale of the logits is no power of two",
        "e2softmax",
        {"SCALE": 1},
        "mean error at 1.41 times a power of two {0}, not {1}",
        (_scale("SCALE=1 "), _scale("")),
        over=_FINE,
    ),
    Build(
        "logits are sums of 16 or 32 bits",
        "e2softmax",
        {"IN_W": 32, "SCALE": 1},
        "no requantiser before it; fidelity of MiniLM in int8 {0}, with one {1}",
        (
            ("minilm int8", (f"{_MINILM} IN_W=32 SCALE=1",), "fidelity"),
            ("minilm int8", (_MINILM,), "fidelity"),
        ),
        over=_FINE,
    ),
    Build(
        "rows come in tiles, or are longer than any buffer",
        "e2softmax",
        {"BLOCKS": 1, "FORMATS": 1},
        "attention that never holds a row; fidelity of MiniLM in int8 with tiles of 8 keys {0}, "
        "with whole rows {1}",
        (
            ("minilm int8", (f"{_MINILM} IN_W=32 SCALE=1 LANES=8, tiles of 8 keys",), "fidelity"),
            ("minilm int8", (f"{_MINILM} IN_W=32 SCALE=1 LANES=8",), "fidelity"),
        ),
        settings="fmt=2",
        over=_FINE,
    ),
    Build(
        "what multiplies the outputs takes signed bytes",
        "e2softmax",
        {"FORMATS": 1},
        "outputs of 7 bits; mean error on the shipped rows {0}, with 8 bits {1}",
        (
            ("accuracy", ("e2softmax DIV_BITS=3 EXP_FRAC=1 FORMATS=1 fmt=1 s7=1",), ""),
            ("accuracy", (advice.RECOMMENDED,), ""),
        ),
        settings="s7=1",
        over=_FINE,
    ),
    Build(
        "of two logits the larger must not get the smaller output",
        "e2softmax",
        {"LOG_FIRST": 1},
        "outputs are monotone; mean error on the shipped rows {0}, without {1}",
        (
            ("accuracy", ("e2softmax DIV_BITS=3 EXP_FRAC=1 LOG_FIRST=1 fmt=1",), ""),
            ("accuracy", (advice.RECOMMENDED,), ""),
        ),
        settings="fmt=1",
        over=_FINE,
    ),
    Build(
        "all logits have one scale, a power of two that does not change",
        "e2softmax",
        {"FRAC": 2},
        "less logic, the same bits as with frac=2",
    ),
    Build(
        "LayerNorm's area counts more than a thousandth of an output step",
        "ailayernorm",
        {"A_BITS": 8},
        "less logic; error on the shipped rows {0}, not {1}",
        (
            ("accuracy", ("ailayernorm A_BITS=8 rms=0",), ""),
            ("accuracy", ("ailayernorm CMP_RANGES=2 rms=0",), ""),
        ),
    ),
    Build(
        "all rows of a layer come out before the next layer's channels come",
        "ailayernorm",
        {"BANKS": 1},
        "one bank of channels: rows and loads take turns",
    ),
    Build(
        "a row's mean is large against its deviation",
        "ailayernorm",
        advice.SQUARES,
        "error of the deviation, its spread over rows with a mean of 8 deviations {0}, not {1}",
        (_mean("EXACT_SQ=1"), _mean("CMP_RANGES=2")),
    ),
    Build(
        "such rows are not expected, and may come",
        "ailayernorm",
        {"IMPRECISE": 1},
        "a flag in tuser and a pulse for each of them",
    ),
    Build(
        "LayerNorm's inputs are sums of 16 or 32 bits",
        "ailayernorm",
        {"IN_W": 32},
        "no quantiser before it, and no second copy of alpha",
    ),
    Build(
        "a network's epsilon is not small against its variances",
        "ailayernorm",
        {"EPS": 1},
        "the epsilon, in each row",
    ),
)
TITLES = ("where", "take", "it costs", "it buys")


def table(number: Number, kept: store.Store) -> list[list[str]]:
    """Lines under TITLES."""
    return [
        [
            one.symptom,
            f"[{_title(one.unit)}](units/{one.unit}.md) "
            f"{_code(' '.join([*_words(one.takes), *one.settings.split()]))}",
            "; ".join(costs(one, kept)),
            one.buys.format(*(number(*wanted) for wanted in one.numbers)),
        ]
        for one in BUILDS
    ]


def costs(build: Build, kept: store.Store) -> list[str]:
    """What a build has more than the one that it is compared with, in words.

    Logic is without a figure where one of the two areas was not measured.
    """
    unit = UNITS[build.unit]
    before = unit.resolve({**SIZE, **build.over})
    after = unit.resolve({**SIZE, **build.over, **build.takes})
    found = []
    clocks = unit.latency(after)[0] - unit.latency(before)[0]
    if clocks:
        found.append(f"{clocks} clock{'s' * (clocks > 1)} of latency")
    bits = [
        sum(words * width for words, width in unit.storage(one).values()) for one in (before, after)
    ]
    if bits[0] != bits[1]:
        found.append(f"memory of {bits[1]:,} bits, not {bits[0]:,}")
    areas = {
        tuple(sorted(one.figures.parameters.items())): one
        for one in kept.cells
        if one.figures.unit == unit.name
    }
    sides = [areas.get(tuple(sorted(one.items()))) for one in (before, after)]
    if not all(sides):
        return [*found, "logic"]
    ratio = sides[1].figures.logic / sides[0].figures.logic
    older = " (older)" * any(one.older for one in sides)
    return [*found, f"{ratio:.2f} times the logic{older}"]


def _title(name: str) -> str:
    return UNITS[name].title.partition(" (")[0]


def _words(parameters: Parameters) -> list[str]:
    return [f"{name}={value}" for name, value in parameters.items()]


def _code(words: str) -> str:
    return f"`{words}`"
