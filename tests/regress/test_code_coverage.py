# SPDX-License-Identifier: Apache-2.0
"""Code coverage: read from a real run, merged, waived, exported; holes and goals of a report."""

import dataclasses
import itertools
import os
import random
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from softnorm.flow.build.bulk import bulk_build
from softnorm.flow.coverage import code as code_coverage
from softnorm.flow.coverage import exports as coverage_exports
from softnorm.flow.coverage.code import CodeCoverage, Figures, Point
from softnorm.flow.coverage.waivers import apply, like, load_waivers
from softnorm.flow.errors import UserError
from softnorm.flow.paths import ROOT, RTL
from softnorm.flow.regress import plan
from softnorm.flow.regress import regression as regress
from softnorm.flow.regress.folder import RegressionFolder
from softnorm.flow.regress.provenance import sources_digest
from softnorm.flow.regress.worker import run_group
from softnorm.units import UNITS
from softnorm.units.coverage import Coverage

UNIT = UNITS["e2softmax"]
GUARD = "common/sn_row_guard.sv"


def line_of(file, text):
    """The number of the one line that holds `text`."""
    lines = (RTL / file).read_text().splitlines()
    (found,) = [number for number, line in enumerate(lines, 1) if text in line]
    return found


def job(seed=1, test="smoke"):
    parameters = UNIT.resolve({"LANES": 2, "MAX_LEN": 8})
    return plan.Job(UNIT.name, parameters, "verilator", test, seed, 20, plan.BULK, coverage=True)


@pytest.fixture(scope="module")
def results():
    """What the regression keeps of two real runs of one build."""
    sources = sources_digest()
    return [run_group([one], sources)[0] for one in (job(), job(2, "errors"))]


@pytest.fixture(scope="module")
def coverages(results):
    found = []
    for result in results:
        assert result["passed"], result["report"]
        code = result["code"]
        found.append(code_coverage.from_table(code["names"], code_coverage.unpack(code["counts"])))
    return found


@pytest.fixture
def figures(coverages, results):
    """The figures of the smoke test."""
    counts = code_coverage.functional(Coverage.from_dict(results[0]["coverage"]))
    counts |= coverages[0].covered()
    return Figures(UNIT.name, "LANES=2 MAX_LEN=8", counts, job().parameters)


def waivers(tmp_path, text):
    path = tmp_path / "waivers.hjson"
    path.write_text("{ waivers: [" + text + "] }")
    return load_waivers(path)


# --- what Verilator wrote -------------------------------------------------------------------------


def dat(tmp_path, *points):
    """A file with points as Verilator writes them."""
    lines = ["# SystemC::Coverage-3"]
    for count, keys in points:
        keys = {"f": RTL / GUARD, "l": 7, "n": 3, "page": "p", **keys, "h": "top.u"}
        text = "".join(f"\x01{name}\x02{value}" for name, value in keys.items())
        lines.append(f"C '{text}' {count}")
    path = tmp_path / "coverage.dat"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_instances_and_generate_blocks_are_one_point(tmp_path):
    path = dat(
        tmp_path,
        (2, {"t": "toggle", "o": "gen_a[0].q[3]:0->1", "page": "v_toggle/sn__W4"}),
        (3, {"t": "toggle", "o": "gen_a[1].q[3]:0->1", "page": "v_toggle/sn__W4"}),
        (4, {"t": "toggle", "o": "gen_a[0].q[3]:0->1", "page": "v_toggle/sn__W9"}),
        (1, {"t": "expr", "o": "((a != 4'h0)==0) => 0"}),
        (1, {"t": "expr", "o": "((a != 12'h0)==0) => 0"}),
    )
    assert code_coverage.read(path).counts == {
        Point(GUARD, 7, "toggle", "gen_a[*].q[3]:0->1"): 9,
        Point(GUARD, 7, "expression", "column 3: ((a != 'h0)==0) => 0"): 2,
    }


