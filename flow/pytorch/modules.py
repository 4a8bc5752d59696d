# SPDX-License-Identifier: Apache-2.0
"""The units as PyTorch modules: a softmax, a LayerNorm or RMSNorm, by a bit-exact model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from softnorm.models.arith import FRACS
from softnorm.models.channels import check_channels
from softnorm.models.checks import check_length
from softnorm.models.quantise import check_finite

from ..calibration.choice import RMS, Choice, choose
from ..errors import UserError
from ..networks import advice
from ..networks.stand_in import FittedNorm, is_softmax
from . import fast, few


class _Unit(torch.autograd.Function):
    """A unit's function of a tensor, which has no gradient."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, function: Callable[[torch.Tensor], torch.Tensor]):
        return function(x.detach())

    @staticmethod
    def backward(ctx, *gradients):
        raise UserError("a unit's model has no gradient: train the float network, then evaluate")


def _applied(x: torch.Tensor, function: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    if torch.is_grad_enabled() and x.requires_grad:
        return _Unit.apply(x, function)
    return function(x)


def as_array(x: torch.Tensor) -> np.ndarray:
    """Return a tensor as an array: float64 as it is, other floats as float32, the rest alike."""
    x = x.detach().cpu()
    return (x.float() if x.is_floating_point() and x.dtype != torch.float64 else x).numpy()


class UnitSoftmax(nn.Module):
    """A unit in the place of a softmax over the last axis.

    choice: a softmax unit, or words as `choose` takes them. frac: F, 0..7, an integer, or one a
    head [heads]: logits are then [..., heads, queries, keys]. offset: what logits are less, real,
    one or [heads]: what a requantiser takes off, by which no softmax changes. Logits become what
    the unit takes, as a rule int8 in units of 2^-F, rounded half up, saturated. saturated: share of
    the logits of calibration at an end of int8, for whoever asks. compile: whether torch.compile
    makes the passes over rows of whole beats, which takes some seconds for each kind of them; only
    of E2Softmax, without wide inputs, blocks or further formats. Raises UserError for a unit that
    is no softmax or for another frac.
    """

    def __init__(
        self,
        choice: str | Choice,
        frac: int | np.ndarray,
        offset: float | np.ndarray = 0.0,
        saturated: float = float("nan"),
        compile: bool = False,
    ):
        super().__init__()
        self.choice = choose(choice)
        self.frac = np.atleast_1d(frac)
        if not is_softmax(self.choice.unit):
            raise UserError(f"{self.choice.unit.name} is no softmax")
        right = self.frac.ndim == 1 and np.issubdtype(self.frac.dtype, np.integer)
        if not right or not set(self.frac.tolist()) <= set(FRACS):
            raise UserError(f"frac must be integers in 0..7, one or one a head, got {frac!r}")
        self.offset = np.broadcast_to(np.asarray(offset, np.float64), self.frac.shape)
        self.saturated = saturated
        self._model = self.choice.unit.model(**self.choice.parameters)
        self._settings = self.choice.every_setting
        self._is_fast = fast.takes(self._model, self._settings)
        self._few = None
        if self._is_fast and not compile:
            self._few = few.Softmax(self._model, self._settings["fmt"])
        self._compile = compile

    def forward(self, logits: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return probabilities of logits [..., keys], of their dtype, 0 where masked.

        mask: broadcastable to logits, bool, or float of 1 and 0, which is faster: True where an
        element counts; None: logits of -inf are masked. A row with all masked gives zeros. Warns
        (`advice.CalibrationWarning`) if the rows sum to far from 1: calibration may have seen
        shorter ones. Raises ValueError for NaN or infinity where unmasked, and for rows longer than
        the unit's MAX_LEN.
        """
        heads, shape = len(self.frac), logits.shape
        if not self._fits(shape):
            raise UserError(
                f"logits must be [..., {heads}, queries, keys] for an F of each of {heads} heads, "
                f"not {tuple(shape)}"
            )
        real = self.of_few(logits) if mask is None else None
        return _applied(logits, lambda x: self._run(x, mask)) if real is None else real

    def of_few(self, logits: torch.Tensor) -> torch.Tensor | None:
        """Return the same of few logits in the processor's memory if none of them is masked.

        None: all others, of which a call takes a mask. This is less than a call of a module is.
        """
        x = None if self._few is None or not self._fits(logits.shape) else few.array(logits)
        if x is None or not 0 < x.shape[-1] <= self._model.MAX_LEN:
            return None
        real = self._few(x, self.frac, self.offset)
        if real is None:
            return None
        self._check_sum(x.shape[-1], x.size // x.shape[-1], float(np.add.reduce(real, None)))
        return torch.from_numpy(real)

    def _fits(self, shape: torch.Size) -> bool:
        heads = len(self.frac)
        return heads == 1 or (len(shape) > 2 and shape[-3] == heads)

    def _run(self, logits: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        shape, keys = logits.shape, logits.shape[-1]
        check_length("logits", keys, self._model.MAX_LEN)
        rows = logits.numel() // keys
        if not rows:
            return torch.empty_like(logits)
        x = logits.reshape(rows, keys)
        live = _live(x, None if mask is None else mask.expand(shape).reshape(rows, keys))
        frac, offset = self._by_row(shape, rows, x)
        if self._is_fast:
            given = (self._model, x, live, frac, offset, self._settings["fmt"])
            if self._compile:
                with torch.compiler.set_stance("default"):  # `evaluate_with` forbids it the others
                    real = fast.e2softmax(*given, fast.compiled())
            else:
                real = fast.e2softmax(*given)
        else:
            real = self._plain(x, live, frac, offset)
        counted = rows if live is None else float(live.amax(-1).sum())
        total = real.sum(dtype=torch.promote_types(real.dtype, torch.float32))
        self._check_sum(keys, counted, float(total))
        return real.view(shape)

    def _by_row(
        self, shape: torch.Size, rows: int, x: torch.Tensor
    ) -> tuple[int | torch.Tensor, float | torch.Tensor]:
        """F and offset, one for all rows, or [rows, 1]."""
        fracs, offsets = self.frac.tolist(), self.offset.tolist()
        if len({*zip(fracs, offsets, strict=True)}) == 1:
            return fracs[0], offsets[0]

        def spread(values: list, dtype: torch.dtype) -> torch.Tensor:
            by_head = torch.tensor(values, dtype=dtype, device=x.device)[:, None]
            grid = by_head.expand(rows // (len(fracs) * shape[-2]), -1, shape[-2])
            return grid.reshape(rows, 1)

        real = torch.float64 if x.dtype == torch.float64 else torch.float32
        return spread(fracs, torch.int32), spread(offsets, real)

    def _plain(self, x, live, frac, offset) -> torch.Tensor:
        """What the model's plain source makes of rows, some at a time."""
        given = {"x": x, "live": live, "frac": frac, "offset": offset}
        parts = []
        for part in _pieces(x.shape, given):
            real = part["x"] if x.dtype == torch.float64 else part["x"].float()
            if not isinstance(offset, float) or offset:
                real = real - part["offset"]
            mask = None
            if live is not None:
                mask = part["live"] != 0
                real = torch.where(mask, real, 0)
            frac = part["frac"]
            q, found = self.choice.unit.quantise(
                real, frac[:, 0] if isinstance(frac, torch.Tensor) else frac
            )
            result = self._model(q, mask, **{**self._settings, **found})
            parts.append(result.to_real().to(x.dtype))
        return torch.cat(parts)

    def _check_sum(self, keys: int, counted: float, total: float) -> None:
        """Warn if the sum of all rows, of which so many count, is far from their number."""
        if counted and abs(total / counted - 1) > advice.SUM:
            warnings.warn(
                f"{self.choice}: rows of {keys} keys sum to {total / counted:.1f}, not 1; "
                f"{advice.RECOMMENDED} keeps the sum of rows of any length",
                advice.CalibrationWarning,
                stacklevel=2,
            )

    def extra_repr(self) -> str:
        return f"{self.choice}, frac={self.frac.tolist()}"


def _live(x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor | None:
    """1 where an element of x [rows, keys] counts, else 0, as float32; None: all do.

    Raises ValueError for NaN or infinity where one counts.
    """
    live = mask
    if mask is not None:
        live = mask.to(torch.float32)
        if live.amin() == 1:
            live = None
    if torch.isfinite(x.sum(dtype=torch.promote_types(x.dtype, torch.float32))):
        return live
    # By functions that give floats: torch's of booleans are many times slower on a CPU.
    if mask is None:
        live = torch.ne(x, -torch.inf, out=torch.empty_like(x, dtype=torch.float32))
    finite = torch.lt(x.abs(), torch.inf, out=torch.empty_like(x, dtype=torch.float32))
    if (finite.neg_().add_(1 if live is None else live)).amax() > 0:
        check_finite("x", x if live is None else x[live != 0])
    return live


def _pieces(shape: torch.Size, given: Mapping[str, object]) -> Iterator[dict[str, Any]]:
    """Rows of tensors [rows, ..], some at a time, what is no tensor as it is."""
    step = max(1, fast.PIECE // shape[-1])
    for start in range(0, shape[0], step):
        yield {
            name: one[start : start + step] if isinstance(one, torch.Tensor) else one
            for name, one in given.items()
        }


class UnitNorm(nn.Module):
    """A unit in the place of a LayerNorm or RMSNorm over the last axis, as calibration fitted it.

    choice: a LayerNorm unit, or words as `choose` takes them. Raises UserError for another unit,
    and for an RMSNorm if the unit has none.
    """

    def __init__(self, choice: str | Choice, fitted: FittedNorm):
        super().__init__()
        self.choice, self.fitted = choose(choice), fitted
        unit, parameters = self.choice.unit, self.choice.parameters
        if is_softmax(unit):
            raise UserError(f"{unit.name} is no LayerNorm")
        if fitted.folded.rms and RMS not in {one.name for one in unit.settings(parameters)}:
            raise UserError(f"{unit.name} computes no RMSNorm")
        self._model = unit.model(**parameters)
        self._fast = fast.norm(self._model, fitted)
        self._few = None if self._fast is None else few.Norm(self._model, fitted)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the unit makes of x [..., channels], of its shape and dtype.

        Raises ValueError for values that are not finite or another number of channels, and for rows
        longer than the unit's MAX_LEN.
        """
        real = self.of_few(x)
        return _applied(x, self._run) if real is None else real

    def of_few(self, x: torch.Tensor) -> torch.Tensor | None:
        """Return the same of few rows in the processor's memory; None: all others."""
        rows = None if self._few is None else few.array(x)
        if rows is None or x.shape[-1:] != self._few.channels:
            return None
        real = self._few(rows)
        return None if real is None else torch.from_numpy(real)

    def _run(self, x: torch.Tensor) -> torch.Tensor:
        channels = x.shape[-1]
        check_length("x", channels, self._model.MAX_LEN)
        check_channels(self.fitted.folded.channels, channels)
        if not x.numel():
            return torch.empty_like(x)
        rows = x.reshape(-1, channels)
        if not torch.isfinite(rows.sum(dtype=torch.promote_types(x.dtype, torch.float32))):
            check_finite("x", rows)
        return (self._plain(rows) if self._fast is None else self._fast(rows)).view(x.shape)

    def _plain(self, x: torch.Tensor) -> torch.Tensor:
        """What the model's plain source makes of rows, some at a time."""
        fitted, parts = self.fitted, []
        offset = fitted.offset
        if isinstance(offset, np.ndarray):
            offset = torch.tensor(offset, device=x.device)
        for part in _pieces(x.shape, {"x": x}):
            real = part["x"] if x.dtype == torch.float64 else part["x"].float()
            q, settings = self.choice.unit.quantise(real - fitted.centre, fitted.ptf, fitted.folded)
            result = self._model(q, fitted.folded.channels, None, **settings)
            parts.append((result.to_real(fitted.folded.step) + offset).to(x.dtype))
        return torch.cat(parts)

    def extra_repr(self) -> str:
        kind = "RMSNorm" if self.fitted.folded.rms else "LayerNorm"
        return f"{self.choice}, {kind} of {len(self.fitted.ptf.alpha)} channels"
