# SPDX-License-Identifier: Apache-2.0
"""cocotb test of block_chain: both of its chains at once, against the units' models in a row."""

from __future__ import annotations

import itertools

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

from softnorm.models.channels import Channels
from softnorm.models.stream_cells import ResidualAdd
from softnorm.units import UNITS

LANES, MAX_LEN, ROWS, LENGTH, MASKED = 4, 32, 10, 22, 3
SIZE = {"LANES": LANES, "MAX_LEN": MAX_LEN}
SOFTMAX, NORM = UNITS["e2softmax"], UNITS["ailayernorm"]
OF_SOFTMAX = SOFTMAX.resolve({**SIZE, "IN_W": 32, "SCALE": 1})
OF_NORM = NORM.resolve({**SIZE, "IN_W": 32, "EXACT_SQ": 1})


def frame(x, mask, tuser=0):
    """A row: a lane's bit 32 says that it counts."""
    lanes = mask[0].astype(np.int64) << 32 | x[0].astype(np.int64) & 0xFFFFFFFF
    return AxiStreamFrame(lanes.tolist(), tuser=tuser)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def chain(dut):
    rng = np.random.default_rng(1)
    pins = (dut.clk, dut.rst_n, False)
    sides = {
        name: kind(AxiStreamBus.from_prefix(dut, f"{name}_axis"), *pins)
        for kind, names in (
            (AxiStreamSource, ("score", "sum", "res")),
            (AxiStreamSink, ("prob", "norm")),
        )
        for name in names
    }
    for side in sides.values():
        side.set_pause_generator(bool(rng.random() < 0.3) for _ in itertools.count())
    # A layer: rows of one length, as many of their channels masked in the one stream or the other.
    masks = []
    for _ in range(ROWS):
        both = np.ones((2, 1, LENGTH), bool)
        for channel in rng.choice(LENGTH, MASKED, replace=False):
            both[rng.integers(2), 0, channel] = False
        masks.append(both)
    layer = {"bank": 0, "zp": 128, "gfrac": 6, "ofrac": 4, "rms": 0, "qmult": 40000, "qshift": 33}
    layer |= NORM.complete(OF_NORM, masks[0][0] & masks[0][1])
    layer = {name: int(np.ravel(value)[0]) for name, value in layer.items()}
    for name, value in layer.items():
        getattr(dut, f"cfg_{name}").value = value
    channels = {
        "alpha": rng.integers(0, 4, MAX_LEN).astype(np.uint8),
        "gamma": rng.integers(-128, 128, MAX_LEN).astype(np.int8),
        "beta": rng.integers(-128, 128, MAX_LEN).astype(np.int8),
    }
    dut.chan_we.value = 0
    Clock(dut.clk, 10, "ns").start()
    dut.rst_n.value = 0
    await ClockCycles(dut.clk, 4)
    dut.rst_n.value = 1
    await RisingEdge(dut.clk)
    dut.chan_we.value, dut.chan_bank.value = 1, 0
    for channel in range(MAX_LEN):
        dut.chan_addr.value = channel
        for name, column in channels.items():
            getattr(dut, f"chan_{name}").value = int(column[channel]) & 0xFF
        await RisingEdge(dut.clk)
    dut.chan_we.value = 0
    await RisingEdge(dut.clk)

    softmax, norm, add = SOFTMAX.model(**OF_SOFTMAX), NORM.model(**OF_NORM), ResidualAdd(LANES, 32)
    probabilities, norms = [], []
    for both in masks:
        length = int(rng.integers(1, MAX_LEN + 1))
        score = rng.integers(-(1 << 20), 1 << 20, (1, length)).astype(np.int32)
        keep = rng.random((1, length)) < 0.8
        row = {
            "mult": int(rng.integers(128)),
            "shift": int(rng.integers(26, 34)),
            "fmt": int(rng.integers(2)),
        }
        tuser = row["mult"] | row["shift"] << 7 | row["fmt"] << 13
        await sides["score"].send(frame(score, keep, tuser))
        probabilities.append(softmax(score, keep, **row))
        x, residual = rng.integers(-(1 << 24), 1 << 24, (2, 1, LENGTH)).astype(np.int32)
        await sides["sum"].send(frame(x, both[0]))
        await sides["res"].send(frame(residual, both[1]))
        added = add(x, residual, both[0], both[1]).out
        table = Channels(**{name: column[:LENGTH] for name, column in channels.items()})
        settings = {name: value for name, value in layer.items() if name != "bank"}
        norms.append(norm(added, table, both[0] & both[1], **settings))
    for want in probabilities:
        got = await sides["prob"].recv()
        assert list(got.tdata) == want.out[0].tolist()
        assert got.tuser == want.exponent[0]
    different = set()
    for want in norms:
        got = await sides["norm"].recv()
        assert np.array(got.tdata, np.uint8).view(np.int8).tolist() == want.out[0].tolist()
        assert got.tuser == 0
        different |= set(want.out[0].tolist())
    assert len(different) > 50  # not all of it saturated
