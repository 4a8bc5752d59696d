# SPDX-License-Identifier: Apache-2.0
"""REXP's model: against vectors of independent origin, a scalar model, and itself."""

from decimal import ROUND_CEILING, ROUND_HALF_UP, Context, Decimal
from functools import cache
from itertools import product

import numpy as np
import pytest

from softnorm.models.lut_softmax import LutResult
from softnorm.models.rexp import Rexp, t1_table, ta_table

WIDTHS, SIZES, MODES = (2, 4, 8, 15), (16, 256, 320, 512), ("round", "floor")
BUILDS = list(product(WIDTHS, SIZES, MODES))
DTYPES = {
    "m": np.int16,
    "i": np.int16,
    "i_clipped": np.bool_,
    "s": np.uint16,
    "S": np.int64,
    "j_exact": np.int32,
    "j": np.int16,
    "exponent": np.int8,
}
TRACED = ("out", *DTYPES)
DIGITS = Context(prec=60)


@cache
def exact_t1(w):
    """T1 before it is rounded, to 60 digits."""
    p = Decimal(2**w - 1)
    xq = int(p.ln(DIGITS).to_integral_value(ROUND_CEILING))
    return [DIGITS.multiply(p, DIGITS.exp(Decimal(-i))) for i in range(xq + 2)]


@cache
def by_hand_tables(w):
    """T1, and TA by j."""
    t1 = [int(value.to_integral_value(ROUND_HALF_UP)) for value in exact_t1(w)]
    quotients = {j: DIGITS.divide(Decimal(2**w - 1), Decimal(j)) for j in range(1, 513)}
    return t1, {j: int(q.to_integral_value(ROUND_HALF_UP)) for j, q in quotients.items()}


def rnd(a, n):
    """a / 2^n, half up."""
    return (a + 2 ** (n - 1)) >> n if n else a


def by_hand(unit, x, mask, frac):
    """One row (lists of int and bool) in plain Python, as the specification writes it."""
    w, p = unit.W, 2**unit.W - 1
    t1, ta = by_hand_tables(w)
    last = len(t1) - 1  # xq + 1
    m = max((x_i for x_i, unmasked in zip(x, mask, strict=True) if unmasked), default=-128)
    indices, clipped, s = [], [], []
    for x_i, unmasked in zip(x, mask, strict=True):
        if not unmasked:
            indices.append(-1)
            clipped.append(False)
            s.append(0)
            continue
        i = rnd(m - x_i, frac) if unit.INDEX_MODE == "round" else (m - x_i) >> frac
        indices.append(min(last, i))
        clipped.append(i > last)
        s.append(t1[min(last, i)])
    total = sum(s)
    j_exact = rnd(total, w)
    j = max(1, min(unit.XS, j_exact))
    out = [min(p, rnd(s_i * ta[j], w)) for s_i in s]
    results = out, m, indices, clipped, s, total, j_exact, j, 0
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


@pytest.mark.parametrize(("w", "xs", "mode"), BUILDS)
def test_trace_is_the_scalar_model(w, xs, mode):
    rng = np.random.default_rng([w, xs, len(mode)])
    unit = Rexp(MAX_LEN=1024, W=w, XS=xs, INDEX_MODE=mode)
    for length, rows in ((1, 10), (7, 20), (97, 20), (1024, 6)):
        x, mask = draw(rng, rows, length)
        assert_by_hand(unit, x, mask, rng.integers(0, 8, rows))


@pytest.mark.parametrize("w", WIDTHS)
def test_trace_has_the_types_it_says(w):
    x, mask = draw(np.random.default_rng(1), 5, 9)
    trace = Rexp(W=w).trace(x, mask, frac=2)
    out = np.uint16 if w == 15 else np.uint8
    assert {name: getattr(trace, name).dtype for name in TRACED} == {"out": out, **DTYPES}
    called = Rexp(W=w)(x, mask, frac=2)
    assert called.out.dtype == out
    assert called.exponent.dtype == np.int8
    assert called.exponent.tolist() == [0] * 5


