# SPDX-License-Identifier: Apache-2.0
"""The yardstick of the bench's speed: a cocotb loop that toggles the unit's pins and does no more.

Each clock it writes a beat and tready; it reads nothing, checks nothing and makes no stimulus.
"""

import json
import time

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from ..run import Run
from ..stimulus.values import CLOCK_NS

BEATS = 20_000


@cocotb.test()
async def bare(top):
    """Drive BEATS beats in rows of 12 beats, as fast as cocotb goes."""
    run = Run.load()
    lanes = run.parameters["LANES"]
    full = (1 << lanes) - 1
    Clock(top.clk_i, CLOCK_NS, "ns").start()
    for setting in run.descriptor.settings(run.parameters):
        getattr(top, setting.port).value = 0
    top.rst_ni.value = 0
    await ClockCycles(top.clk_i, 3)
    top.rst_ni.value = 1
    top.s_axis_tvalid.value = 0
    await ClockCycles(top.clk_i, 3)  # until the unit is ready: no beat waits from here on
    words = [
        int.from_bytes(bytes((7 * i + 3 * b) % 256 for b in range(lanes)), "little")
        for i in range(64)
    ]
    edge = RisingEdge(top.clk_i)
    data, keep, strb = top.s_axis_tdata, top.s_axis_tkeep, top.s_axis_tstrb
    last, valid, ready = top.s_axis_tlast, top.s_axis_tvalid, top.m_axis_tready
    started = time.perf_counter()
    for beat in range(BEATS):
        await edge
        data.value = words[beat % 64]
        keep.value = full
        strb.value = full
        last.value = beat % 12 == 11
        valid.value = 1
        ready.value = 1
    seconds = time.perf_counter() - started
    (run.folder / "result.json").write_text(json.dumps({"beats": BEATS, "seconds": seconds}))
