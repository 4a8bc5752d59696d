# SPDX-License-Identifier: Apache-2.0
"""Rows as arrays of beats and back, for a whole batch at once (docs/stream.md).

What the pins carry that means nothing is noise: lanes without an element, tstrb there, whatever
comes with tvalid low, settings in every clock but those that take a row's first beat.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from softnorm.units.unit import (
    BANKS,
    ERRORS,
    ChannelSet,
    Outputs,
    Parameters,
    Rows,
    Unit,
    from_bits,
    to_bits,
)

from ..check.contract import InputBeats, OutputBeats, StreamShape
from ..check.join import Stream
from ..stimulus.values import CLOCK_NS, STALLS, Reset, sink_stalls

UNFINISHED = "not all has been driven"  # no error: who drove the job had seen enough
NOISES = 61  # beats of noise: a prime, so that they meet every phase of a row
_PAIRS = 1021  # of a stall pattern, which then comes round


class ShapeError(ValueError):
    """What came out has not the shape of what went in."""


@dataclass(frozen=True)
class Beats:
    """A batch of beats, and the settings of their rows.

    data   [beats, bytes] uint8, lane 0 first; a lane of two bytes has its low one first
    keep, strb  [beats, bytes] uint8, lane 0 the low bit of the first byte
    last   [beats] uint8
    settings  [rows, settings] uint32, in the order of the unit's ports
    """

    data: np.ndarray
    keep: np.ndarray
    strb: np.ndarray
    last: np.ndarray
    settings: np.ndarray


@dataclass(frozen=True)
class Loads:
    """Writes of the channel table, in order, and which of them rows wait for.

    bank, after, chosen  [loads]: bank, rows that must have come out before, the set that it gets
    row_bank, row_loads  [rows]: a row's bank, and the loads that must be done before it
    """

    bank: np.ndarray
    after: np.ndarray
    chosen: np.ndarray
    row_bank: np.ndarray
    row_loads: np.ndarray


@dataclass(frozen=True, kw_only=True)
class RtlOutputs(Outputs):
    """What a unit made of a batch, and what it took.

    unit, parameters  of the build
    err_len, err_keep  [rows] bool, of tuser
    len_pulses, keep_pulses  clocks in which err_len_o and err_keep_o were high
    beats, clocks  beats that went in; clocks up to the last transfer, loads of channels included
    """

    unit: Unit
    parameters: Parameters
    err_keep: np.ndarray | None = None
    len_pulses: int = 0
    keep_pulses: int = 0
    beats: int = 0
    clocks: int = 0

    def to_real(
        self,
        step: float | np.ndarray | None = None,
        settings: Mapping[str, int | np.ndarray] | None = None,
    ) -> np.ndarray:
        """What the outputs are worth: `Unit.to_real`."""
        return self.unit.to_real(self.parameters, self, step, settings)


def _lane_bits(lanes: np.ndarray) -> np.ndarray:
    """[.., lanes] bool as bytes, lane 0 the low bit of the first."""
    *shape, count = lanes.shape
    if count % 8 == 0:  # all in one piece: packing each beat's few bits apart takes far longer
        return np.packbits(lanes, bitorder="little").reshape(*shape, count // 8)
    bits = lanes[..., 0].astype(np.uint8)
    for lane in range(1, count):
        bits |= lanes[..., lane].view(np.uint8) << np.uint8(lane)
    return bits[..., None]


def _full(lanes: int) -> np.ndarray:
    return _lane_bits(np.ones(lanes, bool))


def _bits(packed: np.ndarray, lanes: int) -> np.ndarray:
    """The other way: [beats, bytes] as [beats, lanes] bool."""
    return np.unpackbits(packed, axis=1, count=lanes, bitorder="little").view(bool)


def _words(keep: np.ndarray) -> np.ndarray:
    """[beats, bytes] as [beats] integers: a lane is a bit, 64 are the most."""
    return keep.view(f"u{keep.shape[1]}")[:, 0]


def _windows(array: np.ndarray, lanes: int) -> np.ndarray:
    """[.., lanes]: from each element of [rows, width] on, those that lie behind it."""
    flat = np.concatenate([array.reshape(-1), np.zeros(lanes, array.dtype)])
    return np.lib.stride_tricks.sliding_window_view(flat, lanes)


def check(unit: Unit, parameters: Parameters, rows: Rows) -> None:
    """Raise ValueError, one sentence, unless the rows can be driven."""
    names = [setting.name for setting in unit.settings(parameters)]
    shape = rows.x.shape
    dtype = unit.input_dtype(parameters)
    if rows.x.ndim != 2 or rows.x.dtype != dtype:
        raise ValueError(f"x must be [rows, width] of {dtype}, not {shape} {rows.x.dtype}")
    if rows.mask.shape != shape or rows.mask.dtype != bool:
        raise ValueError(f"mask must be {shape} bool, not {rows.mask.shape} {rows.mask.dtype}")
    if rows.length.shape != shape[:1]:
        raise ValueError(f"length must be {shape[:1]}, not {rows.length.shape}")
    if len(rows) and not (rows.length.min() >= 1 and rows.length.max() <= shape[1]):
        raise ValueError(f"lengths must be 1 to {shape[1]}")
    for setting in unit.settings(parameters):
        if setting.name == "bank" and unit.channels:
            continue  # where the engine puts the row's channels
        if setting.name not in rows.settings:
            raise ValueError(f"setting {setting.name} is missing; there are: {', '.join(names)}")
        values = np.asarray(rows.settings[setting.name])
        low, high = setting.values[0], setting.values[-1]
        if values.shape != shape[:1] or values.dtype.kind not in "iub":
            got = f"{values.shape} {values.dtype}"
            raise ValueError(f"setting {setting.name} must be {shape[:1]} integers, not {got}")
        if len(rows) and not (low <= values.min() and values.max() <= high):
            row = int(np.flatnonzero((values < low) | (values > high))[0])
            raise ValueError(
                f"setting {setting.name} must be {low} to {high}, is {values[row]} in row {row}"
            )
    wanted = [one.name for one in unit.operands]
    if len(rows.operands) != len(wanted):
        raise ValueError(f"{len(rows.operands)} operands; {unit.name} has {', '.join(wanted)}")
    for name, values in zip(wanted, rows.operands, strict=True):
        if values.shape != shape or values.dtype != dtype:
            raise ValueError(f"{name} must be {shape} {dtype}, not {values.shape} {values.dtype}")
    if unit.channels:
        if rows.channel_set is None or not rows.channels:
            raise ValueError(f"{unit.name} needs channels")
        if rows.channel_set.shape != shape[:1] or (
            len(rows) and not (0 <= rows.channel_set.min() <= rows.channel_set.max())
        ):
            raise ValueError(f"channel_set must be {shape[:1]}, numbers of channel sets")
        if len(rows) and rows.channel_set.max() >= len(rows.channels):
            raise ValueError(f"channel_set must be below {len(rows.channels)}")
        _check_channels(unit, parameters, rows)


def _check_channels(unit: Unit, parameters: Parameters, rows: Rows) -> None:
    """Each set is as long as the longest row that uses it."""
    most = parameters["MAX_LEN"]
    for number, one in enumerate(rows.channels):
        used = rows.length[rows.channel_set == number]
        least = min(int(used.max(initial=1)), most)
        for column in unit.channels:
            if column.name not in one.values:
                raise ValueError(f"channels have no {column.name}, and {unit.name} needs one")
            values = np.asarray(one.values[column.name])
            if values.dtype.kind not in "iu":
                raise ValueError(f"{column.name} must be integers, not {values.dtype}")
            if values.ndim != 1 or not least <= len(values) <= most:
                raise ValueError(f"{column.name} must be [{least} to {most}], not {values.shape}")
            low, high = column.values[0], column.values[-1]
            if not (low <= values.min() and values.max() <= high):
                raise ValueError(f"{column.name} must be {low} to {high}")


def beats_of(shape: StreamShape, length: np.ndarray) -> np.ndarray:
    """Beats of rows of these lengths."""
    return -(-length // shape.lanes)


def pack(
    shape: StreamShape,
    rows: Rows,
    settings: np.ndarray,
    rng: np.random.Generator,
    keeps: Mapping[tuple[int, int], int] = MappingProxyType({}),
) -> Beats:
    """The beats of a batch; x itself, where rows are whole beats of one length.

    keeps  (row, beat) -> tkeep in place of the right one
    """
    lanes, width = shape.lanes, rows.x.shape[1]
    beats = beats_of(shape, rows.length)
    ends = np.cumsum(beats) - 1
    count = int(beats.sum())
    whole = width % lanes == 0 and count * lanes == rows.x.size
    if whole:
        data = rows.x.reshape(-1, lanes)
    else:
        # Behind a row's last element comes what lies there: the next row, which is not to be seen.
        number = np.arange(count) - np.repeat(ends - beats + 1, beats)
        at = np.repeat(np.arange(len(beats)) * width, beats) + number * lanes
        data = _windows(rows.x, lanes)[at]
    last = np.zeros(count, np.uint8)
    last[ends] = 1
    full = _full(lanes)
    keep = np.empty((count, len(full)), np.uint8)
    _words(keep)[:] = _words(full[None])
    elements = rows.length - (beats - 1) * lanes  # of the last beat
    exists = np.arange(lanes) < elements[:, None]
    keep[ends] = _lane_bits(exists)
    if rows.mask.all():
        strb = keep.copy()
    elif whole:
        strb = _lane_bits(rows.mask.reshape(-1, lanes))
    else:
        strb = _lane_bits(_windows(rows.mask, lanes)[at])
        strb[ends] &= keep[ends]
    wrong = [int(ends[row] - beats[row]) + 1 + beat for row, beat in keeps]
    unmasked = strb[wrong]

    short = np.flatnonzero(elements < lanes)
    if short.size:
        if np.shares_memory(data, rows.x):
            data = data.copy()
        at, none = ends[short], ~exists[short]
        noise = np.frombuffer(rng.bytes(at.size * lanes * data.itemsize), data.dtype)
        data[at] = np.where(none, noise.reshape(-1, lanes), data[at])
        flips = np.frombuffer(rng.bytes(at.size * len(full)), np.uint8).reshape(-1, len(full))
        strb[at] |= flips & _lane_bits(none)
    if wrong:
        # Elements alone are unmasked: a lane that the wrong tkeep adds counts nowhere.
        keep[wrong] = [list(one.to_bytes(keep.shape[1], "little")) for one in keeps.values()]
        flips = np.frombuffer(rng.bytes(len(wrong) * len(full)), np.uint8).reshape(-1, len(full))
        strb[wrong] = (unmasked & keep[wrong]) | (flips & full & ~keep[wrong])
    little = np.ascontiguousarray(data, data.dtype.newbyteorder("<"))
    return Beats(little.view(np.uint8), keep, strb, last, settings)


def noise(unit: Unit, parameters: Parameters, rng: np.random.Generator) -> Beats:
    """NOISES beats, and as many settings, that mean nothing."""
    shape = StreamShape.of(unit, parameters)
    lanes, size = shape.lanes, shape.lanes * shape.in_dtype.itemsize
    wanted = unit.settings(parameters)
    settings = np.zeros((NOISES, len(wanted)), np.uint32)
    for column, setting in enumerate(wanted):  # all that a pin can carry
        settings[:, column] = rng.integers(1 << setting.bits, size=NOISES)
    return Beats(
        rng.integers(256, size=(NOISES, size), dtype=np.uint8),
        _lane_bits(rng.random((NOISES, lanes)) < 0.5),
        _lane_bits(rng.random((NOISES, lanes)) < 0.5),
        rng.integers(2, size=NOISES, dtype=np.uint8),
        settings,
    )


def plan(channel_set: np.ndarray, seed: int = 0, table: int = BANKS) -> Loads:
    """Which bank holds the set of each row, and when it is to be written.

    A set goes into the bank that has not been used for longer, once its last row has come out;
    rows that use the other bank go on meanwhile. `seed` tells the bank of the first set. Of a
    `table` of one bank rows and loads take turns, and what names it is anything.
    """
    count = len(channel_set)
    starts = np.flatnonzero(np.diff(channel_set, prepend=-1))
    holds, used = [-1] * table, [-1] * table  # set, last row
    first = seed % table
    bank, after, chosen = [], [], []
    banks, loads = [], []
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), count], strict=True):
        wanted = int(channel_set[start])
        if wanted not in holds:
            spare = min(range(table), key=lambda one: (used[one], one != first))
            bank.append(spare)
            after.append(used[spare] + 1)
            chosen.append(wanted)
            holds[spare] = wanted
        place = holds.index(wanted)
        used[place] = end - 1
        banks.append(place)
        loads.append(len(bank))
    runs = np.diff(starts, append=count)
    named = np.array(bank, np.uint32), np.repeat(np.array(banks, np.uint32), runs)
    if table == 1:
        rng = np.random.default_rng([seed, 4])
        named = tuple(rng.integers(BANKS, size=one.size, dtype=np.uint32) for one in named)
    return Loads(
        named[0],
        np.array(after, np.uint64),
        np.array(chosen, int),
        named[1],
        np.repeat(np.array(loads, np.uint64), runs),
    )


def lines(
    unit: Unit, channels: Sequence[ChannelSet], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Channel sets one behind the other, the channels of each in random order.

    First line [sets], lines [sets], [lines, columns] uint32, each line's channel [lines] uint32.
    """
    sets = [
        [
            np.asarray(one.values[c.name], c.dtype).view(f"u{c.dtype.itemsize}")
            for c in unit.channels
        ]
        for one in channels
    ]
    count = np.array([len(columns[0]) for columns in sets], np.uint64)
    table = np.concatenate([np.stack(columns, axis=1) for columns in sets])
    order = [rng.permutation(int(size)) for size in count]
    first = np.cumsum(count) - count
    at = np.concatenate([start + one for start, one in zip(first.astype(int), order, strict=True)])
    return first, count, table[at].astype(np.uint32), np.concatenate(order).astype(np.uint32)


