"""A regression as a folder of static HTML, and as JUnit XML: what `make report` writes.

The pages need no network, no server and no script: links are relative, the style lies beside them.
Nothing here runs a test or judges one; the pages show what the regression's folder holds, and say
"not run" where it holds nothing. Text from results is escaped in one place, `el`.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import groupby
from pathlib import Path

import hjson

from flow import code_coverage
from flow.cli import words
from flow.code_coverage import KINDS, Figures, Point
from flow.errors import UserError
from flow.lint import label
from flow.paths import ROOT, RTL
from flow.regress import Bucket, Job, Regression, jobs, load_plan, normalised, sources_digest
from tb.coverage import Coverage, Coverpoint
from tb.unit import ParameterError
from tb.units import UNITS, get

TEMPLATES = Path(__file__).parent / "templates"
ACCURACY = ROOT / "docs/accuracy.md"
PLOT = ROOT / "docs/accuracy.svg"
HISTORY = "history.jsonl"  # beside the regressions' folders
JUNIT = "junit.xml"
OF_UNITS = {"plan": "Test plans", "coverage": "Coverage"}  # pages that each unit has
PLURALS = {"line": "lines", "branch": "branches", "toggle": "toggles", "expression": "expressions"}
TIME = "%Y-%m-%dT%H:%M:%S%z"  # as metadata.json writes it
STAGES = ("V1", "V2", "V3")
LAST = 40  # regressions that a curve goes back
SHOWN = 4  # holes of a kind that a source line names
LOG_LINES = 30  # of a failure's log, at its end
# A state's class in style.css, its sign and its word.
STATES = {"passed": "\u2713", "failed": "\u2717", "partly run": "\u25d0", "not run": "\u25cb"}


# --- markup ---------------------------------------------------------------------------------------


class Html(str):
    """Text that is markup already. All other text is escaped where it is put in."""

    __slots__ = ()


_VOID = {"meta", "link", "img", "br"}
# What XML 1.0 has no place for and HTML no use, a simulator's colours as a whole.
_CONTROL = re.compile("\x1b\\[[0-9;]*m|[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def escaped(text: object) -> Html:
    """Text as markup, control characters dropped."""
    return text if isinstance(text, Html) else Html(html.escape(_CONTROL.sub("", str(text))))


def el(name: str, /, *inside: object, **attributes: object) -> Html:
    """An element. `class_` is the attribute class, `_` in a name is `-`; None leaves it out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_CONTROL.sub("", str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{join(inside)}</{name}>")


def join(parts: Iterable[object]) -> Html:
    """Parts one after the other."""
    return Html("".join(map(escaped, parts)))


def table(header: Sequence[object], rows: Iterable[Sequence[object]], what: str, **more) -> Html:
    """A table in a box of its own that scrolls. Numbers go to the right, the first cell is a head.

    A row may be (dict of the row's attributes, cells). `what` names it for a screen reader.
    """
    made = []
    numeric: set[int] = set()
    for row in rows:
        about, cells = row if len(row) == 2 and isinstance(row[0], dict) else ({}, row)
        line = []
        for column, cell in enumerate(cells):
            if isinstance(cell, (int, float)):
                numeric.add(column)
                shown = f"{cell:,}" if isinstance(cell, int) else f"{cell:,.1f}"
                line.append(el("td", shown, class_="num", data_value=cell))
            else:
                line.append(el("th" if not column else "td", cell, scope=None if column else "row"))
        made.append(el("tr", *line, **about))
    head = [
        el("th", cell, scope="col", class_="num" if column in numeric else None)
        for column, cell in enumerate(header)
    ]
    whole = el("table", el("thead", el("tr", *head)), el("tbody", Html("\n".join(made))), **more)
    return el("div", whole, class_="scroll", tabindex=0, role="region", aria_label=what)


def state(word: str) -> Html:
    """One of STATES as a badge."""
    kind = {"partly run": "part", "not run": "none"}.get(word, word)
    return el("span", f"{STATES[word]} {word}", class_=f"state {kind}")


def rate(hit: int, total: int, *, less: str = "") -> Html:
    """`hit` of `total` as a bar, a percentage and the two numbers.

    `less` is what less than all of them is: "failed", "part", or nothing to mind.
    """
    if not total:
        return el("span", "none", class_="soft")
    kind = " all" if hit == total else f" {less}"
    bar = el("i", el("i", style=f"display:block;width:{100 * hit / total:.1f}%"))
    numbers = el("small", f"{hit:,}/{total:,}")
    return el(
        "span", bar, el("span", percent(hit, total)), " ", numbers, class_=f"rate{kind}".strip()
    )


def percent(hit: int, total: int) -> str:
    """A share that says 100 % only of all, and 0 % only of none."""
    if not total:
        return "-"
    share = 1000 * hit // total / 10
    return f"{share:.0f} %" if share in (0, 100) and hit in (0, total) else f"{share:.1f} %"


def link(text: object, target: str) -> Html:
    return el("a", text, href=target)


def slug(*names: str) -> str:
    """An anchor from names."""
    return "-".join(re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") for name in names)


def short(path: str | Path) -> str:
    """A path as it is typed in the repository."""
    text = str(path)
    return text.removeprefix(f"{ROOT}/")


# --- the regression that is shown -----------------------------------------------------------------


class Finished(Regression):
    """A regression's folder as it is, to be read only: whatever the sources say by now.

    Raises UserError for a folder that holds none.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        try:
            self._metadata = {"jobs": 0, **json.loads((folder / "metadata.json").read_text())}
            found = [json.loads(path.read_text()) for path in (folder / "results").glob("*.json")]
        except (OSError, json.JSONDecodeError) as error:
            raise UserError(f"{folder} holds no regression that can be read: {error}") from None
        found.sort(key=lambda result: [str(v).zfill(12) for v in _order(result["job"])])
        kept = {result["id"]: result for result in found}
        planned = self._planned() or {}
        if not planned or kept.keys() - planned.keys():  # the plan is another one by now
            planned = {key: Job(**result["job"]) for key, result in kept.items()}
        self.jobs = planned
        self._results = {key: kept[key] for key in self.jobs if key in kept}

    def _planned(self) -> dict[str, Job] | None:
        """The jobs that it was started with, if today's plan still gives as many."""
        given = self._metadata
        try:
            only = {name.lower(): value for name, value in self.only.items()}
            planned = jobs(load_plan(), given["set"], given["seed"], **only)
        except (UserError, ParameterError, KeyError, TypeError):
            return None
        return {job.id: job for job in planned} if len(planned) == given["jobs"] else None

    @cached_property
    def only(self) -> dict[str, str]:
        """What of its set it is restricted to, as it was typed."""
        named = words(self._metadata.get("command", []))
        return {name: named[name] for name in ("UNIT", "SIM", "TEST") if name in named}

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def metadata(self) -> dict:
        return self._metadata

    @property
    def results(self) -> dict[str, dict]:
        return self._results

    @property
    def failed(self) -> int:
        return sum(not result["passed"] for result in self._results.values())

    @property
    def missing(self) -> int:
        """Runs that were asked for and have no result."""
        return max(self._metadata["jobs"] - len(self._results), 0)

    @property
    def verdict(self) -> str:
        return "failed" if self.failed else "partly run" if self.missing else "passed"

    def total(self, name: str) -> float:
        return sum(result.get(name, 0) for result in self._results.values())

    def of(self, unit: str) -> list[dict]:
        """Results of a unit."""
        return [result for result in self._results.values() if result["job"]["unit"] == unit]

    @cached_property
    def covered(self) -> dict[str, dict[str, Coverage]]:
        """Functional coverage: unit -> configuration -> all runs that passed as one."""
        found: dict[str, dict[str, Coverage]] = {}
        every = sorted(
            self.coverage().items(), key=lambda item: (item[0][1] != "defaults", item[0])
        )
        for (unit, configuration), coverage in every:
            found.setdefault(unit, {})[configuration] = coverage
        return found

    @cached_property
    def units(self) -> list[str]:
        """Units that it has a job of, in the registry's order."""
        named = {job.unit for job in self.jobs.values()}
        return [name for name in UNITS if name in named]

    @cached_property
    def digest(self) -> str:
        """Of the sources as they are now."""
        return sources_digest()

    @property
    def bins(self) -> tuple[int, int]:
        """(hit, to be hit) bins of functional coverage."""
        every = [
            self.bins_of(unit, name, coverage.points)
            for unit, named in self.covered.items()
            for name, coverage in named.items()
        ]
        return sum(hit for hit, _ in every), sum(total for _, total in every)

    def bins_of(
        self, unit: str, configuration: str, points: Mapping[str, Coverpoint]
    ) -> tuple[int, int]:
        """(hit, to be hit) bins of coverpoints: a waiver takes off only what was not hit."""
        waived = self.waived(unit, configuration)
        hit = sum(point.hit for point in points.values())
        holes = (
            _functional(name, point, hole) for name, point in points.items() for hole in point.holes
        )
        return hit, hit + sum(hole not in waived for hole in holes)

    @cached_property
    def measured(self) -> tuple[list[Figures], str]:
        """Figures of each unit and configuration, none without code coverage; a word on waivers."""
        try:
            figures = self.figures()
        except UserError:
            return [], ""  # of before there was code coverage
        if not any(point.line for one in figures for point in one.counts):
            return [], ""
        try:
            if code_coverage.WAIVERS.exists():
                code_coverage.apply(code_coverage.load_waivers(), figures)
        except UserError as error:
            return figures, f"Waivers are not, or not all, applied: {error}."
        return figures, ""

    def waived(self, unit: str, configuration: str) -> Mapping[Point, str]:
        """What need not be covered in a configuration, with the reason."""
        return next(
            (
                f.waived
                for f in self.measured[0]
                if (f.unit, f.configuration) == (unit, configuration)
            ),
            {},
        )

    @cached_property
    def whole(self) -> dict[str, Figures]:
        """Code coverage of each unit over all its configurations."""
        return {one.unit: one for one in code_coverage.merged(self.measured[0])}


def _functional(name: str, point: Coverpoint, bin: str) -> Point:
    """A bin as code_coverage.functional names it."""
    return Point(f"{point.group}.{name}", 0, "functional", bin)


def _order(job: Mapping) -> tuple:
    return job["unit"], *map(str, job["parameters"].values()), job["sim"], job["test"], job["seed"]


def configuration(unit: str, parameters: Mapping) -> str:
    """Parameters that are not the unit's defaults, as Regression.coverage names them."""
    defaults = get(unit).defaults
    return label({k: v for k, v in parameters.items() if v != defaults.get(k)})


def latest(folder: Path) -> Path:
    """The regression in `folder` that was started last. Raises UserError if there is none."""
    found = {}
    for path in folder.glob("*/metadata.json"):
        try:
            found[path.parent] = json.loads(path.read_text()).get("started", "")
        except (OSError, json.JSONDecodeError):
            continue
    if not found:
        raise UserError(f"there is no regression in {short(folder)}: `make regress` makes one")
    return max(found, key=found.get)


# --- test plans -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Testpoint:
    """A line of a test plan, and where it is from."""

    name: str
    desc: str
    stage: str
    tests: tuple[str, ...]
    plan: str

    def runs(self, results: Iterable[dict]) -> list[dict]:
        """Those of a unit's results that are of its tests."""
        return [result for result in results if result["job"]["test"] in self.tests]

    def state(self, results: Iterable[dict]) -> str:
        """What the results say of it: failed if any run did, passed only if each test has a run."""
        runs = self.runs(results)
        if any(not run["passed"] for run in runs):
            return "failed"
        ran = {run["job"]["test"] for run in runs}
        return "passed" if ran == {*self.tests} else "partly run" if ran else "not run"


def load_testplan(path: str) -> tuple[list[Testpoint], list[dict]]:
    """(testpoints, covergroups) of a plan and those that it imports, imported ones first."""
    plan = hjson.loads((ROOT / path).read_text(encoding="utf-8"), object_pairs_hook=dict)
    points: list[Testpoint] = []
    groups: list[dict] = []
    for other in plan.get("import_testplans", []):
        inner_points, inner_groups = load_testplan(other)
        points += inner_points
        groups += inner_groups
    points += [
        Testpoint(p["name"], p["desc"], p["stage"], tuple(p["tests"]), plan["name"])
        for p in plan["testpoints"]
    ]
    return points, groups + [{**group, "plan": plan["name"]} for group in plan["covergroups"]]


def plan_of(unit: str) -> tuple[list[Testpoint], list[dict]]:
    return load_testplan(f"testplans/{unit}.hjson")


def described(text: str) -> Html:
    """A plan's description: paragraphs, their leading words as `Checks:` in bold."""
    parts = []
    for block in re.split(r"\n\s*\n|\n(?=\s*[A-Z][a-z]+: )", text.strip()):
        line = " ".join(block.split())
        word = re.match(r"[A-Z][a-z]+:(?= )", line)
        rest = inline(line[word.end() :] if word else line)
        parts.append(el("p", el("b", word[0]), rest) if word else el("p", rest))
    return join(parts)


# --- pages ----------------------------------------------------------------------------------------


def page(regression: Finished, name: str, title: str, *body: object) -> Html:
    """A whole page: what every page has around `body`."""
    first = regression.units[:1]
    count = f" ({regression.failed})" if regression.failed else ""
    places = [
        ("index.html", "Overview"),
        *((f"{kind}_{unit}.html", text) for kind, text in OF_UNITS.items() for unit in first),
        ("failures.html", f"Failures{count}"),
        ("runs.html", "Runs"),
        ("history.html", "History"),
        ("accuracy.html", "Accuracy"),
    ]
    here = next((p for p, _ in places if p.split("_")[0] == name.split("_")[0]), name)
    nav = el("nav", *_links(places, here), aria_label="pages")
    head = el("strong", "softnorm ", el("span", f"regression {regression.name}"))
    about = regression.metadata
    whole = el(
        "html",
        el(
            "head",
            el("meta", charset="utf-8"),
            el("meta", name="viewport", content="width=device-width, initial-scale=1"),
            el("title", f"{title} - softnorm regression {regression.name}"),
            el("link", rel="icon", href="data:,"),
            el("link", rel="stylesheet", href="style.css"),
        ),
        el(
            "body",
            el("header", el("div", head, nav), class_="top"),
            el("main", el("h1", title), *body),
            el(
                "footer",
                f"Regression {regression.name}, started {when(about.get('started', ''))}, commit "
                f"{about.get('commit', '')[:12] or 'unknown'}. Written by ",
                el("code", "make report"),
                ".",
            ),
            el("script", src="page.js") if name in ("runs.html", "failures.html") else "",
        ),
        lang="en-GB",
    )
    return Html(f"<!DOCTYPE html>\n{whole}\n")


def _links(places: Iterable[tuple[str, str]], here: str) -> list[Html]:
    return [
        el("a", text, href=target, aria_current="page" if target == here else None)
        for target, text in places
    ]


def switcher(regression: Finished, kind: str, here: str) -> Html:
    """Links to the same page of the other units."""
    places = [(f"{kind}_{unit}.html", unit) for unit in regression.units]
    return el("nav", *_links(places, f"{kind}_{here}.html"), class_="units", aria_label="units")


def when(started: str) -> str:
    """An ISO time as a person says it."""
    try:
        time = datetime.strptime(started, TIME)
    except ValueError:
        return started or "unknown"
    offset = {"+0000": "UTC"}.get(started[-5:], started[-5:])
    return f"{time.day} {time:%B %Y, %H:%M} {offset}"


def index(regression: Finished) -> Html:
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
            "passed when each of its tests has run and no run failed. V1: the unit runs. V2: every "
            "feature and every corner. V3: long random runs.",
            class_="lead",
        ),
        table(
            ("unit", *STAGES, "runs passed", "rows scored", "rows a second"),
            (_unit_line(regression, unit) for unit in regression.units),
            "units and stages",
        ),
        code_summary(regression),
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


def _unit_line(regression: Finished, unit: str) -> list[object]:
    results = regression.of(unit)
    points, _ = plan_of(unit)
    cells: list[object] = [link(unit, f"plan_{unit}.html")]
    for stage in STAGES:
        of = [point for point in points if point.stage == stage]
        states = [point.state(results) for point in of]
        tests = {test for point in of for test in point.tests}
        runs = [result for result in results if result["job"]["test"] in tests]
        good = sum(run["passed"] for run in runs)
        if of:
            less = "failed" if "failed" in states else "part"
            bar = rate(states.count("passed"), len(of), less=less)
            bad = f", {len(runs) - good} failed" if good < len(runs) else ""
            told = f"{good}/{len(runs)} runs{bad}" if runs else "no run"
            under = el("small", told, class_="soft")
            cells.append(join([bar, el("br"), under]))
        else:
            cells.append(el("span", "no testpoint", class_="soft"))
    passed = sum(result["passed"] for result in results)
    rows = sum(result.get("rows", 0) for result in results)
    seconds = sum(result["seconds"] for result in results)
    speed = round(rows / seconds) if seconds else 0
    return [*cells, rate(passed, len(results), less="failed"), rows, speed]


def _coverage_lines(regression: Finished) -> Iterable[Sequence[object]]:
    for unit in regression.units:
        for number, (name, coverage) in enumerate(regression.covered.get(unit, {}).items(), 1):
            target = f"coverage_{unit}.html"
            bins = regression.bins_of(unit, name, coverage.points)
            yield (
                link(unit, target),
                el("code", name),
                rate(*bins),
                bins[1] - bins[0],
                link("bins", f"{target}#c{number}"),
            )
        if unit not in regression.covered:
            yield unit, "no run that passed", "-", 0, ""


def _simulator_lines(regression: Finished) -> Iterable[Sequence[object]]:
    by_sim: dict[str, list[dict]] = {}
    for result in regression.results.values():
        by_sim.setdefault(result["job"]["sim"], []).append(result)
    for sim, results in sorted(by_sim.items()):
        rows, clocks = (sum(r.get(name, 0) for r in results) for name in ("rows", "clocks"))
        seconds = sum(r["seconds"] for r in results)
        failed = sum(not r["passed"] for r in results)
        speed = round(rows / seconds) if seconds else 0
        yield sim, len(results), failed, rows, clocks, round(seconds), speed


def _about(regression: Finished) -> Html:
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
        "tools": ", ".join(f"{name} {version}" for name, version in _tools(about)),
        "JUnit XML": link(JUNIT, JUNIT),
    }
    return el("dl", *(join([el("dt", k), el("dd", v)]) for k, v in items.items()), class_="about")


