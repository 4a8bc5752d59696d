# SPDX-License-Identifier: Apache-2.0
"""softnorm evaluate <model.onnx> --data <file.npz> [--softmax <unit>] [--norm <unit>]

What an ONNX network loses with units in place of its softmaxes and norms, by their bit-exact
models; needs `pip install softnorm[onnx]`.

  --data <files>        .npz, several with commas: an array for each input of the model by its
                        name, its first axis the examples
  --softmax "<unit> .." the unit for softmaxes, with parameters and settings:
                        "e2softmax DIV_BITS=3 EXP_FRAC=1 fmt=1"
  --norm "<unit> .."    the unit for LayerNorms and RMSNorms: ailayernorm
  --calibration <files> other data to calibrate on; without it --data does
  --keep <names>        nodes that stay float, with commas; patterns, too: "/decoder/*"
  --batch <number>      examples at a time, default 8
  --seed <number>       which rows calibration draws, default 1
  --out <folder>        where report.json and registers.json go, default build/onnx/<model>

Prints errors of each node and of the outputs, and what stayed float with the reason. Exit code: 0
done, 2 bad input or a missing package.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from softnorm.flow import cli
from softnorm.flow.errors import UserError
from softnorm.flow.paths import write_whole

WORDS = ("DATA", "SOFTMAX", "NORM", "CALIBRATION", "KEEP", "BATCH", "SEED", "OUT")


def command(arguments: Sequence[str]) -> int:
    """Carry out a command line; its exit code."""
    if not arguments or "--help" in arguments or "-h" in arguments:
        print((__doc__ or "").strip())
        return 0 if arguments else 2
    name, *left = arguments
    if name != "evaluate":
        raise UserError(f"there is no command softnorm {name}; there is: softnorm evaluate")
    if not left or left[0].startswith("--"):
        raise UserError("say which model: softnorm evaluate <model.onnx> --data <file.npz>")
    path, given = Path(left[0]), cli.words(left[1:])
    unknown = [word for word in given if word not in WORDS]
    if unknown:
        known = " ".join(f"--{word.lower()}" for word in WORDS)
        raise UserError(f"there is no --{unknown[0].lower()}; there are: {known}")
    if "DATA" not in given:
        raise UserError("say which data: --data <file.npz>, an array for each input of the model")
    batch = cli.number("BATCH", given.get("BATCH", "8"), least=1)
    seed = cli.number("SEED", given.get("SEED", "1"))
    from softnorm.flow.onnx import data, evaluation, network, report

    model = network.load(path)
    inputs = network.Network(model, ()).inputs
    examples = data.read(_paths(given["DATA"]), inputs, batch)
    others = given.get("CALIBRATION")
    result = evaluation.evaluate(
        model,
        examples,
        given.get("SOFTMAX"),
        given.get("NORM"),
        calibration=data.read(_paths(others), inputs, batch) if others else None,
        keep=[word for word in given.get("KEEP", "").split(",") if word],
        seed=seed,
        say=lambda text: print(f"  {text}", file=sys.stderr, flush=True),
    )
    print(report.text(result))
    folder = Path(given.get("OUT", f"build/onnx/{path.stem}"))
    found = {"report": report.plain(result), "registers": report.registers(result)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in found.items():
            write_whole(folder / f"{file}.json", _json(content))
    except OSError as error:
        raise UserError(f"cannot write {error.filename}: {error.strerror}") from None
    print(f"\nwritten: {folder / 'report.json'}, {folder / 'registers.json'}")
    return 0


def _json(content: object) -> str:
    """JSON with each list of numbers in one line."""
    text = json.dumps(content, indent=1)
    return re.sub(r"\[[-+\d.,e\s]+\]", lambda m: re.sub(r"\s+", " ", m[0]), text) + "\n"


def _paths(words: str) -> list[Path]:
    return [Path(word) for word in words.split(",")]


def main() -> None:
    """Run the command line's arguments."""
    cli.main(command)


if __name__ == "__main__":
    main()
