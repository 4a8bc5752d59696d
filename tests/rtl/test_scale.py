# SPDX-License-Identifier: Apache-2.0
"""E2Softmax with logits of any width and scale: the identity, and rows at edges.

Vectors of somebody else are in test_blocks.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from softnorm.flow import tools
from softnorm.flow.bulk import rtl
from softnorm.tb.stimulus.values import RowMaker, batch
from softnorm.units import UNITS

UNIT = UNITS["e2softmax"]
ANY = "icarus" if tools.icarus() else "verilator"


def rows(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """int8 logits and masks [rows, 22], F and the format [rows]: each F, narrow rows and wide."""
    rng = np.random.default_rng(seed)
    count = 26
    sigma = 2 ** rng.uniform(0, 6, (count, 1))
    x = np.clip(
        np.rint(rng.normal(rng.integers(-128, 128, (count, 1)), sigma, (count, 22))), -128, 127
    )
    x[::3] = rng.choice([-128, -127, 126, 127], x[::3].shape)
    return (
        x.astype(np.int8),
        rng.random((count, 22)) < 0.9,
        np.arange(count) % 8,
        np.arange(count) // 8 % 2,
    )


@pytest.mark.parametrize("half", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_the_papers_scale_gives_the_papers_bits(half):
    """M = 184, S = F + 7 - EXP_FRAC, and any k lower bits more with S + k: what F gives."""
    size = {"LANES": 4, "MAX_LEN": 22, "EXP_FRAC": half}
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
    # Another scale is not it.
    settings["mult"] = 64
    got = rtl.run(UNIT, {**size, "IN_W": 32, "SCALE": 1}, wide, mask, settings, sim=ANY)
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
