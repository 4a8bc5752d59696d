# SPDX-License-Identifier: Apache-2.0
"""Mutations of the RTL: each must be caught by its test, with the right report.

A mutation is a bug planted in a copy of the RTL; `mutations/` lists them, one file for each unit.
A bench that passes with a bug in place is decoration.

Each runs in bulk, most of a unit's in one build. Pin by pin, each in a build of its own, they run
with make test SLOW=1; one of each kind of report runs so every time.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from softnorm.flow.build.bulk import BulkBuild, bulk_build
from softnorm.flow.build.pins import SIMULATORS
from softnorm.flow.mutate.play import Played, Scenario
from softnorm.flow.paths import RTL
from softnorm.flow.sim.bulk import simulate_bulk
from softnorm.tb.run import Run
from softnorm.tb.stimulus.replay import Stimulus
from softnorm.units import UNITS
from tests.rtl import merged
from tests.rtl.mutations import SIM, VALUE, Mutation, Rule, plant, simulate_mutated, write

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

# Of each kind of report one that the pin-level bench shows every time, on both simulators.
ON_PINS = {
    "e2softmax": (
        "divider constants swapped",  # tdata
        "exponent given in linear format",  # tuser
        "tkeep comes out whole",
        "ready stuck high",
        "a clock more to close a row",  # latency
        "err_len_o at every dropped beat",
        "reset waits for a clock",
        "tready a clock late after reset",
    ),
}
# Rows with which Icarus, which builds in no time, is tried first; and tests that have such rows.
FEW = 30
DRAWN = ("smoke", "random", "masks", "settings", "levels", "shapes")
FIRST = (*DRAWN, "errors", "stalls")
# The bulk engine counts pulses from its first beat on: one that the first reset leaves is before.
# It writes no channel within a reset.
NOT_IN_BULK = ("late err_len not reset", "write lost in a reset")


def nightly(unit, mutation) -> list[pytest.MarkDecorator]:
    """Bugs of features, which are off by default, are for the night: their builds take longest."""
    return [pytest.mark.slow] * bool({*mutation.parameters} & {*UNITS[unit].features})


def each(of):
    return [
        pytest.param(unit, name, id=f"{unit}: {name}", marks=nightly(unit, mutation))
        for unit in of
        for name, mutation in of[unit].items()
    ]


def on_pins(of, every_time):
    """(simulator, unit, name). What has a report of another kind runs every time, the first of
    them on both simulators: a build of Verilator takes two seconds.
    """
    found = []
    for unit in of:
        both = every_time(unit)[::8]
        for sim, name in itertools.product(SIMULATORS, of[unit]):
            often = name in (every_time(unit) if sim == SIM else both)
            marks = [pytest.mark.slow] * (not often)
            found.append(pytest.param(sim, unit, name, id=f"{sim}-{unit}: {name}", marks=marks))
    return pytest.mark.parametrize(("sim", "unit", "name"), found, indirect=["sim"])


def parameters_of(unit, mutation):
    return {**MODULES[unit].SMALL, **mutation.parameters}


def runs(marks=()):
    """The runs that the mutations use, each once, with the largest number of rows."""
    found = {}
    for unit, mutations in MUTATIONS.items():
        for mutation in sorted(mutations.values(), key=lambda mutation: mutation.rows):
            given = parameters_of(unit, mutation)
            words = [f"{name}={value}" for name, value in mutation.parameters.items()]
            about = " ".join([f"{unit}: {mutation.test}", *words])
            found[about] = pytest.param(
                *(unit, given, mutation.test, mutation.rows),
                id=about,
                marks=marks or nightly(unit, mutation),
            )
    return found.values()


@functools.cache
def together(unit: str, parameters: tuple) -> tuple[dict[str, str], dict[str, int]]:
    """The unit's files with all mutations that a build of these parameters can hold, their numbers.

    Those of other parameters need not elaborate with these. A few are not worth a build.
    """
    edits = {
        name: one.edits
        for name, one in MUTATIONS[unit].items()
        if not one.alone and tuple(parameters_of(unit, one).items()) == parameters
    }
    return merged.merge(edits, UNITS[unit].rtl) if len(edits) > 3 else ({}, {})


@functools.cache
def build_of_all(unit: str, parameters: tuple) -> BulkBuild:
    given = dict(parameters)
    with tempfile.TemporaryDirectory() as folder:
        rtl = plant((), Path(folder))
        for file, text in together(unit, parameters)[0].items():
            write(rtl / file, text)
        return bulk_build(UNITS[unit], UNITS[unit].resolve(given), rtl=rtl)


@functools.cache
def played(unit: str, parameters: tuple, test: str, rows: int) -> Played:
    """A test's stimulus, driven through the build that holds them all with none of them chosen."""
    ready = Played(build_of_all(unit, parameters), Scenario(test, 1, rows))
    ready.guard()
    return ready


def test_every_unit_has_a_file_of_mutations():
    assert set(UNITS) == FILES
    for unit in UNITS:
        assert MUTATIONS[unit], unit


