# SPDX-License-Identifier: Apache-2.0
"""The overview: the verdict, and a line for each unit, configuration and simulator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..paths import short
from ..regress.folder import RegressionFolder
from ..regress.plan import simulator
from ..regress.testplans import STAGES, plan_of
from .evidence import evidence
from .history import recent
from .junit import JUNIT
from .layout import page, when
from .markup import NOT_IN_SET, STATES, Html, el, join, link, percent, rate, share, table
from .plans import state_of


def index(regression: RegressionFolder) -> Html:
    """The overview."""
    results = regression.results
    hit, total = regression.bins
    passed = len(results) - regression.failed
    seconds = regression.total("seconds")
    word = {"passed": "Passed", "failed": "Failed", "partly run": "Unfinished"}[regression.verdict]
    kind = regression.verdict.replace("partly run", "part")
    tiles = [
        (
            f"{STATES[regression.verdict]} {word}",
            f"set {regression.metadata.get('set', '-')}",
            kind,
        ),
        (f"{passed:,}/{len(results):,}", "runs passed", kind if regression.failed else ""),
        (f"{regression.total('rows'):,}", "rows scored", ""),
        (f"{regression.total('elements'):,}", "elements compared", ""),
        (percent(hit, total), f"functional bins, {hit:,} of {total:,}", ""),
        (f"{seconds:,.0f} s", "of core time", ""),
    ]
    parts: list[object] = [
        el(
            "ul",
            *(el("li", el("b", a), el("span", b), class_=c) for a, b, c in tiles),
            class_="tiles",
        )
    ]
    if regression.missing:
        parts.append(el("p", f"{regression.missing:,} runs of this regression have no result yet."))
    if regression.failed:
        kinds = len(regression.buckets())
        text = f"{regression.failed} failed runs, of {kinds} kind{'s' * (kinds != 1)}"
        parts.append(el("p", link(text, "failures.html"), "."))
    parts += [
        el("h2", "Units and stages"),
        el(
            "p",
            "Testpoints that passed, and below them the runs of their tests. A testpoint has "
            "passed when each of its tests that this set has was run and no run failed. V1: the "
            "unit runs. V2: every feature and every corner. V3: long random runs.",
            class_="lead",
        ),
        table(
            ("unit", *STAGES, "runs passed", "rows scored", "rows a second"),
            (_unit_line(regression, unit) for unit in regression.units),
            "units and stages",
            class_="brief",
        ),
        evidence(regression),
        recent(regression),
        el("h2", "Functional coverage by configuration"),
        table(
            ("unit", "configuration", "bins hit", "not hit", ""),
            _coverage_lines(regression),
            "functional coverage by unit and configuration",
        ),
        el("h2", "Simulators"),
        table(
            ("simulator", "runs", "failed", "rows", "clocks", "core seconds", "rows a second"),
            _simulator_lines(regression),
            "simulators",
        ),
        el("h2", "This regression"),
        _about(regression),
    ]
    return page(regression, "index.html", f"Regression {regression.name}", *parts)


def _unit_line(regression: RegressionFolder, unit: str) -> list[object]:
    results = regression.of(unit)
    points = plan_of(unit).testpoints
    cells: list[object] = [link(unit, f"plan_{unit}.html")]
    for stage in STAGES:
        of = [point for point in points if point.stage == stage]
        states = [state_of(point, results, regression.tests[unit]) for point in of]
        judged = len(of) - states.count(NOT_IN_SET)
        tests = {test for point in of for test in point.tests}
        runs = [result for result in results if result["job"]["test"] in tests]
        good = sum(run["passed"] for run in runs)
        if judged:
            less = "failed" if "failed" in states else "part"
            bar = rate(states.count("passed"), judged, less=less)
            bad = f", {len(runs) - good} failed" if good < len(runs) else ""
            told = f"{good}/{len(runs)} runs{bad}" if runs else "no run"
            if judged < len(of):
                told += f"; {len(of) - judged} {NOT_IN_SET}"
            under = el("small", told, class_="soft")
            cells.append(join([bar, el("br"), under]))
        else:
            cells.append(el("span", NOT_IN_SET if of else "no testpoint", class_="soft"))
    passed = sum(result["passed"] for result in results)
    rows = sum(result.get("rows", 0) for result in results)
    seconds = sum(result["seconds"] for result in results)
    speed = round(rows / seconds) if seconds else 0
    return [*cells, rate(passed, len(results), less="failed"), rows, speed]


def _coverage_lines(regression: RegressionFolder) -> Iterable[Sequence[object]]:
    for unit in regression.units:
        for number, (name, coverage) in enumerate(regression.covered.get(unit, {}).items(), 1):
            target = f"coverage_{unit}.html"
            bins = regression.bins_of(unit, name, coverage.points)
            yield (
                link(unit, target),
                el("code", name),
                share(*bins),
                bins[1] - bins[0],
                link("bins", f"{target}#c{number}"),
            )
        if unit not in regression.covered:
            yield unit, "no run that passed", "-", 0, ""


def _simulator_lines(regression: RegressionFolder) -> Iterable[Sequence[object]]:
    by_sim: dict[str, list[dict]] = {}
    for result in regression.results.values():
        by_sim.setdefault(simulator(result["job"]), []).append(result)
    for sim, results in sorted(by_sim.items()):
        rows, clocks = (sum(r.get(name, 0) for r in results) for name in ("rows", "clocks"))
        seconds = sum(r["seconds"] for r in results)
        failed = sum(not r["passed"] for r in results)
        speed = round(rows / seconds) if seconds else 0
        yield sim, len(results), failed, rows, clocks, round(seconds), speed


def _about(regression: RegressionFolder) -> Html:
    about = regression.metadata
    command = ["make regress", *about.get("command", [])]
    changed = ", with changes that are not committed" if about.get("changed") else ""
    seeds = sorted({result["job"]["seed"] for result in regression.results.values()})
    span = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else "".join(map(str, seeds)) or "-"
    items = {
        "command": el("code", " ".join(command)),
        "started": when(about.get("started", "")),
        "commit": join([el("code", about.get("commit") or "unknown"), changed]),
        "sources": el("code", about.get("sources", "unknown")),
        "seeds": f"first {about.get('seed', '-')}; used: {span}",
        "runs": f"{len(regression.results):,} of {about['jobs']:,}",
        "folder": el("code", short(regression.folder)),
        "tools": ", ".join(f"{name} {version}" for name, version in regression.tools.items()),
        "JUnit XML": link(JUNIT, JUNIT),
    }
    return el("dl", *(join([el("dt", k), el("dd", v)]) for k, v in items.items()), class_="about")
