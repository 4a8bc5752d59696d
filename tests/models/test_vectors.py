# SPDX-License-Identifier: Apache-2.0
"""Vector files: written and read back unchanged; a wrong file is refused with one clear line."""

import errno
import io
import json
import os
import pickle
import re
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from softnorm.models import vectors
from softnorm.models.vectors import VectorError, Vectors

SHIPPED = sorted((Path(__file__).parents[1] / "vectors").glob("*.npz"))

META = {"unit": "e2softmax", "parameters": {"LANES": 8}, "settings": {"frac": 4, "fmt": 0}}
ARRAYS = {
    "meta": np.array(json.dumps(META)),
    "x": np.arange(12, dtype=np.int8).reshape(3, 4),
    "length": np.array([4, 1, 3], np.int32),
    "mask": np.array([[1, 0, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]], bool),
    "out": np.array([[9, 0, 8, 7], [6, 0, 0, 0], [0, 0, 0, 0]], np.uint8),
    "exponent": np.array([0, 3, 31], np.int8),
}


def with_meta(**changes):
    return np.array(json.dumps({**META, **changes}))


def write(path, **changes):
    """Write ARRAYS with changes as an .npz; None leaves an entry out."""
    arrays = {name: array for name, array in {**ARRAYS, **changes}.items() if array is not None}
    np.savez(path, **arrays)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.npz"


def same(one, other):
    for name in ("x", "length", "mask", "out", "exponent", "channel_set"):
        a, b = getattr(one, name), getattr(other, name)
        assert (a is None) == (b is None), name
        if a is not None:
            assert a.dtype == b.dtype, name
            np.testing.assert_array_equal(a, b, name)
    for name in ("row_settings", "channels", "extra"):
        a, b = getattr(one, name), getattr(other, name)
        assert a.keys() == b.keys(), name
        for key in a:
            assert a[key].dtype == b[key].dtype
            np.testing.assert_array_equal(a[key], b[key])
    for name in ("unit", "parameters", "settings", "meta"):
        assert getattr(one, name) == getattr(other, name), name
    return True


# --- reading and writing --------------------------------------------------------------------------


def test_load(path):
    file = vectors.load(write(path))
    assert (file.unit, file.parameters, file.settings) == tuple(META.values())
    assert file.meta == META
    for name in ("x", "length", "mask", "out", "exponent"):
        np.testing.assert_array_equal(getattr(file, name), ARRAYS[name])
    assert not file.row_settings
    assert not file.channels
    assert file.channel_set is None
    assert not file.extra


def test_a_tensor_file_needs_x_and_meta_only(path):
    file = vectors.load(
        write(path, length=None, mask=None, out=None, exponent=None, row_frac=np.array([1, 2, 3]))
    )
    assert file.length.tolist() == [4, 4, 4]
    assert file.length.dtype == np.int32
    assert file.mask.all()
    assert file.mask.dtype == bool
    assert file.out is None
    assert file.exponent is None
    assert file.settings == META["settings"]
    assert file.run_settings["fmt"] == 0
    assert file.run_settings["frac"].tolist() == [1, 2, 3]


def test_without_a_mask_the_row_is_unmasked_to_its_length(path):
    file = vectors.load(write(path, mask=None, out=None, exponent=None))
    assert file.mask.sum(axis=1).tolist() == [4, 1, 3]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int8, np.int16, np.int32])
def test_outputs_of_every_unit(path, dtype):
    assert vectors.load(write(path, out=ARRAYS["out"].astype(dtype))).out.dtype == dtype


CHANNELS = {
    "alpha": np.array([0, 1, 2, 3], np.uint8),
    "gamma": np.array([-128, 127, 0, 1], np.int8),
    "beta": np.array([1, 2, 3, -4], np.int8),
}
SETS = {name: np.stack([array, array[::-1]]) for name, array in CHANNELS.items()}


def test_channels(path):
    meta = with_meta(settings={"zp": 3, "rms": False})
    file = vectors.load(write(path, meta=meta, x=ARRAYS["x"].astype(np.uint8), **CHANNELS))
    assert list(file.channels) == ["alpha", "gamma", "beta"]
    for name, array in CHANNELS.items():
        np.testing.assert_array_equal(file.channels[name], array[None])
    assert file.channel_set.tolist() == [0, 0, 0]
    assert file.channel_set.dtype == np.int32
    assert file.settings == {"zp": 3, "rms": 0}
    assert type(file.settings["rms"]) is int