@functools.cache
def first_of(unit: str, parameters: tuple, test: str, rows: int) -> str:
    """The first rows of a test as a stimulus file has them."""
    run = Run(Path(), unit, dict(parameters), SIM, test, 1, rows, None, "")
    return first_rows(Stimulus.of(run), FEW).to_json(run)


def few(unit, given, edits, test, rows):
    """The first rows of a test, which most bugs show in; a test that has no such rows as it is."""
    with tempfile.TemporaryDirectory() as folder:
        rtl = plant(edits, Path(folder)) if edits else RTL
        made = bulk_build(UNITS[unit], UNITS[unit].resolve(given), SIM, rtl=rtl)
        if test not in FIRST:
            return simulate_bulk(made, test, 1, rows=rows)
        path = Path(folder) / "stimulus.json"
        path.write_text(first_of(unit, tuple(made.parameters.items()), test, rows))
        return simulate_bulk(made, test, 1, rows=rows, stimulus=path)


def alone(unit, given, mutation):
    """In a build of its own: Icarus builds in no time, but takes it with the rows."""
    result = few(unit, given, mutation.edits, mutation.test, mutation.rows)
    if mutation.test not in FIRST or (mutation.report in result.report and not result.passed):
        return result
    many = mutation.test in DRAWN and mutation.report == VALUE
    return simulate_mutated(
        *(unit, given, mutation.edits, mutation.test),
        sim="verilator" if many else SIM,
        rows=mutation.rows,
        bulk=True,
    )


def first_rows(stimulus, count):
    phases = []
    for phase in stimulus.phases:
        rows = tuple(itertools.islice(phase.rows, count))
        phases.append(replace(phase, rows=rows))
        count -= len(rows)
    return Stimulus(tuple(phases), stimulus.resets)


def check(mutation, result):
    assert not result.passed, f"test {mutation.test} passes with the bug in place"
    assert mutation.report in result.report
    assert "rerun: make sim" in result.report


@pytest.mark.parametrize(("unit", "name"), each(MUTATIONS))
def test_a_mutation_is_caught(unit, name):
    """In bulk among others; else in a build of its own, which may show an X; else on pins."""
    mutation = MUTATIONS[unit][name]
    given = parameters_of(unit, mutation)
    parameters = tuple(given.items())
    number = together(unit, parameters)[1].get(name)
    if number is not None:
        ready = played(unit, parameters, mutation.test, mutation.rows)
        seen = ready.see(number)
        # A long report is cut, before what its check says, too.
        if mutation.report in f"{seen.report}\n{seen.check}: expected":
            return
    result = alone(unit, given, mutation)
    if mutation.report not in result.report or result.passed:
        result = simulate_mutated(unit, given, mutation.edits, mutation.test, rows=mutation.rows)
    check(mutation, result)


@pytest.mark.parametrize(("unit", "parameters", "test", "rows"), runs())
def test_without_a_mutation_the_same_tests_pass(unit, parameters, test, rows):
    """In the build that holds them all, with none of them chosen; of a single one few rows."""
    if together(unit, tuple(parameters.items()))[1]:
        assert played(unit, tuple(parameters.items()), test, rows).rows > 0
        return
    result = few(unit, parameters, (), test, rows)
    assert result.passed, result.report


@on_pins(MUTATIONS, lambda unit: ON_PINS.get(unit, ()))
def test_a_mutation_is_caught_on_pins(sim, unit, name):
    mutation = MUTATIONS[unit][name]
    if sim != SIM and name not in ON_PINS.get(unit, ()):
        pytest.skip("on the simulator that builds in a second")
    result = simulate_mutated(
        *(unit, parameters_of(unit, mutation), mutation.edits, mutation.test, sim),
        rows=mutation.rows,
    )
    check(mutation, result)


def test_a_mutation_that_breaks_most_rows_ends_a_run_early():
    """Rows are compared while more are driven, not at the end."""
    mutation = MUTATIONS["ailayernorm"]["compress: wraps at 62 and 63"]
    given = MODULES["ailayernorm"].SMALL
    result = simulate_mutated("ailayernorm", given, mutation.edits, "random", rows=200)
    assert not result.passed
    assert 0 < result.values["driven"] < 50


@pytest.mark.parametrize(("unit", "parameters", "test", "rows"), runs([pytest.mark.slow]))
def test_without_a_mutation_the_same_tests_pass_on_pins(run, unit, parameters, test, rows):
    run(SIM, test, unit=unit, rows=rows, **parameters)


@on_pins(RULES, lambda unit: tuple(RULES[unit]))
def test_a_broken_stream_rule_is_named(sim, unit, name):
    rule = RULES[unit][name]
    if rule.needs_x and sim == "verilator":
        pytest.skip("Verilator has no X")
    result = simulate_mutated(unit, MODULES[unit].SMALL, rule.edits, "stalls", sim)
    assert not result.passed
    assert rule.report in result.report