@functools.lru_cache(64)
def pattern(name: str, seeds: tuple[int, ...]) -> np.ndarray:
    """A pattern of STALLS as [pairs, 2] uint32, (on, off); no pairs: it never stalls.

    Raises ValueError for a name that is not there.
    """
    if name not in STALLS:
        raise ValueError(f"there are no stalls {name!r}; there are: {', '.join(STALLS)}")
    make = STALLS[name]
    if make is None:
        return np.zeros((0, 2), np.uint32)
    pairs = itertools.islice(make(np.random.default_rng(seeds)), _PAIRS)
    return np.array(list(pairs), np.uint32)


@dataclass(frozen=True)
class Drive:
    """How rows are driven, beyond what they are.

    phases  (first row, stalls of the source, stalls of the sink), names in STALLS and in SINKS;
            the first phase starts with row 0. A pattern starts anew with each phase.
    keeps   (row, beat) -> tkeep in place of the right one
    resets  when resets come
    clocks  whether the clock of each beat is kept
    others  of each phase, stalls of further input streams; none: as those of the source
    operands  of each of them, its rows and keeps; none: `Rows.operands`, which fit and are unmasked
    """

    phases: Sequence[tuple[int, str, str]] = ((0, "none", "none"),)
    keeps: Mapping[tuple[int, int], int] = field(default_factory=dict)
    resets: Iterable[Reset] = ()
    clocks: bool = False
    others: Sequence[str] = ()
    operands: Sequence[tuple[Rows, Mapping[tuple[int, int], int]]] = ()


