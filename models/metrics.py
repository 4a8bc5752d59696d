# SPDX-License-Identifier: Apache-2.0
"""How far a unit's output is from the exact one. Several figures, since each is blind to something.

A softmax with two constants swapped keeps a cosine of 0.99997; the row sum and the divergence show
it. These figures are reported. A unit's RTL passes by equalling its model, not by being close.
"""

from dataclasses import asdict, dataclass

import numpy as np

from . import checks

HALF_LSB = 2.0**-9  # half a step of 8-bit probabilities


@dataclass(frozen=True)
class SoftmaxErrors:
    """Figures over all rows with an unmasked element; without one, `rows` is 0 and they are NaN.

    max_abs_error, mean_abs_error: of the unmasked elements
    row_sum_error_mean, row_sum_error_std: of sum(approx) - sum(exact), mean and standard deviation
    row_sum_min, row_sum_max: the smallest and the largest sum(approx) of a row
    kl_mean: Kullback-Leibler divergence KL(exact || approx) of a row in nats, the mean
    argmax_flips: share of rows whose exact maximum is not among the largest approximate values
    argmax_index_flips: share of rows whose first largest approximate value is not at the place of
        the first exact one, as an argmax over the outputs would find: a tie is pardoned only there
    inverted_rows: share of rows in which an element has more than another that is exactly larger
    inversion_max: by how much at most
    rows: rows counted
    """

    max_abs_error: float
    mean_abs_error: float
    row_sum_error_mean: float
    row_sum_error_std: float
    row_sum_min: float
    row_sum_max: float
    kl_mean: float
    argmax_flips: float
    argmax_index_flips: float
    inverted_rows: float
    inversion_max: float
    rows: int

    def as_dict(self) -> dict[str, float]:
        """Return the figures by name, in the order above."""
        return asdict(self)


def softmax_errors(
    approx: np.ndarray,
    exact: np.ndarray,
    mask: np.ndarray | None = None,
    zero: float | np.ndarray = HALF_LSB,
) -> SoftmaxErrors:
    """Return the distance of approximate probabilities from exact ones.

    approx, exact: real values [rows, length], 0 where masked. mask: bool [rows, length], True is
    unmasked; None masks nothing. Where an element ties for the exact maximum, any of the tied ones
    will do for `argmax_flips`, and so will a tie in approx that holds one of them.

    The divergence is infinite where approx is 0 and exact is not, and defined between
    distributions only. So an unmasked approx of 0 counts as `zero` there, one number or one a row
    [rows], and then each row is divided by its sum; what the sum itself lost is the row sum's
    error. `zero` is half an output step: all that is known of a value that was rounded to 0.

    Raises TypeError for a mask that is not bool, ValueError for shapes that differ or `zero` <= 0.
    """
    approx, exact = _same_shape("approx", approx, "exact", exact, ("rows", "length"))
    checks.check_mask(mask, exact.shape)
    zero = np.asarray(zero, np.float64)
    if zero.shape not in ((), (len(exact),)):
        raise ValueError(f"zero must be one number or one a row, got shape {zero.shape}")
    zero = np.broadcast_to(zero, len(exact))
    if not (zero > 0).all():
        raise ValueError(f"zero must be above 0, got {zero.min()}: pass half an output step")
    if mask is None:
        mask = np.ones(exact.shape, bool)
    counted = mask.any(axis=1)
    approx, exact, mask, zero = approx[counted], exact[counted], mask[counted], zero[counted]
    rows = len(exact)
    if not rows:
        return SoftmaxErrors(*[float("nan")] * 11, rows=0)

    error = np.abs(approx - exact)[mask]
    sums = np.sum(approx, axis=1, where=mask)
    sum_error = sums - np.sum(exact, axis=1, where=mask)
    likely = np.where(mask, np.where(approx == 0, zero[:, None], approx), 0)
    likely /= likely.sum(axis=1, keepdims=True)
    ratio = np.divide(exact, likely, where=mask & (exact > 0), out=np.ones_like(exact))
    divergence = (exact * np.log(ratio)).sum(axis=1)
    exact_top = mask & (exact == np.max(exact, axis=1, keepdims=True, where=mask, initial=-np.inf))
    best = np.max(approx, axis=1, where=mask, initial=-np.inf)
    kept = np.max(approx, axis=1, where=exact_top, initial=-np.inf) == best
    first = (mask & (approx == best[:, None])).argmax(axis=1)
    inversion = _inversions(approx, exact, mask)
    return SoftmaxErrors(
        max_abs_error=float(error.max()),
        mean_abs_error=float(error.mean()),
        row_sum_error_mean=float(sum_error.mean()),
        row_sum_error_std=float(sum_error.std()),
        row_sum_min=float(sums.min()),
        row_sum_max=float(sums.max()),
        kl_mean=float(divergence.mean()),
        argmax_flips=float(1 - kept.mean()),
        argmax_index_flips=float((first != exact_top.argmax(axis=1)).mean()),
        inverted_rows=float((inversion > 0).mean()),
        inversion_max=float(inversion.max()),
        rows=rows,
    )


