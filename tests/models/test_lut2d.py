# SPDX-License-Identifier: Apache-2.0
"""The 2D-LUT softmax's model: against vectors of independent origin, a scalar model, and itself."""

from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from functools import cache
from itertools import product

import numpy as np
import pytest

from softnorm.models.lut2d import Lut2d, col_table, e_table, t2_table
from softnorm.models.lut_softmax import LutResult

WIDTHS = (2, 4, 8)
DTYPES = {
    "m": np.int16,
    "i": np.int16,
    "i_clipped": np.bool_,
    "S": np.int64,
    "row_exact": np.int32,
    "row": np.int16,
    "col": np.int16,
    "out": np.uint8,
    "exponent": np.int8,
}
TRACED = tuple(DTYPES)
DIGITS = Context(prec=60)


@cache
def exact_e(w):
    """E before it is rounded, to 60 digits."""
    tenths = [DIGITS.exp(DIGITS.divide(Decimal(-i), Decimal(10))) for i in range(101)]
    return [DIGITS.multiply(Decimal(2**w - 1), tenth) for tenth in tenths]


def half_up(value):
    """A Fraction, rounded."""
    return (value + Fraction(1, 2)).__floor__()


@cache
def by_hand_tables(w):
    """E, COL, and T2 by (row, col)."""
    p = 2**w - 1
    e = [int(value.to_integral_value(ROUND_HALF_UP)) for value in exact_e(w)]
    col = [half_up(Fraction(10 * entry, p)) for entry in e]
    t2 = {
        (row, c): min(p, half_up(p * Fraction(c, 10) / row))
        for row, c in product(range(1, 61), range(11))
    }
    return e, col, t2


def rnd(a, n):
    """a / 2^n, half up."""
    return (a + 2 ** (n - 1)) >> n if n else a


def by_hand(unit, x, mask, frac):
    """One row (lists of int and bool) in plain Python, as the specification writes it."""
    e, col, t2 = by_hand_tables(unit.W)
    m = max((x_i for x_i, unmasked in zip(x, mask, strict=True) if unmasked), default=-128)
    indices, clipped, total = [], [], 0
    for x_i, unmasked in zip(x, mask, strict=True):
        if not unmasked:
            indices.append(-1)
            clipped.append(False)
            continue
        d = m - x_i
        i = (10 * d + 2 ** (frac - 1)) >> frac if frac else 10 * d
        indices.append(min(100, i))
        clipped.append(i > 100)
        total += e[min(100, i)]
    row_exact = rnd(total, unit.W)
    row = max(1, min(60, row_exact))
    columns = [col[i] if i >= 0 else -1 for i in indices]
    out = [t2[row, c] if c >= 0 else 0 for c in columns]
    results = m, indices, clipped, total, row_exact, row, columns, out, 0
    return dict(zip(TRACED, results, strict=True))


def assert_by_hand(unit, x, mask, frac):
    """Check trace and call of one batch, with a frac for each row."""
    trace, called = unit.trace(x, mask, frac=frac), unit(x, mask, frac=frac)
    for row in range(len(x)):
        want = by_hand(unit, x[row].tolist(), mask[row].tolist(), int(frac[row]))
        got = {name: getattr(trace, name)[row].tolist() for name in TRACED}
        assert got == want, (unit, frac[row], x[row].tolist(), mask[row].tolist())
    assert_same(called, trace)


def draw(rng, rows, length):
    """Rows of all the kinds that matter, with a mask of its own for each."""
    spread = rng.choice([0, 2, 20, 200], size=(rows, 1))
    x = np.clip(rng.normal(rng.integers(-128, 128, (rows, 1)), spread, (rows, length)), -128, 127)
    x = x.astype(np.int8)
    kind = rng.integers(0, 6, rows)
    x[kind == 0] = rng.choice(np.array([-128, 127], np.int8), (np.sum(kind == 0), length))
    mask = rng.random((rows, length)) < rng.choice([0, 0.02, 0.5, 0.98, 1], size=(rows, 1))
    mask[kind == 1] = np.arange(length) < rng.integers(1, length + 1, (np.sum(kind == 1), 1))
    mask[kind == 2] = True
    return x, mask


def assert_same(got, want, what=""):
    np.testing.assert_array_equal(got.out, want.out, what)
    assert got.out.dtype == want.out.dtype
    assert got.P == want.P


# --- against what others computed -----------------------------------------------------------------


