# SPDX-License-Identifier: Apache-2.0
"""Shared fixtures: installed simulators, builds by configuration, commands in this process."""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import sys

import pytest

from softnorm.flow import tools
from softnorm.flow.build.pins import SIMULATORS, build
from softnorm.flow.paths import BUILD, ROOT
from softnorm.flow.sim.simulate import FORKED, Simulator, initial_bits, prepare
from softnorm.units import UNITS

_MOST_SIMULATORS = 3  # a process each, of a hundred megabytes


@pytest.hookimpl(tryfirst=True)  # before -m leaves them out
def pytest_collection_modifyitems(config, items):
    """Test functions of which one is marked slow: tests/docs/test_docs.py looks at them."""
    # A shell's background job starts with Ctrl-C ignored, and hands that on: tests use Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.slow_tests = {
        f"{item.path.name}::{item.originalname}"
        for item in items
        if item.get_closest_marker("slow")
    }


@pytest.fixture(scope="session", autouse=True)
def _runs_of_the_tests(request):
    """A place of their own for the thousands of runs, which is removed unless a test failed."""
    folder = BUILD / "runs" / f"tests-{os.getpid()}"
    os.environ["SOFTNORM_RUNS"] = str(folder)
    yield
    if not request.session.testsfailed:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=SIMULATORS)
def sim(request) -> str:
    """Each simulator in turn; Icarus only where it is installed."""
    if request.param == "icarus" and tools.icarus() is None:
        pytest.skip("Icarus Verilog is not installed")
    return request.param


@pytest.fixture(scope="session")
def _simulators():
    """_simulators(build, seed, module=FORKED): a simulator process; the last few stay for more."""
    kept = {}

    def close(key):
        kept.pop(key).__exit__(None, None, None)

    def simulator(made, seed, module=FORKED):
        key = made.folder, initial_bits(seed), module
        if key not in kept:
            if len(kept) == _MOST_SIMULATORS:
                close(next(iter(kept)))
            kept[key] = Simulator(made, seed, module=module).__enter__()
        kept[key] = kept.pop(key)  # the last to be closed
        return kept[key]

    yield simulator
    for key in list(kept):
        close(key)


@pytest.fixture
def run(_simulators):
    """run(sim, test, unit=, seed=, rows=, tensors=, **parameters): a simulation that must pass.

    In a process that runs of one build share, since to start one takes longer than most runs.
    """

    def run(sim, test, *, unit="e2softmax", seed=1, rows=200, tensors=None, **parameters):
        unit = UNITS[unit]
        made = build(unit, unit.resolve(parameters), sim)
        asked = prepare(made, test, seed, rows, tensors, None)
        result = _simulators(made, seed).run(asked)
        assert result.passed, f"{result.report}\nrerun: {result.run.rerun}"
        assert result.values["mismatches"] == 0
        assert result.values["rows"] > 0
        return result

    return run


@pytest.fixture
def run_here(monkeypatch, capsys):
    """Run scripts/<name>.py with these words in this process, where a test may have patched it.

    Return its exit code and what it printed.
    """
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    monkeypatch.setenv("SOFTNORM_PYTHON", "current")

    def run(name, *words):
        script = f"{name}.py"
        monkeypatch.setattr(sys, "argv", [script, *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(str(ROOT / "scripts" / script), run_name="__main__")
        return caught.value.code, *capsys.readouterr()

    return run
