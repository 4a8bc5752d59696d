# SPDX-License-Identifier: Apache-2.0
"""Stored figures of `make ppa`: merged runs, marks of older figures, the page and its plots."""

import dataclasses
import json
import re

import pytest

from softnorm.flow.accuracy import reach
from softnorm.flow.accuracy import tables as accuracy
from softnorm.flow.errors import UserError
from softnorm.flow.pages import kept
from softnorm.flow.paths import ROOT
from softnorm.flow.ppa import compare, page, pareto, plots, sets, sources, steps, store
from softnorm.units import UNITS
from tests.ppa.ppa_figures import ENERGY, FLOW, cells, figures, in_fpga, stored, table
from tests.test_commands import refused

DOCS = ROOT / "docs"
SIZE = {"LANES": 32, "MAX_LEN": 1024}
# --- what is kept ---------------------------------------------------------------------------------


def test_a_file_is_read_as_it_was_written(tmp_path):
    first = stored(
        figures(energy=ENERGY, buffers=400.0, parts={"u_a": 600.0, "": 400.0}),
        figures("e2softmax", DIV_BITS=3, LANES=8),
    ).with_fpga([in_fpga()])
    (tmp_path / store.FILE).write_text(first.text())
    again = store.load(tmp_path)
    assert again.text() == first.text()
    assert again.flow == FLOW
    assert again.cells[1].figures == dataclasses.replace(first.cells[1].figures, report="")
    assert again.fpga == first.fpga
    assert "somewhere" not in first.text()  # a place of one machine


def test_a_run_replaces_what_it_has_measured_and_nothing_else():
    first = stored(figures(), figures("lut2d"), figures(LANES=8), figures(W=4))
    second = first.with_cells([figures(logic=500.0)], FLOW)
    assert [one.figures.logic for one in second.cells] == [1000.0, 1000.0, 500.0, 1000.0]
    assert [one.figures.unit for one in second.cells] == ["rexp", "rexp", "rexp", "lut2d"]
    assert [store.size(one.figures)[0] for one in second.cells[:3]] == [8, 32, 32]
    assert second.with_fpga([in_fpga()]).cells == second.cells


def test_what_a_run_leaves_out_stays_if_the_sources_are_the_same():
    first = stored(figures(energy=ENERGY, buffers=400.0, parts={"u_a": 1.0}))
    [same] = first.with_cells([figures(logic=900.0)], FLOW).cells
    assert (same.figures.logic, same.figures.energy, same.figures.buffers) == (900, ENERGY, 400)
    assert same.figures.parts == {"u_a": 1.0}
    other = dataclasses.replace(first.cells[0], gates="0", energy="0")
    [new] = dataclasses.replace(first, cells=(other,)).with_cells([figures()], FLOW).cells
    assert (new.figures.energy, new.figures.buffers, new.figures.parts) == ({}, None, {})


def test_figures_of_another_flow_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"is of library tiny, 5 ns, .* not of library tiny, 4 ns"):
        stored(figures()).check(dataclasses.replace(FLOW, period=4.0), tmp_path / store.FILE)
    store.Store().check(FLOW, tmp_path / store.FILE)


@pytest.mark.parametrize("text", ["{", "[]", '{"flow": null, "cells": [{"unit": "rexp"}]}'])
def test_a_file_that_cannot_be_read_is_said(tmp_path, text):
    (tmp_path / store.FILE).write_text(text)
    with pytest.raises(UserError, match=r"cannot read .*; remove it to start anew"):
        store.load(tmp_path)


def test_a_unit_that_is_gone_is_left_out(tmp_path):
    text = stored(figures(), figures("lut2d")).text().replace('"rexp"', '"gone"')
    (tmp_path / store.FILE).write_text(text)
    assert [one.figures.unit for one in store.load(tmp_path).cells] == ["lut2d"]


# --- which sources --------------------------------------------------------------------------------


