# SPDX-License-Identifier: Apache-2.0
"""One simulation: build, run, read the result."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from softnorm.models import vectors
from softnorm.tb.bulk.beats import check as check_rows
from softnorm.tb.run import (
    ENDED,
    FOLDER_VARIABLE,
    LIMIT_VARIABLE,
    PARENT_VARIABLE,
    PIPE_VARIABLE,
    Run,
)
from softnorm.tb.stimulus.replay import Stimulus
from softnorm.tb.stimulus.scenarios import SCENARIOS, rows_of
from softnorm.tb.stimulus.values import SINKS, STALLS, batch
from softnorm.units.unit import ParameterError, Parameters, Unit

from .. import bytecode
from ..build.bulk import BulkBuild
from ..build.pins import Build, runner
from ..errors import DiskFull, UserError, no_room, tells_of_full
from ..paths import DATA, ROOT, runs

DEFAULT_ROWS = 200
BENCH = "softnorm.tb.uvm.tests"  # what a simulator imports
FORKED = "softnorm.tb.uvm.forked"
COVERAGE_FILE = "coverage.dat"  # in the run's folder, of a bulk build with coverage
TIME_LIMIT = 900  # seconds of a run among many
INITIAL_BITS = 4  # seeds of Verilator's random start of registers and memories
# Else cocotb 2.1 has pytest rewrite the assertions of every module that a simulator imports, those
# of numpy too, with all of pytest's plug-ins: a quarter of a start, half of it without bytecode.
_REWRITE = "COCOTB_REWRITE_ASSERTION_FILES"
_QUICK_START = {_REWRITE: os.environ.get(_REWRITE, "")}


@dataclass(frozen=True)
class Result:
    """What a simulation ended with.

    passed   the test's verdict
    report   why it failed: the text for a person, empty when it passed
    values   rows, elements, mismatches, clocks, ...: BaseTest.report_phase of tb.uvm.tests; of a
             failure
             the rows `driven`, or nothing when the simulator ended it
    seconds  of the simulation alone: wall time, or the processor's of one of many in a process
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


def load_tensors(unit: Unit, parameters: Parameters, tensors: Path) -> vectors.Vectors:
    """The rows of a tensor file. Raises UserError or VectorError unless they are for this build."""
    file = vectors.load(tensors)
    if file.unit not in (unit.name, *unit.reads):
        raise UserError(f"{tensors} holds rows for {file.unit}, not for {unit.name}")
    file, wanted = unit.adopted(file, parameters), unit.input_dtype(parameters)
    if file.x.dtype != wanted:
        raise UserError(f"{tensors}: x is {file.x.dtype}, {unit.name} takes {wanted}")
    return file


def load_stimulus(path: Path, unit: Unit, parameters: Parameters) -> Stimulus:
    """Read a stimulus file. Raises ParameterError unless it can be driven into this build."""
    stimulus = Stimulus.load(path, unit, parameters)
    rows, most = stimulus.rows, unit.max_len(parameters)
    try:
        for number, row in enumerate(rows):
            sizes = {n: len(v) for n, v in (row.channels.values if row.channels else {}).items()}
            for name, size in sizes.items():
                if not min(len(row.x), most) <= size <= most:
                    about = f"{name} of row {number} is of {size} channels"
                    raise ValueError(f"{about}, the row has {len(row.x)} elements")
        check_rows(unit, parameters, batch(unit, parameters, rows))
        for phase in stimulus.phases:
            other = phase.other or phase.source
            for name, there in ((phase.source, STALLS), (phase.sink, SINKS), (other, STALLS)):
                if name not in there:
                    raise ValueError(f"no stalls {name!r}; there are: {', '.join(there)}")
    except KeyError as error:  # of a unit with a channel table None is no channel set
        missing = f"setting {error}" if isinstance(error.args[0], str) else "channels"
        raise ParameterError(f"{path}: a row has no {missing}") from None
    except ValueError as error:
        raise ParameterError(f"{path}: {error}") from None
    return stimulus


