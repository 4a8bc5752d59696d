# SPDX-License-Identifier: Apache-2.0
"""Int8 products: sums exact, scales and zero points where they belong, units' bytes as they are."""

import dataclasses

import numpy as np
import pytest

from softnorm.flow.networks import digits, digits_accuracy, int8, minilm
from softnorm.flow.networks.stand_in import UnitSoftmax, by_model
from softnorm.models.attention import flash_attention
from softnorm.units import UNITS
from softnorm.units.unit import Variant
from tests.test_commands import refused


@pytest.fixture(scope="module")
def seen():
    """A recorder that the small vision transformer has run 60 training images with."""
    recorder = int8.Recorder(400, seed=1)
    digits.Vit().forward(digits.load_digits("training").images[:60], products=recorder)
    return recorder


@pytest.fixture(scope="module")
def layer():
    """Inputs, weights and bias of a linear: channels and outputs of all sizes, off centre."""
    rng = np.random.default_rng(1)
    x = rng.gamma(0.7, size=(500, 96)) - 0.17  # as a GELU's outputs are
    x[:, 5] *= 8
    x[:, 6] *= 4
    weight = rng.normal(size=(96, 40)) * np.geomspace(0.01, 10, 40)
    weight[5] /= 8
    return x, weight, rng.normal(size=40)


def relative(got, want):
    """The error of each output against the spread of the exact one, in root mean squares."""
    return np.sqrt(np.square(got - want).mean(axis=0)) / want.std(axis=0)


# --- sums -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "right"), [(255, -128), (-128, -128)])
@pytest.mark.parametrize("inner", [512, 513, 4096])
def test_sums_are_exact(left, right, inner):
    """One less than the largest sum: float32 alone loses it."""
    a, b = np.full((1, inner), left), np.full((inner, 1), right)
    a[0, -1] = 1
    b[-1] = 1
    assert int8.integer_product(a, b).item() == (a.astype(np.int64) @ b).item()
    rng = np.random.default_rng(inner)
    a, b = rng.integers(0, 256, (2, 3, inner)), rng.integers(-128, 128, (2, inner, 5))
    assert (int8.integer_product(a, b) == a @ b).all()


# --- linears --------------------------------------------------------------------------------------


def test_a_linear_is_near_the_float_one(layer):
    """Every output, the smallest, too: with one scale for all weights they would be lost."""
    x, weight, bias = layer
    one = int8.fit_linear(x, weight, bias, int8.fit_inputs(x, weight))
    want = x @ weight + bias
    assert relative(one(x), want).max() < 0.02
    np.testing.assert_allclose(one(x).mean(axis=0), want.mean(axis=0), atol=one.scale.max())


def test_a_linear_is_integers_and_one_scale_an_output(layer):
    """Spelled out: bytes in, an int32 sum, a bias of whole numbers, a scale. No channel is left."""
    x, weight, bias = layer
    one = int8.fit_linear(x, weight, bias, int8.fit_inputs(x, weight))
    q = np.floor((x - one.inputs.offset) / one.inputs.step + 0.5).clip(-128, 127).astype(np.int64)
    total = q @ one.weight.astype(np.int64) + one.bias.astype(np.int64)
    assert one.weight.dtype == np.int8
    assert np.abs(total).max() < 2**31
    assert (one.bias == one.bias.astype(np.int64)).all()
    np.testing.assert_array_equal(one(x), total * one.scale)


