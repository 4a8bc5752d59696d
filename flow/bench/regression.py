# SPDX-License-Identifier: Apache-2.0
"""Speed of a regression against a plain loop over the same runs.

Both simulate the `ci` set's jobs at the pins of one unit, on the same builds, and keep the same
results. The loop starts a simulator for each job, one after the other; the regression
gives groups of jobs to a process a core.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ..regress import worker
from ..regress.plan import PINS, Job, jobs, load_plan
from ..regress.provenance import sources_digest
from ..regress.regression import Regression
from ..sim.simulate import BENCH, execute

UNIT = "rexp"


@dataclass(frozen=True)
class RegressionSpeed:
    """Medians over pairs: rows a second of either, and the regression's over the loop's."""

    jobs: int
    rows: int
    loop: float
    regression: float
    ratio: float


def _loop(todo: list[Job]) -> tuple[int, float]:
    """(rows, seconds) of one job after the other."""
    started = time.perf_counter()
    rows = 0
    for job in todo:
        sources_digest()  # which a regression does, too
        made = worker.build_of(job)
        result = worker.result_of(made, job, execute(made, worker.new_run_of(made, job), BENCH))
        rows += _rows(result)
    return rows, time.perf_counter() - started


def _regression(todo: list[Job]) -> tuple[int, float]:
    """(rows, seconds) of the same as a regression."""
    started = time.perf_counter()
    rows: list[int] = []
    with tempfile.TemporaryDirectory() as folder, worker.local_executor() as executor:
        whole = Regression(Path(folder), todo, {"seed": 1})
        whole.run(executor, todo, 1, lambda result: rows.append(_rows(result)))
    return sum(rows), time.perf_counter() - started


def _rows(result: dict) -> int:
    if not result["passed"]:
        raise RuntimeError(result["report"])
    return result["rows"]


def regression_against_loop(pairs: int = 3) -> RegressionSpeed:
    """Time both in turn. Raises RuntimeError if a run fails."""
    todo = jobs(load_plan(), "ci", unit=UNIT, engine=PINS)
    for job in {job.build: job for job in todo}.values():
        worker.build_of(job)
    times = [(_loop(todo), _regression(todo)) for _ in range(pairs)]
    return RegressionSpeed(
        jobs=len(todo),
        rows=times[0][0][0],
        loop=statistics.median(rows / seconds for (rows, seconds), _ in times),
        regression=statistics.median(rows / seconds for _, (rows, seconds) in times),
        ratio=statistics.median(loop / whole for (_, loop), (_, whole) in times),
    )
