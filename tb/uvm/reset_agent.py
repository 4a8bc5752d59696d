# SPDX-License-Identifier: Apache-2.0
"""Agent of the reset.

ResetAgent: ResetItem -> ResetSequencer -> ResetDriver -> rst_ni -> ResetMonitor -> ap, rule_ap
"""

from __future__ import annotations

from collections.abc import Sequence

import cocotb
from cocotb.triggers import Timer
from cocotb.utils import get_sim_time
from pyuvm import uvm_analysis_port, uvm_driver, uvm_monitor, uvm_sequence_item, uvm_sequencer

from .agents import StreamMonitor
from .config import ConfiguredAgent
from .pins import ProtocolError

POWER_ON = 3  # clocks of the first reset


class ResetItem(uvm_sequence_item):
    """A reset that begins now and is held for so many clocks."""

    def __init__(self, name: str):
        super().__init__(name)
        self.held = 1


class ResetSequencer(uvm_sequencer):
    """Has the streams' monitors, for sequences that wait for a state to reset in."""

    streams: Sequence[StreamMonitor] = ()

    def build_phase(self):
        self.cfg = self.cdb_get("cfg")


class ResetDriver(uvm_driver):
    """Asserts the reset at once; releases it at a falling edge."""

    def build_phase(self):
        self.cfg = self.cdb_get("cfg")

    async def run_phase(self):
        clocking, line = self.cfg.clocking, self.cfg.reset
        while True:
            item = await self.seq_item_port.get_next_item()
            line.assert_now()
            await clocking.wait(item.held)
            await line.release()
            self.seq_item_port.item_done()


class ResetMonitor(uvm_monitor):
    """Publishes each assertion (ap), and outputs that are not what reset makes them (rule_ap).

    At rest at once, with no clock, and as long as it lasts; the payload 0 from the first rising
    edge within reset on; tready low up to the first rising edge behind it, and high from there on.
    """

    PAYLOAD = ("m_axis_tdata", "m_axis_tkeep", "m_axis_tlast", "m_axis_tuser")

    def build_phase(self):
        self.cfg = self.cdb_get("cfg")
        self.ap = uvm_analysis_port("ap", self)
        self.rule_ap = uvm_analysis_port("rule_ap", self)
        self._ready = [f"{prefix}_tready" for prefix in self.cfg.inputs]
        strb = ("m_axis_tstrb",) if self.cfg.cell else ()
        self._payload = () if self.cfg.bare else (*self.PAYLOAD, *strb)
        self._at_rest = ("m_axis_tvalid", *self._ready, *(f"{e}_o" for e in self.cfg.outputs))
        # Rising edges since the reset has changed. A reset that is there from the start has no edge
        # of its own: it takes effect at the first clock, and the payload is 0 a clock later.
        self._edges = -2
        self._changed_at = -1  # no falling edge before this time counts
        self._released = False

    def start_of_simulation_phase(self):
        # Behind all the others, so that what they have of the time before is published first.
        self.cfg.reset.on_assert(self._asserted)
        self.cfg.reset.on_release(self._release)
        self.cfg.clocking.subscribe(self._clock)

    def _changes(self) -> None:
        """Count rising edges from here on: that of this clock is over while it is high."""
        self._edges = -int(str(self.cfg.entity.clk_i.value) == "1")
        self._changed_at = get_sim_time()

    def _asserted(self) -> None:
        self.ap.write(self.cfg.reset.count)
        self._changes()
        self._released = False
        cocotb.start_soon(self._soon(True, self._at_rest))

    def _release(self) -> None:
        self._changes()
        self._released = True
        cocotb.start_soon(self._soon(False, self._ready))

    async def _soon(self, active: bool, names: Sequence[str]) -> None:
        """Outputs that are low right behind a change of the reset, with no clock."""
        await Timer(1, "ps")
        if self.cfg.reset.active == active:
            self._low(names, "in reset" if active else "before the first clock after reset")

    def _clock(self) -> None:
        """At a falling edge."""
        if get_sim_time() == self._changed_at:
            return
        self._edges += 1
        if self.cfg.reset.active:
            if self._edges > 0:
                self._low((*self._at_rest, *self._payload), "in reset")
        elif self._released and self._edges > 0:
            self._released = False
            for name in self._ready:
                value = str(getattr(self.cfg.entity, name).value)
                if value != "1":
                    self._broken(f"{name} is {value} after the first clock after reset")

    def _low(self, names: Sequence[str], when: str) -> None:
        for name in names:
            value = str(getattr(self.cfg.entity, name).value)
            if value.strip("0"):
                self._broken(f"{name} is {value} {when}")

    def _broken(self, rule: str) -> None:
        self.rule_ap.write(ProtocolError(f"{rule} (clock {self.cfg.clocking.number})"))


class ResetAgent(ConfiguredAgent):
    """The reset, of this unit or of all."""

    sequencer_type = ResetSequencer
    driver_type = ResetDriver
    monitor_type = ResetMonitor