def test_comments_and_docstrings_are_no_source():
    python = 'def f():\n    """Says."""\n    return "# 1"  # why\n'
    assert sources.code(python, python=True) == 'def f():\nreturn "# 1"'
    assert sources.code(python.replace("why", "how"), python=True) == sources.code(python, True)
    assert sources.code("a = 1;  // why\n\n  b;\n", python=False) == "a = 1;\nb;"


def test_a_change_of_the_rtl_is_one_of_the_figures(monkeypatch):
    one, *_ = stored(figures(), figures("lut2d")).with_fpga([in_fpga()]).cells
    assert not one.older
    assert not one.older_energy
    sources._code.cache_clear()
    changed = ROOT / "rtl" / UNITS["rexp"].rtl[-1]
    monkeypatch.setattr(
        sources, "_code", lambda path: "other" if path == changed else path.read_text()
    )
    assert sources.gates(UNITS["rexp"]) != one.gates
    one = dataclasses.replace(one)  # which has not looked yet
    assert one.older
    assert one.older_energy


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("netlist.py", (True, True, False)),
        ("power.py", (False, True, False)),
        ("fpga.py", (False, False, True)),
        ("page.py", (False, False, False)),
    ],
)
def test_each_figure_depends_on_its_own_flow(monkeypatch, name, changes):
    unit, kinds = UNITS["rexp"], (sources.gates, sources.energy, sources.fpga)
    before = [kind(unit) for kind in kinds]
    monkeypatch.setattr(
        sources, "_code", lambda path, kept=sources._code: "x" if path.name == name else kept(path)
    )
    assert tuple(kind(unit) != was for kind, was in zip(kinds, before, strict=True)) == changes


# --- the page -------------------------------------------------------------------------------------


def test_the_page_is_of_the_figures_beside_it():
    shipped = (DOCS / page.PAGE).read_text(encoding="utf-8")
    assert shipped == page.page(store.load()), (
        "docs/ppa.md is not of docs/ppa.json and these sources: run make ppa PAGE=1"
    )


def test_the_plots_are_of_the_figures_beside_them():
    kept = store.load()
    for name in page.drawn(kept):
        shown = {
            plots.LANES: plots.shown_lanes(kept.cells),
            plots.PARETO: plots.shown_points(pareto.points(kept.cells)),
        }[name]
        plot = (DOCS / name).read_text(encoding="utf-8")
        assert plots.stamp(shown) in plot, (
            f"docs/{name} is of other figures: run make ppa PAGE=1, with matplotlib"
        )
        assert len(plot) < 300_000


def test_figures_stand_by_size_and_what_is_missing_is_a_dash():
    text = page.page(stored(figures(LANES=8), figures("lut2d", energy=ENERGY, buffers=400.0)))
    first, small = text.index("## LANES=32 MAX_LEN=1024"), text.index("## LANES=8 MAX_LEN=1024")
    assert first < small  # the default size leads
    large, text = text[first:small], text[small:]
    area = cells(large, "Area")
    assert (area["unit"], area["logic, um2"], area["kNAND2"]) == ("`lut2d`", "1,000", "0.50")
    assert (area["with SRAM, um2"], area["with flip-flops, um2"]) == ("1,040", "1,400")
    energy = cells(large, "Energy")
    assert (energy["sum"], energy["with SRAM"], energy["with flip-flops"]) == (
        "6.0",
        "16.0",
        "26.0",
    )
    assert {*table(text, "Energy")[1][1:]} == {"-"}  # of the smaller size, measured with POWER=0
    assert table(text, "Area")[1][-1] == "-"
    speed = cells(large, "Speed")
    assert (speed["Fmax, MHz"], speed["from"], speed["to"]) == ("500", "`first_q`", "`last_q`")


def test_the_papers_ratios_stand_beside_ours():
    text = page.page(stored(figures("e2softmax"), figures("softermax", logic=3000.0)))
    line = cells(text, "Ratios to baselines")
    assert (line["unit"], line["baseline"]) == ("`e2softmax`", "`softermax`")
    assert (line["area, logic"], line["paper: area"], line["energy, logic"]) == (
        *("3.00x", "2.82x", "-"),
    )
    assert "`e2softmax`: SOLE (ICCAD 2023), whole softmax unit" in text


