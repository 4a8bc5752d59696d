# SPDX-License-Identifier: Apache-2.0
"""The descriptor of a unit: everything that flow and test bench need to know about it.

A unit is a subclass of `Unit` in `units/`, entered in the registry there. It imports numpy and
the unit's model, never the simulator, so that lint, synthesis and conformance use it as well.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, overload

import numpy as np

from softnorm.models.channels import ChannelSet
from softnorm.models.vectors import Vectors

from .coverage import Coverage

IN_REG, OUT_REG = "IN_REG", "OUT_REG"  # registers at the ports: no feature of the arithmetic
BANKS = 2  # of a unit's channel table: as many as the pins can name
ANY_LENGTH = 1 << 48  # more elements than any row has

ERRORS = ("err_len", "err_keep")  # outputs <name>_o of every unit, a clock for each error

Parameters = Mapping[str, Any]  # name -> int, or str of one with names for its values


class ParameterError(ValueError):
    """A parameter that the unit does not have, or a value that it does not allow."""


@dataclass(frozen=True)
class Setting:
    """A run-time setting: input `cfg_<name>_i`, sampled with the first beat of each row.

    `drawn` settings are free: random rows draw them. The others follow from the row (see
    `Unit.complete`), or from the bank that holds the row's channels (`bank`). `words` are the
    names of the values 0, 1, ..., if they have names.
    """

    name: str
    values: range
    meaning: str
    drawn: bool = True
    words: tuple[str, ...] = ()

    @property
    def port(self) -> str:
        return f"cfg_{self.name}_i"

    @property
    def signed(self) -> bool:
        """Whether values may be negative: two's complement on the port."""
        return self.values[0] < 0

    @property
    def bits(self) -> int:
        """Width of the port, whose numbers are signed where values may be negative."""
        return max(1, self.values[-1].bit_length() + self.signed)


class Operand(NamedTuple):
    """A further input stream, which the unit joins with s_axis beat by beat (docs/stream.md).

    Its ports are `<prefix>_t*`, of the widths of s_axis; it has no settings. A vector file's entry
    of its name has the values [rows, width], as long as those of x and unmasked.
    """

    name: str
    prefix: str


class UserField(NamedTuple):
    """What m_axis_tuser carries above its first seven bits, of a feature that is on.

    A vector file's entry of the same name holds what is expected. At most 32 bits.
    """

    name: str
    bits: int
    signed: bool = False


Pins = Setting | UserField


@overload
def to_bits(pins: Pins, values: int) -> int: ...
@overload
def to_bits(pins: Pins, values: np.ndarray) -> np.ndarray: ...
def to_bits(pins: Pins, values: int | np.ndarray) -> int | np.ndarray:
    """What the pins carry for values, an int or int64: numbers of 0 and up."""
    return values & ((1 << pins.bits) - 1)


@overload
def from_bits(pins: Pins, raw: int) -> int: ...
@overload
def from_bits(pins: Pins, raw: np.ndarray) -> np.ndarray: ...
def from_bits(pins: Pins, raw: int | np.ndarray) -> int | np.ndarray:
    """The other way."""
    top = int(pins.signed) << (pins.bits - 1)
    return (raw ^ top) - top


@dataclass(frozen=True)
class ChannelField:
    """A column of the unit's channel table: input `chan_<name>_i` of its write port."""

    name: str
    dtype: np.dtype
    values: range

    @property
    def port(self) -> str:
        return f"chan_{self.name}_i"

    @property
    def bits(self) -> int:
        """Width of the port: all of the dtype where values may be negative."""
        whole = 8 * self.dtype.itemsize
        return whole if self.values[0] < 0 else max(1, self.values[-1].bit_length())


@dataclass(frozen=True)
class Rom:
    """A constant table; the RTL gets it as function `name` of its generated package.

    values  [entries] or [entries, columns] unsigned; columns are packed, the first one low
    bits    of a value
    about   the equation
    by_lane every lane reads it: Verilator compiles it once, not once per lane
    """

    name: str
    values: np.ndarray
    bits: int
    about: str
    by_lane: bool = False


class Variant(NamedTuple):
    """A row of the accuracy table: parameters and settings that differ from the defaults.

    If `plotted`, the plot shows its error distribution.
    """

    parameters: Parameters
    settings: Mapping[str, int] = MappingProxyType({})
    plotted: bool = False


class TableSize(NamedTuple):
    """Size of a constant table; tables of indices are not counted with the values."""

    entries: int
    bits: int
    index: bool = False