def _tools(about: Mapping) -> list[tuple[str, str]]:
    """Tools and versions, without what a tool says of itself and leaves empty."""
    return [(name, version.removesuffix(" ()")) for name, version in about.get("tools", {}).items()]


def plan_page(regression: Finished, unit: str) -> Html:
    """A unit's test plan with what the results say of it."""
    results = regression.of(unit)
    points, groups = plan_of(unit)
    counts = [point.state(results) for point in points]
    told = ", ".join(f"{counts.count(word)} {word}" for word in STATES if word in counts)
    lines = []
    for stage in STAGES:
        for point in (point for point in points if point.stage == stage):
            tests = [_test_line(test, results) for test in point.tests]
            about = {"id": slug("point", point.name)}
            lines.append(
                (
                    about,
                    (
                        el("code", point.name),
                        point.stage,
                        state(point.state(results)),
                        join(tests),
                        described(point.desc),
                        point.plan,
                    ),
                )
            )
    covered = regression.covered.get(unit, {})
    covergroups = [
        [
            el("code", group["name"]),
            described(group["desc"]),
            *(
                _group_rate(regression, unit, number, name, group["name"])
                for number, name in enumerate(covered, 1)
            ),
            group["plan"],
        ]
        for group in groups
    ]
    return page(
        regression,
        f"plan_{unit}.html",
        f"Test plan of {unit}",
        switcher(regression, "plan", unit),
        el("p", get(unit).title, class_="lead"),
        el("p", f"{len(points)} testpoints: {told}. ", link("Coverage", f"coverage_{unit}.html")),
        el("h2", "Testpoints"),
        table(
            ("testpoint", "stage", "status", "tests: runs passed", "what it is", "plan"),
            lines,
            f"testpoints of {unit}",
            class_="stack",
        ),
        el("h2", "Covergroups"),
        table(("covergroup", "what it counts", *covered, "plan"), covergroups, "covergroups"),
    )


