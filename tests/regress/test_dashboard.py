# SPDX-License-Identifier: Apache-2.0
"""The report of a regression: pages hold together, statuses follow the results, JUnit agrees."""

from __future__ import annotations

import html.parser
import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from softnorm.flow import dashboard
from softnorm.flow.coverage import code as code_coverage
from softnorm.flow.coverage import waivers
from softnorm.flow.dashboard import documents, markdown, plans
from softnorm.flow.dashboard.files import TEMPLATES
from softnorm.flow.dashboard.history import history, history_page
from softnorm.flow.dashboard.kept import LARGEST
from softnorm.flow.dashboard.markup import rate
from softnorm.flow.dashboard.overview import index
from softnorm.flow.dashboard.plans import state_of
from softnorm.flow.errors import UserError
from softnorm.flow.mutate import results as mutation
from softnorm.flow.paths import RTL
from softnorm.flow.ppa import plots as ppa_plots
from softnorm.flow.ppa import store
from softnorm.flow.regress import folder, plan
from softnorm.flow.regress.folder import RegressionFolder
from softnorm.flow.regress.testplans import Testplan, Testpoint, plan_of
from softnorm.units import get
from tests.ppa import ppa_figures as ppa
from tests.test_commands import refused

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
REPORT = """\
rexp: row 3 does not match the model
    beat 0, lane 0 (element 0), tdata: expected 105, got 104 <script>alert("no")</script> & more
\x1b[31mred\x1b[0m
log: {folder}/sim.log"""
VOID = {"meta", "link", "img", "br"}
RUNS = [
    # unit, parameters, simulator, test, seed, passed
    ("rexp", {}, "verilator", "smoke", 1, True),
    ("rexp", {}, "verilator", "default", 1, True),
    ("rexp", {"LANES": 8, "MAX_LEN": 64}, "icarus", "masks", 1, True),
    ("rexp", {"LANES": 8, "MAX_LEN": 64}, "icarus", "masks", 2, False),
    ("rexp", {"LANES": 4, "MAX_LEN": 64}, "icarus", "masks", 3, False),
    ("rexp", {"LANES": 8, "MAX_LEN": 64}, "icarus", "lengths", 1, True),
    ("e2softmax", {}, "verilator", "smoke", 1, True),
    ("e2softmax", {}, "verilator", "reset", 1, False),
]


def coverage(seed):
    return {
        "length": {"group": "row", "about": "how long", "bins": {"1": seed, "other <&>": 0}},
        "index": {"group": "index", "about": "entries", "bins": {"0": 1, "1": 2}},
    }


def make(folder, runs=RUNS, **about):
    """A regression's folder as `make regress` leaves it."""
    (folder / "results").mkdir(parents=True)
    for unit, given, sim, test, seed, passed in runs:
        job = plan.Job(unit, get(unit).resolve(given), sim, test, seed, 200)
        kept = folder / f"kept-{unit}-{test}-{seed}"
        result = {
            "job": asdict(job),
            "id": job.id,
            "rerun": job.rerun,
            "passed": passed,
            "coverage": coverage(seed) if passed else {},
            "rows": 100 + seed,
            "driven": 100 + seed,
            "elements": 1000,
            "clocks": 400,
            "report": "" if passed else REPORT.format(folder=kept),
            "seconds": 1.5,
        }
        if test == "reset":
            result["report"] = "the simulation ended without a verdict"
        if not passed:
            kept.mkdir()
            (kept / "sim.log").write_text("first line\nlast line of the log\n")
            if seed == 2:
                (kept / "dump.fst").touch()
            result["folder"] = str(kept)
        (folder / "results" / f"{result['id']}.json").write_text(json.dumps(result))
    metadata = {
        "set": "made-up",
        "seed": 1,
        "command": ["SET=made-up"],
        "sources": "0123456789abcdef",
        "commit": "f" * 40,
        "changed": True,
        "tools": {"verilator": "5.48.0"},
        "started": "2026-11-25T19:23:01+0000",
        "jobs": len(runs),
        **about,
    }
    (folder / "metadata.json").write_text(json.dumps(metadata))
    return RegressionFolder(folder)


