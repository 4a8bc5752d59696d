# SPDX-License-Identifier: Apache-2.0
"""The exact softmax, a baseline: the descriptor (docs/units/exact_softmax.md)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from softnorm.models import exact_softmax
from softnorm.models.exact_softmax import (
    PARTS,
    ExactSoftmax,
    ExactSoftmaxTrace,
    exponential_tables,
)
from softnorm.models.lut_softmax import LutResult

from .coverage import Coverage
from .softmax import Settings, clog2, tree_stages
from .three_pass import RAMP, TWO_PASS, TwoPassUnit
from .unit import IN_REG, OUT_REG, Edge, Outputs, Parameters, Rom, Rows, TableSize, Variant

_CANDIDATES = 256  # rows, of which those are taken in which something shows
_ENTRIES = sum(entries for _, _, entries in PARTS)


@dataclass(frozen=True)
class ExactSoftmaxUnit(TwoPassUnit):
    """See `units.unit.Unit`."""

    code_bits = 16

    def out_dtype(self, parameters: Parameters) -> np.dtype:
        return np.dtype(np.uint8)

    def result(
        self, parameters: Parameters, outputs: Outputs, settings: Settings | None = None
    ) -> LutResult:
        return LutResult(outputs.out, exact_softmax.ONE)

    def latency(self, parameters: Parameters) -> tuple[int, ...]:
        tree = tree_stages(parameters["LANES"])
        less, later = (self.without(parameters, name) for name in (IN_REG, OUT_REG))
        return (4 - less, tree + 18 - later)

    def row_word_bits(self, parameters: Parameters) -> int:
        return 16 + clog2(parameters["MAX_LEN"])

    def tables(self, parameters: Parameters) -> dict[str, TableSize]:
        return {"E": TableSize(_ENTRIES, 16)}

    def roms(self) -> tuple[Rom, ...]:
        about = "round(65535 e^(-z/128)), z = "
        return tuple(
            Rom(
                f"exp_{first}",
                table,
                16,
                f"{about}{first} + {step} i" if first else f"{about}i",
                by_lane=True,
            )
            for (first, step, _), table in zip(PARTS, exponential_tables(), strict=True)
        )

    def entries(self, trace: ExactSoftmaxTrace) -> np.ndarray:
        return _entry(trace.z)

    def places(self, parameters: Parameters) -> list[int]:
        """Those from which on the maximum's quotient, and so its output, is smaller."""
        return [512 * (2**16 - 1) // q + 1 for q in range(509, 24, -8)]

    def edges(self, parameters: Parameters) -> Iterator[Edge]:
        yield from super().edges(parameters)
        # Each quotient of the maximum, in one lane after the other.
        pairs, most = replace(self.model(**parameters), LANES=1, MAX_LEN=2), parameters["MAX_LEN"]
        trace = pairs.trace(RAMP, frac=5)
        shares = trace.S - trace.S[0] // 2
        places = [512 * (2**16 - 1) // q + 1 for q in range(510, 24, -1)]
        rows = self.at_sums(shares, np.zeros(256, int), places, min(most, 24))
        for turn, x in enumerate(rows):
            yield Edge(np.roll(x, turn // 2), {"frac": 5})
        yield from self._neighbours(parameters)

    def _neighbours(self, parameters: Parameters) -> Iterator[Edge]:
        """Maxima that a comparison which is wrong in a bit makes too large, at each of the tree.

        X and X - 1, where X ends in a 1 and zeros and X - 1 in a 0 and ones: taken together bit by
        bit they make X + 2^bit - 1. Outputs are ratios, so hardly one of a row that is drawn would
        change by that: the other elements are such that one does.
        """
        lanes = parameters["LANES"]
        length = min(parameters["MAX_LEN"], max(24, lanes + 1))
        if length < 3:
            return
        halves = [1 << level for level in range(clog2(lanes))]
        nodes = [(at, at + half) for half in halves for at in range(0, lanes, 2 * half)]
        nodes += [(0, lanes)] * (lanes < length)  # beat after beat
        trace = replace(self.model(**parameters), LANES=1, MAX_LEN=2).trace(RAMP, frac=0)
        shares = trace.S - trace.S[0] // 2
        d = np.random.default_rng(1).integers(2, 9, (_CANDIDATES, length))
        d[:, :2] = 0, 1
        made = []
        for bit in range(1, 7):
            wrong = d + (1 << bit) - 1
            seen = (_quotients(shares[d]) != _quotients(shares[wrong]))[:, 2:].any(axis=1)
            rests = itertools.cycle(d[seen, 2:])
            for node in nodes if seen.any() else ():
                for large, small in (node, node[::-1]):
                    first, second = sorted(((large, 0), (small, 1)))
                    row = np.insert(next(rests), first[0], first[1])
                    made.append(64 + (1 << bit) - np.insert(row, second[0], second[1]))
        # Of wide beats a part: bits and places in turn.
        for x in made[:: max(1, lanes // 8) | 1]:
            yield Edge((x - 128).astype(np.int8), {"frac": 0})

    def coverage(self, parameters: Parameters) -> Coverage:
        model = self.model(**parameters)
        c = Coverage()
        self._maximum_points(c, parameters)
        c.group("exponential")
        c.point("frac", range(8), "F of a row")
        if model.MAX_LEN > 1:
            c.point("entry", [*range(_ENTRIES), "beyond"], "entry of E that an element reads")
        c.group("division")
        # The largest sum bounds its exponent; the smallest is that of the maximum alone.
        top = (model.MAX_LEN * (2**16 - 1)).bit_length()
        c.point("S", ["0", *range(16, top + 1)], "bits of the sum")
        if model.MAX_LEN > 1:
            c.point("Q", range(10), "bits of an element's quotient")
            c.point("rounding", ("down", "up"), "last bit of an element's quotient")
            c.point("rest", ("0", "1 .."), "what the nine steps leave of an element")
        return c

    def sample(self, coverage: Coverage, parameters: Parameters, rows: Rows) -> None:
        trace = self.model(**parameters).trace(rows.x, rows.mask, **rows.settings)
        self._sample_maximum(coverage, parameters, rows)
        coverage.sample("frac", rows.settings["frac"])
        if "entry" in coverage.points:
            coverage.sample("entry", np.where(rows.mask, _entry(trace.z), -1))
        bits = np.frexp(trace.S.astype(np.float64))[1]
        coverage.sample("S", np.where(trace.S == 0, 0, bits - 15))
        if "Q" in coverage.points:
            coverage.sample("Q", np.where(rows.mask, np.frexp(trace.Q.astype(float))[1], -1))
            coverage.sample("rounding", np.where(rows.mask, trace.Q & 1, -1))
            rest = 512 * trace.e.astype(int) - trace.Q * trace.S[:, None]
            coverage.sample("rest", np.where(rows.mask, rest != 0, -1))


def _quotients(shares: np.ndarray) -> np.ndarray:
    """Outputs of rows of exponentials, int [rows, width]; 0 where all are 0."""
    total = np.maximum(shares.sum(axis=1, keepdims=True), 1)
    return (512 * shares // total + 1) >> 1


def _entry(z: np.ndarray) -> np.ndarray:
    """Number of the entry of E for each distance z, counted through all parts."""
    entry = np.full(z.shape, _ENTRIES)
    before = 0
    for first, step, entries in PARTS:
        here = (z >= first) & (z < first + step * entries)
        entry[here] = before + (z[here] - first) // step
        before += entries
    return entry


EXACT_SOFTMAX = ExactSoftmaxUnit(
    name="exact_softmax",
    title="Exact softmax, a baseline: 16-bit exponentials, a divider in each lane",
    model=ExactSoftmax,
    rtl=(
        *TWO_PASS,
        "baseline/exact_softmax/exact_softmax_tables_pkg.sv",
        "baseline/exact_softmax/exact_softmax_exponential.sv",
        "baseline/exact_softmax/exact_softmax_divider.sv",
        "baseline/exact_softmax/exact_softmax.sv",
    ),
    in_dtype=np.dtype(np.int8),
    tensors="e2softmax_minilm.npz",
    reads=("e2softmax",),
    configurations=(
        {},
        # No adder; all remainders of the division have the sum's width.
        {"LANES": 1, "MAX_LEN": 1},
        # A last beat that MAX_LEN cuts; remainders that grow to the sum's width.
        {"LANES": 2, "MAX_LEN": 3},
        # No registers at the ports.
        {"LANES": 4, "MAX_LEN": 24, "IN_REG": 0, "OUT_REG": 0},
        # A tree with a register; no remainder gets as wide as the sum.
        {"LANES": 16, "MAX_LEN": 4096},
    ),
    variants=(Variant({}, plotted=True),),
    bad_configurations=({"LANES": 3}, {"MAX_LEN": 65537}, {"IN_REG": 2}, {"OUT_REG": 2}),
)
