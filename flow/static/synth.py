# SPDX-License-Identifier: Apache-2.0
"""Synthesis to generic cells with Yosys: how big a unit is, and that its memories are as promised.

Gates are what ABC makes of Yosys' default set: inverters, gates of two inputs and multiplexers,
each counted as one. They compare configurations; areas need a cell library. Memories stay memories
and hold their read registers; ROMs become gates.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from softnorm.units import UNITS, get
from softnorm.units.unit import Parameters, Unit

from .. import cli, tools
from ..errors import UserError
from ..paths import BUILD, write_whole
from ..sim.report import table_bytes
from .lint import elaborate, label, source, warnings

_FLIP_FLOP = re.compile(r"\$_(AL|S)?DFF")
_MEMORY = "$mem_v2"


class SynthesisError(UserError):
    """Yosys stopped, or what it made is not what the unit's descriptor says."""

    exit_code = 1


@dataclass(frozen=True)
class Result:
    """A configuration in generic cells.

    cells     Yosys cell type -> how many
    memories  instance path -> (words, bits a word), ROMs excluded
    """

    unit: Unit
    parameters: dict[str, int | str]
    cells: dict[str, int]
    memories: dict[str, tuple[int, int]]

    @property
    def flip_flops(self) -> int:
        """Flip-flops outside the memories."""
        return sum(n for cell, n in self.cells.items() if _FLIP_FLOP.match(cell))

    @property
    def latches(self) -> int:
        """Latches: always 0, or `synthesise` would have failed."""
        return sum(n for cell, n in self.cells.items() if "LATCH" in cell.upper())

    @property
    def gates(self) -> int:
        """All other cells."""
        sequential = self.flip_flops + self.latches + self.cells.get(_MEMORY, 0)
        return sum(self.cells.values()) - sequential

    @property
    def memory_bits(self) -> int:
        """Bits of all memories."""
        return sum(words * bits for words, bits in self.memories.values())

    @property
    def row_bits(self) -> int:
        """Bits that a row of MAX_LEN elements takes in the memories of beats."""
        return self.unit.row_bits(self.parameters)

    @property
    def element_bits(self) -> float:
        """The same of an element."""
        return 0.0 if self.unit.cell else self.row_bits / self.parameters["MAX_LEN"]

    def as_dict(self) -> dict:
        """All of it as JSON takes it."""
        return {
            "unit": self.unit.name,
            "parameters": self.parameters,
            "gates": self.gates,
            "flip_flops": self.flip_flops,
            "latches": self.latches,
            "memory_bits": self.memory_bits,
            "memories": self.memories,
            "row_bits": self.row_bits,
            "table_bytes": table_bytes(self.unit, self.parameters),
            "cells": self.cells,
            "tools": tools.versions("yosys"),
        }


def synthesise(unit: Unit, parameters: Parameters) -> Result:
    """Synthesise a unit with all of its parameters.

    Raises SynthesisError if Yosys stops, finds a latch, a loop, a net with two drivers or none, or
    if the memories are not those of `unit.storage`.
    """
    rtl = source(unit, parameters)
    with tempfile.TemporaryDirectory() as folder:
        memories, cells = Path(folder) / "memories.json", Path(folder) / "cells.json"
        ended = tools.yosys(
            [
                *elaborate(rtl),
                "select -assert-none t:$dlatch t:$adlatch t:$dlatchsr t:$sr",
                "flatten",
                "check -assert",
                # Written down before anything is optimised: a macro in place of sn_ram_1r1w has the
                # bits that always hold 0, too.
                "memory_collect",
                f"write_json {memories}",
                # From here as `synth` does it, but for the memories, which stay.
                "synth -flatten -run coarse:fine",
                "memory_map -rom-only",
                "opt -fast -full",
                "opt -full",
                "techmap",
                "opt -fast",
                "abc",
                "opt -fast",
                "clean",
                "check -assert",
                f"tee -q -o {cells} stat -json",
            ],
            rtl.root,
        )
        if not ended.ok:
            said = warnings(ended.stdout) + ended.stderr
            raise SynthesisError("\n    ".join([f"Yosys cannot synthesise {unit.name}:", *said]))
        result = Result(
            unit,
            dict(parameters),
            json.loads(cells.read_text())["design"]["num_cells_by_type"],
            _memories(json.loads(memories.read_text())["modules"][unit.name]),
        )
    promised = unit.storage(parameters)
    # By shape: how an instance is called is the RTL's own business.
    if sorted(result.memories.values()) != sorted(promised.values()):
        raise SynthesisError(
            f"the memories of {unit.name} are {_shapes(result.memories)}; "
            f"its descriptor says {_shapes(promised)}"
        )
    return result


