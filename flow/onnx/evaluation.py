# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph evaluated with units in place of its softmaxes and norms.

A pass in floating point is what calibration sees. Then each batch runs in floating point again,
with the units, and with exact 8-bit units, which say what any 8-bit hardware loses.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np
from onnx import ModelProto

from softnorm.models import reference

from ..calibration import fit
from ..calibration.choice import Choice, choose
from ..calibration.fit import MASKED, Recorder, Samples
from ..errors import UserError
from ..networks import advice
from ..networks.stand_in import FittedNorm, UnitSoftmax, is_softmax
from . import registers, runtimes
from .data import Batches, real_rows
from .network import Network, Values
from .parts import Part, Refused
from .sites import NORM, SOFTMAX, Left, Site, find

EXACT = {SOFTMAX: "exact_softmax", NORM: "exact_layernorm"}
NOT_ASKED = "not asked for"
# How far a site, taken apart and in floating point, may be from what the runtime makes of it, of
# its largest output: by the output's type.
NEAR = {"float64": 1e-4, "float32": 1e-3}
NEAR_HALF = 3e-2
Say = Callable[[str], None]


def live_elements(rows: np.ndarray) -> np.ndarray:
    """Return which logits [..., keys] count, bool: the masked ones are far below their row's top.

    In a row of which nothing is above half the type's least number, nothing counts.
    """
    top = rows.max(axis=-1, keepdims=True)
    return rows > np.maximum(top - MASKED, np.finfo(np.float32).min / 2)


# --- figures --------------------------------------------------------------------------------------


@dataclass
class Error:
    """The root of the mean square of differences, over that of what they are differences to."""

    lost: float = 0.0
    whole: float = 0.0

    def add(self, got: np.ndarray, want: np.ndarray) -> None:
        """Count arrays of one shape."""
        self.lost += float(np.square(np.subtract(got, want, dtype=np.float64)).sum())
        self.whole += float(np.square(want, dtype=np.float64).sum())

    @property
    def value(self) -> float:
        """NaN if there was nothing."""
        return (self.lost / self.whole) ** 0.5 if self.whole else float("nan")


@dataclass
class NodeResult:
    """What one site gave: rows, their shortest and longest, and errors of all of its outputs.

    error: against float. exact: of the exact 8-bit unit, against float. against_exact: against the
    exact 8-bit unit. All three of the same inputs, those of the pass with units. total: of all of a
    softmax's outputs. runtimes: errors of int8 softmaxes against float, and the unit's, on
    calibration's rows.
    """

    site: Site
    choice: Choice
    registers: dict[str, object]
    saturated: float = float("nan")
    rows: int = 0
    shortest: int = 0
    longest: int = 0
    error: Error = field(default_factory=Error)
    exact: Error = field(default_factory=Error)
    against_exact: Error = field(default_factory=Error)
    total: float = 0.0
    runtimes: dict[str, float] = field(default_factory=dict)

    def add_lengths(self, lengths: np.ndarray) -> None:
        """Count rows by their numbers of elements."""
        if lengths.size:
            least, most = int(lengths.min()), int(lengths.max())
            self.shortest = min(self.shortest, least) if self.rows else least
            self.longest = max(self.longest, most)
            self.rows += lengths.size


@dataclass
class OutputResult:
    """An output of the network against the float one.

    agrees: of real values, argmaxes along the last axis; of others, values; of so many rows.
    """

    name: str
    error: Error = field(default_factory=Error)
    cosine: float = 0.0
    agrees: int = 0
    rows: int = 0

    def add(self, got: np.ndarray, want: np.ndarray) -> None:
        """Count arrays [..., width] of real values, or arrays of others."""
        if not np.issubdtype(want.dtype, np.floating):
            self.agrees += int((got == want).sum())
            self.rows += want.size
            return
        got, want = (x.reshape(-1, x.shape[-1]).astype(np.float64) for x in (got, want))
        self.error.add(got, want)
        norms = np.linalg.norm(got, axis=1) * np.linalg.norm(want, axis=1)
        dots = (got * want).sum(axis=1)
        self.cosine += float(np.divide(dots, norms, out=np.ones_like(dots), where=norms > 0).sum())
        self.agrees += int((got.argmax(axis=1) == want.argmax(axis=1)).sum())
        self.rows += len(got)


