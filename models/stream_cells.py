# SPDX-License-Identifier: Apache-2.0
"""Bit-exact models of the stream cells: a requantiser and a residual adder, without row buffers.

They are additions of this project. `Quantise` is the unit that makes 8-bit integers of wide ones;
what makes integers of real values, off the chip, is the module `quantise`. A row of a stream has a
length and a mask as a softmax unit's has, but no longest length: its elements go through one by
one. Only `ResidualAdd` can see two rows that do not fit each other, and what it does beat by beat
is in `ResidualAdd.beats`.
"""

import sys
from dataclasses import dataclass

import numpy as np

from . import checks
from .arith import INT8, LANES, rescale, signed

WIDTHS = (16, 32)  # bits of an element
QMULT = (0, (1 << 16) - 1)
QSHIFT = (0, 63)
ZERO_POINT = (-256, 255)
UINT8 = (0, 255)
ANY_LENGTH = sys.maxsize


@dataclass(frozen=True, eq=False)
class QuantiseResult:
    """The cell's outputs for a batch of rows.

    out: uint8 [rows, length], the stream's bytes, 0 where masked. unsigned: bool [rows], they are
    what they say; else they are two's complement.
    """

    out: np.ndarray
    unsigned: np.ndarray

    @property
    def exponent(self) -> np.ndarray:
        """tuser's exponent, which this cell leaves at 0: int8 [rows]."""
        return np.zeros(len(self.out), np.int8)

    def values(self) -> np.ndarray:
        """Return the integers that the bytes stand for: int16 [rows, length]."""
        return np.where(self.unsigned[:, None], self.out, self.out.view(np.int8)).astype(np.int16)


@dataclass(frozen=True)
class _Cell:
    """What both cells have: their elaboration parameters, and the inputs that follow from them."""

    LANES: int = 32
    IN_W: int = 32

    def __post_init__(self) -> None:
        checks.check_parameter("LANES", self.LANES, LANES)
        checks.check_parameter("IN_W", self.IN_W, WIDTHS)

    @property
    def in_dtype(self) -> np.dtype:
        """What inputs have to be: int16 or int32, by IN_W."""
        return np.dtype(f"int{self.IN_W}")


@dataclass(frozen=True)
class Quantise(_Cell):
    """The requantiser for one set of elaboration parameters, which are named as in the RTL.

    LANES: elements a beat, 1 to 64, a power of two. No influence on results.
    IN_W: bits of an input, 16 or 32.
    Raises TypeError or ValueError for anything else.
    """

    def __call__(
        self,
        x: np.ndarray,
        mask: np.ndarray | None = None,
        *,
        qmult: int | np.ndarray,
        qshift: int | np.ndarray,
        zp: int | np.ndarray = 0,
        unsigned: int | np.ndarray = 0,
    ) -> QuantiseResult:
        """Return rnd(x * qmult / 2^qshift) + zp of each unmasked element, saturated to a byte.

        x: int16 or int32 [rows, length], by IN_W. mask: bool [rows, length], True is unmasked; None
        masks nothing. The settings, each one integer or an integer array [rows]:

        qmult: 0..65535. qshift: 0..63
        zp: -256..255, the output that stands for 0
        unsigned: 0 saturates at -128 and 127, 1 at 0 and 255

        For a row shorter than the array, the mask is False beyond its end. Raises TypeError or
        ValueError, with what to do about it.
        """
        x = checks.check_rows("x", x, self.in_dtype, ANY_LENGTH)
        checks.check_mask(mask, x.shape)
        limits = {"qmult": QMULT, "qshift": QSHIFT, "zp": ZERO_POINT, "unsigned": (0, 1)}
        given = checks.check_settings(limits, (qmult, qshift, zp, unsigned), x)
        mults, shifts, zeros, bare = (setting[:, None] for setting in given.values())
        q = rescale(x, mults, shifts) + zeros
        low, high = (np.where(bare == 1, *ends) for ends in zip(UINT8, INT8, strict=True))
        live = True if mask is None else mask
        out = np.where(live, np.clip(q, low, high), 0)
        return QuantiseResult(out.astype(np.int16).astype(np.uint8), given["unsigned"] == 1)


@dataclass(frozen=True, eq=False)
class Beats:
    """Consecutive beats of a stream, of any rows.

    data: integers [beats, LANES]. keep, strb: bool [beats, LANES], tkeep and tstrb. last: bool
    [beats], tlast.
    """

    data: np.ndarray
    keep: np.ndarray
    strb: np.ndarray
    last: np.ndarray

    @property
    def wrong_keep(self) -> np.ndarray:
        """Beats of a tkeep that the contract does not allow: bool [beats].

        All ones are allowed, and in a last beat any run of ones from lane 0.
        """
        run = ~(self.keep[:, 1:] & ~self.keep[:, :-1]).any(axis=1) & self.keep[:, 0]
        return ~np.where(self.last, run, self.keep.all(axis=1))


@dataclass(frozen=True, eq=False)
class SummedBeats(Beats):
    """What comes out of `ResidualAdd` for the beats that went in.

    err_keep: bool [beats], tuser's flag: of the row, as far as this beat. pulses: the number of
    clocks in which err_keep_o is high, dropped beats' included. drained: the beats that were
    dropped, of either stream.
    """

    err_keep: np.ndarray
    pulses: int
    drained: int


