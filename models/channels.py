# SPDX-License-Identifier: Apache-2.0
"""Parameters of channels: what a unit's channel table holds. Models and the RTL take the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from . import checks
from .arith import FEATURE, PortRegisters

DTYPES = {"alpha": np.uint8, "gamma": np.int8, "beta": np.int8}  # of a LayerNorm's columns
MAX_ALPHA = 3  # 2 bits


@dataclass(frozen=True)
class ChannelTable(PortRegisters):
    """The table of a unit that has one, which changes no result.

    BANKS: 2, or 1, with which rows and loads take turns.
    """

    BANKS: int = field(default=2, kw_only=True, metadata=FEATURE)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.check_parameter("BANKS", self.BANKS, range(1, 3))


@dataclass(frozen=True, eq=False)
class ChannelSet:
    """Content for a bank of a channel table: column name -> array [channels]."""

    values: Mapping[str, np.ndarray]

    def padded(self, count: int) -> ChannelSet:
        """The same with at least `count` channels: zeros where no row that uses it has elements."""
        short = {name: max(0, count - len(values)) for name, values in self.values.items()}
        if not any(short.values()):
            return self
        return ChannelSet({n: np.pad(v, (0, short[n])) for n, v in self.values.items()})


class Channels(ChannelSet):
    """A LayerNorm's channel set, one entry a channel: arrays [channels].

    alpha: uint8, 0..3, the input's power of two; None for a unit without one. gamma: int8, in units
    of 2^-gfrac. beta: int8, in output steps. Raises TypeError or ValueError for anything else.
    """

    def __init__(self, alpha: np.ndarray | None, gamma: np.ndarray, beta: np.ndarray):
        columns = {"alpha": alpha, "gamma": gamma, "beta": beta}
        values = {name: array for name, array in columns.items() if array is not None}
        for name, array in values.items():
            wanted = np.dtype(DTYPES[name])
            if not isinstance(array, np.ndarray) or array.dtype != wanted:
                got = getattr(array, "dtype", type(array).__name__)
                raise TypeError(f"{name} must be a {wanted} array, got {got}: quantise it first")
        for name, array in values.items():
            if array.ndim != 1 or array.shape != values["gamma"].shape:
                raise ValueError(
                    f"{name} must have one entry for each channel, got shape {array.shape} beside "
                    f"gamma's {values['gamma'].shape}"
                )
        if alpha is not None and alpha.size and alpha.max() > MAX_ALPHA:
            raise ValueError(f"alpha must be in 0..{MAX_ALPHA}, got {alpha.max()}")
        super().__init__(values)

    @property
    def alpha(self) -> np.ndarray:
        """uint8 [channels]; of channels without one, a KeyError."""
        return self.values["alpha"]

    @property
    def gamma(self) -> np.ndarray:
        """int8 [channels]."""
        return self.values["gamma"]

    @property
    def beta(self) -> np.ndarray:
        """int8 [channels]."""
        return self.values["beta"]


def check_channels(channels: object, width: int, alpha: bool = True) -> None:
    """Check that a model can take channels for rows of `width` elements.

    alpha: whether the unit has that column. Raises TypeError for anything but `Channels`,
    ValueError for another number of them, and for those without an alpha that the unit needs.
    """
    if not isinstance(channels, Channels):
        raise TypeError(f"channels must be Channels, got {type(channels).__name__}")
    if alpha and "alpha" not in channels.values:
        raise ValueError("channels have no alpha: give one, 0 where an input needs no power of two")
    if channels.gamma.size != width:
        raise ValueError(
            f"channels must have one entry for each of the {width} columns of x, "
            f"got {channels.gamma.size}"
        )
