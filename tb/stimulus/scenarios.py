# SPDX-License-Identifier: Apache-2.0
"""The tests by name: which rows, under which stalls, with what else going on. Plain data.

A scenario is a function from a `Bench` to phases of rows. The UVM test that runs it is named with
it (`tb.uvm.tests`): most need only the base test, some add resets or check clocks.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from softnorm.models import vectors
from softnorm.models.vectors import Vectors
from softnorm.units.unit import ChannelSet, Parameters, Rows, Unit

from .values import (
    AFTER_TVALID,
    MASKS,
    RUNAWAY,
    RUNAWAY_BEATS,
    SHAPES,
    SINKS,
    STALLS,
    Phase,
    Row,
    RowMaker,
    corner_lengths,
)


@dataclass(frozen=True)
class Bench:
    """What a scenario may draw on. `rows` scales the random ones, `tensors` is a file or None."""

    make: RowMaker
    rows: int
    tensors: Path | None

    @property
    def rng(self) -> np.random.Generator:
        return self.make.rng


@dataclass(frozen=True)
class Scenario:
    """A named test: its phases and the UVM test class that drives them."""

    about: str
    phases: Callable[[Bench], Iterator[Phase]]
    test: str = "RowTest"
    tensors: bool = False  # reads a tensor file


def rows_of(unit: Unit, parameters: Parameters, file: Vectors) -> Rows:
    """The rows of a vector file; settings that it does not give follow from the row, or are 0.

    An entry of a setting's name is that setting, row by row.
    """
    file = unit.adopted(file, parameters)
    count = len(file.length)
    wanted = unit.settings(parameters)
    named = {one.name: file.extra[one.name] for one in wanted if one.name in file.extra}
    operands = tuple(_narrowed(file.extra[one.name], file.x.dtype) for one in unit.operands)
    given = {**named, **file.run_settings}
    follow = []
    if any(setting.name not in given for setting in wanted):
        follow = [unit.complete(parameters, mask) for mask in file.mask]
    settings = {}
    for setting in wanted:
        if setting.name in given:
            settings[setting.name] = np.broadcast_to(given[setting.name], count)
        else:
            values = [row.get(setting.name, setting.values[0]) for row in follow]
            settings[setting.name] = np.array(values)
    sets = ()
    if unit.channels:
        sets = tuple(
            ChannelSet({name: values[number] for name, values in file.channels.items()})
            for number in range(int(file.channel_set.max()) + 1)
        )
    return Rows(file.x, file.mask, file.length, settings, sets, file.channel_set, operands)


def _narrowed(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Whole numbers of any dtype as inputs; where one does not fit, as they are."""
    small = values.astype(dtype) if values.dtype.kind in "iu" else values
    return small if np.array_equal(small, values) else values


def tensor_rows(path: Path, unit: Unit, parameters: Parameters) -> Iterator[Row]:
    """The rows of a tensor or vector file that fit the build, in order."""
    longest = unit.max_len(parameters)
    rows = rows_of(unit, parameters, vectors.load(path))
    for i, length in enumerate(rows.length.tolist()):
        if length > longest:
            continue
        yield Row(
            x=rows.x[i, :length].copy(),
            mask=rows.mask[i, :length].copy(),
            settings={name: int(values[i]) for name, values in rows.settings.items()},
            origin=f"{path.name} row {i}",
            channels=rows.channels[rows.channel_set[i]] if unit.channels else None,
            operands=tuple(
                Row(values[i, :length].copy(), np.ones(length, bool), {}, path.name)
                for values in rows.operands
            ),
        )


_SOME_MISFIT, _MANY_MISFIT = 0.2, 0.6  # shares of rows whose operands do not fit them


def _tensors(bench: Bench) -> Iterator[Phase]:
    make = bench.make
    yield Phase(tensor_rows(bench.tensors, make.unit, make.parameters), real=True)


def _random(bench: Bench) -> Iterator[Phase]:
    left = bench.rows
    several = bool(bench.make.unit.operands)
    bench.make.misfits = _SOME_MISFIT
    while left > 0:
        n = min(left, int(bench.rng.integers(1, 12)))
        left -= n
        source, sink = bench.rng.choice(list(STALLS)), bench.rng.choice(SINKS)
        other = str(bench.rng.choice(list(STALLS))) if several else ""
        yield Phase((bench.make.row() for _ in range(n)), str(source), str(sink), other=other)