@dataclass(frozen=True)
class Phases:
    """Stall patterns of a batch: pairs [.., 2] uint32, and of each phase [phases] uint64

    row    its first row
    source_from, source_count, sink_from, sink_count   its first pair and how many; none: no stalls
    sink_after   1: tready waits for tvalid
    others   of each further input stream what is of the source
    """

    pairs: np.ndarray
    row: np.ndarray
    source_from: np.ndarray
    source_count: np.ndarray
    sink_from: np.ndarray
    sink_count: np.ndarray
    sink_after: np.ndarray
    others: Sequence[tuple[np.ndarray, np.ndarray]] = ()

    @classmethod
    def of(
        cls, phases: Sequence[tuple[int, str, str]], seed: int, others: Sequence[Sequence[str]] = ()
    ) -> Phases:
        """Patterns by name. Raises ValueError for a name that is not there.

        others  of each further input stream the names, one for each phase
        """
        known = [(row, source, *sink_stalls(sink)) for row, source, sink in phases]
        names = {(side, one[side]) for one in known for side in (1, 2)}
        names |= {(side, name) for side, some in enumerate(others, 3) for name in some}
        places, parts, used = {}, [np.zeros((0, 2), np.uint32)], 0
        for side, name in sorted(names):
            pairs = pattern(name, (seed, side))
            places[side, name] = used, len(pairs)
            parts.append(pairs)
            used += len(pairs)
        table = [(row, *places[1, a], *places[2, b], after) for row, a, b, after in known]
        columns = np.array(table, np.uint64).reshape(-1, 6).T
        beside = [
            np.array([places[side, name] for name in some], np.uint64).reshape(-1, 2).T
            for side, some in enumerate(others, 3)
        ]
        return cls(
            np.concatenate(parts),
            *np.ascontiguousarray(columns),
            others=[tuple(np.ascontiguousarray(both)) for both in beside],
        )


