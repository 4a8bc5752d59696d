# SPDX-License-Identifier: Apache-2.0
"""Configuration objects: one for each agent and one for the environment, in the ConfigDB as "cfg".

Whoever uses the environment makes an `EnvConfig` and stores it under the environment's path; the
environment hands each agent its own, the agent hands it on to what it builds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pyuvm import uvm_active_passive_enum, uvm_agent, uvm_analysis_export, uvm_sequencer

from softnorm.units.unit import ChannelField, ChannelSet, Parameters, Setting, Unit

from ..check.contract import StreamShape
from .pins import Clocking, ResetLine

ACTIVE = uvm_active_passive_enum.UVM_ACTIVE
PASSIVE = uvm_active_passive_enum.UVM_PASSIVE

Rng = Callable[[str], np.random.Generator]  # a generator for each use


class TableMirror:
    """What each of `count` banks of a channel table holds, from the writes seen on its port.

    Where there is one, it is the one whatever the pins name.
    """

    def __init__(self, fields: Sequence[ChannelField], max_len: int, count: int):
        self.count = count
        self._held = [
            {column.name: np.zeros(max_len, column.dtype) for column in fields}
            for _ in range(count)
        ]
        self._shown: list[ChannelSet | None] = [None] * count  # handed out, as it is now

    def write(self, bank: int, address: int, values: Mapping[str, np.generic]) -> None:
        """One channel."""
        bank %= self.count
        if self._shown[bank] is not None:  # whoever has it keeps it
            self._held[bank] = {n: column.copy() for n, column in self._held[bank].items()}
            self._shown[bank] = None
        for name, value in values.items():
            self._held[bank][name][address] = value

    def held(self, bank: int) -> ChannelSet:
        """What a bank holds now."""
        bank %= self.count
        if self._shown[bank] is None:
            self._shown[bank] = ChannelSet(self._held[bank])
        return self._shown[bank]


@dataclass(kw_only=True)
class AgentConfig:
    """What every agent is told.

    entity     handle of the instance whose pins these are: the top, or a unit anywhere inside it
    is_active  PASSIVE: monitors only
    at_rise    whoever drives the unit's inputs moves at the rising edge, as circuits do; this
               bench's drivers move at the falling one
    rng        of what drives
    cell       whether the unit is a stream cell, whose output has tstrb
    bare       whether the output's payload is anything where there is no beat, in reset too
    inputs     prefixes of the input streams' pins
    """

    entity: object
    clocking: Clocking
    reset: ResetLine
    is_active: uvm_active_passive_enum = ACTIVE
    at_rise: bool = False
    rng: Rng | None = None
    cell: bool = False
    bare: bool = False
    inputs: Sequence[str] = ("s_axis",)


@dataclass(kw_only=True)
class StreamConfig(AgentConfig):
    """Either stream. `prefix` begins its pins' names; `has_x` tells that the simulator knows X."""

    prefix: str
    has_x: bool


@dataclass(kw_only=True)
class SourceConfig(StreamConfig):
    """The input stream, with the settings and, where there is one, the table."""

    shape: StreamShape
    settings: Sequence[Setting]
    table: TableMirror | None = None


@dataclass(kw_only=True)
class ChannelConfig(AgentConfig):
    """The write port of the channel table."""

    fields: Sequence[ChannelField]
    table: TableMirror


@dataclass(kw_only=True)
class ErrorConfig(AgentConfig):
    """The error outputs, named without their _o."""

    outputs: Sequence[str]


@dataclass(kw_only=True)
class EnvConfig:
    """A unit and its agents. `name`, `seed` and `rerun` go into reports; `rng` is for sequences.

    others  further input streams
    """

    unit: Unit
    parameters: Parameters
    source: SourceConfig
    sink: StreamConfig
    errors: ErrorConfig
    reset: ErrorConfig
    others: Sequence[SourceConfig] = ()
    channels: ChannelConfig | None = None
    rng: Rng | None = None
    seed: int = 0
    name: str = ""
    rerun: str = ""

    @property
    def shape(self) -> StreamShape:
        return self.source.shape

    @classmethod
    def of(
        cls,
        unit: Unit,
        parameters: Parameters,
        entity,
        clocking: Clocking,
        reset: ResetLine,
        *,
        has_x: bool,
        is_active: uvm_active_passive_enum = ACTIVE,
        rng: Rng | None = None,
        **about,
    ) -> EnvConfig:
        """All that is around the unit whose instance `entity` is, with the names of its ports.

        Where it is passive, everything is taken to move at the rising edge.
        """
        shape = StreamShape.of(unit, parameters)
        common = {
            "entity": entity,
            "clocking": clocking,
            "reset": reset,
            "is_active": is_active,
            "at_rise": is_active == PASSIVE,
            "rng": rng,
            "cell": unit.cell,
            "bare": unit.bare_output(parameters),
            "inputs": unit.inputs,
        }
        channels = table = None
        if unit.channels:
            table = TableMirror(unit.channels, shape.max_len, unit.banks(parameters))
            channels = ChannelConfig(**common, fields=unit.channels, table=table)
        settings = unit.settings(parameters)
        stream = {"has_x": has_x, "shape": shape}
        others = []
        for name, prefix in unit.operands:
            own = common | {"rng": rng and functools.partial(_of_operand, rng, name)}
            others.append(SourceConfig(**own, **stream, prefix=prefix, settings=()))
        errors = ErrorConfig(**common, outputs=unit.errors(parameters))
        return cls(
            unit=unit,
            parameters=parameters,
            source=SourceConfig(
                **common, **stream, prefix="s_axis", settings=settings, table=table
            ),
            others=others,
            sink=StreamConfig(**common, prefix="m_axis", has_x=has_x),
            errors=errors,
            reset=errors,
            channels=channels,
            rng=rng,
            **about,
        )


def _of_operand(rng: Rng, name: str, use: str) -> np.random.Generator:
    return rng(f"{use} {name}")


class AnalysisImp(uvm_analysis_export):
    """An analysis export that calls a method: one component can have several (uvm_analysis_imp)."""

    def __init__(self, name, parent, write):
        super().__init__(name, parent)
        self.write = write


class ConfiguredAgent(uvm_agent):
    """An agent of a driver, a sequencer and a monitor; of the monitor alone when it is passive."""

    sequencer_type = uvm_sequencer
    driver_type: type
    monitor_type: type

    def build_phase(self):
        self.cfg = self.cdb_get("cfg")
        self.cdb_set("cfg", self.cfg, "*")
        self.is_active = self.cfg.is_active
        if self.active():
            self.seqr = self.sequencer_type.create("seqr", self)
            self.driver = self.driver_type.create("driver", self)
        self.monitor = self.monitor_type.create("monitor", self)

    def connect_phase(self):
        if self.active():
            self.driver.seq_item_port.connect(self.seqr.seq_item_export)
