# SPDX-License-Identifier: Apache-2.0
"""NN-LUT LayerNorm's model: against a scalar model, vectors of it, and float64."""

from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cache

import numpy as np
import pytest

from softnorm.models import metrics, reference
from softnorm.models.ailayernorm import reciprocal
from softnorm.models.channels import Channels
from softnorm.models.nnlut_layernorm import NnlutLayerNorm, lines

ROWS = ("n", "sum", "mean", "squares", "var", "e", "m", "k", "R", "sh")
LOW, HIGH = -(2**31), 2**31 - 1
DIGITS = Context(prec=40)


@cache
def by_hand_lines():
    """(b, S, T) from the page's equations, to 40 digits."""

    def whole(value):
        return int(value.to_integral_value(ROUND_HALF_UP))

    four = [DIGITS.power(Decimal(4), Decimal(k) / 16) for k in range(17)]
    b = [whole(2**14 * value) for value in four]
    S, T = [], []
    for k in range(16):
        low, high = Decimal(b[k]) / 2**14, Decimal(b[k + 1]) / 2**14
        f_low, f_high = 1 / low.sqrt(DIGITS), 1 / high.sqrt(DIGITS)
        s = (f_low - f_high) / (high - low)
        c = DIGITS.power(2 * s, Decimal(-2) / 3)
        S.append(whole(2**16 * s))
        T.append(whole(2**16 * (f_low + s * low + 1 / c.sqrt(DIGITS) + s * c) / 2))
    return b, S, T


def rnd(a, n):
    """a / 2^n, half up."""
    return (a + 2 ** (n - 1)) // 2**n


def sat(value, low, high):
    return max(low, min(high, value))