class Edge(NamedTuple):
    """A row whose arithmetic is at an edge: `Unit.edges`.

    x         [length] of the unit's input dtype
    settings  name -> int; of those not given, the first value
    mask      [length] bool, True: the element counts; None: all do
    channels  of a unit with a channel table
    operands  [length] of each of `Unit.operands`
    """

    x: np.ndarray
    settings: Mapping[str, int]
    mask: np.ndarray | None = None
    channels: ChannelSet | None = None
    operands: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class Rows:
    """A batch of input rows, as used by models, coverage and reports.

    x       [rows, width] of the unit's input dtype; beyond a row's length, 0
    mask    [rows, width] bool, True: the element counts; False beyond the length
    length  [rows] int, elements that exist, masked ones included; 0 .. width
    settings  name -> [rows] int array
    channels  the channel sets that rows use, for a unit with a channel table
    channel_set  [rows] int, a row's index into `channels`; None without a channel table
    operands  of a unit with further input streams, the values of each, as x; mask is that of all
    """

    x: np.ndarray
    mask: np.ndarray
    length: np.ndarray
    settings: Mapping[str, np.ndarray]
    channels: tuple[ChannelSet, ...] = ()
    channel_set: np.ndarray | None = None
    operands: tuple[np.ndarray, ...] = ()

    def __len__(self) -> int:
        return len(self.length)

    def select(self, chosen: np.ndarray | np.bool) -> Rows:
        """The rows of an index or a bool array [rows]."""
        return dataclasses.replace(
            self,
            x=self.x[chosen],
            mask=self.mask[chosen],
            length=self.length[chosen],
            settings={name: values[chosen] for name, values in self.settings.items()},
            channel_set=None if self.channel_set is None else self.channel_set[chosen],
            operands=tuple(values[chosen] for values in self.operands),
        )

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """The rows of several batches, padded to the widest."""
        sets: list[ChannelSet] = []
        places = []
        for part in parts:
            number = {id(one): at for at, one in enumerate(sets)}
            for one in part.channels:
                if id(one) not in number:
                    number[id(one)] = len(sets)
                    sets.append(one)
            if part.channel_set is not None:
                where = np.array([number[id(one)] for one in part.channels])
                places.append(where[part.channel_set])
        return cls(
            x=padded_together([part.x for part in parts]),
            mask=padded_together([part.mask for part in parts]),
            length=np.concatenate([part.length for part in parts]),
            settings={
                name: np.concatenate([part.settings[name] for part in parts])
                for name in parts[0].settings
            },
            channels=tuple(sets),
            channel_set=np.concatenate(places) if places else None,
            operands=tuple(
                padded_together(values)
                for values in zip(*(part.operands for part in parts), strict=True)
            ),
        )


