"""Pin layer of the stream: cocotb-bus drivers and monitors, a row as the transaction.

The bench moves at the falling edge, half a clock away from everything the unit does. There it first
looks at what the last rising edge took, then drives what the next one is to take:

    rising edge n    the unit takes inputs, its outputs change
    falling edge n   inputs are still those of edge n; outputs are those that edge n+1 will take

so a transfer at edge n is seen at falling edge n from the inputs as they are and the outputs as they
were one falling edge earlier. This needs outputs that come from flip-flops, which the stream contract
promises, and holds on every simulator.

Waking a coroutine or reading a pin from Python costs about as much as simulating a clock. One
coroutine (`Clocking`) wakes for all monitors, and of the pins only tdata is read for every beat; the
others keep their value over most beats and are followed by their changes (`Level`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cocotb
from cocotb.triggers import Event, FallingEdge
from cocotb_bus.bus import Bus
from cocotb_bus.drivers import BusDriver
from cocotb_bus.monitors import BusMonitor

from tb.contract import ObservedRow


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
    """The reset as everyone in the bench sees it: `active`, and callbacks when it is asserted."""

    def __init__(self, handle, clocking: Clocking):
        self._handle = handle
        self._clocking = clocking
        self._callbacks = []
        self.active = True
        self.count = 0  # without the first one
        handle.value = 0

    def on_assert(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def assert_now(self) -> None:
        """Assert at once, wherever in the clock that is."""
        self._handle.value = 0
        self.active = True
        self.count += 1
        for callback in self._callbacks:
            callback()

    async def release(self) -> None:
        """Release at a falling edge, well away from the clock edge that counts."""
        await self._clocking.edge
        self._handle.value = 1
        self.active = False


class RowSource(BusDriver):
    """Drives rows on `s_axis` and the settings with their first beat.

    A transaction is (beats, settings): beats a list of (tdata, tkeep, tstrb) integers, settings a
    name -> int dict. Away from a row's first beat the settings' pins carry other values, so that a
    unit that looks at the wrong time is seen. `send` returns once the last beat is taken, or after
    a reset has cut the row off (`aborted` is then set).
    """

    _signals = ("tdata", "tkeep", "tstrb", "tlast", "tvalid", "tready")

    def __init__(self, entity, name, clocking, reset: ResetLine, settings: dict[str, range], rng):
        super().__init__(entity, name, clocking)
        self._edge = clocking.edge
        self._reset = reset
        self._cfg = {s: (getattr(entity, f"cfg_{s}_i"), values) for s, values in settings.items()}
        self._rng = rng
        self._pattern: Iterator[tuple[int, int]] | None = None
        self._on = 0
        self._ready = Level(self.bus.tready)
        self._held: dict[str, int] = {}
        self.aborted = False
        self._put("tvalid", 0)

    def set_stalls(self, pattern: Iterator[tuple[int, int]] | None) -> None:
        """Hold tvalid low as the pattern of (on, off) clocks says; None: never."""
        self._pattern = pattern
        self._on = 0

    def _put(self, name: str, value: int) -> None:
        # Pins that keep their value are left alone: a write costs as much as a read.
        if self._held.get(name) != value:
            self._held[name] = value
            getattr(self.bus, name).value = value

    def _noise(self, width: int) -> int:
        return int.from_bytes(self._rng.bytes(-(-width // 8)), "little") & ((1 << width) - 1)

    def _noise_on_settings(self) -> None:
        for handle, values in self._cfg.values():
            handle.value = values[int(self._rng.integers(len(values)))]

    async def _stall(self) -> None:
        if self._on:
            self._on -= 1
            return
        on, off = next(self._pattern)
        self._on = on - 1
        if off:
            # What is on an idle bus means nothing, and must not get in.
            self._put("tvalid", 0)
            for name in ("tdata", "tkeep", "tstrb", "tlast"):
                self._put(name, self._noise(len(getattr(self.bus, name))))
        for _ in range(off):
            await self._edge
            if self._reset.active:
                return

    async def _driver_send(self, transaction, sync: bool = True, **_) -> None:
        beats, settings = transaction
        edge, ready, reset, put = self._edge, self._ready, self._reset, self._put
        tdata = self.bus.tdata
        self.aborted = False
        if sync:
            await edge
        last = len(beats) - 1
        for number, (data, keep, strb) in enumerate(beats):
            if self._pattern is not None:
                await self._stall()
            if not reset.active:
                tdata.value = data
                put("tkeep", keep)
                put("tstrb", strb)
                put("tlast", int(number == last))
                put("tvalid", 1)
                if number == 0:
                    for name, (handle, _) in self._cfg.items():
                        handle.value = settings[name]
                elif number == 1:
                    self._noise_on_settings()
                taken = False
                while not (taken or reset.active):
                    taken = ready.value == "1"
                    await edge
            if reset.active:
                self.aborted = True
                put("tvalid", 0)
                while reset.active:
                    await edge
                return
        put("tvalid", 0)  # the next row, if it follows at once, overrides this at the same edge


class ReadySink:
    """Drives `m_axis_tready`. Not a cocotb-bus driver: it has no transactions."""

    def __init__(self, entity, clocking: Clocking):
        self._ready = Bus(entity, "m_axis", ["tready"]).tready
        self._edge = clocking.edge
        self._changed = Event()
        self._pattern: Iterator[tuple[int, int]] | None = None
        self._ready.value = 0

    def set_stalls(self, pattern: Iterator[tuple[int, int]] | None) -> None:
        """Hold tready low as the pattern of (on, off) clocks says; None: never."""
        self._pattern = pattern
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
        for on, off in pattern:
            for level, clocks in ((1, on), (0, off)):
                self._ready.value = level
                for _ in range(clocks):
                    await self._edge
                    if self._pattern is not pattern:
                        return


class RowMonitor(BusMonitor):
    """Collects rows from a stream and holds it to the protocol, on every simulator.

    Rules: no X on tvalid, tready and, with tvalid, on the payload; tvalid stays until tready; the
    payload is stable while it waits. `has_x` tells that the simulator has X to look for; an output's
    payload must not show any when it is idle either.

    Callbacks get an `ObservedRow` when tlast has been transferred.
    """

    _side: tuple[str, ...] = ()  # payload beside tdata and tlast

    def __init__(self, entity, name, clocking: Clocking, reset: ResetLine, *, has_x: bool):
        self._signals = ("tvalid", "tready", "tlast", "tdata", *self._side)
        self._clocking = clocking
        self._line = reset
        self._has_x = has_x
        self.beats = 0
        self.errors: list[ProtocolError] = []
        super().__init__(entity, name, clocking)
        self._valid, self._ready, self._last = (
            Level(getattr(self.bus, pin)) for pin in ("tvalid", "tready", "tlast")
        )
        self._levels = [self._last, *(Level(getattr(self.bus, pin)) for pin in self._side)]
        self._tdata = self.bus.tdata
        reset.on_assert(self._drop)
        self._drop()

    async def _monitor_recv(self):
        # No coroutine of its own: the clocking block calls.
        self._clocking.subscribe(self._clock)

    def _drop(self) -> None:
        """Forget what was in progress."""
        self._row = ObservedRow()
        self._waited: list[str] | None = None  # payload that waited for tready at the last edge
        self.partial = False  # a row has begun and not ended
        self.waiting = False  # a beat waits for tready

    def _fail(self, rule: str) -> None:
        self.errors.append(ProtocolError(f"{self.name}: {rule} (clock {self._clocking.number})"))

    def _clock(self) -> None:
        """Called at each falling edge; judges the rising edge before it with `_judge`."""
        raise NotImplementedError

    def _first_beat(self, row: ObservedRow) -> None:
        """Look at what belongs to a row's first beat."""

    def _payload(self) -> list[str]:
        return [str(self._tdata.value), *[level.value for level in self._levels]]

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
            return
        if waited is not None and payload != waited:
            self._fail("payload changed while tvalid waited for tready")
        if not self.partial:
            self.partial = True
            self._first_beat(row)
        self.waiting = ready != "1"
        if self.waiting:
            row.waits += 1
            self._waited = payload
            return
        self.beats += 1
        row.beats.append(payload)
        row.clocks.append(self._clocking.number)
        if payload[1] == "1":
            self.partial = False
            self._row = ObservedRow()
            self._recv(row)


