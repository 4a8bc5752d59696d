# SPDX-License-Identifier: Apache-2.0
"""A copy of the checkout that a test may change, with commands that run in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from softnorm.flow.paths import ROOT

# Where this run's files go, and the words that its make was given.
_OUTSIDE = {"SOFTNORM_RUNS", "MAKEFLAGS", "MAKEOVERRIDES"}
_LEFT_OUT = {"build", "dist", ".git", ".venv"}  # at the top


def _ignored(folder: str, names: list[str]) -> set[str]:
    made = {name for name in names if name == "__pycache__" or name.endswith((".pyc", "_cache"))}
    return made | _LEFT_OUT.intersection(names) if Path(folder) == ROOT else made


def copy(folder: Path) -> None:
    """Copy what a clone of the working tree holds to a new folder."""
    shutil.copytree(ROOT, folder, ignore=_ignored)


class Checkout:
    """A copy of the working tree below `folder`; `softnorm` is the copy in all that runs there."""

    def __init__(self, folder: Path):
        self.root = folder / "checkout"
        copy(self.root)
        # As pyproject.toml has it: a folder of the checkout each, under one package.
        package = folder / "site" / "softnorm"
        package.mkdir(parents=True)
        for name in ("models", "units", "tb", "flow", "rtl"):
            (package / name).symlink_to(self.root / name)
        for path in (self.root / "src/softnorm").iterdir():
            (package / path.name).symlink_to(path)
        (self.root / ".venv").symlink_to(sys.prefix)
        python = Path(sys.executable)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in _OUTSIDE},
            "SOFTNORM_PYTHON": "current",
            "PYTHON": str(python),
            "PYTHONPATH": os.pathsep.join([str(package.parent), str(self.root)]),
            "PATH": os.pathsep.join([str(python.parent), os.environ["PATH"]]),
        }

    def run(self, command: str) -> tuple[int, str]:
        """A command line of a shell in the copy: its exit code, and all that it said."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout
