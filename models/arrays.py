# SPDX-License-Identifier: Apache-2.0
"""What the models' plain source needs of an array library, so that it runs on any of them.

The source keeps to the array API standard (data-apis.org/array-api, 2024.12): numpy's arrays,
torch's tensors on any device, and what else array-api-compat knows. With numpy alone nothing else
is needed; array-api-compat is imported when another library's array comes.
"""

from __future__ import annotations

import math
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

# An array of any library. numpy's type is what the annotations say: the checkers know no other.
Array = np.ndarray


def is_array(x: object) -> bool:
    """Whether x is an array of a library that the models take."""
    if isinstance(x, np.ndarray):
        return True
    if x is None or isinstance(x, (int, float, str, np.generic, list, tuple, dict)):
        return False
    try:
        from array_api_compat import is_array_api_obj
    except ImportError:
        return False
    return is_array_api_obj(x)


def namespace(*values: object) -> Any:
    """Return the library's functions by their standard names; numpy's if none is an array."""
    for x in values:
        if not isinstance(x, np.ndarray) and is_array(x):
            from array_api_compat import array_namespace

            return array_namespace(x)
    return np


def device(x: Array) -> Any:
    """Return where x is, for a function that makes an array."""
    if isinstance(x, np.ndarray):
        return None
    from array_api_compat import device as of

    return of(x)


def dtype(xp: ModuleType, name: str) -> Any:
    """Return a library's dtype of this name: "int8", "bool"."""
    return getattr(xp, "bool" if name == "bool" else name)


def cast(x: Array, to: str) -> Array:
    """Return x as an array of the dtype of this name. What does not fit an integer wraps."""
    if isinstance(x, np.ndarray):
        return x.astype(to)
    xp = namespace(x)
    return xp.astype(x, dtype(xp, to))


def full(shape: tuple[int, ...], value: int | bool, of: str, like: Array) -> Array:
    """Return an array of one value, of the dtype of this name, where `like` is."""
    xp = namespace(like)
    return xp.full(shape, value, dtype=dtype(xp, of), device=device(like))


def adopt(values: np.ndarray, like: Array) -> Array:
    """Return a numpy array as one of the library of `like`, on its device."""
    if isinstance(like, np.ndarray):
        return values
    # A copy, since torch warns of tables that are shared by every caller and so cannot be written.
    return namespace(like).asarray(values.copy(), device=device(like))


def pick(table: np.ndarray, index: Array) -> Array:
    """Return table[index], of index's shape: table is a numpy array [entries]."""
    if isinstance(index, np.ndarray):
        return table[index]
    xp, values = namespace(index), adopt(table, index)
    return xp.reshape(xp.take(values, xp.reshape(index, (-1,)), axis=0), index.shape)


def spread(value: Any, rows: int, like: Array) -> Array:
    """Return one integer, or an array [rows], as int64 [rows] where `like` is."""
    xp = namespace(like)
    if isinstance(value, np.ndarray):
        value = adopt(value, like)
    elif not is_array(value):
        value = xp.asarray(value, dtype=xp.int64, device=device(like))
    return xp.broadcast_to(cast(value, "int64"), (rows,))


def floor_log2(n: Array) -> Array:
    """Return floor(log2 n) of int64 n, 1 and up, as int64."""
    log = n * 0
    for bits in (32, 16, 8, 4, 2, 1):
        more = cast(n >= (1 << bits), "int64") * bits
        n, log = n >> more, log + more
    return log


@lru_cache
def _powers() -> np.ndarray:
    """2^-256 to 2^255."""
    return np.array([math.ldexp(1.0, n) for n in range(-256, 256)])


def power(n: Array) -> Array:
    """Return 2^n as float64, of integers n, -256..255."""
    return pick(_powers(), cast(n, "int64") + 256)


def ldexp(x: Array, n: int | Array) -> Array:
    """Return x * 2^n in x's real dtype, n an integer or an array of them that broadcasts."""
    if isinstance(x, np.ndarray):
        return np.ldexp(x, n)
    if is_array(n):
        scale = power(n)
        return x * namespace(x).astype(scale, x.dtype)
    return x * 2.0**n
