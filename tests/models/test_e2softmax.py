# SPDX-License-Identifier: Apache-2.0
"""E2Softmax's model: against vectors of independent origin, a scalar model, and itself."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from softnorm.models import checks, e2softmax
from softnorm.models.e2softmax import E2Softmax, SoftmaxResult

ALL_LANES = (1, 2, 4, 8, 16, 32, 64)
TRACED = (
    *("out", "exponent", "beat_max", "correction1", "code", "correction2"),
    *("k", "sum", "ks", "j", "updates", "argmax"),
)

# The divider's constants, worked out once with 50 digits.
DIV_C = {
    1: (209, 145),
    2: (228, 187, 158, 137),
    3: (241, 216, 195, 178, 164, 152, 141, 132),
    4: (248, 234, 221, 210, 200, 191, 182, 174, 167, 161, 155, 149, 144, 139, 134, 130),
}


def rnd(a, n):
    """a / 2^n, half up."""
    return (a + 2 ** (n - 1)) >> n if n else a


def by_hand(unit, x, mask, frac, fmt):
    """One row (lists of int and bool) in plain Python, as the specification writes it."""
    lanes, half = unit.LANES, unit.EXP_FRAC

    def log2exp(d):
        if half:
            return min(31, (23 * d + 2 ** (frac + 2)) >> (frac + 3))
        return min(15, (23 * d + 2 ** (frac + 3)) >> (frac + 4))

    def weight(y):
        if not half:
            return 2 ** (15 - y)
        return (181 << (15 - (y - 1) // 2)) >> 8 if y % 2 else 2 ** (15 - y // 2)

    def decay(s, c):
        if not half:
            return s >> c
        return ((181 * s) >> 8) >> ((c - 1) // 2) if c % 2 else s >> (c // 2)

    m, total, updates = None, 0, 0
    tops, corrections, codes = [], [], []
    for start in range(0, len(x), lanes):
        beat = range(start, min(start + lanes, len(x)))
        unmasked = [x[i] for i in beat if mask[i]]
        correction = 0
        if unmasked:
            before, m = m, max(unmasked) if m is None else max(m, *unmasked)
            if before is not None:
                correction = log2exp(m - before)
                updates += m > before
        corrections.append(correction)
        tops.append(-128 if m is None else m)
        codes += [log2exp(m - x[i]) if mask[i] else -1 for i in beat]
        total = decay(total, correction) + sum(weight(codes[i]) for i in beat if mask[i])

    if m is None:
        nothing, beats = [0] * len(x), [0] * len(tops)
        results = nothing, 0, tops, beats, codes, beats, codes, 0, 0, 0, 0, -1
        return dict(zip(TRACED, results, strict=True))
    seen = [any(mask[: (t + 1) * lanes]) for t in range(len(tops))]
    later = [log2exp(m - top) if seen[t] else 0 for t, top in enumerate(tops)]
    k = [y + later[i // lanes] if mask[i] else -1 for i, y in enumerate(codes)]
    ks = total.bit_length() - 1 - 15
    j = (total >> (15 + ks - unit.DIV_BITS)) % 2**unit.DIV_BITS
    out = []
    for i, k_i in enumerate(k):
        if not mask[i]:
            out.append(0)
            continue
        constant = DIV_C[unit.DIV_BITS][j]
        if half and k_i % 2:
            constant = (181 * constant + 128) >> 8
        out.append(min(255, rnd(constant, (k_i >> half) + (0 if fmt else ks))))
    argmax = next(i for i in range(len(x)) if mask[i] and x[i] == m)
    exponent = ks if fmt else 0
    results = out, exponent, tops, corrections, codes, later, k, total, ks, j, updates, argmax
    return dict(zip(TRACED, results, strict=True))


def draw(rng, rows, length):
    """Rows of all the kinds that matter, with a mask of its own for each."""
    spread = rng.choice([0, 2, 20, 200], size=(rows, 1))
    x = np.clip(rng.normal(rng.integers(-128, 128, (rows, 1)), spread, (rows, length)), -128, 127)
    x = x.astype(np.int8)
    kind = rng.integers(0, 8, rows)
    x[kind == 0] = np.sort(x[kind == 0], axis=1)  # the maximum grows and grows
    x[kind == 1] = np.sort(x[kind == 1], axis=1)[:, ::-1]  # never grows
    x[kind == 2] = rng.choice(np.array([-128, 127], np.int8), (np.sum(kind == 2), length))
    mask = rng.random((rows, length)) < rng.choice([0, 0.02, 0.5, 0.98, 1], size=(rows, 1))
    mask[kind == 3] = np.arange(length) < rng.integers(1, length + 1, (np.sum(kind == 3), 1))
    mask[kind == 4] = np.arange(length) >= rng.integers(0, length, (np.sum(kind == 4), 1))
    mask[kind == 5] = True
    return x, mask


def settings(rng, rows):
    return {"frac": rng.integers(0, 8, rows), "fmt": rng.integers(0, 2, rows)}


def assert_same(got, want, what=""):
    np.testing.assert_array_equal(got.out, want.out, what)
    np.testing.assert_array_equal(got.exponent, want.exponent, what)
    assert got.out.dtype == want.out.dtype == np.uint8
    assert got.exponent.dtype == want.exponent.dtype == np.int8


# --- against what others computed -----------------------------------------------------------------


@pytest.mark.parametrize("exp_frac", [0, 1])
@pytest.mark.parametrize("lanes", ALL_LANES)
def test_trace_is_the_scalar_model(lanes, exp_frac):
    rng = np.random.default_rng([lanes, exp_frac])
    for div_bits, length in product((1, 2, 3, 4), (1, lanes, 2 * lanes + 1, 97)):
        unit = E2Softmax(lanes, 256, div_bits, exp_frac)
        x, mask = draw(rng, 10, length)
        chosen = settings(rng, len(x))
        trace = unit.trace(x, mask, **chosen)
        for row in range(len(x)):
            frac, fmt = int(chosen["frac"][row]), int(chosen["fmt"][row])
            want = by_hand(unit, x[row].tolist(), mask[row].tolist(), frac, fmt)
            got = {name: getattr(trace, name)[row].tolist() for name in TRACED}
            assert got == want, (unit, frac, fmt, x[row].tolist(), mask[row].tolist())


# --- the fast model is the plain one --------------------------------------------------------------


@pytest.mark.parametrize("exp_frac", [0, 1])
def test_every_difference_of_logits(exp_frac):
    """All d = 0..255 in one beat, in a later one, and with the maximum that far above it."""
    values = np.arange(-128, 128, dtype=np.int8)
    pairs = np.stack(np.meshgrid(values, values), axis=-1).reshape(-1, 2)
    for lanes, frac in product((1, 2, 8), range(8)):
        unit = E2Softmax(lanes, EXP_FRAC=exp_frac, DIV_BITS=4)
        assert_same(unit(pairs, frac=frac, fmt=1), unit.trace(pairs, frac=frac, fmt=1))


def test_long_rows():
    """Sums up to their top: 2^15 a lane, MAX_LEN of them, and the top value of the exponent."""
    for lanes, exp_frac in product((1, 64), (0, 1)):
        unit = E2Softmax(lanes, 65536, 1, exp_frac)
        x = np.zeros((1, 65536), np.int8)
        result = unit(x, frac=0, fmt=1)
        assert result.exponent[0] == 16
        assert (result.out == 209).all()
    unit = E2Softmax(MAX_LEN=4096)
    x, mask = draw(np.random.default_rng(5), 10, 4096)
    assert_same(unit(x, mask, frac=3), unit.trace(x, mask, frac=3))


def test_the_sum_keeps_its_promise():
    """At least 2^15 from the first unmasked element on, and within 16 + clog2(MAX_LEN) bits."""
    rng = np.random.default_rng(6)
    for exp_frac in (0, 1):
        x, mask = draw(rng, 200, 256)
        total = E2Softmax(8, 256, EXP_FRAC=exp_frac).trace(x, mask, **settings(rng, 200)).sum
        some = mask.any(axis=1)
        assert (total[some] >= 1 << 15).all()
        assert (total[~some] == 0).all()
        assert total.max() < 1 << (16 + 8)


def test_batches_beyond_a_block_and_a_page():
    """Large enough that memory comes from huge pages and the last block is a short one."""
    rng = np.random.default_rng(8)
    x, mask = draw(rng, 1100, 1024)
    unit = E2Softmax()
    result = unit(x, mask, frac=4)
    some = rng.integers(0, len(x), 40)
    assert_same(
        SoftmaxResult(result.out[some], result.exponent[some]),
        unit.trace(x[some], mask[some], frac=4),
    )


# --- rows, masks and settings ---------------------------------------------------------------------


# --- its parts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("exp_frac", "top"), [(0, 15), (1, 31)])
def test_log2exp_rounds_half_up_and_clips(exp_frac, top):
    for frac in range(8):
        got = e2softmax.log2exp(np.arange(256), frac, exp_frac).tolist()
        exact = [Fraction(23 * d * 2**exp_frac, 16 * 2**frac) for d in range(256)]
        assert got == [min(top, (value + Fraction(1, 2)).__floor__()) for value in exact]


@pytest.mark.parametrize("div_bits", [1, 2, 3, 4])
def test_div_table(div_bits):
    assert e2softmax.div_table(div_bits).tolist() == list(DIV_C[div_bits])


def test_real_values():
    result = SoftmaxResult(np.array([[255, 0], [128, 1]], np.uint8), np.array([0, 3], np.uint8))
    assert result.to_real().tolist() == [[255 / 256, 0], [1 / 16, 1 / 2048]]
    assert result.half_lsb().tolist() == [1 / 512, 1 / 4096]


def test_row_scaled_keeps_the_mass_that_linear_loses():
    x = np.zeros((1, 785), np.int8)
    assert E2Softmax()(x, frac=4).to_real().sum() == 0
    assert E2Softmax()(x, frac=4, fmt=1).to_real().sum() == pytest.approx(785 * 145 / 2**17)


# --- what it refuses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"DIV_BITS": 0}, ValueError, "DIV_BITS must be in 1..4, got 0"),
        ({"DIV_BITS": 5}, ValueError, "DIV_BITS must be in 1..4, got 5"),
        ({"EXP_FRAC": 2}, ValueError, "EXP_FRAC must be in 0..1, got 2"),
        ({"EXP_FRAC": -1}, ValueError, "EXP_FRAC must be in 0..1, got -1"),
    ],
)
def test_parameters(parameters, error, message):
    with pytest.raises(error, match=f"^{message}"):
        E2Softmax(**parameters)


X = np.zeros((2, 64), np.int8)


@pytest.mark.parametrize("run", [E2Softmax.__call__, E2Softmax.trace])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"frac": 8}, ValueError, "frac must be in 0..7, got 8"),
        ({"frac": -1}, ValueError, "frac must be in 0..7, got -1"),
        ({"frac": 1.0}, TypeError, r"frac must be an integer or an integer array \[rows\], got fl"),
        ({"frac": np.array([0.0, 1])}, TypeError, "frac must be an integer .* got float64"),
        ({"frac": np.array([0, 9])}, ValueError, "frac must be in 0..7, got 9"),
        ({"frac": np.array([-3, 9])}, ValueError, "frac must be in 0..7, got -3"),
        ({"frac": np.array([1, 2, 3])}, ValueError, "frac must be one integer or have one entry"),
        ({"fmt": 2}, ValueError, "fmt must be in 0..1, got 2"),
        ({"fmt": "linear"}, TypeError, "fmt must be an integer .* got str"),
    ],
)
def test_arguments(run, arguments, error, message):
    with pytest.raises(error, match=f"^{message}") as caught:
        run(E2Softmax(8, 64), **{"x": X, "frac": 4, **arguments})
    assert "\n" not in str(caught.value)


def test_settings_may_be_any_integers():
    assert checks.check_setting("frac", np.int8(3), 0, 7, 2) == 3
    assert checks.check_setting("rms", True, 0, 1, 2) == 1
    assert checks.check_setting("rms", np.array([True, False]), 0, 1, 2).tolist() == [1, 0]
    assert checks.check_setting("frac", np.array([1, 7], np.uint8), 0, 7, 2).dtype == np.int64
