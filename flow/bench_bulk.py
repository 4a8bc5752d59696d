"""Speed of the bulk engine: against a bare C++ loop, against the pin-level bench, and in rows.

The bare loop (tb/bulk/yardstick.cpp) toggles the clock of the same Verilated unit under one beat
that stays; it reads nothing, checks nothing and has no stimulus. The bulk engine makes beats of
rows, drives and collects them, and gives arrays back. Opening an instance is in no figure.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flow.build import build
from flow.bulk_build import bulk_build
from flow.paths import DATA
from flow.rtl import Instance, rows_of
from flow.simulate import simulate
from models import vectors
from tb import scenarios
from tb.unit import Rows, Unit
from tb.units import UNITS

BEATS = 40_000
SEED = 1
LOOP_LANES = (1, 8, 32, 64)
LANES = (1, 2, 4, 8, 16, 32, 64)
LENGTHS = (32, 64, 128, 256, 512, 1024, 2048, 4096)


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

    `compared` and its ratio are of the engine with every element compared with the model, which
    the pin-level bench always does.
    """

    unit: str
    rows: int
    pins: float
    bulk: float
    compared: float
    ratio: float
    compared_ratio: float


@dataclass(frozen=True)
class Scored:
    """Rows a second through RTL and model, compared; the model's share of the time."""

    unit: str
    lanes: int
    length: int
    rows_per_s: float
    beats_per_s: float
    model_share: float


def _seconds(work: Callable, *arguments) -> float:
    """Of the processor, in this thread: others may be at work on the machine."""
    started = time.thread_time()
    work(*arguments)
    return time.thread_time() - started


def _random_rows(unit: Unit, parameters: dict, count: int, length: int) -> Rows:
    rng = np.random.default_rng(length)
    kind = np.iinfo(unit.in_dtype)
    x = rng.integers(kind.min, kind.max, (count, length), unit.in_dtype, endpoint=True)
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
    for unit in UNITS.values():
        for lanes in LOOP_LANES:
            parameters = unit.resolve({"LANES": lanes})
            length = 128 if lanes == 1 else 1024
            rows = _random_rows(unit, parameters, BEATS * lanes // length, length)
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


def _score(instance: Instance, rows: Rows) -> tuple[float, float]:
    """Seconds of RTL and of model and comparison. Raises RuntimeError if they differ."""
    unit, parameters = instance.build.unit, instance.build.parameters
    started = time.perf_counter()
    outputs = instance.run(rows)
    between = time.perf_counter()
    model = unit.predict(parameters, rows)
    if (outputs.out != model.out).any() or (outputs.exponent != model.exponent).any():
        raise RuntimeError(f"{unit.name} is not its model")
    return between - started, time.perf_counter() - between


def bulk_against_pins(pairs: int = 5, sim: str = "verilator", lanes: int = 32) -> list[PinSpeed]:
    """Time both in turn on the shipped real tensors; wall time."""
    results = []
    for unit in UNITS.values():
        parameters = unit.resolve({"LANES": lanes})
        pins = build(unit, parameters, sim)
        rows = scenarios.rows_of(unit, parameters, vectors.load(DATA / unit.tensors))
        speeds = []
        with Instance(bulk_build(unit, parameters, sim)) as instance:
            beats = instance.run(rows).beats
            for _ in range(pairs):
                result = simulate(pins, "tensors", SEED)
                if not result.passed:
                    raise RuntimeError(result.report)
                slow = result.values["beats"] / result.values["seconds"]
                rtl, model = _score(instance, rows)
                speeds.append((slow, beats / rtl, beats / (rtl + model)))
        medians = map(statistics.median, zip(*speeds, strict=True))
        ratios = (statistics.median(s[i] / s[0] for s in speeds) for i in (1, 2))
        results.append(PinSpeed(unit.name, len(rows), *medians, *ratios))
    return results


def rows_scored(units: tuple[str, ...] = ("e2softmax",), repeats: int = 3) -> list[Scored]:
    """Rows compared with the model a second, over LANES and the length of rows; medians."""
    results = []
    for unit in map(UNITS.get, units):
        for lanes in LANES:
            parameters = unit.resolve({"LANES": lanes, "MAX_LEN": LENGTHS[-1]})
            with Instance(bulk_build(unit, parameters)) as instance:
                for length in LENGTHS:
                    beats = -(-length // lanes)
                    count = max(4, min(BEATS // beats, 4_000_000 // length))
                    rows = _random_rows(unit, parameters, count, length)
                    times = [_score(instance, rows) for _ in range(repeats)]
                    rtl, model = map(statistics.median, zip(*times, strict=True))
                    both = rtl + model
                    results.append(
                        Scored(
                            unit.name,
                            lanes,
                            length,
                            count / both,
                            count * beats / both,
                            model / both,
                        )
                    )
    return results
