# SPDX-License-Identifier: Apache-2.0
"""The shrinker: reduce a failing run's stimulus to the smallest that still fails in the same way.

Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002)
over rows, then resets, then the elements of each row, with simpler stalls, settings, masks and
values tried in between. A candidate counts only if its failure falls into the same bucket. They
share a simulator process (`Simulator`), so that one costs little more than its rows.
"""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from softnorm.tb.run import Run
from softnorm.tb.stimulus.replay import Stimulus
from softnorm.tb.stimulus.values import STREAM_STATES, Phase, Reset, Row
from softnorm.units.unit import ChannelSet

from ..build.pins import Build
from .buckets import normalised
from .simulate import Result, Simulator, new_run, rerun_line

STIMULUS_FILE = "stimulus.json"  # in the run's folder
_MOST_VALUES = 16  # elements of a row whose values are brought closer to 0


@dataclass(frozen=True)
class Shrunk:
    """What is left: a stimulus, the run that drove it and failed, how many were tried."""

    stimulus: Stimulus
    result: Result
    before: tuple[int, int]  # rows, elements
    tried: int

    @property
    def file(self) -> Path:
        """The stimulus, as STIMULUS= takes it."""
        return self.result.run.stimulus

    def as_dict(self) -> dict:
        """Plain data, for the result of the run that was shrunk."""
        return {
            "rows": len(self.stimulus.rows),
            "elements": self.stimulus.elements,
            "before": dict(zip(("rows", "elements"), self.before, strict=True)),
            "tried": self.tried,
            "rerun": self.result.run.rerun,
            "file": str(self.file),
            "text": str(self.stimulus),
            "report": self.result.report,
            "log": str(self.result.log),
            "waves": None,
        }


def shrink(
    build: Build,
    run: Run,
    *,
    most: int = 3000,
    seconds: float = 90,
    on_progress: Callable[[int, int, int], None] = lambda tried, rows, elements: None,
) -> Shrunk | None:
    """Shrink what `run` drives on `build`; None if it does not fail (again).

    Ends after `most` candidates or that many seconds with the smallest so far. `on_progress` gets
    the number of candidates, and rows and elements of the smallest.
    """
    if run.stimulus is None:
        stimulus = Stimulus.of(run)
    else:
        stimulus = Stimulus.load(run.stimulus, run.descriptor, run.parameters)
    with Simulator(build, run.seed) as simulator:
        made = _Shrinker(build, simulator, run, most, seconds, on_progress)
        return made.shrink(stimulus)


