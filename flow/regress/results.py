# SPDX-License-Identifier: Apache-2.0
"""Content of a regression's folder: jobs, results, failures by kind, coverage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from softnorm.units.coverage import Coverage

from ..coverage import code as code_coverage
from ..coverage.code import CodeCoverage, Figures
from ..paths import write_whole
from ..sim.buckets import Bucket, bucketed
from .plan import Job, configuration


def save(folder: Path, result: Mapping[str, Any]) -> None:
    """Keep a result in a regression's folder: whole or not at all, once, however often it comes.

    Names of code coverage points go into a file that all results of a build share.
    """
    if "code" in result:
        names = result["code"]["names"]
        table = code_coverage.digest(names)
        points = folder / "points" / f"{table}.json"
        if not points.exists():
            write_whole(points, json.dumps(names))
        result = {**result, "code": {**result["code"], "names": table}}
    write_whole(folder / "results" / f"{result['id']}.json", json.dumps(result))


class Results:
    """A regression's folder and its jobs by id. What is in the folder is read when it is asked for.

    metadata.json       what it is a regression of
    results/<id>.json   one for each job that has ended
    points/             names of code coverage points that results of a build share
    """

    folder: Path
    jobs: dict[str, Job]

    @property
    def metadata(self) -> dict:
        """What metadata.json says."""
        return json.loads((self.folder / "metadata.json").read_text())

    @property
    def results(self) -> dict[str, dict]:
        """The results of this regression's jobs so far, by id, in the order of the jobs."""
        found = {}
        for key in self.jobs:
            path = self._path(key)
            if path.exists():
                found[key] = json.loads(path.read_text())
        return found

    def _path(self, key: str) -> Path:
        return self.folder / "results" / f"{key}.json"

    def _names(self, table: str) -> Path:
        return self.folder / "points" / f"{table}.json"

    def buckets(self) -> list[Bucket]:
        """Failures by what they have in common, the most frequent kind first."""
        return bucketed(self.results.values())

    def coverage(self) -> dict[tuple[str, str], Coverage]:
        """Functional coverage of what passed: (unit, configuration) -> all its runs as one."""
        merged: dict[tuple[str, str], Coverage] = {}
        for result in self.results.values():
            if not result["passed"]:
                continue
            whole = merged.setdefault(configuration(result["job"]), Coverage())
            whole.merge(Coverage.from_dict(result["coverage"]))
        return merged

    def figures(self) -> list[Figures]:
        """Both, point by point: of each unit and configuration."""
        functional, code = self.coverage(), self.code_coverage()
        found = []
        for key in dict.fromkeys([*functional, *code]):
            counts = code_coverage.functional(functional.get(key, Coverage()))
            counts |= code.get(key, CodeCoverage()).covered()
            jobs_of = (job for job in self.jobs.values() if configuration(vars(job)) == key)
            found.append(Figures(*key, counts, next(jobs_of).parameters))
        return found

    def code_coverage(self) -> dict[tuple[str, str], CodeCoverage]:
        """Code coverage of what counted it and passed: (unit, configuration) -> its runs as one."""
        sums: dict[tuple[str, str], dict[str, np.ndarray]] = {}
        for result in self.results.values():
            job = result["job"]
            if not result["passed"] or "code" not in result:
                continue
            tables = sums.setdefault(configuration(job), {})
            table = result["code"]["names"]
            counts = code_coverage.unpack(result["code"]["counts"])
            tables[table] = tables[table] + counts if table in tables else counts
        merged = {}
        for key, tables in sums.items():
            merged[key] = CodeCoverage()
            for table, counts in tables.items():
                names = json.loads(self._names(table).read_text())
                merged[key].merge(code_coverage.from_table(names, counts))
        return merged
