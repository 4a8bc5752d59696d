"""What tests share: simulators that are here, builds by configuration, commands in this process."""

from __future__ import annotations

import os
import runpy
import shutil
import sys

import pytest

from flow import tools
from flow.build import SIMULATORS, build
from flow.paths import BUILD, ROOT
from flow.simulate import simulate
from tb.units import UNITS


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


@pytest.fixture
def run():
    """run(sim, test, unit=, seed=, rows=, tensors=, **parameters): a simulation that must pass."""

    def run(sim, test, *, unit="e2softmax", seed=1, rows=200, tensors=None, **parameters):
        unit = UNITS[unit]
        made = build(unit, unit.resolve(parameters), sim)
        result = simulate(made, test, seed, rows=rows, tensors=tensors)
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
