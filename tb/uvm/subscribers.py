# SPDX-License-Identifier: Apache-2.0
"""Who listens to compared rows: functional coverage, and the recorder of what came out.

Both hear the scoreboard and not a monitor: coverage counts rows that came out right, in batches,
since a numpy call costs little more for hundreds of rows than for one. What they hold is
`tb.check.record`, the same that bulk runs, which have no UVM, give to `Scorer.listeners`.
"""

from __future__ import annotations

from pyuvm import uvm_subscriber

from ..check.record import Collector, Recorder
from ..check.scoring import Compared
from ..stimulus.values import STREAM_STATES
from .agents import CutOff
from .config import AnalysisImp


class CoverageSubscriber(uvm_subscriber):
    """Covergroups of the stream contract, resets among them, and of the unit."""

    def build_phase(self):
        cfg = self.cdb_get("cfg")
        self.collector = Collector(cfg.unit, cfg.parameters)
        self.cut_in = AnalysisImp("cut_in", self, self._cut_in)
        self.cut_out = AnalysisImp("cut_out", self, self._cut_out)
        self.resets = AnalysisImp("resets", self, self._reset)
        self._states = {}

    def write(self, batch: Compared) -> None:
        """Compared rows."""
        self.collector.sample(batch)

    def _cut_in(self, cut: CutOff) -> None:
        self._states["input"] = STREAM_STATES.index(cut.state)

    def _cut_out(self, cut: CutOff) -> None:
        self._states["output"] = STREAM_STATES.index(cut.state)

    def _reset(self, _) -> None:
        self.collector.stream.sample_reset(self._states["input"], self._states["output"])


class RecordSubscriber(uvm_subscriber):
    """Outputs and clocks, for accuracy, for the account of clocks and for the run's files."""

    def build_phase(self):
        self.recorder = Recorder(self.cdb_get("cfg").shape)

    def write(self, batch: Compared) -> None:
        """Compared rows."""
        self.recorder.record(batch)
