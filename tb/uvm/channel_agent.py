# SPDX-License-Identifier: Apache-2.0
"""Agent of a unit's channel table: loads channel sets ahead of the rows that need them.

ChannelAgent: ChannelItem -> ChannelSequencer -> ChannelDriver -> chan_* -> ChannelMonitor -> mirror

Which set goes where and when is for sequences to decide (ChannelSequence, TableRowSequence), with
what the sequencer hears: sets that are loaded, rows that have come out, resets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from cocotb.triggers import Event
from cocotb.utils import get_sim_time
from pyuvm import uvm_driver, uvm_monitor, uvm_sequence_item, uvm_sequencer

from softnorm.units.unit import ChannelSet

from ..stimulus.channels import Banks, on_pins
from ..stimulus.values import Row
from .config import AnalysisImp, ConfiguredAgent
from .pins import Level

_PAUSE = 0.05  # share of clocks without a write while a set is being loaded


class ChannelItem(uvm_sequence_item):
    """A set to write into a bank that no row uses."""

    def __init__(self, name: str):
        super().__init__(name)
        self.bank = 0
        self.channels: ChannelSet | None = None


class ChannelSequencer(uvm_sequencer):
    """Knows the banks, and the sets that the rows ahead need."""

    def build_phase(self):
        self.cfg = self.cdb_get("cfg")
        self.banks = Banks(self.cfg.table.count)
        self.ahead: list[ChannelSet] = []
        self.planned = Event()  # there are other rows ahead
        self._loaded = Event()
        self.loaded_at = -1  # time of the falling edge at which the last load ended
        self.loads = AnalysisImp("loads", self, self._load)
        self.rows_out = AnalysisImp("rows_out", self, self._row_out)
        self.resets = AnalysisImp("resets", self, self._reset)

    def _load(self, item: ChannelItem) -> None:
        self.banks.loaded(item.bank, item.channels)
        self.loaded_at = get_sim_time()
        self._loaded.set()
        self._loaded.clear()

    def _row_out(self, _) -> None:
        self.banks.row_out()

    def _reset(self, _) -> None:
        self.banks.reset()

    def plan(self, ahead: Sequence[Row]) -> None:
        """Rows that are to be driven next, in order."""
        self.ahead = [row.channels for row in ahead]
        self.planned.set()

    async def settled(self) -> bool:
        """Return when no row of the plan, as far as banks go round, has to wait for its set.

        Tells whether that took any time.
        """
        waited = False
        while self.banks.to_load(self.ahead) is not None:
            waited = True
            await self._loaded.wait()
        return waited

    async def bank_of(self, channels: ChannelSet) -> tuple[int, bool]:
        """The bank that holds a set, once there is one, and whether that took any time."""
        waited = False
        while (bank := self.banks.bank_of(channels)) is None:
            waited = True
            await self._loaded.wait()
        return bank, waited


class ChannelDriver(uvm_driver):
    """Writes sets; `rsp_port` has each item when it is done."""

    def build_phase(self):
        self.cfg = cfg = self.cdb_get("cfg")
        top = cfg.entity
        self._rng = cfg.rng("channels")
        self._pins = {column.name: getattr(top, column.port) for column in cfg.fields}
        self._enable, self._bank, self._address = (
            top.chan_we_i,
            top.chan_bank_i,
            top.chan_addr_i,
        )
        self._enable.value = 0
        self._idle()

    async def run_phase(self):
        while True:
            item = await self.seq_item_port.get_next_item()
            await self.drive(item)
            self.rsp_port.write(item)
            self.seq_item_port.item_done()

    async def drive(self, item: ChannelItem) -> None:
        """One channel a clock, in random order; the table is not reset, so resets do no harm."""
        edge = self.cfg.clocking.edge
        values = item.channels.values
        count = len(next(iter(values.values())))
        for address in self._rng.permutation(count).tolist():
            if self._rng.random() < _PAUSE:
                self._enable.value = 0
                self._idle()
                await edge
            self._enable.value = 1
            self._bank.value = on_pins(item.bank, self.cfg.table.count, self._rng)
            self._address.value = address
            for name, pin in self._pins.items():
                pin.value = int(values[name][address]) & ((1 << len(pin)) - 1)
            await edge
        self._enable.value = 0
        self._idle()

    def _idle(self) -> None:
        """What is on the port means nothing, and must not get in."""
        for pin in (self._bank, self._address, *self._pins.values()):
            pin.value = int(self._rng.integers(1 << len(pin)))


class ChannelMonitor(uvm_monitor):
    """Keeps the mirror of the table, which the source's monitor asks, from the writes it sees."""

    def build_phase(self):
        self.cfg = cfg = self.cdb_get("cfg")
        top = cfg.entity
        self.writes = 0
        self._before: tuple | None = None  # on the pins one falling edge earlier
        self._enable = Level(top.chan_we_i)
        self._bank, self._address = top.chan_bank_i, top.chan_addr_i
        self._pins = [(column, getattr(top, column.port)) for column in cfg.fields]
        cfg.clocking.subscribe(self._clock)

    def _clock(self) -> None:
        now = self._write() if self._enable.value == "1" else None
        # Pins that move at the rising edge had these values before the next one, not the last.
        write, self._before = (self._before, now) if self.cfg.at_rise else (now, None)
        if write is not None:
            self.written(*write)

    def _write(self) -> tuple[int, int, dict[str, np.ndarray]]:
        values = {
            column.name: np.array(int(pin.value), np.uint8).view(column.dtype)
            for column, pin in self._pins
        }
        return int(self._bank.value), int(self._address.value), values

    def written(self, bank: int, address: int, values: dict[str, np.ndarray]) -> None:
        """A channel has been written."""
        self.writes += 1
        self.cfg.table.write(bank, address, values)


class ChannelAgent(ConfiguredAgent):
    """The write port of the channel table."""

    sequencer_type = ChannelSequencer
    driver_type = ChannelDriver
    monitor_type = ChannelMonitor

    def connect_phase(self):
        super().connect_phase()
        if self.active():
            self.driver.rsp_port.connect(self.seqr.loads)
