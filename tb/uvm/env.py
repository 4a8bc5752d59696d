# SPDX-License-Identifier: Apache-2.0
"""The environment of a unit with the stream contract. Its drawing is docs/drawings/bench.svg.

Active it drives the unit, through the virtual sequencer `vseqr`. Passive it is monitors, scoreboard
and coverage around a unit that somebody else drives, anywhere in a design (docs/bench.md).
"""

from __future__ import annotations

from cocotb.triggers import Event
from pyuvm import uvm_env

from ..check.record import save_run
from ..check.timing import Clocks
from ..run import Run
from .agents import ErrorMonitor, ProgressMonitor, SinkAgent, SourceAgent
from .channel_agent import ChannelAgent
from .config import ACTIVE
from .reset_agent import ResetAgent
from .scoreboard import Scoreboard
from .sequences import VirtualSequencer
from .subscribers import CoverageSubscriber, RecordSubscriber


class StreamEnv(uvm_env):
    """Everything around a unit. Takes an `EnvConfig`, in the ConfigDB as "cfg"."""

    def build_phase(self):
        self.cfg = cfg = self.cdb_get("cfg")
        for name in ("source", "sink", "errors", "channels", "reset"):
            self.cdb_set("cfg", getattr(cfg, name), name)
        for name in ("scoreboard", "progress", "coverage", "record", "vseqr"):
            self.cdb_set("cfg", cfg, name)
        self.source = SourceAgent.create("source", self)
        self.others = []  # agents of further input streams
        for place, other in enumerate(cfg.others):
            self.cdb_set("cfg", other, f"source_{place + 2}")
            self.others.append(SourceAgent.create(f"source_{place + 2}", self))
        self.sink = SinkAgent.create("sink", self)
        self.errors = ErrorMonitor.create("errors", self)
        self.progress = ProgressMonitor.create("progress", self)
        self.channels = ChannelAgent.create("channels", self) if cfg.channels else None
        self.reset = ResetAgent.create("reset", self)
        self.scoreboard = Scoreboard.create("scoreboard", self)
        self.coverage = CoverageSubscriber.create("coverage", self)
        self.record = RecordSubscriber.create("record", self)
        self.vseqr = None
        if cfg.source.is_active == ACTIVE:
            self.vseqr = VirtualSequencer.create("vseqr", self)

    def connect_phase(self):
        source, sink, reset = self.source.monitor, self.sink.monitor, self.reset.monitor
        scoreboard, coverage = self.scoreboard, self.coverage
        others = [agent.monitor for agent in self.others]
        for monitor, rows, cut in zip(
            (source, *others), scoreboard.rows_in, scoreboard.cut, strict=True
        ):
            monitor.ap.connect(rows)
            monitor.cut_ap.connect(cut)
        sink.ap.connect(scoreboard.rows_out)
        sink.cut_ap.connect(scoreboard.cut_out)
        self.errors.ap.connect(scoreboard.pulses)
        reset.ap.connect(scoreboard.resets)
        self.progress.sources = [monitor.pins for monitor in (source, *others)]
        self.progress.sink = sink.pins
        source.ap.connect(self.progress.rows_in)
        sink.ap.connect(self.progress.rows_out)
        for monitor in (source, *others, sink, self.progress, reset):
            monitor.rule_ap.connect(scoreboard.rules)
        scoreboard.ap.connect(coverage.analysis_export)
        scoreboard.ap.connect(self.record.analysis_export)
        source.cut_ap.connect(coverage.cut_in)
        sink.cut_ap.connect(coverage.cut_out)
        reset.ap.connect(coverage.resets)
        if self.vseqr is not None:
            self._connect_sequencers()

    def _connect_sequencers(self) -> None:
        vseqr = self.vseqr
        vseqr.source, vseqr.sink, vseqr.reset = self.source.seqr, self.sink.seqr, self.reset.seqr
        vseqr.others = [agent.seqr for agent in self.others]
        vseqr.reset.streams = (self.source.monitor, self.sink.monitor)
        self.driven = self.source.driver.rsp_port  # rows, each when it is in or cut off
        if self.channels is not None:
            vseqr.channels = self.channels.seqr
            self.sink.monitor.ap.connect(vseqr.channels.rows_out)
            self.reset.monitor.ap.connect(vseqr.channels.resets)

    # ------------------------------------------------------------------------ for whoever uses it

    @property
    def failed(self) -> Event:
        """Set at the first mismatch or broken rule; the check phase reports it."""
        return self.scoreboard.failed

    @property
    def beats(self) -> tuple[int, int]:
        """Beats that went in, and that came out."""
        return self.source.monitor.beats, self.sink.monitor.beats

    @property
    def writes(self) -> int:
        """Writes of the channel table."""
        return self.channels.monitor.writes if self.channels is not None else 0

    @property
    def inside(self) -> int:
        """Rows that have gone in whole and not come out."""
        return self.scoreboard.inside

    @property
    def accounted(self) -> int:
        """Rows that came out right, or that a reset took while they were inside."""
        return self.scoreboard.scorer.rows + self.scoreboard.dropped

    @property
    def clocks(self) -> Clocks:
        """When the beats of compared rows moved."""
        return self.record.recorder.clocks

    async def drain(self) -> None:
        """Wait until every row that went in has come out, and what was compared is judged."""
        clocking = self.cfg.source.clocking
        await clocking.wait(2)  # until the monitors have seen the last row go in
        while self.inside:
            await clocking.edge
        await clocking.wait(20)  # nothing more may come
        self.scoreboard.compare()

    def save(self, run: Run, real: int, aborted: int, counts: dict) -> None:
        """Write the files of a run that passed, with `counts` besides; `aborted` rows did not get
        in whole."""
        scoreboard = self.scoreboard
        counts = {
            "rows": scoreboard.scorer.rows,
            "elements": scoreboard.scorer.elements,
            "mismatches": scoreboard.mismatches,
            "beats": self.beats[0],
            "resets": self.cfg.reset.reset.count,
            "aborted": aborted + scoreboard.dropped,
            **counts,
        }
        save_run(run, self.coverage.collector, self.record.recorder, real, counts)