@dataclass(frozen=True, eq=False)
class ResidualResult:
    """The cell's outputs for a batch of rows.

    out: int16 or int32 [rows, width], 0 where masked. length: int64 [rows], the elements of the row
    that comes out. mask: bool [rows, width], its unmasked elements. err_keep: bool [rows], the two
    rows were not of one length.
    """

    out: np.ndarray
    length: np.ndarray
    mask: np.ndarray
    err_keep: np.ndarray

    @property
    def exponent(self) -> np.ndarray:
        """tuser's exponent, which this cell leaves at 0: int8 [rows]."""
        return np.zeros(len(self.out), np.int8)


@dataclass(frozen=True)
class ResidualAdd(_Cell):
    """The residual adder for one set of elaboration parameters, which are named as in the RTL.

    LANES: elements a beat, 1 to 64, a power of two. Of influence on results only where the two
    streams do not fit each other.
    IN_W: bits of an element, in both streams and in the result, 16 or 32.
    Raises TypeError or ValueError for anything else.
    """

    def __call__(
        self,
        x: np.ndarray,
        residual: np.ndarray,
        mask: np.ndarray | None = None,
        residual_mask: np.ndarray | None = None,
        *,
        length: int | np.ndarray | None = None,
        residual_length: int | np.ndarray | None = None,
    ) -> ResidualResult:
        """Return the saturated sum of two batches of rows, row by row.

        x, residual: int16 or int32 [rows, width] by IN_W, of one shape. mask, residual_mask: bool
        [rows, width], True is unmasked; None masks nothing. length, residual_length: 1..width, the
        elements of each row, one integer or an integer array [rows]; None is all of them. An
        element that is masked in either is masked, and 0, in the result; a row is as long as the
        shorter of the two, and what the other has beyond that is dropped. Raises TypeError or
        ValueError, with what to do about it.
        """
        rows = {"x": (x, mask, length), "residual": (residual, residual_mask, residual_length)}
        live, ends = [], []
        for name, (array, unmasked, end) in rows.items():
            array = checks.check_rows(name, array, self.in_dtype, ANY_LENGTH)
            if array.shape != x.shape:
                raise ValueError(
                    f"residual must have the shape {x.shape} of x, got {array.shape}: pad it"
                )
            checks.check_mask(unmasked, array.shape)
            count, width = array.shape
            named = "length" if name == "x" else "residual_length"
            end = checks.check_setting(named, width if end is None else end, 1, width, count)
            ends.append(np.broadcast_to(end, count))
            live.append(True if unmasked is None else unmasked)
        shorter = np.minimum(*ends)
        both = live[0] & live[1] & (np.arange(x.shape[1]) < shorter[:, None])
        return ResidualResult(self._add(x, residual, both), shorter, both, ends[0] != ends[1])

    def beats(self, s: Beats, r: Beats) -> SummedBeats:
        """Return what comes out for two streams of whole rows, as many in each, beat by beat.

        This is the cell's specification, also for beats that the contract does not allow. Raises
        ValueError if a stream ends within a row, or the two have not the same number of rows.
        """
        for name, stream in (("s", s), ("r", r)):
            if not len(stream.last) or not stream.last[-1]:
                raise ValueError(f"stream {name} does not end with a row's last beat: cut it there")
        if s.last.sum() != r.last.sum():
            raise ValueError(
                f"{s.last.sum()} rows and {r.last.sum()} rows: give the same number in each"
            )
        wrong = {"s": s.wrong_keep, "r": r.wrong_keep}
        pairs, flags = [], []
        pulses = drained = at_s = at_r = 0
        flag = False
        while at_s < len(s.last):
            unequal = s.last[at_s] != r.last[at_r] or (s.keep[at_s] != r.keep[at_r]).any()
            error = bool(unequal or wrong["s"][at_s] or wrong["r"][at_r])
            flag |= error
            pulses += error
            pairs.append((at_s, at_r))
            flags.append(flag)
            ended = s.last[at_s] or r.last[at_r]
            # A row ends with the first tlast; the other stream is drained to its own. A dropped
            # beat can still have a tkeep that is not allowed.
            while ended and not s.last[at_s]:
                at_s += 1
                drained, pulses = drained + 1, pulses + int(wrong["s"][at_s])
            while ended and not r.last[at_r]:
                at_r += 1
                drained, pulses = drained + 1, pulses + int(wrong["r"][at_r])
            flag &= not ended
            at_s, at_r = at_s + 1, at_r + 1
        of_s, of_r = np.array(pairs).T
        # A lane without tkeep has no tstrb: that pair is reserved in AXI4-Stream.
        keep = s.keep[of_s] & r.keep[of_r]
        strb = keep & s.strb[of_s] & r.strb[of_r]
        return SummedBeats(
            data=self._add(s.data[of_s], r.data[of_r], strb),
            keep=keep,
            strb=strb,
            last=s.last[of_s] | r.last[of_r],
            err_keep=np.array(flags),
            pulses=pulses,
            drained=drained,
        )

    def _add(self, one: np.ndarray, other: np.ndarray, live: np.ndarray) -> np.ndarray:
        """Return the saturated sum of two arrays, 0 where not live."""
        total = np.clip(one.astype(np.int64) + other, *signed(self.IN_W))
        return np.where(live, total, 0).astype(self.in_dtype)
