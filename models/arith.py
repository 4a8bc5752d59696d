# SPDX-License-Identifier: Apache-2.0
"""Parameter ranges, rounding and fast array tricks that the models of several units share."""

from dataclasses import dataclass, field
from typing import overload

import numpy as np

from . import checks
from .arrays import cast, namespace

LANES = (1, 2, 4, 8, 16, 32, 64)  # elements a beat
MAX_LEN_LIMIT = 65536  # beyond it the fast models' sums and shifts are not proven to fit
FRACS = range(8)  # fraction bits that a 3-bit setting can name
INT8 = (-128, 127)
IN_WIDTHS = (8, 16, 32)  # bits of an input that may be wide

# Metadata of a model's field that is off by default and then costs nothing: what does not have it
# is not named by it.
FEATURE = {"feature": True}


@dataclass(frozen=True)
class PortRegisters:
    """Registers at a unit's ports, which change no result.

    IN_REG, OUT_REG: 0 leaves out the one behind s_axis, or in front of m_axis, and a clock.
    """

    IN_REG: int = field(default=1, kw_only=True, metadata=FEATURE)
    OUT_REG: int = field(default=1, kw_only=True, metadata=FEATURE)

    def __post_init__(self) -> None:
        for name in ("IN_REG", "OUT_REG"):
            checks.check_parameter(name, getattr(self, name), range(2))


@overload
def rnd(a: int, n: int) -> int: ...
@overload
def rnd(a: np.ndarray, n: int | np.ndarray) -> np.ndarray: ...
@overload
def rnd(a: int, n: np.ndarray) -> np.ndarray: ...
@overload
def rnd(a: int | np.ndarray, n: int | np.ndarray) -> int | np.ndarray: ...
def rnd(a: int | np.ndarray, n: int | np.ndarray) -> int | np.ndarray:
    """Return a / 2^n rounded half up, for integers a of either sign and n >= 0."""
    return (a + ((1 << n) >> 1)) >> n


def signed(bits: int) -> tuple[int, int]:
    """Return the smallest and the largest signed integer of so many bits."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def rescale(v: np.ndarray, mult: int | np.ndarray, shift: int | np.ndarray) -> np.ndarray:
    """Return v * mult / 2^shift rounded half up, int64, for any shift >= 0.

    v: signed integers of at most 32 bits. mult: 0..65535. The three broadcast.
    """
    # The product is below 2^47 in magnitude, so from a shift of 49 on the result is 0.
    return rnd(cast(v, "int64") * mult, namespace(shift).minimum(shift, 62))


def look_up(table: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return table[index] for uint8 arrays and 256 entries: translate() is the fastest way."""
    return np.frombuffer(bytearray(index).translate(table.tobytes()), np.uint8).reshape(index.shape)


def empty(size: int) -> np.ndarray:
    """Return an uninitialised uint8 array, a large one on huge pages where the system has them.

    A large array is fresh memory at every call, and getting it in 4 KiB pages can take longer than
    all the arithmetic. numpy asks for huge pages from 4 MiB on; only whole ones count.
    """
    huge = 1 << 21
    if size < huge // 2:
        return np.empty(size, np.uint8)
    memory = np.empty(size + 2 * huge, np.uint8)  # what is never touched is never given out
    start = -memory.ctypes.data % huge
    return memory[start : start + size]
