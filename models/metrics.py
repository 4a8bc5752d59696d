"""How far a unit's output is from the exact one. Several figures, since each is blind to something.

A softmax with two constants swapped keeps a cosine of 0.99997; the row sum and the divergence show
it. These figures are reported. A unit's RTL passes by equalling its model, not by being close.
"""

from dataclasses import asdict, dataclass

import numpy as np

from models import checks

HALF_LSB = 2.0**-9  # half a step of 8-bit probabilities


@dataclass(frozen=True)
class SoftmaxErrors:
    """Figures over all rows with an unmasked element; without one, `rows` is 0 and they are NaN.

    max_abs_error, mean_abs_error: of the unmasked elements
    row_sum_error_mean, row_sum_error_std: of sum(approx) - sum(exact), mean and standard deviation
    kl_mean: Kullback-Leibler divergence KL(exact || approx) of a row in nats, the mean
    argmax_flips: share of rows whose exact maximum is not among the largest approximate values
    rows: rows counted
    """

    max_abs_error: float
    mean_abs_error: float
    row_sum_error_mean: float
    row_sum_error_std: float
    kl_mean: float
    argmax_flips: float
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
    will do, and so will a tie in approx that holds one of them.

    The divergence is infinite where approx is 0 and exact is not, and defined between
    distributions only. So an unmasked approx of 0 counts as `zero` there, one number or one a row
    [rows], and then each row is divided by its sum; what the sum itself lost is the row sum's
    error. `zero` is half an output step: all that is known of a value that was rounded to 0.

    Raises TypeError for a mask that is not bool, ValueError for shapes that differ or `zero` <= 0.
    """
    approx, exact = np.asarray(approx, np.float64), np.asarray(exact, np.float64)
    if approx.ndim != 2 or approx.shape != exact.shape:
        raise ValueError(
            f"approx and exact must have one shape [rows, length], got {approx.shape} "
            f"and {exact.shape}"
        )
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
        return SoftmaxErrors(*[float("nan")] * 6, rows=0)

    error = np.abs(approx - exact)[mask]
    sum_error = np.sum(approx, axis=1, where=mask) - np.sum(exact, axis=1, where=mask)
    likely = np.where(mask, np.where(approx == 0, zero[:, None], approx), 0)
    likely /= likely.sum(axis=1, keepdims=True)
    ratio = np.divide(exact, likely, where=mask & (exact > 0), out=np.ones_like(exact))
    divergence = (exact * np.log(ratio)).sum(axis=1)
    exact_top = mask & (exact == np.max(exact, axis=1, keepdims=True, where=mask, initial=-np.inf))
    best = np.max(approx, axis=1, where=mask, initial=-np.inf)
    kept = np.max(approx, axis=1, where=exact_top, initial=-np.inf) == best
    return SoftmaxErrors(
        max_abs_error=float(error.max()),
        mean_abs_error=float(error.mean()),
        row_sum_error_mean=float(sum_error.mean()),
        row_sum_error_std=float(sum_error.std()),
        kl_mean=float(divergence.mean()),
        argmax_flips=float(1 - kept.mean()),
        rows=rows,
    )
