# SPDX-License-Identifier: Apache-2.0
"""LayerNorm and RMSNorm in float64 and their error figures, against values worked out by hand."""

import math

import numpy as np
import pytest

from softnorm.models.metrics import (
    LayerNormErrors,
    StatisticErrors,
    layer_norm_errors,
    statistic_errors,
)
from softnorm.models.reference import layer_norm, rms_norm, row_statistics

ONES, ZEROS = np.ones(4), np.zeros(4)

# --- reference ------------------------------------------------------------------------------------


def test_layer_norm():
    x = np.array([[1, 3, 1, 3], [10, 10, -10, -10]])
    signs = np.array([[-1, 1, -1, 1], [1, 1, -1, -1]])
    assert layer_norm(x, ONES, ZEROS).tolist() == signs.tolist()
    gamma, beta = np.array([1, 2, 3, 4]), np.array([0.5, 0, 0, -1])
    assert layer_norm(x, gamma, beta).tolist() == (signs * gamma + beta).tolist()
    assert layer_norm(x, ONES, ZEROS, eps=3)[0].tolist() == [-0.5, 0.5, -0.5, 0.5]
    assert layer_norm(np.zeros((2, 3, 4)), ONES, ZEROS).shape == (2, 3, 4)
    assert layer_norm(x[0].astype(np.uint8), ONES, ZEROS).tolist() == signs[0].tolist()


def test_rms_norm():
    x = np.array([[1, 7, -1, -7], [0, 0, 0, 4]])
    assert rms_norm(x, 5 * ONES).tolist() == [[1, 7, -1, -7], [0, 0, 0, 10]]
    np.testing.assert_allclose(rms_norm(x, ONES, eps=11)[0], x[0] / 6)


def test_a_constant_row_is_beta():
    beta = np.array([1.0, 2, 3, 4])
    x = np.full((1, 4), 0.1)
    assert layer_norm(np.full((1, 4), 7), ONES, beta).tolist() == [beta.tolist()]
    np.testing.assert_allclose(layer_norm(x, ONES, beta, eps=1e-5)[0], beta)
    assert rms_norm(np.zeros((1, 4)), ONES).tolist() == [[0] * 4]


def test_masked():
    x = np.array([[1, np.nan, 3, np.inf], [np.nan] * 4])
    mask = np.array([[1, 0, 1, 0], [0, 0, 0, 0]], bool)
    assert layer_norm(x, ONES, ONES, mask).tolist() == [[0, 0, 2, 0], [0] * 4]
    expected = np.array([1, 0, 3, 0]) / math.sqrt(5)
    np.testing.assert_allclose(rms_norm(x, ONES, mask), [expected, ZEROS])
    for run in (layer_norm, rms_norm):
        beta = () if run is rms_norm else (ZEROS,)
        with pytest.raises(ValueError, match=r"^mask must have the shape"):
            run(x, ONES, *beta, mask[0])
        with pytest.raises(TypeError, match=r"^mask must be a bool array"):
            run(x, ONES, *beta, mask.astype(int))
        with pytest.raises(ValueError, match=r"^eps must be at least 0, got -1"):
            run(x, ONES, *beta, eps=-1)


def test_row_statistics():
    x = np.array([[1.0, 3, 1, 3], [3, 99, 5, 99], [9, 9, 9, 9]])
    mask = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]], bool)
    mean, std = row_statistics(x, mask)
    assert (mean.tolist(), std.tolist()) == ([2, 4, 0], [1, 1, 0])
    mean, rms = row_statistics(x, mask, rms=True)
    assert mean.tolist() == [0, 0, 0]
    np.testing.assert_allclose(rms, [math.sqrt(5), math.sqrt(17), 0])


# --- metrics --------------------------------------------------------------------------------------

EXACT = np.array([[0.5, -0.25, 1.0], [2.0, 0.0, 0.0]])


def test_nothing_wrong():
    assert layer_norm_errors(EXACT, EXACT) == LayerNormErrors(0, 0, 0, 2)
    assert statistic_errors(*EXACT.T[[0, 2]], *EXACT.T[[0, 2]]) == StatisticErrors(0, 0, 0, 0, 1)


def test_layer_norm_errors():
    approx = np.array([[0.25, -0.25, 1.5], [2.0, 0.125, np.nan]])
    mask = np.array([[1, 1, 1], [1, 1, 0]], bool)
    errors = layer_norm_errors(approx, EXACT, mask)
    assert errors == LayerNormErrors(0.5, 0.875 / 5, (0.5 + 0.125) / 2, 2)
    assert list(errors.as_dict()) == [
        *("max_abs_error", "mean_abs_error", "row_max_error_mean", "rows"),
    ]


def test_rows_without_an_element_are_left_out():
    mask = np.array([[1, 1, 1], [0, 0, 0]], bool)
    assert layer_norm_errors(EXACT + 1, EXACT, mask) == LayerNormErrors(1, 1, 1, 1)
    nothing = layer_norm_errors(EXACT, EXACT, mask & False)
    assert nothing.rows == 0
    assert all(math.isnan(v) for name, v in nothing.as_dict().items() if name != "rows")


def test_statistic_errors():
    errors = statistic_errors(
        mean=np.array([1.5, 0, 5]),
        std=np.array([2.5, 3, 1]),
        exact_mean=np.array([1.0, 1, 5]),
        exact_std=np.array([2.0, 4, 0]),  # the last row is constant
    )
    # Of the mean 1/4 and -1/4 of a deviation, of the deviation 1/4 and -1/4 of itself.
    assert errors == StatisticErrors(0, 0.25, 0, 0.25, 2)
    assert list(errors.as_dict()) == [
        *("mean_error_mean", "mean_error_std", "std_error_mean", "std_error_std", "rows"),
    ]
    nothing = statistic_errors(*np.zeros((4, 3)))
    assert nothing.rows == 0
    assert math.isnan(nothing.std_error_mean)


def test_refused():
    with pytest.raises(ValueError, match=r"^approx and exact must have one shape \[rows, length\]"):
        layer_norm_errors(EXACT, EXACT[:1])
    with pytest.raises(ValueError, match=r"^approx and exact must have one shape"):
        layer_norm_errors(EXACT[0], EXACT[0])
    with pytest.raises(TypeError, match=r"^mask must be a bool array"):
        layer_norm_errors(EXACT, EXACT, EXACT)
    row = np.ones(3)
    with pytest.raises(ValueError, match=r"^mean and exact_mean must have one shape \[rows\], got"):
        statistic_errors(row, row, row[:2], row)
    with pytest.raises(ValueError, match=r"^std and exact_std must have one shape"):
        statistic_errors(row, row, row, row[:2])
    with pytest.raises(ValueError, match=r"^mean and std must have one shape"):
        statistic_errors(row, row[:2], row, row[:2])
