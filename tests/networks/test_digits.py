# SPDX-License-Identifier: Apache-2.0
"""The small vision transformer: what is shipped, forward pass, training, the units in it."""

import importlib.util
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from softnorm.flow.errors import UserError
from softnorm.flow.networks import digits, digits_accuracy, digits_train, stand_in
from softnorm.flow.networks.minilm import float_softmax
from softnorm.flow.paths import ROOT
from softnorm.models.quantise import quantise_logits
from softnorm.units import NETWORK_UNITS, ROW_UNITS, UNITS
from softnorm.units.unit import Unit
from tests.test_commands import refused

PARTS = {"training": 1000, "validation": 200, "test": 597}


@pytest.fixture(scope="module")
def weights():
    shipped = digits.load_arrays(digits.WEIGHTS, tuple(digits.shapes()))
    return {name: array.astype(np.float64) for name, array in shipped.items()}


@pytest.fixture(scope="module")
def test_images():
    return digits.load_digits("test")


@pytest.fixture(scope="module")
def few(test_images):
    return test_images.images[:5]


# --- what is shipped ------------------------------------------------------------------------------


def test_shipped_files_are_small():
    assert digits.WEIGHTS.stat().st_size < 100_000
    assert digits.IMAGES.stat().st_size < 50_000


def test_shipped_images():
    for part, count in PARTS.items():
        found = digits.load_digits(part)
        assert len(found) == count
        assert found.images.shape == (count, 8, 8)
        assert found.images.dtype == found.labels.dtype == np.uint8
        assert found.images.max() == 16
        assert (np.bincount(found.labels, minlength=10) > count / 20).all()


def test_no_image_is_in_two_parts():
    seen = [{image.tobytes() for image in digits.load_digits(part).images} for part in PARTS]
    assert len(set.union(*seen)) == sum(map(len, seen)) == sum(PARTS.values())


@pytest.mark.skipif(
    importlib.util.find_spec("sklearn") is None, reason="scikit-learn is not installed"
)
def test_images_are_those_of_scikit_learn():
    arrays, _ = digits_train.collect()
    for name, array in digits.load_arrays(digits.IMAGES, tuple(arrays)).items():
        assert array.dtype == arrays[name].dtype
        assert (array == arrays[name]).all()


def test_shipped_weights_are_float16_and_finite():
    for array in digits.load_arrays(digits.WEIGHTS, tuple(digits.shapes())).values():
        assert array.dtype == np.float16
        assert np.isfinite(array).all()


def test_shipped_weights_say_how_they_were_made():
    source = digits.meta()["source"]
    assert source["command"] == f"python3 scripts/train.py --seed 1 --steps {digits_train.STEPS}"
    validation = digits.load_digits("validation")
    found = digits.accuracy(digits.Vit().forward(validation.images), validation.labels)
    assert found == pytest.approx(source["validation_accuracy"], abs=1e-4)


def test_float_accuracy(test_images):
    scores = digits.Vit().forward(test_images.images)
    assert digits.accuracy(scores, test_images.labels) >= 0.97


# --- the forward pass -----------------------------------------------------------------------------


def naive(w, image):
    """The scores [10] of one image, token by token and head by head."""

    def linear(name, x):
        return np.einsum("i,io->o", x, w[f"{name}.weight"]) + w[f"{name}.bias"]

    def norm(name, x):
        deviation = math.sqrt(sum((x - sum(x) / 48) ** 2) / 48)
        return w[f"{name}.gamma"] * (x - sum(x) / 48) / deviation + w[f"{name}.beta"]

    def pixel(y, x):
        return image[y, x] / 8 - 1 if 0 <= y < 8 and 0 <= x < 8 else -1

    tokens = [w["class"]]
    for y in range(-1, 7, 2):
        for x in range(-1, 7, 2):
            patch = np.array([pixel(y + i, x + j) for i in range(4) for j in range(4)])
            tokens.append(linear("patch", patch))
    tokens = [token + place for token, place in zip(tokens, w["position"], strict=True)]
    for layer in range(2):
        normal = [norm(f"{layer}.attention_norm", token) for token in tokens]
        q, k, v = (
            [linear(f"{layer}.attention.{part}", token).reshape(4, 12) for token in normal]
            for part in ("query", "key", "value")
        )
        for t, token in enumerate(tokens):
            context = []
            for head in range(4):
                shares = [math.exp(q[t][head] @ other[head] / math.sqrt(12)) for other in k]
                context.append(
                    sum(s * other[head] for s, other in zip(shares, v, strict=True)) / sum(shares)
                )
            tokens[t] = token + linear(f"{layer}.attention.dense", np.concatenate(context))
        for t, token in enumerate(tokens):
            inner = linear(f"{layer}.inner", norm(f"{layer}.output_norm", token))
            inner = np.array([x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in inner])
            tokens[t] = token + linear(f"{layer}.output", inner)
    return linear("head", norm("class_norm", tokens[0]))


