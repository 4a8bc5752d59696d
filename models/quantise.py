# SPDX-License-Identifier: Apache-2.0
"""Real logits to the softmax units' int8 and back. (LayerNorm's inputs have scales: `ptf`.)"""

import warnings
from typing import Any

import numpy as np

from .arith import FRACS, INT8
from .arrays import cast, ldexp, namespace


def real(x: Any) -> np.ndarray:
    """Return x as float64, an array of x's library."""
    return np.asarray(x, np.float64) if namespace(x) is np else cast(x, "float64")


def round_half_up(x: np.ndarray) -> np.ndarray:
    """Return floor(x + 1/2), the rounding of all quantisers here, as float64 of x's shape."""
    return namespace(x).floor(real(x) + 0.5)


def check_finite(name: str, x: float | np.ndarray) -> np.ndarray:
    """Return x as float64. Raises ValueError if any of it is NaN or infinite."""
    x, xp = real(x), namespace(x)
    finite = xp.isfinite(x)
    if not xp.all(finite):
        raise ValueError(f"{name} must be finite, got {float(x[~finite][0])}: no integer holds it")
    return x


def quantise_logits(x: np.ndarray, frac: int) -> np.ndarray:
    """Return logits as int8 in units of 2^-frac, of x's shape: rounded half up, saturated.

    x: real values of any shape. frac: F, 0..7. A logit that saturates at the top loses what sets it
    apart from others there, so mind `choose_frac` and `centre_logits`. Raises ValueError for a
    logit that is not finite (mask it, and put 0 there) and for another F.
    """
    _check_frac(frac)
    scaled = round_half_up(ldexp(check_finite("x", x), frac))
    return cast(namespace(scaled).clip(scaled, *INT8), "int8")


def dequantise_logits(x: np.ndarray, frac: int) -> np.ndarray:
    """Return the real values x * 2^-frac, float64 of x's shape. Raises ValueError for a wrong F."""
    _check_frac(frac)
    return np.ldexp(np.asarray(x, np.float64), -frac)


def choose_frac(x: np.ndarray) -> int:
    """Return the largest F in 0..7 at which no logit of x, real values of any shape, saturates.

    If there is none it warns (UserWarning) of the share that saturates, and returns 0. Raises
    ValueError for a logit that is not finite.
    """
    x = check_finite("x", x)
    for frac in reversed(FRACS):
        scaled = round_half_up(np.ldexp(x, frac))
        if ((scaled >= INT8[0]) & (scaled <= INT8[1])).all():
            return frac
    lost = saturated(x, 0)
    warnings.warn(
        f"{100 * lost:.3g} % of the logits, {x.min():g} to {x.max():g}, saturate int8 even at "
        "F = 0: subtract what centre_logits gives, no softmax changes by it",
        stacklevel=2,
    )
    return 0


def saturated(x: np.ndarray, frac: int) -> float:
    """Return the share of x, real values of any shape, that `quantise_logits` saturates: 0..1.

    0 of none. Raises what it raises.
    """
    _check_frac(frac)
    scaled = round_half_up(np.ldexp(check_finite("x", x), frac))
    return float(((scaled < INT8[0]) | (scaled > INT8[1])).mean()) if scaled.size else 0.0


def centre_logits(x: np.ndarray, frac: int) -> float:
    """Return the constant that logits like x, real values of any shape, are best less: a float.

    A softmax is the same for all logits of a row less a constant, int8 is not. So a requantiser
    subtracts one, for each head, before it saturates: the middle of x if all of it fits int8 at F =
    frac, else what puts its largest to the top, since what is far below counts for nothing. It is a
    whole number of steps. 0 for no logit. Raises what `quantise_logits` raises.
    """
    _check_frac(frac)
    x = check_finite("x", x)
    if not x.size:
        return 0.0
    low, high = np.ldexp(x.min(), frac), np.ldexp(x.max(), frac)
    least = np.floor(high - INT8[1] - 0.5) + 1  # what the largest is rounded by does not saturate
    return float(np.ldexp(max(np.ceil((low + high) / 2), least), -frac))


def _check_frac(frac: int) -> None:
    if frac not in FRACS:
        raise ValueError(f"frac must be in {FRACS[0]}..{FRACS[-1]}, got {frac}")
