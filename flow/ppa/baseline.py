# SPDX-License-Identifier: Apache-2.0
"""Reference figures: CI fails if a change makes a unit larger or slower than these.

flow/ppa/reference.json holds area and delay of each unit at its smallest size. Only
`make ppa SET=smallest UPDATE=1` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from .. import tools
from ..errors import UserError
from ..paths import short
from .measure import Figures

FILE = Path(__file__).with_name("reference.json")
ALLOWED = 0.03  # fraction by which a figure may get worse

_RENEW = "make ppa SET=smallest UPDATE=1"


def written(found: Sequence[Figures]) -> str:
    """The file's text."""
    first = found[0]
    units = {
        one.unit: {
            "parameters": one.parameters,
            "area": round(one.logic, 3),
            "delay": round(one.delay, 4),
        }
        for one in found
    }
    about = {
        "library": first.library,
        "period": first.period,
        "tools": {"pyosys": tools.versions("yosys")["pyosys"]},
    }
    return json.dumps({**about, "units": units}, indent=2) + "\n"


def check(found: Sequence[Figures], path: Path = FILE) -> int:
    """Print what got worse; return 1 if anything did, else 0. Raises what `worse` does."""
    lines = worse(found, path)
    print("\n".join(["", *lines]) if lines else f"\nnothing worse than {short(path)}")
    return 1 if lines else 0


def worse(found: Sequence[Figures], path: Path = FILE) -> list[str]:
    """One line for each figure that is worse than the reference by more than ALLOWED, or missing.

    Raises UserError for a file that cannot be read, or that has another library or period.
    """
    try:
        reference = json.loads(path.read_text())
        for name in ("library", "period"):
            if reference[name] != getattr(found[0], name):
                raise UserError(
                    f"{path.name} is of {name} {reference[name]}, not {getattr(found[0], name)}"
                )
        lines = []
        for one in found:
            before = reference["units"].get(one.unit)
            if before is None or before["parameters"] != one.parameters:
                lines.append(f"{one.unit}: not in {path.name}; add it with `{_RENEW}`")
                continue
            for what, was, now in (
                ("area", before["area"], one.logic),
                ("delay", before["delay"], one.delay),
            ):
                if now > was * (1 + ALLOWED):
                    lines.append(
                        f"{one.unit}: {what} {now:.6g} is {100 * (now / was - 1):.1f} % more than "
                        f"{was:g}; if that is meant, `{_RENEW}`"
                    )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"cannot read {path}: {error}; write it with `{_RENEW}`") from None
    return lines
