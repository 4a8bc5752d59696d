#!/usr/bin/env python3
"""Speed, as ratios of two things timed in turn: medians over pairs, since machines are noisy.

usage: scripts/bench.py [PAIRS=5] [ONLY=model|pins|regression]

  model       the bit-exact models against float32 in numpy, at [4096, 1024]; goal <= 1.0
              (E2Softmax)
  pins        the pyuvm test bench against a bare cocotb loop that toggles the same pins;
              goal >= 0.5
  regression  the jobs of a unit in the ci set, as a regression against a plain loop over them;
              three pairs at most
"""

import bootstrap  # noqa: F401  isort: skip

import os
from collections.abc import Sequence

from flow.bench_model import model_against_float
from flow.bench_pins import pins_against_bare_loop
from flow.bench_regression import regression_against_loop
from flow.cli import main, number, table, words
from flow.errors import UserError


def model(pairs: int) -> str:
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


def pins(pairs: int) -> str:
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


def regression(pairs: int) -> str:
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


BENCHES = {"model": model, "pins": pins, "regression": regression}


def command(arguments: Sequence[str]) -> int:
    """Run the benches; return the exit code."""
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip())
        return 0
    given = words(arguments)
    pairs = number("PAIRS", given.pop("PAIRS", "5"), least=1)
    only = given.pop("ONLY", None)
    if given or only not in (None, *BENCHES):
        raise UserError("bench takes PAIRS=<number> and ONLY=model, pins or regression")
    for name, bench in BENCHES.items():
        if only in (None, name):
            print(bench(pairs) + "\n", flush=True)
    return 0


if __name__ == "__main__":
    main(command)
