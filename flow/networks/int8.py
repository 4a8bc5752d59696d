# SPDX-License-Identifier: Apache-2.0
"""Matrix products of int8 by int8 (W8A8) in the numpy networks, calibrated after training.

Weights are int8, symmetric, with a scale for each output. Activations are int8 with one static
scale and zero point for a tensor, and for each channel a power of two that the weights behind it
take in, so that a product sees plain int8: what SmoothQuant (Xiao et al., ICML 2023, arXiv
2211.10438) moves, in shifts. Queries by keys and shares by values are int8 in the same way, with a
scale for each head. Sums are exact, as int32 holds them; the bias is an integer in steps of the
sum. Nothing is retrained, and no scale looks at the tensor that it is used on.

Where a LayerNorm unit stands in, its outputs are the activations: its steps are the scales, its
offsets go into the biases, and nothing is quantised a second time. Where a softmax unit stands in,
its outputs are the shares.

Biases hold the mean error of their outputs on the calibration data (Nagel et al., ICCV 2019, arXiv
1906.04721, with measured means).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from softnorm.models.arith import INT8
from softnorm.models.ptf import ALPHAS
from softnorm.models.quantise import round_half_up
from softnorm.units.softmax import SoftmaxUnit
from softnorm.units.unit import Outputs, Parameters

from . import flash
from .minilm import Norm, Products, Softmax
from .stand_in import Engine, UnitNorm, UnitSoftmax, by_model

ROWS = 1000  # of a product's inputs, that it is calibrated with
CHUNK = 512  # so many products of a uint8 by an int8 have a sum that float32 holds exactly
CONTEXT = ".context"  # how the name of the product of shares and values ends
SHARES = 255  # what a share of 1 is where the softmax is the float one


def integer_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a [.., n, inner] times b [.., inner, m], whole numbers, exactly.

    a is of uint8 or int8, b of int8 values, in any dtype; what comes back is floating point.
    """
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    inner = a.shape[-1]
    if inner <= CHUNK:
        return a @ b
    total = np.zeros(1)
    for start in range(0, inner, CHUNK):
        part = slice(start, start + CHUNK)
        total = total + a[..., part] @ b[..., part, :]
    return total


@dataclass(frozen=True, eq=False)
class Quantiser:
    """Activations as int8: the real value is step * q + offset, both float64 [channels].

    A tensor's steps are one scale times powers of two, its offsets -zero point times the step.
    """

    step: np.ndarray
    offset: np.ndarray

    def quantise(self, x: np.ndarray) -> np.ndarray:
        """Return x [.., channels] as whole numbers -128..127, rounded half up, saturated."""
        scaled = (x - self.offset.astype(x.dtype)) / self.step.astype(x.dtype)
        return np.clip(np.floor(scaled + x.dtype.type(0.5)), *INT8)

    def dequantise(self, q: np.ndarray) -> np.ndarray:
        """Return the real values of q [.., channels], float64."""
        return q * self.step + self.offset


@dataclass(frozen=True, eq=False)
class Linear:
    """x times weight plus bias: int8 [inputs, outputs], bias whole in steps of scale [outputs].

    weight has the powers of two of `inputs` in it.
    """

    inputs: Quantiser
    weight: np.ndarray
    scale: np.ndarray
    bias: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs [.., outputs] of x [.., inputs], in x's dtype."""
        total = integer_product(self.inputs.quantise(x), self.weight) + self.bias
        return (total * self.scale).astype(x.dtype)


@dataclass(frozen=True, eq=False)
class Scores:
    """Queries by keys. Steps [heads, 1, channels]; those of a channel multiply to one a head."""

    query: np.ndarray
    key: np.ndarray

    def __call__(self, query: np.ndarray, key: np.ndarray) -> np.ndarray:
        """Return query [batch, head, token, channel] times key [batch, head, channel, token]."""
        a = _symmetric(query, self.query)
        b = _symmetric(key.swapaxes(-1, -2), self.key).swapaxes(-1, -2)
        return (integer_product(a, b) * self.scale[:, None, None]).astype(query.dtype)

    @property
    def scale(self) -> np.ndarray:
        """What 1 of a product is worth, [heads]."""
        return (self.query * self.key)[:, 0, 0]

    @property
    def logit(self) -> np.ndarray:
        """The same of a logit, the product over the root of the channels: [heads]."""
        return self.scale / np.sqrt(self.query.shape[-1])


