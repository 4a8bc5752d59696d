# SPDX-License-Identifier: Apache-2.0
"""Compiled Python files (.pyc) that a full disk has cut short, removed: Python makes them anew.

Python 3.11 writes what there is room for and does not look how much that was; every later import of
the module then fails. This file needs nothing but Python, and is a script, too:

    python3 -B flow/bytecode.py FOLDER ...
"""

from __future__ import annotations

import marshal
import sys
from collections.abc import Iterable
from pathlib import Path

SAID = ("marshal data too short", "bad marshal data")  # by Python, of such a file
_HEADER = 16  # bytes before the code


def cut(path: Path) -> bool:
    """Whether a file is there and holds no whole code."""
    try:
        marshal.loads(path.read_bytes()[_HEADER:])
    except OSError:
        return False
    except (EOFError, ValueError, TypeError):
        return True
    return False


def remove_cut(folders: Iterable[Path]) -> list[Path]:
    """Remove such files in and below folders; return them."""
    found = [path for folder in folders for path in folder.rglob("*.pyc") if cut(path)]
    for path in found:
        path.unlink(missing_ok=True)
    return found


if __name__ == "__main__":
    sys.exit(0 if remove_cut(map(Path, sys.argv[1:])) else 1)
