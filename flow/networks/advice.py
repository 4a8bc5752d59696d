# SPDX-License-Identifier: Apache-2.0
"""What calibration warns of: that a unit will lose what a network needs, and what to take instead.

A unit's settings can all be right and its outputs wrong: an 8-bit output that is linear holds
nothing below 2^-9, so that a long row of small probabilities comes out with a sum far below 1; int8
logits hold 256 steps; squares that were compressed lose the variance where the mean is large
against it. None of it is an error of the hardware, so none of it fails a check.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Protocol

import numpy as np

from softnorm.models import reference
from softnorm.models.ailayernorm import AILayerNorm
from softnorm.models.ptf import Ptf, deviations

# The softmax that keeps its sum in rows of any length, as `softnorm.pytorch` takes it; the README
# has the same build, and a test holds both together (docs/accuracy.md has the sums).
RECOMMENDED = "e2softmax DIV_BITS=3 EXP_FRAC=1 fmt=1"
SUM = 0.25  # by how much the sums of a head's rows may differ from 1 on average
LOST = 0.1  # of a row's probability, in a head on average, that may come out as 0
SIGMA = 0.2  # relative error of a row's standard deviation that counts as wrong
ROWS = 0.01  # share of rows with one, or of logits at an end of int8, that is let pass
EXACT = "exact_layernorm"
SQUARES = {"EXACT_SQ": 1}  # of AILayerNorm: what it takes where a mean is large


class CalibrationWarning(UserWarning):
    """A unit is calibrated as well as it can be, and is not good enough."""


def _warn(text: str) -> None:
    warnings.warn(text, CalibrationWarning, stacklevel=3)


def check_sums(build: str, where: str, sums: np.ndarray, lost: np.ndarray, keys: float) -> None:
    """Warn if a head's rows sum to far from 1, or much of them comes out as 0.

    build: the unit's words. where: what is calibrated. sums, lost: float64 [heads], on average over
    rows of a softmax, their sum, and the exact probability of what comes out as 0. keys: elements
    of a row on average.
    """
    worse = np.maximum(np.abs(sums - 1) / SUM, lost / LOST)
    head = int(worse.argmax())
    if worse[head] <= 1:
        return
    has_it = {*RECOMMENDED.split()} <= {*build.split()}
    instead = "" if has_it else f"; take {RECOMMENDED} instead"
    _warn(
        f"{where}, head {head}: with {build} the rows, of {keys:.0f} keys on average, sum to "
        f"{sums[head]:.2f}, not 1, and {100 * lost[head]:.0f} % of them comes out as 0{instead}"
    )


def check_logits(build: str, where: str, tops: np.ndarray, share: float) -> None:
    """Warn if rows have their largest logits at the lower end of int8: nothing tells them apart.

    tops: bool [rows, heads], such rows. share: of all logits at either end of int8.
    """
    lost = tops.mean(axis=0)
    head = int(lost.argmax())
    if lost[head] > ROWS:
        _warn(
            f"{where}, head {head}: with {build} {100 * lost[head]:.2g} % of the rows have all of "
            "their logits at the lower end of int8, where they come out level: the head's rows "
            f"differ by more than int8 holds; {100 * share:.2g} % of all logits are at an end"
        )


class Norm(Protocol):
    """What of a calibrated LayerNorm is looked at: `stand_in.FittedNorm`."""

    ptf: Ptf
    centre: float


def check_norm(
    where: str, samples: np.ndarray, norm: Norm, unit: AILayerNorm, rms: bool = False
) -> None:
    """Warn if AILayerNorm's standard deviations of rows like these are wrong.

    samples: real inputs [samples, channels] of a LayerNorm, or with `rms` RMSNorm. norm: as it was
    calibrated. What all rows have in common is no error, calibration takes it out.
    """
    samples = samples - norm.centre
    mean, std = reference.row_statistics(samples)
    samples, mean, std = (x[std > 0] for x in (samples, mean, std))
    if not len(std):
        return
    wrong = _wrong(samples, norm.ptf, unit, rms)
    if wrong <= ROWS:
        return
    far, least = (np.abs(mean) / std).max(), std.min() / norm.ptf.scale
    instead = EXACT  # unless exact squares do, which cost less
    if not unit.EXACT_SQ and _wrong(samples, norm.ptf, replace(unit, **SQUARES), rms) <= ROWS:
        instead = " ".join(["ailayernorm", *(f"{name}={value}" for name, value in SQUARES.items())])
    _warn(
        f"{where}: AILayerNorm has the standard deviation of {100 * wrong:.2g} % of the rows wrong "
        f"by more than {100 * SIGMA:.0f} %. A row's mean is up to {far:.3g} times its deviation, "
        f"and the least deviation is {least:.3g} input steps; take {instead} instead, "
        "docs/units/ailayernorm.md has how far AILayerNorm reaches"
    )


def _wrong(samples: np.ndarray, ptf: Ptf, unit: AILayerNorm, rms: bool) -> float:
    """The share of rows whose deviation is off by more than SIGMA, from what all have in common."""
    mine = deviations(samples, ptf, unit, rms)[0] * ptf.scale
    exact = reference.row_statistics(samples, rms=rms)[1]  # before quantisation, which counts, too
    ratio = mine / exact
    return float((np.abs(ratio / np.median(ratio) - 1) > SIGMA).mean())