# --- the fast model is the plain one --------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("w", WIDTHS)
def test_every_difference_of_logits(w, mode):
    """Each d and F, with nothing else in the row; the index against exact arithmetic."""
    values = np.arange(-128, 128, dtype=np.int8)
    pairs = np.stack(np.meshgrid(values, values), axis=-1).reshape(-1, 2)
    unit, (t1, ta) = Rexp(W=w, INDEX_MODE=mode), by_hand_tables(w)
    for frac in range(8):
        steps = [Decimal(d) / 2**frac for d in range(256)]
        rounding = ROUND_HALF_UP if mode == "round" else "ROUND_FLOOR"
        index = np.array([min(len(t1) - 1, int(s.to_integral_value(rounding))) for s in steps])
        d = pairs.max(axis=1, keepdims=True).astype(int) - pairs
        s = np.array(t1)[index[d]]
        j = np.array([max(1, rnd(int(total), w)) for total in s.sum(axis=1)])
        want = np.array([[rnd(int(e) * ta[n], w) for e in range(2**w)] for n in (1, 2)])[
            j[:, None] - 1, s
        ]
        np.testing.assert_array_equal(unit.trace(pairs, frac=frac).i, index[d])
        np.testing.assert_array_equal(unit.trace(pairs, frac=frac).out, want)
        np.testing.assert_array_equal(unit(pairs, frac=frac).out, want)


