# SPDX-License-Identifier: Apache-2.0
"""What a PyTorch model computes while it runs: its softmaxes and norms, seen and replaceable.

Two modes of torch are active while a module of the model runs. The upper one sees calls of torch's
functions and can replace them; the lower one sees what torch's operators compute in the end, below
all that replaces, and counts it. So what is replaced and what is left is all there is.

A *site* is a place of the model that computes a softmax or a norm: the innermost module that runs,
by its name, and the number of the call there, if there are several. Nothing is stored in the model:
hooks of all modules tell which one runs.
"""

from __future__ import annotations

import contextlib
import sys
import types
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from ..calibration.fit import MASKED, RealNorm
from ..errors import UserError
from .modules import as_array

Batch = torch.Tensor | Sequence | Mapping


def run(model: nn.Module, batch: Batch) -> object:
    """Return what the model makes of a batch: keyword arguments, positional ones, or one tensor."""
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(batch) if isinstance(batch, torch.Tensor) else model(*batch)


def first_tensor(x: object) -> torch.Tensor | None:
    """Return the first floating-point tensor in a model's outputs."""
    if isinstance(x, torch.Tensor):
        return x if x.is_floating_point() else None
    parts = x.values() if isinstance(x, Mapping) else x if isinstance(x, (tuple, list)) else ()
    return next((t for t in map(first_tensor, parts) if t is not None), None)


def live_elements(logits: torch.Tensor) -> torch.Tensor:
    """Return 1 where logits [..., keys] count, else 0, float32: masked ones are far below the top.

    In a row of which nothing is above half the dtype's least number, nothing counts.
    """
    top = logits.amax(-1, keepdim=True)
    least = max(torch.finfo(dtype).min / 2 for dtype in (logits.dtype, torch.float32))
    live = torch.empty_like(logits, dtype=torch.float32)
    return torch.gt(logits, (top - MASKED).clamp_min(least), out=live)


# --- what torch's operators compute ---------------------------------------------------------------

_ATTENTION = (
    *("scaled_dot_product_attention", "_scaled_dot_product_attention_math"),
    *("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention"),
    *("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention"),
    "_scaled_dot_product_fused_attention_overrideable",
    *("_scaled_dot_product_attention_math_for_mps", "_native_multi_head_attention"),
    *("_flash_attention_forward", "_efficient_attention_forward", "_triton_multi_head_attention"),
)
_SOFTMAX = (
    *("softmax", "_softmax", "_safe_softmax", "_masked_softmax", "special_softmax"),
    *("log_softmax", "_log_softmax", "special_log_softmax", "_sparse_softmax", "logsumexp"),
)
_NORM = (
    *("layer_norm", "native_layer_norm", "rms_norm", "_fused_rms_norm"),
    *("linalg_vector_norm", "std", "std_mean"),
)
# Norms written out show by the root of their rows' statistic.
_ROOT = ("rsqrt", "rsqrt_", "sqrt", "sqrt_", "pow", "pow_")


def _counted() -> dict[object, int]:
    """Operators that are softmaxes or norms -> how many of them."""
    aten = torch.ops.aten
    known = {getattr(aten, name): 1 for name in (*_ATTENTION, *_SOFTMAX, *_NORM, *_ROOT)}
    known[aten._transformer_encoder_layer_fwd] = 3
    with contextlib.suppress(ImportError):
        from torch._higher_order_ops.flex_attention import flex_attention

        known[flex_attention] = 1
    return known


_COUNTED = _counted()
_POWER = frozenset({torch.ops.aten.pow, torch.ops.aten.pow_})
_WRITTEN_OUT = frozenset({torch.ops.aten.exp, torch.ops.aten.sum})
# Operators met so far -> what is of interest in them, or None.
_LOOKED_AT: dict[object, object] = {}
_ROOTS = frozenset(getattr(torch.ops.aten, name) for name in _ROOT)