def test_lines_are_those_of_blocks_and_arms(tmp_path):
    path = dat(
        tmp_path,
        (9, {"t": "line", "o": "block", "S": "7,12-13"}),
        (0, {"t": "branch", "l": 8, "o": "if", "S": "8-9"}),
        (9, {"t": "branch", "l": 8, "n": 4, "o": "else"}),
        (0, {"t": "line", "l": 10, "o": "case", "S": "10"}),
    )
    covered = code_coverage.read(path).covered()
    lines = {point.line: count for point, count in covered.items() if point.kind == "line"}
    assert lines == {7: 9, 8: 9, 9: 0, 10: 0, 12: 9, 13: 9}
    arms = [point.detail for point in covered if point.kind == "branch"]
    assert arms == ["column 3: if", "column 4: else", "column 3: case"]


def test_what_is_outside_the_rtl_does_not_count(tmp_path):
    path = dat(tmp_path, (1, {"f": ROOT / "tb/sv/sn_stream_checker.sv", "t": "line", "o": "block"}))
    assert code_coverage.read(path) == CodeCoverage()


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "coverage.dat"
    path.write_text("TN:\n")
    with pytest.raises(ValueError, match="line 1: no coverage point"):
        code_coverage.read(path)


def test_icarus_has_no_code_coverage():
    with pytest.raises(UserError, match="icarus measures no code coverage"):
        bulk_build(UNIT, job().parameters, "icarus", coverage=True)


# --- a real run -----------------------------------------------------------------------------------


def test_a_run_covers_the_units_files_and_nothing_else(coverages):
    files = {point.file for point in coverages[0].counts}
    assert files <= {*UNIT.rtl}
    # Of builds with features alone, which the regression counts, too (code_of).
    features = {
        f"e2softmax/e2softmax_{name}.sv" for name in ("log2exp_scaled", "wide_max", "octaves")
    }
    modules = {file for file in UNIT.rtl if not file.endswith("_pkg.sv")}
    assert modules - features == files
    kinds = {point.kind for point in coverages[0].covered()}
    assert kinds == {*code_coverage.KINDS}


def test_counts_are_of_the_run(coverages):
    """No row of the smoke test is wrong, many of the errors test are."""
    line = line_of(GUARD, "= accept && keep_bad")
    key = [p for p in coverages[0].counts if p[:3] == (GUARD, line, "expression")]
    both = [p for p in key if "accept==1 && keep_bad==1" in p.detail]
    assert both
    smoke, errors = coverages
    assert sum(smoke.counts[p] for p in both) < sum(errors.counts[p] for p in both)
    for point in smoke.covered():
        assert 0 < point.line <= len((RTL / point.file).read_text().splitlines())


def test_merging_does_not_depend_on_order(coverages):
    parts = [*coverages]
    for part in range(3):
        # Thirds of the real points, with counts of their own.
        chosen = random.Random(part)
        some = CodeCoverage()
        for point, count in coverages[0].counts.items():
            if chosen.random() < 0.3:
                some.add(point, count + part, coverages[0].lines.get(point, ()))
        parts.append(some)
    wholes = []
    for order in itertools.permutations(parts):
        whole = CodeCoverage()
        for part in order[:5]:
            whole.merge(part)
        wholes.append(whole)
    assert all(whole == wholes[0] for whole in wholes)
    assert list(wholes[0].covered().items()) == list(wholes[-1].covered().items())
    assert sum(wholes[0].counts.values()) == sum(sum(part.counts.values()) for part in parts)


def test_names_and_counts_come_back_as_they_went(coverages):
    names, counts = code_coverage.to_table(coverages[1])
    again = code_coverage.unpack(code_coverage.pack(counts))
    assert np.array_equal(again, counts)
    assert code_coverage.from_table(names, again) == coverages[1]


# --- configurations -------------------------------------------------------------------------------


def test_a_point_counts_in_the_configurations_that_have_it():
    both, one = Point("a.sv", 1, "line", ""), Point("a.sv", 2, "line", "")
    (whole,) = code_coverage.merged(
        [Figures("u", "defaults", {both: 0}), Figures("u", "LANES=2", {both: 3, one: 0})]
    )
    assert whole.counts == {both: 3, one: 0}
    assert (whole.hit("line"), whole.total("line"), whole.holes) == (1, 2, [one])


