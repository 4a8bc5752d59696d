# SPDX-License-Identifier: Apache-2.0
"""The stream contract in numpy: what rows the beats on the pins make, and what must come back.

Written from docs/stream.md, for every unit alike. Pin-level runs use it on what the monitors saw,
bulk runs on the arrays that were driven and collected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from softnorm.units.unit import ChannelSet, Parameters, Rows, Unit, UserField, from_bits

from ..stimulus.values import Noise, Row

FLAGS = UserField("flags", 7)  # of every unit's tuser, the low bits: {err_keep, err_len, exponent}


@dataclass(frozen=True)
class StreamShape:
    """Geometry of a build: lanes a beat, elements a row, bytes a lane on either side.

    user  the fields of m_axis_tuser, the lowest first
    cell  whether it is a stream cell's: no row is too long, tstrb comes out, and tuser has the
          row's flags so far
    inputs  how many input streams it has
    """

    lanes: int
    max_len: int
    in_dtype: np.dtype
    out_dtype: np.dtype
    user: tuple[UserField, ...] = (FLAGS,)
    cell: bool = False
    inputs: int = 1

    @classmethod
    def of(cls, unit: Unit, parameters: Parameters) -> StreamShape:
        """The geometry of a unit's build."""
        return cls(
            parameters["LANES"],
            unit.max_len(parameters),
            unit.input_dtype(parameters),
            unit.out_dtype(parameters),
            (FLAGS, *unit.user_fields(parameters)),
            unit.cell,
            len(unit.inputs),
        )

    @property
    def user_bits(self) -> int:
        """Width of m_axis_tuser."""
        return sum(field.bits for field in self.user)

    @property
    def user_bytes(self) -> int:
        return -(-self.user_bits // 8)

    def user_slices(self) -> Iterator[slice]:
        """The bits of each field of m_axis_tuser, bit 0 first."""
        low = 0
        for one in self.user:
            yield slice(low, low + one.bits)
            low += one.bits

    def user_values(self, raw: np.ndarray) -> dict[str, np.ndarray]:
        """Of a unit's own fields, name -> [rows]; raw: `OutputBeats.user` of the rows."""
        own = enumerate(self.user[1:], 1)
        return {one.name: from_bits(one, raw[:, place]) for place, one in own}

    @property
    def max_beats(self) -> int:
        return -(-self.max_len // self.lanes)

    @property
    def full(self) -> int:
        """tkeep of a beat with every lane."""
        return (1 << self.lanes) - 1


@dataclass
class ObservedRow:
    """Beats of a row as a monitor saw them.

    beats  [tdata, tlast, tkeep, side band] of each beat; the side band is tstrb of an input, tuser
           of an output, and a cell's tstrb behind it. Strings of 0 and 1, the high bit first, as
           the simulator hands them over: to turn them into numbers beat by beat would cost more
           than the rest of the bench.
    """

    beats: list[list[str]] = field(default_factory=list)
    settings: dict[str, int] = field(default_factory=dict)  # of an input row
    channels: ChannelSet | None = None  # what the input row's bank held
    clocks: list[int] = field(default_factory=list)  # clock of each beat's transfer
    waits: int = 0  # clocks with tvalid and no tready
    gaps: int = 0  # clocks without tvalid after the first beat
    before: int = 0  # clocks without tvalid, before it too: 1, some without tready; 2, some with it


@dataclass(frozen=True)
class Joint:
    """What tb.check.join found where it joined several input streams: a pair has a beat of each.

    wrong    [pairs] bool, its tkeep or tlast are not equal or not allowed
    pulses   (clocks, rows) of err_keep_o: for pairs, and for beats that were dropped
    unequal  [pairs] index into JOIN_UNEQUAL
    longer   [rows] index into JOIN_LENGTHS
    first    [pairs] index into JOIN_FIRST
    kinds    of tkeeps that are not allowed, index into KEEP_KINDS
    dropped  [dropped beats] bool, its tkeep is not allowed
    """

    wrong: np.ndarray
    pulses: tuple[np.ndarray, np.ndarray]
    unequal: np.ndarray
    longer: np.ndarray
    first: np.ndarray
    kinds: np.ndarray
    dropped: np.ndarray


JOIN_UNEQUAL = ("no", "tkeep", "tlast", "both")
JOIN_LENGTHS = ("equal", "s_axis longer", "s_axis shorter")  # in beats
JOIN_FIRST = ("s_axis", "both at once", "another")


@dataclass(frozen=True)
class Expected:
    """A batch of input rows, decoded.

    rows      what the unit computes on, [rows, max width of the batch]
    keep      [rows, width] bool, elements that come out
    beats     [rows] int, output beats
    err_len, err_keep  [rows] bool, the common checks; err_len_o pulses once for each such row
    keep_flags  [rows, beats] bool, err_keep in tuser of each output beat; beyond a row's end that
               of its first
    len_beat   [rows] index of the beat that shows a wrong length: the first one beyond MAX_LEN, or
               the row's last; among the beats of the whole batch
    beat_row, keep_wrong  [beats] of all input beats: its row; bool, err_keep_o pulses for it
    keep_kinds, keep_places  [beats with a wrong tkeep] index into KEEP_KINDS and KEEP_PLACES
    dropped   [rows] int, beats beyond the last that a row can have
    joint     of a unit of several input streams: beats are those of pairs
    """

    rows: Rows
    keep: np.ndarray
    beats: np.ndarray
    err_len: np.ndarray
    err_keep: np.ndarray
    keep_flags: np.ndarray
    len_beat: np.ndarray
    beat_row: np.ndarray
    keep_wrong: np.ndarray
    keep_kinds: np.ndarray
    keep_places: np.ndarray
    dropped: np.ndarray
    joint: Joint | None = None


# Ways for a tkeep to be wrong: no lane; a hole, or no lane 0; a run that ends before the row does.
KEEP_PLACES = ("in the row", "first dropped beat", "dropped between", "last dropped beat")
KEEP_KINDS = ("empty", "empty at tlast", "hole", "hole at tlast", "short")


def _bits(values: Sequence[str], width: int) -> np.ndarray:
    """[len(values), width] bool from bit strings, bit 0 first."""
    raw = np.frombuffer("".join(values).encode("ascii"), np.uint8)
    return raw.reshape(-1, width)[:, ::-1] == ord("1")


def _lanes(values: Sequence[str], lanes: int, dtype: np.dtype) -> np.ndarray:
    """[len(values), lanes] of dtype from bit strings, lane 0 in the low bits."""
    raw = np.packbits(_bits(values, lanes * dtype.itemsize * 8), axis=1, bitorder="little")
    return raw.view(dtype.newbyteorder("<"))


def _number(bits: str) -> int:
    """Of a bit string, the low bit first; -1 if there is an X in it."""
    return -1 if bits.strip("01") else int(bits[::-1], 2)


@dataclass(frozen=True)
class InputBeats:
    """Rows that went in, as arrays of beats.

    count  [rows] int, beats of each row
    data   [beats, lanes] of the unit's input dtype
    keep, strb  [beats, lanes] bool
    settings  name -> [rows] int
    channels, channel_set  as those of `Rows`: what each row's bank held
    operands, joint  of pairs of several streams: data of each of the others, and what the join says
    """

    count: np.ndarray
    data: np.ndarray
    keep: np.ndarray
    strb: np.ndarray
    settings: Mapping[str, np.ndarray]
    channels: tuple[ChannelSet, ...] = ()
    channel_set: np.ndarray | None = None
    operands: tuple[np.ndarray, ...] = ()
    joint: Joint | None = None

    @classmethod
    def of(cls, observed: Sequence[ObservedRow], shape: StreamShape) -> InputBeats:
        """What a monitor saw."""
        tdata, _, tkeep, tstrb = zip(*(beat for r in observed for beat in r.beats), strict=True)
        sets = {id(r.channels): r.channels for r in observed if r.channels is not None}
        numbers = {key: number for number, key in enumerate(sets)}
        return cls(
            count=np.array([len(row.beats) for row in observed]),
            data=_lanes(tdata, shape.lanes, shape.in_dtype),
            keep=_bits(tkeep, shape.lanes),
            strb=_bits(tstrb, shape.lanes),
            settings={
                name: np.array([r.settings[name] for r in observed])
                for name in observed[0].settings
            },
            channels=tuple(sets.values()),
            channel_set=np.array([numbers[id(r.channels)] for r in observed]) if sets else None,
        )


@dataclass(frozen=True)
class OutputBeats:
    """Rows that came out, as arrays of beats.

    count  [rows] int, beats of each row
    data   [beats, lanes] of the unit's output dtype
    keep   [beats, lanes] bool
    user   [beats, fields] int, the bits of each field of tuser; -1 where one is X
    strb   [beats, lanes] bool, of a cell
    """

    count: np.ndarray
    data: np.ndarray
    keep: np.ndarray
    user: np.ndarray
    strb: np.ndarray | None = None

    @classmethod
    def of(cls, observed: Sequence[ObservedRow], shape: StreamShape) -> OutputBeats:
        """What a monitor saw."""
        pins = zip(*(beat for r in observed for beat in r.beats), strict=True)
        tdata, _, tkeep, tuser, *tstrb = pins
        places = tuple(shape.user_slices())
        return cls(
            count=np.array([len(row.beats) for row in observed]),
            data=_lanes(tdata, shape.lanes, shape.out_dtype),
            keep=_bits(tkeep, shape.lanes),
            user=np.array([[_number(bits[::-1][at]) for at in places] for bits in tuser]),
            strb=_bits(tstrb[0], shape.lanes) if tstrb else None,
        )


def places(count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of rows of so many beats, for all beats in a line: their row, and their number in it."""
    row = np.repeat(np.arange(len(count)), count)
    number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return row, number


def judge_keep(keep: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of beats [beats, lanes], whether their tkeep is not allowed, and how: KEEP_KINDS."""
    lanes, ones = keep.shape[1], keep.sum(axis=1)
    a_run = keep.argmin(axis=1) == ones  # first zero right after as many ones as there are
    wrong = np.where(last, (ones == 0) | ~(a_run | (ones == lanes)), ones != lanes)
    return wrong, np.where(ones == 0, 0, np.where(a_run, 4, 2)) + last


def expect(given: InputBeats, shape: StreamShape, whole: bool = True) -> Expected:
    """What a batch of input rows, one or more, asks of the unit; not `whole`: before tlast."""
    lanes, beats, keep = shape.lanes, given.count, given.keep
    row, number = places(beats)

    last = (number == beats[row] - 1) & whole
    wrong, kind = judge_keep(keep, last)
    if given.joint is not None:
        wrong = given.joint.wrong

    inside = number[:, None] * lanes + np.arange(lanes) < shape.max_len
    beyond = np.flatnonzero((keep & ~inside).any(axis=1) | (number >= shape.max_beats))
    too_long, len_beat = np.zeros(len(beats), bool), np.cumsum(beats) - 1
    too_long[row[beyond]] = True
    np.minimum.at(len_beat, row[beyond], beyond)

    stored = number < shape.max_beats
    out_beats = np.minimum(beats, shape.max_beats)
    grid = (len(beats), int(out_beats.max()), lanes)
    exists, active = (np.zeros(grid, bool) for _ in range(2))
    where = (row[stored], number[stored])
    exists[where] = (keep & inside)[stored]
    active[where] = (keep & inside & given.strb)[stored]
    values = []
    for data in (given.data, *given.operands):
        x = np.zeros(grid, shape.in_dtype)
        x[where] = data[stored]
        x[~exists] = 0
        values.append(x)

    err_keep = np.bincount(row, weights=wrong, minlength=len(beats)) > 0
    flags = np.repeat(err_keep[:, None], grid[1], axis=1)
    if shape.cell:
        flags[:] = False
        flags[row, number] = wrong
        flags = np.logical_or.accumulate(flags, axis=1)
        flags = np.where(np.arange(grid[1]) < beats[:, None], flags, flags[:, :1])

    place = np.where(last, 3, np.where(number == shape.max_beats, 1, 2))
    place[stored] = 0
    flat = (len(beats), grid[1] * lanes)
    # One past the last element that exists: a row with holes in its tkeep keeps its places.
    exists, active = exists.reshape(flat), active.reshape(flat)
    length = flat[1] - exists[:, ::-1].argmax(axis=1)
    length[~exists.any(axis=1)] = 0
    width = min(flat[1], shape.max_len)  # nothing exists beyond MAX_LEN
    x, *operands = (one.reshape(flat)[:, :width] for one in values)
    return Expected(
        rows=Rows(
            x,
            active[:, :width],
            length,
            given.settings,
            channels=given.channels,
            channel_set=given.channel_set,
            operands=tuple(operands),
        ),
        keep=exists,
        beats=out_beats,
        err_len=too_long,
        err_keep=err_keep,
        keep_flags=flags,
        len_beat=len_beat,
        beat_row=row,
        keep_wrong=wrong,
        keep_kinds=kind[wrong],
        keep_places=place[wrong],
        dropped=beats - out_beats,
        joint=given.joint,
    )


def decode(observed: Sequence[ObservedRow], shape: StreamShape) -> Expected:
    """`expect` of what a monitor saw."""
    return expect(InputBeats.of(observed, shape), shape)


@dataclass(frozen=True)
class Outcome:
    """A batch of output rows, decoded.

    out, keep  [rows, beats * lanes]
    user   [rows, beats, fields] int, as `OutputBeats`; beyond a row's end that of its first
    beats  [rows] int
    strb   [rows, beats * lanes] bool, of a cell
    """

    out: np.ndarray
    keep: np.ndarray
    user: np.ndarray
    beats: np.ndarray
    strb: np.ndarray | None = None


def collect(came: OutputBeats, shape: StreamShape) -> Outcome:
    """The same for the output side."""
    beats = came.count
    row, number = places(beats)
    grid = (len(beats), int(beats.max()), shape.lanes)
    out, keep = np.zeros(grid, shape.out_dtype), np.zeros(grid, bool)
    out[row, number] = came.data
    keep[row, number] = came.keep
    user = np.repeat(came.user[np.cumsum(beats) - beats, None], grid[1], axis=1)
    user[row, number] = came.user
    flat = (len(beats), grid[1] * shape.lanes)
    strb = None
    if came.strb is not None:
        strb = np.zeros(grid, bool)
        strb[row, number] = came.strb
        strb = strb.reshape(flat)
    return Outcome(out.reshape(flat), keep.reshape(flat), user, beats, strb)


def pack(row: Row, shape: StreamShape, noise: Noise) -> list[tuple[int, int, int]]:
    """Beats (tdata, tkeep, tstrb) of a row; without an element, tdata and tstrb are noise."""
    lanes, n = shape.lanes, len(row.x)
    beats = -(-n // lanes)
    size = lanes * shape.in_dtype.itemsize
    raw = row.x.astype(shape.in_dtype.newbyteorder("<"), copy=False).tobytes()
    if len(raw) < beats * size:
        raw += noise.take(beats * size - len(raw))
    data = [int.from_bytes(raw[at : at + size], "little") for at in range(0, len(raw), size)]
    keeps = [shape.full] * beats
    keeps[-1] = (1 << (n - (beats - 1) * lanes)) - 1
    if row.mask.all():
        strbs = keeps.copy()
    else:
        bits = int.from_bytes(np.packbits(row.mask, bitorder="little").tobytes(), "little")
        strbs = [bits >> at & shape.full for at in range(0, beats * lanes, lanes)]
    for beat, keep in row.keep.items():
        keeps[beat] = keep
        strbs[beat] &= keep
    for beat in (*row.keep, beats - 1):
        absent = shape.full & ~keeps[beat]
        if absent:
            strbs[beat] |= absent & int.from_bytes(noise.take(-(-lanes // 8)), "little")
    return list(zip(data, keeps, strbs, strict=True))