def test_aims_are_met_or_missed_with_a_reason():
    bare = {"IN_REG": 0, "OUT_REG": 0}
    unit = figures("e2softmax", energy=ENERGY, delay=4.0, **bare, FRAC=2)
    other = {kind: 4 * value for kind, value in ENERGY.items()}
    # The baseline as it is by default, with no register left out, is not of equal care.
    default = figures("softermax", logic=9000.0, energy=other, delay=9.0)
    alike = figures("softermax", logic=2000.0, energy=other, delay=4.7, **bare)
    text = page.page(stored(unit, figures("e2softmax"), default, alike))
    lines = table(text, "Goals")[1:]
    assert [line[1:2] + line[3:5] + line[-1:] for line in lines] == [
        ["IN_REG=0 OUT_REG=0 FRAC=2", "area", "2.9x", "missed"],
        ["IN_REG=0 OUT_REG=0 FRAC=2", "energy", "2.8x", "met"],
        ["IN_REG=0 OUT_REG=0 FRAC=2", "Fmax", "1.05x", "met"],
    ]
    [reason] = [pair.missed for pair in compare.pairs() if pair.missed]
    assert reason not in text
    bare |= {"BANKS": 1}
    norm = figures("ailayernorm", **bare, A_BITS=8)
    pair = norm, figures("nnlut_layernorm", logic=2000.0, **bare)
    assert f"`ailayernorm`: {reason}" in page.page(stored(figures("ailayernorm"), *pair))


def test_runs_with_other_names_give_a_spread():
    bare = {"IN_REG": 0, "OUT_REG": 0}
    runs = {"logic": [1000.0, 900.0, 1250.0], "delay": [4.0, 5.0, 3.2], "logic_energy": [6, 5, 7]}
    unit = figures("e2softmax", energy=ENERGY, delay=4.0, **bare, FRAC=2)
    unit = dataclasses.replace(unit, runs=runs)
    its = {name: [3 * value for value in values] for name, values in runs.items()}
    alike = figures("softermax", logic=3000.0, delay=12.0, energy=ENERGY, **bare)
    alike = dataclasses.replace(alike, runs=its)
    text = page.page(stored(figures("softermax"), unit, alike))
    assert table(text, "Runs with other names")[1:] == [
        [
            "`e2softmax`",
            "IN_REG=0 OUT_REG=0 FRAC=2",
            "3",
            "940, 1,290 um2",
            "15.0, 17.0 pJ",
            "200, 312 MHz",
        ],
        [
            "`softermax`",
            "IN_REG=0 OUT_REG=0",
            "3",
            "2,740, 3,790 um2",
            "25.0, 31.0 pJ",
            "67, 104 MHz",
        ],
    ]
    assert table(text, "Goals")[3][-2:] == ["3.00x (1.92x to 4.69x)", "met"]
    assert "Runs with" not in page.page(stored(figures()))
    # A single run of the same sources does not take the place of medians.
    again = figures("e2softmax", logic=1100.0, buffers=400.0, **bare, FRAC=2)
    [both] = stored(unit).with_cells([again], FLOW).cells
    assert (both.figures.logic, both.figures.buffers, both.figures.runs) == (1000.0, 400.0, runs)


def test_parts_have_shares():
    text = page.page(stored(figures(parts={"u_a": 750.0, "": 250.0})))
    assert table(text, "Parts")[1:] == [
        ["`rexp`", "`u_a`", "750", "75.0 %"],
        ["`rexp`", "`(top)`", "250", "25.0 %"],
    ]


