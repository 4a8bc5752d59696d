# SPDX-License-Identifier: Apache-2.0
"""Rows to drive: shapes of values, masks, lengths, stall patterns. Plain data, no simulator.

Every function takes the generator it draws from, so one seed gives one stimulus, whichever
simulator it goes to.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from softnorm.units.unit import ChannelSet, Parameters, Rows, Setting, Unit


@dataclass
class Row:
    """One row to drive.

    x      [length] of the unit's input dtype
    mask   [length] bool, True: the element counts
    settings  name -> int
    origin where the values come from, for reports
    channels  what the row's bank must hold, for a unit with a channel table
    keep   beat number -> tkeep to drive instead of the right one (error injection)
    operands  what goes with it on each further input stream, which has no settings; of another
           length, where the streams are not to fit
    """

    x: np.ndarray
    mask: np.ndarray
    settings: dict[str, int]
    origin: str
    channels: ChannelSet | None = None
    keep: dict[int, int] = field(default_factory=dict)
    operands: tuple[Row, ...] = ()


def batch(unit: Unit, parameters: Parameters, rows: Sequence[Row]) -> Rows:
    """Rows to drive as one batch, as wide as the longest; their bank, if they have one, is 0.

    Wrong tkeeps are not in it, nor are masks and lengths of operands. A channel set that several
    rows share is in it once, and is as long as the table: lanes of a last beat behind the row read
    it, too.
    """
    dtype = unit.input_dtype(parameters)
    x, mask = padded(rows, dtype)
    names = [setting.name for setting in unit.settings(parameters)]
    free = {"bank": 0} if unit.channels else {}  # whoever drives them decides
    sets = {id(row.channels): row.channels for row in rows if row.channels is not None}
    numbers = {key: number for number, key in enumerate(sets)}
    return Rows(
        x,
        mask,
        np.array([len(row.x) for row in rows], int),
        {n: np.array([{**free, **row.settings}[n] for row in rows], int) for n in names},
        tuple(channels.padded(parameters["MAX_LEN"]) for channels in sets.values()),
        np.array([numbers[id(row.channels)] for row in rows], int) if unit.channels else None,
        tuple(
            np.pad(values, ((0, 0), (0, x.shape[1])))[:, : x.shape[1]]
            for values, _ in (padded(some, dtype) for some in operand_rows(unit, rows))
        ),
    )


def padded(rows: Sequence[Row], dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """x and mask [rows, width] of rows to drive, as wide as the longest."""
    width = max((len(row.x) for row in rows), default=1)
    x, mask = np.zeros((len(rows), width), dtype), np.zeros((len(rows), width), bool)
    for number, row in enumerate(rows):
        x[number, : len(row.x)], mask[number, : len(row.x)] = row.x, row.mask
    return x, mask


def operand_rows(unit: Unit, rows: Sequence[Row]) -> list[list[Row]]:
    """What goes with the rows on each further input stream."""
    return [[row.operands[place] for row in rows] for place in range(len(unit.operands))]


@dataclass
class Phase:
    """Rows driven under one pair of stall patterns: names in STALLS, of the sink in SINKS.

    real  the rows are a tensor file's: accuracy is of these alone, where there are any
    other  that of further input streams; empty: as the source's. Each has a pattern of its own
    """

    rows: Iterable[Row]
    source: str = "none"
    sink: str = "none"
    real: bool = False
    other: str = ""


class Noise:
    """Random bytes by the piece, from a block drawn once: a draw costs more than a beat."""

    def __init__(self, rng: np.random.Generator):
        self._block = rng.bytes(1 << 16)
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes, at most half the block; it comes round after 64 KiB."""
        if self._at + size > len(self._block):
            self._at = self._at + size - len(self._block)  # another phase each time round
        self._at += size
        return self._block[self._at - size : self._at]


# --------------------------------------------------------------------------------- stall patterns

Pattern = Iterator[tuple[int, int]]


def _random(p_stall: float) -> Callable[[np.random.Generator], Pattern]:
    def pattern(rng: np.random.Generator) -> Pattern:
        while True:
            on = int(rng.geometric(p_stall))
            yield on, int(rng.geometric(1 - p_stall))

    return pattern


