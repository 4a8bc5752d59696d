# SPDX-License-Identifier: Apache-2.0
"""Reading of a regression's folder, for its report and coverage.

Nothing here writes into the folder or depends on the present sources: a regression that is still
running, was killed, or has an older plan is read as far as it has got.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property
from pathlib import Path

from softnorm.units import UNITS
from softnorm.units.coverage import Coverage, Coverpoint
from softnorm.units.unit import ParameterError

from ..cli import words
from ..coverage import code as code_coverage
from ..coverage import waivers
from ..coverage.code import Figures, Point
from ..errors import UserError
from ..paths import short
from .plan import Job, jobs, load_plan, simulator
from .provenance import sources_digest
from .regression import FOLDER
from .results import Results

TIME = "%Y-%m-%dT%H:%M:%S%z"  # as metadata.json writes it


class RegressionFolder(Results):
    """A regression's folder as it is, to be read only. Raises UserError if it holds none.

    Its jobs are those that it was started with; if today's plan does not give them any more, those
    that have a result.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        try:
            self._metadata = {"jobs": 0, **json.loads((folder / "metadata.json").read_text())}
            found = [json.loads(path.read_text()) for path in (folder / "results").glob("*.json")]
        except (OSError, json.JSONDecodeError) as error:
            raise UserError(f"{folder} holds no regression that can be read: {error}") from None
        kept = {result["id"]: result for result in sorted(found, key=_order)}
        planned = self._planned() or {}
        if not planned or kept.keys() - planned.keys():  # the plan is another one by now
            planned = {key: Job(**result["job"]) for key, result in kept.items()}
        self.jobs = planned
        self._results = {key: kept[key] for key in self.jobs if key in kept}

    def _planned(self) -> dict[str, Job] | None:
        """The jobs that it was started with.

        Metadata of before they stood there: what today's plan gives, if it is still as many.
        """
        given = self._metadata
        if "plan" in given:
            names = [field.name for field in fields(Job)]
            return {
                key: Job(**{name: job[name] for name in names if name in job})
                for key, job in given["plan"].items()
            }
        try:
            only = {name.lower(): value for name, value in self.only.items()}
            planned = jobs(load_plan(), given["set"], given["seed"], **only)
        except (UserError, ParameterError, KeyError, TypeError):
            return None
        return {job.id: job for job in planned} if len(planned) == given["jobs"] else None

    @cached_property
    def only(self) -> dict[str, str]:
        """What of its set it is restricted to, as it was typed."""
        named = words(self._metadata.get("command", []))
        return {name: named[name] for name in ("UNIT", "SIM", "TEST") if name in named}

    @property
    def set(self) -> str:
        """The plan's set that it is of, and what of it it is restricted to."""
        about = self._metadata.get("set", "")
        return " ".join([about, *(f"{name}={value}" for name, value in self.only.items())])

    @property
    def name(self) -> str:
        """That of its folder."""
        return self.folder.resolve().name

    @property
    def metadata(self) -> dict:
        """What metadata.json said when it was read."""
        return self._metadata

    @property
    def tools(self) -> dict[str, str]:
        """Tools and versions, without what a tool says of itself and leaves empty."""
        given = self._metadata.get("tools", {})
        return {name: version.removesuffix(" ()") for name, version in given.items()}

    @property
    def simulators(self) -> dict[str, str]:
        """Those on which runs passed: name -> version."""
        used = {result["job"]["sim"] for result in self._results.values() if result["passed"]}
        names = {"verilator": ("Verilator", "verilator"), "icarus": ("Icarus Verilog", "iverilog")}
        return {name: self.tools.get(key, "-") for sim, (name, key) in names.items() if sim in used}

    @property
    def results(self) -> dict[str, dict]:
        """The results by id, in the order of the jobs."""
        return self._results

    @property
    def failed(self) -> int:
        """Runs that failed."""
        return sum(not result["passed"] for result in self._results.values())

    @property
    def missing(self) -> int:
        """Runs that were asked for and have no result."""
        return max(self._metadata["jobs"] - len(self._results), 0)

    @property
    def verdict(self) -> str:
        """passed, failed, or partly run."""
        return "failed" if self.failed else "partly run" if self.missing else "passed"

    def total(self, name: str) -> float:
        """Sum of a number that results have."""
        return sum(result.get(name, 0) for result in self._results.values())

    def of(self, unit: str) -> list[dict]:
        """Results of a unit."""
        return [result for result in self._results.values() if result["job"]["unit"] == unit]

    @cached_property
    def tests(self) -> dict[str, frozenset[str]]:
        """The tests that it has a job of: by unit."""
        found: dict[str, set[str]] = {}
        for job in self.jobs.values():
            found.setdefault(job.unit, set()).add(job.test)
        return {unit: frozenset(tests) for unit, tests in found.items()}

    @cached_property
    def units(self) -> list[str]:
        """Units that it has a job of, in the registry's order."""
        named = {job.unit for job in self.jobs.values()}
        return [name for name in UNITS if name in named]

    @cached_property
    def digest(self) -> str:
        """Of the sources as they are now."""
        return sources_digest()

    # --- coverage ---------------------------------------------------------------------------------

    @cached_property
    def covered(self) -> dict[str, dict[str, Coverage]]:
        """Functional coverage: unit -> configuration, defaults first -> its runs as one."""
        found: dict[str, dict[str, Coverage]] = {}
        every = sorted(
            self.coverage().items(), key=lambda item: (item[0][1] != "defaults", item[0])
        )
        for (unit, name), coverage in every:
            found.setdefault(unit, {})[name] = coverage
        return found

    @property
    def bins(self) -> tuple[int, int]:
        """(hit, to be hit) bins of functional coverage: the sums of `items`."""
        every = [bins for items in self.items.values() for bins in items.values()]
        return sum(hit for hit, _ in every), sum(total for _, total in every)

    def bins_of(self, unit: str, name: str, points: Mapping[str, Coverpoint]) -> tuple[int, int]:
        """(hit, to be hit) bins of coverpoints in a configuration.

        A waiver takes off only what was not hit.
        """
        waived = self.waived(unit, name)
        hit = sum(point.hit for point in points.values())
        holes = (
            functional_point(key, point, hole)
            for key, point in points.items()
            for hole in point.holes
        )
        return hit, hit + sum(hole not in waived for hole in holes)

    @cached_property
    def items(self) -> dict[str, dict[str, tuple[int, int]]]:
        """(hit, to be hit) bins of coverpoints over a unit's configurations: unit -> group.point.

        Those configurations that have goals, or all where none has. A bin is hit where any of them
        hit it.
        """
        found: dict[str, dict[str, tuple[int, int]]] = {}
        for unit, whole in self.whole.items():
            one = self.judged.get(unit, whole)
            points = found.setdefault(unit, {})
            for point, count in one.counts.items():
                if point.kind == "functional" and point not in one.waived:
                    hit, total = points.get(point.file, (0, 0))
                    points[point.file] = hit + bool(count), total + 1
        return found

    @cached_property
    def measured(self) -> tuple[list[Figures], str]:
        """Figures of each unit and configuration after waivers; a word if those do not apply."""
        figures = self.figures()
        try:
            path = waivers.WAIVERS
            waivers.apply(waivers.load_waivers(path) if path.exists() else [], figures)
        except UserError as error:
            return figures, f"Waivers are not, or not all, applied: {error}."
        return figures, ""

    def waived(self, unit: str, name: str) -> Mapping[Point, str]:
        """What need not be covered in a configuration, with the reason."""
        key = unit, name
        return next((f.waived for f in self.measured[0] if (f.unit, f.configuration) == key), {})

    @cached_property
    def whole(self) -> dict[str, Figures]:
        """Figures of each unit over all its configurations."""
        return {one.unit: one for one in code_coverage.merged(self.measured[0])}

    @cached_property
    def judged(self) -> dict[str, Figures]:
        """Figures of each unit over what the plan's goals hold for."""
        parts = load_plan().judged(self.measured[0])
        return {one.unit: one for one in code_coverage.merged(parts)}

    @cached_property
    def has_code(self) -> bool:
        """Whether code coverage was counted."""
        return any(point.line for one in self.whole.values() for point in one.counts)


