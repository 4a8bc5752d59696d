# SPDX-License-Identifier: Apache-2.0
"""docs/accuracy.md matches the models, has all variants, and shows a wrong model."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys

import numpy as np
import pytest

from softnorm.flow.accuracy import frontier, reach
from softnorm.flow.accuracy import tables as accuracy
from softnorm.flow.errors import UserError
from softnorm.flow.networks import digits_accuracy
from softnorm.flow.networks.stand_in import is_softmax
from softnorm.flow.pages import made
from softnorm.flow.paths import ROOT
from softnorm.models import e2softmax, vectors
from softnorm.tb.stimulus.scenarios import rows_of
from softnorm.units import ROW_UNITS, UNITS
from tests.test_commands import refused

DOCS = ROOT / "docs"
each_unit = pytest.mark.parametrize("unit", ROW_UNITS.values(), ids=ROW_UNITS)


BEST = "DIV_BITS=4 EXP_FRAC=1 fmt=1"
LONG = reach.divergences()  # of rows longer than those of the tensors


@pytest.fixture(scope="module")
def results():
    return [accuracy.measure(unit) for unit in ROW_UNITS.values()]


def figures(unit, **variant):
    """A unit's figures of the variant with these parameters and settings."""
    wanted = [one for one in unit.variants if {**one.parameters, **one.settings} == variant]
    [line] = accuracy.measure(dataclasses.replace(unit, variants=tuple(wanted))).lines
    return line.figures


def tables(page):
    """Title of a section -> its table's lines, cells split; the titles first."""
    found = {}
    for section in made.filled(page).split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        head, _, *lines = re.findall(r"^\|(.+)\|$", text, re.M)
        found[title] = [[cell.strip() for cell in line.split("|")] for line in (head, *lines)]
    return found


# --- what is in the repository --------------------------------------------------------------------


def test_page_is_what_the_models_give(results):
    shipped = (DOCS / accuracy.PAGE).read_text(encoding="utf-8")
    want = made.filled(accuracy.page(results, LONG))
    assert shipped == want, "docs/accuracy.md is out of date: run make accuracy"


def test_plot_goes_with_the_page(results):
    plot = (DOCS / accuracy.PLOT).read_text(encoding="utf-8")
    assert accuracy.stamp(results, LONG) in plot, (
        "docs/accuracy.svg is of other figures than docs/accuracy.md: run make accuracy, "
        "with matplotlib (the extra plot)"
    )
    assert len(plot) < 200_000


def test_figures_for_others_are_what_the_models_give(results):
    shipped = (DOCS / accuracy.FIGURES).read_text(encoding="utf-8")
    assert shipped == accuracy.data(results), "docs/accuracy.json is out of date: run make accuracy"
    lines = json.loads(shipped)
    assert len(lines) == sum(len(unit.variants) for unit in ROW_UNITS.values())
    one = lines[1]
    assert (one["unit"], one["words"], one["settings"]) == ("e2softmax", "row-scaled", {"fmt": 1})
    assert one["parameters"] == UNITS["e2softmax"].defaults
    assert one["figures"]["mean_abs_error"] == pytest.approx(
        results[0].lines[1].figures["mean_abs_error"], rel=5e-3
    )


# --- the page -------------------------------------------------------------------------------------


@each_unit
def test_every_variant_has_a_line(unit, results):
    titles, *lines = tables(accuracy.page(results))[unit.title]
    assert len(lines) == len(unit.variants)
    for line, variant in zip(lines, unit.variants, strict=True):
        cells = dict(zip(titles, line, strict=True))
        resolved = unit.resolve(variant.parameters)
        words = {setting.name: setting.words for setting in unit.settings(resolved)}
        for name, value in {**unit.features, **resolved}.items():
            assert cells.get(name, str(value)) == str(value)
        assert {*variant.parameters} <= {*cells}
        for name, value in variant.settings.items():
            assert cells[name] == words[name][value]
    assert len({tuple(line[: titles.index("max abs")]) for line in lines}) == len(lines)


def test_each_softmax_has_its_long_rows_beside_its_short_ones(results):
    """In the table of each variant, with what `make accuracy LENGTHS=1` has kept."""
    made_of = tables(accuracy.page(results, LONG))
    for unit in filter(is_softmax, ROW_UNITS.values()):
        titles, *lines = made_of[unit.title]
        for line, variant in zip(lines, unit.variants, strict=True):
            shown = [float(line[titles.index(f"KL, {keys} keys")]) for keys in accuracy.LONG]
            of = LONG[digits_accuracy.label(unit, variant)]
            assert shown == [of[keys] for keys in accuracy.LONG]
    paper, best = (LONG[f"e2softmax {build}"] for build in ("DIV_BITS=1 EXP_FRAC=0 fmt=0", BEST))
    assert [*paper] == [*best] == [*reach.KEYS]
    assert paper[4096] > 10 * best[4096]