class _Shrinker:
    """Holds the smallest failing stimulus, and replaces it by smaller ones."""

    def __init__(
        self, build: Build, simulator: Simulator, run: Run, most: int, seconds: float, on_progress
    ):
        self._build, self._simulator, self._run = build, simulator, run
        self._on_progress = on_progress
        self._lanes = run.parameters["LANES"]
        self._most, self._end = most, time.monotonic() + seconds
        self._tried = self._taken = 0
        self._seen: set[str] = set()  # stimuli that were tried
        self._message: str | None = None  # of the failure; None until it has been seen
        self._best: Stimulus
        self._result: Result | None = None  # of the best

    def shrink(self, stimulus: Stimulus) -> Shrunk | None:
        """Try every reduction in turn until none makes progress."""
        if not self._take_first([stimulus]):
            return None
        before = (len(stimulus.rows), stimulus.elements)
        taken = 0
        while taken != self._taken and not self._spent:
            taken = self._taken
            self._fewer_resets()
            self._fewer_rows()
            self._simpler_stalls()
            self._simpler_rows()
            for number in range(len(self._best.rows)):
                self._simpler_row(number)
            self._simpler_channels()
        return Shrunk(self._best, self._result, before, self._tried)

    # ------------------------------------------------------------------------- candidates

    @property
    def _spent(self) -> bool:
        return self._tried >= self._most or time.monotonic() > self._end

    def _take_first(self, candidates: Iterable[Stimulus]) -> bool:
        """Take the first candidate that fails as the run did, if there is one; return whether."""
        return self._first(candidates) is not None

    def _first(self, candidates: Iterable[Stimulus]) -> int | None:
        """The number of the first that fails as the run did; it is the best now."""
        for number, stimulus in enumerate(candidates):
            if self._spent and self._result is not None:
                break
            text = stimulus.to_json(self._run)
            if text in self._seen:  # of a row of equal elements it does not matter which go
                continue
            self._seen.add(text)
            self._tried += 1
            result = self._simulator.run(self._new_run(text))
            if not self._is_it(result):
                shutil.rmtree(result.run.folder)
                continue
            if self._result is not None:
                shutil.rmtree(self._result.run.folder)
            self._best, self._result = stimulus, result
            self._taken += 1
            self._on_progress(self._tried, len(self._best.rows), self._best.elements)
            return number
        return None

    def _is_it(self, result: Result) -> bool:
        """Whether a run failed, and as the first one did."""
        if result.passed:
            return False
        message = normalised(result.report)
        self._message = self._message or message
        return message == self._message

    def _new_run(self, stimulus: str) -> Run:
        run = self._run
        bare = new_run(self._build, run.test, run.seed, run.rows, run.tensors, "")
        path = bare.folder / STIMULUS_FILE
        path.write_text(stimulus)
        rerun = rerun_line(
            run.descriptor, run.sim, run.test, run.seed, run.rows, None, run.parameters, path
        )
        whole = replace(bare, stimulus=path, rerun=rerun)
        whole.save()
        return whole

    def _fewer(self, items: Sequence, made: Callable[[Sequence], Stimulus]) -> None:
        """Delta debugging: take stimuli made of fewer items, as long as they fail."""
        parts = 2
        while len(items) > 1 and not self._spent:
            parts = min(parts, len(items))
            bounds = [len(items) * n // parts for n in range(parts + 1)]
            left = [[*items[:a], *items[b:]] for a, b in itertools.pairwise(bounds)]
            found = self._first(map(made, left))
            if found is not None:
                items, parts = left[found], max(parts - 1, 2)
            elif parts == len(items):
                return
            else:
                parts *= 2

    # ---------------------------------------------------------------------- ways to reduce

    def _fewer_rows(self) -> None:
        """The first ones, the last ones, then any."""
        rows = self._rows()
        self._take_first(_of_rows(self._best, rows[:n]) for n in _powers(len(rows)))
        rows = self._rows()
        self._take_first(_of_rows(self._best, rows[-n:]) for n in _powers(len(rows)))
        self._fewer(self._rows(), lambda some: _of_rows(self._best, some))

    def _rows(self) -> list[tuple[Phase, Row]]:
        return [(phase, row) for phase in self._best.phases for row in phase.rows]

    def _fewer_resets(self) -> None:
        def made(some: Sequence[Reset]) -> Stimulus:
            return replace(self._best, resets=tuple(some))

        resets = self._best.resets
        if not resets or self._take_first([made([])]):
            return
        if len(resets) > 1:
            # One that waits for what it needs still finds it when there are fewer rows.
            aims = itertools.product(STREAM_STATES, STREAM_STATES)
            some = [Reset(1, 1, 1, aim) for aim in aims]
            self._take_first(made([one]) for one in some)
        self._take_first(made(resets[:n]) for n in _powers(len(self._best.resets)))
        self._fewer(self._best.resets, made)

    def _simpler_stalls(self) -> None:
        """All rows as one phase, without stalls if that will do; fewer stalls in a phase."""
        phases = self._best.phases
        rows = tuple(self._best.rows)
        if len(phases) > 1:
            stalls = dict.fromkeys((phase.source, phase.sink, phase.other) for phase in phases)
            one_phase = (
                Phase(rows, source, sink, other=other)
                for source, sink, other in (("none", "none", ""), *stalls)
            )
            self._take_first(replace(self._best, phases=(phase,)) for phase in one_phase)
            phases = self._best.phases
        for number in range(len(phases)):
            phase = self._best.phases[number]
            self._take_first(
                replace(
                    self._best,
                    phases=(*self._best.phases[:number], one, *self._best.phases[number + 1 :]),
                )
                for one in (
                    replace(phase, source="none", sink="none", other=""),
                    replace(phase, other=""),
                    replace(phase, source="none"),
                    replace(phase, sink="none"),
                )
                if one != phase
            )

    def _simpler_rows(self) -> None:
        """The same done to all rows at once: nothing special, all 0, short."""
        for simpler in (
            self._plainest,
            lambda row: _only(row, []),
            lambda row: self._part(row, range(1)),
            lambda row: self._part(row, range(min(len(row.x), self._lanes))),
        ):
            rows = [simpler(row) for row in self._best.rows]
            self._take_first([self._with_rows(rows)])

    def _simpler_row(self, number: int) -> None:
        """Of one row: no wrong tkeep, no mask, plain settings; fewer elements; smaller values."""

        def made(row: Row) -> Stimulus:
            return self._with_row(number, row)

        def now() -> Row:
            return self._best.rows[number]

        while self._take_first(made(row) for row in self._plainer(now())):
            pass
        row = now()
        self._take_first(made(self._part(row, range(n))) for n in _powers(len(row.x)))
        row = now()
        self._fewer(range(len(row.x)), lambda kept: made(self._part(row, list(kept))))
        row = now()
        if row.x.any() and not self._take_first([made(_only(row, []))]):
            self._fewer(np.flatnonzero(row.x).tolist(), lambda kept: made(_only(row, kept)))
        for place in np.flatnonzero(now().x)[:_MOST_VALUES]:
            while self._take_first(made(one) for one in _closer(now(), int(place))):
                pass

    def _with_row(self, number: int, row: Row) -> Stimulus:
        rows = self._best.rows
        rows[number] = row
        return self._with_rows(rows)

    def _with_rows(self, rows: Sequence[Row]) -> Stimulus:
        after = iter(rows)
        phases = [
            replace(phase, rows=tuple(itertools.islice(after, len(phase.rows))))
            for phase in self._best.phases
        ]
        return replace(self._best, phases=tuple(phases))

    def _plainer(self, row: Row) -> Iterator[Row]:
        """The row without one thing that is special about it."""
        plain = self._plain_settings(row)
        if row.keep:
            yield replace(row, keep={})
        if not row.mask.all():
            yield self._unmasked(row)
        if len(plain) > 1:
            yield replace(row, settings=row.settings | plain)
        for name, value in plain.items():
            yield replace(row, settings=row.settings | {name: value})
        for place, operand in enumerate(row.operands):
            for one in _plainer_operands(row, operand):
                operands = (*row.operands[:place], one, *row.operands[place + 1 :])
                yield replace(row, operands=operands)
        for beats in reversed([*_powers(-(-len(row.x) // self._lanes))]):
            keep = {beat - beats: value for beat, value in row.keep.items() if beat >= beats}
            if keep:  # what is wrong with it comes earlier; without any, _fewer does as well
                yield self._part(replace(row, keep=keep), range(beats * self._lanes, len(row.x)))

    def _plainest(self, row: Row) -> Row:
        """The row without anything special about it."""
        operands = tuple(next(_plainer_operands(row, one), one) for one in row.operands)
        bare = self._unmasked(replace(row, keep={}, operands=operands))
        return replace(bare, settings=bare.settings | self._plain_settings(row))

    def _unmasked(self, row: Row) -> Row:
        whole = replace(row, mask=np.ones(len(row.x), bool))
        return self._part(whole, range(len(row.x)), row)

    def _plain_settings(self, row: Row) -> dict[str, int]:
        """Settings that are something else in the row."""
        settings = self._run.descriptor.settings(self._run.parameters)
        plain = {one.name: _plain(one.values) for one in settings if one.drawn}
        return {name: value for name, value in plain.items() if row.settings[name] != value}

    def _part(self, row: Row, kept: Sequence[int], was: Row | None = None) -> Row:
        """Some elements of a row; settings that followed from its mask still do."""
        complete = partial(self._run.descriptor.complete, self._run.parameters)
        x, mask = row.x[kept], row.mask[kept]
        before, after = complete((was or row).mask), complete(mask)
        follow = {n: after[n] for n in after if row.settings[n] == before[n]}
        beats = -(-len(x) // self._lanes)
        keep = {beat: value for beat, value in row.keep.items() if beat < beats}
        operands = tuple(self._operand_part(row, one, kept) for one in row.operands)
        return replace(
            row, x=x, mask=mask, keep=keep, settings=row.settings | follow, operands=operands
        )

    def _operand_part(self, row: Row, operand: Row, kept: Sequence[int]) -> Row:
        """The same elements of an operand, and those that it has beyond the row."""
        there = [at for at in kept if at < len(operand.x)] or [0]
        there += range(len(row.x), len(operand.x))
        beats = -(-len(there) // self._lanes)
        keep = {beat: value for beat, value in operand.keep.items() if beat < beats}
        return replace(operand, x=operand.x[there], mask=operand.mask[there], keep=keep)

    def _simpler_channels(self) -> None:
        """Of each channel set: one value throughout a column, or what no row reads plain."""
        columns = self._run.descriptor.channels
        for number in range(len(self._best.channel_sets)):
            for column in columns:
                constants = [_plain(column.values), 1, column.values[-1]]
                values = self._best.channel_sets[number].values[column.name]
                simpler = [np.full_like(values, value) for value in dict.fromkeys(constants)]
                used = max(len(row.x) for row in self._best.rows)
                simpler.append(np.append(values[:used], simpler[0][used:]))
                if not any(np.array_equal(values, one) for one in simpler):
                    self._take_first(self._with_column(number, column.name, one) for one in simpler)

    def _with_column(self, number: int, name: str, values: np.ndarray) -> Stimulus:
        old = self._best.channel_sets[number]
        return self._with_set(old, ChannelSet({**old.values, name: values}))

    def _with_set(self, old: ChannelSet, new: ChannelSet) -> Stimulus:
        def changed(row: Row) -> Row:
            return replace(row, channels=new) if row.channels is old else row

        phases = [
            replace(phase, rows=tuple(map(changed, phase.rows))) for phase in self._best.phases
        ]
        return replace(self._best, phases=tuple(phases))


def _plainer_operands(row: Row, operand: Row) -> Iterator[Row]:
    """What goes with a row on a further input stream, without what is special about it."""
    length, ones = len(operand.x), np.ones(len(operand.x), bool)
    fit = np.resize(operand.x, len(row.x))
    for one in (
        replace(operand, x=np.zeros_like(row.x), mask=np.ones(len(row.x), bool), keep={}),
        replace(operand, x=fit, mask=np.ones(len(row.x), bool), keep={}),
        replace(operand, keep={}),
        replace(operand, mask=ones),
        replace(operand, x=np.zeros(length, operand.x.dtype)),
    ):
        same = one.keep == operand.keep and np.array_equal(one.mask, operand.mask)
        if not (same and np.array_equal(one.x, operand.x)):
            yield one


def _powers(limit: int) -> Iterator[int]:
    """Powers of two below a limit."""
    return itertools.takewhile(lambda n: n < limit, (1 << k for k in itertools.count()))


def _of_rows(stimulus: Stimulus, rows: Sequence[tuple[Phase, Row]]) -> Stimulus:
    """The stimulus with these rows only, each with the stalls of its phase."""
    phases = [
        replace(phase, rows=tuple(row for of, row in rows if of is phase))
        for phase in {id(phase): phase for phase, _ in rows}.values()
    ]
    return replace(stimulus, phases=tuple(phases))


def _plain(values: range) -> int:
    return 0 if 0 in values else values[0]


def _only(row: Row, kept: Sequence[int]) -> Row:
    """The row with all other elements 0."""
    x = np.zeros_like(row.x)
    x[kept] = row.x[kept]
    return replace(row, x=x)


def _closer(row: Row, place: int) -> Iterator[Row]:
    """The row with one element closer to 0, the closest first."""
    value = int(row.x[place])
    sign = 1 if value > 0 else -1
    for lesser in dict.fromkeys((0, sign, sign * (abs(value) // 2), value - sign)):
        if abs(lesser) < abs(value):
            x = row.x.copy()
            x[place] = lesser
            yield replace(row, x=x)
