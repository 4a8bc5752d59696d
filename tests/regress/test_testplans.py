# SPDX-License-Identifier: Apache-2.0
"""Test plans name tests and coverage items that exist, and all of them."""

import re

import hjson
import pytest

from softnorm.flow.paths import ROOT
from softnorm.flow.regress import testplans
from softnorm.flow.regress.testplans import STREAM, complaints, load, parsed, path_of, plan_of, read
from softnorm.tb.check.contract import StreamShape
from softnorm.tb.check.coverage import StreamCoverage
from softnorm.tb.stimulus.scenarios import SCENARIOS
from softnorm.units import UNITS
from softnorm.units.coverage import Coverage

PLANS = [STREAM, *UNITS]
each_unit = pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)


def stream_coverage(unit):
    """Of each configuration."""
    builds = [unit.resolve(given) for given in unit.configurations]
    return [
        StreamCoverage(StreamShape.of(unit, one), unit.settings(one)).coverage for one in builds
    ]


# What the stream's plan may name: a unit without settings has no coverage of them.
OF_STREAMS = [one for unit in UNITS.values() for one in stream_coverage(unit)[:1]]


def own_coverage(unit):
    """Of each configuration."""
    return [unit.coverage(unit.resolve(given)) for given in unit.configurations]


def test_every_plan_is_the_streams_or_a_units():
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "testplans").glob("*.hjson")}
    assert files == {*map(path_of, PLANS)}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_is_well_formed(name):
    plan = read(path_of(name))
    assert plan["name"] == name
    assert plan.keys() <= {"name", "import_testplans", "testpoints", "covergroups"}
    for point in plan["testpoints"]:
        assert point.keys() - {"covers", "proof"} == {"name", "desc", "stage", "tests"}
        assert point["stage"] in testplans.STAGES, point
        # dvsim takes strings and lists of strings, and nothing else.
        assert all(
            isinstance(one, str) for key in ("tests", "covers") for one in point.get(key, ())
        )
        assert isinstance(point.get("proof", ""), str)
    for group in plan["covergroups"]:
        assert group.keys() == {"name", "desc"}
        assert re.fullmatch("[a-z0-9_]+_cg", group["name"]), "dvsim wants names that end in _cg"
    for entry in plan["testpoints"] + plan["covergroups"]:
        assert re.fullmatch("[a-z0-9_]+", entry["name"])
        assert entry["desc"].strip()


@each_unit
def test_a_units_plan_imports_the_streams(unit):
    assert path_of(STREAM) in read(path_of(unit.name))["import_testplans"]


@each_unit
@pytest.mark.parametrize("what", ["testpoints", "covergroups"])
def test_no_name_is_used_twice(unit, what):
    names = [entry.name for entry in getattr(plan_of(unit.name), what)]
    assert len(names) == len(set(names))


@each_unit
def test_a_units_plan_names_all_tests_and_all_of_its_coverage(unit):
    plan = plan_of(unit.name)
    stream = [*OF_STREAMS, *stream_coverage(unit)]
    assert complaints(plan, SCENARIOS, stream, own_coverage(unit)) == []


@each_unit
def test_the_streams_plan_is_enough_for_the_streams_coverage(unit):
    tests = SCENARIOS.keys() - {"shapes"}  # of values: the units'
    stream = [*OF_STREAMS, *stream_coverage(unit)]
    assert complaints(load(path_of(STREAM)), tests, stream) == []


# --- dvsim reads them -----------------------------------------------------------------------------


def stages_of(unit):
    """Those of its testpoints, by stage."""
    stages = {}
    for point in plan_of(unit.name).testpoints:
        stages.setdefault(point.stage, set()).update(point.tests)
    return stages


@each_unit
def test_dvsims_progress_is_that_of_each_stages_testpoints(unit):
    """With all tests passed, and with each one failed: no stage loses a test to another."""
    dvsim = pytest.importorskip("dvsim.testplan", reason="the extra readers is not installed")
    stages = stages_of(unit)
    assert list(stages) == list(testplans.STAGES)
    for failing in (None, *SCENARIOS):
        plan = dvsim.Testplan(str(ROOT / path_of(unit.name)), repo_top=ROOT, name=unit.name)
        results = [dvsim.Result(one, passing=9 * (one != failing), total=9) for one in SCENARIOS]
        plan.map_test_results(results)
        told = {stage: (one["passing"], one["total"]) for stage, one in plan.progress.items()}
        assert told == {
            stage: (len(tests - {failing}), len(tests)) for stage, tests in stages.items()
        }
    plan.map_covergroups([group.name for group in plan.covergroups])
    assert plan.progress["Covergroups"]["progress"] == "100.00 %"


def test_dvsim_reads_every_plan_there_is():
    dvsim = pytest.importorskip("dvsim.testplan", reason="the extra readers is not installed")
    for path in sorted((ROOT / "testplans").glob("*.hjson")):
        plan = dvsim.Testplan(str(path), repo_top=ROOT, name=path.stem)
        assert plan.testpoints
        assert plan.covergroups


