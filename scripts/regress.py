#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run a regression: units, configurations, simulators, tests and seeds of a plan, in parallel.

usage: scripts/regress.py [NAME=VALUE ...]      (the plan is regression/plan.hjson)

  SET=full            a set of the plan: ci, full, nightly
  UNIT= SIM= TEST=    only these
  SEED=1              the first seed of each run, or `random` for fresh ones (printed and stored)
  NAME=full           the regression's folder, build/regress/<name>; default: the set's name
  FAILED=1            run the failed jobs again
  RESTART=1           delete existing results first
  JOBS=2              workers; default: one per core, or as many as a cluster has
  CLUSTER=slurm       where to run: local, slurm, lsf, or a Dask scheduler's address or file (needs
                      the extra `cluster`); default: processes of this machine, without Dask
  BUDGET=20           stop after this many failures
  DRY=1               only list the runs

To continue an interrupted or killed regression, give the same command again.
Exit code: 0 all passed, 1 a run failed or is missing, 2 bad input or a missing tool.
"""

import bootstrap  # noqa: F401  isort: skip

import secrets
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager

from softnorm import units
from softnorm.flow import interrupt
from softnorm.flow.build.pins import check_simulator
from softnorm.flow.cli import flag, main, number, table, words
from softnorm.flow.errors import UserError
from softnorm.flow.regress import cluster, plan, worker
from softnorm.flow.regress import regression as regress
from softnorm.flow.sim import report
from softnorm.flow.sim.buckets import Bucket

ATTEMPTS = 3  # at running what a lost worker had in hand
MOST_CASES = 5  # buckets whose simplest case is shrunk and run again with waves


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


class Progress:
    """One line that rewrites itself on a terminal; elsewhere a line now and then.

    The time left is that of the runs left and of the builds left, at what those so far took.
    """

    def __init__(self, todo: Sequence[plan.Job]):
        self.total, self.done, self.failed, self.rows = len(todo), 0, 0, 0
        self.builds = {job.build for job in todo}
        self.built: dict[tuple, float] = {}  # core seconds by build
        self.running = 0.0  # core seconds without builds
        self.started = time.monotonic()
        self.lively = sys.stdout.isatty()
        self.shown = 0.0

    def __call__(self, result: dict) -> None:
        self.done += 1
        self.rows += result.get("rows", 0)
        if not result["passed"]:
            self.failed += 1
            self._print(f"FAIL {result['rerun']}\n", always=True)
        spent = time.monotonic() - self.started
        made = plan.Job(**result["job"]).build
        self.built[made] = self.built.get(made, 0.0) + result["building"]
        self.running += result["seconds"] - result["building"]
        building = sum(self.built.values())
        cores = (self.running + building) / spent
        left = self.running / self.done * (self.total - self.done)
        left += building / len(self.built) * (len(self.builds) - len(self.built))
        left /= cores
        filled = 24 * self.done // self.total
        line = (
            f"[{'#' * filled}{'.' * (24 - filled)}] {self.done}/{self.total} runs, "
            f"{self.failed} failed, {self.rows:,} rows, {clock(spent)} spent, {clock(left)} left"
        )
        if self.lively:
            self._print(line, always=True)
        elif spent - self.shown > 15 or self.done == self.total:
            self.shown = spent
            print(line, flush=True)

    def _print(self, text: str, always: bool) -> None:
        end = "" if self.lively and not text.endswith("\n") else "\n"
        print(("\r\x1b[K" if self.lively else "") + text.rstrip("\n"), end=end, flush=True)


def looked_into(regression: regress.Regression, bucket: Bucket) -> str:
    """Shrink a bucket's simplest case, unless that was done before, and say what came of it."""
    result = bucket.simplest
    if not {"shrunk", "alone"} & result.keys():
        print(f"\nshrinking: {bucket.message}", flush=True)
        result = regression.look_into(bucket, report.shrinking)
    if result.get("alone") is False:
        return f"{result['rerun']}\n  does not fail when it is run again"
    if "shrunk" not in result:
        return f"{result['rerun']}\n  could not be shrunk"
    return report.shrunk_text(result["shrunk"])