def test_older_figures_are_told(monkeypatch):
    kept = stored(figures(energy=ENERGY), figures("softermax", energy=ENERGY))
    assert "All 2 configurations were measured with the present sources." in page.page(kept)
    energy_only = tuple(dataclasses.replace(one, energy="0") for one in kept.cells[:1])
    text = page.page(dataclasses.replace(kept, cells=(*energy_only, kept.cells[1])))
    assert "measured before their sources changed: 1 of 2." in text
    assert [table(text, name)[1][0] for name in ("Area", "Energy")] == ["`rexp`", "`rexp` older"]
    all_old = tuple(dataclasses.replace(one, gates="0", energy="0") for one in kept.cells)
    text = page.page(dataclasses.replace(kept, cells=all_old))
    assert table(text, "Area")[1][0] == "`rexp` older"
    assert table(text, "Ratios to baselines")[1][:2] == ["`rexp` older", "`softermax` older"]


def test_only_units_as_they_are_by_default_are_compared():
    kept = stored(figures(), figures(logic=7.0, W=15), figures("softermax", logic=3000.0))
    lines = compare.ratios([one.figures for one in kept.cells], compare.pairs())
    assert [line[:5] for line in lines] == [["rexp", "softermax", "32", "1024", "3.00x"]]
    assert "logic, um2" in table(page.page(kept), "Area")[0]
    assert len(table(page.page(kept), "Area")) == 3  # W=15 is a variant


# --- features -------------------------------------------------------------------------------------


def test_what_a_feature_costs_stands_beside_the_same_build_without():
    wide = {"IN_W": 32, "SCALE": 1}
    plain, scaled = (figures("e2softmax", energy=ENERGY, **given) for given in ({}, wide))
    text = page.page(stored(plain, dataclasses.replace(scaled, logic=2000.0, delay=3.0)))
    line = cells(text, "Features")
    assert list(line.values())[:3] == ["`e2softmax`", "IN_W=32 SCALE=1", "defaults"]
    assert (line["area, logic"], line["area, with SRAM"]) == ("2.00x", "1.96x")
    assert (line["pJ an element"], line["ns"]) == ("16.0, not 16.0", "3.00, not 2.00")
    goal = cells(text, "Goals of features")
    assert list(goal.values())[3:] == ["area, logic", "at most 1.9x", "2.00x", "missed"]
    [reason] = [f.missed for f in compare.features() if f.build == wide and f.missed]
    assert f"`e2softmax` IN_W=32 SCALE=1: {reason}" in text
    small = page.page(stored(plain, dataclasses.replace(scaled, logic=1900.0)))
    assert cells(small, "Goals of features")["measured"] == "1.90x"
    assert [line[-1] for line in table(small, "Goals of features")[1:]] == ["met"]
    assert reason not in small
    assert "## Features" not in page.page(stored(plain))


def test_each_feature_is_measured_beside_the_build_that_it_is_compared_with():
    for unit in UNITS.values():
        found = [given for _, given in sets.configurations([unit], "features", {})]
        of = [one for one in compare.features() if one.unit == unit.name]
        for one in of:
            without, build = (unit.taken({**SIZE, **given}) for given in one.builds)
            assert found.index(without) < found.index(build)
        # Of what both sides of a fair comparison have, a unit of each kind and its baseline.
        assert {*unit.features} - {*compare.CARE} <= {name for one in of for name in one.build}
    shown = table((DOCS / page.PAGE).read_text(encoding="utf-8"), "Features")[1:]
    assert len(shown) == len(compare.features())  # all of them are measured
    missed = table((DOCS / page.PAGE).read_text(encoding="utf-8"), "Goals of features")[1:]
    reasons = {
        (compare.words(one.build), compare.words(one.over))
        for one in compare.features()
        if one.missed
    }
    assert {(line[1], line[2]) for line in missed if line[-1] == "missed"} == reasons


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ('{unit: "rexp", bild: {}}', "an entry is wrong: .*bild"),
        ('{unit: "rexp", build: {}, goals: {size: 1}}', "no goal is of size, but of area, logic,"),
    ],
)
def test_a_wrong_entry_of_features_is_said(tmp_path, entry, says):
    (tmp_path / "x.hjson").write_text(f"{{features: [\n{entry}\n]}}")
    with pytest.raises(UserError, match=says):
        compare.features(tmp_path / "x.hjson")


