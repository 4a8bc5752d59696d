# SPDX-License-Identifier: Apache-2.0
"""Calibration of units for a PyTorch network, from the float network's tensors on example batches.

A softmax gets the F of the least squared error of its probabilities, each head its own, and a
constant that its logits are less; a LayerNorm or RMSNorm is fitted by its outputs
(`flow.networks.minilm_units`). What a unit cannot do well is warned of (`flow.networks.advice`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from weakref import WeakSet

import numpy as np
import torch
from torch import nn

from ..errors import UserError
from ..networks import advice
from ..networks.minilm_units import AILAYERNORM, fit_norm, fit_plain
from ..networks.stand_in import fit_softmax
from .interception import Batch, RealNorm, Site, Sites, live_elements, run
from .modules import Choice, UnitNorm, UnitSoftmax, as_array

ROWS = 400  # that a LayerNorm is calibrated with
QUERIES = 8  # of an example, that a softmax is calibrated with
OCTAVES = 3  # of a LayerNorm's output steps
FEWEST = 64  # rows that a regression needs: with fewer a norm is fitted by its inputs alone

evaluated: WeakSet[nn.Module] = WeakSet()  # modules of models with units in their place


def check_float(model: nn.Module) -> None:
    """Raise UserError if a model, or a part of it, is in a model with units in its place.

    And for nn.DataParallel on several devices, which runs copies in threads of their own.
    """
    for module in model.modules():
        if module in evaluated:
            raise UserError(
                "this model has units in its place already: call restore() of them first"
            )
        if isinstance(module, nn.DataParallel) and len(module.device_ids) > 1:
            raise UserError("nn.DataParallel runs copies of the model: give the model inside")


# --- what there is to replace ---------------------------------------------------------------------


def real_norm(module: nn.Module, channels: int, like: torch.dtype) -> RealNorm | None:
    """Return a module as a LayerNorm or RMSNorm over the last axis, None if it is neither.

    A trial run on rows of so many channels, of a dtype, finds what it computes, since class names
    are not reliable: T5LayerNorm is an RMSNorm, and GemmaRMSNorm multiplies by 1 + weight.
    """
    own = {n: as_array(p).astype(np.float64) for n, p in module.named_parameters()}
    own = {name: values for name, values in own.items() if values.shape == (channels,)}
    bias = next((own.pop(name) for name in ("bias", "beta") if name in own), np.zeros(channels))
    stored = [np.ones(channels), *own.values()]
    names = [name for name in vars(module) if "eps" in name]
    epsilon = next((e for e in (getattr(module, n) for n in names) if e is not None), None)
    if epsilon is None:  # torch's RMSNorm takes its dtype's
        epsilon = torch.finfo(like).eps
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.normal(0.5, 1, (8, channels)))
    x = x.to(next((p for p in module.parameters()), torch.empty(0, dtype=like)))
    try:
        with torch.no_grad():
            want = as_array(module(x)).astype(np.float64)
            epsilon = float(epsilon)
    except Exception:
        return None
    tiny = max(torch.finfo(dtype).eps for dtype in (x.dtype, torch.float32))
    near = 10 * tiny * max(np.abs(want).max(), 1)
    for rms in (False, True):
        for gamma in (*stored, *(1 + one for one in stored[1:])):
            norm = RealNorm(gamma, bias, epsilon, rms)
            got = norm(as_array(x))
            if got.shape == want.shape and np.abs(got - want).max() <= near:
                return norm
    return None


# --- what the float network has -------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Samples:
    """The float network's tensors at a seeded draw of rows, by site: a module's name, mostly.

    logits: of each softmax (logits [heads, rows, keys], mask, bool, of the same shape), for at most
    8 queries of an example, heads 1 where nothing tells how many there are. norms: of each norm its
    inputs [rows, channels], at most 400, examples with equal shares. Rows of which nothing is
    unmasked, rows of padding and rows that are constant are not among them. real: the norms, but
    those whose weights are not always the same. written: names of modules that are norms, written
    out in Python. ran: how many softmaxes and norms the first batch took, by site or None, and in
    words.
    """

    logits: Mapping[str, tuple[np.ndarray, np.ndarray]]
    norms: Mapping[str, np.ndarray]
    real: Mapping[str, RealNorm]
    written: Collection[str] = ()
    ran: Mapping[tuple[Site | None, str], int] = field(default_factory=dict)


def record(model: nn.Module, batches: Iterable[Batch], seed: int = 1) -> Samples:
    """Run the float network on example batches and return what its softmaxes and norms get.

    batches: tensors, tuples of positional arguments, or mappings of keyword arguments, such as a
    tokenizer's; tokens that a mapping's `attention_mask` [batch, token] has as 0 are padding. A
    hundred examples do. Raises UserError for a model in training, for one with nothing to replace,
    and for no batch.
    """
    batches = list(batches)
    if not batches:
        raise UserError("calibration needs at least one batch of examples")
    if any(module.training for module in model.modules()):
        raise UserError("the model is in training: call model.eval() first")
    check_float(model)
    with torch.no_grad():
        written = _find_written(model, batches[0])
        recorder = _Recorder(model, written, seed, sum(map(_examples, batches)))
        with recorder.watching():
            for batch in batches:
                recorder.real = _real_tokens(batch)
                run(model, batch)
                recorder.first = False
    samples = recorder.samples()
    if not samples.logits and not samples.norms:
        raise UserError(f"{type(model).__name__} has no softmax and no LayerNorm that is found")
    return samples


def _examples(batch: Batch) -> int:
    parts = batch.values() if isinstance(batch, Mapping) else batch
    parts = [batch] if isinstance(batch, torch.Tensor) else parts
    return next((len(part) for part in parts if isinstance(part, torch.Tensor) and part.ndim), 1)


def _real_tokens(batch: Batch) -> np.ndarray | None:
    mask = batch.get("attention_mask") if isinstance(batch, Mapping) else None
    return as_array(mask) != 0 if mask is not None and mask.ndim == 2 else None


class _Finder(Sites):
    """Finds modules in which a norm is written out."""

    def __init__(self, model: nn.Module):
        super().__init__(model, {})
        self.found: dict[nn.Module, tuple[int, torch.dtype]] = {}
        self._candidates: set[nn.Module] = set()

    def takes(self, site: Site) -> bool:
        return False

    def ran(self, site: Site | None, module: nn.Module, what: str, number: int) -> None:
        if site is None:
            self._candidates.add(module)

    def _leave(self, module: nn.Module, inputs: tuple, *rest: object) -> None:
        super()._leave(module, inputs, *rest)
        if module in self._candidates and len(rest) == 2:
            given = [one for one in (*inputs, *rest[0].values()) if one is not None]
            if len(given) == 1 and isinstance(given[0], torch.Tensor) and given[0].ndim:
                self.found[module] = given[0].shape[-1], given[0].dtype


def _find_written(model: nn.Module, batch: Batch) -> dict[str, RealNorm]:
    finder = _Finder(model)
    with finder.watching():
        run(model, batch)
    norms = {finder.names[m]: real_norm(m, *shape) for m, shape in finder.found.items()}
    return {name: norm for name, norm in norms.items() if norm is not None}


class _Recorder(Sites):
    """Draws rows as they come by."""

    def __init__(self, model: nn.Module, written: Mapping[str, RealNorm], seed: int, examples: int):
        super().__init__(model, written)
        self.rng = np.random.default_rng(seed)
        self.each = -(-ROWS // examples)
        self.real: np.ndarray | None = None  # tokens of the batch that are no padding
        self.first = True  # batch
        self.logits: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        self.norms: dict[str, list[np.ndarray]] = {}
        self.real_norms: dict[str, RealNorm] = {}
        self.changing: set[str] = set()  # norms whose weights are not always the same
        self.counts: Counter[tuple[Site | None, str]] = Counter()

    def takes(self, site: Site) -> bool:
        return True

    def ran(self, site: Site | None, module: nn.Module, what: str, number: int) -> None:
        if self.first:
            self.counts[site, what] += number

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

    def norm(self, name: str, x: torch.Tensor, real: RealNorm) -> None:
        x = as_array(x)
        examples = len(x) if x.ndim > 2 else x.size // x.shape[-1]
        x = x.reshape(examples, -1, x.shape[-1])
        chosen = self._chosen(*x.shape[:2], self.each)
        rows = x.reshape(-1, x.shape[-1])[chosen].astype(np.float64)
        moving = np.ptp(rows, axis=1) > 0
        self.norms.setdefault(name, []).append(rows[moving])
        if not self.real_norms.setdefault(name, real).same(real):
            self.changing.add(name)

    def softmax(self, name: str, logits: torch.Tensor, heads: int) -> None:
        live, keys = as_array(live_elements(logits)) > 0, logits.shape[-1]
        if heads > 1:
            shape = (-1, *logits.shape[-3:])
        else:
            shape = (len(logits) if logits.ndim > 1 else 1, 1, -1, keys)
        self._keep(name, as_array(logits).reshape(shape), live.reshape(shape))

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
        real = {n: norm for n, norm in self.real_norms.items() if n not in self.changing}
        return Samples(logits, norms, real, tuple(self.written), self.counts)


# --- fitting --------------------------------------------------------------------------------------


def fit_unit_softmax(
    choice: Choice, name: str, samples: Samples, compile: bool = False
) -> UnitSoftmax:
    """Return the unit with the F of the least squared error of its probabilities, by head.

    Warns as `stand_in.fit_softmax` does. Raises UserError if calibration saw no row of this
    softmax, or rows that are too long for the unit.
    """
    logits, mask = samples.logits[name]
    if not mask.size:
        raise UserError(f"{name}: calibration saw no row with an unmasked element")
    given = (choice.unit, choice.parameters, choice.every_setting)
    try:
        fitted = fit_softmax(*given, [logits], mask, names=[name])
    except ValueError as error:  # rows too long for the build
        raise UserError(f"{name}: {error}") from error
    return UnitSoftmax(choice, fitted.frac[0], fitted.offset[0], fitted.saturated, compile)


def fit_unit_norm(choice: Choice, name: str, samples: Samples) -> UnitNorm:
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
        return UnitNorm(choice, fitted)
    lost = exact - fitted.run(unit, parameters, rows)
    return UnitNorm(choice, replace(fitted, offset=fitted.offset + lost.mean(axis=0)))
