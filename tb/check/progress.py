# SPDX-License-Identifier: Apache-2.0
"""The rules of progress: how long a stream may stand still with nobody but the unit to blame.

A row that is inside whole comes out whatever tready does: its tvalid must not wait for tready. And
where no whole row is inside, nothing can come out: tready of the input must be there. Of a stream
cell, which waits for no row's end, the same holds of beats; of several input streams, of pairs of
beats, and of tready of those whose next beat is not there. These rules are also those of
tb/sv/sn_progress_checker.sv and tb/bulk/sn_bulk_top.sv, those of pairs apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from softnorm.units.unit import Parameters, Unit

from .contract import StreamShape

NO_TVALID = "no tvalid came while tready was low, with a whole row inside"
NO_ROW = "no tvalid came, with a whole row inside"
NO_TREADY = "no tready came, with no whole row inside"
STILL = (NO_TVALID, NO_ROW, NO_TREADY)


def patience(unit: Unit, parameters: Parameters) -> int:
    """Clocks that a row may take, whole inside and the first, until it shows tvalid.

    Of a cell: a beat.
    """
    latency = unit.latency(parameters)
    if unit.cell:
        return sum(latency)
    return sum(latency) + len(latency) * StreamShape.of(unit, parameters).max_beats


class Pairs:
    """Beats inside a cell, of several input streams pairs; a beat that is dropped is gone at once.

    awaited  streams whose next beat is not there
    """

    def __init__(self, streams: int):
        self._count = streams
        self.restart()

    def restart(self) -> None:
        """The cell has been reset."""
        self._inside = 0
        self._here: list[deque[bool]] = [deque() for _ in range(self._count)]
        self._drops = [False] * self._count

    def clock(self, lasts: Sequence[bool | None], out: bool) -> int:
        """The pairs inside, behind a clock: tlast of the beat of each stream, None: none has moved.

        out  a beat has moved out
        """
        for here, last in zip(self._here, lasts, strict=True):
            if last is not None:
                here.append(last)
        self._drop()
        while all(self._here) and not any(self._drops):
            ends = [here.popleft() for here in self._here]
            self._drops = [any(ends) and not end for end in ends]
            self._inside += 1
            self._drop()
        self._inside -= out
        return self._inside

    def _drop(self) -> None:
        """Up to a row's last beat."""
        for place, here in enumerate(self._here):
            while self._drops[place] and here:
                self._drops[place] = not here.popleft()

    @property
    def awaited(self) -> list[int]:
        return [place for place, here in enumerate(self._here) if not here]


class Progress:
    """Counts clocks without progress; `clock` is called at each with what is on the pins.

    inside  rows that are inside whole, or beats; whoever sees them keeps it
    """

    def __init__(self, limit: int):
        self._limit = limit
        self.restart()

    def restart(self) -> None:
        """The unit has been reset."""
        self.inside = self._silent = self._closed = 0
        self._refused = True

    def clock(self, valid: bool, ready: bool, in_ready: bool) -> str | None:
        """Count a clock by tvalid and tready of the output and tready of the input.

        Return the rule that is broken as of this clock, or None.
        """
        if self.inside and not valid:
            self._silent += 1
            self._refused &= not ready
            if self._silent == self._limit + 1:
                return NO_TVALID if self._refused else NO_ROW
        else:
            self._silent, self._refused = 0, True
        self._closed = 0 if self.inside or in_ready else self._closed + 1
        return NO_TREADY if self._closed == self._limit + 1 else None
