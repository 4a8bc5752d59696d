# SPDX-License-Identifier: Apache-2.0
"""Input streams that a unit joins, in numpy: the pairs of their beats, and when err_keep_o is high.

Written from docs/stream.md, "Stream cells", for any number of streams. The pairs are beats as those
of one stream: `tb.check.contract.expect` takes them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .contract import InputBeats, Joint, judge_keep, places

_NEVER = 1 << 62


@dataclass(frozen=True)
class Stream:
    """Rows of one input stream, in order.

    clocks  [beats], of the transfers
    whole   [rows] bool, tlast has come
    """

    beats: InputBeats
    clocks: np.ndarray
    whole: np.ndarray


class Joiner:
    """Joins streams, batch by batch, from a reset on: it keeps the clock that the unit is at."""

    def __init__(self) -> None:
        self._free = 0  # clock of the last beat that was taken on, or dropped
        self._out = 0  # clock at which the last output beat left

    def join(self, streams: Sequence[Stream], out: Sequence[int]) -> tuple[InputBeats, np.ndarray]:
        """The pairs of rows, as many in each stream, and the clock of the later beat of each pair.

        out  clocks of the output beats' transfers, of as many pairs as have come out. Rows that
             have no pair yet are left out: the last ones.
        """
        count = np.array([stream.beats.count for stream in streams])
        whole = np.array([stream.whole for stream in streams])
        ends = np.where(whole, count, _NEVER).min(axis=0)  # a row ends with the first tlast
        pairs = count.min(axis=0)
        dropped = np.where(pairs == ends, count - ends, 0)
        row, number = places(pairs)
        starts = np.cumsum(count, axis=1) - count
        at = starts[:, row] + number
        keeps = [stream.beats.keep[some] for stream, some in zip(streams, at, strict=True)]
        lasts = whole[:, row] & (number == count[:, row] - 1)
        bad, kinds = [], []  # of every beat
        for stream, of_row in zip(streams, count, strict=True):
            which, place = places(of_row)
            last = stream.whole[which] & (place == of_row[which] - 1)
            wrong, kind = judge_keep(stream.beats.keep, last)
            bad.append(wrong)
            kinds.append(kind[wrong])
        tkeep = np.any([(keep != keeps[0]).any(axis=1) for keep in keeps], axis=0)
        tlast = lasts.any(axis=0) & ~lasts.all(axis=0)
        wrong = tkeep | tlast | np.any([b[some] for b, some in zip(bad, at, strict=True)], axis=0)
        clocks = np.array([stream.clocks[some] for stream, some in zip(streams, at, strict=True)])
        here = pairs > 0
        others = count[1:].max(axis=0)
        left = []
        for b, begin, some in zip(bad, starts, dropped, strict=True):
            which, place = places(some)
            left.append(b[(begin + ends)[which] + place])
        first = streams[0].beats
        joint = Joint(
            wrong=wrong,
            pulses=self._pulses(
                streams,
                [one.T.tolist() for one in (pairs, dropped, starts, ends)],
                *(clocks, wrong, bad, out),
            ),
            unequal=tkeep + 2 * tlast,
            longer=np.where(count[0] > others, 1, np.where(count[0] < others, 2, 0))[here],
            first=1 + np.sign(clocks[0] - clocks[1:].min(axis=0)),
            kinds=np.concatenate(kinds),
            dropped=np.concatenate(left),
        )
        data, *operands = (s.beats.data[some] for s, some in zip(streams, at, strict=True))
        strbs = [s.beats.strb[some] for s, some in zip(streams, at, strict=True)]
        joined = InputBeats(
            count=pairs[here],
            data=data,
            keep=np.all(keeps, axis=0),
            strb=np.all(strbs, axis=0),
            settings={name: values[here] for name, values in first.settings.items()},
            operands=tuple(operands),
            joint=joint,
        )
        return joined, clocks.max(axis=0)

    def _pulses(self, streams, rows, clocks, wrong, bad, out) -> tuple[np.ndarray, np.ndarray]:
        """When err_keep_o is high: a clock after a wrong pair is joined or a wrong beat dropped.

        A pair is joined as soon as its beats are there, a clock after their transfers, and the
        output register is free. A stream that goes on behind the row's end drops a beat a clock.
        """
        found: list[tuple[int, int]] = []
        there, errors = (clocks.max(axis=0) + 1).tolist(), wrong.tolist()
        gone = iter(itertools.chain(out, itertools.repeat(_NEVER)))
        pair = 0
        for number, (count, dropped, begin, end) in enumerate(zip(*rows, strict=True)):
            for _ in range(count):
                self._free = max(self._free + 1, there[pair], self._out)
                self._out = next(gone)
                if errors[pair]:
                    found.append((self._free + 1, number))
                pair += 1
            joined = self._free
            for stream, b, first, some in zip(streams, bad, begin, dropped, strict=True):
                clock = joined
                for beat in range(first + end, first + end + some) if some else ():
                    clock = max(clock, int(stream.clocks[beat])) + 1
                    if b[beat]:
                        found.append((clock + 1, number))
                self._free = max(self._free, clock)
        when, of_row = np.array(found, int).reshape(-1, 2).T
        return when, of_row
