# SPDX-License-Identifier: Apache-2.0
"""Units on tensors of any device, float to float, with the bits of the models and few passes.

A pass over memory is what costs time, so all is done in pieces that stay in a cache, with float32
and int32 in which every step is exact. Masks are floats, 1 or 0: torch is many times slower with
booleans (torch 2.13, CPU). What these functions do not take, the model itself does on tensors.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from softnorm.models.ailayernorm import VAR_LIMIT, AILayerNorm, reciprocal, rsqrt_table
from softnorm.models.arith import INT8, rnd
from softnorm.models.e2softmax import FORMATS, ROOT_HALF, E2Softmax, div_table

from ..networks.stand_in import FittedNorm

PIECE = 1 << 18  # elements: smaller ones stay in a smaller cache, but calls take their time, too
NORM_PIECE = 1 << 17
TOGETHER = 1 << 21  # elements whose rows' sums are made at a time: few calls of small size

ONE = 127 + 15  # exponent of the float that counts 2^-15 and is 1
_LOWEST = 256  # -2 * (-128)
_QUARTER = 0.25  # see `_put_out`

Value = float | torch.Tensor  # one for all rows, or [rows, 1]


def takes(unit: object, settings: dict[str, int]) -> bool:
    """Whether `e2softmax` computes a unit with these settings."""
    if not isinstance(unit, E2Softmax):
        return False
    rare = unit.SCALE or unit.BLOCKS or unit.LOG_FIRST or unit.FRAC >= 0 or settings.get("s7", 0)
    return not rare and settings.get("fmt", 0) in FORMATS


def e2softmax(
    unit: E2Softmax,
    x: torch.Tensor,
    live: torch.Tensor | None,
    frac: int | torch.Tensor,
    offset: Value,
    fmt: int,
    passes: Passes | None = None,
) -> torch.Tensor:
    """Return what E2Softmax makes of real logits: probabilities of x's shape and dtype.

    x: float [rows, length], without NaN where it counts. live: 1 where an element counts, else 0,
    of x's shape, float32; None: all count. frac: F, 0..7, or int32 [rows, 1]. offset: what logits
    are less, one or [rows, 1], of x's dtype or float32's. fmt: 0 or 1. passes: None, or
    `compiled()`.
    """
    rows, length = x.shape
    if passes is None or length % unit.LANES:
        passes = EAGER
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    by_row = (x, live, frac, offset, out)
    step = max(1, TOGETHER // length)
    for part in zip(*(_split(one, step, rows) for one in by_row), strict=True):
        _run(unit, passes, fmt, *part)
    return out


def _run(unit, passes, fmt, x, live, frac, offset, out) -> None:
    rows, length = x.shape
    beats = -(-length // unit.LANES)
    width = beats * unit.LANES
    # Codes as exponents of floats: where the outputs will be, if these are of the same size.
    if passes.in_place and width == length and out.dtype == torch.float32:
        codes = out.view(torch.int32)
    else:
        codes = _buffer("codes", (rows, width), torch.int32, x.device)
    tops = torch.empty((rows, beats), dtype=torch.int32, device=x.device)
    sums = torch.empty((rows, beats), dtype=torch.float32, device=x.device)
    scale = _power(frac + 1).neg_() if isinstance(frac, torch.Tensor) else -(2.0 ** (frac + 1))
    less = offset * scale
    # The floor of (23 * d + half) / 2^shift, taken off the exponent in units of 2^unit_bits.
    unit_bits = 23 - unit.EXP_FRAC
    half = 1 << (frac + 3 - unit.EXP_FRAC)
    first = (ONE << 23) + (1 << unit_bits) - ((1 + half) << (19 - frac))
    weight = 23 << (18 - frac)

    step = max(1, min(rows, passes.piece // width))
    spare = _buffer("whole", (step, width), torch.int32, x.device)
    real = spare.view(torch.float32)  # the same memory: less of a cache
    if x.dtype == torch.float64 or not passes.in_place:
        real = _buffer("real", (step, width), _wide(x), x.device)
    by_row = (x, live, scale, less, first, weight, codes, tops, sums)
    for part in zip(*(_split(one, step, rows) for one in by_row), strict=True):
        x, live, scale, less, first, weight, code, top, total = part
        count = len(x)
        whole, lanes = spare[:count], (count, beats, unit.LANES)
        passes.quantise(x, live, scale, less, real[:count], whole)
        torch.amin(whole.view(lanes), dim=-1, out=top)
        if beats > 1:
            top.copy_(top.cummin(dim=1).values)
        edge = (top * weight + first)[:, :, None]
        if isinstance(weight, torch.Tensor):
            weight = weight[:, :, None]
        passes.code(unit, live, edge, weight, length, whole.view(lanes), code.view(lanes))
        terms = whole if unit.EXP_FRAC else code
        torch.sum(terms.view(torch.float32).view(lanes), dim=-1, out=total)
    by_row = (codes, *_row(unit, frac, fmt, tops, sums), out)
    for part in zip(*(_split(one, step, rows) for one in by_row), strict=True):
        code, whole, by_odd, exponent, into = part
        count = len(code)
        lanes = (count, beats, unit.LANES)
        passes.put_out(code.view(lanes), whole, by_odd, exponent, spare[:count].view(lanes), into)


def _wide(x: torch.Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _quantise(x, live, scale, less, real, whole) -> None:
    """Set whole to -2q of the logits q, rounded half up: to an even number, as an integer."""
    length = x.shape[1]
    padded = whole.shape[1] != length
    y = real[:, :length] if padded else real
    if x.dtype != y.dtype:
        x = y.copy_(x)
    torch.mul(x, scale, out=y)
    if isinstance(less, torch.Tensor) or less:
        y.sub_(less)
    y.ceil_().clamp_(-254, _LOWEST)
    if live is not None:
        y.sub_(_LOWEST).mul_(live).add_(_LOWEST)
    if padded:
        real[:, length:] = _LOWEST
    whole.copy_(real).bitwise_and_(-2)


def _code(unit, live, edge, weight, length, whole, codes) -> None:
    """Set codes, as exponents of floats; and with EXP_FRAC = 1 whole, to what they count."""
    rows = len(codes)
    unit_bits = 23 - unit.EXP_FRAC
    last = (ONE << 23) - ((31 if unit.EXP_FRAC else 15) << unit_bits)
    if isinstance(weight, torch.Tensor):
        torch.sub(edge, whole.mul_(weight), out=codes)
    else:
        torch.add(edge, whole, alpha=-weight, out=codes)
    codes.clamp_(min=last).bitwise_and_(-1 << unit_bits)
    powers = codes.view(torch.float32)
    in_rows = powers.view(rows, -1)
    if live is not None:
        in_rows[:, :length].mul_(live)
    if in_rows.shape[1] != length:
        in_rows[:, length:] = 0
    if unit.EXP_FRAC:
        # An odd code is 1.5 times a power of two, and counts 2 * ROOT_HALF / 256 times.
        torch.bitwise_and(codes, -1 << 23, out=whole)
        more = 4 * ROOT_HALF / 256 - 2
        whole.view(torch.float32).mul_(1 - more).add_(powers, alpha=more).floor_()


def _split(one: object, step: int, rows: int) -> list:
    """Pieces of a tensor by row; what is no tensor is the same in each piece."""
    if isinstance(one, torch.Tensor):
        return [one] if step >= rows else one.split(step)
    return [one] * -(-rows // step)


_kept = threading.local()


def _buffer(name: str, shape: tuple[int, int], dtype: torch.dtype, of: torch.device):
    """Memory that a thread's calls share, not initialised: fresh memory takes longer than sums."""
    size = shape[0] * shape[1]
    key = (name, dtype, of)
    kept = _kept.__dict__.get(key)
    if kept is None or kept.numel() < size:
        with torch.inference_mode(False):  # else it could not be written outside of that mode
            kept = torch.empty(max(size, PIECE), dtype=dtype, device=of)
        _kept.__dict__[key] = kept
    return kept[:size].view(shape)


