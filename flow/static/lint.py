# SPDX-License-Identifier: Apache-2.0
"""Lint: units and systems in every configuration through every front end; Python: ruff, pyright.

A finding is any line that a tool says about sources that ought to be clean, or the acceptance of
parameters that ought to stop it.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from softnorm.units import UNITS, get
from softnorm.units.unit import Parameters, Unit

from .. import cli, tools
from ..errors import UserError
from ..paths import ROOT, RTL
from . import types
from .systems import SYSTEMS, System


@dataclass(frozen=True)
class Source:
    """A top module, its files (in compile order, relative to `root`) and the RTL's parameters.

    waivers    files of them, for Verilator
    generated  those of its files of which slang's warnings do not count
    """

    top: str
    root: Path
    files: tuple[str, ...]
    parameters: Mapping[str, int]
    waivers: tuple[str, ...] = ()
    generated: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """Whether a front end accepted a source, and the lines in which it complained."""

    accepted: bool
    said: list[str]


def source(unit: Unit | System, parameters: Parameters) -> Source:
    """Return the RTL of a unit with all of its parameters, or of a system."""
    # Relative to the project's root, so that findings read well.
    files = tuple(f"{RTL.name}/{file}" for file in unit.rtl)
    made = Source(unit.name, RTL.parent, files, unit.rtl_parameters(parameters))
    if isinstance(unit, Unit):
        return made
    folder = f"{RTL.name}/{unit.folder}"
    return replace(
        made,
        waivers=(f"{folder}/{unit.waivers}",) if unit.waivers else (),
        generated=tuple(f"{folder}/{file}.sv" for file in unit.generated),
    )


def label(configuration: Parameters) -> str:
    """Return a configuration as it is shown: `LANES=8 MAX_LEN=256`, or `defaults`."""
    return " ".join(f"{name}={value}" for name, value in configuration.items()) or "defaults"


# --- front ends -----------------------------------------------------------------------------------


def verilator(source: Source) -> Outcome:
    """Verilator's lint with all warnings."""
    ended = tools.run(
        [
            "verilator",
            "--lint-only",
            "-Wall",
            "--quiet",
            "--top-module",
            source.top,
            *(f"-G{name}={value}" for name, value in source.parameters.items()),
            *source.waivers,
            *source.files,
        ],
        source.root,
        tools.verilator_env(),
    )
    return _outcome(ended)


def icarus(source: Source) -> Outcome:
    """Icarus Verilog's compiler with all warnings, making nothing."""
    ended = tools.run(
        [
            "iverilog",
            "-g2012",
            "-Wall",
            "-tnull",
            f"-s{source.top}",
            *(f"-P{source.top}.{name}={value}" for name, value in source.parameters.items()),
            *source.files,
        ],
        source.root,
    )
    return _outcome(ended)


_SLANG_WARNINGS = (
    "-Wextra",
    "-Wunused",
    "-Wconversion",
    # `logic [3:0] f = data[i+:4]` with an int i is one: an index makes the slice signed to slang.
    "-Wno-sign-conversion",
    # [N-1:0][W-1:0] to [N*W-1:0] is how lanes go in and out of the stream's flat ports.
    "-Wno-packed-array-conv",
    # W'(x) has to stand where W comes from a parameter; for one of its values it changes nothing.
    "-Wno-useless-cast",
    # The RTL's own sign that bits are not needed: assign unused = ^{...}.
    "-Wno-unused-but-set-variable",
)


def slang(source: Source) -> Outcome:
    """Slang's elaboration and analysis: latches, several drivers, conversions, unused names."""
    ended = tools.slang(
        [
            *_SLANG_WARNINGS,
            f"--top={source.top}",
            *(f"-G{name}={value}" for name, value in source.parameters.items()),
            *(f"--suppress-warnings={file}" for file in source.generated),
            *source.files,
        ],
        source.root,
    )
    return _outcome(ended)


