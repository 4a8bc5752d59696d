# SPDX-License-Identifier: Apache-2.0
"""Bit-exact model of NN-LUT's LayerNorm: a baseline for AILayerNorm, on 32-bit integers.

Sources: NN-LUT (Yu et al., DAC 2022, arXiv 2112.02191), whose table of 16 lines gives 1/sqrt, on
the integer LayerNorm of I-BERT (Kim et al., ICML 2021, arXiv 2101.01321), with 32-bit buffers as
SOLE (ICCAD 2023) rebuilt it. Widths, roundings and the table's range are this project's.
`NnlutLayerNorm.trace` is the readable statement of the unit; a call gives its outputs.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from . import checks
from .ailayernorm import MANTISSA, NormResult
from .arith import FRACS, INT8, LANES, MAX_LEN_LIMIT, rnd
from .arrays import adopt, cast, floor_log2, full, namespace, pick
from .channels import Channels, ChannelTable, check_channels

SEGMENTS = 16
SHIFTS = range(17)  # of a deviation before it is squared
INT16, INT32 = (-(1 << 15), (1 << 15) - 1), (-(1 << 31), (1 << 31) - 1)


class Lines(NamedTuple):
    """NN-LUT's table for 1/sqrt over [1, 4): 1/sqrt(m) is about T - S*m in segment k.

    b: int64 [15], the first m of segments 1 to 15, 14 fraction bits. S, T: int64 [16], slope
    (downwards) and intercept of each segment, 16 fraction bits.
    """

    b: np.ndarray
    S: np.ndarray
    T: np.ndarray


@lru_cache
def lines() -> Lines:
    """Return the table: places in a geometric row, lines of the least largest error."""
    b = np.rint(2.0**14 * 4 ** (np.arange(SEGMENTS + 1) / SEGMENTS))
    z = b / 2**14
    f = 1 / np.sqrt(z)
    s = (f[:-1] - f[1:]) / (z[1:] - z[:-1])
    c = (2 * s) ** (-2 / 3)
    t = (f[:-1] + s * z[:-1] + 1 / np.sqrt(c) + s * c) / 2
    table = Lines(*(np.rint(a).astype(np.int64) for a in (b[1:-1], s * 2**16, t * 2**16)))
    for array in table:
        array.setflags(write=False)  # they are shared by every caller
    return table


@dataclass(frozen=True, eq=False, kw_only=True)
class NnlutTrace(NormResult):
    """Every intermediate of a batch of rows, as the unit's specification names it.

    Elements, [rows, length]:

    d: int32, what the input exceeds the mean by, 0 where masked
    y: int16, what of it is squared, 0 where masked
    A: int16, gamma / sigma
    num: int64, A * d
    saturated: int8, -1 or 1 if the output was clipped at -128 or 127, else 0

    Rows, int64 [rows]:

    n: unmasked elements
    sum: of the inputs
    mean: an integer
    squares: sum of y*y
    var: sigma^2 / 4^shift, 1 .. 2^32 - 1
    e: half the exponent of var
    m: var in [1, 4), 14 fraction bits
    k: the line
    R: 1/sqrt(m), 16 fraction bits; 1/sigma is R * 2^(-16 - e - shift)
    shift: the setting
    sh: right shift from num to the output
    """

    n: np.ndarray
    sum: np.ndarray
    mean: np.ndarray
    d: np.ndarray
    y: np.ndarray
    squares: np.ndarray
    var: np.ndarray
    e: np.ndarray
    m: np.ndarray
    k: np.ndarray
    R: np.ndarray
    A: np.ndarray
    num: np.ndarray
    shift: np.ndarray
    sh: np.ndarray
    saturated: np.ndarray

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation in units of the input, each float64 [rows]."""
        return self.mean.astype(float), np.ldexp(1.0, 16 + self.e + self.shift) / self.R


