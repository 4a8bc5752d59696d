# SPDX-License-Identifier: Apache-2.0
"""2D-LUT softmax: the descriptor (docs/units/lut2d.md; RTL in rtl/lut2d)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softnorm.models.lut2d import Lut2d, col_table, e_table, t2_table

from .coverage import Coverage
from .three_pass import COMMON, ThreePassUnit, largest_sum, sample_sum, sum_point
from .unit import Parameters, Rom, Rows, TableSize, Variant

_ROWS = 60  # of T2


@dataclass(frozen=True)
class Lut2dUnit(ThreePassUnit):
    """See `units.unit.Unit`."""

    def largest(self, parameters: Parameters) -> np.ndarray:
        return t2_table(parameters["W"])[:, -1]

    def row_word_bits(self, parameters: Parameters) -> int:
        return 6

    def tables(self, parameters: Parameters) -> dict[str, TableSize]:
        w = parameters["W"]
        return {
            "E": TableSize(101, w),
            "T2": TableSize(_ROWS * 11, w),
            "COL": TableSize(101, 4, index=True),
        }

    def roms(self) -> tuple[Rom, ...]:
        made = []
        for w in self.model.WIDTHS:
            p = 2**w - 1
            made += [
                Rom(f"e_w{w}", e_table(w), w, f"E[i] = round({p} e^(-i/10))"),
                Rom(f"col_w{w}", col_table(w), 4, f"COL[i] = round(10 E[i] / {p})"),
                Rom(
                    f"t2_w{w}",
                    t2_table(w),
                    w,
                    f"T2[row][col] = min({p}, round({p} (col/10) / row)), row = i + 1",
                ),
            ]
        return tuple(made)

    def coverage(self, parameters: Parameters) -> Coverage:
        model = self.model(**parameters)
        columns = sorted(set(col_table(model.W).tolist()))
        c = Coverage()
        self._maximum_points(c, parameters)
        c.group("index")
        c.point("frac", range(8), "F of a row")
        c.point("i", range(101), "entry of E and COL that an element reads")
        c.point("clipped", ("no", "yes"), "index cut to 100")
        c.group("sum")
        sum_point(c, "row sum", model, _ROWS)
        top = min(_ROWS, largest_sum(model))
        c.point("row", range(1, top + 1), "row of T2 that a row reads")
        c.point("col", columns, "column of T2 that an element reads")
        c.cross("row x col", ("row", "col"), "each entry of T2 that can be read")
        return c

    def sample(self, coverage: Coverage, parameters: Parameters, rows: Rows) -> None:
        model = self.model(**parameters)
        trace = model.trace(rows.x, rows.mask, **rows.settings)
        self._sample_maximum(coverage, parameters, rows)
        coverage.sample("frac", rows.settings["frac"])
        coverage.sample("i", trace.i)
        coverage.sample("clipped", np.where(rows.mask, trace.i_clipped, -1))
        sample_sum(coverage, "row sum", trace.row_exact, _ROWS)
        columns = np.array([int(name) for name in coverage.points["col"].bins])
        col = np.where(trace.col < 0, -1, np.searchsorted(columns, trace.col))
        coverage.sample("row x col", trace.row[:, None] - 1, col, axes=("col",))
        coverage.sample("row", trace.row - 1)


LUT2D = Lut2dUnit(
    name="lut2d",
    title="2D-LUT softmax (Vasyltsov & Chang, reconstructed): tables of exponentials and quotients",
    model=Lut2d,
    rtl=(
        *COMMON,
        "lut2d/lut2d_tables_pkg.sv",
        "lut2d/lut2d_elem.sv",
        "lut2d/lut2d_row.sv",
        "lut2d/lut2d_line.sv",
        "lut2d/lut2d.sv",
    ),
    in_dtype=np.dtype(np.int8),
    tensors="e2softmax_minilm.npz",
    reads=("e2softmax",),
    configurations=(
        {},
        # No adder; the sum's index has one bit, the last row's number six.
        {"LANES": 1, "MAX_LEN": 1, "W": 2},
        # A lane alone, many beats; sums just beyond the last row.
        {"LANES": 1, "MAX_LEN": 64},
        # A last beat that MAX_LEN cuts.
        {"LANES": 2, "MAX_LEN": 3, "W": 4},
        # A tree with a register, none at the ports; sums far beyond the last row.
        {"LANES": 8, "MAX_LEN": 256, "W": 2, "IN_REG": 0, "OUT_REG": 0},
        # A tree with two registers.
        {"LANES": 64, "MAX_LEN": 4096},
    ),
    variants=tuple(Variant({"W": w}, plotted=w == 8) for w in (2, 4, 8)),
    bad_configurations=(
        {"LANES": 3},
        {"LANES": 128},
        {"MAX_LEN": 31},
        {"MAX_LEN": 65537},
        {"W": 3},
        {"W": 15},
        {"IN_REG": 2},
        {"OUT_REG": 2},
    ),
)
