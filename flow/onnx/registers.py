# SPDX-License-Identifier: Apache-2.0
"""What calibration found, as the registers and tables of the hardware: to JSON and back.

A softmax has F (or M and S, in a build of any scale) for each head, and what its logits are less; a
norm has the settings of its rows, 1/len among them, its channel table, and what inputs and outputs
are worth. Names of settings are those of the unit's pins.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from softnorm import units
from softnorm.models.channels import Channels
from softnorm.models.ptf import FoldedNorm, Ptf

from ..calibration.choice import Choice
from ..errors import UserError
from ..networks.stand_in import FittedNorm, UnitSoftmax, is_softmax

Entry = Mapping[str, object]


def of_softmax(fitted: UnitSoftmax) -> dict[str, object]:
    """A calibrated softmax of one layer as plain data."""
    offset = np.zeros(1) if fitted.offset is None else fitted.offset[0]
    heads = []
    for head, less in enumerate(offset.tolist()):
        if fitted.step is None:
            scale = {"frac": int(fitted.frac[0][head])}
        else:
            step = float(fitted.step[0][head])
            found = fitted.unit.scores(fitted.parameters, np.zeros(1), step)[1]
            scale = {**{name: int(value) for name, value in found.items()}, "step": step}
        heads.append({**scale, "offset": less})
    others = {name: value for name, value in fitted.settings.items() if name not in heads[0]}
    return {**_build(fitted.unit.name, fitted.parameters, others), "heads": heads}


def of_norm(choice: Choice, fitted: FittedNorm) -> dict[str, object]:
    """A calibrated norm as plain data."""
    folded, width = fitted.folded, len(fitted.ptf.alpha)
    row = np.zeros((1, width))
    settings = choice.unit.quantise(row, fitted.ptf, folded)[1]
    settings = {name: int(np.ravel(value)[0]) for name, value in settings.items()}
    columns = {name: getattr(folded.channels, name) for name in ("alpha", "gamma", "beta")}
    return {
        **_build(choice.unit.name, choice.parameters, settings),
        "channels": {name: column.tolist() for name, column in columns.items()},
        "input": {"scale": fitted.ptf.scale, "zp": fitted.ptf.zp, "centre": fitted.centre},
        "output": {
            "step": folded.step.tolist(),
            "offset": np.broadcast_to(fitted.offset, width).tolist(),
        },
        "fold": {"gfrac": folded.gfrac, "ofrac": folded.ofrac, "rms": folded.rms},
    }


def _build(
    unit: str, parameters: Mapping[str, object], settings: Mapping[str, int]
) -> dict[str, object]:
    return {"unit": unit, "parameters": dict(parameters), "settings": dict(settings)}


def softmax_of(entry: Entry) -> UnitSoftmax:
    """The other way round. Raises UserError for an entry that is none of a softmax."""
    unit, parameters = _unit(entry, True)
    heads = entry["heads"]
    wide = "step" in heads[0]
    scale = np.array([[head["step" if wide else "frac"] for head in heads]])
    offset = np.array([[head["offset"] for head in heads]])
    given = (unit, parameters, None if wide else scale, entry["settings"])
    return UnitSoftmax(*given, offset=offset, step=scale if wide else None)


def norm_of(entry: Entry) -> tuple[Choice, FittedNorm]:
    """The other way round. Raises UserError for an entry that is none of a norm."""
    unit, parameters = _unit(entry, False)
    types = {"alpha": np.uint8, "gamma": np.int8, "beta": np.int8}
    columns = {name: np.array(entry["channels"][name], kind) for name, kind in types.items()}
    given, out = entry["input"], entry["output"]
    ptf = Ptf(given["scale"], given["zp"], columns["alpha"])
    step = np.array(out["step"])
    folded = FoldedNorm(Channels(**columns), given["zp"], **entry["fold"], step=step)
    fitted = FittedNorm(ptf, folded, np.array(out["offset"]), given["centre"])
    return Choice(unit, parameters), fitted


def _unit(entry: Entry, softmax: bool):
    unit = units.get(str(entry.get("unit")))
    if is_softmax(unit) != softmax:
        raise UserError(f"{unit.name} is {'no' if softmax else 'a'} softmax")
    return unit, unit.resolve(entry["parameters"])