# --- variants and plots ---------------------------------------------------------------------------


def test_the_variants_are_those_of_the_descriptors():
    for unit in UNITS.values():
        found = [unit.resolve(given) for _, given in sets.configurations([unit], "variants", {})]
        wanted = [unit.resolve(variant.parameters) for variant in unit.variants]
        assert all(one in found for one in wanted)
        assert len(found) == len({json.dumps(one) for one in wanted})


def variants(*costs):
    """A store of E2Softmax's variants with DIV_BITS 1, 2, ... of these (area, energy)."""
    return stored(
        *(
            figures("e2softmax", logic=area, DIV_BITS=bits, energy={**ENERGY, "logic": energy})
            for bits, (area, energy) in enumerate(costs, 1)
        )
    )


def short(kept):
    """The points of short rows."""
    return [one for one in pareto.points(kept.cells) if one.keys is None]


def test_the_same_variants_in_long_rows_are_points_too():
    """By docs/reach.json; what is linear loses there, whatever it costs."""
    found = pareto.points(variants((1000.0, 3.0), (1100.0, 2.0)).cells)
    long = [one for one in found if one.keys]
    assert [one.keys for one in long] == [1024] * 4 + [4096] * 4
    assert [one.words for one in long] == ["linear", "row-scaled"] * 4
    by_build = reach.divergences()
    assert long[5].error == by_build["e2softmax DIV_BITS=1 EXP_FRAC=0 fmt=1"][4096]
    assert [one.least_area for one in long] == [False, True, False, False] * 2
    line = cells(page.page(variants((1000.0, 3.0))), "Accuracy against area and energy", 1)
    assert float(line["nats, 4096 keys"]) == long[5].error


def test_a_point_has_the_errors_of_its_variant():
    found = short(variants((1000.0, 3.0), (1100.0, 2.0)))
    assert [(one.words, one.error) for one in found] == [
        *(("linear", 0.00202), ("row-scaled", 0.00175)),
        *(("linear", 0.00174), ("row-scaled", 0.00147)),
    ]
    assert [(one.area, one.energy) for one in found[1:3]] == [(1040.0, 16.0), (1140.0, 15.0)]


def test_least_is_what_none_beats():
    """The second variant is larger, takes less energy, and errs less in either format."""
    found = short(variants((1000.0, 3.0), (1100.0, 2.0)))
    assert [one.least_area for one in found] == [False, True, False, True]
    assert [one.least_energy for one in found] == [False, False, False, True]


def test_a_variant_without_energy_is_not_least_in_it():
    [one, other] = short(stored(figures("e2softmax")))
    assert (one.energy, other.least_energy, other.least_area) == (None, False, True)
    line = cells(page.page(stored(figures("e2softmax"))), "Accuracy against area and energy", 1)
    assert (line["with SRAM, pJ"], line["best by area"], line["best by energy"]) == (
        "-",
        "short, 1024 keys, 4096 keys",
        "",
    )


def test_rms_norm_is_no_variant_of_layer_norm():
    found = pareto.points(stored(figures("ailayernorm"), figures("exact_layernorm")).cells)
    assert [one.words for one in found] == ["LayerNorm", "LayerNorm"]


def test_errors_that_are_not_there_are_said(tmp_path):
    with pytest.raises(UserError, match="run make accuracy"):
        pareto.points(stored(figures()).cells, tmp_path / accuracy.FIGURES)


def test_curves_are_of_a_units_default_at_several_lanes():
    kept = stored(figures(LANES=8, logic=1.0), figures(LANES=16, logic=2.0), figures(LANES=64, W=4))
    assert plots.shown_lanes(kept.cells) == [("rexp", 1024, [(8, 1, 500.0), (16, 2, 500.0)])]
    assert plots.LANES in page.page(kept)
    assert plots.LANES not in page.page(stored(figures()))


