# SPDX-License-Identifier: Apache-2.0
"""Agent of the reset.

ResetAgent: ResetItem -> ResetSequencer -> ResetDriver -> rst_ni -> ResetMonitor -> ap, rule_ap
"""

from __future__ import annotations

from collections.abc import Sequence

import cocotb
from cocotb.triggers import Timer
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
    """Publishes each assertion (ap), and outputs that are not at rest in reset (rule_ap)."""

    AT_REST = ("m_axis_tvalid", "s_axis_tready", "err_len_o", "err_keep_o")

    def build_phase(self):
        self.cfg = self.cdb_get("cfg")
        self.ap = uvm_analysis_port("ap", self)
        self.rule_ap = uvm_analysis_port("rule_ap", self)

    def start_of_simulation_phase(self):
        # Behind all the others, so that what they have of the time before is published first.
        self.cfg.reset.on_assert(self._asserted)

    async def run_phase(self):
        # A reset that is there from the start has no edge: it takes effect at the first clock.
        await self.cfg.clocking.wait(POWER_ON)
        self._check()

    def _asserted(self) -> None:
        self.ap.write(self.cfg.reset.count)
        cocotb.start_soon(self._check_soon())

    async def _check_soon(self) -> None:
        """Reset is asynchronous: outputs are at rest at once, with no clock."""
        await Timer(1, "ps")
        self._check()

    def _check(self) -> None:
        if not self.cfg.reset.active:
            return
        for name in self.AT_REST:
            value = str(getattr(self.cfg.entity, name).value)
            if value != "0":
                self.rule_ap.write(ProtocolError(f"{name} is {value} in reset"))


class ResetAgent(ConfiguredAgent):
    """The reset, of this unit or of all."""

    sequencer_type = ResetSequencer
    driver_type = ResetDriver
    monitor_type = ResetMonitor
