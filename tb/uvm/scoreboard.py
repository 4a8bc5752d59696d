"""Scoreboard: the rows that the monitors saw, in pairs, for `tb.check.scoring` to compare.

It trusts only what the monitors saw on the pins.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from pyuvm import ConfigDB, uvm_analysis_export, uvm_component

from ..check.contract import InputBeats, ObservedRow, OutputBeats, collect, decode
from ..check.scoring import Scorer, Timing

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
    )


class _RowPort(uvm_analysis_export):
    """Calls `handler` for each row written."""

    def __init__(self, name, parent, handler):
        super().__init__(name, parent)
        self.write = handler


class Scoreboard(uvm_component):
    """Pairs rows, has them compared, and keeps the account of those that resets took.

    `failure` is None or the report of the first mismatch; `on_failure` is called with it.
    """

    def build_phase(self):
        self.bench = ConfigDB().get(self, "", "BENCH")
        self.scorer = Scorer(self.bench.unit, self.bench.parameters, self.bench.seed)
        self.inputs = _RowPort("inputs", self, self._input)
        self.outputs = _RowPort("outputs", self, self._output)
        self._expected: deque[ObservedRow] = deque()
        self._pairs: list[tuple[ObservedRow, ObservedRow]] = []
        self._batch = FIRST_BATCH
        self.failure: str | None = None
        self.on_failure = lambda: None
        self.mismatches = 0
        self.dropped = 0  # rows that a reset took while they were inside
        # What the environment connects: clocks of the error outputs, and the row that is going in.
        self.seen_pulses = lambda: self.scorer.pulses
        self.partial = ObservedRow

    def start_of_simulation_phase(self):
        self.bench.reset.on_assert(self._reset)

    @property
    def inside(self) -> int:
        """Rows that have gone in whole and not come out."""
        return len(self._expected)

    def _reset(self) -> None:
        self.compare()
        if self.failure is None:
            shape, partial = self.bench.shape, self.partial()
            wrong = self.scorer.judge_pulses(
                self.seen_pulses(),
                InputBeats.of(self._expected, shape) if self._expected else None,
                InputBeats.of([partial], shape) if partial.beats else None,
            )
            if wrong:
                self._fail(f"{wrong}, between two resets")
        self.dropped += len(self._expected)
        self._expected.clear()
        self.scorer.restart()

    def _input(self, row: ObservedRow) -> None:
        self._expected.append(row)

    def _output(self, row: ObservedRow) -> None:
        if not self._expected:
            where = f" at clock {row.clocks[0]}" if row.clocks else ""
            self._fail(f"a row of {len(row.beats)} beats came out and none was expected{where}")
            return
        self._pairs.append((self._expected.popleft(), row))
        if len(self._pairs) >= self._batch:
            self._batch = min(2 * self._batch, BATCH)
            self.compare()

    def _fail(self, text: str) -> None:
        self.mismatches += 1
        if self.failure is None:
            self.failure = f"{text}\nrerun: {self.bench.rerun}"
            self.on_failure()

    def compare(self) -> None:
        """Compare what has come out so far."""
        pairs, self._pairs = self._pairs, []
        if not pairs:
            return
        shape = self.bench.shape
        wrong = self.scorer.compare(
            decode([given for given, _ in pairs], shape),
            collect(OutputBeats.of([got for _, got in pairs], shape), shape),
            timing_of(pairs),
        )
        if wrong:
            self._fail(wrong)

    def complaint(self) -> str | None:
        """What is wrong at the end, or None: a mismatch, nothing compared, rows left inside."""
        self.compare()
        rerun = f"\nrerun: {self.bench.rerun}"
        if self.failure is None and not self.scorer.rows:
            return "nothing was compared" + rerun
        if self.failure is None and self._expected:
            return f"{len(self._expected)} rows went in and never came out" + rerun
        return self.failure