def test_inputs_have_one_scale_and_zero_point_and_powers_of_two(layer):
    x, weight, _ = layer
    inputs = int8.fit_inputs(x, weight)
    octaves = np.log2(inputs.step / inputs.step.min())
    np.testing.assert_array_equal(octaves, octaves.round())
    assert 0 < octaves.max() <= 3
    zero = inputs.offset / inputs.step
    assert np.ptp(zero) < 1e-9
    assert zero[0] == pytest.approx(zero[0].round())
    assert 100 < zero[0] <= 128  # these inputs have little below 0
    assert np.abs(inputs.quantise(x)).max() <= 128


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_units_outputs_are_not_quantised_a_second_time(dtype):
    """Real values out * step + offset come back as the very bytes, saturated ones, too."""
    rng = np.random.default_rng(1)
    step, offset = rng.uniform(0.01, 0.2, 256), rng.normal(size=256)
    inputs = int8.Quantiser(step, offset)
    out = np.tile(np.arange(-128, 128)[:, None], 256)
    assert (inputs.quantise(inputs.dequantise(out).astype(dtype)) == out).all()


# --- attention ------------------------------------------------------------------------------------


def test_scores_move_powers_of_two_between_queries_and_keys():
    rng = np.random.default_rng(1)
    query, key = rng.normal(size=(2, 3, 300, 12))
    query[:, :, 4] *= 30
    key[:, :, 4] /= 30
    key[1] *= 100
    one = int8.fit_scores(query, key)
    scale = one.query * one.key
    np.testing.assert_allclose(scale, scale[..., :1] + np.zeros(12), rtol=1e-12)
    octaves = np.log2(one.query / one.query[..., :1])
    np.testing.assert_allclose(octaves, octaves.round(), atol=1e-12)
    got = one(query[None, :, :20], key[None, :, :20].swapaxes(-1, -2))[0]
    want = query[:, :20] @ key[:, :20].swapaxes(-1, -2)
    assert relative(got.reshape(3, -1).T, want.reshape(3, -1).T).max() < 0.015


@pytest.mark.parametrize("bits", [8, 16])
def test_a_units_shares_come_back_as_integers(bits):
    """Through float32, a gain, and a step that is no power of two; a row's exponent stays."""
    top, gain = 2**bits - 1, np.array([0.9, 1.1, 1.3])[:, None, None]
    shares = np.zeros((3, 2, top + 1), np.float32)
    shares[:] = np.arange(top + 1) / top * gain / np.array([1, 8])[:, None]
    whole = int8._significant(shares / (gain / top))
    assert (whole == np.arange(top + 1) / np.array([1, 8])[:, None]).all()


def test_a_softmaxs_gains_are_in_the_scales(seen):
    """Head by head and layer by layer, and in no sum: they are in the softmax's shares once."""
    unit = UNITS["rexp"]
    gain = np.random.default_rng(1).uniform(0.5, 2, (2, 4))
    softmax = UnitSoftmax(unit, unit.defaults, np.full(2, 4))
    plain, scaled = (
        int8.Calibration(seen, digits.NORM_READERS).products(dataclasses.replace(softmax, gain=g))
        for g in (None, gain)
    )
    rng = np.random.default_rng(2)
    shares = rng.integers(0, 256, (5, 4, 17, 17)) / 255
    value = rng.normal(size=(5, 4, 17, 12))
    for layer in range(2):
        name, of_heads = f"{layer}.attention{int8.CONTEXT}", gain[layer][:, None, None]
        want = plain.attention(name, shares, value) * of_heads
        got = scaled.attention(name, shares * of_heads, value)
        np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("unit", [None, 1 / 256, 1 / 255])
def test_context_takes_a_softmax_units_bytes(unit):
    rng = np.random.default_rng(1)
    value = rng.normal(size=(3, 200, 12)) * np.array([0.1, 1, 10])[:, None, None]
    one = int8.Context(int8.fit_values(value), unit)
    out = rng.integers(0, 256, (1, 3, 7, 200))
    # A row's exponent, as the row-scaled format has it, stays in its shares.
    exponent = np.array([0, 1, 2, 3, 4, 5, 6])[:, None] if unit == 1 / 256 else 0
    shares = np.ldexp(out * (unit or 1 / int8.SHARES), -np.asarray(exponent))
    bytes_of_value = np.floor(value / one.value + 0.5).clip(-127, 127).astype(np.int64)
    want = (out @ bytes_of_value) * (one.value * (unit or 1 / int8.SHARES))
    got = one(shares.astype(np.float32), value[None])  # sums are exact, whatever float32 rounded
    np.testing.assert_allclose(got, np.ldexp(want, -exponent), rtol=1e-12)
    assert (np.abs(value - bytes_of_value * one.value).mean(axis=(1, 2)) < [4e-3, 4e-2, 0.4]).all()