def _test_line(test: str, results: Iterable[dict]) -> Html:
    runs = [result for result in results if result["job"]["test"] == test]
    good = sum(run["passed"] for run in runs)
    word = "not run" if not runs else "passed" if good == len(runs) else "failed"
    count = f": {good}/{len(runs)}" if runs else ""
    text = [f"{STATES[word]} ", el("code", test), count or el("span", ": not run", class_="soft")]
    return el("div", *text, style="white-space:nowrap")


def _group_rate(
    regression: Finished, unit: str, number: int, configuration: str, group: str
) -> Html:
    every = regression.covered[unit][configuration].points
    points = {name: point for name, point in every.items() if point.group == group}
    bar = rate(*regression.bins_of(unit, configuration, points))
    return link(bar, f"coverage_{unit}.html#c{number}-{slug(group)}") if points else bar


def coverage_page(regression: Finished, unit: str) -> Html:
    """A unit's coverage, down to the bin."""
    covered = regression.covered.get(unit, {})
    code = code_section(regression, unit)
    parts: list[object] = [
        switcher(regression, "coverage", unit),
        el("p", get(unit).title, class_="lead"),
        el(
            "p",
            "Rows that were seen on the pins and compared, of the runs that passed. Bins that "
            "cannot be reached are not made. Each point opens to its bins.",
        ),
    ]
    if not covered:
        parts.append(el("p", "No run that passed: there is no functional coverage."))
    else:
        lines = []
        for number, (name, c) in enumerate(covered.items(), 1):
            hit, total = regression.bins_of(unit, name, c.points)
            lines.append((link(name, f"#c{number}"), rate(hit, total), total - hit))
        if code:
            lines.append((link("code coverage", "#code"), "", ""))
        parts.append(table(("configuration", "bins hit", "not hit"), lines, "configurations"))
    for number, (name, coverage) in enumerate(covered.items(), 1):
        parts.append(el("h2", name, id=f"c{number}"))
        waived = regression.waived(unit, name)
        for group, points in groupby(coverage.points.items(), key=lambda item: item[1].group):
            parts.append(el("h3", f"Covergroup {group}", id=f"c{number}-{slug(group)}"))
            parts.append(
                el("div", *(_point(number, key, p, waived) for key, p in points), class_="points")
            )
    if code:
        parts.append(code)
    return page(regression, f"coverage_{unit}.html", f"Coverage of {unit}", *parts)