def test_a_waiver_of_one_configuration_does_not_hide_the_other():
    point = Point("a.sv", 1, "line", "")
    waived = Figures("u", "defaults", {point: 0}, {}, {point: "why"})
    assert code_coverage.merged([waived])[0].holes == []
    other = Figures("u", "LANES=2", {point: 0})
    assert code_coverage.merged([waived, other])[0].holes == [point]


# --- waivers --------------------------------------------------------------------------------------


def test_a_waiver_takes_off_what_is_not_covered(figures, tmp_path):
    before = figures.total("toggle")
    holes = [p for p in figures.holes if p.kind == "toggle" and p.file == GUARD]
    assert holes
    text = f'{{ file: "{GUARD}", kind: "toggle", detail: "*", reason: "a test" }}'
    apply(waivers(tmp_path, text), [figures])
    assert figures.total("toggle") == before - len(holes)
    assert not [p for p in figures.holes if p.kind == "toggle" and p.file == GUARD]


def test_a_waiver_by_a_lines_text(figures, tmp_path):
    text = f'{{ file: "{GUARD}", kind: ["line"], line: "assign *", reason: "a test" }}'
    (waiver,) = waivers(tmp_path, text)
    matched = [point for point in figures.counts if waiver.matches(point)]
    texts = (RTL / GUARD).read_text().splitlines()
    assert all(texts[point.line - 1].strip().startswith("assign ") for point in matched)


@pytest.mark.parametrize(
    "text",
    [
        'file: "common/sn_row_guard.sv", kind: "line", line: "no such line"',
        'file: "common/sn_row_guard.sv", kind: "toggle", detail: "no_such_signal*"',
        'file: "common/no_such_file.sv", kind: "line", line: "*"',
        'point: "stream.no such point", bin: "*", unit: "e2softmax"',
        'file: "common/sn_row_guard.sv", kind: "line", line: "no", when: { LANES: [2, 4] }',
    ],
)
def test_a_waiver_that_matches_nothing_is_an_error(figures, tmp_path, text):
    wrong = waivers(tmp_path, f'{{ {text}, reason: "a test" }}')
    with pytest.raises(UserError, match="a waiver matches nothing"):
        apply(wrong, [figures])


@pytest.mark.parametrize(
    "text",
    [
        'file: "lut2d/lut2d.sv", kind: "line", line: "no such line"',
        'file: "common/sn_row_guard.sv", kind: "line", line: "no", unit: "rexp"',
        'file: "common/sn_row_guard.sv", kind: "line", line: "no", when: { LANES: 64 }',
    ],
)
def test_a_waiver_of_what_is_not_in_the_regression_is_left_alone(figures, tmp_path, text):
    apply(waivers(tmp_path, f'{{ {text}, reason: "a test" }}'), [figures])
    assert not figures.waived


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('file: "a.sv", kind: "line", line: "x"', "has no reason"),
        ('file: "a.sv", kind: "line", line: "x", reason: " "', "has no reason"),
        ('file: "a.sv", kind: "line", reason: "r"', "waives all of a.sv"),
        ('file: "a.sv", kind: "lines", line: "x", reason: "r"', "kind must be of"),
        ('kind: "line", line: "x", reason: "r"', "name a file or a point"),
        ('file: "a.sv", kind: "line", line: "x", unit: "u", reason: "r"', "no unit u"),
        ('point: "a.b", bin: "x", when: { NO: 1 }, reason: "r"', "no unit has a parameter NO"),
        ('point: "a.b", bin: "x", kind: "line", reason: "r"', "has no kind"),
    ],
)
def test_a_waiver_that_cannot_be_meant_is_refused(tmp_path, text, says):
    with pytest.raises(UserError, match=says):
        waivers(tmp_path, "{" + text + "}")


