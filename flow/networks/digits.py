# SPDX-License-Identifier: Apache-2.0
"""A small vision transformer in plain numpy, and the digits that it reads.

It needs nothing beyond numpy: weights and images are in data/, and `digits_train` makes the
weights. The network is a ViT with the LayerNorms before each part. An image of 8x8 pixels becomes
16 patches, 4x4 at every second pixel, and a class token; these pass two layers of four-head
attention and a GELU feed-forward part. Anything may stand in for softmax and LayerNorm, as in
`minilm`.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..paths import DATA
from .minilm import Norm, Products, Softmax, Tap, float_softmax, gelu, layer_norm

IMAGES = DATA / "digits.npz"
WEIGHTS = DATA / "digits_vit.npz"
LICENCE = "CC BY 4.0"  # of the images
LAYERS = 2
HEADS = 4
WIDTH = 48
INNER = 96
TOKENS = 17  # the class token is the first
PATCH = 4  # pixels each way; one at every second pixel
CLASSES = 10
# (name, layer) of every LayerNorm's input, in the order in which they are computed.
NORM_INPUTS = (
    *(
        (name, layer)
        for layer in range(LAYERS)
        for name in ("attention_norm_input", "output_norm_input")
    ),
    ("class_norm_input", 0),
)
# For each LayerNorm, the linears that take its output, as `minilm.Products` names them.
NORM_READERS = (
    *(
        readers
        for layer in range(LAYERS)
        for readers in (
            tuple(f"{layer}.attention.{part}" for part in ("query", "key", "value")),
            (f"{layer}.inner",),
        )
    ),
    ("head",),
)
SPLIT = ("training", "validation", "test")

Weights = Mapping[str, np.ndarray]


def shapes() -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight by its name; a matrix is [inputs, outputs]."""
    found: dict[str, tuple[int, ...]] = {"class": (WIDTH,), "position": (TOKENS, WIDTH)}

    def linear(name: str, inputs: int, outputs: int) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = (inputs, outputs), (outputs,)

    linear("patch", PATCH**2, WIDTH)
    for layer in range(LAYERS):
        for part in ("query", "key", "value", "dense"):
            linear(f"{layer}.attention.{part}", WIDTH, WIDTH)
        linear(f"{layer}.inner", WIDTH, INNER)
        linear(f"{layer}.output", INNER, WIDTH)
    for name in map(norm_name, range(len(NORM_INPUTS))):
        found[f"{name}.gamma"] = found[f"{name}.beta"] = (WIDTH,)
    linear("head", WIDTH, CLASSES)
    return found


def norm_name(n: int) -> str:
    """Return the name of LayerNorm n's weights, n in NORM_INPUTS' order."""
    name, layer = NORM_INPUTS[n]
    kind = name.removesuffix("_input")
    return kind if kind == "class_norm" else f"{layer}.{kind}"


