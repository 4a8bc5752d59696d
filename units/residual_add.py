# SPDX-License-Identifier: Apache-2.0
"""The residual adder, a stream cell: the descriptor (docs/units/residual_add.md).

RTL in rtl/residual_add. The second input stream is an operand of the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from softnorm.models.stream_cells import ResidualAdd

from .coverage import Coverage
from .quantise import CELL
from .unit import Edge, Operand, Outputs, Parameters, Rows, Setting, Unit

_SIGNS = ("least", "negative", "0", "positive", "largest")
# Sums around the two ends and around 0; the ends of a byte, where a carry may be cut.
_SUMS = (-2, -1, 0, 1, 2)
_EDGE = 42  # elements of a row of them


@dataclass(frozen=True)
class ResidualAddUnit(Unit):
    """See `units.unit.Unit`."""

    value_unit = "output steps"
    cell = True
    operands = (Operand("residual", "r_axis"),)

    def settings(self, parameters: Parameters) -> tuple[Setting, ...]:
        return ()

    def input_dtype(self, parameters: Parameters) -> np.dtype:
        return self.model(**parameters).in_dtype

    def out_dtype(self, parameters: Parameters) -> np.dtype:
        return self.model(**parameters).in_dtype

    def edges(self, parameters: Parameters) -> Iterator[Edge]:
        """Sums around both ends, around 0 and around each power of two, from operands of all sizes.

        Each pair the one way round and the other.
        """
        width = parameters["IN_W"]
        ends = np.iinfo(f"int{width}")
        for size in range(width):
            part = min(1 << size, ends.max)
            sums = [one + by for one in (ends.min, 0, part, -part, ends.max) for by in _SUMS]
            x = np.repeat([part, -part, ends.max - part, ends.min + part, 0], len(sums))
            x = np.clip(x, ends.min, ends.max)
            residual = np.clip(np.tile(sums, 5) - x, ends.min, ends.max)
            for at in range(0, len(x), _EDGE):
                some = [values[at : at + _EDGE].astype(ends.dtype) for values in (x, residual)]
                for one, other in (some, some[::-1]):
                    yield Edge(one, {}, operands=(other,))

    def predict(self, parameters: Parameters, rows: Rows) -> Outputs:
        result = self.model(**parameters)(rows.x, *rows.operands, rows.mask)
        return Outputs(result.out, result.exponent)

    def values(
        self, parameters: Parameters, rows: Rows, outputs: Outputs
    ) -> tuple[np.ndarray, np.ndarray]:
        ends = np.iinfo(f"int{parameters['IN_W']}")
        (residual,) = rows.operands
        exact = np.clip(rows.x.astype(float) + residual, ends.min, ends.max)
        return outputs.out.astype(float), np.where(rows.mask, exact, 0)

    def accuracy(self, parameters: Parameters, rows: Rows, outputs: Outputs) -> dict[str, float]:
        """Nothing: it is exact, and saturates."""
        return {}

    def latency(self, parameters: Parameters) -> tuple[int, ...]:
        return (2,)

    def storage(self, parameters: Parameters) -> dict[str, tuple[int, int]]:
        return {}

    def coverage(self, parameters: Parameters) -> Coverage:
        c = Coverage()
        c.group("sum")
        c.point("input", _SIGNS, "an element of s_axis")
        c.point("residual", _SIGNS, "an element of r_axis")
        c.point("end", ("low", "between", "high"), "end at which a sum saturates")
        c.point(
            "close",
            ("low - 1", "low", "low + 1", "high - 1", "high", "high + 1"),
            "a sum at an end, before saturation",
        )
        c.cross("input x residual", ("input", "residual"), "signs and ends of both")
        return c

    def sample(self, coverage: Coverage, parameters: Parameters, rows: Rows) -> None:
        ends = np.iinfo(f"int{parameters['IN_W']}")

        def sign(x: np.ndarray) -> np.ndarray:
            bins = (x > ends.min).astype(int) + (x >= 0) + (x > 0) + (x == ends.max)
            return np.where(rows.mask, bins, -1)

        (residual,) = rows.operands
        coverage.sample(
            *("input x residual", sign(rows.x), sign(residual)), axes=("input", "residual")
        )
        total = rows.x.astype(np.int64) + residual
        end = np.where(total < ends.min, 0, np.where(total > ends.max, 2, 1))
        coverage.sample("end", np.where(rows.mask, end, -1))
        near = np.full(total.shape, -1)
        for place, where in enumerate((ends.min, ends.max)):
            by = total - where + 1
            near = np.where((by >= 0) & (by <= 2), by + 3 * place, near)
        coverage.sample("close", np.where(rows.mask, near, -1))


RESIDUAL_ADD = ResidualAddUnit(
    name="residual_add",
    title="Residual adder, a stream cell: saturated sum of two streams",
    model=ResidualAdd,
    rtl=(*CELL, "common/sn_row_output.sv", "residual_add/residual_add.sv"),
    in_dtype=np.dtype(np.int32),
    tensors="",
    configurations=({}, {"LANES": 1, "IN_W": 16}, {"LANES": 8}, {"LANES": 64, "IN_W": 16}),
    bad_configurations=({"LANES": 3}, {"LANES": 128}, {"IN_W": 8}, {"IN_W": 24}),
)
