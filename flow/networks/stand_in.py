# SPDX-License-Identifier: Apache-2.0
"""Units in the place of a network's softmax and LayerNorms: real tensors in, real tensors out.

`UnitSoftmax` and `UnitNorm` are what `minilm` and `digits` take as softmax and norm. They
make integers, run rows through a unit, and convert its outputs to real values. What runs the rows
is an `Engine`: the bit-exact model, or the RTL in bulk. `fit_softmax` calibrates a softmax;
LayerNorms are left to the networks. Nothing here names a unit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import numpy as np

from softnorm.models import reference
from softnorm.models.arith import FRACS, INT8
from softnorm.models.ptf import FoldedNorm, Ptf
from softnorm.models.quantise import centre_logits
from softnorm.units.softmax import SoftmaxUnit
from softnorm.units.unit import Outputs, Parameters, Rows, Unit

from ..build.bulk import bulk_build
from ..bulk import rtl
from ..errors import UserError
from . import advice

# (unit, all of its parameters, rows) -> outputs: what a unit makes of rows.
Engine = Callable[[Unit, Parameters, Rows], Outputs]


def by_model(unit: Unit, parameters: Parameters, rows: Rows) -> Outputs:
    """The bit-exact model: an `Engine`."""
    return unit.predict(parameters, rows)


@dataclass
class Passed:
    """What went through a unit's RTL: rows, beats, clocks; seconds with packing and unpacking."""

    rows: int = 0
    beats: int = 0
    clocks: int = 0
    seconds: float = 0.0


class ByRtl:
    """The RTL of any unit, in Verilator: an `Engine`. Use as a context.

    A unit is built and started at its first rows and stays for those that follow, which find it as
    the ones before left it. `passed` counts by unit name. Raises what `flow.bulk.rtl.run` raises.
    """

    def __init__(self, instances: int = 1):
        """`instances`: of each unit, a thread each, that share its rows."""
        self.passed: dict[str, Passed] = {}
        self._instances = instances
        self._open: dict[object, rtl.Instances] = {}
        self._stack = ExitStack()

    def __enter__(self) -> ByRtl:
        return self

    def __exit__(self, *_) -> None:
        self._open.clear()
        self._stack.close()

    def start(self, unit: Unit, parameters: Parameters) -> rtl.Instances:
        """Return the simulated units that take the rows; the first time, build and start them."""
        key = (unit.name, *parameters.items())
        if key not in self._open:
            instances = rtl.Instances(bulk_build(unit, parameters), self._instances)
            self._open[key] = self._stack.enter_context(instances)
        return self._open[key]

    def __call__(self, unit: Unit, parameters: Parameters, rows: Rows) -> Outputs:
        instances = self.start(unit, parameters)
        started = time.perf_counter()
        outputs = instances.run(rows, reset=False)
        passed = self.passed.setdefault(unit.name, Passed())
        passed.rows += len(rows)
        passed.beats += outputs.beats
        passed.clocks += outputs.clocks
        passed.seconds += time.perf_counter() - started
        return outputs


# --- the units ------------------------------------------------------------------------------------


def is_softmax(unit: Unit) -> bool:
    """Whether the unit stands in for softmax; the others do for LayerNorm."""
    return isinstance(unit, SoftmaxUnit)


