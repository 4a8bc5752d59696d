#!/usr/bin/env python3
"""Capture attention logits of all-MiniLM-L6-v2 as a vector file for E2Softmax."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from flow import minilm
from flow.capture import SENTENCES, SHIPPED, capture
from flow.errors import UserError


def main() -> None:
    """Parse the command line, capture and write; exit with 2 and one line on a user's error."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Needs the packages of requirements-capture.txt; its head says how to install them.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for name, count in ("layers", minilm.LAYERS), ("heads", minilm.HEADS):
        parser.add_argument(
            f"--{name}",
            type=int,
            nargs="+",
            choices=range(count),
            default=list(range(count)),
            metavar="N",
            help=f"{name} to take rows from, of 0..{count - 1}",
        )
    parser.add_argument("--rows", type=int, default=900, help="how many rows to sample")
    parser.add_argument("--seed", type=int, default=1, help="seed of the sampling")
    parser.add_argument(
        "--sentences",
        type=Path,
        default=SENTENCES,
        metavar="FILE",
        help="what the model reads: one sentence a line, UTF-8",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=SHIPPED,
        metavar="FILE",
        help="the vector file to write",
    )
    args = parser.parse_args()
    try:
        arrays = capture(args.sentences, args.layers, args.heads, args.rows, args.seed)
    except UserError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        sys.exit(2)
    np.savez_compressed(args.out, **arrays)
    print(f"{args.out}: {len(arrays['x'])} rows, {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
