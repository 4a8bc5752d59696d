# SPDX-License-Identifier: Apache-2.0
"""Pin layer of the stream: cocotb-bus drivers and monitors, a row as the transaction.

The UVM drivers and monitors are over these: RowDriver over DrivenPins, ReadyDriver over ReadyPin,
SourceMonitor over PinsIn, SinkMonitor over PinsOut, ErrorMonitor over PulseCounter, and the reset
agent over ResetLine.

The bench moves at the falling edge, half a clock away from everything the unit does. There it first
looks at what the last rising edge took, then drives what the next one is to take:

    rising edge n    the unit takes inputs, its outputs change
    falling edge n   inputs are still those of edge n; outputs are those that edge n+1 will take

so a transfer at edge n is seen at falling edge n from the inputs as they are and the outputs as
they were one falling edge earlier. This needs outputs that come from flip-flops, which the stream
contract promises, and holds on every simulator. Where somebody else drives the inputs, from
flip-flops or right behind the rising edge, they too are as they were one falling edge earlier
(`at_rise`).

Waking a coroutine or reading a pin from Python costs about as much as simulating a clock. One
coroutine (`Clocking`) wakes for all monitors, and of the pins only tdata and tlast are read for
every beat; the others keep their value over most beats and are followed by their changes (`Level`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import cocotb
from cocotb.triggers import Event, FallingEdge
from cocotb_bus.bus import Bus
from cocotb_bus.drivers import BusDriver
from cocotb_bus.monitors import BusMonitor

from softnorm.units.unit import Setting, from_bits, to_bits

from ..check.contract import ObservedRow
from ..stimulus.values import Noise


class ProtocolError(AssertionError):
    """A rule of the stream contract broken on the pins."""


class Clocking:
    """The bench's clocking block: counts clocks and calls its subscribers at each falling edge.

    Subscribers run before anything that a driver writes at that edge reaches the pins.
    """

    def __init__(self, clock):
        self.edge = FallingEdge(clock)
        self.number = 0
        self._subscribers: list[Callable[[], None]] = []

    def subscribe(self, callback: Callable[[], None]) -> None:
        self._subscribers.append(callback)

    async def run(self) -> None:
        while True:
            await self.edge
            self.number += 1
            for callback in self._subscribers:
                callback()

    async def wait(self, clocks: int) -> None:
        """Return at the falling edge that many clocks on."""
        for _ in range(clocks):
            await self.edge


class Level:
    """A pin's value as a bit string, kept up to date by its changes."""

    def __init__(self, handle):
        self._handle = handle
        self.value = str(handle.value)
        cocotb.start_soon(self._follow())

    async def _follow(self):
        change = self._handle.value_change
        while True:
            await change
            self.value = str(self._handle.value)


class ResetLine:
    """The reset as everyone in the bench sees it: `active`, and callbacks when it changes.

    It follows the pin, whoever drives it. `drive` tells that this bench does, with `assert_now` and
    `release`: the line is then asserted from the start.
    """

    def __init__(self, handle, clocking: Clocking, *, drive: bool):
        self._handle = handle
        self._clocking = clocking
        self._callbacks: list[Callable[[], None]] = []
        self._released: list[Callable[[], None]] = []
        self.count = 0  # without one that was there from the start
        if drive:
            handle.value = 0
        self.active = drive or str(handle.value) != "1"
        cocotb.start_soon(self._follow())

    def on_assert(self, callback: Callable[[], None]) -> None:
        """Call back at each assertion; callbacks run in the order in which they came."""
        self._callbacks.append(callback)

    def on_release(self, callback: Callable[[], None]) -> None:
        """Call back at each release."""
        self._released.append(callback)

    async def _follow(self) -> None:
        change = self._handle.value_change
        while True:
            await change
            self._is(str(self._handle.value) != "1")

    def _is(self, active: bool) -> None:
        if active == self.active:
            return
        self.active = active
        self.count += active
        for callback in self._callbacks if active else self._released:
            callback()

    def assert_now(self) -> None:
        """Assert at once, wherever in the clock that is."""
        self._handle.value = 0
        self._is(True)

    async def release(self) -> None:
        """Release at a falling edge, well away from the clock edge that counts."""
        await self._clocking.edge
        self._handle.value = 1
        self._is(False)


