"""One simulation: build, run, read the result."""

from __future__ import annotations

import json
import os
import re
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cocotb_tools.runner import get_runner

from flow.build import Build
from flow.errors import UserError
from flow.paths import BUILD, DATA
from models import vectors
from tb.run import FOLDER_VARIABLE, Run
from tb.scenarios import SCENARIOS
from tb.unit import Parameters, Unit

DEFAULT_ROWS = 200
COVERAGE_FILE = "coverage.dat"  # in the run's folder, of a build with coverage


@dataclass(frozen=True)
class Result:
    """What a simulation ended with.

    passed   the test's verdict
    report   why it failed: the text for a person, empty when it passed
    values   rows, elements, mismatches, clocks, ...: tb.tests.BaseTest.report_phase; empty when
             the test ended before it could say
    seconds  wall time of the simulation alone
    waves    the wave file, where one was asked for
    """

    run: Run
    passed: bool
    report: str
    values: dict
    seconds: float
    log: Path
    waves: Path | None


def check_test(test: str) -> None:
    """Raise UserError unless there is a test of that name."""
    if test not in SCENARIOS:
        raise UserError(f"there is no test {test!r}; there are: {', '.join(SCENARIOS)}")


def load_tensors(unit: Unit, tensors: Path) -> vectors.Vectors:
    """The rows of a tensor file. Raises UserError or VectorError unless they are for this unit."""
    file = vectors.load(tensors)
    if file.unit not in (unit.name, *unit.reads):
        raise UserError(f"{tensors} holds rows for {file.unit}, not for {unit.name}")
    if file.x.dtype != unit.in_dtype:
        raise UserError(f"{tensors}: x is {file.x.dtype}, {unit.name} takes {unit.in_dtype}")
    return file


def choose_tensors(
    unit: Unit, parameters: Parameters, test: str, given: Path | None
) -> Path | None:
    """The tensor file of a run: the one given, else the shipped one; None if the test reads none.

    Of the shipped rows those that fit the build are driven; a file that is asked for must fit
    whole. Raises UserError, VectorError.
    """
    check_test(test)
    if not SCENARIOS[test].tensors:
        if given is not None:
            raise UserError(f"test {test} reads no tensors; TEST=tensors drives {given}")
        return None
    if given is None:
        load_tensors(unit, DATA / unit.tensors)
        return DATA / unit.tensors
    longest = int(load_tensors(unit, given).length.max())
    if longest > parameters["MAX_LEN"]:
        raise UserError(
            f"{given} has rows of {longest} elements: build with MAX_LEN={longest} or more"
        )
    return given.resolve()


def rerun_line(
    unit: Unit,
    sim: str,
    test: str,
    seed: int,
    rows: int,
    tensors: Path | None,
    parameters: Parameters,
) -> str:
    """The command that repeats a run."""
    words = [f"UNIT={unit.name}", f"SIM={sim}", f"TEST={test}", f"SEED={seed}"]
    if rows != DEFAULT_ROWS:
        words.append(f"ROWS={rows}")
    if tensors is not None and tensors != DATA / unit.tensors:
        words.append(f"TENSORS={tensors}")
    words += [f"{k}={v}" for k, v in parameters.items() if v != unit.defaults[k]]
    return "make sim " + " ".join(words)


def simulate(
    build: Build,
    test: str,
    seed: int,
    *,
    rows: int = DEFAULT_ROWS,
    tensors: Path | None = None,
    on_progress: Callable[[dict], None] | None = None,
) -> Result:
    """Run `test` on a build. Raises UserError for a test or a tensor file that cannot be used.

    A failing test is a `Result`, not an exception.
    """
    unit = build.unit
    tensors = choose_tensors(unit, build.parameters, test, tensors)
    rerun = rerun_line(unit, build.sim, test, seed, rows, tensors, build.parameters)
    run = new_run(build, test, seed, rows, tensors, rerun)
    return execute(build, run, "tb.tests", on_progress)


