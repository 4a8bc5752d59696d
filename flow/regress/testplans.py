# SPDX-License-Identifier: Apache-2.0
"""Test plans: what to verify of a unit, with which tests, and which coverage proves it.

The files are dvsim's format with two keys of our own in a testpoint, exactly one of which is there:

  covers  coverage items that prove it: `group.point`, or a covergroup's name for all of its points
  proof   the check that proves it, if no coverage item can

dvsim wants the names of covergroups to end in `_cg`. They do in the files, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import hjson

from softnorm.units.coverage import Coverage

from ..paths import ROOT

STREAM = "stream"  # the plan that every unit's imports
STAGES = ("V1", "V2", "V3")
_SUFFIX = "_cg"


@dataclass(frozen=True)
class Testpoint:
    """A line of a test plan; `plan` names the plan that it is from."""

    __test__ = False  # no test of pytest's

    name: str
    desc: str
    stage: str
    tests: tuple[str, ...]
    plan: str
    covers: tuple[str, ...] = ()
    proof: str = ""

    def claims(self, group: str, point: str) -> bool:
        """Whether a coverpoint is among the items that prove it."""
        return group in self.covers or f"{group}.{point}" in self.covers


@dataclass(frozen=True)
class Covergroup:
    """What a covergroup counts; `plan` names the plan that it is from."""

    name: str
    desc: str
    plan: str


@dataclass(frozen=True)
class Testplan:
    """A plan with those that it imports, imported ones first."""

    __test__ = False

    name: str
    testpoints: tuple[Testpoint, ...]
    covergroups: tuple[Covergroup, ...]


def read(path: str) -> dict:
    """A plan as it is in its file: plain dicts and lists."""
    return hjson.loads((ROOT / path).read_text(encoding="utf-8"), object_pairs_hook=dict)


def load(path: str) -> Testplan:
    """The plan in a file, and those that it imports."""
    plan = read(path)
    inner = [load(other) for other in plan.get("import_testplans", [])]
    return parsed(plan, inner)


def parsed(plan: dict, imported: Iterable[Testplan] = ()) -> Testplan:
    """A plan as `read` gives it, behind those that it imports."""
    points = [point for other in imported for point in other.testpoints]
    groups = [group for other in imported for group in other.covergroups]
    name = plan["name"]
    for point in plan["testpoints"]:
        lists = {key: tuple(point.get(key, ())) for key in ("tests", "covers")}
        words = {key: point.get(key, "") for key in ("name", "desc", "stage", "proof")}
        points.append(Testpoint(**words, **lists, plan=name))
    for group in plan["covergroups"]:
        groups.append(Covergroup(group["name"].removesuffix(_SUFFIX), group["desc"], name))
    return Testplan(name, tuple(points), tuple(groups))


def path_of(name: str) -> str:
    """The file of a plan, below the root."""
    return f"testplans/{name}.hjson"


def plan_of(unit: str) -> Testplan:
    """A unit's plan."""
    return load(path_of(unit))


def complaints(
    plan: Testplan,
    tests: Collection[str],
    stream: Sequence[Coverage],
    own: Sequence[Coverage] = (),
) -> list[str]:
    """Errors of a plan, one line each.

    `tests` are those that exist. `stream` is the coverage of the stream contract and `own` the
    unit's, of each configuration: no configuration has to have every point, but each point of each
    must be claimed. The stream's testpoints may claim nothing of a unit's.
    """
    found = []
    items = {STREAM: _items(stream), plan.name: _items([*stream, *own])}
    groups = {STREAM: {point.split(".")[0] for point in items[STREAM]}}
    groups[plan.name] = {item.split(".")[0] for item in items[plan.name]}
    if plan.name != STREAM:
        groups[plan.name] -= groups[STREAM]

    stages: dict[str, set[str]] = {}
    for point in plan.testpoints:
        for test in point.tests:
            stages.setdefault(test, set()).add(point.stage)
    found += [f"test {test}: no testpoint has it" for test in tests if test not in stages]
    # dvsim counts a test once, in the first of its stages: another's progress would not have it.
    found += [
        f"test {test}: testpoints of {' and '.join(sorted(several))} have it"
        for test, several in stages.items()
        if len(several) > 1
    ]
    for point in plan.testpoints:
        where = f"{point.plan}, testpoint {point.name}"
        if not point.tests:
            found.append(f"{where} has no test")
        found += [f"{where}: there is no test {test}" for test in point.tests if test not in tests]
        if bool(point.covers) == bool(point.proof.strip()):
            found.append(f"{where} must have covers or proof, and not both")
        there = items.get(point.plan, set())
        named = {*there, *(item.split(".")[0] for item in there)}
        found += [
            f"{where}: there is no coverage item {item!r}"
            for item in point.covers
            if item not in named
        ]
    for name, there in groups.items():
        listed = {group.name for group in plan.covergroups if group.plan == name}
        found += [f"{name}: covergroups lacks {group}" for group in sorted(there - listed)]
        found += [f"{name}: there is no covergroup {group}" for group in sorted(listed - there)]
    found += [
        f"coverpoint {item}: no testpoint claims it"
        for item in sorted(items[plan.name])
        if not any(point.claims(*item.split(".", 1)) for point in plan.testpoints)
    ]
    return found


def _items(coverages: Iterable[Coverage]) -> set[str]:
    """`group.point` of every coverpoint."""
    return {f"{p.group}.{name}" for c in coverages for name, p in c.points.items()}
