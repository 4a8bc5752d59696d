#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Synthesise units to generic cells and check their memories against the storage formula."""

import bootstrap  # noqa: F401  isort: skip

import argparse
from collections.abc import Sequence

from softnorm.flow import cli
from softnorm.flow.pages import kept
from softnorm.flow.static.synth import Result, arguments, synth


def command(words: Sequence[str]) -> int:
    """Synthesise what the arguments say; return the exit code."""
    parser = argparse.ArgumentParser(
        usage="%(prog)s [-h] [UNIT [NAME=VALUE ...]] [OUT=folder]",
        description=__doc__,
        epilog="UNIT=name does the same; OUT=docs keeps figures there. "
        "Exit code: 0 done, 1 a configuration failed, 2 wrong arguments or no pyosys.",
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="UNIT [NAME=VALUE ...]",
        help="one unit (default: all), and parameters that replace its list of configurations",
    )
    name, parameters, out = arguments(parser.parse_args(words).words)

    def keep(results: list[Result]) -> None:
        if out is not None:
            print(kept.put(kept.SYNTH, dict(map(kept.of_synthesis, results)), out))

    return 1 if synth(name, parameters, keep=keep) else 0


if __name__ == "__main__":
    cli.main(command)
