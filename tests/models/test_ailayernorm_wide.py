# SPDX-License-Identifier: Apache-2.0
"""AILayerNorm's model for accelerators: wide inputs, epsilon, exact squares, the imprecise flag.

Against a scalar model in plain Python, and against section 3 where a setting has to give it. Each
check is tried on a model with a planted fault, which it has to see.
"""

import numpy as np
import pytest

from softnorm.models import ailayernorm
from softnorm.models.ailayernorm import AILayerNorm, NormTrace, reciprocal
from softnorm.models.channels import Channels

from .test_ailayernorm import RSQRT, draw, draw_channels, full, rnd

SIZES = {"LANES": 4, "MAX_LEN": 128}
CONFIGURATIONS = [
    {**SIZES, "EPS": 1},
    {**SIZES, "EXACT_SQ": 1, "IMPRECISE": 1},
    {**SIZES, "IMPRECISE": 1, "CMP_RANGES": 3},
    {**SIZES, "IN_W": 16, "EPS": 1, "IMPRECISE": 1},
    {**SIZES, "A_BITS": 8},
    {**SIZES, "IN_W": 32, "EPS": 1, "EXACT_SQ": 1},
]
LIMIT = 2**30 - 1


def by_hand(
    unit, v, mask, alpha, gamma, beta, zp, count, inv_mant, inv_exp, gfrac, ofrac, rms,
    qmult=0, qshift=0, eps=0,
):  # fmt: skip
    """One row (lists) in plain Python: (out, err_len, imprecise)."""
    x = list(v)
    if unit.IN_W > 8:
        scaled = (rnd(one * qmult, qshift + al) for one, al in zip(v, alpha, strict=True))
        x = [max(0, min(255, one + zp)) for one in scaled]
    live = [i for i, unmasked in enumerate(mask) if unmasked]
    total = squares = 0
    for i in live:
        u = abs(x[i] - zp)
        total += (x[i] - zp) << alpha[i]
        if unit.EXACT_SQ or (unit.CMP_RANGES == 3 and u < 16):
            square = u * u
        elif u >= 64:
            square = min(15, (u + 8) >> 4) ** 2 << 8
        else:
            square = min(15, (u + 2) >> 2) ** 2 << 4
        squares += square << 2 * alpha[i]
    mean = 0 if rms else (rnd(total * inv_mant, 11 + inv_exp) + 2**15) % 2**16 - 2**15
    ex2 = rnd(squares * inv_mant, 7 + inv_exp) % 2**30
    exact = ex2 - mean * mean
    var = min(max(exact + eps, 1), LIMIT)
    imprecise = bool(unit.IMPRECISE and not unit.EXACT_SQ and mean * mean > 4 * max(exact, 1))
    e = (var.bit_length() - 1) // 2
    rsqrt = RSQRT[var * 32 // 4**e - 32]
    sh = e + gfrac - ofrac
    if unit.A_BITS == 8:
        rsqrt, sh = rnd(rsqrt, 2), sh - 2
    out = [0] * len(v)
    for i in live:
        num = rnd(gamma[i] * rsqrt, 8) * (((x[i] - zp) << alpha[i] + 2) - rnd(mean, 2))
        value = (num << -sh if sh < 0 else rnd(num, sh)) + beta[i]
        out[i] = max(-128, min(127, value))
    return out, len(live) != count, imprecise


def draw_wide(rng, unit, rows, length):
    """(v, mask, channels, settings): rows of section 3's kinds, as what makes such bytes."""
    x, mask, settings = draw(rng, rows, length)
    channels = draw_channels(rng, length)
    if unit.EPS:
        settings["eps"] = rng.choice([0, 1, 300, 65535], rows)
    if unit.IN_W == 8:
        return x, mask, channels, settings
    settings["qmult"] = rng.choice([0, 1, 40000, 65535], rows)
    settings["qmult"][::2] = rng.integers(32768, 65536, len(settings["qmult"][::2]))
    settings["qshift"] = rng.integers(0, unit.IN_W + 8, rows)
    settings["qshift"][::7] = rng.integers(0, 64, len(settings["qshift"][::7]))
    steps = np.exp2(settings["qshift"]) / np.maximum(settings["qmult"], 1)
    v = (x.astype(float) - settings["zp"][:, None]) * steps[:, None] * np.exp2(channels.alpha)
    v += rng.normal(0, 0.3, v.shape) * steps[:, None]
    ends = np.iinfo(unit.in_dtype)
    v[rng.random(v.shape) < 0.02] = ends.min
    v[rng.random(v.shape) < 0.02] = ends.max
    return np.clip(np.rint(v), ends.min, ends.max).astype(unit.in_dtype), mask, channels, settings


def against_hand(unit, rows=60, seed=1):
    """Whether a call and a trace give what the scalar model gives."""
    rng = np.random.default_rng(seed)
    for length in (1, 5, 40):
        v, mask, channels, settings = draw_wide(rng, unit, rows, length)
        lists = [array.tolist() for array in (channels.alpha, channels.gamma, channels.beta)]
        results = [run(v, channels, mask, **settings) for run in (unit, unit.trace)]
        for row in range(rows):
            chosen = {name: int(value[row]) for name, value in settings.items()}
            chosen["count"] = chosen.pop("len")
            want = by_hand(unit, v[row].tolist(), mask[row].tolist(), *lists, **chosen)
            for got in results:
                flag = None if got.imprecise is None else bool(got.imprecise[row])
                if (got.out[row].tolist(), bool(got.err_len[row])) != want[:2]:
                    return False
                if flag != (want[2] if unit.IMPRECISE else None):
                    return False
    return True


@pytest.mark.parametrize("given", CONFIGURATIONS, ids=lambda given: "".join(given))
def test_scalar_model(given):
    assert against_hand(AILayerNorm(**given))


@pytest.mark.parametrize("given", CONFIGURATIONS, ids=lambda given: "".join(given))
def test_rows_by_themselves_and_what_masked_elements_hold(given, monkeypatch):
    """A row does not depend on the others, masked values, memory order or blocks of rows."""
    unit, rng = AILayerNorm(**given), np.random.default_rng(2)
    v, mask, channels, settings = draw_wide(rng, unit, 12, 50)
    want = unit(v, channels, mask, **settings)
    ends = np.iinfo(unit.in_dtype)
    other = rng.integers(ends.min, ends.max, v.shape, v.dtype, endpoint=True)
    monkeypatch.setattr(ailayernorm, "BLOCK", 150)
    for got in (
        unit(np.where(mask, v, other), channels, mask, **settings),
        unit(np.asfortranarray(v), channels, np.asfortranarray(mask), **settings),
    ):
        assert (got.out == want.out).all()
        assert got.imprecise is None or (got.imprecise == want.imprecise).all()
    for row in range(len(v)):
        one = {name: int(value[row]) for name, value in settings.items()}
        got = unit(v[row : row + 1], channels, mask[row : row + 1], **one)
        assert (got.out[0] == want.out[row]).all()
    none = unit(v[:0], channels, **{name: value[:0] for name, value in settings.items()})
    assert none.out.shape == (0, 50)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("VAR_LIMIT", (1 << 31) - 1),
        ("rescale", lambda v, mult, shift: v.astype(np.int64) * mult >> np.minimum(shift, 62)),
        ("rescale", lambda v, mult, shift: ailayernorm.rnd(v.astype(np.int64) * mult, shift % 32)),
    ],
    ids=["var not limited", "bytes floored", "a shift of 5 bits"],
)
def test_the_scalar_model_sees_planted_faults(monkeypatch, name, wrong):
    monkeypatch.setattr(ailayernorm, name, wrong)
    if name == "VAR_LIMIT":
        assert not at_the_top_of_var()
    else:
        assert not all(against_hand(AILayerNorm(**given)) for given in CONFIGURATIONS[3:])


