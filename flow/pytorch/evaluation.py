# SPDX-License-Identifier: Apache-2.0
"""A network evaluated with the units in place of its softmaxes and norms."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import nn

from ..errors import UserError
from ..networks.stand_in import is_softmax
from . import attention
from .calibration import (
    Batch,
    Samples,
    check_float,
    evaluated,
    find_norms,
    find_softmaxes,
    fit_unit_norm,
    fit_unit_softmax,
    record,
)
from .modules import Choice, UnitNorm, UnitSoftmax, choose


class Evaluation:
    """Units in a model's place, until `restore`; as a context manager, until its end.

    softmaxes, norms: the units by module name. left: what stays float, and why. The model's
    modules, weights and state_dict stay as they are: hooks replace outputs. A softmax or norm that
    calibration did not see raises UserError when it is reached.
    """

    def __init__(
        self,
        model: nn.Module,
        softmaxes: Mapping[str, UnitSoftmax],
        norms: Mapping[str, UnitNorm],
    ):
        check_float(model)
        self.softmaxes, self.norms = dict(softmaxes), dict(norms)
        self._names = {module: name for name, module in model.named_modules()}
        modules = {name: module for module, name in self._names.items()}
        hooked, left = [], []
        if softmaxes:
            found, left = find_softmaxes(model)
            hooked += found
        if norms:
            found, more = find_norms(model)
            hooked, left = [*hooked, *found], [*left, *more]
        self.left = tuple(left)
        with contextlib.ExitStack() as stack:
            evaluated.update(self._names)
            stack.callback(evaluated.difference_update, list(self._names))
            for name in hooked:
                stack.callback(modules[name].register_forward_hook(self._replace).remove)
            if softmaxes:
                stack.enter_context(attention.attending(model, self._attend))
            self._stack = stack.pop_all()

    def restore(self) -> None:
        """Make the model the float one again; done already, it does nothing."""
        self._stack.close()

    def __enter__(self) -> Evaluation:
        return self

    def __exit__(self, *error: object) -> None:
        self.restore()

    def __str__(self) -> str:
        lines = []
        for what, units in (("softmaxes", self.softmaxes), ("norms", self.norms)):
            if units:
                lines.append(f"{len(units)} {what}: {next(iter(units.values())).choice}")
        shares = [unit.saturated for unit in self.softmaxes.values()]
        if shares:
            lines[0] += f"; {100 * max(shares):.2g} % of a softmax's logits saturated at most"
        return "\n".join([*lines, *(f"left float: {line}" for line in self.left)])

    def _unit(self, units: Mapping[str, nn.Module], module: nn.Module) -> nn.Module:
        name = self._names[module]
        if name not in units:
            raise UserError(f"calibration did not see {name}: give batches that go through it")
        return units[name]

    def _replace(self, module: nn.Module, inputs: Sequence, output: object) -> torch.Tensor:
        units = self.softmaxes if isinstance(module, nn.Softmax) else self.norms
        return self._unit(units, module)(inputs[0])

    def _attend(
        self, module: nn.Module, logits: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        unit = self._unit(self.softmaxes, module)
        return unit(logits, torch.ones((), dtype=torch.bool) if mask is None else mask)


def evaluate_with(
    model: nn.Module,
    calibration: Samples | Iterable[Batch],
    softmax: str | Choice | None = None,
    norm: str | Choice | None = None,
    seed: int = 1,
) -> Evaluation:
    """Put units in the place of a model's softmaxes and norms, calibrated; the model is changed.

        with evaluate_with(model, batches, softmax="<unit>", norm="<unit> LANES=16") as units:
            outputs = model(**inputs)

    calibration: example batches as `record` takes them, or what it returned for this model, which
    several choices can share. softmax, norm: units, in words as `choose` takes them, or None for
    the float functions. All attention of transformers, every nn.Softmax, LayerNorm and RMSNorm is
    replaced; `Evaluation.left` tells what was found and is not. Raises UserError for a model with
    nothing to replace or with units in its place already, ParameterError for a wrong unit, and
    what `record` raises.
    """
    softmax_unit, norm_unit = (None if one is None else choose(one) for one in (softmax, norm))
    if softmax_unit is None and norm_unit is None:
        raise UserError("name a unit to evaluate with: softmax=, norm= or both")
    if softmax_unit is not None and not is_softmax(softmax_unit.unit):
        raise UserError(f"softmax= must be a softmax, {softmax_unit.unit.name} is none")
    if norm_unit is not None and is_softmax(norm_unit.unit):
        raise UserError(f"norm= must be a LayerNorm, {norm_unit.unit.name} is none")
    check_float(model)
    samples = calibration if isinstance(calibration, Samples) else record(model, calibration, seed)
    softmaxes, norms = {}, {}
    if softmax_unit is not None:
        softmaxes = {name: fit_unit_softmax(softmax_unit, name, samples) for name in samples.logits}
        if not softmaxes:
            raise UserError(f"{type(model).__name__} has no softmax that can be replaced")
    if norm_unit is not None:
        real = find_norms(model)[0]
        norms = {
            name: fit_unit_norm(norm_unit, name, real[name], samples) for name in samples.norms
        }
        if not norms:
            raise UserError(f"{type(model).__name__} has no LayerNorm that can be replaced")
    return Evaluation(model, softmaxes, norms)
