#!/usr/bin/env python3
"""Make the SystemVerilog packages of REXP's and 2D-LUT's tables, and print the tables' sizes."""

import bootstrap  # noqa: F401  isort: skip

import argparse
from collections.abc import Sequence

from flow import cli, tables


def command(words: Sequence[str]) -> int:
    """Make or check the packages as the arguments say; return the exit code."""
    parser = argparse.ArgumentParser(
        usage="%(prog)s [-h] [--check]",
        description=__doc__,
        epilog="Exit code: 0 done, 1 a file differs (--check), 2 wrong arguments.",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; print how the files differ"
    )
    args = parser.parse_args(words)
    print(tables.sizes() + "\n")
    if args.check:
        return 0 if tables.check() else 1
    tables.write()
    return 0


if __name__ == "__main__":
    cli.main(command)