def _point(number: int, name: str, point: Coverpoint, waived: Mapping[Point, str]) -> Html:
    hit = [(bin, n) for bin, n in zip(point.bins, point.counts.tolist(), strict=True) if n]
    reasons = {bin: waived.get(_functional(name, point, bin)) for bin in point.holes}
    holes = [bin for bin, reason in reasons.items() if reason is None]
    inside: list[object] = []
    if holes:
        inside.append(el("p", f"Not hit: {len(holes)}", class_="bins-title"))
        inside.append(el("ul", *(el("li", bin) for bin in holes), class_="bins holes"))
    for reason in dict.fromkeys(filter(None, reasons.values())):
        bins = [bin for bin, other in reasons.items() if other == reason]
        inside.append(el("p", f"Waived: {len(bins)}. {reason}", class_="bins-title"))
        inside.append(el("ul", *(el("li", bin) for bin in bins), class_="bins"))
    if hit:
        inside.append(el("p", f"Hit: {len(hit)}, with counts", class_="bins-title"))
        bins = (el("li", bin, " ", el("b", f"{count:,}")) for bin, count in hit)
        inside.append(el("ul", *bins, class_="bins"))
    head = el(
        "summary",
        el("b", name),
        rate(point.hit, point.hit + len(holes)),
        el("span", point.about, class_="soft"),
        class_="point",
    )
    return el("details", head, *inside, id=f"c{number}-{slug(point.group, name)}")


