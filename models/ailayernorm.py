# SPDX-License-Identifier: Apache-2.0
"""Bit-exact model of AILayerNorm: LayerNorm and RMSNorm on 8-bit inputs with a scale per channel.

Source: SOLE (Wang et al., ICCAD 2023, arXiv 2510.17189): statistics in one pass from power-of-two
factors (PTF) and DynamicCompress, a square of 4 bits for one of 8. The rounding rules, the inverse
square root's table, CMP_RANGES = 3, RMSNorm, wide inputs, epsilon, exact squares and the flag for
rows that the method cannot do are additions of this project. An input x of channel c stands for
scale * 2^alpha_c * (x - zp); no result depends on the scale.
`AILayerNorm.trace` is the readable statement of the unit, on arrays of any library;
`AILayerNorm.__call__` is the fast one with numpy.
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from . import checks
from .arith import (
    FEATURE,
    FRACS,
    IN_WIDTHS,
    INT8,
    LANES,
    MAX_LEN_LIMIT,
    rescale,
    rnd,
)
from .arrays import adopt, cast, floor_log2, full, namespace, pick, spread
from .channels import Channels, ChannelTable, check_channels

MANTISSA = (1 << 14, 1 << 15)  # of 1/n

# Bits of a row's mean (signed) and mean square. No row with a correct reciprocal needs more; with
# a wrong one, which the unit cannot detect, they wrap.
MEAN_BITS = 16
EX2_BITS = 30
VAR_LIMIT = (1 << EX2_BITS) - 1

QMULT = (0, (1 << 16) - 1)
QSHIFT = (0, 63)
EPSILON = (0, (1 << 16) - 1)

# Elements that the fast model works on at a time: its buffers then stay in a 2 MiB L2 cache.
BLOCK = 1 << 17


def compress(u: np.ndarray, ranges: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return (y, s) of magnitudes u: a 4-bit y, and the number s of the range that u lies in.

    SOLE's DynamicCompress: u is about 4 * y * 4^s with 2 ranges (SOLE), y * 4^s with 3, of which
    the one below 16 is exact. `u` is integers 0..255; both results are integers of its shape.
    """
    xp = namespace(u)
    low = xp.minimum((u + 2) >> 2, 15)  # the clip matters at 62 and 63
    high = xp.minimum((u + 8) >> 4, 15)  # and here from 248
    y, s = xp.where(u >= 64, high, low), cast(u >= 64, "int64")
    if ranges == 3:
        y, s = xp.where(u < 16, u, y), s + cast(u >= 16, "int64")
    return y, s


def reciprocal(n: int | np.ndarray) -> tuple[int | np.ndarray, int | np.ndarray]:
    """Return (M, Lz), for which 1/n is about M * 2^-(15 + Lz): cfg_inv_mant_i and cfg_inv_exp_i.

    Lz = floor(log2 n), M = round(2^(15 + Lz) / n), in 2^14..2^15. `n`, the number of elements of a
    row, is one integer or an integer array [rows], in 1..65536, and the results are alike. Raises
    TypeError or ValueError for anything else.
    """
    n = checks.check_setting("n", n, 1, MAX_LEN_LIMIT, np.size(n))
    log = n.bit_length() - 1 if isinstance(n, int) else np.frexp(n)[1].astype(np.int64) - 1
    return ((1 << (16 + log)) + n) // (2 * n), log


