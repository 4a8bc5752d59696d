# SPDX-License-Identifier: Apache-2.0
"""Calibration of units for a PyTorch network, from the float network's tensors on example batches.

A softmax gets the F of the least squared error of its probabilities, each head its own, and a
constant that its logits are less; a LayerNorm or RMSNorm is fitted by its outputs
(`flow.networks.minilm_units`). What a unit cannot do well is warned of (`flow.networks.advice`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from weakref import WeakSet

import numpy as np
import torch
from torch import nn

from softnorm.models import reference
from softnorm.models.ailayernorm import AILayerNorm

from ..errors import UserError
from ..networks import advice
from ..networks.minilm_units import AILAYERNORM, fit_norm, fit_plain
from ..networks.stand_in import fit_softmax
from . import attention
from .modules import Choice, UnitNorm, UnitSoftmax, as_array

ROWS = 400  # that a LayerNorm is calibrated with
QUERIES = 8  # of an example, that a softmax is calibrated with
OCTAVES = 3  # of a LayerNorm's output steps
FEWEST = 64  # rows that a regression needs: with fewer a LayerNorm is fitted by its inputs alone

Batch = torch.Tensor | Sequence | Mapping

evaluated: WeakSet[nn.Module] = WeakSet()  # modules of models with units in their place


def check_float(model: nn.Module) -> None:
    """Raise UserError if a model, or a part of it, is in a model with units in its place."""
    if any(module in evaluated for module in model.modules()):
        raise UserError("this model has units in its place already: call restore() of them first")


# --- what there is to replace ---------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class RealNorm:
    """A float LayerNorm or RMSNorm: gamma and beta float64 [channels], its epsilon."""

    gamma: np.ndarray
    beta: np.ndarray
    epsilon: float
    rms: bool

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return what it makes of x [rows, channels], in float64."""
        if self.rms:
            return reference.rms_norm(x, self.gamma, eps=self.epsilon) + self.beta
        return reference.layer_norm(x, self.gamma, self.beta, eps=self.epsilon)


def real_norm(module: nn.Module) -> RealNorm | None:
    """Return a module as a LayerNorm or RMSNorm over the last axis, None if it is neither.

    A trial run finds what it computes, since class names are not reliable: T5LayerNorm is an
    RMSNorm, and GemmaRMSNorm multiplies by 1 + weight.
    """
    weight = getattr(module, "weight", None)
    shape = getattr(module, "normalized_shape", ()) if weight is None else weight.shape
    if len(shape) != 1:
        return None
    names = ("eps", "variance_epsilon", "epsilon")
    epsilon = next((e for e in (getattr(module, n, None) for n in names) if e is not None), None)
    like = torch.empty(0) if weight is None else weight
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.normal(0.5, 1, (8, *shape))).to(like)
    if epsilon is None:  # torch's RMSNorm takes its dtype's
        epsilon = torch.finfo(x.dtype).eps
    try:
        with torch.no_grad():
            want = as_array(module(x)).astype(np.float64)
    except (TypeError, ValueError, RuntimeError):
        return None  # it takes more than rows
    stored = np.ones(shape) if weight is None else as_array(weight).astype(np.float64)
    bias = getattr(module, "bias", None)
    beta = np.zeros(shape) if bias is None else as_array(bias).astype(np.float64)
    near = 10 * torch.finfo(x.dtype).eps * max(np.abs(want).max(), 1)
    for rms in (False, True):
        for gamma in (stored, 1 + stored):
            norm = RealNorm(gamma, beta, float(epsilon), rms)
            got = norm(as_array(x))
            if got.shape == want.shape and np.abs(got - want).max() <= near:
                return norm
    return None


def find_softmaxes(model: nn.Module) -> tuple[dict[str, nn.Module], list[str]]:
    """Return a model's nn.Softmax modules by name, and what has a softmax that is not replaced."""
    found, left = {}, []
    for name, module in model.named_modules():
        if isinstance(module, nn.Softmax):
            found[name] = module
        elif isinstance(module, nn.MultiheadAttention):
            left.append(f"{name} (MultiheadAttention): its softmax is inside torch")
    return found, left


def find_norms(model: nn.Module) -> tuple[dict[str, RealNorm], list[str]]:
    """Return a model's LayerNorms and RMSNorms by name, and what only has the name of one."""
    found, left = {}, []
    for name, module in model.named_modules():
        kind = type(module).__name__
        if kind.endswith(("LayerNorm", "RMSNorm")):
            norm = real_norm(module)
            if norm is None:
                left.append(f"{name} ({kind}): neither LayerNorm nor RMSNorm of the last axis")
            else:
                found[name] = norm
    return found, left


