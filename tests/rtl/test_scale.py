# SPDX-License-Identifier: Apache-2.0
"""E2Softmax with logits of any width and scale: vectors of somebody else, and the identity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from softnorm.flow import tools
from softnorm.flow.bulk import rtl
from softnorm.flow.sim import conform
from softnorm.models import vectors
from softnorm.tb.stimulus.values import RowMaker, batch
from softnorm.units import UNITS

UNIT = UNITS["e2softmax"]
FOLDER = Path(__file__).parents[1] / "vectors/section8"
ANY = "icarus" if tools.icarus() else "verilator"
STATE = {"carry_max", "carry_sum", "out_max", "out_sum"}


def without(file: vectors.Vectors) -> vectors.Vectors | None:
    """Those rows of a file that need no parameter but the RTL's; None: there are none.

    A row that starts without a state is a whole row, and the formats 0 and 1 are those of any unit.
    """
    there = {**UNIT.defaults, **UNIT.features}
    parameters = {name: value for name, value in file.parameters.items() if name in there}
    others = {n for n, value in file.parameters.items() if value and n not in there}
    settings = dict(file.settings)
    if not others <= {"BLOCKS", "FORMATS"} or settings.pop("s7", 0) or settings["fmt"] > 1:
        return None
    rows = np.ones(len(file.x), bool)
    if "BLOCKS" in others:
        rows = file.extra["carry_sum"] == 0
    assert not file.row_settings
    assert set(file.extra) <= STATE
    return replace(
        file,
        parameters=parameters,
        settings=settings,
        x=file.x[rows],
        length=file.length[rows],
        mask=file.mask[rows],
        out=file.out[rows],
        exponent=file.exponent[rows],
        extra={},
    )


def reduced() -> dict[str, vectors.Vectors]:
    """Name -> the rows of each file of this unit that can run; no rows: left out."""
    found = {}
    for path in sorted(FOLDER.glob("e2softmax8_*.npz")):
        file = without(vectors.load(path))
        if file is not None and len(file.x):
            found[path.stem] = file
    return found


VECTORS = reduced()


def test_there_are_vectors_of_each_width():
    """What is left: at each width, with octaves and half octaves, in both formats."""
    assert {file.parameters["IN_W"] for file in VECTORS.values()} == {8, 16, 32}
    wide = [file for file in VECTORS.values() if file.parameters["SCALE"]]
    assert {file.parameters["EXP_FRAC"] for file in wide} == {0, 1}
    assert {file.settings["fmt"] for file in wide} == {0, 1}


@pytest.mark.parametrize("bulk", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", VECTORS)
def test_conformance_at_any_scale(name, bulk, tmp_path):
    path = tmp_path / f"{name}.npz"
    vectors.save(path, VECTORS[name])
    assert conform.conform_model(path).mismatches == 0
    result = conform.conform_rtl(path, ANY, bulk=bulk)
    assert result.mismatches == 0, result.report
    assert result.rows == len(VECTORS[name].x)


def test_a_flipped_bit_of_the_vectors_is_seen(tmp_path):
    file = VECTORS["e2softmax8_l8_b3_e1_w32_c1_k1_fmt1_s70_s1"]
    out = file.out.copy()
    out[np.nonzero(file.mask)[0][0], np.nonzero(file.mask)[1][0]] ^= 1
    path = tmp_path / "flipped.npz"
    vectors.save(path, replace(file, out=out))
    assert conform.conform_rtl(path, ANY, bulk=True).mismatches > 0


def rows(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """int8 logits and masks [rows, 40], F and the format [rows]: each F, narrow rows and wide."""
    rng = np.random.default_rng(seed)
    count = 160
    sigma = 2 ** rng.uniform(0, 6, (count, 1))
    x = np.clip(
        np.rint(rng.normal(rng.integers(-128, 128, (count, 1)), sigma, (count, 40))), -128, 127
    )
    x[:16] = rng.choice([-128, -127, 126, 127], (16, 40))
    return (
        x.astype(np.int8),
        rng.random((count, 40)) < 0.9,
        np.arange(count) % 8,
        np.arange(count) // 8 % 2,
    )


@pytest.mark.parametrize("half", [0, 1])
def test_the_papers_scale_gives_the_papers_bits(half):
    """M = 184, S = F + 7 - EXP_FRAC, and any k lower bits more with S + k: what F gives."""
    size = {"LANES": 4, "MAX_LEN": 40, "EXP_FRAC": half}
    x, mask, frac, fmt = rows(half)
    plain = rtl.run(UNIT, size, x, mask, {"frac": frac, "fmt": fmt}, sim=ANY)
    assert len(np.unique(plain.out)) > 12
    for bits in (8, 16, 32):
        up = np.arange(len(x)) % (bits - 7)
        settings = {"mult": 56, "shift": frac + 7 - half + up, "fmt": fmt}
        wide = x.astype(f"int{bits}") << up[:, None].astype(f"int{bits}")
        got = rtl.run(UNIT, {**size, "IN_W": bits, "SCALE": 1}, wide, mask, settings, sim=ANY)
        np.testing.assert_array_equal(got.out, plain.out)
        np.testing.assert_array_equal(got.exponent, plain.exponent)
        # A scale of another step is not it.
        settings["mult"] = 57
        got = rtl.run(UNIT, {**size, "IN_W": bits, "SCALE": 1}, wide, mask, settings, sim=ANY)
        assert (got.out != plain.out).any()


@pytest.mark.parametrize("given", [one for one in UNIT.configurations if "SCALE" in one])
def test_rows_at_edges_reach_every_code_and_every_shift(given):
    """Whatever the seed: each code on each side of S = 16, in both corrections, too."""
    parameters = UNIT.resolve(given)
    found = list(RowMaker(np.random.default_rng(1), UNIT, parameters).edges())
    coverage = UNIT.coverage(parameters)
    UNIT.sample(coverage, parameters, batch(UNIT, parameters, found))
    for name, point in coverage.points.items():
        holes = [bin for bin, count in zip(point.bins, point.counts, strict=True) if not count]
        assert point.group != "log2exp" or not holes, f"{name}: {holes}"