@dataclass(frozen=True, eq=False)
class UnitSoftmax:
    """A `minilm.Softmax`: logits to int8, through the unit, and back.

    parameters: all of them (`Unit.resolve`). frac: F, integers [layers] or [layers, heads]; None
    with step, real [layers, heads]: what a whole number is worth that goes in as it is, in a build
    of any scale. settings: the others. engine: what runs the rows. offset: what a head's logits are
    less, real [layers, heads], None for 0: the constant of a requantiser, by which no softmax
    changes. gain: what a head's outputs are multiplied by, [layers, heads], None for 1. It is no
    hardware: a network has it in the weights behind, in the rows that take the head's values.
    saturated: share of the logits of calibration at an end of int8, NaN without calibration.
    """

    unit: SoftmaxUnit
    parameters: Parameters
    frac: np.ndarray | None
    settings: Mapping[str, int] = field(default_factory=dict)
    engine: Engine = by_model
    offset: np.ndarray | None = None
    gain: np.ndarray | None = None
    saturated: float = float("nan")
    step: np.ndarray | None = None

    def quantise(
        self, logits: np.ndarray, mask: np.ndarray, layer: int
    ) -> tuple[np.ndarray, dict[str, int | np.ndarray]]:
        """Return the logits as the unit takes them, and the settings that go with it.

        Arguments as of the call. What is masked may be anything; it becomes a 0.
        """
        if self.offset is not None:
            logits = logits - np.reshape(self.offset[layer], (-1, 1, 1)).astype(logits.dtype)
        if not mask.all():
            logits = np.where(mask, logits, 0)
        if self.step is not None:
            step = np.reshape(self.step[layer], (-1, 1, 1))
            return self.unit.scores(self.parameters, logits, step)
        return self.unit.quantise(logits, np.reshape(self.frac[layer], (-1, 1, 1)))

    def __call__(self, logits: np.ndarray, mask: np.ndarray, layer: int) -> np.ndarray:
        batch, heads, queries, keys = logits.shape
        live = None
        if not mask.all():
            live = np.ascontiguousarray(np.broadcast_to(mask, logits.shape)).reshape(-1, keys)
        x, given = self.quantise(logits, mask, layer)
        of_rows = {
            name: np.broadcast_to(value, (batch, heads, queries, 1)).ravel()
            for name, value in given.items()
        }
        rows = rtl.rows_of(
            *(self.unit, self.parameters, x.reshape(-1, keys), live),
            settings={**self.settings, **of_rows},
        )
        outputs = self.engine(self.unit, self.parameters, rows)
        real = self.unit.to_real(self.parameters, outputs, settings=rows.settings)
        real = real.reshape(logits.shape)
        if self.gain is not None:
            real = real * self.gain[layer][:, None, None]
        return real.astype(logits.dtype)


def fit_softmax(
    unit: SoftmaxUnit,
    parameters: Parameters,
    settings: Mapping[str, int],
    logits: Sequence[np.ndarray],
    mask: np.ndarray,
    by: str = "head",
    gain: bool = False,
    names: Sequence[str] = (),
) -> UnitSoftmax:
    """Return the unit with the F of the least squared error of its probabilities.

    parameters: over the defaults. logits: by layer, real [heads, rows, keys], with mask [rows,
    keys] or as logits. by: "layer" for one F a layer, "head" for one a head; F is a setting of the
    row. Large logits that saturate here and there may be worth the finer steps of all others, or
    not. Each head's logits are less a constant (`models.quantise.centre_logits`). gain: whether
    each head has one, with which its rows sum to 1 on average. names: of the layers, for warnings.

    Warns (`advice.CalibrationWarning`) if a head's rows sum to far from 1, or do not fit int8.
    Raises UserError for a build of any scale, which has no F.
    """
    parameters = unit.resolve(parameters)
    if any(setting.name == "mult" for setting in unit.settings(parameters)):
        build = " ".join([unit.name, *_words(unit, parameters, settings)])
        raise UserError(
            f"{build} has no F to calibrate: its scale is that of the scores; leave SCALE out for "
            "logits of floating point"
        )
    layers, heads = len(logits), len(logits[0])
    masks = np.broadcast_to(mask, logits[0].shape).transpose(1, 0, 2)[:, :, None]
    counted = masks.sum(axis=3)[:, :, 0]  # [rows, heads]
    rows = [one.transpose(1, 0, 2)[:, :, None].astype(np.float64) for one in logits]
    offset = np.zeros((layers, heads))
    fitted = UnitSoftmax(
        unit, parameters, np.zeros((layers, heads), np.int64), settings, offset=offset
    )
    build = " ".join([unit.name, *_words(unit, parameters, settings)])
    everywhere, ends = np.arange(heads), 0
    sums = np.empty((layers, heads))
    for layer, x in enumerate(rows):
        exact = reference.softmax(x, masks)
        seen = [x[:, head][masks[:, head]] for head in range(heads)]
        # Constants by F: the largest logit at the top, or, where that cuts more, all centred.
        centres = np.array([[[centre_logits(one, f) for one in seen]] * 2 for f in FRACS])
        centres[:, 1] = centres[0, 0]
        errors = np.full(centres.shape, np.inf)
        for frac, way in np.ndindex(errors.shape[:2]):
            if way and np.abs(np.diff(centres[frac], axis=0)).max() <= 1:
                continue  # the same but for rounding
            fitted.frac[layer], offset[layer] = frac, centres[frac, way]
            errors[frac, way] = np.square(fitted(x, masks, layer) - exact).sum(axis=(0, 2, 3))
        least = errors.min(axis=1)
        best = least.sum(axis=1).argmin() if by == "layer" else least.argmin(axis=0)
        fitted.frac[layer] = best
        ways = errors.argmin(axis=1)[best, everywhere]
        offset[layer] = centres[best, ways, everywhere]
        got = fitted(x, masks, layer)
        sums[layer] = got.sum(axis=(0, 2, 3)) / len(x)
        q = fitted.quantise(x, masks, layer)[0]
        ends += int((masks & ((q == INT8[0]) | (q == INT8[1]))).sum())
        share = ends / (max(counted.sum(), 1) * (layer + 1))
        low = ~(masks & (q > INT8[0])).any(axis=(2, 3)) & (counted > 1)
        lost = np.where(got == 0, exact, 0).sum(axis=(0, 2, 3)) / len(x)
        where = names[layer] if names else f"layer {layer}"
        advice.check_logits(build, where, low, share)
        held = np.minimum(sums[layer], 1) if gain else sums[layer]  # a gain takes what is too much
        advice.check_sums(build, where, held, lost, float(counted.mean()))
    return replace(fitted, saturated=share, gain=1 / sums if gain else None)