_REGISTERS = (
    *(
        f"${kind}{enable}"
        for kind in ("dff", "adff", "sdff", "aldff", "dffsr")
        for enable in ("", "e")
    ),
    "$sdffce",
    "$mem_v2",
    "$memrd_v2",
)
# On elaborated modules and again on the flat design, where loops through several modules close. Two
# drivers of a net, loops and nets without a driver are check's findings; it knows latches, too, but
# passes over those that the source asked for.
_YOSYS_CHECKS = (
    "select -assert-none t:$dlatch t:$adlatch t:$dlatchsr t:$sr",
    "check -assert",
    "flatten",
    "check -assert",
    # Outputs come from flip-flops: no input reaches an output but through one (docs/stream.md).
    "opt_clean",
    f"select -assert-none o:* %ci*:-{','.join(_REGISTERS)} i:* %i",
)


def yosys(source: Source) -> Outcome:
    """Yosys' own front end, then checks on the elaborated design."""
    return _yosys_outcome(source, *passes(source), *_YOSYS_CHECKS)


def passes(source: Source) -> tuple[str, ...]:
    """Return the passes that read a source with Yosys' own front end, of any version."""
    parameters = "".join(f" -chparam {name} {value}" for name, value in source.parameters.items())
    return (
        f"read_verilog -sv -defer {' '.join(source.files)}",
        f"hierarchy -check -top {source.top}{parameters}",
        "proc",
    )


def yosys_slang(source: Source) -> Outcome:
    """Slang as the front end of Yosys, which is what synthesis uses, then the same checks."""
    return _yosys_outcome(source, *elaborate(source), *_YOSYS_CHECKS)


def elaborate(source: Source) -> tuple[str, ...]:
    """Return the Yosys passes that read a source through slang."""
    parameters = "".join(f" -G {name}={value}" for name, value in source.parameters.items())
    return (
        f"read_slang --top {source.top}{parameters} {' '.join(source.files)}",
        f"hierarchy -check -top {source.top}",
        "proc",
    )


def _yosys_outcome(source: Source, *passes: str) -> Outcome:
    ended = tools.yosys(passes, source.root)
    return _outcome(tools.Ended(ended.ok, warnings(ended.stdout), ended.stderr))


def warnings(log: Sequence[str]) -> list[str]:
    """Return the warnings of a Yosys log, each with its details: the indented lines below it."""
    found, inside = [], False
    for line in log:
        inside = "warning:" in line.lower() or (inside and line.startswith(" "))
        if inside:
            found.append(line)
    return found


def _outcome(ended: tools.Ended) -> Outcome:
    said = ended.stdout + ended.stderr
    if not ended.ok and not said:
        said = ["failed without a word"]
    return Outcome(ended.ok, said)


# The part of a name before "+" is what `--only` selects.
FRONT_ENDS: dict[str, Callable[[Source], Outcome]] = {
    "verilator": verilator,
    "icarus": icarus,
    "slang": slang,
    "yosys": yosys,
    "yosys+slang": yosys_slang,
}
_RUFF = {
    "check": ("check", "--quiet", "--output-format=concise", "."),
    "format": ("format", "--check", "--quiet", "--output-format=concise", "."),
}
TOOLS = ("verilator", "icarus", "slang", "yosys", "ruff", "pyright")


def _require(tool: str) -> None:
    if tool == "verilator":
        tools.require_verilator()
    elif tool == "icarus":
        tools.require_icarus()
    elif tool == "pyright":
        if not types.installed():
            raise UserError(f"pyright is not installed; run: {tools.install('types')}")
    else:
        tools.package({"slang": "pyslang", "yosys": "pyosys", "ruff": "ruff"}[tool])


# --- checks ---------------------------------------------------------------------------------------


def clean(front_end: Callable[[Source], Outcome], source: Source) -> list[str]:
    """Return the findings in sources that ought to have none."""
    return front_end(source).said


