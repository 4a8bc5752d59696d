# SPDX-License-Identifier: Apache-2.0
"""Systems made of units (rtl/systems.hjson): outside the registry, with their own manifests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import hjson

from softnorm.units import UNITS
from softnorm.units.unit import Parameters

from ..paths import RTL


@dataclass(frozen=True)
class System:
    """rtl/<folder>/<name>.sv, a top module that instantiates units.

    about  what it is, for manifests
    units  names; own  files of its folder, in compile order, the top module last
    configurations, bad_configurations  that lint checks, as those of a unit
    cannot_read  front ends, by name, that lint leaves out
    waivers  for Verilator's lint, a file of its folder; "" none
    generated  those of its own files that others make
    """

    name: str
    folder: str
    about: str
    units: tuple[str, ...]
    own: tuple[str, ...]
    configurations: tuple[Parameters, ...] = ({},)
    bad_configurations: tuple[Parameters, ...] = ()
    cannot_read: tuple[str, ...] = ()
    waivers: str = ""
    generated: tuple[str, ...] = ()

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

    @property
    def defaults(self) -> Parameters:
        """None beside those that the RTL has."""
        return {}

    def resolve(self, parameters: Parameters) -> Parameters:
        """The parameters as they are: there is no descriptor that knows others."""
        return parameters

    def rtl_parameters(self, parameters: Parameters) -> dict[str, int]:
        """Those of the RTL, which are the same."""
        return dict(parameters)


def _read() -> dict[str, System]:
    listed = hjson.loads((RTL / "systems.hjson").read_text(encoding="utf-8"))["systems"]
    made = [
        System(**{key: tuple(v) if isinstance(v, list) else v for key, v in one.items()})
        for one in listed
    ]
    return {system.name: system for system in made}


SYSTEMS = _read()
