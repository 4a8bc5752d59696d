# SPDX-License-Identifier: Apache-2.0
"""Somebody else's bench, for test_passive.py: it drives two units in a row in its own way.

What is softnorm's in it is a passive environment at each unit, attached by the unit's handle: it
watches the pins, compares with the model and counts coverage. cocotb runs this, pytest does not.
"""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge
from pyuvm import uvm_root, uvm_test

from softnorm.tb.uvm.config import PASSIVE, EnvConfig
from softnorm.tb.uvm.env import StreamEnv
from softnorm.tb.uvm.pins import Clocking, ResetLine
from softnorm.units import get

ROWS = 60
UNITS = {"u_softmax": "e2softmax", "u_rexp": "rexp"}  # instance -> unit


class ForeignTest(uvm_test):
    """Their test: their driver, and our environments beside it."""

    def build_phase(self):
        top = cocotb.top
        self.clocking = Clocking(top.clk)
        reset = ResetLine(top.rst_n, self.clocking, drive=False)
        self.envs = []
        for instance, name in UNITS.items():
            unit = get(name)
            parameters = unit.resolve({"LANES": 4, "MAX_LEN": 32})
            entity = getattr(top, instance)
            has_x = cocotb.SIM_NAME.startswith("Icarus")
            cfg = EnvConfig.of(
                *(unit, parameters, entity, self.clocking, reset),
                has_x=has_x,
                is_active=PASSIVE,
                name=instance,
            )
            self.cdb_set("cfg", cfg, instance)
            self.envs.append(StreamEnv.create(instance, self))

    async def run_phase(self):
        self.raise_objection()
        top = cocotb.top
        Clock(top.clk, 10, "ns").start()
        cocotb.start_soon(self.clocking.run())
        rng = np.random.default_rng(1)
        await start(top)
        sink = cocotb.start_soon(take(top, np.random.default_rng(2)))
        for number in range(ROWS):
            await send(top, rng)
            if number == ROWS // 2:  # with rows inside
                await start(top)
        for env in self.envs:
            await env.drain()
        sink.cancel()
        self.drop_objection()

    def check_phase(self):
        for env in self.envs:
            assert env.vseqr is None
            assert ROWS // 2 < env.accounted <= ROWS
            assert env.coverage.collector.merged().hit > 20


async def start(top) -> None:
    """Their reset."""
    top.rst_n.value = 0
    top.in_valid.value = 0
    top.out_ready.value = 0
    for _ in range(4):
        await RisingEdge(top.clk)
    top.rst_n.value = 1


async def send(top, rng) -> None:
    """Their driver: a row, right behind the rising edge, with pauses."""
    left = int(rng.integers(1, 33))
    while left > 0:
        while rng.random() < 0.3:
            await RisingEdge(top.clk)
        top.in_data.value = int(rng.integers(1 << 32))
        top.in_keep.value = (1 << min(left, 4)) - 1
        top.in_last.value = int(left <= 4)
        top.in_valid.value = 1
        taken = False
        while not taken:
            await FallingEdge(top.clk)
            taken = str(top.in_ready.value) == "1"
            await RisingEdge(top.clk)
        top.in_valid.value = 0
        left -= 4


async def take(top, rng) -> None:
    """Their sink."""
    while True:
        await RisingEdge(top.clk)
        top.out_ready.value = int(rng.random() < 0.3)  # slower than the source: units fill up


@cocotb.test(timeout_time=100, timeout_unit="us")
async def run(_):
    """Their test."""
    await uvm_root().run_test(ForeignTest)
