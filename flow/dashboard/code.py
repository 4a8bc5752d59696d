# SPDX-License-Identifier: Apache-2.0
"""Code coverage: of each unit against the goals, of a unit down to the source line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ..coverage import code as code_coverage
from ..coverage.code import ALL_KINDS, KINDS, Figures, Point
from ..paths import RTL
from ..regress.folder import TIME, RegressionFolder
from ..regress.plan import load_plan
from .markup import Html, el, join, link, rate, slug, table

PLURALS = {"line": "lines", "branch": "branches", "toggle": "toggles", "expression": "expressions"}
SHOWN = 4  # holes of a kind that a source line names


def code_summary(regression: RegressionFolder) -> Html:
    """Each unit's coverage against the goals, for the overview; nothing without code coverage."""
    if not regression.has_code:
        return Html("")
    plan = load_plan()
    goals = plan.goals
    titles = [f"{kind}, goal {goals[kind]:g} %" if kind in goals else kind for kind in ALL_KINDS]
    lines = [
        [
            link(unit, f"coverage_{unit}.html#code"),
            *(_kind(one, kind, goals.get(kind)) for kind in ALL_KINDS),
            len(one.waived),
        ]
        for unit, one in regression.judged.items()
    ]
    low = code_coverage.under(regression.judged.values(), goals)
    return join(
        [
            el("h2", "Coverage against the goals"),
            el(
                "p",
                "Each unit, functional bins and code, after waivers, over the configurations that "
                f"have goals: {', '.join(plan.goals_of) or 'all'}. "
                f"{regression.measured[1]}",
                class_="lead",
            ),
            el("p", f"Below a goal: {'; '.join(low)}." if low else "Every goal is met."),
            table(("unit", *titles, "waived"), lines, "coverage against the goals"),
        ]
    )


def _kind(one: Figures, kind: str, goal: float | None) -> Html:
    share = one.percent(kind)
    low = share is not None and goal is not None and share < goal
    return rate(one.hit(kind), one.total(kind), less="part" if low else "")


def code_section(regression: RegressionFolder, unit: str) -> Html:
    """A unit's code coverage down to the source line; nothing while results have none."""
    one = regression.whole.get(unit)
    if one is None or not regression.has_code:
        return Html("")
    by_file: dict[str, dict[Point, int]] = {}
    for point, count in one.counts.items():
        if point.line:
            by_file.setdefault(point.file, {})[point] = count
    files = {
        file: Figures(unit, "", counts, waived={p: r for p, r in one.waived.items() if p in counts})
        for file, counts in by_file.items()
    }
    lines = [
        [link(f"rtl/{file}", f"#{slug('f', file)}"), *(_kind(f, kind, None) for kind in KINDS)]
        for file, f in files.items()
    ]
    same = {file for file in files if _unchanged(regression, RTL / file)}
    old = " Files that may have changed since are shown without their text." * (
        len(same) < len(files)
    )
    return join(
        [
            el("h2", "Code coverage", id="code"),
            el(
                "p",
                "Counted by Verilator in the runs that passed, all configurations as one, after "
                f"waivers.{old}",
                class_="lead",
            ),
            table(("file", *KINDS), lines, f"code coverage of {unit}"),
            el(
                "div",
                *(_source(file, f, file in same) for file, f in files.items()),
                class_="points",
            ),
        ]
    )


def _unchanged(regression: RegressionFolder, path: Path) -> bool:
    """Whether a source is what was simulated: marks on another one's lines would be chance."""
    if regression.metadata.get("sources") == regression.digest:
        return True
    try:
        started = datetime.strptime(regression.metadata["started"], TIME)
        return path.stat().st_mtime < started.timestamp()
    except (OSError, ValueError, KeyError):
        return False


def _source(file: str, figures: Figures, same: bool) -> Html:
    """A file that opens to its lines: how often each was run, and what of it was not covered."""
    by_line: dict[int, list[Point]] = {}
    for point in figures.counts:
        by_line.setdefault(point.line, []).append(point)
    path = RTL / file
    text = path.read_text(encoding="utf-8").splitlines() if same else []
    open_holes = {*figures.holes}
    rows = []
    for number in range(1, len(text) + 1) if text else sorted(by_line):
        points = by_line.get(number, [])
        holes = [point for point in points if point in open_holes]
        counts = [figures.counts[point] for point in points if point.kind == "line"]
        told = [*_told("not covered", holes)]
        for reason in dict.fromkeys(figures.waived[p] for p in points if p in figures.waived):
            told += _told("waived", [p for p in points if figures.waived.get(p) == reason], reason)
        if not text and not told:
            continue
        line = any(point.kind == "line" for point in holes)
        kind = "hole" if line else "partly" if holes else "waived" if told else None
        cells = [
            el("td", number, class_="num"),
            el("td", f"{max(counts):,}" if counts else "", class_="num"),
            el("td", text[number - 1] if text else ""),
            el("td", "; ".join(told)),
        ]
        rows.append(el("tr", *cells, class_=kind))
    heads = (
        el("th", "line", scope="col", class_="num"),
        el("th", "run", scope="col", class_="num"),
        el("th", "source", scope="col"),
        el("th", "what is not covered", scope="col"),
    )
    body = el("tbody", Html("\n".join(rows)))
    whole = el("table", el("thead", el("tr", *heads)), body, class_="source")
    box = el("div", whole, class_="scroll", tabindex=0, role="region", aria_label=f"rtl/{file}")
    hit = sum(figures.hit(kind) for kind in KINDS)
    total = sum(figures.total(kind) for kind in KINDS)
    missed = ((figures.total(kind) - figures.hit(kind), kind) for kind in KINDS)
    holes = [f"{n} {PLURALS[kind] if n > 1 else kind}" for n, kind in missed if n]
    told = f"not covered: {', '.join(holes)}" if holes else "all covered"
    summary = el(
        "summary",
        el("b", f"rtl/{file}"),
        rate(hit, total),
        el("span", told, class_="soft"),
        class_="point",
    )
    return el("details", summary, box if rows else "", id=slug("f", file))


def _told(word: str, points: Sequence[Point], reason: str = "") -> list[str]:
    """Points of one line in words: of each kind the first few."""
    found = []
    for kind in KINDS:
        details = [point.detail for point in points if point.kind == kind]
        if details:
            shown = ", ".join(filter(None, details[:SHOWN]))
            more = f" and {len(details) - SHOWN} more" if len(details) > SHOWN else ""
            why = f" ({reason})" if reason else ""
            found.append(f"{word}: {kind} {shown}{more}{why}")
    return found
