# SPDX-License-Identifier: Apache-2.0
"""docs/reach.json: softmaxes over the length of rows, LayerNorms over their mean, and its pages."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re

import numpy as np
import pytest

from softnorm.flow.accuracy import reach, tiles
from softnorm.flow.networks import advice, stand_in
from softnorm.flow.networks.digits_accuracy import label
from softnorm.flow.pages import kept, made
from softnorm.flow.paths import ROOT
from softnorm.models import vectors
from softnorm.models.ailayernorm import AILayerNorm, Channels, reciprocal
from softnorm.models.e2softmax import E2Softmax, SoftmaxResult
from softnorm.models.exact_layernorm import ExactLayerNorm
from softnorm.tb.stimulus import scenarios
from softnorm.units import ROW_UNITS, UNITS

SOFTMAXES = [unit for unit in ROW_UNITS.values() if stand_in.is_softmax(unit)]
NORMS = [unit for unit in ROW_UNITS.values() if not stand_in.is_softmax(unit)]


def lines(what):
    """The kept table, lines as title -> cell."""
    one = kept.load(kept.REACH)[f"make accuracy {what}=1"]
    return [dict(zip(one.titles, line, strict=True)) for line in one.lines]


def percent(cell):
    return float(cell.removesuffix(" %"))


def page(name):
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


# --- what is kept is what the models give ---------------------------------------------------------


def test_every_build_has_every_length_and_every_mean():
    found = [(line["build"], int(line["keys"])) for line in lines("LENGTHS")]
    builds = [label(unit, variant) for unit in SOFTMAXES for variant in unit.variants]
    assert found == [*itertools.product(builds, reach.KEYS)]
    assert (reach.KEYS[0], reach.KEYS[-1]) == (49, 4096)
    found = {(line["build"], float(line["mean"])) for line in lines("MEANS")}
    assert found == {*itertools.product(made.MEAN_BUILDS, reach.MEANS)}


def test_tiles_have_each_number_of_keys_and_the_state_of_whole_rows():
    found = lines("TILES")
    names = [label(UNITS["e2softmax"], one) for one in tiles._builds(UNITS["e2softmax"])]
    assert names == ["e2softmax DIV_BITS=1 EXP_FRAC=0", advice.RECOMMENDED.rpartition(" ")[0]]
    assert [(one["build"], int(one["keys"])) for one in found] == [
        *itertools.product(names, tiles.KEYS)
    ]
    assert (tiles.KEYS[0], tiles.KEYS[-1]) == (256, 65536)
    assert not tiles.wrong([[one[title] for title in tiles.TITLES] for one in found])
    assert {one["in turn"] for one in found} == {"1.000"}
    assert all(int(one["beats"]) == 64 * int(one["keys"]) / 32 for one in found)


def measured(unit, variant, keys):
    """A line of the kept table anew: rows are drawn as they are there."""
    rng = np.random.default_rng(1)
    logits = {one: rng.normal(size=(1, reach.ROWS, one)) for one in reach.KEYS}
    return dict(
        zip(reach.LENGTH_TITLES[1:], reach._length(unit, variant, logits[keys]), strict=True)
    )


@pytest.mark.parametrize("fmt", [0, 1])
def test_a_line_of_a_length_is_what_the_model_gives(fmt):
    unit = UNITS["e2softmax"]
    [variant] = [
        one
        for one in unit.variants
        if one.parameters == {"DIV_BITS": 3, "EXP_FRAC": 1} and one.settings == {"fmt": fmt}
    ]
    [want] = [
        line
        for line in lines("LENGTHS")
        if line["build"] == label(unit, variant) and line["keys"] == "1024"
    ]
    got = measured(unit, variant, 1024)
    assert got == {title: want[title] for title in got}


def test_a_model_that_loses_its_exponent_would_be_seen(monkeypatch):
    unit = UNITS["e2softmax"]
    real = SoftmaxResult.to_real
    monkeypatch.setattr(
        SoftmaxResult,
        "to_real",
        lambda self: real(dataclasses.replace(self, exponent=self.exponent * 0)),
    )
    got = measured(unit, unit.variants[1], 197)
    assert float(got["mean sum"]) > 10


@pytest.mark.parametrize("unit", NORMS, ids=lambda unit: unit.name)
def test_a_line_of_a_mean_is_what_the_model_gives(unit):
    [want] = [
        line
        for line in lines("MEANS")
        if line["build"] == label(unit, reach.Variant(unit.variants[0].parameters))
        and (line["deviation"], line["mean"]) == ("8", "8")
    ]
    got = reach._mean(unit, unit.variants[0], 8, 8)
    assert got == [want[title] for title in reach.MEAN_TITLES[3:]]


@pytest.mark.parametrize(
    ("what", "file"), [("LENGTHS", reach.LENGTHS_PLOT), ("MEANS", reach.MEANS_PLOT)]
)
def test_the_plots_are_of_these_figures(what, file):
    stored = kept.load(kept.REACH)[f"make accuracy {what}=1"].lines
    shipped = (ROOT / "docs" / file).read_text(encoding="utf-8")
    assert reach.stamp(stored) in shipped, f"run make accuracy {what}=1 OUT=docs, with matplotlib"
    pytest.importorskip("matplotlib", reason="the extra plot is not installed")
    plot, builds = {
        "LENGTHS": (reach.plot_lengths, made.LENGTH_BUILDS),
        "MEANS": (reach.plot_means, made.MEAN_BUILDS),
    }[what]
    assert plot(stored, builds) == plot(stored, builds)


# --- what the pages say of it ---------------------------------------------------------------------


def test_the_readmes_build_is_the_one_that_keeps_its_sum():
    """At every length, where the default's, and that of every linear 8-bit output, is lost."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    name, *words = advice.RECOMMENDED.split()
    instance = re.search(rf"```systemverilog\n{name} .*?```", readme, re.S)[0]
    for word in words:
        key, _, value = word.partition("=")
        port = rf"\.cfg_{key}_i +\(1'b{value}\)" if key.islower() else rf"\.{key} *\({value}\)"
        assert re.search(port, instance), f"README's instance has not {word}"
    sums = {}
    for line in lines("LENGTHS"):
        sums.setdefault(line["build"], []).append(float(line["mean sum"]))
    assert {*made.LENGTH_BUILDS} <= {*sums}
    assert max(abs(one - 1) for one in sums[advice.RECOMMENDED]) <= 0.02
    lost = [build for build in made.LENGTH_BUILDS if sums[build][-1] < 0.8]
    assert len(lost) == len(made.LENGTH_BUILDS) - 2  # all but the row-scaled