def functional_point(name: str, point: Coverpoint, bin: str) -> Point:
    """A bin as code_coverage.functional names it."""
    return Point(f"{point.group}.{name}", 0, "functional", bin)


def _order(result: Mapping) -> list[str]:
    """Units in the registry's order, configurations together."""
    job = result["job"]
    units = [*UNITS]
    unit = units.index(job["unit"]) if job["unit"] in units else len(units)
    key = unit, *job["parameters"].values(), simulator(job), job["test"], job["seed"]
    return [str(value).zfill(12) for value in key]


def latest(folder: Path = FOLDER) -> Path:
    """The regression in `folder` that was last started or continued.

    `make regress` writes metadata.json each time. Raises UserError if there is none.
    """
    found = list(folder.glob("*/metadata.json"))
    if not found:
        raise UserError(
            f"there is no regression in {short(folder)}: `make regress SET=ci` makes one"
        )
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent


def find(name: str | None = None, folder: Path = FOLDER) -> RegressionFolder:
    """The regression of that name, or the latest. Raises UserError if there is none."""
    if name is None:
        return RegressionFolder(latest(folder))
    if name != Path(name).name or not (folder / name / "metadata.json").is_file():
        there = sorted(path.parent.name for path in folder.glob("*/metadata.json"))
        raise UserError(f"there is no regression {name!r}; there are: {', '.join(there) or 'none'}")
    return RegressionFolder(folder / name)
