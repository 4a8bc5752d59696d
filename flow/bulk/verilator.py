# SPDX-License-Identifier: Apache-2.0
"""A batch through a Verilated unit: the library of `flow/build/bulk.py`, called on arrays."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from softnorm.tb.bulk.beats import UNFINISHED, Cut, Job, Moved, with_clock_low
from softnorm.tb.stimulus.values import AIM, STREAM_STATES, Reset

from ..build.bulk import BulkBuild
from ..build.pins import BuildError

_CHUNK = 1 << 19  # clocks between looks at signals: about a second
_LOOK = 1 << 11  # clocks between looks of a caller at what has come out
_RESET = 4  # clocks

_AT_REST = ("m_axis_tvalid", "s_axis_tready")  # and the error outputs

_DONE, _MORE, _STUCK, _STOPPED, _SURPLUS, _FATAL = range(6)


class _Batch(ctypes.Structure):
    """`Batch` of tb/bulk/harness.cpp."""

    _fields_ = [
        *(
            (name, ctypes.c_uint64)
            for name in (
                *("beats", "rows", "loads", "noises", "phases"),
                *("out_beats", "limit", "settle", "pulse_room"),
            )
        ),
        *(
            (name, ctypes.c_void_p)
            for name in (
                *("data", "keep", "strb", "last", "settings"),
                *("noise_data", "noise_keep", "noise_strb", "noise_last", "noise_settings"),
                *("pairs", "phase_row", "source_from", "source_count"),
                *(
                    "sink_from",
                    "sink_count",
                    "sink_after",
                    "out_data",
                    "out_keep",
                    "out_strb",
                    "out_last",
                    "out_user",
                ),
                *("in_clocks", "out_clocks", "pulse_clocks"),
                *("load_bank", "load_after", "load_from", "load_count", "lines"),
                *("line_channel", "row_loads"),
            )
        ),
    ]


class _Place(ctypes.Structure):
    """The first members of `Place` of tb/bulk/harness.h."""

    _fields_ = [
        *(
            (name, ctypes.c_uint64)
            for name in (
                *("beat", "row", "out_beat", "out_row", "clocks", "ended", "load", "write"),
                *("noise", "phase", "len_pulses", "keep_pulses"),
            )
        ),
        ("shown", ctypes.c_uint64 * 8),
        *((name, ctypes.c_bool) for name in ("waits", "out_waits", "first", "out_first")),
    ]


@functools.lru_cache(None)
def _library(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    handle, number = ctypes.c_void_p, ctypes.c_uint64
    for name, gives, *takes in (
        ("sn_open", handle, ctypes.c_uint32, ctypes.c_uint32),
        ("sn_close", None, handle),
        ("sn_reset", ctypes.c_int, handle, ctypes.c_uint32),
        ("sn_assert", ctypes.c_uint32, handle, ctypes.c_int),
        ("sn_release", None, handle, ctypes.c_uint32),
        ("sn_cut", None, handle, ctypes.POINTER(_Batch)),
        ("sn_begin", None, handle),
        ("sn_run", ctypes.c_int, handle, ctypes.POINTER(_Batch), number),
        ("sn_said", ctypes.c_char_p, handle),
        ("sn_place", ctypes.POINTER(_Place), handle),
        ("sn_yardstick", number, handle, number, ctypes.c_uint32, handle, handle),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = gives, takes
    return library


class Verilator:
    """An instance of the unit in this process. Calls release Python's lock."""

    def __init__(self, build: BulkBuild, seed: int):
        """Registers and memories start with bits of `seed`. Raises BuildError."""
        self._library = _library(build.library)
        self._handle = self._library.sn_open(seed, build.chosen)
        if not self._handle:
            raise BuildError(f"{build.library} cannot be started")
        self._alive = False  # nothing is known of its state

    def close(self) -> None:
        """Free the instance; to call it twice does no harm."""
        if self._handle:
            self._library.sn_close(self._handle)
            self._handle = None

    def save_coverage(self, path: Path) -> None:
        """Write the counts of code coverage since it was made, as Verilator does. Raises OSError.

        Only of a build with coverage.
        """
        function = self._library.sn_coverage
        function.restype, function.argtypes = ctypes.c_int, (ctypes.c_void_p, ctypes.c_char_p)
        if not function(self._handle, str(path).encode()):
            raise OSError(f"{path} cannot be written")

    def drive(self, job: Job, reset: bool, look: Callable[[Moved], bool] | None = None) -> Moved:
        """Drive a job to its end, or to its failure, or to where `look` is true.

        It is shown how far the job is after each reset, and now and then behind them.
        """
        numbers, arrays = _members(job)
        batch = _Batch(**numbers, **{name: array.ctypes.data for name, array in arrays.items()})
        library, handle = self._library, self._handle
        code, unrest, cuts, enough = _DONE, "", [], False
        if reset or not self._alive:
            code = library.sn_reset(handle, _RESET)
        self._alive = False
        if code == _DONE:
            library.sn_begin(handle)
            code = _MORE
        for when in job.resets:
            code = self._until(batch, code, when)
            if code != _MORE:
                break
            place = library.sn_place(handle).contents
            cuts.append(_cut(place))
            pins = library.sn_assert(handle, with_clock_low(when))
            outputs = (*_AT_REST, *(f"{name}_o" for name in job.errors))
            unrest = ", ".join(name for bit, name in enumerate(outputs) if pins >> bit & 1)
            if unrest:
                break
            library.sn_release(handle, when.held)
            library.sn_cut(handle, ctypes.byref(batch))
            enough = look is not None and look(self._moved(job, code, unrest, cuts))
            if enough:
                break
        chunk = _CHUNK if look is None else _LOOK
        while code == _MORE and not unrest and not enough:
            code = library.sn_run(handle, ctypes.byref(batch), chunk)
            if code == _MORE and look is not None:
                enough = look(self._moved(job, code, unrest, cuts))
        self._alive = code == _DONE
        return self._moved(job, code, unrest, cuts)

    def _moved(self, job: Job, code: int, unrest: str, cuts: list[Cut]) -> Moved:
        place = self._library.sn_place(self._handle).contents
        said = self._library.sn_said(self._handle).decode(errors="replace").strip()
        return Moved(
            place.ended if code == _DONE else place.clocks,
            place.beat,
            place.out_beat,
            place.len_pulses,
            place.keep_pulses,
            {
                _DONE: "",
                _MORE: f"{unrest} is 1 in reset" if unrest else UNFINISHED,
                _STUCK: f"stuck: no beat moved for {job.limit} clocks",
                _SURPLUS: "more came out than went in",
            }.get(code, said or "the simulation stopped"),
            tuple(cuts),
            _pulses(job, place),
        )

    def _until(self, batch: _Batch, code: int, when: Reset) -> int:
        """Go on up to a reset; return the code of the end if that comes first."""
        library, handle = self._library, self._handle
        clocks = when.clocks
        for _ in range(1 + (AIM if when.aim else 0)):
            if code == _MORE:
                code = library.sn_run(handle, ctypes.byref(batch), clocks)
            states = _states(library.sn_place(handle).contents)
            if code != _MORE or tuple(STREAM_STATES[one] for one in states) == when.aim:
                break
            clocks = 1
        return code

    def count_toggles(self) -> None:
        """From now on; only of a build of gates."""
        function = self._library.sn_count
        function.restype, function.argtypes = None, (ctypes.c_void_p,)
        function(self._handle)

    def toggles(self, nets: int) -> tuple[int, np.ndarray, np.ndarray]:
        """(half clocks, changes of each net, half clocks at 1 of each) since count_toggles.

        `nets` is how many the build has.
        """
        function = self._library.sn_counted
        function.restype, function.argtypes = ctypes.c_uint64, (ctypes.c_void_p,) * 3
        counted = np.zeros((2, nets), np.uint64)
        half = function(self._handle, *(row.ctypes.data for row in counted))
        return half, *counted.astype(np.int64)

    def yardstick(self, clocks: int, row_beats: int, data: np.ndarray, full: np.ndarray) -> int:
        """Clocks of a bare loop with one beat that stays (uint8 of tdata and of a full tkeep).

        Returns the beats that came out. The unit is left in the middle of rows.
        """
        self._alive = False
        self._library.sn_reset(self._handle, _RESET)
        return self._library.sn_yardstick(
            self._handle, clocks, row_beats, data.ctypes.data, full.ctypes.data
        )


