# SPDX-License-Identifier: Apache-2.0
"""E2Softmax: the descriptor (docs/units.md, section E2Softmax; RTL in rtl/e2softmax)."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from softnorm.models.arith import signed
from softnorm.models.e2softmax import (
    MULTS,
    SHIFTS,
    SUM_LIMIT,
    UNNORMALISED,
    E2Softmax,
    E2SoftmaxTrace,
    SoftmaxResult,
    decay,
    div_table,
    log2exp,
    log2exp_scaled,
    octaves,
    weight,
)
from softnorm.models.quantise import check_finite, round_half_up
from softnorm.models.vectors import Vectors

from .coverage import Coverage
from .edges import Filler, at_sums
from .softmax import (
    FRAC,
    Settings,
    SoftmaxUnit,
    clog2,
    maximum_points,
    sample_maximum,
    spread,
    tree_stages,
)
from .unit import (
    IN_REG,
    Edge,
    Outputs,
    Parameters,
    Rom,
    Rows,
    Setting,
    TableSize,
    UserField,
    Variant,
)

_UPDATES = (0, 1, 2, 3, 8)

MULT = Setting("mult", MULTS, "scale of the logits: M - 128 of M * 2^-S")
SHIFT = Setting("shift", SHIFTS, "scale of the logits: S of M * 2^-S")
FMT = Setting(
    "fmt", range(2), "output format: 0 linear, 1 row-scaled", words=("linear", "row-scaled")
)
MORE_FMT = Setting(
    "fmt",
    range(4),
    "output format: 0 linear, 1 row-scaled, 2 or 3 unnormalised",
    words=("linear", "row-scaled", "unnormalised", "unnormalised (3)"),
)
S7 = Setting(
    "s7", range(2), "1: outputs of 7 bits, each worth twice as much", words=("8 bits", "7 bits")
)
CARRY_SUM = Setting("carry_sum", range(SUM_LIMIT + 1), "sum of the blocks before, 0: a new row")

# What 23/16 is as M: with S = _POINT + F - EXP_FRAC the codes are those of frac = F.
_MULT, _POINT = 184 - 128, 7
_EVERY_CODE = 2  # F at which each code has a distance, of both EXP_FRAC
_SMALLEST = 5  # weights of a sum at an edge, each in each lane

_EACH = 7  # of the differences at a scale's thresholds, one in so many has its own row


def in_w(parameters: Parameters) -> int:
    """Bits of a logit."""
    return parameters.get("IN_W", 8)


def scaled(parameters: Parameters) -> bool:
    """Whether a row's scale is any, in place of a power of two."""
    return bool(parameters.get("SCALE", 0))


def blocks(parameters: Parameters) -> bool:
    """Whether a row may come in blocks."""
    return bool(parameters.get("BLOCKS", 0))


def formats(parameters: Parameters) -> bool:
    """Whether there are unnormalised outputs, and outputs of 7 bits."""
    return bool(parameters.get("FORMATS", 0))


def log_first(parameters: Parameters) -> bool:
    """Whether there are octaves first, and then their maximum."""
    return bool(parameters.get("LOG_FIRST", 0))


def fixed(parameters: Parameters) -> int:
    """F where the build fixes it, else -1."""
    return parameters.get("FRAC", -1)


def codes_below(parameters: Parameters, frac: int) -> np.ndarray:
    """Codes of x = 127, 126 .. -128 in a row whose maximum is 127."""
    half = parameters["EXP_FRAC"]
    if not log_first(parameters):
        return log2exp(np.arange(256), frac, half)
    q = octaves(np.arange(127, -129, -1), frac, half)
    return np.minimum(q[0] - q, 31 if half else 15)


def reachable_codes(parameters: Parameters, frac: int) -> set[int]:
    """Codes that some difference of two logits has."""
    half = parameters["EXP_FRAC"]
    if not log_first(parameters):
        return set(log2exp(np.arange(256), frac, half).tolist())
    q = octaves(np.arange(-128, 128), frac, half)
    return set(np.minimum(np.maximum(q[:, None] - q, 0), 31 if half else 15).ravel().tolist())


def wide(parameters: Parameters) -> int:
    """Clocks that wide logits add, from codes to the correction; the widest to the maximum, too."""
    return {8: 0, 16: 3, 32: 5}[in_w(parameters)]


