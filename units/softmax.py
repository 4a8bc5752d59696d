# SPDX-License-Identifier: Apache-2.0
"""Shared by the descriptors of the softmax units: int8 logits in, probabilities out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from softnorm.models import metrics, reference
from softnorm.models.arrays import ldexp
from softnorm.models.quantise import quantise_logits

from .coverage import Coverage
from .edges import at_sums
from .unit import Outputs, Parameters, Rows, Setting, Unit

Settings = Mapping[str, int | np.ndarray]  # of rows: one, or [rows]

FRAC = Setting("frac", range(8), "fraction bits of the logits")


def clog2(n: int) -> int:
    """The smallest c with 2^c >= n."""
    return (n - 1).bit_length()


def tree_stages(lanes: int) -> int:
    """Clocks of the RTL's sn_reduce_tree over the lanes."""
    return clog2(lanes) // 3


def spread(counts: np.ndarray, edges: tuple[int, ...]) -> np.ndarray:
    """Bin numbers of counts: bin b holds edges[b] .. edges[b + 1] - 1, the last one all above."""
    return np.searchsorted(np.asarray(edges), counts, side="right") - 1


@dataclass(frozen=True)
class SoftmaxUnit(Unit):
    """A unit whose outputs are probabilities; see `units.unit.Unit`."""

    value_unit = "probability"
    in_networks = True

    def predict(self, parameters: Parameters, rows: Rows) -> Outputs:
        result = self.model(**parameters)(rows.x, rows.mask, **rows.settings)
        return Outputs(result.out, result.exponent)

    @abstractmethod
    def result(
        self, parameters: Parameters, outputs: Outputs, settings: Settings | None = None
    ) -> Any:
        """The outputs as the model's result, which knows what they are worth.

        settings: of the rows. Raises ValueError where a build needs them and they are missing.
        """

    def to_real(
        self,
        parameters: Parameters,
        outputs: Outputs,
        step: float | np.ndarray | None = None,
        settings: Settings | None = None,
    ) -> np.ndarray:
        if step is not None:
            raise ValueError(f"an output of {self.name} is worth what it is: give no step")
        return self.result(parameters, outputs, settings).to_real()

    def quantise(
        self, logits: np.ndarray, frac: int | np.ndarray
    ) -> tuple[np.ndarray, dict[str, int | np.ndarray]]:
        """Quantise real logits, an array of any library and shape: int8 alike, and settings.

        frac: fraction bits, [rows] of logits [rows, width] or else broadcastable to the logits, for
        a unit that can choose.
        """
        of_rows = np.ndim(frac) == 1 and np.ndim(logits) == 2
        scaled = ldexp(logits, frac[:, None] if of_rows else frac)  # pyright: ignore
        return quantise_logits(scaled, 0), {"frac": frac}

    def scores(
        self, parameters: Parameters, logits: np.ndarray, step: float | np.ndarray
    ) -> tuple[np.ndarray, dict[str, int | np.ndarray]]:
        """Real logits as whole numbers of step, for a build whose scale may be any, and settings.

        logits: of any shape; step broadcasts to them, and so do the settings. Raises ValueError for
        a build that takes int8 of a power-of-two scale alone.
        """
        raise ValueError(f"{self.name} takes a scale of a power of two: give fraction bits")

    def logits(self, parameters: Parameters, rows: Rows) -> np.ndarray:
        """The real logits that the inputs stand for, float64 [rows, width]."""
        return np.ldexp(rows.x.astype(np.float64), -rows.settings["frac"][:, None])

    def at_sums(
        self,
        weights: np.ndarray,
        entries: np.ndarray,
        places: Sequence[int],
        most: int,
        top: int = 127,
    ) -> Iterator[np.ndarray]:
        """x of the rows of `edges.at_sums`, with `top` as their maximum."""
        for distances in at_sums(weights, entries, places, most):
            yield (top - np.array(distances)).astype(np.int8)

    def values(
        self, parameters: Parameters, rows: Rows, outputs: Outputs
    ) -> tuple[np.ndarray, np.ndarray]:
        exact = reference.softmax(self.logits(parameters, rows), rows.mask)
        return self.to_real(parameters, outputs, settings=rows.settings), exact

    def accuracy(self, parameters: Parameters, rows: Rows, outputs: Outputs) -> dict[str, float]:
        zero = self.result(parameters, outputs, rows.settings).half_lsb()
        values = self.values(parameters, rows, outputs)
        return metrics.softmax_errors(*values, rows.mask, zero).as_dict()


def position_names(n: int) -> list[str]:
    """Bins of a place among n."""
    return ["first", "last", "between"][: min(n, 3)]


def position(index: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Bin numbers for `position_names`."""
    return np.where(index == 0, 0, np.where(index == last, 1, 2))


def maximum_points(coverage: Coverage, lanes: int, beats: int) -> None:
    """Coverpoints on the place of a row's maximum; `sample_maximum` counts."""
    coverage.group("maximum")
    coverage.point("max_beat", position_names(beats), "beat that holds the row's first maximum")
    coverage.point("max_lane", position_names(lanes), "lane that holds the row's first maximum")


def sample_maximum(coverage: Coverage, lanes: int, argmax: np.ndarray, length: np.ndarray) -> None:
    """Count rows' first maxima: argmax and length [rows]."""
    last = (length - 1) // lanes
    coverage.sample("max_beat", position(argmax // lanes, last))
    coverage.sample("max_lane", position(argmax % lanes, np.full_like(last, lanes - 1)))
