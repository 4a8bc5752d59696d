# SPDX-License-Identifier: Apache-2.0
"""What a mutation analysis has found: docs/mutation.json, by command; its waivers.

The number of a unit is: killed / (mutants - proved), in percent. A kill is a check of the project
that fired; proved is a proof without a bound that no legal stimulus can show the fault. What is
left over is a hole. A waiver explains a hole; it changes no number.
"""

from __future__ import annotations

import ast
import datetime
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from softnorm.units.unit import Parameters, Unit

from .. import lists
from ..build.pins import CHECKERS
from ..errors import UserError
from ..paths import ROOT, RTL, short, write_whole
from ..ppa import sources
from ..static.lint import label
from .netlist import VERSION

DOCS = ROOT / "docs"
FILE = "mutation.json"
WAIVERS = ROOT / "regression/mutation_waivers.hjson"
GOAL = 99.0  # percent
KILLED, PROVED, HOLE = "killed", "proved", "hole"
# What decides which mutants die: stimulus, scorer, engine, plan; of units and models those that a
# unit imports.
_JUDGES = ("tb/stimulus", "tb/check", "tb/bulk", "flow/bulk", "units", "models")
_FILES = ("flow/sim/bulk.py", "flow/build/bulk.py", "regression/plan.hjson")
_REGISTRY = ROOT / "units/__init__.py"  # imports every unit


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant.

    outcome  KILLED, PROVED or HOLE
    by       the check that fired, or how it was proved; of a hole, what came in the way
    scenario that killed it
    lines    of the RTL, `file:line`, the innermost first
    """

    number: int
    name: str
    wire: str
    lines: tuple[str, ...]
    outcome: str
    by: str = ""
    scenario: str = ""

    @property
    def port_and_fault(self) -> str:
        """What is done to which pin, or to which net, where it has a name."""
        cell, _, rest = self.name.partition(" ")
        return f"`{self.wire}`: {rest}" if self.wire else f"`{cell}` {rest}"

    @property
    def line(self) -> str:
        """The place that it is counted under."""
        return self.lines[0] if self.lines else "no line"


@dataclass(frozen=True)
class Result:
    """One analysis.

    sources   hash of what it depends on
    seconds   of the processor: build, simulation, proofs
    kills     scenario -> mutants that it killed first, in the order of play
    checks    check -> mutants that it killed
    proofs    method -> mutants
    lines     `file:line` -> [killed, proved, holes]
    holes     mutants that are neither killed nor proved
    """

    unit: str
    parameters: dict[str, int | str]
    seed: int
    measured: str
    sources: str
    mutants: int
    killed: int
    proved: int
    seconds: float
    kills: dict[str, int]
    checks: dict[str, int]
    proofs: dict[str, int]
    lines: dict[str, list[int]]
    holes: list[Verdict] = field(default_factory=list)

    @property
    def percent(self) -> float:
        """Killed of those not proved, in percent; 100 where all are proved."""
        left = self.mutants - self.proved
        return 100 * self.killed / left if left else 100.0

    @property
    def command(self) -> str:
        """That repeats it."""
        return f"make mutate UNIT={self.unit} COUNT={self.mutants} SEED={self.seed}"

    @classmethod
    def of(
        cls,
        unit: Unit,
        parameters: Parameters,
        seed: int,
        verdicts: Sequence[Verdict],
        order: Sequence[str],
        seconds: float,
    ) -> Result:
        """Count verdicts; `order`: the scenarios by name."""
        killed = [one for one in verdicts if one.outcome == KILLED]
        proved = [one for one in verdicts if one.outcome == PROVED]
        first = Counter(one.scenario for one in killed)
        places: dict[str, list[int]] = {}
        for one in verdicts:
            place = places.setdefault(one.line, [0, 0, 0])
            place[(KILLED, PROVED, HOLE).index(one.outcome)] += 1
        return cls(
            unit=unit.name,
            parameters=dict(parameters),
            seed=seed,
            measured=datetime.datetime.now().date().isoformat(),
            sources=digest(unit),
            mutants=len(verdicts),
            killed=len(killed),
            proved=len(proved),
            seconds=round(seconds, 1),
            kills={name: first[name] for name in order},
            checks=dict(Counter(one.by for one in killed).most_common()),
            proofs=dict(Counter(one.by for one in proved).most_common()),
            lines=dict(sorted(places.items(), key=lambda item: _place(item[0]))),
            holes=[one for one in verdicts if one.outcome == HOLE],
        )


def _place(line: str) -> tuple[str, int]:
    file, _, number = line.rpartition(":")
    return file, int(number) if number.isdigit() else 0


def digest(unit: Unit) -> str:
    """Hash of what a unit's number depends on, beside the configuration and the seed."""
    files = [*(RTL / name for name in unit.rtl), *judges(unit)]
    files += [ROOT / name for name in (*_FILES, *CHECKERS)]
    return sources.digest(files, f"netlist {VERSION}")


