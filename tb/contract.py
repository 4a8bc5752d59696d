"""The stream contract in numpy: what rows the beats on the pins make, and what must come back.

Written from docs/stream.md, for every unit alike. The scoreboard uses it on what the monitors saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tb.stimulus import Noise, Row
from tb.unit import ChannelSet, Parameters, Rows, Unit


@dataclass(frozen=True)
class StreamShape:
    """Geometry of a build: lanes a beat, elements a row, bytes a lane on either side."""

    lanes: int
    max_len: int
    in_dtype: np.dtype
    out_dtype: np.dtype

    @classmethod
    def of(cls, unit: Unit, parameters: Parameters) -> StreamShape:
        """The geometry of a unit's build."""
        return cls(
            parameters["LANES"], parameters["MAX_LEN"], unit.in_dtype, unit.out_dtype(parameters)
        )

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

    beats  [tdata, tlast, tkeep, side band] of each beat; the side band is tstrb of an input,
           tuser of an output. Strings of 0 and 1, the high bit first, as the simulator hands them
           over: to turn them into numbers beat by beat would cost more than the rest of the bench.
    """

    beats: list[list[str]] = field(default_factory=list)
    settings: dict[str, int] = field(default_factory=dict)  # of an input row
    channels: ChannelSet | None = None  # what the input row's bank held
    clocks: list[int] = field(default_factory=list)  # clock of each beat's transfer
    waits: int = 0  # clocks with tvalid and no tready
    gaps: int = 0  # clocks without tvalid after the first beat

    @property
    def user(self) -> list[str]:
        """tuser of each beat of an output row."""
        return [beat[3] for beat in self.beats]


@dataclass(frozen=True)
class Expected:
    """A batch of input rows, decoded.

    rows      what the unit computes on, [rows, max width of the batch]
    keep      [rows, width] bool, elements that come out
    beats     [rows] int, output beats
    err_len, err_keep  [rows] bool, the common checks; err_len_o pulses once for each such row
    keep_pulses  [rows] int, clocks of err_keep_o
    keep_kinds  [beats with a wrong tkeep] index into KEEP_KINDS
    """

    rows: Rows
    keep: np.ndarray
    beats: np.ndarray
    err_len: np.ndarray
    err_keep: np.ndarray
    keep_pulses: np.ndarray
    keep_kinds: np.ndarray


# Ways for a tkeep to be wrong: no lane; a hole, or no lane 0; a run that ends before the row does.
KEEP_KINDS = ("empty", "empty at tlast", "hole", "hole at tlast", "short")


def _bits(values: Sequence[str], width: int) -> np.ndarray:
    """[len(values), width] bool from bit strings, bit 0 first."""
    raw = np.frombuffer("".join(values).encode("ascii"), np.uint8)
    return raw.reshape(-1, width)[:, ::-1] == ord("1")


def _lanes(values: Sequence[str], lanes: int, dtype: np.dtype) -> np.ndarray:
    """[len(values), lanes] of dtype from bit strings, lane 0 in the low bits."""
    raw = np.packbits(_bits(values, lanes * dtype.itemsize * 8), axis=1, bitorder="little")
    return raw.view(dtype.newbyteorder("<"))


def _places(observed: Sequence[ObservedRow]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Beats of each row; and for all beats in a line, their row and their number in it."""
    beats = np.array([len(row.beats) for row in observed])
    row = np.repeat(np.arange(len(observed)), beats)
    number = np.arange(beats.sum()) - np.repeat(np.cumsum(beats) - beats, beats)
    return beats, row, number


def decode(observed: Sequence[ObservedRow], shape: StreamShape) -> Expected:
    """What a batch of input rows asks of the unit."""
    lanes = shape.lanes
    beats, row, number = _places(observed)
    tdata, _, tkeep, tstrb = zip(*(beat for r in observed for beat in r.beats), strict=True)
    keep, strb = _bits(tkeep, lanes), _bits(tstrb, lanes)
    data = _lanes(tdata, lanes, shape.in_dtype)

    last = number == beats[row] - 1
    ones = keep.sum(axis=1)
    a_run = keep.argmin(axis=1) == ones  # first zero right after as many ones as there are
    wrong = np.where(last, (ones == 0) | ~(a_run | (ones == lanes)), ones != lanes)
    kind = np.where(ones == 0, 0, np.where(a_run, 4, 2)) + last
    pulses = np.bincount(row, weights=wrong, minlength=len(observed)).astype(int)

    inside = number[:, None] * lanes + np.arange(lanes) < shape.max_len
    too_long = np.zeros(len(observed), bool)
    np.logical_or.at(too_long, row, (keep & ~inside).any(axis=1) | (number >= shape.max_beats))

    stored = number < shape.max_beats
    out_beats = np.minimum(beats, shape.max_beats)
    grid = (len(observed), int(out_beats.max()), lanes)
    x, exists, active = (np.zeros(grid, t) for t in (shape.in_dtype, bool, bool))
    where = (row[stored], number[stored])
    exists[where] = (keep & inside)[stored]
    active[where] = (keep & inside & strb)[stored]
    x[where] = data[stored]
    x[~exists] = 0

    flat = (len(observed), grid[1] * lanes)
    # One past the last element that exists: a row with holes in its tkeep keeps its places.
    exists, active, x = exists.reshape(flat), active.reshape(flat), x.reshape(flat)
    length = flat[1] - exists[:, ::-1].argmax(axis=1)
    length[~exists.any(axis=1)] = 0
    width = min(flat[1], shape.max_len)  # nothing exists beyond MAX_LEN
    settings = {
        name: np.array([r.settings[name] for r in observed]) for name in observed[0].settings
    }
    sets = {id(r.channels): r.channels for r in observed if r.channels is not None}
    numbers = {key: number for number, key in enumerate(sets)}
    return Expected(
        rows=Rows(
            x[:, :width],
            active[:, :width],
            length,
            settings,
            channels=tuple(sets.values()),
            channel_set=np.array([numbers[id(r.channels)] for r in observed]) if sets else None,
        ),
        keep=exists,
        beats=out_beats,
        err_len=too_long,
        err_keep=pulses > 0,
        keep_pulses=pulses,
        keep_kinds=kind[wrong],
    )


@dataclass(frozen=True)
class Outcome:
    """A batch of output rows, decoded: out and keep [rows, beats * lanes], beats [rows]."""

    out: np.ndarray
    keep: np.ndarray
    beats: np.ndarray


def decode_outputs(observed: Sequence[ObservedRow], shape: StreamShape) -> Outcome:
    """The same for the output side."""
    beats, row, number = _places(observed)
    grid = (len(observed), int(beats.max()), shape.lanes)
    out, keep = np.zeros(grid, shape.out_dtype), np.zeros(grid, bool)
    tdata, _, tkeep, _ = zip(*(beat for r in observed for beat in r.beats), strict=True)
    out[row, number] = _lanes(tdata, shape.lanes, shape.out_dtype)
    keep[row, number] = _bits(tkeep, shape.lanes)
    flat = (len(observed), grid[1] * shape.lanes)
    return Outcome(out.reshape(flat), keep.reshape(flat), beats)


def pack(row: Row, shape: StreamShape, noise: Noise) -> list[tuple[int, int, int]]:
    """Beats (tdata, tkeep, tstrb) of a row. Lanes that hold no element carry noise."""
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
    return list(zip(data, keeps, strbs, strict=True))