def check_tensors(unit: Unit, parameters: Parameters, file: vectors.Vectors, path: Path) -> None:
    """Raise UserError, which names the file, unless its rows can be driven into this build."""
    names = [setting.name for setting in unit.settings(parameters)]
    # Of a feature that this build has not: its pin may be tied low, and so may the file say.
    every = {
        one.name for given in unit.configurations for one in unit.settings(unit.resolve(given))
    }
    low = {name for name in every if not np.any(file.run_settings.get(name, 0))}
    unknown = sorted(file.run_settings.keys() - {*names} - low)
    if unknown and file.unit == unit.name:  # else they are those of the unit that it was made for
        there = ", ".join(names) or "none"
        raise UserError(f"{path}: {unit.name} has no setting {unknown[0]}; there are: {there}")
    missing = [column.name for column in unit.channels if column.name not in file.channels]
    if missing:
        raise UserError(f"{path} has no {missing[0]}: {unit.name} needs it for each channel")
    missing = [operand.name for operand in unit.operands if operand.name not in file.extra]
    if missing:
        raise UserError(f"{path} has no {missing[0]}: {unit.name} needs it beside x")
    try:
        check_rows(unit, parameters, rows_of(unit, parameters, file))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


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
    if given is None and unit.cell:
        if SCENARIOS[test].phases is SCENARIOS["tensors"].phases:
            raise UserError(f"{unit.name} has no tensors of its own: give TENSORS=file")
        return None
    if given is None:
        load_tensors(unit, parameters, DATA / unit.tensors)
        return DATA / unit.tensors
    file = load_tensors(unit, parameters, given)
    longest = int(file.length.max())
    if longest > unit.max_len(parameters):
        raise UserError(
            f"{given} has rows of {longest} elements: build with MAX_LEN={longest} or more"
        )
    check_tensors(unit, parameters, file, given)
    return given.resolve()


def rerun_line(
    unit: Unit,
    sim: str,
    test: str,
    seed: int,
    rows: int,
    tensors: Path | None,
    parameters: Parameters,
    stimulus: Path | None = None,
    bulk: bool = False,
) -> str:
    """The command that repeats a run."""
    words = [f"UNIT={unit.name}", f"SIM={sim}", f"TEST={test}", f"SEED={seed}"]
    if rows != DEFAULT_ROWS:
        words.append(f"ROWS={rows}")
    if tensors is not None and tensors != DATA / unit.tensors:
        words.append(f"TENSORS={tensors}")
    if stimulus is not None:
        words.append(f"STIMULUS={stimulus}")
    if bulk:
        words.append("BULK=1")
    words += [f"{k}={v}" for k, v in unit.others(parameters).items()]
    return "make sim " + " ".join(words)


def simulate(
    build: Build,
    test: str,
    seed: int,
    *,
    rows: int = DEFAULT_ROWS,
    tensors: Path | None = None,
    stimulus: Path | None = None,
    on_progress: Callable[[dict], None] | None = None,
) -> Result:
    """Run `test` on a build; `stimulus` is a file of rows to drive in place of the test's.

    A failing test is a `Result`, not an exception. Raises UserError for a test or a tensor file
    that cannot be used, ParameterError for a stimulus that is not for this build.
    """
    run = prepare(build, test, seed, rows, tensors, stimulus)
    return execute(build, run, BENCH, on_progress)


def prepare(
    build: Build | BulkBuild,
    test: str,
    seed: int,
    rows: int,
    tensors: Path | None,
    stimulus: Path | None,
) -> Run:
    """A run of `test` as it is asked for. Raises what `simulate` raises."""
    unit, parameters = build.unit, build.parameters
    tensors = choose_tensors(unit, parameters, test, tensors)
    if stimulus is not None:
        stimulus = stimulus.resolve()
        load_stimulus(stimulus, unit, parameters)
    bulk = isinstance(build, BulkBuild)
    rerun = rerun_line(unit, build.sim, test, seed, rows, tensors, parameters, stimulus, bulk)
    return new_run(build, test, seed, rows, tensors, rerun, stimulus)


def new_run(
    build: Build | BulkBuild,
    test: str,
    seed: int,
    rows: int,
    tensors: Path | None,
    rerun: str,
    stimulus: Path | None = None,
) -> Run:
    """A run with a folder of its own, in which run.json is written."""
    name = f"{build.unit.name}-{test}-{build.sim}-{seed}-{time.strftime('%Y%m%d-%H%M%S')}-"
    folder = Path(tempfile.mkdtemp(prefix=name, dir=runs()))
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
        stimulus=stimulus,
    )
    run.save()
    return run


def execute(
    build: Build, run: Run, module: str, on_progress: Callable[[dict], None] | None = None
) -> Result:
    """Run the one cocotb test of `module` in the simulator and read what it left."""
    started = time.perf_counter()
    with _polled(run.folder / "progress.json", on_progress):
        crashed = _start(build, run.seed, module, run.folder, {FOLDER_VARIABLE: str(run.folder)})
    return _result(run, crashed, time.perf_counter() - started)