# --- a network ------------------------------------------------------------------------------------


def test_recording_changes_nothing(seen):
    images = digits.load_digits("training").images[:60]
    model = digits.Vit()
    again = model.forward(images, products=int8.Recorder(4, seed=1))
    np.testing.assert_array_equal(again, model.forward(images))
    assert set(seen.inputs) == {n[: -len(".weight")] for n in digits.shapes() if ".weight" in n}
    for readers in digits.NORM_READERS:  # they share what they are given
        assert all(len(seen.inputs[name]) == len(seen.inputs[readers[0]]) for name in readers)


def scores_error(products, **given):
    test = digits.load_digits("test").images[:200]
    model = digits.Vit()
    want = model.forward(test)
    return np.sqrt(
        np.square(model.forward(test, products=products, **given) - want).mean() / want.var()
    )


def test_a_whole_network(seen):
    products = int8.Calibration(seen, digits.NORM_READERS).products()
    assert scores_error(products) < 0.03
    for readers in digits.NORM_READERS:  # the bytes of one tensor are the same for all of them
        assert len({id(products.linears[name].inputs) for name in readers}) == 1


def test_a_whole_network_with_units(seen, monkeypatch):
    """The bytes that units put out are those that the products take in, a softmax's exactly."""
    model, images = digits.Vit(), digits.load_digits("training").images[:60]
    calibration = digits_accuracy.calibrate(model, images)
    put_out = []

    def engine(unit, parameters, rows):
        outputs = by_model(unit, parameters, rows)
        put_out.append(outputs.out)
        return outputs

    given = {}
    for name in ("rexp", "ailayernorm"):
        given |= digits_accuracy.stand_in(UNITS[name], Variant({}), calibration, engine)
    products = int8.Calibration(seen, digits.NORM_READERS).products(**given)
    taken_in = []
    product = int8.integer_product

    def spy(a, b):
        taken_in.append(a)
        return product(a, b)

    monkeypatch.setattr(int8, "integer_product", spy)
    assert scores_error(products, **given) < 0.15
    assert len(put_out) == 7
    for out in put_out:
        assert any(
            a.size == out.size and np.allclose(a.reshape(out.shape), out, rtol=1e-12, atol=0)
            for a in taken_in
        )


@pytest.mark.parametrize(
    ("name", "parameters", "settings", "unit"),
    [
        ("e2softmax", {}, {"fmt": 0}, 256),
        ("e2softmax", {}, {"fmt": 1}, 256),
        ("e2softmax", {"FORMATS": 1}, {"fmt": 1, "s7": 1}, 128),
        ("lut2d", {}, {}, 255),
    ],
)
def test_what_an_output_of_a_softmax_unit_is_worth(name, parameters, settings, unit):
    frac = np.full(2, 3)
    softmax = UnitSoftmax(UNITS[name], UNITS[name].resolve(parameters), frac, settings)
    assert int8.worth(softmax) == pytest.approx(1 / unit, rel=1e-15)


@pytest.fixture(scope="module")
def heads():
    """Queries, keys and values [2, 3, 20, 16] of heads of different size, and their products."""
    rng = np.random.default_rng(1)
    size = np.array([1, 3, 9])[:, None, None]
    query, key, value = (rng.normal(size=(2, 3, 20, 16)) * size for _ in range(3))
    by_head = [side.swapaxes(0, 1).reshape(3, -1, 16) for side in (query, key, value)]
    return query, key, value, int8.fit_scores(*by_head[:2]), int8.fit_values(by_head[2])


