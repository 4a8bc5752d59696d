# SPDX-License-Identifier: Apache-2.0
"""Rows at the edges of a unit's arithmetic: sums at the places where an output changes.

A constant that is off by one moves a sum by one. Of rows that are drawn hardly one is so close to a
place where an output changes that this shows. These are made to be there, of table entries alone:
they are the same in every run.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

import numpy as np

_FIRST = 48  # elements tried in front of the best pair
_PLACES = 24  # tried, where a sum cannot be made


class Filler:
    """Fills sums with weights, each as often as it takes.

    weights  [distances] int, what an element that far from the row's maximum adds
    """

    def __init__(self, weights: np.ndarray):
        values, places = np.unique(np.asarray(weights, np.int64), return_index=True)
        # Every sum of two, none counted as 0, with one pair that makes it.
        some = np.append(0, values[values > 0])
        sums, flat = np.unique(some[:, None] + some, return_index=True)
        pairs = some[np.stack(np.divmod(flat, len(some)), axis=1)]
        # Lists: they are looked at a number at a time.
        self._values, self._places = values.tolist(), places.tolist()
        self._pairs, self._pair_of = sums.tolist(), pairs.tolist()
        self._some = some.tolist()

    def below(self, total: int, most: int) -> tuple[list[int], int]:
        """(distances of up to `most` elements, their sum): as close to `total` as it gets, not
        above it."""
        found: list[int] = []
        rest = total
        largest = self._values[-1]
        while rest > 2 * largest and len(found) < most - 3:
            found.append(largest)
            rest -= largest
        best: tuple[int, list[int]] = (-1, [])
        # From the largest that fits: in a table of powers of two that leaves the fewest.
        fits = self._some[: bisect_right(self._some, rest)][::-1]
        for one in fits[:_FIRST]:
            more = self._fill(rest - one, most - len(found) - 1)
            if one + sum(more) > best[0]:
                best = one + sum(more), [one, *more]
            if best[0] == rest:
                break
        chosen = [value for value in found + best[1] if value]
        return [self._places[bisect_left(self._values, one)] for one in chosen], sum(chosen)

    def _fill(self, rest: int, most: int) -> list[int]:
        """Weights, the largest ones first, and then the best pair."""
        chosen: list[int] = []
        while rest > self._pairs[-1] and len(chosen) < most - 2:
            chosen.append(self._values[-1])
            rest -= chosen[-1]
        while True:
            at = bisect_right(self._pairs, rest) - 1
            one = self._values[bisect_right(self._values, rest) - 1]
            if self._pairs[at] == rest or one <= 0 or one > rest or len(chosen) >= most - 2:
                return chosen + self._pair_of[at]
            chosen.append(one)
            rest -= one

    @property
    def smallest(self) -> int:
        """The distance of the smallest weight above 0."""
        return self._places[bisect_right(self._values, 0)]


def at_sums(
    weights: np.ndarray, entries: Sequence[int] | np.ndarray, places: Sequence[int], most: int
) -> Iterator[list[int]]:
    """Distances of the elements of rows, the maximum (0) first: two rows for each table entry.

    weights  [distances] int, share of the sum; entries  [distances], the table entry that makes it
    places   sums at which an output changes: from one below to there. One row of an entry has the
             sum of a place, the other the sum below it. Where a sum cannot be made, it is as close
             as can be: at least that of the place, or below it. Every place has its rows
    most     elements of a row. An entry that fits no place has no row
    """
    if most < 2 or not len(places):
        return
    filler, largest = Filler(weights), int(weights[0])
    wanted = sorted(places)
    known, first = np.unique(entries, return_index=True)
    turn = 0
    for at in range(max(len(known), len(wanted))):
        distance = int(first[at % len(known)])
        base = largest + int(weights[distance])
        room = most - 2
        fits = [place for place in wanted if base < place <= base + room * largest]
        if not fits:
            continue
        for less in (1, 0):
            turn += 1
            closest: tuple[int, list[int], int] | None = None
            for more in range(min(len(fits), _PLACES)):
                rest = fits[(turn // 2 + more) % len(fits)] - less - base
                found, total = filler.below(rest, room)
                if closest is None or rest - total < closest[0]:
                    closest = rest - total, found, rest
                if total == rest:
                    break
            gap, found, _ = closest  # pyright: ignore
            if gap and not less and len(found) < room:
                found = [*found, filler.smallest]
            yield [0, distance, *found]


def ties(values: np.ndarray, bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far `values`, integers, are from where `values / 2^bits` rounds up: (at or above, below).

    Shares of a step, of the same shape; infinite on the other side, and where bits is 0 or less.
    """
    whole = np.maximum(bits, 1)
    above = (values & ((1 << whole) - 1)) - (1 << whole - 1)
    share = np.where(bits > 0, above / (1 << whole), np.inf)
    return np.where(above >= 0, share, np.inf), np.where(above < 0, -share, np.inf)


def picked(wanted: Sequence[tuple[np.ndarray, np.ndarray]], each: int = 1) -> list[int]:
    """Of candidate rows those that are closest to what is wanted, by number.

    wanted  (key, distance) of [rows] each: of every key the `each` rows of the least distance are
            taken; infinite: none of them
    """
    found: set[int] = set()
    for key, distance in wanted:
        order = np.lexsort((distance, key))
        keys = key[order]
        rank = np.arange(len(keys)) - np.searchsorted(keys, keys)
        found |= set(order[(rank < each) & np.isfinite(distance[order])].tolist())
    return sorted(found)
