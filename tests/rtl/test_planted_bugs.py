"""Bugs planted in a copy of the RTL, each with the test that must catch it and what it must say.

A test bench that passes with one of these in place is decoration. The bugs are in
`planted/`, a file for each unit.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from softnorm.units import UNITS
from tests.rtl.planted import SIM, Bug, Rule, simulate_planted

FOLDER = Path(__file__).parent / "planted"
FILES = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
PLANTED = {
    unit: importlib.import_module(f"tests.rtl.planted.{unit}") for unit in UNITS if unit in FILES
}

# unit -> name -> bug or rule
BUGS: dict[str, dict[str, Bug]] = {unit: module.BUGS for unit, module in PLANTED.items()}
RULES: dict[str, dict[str, Rule]] = {unit: module.RULES for unit, module in PLANTED.items()}


def marks(unit):
    """Baselines' bugs are looked for each night: their cells are those of the units."""
    return [pytest.mark.slow] * UNITS[unit].baseline


def each(of):
    return [
        pytest.param(unit, name, id=f"{unit}: {name}", marks=marks(unit))
        for unit in of
        for name in of[unit]
    ]


def parameters_of(unit, bug):
    return {**PLANTED[unit].SMALL, **bug.parameters}


def runs():
    """What the bugs are looked for with, each run once, with the most rows."""
    found = {}
    for unit, bugs in BUGS.items():
        for bug in sorted(bugs.values(), key=lambda bug: bug.rows):
            given = parameters_of(unit, bug)
            words = [f"{name}={value}" for name, value in bug.parameters.items()]
            about = " ".join([f"{unit}: {bug.test}", *words])
            found[about] = pytest.param(
                *(unit, given, bug.test, bug.rows), id=about, marks=marks(unit)
            )
    return found.values()


def test_every_unit_has_a_file_of_planted_bugs():
    assert set(UNITS) == FILES
    for unit in UNITS:
        assert BUGS[unit], unit


@pytest.mark.parametrize(("unit", "name"), each(BUGS))
def test_a_planted_bug_is_caught(unit, name):
    bug = BUGS[unit][name]
    result = simulate_planted(unit, parameters_of(unit, bug), bug.edits, bug.test, rows=bug.rows)
    assert not result.passed, f"test {bug.test} passes with the bug in place"
    assert bug.report in result.report
    assert "rerun: make sim" in result.report


def test_a_bug_in_most_rows_ends_a_run_soon():
    """Rows are compared while more are driven, not at the end."""
    bug = BUGS["ailayernorm"]["compress: wraps at 62 and 63"]
    given = PLANTED["ailayernorm"].SMALL
    result = simulate_planted("ailayernorm", given, bug.edits, "random", rows=200)
    assert not result.passed
    assert 0 < result.values["driven"] < 50


@pytest.mark.parametrize(("unit", "parameters", "test", "rows"), runs())
def test_without_a_bug_the_same_tests_pass(run, unit, parameters, test, rows):
    run(SIM, test, unit=unit, rows=rows, **parameters)


@pytest.mark.parametrize(("unit", "name"), each(RULES))
def test_a_broken_stream_rule_is_named(sim, unit, name):
    rule = RULES[unit][name]
    if rule.needs_x and sim == "verilator":
        pytest.skip("Verilator has no X")
    result = simulate_planted(unit, PLANTED[unit].SMALL, rule.edits, "stalls", sim)
    assert not result.passed
    assert rule.report in result.report
