"""E2Softmax: the descriptor (docs/units.md, section E2Softmax; RTL in rtl/e2softmax)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models import metrics, reference
from models.e2softmax import E2Softmax, SoftmaxResult, log2exp
from tb.coverage import Coverage
from tb.unit import Outputs, Rows, Setting, Unit


def _clog2(n: int) -> int:
    return (n - 1).bit_length()


def _spread(index: np.ndarray, edges: tuple[int, ...]) -> np.ndarray:
    """Bin numbers of counts: bin b holds edges[b] .. edges[b + 1] - 1, the last all above."""
    return np.searchsorted(np.asarray(edges), index, side="right") - 1


@dataclass(frozen=True)
class E2SoftmaxUnit(Unit):
    """See `tb.unit.Unit`."""

    def predict(self, parameters: Mapping[str, int], rows: Rows) -> Outputs:
        result = self.model(**parameters)(rows.x, rows.mask, **rows.settings)
        return Outputs(result.out, result.exponent)

    def accuracy(self, rows: Rows, outputs: Outputs) -> dict[str, float]:
        result = SoftmaxResult(outputs.out, outputs.exponent)
        scale = np.ldexp(1.0, -rows.settings["frac"])[:, None]
        exact = reference.softmax(rows.x * scale, rows.mask)
        return metrics.softmax_errors(
            result.to_real(), exact, rows.mask, result.half_lsb()
        ).as_dict()

    def latency(self, parameters: Mapping[str, int]) -> int:
        return 8 + 2 * _tree_stages(parameters["LANES"])

    def storage(self, parameters: Mapping[str, int]) -> dict[str, tuple[int, int]]:
        lanes, max_len = parameters["LANES"], parameters["MAX_LEN"]
        words = -(-max_len // lanes) + 5 + 2 * _tree_stages(lanes)
        code = 4 + parameters["EXP_FRAC"]
        ks = max(1, _clog2(_clog2(max_len) + 1))
        return {
            "beats": (words, code * lanes + 8 + 1),  # codes, m_t, last
            "rows": (words, 2 + 8 + 4 + ks + parameters["DIV_BITS"]),
        }

    def coverage(self, parameters: Mapping[str, int]) -> Coverage:
        lanes, max_len = parameters["LANES"], parameters["MAX_LEN"]
        div_bits, exp_frac = parameters["DIV_BITS"], parameters["EXP_FRAC"]
        beats = -(-max_len // lanes)
        codes = range(16 << exp_frac)
        # The largest Sum is MAX_LEN * 2^15: it bounds ks, and the bin where ks is at its top.
        top_ks = max_len.bit_length() - 1
        top_bin = (max_len << div_bits >> top_ks) - (1 << div_bits)
        reachable = [set(log2exp(np.arange(256), f, exp_frac).tolist()) for f in range(8)]

        c = Coverage()
        c.group("maximum")
        c.point("max_beat", _position_names(beats), "beat that holds the row's first maximum")
        c.point("max_lane", _position_names(lanes), "lane that holds the row's first maximum")
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

    def sample(self, coverage: Coverage, parameters: Mapping[str, int], rows: Rows) -> None:
        lanes, exp_frac = parameters["LANES"], parameters["EXP_FRAC"]
        some = rows.mask.any(axis=1)
        if not some.any():
            return
        x, mask = rows.x[some], rows.mask[some]
        settings = {name: values[some] for name, values in rows.settings.items()}
        frac, fmt = settings["frac"], settings["fmt"]
        trace = self.model(**parameters).trace(x, mask, **settings)

        length = rows.length[some]
        last_beat = (length - 1) // lanes
        coverage.sample("max_beat", _position(trace.argmax // lanes, last_beat))
        coverage.sample(
            "max_lane", _position(trace.argmax % lanes, np.full_like(last_beat, lanes - 1))
        )
        bins = len(coverage.points["updates"].bins)
        coverage.sample("updates", np.minimum(_spread(trace.updates, _UPDATES), bins - 1))
        coverage.sample("frac", frac)
        coverage.sample("fmt", fmt)
        # Codes and steps are negative where masked, and not counted there.
        by_row = frac[:, None]
        coverage.sample("frac x code", by_row, trace.code, axes=("code",))
        if "correction1" in coverage.points:
            # Beats from the row's first unmasked one on: before it there is nothing to correct.
            beat = np.arange(trace.beat_max.shape[1])
            live = (beat >= (mask.argmax(axis=1) // lanes)[:, None]) & (beat <= last_beat[:, None])
            for point in ("correction1", "correction2"):
                values = np.where(live, getattr(trace, point).astype(np.int16), -1)
                coverage.sample(f"frac x {point}", by_row, values, axes=(point,))
        shift = np.where(fmt == 0, trace.ks.astype(np.int16) << exp_frac, 0)
        step = np.minimum(trace.k + shift[:, None], 9 << exp_frac)
        step = np.where(trace.k < 0, -1, step)
        coverage.sample("fmt x step", fmt[:, None], step, axes=("step",))
        coverage.sample("fmt x ks", fmt, trace.ks, axes=("ks",))
        coverage.sample("ks x bin", trace.ks, trace.j, axes=("bin",))


_UPDATES = (0, 1, 2, 3, 8)


def _tree_stages(lanes: int) -> int:
    return max(1, -(-_clog2(lanes) // 3))


def _position_names(n: int) -> list[str]:
    return ["first", "last", "between"][: min(n, 3)]


def _position(index: np.ndarray, last: np.ndarray) -> np.ndarray:
    return np.where(index == 0, 0, np.where(index == last, 1, 2))


E2SOFTMAX = E2SoftmaxUnit(
    name="e2softmax",
    title="E2Softmax (SOLE, ICCAD 2023): softmax of int8 logits with 4-bit codes and a log divider",
    model=E2Softmax,
    rtl=(
        "common/sn_ram_1r1w.sv",
        "common/sn_pipe.sv",
        "common/sn_reduce_tree.sv",
        "common/sn_leading_one.sv",
        "common/sn_row_guard.sv",
        "common/sn_row_buffer.sv",
        "e2softmax/e2softmax_log2exp.sv",
        "e2softmax/e2softmax_max.sv",
        "e2softmax/e2softmax_reduction.sv",
        "e2softmax/e2softmax_log_div.sv",
        "e2softmax/e2softmax.sv",
    ),
    settings=(
        Setting("frac", range(8), "fraction bits of the logits"),
        Setting("fmt", range(2), "output format: 0 linear, 1 row-scaled"),
    ),
    in_dtype=np.dtype(np.int8),
    out_dtype=np.dtype(np.uint8),
    tensors="e2softmax_minilm.npz",
    configurations=(
        {},
        {"LANES": 1, "MAX_LEN": 1},
        {"LANES": 1, "MAX_LEN": 64, "DIV_BITS": 2},
        {"LANES": 2, "MAX_LEN": 3, "EXP_FRAC": 1},
        {"LANES": 8, "MAX_LEN": 256, "DIV_BITS": 3, "EXP_FRAC": 1},
        {"LANES": 32, "MAX_LEN": 785, "DIV_BITS": 4},
        {"LANES": 64, "MAX_LEN": 4096, "DIV_BITS": 4},
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