def padded_together(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Concatenate arrays [rows, width], padded with zeros to the largest width."""
    width = max(array.shape[1] for array in arrays)
    return np.concatenate([np.pad(a, ((0, 0), (0, width - a.shape[1]))) for a in arrays])


@dataclass(frozen=True)
class Outputs:
    """The model's outputs: out [rows, width] of the output dtype, exponent [rows] signed int.

    err_len [rows] bool marks rows that fail the unit's own length check (not the common one
    against MAX_LEN); None for units without such a check. user: of each of the build's
    `Unit.user_fields`, name -> [rows] int64.
    """

    out: np.ndarray
    exponent: np.ndarray
    err_len: np.ndarray | None = None
    user: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Unit(ABC):
    """Descriptor of one unit. Fields are data; the methods tie in its model."""

    value_unit: ClassVar[str]  # unit of `values`
    # It can take the place of a network's softmax or LayerNorms.
    in_networks: ClassVar[bool] = False
    # A stream cell: it has no row buffer, and so no MAX_LEN; beats come out while others of their
    # row go in, with tstrb, and tuser has the row's flags so far. It approximates nothing: it has
    # no tensors, no place in a network and none in the tables of errors.
    cell: ClassVar[bool] = False
    # Of a cell: further input streams. They are joined in front of the output register: its
    # latency is 2.
    operands: ClassVar[tuple[Operand, ...]] = ()

    name: str  # also the RTL top module
    title: str
    model: type  # frozen dataclass whose fields are the RTL parameters, with their defaults
    rtl: tuple[str, ...]  # files below rtl/, in compile order, including common ones
    in_dtype: np.dtype  # of a lane of s_axis_tdata, with the default parameters
    tensors: str  # real tensors below data/, what a simulation drives by default; a cell has none
    # Configurations for lint and synthesis: corners, not all combinations.
    configurations: tuple[Parameters, ...] = field(default=({},))
    # Wrong parameter values: lint checks that every front end stops at each of them,
    # with a message from an instance of a missing module <name>_error_<PARAMETER>_must_be_...
    bad_configurations: tuple[Parameters, ...] = ()
    # Rows of the accuracy table.
    variants: tuple[Variant, ...] = (Variant({}),)
    # Parameters whose values are words: name -> the words, which the RTL numbers from 0.
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # Other units whose tensor files are inputs for this one too.
    reads: tuple[str, ...] = ()
    # Columns of the channel table; such a unit also has the setting `bank` and channel ports.
    channels: tuple[ChannelField, ...] = ()

    def max_len(self, parameters: Parameters) -> int:
        """Elements of the longest row; of a cell, where no row is too long, more than any has."""
        return ANY_LENGTH if self.cell else parameters["MAX_LEN"]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Prefixes of the ports of the input streams."""
        return ("s_axis", *(operand.prefix for operand in self.operands))

    @property
    def baseline(self) -> bool:
        """Whether it is a baseline, which others are compared with: its RTL is in rtl/baseline/."""
        return self.folder.startswith("baseline/")

    @property
    def folder(self) -> str:
        """The unit's folder below rtl/: that of its top module, the last file."""
        return str(PurePosixPath(self.rtl[-1]).parent)

    # ------------------------------------------------------------------------------ parameters

    @property
    def defaults(self) -> dict[str, Any]:
        """Names and defaults of the parameters that every build is named by, in the RTL's order."""
        return self._parameters(feature=False)

    @staticmethod
    def without(parameters: Parameters, *names: str) -> int:
        """How many of some registers at the ports a build leaves out: clocks of latency less."""
        return sum(parameters.get(name, 1) == 0 for name in names or (IN_REG, OUT_REG))

    def bare_output(self, parameters: Parameters) -> bool:
        """Whether the payload of m_axis is anything where there is no beat, in reset too."""
        return bool(self.without(parameters, OUT_REG))

    @staticmethod
    def banks(parameters: Parameters) -> int:
        """Banks of a build's channel table. Of one bank what the pins name is ignored."""
        return parameters.get("BANKS", BANKS)

    @property
    def features(self) -> dict[str, Any]:
        """The same of the others: what they add is off by default, and then costs nothing.

        All parameters of a build have one of them only where it has another value.
        """
        return self._parameters(feature=True)

    def _parameters(self, feature: bool) -> dict[str, Any]:
        found = dataclasses.fields(self.model)
        return {f.name: f.default for f in found if f.metadata.get("feature", False) == feature}

    def taken(self, given: Parameters) -> Parameters:
        """Those of given parameters that say something to this unit: of a cell not MAX_LEN."""
        return {k: v for k, v in given.items() if not (self.cell and k == "MAX_LEN")}

    def others(self, parameters: Parameters) -> dict[str, Any]:
        """Those of all parameters of a build that are not defaults."""
        return {k: v for k, v in parameters.items() if v != self.defaults.get(k)}

    def resolve(self, given: Parameters) -> dict[str, int | str]:
        """All parameters, `given` over the defaults. Raises ParameterError, one sentence.

        To a cell, which holds no row, MAX_LEN may be given and says nothing.
        """
        given, features = self.taken(given), self.features
        known = {**self.defaults, **features}
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ParameterError(
                f"{self.name} has no parameter {unknown[0]}; it has {', '.join(known)}"
            )
        on = {name: given[name] for name, off in features.items() if given.get(name, off) != off}
        some = {name: value for name, value in given.items() if name not in features}
        parameters = {**self.defaults, **some, **on}
        try:
            self.model(**parameters)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"{self.name}: {error}") from None
        return parameters

    def parse(self, words: Mapping[str, str]) -> dict[str, int | str]:
        """`NAME=VALUE` words of a command line as `resolve` takes them. Raises ParameterError."""
        given = {}
        for name, word in words.items():
            try:
                given[name] = word if name in self.words else int(word)
            except ValueError:
                raise ParameterError(f"{name} must be a whole number, not {word!r}") from None
        return given

    def rtl_parameters(self, parameters: Parameters) -> dict[str, int]:
        """The same as numbers for the RTL. An unknown word becomes one past the last number."""
        numbers = dict(parameters)
        for name, words in self.words.items():
            word = numbers[name]
            numbers[name] = words.index(word) if word in words else len(words)
        return numbers

    # -------------------------------------------------------------------------------- the rows

    @abstractmethod
    def settings(self, parameters: Parameters) -> tuple[Setting, ...]:
        """The run-time settings, in the order of the RTL's ports."""

    def input_dtype(self, parameters: Parameters) -> np.dtype:
        """Type of one lane of s_axis_tdata."""
        return self.in_dtype

    @abstractmethod
    def out_dtype(self, parameters: Parameters) -> np.dtype:
        """Type of one lane of m_axis_tdata."""

    def user_fields(self, parameters: Parameters) -> tuple[UserField, ...]:
        """What m_axis_tuser carries above its first seven bits, the lowest first."""
        return ()

    def adopted(self, file: Vectors, parameters: Parameters) -> Vectors:
        """Convert a tensor file of a unit that this one `reads`, keeping the real values.

        So is one of the unit's own, of a build with other inputs: the shipped one drives them all.
        """
        return file

    def complete(
        self, parameters: Parameters, mask: np.ndarray, rng: np.random.Generator | None = None
    ) -> dict[str, int]:
        """Settings derived from a row's mask [length]; with `rng`, sometimes wrong ones."""
        return {}

    def fitted(
        self, parameters: Parameters, x: np.ndarray, rng: np.random.Generator
    ) -> dict[str, int]:
        """Settings for a random row's inputs [length], where hardly any that is drawn would do."""
        return {}

    def draw_channels(self, rng: np.random.Generator, count: int) -> ChannelSet:
        """A random channel set of `count` channels."""
        return ChannelSet(
            {
                column.name: rng.integers(
                    column.values[0], column.values[-1], count, endpoint=True
                ).astype(column.dtype)
                for column in self.channels
            }
        )

    def edges(self, parameters: Parameters) -> Iterator[Edge]:
        """Rows at edges of the arithmetic, where a constant that is off by one shows.

        The same ones every time. Rows longer than MAX_LEN are left out by whoever asks.
        """
        return iter(())

    @abstractmethod
    def predict(self, parameters: Parameters, rows: Rows) -> Outputs:
        """Run the bit-exact model."""

    def to_real(
        self,
        parameters: Parameters,
        outputs: Outputs,
        step: float | np.ndarray | None = None,
        settings: Mapping[str, int | np.ndarray] | None = None,
    ) -> np.ndarray:
        """What outputs are worth, float64 [rows, width].

        step: the real value of an output of 1, one or [width] of them; None for a softmax, whose
        outputs say it themselves. settings: of the rows, one each or [rows], for a build in which
        they decide it. Raises ValueError for either that is missing, and for a step of no use.
        """
        if step is None:
            raise ValueError(f"outputs of {self.name} are in steps: give step, as `fold` was given")
        return outputs.out * np.asarray(step, np.float64)

    @abstractmethod
    def values(
        self, parameters: Parameters, rows: Rows, outputs: Outputs
    ) -> tuple[np.ndarray, np.ndarray]:
        """(outputs as real values, float64 result): [rows, width] each, 0 where masked."""

    @abstractmethod
    def accuracy(self, parameters: Parameters, rows: Rows, outputs: Outputs) -> dict[str, float]:
        """Error metrics against float64, by name. They are reported and decide no test."""

    # --------------------------------------------------------------------------- the RTL's promises

    @abstractmethod
    def latency(self, parameters: Parameters) -> tuple[int, ...]:
        """Latency in clocks of each pass after the first, as promised in the RTL's header.

        A pass starts a row this many clocks after the previous pass (or the input) has finished
        it, or right after the row before; then it takes one beat per clock. A cell's one pass has
        each beat this many clocks after the input.
        """

    def row_errors(self, parameters: Parameters) -> dict[str, int]:
        """Outputs err_<name>_o beside those of every unit: name -> clocks.

        Each is high for a clock for a row whose field <name> of tuser is 1, so many clocks after
        the transfer of the row's last beat. A build without the field has the output, at 0.
        """
        return {}

    def errors(self, parameters: Parameters) -> tuple[str, ...]:
        """Error outputs <name>_o, those of every unit first."""
        return (*ERRORS, *(f"err_{name}" for name in self.row_errors(parameters)))

    def err_len_delay(self, parameters: Parameters) -> int:
        """Clocks from a beat's transfer to err_len_o, as promised in the RTL's header if not 1.

        The beat is the first one beyond MAX_LEN, or the row's last one where the length is another
        than its setting says. err_keep_o always comes a clock after its beat.
        """
        return 1

    @abstractmethod
    def storage(self, parameters: Parameters) -> dict[str, tuple[int, int]]:
        """Memories: name -> (words, bits per word); synthesis checks them.

        Names of the buffers between passes that hold beats start with `beats`.
        """

    def row_bits(self, parameters: Parameters) -> int:
        """Buffer bits between the passes for a row of MAX_LEN elements, in whole beats."""
        if self.cell:
            return 0
        width = sum(
            bits for name, (_, bits) in self.storage(parameters).items() if name.startswith("beats")
        )
        return width * -(-parameters["MAX_LEN"] // parameters["LANES"])

    def tables(self, parameters: Parameters) -> dict[str, TableSize]:
        """Constant tables of a build, by name."""
        return {}

    def roms(self) -> tuple[Rom, ...]:
        """Tables of the generated package `<name>_tables_pkg.sv`; without any, no package."""
        return ()

    # -------------------------------------------------------------------------------- coverage

    @abstractmethod
    def coverage(self, parameters: Parameters) -> Coverage:
        """The unit's own coverpoints, with counts of 0."""

    @abstractmethod
    def sample(self, coverage: Coverage, parameters: Parameters, rows: Rows) -> None:
        """Count a batch of rows that the monitors saw and the scoreboard compared."""