@lru_cache
def rsqrt_table(bits: int = 10) -> np.ndarray:
    """Return RSQRT: int64 [96], entry v - 32 is 1/sqrt((v + 1/2)/32) with 10 fraction bits.

    With 8 `bits` it is a quarter of that, rounded once more: A_BITS = 8 has it.
    """
    # Twice the value, 2^11 * sqrt(64 / (2v + 1)), is rounded down first: all of it in integers.
    halves = [math.isqrt((1 << 28) // (2 * v + 1)) for v in range(32, 128)]
    table = rnd(np.array([(half + 1) // 2 for half in halves]), 10 - bits)
    table.setflags(write=False)  # it is shared by every caller
    return table


@dataclass(frozen=True, eq=False)
class NormResult:
    """The unit's outputs for a batch of rows.

    out: int8 [rows, length], 0 where masked, in output steps. err_len: bool [rows], the row's
    number of unmasked elements is not the configured one. imprecise: bool [rows], the mean is so
    large against the deviation that DynamicCompress's squares may be wrong by as much as the
    variance; None of a unit with IMPRECISE = 0.
    """

    out: np.ndarray
    err_len: np.ndarray
    imprecise: np.ndarray | None = None

    @property
    def exponent(self) -> np.ndarray:
        """tuser's exponent, which this unit leaves at 0: int8 [rows]."""
        return full((self.out.shape[0],), 0, "int8", self.out)

    def to_real(self, step: float | np.ndarray) -> np.ndarray:
        """Return the outputs as float64 [rows, length].

        step: the real value of an output of 1, one for all or [length] of them: what `ptf.fold` was
        given. Of a layer that nothing has folded it is 2^-ofrac.
        """
        if isinstance(step, np.ndarray):
            step = adopt(step, self.out)
        return cast(self.out, "float64") * step


@dataclass(frozen=True, eq=False, kw_only=True)
class NormTrace(NormResult):
    """Every intermediate of a batch of rows, as the unit's specification names it.

    An input step is the scale of channels with alpha = 0. Elements, [rows, length]:

    a: int16, x - zp, 0 where masked
    u: uint8, |a|
    y: int16, u's 4-bit code, or u with EXACT_SQ = 1, -1 where masked
    s: int8, the number of u's range, -1 where masked
    A: int16, gamma / sigma
    num: int64, A times the element's deviation from the mean; undefined where masked
    saturated: int8, -1 or 1 if the output was clipped at -128 or 127, else 0

    Rows, int64 [rows]:

    n: unmasked elements
    sum: Ex, in input steps
    square_sum: Ex2, in units of 16 input steps squared, or of 1 with CMP_RANGES = 3 or EXACT_SQ = 1
    mean: 4 fraction bits, in input steps, 16 bits signed
    ex2: the mean square, 8 fraction bits, 30 bits
    var: 8 fraction bits, at least 1; epsilon is in it
    e: half the exponent of var
    v: its leading bits, 32..127, RSQRT's index and 32
    rsqrt: RSQRT's entry; 1/sigma is rsqrt * 2^-(6 + e), or rsqrt * 2^-(4 + e) with A_BITS = 8
    mu: the mean with 2 fraction bits
    sh: right shift from num to the output; left if negative
    """

    a: np.ndarray
    u: np.ndarray
    y: np.ndarray
    s: np.ndarray
    n: np.ndarray
    sum: np.ndarray
    square_sum: np.ndarray
    mean: np.ndarray
    ex2: np.ndarray
    var: np.ndarray
    e: np.ndarray
    v: np.ndarray
    rsqrt: np.ndarray
    A: np.ndarray
    mu: np.ndarray
    num: np.ndarray
    sh: np.ndarray
    saturated: np.ndarray

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation in input steps, each float64 [rows]."""
        return self.mean / 16, np.sqrt(self.var) / 16


@dataclass(frozen=True, eq=False)
class _Statistics:
    """Results of stage 1 for each row; the fields of NormTrace, int64 [rows]."""

    mean: np.ndarray
    ex2: np.ndarray
    var: np.ndarray
    e: np.ndarray
    v: np.ndarray
    mu: np.ndarray
    sh: np.ndarray
    imprecise: np.ndarray | None


@dataclass(frozen=True)
class AILayerNorm(ChannelTable):
    """The unit for one set of elaboration parameters, which are named as in the RTL.

    LANES: elements a beat, 1 to 64, a power of two. No influence on results.
    MAX_LEN: the longest row, LANES to 65536; the RTL's buffers, no influence on results.
    CMP_RANGES: ranges of DynamicCompress, 2 (SOLE) or 3.
    IN_W: bits of an input, 8, 16 or 32; above 8 it is signed, and the unit makes PTF's bytes of it.
    EPS: 1 adds an epsilon to the variance.
    IMPRECISE: 1 has the flag for rows that DynamicCompress cannot do.
    EXACT_SQ: 1 squares exactly, in the place of DynamicCompress; CMP_RANGES then does not matter.
    A_BITS: bits of gamma / sigma, 10 or 8.
    Raises TypeError or ValueError for anything else.
    """

    LANES: int = 32
    MAX_LEN: int = 1024
    CMP_RANGES: int = 2
    IN_W: int = field(default=8, metadata=FEATURE)
    EPS: int = field(default=0, metadata=FEATURE)
    IMPRECISE: int = field(default=0, metadata=FEATURE)
    EXACT_SQ: int = field(default=0, metadata=FEATURE)
    A_BITS: int = field(default=10, metadata=FEATURE)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.check_parameter("LANES", self.LANES, LANES)
        checks.check_parameter("MAX_LEN", self.MAX_LEN, range(self.LANES, MAX_LEN_LIMIT + 1))
        checks.check_parameter("CMP_RANGES", self.CMP_RANGES, (2, 3))
        checks.check_parameter("IN_W", self.IN_W, IN_WIDTHS)
        checks.check_parameter("A_BITS", self.A_BITS, (8, 10))
        for name in ("EPS", "IMPRECISE", "EXACT_SQ"):
            checks.check_parameter(name, getattr(self, name), range(2))

    @property
    def in_dtype(self) -> np.dtype:
        """What `x` has to be: uint8, int16 or int32, by IN_W."""
        return np.dtype(np.uint8 if self.IN_W == 8 else f"int{self.IN_W}")

    def __call__(
        self,
        x: np.ndarray,
        channels: Channels,
        mask: np.ndarray | None = None,
        *,
        zp: int | np.ndarray,
        len: int | np.ndarray,
        inv_mant: int | np.ndarray,
        inv_exp: int | np.ndarray,
        gfrac: int | np.ndarray,
        ofrac: int | np.ndarray,
        rms: int | np.ndarray = 0,
        qmult: int | np.ndarray = 0,
        qshift: int | np.ndarray = 0,
        eps: int | np.ndarray = 0,
    ) -> NormResult:
        """Return the unit's output for a batch of rows.

        x: uint8 [rows, length] (int16 or int32 by IN_W), one to MAX_LEN channels. channels: an
        entry for each column of x.
        mask: bool [rows, length], True is unmasked; None masks nothing. The settings, each one
        integer or an integer array [rows]:

        zp: 0..255, the input that stands for 0
        len: 0..MAX_LEN, the row's number of unmasked elements
        inv_mant, inv_exp: `reciprocal(len)`
        gfrac, ofrac: 0..7, fraction bits of gamma and of the output
        rms: 0 LayerNorm, 1 RMSNorm
        qmult, qshift: with IN_W above 8, 0..65535 and 0..63; an input of channel c is made a byte
            as rnd(x * qmult / 2^(qshift + alpha_c)) + zp, saturated
        eps: with EPS = 1, 0..65535, epsilon in units of 1/256 of an input step squared

        A setting of what the unit does not have is left out, or 0.

        For a row shorter than the array, the mask is False beyond its end. A row whose number of
        unmasked elements is not `len` sets err_len; its outputs follow the equations with the
        given reciprocal, with 16 bits of mean and 30 of mean square, which are enough for every
        correct one. An all-masked row gives zeros, without err_len only if `len` is 0, which has
        no reciprocal and needs none. Raises TypeError or ValueError, with what to do about it.
        """
        settings = self._check(
            x, channels, mask, zp, len, inv_mant, inv_exp, gfrac, ofrac, rms, qmult, qshift, eps
        )
        if not isinstance(x, np.ndarray):
            trace = self._trace(x, channels, mask, settings)
            return NormResult(trace.out, trace.err_len, trace.imprecise)
        x = np.ascontiguousarray(self._bytes(x, channels, settings))
        return _Fast(self, x, channels, mask, settings).run()

    def trace(
        self,
        x: np.ndarray,
        channels: Channels,
        mask: np.ndarray | None = None,
        *,
        zp: int | np.ndarray,
        len: int | np.ndarray,
        inv_mant: int | np.ndarray,
        inv_exp: int | np.ndarray,
        gfrac: int | np.ndarray,
        ofrac: int | np.ndarray,
        rms: int | np.ndarray = 0,
        qmult: int | np.ndarray = 0,
        qshift: int | np.ndarray = 0,
        eps: int | np.ndarray = 0,
    ) -> NormTrace:
        """Return every intermediate of a batch of rows. Arguments and errors are those of a call.

        Slow and plain: this is the unit's specification, line by line, over all rows at once.
        """
        settings = self._check(
            x, channels, mask, zp, len, inv_mant, inv_exp, gfrac, ofrac, rms, qmult, qshift, eps
        )
        return self._trace(x, channels, mask, settings)

    def _trace(
        self,
        x: np.ndarray,
        channels: Channels,
        mask: np.ndarray | None,
        settings: dict[str, np.ndarray],
    ) -> NormTrace:
        """Return every intermediate of rows, with settings of int64 [rows] each."""
        xp = namespace(x)
        x = self._bytes(x, channels, settings)
        live = full(x.shape, True, "bool", x) if mask is None else mask
        alpha, gamma, beta = (
            cast(adopt(one, x), "int64") for one in (channels.alpha, channels.gamma, channels.beta)
        )

        # Stage 1.
        a = xp.where(live, cast(x, "int64") - settings["zp"][:, None], 0)
        u = xp.abs(a)
        y, s = self._compress(u)
        n = xp.sum(cast(live, "int64"), axis=1)
        total = xp.sum(a << alpha, axis=1)
        square_sum = xp.sum((y * y << 4 * s) << 2 * alpha, axis=1)
        row = self._statistics(total, square_sum, settings)

        # Stage 2.
        rsqrt = pick(rsqrt_table(self.A_BITS), row.v - 32)
        A = rnd(gamma * rsqrt[:, None], 8)
        num = A * (((a << alpha) << 2) - row.mu[:, None])
        left, right = xp.maximum(-row.sh, 0)[:, None], xp.maximum(row.sh, 0)[:, None]
        exact = xp.where(live, rnd(num << left, right) + beta, 0)  # one of the shifts is by 0
        out = xp.clip(exact, *INT8)
        return NormTrace(
            out=cast(out, "int8"),
            err_len=n != settings["len"],
            imprecise=row.imprecise,
            a=cast(a, "int16"),
            u=cast(u, "uint8"),
            y=cast(xp.where(live, y, -1), "int16"),
            s=cast(xp.where(live, s, -1), "int8"),
            n=n,
            sum=total,
            square_sum=square_sum,
            mean=row.mean,
            ex2=row.ex2,
            var=row.var,
            e=row.e,
            v=row.v,
            rsqrt=rsqrt,
            A=cast(A, "int16"),
            mu=row.mu,
            num=num,
            sh=row.sh,
            saturated=cast(xp.sign(exact - out), "int8"),
        )

    def _bytes(
        self, x: np.ndarray, channels: Channels, settings: dict[str, np.ndarray]
    ) -> np.ndarray:
        """Return the PTF bytes of inputs: uint8 [rows, length]."""
        if self.IN_W == 8:
            return x
        zp, qmult, qshift = (settings[name][:, None] for name in ("zp", "qmult", "qshift"))
        xp = namespace(x)
        alpha = cast(adopt(channels.alpha, x), "int64")
        step = max(1, BLOCK // x.shape[1])
        parts = []
        for start in range(0, max(x.shape[0], 1), step):
            block = slice(start, min(start + step, x.shape[0]))
            shift = alpha + qshift[block, :]
            q = rescale(x[block, :], qmult[block, :], shift) + zp[block, :]
            parts.append(cast(xp.clip(q, 0, 255), "uint8"))
        return xp.concat(parts)

    def _compress(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (y, s): magnitudes u are squared as y * y << 4s."""
        return (u, u * 0) if self.EXACT_SQ else compress(u, self.CMP_RANGES)

    def _statistics(
        self, total: np.ndarray, square_sum: np.ndarray, settings: dict[str, np.ndarray]
    ) -> _Statistics:
        """Return what a row's two sums make, for both models: all in int64.

        Ex is below 2^28 and Ex2 << 4 below 2^38, times M below 2^54.
        """
        xp = namespace(total)
        mant, log = settings["inv_mant"], settings["inv_exp"]
        half = 1 << (MEAN_BITS - 1)
        mean = (rnd(total * mant, 11 + log) + half) % (2 * half) - half
        mean = xp.where(settings["rms"] == 1, 0, mean)
        if self.CMP_RANGES == 2 and not self.EXACT_SQ:
            square_sum = square_sum << 4
        ex2 = rnd(square_sum * mant, 7 + log) % (1 << EX2_BITS)
        square = mean * mean
        # Without an epsilon, the minimum of 1 takes its role.
        var = xp.clip(ex2 - square + settings["eps"], 1, VAR_LIMIT)
        imprecise = None
        if self.IMPRECISE:
            lost = square > 4 * xp.maximum(ex2 - square, 1)
            imprecise = lost & (self.EXACT_SQ == 0)
        e = floor_log2(var) >> 1
        return _Statistics(
            mean=mean,
            ex2=ex2,
            var=var,
            e=e,
            v=(var << 5) >> (2 * e),
            mu=rnd(mean, 2),
            sh=e + settings["gfrac"] - settings["ofrac"] - (10 - self.A_BITS),
            imprecise=imprecise,
        )

    def _check(
        self, x: object, channels: object, mask: object, *settings: object
    ) -> dict[str, np.ndarray]:
        """Check a call's arguments; return its settings by name, each int64 [rows]."""
        x = checks.check_rows("x", x, self.in_dtype, self.MAX_LEN)
        check_channels(channels, x.shape[1])
        checks.check_mask(mask, x.shape)
        limits: dict[str, tuple[int, int]] = {
            "zp": (0, 255),
            "len": (0, self.MAX_LEN),
            "inv_mant": MANTISSA,
            "inv_exp": (0, self.MAX_LEN.bit_length() - 1),
            "gfrac": (FRACS[0], FRACS[-1]),
            "ofrac": (FRACS[0], FRACS[-1]),
            "rms": (0, 1),
        }
        always, (qmult, qshift, eps) = settings[: len(limits)], settings[len(limits) :]
        checked = checks.check_settings(limits, always, x)
        for name, value, limit, parameter, on, at in (
            ("qmult", qmult, QMULT, "IN_W", self.IN_W > 8, "16 or 32"),
            ("qshift", qshift, QSHIFT, "IN_W", self.IN_W > 8, "16 or 32"),
            ("eps", eps, EPSILON, "EPS", self.EPS == 1, 1),
        ):
            setting = checks.check_optional(name, value, *limit, x.shape[0], parameter, on, at)
            checked[name] = spread(setting, x.shape[0], x)
        return checked


class _Fast:
    """One run of the fast model: the same integers in narrower types.

    Two passes over blocks of rows (sums; outputs), and between them the work that is done once a
    row, on all rows at a time. The buffers of a block are kept: getting fresh memory takes longer
    than some of the arithmetic.
    """

    def __init__(
        self,
        unit: AILayerNorm,
        x: np.ndarray,
        channels: Channels,
        mask: np.ndarray | None,
        settings: dict[str, np.ndarray],
    ) -> None:
        self.unit, self.x, self.channels, self.settings = unit, x, channels, settings
        self.mask = mask
        y, s = unit._compress(np.arange(256))
        self.root = (y << 2 * s).astype(np.uint8).tobytes()  # its square is y * y << 4s
        self.scale = np.ldexp(1.0, channels.alpha)
        self.zp = settings["zp"].astype(np.uint8)[:, None]

        rows, length = x.shape
        self.step = max(1, min(rows, BLOCK // length))
        self.wide = np.empty((self.step, length))
        self.num, self.spare = np.empty((2, self.step, length), np.int32)
        self.count = np.full(rows, length)
        self.total, self.square_sum = np.empty((2, rows))
        self.out = np.empty(x.shape, np.int8)

    def run(self) -> NormResult:
        """Return the batch's outputs."""
        starts = range(0, len(self.x), self.step)
        blocks = [slice(row, min(row + self.step, len(self.x))) for row in starts]
        for block in blocks:
            self._add_up(block)
        # Both are exact in float64: below 2^28 and 2^38.
        total, square_sum = self.total.astype(np.int64), self.square_sum.astype(np.int64)
        row = self.unit._statistics(total, square_sum, self.settings)

        gamma, index = self.channels.gamma.astype(np.int64), row.v - 32
        A = rnd(gamma * rsqrt_table(self.unit.A_BITS)[:, None], 8).astype(np.int32)  # for every v
        mu, sh = row.mu.astype(np.int32)[:, None], row.sh.astype(np.int32)[:, None]
        for block in blocks:
            self._put_out(block, A, index[block], mu[block], sh[block])
        return NormResult(self.out, self.settings["len"] != self.count, row.imprecise)

    def _add_up(self, block: slice) -> None:
        """Set the block's `total` and `square_sum`, and `count`."""
        x, zp, wide = self.x[block], self.zp[block], self.wide[: block.stop - block.start]
        if self.mask is not None:
            ones = self.mask[block].view(np.uint8)
            self.count[block] = ones.sum(axis=1, dtype=np.int64)
            x = (x - zp) * ones + zp  # modulo 256: zp where masked, so it adds 0 to both sums
        wide[:] = x
        offset = zp[:, 0] * self.scale.sum()
        self.total[block] = np.vecdot(wide, self.scale) - offset
        u = np.maximum(x, zp) - np.minimum(x, zp)
        # translate() is the fastest way to look bytes up.
        wide[:] = np.frombuffer(bytearray(u).translate(self.root), np.uint8).reshape(x.shape)
        wide *= self.scale
        self.square_sum[block] = np.vecdot(wide, wide)

    def _put_out(
        self, block: slice, A: np.ndarray, index: np.ndarray, mu: np.ndarray, sh: np.ndarray
    ) -> None:
        """Set the block's outputs. A: int32 [96, length]. index [rows], mu and sh [rows, 1]."""
        rows = block.stop - block.start
        num, spare = self.num[:rows], self.spare[:rows]
        num[:] = self.x[block]
        num -= self.zp[block].astype(np.int32)
        num *= np.int32(4) << self.channels.alpha.astype(np.int32)
        num -= mu  # as an input, in units of 1/4 step
        # |A| is at most 508 and |mu| 2^13, so num is below 508 * 2^14 < 2^23, and num << 7 fits;
        # with A_BITS = 8 it is below 2^21, and num << 9 fits.
        num *= A.take(index, axis=0, out=spare, mode="clip")  # the mode that makes no copy
        if (sh < 0).any():
            num <<= np.maximum(-sh, 0)
        right = np.maximum(sh, 0)
        num += (1 << right) >> 1
        num >>= right
        num += self.channels.beta.astype(np.int32)
        self.out[block] = np.clip(num, *INT8, out=num)
        if self.mask is not None:
            self.out[block] *= self.mask[block]
