# SPDX-License-Identifier: Apache-2.0
"""Failures by kind, each with its simplest case, what that was shrunk to, and what it left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..regress.folder import RegressionFolder
from ..regress.plan import configuration, simulator
from ..sim.buckets import Bucket
from .kept import Case, Left, rows_of
from .layout import page
from .markup import Html, el, join, link, state, table

LOG_LINES = 30  # of a failure's log, at its end


def failures(regression: RegressionFolder) -> Html:
    """The page of them."""
    cases = [Case(number, bucket) for number, bucket in enumerate(regression.buckets(), 1)]
    parts: list[object] = []
    if not cases:
        parts.append(el("p", state("passed"), f" No failure in {len(regression.results):,} runs."))
        if regression.missing:
            parts.append(el("p", f"{regression.missing:,} runs have no result yet."))
    else:
        parts.append(
            el(
                "p",
                f"{regression.failed} failed runs, by what their reports have in common. Of each "
                "kind its simplest case: fewest rows, then the smallest build; below it, where it "
                "could be made smaller, the rows that are left.",
                class_="lead",
            )
        )
        lines = [
            (
                link(case.bucket.message or "no report", f"#b{case.number}"),
                len(case.bucket.results),
                _units_of(case.bucket),
                _smallest(case),
            )
            for case in cases
        ]
        header = ("kind", "runs", "units", "smallest case")
        parts.append(table(header, lines, "kinds of failures"))
    parts += map(_card, cases)
    return page(regression, "failures.html", "Failures", *parts)


def _units_of(bucket: Bucket) -> str:
    return ", ".join(sorted({result["job"]["unit"] for result in bucket.results}))


def _smallest(case: Case) -> str:
    if case.shrunk:
        return rows_of(case.shrunk["rows"], case.shrunk["elements"])
    driven = case.result.get("driven")
    return f"{driven:,} rows" if driven else "-"


def _card(case: Case) -> Html:
    result, bucket = case.result, case.bucket
    driven = result.get("driven")
    ran = join([_run_link(result), f", {driven:,} rows driven" if driven else ""])
    parts = [
        el("h2", f"{len(bucket.results)} \u00d7 {bucket.message or 'no report'}"),
        _places([("simplest case", ran), ("log", case.log), ("waves", case.waves)]),
    ]
    if case.does_not_come_again:
        badge = el("span", "\u25d0 does not fail when it is run again", class_="state part")
        parts.append(el("p", badge, " A finding about the bench, or about the machine."))
    parts += [
        _shrunk(case) if case.shrunk else "",
        el("h3", "Run it again"),
        el("pre", result["rerun"], class_="copy"),
        "" if case.waves or case.shrunk_waves else _add_waves(),
        el("h3", "Report"),
        el("pre", result["report"] or "(no report)", tabindex=0),
        _tail(case.log),
        _all_runs(bucket) if len(bucket.results) > 1 else "",
    ]
    return el("section", *parts, class_="card", id=f"b{case.number}")


def _places(items: Iterable[tuple[str, Html | Left | None]]) -> Html:
    told = [(name, v.shown() if isinstance(v, Left) else v) for name, v in items if v is not None]
    return el("dl", *(join([el("dt", k), el("dd", v)]) for k, v in told), class_="about")


def _add_waves() -> Html:
    return el("p", "Add ", el("code", "WAVES=1"), " for waves.", class_="soft small")


def _shrunk(case: Case) -> Html:
    """What was left of the case, and how to run that."""
    one = case.shrunk
    before, now = (rows_of(size["rows"], size["elements"]) for size in (one["before"], one))
    tried = f", {one['tried']:,} candidates simulated" if one.get("tried") else ""
    files = [("stimulus", case.stimulus), ("log", case.shrunk_log), ("waves", case.shrunk_waves)]
    return el(
        "div",
        el("h3", "Shrunk case"),
        el("p", el("b", f"Shrunk from {before} to {now}"), f"{tried}."),
        el("pre", one["text"], tabindex=0, class_="rows"),
        el("pre", one["rerun"], class_="copy"),
        "" if case.shrunk_waves else _add_waves(),
        _places(files),
        el(
            "details",
            el("summary", "Report of the shrunk case"),
            el("pre", one["report"] or "(no report)", tabindex=0),
            class_="log",
        ),
        class_="shrunk",
    )


def _tail(log: Left | None) -> Html:
    """The end of the log; nothing where it is gone."""
    try:
        lines = log.source.read_text(errors="replace").splitlines()[-LOG_LINES:] if log else []
    except OSError:
        lines = []
    if not lines:
        return Html("")
    summary = el("summary", f"Last {len(lines)} lines of the log")
    return el("details", summary, el("pre", "\n".join(lines), tabindex=0), class_="log")


def _all_runs(bucket: Bucket) -> Html:
    lines = [
        (*configuration(r["job"]), simulator(r["job"]), _run_link(r), el("code", r["rerun"]))
        for r in bucket.results
    ]
    summary = el("summary", f"All {len(lines)} runs of this kind")
    header = ("unit", "configuration", "simulator", "run", "run it again")
    return el("details", summary, table(header, lines, "runs of it"), class_="log")


def _run_link(result: Mapping) -> Html:
    job = result["job"]
    return link(f"{job['unit']} {job['test']}, seed {job['seed']}", f"runs.html#r-{result['id']}")
