# SPDX-License-Identifier: Apache-2.0
"""Training of `digits`: plain numpy, gradients by hand, the same weights for the same seed.

Images are shifted, turned, scaled, sheared and made noisy at random, a little; AdamW with a cosine
schedule moves the weights. What is kept is a running mean of them, the one with the least loss on
the validation images. Training sees no test image.
"""

import json
import math
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..paths import write_whole
from .digits import (
    CLASSES,
    HEADS,
    LAYERS,
    LICENCE,
    NORM_INPUTS,
    SPLIT,
    TOKENS,
    WIDTH,
    Digits,
    Vit,
    Weights,
    accuracy,
    join_heads,
    norm_name,
    patches,
    shapes,
    split_heads,
)
from .minilm import LAYER_NORM_EPSILON, erf, float_softmax

BATCH = 50
RATE = 2e-3  # at its peak
WARM_UP = 0.05  # of the steps
DECAY = 0.05  # of matrices, times the rate
MOMENTS = (0.9, 0.99)
SMOOTHING = 0.1  # of the labels
AVERAGE = 0.99  # of the running mean of the weights
CHECK = 100  # steps between two looks at the validation images
STEPS = 4000
SIZES = (1000, 200, 597)  # images for training, validation and test

Back = Callable[[np.ndarray], np.ndarray]  # gradient of an output -> gradient of its input


def initial_weights(rng: np.random.Generator, dtype: type[np.floating] = np.float32) -> dict:
    """Return random weights of the names and shapes of `digits.shapes`."""
    weights = {}
    for name, shape in shapes().items():
        if name.endswith("gamma"):
            array = np.ones(shape)
        elif name.endswith((".bias", "beta")):
            array = np.zeros(shape)
        else:
            spread = 0.02 if name in ("class", "position") else math.sqrt(2 / sum(shape))
            array = spread * rng.standard_normal(shape)
        weights[name] = array.astype(dtype)
    return weights


