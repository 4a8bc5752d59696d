# SPDX-License-Identifier: Apache-2.0
"""cocotb tests of e2softmax_axil. Parameters come from the environment, as JSON."""

from __future__ import annotations

import itertools
import json
import os

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from softnorm.units import UNITS

GIVEN = json.loads(os.environ.get("SN_GIVEN", "{}"))
DEPTH = GIVEN.get("DEPTH", 4)
UNIT = UNITS["e2softmax"]
OF_UNIT = {"LANES": 4, "MAX_LEN": 16}
OF_UNIT |= {name: value for name, value in GIVEN.items() if name != "DEPTH"}
MODEL = UNIT.model(**UNIT.resolve(OF_UNIT))
LANES, MAX_LEN = OF_UNIT["LANES"], OF_UNIT["MAX_LEN"]

ID, SIZE, STATUS, IRQ, ENABLE, ROWS, ERR_LEN, ERR_KEEP = range(0, 0x20, 4)
DESC, CARRY_MAX, CARRY_SUM = 0x20, 0x24, 0x28
CAUSES = ("err_len", "err_keep", "refused", "empty")
PLACES = {"frac": 0, "fmt": 4, "s7": 6, "mult": 8, "shift": 16}  # in DESC
test = cocotb.test(timeout_time=1, timeout_unit="ms")


class Bench:
    """The masters on a design that has been reset."""

    def __init__(self, dut, seed=1, pauses=0.3):
        pins = (dut.clk, dut.rst_n, False)  # False: the reset is active low
        self.dut, self.rng = dut, np.random.default_rng(seed)
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), *pins)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), *pins)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), *pins)
        if pauses:
            side = self.registers
            channels = [side.write_if.aw_channel, side.write_if.w_channel, side.write_if.b_channel]
            channels += [side.read_if.ar_channel, side.read_if.r_channel, self.source, self.sink]
            for one in channels:
                one.set_pause_generator(bool(self.rng.random() < pauses) for _ in itertools.count())

    async def reset(self):
        """Also start the clock."""
        Clock(self.dut.clk, 10, "ns").start()
        self.dut.rst_n.value = 0
        await ClockCycles(self.dut.clk, 4)
        self.dut.rst_n.value = 1
        await ClockCycles(self.dut.clk, 2)
        return self

    async def read(self, address):
        """A register."""
        found = await self.registers.read(address, 4)
        assert found.resp == AxiResp.OKAY
        return int.from_bytes(found.data, "little")

    async def write(self, address, value, wanted=AxiResp.OKAY):
        """A register."""
        found = await self.registers.write(address, int(value).to_bytes(4, "little"))
        assert found.resp == wanted, (hex(address), found)

    def settings(self):
        """Of a row, drawn."""
        drawn = {
            one.name: int(self.rng.integers(one.values[0], one.values[-1] + 1))
            for one in UNIT.settings(UNIT.resolve(OF_UNIT))
        }
        if drawn.get("carry_sum") and self.rng.random() < 0.4:
            drawn["carry_sum"] = 0
        return drawn

    async def describe(self, settings, wanted=AxiResp.OKAY):
        """A row's descriptor into the queue."""
        if "carry_sum" in settings:
            await self.write(CARRY_MAX, settings["carry_max"] & 0xFFFFFFFF)
            await self.write(CARRY_SUM, settings["carry_sum"])
        word = sum(int(settings.get(name, 0)) << at for name, at in PLACES.items())
        await self.write(DESC, word, wanted)

    def row(self, length):
        """(elements, mask)."""
        bits = OF_UNIT.get("IN_W", 8)
        x = self.rng.integers(-(1 << bits - 1), 1 << bits - 1, (1, length))
        return x.astype(f"int{bits}"), self.rng.random((1, length)) < 0.8

    async def send(self, x, mask):
        """A row into the unit."""
        bits = OF_UNIT.get("IN_W", 8)
        lanes = mask[0].astype(np.int64) << bits | x[0].astype(np.int64) & (1 << bits) - 1
        await self.source.send(AxiStreamFrame(lanes.tolist()))

    async def compare(self, x, mask, settings):
        """The next row that comes out is the model's."""
        got, want = await self.sink.recv(), MODEL(x[:, :MAX_LEN], mask[:, :MAX_LEN], **settings)
        assert list(got.tdata) == want.out[0].tolist()
        wanted = int(want.exponent[0]) | (x.shape[1] > MAX_LEN) << 5
        if "carry_sum" in settings:
            bits = OF_UNIT.get("IN_W", 8)
            wanted |= (int(want.out_max[0]) & (1 << bits) - 1) << 7 | int(
                want.out_sum[0]
            ) << 7 + bits
        assert got.tuser == wanted, (hex(got.tuser), hex(wanted))


