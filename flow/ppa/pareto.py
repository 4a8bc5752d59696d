# SPDX-License-Identifier: Apache-2.0
"""Accuracy against area and energy: every variant and output format, and the Pareto frontier.

Errors come from docs/accuracy.json (`make accuracy`, shipped tensors), and those in long rows from
docs/reach.json. They apply to a unit's default size, since E2Softmax's errors depend on LANES.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from softnorm.units import UNITS

from ..accuracy import reach
from ..accuracy import tables as accuracy
from ..errors import UserError
from ..networks.digits_accuracy import label, network_variants
from ..paths import ROOT, short
from .store import Kept

ACCURACY = ROOT / "docs" / accuracy.FIGURES


@dataclass(frozen=True)
class Point:
    """A variant whose gates and whose errors were measured.

    error  mean absolute error of an element on the shipped tensors, or the divergence in nats in
           rows of so many keys; `errors_in` says what
    words  the output format, "" if there is only one
    least_area, least_energy   Pareto-optimal: no other of its kind is as good in both error and
                               area (or energy) and better in one
    """

    kept: Kept
    words: str
    error: float
    errors_in: str
    keys: int | None = None
    least_area: bool = False
    least_energy: bool = False

    @property
    def area(self) -> float:
        """Square micrometres, memories as SRAM."""
        return self.kept.figures.with_sram

    @property
    def energy(self) -> float | None:
        """Picojoules an element, memories as SRAM; None: not measured."""
        return self.kept.figures.energy_with_sram


def points(cells: Sequence[Kept], path: Path = ACCURACY) -> list[Point]:
    """The variants of which both are known, in the order of docs/accuracy.json.

    Those whose errors in long rows are known follow again, once for each of these lengths. RMSNorm
    is left out: another function, not another accuracy. Raises UserError for a file of errors that
    cannot be read.
    """
    divergences = reach.divergences()
    by_parameters = {_key(one.figures.unit, one.figures.parameters): one for one in cells}
    found, long = [], []
    try:
        for line in json.loads(path.read_text(encoding="utf-8")):
            kept = by_parameters.get(_key(line["unit"], line["parameters"]))
            build = _in_networks(line)
            if kept is None or build is None:
                continue
            error = line["figures"]["mean_abs_error"]
            found.append(Point(kept, line["words"], error, line["errors in"]))
            long += [
                replace(found[-1], error=of, errors_in=reach.axis(keys), keys=keys)
                for keys, of in divergences.get(build, {}).items()
                if keys in accuracy.LONG
            ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"cannot read {short(path)}: {error!r}; run make accuracy") from None
    found += sorted(long, key=lambda one: one.keys)
    return [
        replace(
            one, least_area=_least(one, found, "area"), least_energy=_least(one, found, "energy")
        )
        for one in found
    ]


def _in_networks(line: dict) -> str | None:
    """The build's name in tables of networks; None if a network of LayerNorms cannot have it."""
    unit = UNITS[line["unit"]]
    for variant in network_variants(unit):
        of = unit.resolve(variant.parameters), dict(variant.settings)
        if of == (line["parameters"], line["settings"]):
            return label(unit, variant)
    return None


def _key(unit: str, parameters: dict) -> str:
    return json.dumps([unit, parameters], sort_keys=True)


def _least(one: Point, found: Sequence[Point], cost: str) -> bool:
    """Whether none of its kind is better in error or cost and not worse in the other."""
    own = getattr(one, cost)
    if own is None:
        return False
    for other in found:
        theirs = getattr(other, cost)
        if other.errors_in == one.errors_in and theirs is not None:
            steps = other.error - one.error, theirs - own
            if max(steps) <= 0 and min(steps) < 0:
                return False
    return True
