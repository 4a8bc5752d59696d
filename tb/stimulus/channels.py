# SPDX-License-Identifier: Apache-2.0
"""Where the bench puts channel sets: which bank holds which, and when one may be replaced.

Plain bookkeeping, no simulator. A bank is in use from the moment a row that names it is to be
driven until that row has come out; only a bank that no row uses may be written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from softnorm.units.unit import BANKS, ChannelSet


def on_pins(bank: int, count: int, rng: np.random.Generator) -> int:
    """What names a bank on the pins. Where there is one, what they carry is ignored: anything."""
    return bank if count > 1 else int(rng.integers(BANKS))


class Banks:
    """The channel table, of so many banks, as the driving side sees it."""

    def __init__(self, count: int = BANKS) -> None:
        self._holds: list[ChannelSet | None] = [None] * count
        self._used_by: deque[tuple[object, int]] = deque()  # (token, bank) of rows, in order

    def bank_of(self, channels: ChannelSet) -> int | None:
        """The bank that holds a set, whole; None if there is none."""
        for bank, held in enumerate(self._holds):
            if held is channels:
                return bank
        return None

    def claim(self, bank: int) -> object:
        """A row that names the bank is about to be driven; the token is for `release`."""
        token = object()
        self._used_by.append((token, bank))
        return token

    def release(self, token: object) -> None:
        """The row of this token will not come out."""
        self._used_by = deque(pair for pair in self._used_by if pair[0] is not token)

    def row_out(self) -> None:
        """The oldest row has come out."""
        if self._used_by:  # else a row that nobody drove: the scoreboard's business
            self._used_by.popleft()

    def reset(self) -> None:
        """All rows are gone; what the banks hold stays."""
        self._used_by.clear()

    def in_use(self, bank: int) -> bool:
        """Whether a row that names the bank is, or may be, inside."""
        return any(used == bank for _, used in self._used_by)

    def to_load(self, ahead: Sequence[ChannelSet]) -> tuple[int, ChannelSet] | None:
        """The first set that rows ahead need and no bank holds, with the bank to put it into.

        A bank that no row uses comes before one that must be waited for. None if there is no such
        set, or if rows before it still need all banks.
        """
        needed: list[ChannelSet] = []
        for channels in ahead:
            if self.bank_of(channels) is None:
                spare = [
                    bank
                    for bank, held in enumerate(self._holds)
                    if not any(held is one for one in needed)
                ]
                return (min(spare, key=self.in_use), channels) if spare else None
            needed.append(channels)
        return None

    def loading(self, bank: int) -> None:
        """The bank is being written and holds nothing whole."""
        self._holds[bank] = None

    def loaded(self, bank: int, channels: ChannelSet) -> None:
        """The bank holds the set."""
        self._holds[bank] = channels
