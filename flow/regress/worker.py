# SPDX-License-Identifier: Apache-2.0
"""A regression's worker, on this or another machine: builds and runs jobs."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path

from softnorm.tb.run import Run, die_with_parent
from softnorm.units import get
from softnorm.units.coverage import Coverage

from ..build.bulk import BulkBuild, bulk_build
from ..build.pins import Build, BuildError, build
from ..coverage import code as code_coverage
from ..errors import UserError
from ..sim.bulk import simulate_bulk
from ..sim.simulate import COVERAGE_FILE, Result, Simulator, choose_tensors, initial_bits, new_run
from .plan import BULK, PINS, Job
from .provenance import sources_digest
from .results import save

# What a process is started for at most. The larger, the less of the time goes into starting
# simulators; the smaller, the less is lost with a worker, and the more evenly cores are used.
_MOST_JOBS = 12
_MOST_ROWS = {
    ("verilator", PINS): 4000,
    ("icarus", PINS): 1500,
    ("verilator", BULK): 40000,
    ("icarus", BULK): 4000,
}


def groups(todo: Sequence[Job], workers: int) -> list[list[Job]]:
    """Jobs that can share a simulator process, together; one group of each build in turn.

    Two workers that need one build would wait for each other.
    """
    most = max(1, min(_MOST_JOBS, len(todo) // (4 * workers)))
    alike: dict[tuple, list[Job]] = {}
    for job in todo:
        alike.setdefault((job.build, initial_bits(job.seed)), []).append(job)
    of_builds: dict[tuple, list[list[Job]]] = {}
    for (made, _), jobs in alike.items():
        of_builds.setdefault(made, []).extend(_cut(jobs, most))
    return list(_in_turn(list(of_builds.values())))


def _cut(jobs: Sequence[Job], most: int) -> Iterator[list[Job]]:
    group: list[Job] = []
    for job in jobs:
        rows = sum(one.rows for one in group) + job.rows
        if group and (len(group) == most or rows > _MOST_ROWS[job.sim, job.engine]):
            yield group
            group = []
        group.append(job)
    yield group


def _in_turn(queues: list[list[list[Job]]]) -> Iterator[list[Job]]:
    while queues:
        for queue in list(queues):
            yield queue.pop(0)
            if not queue:
                queues.remove(queue)


def run_group(jobs: Sequence[Job], sources: str, folder: Path | None = None) -> list[dict]:
    """Build once and simulate jobs of one group; return their results, plain data, in their order.

    Each is kept in the regression's `folder` as soon as it is there, so that none is lost with the
    worker.

    Runs in a process of its own, here or elsewhere. A build or a simulator that fails is a result.
    What passed leaves nothing but its result behind. Of a job with coverage `code` is the names of
    its points and the packed counts. `seconds`, the processor's, of the results add up to
    the group's, and `building` to what of them went into the build.

    Raises UserError when the sources here are not those of the digest `sources`.
    """
    started = _processor_seconds()
    if sources_digest() != sources:
        raise UserError(
            "the sources are no longer those that this regression began with, or a worker has "
            "others: RESTART=1 begins again"
        )
    first = jobs[0]
    try:
        made = build_of(first)
    except BuildError as error:
        results = [{**_empty(job), "report": str(error)} for job in jobs]
        built = _processor_seconds()
    else:
        built = _processor_seconds()
        results = []
        for result in _each(made, jobs):
            results.append(result)
            if folder is not None:
                save(folder, {**result, "building": 0.0})
    # What no single one is to blame for.
    spent = _processor_seconds() - started
    share = (spent - sum(result["seconds"] for result in results)) / len(results)
    building = (built - started) / len(results)
    return [
        {**result, "seconds": result["seconds"] + share, "building": building} for result in results
    ]


def _each(made: Build | BulkBuild, jobs: Sequence[Job]) -> Iterator[dict]:
    """The results of jobs of one build, as each ends."""
    if jobs[0].engine == BULK:
        for job in jobs:
            yield result_of(made, job, _in_bulk(made, job))
        return
    with Simulator(made, jobs[0].seed) as simulator:
        for job in jobs:
            yield result_of(made, job, simulator.run(new_run_of(made, job)))


def _processor_seconds() -> float:
    """Of this process and of those that it has started and that have ended."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def build_of(job: Job) -> Build | BulkBuild:
    """What a job runs on. Raises BuildError."""
    unit = get(job.unit)
    if job.engine == BULK:
        return bulk_build(unit, job.parameters, job.sim, coverage=job.coverage)
    return build(unit, job.parameters, job.sim)


def _in_bulk(made: BulkBuild, job: Job) -> Result:
    """Simulate a job in this process; the seconds are the processor's."""
    started = _processor_seconds()
    done = simulate_bulk(made, job.test, job.seed, rows=job.rows)
    return replace(done, seconds=_processor_seconds() - started)


def new_run_of(made: Build, job: Job) -> Run:
    """A run of a job on its build."""
    tensors = choose_tensors(made.unit, job.parameters, job.test, None)
    return new_run(made, job.test, job.seed, job.rows, tensors, job.rerun)


def _empty(job: Job) -> dict:
    return {
        "job": asdict(job),
        "id": job.id,
        "rerun": job.rerun,
        "passed": False,
        "coverage": {},
        "seconds": 0.0,
    }


def result_of(made: Build | BulkBuild, job: Job, done: Result) -> dict:
    """The result of a job as plain data; the folder of a run that passed is removed."""
    values = {name: done.values.get(name, 0) for name in ("rows", "elements", "beats", "clocks")}
    result = {**_empty(job), **values, "passed": done.passed, "report": done.report}
    result["seconds"] = done.seconds
    counted = done.run.folder / COVERAGE_FILE
    if not done.passed:
        counted.unlink(missing_ok=True)
        result["driven"] = done.values.get("driven", 0)
        return {**result, "folder": str(done.run.folder)}
    result["coverage"] = Coverage.load(done.run.folder / "coverage.json").as_dict()
    if job.coverage:
        names, counts = code_coverage.to_table(code_coverage.read(counted))
        result["code"] = {"names": names, "counts": code_coverage.pack(counts)}
    shutil.rmtree(done.run.folder)
    return result


def _start_worker(parent: int) -> None:
    os.setpgrp()
    die_with_parent(parent)


class _Apart(ProcessPoolExecutor):
    """Ctrl-C of a terminal is the parent's business, from when a worker starts.

    Simulators that it ends would be failures.
    """

    def submit(self, fn, /, *args, **kwargs):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)  # which starts processes
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def local_executor(workers: int | None = None) -> ProcessPoolExecutor:
    """Processes of this machine, as many as there are cores."""
    # Not threads: the runner of a build changes the environment of its process.
    return _Apart(
        workers or os.cpu_count(),
        get_context("spawn"),
        initializer=_start_worker,
        initargs=(os.getpid(),),
    )
