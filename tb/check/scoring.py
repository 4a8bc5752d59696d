# SPDX-License-Identifier: Apache-2.0
"""Every row that left the unit against the model of the row that went in, at 0 LSB.

What pin-level and bulk runs share: the one takes rows from monitors, the other from arrays. Rows
are compared in batches, since a model call costs little more for hundreds of rows than for one; the
first mismatch in stream order is the one reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from softnorm.units.unit import Outputs, Parameters, Unit, from_bits, to_bits

from .contract import FLAGS, Expected, InputBeats, Outcome, StreamShape, expect
from .join import Joiner


@dataclass(frozen=True)
class Timing:
    """When the rows of a batch moved.

    gaps   [rows] int, clocks without tvalid inside an input row
    input_waits, output_waits  [rows] int, clocks with tvalid and no tready
    clocks  of each row (clock of each of its input beats, of each of its output beats)
    before [rows] int, tready in clocks without tvalid on the output since the row before: 1, low in
           some; 2, high in some; their sum; 0, there was no such clock
    """

    gaps: np.ndarray
    input_waits: np.ndarray
    output_waits: np.ndarray
    clocks: list[tuple[list[int], list[int]]]
    before: np.ndarray

    def of_pairs(self, count: np.ndarray, clocks: np.ndarray) -> Timing:
        """The same of rows of pairs: so many each, and the clock of the later beat of each pair."""
        given = np.split(clocks, np.cumsum(count)[:-1])
        both = [(some.tolist(), got) for some, (_, got) in zip(given, self.clocks, strict=True)]
        return replace(self, clocks=both)


@dataclass(frozen=True)
class Moving:
    """Rows under way when a reset came, and the clocks at which their beats went in."""

    beats: InputBeats
    clocks: np.ndarray


@dataclass(frozen=True)
class Compared:
    """A batch of rows that came out as the model has them: what listeners get."""

    expected: Expected
    err_len: np.ndarray  # [rows] bool, the unit's own length rule included
    model: Outputs
    seen: Outcome
    timing: Timing


class Scorer:
    """Compares, keeps the counts, and hands compared rows to `listeners` (coverage, accuracy).

    rows, elements  compared so far
    pulses  error output -> clocks at which rows compared since the last `restart` have it high,
            with the number of the row
    joiner  of a unit of several input streams, the join of what went in since then
    """

    def __init__(self, unit: Unit, parameters: Parameters, seed: int):
        self.unit = unit
        self.parameters = parameters
        self.seed = seed
        self.shape = StreamShape.of(unit, parameters)
        self.listeners: list[Callable[[Compared], None]] = []
        self.rows = self.elements = 0
        self.restart()

    def restart(self) -> None:
        """The unit has been reset, and the error outputs count from 0."""
        names = self.unit.errors(self.parameters)
        self.pulses: dict[str, dict[int, int]] = {name: {} for name in names}
        self.joiner = Joiner()

    def _model(self, expected: Expected) -> tuple[Outputs, np.ndarray]:
        """The model's answer, and which rows are of a wrong length, its own rule included."""
        model = self.unit.predict(self.parameters, expected.rows)
        err_len = expected.err_len if model.err_len is None else expected.err_len | model.err_len
        return model, err_len

    def compare(self, expected: Expected, seen: Outcome, timing: Timing) -> str | None:
        """Compare a batch; return the report of its first wrong row, or None."""
        model, err_len = self._model(expected)
        clocks = [clock for given, _ in timing.clocks for clock in given]
        self._account(self.pulses, expected, err_len, np.array(clocks), model)
        flags = (model.exponent.astype(int) | err_len.astype(int) << 5)[:, None]
        flags = flags | expected.keep_flags.astype(int) << 6
        others = [to_bits(field, model.user[field.name]) for field in self.shape.user[1:]]
        user = np.stack(
            [flags, *(np.broadcast_to(o[:, None], flags.shape) for o in others)], axis=2
        )
        want = self._padded(model, expected)
        wrong = expected.beats != seen.beats
        width = min(expected.keep.shape[1], seen.keep.shape[1])
        wrong |= (expected.keep[:, :width] != seen.keep[:, :width]).any(axis=1)
        wrong |= (want[:, :width] != seen.out[:, :width]).any(axis=1)
        beats = min(user.shape[1], seen.user.shape[1])
        wrong |= (user[:, :beats] != seen.user[:, :beats]).any(axis=(1, 2))
        if seen.strb is not None:
            live = expected.rows.mask
            width = min(live.shape[1], seen.strb.shape[1])
            wrong |= (live[:, :width] != seen.strb[:, :width]).any(axis=1)
        if wrong.any():
            number = int(wrong.argmax())
            return self._report(number, expected, seen, want[number], user[number], timing)
        self.rows += len(expected.beats)
        self.elements += int(expected.keep.sum())
        for listener in self.listeners:
            listener(Compared(expected, err_len, model, seen, timing))
        return None

    def _account(
        self,
        pulses: dict[str, dict[int, int]],
        expected: Expected,
        err_len: np.ndarray,
        clocks: np.ndarray,
        model: Outputs | None = None,
    ) -> None:
        """Add the pulses of a batch of rows whose beats went in at `clocks` [beats].

        model: its answer for rows that went in as a whole.
        """
        late = self.unit.err_len_delay(self.parameters)
        found = [
            ("err_len", expected.len_beat[err_len], late),
            ("err_keep", np.flatnonzero(expected.keep_wrong), 1),
        ]
        last = np.flatnonzero(np.diff(expected.beat_row, append=-1))  # beat of each row
        for name, delay in self.unit.row_errors(self.parameters).items():
            if model is not None and name in model.user:
                found.append((f"err_{name}", last[model.user[name] != 0], delay))
        if expected.joint is not None:
            del found[1]  # these come with the join
            when, rows = expected.joint.pulses
            pulses["err_keep"] |= zip(when.tolist(), (self.rows + rows).tolist(), strict=True)
        for name, beats, delay in found:
            rows = self.rows + expected.beat_row[beats]
            pulses[name] |= zip((clocks[beats] + delay).tolist(), rows.tolist(), strict=True)

    def judge_pulses(
        self,
        seen: Mapping[str, Sequence[int]],
        until: int | None = None,
        inside: Moving | None = None,
        partial: Moving | None = None,
    ) -> str | None:
        """What is wrong with the clocks of the error outputs since the last `restart`, or None.

        seen     output -> clocks in which it was high
        until    the last clock in which it was looked at, where a reset came; None: all came
        inside   rows that went in and have not come out; partial: a row that went in in part
        """
        pulses = {name: dict(clocks) for name, clocks in self.pulses.items()}
        if inside is not None:
            expected = expect(inside.beats, self.shape)
            model, err_len = self._model(expected)
            self._account(pulses, expected, err_len, inside.clocks, model)
        if partial is not None:
            expected = expect(partial.beats, self.shape, whole=False)
            self._account(pulses, expected, expected.err_len, partial.clocks)
        for name, clocks in seen.items():
            wanted = {c: row for c, row in pulses[name].items() if until is None or c <= until}
            differ = wanted.keys() ^ set(clocks)
            if differ:
                at = min(differ)
                due = f"1: row {wanted[at]}" if at in wanted else "0"
                return (
                    f"{name}_o was high for {len(clocks)} clocks, expected {len(wanted)}: at clock "
                    f"{at} it is {int(at not in wanted)} and must be {due}"
                )
        return None

    @staticmethod
    def _padded(model: Outputs, expected: Expected) -> np.ndarray:
        """The model's outputs over whole beats: lanes without an element put out 0."""
        want = np.zeros(expected.keep.shape, model.out.dtype)
        want[:, : model.out.shape[1]] = model.out
        return want

    def _report(
        self,
        number: int,
        expected: Expected,
        seen: Outcome,
        want: np.ndarray,
        user: np.ndarray,
        timing: Timing,
    ) -> str:
        """Say what went wrong so that a person can act on it."""
        lanes, rows = self.shape.lanes, expected.rows
        keep = expected.keep[number]
        went_in, came_out = timing.clocks[number]
        settings = {name: int(values[number]) for name, values in rows.settings.items()}
        lines = [
            f"{self.unit.name}: row {self.rows + number} does not match the model",
            f"  seed {self.seed}, parameters "
            + " ".join(f"{k}={v}" for k, v in self.parameters.items())
            + ", settings "
            + " ".join(f"{k}={v}" for k, v in settings.items()),
            f"  row: {rows.length[number]} elements in {expected.beats[number]} beats, "
            f"{int(rows.mask[number].sum())} unmasked; first beat in at clock "
            f"{went_in[0]}, out at clock {came_out[0]}",
        ]
        if seen.beats[number] != expected.beats[number]:
            lines.append(
                f"  beats (tlast): expected {expected.beats[number]}, got {seen.beats[number]}"
            )
        beats = min(len(user), seen.user.shape[1])
        for place, field in enumerate(self.shape.user):
            others = np.flatnonzero(seen.user[number, :beats, place] != user[:beats, place])
            if not others.size:
                continue
            beat = int(others[0])
            due, raw = int(user[beat, place]), int(seen.user[number, beat, place])
            if field is FLAGS:
                got = "an X" if raw < 0 else f"{raw:07b}"
                said = f"tuser {{err_keep, err_len, exponent}}: expected {due:07b}, got {got}"
            else:
                got = "an X" if raw < 0 else str(from_bits(field, raw))
                said = f"tuser {field.name}: expected {from_bits(field, due)}, got {got}"
            lines.append(f"  beat {beat}, {said}")
        width = min(len(keep), seen.keep.shape[1], lanes * int(seen.beats[number]))
        bad_keep = np.flatnonzero(keep[:width] != seen.keep[number, :width])
        if bad_keep.size:
            beat, lane = divmod(int(bad_keep[0]), lanes)
            lines.append(
                f"  beat {beat}, lane {lane}, tkeep: expected {int(keep[bad_keep[0]])}, got "
                f"{int(seen.keep[number, bad_keep[0]])}"
            )
        if seen.strb is not None:
            live = np.zeros(width, bool)
            some = rows.mask[number, :width]
            live[: len(some)] = some
            bad_strb = np.flatnonzero(live != seen.strb[number, :width])
            if bad_strb.size:
                beat, lane = divmod(int(bad_strb[0]), lanes)
                lines.append(
                    f"  beat {beat}, lane {lane}, tstrb: expected {int(live[bad_strb[0]])}, got "
                    f"{int(seen.strb[number, bad_strb[0]])}"
                )
        bad = np.flatnonzero(want[:width] != seen.out[number, :width])
        if bad.size:
            at = int(bad[0])
            beat, lane = divmod(at, lanes)
            low = beat * lanes
            # Beyond MAX_LEN, or where a wrong tkeep says so, there is no element.
            x = np.pad(rows.x[number], (0, lanes))
            mask = np.pad(rows.mask[number], (0, lanes))
            lines += [
                f"  beat {beat}, lane {lane} (element {at}), tdata: expected {want[at]}, got "
                f"{seen.out[number, at]}; {bad.size} elements of the row differ",
                f"  input of the element: {x[at]}{'' if mask[at] else ' (masked)'}"
                + "".join(
                    f", {operand.name} {np.pad(values[number], (0, lanes))[at]}"
                    for operand, values in zip(self.unit.operands, rows.operands, strict=True)
                ),
                f"  beat in:  {' '.join(self._lane_texts(rows, number, low, lanes))}",
                f"  expected: {' '.join(map(str, want[low : low + lanes]))}",
                f"  got:      {' '.join(map(str, seen.out[number, low : low + lanes]))}",
            ]
        return "\n".join(lines)

    @staticmethod
    def _lane_texts(rows, number, low, lanes):
        x, mask = rows.x[number], rows.mask[number]
        for i in range(low, min(low + lanes, len(x))):
            yield str(x[i]) if mask[i] else f"({x[i]})"