def count_code(folder):
    """Code coverage of the runs of rexp on Verilator: line 30 ran, 31 and a bit did not."""
    names = [
        ["rexp/rexp.sv", 30, "block", "column 1: block", [30]],
        ["rexp/rexp.sv", 31, "branch", "column 5: else", [31]],
        ["rexp/rexp.sv", 32, "toggle", "sum_q[3]:0->1", []],
    ]
    table = code_coverage.digest(names)
    (folder / "points").mkdir()
    (folder / "points" / f"{table}.json").write_text(json.dumps(names))
    counts = code_coverage.pack(np.array([1234, 0, 0]))
    for path in (folder / "results").glob("*.json"):
        result = json.loads(path.read_text())
        if result["passed"] and result["job"]["sim"] == "verilator":
            path.write_text(json.dumps({**result, "code": {"names": table, "counts": counts}}))
    return RegressionFolder(folder)


def shrink(folder, waves="dump.fst", size=9):
    """The masks' failure shrunk, as `make regress` leaves it; the reset's did not come again."""
    for path in (folder / "results").glob("*.json"):
        result = json.loads(path.read_text())
        job = result["job"]
        if (job["test"], job["seed"]) == ("masks", 2):
            kept = folder / "shrunk"
            kept.mkdir()
            (kept / "sim.log").write_text("log of the shrunk case\n")
            (kept / "rows.npz").write_bytes(b"x" * size)
            if waves:
                (kept / waves).write_bytes(b"waves")
            result["shrunk"] = {
                "rows": 1,
                "elements": 3,
                "before": {"rows": 200, "elements": 5376},
                "tried": 41,
                "rerun": f"make sim UNIT=rexp SIM=icarus STIMULUS={kept}/rows.npz LANES=8",
                "file": str(kept / "rows.npz"),
                "text": "row 0: 3 elements <&>\n  7 [-1] 9",
                "report": "rexp: row 0 does not match the model",
                "log": str(kept / "sim.log"),
                "waves": str(kept / waves) if waves else None,
            }
        if job["test"] == "reset":
            result["alone"] = False
        path.write_text(json.dumps(result))
    return RegressionFolder(folder)


@pytest.fixture(scope="module")
def regression(tmp_path_factory):
    made = make(tmp_path_factory.mktemp("regress") / "demo")
    dashboard.remember(made)
    return made


