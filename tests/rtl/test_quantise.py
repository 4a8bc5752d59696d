# SPDX-License-Identifier: Apache-2.0
"""The requantiser in bulk: vectors of somebody else, and rows longer than any that is drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from softnorm.flow import tools
from softnorm.flow.bulk import rtl
from softnorm.flow.sim import conform
from softnorm.models import vectors
from softnorm.units import UNITS

UNIT = UNITS["quantise"]
VECTORS = sorted((Path(__file__).parents[1] / "vectors/section8").glob("quantise_*.npz"))
ANY = "icarus" if tools.icarus() else "verilator"


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_conformance_at_either_end_of_the_shift(path):
    """Shifts of 0 and of 63, both ranges; a file names MAX_LEN, which says nothing to a cell."""
    assert conform.conform_model(path).mismatches == 0
    result = conform.conform_rtl(path, ANY, bulk=True)
    assert result.mismatches == 0, result.report
    assert result.rows == len(vectors.load(path).x)


def test_the_other_vectors_have_every_shift_both_ranges_and_ties():
    for path in sorted((Path(__file__).parents[1] / "vectors").glob("quantise_*.npz")):
        file = vectors.load(path)
        mult, shift, bare = (file.row_settings[n] for n in ("qmult", "qshift", "unsigned"))
        assert {*zip(shift.tolist(), bare.tolist(), strict=True)} == {
            (s, u) for s in range(64) for u in (0, 1)
        }
        product = np.where(file.mask, file.x.astype(object) * mult[:, None], 0)
        rest = product % (1 << shift.astype(object))[:, None]
        assert (rest * 2 == (1 << shift.astype(object))[:, None]).any()


@pytest.mark.parametrize("stem", ["quantise_w16_u0_s1", "quantise_w32_u1_s1"])
def test_a_flipped_bit_of_the_vectors_is_seen(stem, tmp_path):
    """Of int8 and of uint8, where the RTL has bytes."""
    file = vectors.load(next(path for path in VECTORS if path.stem == stem))
    out = file.out.copy()
    out[tuple(np.argwhere(file.mask)[0])] ^= 1
    path = tmp_path / "flipped.npz"
    vectors.save(path, replace(file, out=out))
    assert conform.conform_model(path).mismatches == 1
    assert conform.conform_rtl(path, ANY, bulk=True).mismatches == 1


def test_a_row_has_any_length():
    """Rows of 20,001 elements on 8 lanes, and one of an element behind each."""
    rng = np.random.default_rng(1)
    x = rng.integers(-(1 << 31), 1 << 31, (4, 20_001)).astype(np.int32)
    mask = rng.random(x.shape) < 0.9
    length = np.array([20_001, 1, 20_001, 1])
    settings = {
        "qmult": rng.integers(1, 65536, 4),
        "qshift": 39,
        "zp": -3,
        "unsigned": [0, 1, 1, 0],
    }
    size = UNIT.resolve({"LANES": 8})  # of which other tests have a build
    rows = rtl.rows_of(UNIT, size, x, mask, settings, length=length)
    got = rtl.run(UNIT, size, rows, stalls=("rare", "rare"))
    assert (got.out == UNIT.predict(size, rows).out).all()
    assert not got.err_len.any()
    assert not got.len_pulses
