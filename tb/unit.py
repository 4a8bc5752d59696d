"""What the flow and the test bench must know about a unit, and how they ask for it.

A unit is a subclass of `Unit` in `tb/units/`, entered in the registry there. It imports numpy and
the unit's model, never the simulator, so that lint, synthesis and conformance use it as well.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tb.coverage import Coverage


class ParameterError(ValueError):
    """A parameter that the unit does not have, or a value that it does not take."""


@dataclass(frozen=True)
class Setting:
    """A run-time setting: input `cfg_<name>_i`, taken with the first beat of each row."""

    name: str
    values: range
    meaning: str

    @property
    def port(self) -> str:
        return f"cfg_{self.name}_i"


@dataclass(frozen=True)
class Rows:
    """A batch of rows as the unit is to see them: what models, coverage and reports work on.

    x       [rows, width] of the unit's input dtype; beyond a row's length, 0
    mask    [rows, width] bool, True: the element counts; False beyond the length
    length  [rows] int, elements that exist, masked ones included; 0 .. width
    settings  name -> [rows] int array
    """

    x: np.ndarray
    mask: np.ndarray
    length: np.ndarray
    settings: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.length)


@dataclass(frozen=True)
class Outputs:
    """What the model makes of a batch: out [rows, width] of the output dtype, exponent [rows] int.

    err_len [rows] bool marks rows whose length the unit itself refuses (not the common check
    against MAX_LEN); units without such a rule leave it None.
    """

    out: np.ndarray
    exponent: np.ndarray
    err_len: np.ndarray | None = None


@dataclass(frozen=True)
class Unit(ABC):
    """Descriptor of one unit. Fields are data; the methods tie in its model."""

    name: str  # also the RTL top module
    title: str
    model: type  # frozen dataclass whose fields are the RTL parameters, with their defaults
    rtl: tuple[str, ...]  # files below rtl/, in compile order, common ones included
    settings: tuple[Setting, ...]
    in_dtype: np.dtype
    out_dtype: np.dtype
    tensors: str  # real tensors below data/, what a simulation drives by default
    # Configurations that lint and synthesis go through: the corners, not a product.
    configurations: tuple[Mapping[str, int], ...] = field(default=({},))
    # Wrong values over the defaults: lint sees to it that every front end stops at each of them,
    # with a message from an instance of a missing module <name>_error_<PARAMETER>_must_be_...
    bad_configurations: tuple[Mapping[str, int], ...] = ()

    @property
    def defaults(self) -> dict[str, int]:
        """Parameter names and defaults, in the order of the RTL."""
        return {f.name: f.default for f in dataclasses.fields(self.model)}

    def resolve(self, given: Mapping[str, int]) -> dict[str, int]:
        """All parameters, `given` over the defaults. Raises ParameterError, one sentence."""
        unknown = [name for name in given if name not in self.defaults]
        if unknown:
            raise ParameterError(
                f"{self.name} has no parameter {unknown[0]}; it has {', '.join(self.defaults)}"
            )
        parameters = {**self.defaults, **given}
        try:
            self.model(**parameters)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"{self.name}: {error}") from None
        return parameters

    @abstractmethod
    def predict(self, parameters: Mapping[str, int], rows: Rows) -> Outputs:
        """The bit-exact model's answer."""

    @abstractmethod
    def accuracy(self, rows: Rows, outputs: Outputs) -> dict[str, float]:
        """The outputs against float64: named error metrics. Reported, never a pass or fail."""

    @abstractmethod
    def latency(self, parameters: Mapping[str, int]) -> int:
        """Clocks from the transfer of a row's last beat to that of its first output beat."""

    @abstractmethod
    def storage(self, parameters: Mapping[str, int]) -> dict[str, tuple[int, int]]:
        """Memories: name -> (words, bits a word); synthesis must find the same."""

    def row_bits(self, parameters: Mapping[str, int]) -> int:
        """Bits of memory `beats` that a row of MAX_LEN elements takes, in whole beats."""
        _, width = self.storage(parameters)["beats"]
        return width * -(-parameters["MAX_LEN"] // parameters["LANES"])

    @abstractmethod
    def coverage(self, parameters: Mapping[str, int]) -> Coverage:
        """The unit's own coverpoints, empty."""

    @abstractmethod
    def sample(self, coverage: Coverage, parameters: Mapping[str, int], rows: Rows) -> None:
        """Count a batch of rows that were seen on the pins and compared."""