@pytest.fixture(scope="module")
def report(regression, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    dashboard.write(regression, folder)
    return folder


@pytest.fixture(scope="module")
def shrunk_report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regress") / "demo"
    make(folder)
    report = tmp_path_factory.mktemp("report")
    dashboard.write(shrink(folder), report)
    return report


@pytest.fixture(params=["report", "shrunk_report"])
def any_report(request):
    return request.getfixturevalue(request.param)


class Page(html.parser.HTMLParser):
    """What a page is made of; notes every tag that is not closed where it should be."""

    def __init__(self, path: Path):
        super().__init__()
        self.open, self.wrong, self.ids, self.targets, self.words = [], [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        self.wrong += self.open

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        self.targets += [given[name] for name in ("href", "src") if name in given]
        if len(given) != len(attrs):
            self.wrong.append(f"{tag} has an attribute twice")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def parsed(folder):
    return {path.name: Page(path) for path in sorted(folder.glob("*.html"))}


def text_of(folder, name):
    return Page(folder / name).text


# --- pages ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plots():
    """Those of the documentation that the report shows."""
    return {path.name for path in documents.plots()}


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_pages_are_those_of_the_regressions_units(report, plots):
    assert files_of(report) == {
        *("index.html", "runs.html", "failures.html", "history.html", "accuracy.html"),
        *("ppa.html", "mutation.html", "proofs.html", "accuracy.svg", *plots),
        *("plan_rexp.html", "plan_e2softmax.html"),
        *("coverage_rexp.html", "coverage_e2softmax.html"),
        *("junit.xml", "style.css", "page.js"),
        *("cases/b1/log.txt", "cases/b1/waves.fst", "cases/b2/log.txt"),
    }


def test_pages_are_well_formed(any_report):
    for name, page in parsed(any_report).items():
        assert not page.wrong, f"{name}: {page.wrong}"
        assert len(page.ids) == len(set(page.ids)), f"{name} has an anchor twice"


def test_links_and_anchors_resolve_and_none_leaves_the_folder(any_report):
    pages = parsed(any_report)
    for name, page in pages.items():
        for target in page.targets:
            if target == "data:,":  # no icon: a browser is not to ask for one
                continue
            file, _, anchor = target.partition("#")
            assert re.fullmatch(r"(cases/b\d+/)?[\w.]*", file), f"{name} links to {target}"
            assert (any_report / (file or name)).is_file(), f"{name} links to {target}"
            if anchor:
                assert anchor in pages[file or name].ids, f"{name} links to {target}"


def test_every_file_is_reached_from_the_overview(any_report):
    pages = parsed(any_report)
    seen, left = set(), ["index.html"]
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            targets = pages[name].targets if name in pages else []
            left += [file for file, _, _ in (target.partition("#") for target in targets) if file]
    assert seen - {"data:,"} == files_of(any_report)


def test_pages_need_no_network(report):
    for path in report.iterdir():
        if path.suffix in (".html", ".css", ".js"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"https?://|url\(|@import|fetch\(", text), path.name


def test_text_from_results_is_escaped(report):
    for name in ("failures.html", "coverage_rexp.html"):
        text = (report / name).read_text(encoding="utf-8")
        assert "<script>" not in text
        assert "\x1b" not in text
    assert '<script>alert("no")</script> & more' in text_of(report, "failures.html")
    assert "other <&>" in text_of(report, "coverage_rexp.html")


def test_failures_have_bucket_report_log_waves_and_rerun_line(regression, report):
    text = text_of(report, "failures.html")
    assert "2 \u00d7 rexp: row # does not match the model (tdata)" in text
    assert "1 \u00d7 the simulation ended without a verdict" in text
    assert "expected 105, got 104" in text
    assert "last line of the log" in text
    assert f"waves.fst of {regression.folder}/kept-rexp-masks-2/dump.fst" in text  # of the simplest
    for result in regression.results.values():
        assert (result["rerun"] in text) == (not result["passed"])


def test_a_shrunk_case_is_shown_with_its_files(shrunk_report):
    text = text_of(shrunk_report, "failures.html")
    for words in (
        "Shrunk from 200 rows of 5,376 elements to 1 row of 3 elements , 41 candidates simulated.",
        "row 0: 3 elements <&> 7 [-1] 9",
        "make sim UNIT=rexp SIM=icarus STIMULUS=",
        "Report of the shrunk case rexp: row 0 does not match the model",
        "shrunk_stimulus.npz of ",
        "expected 105, got 104",  # the case itself stays
    ):
        assert words in text
    copies = {path.name: path.read_bytes() for path in (shrunk_report / "cases/b1").iterdir()}
    assert copies == {  # the waves are of the shrunk case
        "log.txt": b"first line\nlast line of the log\n",
        "shrunk_log.txt": b"log of the shrunk case\n",
        "shrunk_stimulus.npz": b"x" * 9,
        "shrunk_waves.fst": b"waves",
    }
    assert "(tdata) 2 rexp 1 row of 3 elements" in text
    root = ElementTree.parse(shrunk_report / "junit.xml").getroot()
    texts = [failure.text for failure in root.iter("failure")]
    assert sum("\nshrunk to 1 row of 3 elements: make sim UNIT=rexp" in text for text in texts) == 1


def test_a_failure_that_did_not_come_again_says_so(shrunk_report):
    text = text_of(shrunk_report, "failures.html")
    assert text.count("does not fail when it is run again") == 1
    assert "✗ failed not again" in text_of(shrunk_report, "runs.html")
    junit = (shrunk_report / "junit.xml").read_text(encoding="utf-8")
    assert junit.count("it does not fail when it is run again") == 1


def test_what_is_too_large_or_gone_is_only_named(tmp_path):
    make(tmp_path / "demo")
    made = shrink(tmp_path / "demo", waves="", size=LARGEST + 1)
    (tmp_path / "demo/shrunk/sim.log").unlink()
    dashboard.write(made, tmp_path / "report")
    text = text_of(tmp_path / "report", "failures.html")
    assert f"{tmp_path}/demo/shrunk/rows.npz (not copied: 5.0 MiB)" in text
    assert f"{tmp_path}/demo/shrunk/sim.log (not there any more)" in text
    # Without waves of the shrunk case, those of the case itself.
    copies = {path.name for path in (tmp_path / "report/cases/b1").iterdir()}
    assert copies == {"log.txt", "waves.fst"}


def test_overview_says_what_was_run(report):
    text = text_of(report, "index.html")
    for words in (
        "✗ Failed",
        "5/8 runs passed",
        "make regress SET=made-up",
        "25 November 2026, 19:23 UTC",
        "f" * 40 + " , with changes that are not committed",
        "verilator 5.48.0",
        "first 1; used: 1 to 3",
    ):
        assert words in text


def test_coverage_is_of_what_passed_and_names_the_holes(report):
    text = text_of(report, "coverage_rexp.html")
    assert "defaults 75.0 % 3/4 1" in text
    assert "LANES=8 MAX_LEN=64 75.0 % 3/4 1" in text
    assert "LANES=4" not in text
    assert "Not hit: 1 other <&> Hit: 1, with counts 1 2" in text  # two seeds as one


def test_runs_without_a_result_are_shown(tmp_path):
    made = make(tmp_path / "demo", RUNS[:2], jobs=5)
    assert made.verdict == "partly run"
    assert "3 runs of this regression have no result yet" in index(made)


def test_a_second_report_leaves_nothing_of_the_first_behind(regression, tmp_path):
    (tmp_path / "notes.txt").touch()
    (tmp_path / "plan_gone.html").touch()
    (tmp_path / "cases/b7").mkdir(parents=True)
    (tmp_path / "cases/b7/waves.vcd").touch()
    (tmp_path / "cases/notes.txt").touch()
    dashboard.write(regression, tmp_path)
    assert (tmp_path / "notes.txt").exists()
    assert (tmp_path / "cases/notes.txt").exists()
    assert not (tmp_path / "plan_gone.html").exists()
    assert not (tmp_path / "cases/b7").exists()


# --- documentation --------------------------------------------------------------------------------


def test_area_is_shown_as_it_is_kept(regression, tmp_path, monkeypatch):
    docs = tmp_path / "docs"
    docs.mkdir()
    figures = [
        ppa.figures("rexp", LANES=lanes, logic=1234.0 * lanes, energy=ppa.ENERGY)
        for lanes in (8, 16)
    ]
    kept = ppa.stored(*figures, ppa.figures("softermax", LANES=8)).with_fpga([ppa.in_fpga()])
    (docs / store.FILE).write_text(kept.text())
    (docs / "accuracy.md").write_text("# Accuracy\n\nNo figures.\n")
    (docs / ppa_plots.LANES).write_text("<svg/>")
    monkeypatch.setattr(documents, "DOCS", docs)
    dashboard.write(regression, tmp_path / "report")
    page = Page(tmp_path / "report/ppa.html")
    assert not page.wrong
    assert "LANES=8 MAX_LEN=1024 Area unit logic, um2" in page.text
    assert "rexp 9,872 4.94 3 80 9,912 -" in page.text
    assert "rexp 2,535 665 1 2 80" in page.text.replace("8 256 defaults ", "")
    assert "Synthesis : Yosys with slang" in page.text  # a bold word, and no stars
    assert "**" not in page.text
    assert "All 4 configurations were measured with the present sources" in page.text
    assert ppa_plots.LANES in page.targets
    assert (tmp_path / "report" / ppa_plots.LANES).read_text() == "<svg/>"
    assert 'src="none.svg"' not in markdown.rendered("![not there](none.svg)", docs)


def test_area_says_which_figures_are_of_older_sources(regression, tmp_path, monkeypatch):
    kept = ppa.stored(ppa.figures("rexp"))
    text = kept.text().replace(kept.cells[0].gates, "0" * 16)
    (tmp_path / store.FILE).write_text(text)
    (tmp_path / "accuracy.md").write_text("# Accuracy\n\nNo figures.\n")
    monkeypatch.setattr(documents, "DOCS", tmp_path)
    assert "<code>rexp</code> older" in documents.ppa(regression)


# --- code coverage --------------------------------------------------------------------------------


def test_without_code_coverage_there_is_no_section_of_it(report):
    assert "Code coverage" not in text_of(report, "coverage_rexp.html")
    assert "rexp 75.0 % 3/4 - - - -" in text_of(report, "index.html").replace("none", "-")


@pytest.mark.parametrize("sources", ["those that were simulated", "others"])
def test_code_coverage_is_shown_down_to_the_source_line(tmp_path, monkeypatch, sources):
    monkeypatch.setattr(folder, "sources_digest", lambda: "those that were simulated")
    monkeypatch.setattr(waivers, "WAIVERS", tmp_path / "none.hjson")
    make(tmp_path / "demo", RUNS[:3], sources=sources, started="2001-01-01T00:00:00+0000")
    dashboard.write(count_code(tmp_path / "demo"), tmp_path / "report")
    page = Page(tmp_path / "report/coverage_rexp.html")
    assert not page.wrong
    assert "rtl/rexp/rexp.sv 50.0 % 1/2 0 % 0/1 0 % 0/1 none" in page.text
    assert "not covered: 1 line, 1 branch, 1 toggle" in page.text
    assert "not covered: branch column 5: else" in page.text
    assert "not covered: toggle sum_q[3]:0->1" in page.text
    source = (RTL / "rexp/rexp.sv").read_text().splitlines()
    shown = " ".join(source[29].split()) in page.text and "30 2,468" in page.text
    assert shown == (sources != "others")  # other sources' lines would be marked by chance
    assert "Below a goal: rexp functional" in text_of(tmp_path / "report", "index.html")


# --- testpoints -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tests", "status"),
    [
        (["smoke"], "passed"),
        (["smoke", "default"], "passed"),
        (["smoke", "tensors"], "passed"),  # the set has no tensors
        (["smoke", "random"], "partly run"),
        (["random"], "not run"),
        (["tensors"], "not in this set"),
        (["masks"], "failed"),
        (["smoke", "masks", "tensors"], "failed"),
    ],
)
def test_a_testpoints_status_follows_its_tests(regression, tests, status):
    point = Testpoint("a", "b", "V1", tuple(tests), "stream")
    planned = regression.tests["rexp"] | {"random"}
    assert state_of(point, regression.of("rexp"), planned) == status


def test_a_units_status_is_its_own(regression):
    point = Testpoint("a", "b", "V1", ("masks",), "stream")
    planned = regression.tests["rexp"]
    assert state_of(point, regression.of("e2softmax"), planned) == "not run"
    assert state_of(point, regression.of("e2softmax"), regression.tests["e2softmax"]) == (
        "not in this set"
    )


GREEN = [
    ("rexp", {}, "verilator", "smoke", 1, True),
    ("rexp", {"LANES": 4, "MAX_LEN": 64}, "icarus", "masks", 3, True),  # has no goals
]


def bars(folder):
    """How far the bars of the pages are filled, in percent, and of which kind they are."""
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.html")]
    found = re.findall(r'class="rate (\w+)"><i><i style="[^"]*width:([\d.]+)%', "".join(texts))
    return {(kind, float(width)) for kind, width in found}


def test_a_green_run_has_no_half_filled_bar(tmp_path, monkeypatch):
    """Whatever the set does not run, and configurations without goals, are told in words."""
    monkeypatch.setattr(waivers, "WAIVERS", tmp_path / "none.hjson")
    monkeypatch.setattr(documents, "DOCS", tmp_path)
    (tmp_path / "accuracy.md").write_text("# Accuracy\n\nNo figures.\n")
    (tmp_path / store.FILE).write_text(ppa.stored(ppa.figures("rexp")).text())
    for name, given in (("demo", GREEN), ("bad", [*GREEN, (*GREEN[0][:3], "random", 1, False)])):
        make(tmp_path / name, given)
        for path in (tmp_path / name / "results").glob("*.json"):
            result = json.loads(path.read_text())
            for point in result["coverage"].values():
                full = "goals" if result["job"]["parameters"]["LANES"] == 4 else ""
                point["bins"] = {bin: int(not full or at) for at, bin in enumerate(point["bins"])}
            path.write_text(json.dumps(result))
    dashboard.write(RegressionFolder(tmp_path / "demo"), tmp_path / "green")
    assert bars(tmp_path / "green") == {("all", 100.0)}
    assert "not in this set" in text_of(tmp_path / "green", "index.html")
    assert "not in this set" in text_of(tmp_path / "green", "plan_rexp.html")
    dashboard.write(RegressionFolder(tmp_path / "bad"), tmp_path / "red")
    assert ("failed", 0.0) in bars(tmp_path / "red")


@pytest.mark.parametrize(("killed", "kind"), [(955, "all"), (950, "part"), (None, "")])
def test_mutants_stand_beside_coverage(regression, tmp_path, monkeypatch, killed, kind):
    """Of 960 that are not proved equal: 99 % is the goal."""
    monkeypatch.setattr(documents, "DOCS", tmp_path)
    if killed:
        numbers = {"mutants": 1000, "killed": killed, "proved": 40, "seconds": 1.0}
        tables = {name: {} for name in ("kills", "checks", "proofs", "lines")}
        about = {"seed": 1, "measured": "2026-11-30", "sources": "others"}
        parameters = get("rexp").resolve({})
        mutation.put(mutation.Result("rexp", parameters, **about, **numbers, **tables), tmp_path)
    page = index(regression)
    if killed:
        share = f"<small>{killed}/960</small>"
        assert re.search(rf'class="rate {kind}">(?:(?!class=).)*{share}', page)
        assert page.count("of older sources") == 1
    else:
        assert "of older sources" not in page
    assert page.count("not measured") == (1 if killed else 2)  # of units


def test_the_overview_has_the_history_of_its_set(tmp_path):
    first = make(tmp_path / "a")
    assert "History</h2>" not in index(first)
    dashboard.remember(first)
    other = make(tmp_path / "b", RUNS[:2], started="2026-11-24T10:00:00+0000", set="another")
    dashboard.remember(other)
    page = index(first)
    assert "1 finished regression of set made-up" in page
    assert page.count('class="dot"') == 3


def test_a_bar_is_full_at_its_goal():
    assert bars_of(rate(985, 1000, goal=98)) == ("all", "100.0")
    assert bars_of(rate(979, 1000, goal=98)) == ("part", "99.9")
    assert bars_of(rate(999, 1000)) == ("part", "99.9")
    assert bars_of(rate(0, 3, less="failed")) == ("failed", "0.0")


def bars_of(text):
    return re.search(r'class="rate (\w+)"><i><i style="[^"]*width:([\d.]+)%', text).groups()


def test_plan_pages_have_every_testpoint_of_the_plan(report):
    plan = plan_of("rexp")
    page = Page(report / "plan_rexp.html")
    assert {f"point-{point.name}" for point in plan.testpoints} <= {*page.ids}
    assert "masks stream V2 ✗ failed" in page.text
    assert "smoke stream V1 ✓ passed" in page.text
    assert all(group.name in page.text for group in plan.covergroups)


def test_a_testpoint_shows_what_proves_it(regression, monkeypatch):
    covers = ("row.length", "index", "row.not there")
    points = (
        Testpoint("counted", "d", "V1", ("smoke",), "stream", covers),
        Testpoint("checked", "d", "V1", ("smoke",), "stream", (), "the `timing` test"),
    )
    monkeypatch.setattr(plans, "plan_of", lambda unit: Testplan("stream", points, ()))
    text = plans.plan_page(regression, "rexp")
    # Both configurations as one: the hole is the same bin in both.
    assert '◐ <a href="coverage_rexp.html#i-row-length"><code>row.length</code></a>: 1/2' in text
    assert '✓ <a href="coverage_rexp.html#i-index"><code>index</code></a>: 2/2' in text
    assert '○ <code>row.not there</code><span class="soft">: not counted</span>' in text
    assert "the <code>timing</code> test" in text


def test_items_are_over_all_configurations_and_after_waivers(tmp_path, monkeypatch):
    waived = '{ point: "row.length", bin: "other *", unit: "rexp", reason: "a test" }'
    monkeypatch.setattr(waivers, "WAIVERS", tmp_path / "waivers.hjson")
    waivers.WAIVERS.write_text("{ waivers: [" + waived + "] }")
    made = make(tmp_path / "demo")
    assert made.measured[1] == ""
    assert made.items["rexp"] == {"row.length": (1, 1), "index.index": (2, 2)}
    assert made.items["e2softmax"]["row.length"] == (1, 2)


def test_coverage_pages_have_every_point_over_all_configurations(report):
    page = Page(report / "coverage_rexp.html")
    assert {"i-row", "i-row-length", "i-index", "i-index-index"} <= {*page.ids}
    assert "row.length 50.0 % 1/2 1/2 1/2" in page.text


# --- JUnit ----------------------------------------------------------------------------------------


def test_junit_agrees_with_the_results(report):
    root = ElementTree.parse(report / "junit.xml").getroot()
    cases = list(root.iter("testcase"))
    assert len(cases) == len({(c.get("classname"), c.get("name")) for c in cases}) == len(RUNS)
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("8", "3", "0")
    for suite in root:
        inside = suite.findall("testcase")
        assert suite.get("tests") == str(len(inside))
        assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
    failure = root.find(".//testcase[@classname='rexp.icarus.masks']/failure")
    assert failure.get("message") == "rexp: row 3 does not match the model"
    assert "expected 105, got 104 <script>" in failure.text
    assert "rerun: make sim UNIT=rexp SIM=icarus TEST=masks" in failure.text


# --- history --------------------------------------------------------------------------------------


def test_history_has_a_line_for_each_finished_regression_once(tmp_path):
    first = make(tmp_path / "a")
    assert dashboard.remember(first)
    assert not dashboard.remember(first)
    other = make(tmp_path / "b", RUNS[:2], started="2026-11-24T10:00:00+0000")
    assert dashboard.remember(other)
    assert not dashboard.remember(make(tmp_path / "c", RUNS[:2], jobs=3))  # not finished
    lines = history(tmp_path)
    assert [(line["name"], line["runs"], line["failed"]) for line in lines] == [
        ("b", 2, 0),
        ("a", 8, 3),
    ]
    page = history_page(first)
    assert page.count('class="curve"') == 3
    assert page.count('class="dot"') == 6


def test_history_draws_code_coverage_of_those_that_have_it(tmp_path, monkeypatch):
    monkeypatch.setattr(waivers, "WAIVERS", tmp_path / "none.hjson")
    old = make(tmp_path / "old", RUNS[:2], started="2026-11-24T10:00:00+0000")
    dashboard.remember(old)
    assert "code" not in history(tmp_path)[0]
    assert "Lines covered" not in history_page(old)
    make(tmp_path / "new", RUNS[:2])
    new = count_code(tmp_path / "new")
    dashboard.remember(new)
    assert history(tmp_path)[1]["code"] == {
        "line": [1, 2],
        "branch": [0, 1],
        "toggle": [0, 1],
        "expression": [0, 0],
    }
    page = history_page(new)
    for title in ("Lines", "Branches", "Toggles", "Expressions"):
        assert f"{title} covered in the last" not in page
        assert f'aria-label="{title} covered: ' in page
    assert page.count('class="dot"') == 3 * 2 + 4 * 1


def test_history_of_before_there_was_code_coverage_loads(tmp_path):
    made = make(tmp_path / "now", RUNS[:2])
    line = {"name": "then", "set": "made-up", "started": "2026-01-01T00:00:00+0000"}
    line |= {"commit": "", "sources": "", "runs": 1, "failed": 0, "rows": 1, "seconds": 1.0}
    (tmp_path / "history.jsonl").write_text(json.dumps({**line, "hit": 1, "bins": 2}) + "\n\n")
    dashboard.remember(made)
    assert [line["name"] for line in history(tmp_path)] == ["then", "now"]
    assert "then" in history_page(made)


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["NAME=none-of-them"], "there is no regression 'none-of-them'; there are: "),
        (["UNIT=rexp"], "there is no UNIT; there are: NAME OUT"),
        (["OUT="], "NAME= and OUT= each need a value"),
        (["demo"], "arguments have the form NAME=VALUE"),
    ],
)
def test_report_refuses_bad_input_in_one_line(words, message):
    code, out, error = refused("report", *words)
    assert (code, out) == (2, "")
    assert message in error
    assert error.count("\n") == 1