@dataclass
class Result:
    """What an evaluation found. reference: why pieces did not run in onnxruntime, if any.

    run: a batch's inputs -> the outputs of the network with units, both by name.
    """

    nodes: list[NodeResult]
    left: list[Left]
    outputs: list[OutputResult]
    exact_outputs: list[OutputResult]
    examples: int
    warnings: list[str]
    reference: list[str]
    run: Callable[[Mapping[str, np.ndarray]], Values]


# --- the passes -----------------------------------------------------------------------------------


@dataclass(eq=False)
class _Float:
    """The float pass: what it draws, and which sites are not what they are taken for."""

    network: Network
    recorder: Recorder
    refused: dict[str, str] = field(default_factory=dict)
    heads: dict[str, int] = field(default_factory=dict)
    dtypes: dict[str, list[np.dtype]] = field(default_factory=dict)

    def __call__(self, site: Site, given: list[np.ndarray | None]) -> list[np.ndarray]:
        out = self.network.as_it_is(site, given)
        self.dtypes[site.name] = [x.dtype for x in out]
        if site.name in self.refused:
            return out
        try:
            part = site.split(given)
            self._check(site, part, out)
        except Refused as error:
            self.refused[site.name] = str(error)
            return out
        if part.norm is not None:
            self.recorder.norm(site.name, part.rows, part.norm)
        else:
            heads = self.heads.setdefault(site.name, part.heads)
            if heads != part.heads:
                self.refused[site.name] = f"it has {heads} heads, then {part.heads}"
            else:
                live = live_elements(part.rows)
                self.recorder.softmax(site.name, part.rows, live, heads)
        return out

    def _check(self, site: Site, part: Part, out: Sequence[np.ndarray]) -> None:
        """Raise Refused if the site in floating point is not what the runtime makes of it."""
        if part.norm is not None:
            width = part.rows.shape[-1]
            rows = part.norm(part.rows.reshape(-1, width)).reshape(part.rows.shape)
        else:
            rows = reference.softmax(part.rows, ~np.isneginf(part.rows))
        mine = part.finish(rows.astype(part.rows.dtype))
        for got, want in zip(mine, out, strict=True):
            if got.shape != want.shape:
                raise Refused(f"taken apart it gives {got.shape}, the runtime {want.shape}")
            want = want.astype(np.float64)
            finite = np.isfinite(want)
            if not finite.any():
                continue
            off = np.abs(got.astype(np.float64) - want)[finite].max()
            near = NEAR.get(str(out[0].dtype), NEAR_HALF)
            if not off <= near * max(np.abs(want[finite]).max(), 1e-6):
                raise Refused(f"taken apart it differs from what the runtime gives by {off:.2g}")


@dataclass(eq=False)
class Fitted:
    """A calibrated unit at a site."""

    choice: Choice
    softmax: UnitSoftmax | None = None
    norm: FittedNorm | None = None

    def __call__(self, part: Part) -> np.ndarray:
        """Return what the unit makes of a part's rows, of their shape and type."""
        rows = part.rows
        if self.norm is not None:
            flat = rows.reshape(-1, rows.shape[-1])
            real = self.norm.run(self.choice.unit, self.choice.parameters, flat)
            return real.reshape(rows.shape).astype(rows.dtype)
        queries = rows.shape[-2] if part.heads > 1 else 1
        grid = (-1, part.heads, queries, rows.shape[-1])
        live = live_elements(rows).reshape(grid)
        return self.softmax(rows.reshape(grid), live, 0).reshape(rows.shape)

    @property
    def saturated(self) -> float:
        """Share of a softmax's logits at an end of what they are quantised to; NaN of a norm."""
        return float("nan") if self.softmax is None else self.softmax.saturated

    def registers(self) -> dict[str, object]:
        """Its settings as plain data."""
        if self.norm is not None:
            return registers.of_norm(self.choice, self.norm)
        return registers.of_softmax(self.softmax)


