# SPDX-License-Identifier: Apache-2.0
"""Example data for an ONNX graph: arrays by the names of its inputs, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import ValueInfoProto, helper

from ..errors import UserError

MASK = "attention_mask"  # an input of this name, [batch, token], says with 0 what is padding


@dataclass(frozen=True)
class Batches:
    """Batches of inputs by name, and how many examples they hold together."""

    feeds: Sequence[Mapping[str, np.ndarray]]
    examples: int

    def __iter__(self) -> Iterator[Mapping[str, np.ndarray]]:
        return iter(self.feeds)

    def __len__(self) -> int:
        return len(self.feeds)


def read(paths: Iterable[Path], inputs: Sequence[ValueInfoProto], size: int) -> Batches:
    """Return what .npz files hold for a graph's inputs, in batches of up to `size` examples.

    A file has an array for each input, its first axis the examples; rows of another length come in
    another file. Where the graph has a fixed number of examples, a batch has so many. Raises
    UserError for a file that cannot be read, and for arrays that are missing or do not fit.
    """
    feeds, examples = [], 0
    for path in paths:
        arrays = _arrays(path)
        missing = [one.name for one in inputs if one.name not in arrays]
        if missing:
            raise UserError(
                f"{path} has no array {missing[0]}: the model takes "
                f"{', '.join(map(_described, inputs))}; the file has {', '.join(arrays)}"
            )
        given = {one.name: _fitting(path, one, arrays[one.name]) for one in inputs}
        for feed in _split(path, inputs, given, size):
            feeds.append(feed)
            examples += next((len(x) for x in feed.values() if x.ndim), 1)
    if not feeds:
        raise UserError("the data hold no example")
    return Batches(feeds, examples)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            if isinstance(file, np.ndarray):
                raise ValueError("one array, without a name")
            return dict(file)
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot read {path} as .npz with an array for each input: {error}"
        ) from None


def _shape(one: ValueInfoProto) -> list[int | str] | None:
    kind = one.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in kind.shape.dim]


def _fixed(size: int | str) -> bool:
    return isinstance(size, int) and size > 0  # some exporters write -1 for any


def _described(one: ValueInfoProto) -> str:
    kind = _dtype(one)
    return f"{one.name} {_shape(one)} {'of another type' if kind is None else kind}"


def _dtype(one: ValueInfoProto) -> np.dtype | None:
    kind = one.type.tensor_type.elem_type
    return np.dtype(helper.tensor_dtype_to_np_dtype(kind)) if kind else None


def _fitting(path: Path, one: ValueInfoProto, x: np.ndarray) -> np.ndarray:
    """An array in the input's type. Raises UserError."""
    wanted, shape = _dtype(one), _shape(one)
    if wanted is None:
        raise UserError(f"input {one.name} of the model is no tensor: nothing here feeds it")
    wrong = shape is not None and (
        len(shape) != x.ndim
        or any(_fixed(a) and a != b for a, b in zip(shape[1:], x.shape[1:], strict=True))
    )
    if wrong:
        raise UserError(f"{path}: {one.name} has shape {x.shape}, the model takes {shape}")
    if x.dtype != wanted:
        kinds = (x.dtype.kind, wanted.kind)
        if x.dtype.kind not in "iufb" or kinds in {("f", "i"), ("f", "u"), ("f", "b")}:
            raise UserError(f"{path}: {one.name} is {x.dtype}, the model takes {wanted}")
        x = x.astype(wanted)
    return x


def _split(
    path: Path, inputs: Sequence[ValueInfoProto], given: Mapping[str, np.ndarray], size: int
) -> Iterator[dict[str, np.ndarray]]:
    counts = {len(x) for x in given.values() if x.ndim}
    if not counts:
        yield dict(given)
        return
    shapes = [_shape(one) for one in inputs]
    fixed = {shape[0] for shape in shapes if shape and _fixed(shape[0])}
    if len(counts) > 1:
        if fixed and {len(given[one.name]) for one in inputs if _shape(one)} == fixed:
            yield dict(given)
            return
        raise UserError(
            f"{path}: arrays have {', '.join(map(str, sorted(counts)))} examples: give as many of "
            "each input"
        )
    [count] = counts
    step = min(fixed) if fixed else size
    if count % step and fixed:
        raise UserError(f"{path} has {count} examples, the model takes {step} at a time")
    for start in range(0, count, step):
        yield {name: x[start : start + step] if x.ndim else x for name, x in given.items()}


def real_rows(feed: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Return what of a batch is no padding, bool [examples, tokens]; None if nothing says so."""
    mask = feed.get(MASK)
    return mask != 0 if mask is not None and mask.ndim == 2 else None
