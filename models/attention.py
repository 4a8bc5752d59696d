# SPDX-License-Identifier: Apache-2.0
"""Attention with E2Softmax, in tiles that never hold a whole row of scores, and in whole rows.

FlashAttention's loop (Dao et al., NeurIPS 2022, arXiv 2205.14135) around the unit with BLOCKS = 1
and FORMATS = 1: a tile of keys at a time, scores go into the unit as one block of each query's row
and come out as unnormalised weights, relative to the largest score so far. They multiply the values
at once. When a later block raises the maximum, what has accumulated is multiplied by the unit's
`correction`; the end is one multiplication a row, by its `reciprocal`.

The running maximum and the sum are carried, so both are bit for bit those of the whole row. An
output is not: a whole row's weight has one code for the way from its beat's maximum to the row's,
a tile's weight has one for the way to its block's and one for each rise after that, each rounded.
What is left of a weight is rounded to 8 bits relative to the largest score so far, which in a tile
is a finer step. `weights` and `whole_weights` give both for each key, and no element of the outputs
differs by more than the sum of their differences times the largest value.

Scores are integers, logits of any scale M * 2^-S: `q @ k.T` as it is. Products are exact, in
float64. Accumulators are float64: corrections are powers of two, or 181/256 times one.
"""

from collections.abc import Iterator

import numpy as np

from .e2softmax import UNNORMALISED, E2Softmax, SoftmaxResult

LONGEST_HEAD = (1 << 17) - 1  # elements of a query for which a score of int8 surely fits int32


