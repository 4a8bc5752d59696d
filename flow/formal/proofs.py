# SPDX-License-Identifier: Apache-2.0
"""What is proved: proofs.hjson, an entry for each unit and size that it names."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from softnorm.units import UNITS
from softnorm.units.unit import Unit

from .. import lists
from ..errors import UserError
from .engine import Proof

COMMON = "common"
LIST = Path(__file__).with_name("proofs.hjson")
_ALL = "all units"


@cache
def proofs() -> tuple[Proof, ...]:
    """All of them, in the order of the file. Raises UserError if it cannot be read."""
    try:
        return tuple(proof for one in lists.entries(LIST, "proofs") for proof in _of(one))
    except (KeyError, TypeError) as error:
        raise UserError(f"cannot read {LIST.name}: {error!r}") from None


def of_unit(unit: Unit) -> list[Proof]:
    """A unit's own, and those of the cells that it has."""
    return [
        proof
        for proof in proofs()
        if proof.unit == unit.name or (proof.unit == COMMON and set(proof.rtl) <= set(unit.rtl))
    ]


def _of(entry: dict) -> Iterator[Proof]:
    """The proofs of an entry: `of` a unit, or all; at one or more `sizes`."""
    given = dict(entry)
    of, sizes = given.pop("of"), given.pop("sizes", [{}])
    for name in UNITS if of == _ALL else [of]:
        for size in sizes:
            words = {key: tuple(value) for key, value in given.items() if isinstance(value, list)}
            one = {**given, **words, "unit": name, "parameters": size}
            if "rtl" not in one:  # the whole unit
                unit = UNITS[name]
                one |= {"top": unit.name, "rtl": unit.rtl}
                defaults = {n: unit.defaults[n] for n in ("LANES", "MAX_LEN") if n in unit.defaults}
                one["parameters"] = {**defaults, **size}
                if unit.cell:
                    several = {f"SN_{operand.prefix.upper()}": 1 for operand in unit.operands}
                    one["defines"] = {**given.get("defines", {}), "SN_CELL": 1, **several}
                    one["small"] = {n: v for n, v in given["small"].items() if n in unit.defaults}
            yield Proof(**one)
