# SPDX-License-Identifier: Apache-2.0
"""REXP softmax: the descriptor (docs/units/rexp.md; RTL in rtl/rexp)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from softnorm.models.arith import rnd
from softnorm.models.rexp import Rexp, t1_table, ta_table

from .coverage import Coverage
from .three_pass import COMMON, RAMP, ThreePassUnit, largest_sum, sample_sum, sum_point
from .unit import Parameters, Rom, Rows, TableSize, Variant


@dataclass(frozen=True)
class RexpUnit(ThreePassUnit):
    """See `units.unit.Unit`."""

    def largest(self, parameters: Parameters) -> np.ndarray:
        w, xs = parameters["W"], parameters["XS"]
        return rnd((2**w - 1) * ta_table(w, xs), w)

    def row_word_bits(self, parameters: Parameters) -> int:
        return parameters["W"]

    def tables(self, parameters: Parameters) -> dict[str, TableSize]:
        w, xs = parameters["W"], parameters["XS"]
        return {"T1": TableSize(len(t1_table(w)), w), "TA": TableSize(xs, w)}

    def roms(self) -> tuple[Rom, ...]:
        widths = self.model.WIDTHS
        return (
            *(Rom(f"t1_w{w}", t1_table(w), w, f"T1[i] = round({2**w - 1} e^-i)") for w in widths),
            *(
                Rom(f"ta_w{w}", ta_table(w, 512), w, f"TA[j] = round({2**w - 1} / j), j = i + 1")
                for w in widths
            ),
        )

    def coverage(self, parameters: Parameters) -> Coverage:
        model = self.model(**parameters)
        entries = len(t1_table(model.W))
        c = Coverage()
        self._maximum_points(c, parameters)
        c.group("index")
        c.point("frac", range(8), "F of a row")
        c.point("i", range(entries), "entry of T1 that an element reads")
        # The largest d is 255, so a large F keeps indices small.
        pairs = replace(model, LANES=1, MAX_LEN=2)
        reachable = [{0, *pairs.trace(RAMP, frac=f).i[:, 1].tolist()} for f in range(8)]
        c.cross("frac x i", ("frac", "i"), "each entry at each F", lambda f, i: i in reachable[f])
        c.point("clipped", ("no", "yes"), "index cut to the last entry of T1")
        c.group("sum")
        sum_point(c, "j", model, model.XS)
        top = min(model.XS, largest_sum(model))
        c.point("ta", range(1, top + 1), "entry of TA that a row reads")
        c.point("out", ("0", "1 ..", "largest"), "output of an element")
        return c

    def sample(self, coverage: Coverage, parameters: Parameters, rows: Rows) -> None:
        model = self.model(**parameters)
        trace = model.trace(rows.x, rows.mask, **rows.settings)
        self._sample_maximum(coverage, parameters, rows)
        frac = rows.settings["frac"]
        coverage.sample("frac x i", frac[:, None], trace.i, axes=("i",))
        coverage.sample("frac", frac)
        coverage.sample("clipped", np.where(rows.mask, trace.i_clipped, -1))
        sample_sum(coverage, "j", trace.j_exact, model.XS)
        coverage.sample("ta", trace.j - 1)
        largest = model.P - 1  # of a lone element
        size = np.where(trace.out == 0, 0, np.where(trace.out < largest, 1, 2))
        coverage.sample("out", np.where(rows.mask, size, -1))


REXP = RexpUnit(
    name="rexp",
    title="REXP softmax (Vasyltsov & Chang, reconstructed): tables of exponentials and reciprocals",
    model=Rexp,
    rtl=(
        *COMMON,
        "rexp/rexp_tables_pkg.sv",
        "rexp/rexp_elem.sv",
        "rexp/rexp_reciprocal.sv",
        "rexp/rexp_line.sv",
        "rexp/rexp.sv",
    ),
    in_dtype=np.dtype(np.int8),
    tensors="e2softmax_minilm.npz",
    reads=("e2softmax",),
    words={"INDEX_MODE": ("round", "floor")},
    configurations=(
        {},
        # No adder; a sum of one share.
        {"LANES": 1, "MAX_LEN": 1, "W": 2, "XS": 16},
        # Outputs of two bytes; XS has more bits than what is compared with it.
        {"LANES": 1, "MAX_LEN": 64, "W": 15, "XS": 512},
        # A last beat that MAX_LEN cuts.
        {"LANES": 2, "MAX_LEN": 3, "W": 4, "XS": 320},
        # The index rounded down; a tree with a register, none at the ports; sums far beyond XS.
        {
            "LANES": 8,
            "MAX_LEN": 256,
            "XS": 16,
            "INDEX_MODE": "floor",
            "IN_REG": 0,
            "OUT_REG": 0,
        },
        # A tree with two registers; sums with more bits than the largest XS.
        {"LANES": 64, "MAX_LEN": 4096, "XS": 512},
    ),
    variants=(
        *(Variant({"W": w}, plotted=w == 8) for w in (2, 4, 8, 15)),
        *(Variant({"W": 8, "XS": xs}) for xs in (16, 320, 512)),
        Variant({"W": 8, "INDEX_MODE": "floor"}),
    ),
    bad_configurations=(
        {"LANES": 3},
        {"LANES": 128},
        {"MAX_LEN": 31},
        {"MAX_LEN": 65537},
        {"W": 3},
        {"W": 16},
        {"XS": 17},
        {"XS": 1024},
        {"INDEX_MODE": "ceil"},
        {"IN_REG": 2},
        {"OUT_REG": 2},
    ),
)
