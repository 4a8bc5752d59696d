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

from flow import code_coverage, dashboard, regress
from flow.errors import UserError
from tb.units import get
from tests.test_commands import command

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
        job = regress.Job(unit, get(unit).resolve(given), sim, test, seed, 200)
        kept = folder / f"kept-{unit}-{test}-{seed}"
        result = {
            "job": asdict(job),
            "id": job.id,
            "rerun": job.rerun,
            "passed": passed,
            "coverage": coverage(seed) if passed else {},
            "rows": 100 + seed,
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
    return dashboard.Finished(folder)


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
    return dashboard.Finished(folder)


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


def test_the_pages_are_those_of_the_regressions_units(report):
    assert {path.name for path in report.iterdir()} == {
        *("index.html", "runs.html", "failures.html", "history.html", "accuracy.html"),
        *("plan_rexp.html", "plan_e2softmax.html"),
        *("coverage_rexp.html", "coverage_e2softmax.html"),
        *("junit.xml", "style.css", "page.js", "accuracy.svg"),
    }


def test_pages_are_well_formed(report):
    for name, page in parsed(report).items():
        assert not page.wrong, f"{name}: {page.wrong}"
        assert len(page.ids) == len(set(page.ids)), f"{name} has an anchor twice"


def test_links_and_anchors_resolve_and_none_leaves_the_folder(report):
    pages = parsed(report)
    for name, page in pages.items():
        for target in page.targets:
            if target == "data:,":  # no icon: a browser is not to ask for one
                continue
            file, _, anchor = target.partition("#")
            assert re.fullmatch(r"[\w.]*", file), f"{name} links to {target}"
            assert (report / (file or name)).is_file(), f"{name} links to {target}"
            if anchor:
                assert anchor in pages[file or name].ids, f"{name} links to {target}"


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
    assert f"{regression.folder}/kept-rexp-masks-2/dump.fst" in text  # of the simplest
    for result in regression.results.values():
        assert (result["rerun"] in text) == (not result["passed"])


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
    assert "3 runs of this regression have no result yet" in dashboard.index(made)


def test_a_second_report_leaves_nothing_of_the_first_behind(regression, tmp_path):
    (tmp_path / "notes.txt").touch()
    (tmp_path / "plan_gone.html").touch()
    dashboard.write(regression, tmp_path)
    assert (tmp_path / "notes.txt").exists()
    assert not (tmp_path / "plan_gone.html").exists()


# --- code coverage --------------------------------------------------------------------------------


def test_without_code_coverage_there_is_no_section_of_it(report):
    assert "Code coverage" not in text_of(report, "coverage_rexp.html")
    assert "goals" not in text_of(report, "index.html")


@pytest.mark.parametrize("sources", ["those that were simulated", "others"])
def test_code_coverage_is_shown_down_to_the_source_line(tmp_path, monkeypatch, sources):
    monkeypatch.setattr(dashboard, "sources_digest", lambda: "those that were simulated")
    monkeypatch.setattr(code_coverage, "WAIVERS", tmp_path / "none.hjson")
    make(tmp_path / "demo", RUNS[:3], sources=sources, started="2001-01-01T00:00:00+0000")
    dashboard.write(count_code(tmp_path / "demo"), tmp_path / "report")
    page = Page(tmp_path / "report/coverage_rexp.html")
    assert not page.wrong
    assert "rtl/rexp/rexp.sv 50.0 % 1/2 0 % 0/1 0 % 0/1 none" in page.text
    assert "not covered: 1 line, 1 branch, 1 toggle" in page.text
    assert "not covered: branch column 5: else" in page.text
    assert "not covered: toggle sum_q[3]:0->1" in page.text
    source = (dashboard.RTL / "rexp/rexp.sv").read_text().splitlines()
    shown = " ".join(source[29].split()) in page.text and "30 2,468" in page.text
    assert shown == (sources != "others")  # other sources' lines would be marked by chance
    assert "Below a goal: rexp functional" in text_of(tmp_path / "report", "index.html")


# --- testpoints -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tests", "status"),
    [
        (["smoke"], "passed"),
        (["smoke", "default"], "passed"),
        (["smoke", "tensors"], "partly run"),
        (["tensors"], "not run"),
        (["masks"], "failed"),
        (["smoke", "masks", "tensors"], "failed"),
    ],
)
def test_a_testpoints_status_follows_its_tests(regression, tests, status):
    point = dashboard.Testpoint("a", "b", "V1", tuple(tests), "stream")
    assert point.state(regression.of("rexp")) == status


def test_a_units_status_is_its_own(regression):
    point = dashboard.Testpoint("a", "b", "V1", ("masks",), "stream")
    assert point.state(regression.of("e2softmax")) == "not run"


def test_plan_pages_have_every_testpoint_of_the_plan(report):
    points, groups = dashboard.plan_of("rexp")
    page = Page(report / "plan_rexp.html")
    assert {f"point-{point.name}" for point in points} <= {*page.ids}
    assert "masks V2 ✗ failed" in page.text
    assert "smoke V1 ✓ passed" in page.text
    assert all(group["name"] in page.text for group in groups)


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
    lines = dashboard.history(tmp_path)
    assert [(line["name"], line["runs"], line["failed"]) for line in lines] == [
        ("b", 2, 0),
        ("a", 8, 3),
    ]
    page = dashboard.history_page(first)
    assert page.count('class="curve"') == 3
    assert page.count('class="dot"') == 6


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
    code, out, error = command("report", *words)
    assert (code, out) == (2, "")
    assert message in error
    assert error.count("\n") == 1


def test_the_latest_regression_is_the_one_started_last(tmp_path):
    with pytest.raises(UserError, match="there is no regression in"):
        dashboard.latest(tmp_path)
    make(tmp_path / "b", RUNS[:1], started="2026-11-25T10:00:00+0000")
    make(tmp_path / "a", RUNS[:1], started="2026-11-24T10:00:00+0000")
    assert dashboard.latest(tmp_path).name == "b"


def test_a_damaged_result_is_one_sentence(tmp_path):
    make(tmp_path / "a", RUNS[:1])
    (tmp_path / "a/results/x.json").write_text("{")
    with pytest.raises(UserError, match="holds no regression that can be read"):
        dashboard.Finished(tmp_path / "a")


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
def test_pages_load_in_a_browser_and_fit_a_phone(report, tmp_path):
    names = sorted(path.name for path in report.glob("*.html"))
    site = tmp_path / "site"
    shutil.copytree(report, site)
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
    css = (dashboard.TEMPLATES / "style.css").read_text(encoding="utf-8")
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
