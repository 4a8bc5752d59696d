# SPDX-License-Identifier: Apache-2.0
"""Systems made of units (rtl/systems.hjson): outside the registry, with their own manifests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import hjson

from softnorm.units import UNITS

from ..paths import RTL
from .lint import Source


@dataclass(frozen=True)
class System:
    """rtl/<folder>/<name>.sv, a top module that instantiates units.

    about  what it is, for manifests
    units  names; own  files of its folder, in compile order, the top module last
    """

    name: str
    folder: str
    about: str
    units: tuple[str, ...]
    own: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """Its own files, below rtl/."""
        return tuple(f"{self.folder}/{file}.sv" for file in self.own)

    @property
    def rtl(self) -> tuple[str, ...]:
        """All files below rtl/, those of the units first, in compile order."""
        return (
            *dict.fromkeys(file for unit in self.units for file in UNITS[unit].rtl),
            *self.files,
        )

    @property
    def registers(self) -> Path:
        """The description of its registers, if it has any."""
        return RTL / f"{self.folder}/{self.name}.rdl"

    def source(self, parameters: dict[str, int]) -> Source:
        """What lint and synthesis read."""
        return Source(
            self.name, RTL.parent, tuple(f"{RTL.name}/{file}" for file in self.rtl), parameters
        )


def _read() -> dict[str, System]:
    listed = hjson.loads((RTL / "systems.hjson").read_text(encoding="utf-8"))["systems"]
    made = [
        System(**{**one, "units": tuple(one["units"]), "own": tuple(one["own"])}) for one in listed
    ]
    return {system.name: system for system in made}


SYSTEMS = _read()
