"""What the units cost a network: test accuracy of `flow.digits` with them in its place.

Every variant of every unit runs in all layers, bit-exact: its model, or its RTL in bulk. Its
settings are calibrated on training images, so the test images decide nothing. Nothing here knows a
unit: one whose values are probabilities stands in for softmax, one with a channel table for
LayerNorm.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from flow import rtl
from flow.digits import LAYERS, NORM_INPUTS, Digits, Norm, Softmax, Vit
from models.ptf import FoldedNorm, Ptf, calibrate_mse, calibrate_output, fold
from models.quantise import choose_frac
from tb.unit import ChannelSet, Outputs, Parameters, Rows, Unit, Variant

CALIBRATION = 200  # training images, the first ones
SAMPLES = 400  # tokens of them that a LayerNorm is calibrated with


@dataclass(frozen=True, eq=False)
class Calibration:
    """Settings: fraction bits by layer; by LayerNorm its input's quantiser and its parameters."""

    fracs: tuple[int, ...]
    norms: tuple[tuple[Ptf, FoldedNorm], ...]


def calibrate(model: Vit, images: np.ndarray, octaves: int = 0) -> Calibration:
    """Return the units' settings for images like these [images, 8, 8]; octaves: `models.ptf`'s.

    A layer's F is the largest at which no logit saturates; LayerNorms have the least squared error.
    """
    seen: dict[tuple[str, int], np.ndarray] = {}
    model.forward(images, lambda name, layer, array: seen.update({(name, layer): array.copy()}))
    fracs = tuple(choose_frac(seen["attention_logits", layer]) for layer in range(LAYERS))
    norms = []
    for n, at in enumerate(NORM_INPUTS):
        samples = seen[at].reshape(-1, seen[at].shape[-1])
        samples = samples[:: -(-len(samples) // SAMPLES)]
        ptf = calibrate_mse(samples)
        ptf = replace(ptf, scale=float(_short(ptf.scale)))
        step = _short(calibrate_output(model.float_norm(samples, n), octaves))
        norms.append((ptf, fold(*model.norm_parameters(*at), ptf, step)))
    return Calibration(fracs, tuple(norms))


def _short(values: np.ndarray | float) -> np.ndarray:
    """Return about six digits: the last ones hang on the order in which a BLAS adds."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa, 6), exponent)


def is_softmax(unit: Unit) -> bool:
    """Whether the unit stands in for softmax; the others do for LayerNorm."""
    return unit.value_unit == "probability"


# (unit, parameters, rows) -> outputs: what a unit makes of rows, the model or the RTL.
Engine = Callable[[Unit, Parameters, Rows], Outputs]


def by_model(unit: Unit, parameters: Parameters, rows: Rows) -> Outputs:
    """The bit-exact model: an `Engine`."""
    return unit.predict(parameters, rows)


def by_rtl(unit: Unit, parameters: Parameters, rows: Rows) -> Outputs:
    """The RTL, in Verilator: an `Engine`. Raises what `flow.rtl.run` raises."""
    return rtl.run(unit, parameters, rows)


def stand_in(
    unit: Unit, variant: Variant, calibration: Calibration, engine: Engine = by_model
) -> dict[str, Softmax | Norm]:
    """Return the unit as `Vit.forward` takes it: softmax or norm, by that name."""
    if is_softmax(unit):
        return {"softmax": softmax_of(unit, variant, calibration, engine)}
    return {"norm": norm_of(unit, variant, calibration, engine)}


def softmax_of(
    unit: Unit, variant: Variant, calibration: Calibration, engine: Engine = by_model
) -> Softmax:
    """Return the unit in the place of `flow.minilm.float_softmax`."""
    parameters = unit.resolve(variant.parameters)

    def softmax(logits: np.ndarray, mask: np.ndarray, layer: int) -> np.ndarray:
        frac = calibration.fracs[layer]
        x, given = unit.quantise(logits.reshape(-1, logits.shape[-1]), frac)
        rows = rtl.rows_of(unit, parameters, x, settings={**given, **variant.settings})
        outputs = engine(unit, parameters, rows)
        return unit.values(parameters, rows, outputs)[0].reshape(logits.shape)

    return softmax


def norm_of(
    unit: Unit, variant: Variant, calibration: Calibration, engine: Engine = by_model
) -> Norm:
    """Return the unit in the place of `Vit.float_norm`."""
    parameters = unit.resolve(variant.parameters)
    takes = {setting.name for setting in unit.settings(parameters)}

    def norm(x: np.ndarray, n: int) -> np.ndarray:
        ptf, folded = calibration.norms[n]
        q = ptf.quantise(x).reshape(-1, x.shape[-1])
        q, given = unit.quantised(q, folded.zp, folded.channels.alpha)
        given |= {s: getattr(folded, s) for s in ("gfrac", "ofrac", "rms") if s in takes}
        channels = {column.name: getattr(folded.channels, column.name) for column in unit.channels}
        rows = rtl.rows_of(
            *(unit, parameters, q),
            settings={**given, **variant.settings},
            channels=ChannelSet(channels),
        )
        return folded.dequantise(engine(unit, parameters, rows).out).reshape(x.shape)

    return norm


def uniform_softmax(logits: np.ndarray, mask: np.ndarray, layer: int) -> np.ndarray:
    """A control: the same probability for all, whatever the logits."""
    return np.full(logits.shape, 1 / logits.shape[-1])


def one_hot_softmax(logits: np.ndarray, mask: np.ndarray, layer: int) -> np.ndarray:
    """A control: 1 for the largest logit, the first of them."""
    return np.eye(logits.shape[-1])[logits.argmax(axis=-1)]


@dataclass(frozen=True)
class Line:
    """A network on the test images: how many of `images` it gets right, and what stands in.

    kept: of how many it says what the float network says.
    """

    correct: int
    kept: int
    images: int
    softmax: str = "float"
    norm: str = "float"


def network_variants(unit: Unit) -> list[Variant]:
    """Return the unit's variants that compute what the network has: no RMSNorm."""
    return [variant for variant in unit.variants if not variant.settings.get("rms")]


def best_variant(unit: Unit, model: Vit, images: np.ndarray, calibration: Calibration) -> Variant:
    """Return the variant with the least mean squared error of the scores for these images."""
    want = model.forward(images)

    def error(variant: Variant) -> float:
        got = model.forward(images, **stand_in(unit, variant, calibration))
        return float(np.square(got - want).mean())

    return min(network_variants(unit), key=error)


def rtl_differs(unit: Unit, images: np.ndarray, test: Digits, model: Vit) -> int:
    """Return how many scores of the test images the RTL, in all layers, gives other bits.

    The unit has its defaults and is calibrated on `images`.
    """
    calibration = calibrate(model, images)
    model_s, rtl_s = (
        model.forward(test.images, **stand_in(unit, Variant({}), calibration, engine))
        for engine in (by_model, by_rtl)
    )
    return int((model_s != rtl_s).sum())


def measure(units: Iterable[Unit], images: np.ndarray, test: Digits, model: Vit) -> Iterable[Line]:
    """Yield a line for the float network, each variant of each unit, pairs of them, the controls.

    images: [images, 8, 8], not of the test, to calibrate with and to find each unit's best variant.
    Pairs are a softmax unit and a LayerNorm unit, both with their defaults or both at their best.
    """
    units = list(units)
    calibration = calibrate(model, images)
    want = model.forward(test.images).argmax(axis=1)

    def line(given: dict[str, Softmax | Norm], **names: str) -> Line:
        said = model.forward(test.images, **given).argmax(axis=1)
        correct, kept = (int((said == right).sum()) for right in (test.labels, want))
        return Line(correct=correct, kept=kept, images=len(test), **names)

    yield line({})
    for unit in units:
        for variant in network_variants(unit):
            given = stand_in(unit, variant, calibration)
            yield line(given, **dict.fromkeys(given, label(unit, variant)))
    best = {unit.name: best_variant(unit, model, images, calibration) for unit in units}
    for softmax, norm in itertools.product(
        filter(is_softmax, units), itertools.filterfalse(is_softmax, units)
    ):
        for one, two in ((Variant({}), Variant({})), (best[softmax.name], best[norm.name])):
            given = stand_in(softmax, one, calibration) | stand_in(norm, two, calibration)
            yield line(given, softmax=label(softmax, one), norm=label(norm, two))
    yield line({"softmax": uniform_softmax}, softmax="uniform")
    yield line({"softmax": one_hot_softmax}, softmax="one-hot")


def label(unit: Unit, variant: Variant) -> str:
    """Return the unit's name and what its variant sets: parameters, then settings."""
    parts = [
        f"{name}={value}" for name, value in {**variant.parameters, **variant.settings}.items()
    ]
    return " ".join([unit.name, *parts])
