# SPDX-License-Identifier: Apache-2.0
"""The environment as a passive monitor in a bench and a design that are somebody else's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cocotb_tools.runner import get_runner

from softnorm.flow import tools
from softnorm.flow.paths import ROOT, RTL
from softnorm.units import UNITS
from tests.rtl.mutations import plant

# It builds in a second.
ANY = "icarus" if tools.icarus() else "verilator"
WRAPPER = Path(__file__).parent / "two_units.sv"
RTL_FILES = list(dict.fromkeys(UNITS["e2softmax"].rtl + UNITS["rexp"].rtl))
WRONG_CODES = (
    ("e2softmax/e2softmax_log2exp.sv", "raw[CODE_W:1] + CODE_W'(raw[0])", "raw[CODE_W:1]"),
)


@pytest.fixture
def foreign(monkeypatch, tmp_path):
    """foreign(sim, edits, HICCUP=1): what the foreign bench says on the two units."""

    def run(sim, edits=(), **parameters):
        arguments = ["-g2012"]
        if sim == "verilator":
            arguments = ["--public-flat-rw", "--assert"]
            flags = f"CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O0 PYTHON3={sys.executable}"
            for name, value in {**tools.verilator_env(), "MAKEFLAGS": flags}.items():
                monkeypatch.setenv(name, value)
        rtl = plant(edits, tmp_path) if edits else RTL
        runner = get_runner(sim)
        runner.build(
            sources=[*(rtl / file for file in RTL_FILES), WRAPPER],
            hdl_toplevel="two_units",
            parameters=parameters,
            build_args=arguments,
            build_dir=tmp_path / "build",
            timescale=("1ns", "1ps"),
            log_file=tmp_path / "build.log",
        )
        log = tmp_path / "sim.log"
        passed = True
        try:
            runner.test(
                test_module="tests.bench.foreign_bench",
                hdl_toplevel="two_units",
                hdl_toplevel_lang="verilog",
                build_dir=tmp_path / "build",
                test_dir=tmp_path,
                results_xml=str(tmp_path / "results.xml"),
                extra_env={"COCOTB_ANSI_OUTPUT": "0", "PYTHONPATH": str(ROOT)},
                log_file=log,
            )
        except (RuntimeError, SystemExit):
            passed = False
        return passed, log.read_text()

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
