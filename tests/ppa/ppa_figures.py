# SPDX-License-Identifier: Apache-2.0
"""Invented figures and readers of tables, for tests of the figures and pages of `make ppa`."""

import re

from softnorm.flow.ppa import fpga, measure, store
from softnorm.units import UNITS

FLOW = store.Flow("tiny", 5.0, 0.5, 0.15, 1.0)
ENERGY = {"clock": 1.0, "registers": 2.0, "logic": 3.0, "leakage": 0.0}
ENERGY |= {"sram": 10.0, "flip_flops": 20.0}


def figures(unit="rexp", logic=1000.0, delay=2.0, energy=None, buffers=None, parts=None, **given):
    return measure.Figures(
        unit=unit,
        parameters=UNITS[unit].resolve(given),
        library="tiny",
        period=5.0,
        logic=logic,
        nand2=2.0,
        flip_flops=3,
        memories={"u_rows.u_ram": (10, 8)},
        sram=0.5,
        delay=delay,
        start="first_q",
        end="last_q",
        stages=4,
        report="somewhere/timing.rpt",
        cycles=40,
        buffers=buffers,
        parts=parts or {},
        energy=energy or {},
    )


def in_fpga(unit="rexp", fmax=80.0, over=""):
    parameters = UNITS[unit].resolve(fpga.SIZE)
    return fpga.FpgaFigures(unit, parameters, 2535, 665, 1, 2, fmax, over)


def stored(*found):
    return store.Store().with_cells(found, FLOW)


def table(text, title):
    """Lines of the table below a heading, cells split; the titles first."""
    part = re.search(rf"^#+ {re.escape(title)}$(.*?)(?=^#|\Z)", text, re.M | re.S)[1]
    head, _, *lines = re.findall(r"^\|(.+)\|$", part, re.M)
    return [[cell.strip() for cell in line.split("|")] for line in (head, *lines)]


def cells(text, title, row=0):
    """A line of a table by its titles."""
    titles, *lines = table(text, title)
    return dict(zip(titles, lines[row], strict=True))