def _row(unit, frac, fmt, tops, sums) -> tuple:
    """Return what is done once a row or a beat, for `_put_out`."""
    shift = frac + 4 - unit.EXP_FRAC
    twice_half = 1 << shift
    top = 31 if unit.EXP_FRAC else 15

    def code(twice: torch.Tensor, rows_at: int) -> torch.Tensor:
        """Codes of differences, two times as large; rows_at: the axis of rows."""
        half, down = twice_half, shift + 1
        if isinstance(down, torch.Tensor) and rows_at:
            half, down = half.T, down.T
        return (twice * 23).add_(half).bitwise_right_shift_(down).clamp_(max=top)

    sums = sums.T.contiguous().to(torch.int64)
    total = sums[0].clone()
    if len(sums) > 1:
        by_beat = tops.T.contiguous()
        rise = by_beat[:-1] - by_beat[1:]
        grown = rise.amax(1).nonzero()[:, 0]
        starts = range(len(sums) + 1)
        if len(grown) < len(rise):  # between beats at which a row's maximum grows, sums just add up
            starts = [0, *(grown + 1).tolist(), len(sums)]
            rise = rise.index_select(0, grown)
        parts = [sums[a] if b == a + 1 else sums[a:b].sum(0) for a, b in pairwise(starts)]
        codes = downs = code(rise, 1)
        if unit.EXP_FRAC:
            downs = (codes >> 1).add_(8)
            codes.bitwise_and_(1).mul_(ROOT_HALF - 256).add_(256)
        times, downs = codes.to(torch.int64), downs.to(torch.int64)
        total = parts[0].clone()
        for factor, down, part in zip(times, downs, parts[1:], strict=True):
            if unit.EXP_FRAC:
                total.mul_(factor)
            total.bitwise_right_shift_(down).add_(part)
    leading = total.clamp_(min=1).to(torch.float64).frexp().exponent - 1
    bins = (total << unit.DIV_BITS) >> leading & ((1 << unit.DIV_BITS) - 1)
    ks = (leading - 15).clamp_(min=0)[:, None]

    later = code(tops - tops[:, -1:], 0)
    index = bins[:, None].to(torch.int32)
    if unit.EXP_FRAC:
        index = later.bitwise_and(1).add_(2 * index)
    down = later.bitwise_right_shift_(unit.EXP_FRAC)
    if not fmt:
        down.add_(ks)
    scale = _power(-15 - down)
    exponent = _power(-8 - ks) if fmt else 2.0**-8
    whole, by_odd = (
        None if one is None else (one.index_select(0, index.view(-1)).view(index.shape) * scale)
        for one in _constants(unit.DIV_BITS, unit.EXP_FRAC, tops.device)
    )
    return whole[:, :, None], None if by_odd is None else by_odd[:, :, None], exponent