# --- what the float network has -------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Samples:
    """The float network's tensors at a seeded draw of rows, by module name.

    logits: of each softmax (logits [heads, rows, keys], mask, bool, of the same shape), for at most
    8 queries of an example, heads 1 for an nn.Softmax. norms: of each norm its inputs [rows,
    channels], at most 400, examples with equal shares. Rows of which nothing is unmasked, rows of
    padding and rows that are constant are not among them.
    """

    logits: Mapping[str, tuple[np.ndarray, np.ndarray]]
    norms: Mapping[str, np.ndarray]


def run(model: nn.Module, batch: Batch) -> object:
    """Return what the model makes of a batch: keyword arguments, positional ones, or one tensor."""
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(batch) if isinstance(batch, torch.Tensor) else model(*batch)


def record(model: nn.Module, batches: Iterable[Batch], seed: int = 1) -> Samples:
    """Run the float network on example batches and return what its softmaxes and norms get.

    batches: tensors, tuples of positional arguments, or mappings of keyword arguments, such as a
    tokenizer's; tokens that a mapping's `attention_mask` [batch, token] has as 0 are padding. A
    hundred examples do. Also makes sure that attention through this project's function, with the
    float softmax, gives on the first batch what the model gives. Raises UserError if it does not,
    for a model in training, for one with nothing to replace, and for no batch.
    """
    batches = list(batches)
    if not batches:
        raise UserError("calibration needs at least one batch of examples")
    if any(module.training for module in model.modules()):
        raise UserError("the model is in training: call model.eval() first")
    check_float(model)
    recorder = _Recorder(model, seed, sum(map(_examples, batches)))
    with torch.no_grad():
        before = run(model, batches[0])
        with recorder.listening():
            for number, batch in enumerate(batches):
                recorder.real = _real_tokens(batch)
                after = run(model, batch)
                if number == 0:
                    _check_same(model, before, after, recorder.real)
    samples = recorder.samples()
    if not samples.logits and not samples.norms:
        raise UserError(f"{type(model).__name__} has no softmax and no LayerNorm that is found")
    return samples


def _tensor(x: object) -> torch.Tensor | None:
    """The first floating-point tensor in a model's outputs or inputs."""
    if isinstance(x, torch.Tensor):
        return x if x.is_floating_point() else None
    parts = x.values() if isinstance(x, Mapping) else x if isinstance(x, (tuple, list)) else ()
    return next((t for t in map(_tensor, parts) if t is not None), None)


def _examples(batch: Batch) -> int:
    parts = batch.values() if isinstance(batch, Mapping) else batch
    parts = [batch] if isinstance(batch, torch.Tensor) else parts
    return next((len(part) for part in parts if isinstance(part, torch.Tensor) and part.ndim), 1)


def _real_tokens(batch: Batch) -> np.ndarray | None:
    mask = batch.get("attention_mask") if isinstance(batch, Mapping) else None
    return as_array(mask) != 0 if mask is not None and mask.ndim == 2 else None


def _check_same(model: nn.Module, before: object, after: object, real: np.ndarray | None) -> None:
    """Whether the attention function does all that the model's own attention does."""
    want, got = _tensor(before), _tensor(after)
    if want is None or got is None:
        return
    near = np.sqrt(torch.finfo(want.dtype).eps)
    want, got = as_array(want), as_array(got)
    if real is not None and want.shape[:2] == real.shape:  # padding may have any value
        want, got = want[real], got[real]
    widest = np.abs(want[np.isfinite(want)]).max(initial=0)
    if want.shape != got.shape or not np.allclose(got, want, 0, near * widest, equal_nan=True):
        raise UserError(
            f"{type(model).__name__} has attention of its own, not that of the AttentionInterface: "
            "with the float softmax in its place the model gives something else"
        )


