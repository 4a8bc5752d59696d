# SPDX-License-Identifier: Apache-2.0
"""The regression: units x configurations x tests x seeds of a plan, run in parallel, resumable.

A regression has a folder: `metadata.json` describes it, `results/` has one file per finished run,
written atomically. So it can be killed at any moment and continued later: finished runs are not
repeated. Results are keyed by run, so that none is counted twice.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from dataclasses import asdict
from pathlib import Path

from softnorm.units import get

from ..build.pins import BuildError, build
from ..errors import UserError
from ..paths import BUILD, write_whole
from ..sim.buckets import Bucket
from ..sim.shrink import shrink
from ..sim.simulate import simulate
from .plan import BULK, Job
from .provenance import metadata
from .results import Results, save
from .worker import groups, run_group

FOLDER = BUILD / "regress"


class Regression(Results):
    """A regression in its folder. Raises UserError if the folder holds one of other sources."""

    def __init__(self, folder: Path, all_jobs: Sequence[Job], about: Mapping[str, object]):
        self.folder = folder
        self.jobs = {job.id: job for job in all_jobs}
        (folder / "results").mkdir(parents=True, exist_ok=True)
        (folder / "points").mkdir(exist_ok=True)
        kept = folder / "metadata.json"
        plan = {key: {**asdict(job), "command": job.rerun} for key, job in self.jobs.items()}
        now = {**about, **metadata(), "jobs": len(plan), "plan": plan}
        if kept.exists():
            before = json.loads(kept.read_text())
            if before["sources"] != now["sources"]:
                raise UserError(
                    f"{folder} holds results of other sources: RESTART=1 drops them, NAME=.. "
                    "starts another regression"
                )
            now["started"] = before["started"]
        write_whole(kept, json.dumps(now, indent=1) + "\n")

    def save(self, result: Mapping[str, object]) -> None:
        """Keep a result."""
        save(self.folder, result)

    def left(self, *, failed: bool = False) -> list[Job]:
        """Jobs without a result; with `failed`, those whose result is a failure instead."""
        results = self.results
        if failed:
            return [self.jobs[key] for key, result in results.items() if not result["passed"]]
        return [job for key, job in self.jobs.items() if key not in results]

    def run(
        self,
        executor: Executor,
        todo: Sequence[Job],
        budget: int,
        on_result: Callable[[dict], None] = lambda result: None,
    ) -> bool:
        """Run jobs and keep their results; stop early after `budget` failures.

        Returns whether all of them were run. A job whose worker was lost raises what the executor
        raises; what ended before is kept.
        """
        # A cluster's workers come and go: as many as it is to have.
        workers = getattr(executor, "_max_workers", 0) or os.cpu_count()
        waiting = iter(groups(todo, workers))
        running = set()
        failures = 0
        sources = self.metadata["sources"]

        def fill() -> None:
            # No more than the workers need: what is not submitted need not be taken back.
            while failures < budget and len(running) < 2 * workers:
                group = next(waiting, None)
                if group is None:
                    return
                running.add(executor.submit(run_group, group, sources, self.folder))

        fill()
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            # What has ended well is kept before what has not ends this.
            for future in sorted(done, key=lambda one: one.exception() is not None):
                for result in future.result():
                    self.save(result)
                    failures += not result["passed"]
                    on_result(result)
            fill()
        return next(waiting, None) is None

    def look_into(
        self, bucket: Bucket, on_progress: Callable[[int, int, int], None] = lambda *_: None
    ) -> dict:
        """Shrink a bucket's simplest case, and run both with waves; return its new result.

        `shrunk` in it is what flow.sim.shrink.Shrunk.as_dict gives, with the wave file. A case that
        does not fail when it is run again is told by `alone`: False. One that cannot be built, or
        that fails in bulk alone, stays as it is. `on_progress` is flow.sim.shrink.shrink's.
        """
        worst = bucket.simplest
        job = Job(**worst["job"])
        unit = get(job.unit)
        try:
            made, waving = (
                build(unit, job.parameters, job.sim, waves=waves) for waves in (False, True)
            )
        except BuildError:
            return worst
        done = simulate(waving, job.test, job.seed, rows=job.rows)
        if done.passed:
            shutil.rmtree(done.run.folder)
            # What fails in bulk need not fail at the pins, where stalls come at other clocks.
            result = worst if job.engine == BULK else {**worst, "alone": False}
        else:
            result = {**worst, "report": done.report, "folder": str(done.run.folder)}
            least = shrink(made, done.run, on_progress=on_progress)
            if least is not None:
                again = simulate(waving, job.test, job.seed, rows=job.rows, stimulus=least.file)
                waves = str(again.waves) if again.waves else None
                result["shrunk"] = {**least.as_dict(), "waves": waves}
        self.save(result)
        return result


def kept_seed(folder: Path) -> int | None:
    """The first seed of the regression that is in a folder, or None."""
    path = folder / "metadata.json"
    return json.loads(path.read_text())["seed"] if path.exists() else None