@dataclass(eq=False)
class _Placed:
    """A pass with units, and what each site's outputs differ by."""

    units: Mapping[str, Fitted]
    exact: Mapping[str, Fitted]
    dtypes: Mapping[str, Sequence[np.dtype]]
    results: Mapping[str, NodeResult]
    real: np.ndarray | None = None

    def __call__(self, site: Site, given: list[np.ndarray | None]) -> list[np.ndarray]:
        try:
            part = site.split(given)
        except Refused as error:  # calibration's data had none of it
            raise UserError(f"{site.name}: {error}; keep it float") from error
        rows = _computed(site, self.units[site.name], part)
        if site.name in self.results:
            self._count(self.results[site.name], part, rows)
        out = part.finish(rows)
        return [x.astype(kind) for x, kind in zip(out, self.dtypes[site.name], strict=True)]

    def _count(self, result: NodeResult, part: Part, rows: np.ndarray) -> None:
        some = _counted(part, self.real)
        if part.norm is not None:
            float_rows = part.norm(part.rows[some])
            result.add_lengths(np.full(len(float_rows), part.rows.shape[-1]))
        else:
            live = live_elements(part.rows)
            some &= live.any(axis=-1)
            float_rows = reference.softmax(part.rows[some], live[some])
            result.add_lengths(live[some].sum(axis=-1))
            result.total += float(rows[some].sum(dtype=np.float64))
        result.error.add(rows[some], float_rows)
        exact = self.exact.get(result.site.name)
        if exact is not None:
            other = _computed(result.site, exact, part)[some]
            result.exact.add(other, float_rows)
            result.against_exact.add(rows[some], other)


def _computed(site: Site, unit: Fitted, part: Part) -> np.ndarray:
    try:
        return unit(part)
    except ValueError as error:
        raise UserError(f"{site.name}: {error}") from error


def _counted(part: Part, real: np.ndarray | None) -> np.ndarray:
    """Which rows are of no padding, bool of rows' shape less the last axis."""
    shape = part.rows.shape[:-1]
    if real is None or len(shape) < 2 or shape[0] != real.shape[0] or shape[-1] != real.shape[1]:
        return np.ones(shape, bool)
    middle = (1,) * (len(shape) - 2)
    return np.array(np.broadcast_to(real.reshape(real.shape[0], *middle, -1), shape))


# --- all of it ------------------------------------------------------------------------------------


