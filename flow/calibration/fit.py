# SPDX-License-Identifier: Apache-2.0
"""Calibration of units for any network, from the float network's rows on example batches.

Whoever runs the network (`flow.pytorch`, `flow.onnx`) gives a `Recorder` what its softmaxes and
norms get. A softmax then gets the F of the least squared error of its probabilities, each head its
own, and a constant that its logits are less; a LayerNorm or RMSNorm is fitted by its outputs
(`flow.networks.minilm_units`). What a unit cannot do well is warned of (`flow.networks.advice`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from softnorm.models import reference

from ..errors import UserError
from ..networks import advice, stand_in
from ..networks.minilm_units import AILAYERNORM, fit_norm, fit_plain
from ..networks.stand_in import FittedNorm, fit_softmax
from .choice import RMS, Choice

ROWS = 400  # that a LayerNorm is calibrated with
QUERIES = 8  # of an example, that a softmax is calibrated with
OCTAVES = 3  # of a LayerNorm's output steps
FEWEST = 64  # rows that a regression needs: with fewer a norm is fitted by its inputs alone
# What is so much less than its row's largest logit is masked: models add -inf, the least number of
# their dtype or -10000, and a constant that all logits have makes no mask.
MASKED = 5e3


@dataclass(frozen=True, eq=False)
class RealNorm:
    """A float LayerNorm or RMSNorm: gamma and beta float64 [channels], its epsilon."""

    gamma: np.ndarray
    beta: np.ndarray
    epsilon: float
    rms: bool

    def same(self, other: RealNorm) -> bool:
        """Whether it is the same function."""
        alike = (self.epsilon, self.rms) == (other.epsilon, other.rms)
        pairs = ((self.gamma, other.gamma), (self.beta, other.beta))
        return self is other or (alike and all(np.array_equal(*pair) for pair in pairs))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return what it makes of x [rows, channels], in float64."""
        if self.rms:
            return reference.rms_norm(x, self.gamma, eps=self.epsilon) + self.beta
        return reference.layer_norm(x, self.gamma, self.beta, eps=self.epsilon)


@dataclass(frozen=True, eq=False)
class Samples:
    """The float network's tensors at a seeded draw of rows, by the name of their place.

    logits: of each softmax (logits [heads, rows, keys], mask, bool, of the same shape), for at most
    8 queries of an example, heads 1 where nothing tells how many there are. norms: of each norm its
    inputs [rows, channels], at most 400, examples with equal shares. Rows of which nothing is
    unmasked, rows of padding and rows that are constant are not among them. real: the norms, but
    those whose weights are not always the same.
    """

    logits: Mapping[str, tuple[np.ndarray, np.ndarray]]
    norms: Mapping[str, np.ndarray]
    real: Mapping[str, RealNorm]


