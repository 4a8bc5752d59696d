#!/usr/bin/env python3
"""Capture attention logits of all-MiniLM-L6-v2 as a vector file for E2Softmax."""

import bootstrap  # noqa: F401  isort: skip

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from flow import cli, minilm
from flow.capture import SENTENCES, SHIPPED, capture, save


def numbers(text: str) -> list[int]:
    """Numbers between commas; raises ValueError."""
    return [int(number) for number in text.split(",")]


def command(words: Sequence[str]) -> int:
    """Capture and write as the arguments say; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="ROWS=900 and so on do the same. Needs the packages of requirements-capture.txt; "
        "its head says how to install them. Exit code: 0 done, 2 bad input or a missing package.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for name, count in ("layers", minilm.LAYERS), ("heads", minilm.HEADS):
        parser.add_argument(
            f"--{name}",
            type=numbers,
            default=",".join(map(str, range(count))),
            metavar="N[,N...]",
            help=f"{name} to take rows from",
        )
    parser.add_argument("--rows", type=int, default=900, metavar="N", help="rows to sample")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="seed of the sampling")
    parser.add_argument(
        "--sentences",
        type=Path,
        default=SENTENCES,
        metavar="FILE",
        help="what the model reads: one sentence a line, UTF-8",
    )
    parser.add_argument(
        "--out", type=Path, default=SHIPPED, metavar="FILE", help="the vector file to write"
    )
    # `make capture ROWS=900` comes as the word ROWS=900.
    options = [re.sub("^[A-Z]+=", lambda name: f"--{name[0].lower()}", word) for word in words]
    args = parser.parse_args(options)
    rows = capture(args.sentences, args.layers, args.heads, args.rows, args.seed)
    save(args.out, rows)
    print(f"{args.out}: {len(rows.x)} rows, {args.out.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    cli.main(command)
