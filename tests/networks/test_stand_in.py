# SPDX-License-Identifier: Apache-2.0
"""Units in a network: inputs and outputs row by row, with the model and with the RTL."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from softnorm.flow.calibration.choice import choose
from softnorm.flow.errors import UserError
from softnorm.flow.networks import advice, minilm, stand_in
from softnorm.flow.networks.stand_in import ByRtl, FittedNorm, UnitNorm, UnitSoftmax, fit_softmax
from softnorm.models.ptf import calibrate_min_max, fold
from softnorm.units import UNITS
from softnorm.units.unit import Outputs

SOFTMAXES = [unit for unit in UNITS.values() if stand_in.is_softmax(unit)]
each_softmax = pytest.mark.parametrize("unit", SOFTMAXES, ids=lambda unit: unit.name)
NORM = UNITS["ailayernorm"]
SMALL = {"LANES": 8, "MAX_LEN": 64}


def test_which_units_are_softmaxes():
    names = ["e2softmax", "rexp", "lut2d", "softermax", "exact_softmax"]
    assert [unit.name for unit in SOFTMAXES] == names


@pytest.fixture
def logits():
    """Logits [2, 12, 5, 5] of two sentences, and the mask of the second, which is shorter."""
    array = np.random.default_rng(1).normal(size=(2, 12, 5, 5)).astype(np.float32)
    mask = np.array([[True] * 5, [True, True, True, False, False]])[:, None, None, :]
    array[1, ..., 3:] = 1e6  # masked: may be anything
    return array, mask


@each_softmax
@pytest.mark.parametrize("by", ["layer", "head"])
def test_a_softmax_is_the_unit_row_by_row(unit, by, logits):
    array, mask = logits
    frac = np.arange(6) if by == "layer" else np.arange(12) % 3 + np.arange(6)[:, None]
    settings = {s.name: s.values[-1] for s in unit.settings(unit.defaults) if s.name != "frac"}
    got = UnitSoftmax(unit, unit.defaults, frac, settings)(array, mask, 4)
    assert got.dtype == np.float32
    assert got.shape == array.shape
    assert not got[1, ..., 3:].any()
    model = unit.model()
    for head in range(12):
        f = int(frac[4] if by == "layer" else frac[4, head])
        x, given = unit.quantise(array[1, head, 2:3, :3], f)
        want = model(x, **given, **settings).to_real()[0].astype(np.float32)
        np.testing.assert_array_equal(got[1, head, 2, :3], want)
    assert np.corrcoef(got.ravel(), minilm.softmax(array, mask).ravel())[0, 1] > 0.8


def test_gains_are_of_their_layers_and_heads(logits):
    array, mask = logits
    frac, gain = np.full(6, 4), np.random.default_rng(1).uniform(0.5, 2, (6, 12))
    unit = UNITS["rexp"]
    without = UnitSoftmax(unit, unit.defaults, frac)
    got = UnitSoftmax(unit, unit.defaults, frac, gain=gain)(array, mask, 4)
    for head in range(12):
        want = without(array, mask, 4)[:, head] * gain[4, head]
        np.testing.assert_allclose(got[:, head], want, rtol=1e-6)


@each_softmax
def test_logits_far_from_zero_are_fitted_as_those_around_it(unit):
    """A bias of a head of 150 and one of -70: nothing saturates, F and outputs are the same."""
    rng = np.random.default_rng(1)
    logits, mask = 3 * rng.normal(size=(2, 40, 16)), np.ones((40, 16), bool)
    settings = {s.name: s.values[-1] for s in unit.settings(unit.defaults) if s.name != "frac"}
    bias = np.array([150.0, -70.0])
    got, offsets = [], []
    for added in (0 * bias, bias):
        rows = logits + added[:, None, None]
        fitted = fit_softmax(unit, {}, settings, [rows], mask)
        offsets.append(fitted.offset[0])
        by_head = rows.transpose(1, 0, 2)[:, :, None]
        got.append(fitted(by_head, np.ones(1, bool), 0))
        q = fitted.quantise(by_head, np.ones(1, bool), 0)[0]
        assert (q == 127).sum() <= 2  # a head's largest; what is far below may be cut
        assert fitted.saturated == np.isin(q, (-128, 127)).mean() < 0.1
    np.testing.assert_array_equal(*got)
    np.testing.assert_allclose(offsets[1] - offsets[0], bias)
    # As it was without a constant: all but level, or one of many.
    unfitted = UnitSoftmax(unit, unit.defaults, np.array([4]), settings)
    far = unfitted(by_head, np.ones(1, bool), 0)
    assert np.abs(far - got[0]).max() > 0.3


def test_rows_that_int8_does_not_hold_together_are_said():
    """Half of a head's rows are 600 below the others."""
    logits = np.random.default_rng(1).normal(size=(1, 40, 8))
    logits[0, ::2] -= 600
    with pytest.warns(advice.CalibrationWarning, match="layer 0, head 0: .* 50 % of the rows have"):
        fit_softmax(UNITS["exact_softmax"], {}, {}, [logits], np.ones((40, 8), bool))


