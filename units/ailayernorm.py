# SPDX-License-Identifier: Apache-2.0
"""AILayerNorm: the descriptor (docs/units/ailayernorm.md; RTL in rtl/ailayernorm)."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from softnorm.models import metrics, reference
from softnorm.models.ailayernorm import (
    EPSILON,
    MANTISSA,
    QMULT,
    QSHIFT,
    VAR_LIMIT,
    AILayerNorm,
    NormTrace,
    reciprocal,
    rsqrt_table,
)
from softnorm.models.arith import FRACS, rescale
from softnorm.models.channels import MAX_ALPHA, Channels, ChannelSet
from softnorm.models.ptf import FoldedNorm, Ptf
from softnorm.models.vectors import Vectors

from .coverage import Coverage
from .edges import picked, ties
from .softmax import tree_stages
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
    Unit,
    UserField,
    Variant,
)

QMULT_SETTING = Setting("qmult", range(QMULT[1] + 1), "scale of wide inputs: Q of Q * 2^-qshift")
QSHIFT_SETTING = Setting("qshift", range(QSHIFT[1] + 1), "scale of wide inputs: its shift")
EPS_SETTING = Setting("eps", range(EPSILON[1] + 1), "epsilon, by 1/256 of an input step squared")

# The scale of 1, at which a wide input is (x - zp) * 2^alpha.
_SAME = {"qmult": 1 << 15, "qshift": 15}

_MANTISSAS = (MANTISSA[0], 0x5555, 0x7C1F, MANTISSA[1] - 1, MANTISSA[1])  # M of edges
_WRONG_LENGTH = 0.05  # fraction of random rows with a wrong cfg_len_i or reciprocal
_ZP = (0, 1, 127, 128, 129, 254, 255)  # zero points with a bin of their own
_CLIPS = ("none", "62, 63", "248 ..")
SIDES = ("low", "none", "high")
Wanted = list[tuple[np.ndarray, np.ndarray]]  # of `edges.picked`
_EPSILONS = ("0", "1 .. 256", "257 .. 65534", "65535")
_SPREADS = ("0", "< 1", "1 .. 4", "4 ..")  # |mean| in standard deviations


def wide(parameters: Parameters) -> int:
    """Clocks in which bytes are made of wide inputs."""
    bits = parameters.get("IN_W", 8)
    return 2 + bits // 16 if bits > 8 else 0


def wider(parameters: Parameters) -> int:
    """The same, with the one more that the widest build's row has for its products."""
    return wide(parameters) + int(parameters.get("IN_W", 8) > 16)


