# SPDX-License-Identifier: Apache-2.0
"""Softermax's model: against a scalar model, vectors of it, exact tables, and float64."""

import math
from fractions import Fraction

import numpy as np
import pytest

from softnorm.models import reference, softermax
from softnorm.models.softermax import Softermax

POW2 = (32768, 38968, 46341, 55109)
LINES = (
    *((32658, 114), (29043, 91), (26149, 74), (23779, 62)),
    *((21802, 53), (20129, 45), (18694, 39), (17450, 34)),
)


def by_hand(x, mask, lanes, max_len):
    """One row (lists of int and bool) in plain Python, as the unit's page writes it."""
    whole = max(1, math.ceil(math.log2(max_len)))  # I
    m, S, p, ms, Bs, Ss, cut = -32, 0, [], [], [], [], False
    for start in range(0, len(x), lanes):
        beat = range(start, min(start + lanes, len(x)))
        before, m = m, max([m, *(math.ceil(Fraction(x[i], 4)) for i in beat if mask[i])])
        here = [POW2[x[i] % 4] // 2 ** (m - x[i] // 4) if mask[i] else 0 for i in beat]
        B = (sum(here) + 256) // 512
        S = S // 2 ** (m - before) + B
        cut |= 2 ** (whole + 6) <= S
        S = min(S, 2 ** (whole + 6) - 1)
        p += here
        ms.append(m)
        Bs.append(B)
        Ss.append(S)
    e = max(5, S.bit_length() - 1)
    s = S * 256 // 2**e % 256
    j, t = divmod(s, 32)
    C, M = LINES[j]
    r = (C - M * t + 128) // 256
    k = [m - m_t + e - 5 for m_t in ms]
    out = [(p_i // 2 ** k[i // lanes] * r + 2**13) // 2**14 for i, p_i in enumerate(p)]
    row = {"m": ms, "p": p, "B": Bs, "S": Ss, "cut": cut, "e": e, "j": j, "t": t, "r": r, "k": k}
    return {"out": out, **row}


def draw(rng, rows, length):
    """Rows of all the kinds that matter, with a mask of its own for each."""
    spread = rng.choice([0, 2, 20, 200], size=(rows, 1))
    x = np.clip(rng.normal(rng.integers(-128, 128, (rows, 1)), spread, (rows, length)), -128, 127)
    x = x.astype(np.int8)
    kind = rng.integers(0, 6, rows)
    x[kind == 0] = np.sort(x[kind == 0], axis=1)  # the maximum grows and grows
    x[kind == 1] = np.sort(x[kind == 1], axis=1)[:, ::-1]  # never grows
    x[kind == 2] = rng.choice(np.array([-128, 127, 124], np.int8), (np.sum(kind == 2), length))
    mask = rng.random((rows, length)) < rng.choice([0, 0.02, 0.5, 0.98, 1], size=(rows, 1))
    mask[kind == 3] = np.arange(length) >= rng.integers(0, length, (np.sum(kind == 3), 1))
    mask[kind == 4] = True
    return x, mask


@pytest.mark.parametrize(
    ("lanes", "max_len", "length"),
    [(1, 1, 1), (1, 64, 40), (2, 3, 3), (4, 64, 64), (8, 97, 97), (32, 1024, 333), (64, 4096, 700)],
)
def test_random_rows_by_hand(lanes, max_len, length):
    x, mask = draw(np.random.default_rng([lanes, length]), 60, length)
    unit = Softermax(lanes, max_len)
    trace = unit.trace(x, mask)
    assert (unit(x, mask).out == trace.out).all()
    for row in range(len(x)):
        want = by_hand(x[row].tolist(), mask[row].tolist(), lanes, max_len)
        got = {name: getattr(trace, name)[row].tolist() for name in want}
        assert got == want, row


def test_every_rise_and_every_distance():
    """Pairs of inputs: in one beat, and one after the other with one lane."""
    values = np.arange(-128, 128, dtype=np.int8)
    pairs = np.stack(np.meshgrid(values, values), axis=-1).reshape(-1, 2)
    for lanes in (1, 2):
        got = Softermax(lanes, 2).trace(pairs).out
        want = {}
        for (a, b), out in zip(pairs[::7].tolist(), got[::7].tolist(), strict=True):
            want = by_hand([a, b], [True, True], lanes, 2)
            assert out == want["out"], (a, b)


def test_every_sum_and_the_largest_output():
    """129 is the largest, of a lone element; a reciprocal is off by less than a step."""
    lines = softermax.reciprocal_table()
    sums = np.arange(38, 1 << 16)
    e = np.frexp(sums.astype(float))[1] - 1
    s = (sums << 8 >> e) & 255
    r = (lines[s >> 5, 0] - lines[s >> 5, 1] * (s & 31) + 128) >> 8
    assert (r.min(), r.max()) == (64, 128)
    assert np.abs(r / 128 - np.ldexp(1.0, e) / sums).max() < 1 / 128
    largest = 0
    for f in range(4):
        p = POW2[f] >> (f > 0)
        reached = sums >= (p + 256) >> 9
        out = ((p >> (e - 5)) * r + 2**13) >> 14
        largest = max(largest, out[reached].max())
    assert largest == 129
    assert Softermax()(np.array([[126]], np.int8)).out == 129


def test_the_sum_is_cut_at_its_top():
    x = np.full((3, 64), 124, np.int8)
    x[1, 63] = 0
    x[2, 0] = 123  # a sum of 63.84 and more has room
    trace = Softermax(8, 64).trace(x)
    assert trace.cut.tolist() == [True, False, False]
    assert trace.S[:, -1].tolist() == [4095, 63 * 64, 63 * 64 + 54]
    assert not Softermax(8, 65).trace(x).cut.any()
    assert Softermax(8, 64).sum_bits == 12
    assert Softermax().sum_bits == 16  # the paper's Q(10,6)
    assert Softermax(1, 1).sum_bits == 7


def test_tables():
    assert tuple(softermax.pow2_table().tolist()) == POW2
    assert tuple(map(tuple, softermax.reciprocal_table().tolist())) == LINES
    for f, value in enumerate(POW2):  # (value -+ 1/2)^4 on both sides of 2^(60 + f)
        assert (value - Fraction(1, 2)) ** 4 < 2 ** (60 + f) < (value + Fraction(1, 2)) ** 4
    with pytest.raises(ValueError, match="read-only"):
        softermax.reciprocal_table()[0, 0] = 0


def test_near_the_exact_softmax():
    rng = np.random.default_rng(11)
    x = np.clip(rng.normal(0, 12, (300, 64)).round(), -128, 127).astype(np.int8)
    exact = reference.softmax(softermax.dequantise(x))
    got = Softermax()(x)
    assert np.abs(got.to_real() - exact).max() < 0.03
    assert got.to_real()[:, 0].tolist() == (got.out[:, 0] / 128).tolist()


def test_quantise():
    """To base 2, two fraction bits, half up, saturated at 32: 1 / ln 2 is 1.4427."""
    logits = np.array([0.0, 1.0, -1.0, 22.1, 22.2, 100.0, -100.0, math.log(2) / 8])
    assert softermax.quantise(logits).tolist() == [0, 6, -6, 127, 127, 127, -128, 1]
    assert softermax.dequantise(np.array([4])) == pytest.approx(math.log(2))
    with pytest.raises(ValueError, match="finite"):
        softermax.quantise(np.array([np.nan]))
