# SPDX-License-Identifier: Apache-2.0
"""Scoreboard: the rows that the monitors saw, in pairs, for `tb.check.scoring` to compare.

It trusts only what the monitors saw on the pins.

source.monitor.ap ------> rows_in   \\
sink.monitor.ap --------> rows_out   \\
source.monitor.cut_ap --> cut         Scorer -> ap: batches of rows that are equal
errors.ap --------------> pulses     /
reset.monitor.ap -------> resets    /
all rule_ap ------------> rules
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

import numpy as np
from cocotb.triggers import Event
from pyuvm import uvm_analysis_port, uvm_scoreboard

from ..check.contract import InputBeats, ObservedRow, OutputBeats, collect, decode
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


def timing_of(pairs: Sequence[tuple[ObservedRow, ObservedRow]]) -> Timing:
    """When rows moved, (input, output) of each, as the monitors saw it."""
    return Timing(
        gaps=np.array([given.gaps for given, _ in pairs]),
        input_waits=np.array([given.waits for given, _ in pairs]),
        output_waits=np.array([got.waits for _, got in pairs]),
        clocks=[(given.clocks, got.clocks) for given, got in pairs],
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
        self.rows_in = AnalysisImp("rows_in", self, self._row_in)
        self.rows_out = AnalysisImp("rows_out", self, self._row_out)
        self.cut = AnalysisImp("cut", self, self._cut_off)
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
        self._expected: deque[ObservedRow] = deque()
        self._pairs: list[tuple[ObservedRow, ObservedRow]] = []
        self._batch = FIRST_BATCH
        self._partial = ObservedRow()  # that the last reset found half in
        self._pulses: dict[str, list[int]] = {}  # clocks of the error outputs since the last reset
        self._rerun = f"\nrerun: {cfg.rerun}" if cfg.rerun else ""

    def make_scorer(self) -> Scorer:
        """What compares."""
        return Scorer(self.cfg.unit, self.cfg.parameters, self.cfg.seed)

    @property
    def inside(self) -> int:
        """Rows that have gone in whole and not come out."""
        return len(self._expected)

    # --------------------------------------------------------------------- what the monitors saw

    def _row_in(self, row: ObservedRow) -> None:
        self._expected.append(row)

    def _row_out(self, row: ObservedRow) -> None:
        if not self._expected:
            self.compare()  # a wrong row before it says more
            where = f" at clock {row.clocks[0]}" if row.clocks else ""
            self._fail(f"a row of {len(row.beats)} beats came out and none was expected{where}")
            return
        self._pairs.append((self._expected.popleft(), row))
        if len(self._pairs) >= self._batch:
            self._batch = min(2 * self._batch, BATCH)
            self.compare()

    def _cut_off(self, cut: CutOff) -> None:
        self._partial = cut.row

    def _counted(self, pulses: dict[str, list[int]]) -> None:
        self._pulses = pulses

    def _reset(self, _) -> None:
        self.compare()
        if self._failure is None:
            wrong = self.scorer.judge_pulses(
                self._pulses,
                self.cfg.source.clocking.number + 1,
                self._moving(self._expected),
                self._moving([self._partial] if self._partial.beats else ()),
            )
            if wrong:
                self._fail(f"{wrong}, between two resets")
        self.dropped += len(self._expected)
        self._expected.clear()
        self.scorer.restart()

    def _moving(self, rows: Collection[ObservedRow]) -> Moving | None:
        """Rows that a reset found under way."""
        if not rows:
            return None
        clocks = [clock for row in rows for clock in row.clocks]
        return Moving(InputBeats.of(rows, self.cfg.shape), np.array(clocks))

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
        shape = self.cfg.shape
        wrong = self.scorer.compare(
            decode([given for given, _ in pairs], shape),
            collect(OutputBeats.of([got for _, got in pairs], shape), shape),
            timing_of(pairs),
        )
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
        if self._expected:
            return f"{len(self._expected)} rows went in and never came out"
        return self.scorer.judge_pulses(self._pulses)