class DrivenPins(BusDriver):
    """Drives rows on an input stream and the settings with their first beat.

    A transaction is (beats, settings): beats a list of (tdata, tkeep, tstrb) integers, settings a
    name -> int dict. The settings are on their pins for the clock in which a row's first beat is
    taken; at all others, while that beat waits too, the pins carry noise, so that a unit that looks
    at the wrong time is seen. `send` returns once the last beat is taken, or after a reset has cut
    the row off (`aborted` is then set).
    """

    _signals = ("tdata", "tkeep", "tstrb", "tlast", "tvalid", "tready")

    def __init__(self, entity, name, clocking, reset: ResetLine, settings: Sequence[Setting], rng):
        super().__init__(entity, name, clocking)
        self._edge = clocking.edge
        self._reset = reset
        self._cfg = {setting.name: getattr(entity, setting.port) for setting in settings}
        self._bits = {setting.name: setting for setting in settings}
        self._noise = Noise(rng)
        # Drawing anew for every row would cost more than driving it. Of all that a pin can carry.
        widths = {name: len(pin) for name, pin in self._cfg.items()}
        self._cfg_noise = itertools.cycle(
            [{n: int(rng.integers(1 << width)) for n, width in widths.items()} for _ in range(211)]
        )
        self._pattern: Iterator[tuple[int, int]] | None = None
        self._on = 0
        self._off = 0  # clocks left to keep tvalid low
        self._ready = Level(self.bus.tready)
        self._tdata = self.bus.tdata
        self._held: dict[str, int] = {}  # what is on the pins
        self._beats: list[tuple[int, int, int]] = []  # of the row under way
        self._number = 0  # the beat of them that is on the pins, or comes after a stall
        self._taken = False  # the next rising edge takes it
        self._at_rest = True  # no row is under way, and the pins say nothing of the last one
        self._done = Event()
        self.aborted = False
        self._put("tvalid", 0)
        self._put_settings(next(self._cfg_noise))
        clocking.subscribe(self._clock)

    def set_stalls(self, pattern: Iterator[tuple[int, int]] | None) -> None:
        """Hold tvalid low as the pattern of (on, off) clocks says; None: never."""
        self._pattern = pattern
        self._on = 0

    async def _driver_send(self, transaction, sync: bool = True, **_) -> None:
        if sync:
            await self._edge
        self._beats, self._settings = transaction
        self._number = 0
        self.aborted = self._at_rest = False
        self._done.clear()
        self._next_beat()
        await self._done.wait()
        while self._reset.active:
            await self._edge

    def _clock(self) -> None:
        """At each falling edge: go on when the rising edge took the beat, stop at a reset."""
        if not self._beats:
            if not self._at_rest:
                self._at_rest = True
                self._idle()
            return
        if self._reset.active:
            self.aborted = True
            self._finish()
        elif self._off:
            self._off -= 1
            if not self._off:
                self._drive()
        elif self._taken:
            self._number += 1
            if self._number < len(self._beats):
                self._next_beat()
            else:
                self._finish()
        else:
            self._look()

    def _next_beat(self) -> None:
        """Put the beat on the pins, after a stall if it is time for one."""
        if self._pattern is not None and not self._on:
            self._on, self._off = next(self._pattern)
        if self._off:
            self._idle()
        else:
            self._drive()

    def _drive(self) -> None:
        number = self._number
        data, keep, strb = self._beats[number]
        self._tdata.value = self._held["tdata"] = data
        self._put("tkeep", keep)
        self._put("tstrb", strb)
        self._put("tlast", int(number == len(self._beats) - 1))
        self._put("tvalid", 1)
        if number == 1:
            self._put_settings(next(self._cfg_noise))
        if self._pattern is not None:
            self._on -= 1
        self._look()

    def _look(self) -> None:
        """See whether the next rising edge takes the beat; a first one has its settings then."""
        self._taken = self._ready.value == "1"
        if self._number == 0:
            self._put_settings(self._settings if self._taken else next(self._cfg_noise))

    def _idle(self) -> None:
        """Nothing on the bus: what is there means nothing, and must not get in."""
        self._put("tvalid", 0)
        for name in ("tdata", "tkeep", "tstrb", "tlast"):
            width = len(getattr(self.bus, name))
            noise = int.from_bytes(self._noise.take(-(-width // 8)), "little")
            self._put(name, noise & ((1 << width) - 1))
        self._put_settings(next(self._cfg_noise))

    def _finish(self) -> None:
        # The next row, if it follows at once, overrides this at the same edge.
        self._put("tvalid", 0)
        self._beats = []
        self._off = 0
        self._done.set()

    def _put(self, name: str, value: int) -> None:
        # Pins that keep their value are left alone: a write costs as much as a read.
        if self._held.get(name) != value:
            self._held[name] = value
            getattr(self.bus, name).value = value

    def _put_settings(self, settings: dict[str, int]) -> None:
        for name, value in settings.items():
            if self._held.get(name) != value:
                self._held[name] = value
                self._cfg[name].value = to_bits(self._bits[name], value)


class ReadyPin:
    """Drives tready of an output stream. Not a cocotb-bus driver: it has no transactions."""

    def __init__(self, entity, name: str, clocking: Clocking):
        bus = Bus(entity, name, ["tready", "tvalid"])
        self._ready, self._valid = bus.tready, Level(bus.tvalid)
        self._edge = clocking.edge
        self._changed = Event()
        self._pattern: Iterator[tuple[int, int]] | None = None
        self._after_tvalid = False
        self._ready.value = 0

    def set_stalls(
        self, pattern: Iterator[tuple[int, int]] | None, after_tvalid: bool = False
    ) -> None:
        """Hold tready low as the pattern of (on, off) clocks says; None: never.

        With `after_tvalid` tready is low too where there is no tvalid, and the pattern waits.
        """
        if after_tvalid and pattern is None:
            pattern = itertools.repeat((1, 0))
        self._pattern, self._after_tvalid = pattern, after_tvalid
        self._changed.set()

    async def run(self) -> None:
        while True:
            self._changed.clear()
            pattern = self._pattern
            if pattern is None:
                self._ready.value = 1
                await self._changed.wait()
            else:
                await self._follow(pattern)
            await self._edge

    async def _follow(self, pattern) -> None:
        held = None
        for on, off in pattern:
            for level, clocks in ((1, on), (0, off)):
                left = clocks
                while left:
                    counts = not self._after_tvalid or self._valid.value == "1"
                    wanted = level if counts else 0
                    if wanted != held:
                        self._ready.value = held = wanted
                    left -= counts
                    await self._edge
                    if self._pattern is not pattern:
                        return


class WatchedPins(BusMonitor):
    """Collects rows from a stream and holds it to the protocol, on every simulator.

    Rules: no X on tvalid, tready and, with tvalid, on the payload; tvalid stays until tready; the
    payload is stable while it waits. `has_x` tells that the simulator has X to look for; an
    output's payload must not show any when it is idle either.

    `at_rise` tells that the stream's inputs to the unit move at the rising edge, as its outputs do.
    `on_row` gets an `ObservedRow` when tlast has been transferred, `on_error` each broken rule.
    """

    _side: tuple[str, ...] = ()  # payload beside tdata and tlast
    _x_when_idle = False  # look for X on the payload without tvalid too

    def __init__(
        self,
        entity,
        name: str,
        clocking: Clocking,
        reset: ResetLine,
        *,
        has_x: bool,
        at_rise: bool,
        on_row: Callable[[ObservedRow], None],
        on_error: Callable[[ProtocolError], None],
    ):
        self._signals = ("tvalid", "tready", "tlast", "tdata", *self._side)
        self._clocking = clocking
        self._line = reset
        self._has_x = has_x
        self._at_rise = at_rise
        self._on_error = on_error
        self.beats = 0
        super().__init__(entity, name, clocking, callback=on_row)
        self._valid, self._ready = Level(self.bus.tvalid), Level(self.bus.tready)
        self._levels = [Level(getattr(self.bus, pin)) for pin in self._side]
        self._tdata, self._tlast = self.bus.tdata, self.bus.tlast
        reset.on_assert(self._drop)
        self._drop()

    async def _monitor_recv(self):
        # No coroutine of its own: the clocking block calls.
        self._clocking.subscribe(self._clock_at_rise if self._at_rise else self._clock)

    def _drop(self) -> None:
        """Forget what was in progress."""
        self._row = ObservedRow()
        self._waited: list[str] | None = None  # payload that waited for tready at the last edge
        self._earlier: tuple[str, str, list[str]] = ("0", "0", [])  # of `_clock_at_rise`
        self.partial = False  # a row has begun and not ended
        self.waiting = False  # a beat waits for tready

    def _fail(self, rule: str) -> None:
        self._on_error(ProtocolError(f"{self.name}: {rule} (clock {self._clocking.number})"))

    def _clock(self) -> None:
        """Called at each falling edge; judges the rising edge before it with `_judge`."""
        raise NotImplementedError

    def _clock_at_rise(self) -> None:
        """The same where all pins move at the rising edge: it found them as they were before."""
        if self._line.active:
            return
        earlier, valid = self._earlier, self._valid.value
        payload = self._payload() if valid == "1" or self._x_when_idle else []
        self._judge(*earlier)
        self._earlier = (valid, self._ready.value, payload)

    def _first_beat(self, row: ObservedRow) -> None:
        """Look at what belongs to the transfer of a row's first beat."""

    @property
    def has_tvalid(self) -> bool:
        """Whether tvalid is high now."""
        return self._valid.value == "1"

    @property
    def has_tready(self) -> bool:
        """Whether tready is high now."""
        return self._ready.value == "1"

    @property
    def row(self) -> ObservedRow:
        """The row under way."""
        return self._row

    def _payload(self) -> list[str]:
        levels = [level.value for level in self._levels]
        return [str(self._tdata.value), str(self._tlast.value), *levels]

    def _judge(self, valid: str, ready: str, payload: list[str]) -> None:
        """What a rising edge took: payload is looked at where valid is 1."""
        # What is left of a bit string without its 0 and 1 at either end is X or Z.
        if self._has_x and any(bits.strip("01") for bits in (valid, ready, *payload)):
            self._fail(f"X on a pin that must have a value: {valid} {ready} {payload}")
            return
        waited, self._waited = self._waited, None
        row = self._row
        if valid != "1":
            if waited is not None:
                self._fail("tvalid fell before tready came")
            row.gaps += self.partial
            row.before |= 2 if ready == "1" else 1
            return
        if waited is not None and payload != waited:
            self._fail("payload changed while tvalid waited for tready")
        self.partial = True
        self.waiting = ready != "1"
        if self.waiting:
            row.waits += 1
            self._waited = payload
            return
        self.beats += 1
        if not row.beats:
            self._first_beat(row)
        row.beats.append(payload)
        row.clocks.append(self._clocking.number)
        if payload[1] == "1":
            self.partial = False
            self._row = ObservedRow()
            self._recv(row)


class PinsIn(WatchedPins):
    """An input stream, with the settings, and the channels of their bank, as a row's first beat is
    taken."""

    _side = ("tkeep", "tstrb")

    def __init__(
        self, entity, name, clocking, reset, settings: Sequence[Setting], channels=None, **kwargs
    ):
        self._cfg = [(setting, getattr(entity, setting.port)) for setting in settings]
        self._channels = channels  # bank -> ChannelSet, for a unit with a channel table
        super().__init__(entity, name, clocking, reset, **kwargs)

    def _drop(self) -> None:
        super()._drop()
        self._ready_before = "0"

    def _clock(self) -> None:
        # tready as the rising edge found it; the rest is still on the pins.
        ready, self._ready_before = self._ready_before, self._ready.value
        if not self._line.active:
            valid = self._valid.value
            self._judge(valid, ready, self._payload() if valid == "1" else [])

    def _first_beat(self, row: ObservedRow) -> None:
        row.settings = self._settings_before if self._at_rise else self._settings()
        if self._channels is not None:
            row.channels = self._channels(row.settings["bank"])

    def _clock_at_rise(self) -> None:
        super()._clock_at_rise()
        if self._earlier[:2] == ("1", "1"):
            self._settings_before = self._settings()

    def _settings(self) -> dict[str, int]:
        return {
            setting.name: from_bits(setting, int(handle.value)) for setting, handle in self._cfg
        }


class PinsOut(WatchedPins):
    """An output stream; with `strb`, of a cell, tstrb too. A `bare` one may be X when idle."""

    _side = ("tkeep", "tuser")

    def __init__(self, entity, name, clocking, reset, strb=False, bare=False, **kwargs):
        if strb:
            self._side = (*self._side, "tstrb")
        self._bare = bare
        super().__init__(entity, name, clocking, reset, **kwargs)

    @property
    def _x_when_idle(self) -> bool:
        return self._has_x and not self._bare

    def _drop(self) -> None:
        super()._drop()
        self._before: tuple[str, list[str]] = ("0", [])

    def _clock(self) -> None:
        if self._line.active:
            return
        # tready as the rising edge found it is still on the pin; the rest was there before.
        valid, payload = self._before
        now = self._valid.value
        self._before = (now, self._payload() if now == "1" or self._x_when_idle else [])
        self._judge(valid, self._ready.value, payload)


class PulseCounter:
    """Clocks in which a pin was high, by the number of the rising edge at their end."""

    def __init__(self, handle, clocking: Clocking, reset: ResetLine):
        self._level = Level(handle)
        self._line = reset
        self._clocking = clocking
        self.clocks: list[int] = []
        clocking.subscribe(self._clock)

    def _clock(self) -> None:
        if self._level.value != "0" and not self._line.active:
            self.clocks.append(self._clocking.number + 1)
