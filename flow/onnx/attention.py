# SPDX-License-Identifier: Apache-2.0
"""Attention nodes taken apart: products in floating point, and the softmax between them.

ONNX's own Attention, and onnxruntime's Attention, QAttention and MultiHeadAttention, as their
schemas describe them. What a node has beyond that (rotary embeddings, shared caches, beams) is
refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from onnx import NodeProto

from .parts import Given, Part, Refused, Split, as_float, at, attributes

Array = np.ndarray


def split_heads(x: Array, heads: int) -> Array:
    """[batch, token, heads * width] as [batch, heads, token, width]."""
    batch, tokens, width = x.shape
    return x.reshape(batch, tokens, heads, width // heads).transpose(0, 2, 1, 3)


def _together(x: Array) -> Array:
    """The other way round."""
    batch, heads, tokens, width = x.shape
    return x.transpose(0, 2, 1, 3).reshape(batch, tokens, heads * width)


def _causal(queries: int, keys: int, before: int = 0) -> Array:
    """Which keys a query sees, [queries, keys]: those up to itself, behind `before` cached ones."""
    return np.arange(keys) <= np.arange(queries)[:, None] + before


def products_around(
    logits: Array, value: Array, dtype: np.dtype, more: list[Array], flat: bool
) -> Part:
    """The part of logits [batch, heads, query, key], value [batch, heads, key, width]."""

    def finish(shares: Array) -> list[Array]:
        out = shares @ value
        return [(_together(out) if flat else out).astype(dtype), *more]

    return Part(np.ascontiguousarray(logits), finish, heads=logits.shape[1])


def scores(query: Array, key: Array, scale: float | None) -> Array:
    scale = scale or 1 / math.sqrt(query.shape[-1])
    return (as_float(query) @ as_float(key).swapaxes(-1, -2)) * np.float32(scale)


def attention(graph: object, node: NodeProto) -> Split:
    """ONNX's Attention: inputs of three or four axes, keys shared by heads, a cache, a window."""
    has = attributes(node)
    if has.get("qk_matmul_output_mode", 0) and len(node.output) > 3 and node.output[3]:
        raise Refused("its scores are an output, too")
    keep = [place for place in (1, 2) if place < len(node.output) and node.output[place]]
    left, right = has.get("left_window_size", -1), has.get("right_window_size", -1)

    def split(given: Given) -> Part:
        query, key, value = given[:3]
        flat = query.ndim == 3
        if flat:
            query = split_heads(query, has["q_num_heads"])
            key, value = (split_heads(x, has["kv_num_heads"]) for x in (key, value))
        before = 0
        if at(given, 4) is not None:
            before = given[4].shape[2]
            key, value = (
                np.concatenate(pair, axis=2) for pair in ((given[4], key), (given[5], value))
            )
        caches = [(key, value)[place - 1] for place in keep]
        shared = query.shape[1] // key.shape[1]
        wide = [np.repeat(x, shared, axis=1) for x in (key, value)] if shared > 1 else [key, value]
        logits = scores(query, wide[0], has.get("scale"))
        if has.get("softcap", 0):
            logits = np.tanh(logits / has["softcap"]) * np.float32(has["softcap"])
        queries, keys = logits.shape[-2:]
        offset = np.full((1, 1, 1, 1), before)
        live = np.ones((1, 1, queries, keys), bool)
        if at(given, 6) is not None:
            counts = given[6].reshape(-1, 1, 1, 1)
            live = live & (np.arange(keys) < counts)
            offset = counts - queries
        place = np.arange(queries)[:, None] + offset - np.arange(keys)
        if has.get("is_causal", 0):
            live = live & (place >= 0)
        if left >= 0:
            live = live & (place <= left)
        if right >= 0:
            live = live & (-place <= right)
        mask = at(given, 3)
        if mask is not None:
            short = keys - mask.shape[-1]
            if short:
                fill = False if mask.dtype == bool else -np.inf
                pads = [(0, 0)] * (mask.ndim - 1) + [(0, short)]
                mask = np.pad(mask, pads, constant_values=fill)
            if mask.dtype == bool:
                live = live & mask
            else:
                logits = logits + as_float(mask)
        logits = np.where(live, logits, -np.inf).astype(logits.dtype)
        return products_around(logits, as_float(wide[1]), query.dtype, caches, flat)

    return split


def _masked(logits: Array, mask: Array | None, least: float, before: int = 0) -> Array:
    """Add what onnxruntime's masks add: `least` where they are 0.

    mask: [batch] lengths, [2 * batch] ends and starts, [batch, key], [batch, query, key], or
    [batch, 1, most, most].
    """
    if mask is None:
        return logits
    batch, _, queries, keys = logits.shape
    if mask.ndim == 1:
        place = np.arange(keys)
        if len(mask) == batch:
            live = place < mask[:, None]
        elif len(mask) == 2 * batch:
            live = (place < mask[:batch, None]) & (place >= mask[batch:, None])
        else:
            raise Refused("its mask is of packed rows")
        live = live[:, None, None]
    elif mask.ndim == 2:
        live = mask[:, None, None] != 0
    elif mask.ndim == 3:
        live = mask[:, None] != 0
    else:
        live = mask[:, :, before : before + queries, :keys] != 0
    return logits + np.where(live, 0, least).astype(logits.dtype)


