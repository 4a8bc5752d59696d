# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C: whatever a command waits for, it ends soon, with what it has started, and says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from softnorm.flow import interrupt
from softnorm.flow.paths import ROOT
from tests.copies import hears_ctrl_c

# What a command is busy with. PROGRAM stands for a minute's work of another program.
BUSY = {
    "itself": "time.sleep(60)",
    "a program": "tools.run(PROGRAM, HERE)",
    "threads that wait for programs": (
        "list(tools.parallel({str(n): lambda: tools.run(PROGRAM, HERE) for n in range(4)}))"
    ),
    "compiled code": "ctypes.CDLL(None).usleep(60_000_000)",
    "worker processes": (
        "from softnorm.flow.regress import worker\n"
        "with worker.local_executor(1) as workers: workers.submit(time.sleep, 60).result()"
    ),
    "leaving": "try: time.sleep(60)\nfinally: time.sleep(60)",
}
COMMAND = """
import ctypes, threading, time
from pathlib import Path
from softnorm.flow import tools
from softnorm.flow.cli import main

HERE, PROGRAM = Path("."), ["sh", "-c", "sleep 61.5; sleep 61.5"]

def command(_):
    threading.Timer(0.4, print, ["busy"], {{"flush": True}}).start()
{busy}

if __name__ == "__main__":
    main(command)
"""


def left(session):
    """Command lines of processes of a session; what is being ended has a second for it."""
    asked = ["ps", "-o", "stat=,args=", "-s", str(session)]
    found = []
    for _ in range(20):
        said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
        found = [line for line in said.splitlines() if not line.startswith("Z")]
        if not found:
            break
        time.sleep(0.05)
    return found


def started(script, **how):
    return subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SOFTNORM_PYTHON": "current"},
        **{"preexec_fn": hears_ctrl_c, **how},
    )


@pytest.mark.parametrize(
    ("busy", "to", "by"),
    [
        *((busy, "the command alone", signal.SIGINT) for busy in BUSY),
        # As a terminal sends it.
        *((busy, "all", signal.SIGINT) for busy in ("a program", "worker processes")),
        # As a scheduler does.
        ("threads that wait for programs", "the command alone", signal.SIGTERM),
    ],
)
def test_it_ends_within_two_seconds(busy, to, by, tmp_path):
    script = tmp_path / "command.py"
    script.write_text(COMMAND.format(busy=textwrap.indent(BUSY[busy], "    ")))
    process = started(script)
    assert process.stdout.readline() == "busy\n", process.stderr.read()
    began = time.monotonic()
    (os.killpg if to == "all" else os.kill)(process.pid, by)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - began < 3.5  # of a busy machine
    assert process.returncode == 128 + by
    assert err.strip() == interrupt.MESSAGE
    assert left(process.pid) == []


def test_a_job_that_ignores_ctrl_c_ends_all_the_same(tmp_path):
    script = tmp_path / "command.py"
    script.write_text(COMMAND.format(busy=textwrap.indent(BUSY["a program"], "    ")))
    process = started(script, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    assert process.stdout.readline() == "busy\n", process.stderr.read()
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err.strip()) == (143, interrupt.MESSAGE)
    assert left(process.pid) == []


def test_while_it_imports_it_is_one_word_too(tmp_path):
    (tmp_path / "bootstrap.py").symlink_to(ROOT / "scripts/bootstrap.py")
    script = tmp_path / "command.py"
    script.write_text("import bootstrap, time\nprint('busy', flush=True)\ntime.sleep(60)\n")
    process = started(script)
    assert process.stdout.readline() == "busy\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err.strip()) == (130, "interrupted")


def test_a_program_that_ctrl_c_has_ended_gives_no_result(monkeypatch):
    from softnorm.flow import tools

    with pytest.raises(interrupt.Interrupted):
        tools.run(["sh", "-c", "kill -INT $$; sleep 9"], Path())
    monkeypatch.setattr(interrupt, "asked", type("Asked", (), {"is_set": lambda: True}))
    with pytest.raises(interrupt.Interrupted):
        tools.run(["true"], Path())