def failures(regression: Finished) -> Html:
    """Failures by kind, each with its simplest case."""
    buckets = regression.buckets()
    parts: list[object] = []
    if not buckets:
        parts.append(el("p", state("passed"), f" No failure in {len(regression.results):,} runs."))
        if regression.missing:
            parts.append(el("p", f"{regression.missing:,} runs have no result yet."))
    else:
        parts.append(
            el(
                "p",
                f"{regression.failed} failed runs, by what their reports have in common. Of each "
                "kind its simplest case: fewest rows, then the smallest build.",
                class_="lead",
            )
        )
        lines = [
            (link(b.message or "no report", f"#b{number}"), len(b.results), _units_of(b))
            for number, b in enumerate(buckets, 1)
        ]
        parts.append(table(("kind", "runs", "units"), lines, "kinds of failures"))
    parts += [_bucket(number, bucket) for number, bucket in enumerate(buckets, 1)]
    return page(regression, "failures.html", "Failures", *parts)


def _units_of(bucket: Bucket) -> str:
    return ", ".join(sorted({result["job"]["unit"] for result in bucket.results}))


def _bucket(number: int, bucket: Bucket) -> Html:
    case = bucket.simplest
    places = {"simplest case": join([_run_link(case), f", {case.get('rows', 0):,} rows compared"])}
    log, waves = _kept(case)
    if log:
        places["log"] = el("code", short(log))
    if waves:
        places["waves"] = el("code", short(waves))
    parts = [
        el("h2", f"{len(bucket.results)} \u00d7 {bucket.message or 'no report'}"),
        el("dl", *(join([el("dt", k), el("dd", v)]) for k, v in places.items()), class_="about"),
        el("h3", "Run it again"),
        el("pre", case["rerun"], class_="copy"),
        "" if waves else el("p", "Add ", el("code", "WAVES=1"), " for waves.", class_="soft small"),
        el("h3", "Report"),
        el("pre", case["report"] or "(no report)", tabindex=0),
    ]
    tail = _tail(log)
    if tail:
        summary = el("summary", f"Last {len(tail.splitlines())} lines of the log")
        parts.append(el("details", summary, el("pre", tail, tabindex=0), class_="log"))
    if len(bucket.results) > 1:
        lines = [
            (
                r["job"]["unit"],
                configuration(r["job"]["unit"], r["job"]["parameters"]),
                r["job"]["sim"],
                _run_link(r),
                r["rerun"],
            )
            for r in bucket.results
        ]
        summary = el("summary", f"All {len(lines)} runs of this kind")
        header = ("unit", "configuration", "simulator", "run", "run it again")
        lines = [(*line[:4], el("code", line[4])) for line in lines]
        parts.append(el("details", summary, table(header, lines, "runs of it"), class_="log"))
    return el("section", *parts, class_="card", id=f"b{number}")