def _bursts(rng: np.random.Generator) -> Pattern:
    while True:
        yield int(rng.integers(1, 60)), int(rng.integers(1, 60))


def _starved(rng: np.random.Generator) -> Pattern:
    while True:
        yield 1, int(rng.integers(8, 33))


def _alternate(rng: np.random.Generator) -> Pattern:
    while True:
        yield 1, 1


# name -> None (never stalls) or a maker of (clocks on, clocks off) pairs
STALLS: dict[str, Callable[[np.random.Generator], Pattern] | None] = {
    "none": None,
    "rare": _random(0.1),
    "half": _random(0.5),
    "heavy": _random(0.9),
    "bursts": _bursts,
    "starved": _starved,
    "alternate": _alternate,
}

# A sink may wait for tvalid before it raises tready: the pattern then goes on in clocks with tvalid
# alone, and in all others tready is low.
AFTER_TVALID = " after tvalid"
SINKS = (*STALLS, *(name + AFTER_TVALID for name in STALLS))


def sink_stalls(name: str) -> tuple[str, bool]:
    """Of a name in SINKS: that of its pattern, and whether tready waits for tvalid."""
    return name.removesuffix(AFTER_TVALID), name.endswith(AFTER_TVALID)


# ------------------------------------------------------------------------------------------ resets

CLOCK_NS = 2  # the bench's clock
AIM = 100  # clocks that a reset waits for the states it aims at


# What a stream can be in the middle of when a reset comes.
STREAM_STATES = ("idle", "between beats", "beat waiting")


class Reset(NamedTuple):
    """When a reset comes after the one before has been released, and for how long it is held.

    clocks  to wait
    within  ps to wait besides, into a clock
    held    clocks
    aim     states of input and output to wait for besides, some clocks at most; None: any will do
    """

    clocks: int
    within: int
    held: int
    aim: tuple[str, str] | None = None


def random_resets(rng: np.random.Generator) -> Iterator[Reset]:
    """Resets of random length at random times, within clocks too, without an end.

    Every other one aims, at each pair of the streams' states as often as at the others: some of
    them hardly ever come about by chance.
    """
    pairs = list(itertools.product(STREAM_STATES, repeat=2))
    aims: list[tuple[str, str]] = []
    for number in itertools.count():
        clocks = int(rng.choice([rng.integers(1, 12), rng.integers(20, 300)]))
        # Any place between two clock edges; at an edge the order of events is the tool's.
        within = int(rng.choice([1, 499 * CLOCK_NS, 501 * CLOCK_NS, 990 * CLOCK_NS]))
        held = int(rng.integers(1, 5))
        aims = aims or [pairs[place] for place in rng.permutation(len(pairs))]
        yield Reset(clocks, within, held, aims.pop() if number % 2 else None)


# ------------------------------------------------------------------------------------------ values


def _limits(dtype: np.dtype) -> tuple[int, int]:
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def uniform(rng, n, dtype):
    """Every value equally likely."""
    low, high = _limits(dtype)
    return rng.integers(low, high + 1, n)


def _gaussian(sigma: float):
    def values(rng, n, dtype):
        low, high = _limits(dtype)
        centre = rng.integers(low, high + 1)
        return np.clip(np.rint(rng.normal(centre, sigma, n)), low, high)

    values.__doc__ = f"Normal around a random centre, standard deviation {sigma:g}."
    return values


def flat(rng, n, dtype):
    """All elements equal: the largest sum."""
    return np.full(n, rng.integers(*_limits(dtype), endpoint=True))


def one_hot(rng, n, dtype):
    """All at the bottom but one at the top: the smallest sum."""
    low, high = _limits(dtype)
    x = np.full(n, low)
    x[rng.integers(n)] = high
    return x


def ramp_up(rng, n, dtype):
    """Rising: the maximum moves in every beat."""
    low, high = _limits(dtype)
    a, b = np.sort(rng.integers(low, high + 1, 2))
    return np.linspace(a, b, n).astype(int)


