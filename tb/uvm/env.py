"""The environment: agents on both sides, the scoreboard, and coverage that only listens.

source.monitor --ap--> scoreboard.inputs       scoreboard.scorer --> collector (coverage)
sink.monitor   --ap--> scoreboard.outputs                        \\-> recorder  (accuracy, clocks)

A unit with a channel table has one agent more: its driver loads sets ahead of the source's rows,
and the source's monitor asks its monitor what a row's bank holds.
"""

from __future__ import annotations

from pyuvm import ConfigDB, uvm_env

from ..check.record import Collector, Recorder
from .agents import ErrorMonitor, SinkAgent, SourceAgent
from .channel_agent import ChannelAgent
from .scoreboard import Scoreboard


class StreamEnv(uvm_env):
    """Everything around a unit with the stream contract."""

    def build_phase(self):
        self.source = SourceAgent.create("source", self)
        self.sink = SinkAgent.create("sink", self)
        self.errors = ErrorMonitor.create("errors", self)
        self.scoreboard = Scoreboard.create("scoreboard", self)
        bench = ConfigDB().get(self, "", "BENCH")
        self.collector = Collector(bench.unit, bench.parameters)
        self.recorder = Recorder()
        self.channels = ChannelAgent.create("channels", self) if bench.unit.channels else None

    def connect_phase(self):
        self.source.monitor.ap.connect(self.scoreboard.inputs)
        self.sink.monitor.ap.connect(self.scoreboard.outputs)
        self.scoreboard.scorer.listeners += [self.collector.sample, self.recorder.record]
        self.scoreboard.seen_pulses = lambda: self.errors.counts
        self.scoreboard.partial = lambda: self.source.monitor.pins.row
        if self.channels is not None:
            self.source.monitor.channels = self.channels.monitor

    def start_of_simulation_phase(self):
        if self.channels is not None:
            self.source.driver.channels = self.channels.driver
            banks = self.channels.driver.banks
            self.sink.monitor.pins.add_callback(lambda row: banks.row_out())

    @property
    def protocol_errors(self) -> list[Exception]:
        """Broken rules on either stream, in the order seen."""
        return self.source.monitor.pins.errors + self.sink.monitor.pins.errors
