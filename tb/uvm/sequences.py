# SPDX-License-Identifier: Apache-2.0
"""Sequences, and the virtual sequencer that a scenario runs on.

ScenarioSequence (virtual)
  ResetSequence                     the first reset; and those of the test, beside all that follows
  ChannelSequence                   sets for the rows ahead, beside the rows
  each phase:
    ReadySequence                   the pattern of tready
    RowSequence, TableRowSequence   the rows, an item each, with the pattern of tvalid

What rows there are is not drawn here: a scenario is plain data (tb/stimulus/scenarios.py).
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import cocotb
from cocotb.triggers import Timer
from pyuvm import uvm_sequence, uvm_sequencer

from ..stimulus.values import (
    AFTER_TVALID,
    AIM,
    STALLS,
    Pattern,
    Phase,
    Reset,
    Row,
    sink_stalls,
)
from .agents import ReadyItem, RowItem
from .channel_agent import ChannelItem, ChannelSequencer
from .pins import ResetLine
from .reset_agent import POWER_ON, ResetItem


class VirtualSequencer(uvm_sequencer):
    """The agents' sequencers; `channels` is None for a unit without a channel table.

    others  those of further input streams
    """

    source: uvm_sequencer
    others: Sequence[uvm_sequencer] = ()
    sink: uvm_sequencer
    reset: uvm_sequencer
    channels: ChannelSequencer | None = None

    def build_phase(self):
        self.cfg = self.cdb_get("cfg")


class Step:
    """Keeps rows of several streams together: behind a reset those that any has begun are over."""

    def __init__(self, streams: int, reset: ResetLine):
        self._streams = streams
        self.restart()
        reset.on_assert(self._cut)

    def restart(self) -> None:
        """Rows are counted from 0 again."""
        self._first, self._begun = 0, [-1] * self._streams

    def _cut(self) -> None:
        self._first = max(self._begun) + 1

    def begins(self, place: int, number: int) -> bool:
        """Whether a stream is to drive its row of that number."""
        if number < self._first:
            return False
        self._begun[place] = number
        return True


class RowSequence(uvm_sequence):
    """Rows under one pattern of tvalid.

    step, place  of a unit of several input streams, and which of them this is
    """

    def __init__(self, name: str):
        super().__init__(name)
        self.rows: Iterable[Row] = ()
        self.stalls: Pattern | None = None
        self.step: Step | None = None
        self.place = 0

    def item(self, number: int, row: Row) -> RowItem:
        """The item of a row."""
        item = RowItem.create(f"row {number}")
        item.row, item.stalls = row, self.stalls
        return item

    async def body(self):
        for number, row in enumerate(self.rows):
            if self.step is not None and not self.step.begins(self.place, number):
                continue
            item = self.item(number, row)
            await self.start_item(item)
            await self.finish_item(item)


class TableRowSequence(RowSequence):
    """Rows of a unit with a channel table: each goes when a bank holds its channels.

    With `settle` the first row waits until those of the rows behind it are loaded too.
    """

    AHEAD = 64  # rows that the channels' sequencer is told of

    def __init__(self, name: str):
        super().__init__(name)
        self.channels: ChannelSequencer | None = None
        self.settle = False

    async def body(self):
        channels, rows = self.channels, iter(self.rows)
        ahead = deque(itertools.islice(rows, self.AHEAD))
        for number in itertools.count():
            if not ahead:
                return
            channels.plan(ahead)
            row = ahead.popleft()
            item = self.item(number, row)
            if self.settle and number == 0:
                item.waited = await channels.settled()
            await self.start_item(item)
            item.bank, waited = await channels.bank_of(row.channels)
            item.waited |= waited
            item.loaded = channels.loaded_at
            claim = channels.banks.claim(item.bank)
            await self.finish_item(item)
            if item.aborted:
                channels.banks.release(claim)
            ahead.extend(itertools.islice(rows, 1))


class ReadySequence(uvm_sequence):
    """One pattern of tready."""

    def __init__(self, name: str):
        super().__init__(name)
        self.stalls: Pattern | None = None
        self.after_tvalid = False

    async def body(self):
        item = ReadyItem.create(self.get_name())
        item.stalls, item.after_tvalid = self.stalls, self.after_tvalid
        await self.start_item(item)
        await self.finish_item(item)


class ChannelSequence(uvm_sequence):
    """Loads sets that rows ahead need into banks that no row uses, without an end."""

    async def body(self):
        seqr = self.sequencer
        banks, edge = seqr.banks, seqr.cfg.clocking.edge
        while True:
            wanted = banks.to_load(seqr.ahead)
            if wanted is None:
                seqr.planned.clear()
                await seqr.planned.wait()
                continue
            item = ChannelItem.create("set")
            item.bank, item.channels = wanted
            while banks.in_use(item.bank):
                await edge
            banks.loading(item.bank)
            await self.start_item(item)
            await self.finish_item(item)


class ResetSequence(uvm_sequence):
    """Resets, each so long after the one before and, where it aims, in a state of the streams."""

    def __init__(self, name: str):
        super().__init__(name)
        self.resets: Iterable[Reset] = ()

    async def body(self):
        seqr = self.sequencer
        clocking = seqr.cfg.clocking
        for number, reset in enumerate(self.resets):
            await clocking.wait(reset.clocks)
            for _ in range(AIM if reset.aim else 0):
                if tuple(stream.state for stream in seqr.streams) == reset.aim:
                    break
                await clocking.edge
            if reset.within:
                await Timer(reset.within, "ps")
            item = ResetItem.create(f"reset {number}")
            item.held = reset.held
            await self.start_item(item)
            await self.finish_item(item)


def _operands_of(rows: Iterable[Row], place: int) -> Iterator[Row]:
    for row in rows:
        yield row.operands[place]


class ScenarioSequence(uvm_sequence):
    """A scenario: phases of rows under their stalls, resets beside them. A virtual sequence.

    settle  whether a phase begins when the channels of its first rows are loaded
    real    rows driven so far of a tensor file
    """

    def __init__(self, name: str):
        super().__init__(name)
        self.phases: Iterable[Phase] = ()
        self.resets: Iterable[Reset] = ()
        self.settle = False
        self.real = 0
        self._beside = []
        self._step: Step | None = None

    async def body(self):
        seqr = self.sequencer
        if seqr.others:
            self._step = Step(1 + len(seqr.others), seqr.cfg.reset.reset)
        await self._resets("power on", [Reset(0, 0, POWER_ON)])
        self._fork(self._resets("resets", self.resets))
        if seqr.channels is not None:
            self._fork(ChannelSequence.create("channels").start(seqr.channels))
        for number, phase in enumerate(self.phases):
            await self._ready(phase.sink)
            await self._rows(number, phase)
        # What is left comes out to a sink that waits for tvalid, which costs no clock.
        await self._ready("none" + AFTER_TVALID)

    def _fork(self, body) -> None:
        self._beside.append(cocotb.start_soon(body))

    def kill(self) -> None:
        """End what runs beside the rows; resets come until then."""
        for task in self._beside:
            task.cancel()

    def _stalls(self, side: str, name: str) -> Pattern | None:
        """A fresh pattern of that name, or None where it never stalls."""
        maker = STALLS[name]
        return maker(self.sequencer.cfg.rng(f"{side} {name}")) if maker else None

    async def _resets(self, name: str, resets: Iterable[Reset]) -> None:
        sequence = ResetSequence.create(name)
        sequence.resets = resets
        await sequence.start(self.sequencer.reset)

    async def _ready(self, name: str) -> None:
        sequence = ReadySequence.create(name)
        pattern, sequence.after_tvalid = sink_stalls(name)
        sequence.stalls = self._stalls("sink", pattern)
        await sequence.start(self.sequencer.sink)

    async def _rows(self, number: int, phase: Phase) -> None:
        seqr, name = self.sequencer, f"phase {number}"
        if seqr.channels is None:
            sequence = RowSequence.create(name)
        else:
            sequence = TableRowSequence.create(name)
            sequence.channels, sequence.settle = seqr.channels, self.settle
        sequence.rows = self._counted(phase.rows) if phase.real else phase.rows
        sequence.stalls = self._stalls("source", phase.source)
        beside = self._operands(sequence, phase) if self._step is not None else []
        await sequence.start(seqr.source)
        for task in beside:
            await task

    def _operands(self, sequence: RowSequence, phase: Phase) -> list:
        """Start the sequences of further input streams, each with its own pattern of tvalid."""
        others = self.sequencer.others
        sequence.step = self._step
        self._step.restart()
        started = []
        sequence.rows, *copies = itertools.tee(sequence.rows, 1 + len(others))
        for place, rows in enumerate(copies):
            other = RowSequence.create(f"{sequence.get_name()} of operand {place}")
            other.rows = _operands_of(rows, place)
            other.stalls = self._stalls(f"source {place + 2}", phase.other or phase.source)
            other.step, other.place = self._step, place + 1
            started.append(cocotb.start_soon(other.start(others[place])))
        self._beside += started
        return started

    def _counted(self, rows: Iterable[Row]) -> Iterable[Row]:
        for row in rows:
            yield row
            self.real += 1