@dataclass(frozen=True)
class NnlutLayerNorm(ChannelTable):
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
        self,
        x: np.ndarray,
        channels: Channels,
        mask: np.ndarray | None = None,
        *,
        shift: int | np.ndarray,
        len: int | np.ndarray,
        inv_mant: int | np.ndarray,
        inv_exp: int | np.ndarray,
        gfrac: int | np.ndarray,
        ofrac: int | np.ndarray,
    ) -> NormResult:
        """Return the unit's output for a batch of rows.

        x: int32 [rows, length], one to MAX_LEN channels. channels: an entry for each column of x;
        an alpha of theirs counts no more. mask: bool [rows, length], True is unmasked; None masks
        nothing. The settings, each one integer or an integer array [rows]:

        shift: 0..16, bits that a deviation loses before it is squared
        len: 0..MAX_LEN, the row's number of unmasked elements
        inv_mant, inv_exp: `models.ailayernorm.reciprocal(len)`
        gfrac, ofrac: 0..7, fraction bits of gamma and of the output

        A row that is shorter than the array is given by a mask that is False beyond its end. A row
        whose unmasked elements are not `len` sets err_len, and its outputs are what the
        equations make of the reciprocal that was given. An all-masked row gives zeros. Raises
        TypeError or ValueError, with what to do about it.
        """
        trace = self.trace(
            *(x, channels, mask),
            shift=shift,
            len=len,
            inv_mant=inv_mant,
            inv_exp=inv_exp,
            gfrac=gfrac,
            ofrac=ofrac,
        )
        return NormResult(trace.out, trace.err_len)

    def trace(
        self,
        x: np.ndarray,
        channels: Channels,
        mask: np.ndarray | None = None,
        *,
        shift: int | np.ndarray,
        len: int | np.ndarray,
        inv_mant: int | np.ndarray,
        inv_exp: int | np.ndarray,
        gfrac: int | np.ndarray,
        ofrac: int | np.ndarray,
    ) -> NnlutTrace:
        """Return every intermediate of a batch of rows. Arguments and errors are those of a call.

        All fits int64: sum is below 2^47 and squares at most 2^46, times M at most 2^62.
        """
        settings = self._check(*(x, channels, mask), *(shift, len, inv_mant, inv_exp, gfrac, ofrac))
        xp = namespace(x)
        live = full(x.shape, True, "bool", x) if mask is None else mask
        x = cast(x, "int64")
        mant, down = settings["inv_mant"], 15 + settings["inv_exp"]
        shift = settings["shift"]

        # Pass 1.
        n = xp.sum(cast(live, "int64"), axis=1)
        total = xp.sum(xp.where(live, x, 0), axis=1)
        mean = xp.clip(rnd(total * mant, down), *INT32)

        # Pass 2.
        d = xp.where(live, xp.clip(x - mean[:, None], *INT32), 0)
        y = xp.clip(d >> shift[:, None], *INT16)
        squares = xp.sum(y * y, axis=1)
        var = xp.clip(rnd(squares * mant, down), 1, (1 << 32) - 1)

        # Once a row.
        table = lines()
        e = floor_log2(var) >> 1
        m = (var << 14) >> (2 * e)
        k = xp.sum(cast(adopt(table.b, x) <= m[:, None], "int64"), axis=1)
        R = pick(table.T, k) - rnd(pick(table.S, k) * m, 14)

        # Pass 3.
        gamma, beta = (cast(adopt(one, x), "int64") for one in (channels.gamma, channels.beta))
        A = rnd(gamma * R[:, None], 8)
        num = A * d
        sh = 8 + e + shift + settings["gfrac"] - settings["ofrac"]
        exact = xp.where(live, rnd(num, sh[:, None]) + beta, 0)
        out = xp.clip(exact, *INT8)
        return NnlutTrace(
            out=cast(out, "int8"),
            err_len=n != settings["len"],
            n=n,
            sum=total,
            mean=mean,
            d=cast(d, "int32"),
            y=cast(y, "int16"),
            squares=squares,
            var=var,
            e=e,
            m=m,
            k=k,
            R=R,
            A=cast(A, "int16"),
            num=num,
            shift=shift,
            sh=sh,
            saturated=cast(xp.sign(exact - out), "int8"),
        )

    def _check(
        self, x: object, channels: object, mask: object, *settings: object
    ) -> dict[str, np.ndarray]:
        """Check a call's arguments; return its settings by name, each int64 [rows]."""
        x = checks.check_rows("x", x, np.int32, self.MAX_LEN)
        check_channels(channels, x.shape[1], alpha=False)
        checks.check_mask(mask, x.shape)
        limits: dict[str, tuple[int, int]] = {
            "shift": (SHIFTS[0], SHIFTS[-1]),
            "len": (0, self.MAX_LEN),
            "inv_mant": MANTISSA,
            "inv_exp": (0, self.MAX_LEN.bit_length() - 1),
            "gfrac": (FRACS[0], FRACS[-1]),
            "ofrac": (FRACS[0], FRACS[-1]),
        }
        return checks.check_settings(limits, settings, x)