def _put_out(codes, whole, by_odd, exponent, spare, out) -> None:
    # rnd(C / 2^k) of codes that are powers of two. C has 1/4 more: then no quotient is a tie, and
    # none is rounded otherwise, so that any rounding to the nearest does.
    powers, shares = codes.view(torch.float32), spare.view(torch.float32)
    if by_odd is None:
        torch.mul(powers, whole, out=shares)
    else:
        torch.bitwise_and(codes, -1 << 23, out=spare)
        shares.mul_(whole).addcmul_(powers, by_odd)
    shares = shares.view(len(out), -1)[:, : out.shape[1]]
    shares.round_()
    if out.dtype == torch.float32:
        torch.mul(shares, exponent, out=out)
    else:
        out.copy_(shares.mul_(exponent))


class Passes(NamedTuple):
    """What goes over all elements of a piece: as it stands above, or as torch.compile makes it.

    in_place: codes are kept where the outputs will be. piece: elements of one.
    """

    quantise: Callable
    code: Callable
    put_out: Callable
    in_place: bool
    piece: int


EAGER = Passes(_quantise, _code, _put_out, True, PIECE)


def _compiled_quantise(x, live, scale, less, real, whole) -> None:
    """As `_quantise`: torch.compile makes one pass of what is written as values."""
    y = (x.to(real.dtype) * scale - less).ceil().clamp(-254, _LOWEST)
    if live is not None:
        y = (y - _LOWEST) * live + _LOWEST
    whole.copy_(y.to(torch.int32) & -2)


