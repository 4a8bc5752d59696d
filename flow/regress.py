"""The regression: units x configurations x tests x seeds of a plan, run in parallel, resumable.

A regression lives in a folder: `metadata.json` says what it is a regression of, `results/` has one
file for each run that has ended, written whole or not at all. So it can be killed at any moment and
go on later: what has a result is not run again. Results are kept by the run's identity, so nothing
is counted twice, whoever ran it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path

import hjson
import numpy as np

from flow import code_coverage, tools
from flow.build import SIMULATORS, BuildError, build
from flow.code_coverage import CodeCoverage, Figures
from flow.errors import UserError
from flow.lint import label
from flow.paths import BUILD, ROOT
from flow.simulate import COVERAGE_FILE, DEFAULT_ROWS, choose_tensors, rerun_line, simulate
from tb.coverage import Coverage
from tb.scenarios import SCENARIOS
from tb.unit import Parameters, Unit
from tb.units import UNITS, get

PLAN = ROOT / "testplans/regression.hjson"
FOLDER = BUILD / "regress"
_SOURCES = ("rtl", "models", "tb", "data", "requirements.txt")


# --- the plan -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One simulation: all that its result depends on but the sources."""

    unit: str
    parameters: dict[str, int | str]
    sim: str
    test: str
    seed: int
    rows: int

    @cached_property
    def id(self) -> str:
        """The same for the same job, today and elsewhere."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def build(self) -> tuple:
        """What the jobs of one build have in common."""
        return self.unit, tuple(self.parameters.items()), self.sim

    @property
    def rerun(self) -> str:
        """The command that repeats it alone."""
        unit = get(self.unit)
        return rerun_line(unit, self.sim, self.test, self.seed, self.rows, None, self.parameters)


@dataclass(frozen=True)
class Plan:
    """A regression plan as it is in its file, checked."""

    sets: dict[str, str]
    configurations: dict[str, dict[str, int | str]]
    runs: list[dict]
    goals: dict[str, float] = field(default_factory=dict)  # coverage in percent


def load_plan(path: Path = PLAN) -> Plan:
    """Read a plan. Raises UserError, in one line, for anything that cannot be meant."""
    try:
        text = hjson.loads(path.read_text(encoding="utf-8"), object_pairs_hook=dict)
        plan = Plan(text["sets"], text["configurations"], text["runs"], text.get("goals", {}))
    except (OSError, KeyError, hjson.HjsonDecodeError) as error:
        raise UserError(f"cannot read the plan {path}: {error}") from None
    if wrong := plan.goals.keys() - {*code_coverage.ALL_KINDS}:
        raise UserError(f"{path.name}, goals: there is no {min(wrong)}")
    for number, run in enumerate(plan.runs):
        where = f"{path.name}, run {number}"
        for name in ("tests", "configuration", "sims", "seeds", "why"):
            if name not in run:
                raise UserError(f"{where} has no {name}")
        unknown = [test for test in run["tests"] if test not in SCENARIOS]
        unknown += [sim for sim in run["sims"] if sim not in SIMULATORS]
        unknown += [name for name in run["seeds"] if name not in plan.sets]
        unknown += [unit for unit in run.get("units", ()) if unit not in UNITS]
        if unknown:
            raise UserError(f"{where}: there is no {unknown[0]}")
    return plan


def _configurations(plan: Plan, unit: Unit, wanted: str | Parameters) -> list[Parameters]:
    if isinstance(wanted, Mapping):
        return [wanted]
    if wanted == "defaults":
        return [{}]
    if wanted == "corners":
        return [given for given in unit.configurations if given]
    if wanted not in plan.configurations:
        raise UserError(f"the plan has no configuration {wanted!r}")
    return [plan.configurations[wanted]]


def jobs(plan: Plan, of: str, first_seed: int = 1, **only: str) -> list[Job]:
    """The jobs of a set, each once. `only` may name a unit, a sim and a test.

    Raises UserError or ParameterError for names that do not exist, UserError when nothing is left.
    """
    if of not in plan.sets:
        raise UserError(f"there is no set {of!r}; there are: {', '.join(plan.sets)}")
    found: dict[str, Job] = {}
    for run in plan.runs:
        for unit in map(get, run.get("units", UNITS)):
            for given in _configurations(plan, unit, run["configuration"]):
                parameters = unit.resolve(given)
                for sim in run["sims"]:
                    for test in run["tests"]:
                        for seed in range(run["seeds"].get(of, 0)):
                            rows = run.get("rows", DEFAULT_ROWS)
                            job = Job(unit.name, parameters, sim, test, first_seed + seed, rows)
                            if all(getattr(job, name) == value for name, value in only.items()):
                                found[job.id] = job
    if not found:
        words = " ".join(f"{name.upper()}={value}" for name, value in only.items())
        raise UserError(f"set {of} has no run with {words}")
    return list(found.values())


# --- one job --------------------------------------------------------------------------------------


def run_job(job: Job) -> dict:
    """Build and simulate; return plain data. What passed leaves nothing but its result behind.

    Runs in a process of its own, here or elsewhere. A build or a simulator that fails is a result.
    Verilator's builds count code coverage: `code` is its points' names and the packed counts.
    """
    started = time.perf_counter()
    result = {"job": asdict(job), "id": job.id, "rerun": job.rerun, "passed": False, "coverage": {}}
    try:
        unit = get(job.unit)
        choose_tensors(unit, job.parameters, job.test, None)
        made = build(unit, job.parameters, job.sim, coverage=job.sim == "verilator")
        done = simulate(made, job.test, job.seed, rows=job.rows)
    except BuildError as error:
        return {**result, "report": str(error), "seconds": time.perf_counter() - started}
    values = {name: done.values.get(name, 0) for name in ("rows", "elements", "beats", "clocks")}
    result |= {**values, "passed": done.passed, "report": done.report}
    counted = done.run.folder / COVERAGE_FILE
    if done.passed:
        coverage = Coverage.load(done.run.folder / "coverage.json")
        result["coverage"] = coverage.as_dict()
        if made.coverage:
            names, counts = code_coverage.to_table(code_coverage.read(counted))
            result["code"] = {"names": names, "counts": code_coverage.pack(counts)}
        shutil.rmtree(done.run.folder)
    else:
        result["folder"] = str(done.run.folder)
        counted.unlink(missing_ok=True)
    return {**result, "seconds": time.perf_counter() - started}


def _die_with_parent() -> None:
    """A worker whose regression was killed has nobody to work for."""
    import ctypes

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def local_executor(workers: int | None = None) -> ProcessPoolExecutor:
    """Processes of this machine, as many as there are cores."""
    # Not threads: the runner of a build changes the environment of its process.
    return ProcessPoolExecutor(
        workers or os.cpu_count(), get_context("spawn"), initializer=_die_with_parent
    )


# --- the regression -------------------------------------------------------------------------------


@dataclass
class Bucket:
    """Failures of one kind: `message` is what they have in common."""

    message: str
    results: list[dict] = field(default_factory=list)

    @property
    def simplest(self) -> dict:
        """The failure with the fewest rows, then the smallest build."""

        def size(result: dict) -> tuple:
            job = result["job"]
            return (
                result.get("rows", 0),
                job["rows"],
                job["parameters"]["LANES"],
                job["parameters"]["MAX_LEN"],
                job["seed"],
            )

        return min(self.results, key=size)


class Regression:
    """A regression in its folder. Raises UserError if the folder holds one of other sources."""

    def __init__(self, folder: Path, all_jobs: Sequence[Job], about: Mapping[str, object]):
        self.folder = folder
        self.jobs = {job.id: job for job in all_jobs}
        (folder / "results").mkdir(parents=True, exist_ok=True)
        (folder / "points").mkdir(exist_ok=True)
        metadata = folder / "metadata.json"
        now = {**about, **_metadata(), "jobs": len(self.jobs)}
        if metadata.exists():
            before = json.loads(metadata.read_text())
            if before["sources"] != now["sources"]:
                raise UserError(
                    f"{folder} holds results of other sources: RESTART=1 drops them, NAME=.. "
                    "starts another regression"
                )
            now["started"] = before["started"]
        metadata.write_text(json.dumps(now, indent=1) + "\n")

    @classmethod
    def of_folder(cls, folder: Path) -> Regression:
        """What was run in a folder, to read it; its jobs are those with a result.

        Raises UserError if there is no regression.
        """
        if not (folder / "metadata.json").exists():
            raise UserError(f"there is no regression in {folder}: make regress NAME={folder.name}")
        read = cls.__new__(cls)
        read.folder = folder
        results = [json.loads(path.read_text()) for path in folder.glob("results/*.json")]
        order = {name: index for index, name in enumerate(UNITS)}
        results.sort(key=lambda one: (order[one["job"]["unit"]], *_configuration(one["job"])))
        read.jobs = {result["id"]: Job(**result["job"]) for result in results}
        return read

    @property
    def metadata(self) -> dict:
        """What metadata.json says."""
        return json.loads((self.folder / "metadata.json").read_text())

    @property
    def results(self) -> dict[str, dict]:
        """The results of this regression's jobs so far, by id, in the order of the jobs."""
        found = {}
        for key in self.jobs:
            path = self._path(key)
            if path.exists():
                found[key] = json.loads(path.read_text())
        return found

    def _path(self, key: str) -> Path:
        return self.folder / "results" / f"{key}.json"

    def save(self, result: Mapping[str, object]) -> None:
        """Keep a result: whole or not at all, and once, however often it comes.

        Names of code coverage points go into a file that all results of a build share.
        """
        if "code" in result:
            names = result["code"]["names"]
            table = code_coverage.digest(names)
            if not self._names(table).exists():
                _write(self._names(table), names)
            result = {**result, "code": {**result["code"], "names": table}}
        _write(self._path(result["id"]), result)

    def _names(self, table: str) -> Path:
        return self.folder / "points" / f"{table}.json"

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
        waiting = iter(_spread(todo))
        running = {}
        failures = 0
        workers = getattr(executor, "_max_workers", 0) or os.cpu_count()

        def fill() -> None:
            # No more than the workers need: what is not submitted need not be taken back.
            while failures < budget and len(running) < 2 * workers:
                job = next(waiting, None)
                if job is None:
                    return
                running[executor.submit(run_job, job)] = job

        fill()
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                del running[future]
                result = future.result()
                self.save(result)
                failures += not result["passed"]
                on_result(result)
            fill()
        return next(waiting, None) is None

    def add_waves(self, bucket: Bucket) -> Path | None:
        """Run a bucket's simplest case again, alone and with waves; return the wave file.

        The case's result then is that run's. None if it does not fail again, or cannot be built:
        then nothing changes.
        """
        worst = bucket.simplest
        job = Job(**worst["job"])
        try:
            made = build(get(job.unit), job.parameters, job.sim, waves=True)
        except BuildError:
            return None
        done = simulate(made, job.test, job.seed, rows=job.rows)
        if done.passed:
            return None
        self.save({**worst, "report": done.report, "folder": str(done.run.folder)})
        return done.waves

    def buckets(self) -> list[Bucket]:
        """Failures by what they have in common, the most frequent kind first."""
        found: dict[str, Bucket] = {}
        for result in self.results.values():
            if not result["passed"]:
                message = normalised(result["report"])
                found.setdefault(message, Bucket(message)).results.append(result)
        return sorted(found.values(), key=lambda bucket: -len(bucket.results))

    def coverage(self) -> dict[tuple[str, str], Coverage]:
        """Functional coverage of what passed: (unit, configuration) -> all its runs as one."""
        merged: dict[tuple[str, str], Coverage] = {}
        for result in self.results.values():
            if not result["passed"]:
                continue
            whole = merged.setdefault(_configuration(result["job"]), Coverage())
            whole.merge(Coverage.from_dict(result["coverage"]))
        return merged

    def figures(self) -> list[Figures]:
        """Both, point by point: of each unit and configuration."""
        functional, code = self.coverage(), self.code_coverage()
        found = []
        for key in dict.fromkeys([*functional, *code]):
            counts = code_coverage.functional(functional.get(key, Coverage()))
            counts |= code.get(key, CodeCoverage()).covered()
            jobs_of = (job for job in self.jobs.values() if _configuration(vars(job)) == key)
            found.append(Figures(*key, counts, next(jobs_of).parameters))
        return found

    def code_coverage(self) -> dict[tuple[str, str], CodeCoverage]:
        """Code coverage of what passed on Verilator: (unit, configuration) -> all its runs as one.

        Raises UserError when a result has none: it was made before there was any.
        """
        sums: dict[tuple[str, str], dict[str, np.ndarray]] = {}
        for result in self.results.values():
            job = result["job"]
            if not result["passed"] or job["sim"] != "verilator":
                continue
            if "code" not in result:
                raise UserError(f"{self.folder} holds runs without code coverage: RESTART=1")
            tables = sums.setdefault(_configuration(job), {})
            table = result["code"]["names"]
            counts = code_coverage.unpack(result["code"]["counts"])
            tables[table] = tables[table] + counts if table in tables else counts
        merged = {}
        for key, tables in sums.items():
            merged[key] = CodeCoverage()
            for table, counts in tables.items():
                names = json.loads(self._names(table).read_text())
                merged[key].merge(code_coverage.from_table(names, counts))
        return merged