def test_plots_are_the_same_every_time():
    pytest.importorskip("matplotlib", reason="the extra plot is not installed")
    units = ("rexp", "ailayernorm", "softermax")
    kept = stored(*(figures(unit, LANES=lanes) for unit in units for lanes in (8, 16, 32)))
    for draw, shown in (
        (lambda: plots.lanes(kept.cells), plots.shown_lanes(kept.cells)),
        (
            lambda: plots.pareto(pareto.points(kept.cells)),
            plots.shown_points(pareto.points(kept.cells)),
        ),
    ):
        plot = draw()
        assert plot == draw()
        assert plots.stamp(shown).encode() in plot


# --- steps ----------------------------------------------------------------------------------------

STEP = """
step: shorter trees
unit: rexp
size: LANES=8
area: [1000, 750]
delay: [2, 2.5]
why: fewer registers
"""


@pytest.fixture
def kept_by_hand(tmp_path):
    """Writes a file of one step and gives its path."""

    def write(text):
        path = tmp_path / "steps.hjson"
        path.write_text("{ steps: [ {" + text + "} ] }")
        return path

    return write


def test_steps_are_shown_with_what_they_bought(kept_by_hand, monkeypatch):
    found = steps.steps(kept_by_hand(STEP))
    monkeypatch.setattr(steps, "steps", lambda: found)
    assert table(page.page(stored(figures())), "Effect of each optimisation")[1] == [
        *("shorter trees", "`rexp`", "LANES=8", "1,000", "750", "25.0 %", "2.00", "2.50"),
        *("-25.0 %", "-", "-", "-", "fewer registers"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("unit: rexp", "unit: softmin", "step 1 is of softmin; there are: e2softmax"),
        ("[1000, 750]", "[1000]", r"area is \[before, after\], two numbers above 0"),
        ("[1000, 750]", '[1000, "no"]', r"area is \[before, after\], two numbers above 0"),
        ("why", "because", "step 1 has no why"),
        ("delay", "speed", "step 1 has an unknown speed"),
    ],
)
def test_a_wrong_step_is_named(kept_by_hand, before, after, says):
    with pytest.raises(UserError, match=says):
        steps.steps(kept_by_hand(STEP.replace(before, after)))


def test_the_steps_of_the_repository_can_be_read():
    assert isinstance(steps.steps(), list)


# --- the command ----------------------------------------------------------------------------------


def test_a_page_is_made_anew_without_measuring(tmp_path, run_here):
    (tmp_path / store.FILE).write_text(stored(figures()).text())
    code, out, err = run_here("ppa", "PAGE=1", f"OUT={tmp_path}")
    assert (code, err) == (0, "")
    assert f"written: {tmp_path / page.PAGE}" in out
    assert "`rexp`" in (tmp_path / page.PAGE).read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["PAGE=1", "UNIT=rexp"], "PAGE=1 takes OUT=<folder> or no other word"),
        (["SET=all"], "SET is one of default, smallest, full, variants, features, not 'all'"),
        (["FPGA=1", "PERIOD=4"], "has no parameter PERIOD"),
        (["FPGA=yes"], "FPGA must be 0 or 1"),
    ],
)
def test_bad_input_is_one_line(words, message):
    code, _, err = refused("ppa", *words)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_what_is_being_measured_is_said_before_it_is_done():
    """A configuration takes minutes."""
    said = []

    def one(unit, parameters, say):
        say("mapping")
        assert said[-1].endswith(f" s  {unit.name}  LANES={parameters['LANES']}: mapping")
        return parameters["LANES"]

    wanted = [(UNITS["rexp"], {"LANES": lanes}) for lanes in (2, 1)]
    assert sets.measure(wanted, one, said.append) == [2, 1]
    assert len(said) == 4


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
def test_every_units_figures_have_sources(unit):
    """A cell's too, which has no tensors."""
    assert re.fullmatch(r"[0-9a-f]{16}", sources.energy(unit))
    assert re.fullmatch(r"[0-9a-f]{16}", kept.of_simulation(unit))
