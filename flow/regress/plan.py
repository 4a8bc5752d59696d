# SPDX-License-Identifier: Apache-2.0
"""The regression plan: its runs, and the reason for each. Read from regression/plan.hjson."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

from softnorm.tb.stimulus.scenarios import SCENARIOS
from softnorm.units import UNITS, get
from softnorm.units.unit import Parameters, Unit

from .. import lists
from ..build.pins import SIMULATORS
from ..coverage import code as code_coverage
from ..errors import UserError
from ..paths import ROOT
from ..sim.simulate import DEFAULT_ROWS, rerun_line
from ..static.lint import label

COMMON = ("LANES", "MAX_LEN")  # parameters of every unit
PLAN = ROOT / "regression/plan.hjson"
# In place of a run's list of units.
BASELINES = "baselines"
ALL = "all"  # baselines too, in every set
PINS, BULK = "pins", "bulk"  # engines
_KINDS = {dict: "an object", list: "a list", str: "a word", int: "a whole number"}
_TYPES = {
    **dict.fromkeys(("sets", "configurations", "goals"), (dict,)),
    **dict.fromkeys(("runs", "goals_of", "code_of", "baselines_apart"), (list,)),
}
_RUN_TYPES = {
    **dict.fromkeys(("tests", "sims"), (list,)),
    **dict.fromkeys(("seeds", "at_most"), (dict,)),
    "units": (list, str),
    "configuration": (dict, str),
    "engine": (str,),
    "rows": (int,),
}


@dataclass(frozen=True)
class Job:
    """One simulation: everything that its result depends on, except the sources.

    engine    PINS or BULK
    coverage  whether its build counts code coverage; only Verilator's in bulk can
    """

    unit: str
    parameters: dict[str, int | str]
    sim: str
    test: str
    seed: int
    rows: int
    engine: str = PINS
    coverage: bool = False

    @cached_property
    def id(self) -> str:
        """The same for the same job, today and elsewhere."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def build(self) -> tuple:
        """What the jobs of one build have in common."""
        return self.unit, tuple(self.parameters.items()), self.sim, self.engine, self.coverage

    @property
    def rerun(self) -> str:
        """The command that repeats it alone."""
        about = (self.sim, self.test, self.seed, self.rows, None, self.parameters)
        return rerun_line(get(self.unit), *about, bulk=self.engine == BULK)


@dataclass(frozen=True)
class Plan:
    """A regression plan as it is in its file, checked."""

    sets: dict[str, str]
    configurations: dict[str, dict[str, int | str]]
    runs: list[dict]
    goals: dict[str, float] = field(default_factory=dict)  # coverage in percent
    goals_of: tuple[str, ...] = ()  # names of the configurations that they hold for; none: all
    code_of: tuple[str, ...] = ()  # names of those whose runs in bulk count code coverage, too
    apart: tuple[str, ...] = ()  # sets in which baselines have runs of their own

    def has_goals(self, unit: Unit, parameters: Parameters) -> bool:
        """Whether the goals hold for a configuration."""
        return not self.goals_of or self._is_one_of(self.goals_of, unit, parameters)

    def counts_code(self, unit: Unit, parameters: Parameters) -> bool:
        """Whether a configuration's runs in bulk count code coverage: also those with a feature on.

        What a feature adds is in no other build. One is left out where another of the unit's has
        its features, and more.
        """
        if self._is_one_of(self.code_of, unit, parameters):
            return True
        mine, *others = (
            {name: given.get(name, off) for name, off in unit.features.items()}
            for given in (parameters, *unit.configurations)
        )
        if mine == unit.features:
            return False
        return not any(
            one != mine and all(mine[name] in (0, value) for name, value in one.items())
            for one in others
        )

    def judged(self, parts: Iterable[code_coverage.Figures]) -> list[code_coverage.Figures]:
        """What the goals hold for: configurations with goals, of those that count code the code.

        The bins of a configuration that counts code alone have few seeds.
        """
        found = []
        for one in parts:
            unit = get(one.unit)
            if self.has_goals(unit, one.parameters):
                found.append(one)
            elif self.counts_code(unit, one.parameters):
                both = (one.counts, one.waived)
                code = [{p: of[p] for p in of if p.kind != "functional"} for of in both]
                found.append(replace(one, counts=code[0], waived=code[1]))
        return found

    def _is_one_of(self, names: tuple[str, ...], unit: Unit, parameters: Parameters) -> bool:
        return any(
            unit.resolve(given) == parameters
            for name in names
            for given in _configurations(self, unit, name)
        )