def test_sets_of_channels(path):
    file = vectors.load(write(path, **SETS, channel_set=np.array([1, 0, 1], np.uint8)))
    for name, array in SETS.items():
        np.testing.assert_array_equal(file.channels[name], array)
        assert file.channels[name].dtype == array.dtype
    assert file.channel_set.tolist() == [1, 0, 1]
    assert file.channel_set.dtype == np.int32
    assert "channel_set" not in file.extra
    vectors.save(path, file)
    assert same(vectors.load(path), file)


def test_one_set_is_written_as_before_there_were_sets(path):
    """However it is given: [width], or [1, width] with and without saying that all rows use it."""
    zeros = np.zeros(3, np.int64)
    one = {name: array[:1] for name, array in SETS.items()}
    files = [
        Vectors(**META, x=ARRAYS["x"], channels=channels, channel_set=channel_set)
        for channels in (CHANNELS, one)
        for channel_set in (None, zeros)
    ]
    for file in files:
        assert same(file, files[0])
        vectors.save(path, file)
        with np.load(path) as written:
            assert "channel_set" not in written
            assert {name: written[name].shape for name in CHANNELS} == dict.fromkeys(CHANNELS, (4,))
        assert same(vectors.load(path), file)
    assert CHANNELS["alpha"].shape == (4,)  # what was given is left as it was


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda path: path.stem)
def test_shipped_files_survive(path, shipped):
    file = vectors.load(shipped)
    vectors.save(path, file)
    same(vectors.load(path), file)


def test_everything_survives(path):
    full = Vectors(
        **META,
        **{name: ARRAYS[name] for name in ("x", "length", "mask", "out", "exponent")},
        row_settings={"frac": np.array([1, 2, 3], np.uint8)},
        channels={"beta": np.zeros((2, 4), np.int8)},
        channel_set=np.array([0, 1, 1]),
        extra={"head": np.arange(3), "note": np.array("hello")},
        meta={"source": {"model": "x"}},
    )
    vectors.save(path, full)
    assert same(vectors.load(path), full)
    assert vectors.load(path).meta == {**META, "source": {"model": "x"}}
    vectors.save(path, Vectors(**META, x=ARRAYS["x"]))
    assert same(vectors.load(path), Vectors(**META, x=ARRAYS["x"]))


