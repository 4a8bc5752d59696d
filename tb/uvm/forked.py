# SPDX-License-Identifier: Apache-2.0
"""Many runs in one simulator process, each in a fork of it: the module of flow's Simulator.

To start a simulator, Python in it and this bench takes longer than a short run. Here that is done
once. Simulator and bench are as they are before time 0 when this module is imported; each run is a
copy of them as they are now, so nothing of one run is left in the next, and one that dies or hangs
takes no other with it.

    import --+-- fork --> run 1: its folder, its log, its results.xml --> end
             +-- fork --> run 2 ...
             +-- exit at an empty line

The folders of the runs come line by line, through a pipe that SOFTNORM_PIPE names. How each ended
is left in its folder (ENDED): its exit code, negative for a signal, and the processor's seconds.
"""

from __future__ import annotations

import ctypes
import gc
import inspect
import json
import os
import signal
import sys
from pathlib import Path

import numpy.random  # noqa: F401  as every run would

from ..run import (
    ENDED,
    FOLDER_VARIABLE,
    LIMIT_VARIABLE,
    PARENT_VARIABLE,
    PIPE_VARIABLE,
    die_with_parent,
)
from .tests import run  # noqa: F401  cocotb finds it here

_C = ctypes.CDLL(None)
_LINE_BUFFERED = 1  # _IOLBF


def _become(folder: Path, parent: int) -> None:
    """Be the process of one run, and write nowhere but in its folder."""
    die_with_parent(parent)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(int(os.environ[LIMIT_VARIABLE]))
    os.environ[FOLDER_VARIABLE] = str(folder)
    os.environ["COCOTB_RESULTS_FILE"] = str(folder / "results.xml")
    os.chdir(folder)
    log = os.open("sim.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    # Verilator's library ends by waiting for a thread that it started and that no fork has: leave
    # before that, with the exit code as it is. Lines of the log then must not wait for the end.
    _C.setvbuf(ctypes.c_void_p.in_dll(_C, "stdout"), None, _LINE_BUFFERED, 0)
    _C.on_exit(_C._exit, None)


def _fork_each() -> None:
    """Return in each child; the parent ends here."""
    die_with_parent(int(os.environ[PARENT_VARIABLE]))
    this = os.getpid()
    # What every run would find out for itself: pyuvm asks where it is called from.
    inspect.stack()
    # Or each child's collector writes into all that there is, and so copies it.
    gc.collect()
    gc.freeze()
    lines = open(os.environ[PIPE_VARIABLE])  # noqa: SIM115  a child leaves it as it is
    while folder := lines.readline().strip():
        # What is still in buffers would be written by every child.
        sys.stdout.flush()
        sys.stderr.flush()
        _C.fflush(None)
        child = os.fork()
        if not child:
            _become(Path(folder), this)
            return
        _, status, used = os.wait4(child, 0)
        ended = [os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime]
        part = Path(folder, "ended.part")
        part.write_text(json.dumps(ended))
        part.replace(Path(folder, ENDED))
    # Not the simulator's own way out: it would run what no run is. cocotb's runner wants results.
    Path(os.environ["COCOTB_RESULTS_FILE"]).write_text("<testsuites />\n")
    os._exit(0)


_fork_each()
