# SPDX-License-Identifier: Apache-2.0
"""A stimulus as data: it is what the run drives, and driven again it gives the same result."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from softnorm.flow import tools
from softnorm.flow.build.pins import SIMULATORS, build
from softnorm.flow.sim.simulate import (
    Simulator,
    load_stimulus,
    new_run,
    prepare,
    rerun_line,
    simulate,
)
from softnorm.tb.stimulus.replay import Stimulus
from softnorm.tb.stimulus.values import Phase, Reset
from softnorm.units import get
from softnorm.units.unit import ParameterError

# It builds in a second.
ANY = "icarus" if tools.icarus() else "verilator"


def made(sim, unit="e2softmax", **given):
    """Verilator's are those of test_rtl.py."""
    unit = get(unit)
    return build(unit, unit.resolve({"LANES": 8, "MAX_LEN": 64, **given}), sim)


def figures(result):
    """What must be the same of two runs."""
    assert result.passed, result.report
    values = {k: v for k, v in result.values.items() if k not in ("seconds", "stimulus", "rerun")}
    coverage = json.loads((result.run.folder / "coverage.json").read_text())["points"]
    shutil.rmtree(result.run.folder)
    return values, coverage


@pytest.mark.parametrize(
    ("sim", "unit", "test"),
    [
        ("verilator", "e2softmax", "reset"),
        (ANY, "ailayernorm", "random"),
        *(
            pytest.param(sim, *one, marks=pytest.mark.slow)
            for sim in SIMULATORS
            for one in (("rexp", "errors"), ("lut2d", "timing"))
        ),
    ],
)
def test_a_stimulus_driven_again_gives_the_same(sim, unit, test, tmp_path):
    on = made(sim, unit)
    path = tmp_path / "stimulus.json"
    with Simulator(on, 3) as simulator:
        first = simulator.run(prepare(on, test, 3, 30, None, None))
        path.write_text(Stimulus.of(first.run).to_json(first.run))
        again = simulator.run(prepare(on, test, 3, 30, None, path))
    assert f"STIMULUS={path}" in again.run.rerun
    assert figures(again) == figures(first)


def test_a_run_in_a_shared_process_is_as_it_is_alone(sim):
    """Whatever has run in it before."""
    on = made(sim, **({"LANES": 4, "MAX_LEN": 8} if sim == "icarus" else {}))
    with Simulator(on, 2) as simulator:
        tests = ("random", "reset", "random")
        runs = [new_run(on, name, 2, 20, None, "again") for name in tests]
        shared = [figures(simulator.run(run)) for run in runs]
    alone = [figures(simulate(on, test, 2, rows=20)) for test in ("random", "reset")]
    assert shared == [*alone, alone[0]]


def test_runs_that_start_with_other_bits_or_with_waves_share_nothing():
    on = made("verilator")
    with Simulator(on, 1) as simulator, pytest.raises(ValueError, match="cannot share"):
        simulator.run(new_run(on, "smoke", 2, 20, None, "again"))
    with pytest.raises(ValueError, match="runs with waves"):
        Simulator(replace(on, waves=True), 1)


def test_a_simulator_that_does_not_start_is_a_failure_with_what_it_said(tmp_path):
    on = made("verilator")
    broken = type(on)(**{**vars(on), "folder": tmp_path})
    (tmp_path / "e2softmax").write_text("#!/bin/sh\necho no such thing\nexit 3\n")
    (tmp_path / "e2softmax").chmod(0o755)
    with Simulator(broken, 1) as simulator:
        result = simulator.run(new_run(on, "smoke", 1, 20, None, "again"))
    assert not result.passed
    assert "without a verdict\nno such thing" in result.report
    shutil.rmtree(result.run.folder)


def test_a_run_that_hangs_is_stopped_and_the_next_one_runs():
    on = made("verilator")
    with Simulator(on, 1, limit=1) as simulator:
        endless = simulator.run(new_run(on, "random", 1, 1_000_000, None, "make sim ROWS=.."))
        after = simulator.run(new_run(on, "smoke", 1, 20, None, "again"))
    assert endless.report.splitlines() == [
        "stopped after 1 s: it hangs, or is too long",
        f"log: {endless.log}",
        "rerun: make sim ROWS=..",
    ]
    assert after.passed, after.report
    for result in (endless, after):
        shutil.rmtree(result.run.folder)


def id_of(stimulus, row):
    """The number of a row's channel set."""
    return [one is row.channels for one in stimulus.channel_sets].index(True)


@pytest.fixture
def stimulus():
    unit = get("ailayernorm")
    run = new_run(made(ANY, "ailayernorm", LANES=4, MAX_LEN=32), "errors", 1, 20, None, "again")
    shutil.rmtree(run.folder)
    return unit, run, Stimulus.of(run)


