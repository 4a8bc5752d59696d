# SPDX-License-Identifier: Apache-2.0
"""Argument checks that every model shares, so that a wrong call fails alike in all of them.

A wrong kind of thing raises TypeError, a wrong value ValueError. Each message is one sentence that
says what is wrong and what to do about it.
"""

import operator
from collections.abc import Collection, Mapping, Sequence
from typing import SupportsIndex, cast

import numpy as np


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


def check_rows(name: str, array: object, dtype: type | np.dtype, max_len: int) -> np.ndarray:
    """Return a batch of rows: a [rows, length] array of `dtype` with 1 <= length <= `max_len`.

    Raises TypeError for anything but a numpy array of that dtype, ValueError for a wrong shape.
    """
    wanted = np.dtype(dtype)
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be a numpy array, got {type(array).__name__}: convert it")
    if array.dtype != wanted:
        raise TypeError(f"{name} must be {wanted}, got {array.dtype}: quantise it first")
    if array.ndim != 2:
        raise ValueError(
            f"{name} must be 2-D [rows, length], got shape {array.shape}: reshape it to that"
        )
    if array.shape[1] < 1:
        raise ValueError(f"{name} has rows of length 0: a row needs at least one element")
    if array.shape[1] > max_len:
        raise ValueError(
            f"{name} has rows of length {array.shape[1]}, more than MAX_LEN = {max_len}: "
            "shorten them or raise MAX_LEN"
        )
    return array


def check_mask(mask: object, shape: tuple[int, ...]) -> None:
    """Check an attention mask: None, or a bool array of `shape` in which True is unmasked.

    Raises TypeError for anything but a bool array, ValueError for another shape.
    """
    if mask is None:
        return
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        got = mask.dtype if isinstance(mask, np.ndarray) else type(mask).__name__
        raise TypeError(f"mask must be a bool array or None, got {got}: compare to get True/False")
    if mask.shape != shape:
        raise ValueError(
            f"mask must have the shape {shape} of its rows, got {mask.shape}: broadcast it first"
        )


def check_setting(name: str, value: object, low: int, high: int, rows: int) -> int | np.ndarray:
    """Check a run-time setting: one integer in low..high, or an integer array [rows] of them.

    Returns a plain int, or the [rows] array as int64. Raises TypeError for anything but integers
    (a bool counts as 0 or 1), ValueError for a wrong shape or a value outside low..high.
    """
    try:
        setting = operator.index(cast(SupportsIndex, value))
        smallest = largest = setting
    except TypeError:
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "iub":
            got = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
            raise TypeError(
                f"{name} must be an integer or an integer array [rows], got {got}: convert it"
            ) from None
        if value.shape != (rows,):
            raise ValueError(
                f"{name} must be one integer or have one entry for each of the {rows} rows, "
                f"got shape {value.shape}"
            ) from None
        setting = value.astype(np.int64)
        smallest, largest = (int(setting.min()), int(setting.max())) if rows else (low, low)
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
    limits: Mapping[str, tuple[int, int]], settings: Sequence[object], rows: int
) -> dict[str, np.ndarray]:
    """Return run-time settings by name, each as int64 [rows].

    limits: name -> (lowest, highest), in the order of `settings`. Raises as `check_setting`.
    """
    return {
        name: np.broadcast_to(
            np.asarray(check_setting(name, value, low, high, rows), np.int64), rows
        )
        for (name, (low, high)), value in zip(limits.items(), settings, strict=True)
    }


def _one_of(allowed: Collection[object]) -> str:
    if isinstance(allowed, range):
        return f"in {allowed[0]}..{allowed[-1]}"
    return "one of " + ", ".join(map(str, allowed))