def ramp_down(rng, n, dtype):
    """Falling: the maximum never moves."""
    return ramp_up(rng, n, dtype)[::-1]


def ties(rng, n, dtype):
    """Two or three neighbouring values only."""
    low, high = _limits(dtype)
    return np.clip(rng.integers(low, high + 1) + rng.integers(0, 3, n), low, high)


def bimodal(rng, n, dtype):
    """Two narrow heaps far apart."""
    low, high = _limits(dtype)
    centre = np.where(rng.random(n) < rng.random(), *rng.integers(low, high + 1, 2))
    return np.clip(centre + rng.integers(-2, 3, n), low, high)


def extremes(rng, n, dtype):
    """Only the two ends of the range and their neighbours."""
    low, high = _limits(dtype)
    return rng.choice([low, low + 1, high - 1, high], n)


def steps(rng, n, dtype):
    """A staircase that climbs at random places by random amounts: few, large maximum updates."""
    low, high = _limits(dtype)
    rises = np.where(rng.random(n) < 4 / n, rng.integers(0, 80, n), 0)
    return np.clip(low + np.cumsum(rises) - rng.integers(0, 4, n), low, high)


SHAPES: dict[str, Callable] = {
    "uniform": uniform,
    "gaussian 2": _gaussian(2),
    "gaussian 8": _gaussian(8),
    "gaussian 30": _gaussian(30),
    "flat": flat,
    "one-hot": one_hot,
    "ramp up": ramp_up,
    "ramp down": ramp_down,
    "ties": ties,
    "bimodal": bimodal,
    "extremes": extremes,
    "steps": steps,
}


# ------------------------------------------------------------------------------------------- masks


def _no_mask(rng, n, lanes):
    return np.ones(n, bool)


def _some(rng, n, lanes):
    return rng.random(n) < rng.random()


def _causal(rng, n, lanes):
    return np.arange(n) < rng.integers(1, n + 1)


