# SPDX-License-Identifier: Apache-2.0
"""Vector files: rows for a unit, their settings and, in conformance vectors, what must come out.

One .npz format serves conformance vectors and tensors captured from real models; a tensor file has
no expected outputs. The entries:

meta                JSON text: unit, parameters (elaboration), settings (run time), anything else
x                   [rows, width] int8, uint8, int16 or int32
length              [rows] integers, 1..width: the entries of a row that count; absent: all of them
mask                [rows, width] bool, True is unmasked, False beyond length; absent: all unmasked
out                 [rows, width] uint8, uint16, int8, int16 or int32, 0 where masked; absent in a
                    tensor file
exponent            [rows] integers 0..31; goes with out
alpha, gamma, beta  [width] uint8 (0..3), int8, int8: parameters of a channel, for all rows; or
                    [sets, width], the same number of sets in all that are there
channel_set         [rows] integers, 0..sets-1: the set that a row uses; absent: there is one set
row_<name>          [rows] integers, 32 bits signed or unsigned: setting <name> row by row, in place
                    of the one in meta

Entries of other names are kept and have no meaning here. A `Vectors` that exists is well-formed:
building one raises VectorError just as loading does. It is not checked against the unit, whose
model refuses what it cannot take. A file that unpacks to more than MOST_BYTES is refused.
"""

import io
import json
import os
import stat
import tokenize
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .channels import DTYPES as CHANNEL_DTYPES
from .channels import MAX_ALPHA

X_DTYPES = (np.int8, np.uint8, np.int16, np.int32)
OUT_DTYPES = (np.uint8, np.uint16, np.int8, np.int16, np.int32)
MAX_EXPONENT = 31  # 5 bits
MOST_BYTES = 1 << 28  # of all entries of a file, unpacked: hours of simulation
ROW_SETTING = "row_"

# What reading a damaged .npz has been seen to raise, by zipfile, zlib or numpy's header parser.
_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    SyntaxError,
    NotImplementedError,
    MemoryError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
)


class VectorError(ValueError):
    """A vector file, or what was to become one, is wrong: one line that says where and how."""


@dataclass(frozen=True, eq=False)
class Vectors:
    """The rows of one file. Raises VectorError if anything disagrees with the module's list.

    length and mask may be given as None, and are then made up; length, row_settings, channel_set
    and exponent may be of any integer dtype, and become int32 (a setting that has numbers above it
    int64), and int8.

    channels: alpha, gamma and beta, those that the file has, always [sets, width] once built; what
    is given as [width] becomes one set. channel_set: int32 [rows], all 0 if there is one set; None
    if there are no channels.
    """

    unit: str
    parameters: dict[str, int | str]
    settings: dict[str, int]
    x: np.ndarray
    length: np.ndarray | None = None
    mask: np.ndarray | None = None
    out: np.ndarray | None = None
    exponent: np.ndarray | None = None
    row_settings: dict[str, np.ndarray] = field(default_factory=dict)
    channels: dict[str, np.ndarray] = field(default_factory=dict)
    channel_set: np.ndarray | None = None
    extra: dict[str, np.ndarray] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settle = object.__setattr__  # the dataclass is frozen
        settle(self, "settings", _named_integers("settings", self.settings))
        _check_head(self.unit, self.parameters)
        known = {"unit": self.unit, "parameters": self.parameters, "settings": self.settings}
        settle(self, "meta", {**known, **self.meta, **known})

        _check_array("x", self.x, X_DTYPES, ("rows", "width"))
        rows, width = self.x.shape
        if not rows or not width:
            raise VectorError(f"x is {rows} rows of width {width}, needs at least one of each")
        length = np.full(rows, width, np.int32) if self.length is None else self.length
        length = _integers("length", length, rows, 1, width)
        settle(self, "length", length)
        within = np.arange(width) < length[:, None]
        mask = within if self.mask is None else self.mask
        _check_array("mask", mask, (np.bool_,), self.x.shape)
        settle(self, "mask", mask)
        beyond = np.flatnonzero((mask & ~within).any(axis=1))
        if beyond.size:
            raise VectorError(
                f"mask of row {beyond[0]} is True beyond the row's length {length[beyond[0]]}"
            )

        if (self.out is None) != (self.exponent is None):
            raise VectorError("out and exponent go together, give both or none")
        if self.out is not None:
            _check_array("out", self.out, OUT_DTYPES, self.x.shape)
            wrong = np.flatnonzero(((self.out != 0) & ~mask).any(axis=1))
            if wrong.size:
                raise VectorError(f"out of row {wrong[0]} is not 0 at a masked element")
            exponent = _integers("exponent", self.exponent, rows, 0, MAX_EXPONENT)
            settle(self, "exponent", exponent.astype(np.int8))

        limits = (-(1 << 31), (1 << 32) - 1)
        by_row = {
            n: _integers(ROW_SETTING + n, a, rows, *limits) for n, a in self.row_settings.items()
        }
        settle(self, "row_settings", by_row)
        settle(self, "channels", {n: _sets(n, a, width) for n, a in self.channels.items()})
        settle(self, "channel_set", _channel_set(self.channels, self.channel_set, rows))

    @property
    def run_settings(self) -> dict[str, int | np.ndarray]:
        """The settings to run with: an int, or an int32 array [rows] where rows have their own."""
        return {**self.settings, **self.row_settings}