def _inversions(approx: np.ndarray, exact: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """By how much at most, in each row, an element exceeds one that is exactly larger: [rows].

    0 where none does. All of [rows, length].
    """
    exact, approx = np.where(mask, exact, -np.inf), np.where(mask, approx, -np.inf)
    order = np.argsort(exact, axis=1)
    exact, approx = (np.take_along_axis(x, order, axis=1) for x in (exact, approx))
    # Each element against the largest approx of what is below it; equal ones are not below.
    most = np.maximum.accumulate(approx, axis=1)
    start = np.zeros(exact.shape, np.int64)
    start[:, 1:] = np.where(exact[:, 1:] != exact[:, :-1], np.arange(1, exact.shape[1]), 0)
    start = np.maximum.accumulate(start, axis=1)
    below = np.take_along_axis(most, np.maximum(start - 1, 0), axis=1)
    above = (start > 0) & (below > approx)
    return np.subtract(below, approx, where=above, out=np.zeros_like(approx)).max(axis=1, initial=0)


@dataclass(frozen=True)
class LayerNormErrors:
    """Figures of the unmasked elements; without one, `rows` is 0 and they are NaN.

    max_abs_error, mean_abs_error: over all elements
    row_max_error_mean: a row's largest absolute error, the mean over the rows
    rows: rows counted, those with an unmasked element
    """

    max_abs_error: float
    mean_abs_error: float
    row_max_error_mean: float
    rows: int

    def as_dict(self) -> dict[str, float]:
        """Return the figures by name, in the order above."""
        return asdict(self)


def layer_norm_errors(
    approx: np.ndarray, exact: np.ndarray, mask: np.ndarray | None = None
) -> LayerNormErrors:
    """Return the distance of an approximate LayerNorm's or RMSNorm's outputs from exact ones.

    approx, exact: real values [rows, length]. mask: bool [rows, length], True is unmasked; None
    masks nothing. Raises TypeError for a mask that is not bool, ValueError for shapes that differ.
    """
    approx, exact = _same_shape("approx", approx, "exact", exact, ("rows", "length"))
    checks.check_mask(mask, exact.shape)
    mask = np.ones(exact.shape, bool) if mask is None else mask
    error = np.abs(np.subtract(approx, exact, where=mask, out=np.zeros(exact.shape)))
    rows = mask.any(axis=1)
    if not rows.any():
        return LayerNormErrors(*[float("nan")] * 3, rows=0)
    return LayerNormErrors(
        max_abs_error=float(error.max()),
        mean_abs_error=float(error[mask].mean()),
        row_max_error_mean=float(error[rows].max(axis=1).mean()),
        rows=int(rows.sum()),
    )


@dataclass(frozen=True)
class StatisticErrors:
    """Figures over all rows that vary; without one, `rows` is 0 and they are NaN.

    mean_error_mean, mean_error_std: of a row's mean, as a share of the exact standard deviation,
        the mean and the standard deviation over the rows
    std_error_mean, std_error_std: of a row's standard deviation, relative to the exact one
    rows: rows counted
    """

    mean_error_mean: float
    mean_error_std: float
    std_error_mean: float
    std_error_std: float
    rows: int

    def as_dict(self) -> dict[str, float]:
        """Return the figures by name, in the order above."""
        return asdict(self)


def statistic_errors(
    mean: np.ndarray, std: np.ndarray, exact_mean: np.ndarray, exact_std: np.ndarray
) -> StatisticErrors:
    """Return the errors of a LayerNorm's statistics, all real values [rows] in the same unit.

    For RMSNorm both means are 0, and the deviation is the root mean square. A row whose exact
    deviation is 0 is left out: constant, or all-masked. Raises ValueError for shapes that differ.
    """
    mean, exact_mean = _same_shape("mean", mean, "exact_mean", exact_mean, ("rows",))
    std, exact_std = _same_shape("std", std, "exact_std", exact_std, ("rows",))
    _same_shape("mean", mean, "std", std, ("rows",))
    varied = exact_std > 0
    if not varied.any():
        return StatisticErrors(*[float("nan")] * 4, rows=0)
    mean_error = (mean - exact_mean)[varied] / exact_std[varied]
    std_error = std[varied] / exact_std[varied] - 1
    return StatisticErrors(
        mean_error_mean=float(mean_error.mean()),
        mean_error_std=float(mean_error.std()),
        std_error_mean=float(std_error.mean()),
        std_error_std=float(std_error.std()),
        rows=int(varied.sum()),
    )


def _same_shape(
    name: str, array: np.ndarray, other_name: str, other: np.ndarray, shape: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return both as float64. Raises ValueError if they differ in shape, or have other axes."""
    array, other = np.asarray(array, np.float64), np.asarray(other, np.float64)
    if array.shape != other.shape or array.ndim != len(shape):
        raise ValueError(
            f"{name} and {other_name} must have one shape [{', '.join(shape)}], got {array.shape} "
            f"and {other.shape}"
        )
    return array, other