def by_hand(x, mask, gamma, beta, shift, len, inv_mant, inv_exp, gfrac, ofrac):
    """One row (lists of int and bool) in plain Python, as the unit's page writes it."""
    b, S, T = by_hand_lines()
    n, total = sum(mask), sum(x_i for x_i, live in zip(x, mask, strict=True) if live)
    mean = sat(rnd(total * inv_mant, 15 + inv_exp), LOW, HIGH)
    d = [sat(x_i - mean, LOW, HIGH) if live else 0 for x_i, live in zip(x, mask, strict=True)]
    y = [sat(d_i // 2**shift, -(2**15), 2**15 - 1) for d_i in d]
    squares = sum(y_i**2 for y_i in y)
    var = sat(rnd(squares * inv_mant, 15 + inv_exp), 1, 2**32 - 1)
    e = (var.bit_length() - 1) // 2
    m = var * 2**14 // 4**e
    k = sum(place <= m for place in b[1:16])
    R = T[k] - rnd(S[k] * m, 14)
    sh = 8 + e + shift + gfrac - ofrac
    A = [rnd(gamma_i * R, 8) for gamma_i in gamma]
    num = [A_i * d_i for A_i, d_i in zip(A, d, strict=True)]
    out = [
        sat(rnd(num_i, sh) + beta_i, -128, 127) if live else 0
        for live, num_i, beta_i in zip(mask, num, beta, strict=True)
    ]
    row = dict(zip(ROWS, (n, total, mean, squares, var, e, m, k, R, sh), strict=True))
    return {**row, "d": d, "y": y, "A": A, "num": num, "out": out, "err_len": n != len}


def draw(rng, rows, width):
    """Rows of every size and place, with masks and settings; some lengths are wrong."""
    size = 2.0 ** rng.uniform(-1, 31, (rows, 1))
    x = np.rint(rng.normal(rng.choice([0, 1, -1], (rows, 1)) * size, size, (rows, width)))
    x = np.clip(x, LOW, HIGH).astype(np.int32)
    mask = rng.random(x.shape) < rng.choice([0.1, 0.8, 1.0], (rows, 1))
    n = mask.sum(axis=1)
    wrong = rng.random(rows) < 0.2
    length = np.where(wrong, rng.integers(0, width + 1, rows), n)
    mant, exp = reciprocal(np.where(wrong, rng.integers(1, width + 1, rows), np.maximum(n, 1)))
    settings = {
        "shift": rng.integers(0, 17, rows),
        "len": length,
        "inv_mant": mant,
        "inv_exp": exp,
        "gfrac": rng.integers(0, 8, rows),
        "ofrac": rng.integers(0, 8, rows),
    }
    return x, mask, settings


def draw_channels(rng, width):
    return Channels(None, *rng.integers(-128, 128, (2, width)).astype(np.int8))


def full(length, **settings):
    mant, exp = reciprocal(length)
    given = {"shift": 0, "gfrac": 5, "ofrac": 4} | settings
    return {"len": length, "inv_mant": mant, "inv_exp": exp, **given}


def assert_by_hand(x, channels, mask, settings):
    trace = NnlutLayerNorm(1, 65536).trace(x, channels, mask, **settings)
    gamma, beta = channels.gamma, channels.beta
    for r in range(len(x)):
        one = {name: int(np.broadcast_to(v, len(x))[r]) for name, v in settings.items()}
        columns = (x[r].tolist(), mask[r].tolist(), gamma.tolist(), beta.tolist())
        for name, value in by_hand(*columns, **one).items():
            assert getattr(trace, name)[r].tolist() == value, (r, name)


@pytest.mark.parametrize("width", [1, 2, 3, 16, 255, 1024])
def test_random_rows_by_hand(width):
    rng = np.random.default_rng(width)
    x, mask, settings = draw(rng, 60, width)
    assert_by_hand(x, draw_channels(rng, width), mask, settings)


def test_the_largest_sums_by_hand():
    """The ends of the arithmetic, at the longest row there is: where int64 would overflow first."""
    x = np.full((3, 65536), LOW, np.int32)
    x[1] = HIGH
    x[2, ::2] = HIGH
    ones = np.ones(65536, np.int8)
    mant, exp = reciprocal(np.array([65536, 1, 65535]))
    settings = full(65536, shift=0, ofrac=0) | {"inv_mant": mant, "inv_exp": exp}
    channels = Channels(None, -128 * ones, 127 * ones)
    assert_by_hand(x, channels, np.ones(x.shape, bool), settings)


def test_lines():
    """The page's, read-only, and as close to the root as it says."""
    table, (b, S, T) = lines(), by_hand_lines()
    assert (table.b.tolist(), table.S.tolist(), table.T.tolist()) == (b[1:16], S, T)
    with pytest.raises(ValueError, match="read-only"):
        table.b[0] = 0
    m = np.arange(1 << 14, 1 << 16)
    k = (table.b <= m[:, None]).sum(axis=1)
    R = table.T[k] - ((table.S[k] * m + (1 << 13)) >> 14)
    assert (R.min(), R.max()) == (32756, 65513)
    assert np.abs(R / 2**16 * np.sqrt(m / 2**14) - 1).max() < 0.00041


def test_err_len_is_a_wrong_count_and_nothing_else():
    rng = np.random.default_rng(12)
    x, mask, settings = draw(rng, 100, 60)
    columns = draw_channels(rng, 60)
    right = NnlutLayerNorm()(x, columns, mask, **settings | {"len": mask.sum(axis=1)})
    wrong = NnlutLayerNorm()(x, columns, mask, **settings | {"len": mask.sum(axis=1) + 1})
    assert not right.err_len.any()
    assert wrong.err_len.all()
    assert (wrong.out == right.out).all()


def test_it_normalises():
    """Half an output step from the exact function at the most, and little beyond."""
    rng = np.random.default_rng(18)
    x = np.rint(rng.normal(1e6, 3e5, (50, 768))).astype(np.int32)
    gamma, beta = rng.integers(30, 100, 768), rng.integers(-30, 30, 768)
    columns = Channels(None, gamma.astype(np.int8), beta.astype(np.int8))
    trace = NnlutLayerNorm().trace(x, columns, **full(768, shift=6))
    exact = 16 * reference.layer_norm(x, gamma / 32, beta / 16)
    errors = metrics.layer_norm_errors(trace.out, np.clip(exact, -128, 127))
    assert errors.max_abs_error < 0.6
    mean, std = trace.statistics()
    off = metrics.statistic_errors(mean, std, *reference.row_statistics(x))
    assert abs(off.mean_error_mean) < 1e-4
    assert abs(off.std_error_mean) < 5e-4


def test_lanes_and_max_len_do_not_matter_and_neither_do_masked_values():
    rng = np.random.default_rng(16)
    x, mask, settings = draw(rng, 40, 64)
    columns = draw_channels(rng, 64)
    want = NnlutLayerNorm()(x, columns, mask, **settings).out
    other = np.where(mask, x, rng.integers(LOW, HIGH, x.shape)).astype(np.int32)
    assert (NnlutLayerNorm(64, 4096)(other, columns, mask, **settings).out == want).all()
    nothing = NnlutLayerNorm()(x, columns, np.zeros(x.shape, bool), **settings)
    assert not nothing.out.any()
    assert not nothing.exponent.any()


X = np.zeros((2, 64), np.int32)
ZEROS = np.zeros(64, np.int8)
FEW = Channels(None, ZEROS[:9], ZEROS[:9])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"channels": FEW}, ValueError, r"channels must have .* 64 columns of x, got 9"),
        ({"channels": (X, X)}, TypeError, "channels must be Channels, got tuple"),
        ({"shift": 17}, ValueError, "shift must be in 0..16, got 17"),
        ({"len": 65}, ValueError, "len must be in 0..64, got 65"),
        ({"inv_mant": 16383}, ValueError, "inv_mant must be in 16384..32768, got 16383"),
        ({"inv_exp": 7}, ValueError, "inv_exp must be in 0..6, got 7"),
        ({"gfrac": 8}, ValueError, "gfrac must be in 0..7, got 8"),
        ({"ofrac": -1}, ValueError, "ofrac must be in 0..7, got -1"),
    ],
)
def test_arguments(arguments, error, message):
    given = {"x": X, "channels": Channels(None, ZEROS, ZEROS), **full(64), **arguments}
    with pytest.raises(error, match=f"^{message}"):
        NnlutLayerNorm(8, 64)(**given)