def load(path: str | os.PathLike) -> Vectors:
    """Read a vector file. Raises VectorError if it is wrong, in one line that names the file."""
    path = Path(path)
    try:
        return _from_arrays(_read(path))
    except VectorError as error:
        raise VectorError(f"{path}: {error}") from error.__cause__


def save(path: str | os.PathLike, vectors: Vectors) -> None:
    """Write a vector file. The same vectors make the same bytes, whenever they are written.

    Raises OSError if it cannot be written, ValueError if an extra array would need pickling.
    """
    arrays = {"meta": np.array(json.dumps(vectors.meta)), "x": vectors.x}
    arrays |= {"length": vectors.length, "mask": vectors.mask}
    several = any(len(array) > 1 for array in vectors.channels.values())
    for name, array in sorted(vectors.channels.items()):
        arrays[name] = array if several else array[0]  # one set: as before there were sets
    if several:
        arrays["channel_set"] = vectors.channel_set
    arrays |= {ROW_SETTING + n: a for n, a in sorted(vectors.row_settings.items())}
    if vectors.out is not None:
        arrays |= {"out": vectors.out, "exponent": vectors.exponent}
    arrays |= dict(sorted(vectors.extra.items()))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # whichever system it is
            entry.external_attr = 0o644 << 16
            data = io.BytesIO()
            np.lib.format.write_array(data, np.asarray(array, order="C"), allow_pickle=False)
            archive.writestr(entry, data.getvalue())
    # A disk that gets full leaves the file that was there.
    part = Path(f"{path}.{os.getpid()}.part")
    try:
        part.write_bytes(file.getvalue())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def no_file(path: Path) -> str:
    """Why a path cannot be read as a file: it is not there, or what it is; empty if it is one."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "no such file"
    except OSError as error:
        return error.strerror or str(error)
    if stat.S_ISREG(mode):
        return ""
    return f"is a {'folder' if stat.S_ISDIR(mode) else 'device or a pipe'}, not a file"


def _read(path: Path) -> dict[str, np.ndarray]:
    if why := no_file(path):
        raise VectorError(why)
    try:
        # Not np.load(path), which leaves the file open when it fails.
        with path.open("rb") as file:
            if file.read(6) == np.lib.format.MAGIC_PREFIX:
                raise VectorError("is one array, not an .npz archive of named ones")
            with zipfile.ZipFile(file) as archive:
                # No entry gives more than its header says.
                size = sum(entry.file_size for entry in archive.infolist())
            if size > MOST_BYTES:
                raise VectorError(
                    f"unpacks to {size / (1 << 20):,.0f} MiB, must be {MOST_BYTES >> 20} MiB at "
                    "most: make several files of it"
                )
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
    except VectorError:
        raise
    except _UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise VectorError(f"not a readable .npz file ({reason})") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # numpy hands over any other file as bytes
            raise VectorError(f"entry {name} is not an array")
    return arrays


def _from_arrays(arrays: dict[str, np.ndarray]) -> Vectors:
    for name in ("meta", "x"):
        if name not in arrays:
            raise VectorError(f"has no entry {name}")
    meta = _parse_meta(arrays.pop("meta"))
    by_row = [name for name in arrays if name.startswith(ROW_SETTING)]
    return Vectors(
        unit=meta["unit"],
        parameters=meta["parameters"],
        settings=meta["settings"],
        x=arrays.pop("x"),
        length=arrays.pop("length", None),
        mask=arrays.pop("mask", None),
        out=arrays.pop("out", None),
        exponent=arrays.pop("exponent", None),
        row_settings={name.removeprefix(ROW_SETTING): arrays.pop(name) for name in by_row},
        channels={name: arrays.pop(name) for name in CHANNEL_DTYPES if name in arrays},
        channel_set=arrays.pop("channel_set", None),
        extra=arrays,
        meta=meta,
    )


def _parse_meta(array: np.ndarray) -> dict[str, Any]:
    if array.dtype.kind != "U" or array.ndim:
        raise VectorError(f"meta must be one JSON text, is {array.dtype} of shape {array.shape}")
    try:
        meta = json.loads(str(array))
    except ValueError as error:
        raise VectorError(f"meta is not JSON ({error})") from error
    if not isinstance(meta, dict):
        raise VectorError("meta must be a JSON object")
    for name in ("unit", "parameters", "settings"):
        if name not in meta:
            raise VectorError(f"meta has no {name}")
    return meta


def _check_head(unit: object, parameters: object) -> None:
    if not isinstance(unit, str) or not unit:
        raise VectorError(f"unit must be a name, is {unit!r}")
    if not isinstance(parameters, dict):
        raise VectorError(f"parameters must be named values, is {parameters!r}")
    for name, value in parameters.items():
        if not isinstance(value, (int, str)):
            raise VectorError(f"parameter {name} must be an integer or a word, is {value!r}")


def _named_integers(what: str, values: object) -> dict[str, int]:
    """Return the dict with JSON's true and false as 1 and 0."""
    if not isinstance(values, dict):
        raise VectorError(f"{what} must be named integers, is {values!r}")
    for name, value in values.items():
        if not isinstance(value, int):
            raise VectorError(f"setting {name} must be an integer, is {value!r}")
    return {name: int(value) for name, value in values.items()}