def swapped(w, layer, names, axes):
    """The weights with heads 0 and 1 exchanged in these matrices of a layer's attention."""
    order = np.r_[12:24, :12, 24:48]
    w = dict(w)
    for name, axis in zip(names, axes, strict=True):
        matrix = f"{layer}.attention.{name}.weight"
        w[matrix] = np.take(w[matrix], order, axis)
        if axis == 1:
            bias = f"{layer}.attention.{name}.bias"
            w[bias] = w[bias][order]
    return w


def test_forward_equals_a_naive_one(weights, few):
    want = np.array([naive(weights, image) for image in few])
    np.testing.assert_allclose(digits.Vit().forward(few), want, atol=1e-5)  # erf is good to 1.5e-7


@pytest.mark.parametrize("names", [["value"], ["query"], ["key", "value"]])
@pytest.mark.parametrize("layer", [0, 1])
def test_swapped_heads_are_seen(weights, few, layer, names):
    wrong = digits.Vit(swapped(weights, layer, names, [1] * len(names)))
    want = np.array([naive(weights, image) for image in few])
    assert np.abs(wrong.forward(few) - want).max() > 0.01


def test_heads_have_no_order(weights, few):
    same = swapped(weights, 1, ["query", "key", "value", "dense"], [1, 1, 1, 0])
    np.testing.assert_allclose(digits.Vit(same).forward(few), digits.Vit().forward(few), atol=1e-9)


def test_taps(few):
    seen = []
    digits.Vit().forward(few, lambda name, layer, array: seen.append((name, layer, array.shape)))
    norms = [entry for entry in seen if entry[0].endswith("norm_input")]
    assert tuple(entry[:2] for entry in norms) == digits.NORM_INPUTS
    assert [entry[2] for entry in norms] == [(5, 17, 48)] * 4 + [(5, 1, 48)]
    rest = [entry for entry in seen if entry not in norms]
    assert rest == [("attention_logits", layer, (5, 4, 17, 17)) for layer in (0, 1)]


def test_what_stands_in_is_used_in_every_layer(few):
    model, calls = digits.Vit(), []

    def softmax(logits, mask, layer):
        assert mask.dtype == bool
        assert np.broadcast_to(mask, logits.shape).all()
        calls.append(("softmax", layer))
        return float_softmax(logits, mask, layer)

    def norm(x, n):
        calls.append(("norm", n))
        return model.float_norm(x, n)

    given = model.forward(few, softmax=softmax, norm=norm)
    assert (given == model.forward(few)).all()
    assert calls == [
        ("norm", 0),
        ("softmax", 0),
        ("norm", 1),
        ("norm", 2),
        ("softmax", 1),
        ("norm", 3),
        ("norm", 4),
    ]


def test_float32_says_the_same(test_images):
    narrow = digits.Vit(dtype=np.float32).forward(test_images.images)
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, digits.Vit().forward(test_images.images), atol=1e-3)


