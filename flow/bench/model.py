# SPDX-License-Identifier: Apache-2.0
"""Time of the units' bit-exact models against the float32 functions that they replace.

A model as fast as the float function can replace it anywhere: in whole networks, in long random
tests. Both are timed alternately in one process, so that a busy machine slows both.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from softnorm.models.ailayernorm import AILayerNorm, reciprocal
from softnorm.models.channels import Channels
from softnorm.models.e2softmax import E2Softmax
from softnorm.models.lut2d import Lut2d
from softnorm.models.rexp import Rexp

FRAC = 4
SEED = 1
UNMASKED = 0.8  # share of unmasked elements where there is a mask


@dataclass(frozen=True)
class ModelTime:
    """Medians over all pairs, each a run of the model and one of the float right after it.

    model, against: what ran
    masked: whether both had a mask
    model_s, float_s: seconds for one run on the batch
    ratio: model time over float time, pair by pair; below 1 the model is faster
    """

    model: str
    against: str
    masked: bool
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


def float_layer_norm(
    x: np.ndarray, scale: np.ndarray, gamma: np.ndarray, beta: np.ndarray
) -> np.ndarray:
    """Return the LayerNorm of (x - 128) * scale in float32, as one writes it in numpy.

    x: uint8 [rows, length]. scale, gamma, beta: float32 [length].
    """
    z = (x.astype(np.float32) - np.float32(128)) * scale
    z -= z.mean(axis=1, keepdims=True)
    z /= np.sqrt(np.square(z).mean(axis=1, keepdims=True) + np.float32(1e-5))
    return z * gamma + beta


def model_against_float(pairs: int = 7, rows: int = 4096, length: int = 1024) -> list[ModelTime]:
    """Time the models, LANES = 32, against float32 numpy on [rows, length] bytes at random.

    E2Softmax with each EXP_FRAC and format, REXP and 2D-LUT at W = 8, with a mask and without,
    against `float_softmax` with and without the maximum; AILayerNorm against `float_layer_norm`.
    Float and model get the same mask. All run on one thread: none calls a BLAS. Raises ValueError
    for less than one pair and for rows or a length that a model does not take.
    """
    if pairs < 1 or rows < 1:
        raise ValueError(f"pairs and rows must be at least 1, got {pairs} and {rows}")
    rng = np.random.default_rng(SEED)
    x = rng.integers(-128, 128, (rows, length), dtype=np.int8)
    mask = rng.random(x.shape) < UNMASKED
    mask[:, 0] = True
    size = {"MAX_LEN": max(length, 32)}
    softmax = {
        f"E2Softmax EXP_FRAC={exp_frac} fmt={fmt}": partial(
            E2Softmax(**size, EXP_FRAC=exp_frac), frac=FRAC, fmt=fmt
        )
        for exp_frac in (0, 1)
        for fmt in (0, 1)
    }
    softmax |= {"REXP": partial(Rexp(**size), frac=FRAC)}
    softmax |= {"2D-LUT": partial(Lut2d(**size), frac=FRAC)}
    results = []
    for name, unit in softmax.items():
        for m in (None, mask):
            for maximum in (False, True):
                times = _pairs(partial(unit, x, m), partial(float_softmax, x, m, maximum), pairs)
                against = "exp/sum/divide" + ", less the maximum" * maximum
                results.append(ModelTime(name, against, m is not None, *times))
    channels = Channels(
        rng.integers(0, 4, length).astype(np.uint8),
        *rng.integers(-128, 128, (2, length)).astype(np.int8),
    )
    mant, exp = reciprocal(length)
    norm = partial(
        AILayerNorm(**size), zp=128, len=length, inv_mant=mant, inv_exp=exp, gfrac=6, ofrac=4
    )
    scale = np.ldexp(np.float32(1), channels.alpha)
    real = [array.astype(np.float32) for array in (channels.gamma, channels.beta)]
    bytes_ = x.view(np.uint8)
    times = _pairs(
        partial(norm, bytes_, channels), partial(float_layer_norm, bytes_, scale, *real), pairs
    )
    return [*results, ModelTime("AILayerNorm", "layer norm", False, *times)]


def _pairs(
    model: Callable[[], object], other: Callable[[], object], pairs: int
) -> tuple[float, float, float]:
    """Medians over pairs of (model seconds, other seconds, their ratio)."""
    # The first pair warms up.
    timed = [(_seconds(model), _seconds(other)) for _ in range(pairs + 1)][1:]
    ratios = [(a, b, a / b) for a, b in timed]
    return tuple(map(statistics.median, zip(*ratios, strict=True)))


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
