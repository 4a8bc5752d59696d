# SPDX-License-Identifier: Apache-2.0
"""Files of a failure (logs, waves, stimulus), and their names in the report's folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..paths import short
from ..sim.buckets import Bucket
from .markup import Html, el, join, link

FOLDER = "cases"  # in the report's folder, and in it one for each bucket: b1, b2, ...
LARGEST = 5 << 20  # bytes of a file that is copied
WAVES = (".vcd", ".fst")
STEMS = ("log", "waves", "shrunk_log", "shrunk_waves", "shrunk_stimulus")  # of copies


@dataclass(frozen=True)
class Left:
    """A file that a failure left: where, and where in the report a copy of it is to be."""

    source: Path
    copy: str

    @property
    def size(self) -> int | None:
        """In bytes; None if it is not there any more, or cannot be read."""
        try:
            return self.source.stat().st_size if os.access(self.source, os.R_OK) else None
        except OSError:
            return None

    @property
    def is_copied(self) -> bool:
        """Whether the report has a copy of it."""
        return self.size is not None and self.size <= LARGEST

    def shown(self) -> Html:
        """A link to the copy, or where it is and why there is none."""
        place = el("code", short(self.source))
        if self.is_copied:
            return join([link(self.copy.rpartition("/")[2], self.copy), " of ", place])
        if self.size is None:
            return join([place, " (not there any more)"])
        return join([place, f" (not copied: {self.size / 2**20:.1f} MiB)"])


@dataclass(frozen=True)
class Case:
    """A bucket's simplest case, and the shrunk one if there is one. `number` is the bucket's."""

    number: int
    bucket: Bucket

    @property
    def result(self) -> dict:
        """The simplest case."""
        return self.bucket.simplest

    @property
    def shrunk(self) -> Mapping:
        """What is left of it after shrinking; empty if it was not shrunk."""
        return self.result.get("shrunk") or {}

    def _left(self, stem: str, source: Path | str | None) -> Left | None:
        if not source:
            return None
        # A browser shows .txt, and would save .log.
        suffix = ".txt" if stem.endswith("log") else Path(source).suffix
        return Left(Path(source), f"{FOLDER}/b{self.number}/{stem}{suffix}")

    @property
    def log(self) -> Left | None:
        """The simplest case's log."""
        named = re.findall(r"^log: (.+)$", self.result["report"], re.M)
        if named:
            return self._left("log", named[-1])
        folder = self.result.get("folder")
        return self._left("log", Path(folder) / "sim.log" if folder else None)

    @property
    def waves(self) -> Left | None:
        """The simplest case's waves, unless the shrunk case has some."""
        folder = self.result.get("folder")
        if self.shrunk.get("waves") or not folder or not Path(folder).is_dir():
            return None
        found = (file for file in sorted(Path(folder).iterdir()) if file.suffix in WAVES)
        return self._left("waves", next(found, None))

    @property
    def shrunk_log(self) -> Left | None:
        """The shrunk case's log."""
        return self._left("shrunk_log", self.shrunk.get("log"))

    @property
    def shrunk_waves(self) -> Left | None:
        """The shrunk case's waves."""
        return self._left("shrunk_waves", self.shrunk.get("waves"))

    @property
    def stimulus(self) -> Left | None:
        """The shrunk case's stimulus."""
        return self._left("shrunk_stimulus", self.shrunk.get("file"))

    @property
    def left(self) -> Iterator[Left]:
        """All of these that there are."""
        every = (self.log, self.waves, self.shrunk_log, self.shrunk_waves, self.stimulus)
        return filter(None, every)

    @property
    def does_not_come_again(self) -> bool:
        """Whether it passed when it was run again alone."""
        return self.result.get("alone") is False


def rows_of(number: int, elements: int) -> str:
    """A case's size in words."""
    rows, each = ("row" if number == 1 else "rows"), ("element" if elements == 1 else "elements")
    return f"{number:,} {rows} of {elements:,} {each}"