def _configuration(job: Mapping) -> tuple[str, str]:
    unit = get(job["unit"])
    given = {k: v for k, v in job["parameters"].items() if v != unit.defaults[k]}
    return unit.name, label(given)


def _write(path: Path, data: object) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(data))
    part.replace(path)


def kept_seed(folder: Path) -> int | None:
    """The first seed of the regression that is in a folder, or None."""
    path = folder / "metadata.json"
    return json.loads(path.read_text())["seed"] if path.exists() else None


def _spread(todo: Sequence[Job]) -> Iterator[Job]:
    """One job of each build in turn: two workers that need one build would wait for each other."""
    by_build: dict[tuple, list[Job]] = {}
    for job in todo:
        by_build.setdefault(job.build, []).append(job)
    queues = list(by_build.values())
    while queues:
        for queue in list(queues):
            yield queue.pop(0)
            if not queue:
                queues.remove(queue)


def normalised(report: str) -> str:
    """What failures of one cause have in common: the first line and what differed, no numbers."""
    lines = report.splitlines() or [""]
    kinds = [
        re.sub(r"^.*?(tdata|tkeep|tuser|beats \(tlast\)).*$", r"\1", line)
        for line in lines
        if re.search(r"(tdata|tkeep|tuser|tlast).*: expected", line)
    ]
    first = re.sub(r"0x[0-9a-f]+|(?<![A-Za-z_])\d+", "#", re.sub(r"\S*/", "", lines[0])).strip()
    return first + (f" ({', '.join(dict.fromkeys(kinds))})" if kinds else "")


def _metadata() -> dict:
    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    versions = {}
    for sim in SIMULATORS:
        try:
            versions |= tools.versions(sim)
        except UserError:
            continue
    return {
        "sources": sources_digest(),
        "commit": git("rev-parse", "HEAD"),
        "changed": bool(git("status", "--porcelain")),
        "tools": versions,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def sources_digest(root: Path = ROOT) -> str:
    """A hash of all that results depend on: RTL, models, bench, tensors, tools."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        place = root / name
        files: Iterable[Path] = [place] if place.is_file() else sorted(place.rglob("*"))
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