WIDE = {"LANES": 4, "MAX_LEN": 32, "IN_W": 32, "SCALE": 1, "EXP_FRAC": 1, "DIV_BITS": 3}


def test_scores_go_into_the_unit_as_they_are(heads):
    """As whole numbers, with the scale of their head."""
    query, key, _, scores, _ = heads
    unit, parameters = UNITS["e2softmax"], UNITS["e2softmax"].resolve(WIDE)
    softmax = UnitSoftmax(unit, parameters, None, {"fmt": 1}, step=scores.logit[None])
    logits = (scores(query, key.swapaxes(-1, -2)) / 4).astype(np.float32)
    got = softmax(logits, np.True_, 0)
    assert len(np.unique(scores.logit)) == 3
    a = int8._symmetric(query, scores.query)
    b = int8._symmetric(key, scores.key)
    whole = (a @ b.swapaxes(-1, -2)).astype(np.int32)
    assert np.abs(whole).max() > 10000
    model = unit.model(**parameters)
    for head, step in enumerate(scores.logit):
        want = model(whole[1, head], **model.scale_of(step), fmt=1).to_real()
        np.testing.assert_array_equal(got[1, head], want.astype(np.float32))
    # A scale that is not the head's is seen.
    other = UnitSoftmax(unit, parameters, None, {"fmt": 1}, step=scores.logit[None, ::-1])
    assert (other(logits, np.True_, 0) != got).any()


def test_attention_in_tiles_is_the_models_of_these_heads(heads):
    """Int8 sides, a scale a head, and what a value is worth; a mask of keys."""
    query, key, value, scores, step = heads
    unit = UNITS["e2softmax"]
    parameters = unit.resolve({**WIDE, "BLOCKS": 1, "FORMATS": 1})
    mask = np.arange(20) < np.array([20, 13])[:, None, None, None]
    got = int8.Tiled(unit, parameters, 8, [scores], [step])(query, key, value, mask, 0)
    assert got.shape == value.shape
    q, k, v = (
        int8._symmetric(x, by).astype(np.int8)
        for x, by in ((query, scores.query), (key, scores.key), (value, step))
    )
    model = unit.model(**parameters)
    for head, one in enumerate(scores.logit):
        scale = model.scale_of(one)
        state = flash_attention(
            *(model, q[:, head], k[:, head], v[:, head], mask[:, 0]), block=8, **scale
        )
        np.testing.assert_array_equal(got[:, head], state.finish() * step[head])
    logits = query @ key.swapaxes(-1, -2) / 4
    exact = minilm.softmax(logits, mask) @ value
    assert np.corrcoef(got.ravel(), exact.ravel())[0, 1] > 0.99


def test_digits_command_says_what_int8_products_cost():
    test = digits.load_digits("test")
    some = type(test)(test.images[:40], test.labels[:40])
    images = digits.load_digits("training").images[:20]
    units = [UNITS["rexp"]]
    exact, alone, *others = digits_accuracy.measure(units, images, some, digits.Vit(), True)
    assert exact.kept == len(some)
    assert (alone.softmax, alone.norm) == ("float", "float")
    assert min(alone.kept, exact.correct) > 35
    named = [line.softmax for line in others]
    assert "rexp W=15" not in named  # its outputs have more than 8 bits
    assert {"rexp W=4", "uniform", "one-hot"} <= {*named}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["NETWORK=digits", "PRODUCTS=8"], "PRODUCTS must be float or int8, not '8'"),
        (["NETWORK=digits", "PRODUCTS=int8", "RTL=1"], "NETWORK must be minilm, or digits"),
        (["NETWORK=minilm", "PRODUCTS=int8", "LAYERS=1"], "LAYERS=1 or DOCUMENTS=1 or RTL=1, "),
    ],
)
def test_wrong_words_are_refused(words, said):
    code, _, error = refused("accuracy", *words)
    assert code == 2
    assert said in error
