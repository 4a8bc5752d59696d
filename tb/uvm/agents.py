"""UVM agents of the two streams and of the reset: components over the pin layer.

SourceAgent: RowSequencer -> RowDriver -> RowSource -> s_axis -> InputMonitor  -> ap
SinkAgent:                   SinkDriver -> ReadySink -> m_axis -> OutputMonitor -> ap
"""

from __future__ import annotations

import itertools

import cocotb
from cocotb.utils import get_sim_time
from pyuvm import (
    ConfigDB,
    uvm_agent,
    uvm_analysis_port,
    uvm_component,
    uvm_driver,
    uvm_sequence_item,
    uvm_sequencer,
)

from ..check.contract import pack
from ..stimulus.values import STALLS, Noise, Row
from .channel_agent import ChannelDriver, ChannelMonitor
from .pins import InputMonitor, OutputMonitor, PulseCounter, ReadySink, RowSource


class RowItem(uvm_sequence_item):
    """A row to drive.

    waited   it has been held back until its channels were loaded
    aborted  tells, once it is done, that a reset cut it off
    """

    def __init__(self, name: str, row: Row):
        super().__init__(name)
        self.row = row
        self.waited = False
        self.aborted = False

    def __str__(self) -> str:
        return f"{self.get_name()}: {len(self.row.x)} elements, {self.row.origin}"


def stall_pattern(name: str, rng):
    """A fresh pattern of that name, or None where it never stalls."""
    maker = STALLS[name]
    return maker(rng) if maker else None


class RowDriver(uvm_driver):
    """Takes row items and puts them on `s_axis`."""

    def build_phase(self):
        self.bench = ConfigDB().get(self, "", "BENCH")

    def start_of_simulation_phase(self):
        bench = self.bench
        self.source = RowSource(
            cocotb.top,
            "s_axis",
            bench.clocking,
            bench.reset,
            bench.setting_values,
            bench.rng("source"),
        )
        self.waited: set[int] = set()  # items that had to wait for their channels
        self.channels: ChannelDriver | None = None  # of a unit with a channel table

    def set_stalls(self, name: str) -> None:
        self.source.set_stalls(stall_pattern(name, self.bench.rng(f"source {name}")))

    async def run_phase(self):
        noise = Noise(self.bench.rng("noise"))
        done_at = -1
        for number in itertools.count():
            item = await self.seq_item_port.get_next_item()
            beats = pack(item.row, self.bench.shape, noise)
            settings = item.row.settings
            if self.channels is not None:
                bank = await self._bank(item)
                claim = self.channels.banks.claim(bank)
                settings = {**settings, "bank": bank}
                if item.waited:
                    self.waited.add(number)
            # Right behind the last row no clock is lost; after a pause, line up with the clock.
            sync = get_sim_time() != done_at
            await self.source.send((beats, settings), sync=sync)
            done_at = get_sim_time()
            item.aborted = self.source.aborted
            if self.channels is not None and item.aborted:
                self.channels.banks.release(claim)
            self.seq_item_port.item_done()

    async def _bank(self, item: RowItem) -> int:
        """The bank that holds the row's channels, once there is one."""
        while (bank := self.channels.banks.bank_of(item.row.channels)) is None:
            item.waited = True
            await self.bench.clocking.edge
        return bank


class SinkDriver(uvm_component):
    """Drives `m_axis_tready`."""

    def build_phase(self):
        self.bench = ConfigDB().get(self, "", "BENCH")

    def start_of_simulation_phase(self):
        self.sink = ReadySink(cocotb.top, self.bench.clocking)

    def set_stalls(self, name: str) -> None:
        self.sink.set_stalls(stall_pattern(name, self.bench.rng(f"sink {name}")))

    async def run_phase(self):
        await self.sink.run()


class StreamMonitor(uvm_component):
    """Passive: publishes the rows of one stream on `ap`, keeps the protocol errors it saw."""

    def build_phase(self):
        self.bench = ConfigDB().get(self, "", "BENCH")
        self.ap = uvm_analysis_port("ap", self)
        self._on_error = lambda: None

    def make_pins(self):
        """The pin-level monitor."""
        raise NotImplementedError

    def start_of_simulation_phase(self):
        self.pins = self.make_pins()
        self.pins.add_callback(self.ap.write)
        self.pins.on_error = lambda: self._on_error()

    def on_error(self, callback) -> None:
        """Call back at each broken rule."""
        self._on_error = callback


class SourceMonitor(StreamMonitor):
    """`s_axis` and the settings."""

    channels: ChannelMonitor | None = None  # of a unit with a channel table

    def make_pins(self):
        bench = self.bench
        return InputMonitor(
            cocotb.top,
            "s_axis",
            bench.clocking,
            bench.reset,
            bench.setting_values,
            self.channels and self.channels.held,
            has_x=bench.has_x,
        )


class SinkMonitor(StreamMonitor):
    """`m_axis`; on a simulator with X, idle outputs must not show any either."""

    def make_pins(self):
        bench = self.bench
        return OutputMonitor(cocotb.top, "m_axis", bench.clocking, bench.reset, has_x=bench.has_x)


class SourceAgent(uvm_agent):
    """Input side, active."""

    def build_phase(self):
        self.seqr = uvm_sequencer("seqr", self)
        self.driver = RowDriver.create("driver", self)
        self.monitor = SourceMonitor.create("monitor", self)

    def connect_phase(self):
        self.driver.seq_item_port.connect(self.seqr.seq_item_export)


class SinkAgent(uvm_agent):
    """Output side: active on tready only."""

    def build_phase(self):
        self.driver = SinkDriver.create("driver", self)
        self.monitor = SinkMonitor.create("monitor", self)


class ErrorMonitor(uvm_component):
    """Counts the clocks of `err_len_o` and `err_keep_o` since the last reset."""

    def build_phase(self):
        self.bench = ConfigDB().get(self, "", "BENCH")

    def start_of_simulation_phase(self):
        bench = self.bench
        self.pulses = {
            name: PulseCounter(getattr(cocotb.top, f"{name}_o"), bench.clocking, bench.reset)
            for name in ("err_len", "err_keep")
        }
        bench.reset.on_assert(self.clear)

    @property
    def counts(self) -> dict[str, int]:
        return {name: counter.count for name, counter in self.pulses.items()}

    def clear(self) -> None:
        for counter in self.pulses.values():
            counter.count = 0