def distort(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return images [batch, 8, 8] of 0..16 shifted, turned, scaled and sheared, with noise.

    By up to a pixel, 10 degrees, a tenth and a tenth, each image its own way; between pixels it is
    linear, outside is 0. The noise has a standard deviation of 1.
    """
    batch = len(images)
    turn = rng.uniform(-np.pi / 18, np.pi / 18, batch)
    scale, shear = rng.uniform(0.9, 1.1, (2, batch)), rng.uniform(-0.1, 0.1, batch)
    matrix = np.array([[np.cos(turn), shear - np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = np.moveaxis(matrix * scale[:, None], -1, 0)
    at = np.indices((8, 8)).reshape(2, 64) - 3.5
    source = matrix @ at + 3.5 + rng.uniform(-1, 1, (batch, 2, 1))
    source = np.clip(source, -1, 8) + 1  # in the image with a frame of zeros
    padded = np.zeros((batch, 11, 11))
    padded[:, 1:9, 1:9] = images
    whole = source.astype(int)
    part = source - whole
    each = np.arange(batch)[:, None]
    result = np.zeros((batch, 64))
    for down in (0, 1):
        for right in (0, 1):
            share = (part[:, 0] if down else 1 - part[:, 0]) * (
                part[:, 1] if right else 1 - part[:, 1]
            )
            result += share * padded[each, whole[:, 0] + down, whole[:, 1] + right]
    result = np.clip(result + rng.standard_normal(result.shape), 0, 16)
    return result.reshape(batch, 8, 8)


def loss_and_gradients(
    weights: Weights, images: np.ndarray, labels: np.ndarray, smoothing: float = 0.0
) -> tuple[float, dict[str, np.ndarray]]:
    """Return the mean cross-entropy of a batch and its gradient by each weight.

    images [batch, 8, 8] of 0..16, labels [batch] of 0..9; smoothing: share of a label that goes to
    all classes alike. It computes in the weights' dtype.
    """
    gradients: dict[str, np.ndarray] = {}
    dtype = weights["class"].dtype

    def linear(name: str, x: np.ndarray) -> tuple[np.ndarray, Back]:
        weight = weights[f"{name}.weight"]
        flat = x.reshape(-1, x.shape[-1])

        def back(dy: np.ndarray) -> np.ndarray:
            dy = dy.reshape(-1, dy.shape[-1])
            gradients[f"{name}.weight"] = flat.T @ dy
            gradients[f"{name}.bias"] = dy.sum(axis=0)
            return (dy @ weight.T).reshape(x.shape)

        y = flat @ weight + weights[f"{name}.bias"]
        return y.reshape(*x.shape[:-1], -1), back

    def norm(n: int, x: np.ndarray) -> tuple[np.ndarray, Back]:
        at = norm_name(n)
        gamma, beta = weights[f"{at}.gamma"], weights[f"{at}.beta"]
        unit = x - x.mean(axis=-1, keepdims=True)
        inverse = 1 / np.sqrt(np.square(unit).mean(axis=-1, keepdims=True) + LAYER_NORM_EPSILON)
        unit *= inverse

        def back(dy: np.ndarray) -> np.ndarray:
            gradients[f"{at}.gamma"] = (dy * unit).reshape(-1, WIDTH).sum(axis=0)
            gradients[f"{at}.beta"] = dy.reshape(-1, WIDTH).sum(axis=0)
            dy = dy * gamma
            along = (dy * unit).mean(axis=-1, keepdims=True)
            return inverse * (dy - dy.mean(axis=-1, keepdims=True) - unit * along)

        return unit * gamma + beta, back

    def attention(layer: int, x: np.ndarray) -> tuple[np.ndarray, Back]:
        at = f"{layer}.attention"
        parts = [linear(f"{at}.{part}", x) for part in ("query", "key", "value")]
        query, key, value = (split_heads(y) for y, _ in parts)
        factor = dtype.type(1 / math.sqrt(WIDTH // HEADS))
        p = float_softmax(query @ key.swapaxes(-1, -2) * factor, np.True_, layer)
        y, dense_back = linear(f"{at}.dense", join_heads(p @ value))

        def back(dy: np.ndarray) -> np.ndarray:
            dy = split_heads(dense_back(dy))
            dp = dy @ value.swapaxes(-1, -2)
            dlogits = p * (dp - (dp * p).sum(axis=-1, keepdims=True)) * factor
            by_part = (dlogits @ key, dlogits.swapaxes(-1, -2) @ query, p.swapaxes(-1, -2) @ dy)
            return sum(
                part_back(join_heads(d)) for (_, part_back), d in zip(parts, by_part, strict=True)
            )

        return y, back

    def feed_forward(layer: int, x: np.ndarray) -> tuple[np.ndarray, Back]:
        inner, inner_back = linear(f"{layer}.inner", x)
        below = (1 + erf(inner * dtype.type(math.sqrt(0.5)))) / 2  # the normal distribution
        y, output_back = linear(f"{layer}.output", inner * below)

        def back(dy: np.ndarray) -> np.ndarray:
            density = np.exp(-np.square(inner) / 2) / dtype.type(math.sqrt(2 * math.pi))
            return inner_back(output_back(dy) * (below + inner * density))

        return y, back

    embedded, patch_back = linear("patch", patches(images).astype(dtype))
    hidden = np.empty((len(images), TOKENS, WIDTH), dtype)
    hidden[:, 0] = weights["class"]
    hidden[:, 1:] = embedded
    hidden += weights["position"]
    backs = []
    for layer in range(LAYERS):
        for n, part in ((2 * layer, attention), (2 * layer + 1, feed_forward)):
            x, norm_back = norm(n, hidden)
            y, part_back = part(layer, x)
            hidden = hidden + y
            backs.append((norm_back, part_back))
    x, norm_back = norm(len(NORM_INPUTS) - 1, hidden[:, 0])
    scores, head_back = linear("head", x)

    scores = scores - scores.max(axis=1, keepdims=True)
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    wanted = np.full(scores.shape, smoothing / CLASSES, dtype)
    wanted[np.arange(len(labels)), labels] += dtype.type(1 - smoothing)
    loss = -float((wanted * log_p).sum(axis=1).mean())

    dhidden = np.zeros_like(hidden)
    dhidden[:, 0] = norm_back(head_back((np.exp(log_p) - wanted) / dtype.type(len(labels))))
    for norm_back, part_back in reversed(backs):
        dhidden = dhidden + norm_back(part_back(dhidden))
    gradients["position"] = dhidden.sum(axis=0)
    gradients["class"] = gradients["position"][0]
    patch_back(dhidden[:, 1:])
    return loss, gradients


@dataclass(frozen=True, eq=False)
class Trained:
    """Weights as they are shipped (float16), and what is known of them.

    step: where they were taken. loss, accuracy: on the validation images. done: False if the
    training was interrupted.
    """

    weights: dict[str, np.ndarray]
    step: int
    loss: float
    accuracy: float
    done: bool


def train(
    training: Digits,
    validation: Digits,
    seed: int,
    steps: int = STEPS,
    progress: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Return the best weights on the validation images; a word to `progress` at each look at them.

    An interruption (Ctrl-C) ends it with the best so far; one before the first look goes on to the
    caller. Raises UserError for less than one step.
    """
    if steps < 1:
        raise UserError(f"{steps} steps train nothing: ask for 1 or more")
    rng = np.random.default_rng(seed)
    weights = initial_weights(rng)
    mean = {name: array.copy() for name, array in weights.items()}
    first, second = ({n: np.zeros_like(a) for n, a in weights.items()} for _ in range(2))
    best, done = None, False
    try:
        order, losses = np.empty(0, int), []
        for step in range(1, steps + 1):
            if len(order) < BATCH:
                order = rng.permutation(len(training))
            chosen, order = order[:BATCH], order[BATCH:]
            images = distort(training.images[chosen], rng)
            loss, gradients = loss_and_gradients(
                weights, images, training.labels[chosen], SMOOTHING
            )
            losses.append(loss)
            _move(weights, gradients, first, second, step, steps)
            keep = min(AVERAGE, step / (step + 10))  # the first weights are soon forgotten
            for name, array in weights.items():
                mean[name] += np.float32(1 - keep) * (array - mean[name])
            if step % CHECK and step != steps:
                continue
            found = _look(mean, validation, step)
            if best is None or found.loss < best.loss:
                best = found
            progress(
                f"step {step}/{steps}: training loss {np.mean(losses):.4f}, validation loss "
                f"{found.loss:.4f}, accuracy {100 * found.accuracy:.1f} %"
            )
            losses = []
        done = True
    except KeyboardInterrupt:
        if best is None:
            raise
    return Trained(best.weights, best.step, best.loss, best.accuracy, done)


def _move(weights: dict, gradients: dict, first: dict, second: dict, step: int, steps: int) -> None:
    """Move the weights by one step of AdamW, the gradient's length cut to 1."""
    warm = max(1, round(WARM_UP * steps))
    rate = RATE * min(
        step / warm, (1 + math.cos(math.pi * max(0, step - warm) / max(1, steps - warm))) / 2
    )
    length = math.sqrt(sum(float(np.vdot(g, g)) for g in gradients.values()))
    cut = np.float32(min(1, 1 / max(length, 1e-12)))
    b1, b2 = map(np.float32, MOMENTS)
    for name, array in weights.items():
        g = gradients[name] * cut
        first[name] += (1 - b1) * (g - first[name])
        second[name] += (1 - b2) * (np.square(g) - second[name])
        m = first[name] / np.float32(1 - MOMENTS[0] ** step)
        v = second[name] / np.float32(1 - MOMENTS[1] ** step)
        array -= np.float32(rate) * m / (np.sqrt(v) + np.float32(1e-8))
        if name.endswith(".weight"):
            array *= np.float32(1 - rate * DECAY)


def _look(weights: Weights, validation: Digits, step: int) -> Trained:
    """Return the weights, rounded as they will be shipped, with their figures."""
    rounded = {name: array.astype(np.float16) for name, array in weights.items()}
    scores = Vit(rounded).forward(validation.images)
    p = float_softmax(scores, np.True_, 0)
    loss = -np.log(p[np.arange(len(validation)), validation.labels]).mean()
    return Trained(rounded, step, float(loss), accuracy(scores, validation.labels), False)


def collect(sizes: tuple[int, int, int] = SIZES, seed: int = 1) -> tuple[dict, dict]:
    """Return arrays and meta of data/digits.npz: scikit-learn's digits and a seeded split of them.

    sizes: images for each part of SPLIT. Raises UserError without scikit-learn.
    """
    try:
        import sklearn
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UserError(
            "the images come from scikit-learn, which is not installed; "
            f"run: {sys.executable} -m pip install scikit-learn"
        ) from error
    images, labels = load_digits().images.astype(np.uint8), load_digits().target.astype(np.uint8)
    split = np.repeat(np.arange(len(SPLIT), dtype=np.uint8), sizes)
    split = np.random.default_rng(seed).permutation(split)
    source = {
        "data_set": "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak (1998)",
        "doi": "10.24432/C50P49",
        "licence": LICENCE,
        "package": f"scikit-learn=={sklearn.__version__}",
        "split_seed": seed,
    }
    return {"images": images, "labels": labels, "split": split}, {"source": source}


def save(path: Path, arrays: Weights, meta: dict[str, object]) -> None:
    """Write arrays and a meta, as JSON text, to an .npz; the same ones make the same bytes.

    Raises UserError if it cannot be written.
    """
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in {"meta": np.array(json.dumps(meta)), **arrays}.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            data = BytesIO()
            np.lib.format.write_array(data, np.asarray(array, order="C"), allow_pickle=False)
            archive.writestr(entry, data.getvalue())
    try:
        write_whole(path, file.getvalue())
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