def test_wrong_weights_and_files_are_refused(weights, tmp_path):
    with pytest.raises(ValueError, match=r"head\.bias is not"):
        digits.Vit({**weights, "head.bias": np.zeros(9)})
    with pytest.raises(ValueError, match="class is not"):
        digits.Vit({name: array for name, array in weights.items() if name != "class"})
    with pytest.raises(UserError, match="cannot read images, labels, split from"):
        digits.load_digits("test", tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(UserError, match="cannot read images"):
        digits.load_digits("test", tmp_path / "text.npz")
    with pytest.raises(KeyError):
        digits.Vit().norm_parameters("class_norm_input", 1)


# --- training -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def training():
    return digits.load_digits("training")


def test_gradients(training):
    """Against central differences, three entries of every weight."""
    rng = np.random.default_rng(1)
    weights = digits_train.initial_weights(rng, np.float64)
    weights = {n: array + 0.1 * rng.standard_normal(array.shape) for n, array in weights.items()}
    batch = training.images[:5], training.labels[:5], 0.1
    _, gradients = digits_train.loss_and_gradients(weights, *batch)
    assert {n: g.shape for n, g in gradients.items()} == digits.shapes()
    for name, array in weights.items():
        for entry in rng.integers(array.size, size=3):
            loss = []
            for step in (1e-4, -1e-4):
                moved = array.copy()
                moved.flat[entry] += step
                loss.append(digits_train.loss_and_gradients({**weights, name: moved}, *batch)[0])
            assert gradients[name].flat[entry] == pytest.approx(
                (loss[0] - loss[1]) / 2e-4, rel=1e-4, abs=1e-6
            ), name


def test_trainings_loss_is_that_of_the_forward_pass(weights, test_images):
    images, labels = test_images.images[:50], test_images.labels[:50]
    loss, _ = digits_train.loss_and_gradients(weights, images, labels)
    p = float_softmax(digits.Vit(weights).forward(images), np.True_, 0)
    assert loss == pytest.approx(-np.log(p[np.arange(50), labels]).mean(), rel=1e-6)


class Still:
    """A random generator that always draws the middle."""

    def uniform(self, low, high, size):
        return np.full(size, (low + high) / 2)

    def standard_normal(self, shape):
        return np.zeros(shape)


class Shift(Still):
    """It shifts by as much as it can: what was a pixel further down and right comes in."""

    def uniform(self, low, high, size):
        drawn = super().uniform(low, high, size)
        return drawn + high if drawn.shape[1:] == (2, 1) else drawn


def test_distortion_without_and_with_a_shift(training):
    images = training.images[:20]
    assert (digits_train.distort(images, Still()) == images).all()
    moved = digits_train.distort(images, Shift())
    assert (moved[:, :-1, :-1] == images[:, 1:, 1:]).all()
    assert (moved[:, -1] == 0).all()
    assert (moved[:, :, -1] == 0).all()


def test_distortion_is_small(training):
    images = training.images[:100]
    moved = digits_train.distort(images, np.random.default_rng(1))
    assert moved.shape == images.shape
    assert moved.min() >= 0
    assert moved.max() <= 16
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(images, moved, strict=True)]
    assert 0.6 < np.mean(alike) < 0.9
    other = np.roll(images, 1, axis=0)
    assert np.mean(alike) > 0.2 + np.mean(
        [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(other, moved, strict=True)]
    )


def test_training_learns_and_an_interruption_keeps_the_best(training, monkeypatch):
    monkeypatch.setattr(digits_train, "CHECK", 20)
    validation = digits.load_digits("validation")
    lines = []

    def progress(line):
        lines.append(line)
        if len(lines) == 3:
            raise KeyboardInterrupt

    trained = digits_train.train(training, validation, 1, 80, progress)
    assert not trained.done
    assert trained.step == 60
    assert lines[2].startswith("step 60/80: training loss ")
    assert trained.loss < 2.3  # a guess is worth ln 10
    assert digits.accuracy(
        digits.Vit(trained.weights).forward(validation.images), validation.labels
    )

    def at_once(line):
        raise AssertionError

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(digits_train, "distort", interrupted)
    with pytest.raises(KeyboardInterrupt):  # nothing to keep yet
        digits_train.train(training, validation, 1, 80, at_once)


