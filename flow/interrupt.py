# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C ends a command within a second or two, whatever it is waiting for; so does SIGTERM, which
`kill`, `timeout` and a queue's scheduler send.

Python looks at a signal between two instructions of its main thread: not while that waits for a
thread, whose program runs for another minute, or for compiled code. So a thread of its own hears of
the signal, gives the command a moment to leave by itself, and then ends all that it has started.
Nothing is lost: what is kept is written whole or not at all, as soon as it is there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_ENDS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
MESSAGE = "interrupted; what was written so far is kept"
GRACE = 0.5  # seconds before what a command has started is ended
LEAVING = 1.0  # seconds after that before the command itself is
LONG = 15.0  # the same where jobs of a queue are to be cancelled, or something large to be written

_Process = tuple[int, int]  # its number, and when it began: numbers come again

asked = threading.Event()  # whether this command is to end
_seen = threading.Event()  # whether its main thread knows; else it is in compiled code
_known: set[_Process] = set()  # what was running when it was interrupted
_leaving = LEAVING
_by = int(signal.SIGINT)  # what ended it


class Interrupted(BaseException):
    """In a thread: the command ends, and so did the program that the thread waited for."""


def allow(seconds: float) -> None:
    """Give this command so long to leave by itself."""
    global _leaving
    _leaving = seconds


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Run a command in this. Leaves alone a signal that is not Python's, as Ctrl-C in a shell's
    background job is. Does nothing in another thread."""
    own = {one: handler for one, handler in _ENDS.items() if signal.getsignal(one) is handler}
    if not own or threading.current_thread() is not threading.main_thread():
        yield
        return
    asked.clear()
    _seen.clear()
    _known.clear()
    allow(LEAVING)
    ends, writes = os.pipe()
    os.set_blocking(writes, False)
    before = signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
    for one in own:
        signal.signal(one, _interrupted)
    threading.Thread(target=_watch, args=(ends,), daemon=True).start()
    try:
        yield
    finally:
        for one, handler in own.items():
            signal.signal(one, handler)
        signal.set_wakeup_fd(before)
        os.close(writes)


def code() -> int:
    """Exit code of a command that was interrupted, as a shell has it: 130 for Ctrl-C."""
    return 128 + _by


def _interrupted(number: int, _: object) -> None:
    global _by
    _by = number
    if _seen.is_set():  # a second time
        _end()
    _seen.set()
    # Now: what waits for a program ends that one alone, and then nobody knows what it had started.
    _known.update(_below(_running()))
    raise KeyboardInterrupt


def _watch(ends: int) -> None:
    global _by
    with os.fdopen(ends, "rb", buffering=0) as heard:
        while not (found := _ENDS.keys() & set(said := heard.read(64))):
            if not said:
                return
    _by = min(found)
    asked.set()
    time.sleep(GRACE)
    end_children()
    if _seen.wait(LEAVING):
        time.sleep(_leaving)
    _end()


def _end() -> None:
    end_children()
    print(f"\n{MESSAGE}", file=sys.stderr, flush=True)
    os._exit(code())


def end_children() -> None:
    """End all processes that this one has started, and theirs."""
    stopped: set[_Process] = set()
    while True:  # what is stopped starts nothing in place of what is ended
        running = _running()
        found = (_below(running) | (_known & running.keys())) - stopped
        if not found:
            break
        _send(signal.SIGSTOP, found)
        stopped |= found
    _send(signal.SIGKILL, stopped)


def _send(what: signal.Signals, to: set[_Process]) -> None:
    for pid, _ in to:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, what)


def _running() -> dict[_Process, int]:
    """The number of the parent of each process that has not ended."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (place / "stat").read_text(errors="replace")
            state, above, *fields = stat.rpartition(")")[2].split()
            # The tracker of multiprocessing ends by itself, when this process does.
            tracker = b"resource_tracker" in (place / "cmdline").read_bytes()
            if state != "Z" and not tracker:
                found[int(place.name), int(fields[17])] = int(above)
    return found


def _below(running: dict[_Process, int]) -> set[_Process]:
    """Of these the ones that this process has started, and that they have."""
    found: set[_Process] = set()
    left = [os.getpid()]
    while left:
        parent = left.pop()
        some = {one for one, above in running.items() if above == parent}
        found |= some
        left += [pid for pid, _ in some]
    return found