def test_the_projects_waivers_are_of_lines_and_units_that_exist():
    for waiver in load_waivers():
        assert waiver.unit in ("", *UNITS), waiver
        if waiver.kinds != ("functional",):
            assert (RTL / waiver.file).is_file(), waiver
            texts = [line.strip() for line in (RTL / waiver.file).read_text().splitlines()]
            for pattern in waiver.lines:
                assert any(like((pattern,), text) for text in texts), waiver


# --- holes, goals, exports ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", code_coverage.ALL_KINDS)
def test_a_planted_hole_is_listed_and_misses_the_goal(figures, kind):
    covered = {point: n for point, n in figures.counts.items() if n}
    whole = Figures(figures.unit, "", covered)
    assert not code_coverage.under([whole], dict.fromkeys(code_coverage.ALL_KINDS, 100))
    planted = next(point for point in covered if point.kind == kind)
    whole.counts[planted] = 0
    (hole,) = code_coverage.grouped_holes([whole])
    assert hole == (figures.unit, planted.place, kind, [planted.detail])
    (missed,) = code_coverage.under([whole], dict.fromkeys(code_coverage.ALL_KINDS, 100))
    assert re.fullmatch(rf"{figures.unit} {kind} \d+\.\d % < 100 %", missed)


def test_percent_is_rounded_down():
    assert code_coverage.shown(99.99) == "99.9 %"
    assert code_coverage.shown(100.0) == "100.0 %"
    assert code_coverage.shown(None) == "-"


def test_lcov_sums_equal_the_table(figures, tmp_path):
    text = f'{{ file: "{GUARD}", kind: ["line", "branch"], line: "*", reason: "a test" }}'
    apply(waivers(tmp_path, text), [figures])
    info = coverage_exports.lcov([figures])

    def total(name):
        return sum(int(n) for n in re.findall(rf"^{name}:(\d+)$", info, re.M))

    lines = [int(n) for n in re.findall(r"^DA:\d+,(\d+)$", info, re.M)]
    arms = re.findall(r"^BRDA:\d+,\d+,\d+,(\d+|-)$", info, re.M)
    assert total("LF") == len(lines) == figures.total("line")
    assert total("LH") == sum(n > 0 for n in lines) == figures.hit("line")
    assert total("BRF") == len(arms) == figures.total("branch")
    assert total("BRH") == sum(n not in "0-" for n in arms) == figures.hit("branch")
    assert info.count("SF:") == info.count("end_of_record") == len(set(re.findall("SF:.*", info)))


def test_ucis_holds_every_point(figures):
    tools = {"Verilator": "5.48.0", "Icarus Verilog": "11.0"}
    root = ElementTree.fromstring(
        coverage_exports.ucis([figures], "2026-01-01T00:00:00+0000", tools)
    )
    nodes = root.findall("historyNodes")
    assert {one.get("vendorTool"): one.get("vendorToolVersion") for one in nodes} == tools
    assert len({one.get("historyNodeId") for one in nodes}) == 2
    assert root.get("writtenTime") == "2026-01-01T00:00:00"
    found = {
        "line": root.findall(".//blockCoverage/statement/bin"),
        "branch": root.findall(".//branch/branchBin"),
        "toggle": root.findall(".//toggle/bin"),
        "expression": root.findall(".//expr/bin"),
        "functional": root.findall(".//coverpointBin/range"),
    }
    for kind, bins in found.items():
        assert len(bins) == figures.total(kind)
        counts = [int(one.find("contents").get("coverageCount")) for one in bins]
        assert sum(count > 0 for count in counts) == figures.hit(kind)


MIXES = {
    "Icarus alone": {"Icarus Verilog": "11.0"},
    "Verilator alone": {"Verilator": "5.48.0"},
    "both": {"Verilator": "5.48.0", "Icarus Verilog": "11.0"},
}


