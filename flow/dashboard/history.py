# SPDX-License-Identifier: Apache-2.0
"""Regressions over time: a line for each in a file beside their folders, and curves over those."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..coverage.code import KINDS
from ..errors import UserError
from ..paths import write_whole
from ..regress.folder import RegressionFolder
from .chart import chart
from .code import PLURALS
from .layout import page, when
from .markup import Html, el, join, link, percent, table

HISTORY = "history.jsonl"
LAST = 40  # regressions that a curve goes back


# --- the file -------------------------------------------------------------------------------------


def entry(regression: RegressionFolder) -> dict:
    """A regression's line. `code` is there only if code coverage was counted: kind -> hit, all."""
    hit, total = regression.bins
    about = regression.metadata
    line = {
        "name": regression.name,
        "set": regression.set,
        "started": about.get("started", ""),
        "commit": about.get("commit", ""),
        "sources": about.get("sources", ""),
        "runs": len(regression.results),
        "failed": regression.failed,
        "rows": regression.total("rows"),
        "seconds": round(regression.total("seconds"), 1),
        "hit": hit,
        "bins": total,
    }
    units = (regression.judged or regression.whole).values()
    if regression.has_code and not regression.measured[1]:  # unwaived holes would make a dent
        line["code"] = {
            kind: [sum(one.hit(kind) for one in units), sum(one.total(kind) for one in units)]
            for kind in KINDS
        }
    return line


def remember(regression: RegressionFolder) -> bool:
    """Give a finished regression its line in the history, and return whether it was new.

    If it already has a line and has been continued since, the line is replaced.
    """
    if regression.missing or not regression.results:
        return False
    path = regression.folder.parent / HISTORY
    now = entry(regression)
    lines = history(regression.folder.parent)
    same = ("name", "started", "sources")
    others = [line for line in lines if any(line.get(k) != now[k] for k in same)]
    every = sorted([*others, now], key=lambda line: line["started"])
    write_whole(path, "".join(json.dumps(line) + "\n" for line in every))
    return len(others) == len(lines)


def history(folder: Path) -> list[dict]:
    """The lines of a folder's history, oldest first. Raises UserError if it cannot be read."""
    path = folder / HISTORY
    try:
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.strip()]
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}") from None


# --- the page -------------------------------------------------------------------------------------


def history_page(regression: RegressionFolder) -> Html:
    """Curves over the last regressions, one per set, since sets are not comparable."""
    lines = history(regression.folder.parent)
    sets = sorted({line["set"] for line in lines}, key=lambda name: (name != regression.set, name))
    parts: list[object] = [
        el(
            "p",
            "Each finished regression that a report was made of, by its set. Functional bins and "
            "code are of each unit over the configurations that have goals, after waivers. Rows a "
            "second are of one core, builds included.",
            class_="lead",
        )
    ]
    if not lines:
        parts.append(el("p", "No finished regression yet."))
    for name in sets:
        last = [line for line in lines if line["set"] == name][-LAST:]
        parts += [
            el("h2", f"Set {name}"),
            el("div", *_charts(last, KINDS), class_="charts"),
            table(
                (
                    *("started", "name", "commit", "runs", "failed", "bins hit"),
                    *(PLURALS[kind] for kind in KINDS),
                    *("rows", "rows a second"),
                ),
                (_cells(line) for line in reversed(last)),
                f"regressions of set {name}",
                class_="tight",
            ),
        ]
    return page(regression, "history.html", "History", *parts)


def recent(regression: RegressionFolder) -> Html:
    """The same set's last regressions in three curves, for the overview; nothing without any."""
    lines = [one for one in history(regression.folder.parent) if one["set"] == regression.set]
    if not lines:
        return Html("")
    count = f"{len(lines)} finished regression{'s' * (len(lines) > 1)}"
    return join(
        [
            el("h2", "History"),
            el("p", link(f"{count} of set {regression.set}", "history.html"), class_="lead"),
            el("div", *_charts(lines[-LAST:], ()), class_="charts"),
        ]
    )


def _charts(lines: Sequence[dict], kinds: Sequence[str]) -> list[Html]:
    drawn = [
        chart("Runs that passed", lines, lambda e: _share(e["runs"] - e["failed"], e["runs"])),
        chart("Functional bins hit", lines, lambda e: _share(e["hit"], e["bins"])),
    ]
    for kind in kinds:
        counted = [line for line in lines if kind in line.get("code", {})]
        if counted:  # not by regressions of before there was any, nor on Icarus alone
            title = f"{PLURALS[kind].capitalize()} covered"
            drawn.append(chart(title, counted, lambda e, kind=kind: _share(*e["code"][kind])))
    return [*drawn, chart("Rows a second", lines, lambda e: round(_speed(e)), unit="")]


def _cells(line: Mapping) -> list[object]:
    return [
        when(line["started"]),
        line["name"],
        el("code", line["commit"][:12]),
        line["runs"],
        line["failed"],
        percent(line["hit"], line["bins"]),
        *(percent(*line.get("code", {}).get(kind, (0, 0))) for kind in KINDS),
        line["rows"],
        round(_speed(line)),
    ]


def _share(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def _speed(line: Mapping) -> float:
    return line["rows"] / line["seconds"] if line["seconds"] else 0.0
