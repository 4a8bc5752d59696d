# SPDX-License-Identifier: Apache-2.0
"""Scoreboard: the rows that the monitors saw, in pairs, for `tb.check.scoring` to compare.

It trusts only what the monitors saw on the pins.

source.monitor.ap ------> rows_in   \\  one for each input stream
sink.monitor.ap --------> rows_out   \\
source.monitor.cut_ap --> cut         Scorer -> ap: batches of rows that are equal
sink.monitor.cut_ap ----> cut_out    /
errors.ap --------------> pulses     /
reset.monitor.ap -------> resets    /
all rule_ap ------------> rules
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Collection, Sequence

import numpy as np
from cocotb.triggers import Event
from pyuvm import uvm_analysis_port, uvm_scoreboard

from ..check.contract import InputBeats, ObservedRow, OutputBeats, collect, decode, expect
from ..check.join import Stream
from ..check.scoring import Moving, Scorer, Timing
from .agents import CutOff
from .config import AnalysisImp
from .pins import ProtocolError

# Rows that are compared at once. The first mismatch ends a run, and is mostly among the first rows:
# the batches start small.
FIRST_BATCH = 8
BATCH = 256


def require(condition: object, report: str | None) -> None:
    """Fail with `report` unless the condition holds. (cocotb would repeat an assert's message.)"""
    if not condition:
        raise AssertionError(report)


Rows = tuple[ObservedRow, ...]  # one of each input stream


def timing_of(pairs: Sequence[tuple[Rows, ObservedRow]]) -> Timing:
    """When rows moved, (inputs, output) of each, as the monitors saw it."""
    return Timing(
        gaps=np.array([sum(row.gaps for row in given) for given, _ in pairs]),
        input_waits=np.array([sum(row.waits for row in given) for given, _ in pairs]),
        output_waits=np.array([got.waits for _, got in pairs]),
        clocks=[(given[0].clocks, got.clocks) for given, got in pairs],
        before=np.array([got.before for _, got in pairs]),
    )


class Scoreboard(uvm_scoreboard):
    """Pairs rows, has them compared, and keeps the account of those that resets took.

    failed   is set at the first mismatch or broken rule
    dropped  rows that a reset took while they were inside
    """

    def build_phase(self):
        self.cfg = cfg = self.cdb_get("cfg")
        self.ap = uvm_analysis_port("ap", self)
        inputs = range(len(cfg.unit.inputs))
        self.rows_in = self._of_each("rows_in", self._row_in)
        self.rows_out = AnalysisImp("rows_out", self, self._row_out)
        self.cut = self._of_each("cut", self._cut_off)
        self.cut_out = AnalysisImp("cut_out", self, self._cut_off_out)
        self.pulses = AnalysisImp("pulses", self, self._counted)
        self.resets = AnalysisImp("resets", self, self._reset)
        self.rules = AnalysisImp("rules", self, self._broken)
        self.scorer = self.make_scorer()
        self.scorer.listeners.append(self.ap.write)
        self.failed = Event()
        self.mismatches = 0
        self.dropped = 0
        self._failure: str | None = None  # the report of the first mismatch
        self._rules: list[ProtocolError] = []
        self._expected: list[deque[ObservedRow]] = [deque() for _ in inputs]
        # Those that came out while another stream than that of the first tlast was still going in.
        self._came: deque[ObservedRow] = deque()
        self._pairs: list[tuple[Rows, ObservedRow]] = []
        self._batch = FIRST_BATCH
        self._partial = [ObservedRow() for _ in inputs]  # that the last reset found half in,
        self._partial_out = ObservedRow()  # or half out
        self._pulses: dict[str, list[int]] = {}  # clocks of the error outputs since the last reset
        self._rerun = f"\nrerun: {cfg.rerun}" if cfg.rerun else ""

    def _of_each(self, name: str, write) -> list[AnalysisImp]:
        """One for each input stream."""
        return [
            AnalysisImp(f"{name}_{place}" if place else name, self, functools.partial(write, place))
            for place in range(len(self.cfg.unit.inputs))
        ]

    def make_scorer(self) -> Scorer:
        """What compares."""
        return Scorer(self.cfg.unit, self.cfg.parameters, self.cfg.seed)

    @property
    def inside(self) -> int:
        """Rows that have gone in whole and not come out."""
        return max(map(len, self._expected))

    # --------------------------------------------------------------------- what the monitors saw

    def _row_in(self, place: int, row: ObservedRow) -> None:
        self._expected[place].append(row)
        self._pair()

    def _row_out(self, row: ObservedRow) -> None:
        if not any(self._expected):
            self.compare()  # a wrong row before it says more
            where = f" at clock {row.clocks[0]}" if row.clocks else ""
            self._fail(f"a row of {len(row.beats)} beats came out and none was expected{where}")
            return
        self._came.append(row)
        self._pair()

    def _pair(self) -> None:
        """Rows that have gone in whole, on all streams, with those that have come out."""
        while self._came and all(self._expected):
            given = tuple(rows.popleft() for rows in self._expected)
            self._pairs.append((given, self._came.popleft()))
        if len(self._pairs) >= self._batch:
            self._batch = min(2 * self._batch, BATCH)
            self.compare()

    def _cut_off(self, place: int, cut: CutOff) -> None:
        self._partial[place] = cut.row

    def _cut_off_out(self, cut: CutOff) -> None:
        self._partial_out = cut.row

    def _counted(self, pulses: dict[str, list[int]]) -> None:
        self._pulses = pulses

    def _reset(self, _) -> None:
        self.compare()
        if self._failure is None:
            wrong = self.scorer.judge_pulses(
                self._pulses, self.cfg.source.clocking.number + 1, *self._under_way()
            )
            if wrong:
                self._fail(f"{wrong}, between two resets")
        self.dropped += len(self._expected[0])
        for rows in (*self._expected, self._came):
            rows.clear()
        self.scorer.restart()

    def _under_way(self) -> tuple[Moving | None, Moving | None]:
        """Rows that a reset found inside, and one that was going in; of several streams all."""
        partial = [[row] if row.beats else [] for row in self._partial]
        if len(partial) == 1:
            return self._moving(self._expected[0]), self._moving(partial[0])
        rows = [[*whole, *part] for whole, part in zip(self._expected, partial, strict=True)]
        if not all(rows):
            return None, None
        count = min(map(len, rows))  # of all but these no beat has a partner
        out = [clock for row in (*self._came, self._partial_out) for clock in row.clocks]
        streams = [self._stream(some[:count]) for some in rows]
        return Moving(*self.scorer.joiner.join(streams, out)), None

    def _moving(self, rows: Collection[ObservedRow]) -> Moving | None:
        if not rows:
            return None
        clocks = [clock for row in rows for clock in row.clocks]
        return Moving(InputBeats.of(rows, self.cfg.shape), np.array(clocks))

    def _stream(self, rows: Sequence[ObservedRow]) -> Stream:
        """Rows of an input stream, for the join."""
        clocks = np.array([clock for row in rows for clock in row.clocks])
        whole = np.array([row.beats[-1][1] == "1" for row in rows])
        return Stream(InputBeats.of(rows, self.cfg.shape), clocks, whole)

    def _broken(self, rule: ProtocolError) -> None:
        self._rules.append(rule)
        self.failed.set()

    # ----------------------------------------------------------------------------- the verdict

    def _fail(self, text: str) -> None:
        self.mismatches += 1
        if self._failure is None:
            self._failure = text
            self.failed.set()

    def compare(self) -> None:
        """Compare what has come out so far."""
        pairs, self._pairs = self._pairs, []
        if not pairs:
            return
        shape, timing = self.cfg.shape, timing_of(pairs)
        given, got = zip(*pairs, strict=True)
        if len(self._expected) == 1:
            expected = decode([row for (row,) in given], shape)
        else:
            out = [clock for row in got for clock in row.clocks]
            streams = [self._stream(rows) for rows in zip(*given, strict=True)]
            beats, clocks = self.scorer.joiner.join(streams, out)
            expected, timing = expect(beats, shape), timing.of_pairs(beats.count, clocks)
        wrong = self.scorer.compare(expected, collect(OutputBeats.of(got, shape), shape), timing)
        if wrong:
            self._fail(wrong)

    def check_phase(self):
        wrong = self._complaint()
        where = f"{self.cfg.name}: " if self.cfg.name else ""
        require(wrong is None, f"{where}{wrong}{self._rerun}")

    def _complaint(self) -> str | None:
        """What is wrong at the end, or None."""
        self.compare()
        # A broken rule comes first: a mismatch may be no more than what follows from it.
        if self._rules:
            more = len(self._rules) - 1
            return f"{self._rules[0]}" + (f", and {more} more" if more else "")
        if self._failure is not None:
            return self._failure
        if not self.scorer.rows:
            return "nothing was compared"
        if self.inside:
            return f"{self.inside} rows went in and never came out"
        return self.scorer.judge_pulses(self._pulses)
