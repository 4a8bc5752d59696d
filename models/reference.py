# SPDX-License-Identifier: Apache-2.0
"""What the units approximate, in float64 and on real values: the caller takes the input's scale in.

For int8 logits with F fraction bits that is `softmax(x * 2.0**-F, mask)`. A LayerNorm's result does
not depend on its input's scale, so input steps will do: `layer_norm((x - zp) * 2.0**alpha, ...)`.
"""

import numpy as np

from . import checks


def softmax(x: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Return e^x / sum of e^x along the last axis: float64 of x's shape [..., length].

    x: real values, finite where unmasked, of any number dtype. mask: bool of x's shape, True is
    unmasked; None masks nothing. Masked elements give 0, an all-masked row zeros. The maximum is
    subtracted first, so nothing overflows. Raises TypeError or ValueError for a wrong mask.
    """
    x = np.asarray(x, np.float64)
    checks.check_mask(mask, x.shape)
    unmasked = True if mask is None else mask
    top = np.max(x, axis=-1, keepdims=True, where=unmasked, initial=-np.inf)
    # Where masked, x may be anything, and top of an all-masked row is -inf: neither gets to exp.
    exp = np.exp(np.subtract(x, top, where=unmasked, out=np.full(x.shape, -np.inf)))
    total = exp.sum(axis=-1, keepdims=True)
    return np.divide(exp, total, where=total > 0, out=np.zeros_like(exp))


def layer_norm(
    x: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    mask: np.ndarray | None = None,
    eps: float = 0.0,
) -> np.ndarray:
    """Return (x - mean) / sqrt(variance + eps) * gamma + beta along the last axis, as float64.

    x: real values [..., channels], finite where unmasked. gamma, beta: [channels] of them. mask:
    bool of x's shape, True is unmasked; None masks nothing. Masked elements count in no statistic
    and give 0. Where variance and eps are both 0, so is the quotient. Raises TypeError or
    ValueError for a wrong mask, ValueError for a negative eps.
    """
    x, mask = _masked(x, mask)
    mean, std = row_statistics(x, mask)
    scaled = _divide(x - mean[..., None], std, eps) * gamma + beta
    return np.where(mask, scaled, 0)


def rms_norm(
    x: np.ndarray, gamma: np.ndarray, mask: np.ndarray | None = None, eps: float = 0.0
) -> np.ndarray:
    """Return x / sqrt(mean square + eps) * gamma along the last axis, as float64.

    Arguments, masked elements and errors are those of `layer_norm`.
    """
    x, mask = _masked(x, mask)
    _, rms = row_statistics(x, mask, rms=True)
    return np.where(mask, _divide(x, rms, eps) * gamma, 0)


def row_statistics(
    x: np.ndarray, mask: np.ndarray | None = None, rms: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return (mean, standard deviation) of the unmasked elements along the last axis: float64.

    With `rms` the mean is taken as 0, so the second is the root mean square. Both are 0 for an
    all-masked row. Arguments and errors are those of `layer_norm`.
    """
    x, mask = _masked(x, mask)
    count = np.maximum(mask.sum(axis=-1), 1)
    mean = np.zeros(x.shape[:-1]) if rms else x.sum(axis=-1) / count
    centred = np.where(mask, x - mean[..., None], 0)
    return mean, np.sqrt(np.square(centred).sum(axis=-1) / count)


def _masked(x: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return x as float64, 0 where masked (it may be anything there), and a mask in any case."""
    x = np.asarray(x, np.float64)
    checks.check_mask(mask, x.shape)
    mask = np.ones(x.shape, bool) if mask is None else mask
    return np.where(mask, x, 0), mask


def _divide(x: np.ndarray, std: np.ndarray, eps: float) -> np.ndarray:
    if not eps >= 0:
        raise ValueError(f"eps must be at least 0, got {eps}")
    divisor = np.broadcast_to(np.sqrt(np.square(std) + eps)[..., None], x.shape)
    return np.divide(x, divisor, where=divisor > 0, out=np.zeros_like(x))
