# SPDX-License-Identifier: Apache-2.0
"""onnxruntime's GroupQueryAttention taken apart: caches, rotary embedding and sinks are inside it.

Decoders are exported with it. Its schema and its kernel on CPU say what it computes: rows of the
batch have caches of different lengths, in a buffer that may be longer than all of them.
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from .attention import products_around, scores, split_heads
from .parts import Given, Part, Refused, Split, as_float, at, attributes

Array = np.ndarray


def _rotated(x: Array, cos: Array, sin: Array, place: Array, interleaved: bool) -> Array:
    """Rotary embedding of x [batch, heads, token, width] at place [batch, token].

    cos, sin: [most, half]; what is beyond twice the half stays.
    """
    half = cos.shape[1]
    c, s = (as_float(table[place])[:, None] for table in (cos, sin))
    turned = as_float(x[..., : 2 * half])
    one, two = (
        (turned[..., 0::2], turned[..., 1::2])
        if interleaved
        else (turned[..., :half], turned[..., half:])
    )
    pair = one * c - two * s, one * s + two * c
    out = (
        np.stack(pair, axis=-1).reshape(turned.shape)
        if interleaved
        else np.concatenate(pair, axis=-1)
    )
    return np.concatenate([out.astype(x.dtype), x[..., 2 * half :]], axis=-1)


def group_query_attention(graph: object, node: NodeProto) -> Split:
    """onnxruntime's GroupQueryAttention, in floating point.

    A sink is one more element of a row, behind the keys, whose share is left out.
    """
    has = attributes(node)
    heads, shared = has["num_heads"], has["num_heads"] // has["kv_num_heads"]
    window = has.get("local_window_size", -1)
    for name in ("k_quant_type", "v_quant_type"):
        if has.get(name, "NONE") != "NONE":
            raise Refused("its caches are quantised inside the node")

    def split(given: Given) -> Part:
        query, key, value, past_key, past_value = given[:5]
        if key is None:
            width = query.shape[-1] // (heads + 2 * has["kv_num_heads"])
            ends = np.cumsum([heads * width, has["kv_num_heads"] * width])
            query, key, value = np.split(query, ends, axis=-1)
        like = query
        query = split_heads(query, heads)
        key, value = (split_heads(x, has["kv_num_heads"]) for x in (key, value))
        batch, _, queries, _ = query.shape
        counts, keys = given[5].reshape(-1).astype(np.int64) + 1, int(given[6].item())
        # The first prompt is as long as all there is, and its shorter rows are padded behind.
        before = np.zeros_like(counts) if queries == keys else counts - queries
        place = before[:, None] + np.arange(queries)
        if has.get("do_rotary", 0):
            spots = place if at(given, 9) is None else given[9]
            turn = (given[7], given[8], spots, bool(has.get("rotary_interleaved", 0)))
            query, key = (_rotated(x, *turn) for x in (query, key))
        caches = [
            _appended(past, new, before, keys)
            for past, new in ((past_key, key), (past_value, value))
        ]
        wide = [np.repeat(x[:, :, :keys], shared, axis=1) for x in caches]
        logits = scores(query, wide[0], has.get("scale"))
        if has.get("softcap", 0):
            logits = np.tanh(logits / has["softcap"]) * np.float32(has["softcap"])
        if at(given, 10) is not None:
            logits = logits + as_float(given[10])
        back = place[:, None, :, None] - np.arange(keys)  # [batch, 1, query, key]
        live = (back >= 0) & (np.arange(keys) < counts.reshape(-1, 1, 1, 1))
        if window >= 0:
            live = live & (back < window)
        logits = np.where(live, logits, -np.inf).astype(logits.dtype)
        sinks = at(given, 11)
        if sinks is None and has.get("smooth_softmax", 0):
            sinks = np.zeros(heads)
        if sinks is not None:
            column = np.broadcast_to(sinks.reshape(-1, 1, 1), (batch, heads, queries, 1))
            logits = np.concatenate([logits, column.astype(logits.dtype)], axis=-1)
        part = products_around(logits, as_float(wide[1]), like.dtype, caches, True)
        if sinks is None:
            return part
        return Part(part.rows, lambda shares: part.finish(shares[..., :-1]), heads=heads)

    return split


def _appended(past: Array | None, new: Array, before: Array, keys: int) -> Array:
    """A cache [batch, heads, longest, width] with new keys or values behind those before them."""
    batch, heads, tokens, width = new.shape
    longest = keys if past is None else max(keys, past.shape[2])
    out = np.zeros((batch, heads, longest, width), new.dtype)
    for one, start in enumerate(before):
        if past is not None:
            out[one, :, :start] = past[one, :, :start]
        out[one, :, start : start + tokens] = new[one]
    return out