def _compiled_code(exp_frac, live, edge, weight, length, whole, codes) -> None:
    unit_bits = 23 - exp_frac
    last = (ONE << 23) - ((31 if exp_frac else 15) << unit_bits)
    new = (edge - whole * weight).clamp(min=last) & (-1 << unit_bits)
    if live is not None:
        new = new * live.view(codes.shape).to(torch.int32)
    codes.copy_(new)
    if exp_frac:
        more = 4 * ROOT_HALF / 256 - 2
        terms = (new & (-1 << 23)).view(torch.float32) * (1 - more) + new.view(torch.float32) * more
        whole.copy_(terms.floor().view(torch.int32))


def _compiled_put_out(codes, whole, by_odd, exponent, spare, out) -> None:
    powers = codes.view(torch.float32)
    if by_odd is None:
        shares = powers * whole
    else:
        shares = (codes & (-1 << 23)).view(torch.float32) * whole + powers * by_odd
    out.copy_(shares.view(out.shape).round() * exponent)


@lru_cache
def compiled() -> Passes:
    """By torch.compile, which takes some seconds for each kind of rows; for rows of whole beats."""
    every = (_compiled_quantise, _compiled_code, _compiled_put_out)
    quantise, code, put_out = (torch.compile(one) for one in every)
    return Passes(
        quantise, lambda unit, *given: code(unit.EXP_FRAC, *given), put_out, False, TOGETHER
    )


# --- LayerNorm ------------------------------------------------------------------------------------


def norm(unit: object, fitted: FittedNorm) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """Return what AILayerNorm, calibrated, makes of real rows [rows, channels]; None: not so fast.

    The rows are finite; what is returned has their shape and dtype.
    """
    if not isinstance(unit, AILayerNorm) or unit.IN_W > 8 or unit.A_BITS != 10:
        return None
    by_device: dict[torch.device, _Norm] = {}

    def run(x: torch.Tensor) -> torch.Tensor:
        if x.device not in by_device:
            by_device[x.device] = _Norm(unit, fitted, x.device)
        return by_device[x.device](x)

    return run


