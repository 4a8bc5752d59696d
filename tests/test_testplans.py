"""Test plans name the scenarios and covergroups that exist, and all of them."""

import re

import hjson
import pytest

from flow.paths import ROOT
from tb.contract import StreamShape
from tb.scenarios import SCENARIOS
from tb.stream_coverage import StreamCoverage
from tb.units import UNITS

STREAM = "testplans/stream.hjson"

each_unit = pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)


def load(path):
    """A plan as it is in its file: plain dicts and lists."""
    return hjson.loads((ROOT / path).read_text(encoding="utf-8"), object_pairs_hook=dict)


def plans(path):
    """A plan and those that it imports, at any depth."""
    plan = load(path)
    return [plan, *(inner for other in plan.get("import_testplans", []) for inner in plans(other))]


def plan_of(unit):
    return f"testplans/{unit.name}.hjson"


def named(unit, what):
    """Names in the lists `what` of a unit's plan and of those that it imports."""
    return [entry["name"] for plan in plans(plan_of(unit)) for entry in plan[what]]


def groups(coverage):
    return {point.group for point in coverage.points.values()}


OTHERS = {"testplans/regression.hjson", "testplans/waivers.hjson"}  # with tests of their own


def test_every_plan_is_the_streams_or_a_units():
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "testplans").iterdir()}
    assert files - OTHERS == {STREAM, *map(plan_of, UNITS.values())}


@pytest.mark.parametrize("path", [STREAM, *map(plan_of, UNITS.values())])
def test_a_plan_is_well_formed(path):
    plan = load(path)
    assert f"testplans/{plan['name']}.hjson" == path
    assert plan.keys() <= {"name", "import_testplans", "testpoints", "covergroups"}
    for point in plan["testpoints"]:
        assert point.keys() == {"name", "desc", "stage", "tests"}
        assert point["stage"] in ("V1", "V2", "V3"), point
        assert point["tests"], point
    for group in plan["covergroups"]:
        assert group.keys() == {"name", "desc"}
    for entry in plan["testpoints"] + plan["covergroups"]:
        assert re.fullmatch("[a-z0-9_]+", entry["name"])
        assert entry["desc"].strip()


@each_unit
def test_a_units_plan_imports_the_streams(unit):
    assert STREAM in load(plan_of(unit))["import_testplans"]


@each_unit
@pytest.mark.parametrize("what", ["testpoints", "covergroups"])
def test_no_name_is_used_twice(unit, what):
    names = named(unit, what)
    assert len(names) == len(set(names))


@each_unit
def test_scenarios_are_those_that_exist_and_all_of_them(unit):
    listed = {
        test
        for plan in plans(plan_of(unit))
        for point in plan["testpoints"]
        for test in point["tests"]
    }
    assert listed == set(SCENARIOS)


@each_unit
def test_covergroups_are_those_that_exist_and_all_of_them(unit):
    for given in unit.configurations:
        parameters = unit.resolve(given)
        shape = StreamShape.of(unit, parameters)
        stream = groups(StreamCoverage(shape, unit.settings(parameters)).coverage)
        own = groups(unit.coverage(parameters))
        assert {group["name"] for group in load(STREAM)["covergroups"]} == stream
        assert {group["name"] for group in load(plan_of(unit))["covergroups"]} == own