# --- each of the checks finds what it is for ------------------------------------------------------

OF_THE_STREAM = {
    "name": STREAM,
    "testpoints": [
        {"name": "a", "desc": "a", "stage": "V1", "tests": ["smoke"], "covers": ["row.length"]},
        {"name": "b", "desc": "b", "stage": "V2", "tests": ["timing"], "proof": "its check"},
    ],
    "covergroups": [{"name": "row_cg", "desc": "rows"}],
}
OF_A_UNIT = {
    "name": "unit",
    "testpoints": [
        {"name": "c", "desc": "c", "stage": "V1", "tests": ["smoke"], "covers": ["sum", "row"]},
    ],
    "covergroups": [{"name": "sum_cg", "desc": "sums"}],
}


def coverage(**groups):
    made = Coverage()
    for group, points in groups.items():
        made.group(group)
        for name in points:
            made.point(name, ("a bin",), "for this test")
    return made


def copied(plan):
    return hjson.loads(hjson.dumps(plan), object_pairs_hook=dict)


def found(stream=OF_THE_STREAM, unit=OF_A_UNIT, rows=("length",), sums=("j", "j x k"), **more):
    """What is wrong with the plans above, one of them changed or the coverage."""
    plan = parsed(unit, [parsed(stream)])
    return complaints(
        plan, ("smoke", "timing"), [coverage(row=rows)], [coverage(sum=sums), coverage(**more)]
    )


def changed(plan, place, **values):
    """A copy whose testpoint `place` has other values; None takes a key away."""
    plan = copied(plan)
    point = plan["testpoints"][place]
    point.update(values)
    plan["testpoints"][place] = {key: value for key, value in point.items() if value is not None}
    return plan


def test_plans_without_a_fault_pass():
    assert found() == []


def test_a_testpoint_without_a_test_is_found():
    assert found(unit=changed(OF_A_UNIT, 0, tests=[])) == ["unit, testpoint c has no test"]


def test_a_test_without_a_testpoint_is_found():
    plan = changed(OF_THE_STREAM, 1, tests=["smoke"], stage="V1")
    assert found(stream=plan) == ["test timing: no testpoint has it"]


def test_a_test_in_two_stages_is_found():
    plan = changed(OF_A_UNIT, 0, stage="V3")
    assert found(unit=plan) == ["test smoke: testpoints of V1 and V3 have it"]


def test_a_test_that_does_not_exist_is_found():
    plan = changed(OF_A_UNIT, 0, tests=["smoke", "smokes"])
    assert found(unit=plan) == ["unit, testpoint c: there is no test smokes"]


@pytest.mark.parametrize(
    "values",
    [{"proof": None}, {"proof": " "}, {"proof": None, "covers": []}, {"covers": ["row.length"]}],
)
def test_a_testpoint_without_one_kind_of_proof_is_found(values):
    plan = changed(OF_THE_STREAM, 1, **values)
    assert found(stream=plan) == ["stream, testpoint b must have covers or proof, and not both"]


@pytest.mark.parametrize("item", ["sum.i", "sums", "j", "sum.", "sum.j "])
def test_a_coverage_item_that_does_not_exist_is_found(item):
    plan = changed(OF_A_UNIT, 0, covers=["sum", item])
    assert found(unit=plan) == [f"unit, testpoint c: there is no coverage item {item!r}"]


def test_the_streams_testpoints_claim_nothing_of_a_units():
    plan = changed(OF_THE_STREAM, 0, covers=["row.length", "sum.j"])
    assert found(stream=plan) == ["stream, testpoint a: there is no coverage item 'sum.j'"]


def test_a_coverpoint_that_no_testpoint_claims_is_found():
    plan = changed(OF_A_UNIT, 0, covers=["sum.j"])
    assert found(unit=plan) == ["coverpoint sum.j x k: no testpoint claims it"]
    assert found(unit=changed(OF_A_UNIT, 0, covers=["sum"]), rows=("length", "mask")) == [
        "coverpoint row.mask: no testpoint claims it"
    ]


def test_a_covergroup_that_is_not_listed_is_found():
    plan = {**copied(OF_A_UNIT), "covergroups": []}
    assert found(unit=plan) == ["unit: covergroups lacks sum"]
    assert found(stream={**copied(OF_THE_STREAM), "covergroups": []}) == [
        "stream: covergroups lacks row"
    ]


def test_a_coverpoint_of_one_configuration_alone_is_found():
    assert found(index=("i",)) == [
        "unit: covergroups lacks index",
        "coverpoint index.i: no testpoint claims it",
    ]


def test_a_covergroup_that_does_not_exist_is_found():
    plan = copied(OF_A_UNIT)
    plan["covergroups"].append({"name": "row_cg", "desc": "the stream's, not the unit's"})
    assert found(unit=plan) == ["unit: there is no covergroup row"]
