# SPDX-License-Identifier: Apache-2.0
"""Exceptions whose message is shown to the user on the command line."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_LEAST = 1 << 16  # bytes: with fewer nothing is written whole


class UserError(Exception):
    """An error that the user can fix: the message is one sentence that says what is wrong and how.

    A command prints it without a traceback and exits with `exit_code`.
    """

    exit_code = 2


class DiskFull(UserError):
    """There is no room for what a command writes; what it had kept is whole."""

    def __init__(self, place: Path | str | None = None):
        where = f" of {place}" if place else ""
        super().__init__(
            f"no space is left on the disk{where}: make room, then give the same command again"
        )


def is_full(error: OSError) -> bool:
    """Whether that is why something could not be written."""
    return error.errno in _NO_SPACE


def tells_of_full(text: str) -> bool:
    """Whether another program says so."""
    return any(os.strerror(number) in text for number in _NO_SPACE)


def no_room(place: Path) -> bool:
    """Whether a folder's disk is full now."""
    room = os.statvfs(place)
    blocks = room.f_bfree if os.geteuid() == 0 else room.f_bavail
    return blocks * room.f_frsize < _LEAST
