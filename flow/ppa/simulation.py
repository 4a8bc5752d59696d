# SPDX-License-Identifier: Apache-2.0
"""The mapped netlist on real rows: compares its outputs with the RTL's, counts each net's toggles.

There are no delays: a net settles at once, twice a clock, so that glitches are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softnorm.tb.bulk.beats import RtlOutputs
from softnorm.units.unit import Rows

from ..build.bulk import bulk_build
from ..bulk import rtl
from .gates import GateError, gate_build, tables
from .netlist import Netlist


@dataclass(frozen=True)
class Activity:
    """What a simulation counted.

    clocks   simulated, after the reset
    toggles  net -> changes of its value
    high     net -> share of the time that it was 1
    elements that came out
    """

    clocks: int
    toggles: dict[int, int]
    high: dict[int, float]
    elements: int


def activity(netlist: Netlist, rows: Rows) -> Activity:
    """Drive the rows through netlist and RTL without stalls. Raises GateError if they differ."""
    unit, parameters = netlist.unit, netlist.parameters
    made = tables(netlist)
    first = rows.select(np.arange(1))  # behind it, nothing is as the reset left it
    with rtl.Instance(bulk_build(unit, parameters)) as instance:
        instance.run(first)
        want = instance.run(rows, reset=False)
    with rtl.Instance(gate_build(netlist, made)) as instance:
        try:
            instance.run(first)
            instance.simulator.count_toggles()
            wrong = difference(instance.run(rows, reset=False), want)
            halves, toggles, high = instance.simulator.toggles(made.count)
        except rtl.RtlError as error:
            wrong = str(error)
    if wrong:
        words = " ".join(f"{name}={value}" for name, value in parameters.items())
        raise GateError(
            f"the gates of {unit.name} {words} are not its RTL: {wrong}\n  netlist: {netlist.json}"
        )
    numbers = made.nets
    return Activity(
        halves // 2,
        dict(zip(numbers, toggles[2:].tolist(), strict=False)),
        dict(zip(numbers, (high[2:] / halves).tolist(), strict=False)),
        int(rows.mask.sum()),
    )


def difference(got: RtlOutputs, want: RtlOutputs) -> str:
    """The first difference, in words; "" if there is none."""
    for name in ("out", "exponent", "err_len", "err_keep"):
        one, other = getattr(got, name), getattr(want, name)
        if not np.array_equal(one, other):
            row = int(np.argwhere(one != other)[0][0])
            return f"{name} of row {row} is {one[row].tolist()}, not {other[row].tolist()}"
    for name in ("len_pulses", "keep_pulses", "beats", "clocks"):
        one, other = getattr(got, name), getattr(want, name)
        if one != other:
            return f"{name} are {one}, not {other}"
    return ""
