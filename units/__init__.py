# SPDX-License-Identifier: Apache-2.0
"""Registry of the units. To add one, put its file into this folder and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from .ailayernorm import AILAYERNORM
from .e2softmax import E2SOFTMAX
from .exact_layernorm import EXACT_LAYERNORM
from .exact_softmax import EXACT_SOFTMAX
from .lut2d import LUT2D
from .nnlut_layernorm import NNLUT_LAYERNORM
from .quantise import QUANTISE
from .residual_add import RESIDUAL_ADD
from .rexp import REXP
from .softermax import SOFTERMAX
from .unit import ParameterError, Unit

UNITS: dict[str, Unit] = {
    unit.name: unit
    for unit in (
        *(E2SOFTMAX, AILAYERNORM, REXP, LUT2D),
        # Stream cells:
        *(QUANTISE,),
        # Baselines:
        *(SOFTERMAX, EXACT_SOFTMAX, NNLUT_LAYERNORM, EXACT_LAYERNORM),
    )
}
# What computes on whole rows and approximates: all but the stream cells.
ROW_UNITS = {name: unit for name, unit in UNITS.items() if not unit.cell}
# What is linted, synthesised and in the manifests: also a cell of two input streams, which has a
# bench of its own.
DESIGNS = {**UNITS, RESIDUAL_ADD.name: RESIDUAL_ADD}


def get(name: str, among: Mapping[str, Unit] = UNITS) -> Unit:
    """The unit of that name. Raises ParameterError."""
    if name not in among:
        raise ParameterError(f"there is no unit {name!r}; there are: {', '.join(among)}")
    return among[name]