class InputMonitor(RowMonitor):
    """`s_axis`, with the settings that were on their pins with the first beat."""

    _side = ("tkeep", "tstrb")

    def __init__(self, entity, name, clocking, reset, settings, **kwargs):
        self._cfg = {setting: getattr(entity, f"cfg_{setting}_i") for setting in settings}
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
        row.settings = {name: int(handle.value) for name, handle in self._cfg.items()}


class OutputMonitor(RowMonitor):
    """`m_axis`."""

    _side = ("tkeep", "tuser")

    def _drop(self) -> None:
        super()._drop()
        self._before: tuple[str, list[str]] = ("0", [])

    def _clock(self) -> None:
        if self._line.active:
            return
        # tready as the rising edge found it is still on the pin; the rest was there before.
        valid, payload = self._before
        now = self._valid.value
        self._before = (now, self._payload() if now == "1" or self._has_x else [])
        self._judge(valid, self._ready.value, payload)


class PulseCounter:
    """Clocks in which a pin was high."""

    def __init__(self, handle, clocking: Clocking, reset: ResetLine):
        self._level = Level(handle)
        self._line = reset
        self.count = 0
        clocking.subscribe(self._clock)

    def _clock(self) -> None:
        if self._level.value != "0" and not self._line.active:
            self.count += 1
