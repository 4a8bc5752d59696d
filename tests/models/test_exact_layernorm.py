# SPDX-License-Identifier: Apache-2.0
"""The exact LayerNorm's model: against a scalar model, vectors of it, and float64."""

from math import isqrt

import numpy as np
import pytest

from softnorm.models import exact_layernorm, metrics, reference
from softnorm.models.channels import Channels
from softnorm.models.exact_layernorm import ExactLayerNorm

ROWS = ("n", "S", "Q", "D", "mean", "e", "root", "Lz", "R", "sh")


def by_hand(x, mask, alpha, gamma, beta, zp, gfrac, ofrac, rms):
    """One row (lists of int and bool) in plain Python, as the unit's page writes it."""
    a = [x_i - zp if live else 0 for x_i, live in zip(x, mask, strict=True)]
    v = [a_i * 2**alpha_i for a_i, alpha_i in zip(a, alpha, strict=True)]
    n, S, Q = sum(mask), sum(v), sum(v_i**2 for v_i in v)
    some = n or 1
    D = max(some * Q - (0 if rms else S * S), 1)
    mean = 0 if rms else (2 * S * 128 + some) // (2 * some)
    e = (D.bit_length() - 1) // 2
    root = isqrt(D * 4 ** (15 - e) if e <= 15 else D // 4 ** (e - 15))
    Lz = some.bit_length() - 1
    R = some * 2 ** (30 - Lz) // root
    sh = max(14 + e - Lz + gfrac - ofrac, -2)
    out, A, num = [], [], []
    for live, v_i, gamma_i, beta_i in zip(mask, v, gamma, beta, strict=True):
        A.append((gamma_i * R + 128) // 256)
        num.append(A[-1] * (v_i * 128 - mean))
        # Half up: floor(2 y + 1) / 2 with y = num / 2^sh.
        twice = num[-1] * 2 ** (1 - sh) if sh <= 1 else num[-1] // 2 ** (sh - 1)
        out.append(max(-128, min(127, (twice + 1) // 2 + beta_i)) if live else 0)
    row = dict(zip(ROWS, (n, S, Q, D, mean, e, root, Lz, R, sh), strict=True))
    return {"a": a, "v": v, **row, "A": A, "num": num, "out": out}


def draw(rng, rows, width):
    """Rows wide and narrow, far from the zero point and close, with masks and settings."""
    centre, spread = rng.integers(0, 256, (rows, 1)), 2.0 ** rng.uniform(-1, 8, (rows, 1))
    x = np.clip(np.rint(rng.normal(centre, spread, (rows, width))), 0, 255).astype(np.uint8)
    mask = rng.random(x.shape) < rng.choice([0.1, 0.8, 1.0], (rows, 1))
    settings = {
        "zp": np.where(rng.random(rows) < 0.5, centre[:, 0], rng.integers(0, 256, rows)),
        "gfrac": rng.integers(0, 8, rows),
        "ofrac": rng.integers(0, 8, rows),
        "rms": rng.integers(0, 2, rows),
    }
    return x, mask, settings


def draw_channels(rng, width):
    return Channels(
        rng.integers(0, 4, width, np.uint8),
        rng.integers(-128, 128, width).astype(np.int8),
        rng.integers(-128, 128, width).astype(np.int8),
    )


def assert_by_hand(x, channels, mask, settings):
    trace = ExactLayerNorm(1, 65536).trace(x, channels, mask, **settings)
    columns = [a.tolist() for a in (channels.alpha, channels.gamma, channels.beta)]
    for r in range(len(x)):
        one = {name: int(values[r]) for name, values in settings.items()}
        want = by_hand(x[r].tolist(), mask[r].tolist(), *columns, **one)
        for name, value in want.items():
            got = getattr(trace, name)[r].tolist()
            if name == "num":  # means nothing where masked
                value, got = (
                    [n for n, m in zip(v, mask[r], strict=True) if m] for v in (value, got)
                )
            assert got == value, (r, name)


@pytest.mark.parametrize("width", [1, 2, 3, 16, 255, 1024])
def test_random_rows_by_hand(width):
    rng = np.random.default_rng(width)
    x, mask, settings = draw(rng, 60, width)
    assert_by_hand(x, draw_channels(rng, width), mask, settings)


def test_the_largest_sums_by_hand():
    """The ends of the arithmetic, at the longest row there is: where int64 would overflow first."""
    x = np.zeros((4, 65536), np.uint8)
    x[1] = 255
    x[2, ::2] = 255
    x[3, 0] = 1  # the least that is not level
    ends = Channels(np.full(65536, 3, np.uint8), *(np.full(65536, g, np.int8) for g in (-128, 127)))
    settings = {"zp": [255, 0, 128, 0], "gfrac": [0] * 4, "ofrac": [7] * 4, "rms": [1, 1, 0, 0]}
    settings = {name: np.array(values) for name, values in settings.items()}
    assert_by_hand(x, ends, np.ones(x.shape, bool), settings)


def test_level_rows_give_beta():
    """No deviation: whatever 1/sigma is, it is multiplied by 0."""
    channels = draw_channels(np.random.default_rng(1), 700)
    x = np.full((3, 700), 77, np.uint8)
    channels = Channels(np.full(700, 2, np.uint8), channels.gamma, channels.beta)
    for width in (1, 2, 3, 700):
        short = Channels(*(a[:width] for a in (channels.alpha, channels.gamma, channels.beta)))
        out = ExactLayerNorm()(x[:, :width], short, zp=12, gfrac=0, ofrac=7).out
        assert (out == short.beta).all()
    assert not ExactLayerNorm()(
        x, channels, np.zeros(x.shape, bool), zp=1, gfrac=0, ofrac=0
    ).out.any()


def test_isqrt_at_squares():
    """float64 rounds the root of k*k - 1 to k; the integer root is k - 1."""
    k = np.array([1, 2, 3, 1 << 15, (1 << 16) - 1, (1 << 26) - 1])
    assert exact_layernorm.isqrt(k * k).tolist() == k.tolist()
    assert exact_layernorm.isqrt(k * k - 1).tolist() == (k - 1).tolist()


def test_one_over_sigma_is_as_close_as_the_page_says():
    rng = np.random.default_rng(2)
    n, D = rng.integers(1, 65537, 100000), (2.0 ** rng.uniform(0, 53, 100000)).astype(np.int64)
    e, Lz = exact_layernorm.floor_log2(D) >> 1, exact_layernorm.floor_log2(n)
    up = 30 - 2 * e
    root = exact_layernorm.isqrt((D << np.maximum(up, 0)) >> np.maximum(-up, 0))
    R = (n << (30 - Lz)) // root
    off = np.ldexp(R.astype(float), Lz - e - 15) / (n / np.sqrt(D.astype(float))) - 1
    assert -(2.0**-14) < off.min() < off.max() < 2.0**-15
    assert (R.min() >= 1 << 14, R.max() < 1 << 16) == (True, True)


@pytest.mark.parametrize("rms", [0, 1])
def test_outputs_are_the_rounded_exact_ones(rms):
    """An element is off by rounding, and by a little where the exact value is close to a half."""
    rng = np.random.default_rng(18)
    x = np.clip(np.rint(rng.normal(135, 30, (50, 768))), 0, 255).astype(np.uint8)
    channels = Channels(
        rng.integers(0, 4, 768, np.uint8),
        rng.integers(30, 100, 768).astype(np.int8),
        rng.integers(-30, 30, 768).astype(np.int8),
    )
    trace = ExactLayerNorm().trace(x, channels, zp=128, gfrac=5, ofrac=4, rms=rms)
    real = (x - 128.0) * 2.0**channels.alpha
    gamma, beta = channels.gamma / 32, channels.beta / 16
    exact = reference.layer_norm(real, gamma, beta)
    if rms:
        exact = reference.rms_norm(real, gamma) + beta
    errors = metrics.layer_norm_errors(trace.out, 16 * np.clip(exact, -8, 127 / 16))
    assert errors.max_abs_error < 0.51
    mean, std = trace.statistics()
    off = metrics.statistic_errors(mean, std, *reference.row_statistics(real, rms=bool(rms)))
    assert abs(off.mean_error_mean) + off.mean_error_std < 1e-4
    assert abs(off.std_error_mean) + off.std_error_std < 1e-4


def test_lanes_and_max_len_do_not_matter_and_neither_do_masked_values():
    rng = np.random.default_rng(16)
    x, mask, settings = draw(rng, 40, 64)
    channels = draw_channels(rng, 64)
    want = ExactLayerNorm()(x, channels, mask, **settings).out
    other = np.where(mask, x, rng.integers(0, 256, x.shape)).astype(np.uint8)
    assert (ExactLayerNorm(64, 4096)(other, channels, mask, **settings).out == want).all()
    ones = np.ones(x.shape, bool)
    plain, masked = (ExactLayerNorm()(x, channels, m, **settings) for m in (None, ones))
    assert (plain.out == masked.out).all()
    assert (plain.to_real(1 / 16) == plain.out / 16).all()


X = np.zeros((2, 64), np.uint8)
ZEROS = Channels(X[0], X[0].view(np.int8), X[0].view(np.int8))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": X[:, :63]}, ValueError, "channels must have .* each of the 63 columns of x, got 64"),
        ({"channels": (X, X, X)}, TypeError, "channels must be Channels, got tuple"),
        ({"zp": 256}, ValueError, "zp must be in 0..255, got 256"),
        ({"gfrac": 8}, ValueError, "gfrac must be in 0..7, got 8"),
        ({"ofrac": -1}, ValueError, "ofrac must be in 0..7, got -1"),
        ({"rms": 2}, ValueError, "rms must be in 0..1, got 2"),
    ],
)
def test_arguments(arguments, error, message):
    given = {"x": X, "channels": ZEROS, "zp": 0, "gfrac": 0, "ofrac": 0, **arguments}
    with pytest.raises(error, match=f"^{message}"):
        ExactLayerNorm(8, 64)(**given)