class _Recorder:
    """Draws rows as they come by."""

    def __init__(self, model: nn.Module, seed: int, examples: int):
        self.model, self.rng = model, np.random.default_rng(seed)
        self.each = -(-ROWS // examples)
        self.real: np.ndarray | None = None
        self.names = {module: name for name, module in model.named_modules()}
        self.logits: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        self.norms: dict[str, list[np.ndarray]] = {}

    @contextlib.contextmanager
    def listening(self):
        modules = {name: module for module, name in self.names.items()}
        hooks = [*((name, self._softmax) for name in find_softmaxes(self.model)[0])]
        hooks += [(name, self._norm) for name in find_norms(self.model)[0]]
        with contextlib.ExitStack() as stack:
            for name, hook in hooks:
                stack.callback(modules[name].register_forward_hook(hook).remove)
            stack.enter_context(attention.attending(self.model, self._attention))
            yield

    def _chosen(self, examples: int, rows: int, each: int) -> np.ndarray:
        """Numbers of the chosen among examples * rows, `each` of an example, none of padding."""
        real = np.ones((examples, rows), bool)
        if self.real is not None and self.real.shape == real.shape:
            real = self.real
        order = self.rng.random(real.shape)
        order[~real] = 2
        places = np.argsort(order, axis=1)[:, :each]
        taken = np.take_along_axis(real, places, axis=1)
        return (places + np.arange(examples)[:, None] * rows)[taken]

    def _norm(self, module: nn.Module, inputs: tuple, output: object) -> None:
        x = as_array(inputs[0])
        examples = len(x) if x.ndim > 2 else x.size // x.shape[-1]
        x = x.reshape(examples, -1, x.shape[-1])
        chosen = self._chosen(*x.shape[:2], self.each)
        rows = x.reshape(-1, x.shape[-1])[chosen].astype(np.float64)
        moving = np.ptp(rows, axis=1) > 0
        self.norms.setdefault(self.names[module], []).append(rows[moving])

    def _softmax(self, module: nn.Module, inputs: tuple, output: object) -> None:
        logits = as_array(inputs[0])
        if (module.dim if module.dim is not None else -1) not in (-1, logits.ndim - 1):
            raise UserError(f"{self.names[module]} is no softmax of the last axis")
        logits = logits.reshape(len(logits), 1, -1, logits.shape[-1])
        self._keep(self.names[module], logits, ~np.isneginf(logits))

    def _attention(
        self, module: nn.Module, logits: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        live = np.ones(logits.shape, bool)
        if mask is not None:
            live = as_array(mask.expand(logits.shape))
        self._keep(self.names[module], as_array(logits), live)
        return attention.float_softmax(logits, mask)

    def _keep(self, name: str, logits: np.ndarray, live: np.ndarray) -> None:
        """Keep some queries of logits and mask [batch, heads, queries, keys]."""
        batch, heads, queries, keys = logits.shape
        chosen = self._chosen(batch, queries, QUERIES)
        both = [x.swapaxes(1, 2).reshape(-1, heads, keys)[chosen] for x in (logits, live)]
        some = both[1].any(axis=2).all(axis=1)
        both = [x[some].swapaxes(0, 1) for x in both]
        self.logits.setdefault(name, []).append(tuple(both))

    def samples(self) -> Samples:
        logits = {}
        for name, parts in self.logits.items():
            widest = max(x.shape[2] for x, _ in parts)
            padded = [
                [np.pad(x, ((0, 0), (0, 0), (0, widest - x.shape[2]))) for x in both]
                for both in parts
            ]
            x, mask = (np.concatenate(arrays, axis=1) for arrays in zip(*padded, strict=True))
            logits[name] = (x.astype(np.float64), mask)
        norms = {}
        for name, parts in self.norms.items():
            rows = np.concatenate(parts)
            some = np.sort(self.rng.permutation(len(rows))[:ROWS])
            norms[name] = rows[some]
        return Samples(logits, norms)


# --- fitting --------------------------------------------------------------------------------------


def fit_unit_softmax(choice: Choice, name: str, samples: Samples) -> UnitSoftmax:
    """Return the unit with the F of the least squared error of its probabilities, by head.

    Warns as `stand_in.fit_softmax` does. Raises UserError if calibration saw no row of this
    softmax.
    """
    logits, mask = samples.logits[name]
    if not mask.size:
        raise UserError(f"{name}: calibration saw no row with an unmasked element")
    given = (choice.unit, choice.parameters, choice.every_setting)
    fitted = fit_softmax(*given, [logits], mask, names=[name])
    return UnitSoftmax(choice, fitted.frac[0], fitted.offset[0], fitted.saturated)


def fit_unit_norm(choice: Choice, name: str, norm: RealNorm, samples: Samples) -> UnitNorm:
    """Return the unit fitted to a float norm, as `minilm_units.fit_norm` does.

    Warns (`advice.CalibrationWarning`) if AILayerNorm gets rows' deviations wrong. Raises UserError
    for a norm that no setting of the unit serves.
    """
    rows = samples.norms[name]
    exact = norm(rows)
    if not rows.size or np.ptp(exact) == 0:
        raise UserError(f"{name}: calibration saw no two outputs that differ")
    unit, parameters = choice.unit, choice.parameters
    known = parameters if unit is AILAYERNORM else None  # whose statistics the fit knows
    given = (rows, norm.gamma, norm.beta, OCTAVES, exact, norm.rms)
    try:
        if len(rows) < FEWEST:
            fitted = fit_plain(*given, parameters=known)
        else:
            fitted = fit_norm(known, *given)
    except ValueError as error:
        raise UserError(f"{name}: {error}") from error
    if known is not None:
        advice.check_norm(name, rows, fitted, AILayerNorm(**known), norm.rms)
    if len(rows) < FEWEST:
        return UnitNorm(choice, fitted)
    lost = exact - fitted.run(unit, parameters, rows)
    return UnitNorm(choice, replace(fitted, offset=fitted.offset + lost.mean(axis=0)))