def _check_array(name: str, array: Any, dtypes: tuple[type, ...], shape: tuple) -> np.ndarray:
    """Check a dtype and a shape; a word in the shape stands for any size."""
    if not isinstance(array, np.ndarray):
        raise VectorError(f"{name} must be a numpy array, is {type(array).__name__}")
    if array.dtype not in dtypes:
        wanted = " or ".join(np.dtype(dtype).name for dtype in dtypes)
        raise VectorError(f"{name} must be {wanted}, is {array.dtype}")
    fits = len(array.shape) == len(shape) and all(
        isinstance(size, str) or size == got for size, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join(map(str, shape))
        raise VectorError(f"{name} must have shape [{wanted}], has {list(array.shape)}")
    return array


def _sets(name: str, array: object, width: int) -> np.ndarray:
    """Return a parameter of channels, checked, as [sets, width]."""
    if name not in CHANNEL_DTYPES:
        raise VectorError(f"{name} is no channel parameter, use {', '.join(CHANNEL_DTYPES)}")
    one = isinstance(array, np.ndarray) and array.ndim == 1
    array = _check_array(name, array, (CHANNEL_DTYPES[name],), (width,) if one else ("sets", width))
    if not len(array):
        raise VectorError(f"{name} is 0 sets of channels, needs at least one")
    if name == "alpha" and array.max() > MAX_ALPHA:
        raise VectorError(f"alpha is {array.max()}, must be 0..{MAX_ALPHA}")
    return array[None] if one else array


def _channel_set(
    channels: dict[str, np.ndarray], channel_set: object, rows: int
) -> np.ndarray | None:
    """Return the set [rows] of each row as int32, None if there are no channels."""
    if not channels:
        if channel_set is not None:
            raise VectorError(f"channel_set needs channels, give {', '.join(CHANNEL_DTYPES)}")
        return None
    (first, array), *others = channels.items()
    for name, other in others:
        if len(other) != len(array):
            raise VectorError(
                f"{name} must have as many sets as {first}, which has {len(array)}, "
                f"has {len(other)}"
            )
    if channel_set is None:
        if len(array) > 1:
            raise VectorError(f"channel_set must say which of the {len(array)} sets each row uses")
        return np.zeros(rows, np.int32)
    return _integers("channel_set", channel_set, rows, 0, len(array) - 1)


def _integers(
    name: str, array: object, rows: int, low: int = -(1 << 31), high: int = (1 << 31) - 1
) -> np.ndarray:
    """Return an integer array [rows] with values in low..high as int32, int64 if they need it."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu":
        raise VectorError(f"{name} must be integers, is {getattr(array, 'dtype', type(array))}")
    _check_array(name, array, (array.dtype.type,), (rows,))
    wrong = np.flatnonzero((array < low) | (array > high))
    if wrong.size:
        raise VectorError(
            f"{name} of row {wrong[0]} is {array[wrong[0]]}, must be in {low}..{high}"
        )
    fits = array.size == 0 or array.max() <= np.iinfo(np.int32).max
    return array.astype(np.int32 if fits else np.int64)