def widened(x: np.ndarray, zp: np.ndarray, alpha: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Wide inputs that `_SAME` makes bytes x [rows, width] of; zp [rows], alpha [.., width]."""
    return ((x.astype(np.int64) - zp[:, None]) << alpha).astype(dtype)


def a_bits(parameters: Parameters) -> int:
    """Bits of gamma / sigma."""
    return parameters.get("A_BITS", 10)


def _least_shift(parameters: Parameters) -> int:
    """The smallest sh: e and gfrac are 0, ofrac is 7."""
    return a_bits(parameters) - 10 - FRACS[-1]


def exact_squares(parameters: Parameters) -> bool:
    """Whether there is no DynamicCompress."""
    return bool(parameters.get("EXACT_SQ", 0))


@dataclass(frozen=True)
class AILayerNormUnit(Unit):
    """See `units.unit.Unit`."""

    value_unit = "output steps"
    in_networks = True

    def settings(self, parameters: Parameters) -> tuple[Setting, ...]:
        longest = parameters["MAX_LEN"]
        return (
            Setting("bank", range(BANKS), "bank of the channel table", drawn=False),
            Setting("zp", range(256), "input that stands for 0"),
            Setting("len", range(longest + 1), "unmasked elements of the row", drawn=False),
            Setting("inv_mant", range(MANTISSA[0], MANTISSA[1] + 1), "M of 1/len", drawn=False),
            Setting("inv_exp", range(longest.bit_length()), "Lz of 1/len", drawn=False),
            Setting("gfrac", FRACS, "fraction bits of gamma"),
            Setting("ofrac", FRACS, "fraction bits of the output"),
            Setting("rms", range(2), "0 LayerNorm, 1 RMSNorm", words=("LayerNorm", "RMSNorm")),
            *((QMULT_SETTING, QSHIFT_SETTING) if wide(parameters) else ()),
            *((EPS_SETTING,) if parameters.get("EPS", 0) else ()),
        )

    def input_dtype(self, parameters: Parameters) -> np.dtype:
        return self.model(**parameters).in_dtype if wide(parameters) else self.in_dtype

    def user_fields(self, parameters: Parameters) -> tuple[UserField, ...]:
        return (UserField("imprecise", 1),) if parameters.get("IMPRECISE", 0) else ()

    def row_errors(self, parameters: Parameters) -> dict[str, int]:
        if "IMPRECISE" not in self.features:  # a baseline
            return {}
        clocks = 7 + tree_stages(parameters["LANES"]) + wider(parameters)
        return {"imprecise": clocks - self.without(parameters, IN_REG)}

    def adopted(self, file: Vectors, parameters: Parameters) -> Vectors:
        """PTF bytes, for a build of wide inputs: wide ones that make the same bytes."""
        if not wide(parameters) or file.x.dtype != np.uint8 or "alpha" not in file.channels:
            return file
        zp = np.broadcast_to(np.asarray(file.run_settings["zp"]), len(file.x))
        alpha = file.channels["alpha"][file.channel_set]
        return dataclasses.replace(
            file,
            settings={**file.settings, **_SAME},
            x=widened(file.x, zp, alpha, self.input_dtype(parameters)),
        )

    def fitted(
        self, parameters: Parameters, x: np.ndarray, rng: np.random.Generator
    ) -> dict[str, int]:
        """A scale that makes bytes of the row: with most others all of them are at an end, or zp.

        And now and then an epsilon of the size of a variance, or none.
        """
        found = {}
        if wide(parameters) and rng.random() < 0.85:
            mult = int(rng.integers(1 << 15, 1 << 16))
            most = max(1, int(np.abs(x.astype(np.int64)).max()))
            shift = math.log2(most * mult / 128) - rng.uniform(-1, 4)
            found = {"qmult": mult, "qshift": min(max(round(shift), QSHIFT[0]), QSHIFT[1])}
        if parameters.get("EPS", 0):
            found["eps"] = min(int(2 ** rng.uniform(0, 16.5)) - 1, EPSILON[1])
        return found

    def out_dtype(self, parameters: Parameters) -> np.dtype:
        return np.dtype(np.int8)

    def complete(
        self, parameters: Parameters, mask: np.ndarray, rng: np.random.Generator | None = None
    ) -> dict[str, int]:
        longest = parameters["MAX_LEN"]
        length = min(int(mask.sum()), longest)
        mant, exp = reciprocal(max(length, 1))
        if rng is not None and rng.random() < _WRONG_LENGTH:
            length = int(rng.integers(longest + 1))
            mant, exp = reciprocal(int(rng.integers(1, longest + 1)))
        return {"len": length, "inv_mant": int(mant), "inv_exp": int(exp)}

    def draw_channels(self, rng: np.random.Generator, count: int) -> ChannelSet:
        drawn = super().draw_channels(rng, count).values
        if rng.random() < 0.3:  # a set of one alpha
            drawn["alpha"][:] = rng.integers(MAX_ALPHA + 1)
        drawn["gamma"][rng.random(count) < 0.1] = rng.choice([-128, 0, 127])
        return ChannelSet(drawn)

    def quantised(
        self, x: np.ndarray, zp: int | np.ndarray, alpha: np.ndarray
    ) -> tuple[np.ndarray, dict[str, int | np.ndarray]]:
        """PTF activations in this unit's format, with their settings.

        x: uint8 [rows, width]. zp: one or [rows]. alpha: [width] or [rows, width].
        """
        return x, {"zp": zp}

    def quantise(
        self, x: np.ndarray, ptf: Ptf, folded: FoldedNorm, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, dict[str, int | np.ndarray]]:
        """Quantise real activations [rows, width] for a folded layer: this unit's input, settings.

        The settings are all but the bank; `folded.channels` are the channels. mask: as of a row.
        Without one x may be an array of any library.
        """
        length = x.shape[1] if mask is None else mask.sum(axis=1)
        least = length if isinstance(length, int) else np.maximum(length, 1)
        q, given = self.quantised(ptf.quantise(x), folded.zp, folded.channels.alpha)
        settings = {**folded.settings(least), "len": length, **given}
        names = [one.name for one in self.settings(self.defaults)]
        return q, {name: settings[name] for name in names if name != "bank"}

    def predict(self, parameters: Parameters, rows: Rows) -> Outputs:
        out, err_len = np.zeros(rows.x.shape, np.int8), np.zeros(len(rows), bool)
        user = {field.name: np.zeros(len(rows), int) for field in self.user_fields(parameters)}
        for chosen, channels, part in by_channels(rows):
            result = self.model(**parameters)(part.x, channels, part.mask, **named(part))
            out[chosen], err_len[chosen] = result.out, result.err_len
            for name, values in user.items():
                values[chosen] = getattr(result, name)
        return Outputs(out, np.zeros(len(rows), np.int8), err_len, user)

    def values(
        self, parameters: Parameters, rows: Rows, outputs: Outputs
    ) -> tuple[np.ndarray, np.ndarray]:
        """Both clipped to int8: saturation is not an error of the method."""
        exact = np.zeros(rows.x.shape)
        for chosen, channels, part, rms, x in by_norm(rows):
            gamma, beta = channels.gamma * 1.0, channels.beta * 1.0
            if rms:
                normal = reference.rms_norm(x, gamma, part.mask)
            else:
                normal = reference.layer_norm(x, gamma, np.zeros_like(beta), part.mask)
            steps = np.ldexp(1.0, part.settings["ofrac"] - part.settings["gfrac"])[:, None]
            exact[chosen] = np.where(part.mask, normal * steps + beta, 0)
        return outputs.out.astype(float), np.clip(exact, -128, 127)

    def accuracy(self, parameters: Parameters, rows: Rows, outputs: Outputs) -> dict[str, float]:
        """Elements in output steps; statistics as `metrics` says."""
        exact, seen = np.zeros((2, len(rows))), np.zeros((2, len(rows)))
        for chosen, channels, part, rms, x in by_norm(rows):
            exact[:, chosen] = reference.row_statistics(x, part.mask, rms=rms)
            trace = self.model(**parameters).trace(part.x, channels, part.mask, **named(part))
            seen[:, chosen] = trace.statistics()
        values = self.values(parameters, rows, outputs)
        return {
            **metrics.layer_norm_errors(*values, rows.mask).as_dict(),
            **{
                f"statistics: {name}": value
                for name, value in metrics.statistic_errors(*seen, *exact).as_dict().items()
            },
        }

    def latency(self, parameters: Parameters) -> tuple[int, ...]:
        clocks = 14 + tree_stages(parameters["LANES"]) + wider(parameters)
        return (clocks - self.without(parameters),)

    def err_len_delay(self, parameters: Parameters) -> int:
        clocks = 4 + tree_stages(parameters["LANES"]) + wide(parameters)
        return clocks - self.without(parameters, IN_REG)

    def storage(self, parameters: Parameters) -> dict[str, tuple[int, int]]:
        lanes = parameters["LANES"]
        beats = -(-parameters["MAX_LEN"] // lanes)
        words = beats + 10 + tree_stages(lanes) + wider(parameters)
        words -= self.without(parameters, IN_REG)
        flags = 2 + int(bool(parameters.get("IMPRECISE", 0)))
        channels = self.banks(parameters) * beats
        return {
            "beats": (words, 1 + 1),  # bank, last
            # A step also tells what is masked or absent.
            "beats: steps (read a clock later)": (words, 12 * lanes),
            "rows": (words, flags + 15 + a_bits(parameters) - 1 + 5),  # mu, rsqrt, sh
            "channels, alpha": (channels, 2 * lanes),
            "channels, gamma": (channels, 8 * lanes),
            "channels, beta": (channels, 8 * lanes),
        }

    def tables(self, parameters: Parameters) -> dict[str, TableSize]:
        square = {} if exact_squares(parameters) else {"square": TableSize(16, 8)}
        return {**square, "RSQRT": TableSize(96, a_bits(parameters))}

    def roms(self) -> tuple[Rom, ...]:
        return (
            Rom("square", np.arange(16) ** 2, 8, "y * y"),
            Rom("rsqrt", rsqrt_table(), 10, "round(2^10 / sqrt((v + 0.5)/32)), v = i + 32"),
            Rom("rsqrt8", rsqrt_table(8), 8, "the same for A_BITS = 8, a quarter, rounded again"),
        )

    # ----------------------------------------------------------------------------------- edges

    def edges(self, parameters: Parameters) -> Iterator[Edge]:
        if wide(parameters):
            yield from self._wide_edges(parameters)
            return
        rows = self._candidates(parameters)
        for number, channels in enumerate(rows.channels):
            part = rows.select(rows.channel_set == number)
            trace = self.traced(parameters, part)
            for row in picked(self.wanted(parameters, trace, part)):
                yield Edge(
                    part.x[row, : part.length[row]],
                    {s.name: int(part.settings[s.name][row]) for s in self._free(parameters)},
                    channels=channels,
                )
        if "CMP_RANGES" in parameters:  # every magnitude, of either sign, alone
            for u, negative in itertools.product(range(1, 256), (False, True)):
                zp = 255 * negative
                x = np.array([abs(zp - u), zp, zp, zp])
                yield Edge(x, {"zp": zp, "rms": 1}, channels=rows.channels[0])
            yield from self._level(parameters)
        if parameters.get("EPS", 0):
            yield from self._limits(parameters)
        if parameters.get("IMPRECISE", 0):
            yield from self._flags(parameters)
        yield from self._nearly_level(parameters)
        if "inv_mant" in (setting.name for setting in self.settings(parameters)):
            yield from self._any_reciprocals(parameters)
        if "len" in (setting.name for setting in self.settings(parameters)):
            yield from self._wrong_lengths(parameters["MAX_LEN"], rows.channels[0])

    def _wide_edges(self, parameters: Parameters) -> Iterator[Edge]:
        """Those of bytes, of inputs that make the same; and where the bytes themselves round."""
        dtype = self.input_dtype(parameters)
        bytes_of = {name: value for name, value in parameters.items() if name != "IN_W"}
        spare = 8 * dtype.itemsize - 12  # bits that a step at alpha = 3 leaves
        for number, edge in enumerate(self.edges(bytes_of)):
            assert edge.channels is not None
            alpha = edge.channels.values["alpha"][: len(edge.x)]
            x = widened(edge.x[None], np.array([edge.settings.get("zp", 0)]), alpha, dtype)[0]
            up = number % (spare + 1)
            scale = {**_SAME, "qshift": _SAME["qshift"] + up}
            yield edge._replace(x=x << up, settings={**edge.settings, **scale})
        yield from self._rounded(parameters)

    def _rounded(self, parameters: Parameters) -> Iterator[Edge]:
        """Inputs about to round up to each byte at an end, or beside zp, at every shift."""
        dtype, lanes = self.input_dtype(parameters), parameters["LANES"]
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        channels = self._ends(parameters, alpha=0, gamma=64, beta=0)
        alpha = np.arange(parameters["MAX_LEN"]) // lanes % (MAX_ALPHA + 1)
        channels = ChannelSet({**channels.values, "alpha": alpha.astype(np.uint8)})
        length = min(parameters["MAX_LEN"], 4 * lanes)
        alpha = alpha[:length]
        for qshift, zp in itertools.product(range(QSHIFT[1] + 1), (0, 128, 255)):
            for number, mult in enumerate((QMULT[1], 1 << 15, 0x9A3D, 1)):
                # The least v that gives r: v * mult >= (2 r - 1) * 2^(shift - 1).
                places = np.resize([-zp, 1 - zp, 0, 1, 255 - zp, 256 - zp], length)
                half = (2 * places.astype(object) - 1) << (qshift + alpha.astype(object))
                v = [-(-int(h) // (2 * mult)) for h in half]
                v = np.clip(v, low, high) - (np.arange(length) // 6 + number + qshift) % 2
                v[(qshift + number) % length] = (low, high)[qshift % 2]
                settings = {"qmult": mult, "qshift": qshift, "zp": zp, "gfrac": 6, "rms": 1}
                x = np.clip(v, low, high).astype(dtype)
                yield Edge(x, settings, channels=channels)

    def _level(self, parameters: Parameters) -> Iterator[Edge]:
        """Beats of values that are close to each other: the least bit of a square shows.

        Their mean, and their compressed squares, are those of the middle one: the variance is 0.
        """
        lanes = min(parameters["LANES"], parameters["MAX_LEN"])
        middles = [*range(16, 64, 4), *range(80, 248, 16)]
        for alpha in range(MAX_ALPHA + 1):
            channels = self._ends(parameters, alpha=alpha, gamma=1, beta=0)
            for number, u in enumerate(middles):
                zp = 255 * ((number + alpha) % 2)
                x = np.abs(zp - u - np.resize([0, 1, -1], lanes // 3 * 3 or 1))
                x = np.append(x, np.full(lanes - len(x), abs(zp - u)))
                yield Edge(np.roll(x, number), {"zp": zp, "gfrac": 7}, channels=channels)

    def _nearly_level(self, parameters: Parameters) -> Iterator[Edge]:
        """Rows of one value and one other beside it: the smallest shifts, at which all bits show.

        Every lane has outputs of either sign that int8 holds.
        """
        length = min(parameters["MAX_LEN"], 64)
        if length < 2:
            return
        gamma = np.resize([1, -1, 2, -2, 3, -3, 5], parameters["MAX_LEN"])
        channels = self._ends(parameters, alpha=0, beta=0)
        channels = ChannelSet({**channels.values, "gamma": gamma.astype(np.int8)})
        low = max(np.iinfo(self.in_dtype).min, -64) + 64
        for turn in range(2 * min(length, parameters["LANES"] + 8)):
            by = 1 - 2 * (turn % 2)
            for count in (length, length // 2 + 1):
                x = np.full(count, low)
                x[turn // 2 % count] += by
                settings = {"zp": low, "gfrac": turn // 2 % 2, "ofrac": 7}
                free = {one.name for one in self._free(parameters)}
                some = {name: value for name, value in settings.items() if name in free}
                yield Edge(x.astype(self.in_dtype), some, channels=channels)

    def _any_reciprocals(self, parameters: Parameters) -> Iterator[Edge]:
        """The largest sums with every exponent of 1/len, and some M: of other lengths, or none."""
        longest = parameters["MAX_LEN"]
        low, high = np.iinfo(self.in_dtype).min, np.iinfo(self.in_dtype).max
        channels = self._ends(parameters)
        for exp, mant in itertools.product(range(longest.bit_length()), _MANTISSAS):
            for number, values in enumerate(([low], [high], [low, high])):
                x = np.resize(values, min(longest, 1024)).astype(self.in_dtype)
                free = {"zp": int(high - x[0]), "rms": (number + exp) % 2} if high == 255 else {}
                yield Edge(x, {"inv_mant": mant, "inv_exp": exp, **free}, channels=channels)

    def _ends(self, parameters: Parameters, **values: int) -> ChannelSet:
        """A channel set with each column at its upper end, or as `values` say."""
        columns = {one.name: (one, values.get(one.name, one.values[-1])) for one in self.channels}
        return ChannelSet(
            {n: np.full(parameters["MAX_LEN"], v, one.dtype) for n, (one, v) in columns.items()}
        )

    def _wrong_lengths(self, longest: int, channels: ChannelSet) -> Iterator[Edge]:
        """Lengths that are wrong in one bit, of rows of nothing, of one element and of all."""
        for count in (0, 1, longest):
            mask = np.arange(max(count, 1)) < count
            for bit in range(longest.bit_length()):
                length = count ^ 1 << bit
                if length <= longest:
                    x = np.zeros(len(mask), self.in_dtype)
                    yield Edge(x, {"len": length}, mask, channels)

    def _free(self, parameters: Parameters) -> list[Setting]:
        return [setting for setting in self.settings(parameters) if setting.drawn]

    def _candidates(self, parameters: Parameters) -> Rows:
        """Short rows of every scale, on channels of every kind and on such of alpha 0."""
        longest = parameters["MAX_LEN"]
        rng, count, width = np.random.default_rng(1), 8000, min(longest, 24)
        sets = [self.draw_channels(rng, longest) for _ in range(2)]
        for values in (one.values for one in sets):
            values["beta"] = (values["beta"] // 8).astype(np.int8)  # pyright: ignore
        if "alpha" in sets[0].values:
            sets[0].values["alpha"][:] = 0
            sets[0].values["gamma"][0] = 50  # alone, it makes outputs of a size that shows most
            sets[1].values["alpha"] = rng.integers(MAX_ALPHA + 1, size=longest).astype(np.uint8)  # pyright: ignore
        length = rng.integers(1, width, count, endpoint=True)
        mask = np.arange(width) < length[:, None]
        settings = {"bank": np.zeros(count, int)}
        for setting in self._free(parameters):
            settings[setting.name] = rng.integers(
                setting.values[0], setting.values[-1], count, endpoint=True
            )
        follow = [self.complete(parameters, np.ones(n, bool)) for n in range(width + 1)]
        for name in follow[1]:
            settings[name] = np.array([one[name] for one in follow])[length]
        if "eps" in settings:  # half of them without, the others of every size
            sizes = np.exp2(rng.uniform(0, 16, count)).astype(int)
            settings["eps"] = np.where(np.arange(count) // 2 % 2, sizes, 0)
        # Half of the outputs are of a size that int8 holds.
        fit = np.minimum(settings["gfrac"], settings["ofrac"])
        settings["ofrac"] = np.where(np.arange(count) % 2, fit, settings["ofrac"])
        low, high = np.iinfo(self.in_dtype).min, np.iinfo(self.in_dtype).max
        spread = np.exp(rng.uniform(-1, np.log(high / 2), (count, 1)))
        centre = settings.get("zp", 0)
        centre = np.reshape(centre + rng.normal(size=count) * spread[:, 0], (-1, 1))
        x = np.rint(rng.normal(size=(count, width)) * spread + centre)
        x = np.where(mask, np.clip(x, low, high), 0).astype(self.in_dtype)
        return Rows(x, mask, length, settings, tuple(sets), np.arange(count) % 4 // 2)

    def traced(self, parameters: Parameters, rows: Rows) -> Any:
        """The model's trace of rows of one channel set."""
        [(_, channels, part)] = by_channels(rows)
        return self.model(**parameters).trace(part.x, channels, part.mask, **named(part))

    def wanted(self, parameters: Parameters, trace: Any, rows: Rows) -> Wanted:
        """Where rows are at an edge, for `picked`."""
        settings, log = rows.settings, rows.settings["inv_exp"]
        norm = np.where(settings["rms"] == 0, 0.0, np.inf)
        spread = trace.ex2 - trace.mean**2
        inside = np.where(trace.e >= 4, 0.0, np.inf)
        share = (trace.var << 5) / (1 << 2 * trace.e) - trace.v  # of the entry, from its beginning
        means = ties(trace.sum * settings["inv_mant"], 11 + log)
        # Squares of two ranges count 16.
        fine = parameters["CMP_RANGES"] == 3 or exact_squares(parameters)
        places = log + (7 if fine else 3)
        averages = ties(trace.square_sum * settings["inv_mant"], places)
        return [
            (trace.v, inside + share),
            (trace.v, inside + 1 - share),
            (trace.e, norm),
            *((log, norm + distance) for distance in means),
            *((log, distance) for distance in averages),
            (np.clip(spread, -1, 2), norm),
            (trace.mean & 3, norm),
            *self._imprecise_wanted(trace, norm),
            *outputs_wanted(trace, rows, trace.v),
        ]

    @staticmethod
    def _imprecise_wanted(trace: NormTrace, norm: np.ndarray) -> Wanted:
        """Rows whose flag hangs on a bit of the mean square, for each size of the mean."""
        if trace.imprecise is None:
            return []
        square = trace.mean**2
        over = square - 4 * np.maximum(trace.ex2 - square, 1)
        size = np.frexp(square.astype(float))[1]
        return [
            (size, norm + np.where(flag, np.abs(over), np.inf))
            for flag in (over > 0, over <= 0, over == 0)
        ]

    def _flags(self, parameters: Parameters) -> Iterator[Edge]:
        """A mean of just two deviations, and means next to 0 with squares that are compressed to 0.

        With the first the flag is 0 by a bit; with the others it hangs on the least variance of 1.
        """
        for alpha, by in itertools.product(range(MAX_ALPHA + 1), (-3, -1, 1, 2, 5)):
            channels = self._ends(parameters, alpha=alpha, beta=0)
            x = np.array([128 + 4 * by, 128 + 12 * by])
            if parameters["MAX_LEN"] > 1:
                yield Edge(x, {"zp": 128, "gfrac": 7}, channels=channels)
        channels = self._ends(parameters, alpha=0, gamma=1, beta=0)
        for count, by in itertools.product(range(4, 17), (-1, 1)):
            if count <= parameters["MAX_LEN"]:
                x = np.full(count, 128)
                x[count // 2] += by
                yield Edge(x, {"zp": 128, "gfrac": 7}, channels=channels)

    def _limits(self, parameters: Parameters) -> Iterator[Edge]:
        """Variances at their limit, with a reciprocal that is not the row's, and around it."""
        channels = self._ends(parameters, gamma=64, beta=0)
        x = np.full(min(parameters["MAX_LEN"], 8), 255)
        mants = np.arange(MANTISSA[0], MANTISSA[1] + 1)
        base = {"zp": 0, "rms": 1, "gfrac": 7, "ofrac": 7}
        for exp in range(parameters["MAX_LEN"].bit_length()):
            rows = Rows(
                np.broadcast_to(x.astype(self.in_dtype), (len(mants), len(x))),
                np.ones((len(mants), len(x)), bool),
                np.full(len(mants), len(x)),
                {
                    **{
                        s.name: np.full(len(mants), base.get(s.name, 0))
                        for s in self.settings(parameters)
                    },
                    "inv_mant": mants,
                    "inv_exp": np.full(len(mants), exp),
                },
                (channels,),
                np.zeros(len(mants), int),
            )
            ex2 = self.traced(parameters, rows).ex2
            # 2^30 less this is left: an epsilon of that much reaches the limit, and more passes it.
            left = VAR_LIMIT - ex2
            for row in np.argsort(left)[:3]:
                for more in (-1, 0, 1, 2):
                    eps = int(left[row]) + more
                    if 0 <= eps <= EPSILON[1]:
                        scale = {"inv_mant": int(mants[row]), "inv_exp": exp, "eps": eps}
                        yield Edge(x, {**base, **scale}, channels=channels)

    # -------------------------------------------------------------------------------- coverage

    def coverage(self, parameters: Parameters) -> Coverage:
        longest, ranges = parameters["MAX_LEN"], parameters["CMP_RANGES"]
        c = Coverage()
        c.group("statistics")
        if exact_squares(parameters):
            c.point("bits", range(9), "bits of |x - zp|")
        else:
            c.point("range", range(ranges), "range of DynamicCompress that |x - zp| lies in")
            c.point("y", range(16), "4-bit code of an element")
            c.cross(
                "range x y",
                ("range", "y"),
                "each code of each range; the upper ranges start at a quarter",
                lambda s, y: y >= 4 or s == 0,
            )
            c.point("clip", _CLIPS, "magnitudes whose code would round past 15")
        c.point("alpha", range(MAX_ALPHA + 1), "power of two of an element's channel")
        if exact_squares(parameters):
            c.cross("bits x alpha", ("bits", "alpha"), "magnitudes at each alpha")
        else:
            c.cross("range x alpha", ("range", "alpha"), "each range at each alpha")
        c.point("zp", [*_ZP, "other"], "zero point of a row")
        c.point("sign", ("x < zp", "x = zp", "x > zp"), "side of the zero point")
        c.group("moments")
        c.point("rms", ("LayerNorm", "RMSNorm"), "what a row asks for")
        c.point("Lz", range(longest.bit_length()), "exponent of 1/n")
        c.point("rsqrt", range(32, 128), "v: entry of RSQRT")
        c.point("e", range(15), "half the exponent of var")
        c.point("floor", ("var above 1", "var raised to 1"), "variance at its floor")
        c.point("negative", ("no", "yes"), "mean square below the mean's square")
        c.point("cancellation", _SPREADS, "|mean| in standard deviations")
        c.point("mean", ("negative", "0", "positive"), "sign of the mean")
        if parameters.get("EPS", 0):
            c.point("epsilon", _EPSILONS, "what is added to the variance")
            c.point("limit", ("below", "at 2^30 - 1"), "variance cut with its epsilon")
        if parameters.get("IMPRECISE", 0) and not exact_squares(parameters):
            c.point("imprecise", ("no", "yes"), "4-bit squares may be wrong by a variance")
        if wide(parameters):
            c.group("bytes")
            c.point("shift", range(QSHIFT[1] + MAX_ALPHA + 1), "right shift of a wide input")
            c.point("byte", ("cut to 0", "inside", "cut to 255"), "byte of a wide input")
            c.point("input", ("least", "other", "largest"), "a wide input at its ends")
        c.group("affine")
        least = _least_shift(parameters)
        c.point("sh", range(least, least + 29), "right shift of the product")
        c.point("saturation", SIDES, "output cut to int8")
        c.cross("rms x saturation", ("rms", "saturation"), "both norms at both ends")
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
            settings = part.settings
            trace = self.model(**parameters).trace(part.x, channels, part.mask, **named(part))
            self._sample_elements(coverage, parameters, trace, channels, part.mask)
            coverage.sample("zp", _place(_ZP, settings["zp"]))
            coverage.sample("Lz", settings["inv_exp"])
            coverage.sample("rsqrt", trace.v - 32)
            coverage.sample("e", trace.e)
            coverage.sample("floor", trace.ex2 - trace.mean**2 <= 1)
            coverage.sample("negative", trace.ex2 < trace.mean**2)
            ratio = np.abs(trace.mean) / np.sqrt(trace.var)
            bins = np.searchsorted((0.0, 1.0, 4.0), ratio, side="right")
            coverage.sample("cancellation", np.where(trace.mean == 0, 0, np.maximum(bins, 1)))
            coverage.sample("mean", np.sign(trace.mean) + 1)
            if parameters.get("EPS", 0):
                eps = settings["eps"]
                coverage.sample("epsilon", np.searchsorted((0, 256, EPSILON[1] - 1), eps))
                coverage.sample("limit", trace.ex2 - trace.mean**2 + eps > VAR_LIMIT)
            if "imprecise" in coverage.points:
                coverage.sample("imprecise", trace.imprecise)
            if wide(parameters):
                self._sample_bytes(coverage, part, channels)
            coverage.sample("sh", trace.sh - _least_shift(parameters))
            sides = np.where(part.mask, trace.saturated + 1, -1)
            coverage.sample("rms x saturation", settings["rms"][:, None], sides)
            coverage.sample("saturation", sides)
            coverage.sample("rms", settings["rms"])
            off = np.sign(trace.n - settings["len"])
            coverage.sample("count", np.where(off == 0, 0, np.where(off < 0, 1, 2)))
            coverage.sample("bank", settings["bank"])

    @staticmethod
    def _sample_bytes(coverage: Coverage, rows: Rows, channels: Channels) -> None:
        shift = channels.alpha.astype(int) + rows.settings["qshift"][:, None]
        coverage.sample("shift", np.where(rows.mask, shift, -1))
        q = rescale(rows.x, rows.settings["qmult"][:, None], shift)
        q += rows.settings["zp"][:, None]
        sides = np.where(q < 0, 0, np.where(q > 255, 2, 1))
        coverage.sample("byte", np.where(rows.mask, sides, -1))
        ends = np.iinfo(rows.x.dtype)
        at = 1 + (rows.x == ends.max) - (rows.x == ends.min).astype(int)
        coverage.sample("input", np.where(rows.mask, at, -1))

    @staticmethod
    def _sample_elements(
        coverage: Coverage,
        parameters: Parameters,
        trace: NormTrace,
        channels: Channels,
        mask: np.ndarray,
    ) -> None:
        alpha = np.where(mask, channels.alpha.astype(int), -1)
        if exact_squares(parameters):
            bits = np.where(mask, np.frexp(trace.u.astype(float))[1], -1)
            coverage.sample("bits x alpha", bits, alpha, axes=("bits", "alpha"))
        else:
            coverage.sample("range x y", trace.s, trace.y, axes=("range", "y"))
            coverage.sample("range x alpha", trace.s, alpha)
            clip = np.where(trace.u >= 248, 2, np.isin(trace.u, (62, 63)) * 1)
            coverage.sample("clip", np.where(mask, clip, -1))
        coverage.sample("alpha", alpha)
        coverage.sample("sign", np.where(mask, np.sign(trace.a) + 1, -1))
        coverage.sample("gamma", np.where(mask, np.sign(channels.gamma) + 1, -1))


def named(rows: Rows) -> dict[str, np.ndarray]:
    """The settings that the model takes: a bank is where the RTL has the channels."""
    return {name: values for name, values in rows.settings.items() if name != "bank"}


def by_channels(rows: Rows):
    """(row numbers, Channels, rows) of each channel set that rows use."""
    width = rows.x.shape[1]
    for number, one in enumerate(rows.channels):
        chosen = np.flatnonzero(rows.channel_set == number)
        if chosen.size:
            whole = one.padded(width).values  # other rows may be longer than a set
            columns = {"alpha": None, **{n: v[:width] for n, v in whole.items()}}
            channels = Channels(**columns)
            yield chosen, channels, rows.select(chosen)


def by_norm(rows: Rows):
    """(row numbers, Channels, rows, RMSNorm or not, x in input steps) of each set and norm."""
    for chosen, channels, part in by_channels(rows):
        for rms in (False, True):
            here = np.flatnonzero(part.settings["rms"] == rms)
            if here.size:
                some = part.select(here)
                x = (some.x - some.settings["zp"].astype(float)[:, None]) * 2.0**channels.alpha
                yield chosen[here], channels, some, rms, x


def outputs_wanted(trace: Any, rows: Rows, key: np.ndarray) -> Wanted:
    """For `picked`: outputs that are about to round up, at and beyond the ends of int8, and for
    each `key` [rows] rows of many large outputs, which show most of what is multiplied."""
    right = np.broadcast_to(trace.sh[:, None], trace.num.shape)
    exact = trace.out.astype(int) + trace.saturated  # beyond an end: some value beyond
    sizes = np.where(rows.mask & (trace.saturated == 0), np.abs(exact), 0)
    shown = np.minimum(sizes, 100).sum(axis=1)
    near = [
        np.where(rows.mask & (trace.saturated == 0), distance, np.inf).min(axis=1)
        for distance in ties(trace.num, right)
    ]
    ends = [
        (trace.sh, np.where((exact == end).any(axis=1), 0.0, np.inf))
        for end in (-129, -128, 127, 128)
    ]
    keys = (trace.sh, key)
    return [*((key, distance) for distance in near for key in keys), *ends, (key, -shown)]


def _place(values: tuple[int, ...], x: np.ndarray) -> np.ndarray:
    """The index of each x in values, or one past the last."""
    equal = x[:, None] == np.array(values)
    return np.where(equal.any(axis=1), equal.argmax(axis=1), len(values))


AILAYERNORM = AILayerNormUnit(
    name="ailayernorm",
    title="AILayerNorm (SOLE, ICCAD 2023): LayerNorm and RMSNorm of uint8 PTF activations",
    model=AILayerNorm,
    rtl=(
        "common/sn_ram_1r1w.sv",
        "common/sn_pipe.sv",
        "common/sn_reduce_tree.sv",
        "common/sn_multiply.sv",
        "common/sn_multiply_clocked.sv",
        "common/sn_row_guard.sv",
        "common/sn_row_buffer.sv",
        "common/sn_row_output.sv",
        "common/sn_channel_column.sv",
        "common/sn_row_sum.sv",
        "common/sn_shift_saturate.sv",
        "common/sn_affine.sv",
        "common/sn_norm_back.sv",
        "ailayernorm/ailayernorm_tables_pkg.sv",
        "ailayernorm/ailayernorm_quantise.sv",
        "ailayernorm/ailayernorm_compress.sv",
        "ailayernorm/ailayernorm_square.sv",
        "ailayernorm/ailayernorm_statistics.sv",
        "ailayernorm/ailayernorm_moments.sv",
        "ailayernorm/ailayernorm.sv",
    ),
    in_dtype=np.dtype(np.uint8),
    tensors="ailayernorm_minilm.npz",
    configurations=(
        {},
        # No adder; both banks of the channel table are two words, without a beat's number.
        {"LANES": 1, "MAX_LEN": 1},
        # A lane alone, many beats: the channel's address has no lane.
        {"LANES": 1, "MAX_LEN": 64, "CMP_RANGES": 3},
        # A last beat that MAX_LEN cuts; Lz + 1 needs a bit more than Lz.
        {"LANES": 2, "MAX_LEN": 3},
        # A tree with a register; a length that needs a bit more than an address.
        {"LANES": 8, "MAX_LEN": 256, "CMP_RANGES": 3},
        # Bytes of wide inputs; gamma / sigma with fewer bits.
        {"LANES": 2, "MAX_LEN": 32, "IN_W": 16, "EPS": 1, "A_BITS": 8},
        # Squares as they are; nothing is imprecise with them.
        {"LANES": 4, "MAX_LEN": 64, "EXACT_SQ": 1, "IMPRECISE": 1},
        # An epsilon, a flag for what 4-bit squares cannot do; no registers at the ports, one bank.
        {
            "LANES": 4,
            "MAX_LEN": 64,
            "EPS": 1,
            "IMPRECISE": 1,
            "IN_REG": 0,
            "OUT_REG": 0,
            "BANKS": 1,
        },
        {"LANES": 8, "MAX_LEN": 64, "CMP_RANGES": 3, "IN_W": 32, "IMPRECISE": 1, "IN_REG": 0},
        # A tree with two registers.
        {"LANES": 64, "MAX_LEN": 4096},
    ),
    variants=tuple(
        Variant({"CMP_RANGES": ranges}, {"rms": rms}, plotted=True)
        for rms in (0, 1)
        for ranges in (2, 3)
    )
    + tuple(
        Variant(more, {"rms": rms}) for more in ({"EXACT_SQ": 1}, {"A_BITS": 8}) for rms in (0, 1)
    ),
    bad_configurations=(
        {"LANES": 3},
        {"LANES": 128},
        {"MAX_LEN": 31},
        {"MAX_LEN": 65537},
        {"CMP_RANGES": 1},
        {"CMP_RANGES": 4},
        {"IN_W": 24},
        {"EPS": 2},
        {"IMPRECISE": 2},
        {"EXACT_SQ": 2},
        {"A_BITS": 9},
        {"IN_REG": 2},
        {"OUT_REG": 2},
        {"BANKS": 0},
        {"BANKS": 3},
    ),
    channels=(
        ChannelField("alpha", np.dtype(np.uint8), range(MAX_ALPHA + 1)),
        ChannelField("gamma", np.dtype(np.int8), range(-128, 128)),
        ChannelField("beta", np.dtype(np.int8), range(-128, 128)),
    ),
)
