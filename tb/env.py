"""The environment: agents on both sides, the scoreboard, and coverage that only listens.

source.monitor --ap--> scoreboard.inputs          scoreboard --> collector (coverage)
sink.monitor   --ap--> scoreboard.outputs                    \\-> recorder  (accuracy, clocks)

A unit with a channel table has one agent more: its driver loads sets ahead of the source's rows,
and the source's monitor asks its monitor what a row's bank holds.
"""

from __future__ import annotations

import numpy as np
from pyuvm import ConfigDB, uvm_component, uvm_env

from tb.agents import ErrorMonitor, SinkAgent, SourceAgent
from tb.channel_agent import ChannelAgent
from tb.scoreboard import Compared, Scoreboard
from tb.stream_coverage import StreamCoverage
from tb.unit import Outputs, Rows, padded_together

KEPT_ELEMENTS = 4_000_000  # enough for any table, and a bound on memory


class Collector(uvm_component):
    """Functional coverage of the stream contract and of the unit, from compared rows."""

    def build_phase(self):
        self.bench = ConfigDB().get(self, "", "BENCH")
        self.stream = StreamCoverage(
            self.bench.shape, self.bench.unit.settings(self.bench.parameters)
        )
        self.unit = self.bench.unit.coverage(self.bench.parameters)

    def sample(self, batch: Compared) -> None:
        self.stream.sample(batch.expected, batch.err_len, batch.pairs)
        self.bench.unit.sample(self.unit, self.bench.parameters, batch.expected.rows)

    def merged(self):
        """Both as one."""
        whole = type(self.unit)()
        whole.merge(self.stream.coverage)
        whole.merge(self.unit)
        return whole


class Recorder(uvm_component):
    """Keeps what came out, for the accuracy table and for whoever asks for it, and all clocks."""

    def build_phase(self):
        self.bench = ConfigDB().get(self, "", "BENCH")
        self._batches: list[tuple[Rows, Outputs]] = []
        self._elements = 0
        self.clocks: list[tuple[list[int], list[int]]] = []  # (input, output) of each row

    def record(self, batch: Compared) -> None:
        self.clocks += [(given.clocks, got.clocks) for given, got in batch.pairs]
        # Rows that broke the contract say nothing about accuracy.
        good = ~(batch.err_len | batch.expected.err_keep)
        if self._elements >= KEPT_ELEMENTS or not good.any():
            return
        rows = batch.expected.rows
        exponent = np.array([int(got.user[0][-5:], 2) for _, got in batch.pairs])
        self._batches.append(
            (
                rows.select(good),
                Outputs(batch.seen.out[good, : rows.x.shape[1]], exponent[good]),
            )
        )
        self._elements += rows.x.size

    def kept(self) -> tuple[Rows, Outputs] | None:
        """Rows kept and what the unit made of them, in stream order; None when there are none."""
        if not self._batches:
            return None
        rows, outputs = zip(*self._batches, strict=True)
        return (
            Rows.joined(rows),
            Outputs(
                padded_together([o.out for o in outputs]),
                np.concatenate([o.exponent for o in outputs]),
            ),
        )


class StreamEnv(uvm_env):
    """Everything around a unit with the stream contract."""

    def build_phase(self):
        self.source = SourceAgent.create("source", self)
        self.sink = SinkAgent.create("sink", self)
        self.errors = ErrorMonitor.create("errors", self)
        self.scoreboard = Scoreboard.create("scoreboard", self)
        self.collector = Collector.create("collector", self)
        self.recorder = Recorder.create("recorder", self)
        has_table = ConfigDB().get(self, "", "BENCH").unit.channels
        self.channels = ChannelAgent.create("channels", self) if has_table else None

    def connect_phase(self):
        self.source.monitor.ap.connect(self.scoreboard.inputs)
        self.sink.monitor.ap.connect(self.scoreboard.outputs)
        self.scoreboard.listeners += [self.collector.sample, self.recorder.record]
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