@pytest.mark.parametrize("w", WIDTHS)
def test_trace_is_the_scalar_model(w):
    rng = np.random.default_rng(w)
    unit = Lut2d(MAX_LEN=1024, W=w)
    for length, rows in ((1, 20), (7, 40), (97, 40), (1024, 10)):
        x, mask = draw(rng, rows, length)
        assert_by_hand(unit, x, mask, rng.integers(0, 8, rows))


@pytest.mark.parametrize("w", WIDTHS)
def test_trace_has_the_types_it_says(w):
    x, mask = draw(np.random.default_rng(1), 5, 9)
    trace, called = Lut2d(W=w).trace(x, mask, frac=2), Lut2d(W=w)(x, mask, frac=2)
    assert {name: getattr(trace, name).dtype for name in TRACED} == DTYPES
    assert (called.out.dtype, called.exponent.dtype) == (np.uint8, np.int8)
    assert called.exponent.tolist() == [0] * 5


# --- the fast model is the plain one --------------------------------------------------------------


@pytest.mark.parametrize("w", WIDTHS)
def test_every_difference_of_logits(w):
    """Each d and F, with nothing else in the row; the index against exact arithmetic."""
    values = np.arange(-128, 128, dtype=np.int8)
    pairs = np.stack(np.meshgrid(values, values), axis=-1).reshape(-1, 2)
    d = pairs.max(axis=1, keepdims=True).astype(int) - pairs
    unit, (e, col, t2) = Lut2d(W=w), by_hand_tables(w)
    outputs = np.array([[t2[row, c] for c in range(11)] for row in (1, 2)])
    for frac in range(8):
        index = np.array([min(100, half_up(Fraction(10 * n, 2**frac))) for n in range(256)])
        row = np.array([rnd(int(total), w) for total in np.array(e)[index[d]].sum(axis=1)])
        want = outputs[row[:, None] - 1, np.array(col)[index[d]]]
        np.testing.assert_array_equal(unit.trace(pairs, frac=frac).i, index[d])
        np.testing.assert_array_equal(unit.trace(pairs, frac=frac).out, want)
        np.testing.assert_array_equal(unit(pairs, frac=frac).out, want)


@pytest.mark.parametrize("w", WIDTHS)
def test_the_sum_saturates_at_the_top(w):
    """Rows of equal logits: the last count that T2 has a row for, and those beyond it."""
    p, (*_, t2) = 2**w - 1, by_hand_tables(w)
    unit = Lut2d(W=w)
    last = max(n for n in range(1, 1024) if rnd(n * p, w) == 60)
    for count, row_exact in ((last, 60), (last + 1, 61), (1024, rnd(1024 * p, w))):
        x = np.full((1, count), 5, np.int8)
        trace = unit.trace(x, frac=4)
        assert (trace.row_exact[0], trace.row[0], trace.S[0]) == (row_exact, 60, count * p)
        assert trace.out.tolist() == unit(x, frac=4).out.tolist() == [[t2[60, 10]] * count]
    below = unit(np.zeros((1, 30), np.int8), frac=4).out  # no saturation: another row
    assert below[0, 0] == t2[rnd(30 * p, w), 10]


@pytest.mark.parametrize("w", WIDTHS)
def test_the_sum_saturates_at_the_bottom(w):
    """Only an all-masked row has a sum that small: the maximum alone makes row = 1."""
    p = 2**w - 1
    x, mask = np.array([[3, -100], [3, -100]], np.int8), np.array([[False] * 2, [True] * 2])
    trace = Lut2d(W=w).trace(x, mask, frac=0)
    assert trace.row_exact.tolist() == [0, 1]
    assert trace.row.tolist() == [1, 1]
    assert trace.S.tolist() == [0, p]
    assert trace.m.tolist() == [-128, 3]
    assert trace.out.tolist() == [[0, 0], [p, 0]]
    assert Lut2d(W=w)(x, mask, frac=0).out.tolist() == trace.out.tolist()


@pytest.mark.parametrize("w", WIDTHS)
def test_long_rows(w):
    """The largest sum there is, 65536 * P, and one with every exponential in it."""
    unit = Lut2d(MAX_LEN=65536, W=w)
    x = np.zeros((2, 65536), np.int8)
    x[1] = np.tile(np.arange(-128, 128), 256)
    assert unit.trace(x, frac=4).S[0] == 65536 * (2**w - 1)
    assert_by_hand(unit, x, np.ones(x.shape, bool), np.array([4, 4]))