def _run_link(result: Mapping) -> Html:
    job = result["job"]
    return link(f"{job['unit']} {job['test']}, seed {job['seed']}", f"runs.html#r-{result['id']}")


def _kept(result: Mapping) -> tuple[Path | None, Path | None]:
    """(log, waves) that a failure left, where they still are."""
    folder = Path(result["folder"]) if "folder" in result else None
    named = re.findall(r"^log: (.+)$", result["report"], re.M)
    log = Path(named[-1]) if named else folder / "sim.log" if folder else None
    waves = None
    if folder and folder.is_dir():
        waves = next((f for f in sorted(folder.iterdir()) if f.suffix in (".vcd", ".fst")), None)
    return log, waves


def _tail(log: Path | None) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:]) if log else ""
    except OSError:
        return ""


def runs(regression: Finished) -> Html:
    """Every run."""
    kinds = {bucket.message: number for number, bucket in enumerate(regression.buckets(), 1)}
    lines = []
    for result in regression.results.values():
        job = result["job"]
        lines.append(
            (
                {"id": f"r-{result['id']}"},
                (
                    job["unit"],
                    configuration(job["unit"], job["parameters"]),
                    job["sim"],
                    job["test"],
                    job["seed"],
                    _verdict(result, kinds),
                    result.get("rows", 0),
                    result.get("elements", 0),
                    result.get("clocks", 0),
                    round(float(result["seconds"]), 1),
                    el("code", result["rerun"]),
                ),
            )
        )
    left = [job for key, job in regression.jobs.items() if key not in regression.results]
    for job in left:
        about = (job.unit, configuration(job.unit, job.parameters), job.sim, job.test, job.seed)
        lines.append((*about, state("not run"), 0, 0, 0, 0.0, el("code", job.rerun)))
    header = (
        *("unit", "configuration", "simulator", "test", "seed", "status"),
        *("rows", "elements", "clocks", "seconds", "run it again"),
    )
    return page(
        regression,
        "runs.html",
        "Runs",
        el("p", f"{len(lines):,} runs. Seconds are a core's, builds included.", class_="lead"),
        table(header, lines, "runs", class_="sortable tight"),
    )


def _verdict(result: Mapping, kinds: Mapping[str, int]) -> Html:
    if result["passed"]:
        return state("passed")
    return link(state("failed"), f"failures.html#b{kinds[normalised(result['report'])]}")


# --- code coverage --------------------------------------------------------------------------------


