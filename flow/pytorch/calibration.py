# SPDX-License-Identifier: Apache-2.0
"""Calibration of units for a PyTorch network (`flow.calibration`): its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from weakref import WeakSet

import numpy as np
import torch
from torch import nn

from ..calibration import fit
from ..calibration.choice import Choice
from ..calibration.fit import RealNorm
from ..errors import UserError
from .interception import Batch, Site, Sites, live_elements, run
from .modules import UnitNorm, UnitSoftmax, as_array

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
class Samples(fit.Samples):
    """`fit.Samples` of a PyTorch network, by site: a module's name, mostly.

    written: names of modules that are norms, written out in Python. ran: how many softmaxes and
    norms the first batch took, by site or None, and in words.
    """

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
                recorder.rows.real = _real_tokens(batch)
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
        self.rows = fit.Recorder(seed, examples)
        self.first = True  # batch
        self.counts: Counter[tuple[Site | None, str]] = Counter()

    def takes(self, site: Site) -> bool:
        return True

    def ran(self, site: Site | None, module: nn.Module, what: str, number: int) -> None:
        if self.first:
            self.counts[site, what] += number

    def norm(self, name: str, x: torch.Tensor, real: RealNorm) -> None:
        self.rows.norm(name, as_array(x), real)

    def softmax(self, name: str, logits: torch.Tensor, heads: int) -> None:
        self.rows.softmax(name, as_array(logits), as_array(live_elements(logits)) > 0, heads)

    def samples(self) -> Samples:
        return Samples(**vars(self.rows.samples()), written=tuple(self.written), ran=self.counts)


# --- fitting --------------------------------------------------------------------------------------


def fit_unit_softmax(
    choice: Choice, name: str, samples: Samples, compile: bool = False
) -> UnitSoftmax:
    """`fit.fit_unit_softmax` as a module."""
    fitted = fit.fit_unit_softmax(choice, name, samples)
    return UnitSoftmax(choice, fitted.frac[0], fitted.offset[0], fitted.saturated, compile)


def fit_unit_norm(choice: Choice, name: str, samples: Samples) -> UnitNorm:
    """`fit.fit_unit_norm` as a module."""
    return UnitNorm(choice, fit.fit_unit_norm(choice, name, samples))
