# SPDX-License-Identifier: Apache-2.0
"""Bit-exact model of E2Softmax: softmax with 4-bit logarithms and no multiplier or divider.

Source: SOLE (Wang et al., ICCAD 2023, arXiv 2510.17189): Log2Exp, its online normalisation and its
approximate division. DIV_BITS > 1, EXP_FRAC = 1, fmt > 0 and what an accelerator needs around it
(logits of any width and scale, rows in blocks, formats) are additions of this project.
`E2Softmax.trace` is the readable statement of the unit, on arrays of any library. A call gives the
same from it or, for numpy's int8 logits of a power-of-two scale in whole rows, from a fast model.
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from typing import Any, overload

import numpy as np

from . import checks
from .arith import (
    FEATURE,
    FRACS,
    IN_WIDTHS,
    LANES,
    MAX_LEN_LIMIT,
    PortRegisters,
    empty,
    look_up,
    rnd,
    signed,
)
from .arrays import cast, floor_log2, full, namespace, pick, power, spread

FORMATS = range(2)  # 0 linear, 1 row-scaled
UNNORMALISED = 2  # what FORMATS = 1 adds; 3 acts as 2

MULTS = range(128)  # M - 128 of a row's scale M * 2^-S
SHIFTS = range(64)  # S
SUM_LIMIT = (1 << 32) - 1  # at which the sum of BLOCKS = 1 saturates

_DTYPES = {bits: np.dtype(f"int{bits}") for bits in IN_WIDTHS}

# 1/sqrt(2), the step of half an octave, in 1/256. All of EXP_FRAC = 1 rests on this one figure.
ROOT_HALF = 181

# Elements that the fast model works on at a time: its buffers then stay in a 2 MiB L2 cache.
BLOCK = 1 << 18


def log2exp(d: int | np.ndarray, frac: int | np.ndarray, exp_frac: int = 0) -> np.ndarray:
    """Return round(d * 2^-frac / ln 2) in octaves, or in half octaves for exp_frac = 1, clipped.

    SOLE's Log2Exp: e^-d = 2^-log2exp(d), with 1/ln 2 taken as 23/16. `d` (a difference of logits,
    any integers 0..255) and `frac` (0..7) broadcast; the result is integers 0..15, or 0..31.
    """
    shift = frac + 4 - exp_frac
    code = (23 * d + (1 << (shift - 1))) >> shift
    return namespace(code).minimum(code, 31 if exp_frac else 15)


def octaves(x: Any, frac: int | np.ndarray, exp_frac: int = 0) -> np.ndarray:
    """Return round(x * 2^-frac / ln 2) in octaves, or in half octaves for exp_frac = 1.

    What LOG_FIRST = 1 makes of each logit, with 1/ln 2 taken as 23/16. `x` (int64, -128..127) and
    `frac` (0..7) broadcast; the result is a signed integer of 9 bits, or 10.
    """
    steps: np.ndarray = 23 * x
    return rnd(steps, frac + 4 - exp_frac)


def log2exp_scaled(
    d: np.ndarray, mult: int | np.ndarray, shift: int | np.ndarray, exp_frac: int = 0
) -> np.ndarray:
    """Return round(d * M * 2^-S) with M = 128 + mult and S = shift, clipped as `log2exp` clips.

    M * 2^-S is the logits' scale times log2(e), or twice that for exp_frac = 1. `d` (a difference
    of logits, int64 0..2^33 - 1), `mult` (0..127) and `shift` (0..63) broadcast. What is left of d
    before the product is rounded down.
    """
    xp = namespace(d)
    top, small = (31 if exp_frac else 15), 1 << (13 + exp_frac)
    up, down = (xp.maximum(xp.asarray(n), 0) for n in (16 - shift, shift - 16))
    t = xp.minimum((d << up) >> down, small)
    return xp.where(t == small, top, xp.minimum(rnd((128 + mult) * t, 16), top))


@overload
def weight(code: int, exp_frac: int = 0) -> int: ...
@overload
def weight(code: np.ndarray, exp_frac: int = 0) -> np.ndarray: ...
def weight(code: int | np.ndarray, exp_frac: int = 0) -> int | np.ndarray:
    """Return 2^-code, or 2^(-code/2) for exp_frac = 1, as an integer in units of 2^-15."""
    if not exp_frac:
        return (1 << 15) >> code
    # An odd code's (ROOT_HALF << (15 - h)) >> 8, h octaves and a half, is (ROOT_HALF << 7) >> h.
    return ((1 << 15) - (code & 1) * ((1 << 15) - (ROOT_HALF << 7))) >> (code >> 1)


def decay(total: np.ndarray, code: np.ndarray, exp_frac: int = 0) -> np.ndarray:
    """Return total * 2^-code, or total * 2^(-code/2) for exp_frac = 1, rounded down.

    Integers of at most 55 bits. Two floor shifts in a row are one, so the odd half octave's
    `>> 8` and the octaves' shift are taken together.
    """
    if not exp_frac:
        return total >> code
    return (total * (256 - (code & 1) * (256 - ROOT_HALF))) >> (8 + (code >> 1))


@lru_cache
def div_table(div_bits: int) -> np.ndarray:
    """Return DIV_C, the divider's constants: int64 [2^div_bits], 1/(1+s) with 8 fraction bits.

    One bit is SOLE's pair, 0.818 and 0.568. More bits take the mean of 1/(1+s) over each bin of s.
    """
    if div_bits == 1:
        constants = [209, 145]
    else:
        bins = 1 << div_bits
        means = (bins * math.log((bins + j + 1) / (bins + j)) for j in range(bins))
        constants = [math.floor(256 * mean + 0.5) for mean in means]
    table = np.array(constants)
    table.setflags(write=False)  # it is shared by every caller
    return table


@dataclass(frozen=True, eq=False)
class SoftmaxResult:
    """The unit's outputs for a batch of rows.

    out: uint8 [rows, length], 0 where masked. exponent: int8 [rows], tuser's exponent (0 but in the
    row-scaled format). bits: out's fraction bits, 8, or [rows] of them: one fewer unnormalised, one
    fewer with s7. An element's real value is out * 2^-(bits + exponent).

    out_max, out_sum: int64 [rows], the row's state, which the next block goes on from; 0 and 0
    before the first unmasked element. None of a unit with BLOCKS = 0.
    """

    out: np.ndarray
    exponent: np.ndarray
    bits: int | np.ndarray = 8
    out_max: np.ndarray | None = None
    out_sum: np.ndarray | None = None

    def to_real(self) -> np.ndarray:
        """Return the probabilities as float64 [rows, length].

        Unnormalised ones are 1 at the row's maximum so far.
        """
        return cast(self.out, "float64") * power(self._step())[:, None]

    def half_lsb(self) -> np.ndarray:
        """Return half an output step as float64 [rows]: what an output of 0 may stand for."""
        return power(self._step() - 1)

    def _step(self) -> np.ndarray:
        return -self.bits - cast(self.exponent, "int64")


@dataclass(frozen=True, eq=False, kw_only=True)
class E2SoftmaxTrace(SoftmaxResult):
    """Every intermediate of a batch of rows, as the unit's specification names it.

    Codes and shifts count octaves, or half octaves with EXP_FRAC = 1. Beats before a row's first
    unmasked element, if no other block comes before, hold the smallest logit as beat_max and no
    correction.

    beat_max: int32 [rows, beats], the running maximum m_t; with LOG_FIRST = 1 it counts as codes do
    correction1: uint8 [rows, beats], log2exp(m_t - m_(t-1)), 0 up to the first unmasked beat
    code: int16 [rows, length], y_i, -1 where masked
    correction2: uint8 [rows, beats], log2exp(m_L - m_t)
    k: int16 [rows, length], y_i + correction2, -1 where masked
    sum: int64 [rows], in units of 2^-15, 0 for an all-masked row
    ks: uint8 [rows], floor(log2(sum)) - 15, at least 0
    j: uint8 [rows], the divider's bin
    updates: int32 [rows], beats at which a maximum that there was grew
    argmax: int32 [rows], first unmasked position of the maximum, -1 if none here is it
    """

    beat_max: np.ndarray
    correction1: np.ndarray
    code: np.ndarray
    correction2: np.ndarray
    k: np.ndarray
    sum: np.ndarray
    ks: np.ndarray
    j: np.ndarray
    updates: np.ndarray
    argmax: np.ndarray


@dataclass(frozen=True)
class E2Softmax(PortRegisters):
    """The unit for one set of elaboration parameters, which are named as in the RTL.

    LANES: elements a beat, 1 to 64, a power of two. They share one maximum, so it changes results.
    MAX_LEN: the longest row, LANES to 65536; the RTL's buffers, no influence on results.
    DIV_BITS: bits of the sum that choose the divider's constant, 1 (SOLE) to 4.
    EXP_FRAC: 0 counts in octaves (SOLE), 1 in half octaves.
    IN_W: bits of a logit, 8, 16 or 32; above 8 only with SCALE = 1.
    SCALE: 0 takes logits in units of 2^-frac, 1 in units of any scale, by mult and shift.
    BLOCKS: 1 lets a row come in blocks: a block starts from a state, and puts the next one out.
    FORMATS: 1 adds the unnormalised format, and outputs of 7 bits.
    LOG_FIRST: 1 makes octaves of the logits first, then takes their maximum. Only with int8 logits
        of a power-of-two scale, whole rows and the two formats.
    FRAC: frac, fixed, 0 to 7; -1: each row has its own. Only with SCALE = 0.
    Raises TypeError or ValueError for anything else.
    """

    LANES: int = 32
    MAX_LEN: int = 1024
    DIV_BITS: int = 1
    EXP_FRAC: int = 0
    IN_W: int = field(default=8, metadata=FEATURE)
    SCALE: int = field(default=0, metadata=FEATURE)
    BLOCKS: int = field(default=0, metadata=FEATURE)
    FORMATS: int = field(default=0, metadata=FEATURE)
    LOG_FIRST: int = field(default=0, metadata=FEATURE)
    FRAC: int = field(default=-1, metadata=FEATURE)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.check_parameter("LANES", self.LANES, LANES)
        checks.check_parameter("MAX_LEN", self.MAX_LEN, range(self.LANES, MAX_LEN_LIMIT + 1))
        checks.check_parameter("DIV_BITS", self.DIV_BITS, range(1, 5))
        checks.check_parameter("EXP_FRAC", self.EXP_FRAC, range(2))
        checks.check_parameter("IN_W", self.IN_W, IN_WIDTHS)
        for name in ("SCALE", "BLOCKS", "FORMATS", "LOG_FIRST"):
            checks.check_parameter(name, getattr(self, name), range(2))
        if self.IN_W > 8 and not self.SCALE:
            raise ValueError(f"IN_W = {self.IN_W} needs SCALE = 1: set it, or IN_W = 8")
        checks.check_parameter("FRAC", self.FRAC, range(-1, FRACS[-1] + 1))
        if self.FRAC >= 0 and self.SCALE:
            raise ValueError(f"FRAC = {self.FRAC} cannot be with SCALE = 1: set FRAC = -1")
        for name in ("SCALE", "BLOCKS", "FORMATS"):
            if self.LOG_FIRST and getattr(self, name):
                raise ValueError(f"LOG_FIRST = 1 cannot be with {name} = 1: set one of them to 0")

    @property
    def in_dtype(self) -> np.dtype:
        """What `x` has to be: int8, int16 or int32, by IN_W."""
        return _DTYPES[self.IN_W]

    def __call__(
        self,
        x: np.ndarray,
        mask: np.ndarray | None = None,
        *,
        frac: int | np.ndarray | None = None,
        fmt: int | np.ndarray = 0,
        s7: int | np.ndarray = 0,
        mult: int | np.ndarray | None = None,
        shift: int | np.ndarray | None = None,
        carry_max: int | np.ndarray = 0,
        carry_sum: int | np.ndarray = 0,
    ) -> SoftmaxResult:
        """Return the unit's output for a batch of rows.

        x: int8 [rows, length] (int16 or int32 by IN_W), logits; length 1..MAX_LEN, no multiple of
        LANES needed. mask: bool [rows, length], True is unmasked; None masks nothing. The settings,
        each one integer or an integer array [rows]:

        frac: with SCALE = 0, the logits are in units of 2^-frac, 0..7; left out with FRAC >= 0
        mult, shift: with SCALE = 1, 0..127 and 0..63; (128 + mult) * 2^-shift is a logit's unit
            times log2(e), and times 2 with EXP_FRAC = 1
        fmt: 0 linear, 1 row-scaled; with FORMATS = 1 also 2, unnormalised, and 3, which acts as 2
        s7: with FORMATS = 1, 1 halves the outputs and keeps them at 127
        carry_max, carry_sum: with BLOCKS = 1, the state to go on from, of IN_W signed and 32
            unsigned bits; a sum of 0 starts a row, and the maximum then does not matter

        A setting of what the unit does not have is left out, or 0. For a row shorter than the
        array, the mask is False beyond its end. Lanes without an element and masked lanes count
        neither in the maximum nor in the sum and output 0; a beat of such lanes changes neither. An
        all-masked row gives zeros and exponent 0, and leaves its state as it was. Raises TypeError
        or ValueError, with what to do about it.
        """
        settings = self._check(
            x, mask, frac, fmt, s7=s7, mult=mult, shift=shift, max=carry_max, sum=carry_sum
        )
        other = self.SCALE or self.BLOCKS or self.FORMATS or self.LOG_FIRST
        if other or not isinstance(x, np.ndarray):
            return self._plain(x, mask, settings)
        x = np.ascontiguousarray(x)
        if mask is not None:
            mask = np.ascontiguousarray(mask)
        # One number for both, to group the rows by.
        together = settings["frac"] * len(FORMATS) + settings["fmt"]
        distinct = np.unique(together)
        if len(distinct) == 1:
            return self._run(x, mask, *divmod(int(distinct[0]), len(FORMATS)))
        result = SoftmaxResult(np.empty(x.shape, np.uint8), np.empty(len(x), np.int8))
        for setting in distinct:
            rows = together == setting
            part = self._run(
                x[rows], None if mask is None else mask[rows], *divmod(int(setting), len(FORMATS))
            )
            result.out[rows], result.exponent[rows] = part.out, part.exponent
        return result

    def trace(
        self,
        x: np.ndarray,
        mask: np.ndarray | None = None,
        *,
        frac: int | np.ndarray | None = None,
        fmt: int | np.ndarray = 0,
        s7: int | np.ndarray = 0,
        mult: int | np.ndarray | None = None,
        shift: int | np.ndarray | None = None,
        carry_max: int | np.ndarray = 0,
        carry_sum: int | np.ndarray = 0,
    ) -> E2SoftmaxTrace:
        """Return every intermediate of a batch of rows. Arguments and errors are those of a call.

        Plain: this is the unit's specification, line by line, over all rows at once.
        """
        settings = self._check(
            x, mask, frac, fmt, s7=s7, mult=mult, shift=shift, max=carry_max, sum=carry_sum
        )
        return self._trace(x, mask, {n: spread(v, x.shape[0], x) for n, v in settings.items()})

    def correction(
        self,
        before: np.ndarray,
        after: np.ndarray,
        *,
        frac: int | np.ndarray | None = None,
        mult: int | np.ndarray | None = None,
        shift: int | np.ndarray | None = None,
    ) -> np.ndarray:
        """Return what to multiply an accumulator by when its row's maximum has grown: float64.

        An accumulator is a sum of unnormalised outputs times anything, relative to the maximum
        `before`; the next block's outputs are relative to `after`. Both are integers [rows] in
        IN_W bits, and so is the result. Where a row had no unmasked element before, its accumulator
        is 0, and what comes out for it means nothing. The scale is as for a call.

        Raises TypeError or ValueError for a wrong scale.
        """
        before, after = np.asarray(before, np.int64), np.asarray(after, np.int64)
        scale = self._check_scale(frac, mult, shift, len(after))
        code = self._log2exp(np.maximum(after - before, 0), *scale)
        if not self.EXP_FRAC:
            return np.ldexp(1.0, -code)
        return np.ldexp(np.where(code & 1, ROOT_HALF / 256, 1.0), -(code >> 1))

    def scale_of(self, step: float | np.ndarray) -> dict[str, np.ndarray]:
        """Return the settings mult and shift of logits in units of step: int64 of step's shape.

        step: what a logit of 1 is worth, real, above 0; float64 of any shape. They are for SCALE =
        1, and M is the nearest: it is off by 1/256 at most. A step that is so small that all
        differences are 0 gets the smallest scale. Raises ValueError for a step that is none, or
        larger than a logit of 1 can be worth.
        """
        octaves = np.asarray(step, np.float64) * (2**self.EXP_FRAC / math.log(2))
        if not (np.isfinite(octaves) & (octaves > 0)).all():
            raise ValueError(f"step must be finite and above 0, got {step}")
        mantissa, exponent = np.frexp(octaves)  # mantissa in 0.5 .. 1
        m = np.floor(mantissa * 256 + 0.5).astype(np.int64)
        up = m == 256
        m, shift = np.where(up, 128, m), 8 - exponent.astype(np.int64) - up
        if (shift < SHIFTS[0]).any():
            most = 255.5 * math.log(2) / 2**self.EXP_FRAC
            raise ValueError(
                f"step must be below {most:.3g}, got {np.max(step):.3g}: no M holds it"
            )
        far = shift > SHIFTS[-1]
        return {"mult": np.where(far, 0, m - 128), "shift": np.minimum(shift, SHIFTS[-1])}

    def reciprocal(self, total: np.ndarray) -> np.ndarray:
        """Return what to multiply a row's accumulator by at its end: float64 [rows], about 1/sum.

        total: int64 [rows], the final sum, in units of 2^-15; 0, of a row without an unmasked
        element, gives what a sum of 1 does.
        """
        ks, j = self._divider(np.asarray(total, np.int64))
        return np.ldexp(div_table(self.DIV_BITS)[j].astype(np.float64), -8 - ks)

    def _trace(
        self, x: np.ndarray, mask: np.ndarray | None, settings: dict[str, np.ndarray]
    ) -> E2SoftmaxTrace:
        """Return every intermediate of rows, with settings of int64 [rows] each."""
        xp, (rows, length) = namespace(x), x.shape
        beats = -(-length // self.LANES)
        shape = (rows, beats, self.LANES)
        smallest = signed(self.IN_W)[0]
        live = full((rows, beats * self.LANES), False, "bool", x)
        live[:, :length] = True if mask is None else mask
        lowest = full(live.shape, smallest, "int64", x)
        lowest[:, :length] = xp.where(live[:, :length], cast(x, "int64"), smallest)
        scale = [settings[name] for name in (("mult", "shift") if self.SCALE else ("frac",))]
        scales = [setting[:, None] for setting in scale]

        if self.LOG_FIRST:
            lowest = octaves(lowest, scales[0], self.EXP_FRAC)
            smallest = octaves(smallest, scale[0], self.EXP_FRAC)

        # Stage 1: maxima and codes of each beat, then the sum from beat to beat as they come in.
        going_on = settings["carry_sum"] > 0
        tops = xp.max(xp.reshape(lowest, shape), axis=2)
        some = xp.any(xp.reshape(live, shape), axis=2)
        maxima, seen = [xp.where(going_on, settings["carry_max"], smallest)], [going_on]
        for beat in range(beats):
            maxima.append(xp.maximum(maxima[-1], tops[:, beat]))
            seen.append(seen[-1] | some[:, beat])
        maximum, ever = maxima[-1], seen[-1]
        before, beat_max = xp.stack(maxima[:-1], axis=1), xp.stack(maxima[1:], axis=1)
        grown = xp.stack(seen[:-1], axis=1) & (beat_max > before)
        correction1 = xp.where(grown, self._log2exp(beat_max - before, *scales), 0)
        y = self._log2exp(xp.repeat(beat_max, self.LANES, axis=1) - lowest, *scales)
        terms = xp.sum(xp.reshape(xp.where(live, weight(y, self.EXP_FRAC), 0), shape), axis=2)
        total = settings["carry_sum"]
        for beat in range(beats):
            total = decay(total, correction1[:, beat], self.EXP_FRAC) + terms[:, beat]
            if self.BLOCKS:
                total = xp.minimum(total, SUM_LIMIT)

        # Stage 2: the row's maximum and sum are known.
        fmt, s7 = settings["fmt"], settings["s7"]
        correction2 = self._log2exp(maximum[:, None] - beat_max, *scales)
        if self.LOG_FIRST:
            correction2 = xp.minimum(maximum[:, None] - beat_max, self._top * 2)
        correction2 = xp.where(xp.stack(seen[1:], axis=1), correction2, 0)
        k = xp.where(live, y + xp.repeat(correction2, self.LANES, axis=1), -1)
        if self.LOG_FIRST:
            k = xp.minimum(k, self._top * 2)
        ks, j = self._divider(total)
        unnormalised = cast(fmt >= UNNORMALISED, "int64")
        constant = xp.where(fmt >= UNNORMALISED, 256, pick(div_table(self.DIV_BITS), j))[:, None]
        whole = k
        if self.EXP_FRAC:
            constant = xp.where((k & 1) == 1, rnd(ROOT_HALF * constant, 8), constant)
            whole = k >> 1
        further = xp.where(fmt == 0, ks, 0) + unnormalised + s7
        shift = xp.where(live, whole + further[:, None], 0)
        out = xp.minimum((255 - 128 * s7)[:, None], rnd(constant, shift))
        at_maximum = cast(live & (lowest == maximum[:, None]), "int8")
        here = xp.max(at_maximum, axis=1) == 1
        return E2SoftmaxTrace(
            out=cast(xp.where(live, out, 0)[:, :length], "uint8"),
            exponent=cast(xp.where((fmt == 1) & xp.any(live, axis=1), ks, 0), "int8"),
            bits=8 - unnormalised - s7,
            beat_max=cast(beat_max, "int32"),
            correction1=cast(correction1, "uint8"),
            code=cast(xp.where(live, y, -1)[:, :length], "int16"),
            correction2=cast(correction2, "uint8"),
            k=cast(k[:, :length], "int16"),
            out_max=xp.where(ever, maximum, 0) if self.BLOCKS else None,
            out_sum=total if self.BLOCKS else None,
            sum=total,
            ks=cast(ks, "uint8"),
            j=cast(j, "uint8"),
            updates=cast(xp.sum(cast(grown, "int32"), axis=1), "int32"),
            argmax=cast(xp.where(here, xp.argmax(at_maximum, axis=1), -1), "int32"),
        )

    @property
    def _top(self) -> int:
        """The largest code."""
        return 31 if self.EXP_FRAC else 15

    def _log2exp(self, d: np.ndarray, *scale: int | np.ndarray) -> np.ndarray:
        """Return the code of differences of logits; scale: frac, or mult and shift."""
        if self.LOG_FIRST:
            return namespace(d).minimum(d, self._top)
        if self.SCALE:
            mult, shift = scale
            return log2exp_scaled(d, mult, shift, self.EXP_FRAC)
        (frac,) = scale
        return log2exp(d, frac, self.EXP_FRAC)

    def _divider(self, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ks and the bin j of sums, all int64 [rows]. A sum of 0 is as one of 1."""
        xp = namespace(total)
        total = xp.maximum(total, 1)
        leading = floor_log2(total)
        j = ((total << self.DIV_BITS) >> leading) & ((1 << self.DIV_BITS) - 1)
        return xp.maximum(leading - 15, 0), j

    def _check(
        self, x: object, mask: object, frac: object, fmt: object, **others: object
    ) -> dict[str, int | np.ndarray]:
        """Return the settings by name, each an int or int64 [rows]; those that are off are 0."""
        x = checks.check_rows("x", x, self.in_dtype, self.MAX_LEN)
        checks.check_mask(mask, x.shape)
        rows = x.shape[0]
        settings: dict[str, int | np.ndarray] = {}
        names = ("mult", "shift") if self.SCALE else ("frac",)
        scale = self._check_scale(frac, others["mult"], others["shift"], rows)
        settings.update(zip(names, scale, strict=True))
        highest = 3 if self.FORMATS else FORMATS[-1]
        settings["fmt"] = checks.check_setting("fmt", fmt, FORMATS[0], highest, rows)
        for parameter, name, value, limits in (
            ("FORMATS", "s7", others["s7"], (0, 1)),
            ("BLOCKS", "carry_max", others["max"], signed(self.IN_W)),
            ("BLOCKS", "carry_sum", others["sum"], (0, SUM_LIMIT)),
        ):
            settings[name] = checks.check_optional(
                name, value, *limits, rows, parameter, bool(getattr(self, parameter))
            )
        return settings

    def _check_scale(
        self, frac: object, mult: object, shift: object, rows: int
    ) -> list[int | np.ndarray]:
        """Return frac, or mult and shift with SCALE = 1, each an int or int64 [rows]."""
        given = {"frac": (frac, FRACS, 0), "mult": (mult, MULTS, 1), "shift": (shift, SHIFTS, 1)}
        scale = []
        if self.FRAC >= 0:
            given["frac"] = (self._fixed(frac), FRACS, 0)
        for name, (value, allowed, wanted) in given.items():
            if wanted == self.SCALE:
                if value is None:
                    raise TypeError(f"{name} must be given for a unit with SCALE = {self.SCALE}")
                scale.append(checks.check_setting(name, value, allowed[0], allowed[-1], rows))
            elif value is not None:
                checks.check_optional(name, value, 0, 0, rows, "SCALE", False, wanted)
        return scale

    def _fixed(self, frac: object) -> int:
        """Return FRAC. Raises ValueError for another frac: it would change nothing."""
        if frac is not None and not np.array_equal(np.unique(frac), [self.FRAC]):  # pyright: ignore
            raise ValueError(f"frac is {self.FRAC} in a unit with FRAC = {self.FRAC}: leave it out")
        return self.FRAC

    def _plain(
        self, x: np.ndarray, mask: np.ndarray | None, settings: dict[str, int | np.ndarray]
    ) -> SoftmaxResult:
        """Return what `_trace` has to say of a row's outputs, of blocks of rows in turn."""
        xp, (rows, length) = namespace(x), x.shape
        by_row = {name: spread(value, rows, x) for name, value in settings.items()}
        step = max(1, BLOCK // length)
        parts = []
        for start in range(0, max(rows, 1), step):
            block = slice(start, min(start + step, rows))
            parts.append(
                self._trace(
                    x[block, :],
                    None if mask is None else mask[block, :],
                    {name: value[block] for name, value in by_row.items()},
                )
            )
        names = ("out", "exponent", "bits", "out_max", "out_sum")
        columns: list[Any] = [[getattr(part, name) for part in parts] for name in names]
        together: list[Any] = [None if one[0] is None else xp.concat(one) for one in columns]
        return SoftmaxResult(*together)

    def _run(self, x: np.ndarray, mask: np.ndarray | None, frac: int, fmt: int) -> SoftmaxResult:
        """Run the fast model on rows of one setting."""
        length = x.shape[1]
        missing = -length % self.LANES
        if not missing:
            return _Fast(self, x, mask, frac, fmt).run()
        padded = np.zeros((len(x), length + missing), np.int8)
        padded[:, :length] = x
        present = np.zeros(padded.shape, bool)
        present[:, :length] = True if mask is None else mask
        result = _Fast(self, padded, present, frac, fmt).run()
        return SoftmaxResult(np.ascontiguousarray(result.out[:, :length]), result.exponent)


class _Fast:
    """One run of the fast model: whole beats, one frac and one fmt.

    Three passes over blocks of rows (maxima; codes and sums; outputs), and between them the work
    that goes from beat to beat or is done once a row, on all rows at a time. An element's byte of
    `out` holds its logit first, then its code, and its output at last.

    numpy is fast along a long axis and slow along the few lanes of a beat, and every element meets
    a value of its beat twice. So a block is worked on as planes [words, beats of all its rows *
    group]: a word is a group of up to 8 lanes, and plane w holds word w of every beat. Rows go
    there and back in whole words. A beat's value reaches all lanes of a word by one multiplication
    with 0x00010001.., and the line of all beats' values so made serves every plane.
    """

    def __init__(
        self, unit: E2Softmax, x: np.ndarray, mask: np.ndarray | None, frac: int, fmt: int
    ) -> None:
        self.unit, self.fmt = unit, fmt
        self.x = x.view(np.uint8)
        self.mask = None if mask is None else mask.view(np.uint8)
        self.rows, length = x.shape
        self.beats = length // unit.LANES
        self.log2exp = log2exp(np.arange(256), frac, unit.EXP_FRAC).astype(np.uint8)
        # log2exp before its clip is (23 * d + half) >> shift. The dividend is 6889 at most.
        self.shift = frac + 4 - unit.EXP_FRAC
        self.half = 1 << (self.shift - 1)

        self.group = min(unit.LANES, 8)
        self.words = unit.LANES // self.group
        self.word = np.dtype(f"u{self.group}").type
        self.ones = self.word(int.from_bytes(b"\1" * self.group, "little"))
        wide = min(2 * self.group, 8)  # bytes; a word of uint16 takes one or two of these
        self.wide = np.dtype(f"u{wide}").type
        self.wide_ones = self.wide(int.from_bytes(b"\1\0" * (wide // 2), "little"))

        self.out = empty(x.size).reshape(x.shape)
        self.top = np.empty((self.rows, self.beats), np.int8)
        self.masked = np.zeros((self.rows, self.beats), np.uint8)
        self.sums = np.empty((self.beats, self.rows), np.int32)  # at most 64 * 2^15
        self.step = max(1, min(self.rows, BLOCK // length))
        line = self.step * self.beats * self.group
        shorts = empty(2 * line * (2 * self.words + 2)).view(np.uint16).reshape(-1, line)
        self.shorts, self.spare, self.lines = np.split(shorts, [self.words, 2 * self.words])

    def run(self) -> SoftmaxResult:
        """Return the batch's outputs."""
        exp_frac, div_bits = self.unit.EXP_FRAC, self.unit.DIV_BITS
        blocks = [slice(row, row + self.step) for row in range(0, self.rows, self.step)]
        for block in blocks:
            self._find_maxima(block)
        np.maximum.accumulate(self.top, axis=1, out=self.top)
        for block in blocks:
            self._code_and_sum(block)

        # An all-masked row has a sum of 0, and outputs of 0 whatever its constant; its ks is 0.
        total = np.maximum(self._accumulate(), 1 << 15)
        leading = np.frexp(total.astype(np.float64))[1] - 1  # exact, as the sum is below 2^53
        ks = (leading - 15).astype(np.uint8)
        bins = (total >> (leading - div_bits)) & ((1 << div_bits) - 1)
        constants = div_table(div_bits)[bins].astype(np.uint16)[:, None]
        top = self.top.view(np.uint8)
        shifts = look_up(self.log2exp, top[:, -1:] - top)
        if not self.fmt:
            shifts += (ks << exp_frac)[:, None]
        for block in blocks:
            self._put_out(block, constants[block], shifts[block])
        exponent = ks if self.fmt else np.zeros_like(ks)
        return SoftmaxResult(self.out, exponent.view(np.int8))

    def _planes(self, block: slice) -> np.ndarray:
        """Return the block's bytes of `out` as planes."""
        return self.out[block].reshape(self.words, -1)

    def _load(self, rows: np.ndarray, planes: np.ndarray) -> None:
        """Copy rows, uint8 [rows, length], into planes."""
        np.copyto(planes.view(self.word), rows.view(self.word).reshape(-1, self.words).T)

    def _spread(self, beats: np.ndarray, line: int = 0) -> np.ndarray:
        """Return line 0 or 1: each lane of a word gets its beat's value, uint16 [rows, beats]."""
        spread = self.lines[line, : beats.size * self.group]
        first, *second = spread.view(self.wide).reshape(beats.size, -1).T
        np.multiply(beats.reshape(-1), self.wide_ones, out=first)
        for other in second:
            other[:] = first
        return spread

    def _find_maxima(self, block: slice) -> None:
        """Load the block's logits; set `top` to each beat's own maximum, and `masked`."""
        planes = self._planes(block)
        self._load(self.x[block], planes)
        logits = planes.view(np.int8)
        if self.mask is not None:
            ceiling = self.spare.view(np.uint8)[:, : planes.shape[1]]
            self._load(self.mask[block], ceiling)
            unmasked = np.add.reduce(ceiling, axis=0, dtype=np.uint8).view(self.word)
            unmasked *= self.ones  # the top byte is now the sum of the word's bytes, at most 64
            unmasked >>= self.word(8 * (self.group - 1))
            self.masked[block] = self.unit.LANES - unmasked.reshape(-1, self.beats)
            # A masked element takes part as -128, which no maximum notices.
            np.subtract(np.uint8(128), ceiling, ceiling)  # 127 or, where masked, -128
            np.minimum(logits, ceiling.view(np.int8), out=logits)
        line = np.maximum.reduce(logits, axis=0)
        near = 1
        while near < self.group:  # line[i] becomes the maximum of 2, 4, 8 lanes from i on
            line = np.maximum(line[:-near], line[near:])
            near *= 2
        self.top[block] = line[:: self.group].reshape(-1, self.beats)

    def _code_and_sum(self, block: slice) -> None:
        """Turn the block's logits into codes, and set `sums` to each beat's weights' sum."""
        planes = self._planes(block)
        size = planes.shape[1]
        codes, spare = self.shorts[:, :size], self.spare[:, :size]
        # 23 * d + half = (23 * top + half) - 23 * x, modulo 2^16.
        edge = self._spread((self.top[block] * np.int16(23) + np.int16(self.half)).view(np.uint16))
        np.multiply(planes.view(np.int8), np.int16(23), out=codes.view(np.int16))
        np.subtract(edge, codes, codes)
        np.right_shift(codes, np.uint16(self.shift), codes)
        if (23 * 255 + self.half) >> self.shift > 255:
            # Only where a code may not fit its byte need codes be clipped. Elsewhere a code beyond
            # the clip comes to the weight of the clip below, and to an output of 0 in _put_out.
            np.minimum(codes, np.full(size, self.log2exp[-1], np.uint16), out=codes)
        np.copyto(planes, codes, casting="unsafe")

        weights = codes
        if self.unit.EXP_FRAC:  # as weight() does it
            np.bitwise_and(codes, np.uint16(1), spare)
            np.multiply(spare, np.uint16((1 << 15) - (ROOT_HALF << 7)), spare)
            np.subtract(np.uint16(1 << 15), spare, spare)
            np.right_shift(codes, np.uint16(1), codes)
            np.right_shift(spare, codes, weights)
        else:  # less 1, since (2^15 >> y) - 1 = (2^15 - 1) >> y: two of these fit into 16 bits
            np.right_shift(np.uint16((1 << 15) - 1), codes, weights)
            if self.words > 1:
                weights = np.add(weights[0::2], weights[1::2], weights[0::2])
        if self.group > 1:
            pairs = weights.view(np.uint32)
            odd_lanes = spare.view(np.uint32)[: len(pairs)]
            np.right_shift(pairs, np.uint32(16), odd_lanes)
            np.bitwise_and(pairs, np.uint32(0xFFFF), pairs)
            np.add(pairs, odd_lanes, pairs)
        else:
            pairs = weights.astype(np.uint32)
        line = pairs[0]
        for plane in pairs[1:]:
            np.add(line, plane, line)
        sums = reduce(np.add, line.reshape(-1, max(1, self.group // 2)).T).view(np.int32)
        sums = sums.reshape(-1, self.beats)
        if not self.unit.EXP_FRAC:
            sums = sums + np.int32(self.unit.LANES)  # the ones that were left out
        if self.mask is not None:  # what masked elements added as -128 is known, and goes off
            share = weight(self.log2exp.astype(np.int32), self.unit.EXP_FRAC)
            sums = sums - share.take(self.top[block].view(np.uint8) ^ 128) * self.masked[block]
        self.sums[:, block] = sums.T

    def _accumulate(self) -> np.ndarray:
        """Return stage 1's sum, int64 [rows]."""
        sums = self.sums
        top = np.ascontiguousarray(self.top.view(np.uint8).T)
        rise = top[1:] - top[:-1]
        grown = rise.any(axis=1)
        if not grown.all():  # between beats at which some row's maximum grows, sums just add up
            starts = np.flatnonzero(grown) + 1
            sums, rise = np.add.reduceat(sums, np.append(0, starts), axis=0), rise[grown]
        total = sums[0].astype(np.int64)
        for code, beat in zip(look_up(self.log2exp, rise), sums[1:], strict=True):
            total = decay(total, code.astype(np.int64), self.unit.EXP_FRAC) + beat
        return total

    def _put_out(self, block: slice, constants: np.ndarray, shifts: np.ndarray) -> None:
        """Turn the block's codes into outputs.

        constants: uint16 [rows, 1], C. shifts: uint8 [rows, beats], what k exceeds a code by.
        """
        # rnd(C / 2^k) is (((C << 8) >> k) + 128) >> 8: C << 8 fits 16 bits, loses none of them up
        # to k = 8, and leaves at most 124 from k = 9 on. numpy shifts by 16 and more to 0. The
        # shift by k is one by the beat's shift, and one by the element's code.
        planes = self._planes(block)
        size = planes.shape[1]
        out = self.shorts[:, :size]
        line = self._spread(self._scaled(constants, shifts))
        if self.unit.EXP_FRAC:
            less = self._spread(self._scaled(constants, shifts + np.uint8(1)), 1)  # for odd codes
            np.subtract(line, less, less)
            np.bitwise_and(planes, np.uint16(1), out=out)
            np.multiply(out, less, out)
            np.subtract(line, out, out)
            np.right_shift(planes, np.uint8(1), planes)
            np.right_shift(out, planes, out=out)
        else:
            np.right_shift(line, planes, out=out)
        np.add(out, np.uint16(128), out)
        np.right_shift(out, np.uint16(8), out)
        planes = self.spare.view(np.uint8)[:, :size]
        np.copyto(planes, out, casting="unsafe")
        words = self.out[block].view(self.word).reshape(-1, self.words)
        for word, plane in zip(words.T, planes.view(self.word), strict=True):
            word[:] = plane
        if self.mask is not None:
            np.multiply(self.out[block], self.mask[block], self.out[block])

    def _scaled(self, constants: np.ndarray, k: np.ndarray) -> np.ndarray:
        """Return C << 8 shifted right by k; with EXP_FRAC = 1 an odd k takes C / sqrt(2) for C.

        constants: uint16 [rows, 1]. k: uint8 [rows, beats]. Returns uint16 [rows, beats].
        """
        if not self.unit.EXP_FRAC:
            return (constants << 8) >> k
        odd = ((ROOT_HALF * constants.astype(np.uint32) + 128) >> 8).astype(np.uint16)
        return (np.where(k & 1, odd, constants) << 8) >> (k >> 1)