def summary(regression: regress.Regression) -> str:
    """Tables of what has been run."""
    counts: dict[tuple, Counter] = {}
    for result in regression.results.values():
        job = result["job"]
        line = counts.setdefault((job["unit"], plan.simulator(job)), Counter())
        line["runs"] += 1
        line["failed"] += not result["passed"]
        line["rows"] += result.get("rows", 0)
        line["elements"] += result.get("elements", 0)
        line["seconds"] += result["seconds"]
    rows = [
        (*key, c["runs"], c["failed"], c["rows"], c["elements"], f"{c['seconds']:.0f}")
        for key, c in counts.items()
    ]
    header = ("unit", "simulator", "runs", "failed", "rows", "elements", "core seconds")
    text = table(rows, header)
    covered = [
        (unit, configuration, f"{c.hit}/{c.total}", f"{100 * c.hit / c.total:.1f} %")
        for (unit, configuration), c in regression.coverage().items()
    ]
    if covered:
        header = ("unit", "configuration", "functional bins", "hit")
        text += "\n\n" + table(covered, header)
    for bucket in regression.buckets():
        worst = bucket.simplest
        text += (
            f"\n\n{len(bucket.results)} x {bucket.message}\n  simplest: {worst['rerun']}\n"
            f"  folder: {worst.get('folder', '-')}"
        )
    return text


def run(
    regression: regress.Regression,
    todo: list,
    workers: Callable[[], AbstractContextManager[Executor]],
    budget: int,
    *,
    failed: bool,
) -> bool:
    """Run jobs; what a lost worker had in hand is run again, a few times."""
    progress = Progress(todo)
    for attempt in range(ATTEMPTS):
        with workers() as executor:
            try:
                return regression.run(executor, todo, budget, progress)
            except BrokenExecutor:
                print(f"\na worker was lost (attempt {attempt + 1} of {ATTEMPTS}): going on")
            except KeyboardInterrupt:
                executor.shutdown(wait=False, cancel_futures=True)
                if isinstance(executor, ProcessPoolExecutor):
                    interrupt.end_children()
                print(f"\n{len(regression.results)} results are kept; the same words go on")
                raise
        done = regression.results
        todo = [
            job for job in todo if job.id not in done or (failed and not done[job.id]["passed"])
        ]
    raise UserError(f"workers were lost {ATTEMPTS} times: see the lines above")


def command(arguments) -> int:
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip())
        return 0
    given = words(arguments)
    of = given.pop("SET", "full")
    only = {name.lower(): given.pop(name) for name in ("UNIT", "SIM", "TEST") if name in given}
    seed_word = given.pop("SEED", "random" if of == "nightly" else "1")
    seed = secrets.randbelow(1 << 30) if seed_word == "random" else number("SEED", seed_word)
    name = given.pop("NAME", of)
    failed = flag("FAILED", given.pop("FAILED", "0"))
    restart = flag("RESTART", given.pop("RESTART", "0"))
    dry = flag("DRY", given.pop("DRY", "0"))
    processes = number("JOBS", given.pop("JOBS"), least=1) if "JOBS" in given else None
    target = given.pop("CLUSTER", "")
    budget = number("BUDGET", given.pop("BUDGET", "20"), least=1)
    if given:
        raise UserError(
            f"there is no {next(iter(given))}; there are: SET UNIT SIM TEST SEED NAME FAILED "
            "RESTART JOBS CLUSTER BUDGET DRY"
        )
    if "unit" in only:
        units.get(only["unit"])
    folder = regress.FOLDER / name
    if restart:
        shutil.rmtree(folder, ignore_errors=True)
    kept = regress.kept_seed(folder)
    if seed_word == "random" and kept is not None:
        seed = kept  # an interrupted one goes on with its own seeds
    jobs = plan.jobs(plan.load_plan(), of, seed, **only)
    for sim in {job.sim for job in jobs}:
        check_simulator(sim)
    if dry:
        counts = Counter((job.unit, plan.simulator(vars(job)), job.test) for job in jobs)
        print(table([(*key, n) for key, n in counts.items()], ("unit", "sim", "test", "runs")))
        print(f"\n{len(jobs)} runs")
        return 0
    if target:
        interrupt.allow(interrupt.LONG)
    regression = regress.Regression(folder, jobs, {"set": of, "seed": seed, "command": arguments})
    todo = regression.left(failed=failed)
    print(f"{folder}: set {of}, first seed {seed}, {len(jobs)} runs, {len(todo)} to do", flush=True)

    def workers() -> AbstractContextManager[Executor]:
        if target:
            return cluster.executor(target, processes)
        return worker.local_executor(processes)

    finished = run(regression, todo, workers, budget, failed=failed) if todo else True
    for bucket in regression.buckets()[:MOST_CASES]:
        print("\n" + looked_into(regression, bucket), flush=True)
    print("\n" + summary(regression))
    bad = sum(not result["passed"] for result in regression.results.values())
    missing = len(regression.left())
    verdict = "PASS" if not bad and not missing else "FAIL"
    rows = sum(result.get("rows", 0) for result in regression.results.values())
    print(f"\n{verdict}: {len(jobs)} runs, {bad} failed, {missing} left, {rows:,} rows scored")
    if not finished:
        print(f"stopped after {budget} failures (BUDGET=)")
    return 0 if verdict == "PASS" else 1


if __name__ == "__main__":
    main(command)