def test_both_norms_have_lines(results):
    titles, *lines = tables(accuracy.page(results))[UNITS["ailayernorm"].title]
    kinds = [line[titles.index("rms")] for line in lines]
    assert kinds.count("LayerNorm") == kinds.count("RMSNorm") == 4


def test_every_figure_is_explained(results):
    page = accuracy.page(results)
    explained = {title for title, _ in tables(page)["Columns"]}
    for result in results:
        titles = tables(page)[result.unit.title][0]
        assert {*titles[titles.index("max abs") :]} <= explained
        assert {*result.lines[0].figures} <= {*accuracy.COLUMNS}


def test_a_figure_in_the_page_is_the_metric(results):
    unit = UNITS["e2softmax"]
    parameters = unit.resolve({})
    rows = rows_of(unit, parameters, vectors.load(ROOT / "data" / unit.tensors))
    assert not rows.settings["fmt"].any()  # as in the variant
    want = unit.accuracy(parameters, rows, unit.predict(parameters, rows))["row_sum_error_std"]
    titles, line, *_ = tables(accuracy.page(results))[unit.title]
    shown = float(line[titles.index("row sum, spread")])
    assert shown == pytest.approx(want, rel=5e-3)


@pytest.mark.parametrize(
    ("value", "percent", "text"),
    [
        (0.0, False, "0"),
        (-0.0, False, "0"),
        (1e-17, False, "0"),  # what is left where sums cancel
        (-1e-17, True, "0 %"),
        (0.11498, False, "0.115"),
        (-0.00542961, False, "-0.00543"),
        (0.0570, False, "0.0570"),
        (0.9999, False, "1.00"),
        (12.34, False, "12.3"),
        (7.0, False, "7.00"),
        (4321.0, False, "4320"),
        (6.5e-6, False, "0.00000650"),
        (0.025906, True, "2.59 %"),
        (1.0, True, "100 %"),
        (math.inf, False, "Infinity"),
        (math.nan, False, "NaN"),
    ],
)
def test_a_figure_has_three_digits(value, percent, text):
    assert accuracy.figure(value, percent) == text


@pytest.mark.parametrize("value", [0.00390625 * 29 / 8, 0.0625 / 8, 0.1225, 1.235, -2.345e-3])
def test_last_bits_do_not_move_a_figure_on_an_edge(value):
    near = [value]
    for towards in (-np.inf, np.inf):
        at = value
        for _ in range(200):
            at = np.nextafter(at, towards)
        near.append(float(at))
    assert len({accuracy.figure(one) for one in near}) == 1


@pytest.mark.parametrize("nudge", [1 - 1e-12, 1 + 1e-12])
def test_last_bits_do_not_move_the_page(results, nudge):
    nudged = [
        dataclasses.replace(
            result,
            lines=tuple(
                dataclasses.replace(line, figures={n: v * nudge for n, v in line.figures.items()})
                for line in result.lines
            ),
        )
        for result in results
    ]
    assert accuracy.page(nudged) == accuracy.page(results)


# --- the figures see faults -----------------------------------------------------------------------


def cosine(unit):
    """Mean cosine between a row's outputs and the exact ones, default build."""
    rows = rows_of(unit, unit.defaults, vectors.load(ROOT / "data" / unit.tensors))
    outputs = unit.predict(unit.defaults, rows)
    approx, exact = unit.values(unit.defaults, rows, outputs)
    norms = np.linalg.norm(approx, axis=1) * np.linalg.norm(exact, axis=1)
    return ((approx * exact).sum(axis=1) / norms).mean()


def test_swapped_divider_constants_show_where_a_cosine_sees_nothing(monkeypatch):
    unit = UNITS["e2softmax"]
    paper = {"DIV_BITS": 1, "EXP_FRAC": 0, "fmt": 0}
    right, right_cosine = figures(unit, **paper), cosine(unit)
    default = dataclasses.replace(unit, variants=unit.variants[:1])
    page = accuracy.page([accuracy.measure(default)])
    table = e2softmax.div_table
    monkeypatch.setattr(e2softmax, "div_table", lambda bits: table(bits)[::-1])
    wrong, wrong_cosine = figures(unit, **paper), cosine(unit)
    assert abs(wrong_cosine - right_cosine) < 1e-3
    assert wrong["row_sum_error_std"] > 2 * right["row_sum_error_std"]
    assert wrong["max_abs_error"] > 2 * right["max_abs_error"]
    assert accuracy.page([accuracy.measure(default)]) != page