def test_the_latest_regression_is_the_one_last_worked_on(tmp_path):
    with pytest.raises(UserError, match="there is no regression in"):
        folder.latest(tmp_path)
    for number, name in enumerate("bca"):
        make(tmp_path / name, RUNS[:1], started=f"2026-11-2{number}T10:00:00+0000")
        os.utime(tmp_path / name / "metadata.json", (number, number))
    assert folder.find(None, tmp_path).name == "a"
    os.utime(tmp_path / "b/metadata.json", (9, 9))  # it was started first, and went on
    assert folder.latest(tmp_path).name == "b"
    assert folder.find("c", tmp_path).name == "c"
    for name in ("d", ""):
        with pytest.raises(UserError, match=f"no regression '{name}'; there are: a, b, c"):
            folder.find(name, tmp_path)


def test_a_damaged_result_is_one_sentence(tmp_path):
    make(tmp_path / "a", RUNS[:1])
    (tmp_path / "a/results/x.json").write_text("{")
    with pytest.raises(UserError, match="holds no regression that can be read"):
        RegressionFolder(tmp_path / "a")


# --- a browser ------------------------------------------------------------------------------------

# Opens each page in a frame as wide as a phone, and writes down what it finds there.
VISITOR = """<!DOCTYPE html><title>visitor</title><ul id="seen"></ul><script>
for (const name of NAMES) {
  const frame = document.createElement("iframe");
  frame.width = 390;
  frame.onload = () => {
    const inside = frame.contentDocument;
    const wide = inside.documentElement.scrollWidth;
    const styled = getComputedStyle(inside.body).marginTop === "0px";
    const line = document.createElement("li");
    let seen = "";
    if (name === "runs.html") {
      [...inside.querySelectorAll("th button")].find((b) => b.textContent === "rows").click();
      const field = inside.querySelector("input");
      field.value = "rexp Failed";
      field.dispatchEvent(new Event("input"));
      const left = [...inside.querySelectorAll("tbody tr")].filter((row) => !row.hidden);
      seen = left.map((row) => row.cells[6].textContent).join(" ");
    }
    const title = inside.querySelector("h1")?.textContent;
    line.textContent = [name, title, wide, styled, seen].join("|");
    document.getElementById("seen").append(line);
  };
  frame.src = name;
  document.body.append(frame);
}
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
def test_pages_load_in_a_browser_and_fit_a_phone(any_report, tmp_path):
    names = sorted(path.name for path in any_report.glob("*.html"))
    site = tmp_path / "site"
    shutil.copytree(any_report, site)
    (site / "visitor.html").write_text(VISITOR.replace("NAMES", json.dumps(names)))
    options = """--headless --no-sandbox --disable-gpu --no-first-run --disable-sync
        --disable-background-networking --disable-component-update --enable-logging=stderr
        --allow-file-access-from-files --virtual-time-budget=20000 --dump-dom"""
    done = subprocess.run(
        [
            *(CHROMIUM, *options.split(), f"--user-data-dir={tmp_path / 'profile'}"),
            (site / "visitor.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    seen = dict(re.findall(r"<li>([\w.]+)\|(.*?)</li>", done.stdout))
    assert sorted(seen) == names, done.stderr
    for name, found in seen.items():
        title, wide, styled, rows = found.split("|")
        assert title, name
        assert styled == "true", name
        assert int(wide) <= 390, f"{name} is {wide} pixels wide on a phone"
        assert rows == ("102 103" if name == "runs.html" else "")  # sorted, and filtered


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(scheme):
    css = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([\w-]+): #(\w{6});", css.split("@media")[scheme == "dark"]))

    def light(name):
        parts = (int(colours[name][i : i + 2], 16) / 255 for i in (0, 2, 4))
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    pairs = [(name, f"{name}-back") for name in ("good", "bad", "part", "none")]
    pairs += [(ink, on) for ink in ("ink", "soft", "link") for on in ("page", "card", "head")]
    pairs += [("bad", "card")]
    for ink, on in pairs:
        low, high = sorted((light(ink), light(on)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, f"{ink} on {on}"  # WCAG 2, level AA
