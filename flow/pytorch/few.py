# SPDX-License-Identifier: Apache-2.0
"""Units on few rows in the processor's memory, float to float, with the bits of the models.

With few elements it is calls that take time, and numpy's take a third of torch's. So these
functions take a tensor's memory as an array, and look up what depends on int8 values alone.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from softnorm.models.ailayernorm import VAR_LIMIT, AILayerNorm, reciprocal, rsqrt_table
from softnorm.models.arith import INT8, rnd
from softnorm.models.e2softmax import ROOT_HALF, E2Softmax, decay, div_table, log2exp, weight

from ..calibration.fit import MASKED
from ..networks.stand_in import FittedNorm

ELEMENTS = 1 << 14  # with more, `fast` takes less time
ROWS = 16  # of a norm: their statistics are made one by one
LARGEST = 1e30  # of magnitudes, so that nothing overflows

_LOWEST = 256  # -2 * (-128)
_ABSENT = 768  # -2q of what is no element
_ENTRIES = 1024  # of the table of codes, for each F
_NO_CODE = 160  # of what is no element: more than any code with what is added to one
_SHIFTS = 256


def array(x: torch.Tensor) -> np.ndarray | None:
    """Return a tensor's memory as an array of its shape; None: not for these functions."""
    if type(x) is not torch.Tensor or not 0 < x.numel() <= ELEMENTS or x.device.type != "cpu":
        return None
    if x.requires_grad or x.dtype not in (torch.float32, torch.float64):
        return None
    return None if torch.compiler.is_compiling() else x.numpy()


def _is_near(x: np.ndarray, within: float) -> bool:
    """Whether all of it is finite, none very large, and all of it in such a range."""
    low, high = np.minimum.reduce(x, None), np.maximum.reduce(x, None)
    return bool(low > -LARGEST and high < LARGEST and low > high - within)


class Softmax:
    """E2Softmax as `fast.takes` it."""

    def __init__(self, unit: E2Softmax, fmt: int):
        self._unit, self._fmt = unit, fmt
        self._codes, self._weights = _codes(unit.EXP_FRAC)
        self._out = _outputs(unit.DIV_BITS, unit.EXP_FRAC)
        self._kept: dict[tuple, tuple] = {}

    def __call__(self, x: np.ndarray, frac: np.ndarray, offset: np.ndarray) -> np.ndarray | None:
        """Return probabilities of logits [..., heads, queries, keys], of their shape and dtype.

        All count. frac, offset: int and float64 [heads]; of one, logits may be [..., keys]. None: a
        logit is not finite, is large, or so far below another that it may be masked.
        """
        if not _is_near(x, MASKED):
            return None
        unit, keys = self._unit, x.shape[-1]
        rows, beats = x.size // keys, -(-keys // unit.LANES)
        scale, less, first = self._by_row(x, rows, frac, offset)
        # -2q of the logits q, rounded half up: an even number.
        wide = np.empty((rows, beats * unit.LANES), x.dtype)
        wide[:, keys:] = _ABSENT
        y = wide[:, :keys]
        np.multiply(x.reshape(rows, keys), scale, out=y)
        np.subtract(y, less, out=y)
        np.ceil(y, out=y)
        np.maximum(y, -254, out=y)
        np.minimum(y, _LOWEST, out=y)
        q = wide.astype(np.intp)
        q &= -2
        q = q.reshape(rows, beats, unit.LANES)
        tops = np.minimum.reduce(q, axis=2)
        np.minimum.accumulate(tops, axis=1, out=tops)
        first = first - tops
        q += first[:, :, None]
        codes = self._codes.take(q)
        sums = np.add.reduce(self._weights.take(codes), axis=2)
        total = sums[:, 0]
        if beats > 1:
            rises = self._codes.take(first[:, 1:] + tops[:, :-1])
            for beat in range(1, beats):
                total = decay(total, rises[:, beat - 1], unit.EXP_FRAC) + sums[:, beat]
        mantissa, exponent = np.frexp(total)  # 0.5 .. 1
        ks = np.maximum(exponent - 16, 0)
        bins = (mantissa * (2 << unit.DIV_BITS)).astype(np.intp) - (1 << unit.DIV_BITS)
        at = bins * _SHIFTS
        if not self._fmt:
            at += ks << unit.EXP_FRAC
        codes += (self._codes.take(first[:, -1:] + tops) + at[:, None])[:, :, None]
        out = self._out.take(codes).reshape(rows, -1)[:, :keys]
        step = np.ldexp(np.float32(1), -8 - ks)[:, None] if self._fmt else np.float32(2**-8)
        return (out * step).astype(x.dtype, copy=False).reshape(x.shape)

    def _by_row(self, x: np.ndarray, rows: int, frac: np.ndarray, offset: np.ndarray) -> tuple:
        """Factor, and what is then taken off, of logits; where an F's codes begin.

        One for all rows, or [rows, 1].
        """
        key = (rows, x.shape[-2:-1], x.dtype, frac.tobytes(), offset.tobytes())
        if key not in self._kept:
            if len(self._kept) == ROWS:
                self._kept.clear()
            scale, first = -np.ldexp(1.0, frac + 1), frac.astype(np.intp) * _ENTRIES
            heads = (scale.astype(x.dtype), (offset * scale).astype(x.dtype), first)
            if len({*zip(frac.tolist(), offset.tolist(), strict=True)}) == 1:
                self._kept[key] = tuple(one[0] for one in heads)
            else:
                times = rows // (len(frac) * x.shape[-2])
                self._kept[key] = tuple(
                    np.tile(one.repeat(x.shape[-2]), times)[:, None] for one in heads
                )
        return self._kept[key]