# --- the plot -------------------------------------------------------------------------------------


def test_plotted_errors_are_those_of_the_table(results):
    for result in results:
        assert any(line.variant.plotted for line in result.lines), result.unit.name
        for line in result.lines:
            assert line.errors.shape == (result.elements,)
            size = np.abs(line.errors)
            assert line.figures["max_abs_error"] == size.max()
            assert line.figures["mean_abs_error"] == pytest.approx(size.mean())


def test_the_same_errors_make_the_same_plot(results):
    pytest.importorskip("matplotlib", reason="the extra plot is not installed")
    plot = accuracy.plot(results, LONG)
    assert plot == accuracy.plot(results, LONG)
    assert accuracy.stamp(results, LONG).encode() in plot
    assert len(plot) < 200_000


@pytest.mark.parametrize("largest", [0.42, 8.1, 1.0, 1e-5, 0.5, 99.0])
def test_bins_are_round_and_hold_everything(largest):
    width, edges = accuracy._bins(largest)
    assert re.fullmatch(r"[125](\.0+)?e.*", f"{width:e}")
    assert len(edges) <= accuracy.MAX_BINS + 2
    assert edges[0] <= -largest < largest <= edges[-1]
    assert np.allclose(edges, -edges[::-1])


# --- the frontier ---------------------------------------------------------------------------------


def test_long_rows_have_a_frontier_of_their_own(results):
    """A linear format is on the one of short rows, and never on those of long ones."""
    found = frontier.points(results, LONG)
    short = frontier.points(results)
    assert found[: len(short)] == short
    for keys in accuracy.LONG:
        some = [point for point in found if point.errors_in == reach.axis(keys)]
        assert len(some) == sum(is_softmax(point.unit) for point in short)
        best = {point.label for point in some if point.best}
        assert best
        assert not any("linear" in name for name in best)


def test_a_file_of_long_rows_that_cannot_be_read_is_said(tmp_path):
    file = tmp_path / reach.FILE
    assert reach.divergences(file) == {}
    file.write_text('{"make accuracy LENGTHS=1": {"lines": [["one"]]}}')
    with pytest.raises(UserError, match="run make accuracy"):
        reach.divergences(file)


@pytest.mark.parametrize("without", ["", "exact_layernorm"])
def test_the_frontier_is_what_none_beats(results, without):
    """Spelled out, pair by pair; only units of a kind are compared.

    Without the exact LayerNorm, that a softmax stores less would count if kinds were mixed.
    """
    units = [unit for unit in ROW_UNITS.values() if unit.name != without]
    found = frontier.points([result for result in results if result.unit.name != without])
    units = {unit.name: digits_accuracy.network_variants(unit) for unit in units}
    assert [point.unit.name for point in found] == [n for n, many in units.items() for _ in many]
    for one in found:
        beaten = False
        for other in found:
            if other.unit.value_unit == one.unit.value_unit:
                steps = (
                    other.error - one.error if abs(other.error / one.error - 1) > 1e-6 else 0,
                    other.bits - one.bits,
                    other.tables - one.tables,
                )
                beaten |= max(steps) <= 0 and min(steps) < 0
        assert one.best == (not beaten), one.label
    for kind in {point.unit.value_unit for point in found}:
        some = [point for point in found if point.unit.value_unit == kind]
        assert 0 < sum(point.best for point in some) < len(some)


def test_what_a_point_of_the_frontier_stores(results):
    """By hand: codes of 4 bit in a beat of 32 with a maximum of 8 bit and last; C of 2 bytes."""
    paper = frontier.points(results)[0]
    assert paper.variant.parameters == {"DIV_BITS": 1, "EXP_FRAC": 0}
    assert (paper.bits, paper.tables) == (4 + 9 / 32, 2)
    assert paper.error == results[0].lines[0].figures["mean_abs_error"]


def test_the_kept_figures_have_the_same_frontier(results):
    """docs/networks.md is made of three digits of each error."""
    exact = [(point.label, point.best) for point in frontier.points(results)]
    assert [(point.label, point.best) for point in made.frontier_points()] == exact


