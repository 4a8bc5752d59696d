# SPDX-License-Identifier: Apache-2.0
"""Bit-exact model of the exact softmax, a baseline: a table of exponentials and a true divider.

Not from a paper: it shows what approximations save (docs/units/exact_softmax.md). Exponentials are
rounded to 16 bits, quotients to 8; there are no other errors.
`ExactSoftmax.trace` is the readable statement of the unit, on arrays of any library.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from . import checks
from .arith import FRACS, INT8, LANES, MAX_LEN_LIMIT, PortRegisters
from .arrays import cast, full, namespace, pick, spread
from .lut_softmax import LutResult

ONE = 1 << 8  # the output that would stand for 1: they end at 255
UNIT = FRACS[-1]  # z counts 2^-7
# The table's parts: first z, step, entries. Beyond them an exponential is 0.
PARTS = ((0, 1, 256), (256, 2, 128), (512, 4, 128), (1024, 8, 64))


def exponential(z: int) -> int:
    """Return round((2^16 - 1) * e^(-z / 2^7)), half up, for an integer z >= 0."""
    # No z is within 1e-5 of a tie, so float64 rounds all of them right.
    return math.floor((2**16 - 1) * math.exp(-z / 2**UNIT) + 0.5)


@lru_cache
def exponential_tables() -> tuple[np.ndarray, ...]:
    """Return the parts of the table: int64 arrays of the entries in PARTS."""
    tables = []
    for first, step, entries in PARTS:
        table = np.array([exponential(first + step * i) for i in range(entries)])
        table.setflags(write=False)  # it is shared by every caller
        tables.append(table)
    return tuple(tables)


@lru_cache
def _by_distance() -> np.ndarray:
    """Return the exponentials: int64 [8 * 256], by F and the distance d."""
    table = np.zeros((len(FRACS), 256), np.int64)
    for frac in FRACS:
        z = np.arange(256) << (UNIT - frac)
        for (first, step, entries), values in zip(PARTS, exponential_tables(), strict=True):
            here = (z >= first) & (z < first + step * entries)
            table[frac, here] = values[(z[here] - first) // step]
    table = table.ravel()
    table.setflags(write=False)
    return table


@dataclass(frozen=True, eq=False)
class ExactSoftmaxTrace(LutResult):
    """Every intermediate of a batch of rows, as the unit's specification names it.

    m: int16 [rows], the maximum, -128 for an all-masked row
    z: int32 [rows, length], the distance to it in 2^-7, -1 where masked
    e: uint16 [rows, length], the exponential, 0 where masked
    S: int64 [rows], the sum of e
    Q: int16 [rows, length], the nine bits of the division, 0 where masked
    """

    m: np.ndarray
    z: np.ndarray
    e: np.ndarray
    S: np.ndarray
    Q: np.ndarray


@dataclass(frozen=True)
class ExactSoftmax(PortRegisters):
    """The unit for one set of elaboration parameters, which are named as in the RTL.

    LANES: elements a beat, 1 to 64, a power of two. No influence on results.
    MAX_LEN: the longest row, LANES to 65536; the RTL's buffers, no influence on results.
    Raises TypeError or ValueError for anything else.
    """

    LANES: int = 32
    MAX_LEN: int = 1024

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.check_parameter("LANES", self.LANES, LANES)
        checks.check_parameter("MAX_LEN", self.MAX_LEN, range(self.LANES, MAX_LEN_LIMIT + 1))

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
        return LutResult(self.trace(x, mask, frac=frac).out, ONE)

    def trace(
        self, x: np.ndarray, mask: np.ndarray | None = None, *, frac: int | np.ndarray
    ) -> ExactSoftmaxTrace:
        """Return every intermediate of a batch of rows. Arguments and errors are those of a call.

        Plain: this is the unit's specification, line by line, over all rows at once.
        """
        checks.check_rows("x", x, np.int8, self.MAX_LEN)
        checks.check_mask(mask, x.shape)
        xp, rows = namespace(x), x.shape[0]
        frac = checks.check_setting("frac", frac, FRACS[0], FRACS[-1], rows)
        frac = spread(frac, rows, x)[:, None]
        live = full(x.shape, True, "bool", x) if mask is None else mask
        x = cast(x, "int64")
        m = xp.max(xp.where(live, x, INT8[0]), axis=1)
        d = xp.where(live, m[:, None] - x, 0)
        e = xp.where(live, pick(_by_distance(), 256 * frac + d), 0)
        S = xp.sum(e, axis=1)
        # Where e is S the nine bits are 511; else they are the quotient's.
        Q = xp.minimum(512 * e // xp.maximum(S, 1)[:, None], 511)
        out = xp.minimum((Q + 1) >> 1, 255)
        return ExactSoftmaxTrace(
            out=cast(out, "uint8"),
            P=ONE,
            m=cast(m, "int16"),
            z=cast(xp.where(live, d << (UNIT - frac), -1), "int32"),
            e=cast(e, "uint16"),
            S=S,
            Q=cast(Q, "int16"),
        )
