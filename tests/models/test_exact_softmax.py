# SPDX-License-Identifier: Apache-2.0
"""The exact softmax's model: against a scalar model, vectors of it, exact tables, and float64."""

from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cache

import numpy as np
import pytest

from softnorm.models import reference
from softnorm.models.exact_softmax import PARTS, ExactSoftmax, exponential_tables

DIGITS = Context(prec=40)


@cache
def exponential(d, frac):
    """An exponential of d * 2^-frac in 16 bits, rounded from 40 digits."""
    return int(unrounded(Decimal(d) / 2**frac).to_integral_value(ROUND_HALF_UP))


def unrounded(distance):
    return DIGITS.multiply(Decimal(65535), DIGITS.exp(-distance))


def by_hand(x, mask, frac):
    """One row (lists of int and bool) in plain Python: a restoring division, step by step."""
    m = max([v for v, live in zip(x, mask, strict=True) if live], default=-128)
    e = [exponential(m - v, frac) if live else 0 for v, live in zip(x, mask, strict=True)]
    S, Qs = sum(e), []
    for one, live in zip(e, mask, strict=True):
        rest, Q = one, 0
        for _ in range(9 if live else 0):
            rest *= 2
            Q = 2 * Q + (rest >= S)
            rest -= S * (Q % 2)
        Qs.append(Q)
    return {"m": m, "e": e, "S": S, "Q": Qs, "out": [min(255, (Q + 1) // 2) for Q in Qs]}


def draw(rng, rows, length):
    """Rows narrow and wide, level ones, and their masks."""
    spread = rng.choice([0, 2, 20, 200], size=(rows, 1))
    x = np.clip(rng.normal(rng.integers(-128, 128, (rows, 1)), spread, (rows, length)), -128, 127)
    mask = rng.random((rows, length)) < rng.choice([0, 0.02, 0.5, 0.98, 1], size=(rows, 1))
    return x.astype(np.int8), mask


@pytest.mark.parametrize("length", [1, 2, 7, 97, 1024])
def test_random_rows_by_hand(length):
    rng = np.random.default_rng(length)
    x, mask = draw(rng, 40, length)
    frac = rng.integers(0, 8, len(x))
    trace = ExactSoftmax().trace(x, mask, frac=frac)
    assert (ExactSoftmax()(x, mask, frac=frac).out == trace.out).all()
    for row in range(len(x)):
        want = by_hand(x[row].tolist(), mask[row].tolist(), int(frac[row]))
        assert {name: getattr(trace, name)[row].tolist() for name in want} == want, row


@pytest.mark.parametrize("frac", range(8))
def test_every_distance(frac):
    """All pairs of inputs, each exponential against 40 digits, each quotient in whole numbers."""
    values = np.arange(-128, 128, dtype=np.int8)
    pairs = np.stack(np.meshgrid(values, values), axis=-1).reshape(-1, 2)
    trace = ExactSoftmax(1, 2).trace(pairs, frac=frac)
    every = np.array([exponential(d, frac) for d in range(256)])
    d = pairs.max(axis=1, keepdims=True).astype(int) - pairs
    e = every[d]
    assert (trace.e == e).all()
    S = e.sum(axis=1, keepdims=True)
    assert (trace.out == np.minimum(255, (512 * e + S) // (2 * S))).all()
    assert (trace.z == d * 2 ** (7 - frac)).all()


def test_tables():
    for (first, step, entries), table in zip(PARTS, exponential_tables(), strict=True):
        assert len(table) == entries
        for i, value in enumerate(table.tolist()):
            exact = unrounded(Decimal(first + step * i) / 128)
            assert abs(value - exact) < Decimal("0.49999")  # no tie: float64 rounds it right
    assert unrounded(Decimal(1536) / 128) < Decimal("0.5")  # beyond the table there is nothing
    with pytest.raises(ValueError, match="read-only"):
        exponential_tables()[0][0] = 0


def test_a_lone_element_and_level_rows():
    x = np.zeros((1, 1024), np.int8)
    for count, out in ((1, 255), (2, 128), (3, 85), (256, 1), (512, 1), (513, 0), (1024, 0)):
        assert ExactSoftmax()(x[:, :count], frac=3).out.tolist() == [[out] * count]


def test_within_half_a_step_of_the_exact_softmax():
    """And what the exponentials' 16 bits cost: next to nothing."""
    rng = np.random.default_rng(11)
    x, _ = draw(rng, 300, 64)
    for frac in range(8):
        exact = reference.softmax(np.ldexp(x.astype(float), -frac))
        error = np.abs(ExactSoftmax()(x, frac=frac).to_real() - exact)
        assert error[exact < 1 - 2**-9].max() < 0.5 / 256 + 1e-4
        assert error.max() <= 1 / 256


def test_a_wrong_frac_is_refused():
    with pytest.raises(ValueError, match=r"frac must be in 0\.\.7, got 8"):
        ExactSoftmax()(np.zeros((1, 65), np.int8), frac=8)
