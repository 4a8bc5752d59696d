# SPDX-License-Identifier: Apache-2.0
"""Hashes of the sources of each figure, to detect figures of older sources.

Comments, docstrings, imports and blank space are ignored: they change no figure.
"""

from __future__ import annotations

import ast
import hashlib
import io
import re
import tokenize
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from softnorm.units.unit import Unit

from .. import tools
from ..paths import DATA, ROOT, RTL

_HERE = Path(__file__).parent
_GATES = ("netlist.py", "timing.py", "liberty.py", "memory_boundary.v")
_WIRES = ("lef.py", "design.py", "place.py", "buffers.py", "route.py", "figures.py")
_ENERGY = ("measure.py", "simulation.py", "power.py")


def gates(unit: Unit) -> str:
    """Hash of the sources of areas and delays: the unit's RTL, the flow to gates, Yosys."""
    files = [*_rtl(unit), *(_HERE / name for name in _GATES)]
    return digest(files, tools.versions("yosys")["pyosys"])


def energy(unit: Unit) -> str:
    """Hash of what energies depend on: the gates, how they are simulated, the rows."""
    return digest([_HERE / name for name in _ENERGY], gates(unit), rows(unit.tensors))


def wires(unit: Unit) -> str:
    """Hash of the sources of figures with wires: those of energies, and how a unit is placed."""
    return digest([_HERE / "wires" / name for name in _WIRES], energy(unit))


def fpga(unit: Unit) -> str:
    """Hash of the sources of FPGA figures; the tools' versions are in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = project["project"]["optional-dependencies"]["fpga"]
    versions = [tools.versions("yosys")["pyosys"], *wanted]
    return digest([*_rtl(unit), _HERE / "fpga.py"], *versions)


def _rtl(unit: Unit) -> list[Path]:
    return [RTL / name for name in unit.rtl]


def digest(files: Iterable[Path], *more: str) -> str:
    """Hash of these files' code and of these words."""
    found = hashlib.sha256("\0".join(more).encode())
    for file in files:
        found.update(f"\0{file.name}\0{_code(file)}".encode())
    return found.hexdigest()[:16]


@cache
def rows(tensors: str) -> str:
    """Hash of a unit's tensors; empty for a cell, which has none."""
    return hashlib.sha256((DATA / tensors).read_bytes()).hexdigest() if tensors else ""


@cache
def _code(path: Path) -> str:
    return code(path.read_text(encoding="utf-8"), python=path.suffix == ".py")


def code(text: str, python: bool) -> str:
    """A source's text without comments, docstrings, imports and space at ends of lines."""
    if not python:
        text = re.sub(r"//[^\n]*", "", text)
    else:
        lines = text.splitlines()
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                lines[token.start[0] - 1] = lines[token.start[0] - 1][: token.start[1]]
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                lines[node.lineno - 1 : node.end_lineno] = [""] * (
                    node.end_lineno - node.lineno + 1
                )
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                first = node.body[0] if node.body else None
                if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                    lines[first.lineno - 1 : first.end_lineno] = [""] * (
                        first.end_lineno - first.lineno + 1
                    )
        text = "\n".join(lines)
    return "\n".join(line for line in map(str.strip, text.splitlines()) if line)
