# SPDX-License-Identifier: Apache-2.0
"""Both input streams of residual_add at the pins, against its model's beats. Run in a simulator.

The beats to drive and those that must come out lie in `beats.npz` in the working folder. As in
tb/uvm/pins.py everything moves at the falling edge: what the next rising edge takes is known then.
"""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

INPUTS = ("s", "r")
PINS = ("tdata", "tkeep", "tstrb", "tlast", "tuser")  # of the output
QUIET = ("s_axis_tready", "r_axis_tready", "m_axis_tvalid", "err_len_o", "err_keep_o")
SETTLE = 40  # clocks at the end in which nothing may come
STUCK = 400  # clocks without a transfer


def bits(values: np.ndarray, width: int) -> int:
    """Lanes of `width` bits as a number, lane 0 low."""
    low = [int(value) & ((1 << width) - 1) for value in values.tolist()]
    return sum(value << (width * lane) for lane, value in enumerate(low))


class Source:
    """A stream of beats, each shown until it is taken; between them noise."""

    def __init__(self, name: str, file, rng: np.random.Generator):
        top = cocotb.top
        self.pins = {pin: getattr(top, f"{name}_axis_{pin}") for pin in (*PINS[:4], "tvalid")}
        self.ready = getattr(top, f"{name}_axis_tready")
        width = len(self.pins["tdata"]) // len(self.pins["tkeep"])
        arrays = [file[f"{name}_{what}"] for what in ("data", "keep", "strb", "last")]
        self.beats = [
            (bits(data, width), bits(keep, 1), bits(strb, 1), int(last))
            for data, keep, strb, last in zip(*arrays, strict=True)
        ]
        self.rng = rng
        self.restart()

    def restart(self, share: float = 1.0) -> None:
        """From the first beat on, tvalid in that share of the clocks."""
        self.at, self.share = 0, share
        self.shown = self.taken = False
        self.clocks: list[int] = []  # of the transfers
        self.pins["tvalid"].value = 0

    def clock(self, number: int) -> None:
        """At a falling edge."""
        if self.taken:
            self.at, self.shown = self.at + 1, False
        if not self.shown:
            self.shown = self.at < len(self.beats) and self.rng.random() < self.share
            values = self.beats[self.at] if self.shown else self.noise()
            for pin, value in zip(PINS, values, strict=False):
                self.pins[pin].value = value
            self.pins["tvalid"].value = int(self.shown)
        ready = str(self.ready.value)
        assert ready in "01", f"tready is {ready}"
        self.taken = self.shown and ready == "1"
        if self.taken:
            self.clocks.append(number)

    def noise(self) -> list[int]:
        widths = [len(self.pins[pin]) for pin in PINS[:4]]
        return [int.from_bytes(self.rng.bytes(w // 8 + 1), "little") % (1 << w) for w in widths]


class Sink:
    """What comes out, and that it waits for tready without a change."""

    def __init__(self, rng: np.random.Generator):
        self.top, self.rng = cocotb.top, rng
        self.restart()

    def restart(self, share: float = 1.0, after: bool = False) -> None:
        """tready in that share of the clocks; `after`: only where there is tvalid."""
        self.share, self.after = share, after
        self.beats: list[list[str]] = []
        self.clocks: list[int] = []
        self.pulses = 0
        self.waited: list[str] | None = None

    def clock(self, number: int) -> None:
        """At a falling edge."""
        top = self.top
        payload = [str(getattr(top, f"m_axis_{pin}").value) for pin in PINS]
        valid, pulse = str(top.m_axis_tvalid.value), str(top.err_keep_o.value)
        assert not "".join([valid, pulse, *payload]).strip("01"), f"X: {valid} {pulse} {payload}"
        assert str(top.err_len_o.value) == "0", "err_len_o"
        assert self.waited in (None, payload), "the payload changed while it waited for tready"
        assert self.waited is None or valid == "1", "tvalid fell before tready came"
        assert valid == "1" or not "".join(payload).strip("0"), "payload without a beat"
        self.pulses += pulse == "1"
        ready = self.rng.random() < self.share and not (self.after and valid == "0")
        top.m_axis_tready.value = int(ready)
        self.waited = payload if valid == "1" and not ready else None
        if valid == "1" and ready:
            self.beats.append(payload)
            self.clocks.append(number)


def compare(sink: Sink, file) -> None:
    """All beats that came out against those of the model."""
    for number, got in enumerate(sink.beats):
        assert number < len(file["last"]), f"{len(sink.beats)} beats came out, one too many"
        width = len(got[0]) // len(got[1])
        want = {
            "tkeep": bits(file["keep"][number], 1),
            "tstrb": bits(file["strb"][number], 1),
            "tlast": int(file["last"][number]),
            "tuser": int(file["err_keep"][number]) << 6,
            "tdata": bits(file["data"][number], width),
        }
        for pin, value in want.items():
            came = got[PINS.index(pin)]
            assert int(came, 2) == value, f"beat {number}, {pin}: expected {value:x}, got {came}"
    assert len(sink.beats) == len(file["last"]), "beats are missing"
    assert sink.pulses == int(file["pulses"]), f"err_keep_o: {sink.pulses} clocks"


@cocotb.test()
async def run(_):
    """Under each pattern of stalls; once cut off by a reset, and from the start again."""
    with np.load("beats.npz") as loaded:
        file = dict(loaded)
    top, rng = cocotb.top, np.random.default_rng(int(file["seed"]))
    edge = FallingEdge(top.clk_i)
    top.rst_ni.value = 1
    sources, sink = [Source(name, file, rng) for name in INPUTS], Sink(rng)
    top.m_axis_tready.value = 0
    Clock(top.clk_i, 2, "ns").start()
    shares = ((1, 1, 1), (0.5, 0.5, 0.5), (1, 0.3, 1), (0.3, 1, 0.7), (1, 1, 0.2), (0.9, 0.9, 0.9))
    for turn, (s, r, m) in enumerate(shares):
        for cut in (True, False) if turn else (False,):
            top.rst_ni.value = 0
            await Timer(1, "ps")
            for pin in QUIET:
                assert str(getattr(top, pin).value) == "0", f"{pin} in reset"
            sources[0].restart(s), sources[1].restart(r), sink.restart(m, turn % 2 == 1)
            await edge
            await edge
            for pin in PINS:
                assert not str(getattr(top, f"m_axis_{pin}").value).strip("0"), f"{pin} in reset"
            top.rst_ni.value = 1
            await edge
            for source in sources:
                assert str(source.ready.value) == "1", "tready after reset"
            left = int(rng.integers(8, 60)) if cut else 1 << 30
            number = since = 0
            done = False
            while left and not (done and since >= SETTLE):
                moved = len(sink.beats) + sum(source.at for source in sources)
                for one in (*sources, sink):
                    one.clock(number)
                await edge
                left, number = left - 1, number + 1
                done = all(source.at + source.taken == len(source.beats) for source in sources)
                still = moved == len(sink.beats) + sum(source.at for source in sources)
                since = since + 1 if still else 0
                assert since < STUCK, "stuck: no beat moved"
            if not cut:
                compare(sink, file)
                if turn == 0 and not file["err_keep"].any():
                    clocks = np.array(sources[0].clocks)
                    assert (np.diff(clocks) == 1).all(), "a beat had to wait with no stall outside"
                    assert (np.array(sink.clocks) == clocks + 2).all(), "latency"
