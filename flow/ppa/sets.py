# SPDX-License-Identifier: Apache-2.0
"""Sets of configurations, and measuring them in parallel."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from softnorm.units.unit import Parameters, Unit

from .. import tools
from ..static.lint import label
from . import compare

T = TypeVar("T")

# (LANES, MAX_LEN) of each set; "variants" has every variant of a unit's descriptor at its size,
# "features" the builds of features.hjson.
SETS = {
    "default": [(32, 1024)],
    "smallest": [(2, 64)],
    "full": [(lanes, longest) for longest in (256, 1024) for lanes in (8, 16, 32, 64)],
    "variants": [(32, 1024)],
    "features": [(32, 1024)],
}


def configurations(
    units: Sequence[Unit], chosen: str, given: Parameters
) -> list[tuple[Unit, dict[str, int | str]]]:
    """What a set measures, with `given` parameters over it. Raises ParameterError."""
    found = []
    for unit in units:
        # A variant's settings are of its rows: the same gates.
        variants: Sequence[Parameters] = [{}]
        if chosen == "variants":
            variants = [v.parameters for v in unit.variants]
        elif chosen == "features":
            variants = [b for f in compare.features() if f.unit == unit.name for b in f.builds]
        for variant in variants:
            for lanes, longest in SETS[chosen]:
                size = {"LANES": lanes, "MAX_LEN": longest}
                parameters = unit.taken({**size, **variant, **given})
                if (unit, parameters) not in found:
                    unit.resolve(parameters)
                    found.append((unit, parameters))
    return found


def measure(
    wanted: Sequence[tuple[Unit, Parameters]],
    one: Callable[[Unit, Parameters, Callable[[str], None]], T],
    progress: Callable[[str], None],
) -> list[T]:
    """Measure configurations in the given order, one per core at a time.

    `one` says what it begins to do to its last argument.
    """
    start = time.monotonic()

    def told(name: str, what: str) -> None:
        progress(f"{time.monotonic() - start:8.1f} s  {name}: {what}")

    jobs = {}
    for unit, parameters in wanted:
        name = f"{unit.name}  {label(parameters)}"
        jobs[name] = partial(one, unit, parameters, partial(told, name))
    weights = {name: p["LANES"] for name, (_, p) in zip(jobs, wanted, strict=True)}
    done, found = 0, {}
    for number, (name, result, seconds) in enumerate(tools.parallel(jobs), 1):
        found[name] = result
        done += weights[name]
        spent = time.monotonic() - start
        left = spent * (sum(weights.values()) - done) / done
        progress(f"[{number}/{len(jobs)}] {seconds:5.1f} s  {name}, about {left:.0f} s left")
    return [found[name] for name in jobs]