class _Norm:
    """AILayerNorm with its tables on a device.

    Inputs are quantised in float64, as the model's are: a quotient is rounded in no other way. An
    input is then at most 2^11 steps, and num at most 2^23 in magnitude: float32 holds both.
    """

    def __init__(self, unit: AILayerNorm, fitted: FittedNorm, device: torch.device):
        self.unit, self.fitted = unit, fitted
        folded, channels = fitted.folded, fitted.folded.channels

        def table(values: object, dtype: torch.dtype) -> torch.Tensor:
            return torch.tensor(np.asarray(values), dtype=dtype, device=device)

        root, places = unit._compress(np.arange(256))
        gamma = channels.gamma.astype(np.int64)
        self.step = table(fitted.ptf.step, torch.float64)
        self.scale = table(np.ldexp(1.0, channels.alpha), torch.float32)
        self.root = table(root << 2 * places, torch.float32)
        self.A = table(rnd(gamma * rsqrt_table()[:, None], 8), torch.float32)
        self.half = table(0.5, torch.float32)
        self.beta = table(channels.beta, torch.float32)
        self.out_step = table(folded.step, torch.float64)
        self.offset = table(fitted.offset, torch.float64)
        self.low, self.high = -float(folded.zp), 255.0 - folded.zp
        mant, log = reciprocal(len(channels.gamma))
        up = 4 if unit.CMP_RANGES == 2 and not unit.EXACT_SQ else 0
        self.mean = (int(mant), 11 + int(log))
        self.square = (int(mant) << up, 7 + int(log))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(x, memory_format=torch.contiguous_format)
        step, rows = max(1, TOGETHER // x.shape[1]), len(x)
        for part, into in zip(_split(x, step, rows), _split(out, step, rows), strict=True):
            self._run(part, into)
        return out

    def _run(self, x: torch.Tensor, out: torch.Tensor) -> None:
        # What an input exceeds the zero point by, in input steps.
        a = out if out.dtype == torch.float32 else torch.empty_like(x, dtype=torch.float32)
        total, square_sum = torch.empty((2, len(x)), dtype=torch.float64, device=x.device)
        step, rows = max(1, NORM_PIECE // x.shape[1]), len(x)
        by_row = (x, a, total, square_sum)
        for piece in zip(*(_split(one, step, rows) for one in by_row), strict=True):
            self._add_up(*piece)
        by_row = (a, *self._statistics(total.to(torch.int64), square_sum.to(torch.int64)), out)
        for piece in zip(*(_split(one, step, rows) for one in by_row), strict=True):
            self._put_out(*piece)

    def _add_up(self, x, a, total, square_sum) -> None:
        if self.fitted.centre:
            x = (x if x.dtype == torch.float64 else x.float()) - self.fitted.centre
        wide = _buffer("wide", x.shape, torch.float64, x.device)
        roots = _buffer("real", x.shape, torch.float32, x.device)
        index = _buffer("index", x.shape, torch.int64, x.device)
        wide.copy_(x).div_(self.step).add_(0.5).floor_().clamp_(self.low, self.high)
        a.copy_(wide)
        index.copy_(torch.abs(a, out=roots))
        a.mul_(self.scale)
        torch.sum(wide.copy_(a), dim=1, out=total)
        torch.index_select(self.root, 0, index.view(-1), out=roots.view(-1))
        roots.mul_(self.scale).square_()
        torch.sum(wide.copy_(roots), dim=1, out=square_sum)

    def _put_out(self, a, mu, place, down, out) -> None:
        wide = _buffer("wide", a.shape, torch.float64, a.device)
        A = _buffer("real", a.shape, torch.float32, a.device)
        torch.index_select(self.A, 0, place, out=A).mul_(down)
        a.sub_(mu)  # of an input step, as mu is; the factor of 4 is in `down`
        torch.addcmul(self.half, a, A, out=a)
        a.floor_().add_(self.beta).clamp_(*INT8)
        out.copy_(wide.copy_(a).mul_(self.out_step).add_(self.offset))

    def _statistics(self, total, square_sum) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return mu, the place in the table of A, and 2^-sh, of rows' sums, int64 [rows].

        The number of channels is the row's length, so that mean and mean square need no wrapping.
        """
        folded = self.fitted.folded
        mean = _rounded(total, self.mean)
        if folded.rms:
            mean.zero_()
        ex2 = _rounded(square_sum, self.square)
        var = ex2.sub_(mean * mean).clamp_(1, VAR_LIMIT)
        e = (var.to(torch.float64).frexp().exponent - 1) >> 1
        place = (var << 5).bitwise_right_shift_((2 * e).to(torch.int64)).sub_(32)
        mu = mean.add_(2).bitwise_right_shift_(2).to(torch.float32).div_(4)
        return mu[:, None], place, _power(folded.ofrac - folded.gfrac + 2 - e)[:, None]


def _rounded(x: torch.Tensor, by: tuple[int, int]) -> torch.Tensor:
    """rnd(x * factor, shift) of int64."""
    factor, shift = by
    return (x * factor).add_(1 << (shift - 1)).bitwise_right_shift_(shift)


# --------------------------------------------------------------------------------------------------


def _power(exponent: torch.Tensor) -> torch.Tensor:
    """2^exponent as float32, of integers -126..127: made of its bits, so exact anywhere."""
    return ((exponent + 127).to(torch.int32) << 23).view(torch.float32)


@lru_cache
def _constants(
    div_bits: int, exp_frac: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What codes are multiplied by, float32: by the divider's bin and, with half octaves, parity.

    DIV_C, 1/4 more (`_put_out`). With half octaves the float of a code is p = 2^-h of an even one
    and 3/4 of it of an odd one; e, p rounded down to a power of two, is half of it of an odd one.
    So a * e + b * p, a and b from here, are what even and odd codes take: C and C / sqrt(2), and
    where the beat's shift is odd, too, the other way round.
    """
    table = div_table(div_bits)
    whole = table + _QUARTER
    if not exp_frac:
        return torch.tensor(whole, dtype=torch.float32, device=device), None
    rooted = ((ROOT_HALF * table + 128) >> 8) + _QUARTER
    even = np.stack([whole, rooted], axis=1).ravel()
    odd = np.stack([rooted, whole / 2], axis=1).ravel()
    by_odd = 4 * odd - 2 * even
    a, b = (torch.tensor(x, dtype=torch.float32, device=device) for x in (even - by_odd, by_odd))
    return a, b
