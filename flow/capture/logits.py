# SPDX-License-Identifier: Apache-2.0
"""Attention logits of a real model as int8 rows: what data/e2softmax_minilm.npz is made of.

A row is one query's logits over the width that its batch is padded to, so that the rows carry a
real padding mask. What stands at the masked keys is what the model computed there.
"""

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from softnorm.models import vectors
from softnorm.models.quantise import choose_frac, quantise_logits, round_half_up

from ..errors import UserError
from ..networks import minilm
from ..paths import DATA
from . import model as capture
from .model import BATCH

SHIPPED = DATA / "e2softmax_minilm.npz"
ROWS = 900


def quantise(logits: np.ndarray, frac: int, mask: np.ndarray) -> np.ndarray:
    """Return logits as int8 with `frac` fraction bits, of the same shape, rounded half up.

    `mask` is bool of the logits' shape: masked logits (False) may saturate, since no unit looks at
    them. Raises UserError if another one does, or if any is NaN or infinite.
    """
    try:
        x = quantise_logits(logits, frac)
    except ValueError as error:
        raise UserError("a logit is NaN or infinite and has no int8 value") from error
    wrong = mask & (x != round_half_up(np.ldexp(logits, frac)))
    if wrong.any():
        raise UserError(
            f"a logit of {logits[wrong][0]:g} saturates int8 at F = {frac}: "
            "leave its layer out with --layers"
        )
    return x


def choose_rows(
    layers: Iterable[int], heads: Iterable[int], tokens: np.ndarray, rows: int, seed: int
) -> np.ndarray:
    """Return [rows, 4] int64 of distinct (layer, head, sentence, query), spread by a seeded draw.

    `tokens` holds each sentence's tokens; padding is never a query. Any stretch of the result is a
    spread itself: every round visits each layer and head once. A sentence is drawn in proportion to
    the square root of its tokens, between one share a sentence (mostly short rows) and one share
    a query (mostly long ones). Raises UserError if there are fewer than `rows` to choose from.
    """
    pairs = list(itertools.product(layers, heads))
    available = len(pairs) * int(np.sum(tokens))
    if not 1 <= rows <= available:
        raise UserError(
            f"{rows} rows asked for; these sentences, layers and heads have {available}"
        )
    rng = np.random.default_rng(seed)
    share = np.sqrt(tokens) / np.sqrt(tokens).sum()
    chosen = {}  # a set that keeps its order
    while len(chosen) < rows:
        for layer, head in rng.permutation(pairs):
            sentence = rng.choice(len(tokens), p=share)
            chosen[layer, head, sentence, rng.integers(tokens[sentence])] = None
    return np.array(list(chosen)[:rows])


def attention_logits(
    model: minilm.MiniLM, ids: np.ndarray, attention_mask: np.ndarray
) -> list[np.ndarray]:
    """Return each layer's logits [batch, head, query, key] for ids and mask [batch, token]."""
    logits = []

    def keep(name: str, layer: int, array: np.ndarray) -> None:
        if name == "attention_logits":
            logits.append(array)

    model.forward(ids, attention_mask, keep)
    return logits


def capture_logits(
    path: Path, layers: Iterable[int], heads: Iterable[int], rows: int, seed: int
) -> vectors.Vectors:
    """Return `rows` sampled rows of the sentences in `path`, ready to save.

    F is chosen for each layer over all heads, sentences and queries, so that a layer's rows share
    one F and nothing unmasked saturates. The extra arrays [rows] say where each row is from: layer,
    head, sentence (a line that is not blank, from 0) and query. Raises UserError for a layer or a
    head that the model lacks, bad sentences, too many rows, logits that no F fits into int8, and a
    model that is not installed.
    """
    layers = _within("layer", layers, minilm.LAYERS)
    heads = _within("head", heads, minilm.HEADS)
    model, batches, tokens = capture.load(path)
    chosen = choose_rows(layers, heads, tokens, rows, seed)
    layer, head, sentence, query = chosen.T

    length = np.array([batches[s // BATCH][0].shape[1] for s in sentence], np.int32)
    logits = np.zeros((rows, length.max()))
    mask = np.zeros(logits.shape, bool)
    extremes = np.zeros((minilm.LAYERS, 2))  # smallest and largest; 0 saturates at no F
    for number, (ids, attention_mask) in enumerate(batches):
        by_layer = attention_logits(model, ids, attention_mask)
        real = attention_mask[:, None, :, None] & attention_mask[:, None, None, :]
        for one in layers:
            counted = np.where(real, by_layer[one], 0)
            extremes[one, 0] = min(extremes[one, 0], counted.min())
            extremes[one, 1] = max(extremes[one, 1], counted.max())
        for row in np.flatnonzero(sentence // BATCH == number):
            within = sentence[row] % BATCH
            keys = slice(length[row])
            logits[row, keys] = by_layer[layer[row]][within, head[row], query[row]]
            mask[row, keys] = attention_mask[within]

    frac = {}
    x = np.zeros(logits.shape, np.int8)
    for one in layers:
        frac[one] = choose_frac(extremes[one])
        quantise(extremes[one], frac[one], np.ones(2, bool))  # not even F = 0 may fit
        here = layer == one
        x[here] = quantise(logits[here], frac[one], mask[here])

    options = {
        "layers": ",".join(map(str, layers)),
        "heads": ",".join(map(str, heads)),
        "rows": rows,
        "seed": seed,
    }
    source = {
        **capture.source(path, options),
        "frac": {str(one): frac[one] for one in layers},  # JSON has no other keys than words
        "max_abs_logit": {str(one): round(float(np.abs(extremes[one]).max()), 3) for one in layers},
    }
    return vectors.Vectors(
        unit="e2softmax",
        parameters={},
        settings={"fmt": 0},
        x=x,
        length=length,
        mask=mask,
        row_settings={"frac": np.array([frac[one] for one in layer])},
        extra={
            "layer": layer.astype(np.int8),
            "head": head.astype(np.int8),
            "sentence": sentence.astype(np.int32),
            "query": query.astype(np.int16),
        },
        meta={"source": source},
    )


def _within(what: str, numbers: Iterable[int], count: int) -> list[int]:
    """Return the numbers in order, each once. Raises UserError for one outside 0..count-1."""
    numbers = sorted(set(numbers))
    for number in numbers:
        if not 0 <= number < count:
            raise UserError(f"there is no {what} {number}; there are 0..{count - 1}")
    return numbers