@pytest.mark.parametrize("mix", MIXES)
def test_ucis_is_read_by_pyucis(mix, figures, tmp_path):
    """By its schema and its reader, without code coverage, too: Icarus counts none."""
    xml = pytest.importorskip("ucis.xml", reason="the extra readers is not installed")
    factory = pytest.importorskip("ucis.xml.xml_factory").XmlFactory
    whole = figures
    if mix == "Icarus alone":
        functional = {point: n for point, n in figures.counts.items() if not point.line}
        whole = dataclasses.replace(figures, counts=functional)
    path = tmp_path / "coverage.xml"
    path.write_text(coverage_exports.ucis([whole], "2026-01-01T00:00:00+0000", MIXES[mix]))
    with path.open() as file:
        xml.validate_ucis_xml(file)
    builder = pytest.importorskip("ucis.report.coverage_report_builder")
    report = builder.CoverageReportBuilder.build(factory.read(str(path)))
    told = {
        f"{group.name}.{point.name}": sorted((one.name, one.count) for one in point.bins)
        for group in report.covergroups
        for point in group.coverpoints
    }
    ours = {}
    for point, count in whole.counts.items():
        if not point.line:
            ours.setdefault(point.file, []).append((point.detail, count))
    assert told == {name: sorted(bins) for name, bins in ours.items()}


def test_ucis_without_sources_is_refused_by_pyucis(figures, tmp_path):
    """As that of a regression on Icarus alone was."""
    xml = pytest.importorskip("ucis.xml", reason="the extra readers is not installed")
    text = coverage_exports.ucis([figures], "2026-01-01T00:00:00+0000", MIXES["Icarus alone"])
    path = tmp_path / "coverage.xml"
    path.write_text(re.sub("<sourceFiles .*?/>", "", text))
    with path.open() as file, pytest.raises(Exception, match=r"Expected is . sourceFiles"):
        xml.validate_ucis_xml(file)


# --- the regression and its command ---------------------------------------------------------------


def test_a_regression_keeps_names_once_and_adds_counts(results, coverages, tmp_path):
    jobs = [job(), job(2, "errors")]
    whole = CodeCoverage()
    for part in coverages:
        whole.merge(part)
    for name, order in ("forth", results), ("back", results[::-1] + results):
        regression = regress.Regression(tmp_path / name, jobs, {"set": "ci", "seed": 1})
        for result in order:
            regression.save(result)
        assert len([*(tmp_path / name / "points").iterdir()]) == 1
        assert regression.code_coverage() == {("e2softmax", "LANES=2 MAX_LEN=8"): whole}
        assert RegressionFolder(tmp_path / name).figures() == regression.figures()


def test_a_goal_of_what_nothing_counted_is_missed(results, tmp_path):
    """As where no run of a unit counts code coverage any more."""
    regression = regress.Regression(tmp_path, [job()], {"set": "ci", "seed": 1})
    regression.save({key: value for key, value in results[0].items() if key != "code"})
    assert not regression.code_coverage()
    missed = code_coverage.under(regression.figures(), {"functional": 1, "line": 100})
    assert missed == ["e2softmax line: nothing was counted"]


@pytest.mark.slow
def test_a_run_at_the_pins_counts_the_rows_and_no_code():
    at_pins = dataclasses.replace(job(), engine=plan.PINS, coverage=False)
    (result,) = run_group([at_pins], sources_digest())
    assert result["passed"]
    assert result["coverage"]
    assert "code" not in result


def test_the_command_reports_a_regression(results):
    folder = regress.FOLDER / f"test-code-coverage-{os.getpid()}"
    regression = regress.Regression(folder, [job()], {"set": "ci", "seed": 1})
    regression.save(results[0])
    command = [sys.executable, ROOT / "scripts/coverage.py", f"NAME={folder.name}", "HOLES=3"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        written = {path.name for path in folder.iterdir()}
    finally:
        shutil.rmtree(folder)
    assert done.returncode == 1, done.stderr
    assert re.search(r"^e2softmax  LANES=2 MAX_LEN=8 ( +[\d.]+ %){5}", done.stdout, re.M)
    assert re.search(r"^e2softmax  all ( +[\d.]+ %){5}", done.stdout, re.M)
    assert "places more (HOLES=)" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("FAIL: e2softmax functional ")
    assert {"coverage.info", "coverage.xml"} <= written
