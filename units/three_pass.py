# SPDX-License-Identifier: Apache-2.0
"""Shared by the descriptors of softmax units that need the maximum before the sum.

Their RTL is built on rtl/common/sn_two_pass.sv, that of the look-up units on sn_three_pass.sv.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from softnorm.models.arith import rnd
from softnorm.models.lut_softmax import LutResult, LutSoftmax

from .coverage import Coverage
from .softmax import FRAC, Settings, SoftmaxUnit, maximum_points, sample_maximum, tree_stages
from .unit import IN_REG, OUT_REG, Edge, Outputs, Parameters, Rows, Setting

TWO_PASS = (
    "common/sn_ram_1r1w.sv",
    "common/sn_pipe.sv",
    "common/sn_reduce_tree.sv",
    "common/sn_max.sv",
    "common/sn_row_max.sv",
    "common/sn_row_guard.sv",
    "common/sn_max_front.sv",
    "common/sn_row_buffer.sv",
    "common/sn_row_output.sv",
    "common/sn_two_pass.sv",
)
COMMON = (*TWO_PASS, "common/sn_three_pass.sv")


# Rows of two elements, the second by d = 0 .. 255 below the first.
RAMP = np.stack([np.full(256, 127), 127 - np.arange(256)], axis=1).astype(np.int8)


@dataclass(frozen=True)
class TwoPassUnit(SoftmaxUnit):
    """Maximum, then sum; see `units.unit.Unit`."""

    code_bits: ClassVar[int]  # CODE_W of sn_two_pass

    def settings(self, parameters: Parameters) -> tuple[Setting, ...]:
        return (FRAC,)

    @abstractmethod
    def row_word_bits(self, parameters: Parameters) -> int:
        """ROW_W of sn_two_pass."""

    def storage(self, parameters: Parameters) -> dict[str, tuple[int, int]]:
        lanes = parameters["LANES"]
        beats, tree = -(-parameters["MAX_LEN"] // lanes), tree_stages(lanes)
        first = beats + 3 - self.without(parameters, IN_REG)
        return {
            "beats 1": (first, 9 * lanes + 1),  # x, masked or absent, last
            "rows 1": (first, 2 + 3 + 8),  # flags, F, m
            "beats 2": (beats + tree + 7, self.code_bits * lanes + 1),  # codes, last
            "rows 2": (beats + tree + 7, 2 + self.row_word_bits(parameters)),
        }

    @abstractmethod
    def entries(self, trace: Any) -> np.ndarray:
        """Of a trace, the table entry that makes each element's share: [rows, width]."""

    @abstractmethod
    def places(self, parameters: Parameters) -> list[int]:
        """Sums, from that of two elements on, at which outputs change."""

    def edges(self, parameters: Parameters) -> Iterator[Edge]:
        model = self.model(**parameters)
        pairs = replace(model, LANES=1, MAX_LEN=2)
        places, most = self.places(parameters), min(model.MAX_LEN, 24)
        for frac in range(8):
            trace = pairs.trace(RAMP, frac=frac)
            shares = trace.S - trace.S[0] // 2
            rows = self.at_sums(shares, self.entries(trace)[:, 1], places, most)
            for turn, x in enumerate(rows):  # the maximum in one lane after the other
                yield Edge(np.roll(x, turn), {"frac": frac})

    def _maximum_points(self, coverage: Coverage, parameters: Parameters) -> None:
        lanes = parameters["LANES"]
        maximum_points(coverage, lanes, -(-parameters["MAX_LEN"] // lanes))

    @staticmethod
    def _sample_maximum(coverage: Coverage, parameters: Parameters, rows: Rows) -> None:
        """Count the first maxima of the rows that have an unmasked element."""
        rows = rows.select(rows.mask.any(axis=1))
        if not len(rows):
            return
        lowest = np.where(rows.mask, rows.x.astype(int), -129)
        sample_maximum(coverage, parameters["LANES"], lowest.argmax(axis=1), rows.length)


@dataclass(frozen=True)
class ThreePassUnit(TwoPassUnit):
    """Maximum, sum, selection; see `units.unit.Unit`."""

    code_bits = 4

    def entries(self, trace: Any) -> np.ndarray:
        return trace.i

    def edges(self, parameters: Parameters) -> Iterator[Edge]:
        yield from super().edges(parameters)
        # Each entry beside the maximum alone, where outputs are largest.
        pairs = replace(self.model(**parameters), LANES=1, MAX_LEN=2)
        for frac in range(8):
            entries = pairs.trace(RAMP, frac=frac).i[:, 1]
            for x in RAMP[np.unique(entries, return_index=True)[1]]:
                yield Edge(x, {"frac": frac})

    def places(self, parameters: Parameters) -> list[int]:
        """Those where the maximum has another output."""
        largest, half = self.largest(parameters), 1 << parameters["W"] - 1
        changes = np.flatnonzero(np.diff(largest)) + 1
        return [half * (2 * n + 1) for n in changes.tolist() if n < 16]

    @abstractmethod
    def largest(self, parameters: Parameters) -> np.ndarray:
        """The maximum's output by the sum's index, from 1 on."""

    def out_dtype(self, parameters: Parameters) -> np.dtype:
        return np.dtype(self.model(**parameters).out_dtype)

    def result(
        self, parameters: Parameters, outputs: Outputs, settings: Settings | None = None
    ) -> LutResult:
        return LutResult(outputs.out, self.model(**parameters).P)

    def latency(self, parameters: Parameters) -> tuple[int, ...]:
        tree = tree_stages(parameters["LANES"])
        less, later = (self.without(parameters, name) for name in (IN_REG, OUT_REG))
        return (4 - less, tree + 10 - later)


_SUMS = ("0, all masked", "1", "2", "3 .. last - 1", "last", "above last")


def sum_point(coverage: Coverage, name: str, model: LutSoftmax, last: int) -> None:
    """A coverpoint on a sum's index before it saturates to 1..last, limited to reachable values."""
    top = largest_sum(model)
    reachable = (True, top >= 1, top >= 2, top >= 3 and last > 3, top >= last, top > last)
    bins = [bin_ for bin_, there in zip(_SUMS, reachable, strict=True) if there]
    coverage.point(name, bins, f"the sum's index against 1 and {last}")


def sample_sum(coverage: Coverage, name: str, index: np.ndarray, last: int) -> None:
    """Count sums' indices before saturation."""
    bins = coverage.points[name].bins
    place = np.array([bins.index(bin_) if bin_ in bins else -1 for bin_ in _SUMS])
    of = np.select([index == 0, index == 1, index == 2, index < last, index == last], range(5), 5)
    coverage.sample(name, place[of])


def largest_sum(model: LutSoftmax) -> int:
    """The largest index that a sum can have before it saturates."""
    return rnd(model.MAX_LEN * model.P, model.W)