def test_a_build_of_any_scale_has_no_f_to_calibrate():
    with pytest.raises(UserError, match="e2softmax SCALE=1 has no F to calibrate: its scale is"):
        fit_softmax(UNITS["e2softmax"], {"SCALE": 1}, {}, [np.zeros((1, 4, 4))], np.ones((4, 4)))


LONG = {
    "e2softmax fmt=0": True,
    "e2softmax fmt=1": False,
    "e2softmax DIV_BITS=3 EXP_FRAC=1 fmt=0": True,
    advice.RECOMMENDED: False,
    "rexp": True,
    "softermax": True,
    "exact_softmax": True,
}


@pytest.mark.parametrize(("words", "loses"), LONG.items(), ids=LONG)
def test_a_build_that_loses_long_rows_is_said_and_what_to_take(words, loses):
    """Of 1024 keys, normal: what a linear 8-bit output leaves of them is about a half."""
    name, *given = words.split()
    given = {key: int(value) for key, _, value in (word.partition("=") for word in given)}
    settings = {"fmt": given.pop("fmt")} if "fmt" in given else {}
    logits = np.random.default_rng(1).normal(size=(2, 8, 1024))
    said = f"^layer 0, head [01]: with {words} the rows, of 1024 keys .* take {advice.RECOMMENDED}"
    lost = pytest.warns(advice.CalibrationWarning, match=said)
    with lost if loses else contextlib.nullcontext():
        fit_softmax(UNITS[name], given, settings, [logits], np.ones((8, 1024), bool))


@each_softmax
def test_fitted_gains_make_rows_sum_to_one(unit):
    """On average, head by head, whatever their logits; F is what it is without."""
    rng = np.random.default_rng(1)
    rows = [rng.normal(size=(3, 60, 9)) * np.array([1, 2, 4])[:, None, None] for _ in range(2)]
    mask = np.arange(9) < rng.integers(2, 10, (60, 1))
    settings = {s.name: s.values[-1] for s in unit.settings(unit.defaults) if s.name != "frac"}
    plain, fitted = (
        fit_softmax(unit, {}, settings, rows, mask, gain=gain) for gain in (False, True)
    )
    assert plain.gain is None
    np.testing.assert_array_equal(fitted.frac, plain.frac)
    for layer, x in enumerate(rows):
        x, masks = x.transpose(1, 0, 2)[:, :, None], mask[:, None, None]
        sums = fitted(x, masks, layer).sum(axis=-1).mean(axis=(0, 2))
        np.testing.assert_allclose(sums, 1, atol=1e-12)
        if unit.name == "rexp":
            assert np.ptp(fitted.gain[layer]) > 0.01


@pytest.fixture
def fitted():
    """Two LayerNorms of 24 channels, with offsets, and inputs [3, 7, 24]."""
    rng = np.random.default_rng(1)
    norms = []
    for scale in (1, 5):
        ptf = calibrate_min_max(rng.normal(size=(50, 24)) * scale)
        folded = fold(rng.uniform(0.5, 1.5, 24), rng.normal(size=24) / 9, ptf, 1 / 32)
        norms.append(FittedNorm(ptf, folded, rng.normal(size=24) / 99))
    return norms, rng.normal(size=(3, 7, 24)).astype(np.float32)