def script(name, *words):
    """Run scripts/<name>.py in this Python; return (exit code, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / f"{name}.py", *map(str, words)],
        env={**os.environ, "SOFTNORM_PYTHON": "current"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_training_command(tmp_path):
    """Two steps into a folder of their own; the same seed writes the same bytes."""
    written = []
    for number, words in enumerate((["STEPS=2", "SEED=3"], ["--steps=2", "--seed", "3"])):
        out = tmp_path / f"{number}.npz"
        code, said, error = script("train", *words, f"--out={out}")
        assert (code, error) == (0, "")
        assert "step 2/2: training loss " in said
        assert "test accuracy " in said
        assert str(out) in said
        written.append(out.read_bytes())
    assert written[0] == written[1]
    command = digits.meta(out)["source"]["command"]
    assert command == "python3 scripts/train.py --seed 3 --steps 2"
    digits.Vit(digits.load_arrays(out, tuple(digits.shapes())))


def test_training_commands_help_and_bad_input(tmp_path):
    code, said, _ = script("train", "--help")
    assert code == 0
    for word in (
        "SEED=",
        "STEPS=",
        "OUT=",
        "IMAGES=",
        "Ctrl-C",
        "Exit code",
        f"of {digits_train.BATCH} images",
    ):
        assert word in said
    code, _, error = script("train", "STEPS=0", f"--out={tmp_path / 'w.npz'}")
    assert (code, error) == (2, "error: 0 steps train nothing: ask for 1 or more\n")
    code, _, error = script("train", "STEPS=1", f"--out={tmp_path / 'none' / 'w.npz'}")
    assert code == 2
    assert error.startswith("error: cannot write ")


def test_a_meta_is_text(tmp_path):
    digits_train.save(tmp_path / "a.npz", {"x": np.arange(3)}, {"source": {"seed": 1}})
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert json.loads(str(file["meta"])) == {"source": {"seed": 1}}
        assert file["x"].tolist() == [0, 1, 2]


# --- the units in it ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calibration(training):
    images = training.images[: digits_accuracy.CALIBRATION]
    return digits_accuracy.calibrate(digits.Vit(), images)


def test_no_calibration_logit_saturates(training, calibration):
    def check(name, layer, array):
        if name == "attention_logits":
            x = quantise_logits(array, calibration.fracs[layer])
            assert np.abs(x - np.ldexp(array, calibration.fracs[layer])).max() <= 0.5

    digits.Vit().forward(training.images[: digits_accuracy.CALIBRATION], check)
    assert all(0 < frac < 7 for frac in calibration.fracs)


def test_units_in_the_network(training, test_images):
    """The controls show that attention matters; the units cost little."""
    images = training.images[: digits_accuracy.CALIBRATION]
    chosen = [UNITS["e2softmax"], UNITS["ailayernorm"]]
    half = type(test_images)(test_images.images[::2], test_images.labels[::2])
    lines = list(digits_accuracy.measure(chosen, images, half, digits.Vit()))
    exact, *units, uniform, one_hot = lines
    assert (exact.softmax, exact.norm, exact.kept) == ("float", "float", len(half))
    assert uniform.correct < 0.5 * exact.correct
    assert one_hot.correct < 0.9 * exact.correct
    assert all(line.images == len(half) for line in lines)
    assert min(line.correct for line in units) > 0.99 * exact.correct
    default, best = units[-2:]
    assert (default.softmax, default.norm) == ("e2softmax", "ailayernorm")
    assert best.kept >= default.kept


# A softmax and a LayerNorm, with fewer lanes, since builds of 32 take long; NETWORK=digits RTL=1
# has all.
@pytest.mark.parametrize(
    "unit",
    [
        pytest.param(UNITS["e2softmax"], id="e2softmax"),
        pytest.param(UNITS["ailayernorm"], id="ailayernorm", marks=pytest.mark.slow),
    ],
)
def test_the_rtl_in_all_layers_gives_the_models_scores_to_the_bit(unit, monkeypatch):
    narrow = {**unit.defaults, "LANES": 8, "MAX_LEN": 100}
    monkeypatch.setattr(Unit, "defaults", property(lambda self: narrow))
    images = digits.load_digits("training").images[:40]
    test = digits.load_digits("test")
    some = type(test)(test.images[:4], test.labels[:4])
    assert digits_accuracy.rtl_differs(unit, images, some, digits.Vit()) == 0


def test_another_rtl_would_be_seen(monkeypatch):
    def wrong(engine, unit, parameters, rows):
        outputs = unit.predict(parameters, rows)
        outputs.out[0, 0] ^= 1
        return outputs

    monkeypatch.setattr(stand_in.ByRtl, "__call__", wrong)
    images = digits.load_digits("training").images[:40]
    test = digits.load_digits("test")
    some = type(test)(test.images[:3], test.labels[:3])
    assert digits_accuracy.rtl_differs(UNITS["rexp"], images, some, digits.Vit()) > 0


def test_a_unit_that_is_no_norm_is_left_out(monkeypatch):
    """As what `make new-unit KIND=layernorm` makes, which only subtracts a mean."""
    assert not Unit.in_networks
    assert list(NETWORK_UNITS) == list(ROW_UNITS)
    seen = []

    def measure(given, *_):
        seen.extend(given)
        raise UserError("enough")

    monkeypatch.setattr(digits_accuracy, "measure", measure)
    monkeypatch.setattr("softnorm.units.NETWORK_UNITS", {"rexp": UNITS["rexp"]})
    code, _, err = refused("accuracy", "NETWORK=digits")
    assert (code, err.splitlines()[-1]) == (2, "error: enough")
    assert seen == [UNITS["rexp"]]
