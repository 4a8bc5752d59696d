# SPDX-License-Identifier: Apache-2.0
"""Attention in tiles: the state of whole rows, outputs within a bound of theirs, and the errors."""

import tracemalloc

import numpy as np
import pytest

from softnorm.models import attention
from softnorm.models.attention import (
    Flash,
    flash_attention,
    flash_scores,
    scores_of,
    whole_attention,
    whole_weights,
)
from softnorm.models.e2softmax import E2Softmax

HEAD = 32
SIGMA = 2.0  # of the logits, in nats
SIZES = {"LANES": 16, "MAX_LEN": 65536, "IN_W": 32, "SCALE": 1, "BLOCKS": 1, "FORMATS": 1}
UNITS = [E2Softmax(**SIZES), E2Softmax(**SIZES, EXP_FRAC=1, DIV_BITS=4)]
each = pytest.mark.parametrize("unit", UNITS, ids=["octaves", "half"])


def draw(rng, queries, keys, batch=(), width=8):
    """(q, k, v, step): int8, and the nats of a score of 1."""
    q, k = (
        np.clip(np.rint(rng.normal(0, 30, (*batch, n, HEAD))), -128, 127).astype(np.int8)
        for n in (queries, keys)
    )
    v = rng.integers(-128, 128, (*batch, keys, width)).astype(np.int8)
    return q, k, v, SIGMA / (900 * HEAD**0.5)


def exact(scores, v, step, mask=None):
    x = np.where(True if mask is None else mask, scores * step, -np.inf)
    weights = np.exp(x - x.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True) @ v.astype(float)


def whole_rows(unit, scores, mask, scale):
    """The state of whole rows of scores [.., keys]."""
    rows = scores.reshape(-1, scores.shape[-1])
    mask = None if mask is None else np.broadcast_to(mask, scores.shape).reshape(rows.shape)
    return unit(rows, mask, fmt=2, **scale)


