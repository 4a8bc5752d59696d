# SPDX-License-Identifier: Apache-2.0
"""Mutations of the RTL: each must be caught by its test, with the right report.

A mutation is a bug planted in a copy of the RTL; `mutations/` lists them, one file for each unit.
A bench that passes with a bug in place is decoration.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from softnorm.units import UNITS
from tests.rtl.mutations import SIM, Mutation, Rule, simulate_mutated

FOLDER = Path(__file__).parent / "mutations"
FILES = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
MODULES = {
    unit: importlib.import_module(f"tests.rtl.mutations.{unit}") for unit in UNITS if unit in FILES
}

# unit -> name -> mutation or rule
MUTATIONS: dict[str, dict[str, Mutation]] = {
    unit: module.MUTATIONS for unit, module in MODULES.items()
}
RULES: dict[str, dict[str, Rule]] = {unit: module.RULES for unit, module in MODULES.items()}


def marks(unit):
    """Baselines reuse the units' cells, so their mutations run only in the nightly job."""
    return [pytest.mark.slow] * UNITS[unit].baseline


def each(of):
    return [
        pytest.param(unit, name, id=f"{unit}: {name}", marks=marks(unit))
        for unit in of
        for name in of[unit]
    ]


def parameters_of(unit, mutation):
    return {**MODULES[unit].SMALL, **mutation.parameters}


def runs():
    """The runs that the mutations use, each once, with the largest number of rows."""
    found = {}
    for unit, mutations in MUTATIONS.items():
        for mutation in sorted(mutations.values(), key=lambda mutation: mutation.rows):
            given = parameters_of(unit, mutation)
            words = [f"{name}={value}" for name, value in mutation.parameters.items()]
            about = " ".join([f"{unit}: {mutation.test}", *words])
            found[about] = pytest.param(
                *(unit, given, mutation.test, mutation.rows), id=about, marks=marks(unit)
            )
    return found.values()


def test_every_unit_has_a_file_of_mutations():
    assert set(UNITS) == FILES
    for unit in UNITS:
        assert MUTATIONS[unit], unit


@pytest.mark.parametrize(("unit", "name"), each(MUTATIONS))
def test_a_mutation_is_caught(unit, name):
    mutation = MUTATIONS[unit][name]
    result = simulate_mutated(
        unit, parameters_of(unit, mutation), mutation.edits, mutation.test, rows=mutation.rows
    )
    assert not result.passed, f"test {mutation.test} passes with the bug in place"
    assert mutation.report in result.report
    assert "rerun: make sim" in result.report


def test_a_mutation_that_breaks_most_rows_ends_a_run_early():
    """Rows are compared while more are driven, not at the end."""
    mutation = MUTATIONS["ailayernorm"]["compress: wraps at 62 and 63"]
    given = MODULES["ailayernorm"].SMALL
    result = simulate_mutated("ailayernorm", given, mutation.edits, "random", rows=200)
    assert not result.passed
    assert 0 < result.values["driven"] < 50


@pytest.mark.parametrize(("unit", "parameters", "test", "rows"), runs())
def test_without_a_mutation_the_same_tests_pass(run, unit, parameters, test, rows):
    run(SIM, test, unit=unit, rows=rows, **parameters)


@pytest.mark.parametrize(("unit", "name"), each(RULES))
def test_a_broken_stream_rule_is_named(sim, unit, name):
    rule = RULES[unit][name]
    if rule.needs_x and sim == "verilator":
        pytest.skip("Verilator has no X")
    result = simulate_mutated(unit, MODULES[unit].SMALL, rule.edits, "stalls", sim)
    assert not result.passed
    assert rule.report in result.report