def test_where_ailayernorm_holds():
    """The domain of the unit's page, over what was measured; beyond it is worse."""
    said = re.search(
        r"at (\d+) input steps or more, with `CMP_RANGES` = 3 at (\d+) or more: the deviation then "
        r"comes out too large by (\d+) % at most on average, which gamma can take in, and its "
        r"spread over rows is below (\d+) %",
        page("docs/units/ailayernorm.md"),
    )
    assert said
    *least, bias, spread = map(int, said.groups())
    for ranges, steps in zip((2, 3), least, strict=True):
        inside, beyond = [], []
        for line in lines("MEANS"):
            if line["build"] == f"ailayernorm CMP_RANGES={ranges}":
                holds = int(line["deviation"]) >= steps and float(line["mean"]) <= 1
                (inside if holds else beyond).append(line)
        assert max(abs(percent(line["std, bias"])) for line in inside) <= bias
        assert max(percent(line["std, spread"]) for line in inside) < spread
        assert max(abs(percent(line["std, bias"])) for line in beyond) > 100


def test_the_bias_of_sigma():
    """Of docs/accuracy.json."""
    [large] = [
        one["figures"]["statistics: std_error_mean"]
        for one in json.loads((ROOT / "docs/accuracy.json").read_text(encoding="utf-8"))
        if one["unit"] == "ailayernorm"
        and one["parameters"] == UNITS["ailayernorm"].defaults
        and one["settings"] == {"rms": 0}
    ]
    small = f"{100 * (1 - 1 / (1 + large)):.1f}"
    assert f"1/sigma is small by {small} % on average" in page("docs/units/ailayernorm.md")


