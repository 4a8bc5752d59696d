"""Agent of a unit's channel table: loads channel sets ahead of the rows that need them.

ChannelAgent: ChannelDriver -> chan_* -> ChannelMonitor, which knows what each bank holds
"""

from __future__ import annotations

from collections.abc import Sequence

import cocotb
import numpy as np
from cocotb.triggers import Event
from pyuvm import ConfigDB, uvm_agent, uvm_component

from softnorm.units.unit import BANKS, ChannelField, ChannelSet

from ..stimulus.channels import Banks
from ..stimulus.values import Row
from .pins import Level

_PAUSE = 0.05  # share of clocks without a write while a set is being loaded


class ChannelDriver(uvm_component):
    """Writes sets into banks that no row uses, while rows that use the other bank run."""

    def build_phase(self):
        self.bench = ConfigDB().get(self, "", "BENCH")
        self.banks = Banks()
        self.writes = 0
        self._ahead: list[ChannelSet] = []
        self._planned = Event()

    def start_of_simulation_phase(self):
        bench, top = self.bench, cocotb.top
        self._rng = bench.rng("channels")
        self._fields = bench.unit.channels
        self._pins = {column.name: getattr(top, column.port) for column in self._fields}
        self._enable, self._bank, self._address = (
            top.chan_we_i,
            top.chan_bank_i,
            top.chan_addr_i,
        )
        self._enable.value = 0
        self._idle()
        bench.reset.on_assert(self.banks.reset)

    def plan(self, ahead: Sequence[Row]) -> None:
        """Rows that are to be driven next, in order."""
        self._ahead = [row.channels for row in ahead]
        self._planned.set()

    async def settled(self) -> bool:
        """Return when no row of the plan, as far as banks go round, has to wait for its set.

        Tells whether that took any time.
        """
        waited = False
        while self.banks.to_load(self._ahead) is not None:
            waited = True
            await self.bench.clocking.edge
        return waited

    async def run_phase(self):
        edge = self.bench.clocking.edge
        while True:
            wanted = self.banks.to_load(self._ahead)
            if wanted is None:
                self._planned.clear()
                await self._planned.wait()
                continue
            bank, channels = wanted
            while self.banks.in_use(bank):
                await edge
            self.banks.loading(bank)
            await self._write(bank, channels)
            self.banks.loaded(bank, channels)

    async def _write(self, bank: int, channels: ChannelSet) -> None:
        """One channel a clock, in random order; the table is not reset, so resets do no harm."""
        edge = self.bench.clocking.edge
        count = len(next(iter(channels.values.values())))
        for address in self._rng.permutation(count).tolist():
            if self._rng.random() < _PAUSE:
                self._enable.value = 0
                self._idle()
                await edge
            self._enable.value = 1
            self._bank.value = bank
            self._address.value = address
            for name, pin in self._pins.items():
                pin.value = int(channels.values[name][address]) & ((1 << len(pin)) - 1)
            self.writes += 1
            await edge
        self._enable.value = 0
        self._idle()

    def _idle(self) -> None:
        """What is on the port means nothing, and must not get in."""
        for pin in (self._bank, self._address, *self._pins.values()):
            pin.value = int(self._rng.integers(1 << len(pin)))


class ChannelMonitor(uvm_component):
    """Passive: what each bank holds, from the writes on the pins."""

    def build_phase(self):
        self.bench = ConfigDB().get(self, "", "BENCH")

    def start_of_simulation_phase(self):
        bench, top = self.bench, cocotb.top
        self._fields: tuple[ChannelField, ...] = bench.unit.channels
        self._enable = Level(top.chan_we_i)
        self._bank, self._address = top.chan_bank_i, top.chan_addr_i
        self._pins = [getattr(top, column.port) for column in self._fields]
        self._held = [
            {column.name: np.zeros(bench.shape.max_len, column.dtype) for column in self._fields}
            for _ in range(BANKS)
        ]
        self._shown: list[ChannelSet | None] = [None] * BANKS  # handed out, as it is now
        bench.clocking.subscribe(self._clock)

    def _clock(self) -> None:
        if self._enable.value != "1":
            return
        bank, address = int(self._bank.value), int(self._address.value)
        if self._shown[bank] is not None:  # whoever has it keeps it
            self._held[bank] = {n: values.copy() for n, values in self._held[bank].items()}
            self._shown[bank] = None
        for column, pin in zip(self._fields, self._pins, strict=True):
            bits = np.array(int(pin.value), np.uint8)
            self._held[bank][column.name][address] = bits.view(column.dtype)

    def held(self, bank: int) -> ChannelSet:
        """What a bank holds now."""
        if self._shown[bank] is None:
            self._shown[bank] = ChannelSet(self._held[bank])
        return self._shown[bank]


class ChannelAgent(uvm_agent):
    """The write port of the channel table."""

    def build_phase(self):
        self.driver = ChannelDriver.create("driver", self)
        self.monitor = ChannelMonitor.create("monitor", self)