class Flash:
    """The state of attention for a batch of queries, between blocks of keys.

    unit: with BLOCKS = 1 and FORMATS = 1. shape: of the batch of queries, [..., queries]; the unit
    sees them as rows, in C order. width: elements of a value. scale: the unit's settings of it,
    mult and shift or frac, integers or [rows].

    acc: float64 [..., queries, width], relative to `max`. max, sum: int64 [rows], the unit's state.
    Raises ValueError for a unit that cannot do it.
    """

    def __init__(
        self, unit: E2Softmax, shape: tuple[int, ...], width: int, **scale: int | np.ndarray
    ) -> None:
        if not (unit.BLOCKS and unit.FORMATS):
            raise ValueError(
                "attention in tiles needs a unit with BLOCKS = 1 and FORMATS = 1, got "
                f"BLOCKS = {unit.BLOCKS} and FORMATS = {unit.FORMATS}: build it so"
            )
        self.unit, self.scale = unit, scale
        self.acc = np.zeros((*shape, width))
        rows = int(np.prod(shape))
        self.max, self.sum = np.zeros((2, rows), np.int64)

    @property
    def settings(self) -> dict[str, int | np.ndarray]:
        """The unit's run-time settings for the next block of every row."""
        carry = {"carry_max": self.max, "carry_sum": self.sum}
        return {**self.scale, **carry, "fmt": UNNORMALISED}

    def take(self, result: SoftmaxResult, v: np.ndarray) -> np.ndarray:
        """Take a block's outputs [rows, keys], from the model or from RTL, and its values.

        v: [..., keys, width], integers. Returns the correction that was due, float64 [rows].
        """
        if result.out_max is None or result.out_sum is None:
            raise ValueError("the block's outputs have no state: take a unit with BLOCKS = 1")
        correction = self.unit.correction(self.max, result.out_max, **self.scale)
        shape = self.acc.shape[:-1]
        self.acc *= correction.reshape(*shape, 1)
        self.acc += result.to_real().reshape(*shape, -1) @ np.asarray(v, np.float64)
        self.max, self.sum = result.out_max, result.out_sum
        return correction

    def step(self, scores: np.ndarray, v: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Run the model on a block of scores [..., queries, keys], and take what comes out.

        mask: bool, of the scores' shape, True is unmasked; None masks nothing. All blocks but the
        last are of whole beats. Returns as `take`.
        """
        mask = None if mask is None else mask.reshape(-1, scores.shape[-1])
        rows = scores.reshape(-1, scores.shape[-1])
        return self.take(self.unit(rows, mask, **self.settings), v)

    def finish(self) -> np.ndarray:
        """Return the outputs, float64 [..., queries, width]; 0 where every key was masked."""
        factor = self.unit.reciprocal(self.sum)
        return self.acc * factor.reshape(*self.acc.shape[:-1], 1)


def scores_of(q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Return q times k transposed: int32 [..., queries, keys] of int8 [..., queries or keys, head].

    Raises TypeError for anything but int8, ValueError for a head of so many elements that a score
    may not fit.
    """
    for name, array in (("q", q), ("k", k)):
        if not isinstance(array, np.ndarray) or array.dtype != np.int8:
            got = getattr(array, "dtype", type(array).__name__)
            raise TypeError(f"{name} must be an int8 array, got {got}: quantise it first")
    if q.shape[-1] > LONGEST_HEAD:
        raise ValueError(f"a head must have {LONGEST_HEAD} elements at most, got {q.shape[-1]}")
    product = q.astype(np.float64) @ np.swapaxes(k, -1, -2).astype(np.float64)  # exact below 2^53
    return product.astype(np.int32)


def flash_attention(
    unit: E2Softmax,
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    block: int,
    **scale: int | np.ndarray,
) -> Flash:
    """Return attention in tiles of `block` keys, at its end: `finish` gives its outputs.

    unit: with IN_W = 32, SCALE = 1, BLOCKS = 1, FORMATS = 1. q, k: int8 [..., queries, head] and
    [..., keys, head]. v: int8 [..., keys, width]. mask: bool, broadcast to [..., queries, keys],
    True is unmasked; None masks nothing. block: a multiple of LANES, MAX_LEN at most. scale: mult
    and shift. No more than a tile's scores is there at a time.

    Raises TypeError or ValueError, with what to do about it.
    """
    _check_width(unit)
    shape = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    state = Flash(unit, (*shape, q.shape[-2]), v.shape[-1], **scale)
    for keys in tiles(unit, k.shape[-2], block):
        scores = scores_of(q, k[..., keys, :])
        state.step(scores, v[..., keys, :], _part(mask, scores.shape, keys))
    return state


def flash_scores(
    unit: E2Softmax,
    scores: np.ndarray,
    v: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    block: int,
    **scale: int | np.ndarray,
) -> Flash:
    """As `flash_attention`, for scores [..., queries, keys] in the unit's own format."""
    state = Flash(unit, scores.shape[:-1], v.shape[-1], **scale)
    for keys in tiles(unit, scores.shape[-1], block):
        part = scores[..., keys]
        state.step(part, v[..., keys, :], _part(mask, part.shape, keys))
    return state


def whole_attention(
    unit: E2Softmax,
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    fmt: int = UNNORMALISED,
    **scale: int | np.ndarray,
) -> np.ndarray:
    """Return attention from whole rows: float64 [..., queries, width].

    Arguments as for `flash_attention`; MAX_LEN holds all keys. fmt: of the unit's outputs; 2, the
    unnormalised format, takes the same last step as attention in tiles.
    """
    _check_width(unit)
    scores = scores_of(q, k)
    some = _part(mask, scores.shape, slice(None))
    rows = None if some is None else some.reshape(-1, scores.shape[-1])
    weights = whole_weights(unit, scores.reshape(-1, scores.shape[-1]), rows, fmt=fmt, **scale)
    return weights.reshape(scores.shape) @ v.astype(np.float64)


def whole_weights(
    unit: E2Softmax,
    scores: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    fmt: int = UNNORMALISED,
    **scale: int | np.ndarray,
) -> np.ndarray:
    """Return each key's weight in whole rows of scores [rows, keys]: float64 [rows, keys]."""
    result = unit(scores, mask, fmt=fmt, **scale)
    if fmt < UNNORMALISED:
        return result.to_real()
    total = result.out_sum
    if total is None:
        total = unit.trace(scores, mask, fmt=fmt, **scale).sum
    return result.to_real() * unit.reciprocal(total)[:, None]


def weights(
    unit: E2Softmax,
    scores: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    block: int,
    **scale: int | np.ndarray,
) -> np.ndarray:
    """Return each key's weight at the end of attention in tiles: float64 [rows, keys]."""
    state = Flash(unit, scores.shape[:-1], 0, **scale)
    found = np.zeros(scores.shape)
    for keys in tiles(unit, scores.shape[-1], block):
        part = scores[:, keys]
        result = unit(part, _part(mask, part.shape, keys), **state.settings)
        correction = state.take(result, np.zeros((part.shape[1], 0)))
        found[:, : keys.start] *= correction[:, None]
        found[:, keys] = result.to_real()
    return found * unit.reciprocal(state.sum)[:, None]


def tiles(unit: E2Softmax, keys: int, block: int) -> Iterator[slice]:
    """Return the tiles of so many keys, `block` in each but the last.

    Raises ValueError for a block that is not whole beats, or longer than the unit's rows.
    """
    if block < 1 or block % unit.LANES or block > unit.MAX_LEN:
        raise ValueError(
            f"block must be a multiple of LANES = {unit.LANES}, MAX_LEN = {unit.MAX_LEN} at most, "
            f"got {block}: a row is cut between beats"
        )
    return (slice(start, min(start + block, keys)) for start in range(0, keys, block))


def _check_width(unit: E2Softmax) -> None:
    if unit.IN_W != 32:
        raise ValueError(f"scores of int8 need a unit with IN_W = 32, got {unit.IN_W}: build it so")


def _part(mask: np.ndarray | None, shape: tuple[int, ...], keys: slice) -> np.ndarray | None:
    """Return the mask of some keys, in the shape of their scores."""
    if mask is None:
        return None
    part = mask if mask.shape[-1] == 1 else mask[..., keys]
    return np.broadcast_to(part, shape)
