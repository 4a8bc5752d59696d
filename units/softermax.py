# SPDX-License-Identifier: Apache-2.0
"""Softermax, a baseline: the descriptor (docs/units/softermax.md, rtl/baseline/softermax)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from softnorm.models import softermax
from softnorm.models.lut_softmax import LutResult
from softnorm.models.softermax import Softermax, pow2_table, reciprocal_table
from softnorm.models.vectors import Vectors

from .coverage import Coverage
from .softmax import Settings, SoftmaxUnit, maximum_points, sample_maximum, tree_stages
from .unit import IN_REG, Edge, Outputs, Parameters, Rom, Rows, Setting, TableSize, Variant

_GONE = 16  # a numerator shifted by as much is 0
_RISE = 12  # from here on rises of the maximum are one bin


@dataclass(frozen=True)
class SoftermaxUnit(SoftmaxUnit):
    """See `units.unit.Unit`."""

    def settings(self, parameters: Parameters) -> tuple[Setting, ...]:
        return ()

    def out_dtype(self, parameters: Parameters) -> np.dtype:
        return np.dtype(np.uint8)

    def quantise(
        self, logits: np.ndarray, frac: int | np.ndarray
    ) -> tuple[np.ndarray, dict[str, int | np.ndarray]]:
        return softermax.quantise(logits), {}

    def logits(self, parameters: Parameters, rows: Rows) -> np.ndarray:
        return softermax.dequantise(rows.x)

    def adopted(self, file: Vectors, parameters: Parameters) -> Vectors:
        if file.unit == self.name:
            return file
        frac = np.broadcast_to(file.run_settings["frac"], len(file.x))
        logits = np.ldexp(file.x.astype(np.float64), -frac[:, None])
        x = softermax.quantise(logits)
        return dataclasses.replace(file, unit=self.name, x=x, settings={}, row_settings={})

    def result(
        self, parameters: Parameters, outputs: Outputs, settings: Settings | None = None
    ) -> LutResult:
        return LutResult(outputs.out, softermax.ONE)

    def latency(self, parameters: Parameters) -> tuple[int, ...]:
        return (10 + tree_stages(parameters["LANES"]) - self.without(parameters),)

    def storage(self, parameters: Parameters) -> dict[str, tuple[int, int]]:
        lanes, max_len = parameters["LANES"], parameters["MAX_LEN"]
        words = -(-max_len // lanes) + 7 + tree_stages(lanes) - self.without(parameters, IN_REG)
        return {
            "beats": (words, 16 * lanes + 7 + 1),  # numerators, m_t, last
            "rows": (words, 2 + 7 + 8),  # flags, m_L + e - 5, r
        }

    def tables(self, parameters: Parameters) -> dict[str, TableSize]:
        return {
            "POW2": TableSize(4, 16),
            "C": TableSize(softermax.SEGMENTS, 15),
            "M": TableSize(softermax.SEGMENTS, 7),
        }

    def roms(self) -> tuple[Rom, ...]:
        intercept, slope = reciprocal_table().T
        return (
            Rom("pow2", pow2_table(), 16, "POW2[f] = round(2^15 2^(f/4))"),
            Rom("intercept", intercept, 15, "C[j], of the line for 1/v over segment j, by 2^-15"),
            Rom("slope", slope, 7, "M[j], how much it falls at each 2^-8, by 2^-15"),
        )

    def edges(self, parameters: Parameters) -> Iterator[Edge]:
        model = self.model(**parameters)
        most = min(model.LANES, model.MAX_LEN, 24)  # a beat: its sum is what is rounded
        # Up to 127 the maximum's output is the reciprocal itself; from 256 on sums have all places
        # of its segments, where the largest elements show most of it.
        for top, sums, last in (
            (124, range(65, 128), 127),
            (127, range(65, 128), 127),
            (124, range(257, 512), 7),
        ):
            distances = np.arange(128)
            x = top - distances
            numerators = pow2_table()[x & 3] >> -(-top // 4) - (x >> 2)
            places = [512 * s - 256 for s in sums]  # from there on it is rounded to s
            entries = np.minimum(distances, last)
            for row in self.at_sums(numerators, entries, places, most, top):
                yield Edge(row, {})

    def coverage(self, parameters: Parameters) -> Coverage:
        model = self.model(**parameters)
        lanes, max_len = model.LANES, model.MAX_LEN
        beats = -(-max_len // lanes)
        c = Coverage()
        maximum_points(c, lanes, beats)
        if beats > 1:
            rises = [*range(_RISE), f"{_RISE} .."]
            c.point("rise", rises, "by how much a beat raised the whole maximum")
        c.group("numerator")
        c.point("f", range(4), "entry of POW2: an element's fraction")
        c.point("shift", [*range(_GONE), f"{_GONE} .."], "shift of POW2 for an element")
        c.cross(
            "f x shift",
            ("f", "shift"),
            "each constant at each shift; a fraction is below its ceiling",
            lambda f, shift: shift > 0 or f == 0,
        )
        c.group("sum")
        if max_len == 2 ** (model.sum_bits - 6):
            c.point("cut", ("no", "yes"), "the sum at its top")
        top_e = min(2**model.sum_bits - 1, 64 * max_len).bit_length() - 1
        c.point("e", range(5, top_e + 1), "floor(log2(S))")
        c.point("j", range(softermax.SEGMENTS), "segment of the reciprocal")
        if lanes > 1 or max_len > 1:
            c.point("t", range(32), "place in the segment")
        c.cross(
            "e x j",
            ("e", "j"),
            "each segment at each e but the top one, where few rows get far",
            lambda e, j: (e > 0 or j >= 1) and e + 5 < top_e,
        )
        c.group("normalisation")
        c.point("k", [*range(_GONE), f"{_GONE} .."], "shift of a beat's numerators")
        c.point("out", ("0", "1 ..", "128", "129"), "output of an element")
        return c

    def sample(self, coverage: Coverage, parameters: Parameters, rows: Rows) -> None:
        rows = rows.select(rows.mask.any(axis=1))
        if not len(rows):
            return
        lanes = parameters["LANES"]
        trace = self.model(**parameters).trace(rows.x, rows.mask)
        lowest = np.where(rows.mask, rows.x.astype(int), -129)
        sample_maximum(coverage, lanes, lowest.argmax(axis=1), rows.length)
        # Beats from the row's first unmasked one to its last: before it, all are 0.
        beat = np.arange(trace.m.shape[1])
        first = rows.mask.argmax(axis=1)[:, None] // lanes
        last = (rows.length[:, None] - 1) // lanes
        if "rise" in coverage.points:
            rise = np.diff(trace.m, axis=1, prepend=trace.m[:, :1])
            there = (beat > first) & (beat <= last)
            coverage.sample("rise", np.where(there, np.minimum(rise, _RISE), -1))
        m = np.repeat(trace.m, lanes, axis=1)[:, : rows.x.shape[1]]
        shift = np.minimum(m - (rows.x >> 2), _GONE)
        shift = np.where(rows.mask, shift, -1)
        coverage.sample("f x shift", rows.x & 3, shift, axes=("f", "shift"))
        if "cut" in coverage.points:
            coverage.sample("cut", trace.cut.astype(int))
        coverage.sample("e", trace.e - 5)
        coverage.sample("j", trace.j)
        below = trace.e - 5 < len(coverage.points["e"].bins) - 1
        coverage.sample("e x j", trace.e - 5, np.where(below, trace.j, -1))
        if "t" in coverage.points:
            coverage.sample("t", trace.t)
        there = (beat >= first) & (beat <= last)
        coverage.sample("k", np.where(there, np.minimum(trace.k, _GONE), -1))
        size = np.searchsorted([1, 128, 129], trace.out, side="right")
        coverage.sample("out", np.where(rows.mask, size, -1))


SOFTERMAX = SoftermaxUnit(
    name="softermax",
    title="Softermax (DAC 2021), a baseline: base-2 softmax, 16-bit numerators, multipliers",
    model=Softermax,
    rtl=(
        "common/sn_ram_1r1w.sv",
        "common/sn_pipe.sv",
        "common/sn_reduce_tree.sv",
        "common/sn_leading_one.sv",
        "common/sn_multiply.sv",
        "common/sn_max.sv",
        "common/sn_row_max.sv",
        "common/sn_row_guard.sv",
        "common/sn_max_front.sv",
        "common/sn_row_buffer.sv",
        "common/sn_row_output.sv",
        "baseline/softermax/softermax_tables_pkg.sv",
        "baseline/softermax/softermax_power.sv",
        "baseline/softermax/softermax_reduction.sv",
        "baseline/softermax/softermax_reciprocal.sv",
        "baseline/softermax/softermax_normalise.sv",
        "baseline/softermax/softermax.sv",
    ),
    in_dtype=np.dtype(np.int8),
    tensors="e2softmax_minilm.npz",
    reads=("e2softmax",),
    configurations=(
        {},
        # No adder; a sum with the bits of two elements, which are cut at its top.
        {"LANES": 1, "MAX_LEN": 1},
        # A last beat that MAX_LEN cuts; a sum that is never cut.
        {"LANES": 2, "MAX_LEN": 3},
        # No registers at the ports.
        {"LANES": 4, "MAX_LEN": 24, "IN_REG": 0, "OUT_REG": 0},
        # A tree with a register; a shift of the sum with four bits.
        {"LANES": 16, "MAX_LEN": 4096},
    ),
    variants=(Variant({}, plotted=True),),
    bad_configurations=({"LANES": 3}, {"MAX_LEN": 65537}, {"IN_REG": 2}, {"OUT_REG": 2}),
)
