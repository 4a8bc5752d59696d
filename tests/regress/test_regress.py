# SPDX-License-Identifier: Apache-2.0
"""The regression: plan, results on disk, failures, continuation after a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Future
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest

from softnorm.flow import tools
from softnorm.flow.coverage import code as code_coverage
from softnorm.flow.coverage.code import Figures, Point
from softnorm.flow.errors import UserError
from softnorm.flow.paths import ROOT
from softnorm.flow.regress import (
    folder,
    plan,
    provenance,
    worker,
)
from softnorm.flow.regress import (
    regression as regress,
)
from softnorm.flow.sim import simulate
from softnorm.tb.stimulus.scenarios import SCENARIOS
from softnorm.units import UNITS
from softnorm.units.unit import IN_REG, OUT_REG
from tests.copies import hears_ctrl_c
from tests.rtl.mutations import plant
from tests.rtl.test_mutations import MUTATIONS

SIM = "icarus" if tools.icarus() else "verilator"
MISMATCH = """{unit}: row {row} does not match the model
    seed {seed}, parameters LANES=4
    beat 0, lane 3 (element 3), tdata: expected 105, got 104; 3 elements of the row differ
rerun: make sim"""
TIMES = {"seconds": 0, "building": 0}  # in the place of those of two runs that are the same


def job(**changes):
    unit = changes.get("unit", "lut2d")
    given = {"LANES": 2, "MAX_LEN": 8, **changes.pop("parameters", {})}
    plain = {"unit": unit, "sim": SIM, "test": "smoke", "seed": 1, "rows": 20}
    return plan.Job(parameters=UNITS[unit].resolve(given), **{**plain, **changes})


def passed(one, **values):
    return {
        "job": asdict(one),
        "id": one.id,
        "rerun": one.rerun,
        "passed": True,
        "coverage": {},
        "seconds": 1.0,
        **values,
    }


def failed(one, report, **values):
    return {**passed(one, **values), "passed": False, "report": report}


class Now:
    """An executor that does the work at once: each job of a group through `answer`."""

    def __init__(self, answer=None):
        self.answer, self.asked = answer, []

    def submit(self, work, jobs, sources, folder):
        self.asked += jobs
        future = Future()
        if self.answer is None:
            future.set_result(work(jobs, sources, folder))
        else:
            future.set_result([self.answer(one) for one in jobs])
        return future


# --- the plan -------------------------------------------------------------------------------------


def test_the_plan_runs_every_unit_test_and_simulator_and_says_why():
    whole = plan.load_plan()
    assert {"ci", "full", "nightly"} == set(whole.sets)
    for of in whole.sets:
        jobs = plan.jobs(whole, of)
        assert {one.unit for one in jobs} == set(UNITS)
        assert {one.sim for one in jobs} == {"verilator", "icarus"}
        plain = {name for name, scenario in SCENARIOS.items() if not scenario.tensors}
        assert {one.test for one in jobs} >= plain | {"default"}
    assert all(len(run["why"]) > 20 for run in whole.runs)
    sizes = [len(plan.jobs(whole, of)) for of in ("ci", "full", "nightly")]
    assert sizes == sorted(sizes)


def test_seeds_and_filters():
    whole = plan.load_plan()
    some = {"unit": "rexp", "sim": "verilator", "test": "reset", "engine": "pins"}
    jobs = plan.jobs(whole, "ci", 7, **some)
    assert [one.seed for one in jobs] == [7, 8]
    assert len({one.id for one in jobs}) == 2
    again = plan.jobs(whole, "ci", 7, **some)
    assert [one.id for one in again] == [one.id for one in jobs]
    with pytest.raises(UserError, match="no set 'weekly'; there are: ci, full, nightly"):
        plan.jobs(whole, "weekly")
    with pytest.raises(UserError, match="set ci has no run with SIM=icarus TEST=tensors"):
        plan.jobs(whole, "ci", sim="icarus", test="tensors")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('tests: ["default",', 'tests: ["defaults",', "run 0: there is no defaults"),
        ('engine: "bulk"', 'engine: "bulky"', "run 0: there is no bulky"),
        ('code_of: ["small"', 'code_of: ["tiny"', "code_of: there is no tiny"),
        ('sims: ["verilator"]', 'sims: ["vcs"]', "run 0: there is no vcs"),
        ("seeds: { ci: 1, full: 2", "seeds: { weekly: 1, full: 2", "run 0: there is no weekly"),
        ("at_most: { LANES", "at_most: { WIDTH", r"run \d+: there is no WIDTH"),
        ('why: "the paper', 'because: "the paper', "run 0 has no why"),
        ("sets: {", "sets: [", r"plan.hjson, line \d+: "),
        ("  goals: {", "  goals {", r"plan.hjson, line \d+: "),
        ("runs: [", "walks: [", "plan.hjson has no runs"),
        ("runs: [", "runs: [ 7", "entry 0 of runs must be an object, is 7"),
        ('tests: ["default"', 'tests: "all", more: ["default"', "run 0: tests must be a list"),
        ("seeds: { ci: 1", "seeds: 1, more: { ci: 1", "run 0: seeds must be an object, is 1"),
        ("goals_of: [", "goals_of: 3, more: [", "plan.hjson: goals_of must be a list, is 3"),
    ],
)
def test_a_wrong_plan_is_refused_in_one_line(tmp_path, old, new, message):
    text = plan.PLAN.read_text()
    assert old in text
    path = tmp_path / "plan.hjson"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        plan.load_plan(path)


# --- results --------------------------------------------------------------------------------------


def test_what_has_a_result_is_not_run_again(tmp_path):
    jobs = [job(seed=seed) for seed in range(6)]
    first = regress.Regression(tmp_path, jobs, {"seed": 0})
    executor = Now(lambda one: passed(one) if one.seed else failed(one, "bad"))
    assert first.run(executor, jobs[:4], budget=9)
    assert [one.seed for one in executor.asked] == [0, 1, 2, 3]
    second = regress.Regression(tmp_path, jobs, {"seed": 0})
    assert [one.seed for one in second.left()] == [4, 5]
    assert [one.seed for one in second.left(failed=True)] == [0]
    again = Now(passed)
    assert second.run(again, second.left(), budget=9)
    assert second.run(again, second.left(failed=True), budget=9)
    assert [one.seed for one in again.asked] == [4, 5, 0]
    assert len(second.results) == 6
    assert all(result["passed"] for result in second.results.values())


def test_it_stops_at_its_budget_of_failures(tmp_path):
    jobs = [job(seed=seed) for seed in range(200)]
    regression = regress.Regression(tmp_path, jobs, {"seed": 0})
    executor = Now(lambda one: failed(one, "bad"))
    assert not regression.run(executor, jobs, budget=3)
    assert 3 <= len(executor.asked) < 100
    assert len(regression.results) == len(executor.asked)


def test_a_result_that_comes_twice_counts_once(tmp_path):
    one = job()
    regression = regress.Regression(tmp_path, [one], {"seed": 1})
    for _ in range(2):
        regression.save(passed(one, rows=20))
    assert sum(result["rows"] for result in regression.results.values()) == 20
    assert [path.name for path in (tmp_path / "results").iterdir()] == [f"{one.id}.json"]


def test_results_of_other_sources_are_not_mixed(tmp_path, monkeypatch):
    regress.Regression(tmp_path, [job()], {"seed": 1})
    monkeypatch.setattr(provenance, "sources_digest", lambda: "another")
    with pytest.raises(UserError, match=r"RESTART=1 drops them, NAME=\.\. starts another"):
        regress.Regression(tmp_path, [job()], {"seed": 1})


def test_metadata_without_git_has_no_commit(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(tools, "versions", lambda sim: {})
    assert provenance.metadata()["commit"] == ""


def test_metadata_names_sources_tools_seeds_and_command(tmp_path):
    about = {"seed": 5, "command": ["SET=ci"]}
    metadata = regress.Regression(tmp_path, [job()], about).metadata
    assert metadata["seed"] == 5
    assert metadata["command"] == ["SET=ci"]
    assert metadata["jobs"] == 1
    [frozen] = metadata["plan"].values()
    assert frozen == {**asdict(job()), "command": job().rerun}
    assert {"cocotb", "pyuvm", "numpy", "verilator"} <= set(metadata["tools"])
    assert len(metadata["sources"]) == 16
    assert regress.kept_seed(tmp_path) == 5


# --- failures -------------------------------------------------------------------------------------


def test_failures_of_one_kind_share_a_bucket(tmp_path):
    jobs = [job(seed=seed, rows=30 - seed) for seed in range(5)]
    regression = regress.Regression(tmp_path, jobs, {"seed": 0})
    for one in jobs[:3]:
        report = MISMATCH.format(unit="lut2d", row=one.seed * 7, seed=one.seed)
        regression.save(failed(one, report, driven=10 + one.seed))
    regression.save(failed(jobs[3], "stuck: no beat moved for 4000 clocks; 31 beats went in"))
    regression.save(passed(jobs[4]))
    first, second = regression.buckets()
    assert first.message == "lut2d: row # does not match the model (tdata)"
    assert len(first.results) == 3
    assert first.simplest["job"]["seed"] == 0  # fewest rows driven, though not by its scale
    assert second.message.startswith("stuck: no beat moved for # clocks")


def test_a_passing_run_leaves_its_numbers_only():
    [good] = worker.run_group([job()], provenance.sources_digest())
    assert good["passed"]
    assert good["rows"] == 2
    assert good["coverage"]["length"]["group"] == "row"
    assert "folder" not in good


def test_runs_of_a_group_fail_by_themselves(tmp_path, monkeypatch):
    """The second of three cannot even start: the others are as they were alone."""
    jobs = [job(seed=seed, test="random") for seed in (1, 5, 9)]
    new_run = worker.new_run_of

    def broken(made, one):
        run = new_run(made, one)
        if one.seed == 5:
            (run.folder / "run.json").write_text("{}")
        return run

    monkeypatch.setattr(worker, "new_run_of", broken)
    results = worker.run_group(jobs, provenance.sources_digest())
    assert [result["passed"] for result in results] == [True, False, True]
    assert results[1]["report"].splitlines()[-1] == f"rerun: {jobs[1].rerun}"
    shutil.rmtree(results[1]["folder"])
    monkeypatch.setattr(worker, "new_run_of", new_run)
    for one, result in zip(jobs, results, strict=True):
        [alone] = worker.run_group([one], provenance.sources_digest())
        assert alone["passed"]
        if result["passed"]:
            assert alone | TIMES == result | TIMES


def test_groups_hold_jobs_of_one_build_that_start_alike():
    jobs = [job(seed=seed, unit=unit) for unit in ("lut2d", "rexp") for seed in range(40)]
    made = worker.groups(jobs, workers=1)
    assert sorted(one.id for group in made for one in group) == sorted(one.id for one in jobs)
    for group in made:
        assert len({one.build for one in group}) == 1
        assert len({simulate.initial_bits(one.seed) for one in group}) == 1
    assert max(map(len, made)) > 5
    assert [group[0].unit for group in made[:4]] == ["lut2d", "rexp", "lut2d", "rexp"]
    assert max(map(len, worker.groups(jobs, workers=16))) == 1  # everybody gets something


def test_other_sources_on_a_worker_end_the_regression(tmp_path):
    regression = regress.Regression(tmp_path, [job()], {"seed": 1})
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    (tmp_path / "metadata.json").write_text(json.dumps({**metadata, "sources": "others"}))
    with pytest.raises(UserError, match="sources are no longer those that this regression"):
        regression.run(Now(), [job()], budget=9)
    assert not regression.results


def test_a_failing_run_keeps_its_folder_and_is_shrunk_and_run_again_with_waves(
    monkeypatch, tmp_path
):
    mutation = MUTATIONS["lut2d"]["d times 8 for times 10"]
    rtl = plant(mutation.edits, tmp_path)
    for module in (regress, worker):
        monkeypatch.setattr(module, "build", partial(module.build, rtl=rtl))
    jobs = [job(test=mutation.test, sim=SIM, seed=seed, rows=200 - seed) for seed in (1, 5)]
    regression = regress.Regression(tmp_path / "here", jobs, {"seed": 1})
    assert regression.run(Now(), jobs, budget=9)
    [bucket] = regression.buckets()
    assert bucket.message == "lut2d: row # does not match the model (tdata)"
    assert len(bucket.results) == 2
    folders = {result["folder"] for result in bucket.results}
    result = regression.look_into(bucket)
    [again] = regression.buckets()
    assert again.simplest == result
    assert again.simplest["id"] == bucket.simplest["id"]
    waves = next(Path(result["folder"]).glob("dump.*"))
    assert waves.stat().st_size > 1000
    assert 0 < result["driven"] < 300
    shrunk = result["shrunk"]
    assert (shrunk["rows"], shrunk["elements"]) == (1, 2)
    assert shrunk["before"]["rows"] > 50
    assert Path(shrunk["waves"]).stat().st_size > 500
    assert f"STIMULUS={shrunk['file']}" in shrunk["rerun"]
    assert "row of 2: " in shrunk["text"]
    assert shrunk["report"].startswith("lut2d: row 0 does not match the model")
    kept = {result["folder"], shrunk["log"], shrunk["waves"]}
    for place in {*folders, *(str(Path(path).parent) for path in kept if "." in path)}:
        shutil.rmtree(place, ignore_errors=True)


def test_a_failure_that_does_not_come_again_is_told(tmp_path):
    regression = regress.Regression(tmp_path, [job()], {"seed": 1})
    regression.save(failed(job(), "it was the weather"))
    [bucket] = regression.buckets()
    assert regression.look_into(bucket)["alone"] is False
    assert regression.results[job().id]["alone"] is False


def test_a_lost_worker_is_replaced_and_its_jobs_run_again(tmp_path):
    """The worker that gets seed 3 kills itself, once."""
    jobs = [job(seed=seed) for seed in range(1, 7)]
    regression = regress.Regression(tmp_path / "here", jobs, {"seed": 1})
    marker = tmp_path / "died"

    class Dying(Now):
        def submit(self, work, jobs, sources, folder):
            if any(one.seed == 3 for one in jobs) and not marker.exists():
                marker.touch()
                raise BrokenExecutor
            return super().submit(work, jobs, sources, folder)

    with pytest.raises(BrokenExecutor):
        regression.run(Dying(passed), jobs, budget=9)
    assert len(regression.results) < len(jobs)
    executor = Dying(passed)
    assert regression.run(executor, regression.left(), budget=9)
    assert len(regression.results) == len(jobs)


# --- the whole ------------------------------------------------------------------------------------


# A few short runs, to be stopped between two.
SHORT = ("SET=full", "SEED=1", "UNIT=lut2d", f"SIM={SIM}", "TEST=smoke")


def command(*words, **how):
    return subprocess.Popen(
        [sys.executable, ROOT / "scripts/regress.py", *words],
        cwd=ROOT,
        env={**os.environ, "SOFTNORM_PYTHON": "current"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hears_ctrl_c,
        **how,
    )


def results_in(folder):
    """What is there of each run."""
    return {path.stem: json.loads(path.read_text()) for path in (folder / "results").glob("*.json")}


def workers(pid):
    """Python processes that a process has started."""
    found = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [one for one in found if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def test_it_goes_on_to_the_same_numbers_whatever_ends():
    """Ctrl-C and a kill of the command, then a kill of a worker alone.

    Ctrl-C is there within two seconds. No run that has ended is lost, and none becomes a failure.
    """
    name = f"test-{os.getpid()}-ended"
    ended = regress.FOLDER / name
    jobs = plan.jobs(plan.load_plan(), "full", 1, unit="lut2d", sim=SIM, test="smoke")
    every = len(jobs)

    def started(count):
        """The command, when it has one result more."""
        before = len(list((ended / "results").glob("*.json")))
        process = command(*SHORT, f"NAME={name}", f"JOBS={count}", start_new_session=True)
        while len(list((ended / "results").glob("*.json"))) == before:
            assert process.poll() is None
            time.sleep(0.05)
        return process

    try:
        before = 0
        for how in (signal.SIGINT, signal.SIGKILL):
            process = started(1)
            began = time.monotonic()
            os.killpg(process.pid, how)  # as a terminal does
            out, err = process.communicate()
            results = results_in(ended)
            assert before < len(results) < every
            before = len(results)
            if how == signal.SIGINT:
                assert time.monotonic() - began < 3
                assert process.returncode == 130
                assert f"{before} results are kept; the same words go on" in out
                assert err.strip() == "interrupted; what was written so far is kept"
        process = started(2)
        os.kill(workers(process.pid)[0], signal.SIGKILL)
        out, err = process.communicate()
        assert process.returncode == 0, out + err
        assert f"{every - before} to do" in out
        assert "a worker was lost (attempt 1 of 3): going on" in out
        assert f"PASS: {every} runs, 0 failed" in out
        results = results_in(ended)
        assert len(results) == every
        for one in jobs[:: every - 1]:  # the first one, and one that ran after all that
            [alone] = worker.run_group([one], provenance.sources_digest())
            assert alone["passed"]
            assert alone | TIMES == results[one.id] | TIMES
    finally:
        shutil.rmtree(ended, ignore_errors=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["SET=weekly"], "no set 'weekly'"),
        (["UNIT=softmin"], "no unit 'softmin'"),
        (["SETS=ci"], "there is no SETS; there are: SET UNIT"),
        (["FAILED=yes"], "FAILED must be 0 or 1"),
        (["BUDGET=0"], "BUDGET must be at least 1"),
        (["NAME=../x", "RESTART=1"], "not '../x'"),
        (["NAME=x/y"], "not 'x/y'"),
        (["NAME=..", "RESTART=1"], "not '..'"),
        (["NAME="], "not ''"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line(words, message, run_here):
    code, _, err = run_here("regress", "SET=ci", *words, "DRY=1")
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_without_a_set_nothing_is_run(run_here):
    """What it would have run is said."""
    code, out, err = run_here("regress", "UNIT=lut2d")
    sizes = {of: len(plan.jobs(plan.load_plan(), of)) for of in ("ci", "full", "nightly")}
    assert (code, out) == (2, "")
    for of, size in sizes.items():
        assert f"SET={of} ({size} runs)" in err
    assert err.count("\n") == 1


def test_goals_hold_for_the_configurations_that_are_named():
    whole = plan.load_plan()
    unit = UNITS["rexp"]
    assert whole.has_goals(unit, unit.resolve({}))
    assert whole.has_goals(unit, unit.resolve(whole.configurations["small"]))
    assert not whole.has_goals(unit, unit.resolve({"LANES": 2, "MAX_LEN": 3}))


@pytest.mark.parametrize("of", ["ci", "full", "nightly"])
def test_every_unit_counts_code_coverage_in_bulk_where_goals_hold(of):
    whole = plan.load_plan()
    counting = [job for job in plan.jobs(whole, of) if job.coverage]
    assert {job.unit for job in counting} == {*UNITS}
    for job in counting:
        assert (job.sim, job.engine) == ("verilator", plan.BULK)
        unit = UNITS[job.unit]
        on = {*job.parameters} & {*unit.features}
        assert whole.has_goals(unit, job.parameters) or on
    for unit in UNITS.values():  # the code that a feature adds is in no other build
        counted = [job.parameters for job in counting if job.unit == unit.name]
        # Registers at the ports are cells of all units: those of two have their code.
        elsewhere = set() if unit.name in ("e2softmax", "ailayernorm") else {IN_REG, OUT_REG}
        assert {*unit.features} - elsewhere <= {name for given in counted for name in given}


def test_of_builds_with_features_the_code_is_judged_and_not_the_bins():
    """They have few seeds; what the others do not reach of the code, they may."""
    whole, unit = plan.load_plan(), UNITS["e2softmax"]
    [wide] = [c for c in unit.configurations if {"BLOCKS", "SCALE"} <= {*c}]
    line, more = (Point(f"{name}.sv", 1, "line", "") for name in ("a", "b"))
    bin = Point("levels.x", 0, "functional", "0")
    parts = [
        Figures(
            "e2softmax", "small", {line: 0, bin: 3}, unit.resolve(whole.configurations["small"])
        ),
        Figures("e2softmax", "wide", {line: 1, more: 0, bin: 0}, unit.resolve(wide), {bin: "why"}),
        Figures("e2softmax", "LANES=2", {line: 0, bin: 0}, unit.resolve({"LANES": 2})),
    ]
    [judged] = code_coverage.merged(whole.judged(parts))
    assert judged.counts == {line: 1, more: 0, bin: 3}
    assert (judged.holes, judged.waived) == ([more], {})


def test_what_the_ci_set_runs_in_bulk_it_runs_at_the_pins_of_both_simulators_or_full_does():
    whole = plan.load_plan()
    ci, full = plan.jobs(whole, "ci"), plan.jobs(whole, "full")
    for sim in ("verilator", "icarus"):
        for unit in UNITS:
            at_pins = {
                job.test
                for job in ci + full
                if (job.unit, job.sim, job.engine) == (unit, sim, plan.PINS)
            }
            plain = {name for name, scenario in SCENARIOS.items() if not scenario.tensors}
            assert at_pins >= plain, (unit, sim)
        protocol = {"stalls", "errors", "reset", "random", "settings", "timing"}
        for unit in UNITS.values():
            in_ci = {job.test for job in ci if (job.unit, job.sim) == (unit.name, sim)}
            assert in_ci >= ({"random", "reset"} if unit.baseline else protocol), unit.name


def test_a_run_in_bulk_is_a_result_as_one_at_the_pins_is(tmp_path):
    """Same rows and bins; its rerun line says how it was run."""
    jobs = [job(engine=engine, test="masks") for engine in (plan.PINS, plan.BULK)]
    (pins,), (bulk,) = (worker.run_group([one], provenance.sources_digest()) for one in jobs)
    assert pins["passed"]
    assert bulk["passed"]
    assert bulk["rerun"] == pins["rerun"].replace(" ROWS=20", " ROWS=20 BULK=1")
    assert pins["id"] != bulk["id"]
    same = ("rows", "elements", "beats")
    assert [bulk[name] for name in same] == [pins[name] for name in same]
    assert bulk["coverage"]["length"] == pins["coverage"]["length"]
    assert "folder" not in bulk


@pytest.mark.slow
def test_a_failure_in_bulk_is_shrunk_at_the_pins(monkeypatch, tmp_path):
    mutation = MUTATIONS["lut2d"]["d times 8 for times 10"]
    rtl = plant(mutation.edits, tmp_path)
    monkeypatch.setattr(regress, "build", partial(regress.build, rtl=rtl))
    monkeypatch.setattr(worker, "bulk_build", partial(worker.bulk_build, rtl=rtl))
    one = job(test=mutation.test, engine=plan.BULK)
    regression = regress.Regression(tmp_path / "here", [one], {"seed": 1})
    assert regression.run(Now(), [one], budget=9)
    (bucket,) = regression.buckets()
    folders = [bucket.simplest["folder"]]
    assert " BULK=1 " in bucket.simplest["report"]
    result = regression.look_into(bucket)
    assert result["shrunk"]["rows"] == 1
    kept = [result["folder"], *(Path(result["shrunk"][k]).parent for k in ("file", "log", "waves"))]
    for place in {*folders, *map(str, kept)}:
        shutil.rmtree(place, ignore_errors=True)


def test_a_failure_in_bulk_alone_stays_as_it_is(tmp_path):
    one = job(engine=plan.BULK)
    regression = regress.Regression(tmp_path, [one], {"seed": 1})
    regression.save(failed(one, "it was the weather"))
    (bucket,) = regression.buckets()
    assert regression.look_into(bucket) == bucket.simplest


def test_read_later_its_jobs_are_those_that_it_was_started_with(tmp_path):
    jobs = [job(seed=seed, rows=77) for seed in range(3)]  # no plan has such
    regress.Regression(tmp_path, jobs, {"seed": 0, "set": "ci"}).save(passed(jobs[1]))
    read = folder.RegressionFolder(tmp_path)
    assert read.jobs == {one.id: one for one in jobs}
    assert (list(read.results), read.missing) == ([jobs[1].id], 2)


def test_baselines_are_apart_in_ci_alone():
    whole = plan.load_plan()
    runs = {
        (of, unit): len(plan.jobs(whole, of, unit=unit))
        for of in whole.sets
        for unit in ("softermax", "rexp")
    }
    assert runs["ci", "softermax"] < runs["ci", "rexp"] * 3 / 4
    assert runs["full", "softermax"] > runs["full", "rexp"] * 3 / 4


def test_a_set_of_baselines_that_does_not_exist_is_refused(tmp_path):
    path = tmp_path / "plan.hjson"
    path.write_text(
        plan.PLAN.read_text().replace('baselines_apart: ["ci"]', 'baselines_apart: ["c"]')
    )
    with pytest.raises(UserError, match="baselines_apart: there is no c"):
        plan.load_plan(path)


@pytest.mark.parametrize("folder", ["rtl", "models", "units", "tb", "data"])
def test_the_digest_of_the_sources_covers_what_results_depend_on(folder, tmp_path):
    (tmp_path / folder).mkdir()
    (tmp_path / "requirements.txt").touch()
    before = provenance.sources_digest(tmp_path)
    (tmp_path / folder / "new.py").write_text("changed")
    assert provenance.sources_digest(tmp_path) != before
