# SPDX-License-Identifier: Apache-2.0
"""Runs of benches that are somebody else's, by cocotb's own runner."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest import mock

from cocotb_tools.runner import get_runner

from softnorm.flow import tools
from softnorm.flow.paths import ROOT

# It builds in a second.
ANY = "icarus" if tools.icarus() else "verilator"


def run(
    sim: str,
    sources: Sequence[Path],
    toplevel: str,
    module: str,
    folder: Path,
    parameters: Mapping[str, int] | None = None,
    test: str | None = None,
) -> tuple[bool, str]:
    """Whether the tests of a Python module, or one of them, pass on a design; the run's log.

    The module may lie in `folder`, which takes the build.
    """
    arguments, env = ["-g2012"], {}
    if sim == "verilator":
        arguments = ["--public-flat-rw", "--assert"]
        flags = f"CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O0 PYTHON3={sys.executable}"
        env = {**tools.verilator_env(), "MAKEFLAGS": flags}
    runner, log = get_runner(sim), folder / "sim.log"
    with mock.patch.dict(os.environ, env):
        runner.build(
            sources=sources,
            hdl_toplevel=toplevel,
            parameters=parameters or {},
            build_args=arguments,
            build_dir=folder / "build",
            timescale=("1ns", "1ps"),
            log_file=folder / "build.log",
        )
        try:
            runner.test(
                test_module=module,
                testcase=test,
                hdl_toplevel=toplevel,
                hdl_toplevel_lang="verilog",
                build_dir=folder / "build",
                test_dir=folder,
                results_xml=str(folder / "results.xml"),
                extra_env={
                    "COCOTB_ANSI_OUTPUT": "0",
                    "COCOTB_REWRITE_ASSERTION_FILES": "",  # flow/sim/simulate.py says why
                    "PYTHONPATH": os.pathsep.join((str(ROOT), str(folder))),
                },
                log_file=log,
            )
        except (RuntimeError, SystemExit):
            return False, log.read_text()
    return True, log.read_text()