@pytest.mark.parametrize("xs", SIZES)
@pytest.mark.parametrize("w", WIDTHS)
def test_the_sum_saturates_at_the_top(w, xs):
    """Rows of equal logits: the last count that TA has an entry for, and those beyond it."""
    p, (_, ta) = 2**w - 1, by_hand_tables(w)
    unit = Rexp(W=w, XS=xs)
    last = max(n for n in range(1, 1024) if rnd(n * p, w) == xs)
    for count, j_exact in ((last, xs), (last + 1, xs + 1), (1024, rnd(1024 * p, w))):
        x = np.full((1, count), 5, np.int8)
        trace = unit.trace(x, frac=4)
        assert (trace.j_exact[0], trace.j[0], trace.S[0]) == (j_exact, xs, count * p)
        want = rnd(p * ta[xs], w)
        assert trace.out.tolist() == unit(x, frac=4).out.tolist() == [[want] * count]
    below = unit(np.zeros((1, xs // 2), np.int8), frac=4).out  # no saturation: another entry
    assert below[0, 0] == rnd(p * ta[rnd(xs // 2 * p, w)], w)


@pytest.mark.parametrize("w", WIDTHS)
def test_the_sum_saturates_at_the_bottom(w):
    """Only an all-masked row has a sum that small: the maximum alone makes j = 1."""
    p = 2**w - 1
    x, mask = np.array([[3, -100], [3, -100]], np.int8), np.array([[False] * 2, [True] * 2])
    trace = Rexp(W=w).trace(x, mask, frac=0)
    assert trace.j_exact.tolist() == [0, 1]
    assert trace.j.tolist() == [1, 1]
    assert trace.S.tolist() == [0, p]
    assert trace.m.tolist() == [-128, 3]
    assert trace.out.tolist() == [[0, 0], [p - 1, 0]]  # p * p / 2^W is p - 1 and a bit
    assert Rexp(W=w)(x, mask, frac=0).out.tolist() == trace.out.tolist()


@pytest.mark.parametrize("w", WIDTHS)
def test_long_rows(w):
    """The largest sum there is, 65536 * P, and one with every exponential in it."""
    unit = Rexp(MAX_LEN=65536, W=w, XS=512)
    x = np.zeros((2, 65536), np.int8)
    x[1] = np.tile(np.arange(-128, 128), 256)
    assert unit.trace(x, frac=4).S[0] == 65536 * (2**w - 1)
    assert_by_hand(unit, x, np.ones(x.shape, bool), np.array([4, 4]))


@pytest.mark.parametrize("w", [8, 15])
def test_batches_beyond_a_block_and_a_page(w):
    """Large enough that memory comes from huge pages and the last block is a short one."""
    rng = np.random.default_rng(8)
    x, mask = draw(rng, 1100, 1024)
    unit = Rexp(W=w)
    result = unit(x, mask, frac=4)
    some = rng.integers(0, len(x), 40)
    want = unit.trace(x[some], mask[some], frac=4)
    assert_same(LutResult(result.out[some], result.P), want)


# --- rows, masks and settings ---------------------------------------------------------------------


def test_the_place_in_a_row_does_not_matter():
    """So neither do LANES, and MAX_LEN only says what is too long."""
    rng = np.random.default_rng(13)
    x, mask = draw(rng, 30, 64)
    want = Rexp()(x, mask, frac=3)
    order = rng.permutation(64)
    moved = Rexp()(x[:, order], mask[:, order], frac=3)
    assert_same(moved, LutResult(want.out[:, order], want.P))
    for lanes, max_len in product((1, 64), (64, 65536)):
        assert_same(Rexp(lanes, max_len)(x, mask, frac=3), want)


# --- its parts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("w", WIDTHS)
def test_t1_table(w):
    assert t1_table(w).tolist() == by_hand_tables(w)[0]
    assert t1_table(w)[0] == 2**w - 1
    assert t1_table(w)[-1] == 0
    for value in exact_t1(w):  # far from a tie: float64 can make the table
        assert abs(value - int(value) - Decimal("0.5")) > Decimal("1e-4")


def test_t1_table_of_the_paper():
    assert t1_table(8).tolist() == [255, 94, 35, 13, 5, 2, 1, 0]
    assert len(t1_table(15)) == 13


@pytest.mark.parametrize(("w", "xs"), list(product(WIDTHS, SIZES)))
def test_ta_table(w, xs):
    ta = by_hand_tables(w)[1]
    assert ta_table(w, xs).tolist() == [ta[j] for j in range(1, xs + 1)]


def test_ties_of_the_reciprocals_round_up():
    """127.5, 42.5 and 2.5: rounding to even keeps the first one and loses the others."""
    assert ta_table(8, 256)[[1, 5, 101]].tolist() == [128, 43, 3]


def test_tables_are_everyones():
    for table in (t1_table(8), ta_table(8, 16)):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0


def test_real_values():
    for w, dtype in ((8, np.uint8), (15, np.uint16)):
        p = 2**w - 1
        result = LutResult(np.array([[p, 0], [1, 51]], dtype), p)
        assert result.to_real().tolist() == [[1, 0], [1 / p, 51 / p]]
        assert result.half_lsb().tolist() == [0.5 / p] * 2
        assert Rexp(W=w)(np.zeros((1, 1), np.int8), frac=0).to_real().tolist() == [[(p - 1) / p]]


# --- what it refuses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"W": 3}, ValueError, "W must be one of 2, 4, 8, 15, got 3"),
        ({"W": 16}, ValueError, "W must be one of 2, 4, 8, 15, got 16"),
        ({"W": "8"}, TypeError, "W must be of type int, got '8'"),
        ({"XS": 17}, ValueError, "XS must be one of 16, 256, 320, 512, got 17"),
        ({"XS": True}, TypeError, "XS must be of type int, got True"),
        ({"INDEX_MODE": "ceil"}, ValueError, "INDEX_MODE must be one of round, floor, got ceil"),
        ({"INDEX_MODE": 1}, TypeError, "INDEX_MODE must be of type str, got 1"),
    ],
)
def test_parameters(parameters, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        Rexp(**parameters)


def test_a_unit_is_its_parameters():
    assert Rexp() == Rexp(32, 1024, 8, 256, "round")
    assert len({Rexp(), Rexp(LANES=32), Rexp(W=2), Rexp(INDEX_MODE="floor")}) == 3


X = np.zeros((2, 64), np.int8)


@pytest.mark.parametrize("run", [Rexp.__call__, Rexp.trace])
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
        run(Rexp(8, 64), **{"x": X, "frac": 4, **arguments})
    assert "\n" not in str(caught.value)