def refused(
    front_end: Callable[[Source], Outcome], source: Source, wrong: Collection[str]
) -> list[str]:
    """Return the findings if wrong values of the parameters `wrong` do not stop a front end.

    It has to stop with a message that names one of them, as the unit's own check words it.
    """
    outcome = front_end(source)
    if outcome.accepted:
        return ["accepted"]
    message = re.compile(rf"{source.top}_error_({'|'.join(wrong)})_must_be_")
    if not any(message.search(line) for line in outcome.said):
        return [f"stopped, but no message says what {' or '.join(wrong)} must be:", *outcome.said]
    return []


def ruff(command: str) -> list[str]:
    """Return the findings of ruff's `check` or `format` over all of the project's Python."""
    ended = tools.run([sys.executable, "-m", "ruff", *_RUFF[command]], ROOT)
    return [] if ended.ok else _outcome(ended).said


def checks(
    units: Collection[Unit | System], only: Collection[str]
) -> dict[str, Callable[[], list[str]]]:
    """Return what lint does with these and tools: name -> a function that gives findings.

    Raises ParameterError if a unit does not take one of its own configurations.
    """
    jobs: dict[str, Callable[[], list[str]]] = {}
    front_ends = {name: f for name, f in FRONT_ENDS.items() if name.partition("+")[0] in only}
    for unit, (name, front_end) in itertools.product(units, front_ends.items()):
        if isinstance(unit, System) and name in unit.cannot_read:
            continue
        for given in unit.configurations:
            good = source(unit, unit.resolve(given))
            jobs[f"{unit.name}  {label(given)}  {name}"] = partial(clean, front_end, good)
        for given in unit.bad_configurations:
            bad = source(unit, {**unit.defaults, **given})
            job = partial(refused, front_end, bad, given)
            jobs[f"{unit.name}  {label(given)} must be refused  {name}"] = job
    if "ruff" in only:
        jobs |= {f"python  ruff {command}": partial(ruff, command) for command in _RUFF}
    if "pyright" in only:
        jobs["python  pyright"] = types.check
    return jobs


def lint(names: Sequence[str] = (), only: Collection[str] = TOOLS) -> int:
    """Check the named units and systems (none: all) with the tools `only`; print what is found.

    Returns how many checks had findings. Raises ParameterError for an unknown unit, and UserError
    for a tool that is unknown or not installed.
    """
    for tool in only:
        if tool not in TOOLS:
            raise UserError(f"there is no tool {tool!r}; there are: {', '.join(TOOLS)}")
        _require(tool)
    named = [SYSTEMS.get(name) or get(name) for name in names or (*UNITS, *SYSTEMS)]
    jobs = checks(named, only)
    start = time.monotonic()
    findings = {}
    for number, (name, found, seconds) in enumerate(tools.parallel(jobs), 1):
        findings[name] = found
        verdict = "FINDINGS" if found else "ok"
        print(f"[{number:3}/{len(jobs)}] {seconds:5.1f} s  {name}: {verdict}", flush=True)
    # In the order of the jobs, which does not change from run to run.
    bad = [name for name in jobs if findings[name]]
    for name in bad:
        print(f"\n{name}", *findings[name], sep="\n    ")
    print(f"\nlint: {len(jobs)} checks, {len(bad)} with findings, {time.monotonic() - start:.1f} s")
    return len(bad)


def arguments(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return (units, tools) of `[UNIT ...] [UNIT=name] [ONLY=tool,...]`; raises UserError."""
    names = [word for word in words if "=" not in word]
    given = cli.words([word for word in words if "=" in word])
    if "UNIT" in given:
        names.append(given.pop("UNIT"))
    usual = list(TOOLS)
    # pyright is large: only CI must have it.
    if "ONLY" not in given and not types.installed() and "CI" not in os.environ:
        usual.remove("pyright")
        print(f"types are not checked; for that run: {tools.install('types')}")
    only = given.pop("ONLY", ",".join(usual)).split(",")
    if given:
        raise UserError(f"lint takes UNIT= and ONLY=, not {next(iter(given))}=")
    return names, only
