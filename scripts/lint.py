#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check the RTL with every front end in every configuration, the Python with ruff and pyright."""

import bootstrap  # noqa: F401  isort: skip

import argparse
from collections.abc import Sequence

from softnorm.flow import cli
from softnorm.flow.static.lint import TOOLS, arguments, lint


def command(words: Sequence[str]) -> int:
    """Lint as the arguments say; return the exit code."""
    parser = argparse.ArgumentParser(
        usage="%(prog)s [-h] [--only TOOL[,TOOL...]] [UNIT ...]",
        description=__doc__,
        epilog="UNIT=name and ONLY=tool,... do the same. "
        "Exit code: 0 no finding, 1 findings, 2 wrong arguments or a tool is missing.",
    )
    parser.add_argument("words", nargs="*", metavar="UNIT", help="units to check (default: all)")
    parser.add_argument(
        "--only", metavar="TOOL[,TOOL...]", help=f"tools to run (default: {','.join(TOOLS)})"
    )
    args = parser.parse_args(words)
    only = [f"ONLY={args.only}"] if args.only else []
    return 1 if lint(*arguments(args.words + only)) else 0


if __name__ == "__main__":
    cli.main(command)