class Recorder:
    """Draws rows as they come by. examples: of all batches together.

    real: bool [examples of a batch, rows of each], what is no padding, None if all is real.
    """

    def __init__(self, seed: int, examples: int):
        self.real: np.ndarray | None = None
        self._rng = np.random.default_rng(seed)
        self._each = -(-ROWS // examples)
        self._logits: dict[str, list[list[np.ndarray]]] = {}
        self._norms: dict[str, list[np.ndarray]] = {}
        self._real_norms: dict[str, RealNorm] = {}
        self._changing: set[str] = set()  # norms whose weights are not always the same

    def _chosen(self, examples: int, rows: int, each: int) -> np.ndarray:
        """Numbers of the chosen among examples * rows, `each` of an example, none of padding."""
        real = np.ones((examples, rows), bool)
        if self.real is not None and self.real.shape == real.shape:
            real = self.real
        order = self._rng.random(real.shape)
        order[~real] = 2
        places = np.argsort(order, axis=1)[:, :each]
        taken = np.take_along_axis(real, places, axis=1)
        return (places + np.arange(examples)[:, None] * rows)[taken]

    def norm(self, name: str, x: np.ndarray, real: RealNorm) -> None:
        """Draw of x [examples, .., channels], what a norm gets."""
        examples = len(x) if x.ndim > 2 else x.size // x.shape[-1]
        x = x.reshape(examples, -1, x.shape[-1])
        chosen = self._chosen(*x.shape[:2], self._each)
        rows = x.reshape(-1, x.shape[-1])[chosen].astype(np.float64)
        moving = np.ptp(rows, axis=1) > 0
        self._norms.setdefault(name, []).append(rows[moving])
        if not self._real_norms.setdefault(name, real).same(real):
            self._changing.add(name)

    def softmax(self, name: str, logits: np.ndarray, live: np.ndarray, heads: int) -> None:
        """Draw of logits [examples, .., keys], with heads [.., heads, queries, keys].

        live: bool of the same shape, what is not masked.
        """
        keys = logits.shape[-1]
        if heads > 1:
            shape = (-1, *logits.shape[-3:])
        else:
            shape = (len(logits) if logits.ndim > 1 else 1, 1, -1, keys)
        both = [x.reshape(shape) for x in (logits, live)]
        batch, _, queries, _ = both[0].shape
        chosen = self._chosen(batch, queries, QUERIES)
        both = [x.swapaxes(1, 2).reshape(-1, heads, keys)[chosen] for x in both]
        some = both[1].any(axis=2).all(axis=1)
        both = [x[some].swapaxes(0, 1) for x in both]
        self._logits.setdefault(name, []).append(both)

    def samples(self) -> Samples:
        """What was drawn."""
        logits = {}
        for name, parts in self._logits.items():
            widest = max(x.shape[2] for x, _ in parts)
            padded = [
                [np.pad(x, ((0, 0), (0, 0), (0, widest - x.shape[2]))) for x in both]
                for both in parts
            ]
            x, mask = (np.concatenate(arrays, axis=1) for arrays in zip(*padded, strict=True))
            logits[name] = (x.astype(np.float64), mask)
        norms = {}
        for name, parts in self._norms.items():
            rows = np.concatenate(parts)
            some = np.sort(self._rng.permutation(len(rows))[:ROWS])
            norms[name] = rows[some]
        real = {n: norm for n, norm in self._real_norms.items() if n not in self._changing}
        return Samples(logits, norms, real)


def fit_unit_softmax(choice: Choice, name: str, samples: Samples) -> stand_in.UnitSoftmax:
    """Return the unit with the F of the least squared error of its probabilities, by head.

    It has one layer, 0. Warns as `stand_in.fit_softmax` does. Raises UserError if calibration saw
    no row of this softmax, or rows that are too long for the unit.
    """
    logits, mask = samples.logits[name]
    if not mask.size:
        raise UserError(f"{name}: calibration saw no row with an unmasked element")
    given = (choice.unit, choice.parameters, choice.every_setting)
    try:
        return fit_softmax(*given, [logits], mask, names=[name])
    except ValueError as error:  # rows too long for the build
        raise UserError(f"{name}: {error}") from error


def fit_unit_norm(choice: Choice, name: str, samples: Samples) -> FittedNorm:
    """Return the unit fitted to a float norm, as `minilm_units.fit_norm` does.

    Warns (`advice.CalibrationWarning`) if AILayerNorm gets rows' deviations wrong. Raises UserError
    for a norm that no setting of the unit serves.
    """
    if name not in samples.real:
        raise UserError(f"{name}: its weights are others from call to call")
    rows, norm = samples.norms[name], samples.real[name]
    exact = norm(rows)
    if not rows.size or np.ptp(exact) == 0:
        raise UserError(f"{name}: calibration saw no two outputs that differ")
    unit, parameters = choice.unit, choice.parameters
    if norm.rms and RMS not in {one.name for one in unit.settings(parameters)}:
        raise UserError(f"{name}: {unit.name} computes no RMSNorm")
    known = parameters if unit is AILAYERNORM else None  # whose statistics the fit knows
    given = (rows, norm.gamma, norm.beta, OCTAVES, exact, norm.rms)
    few = len(rows) < FEWEST or not np.ptp(rows, axis=0).any()
    try:
        fitted = fit_plain(*given, parameters=known) if few else fit_norm(known, *given)
    except ValueError as error:
        raise UserError(f"{name}: {error}") from error
    if known is not None:
        advice.check_norm(name, rows, fitted, unit.model(**known), norm.rms)
    if few:
        return fitted
    lost = exact - fitted.run(unit, parameters, rows)
    return replace(fitted, offset=fitted.offset + lost.mean(axis=0))


def has_scale(choice: Choice) -> bool:
    """Whether a softmax's build takes logits of any scale, M * 2^-S, in place of F."""
    return any(one.name == "mult" for one in choice.unit.settings(choice.parameters))


def fit_scaled_softmax(
    choice: Choice,
    name: str,
    samples: Samples,
    scale: tuple[float, float] | None = None,
) -> stand_in.UnitSoftmax:
    """Return a build of any scale with steps for its logits: of one layer, each head its own.

    scale: what a whole number is worth and what 0 is, of logits that are whole numbers already, of
    all heads; None: the step of the least squared error of the probabilities, and the middle of the
    logits. Raises UserError if calibration saw no row of this softmax, or rows that are too long.
    """
    logits, mask = samples.logits[name]
    if not mask.size:
        raise UserError(f"{name}: calibration saw no row with an unmasked element")
    unit, parameters, heads = choice.unit, choice.parameters, len(logits)
    bits = min(8 * unit.input_dtype(parameters).itemsize, 16)  # more say nothing of float logits
    x, live = (array.transpose(1, 0, 2)[:, :, None] for array in (logits, mask))
    seen = [logits[head][mask[head]] for head in range(heads)]
    if scale is None:
        offset = np.array([[(one.min() + one.max()) / 2 for one in seen]])
        widest = np.array([[np.ptp(one) / 2 for one in seen]]) / (2 ** (bits - 1) - 1)
        widest = np.where(widest > 0, widest, 1.0)
        steps = [widest * 2.0 ** (-k / 4) for k in range(9 if bits == 8 else 1)]
    else:
        steps = [np.full((1, heads), scale[0])]
        offset = np.full((1, heads), scale[1])
    fitted = stand_in.UnitSoftmax(
        *(unit, parameters, None, choice.every_setting), offset=offset, step=steps[0]
    )
    exact = reference.softmax(x, live)
    errors = []
    try:
        for step in steps:
            one = replace(fitted, step=step)
            errors.append(np.square(one(x, live, 0) - exact).sum(axis=(0, 2, 3)))
    except ValueError as error:  # rows too long for the build
        raise UserError(f"{name}: {error}") from error
    best = np.argmin(errors, axis=0)
    step = np.array([[steps[b][0, head] for head, b in enumerate(best)]])
    fitted = replace(fitted, step=step)
    q = fitted.quantise(x, live, 0)[0]
    limits = np.iinfo(q.dtype)
    ends = live & ((q == limits.min) | (q == limits.max))
    return replace(fitted, saturated=float(ends.sum() / max(live.sum(), 1)))