def test_the_file_holds_all_of_it(stimulus, tmp_path):
    unit, run, whole = stimulus
    whole = Stimulus(whole.phases, (Reset(3, 998, 2, ("idle", "beat waiting")), Reset(1, 1, 1)))
    path = tmp_path / "stimulus.json"
    path.write_text(whole.to_json(run))
    read = Stimulus.load(path, unit, run.parameters)
    assert read.resets == whole.resets
    assert [(p.source, p.sink) for p in read.phases] == [(p.source, p.sink) for p in whole.phases]
    assert len(read.channel_sets) == len(whole.channel_sets) > 1
    assert any(row.keep for row in whole.rows)
    for ours, theirs in zip(whole.rows, read.rows, strict=True):
        assert np.array_equal(ours.x, theirs.x)
        assert ours.x.dtype == theirs.x.dtype
        assert np.array_equal(ours.mask, theirs.mask)
        assert (ours.settings, ours.keep, ours.origin) == (
            theirs.settings,
            theirs.keep,
            theirs.origin,
        )
        for name, values in ours.channels.values.items():
            assert np.array_equal(values, theirs.channels.values[name])
    # Rows of one set have one set: a bank is loaded once for all of them.
    assert [id_of(read, row) for row in read.rows] == [id_of(whole, row) for row in whole.rows]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unit": "rexp"}, "is for unit rexp, not ailayernorm"),
        ({"parameters": {"LANES": 1}}, "is for parameters"),
        ({"channels": []}, "holds no stimulus that can be read"),
        ({"phases": 7}, "holds no stimulus that can be read"),
    ],
)
def test_a_file_of_something_else_is_refused(stimulus, change, message, tmp_path):
    unit, run, whole = stimulus
    path = tmp_path / "stimulus.json"
    path.write_text(json.dumps({**json.loads(whole.to_json(run)), **change}))
    with pytest.raises(ParameterError, match=message):
        Stimulus.load(path, unit, run.parameters)


def changed(text, place, value):
    *way, last = place
    for step in way:
        text = text[step]
    if value is None:
        del text[last]
    else:
        text[last] = value


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("settings", "gfrac"), 99, r"setting gfrac must be 0 to 7, is 99 in row 0"),
        (("settings", "gfrac"), 1.5, "a value that is no whole number"),
        (("settings", "gfrac"), None, "a row has no setting 'gfrac'"),
        (("x", 0), 256, "holds no stimulus that can be read"),
        (("x", 0), 0.5, "a value that is no whole number"),
        (("x", 0), float("nan"), "a value that is no whole number"),
        (("x",), [], r"lengths must be 1 to"),
        (("x",), [0] * 33, ""),  # longer than MAX_LEN: that is for the unit
        (("channels",), None, "holds no stimulus that can be read: 'channels'"),
        (("channels",), 99, "holds no stimulus that can be read: list index out of range"),
        (("masked",), [99], "holds no stimulus that can be read"),
    ],
)
def test_a_value_that_cannot_be_driven_is_refused(stimulus, place, value, message, tmp_path):
    unit, run, whole = stimulus
    text = json.loads(whole.to_json(run))
    changed(text["phases"][0]["rows"][0], place, value)
    path = tmp_path / "stimulus.json"
    path.write_text(json.dumps(text))
    if not message:
        load_stimulus(path, unit, run.parameters)
        return
    with pytest.raises(ParameterError, match=message) as caught:
        load_stimulus(path, unit, run.parameters)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("channels", 0, "gamma"), [0], r"gamma of row \d+ is of 1 channels, the row has"),
        (("channels", 0, "gamma", 0), 128, "holds no stimulus that can be read"),
        (("channels", 0, "alpha", 0), 4, "alpha must be 0 to 3"),
        (("phases", 0, "sink"), "often", "no stalls 'often'; there are: none"),
        (("phases", 0, "source"), "half after tvalid", "no stalls 'half after tvalid'"),
    ],
)
def test_channels_and_stalls_that_there_are_not_are_refused(
    stimulus, place, value, message, tmp_path
):
    unit, run, whole = stimulus
    text = json.loads(whole.to_json(run))
    changed(text, place, value)
    path = tmp_path / "stimulus.json"
    path.write_text(json.dumps(text))
    with pytest.raises(ParameterError, match=message):
        load_stimulus(path, unit, run.parameters)


def test_no_file_is_refused(tmp_path):
    with pytest.raises(ParameterError, match=r"none\.json: no such file"):
        Stimulus.load(tmp_path / "none.json", get("rexp"), {})


def test_in_words_it_is_short(stimulus):
    row = stimulus[2].rows[0]
    long = type(row)(np.array([5] * 30 + [1, 1], np.int8), np.ones(32, bool), {"zp": 3}, "here")
    long.mask[4] = False
    text = str(Stimulus((Phase((long,), "half", "none"),), (Reset(3, 998, 2),)))
    assert text.splitlines() == [
        "stalls of the input: half, of the output: none",
        "  row of 32: 5 x 30, 1, 1",
        "    masked elements: 4",
        "    zp=3",
        "reset after 3 clocks and 998 ps, for 2 clocks",
    ]


def test_the_rerun_line_names_it(tmp_path):
    unit = get("rexp")
    parameters = unit.resolve({})
    line = rerun_line(unit, "icarus", "random", 7, 200, None, parameters, tmp_path / "a.json")
    assert line == (
        f"make sim UNIT=rexp SIM=icarus TEST=random SEED=7 STIMULUS={tmp_path / 'a.json'}"
    )
