# SPDX-License-Identifier: Apache-2.0
"""What a place of an ONNX graph computes, in rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto

from ..calibration.fit import RealNorm

Given = Sequence[np.ndarray | None]  # a node's inputs; None is one that is left out


class Refused(Exception):
    """A node that cannot be taken apart; its text says why."""


@dataclass(frozen=True)
class Part:
    """What a site computes of its inputs: rows, and how outputs are made of what becomes of them.

    rows: float32 or float64 [..., length]. finish: rows of that shape -> the site's outputs, in
    order. norm: of a norm, the float one. heads: of a softmax, rows are [.., heads, queries, keys]
    if it is not 1.
    """

    rows: np.ndarray
    finish: Callable[[np.ndarray], list[np.ndarray]]
    norm: RealNorm | None = None
    heads: int = 1


Split = Callable[[Given], Part]


def attributes(node: NodeProto) -> dict[str, object]:
    """A node's attributes by name; text as str."""
    found = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in found.items()}


def at(given: Given, place: int) -> np.ndarray | None:
    """An input, None if the node has not so many."""
    return given[place] if place < len(given) else None


def as_float(x: np.ndarray) -> np.ndarray:
    """What a site computes with: float64 as it is, all else as float32."""
    return x if x.dtype == np.float64 else x.astype(np.float32)