class _Count(TorchDispatchMode):
    """Tells of every softmax and norm that torch's operators compute."""

    supports_higher_order_operators = True

    def __init__(self, ran: Callable[[str, int], None]):
        super().__init__()
        self._ran = ran
        self._exp: weakref.ref[torch.Tensor] | None = None  # what was raised last

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled while this is active, and skipping takes its time

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func not in _LOOKED_AT:  # most operators: a call more than a decoded token has time for
            packet = getattr(func, "_overloadpacket", func)
            _LOOKED_AT[func] = packet if packet in _COUNTED or packet in _WRITTEN_OUT else None
        packet = _LOOKED_AT[func]
        if packet is None:
            return func(*args, **kwargs) if kwargs else func(*args)
        number = _COUNTED.get(packet)
        if number and (packet not in _ROOTS or _is_root(packet, args)):
            self._ran(packet.__name__, number)
        # A softmax that is written out sums what it has raised.
        if packet is torch.ops.aten.sum and self._exp is not None and self._exp() is args[0]:
            self._ran("exp and sum", 1)
        result = func(*args, **(kwargs or {}))
        if packet is torch.ops.aten.exp:
            self._exp = weakref.ref(result)
        return result


def _is_root(packet: object, args: tuple) -> bool:
    x = args[0]
    if not isinstance(x, torch.Tensor) or not x.ndim or not x.is_floating_point():
        return False  # a constant of the model
    return packet not in _POWER or (len(args) > 1 and args[1] in (0.5, -0.5))


def count_float(model: nn.Module, batch: Batch) -> Counter[str]:
    """Return how many softmaxes and norms a batch takes in float, by operator."""
    counts: Counter[str] = Counter()
    with torch.no_grad(), _Count(lambda operator, number: counts.update({operator: number})):
        run(model, batch)
    return counts


# --- calls of torch's functions -------------------------------------------------------------------


# The same function, but it does not ask modes again, so that what it calls is seen.
_inside_multi_head = types.FunctionType(
    functional.multi_head_attention_forward.__code__,
    {**vars(functional), "has_torch_function": lambda tensors: False},
    "multi_head_attention_forward",
    functional.multi_head_attention_forward.__defaults__,
)
_inside_multi_head.__kwdefaults__ = functional.multi_head_attention_forward.__kwdefaults__


class _See(TorchFunctionMode):
    """Hands calls that are softmaxes or norms to functions of the same arguments."""

    def __init__(self, functions: Mapping[object, Callable]):
        super().__init__()
        self._functions = functions

    def __torch_function__(self, func, types, args=(), kwargs=None):
        mine = self._functions.get(func)
        if mine is None:
            return func(*args, **kwargs) if kwargs else func(*args)
        return mine(func, *args, **(kwargs or {}))


Site = tuple[str, str]  # (SOFTMAX or NORM, its name)
SOFTMAX, NORM = "softmax", "norm"


@dataclass
class Pass:
    """What a pass computed, in calls: replaced by name of the site, left by what it is."""

    replaced: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)


@dataclass
class _Running:
    module: nn.Module
    name: str
    outside: Site | None  # what the module around it is in
    calls: Counter[str] = field(default_factory=Counter)