@dataclass(frozen=True, eq=False)
class Context:
    """Shares by values, which have steps [heads, 1, channels].

    unit: what a softmax unit's output of 1 is worth; its shares are taken as they are. None: shares
    are rounded to 8 bit. gain: of the unit's heads, [heads, 1, 1] (`UnitSoftmax`), in the scale.
    """

    value: np.ndarray
    unit: float | None
    gain: np.ndarray | float = 1.0

    def __call__(self, shares: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Return shares [batch, head, query, key] times value [batch, head, key, channel]."""
        step = 1 / SHARES if self.unit is None else self.unit * self.gain
        whole = round_half_up(shares / step) if self.unit is None else _significant(shares / step)
        total = integer_product(whole, _symmetric(value, self.value))
        return (total * (self.value * step)).astype(value.dtype)


@dataclass(frozen=True, eq=False)
class Tiled:
    """Attention of int8 queries, keys and values in tiles of keys: a `minilm.Attention`.

    unit, parameters: one that takes int32 scores and rows in blocks (`flash.attend`). tile: keys.
    scores, values: by layer, how what goes in becomes int8. engine: what runs the rows.
    """

    unit: SoftmaxUnit
    parameters: Parameters
    tile: int
    scores: Sequence[Scores]
    values: Sequence[np.ndarray]
    engine: Engine = by_model

    def __call__(
        self, query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: np.ndarray, layer: int
    ) -> np.ndarray:
        scores, step = self.scores[layer], self.values[layer]
        sides = ((query, scores.query), (key, scores.key), (value, step))
        q, k, v = (_symmetric(x, by).astype(np.int8) for x, by in sides)
        of_heads = self.unit.model(**self.parameters).scale_of(scores.logit[:, None])
        scale = {
            name: np.broadcast_to(one, query.shape[:-1]).ravel() for name, one in of_heads.items()
        }
        state = flash.attend(
            *(self.unit, self.parameters, q, k, v, mask),
            block=self.tile,
            engine=self.engine,
            **scale,
        )
        return (state.finish() * step).astype(query.dtype)


def _significant(x: np.ndarray) -> np.ndarray:
    """Return x rounded to the 16 significant bits that an output has at most.

    Real values back to integers: the division left them a last bit off. A row's exponent, where the
    unit has one, is left in: a power of two costs the sums no exactness.
    """
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.rint(mantissa * 2.0**16), exponent - 16)


def _symmetric(x: np.ndarray, step: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(x / step.astype(x.dtype) + x.dtype.type(0.5)), -INT8[1], INT8[1])


class Int8Products(Products):
    """A network's products in int8, each by its name. Raises KeyError for a name it has not."""

    def __init__(self, linears: Mapping[str, Linear], attentions: Mapping[str, Scores | Context]):
        self.linears, self.attentions = dict(linears), dict(attentions)

    def linear(self, name: str, x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Return x times the int8 weights of this name plus their bias."""
        return self.linears[name](x)

    def attention(self, name: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return a times b, both quantised as this name's are."""
        return self.attentions[name](a, b)


# --- calibration ----------------------------------------------------------------------------------


class Recorder(Products):
    """The float products, which keeps a seeded draw of their inputs: so many rows of each call.

    inputs: a linear's name -> x [rows, inputs]. matrices: its weight and bias. sides: an attention
    product's name -> its a and b as [heads, rows, channels]; of shares by values, values only.
    """

    def __init__(self, rows: int, seed: int):
        self._rows, self._rng = rows, np.random.default_rng(seed)
        self._inputs: dict[str, list[np.ndarray]] = {}
        self._sides: dict[str, list[tuple[np.ndarray, ...]]] = {}
        self.matrices: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def linear(self, name: str, x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Return the float product."""
        self.matrices[name] = weight.astype(np.float64), bias.astype(np.float64)
        self._inputs.setdefault(name, []).append(self._draw(x.reshape(-1, x.shape[-1])))
        return super().linear(name, x, weight, bias)

    def attention(self, name: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the float product."""
        both = (b,) if name.endswith(CONTEXT) else (a, b.swapaxes(-1, -2))
        heads = a.shape[1]
        kept = (side.swapaxes(0, 1).reshape(heads, -1, side.shape[-1]) for side in both)
        self._sides.setdefault(name, []).append(tuple(self._draw(s.swapaxes(0, 1)) for s in kept))
        return super().attention(name, a, b)

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        return {name: np.concatenate(parts) for name, parts in self._inputs.items()}

    @property
    def sides(self) -> dict[str, list[np.ndarray]]:
        return {
            name: [np.concatenate(parts).swapaxes(0, 1) for parts in zip(*calls, strict=True)]
            for name, calls in self._sides.items()
        }

    def _draw(self, rows: np.ndarray) -> np.ndarray:
        chosen = np.sort(self._rng.permutation(len(rows))[: self._rows])
        return rows[chosen].astype(np.float64)


class Calibration:
    """A network's products calibrated on what `seen` has seen it run with, each once.

    readers: for each LayerNorm the linears that take its output, as the network names them.
    """

    def __init__(self, seen: Recorder, readers: Sequence[Sequence[str]]):
        self._inputs, self._matrices = seen.inputs, seen.matrices
        known = {name for group in readers for name in group}
        self._alone = [(name,) for name in seen.matrices if name not in known]
        self._readers = readers
        self._fitted: dict[str, Linear] = {}
        self._scores, self._steps = {}, {}
        for name, sides in seen.sides.items():
            if name.endswith(CONTEXT):
                self._steps[name] = fit_values(*sides)
            else:
                self._scores[name] = fit_scores(*sides)

    def products(self, softmax: Softmax | None = None, norm: Norm | None = None) -> Int8Products:
        """Return the products for a network in which these stand in; None for float functions.

        The bytes of a `UnitSoftmax` and of a `UnitNorm` are taken as they are.
        """
        linears: dict[str, Linear] = {}
        for n, group in enumerate(self._readers):
            if isinstance(norm, UnitNorm):
                one = norm.norms[n]
                step = one.folded.step
                inputs = Quantiser(step, np.broadcast_to(one.offset, step.shape))
                linears |= {name: self._linear(name, inputs) for name in group}
            else:
                linears |= self._group(group)
        for group in self._alone:
            linears |= self._group(group)
        contexts = {}
        for layer, (name, step) in enumerate(self._steps.items()):
            contexts[name] = Context(step, None)
            if isinstance(softmax, UnitSoftmax):
                gain = 1.0 if softmax.gain is None else softmax.gain[layer][:, None, None]
                contexts[name] = Context(step, worth(softmax), gain)
        return Int8Products(linears, self._scores | contexts)

    @property
    def logits(self) -> np.ndarray:
        """What a whole number of queries by keys is worth as a logit: [layers, heads]."""
        return np.array([one.logit for one in self._scores.values()])

    def tiled(self, unit: SoftmaxUnit, parameters: Parameters, tile: int) -> Tiled:
        """Return attention in tiles of so many keys, by a unit with all of its parameters."""
        every = [*self._scores.values()], [*self._steps.values()]
        return Tiled(unit, parameters, tile, *every)

    def _group(self, group: Sequence[str]) -> dict[str, Linear]:
        """Return linears that share their input, and so its quantiser."""
        if group and group[0] not in self._fitted:
            weights = np.hstack([self._matrices[name][0] for name in group])
            inputs = fit_inputs(self._inputs[group[0]], weights)
            self._fitted |= {name: self._linear(name, inputs) for name in group}
        return {name: self._fitted[name] for name in group}

    def _linear(self, name: str, inputs: Quantiser) -> Linear:
        return fit_linear(self._inputs[name], *self._matrices[name], inputs)


def worth(softmax: UnitSoftmax) -> float:
    """Return what an output of 1 is worth, in a row with an exponent of 0."""
    none = Outputs(np.zeros((1, 1), np.uint8), np.zeros(1, np.int8))
    result = softmax.unit.result(softmax.parameters, none, softmax.settings)
    return float(2 * result.half_lsb()[0])


def fit_inputs(x: np.ndarray, weight: np.ndarray) -> Quantiser:
    """Return the quantiser of x [rows, inputs] with the least squared error of x times weight.

    A search over scales and zero points, each with every channel's best power of two; then for 1 to
    4 of these, with what they do to the weights.
    """
    low, high = min(x.min(), 0.0), max(x.max(), 0.0)
    gain = np.square(weight).sum(axis=1)
    best: list[tuple[float, Quantiser | None]] = [(np.inf, None) for _ in ALPHAS]
    for finer in range(2 * 7):
        scale = (high - low) / 255 * 2.0 ** (-finer / 2)
        for zp in sorted({min(255, int(round_half_up(-low / scale / 2**j))) for j in ALPHAS}):
            errors = []
            for alpha in ALPHAS:
                step = np.ldexp(scale, alpha)
                lost = np.clip(np.floor(x / step + 0.5), -zp, 255 - zp) * step - x
                errors.append(np.einsum("rc,rc->c", lost, lost))
                total = float(np.min(errors, axis=0) @ gain)
                if total < best[alpha][0]:
                    steps = np.ldexp(scale, np.argmin(errors, axis=0))
                    best[alpha] = total, Quantiser(steps, (-INT8[0] - zp) * steps)
    want, none = x @ weight, np.zeros(weight.shape[1])

    def lost(inputs: Quantiser) -> float:
        return float(np.square(fit_linear(x, weight, none, inputs)(x) - want).sum())

    return min((inputs for _, inputs in best), key=lost)


def fit_linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, inputs: Quantiser) -> Linear:
    """Return x [rows, inputs] times weight plus bias in int8, for inputs quantised like this.

    An output's weights have the scale of the least squared error of the output, if inputs' errors
    were independent; its bias makes its mean over the rows exact.
    """
    q = inputs.quantise(x)
    power = np.square(q).mean(axis=0)
    folded = weight * inputs.step[:, None]
    widest = np.maximum(np.abs(folded).max(axis=0), np.finfo(np.float64).tiny) / INT8[1]
    least, scale = np.full(len(bias), np.inf), widest
    for finer in range(16):
        one = widest * (1 - finer / 40)
        error = power @ np.square(_symmetric(folded, one) * one - folded)
        least, scale = np.minimum(least, error), np.where(error < least, one, scale)
    whole = _symmetric(folded, scale)
    mean = (x.mean(axis=0) @ weight + bias) / scale - q.mean(axis=0) @ whole
    return Linear(inputs, whole.astype(np.int8), scale, round_half_up(mean))


def fit_scores(query: np.ndarray, key: np.ndarray) -> Scores:
    """Return queries by keys, both [heads, rows, channels], in int8.

    Powers of two move between a query's channel and the key's, so that they reach equally far.
    """
    reach = [np.abs(side).max(axis=1, keepdims=True) + 1e-9 for side in (query, key)]
    shift = np.exp2(np.round(np.log2(reach[0] / reach[1]) / 2))
    even = query / shift, key * shift
    powers = [np.square(side).mean(axis=1, keepdims=True) for side in even]
    steps = [_fit_symmetric(side, power, 1) for side, power in zip(even, powers[::-1], strict=True)]
    return Scores(steps[0] * shift, steps[1] / shift)


def fit_values(value: np.ndarray) -> np.ndarray:
    """Return steps [heads, 1, channels] of values [heads, rows, channels]."""
    return _fit_symmetric(value, np.ones_like(value[:, :1]), len(ALPHAS))


def _fit_symmetric(x: np.ndarray, weights: np.ndarray, octaves: int) -> np.ndarray:
    """Return the steps [heads, 1, channels] of the least weighted squared error of x.

    x: [heads, rows, channels]. weights: [heads, 1, channels]. A head has one scale, times one of
    so many powers of two for each channel.
    """
    widest = np.abs(x).max(axis=(1, 2), keepdims=True) / INT8[1]
    least, best = np.full_like(widest, np.inf), np.broadcast_to(widest, weights.shape)
    for finer in range(8 * 2 + 1):
        scale = widest * 2.0 ** (-finer / 8)
        steps = [scale * 2.0**-octave for octave in range(octaves)]
        errors = np.array(
            [np.square(_symmetric(x, s) * s - x).sum(1, keepdims=True) for s in steps]
        )
        total = (errors.min(axis=0) * weights).sum(axis=2, keepdims=True)
        chosen = scale * 2.0 ** -errors.argmin(axis=0).astype(np.float64)
        best = np.where(total < least, chosen, best)
        least = np.minimum(total, least)
    return best
