# SPDX-License-Identifier: Apache-2.0
"""Shared by all captures of a real model's tensors: sentences in, a vector file out.

The text runs through the model in batches padded to their longest sentence, as a server would run
it. `capture_logits` and `capture_norms` say what they keep of it.
"""

import hashlib
from pathlib import Path

import numpy as np

from softnorm.models import vectors

from ..errors import UserError
from ..networks import minilm
from ..paths import DATA, ROOT

SENTENCES = DATA / "sentences.txt"
BATCH = 2  # small, for many row lengths; neighbouring lines of the file share a batch

Batch = tuple[np.ndarray, np.ndarray]  # ids int64, attention_mask bool, both [sentence, token]


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


def load(path: Path) -> tuple[minilm.MiniLM, list[Batch], np.ndarray]:
    """Return the model, the batches of the sentences in `path`, and each sentence's tokens.

    The last is an integer array [sentences]; sentence s is row s % BATCH of batch s // BATCH.
    Raises UserError for bad sentences and a model that is not installed.
    """
    sentences = read_sentences(path)
    # In float64 no rounding hangs on the order in which a BLAS adds, so that every machine
    # writes the same file.
    model = minilm.MiniLM(np.float64)
    batches = [
        model.encode_tokens(sentences[first : first + BATCH])
        for first in range(0, len(sentences), BATCH)
    ]
    return model, batches, np.concatenate([mask.sum(axis=1) for _, mask in batches])


def save(path: Path, rows: vectors.Vectors) -> None:
    """Write a vector file; raises UserError if it cannot be written."""
    try:
        vectors.save(path, rows)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def source(path: Path, options: dict[str, object]) -> dict[str, object]:
    """Return what a file's meta says of its origin: model, weights, licence, command, sentences.

    options: the command's, by name and without the sentences' `path` and the place to write to.
    Raises UserError if the model is not installed.
    """
    return {
        "model": minilm.MODEL,
        "package": minilm.package_version(),
        "weights_sha256": sha256(minilm.weights_path()),
        "licence": minilm.LICENCE,
        "command": _command(path.resolve(), options),
        "sentences_sha256": sha256(path),
    }


def _command(path: Path, options: dict[str, object]) -> str:
    # Relative, or the bytes of the file would depend on where the project is checked out.
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name
    words = [f"--{name} {value}" for name, value in {**options, "sentences": shown}.items()]
    return " ".join(["python3 scripts/capture.py", *words])


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