@pytest.mark.parametrize("fault", ["eps in the flag", "never", "eps left out", "compressed"])
def test_the_scalar_model_sees_planted_faults_of_statistics(monkeypatch, fault):
    right = AILayerNorm._statistics

    def wrong(self, total, square_sum, settings):
        if fault == "eps left out":
            settings = {**settings, "eps": np.zeros_like(settings["eps"])}
        row = right(self, total, square_sum, settings)
        if fault in ("never", "eps in the flag") and row.imprecise is not None:
            row.imprecise[:] &= (row.mean**2 > 4 * row.var) & (fault != "never")
        return row

    if fault == "compressed":
        monkeypatch.setattr(
            AILayerNorm, "_compress", lambda self, u: ailayernorm.compress(u, self.CMP_RANGES)
        )
    else:
        monkeypatch.setattr(AILayerNorm, "_statistics", wrong)
    assert not all(against_hand(AILayerNorm(**given)) for given in CONFIGURATIONS)


def at_the_top_of_var():
    """Whether a mean square of 30 ones and the largest epsilon keep var at 2^30 - 1."""
    unit = AILayerNorm(**SIZES, EPS=1, EXACT_SQ=1)
    flat = np.full(2, 3, np.uint8), np.full(2, 64, np.int8), np.zeros(2, np.int8)
    settings = full(2, zp=0, rms=1, eps=65535)
    # A reciprocal that is not the row's: of 1 for 2 elements, ex2 is twice the mean square.
    settings |= dict(zip(("inv_mant", "inv_exp"), reciprocal(1), strict=True))
    for first in range(200, 256):
        x = np.array([[first, other] for other in range(256)], np.uint8)
        trace = unit.trace(x, Channels(*flat), **settings)
        sums = (x.astype(np.int64) ** 2).sum(axis=1) << 6
        want = np.clip((sums << 8) % 2**30 + 65535, 1, LIMIT)
        if (trace.var != want).any():
            return False
    return True


