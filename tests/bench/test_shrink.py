# SPDX-License-Identifier: Apache-2.0
"""The shrinker: on invented failures, whose smallest stimulus is known, and on mutations."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from softnorm.flow.build.pins import build
from softnorm.flow.sim import shrink as shrinker
from softnorm.flow.sim.shrink import shrink
from softnorm.flow.sim.simulate import Result, new_run, simulate
from softnorm.tb.stimulus.replay import Stimulus
from softnorm.units import get
from tests.rtl.mutations import plant
from tests.rtl.test_mutations import MUTATIONS


class Judge:
    """A simulator of which each run fails with what `report` says of its stimulus, or passes."""

    def __init__(self, report):
        self.report, self.asked = report, 0

    def __call__(self, build, seed):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, run):
        self.asked += 1
        stimulus = Stimulus.load(run.stimulus, run.descriptor, run.parameters)
        report = self.report(stimulus)
        return Result(run, not report, report, {}, 0.0, run.folder / "sim.log", None)


@pytest.fixture
def least(monkeypatch):
    """least(report, unit=, test=, **limits): what is left of a run of 60 rows, and the judge."""
    folders = []

    def least(report, unit="e2softmax", test="random", **limits):
        unit = get(unit)
        parameters = unit.resolve({"LANES": 4, "MAX_LEN": 32})
        on = SimpleNamespace(unit=unit, parameters=parameters, sim="verilator")
        judge = Judge(report)
        monkeypatch.setattr(shrinker, "Simulator", judge)
        run = new_run(on, test, 3, 60, None, "again")
        folders.append(run.folder)
        found = shrink(on, run, **limits)
        if found:
            folders.append(found.result.run.folder)
        return found, judge

    yield least
    for folder in folders:
        shutil.rmtree(folder)


def test_two_rows_that_are_needed_together(least):
    def report(stimulus):
        """A row with 77 in it, and later one with a masked element."""
        rows = stimulus.rows
        first = next((n for n, row in enumerate(rows) if (row.x > 70).any()), None)
        late = first is not None and any(not row.mask.all() for row in rows[first + 1 :])
        return "row 9 does not match" if late else ""

    found, _ = least(report)
    first, second = found.stimulus.rows
    assert first.x.tolist() == [71]
    assert first.mask.all()
    assert second.x.tolist() == [0]
    assert second.mask.tolist() == [False]
    assert set(first.settings.values()) == {0}
    assert found.before[0] == 60
    [phase] = found.stimulus.phases
    assert (phase.source, phase.sink) == ("none", "none")


def test_another_failure_on_the_way_does_not_count(least):
    def report(stimulus):
        total = sum(int(np.abs(row.x.astype(int)).sum()) for row in stimulus.rows)
        if total > 500:
            return f"row {len(stimulus.rows)} does not match"  # numbers do not matter
        return "stuck" if total else ""

    found, _ = least(report)
    assert found.result.report.endswith("does not match")
    assert 500 < sum(int(np.abs(row.x.astype(int)).sum()) for row in found.stimulus.rows) < 1500


def test_resets_and_wrong_tkeeps_and_stalls_that_are_needed_stay(least):
    def report(stimulus):
        needed = (
            len(stimulus.resets) > 0
            and any(row.keep for row in stimulus.rows)
            and any(phase.sink != "none" for phase in stimulus.phases)
        )
        return "m_axis_tvalid is 1 in reset" if needed else ""

    found, _ = least(report, test="reset")
    assert len(found.stimulus.resets) == 1
    [row] = found.stimulus.rows
    assert list(row.keep) == [0]
    assert row.x.tolist() == [0]
    [phase] = found.stimulus.phases
    assert phase.source == "none"
    assert phase.sink != "none"


def test_settings_follow_a_rows_length_where_they_did(least):
    def report(stimulus):
        return "bad" if any((row.x == row.x.max()).sum() > 2 for row in stimulus.rows) else ""

    found, _ = least(report, unit="ailayernorm")
    [row] = found.stimulus.rows
    assert row.x.tolist() == [0, 0, 0]
    followed = get("ailayernorm").complete({"MAX_LEN": 32}, np.ones(3, bool))
    assert followed.items() <= row.settings.items()
    for values in row.channels.values.values():
        assert len(set(values.tolist())) == 1


def test_it_ends_at_its_limits_with_the_least_so_far(least):
    found, judge = least(lambda stimulus: "bad" if len(stimulus.rows) > 3 else "", most=5)
    assert judge.asked == 5
    assert 3 < len(found.stimulus.rows) < 60
    found, judge = least(lambda stimulus: "bad", seconds=0)
    assert judge.asked == 1
    assert len(found.stimulus.rows) == 60


def test_what_does_not_fail_cannot_be_shrunk(least):
    found, judge = least(lambda stimulus: "")
    assert found is None
    assert judge.asked == 1


@pytest.mark.parametrize(
    ("unit", "mutation", "rows", "elements"),
    [
        ("e2softmax", "hole in tkeep let pass", 1, 1),
        ("e2softmax", "tready ignored at the output", 4, 64),  # an assertion ends it
        ("ailayernorm", "compress: wraps at 62 and 63", 1, 2),
    ],
)
@pytest.mark.slow  # tests/regress/test_regress.py shrinks one every time
def test_a_mutation_shrinks_to_a_few_rows(unit, mutation, rows, elements, tmp_path):
    mutation = MUTATIONS[unit][mutation]
    rtl = plant(mutation.edits, tmp_path)
    described = get(unit)
    on = build(described, described.resolve({"LANES": 8, "MAX_LEN": 64}), "verilator", rtl=rtl)
    failing = next(
        result for seed in range(1, 6) if not (result := simulate(on, mutation.test, seed)).passed
    )
    found = shrink(on, failing.run)
    assert len(found.stimulus.rows) <= rows
    assert found.stimulus.elements <= elements
    again = simulate(on, mutation.test, failing.run.seed, stimulus=found.file)
    assert not again.passed
    assert again.report.splitlines()[0] == found.result.report.splitlines()[0]
    for folder in (failing.run.folder, again.run.folder, Path(found.file).parent):
        shutil.rmtree(folder)
