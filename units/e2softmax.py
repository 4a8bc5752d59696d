# SPDX-License-Identifier: Apache-2.0
"""E2Softmax: the descriptor (docs/units.md, section E2Softmax; RTL in rtl/e2softmax)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from softnorm.models.e2softmax import (
    E2Softmax,
    SoftmaxResult,
    decay,
    div_table,
    log2exp,
    weight,
)

from .coverage import Coverage
from .edges import Filler
from .softmax import FRAC, SoftmaxUnit, clog2, maximum_points, sample_maximum, spread, tree_stages
from .unit import Edge, Outputs, Parameters, Rom, Rows, Setting, TableSize, Variant

_UPDATES = (0, 1, 2, 3, 8)


@dataclass(frozen=True)
class E2SoftmaxUnit(SoftmaxUnit):
    """See `units.unit.Unit`."""

    def settings(self, parameters: Parameters) -> tuple[Setting, ...]:
        about = "output format: 0 linear, 1 row-scaled"
        return (FRAC, Setting("fmt", range(2), about, words=("linear", "row-scaled")))

    def out_dtype(self, parameters: Parameters) -> np.dtype:
        return np.dtype(np.uint8)

    def result(self, parameters: Parameters, outputs: Outputs) -> SoftmaxResult:
        return SoftmaxResult(outputs.out, outputs.exponent)

    def latency(self, parameters: Parameters) -> tuple[int, ...]:
        return (9 + tree_stages(parameters["LANES"]),)

    def storage(self, parameters: Parameters) -> dict[str, tuple[int, int]]:
        lanes, max_len = parameters["LANES"], parameters["MAX_LEN"]
        words = -(-max_len // lanes) + 7 + tree_stages(lanes)
        code = 4 + parameters["EXP_FRAC"]
        ks = max(1, clog2(clog2(max_len) + 1))
        return {
            "beats": (words, 8 + 1),  # m_t, last
            "beats: codes (read 2 clocks later)": (words, code * lanes),
            "rows": (words, 2 + 8 + 4 + ks + parameters["DIV_BITS"]),
        }

    def tables(self, parameters: Parameters) -> dict[str, TableSize]:
        return {"DIV_C": TableSize(1 << parameters["DIV_BITS"], 8)}

    def roms(self) -> tuple[Rom, ...]:
        about = "DIV_C[j] for DIV_BITS = {}: 1/(1 + s) over bin j of s, by 2^-8"
        return tuple(Rom(f"div_c{b}", div_table(b), 8, about.format(b)) for b in range(1, 5))

    def edges(self, parameters: Parameters) -> Iterator[Edge]:
        lanes, max_len = parameters["LANES"], parameters["MAX_LEN"]
        bits, half = parameters["DIV_BITS"], parameters["EXP_FRAC"]
        most = min(max_len, 24)
        # Sums at which another bin or another ks begins.
        places = [(1 << bits) + j << 15 + ks - bits for ks in range(3) for j in range(1 << bits)][
            1:
        ]
        yield from self._beside_masked(places, most, parameters)
        # Every ks with every bin, of equal elements alone.
        for ks, j in itertools.product(range(max_len.bit_length()), range(1 << bits)):
            count = -(-((1 << bits) + j << ks) >> bits)
            yield Edge(np.full(count, 127, np.int8), {"fmt": 1})
        for frac in range(8):
            codes = log2exp(np.arange(256), frac, half)
            weights = weight(codes, half)
            for number, x in enumerate(self.at_sums(weights, codes, places, most)):
                yield Edge(x, {"frac": frac, "fmt": int(number % 4 > 0)})
            # Two of the same code beside each other, with which the sum just reaches a place.
            for distance in np.unique(codes, return_index=True)[1].tolist():
                pair = int(weights[0] + 2 * weights[distance])
                rest = min((place - pair for place in places if place >= pair), default=0)
                below, total = Filler(weights).below(rest, most)
                if total == rest:
                    distances = np.array([distance, distance, 0, *below])
                    yield Edge((127 - distances).astype(np.int8), {"frac": frac, "fmt": 1})
            # The first beat has one element: what is left of its sum when the maximum rises by each
            # code, with others that fill it up.
            masked = lanes - 1
            for code, rise in zip(*np.unique(codes, return_index=True), strict=True):
                if not code or lanes + 2 > max_len:
                    continue
                # A second one in the first beat, the smallest: it is shifted out of the sum.
                small = 255 - int(weights[255 - rise :: -1].argmin()) - rise
                for seconds in ([], [small]) if masked and weights[small] % 2 else ([],):
                    first = int(weights[[0, *seconds]].sum())
                    left = int(decay(np.int64(first), code, half))  # pyright: ignore
                    rest = [place - int(weights[0]) - left for place in places]
                    place = min(one for one in rest if one > 0)
                    for total in (place - 1, place):
                        below, _ = Filler(weights).below(total, most)
                        fill = [0] * (masked - len(seconds))
                        head = [rise, *(rise + one for one in seconds), *fill]
                        distances = np.array([*head, 0, *below])
                        mask = np.ones(len(distances), bool)
                        mask[1 + len(seconds) : lanes] = False
                        settings = {"frac": frac, "fmt": 1}
                        yield Edge((127 - distances).astype(np.int8), settings, mask=mask)

    def _beside_masked(
        self, places: Sequence[int], most: int, parameters: Parameters
    ) -> Iterator[Edge]:
        """Sums one below an edge, beside lanes that hold no element.

        Every other lane is masked, and each of the two smallest weights is in each of the others in
        turn; or a row ends with the smallest one in each lane. A lane beside it, whose code is the
        same inside, must add nothing.
        """
        half, lanes = parameters["EXP_FRAC"], parameters["LANES"]
        weights = weight(log2exp(np.arange(256), 0, half), half)
        below = sorted(Filler(weights).below(places[0] - 1 - int(weights[0]), most)[0])
        settings = {"frac": 0, "fmt": 1}
        for first in (0, 1):
            for lane in range(max(1, lanes // 2)):
                for one in below[-2:]:
                    distances = [0, *below]
                    distances.remove(one)
                    distances.insert(min(lane, len(distances)), one)
                    x = np.zeros(2 * len(distances), np.int8)
                    x[first::2] = 127 - np.array(distances)
                    yield Edge(x, settings, mask=np.arange(len(x)) % 2 == first)
        # Two equal codes side by side, of each weight: one more of them must not come.
        for distance in below:
            rest = places[0] - 1 - int(weights[0]) - 2 * int(weights[distance])
            found, _ = Filler(weights).below(rest, most)
            for pair in range(lanes // 2):
                distances = [0, *sorted(found)]
                at = min(2 * pair, len(distances))
                distances[at:at] = [distance, distance]
                yield Edge((127 - np.array(distances)).astype(np.int8), settings)
        for lane in range(lanes):
            masked = (lane - len(below)) % lanes
            x = 127 - np.array([0, *[0] * masked, *below])
            mask = np.ones(len(x), bool)
            mask[1 : 1 + masked] = False
            yield Edge(x.astype(np.int8), settings, mask=mask)

    def coverage(self, parameters: Parameters) -> Coverage:
        lanes, max_len = parameters["LANES"], parameters["MAX_LEN"]
        div_bits, exp_frac = parameters["DIV_BITS"], parameters["EXP_FRAC"]
        beats = -(-max_len // lanes)
        codes = range(16 << exp_frac)
        # The largest Sum is MAX_LEN * 2^15: it bounds ks, and the bin where ks is at its top.
        top_ks = max_len.bit_length() - 1
        top_bin = (max_len << div_bits >> top_ks) - (1 << div_bits)
        reachable = [set(log2exp(np.arange(256), f, exp_frac).tolist()) for f in range(8)]

        c = Coverage()
        maximum_points(c, lanes, beats)
        updates = [u for u in _UPDATES if u < beats]
        c.point(
            "updates",
            [f"{a}.." if a == updates[-1] and a > 1 else a for a in updates],
            "how often a later beat raised the maximum",
        )
        c.group("log2exp")
        c.point("frac", range(8), "F of a row")
        c.point("fmt", ("linear", "row-scaled"), "output format of a row")
        c.point("code", codes, "4-bit (EXP_FRAC = 1: 5-bit) code of an element")
        c.cross(
            "frac x code",
            ("frac", "code"),
            "each code that F can make (23 d steps over some at small F, d <= 255 ends at large F)",
            lambda f, y: y in reachable[f],
        )
        if beats > 1:  # one-beat rows are never corrected
            c.point("correction1", codes, "decay of Sum when a beat came (0: maximum unchanged)")
            c.point("correction2", codes, "correction of a beat's codes in pass 2")
            for point in ("correction1", "correction2"):
                c.cross(
                    f"frac x {point}",
                    ("frac", point),
                    f"each {point} that F can make",
                    lambda f, y: y in reachable[f],
                )
        c.group("divider")
        c.point("ks", range(top_ks + 1), "floor(log2 Sum) - 15")
        c.point("bin", range(1 << div_bits), "bin of Sum after its leading one")
        c.point("step", [*range(9 << exp_frac), "zero"], "shift of C that made an element's output")
        c.cross("fmt x ks", ("fmt", "ks"), "each exponent in both formats")
        c.cross("fmt x step", ("fmt", "step"), "each output step in both formats")
        c.cross(
            "ks x bin",
            ("ks", "bin"),
            "each divider bin at each exponent, as far as MAX_LEN equal elements get",
            lambda ks, j: ks < top_ks or j <= top_bin,
        )
        return c

    def sample(self, coverage: Coverage, parameters: Parameters, rows: Rows) -> None:
        lanes, exp_frac = parameters["LANES"], parameters["EXP_FRAC"]
        some = rows.mask.any(axis=1)
        if not some.any():
            return
        rows = rows.select(some)
        frac, fmt = rows.settings["frac"], rows.settings["fmt"]
        trace = self.model(**parameters).trace(rows.x, rows.mask, **rows.settings)

        sample_maximum(coverage, lanes, trace.argmax, rows.length)
        last_beat = (rows.length - 1) // lanes
        bins = len(coverage.points["updates"].bins)
        coverage.sample("updates", np.minimum(spread(trace.updates, _UPDATES), bins - 1))
        coverage.sample("frac", frac)
        coverage.sample("fmt", fmt)
        # Codes and steps are negative where masked, and not counted there.
        by_row = frac[:, None]
        coverage.sample("frac x code", by_row, trace.code, axes=("code",))
        if "correction1" in coverage.points:
            # Beats from the row's first unmasked one on: before it there is nothing to correct.
            beat = np.arange(trace.beat_max.shape[1])
            live = (beat >= (rows.mask.argmax(axis=1) // lanes)[:, None]) & (
                beat <= last_beat[:, None]
            )
            for point in ("correction1", "correction2"):
                values = np.where(live, getattr(trace, point).astype(np.int16), -1)
                coverage.sample(f"frac x {point}", by_row, values, axes=(point,))
        shift = np.where(fmt == 0, trace.ks.astype(np.int16) << exp_frac, 0)
        step = np.minimum(trace.k + shift[:, None], 9 << exp_frac)
        step = np.where(trace.k < 0, -1, step)
        coverage.sample("fmt x step", fmt[:, None], step, axes=("step",))
        coverage.sample("fmt x ks", fmt, trace.ks, axes=("ks",))
        coverage.sample("ks x bin", trace.ks, trace.j, axes=("bin",))


E2SOFTMAX = E2SoftmaxUnit(
    name="e2softmax",
    title="E2Softmax (SOLE, ICCAD 2023): softmax of int8 logits with 4-bit codes and a log divider",
    model=E2Softmax,
    rtl=(
        "common/sn_ram_1r1w.sv",
        "common/sn_pipe.sv",
        "common/sn_reduce_tree.sv",
        "common/sn_leading_one.sv",
        "common/sn_max.sv",
        "common/sn_row_max.sv",
        "common/sn_row_guard.sv",
        "common/sn_max_front.sv",
        "common/sn_row_buffer.sv",
        "common/sn_row_output.sv",
        "e2softmax/e2softmax_tables_pkg.sv",
        "e2softmax/e2softmax_log2exp.sv",
        "e2softmax/e2softmax_reduction.sv",
        "e2softmax/e2softmax_log_div.sv",
        "e2softmax/e2softmax.sv",
    ),
    in_dtype=np.dtype(np.int8),
    tensors="e2softmax_minilm.npz",
    configurations=(
        {},
        # No adder, no bit for ks.
        {"LANES": 1, "MAX_LEN": 1},
        # A pair of weights of which one does not exist, in half octaves.
        {"LANES": 1, "MAX_LEN": 64, "DIV_BITS": 2, "EXP_FRAC": 1},
        # One pair, no tree; a last beat that MAX_LEN cuts.
        {"LANES": 2, "MAX_LEN": 3},
        # Half octaves added in a tree with a register; ks needs a bit more than for 255 elements.
        {"LANES": 8, "MAX_LEN": 256, "DIV_BITS": 3, "EXP_FRAC": 1},
        # A tree with two registers.
        {"LANES": 64, "MAX_LEN": 4096, "DIV_BITS": 4},
    ),
    variants=tuple(
        Variant(
            {"DIV_BITS": bits, "EXP_FRAC": half},
            {"fmt": fmt},
            plotted=(bits, half, fmt) in ((1, 0, 0), (4, 1, 1)),  # the paper's, our best
        )
        for half in (0, 1)
        for bits in (1, 2, 3, 4)
        for fmt in (0, 1)
    ),
    bad_configurations=(
        {"LANES": 3},
        {"LANES": 128},
        {"MAX_LEN": 31},
        {"MAX_LEN": 65537},
        {"DIV_BITS": 0},
        {"DIV_BITS": 5},
        {"EXP_FRAC": 2},
    ),
)