def _words(unit: Unit, parameters: Parameters, settings: Mapping[str, int]) -> list[str]:
    """What of a build is not the unit's default: NAME=VALUE."""
    others = unit.others(parameters)
    return [f"{name}={value}" for name, value in {**others, **settings}.items()]


@dataclass(frozen=True, eq=False)
class FittedNorm:
    """A LayerNorm as a unit takes it; an output's real value is out * folded.step + offset.

    offset: float64 [channels] or 0. The biases behind have it folded in, as the weights have the
    step. centre: what inputs are less before they are quantised, by which no LayerNorm changes: the
    bias before has it in.
    """

    ptf: Ptf
    folded: FoldedNorm
    offset: np.ndarray | float = 0.0
    centre: float = 0.0

    def run(
        self, unit: Unit, parameters: Parameters, x: np.ndarray, engine: Engine = by_model
    ) -> np.ndarray:
        """Return what the unit, with all of its parameters, makes of real x [rows, channels].

        float64.
        """
        folded = self.folded
        q, settings = unit.quantise(x - self.centre, self.ptf, folded)
        rows = rtl.rows_of(unit, parameters, q, settings=settings, channels=folded.channels)
        outputs = engine(unit, parameters, rows)
        return unit.to_real(parameters, outputs, folded.step) + self.offset


@dataclass(frozen=True, eq=False)
class UnitNorm:
    """A `minilm.Norm` of a unit, for all LayerNorms; parameters and engine as above."""

    unit: Unit
    parameters: Parameters
    norms: Sequence[FittedNorm]
    engine: Engine = by_model

    def __call__(self, x: np.ndarray, n: int) -> np.ndarray:
        rows = x.reshape(-1, x.shape[-1])
        real = self.norms[n].run(self.unit, self.parameters, rows, self.engine)
        return real.reshape(x.shape).astype(x.dtype)


# --- the controls ---------------------------------------------------------------------------------


def uniform_softmax(logits: np.ndarray, mask: np.ndarray, layer: int) -> np.ndarray:
    """A control: the same probability for all that count, whatever the logits."""
    live = np.broadcast_to(mask, logits.shape)
    return (live / live.sum(axis=-1, keepdims=True)).astype(logits.dtype)


def one_hot_softmax(logits: np.ndarray, mask: np.ndarray, layer: int) -> np.ndarray:
    """A control: 1 for the largest logit that counts, the first of them."""
    largest = np.where(mask, logits, -np.inf).argmax(axis=-1)
    return np.eye(logits.shape[-1], dtype=logits.dtype)[largest]