def evaluate(
    model: ModelProto,
    data: Batches,
    softmax: str | Choice | None = None,
    norm: str | Choice | None = None,
    *,
    calibration: Batches | None = None,
    keep: Sequence[str] = (),
    seed: int = 1,
    say: Say = lambda _: None,
) -> Result:
    """Return what a model's nodes and outputs become with units in place of softmaxes and norms.

    data: batches for its inputs. softmax, norm: units in words as `choice.choose` takes them, None
    for the float functions. calibration: other batches to calibrate on. keep: names of nodes, or
    patterns of them, that stay float. say: called with what is done next. Raises UserError for a
    model with nothing to replace, or that does not run, ParameterError for a wrong unit.
    """
    choices = _choices(softmax, norm)
    sites, left = find(model)
    sites, more = _asked(sites, choices, keep)
    left += more
    if not sites:
        raise _nothing(left)
    if softmax is not None:
        for line in runtimes.missing():
            say(line)
    network = Network(model, sites)
    seen = data if calibration is None else calibration
    run = _Float(network, Recorder(seed, seen.examples))
    for at, feed in enumerate(seen):
        say(f"calibration, batch {at + 1} of {len(seen)}")
        run.recorder.real = real_rows(feed)
        network.run(dict(feed), run)
    samples = run.recorder.samples()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", advice.CalibrationWarning)
        fitted, why = _fit(network, sites, choices, samples, run.refused, say)
    left += [Left(site.name, site.op, why[site.name]) for site in sites if site.name in why]
    if not fitted:
        raise _nothing(left)
    exact = _fit_exact(network, sites, fitted, samples)
    kept = [site for site in sites if site.name in fitted]
    network = Network(model, kept)
    results = {}
    for site in kept:
        unit = fitted[site.name]
        results[site.name] = NodeResult(site, unit.choice, unit.registers(), unit.saturated)
    others = {name: exact.get(name, unit) for name, unit in fitted.items()}
    placed = _Placed(fitted, exact, run.dtypes, results)
    controls = _Placed(others, {}, run.dtypes, {})
    found: dict[str, OutputResult] = {}
    exact_found: dict[str, OutputResult] = {}
    for at, feed in enumerate(data):
        say(f"evaluation, batch {at + 1} of {len(data)}")
        want, real = network.run(dict(feed), network.as_it_is), real_rows(feed)
        placed.real = real
        _compare(found, network.run(dict(feed), placed), want, real)
        _compare(exact_found, network.run(dict(feed), controls), want, real)
    for site in kept:
        if site.kind == SOFTMAX:
            say(f"int8 softmaxes of runtimes, {site.name}")
            pair = {"unit": fitted[site.name], "exact 8 bit": exact[site.name]}
            results[site.name].runtimes = _of_runtimes(*samples.logits[site.name], pair)
    texts = list(dict.fromkeys(str(one.message) for one in caught))
    texts += _level(samples, kept) + _short(results.values())
    reasons = sorted(network.by_reference | run.network.by_reference)
    again = _Placed(fitted, {}, run.dtypes, {})
    return Result(
        *([*results.values()], left, [*found.values()], [*exact_found.values()]),
        *(data.examples, texts, reasons),
        lambda feed: network.run(dict(feed), again),
    )


def _choices(softmax: str | Choice | None, norm: str | Choice | None) -> dict[str, Choice]:
    chosen = {SOFTMAX: softmax, NORM: norm}
    choices = {kind: choose(words) for kind, words in chosen.items() if words is not None}
    if not choices:
        raise UserError("name a unit to evaluate with: --softmax, --norm or both")
    for kind, choice in choices.items():
        if is_softmax(choice.unit) != (kind == SOFTMAX):
            wanted = "a softmax" if kind == SOFTMAX else "a LayerNorm"
            raise UserError(f"--{kind} must be {wanted}, {choice.unit.name} is none")
    return choices


def _asked(
    sites: Sequence[Site], choices: Mapping[str, Choice], keep: Sequence[str]
) -> tuple[list[Site], list[Left]]:
    for pattern in keep:
        if not any(fnmatchcase(site.name, pattern) for site in sites):
            raise UserError(f"--keep {pattern!r} names no softmax or norm of the model")
    taken, left = [], []
    for site in sites:
        if any(fnmatchcase(site.name, pattern) for pattern in keep):
            left.append(Left(site.name, site.op, "kept"))
        elif site.kind not in choices:
            left.append(Left(site.name, site.op, NOT_ASKED))
        else:
            taken.append(site)
    return taken, left


def _nothing(left: Sequence[Left]) -> UserError:
    if not left:
        return UserError(
            "the model has no softmax, norm or attention that is known: is it the right file? A "
            "network that writes them out in other operators has to be exported with opset 17 or "
            "newer, which has LayerNormalization, and with Softmax"
        )
    reasons = "; ".join(f"{one.name} ({one.op}): {one.why}" for one in left[:8])
    more = f"; and {len(left) - 8} more" if len(left) > 8 else ""
    return UserError(f"nothing in the model can be replaced: {reasons}{more}")


