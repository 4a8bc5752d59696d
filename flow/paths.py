# SPDX-License-Identifier: Apache-2.0
"""The one place for the project's paths."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # the checkout; of an installed package its folder
RTL = ROOT / "rtl"
DATA = ROOT / "data"
IN_CHECKOUT = (ROOT / "pyproject.toml").exists()
# Everything that a command makes; never in the repository.
BUILD = (
    ROOT / "build"
    if IN_CHECKOUT
    else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "softnorm"
)


def runs() -> Path:
    """Where each run gets its folder: build/runs, or what SOFTNORM_RUNS names; it is there."""
    folder = Path(os.environ.get("SOFTNORM_RUNS") or BUILD / "runs")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all: what was there stays, if the disk is full or Ctrl-C comes.

    Raises OSError.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        part.replace(path)
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


def short(path: str | Path) -> str:
    """A path as it is typed in the repository."""
    return str(path).removeprefix(f"{ROOT}/")