@lru_cache
def _codes(exp_frac: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes by F and twice a difference of logits, [8 * _ENTRIES]; weights by code, of a sum."""
    codes = np.full((8, _ENTRIES), _NO_CODE)
    twice = np.arange(2 * 255 + 1)
    codes[:, : len(twice)] = log2exp(twice // 2, np.arange(8)[:, None], exp_frac)
    weights = np.zeros(_NO_CODE + 1, np.int64)
    weights[:32] = weight(np.arange(32), exp_frac)
    return codes.ravel(), weights


@lru_cache
def _outputs(div_bits: int, exp_frac: int) -> np.ndarray:
    """Outputs by the divider's bin and the whole shift, in octaves or half octaves."""
    shift = np.arange(_SHIFTS)
    constant = div_table(div_bits)[:, None]
    if exp_frac:
        constant = np.where(shift & 1, rnd(ROOT_HALF * constant, 8), constant)
    out = np.minimum(rnd(constant, np.minimum(shift >> exp_frac, 62)), 255)
    return np.where(shift < _NO_CODE, out, 0).astype(np.float32).ravel()


class Norm:
    """AILayerNorm, calibrated, as `fast.norm` takes it."""

    def __init__(self, unit: AILayerNorm, fitted: FittedNorm):
        folded, channels = fitted.folded, fitted.folded.channels
        self.channels = channels.gamma.shape
        self._centre, self._rms = fitted.centre, folded.rms
        self._step = np.asarray(fitted.ptf.step, np.float64)
        self._low, self._high = -float(folded.zp), 255.0 - folded.zp
        root, places = unit._compress(np.arange(256))
        squares = np.square(root << 2 * places).astype(np.float64)
        of_step = np.arange(self._low, self._high + 1, dtype=np.intp)
        self._squares = np.empty(256)
        self._squares[of_step] = squares[np.abs(of_step)]  # those below 0 are from the end
        self._scale = np.ldexp(1.0, channels.alpha)
        self._square_scale, self._scale4 = self._scale**2, self._scale * 4
        self._A = rnd(channels.gamma * rsqrt_table()[:, None], 8).astype(np.float64)
        self._beta = channels.beta.astype(np.float64)
        self._out_step, self._offset = folded.step, fitted.offset
        self._down = folded.ofrac - folded.gfrac
        self._mant, log = map(int, reciprocal(len(channels.gamma)))
        self._mean_shift, self._square_shift = 11 + log, 7 + log
        self._up = 4 if unit.CMP_RANGES == 2 and not unit.EXACT_SQ else 0

    def __call__(self, x: np.ndarray) -> np.ndarray | None:
        """Return what the unit makes of x [..., channels], of its shape and dtype.

        None: there are many rows, or a value that is not finite, or large.
        """
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) > ROWS or not _is_near(x, np.inf):
            return None
        # What an input exceeds the zero point by, in input steps.
        a = (rows - self._centre if self._centre else rows) / self._step
        a += 0.5
        np.floor(a, out=a)
        np.maximum(a, self._low, out=a)
        np.minimum(a, self._high, out=a)
        totals = a.dot(self._scale).tolist()
        squares = self._squares.take(a.astype(np.intp)).dot(self._square_scale).tolist()
        a *= self._scale4
        for row, total, square in zip(a, totals, squares, strict=True):
            mu, place, down = self._statistics(int(total), int(square))
            row -= mu
            row *= self._A[place]
            row *= down
        a += 0.5
        np.floor(a, out=a)
        a += self._beta
        np.maximum(a, INT8[0], out=a)
        np.minimum(a, INT8[1], out=a)
        a *= self._out_step
        a += self._offset
        return a.astype(x.dtype).reshape(x.shape)

    def _statistics(self, total: int, square: int) -> tuple[int, int, float]:
        """Return mu, the place in the table of A, and 2^-sh of a row's sums."""
        mean = 0 if self._rms else rnd(total * self._mant, self._mean_shift)
        ex2 = rnd((square << self._up) * self._mant, self._square_shift)
        var = min(max(ex2 - mean * mean, 1), VAR_LIMIT)
        e = (var.bit_length() - 1) >> 1
        return rnd(mean, 2), ((var << 5) >> (2 * e)) - 32, 2.0 ** (self._down - e)