class Sites:
    """A model's softmaxes and norms, site by site, while it runs within `watching`.

    For a subclass, which says what is taken in their place. written: modules that are norms,
    written out in Python, by name; all others are calls of torch's functions.
    """

    def __init__(self, model: nn.Module, written: Mapping[str, RealNorm]):
        self.names = {module: name for name, module in model.named_modules()}
        self.written = dict(written)
        self.last = Pass()
        self._running: list[_Running] = []
        self._site: Site | None = None  # what computes now is part of it
        self._modes = contextlib.ExitStack()
        self._outermost: types.FrameType | None = None
        softmax, layer_norm, rms_norm = self._see_softmax, self._see_layer_norm, self._see_rms_norm
        self._functions = {
            functional.softmax: softmax,
            torch.softmax: softmax,
            torch.Tensor.softmax: softmax,
            torch.special.softmax: softmax,
            functional.scaled_dot_product_attention: self._see_attention,
            functional.multi_head_attention_forward: self._see_multi_head,
            functional.layer_norm: layer_norm,
            torch.layer_norm: layer_norm,
            functional.rms_norm: rms_norm,
            torch.rms_norm: rms_norm,
        }

    # --- what a subclass says ---------------------------------------------------------------------

    def takes(self, site: Site) -> bool:
        """Whether `softmax` or `norm` wants to see this site."""
        raise NotImplementedError

    def softmax(self, name: str, logits: torch.Tensor, heads: int) -> torch.Tensor | None:
        """Return what is the softmax over the last axis of logits [..., keys]; None: torch's.

        heads: logits are [..., heads, queries, keys] if it is not 1.
        """
        raise NotImplementedError

    def norm(self, name: str, x: torch.Tensor, real: RealNorm) -> torch.Tensor | None:
        """Return what is the norm of x [..., channels]; None: what torch computes."""
        raise NotImplementedError

    def ran(self, site: Site | None, module: nn.Module, what: str, number: int) -> None:
        """Called for what torch has computed: an operator, as part of a site or of none."""
        raise NotImplementedError

    # --- which module runs ------------------------------------------------------------------------

    def watching(self) -> contextlib.ExitStack:
        """Have the model's passes seen from now on, until the stack that this returns is closed."""
        stack = contextlib.ExitStack()
        stack.callback(self._stop)
        # A compiled graph would compute what it was compiled from.
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.callback(register_module_forward_pre_hook(self._enter).remove)
        leave = register_module_forward_hook(self._leave, with_kwargs=True, always_call=True)
        stack.callback(leave.remove)
        return stack

    def _enter(self, module: nn.Module, inputs: tuple) -> None:
        name = self.names.get(module)
        if name is None:
            return
        if self._running and self._running[0].module is module and not self._is_inside():
            self._stop()  # the last pass was interrupted from the keyboard
        if not self._running:
            if module.training:
                raise UserError("the model is in training: call model.eval() first")
            self.last = Pass()
            self._outermost = sys._getframe(1)
            self._modes.enter_context(_See(self._functions))
            self._modes.enter_context(_Count(self._ran))
        self._running.append(_Running(module, name, self._site))
        if self._site is None and name in self.written:
            self._site = (NORM, name)

    def _is_inside(self) -> bool:
        frame = sys._getframe(2)
        while frame is not None and frame is not self._outermost:
            frame = frame.f_back
        return frame is not None

    def _leave(self, module: nn.Module, inputs: tuple, *rest: object) -> torch.Tensor | None:
        if not self._running or self._running[-1].module is not module:
            return None
        site, output = self._site, rest[-1]
        self._site = self._running.pop().outside
        if not self._running:
            self._stop()
        if site is self._site or not isinstance(output, torch.Tensor) or not self.takes(site):
            return None
        return self._written(site[1], [*inputs, *rest[0].values()], output)

    def _written(self, name: str, given: list, output: torch.Tensor) -> torch.Tensor | None:
        if sum(one is not None for one in given) > 1:
            raise UserError(f"{name}: a norm of more than its rows; name it in keep=")
        mine = self.norm(name, given[0], self.written[name])
        return None if mine is None else mine.to(output.dtype)

    def _stop(self) -> None:
        self._modes.close()
        self._running.clear()
        self._site = self._outermost = None

    # --- what it computes -------------------------------------------------------------------------

    def _ran(self, operator: str, number: int) -> None:
        one = self._running[-1]
        name = one.name if self._site is None else self._site[1]
        self.ran(self._site, one.module, f"{name} ({_class(one.module)}): {operator}", number)

    def _next(self, kind: str) -> Site:
        """The site that is reached."""
        one = self._running[-1]
        one.calls[kind] += 1
        number = one.calls[kind]
        return kind, one.name if number == 1 else f"{one.name}, call {number}"

    def _float(self, site: Site, func: Callable, *args: object, **named: object):
        """What torch computes of a site."""
        self._site = site
        try:
            return func(*args, **named)
        finally:
            self._site = None

    def _see_softmax(self, func, input, dim=None, dtype=None, **named):
        odd = input.is_nested or not input.ndim or named.get("out") is not None
        if self._site is not None or odd:
            return func(input, dim, dtype=dtype, **named)
        site = self._next(SOFTMAX)
        mine = None
        if self.takes(site):
            if dim is None:  # torch's choice, of old
                dim = 0 if input.ndim in (1, 3) else 1
            logits = (input if dtype is None else input.to(dtype)).movedim(dim, -1)
            mine = self.softmax(site[1], logits, _heads(self._running, logits))
        if mine is None:
            return self._float(site, func, input, dim, dtype=dtype, **named)
        self.last.replaced[site[1]] += 1
        mine = mine.movedim(-1, dim).contiguous()
        return mine.to(_dtype(input, lambda x: func(x, -1, dtype=dtype), mine.dtype))

    def _see_attention(
        self,
        func,
        query,
        key,
        value,
        attn_mask=None,
        dropout_p=0.0,
        is_causal=False,
        *,
        scale=None,
        enable_gqa=False,
    ):
        given = (query, key, value, attn_mask, dropout_p, is_causal)
        named = {"scale": scale, "enable_gqa": enable_gqa}
        if self._site is not None or query.is_nested:
            return func(*given, **named)
        site = self._next(SOFTMAX)
        mine = None
        if self.takes(site):
            if dropout_p:
                raise UserError(f"{site[1]}: the units have no dropout: call model.eval() first")
            if enable_gqa:
                shared = query.shape[-3] // key.shape[-3]
                key, value = (x.repeat_interleave(shared, dim=-3) for x in (key, value))
            logits = _logits(query, key, attn_mask, is_causal, scale)
            mine = self.softmax(site[1], logits, logits.shape[-3] if logits.ndim > 3 else 1)
        if mine is None:
            return self._float(site, func, *given, **named)
        self.last.replaced[site[1]] += 1
        return mine.to(value.dtype) @ value

    def _see_multi_head(self, func, *args, **named):
        if self._site is not None:
            return func(*args, **named)
        with _See(self._functions):
            return _inside_multi_head(*args, **named)

    def _see_layer_norm(
        self, func, input, normalized_shape, weight=None, bias=None, eps=1e-5, *more, **named
    ):
        given = (input, normalized_shape, weight, bias, eps, *more)
        return self._see_norm(func, given, named, weight, bias, eps, rms=False)

    def _see_rms_norm(self, func, input, normalized_shape, weight=None, eps=None):
        given = (input, normalized_shape, weight, eps)
        least = torch.finfo(input.dtype).eps if eps is None else eps
        return self._see_norm(func, given, {}, weight, None, least, rms=True)

    def _see_norm(self, func, given, named, weight, bias, eps, rms):
        x, shape = given[:2]
        if self._site is not None or len(shape) != 1 or x.is_nested:
            return func(*given, **named)
        site = self._next(NORM)
        mine = None
        if self.takes(site):
            gamma = np.ones(shape) if weight is None else as_array(weight).astype(np.float64)
            beta = np.zeros(shape) if bias is None else as_array(bias).astype(np.float64)
            mine = self.norm(site[1], x, RealNorm(gamma, beta, float(eps), rms))
        if mine is None:
            return self._float(site, func, *given, **named)
        self.last.replaced[site[1]] += 1
        return mine.to(_dtype(x, lambda x: func(x, (1,)), mine.dtype))


