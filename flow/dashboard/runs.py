# SPDX-License-Identifier: Apache-2.0
"""Every run in a line."""

from __future__ import annotations

from collections.abc import Mapping

from ..regress.folder import RegressionFolder
from ..regress.plan import configuration, simulator
from ..sim.buckets import normalised
from .layout import page
from .markup import Html, el, join, link, state, table


def runs(regression: RegressionFolder) -> Html:
    """The page of them, those that have not been run last."""
    kinds = {bucket.message: number for number, bucket in enumerate(regression.buckets(), 1)}
    lines: list[tuple] = []
    for result in regression.results.values():
        job = result["job"]
        cells = (
            *configuration(job),
            simulator(job),
            job["test"],
            job["seed"],
            _verdict(result, kinds),
            result.get("rows", 0),
            result.get("elements", 0),
            result.get("clocks", 0),
            round(float(result["seconds"]), 1),
            el("code", result["rerun"]),
        )
        lines.append(({"id": f"r-{result['id']}"}, cells))
    for key, job in regression.jobs.items():
        if key not in regression.results:
            about = (*configuration(vars(job)), simulator(vars(job)), job.test, job.seed)
            lines.append((*about, state("not run"), 0, 0, 0, 0.0, el("code", job.rerun)))
    header = (
        *("unit", "configuration", "simulator", "test", "seed", "status"),
        *("rows", "elements", "clocks", "seconds", "run it again"),
    )
    return page(
        regression,
        "runs.html",
        "Runs",
        el("p", f"{len(lines):,} runs. Seconds are a core's, builds included.", class_="lead"),
        table(header, lines, "runs", class_="sortable tight"),
    )


def _verdict(result: Mapping, kinds: Mapping[str, int]) -> Html:
    if result["passed"]:
        return state("passed")
    told = link(state("failed"), f"failures.html#b{kinds[normalised(result['report'])]}")
    return join([told, " not again"]) if result.get("alone") is False else told
