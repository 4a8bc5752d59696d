# SPDX-License-Identifier: Apache-2.0
"""The float64 reference and the error figures, against values worked out by hand."""

import math

import numpy as np
import pytest

from softnorm.models import metrics, reference
from softnorm.models.e2softmax import E2Softmax
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
# No error; the smallest and the largest sum are 1.
RIGHT = SoftmaxErrors(0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 2)


def test_nothing_wrong():
    assert softmax_errors(EXACT, EXACT, MASK) == RIGHT


def test_by_hand():
    approx = np.array([[0.5, 0.25, 0.0, 0.0], [0.25, 0.875, 0.0, 0.0]])
    errors = softmax_errors(approx, EXACT, MASK, zero=0.125)
    assert errors.max_abs_error == 0.25
    assert errors.mean_abs_error == (0.25 + 0.125) / 5  # five unmasked elements
    assert errors.row_sum_error_mean == (-0.25 + 0.125) / 2
    assert errors.row_sum_error_std == (0.25 + 0.125) / 2
    assert (errors.row_sum_min, errors.row_sum_max) == (0.75, 1.125)
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
    assert softmax_errors(approx, EXACT, MASK) == RIGHT


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
    ("approx", "exact", "flips", "by_index"),
    [
        ([0.6, 0.4, 0.0], [0.5, 0.3, 0.2], 0, 0),
        ([0.4, 0.6, 0.0], [0.5, 0.3, 0.2], 1, 1),
        ([0.5, 0.5, 0.0], [0.5, 0.3, 0.2], 0, 0),  # a tie that holds it, and begins with it
        ([0.5, 0.5, 0.0], [0.3, 0.5, 0.2], 0, 1),  # a tie that holds it, behind another
        ([0.1, 0.45, 0.45], [0.5, 0.3, 0.2], 1, 1),  # a tie that does not
        ([0.2, 0.5, 0.3], [0.4, 0.4, 0.2], 0, 1),  # one of two exact maxima
        ([0.0, 0.0, 0.0], [0.5, 0.3, 0.2], 0, 0),
        ([0.0, 0.0, 0.0], [0.2, 0.3, 0.5], 0, 1),
    ],
)
def test_argmax_flips(approx, exact, flips, by_index):
    errors = softmax_errors(np.array([approx]), np.array([exact]))
    assert errors.argmax_flips == flips
    assert errors.argmax_index_flips == by_index


@pytest.mark.parametrize(
    ("approx", "exact", "most"),
    [
        ([0.5, 0.3, 0.2], [0.5, 0.3, 0.2], 0),
        ([0.4, 0.4, 0.2], [0.5, 0.3, 0.2], 0),  # a tie is none
        ([0.25, 0.5, 0.25], [0.5, 0.3, 0.2], 0.25),
        ([0.125, 0.5, 0.25], [0.5, 0.3, 0.2], 0.375),  # the largest of three
        ([0.5, 0.125, 0.25], [0.4, 0.3, 0.3], 0),  # two of exactly the same
        ([0.5, 0.0, 0.25], [0.5, 0.0, 0.5], 0),
    ],
)
def test_inversions(approx, exact, most):
    errors = softmax_errors(np.array([approx, exact]), np.array([exact, exact]))
    assert errors.inversion_max == most
    assert errors.inverted_rows == (most > 0) / 2


def test_inversions_of_random_rows_are_those_of_all_pairs():
    rng = np.random.default_rng(1)
    exact, approx = rng.integers(0, 6, (2, 50, 9)) / 8
    mask = rng.random(exact.shape) < 0.7
    want = [
        max(0, *(a[j] - a[i] for i in range(9) for j in range(9) if m[i] & m[j] & (e[j] < e[i])), 0)
        for a, e, m in zip(approx, exact, mask, strict=True)
    ]
    errors = softmax_errors(approx, exact, mask)
    assert errors.inversion_max == max(want)
    assert errors.inverted_rows == np.count_nonzero(want) / 50


def test_a_masked_maximum_is_no_maximum():
    mask = np.array([[False, True, True]])
    errors = softmax_errors(np.array([[9, 0.6, 0.4]]), np.array([[9, 0.4, 0.6]]), mask)
    assert errors.argmax_flips == errors.argmax_index_flips == errors.inverted_rows == 1
    assert errors.inversion_max == pytest.approx(0.2)


def test_e2softmax_is_not_monotone():
    """Beats of two lanes have maxima of their own: -1 comes out above 0, and as 6 does."""
    x = np.array([[6, 0, 12, -1]], np.int8)
    result = E2Softmax(LANES=2)(x, frac=4, fmt=1)
    assert result.out.tolist() == [[105, 52, 209, 105]]
    errors = softmax_errors(result.to_real(), reference.softmax(x / 16))
    assert (errors.inverted_rows, errors.inversion_max) == (1, (105 - 52) / 2**9)


def test_flips_are_a_share_of_rows():
    exact = np.array([[0.6, 0.4]] * 4)
    approx = np.array([[0.6, 0.4]] * 3 + [[0.4, 0.6]])
    assert softmax_errors(approx, exact).argmax_flips == 0.25


def test_names():
    names = list(softmax_errors(EXACT, EXACT).as_dict())
    assert names == [
        *("max_abs_error", "mean_abs_error", "row_sum_error_mean", "row_sum_error_std"),
        *("row_sum_min", "row_sum_max", "kl_mean", "argmax_flips", "argmax_index_flips"),
        *("inverted_rows", "inversion_max", "rows"),
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
