# SPDX-License-Identifier: Apache-2.0
"""Real logits to int8 and back."""

import numpy as np
import pytest

from softnorm.models.quantise import (
    centre_logits,
    choose_frac,
    dequantise_logits,
    quantise_logits,
    saturated,
)


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
    [(0.1, 7), (127 / 128, 7), (0.9999, 6), (-1.0, 7), (-128.4, 0), (127.49, 0)],
)
def test_choose_frac(x, frac):
    assert choose_frac(np.array([0.0, x])) == frac


def test_a_bias_that_no_frac_holds_is_said():
    x = np.array([-3.0, 0.0, 2.0, 4.0]) + 125
    with pytest.warns(UserWarning, match=r"^25 % of the logits, 122 to 129, saturate int8 even"):
        assert choose_frac(x) == 0
    assert [saturated(x, frac) for frac in (0, 1)] == [0.25, 1]
    centre = centre_logits(x, 4)
    assert centre == 125.5
    assert saturated(x - centre, 4) == 0
    assert choose_frac(x - centre) == 5
    assert saturated(np.empty(0), 3) == centre_logits(np.empty(0), 3) == 0


@pytest.mark.parametrize("frac", range(8))
@pytest.mark.parametrize("span", [0, 1, 1.9, 31.9, 254.9, 255, 256, 1000])
@pytest.mark.parametrize("bias", [-900.3, -150, 0, 0.26, 150])
def test_what_fits_less_its_centre_does_not_saturate(frac, span, bias):
    x = bias + np.linspace(0, span, 40)
    less = x - centre_logits(x, frac)
    if span * 2**frac <= 255:
        assert saturated(less, frac) == 0
    else:  # the top is at int8's
        assert quantise_logits(less, frac)[-1] == 127
        assert np.ldexp(less[-1], frac) < 127.5
    assert np.ldexp(centre_logits(x, frac), frac) % 1 == 0


def test_refused():
    four = (quantise_logits, saturated, centre_logits)
    for run in (*(lambda x, run=run: run(x, 4) for run in four), choose_frac):
        with pytest.raises(ValueError, match=r"^x must be finite, got nan: no integer holds it"):
            run(np.array([1, np.nan]))
    for run in (*four, dequantise_logits):
        with pytest.raises(ValueError, match=r"^frac must be in 0..7, got 8"):
            run(np.zeros(2), 8)
