#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tests: pytest over models, tools and RTL on both simulators.

usage: scripts/test.py [SLOW=1] [ARGS="<pytest arguments>"] [pytest arguments]

SLOW=1 also runs the tests marked slow, those of each night: the same on the other simulator, pin by
pin, at larger sizes (docs/verification.md lists them). Runs one process per core; `-n 0` among the
arguments runs all in one. If Icarus is not installed, its tests are skipped with a one-line note;
in CI (CI=true) that is an error. Exit code: pytest's, 2 for a missing tool.
"""

import bootstrap  # noqa: F401  isort: skip

import os
import shlex
import sys
from collections.abc import Sequence

import pytest

from softnorm.flow import tools
from softnorm.flow.cli import flag, main
from softnorm.flow.paths import ROOT


def pytest_keyboard_interrupt() -> None:
    """A hook of pytest's. xdist's workers are not waited for."""
    from xdist.workermanage import NodeManager  # pytest wants to import xdist itself

    NodeManager.EXIT_TIMEOUT = 0.2


def command(arguments: Sequence[str]) -> int:
    """Run pytest with what is left of the arguments; return its exit code."""
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip())
        return 0
    given, slow = [], False
    for word in arguments:
        name, _, value = word.partition("=")
        if name == "ARGS":
            given += shlex.split(value)
        elif name == "SLOW":
            slow = flag(name, value)
        else:
            given.append(word)
    tools.require_verilator()
    if tools.icarus() is None:
        if os.environ.get("CI") == "true":
            tools.require_icarus()
        print("Icarus Verilog is not installed: its tests are skipped (apt-get install iverilog)")
    os.chdir(ROOT)
    # Threads inside numpy's products would wait for those of the other processes.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Tests that follow each other share builds and simulators: each process gets a row of them, and
    # what another has left when its own are done. Of an option given twice the last counts.
    which = [] if slow else ["-m", "not slow"]
    words = ["-n", "auto", "--dist", "worksteal", *which, *given]
    code = pytest.main(words, plugins=[sys.modules[__name__]])
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    return int(code)


if __name__ == "__main__":
    main(command)