def contrib_attention(graph: object, node: NodeProto) -> Split:
    """onnxruntime's Attention: the projections of queries, keys and values are inside."""
    self_attention = _self_attention(node)

    def split(given: Given) -> Part:
        x, weights, bias = given[0], given[1], at(given, 2)
        if at(given, 6) is not None:
            raise Refused("its cache is a shared buffer")
        every = as_float(x) @ as_float(weights)
        if bias is not None:
            every = every + bias
        return self_attention(every, at(given, 3), at(given, 4), at(given, 5), x.dtype)

    return split


def quantised_attention(graph: object, node: NodeProto) -> Split:
    """onnxruntime's QAttention: the same of integers with scales and zero points, floats behind."""
    self_attention = _self_attention(node)

    def split(given: Given) -> Part:
        x, weights, bias, x_scale, w_scale = given[:5]
        x_zero, w_zero = at(given, 6), at(given, 7)
        whole = [
            values.astype(np.float64) - (0 if zero is None else zero.astype(np.float64))
            for values, zero in ((x, x_zero), (weights, w_zero))
        ]
        # Integers below 2^53: the products are those of the node.
        every = (whole[0] @ whole[1]) * (x_scale * w_scale) + (0 if bias is None else bias)
        every = every.astype(np.float32)
        return self_attention(every, at(given, 5), at(given, 8), None, every.dtype)

    return split


def _self_attention(node: NodeProto) -> Callable[..., Part]:
    """What both do with the projections [batch, token, all of them]: their mask, cache and bias."""
    has = attributes(node)
    for name in ("do_rotary", "past_present_share_buffer"):
        if has.get(name, 0):
            raise Refused(f"it has {name}")
    heads, sizes = has["num_heads"], has.get("qkv_hidden_sizes")
    least = has.get("mask_filter_value", -10000.0)

    def part(
        every: Array, mask: Array | None, past: Array | None, bias: Array | None, dtype: np.dtype
    ) -> Part:
        ends = np.cumsum(sizes or [every.shape[-1] // 3] * 3)
        parts = np.split(every, ends[:2], axis=-1)
        query, key, value = (split_heads(one, heads) for one in parts)
        before = 0
        if past is not None:
            before = past.shape[3]
            key, value = (
                np.concatenate([old, new], axis=2)
                for old, new in zip(past, (key, value), strict=True)
            )
        logits = _masked(scores(query, key, has.get("scale")), mask, least, before)
        if has.get("unidirectional", 0):
            logits = np.where(_causal(*logits.shape[-2:], before), logits, -np.inf)
        if bias is not None:
            logits = logits + bias
        more = []
        if len(node.output) > 1 and node.output[1]:
            more = [np.stack([key, value]).astype(dtype)]
        return products_around(logits.astype(np.float32), value, dtype, more, True)

    return part


def multi_head_attention(graph: object, node: NodeProto) -> Split:
    """onnxruntime's MultiHeadAttention: queries, keys and values come in."""
    has = attributes(node)
    heads, least = has["num_heads"], has.get("mask_filter_value", -10000.0)
    if any(node.input[8:]):
        raise Refused("its cache is a shared buffer")

    def split(given: Given) -> Part:
        query, key, value, bias = (at(given, place) for place in range(4))
        like = query
        if key is None or query.ndim != 3:
            raise Refused("its queries, keys and values are packed")
        query = split_heads(query, heads)
        key, value = (x if x.ndim == 4 else split_heads(x, heads) for x in (key, value))
        if bias is not None:
            wide, wide_v = query.shape[-1] * heads, value.shape[-1] * heads
            parts = np.split(bias, [wide, 2 * wide]) if len(bias) == 2 * wide + wide_v else None
            if parts is None:
                raise Refused("its bias is not that of queries, keys and values")
            query, key, value = (
                x + part.reshape(1, heads, 1, -1)
                for x, part in zip((query, key, value), parts, strict=True)
            )
        before = 0
        if at(given, 6) is not None:
            before = given[6].shape[2]
            key, value = (
                np.concatenate(pair, axis=2) for pair in ((given[6], key), (given[7], value))
            )
        logits = _masked(scores(query, key, has.get("scale")), at(given, 4), least)
        if has.get("unidirectional", 0):
            logits = np.where(_causal(*logits.shape[-2:], before), logits, -np.inf)
        if at(given, 5) is not None:
            logits = logits + given[5]
        caches = [
            (key, value)[place - 1].astype(like.dtype)
            for place in (1, 2)
            if place < len(node.output) and node.output[place]
        ]
        return products_around(logits.astype(np.float32), as_float(value), like.dtype, caches, True)

    return split
