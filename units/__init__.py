# SPDX-License-Identifier: Apache-2.0
"""Registry of the units. To add one, put its file into this folder and a line here."""

from __future__ import annotations

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
        *(QUANTISE, RESIDUAL_ADD),
        # Baselines:
        *(SOFTERMAX, EXACT_SOFTMAX, NNLUT_LAYERNORM, EXACT_LAYERNORM),
    )
}
# What computes on whole rows and approximates: all but the stream cells.
ROW_UNITS = {name: unit for name, unit in UNITS.items() if not unit.cell}
NETWORK_UNITS = {name: unit for name, unit in UNITS.items() if unit.in_networks}


def get(name: str) -> Unit:
    """The unit of that name. Raises ParameterError."""
    if name not in UNITS:
        raise ParameterError(f"there is no unit {name!r}; there are: {', '.join(UNITS)}")
    return UNITS[name]