@dataclass(frozen=True)
class E2SoftmaxUnit(SoftmaxUnit):
    """See `units.unit.Unit`."""

    def settings(self, parameters: Parameters) -> tuple[Setting, ...]:
        fmt = MORE_FMT if formats(parameters) else FMT
        found = [fmt, MULT, SHIFT] if scaled(parameters) else [FRAC, fmt]
        if formats(parameters):
            found.append(S7)
        if blocks(parameters):
            low, high = signed(in_w(parameters))
            about = "maximum of the blocks before"
            found += [Setting("carry_max", range(low, high + 1), about), CARRY_SUM]
        return tuple(found)

    def user_fields(self, parameters: Parameters) -> tuple[UserField, ...]:
        if not blocks(parameters):
            return ()
        return (
            UserField("out_max", in_w(parameters), signed=True),
            UserField("out_sum", CARRY_SUM.bits),
        )

    def predict(self, parameters: Parameters, rows: Rows) -> Outputs:
        result = self.model(**parameters)(rows.x, rows.mask, **self._taken(parameters, rows))
        names = [field.name for field in self.user_fields(parameters)]
        return Outputs(
            result.out, result.exponent, user={name: getattr(result, name) for name in names}
        )

    @staticmethod
    def _taken(parameters: Parameters, rows: Rows) -> dict[str, np.ndarray]:
        """The settings that count: with FRAC >= 0 the pin of frac carries anything."""
        if fixed(parameters) < 0:
            return dict(rows.settings)
        return {**rows.settings, "frac": np.full(len(rows), fixed(parameters))}

    def input_dtype(self, parameters: Parameters) -> np.dtype:
        return self.model(**parameters).in_dtype

    def adopted(self, file: Vectors, parameters: Parameters) -> Vectors:
        """int8 logits of a power-of-two scale, for a build of another: with its lower bits 0."""
        if not scaled(parameters) or "frac" not in file.run_settings:
            return file
        kept = {k: v for k, v in file.settings.items() if k != "frac"}
        by_row = {k: v for k, v in file.row_settings.items() if k != "frac"}
        up = (in_w(parameters) - 8) // 2
        shift = np.asarray(file.run_settings["frac"]) + (_POINT - parameters["EXP_FRAC"] + up)
        return dataclasses.replace(
            file,
            settings={**kept, "mult": _MULT},
            row_settings={**by_row, "shift": np.broadcast_to(shift, len(file.x))},
            x=file.x.astype(self.input_dtype(parameters)) << up,
        )

    def fitted(
        self, parameters: Parameters, x: np.ndarray, rng: np.random.Generator
    ) -> dict[str, int]:
        """A shift that makes octaves of the row: with most others all codes are 0 or the top.

        A state to go on from that is of the row's size, or that of a new row.
        """
        carry = self._carry(parameters, x, rng) if blocks(parameters) else {}
        if not scaled(parameters) or rng.random() < 0.25:
            return carry
        spread = max(1, int(x.max()) - int(x.min()))
        shift = math.log2(192 * spread) - rng.uniform(-1, 8)
        return {"shift": min(max(round(shift), SHIFTS[0]), SHIFTS[-1]), **carry}

    def _carry(
        self, parameters: Parameters, x: np.ndarray, rng: np.random.Generator
    ) -> dict[str, int]:
        pick = rng.random()
        if pick < 0.4:
            return {"carry_sum": 0}
        if pick < 0.5:  # saturates, or nearly
            total = SUM_LIMIT - int(rng.integers(1 << 20))
        else:  # of any size, but most often that of a row
            total = int(2.0 ** rng.uniform(*((15, 28) if pick < 0.9 else (0, 32))))
        low, high = signed(in_w(parameters))
        spread = max(1, int(x.max()) - int(x.min()))
        by = int(rng.integers(-spread, spread, endpoint=True)) >> int(rng.integers(4))
        return {"carry_sum": total, "carry_max": min(max(int(x.max()) + by, low), high)}

    def logits(self, parameters: Parameters, rows: Rows) -> np.ndarray:
        if not scaled(parameters):
            rows = dataclasses.replace(rows, settings=self._taken(parameters, rows))
            return super().logits(parameters, rows)
        mult, shift = (rows.settings[name].astype(np.int64) for name in ("mult", "shift"))
        unit = math.log(2) * np.ldexp((128.0 + mult), -shift - parameters["EXP_FRAC"])
        return rows.x * unit[:, None]

    def out_dtype(self, parameters: Parameters) -> np.dtype:
        return np.dtype(np.uint8)

    def result(
        self, parameters: Parameters, outputs: Outputs, settings: Settings | None = None
    ) -> SoftmaxResult:
        if not formats(parameters):
            return SoftmaxResult(outputs.out, outputs.exponent)
        if settings is None:
            raise ValueError(
                f"what an output of {self.name} is worth follows with FORMATS = 1 from fmt and s7: "
                "give the rows' settings"
            )
        fmt, s7 = (np.asarray(settings.get(name, 0)) for name in ("fmt", "s7"))
        bits = np.broadcast_to(8 - (fmt >= UNNORMALISED) - s7, len(outputs.out))
        return SoftmaxResult(outputs.out, outputs.exponent, bits)

    def scores(
        self, parameters: Parameters, logits: np.ndarray, step: float | np.ndarray
    ) -> tuple[np.ndarray, dict[str, int | np.ndarray]]:
        if not scaled(parameters):
            return super().scores(parameters, logits, step)
        dtype = self.input_dtype(parameters)
        whole = round_half_up(check_finite("logits", logits) / step)
        x = np.clip(whole, np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)
        return x, self.model(**parameters).scale_of(step)

    def values(
        self, parameters: Parameters, rows: Rows, outputs: Outputs
    ) -> tuple[np.ndarray, np.ndarray]:
        unnormalised = np.zeros(len(rows), bool)
        if formats(parameters):
            unnormalised = rows.settings["fmt"] >= UNNORMALISED
        logits = np.where(rows.mask, self.logits(parameters, rows), -np.inf)
        top, total = logits.max(axis=1), 0
        if blocks(parameters):
            before, total = self._before(parameters, rows)
            top = np.maximum(top, before)
            began = total > 0
            total = total * np.exp(np.where(began, before, 0) - np.where(began, top, 0))
        e = np.exp(logits - np.where(np.isfinite(top), top, 0)[:, None])
        total = np.where(unnormalised, 1, e.sum(axis=1) + total)
        exact = e / np.where(total > 0, total, 1)[:, None]
        return self.to_real(parameters, outputs, settings=rows.settings), exact

    def _before(self, parameters: Parameters, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """The maximum of the blocks before as a real logit, -inf without any, and their sum."""
        total = rows.settings["carry_sum"] / (1 << 15)
        start = dataclasses.replace(rows, x=rows.settings["carry_max"][:, None])
        return np.where(total > 0, self.logits(parameters, start)[:, 0], -np.inf), total

    def accuracy(self, parameters: Parameters, rows: Rows, outputs: Outputs) -> dict[str, float]:
        """Of whole rows of normalised outputs."""
        if not formats(parameters) and not blocks(parameters):
            return super().accuracy(parameters, rows, outputs)
        some = rows.settings["fmt"] < UNNORMALISED
        if blocks(parameters):
            some &= rows.settings["carry_sum"] == 0
        chosen = Outputs(outputs.out[some], outputs.exponent[some])
        return super().accuracy(parameters, rows.select(some), chosen) if some.any() else {}

    def latency(self, parameters: Parameters) -> tuple[int, ...]:
        extra = wide(parameters) + log_first(parameters)
        return (9 + tree_stages(parameters["LANES"]) + extra - self.without(parameters),)

    def storage(self, parameters: Parameters) -> dict[str, tuple[int, int]]:
        lanes, max_len = parameters["LANES"], parameters["MAX_LEN"]
        words = -(-max_len // lanes) + 7 + tree_stages(lanes) + wide(parameters)
        words += log_first(parameters) - self.without(parameters, IN_REG)
        bits, scale = in_w(parameters), 13 if scaled(parameters) else 3
        if log_first(parameters):
            bits = 9 + parameters["EXP_FRAC"]
        if log_first(parameters) or fixed(parameters) >= 0:
            scale = 0
        code = 4 + parameters["EXP_FRAC"]
        ks = 5 if blocks(parameters) else max(1, clog2(clog2(max_len) + 1))
        fmt = 3 if formats(parameters) else 1
        state = 32 if blocks(parameters) else 0
        return {
            "beats": (words, bits + 1),  # m_t, last
            "beats: codes (read 2 clocks later)": (words, code * lanes),
            "rows": (words, state + 2 + fmt + scale + bits + ks + parameters["DIV_BITS"]),
        }

    def tables(self, parameters: Parameters) -> dict[str, TableSize]:
        return {"DIV_C": TableSize(1 << parameters["DIV_BITS"], 8)}

    def roms(self) -> tuple[Rom, ...]:
        about = "DIV_C[j] for DIV_BITS = {}: 1/(1 + s) over bin j of s, by 2^-8"
        return tuple(Rom(f"div_c{b}", div_table(b), 8, about.format(b)) for b in range(1, 5))

    def edges(self, parameters: Parameters) -> Iterator[Edge]:
        for number, edge in enumerate(self._all_edges(parameters)):
            yield edge
            if formats(parameters) and number % 3 == 0:
                fmt = (1, 2, 0, 3, 2)[number % 5]
                settings = {**edge.settings, "fmt": fmt, "s7": int(number % 2 or fmt < 2)}
                yield edge._replace(settings=settings)

    def _all_edges(self, parameters: Parameters) -> Iterator[Edge]:
        if blocks(parameters):
            yield from self._states(parameters)
        if fixed(parameters) >= 0:  # those of its F, whatever the pin says
            for number, edge in enumerate(self._edges(parameters)):
                if edge.settings.get("frac", 0) == fixed(parameters):
                    yield edge._replace(settings={**edge.settings, "frac": number % 8})
            return
        if not scaled(parameters):
            yield from self._edges(parameters)
            return
        # The same rows at the scale that makes the same codes of them, lower and higher up.
        dtype = self.input_dtype(parameters)
        for number, edge in enumerate(self._edges(parameters)):
            up = number % (in_w(parameters) - 7)
            shift = edge.settings.get("frac", 0) + _POINT - parameters["EXP_FRAC"] + up
            fmt = {name: value for name, value in edge.settings.items() if name == "fmt"}
            settings = {"mult": _MULT, "shift": shift, **fmt}
            yield edge._replace(x=edge.x.astype(dtype) << up, settings=settings)
        yield from self._thresholds(parameters)

    def _states(self, parameters: Parameters) -> Iterator[Edge]:
        """States of blocks before with which a sum gets to an edge, or saturates."""
        half, div = parameters["EXP_FRAC"], parameters["DIV_BITS"]
        dtype = self.input_dtype(parameters)
        high = signed(in_w(parameters))[1]
        scale = {"mult": _MULT, "shift": _POINT - half} if scaled(parameters) else {"frac": 0}
        codes = log2exp(np.arange(256), 0, half)
        weights = weight(codes, half)
        # An element of each code that puts out something, with every bin of every size of sum.
        distances = np.unique(codes, return_index=True)[1][: 8 << half].tolist()
        turn = 0
        for top, j in itertools.product(range(32), range(1 << div)):
            place = ((1 << div) + j << top) >> div
            for distance in distances[:: 1 + (top > 16)]:
                for total in (place - 1, place):
                    carry = total - int(weights[distance])
                    if carry > 0 and turn % 3 < 2:
                        settings = {**scale, "carry_max": high, "carry_sum": carry, "fmt": 1}
                        yield Edge(np.array([high - distance], dtype), settings)
                    turn += 1
        for count, more in itertools.product((1, 2, parameters["MAX_LEN"]), (-1, 0, 1)):
            settings = {**scale, "fmt": turn % 2, "carry_max": high}
            x, carry = np.full(count, high, dtype), (1 << 32) - (count << 15) + more
            if count <= parameters["MAX_LEN"]:
                yield Edge(x, {**settings, "carry_sum": carry})
                yield Edge(x, {**settings, "carry_sum": carry}, mask=np.zeros(count, bool))
        # The maximum rises from that of the blocks before, by each code.
        for distance in np.unique(codes, return_index=True)[1].tolist():
            for carry in (1, (1 << 15) - 1, SUM_LIMIT):
                settings = {**scale, "fmt": 1, "carry_max": high - distance, "carry_sum": carry}
                yield Edge(np.full(1, high, dtype), settings)

    def _thresholds(self, parameters: Parameters) -> Iterator[Edge]:
        """Differences at which the code changes, at every shift, in sums at which the output does.

        A difference of one bit is among them for each bit: one that a shifter loses.
        """
        half, bits, lanes = parameters["EXP_FRAC"], in_w(parameters), parameters["LANES"]
        dtype = self.input_dtype(parameters)
        low, high = signed(bits)
        most = min(parameters["MAX_LEN"], 24)
        div = parameters["DIV_BITS"]
        places = [(1 << div) + j << 15 + ks - div for ks in range(3) for j in range(1 << div)][1:]
        top = 31 if half else 15
        turn = 0
        for shift, mult in itertools.product(SHIFTS, (0, 127, None)):
            if mult is None:
                mult = (37 * shift + 11) % 128
            found = {1 << bit for bit in range(bits)}
            for code in range(1, top + 1):
                t = -(-((code << 16) - (1 << 15)) // (128 + mult))
                d = -(-t >> 16 - shift) if shift <= 16 else t << shift - 16
                found |= {d - 1, d}
            distances = np.array([0, *sorted(d for d in found if 0 < d <= high - low)])
            codes = log2exp_scaled(distances, mult, shift, half)
            weights = weight(codes, half)
            # The first difference of the top code, which in half octaves no sum shows.
            if half and codes[-1] == top:
                low_by = int(distances[codes.argmax()])
                yield Edge(
                    np.array([high, high - low_by]).astype(dtype),
                    {"mult": mult, "shift": shift, "fmt": 1},
                )
            # A few of them, all at the one shift that has no other beside it.
            entries = np.arange(len(distances))
            if shift != 16:
                entries[(entries + shift) % _EACH != 0] = -1
            for chosen in at_sums(weights, entries, places, most):
                turn += 1
                d = distances[chosen]
                maximum = high if turn % 3 else low + int(d.max())
                settings = {"mult": mult, "shift": shift, "fmt": int(turn % 4 > 0)}
                yield Edge((maximum - d).astype(dtype), settings)
            # The maximum rises by them from the first beat, of one element, to the second.
            every = 1 if shift in (16, 17) else 2 * _EACH
            for number, d in enumerate(distances[1:].tolist()):
                if (number + shift) % every == 0 and lanes < parameters["MAX_LEN"]:
                    turn += 1
                    maximum = high if turn % 3 else low + d
                    x, mask = np.full(lanes + 1, low), np.ones(lanes + 1, bool)
                    x[0], x[-1], mask[1:-1] = maximum - d, maximum, False
                    settings = {"mult": mult, "shift": shift, "fmt": 1}
                    yield Edge(x.astype(dtype), settings, mask=mask)

    def _edges(self, parameters: Parameters) -> Iterator[Edge]:
        lanes, max_len = parameters["LANES"], parameters["MAX_LEN"]
        bits, half = parameters["DIV_BITS"], parameters["EXP_FRAC"]
        most = min(max_len, 24)
        # Sums at which another bin or another ks begins.
        places = [(1 << bits) + j << 15 + ks - bits for ks in range(3) for j in range(1 << bits)][
            1:
        ]
        yield from self._beside_masked(places, most, parameters)
        yield from self._in_each_lane(places, parameters)
        # Every ks with every bin, of equal elements alone.
        for ks, j in itertools.product(range(max_len.bit_length()), range(1 << bits)):
            count = -(-((1 << bits) + j << ks) >> bits)
            yield Edge(np.full(count, 127, np.int8), {"fmt": 1})
        for frac in range(8):
            codes = codes_below(parameters, frac)
            weights = weight(codes, half)
            for number, x in enumerate(self.at_sums(weights, codes, places, most)):
                yield Edge(x, {"frac": frac, "fmt": int(number % 4 > 0)})
                if 2 * len(x) <= max_len:
                    pairs, mask = np.repeat(x, 2), np.arange(2 * len(x)) % 2 == number // 2 % 2
                    yield Edge(pairs, {"frac": frac, "fmt": 1}, mask=mask)
            # Two of the same code beside each other, with which the sum just reaches a place.
            for distance in np.unique(codes, return_index=True)[1].tolist():
                pair = int(weights[0] + 2 * weights[distance])
                rest = min((place - pair for place in places if place >= pair), default=0)
                below, total = Filler(weights).below(rest, most)
                if total == rest:
                    distances = np.array([distance, distance, 0, *below])
                    yield Edge((127 - distances).astype(np.int8), {"frac": frac, "fmt": 1})
            # The first beat has one element: what is left of its sum when the maximum rises by each
            # code, and by each bit alone that is above all codes, with others that fill it up.
            masked = lanes - 1
            product = 23 * np.arange(256) >> 3 - half + frac  # with a bit below the code
            beyond = [int((product >= 1 << bit).argmax()) for bit in range(5 + half, 11)]
            firsts = np.unique(codes, return_index=True)[1].tolist()
            for rise in dict.fromkeys([*firsts, *beyond]):
                code = codes[rise]
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

    def _in_each_lane(self, places: Sequence[int], parameters: Parameters) -> Iterator[Edge]:
        """An element of each code, or two, with others that bring their sum to an edge, or to one
        below it.

        Each of them is in each lane in turn: a beat that takes one weight too many there, or one
        too few, shows it.
        """
        half, lanes, max_len = (parameters[name] for name in ("EXP_FRAC", "LANES", "MAX_LEN"))
        codes = codes_below(parameters, _EVERY_CODE)
        weights, filler = weight(codes, half), Filler(weight(codes, half))
        settings = {"frac": _EVERY_CODE, "fmt": 1}
        for count in (1, 2):
            some = np.repeat(np.unique(codes, return_index=True)[1], count)
            total = int(weights[some].sum())
            rest = min((place - total for place in places if place > total), default=0)
            if not rest or len(some) >= max_len:
                continue
            below = filler.below(rest - 1, max_len - len(some))[0]
            for more, turn in itertools.product(([], [filler.smallest]), (1, -1)):
                row = np.array([*some, *below, *more])[::turn]
                for head in range(min(lanes, max_len + 1 - len(row))):
                    x = np.append(np.zeros(head, int), 127 - row).astype(np.int8)
                    yield Edge(x, settings, mask=np.arange(len(x)) >= head)

    def _beside_masked(
        self, places: Sequence[int], most: int, parameters: Parameters
    ) -> Iterator[Edge]:
        """Sums one below an edge, beside lanes that hold no element.

        Every other lane is masked, and each of the two smallest weights is in each of the others in
        turn; or a row ends with the smallest one in each lane. A lane beside it, whose code is the
        same inside, must add nothing.
        """
        half, lanes = parameters["EXP_FRAC"], parameters["LANES"]
        weights = weight(codes_below(parameters, 0), half)
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
        # The smallest weights, each in each lane, in a sum that just reaches a place.
        reach = sorted(Filler(weights).below(places[0] - int(weights[0]), most)[0])
        for one in dict.fromkeys(reach[-_SMALLEST:]):
            for lane in range(lanes):
                distances = [0, *reach]
                distances.remove(one)
                distances.insert(min(lane, len(distances)), one)
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
        if blocks(parameters):
            top_ks, top_bin = 16, (1 << div_bits) - 1
        if scaled(parameters):
            # From S = 17 on, nothing is left of an int8 difference.
            scale, fracs = "side", ()
            narrow = (set(codes), {0, 1}, {0})
            reachable = narrow if in_w(parameters) == 8 else (set(codes),) * 3
            which = "each {} on each side, as far as differences get"
        else:
            scale = "frac"
            fracs = range(8) if fixed(parameters) < 0 else (fixed(parameters),)
            reachable = [reachable_codes(parameters, f) for f in fracs]
            which = "each {} that F can make"

        c = Coverage()
        maximum_points(c, lanes, beats)
        updates = [u for u in _UPDATES if u < beats]
        c.point(
            "updates",
            [f"{a}.." if a == updates[-1] and a > 1 else a for a in updates],
            "how often a later beat raised the maximum",
        )
        c.group("log2exp")
        if scaled(parameters):
            about = "S of a row against that of no shift at all"
            c.point("side", ("S < 16", "S = 16", "S > 16"), about)
            c.point("shift", SHIFTS, "S of a row")
            c.point("mult", ("128", "129 to 254", "255"), "M of a row")
            if wide(parameters):
                about = "what the shifter makes of an element's difference"
                c.point("difference", ("whole", "rounded down", "beyond"), about)
        else:
            c.point("frac", fracs, "F of a row")
        (fmt,) = (one for one in self.settings(parameters) if one.name == "fmt")
        c.point("fmt", fmt.words, "output format of a row")
        if formats(parameters):
            c.point("s7", ("8 bits", "7 bits"), "bits of a row's outputs")
            c.cross("fmt x s7", ("fmt", "s7"), "each format with each number of bits")
        c.point("code", codes, "4-bit (EXP_FRAC = 1: 5-bit) code of an element")
        steps = " (23 d steps over some at small F, d <= 255 ends at large F)"
        c.cross(
            f"{scale} x code",
            (scale, "code"),
            which.format("code") + ("" if scaled(parameters) else steps),
            lambda f, y: y in reachable[f],
        )
        if beats > 1:  # one-beat rows are never corrected
            c.point("correction1", codes, "decay of Sum when a beat came (0: maximum unchanged)")
            c.point("correction2", codes, "correction of a beat's codes in pass 2")
            for point in ("correction1", "correction2"):
                c.cross(
                    f"{scale} x {point}",
                    (scale, point),
                    which.format(point),
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
        if blocks(parameters):
            c.group("blocks")
            c.point("carry", ("a new row", "goes on"), "whether there are blocks before")
            c.point("elements", ("some", "all masked"), "of a block")
            c.cross("carry x elements", ("carry", "elements"), "a masked block at either place")
            rises = ("below", "the same", "above")
            c.point("maximum", rises, "of a block against that of the blocks before")
            sums = ("none", "below one", "one and more", "saturated")
            c.point("sum", sums, "of the blocks so far, one is 2^15")
        return c

    def _sample_blocks(self, coverage: Coverage, parameters: Parameters, rows: Rows) -> None:
        trace = self.model(**parameters).trace(rows.x, rows.mask, **rows.settings)
        some, goes_on = rows.mask.any(axis=1), rows.settings["carry_sum"] > 0
        axes = ("carry", "elements")
        coverage.sample("carry x elements", goes_on.astype(int), (~some).astype(int), axes=axes)
        lowest = signed(in_w(parameters))[0]
        highest = np.where(rows.mask, rows.x.astype(np.int64), lowest).max(axis=1)
        against = np.sign(highest - rows.settings["carry_max"]) + 1
        coverage.sample("maximum", np.where(some & goes_on, against, -1))
        coverage.sample("sum", np.searchsorted([1, 1 << 15, SUM_LIMIT], trace.sum, side="right"))

    def sample(self, coverage: Coverage, parameters: Parameters, rows: Rows) -> None:
        lanes, exp_frac = parameters["LANES"], parameters["EXP_FRAC"]
        if blocks(parameters) and len(rows):
            self._sample_blocks(coverage, parameters, rows)
        some = rows.mask.any(axis=1)
        if not some.any():
            return
        rows = rows.select(some)
        fmt = rows.settings["fmt"]
        taken = self._taken(parameters, rows)
        trace = self.model(**parameters).trace(rows.x, rows.mask, **taken)

        here = trace.argmax >= 0  # in none where the maximum is of a block before
        sample_maximum(coverage, lanes, trace.argmax[here], rows.length[here])
        last_beat = (rows.length - 1) // lanes
        bins = len(coverage.points["updates"].bins)
        coverage.sample("updates", np.minimum(spread(trace.updates, _UPDATES), bins - 1))
        if scaled(parameters):
            scale, value = "side", np.sign(rows.settings["shift"] - 16) + 1
            coverage.sample("shift", rows.settings["shift"])
            mult = rows.settings["mult"]
            coverage.sample("mult", np.where(mult == 0, 0, np.where(mult == MULTS[-1], 2, 1)))
            if wide(parameters):
                self._sample_differences(coverage, parameters, rows, trace)
        else:
            scale, value = "frac", taken["frac"] - max(fixed(parameters), 0)
        coverage.sample(scale, value)
        coverage.sample("fmt", fmt)
        s7 = np.zeros(len(rows), int)
        if formats(parameters):
            s7 = rows.settings["s7"]
            coverage.sample("fmt x s7", fmt, s7, axes=("s7",))
        # Codes and steps are negative where masked, and not counted there.
        by_row = value[:, None]
        coverage.sample(f"{scale} x code", by_row, trace.code, axes=("code",))
        if "correction1" in coverage.points:
            # Beats from the row's first unmasked one on: before it there is nothing to correct.
            beat = np.arange(trace.beat_max.shape[1])
            live = (beat >= (rows.mask.argmax(axis=1) // lanes)[:, None]) & (
                beat <= last_beat[:, None]
            )
            for point in ("correction1", "correction2"):
                values = np.minimum(getattr(trace, point).astype(np.int16), (16 << exp_frac) - 1)
                values = np.where(live, values, -1)
                coverage.sample(f"{scale} x {point}", by_row, values, axes=(point,))
        shift = np.where(fmt == 0, trace.ks.astype(np.int16) << exp_frac, 0) + (s7 << exp_frac)
        step = np.minimum(trace.k + shift[:, None], 9 << exp_frac)
        step = np.where(trace.k < 0, -1, step)
        coverage.sample("fmt x step", fmt[:, None], step, axes=("step",))
        coverage.sample("fmt x ks", fmt, trace.ks, axes=("ks",))
        coverage.sample("ks x bin", trace.ks, trace.j, axes=("bin",))

    def _sample_differences(
        self, coverage: Coverage, parameters: Parameters, rows: Rows, trace: E2SoftmaxTrace
    ) -> None:
        beat_max = np.repeat(trace.beat_max.astype(np.int64), parameters["LANES"], axis=1)
        d = beat_max[:, : rows.x.shape[1]] - rows.x
        right = np.maximum(rows.settings["shift"] - 16, 0)[:, None]
        left = np.maximum(16 - rows.settings["shift"], 0)[:, None]
        kind = np.where((d >> right) << left >= 1 << 13 + parameters["EXP_FRAC"], 2, 0)
        kind = np.where((kind == 0) & ((d >> right) << right != d), 1, kind)
        coverage.sample("difference", np.where(rows.mask, kind, -1))


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
        "e2softmax/e2softmax_log2exp_scaled.sv",
        "e2softmax/e2softmax_wide_max.sv",
        "e2softmax/e2softmax_octaves.sv",
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
        # Any scale: the product before the shifter, no clock for it.
        {"LANES": 8, "MAX_LEN": 64, "SCALE": 1},
        # The shifter before the product, a clock more; a product of 14 bits, one pair.
        {"LANES": 2, "MAX_LEN": 40, "DIV_BITS": 2, "EXP_FRAC": 1, "IN_W": 16, "SCALE": 1},
        # The widest lane, with a tree behind it that has a register.
        {"LANES": 8, "MAX_LEN": 64, "IN_W": 32, "SCALE": 1},
        # Rows in blocks; more formats of half octaves.
        {"LANES": 4, "MAX_LEN": 40, "BLOCKS": 1},
        {"LANES": 2, "MAX_LEN": 8, "DIV_BITS": 2, "EXP_FRAC": 1, "FORMATS": 1},
        # Octaves first, of one F; and half octaves of any.
        {"LANES": 4, "MAX_LEN": 40, "LOG_FIRST": 1, "FRAC": 2},
        {"LANES": 2, "MAX_LEN": 24, "DIV_BITS": 2, "EXP_FRAC": 1, "LOG_FIRST": 1, "OUT_REG": 0},
        # One F; no registers at the ports.
        {"LANES": 8, "MAX_LEN": 62, "FRAC": 3, "IN_REG": 0, "OUT_REG": 0},
        # All that there is.
        {
            "LANES": 8,
            "MAX_LEN": 64,
            "DIV_BITS": 3,
            "EXP_FRAC": 1,
            "IN_W": 32,
            "SCALE": 1,
            "BLOCKS": 1,
            "FORMATS": 1,
        },
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
    )
    # Octaves first.
    + tuple(
        Variant({**given, "LOG_FIRST": 1}, {"fmt": fmt})
        for given in ({}, {"DIV_BITS": 3, "EXP_FRAC": 1})
        for fmt in (0, 1)
    )
    # Outputs of 7 bits. A scale that is no power of two, and wide logits, these tensors have not.
    + tuple(
        Variant({"DIV_BITS": bits, "EXP_FRAC": half, "FORMATS": 1}, {"fmt": 1, "s7": 1})
        for bits, half in ((1, 0), (3, 1))
    ),
    bad_configurations=(
        {"LANES": 3},
        {"LANES": 128},
        {"MAX_LEN": 31},
        {"MAX_LEN": 65537},
        {"DIV_BITS": 0},
        {"DIV_BITS": 5},
        {"EXP_FRAC": 2},
        {"IN_W": 9, "SCALE": 1},
        {"IN_W": 64, "SCALE": 1},
        {"SCALE": 2},
        {"IN_W": 16},
        {"IN_W": 32, "SCALE": 0},
        {"BLOCKS": 2},
        {"FORMATS": 2},
        {"LOG_FIRST": 2},
        {"LOG_FIRST": 1, "SCALE": 1},
        {"LOG_FIRST": 1, "BLOCKS": 1},
        {"LOG_FIRST": 1, "FORMATS": 1},
        {"FRAC": 8},
        {"FRAC": 0, "SCALE": 1},
        {"IN_REG": 2},
        {"OUT_REG": 2},
    ),
)
