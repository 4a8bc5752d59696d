# SPDX-License-Identifier: Apache-2.0
"""Conformance vectors through the bit-exact model and through the RTL (docs/vectors.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from softnorm import units
from softnorm.models import vectors
from softnorm.models.vectors import Vectors
from softnorm.tb.stimulus.scenarios import rows_of
from softnorm.units.unit import Parameters, Unit

from ..build.bulk import bulk_build
from ..build.pins import build
from ..errors import UserError
from .bulk import simulate_bulk
from .simulate import check_tensors, simulate

COUNTED_ROWS = 10_000_000  # vectors are driven whole, whatever the scale of random tests


@dataclass(frozen=True)
class Conformance:
    """Mismatches of one file: elements that differ, and rows whose exponent differs, and for each
    other entry that the file expects (`Unit.user_fields`) the rows of which it differs.

    `report` is the test bench's when the RTL did not get through, else empty.
    """

    rows: int
    elements: int
    mismatches: int
    report: str = ""


def files(path: Path) -> list[Path]:
    """A file, or all .npz of a folder, in order. Raises UserError when there are none."""
    if path.is_dir():
        found = sorted(path.glob("*.npz"))
        if not found:
            raise UserError(f"{path} holds no .npz file")
        return found
    if not path.exists():
        raise UserError(f"there is no file or folder {path}")
    return [path]


def load(path: Path) -> tuple[Unit, dict[str, int | str], Vectors]:
    """A vector file with its unit and parameters; one that holds no expected outputs is refused.

    So is one with an entry that means nothing to the unit: it could be one that is to be compared.
    Raises UserError, ParameterError, VectorError.
    """
    file = vectors.load(path)
    unit = units.get(file.unit)
    if file.out is None or file.exponent is None:
        raise UserError(f"{path} holds inputs only, nothing to conform to (out, exponent)")
    parameters = unit.resolve(file.parameters)
    check_tensors(unit, parameters, file, path)
    expected = [field.name for field in unit.user_fields(parameters)]
    operands = [operand.name for operand in unit.operands]
    known = [*expected, *(setting.name for setting in unit.settings(parameters)), *operands]
    for name, values in file.extra.items():
        if name not in known:
            there = ", ".join(known) or "none"
            raise UserError(f"{path}: {unit.name} has no entry {name} there; there are: {there}")
        if name in operands:  # as x, and checked with it
            continue
        if values.shape != file.length.shape or values.dtype.kind not in "iub":
            got = f"{values.shape} {values.dtype}"
            raise UserError(f"{path}: {name} must be {file.length.shape} integers, not {got}")
    return unit, parameters, file


def _count(
    unit: Unit, parameters: Parameters, file: Vectors, out: np.ndarray, others: Mapping
) -> int:
    """Mismatches; `others`: exponent, and the fields of tuser that the unit has."""
    width = file.x.shape[1]
    exists = np.arange(width) < file.length[:, None]
    wide = np.zeros(file.out.shape, out.dtype)
    # The RTL's come in whole beats; what is beyond a row's end the scoreboard has looked at.
    wide[:, : out.shape[1]] = out[:, :width]
    if wide.dtype.itemsize == file.out.dtype.itemsize:
        wide = wide.view(file.out.dtype)  # a byte may be signed in one row and not in another
    wrong = ((wide != file.out) & exists).sum() + (others["exponent"] != file.exponent).sum()
    for field in unit.user_fields(parameters):
        if field.name in file.extra:
            wrong += (others[field.name] != file.extra[field.name]).sum()
    return int(wrong)


def conform_model(path: Path) -> Conformance:
    """The model against a file. Raises as `load`."""
    unit, parameters, file = load(path)
    outputs = unit.predict(parameters, rows_of(unit, parameters, file))
    others = {"exponent": outputs.exponent, **outputs.user}
    mismatches = _count(unit, parameters, file, outputs.out, others)
    return Conformance(len(file.length), int(file.length.sum()), mismatches)


def conform_rtl(path: Path, sim: str, seed: int = 1, bulk: bool = False) -> Conformance:
    """The RTL, built with the file's parameters, against a file. Raises as `load` and `build`.

    `bulk`: on the bulk engine, not pin by pin.
    """
    unit, parameters, file = load(path)
    made = (bulk_build if bulk else build)(unit, parameters, sim)
    run = simulate_bulk if bulk else simulate
    result = run(made, "tensors", seed, rows=COUNTED_ROWS, tensors=path)
    rows, elements = len(file.length), int(file.length.sum())
    if not result.passed:
        return Conformance(
            rows,
            elements,
            max(1, result.values.get("mismatches", 1)),
            f"{result.report}\nrerun: {result.run.rerun}",
        )
    seen = np.load(result.run.folder / "outputs.npz", allow_pickle=False)
    if len(seen["out"]) != rows:
        return Conformance(
            rows, elements, rows, f"{rows} rows went in, {len(seen['out'])} came out"
        )
    return Conformance(rows, elements, _count(unit, parameters, file, seen["out"], seen))
