"""The one place for the project's paths."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RTL = ROOT / "rtl"
DATA = ROOT / "data"
BUILD = ROOT / "build"  # everything that a command makes; never in the repository


def runs() -> Path:
    """Where each run gets its folder: build/runs, or what SOFTNORM_RUNS names; it is there."""
    folder = Path(os.environ.get("SOFTNORM_RUNS") or BUILD / "runs")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def short(path: str | Path) -> str:
    """A path as it is typed in the repository."""
    return str(path).removeprefix(f"{ROOT}/")
