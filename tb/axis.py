"""Pin layer of the stream: cocotb-bus drivers and monitors, a row as the transaction.

All of them look at the pins at the falling edge, when everything that the rising edge started has
settled: what is seen there is what the next rising edge takes. Drivers write after the rising edge.
Both hold on every simulator, whether or not it shows values from before an edge at the edge.
"""

from __future__ import annotations

from collections.abc import Iterator

from cocotb.triggers import Event, FallingEdge, RisingEdge
from cocotb_bus.bus import Bus
from cocotb_bus.drivers import BusDriver
from cocotb_bus.monitors import BusMonitor

from tb.contract import ObservedRow


class ProtocolError(AssertionError):
    """A rule of the stream contract broken on the pins."""


class ResetLine:
    """The reset as everyone in the bench sees it: `active`, and callbacks when it is asserted."""

    def __init__(self, handle, clock):
        self._handle = handle
        self._clock = clock
        self._callbacks = []
        self.active = True
        self.count = 0

    def on_assert(self, callback) -> None:
        self._callbacks.append(callback)

    def assert_now(self) -> None:
        """Assert at once, wherever in the clock that is."""
        self._handle.value = 0
        self.active = True
        self.count += 1
        for callback in self._callbacks:
            callback()

    async def release(self) -> None:
        """Release after a rising edge."""
        await RisingEdge(self._clock)
        self._handle.value = 1
        self.active = False


class RowSource(BusDriver):
    """Drives rows on `s_axis` and the settings with their first beat.

    A transaction is (beats, settings): beats a list of (tdata, tkeep, tstrb) integers, settings a
    name -> int dict. Away from a row's first beat the settings' pins carry other values, so that a
    unit that looks at the wrong time is seen. `send` returns once the last beat is taken, or at
    once when a reset cuts the row off (`aborted` is then set).
    """

    _signals = ("tdata", "tkeep", "tstrb", "tlast", "tvalid", "tready")

    def __init__(self, entity, name, clock, reset: ResetLine, settings: dict[str, range], rng):
        super().__init__(entity, name, clock)
        self._reset = reset
        self._cfg = {s: (getattr(entity, f"cfg_{s}_i"), values) for s, values in settings.items()}
        self._rng = rng
        self._pattern: Iterator[tuple[int, int]] | None = None
        self._on = 0
        self._edge = RisingEdge(clock)
        self._settled = FallingEdge(clock)
        self.aborted = False
        self._held: dict[str, int] = {}
        self.bus.tvalid.value = 0
        self._idle()

    def set_stalls(self, pattern: Iterator[tuple[int, int]] | None) -> None:
        """Hold tvalid low as the pattern of (on, off) clocks says; None: never."""
        self._pattern = pattern
        self._on = 0

    def _put(self, name: str, value: int) -> None:
        # A write costs as much as a clock: pins that keep their value are left alone.
        if self._held.get(name) != value:
            self._held[name] = value
            getattr(self.bus, name).value = value

    def _idle(self) -> None:
        """No beat: tvalid low, the payload whatever it is."""
        self._put("tvalid", 0)

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
            self._idle()
            # What is on an idle bus means nothing, and must not get in.
            for name in ("tdata", "tkeep", "tstrb", "tlast"):
                self._put(name, self._noise(len(getattr(self.bus, name))))
        for _ in range(off):
            await self._edge
            if self._reset.active:
                return

    async def _driver_send(self, transaction, sync: bool = True, **_) -> None:
        beats, settings = transaction
        edge, settled, ready, reset = self._edge, self._settled, self.bus.tready, self._reset
        put = self._put
        self.aborted = False
        if sync:
            await edge
        last = len(beats) - 1
        for number, (data, keep, strb) in enumerate(beats):
            if self._pattern is not None:
                await self._stall()
            if not reset.active:
                put("tdata", data)
                put("tkeep", keep)
                put("tstrb", strb)
                put("tlast", int(number == last))
                put("tvalid", 1)
                if number == 0:
                    for name, (handle, _) in self._cfg.items():
                        handle.value = settings[name]
                elif number == 1:
                    self._noise_on_settings()
                while not reset.active:
                    await settled
                    taken = ready.value
                    await edge
                    if taken:
                        break
            if reset.active:
                self.aborted = True
                self._idle()
                while reset.active:
                    await edge
                return
        self._idle()  # the next row, if it follows at once, overrides this in the same clock


