# SPDX-License-Identifier: Apache-2.0
"""The stream cells' models: against plain Python, and `residual_add`'s rows against its beats."""

import numpy as np
import pytest

from softnorm.models import stream_cells
from softnorm.models.stream_cells import Beats, Quantise, QuantiseResult, ResidualAdd

# --- quantise -------------------------------------------------------------------------------------


def rnd(a, n):
    """a / 2^n, half up."""
    return (a + 2 ** (n - 1)) >> n if n else a


def quantised_by_hand(width, rows=150):
    """Whether the model gives what plain Python gives, ties and both ends included."""
    rng = np.random.default_rng(width)
    ends = np.iinfo(f"int{width}")
    settings = {
        "qmult": rng.choice([0, 1, 3, 32768, 65535, *rng.integers(0, 65536, 9)], rows),
        "qshift": np.where(
            rng.random(rows) < 0.3,
            rng.integers(0, 64, rows),
            rng.integers(width - 6, width + 9, rows),
        ),
        "zp": rng.choice([-256, -128, 0, 7, 255], rows),
        "unsigned": rng.integers(0, 2, rows),
    }
    settings["qshift"][:4], settings["qmult"][:4], settings["zp"][:4] = (0, 1, 62, 63), 1, 7
    x = rng.integers(ends.min, ends.max, (rows, 40), endpoint=True)
    x[:4] >>= width - 4
    x >>= rng.integers(0, width, (rows, 1))
    x[:, :2] = ends.min, ends.max
    x = x.astype(ends.dtype)
    mask = rng.random(x.shape) < 0.8
    got = Quantise(IN_W=width)(x, mask, **settings).values()
    want = []
    for row, unmasked, mult, shift, zp, bare in zip(
        x.tolist(), mask.tolist(), *(value.tolist() for value in settings.values()), strict=True
    ):
        low, high = (0, 255) if bare else (-128, 127)
        q = [max(low, min(high, rnd(v * mult, shift) + zp)) for v in row]
        want.append([one if some else 0 for one, some in zip(q, unmasked, strict=True)])
    return got.tolist() == want


@pytest.mark.parametrize("width", [16, 32])
def test_quantise(width):
    assert quantised_by_hand(width)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("rescale", lambda v, mult, shift: v.astype(np.int64) * mult >> shift),
        (
            "rescale",
            lambda v, mult, shift: (
                (v.astype(np.int64) * mult + (1 << np.maximum(shift - 1, 0))) >> shift
            ),
        ),
        ("UINT8", (0, 127)),
        ("INT8", (-127, 127)),
    ],
    ids=["floored", "rounded at a shift of 0", "unsigned limit", "signed limit"],
)
def test_quantise_sees_planted_faults(monkeypatch, name, wrong):
    monkeypatch.setattr(stream_cells, name, wrong)
    assert not quantised_by_hand(16)


def test_quantise_examples():
    unit = Quantise(LANES=4, IN_W=16)
    x = np.array([[-3, -1, 1, 3, 32767, -32768]], np.int16)
    result = unit(x, qmult=1, qshift=1)
    assert result.values().tolist() == [[-1, 0, 1, 2, 127, -128]]
    assert result.out.tolist() == [[255, 0, 1, 2, 127, 128]]
    assert result.out.dtype == np.uint8
    assert result.exponent.tolist() == [0]
    assert unit(x, qmult=1, qshift=0, zp=3, unsigned=1).values().tolist() == [[0, 2, 4, 6, 255, 0]]
    assert unit(x, qmult=65535, qshift=63, zp=-9).values().tolist() == [[-9] * 6]
    long = np.ones((1, 100_000), np.int16)
    assert (unit(long, qmult=5, qshift=0).out == 5).all()
    both = QuantiseResult(np.full((2, 1), 200, np.uint8), np.array([True, False]))
    assert both.values().tolist() == [[200], [-56]]


# --- residual_add ---------------------------------------------------------------------------------


