# SPDX-License-Identifier: Apache-2.0
"""Bit-exact model of the exact LayerNorm: a baseline for AILayerNorm, on the same inputs.

Sums and squares are exact integers, 1/sigma comes from an integer square root and a divider. Only
what the multipliers of the last stage take is rounded, and what leaves the unit. The unit is this
project's; it shows what AILayerNorm's approximations cost and save.
`ExactLayerNorm.trace` is the readable statement of the unit; a call gives its outputs.
"""

from dataclasses import dataclass

import numpy as np

from . import checks
from .arith import FRACS, INT8, LANES, MAX_LEN_LIMIT, rnd
from .arrays import adopt, cast, floor_log2, full, namespace
from .channels import Channels, ChannelTable, check_channels

MEAN_FRAC = 7  # fraction bits of the mean
LEAST_SHIFT = -2  # of the product; less comes of level rows alone


def isqrt(n: np.ndarray) -> np.ndarray:
    """Return floor(sqrt(n)) of integers n in 0..2^52, as int64."""
    root = cast(namespace(n).sqrt(cast(n, "float64")), "int64")
    # float64's root is rounded, and may be the next integer.
    return root - cast(root * root > n, "int64")


@dataclass(frozen=True, eq=False)
class ExactResult:
    """What the unit puts out for a batch of rows.

    out: int8 [rows, length], 0 where masked, in output steps.
    """

    out: np.ndarray

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


@dataclass(frozen=True, eq=False)
class ExactTrace(ExactResult):
    """Every intermediate of a batch of rows, as the unit's specification names it.

    An input step is the scale of channels with alpha = 0. Elements, [rows, length]:

    a: int16, x - zp, 0 where masked
    v: int16, a in input steps
    A: int32, gamma / sigma
    num: int64, A times what the element exceeds the mean by; means nothing where masked
    saturated: int8, -1 or 1 if the output was clipped at -128 or 127, else 0

    Rows, int64 [rows]; of an all-masked row, those of a row of one 0:

    n: unmasked elements
    S, Q: sum of v, and of its squares, in input steps
    D: n squared times the variance, at least 1
    mean: 7 fraction bits, in input steps
    e: half the exponent of D
    root: the root of D's leading 30 to 32 bits
    Lz: exponent of n
    R: n over root, 14 fraction bits; 1/sigma is R * 2^(Lz - e - 15)
    sh: right shift from num to the output; left if negative
    """

    a: np.ndarray
    v: np.ndarray
    n: np.ndarray
    S: np.ndarray
    Q: np.ndarray
    D: np.ndarray
    mean: np.ndarray
    e: np.ndarray
    root: np.ndarray
    Lz: np.ndarray
    R: np.ndarray
    A: np.ndarray
    num: np.ndarray
    sh: np.ndarray
    saturated: np.ndarray

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation in input steps, each float64 [rows]."""
        return self.mean / 2.0**MEAN_FRAC, np.ldexp(1.0, 15 + self.e - self.Lz) / self.R


@dataclass(frozen=True)
class ExactLayerNorm(ChannelTable):
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
        zp: int | np.ndarray,
        gfrac: int | np.ndarray,
        ofrac: int | np.ndarray,
        rms: int | np.ndarray = 0,
    ) -> ExactResult:
        """Return the unit's output for a batch of rows.

        x: uint8 [rows, length], one to MAX_LEN channels. channels: an entry for each column of x.
        mask: bool [rows, length], True is unmasked; None masks nothing. The settings, each one
        integer or an integer array [rows]:

        zp: 0..255, the input that stands for 0
        gfrac, ofrac: 0..7, fraction bits of gamma and of the output
        rms: 0 LayerNorm, 1 RMSNorm

        A row that is shorter than the array is given by a mask that is False beyond its end. An
        all-masked row gives zeros. Raises TypeError or ValueError, with what to do about it.
        """
        trace = self.trace(x, channels, mask, zp=zp, gfrac=gfrac, ofrac=ofrac, rms=rms)
        return ExactResult(trace.out)

    def trace(
        self,
        x: np.ndarray,
        channels: Channels,
        mask: np.ndarray | None = None,
        *,
        zp: int | np.ndarray,
        gfrac: int | np.ndarray,
        ofrac: int | np.ndarray,
        rms: int | np.ndarray = 0,
    ) -> ExactTrace:
        """Return every intermediate of a batch of rows. Arguments and errors are those of a call.

        All fits int64: D is below 2^54, num below 2^35.
        """
        settings = self._check(x, channels, mask, zp, gfrac, ofrac, rms)
        xp = namespace(x)
        live = full(x.shape, True, "bool", x) if mask is None else mask
        alpha, gamma, beta = (
            cast(adopt(one, x), "int64") for one in (channels.alpha, channels.gamma, channels.beta)
        )
        norm = settings["rms"] == 0

        # Pass 1.
        a = xp.where(live, cast(x, "int64") - settings["zp"][:, None], 0)
        v = a << alpha
        n = xp.sum(cast(live, "int64"), axis=1)
        S, Q = xp.sum(v, axis=1), xp.sum(v * v, axis=1)

        # Once a row.
        some = xp.maximum(n, 1)
        D = xp.maximum(some * Q - xp.where(norm, S * S, 0), 1)
        # floor(y + 1/2) of y = S * 2^7 / n, in integers.
        mean = xp.where(norm, ((S << (MEAN_FRAC + 1)) + some) // (2 * some), 0)
        e = floor_log2(D) >> 1
        up = 30 - 2 * e
        root = isqrt((D << xp.maximum(up, 0)) >> xp.maximum(-up, 0))
        Lz = floor_log2(some)
        R = (some << (30 - Lz)) // root

        # Pass 2.
        A = rnd(gamma * R[:, None], 8)
        num = A * ((v << MEAN_FRAC) - mean[:, None])
        sh = xp.maximum(14 + e - Lz + settings["gfrac"] - settings["ofrac"], LEAST_SHIFT)
        left, right = xp.maximum(-sh, 0)[:, None], xp.maximum(sh, 0)[:, None]
        exact = xp.where(live, rnd(num << left, right) + beta, 0)  # one of the shifts is by 0
        out = xp.clip(exact, *INT8)
        return ExactTrace(
            out=cast(out, "int8"),
            a=cast(a, "int16"),
            v=cast(v, "int16"),
            n=n,
            S=S,
            Q=Q,
            D=D,
            mean=mean,
            e=e,
            root=root,
            Lz=Lz,
            R=R,
            A=cast(A, "int32"),
            num=num,
            sh=sh,
            saturated=cast(xp.sign(exact - out), "int8"),
        )

    def _check(
        self, x: object, channels: object, mask: object, *settings: object
    ) -> dict[str, np.ndarray]:
        """Check a call's arguments; return its settings by name, each int64 [rows]."""
        x = checks.check_rows("x", x, np.uint8, self.MAX_LEN)
        check_channels(channels, x.shape[1])
        checks.check_mask(mask, x.shape)
        fracs = (FRACS[0], FRACS[-1])
        limits: dict[str, tuple[int, int]] = {
            "zp": (0, 255),
            "gfrac": fracs,
            "ofrac": fracs,
            "rms": (0, 1),
        }
        return checks.check_settings(limits, settings, x)
