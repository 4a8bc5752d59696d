# SPDX-License-Identifier: Apache-2.0
"""Functional coverage of the stream contract: the same for every unit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from softnorm.units.coverage import Coverage
from softnorm.units.unit import Setting

from ..stimulus.values import RUNAWAY, RUNAWAY_BEATS, STREAM_STATES
from .contract import (
    JOIN_FIRST,
    JOIN_LENGTHS,
    JOIN_UNEQUAL,
    KEEP_KINDS,
    KEEP_PLACES,
    Expected,
    Joint,
    StreamShape,
)
from .scoring import Timing

_COUNTS = (0, 1, 2, 8)  # lower edges
_COUNT_NAMES = ("0", "1", "2..7", "8..")
_MASKS = ("none", "some", "trailing", "leading beats", "all but one", "all")


def _count_bin(values: np.ndarray) -> np.ndarray:
    return np.searchsorted(_COUNTS, values, side="right") - 1


def state_of(pins) -> int:
    """What a monitor is in the middle of."""
    return 2 if pins.waiting else 1 if pins.partial else 0


class StreamCoverage:
    """Bins on lengths, masks, settings, stalls, errors and resets; `sample` takes compared rows."""

    def __init__(self, shape: StreamShape, settings: Sequence[Setting]):
        self._shape = shape
        lanes, max_len = shape.lanes, shape.max_len
        # (name, test on lengths); the first that holds is a row's bin.
        whole = max_len // lanes
        classes = [
            ("1", lambda n: n == 1, True),
            ("MAX_LEN", lambda n: n == max_len, max_len > 1 and not shape.cell),
            ("MAX_LEN-1", lambda n: n == max_len - 1, max_len > 2 and not shape.cell),
            ("LANES", lambda n: n == lanes, 1 < lanes < max_len - 1),
            ("LANES-1", lambda n: n == lanes - 1, lanes > 2),
            ("LANES+1", lambda n: n == lanes + 1, 2 < lanes + 1 < max_len - 1),
            ("one beat", lambda n: n < lanes, lanes > 4),
            ("whole beats", lambda n: n % lanes == 0, whole > 2 + (max_len % lanes == 0)),
            ("other", lambda n: n >= 0, lanes > 1 and max_len > 2 * lanes),
        ]
        self._lengths = [(name, test) for name, test, exists in classes if exists]
        names = [name for name, _ in self._lengths]

        c = self.coverage = Coverage()
        c.group("row")
        c.point("length", names, "elements of a row against LANES and MAX_LEN")
        c.point("mask", self._mask_names(), "which elements of a row are masked")
        c.cross("length x mask", ("length", "mask"), "each mask at each length", self._has_mask)
        c.group("settings")
        for setting in settings:
            c.point(
                f"{setting.name} changes",
                ("same", "other"),
                f"{setting.port} against the row before",
            )
        c.group("stalls")
        c.point("gaps", _COUNT_NAMES, "clocks without tvalid inside an input row")
        c.point("input waits", _COUNT_NAMES, "clocks in which an input row waited for tready")
        c.point("output waits", _COUNT_NAMES, "clocks in which an output row waited for tready")
        c.cross("gaps x output waits", ("gaps", "output waits"), "stalls on both sides")
        c.point("tready before tvalid", ("low", "high"), "tready while an output row was awaited")
        c.group("errors")
        # No row of a cell is too long, and none of its beats is dropped.
        errors = ("none", "err_keep") if shape.cell else ("none", "err_len", "err_keep", "both")
        c.point("error", errors, "flags of a row")
        kinds = KEEP_KINDS if lanes > 1 else KEEP_KINDS[:2]  # one lane is there or not
        c.point("wrong tkeep", kinds, "what is wrong with the tkeep of a beat")
        if not shape.cell:
            c.point("place of a wrong tkeep", KEEP_PLACES, "the beat that it is in")
            # Where rows of RUNAWAY times MAX_LEN are driven.
            far = RUNAWAY * shape.max_beats
            self._dropped = (1, 2, far) if far <= RUNAWAY_BEATS else (1, 2)
            names = ("1", "2..", f"{RUNAWAY} rows..")[: len(self._dropped)]
            c.point("dropped beats", names, "beats beyond MAX_LEN")
        c.cross("error x output waits", ("error", "output waits"), "errors under back-pressure")
        if shape.inputs > 1:
            c.group("join")
            c.point("lengths", JOIN_LENGTHS, "beats of a row on s_axis against other input streams")
            c.point("first", JOIN_FIRST, "the stream whose beat of a pair came first")
            c.point("unequal", JOIN_UNEQUAL, "what is not equal in a pair")
            c.cross("unequal x first", ("unequal", "first"), "each, whichever came first")
            c.point("dropped tkeep", ("allowed", "not allowed"), "tkeep of a dropped beat")
        c.group("reset")
        c.point("input at reset", STREAM_STATES, "state of s_axis when reset was asserted")
        c.point("output at reset", STREAM_STATES, "state of m_axis when reset was asserted")
        c.cross("input x output at reset", ("input at reset", "output at reset"), "both at once")
        self._before: dict[str, int] = {}  # settings of the last row of the last batch

    def _mask_names(self) -> tuple[str, ...]:
        return _MASKS

    def _has_mask(self, length: int, mask: int) -> bool:
        """Whether rows of a length class can have a mask class."""
        lanes, max_len = self._shape.lanes, self._shape.max_len
        longest = {
            "1": 1,
            "LANES": lanes,
            "LANES-1": lanes - 1,
            "LANES+1": lanes + 1,
            "one beat": lanes - 2,
        }.get(self._lengths[length][0], max_len)
        need = {
            "none": 1,
            "some": 3,
            "trailing": 3,
            "leading beats": lanes + 2,
            "all but one": 2,
            "all": 1,
        }
        return longest >= need[_MASKS[mask]]

    def sample(self, expected: Expected, err_len: np.ndarray, timing: Timing) -> None:
        """Count a batch of compared rows, in stream order."""
        c, rows = self.coverage, expected.rows
        length = self._length_bins(rows.length)
        mask = self._mask_bins(rows.mask, rows.length)
        clean = ~(err_len | expected.err_keep)
        c.sample("length", length[clean])
        c.sample("mask", mask[clean])
        cross = clean & np.array(
            [n >= 0 and self._has_mask(n, m) for n, m in zip(length, mask, strict=True)]
        )
        c.sample("length x mask", length[cross], mask[cross])
        for name, values in rows.settings.items():
            before = self._before.get(name, values[0])
            changes = np.diff(values, prepend=before) != 0
            c.sample(f"{name} changes", changes[name not in self._before :])
            self._before[name] = values[-1]
        gaps = _count_bin(timing.gaps)
        waits = _count_bin(timing.output_waits)
        c.sample("gaps", gaps)
        c.sample("input waits", _count_bin(timing.input_waits))
        c.sample("output waits", waits)
        c.sample("gaps x output waits", gaps, waits)
        c.sample("tready before tvalid", np.where(timing.before, timing.before >> 1, -1))
        error = expected.err_keep.astype(int)
        joint = expected.joint
        c.sample("wrong tkeep", expected.keep_kinds if joint is None else joint.kinds)
        if joint is not None:
            self._sample_join(joint)
        if not self._shape.cell:
            error = err_len + 2 * error
            c.sample("place of a wrong tkeep", expected.keep_places)
            dropped = np.searchsorted(self._dropped, expected.dropped, side="right") - 1
            c.sample("dropped beats", dropped)
        c.sample("error", error)
        c.sample("error x output waits", error, waits)

    def _sample_join(self, joint: Joint) -> None:
        c = self.coverage
        c.sample("lengths", joint.longer)
        c.sample("unequal x first", joint.unequal, joint.first, axes=("unequal", "first"))
        c.sample("dropped tkeep", joint.dropped.astype(int))

    def sample_reset(self, source: int, sink: int) -> None:
        """Count a reset by what the two streams were in the middle of, in STREAM_STATES."""
        self.coverage.sample("input at reset", source)
        self.coverage.sample("output at reset", sink)
        self.coverage.sample("input x output at reset", source, sink)

    def _length_bins(self, length: np.ndarray) -> np.ndarray:
        bins = np.full(len(length), -1)
        for number, (_, test) in reversed(list(enumerate(self._lengths))):
            bins[test(length) & (length > 0)] = number
        return bins

    def _mask_bins(self, mask: np.ndarray, length: np.ndarray) -> np.ndarray:
        count = mask.sum(axis=1)
        first = mask.argmax(axis=1)
        last = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
        run = last - first + 1 == count
        bins = np.full(len(length), _MASKS.index("some"))
        bins[run & (first == 0)] = _MASKS.index("trailing")
        bins[first >= self._shape.lanes] = _MASKS.index("leading beats")
        bins[count == 1] = _MASKS.index("all but one")
        bins[count == length] = _MASKS.index("none")
        bins[count == 0] = _MASKS.index("all")
        return bins
