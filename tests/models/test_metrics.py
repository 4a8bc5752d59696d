# SPDX-License-Identifier: Apache-2.0
"""The float64 reference and the error figures, against values worked out by hand."""

import math

import numpy as np
import pytest

from softnorm.models import metrics, reference
from softnorm.models.metrics import SoftmaxErrors, softmax_errors

# --- reference ------------------------------------------------------------------------------------


def test_softmax():
    x = np.array([[0.0, math.log(3)], [1000.0, 1000.0], [-1e300, 0.0]])
    np.testing.assert_allclose(reference.softmax(x), [[0.25, 0.75], [0.5, 0.5], [0, 1]], rtol=1e-15)
    assert reference.softmax(x[:2].astype(np.float32)).dtype == np.float64
    assert reference.softmax(np.zeros((2, 3, 4))).shape == (2, 3, 4)


def test_softmax_of_integers_and_of_one_row():
    np.testing.assert_allclose(reference.softmax(np.array([5, 5], np.int8)), [0.5, 0.5])


def test_softmax_masked():
    x = np.array([[3.0, 99.0, 3.0], [np.nan, np.inf, 0.0], [1.0, 2.0, 3.0]])
    mask = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 0]], bool)
    assert reference.softmax(x, mask).tolist() == [[0.5, 0, 0.5], [0, 0, 1], [0, 0, 0]]
    with pytest.raises(ValueError, match=r"^mask must have the shape"):
        reference.softmax(x, mask[0])
    with pytest.raises(TypeError, match=r"^mask must be a bool array"):
        reference.softmax(x, mask.astype(int))


# --- metrics --------------------------------------------------------------------------------------

EXACT = np.array([[0.5, 0.25, 0.25, 0.0], [0.125, 0.875, 0.0, 0.0]])
MASK = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], bool)


def test_nothing_wrong():
    assert softmax_errors(EXACT, EXACT, MASK) == SoftmaxErrors(0, 0, 0, 0, 0, 0, 2)


def test_by_hand():
    approx = np.array([[0.5, 0.25, 0.0, 0.0], [0.25, 0.875, 0.0, 0.0]])
    errors = softmax_errors(approx, EXACT, MASK, zero=0.125)
    assert errors.max_abs_error == 0.25
    assert errors.mean_abs_error == (0.25 + 0.125) / 5  # five unmasked elements
    assert errors.row_sum_error_mean == (-0.25 + 0.125) / 2
    assert errors.row_sum_error_std == (0.25 + 0.125) / 2
    # 0 counts as 0.125, then [0.5, 0.25, 0.125] / 0.875 and [0.25, 0.875] / 1.125.
    row_0 = 0.5 * math.log(0.875) + 0.25 * math.log(0.875) + 0.25 * math.log(1.75)
    row_1 = 0.125 * math.log(0.5 * 1.125) + 0.875 * math.log(1.125)
    assert errors.kl_mean == pytest.approx((row_0 + row_1) / 2, rel=1e-14)
    assert errors.argmax_flips == 0
    assert errors.rows == 2


def test_zero_may_differ_from_row_to_row():
    approx = np.where(EXACT == 0.25, 0, EXACT)
    one = [softmax_errors(approx[:1], EXACT[:1], MASK[:1], zero=z).kl_mean for z in (0.1, 0.2)]
    both = softmax_errors(
        np.repeat(approx[:1], 2, axis=0),
        np.repeat(EXACT[:1], 2, axis=0),
        np.repeat(MASK[:1], 2, axis=0),
        zero=np.array([0.1, 0.2]),
    )
    assert one[0] != one[1]
    assert both.kl_mean == pytest.approx(sum(one) / 2)


def test_a_row_that_is_all_zero_counts_as_level():
    errors = softmax_errors(np.zeros((1, 4)), np.full((1, 4), 0.25))
    assert errors.kl_mean == pytest.approx(0, abs=1e-15)
    assert errors.row_sum_error_mean == -1
    assert errors.argmax_flips == 0


def test_masked_elements_count_nowhere():
    approx = np.where(MASK, EXACT, 7.0)
    assert softmax_errors(approx, EXACT, MASK) == SoftmaxErrors(0, 0, 0, 0, 0, 0, 2)


def test_all_masked_rows_are_left_out():
    approx = np.array([[0.5, 0.5], [0.0, 0.0]])
    exact = np.array([[0.25, 0.75], [0.0, 0.0]])
    mask = np.array([[1, 1], [0, 0]], bool)
    got = softmax_errors(approx, exact, mask, zero=np.array([0.1, 0.2]))
    assert got == softmax_errors(approx[:1], exact[:1])
    assert got.rows == 1
    nothing = softmax_errors(approx, exact, np.zeros((2, 2), bool))
    assert nothing.rows == 0
    assert all(math.isnan(v) for name, v in nothing.as_dict().items() if name != "rows")


@pytest.mark.parametrize(
    ("approx", "exact", "flips"),
    [
        ([0.6, 0.4, 0.0], [0.5, 0.3, 0.2], 0),
        ([0.4, 0.6, 0.0], [0.5, 0.3, 0.2], 1),
        ([0.5, 0.5, 0.0], [0.5, 0.3, 0.2], 0),  # a tie that holds it
        ([0.1, 0.45, 0.45], [0.5, 0.3, 0.2], 1),  # a tie that does not
        ([0.2, 0.5, 0.3], [0.4, 0.4, 0.2], 0),  # one of two exact maxima
        ([0.0, 0.0, 0.0], [0.5, 0.3, 0.2], 0),
    ],
)
def test_argmax_flips(approx, exact, flips):
    assert softmax_errors(np.array([approx]), np.array([exact])).argmax_flips == flips


def test_a_masked_maximum_is_no_maximum():
    mask = np.array([[False, True, True]])
    errors = softmax_errors(np.array([[9, 0.6, 0.4]]), np.array([[9, 0.4, 0.6]]), mask)
    assert errors.argmax_flips == 1


def test_flips_are_a_share_of_rows():
    exact = np.array([[0.6, 0.4]] * 4)
    approx = np.array([[0.6, 0.4]] * 3 + [[0.4, 0.6]])
    assert softmax_errors(approx, exact).argmax_flips == 0.25


def test_names():
    names = list(softmax_errors(EXACT, EXACT).as_dict())
    assert names == [
        *("max_abs_error", "mean_abs_error", "row_sum_error_mean", "row_sum_error_std"),
        *("kl_mean", "argmax_flips", "rows"),
    ]


def test_refused():
    with pytest.raises(ValueError, match=r"^approx and exact must have one shape"):
        softmax_errors(EXACT, EXACT[:1])
    with pytest.raises(ValueError, match=r"^approx and exact must have one shape"):
        softmax_errors(EXACT[0], EXACT[0])
    with pytest.raises(ValueError, match=r"^mask must have the shape"):
        softmax_errors(EXACT, EXACT, MASK[:1])
    with pytest.raises(TypeError, match=r"^mask must be a bool array"):
        softmax_errors(EXACT, EXACT, EXACT)
    with pytest.raises(ValueError, match=r"^zero must be above 0, got 0.0"):
        softmax_errors(EXACT, EXACT, zero=0)
    with pytest.raises(ValueError, match=r"^zero must be one number or one a row, got shape .3"):
        softmax_errors(EXACT, EXACT, zero=np.ones(3))
    assert metrics.HALF_LSB == 1 / 512
