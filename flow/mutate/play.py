# SPDX-License-Identifier: Apache-2.0
"""The project's scenarios against mutants: what CI runs of a unit, in bulk, with its own scorer.

Stimulus and expected outputs are made once. The netlist without a fault goes first: the scorer
must pass it in every scenario, and what came out is kept. A mutant whose outputs are the same, with
the same counts, passes as it did; where they differ, the scorer decides.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from softnorm.tb.bulk.beats import UNFINISHED, Moved, Room
from softnorm.tb.run import Run

from ..build.bulk import BulkBuild
from ..bulk.verilator import Verilator
from ..regress import plan
from ..sim.bulk import Bulk
from ..sim.simulate import choose_tensors
from .netlist import MutateError

# What a report says -> the check that said it. What says something else is no kill.
_CHECKS = (
    (r"Assertion failed in \S*?(a_\w+)", r"assertion \1"),
    (r": stuck: no beat moved for \d+ clocks", "progress"),
    (r": more came out than went in", "rows that did not go in"),
    (r": ([\w, ]+) is 1 in reset", "quiet in reset"),
    (r"\n  beats \(tlast\): expected", "tlast"),
    (r"\n  beat \d+, tuser", "tuser"),
    (r"\n  beat \d+, lane \d+, tkeep", "tkeep"),
    (r"\n  beat \d+, lane \d+ \(element \d+\), tdata", "tdata"),
    (r"^(err_\w+_o) was high for \d+ clocks, expected", r"pulses of \1"),
)
_TIMING = "timing"


@dataclass(frozen=True)
class Scenario:
    """A test of the project with its seed and scale."""

    test: str
    seed: int
    rows: int

    @property
    def name(self) -> str:
        """In words, as in reports."""
        return f"{self.test} SEED={self.seed} ROWS={self.rows}"


def scenarios(unit: str, of: str = "ci") -> list[Scenario]:
    """What a regression set runs of a unit, whatever the configuration and simulator; each once."""
    jobs = plan.jobs(plan.load_plan(), of, unit=unit)
    return list(dict.fromkeys(Scenario(job.test, job.seed, job.rows) for job in jobs))


def check_of(report: str, timing: bool = False) -> str:
    """The check that a report is of; empty if it is none of the project's."""
    for pattern, name in _CHECKS:
        found = re.search(pattern, report)
        if found:
            return found.expand(name)
    # The last rule of a timing test, whose words are its own.
    return _TIMING if timing and re.match(r"row \d+ of \d+ beats: ", report) else ""


@dataclass(frozen=True)
class Seen:
    """What one scenario showed of a mutant.

    check   that fired; empty: none did
    report  of the scorer, its first lines
    broken  how the simulation ended without a check that fired: no kill
    """

    check: str = ""
    report: str = ""
    broken: str = ""


class Played:
    """A scenario, ready to be driven through any mutant."""

    def __init__(self, build: BulkBuild, scenario: Scenario):
        unit, parameters = build.unit, build.parameters
        self.scenario, self._build = scenario, build
        tensors = choose_tensors(unit, parameters, scenario.test, None)
        run = Run(
            *(build.folder, unit.name, parameters, "verilator"),
            *(scenario.test, scenario.seed, scenario.rows, tensors, ""),
        )
        self._bulk = Bulk(unit, parameters, run)
        self.seconds = 0.0  # of the netlist without a fault, processor

    @property
    def rows(self) -> int:
        """How many there are to drive."""
        return 0 if self._bulk.job is None else len(self._bulk.job.beats.settings)

    def guard(self) -> None:
        """Drive the netlist without a fault, and keep what comes out. Raises MutateError."""
        started = time.process_time()
        moved = self._drive(0, None)
        self.seconds = time.process_time() - started
        report = self._bulk.judge(moved)
        if report:
            raise MutateError(
                f"the netlist without a fault fails in {self.scenario.name}: Yosys or Verilator "
                f"made something else of the RTL, or the RTL is wrong (try make sim)\n{report}"
            )
        self._moved, room = moved, self._bulk.job.room
        self._room = Room(*(getattr(room, name).copy() for name in vars(room)))
        self._clocks = [one.copy() for one in self._times()]

    def see(self, mutant: int) -> Seen:
        """Drive a mutant up to the first check that fires."""
        found: list[str] = []
        moved = self._drive(mutant, partial(self._look, found, [0, 0, 0]))
        if found:
            return self._kill(found[0])
        if self._same(moved):
            return Seen()
        report = self._bulk.judge(moved)
        return self._kill(report) if report else Seen()

    def _drive(self, mutant: int, look: Callable[[Moved], bool] | None) -> Moved:
        instance = Verilator(replace(self._build, chosen=mutant), self._bulk.bits)
        try:
            return instance.drive(self._bulk.job, True, look)
        finally:
            instance.close()

    def _look(self, found: list[str], seen: list[int], moved: Moved) -> bool:
        """Whether what has come out so far fails.

        seen  beats and resets that were the same as without a fault; beats below which not to judge
        """
        now, cuts = moved.beats_out, moved.cuts
        same, resets, judge = seen
        expected = self._moved.cuts[: len(cuts)][resets:]
        alike = now <= self._moved.beats_out and cuts[resets:] == expected
        if alike and self._equal(slice(same, now)):
            seen[:2] = now, len(cuts)
            return False
        if now < judge:
            return False
        report = self._bulk.judge(moved)
        # Nothing wrong in the rows that are complete: it shows in the next ones, or never.
        if UNFINISHED in report.partition("\n")[0] or not check_of(report, self._bulk.timing):
            seen[2] = now + now // 2 + 1
            return False
        found.append(report)
        return True

    def _kill(self, report: str) -> Seen:
        check = check_of(report, self._bulk.timing)
        short = report if len(report) < 600 else f"{report[:600]}.."
        return Seen(check, short) if check else Seen(broken=short)

    def _same(self, moved: Moved) -> bool:
        """Whether all that the scorer looks at is as without a fault."""
        if moved.error or moved.cuts != self._moved.cuts:
            return False
        if moved.beats_out != self._moved.beats_out or not self._equal(slice(0, moved.beats_out)):
            return False
        pairs = [*zip(moved.pulses, self._moved.pulses, strict=True)]
        pairs += zip(self._times(), self._clocks, strict=True)
        return all(np.array_equal(one, other) for one, other in pairs)

    def _equal(self, beats: slice) -> bool:
        """Whether these beats that came out are those of the netlist without a fault."""
        room = self._bulk.job.room
        return all(
            np.array_equal(getattr(room, name)[beats], getattr(self._room, name)[beats])
            for name in vars(room)
        )

    def _times(self) -> Sequence[np.ndarray]:
        """Of all transfers; when an output beat came is looked at in timing tests alone."""
        job = self._bulk.job
        taken = job.in_clocks[:, 1]
        return (taken, job.in_clocks, job.out_clocks) if self._bulk.timing else (taken,)


def prepare(
    build: BulkBuild, wanted: Sequence[Scenario], progress: Callable[[str], None] = lambda _: None
) -> list[Played]:
    """The scenarios that have rows, guarded, cheapest first. Raises MutateError."""
    ready = []
    progress(f"without a fault: {len(wanted)} scenarios")
    for scenario in wanted:
        played = Played(build, scenario)
        if played.rows:
            played.guard()
            ready.append(played)
    if not ready:
        raise MutateError(f"no scenario has rows for {build.unit.name}")
    # By rows, and not by time: the same order on every machine.
    return sorted(ready, key=lambda one: one.rows)
