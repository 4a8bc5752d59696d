# SPDX-License-Identifier: Apache-2.0
"""Provenance of results: sources, commit, tools."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from .. import tools
from ..build.pins import SIMULATORS
from ..errors import UserError
from ..paths import ROOT

_SOURCES = ("rtl", "models", "units", "tb", "data", "requirements.txt")


def metadata() -> dict:
    """Digest of the sources, commit, whether there are changes to it, tools, time."""

    def git(*words: str) -> str:
        if shutil.which("git") is None:
            return ""
        done = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    versions = {}
    for sim in SIMULATORS:
        try:
            versions |= tools.versions(sim)
        except UserError:
            continue
    return {
        "sources": sources_digest(),
        "commit": git("rev-parse", "HEAD"),
        "changed": bool(git("status", "--porcelain")),
        "tools": versions,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def sources_digest(root: Path = ROOT) -> str:
    """A hash of everything that results depend on: RTL, models, bench, tensors, tools."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        place = root / name
        files: Iterable[Path] = [place] if place.is_file() else sorted(place.rglob("*"))
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
