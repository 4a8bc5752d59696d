# SPDX-License-Identifier: Apache-2.0
"""Functional coverage as arrays: coverpoints and crosses whose samples are index arrays.

One histogram addition counts a whole batch of rows, elements or beats, so coverage stays cheap for
a few rows and for a million. Bins are named; unreachable bins do not exist, and the code says why.
Counts add up, so files of many runs can be merged in any order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass
class Coverpoint:
    """Named bins and how often each was hit. `group` names the covergroup it belongs to."""

    group: str
    bins: list[str]
    counts: np.ndarray
    about: str

    @property
    def hit(self) -> int:
        return int(np.count_nonzero(self.counts))

    @property
    def holes(self) -> list[str]:
        return [name for name, count in zip(self.bins, self.counts, strict=True) if not count]


@dataclass
class Coverage:
    """Coverpoints by name. Make them with `point` and `cross`, count with `sample`."""

    points: dict[str, Coverpoint] = field(default_factory=dict)
    # For each cross: its axes, their sizes, and the bin of each combination (-1: none).
    _crosses: dict[str, tuple[tuple[str, ...], tuple[int, ...], np.ndarray]] = field(
        default_factory=dict
    )
    _group: str = ""

    def group(self, name: str) -> None:
        """Points made after this call belong to covergroup `name`."""
        self._group = name

    def point(self, name: str, bins: Iterable[object], about: str) -> None:
        """A coverpoint; samples are indices into its bins, negative ones are not counted."""
        labels = [str(label) for label in bins]
        self._add(name, labels, about)

    def cross(self, name: str, axes: Sequence[str], about: str, reachable=None) -> None:
        """Every combination of the bins of `axes`, or those where reachable(*indices) is true."""
        sizes = tuple(len(self.points[axis].bins) for axis in axes)
        table = np.full(sizes, -1, dtype=np.int64)
        labels = []
        for index in np.ndindex(*sizes):
            if reachable is None or reachable(*index):
                table[index] = len(labels)
                labels.append(
                    ", ".join(
                        self.points[axis].bins[i] for axis, i in zip(axes, index, strict=True)
                    )
                )
        self._crosses[name] = (tuple(axes), sizes, table.ravel())
        self._add(name, labels, about)

    def _add(self, name: str, labels: list[str], about: str) -> None:
        if name in self.points:
            raise ValueError(f"coverpoint {name!r} is made twice")
        if len(set(labels)) != len(labels):
            raise ValueError(f"coverpoint {name!r} has two bins of one name")
        self.points[name] = Coverpoint(
            self._group, labels, np.zeros(len(labels), dtype=np.int64), about
        )

    def sample(self, name: str, *indices: np.ndarray, axes: Sequence[str] = ()) -> None:
        """Count bin numbers: one array for a coverpoint, one per axis for a cross.

        The arrays broadcast against each other; negative numbers are not counted. `axes` names
        the crossed points in which the same samples are counted too. Raises
        ValueError for a number without a bin.
        """
        names, sizes, table = self._crosses.get(name) or self._single(name)
        key = np.zeros((), np.int64)
        skip = np.zeros((), bool)
        for axis, index, size in zip(names, indices, sizes, strict=True):
            index = np.asarray(index)
            if index.size:
                if index.max() >= size:
                    raise ValueError(f"coverpoint {axis!r} has no bin {int(index.max())}")
                if index.min() < 0:
                    skip = skip | (index < 0)
            key = key * size + index
        if skip.any():
            key = key[~np.broadcast_to(skip, key.shape)]
        # One histogram of all combinations; the counts of a point are sums over it.
        counts = np.bincount(key.ravel(), minlength=int(np.prod(sizes)))
        if counts[table < 0].any():
            raise ValueError(f"cross {name!r}: a combination that was left out as unreachable")
        self.points[name].counts += counts[table >= 0]
        for axis in axes:
            others = tuple(i for i, other in enumerate(names) if other != axis)
            self.points[axis].counts += counts.reshape(sizes).sum(axis=others)

    def _single(self, name: str):
        size = len(self.points[name].bins)
        return (name,), (size,), np.arange(size)

    def merge(self, other: Coverage) -> None:
        """Add another run's counts; missing points are copied."""
        for name, theirs in other.points.items():
            if name not in self.points:
                self.points[name] = Coverpoint(
                    theirs.group, list(theirs.bins), theirs.counts.copy(), theirs.about
                )
                continue
            ours = self.points[name]
            if ours.bins != theirs.bins:
                raise ValueError(f"coverpoint {name!r} has other bins: merge per configuration")
            ours.counts += theirs.counts

    @property
    def hit(self) -> int:
        return sum(point.hit for point in self.points.values())

    @property
    def total(self) -> int:
        return sum(len(point.bins) for point in self.points.values())

    def as_dict(self) -> dict:
        """Every bin with its count, for JSON."""
        return {
            name: {
                "group": point.group,
                "about": point.about,
                "bins": dict(zip(point.bins, point.counts.tolist(), strict=True)),
            }
            for name, point in self.points.items()
        }

    @classmethod
    def from_dict(cls, points: dict) -> Coverage:
        """Read what `as_dict` gave (without the crosses' maps, for merging and reports)."""
        coverage = cls()
        for name, point in points.items():
            coverage.group(point["group"])
            coverage.point(name, point["bins"], point["about"])
            coverage.points[name].counts[:] = list(point["bins"].values())
        return coverage

    def save(self, path: Path, about: dict) -> None:
        """Write JSON: `about`, which identifies the run, then every bin with its count."""
        text = json.dumps({"about": about, "points": self.as_dict()}, indent=1)
        path.write_text(text + "\n")

    @classmethod
    def load(cls, path: Path) -> Coverage:
        """Read what `save` wrote."""
        return cls.from_dict(json.loads(path.read_text())["points"])

    def table(self, holes: int = 4) -> list[tuple[str, str, str]]:
        """Rows for a report: point, `hit/bins`, the first few holes."""
        rows = []
        for name, point in self.points.items():
            missing = point.holes
            more = f" and {len(missing) - holes} more" if len(missing) > holes else ""
            text = "; ".join(missing[:holes]) + more
            rows.append((f"{point.group}.{name}", f"{point.hit}/{len(point.bins)}", text))
        return rows