def code_summary(regression: Finished) -> Html:
    """Each unit's coverage against the goals, for the overview; nothing without code coverage."""
    if not regression.whole:
        return Html("")
    goals = load_plan().goals
    kinds = ("functional", *KINDS)
    titles = [f"{kind}, goal {goals[kind]:g} %" if kind in goals else kind for kind in kinds]
    lines = [
        [
            link(unit, f"coverage_{unit}.html#code"),
            *(_kind(one, kind, goals.get(kind)) for kind in kinds),
            len(one.waived),
        ]
        for unit, one in regression.whole.items()
    ]
    low = code_coverage.under(regression.whole.values(), goals)
    return join(
        [
            el("h2", "Coverage against the goals"),
            el(
                "p",
                "Each unit over all its configurations, functional bins and code, after waivers. "
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


def code_section(regression: Finished, unit: str) -> Html:
    """A unit's code coverage down to the source line; nothing while results have none."""
    one = regression.whole.get(unit)
    if one is None:
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
                f"waivers. {regression.measured[1]}{old}",
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


def _unchanged(regression: Finished, path: Path) -> bool:
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


# --- accuracy -------------------------------------------------------------------------------------


def accuracy(regression: Finished) -> Html:
    """docs/accuracy.md: it is of the models, and the same for every regression of these sources."""
    text = ACCURACY.read_text(encoding="utf-8")
    title, body = text.removeprefix("# ").split("\n", 1)
    return page(regression, "accuracy.html", title, rendered(body))


def rendered(text: str) -> Html:
    """As much of Markdown as docs/accuracy.md is written in."""
    parts: list[object] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.splitlines()
        image = re.fullmatch(r"!\[(.*)\]\((.*)\)", block.strip())
        if block.startswith("#"):
            level, _, title = block.partition(" ")
            parts.append(el(f"h{len(level)}", inline(title)))
        elif image:
            plot = el("img", src=PLOT.name, alt=image[1], loading="lazy")
            parts.append(el("figure", plot, class_="plot"))
        elif lines[0].startswith("|"):
            head, _, *rows = [[inline(c.strip()) for c in li.strip("|").split("|")] for li in lines]
            parts.append(table(head, rows, "accuracy", class_="tight" if len(head) > 2 else None))
        elif lines[0].startswith("- "):
            items = re.split(r"^- ", block, flags=re.M)[1:]
            parts.append(el("ul", *(el("li", inline(" ".join(i.split()))) for i in items)))
        else:
            parts.append(el("p", inline(" ".join(lines))))
    return join(parts)


def inline(text: str) -> Html:
    """Code and links of a line. A link out of the report becomes its text: it leads nowhere."""
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    cut = re.split(r"`([^`]+)`", text)
    return join(el("code", part) if i % 2 else part for i, part in enumerate(cut))


# --- history --------------------------------------------------------------------------------------


def entry(regression: Finished) -> dict:
    """A regression's line of the history."""
    hit, total = regression.bins
    about = regression.metadata
    seconds = regression.total("seconds")
    return {
        "name": regression.name,
        "set": " ".join([about.get("set", ""), *(f"{k}={v}" for k, v in regression.only.items())]),
        "started": about.get("started", ""),
        "commit": about.get("commit", ""),
        "sources": about.get("sources", ""),
        "runs": len(regression.results),
        "failed": regression.failed,
        "rows": regression.total("rows"),
        "seconds": round(seconds, 1),
        "hit": hit,
        "bins": total,
    }


def remember(regression: Finished) -> bool:
    """Give a finished regression its line in the history, and return whether it was new.

    One that has a line already, and has run something again since, has it replaced.
    """
    if regression.missing or not regression.results:
        return False
    path = regression.folder.parent / HISTORY
    now = entry(regression)
    lines = history(regression.folder.parent)
    same = ("name", "started", "sources")
    others = [line for line in lines if any(line.get(k) != now[k] for k in same)]
    part = path.with_suffix(f".{os.getpid()}.part")
    every = sorted([*others, now], key=lambda line: line["started"])
    part.write_text("".join(json.dumps(line) + "\n" for line in every))
    part.replace(path)
    return len(others) == len(lines)


def history(folder: Path) -> list[dict]:
    """The lines of a folder's history, oldest first. Raises UserError if it cannot be read."""
    path = folder / HISTORY
    try:
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.strip()]
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}") from None


def history_page(regression: Finished) -> Html:
    """Curves over the last regressions, by set: those of different sets do not compare."""
    lines = history(regression.folder.parent)
    own = entry(regression)["set"]
    sets = sorted({line["set"] for line in lines}, key=lambda name: (name != own, name))
    parts: list[object] = [
        el(
            "p",
            "Each finished regression that a report was made of, by its set. Rows a second are of "
            "one core, builds included.",
            class_="lead",
        )
    ]
    if not lines:
        parts.append(el("p", "No finished regression yet."))
    for name in sets:
        last = [line for line in lines if line["set"] == name][-LAST:]
        parts += [
            el("h2", f"Set {name}"),
            el(
                "div",
                chart(
                    "Runs that passed", last, lambda e: _share(e["runs"] - e["failed"], e["runs"])
                ),
                chart("Functional bins hit", last, lambda e: _share(e["hit"], e["bins"])),
                chart("Rows a second", last, lambda e: round(_speed(e)), unit=""),
                class_="charts",
            ),
            table(
                (
                    "started",
                    "name",
                    "commit",
                    "runs",
                    "failed",
                    "bins hit",
                    "rows",
                    "rows a second",
                ),
                (
                    (
                        when(e["started"]),
                        e["name"],
                        el("code", e["commit"][:12]),
                        e["runs"],
                        e["failed"],
                        percent(e["hit"], e["bins"]),
                        e["rows"],
                        round(_speed(e)),
                    )
                    for e in reversed(last)
                ),
                f"regressions of set {name}",
                class_="tight",
            ),
        ]
    return page(regression, "history.html", "History", *parts)


def _share(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def _speed(line: Mapping) -> float:
    return line["rows"] / line["seconds"] if line["seconds"] else 0.0


def chart(title: str, lines: Sequence[dict], of: Callable[[dict], float], unit: str = " %") -> Html:
    """A curve over regressions as inline SVG; its last value stands in the caption."""
    values = [of(line) for line in lines]
    low, high = _range(values, 100.0 if unit else None)
    width, height, left, right, top, bottom = 360, 170, 46, 14, 12, 24

    def x(number: int) -> float:
        inner = width - left - right
        return left + (inner * number / (len(values) - 1) if len(values) > 1 else inner / 2)

    def y(value: float) -> float:
        return top + (height - top - bottom) * (high - value) / (high - low)

    drawn: list[object] = []
    for tick in (low, (low + high) / 2, high):
        drawn.append(
            el(
                "line",
                x1=left,
                x2=width - right,
                y1=f"{y(tick):.1f}",
                y2=f"{y(tick):.1f}",
                class_="grid",
            )
        )
        drawn.append(
            el("text", f"{tick:,.4g}{unit}", x=left - 6, y=f"{y(tick) + 4:.1f}", text_anchor="end")
        )
    if len(values) > 1:
        points = " L".join(f"{x(n):.1f} {y(value):.1f}" for n, value in enumerate(values))
        drawn.append(el("path", d=f"M{points}", class_="curve"))
    for n, (line, value) in enumerate(zip(lines, values, strict=True)):
        told = f"{line['name']}, {when(line['started'])}: {value:,.4g}{unit}"
        at = {"cx": f"{x(n):.1f}", "cy": f"{y(value):.1f}", "r": 4}
        drawn.append(el("circle", el("title", told), class_="dot", **at))
    ends = [(0, "start"), (len(values) - 1, "end")] if len(values) > 1 else [(0, "middle")]
    for n, anchor in ends:
        day = lines[n]["started"][:10]
        drawn.append(el("text", day, x=f"{x(n):.1f}", y=height - 6, text_anchor=anchor))
    told = f"{title}: {values[-1]:,.4g}{unit} in the last of {len(values)} regressions"
    svg = el("svg", *drawn, viewBox=f"0 0 {width} {height}", role="img", aria_label=told)
    caption = el("figcaption", title, " ", el("span", f"{values[-1]:,.4g}{unit}"))
    return el("figure", caption, svg)


def _range(values: Sequence[float], most: float | None) -> tuple[float, float]:
    """An axis around values, a share's ending at 100; never so narrow that noise looks large."""
    low, high = min(values), max(values)
    least = 4.0 if most else max(high * 0.2, 1.0)
    spare = max((high - low) * 0.15, (least - (high - low)) / 2, 0.0)
    low = max(low - spare, 0.0)
    high = high + spare
    if most:
        low, high = min(low, most - least), min(high, most)
    step = 10 ** max(len(str(int(high - low))) - 1, 0) / 2
    low = low // step * step
    return low, max(-(-high // step) * step, low + step)


# --- JUnit ----------------------------------------------------------------------------------------


def junit(regression: Finished) -> str:
    """JUnit XML: a suite for each unit, a case for each run, one not run as skipped."""
    about = regression.metadata
    root = ElementTree.Element("testsuites", name=f"softnorm regression {regression.name}")
    counts = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for unit in regression.units:
        suite = ElementTree.SubElement(root, "testsuite", name=unit)
        properties = ElementTree.SubElement(suite, "properties")
        tools = {f"tool {name}": version for name, version in _tools(about)}
        kept = {name: about.get(name, "") for name in ("set", "seed", "commit", "sources")}
        for name, value in {**kept, **tools}.items():
            ElementTree.SubElement(properties, "property", name=name, value=_plain(value))
        own = dict.fromkeys(counts, 0)
        seconds = 0.0
        for key, job in regression.jobs.items():
            if job.unit != unit:
                continue
            result = regression.results.get(key)
            where = configuration(job.unit, job.parameters)
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=f"{unit}.{job.sim}.{job.test}",
                name=f"{job.test} seed={job.seed} rows={job.rows} {where}",
                time=f"{result['seconds'] if result else 0:.3f}",
            )
            own["tests"] += 1
            if result is None:
                own["skipped"] += 1
                ElementTree.SubElement(case, "skipped", message="not run")
                continue
            seconds += result["seconds"]
            if not result["passed"]:
                own["failures"] += 1
                first = result["report"].partition("\n")[0] or "no report"
                failure = ElementTree.SubElement(case, "failure", message=_plain(first))
                failure.text = _plain(f"{result['report']}\nrerun: {result['rerun']}\n")
        for name, value in own.items():
            suite.set(name, str(value))
            counts[name] += value
        suite.set("time", f"{seconds:.3f}")
        suite.set("timestamp", re.sub(r"[+-]\d{4}$", "", about.get("started", "")))
    for name, value in counts.items():
        root.set(name, str(value))
    root.set("time", f"{regression.total('seconds'):.3f}")
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _plain(text: object) -> str:
    return _CONTROL.sub("", str(text))


# --- all of it ------------------------------------------------------------------------------------


def pages(regression: Finished) -> dict[str, str]:
    """Every page by its name."""
    made = {
        "index.html": index(regression),
        "runs.html": runs(regression),
        "failures.html": failures(regression),
        "history.html": history_page(regression),
        "accuracy.html": accuracy(regression),
    }
    for unit in regression.units:
        made[f"plan_{unit}.html"] = plan_page(regression, unit)
        made[f"coverage_{unit}.html"] = coverage_page(regression, unit)
    return made


def write(regression: Finished, folder: Path) -> list[Path]:
    """Write the report into `folder`; return its files. Raises UserError if it cannot be written.

    Pages of a report that was there before and that this one lacks are removed, nothing else is.
    """
    texts = {**pages(regression), JUNIT: junit(regression)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in (*folder.glob("plan_*.html"), *folder.glob("coverage_*.html")):
            if old.name not in texts:
                old.unlink()
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        for source in (TEMPLATES / "style.css", TEMPLATES / "page.js", PLOT):
            shutil.copyfile(source, folder / source.name)
            texts[source.name] = ""
    except OSError as error:
        raise UserError(f"cannot write {error.filename or folder}: {error.strerror}") from None
    return [folder / name for name in texts]
