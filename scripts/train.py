#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train the small vision transformer of flow/networks/digits.py on handwritten digits.

usage: scripts/train.py [NAME=VALUE ...]      (or --seed 2 --steps 1000 ...)

  SEED=1          seed of initial weights, order and distortions
  STEPS=4000      of 50 images each
  OUT=FILE        the weights to write; default: data/digits_vit.npz
  IMAGES=FILE     do not train; write the data of data/digits.npz to FILE (needs scikit-learn)

Needs only numpy. The same seed on the same machine gives the same file; a BLAS that adds in another
order gives other weights. Ctrl-C ends the training and writes the best weights so far.
Exit code: 0 done, 2 bad input, 130 interrupted.
"""

import bootstrap  # noqa: F401  isort: skip

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from softnorm.flow import interrupt
from softnorm.flow.cli import main, number, words
from softnorm.flow.errors import UserError
from softnorm.flow.networks import digits, digits_train


def command(arguments: Sequence[str]) -> int:
    """Train and write as the arguments say; return the exit code."""
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip())
        return 0
    given = words(arguments)
    seed = number("SEED", given.pop("SEED", "1"))
    steps = number("STEPS", given.pop("STEPS", str(digits_train.STEPS)))
    out = Path(given.pop("OUT", digits.WEIGHTS))
    images = given.pop("IMAGES", None)
    if given:
        raise UserError(f"there is no {next(iter(given))}; there are: SEED STEPS OUT IMAGES")
    if images is not None:
        digits_train.save(Path(images), *digits_train.collect())
        print(f"{images}: {Path(images).stat().st_size} bytes")
        return 0
    interrupt.allow(interrupt.LONG)  # the weights are written
    start = time.monotonic()
    training, validation, test = map(digits.load_digits, digits.SPLIT)
    trained = digits_train.train(
        training, validation, seed, steps, lambda line: print(line, flush=True)
    )
    source = {
        "command": f"python3 scripts/train.py --seed {seed} --steps {steps}",
        "numpy": np.__version__,
        "step": trained.step,
        "validation_loss": round(trained.loss, 4),
        "validation_accuracy": round(trained.accuracy, 4),
    }
    digits_train.save(out, trained.weights, {"source": source})
    print(
        f"best at step {trained.step}: validation loss {trained.loss:.4f}, accuracy "
        f"{100 * trained.accuracy:.1f} %; {time.monotonic() - start:.0f} s"
    )
    print(f"{out}: {out.stat().st_size} bytes")
    if not trained.done:
        raise KeyboardInterrupt
    found = digits.accuracy(digits.Vit(trained.weights).forward(test.images), test.labels)
    print(f"test accuracy {100 * found:.2f} % of {len(test)} images")
    return 0


if __name__ == "__main__":
    main(command)