def streams(rng, lanes, width, rows):
    """Two streams of whole rows, by `Beats` and as padded rows; most rows are of one length."""
    lengths = np.empty((2, rows), int)
    lengths[:] = rng.integers(1, 5 * lanes + 1, rows)
    other = rng.random(rows) < 0.4
    lengths[1, other] = rng.integers(1, 5 * lanes + 1, other.sum())
    ends = np.iinfo(f"int{width}")
    data = rng.integers(ends.min, ends.max, (2, rows, 5 * lanes), ends.dtype, endpoint=True)
    mask = rng.random(data.shape) < 0.8
    made = []
    for length, values, some in zip(lengths, data, mask, strict=True):
        counts = -(-length // lanes)
        keep = np.arange(5 * lanes) < length[:, None]
        rows_of = [slice(0, count * lanes) for count in counts]
        parts = [
            np.concatenate([a[row, part].reshape(-1, lanes) for row, part in enumerate(rows_of)])
            for a in (values, keep, some)
        ]
        last = np.zeros(counts.sum(), bool)
        last[np.cumsum(counts) - 1] = True
        made.append(Beats(*parts, last))
    return made, data, mask, lengths


def rows_are_beats(rows=60):
    """Whether the rows that a call gives are those of the beats."""
    for seed, (lanes, width) in enumerate([(1, 16), (4, 32), (8, 16)]):
        (s, r), data, mask, lengths = streams(np.random.default_rng(seed), lanes, width, rows)
        unit = ResidualAdd(lanes, width)
        given = {"length": lengths[0], "residual_length": lengths[1]}
        got = unit(*data, *mask, **given)
        beats = unit.beats(s, r)
        ends = np.flatnonzero(beats.last)
        if (beats.err_keep[ends] != got.err_keep).any() or beats.pulses != got.err_keep.sum():
            return False
        for row, (start, end) in enumerate(zip([0, *ends[:-1] + 1], ends + 1, strict=True)):
            part = slice(start, end)
            kept, total = beats.keep[part].reshape(-1), int(got.length[row])
            if kept.sum() != total or not kept[:total].all():
                return False
            live = (beats.keep & beats.strb)[part].reshape(-1)[:total]
            if (live != got.mask[row, :total]).any() or got.mask[row, total:].any():
                return False
            out = beats.data[part].reshape(-1)
            if (out[:total] != got.out[row, :total]).any() or out[total:].any():
                return False
    return True


def test_rows_are_what_comes_out_of_beats():
    assert rows_are_beats()


@pytest.mark.parametrize("fault", ["longer", "or", "wraps"])
def test_rows_against_beats_sees_planted_faults(monkeypatch, fault):
    if fault == "longer":
        monkeypatch.setattr(np, "minimum", np.maximum)
    elif fault == "or":
        right = ResidualAdd.__call__
        monkeypatch.setattr(
            ResidualAdd, "__call__", lambda self, x, r, m, n, **w: right(self, x, r, m, m, **w)
        )
    else:  # only in rows
        right = ResidualAdd._add

        def wrong(self, one, other, live):
            if one.shape[-1] > self.LANES:
                return np.where(live, one + other, 0)
            return right(self, one, other, live)

        monkeypatch.setattr(ResidualAdd, "_add", wrong)
    assert not rows_are_beats()


def beats(lanes, *rows):
    """Beats of rows, each a list of (data, keep, strb) with a letter a lane for the bits."""
    data, keep, strb, last = [], [], [], []
    for row in rows:
        for number, (values, kept, some) in enumerate(row):
            data.append(values)
            keep.append([bit == "1" for bit in kept])
            strb.append([bit == "1" for bit in some])
            last.append(number == len(row) - 1)
    return Beats(np.array(data, np.int16).reshape(-1, lanes), *map(np.array, (keep, strb, last)))


ONE = ([1, 2], "11", "11")
TOP = ([32767, -32768], "11", "11")
HALF = ([5, 6], "10", "11")
HOLE = ([7, 8], "01", "11")
NONE = ([9, 9], "00", "00")
MASKED = ([3, 4], "11", "01")


@pytest.mark.parametrize(
    ("s", "r", "data", "last", "err_keep", "pulses", "drained"),
    [
        # Sums saturate; masked in either is masked.
        ([[TOP]], [[ONE]], [[32767, -32766]], [1], [0], 0, 0),
        ([[TOP, TOP]], [[TOP, ONE]], [[32767, -32768], [32767, -32766]], [0, 1], [0, 0], 0, 0),
        ([[MASKED]], [[ONE]], [[0, 6]], [1], [0], 0, 0),
        # Rows of one length, the last beat not full.
        ([[ONE, HALF]], [[ONE, HALF]], [[2, 4], [10, 0]], [0, 1], [0, 0], 0, 0),
        # Of two lengths in one beat: the AND of both, one pulse.
        ([[HALF]], [[ONE]], [[6, 0]], [1], [1], 1, 0),
        # The residual is longer, then the input: what is left is dropped, the next row untouched.
        ([[ONE], [ONE]], [[ONE, ONE, ONE], [TOP]], [[2, 4], [32767, -32766]], [1, 1], [1, 0], 1, 2),
        ([[ONE, TOP], [ONE]], [[ONE], [ONE]], [[2, 4], [2, 4]], [1, 1], [1, 0], 1, 1),
        # Both at once: the tkeep of a last beat against a full one.
        ([[HALF]], [[ONE, ONE]], [[6, 0]], [1], [1], 1, 1),
        # A tkeep that is not allowed, in both alike: a pulse a beat, and the row goes on.
        ([[HOLE, ONE]], [[HOLE, ONE]], [[0, 16], [2, 4]], [0, 1], [1, 1], 1, 0),
        ([[HALF, HOLE]], [[HALF, HOLE]], [[10, 0], [0, 16]], [0, 1], [1, 1], 2, 0),
        ([[NONE]], [[NONE]], [[0, 0]], [1], [1], 1, 0),
        # In one of the two, in the second beat; and in a beat that is dropped.
        (
            [[ONE, HOLE, ONE]],
            [[ONE, ONE, ONE]],
            [[2, 4], [0, 10], [2, 4]],
            [0, 0, 1],
            [0, 1, 1],
            1,
            0,
        ),
        ([[ONE]], [[ONE, HOLE, HOLE]], [[2, 4]], [1], [1], 3, 2),
    ],
)
def test_beats(s, r, data, last, err_keep, pulses, drained):
    """Each also with the streams exchanged, which changes nothing."""
    unit, one, other = ResidualAdd(2, 16), beats(2, *s), beats(2, *r)
    for streams in ((one, other), (other, one)):
        got = unit.beats(*streams)
        assert got.data.tolist() == data
        assert got.last.tolist() == [bool(bit) for bit in last]
        assert got.err_keep.tolist() == [bool(bit) for bit in err_keep]
        assert (got.pulses, got.drained) == (pulses, drained)


def test_masks_go_on():
    got = ResidualAdd(2, 16).beats(beats(2, [MASKED, HALF]), beats(2, [ONE, HALF]))
    assert got.keep.tolist() == [[True, True], [True, False]]
    assert got.strb.tolist() == [[False, True], [True, False]]


def test_rows():
    x = np.array([[30000, -30000, 5, 1]], np.int16)
    unit = ResidualAdd(4, 16)
    result = unit(x, x, length=3, residual_length=np.array([4]))
    assert result.out.tolist() == [[32767, -32768, 10, 0]]
    assert result.out.dtype == np.int16
    assert result.length.tolist() == [3]
    assert result.err_keep.tolist() == [True]
    assert result.mask.tolist() == [[True, True, True, False]]
    assert result.exponent.tolist() == [0]
    assert unit(x[:0], x[:0]).out.shape == (0, 4)
    assert Quantise(IN_W=16)(x[:0], qmult=1, qshift=1).values().shape == (0, 4)
    alone = unit(x, x, None, x > 0)
    assert alone.out.tolist() == [[32767, 0, 10, 2]]
    assert alone.err_keep.tolist() == [False]


# --- what they refuse -----------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [Quantise, ResidualAdd])
def test_parameters(cell):
    with pytest.raises(ValueError, match=r"^IN_W must be one of 16, 32, got 8"):
        cell(IN_W=8)
    with pytest.raises(ValueError, match=r"^LANES must be one of 1, 2, 4, 8, 16, 32, 64, got 3"):
        cell(LANES=3)


X = np.zeros((2, 8), np.int32)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": X.astype(np.int16)}, TypeError, "x must be int32, got int16"),
        ({"mask": X}, TypeError, "mask must be a bool array or None, got int32"),
        ({"qmult": 65536}, ValueError, "qmult must be in 0..65535, got 65536"),
        ({"qshift": 64}, ValueError, "qshift must be in 0..63, got 64"),
        ({"zp": 256}, ValueError, "zp must be in -256..255, got 256"),
        ({"unsigned": 2}, ValueError, "unsigned must be in 0..1, got 2"),
    ],
)
def test_quantise_arguments(arguments, error, message):
    with pytest.raises(error, match=f"^{message}"):
        Quantise()(**{"x": X, "qmult": 1, "qshift": 0, **arguments})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"residual": X.astype(np.int64)}, TypeError, "residual must be int32, got int64"),
        ({"residual": X[:, :7]}, ValueError, r"residual must have the shape \(2, 8\) of x, got"),
        ({"residual_mask": X}, TypeError, "mask must be a bool array or None, got int32"),
        ({"length": 9}, ValueError, "length must be in 1..8, got 9"),
        ({"residual_length": 0}, ValueError, "residual_length must be in 1..8, got 0"),
    ],
)
def test_residual_arguments(arguments, error, message):
    with pytest.raises(error, match=f"^{message}"):
        ResidualAdd()(**{"x": X, "residual": X, **arguments})


def test_streams_of_other_rows():
    one = beats(2, [ONE])
    cut = Beats(one.data, one.keep, one.strb, ~one.last)
    unit = ResidualAdd(2, 16)
    with pytest.raises(ValueError, match=r"^stream r does not end with a row's last beat: cut it"):
        unit.beats(one, cut)
    with pytest.raises(ValueError, match=r"^1 rows and 2 rows: give the same number in each"):
        unit.beats(one, beats(2, [ONE], [ONE]))
