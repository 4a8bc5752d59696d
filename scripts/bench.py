#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speed, as ratios of two programs timed alternately; medians over pairs, since machines are noisy.

usage: scripts/bench.py [PAIRS=5] [ONLY=model|pytorch|pins|bulk|regression] [OUT=folder]

  model       the bit-exact models against float32 in numpy, at [4096, 1024]; goal <= 1.0
              (E2Softmax)
  pytorch     the units in PyTorch, float to float, against torch: softmax, goal <= 6.0, and <= 4.0
              compiled; a layer of BERT-base, goal <= 1.2; a decoded token, goal <= 1.3; seconds of
              a calibration; needs the extra `torch`, and is left out without it; its figures go
              into figures.json in OUT
  pins        the pyuvm test bench against a bare cocotb loop that toggles the same pins;
              goal >= 0.5
  bulk        the bulk engine against a bare C++ loop over the same Verilated model, goal >= 0.8,
              and against the pin-level test bench, goal >= 50; rows per second over row length
              and LANES, with a fit, and a plot of it in OUT (default: build/bench) if matplotlib is
              installed (the extra `plot`); its figures go into figures.json there
  regression  the jobs of a unit in the ci set, as a regression against a plain loop over them;
              three pairs at most
"""

import bootstrap  # noqa: F401  isort: skip

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from softnorm.flow import tools
from softnorm.flow.bench.bulk import LoopSpeed, PinSpeed, bulk_against_loop, bulk_against_pins
from softnorm.flow.bench.cost import Fit, Scored, fits, plot, rows_scored
from softnorm.flow.bench.model import model_against_float
from softnorm.flow.bench.pins import pins_against_bare_loop
from softnorm.flow.bench.regression import regression_against_loop
from softnorm.flow.cli import main, number, table, words
from softnorm.flow.errors import UserError
from softnorm.flow.pages import kept
from softnorm.flow.paths import BUILD, write_whole
from softnorm.units import ROW_UNITS


def model(pairs: int, folder: Path) -> str:
    """The model's table."""
    rows = [
        (
            time.model,
            time.against,
            "some" if time.masked else "none",
            f"{1e3 * time.model_s:.1f}",
            f"{1e3 * time.float_s:.1f}",
            f"{time.ratio:.2f}",
        )
        for time in model_against_float(pairs)
    ]
    header = ("model", "float32 numpy", "mask", "model ms", "float ms", "ratio")
    return (
        f"bit-exact models against float32 numpy, [4096, 1024] bytes, {pairs} pairs "
        "(below 1: the model is faster)\n\n" + table(rows, header)
    )


CALIBRATION = "s of the processor for a calibration of BERT-base"


def pytorch(pairs: int, folder: Path) -> str:
    """The units' table; keeps it for the pages."""
    from softnorm.flow.pytorch import speed

    rows, calibration = [], 0.0
    with speed.one_thread():
        for bench in (speed.softmaxes, speed.layer, speed.token):
            for one in bench(pairs):
                times = (f"{1e3 * one.float_s:.2f}", f"{1e3 * one.unit_s:.2f}")
                against = f"{one.against}, torch {speed.VERSION}"
                rows.append((one.what, against, *times, f"{one.ratio:.2f}"))
                print(" ".join(rows[-1]), file=sys.stderr, flush=True)
        calibration = speed.calibration()
    titles = ("units", "against", "float ms", "units ms", "times as long")
    facts = {CALIBRATION: round(calibration), "pairs at least": pairs}
    found = kept.new(kept.of_architectures(), titles, rows, facts)
    return (
        f"units in PyTorch, float to float, one thread, processor time, {pairs} pairs or more; "
        f"{facts[CALIBRATION]} {CALIBRATION}\n\n"
        + table(rows, titles)
        + "\n\n"
        + kept.put(kept.FIGURES, {"make bench ONLY=pytorch": found}, folder)
    )


def pins(pairs: int, folder: Path) -> str:
    """The test bench's table."""
    rows = [
        (
            speed.rows,
            f"{speed.bare_us:.1f}",
            f"{speed.bench_us:.1f}",
            f"{1e6 / speed.bench_us:.0f}",
            f"{speed.ratio:.2f}",
        )
        for speed in pins_against_bare_loop(pairs)
    ]
    header = ("rows of", "bare us/beat", "bench us/beat", "bench beats/s", "bench/bare speed")
    return (
        f"pyuvm test bench against a bare cocotb loop, Verilator, 32 lanes, {pairs} pairs "
        "(1: as fast as the bare loop)\n\n" + table(rows, header)
    )


