# SPDX-License-Identifier: Apache-2.0
"""Failures by what they have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Bucket:
    """Failures of one kind: `message` is what they have in common."""

    message: str
    results: list[dict] = field(default_factory=list)

    @property
    def simplest(self) -> dict:
        """The failure with the fewest rows, then the smallest build."""

        def size(result: dict) -> tuple:
            job = result["job"]
            return (
                result.get("driven", 0),
                job["rows"],
                job["parameters"]["LANES"],
                job["parameters"].get("MAX_LEN", 0),
                job["seed"],
            )

        return min(self.results, key=size)


def bucketed(results: Iterable[dict]) -> list[Bucket]:
    """The failures among results, by kind, the most frequent kind first."""
    found: dict[str, Bucket] = {}
    for result in results:
        if not result["passed"]:
            message = normalised(result["report"])
            found.setdefault(message, Bucket(message)).results.append(result)
    return sorted(found.values(), key=lambda bucket: -len(bucket.results))


def normalised(report: str) -> str:
    """The text that failures of one cause share: first line and what differed, without numbers."""
    lines = report.splitlines() or [""]
    kinds = [
        re.sub(r"^.*?(tdata|tkeep|tuser|beats \(tlast\)).*$", r"\1", line)
        for line in lines
        if re.search(r"(tdata|tkeep|tuser|tlast).*: expected", line)
    ]
    first = re.sub(r"0x[0-9a-f]+|(?<![A-Za-z_])\d+", "#", re.sub(r"\S*/", "", lines[0])).strip()
    return first + (f" ({', '.join(dict.fromkeys(kinds))})" if kinds else "")