def test_var_has_30_bits_also_with_an_epsilon():
    assert at_the_top_of_var()


# --- against section 3 ----------------------------------------------------------------------------


@pytest.mark.parametrize("width", [16, 32])
def test_wide_inputs_that_are_bytes_less_their_zero_point(width):
    """v = (x - zp) << alpha with a scale of 1, and with one of 65536/2^16 but one: x again."""
    rng = np.random.default_rng(2)
    plain, wide = AILayerNorm(**SIZES), AILayerNorm(**SIZES, IN_W=width)
    x, mask, settings = draw(rng, 80, 50)
    channels = draw_channels(rng, 50)
    want = plain(x, channels, mask, **settings)
    v = (x.astype(np.int64) - settings["zp"][:, None]) << channels.alpha
    for mult, shift in ((1, 0), (1 << 15, 15)):
        got = wide(v.astype(wide.in_dtype), channels, mask, **settings, qmult=mult, qshift=shift)
        assert (got.out == want.out).all()
        assert (got.err_len == want.err_len).all()


def test_what_is_not_used_changes_nothing():
    rng = np.random.default_rng(3)
    x, mask, settings = draw(rng, 80, 50)
    channels = draw_channels(rng, 50)
    want = AILayerNorm(**SIZES)(x, channels, mask, **settings)
    got = AILayerNorm(**SIZES, EPS=1, IMPRECISE=1)(x, channels, mask, **settings, eps=0)
    assert (got.out == want.out).all()
    assert want.imprecise is None
    assert got.imprecise.any()
    assert not got.imprecise.all()
    # Exact where DynamicCompress with three ranges is: magnitudes below 16.
    x = (settings["zp"][:, None] + rng.integers(-15, 16, x.shape)).clip(0, 255).astype(np.uint8)
    three = AILayerNorm(**SIZES, CMP_RANGES=3)(x, channels, mask, **settings)
    exact = AILayerNorm(**SIZES, EXACT_SQ=1)(x, channels, mask, **settings)
    assert (exact.out == three.out).all()


# --- what it is for -------------------------------------------------------------------------------