def _memories(module: dict) -> dict[str, tuple[int, int]]:
    found = {}
    for cell in module["cells"].values():
        if cell["type"] == _MEMORY:
            ports, words, bits = (
                int(cell["parameters"][name], 2) for name in ("WR_PORTS", "SIZE", "WIDTH")
            )
            if ports:
                found[cell["parameters"]["MEMID"].lstrip("\\")] = (words, bits)
    return found


def _shapes(memories: Mapping[str, tuple[int, int]]) -> str:
    shapes = (f"{name} {words} x {bits}" for name, (words, bits) in memories.items())
    return ", ".join(shapes) or "none"


HEADER = (
    "unit",
    "configuration",
    "gates",
    "flip-flops",
    "latches",
    "memories",
    "memory bits",
    "bits a row",
    "an element",
    "table bytes",
)


def row(result: Result, configuration: Parameters) -> tuple[object, ...]:
    """Return a result as a row under HEADER."""
    return (
        result.unit.name,
        label(configuration),
        result.gates,
        result.flip_flops,
        result.latches,
        ", ".join(f"{words}x{bits}" for words, bits in result.memories.values()) or "none",
        result.memory_bits,
        result.row_bits,
        f"{result.element_bits:.2f}",
        f"{table_bytes(result.unit, result.parameters):g}",
    )


def synth(
    name: str | None = None,
    given: Parameters | None = None,
    folder: Path = BUILD / "synth",
    keep: Callable[[list[Result]], None] = lambda _: None,
) -> int:
    """Synthesise configurations, print progress and a table, write a JSON file for each.

    With `given`, the one configuration with these parameters over the defaults; else all that the
    unit's descriptor lists; without a name, those of all units. `keep` gets the results. Returns
    how many failed. Raises ParameterError for a unit or parameter that does not exist, and
    UserError without pyosys.
    """
    tools.package("pyosys")
    units = [get(name)] if name else list(UNITS.values())
    wanted = {
        f"{unit.name}  {label(configuration)}": (unit, configuration, unit.resolve(configuration))
        for unit in units
        for configuration in ([given] if given else unit.configurations)
    }
    start = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    results, failures = {}, {}
    jobs = {key: partial(_try, unit, full) for key, (unit, _, full) in wanted.items()}
    for number, (key, result, seconds) in enumerate(tools.parallel(jobs), 1):
        failed = isinstance(result, SynthesisError)
        (failures if failed else results)[key] = result
        print(
            f"[{number}/{len(jobs)}] {seconds:5.1f} s  {key}: {'FAILED' if failed else 'ok'}",
            flush=True,
        )
        if not failed:
            words = [f"{parameter}={value}" for parameter, value in result.parameters.items()]
            file = folder / f"{'_'.join([result.unit.name, *words])}.json"
            write_whole(file, json.dumps(result.as_dict(), indent=2) + "\n")
    if results:
        rows = [row(results[key], wanted[key][1]) for key in wanted if key in results]
        print(f"\n{cli.table(rows, HEADER)}\n")
        print(
            "bits a row: what MAX_LEN elements take in the buffer between the passes, whole beats"
        )
        keep([results[key] for key in wanted if key in results])
    for key, error in failures.items():
        print(f"\n{key}\n    {error}")
    print(
        f"\nsynth: {len(jobs)} configurations, {len(failures)} failed, "
        f"{time.monotonic() - start:.1f} s; details in {folder}"
    )
    return len(failures)


def _try(unit: Unit, parameters: Parameters) -> Result | SynthesisError:
    # One that fails does not keep the others from their results.
    try:
        return synthesise(unit, parameters)
    except SynthesisError as error:
        return error


def arguments(
    words: Sequence[str],
) -> tuple[str | None, dict[str, int | str], Path | None]:
    """Return (unit, parameters, OUT=) of `[UNIT] [NAME=VALUE ...]`, as `UNIT=name`, too.

    Raises UserError for anything else, and for parameters without a unit; ParameterError for a
    unit that does not exist or a value that is no number.
    """
    names = [word for word in words if "=" not in word]
    given = cli.words([word for word in words if "=" in word])
    out = Path(given.pop("OUT")) if "OUT" in given else None
    if "UNIT" in given:
        names.append(given.pop("UNIT"))
    if len(names) > 1 or (given and not names):
        raise UserError("give one unit, then its parameters as NAME=VALUE, or nothing")
    return (names[0], get(names[0]).parse(given), out) if names else (None, {}, out)