@test
async def rows(dut):
    """Any rows with any settings, written while others come in; some are too long."""
    bench = await Bench(dut).reset()
    given = []
    for _ in range(40):
        length = int(bench.rng.integers(1, MAX_LEN + 1))
        if bench.rng.random() < 0.1:
            length = int(bench.rng.integers(MAX_LEN + 1, MAX_LEN + 9))
        given.append((*bench.row(length), bench.settings()))

    async def descriptors():
        for _, _, settings in given:
            while await bench.read(STATUS) >> 16 & 1:
                await ClockCycles(dut.clk, int(bench.rng.integers(1, 20)))
            await bench.describe(settings)

    writing = cocotb.start_soon(descriptors())
    for x, mask, _ in given:
        await bench.send(x, mask)
    for one in given:
        await bench.compare(*one)
    await writing
    await ClockCycles(dut.clk, 4)
    long = sum(x.shape[1] > MAX_LEN for x, _, _ in given)
    assert long
    assert await bench.read(ERR_LEN) == long
    assert await bench.read(ERR_KEEP) == 0
    assert await bench.read(ROWS) == len(given)
    assert await bench.read(STATUS) == 1 << 17  # empty


@test
async def identity(dut):
    """What is behind the registers; writes and addresses that there are not."""
    bench = await Bench(dut).reset()
    word = 1 | LANES << 8 | OF_UNIT.get("IN_W", 8) << 16
    word |= sum(
        OF_UNIT.get(name, 0) << 24 + n for n, name in enumerate(("SCALE", "BLOCKS", "FORMATS"))
    )
    assert await bench.read(ID) == word
    assert await bench.read(SIZE) == MAX_LEN | DEPTH << 20
    for address in (ID, SIZE, STATUS):
        await bench.write(address, 0, AxiResp.SLVERR)
    await bench.write(0x3C, 0, AxiResp.SLVERR)
    assert (await bench.registers.read(0x3C, 4)).resp == AxiResp.SLVERR
    await bench.write(ENABLE, 0xF)
    assert await bench.read(ENABLE) == 0xF
    # Bytes of a word that are not written stay.
    await bench.registers.write(CARRY_SUM + 1, b"\x12\x34")
    assert await bench.read(CARRY_SUM) == 0x341200


@test
async def full(dut):
    """A write into a full queue is an error, and nothing is lost."""
    bench = await Bench(dut).reset()
    given = [(*bench.row(5), bench.settings()) for _ in range(DEPTH + 2)]
    for n, (_, _, settings) in enumerate(given[:DEPTH]):
        assert await bench.read(STATUS) & 0xFFF == n
        await bench.describe(settings)
    assert await bench.read(STATUS) == 1 << 16 | DEPTH
    assert await bench.read(IRQ) == 0
    await bench.describe(given[DEPTH][2], AxiResp.SLVERR)
    await bench.describe(bench.settings(), AxiResp.SLVERR)
    assert await bench.read(STATUS) == 1 << 16 | DEPTH
    assert await bench.read(IRQ) == 1 << CAUSES.index("refused")
    assert not dut.irq.value
    await bench.write(ENABLE, 1 << CAUSES.index("refused"))
    assert dut.irq.value
    await bench.write(IRQ, 1 << CAUSES.index("refused"))
    assert await bench.read(IRQ) == 0
    assert not dut.irq.value
    for x, mask, settings in given[:DEPTH]:
        await bench.send(x, mask)
        await bench.compare(x, mask, settings)
    # A part of a descriptor is none.
    found = await bench.registers.write(DESC, b"\x01")
    assert found.resp == AxiResp.SLVERR
    assert await bench.read(STATUS) == 1 << 17
    for x, mask, settings in given[DEPTH:]:
        await bench.send(x, mask)
        await bench.describe(settings)
        await bench.compare(x, mask, settings)