def test_a_large_mean():
    """A mean of 100 at a deviation of 2: the 4-bit squares lose the row, and the unit says so."""
    x = np.array([[98, 102]], np.uint8)
    channels = Channels(np.zeros(2, np.uint8), np.full(2, 64, np.int8), np.zeros(2, np.int8))
    settings = full(2, zp=0, gfrac=6, ofrac=5)
    lost = AILayerNorm(IMPRECISE=1)(x, channels, **settings)
    assert lost.out.tolist() == [[-128, 127]]
    assert lost.imprecise.tolist() == [True]
    right = AILayerNorm(IMPRECISE=1, EXACT_SQ=1)(x, channels, **settings)
    assert right.out.tolist() == [[-32, 32]]
    assert right.imprecise.tolist() == [False]
    rms = AILayerNorm(IMPRECISE=1)(x, channels, **settings, rms=1)
    assert rms.imprecise.tolist() == [False]


def test_the_flag_at_its_edge():
    """mean * mean is 4 times ex2 - mean * mean: not yet. One step of ex2 less: it is set."""
    unit = AILayerNorm(IMPRECISE=1, CMP_RANGES=3)
    zeros = np.zeros(1, np.int64)
    settings = {"inv_mant": zeros + (1 << 15), "inv_exp": zeros, "rms": zeros, "eps": zeros}
    settings |= {"gfrac": zeros, "ofrac": zeros}
    flags = [
        bool(unit._statistics(zeros + 4, np.array([count]), settings).imprecise[0])
        for count in (20, 19, 21)
    ]
    assert flags == [False, True, False]


# --- what it refuses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"IN_W": 24}, ValueError, "IN_W must be one of 8, 16, 32, got 24"),
        ({"EPS": 2}, ValueError, "EPS must be in 0..1, got 2"),
        ({"IMPRECISE": True}, TypeError, "IMPRECISE must be of type int, got True"),
        ({"A_BITS": 9}, ValueError, "A_BITS must be one of 8, 10, got 9"),
        ({"EXACT_SQ": -1}, ValueError, "EXACT_SQ must be in 0..1, got -1"),
    ],
)
def test_parameters(parameters, error, message):
    with pytest.raises(error, match=f"^{message}"):
        AILayerNorm(**parameters)


@pytest.mark.parametrize("run", [AILayerNorm.__call__, AILayerNorm.trace])
@pytest.mark.parametrize(
    ("parameters", "arguments", "error", "message"),
    [
        ({}, {"eps": 1}, ValueError, "eps is a setting of EPS = 1: build the unit so, or leave"),
        ({}, {"qmult": 1}, ValueError, "qmult is a setting of IN_W = 16 or 32: build the unit"),
        ({}, {"qshift": np.array([0, 1])}, ValueError, "qshift is a setting of IN_W = 16 or 32"),
        ({"EPS": 1}, {"eps": 65536}, ValueError, "eps must be in 0..65535, got 65536"),
        ({"IN_W": 16}, {}, TypeError, "x must be int16, got uint8: quantise it first"),
        (
            {"IN_W": 16},
            {"x": np.zeros((2, 64), np.int16), "qmult": -1},
            ValueError,
            "qmult must be in 0..65535, got -1",
        ),
        (
            {"IN_W": 32},
            {"x": np.zeros((2, 64), np.int32), "qshift": 64},
            ValueError,
            "qshift must be in 0..63, got 64",
        ),
    ],
)
def test_arguments(run, parameters, arguments, error, message):
    x = np.zeros((2, 64), np.uint8)
    zeros = Channels(x[0], x[0].view(np.int8), x[0].view(np.int8))
    with pytest.raises(error, match=f"^{message}") as caught:
        run(
            AILayerNorm(8, 64, **parameters), **{"x": x, "channels": zeros, **full(64), **arguments}
        )
    assert "\n" not in str(caught.value)


def test_trace_of_exact_squares():
    x = np.array([[0, 255, 3]], np.uint8)
    channels = Channels(*(np.zeros(3, dtype) for dtype in (np.uint8, np.int8, np.int8)))
    trace = AILayerNorm(EXACT_SQ=1).trace(x, channels, x != 3, **full(2, zp=0))
    assert isinstance(trace, NormTrace)
    assert trace.y.tolist() == [[0, 255, -1]]
    assert trace.square_sum.tolist() == [255 * 255]
