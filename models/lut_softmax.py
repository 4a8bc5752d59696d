# SPDX-License-Identifier: Apache-2.0
"""What the two softmax units of Vasyltsov & Chang, `rexp` and `lut2d`, have in common.

Source: arXiv 2111.10770, reconstructed. All is looked up: an element's distance d = m - x from the
row's maximum m makes an index i, i the element's share of the row's sum S, the top bits of S a
second index n (REXP's j, the 2D-LUT's row), and i and n the output. So a unit is its tables, and
how it makes i.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from . import checks
from .arith import FRACS, INT8, LANES, MAX_LEN_LIMIT, PortRegisters, empty, look_up, rnd
from .arrays import cast, full, namespace, spread

# Elements that the fast model works on at a time: its buffers then stay in a 2 MiB L2 cache.
BLOCK = 1 << 18


@dataclass(frozen=True, eq=False)
class LutResult:
    """What the unit puts out for a batch of rows.

    out: [rows, length], 0 where masked, uint8 for W <= 8 and uint16 for W = 15. P: the output that
    stands for 1, 2^W - 1. An element's real value is out / P.
    """

    out: np.ndarray
    P: int

    @property
    def exponent(self) -> np.ndarray:
        """tuser's exponent, which these units leave at 0: int8 [rows]."""
        return full((self.out.shape[0],), 0, "int8", self.out)

    def to_real(self) -> np.ndarray:
        """Return the probabilities as float64 [rows, length]."""
        return cast(self.out, "float64") / self.P

    def half_lsb(self) -> np.ndarray:
        """Return half an output step as float64 [rows]: what an output of 0 may stand for."""
        return np.full(len(self.out), 0.5 / self.P)


@dataclass(frozen=True)
class LutSoftmax(PortRegisters, ABC):
    """A unit for one set of elaboration parameters, which are named as in the RTL.

    LANES: elements a beat, 1 to 64, a power of two. No influence on results.
    MAX_LEN: the longest row, LANES to 65536; the RTL's buffers, no influence on results.
    W: precision in bits, one of WIDTHS.
    Raises TypeError or ValueError for anything else.
    """

    WIDTHS: ClassVar[tuple[int, ...]]

    LANES: int = 32
    MAX_LEN: int = 1024
    W: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.check_parameter("LANES", self.LANES, LANES)
        checks.check_parameter("MAX_LEN", self.MAX_LEN, range(self.LANES, MAX_LEN_LIMIT + 1))
        checks.check_parameter("W", self.W, self.WIDTHS)

    @property
    def P(self) -> int:
        """The integer that stands for 1, 2^W - 1."""
        return 2**self.W - 1

    @property
    def out_dtype(self) -> type[np.unsignedinteger]:
        """The outputs' type: np.uint8, or np.uint16 for W = 15."""
        return np.uint8 if self.W <= 8 else np.uint16

    def __call__(
        self, x: np.ndarray, mask: np.ndarray | None = None, *, frac: int | np.ndarray
    ) -> LutResult:
        """Return the unit's output for a batch of rows.

        x: int8 [rows, length], logits in units of 2^-frac; length 1..MAX_LEN. mask: bool
        [rows, length], True is unmasked; None masks nothing. frac: 0..7, one integer or an integer
        array [rows].

        A row that is shorter than the array is given by a mask that is False beyond its end. An
        all-masked row gives zeros. Raises TypeError or ValueError, with what to do about it.
        """
        if not isinstance(x, np.ndarray):
            return LutResult(self.trace(x, mask, frac=frac).out, self.P)
        frac = self._check(x, mask, frac)
        if isinstance(frac, int):
            return LutResult(self._run(x, mask, frac), self.P)
        out = np.empty(x.shape, self.out_dtype)
        for each in np.unique(frac):
            rows = frac == each
            out[rows] = self._run(x[rows], None if mask is None else mask[rows], each)
        return LutResult(out, self.P)

    @abstractmethod
    def trace(
        self, x: np.ndarray, mask: np.ndarray | None = None, *, frac: int | np.ndarray
    ) -> LutResult:
        """Return every intermediate of a batch of rows. Arguments and errors are those of a call.

        Slow and plain: this is the unit's specification, line by line, over all rows at once.
        """

    @abstractmethod
    def _index(self, d: np.ndarray, frac: int | np.ndarray) -> np.ndarray:
        """Return i, not yet clipped to the tables' last entry."""

    @abstractmethod
    def _shares(self) -> np.ndarray:
        """Return the shares by i."""

    @property
    @abstractmethod
    def _last_sum(self) -> int:
        """The largest n. The smallest is 1."""

    @abstractmethod
    def _outputs(self, n: int) -> np.ndarray:
        """Return the outputs of one n by i."""

    def _check(self, x: object, mask: object, frac: object) -> int | np.ndarray:
        x = checks.check_rows("x", x, np.int8, self.MAX_LEN)
        checks.check_mask(mask, x.shape)
        return checks.check_setting("frac", frac, FRACS[0], FRACS[-1], x.shape[0])

    def _distances(
        self, x: np.ndarray, mask: np.ndarray | None, frac: int | np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Check a call and return what `trace` starts from: live, m, d, and frac [rows, 1].

        live: bool [rows, length], unmasked. m: int64 [rows], -128 in an all-masked row. d: int64
        [rows, length], 0 where masked.
        """
        frac, xp = self._check(x, mask, frac), namespace(x)
        live = full(x.shape, True, "bool", x) if mask is None else mask
        x = cast(x, "int64")
        m = xp.max(xp.where(live, x, INT8[0]), axis=1)
        d = xp.where(live, m[:, None] - x, 0)
        return live, m, d, spread(frac, x.shape[0], x)[:, None]

    def _run(self, x: np.ndarray, mask: np.ndarray | None, frac: int) -> np.ndarray:
        """Return the outputs of rows of one frac: the same integers from tables of 256, by d."""
        shares = self._shares()
        i = np.minimum(self._index(np.arange(256), frac), len(shares) - 1)
        shares = shares[i].astype(self.out_dtype)
        ones = None if mask is None else mask.view(np.uint8)
        step = max(1, BLOCK // x.shape[1])

        d = empty(x.size).reshape(x.shape)  # means nothing where masked
        n = np.empty(len(x), np.int64)
        for start in range(0, len(x), step):
            block = slice(start, start + step)
            unmasked = x[block]
            if ones is not None:  # a masked element takes part as -128, which no maximum notices
                ceiling = np.uint8(128) - ones[block]  # 127 or, where masked, -128
                unmasked = np.minimum(unmasked, ceiling.view(np.int8))
            m = unmasked.max(axis=1, keepdims=True)
            np.subtract(m.view(np.uint8), x[block].view(np.uint8), out=d[block])  # modulo 256
            share = _take(shares, d[block])
            if ones is not None:
                share *= ones[block]
            total = share.sum(axis=1, dtype=np.uint32)  # below 2^16 * 2^15
            n[block] = np.clip(rnd(total.astype(np.int64), self.W), 1, self._last_sum)

        out = d if self.out_dtype is np.uint8 else np.empty(x.shape, self.out_dtype)
        for each in np.unique(n):  # the rows of one n all look up in one table
            outputs = self._outputs(each)[i].astype(self.out_dtype)
            rows = np.flatnonzero(n == each)
            for start in range(0, len(rows), step):
                some = rows[start : start + step]
                out[some] = _take(outputs, d[some])
        if ones is not None:
            np.multiply(out, ones, out)
        return out


def _take(table: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return table[index], in the fastest way for its dtype; 256 entries, index uint8."""
    return look_up(table, index) if table.dtype == np.uint8 else table.take(index)
