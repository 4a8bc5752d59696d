# SPDX-License-Identifier: Apache-2.0
"""Speed of the pyuvm path against a bare cocotb loop that only toggles the same pins.

Both run the same Verilated build, in turn. The bare loop (tb/uvm/bare_loop.py) writes a beat and
tready each clock and does nothing else; the pyuvm path makes items of rows, drives them, watches
both streams, compares every element with the model and collects coverage. Simulator start-up is in
neither figure.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import numpy as np

from softnorm.models import vectors
from softnorm.units import UNITS

from ..build.pins import Build, build
from ..paths import BUILD
from ..sim.simulate import Result, execute, new_run, simulate

LENGTHS = (32, 96, 384, 1024)  # elements: 1, 3, 12 and 32 beats a row at 32 lanes
BEATS = 16_000
SEED = 1


@dataclass(frozen=True)
class PinSpeed:
    """Medians over pairs: microseconds a beat of either, and the bare loop's time over ours."""

    rows: str
    bare_us: float
    bench_us: float
    ratio: float


def _time(result: Result) -> float:
    if not result.passed:
        raise RuntimeError(result.report)
    return result.values["seconds"] / result.values["beats"] * 1e6


def _bare(made: Build) -> float:
    run = new_run(made, "bare", SEED, 1, None, "make bench")
    return _time(execute(made, run, "softnorm.tb.uvm.bare_loop"))


def pins_against_bare_loop(pairs: int = 5) -> list[PinSpeed]:
    """Time both on rows of each length in LENGTHS and on the shipped real tensors."""
    unit = UNITS["e2softmax"]
    made = build(unit, unit.resolve({}), "verilator")
    folder = BUILD / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    lanes = made.parameters["LANES"]
    cases = {}
    for length in LENGTHS:
        rows = BEATS * lanes // length
        x = np.random.default_rng(length).integers(-128, 128, (rows, length)).astype(np.int8)
        file = vectors.Vectors(unit=unit.name, parameters={}, settings={"frac": 4, "fmt": 0}, x=x)
        cases[f"{length} elements"] = folder / f"rows{length}.npz"
        vectors.save(cases[f"{length} elements"], file)
    cases["real tensors"] = None
    results = []
    for name, tensors in cases.items():
        times = [
            (_bare(made), _time(simulate(made, "tensors", SEED, tensors=tensors)))
            for _ in range(pairs)
        ]
        bare, bench = map(statistics.median, zip(*times, strict=True))
        results.append(PinSpeed(name, bare, bench, statistics.median(a / b for a, b in times)))
    return results