def test_a_norm_is_the_unit_row_by_row(fitted):
    norms, x = fitted
    got = UnitNorm(NORM, NORM.resolve({"CMP_RANGES": 3}), norms)(x, 1)
    assert got.dtype == np.float32
    model, own = NORM.model(CMP_RANGES=3), norms[1]
    for one, rows in zip(x, got, strict=True):
        out = model(own.ptf.quantise(one), own.folded.channels, **own.folded.settings(24)).out
        want = out * own.folded.step + own.offset
        np.testing.assert_array_equal(rows, want.astype(np.float32))
    exact = minilm.layer_norm(x, np.ones(24), np.zeros(24))
    assert np.corrcoef(got.ravel(), exact.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("instances", [1, 2])
def test_the_rtl_stays_between_calls(fitted, logits, instances):
    """Other settings, channels and lengths call by call; what it is left with harms none."""
    norms, x = fitted
    array, mask = logits
    unit, parameters = UNITS["e2softmax"], UNITS["e2softmax"].resolve(SMALL)
    frac = np.arange(6)
    with ByRtl(instances) as engine:
        rtl_norm = UnitNorm(NORM, NORM.resolve(SMALL), norms, engine)
        model_norm = UnitNorm(NORM, NORM.resolve(SMALL), norms)
        for n, rows in ((0, x), (1, x[:1]), (0, x[1:])):
            np.testing.assert_array_equal(rtl_norm(rows, n), model_norm(rows, n))
        started = engine.start(NORM, NORM.resolve(SMALL))
        for layer, some in ((1, array), (3, array[:1]), (5, array)):
            seen = mask[: len(some)]
            got = UnitSoftmax(unit, parameters, frac, engine=engine)(some, seen, layer)
            want = UnitSoftmax(unit, parameters, frac)(some, seen, layer)
            np.testing.assert_array_equal(got, want)
        assert engine.start(NORM, NORM.resolve(SMALL)) is started
        assert engine.start(NORM, NORM.resolve(SMALL | {"MAX_LEN": 100})) is not started
    rows = {name: one.rows for name, one in engine.passed.items()}
    assert rows == {"ailayernorm": 21 + 7 + 14, "e2softmax": 120 + 60 + 120}
    beats = {name: one.beats for name, one in engine.passed.items()}
    assert beats == {"ailayernorm": 3 * 42, "e2softmax": 300}
    assert all(one.clocks > one.beats and one.seconds > 0 for one in engine.passed.values())


def test_controls(logits):
    array, mask = logits
    uniform = stand_in.uniform_softmax(array, mask, 0)
    one_hot = stand_in.one_hot_softmax(array, mask, 0)
    for got in (uniform, one_hot):
        assert got.dtype == np.float32
        assert not got[1, ..., 3:].any()
        np.testing.assert_allclose(got.sum(axis=-1), 1, rtol=1e-6)
    assert (uniform[0] == np.float32(0.2)).all()
    chosen = np.where(mask, array, -np.inf).argmax(axis=-1)
    assert (one_hot.argmax(axis=-1) == chosen).all()
    assert set(np.unique(one_hot)) == {0, 1}


def test_an_engine_is_all_that_decides(fitted):
    """What the engine gives is what comes out: nothing falls back on the model."""
    norms, x = fitted

    def nothing(unit, parameters, rows):
        return Outputs(np.zeros(rows.x.shape, np.int8), np.zeros(len(rows), np.int8))

    got = UnitNorm(NORM, NORM.defaults, norms, nothing)(x, 0)
    np.testing.assert_array_equal(got, np.broadcast_to(norms[0].offset.astype(np.float32), x.shape))


def test_a_build_of_one_frac_is_not_calibrated():
    """Its inputs would be quantised at another, and nothing would say so."""
    assert choose("e2softmax DIV_BITS=3").parameters["DIV_BITS"] == 3
    with pytest.raises(UserError, match="e2softmax: leave FRAC out: calibration finds frac, and"):
        choose("e2softmax FRAC=2")
