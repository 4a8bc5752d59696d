# SPDX-License-Identifier: Apache-2.0
"""What the units cost a network: test accuracy of `digits` with them in its place.

Every variant of every unit runs in all layers, bit-exact (`stand_in`): its model, or its RTL
in bulk. Its settings are calibrated on training images only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from softnorm.models.ptf import calibrate_mse, calibrate_output, fold
from softnorm.models.quantise import choose_frac
from softnorm.units.unit import Unit, Variant

from . import int8
from .digits import LAYERS, NORM_INPUTS, NORM_READERS, Digits, Norm, Softmax, Vit
from .stand_in import (
    ByRtl,
    Engine,
    FittedNorm,
    UnitNorm,
    UnitSoftmax,
    by_model,
    is_softmax,
    one_hot_softmax,
    uniform_softmax,
)

CALIBRATION = 200  # training images, the first ones
SAMPLES = 400  # tokens of them that a LayerNorm is calibrated with


@dataclass(frozen=True, eq=False)
class Calibration:
    """Settings: fraction bits by layer, and every LayerNorm as a unit takes it."""

    fracs: tuple[int, ...]
    norms: tuple[FittedNorm, ...]


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
        layer = model.norm_parameters(*at)
        step = _short(calibrate_output(model.float_norm(samples, n), *layer, octaves))
        norms.append(FittedNorm(ptf, fold(*layer, ptf, step)))
    return Calibration(fracs, tuple(norms))


def _short(values: np.ndarray | float) -> np.ndarray:
    """Return about six digits: the last ones hang on the order in which a BLAS adds."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa, 6), exponent)


def stand_in(
    unit: Unit, variant: Variant, calibration: Calibration, engine: Engine = by_model
) -> dict[str, Softmax | Norm]:
    """Return the unit as `Vit.forward` takes it: softmax or norm, by that name."""
    parameters = unit.resolve(variant.parameters)
    if is_softmax(unit):
        fracs = np.array(calibration.fracs)
        return {"softmax": UnitSoftmax(unit, parameters, fracs, variant.settings, engine)}
    return {"norm": UnitNorm(unit, parameters, calibration.norms, engine)}


@dataclass(frozen=True)
class Line:
    """A network on the test images: number of correct ones of `images`, and its units.

    kept: number of images with the same prediction as the float network.
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
    """Return for how many scores of the test images the RTL in all layers differs from the models.

    The unit has its defaults and is calibrated on `images`.
    """
    calibration = calibrate(model, images)
    with ByRtl() as by_rtl:
        model_s, rtl_s = (
            model.forward(test.images, **stand_in(unit, Variant({}), calibration, engine))
            for engine in (by_model, by_rtl)
        )
    return int((model_s != rtl_s).sum())


def measure(
    units: Iterable[Unit], images: np.ndarray, test: Digits, model: Vit, in_int8: bool = False
) -> Iterable[Line]:
    """Yield a line for the float network, each variant of each unit, pairs of them, the controls.

    in_int8: the products of all but the first line are int8 (`int8`), the second line's
    alone; variants whose outputs are wider are left out.

    images: [images, 8, 8], not of the test, to calibrate with and to find each unit's best variant.
    Pairs are a softmax unit and a LayerNorm unit, both with their defaults or both at their best.
    """
    units = list(units)
    calibration = calibrate(model, images)
    want = model.forward(test.images).argmax(axis=1)
    products_of = None
    if in_int8:
        seen = int8.Recorder(int8.ROWS, seed=1)
        model.forward(images, products=seen)
        products_of = int8.Calibration(seen, NORM_READERS).products

    def line(given: dict[str, Softmax | Norm], **names: str) -> Line:
        products = products_of(**given) if products_of else None
        said = model.forward(test.images, products=products, **given).argmax(axis=1)
        correct, kept = (int((said == right).sum()) for right in (test.labels, want))
        return Line(correct=correct, kept=kept, images=len(test), **names)

    if in_int8:
        everywhere = len(test)
        yield Line(int((want == test.labels).sum()), everywhere, everywhere)
    yield line({})
    for unit in units:
        for variant in network_variants(unit):
            if in_int8 and unit.out_dtype(unit.resolve(variant.parameters)).itemsize > 1:
                continue
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
