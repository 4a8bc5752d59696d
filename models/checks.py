# SPDX-License-Identifier: Apache-2.0
"""Argument checks that every model shares, so that a wrong call fails alike in all of them.

A wrong kind of thing raises TypeError, a wrong value ValueError. Each message is one sentence that
says what is wrong and what to do about it.
"""

import operator
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from .arrays import cast, is_array, namespace, spread
from .arrays import dtype as dtype_of


def check_parameter(name: str, value: object, allowed: Collection[object]) -> None:
    """Check an elaboration parameter, as the RTL does when it elaborates.

    Raises TypeError if `value` is not of the type of the values in `allowed` (a bool is not an
    int here), ValueError if it is not one of them.
    """
    kind = type(next(iter(allowed)))
    if type(value) is not kind:
        raise TypeError(f"{name} must be of type {kind.__name__}, got {value!r}")
    if value not in allowed:
        raise ValueError(f"{name} must be {_one_of(allowed)}, got {value}")


def check_rows(name: str, array: Any, dtype: type | np.dtype, max_len: int) -> np.ndarray:
    """Return a batch of rows: a [rows, length] array of `dtype` with 1 <= length <= `max_len`.

    The array is numpy's or another library's (`arrays`). Raises TypeError for anything but an array
    of that dtype, ValueError for a wrong shape.
    """
    wanted = np.dtype(dtype)
    if not is_array(array):
        raise TypeError(f"{name} must be an array, got {type(array).__name__}: convert it")
    if array.dtype != dtype_of(namespace(array), wanted.name):
        raise TypeError(f"{name} must be {wanted}, got {array.dtype}: quantise it first")
    if array.ndim != 2:
        raise ValueError(
            f"{name} must be 2-D [rows, length], got shape {tuple(array.shape)}: reshape it to that"
        )
    check_length(name, array.shape[1], max_len)
    return array


def check_length(name: str, length: int, max_len: int) -> None:
    """Check the length of rows: 1..`max_len`. Raises ValueError."""
    if length < 1:
        raise ValueError(f"{name} has rows of length 0: a row needs at least one element")
    if length > max_len:
        raise ValueError(
            f"{name} has rows of length {length}, more than MAX_LEN = {max_len}: "
            "shorten them or raise MAX_LEN"
        )


def check_mask(mask: Any, shape: tuple[int, ...]) -> None:
    """Check an attention mask: None, or a bool array of `shape` in which True is unmasked.

    Raises TypeError for anything but a bool array, ValueError for another shape.
    """
    if mask is None:
        return
    if not is_array(mask) or mask.dtype != dtype_of(namespace(mask), "bool"):
        got = mask.dtype if is_array(mask) else type(mask).__name__
        raise TypeError(f"mask must be a bool array or None, got {got}: compare to get True/False")
    if tuple(mask.shape) != tuple(shape):
        raise ValueError(
            f"mask must have the shape {tuple(shape)} of its rows, got {tuple(mask.shape)}: "
            "broadcast it first"
        )


def check_setting(name: str, value: Any, low: int, high: int, rows: int) -> int | np.ndarray:
    """Check a run-time setting: one integer in low..high, or an integer array [rows] of them.

    Returns a plain int, or the [rows] array as int64. Raises TypeError for anything but integers
    (a bool counts as 0 or 1), ValueError for a wrong shape or a value outside low..high.
    """
    try:
        if is_array(value) and value.ndim:
            raise TypeError
        setting = operator.index(value)
        smallest = largest = setting
    except TypeError:
        xp = namespace(value)
        if not is_array(value) or not xp.isdtype(value.dtype, ("integral", "bool")):
            got = value.dtype if is_array(value) else type(value).__name__
            raise TypeError(
                f"{name} must be an integer or an integer array [rows], got {got}: convert it"
            ) from None
        if tuple(value.shape) != (rows,):
            raise ValueError(
                f"{name} must be one integer or have one entry for each of the {rows} rows, "
                f"got shape {tuple(value.shape)}"
            ) from None
        setting = cast(value, "int64")
        smallest, largest = (int(xp.min(setting)), int(xp.max(setting))) if rows else (low, low)
    if smallest < low or largest > high:
        outside = smallest if smallest < low else largest
        raise ValueError(f"{name} must be in {low}..{high}, got {outside}")
    return setting


def check_optional(
    name: str,
    value: object,
    low: int,
    high: int,
    rows: int,
    parameter: str,
    on: bool,
    at: object = 1,
) -> int | np.ndarray:
    """Check a run-time setting that a unit has where `parameter` is `at`, which is so if `on`.

    Returns as `check_setting`, and 0 if it is off. Raises what that raises, and ValueError for a
    setting that is off but not 0.
    """
    if on:
        return check_setting(name, value, low, high, rows)
    if type(value) is int and value == 0:  # what a call without it gives: no time for numpy
        return 0
    if np.any(np.asarray(value)):
        raise ValueError(
            f"{name} is a setting of {parameter} = {at}: build the unit so, or leave it out"
        )
    return 0


def check_settings(
    limits: Mapping[str, tuple[int, int]], settings: Sequence[object], like: np.ndarray
) -> dict[str, np.ndarray]:
    """Return run-time settings by name, each as int64 [rows], an array as the rows `like`.

    limits: name -> (lowest, highest), in the order of `settings`. Raises as `check_setting`.
    """
    rows = like.shape[0]
    return {
        name: spread(check_setting(name, value, low, high, rows), rows, like)
        for (name, (low, high)), value in zip(limits.items(), settings, strict=True)
    }


def _one_of(allowed: Collection[object]) -> str:
    if isinstance(allowed, range):
        return f"in {allowed[0]}..{allowed[-1]}"
    return "one of " + ", ".join(map(str, allowed))
