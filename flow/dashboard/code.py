# SPDX-License-Identifier: Apache-2.0
"""A unit's code coverage, down to the source line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ..coverage.code import KINDS, Figures, Point
from ..paths import RTL
from ..regress.folder import TIME, RegressionFolder
from .markup import Html, el, join, link, rate, share, slug, table

PLURALS = {"line": "lines", "branch": "branches", "toggle": "toggles", "expression": "expressions"}
SHOWN = 4  # holes of a kind that a source line names


def kind_rate(one: Figures, kind: str, goal: float | None = None) -> Html:
    """Coverage of a kind: against its goal as a bar, without one as numbers."""
    bins = one.hit(kind), one.total(kind)
    return share(*bins) if goal is None else rate(*bins, goal=goal)


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
        [link(f"rtl/{file}", f"#{slug('f', file)}"), *(kind_rate(f, kind) for kind in KINDS)]
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
        share(hit, total),
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