def new_run(build: Build, test: str, seed: int, rows: int, tensors: Path | None, rerun: str) -> Run:
    """A run with a folder of its own, in which run.json is written."""
    (BUILD / "runs").mkdir(parents=True, exist_ok=True)
    name = f"{build.unit.name}-{test}-{build.sim}-{seed}-{time.strftime('%Y%m%d-%H%M%S')}-"
    folder = Path(tempfile.mkdtemp(prefix=name, dir=BUILD / "runs"))
    run = Run(
        folder=folder,
        unit=build.unit.name,
        parameters=build.parameters,
        sim=build.sim,
        test=test,
        seed=seed,
        rows=rows,
        tensors=tensors,
        rerun=rerun,
    )
    run.save()
    return run


def execute(
    build: Build, run: Run, module: str, on_progress: Callable[[dict], None] | None = None
) -> Result:
    """Run the one cocotb test of `module` in the simulator and read what it left."""
    log = run.folder / "sim.log"
    started = time.perf_counter()
    crashed = False
    with _polled(run.folder / "progress.json", on_progress):
        try:
            get_runner(build.sim).test(
                test_module=module,
                hdl_toplevel=build.unit.name,
                hdl_toplevel_lang="verilog",
                build_dir=build.folder,
                test_dir=run.folder,
                results_xml=str(run.folder / "results.xml"),
                extra_env={FOLDER_VARIABLE: str(run.folder), "COCOTB_ANSI_OUTPUT": "0"},
                seed=run.seed,
                **_simulator_options(build, run),
                log_file=log,
            )
        except (RuntimeError, SystemExit):
            crashed = True
    seconds = time.perf_counter() - started
    report = _failure(run.folder / "results.xml", log, crashed)
    if report and "rerun: " not in report:  # an assertion, or the simulator, ended it
        report += f"\nrerun: {run.rerun}"
    values = run.folder / "result.json"
    return Result(
        run=run,
        passed=not report,
        report=report,
        values=json.loads(values.read_text()) if values.exists() else {},
        seconds=seconds,
        log=log,
        waves=next((f for f in run.folder.iterdir() if f.suffix in (".vcd", ".fst")), None),
    )


def _simulator_options(build: Build, run: Run) -> dict:
    if build.sim == "icarus":
        plusargs = [f"+dumpfile_path={run.folder / 'dump.fst'}"] if build.waves else []
        return {"plusargs": plusargs, "waves": build.waves}
    # Registers and memories start with random bits, as far as a two-state simulator can show what
    # depends on them; Icarus starts them as X.
    random = [f"+verilator+seed+{run.seed % 2147483647 + 1}", "+verilator+rand+reset+2"]
    if build.coverage:
        random.append(f"+verilator+coverage+file+{run.folder / COVERAGE_FILE}")
    return {"test_args": random, "waves": build.waves}


class _polled:
    """Calls `on_progress` with what the bench writes to a file, about four times a second."""

    def __init__(self, path: Path, on_progress):
        self._path, self._call = path, on_progress
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def _poll(self) -> None:
        while not self._stop.wait(0.25):
            if self._path.exists():
                self._call(json.loads(self._path.read_text()))

    def __enter__(self):
        if self._call:
            self._thread.start()

    def __exit__(self, *_):
        self._stop.set()
        if self._call:
            self._thread.join()


def _failure(results: Path, log: Path, crashed: bool) -> str:
    """Empty when the one test passed, else what a person should read."""
    text = log.read_text(errors="replace") if log.exists() else ""
    assertion = re.search(r"^.*(?:Assertion failed|%Error).*$", text, re.M)
    if assertion:
        return f"{assertion.group(0).strip()}\nlog: {log}"
    if results.exists():
        cases = list(ElementTree.parse(results).iter("testcase"))
        bad = [c for case in cases for c in (*case.iter("failure"), *case.iter("error"))]
        if bad:
            message = bad[0].get("error_msg") or bad[0].get("message") or bad[0].text or "failed"
            return f"{message}\nlog: {log}"
        if len(cases) == 1 and not crashed:
            return ""
    tail = "\n".join(text.splitlines()[-12:])
    return f"the simulation ended without a verdict\n{tail}\nlog: {log}"


def environment_is_quiet() -> bool:
    """True in CI, where a progress line that rewrites itself is only noise."""
    return os.environ.get("CI") == "true"