def _fit(
    network: Network,
    sites: Sequence[Site],
    choices: Mapping[str, Choice],
    samples: Samples,
    refused: Mapping[str, str],
    say: Say,
) -> tuple[dict[str, Fitted], dict[str, str]]:
    """Units by site, and for those that stay float the reason."""
    fitted, why = {}, dict(refused)
    for site in sites:
        if site.name in refused:
            continue
        say(f"calibrating {site.name}")
        try:
            fitted[site.name] = _fit_site(network, site, choices[site.kind], samples)
        except UserError as error:
            why[site.name] = str(error).removeprefix(f"{site.name}: ")
    return fitted, why


def _fit_site(network: Network, site: Site, choice: Choice, samples: Samples) -> Fitted:
    if site.kind == NORM:
        return Fitted(choice, norm=fit.fit_unit_norm(choice, site.name, samples))
    if fit.has_scale(choice):
        scale = network.scale(site)
        return Fitted(choice, fit.fit_scaled_softmax(choice, site.name, samples, scale))
    return Fitted(choice, fit.fit_unit_softmax(choice, site.name, samples))


def _level(samples: Samples, sites: Sequence[Site]) -> list[str]:
    """Warnings of softmaxes whose rows are level in the float network itself."""
    texts = []
    for site in sites:
        if site.kind == SOFTMAX:
            logits, mask = samples.logits[site.name]
            low, high = (np.where(mask, logits, end) for end in (np.inf, -np.inf))
            if (low.min(axis=-1) == high.max(axis=-1)).all() and (mask.sum(axis=-1) > 1).any():
                texts.append(
                    f"{site.name}: all logits of each row are equal in the model itself, so that "
                    "nothing is lost here; a QuantizeLinear in front may have the scale of a mask"
                )
    return texts


def _short(results: Iterable[NodeResult]) -> list[str]:
    """Warnings of softmaxes whose rows do not sum to about 1: calibration may have seen others."""
    texts = []
    for one in results:
        if one.site.kind == SOFTMAX and one.rows:
            mean = one.total / one.rows
            if abs(mean - 1) > advice.SUM:
                texts.append(
                    f"{one.site.name}: rows of up to {one.longest} keys sum to {mean:.2f}, not 1; "
                    f"{advice.RECOMMENDED} keeps the sum of rows of any length"
                )
    return texts


def _fit_exact(
    network: Network, sites: Sequence[Site], fitted: Mapping[str, Fitted], samples: Samples
) -> dict[str, Fitted]:
    """The exact 8-bit units, for rows as long as the others take; without their warnings."""
    exact = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", advice.CalibrationWarning)
        for site in sites:
            if site.name not in fitted:
                continue
            longest = fitted[site.name].choice.parameters["MAX_LEN"]
            choice = choose(f"{EXACT[site.kind]} MAX_LEN={longest}")
            exact[site.name] = _fit_site(network, site, choice, samples)
    return exact


def _compare(
    found: dict[str, OutputResult], got: Values, want: Values, real: np.ndarray | None
) -> None:
    """Count a batch's outputs."""
    for name, value in want.items():
        if isinstance(value, np.ndarray) and value.ndim and value.size:
            some = _real_part(value, real)
            found.setdefault(name, OutputResult(name)).add(got[name][some], value[some])


def _real_part(value: np.ndarray, real: np.ndarray | None) -> np.ndarray | tuple:
    """An index of what of an output [batch, token, ..] is of no padding."""
    return real if real is not None and value.shape[:2] == real.shape else ...


def _of_runtimes(
    logits: np.ndarray, mask: np.ndarray, units: Mapping[str, Fitted]
) -> dict[str, float]:
    """Errors on calibration's rows [heads, rows, keys], of units by name and of runtimes."""
    want = reference.softmax(logits, mask)
    found = {}
    for name, unit in units.items():
        by_row = (x.swapaxes(0, 1)[:, :, None] for x in (logits, mask))
        error = Error()
        error.add(unit.softmax(*by_row, 0)[:, :, 0].swapaxes(0, 1), want)
        found[name] = error.value
    flat = (-1, logits.shape[-1])
    for name, got in runtimes.softmaxes(logits.reshape(flat), mask.reshape(flat)).items():
        error = Error()
        error.add(got, want.reshape(flat))
        found[name] = error.value
    return found
