# SPDX-License-Identifier: Apache-2.0
"""LEF: the part of the format that placing, routing and wire capacitances need.

Lengths in micrometres, capacitances in femtofarads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import UserError

Box = tuple[float, float, float, float]  # left, bottom, right, top


class LefError(UserError):
    """The file is no LEF file, or lacks what the flow needs of one."""


@dataclass(frozen=True)
class Layer:
    """A routing layer: `across` where its preferred direction is horizontal."""

    name: str
    across: bool
    pitch: float
    offset: float
    width: float
    capacitance: float  # of a micrometre of the narrowest wire, bottom and both edges


@dataclass(frozen=True)
class Macro:
    """A cell's size, and the shapes of each pin by layer, from its lower left corner."""

    name: str
    width: float
    height: float
    pins: dict[str, list[tuple[str, Box]]]

    def pin(self, name: str) -> tuple[float, float]:
        """The centre of a pin's largest shape. Raises LefError."""
        shapes = self.pins.get(name)
        if not shapes:
            raise LefError(f"the LEF file has no pin {name} of {self.name}")
        _, box = max(shapes, key=lambda shape: _size(shape[1]))
        return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


@dataclass(frozen=True)
class Technology:
    """Layers from the lowest to the highest, and cells by name. site: width of a place in a row."""

    path: Path
    layers: tuple[Layer, ...]
    site: float
    height: float
    macros: dict[str, Macro] = field(repr=False)

    def macro(self, name: str) -> Macro:
        """A cell. Raises LefError."""
        if name not in self.macros:
            raise LefError(f"{self.path} has no cell {name}")
        return self.macros[name]

    def layer(self, name: str) -> Layer:
        """A routing layer. Raises LefError."""
        found = next((layer for layer in self.layers if layer.name == name), None)
        if found is None:
            raise LefError(f"{self.path} has no routing layer {name}")
        return found

    @property
    def capacitance(self) -> float:
        """Of a micrometre of wire whose layer is not known: the mean of the second and third, on
        which the router starts."""
        return (self.layers[1].capacitance + self.layers[2].capacitance) / 2


def _size(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def load(path: Path) -> Technology:
    """What is in a LEF file. Raises LefError."""
    try:
        return parse(path.read_text(encoding="utf-8", errors="replace"), path)
    except OSError as error:
        raise LefError(f"cannot read {path}: {error.strerror}") from None


def parse(text: str, path: Path) -> Technology:
    """What is in a LEF file's text. Raises LefError."""
    text = re.sub(r"#[^\n]*", "", text)
    layers = [layer for found in _blocks(text, "LAYER") if (layer := _layer(*found))]
    sites = [re.search(r"SIZE\s+(\S+)\s+BY\s+(\S+)", body) for _, body in _blocks(text, "SITE")]
    macros = {name: _macro(name, body) for name, body in _blocks(text, "MACRO")}
    if len(layers) < 3 or not macros or not sites or sites[0] is None:
        raise LefError(f"{path} is no LEF file with cells, a site and three routing layers")
    site, height = map(float, sites[0].groups())
    return Technology(path, tuple(layers), site, height, macros)


def _blocks(text: str, kind: str) -> list[tuple[str, str]]:
    """(name, body) of each block from `kind name` to `END name` at the start of a line."""
    return re.findall(rf"^{kind}\s+(\S+)\s*\n(.*?)^END\s+\1\s*$", text, re.M | re.S)


def _number(body: str, name: str) -> float | None:
    found = re.search(rf"^\s*{name}\s+([-+.\deE]+)", body, re.M)
    return float(found[1]) if found else None


def _layer(name: str, body: str) -> Layer | None:
    if not re.search(r"TYPE\s+ROUTING", body):
        return None
    pitch, width = (_number(body, word) for word in ("PITCH", "WIDTH"))
    area, edge = (_number(body, w) for w in (r"CAPACITANCE\s+CPERSQDIST", "EDGECAPACITANCE"))
    if None in (pitch, width, area, edge):
        raise LefError(f"the LEF file gives no pitch, width or capacitances of layer {name}")
    across = bool(re.search(r"DIRECTION\s+HORIZONTAL", body))
    # The file has picofarads a square micrometre, and a micrometre of each edge.
    femtofarads = 1000 * (area * width + 2 * edge)
    return Layer(name, across, pitch, _number(body, "OFFSET") or 0.0, width, femtofarads)


def _macro(name: str, body: str) -> Macro:
    size = re.search(r"SIZE\s+(\S+)\s+BY\s+(\S+)", body)
    if size is None:
        raise LefError(f"the LEF file gives no size of {name}")
    pins = {}
    for pin, inside in re.findall(r"^\s+PIN\s+(\S+)\s*\n(.*?)^\s+END\s+\1\s*$", body, re.M | re.S):
        shapes, layer = [], ""
        for word, rest in re.findall(r"\b(LAYER|RECT)\s+([^;]+);", inside):
            if word == "LAYER":
                layer = rest.strip()
            else:
                shapes.append((layer, tuple(map(float, rest.split()))))
        pins[pin] = shapes
    return Macro(name, float(size[1]), float(size[2]), pins)
