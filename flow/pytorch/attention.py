# SPDX-License-Identifier: Apache-2.0
"""An attention function for Hugging Face transformers with a replaceable softmax.

It is registered with their AttentionInterface under NAME, with the mask function that their eager
attention has: without one a causal model would get no mask at all. Which softmax a module gets is
looked up by the module.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from weakref import WeakKeyDictionary

import torch
from torch import nn

from ..errors import UserError

NAME = "softnorm"
# An additive mask's value that masks: models add the least number of their dtype, -inf or -10000.
MASKED = -1e4
# (module, logits [batch, heads, queries, keys], mask) -> probabilities like logits, 0 where masked.
# The mask is bool, broadcastable to logits, True where a key counts, or None.
Softmax = Callable[[nn.Module, torch.Tensor, torch.Tensor | None], torch.Tensor]

_softmax_of: WeakKeyDictionary[nn.Module, Softmax] = WeakKeyDictionary()


def float_softmax(logits: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Return the softmax over the last axis, of logits' dtype; uniform if all is masked."""
    if mask is not None:
        logits = logits.masked_fill(~mask, torch.finfo(logits.dtype).min)
    wide = torch.promote_types(logits.dtype, torch.float32)
    return logits.softmax(-1, dtype=wide).to(logits.dtype)


def attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    position_bias: torch.Tensor | None = None,
    **others: object,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (outputs [batch, queries, heads, width], probabilities [batch, heads, queries, keys]).

    query [batch, heads, queries, width]; key, value [batch, heads or a divisor of them, keys,
    width], as transformers gives them: neighbouring heads share a key's. attention_mask: bool, True
    where a key counts, or added to the logits, as is position_bias; what is added counts as a mask
    from -10000 on down. Raises UserError for dropout, for attention sinks, and for a module outside
    of `attending`.
    """
    if module not in _softmax_of:
        raise UserError(
            f'attention "{NAME}" is for softnorm.pytorch.evaluate_with to switch on: '
            "it knows no softmax for this model"
        )
    if dropout:
        raise UserError("the units have no dropout: call model.eval() first")
    if others.get("s_aux") is not None or getattr(module, "sinks", None) is not None:
        raise UserError(f"{type(module).__name__} has attention sinks, which no unit has")
    shared = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(shared, dim=1) for x in (key, value))
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    logits = query @ key.transpose(-1, -2) * scaling
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    live = None
    for added in (attention_mask, position_bias):
        if added is None:
            continue
        if added.dtype == torch.bool:
            counts = added
        else:
            counts = added > MASKED
            logits = logits + added.where(counts, 0).to(logits.dtype)
        live = counts if live is None else live & counts
    probabilities = _softmax_of[module](module, logits, live).to(value.dtype)
    return (probabilities @ value).transpose(1, 2).contiguous(), probabilities


@contextlib.contextmanager
def attending(model: nn.Module, softmax: Softmax) -> Iterator[None]:
    """Within the context, all attention of transformers in the model uses `softmax`.

    Raises UserError for a network whose attention does not go through their AttentionInterface.
    """
    # Whoever has a model of transformers has imported them; nobody else needs them installed.
    library = sys.modules.get("transformers")
    parts = list(model.modules())  # a network comes before those inside it
    networks = [p for p in parts if library and isinstance(p, library.PreTrainedModel)]
    if networks:
        _register()
    before = [(network, network.config._attn_implementation) for network in networks]
    try:
        for part in parts:
            _softmax_of[part] = softmax
        for network in networks:
            network.set_attn_implementation(NAME)
        for network in networks:
            if network.config._attn_implementation != NAME:
                raise UserError(
                    f"{type(network).__name__} computes attention without transformers' "
                    "AttentionInterface: its softmax cannot be replaced"
                )
        yield
    finally:
        for network, name in before:
            network.set_attn_implementation(name)
        for part in parts:
            _softmax_of.pop(part, None)


def _register() -> None:
    from transformers import AttentionInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["eager"])