@dataclass(frozen=True, eq=False)
class Digits:
    """Handwritten digits: images uint8 [images, 8, 8] of 0..16, labels uint8 [images] of 0..9."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def load_digits(part: str, path: Path = IMAGES) -> Digits:
    """Return the images of a part of the data set, in its order: one of SPLIT.

    Raises UserError for a file that cannot be read, ValueError for another part.
    """
    arrays = load_arrays(path, ("images", "labels", "split"))
    chosen = arrays["split"] == SPLIT.index(part)
    return Digits(arrays["images"][chosen], arrays["labels"][chosen])


def meta(path: Path = WEIGHTS) -> dict[str, object]:
    """Return what a file says of its origin. Raises UserError if it cannot be read."""
    return json.loads(str(load_arrays(path, ("meta",))["meta"]))


def load_arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return these arrays of an .npz file. Raises UserError if it has them not."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in names}
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"cannot read {', '.join(names[:3])} from {path}: {error}") from error


def patches(images: np.ndarray) -> np.ndarray:
    """Return images [batch, 8, 8] of 0..16 as float64 [batch, 16, 16] of -1..1: patch, pixel.

    Patches overlap by half. They reach one pixel beyond the image, where all is background.
    """
    batch = len(images)
    framed = np.full((batch, 10, 10), -1.0)
    framed[:, 1:9, 1:9] = np.asarray(images, np.float64) / 8 - 1
    found = np.lib.stride_tricks.sliding_window_view(framed, (PATCH, PATCH), axis=(1, 2))
    return found[:, ::2, ::2].reshape(batch, TOKENS - 1, PATCH**2)


def split_heads(x: np.ndarray) -> np.ndarray:
    """Return x [batch, token, width] as [batch, head, token, width of a head]."""
    batch, tokens, width = x.shape
    return x.reshape(batch, tokens, HEADS, width // HEADS).swapaxes(1, 2)


def join_heads(x: np.ndarray) -> np.ndarray:
    """Return x [batch, head, token, width of a head] as [batch, token, width]."""
    batch, _, tokens, _ = x.shape
    return x.swapaxes(1, 2).reshape(batch, tokens, -1)


class Vit:
    """The model with its weights: `Vit()` is the shipped one, computing in float64.

    weights: arrays of the names and shapes of `shapes()`. Raises UserError for a shipped file that
    cannot be read, ValueError for weights of other names or shapes.
    """

    def __init__(self, weights: Weights | None = None, dtype: type[np.floating] = np.float64):
        if weights is None:
            weights = load_arrays(WEIGHTS, tuple(shapes()))
        found = {name: np.shape(array) for name, array in weights.items()}
        if found != shapes():
            wrong = min(name for name, _ in found.items() ^ shapes().items())
            raise ValueError(f"weights must be named and shaped as shapes() says, {wrong} is not")
        self._weights = {name: np.asarray(array, dtype) for name, array in weights.items()}
        self._dtype = dtype

    def forward(
        self,
        images: np.ndarray,
        tap: Tap | None = None,
        softmax: Softmax | None = None,
        norm: Norm | None = None,
        products: Products | None = None,
    ) -> np.ndarray:
        """Return the classes' scores [batch, 10] for images [batch, 8, 8] of 0..16.

        `softmax(logits, mask, layer)`, its mask all True, `norm(x, n)` and `products` stand in for
        the float functions of every layer. `tap(name, layer, array)` is called with each of these
        as it is computed; the array is the model's own, so a tap copies what it keeps:

        - `attention_norm_input`, `output_norm_input` [batch, 17, 48], before each LayerNorm
        - `attention_logits` [batch, head, query, key], scaled by 1/sqrt(12)
        - `class_norm_input` [batch, 1, 48], once, with layer 0: the class token alone
        """
        tap = tap or (lambda name, layer, array: None)
        softmax = softmax or float_softmax
        norm = norm or self.float_norm
        products = products or Products()

        def tapped(n: int, x: np.ndarray) -> np.ndarray:
            tap(*NORM_INPUTS[n], x)
            return norm(x, n)

        def linear(name: str, x: np.ndarray) -> np.ndarray:
            return products.linear(name, x, w[f"{name}.weight"], w[f"{name}.bias"])

        w = self._weights
        hidden = np.empty((len(images), TOKENS, WIDTH), self._dtype)
        hidden[:, 0] = w["class"]
        hidden[:, 1:] = linear("patch", patches(images).astype(self._dtype))
        hidden += w["position"]
        mask = np.ones((1, 1, 1, TOKENS), bool)
        for layer in range(LAYERS):
            at = f"{layer}.attention"
            x = tapped(2 * layer, hidden)
            query, key, value = (
                split_heads(linear(f"{at}.{part}", x)) for part in ("query", "key", "value")
            )
            logits = products.attention(f"{at}.logits", query, key.swapaxes(-1, -2))
            logits = logits / self._dtype(math.sqrt(WIDTH // HEADS))
            tap("attention_logits", layer, logits)
            shares = softmax(logits, mask, layer)
            context = join_heads(products.attention(f"{at}.context", shares, value))
            hidden = hidden + linear(f"{at}.dense", context)
            inner = gelu(linear(f"{layer}.inner", tapped(2 * layer + 1, hidden)))
            hidden = hidden + linear(f"{layer}.output", inner)
        return linear("head", tapped(2 * LAYERS, hidden[:, :1])[:, 0])

    def norm_parameters(self, name: str, layer: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (gamma, beta), both [48], of the LayerNorm whose input `forward` taps so.

        name, layer: one of NORM_INPUTS. Raises KeyError for another.
        """
        if (name, layer) not in NORM_INPUTS:
            raise KeyError((name, layer))
        at = norm_name(NORM_INPUTS.index((name, layer)))
        return self._weights[f"{at}.gamma"], self._weights[f"{at}.beta"]

    def float_norm(self, x: np.ndarray, n: int) -> np.ndarray:
        """Return LayerNorm n of x [.., 48], n in NORM_INPUTS' order."""
        return layer_norm(x, *self.norm_parameters(*NORM_INPUTS[n]))


def accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images [images] whose largest score [images, 10] is the label's."""
    return float((scores.argmax(axis=1) == labels).mean())
