# SPDX-License-Identifier: Apache-2.0
"""Bit-exact model of REXP: softmax with a table of exponentials and one of reciprocals.

Source: Vasyltsov & Chang, arXiv 2111.10770, reconstructed: the equations are rebuilt from the
paper's abstract, patents and public re-implementations. An exponential is one of a few entries, of
e^-i for whole i, and the sum's reciprocal one of XS.
`Rexp.trace` is the readable statement of the unit, a call the fast one.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from . import checks
from .arith import rnd
from .arrays import cast, namespace, pick
from .lut_softmax import LutResult, LutSoftmax


@lru_cache
def t1_table(w: int) -> np.ndarray:
    """Return T1, the exponentials: int64 [xq + 2], T1[i] = round(P * e^-i), xq = ceil(ln P).

    `w` is W, the precision in bits, and P = 2^w - 1. The last entry is 0: all beyond it is.
    """
    p = 2**w - 1
    last = math.ceil(math.log(p)) + 1
    # For no W is one within 1e-4 of a tie, so float64 rounds all of them right.
    table = np.array([math.floor(p * math.exp(-i) + 0.5) for i in range(last + 1)])
    table.setflags(write=False)  # it is shared by every caller
    return table


@lru_cache
def ta_table(w: int, xs: int) -> np.ndarray:
    """Return TA, the sum's reciprocals: int64 [xs], entry j - 1 is TA[j] = round(P / j).

    `w` is W and P = 2^w - 1, `xs` is XS. Some of them are ties, which round up.
    """
    j = np.arange(1, xs + 1)
    table = (2 * (2**w - 1) + j) // (2 * j)
    table.setflags(write=False)
    return table


@dataclass(frozen=True, eq=False)
class RexpTrace(LutResult):
    """Every intermediate of a batch of rows, as the unit's specification names it.

    m: int16 [rows], the maximum, -128 for an all-masked row
    i: int16 [rows, length], T1's index, -1 where masked
    i_clipped: bool [rows, length], i was clipped at xq + 1; False where masked
    s: uint16 [rows, length], the exponential, 0 where masked
    S: int64 [rows], the sum of s
    j_exact: int32 [rows], S / 2^W rounded; only an all-masked row has 0
    j: int16 [rows], TA's index, j_exact saturated to 1..XS
    """

    m: np.ndarray
    i: np.ndarray
    i_clipped: np.ndarray
    s: np.ndarray
    S: np.ndarray
    j_exact: np.ndarray
    j: np.ndarray


@dataclass(frozen=True)
class Rexp(LutSoftmax):
    """The unit for one set of elaboration parameters, which are named as in the RTL.

    LANES: elements a beat, 1 to 64, a power of two. No influence on results.
    MAX_LEN: the longest row, LANES to 65536; the RTL's buffers, no influence on results.
    W: precision in bits, 2, 4, 8 or 15. Exponentials, reciprocals and outputs are 0..2^W - 1.
    XS: entries of the table of reciprocals, 16, 256, 320 or 512.
    INDEX_MODE: how (m - x) * 2^-frac becomes whole, "round" (half up) or "floor".
    Raises TypeError or ValueError for anything else.
    """

    WIDTHS = (2, 4, 8, 15)

    XS: int = 256
    INDEX_MODE: str = "round"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.check_parameter("XS", self.XS, (16, 256, 320, 512))
        checks.check_parameter("INDEX_MODE", self.INDEX_MODE, ("round", "floor"))

    def trace(
        self, x: np.ndarray, mask: np.ndarray | None = None, *, frac: int | np.ndarray
    ) -> RexpTrace:
        """Return every intermediate of a batch of rows. Arguments and errors are those of a call.

        Slow and plain: this is the unit's specification, line by line, over all rows at once.
        """
        live, m, d, frac = self._distances(x, mask, frac)
        xp, t1, ta = namespace(x), t1_table(self.W), ta_table(self.W, self.XS)
        i_exact = self._index(d, frac)
        i = xp.minimum(i_exact, len(t1) - 1)
        s = xp.where(live, pick(t1, i), 0)
        S = xp.sum(s, axis=1)
        j_exact = rnd(S, self.W)
        j = xp.clip(j_exact, 1, self.XS)
        out = xp.minimum(rnd(s * pick(ta, j - 1)[:, None], self.W), self.P)
        return RexpTrace(
            out=cast(out, np.dtype(self.out_dtype).name),
            P=self.P,
            m=cast(m, "int16"),
            i=cast(xp.where(live, i, -1), "int16"),
            i_clipped=i_exact > i,
            s=cast(s, "uint16"),
            S=S,
            j_exact=cast(j_exact, "int32"),
            j=cast(j, "int16"),
        )

    def _index(self, d: np.ndarray, frac: int | np.ndarray) -> np.ndarray:
        return rnd(d, frac) if self.INDEX_MODE == "round" else d >> frac

    def _shares(self) -> np.ndarray:
        return t1_table(self.W)

    @property
    def _last_sum(self) -> int:
        return self.XS

    def _outputs(self, n: int) -> np.ndarray:
        return np.minimum(self.P, rnd(t1_table(self.W) * ta_table(self.W, self.XS)[n - 1], self.W))