class Simulator:
    """One simulator process for many runs of one build, each in a fork of it (tb/uvm/forked.py).

    What a run does in it is what it does alone: same stimulus, same result; but to start it takes
    no time. Use as a context. Raises ValueError for a build with waves.
    """

    def __init__(self, build: Build, seed: int, limit: int = TIME_LIMIT, module: str = FORKED):
        """`seed` of any of the runs: what they share of it is `initial_bits`.

        A run that takes longer than `limit` seconds is taken to hang, and stopped. `module`: one
        that imports FORKED last.
        """
        if build.waves:
            raise ValueError("runs with waves cannot share a process")
        self._build, self._seed, self._limit, self._module = build, seed, limit, module

    def __enter__(self) -> Simulator:
        self._folder = Path(tempfile.mkdtemp(prefix="many-", dir=runs()))
        names = self._folder / "pipe"
        os.mkfifo(names)
        # For reading too, so that nobody waits for a simulator that does not start.
        self._names = os.open(names, os.O_RDWR)
        environment = {
            PIPE_VARIABLE: str(names),
            LIMIT_VARIABLE: str(self._limit),
            PARENT_VARIABLE: str(os.getpid()),
        }
        self._thread = threading.Thread(
            target=_start,
            args=(self._build, self._seed, self._module, self._folder, environment),
            daemon=True,
        )
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        os.write(self._names, b"\n")
        self._thread.join()
        os.close(self._names)
        shutil.rmtree(self._folder)

    def run(self, run: Run) -> Result:
        """Simulate one. Raises ValueError if its registers start with other bits."""
        if initial_bits(run.seed) != initial_bits(self._seed):
            raise ValueError("these runs cannot share a process")
        ended, log = run.folder / ENDED, run.folder / "sim.log"
        os.write(self._names, f"{run.folder}\n".encode())
        while not ended.exists() and self._thread.is_alive():
            time.sleep(0.002)
        code, seconds = json.loads(ended.read_text()) if ended.exists() else (None, 0.0)
        if not log.exists():  # it was not even begun: what the process itself says is all there is
            shutil.copyfile(self._folder / "sim.log", log)
        hangs = f"stopped after {self._limit} s: it hangs, or is too long"
        return _result(run, code != 0, seconds, hangs if code == -signal.SIGALRM else "")


def _start(build: Build, seed: int, module: str, folder: Path, environment: dict) -> bool:
    """Start the simulator in `folder` and wait for its end; return whether that was a bad one."""
    try:
        runner(build.sim).test(
            test_module=module,
            hdl_toplevel=build.unit.name,
            hdl_toplevel_lang="verilog",
            build_dir=build.folder,
            test_dir=folder,
            results_xml=str(folder / "results.xml"),
            extra_env={**_QUICK_START, **environment, "COCOTB_ANSI_OUTPUT": "0"},
            seed=seed,
            **_simulator_options(build, seed, folder),
            log_file=folder / "sim.log",
        )
    except (RuntimeError, SystemExit):
        return True
    return False


def _result(run: Run, crashed: bool, seconds: float, why: str = "") -> Result:
    """What a run left in its folder; `why` it ended as it did, where that is known."""
    log = run.folder / "sim.log"
    report = f"{why}\nlog: {log}" if why else _failure(run.folder / "results.xml", log, crashed)
    if report:
        _check_room(run.folder, f"{report}\n{log.read_text(errors='replace')}")
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


def _check_room(folder: Path, said: str) -> None:
    """Raise DiskFull if that is why a run failed, UserError if it is why one did before."""
    if tells_of_full(said) or no_room(folder):
        raise DiskFull(folder)
    if any(text in said for text in bytecode.SAID):
        places = (ROOT, Path(sys.prefix), Path(sys.pycache_prefix or ROOT))
        if bytecode.remove_cut(places):
            raise UserError(
                "compiled Python files had been cut short, as by a full disk: they are removed, "
                "give the same command again"
            )


def initial_bits(seed: int) -> int:
    """Which bits registers and memories start with: few kinds, so that runs can share a process."""
    return seed % INITIAL_BITS + 1


def _simulator_options(build: Build, seed: int, folder: Path) -> dict:
    if build.sim == "icarus":
        plusargs = [f"+dumpfile_path={folder / 'dump.fst'}"] if build.waves else []
        return {"plusargs": plusargs, "waves": build.waves}
    # Registers and memories start with random bits, as far as a two-state simulator can show what
    # depends on them; Icarus starts them as X.
    random = [f"+verilator+seed+{initial_bits(seed)}", "+verilator+rand+reset+2"]
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