def _leading(rng, n, lanes):
    beats = -(-n // lanes)
    return np.arange(n) >= lanes * rng.integers(0, beats) + (beats == 1)


def _single(rng, n, lanes):
    return np.arange(n) == rng.integers(n)


def _all(rng, n, lanes):
    return np.zeros(n, bool)


# name -> function(rng, length, lanes) -> [length] bool
MASKS: dict[str, Callable] = {
    "none": _no_mask,
    "some": _some,
    "causal": _causal,
    "leading beats": _leading,
    "all but one": _single,
    "all": _all,
}


# ----------------------------------------------------------------------------------------- lengths


def corner_lengths(lanes: int, max_len: int) -> list[int]:
    """Lengths at which beat counting goes wrong, all that fit MAX_LEN."""
    beats = -(-max_len // lanes)
    corners = {1, lanes - 1, lanes, lanes + 1, 2 * lanes, max_len - 1, max_len, (beats - 1) * lanes}
    return sorted(n for n in corners if 1 <= n <= max_len)


def random_length(rng: np.random.Generator, lanes: int, max_len: int) -> int:
    """Short rows often, long ones sometimes, corners now and then."""
    pick = rng.random()
    if pick < 0.3:
        return int(rng.choice(corner_lengths(lanes, max_len)))
    if pick < 0.8:
        return int(rng.integers(1, min(max_len, 8 * lanes) + 1))
    return int(rng.integers(1, max_len + 1))


CELL_BEATS, CELL_ELEMENTS = 24, 64  # of a stream cell's longest rows that are drawn, the larger
RUNAWAY = 20  # times MAX_LEN, of a row whose tlast was lost,
RUNAWAY_BEATS = 2048  # where that is no more than so many beats


_SHAPE_NAMES, _MASK_NAMES = list(SHAPES), list(MASKS)


_MISFITS = 0.3  # share of beats with any tkeep, of those that a longer row has beyond another

_FRESH_SET = 0.04  # share of random rows before which a channel set is replaced
_CORNER_SET = 0.25  # share of channel sets at the ends of their ranges
_INPUT_VALUE = 0.5  # share of rows whose input-like settings are one of the row's inputs


class RowMaker:
    """Makes rows for one unit and build: what the scenarios share.

    Rows of a unit with a channel table use one of as many channel sets as it has banks, which are
    replaced by fresh ones now and then; `keep_channels` stops that. With one bank, whose rows wait
    for each load, most rows still overlap. `misfits` is the share of rows whose operands do not fit
    them.
    """

    def __init__(self, rng: np.random.Generator, unit: Unit, parameters: Parameters):
        self.rng = rng
        self.unit = unit
        self.parameters = parameters
        self.lanes: int = parameters["LANES"]
        self.dtype = unit.input_dtype(parameters)
        # Of a cell, whose rows have any length, that of the longest that are drawn.
        cells = max(CELL_BEATS * self.lanes, CELL_ELEMENTS)
        self.max_len = cells if unit.cell else unit.max_len(parameters)
        self.settings: tuple[Setting, ...] = unit.settings(parameters)
        self.drawn = {s.name: s.values for s in self.settings if s.drawn}
        self.keep_channels = False
        self.misfits = 0.0
        sets = unit.banks(parameters) if unit.channels else 0
        self._sets = [self._fresh_set() for _ in range(sets)]

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and the largest input."""
        return _limits(self.dtype)

    def _fresh_set(self) -> ChannelSet:
        """A random set, or one whose columns are each at one end: the largest sums and products."""
        rng = self.rng
        if rng.random() >= _CORNER_SET:
            return self.unit.draw_channels(rng, self.max_len)
        return self._end_set([int(rng.integers(2)) for _ in self.unit.channels])

    def _end_set(self, ends: Sequence[int]) -> ChannelSet:
        """Each column at one end of its range throughout: 0 the lower, 1 the upper."""
        return ChannelSet(
            {
                column.name: np.full(
                    self.max_len, (column.values[0], column.values[-1])[end], column.dtype
                )
                for column, end in zip(self.unit.channels, ends, strict=True)
            }
        )

    def end_sets(self) -> list[ChannelSet | None]:
        """Channel sets with all columns at the lower, and at the upper end; [None] for no table."""
        columns = len(self.unit.channels)
        return [self._end_set([end] * columns) for end in (0, 1)] if columns else [None]

    def edges(self) -> Iterator[Row]:
        """The unit's rows at edges of its arithmetic, which no seed changes."""
        for edge in self.unit.edges(self.parameters):
            length = len(edge.x)
            if length > self.unit.max_len(self.parameters):
                continue
            mask = np.ones(length, bool) if edge.mask is None else edge.mask
            first = {name: values[0] for name, values in self.drawn.items()}
            follow = self.unit.complete(self.parameters, mask)
            yield Row(
                x=edge.x.astype(self.dtype),
                mask=mask,
                settings={**first, **follow, **edge.settings},
                origin="at an edge",
                channels=edge.channels,
                operands=tuple(
                    Row(values.astype(self.dtype), np.ones(length, bool), {}, "at an edge")
                    for values in edge.operands
                ),
            )

    def _channels(self) -> ChannelSet | None:
        if not self._sets:
            return None
        number = int(self.rng.integers(len(self._sets)))
        if not self.keep_channels and self.rng.random() < _FRESH_SET:
            self._sets[number] = self._fresh_set()
        return self._sets[number]

    def _values(self, shape: str, length: int) -> np.ndarray:
        """A row's inputs [length]. Of inputs wider than a byte, a byte's shape at some scale.

        Drawn over their whole range, hardly a row would be of a middling size. Half of the rows
        have lower bits besides, half lie far from 0.
        """
        rng, dtype = self.rng, self.dtype
        if dtype.itemsize == 1:
            return SHAPES[shape](rng, length, dtype)
        low, high = self.limits
        widest = 8 * (dtype.itemsize - 1)
        # The whole range, where arithmetic is cut, comes more often than any other scale.
        step = 1 << min(widest, int(rng.integers(5 * widest // 4)))
        x = SHAPES[shape](rng, length, np.dtype(np.int8)).astype(np.int64) * step
        if rng.random() < 0.5:
            x += rng.integers(step, size=length)
        if rng.random() < 0.5:
            x += rng.integers(low, high, endpoint=True)
        return np.clip(x, low, high)

    def row(
        self,
        length: int | None = None,
        shape: str | None = None,
        mask: str | None = None,
        **settings: int,
    ) -> Row:
        """A row; what is not given is drawn. Settings that are not given are drawn too."""
        rng, dtype, any_mask = self.rng, self.dtype, mask is None
        if length is None:
            length = random_length(rng, self.lanes, self.max_len)
        shape = shape or _SHAPE_NAMES[rng.integers(len(SHAPES))]
        # Masks get in the way of most other things: half of the rows have none.
        mask = mask or ("none" if rng.random() < 0.5 else _MASK_NAMES[rng.integers(len(MASKS))])
        drawn = {name: v[int(rng.integers(len(v)))] for name, v in self.drawn.items()}
        x = self._values(shape, length).astype(dtype)
        # A setting with the input's own range means one of the inputs. Drawn freely it is far from
        # all of a narrow row, and what happens close to it would never be seen.
        for name, values in self.drawn.items():
            if (values[0], values[-1]) == self.limits and rng.random() < _INPUT_VALUE:
                drawn[name] = int(x[rng.integers(length)])
        fitted = self.unit.fitted(self.parameters, x, rng)
        masked = MASKS[mask](rng, length, self.lanes)
        follow = self.unit.complete(self.parameters, masked, rng)
        row = Row(
            x=x,
            mask=masked,
            settings={**drawn, **fitted, **follow, **settings},
            origin=f"{shape}, mask {mask}",
            channels=self._channels(),
        )
        row.operands = tuple(self._operand(row, any_mask) for _ in self.unit.operands)
        return row

    def _operand(self, row: Row, any_mask: bool) -> Row:
        """What goes with a row on a further input stream; the row's mask may move there."""
        rng, length = self.rng, len(row.x)
        shape = _SHAPE_NAMES[rng.integers(len(SHAPES))]
        x = self._values(shape, length).astype(self.dtype)
        other = Row(x, np.ones(length, bool), {}, shape)
        where = rng.integers(4 if any_mask else 3)  # here, there, in both; each its own
        if where == 3:
            name = _MASK_NAMES[rng.integers(len(MASKS))]
            other.mask = MASKS[name](rng, length, self.lanes)
        elif where:
            other.mask = row.mask.copy()
            if where == 1:
                row.mask = np.ones(length, bool)
        if rng.random() < self.misfits:
            self._misfit(row, other)
        return other

    def _misfit(self, row: Row, other: Row) -> None:
        """Have an operand of another length, of other tkeeps, or with the same wrong one."""
        rng, lanes, length = self.rng, self.lanes, len(row.x)
        last = (length - 1) // lanes
        kind = rng.integers(5)
        if kind == 0:  # by whole beats: of a row of whole beats nothing but tlast tells
            length += lanes * int(rng.choice([-2, -1, 1, 2, 5]))
        elif kind == 1:
            length = int(rng.integers(1, length + 5 * lanes + 1))
        elif kind == 2:  # in its last beat
            length = last * lanes + int(rng.integers(1, lanes + 1))
        beats = -(-max(length, 1) // lanes)
        other.x = np.resize(other.x, max(length, 1))
        other.mask = np.resize(other.mask, len(other.x))
        other.origin += f", does not fit: {kind}"
        if kind > 2:
            beat = int(rng.integers(beats))
            other.keep[beat] = int.from_bytes(rng.bytes(8), "little") & ((1 << lanes) - 1)
            if kind == 4:
                row.keep[beat] = other.keep[beat]
        longer, shorter = (other, last + 1) if beats > last + 1 else (row, beats)
        for beat in range(shorter, -(-len(longer.x) // lanes)):  # these are dropped
            if rng.random() < _MISFITS:
                longer.keep[beat] = int.from_bytes(rng.bytes(8), "little") & ((1 << lanes) - 1)
