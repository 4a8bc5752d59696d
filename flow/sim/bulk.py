# SPDX-License-Identifier: Apache-2.0
"""A scenario on the bulk engine: the rows of a pin-level test, scored by the same code.

Stimulus, comparison, coverage, records and clock checks are those of the pin-level bench
(tb/stimulus, tb/check). Only the driver differs: compiled code that works on arrays. A run writes
the same files as a pin-level run.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from softnorm.tb.bulk import beats
from softnorm.tb.bulk.beats import UNFINISHED, Cut, Drive, Job, Moved
from softnorm.tb.check.contract import InputBeats, StreamShape, collect, expect
from softnorm.tb.check.progress import STILL
from softnorm.tb.check.record import Collector, Recorder, save_result, save_run
from softnorm.tb.check.scoring import Moving, Scorer, Timing
from softnorm.tb.check.timing import first_irregularity, measured
from softnorm.tb.run import Run
from softnorm.tb.stimulus.replay import Stimulus
from softnorm.tb.stimulus.scenarios import SCENARIOS
from softnorm.tb.stimulus.values import Row, batch, operand_rows, padded
from softnorm.units.unit import Parameters, Rows, Unit

from ..build.bulk import BulkBuild
from ..bulk.rtl import Instance
from .simulate import COVERAGE_FILE, DEFAULT_ROWS, Result, initial_bits, prepare

_BATCH = 512  # rows that are compared at a time: they are as wide as the longest of them

Progress = Callable[[dict], None]


def simulate_bulk(
    build: BulkBuild,
    test: str,
    seed: int,
    *,
    rows: int = DEFAULT_ROWS,
    tensors: Path | None = None,
    stimulus: Path | None = None,
    on_progress: Progress | None = None,
) -> Result:
    """Run `test` on a build, as `flow.sim.simulate.simulate` does; it raises the same."""
    run = prepare(build, test, seed, rows, tensors, stimulus)
    log = run.folder / "sim.log"
    started = time.perf_counter()
    report, values = Bulk(build.unit, build.parameters, run).judged(build, on_progress)
    seconds = time.perf_counter() - started
    if report:
        report += f"\nlog: {log}\nrerun: {run.rerun}"
    log.write_text(report or "passed\n")
    return Result(run, not report, report, values, seconds, log, None)


class Bulk:
    """One run: its stimulus as a job for the engine, and its judge.

    job   None where there is nothing to drive
    bits  what registers and memories start with
    """

    def __init__(self, unit: Unit, parameters: Parameters, run: Run):
        self._run, self._unit, self._parameters = run, unit, parameters
        self._shape = StreamShape.of(unit, parameters)
        self.timing = SCENARIOS[run.test].test == "TimingTest"
        if run.stimulus is not None:
            self._stimulus = Stimulus.load(run.stimulus, unit, parameters)
        else:
            self._stimulus = Stimulus.of(run)
        self.bits, self.job = initial_bits(run.seed), None
        drawn = self._stimulus.rows
        if drawn:
            self._rows = batch(unit, parameters, drawn)
            self.job = Job.of(unit, parameters, self._rows, self._drive(drawn), run.seed)
            lasts = np.flatnonzero(self.job.beats.last)
            self._starts = np.concatenate([[0], lasts[:-1] + 1])  # first beats of the rows
            # Of each input stream its beats and their clocks.
            self._inputs = [(self.job.beats, self.job.in_clocks)]
            self._inputs += [(one.beats, one.clocks) for one in self.job.operands]

    def judge(self, moved: Moved, on_progress: Progress | None = None, cover: bool = False) -> str:
        """What is wrong with what came out, empty if nothing is; `cover`: collect coverage."""
        self._since = 0.0  # the clock of the last reset
        self._scorer = Scorer(self._unit, self._parameters, self._run.seed)
        self._collector = Collector(self._unit, self._parameters)
        self._recorder = Recorder(self._shape)
        if cover:
            self._scorer.listeners.append(self._collector.sample)
        if cover or self.timing:
            self._scorer.listeners.append(self._recorder.record)
        return self._score(moved, on_progress)

    def judged(self, build: BulkBuild, on_progress: Progress | None) -> tuple[str, dict]:
        """Drive and score; return what is wrong, empty if nothing is, and the result's values."""
        drawn = self._stimulus.rows
        if self.job is None:
            return "nothing was compared", {}
        started = time.perf_counter()
        with Instance(build, self.bits) as instance:
            moved = instance.simulator.drive(self.job, reset=True)
            if build.coverage:
                instance.simulator.save_coverage(self._run.folder / COVERAGE_FILE)
        report = self.judge(moved, on_progress, cover=True)
        seconds = time.perf_counter() - started
        if report:
            values = {"driven": len(drawn)}
            save_result(self._run, values)
            return report, values
        real = sum(len(phase.rows) for phase in self._stimulus.phases if phase.real)
        inside = sum(cut.row + cut.part - cut.out_row for cut in moved.cuts)
        values = {
            "rows": self._scorer.rows,
            "elements": self._scorer.elements,
            "mismatches": 0,
            "beats": moved.beats_in,
            "resets": len(moved.cuts),
            "aborted": inside,
            "seconds": seconds,
            "measured": measured(self._recorder.clocks, self._unit.cell) if self.timing else {},
        }
        return "", save_run(self._run, self._collector, self._recorder, real, values)

    def _drive(self, drawn: list[Row]) -> Drive:
        """Phases, wrong tkeeps and resets of the stimulus."""
        phases, at = [], 0
        for phase in self._stimulus.phases:
            if phase.rows:
                phases.append((at, phase.source, phase.sink))
            at += len(phase.rows)
        others = [phase.other or phase.source for phase in self._stimulus.phases if phase.rows]
        dtype, operands = self._shape.in_dtype, []
        for some in operand_rows(self._unit, drawn):
            lengths = np.array([len(row.x) for row in some])
            operands.append((Rows(*padded(some, dtype), lengths, {}), _keeps(some)))
        return Drive(
            *(phases, _keeps(drawn), self._stimulus.resets),
            clocks=True,
            others=others,
            operands=operands,
        )

    # ------------------------------------------------------------------------------ the verdict

    def _score(self, moved: Moved, on_progress: Progress | None) -> str:
        """Compare what came out, reset by reset; return what is wrong."""
        # A broken rule comes first: a mismatch may be no more than what follows from it. Of a hang,
        # and of beats too many, a wrong row before them says more.
        ended = f"clock {moved.clocks}: {moved.error}; {moved.beats_in} beats went in, "
        ended += f"{moved.beats_out} came out"
        late = ("stuck", "more came out", UNFINISHED, *STILL)
        if moved.error and not any(text in moved.error for text in late):
            return ended
        start = first = 0  # row and beat that are next to come out
        lasts = np.flatnonzero(self.job.room.last[: moved.beats_out]) + 1
        for cut in moved.cuts:
            ends = lasts[(lasts > first) & (lasts <= cut.out_beat)]
            # Without those that came out before they had gone in on all streams.
            ends = ends[: min(row for row, _, _ in cut.inputs) - start]
            wrong = self._compare(start, first, ends, on_progress)
            out = int(ends[-1]) if len(ends) else first
            wrong = wrong or self._cut(cut, self._pulses(moved, cut.clock), start + len(ends), out)
            if wrong:
                return wrong
            start, first = cut.next, cut.out_beat
        wrong = self._compare(start, first, lasts[lasts > first], on_progress)
        if wrong or moved.error:
            return wrong or ended
        wrong = self._scorer.judge_pulses(self._pulses(moved))
        if wrong:
            return wrong
        if not self._scorer.rows:
            return "nothing was compared"
        if self._stimulus.resets and not moved.cuts:
            return "no reset came: more rows are needed"
        if self.timing:
            latency = self._unit.latency(self._parameters)
            clocks, paused = self._recorder.clocks, self._paused()
            return first_irregularity(clocks, latency, paused, self._unit.cell) or ""
        return ""

    def _compare(
        self, start: int, first: int, ends: np.ndarray, on_progress: Progress | None
    ) -> str:
        """Rows from `start` on, whose outputs are from beat `first` on and end before `ends`."""
        for at in range(0, len(ends), _BATCH):
            some = ends[at : at + _BATCH]
            which = slice(start + at, start + at + len(some))
            given = beats.driven(self._unit, self._parameters, self._rows, self.job, which)
            came = beats.came(self._shape, self.job, some, first)
            timing = self._timing_of(which, given.count, first, came.count)
            if self.job.operands:
                upto = [(which.stop, 0, False)] * len(self._inputs)
                given, clocks = self._joined(which.start, upto, first, int(some[-1]))
                timing = timing.of_pairs(given.count, clocks)
            first = int(some[-1])
            expected = expect(given, self._shape)
            wrong = self._scorer.compare(expected, collect(came, self._shape), timing)
            if wrong:
                return wrong
            if on_progress is not None:
                on_progress({"rows": self._scorer.rows, "beats": first})
        return ""

    def _pulses(self, moved: Moved, until: float = np.inf) -> dict[str, list[int]]:
        """Clocks of the error outputs since the last reset, before clock `until`."""
        since, self._since = self._since, until
        return {
            name: clocks[(clocks >= since) & (clocks < until)].astype(int).tolist()
            for name, clocks in zip(self.job.errors, moved.pulses, strict=True)
        }

    def _joined(
        self, start: int, upto: Sequence[tuple[int, int, bool]], first: int, out: int
    ) -> tuple[InputBeats, np.ndarray]:
        """Rows from `start` on, of all streams, of which the beats from `first` to `out` came."""
        given = [
            beats.stream(self._shape, *one, start, end, {} if place else self._rows.settings)
            for place, (one, end) in enumerate(zip(self._inputs, upto, strict=True))
        ]
        gone = self.job.out_clocks[first:out, 1].astype(int).tolist()
        return self._scorer.joiner.join(given, gone)

    def _cut(self, cut: Cut, pulses: dict[str, list[int]], start: int, first: int) -> str:
        """The pulses up to a reset, and its coverage; rows from `start` on were not compared."""
        self._collector.stream.sample_reset(*cut.states)
        inside = partial = None
        if self.job.operands:
            count = min(row + part for row, _, part in cut.inputs)  # of the others no beat has one
            upto = [one if one[0] + one[2] <= count else (count, 0, False) for one in cut.inputs]
            if count > start:
                inside = Moving(*self._joined(start, upto, first, cut.out_beat))
            wrong = self._scorer.judge_pulses(pulses, cut.clock - 1, inside)
            self._scorer.restart()
            return f"{wrong}, between two resets" if wrong else ""
        rows, driven = (self._unit, self._parameters, self._rows, self.job), beats.driven
        clocks = self.job.in_clocks[:, 1].astype(int)
        end = int(self._starts[cut.row]) if cut.part else cut.beat
        if cut.row > cut.out_row:
            some = clocks[int(self._starts[cut.out_row]) : end]
            inside = Moving(driven(*rows, slice(cut.out_row, cut.row)), some)
        if cut.part:
            whole = driven(*rows, slice(cut.row, cut.row + 1))
            count = cut.beat - end
            begun = replace(
                whole,
                count=np.array([count]),
                data=whole.data[:count],
                keep=whole.keep[:count],
                strb=whole.strb[:count],
            )
            partial = Moving(begun, clocks[end : cut.beat])
        wrong = self._scorer.judge_pulses(pulses, cut.clock - 1, inside, partial)
        self._scorer.restart()
        return f"{wrong}, between two resets" if wrong else ""

    # ------------------------------------------------------------------------------ the clocks

    def _timing_of(
        self, which: slice, beats_in: np.ndarray, first: int, beats_out: np.ndarray
    ) -> Timing:
        """When rows moved: so many beats each, the outputs from beat `first` on."""
        in_ends = np.cumsum(beats_in)
        begin = int(self._starts[which][0])
        given = self.job.in_clocks[begin : begin + in_ends[-1]].astype(int)
        out_ends = np.cumsum(beats_out)
        got = self.job.out_clocks[first : first + out_ends[-1]].astype(int)
        row = np.repeat(np.arange(len(beats_in)), beats_in)
        # Between two beats: the clock of tvalid, less the one behind the transfer before.
        pauses = given[1:, 0] - given[:-1, 1] - 1
        inner = row[1:] == row[:-1]
        count = len(beats_in)
        gaps = np.bincount(row[1:][inner], weights=pauses[inner], minlength=count)
        out_row = np.repeat(np.arange(count), beats_out)
        return Timing(
            gaps.astype(int),
            np.bincount(row, weights=given[:, 1] - given[:, 0], minlength=count).astype(int),
            np.bincount(out_row, weights=got[:, 1] - got[:, 0], minlength=count).astype(int),
            list(zip(_split(given[:, 1], in_ends), _split(got[:, 1], out_ends), strict=True)),
            np.bitwise_or.reduceat(got[:, 2], out_ends - beats_out),
        )

    def _paused(self) -> dict[int, int]:
        """Rows before which the source paused, with the clock of their first tvalid."""
        shown, moved = self.job.in_clocks.astype(int).T
        starts = self._starts[1:]
        late = shown[starts] != moved[starts - 1] + 1
        return {int(n) + 1: int(shown[starts[n]]) for n in np.flatnonzero(late)}


def _keeps(rows: Sequence[Row]) -> dict[tuple[int, int], int]:
    """Wrong tkeeps of rows."""
    return {(n, beat): keep for n, row in enumerate(rows) for beat, keep in row.keep.items()}


def _split(clocks: np.ndarray, ends: np.ndarray) -> list[list[int]]:
    """Clocks of beats by row."""
    values, bounds = clocks.tolist(), [0, *ends.tolist()]
    return [values[a:b] for a, b in itertools.pairwise(bounds)]
