"""The environment: agents on both sides, the scoreboard, and coverage that only listens.

source.monitor --ap--> scoreboard.inputs          scoreboard --> collector (coverage)
sink.monitor   --ap--> scoreboard.outputs                    \\-> recorder  (accuracy, clocks)
"""

from __future__ import annotations

import numpy as np
from pyuvm import ConfigDB, uvm_component, uvm_env

from tb.agents import ErrorMonitor, SinkAgent, SourceAgent
from tb.scoreboard import Compared, Scoreboard
from tb.stream_coverage import StreamCoverage
from tb.unit import Outputs, Rows

KEPT_ELEMENTS = 4_000_000  # enough for any table, and a bound on memory


class Collector(uvm_component):
    """Functional coverage of the stream contract and of the unit, from compared rows."""

    def build_phase(self):
        self.bench = ConfigDB().get(self, "", "BENCH")
        self.stream = StreamCoverage(self.bench.shape, self.bench.unit.settings)
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
        width = rows.x.shape[1]
        settings = {name: values[good] for name, values in rows.settings.items()}
        exponent = np.array([int(got.user[0][-5:], 2) for _, got in batch.pairs])
        self._batches.append(
            (
                Rows(rows.x[good], rows.mask[good], rows.length[good], settings),
                Outputs(batch.seen.out[good, :width], exponent[good]),
            )
        )
        self._elements += rows.x.size

    def kept(self) -> tuple[Rows, Outputs] | None:
        """Rows kept and what the unit made of them, in stream order; None when there are none."""
        if not self._batches:
            return None
        all_rows, outputs = zip(*self._batches, strict=True)
        width = max(rows.x.shape[1] for rows in all_rows)

        def joined(arrays):
            return np.concatenate([np.pad(a, ((0, 0), (0, width - a.shape[1]))) for a in arrays])

        return (
            Rows(
                joined([r.x for r in all_rows]),
                joined([r.mask for r in all_rows]),
                np.concatenate([r.length for r in all_rows]),
                {
                    name: np.concatenate([r.settings[name] for r in all_rows])
                    for name in all_rows[0].settings
                },
            ),
            Outputs(
                joined([o.out for o in outputs]), np.concatenate([o.exponent for o in outputs])
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

    def connect_phase(self):
        self.source.monitor.ap.connect(self.scoreboard.inputs)
        self.sink.monitor.ap.connect(self.scoreboard.outputs)
        self.scoreboard.listeners += [self.collector.sample, self.recorder.record]

    @property
    def protocol_errors(self) -> list[Exception]:
        """Broken rules on either stream, in the order seen."""
        return self.source.monitor.pins.errors + self.sink.monitor.pins.errors
