"""Scoreboard: every row that left the unit against the model of the row that went in, at 0 LSB.

It trusts only what the monitors saw on the pins. Rows are compared in batches, since a model call
costs little more for hundreds of rows than for one; the first mismatch in stream order is the one
reported.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from pyuvm import ConfigDB, uvm_analysis_export, uvm_component

from tb.contract import Expected, ObservedRow, Outcome, decode, decode_outputs
from tb.unit import Outputs

BATCH = 256


def require(condition: object, report: str | None) -> None:
    """Fail with `report` unless the condition holds. (cocotb would repeat an assert's message.)"""
    if not condition:
        raise AssertionError(report)


@dataclass(frozen=True)
class Compared:
    """A batch of rows that came out as the model has them: what listeners get."""

    expected: Expected
    err_len: np.ndarray  # [rows] bool, the unit's own length rule included
    model: Outputs
    seen: Outcome
    pairs: list[tuple[ObservedRow, ObservedRow]]


class _RowPort(uvm_analysis_export):
    """Calls `handler` for each row written."""

    def __init__(self, name, parent, handler):
        super().__init__(name, parent)
        self.write = handler


class Scoreboard(uvm_component):
    """Compares, keeps the counts, and hands compared rows to `listeners` (coverage, accuracy).

    `failure` is None or the report of the first mismatch; `on_failure` is called with it.
    """

    def build_phase(self):
        self.bench = ConfigDB().get(self, "", "BENCH")
        self.inputs = _RowPort("inputs", self, self._input)
        self.outputs = _RowPort("outputs", self, self._output)
        self._expected: deque[ObservedRow] = deque()
        self._pairs: list[tuple[ObservedRow, ObservedRow]] = []
        self.listeners = []
        self.failure: str | None = None
        self.on_failure = lambda: None
        self.rows = self.elements = self.mismatches = 0
        self.dropped = 0  # rows that a reset took while they were inside
        self.pulses = {"err_len": 0, "err_keep": 0}
        # What the environment connects: clocks of the error outputs, and the row that is going in.
        self.seen_pulses = lambda: self.pulses
        self.partial = ObservedRow

    def start_of_simulation_phase(self):
        self.bench.reset.on_assert(self._reset)

    @property
    def inside(self) -> int:
        """Rows that have gone in whole and not come out."""
        return len(self._expected)

    def _reset(self) -> None:
        self.compare()
        self._judge_pulses()
        self.dropped += len(self._expected)
        self._expected.clear()
        self.pulses = {"err_len": 0, "err_keep": 0}

    def _judge_pulses(self) -> None:
        """At a reset: those of rows that have come out were seen, those of rows inside may be."""
        if self.failure is not None:
            return
        least, most = self.pulses, dict(self.pulses)
        inside, partial = list(self._expected), self.partial()
        if inside:
            decoded = decode(inside, self.bench.shape)
            model = self.bench.unit.predict(self.bench.parameters, decoded.rows)
            err_len = decoded.err_len if model.err_len is None else decoded.err_len | model.err_len
            most["err_len"] += int(err_len.sum())
            most["err_keep"] += int(decoded.keep_pulses.sum())
        if partial.beats:
            most["err_len"] += int(decode([partial], self.bench.shape).err_len.sum())
            most["err_keep"] += len(partial.beats)
        for name, seen in self.seen_pulses().items():
            if not least[name] <= seen <= most[name]:
                self._fail(
                    f"{name}_o was high for {seen} clocks between two resets, expected "
                    f"{least[name]} to {most[name]}"
                )

    def _input(self, row: ObservedRow) -> None:
        self._expected.append(row)

    def _output(self, row: ObservedRow) -> None:
        if not self._expected:
            self._fail(f"a row of {len(row.beats)} beats came out and none was expected", row)
            return
        self._pairs.append((self._expected.popleft(), row))
        if len(self._pairs) >= BATCH:
            self.compare()

    def _fail(self, text: str, row: ObservedRow | None = None) -> None:
        self.mismatches += 1
        if self.failure is None:
            where = f" at clock {row.clocks[0]}" if row and row.clocks else ""
            self.failure = f"{text}{where}\nrerun: {self.bench.rerun}"
            self.on_failure()

    def compare(self) -> None:
        """Compare what has come out so far."""
        pairs, self._pairs = self._pairs, []
        if not pairs:
            return
        bench = self.bench
        expected = decode([i for i, _ in pairs], bench.shape)
        seen = decode_outputs([o for _, o in pairs], bench.shape)
        model = bench.unit.predict(bench.parameters, expected.rows)
        err_len = expected.err_len if model.err_len is None else expected.err_len | model.err_len
        self.pulses["err_len"] += int(err_len.sum())
        self.pulses["err_keep"] += int(expected.keep_pulses.sum())
        user = (
            model.exponent.astype(int)
            | err_len.astype(int) << 5
            | expected.err_keep.astype(int) << 6
        )
        for number in self._wrong_rows(expected, seen, model, user, pairs):
            self._report(number, pairs[number], expected, seen, model, int(user[number]))
            return
        self.rows += len(pairs)
        self.elements += int(expected.keep.sum())
        for listener in self.listeners:
            listener(Compared(expected, err_len, model, seen, pairs))

    def _wrong_rows(self, expected, seen, model, user, pairs) -> list[int]:
        wrong = expected.beats != seen.beats
        width = min(expected.keep.shape[1], seen.keep.shape[1])
        wrong |= (expected.keep[:, :width] != seen.keep[:, :width]).any(axis=1)
        want = self._padded(model, expected)
        wrong |= (want[:, :width] != seen.out[:, :width]).any(axis=1)
        for number, (_, row) in enumerate(pairs):
            want_user = f"{user[number]:07b}"
            wrong[number] |= any(bits != want_user for bits in row.user)
        return np.flatnonzero(wrong).tolist()

    @staticmethod
    def _padded(model: Outputs, expected: Expected) -> np.ndarray:
        """The model's outputs over whole beats: lanes without an element put out 0."""
        want = np.zeros(expected.keep.shape, model.out.dtype)
        want[:, : model.out.shape[1]] = model.out
        return want

    def _report(self, number, pair, expected: Expected, seen: Outcome, model, user: int) -> None:
        """Say what went wrong so that a person can act on it."""
        given, got = pair
        bench, lanes = self.bench, self.bench.shape.lanes
        want = self._padded(model, expected)[number]
        keep = expected.keep[number]
        lines = [
            f"{bench.unit.name}: row {self.rows + number} does not match the model",
            f"  seed {bench.seed}, parameters "
            + " ".join(f"{k}={v}" for k, v in bench.parameters.items())
            + ", settings "
            + " ".join(f"{k}={v}" for k, v in given.settings.items()),
            f"  row: {expected.rows.length[number]} elements in {expected.beats[number]} beats, "
            f"{int(expected.rows.mask[number].sum())} unmasked; first beat in at clock "
            f"{given.clocks[0]}, out at clock {got.clocks[0]}",
        ]
        if seen.beats[number] != expected.beats[number]:
            lines.append(
                f"  beats (tlast): expected {expected.beats[number]}, got {seen.beats[number]}"
            )
        for beat, bits in enumerate(got.user):
            if bits != f"{user:07b}":
                lines.append(
                    f"  beat {beat}, tuser {{err_keep, err_len, exponent}}: expected "
                    f"{user:07b}, got {bits}"
                )
                break
        width = min(len(keep), seen.keep.shape[1], lanes * int(seen.beats[number]))
        bad_keep = np.flatnonzero(keep[:width] != seen.keep[number, :width])
        if bad_keep.size:
            beat, lane = divmod(int(bad_keep[0]), lanes)
            lines.append(
                f"  beat {beat}, lane {lane}, tkeep: expected {int(keep[bad_keep[0]])}, got "
                f"{int(seen.keep[number, bad_keep[0]])}"
            )
        bad = np.flatnonzero(want[:width] != seen.out[number, :width])
        if bad.size:
            at = int(bad[0])
            beat, lane = divmod(at, lanes)
            x, mask = expected.rows.x[number], expected.rows.mask[number]
            low = beat * lanes
            lines += [
                f"  beat {beat}, lane {lane} (element {at}), tdata: expected {want[at]}, got "
                f"{seen.out[number, at]}; {bad.size} elements of the row differ",
                f"  input of the element: {x[at]}{'' if mask[at] else ' (masked)'}",
                f"  beat in:  {' '.join(self._lane_texts(x, mask, low, lanes))}",
                f"  expected: {' '.join(map(str, want[low : low + lanes]))}",
                f"  got:      {' '.join(map(str, seen.out[number, low : low + lanes]))}",
            ]
        self._fail("\n".join(lines))

    @staticmethod
    def _lane_texts(x, mask, low, lanes):
        for i in range(low, min(low + lanes, len(x))):
            yield str(x[i]) if mask[i] else f"({x[i]})"

    def complaint(self) -> str | None:
        """What is wrong at the end, or None: a mismatch, nothing compared, rows left inside."""
        self.compare()
        rerun = f"\nrerun: {self.bench.rerun}"
        if self.failure is None and not self.rows:
            return "nothing was compared" + rerun
        if self.failure is None and self._expected:
            return f"{len(self._expected)} rows went in and never came out" + rerun
        return self.failure