def test_lines_of_the_frontier_are_their_points(results):
    """Each has the vision transformer's figures of its own variant, and no pair's."""
    found = frontier.points(results)
    lines = [digits_accuracy.Line(n, n + 1, 597) for n in range(len(found) + 5)]
    shown = list(frontier.cells(found, iter(lines)))
    assert [line[0] for line in shown] == [point.label for point in found]
    assert [line[5] for line in shown] == [f"{n}/597" for n in range(len(found))]
    assert {len(line) for line in shown} == {len(frontier.TITLES)}
    assert len({line[0] for line in shown}) == len(shown)


def test_the_frontiers_plot_is_of_these_figures(results):
    found = frontier.points(results, LONG)
    shipped = (DOCS / frontier.PLOT).read_bytes()
    assert frontier.stamp(found).encode() in shipped, (
        "docs/frontier.svg is of other figures: run make accuracy FRONTIER=1, with matplotlib"
    )
    pytest.importorskip("matplotlib", reason="the extra plot is not installed")
    plot = frontier.plot(found)
    assert plot == frontier.plot(found)
    assert len(plot) < 200_000


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["UNIT=softmin"], "no unit 'softmin'; there are: e2softmax"),
        (["e2softmax"], "cannot read 'e2softmax': arguments have the form NAME=VALUE"),
        (["SEED=1"], "accuracy takes UNIT=<unit>, OUT=<folder>, NETWORK=<network>, or nothing"),
        (["UNIT=rexp", "OUT=here"], "accuracy takes UNIT=<unit>, OUT=<folder>, NETWORK="),
        (["NETWORK=resnet"], "NETWORK must be minilm, or digits"),
        (
            ["NETWORK=digits", "SEED=1"],
            "NETWORK must be minilm, or digits",
        ),
        (["FRONTIER=1", "UNIT=rexp"], "accuracy takes FRONTIER=1 with OUT=<folder> or alone"),
        (["LENGTHS=1", "SEED=1"], "accuracy takes LENGTHS=1 with UNIT=<unit>, OUT=<folder>, or al"),
        (["MEANS=1", "UNIT=rexp", "OUT=here"], "accuracy takes MEANS=1 with UNIT="),
        (["MEANS=1", "UNIT=rexp"], "rexp has no rows of MEANS=1"),
        (["LENGTHS=2"], "LENGTHS must be 0 or 1"),
        (["OUT="], "accuracy takes UNIT=<unit>, OUT=<folder>, NETWORK=<network>, or nothing"),
        ([f"OUT={ROOT / 'Makefile'}"], "cannot write"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line(words, message):
    code, _, err = refused("accuracy", *words)
    assert code == 2
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


def test_help(run_here):
    code, out, _ = run_here("accuracy", "--help")
    assert code == 0
    assert "UNIT=" in out
    assert "exit code" in out.lower()


def test_one_unit_is_printed_and_nothing_written(run_here):
    files = [DOCS / accuracy.PAGE, DOCS / accuracy.PLOT]
    before = [file.stat().st_mtime_ns for file in files]
    code, out, _ = run_here("accuracy", "UNIT=lut2d")
    assert code == 0
    assert UNITS["lut2d"].title in out
    assert UNITS["rexp"].title not in out
    assert "written" not in out
    assert [file.stat().st_mtime_ns for file in files] == before


def test_without_matplotlib_the_page_is_written_and_the_plot_left_alone(
    tmp_path, run_here, monkeypatch, results
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    measured = {result.unit.name: result for result in results}
    monkeypatch.setattr(accuracy, "measure", lambda unit, progress: measured[unit.name])
    out = tmp_path / "out"
    out.mkdir()
    (out / accuracy.PLOT).write_text("a plot")
    code, printed, err = run_here("accuracy", f"OUT={out}")
    assert code == 0
    assert not err
    assert printed.splitlines()[-1] == accuracy.NO_MATPLOTLIB
    shipped = (DOCS / accuracy.PAGE).read_text(encoding="utf-8")
    assert (out / accuracy.PAGE).read_text(encoding="utf-8") == shipped
    assert (out / accuracy.PLOT).read_text() == "a plot"


def test_no_plot_says_how_to_get_one(monkeypatch, results, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert accuracy.write(results, tmp_path / "new") == [
        f"written: {tmp_path / 'new' / accuracy.PAGE}",
        f"written: {tmp_path / 'new' / accuracy.FIGURES}",
        accuracy.NO_MATPLOTLIB,
    ]
