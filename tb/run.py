# SPDX-License-Identifier: Apache-2.0
"""One simulation as data: what the flow asks for and what the bench, inside the simulator, reads.

The flow writes `run.json` into the run's folder and names the folder in SOFTNORM_RUN; the bench
writes `progress.json`, `coverage.json` and `result.json` beside it. For many runs in one process
(tb/uvm/forked.py) SOFTNORM_PIPE names the pipe through which their folders come.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import signal
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from softnorm import units
from softnorm.units.unit import Unit

FOLDER_VARIABLE = "SOFTNORM_RUN"
PIPE_VARIABLE = "SOFTNORM_PIPE"
PARENT_VARIABLE = "SOFTNORM_PARENT"  # the process that started the simulator
LIMIT_VARIABLE = "SOFTNORM_LIMIT"  # seconds that one of many runs may take
ENDED = "ended"  # in the folder of one of many runs: [exit code, seconds] of its process
_PATHS = ("folder", "tensors", "stimulus")


@dataclass(frozen=True)
class Run:
    """Unit, build and test of one simulation; all that its result depends on but the sources."""

    folder: Path
    unit: str
    parameters: dict[str, int | str]
    sim: str
    test: str
    seed: int
    rows: int  # scale of random scenarios
    tensors: Path | None  # tensor or vector file
    rerun: str  # the command that repeats it
    stimulus: Path | None = None  # drive what is in this file in place of the test's rows

    @property
    def descriptor(self) -> Unit:
        return units.get(self.unit)

    def about(self) -> dict:
        """Plain values for the files that results go to."""
        about = dataclasses.asdict(self)
        del about["folder"]
        about["tensors"] = self.tensors and self.tensors.name
        about["stimulus"] = self.stimulus and self.stimulus.name
        return about

    def rng(self, use: str) -> np.random.Generator:
        """A generator of its own for each use: the same for the same unit, test and seed."""
        name = f"{self.unit} {self.test} {use}"
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def save(self) -> None:
        """Write run.json."""
        text = dataclasses.asdict(self)
        for name in _PATHS:
            text[name] = text[name] and str(text[name])
        (self.folder / "run.json").write_text(json.dumps(text, indent=1) + "\n")

    def progress(self, counts: dict[str, int]) -> None:
        """Say how far it is; whoever waits polls the file."""
        part = self.folder / "progress.part"
        part.write_text(json.dumps(counts))
        part.replace(self.folder / "progress.json")

    @classmethod
    def load(cls) -> Run:
        """The run that this process simulates."""
        text = json.loads((Path(os.environ[FOLDER_VARIABLE]) / "run.json").read_text())
        for name in _PATHS:
            text[name] = text[name] and Path(text[name])
        return cls(**text)


def die_with_parent(parent: int) -> None:
    """Be killed when `parent`, which started this process, ends: there is nobody to work for."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it ended before this
        os._exit(1)
