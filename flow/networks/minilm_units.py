# SPDX-License-Identifier: Apache-2.0
"""The units in place of MiniLM's softmax and LayerNorms (`stand_in`), calibrated.

Nothing is retrained. All that calibration finds is what software gives a unit anyway, or folds into
the weights around it: fraction bits of each head's logits, and its gain; scale, zero point and
powers of two of each LayerNorm's inputs, gamma and beta; the power-of-two steps and the offsets
that its outputs are worth, which the weights and biases behind it take in, and the residual sum as
shifts and a bias. What calibration sees are the float model's tensors on some sentences, and what
it tries out are the units' bit-exact models.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from softnorm.models import reference
from softnorm.models.ailayernorm import AILayerNorm
from softnorm.models.arith import INT8
from softnorm.models.ptf import ALPHAS, Ptf, calibrate_mse, calibrate_output, deviations, fold
from softnorm.models.quantise import round_half_up
from softnorm.units.ailayernorm import AILAYERNORM
from softnorm.units.e2softmax import E2SOFTMAX
from softnorm.units.lut2d import LUT2D
from softnorm.units.rexp import REXP
from softnorm.units.softmax import SoftmaxUnit
from softnorm.units.unit import Parameters, Unit

from ..errors import UserError
from . import advice, int8, minilm
from .stand_in import (
    FittedNorm,
    UnitNorm,
    UnitSoftmax,
    fit_softmax,
    one_hot_softmax,
    uniform_softmax,
)

TOKENS = 400  # a LayerNorm is calibrated with
QUERIES = 8  # of a sentence, that a softmax is calibrated with
BATCH_TOKENS = 1024
FAR = 0.25  # deviations: a mean of all of a LayerNorm's rows beyond is taken out before it


# --- running the model ----------------------------------------------------------------------------


def batches(
    model: minilm.MiniLM, sentences: Sequence[str]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (places, ids, mask) of sentences of the same number of tokens: no time goes to padding.

    places: integers [batch], where in `sentences` they stand. ids int64, mask bool, both [batch,
    token]. Raises UserError for a sentence that is too long.
    """
    ids, mask = model.encode_tokens(sentences)
    tokens = mask.sum(axis=1)
    for count in np.unique(tokens):
        same = np.flatnonzero(tokens == count)
        step = max(1, BATCH_TOKENS // int(count))
        for start in range(0, len(same), step):
            places = same[start : start + step]
            yield places, ids[places, :count], mask[places, :count]


def embed(
    model: minilm.MiniLM,
    sentences: Sequence[str],
    softmax: minilm.Softmax | None = None,
    norm: minilm.Norm | None = None,
    progress: Callable[[int], None] = lambda _: None,
    products: minilm.Products | None = None,
    attention: minilm.Attention | None = None,
) -> np.ndarray:
    """Return the sentences' embeddings [sentences, 384] of unit length.

    progress: called with how many sentences are done, after each batch.
    """
    out, done = np.empty((len(sentences), minilm.WIDTH), np.float32), 0
    for places, ids, mask in batches(model, sentences):
        tokens = model.forward(ids, mask, None, softmax, norm, products, attention)
        out[places] = minilm.sentence_embedding(tokens, mask)
        done += len(places)
        progress(done)
    return out


# --- what calibration sees ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Samples:
    """The float model's tensors at a seeded draw of tokens and queries of some sentences.

    norm_inputs: 13 times [tokens, 384], a LayerNorm's inputs. Sentences have equal shares of the
    tokens, whatever their lengths, and so [CLS] has its share. logits: by layer, [head, rows, key],
    with mask [rows, key], for at most 8 queries of a sentence.
    """

    norm_inputs: Sequence[np.ndarray]
    logits: Sequence[np.ndarray]
    mask: np.ndarray


def sample(model: minilm.MiniLM, sentences: Sequence[str], seed: int) -> Samples:
    """Return what the model gives on these sentences. Raises UserError for one that is too long."""
    rng = np.random.default_rng(seed)
    each = -(-TOKENS // len(sentences))
    norms = [[] for _ in minilm.NORM_INPUTS]
    logits = [[] for _ in range(minilm.LAYERS)]
    lengths = []
    for _, ids, mask in batches(model, sentences):
        batch, count = ids.shape
        # The first token and others: it is not like them.
        token = np.stack([rng.permutation(count)[:each] for _ in range(batch)])
        query = np.stack([rng.permutation(count)[:QUERIES] for _ in range(batch)])
        rows = np.arange(batch)[:, None]

        def keep(name: str, layer: int, array: np.ndarray, rows=rows, token=token, query=query):
            if name == "attention_logits":
                chosen = array.transpose(0, 2, 1, 3)[rows, query]  # [batch, query, head, key]
                logits[layer].append(chosen.reshape(-1, *chosen.shape[2:]))
            else:
                n = minilm.NORM_INPUTS.index((name, layer))
                norms[n].append(array[rows, token].reshape(-1, array.shape[-1]))

        model.forward(ids, mask, keep)
        lengths += [count] * query.size
    widest = max(lengths)
    together = []
    for parts in logits:
        padded = [np.pad(p, ((0, 0), (0, 0), (0, widest - p.shape[2]))) for p in parts]
        together.append(np.concatenate(padded).transpose(1, 0, 2))
    inputs = [np.concatenate(parts) for parts in norms]
    if len(inputs[0]) > TOKENS:
        some = np.sort(rng.permutation(len(inputs[0]))[:TOKENS])
        inputs = [array[some] for array in inputs]
    mask = np.arange(widest) < np.array(lengths)[:, None]
    return Samples([array.astype(np.float64) for array in inputs], together, mask)


# --- calibrating a LayerNorm ----------------------------------------------------------------------


def fit_plain(
    samples: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    octaves: int,
    exact: np.ndarray | None = None,
    rms: bool = False,
    parameters: Parameters | None = None,
) -> FittedNorm:
    """Return a LayerNorm by `models.ptf` alone, which looks at inputs and outputs one by one.

    samples: real inputs [samples, channels]. octaves: of output steps, 0 is one for all channels.
    exact: the float layer's outputs for the samples, default MiniLM's LayerNorm. rms: it is an
    RMSNorm. parameters: AILayerNorm's, over its defaults: by how much its standard deviations are
    too large on average is taken out of gamma. None: the unit's are exact.
    """
    if exact is None:
        exact = minilm.layer_norm(samples, gamma, beta)
    centre = _centre(samples, rms)
    samples = samples - centre
    ptf = calibrate_mse(samples)
    if parameters is not None:
        mine, right = deviations(samples, ptf, AILayerNorm(**AILAYERNORM.resolve(parameters)), rms)
        gamma = gamma * float(np.mean(mine[right > 0] / right[right > 0]))
    step = calibrate_output(exact, gamma, beta, octaves)
    return FittedNorm(ptf, fold(gamma, beta, ptf, step, rms), centre=centre)


def _centre(samples: np.ndarray, rms: bool) -> float:
    """What LayerNorm's samples are better less: their mean if it is large against the deviations.

    Where the mean of a row is far from 0 against its deviation AILayerNorm's variance, a difference
    of compressed squares, is wrong. 0 for an RMSNorm, which is not the same without the mean.
    """
    mean, std = reference.row_statistics(samples)
    common = float(mean.mean())
    return 0.0 if rms or abs(common) < FAR * np.median(std) else common


def fit_norm(
    parameters: Parameters | None,
    samples: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    octaves: int,
    exact: np.ndarray | None = None,
    rms: bool = False,
) -> FittedNorm:
    """Return a LayerNorm whose outputs, through AILayerNorm, are near the float layer's.

    parameters: the unit's, over its defaults; None for any other unit, which is taken to have exact
    statistics, and the offset is left at 0. The others are those of `fit_plain`. Three steps, each
    for the least squared error of outputs: scale, zero point and alphas of the inputs, with the
    unit's statistics; gamma and beta by regression on what the unit normalises to; output steps,
    with what they make of gamma.
    """
    unit = None
    if parameters is not None:
        parameters = AILAYERNORM.resolve(parameters)
        unit = AILayerNorm(**parameters)
    gamma, beta = gamma.astype(np.float64), beta.astype(np.float64)
    if exact is None:
        exact = minilm.layer_norm(samples, gamma, beta)
    inputs, centre = samples, _centre(samples, rms)
    samples = samples - centre
    ptf = _fit_inputs(unit, samples, exact, gamma, beta, rms)
    z = _normalised(unit, ptf, samples, rms)
    z_mean, y_mean = z.mean(axis=0), exact.mean(axis=0)
    spread = np.square(z - z_mean).sum(axis=0)
    cross = ((z - z_mean) * (exact - y_mean)).sum(axis=0)
    # A channel that never moves says nothing of its gamma.
    slope = np.divide(cross, spread, out=gamma.copy(), where=spread > 0)
    middle = (z.min(axis=0) + z.max(axis=0)) / 2
    step = _fit_steps(z - middle, slope, octaves)
    # Outputs are centred, as far as beta's int8 can: what is left goes into the offset.
    shift = np.clip(-slope * middle, INT8[0] * step, INT8[1] * step)
    fitted = FittedNorm(ptf, fold(slope, shift, ptf, step, rms), centre=centre)
    if unit is None:
        return fitted
    lost = exact - fitted.run(AILAYERNORM, parameters, inputs)
    return replace(fitted, offset=lost.mean(axis=0))


def _weights(samples: np.ndarray, gamma: np.ndarray, rms: bool) -> np.ndarray:
    """What a squared error of an input does to the squared errors of its row's outputs.

    It moves its own output, and by way of sigma all others. [samples, channels].
    """
    width = samples.shape[1]
    centred = samples if rms else samples - samples.mean(axis=1, keepdims=True)
    variance = np.square(centred).mean(axis=1, keepdims=True)
    spread = np.square(centred * gamma).sum(axis=1, keepdims=True) / variance
    return np.square(gamma) / variance + np.square(centred / (width * variance)) * spread


def _fit_inputs(
    unit: AILayerNorm | None,
    samples: np.ndarray,
    exact: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    rms: bool,
) -> Ptf:
    start, weights = calibrate_mse(samples), _weights(samples, gamma, rms)

    def best(scales: Sequence[float], zps: Sequence[int]) -> tuple[float, Ptf]:
        found = []
        for scale in scales:
            for zp in zps:
                errors = []
                for alpha in ALPHAS:
                    one = Ptf(float(scale), int(zp), np.full(len(gamma), alpha, np.uint8))
                    lost = one.dequantise(one.quantise(samples)) - samples
                    errors.append((np.square(lost) * weights).sum(axis=0))
                ptf = Ptf(float(scale), int(zp), np.argmin(errors, axis=0).astype(np.uint8))
                y = _normalised(unit, ptf, samples, rms) * gamma
                want = exact - beta
                gain = (y * want).sum() / max(np.square(y).sum(), np.finfo(np.float64).tiny)
                found.append((float(np.square(gain * y - want).sum()), ptf))
        return min(found, key=lambda pair: pair[0])

    zps = np.unique(np.clip([start.zp, *range(0, 256, 32)], 0, 255))
    _, found = best([start.scale], zps)
    _, found = best([start.scale * 2.0 ** (k / 2) for k in range(-8, 3)], [found.zp])
    near = np.unique(np.clip(found.zp + np.arange(-24, 25, 8), 0, 255))
    _, found = best([found.scale], near)
    return best([found.scale * 2.0 ** (k / 8) for k in range(-3, 4)], [found.zp])[1]


def _normalised(unit: AILayerNorm | None, ptf: Ptf, samples: np.ndarray, rms: bool) -> np.ndarray:
    """What the unit normalises samples to, before gamma: float64 [samples, channels]."""
    none = np.zeros(samples.shape[1])
    if unit is None:
        x = ptf.dequantise(ptf.quantise(samples))
        return reference.rms_norm(x, none + 1) if rms else reference.layer_norm(x, none + 1, none)
    # Neither gamma nor the settings of outputs have a part in what is used of the trace.
    folded = fold(none, none, ptf, 1.0, rms)
    trace = unit.trace(ptf.quantise(samples), folded.channels, **folded.settings(samples.shape[1]))
    a = np.ldexp(trace.a.astype(np.float64), ptf.alpha)
    sigma = trace.rsqrt * np.exp2(-6.0 - trace.e)
    return (a - trace.mu[:, None] / 4) * sigma[:, None]


def _fit_steps(z: np.ndarray, slope: np.ndarray, octaves: int) -> np.ndarray:
    """Return output steps [channels] for outputs slope * z, z [samples, channels].

    All gammas share one exponent, so a coarse step leaves its gamma few bits: what that costs
    counts, too.
    """
    y = z * slope
    widest = np.abs(y).max() / INT8[1]
    best = (np.inf, np.full(len(slope), widest))
    for finer in range(3 * 8 + 1):  # three octaves in eighths
        steps = widest * 2.0 ** (-finer / 8) * 2.0 ** -np.arange(octaves + 1)
        tops = np.abs(slope).max() / steps / INT8[1]
        for shift in sorted({int(s) for s in np.ceil(np.log2(tops))}):
            errors = []
            for step in steps:
                g = round_half_up(np.ldexp(slope / step, -shift))
                out = np.clip(round_half_up(np.ldexp(g, shift) * z), *INT8)
                error = np.square(out * step - y).sum(axis=0)
                errors.append(np.where(np.abs(g) <= INT8[1], error, np.inf))
            total = np.min(errors, axis=0).sum()
            if total < best[0]:
                best = (total, steps[np.argmin(errors, axis=0)])
    return best[1]


# --- the methods ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SoftmaxPart:
    """A unit in the place of softmax: parameters over its defaults, and settings.

    by: "layer" or "head", what has an F of its own, or "scores": int32 scores of int8 products go
    in as they are, with a scale of each head. gain: whether heads have gains (`fit_softmax`). tile:
    keys of a tile, with by = "scores"; 0: whole rows.
    """

    unit: SoftmaxUnit
    parameters: Parameters = field(default_factory=dict)
    settings: Mapping[str, int] = field(default_factory=dict)
    by: str = "head"
    gain: bool = False
    tile: int = 0


@dataclass(frozen=True, eq=False)
class NormPart:
    """AILayerNorm in the place of the LayerNorms: parameters over its defaults.

    octaves: of output steps. by_outputs: calibrated by `fit_norm`, else by `fit_plain`.
    """

    parameters: Parameters = field(default_factory=dict)
    octaves: int = 3
    by_outputs: bool = True

    @property
    def unit(self) -> Unit:
        """The unit's descriptor."""
        return AILAYERNORM


@dataclass(frozen=True)
class Method:
    """A line of the table: which units stand in, None for the float function.

    A softmax may also be a plain function. key: whether the method is run through the RTL when none
    is named.
    """

    name: str
    softmax: SoftmaxPart | minilm.Softmax | None = None
    norm: NormPart | None = None
    key: bool = False

    @property
    def has_unit(self) -> bool:
        """Whether any of it is hardware."""
        return isinstance(self.softmax, SoftmaxPart) or self.norm is not None

    @property
    def of_scores(self) -> bool:
        """Whether it takes int32 scores, which only int8 products have."""
        return isinstance(self.softmax, SoftmaxPart) and self.softmax.by == "scores"


_PAPER = SoftmaxPart(E2SOFTMAX, settings={"fmt": 0})
_FINE = SoftmaxPart(E2SOFTMAX, {"DIV_BITS": 3, "EXP_FRAC": 1}, {"fmt": 1})
_REXP, _LUT2D = SoftmaxPart(REXP), SoftmaxPart(LUT2D)
_REXP_GAIN = SoftmaxPart(REXP, gain=True)
_WIDE = {"IN_W": 32, "SCALE": 1}
_FINE_WIDE = {**_FINE.parameters, **_WIDE}
_SCORES = SoftmaxPart(E2SOFTMAX, _WIDE, {"fmt": 0}, by="scores")
_FINE_SCORES = SoftmaxPart(E2SOFTMAX, _FINE_WIDE, {"fmt": 1}, by="scores")
# Of few lanes, so that most rows have more than one tile.
_FEW = {**_FINE_WIDE, "LANES": 8}
_ROWS = SoftmaxPart(E2SOFTMAX, _FEW, {"fmt": 1}, by="scores")
_TILES = SoftmaxPart(E2SOFTMAX, {**_FEW, "BLOCKS": 1, "FORMATS": 1}, by="scores", tile=8)
_NORM, _NORM3 = NormPart(), NormPart({"CMP_RANGES": 3})
_NORM_EXACT = NormPart(advice.SQUARES)
_BY_INPUTS = NormPart(by_outputs=False)
_FINE_NAME = "E2Softmax DIV_BITS=3 EXP_FRAC=1 row-scaled"

METHODS = (
    Method("E2Softmax, F a layer", SoftmaxPart(E2SOFTMAX, settings={"fmt": 0}, by="layer")),
    Method("E2Softmax", _PAPER),
    Method(_FINE_NAME, _FINE),
    Method("E2Softmax IN_W=32 SCALE=1", _SCORES),
    Method(f"{_FINE_NAME} IN_W=32 SCALE=1", _FINE_SCORES),
    Method(f"{_FINE_NAME} IN_W=32 SCALE=1 LANES=8", _ROWS, key=True),
    Method(f"{_FINE_NAME} IN_W=32 SCALE=1 LANES=8, tiles of 8 keys", _TILES, key=True),
    Method("REXP", _REXP),
    Method("REXP, gain a head", _REXP_GAIN),
    Method("2D-LUT", _LUT2D),
    Method("AILayerNorm, by inputs, one output step", norm=NormPart(octaves=0, by_outputs=False)),
    Method("AILayerNorm, by inputs", norm=_BY_INPUTS),
    Method("AILayerNorm", norm=_NORM),
    Method("AILayerNorm CMP_RANGES=3", norm=_NORM3),
    Method("AILayerNorm EXACT_SQ=1", norm=_NORM_EXACT),
    Method("E2Softmax and AILayerNorm, by inputs", _PAPER, _BY_INPUTS),
    Method("E2Softmax and AILayerNorm", _PAPER, _NORM, key=True),
    Method(f"{_FINE_NAME} and AILayerNorm", _FINE, _NORM),
    Method(f"{_FINE_NAME} and AILayerNorm CMP_RANGES=3", _FINE, _NORM3, key=True),
    Method(f"{_FINE_NAME} IN_W=32 SCALE=1 and AILayerNorm EXACT_SQ=1", _FINE_SCORES, _NORM_EXACT),
    Method("REXP and AILayerNorm", _REXP, _NORM, key=True),
    Method("REXP, gain a head, and AILayerNorm", _REXP_GAIN, _NORM),
    Method("2D-LUT and AILayerNorm", _LUT2D, _NORM, key=True),
    Method("control: uniform", uniform_softmax),
    Method("control: one-hot", one_hot_softmax),
)


class Calibrated:
    """Methods calibrated on one set of samples; what two methods share is calibrated once.

    products: int8 ones for all of them, None for float ones.
    """

    def __init__(
        self, model: minilm.MiniLM, samples: Samples, products: int8.Calibration | None = None
    ):
        self._model, self._samples, self._products = model, samples, products
        self._known: dict[object, object] = {}

    def parts(self, method: Method) -> dict[str, Callable | minilm.Products | None]:
        """Return what stands in, as `embed` takes it: softmax, norm, products, attention."""
        softmax, norm = self.softmax(method), self.norm(method)
        products = self._products and self._products.products(softmax, norm)
        return {
            "softmax": softmax,
            "norm": norm,
            "products": products,
            "attention": self._attention(method),
        }

    def _attention(self, method: Method) -> int8.Tiled | None:
        part = method.softmax
        if not isinstance(part, SoftmaxPart) or not part.tile:
            return None
        return self._int8(method).tiled(part.unit, part.unit.resolve(part.parameters), part.tile)

    def _int8(self, method: Method) -> int8.Calibration:
        if self._products is None:
            raise UserError(f"{method.name} takes scores of int8 products: give PRODUCTS=int8")
        return self._products

    def softmax(self, method: Method) -> UnitSoftmax | minilm.Softmax | None:
        """Return what stands in for the softmax, None for the float one, and for attention."""
        part = method.softmax
        if not isinstance(part, SoftmaxPart):
            return part
        if part.tile:
            return None
        if part.by == "scores":
            parameters, steps = part.unit.resolve(part.parameters), self._int8(method).logits
            return UnitSoftmax(
                *(part.unit, parameters, None, part.settings), saturated=0.0, step=steps
            )
        if part not in self._known:
            given = (part.unit, part.parameters, part.settings)
            seen = (self._samples.logits, self._samples.mask)
            self._known[part] = fit_softmax(*given, *seen, part.by, part.gain)
        return self._known[part]

    def norm(self, method: Method) -> UnitNorm | None:
        """Return what stands in for the LayerNorms, None for the float ones."""
        part = method.norm
        if part is None:
            return None
        if part not in self._known:
            parameters, fitted = part.unit.resolve(part.parameters), []
            for name, inputs in zip(minilm.NORM_INPUTS, self._samples.norm_inputs, strict=True):
                real = (inputs, *self._model.norm_parameters(*name), part.octaves)
                fitted.append(
                    fit_norm(parameters, *real)
                    if part.by_outputs
                    else fit_plain(*real, parameters=parameters)
                )
                where = f"{name[0].removesuffix('_input').replace('_', ' ')} {name[1]}"
                advice.check_norm(where, inputs, fitted[-1], AILayerNorm(**parameters))
            self._known[part] = UnitNorm(part.unit, parameters, fitted)
        return self._known[part]