@each
@pytest.mark.parametrize(("keys", "block"), [(16, 16), (300, 16), (1000, 64), (5000, 4096)])
def test_tiles_against_whole_rows(unit, keys, block):
    """The state bit for bit; the outputs within what the keys' weights differ by."""
    q, k, v, step = draw(np.random.default_rng(keys), 12, keys)
    scale = unit.scale_of(step)
    scores = scores_of(q, k)
    state = flash_attention(unit, q, k, v, block=block, **scale)
    whole = whole_rows(unit, scores, None, scale)
    assert (state.max == whole.out_max).all()
    assert (state.sum == whole.out_sum).all()
    assert (whole.out_max == scores.max(axis=1)).all()

    found = attention.weights(unit, scores, block=block, **scale)
    differences = found - whole_weights(unit, scores, **scale)
    out, want = state.finish(), whole_attention(unit, q, k, v, **scale)
    np.testing.assert_allclose(out, found @ v.astype(float), rtol=0, atol=1e-9)
    bound = 128 * np.abs(differences).sum(axis=1)
    assert (np.abs(out - want) <= bound[:, None] + 1e-9).all()
    if keys == block:
        assert (out == want).all()
    # The last block's weights are the whole row's: no maximum comes after it.
    last = slice((keys - 1) // block * block, None)
    assert np.abs(differences[:, last]).max() < 1e-12
    assert np.abs(differences).sum(axis=1).max() < 0.5
    errors = [np.abs(one - exact(scores, v, step)).mean() for one in (out, want)]
    assert errors[0] < errors[1] + 0.5


def test_growing_maxima():
    """Scores that rise from block to block: every block's accumulator is rescaled by all to come.

    By hand: each block of 16 equal scores is 64 units above the last, and a unit is 1/32 octave, so
    that a block counts a quarter of the next one.
    """
    unit = UNITS[0]
    scores = np.repeat(np.arange(0, 64 * 6, 64), 16)[None].astype(np.int32)
    v = np.repeat(np.arange(1, 7), 16)[:, None].astype(np.int8)
    scale = {"mult": 0, "shift": 12}
    state = flash_scores(unit, scores, v, block=16, **scale)
    acc = sum(16 * (1 + block) / 4.0 ** (5 - block) for block in range(6))
    assert state.acc[0, 0] == acc
    assert state.max.tolist() == [320]
    total = sum(16 << 15 >> 2 * (5 - block) for block in range(6))
    assert state.sum.tolist() == [total]
    assert state.finish()[0, 0] == acc * 209 * 2.0**-12  # 1.33 * 2^4
    assert (flash_scores(unit, scores, v, block=32, **scale).acc == state.acc).all()


@pytest.mark.parametrize("fault", ["no correction", "of the last maximum", "no carry"])
def test_the_checks_see_planted_faults(monkeypatch, fault):
    if fault == "no correction":
        monkeypatch.setattr(E2Softmax, "correction", lambda self, old, new, **_: np.ones(len(new)))
    elif fault == "of the last maximum":
        right = E2Softmax.correction
        monkeypatch.setattr(
            E2Softmax, "correction", lambda self, old, new, **w: right(self, old * 0, new, **w)
        )
    else:
        monkeypatch.setattr(
            Flash, "settings", property(lambda self: {**self.scale, "fmt": 2}), raising=True
        )
    for check in (
        test_growing_maxima,
        lambda: test_tiles_against_whole_rows(UNITS[1], 300, 16),
    ):
        with pytest.raises(AssertionError):
            check()


@each
def test_masks_batches_and_all_masked_rows(unit):
    rng = np.random.default_rng(7)
    q, k, v, step = draw(rng, 5, 100, (2, 3))
    scale = unit.scale_of(step)
    mask = rng.random((2, 1, 5, 100)) < 0.7
    mask[0, 0, 1] = False
    mask[0, 0, 2, :64] = False  # whole blocks without a key
    mask[1, 0, 3, 32:] = False
    state = flash_attention(unit, q, k, v, mask, block=32, **scale)
    whole = whole_rows(unit, scores_of(q, k), mask, scale)
    assert (state.max == whole.out_max).all()
    assert (state.sum == whole.out_sum).all()
    out = state.finish()
    assert out.shape == (2, 3, 5, 8)
    assert not out[0, :, 1].any()
    some = np.broadcast_to(mask.any(axis=-1), out.shape[:-1])
    want = whole_attention(unit, q, k, v, mask, **scale)
    assert np.abs(out - want)[some].mean() < 8
    # Each head by itself, and causal masks that all heads share.
    alone = flash_attention(unit, q[1, 2], k[1, 2], v[1, 2], mask[1, 0], block=32, **scale)
    assert (alone.finish() == out[1, 2]).all()
    causal = np.arange(100) <= np.arange(0, 100, 20)[:, None]
    first = flash_attention(unit, q, k, v, causal, block=32, **scale).finish()[..., 0, :]
    close = v[..., 0, :] * unit.reciprocal(np.array([1 << 15]))[0]
    np.testing.assert_allclose(first, close)


def test_whole_rows_in_other_formats():
    rng = np.random.default_rng(8)
    q, k, v, step = draw(rng, 6, 200)
    blocks = UNITS[1]
    bare = E2Softmax(**{**SIZES, "BLOCKS": 0}, EXP_FRAC=1, DIV_BITS=4)
    scale = blocks.scale_of(step)
    want = exact(scores_of(q, k), v, step)
    for fmt in (0, 1, 2):
        out = whole_attention(blocks, q, k, v, fmt=fmt, **scale)
        assert (whole_attention(bare, q, k, v, fmt=fmt, **scale) == out).all()
        if fmt:
            assert np.abs(out - want).mean() < 4


@each
def test_65536_keys(unit):
    """In tiles, with no more than a few of them in memory, and the state of the whole row."""
    keys, queries = 65536, 2
    q, k, v, step = draw(np.random.default_rng(9), queries, keys, width=4)
    scale = unit.scale_of(step)
    tracemalloc.start()
    state = flash_attention(unit, q, k, v, block=2048, **scale)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    scores = scores_of(q, k)
    whole = whole_rows(unit, scores, None, scale)
    assert (state.max == whole.out_max).all()
    assert (state.sum == whole.out_sum).all()
    assert peak < 8 << 20
    assert np.abs(state.finish() - exact(scores, v, step)).max() < 8


@pytest.mark.parametrize(
    ("parameters", "block", "message"),
    [
        ({"BLOCKS": 0}, 16, "attention in tiles needs a unit with BLOCKS = 1 and FORMATS = 1"),
        ({"FORMATS": 0}, 16, "attention in tiles needs a unit with BLOCKS = 1 and FORMATS = 1"),
        ({"IN_W": 16}, 16, "scores of int8 need a unit with IN_W = 32, got 16: build it so"),
        ({}, 8, "block must be a multiple of LANES = 16, MAX_LEN = 64 at most, got 8"),
        ({}, 128, "block must be a multiple of LANES = 16, MAX_LEN = 64 at most, got 128"),
        ({}, 0, "block must be a multiple of LANES = 16"),
    ],
)
def test_refuses(parameters, block, message):
    unit = E2Softmax(**{**SIZES, "MAX_LEN": 64, **parameters})
    q, k, v, _ = draw(np.random.default_rng(1), 2, 40)
    with pytest.raises(ValueError, match=f"^{message}"):
        flash_attention(unit, q, k, v, block=block, mult=0, shift=9)


def test_refuses_other_arrays():
    q, k, v, _ = draw(np.random.default_rng(1), 2, 40)
    with pytest.raises(TypeError, match=r"^q must be an int8 array, got int16: quantise it first"):
        scores_of(q.astype(np.int16), k)
    with pytest.raises(TypeError, match=r"^k must be an int8 array, got list"):
        scores_of(q, k.tolist())
    long = np.zeros((1, 1 << 17), np.int8)
    with pytest.raises(ValueError, match=r"^a head must have 131071 elements at most, got 131072"):
        scores_of(long, long)
    state = Flash(UNITS[0], (2,), 8, mult=0, shift=9)
    result = E2Softmax(FORMATS=1)(k[:2, :16], frac=0, fmt=2)
    with pytest.raises(
        ValueError, match=r"^the block's outputs have no state: take a unit with BL"
    ):
        state.take(result, v[:16])
