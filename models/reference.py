"""What the units approximate, in float64 and on real values: the caller takes the input's scale in.

For int8 logits with F fraction bits that is `softmax(x * 2.0**-F, mask)`.
"""

import numpy as np

from models import checks


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