def _default(bench: Bench) -> Iterator[Phase]:
    if bench.tensors is not None:  # a stream cell has none
        yield from _tensors(bench)
    yield from _random(bench)


def _smoke(bench: Bench) -> Iterator[Phase]:
    yield Phase(bench.make.row() for _ in range(max(1, bench.rows // 10)))


def _shapes(bench: Bench) -> Iterator[Phase]:
    make = bench.make
    lengths = sorted({min(make.max_len, n) for n in (make.lanes, 4 * make.lanes, 13 * make.lanes)})
    each = max(1, bench.rows // (len(SHAPES) * len(lengths)))
    yield Phase(
        make.row(length=n, shape=shape, mask="none")
        for _ in range(each)
        for shape in SHAPES
        for n in lengths
    )
    yield Phase(_climbs(make))
    yield Phase(_distances(make))
    yield Phase(make.edges())


_IN_ORDER = 1 << 20
_MANY = 1 << 16  # values of a setting that are a number of a row's own, not a choice


def _choices(make: RowMaker) -> dict[str, range]:
    """The settings that are to be combined; what the others are is drawn for each row."""
    return {name: values for name, values in make.drawn.items() if len(values) < _MANY}


def _combinations(make: RowMaker, most: int) -> list[dict[str, int]]:
    """Choices in every combination, or `most` drawn ones where there are more."""
    choices = _choices(make)
    sizes = [len(values) for values in choices.values()]
    every = int(np.prod(sizes))
    found = []
    # So many that they cannot be put in an order hardly come twice.
    few = every <= _IN_ORDER
    drawn = make.rng.permutation(every)[:most] if few else make.rng.integers(every, size=most)
    for flat in drawn:
        places = np.unravel_index(flat, sizes)
        named = zip(choices.items(), places, strict=True)
        found.append({name: values[int(place)] for (name, values), place in named})
    return found


def _each_value(make: RowMaker, count: int = 8) -> list[dict[str, int]]:
    """Choices `count` times: every value of each setting that has no more values than that."""
    found: list[dict[str, int]] = [{} for _ in range(count)]
    for name, values in _choices(make).items():
        places = make.rng.permutation(len(values)).tolist()
        for number, settings in enumerate(found):
            settings[name] = values[places[number % len(values)]]
    return found


def _sizes(make: RowMaker, count: int) -> np.ndarray:
    """Distances between two inputs, from 1 to the largest.

    Steps between them are those of a logarithm: what follows from a distance is relative to it.
    """
    low, high = make.limits
    return np.unique(np.geomspace(1, high - low, count).astype(int))


def _climbs(make: RowMaker) -> Iterator[Row]:
    """Rows whose maximum rises from beat to beat, by each size, under each setting.

    Then rows with beats whose maxima are below the last one's by each size.
    """
    low, high = make.limits
    beats = min(8, make.max_len // make.lanes)
    sizes = _sizes(make, 84)
    for settings in _each_value(make) if beats > 1 else ():
        staircases = []
        rises = make.rng.permutation(sizes).tolist()
        while rises:
            levels = [low]
            # As many rises as fit a row, in the order drawn.
            while rises and len(levels) < beats and levels[-1] + rises[-1] <= high:
                levels.append(levels[-1] + rises.pop())
            staircases.append(levels)
        below = make.rng.permutation(sizes)
        for at in range(0, len(below), beats - 1):
            staircases.append([*np.sort(high - below[at : at + beats - 1]), high])
        for levels in staircases:
            row = make.row(make.lanes * len(levels), "flat", "none", **settings)
            row.x[:] = np.repeat(levels, make.lanes)
            yield row


def _all_distances(make: RowMaker) -> np.ndarray:
    """Distances between two inputs: every one there is of bytes, else some of each size."""
    low, high = make.limits
    return np.arange(1, high - low + 1) if high - low < 256 else _sizes(make, 255)


def _distances(make: RowMaker) -> Iterator[Row]:
    """Rows with an element at the top and others below it by every distance, under each setting."""
    high = make.limits[1]
    most = min(make.max_len, 64) - 1
    for settings in _each_value(make) if most else ():
        below = make.rng.permutation(_all_distances(make))
        for at in range(0, len(below), most):
            part = np.append(below[at : at + most], 0)
            row = make.row(len(part), "flat", "none", **settings)
            row.x[:] = high - make.rng.permutation(part)
            yield row


def _levels(bench: Bench) -> Iterator[Phase]:
    make = bench.make
    low, high = make.limits
    every = min(make.max_len, 576)  # and some beyond
    counts = np.unique([*range(1, every + 1), *np.linspace(every, make.max_len, 24).astype(int)])
    rows = []
    for count in np.repeat(counts, max(1, bench.rows // len(counts))).tolist():
        row, lower = (make.row(length=count, shape="flat", mask="none") for _ in range(2))
        row.x[:] = high
        below = int(lower.x[0]) - int(bench.rng.geometric(0.05))
        lower.x[bench.rng.integers(count)] = max(low, below)
        rows += [row, lower]
    # The largest sum under each setting.
    for settings in _each_value(make):
        row = make.row(make.max_len, "flat", "none", **settings)
        row.x[:] = high
        rows.append(row)
    # The small sums again, with lower elements: some drawn ones, and under each setting the same
    # ones of every size; under the smallest sums one at a time.
    sizes = _sizes(make, 24)
    for count in range(1, min(64, make.max_len) + 1):
        for _ in range(2):
            depths = np.exp(bench.rng.uniform(0, np.log(high - low), 8)).astype(int)
            rows += _with_lower(make, count, depths)
        for settings in _each_value(make) if count <= 50 else ():
            rows += _with_lower(make, count, sizes, **settings)
        for settings in _each_value(make) if count <= 2 else ():
            for size in _sizes(make, 48):
                rows += _with_lower(make, count, [size], **settings)
    # Rows that rise throughout: what is summed is corrected in every beat.
    for length in (min(5 * make.lanes, make.max_len), make.max_len):
        row = make.row(length, "flat", "none")
        row.x[:] = np.linspace(low, high, length).astype(int)
        rows.append(row)
    yield Phase(rows)
    yield Phase(make.edges())


def _with_lower(make: RowMaker, count: int, depths: Sequence[int], **settings: int) -> list[Row]:
    """A row of `count` elements at the top and some below it; none if it is too long."""
    length = count + len(depths)
    if length > make.max_len:
        return []
    row = make.row(length, "flat", "none", **settings)
    high = make.limits[1]
    row.x[:] = high
    row.x[make.rng.choice(length, len(depths), replace=False)] = high - np.asarray(depths)
    return [row]


def _lengths(bench: Bench) -> Iterator[Phase]:
    corners = corner_lengths(bench.make.lanes, bench.make.max_len)
    for source, sink in (("none", "none"), ("half", "none"), ("none", "half")):
        yield Phase((bench.make.row(length=n) for n in corners), source, sink)
    short = min(bench.make.max_len, 3 * bench.make.lanes)
    yield Phase(bench.make.row(length=n) for n in range(1, short + 1))
    # Every corner after every other.
    yield Phase(
        bench.make.row(length=n, mask="none")
        for a in corners[:6]
        for b in corners[:6]
        for n in (a, b)
    )


def _masks(bench: Bench) -> Iterator[Phase]:
    make = bench.make
    lengths = corner_lengths(make.lanes, min(make.max_len, 8 * make.lanes))
    # And two between the corners, in the first beat and behind it.
    lengths += [n for n in (make.lanes // 2, 2 * make.lanes + 1) if 1 <= n <= make.max_len]
    each = max(1, bench.rows // (len(MASKS) * len(lengths)))
    yield Phase(
        make.row(length=n, mask=mask) for _ in range(each) for mask in MASKS for n in lengths
    )
    yield Phase(_like_masked(make))


def _like_masked(make: RowMaker) -> Iterator[Row]:
    """Rows of elements that are 0, as what is masked is inside: to count one there shows.

    Every other element, every other pair and every other four are masked, the first ones or not.
    """
    for length in sorted({min(n * make.lanes, make.max_len) for n in (1, 2, 5)}):
        for run in (1, 2, 4):
            for first in (0, 1):
                mask = np.arange(length) // run % 2 == first
                follow = make.unit.complete(make.parameters, mask)
                row = make.row(length, "flat", "none", **follow)
                row.x[:] = 0
                row.mask[:] = mask
                row.origin = f"zeros, {run} of {2 * run} masked"
                yield row


def _settings(bench: Bench) -> Iterator[Phase]:
    make = bench.make
    # Each combination three times, in random order, on short rows: a setting that is taken too
    # early or too late shows. And once more where first beats wait for tready.
    combinations = _combinations(make, 64)
    for times, sink in ((3, "none"), (1, "half")):
        chosen = times * combinations
        rows = []
        for place in bench.rng.permutation(len(chosen)):
            length = int(bench.rng.integers(1, min(make.max_len, 4 * make.lanes) + 1))
            rows.append(make.row(length, **chosen[place]))
        yield Phase(rows, "none", sink)
    yield Phase((make.row(length=1) for _ in range(40)), "none", "half")
    yield Phase(_ends(make))


def _ends(make: RowMaker) -> Iterator[Row]:
    """Settings, inputs and channels, each at either end: the extremes of the arithmetic."""
    length = min(make.max_len, 2 * make.lanes)
    follow = make.unit.complete(make.parameters, np.ones(length, bool))  # never wrong ones
    ends = [[(name, v[0]), (name, v[-1])] for name, v in make.drawn.items()]
    low, high = make.limits
    for channels in make.end_sets():
        for settings in itertools.product(*ends):
            for values in ([low], [high], [low, high]):
                row = make.row(length, "flat", "none", **follow, **dict(settings))
                row.x[:] = np.resize(values, length)
                row.channels = channels
                yield row


def _stalls(bench: Bench) -> Iterator[Phase]:
    make = bench.make
    longest = min(make.max_len, 10 * make.lanes)
    # A sink that waits for tvalid: each of its patterns once, against another of the source's.
    waiting = zip(reversed(STALLS), (name + AFTER_TVALID for name in STALLS), strict=True)
    for source, sink in (*waiting, *itertools.product(STALLS, STALLS)):
        lengths = (1, longest, make.lanes, 1, int(bench.rng.integers(1, longest + 1)))
        yield Phase((make.row(length=n) for n in lengths), source, sink)
    # Back-pressure long enough to fill the unit: whole long rows against a closed sink.
    for sink in ("starved", "half" + AFTER_TVALID):
        yield Phase((make.row(length=make.max_len, mask="none") for _ in range(3)), "none", sink)
    # The same with as many rows as the unit can hold: of one beat each.
    many = min(2 * -(-make.max_len // make.lanes), 600) + 32
    yield Phase((make.row(length=1) for _ in range(many)), "none", "starved")
    yield from _paces(bench, ("none", "half"), 3)


def _paces(bench: Bench, sinks: Sequence[str], count: int) -> Iterator[Phase]:
    """Of a unit of several input streams: each pace of one against each of the others."""
    make = bench.make
    make.misfits = _MANY_MISFIT
    paces = itertools.product(STALLS, STALLS) if make.unit.operands else ()
    for number, (source, other) in enumerate(paces):
        rows = (make.row(int(bench.rng.integers(1, 5 * make.lanes + 1))) for _ in range(count))
        yield Phase(rows, source, sinks[number % len(sinks)], other=other)


def _wrong_keeps(lanes: int, rng: np.random.Generator) -> list[int]:
    """A tkeep of each wrong kind (some are right on a row's last beat)."""
    full = (1 << lanes) - 1
    if lanes == 1:
        return [0]
    hole = full & ~(1 << int(rng.integers(lanes - 1)))
    noise = int.from_bytes(rng.bytes(8), "little") & full
    return [0, hole, full & ~1, noise, full >> 1, 1]


def _spoiled(row: Row, beat: int, keep: int) -> Row:
    row.keep[beat] = keep
    row.origin += f", tkeep of beat {beat} spoiled"
    return row


def _too_long(bench: Bench, over: int, mask: str | None = None) -> Row:
    row = bench.make.row(length=bench.make.max_len + over, mask=mask)
    row.origin += ", longer than MAX_LEN"
    return row


def _both_wrong(bench: Bench) -> Row:
    """A row over MAX_LEN whose first beat has a wrong tkeep."""
    keeps = _wrong_keeps(bench.make.lanes, bench.rng)[:3]
    row = _too_long(bench, 3 * bench.make.lanes)
    # Not rng.choice: numpy makes floats of integers of 64 bits.
    return _spoiled(row, 0, keeps[int(bench.rng.integers(len(keeps)))])


_DROPPED = (
    5  # beats beyond MAX_LEN, each of which has a wrong tkeep once, while the others have not
)


def _wrong_beyond(bench: Bench) -> Iterator[Row]:
    """Rows of which one dropped beat alone has a wrong tkeep, each in turn; then all of them."""
    lanes, stored = bench.make.lanes, -(-bench.make.max_len // bench.make.lanes)
    keeps = _wrong_keeps(lanes, bench.rng)[:3]  # wrong in last beats too
    for beats in (*([n] for n in range(_DROPPED)), range(_DROPPED)):
        row = _too_long(bench, _DROPPED * lanes, "none")
        for beat in beats:
            row = _spoiled(row, stored + beat, keeps[int(bench.rng.integers(len(keeps)))])
        yield row


def _runaways(bench: Bench) -> Iterator[Row]:
    """Rows whose tlast was lost: they end two beats behind each power of two of beats.

    None of a cell, to which they are rows like any other. A count of dropped beats that wraps there
    lets those two in. The last one has RUNAWAY times MAX_LEN and more, where that is no more than
    RUNAWAY_BEATS.
    """
    make = bench.make
    if make.unit.cell:
        return
    stored = -(-make.max_len // make.lanes)
    far = max(stored + 1, min(RUNAWAY * stored, RUNAWAY_BEATS))
    for power in range(stored.bit_length(), (far - 1).bit_length() + 1):
        beats = (1 << power) + 2
        yield _too_long(bench, beats * make.lanes - make.max_len, "none")


def _too_long_rows(bench: Bench) -> list[Row]:
    """Rows over MAX_LEN."""
    make, lanes = bench.make, bench.make.lanes
    rows = []
    for over in sorted({1, max(1, lanes - 1), lanes, lanes + 1, 3 * lanes}):
        # Masked elements beyond MAX_LEN make its count of unmasked ones wrong, besides.
        rows += [_too_long(bench, over), make.row(length=1), _too_long(bench, over, "some")]
    rows += [_both_wrong(bench) for _ in range(2)]
    # Beyond MAX_LEN nothing but beats without an element.
    row = _too_long(bench, lanes)
    rows.append(_spoiled(row, -(-len(row.x) // lanes) - 1, 0))
    return [*rows, *_wrong_beyond(bench)]


def _error_rows(bench: Bench) -> list[Row]:
    """Rows over MAX_LEN, where there are such, and rows with each wrong tkeep, among good ones."""
    make, lanes = bench.make, bench.make.lanes
    beats = min(-(-make.max_len // lanes), 5)
    rows = [] if make.unit.cell else _too_long_rows(bench)
    for keep in _wrong_keeps(lanes, bench.rng):
        for beat in sorted({0, beats // 2, beats - 1}):
            length = min(make.max_len, (beats - 1) * lanes + 1 + int(bench.rng.integers(lanes)))
            rows.append(_spoiled(make.row(length=length), beat, keep))
            rows.append(make.row(length=int(bench.rng.integers(1, make.max_len // 2 + 2))))
    # Rows change places, their channel sets do not: else nearly every row would wait for its own.
    sets = [row.channels for row in rows]
    mixed = [rows[place] for place in bench.rng.permutation(len(rows))]
    return [replace(row, channels=channels) for row, channels in zip(mixed, sets, strict=True)]


def _more_wrong_keeps(bench: Bench) -> list[Row]:
    """Rows of one beat with each wrong tkeep, and rows with wrong ones in two beats."""
    make, lanes = bench.make, bench.make.lanes
    middle = (1 << lanes) - 1 & ~(1 << lanes // 2)  # a hole, lane 0 not in it
    keeps = [middle, *_wrong_keeps(lanes, bench.rng)]
    lengths = [lanes, *bench.rng.integers(1, lanes + 1, len(keeps) - 1).tolist()]
    rows = [
        _spoiled(make.row(length), 0, keep) for length, keep in zip(lengths, keeps, strict=True)
    ]
    for number, keep in enumerate(keeps):
        row = _spoiled(make.row(min(make.max_len, 3 * lanes)), 0, keeps[number - 1])
        rows.append(_spoiled(row, 1, keep) if len(row.x) > lanes else row)
    return rows


def _errors(bench: Bench) -> Iterator[Phase]:
    bench.make.misfits = _SOME_MISFIT
    for source, sink in (("none", "none"), ("half", "half"), ("none", "heavy"), ("none", "rare")):
        yield Phase(_error_rows(bench), source, sink)
    # Errors that wait a little at the output.
    make, lanes = bench.make, bench.make.lanes
    if not make.unit.cell:
        yield Phase(
            (_both_wrong(bench) if n % 3 else _too_long(bench, lanes) for n in range(18)),
            "none",
            "rare",
        )
    # A tlast that was lost, and what comes behind it.
    good = (make.max_len, 1, lanes)
    yield Phase(row for one in _runaways(bench) for row in (one, *map(make.row, good)))
    # One lane above a hole, in a row's only beat: each lane is seen by itself, above holes that
    # begin at every lane, or, of many lanes, at the first and at the last that can be. One of these
    # rows right behind the other meets each setting at both of its ends.
    yield Phase(
        _spoiled(make.row(lane, **{n: v[end] for n, v in make.drawn.items()}), 0, keep | 1 << lane)
        for lane in range(2, lanes)
        for keep in ((1 << n) - 1 for n in (range(1, lane) if lanes <= 8 else {1, lane - 1}))
        for end in (0, -1)
    )
    # With nothing unmasked, a wrong tkeep leaves the row's count right.
    long = min(make.max_len, 8 * lanes)
    keeps = _wrong_keeps(lanes, bench.rng)[:3] if long > lanes else ()
    yield Phase(
        (_spoiled(make.row(long, mask="all"), 0, keep) for keep in 2 * [*keeps]), "none", "rare"
    )
    yield Phase(_more_wrong_keeps(bench), "none", "half")
    yield from _paces(bench, ("none", "rare", "half"), 8)


def _resets(bench: Bench) -> Iterator[Phase]:
    yield from _random(bench)
    # A reset has to find errors under way, too.
    for source, sink in (("none", "none"), ("half", "half")):
        yield Phase((*_error_rows(bench), *_runaways(bench)), source, sink)
    # And a unit that is full while its output moves.
    long = min(bench.make.max_len, 8 * bench.make.lanes)
    yield Phase((bench.make.row(long, mask="none") for _ in range(50)), "none", "half")
    yield from _paces(bench, ("none", "half"), 3)


def _timing(bench: Bench) -> Iterator[Phase]:
    make = bench.make
    make.keep_channels = True  # to load others takes clocks that are not the unit's
    # One length for long, then all mixed: the worst is many short rows after a long one.
    lengths = {*corner_lengths(make.lanes, make.max_len), min(384, make.max_len)}
    for n in sorted(lengths):
        beats = -(-n // make.lanes)
        count = max(3, min(120, 4 * -(-make.max_len // make.lanes) // beats))
        yield Phase(make.row(length=n, mask="none") for _ in range(count))
    yield Phase(make.row(length=n) for n in (make.max_len, *[1] * 60, make.max_len, make.lanes))
    yield Phase(make.row() for _ in range(30))
    # Errors cost no clock.
    yield Phase(_more_wrong_keeps(bench))
    over = () if make.unit.cell else (1, make.lanes, 3 * make.lanes, 1)
    yield Phase(row for n in over for row in (_too_long(bench, n), make.row(1), make.row(1)))


SCENARIOS: dict[str, Scenario] = {
    "default": Scenario(
        "the shipped real tensors, then a short random mix", _default, tensors=True
    ),
    "tensors": Scenario(
        "the rows of a tensor or vector file (TENSORS=), in order", _tensors, tensors=True
    ),
    "random": Scenario("everything drawn: shape, length, mask, settings, stalls", _random),
    "smoke": Scenario("a few random rows, no stalls", _smoke),
    "shapes": Scenario("each distribution of values at several lengths", _shapes),
    "levels": Scenario("1, 2, 3, ... equal elements, and one of them lower: every sum", _levels),
    "lengths": Scenario(
        "each corner length, every one after every other, and all short ones", _lengths
    ),
    "masks": Scenario("each kind of mask at each corner length", _masks),
    "settings": Scenario("every combination of settings, changing from row to row", _settings),
    "stalls": Scenario(
        "every stall pattern on either side against every other; tready after tvalid", _stalls
    ),
    "errors": Scenario("rows over MAX_LEN and wrong tkeep among good rows", _errors),
    "reset": Scenario(
        "random rows, wrong ones and stalls under resets at random times", _resets, "ResetTest"
    ),
    "timing_tensors": Scenario(
        "the rows of a tensor file without stalls, every clock accounted for",
        _tensors,
        "TimingTest",
        tensors=True,
    ),
    "timing": Scenario(
        "no stalls: every clock accounted for, throughput and latency", _timing, "TimingTest"
    ),
}
