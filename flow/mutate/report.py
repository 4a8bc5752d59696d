# SPDX-License-Identifier: Apache-2.0
"""A mutation analysis in words: on the screen, and as files beside the netlist."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from .. import cli
from ..paths import ROOT, short
from .results import Result, Verdict, waivers

_MOST = 60  # holes on the screen


def text(found: Result) -> str:
    """Counts, kills by scenario and by check, proofs, holes with their source lines."""
    parts = [
        f"{found.unit}: {found.mutants} mutants, seed {found.seed}: {found.killed} killed, "
        f"{found.proved} proved equal, {len(found.holes)} holes: {found.percent:.2f} % of those "
        f"not proved equal are killed; {found.seconds:.0f} s of the processor"
    ]
    for title, counts in (
        ("scenario", found.kills),
        ("check", found.checks),
        ("proof", found.proofs),
    ):
        some = [(name, n) for name, n in counts.items() if n]
        if some:
            parts.append(cli.table(some, (title, "mutants")))
    rows = [
        (hole.line, source_of(hole), hole.name, hole.by[:60], waived(found.unit, hole))
        for hole in found.holes[:_MOST]
    ]
    if rows:
        parts.append(cli.table(rows, ("line", "source", "hole", "tried", "waiver")))
    left = len(found.holes) - len(rows)
    if left:
        parts.append(f"and {left} more")
    return "\n\n".join(parts)


def waived(unit: str, hole: Verdict) -> str:
    """Why a hole is waived; empty if it is not. Raises UserError."""
    return next((one.why for one in waivers() if one.covers(unit, hole)), "")


def source_of(hole: Verdict) -> str:
    """What stands in the line of a mutant; empty if it is not known."""
    file, _, number = hole.line.rpartition(":")
    path = ROOT / file
    if not path.is_file():
        return ""
    lines = path.read_text(encoding="utf-8").splitlines()
    return lines[int(number) - 1].strip()[:70] if int(number) <= len(lines) else ""


def write(found: Result, verdicts: Sequence[Verdict], folder: Path) -> str:
    """Write report.txt and report.json into the analysis' folder; return the name of the first."""
    (folder / "report.txt").write_text(text(found) + "\n", encoding="utf-8")
    every = {**asdict(found), "verdicts": [asdict(one) for one in verdicts]}
    (folder / "report.json").write_text(json.dumps(every, indent=0) + "\n", encoding="utf-8")
    return short(folder / "report.txt")
