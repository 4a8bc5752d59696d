# SPDX-License-Identifier: Apache-2.0
"""The environment as a passive monitor in a bench and a design that are somebody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from softnorm.flow.paths import RTL
from softnorm.units import UNITS
from tests.bench import foreign_run
from tests.bench.foreign_run import ANY
from tests.rtl.mutations import plant

WRAPPER = Path(__file__).parent / "two_units.sv"
RTL_FILES = list(dict.fromkeys(UNITS["e2softmax"].rtl + UNITS["rexp"].rtl))
WRONG_CODES = (
    ("e2softmax/e2softmax_log2exp.sv", "raw[CODE_W:1] + CODE_W'(raw[0])", "raw[CODE_W:1]"),
)


@pytest.fixture
def foreign(tmp_path):
    """foreign(sim, edits, HICCUP=1): what the foreign bench says on the two units."""

    def run(sim, edits=(), **parameters):
        rtl = plant(edits, tmp_path) if edits else RTL
        sources = [*(rtl / file for file in RTL_FILES), WRAPPER]
        module = "tests.bench.foreign_bench"
        seen = [(unit, "*") for unit in ("e2softmax", "rexp")]
        return foreign_run.run(sim, sources, "two_units", module, tmp_path, parameters, seen=seen)

    return run


@pytest.mark.parametrize(
    "sim", [ANY, pytest.param("verilator", marks=pytest.mark.slow)], ids=["any", "verilator"]
)
def test_somebody_elses_rows_are_watched_and_compared(sim, foreign):
    passed, log = foreign(sim)
    assert passed, log


def test_a_bug_in_a_unit_is_found_at_that_unit(foreign):
    passed, log = foreign(ANY, WRONG_CODES)
    assert not passed
    assert "u_softmax: e2softmax: row " in log
    assert "does not match the model" in log


def test_a_fault_of_the_wires_between_units_is_found_where_it_arrives(foreign):
    passed, log = foreign(ANY, HICCUP=1)
    assert not passed
    assert "u_rexp: s_axis: tvalid fell before tready came" in log