class ReadySink:
    """Drives `m_axis_tready` by a stall pattern. Not a cocotb-bus driver: it has no transaction."""

    def __init__(self, entity, clock):
        self.ready = Bus(entity, "m_axis", ["tready"]).tready
        self._edge = RisingEdge(clock)
        self._changed = Event()
        self._pattern: Iterator[tuple[int, int]] | None = None
        self.ready.value = 0

    def set_stalls(self, pattern: Iterator[tuple[int, int]] | None) -> None:
        """Hold tready low as the pattern of (on, off) clocks says; None: never."""
        self._pattern = pattern
        self._changed.set()

    async def run(self) -> None:
        while True:
            self._changed.clear()
            pattern = self._pattern
            if pattern is None:
                self.ready.value = 1
                await self._changed.wait()
                await self._edge
                continue
            for on, off in pattern:
                for level, clocks in ((1, on), (0, off)):
                    self.ready.value = level
                    for _ in range(clocks):
                        await self._edge
                        if self._pattern is not pattern:
                            break
                if self._pattern is not pattern:
                    break


class RowMonitor(BusMonitor):
    """Collects rows from a stream and holds it to the protocol, on every simulator.

    Rules: no X on tvalid, tready and, with tvalid, on the payload; tvalid stays until tready; the
    payload is stable while it waits. `x_when_idle` also looks at the payload of an idle bus (for
    outputs, on simulators that have X: it costs a look at every pin and clock).

    Callbacks get an `ObservedRow` when tlast has been transferred.
    """

    _payload: tuple[str, ...] = ()

    def __init__(self, entity, name, clock, reset: ResetLine, *, x_when_idle=False):
        self._signals = ("tvalid", "tready", "tlast", *self._payload)
        self._line = reset
        self._x_when_idle = x_when_idle
        self.clock_number = 0
        self.beats = 0
        self.partial = False  # a row has begun and not ended
        self.waiting = False  # a beat waits for tready
        self.errors: list[ProtocolError] = []
        reset.on_assert(self._drop)
        self._drop()
        super().__init__(entity, name, clock)

    def _drop(self) -> None:
        self._row = ObservedRow()
        self._held: list[int] | None = None  # payload of a beat that waits
        self.partial = self.waiting = False

    def _fail(self, rule: str) -> None:
        self.errors.append(ProtocolError(f"{self.name}: {rule} (clock {self.clock_number})"))

    def _first_beat(self, row: ObservedRow) -> None:
        """Look at what belongs to a row's first beat."""

    def _read(self) -> list[int]:
        """The payload. Raises ValueError where a bit is X."""
        return [int(handle.value) for handle in self._handles]

    async def _monitor_recv(self):
        edge = FallingEdge(self.clock)
        bus, line = self.bus, self._line
        valid_pin, ready_pin = bus.tvalid, bus.tready
        self._handles = [getattr(bus, name) for name in ("tlast", *self._payload)]
        lists = None
        while True:
            await edge
            self.clock_number += 1
            if line.active:
                continue
            try:
                valid, ready = int(valid_pin.value), int(ready_pin.value)
                payload = self._read() if valid or self._x_when_idle else None
            except ValueError:
                self._fail("X on a pin that must have a value")
                continue
            held, self._held = self._held, None
            if not valid:
                if held is not None:
                    self._fail("tvalid fell before tready came")
                if self.partial:
                    self._row.gaps += 1
                continue
            if held is not None and payload != held:
                self._fail("payload changed while tvalid waited for tready")
            row = self._row
            if not self.partial:
                self.partial = True
                self._first_beat(row)
                lists = [getattr(row, name[1:]) for name in self._payload]
            self.waiting = not ready
            if not ready:
                row.waits += 1
                self._held = payload
                continue
            self.beats += 1
            for values, value in zip(lists, payload[1:], strict=True):
                values.append(value)
            row.clocks.append(self.clock_number)
            if payload[0]:
                self.partial = False
                self._row = ObservedRow()
                self._recv(row)


class InputMonitor(RowMonitor):
    """`s_axis`, with the settings that were on their pins at the first beat's transfer."""

    _payload = ("tdata", "tkeep", "tstrb")

    def __init__(self, entity, name, clock, reset, settings, **kwargs):
        self._cfg = {setting: getattr(entity, f"cfg_{setting}_i") for setting in settings}
        super().__init__(entity, name, clock, reset, **kwargs)

    def _first_beat(self, row: ObservedRow) -> None:
        # The settings must not move while the beat waits; the driver's do not.
        row.settings = {name: int(handle.value) for name, handle in self._cfg.items()}


class OutputMonitor(RowMonitor):
    """`m_axis`."""

    _payload = ("tdata", "tkeep", "tuser")


class PulseCounter:
    """Clocks in which a pin was high, without a look at every clock."""

    def __init__(self, handle, clock, reset: ResetLine):
        self._handle = handle
        self._clock = clock
        self._line = reset
        self.count = 0

    async def run(self) -> None:
        rise, settled = RisingEdge(self._handle), FallingEdge(self._clock)
        while True:
            await rise
            await settled
            while int(self._handle.value) and not self._line.active:
                self.count += 1
                await settled
