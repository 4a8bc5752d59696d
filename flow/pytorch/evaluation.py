# SPDX-License-Identifier: Apache-2.0
"""A network evaluated with the units in place of its softmaxes and norms."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial

import torch
from torch import nn

from ..calibration.choice import Choice, choose
from ..calibration.fit import RealNorm
from ..errors import UserError
from ..networks.stand_in import is_softmax
from .calibration import (
    Batch,
    Samples,
    check_float,
    evaluated,
    fit_unit_norm,
    fit_unit_softmax,
    record,
)
from .interception import NORM, SOFTMAX, Site, Sites, live_elements, unwatched
from .modules import UnitNorm, UnitSoftmax

NOT_ASKED = "not asked for"


class _Placed(Sites):
    """Takes what units make of rows. left: sites that stay float, and why."""

    def __init__(
        self,
        model: nn.Module,
        units: Mapping[str, Mapping[str, nn.Module]],
        samples: Samples,
        left: Mapping[Site, str],
    ):
        super().__init__(model, {name: samples.real[name] for name in samples.written})
        self._units, self._left, self._real = units, left, samples.real
        self._checked: dict[str, RealNorm] = {}
        for (site, what), number in samples.ran.items():
            if site is not None and site[1] in units.get(site[0], {}):
                self.last.replaced[site[1]] += number
            else:
                self.last.left[self._words(site, what)] += number

    def takes(self, site: Site) -> bool:
        kind, name = site
        if kind not in self._units or site in self._left:
            return False
        if name not in self._units[kind]:
            raise UserError(f"calibration did not see {name}: give batches that go through it")
        return True

    def softmax(self, name: str, logits: torch.Tensor, heads: int) -> torch.Tensor:
        unit = self._units[SOFTMAX][name]
        few = unit.of_few(logits)
        if few is not None:
            return few
        with unwatched():  # what a unit does is not the model's
            return unit(logits, live_elements(logits))

    def norm(self, name: str, x: torch.Tensor, real: RealNorm) -> torch.Tensor:
        if real is not self._checked.get(name) and not self._real[name].same(real):
            raise UserError(f"{name}: its weights are not those of calibration: calibrate again")
        self._checked[name] = real
        unit = self._units[NORM][name]
        few = unit.of_few(x)
        if few is not None:
            return few
        with unwatched():
            return unit(x)

    def ran(self, site: Site | None, module: nn.Module, what: str, number: int) -> None:
        if site is not None and self.takes(site):  # a written norm, whose output is not taken
            self.last.replaced[site[1]] += number
        else:
            self.last.left[self._words(site, what)] += number

    def _words(self, site: Site | None, what: str) -> str:
        if site is None:
            return what
        why = self._left.get(site, NOT_ASKED)
        return f"{what}, {why}"


class Evaluation:
    """Units in a model's place, until `restore`; as a context manager, until its end.

    softmaxes, norms: the units by site, a module's name, mostly. The model, its modules, weights
    and state_dict stay as they are. A softmax or norm that calibration did not see raises UserError
    when it is reached.
    """

    def __init__(
        self,
        model: nn.Module,
        softmaxes: Mapping[str, UnitSoftmax],
        norms: Mapping[str, UnitNorm],
        samples: Samples,
        left: Mapping[Site, str],
    ):
        check_float(model)
        self.softmaxes, self.norms = dict(softmaxes), dict(norms)
        self._units = {SOFTMAX: self.softmaxes, NORM: self.norms}
        asked = {kind: units for kind, units in self._units.items() if units}
        self._placed = _Placed(model, asked, samples, left)
        with contextlib.ExitStack() as stack:
            evaluated.update(self._placed.names)
            stack.callback(evaluated.difference_update, list(self._placed.names))
            stack.enter_context(self._placed.watching())
            self._stack = stack.pop_all()

    @property
    def replaced(self) -> dict[str, int]:
        """Calls of units in the last pass, or the first of calibration, by site."""
        return dict(self._placed.last.replaced)

    @property
    def left(self) -> dict[str, int]:
        """Calls of softmaxes and norms that ran in float in that pass, by what they are."""
        return dict(self._placed.last.left)

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
        others = 0
        for what, calls in self.left.items():
            if what.endswith(f", {NOT_ASKED}"):
                others += calls
            else:
                lines.append(f"left float: {what}, {calls} calls")
        if others:
            lines.append(f"left float, {NOT_ASKED}: {others} calls")
        return "\n".join(lines)


def evaluate_with(
    model: nn.Module,
    calibration: Samples | Iterable[Batch],
    softmax: str | Choice | None = None,
    norm: str | Choice | None = None,
    seed: int = 1,
    keep: str | Sequence[str] = (),
    compile: bool = False,
) -> Evaluation:
    """Put units in the place of a model's softmaxes and norms, calibrated.

        with evaluate_with(model, batches, softmax="<unit>", norm="<unit> LANES=16") as units:
            outputs = model(**inputs)

    calibration: example batches as `record` takes them, or what it returned for this model, which
    several choices can share. softmax, norm: units, in words as `choose` takes them, or None for
    the float functions. keep: names of modules, or patterns of them ("*.router"), in which all
    stays float. compile: as of `UnitSoftmax`. Every softmax, attention, LayerNorm and RMSNorm is
    replaced; `Evaluation.left` tells what is not. Raises UserError for a model with nothing to
    replace or with units in its place already, ParameterError for a wrong unit, and what `record`
    raises.
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
    left = _kept(samples, [keep] if isinstance(keep, str) else keep)
    fit_softmax = partial(fit_unit_softmax, compile=compile)
    softmaxes = _fitted(SOFTMAX, softmax_unit, fit_softmax, samples.logits, samples, left)
    norms = _fitted(NORM, norm_unit, fit_unit_norm, samples.norms, samples, left)
    if not softmaxes and not norms:
        asked = "no softmax" if norm is None else "no norm" if softmax is None else "nothing"
        why = "".join(f"; {name}: {reason}" for (_, name), reason in [*left.items()][:1])
        raise UserError(f"{type(model).__name__} has {asked} that can be replaced{why}")
    return Evaluation(model, softmaxes, norms, samples, left)


def _kept(samples: Samples, patterns: Sequence[str]) -> dict[Site, str]:
    """Sites inside modules that patterns name. Raises UserError for a pattern that names none."""
    sites = [(SOFTMAX, name) for name in samples.logits] + [(NORM, name) for name in samples.norms]
    left = {}
    for pattern in patterns:
        named = [site for site in sites if _is_in(site[1].partition(", call ")[0], pattern)]
        if not named:
            raise UserError(f"keep={pattern!r} names no module with a softmax or norm")
        left |= dict.fromkeys(named, "kept")
    return left


def _is_in(name: str, pattern: str) -> bool:
    parts = name.split(".")
    return any(fnmatchcase(".".join(parts[: n + 1]), pattern) for n in range(len(parts)))


def _fitted(
    kind: str,
    choice: Choice | None,
    fit: Callable[[Choice, str, Samples], nn.Module],
    names: Iterable[str],
    samples: Samples,
    left: dict[Site, str],
) -> dict[str, nn.Module]:
    """Units by site; where none can be, `left` gets the reason."""
    units = {}
    for name in names if choice is not None else ():
        if (kind, name) in left:
            continue
        try:
            units[name] = fit(choice, name, samples)
        except UserError as error:
            left[kind, name] = str(error).removeprefix(f"{name}: ")
    return units
