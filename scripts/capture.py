#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Capture tensors of all-MiniLM-L6-v2 as a vector file for a unit.

e2softmax: attention logits. ailayernorm: the inputs of all 13 LayerNorms, with gamma and beta.
"""

import bootstrap  # noqa: F401  isort: skip

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from softnorm.flow import cli
from softnorm.flow.capture import logits as capture_logits
from softnorm.flow.capture import model as capture
from softnorm.flow.capture import norms as capture_norms
from softnorm.flow.errors import UserError
from softnorm.flow.networks import minilm

JOBS = {"e2softmax": capture_logits, "ailayernorm": capture_norms}


def numbers(text: str) -> list[int]:
    """Numbers between commas; raises ValueError."""
    return [int(number) for number in text.split(",")]


def command(words: Sequence[str]) -> int:
    """Capture and write as the arguments say; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="UNIT=ailayernorm ROWS=260 and so on do the same. Needs the extra "
        "`capture`, which it says how to install. Exit code: 0 done, 2 bad "
        "input or a missing package.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--unit",
        choices=JOBS,
        default="e2softmax",
        help="whose inputs to capture (default: %(default)s)",
    )
    for name in ("layers", "heads"):
        parser.add_argument(
            f"--{name}",
            type=numbers,
            metavar="N[,N...]",
            help=f"{name} to take rows from, e2softmax only (default: all)",
        )
    parser.add_argument(
        "--rows",
        type=int,
        metavar="N",
        help="rows to sample (default: "
        + ", ".join(f"{job.ROWS} for {unit}" for unit, job in JOBS.items())
        + ")",
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="of the sampling (default: %(default)s)"
    )
    parser.add_argument(
        "--sentences",
        type=Path,
        default=capture.SENTENCES,
        metavar="FILE",
        help="what the model reads: one sentence a line, UTF-8 (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the vector file to write (default: the one of the unit in data/)",
    )
    # `make capture ROWS=900` comes as the word ROWS=900.
    options = [re.sub("^[A-Z]+=", lambda name: f"--{name[0].lower()}", word) for word in words]
    args = parser.parse_args(options)
    job = JOBS[args.unit]
    out = args.out or job.SHIPPED
    size = job.ROWS if args.rows is None else args.rows
    print(f"running the model on {args.sentences}", flush=True)
    if args.unit == "e2softmax":
        layers = range(minilm.LAYERS) if args.layers is None else args.layers
        heads = range(minilm.HEADS) if args.heads is None else args.heads
        rows = job.capture_logits(args.sentences, layers, heads, size, args.seed)
    else:
        if args.layers is not None or args.heads is not None:
            raise UserError(f"{args.unit} takes no --layers and --heads: leave them out")
        rows = job.capture_norms(args.sentences, size, args.seed)
    capture.save(out, rows)
    print(f"{out}: {len(rows.x)} rows, {out.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    cli.main(command)
