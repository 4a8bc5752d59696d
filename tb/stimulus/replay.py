# SPDX-License-Identifier: Apache-2.0
"""A stimulus as data: all that a run drives, to be kept in a file, changed, and driven again.

A scenario's rows are drawn from the run's seed with no look at the simulation, so they are known
without one. Stall patterns, noise on idle pins and the order of channel writes stay with the seed:
they are not in the file.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from softnorm.models.vectors import no_file
from softnorm.units.unit import ChannelSet, ParameterError, Parameters, Unit

from ..run import Run
from .scenarios import SCENARIOS, Bench
from .values import Phase, Reset, Row, RowMaker, random_resets

_MOST_RESETS = 2000  # of a run whose number of resets nobody knows beforehand
_SHOWN = 24  # values of a row in its description
# What reading a file that somebody has changed may raise.
_UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)


@dataclass(frozen=True)
class Stimulus:
    """What a run drives. Phases hold their rows as tuples; nothing in it is changed in place.

    resets  of a test that resets the unit, one after the other; empty for the others
    """

    phases: tuple[Phase, ...]
    resets: tuple[Reset, ...] = ()

    @classmethod
    def of(cls, run: Run) -> Stimulus:
        """What a run's test drives with its seed."""
        scenario = SCENARIOS[run.test]
        make = RowMaker(run.rng("rows"), run.descriptor, run.parameters)
        phases = scenario.phases(Bench(make, run.rows, run.tensors))
        resets = random_resets(run.rng("resets")) if scenario.test == "ResetTest" else ()
        return cls(
            # One phase after the other: they draw from the same generator.
            tuple(replace(phase, rows=tuple(phase.rows)) for phase in phases),
            tuple(itertools.islice(resets, _MOST_RESETS)),
        )

    @property
    def rows(self) -> list[Row]:
        return [row for phase in self.phases for row in phase.rows]

    @property
    def elements(self) -> int:
        return sum(len(row.x) for row in self.rows)

    @property
    def channel_sets(self) -> list[ChannelSet]:
        """Each set that a row needs, once, in the order of the rows."""
        found = {id(row.channels): row.channels for row in self.rows if row.channels is not None}
        return list(found.values())

    # ------------------------------------------------------------------------------- the file

    def to_json(self, run: Run) -> str:
        """As text that a person can read and change, for a run like this one."""
        sets = self.channel_sets
        number = {id(channels): n for n, channels in enumerate(sets)}
        text = {
            "unit": run.unit,
            "parameters": run.parameters,
            "test": run.test,
            "seed": run.seed,
            "phases": [
                {
                    "source": phase.source,
                    "sink": phase.sink,
                    **({"other": phase.other} if phase.other else {}),
                    "rows": [_row_text(row, number) for row in phase.rows],
                }
                for phase in self.phases
            ],
            "resets": [reset._asdict() for reset in self.resets],
            "channels": [{n: v.tolist() for n, v in one.values.items()} for one in sets],
        }
        return json.dumps(text) + "\n"

    @classmethod
    def load(cls, path: Path, unit: Unit, parameters: Parameters) -> Stimulus:
        """Read what `to_json` gave. Raises ParameterError if it is not for this unit and build."""
        if why := no_file(path):
            raise ParameterError(f"{path}: {why}")
        try:
            text = json.loads(path.read_text())
            for name, wanted in (("unit", unit.name), ("parameters", dict(parameters))):
                if text[name] != wanted:
                    raise ParameterError(f"{path} is for {name} {text[name]}, not {wanted}")
            dtype = unit.input_dtype(parameters)
            types = {column.name: column.dtype for column in unit.channels}
            sets = [
                ChannelSet({name: _integers(one[name], types[name]) for name in types})
                for one in text["channels"]
            ]
            return cls(
                tuple(
                    Phase(
                        tuple(_row(row, dtype, sets, unit) for row in phase["rows"]),
                        phase["source"],
                        phase["sink"],
                        other=phase.get("other", ""),
                    )
                    for phase in text["phases"]
                ),
                tuple(_reset(reset) for reset in text["resets"]),
            )
        except _UNREADABLE as error:
            if isinstance(error, ParameterError):
                raise
            raise ParameterError(f"{path} holds no stimulus that can be read: {error}") from None

    # ---------------------------------------------------------------------------- in words

    def __str__(self) -> str:
        sets = {id(channels): n for n, channels in enumerate(self.channel_sets)}
        lines = []
        for phase in self.phases:
            other = f", of other inputs: {phase.other}" if phase.other else ""
            lines.append(f"stalls of the input: {phase.source}{other}, of the output: {phase.sink}")
            for row in phase.rows:
                lines += _described(row, sets)
        for reset in self.resets:
            aim = ", input {}, output {}".format(*reset.aim) if reset.aim else ""
            lines.append(
                f"reset after {reset.clocks} clocks{aim} and {reset.within} ps, "
                f"for {reset.held} clocks"
            )
        for number, channels in enumerate(self.channel_sets):
            lines.append(f"channel set {number}")
            lines += [f"  {name}: {_short(v.tolist())}" for name, v in channels.values.items()]
        return "\n".join(lines)


