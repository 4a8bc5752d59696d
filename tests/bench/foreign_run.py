# SPDX-License-Identifier: Apache-2.0
"""Runs of benches that are somebody else's, by cocotb's own runner."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest import mock

from cocotb_tools.runner import get_runner

from softnorm.flow import tools
from softnorm.flow.build.pins import making
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
    seen: Sequence[tuple[str, str]] = (),
) -> tuple[bool, str]:
    """Whether the tests of a Python module, or one of them, pass on a design; the run's log.

    The module may lie in `folder`, which takes the build. `seen`: what a bench on Verilator sees
    beside the signals of `toplevel`, as (module, signals).
    """
    arguments, env = ["-g2012"], {}
    if sim == "verilator":
        # Not every signal, as cocotb's runner has it: that takes the compiler four times as long.
        arguments, env = ["--no-public-flat-rw", "--assert"], making()
        control = folder / "seen.vlt"
        control.write_text(
            "`verilator_config\n"
            + "".join(
                f'public_flat_rw -module "{module}" -var "{signals}"\n'
                for module, signals in ((toplevel, "*"), *seen)
            )
        )
        sources = [control, *sources]
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
