# SPDX-License-Identifier: Apache-2.0
"""Exact LayerNorm: the descriptor (docs/units/exact_layernorm.md).

The RTL is in rtl/baseline/exact_layernorm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from softnorm.models.arith import INT8, rnd
from softnorm.models.channels import MAX_ALPHA, Channels, ChannelSet
from softnorm.models.exact_layernorm import MEAN_FRAC, ExactLayerNorm, isqrt

from .ailayernorm import SIDES, AILayerNormUnit, Wanted, by_channels, named, outputs_wanted
from .coverage import Coverage
from .edges import picked
from .softmax import clog2, tree_stages
from .unit import (
    BANKS,
    IN_REG,
    ChannelField,
    Edge,
    Outputs,
    Parameters,
    Rom,
    Rows,
    Setting,
    TableSize,
    Variant,
)

# floor(log2 sigma), in input steps.
_SIGMAS = ("level row", "< 1", *(f"{1 << k} .." for k in range(11)))
_QUOTIENTS = ("1", "2", "3")  # of n over root, whole
_SHIFTS = ("left", "0 .. 7", "8 .. 15", "16 .. 23", "24 ..")


def _remainders(trace: Any) -> tuple[np.ndarray, np.ndarray]:
    """What root and quotient leave of D and n, as shares of a step [rows]: 1 is about to be one."""
    up = 30 - 2 * trace.e
    square = (trace.D << np.maximum(up, 0)) >> np.maximum(-up, 0)
    over = (square - trace.root**2) / (2 * trace.root + 1)
    return over, (trace.n << (30 - trace.Lz)) % trace.root / trace.root


@dataclass(frozen=True)
class ExactLayerNormUnit(AILayerNormUnit):
    """AILayerNorm's descriptor without what the exact unit does not need."""

    def settings(self, parameters: Parameters) -> tuple[Setting, ...]:
        names = ("bank", "zp", "gfrac", "ofrac", "rms")
        return tuple(one for one in super().settings(parameters) if one.name in names)

    def complete(
        self, parameters: Parameters, mask: np.ndarray, rng: np.random.Generator | None = None
    ) -> dict[str, int]:
        return {}

    def predict(self, parameters: Parameters, rows: Rows) -> Outputs:
        out = np.zeros(rows.x.shape, np.int8)
        for chosen, channels, part in by_channels(rows):
            out[chosen] = self.model(**parameters)(part.x, channels, part.mask, **named(part)).out
        return Outputs(out, np.zeros(len(rows), np.int8))

    def latency(self, parameters: Parameters) -> tuple[int, ...]:
        return (23 + tree_stages(parameters["LANES"]) - self.without(parameters),)

    def err_len_delay(self, parameters: Parameters) -> int:
        return 1  # no setting gives the length

    def wanted(self, parameters: Parameters, trace: Any, rows: Rows) -> Wanted:
        norm = np.where(rows.settings["rms"] == 0, 0.0, np.inf)
        over, rest = _remainders(trace)
        mean = (2 * trace.S * (1 << MEAN_FRAC) + trace.n) % (2 * trace.n) / (2 * trace.n)
        return [
            *((trace.e, distance) for distance in (over, 1 - over, rest, 1 - rest)),
            *((trace.root >> 10, distance) for distance in (over, 1 - over)),
            *((trace.R >> 10, distance) for distance in (rest, 1 - rest)),
            *((trace.Lz, norm + distance) for distance in (mean, 1 - mean)),
            *((trace.mean & 63, norm + distance) for distance in (mean, 1 - mean)),
            *outputs_wanted(trace, rows, trace.e),
        ]

    def edges(self, parameters: Parameters) -> Iterator[Edge]:
        yield from super().edges(parameters)
        yield from self._squares(parameters)
        yield from self._ties(parameters)
        yield from self._inverses(parameters)

    def _squares(self, parameters: Parameters) -> Iterator[Edge]:
        """Rows of three elements whose variance is close to where the root's last bits change.

        Their D is 2 (a a + a b + b b), of the distances a and b between them.
        """
        if parameters["MAX_LEN"] < 3:
            return
        rng = np.random.default_rng(1)
        u = rng.integers(0, 256, (1 << 17, 3))
        alpha = rng.integers(MAX_ALPHA + 1, size=(8, 3))
        v = u << np.resize(alpha, u.shape)
        a, b = v[:, 1] - v[:, 0], v[:, 2] - v[:, 1]
        D = np.maximum(2 * (a * a + a * b + b * b), 1)
        up = 30 - 2 * (np.frexp(D.astype(float))[1] - 1 >> 1)
        square = D << up
        root = np.sqrt(square.astype(float)).astype(int)
        for distance in (square - root**2, (root + 1) ** 2 - square):
            near = np.lexsort((distance, root >> 10))
            first = np.searchsorted((root >> 10)[near], range(32, 64))
            for row in near[(first[:, None] + np.arange(3)).ravel() % len(near)]:
                channels = self._ends(parameters, beta=0)
                channels.values["alpha"][:3] = alpha[row % 8]
                yield Edge(u[row].astype(np.uint8), {"gfrac": 7, "ofrac": 6}, channels=channels)

    def _ties(self, parameters: Parameters) -> Iterator[Edge]:
        """Rows of two values as often: one below and above the mean, and half a step of output.

        D is a power of four: an inverse deviation that is a bit too small rounds the other way.
        """
        gamma = np.resize([1, 3, 5, -1, -3, 7], parameters["MAX_LEN"]).astype(np.int8)
        longest = parameters["MAX_LEN"].bit_length()
        for length in (1 << n for n in range(1, longest)):
            for alpha, bit in [(0, n) for n in range(8)] + [(3, n) for n in range(5, 8)]:
                channels = self._ends(parameters, alpha=alpha, beta=0)
                channels = ChannelSet({**channels.values, "gamma": gamma})
                x = np.arange(length) % 2 << bit
                yield Edge(x.astype(np.uint8), {"gfrac": 2, "ofrac": 1}, channels=channels)

    def _inverses(self, parameters: Parameters) -> Iterator[Edge]:
        """Rows whose root or quotient is about to change, with gammas that show R's lowest bit.

        An output has 8 bits and R has 16, so hardly a row at random shows it: here each element's
        gamma is one whose output differs between R and a number next to it, where there is one.
        """
        scale = {"zp": 0, "gfrac": 7, "ofrac": 5}
        gamma = np.arange(-128, 128)[:, None]
        for x, length, alpha in (self._many(parameters), *self._far(parameters)):
            width = x.shape[1]
            some = {**self._ends(parameters, beta=0).values}
            some["alpha"][:width] = alpha
            columns = Channels(**{name: values[:width] for name, values in some.items()})
            mask = np.arange(width) < length[:, None]
            trace = self.model(**parameters).trace(x, columns, mask, **scale)
            over, rest = _remainders(trace)
            near = [
                (key >> 10, distance)
                for key, share in ((trace.root, over), (trace.R, rest))
                for distance in (share, 1 - share)
            ]
            for row in picked(near):
                centred = (trace.v[row].astype(int) << MEAN_FRAC) - trace.mean[row]
                outs = [
                    np.clip(rnd(rnd(gamma * R, 8) * centred, trace.sh[row]), *INT8)
                    for R in trace.R[row] + np.array([0, -1, 1])
                ]
                for other in outs[1:]:
                    told = some["gamma"].copy()
                    told[:width] = (other != outs[0]).argmax(axis=0) - 128  # -128: or none does
                    channels = ChannelSet({**some, "gamma": told})
                    yield Edge(x[row, : length[row]], scale, channels=channels)

    def _many(self, parameters: Parameters) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(x, lengths, alpha) of rows at random, of every size."""
        width = min(parameters["MAX_LEN"], 48)
        rng, count = np.random.default_rng(1), 1 << 13
        x = rng.integers(256, size=(count, width)) >> rng.integers(6, size=(count, 1))
        length = rng.integers(min(2, width), width + 1, count)
        return x.astype(np.uint8), length, np.resize([3, 0, 2, 1], width).astype(np.uint8)

    def _far(self, parameters: Parameters) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """The same of rows half of which lie far from the others: a root takes all bits of their D.

        Two elements have any value; chosen are those whose D is a square, or is about to be one.
        """
        for width in {min(parameters["MAX_LEN"], most) for most in (21, 33, 47, 58, 62)} - {
            1,
            2,
            3,
        }:
            alpha = np.full(width, MAX_ALPHA, np.uint8)
            alpha[-2:] = 0
            pair = np.indices((256, 256)).reshape(2, -1)
            for top in (255, 254, 252, 251, 247, 243, 239, 233):
                row = np.where(np.arange(width) % 2, top, 0)
                v = row[:-2] << MAX_ALPHA
                D = (
                    width * ((v * v).sum() + (pair**2).sum(axis=0))
                    - (v.sum() + pair.sum(axis=0)) ** 2
                )
                up = 30 - 2 * (np.frexp(D.astype(float))[1] - 1 >> 1)
                square = (D << np.maximum(up, 0)) >> np.maximum(-up, 0)
                root = isqrt(square)
                best = [
                    np.argsort(distance)[:3]
                    for distance in (square - root**2, (root + 1) ** 2 - square)
                ]
                x = np.tile(row, (6, 1))
                x[:, -2:] = pair[:, np.concatenate(best)].T
                yield x.astype(np.uint8), np.full(6, width), alpha

    def storage(self, parameters: Parameters) -> dict[str, tuple[int, int]]:
        lanes = parameters["LANES"]
        beats = -(-parameters["MAX_LEN"] // lanes)
        words = beats + 18 + tree_stages(lanes) - self.without(parameters, IN_REG)
        channels = self.banks(parameters) * beats
        return {
            "beats": (words, 1 + 1),  # bank, last
            "beats: x (read a clock later)": (words, 9 * lanes),  # masked or absent, too
            "rows": (words, 2 + 8 + 19 + 16 + 6),  # flags, zp, mean, R, sh
            "channels, alpha": (channels, 2 * lanes),
            "channels, gamma and alpha": (channels, 10 * lanes),
            "channels, beta": (channels, 8 * lanes),
        }

    def tables(self, parameters: Parameters) -> dict[str, TableSize]:
        return {}

    def roms(self) -> tuple[Rom, ...]:
        return ()

    # -------------------------------------------------------------------------------- coverage

    def coverage(self, parameters: Parameters) -> Coverage:
        c = Coverage()
        c.group("statistics")
        c.point("alpha", range(MAX_ALPHA + 1), "power of two of an element's channel")
        c.point("sign", ("x < zp", "x = zp", "x > zp"), "side of the zero point")
        c.cross("alpha x sign", ("alpha", "sign"), "both sides at each alpha")
        c.group("moments")
        c.point("rms", ("LayerNorm", "RMSNorm"), "what a row asks for")
        c.point("Lz", range(clog2(parameters["MAX_LEN"] + 1)), "exponent of n")
        c.point("sigma", _SIGMAS, "standard deviation in input steps, by octaves")
        c.point("pair", ("01", "10", "11"), "leading pair of bits of D")
        c.point("quotient", _QUOTIENTS, "whole part of n over root, each normalised")
        c.point("mean", ("negative", "0", "positive"), "sign of the mean")
        c.point("mean rounded", ("exact", "down", "up"), "direction")
        c.group("affine")
        c.point("sh", _shifts(parameters), "right shift of the product; left on level rows")
        c.point("saturation", SIDES, "output cut to int8")
        c.cross("rms x saturation", ("rms", "saturation"), "both norms at both ends")
        c.point("gamma", ("negative", "0", "positive"), "sign of an element's gamma")
        c.point("bank", range(BANKS), "bank of a row")
        return c

    def sample(self, coverage: Coverage, parameters: Parameters, rows: Rows) -> None:
        some = rows.mask.any(axis=1)
        if not some.any():
            return
        for _, channels, part in by_channels(rows.select(some)):
            settings, mask = part.settings, part.mask
            trace = self.model(**parameters).trace(part.x, channels, mask, **named(part))
            alpha = np.where(mask, channels.alpha.astype(int), -1)
            signs = np.where(mask, np.sign(trace.a) + 1, -1)
            coverage.sample("alpha x sign", alpha, signs, axes=("alpha", "sign"))
            coverage.sample("rms", settings["rms"])
            coverage.sample("Lz", trace.Lz)
            centred = np.where(settings["rms"] == 1, 0, trace.S)
            level = trace.n * trace.Q == centred**2
            octave = np.clip(trace.e - trace.Lz, -1, len(_SIGMAS) - 3)
            coverage.sample("sigma", np.where(level, 0, octave + 2))
            coverage.sample("pair", (trace.D >> 2 * trace.e) - 1)
            coverage.sample("quotient", (trace.R >> 14) - 1)
            coverage.sample("mean", np.sign(trace.mean) + 1)
            # What rounding added, times n.
            added = (trace.mean * trace.n) - (centred << 7)
            coverage.sample("mean rounded", np.where(added == 0, 0, np.where(added < 0, 1, 2)))
            place = np.searchsorted((0, 8, 16, 24), trace.sh, side="right")
            coverage.sample("sh", place - len(_SHIFTS) + len(_shifts(parameters)))
            sides = np.where(mask, trace.saturated + 1, -1)
            coverage.sample("rms x saturation", settings["rms"][:, None], sides)
            coverage.sample("saturation", sides)
            coverage.sample("gamma", np.where(mask, np.sign(channels.gamma) + 1, -1))
            coverage.sample("bank", settings["bank"])


def _shifts(parameters: Parameters) -> tuple[str, ...]:
    """Bins of sh. Rows of equal elements shift left only if MAX_LEN is large enough."""
    return _SHIFTS if parameters["MAX_LEN"] >= 256 else _SHIFTS[1:]


EXACT_LAYERNORM = ExactLayerNormUnit(
    name="exact_layernorm",
    title="Exact LayerNorm (baseline): the same from exact sums, an integer root and dividers",
    model=ExactLayerNorm,
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
        "baseline/exact_layernorm/exact_layernorm_statistics.sv",
        "baseline/exact_layernorm/exact_layernorm_divide.sv",
        "baseline/exact_layernorm/exact_layernorm_root.sv",
        "baseline/exact_layernorm/exact_layernorm_moments.sv",
        "baseline/exact_layernorm/exact_layernorm.sv",
    ),
    in_dtype=np.dtype(np.uint8),
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
    variants=tuple(Variant({}, {"rms": rms}, plotted=not rms) for rms in (0, 1)),
    bad_configurations=(
        {"LANES": 3},
        {"MAX_LEN": 31},
        {"MAX_LEN": 65537},
        {"IN_REG": 2},
        {"OUT_REG": 2},
        {"BANKS": 3},
    ),
    channels=(
        ChannelField("alpha", np.dtype(np.uint8), range(MAX_ALPHA + 1)),
        ChannelField("gamma", np.dtype(np.int8), range(-128, 128)),
        ChannelField("beta", np.dtype(np.int8), range(-128, 128)),
    ),
)
