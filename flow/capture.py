"""Attention logits of a real model as int8 rows: what data/e2softmax_minilm.npz is made of.

Sentences run through the model in batches padded to their longest, as a server would run them, so
that the rows carry a real padding mask. A row is one query's logits over the padded width. What
stands at the masked keys is what the model computed there.
"""

import hashlib
import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from flow import minilm
from flow.errors import UserError
from flow.paths import DATA, ROOT
from models import vectors

SENTENCES = DATA / "sentences.txt"
SHIPPED = DATA / "e2softmax_minilm.npz"

INT8 = np.iinfo(np.int8)
FRACS = range(8)  # E2Softmax's cfg_frac_i
BATCH = 2  # small, for many row lengths; neighbouring lines of the file share a batch


def scale(logits: np.ndarray, frac: int) -> np.ndarray:
    """Return logits * 2^frac rounded half up, float64 and not yet clipped, of the same shape."""
    return np.floor(np.asarray(logits, np.float64) * 2.0**frac + 0.5)


def saturates(scaled: np.ndarray) -> np.ndarray:
    """Return bool of scaled's shape: True where int8 cannot hold the value (NaN too)."""
    return ~((scaled >= INT8.min) & (scaled <= INT8.max))


def choose_frac(logits: np.ndarray) -> int:
    """Return the largest F in 0..7 at which none of the logits (any shape) saturates int8.

    Raises UserError if one saturates even at 0, or is not finite.
    """
    for frac in reversed(FRACS):
        if not saturates(scale(logits, frac)).any():
            return frac
    raise UserError("some logits are outside -128..127, so no F in 0..7 fits them into int8")


def quantise(logits: np.ndarray, frac: int, mask: np.ndarray) -> np.ndarray:
    """Return logits as int8 with `frac` fraction bits, of the same shape, rounded half up.

    `mask` is bool of the logits' shape: masked logits (False) may saturate, since no unit looks at
    them. Raises UserError if another one does, or if any is NaN or infinite.
    """
    if not np.isfinite(logits).all():
        raise UserError("a logit is NaN or infinite and has no int8 value")
    scaled = scale(logits, frac)
    wrong = saturates(scaled) & mask
    if wrong.any():
        raise UserError(f"a logit of {logits[wrong][0]:g} saturates int8 at F = {frac}")
    return np.clip(scaled, INT8.min, INT8.max).astype(np.int8)


def read_sentences(path: Path) -> list[str]:
    """Return the file's lines that are not blank; raises UserError if there are none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read sentences from {path}: {error}") from error
    sentences = [line for line in lines if line.strip()]
    if not sentences:
        raise UserError(f"{path} holds no sentence")
    return sentences


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


def capture(
    path: Path, layers: Iterable[int], heads: Iterable[int], rows: int, seed: int
) -> vectors.Vectors:
    """Return `rows` sampled rows of the sentences in `path`, ready to save.

    F is chosen for each layer over all heads, sentences and queries, so that a layer's rows share
    one F and nothing unmasked saturates. The extra arrays [rows] say where each row is from: layer,
    head, sentence (a line that is not blank, from 0) and query. Raises UserError for a layer or a
    head that the model lacks, bad sentences, too many rows and a model that is not installed.
    """
    layers = _within("layer", layers, minilm.LAYERS)
    heads = _within("head", heads, minilm.HEADS)
    sentences = read_sentences(path)
    # In float64 no rounding hangs on the order in which a BLAS adds, so that every machine
    # writes the same file.
    model = minilm.MiniLM(np.float64)
    batches = [
        model.encode_tokens(sentences[first : first + BATCH])
        for first in range(0, len(sentences), BATCH)
    ]
    tokens = np.concatenate([mask.sum(axis=1) for _, mask in batches])
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

    frac = {one: choose_frac(extremes[one]) for one in layers}
    x = np.zeros(logits.shape, np.int8)
    for one in layers:
        here = layer == one
        x[here] = quantise(logits[here], frac[one], mask[here])

    source = {
        "model": minilm.MODEL,
        "package": minilm.package_version(),
        "weights_sha256": sha256(minilm.weights_path()),
        "licence": minilm.LICENCE,
        "command": command(path, layers, heads, rows, seed),
        "sentences_sha256": sha256(path),
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


def save(path: Path, rows: vectors.Vectors) -> None:
    """Write a vector file; raises UserError if it cannot be written."""
    try:
        vectors.save(path, rows)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def command(path: Path, layers: Iterable[int], heads: Iterable[int], rows: int, seed: int) -> str:
    """Return the command line that makes this capture, without the place it is written to."""
    path = path.resolve()
    # Relative, or the bytes of the file would depend on where the project is checked out.
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name
    return (
        f"python3 scripts/capture.py --layers {','.join(map(str, layers))}"
        f" --heads {','.join(map(str, heads))} --rows {rows} --seed {seed}"
        f" --sentences {shown}"
    )


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