@test
async def waiting(dut):
    """No descriptor: tready stays low; with one it comes within four clocks, for one row."""
    bench = await Bench(dut, pauses=0).reset()
    x, mask = bench.row(3)
    await bench.send(x, mask)
    await bench.send(x, mask)
    for _ in range(50):
        await RisingEdge(dut.clk)
        assert not dut.s_axis_tready.value
    settings = bench.settings()
    if "carry_sum" in settings:
        settings |= {"carry_max": 0, "carry_sum": 0}
    cocotb.start_soon(bench.describe(settings))
    asked = clocks = 0
    while not dut.s_axis_tready.value:
        await RisingEdge(dut.clk)
        clocks += 1
        if (
            dut.s_axil_awaddr.value == DESC
            and dut.s_axil_awvalid.value
            and dut.s_axil_awready.value
        ):
            asked = clocks
    assert asked
    assert clocks - asked <= 4
    await bench.compare(x, mask, settings)
    for _ in range(50):
        await RisingEdge(dut.clk)
        assert not dut.s_axis_tready.value
    assert await bench.read(IRQ) == 1 << CAUSES.index("empty")


@test
async def throughput(dut):
    """Rows of one beat, one a clock, and the unit's own latency."""
    bench = await Bench(dut, pauses=0).reset()
    given = [(*bench.row(LANES), bench.settings()) for _ in range(DEPTH)]
    for _, _, settings in given:
        await bench.describe(settings)
    for x, mask, _ in given:
        await bench.send(x, mask)
    came, left = [], []
    for clock in range(100):
        await RisingEdge(dut.clk)
        if dut.s_axis_tvalid.value and dut.s_axis_tready.value:
            came.append(clock)
        if dut.m_axis_tvalid.value and dut.m_axis_tready.value:
            left.append(clock)
    for one in given:
        await bench.compare(*one)
    assert came == list(range(came[0], came[0] + DEPTH))
    assert left == list(range(left[0], left[0] + DEPTH))
    assert left[0] - came[0] == sum(UNIT.latency(UNIT.resolve(OF_UNIT)))


@test
async def sticky(dut):
    """A cause that comes in the clock in which it is cleared stays; so does its count."""
    bench = await Bench(dut, pauses=0).reset()
    seen = {}

    async def watch():
        for clock in range(1, 80):
            await RisingEdge(dut.clk)
            inside = dut.u_dut
            if inside.err_len.value:
                seen["pulse"] = clock
            if inside.req.value and inside.write.value and inside.addr.value == register:
                seen["clear"] = clock

    together = 0
    for wait in range(24):
        await bench.write(IRQ, 0xF)
        await bench.write(ERR_LEN, 0)
        await bench.describe({})
        x, mask = bench.row(MAX_LEN + 1)
        register = (IRQ, ERR_LEN)[wait % 2]
        seen.clear()
        watching = cocotb.start_soon(watch())
        cocotb.start_soon(bench.send(x, mask))
        await ClockCycles(dut.clk, 1 + wait // 2)
        cocotb.start_soon(bench.write(register, 0xF))
        await watching
        pulse, clear = seen["pulse"], seen["clear"]
        together += pulse == clear
        irq, count = await bench.read(IRQ) & 1, await bench.read(ERR_LEN)
        assert irq == (register != IRQ or pulse >= clear), (wait, pulse, clear)
        assert count == (register != ERR_LEN or pulse >= clear), (wait, pulse, clear)
        await bench.sink.recv()
    assert together >= 2
