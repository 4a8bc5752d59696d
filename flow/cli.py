# SPDX-License-Identifier: Apache-2.0
"""Shared by all commands: `NAME=VALUE` arguments (or `--name value`), error lines, exit codes.

Exit codes: 0 done, 1 a check failed, 2 bad input or a missing tool, 130 interrupted.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Sequence

from softnorm.models.vectors import VectorError
from softnorm.units.unit import ParameterError

from . import interrupt, tools
from .errors import DiskFull, UserError, is_full


def words(arguments: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE` arguments as a dict; `--name VALUE`, `--name=VALUE` and `--name`, which is 1,
    are the same. Raises UserError for anything else."""
    given = {}
    left = list(arguments)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            name = name.removeprefix("--").replace("-", "_").upper()
            if not equals:
                is_value = left and not re.match(r"--|[\w-]+=", left[0])
                equals, value = "=", left.pop(0) if is_value else "1"
        if not equals or not name:
            raise UserError(f"cannot read {word!r}: arguments have the form NAME=VALUE")
        given[name] = value
    return given


def number(name: str, value: str, least: int = 0) -> int:
    """A whole number from a `NAME=VALUE` word. Raises UserError."""
    try:
        result = int(value)
    except ValueError:
        raise UserError(f"{name} must be a whole number, not {value!r}") from None
    if result < least:
        raise UserError(f"{name} must be at least {least}, not {result}")
    return result


def flag(name: str, value: str) -> bool:
    """A switch from a `NAME=0` or `NAME=1` word. Raises UserError."""
    if value not in ("0", "1"):
        raise UserError(f"{name} must be 0 or 1, not {value!r}")
    return value == "1"


def main(command: Callable[[Sequence[str]], int]) -> None:
    """Run `command` on the command line's arguments and exit with its code.

    A warning is one line, as an error is.
    """
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    tools.own_environment()
    try:
        with interrupt.watched():
            code = command(sys.argv[1:])
    except (UserError, ParameterError, VectorError) as error:
        print(f"error: {error}", file=sys.stderr)
        code = getattr(error, "exit_code", 2)
    except OSError as error:
        if not is_full(error):
            raise
        print(f"error: {DiskFull(error.filename)}", file=sys.stderr)
        code = DiskFull.exit_code
    except KeyboardInterrupt:
        interrupt.end_children()
        print(f"\n{interrupt.MESSAGE}", file=sys.stderr)
        code = interrupt.code()
    sys.exit(code)


def table(rows: Sequence[Sequence[object]], header: Sequence[str] | None = None) -> str:
    """Columns lined up with two spaces between; numbers to the right."""
    lines = [[str(cell) for cell in row] for row in ([header] if header else []) + list(rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def aligned(cell: str, width: int) -> str:
        numeric = re.fullmatch(r"[-+]?[\d.]+(e[-+]\d+)?( %)?", cell)
        return cell.rjust(width) if numeric else cell.ljust(width)

    text = ["  ".join(map(aligned, line, widths)).rstrip() for line in lines]
    if header:
        text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(text)
