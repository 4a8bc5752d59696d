# SPDX-License-Identifier: Apache-2.0
"""NN-LUT LayerNorm: the descriptor (docs/units/nnlut_layernorm.md).

The RTL is in rtl/baseline/nnlut_layernorm.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from softnorm.models import metrics, reference
from softnorm.models.arrays import adopt, cast
from softnorm.models.nnlut_layernorm import (
    INT32,
    SEGMENTS,
    SHIFTS,
    NnlutLayerNorm,
    NnlutTrace,
    lines,
)
from softnorm.models.vectors import Vectors

from .ailayernorm import SIDES, AILayerNormUnit, Wanted, by_channels, named, outputs_wanted
from .coverage import Coverage
from .edges import ties
from .softmax import clog2, tree_stages
from .unit import (
    BANKS,
    IN_REG,
    OUT_REG,
    ChannelField,
    Outputs,
    Parameters,
    Rom,
    Rows,
    Setting,
    TableSize,
    Variant,
)

_FINER = 8  # additional fraction bits of AILayerNorm's inputs
_SHIFT = 5  # for these inputs: none of their deviations needs more than 16 bits
_SHIFTS = ("1 .. 7", "8 .. 15", "16 .. 23", "24 .. 31", "32 ..")


@dataclass(frozen=True)
class NnlutLayerNormUnit(AILayerNormUnit):
    """Lengths, channels and outputs as in AILayerNorm's descriptor, with 32-bit inputs."""

    def settings(self, parameters: Parameters) -> tuple[Setting, ...]:
        bank, _, *lengths, gfrac, ofrac, _ = super().settings(parameters)
        shift = Setting("shift", SHIFTS, "bits that a deviation loses before it is squared")
        return (bank, shift, *lengths, gfrac, ofrac)

    def draw_channels(self, rng: np.random.Generator, count: int):
        drawn = super(AILayerNormUnit, self).draw_channels(rng, count)
        drawn.values["gamma"][rng.random(count) < 0.1] = rng.choice([-128, 0, 127])
        return drawn

    def adopted(self, file: Vectors, parameters: Parameters) -> Vectors:
        """Rows of AILayerNorm, dequantised."""
        if file.unit == self.name:
            return file
        alpha = file.channels["alpha"][file.channel_set]
        zp = np.broadcast_to(file.run_settings["zp"], len(file.x))
        x, given = self.quantised(file.x, zp, alpha)
        return dataclasses.replace(
            file,
            unit=self.name,
            parameters={},
            settings={**file.settings, **given},
            x=x,
            channels={name: file.channels[name] for name in ("gamma", "beta")},
            meta={},
        )

    def quantised(
        self, x: np.ndarray, zp: int | np.ndarray, alpha: np.ndarray
    ) -> tuple[np.ndarray, dict[str, int]]:
        """Integers of one scale: 256 per input step."""
        zp = zp if isinstance(zp, int) else np.reshape(zp, (-1, 1))
        centred = (cast(x, "int32") - zp) << cast(adopt(alpha, x), "int32")
        return cast(centred << _FINER, "int32"), {"shift": _SHIFT}

    def predict(self, parameters: Parameters, rows: Rows) -> Outputs:
        out, err_len = np.zeros(rows.x.shape, np.int8), np.zeros(len(rows), bool)
        for chosen, channels, part in by_channels(rows):
            result = self.model(**parameters)(part.x, channels, part.mask, **named(part))
            out[chosen], err_len[chosen] = result.out, result.err_len
        return Outputs(out, np.zeros(len(rows), np.int8), err_len)

    def values(
        self, parameters: Parameters, rows: Rows, outputs: Outputs
    ) -> tuple[np.ndarray, np.ndarray]:
        """Both clipped to int8: saturation is not an error of the method."""
        exact = np.zeros(rows.x.shape)
        for chosen, channels, part in by_channels(rows):
            gamma, beta = channels.gamma * 1.0, channels.beta * 1.0
            normal = reference.layer_norm(part.x, gamma, np.zeros_like(beta), part.mask)
            steps = np.ldexp(1.0, part.settings["ofrac"] - part.settings["gfrac"])[:, None]
            exact[chosen] = np.where(part.mask, normal * steps + beta, 0)
        return outputs.out.astype(float), np.clip(exact, -128, 127)

    def accuracy(self, parameters: Parameters, rows: Rows, outputs: Outputs) -> dict[str, float]:
        """Elements in output steps; statistics as `metrics` says."""
        exact = reference.row_statistics(rows.x, rows.mask)
        seen = np.zeros((2, len(rows)))
        for chosen, channels, part in by_channels(rows):
            trace = self.model(**parameters).trace(part.x, channels, part.mask, **named(part))
            seen[:, chosen] = trace.statistics()
        values = self.values(parameters, rows, outputs)
        return {
            **metrics.layer_norm_errors(*values, rows.mask).as_dict(),
            **{
                f"statistics: {name}": value
                for name, value in metrics.statistic_errors(seen[0], seen[1], *exact)
                .as_dict()
                .items()
            },
        }

    def latency(self, parameters: Parameters) -> tuple[int, ...]:
        tree = tree_stages(parameters["LANES"])
        less, later = (self.without(parameters, name) for name in (IN_REG, OUT_REG))
        return (tree + 6 - less, tree + 16 - later)

    def err_len_delay(self, parameters: Parameters) -> int:
        return 3 + tree_stages(parameters["LANES"]) - self.without(parameters, IN_REG)

    def traced(self, parameters: Parameters, rows: Rows) -> NnlutTrace:
        [(_, channels, part)] = by_channels(rows)
        return self.model(**parameters).trace(part.x, channels, part.mask, **named(part))

    def wanted(self, parameters: Parameters, trace: NnlutTrace, rows: Rows) -> Wanted:
        table, mant = lines(), rows.settings["inv_mant"]
        down = 15 + rows.settings["inv_exp"]
        bounds = np.concatenate([[1 << 14], table.b, [1 << 16]])
        first, last = trace.m - bounds[trace.k], bounds[trace.k + 1] - 1 - trace.m
        fits = np.where(trace.e >= 8, 0.0, np.inf)
        return [
            *((trace.k, fits + distance) for distance in (first, last)),
            *((trace.k, distance) for distance in ties(table.S[trace.k] * trace.m, 14 + 0 * down)),
            *((down, distance) for distance in ties(trace.sum * mant, down)),
            *((down, distance) for distance in ties(trace.squares * mant, down)),
            (trace.e, 0.0 * trace.e),
            (trace.shift, 0.0 * trace.e),
            *outputs_wanted(trace, rows, trace.k),
        ]

    def storage(self, parameters: Parameters) -> dict[str, tuple[int, int]]:
        lanes, longest = parameters["LANES"], parameters["MAX_LEN"]
        beats, tree = -(-longest // lanes), tree_stages(lanes)
        exp = max(1, clog2(clog2(longest + 1)))
        first = beats + tree + 5 - self.without(parameters, IN_REG)
        channels = self.banks(parameters) * beats
        return {
            "beats 1": (first, 33 * lanes + 1),  # x, masked or absent, last
            # Flags, bank, shift, M, Lz, gfrac, ofrac, mean.
            "rows 1": (first, 2 + 1 + 5 + 16 + exp + 3 + 3 + 32),
            "beats 2": (beats + tree + 11, 1 + 1),  # bank, last
            # d also tells what is masked or absent.
            "beats 2: d (read a clock later)": (beats + tree + 11, 33 * lanes),
            "rows 2": (beats + tree + 11, 2 + 16 + 6),  # flags, R, sh
            "gamma": (channels, 8 * lanes),
            "beta": (channels, 8 * lanes),
        }

    def tables(self, parameters: Parameters) -> dict[str, TableSize]:
        return {
            "places": TableSize(SEGMENTS - 1, 16),
            "slopes": TableSize(SEGMENTS, 15),
            "intercepts": TableSize(SEGMENTS, 17),
        }

    def roms(self) -> tuple[Rom, ...]:
        table = lines()
        return (
            Rom("place", table.b, 16, "b[i + 1] = round(2^14 * 4^((i + 1)/16))"),
            Rom("slope", table.S, 15, "S[i], the line's slope downwards, 16 fraction bits"),
            Rom("intercept", table.T, 17, "T[i], the line's intercept, 16 fraction bits"),
        )

    # -------------------------------------------------------------------------------- coverage

    def coverage(self, parameters: Parameters) -> Coverage:
        c = Coverage()
        c.group("statistics")
        c.point("mean", ("negative", "0", "positive"), "sign of the mean")
        c.point("mean cut", SIDES, "mean cut to 32 bits")
        c.point("deviation cut", SIDES, "deviation cut to 32 bits")
        c.point("square cut", SIDES, "what is squared cut to 16 bits")
        c.point("shift", SHIFTS, "setting of a row")
        c.point("Lz", range(parameters["MAX_LEN"].bit_length()), "exponent of 1/n")
        c.group("table")
        c.point("line", range(SEGMENTS), "k: the line of a row")
        c.point("e", range(16), "half the exponent of var")
        c.point("var", ("raised to 1", "within", "cut"), "variance at the ends of 32 bits")
        c.group("affine")
        c.point("sh", _SHIFTS, "right shift of the product")
        c.point("saturation", SIDES, "output cut to int8")
        c.point("gamma", ("negative", "0", "positive"), "sign of an element's gamma")
        c.group("length")
        c.point("count", ("right", "less", "more"), "unmasked elements against cfg_len_i")
        c.point("bank", range(BANKS), "bank of a row")
        return c

    def sample(self, coverage: Coverage, parameters: Parameters, rows: Rows) -> None:
        some = rows.mask.any(axis=1)
        if not some.any():
            return
        for _, channels, part in by_channels(rows.select(some)):
            trace = self.model(**parameters).trace(part.x, channels, part.mask, **named(part))
            _sample(coverage, trace, part)
            signs = np.sign(channels.gamma.astype(int)) + 1
            coverage.sample("gamma", np.where(part.mask, signs, -1))


def _sample(coverage: Coverage, trace: NnlutTrace, rows: Rows) -> None:
    """Count the trace of some rows."""
    settings, mask = rows.settings, rows.mask
    coverage.sample("mean", np.sign(trace.mean) + 1)
    # At an end: saturated, or a row of equal elements there.
    low, high = INT32
    coverage.sample("mean cut", np.where(trace.mean == low, 0, np.where(trace.mean == high, 2, 1)))
    d = trace.d.astype(np.int64)
    for name, whole, cut in (
        ("deviation cut", rows.x - trace.mean[:, None], d),
        ("square cut", d >> trace.shift[:, None], trace.y),
    ):
        coverage.sample(name, np.where(mask, np.sign(whole - cut) + 1, -1))
    coverage.sample("shift", trace.shift)
    coverage.sample("Lz", settings["inv_exp"])
    coverage.sample("line", trace.k)
    coverage.sample("e", trace.e)
    top = (1 << 32) - 1
    coverage.sample("var", np.where(trace.squares == 0, 0, np.where(trace.var == top, 2, 1)))
    coverage.sample("sh", np.searchsorted((8, 16, 24, 32), trace.sh, side="right"))
    coverage.sample("saturation", np.where(mask, trace.saturated + 1, -1))
    off = np.sign(trace.n - settings["len"])
    coverage.sample("count", np.where(off == 0, 0, np.where(off < 0, 1, 2)))
    coverage.sample("bank", settings["bank"])


NNLUT_LAYERNORM = NnlutLayerNormUnit(
    name="nnlut_layernorm",
    title="NN-LUT LayerNorm (DAC 2022, baseline): LayerNorm of int32, 1/sigma from 16 lines",
    model=NnlutLayerNorm,
    rtl=(
        "common/sn_ram_1r1w.sv",
        "common/sn_pipe.sv",
        "common/sn_reduce_tree.sv",
        "common/sn_multiply.sv",
        "common/sn_row_guard.sv",
        "common/sn_row_buffer.sv",
        "common/sn_row_output.sv",
        "common/sn_channel_column.sv",
        "common/sn_row_sum.sv",
        "common/sn_shift_saturate.sv",
        "common/sn_affine.sv",
        "common/sn_norm_back.sv",
        "baseline/nnlut_layernorm/nnlut_layernorm_tables_pkg.sv",
        "baseline/nnlut_layernorm/nnlut_layernorm_average.sv",
        "baseline/nnlut_layernorm/nnlut_layernorm_deviation.sv",
        "baseline/nnlut_layernorm/nnlut_layernorm_rsqrt.sv",
        "baseline/nnlut_layernorm/nnlut_layernorm.sv",
    ),
    in_dtype=np.dtype(np.int32),
    tensors="ailayernorm_minilm.npz",
    reads=("ailayernorm",),
    configurations=(
        {},
        # No adder; both banks of the channel table are two words, without a beat's number.
        {"LANES": 1, "MAX_LEN": 1},
        # A last beat that MAX_LEN cuts; Lz with one bit.
        {"LANES": 2, "MAX_LEN": 3},
        # No registers at the ports, one bank of channels.
        {"LANES": 4, "MAX_LEN": 24, "IN_REG": 0, "OUT_REG": 0, "BANKS": 1},
        # A tree with a register; a length that needs a bit more than an address.
        {"LANES": 8, "MAX_LEN": 4096},
    ),
    variants=(Variant({}, plotted=True),),
    bad_configurations=(
        {"LANES": 3},
        {"MAX_LEN": 31},
        {"MAX_LEN": 65537},
        {"IN_REG": 2},
        {"OUT_REG": 2},
        {"BANKS": 3},
    ),
    channels=(
        ChannelField("gamma", np.dtype(np.int8), range(-128, 128)),
        ChannelField("beta", np.dtype(np.int8), range(-128, 128)),
    ),
)
