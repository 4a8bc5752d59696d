"""One simulation as data: what the flow asks for and what the bench, inside the simulator, reads.

The flow writes `run.json` into the run's folder and names the folder in SOFTNORM_RUN; the bench
writes `progress.json`, `coverage.json` and `result.json` beside it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

from tb import units
from tb.unit import Unit

FOLDER_VARIABLE = "SOFTNORM_RUN"


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

    @property
    def descriptor(self) -> Unit:
        return units.get(self.unit)

    def about(self) -> dict:
        """Plain values for the files that results go to."""
        about = dataclasses.asdict(self)
        del about["folder"]
        about["tensors"] = self.tensors and self.tensors.name
        return about

    def save(self) -> None:
        """Write run.json."""
        text = {**dataclasses.asdict(self), "folder": str(self.folder)}
        text["tensors"] = self.tensors and str(self.tensors)
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
        text["folder"] = Path(text["folder"])
        text["tensors"] = text["tensors"] and Path(text["tensors"])
        return cls(**text)
