# SPDX-License-Identifier: Apache-2.0
"""Speed of the bulk engine: against a bare C++ loop, and against the pin-level bench.

The bare loop (tb/bulk/yardstick.cpp) toggles the clock of the same Verilated unit with one constant
input beat; it reads and checks nothing. The bulk engine packs rows into beats, drives and collects
them, and returns arrays. The time to open an instance is not included.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from softnorm.models import vectors
from softnorm.tb.stimulus import scenarios
from softnorm.units import ROW_UNITS
from softnorm.units.unit import Rows, Unit

from ..build.bulk import BulkBuild, bulk_build
from ..build.pins import build
from ..bulk.rtl import Instance, rows_of
from ..paths import DATA
from ..sim.bulk import simulate_bulk
from ..sim.simulate import simulate

BEATS = 100_000
SEED = 1
LOOP_LANES = (1, 8, 32, 64)


@dataclass(frozen=True)
class LoopSpeed:
    """Medians over pairs: beats a second of the bare loop, of the engine, engine over loop.

    `steady` has the loop's own beat in all rows, `random` random values: a unit whose arithmetic
    branches takes longer over those, whoever drives it.
    """

    unit: str
    lanes: int
    loop: float
    steady: float
    random: float
    steady_ratio: float
    random_ratio: float


@dataclass(frozen=True)
class PinSpeed:
    """Medians over pairs: beats a second of the pin-level bench, of the engine, and how many times.

    `compared` and its ratio are of the engine with every element compared with the model,
    `scenario` and its ratio of the same test in bulk, with comparison and coverage as pin by pin.
    """

    unit: str
    rows: int
    pins: float
    bulk: float
    compared: float
    scenario: float
    ratio: float
    compared_ratio: float
    scenario_ratio: float


def _seconds(work: Callable, *arguments) -> float:
    """Of the processor, in this thread: others may be at work on the machine."""
    started = time.thread_time()
    work(*arguments)
    return time.thread_time() - started


def random_rows(unit: Unit, parameters: dict, count: int, length: int) -> Rows:
    """Rows of one length, every value equally likely."""
    rng = np.random.default_rng(length)
    dtype = unit.input_dtype(parameters)
    kind = np.iinfo(dtype)
    x = rng.integers(kind.min, kind.max, (count, length), dtype, endpoint=True)
    channels = unit.draw_channels(rng, length) if unit.channels else None
    return rows_of(unit, parameters, x, channels=channels)


def _steady(unit: Unit, parameters: dict, rows: Rows) -> Rows:
    """The first beat of the rows, again and again; where there are channels, one for all."""
    lanes, (count, width) = parameters["LANES"], rows.x.shape
    channels = None
    if unit.channels:
        values = rows.channels[0].values
        channels = type(rows.channels[0])(
            {name: np.resize(v[:lanes], len(v)) for name, v in values.items()}
        )
    x = np.tile(rows.x[0, :lanes], (count, width // lanes))
    return rows_of(unit, parameters, x, channels=channels)


def bulk_against_loop(pairs: int = 5) -> list[LoopSpeed]:
    """Time both in turn, rows of 1024 elements (128 at LANES = 1), no stalls."""
    results = []
    for unit in ROW_UNITS.values():
        for lanes in LOOP_LANES:
            parameters = unit.resolve({"LANES": lanes})
            length = 128 if lanes == 1 else 1024
            rows = random_rows(unit, parameters, BEATS * lanes // length, length)
            steady = _steady(unit, parameters, rows)
            one = np.ascontiguousarray(rows.x[0, :lanes]).view(np.uint8)
            full = np.packbits(np.ones(lanes, bool), bitorder="little")
            speeds = []
            with Instance(bulk_build(unit, parameters)) as instance:
                beats = instance.run(rows).beats
                bare = (instance.simulator.yardstick, beats, length // lanes, one, full)
                for _ in range(pairs):
                    each = (bare, (instance.run, steady), (instance.run, rows))
                    speeds.append([beats / _seconds(*work) for work in each])
            medians = map(statistics.median, zip(*speeds, strict=True))
            ratios = (statistics.median(s[i] / s[0] for s in speeds) for i in (1, 2))
            results.append(LoopSpeed(unit.name, lanes, *medians, *ratios))
    return results


def score(
    instance: Instance, rows: Rows, clock: Callable[[], float] = time.thread_time
) -> tuple[float, float]:
    """Seconds of RTL and of model and comparison. Raises RuntimeError if they differ."""
    unit, parameters = instance.build.unit, instance.build.parameters
    started = clock()
    outputs = instance.run(rows)
    between = clock()
    model = unit.predict(parameters, rows)
    if (outputs.out != model.out).any() or (outputs.exponent != model.exponent).any():
        raise RuntimeError(f"{unit.name} is not its model")
    return between - started, clock() - between


def _scenario(made: BulkBuild) -> float:
    """Seconds of test `tensors` in bulk."""
    result = simulate_bulk(made, "tensors", SEED)
    if not result.passed:
        raise RuntimeError(result.report)
    return result.values["seconds"]


def bulk_against_pins(pairs: int = 5, sim: str = "verilator", lanes: int = 32) -> list[PinSpeed]:
    """Time both in turn on the shipped real tensors; wall time."""
    results = []
    for unit in ROW_UNITS.values():
        parameters = unit.resolve({"LANES": lanes})
        pins = build(unit, parameters, sim)
        rows = scenarios.rows_of(unit, parameters, vectors.load(DATA / unit.tensors))
        speeds = []
        made = bulk_build(unit, parameters, sim)
        with Instance(made) as instance:
            beats = instance.run(rows).beats
            for _ in range(pairs):
                result = simulate(pins, "tensors", SEED)
                if not result.passed:
                    raise RuntimeError(result.report)
                slow = result.values["beats"] / result.values["seconds"]
                # A few milliseconds: the median of some, or a pause of the machine is all of it.
                times = [score(instance, rows, time.perf_counter) for _ in range(5)]
                rtl, model = map(statistics.median, zip(*times, strict=True))
                scenario = statistics.median(_scenario(made) for _ in range(5))
                speeds.append((slow, beats / rtl, beats / (rtl + model), beats / scenario))
        medians = map(statistics.median, zip(*speeds, strict=True))
        ratios = (statistics.median(s[i] / s[0] for s in speeds) for i in (1, 2, 3))
        results.append(PinSpeed(unit.name, len(rows), *medians, *ratios))
    return results