def test_examples_of_the_pages():
    """By the models: a mean of 100 with a deviation of 2, and a row that is not monotone."""
    mant, exp = reciprocal(2)
    channels = Channels(np.zeros(2, np.uint8), np.ones(2, np.int8), np.zeros(2, np.int8))
    settings = {"zp": 0, "gfrac": 0, "ofrac": 5, "rms": 0}
    x, of_length = np.array([[98, 102]], np.uint8), {"len": 2, "inv_mant": mant, "inv_exp": exp}
    out = AILayerNorm()(x, channels, **of_length, **settings).out[0].tolist()
    exact = ExactLayerNorm()(x, channels, **settings).out[0].tolist()
    assert (out, exact) == ([-128, 127], [-32, 32])
    words = "98, 102 with zp = 0, gamma = 1 and ofrac = 5 gives -128, 127, where -32, 32 is right"
    assert words in page("docs/units/ailayernorm.md")
    got = E2Softmax(LANES=2)(np.array([[6, 0, 12, -1]], np.int8), frac=4, fmt=1).out[0].tolist()
    words = f"6, 0, 12, -1 at F = 4, row-scaled, give {', '.join(map(str, got))}."
    assert words in page("docs/units/e2softmax.md")


def test_the_example_of_a_scale_that_is_no_power_of_two():
    """0.1 of the logits' unit: an exact softmax of the right scale, of 2^-3, and the units'."""
    _, _, *body = made.Made().block("scale example").splitlines()
    cells = [line.strip("| ").split(" | ") for line in body]
    found = {name: [*map(int, numbers)] for name, *numbers in cells}
    right, rough = found.pop("exact softmax"), found.pop("exact softmax at 2^-3, the nearest")
    assert (right, rough) == ([165, 61, 22, 8], [184, 53, 15, 4])
    off = {name: np.abs(np.subtract(cells, right)).sum() for name, cells in found.items()}
    assert len(off) == 4
    for name, lost in off.items():
        if name.endswith("F = 3"):
            assert off[f"{name.removesuffix(', F = 3')} SCALE=1"] < lost / 1.5


def test_a_line_of_a_scale_is_what_the_model_gives(monkeypatch):
    """And with a scale that is rounded to a power of two it is as without SCALE."""
    unit = UNITS["e2softmax"]
    rows = scenarios.rows_of(unit, unit.defaults, vectors.load(ROOT / "data" / unit.tensors))
    builds = [
        reach.Variant({"DIV_BITS": 3, "EXP_FRAC": 1, **more}, {"fmt": 1})
        for more in ({}, reach.SCALED)
    ]
    kept_ = {(line["build"], line["ratio"]): line for line in lines("SCALES")}
    got = [reach._scale(unit, build, rows, 1.41) for build in builds]
    for build, figures in zip(builds, got, strict=True):
        want = kept_[label(unit, build), "1.41"]
        assert figures == [want[title] for title in reach.SCALE_TITLES[2:]]
    real = E2Softmax.scale_of
    monkeypatch.setattr(
        E2Softmax, "scale_of", lambda self, step: real(self, np.exp2(np.round(np.log2(step))))
    )
    planted = reach._scale(unit, builds[1], rows, 1.41)
    assert abs(float(planted[0]) / float(got[0][0]) - 1) < 0.1
    assert float(got[0][0]) > 5 * float(got[1][0])


def test_every_build_of_any_scale_has_every_ratio():
    found = [(line["build"], line["ratio"]) for line in lines("SCALES")]
    every = UNITS["e2softmax"].variants
    variants = [one for one in every if "LOG_FIRST" not in one.parameters]  # int8 of one scale
    assert len(found) == len({*found}) == 2 * len(variants) * len(reach.RATIOS)
    builds = {build for build, _ in found}
    assert {label(UNITS["e2softmax"], one) for one in variants} <= builds
    assert sum("SCALE=1" in build for build in builds) == len(variants)


# --- the command ----------------------------------------------------------------------------------


def test_one_unit_is_printed_with_the_line_that_reruns_it(run_here):
    code, out, _ = run_here("accuracy", "MEANS=1", "UNIT=exact_layernorm")
    assert code == 0
    assert "exact_layernorm" in out
    assert out.endswith("rerun: make accuracy MEANS=1 UNIT=exact_layernorm\n")
