# SPDX-License-Identifier: Apache-2.0
"""What is kept of compared rows: functional coverage, what came out, when; and the files of a run.

Pin-level and bulk runs keep the same. Listeners of a `tb.check.scoring.Scorer`, no simulator.
"""

from __future__ import annotations

import json

import numpy as np

from softnorm.units.coverage import Coverage
from softnorm.units.unit import Outputs, Parameters, Rows, Unit, padded_together

from ..run import Run
from .contract import StreamShape
from .coverage import StreamCoverage
from .scoring import Compared

KEPT_ELEMENTS = 4_000_000  # enough for any table, and a bound on memory


class Collector:
    """Functional coverage of the stream contract and of the unit, from compared rows."""

    def __init__(self, unit: Unit, parameters: Parameters):
        self._unit, self._parameters = unit, parameters
        self.stream = StreamCoverage(StreamShape.of(unit, parameters), unit.settings(parameters))
        self.unit = unit.coverage(parameters)

    def sample(self, batch: Compared) -> None:
        """Count a batch, in stream order."""
        self.stream.sample(batch.expected, batch.err_len, batch.timing)
        self._unit.sample(self.unit, self._parameters, batch.expected.rows)

    def merged(self) -> Coverage:
        """Both as one."""
        whole = Coverage()
        whole.merge(self.stream.coverage)
        whole.merge(self.unit)
        return whole


class Recorder:
    """Keeps what came out, for the accuracy table and for whoever asks for it, and all clocks.

    clocks  (input, output) of each row, as `tb.check.scoring.Timing` has them
    """

    def __init__(self, shape: StreamShape) -> None:
        self._shape = shape
        self._batches: list[tuple[Rows, Outputs]] = []
        self._elements = 0
        self.clocks: list[tuple[list[int], list[int]]] = []

    def record(self, batch: Compared) -> None:
        """Keep a batch, in stream order."""
        self.clocks += batch.timing.clocks
        # Rows that broke the contract say nothing about accuracy.
        good = ~(batch.err_len | batch.expected.err_keep)
        if self._elements >= KEPT_ELEMENTS or not good.any():
            return
        rows = batch.expected.rows
        self._batches.append(
            (
                rows.select(good),
                Outputs(
                    batch.seen.out[good, : rows.x.shape[1]],
                    batch.seen.user[good, 0, 0] & 31,
                    user=self._shape.user_values(batch.seen.user[good, 0]),
                ),
            )
        )
        self._elements += rows.x.size

    def kept(self) -> tuple[Rows, Outputs] | None:
        """Rows kept and what the unit made of them, in stream order; None when there are none."""
        if not self._batches:
            return None
        rows, outputs = zip(*self._batches, strict=True)
        return (
            Rows.joined(rows),
            Outputs(
                padded_together([o.out for o in outputs]),
                np.concatenate([o.exponent for o in outputs]),
                user={n: np.concatenate([o.user[n] for o in outputs]) for n in outputs[0].user},
            ),
        )


def save_result(run: Run, result: dict) -> None:
    """Write result.json."""
    (run.folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")


def save_run(run: Run, collector: Collector, recorder: Recorder, real: int, counts: dict) -> dict:
    """Write what a run that passed leaves: result.json, coverage.json, outputs.npz.

    Returns what is in result.json.

    real    rows of a tensor file, which came first: accuracy is of these where there are any
    counts  entries of the result beside those that follow from the recorder
    """
    collector.merged().save(run.folder / "coverage.json", run.about())
    kept = recorder.kept()
    if kept is not None:
        rows, outputs = kept
        np.savez(
            run.folder / "outputs.npz",
            x=rows.x,
            mask=rows.mask,
            length=rows.length,
            **rows.settings,
            out=outputs.out,
            exponent=outputs.exponent,
            **outputs.user,
            **_channels_of(rows),
        )
    (first, _), (_, last) = recorder.clocks[0], recorder.clocks[-1]
    result = {
        **run.about(),
        "clocks": last[-1] - first[0] + 1,
        "accuracy": _accuracy(run, *kept, real) if kept else {},
        **counts,
    }
    save_result(run, result)
    return result


def _accuracy(run: Run, rows: Rows, outputs: Outputs, real: int) -> dict[str, float]:
    if real:
        first = np.arange(min(real, len(rows)))
        rows = rows.select(first)
        outputs = Outputs(outputs.out[first], outputs.exponent[first])
    return run.descriptor.accuracy(run.parameters, rows, outputs)


def _channels_of(rows: Rows) -> dict[str, np.ndarray]:
    """The channel sets of rows, stacked, and each row's number among them."""
    if not rows.channels:
        return {}
    columns = rows.channels[0].values
    stacked = {n: np.stack([one.values[n] for one in rows.channels]) for n in columns}
    return {**stacked, "channel_set": rows.channel_set}
