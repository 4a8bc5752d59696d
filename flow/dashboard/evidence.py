# SPDX-License-Identifier: Apache-2.0
"""What shows that the checks are enough: coverage, mutants and proofs of each unit, in one table.

Coverage is the regression's. Mutants and proofs are what docs/mutation.json and docs/proofs.json
keep of `make mutate` and `make formal`.
"""

from __future__ import annotations

from collections.abc import Sequence

from softnorm.units import get

from ..coverage import code as code_coverage
from ..coverage.code import ALL_KINDS
from ..formal import results as proofs
from ..mutate import results as mutation
from ..regress.folder import RegressionFolder
from ..regress.plan import load_plan
from . import documents
from .code import kind_rate
from .markup import Html, el, join, link, rate, table


def evidence(regression: RegressionFolder) -> Html:
    """Coverage against the goals, mutants killed and properties proved of each unit."""
    plan = load_plan()
    goals = plan.goals
    units = {name: get(name) for name in regression.units}
    mutants = mutation.status(units, documents.DOCS)
    lines = []
    for name, unit in units.items():
        one = regression.judged.get(name)
        lines.append(
            [
                link(name, f"coverage_{name}.html"),
                *(
                    kind_rate(one, kind, goals.get(kind)) if one else _soft("not counted")
                    for kind in ALL_KINDS
                ),
                _mutants(mutants.get(name)),
                _proofs(proofs.status(unit, documents.DOCS)),
            ]
        )
    titles = [f"{kind}, goal {goals[kind]:g} %" if kind in goals else kind for kind in ALL_KINDS]
    low = code_coverage.under(regression.judged.values(), goals)
    return join(
        [
            el("h2", "Coverage, mutants, proofs"),
            el(
                "p",
                "Coverage of this regression, after waivers, over the configurations that have "
                f"goals: {', '.join(plan.goals_of) or 'all'}; of code also over builds "
                f"with a feature. {regression.measured[1]} Mutants and proofs are those that the "
                "documentation records. A bar is full at its goal.",
                class_="lead",
            ),
            el("p", f"Below a goal: {_listed(low)}." if low else "Every coverage goal is met."),
            table(
                (
                    *("unit", *titles),
                    link(f"mutants killed, goal {mutation.GOAL:g} %", "mutation.html"),
                    link("properties proved", "proofs.html"),
                ),
                lines,
                "coverage, mutants and proofs of each unit",
                class_="brief",
            ),
        ]
    )


def _listed(low: Sequence[str]) -> str:
    """Of each unit the kinds that are below their goals, as `code_coverage.under` tells them."""
    kinds: dict[str, list[str]] = {}
    for unit, kind, *_ in map(str.split, low):
        kinds.setdefault(unit, []).append(kind.rstrip(":"))
    return "; ".join(f"{unit} {', '.join(names)}" for unit, names in kinds.items())


def _mutants(status: mutation.Status | None) -> Html:
    if status is None:
        return _soft("not measured")
    bar = rate(status.killed, status.mutants - status.proved, goal=mutation.GOAL)
    return join([bar, _older(status.older)])


def _proofs(status) -> Html:
    if not status.proved:
        return _soft("none")
    return join([rate(status.proved, status.proved + len(status.open)), _older(status.older)])


def _older(older: bool) -> Html:
    return join([el("br"), el("small", "of older sources", class_="soft")]) if older else Html("")


def _soft(text: str) -> Html:
    return el("span", text, class_="soft")