def _row_text(row: Row, number: dict[int, int]) -> dict:
    """A row as plain data; `number`: of each channel set."""
    text = {
        "x": row.x.tolist(),
        "masked": np.flatnonzero(~row.mask).tolist(),
        "settings": {name: int(v) for name, v in row.settings.items()},
        "keep": {str(beat): hex(keep) for beat, keep in row.keep.items()},
        "channels": number.get(id(row.channels)),
        "origin": row.origin,
    }
    if row.operands:
        text["operands"] = [_row_text(operand, number) for operand in row.operands]
    return text


def _integers(values: list, dtype: np.dtype) -> np.ndarray:
    """Whole numbers as an array. Raises OverflowError for those that it cannot hold, ValueError."""
    if any(type(value) is not int for value in values):
        raise ValueError("there is a value that is no whole number")
    return np.array(values, dtype)


def _row(given: dict, dtype: np.dtype, sets: list[ChannelSet], unit: Unit | None = None) -> Row:
    """A row of `unit`; without it what is for a further input stream."""
    operands = given.get("operands", [])
    if len(operands) != (0 if unit is None else len(unit.operands)):
        raise ValueError(f"there is a row with {len(operands)} operands")
    x = _integers(given["x"], dtype)
    _integers(list(given["settings"].values()), np.dtype(int))
    mask = np.ones(len(x), bool)
    mask[given["masked"]] = False
    return Row(
        x=x,
        mask=mask,
        settings=given["settings"],
        origin=given["origin"],
        channels=None if given["channels"] is None else sets[given["channels"]],
        keep={int(beat): int(keep, 16) for beat, keep in given["keep"].items()},
        operands=tuple(_row(operand, dtype, sets) for operand in operands),
    )


def _reset(given: dict) -> Reset:
    return Reset(**{**given, "aim": given["aim"] and tuple(given["aim"])})


def _described(row: Row, sets: dict[int, int]) -> Iterator[str]:
    settings = " ".join(f"{name}={value}" for name, value in row.settings.items())
    yield f"  row of {len(row.x)}: {_short(row.x.tolist())}"
    if not row.mask.all():
        yield f"    masked elements: {_short(np.flatnonzero(~row.mask).tolist())}"
    if settings or row.channels is not None:
        channels = "" if row.channels is None else f" channel set {sets[id(row.channels)]}"
        yield f"    {settings}{channels}"
    for beat, keep in row.keep.items():
        yield f"    tkeep of beat {beat} is {keep:#x}"
    for operand in row.operands:
        yield "  and beside it"
        yield from _described(operand, sets)


def _short(values: list[int]) -> str:
    """Values with repetitions as `5 x 31`, and a word on those that are left out."""
    runs = [(value, len(list(same))) for value, same in itertools.groupby(values)]
    words = [
        f"{value} x {count}" if count > 2 else ", ".join([str(value)] * count)
        for value, count in runs[:_SHOWN]
    ]
    left = sum(count for _, count in runs[_SHOWN:])
    return ", ".join(words) + (f", and {left} more" if left else "")
