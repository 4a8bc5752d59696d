# SPDX-License-Identifier: Apache-2.0
"""Drawings of the documentation: SVG files, made from the text files in docs/drawings.

A file with `signal` is a timing diagram in WaveDrom's format (`timing`), one with `grid` a block
diagram (`blocks`).
"""

from __future__ import annotations

from pathlib import Path

from .. import lists
from ..paths import ROOT
from .blocks import render as blocks_svg
from .timing import render as timing_svg

SOURCES = ROOT / "docs/drawings"


def read(path: Path) -> dict:
    """A drawing as it is in its file: plain dicts and lists."""
    return lists.read(path)


def files() -> dict[Path, str]:
    """All drawings: path -> SVG."""
    return {
        path.with_suffix(".svg"): render(read(path)) for path in sorted(SOURCES.glob("*.hjson"))
    }


def render(source: dict) -> str:
    """The SVG of a drawing."""
    return timing_svg(source) if "signal" in source else blocks_svg(source)