def bulk(pairs: int, folder: Path) -> str:
    """The bulk engine's tables; writes the plot."""
    loop = []
    loops, against_pins = bulk_against_loop(pairs), bulk_against_pins(pairs)
    for one in loops:
        steady = (f"{one.steady:.0f}", f"{one.steady_ratio:.2f}")
        random = (f"{one.random:.0f}", f"{one.random_ratio:.2f}")
        loop.append((one.unit, one.lanes, f"{one.loop:.0f}", *steady, *random))
    pin = []
    for one in against_pins:
        alone = (f"{one.bulk:.0f}", f"{one.ratio:.0f}")
        compared = (f"{one.compared:.0f}", f"{one.compared_ratio:.0f}")
        scenario = (f"{one.scenario:.0f}", f"{one.scenario_ratio:.0f}")
        pin.append((one.unit, one.rows, f"{one.pins:.0f}", *alone, *compared, *scenario))
    rows = []
    results = rows_scored(on_progress=lambda words: print(words, file=sys.stderr, flush=True))
    for one in results:
        speeds = (
            f"{one.rows_per_s:.0f}",
            f"{one.beats_per_s:.0f}",
            f"{100 * one.model_share:.0f} %",
        )
        rows.append((one.unit, one.lanes, one.length, *speeds))
    return (
        f"bulk engine against a bare C++ loop, beats/s, {pairs} pairs\n\n"
        + table(loop, ("unit", "lanes", "loop", "same beat", "ratio", "random rows", "ratio"))
        + "\n\nagainst the pin-level bench, beats/s, real tensors, 32 lanes\n\n"
        + table(
            pin,
            ("unit", "rows", "pins", "bulk", "times", "with model", "times", "BULK=1", "times"),
        )
        + "\n\nrows a second, compared with the model\n\n"
        + table(rows, ("unit", "lanes", "length", "rows/s", "beats/s", "model's share"))
        + "\n\n"
        + "\n".join(map(_fit_line, fits(results)))
        + "\n"
        + _plotted(results, folder)
        + "\n"
        + _kept(loops, against_pins, results, folder)
    )


def _kept(
    loops: Sequence[LoopSpeed],
    against_pins: Sequence[PinSpeed],
    results: Sequence[Scored],
    folder: Path,
) -> str:
    """Keep ratios and fits for the pages; what was written."""
    lines = []
    for fit in fits(results):
        shares = [100 * one.model_share for one in results if one.unit == fit.unit]
        costs = (
            f"{1e6 * fit.row:.2f} us",
            f"{1e9 * fit.beat:.0f} ns",
            f"{1e9 * fit.element:.1f} ns",
        )
        worst = f"{fit.ratio:.1f} times, LANES={fit.worst.lanes}, {fit.worst.length} elements"
        lines.append([fit.unit, *costs, f"{min(shares):.0f} to {max(shares):.0f} %", worst])
    ratios = {
        "of the bare loop, its own beat": [one.steady_ratio for one in loops],
        "of the bare loop, random rows": [one.random_ratio for one in loops],
        "times the pin-level bench, real tensors": [one.ratio for one in against_pins],
        "the same, every element compared": [one.compared_ratio for one in against_pins],
        "the same, a whole scenario": [one.scenario_ratio for one in against_pins],
    }
    facts = {}
    for name, found in ratios.items():
        digits = 2 if name.startswith("of") else 0
        facts[name] = f"{min(found):.{digits}f} to {max(found):.{digits}f}"
    titles = (
        "unit",
        "seconds = rows *",
        "+ beats *",
        "+ elements *",
        "model's share",
        "furthest off",
    )
    one = kept.new(kept.of_bulk(ROW_UNITS.values()), titles, lines, facts)
    return kept.put(kept.FIGURES, {kept.BULK: one}, folder)


def _fit_line(fit: Fit) -> str:
    """A fit in words."""
    worst = fit.worst
    return (
        f"{fit.unit}: seconds = rows * {1e6 * fit.row:.3f} us + beats * {1e9 * fit.beat:.0f} ns + "
        f"elements * {1e9 * fit.element:.1f} ns; off by {100 * (fit.off - 1):.0f} % (median); at "
        f"worst, LANES={worst.lanes} and {worst.length} elements, {fit.ratio:.2f} times that"
    )


def _plotted(results: Sequence[Scored], folder: Path) -> str:
    """Write the plot; what was written."""
    try:
        drawn = plot(results)
    except ImportError:
        return f"no plot without matplotlib; run: {tools.install('plot')}"
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "bulk_cost.svg", drawn)
    return f"plot: {folder / 'bulk_cost.svg'}"


def regression(pairs: int, folder: Path) -> str:
    """The regression's table."""
    pairs = min(pairs, 3)
    speed = regression_against_loop(pairs)
    rows = [
        (speed.jobs, speed.rows, round(speed.loop), round(speed.regression), f"{speed.ratio:.2f}")
    ]
    header = ("runs", "rows", "loop rows/s", "regression rows/s", "regression/loop speed")
    return (
        f"a regression against a plain loop over the same runs, {os.cpu_count()} cores, "
        f"{pairs} pairs\n\n" + table(rows, header)
    )


BENCHES = {"model": model, "pytorch": pytorch, "pins": pins, "bulk": bulk, "regression": regression}


def command(arguments: Sequence[str]) -> int:
    """Run the benches; return the exit code."""
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip())
        return 0
    given = words(arguments)
    pairs = number("PAIRS", given.pop("PAIRS", "5"), least=1)
    only = given.pop("ONLY", None)
    folder = Path(given.pop("OUT", BUILD / "bench"))
    if given or only not in (None, *BENCHES):
        raise UserError(
            "bench takes PAIRS=<number>, ONLY=model, pytorch, pins, bulk or regression, and "
            "OUT=<folder>"
        )
    for name, bench in BENCHES.items():
        if name == "pytorch" and only is None and not tools.is_installed("torch"):
            print(f"pytorch: left out without torch; run: {tools.install('torch')}\n", flush=True)
        elif only in (None, name):
            print(f"{name}: timing {pairs} pairs", flush=True)
            print(bench(pairs, folder) + "\n", flush=True)
    return 0


if __name__ == "__main__":
    main(command)
