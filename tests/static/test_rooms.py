# SPDX-License-Identifier: Apache-2.0
"""Import rules between folders: allowed directions, no cycles."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from softnorm.flow.paths import ROOT

TOPS = ("models", "units", "tb", "flow")  # from the ground up: each imports those before it
# Rooms of a folder, from the ground up; files beside them are below all.
FLOORS = {
    "tb": ("stimulus", "check", "bulk", "uvm"),
    "flow": (
        *("drawings", "coverage", "build", "bulk", "sim", "static", "networks"),
        *(
            "calibration",
            "capture",
            "accuracy",
            "regress",
            "pytorch",
            "onnx",
            "ppa",
            "mutate",
            "bench",
            "pages",
            "formal",
            "dashboard",
        ),
    ),
}
OUTSIDE = {
    "models": {"numpy", "array_api_compat"},  # the second for others' arrays: test_arrays.py
    "units": {"numpy"},
    "tb": {"numpy"},
    "tb/uvm": {"numpy", "cocotb", "cocotb_bus", "pyuvm"},
}
# Optional, each for one room: no other command may need them.
OPTIONAL = {
    "flow/pytorch": {"torch", "transformers"},
    "flow/onnx": {"onnx", "onnxruntime", "ai_edge_litert", "flatbuffers"},
}


def module(path: Path) -> str:
    """The dotted name of a file, as it is imported."""
    inside = path.relative_to(ROOT).with_suffix("")
    return ".".join(("softnorm", *inside.parts)).removesuffix(".__init__")


FILES = {module(path): path for top in TOPS for path in (ROOT / top).rglob("*.py")}


def imports(path: Path, of: str = "") -> Iterator[str]:
    """Modules that a file imports, with absolute names."""
    package = of if path.name == "__init__.py" else of.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [base])])
            for name in node.names:
                full = f"{base}.{name.name}"
                yield full if full in FILES else base


def room(name: str) -> str:
    """The folder that a module stands in."""
    place = FILES[name].parent.relative_to(ROOT)
    return place.parts[0] if len(place.parts) == 1 else f"{place.parts[0]}/{place.parts[1]}"


@functools.cache
def arrows() -> set[tuple[str, str]]:
    """(importer, imported) of all modules; a room's own face, its __init__, is no arrow."""
    found = set()
    for name, path in FILES.items():
        for target in imports(path, name):
            if target in FILES and not name.startswith(f"{target}."):
                found.add((name, target))
    return found


@pytest.mark.parametrize("name", FILES)
def test_a_module_imports_what_its_room_may(name):
    path = FILES[name]
    named = {target.partition(".")[0] for target in imports(path, name)}
    outside = named - sys.stdlib_module_names - {"softnorm"}
    allowed = OUTSIDE.get(room(name), OUTSIDE.get(room(name).partition("/")[0]))
    if allowed is not None:
        assert outside <= allowed
    else:
        assert not outside & {"cocotb", "cocotb_bus", "pyuvm"}, "only tb/uvm is inside a simulator"
        for place, packages in OPTIONAL.items():
            assert room(name) == place or not outside & packages


def test_no_import_runs_back_up():
    for importer, imported in sorted(arrows()):
        mine, other = importer.split(".")[1], imported.split(".")[1]
        assert TOPS.index(other) <= TOPS.index(mine), f"{importer} imports {imported}"
        floors = FLOORS.get(mine, ())
        rooms = [name.partition("/")[2] for name in (room(importer), room(imported))]
        if mine == other and all(name in floors for name in rooms):
            assert floors.index(rooms[1]) <= floors.index(rooms[0]), (
                f"{importer} imports {imported}"
            )
        if mine == other == "flow" and not rooms[0]:
            assert not rooms[1], f"{importer}, which all rooms use, imports {imported}"


def test_every_room_has_its_floor():
    for top, floors in FLOORS.items():
        here = {path.name for path in (ROOT / top).iterdir() if (path / "__init__.py").exists()}
        assert here == set(floors)


def test_no_circle():
    graph: dict[str, set[str]] = {}
    for importer, imported in arrows():
        graph.setdefault(importer, set()).add(imported)
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"these import each other: {' -> '.join(error.args[1])}")


def test_the_simulators_side_is_imported_by_nobody_else():
    for importer, imported in arrows():
        if room(imported) == "tb/uvm":
            assert room(importer) == "tb/uvm", f"{importer} imports {imported}"
