"""Time of E2Softmax's bit-exact model beside the softmax in float32 that it stands in for.

A model that is no slower than the float it replaces can run wherever the float ran: whole networks,
long random tests. The two are timed in turn in one process, so that a busy machine slows both.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from models.e2softmax import E2Softmax

FRAC = 4
SEED = 1
UNMASKED = 0.8  # share of unmasked elements where there is a mask


@dataclass(frozen=True)
class ModelTime:
    """Medians over all pairs, each a run of the model and one of the float right after it.

    exp_frac, fmt, masked: what the model ran with
    maximum: the float subtracts the row's maximum, as softmax in practice does
    model_s, float_s: seconds for one run on the batch
    ratio: model time over float time, pair by pair; below 1 the model is faster
    """

    exp_frac: int
    fmt: int
    masked: bool
    maximum: bool
    model_s: float
    float_s: float
    ratio: float


def float_softmax(x: np.ndarray, mask: np.ndarray | None, maximum: bool) -> np.ndarray:
    """Return the softmax of x * 2^-FRAC in float32, as one writes it in numpy: [rows, length].

    x: int8 [rows, length]. mask: bool [rows, length] with an unmasked element in each row, or None.
    """
    z = x.astype(np.float32) * np.float32(2.0**-FRAC)
    e = np.exp(z - z.max(axis=1, keepdims=True)) if maximum else np.exp(z)
    if mask is not None:
        e *= mask
    e /= e.sum(axis=1, keepdims=True)
    return e


def model_against_float(pairs: int = 7, rows: int = 4096, length: int = 1024) -> list[ModelTime]:
    """Time the model, LANES = 32, against `float_softmax` on int8 [rows, length] at random.

    One result for each EXP_FRAC, format, mask or none, and float with or without the maximum.
    Float and model get the same mask. Both run on one thread: neither calls a BLAS. Raises
    ValueError for less than one pair and for rows or a length that the model does not take.
    """
    if pairs < 1 or rows < 1:
        raise ValueError(f"pairs and rows must be at least 1, got {pairs} and {rows}")
    rng = np.random.default_rng(SEED)
    x = rng.integers(-128, 128, (rows, length), dtype=np.int8)
    mask = rng.random(x.shape) < UNMASKED
    mask[:, 0] = True
    results = []
    for exp_frac in (0, 1):
        unit = E2Softmax(MAX_LEN=max(length, 32), EXP_FRAC=exp_frac)
        for fmt in (0, 1):
            for m in (None, mask):
                for maximum in (False, True):
                    timed = [
                        (
                            _seconds(partial(unit, x, m, frac=FRAC, fmt=fmt)),
                            _seconds(partial(float_softmax, x, m, maximum)),
                        )
                        for _ in range(pairs + 1)
                    ][1:]  # the first pair warms up
                    results.append(
                        ModelTime(
                            exp_frac=exp_frac,
                            fmt=fmt,
                            masked=m is not None,
                            maximum=maximum,
                            model_s=statistics.median(model for model, _ in timed),
                            float_s=statistics.median(other for _, other in timed),
                            ratio=statistics.median(model / other for model, other in timed),
                        )
                    )
    return results


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
