# SPDX-License-Identifier: Apache-2.0
"""The requantiser, a stream cell: the descriptor (docs/units/quantise.md; RTL in rtl/quantise)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from softnorm.models.stream_cells import INT8, QMULT, QSHIFT, UINT8, ZERO_POINT, Quantise

from .coverage import Coverage
from .unit import Edge, Outputs, Parameters, Rows, Setting, Unit

CELL = ("common/sn_keep_check.sv", "common/sn_skid.sv")  # of every stream cell

_FITTED = 0.8  # share of random rows whose scale fits their inputs
_ZERO_POINTS = (0, ZERO_POINT[0], ZERO_POINT[1], 7)
# Results before saturation: both ends of both ranges, and those around 0.
_RESULTS = np.array([-130, -129, -128, -127, -1, 0, 1, 126, 127, 128, 254, 255, 256])
_SIGNS = ("-256", "negative", "0", "positive", "255")


@dataclass(frozen=True)
class QuantiseUnit(Unit):
    """See `units.unit.Unit`."""

    value_unit = "output steps"
    cell = True

    def settings(self, parameters: Parameters) -> tuple[Setting, ...]:
        return (
            Setting("qmult", range(QMULT[0], QMULT[1] + 1), "Q, the scale's numerator"),
            Setting("qshift", range(QSHIFT[0], QSHIFT[1] + 1), "S: the scale is Q * 2^-S"),
            Setting("zp", range(ZERO_POINT[0], ZERO_POINT[1] + 1), "output that stands for 0"),
            Setting("unsigned", range(2), "0 int8, 1 uint8", words=("int8", "uint8")),
        )

    def input_dtype(self, parameters: Parameters) -> np.dtype:
        return self.model(**parameters).in_dtype

    def out_dtype(self, parameters: Parameters) -> np.dtype:
        return np.dtype(np.uint8)

    def fitted(
        self, parameters: Parameters, x: np.ndarray, rng: np.random.Generator
    ) -> dict[str, int]:
        """A scale that takes the largest of the inputs to 3 to 11 bits."""
        if rng.random() >= _FITTED:
            return {}
        mult = int(rng.integers(1, QMULT[1] + 1)) >> int(rng.integers(16)) or 1
        bits = (int(np.abs(x.astype(np.int64)).max()) * mult).bit_length()
        return {"qmult": mult, "qshift": min(max(bits - int(rng.integers(3, 12)), 0), QSHIFT[1])}

    def edges(self, parameters: Parameters) -> Iterator[Edge]:
        """At each shift, and so at each zero point and both ranges, results about to round up.

        Around each result: the least product that rounds to it, and those a step of the input below
        and above. What the inputs cannot reach is at their ends.
        """
        width = parameters["IN_W"]
        ends = np.iinfo(f"int{width}")
        for shift in range(QSHIFT[1] + 1):
            for bare in (0, 1):
                zp = _ZERO_POINTS[(shift + bare) % len(_ZERO_POINTS)]
                up = min(max(shift - (width - 10), 0), 15)  # so that 2^shift * 2^9 is an input
                least = (2 * (_RESULTS - zp) - 1) << min(shift, 48)  # twice the product
                x = -(-least // (2 << up))[:, None] + np.array([-1, 0, 1])
                x = np.concatenate([x.ravel(), [ends.min, ends.max]])
                settings = {"qmult": 1 << up, "qshift": shift, "zp": zp, "unsigned": bare}
                yield Edge(np.clip(x, ends.min, ends.max).astype(ends.dtype), settings)

    def predict(self, parameters: Parameters, rows: Rows) -> Outputs:
        result = self.model(**parameters)(rows.x, rows.mask, **rows.settings)
        return Outputs(result.out, result.exponent)

    def values(
        self, parameters: Parameters, rows: Rows, outputs: Outputs
    ) -> tuple[np.ndarray, np.ndarray]:
        mult, shift, zp, bare = (rows.settings[s.name][:, None] for s in self.settings(parameters))
        exact = rows.x * (mult * 2.0**-shift) + zp
        low, high = (np.where(bare, *ends) for ends in zip(UINT8, INT8, strict=True))
        seen = np.where(bare, outputs.out, outputs.out.view(np.int8))
        return seen.astype(float), np.where(rows.mask, np.clip(exact, low, high), 0)

    def accuracy(self, parameters: Parameters, rows: Rows, outputs: Outputs) -> dict[str, float]:
        """Nothing: it rounds once, and is exact but for that."""
        return {}

    def latency(self, parameters: Parameters) -> tuple[int, ...]:
        return (3 + parameters["IN_W"] // 16,)

    def storage(self, parameters: Parameters) -> dict[str, tuple[int, int]]:
        return {}

    def coverage(self, parameters: Parameters) -> Coverage:
        c = Coverage()
        c.group("scale")
        c.point("qshift", range(QSHIFT[1] + 1), "S of a row")
        c.point("qmult", ("0", "1 ..", "32768 .."), "Q of a row")
        c.point("zp", _SIGNS, "zero point of a row")
        c.point("unsigned", ("int8", "uint8"), "range of a row's outputs")
        c.group("result")
        c.point("end", ("low", "between", "high"), "end at which an element saturates")
        c.point("rounding", ("down", "up"), "of an element's product")
        c.cross("unsigned x end", ("unsigned", "end"), "each end of each range")
        c.cross("qshift x end", ("qshift", "end"), "saturation after each shift")
        c.cross(
            *("qshift x rounding", ("qshift", "rounding"), "rounding after each shift"),
            reachable=lambda shift, up: shift > 0 or not up,
        )
        return c

    def sample(self, coverage: Coverage, parameters: Parameters, rows: Rows) -> None:
        mult, shift, zp, bare = (rows.settings[s.name] for s in self.settings(parameters))
        coverage.sample("qshift", shift)
        coverage.sample("qmult", (mult > 0).astype(int) + (mult > QMULT[1] // 2))
        edges = (zp > ZERO_POINT[0]).astype(int) + (zp >= 0) + (zp > 0) + (zp == ZERO_POINT[1])
        coverage.sample("zp", edges)
        coverage.sample("unsigned", bare)
        product = rows.x.astype(np.int64) * mult[:, None]
        up = np.where(shift[:, None] > 0, product >> np.maximum(shift - 1, 0)[:, None] & 1, 0)
        q = (product >> shift[:, None]) + up + zp[:, None]
        low, high = (np.where(bare, *ends)[:, None] for ends in zip(UINT8, INT8, strict=True))
        end = np.where(rows.mask, np.where(q < low, 0, np.where(q > high, 2, 1)), -1)
        up = np.where(rows.mask, up, -1)
        coverage.sample("unsigned x end", bare[:, None], end)
        coverage.sample("qshift x end", shift[:, None], end, axes=("end",))
        coverage.sample("qshift x rounding", shift[:, None], up, axes=("rounding",))


QUANTISE = QuantiseUnit(
    name="quantise",
    title="Requantiser, a stream cell: wide integers to bytes by a scale of the row",
    model=Quantise,
    rtl=(
        *CELL,
        "common/sn_pipe.sv",
        "common/sn_multiply.sv",
        "common/sn_multiply_clocked.sv",
        "common/sn_row_output.sv",
        "common/sn_shift_saturate.sv",
        "quantise/quantise.sv",
    ),
    in_dtype=np.dtype(np.int32),
    tensors="",
    configurations=(
        {},
        # A lane alone.
        {"LANES": 1, "IN_W": 16},
        # Few lanes, the narrow and the wide product.
        {"LANES": 4, "IN_W": 16},
        {"LANES": 8},
        # The widest beat.
        {"LANES": 64, "IN_W": 16},
    ),
    bad_configurations=({"LANES": 3}, {"LANES": 128}, {"IN_W": 8}, {"IN_W": 24}),
)