def test_the_same_vectors_make_the_same_bytes(path, monkeypatch):
    file = Vectors(**META, x=ARRAYS["x"], extra={"b": np.arange(2), "a": np.arange(3)})
    vectors.save(path, file)
    first = path.read_bytes()
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    swapped = Vectors(**META, x=ARRAYS["x"], extra={"a": np.arange(3), "b": np.arange(2)})
    vectors.save(path, swapped)
    assert path.read_bytes() == first
    with zipfile.ZipFile(path) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": None}, "has no entry x"),
        ({"meta": None}, "has no entry meta"),
        ({"meta": np.array("{")}, "meta is not JSON"),
        ({"meta": np.array("[]")}, "meta must be a JSON object"),
        ({"meta": np.array(b"{}")}, "meta must be one JSON text, is |S2"),
        ({"meta": np.array(["{}"])}, "meta must be one JSON text, is <U2 of shape (1,)"),
        ({"meta": np.array("{}")}, "meta has no unit"),
        ({"meta": np.array('{"unit": "u", "settings": {}}')}, "meta has no parameters"),
        ({"meta": with_meta(unit=3)}, "unit must be a name, is 3"),
        ({"meta": with_meta(parameters=[1])}, "parameters must be named values, is [1]"),
        ({"meta": with_meta(parameters={"W": 1.5})}, "parameter W must be an integer or a word"),
        ({"meta": with_meta(settings=None)}, "settings must be named integers, is None"),
        ({"meta": with_meta(settings={"frac": 0.5})}, "setting frac must be an integer, is 0.5"),
        (
            {"x": ARRAYS["x"].astype(np.int64)},
            "x must be int8 or uint8 or int16 or int32, is int64",
        ),
        ({"x": ARRAYS["x"][0]}, "x must have shape [rows, width], has [4]"),
        ({"x": ARRAYS["x"][:0]}, "x is 0 rows of width 4, needs at least one of each"),
        ({"x": ARRAYS["x"][:, :0]}, "x is 3 rows of width 0, needs at least one of each"),
        ({"length": np.array([4.0, 1, 3])}, "length must be integers, is float64"),
        ({"length": np.array([4, 1])}, "length must have shape [3], has [2]"),
        ({"length": np.array([4, 0, 3])}, "length of row 1 is 0, must be in 1..4"),
        ({"length": np.array([4, 1, 5])}, "length of row 2 is 5, must be in 1..4"),
        ({"length": np.array([4, 1, 2**63], np.uint64)}, "length of row 2 is 9223372036854775808"),
        ({"mask": ARRAYS["mask"].astype(np.uint8)}, "mask must be bool, is uint8"),
        ({"mask": ARRAYS["mask"][:, :3]}, "mask must have shape [3, 4], has [3, 3]"),
        ({"length": np.array([3, 1, 3])}, "mask of row 0 is True beyond the row's length 3"),
        ({"out": None}, "out and exponent go together, give both or none"),
        ({"exponent": None}, "out and exponent go together, give both or none"),
        (
            {"out": ARRAYS["out"].astype(np.int64)},
            "out must be uint8 or uint16 or int8 or int16 or int32, is int64",
        ),
        ({"out": ARRAYS["out"].T}, "out must have shape [3, 4], has [4, 3]"),
        ({"out": ARRAYS["out"] + np.uint8(1)}, "out of row 0 is not 0 at a masked element"),
        ({"exponent": np.array([0, 1, 32])}, "exponent of row 2 is 32, must be in 0..31"),
        ({"exponent": np.array([0, -1, 2])}, "exponent of row 1 is -1, must be in 0..31"),
        ({"exponent": np.zeros((3, 1), int)}, "exponent must have shape [3], has [3, 1]"),
        ({"exponent": np.zeros(3)}, "exponent must be integers, is float64"),
        ({"row_frac": np.zeros(2, int)}, "row_frac must have shape [3], has [2]"),
        ({"row_frac": np.zeros(3)}, "row_frac must be integers, is float64"),
        ({"alpha": np.zeros(4, np.int8)}, "alpha must be uint8, is int8"),
        ({"gamma": np.zeros(3, np.int8)}, "gamma must have shape [4], has [3]"),
        ({"alpha": np.full(4, 4, np.uint8)}, "alpha is 4, must be 0..3"),
        ({"alpha": np.full((2, 4), 9, np.uint8)}, "alpha is 9, must be 0..3"),
        ({"alpha": np.zeros((2, 3), np.uint8)}, "alpha must have shape [sets, 4], has [2, 3]"),
        ({"beta": np.int8(1)}, "beta must have shape [sets, 4], has []"),
        ({"gamma": np.zeros((0, 4), np.int8)}, "gamma is 0 sets of channels, needs at least one"),
        (SETS, "channel_set must say which of the 2 sets each row uses"),
        (
            {**SETS, "beta": CHANNELS["beta"]},
            "beta must have as many sets as alpha, which has 2, has 1",
        ),
        ({"channel_set": np.zeros(3, int)}, "channel_set needs channels, give alpha, gamma, beta"),
        (
            {**SETS, "channel_set": np.array([0, 1, 2])},
            "channel_set of row 2 is 2, must be in 0..1",
        ),
        (
            {**CHANNELS, "channel_set": np.array([0, 0, 1])},
            "channel_set of row 2 is 1, must be in 0..0",
        ),
        ({**SETS, "channel_set": np.zeros(3)}, "channel_set must be integers, is float64"),
        ({**SETS, "channel_set": np.zeros(2, int)}, "channel_set must have shape [3], has [2]"),
    ],
)
def test_a_wrong_file(path, changes, message):
    write(path, **changes)
    refused(path, re.escape(message))


def refused(path, message=""):
    with pytest.raises(VectorError, match=f"^{re.escape(str(path))}: {message}") as caught:
        vectors.load(path)
    assert "\n" not in str(caught.value)


