"""The one place for the project's paths."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RTL = ROOT / "rtl"
DATA = ROOT / "data"
BUILD = ROOT / "build"  # everything that a command makes; never in the repository


def short(path: str | Path) -> str:
    """A path as it is typed in the repository."""
    return str(path).removeprefix(f"{ROOT}/")