def _states(place: _Place) -> tuple[int, int]:
    """Of input and output, in STREAM_STATES."""
    sides = ((place.waits, place.first), (place.out_waits, place.out_first))
    return tuple(2 if waits else int(not first) for waits, first in sides)


def _cut(place: _Place) -> Cut:
    return Cut(
        *(place.row, place.beat, not place.first, place.out_row, place.out_beat),
        clock=place.clocks,
        states=_states(place),
    )


def _pulses(job: Job, place: _Place) -> tuple[np.ndarray, ...]:
    """Clocks of the error outputs."""
    if job.pulse_clocks is None:
        return ()
    return tuple(one[:count] for one, count in zip(job.pulse_clocks, place.shown, strict=False))


def _members(job: Job) -> tuple[dict[str, int], dict[str, np.ndarray]]:
    """Numbers and arrays of the batch; the arrays must live as long as it is driven."""
    numbers = {
        "beats": len(job.beats.last),
        "rows": len(job.beats.settings),
        "noises": len(job.noise.last),
        "phases": len(job.phases.row),
        "out_beats": len(job.room.last),
        "limit": job.limit,
        "settle": job.settle,
    }
    arrays = {
        **vars(job.beats),
        **{f"noise_{name}": array for name, array in vars(job.noise).items()},
        **{f"out_{name}": array for name, array in vars(job.room).items()},
        **{name: array for name, array in vars(job.phases).items() if name != "row"},
        "phase_row": job.phases.row,
    }
    if job.in_clocks is not None:
        numbers["pulse_room"] = job.pulse_clocks.shape[1]
        arrays |= {"in_clocks": job.in_clocks, "out_clocks": job.out_clocks}
        arrays["pulse_clocks"] = job.pulse_clocks
    if job.loads is not None:
        begin, count, lines, channel = job.lines
        numbers["loads"] = len(job.loads.bank)
        arrays |= {
            "load_bank": job.loads.bank,
            "load_after": job.loads.after,
            "load_from": begin[job.loads.chosen],
            "load_count": count[job.loads.chosen],
            "lines": lines,
            "line_channel": channel,
            "row_loads": job.loads.row_loads,
        }
    return numbers, arrays