def _class(module: nn.Module) -> str:
    return type(module).__name__


def _dtype(
    x: torch.Tensor, func: Callable[[torch.Tensor], torch.Tensor], otherwise: torch.dtype
) -> torch.dtype:
    """The dtype that torch's function gives, which autocast may have chosen."""
    if not torch.is_autocast_enabled(x.device.type):
        return otherwise
    with _disable_current_modes():
        return func(x.new_zeros((1, 1))).dtype


def _logits(query, key, mask, causal, scale) -> torch.Tensor:
    """The logits [..., queries, keys] of scaled_dot_product_attention."""
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    logits = query @ key.transpose(-1, -2) * scale
    if causal:
        mask = torch.ones(logits.shape[-2:], dtype=torch.bool, device=query.device).tril()
    if mask is None:
        return logits
    if mask.dtype == torch.bool:
        return logits.masked_fill(~mask, -torch.inf)
    return logits + mask.to(logits.dtype)


def _heads(running: list[_Running], logits: torch.Tensor) -> int:
    """How many heads logits [batch, heads, queries, keys] have: as many as a module speaks of."""
    if logits.ndim != 4:
        return 1
    for one in reversed(running):
        for holder in (one.module, getattr(one.module, "config", None)):
            for name, value in getattr(holder, "__dict__", {}).items():
                if "head" in name and isinstance(value, int) and value == logits.shape[1]:
                    return logits.shape[1]
    return 1
