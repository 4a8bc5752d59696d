# SPDX-License-Identifier: Apache-2.0
"""The residual adder, a stream cell: the descriptor (docs/units/residual_add.md).

It has two input streams, and the bench of the units drives one: this says what lint, synthesis and
the manifests need. Its rows are driven and compared by tests/rtl/test_residual_add.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softnorm.models.stream_cells import ResidualAdd

from .coverage import Coverage
from .quantise import CELL
from .unit import Outputs, Parameters, Rows, Setting, Unit


@dataclass(frozen=True)
class ResidualAddUnit(Unit):
    """See `units.unit.Unit`. What takes rows of one stream raises NotImplementedError."""

    value_unit = "output steps"
    cell = True

    def settings(self, parameters: Parameters) -> tuple[Setting, ...]:
        return ()

    def input_dtype(self, parameters: Parameters) -> np.dtype:
        return self.model(**parameters).in_dtype

    def out_dtype(self, parameters: Parameters) -> np.dtype:
        return self.model(**parameters).in_dtype

    def predict(self, parameters: Parameters, rows: Rows) -> Outputs:
        raise NotImplementedError("rows of two streams: softnorm.models.stream_cells.ResidualAdd")

    def values(
        self, parameters: Parameters, rows: Rows, outputs: Outputs
    ) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError("rows of two streams: softnorm.models.stream_cells.ResidualAdd")

    def accuracy(self, parameters: Parameters, rows: Rows, outputs: Outputs) -> dict[str, float]:
        return {}

    def latency(self, parameters: Parameters) -> tuple[int, ...]:
        return (2,)

    def storage(self, parameters: Parameters) -> dict[str, tuple[int, int]]:
        return {}

    def coverage(self, parameters: Parameters) -> Coverage:
        return Coverage()

    def sample(self, coverage: Coverage, parameters: Parameters, rows: Rows) -> None:
        return


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
