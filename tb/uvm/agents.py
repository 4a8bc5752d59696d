# SPDX-License-Identifier: Apache-2.0
"""Agents of the two streams, and the monitors of the error outputs and of progress.

RowItem --> seqr -> RowDriver --> DrivenPins => s_axis, cfg_*   PinsIn --> SourceMonitor -> ports
ReadyItem > seqr -> ReadyDriver > ReadyPin ==> m_axis_tready   PinsOut -> SinkMonitor ---> ports
                                               err_*     PulseCounter ---> ErrorMonitor -> ap
rows of both monitors; PinsIn, PinsOut --------------------------> ProgressMonitor -> rule_ap

Ports of a stream's monitor: ap, the rows; cut_ap, what resets found; rule_ap, broken rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cocotb
from cocotb.utils import get_sim_time
from pyuvm import uvm_analysis_port, uvm_driver, uvm_monitor, uvm_sequence_item

from ..check.contract import ObservedRow, pack
from ..check.coverage import state_of
from ..check.progress import Pairs, Progress, patience
from ..stimulus.channels import on_pins
from ..stimulus.values import STREAM_STATES, Noise, Pattern, Row
from .config import AnalysisImp, ConfiguredAgent
from .pins import (
    DrivenPins,
    PinsIn,
    PinsOut,
    ProtocolError,
    PulseCounter,
    ReadyPin,
    WatchedPins,
)


class RowItem(uvm_sequence_item):
    """A row to drive.

    stalls   the pattern that tvalid follows, which its rows share; None: it never waits
    bank     that holds its channels, of a unit with a channel table
    waited   it has been held back until its channels were loaded
    loaded   time of the falling edge at which the last load of channels ended
    aborted  tells, once it is done, that a reset cut it off
    """

    def __init__(self, name: str):
        super().__init__(name)
        self.row: Row | None = None
        self.stalls: Pattern | None = None
        self.bank: int | None = None
        self.loaded: float = -1
        self.waited = False
        self.aborted = False

    def __str__(self) -> str:
        return f"{self.get_name()}: {len(self.row.x)} elements, {self.row.origin}"


class ReadyItem(uvm_sequence_item):
    """The pattern that tready follows from now on; None: it is always high.

    With `after_tvalid` it is low where tvalid is low, and the pattern waits.
    """

    def __init__(self, name: str):
        super().__init__(name)
        self.stalls: Pattern | None = None
        self.after_tvalid = False


class RowDriver(uvm_driver):
    """Puts rows on the input stream; `rsp_port` has each item when it is done."""

    def build_phase(self):
        self.cfg = cfg = self.cdb_get("cfg")
        self.pins = DrivenPins(
            cfg.entity, cfg.prefix, cfg.clocking, cfg.reset, cfg.settings, cfg.rng("source")
        )
        self._noise = Noise(cfg.rng("noise"))
        self._bank = cfg.rng("bank")
        self._stalls: Pattern | None = None
        self._done_at = -1

    async def run_phase(self):
        while True:
            item = await self.seq_item_port.get_next_item()
            await self.drive(item)
            self.rsp_port.write(item)
            self.seq_item_port.item_done()

    async def drive(self, item: RowItem) -> None:
        """Return when the row is in, or a reset has cut it off."""
        pins, row = self.pins, item.row
        if item.stalls is not self._stalls:
            self._stalls = item.stalls
            pins.set_stalls(item.stalls)
        beats = pack(row, self.cfg.shape, self._noise)
        settings = row.settings
        if item.bank is not None:
            bank = on_pins(item.bank, self.cfg.table.count, self._bank)
            settings = {**settings, "bank": bank}
        # Right behind the last row, or a load, no clock is lost; after a pause, line up with it.
        await pins.send((beats, settings), sync=get_sim_time() not in (self._done_at, item.loaded))
        self._done_at = get_sim_time()
        item.aborted = pins.aborted


class ReadyDriver(uvm_driver):
    """Has tready of the output stream follow a pattern until the next one comes."""

    def build_phase(self):
        cfg = self.cdb_get("cfg")
        self.pins = ReadyPin(cfg.entity, cfg.prefix, cfg.clocking)

    async def run_phase(self):
        cocotb.start_soon(self.pins.run())
        while True:
            item = await self.seq_item_port.get_next_item()
            self.pins.set_stalls(item.stalls, item.after_tvalid)
            self.seq_item_port.item_done()


@dataclass(frozen=True)
class CutOff:
    """What a reset found on a stream: its state, one of STREAM_STATES, and the row under way."""

    state: str
    row: ObservedRow


class StreamMonitor(uvm_monitor):
    """Publishes the rows of a stream (ap), what resets found (cut_ap), broken rules (rule_ap)."""

    def build_phase(self):
        self.cfg = self.cdb_get("cfg")
        self.ap = uvm_analysis_port("ap", self)
        self.cut_ap = uvm_analysis_port("cut_ap", self)
        self.rule_ap = uvm_analysis_port("rule_ap", self)
        self.cfg.reset.on_assert(self._cut)  # ahead of the pins, which forget
        self.pins = self.watch()

    def watch(self, pins_type: type, *args):
        """The pins, watched."""
        cfg = self.cfg
        return pins_type(
            *(cfg.entity, cfg.prefix, cfg.clocking, cfg.reset, *args),
            has_x=cfg.has_x,
            at_rise=cfg.at_rise,
            on_row=self.publish,
            on_error=self._rule,
        )

    def publish(self, row: ObservedRow) -> None:
        """A row has gone by."""
        self.ap.write(row)

    def _rule(self, broken: ProtocolError) -> None:
        self.rule_ap.write(broken)

    def _cut(self) -> None:
        self.cut_ap.write(CutOff(self.state, self.pins.row))

    @property
    def state(self) -> str:
        """What the stream is in the middle of, one of STREAM_STATES."""
        return STREAM_STATES[state_of(self.pins)]

    @property
    def beats(self) -> int:
        """Transferred so far."""
        return self.pins.beats


class SourceMonitor(StreamMonitor):
    """The input stream, with the settings and what their bank of the channel table holds."""

    def watch(self):
        cfg = self.cfg
        return super().watch(PinsIn, cfg.settings, cfg.table and cfg.table.held)


class SinkMonitor(StreamMonitor):
    """The output stream; on a simulator with X, idle outputs must not show any either."""

    def watch(self):
        return super().watch(PinsOut, self.cfg.cell, self.cfg.bare)


class SourceAgent(ConfiguredAgent):
    """Input side."""

    driver_type = RowDriver
    monitor_type = SourceMonitor


class SinkAgent(ConfiguredAgent):
    """Output side: what it drives is tready."""

    driver_type = ReadyDriver
    monitor_type = SinkMonitor


class ProgressMonitor(uvm_monitor):
    """Publishes streams that stand still and need not (rule_ap)."""

    def build_phase(self):
        cfg = self.cdb_get("cfg")
        self._progress = Progress(patience(cfg.unit, cfg.parameters))
        self._line, self._clocking = cfg.reset.reset, cfg.reset.clocking
        self.rule_ap = uvm_analysis_port("rule_ap", self)
        self.rows_in = AnalysisImp("rows_in", self, self._row_in)
        self.rows_out = AnalysisImp("rows_out", self, self._row_out)
        self.sources: Sequence[WatchedPins] = ()  # the pins of the input streams,
        self.sink: WatchedPins | None = None  # and those of the output
        self._pairs = Pairs(len(cfg.unit.inputs)) if cfg.unit.cell else None
        self._before: list[int] = []  # beats of each stream up to the last clock
        self._line.on_assert(self._restart)
        self._clocking.subscribe(self._clock)

    def _row_in(self, _) -> None:
        self._progress.inside += 1

    def _row_out(self, _) -> None:
        self._progress.inside -= 1

    def _restart(self) -> None:
        self._progress.restart()
        if self._pairs is not None:
            self._pairs.restart()
            self._before = []

    def _clock(self) -> None:
        if self._line.active:
            return
        awaited = self.sources
        if self._pairs is not None:
            # A beat at most has moved on each stream, and it was a row's last if none is under way.
            beats = [pins.beats for pins in (*self.sources, self.sink)]
            moved = [now != then for now, then in zip(beats, self._before or beats, strict=True)]
            self._before = beats
            lasts = [
                not pins.partial if m else None for pins, m in zip(awaited, moved, strict=False)
            ]
            self._progress.inside = self._pairs.clock(lasts, moved[-1])
            awaited = [self.sources[place] for place in self._pairs.awaited]
        ready = all(pins.has_tready for pins in awaited)
        broken = self._progress.clock(self.sink.has_tvalid, self.sink.has_tready, ready)
        if broken:
            self.rule_ap.write(ProtocolError(f"{broken} (clock {self._clocking.number})"))


class ErrorMonitor(uvm_monitor):
    """Publishes, at each reset and at the end, the clocks of the error outputs since the last."""

    def build_phase(self):
        cfg = self.cdb_get("cfg")
        self.ap = uvm_analysis_port("ap", self)
        self.pulses = {
            name: PulseCounter(getattr(cfg.entity, f"{name}_o"), cfg.clocking, cfg.reset)
            for name in cfg.outputs
        }
        cfg.reset.on_assert(self._publish)

    def _publish(self) -> None:
        self.ap.write({name: counter.clocks for name, counter in self.pulses.items()})
        for counter in self.pulses.values():
            counter.clocks = []

    def extract_phase(self):
        self._publish()
