# SPDX-License-Identifier: Apache-2.0
"""Real logits to int8 and back."""

import numpy as np
import pytest

from softnorm.models.quantise import choose_frac, dequantise_logits, quantise_logits


def test_rounds_half_up_and_saturates():
    x = np.array([[0.0, 0.125, -0.125, -0.126], [31.8, 31.9, -32, -33]])
    q = quantise_logits(x, 2)
    assert q.tolist() == [[0, 1, 0, -1], [127, 127, -128, -128]]
    assert q.dtype == np.int8
    assert dequantise_logits(q, 2)[0].tolist() == [0, 0.25, 0, -0.25]


@pytest.mark.parametrize("frac", range(8))
def test_there_and_back(frac):
    q = np.arange(-128, 128).astype(np.int8)
    assert (quantise_logits(dequantise_logits(q, frac), frac) == q).all()


@pytest.mark.parametrize(
    ("x", "frac"),
    [(0.1, 7), (127 / 128, 7), (0.9999, 6), (-1.0, 7), (-128.4, 0), (127.49, 0), (1000, 0)],
)
def test_choose_frac(x, frac):
    assert choose_frac(np.array([0.0, x])) == frac


def test_refused():
    for run in (lambda x: quantise_logits(x, 4), choose_frac):
        with pytest.raises(ValueError, match=r"^x must be finite, got nan: no integer holds it"):
            run(np.array([1, np.nan]))
    for run in (quantise_logits, dequantise_logits):
        with pytest.raises(ValueError, match=r"^frac must be in 0..7, got 8"):
            run(np.zeros(2), 8)
