# SPDX-License-Identifier: Apache-2.0
"""Every clock accounted for: when the beats of a run without stalls must have moved.

Input: a beat a clock from the first to the last. Each pass behind it starts a row a latency after
the pass before has had its last beat, or right behind the row before it, and then has a beat a
clock; the last pass is what is seen at the output. Beats beyond MAX_LEN go into no pass. A stream
cell has each beat a latency after it went in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Clocks = Sequence[tuple[list[int], list[int]]]  # (input, output) of each row


def first_irregularity(
    clocks: Clocks, latency: Sequence[int], paused: Mapping[int, int], cell: bool = False
) -> str | None:
    """What the unit did at another clock than promised, or None.

    latency  of each pass, as `Unit.latency` gives it
    paused   row -> clock of its first tvalid, of rows before which the source paused
    cell     whether the unit is a stream cell
    """
    clock, awaited = clocks[0][0][0], 0 if cell else -1
    free = [0] * len(latency)  # first clock at which each pass is free
    for number, (given, got) in enumerate(clocks):
        where = f"row {number} of {len(given)} beats"
        clock = paused.get(number, clock)
        if given != list(range(clock, clock + len(given))):
            return (
                f"{where}: s_axis_tready fell with no stall outside: beats at {given[:9]}, "
                f"expected from {clock} on without a gap"
            )
        clock += len(given)
        last, was_free = given[awaited], list(free)
        for number_of_pass, passes in enumerate(latency):
            start = max(last + passes, free[number_of_pass])
            free[number_of_pass] = start + len(got)
            last = start + len(got) - 1
        if got != list(range(start, start + len(got))):
            return (
                f"{where}: {'first' if cell else 'last'} beat in at clock {given[awaited]}, "
                f"latency {' + '.join(map(str, latency))}, passes free from {was_free}: beats at "
                f"{got[:9]}, expected from {start} on without a gap"
            )
    return None


def measured(clocks: Clocks, cell: bool = False) -> dict[str, float]:
    """Beats a clock while the input was driven, and the shortest latency seen."""
    beats = sum(len(given) for given, _ in clocks)
    return {
        "input beats per clock": beats / (clocks[-1][0][-1] - clocks[0][0][0] + 1),
        "latency": min(got[0] - given[0 if cell else -1] for given, got in clocks),
    }
