# SPDX-License-Identifier: Apache-2.0
"""The units as PyTorch modules: a softmax, a LayerNorm or RMSNorm, by a bit-exact model."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from softnorm.models.arith import FRACS

from ..calibration.choice import RMS, Choice, choose
from ..errors import UserError
from ..networks import advice, stand_in
from ..networks.stand_in import FittedNorm, is_softmax


class _Unit(torch.autograd.Function):
    """A function of arrays as one of tensors, on any device, in the tensor's dtype."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, function: Callable[[np.ndarray], np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(function(as_array(x))).to(x)

    @staticmethod
    def backward(ctx, *gradients):
        raise UserError("a unit's model has no gradient: train the float network, then evaluate")


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
    the logits of calibration at an end of int8, for whoever asks. Raises UserError for a unit that
    is no softmax or for another frac.
    """

    def __init__(
        self,
        choice: str | Choice,
        frac: int | np.ndarray,
        offset: float | np.ndarray = 0.0,
        saturated: float = float("nan"),
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
        unit, parameters = self.choice.unit, self.choice.parameters
        self._softmax = stand_in.UnitSoftmax(
            unit,
            parameters,
            self.frac[None],
            self.choice.every_setting,
            offset=self.offset[None],
        )

    def forward(self, logits: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return probabilities of logits [..., keys], of their dtype, 0 where masked.

        mask: bool, broadcastable to logits, True where an element counts; None: logits of -inf are
        masked. A row with all masked gives zeros. Raises ValueError for NaN or infinity where
        unmasked, and for rows longer than the unit's MAX_LEN.
        """
        live = ~torch.isneginf(logits) if mask is None else mask.expand(logits.shape)
        heads, shape = len(self.frac), logits.shape
        if heads > 1 and (len(shape) < 3 or shape[-3] != heads):
            raise UserError(
                f"logits must be [..., {heads}, queries, keys] for an F of each of {heads} heads, "
                f"not {tuple(shape)}"
            )
        return _Unit.apply(logits, lambda x: self.run(x, as_array(live)))

    def run(self, logits: np.ndarray, live: np.ndarray) -> np.ndarray:
        """Return what `forward` does of arrays; the mask has the shape of logits.

        Warns (`advice.CalibrationWarning`) if the rows sum to far from 1: calibration may have seen
        shorter ones.
        """
        heads, keys = len(self.frac), logits.shape[-1]
        grid = (-1, heads, logits.shape[-2] if heads > 1 else 1, keys)
        real = self._softmax(logits.reshape(grid), live.reshape(grid), 0).reshape(logits.shape)
        counted = live.any(axis=-1)
        total = real.sum(axis=-1, dtype=np.float64)[counted].mean() if counted.any() else 1
        if abs(total - 1) > advice.SUM:
            warnings.warn(
                f"{self.choice}: rows of {keys} keys sum to {total:.1f}, not 1; "
                f"{advice.RECOMMENDED} keeps the sum of rows of any length",
                advice.CalibrationWarning,
                stacklevel=2,
            )
        return real

    def extra_repr(self) -> str:
        return f"{self.choice}, frac={self.frac.tolist()}"


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
        self._norm = stand_in.UnitNorm(unit, parameters, [fitted])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the unit makes of x [..., channels], of its shape and dtype.

        Raises ValueError for values that are not finite or another number of channels, and for rows
        longer than the unit's MAX_LEN.
        """
        return _Unit.apply(x, lambda x: self._norm(x, 0))

    def extra_repr(self) -> str:
        kind = "RMSNorm" if self.fitted.folded.rms else "LayerNorm"
        return f"{self.choice}, {kind} of {len(self.fitted.ptf.alpha)} channels"