def load_plan(path: Path = PLAN) -> Plan:
    """Read a plan. Raises UserError, in one line, for an invalid entry."""
    text = lists.read(path, "sets", "configurations", "runs")
    _check_types(text, _TYPES, path.name)
    for number, run in enumerate(lists.entries(path, "runs")):
        _check_types(run, _RUN_TYPES, f"{path.name}, run {number}")
    plan = Plan(
        text["sets"],
        text["configurations"],
        text["runs"],
        text.get("goals", {}),
        tuple(text.get("goals_of", ())),
        tuple(text.get("code_of", ())),
        tuple(text.get("baselines_apart", ())),
    )
    if wrong := plan.goals.keys() - {*code_coverage.ALL_KINDS}:
        raise UserError(f"{path.name}, goals: there is no {min(wrong)}")
    if wrong := {*plan.apart} - plan.sets.keys():
        raise UserError(f"{path.name}, baselines_apart: there is no {min(wrong)}")
    for where, names in (("goals_of", plan.goals_of), ("code_of", plan.code_of)):
        if unknown := [n for n in names if n not in ("defaults", "corners", *plan.configurations)]:
            raise UserError(f"{path.name}, {where}: there is no {unknown[0]}")
    for number, run in enumerate(plan.runs):
        where = f"{path.name}, run {number}"
        for name in ("tests", "configuration", "sims", "seeds", "why"):
            if name not in run:
                raise UserError(f"{where} has no {name}")
        unknown = [test for test in run["tests"] if test not in SCENARIOS]
        unknown += [sim for sim in run["sims"] if sim not in SIMULATORS]
        unknown += [name for name in run["seeds"] if name not in plan.sets]
        unknown += [one for one in (run.get("engine", PINS),) if one not in (PINS, BULK)]
        if run.get("units") not in (BASELINES, ALL):
            unknown += [unit for unit in run.get("units", ()) if unit not in UNITS]
        unknown += [name for name in run.get("at_most", ()) if name not in COMMON]
        if unknown:
            raise UserError(f"{where}: there is no {unknown[0]}")
    return plan


def _check_types(given: Mapping, types: Mapping[str, tuple[type, ...]], where: str) -> None:
    """Raise UserError for a value of another type."""
    for name, wanted in types.items():
        if name in given and not isinstance(given[name], wanted):
            words = " or ".join(_KINDS[one] for one in wanted)
            raise UserError(f"{where}: {name} must be {words}, is {given[name]!r}")


def _units(plan: Plan, run: Mapping, of: str) -> list[Unit]:
    """The units that a run of the plan is for, in a set."""
    if run.get("units") == BASELINES:
        return [unit for unit in UNITS.values() if unit.baseline]
    if run.get("units") == ALL:
        return list(UNITS.values())
    if "units" in run:
        return [get(name) for name in run["units"]]
    return [unit for unit in UNITS.values() if not (unit.baseline and of in plan.apart)]


def _configurations(plan: Plan, unit: Unit, wanted: str | Parameters) -> list[Parameters]:
    if isinstance(wanted, Mapping):
        return [wanted]
    if wanted == "defaults":
        return [{}]
    if wanted == "corners":
        return [given for given in unit.configurations if given]
    if wanted not in plan.configurations:
        raise UserError(f"the plan has no configuration {wanted!r}")
    return [plan.configurations[wanted]]


def jobs(plan: Plan, of: str, first_seed: int = 1, **only: str) -> list[Job]:
    """The jobs of a set, each once. `only` may name a unit, a sim and a test.

    Raises UserError or ParameterError for names that do not exist, UserError when nothing is left.
    """
    if of not in plan.sets:
        raise UserError(f"there is no set {of!r}; there are: {', '.join(plan.sets)}")
    found: dict[str, Job] = {}
    for run in plan.runs:
        engine = run.get("engine", PINS)
        for unit in _units(plan, run, of):
            for given in _configurations(plan, unit, run["configuration"]):
                parameters = unit.resolve(given)
                if any(parameters.get(k, 0) > n for k, n in run.get("at_most", {}).items()):
                    continue
                for sim in run["sims"]:
                    counted = engine == BULK and sim == "verilator"
                    counted = counted and plan.counts_code(unit, parameters)
                    about = (unit.name, parameters, sim)
                    for test in run["tests"]:
                        if unit.cell and SCENARIOS[test].tensors:
                            continue
                        for seed in range(run["seeds"].get(of, 0)):
                            rows = run.get("rows", DEFAULT_ROWS)
                            job = Job(*about, test, first_seed + seed, rows, engine, counted)
                            if all(getattr(job, name) == value for name, value in only.items()):
                                found[job.id] = job
    if not found:
        words = " ".join(f"{name.upper()}={value}" for name, value in only.items())
        raise UserError(f"set {of} has no run with {words}")
    return list(found.values())


def configuration(job: Mapping) -> tuple[str, str]:
    """(unit, its parameters that are not defaults, in words) of a job as a dict."""
    return job["unit"], label(get(job["unit"]).others(job["parameters"]))


def simulator(job: Mapping) -> str:
    """The simulator of a job as a dict, in words, and whether it works in bulk."""
    return f"{job['sim']}, bulk" if job.get("engine") == BULK else job["sim"]
