# SPDX-License-Identifier: Apache-2.0
"""A unit's test plan, with what the regression says of each testpoint and covergroup."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from softnorm.units import get

from ..regress.folder import RegressionFolder
from ..regress.testplans import STAGES, Covergroup, Testpoint, plan_of
from .coverage import item_anchor
from .layout import page, switcher
from .markdown import inline
from .markup import NOT_IN_SET, STATES, Html, el, join, link, rate, slug, state, table


def state_of(point: Testpoint, results: Iterable[dict], planned: Collection[str]) -> str:
    """What a unit's results say of it: failed if any run of its tests did.

    It has passed only if each of its tests that are `planned` has a run.
    """
    wanted = {*point.tests} & {*planned}
    if not wanted:
        return NOT_IN_SET
    runs = [result for result in results if result["job"]["test"] in wanted]
    if any(not run["passed"] for run in runs):
        return "failed"
    ran = {run["job"]["test"] for run in runs}
    return "passed" if ran == wanted else "partly run" if ran else "not run"


def plan_page(regression: RegressionFolder, unit: str) -> Html:
    """A unit's test plan with what the results say of it."""
    results, planned = regression.of(unit), regression.tests[unit]
    plan = plan_of(unit)
    counts = [state_of(point, results, planned) for point in plan.testpoints]
    told = ", ".join(f"{counts.count(word)} {word}" for word in STATES if word in counts)
    lines = [
        (
            {"id": slug("point", point.name)},
            (
                join([el("code", point.name), el("br"), el("small", point.plan, class_="soft")]),
                point.stage,
                state(state_of(point, results, planned)),
                join(_test_line(test, results, planned) for test in point.tests),
                _proof(regression, unit, point),
                described(point.desc),
            ),
        )
        for stage in STAGES
        for point in plan.testpoints
        if point.stage == stage
    ]
    covergroups = [
        [
            el("code", group.name),
            _group_rate(regression, unit, group),
            described(group.desc),
            group.plan,
        ]
        for group in plan.covergroups
    ]
    return page(
        regression,
        f"plan_{unit}.html",
        f"Test plan of {unit}",
        switcher(regression, "plan", unit),
        el("p", get(unit).title, class_="lead"),
        el(
            "p",
            f"{len(plan.testpoints)} testpoints: {told}. What the set {regression.set} does not "
            "run is not judged. Coverage that proves a testpoint is in bins hit over the "
            "configurations that have goals, after waivers. ",
            link("Coverage", f"coverage_{unit}.html"),
        ),
        el("h2", "Testpoints"),
        table(
            (
                *("testpoint, its plan", "stage", "status", "tests: runs passed"),
                *("proved by: bins hit", "what it is"),
            ),
            lines,
            f"testpoints of {unit}",
            class_="stack",
        ),
        el("h2", "Covergroups"),
        table(("covergroup", "bins hit", "what it counts", "plan"), covergroups, "covergroups"),
    )


def described(text: str) -> Html:
    """A plan's description: paragraphs, their leading words as `Checks:` in bold."""
    parts = []
    for block in re.split(r"\n\s*\n|\n(?=\s*[A-Z][a-z]+: )", text.strip()):
        line = " ".join(block.split())
        word = re.match(r"[A-Z][a-z]+:(?= )", line)
        rest = inline(line[word.end() :] if word else line)
        parts.append(el("p", el("b", word[0]), rest) if word else el("p", rest))
    return join(parts)


def _test_line(test: str, results: Iterable[dict], planned: Collection[str]) -> Html:
    runs = [result for result in results if result["job"]["test"] == test]
    good = sum(run["passed"] for run in runs)
    word = "passed" if good == len(runs) else "failed"
    if not runs:
        word = "not run" if test in planned else NOT_IN_SET
    count = f": {good}/{len(runs)}" if runs else _soft(f": {word}")
    text = [f"{STATES[word]} ", el("code", test), count]
    return el("div", *text, style="white-space:nowrap")


def _proof(regression: RegressionFolder, unit: str, point: Testpoint) -> Html:
    """The coverage items of a testpoint with their state, or what proves it instead."""
    if not point.covers:
        proof = inline(" ".join(point.proof.split()))
        return el("p", el("b", "Proof:"), " ", proof) if point.proof else Html("")
    return join(_item_line(regression, unit, item) for item in point.covers)


def _item_line(regression: RegressionFolder, unit: str, item: str) -> Html:
    bins = _bins(regression, unit, item)
    if bins is None:
        return el("div", f"{STATES['not run']} ", el("code", item), _soft(": not counted"))
    hit, total = bins
    word = "passed" if hit == total else "partly run" if hit else "not run"
    name = link(el("code", item), f"coverage_{unit}.html#{item_anchor(item)}")
    return el("div", f"{STATES[word]} ", name, f": {hit:,}/{total:,}")


def _soft(text: str) -> Html:
    return el("span", text, class_="soft")


def _bins(regression: RegressionFolder, unit: str, item: str) -> tuple[int, int] | None:
    """(hit, to be hit) bins of a coverage item; None where there are none of it."""
    there = regression.items.get(unit, {})
    bins = [n for key, n in there.items() if key == item or key.startswith(f"{item}.")]
    return (sum(n for n, _ in bins), sum(n for _, n in bins)) if bins else None


def _group_rate(regression: RegressionFolder, unit: str, group: Covergroup) -> Html:
    bins = _bins(regression, unit, group.name)
    if bins is None:
        return _soft("not counted")
    return link(rate(*bins), f"coverage_{unit}.html#{item_anchor(group.name)}")
