"""Registry of the units. Adding one is a file beside this and a line here."""

from __future__ import annotations

from tb.unit import ParameterError, Unit
from tb.units.ailayernorm import AILAYERNORM
from tb.units.e2softmax import E2SOFTMAX
from tb.units.exact_layernorm import EXACT_LAYERNORM
from tb.units.exact_softmax import EXACT_SOFTMAX
from tb.units.lut2d import LUT2D
from tb.units.nnlut_layernorm import NNLUT_LAYERNORM
from tb.units.rexp import REXP
from tb.units.softermax import SOFTERMAX

UNITS: dict[str, Unit] = {
    unit.name: unit
    for unit in (
        *(E2SOFTMAX, AILAYERNORM, REXP, LUT2D),
        # Baselines:
        *(SOFTERMAX, EXACT_SOFTMAX, NNLUT_LAYERNORM, EXACT_LAYERNORM),
    )
}


def get(name: str) -> Unit:
    """The unit of that name. Raises ParameterError."""
    if name not in UNITS:
        raise ParameterError(f"there is no unit {name!r}; there are: {', '.join(UNITS)}")
    return UNITS[name]
