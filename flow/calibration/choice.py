# SPDX-License-Identifier: Apache-2.0
"""Units in words, as networks take them: a name, parameters, and settings that are free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from softnorm import units
from softnorm.units.unit import Parameters, Unit

from ..errors import UserError
from ..networks.stand_in import is_softmax

# Settings that the flow knows: what calibration finds for a softmax, and which norm a row gets.
FRAC, RMS = "frac", "rms"


@dataclass(frozen=True)
class Choice:
    """A unit with its parameters, all of them, and the settings that calibration does not find."""

    unit: Unit
    parameters: Parameters
    settings: Mapping[str, int] = field(default_factory=dict)

    @property
    def every_setting(self) -> dict[str, int]:
        """The settings of a softmax but F: those of `settings`, the others' first values."""
        free = self.unit.settings(self.parameters)
        first = {one.name: one.values[0] for one in free if one.name != FRAC}
        return {**first, **self.settings}

    def __str__(self) -> str:
        words = {**self.parameters, **self.settings}
        return " ".join([self.unit.name, *(f"{name}={value}" for name, value in words.items())])


def choose(words: str | Choice) -> Choice:
    """Return the unit that words name: its name, then parameters and settings as NAME=VALUE.

    A setting's value may be its word ("fmt=row-scaled"). Raises UserError for a wrong setting,
    ParameterError for the rest.
    """
    if isinstance(words, Choice):
        return words
    name, *given = words.split() or [""]
    unit = units.get(name)
    pairs = {}
    for word in given:
        key, equals, value = word.partition("=")
        if not equals:
            raise UserError(f"cannot read {word!r} in {words!r}: write NAME=VALUE")
        pairs[key] = value
    # Settings have the names of ports, in small letters, parameters those of the RTL, in capitals.
    parameters = unit.resolve(unit.parse({k: v for k, v in pairs.items() if not k.islower()}))
    if parameters.get(FRAC.upper(), -1) >= 0:  # fixed where the RTL is built
        raise UserError(
            f"{name}: leave {FRAC.upper()} out: calibration finds {FRAC}, and the bits are the same"
        )
    free = {}
    if is_softmax(unit):  # a LayerNorm's settings all follow from the layer
        free = {s.name: s for s in unit.settings(parameters) if s.drawn and s.name != FRAC}
    settings = {}
    for key, value in pairs.items():
        if not key.islower():
            continue
        if key not in free:
            raise UserError(
                f"{name} has no setting {key} to choose: there are {', '.join(free) or 'none'}, "
                "and calibration finds the others"
            )
        texts = [*map(str, free[key].values)]
        known = [texts, list(free[key].words)]
        at = [names.index(value) for names in known if value in names]
        if not at:
            raise UserError(f"{name}: {key} must be one of {', '.join(texts)}, not {value!r}")
        settings[key] = free[key].values[at[0]]
    return Choice(unit, parameters, settings)