@dataclass(frozen=True)
class Room:
    """Where the beats that come out go: arrays as those of `Beats`, and tuser.

    strb   of a cell; of other units there are no beats in it
    user   [beats, bytes] uint8, the low one first; unused bits are 0
    """

    data: np.ndarray
    keep: np.ndarray
    last: np.ndarray
    user: np.ndarray
    strb: np.ndarray = field(default_factory=lambda: np.empty((0, 1), np.uint8))

    @classmethod
    def of(cls, shape: StreamShape, length: np.ndarray) -> Room:
        """Room for what rows of these lengths give."""
        count = int(np.minimum(beats_of(shape, length), shape.max_beats).sum())
        size, bits = shape.lanes * shape.out_dtype.itemsize, -(-shape.lanes // 8)
        return cls(
            np.empty((count, size), np.uint8),
            np.empty((count, bits), np.uint8),
            np.empty(count, np.uint8),
            np.empty((count, shape.user_bytes), np.uint8),
            np.empty((count if shape.cell else 0, bits), np.uint8),
        )


@dataclass(frozen=True)
class Beside:
    """A further input stream of a job; clocks as `Job.in_clocks`."""

    prefix: str
    beats: Beats
    clocks: np.ndarray | None


@dataclass(frozen=True)
class Job:
    """A batch as a simulator is to drive it.

    loads, lines  of the channel table; None without one
    in_clocks, out_clocks  [beats, 2], [beats, 3] uint64, room for the clock of each beat's first
            tvalid and of its transfer, and at the output for tready before it, as `before` of
            tb.check.scoring.Timing; None where they are not kept
    pulse_clocks  [errors, room] uint64, the same for the clocks of the error outputs
    errors  names of the error outputs, without their _o
    limit   clocks without a transfer that are taken for a hang
    settle  clocks at the end in which nothing may come out
    operands  further input streams
    """

    beats: Beats
    noise: Beats
    room: Room
    phases: Phases
    loads: Loads | None
    lines: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None
    limit: int
    resets: Iterable[Reset] = ()
    in_clocks: np.ndarray | None = None
    out_clocks: np.ndarray | None = None
    pulse_clocks: np.ndarray | None = None
    settle: int = 64
    errors: tuple[str, ...] = ERRORS
    operands: tuple[Beside, ...] = ()

    @classmethod
    def of(cls, unit: Unit, parameters: Parameters, rows: Rows, drive: Drive, seed: int) -> Job:
        """What drives these rows. Raises ValueError if nothing can."""
        check(unit, parameters, rows)
        shape = StreamShape.of(unit, parameters)
        rng = np.random.default_rng([seed, 0])
        table = unit.banks(parameters)
        loads = plan(rows.channel_set, seed, table) if unit.channels else None
        wanted = unit.settings(parameters)
        settings = np.zeros((len(rows), len(wanted)), np.uint32)
        for column, setting in enumerate(wanted):
            bank = loads is not None and setting.name == "bank"
            values = loads.row_bank if bank else rows.settings[setting.name]
            settings[:, column] = to_bits(setting, np.asarray(values, np.int64))
        beats = pack(shape, rows, settings, rng, drive.keeps)
        operands, length = [], rows.length
        fit = [
            (Rows(values, np.ones(values.shape, bool), length, {}), {}) for values in rows.operands
        ]
        for one, (some, keeps) in zip(unit.operands, drive.operands or fit, strict=True):
            given = pack(shape, some, np.zeros((len(some), 0), np.uint32), rng, keeps)
            clocks = np.zeros((len(given.last), 2), np.uint64) if drive.clocks else None
            operands.append(Beside(one.prefix, given, clocks))
            length = np.minimum(length, some.length)
        stalls = drive.others or [source for _, source, _ in drive.phases]
        room = Room.of(shape, length)
        most = len(beats.last) + sum(len(one.beats.last) for one in operands)
        pulses = most + 64  # right ones at most, and some wrong ones
        errors = unit.errors(parameters)
        sizes = [(len(beats.last), 2), (len(room.last), 3), (len(errors), pulses)]
        return cls(
            beats,
            noise(unit, parameters, rng),
            room,
            Phases.of(drive.phases, seed, [stalls] * len(operands)),
            loads,
            lines(unit, rows.channels, np.random.default_rng([seed, 3])) if unit.channels else None,
            # Between two transfers: the longest pause of either side, and the passes.
            1000 + (0 if shape.cell else 8 * shape.max_beats),
            drive.resets,
            *(np.zeros(size, np.uint64) if drive.clocks else None for size in sizes),
            errors=errors,
            operands=tuple(operands),
        )


@dataclass(frozen=True)
class Cut:
    """A reset in the middle of a job.

    row, beat          the next ones to go in; with `part`, the row has begun
    out_row, out_beat  the next ones to come out
    clock              of the next rising edge
    states             of input and output, in tb.stimulus.values.STREAM_STATES
    operands           of each further input stream (row, beat, part)
    """

    row: int
    beat: int
    part: bool
    out_row: int
    out_beat: int
    clock: int
    states: tuple[int, int]
    operands: tuple[tuple[int, int, bool], ...] = ()

    @property
    def next(self) -> int:
        """The row that goes in first behind the reset."""
        return max(row + part for row, _, part in self.inputs)

    @property
    def inputs(self) -> tuple[tuple[int, int, bool], ...]:
        """Of each input stream (row, beat, part)."""
        return ((self.row, self.beat, self.part), *self.operands)


@dataclass(frozen=True)
class Moved:
    """How a job ended: `error` is what went wrong, empty when nothing did.

    clocks  up to the last transfer; up to the end, if something went wrong
    len_pulses, keep_pulses  clocks since the last reset
    pulses  clocks of each error output, of all the job, where they are kept
    """

    clocks: int
    beats_in: int
    beats_out: int
    len_pulses: int
    keep_pulses: int
    error: str = ""
    cuts: tuple[Cut, ...] = ()
    pulses: tuple[np.ndarray, ...] = ()


def with_clock_low(reset: Reset) -> bool:
    """Whether it comes before the next rising edge, or right behind one."""
    return reset.within < 500 * CLOCK_NS


def stream(
    shape: StreamShape,
    given: Beats,
    clocks: np.ndarray,
    first: int,
    upto: tuple[int, int, bool],
    settings: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> Stream:
    """What went in on an input stream from row `first` on, for the join: whole rows, then a part.

    upto  (row, beat, part), as `Cut.inputs`; settings  of all rows
    """
    row, beat, part = upto
    ends = np.flatnonzero(given.last) + 1
    begin = int(ends[first - 1]) if first else 0
    count = np.diff(ends[first:row], prepend=begin)
    end = begin + int(count.sum())
    if part:
        count, end = np.append(count, beat - end), beat
    some = slice(begin, end)
    data = given.data[some].reshape(-1).view(shape.in_dtype.newbyteorder("<"))
    beats = InputBeats(
        count=count,
        data=data.reshape(-1, shape.lanes).astype(shape.in_dtype, copy=False),
        keep=_bits(given.keep[some], shape.lanes),
        strb=_bits(given.strb[some], shape.lanes),
        settings={n: values[first : first + len(count)] for n, values in settings.items()},
    )
    whole = np.arange(len(count)) < row - first
    return Stream(beats, clocks[some, 1].astype(int), whole)


def driven(unit: Unit, parameters: Parameters, rows: Rows, job: Job, which: slice) -> InputBeats:
    """What went in, of some of the rows: as it was on the pins."""
    shape = StreamShape.of(unit, parameters)
    ends = np.flatnonzero(job.beats.last) + 1
    starts = np.concatenate([[0], ends[:-1]])
    beats = slice(starts[which][0], ends[which][-1])
    data = job.beats.data[beats].reshape(-1).view(shape.in_dtype.newbyteorder("<"))
    return InputBeats(
        count=(ends - starts)[which],
        data=data.reshape(-1, shape.lanes).astype(shape.in_dtype, copy=False),
        keep=_bits(job.beats.keep[beats], shape.lanes),
        strb=_bits(job.beats.strb[beats], shape.lanes),
        settings={
            setting.name: from_bits(setting, job.beats.settings[which, column].astype(int))
            for column, setting in enumerate(unit.settings(parameters))
        },
        channels=rows.channels,
        channel_set=None if rows.channel_set is None else rows.channel_set[which],
    )


def came(shape: StreamShape, job: Job, ends: np.ndarray, first: int) -> OutputBeats:
    """What came out, from beat `first` on: rows whose last beats are one before `ends`."""
    room, beats = job.room, slice(first, int(ends[-1]))
    data = room.data[beats].reshape(-1).view(shape.out_dtype.newbyteorder("<"))
    return OutputBeats(
        count=np.diff(ends, prepend=first),
        data=data.reshape(-1, shape.lanes).astype(shape.out_dtype, copy=False),
        keep=_bits(room.keep[beats], shape.lanes),
        user=_fields(shape, room.user[beats]),
        strb=_bits(room.strb[beats], shape.lanes) if shape.cell else None,
    )


def _fields(shape: StreamShape, user: np.ndarray) -> np.ndarray:
    """tuser [beats, bytes] as [beats, fields] int."""
    found = []
    for bits in shape.user_slices():
        first, last = bits.start // 8, (bits.stop - 1) // 8
        number = user[:, last].astype(np.int64)
        for byte in range(last - 1, first - 1, -1):
            number = number << 8 | user[:, byte]
        found.append(number >> bits.start % 8 & (1 << bits.stop - bits.start) - 1)
    return np.stack(found, axis=1)


def unpack(shape: StreamShape, rows: Rows, room: Room) -> tuple[np.ndarray, np.ndarray]:
    """(out [rows, width], tuser [rows, fields]) of the beats that came out.

    Raises ShapeError if tlast, tkeep or a cell's tstrb is not that of the beat that went in, a lane
    without an element is not 0, or tuser changes within a row.
    """
    lanes = shape.lanes
    length = np.minimum(rows.length, shape.max_len)
    beats = np.minimum(beats_of(shape, rows.length), shape.max_beats)
    ends = np.cumsum(beats) - 1

    def wrong(beats_wrong: np.ndarray, what: str) -> None:
        if beats_wrong.any():
            at = int(beats_wrong.argmax())
            row = int(np.searchsorted(ends, at))
            raise ShapeError(f"row {row}, beat {at - (ends[row] - beats[row] + 1)}: {what}")

    last = np.zeros(len(room.last), np.uint8)
    last[ends] = 1
    wrong(room.last != last, "tlast is not where the row ends")
    exists = np.arange(lanes) < (length - (beats - 1) * lanes)[:, None]
    keep = _words(room.keep)
    whole = keep == _words(_full(lanes)[None])
    whole[ends] = keep[ends] == _words(_lane_bits(exists))
    wrong(~whole, "tkeep is not that of the beat that went in")
    user = room.user[ends]
    same = room.user == np.repeat(user, beats, axis=0)
    wrong(~same.all(axis=1), "tuser changes within the row")
    user = _fields(shape, user)

    if shape.cell:
        live = pack(shape, rows, np.zeros((len(rows), 0), np.uint32), np.random.default_rng(0))
        wrong((room.strb != live.strb & live.keep).any(axis=1), "tstrb is not that which went in")

    data = room.data.view(shape.out_dtype.newbyteorder("<")).astype(shape.out_dtype, copy=False)
    stale = np.zeros(len(data), bool)
    stale[ends] = ((data[ends] != 0) & ~exists).any(axis=1)
    wrong(stale, "a lane without an element is not 0")
    width = rows.x.shape[1]
    if (beats * lanes == width).all():
        return data.reshape(len(beats), width), user
    wide = -(-width // lanes)
    grid = np.zeros((len(beats), wide, lanes), shape.out_dtype)
    grid[np.arange(wide) < beats[:, None]] = data
    return grid.reshape(len(beats), wide * lanes)[:, :width], user