def judges(unit: Unit) -> list[Path]:
    """The sources in _JUDGES that playing a unit's mutants may load, and play.py."""
    folders = [ROOT / name for name in _JUDGES]
    player, descriptor = Path(__file__).with_name("play.py"), sys.modules[type(unit).__module__]
    found = {player: None, Path(str(descriptor.__file__)).resolve(): None}
    line = [*found, *(ROOT / name for name in _FILES if name.endswith(".py"))]
    for path in line:  # grows
        new = {one: None for one in _imported(path) if one.parent in folders}
        line += [one for one in new if one not in found]
        found |= new
    harness = [path for name in folders for path in name.glob("*.*") if path.suffix != ".py"]
    return sorted([*found, *harness])


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    """The project's modules that a module imports, without the registry of units."""
    found: list[Path] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        words = (node.module or "").split(".")
        if node.level:
            base = path.parents[node.level - 1]
        elif words[0] == "softnorm":
            base, words = ROOT, words[1:]
        else:
            continue
        base = base.joinpath(*filter(None, words))
        for place in (base, *(base / one.name for one in node.names)):
            some = (place.with_suffix(".py"), place / "__init__.py")
            found += [one for one in some if one.is_file() and one != _REGISTRY]
    return tuple(found)


# ------------------------------------------------------------------------------------- the file


def load(folder: Path = DOCS) -> dict[str, Result]:
    """What is kept, by command; nothing without a file. Raises UserError."""
    path = folder / FILE
    if not path.exists():
        return {}
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        return {by: _read(one) for by, one in given.items()}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"cannot read {short(path)}: {error!r}") from None


def _read(given: Mapping) -> Result:
    holes = [Verdict(**{**one, "lines": tuple(one["lines"])}) for one in given["holes"]]
    return Result(**{**given, "holes": holes})


def put(found: Result, folder: Path) -> str:
    """Keep a result in place of what the same command found before; return a line that says so.

    Raises UserError.
    """
    every = {**load(folder), found.command: found}
    path = folder / FILE
    parts = []
    for by in sorted(every):
        one = asdict(every[by])
        lists = {name: one.pop(name) for name in ("lines", "holes")}
        text = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in one.items()]
        lines = ",\n".join(f"  {json.dumps(place)}: {n}" for place, n in lists["lines"].items())
        text.append(f' "lines": {{\n{lines}\n }}')
        holes = ",\n".join(f"  {json.dumps(hole)}" for hole in lists["holes"])
        text.append(f' "holes": [\n{holes}\n ]' if holes else ' "holes": []')
        parts.append(f"{json.dumps(by)}: {{\n" + ",\n".join(text) + "\n}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, "{\n" + ",\n".join(parts) + "\n}\n")
    except OSError as error:
        raise UserError(f"cannot write {error.filename}: {error.strerror}") from None
    return f"written: {short(path)}; `make generate` writes it into the pages"


# ----------------------------------------------------------------------------- for the dashboard


@dataclass(frozen=True)
class Status:
    """A unit's mutation analysis at a glance: all seeds that are kept, together.

    older  whether sources have changed since
    """

    unit: str
    configuration: str
    seeds: tuple[int, ...]
    mutants: int
    killed: int
    proved: int
    holes: tuple[Verdict, ...]
    measured: str
    older: bool

    @property
    def percent(self) -> float:
        """Killed of those not proved, in percent."""
        left = self.mutants - self.proved
        return 100 * self.killed / left if left else 100.0

    @property
    def good(self) -> bool:
        """Whether it reaches the goal."""
        return self.percent >= GOAL


def status(units: Mapping[str, Unit], folder: Path = DOCS) -> dict[str, Status]:
    """Unit's name -> its status, for the units that have one. Raises UserError."""
    found: dict[str, list[Result]] = {}
    for one in load(folder).values():
        if one.unit in units:
            found.setdefault(one.unit, []).append(one)
    shown = {}
    for name in units:
        if name in found:
            several = sorted(found[name], key=lambda one: one.seed)
            unit = units[name]
            given = unit.others(several[0].parameters)
            shown[name] = Status(
                unit=name,
                configuration=label(given),
                seeds=tuple(dict.fromkeys(one.seed for one in several)),
                mutants=sum(one.mutants for one in several),
                killed=sum(one.killed for one in several),
                proved=sum(one.proved for one in several),
                holes=tuple(hole for one in several for hole in one.holes),
                measured=max(one.measured for one in several),
                older=any(one.sources != digest(unit) for one in several),
            )
    return shown


# ------------------------------------------------------------------------------------- waivers


@dataclass(frozen=True)
class Waiver:
    """Why holes of a line are none of the checks' fault: a proof, or a reason.

    unit        its name; `*`: every unit that has the file
    file, text  of the RTL: the file below rtl/ and a part of the line
    mutant      part of the mutant's name; empty: all of the line
    """

    unit: str
    file: str
    text: str
    mutant: str
    why: str

    def covers(self, unit: str, hole: Verdict, root: Path = ROOT) -> bool:
        """Whether it is about this hole."""
        if self.unit not in ("*", unit) or self.mutant not in hole.name:
            return False
        for place in hole.lines:
            file, _, number = place.rpartition(":")
            path = root / file
            if file == f"rtl/{self.file}" and path.exists():
                lines = path.read_text(encoding="utf-8").splitlines()
                if self.text in lines[int(number) - 1]:
                    return True
        return False


@cache
def waivers(path: Path = WAIVERS) -> list[Waiver]:
    """All of them; none without a file. Raises UserError for an entry that lacks something."""
    if not path.exists():
        return []
    try:
        return [Waiver(**{"mutant": "", **one}) for one in lists.entries(path, "waivers")]
    except TypeError as error:
        raise UserError(f"cannot read {short(path)}: {error}") from None
