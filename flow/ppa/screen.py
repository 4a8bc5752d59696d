# SPDX-License-Identifier: Apache-2.0
"""Tables that `make ppa` prints."""

from __future__ import annotations

from ..static.lint import label
from .measure import Figures
from .wires.figures import WiredFigures

HEADER = (
    *("unit", "configuration", "logic um2", "kNAND2", "flip-flops", "memory bits"),
    *("+ SRAM um2", "+ flip-flops um2", "ns", "Fmax MHz", "cells", "clocks a row"),
    *("elements/s/um2", "pJ/element", "+ SRAM pJ"),
)


def row(one: Figures) -> tuple[object, ...]:
    """Figures as a line under HEADER."""
    return (
        one.unit,
        label(one.parameters),
        f"{one.logic:.0f}",
        f"{one.logic / one.nand2 / 1000:.2f}",
        one.flip_flops,
        one.memory_bits,
        f"{one.with_sram:.0f}",
        "-" if one.with_flip_flops is None else f"{one.with_flip_flops:.0f}",
        f"{one.delay:.2f}",
        f"{one.fmax:.0f}",
        one.stages,
        one.cycles,
        f"{one.rate:.0f}",
        *("-" if e is None else f"{e:.1f}" for e in (one.logic_energy, one.energy_with_sram)),
    )


WIRED_HEADER = (
    *("unit", "configuration", "cells um2", "rows um2", "filled %", "buffers", "wire mm"),
    *("routed %", "wires pF", "pins pF", "ns", "Fmax MHz", "from", "to", "pJ/element"),
)


def wired_row(one: WiredFigures) -> tuple[object, ...]:
    """Figures with wires as a line under WIRED_HEADER."""
    return (
        one.unit,
        label(one.parameters),
        f"{one.cells:.0f}",
        f"{one.rows:.0f}",
        f"{100 * one.utilisation:.1f}",
        one.buffers,
        f"{one.wire / 1000:.1f}",
        f"{100 * one.routed:.2f}",
        f"{one.wire_load:.1f}",
        f"{one.pin_load:.1f}",
        f"{one.delay:.2f}",
        f"{one.fmax:.0f}",
        one.start,
        one.end,
        "-" if one.logic_energy is None else f"{one.logic_energy:.1f}",
    )


def parts_table(one: Figures) -> list[tuple[str, str, str]]:
    """(part, area, share), the largest first."""
    total = sum(one.parts.values())
    ranked = sorted(one.parts.items(), key=lambda item: -item[1])
    return [
        (name or "(top)", f"{area:.0f}", f"{100 * area / total:.1f} %") for name, area in ranked
    ]
