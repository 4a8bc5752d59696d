# SPDX-License-Identifier: Apache-2.0
"""Bit-exact model of Softermax, a baseline: base-2 softmax in fixed point, a multiplier a lane.

Source: Stevens et al., DAC 2021, arXiv 2103.09301. Where the paper is silent, the choice is this
project's: docs/units/softermax.md marks which. `Softermax.trace` is the statement of the unit, on
arrays of any library.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from . import checks
from .arith import INT8, LANES, MAX_LEN_LIMIT, PortRegisters, rnd
from .arrays import cast, floor_log2, full, namespace, pick
from .lut_softmax import LutResult
from .quantise import quantise_logits, real

ONE = 1 << 7  # the output that stands for 1, in Q(1,7)
FRACTION = 2  # fraction bits of an input, in Q(6,2)
SEGMENTS = 8  # of the reciprocal


def quantise(logits: np.ndarray) -> np.ndarray:
    """Return real logits, to base e and of any shape, as the unit's int8: Q(6,2), to base 2.

    Rounded half up and saturated at +-32, i.e. at logits of about 22. Raises ValueError for a logit
    that is not finite.
    """
    return quantise_logits(real(logits) * math.log2(math.e), FRACTION)


def dequantise(x: np.ndarray) -> np.ndarray:
    """Return the real logits, to base e, that the unit's inputs stand for: float64 of x's shape."""
    return np.asarray(x, np.float64) * (math.log(2) / 2**FRACTION)


@lru_cache
def pow2_table() -> np.ndarray:
    """Return POW2: int64 [4], 2^(f/4) in Q(1,15)."""
    return _shared([math.floor(2 ** (15 + f / 4) + 0.5) for f in range(4)])


@lru_cache
def reciprocal_table() -> np.ndarray:
    """Return the lines of the reciprocal: int64 [8, 2], C[j] and M[j] in units of 2^-15.

    Over segment j, 1/v for v in a..b is C[j] - M[j] * t at the middle of the bin t of 32.
    """
    lines = []
    for j in range(SEGMENTS):
        a, b = 1 + j / SEGMENTS, 1 + (j + 1) / SEGMENTS
        gap = (a**-0.5 - b**-0.5) ** 2
        intercept = 1 / a - 1 / (512 * a * b) - gap / 2
        lines.append([math.floor(2**15 * v + 0.5) for v in (intercept, 1 / (256 * a * b))])
    return _shared(lines)


def _shared(values: list) -> np.ndarray:
    table = np.array(values)
    table.setflags(write=False)  # it is shared by every caller
    return table


@dataclass(frozen=True, eq=False)
class SoftermaxTrace(LutResult):
    """Every intermediate of a batch of rows, as the unit's specification names it.

    Beats before a row's first unmasked element hold m = -32 and no sum.

    m: int16 [rows, beats], the running maximum m_t, whole numbers
    p: uint16 [rows, length], the numerators, Q(1,15), 0 where masked
    B: int64 [rows, beats], the beats' sums, 6 fraction bits
    S: int64 [rows, beats], the running sum S_t, 6 fraction bits
    cut: bool [rows], S was cut at its top
    e: int16 [rows], floor(log2(S)) of the last S; 5 for an all-masked row
    j, t: int16 [rows], segment of the reciprocal and place in it
    r: int16 [rows], the reciprocal, Q(1,7)
    k: int16 [rows, beats], the shift of a beat's numerators
    """

    m: np.ndarray
    p: np.ndarray
    B: np.ndarray
    S: np.ndarray
    cut: np.ndarray
    e: np.ndarray
    j: np.ndarray
    t: np.ndarray
    r: np.ndarray
    k: np.ndarray


@dataclass(frozen=True)
class Softermax(PortRegisters):
    """The unit for one set of elaboration parameters, which are named as in the RTL.

    LANES: elements a beat, 1 to 64, a power of two. They share one maximum, so it changes results.
    MAX_LEN: the longest row, LANES to 65536; the RTL's buffers, and the width of the sum.
    Raises TypeError or ValueError for anything else.
    """

    LANES: int = 32
    MAX_LEN: int = 1024

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.check_parameter("LANES", self.LANES, LANES)
        checks.check_parameter("MAX_LEN", self.MAX_LEN, range(self.LANES, MAX_LEN_LIMIT + 1))

    @property
    def sum_bits(self) -> int:
        """Bits of the running sum: I + 6."""
        return 6 + max(1, (self.MAX_LEN - 1).bit_length())

    def __call__(self, x: np.ndarray, mask: np.ndarray | None = None) -> LutResult:
        """Return the unit's output for a batch of rows.

        x: int8 [rows, length], Q(6,2); length 1..MAX_LEN, no multiple of LANES needed. mask: bool
        [rows, length], True is unmasked; None masks nothing.

        A row that is shorter than the array is given by a mask that is False beyond its end. An
        all-masked row gives zeros. Raises TypeError or ValueError, with what to do about it.
        """
        return LutResult(self.trace(x, mask).out, ONE)

    def trace(self, x: np.ndarray, mask: np.ndarray | None = None) -> SoftermaxTrace:
        """Return every intermediate of a batch of rows. Arguments and errors are those of a call.

        Plain: this is the unit's specification, line by line, over all rows at once.
        """
        checks.check_rows("x", x, np.int8, self.MAX_LEN)
        checks.check_mask(mask, x.shape)
        xp, (rows, length) = namespace(x), x.shape
        beats = -(-length // self.LANES)
        # [rows, beats, lanes]; what fills the last beat is masked.
        shape = (rows, beats, self.LANES)
        live = full((rows, beats * self.LANES), False, "bool", x)
        live[:, :length] = True if mask is None else mask
        value = full(live.shape, 0, "int64", x)
        value[:, :length] = cast(x, "int64")
        live, value = xp.reshape(live, shape), xp.reshape(value, shape)

        highest = xp.where(live, -(-value >> FRACTION), INT8[0] >> FRACTION)  # the ceilings
        tops = xp.max(highest, axis=2)
        maxima = [tops[:, 0]]
        for beat in range(1, beats):
            maxima.append(xp.maximum(maxima[-1], tops[:, beat]))
        m = xp.stack(maxima, axis=1)
        far = xp.where(live, m[:, :, None] - (value >> FRACTION), 0)  # never negative
        p = xp.where(live, pick(pow2_table(), value & 3) >> far, 0)
        B = rnd(xp.sum(p, axis=2), 9)

        top = 2**self.sum_bits - 1
        total, cut = B[:, 0], B[:, 0] > top
        sums = [xp.minimum(total, top)]
        for beat in range(1, beats):
            total = (sums[-1] >> (m[:, beat] - m[:, beat - 1])) + B[:, beat]
            cut = cut | (total > top)
            sums.append(xp.minimum(total, top))
        S, total = xp.stack(sums, axis=1), sums[-1]

        e = xp.maximum(floor_log2(xp.maximum(total, 1)), 5)  # all-masked: S = 0
        s = (total << 8 >> e) & 255
        j, t = s >> 5, s & 31
        line = reciprocal_table()
        r = rnd(pick(line[:, 0], j) - pick(line[:, 1], j) * t, 8)
        k = (m[:, -1:] - m) + (e - 5)[:, None]
        q = p >> k[:, :, None]
        out = rnd(q * r[:, None, None], 14)

        def flat(array: np.ndarray) -> np.ndarray:
            return xp.reshape(array, (rows, beats * self.LANES))[:, :length]

        return SoftermaxTrace(
            out=cast(flat(out), "uint8"),
            P=ONE,
            m=cast(m, "int16"),
            p=cast(flat(p), "uint16"),
            B=B,
            S=S,
            cut=cut,
            e=cast(e, "int16"),
            j=cast(j, "int16"),
            t=cast(t, "int16"),
            r=cast(r, "int16"),
            k=cast(k, "int16"),
        )