def test_no_file(path, tmp_path):
    refused(path, "no such file")
    refused(path / "below", "no such file")
    refused(tmp_path, "is a folder, not a file")
    refused(Path("/dev/zero"), "is a device or a pipe, not a file")
    refused(tmp_path / ("x" * 300), "File name too long")
    os.mkfifo(path)
    refused(path, "is a device or a pipe, not a file")


def test_a_file_that_unpacks_to_more_than_the_limit_is_not_unpacked(path, monkeypatch):
    """300 MB of zeros in 300 kB; and a limit that is one byte short."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        zeros = bytes(1 << 20)
        with archive.open("x.npy", "w") as entry:
            for _ in range(300):
                entry.write(zeros)
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    refused(path, "unpacks to 300 MiB, must be 256 MiB at most")
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()
    with zipfile.ZipFile(write(path)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    monkeypatch.setattr(vectors, "MOST_BYTES", size)
    assert vectors.load(path).unit == META["unit"]
    monkeypatch.setattr(vectors, "MOST_BYTES", size - 1)
    refused(path, "unpacks to")


def test_an_entry_that_gives_more_than_its_header_says_is_refused(path):
    """Both headers of the entry say 100 bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(1 << 20))
    data = path.read_bytes()
    size = (1 << 20).to_bytes(4, "little")
    assert data.count(size) == 2
    path.write_bytes(data.replace(size, (100).to_bytes(4, "little")))
    refused(path, "not a readable .npz file")


def test_a_file_that_cannot_be_written_leaves_the_one_before(path, monkeypatch):
    write(path)
    before = path.read_bytes()

    def full(self, content):
        with self.open("wb") as file:
            file.write(content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        vectors.save(path, Vectors(**META, x=ARRAYS["x"]))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"PK", b"hello", b"PK\x03\x04" + bytes(40)])
def test_no_archive(path, content):
    path.write_bytes(content)
    refused(path, "not a readable .npz file")


def test_a_single_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    refused(path, "is one array, not an .npz")


def test_an_entry_that_is_no_array(path):
    with zipfile.ZipFile(write(path, meta=None), "a") as archive:
        archive.writestr("meta.npy", "{}")
    refused(path, "entry meta is not an array")


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


def test_pickles_are_never_run(path):
    path.write_bytes(pickle.dumps(Trap()))
    refused(path, "not a readable .npz file")
    write(path, spare=np.array([Trap()], object))
    refused(path, "not a readable .npz file")


def test_every_truncation(path, tmp_path):
    data = write(path).read_bytes()
    cut = tmp_path / "cut.npz"
    for size in range(0, len(data), 7):
        cut.write_bytes(data[:size])
        refused(cut)


def test_damage_is_refused_or_harmless(tmp_path):
    """Any byte changed: the file still loads, or is refused as a file; nothing else is raised."""
    good = io.BytesIO()
    np.savez_compressed(good, **ARRAYS)
    data = good.getvalue()
    damaged = tmp_path / "damaged.npz"
    rng = np.random.default_rng(1)
    messages = []
    for place in range(len(data)):
        bad = bytearray(data)
        bad[place] ^= 1 << rng.integers(8)
        damaged.write_bytes(bad)
        try:
            vectors.load(damaged)
        except VectorError as error:
            messages.append(str(error))
    assert len(messages) > len(data) // 4
    assert not any("\n" in message for message in messages)


def test_a_header_that_lies_about_its_size(path):
    header = "{'descr': '|i1', 'fortran_order': False, 'shape': (99999999999999, 9), }"
    npy = np.lib.format.magic(1, 0) + len(header).to_bytes(2, "little") + header.encode()
    with zipfile.ZipFile(write(path, x=None), "a") as archive:
        archive.writestr("x.npy", npy)
    refused(path, "not a readable .npz file")


def test_building_is_checked_too():
    with pytest.raises(VectorError, match=r"^x must be a numpy array, is list"):
        Vectors(**META, x=[[1]])
    with pytest.raises(
        VectorError, match=r"^delta is no channel parameter, use alpha, gamma, beta"
    ):
        Vectors(**META, x=ARRAYS["x"], channels={"delta": np.zeros(4)})
    with pytest.raises(VectorError, match=r"^length must be integers, is <class 'list'>"):
        Vectors(**META, x=ARRAYS["x"], length=[1, 2, 3])