def test_batches_beyond_a_block_and_a_page():
    """Large enough that memory comes from huge pages and the last block is a short one."""
    rng = np.random.default_rng(8)
    x, mask = draw(rng, 1100, 1024)
    result = Lut2d()(x, mask, frac=4)
    some = rng.integers(0, len(x), 40)
    want = Lut2d().trace(x[some], mask[some], frac=4)
    assert_same(LutResult(result.out[some], result.P), want)


# --- rows, masks and settings ---------------------------------------------------------------------


def test_the_place_in_a_row_does_not_matter():
    """So neither do LANES, and MAX_LEN only says what is too long."""
    rng = np.random.default_rng(13)
    x, mask = draw(rng, 30, 64)
    want = Lut2d()(x, mask, frac=3)
    order = rng.permutation(64)
    moved = Lut2d()(x[:, order], mask[:, order], frac=3)
    assert_same(moved, LutResult(want.out[:, order], want.P))
    for lanes, max_len in product((1, 64), (64, 65536)):
        assert_same(Lut2d(lanes, max_len)(x, mask, frac=3), want)


# --- its parts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("w", WIDTHS)
def test_tables(w):
    e, col, t2 = by_hand_tables(w)
    assert e_table(w).tolist() == e
    assert col_table(w).tolist() == col
    assert t2_table(w).tolist() == [[t2[row, c] for c in range(11)] for row in range(1, 61)]
    for value in exact_e(w)[1:]:  # far from a tie: float64 can make the table
        assert abs(value - int(value) - Decimal("0.5")) > Decimal("1e-4")


@pytest.mark.parametrize("w", WIDTHS)
def test_sizes_of_the_tables(w):
    """An entry of E and of T2 fits W bits, of COL 4: 761 bytes of E and T2 at W = 8."""
    e, col, t2 = e_table(w), col_table(w), t2_table(w)
    assert (e.size, col.size, t2.size) == (101, 101, 660)
    assert e.max() == t2.max() == 2**w - 1
    assert (col.min(), col.max()) == (0, 10)
    assert e.min() == t2.min() == 0


def test_ties_of_the_outputs_round_up():
    """76.5, 42.5 and 0.5: rounding to even loses them all."""
    assert [t2_table(8)[0, 3], t2_table(8)[5, 10], t2_table(8)[50, 1]] == [77, 43, 1]


def test_tables_are_everyones():
    for table in (e_table(8), col_table(8), t2_table(8)):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0


def test_real_values():
    result = LutResult(np.array([[15, 0], [1, 5]], np.uint8), 15)
    assert result.to_real().tolist() == [[1, 0], [1 / 15, 1 / 3]]
    assert result.half_lsb().tolist() == [1 / 30, 1 / 30]
    for w in WIDTHS:
        assert Lut2d(W=w)(np.zeros((1, 1), np.int8), frac=0).to_real().tolist() == [[1]]


# --- what it refuses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"W": 3}, ValueError, "W must be one of 2, 4, 8, got 3"),
        ({"W": 15}, ValueError, "W must be one of 2, 4, 8, got 15"),
        ({"W": "8"}, TypeError, "W must be of type int, got '8'"),
    ],
)
def test_parameters(parameters, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        Lut2d(**parameters)


def test_a_unit_is_its_parameters():
    assert Lut2d() == Lut2d(32, 1024, 8)
    assert len({Lut2d(), Lut2d(LANES=32), Lut2d(W=2), Lut2d(W=4)}) == 3


X = np.zeros((2, 64), np.int8)


@pytest.mark.parametrize("run", [Lut2d.__call__, Lut2d.trace])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"frac": 8}, ValueError, "frac must be in 0..7, got 8"),
        ({"frac": -1}, ValueError, "frac must be in 0..7, got -1"),
        ({"frac": 1.0}, TypeError, r"frac must be an integer or an integer array \[rows\], got fl"),
        ({"frac": np.array([0, 9])}, ValueError, "frac must be in 0..7, got 9"),
        ({"frac": np.array([1, 2, 3])}, ValueError, "frac must be one integer or have one entry"),
    ],
)
def test_arguments(run, arguments, error, message):
    with pytest.raises(error, match=f"^{message}") as caught:
        run(Lut2d(8, 64), **{"x": X, "frac": 4, **arguments})
    assert "\n" not in str(caught.value)
