# SPDX-License-Identifier: Apache-2.0
"""Programs that take minutes and start others: they end together, at a limit or by Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ... import interrupt

_STEP = 0.2  # seconds between looks


def run(
    command: Sequence[str], folder: Path, limit: float, say: Callable[[str], None]
) -> tuple[bool, str]:
    """Run a program in `folder`; return whether it ended well, and how it ended.

    What it says is in the folder's file `<program>.log`; `say` gets its last line now and then. All
    that it has started ends with it. Raises Interrupted.
    """
    log = folder / f"{command[0]}.log"
    started = time.monotonic()
    told = 0.0
    with log.open("w") as out:
        job = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while job.poll() is None:
                if interrupt.asked.is_set():
                    raise interrupt.Interrupted
                taken = time.monotonic() - started
                if taken > limit:
                    took = f"{command[0]} was ended after {limit:.0f} s"
                    return False, f"{took}; LIMIT= gives it more"
                if taken > told + 30:
                    told = taken
                    last = log.read_text(errors="replace").split("\n")[-2:-1]
                    say(f"{command[0]}, {taken:.0f} s: {''.join(last).strip()[:60]}")
                time.sleep(_STEP)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)
            job.wait()
    return job.returncode == 0, f"{command[0]} ended with {job.returncode}; see {log}"
