# SPDX-License-Identifier: Apache-2.0
"""LayerNorm inputs of a real model as uint8 rows: what data/ailayernorm_minilm.npz is made of.

A row is one token's channels before one of the 13 LayerNorms, quantised by that LayerNorm's PTF
(`models.ptf`). Each LayerNorm has a set of channel parameters, its gamma and beta among them, and
its rows follow one another: the unit's table is then loaded 13 times, and not for every row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from softnorm.models import vectors
from softnorm.models.ptf import FoldedNorm, Ptf, calibrate_mse, calibrate_output, fold

from ..errors import UserError
from ..networks import minilm
from ..paths import DATA
from . import model as capture

SHIPPED = DATA / "ailayernorm_minilm.npz"
ROWS = 260
CALIBRATION = 400  # tokens

# One row in so many is of a sentence's first token, [CLS]: channel 99 is far out there and nowhere
# else, and a sentence has but one.
FIRST_TOKENS = 10


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokens by their number over all sentences, in order: integer arrays [tokens].

    sentence: a line that is not blank, from 0. token: its place in the sentence, from 0.
    """

    sentence: np.ndarray
    token: np.ndarray

    @classmethod
    def of(cls, tokens: np.ndarray) -> "Tokens":
        """Return them for sentences of that many tokens each."""
        return cls(
            np.repeat(np.arange(len(tokens)), tokens),
            np.concatenate([np.arange(count) for count in tokens]),
        )


def choose_tokens(tokens: Tokens, rows: int, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the numbers of the tokens to calibrate with, and those to make rows of by LayerNorm.

    Both are a seeded draw. The LayerNorms share `rows` evenly, and the calibration is the same for
    all; it has half of the tokens, up to 400, and none that a row is made of. A LayerNorm's tokens
    are distinct, in random order, a tenth of them (at least one) the first of a sentence. Raises
    UserError for less than one row a LayerNorm, and if there are not enough tokens.
    """
    norms = len(minilm.NORM_INPUTS)
    if rows < norms:
        raise UserError(f"{rows} rows are too few for {norms} LayerNorms: ask for {norms} or more")
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(tokens.token))
    calibration, rest = np.split(shuffled, [min(CALIBRATION, len(shuffled) // 2)])
    first = rest[tokens.token[rest] == 0]
    later = rest[tokens.token[rest] > 0]
    chosen = []
    for norm in range(norms):
        count = rows // norms + (norm < rows % norms)
        at_first = -(-count // FIRST_TOKENS)
        if at_first > len(first) or count - at_first > len(later):
            raise UserError(
                f"{rows} rows take {at_first} first and {count - at_first} later tokens, these "
                f"sentences have {len(first)} and {len(later)} beside those to calibrate with: "
                "ask for fewer rows or give more sentences"
            )
        drawn = [
            rng.choice(first, at_first, replace=False),
            rng.choice(later, count - at_first, replace=False),
        ]
        chosen.append(rng.permutation(np.concatenate(drawn)))
    return calibration, chosen


def norm_inputs(
    model: minilm.MiniLM, batches: Sequence[capture.Batch], wanted: np.ndarray
) -> list[np.ndarray]:
    """Return each LayerNorm's inputs [wanted, channels] at tokens of these ascending numbers."""
    kept = {norm: [] for norm in minilm.NORM_INPUTS}
    start = 0
    for ids, attention_mask in batches:
        end = start + int(attention_mask.sum())
        here = wanted[(wanted >= start) & (wanted < end)] - start

        def keep(name: str, layer: int, array: np.ndarray, mask=attention_mask, here=here) -> None:
            if (name, layer) in kept:
                kept[name, layer].append(array[mask][here])

        model.forward(ids, attention_mask, keep)
        start = end
    return [np.concatenate(parts) for parts in kept.values()]


def fit(samples: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> tuple[Ptf, FoldedNorm]:
    """Return the quantiser of a LayerNorm's inputs and its parameters as the unit takes them.

    samples: real inputs [samples, channels]. gamma, beta: the float layer's, [channels]. All
    channels share one output step.
    """
    ptf = calibrate_mse(samples)
    ptf = replace(ptf, scale=_short(ptf.scale))
    step = calibrate_output(minilm.layer_norm(samples, gamma, beta), gamma, beta)[0]
    return ptf, fold(gamma, beta, ptf, _short(step))


def capture_norms(path: Path, rows: int, seed: int) -> vectors.Vectors:
    """Return `rows` sampled rows of the sentences in `path`, ready to save.

    Set n of the channels is LayerNorm n, in the order in which the model computes them. The extra
    arrays say where each row [rows] is from: norm (n), kind (embedding, attention, output), layer,
    sentence (a line that is not blank, from 0) and token; and what the integers are worth [13]:
    scale, of the PTF, and step, the real value of an output of 1. Raises UserError for bad
    sentences, too few or too many rows and a model that is not installed.
    """
    model, batches, counts = capture.load(path)
    tokens = Tokens.of(counts)
    calibration, chosen = choose_tokens(tokens, rows, seed)
    wanted = np.unique(np.concatenate([calibration, *chosen]))
    inputs = norm_inputs(model, batches, wanted)

    x, ptfs, folded = [], [], []
    for name, own, real in zip(minilm.NORM_INPUTS, chosen, inputs, strict=True):
        samples = real[np.searchsorted(wanted, calibration)]
        ptf, norm = fit(samples, *model.norm_parameters(*name))
        x.append(ptf.quantise(real[np.searchsorted(wanted, own)]))
        ptfs.append(ptf)
        folded.append(norm)

    norm = np.repeat(np.arange(len(chosen)), [len(own) for own in chosen])
    numbers = np.concatenate(chosen)
    kinds = np.array([name.removesuffix("_norm_input") for name, _ in minilm.NORM_INPUTS])
    layers = np.array([layer for _, layer in minilm.NORM_INPUTS], np.int8)
    source = {
        **capture.source(path, {"unit": "ailayernorm", "rows": rows, "seed": seed}),
        "calibration_tokens": len(calibration),
    }
    return vectors.Vectors(
        unit="ailayernorm",
        parameters={},
        settings={"rms": 0},
        x=np.concatenate(x),
        row_settings={
            name: np.array([getattr(one, name) for one in folded])[norm]
            for name in ("zp", "gfrac", "ofrac")
        },
        channels={
            name: np.stack([getattr(one.channels, name) for one in folded])
            for name in ("alpha", "gamma", "beta")
        },
        channel_set=norm,
        extra={
            "norm": norm.astype(np.int8),
            "kind": kinds[norm],
            "layer": layers[norm],
            "sentence": tokens.sentence[numbers].astype(np.int32),
            "token": tokens.token[numbers].astype(np.int16),
            "scale": np.array([ptf.scale for ptf in ptfs]),
            "step": np.array([one.step[0] for one in folded]),
        },
        meta={"source": source},
    )


def _short(value: float) -> float:
    """Return six digits of a calibrated value: its last ones hang on the order a BLAS adds in."""
    return float(f"{value:.6g}")
