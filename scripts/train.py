#!/usr/bin/env python3
"""Train the small vision transformer of flow/digits.py on handwritten digits; write its weights.

Numpy only. The same seed on the same machine gives the same file; another BLAS adds in another
order and gives other weights. Ctrl-C ends it with the best weights so far, which are written.
"""

import bootstrap  # noqa: F401  isort: skip

import argparse
import re
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from flow import cli, digits, digits_train


def command(words: Sequence[str]) -> int:
    """Train and write as the arguments say; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="SEED=2 STEPS=1000 and so on do the same. Exit code: 0 done, 2 bad input, 130 "
        "interrupted, with the best weights so far written unless there were none yet.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        metavar="N",
        help="of the first weights, the order and the distortions (default: %(default)s)",
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=digits_train.STEPS,
        metavar="N",
        help=f"of {digits_train.BATCH} images each (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=digits.WEIGHTS,
        metavar="FILE",
        help="the weights to write (default: %(default)s)",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FILE",
        help="train nothing; write data/digits.npz anew, to FILE (needs scikit-learn)",
    )
    options = [re.sub("^[A-Z]+=", lambda name: f"--{name[0].lower()}", word) for word in words]
    args = parser.parse_args(options)
    if args.images:
        digits_train.save(args.images, *digits_train.collect())
        print(f"{args.images}: {args.images.stat().st_size} bytes")
        return 0
    start = time.monotonic()
    training, validation, test = map(digits.load_digits, digits.SPLIT)
    trained = digits_train.train(
        training, validation, args.seed, args.steps, lambda line: print(line, flush=True)
    )
    source = {
        "command": f"python3 scripts/train.py --seed {args.seed} --steps {args.steps}",
        "numpy": np.__version__,
        "step": trained.step,
        "validation_loss": round(trained.loss, 4),
        "validation_accuracy": round(trained.accuracy, 4),
    }
    digits_train.save(args.out, trained.weights, {"source": source})
    print(
        f"best at step {trained.step}: validation loss {trained.loss:.4f}, accuracy "
        f"{100 * trained.accuracy:.1f} %; {time.monotonic() - start:.0f} s"
    )
    print(f"{args.out}: {args.out.stat().st_size} bytes")
    if not trained.done:
        raise KeyboardInterrupt
    found = digits.accuracy(digits.Vit(trained.weights).forward(test.images), test.labels)
    print(f"test accuracy {100 * found:.2f} % of {len(test)} images")
    return 0


if __name__ == "__main__":
    cli.main(command)
