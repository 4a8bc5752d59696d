# SPDX-License-Identifier: Apache-2.0
"""AILayerNorm with wide inputs, an epsilon, exact squares and a flag: somebody else's vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from softnorm.flow import tools
from softnorm.flow.bulk import rtl
from softnorm.flow.errors import UserError
from softnorm.flow.sim import conform
from softnorm.models import vectors
from softnorm.models.channels import ChannelSet
from softnorm.tb.stimulus.values import RowMaker, batch
from softnorm.units import UNITS

UNIT = UNITS["ailayernorm"]
FOLDER = Path(__file__).parents[1] / "vectors/section8"
ANY = "icarus" if tools.icarus() else "verilator"
FILES = sorted(FOLDER.glob("ailayernorm8_*.npz"))
NARROW = [path for path in FILES if int(path.stem.split("_l")[1].split("_")[0]) < 8]
FEATURES = {"IN_W", "EPS", "IMPRECISE", "EXACT_SQ", "A_BITS"}


def test_there_are_vectors_of_each_feature():
    """At each width, with exact squares and without, with rows that are imprecise."""
    files = [vectors.load(path) for path in FILES]
    assert {file.parameters.get("IN_W", 8) for file in files} == {8, 16, 32}
    assert {file.parameters.get("EXACT_SQ", 0) for file in files} == {0, 1}
    assert {file.parameters.get("A_BITS", 10) for file in files} == {8, 10}
    assert {0, 300, 65535} <= {file.settings.get("eps", 0) for file in files}
    assert sum(file.extra["imprecise"].sum() for file in files if "imprecise" in file.extra) > 10


def seen(path: Path, sim: str, bulk: bool) -> None:
    """The model and the RTL against a file, element by element and flag by flag."""
    assert conform.conform_model(path).mismatches == 0
    result = conform.conform_rtl(path, sim, bulk=bulk)
    assert result.mismatches == 0, result.report
    assert result.rows == len(vectors.load(path).x)


@pytest.mark.parametrize("path", NARROW, ids=lambda path: path.stem)
def test_conformance_of_wide_layer_norms(path):
    """In bulk on Icarus, which builds in a second; files of many lanes at night."""
    seen(path, ANY, bulk=True)


@pytest.mark.slow
@pytest.mark.parametrize("bulk", [True, False])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_conformance_of_wide_layer_norms_on_verilator(path, bulk):
    """All rows, one build for the files of a set of parameters, and another pin by pin."""
    seen(path, "verilator", bulk)


@pytest.mark.parametrize("entry", ["out", "imprecise"])
def test_a_flipped_bit_of_the_vectors_is_seen(entry, tmp_path):
    file = vectors.load(FOLDER / "ailayernorm8_l4_c40_w8_x0_ln_s1.npz")
    if entry == "out":
        out = file.out.copy()
        row, column = (places[0] for places in np.nonzero(file.mask))
        out[row, column] ^= 1
        file = replace(file, out=out)
    else:
        flags = file.extra["imprecise"].copy()
        flags[3] ^= 1
        file = replace(file, extra={"imprecise": flags})
    path = tmp_path / "flipped.npz"
    vectors.save(path, file)
    assert conform.conform_model(path).mismatches == 1
    assert conform.conform_rtl(path, ANY, bulk=True).mismatches == 1


def test_a_setting_of_a_feature_that_is_off_may_be_there_as_0_alone(tmp_path):
    """As its pin may be tied low."""
    file = vectors.load(FOLDER / "ailayernorm8_l4_c40_w8_x0_ln_s1.npz")
    assert file.settings["qmult"] == 0
    path = tmp_path / "given.npz"
    vectors.save(path, replace(file, settings={**file.settings, "qmult": 5}))
    with pytest.raises(UserError, match="ailayernorm has no setting qmult"):
        conform.load(path)


def example(**parameters: int) -> rtl.RtlOutputs:
    """x = 98, 102 with zp = 0, gamma = 1 and 5 fraction bits of the output."""
    channels = ChannelSet(
        {
            "alpha": np.zeros(2, np.uint8),
            "gamma": np.full(2, 64, np.int8),
            "beta": np.zeros(2, np.int8),
        }
    )
    settings = {"zp": 0, "gfrac": 6, "ofrac": 5}
    x = np.array([[98, 102]], np.uint8)
    size = {"LANES": 4, "MAX_LEN": 64, "IMPRECISE": 1, **parameters}
    if "EPS" in parameters:
        settings["eps"] = 0
    return rtl.run(UNIT, size, x, None, settings, channels, sim=ANY)


def test_the_pages_example_is_flagged_and_exact_squares_do_it():
    compressed, exact = example(EPS=1), example(EXACT_SQ=1)
    assert compressed.out.tolist() == [[-128, 127]]
    assert compressed.user["imprecise"].tolist() == [1]
    assert exact.out.tolist() == [[-32, 32]]
    assert exact.user["imprecise"].tolist() == [0]


@pytest.mark.parametrize("given", [c for c in UNIT.configurations if FEATURES & c.keys()])
def test_rows_at_edges_reach_what_the_features_add(given):
    """Whatever the seed: each shift of a wide input, each side of a byte and of the limit."""
    parameters = UNIT.resolve(given)
    found = list(RowMaker(np.random.default_rng(1), UNIT, parameters).edges())
    coverage = UNIT.coverage(parameters)
    UNIT.sample(coverage, parameters, batch(UNIT, parameters, found))
    for name in ("shift", "byte", "input", "limit", "imprecise", "bits x alpha", "floor"):
        if name in coverage.points:
            assert not coverage.points[name].holes, name
