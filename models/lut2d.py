# SPDX-License-Identifier: Apache-2.0
"""Bit-exact model of the 2D-LUT softmax: exponential and sum look the output up, without a product.

Source: Vasyltsov & Chang, arXiv 2111.10770, reconstructed: the equations are rebuilt from the
paper's abstract, patents and public re-implementations.
`Lut2d.trace` is the readable statement of the unit, a call the fast one.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .arith import rnd
from .arrays import cast, namespace, pick
from .lut_softmax import LutResult, LutSoftmax

LAST = 100  # of the exponentials, which go in steps of 0.1
COLUMNS = 11
ROWS = 60


@lru_cache
def e_table(w: int) -> np.ndarray:
    """Return E, the exponentials: int64 [101], E[i] = round(P * e^(-i/10)).

    `w` is W, the precision in bits, and P = 2^w - 1.
    """
    p = 2**w - 1
    # For no W is one within 1e-4 of a tie, so float64 rounds all of them right.
    table = np.array([math.floor(p * math.exp(-i / 10) + 0.5) for i in range(LAST + 1)])
    table.setflags(write=False)  # it is shared by every caller
    return table


@lru_cache
def col_table(w: int) -> np.ndarray:
    """Return COL, the column that an exponential chooses: int64 [101], round(10 * E[i] / P).

    `w` is W and P = 2^w - 1. None of them is a tie, as P is odd.
    """
    p = 2**w - 1
    table = (20 * e_table(w) + p) // (2 * p)
    table.setflags(write=False)
    return table


@lru_cache
def t2_table(w: int) -> np.ndarray:
    """Return T2, the outputs: int64 [60, 11], entry [row - 1, col] is round(P * (col/10) / row).

    `w` is W and P = 2^w - 1; none is above P. Some of them are ties, which round up.
    """
    row, col = np.arange(1, ROWS + 1)[:, None], np.arange(COLUMNS)
    p = 2**w - 1
    table = np.minimum(p, (2 * p * col + 10 * row) // (20 * row))
    table.setflags(write=False)
    return table


@dataclass(frozen=True, eq=False)
class Lut2dTrace(LutResult):
    """Every intermediate of a batch of rows, as the unit's specification names it.

    m: int16 [rows], the maximum, -128 for an all-masked row
    i: int16 [rows, length], E's index, -1 where masked
    i_clipped: bool [rows, length], i was clipped at 100; False where masked
    S: int64 [rows], the sum of E[i]
    row_exact: int32 [rows], S / 2^W rounded; only an all-masked row has 0
    row: int16 [rows], T2's row, row_exact saturated to 1..60
    col: int16 [rows, length], T2's column, -1 where masked
    """

    m: np.ndarray
    i: np.ndarray
    i_clipped: np.ndarray
    S: np.ndarray
    row_exact: np.ndarray
    row: np.ndarray
    col: np.ndarray


@dataclass(frozen=True)
class Lut2d(LutSoftmax):
    """The unit for one set of elaboration parameters, which are named as in the RTL.

    LANES: elements a beat, 1 to 64, a power of two. No influence on results.
    MAX_LEN: the longest row, LANES to 65536; the RTL's buffers, no influence on results.
    W: precision in bits, 2, 4 or 8. Exponentials and outputs are 0..2^W - 1.
    Raises TypeError or ValueError for anything else.
    """

    WIDTHS = (2, 4, 8)

    def trace(
        self, x: np.ndarray, mask: np.ndarray | None = None, *, frac: int | np.ndarray
    ) -> Lut2dTrace:
        """Return every intermediate of a batch of rows. Arguments and errors are those of a call.

        Slow and plain: this is the unit's specification, line by line, over all rows at once.
        """
        live, m, d, frac = self._distances(x, mask, frac)
        xp = namespace(x)
        i_exact = self._index(d, frac)
        i = xp.minimum(i_exact, LAST)
        S = xp.sum(xp.where(live, pick(e_table(self.W), i), 0), axis=1)
        row_exact = rnd(S, self.W)
        row = xp.clip(row_exact, 1, ROWS)
        col = pick(col_table(self.W), i)
        outputs = t2_table(self.W).reshape(-1)
        out = xp.where(live, pick(outputs, COLUMNS * (row[:, None] - 1) + col), 0)
        return Lut2dTrace(
            out=cast(out, np.dtype(self.out_dtype).name),
            P=self.P,
            m=cast(m, "int16"),
            i=cast(xp.where(live, i, -1), "int16"),
            i_clipped=i_exact > i,
            S=S,
            row_exact=cast(row_exact, "int32"),
            row=cast(row, "int16"),
            col=cast(xp.where(live, col, -1), "int16"),
        )

    def _index(self, d: np.ndarray, frac: int | np.ndarray) -> np.ndarray:
        return rnd(10 * d, frac)

    def _shares(self) -> np.ndarray:
        return e_table(self.W)

    @property
    def _last_sum(self) -> int:
        return ROWS

    def _outputs(self, n: int) -> np.ndarray:
        return t2_table(self.W)[n - 1, col_table(self.W)]
