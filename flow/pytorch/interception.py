# SPDX-License-Identifier: Apache-2.0
"""What a PyTorch model computes while it runs: its softmaxes and norms, seen and replaceable.

torch's dispatcher hands operators to functions here while a module of the model runs, those of
interest alone, so that all others take no more time. Whole softmaxes and norms can be replaced;
what torch computes them with in the end is counted, below all that replaces. So what is replaced
and what is left is all there is.

A *site* is a place of the model that computes a softmax or a norm: the innermost module that runs,
by its name, and the number of the call there, if there are several. Nothing is stored in the model:
hooks of all modules tell which one runs.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import types
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial

import numpy as np
import torch
from torch import nn
from torch._subclasses import FakeTensor
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

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
    *("_scaled_dot_product_attention_math", "_scaled_dot_product_attention_math_for_mps"),
    *("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention"),
    *("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention"),
    *("_scaled_dot_product_fused_attention_overrideable", "_native_multi_head_attention"),
    *("_flash_attention_forward", "_efficient_attention_forward", "_triton_multi_head_attention"),
)
_SOFTMAX = (
    *("_softmax", "_safe_softmax", "_masked_softmax", "_log_softmax", "_sparse_softmax"),
    "logsumexp",
)
_NORM = ("native_layer_norm", "_fused_rms_norm", "linalg_vector_norm", "std", "std_mean")
# Norms written out show by the root of their rows' statistic.
_ROOT = ("rsqrt", "rsqrt_", "sqrt", "sqrt_", "pow", "pow_")
# Softmaxes that are written out sum what they have raised.
_WRITTEN_OUT = ("exp", "sum")
_LAYER = "_transformer_encoder_layer_fwd"  # two norms and attention
# What is whole, and is made of those above.
_WHOLE = ("softmax.int", "layer_norm", "rms_norm", "scaled_dot_product_attention")

# A key of the dispatcher, above all that computes. Nothing in torch uses it: it was for packages
# that put off a module's initialisation. What has no function for it goes on as without it.
_KEY = torch._C._dispatch_key_parse("DeferredInit")
_include = torch._C._dispatch_tls_set_dispatch_key_included
_watches = threading.local()  # as the key is included by thread


class Watch:
    """Is handed operators while it is entered, by the thread that entered it.

    ran: called with an operator's name and number for what torch computes of softmaxes and norms.
    functions: by name of `_WHOLE`, what is called in place of it with what computes it, and its
    arguments.
    """

    def __init__(self, ran: Callable[[str, int], None], functions: Mapping[str, Callable]):
        self._ran, self._functions = ran, functions
        self._exp: weakref.ref[torch.Tensor] | None = None  # what was raised last
        self._outside: Watch | None = None

    def __enter__(self) -> Watch:
        _register()
        self._outside = getattr(_watches, "one", None)
        _watches.one = self
        _include(_KEY, True)
        return self

    def __exit__(self, *error: object) -> None:
        _watches.one = self._outside
        _include(_KEY, self._outside is not None)

    def whole(self, name: str, func: Callable, args: tuple, named: dict) -> object:
        """Return what a whole operator gives; func: what computes it, of the same arguments."""
        mine = self._functions.get(name)
        return func(*args, **named) if mine is None else mine(func, *args, **named)

    def part(self, name: str, func: Callable, args: tuple, named: dict) -> object:
        """Count an operator, and return what it gives."""
        with unwatched():
            if name in _WRITTEN_OUT:
                if name == "sum" and self._exp is not None and self._exp() is args[0]:
                    self._ran("exp and sum", 1)
            elif name not in _ROOT or _is_root(name, args):
                self._ran(name, 3 if name == _LAYER else 1)
            result = func(*args, **named)
            if name == "exp":
                self._exp = weakref.ref(result)
            return result


@contextlib.contextmanager
def unwatched() -> Iterator[None]:
    """Have nothing handed to a `Watch`: what computes is no part of the model, or counted."""
    _include(_KEY, False)
    try:
        yield
    finally:
        _include(_KEY, getattr(_watches, "one", None) is not None)


@lru_cache
def _register() -> list[torch.library.Library]:
    """Have the dispatcher hand over operators at `_KEY`, as long as the process lives."""
    rest, own = (torch.library.Library(name, "IMPL") for name in ("_", "aten"))
    rest.fallback(torch.library.fallthrough_kernel, "DeferredInit")
    names = [*_WHOLE]
    for name in (*_ATTENTION, *_SOFTMAX, *_NORM, *_ROOT, *_WRITTEN_OUT, _LAYER):
        names += [f"{name}.{one}" for one in getattr(torch.ops.aten, name).overloads()]
    for full in names:
        name, _, overload = full.partition(".")
        op = getattr(getattr(torch.ops.aten, name), overload or "default")
        own.impl(op, partial(_handed, op, full), "DeferredInit", with_keyset=True)
    for op in torch._ops._higher_order_ops.values():
        op.fallthrough(_KEY)
    torch._ops._HIGHER_ORDER_OP_DEFAULT_FALLTHROUGH_DISPATCH_KEYS.append(_KEY)
    with contextlib.suppress(ImportError):
        from torch._higher_order_ops.flex_attention import flex_attention

        flex_attention.py_impl(_KEY)(partial(_flex, flex_attention))
    return [rest, own]


def _flex(op, query: torch.Tensor, *args, **named) -> object:
    if isinstance(query, FakeTensor):  # what it will be is found: nothing is computed
        with unwatched():
            return op(query, *args, **named)
    return _watches.one.part(op.name(), op, (query, *args), named)


def _handed(op, name: str, keys, *args, **named) -> object:
    compute = partial(op.redispatch, keys.remove(_KEY))
    one = _watches.one
    if name in _WHOLE:
        return one.whole(name, compute, args, named)
    return one.part(name.partition(".")[0], compute, args, named)


def _is_root(name: str, args: tuple) -> bool:
    x = args[0]
    if not isinstance(x, torch.Tensor) or not x.ndim or not x.is_floating_point():
        return False  # a constant of the model
    return not name.startswith("pow") or (len(args) > 1 and args[1] in (0.5, -0.5))


def count_float(model: nn.Module, batch: Batch) -> Counter[str]:
    """Return how many softmaxes and norms a batch takes in float, by operator."""
    counts: Counter[str] = Counter()
    with torch.no_grad(), Watch(lambda name, number: counts.update({name: number}), {}):
        run(model, batch)
    return counts


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
        self._norms: dict[str, tuple[tuple, RealNorm]] = {}  # of the last calls, by site
        self._modes = contextlib.ExitStack()
        self._outermost: types.FrameType | None = None
        whole = (self._see_softmax, self._see_layer_norm, self._see_rms_norm, self._see_attention)
        self._functions: dict[str, Callable] = dict(zip(_WHOLE, whole, strict=True))

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
            mha = torch.backends.mha  # in one operator, which cannot be replaced
            self._modes.callback(mha.set_fastpath_enabled, mha.get_fastpath_enabled())
            mha.set_fastpath_enabled(False)
            self._modes.enter_context(Watch(self._ran, self._functions))
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

    def _see_softmax(self, func, input, dim, dtype=None):
        if self._site is not None or input.is_nested or not input.ndim:
            return func(input, dim, dtype)
        site = self._next(SOFTMAX)
        mine = None
        if self.takes(site):
            logits = (input if dtype is None else input.to(dtype)).movedim(dim, -1)
            mine = self.softmax(site[1], logits, _heads(self._running, logits))
        if mine is None:
            return self._float(site, func, input, dim, dtype)
        self.last.replaced[site[1]] += 1
        mine = mine.movedim(-1, dim).contiguous()
        return mine.to(_dtype(input, lambda x: func(x, -1, dtype), mine.dtype))

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
            mine = self.norm(
                site[1], x, self._computed(site[1], shape, weight, bias, float(eps), rms)
            )
        if mine is None:
            return self._float(site, func, *given, **named)
        self.last.replaced[site[1]] += 1
        return mine.to(_dtype(x, lambda x: func(x, (1,)), mine.dtype))

    def _computed(self, name, shape, weight, bias, eps, rms) -> RealNorm:
        """The norm that a call computes: the same object as long as it is the same."""
        given = [None if one is None else as_array(one) for one in (weight, bias)]
        key = (shape, eps, rms, *(None if one is None else one.tobytes() for one in given))
        before, real = self._norms.get(name, (None, None))
        if key != before or real is None:
            gamma = np.ones(shape) if given[0] is None else given[0].astype(np.float64)
            beta = np.zeros(shape) if given[1] is None else given[1].astype(np.float64)
            real = RealNorm(gamma, beta, eps, rms)
            self._norms[name] = (key, real)
        return real


def _class(module: nn.Module) -> str:
    return type(module).__name__


def _dtype(
    x: torch.Tensor, func: Callable[[torch.Tensor], torch.Tensor], otherwise: torch.dtype
) -> torch.dtype:
    """The dtype that torch's function gives, which autocast may have chosen."""
    if not torch.is_autocast_enabled(x.device.type):
        return otherwise
    with unwatched():
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
