# SPDX-License-Identifier: Apache-2.0
"""AILayerNorm's model: against vectors of independent origin, a scalar model, and itself."""

from decimal import Decimal, getcontext
from itertools import product

import numpy as np
import pytest

from softnorm.models import ailayernorm, metrics, reference
from softnorm.models.ailayernorm import AILayerNorm, NormResult, compress, reciprocal
from softnorm.models.channels import Channels

ELEMENTS = ("out", "a", "u", "y", "s", "saturated")
ROWS = (
    *("n", "sum", "square_sum", "mean", "ex2", "var", "e", "v", "rsqrt", "mu", "sh"),
    "err_len",
)
SETTINGS = ("zp", "len", "inv_mant", "inv_exp", "gfrac", "ofrac", "rms")


def rnd(a, n):
    """a / 2^n, half up."""
    return (a + 2 ** (n - 1)) // 2**n if n else a


def by_hand(ranges, x, mask, channels, zp, len, inv_mant, inv_exp, gfrac, ofrac, rms):
    """One row (lists of int and bool) in plain Python, as the specification writes it."""
    total = squares = n = 0
    elements = []
    for x_i, unmasked, alpha in zip(x, mask, channels["alpha"], strict=True):
        if not unmasked:
            elements.append((0, 0, -1, -1))
            continue
        n += 1
        a = x_i - zp
        u = abs(a)
        if u >= 64:
            y, high = min(15, (u + 8) // 16), 2
        elif ranges == 3 and u < 16:
            y, high = u, 0
        else:
            y, high = min(15, (u + 2) // 4), 1
        s = high if ranges == 3 else high - 1
        elements.append((a, u, y, s))
        total += a * 2**alpha
        squares += y * y * 16**s * 4**alpha
    mean = 0 if rms else (rnd(total * inv_mant, 11 + inv_exp) + 2**15) % 2**16 - 2**15
    ex2 = rnd((squares if ranges == 3 else squares * 16) * inv_mant, 7 + inv_exp) % 2**30
    var = max(ex2 - mean * mean, 1)
    e = (var.bit_length() - 1) // 2
    v = var * 32 // 4**e
    rsqrt = RSQRT[v - 32]
    mu = rnd(mean, 2)
    sh = e + gfrac - ofrac
    outputs, sides = [], []
    for (a, *_), unmasked, alpha, gamma, beta in zip(
        elements, mask, *(channels[name] for name in ("alpha", "gamma", "beta")), strict=True
    ):
        num = rnd(gamma * rsqrt, 8) * (a * 2**alpha * 4 - mu)
        exact = (num * 2**-sh if sh < 0 else rnd(num, sh)) + beta if unmasked else 0
        outputs.append(max(-128, min(127, exact)))
        sides.append((exact > 127) - (exact < -128))
    return {
        **dict(zip(ROWS, (n, total, squares, mean, ex2, var, e, v, rsqrt, mu, sh), strict=False)),
        "err_len": n != len,
        "out": outputs,
        "saturated": sides,
        **{
            name: list(column)
            for name, column in zip("auys", zip(*elements, strict=True), strict=True)
        },
    }


def exact_rsqrt():
    getcontext().prec = 50
    values = (1024 / ((Decimal(v) + Decimal("0.5")) / 32).sqrt() for v in range(32, 128))
    return [int(value + Decimal("0.5")) for value in values]


RSQRT = exact_rsqrt()


def draw_channels(rng, width):
    kind = rng.integers(0, 4)
    alpha = rng.integers(0, 4, width) if kind else np.full(width, rng.integers(0, 4))
    gamma = rng.integers(-128, 128, width)
    gamma[rng.random(width) < 0.1] = rng.choice([-128, 0, 127])
    return Channels(
        alpha.astype(np.uint8),
        gamma.astype(np.int8),
        rng.integers(-128, 128, width).astype(np.int8),
    )


def draw(rng, rows, length):
    """Rows of all the kinds that matter, a mask of its own for each, and right settings."""
    settings = {
        "zp": rng.choice([0, 1, 127, 128, 255, *range(0, 256, 7)], rows),
        "gfrac": rng.integers(0, 8, rows),
        "ofrac": rng.integers(0, 8, rows),
        "rms": rng.integers(0, 2, rows),
    }
    centre = np.where(rng.random(rows) < 0.5, settings["zp"], rng.integers(0, 256, rows))
    spread = rng.choice([0, 0.25, 0.5, 2, 20, 200], size=(rows, 1))
    x = np.clip(np.rint(rng.normal(centre[:, None], spread, (rows, length))), 0, 255)
    kind = rng.integers(0, 8, rows)
    x[kind == 0] = rng.integers(0, 256, (np.sum(kind == 0), length))
    x[kind == 1] = rng.choice([0, 255], (np.sum(kind == 1), length))
    x[kind == 2] = rng.choice([0, 1, 254, 255], (np.sum(kind == 2), 1))  # constant, far from zp
    mask = rng.random((rows, length)) < rng.choice([0, 0.02, 0.5, 0.98, 1], size=(rows, 1))
    mask[kind == 3] = np.arange(length) < rng.integers(1, length + 1, (np.sum(kind == 3), 1))
    mask[rng.random(rows) < 0.3] = True
    settings["len"] = mask.sum(axis=1)
    mant, exp = reciprocal(np.maximum(settings["len"], 1))
    return x.astype(np.uint8), mask, settings | {"inv_mant": mant, "inv_exp": exp}


def wrong(rng, settings, max_len):
    """The settings with some lengths, and some reciprocals, that are not the row's."""
    settings = {name: setting.copy() for name, setting in settings.items()}
    rows = len(settings["len"])
    other = np.flatnonzero(rng.random(rows) < 0.3)
    settings["len"][other] = rng.integers(0, max_len + 1, len(other))
    other = np.flatnonzero(rng.random(rows) < 0.3)
    settings["inv_mant"][other] = rng.integers(1 << 14, (1 << 15) + 1, len(other))
    settings["inv_exp"][other] = rng.integers(0, max_len.bit_length(), len(other))
    return settings


def full(length, **settings):
    """Settings for rows without a mask."""
    mant, exp = reciprocal(length)
    right = {"zp": 128, "len": length, "inv_mant": mant, "inv_exp": exp}
    return {**right, "gfrac": 5, "ofrac": 4, **settings}


def assert_same(got, want, what=""):
    np.testing.assert_array_equal(got.out, want.out, what)
    np.testing.assert_array_equal(got.err_len, want.err_len, what)
    assert got.out.dtype == want.out.dtype == np.int8
    assert got.err_len.dtype == want.err_len.dtype == np.bool_


def assert_by_hand(unit, x, mask, channels, settings):
    trace = unit.trace(x, channels, mask, **settings)
    lists = {name: getattr(channels, name).tolist() for name in ("alpha", "gamma", "beta")}
    for row in range(len(x)):
        chosen = [int(settings[name][row]) for name in SETTINGS]
        want = by_hand(unit.CMP_RANGES, x[row].tolist(), mask[row].tolist(), lists, *chosen)
        got = {name: getattr(trace, name)[row].tolist() for name in (*ELEMENTS, *ROWS)}
        assert got == want, (unit, chosen, x[row].tolist(), mask[row].tolist())
        A = [rnd(gamma * want["rsqrt"], 8) for gamma in lists["gamma"]]
        assert trace.A[row].tolist() == A
        a = zip(A, want["a"], lists["alpha"], strict=True)
        assert trace.num[row].tolist() == [
            A_i * (a_i * 2**alpha * 4 - want["mu"]) for A_i, a_i, alpha in a
        ]


# --- against what others computed -----------------------------------------------------------------


@pytest.mark.parametrize("ranges", [2, 3])
@pytest.mark.parametrize("length", [1, 2, 3, 17, 64, 100])
def test_trace_is_the_scalar_model(length, ranges):
    rng = np.random.default_rng([length, ranges])
    unit = AILayerNorm(8, 128, ranges)
    for _ in range(5):
        x, mask, settings = draw(rng, 30, length)
        channels = draw_channels(rng, length)
        assert_by_hand(unit, x, mask, channels, settings)
        assert_by_hand(unit, x, mask, channels, wrong(rng, settings, 128))


def test_every_branch_is_drawn():
    """What the draws of the tests above and below reach, so that they mean something."""
    rng = np.random.default_rng(3)
    seen = {2: [], 3: []}
    for _, ranges in product(range(16), seen):
        x, mask, settings = draw(rng, 60, 90)
        seen[ranges].append(
            AILayerNorm(8, 128, ranges).trace(x, draw_channels(rng, 90), mask, **settings)
        )
    exponents = set()
    for ranges, traces in seen.items():
        u, y, s = (np.concatenate([getattr(t, n).ravel() for t in traces]) for n in "uys")
        assert set(s) == {-1, *range(ranges)}
        assert len(set(u)) > 250
        clipped = y[np.isin(u, (62, 63)) & (s >= 0)], y[u >= 248]
        assert all(set(part) == {15} for part in clipped)
        e, sh, var, ex2, mean = (
            np.concatenate([getattr(t, n) for t in traces])
            for n in ("e", "sh", "var", "ex2", "mean")
        )
        exponents |= set(e)
        assert sh.min() == -7
        assert sh.max() >= 18
        assert (ex2 - mean**2 < 0).any()
        assert ((var == 1) & (ex2 == 0)).any()
        assert (np.abs(mean) > 4 * np.sqrt(var)).any()  # cancellation
        assert (mean < 0).any()
        assert set(np.concatenate([t.saturated.ravel() for t in traces])) == {-1, 0, 1}
    assert exponents == {*range(15)}


# --- the fast model is the plain one --------------------------------------------------------------


def test_every_input_zero_point_and_alpha():
    """All x - zp, in rows of four: one of each alpha."""
    x = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, axis=1)
    channels = Channels(
        np.arange(4, dtype=np.uint8), np.full(4, 127, np.int8), np.zeros(4, np.int8)
    )
    for ranges, zp, rms in product((2, 3), range(256), (0, 1)):
        unit = AILayerNorm(4, 4, ranges)
        settings = full(4, zp=zp, rms=rms)
        assert_same(unit(x, channels, **settings), unit.trace(x, channels, **settings))


@pytest.mark.parametrize("ranges", [2, 3])
def test_the_longest_rows_and_the_most_wrong_reciprocal(ranges):
    """Where the integers are largest: nothing overflows but mean and ex2, which wrap."""
    width = 65536
    unit = AILayerNorm(64, width, ranges)
    channels = Channels(
        np.full(width, 3, np.uint8), np.full(width, -128, np.int8), np.zeros(width, np.int8)
    )
    x = np.full((4, width), 255, np.uint8)
    x[1] = 0
    x[2, ::2] = 0
    mask = np.ones(x.shape, bool)
    for n, (gfrac, ofrac), rms in product((1, 700, width), ((0, 7), (7, 0)), (0, 1)):
        mant, exp = reciprocal(n)
        settings = {
            name: np.full(4, value)
            for name, value in zip(SETTINGS, (0, n, mant, exp, gfrac, ofrac, rms), strict=True)
        }
        settings["zp"][1] = 255
        trace = unit.trace(x, channels, mask, **settings)
        assert_same(unit(x, channels, mask, **settings), trace)
        row = {name: getattr(trace, name).tolist() for name in ROWS}
        assert row["sum"] == [255 * 8 * width, -255 * 8 * width, 255 * 4 * width, 255 * 8 * width]
        for r, total in enumerate(row["sum"]):
            mean = 0 if rms else (rnd(total * mant, 11 + exp) + 2**15) % 2**16 - 2**15
            squares = 15 * 15 * 16 ** (ranges - 1) * 64 * (width // 2 if r == 2 else width)
            ex2 = rnd((squares * 16 if ranges == 2 else squares) * mant, 7 + exp) % 2**30
            var = max(ex2 - mean * mean, 1)
            assert (row["mean"][r], row["ex2"][r], row["var"][r]) == (mean, ex2, var)
            assert row["e"][r] == (var.bit_length() - 1) // 2
            assert trace.num[r, 0] == rnd(-128 * row["rsqrt"][r], 8) * (
                int(trace.a[r, 0]) * 32 - rnd(mean, 2)
            )


def test_right_reciprocals_stay_within_the_specified_widths():
    """mean, A, num and sh, for every length that a row may have: the RTL's widths."""
    lengths = np.arange(1, 65537)
    mant, exp = reciprocal(lengths)
    assert mant.min() >= 1 << 14
    assert mant.max() == 1 << 15
    mean = ailayernorm.rnd(lengths * 2040 * mant, 11 + exp)
    assert ailayernorm.rnd(mean, 2).max() == 8160  # with a << alpha << 2, 15 bits
    ex2 = ailayernorm.rnd((lengths * 225 * 64 << 8) * mant, 7 + exp)
    assert ex2.max() < 1 << 30  # so e is at most 14, and sh within -7..21
    A = ailayernorm.rnd(np.array([[-128], [127]]) * ailayernorm.rsqrt_table(), 8)
    assert (A.min(), A.max()) == (-508, 504)


# --- rows, masks and settings ---------------------------------------------------------------------


def test_err_len_is_a_wrong_count_and_nothing_else():
    rng = np.random.default_rng(12)
    x, mask, settings = draw(rng, 200, 60)
    channels = draw_channels(rng, 60)
    unit = AILayerNorm(4, 64)
    right = unit(x, channels, mask, **settings)
    assert not right.err_len.any()
    off = {**settings, "len": np.where(settings["len"] < 64, settings["len"] + 1, 0)}
    flagged = unit(x, channels, mask, **off)
    assert flagged.err_len.all()
    assert (flagged.out == right.out).all()


def test_lanes_and_max_len_do_not_matter():
    rng = np.random.default_rng(16)
    x, mask, settings = draw(rng, 40, 64)
    channels = draw_channels(rng, 64)
    for lanes, max_len in ((1, 64), (64, 4096)):
        unit = AILayerNorm(lanes, max_len)
        want = AILayerNorm()(x, channels, mask, **settings)
        assert_same(unit(x, channels, mask, **settings), want)


# --- its parts ------------------------------------------------------------------------------------


def test_rnd_rounds_half_up_on_either_side():
    a = np.arange(-9, 10)
    assert ailayernorm.rnd(a, 0).tolist() == a.tolist()
    assert ailayernorm.rnd(a, 1).tolist() == [(v + 1) // 2 for v in range(-9, 10)]
    assert [ailayernorm.rnd(v, 2) for v in (-7, -6, -5, -2, 1, 2, 6)] == [-2, -1, -1, 0, 0, 1, 2]


def test_compress():
    y, s = compress(np.arange(256))
    assert y[[0, 1, 2, 5, 6, 57, 58, 61, 62, 63]].tolist() == [0, 0, 1, 1, 2, 14, 15, 15, 15, 15]
    assert y[[64, 71, 72, 231, 232, 247, 248, 255]].tolist() == [4, 4, 5, 14, 15, 15, 15, 15]
    assert s.tolist() == [0] * 64 + [1] * 192
    y_3, s_3 = compress(np.arange(256), 3)
    assert y_3[:16].tolist() == list(range(16))
    assert y_3[16:].tolist() == y[16:].tolist()
    assert s_3.tolist() == [0] * 16 + [1] * 48 + [2] * 192


@pytest.mark.parametrize(
    ("a", "square_error", "std_error"),
    [(np.arange(256), -0.0042, -0.0021), (np.arange(-128, 128), 0.0144, 0.007)],
)
def test_compress_has_the_known_errors(a, square_error, std_error):
    """Of the mean square and the deviation, over uniform data of either kind."""
    y, s = compress(np.abs(a))
    ratio = (y**2 << (4 * s + 4)).sum() / (a**2).sum()
    assert ratio - 1 == pytest.approx(square_error, abs=5e-5)
    assert np.sqrt(ratio) - 1 == pytest.approx(std_error, abs=2e-4)


def test_rsqrt_table():
    table = ailayernorm.rsqrt_table()
    assert table.tolist() == RSQRT
    assert (table[0], table[-1], len(table)) == (1016, 513, 96)
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 0


def test_reciprocal():
    assert [reciprocal(n) for n in (1, 2, 3, 384, 65535, 65536)] == [
        *((32768, 0), (32768, 1), (21845, 1), (21845, 8), (16384, 15), (32768, 16))
    ]
    n = np.arange(1, 65537)
    mant, exp = reciprocal(n)
    assert exp.tolist() == [k.bit_length() - 1 for k in n.tolist()]
    nearest = [
        (2 ** (16 + e) + k) // (2 * k) for k, e in zip(n.tolist(), exp.tolist(), strict=True)
    ]
    assert mant.tolist() == nearest
    assert all(type(part) is int for part in reciprocal(np.uint16(7)))
    for wrong_n in (0, 65537, np.array([5, 0])):
        with pytest.raises(ValueError, match=r"^n must be in 1..65536, got"):
            reciprocal(wrong_n)
    with pytest.raises(TypeError, match=r"^n must be an integer or an integer array"):
        reciprocal(384.0)


def test_to_real():
    result = NormResult(np.array([[127, 0], [-128, 1]], np.int8), np.zeros(2, bool))
    assert result.to_real(1 / 16).tolist() == [[127 / 16, 0], [-8, 1 / 16]]
    assert result.to_real(np.array([1, 1 / 128])).tolist() == [[127, 0], [-128, 1 / 128]]
    assert result.exponent.tolist() == [0, 0]


# --- how close it is ------------------------------------------------------------------------------


@pytest.mark.parametrize("rms", [0, 1])
@pytest.mark.parametrize("ranges", [2, 3])
def test_it_normalises(ranges, rms):
    """Half an output step, 1/32, from the exact function on average: no constant is off."""
    rng = np.random.default_rng(18)
    x = np.clip(np.rint(rng.normal(135, 30, (50, 768))), 0, 255).astype(np.uint8)
    channels = Channels(
        rng.integers(0, 4, 768, np.uint8),
        rng.integers(30, 100, 768).astype(np.int8),
        rng.integers(-30, 30, 768).astype(np.int8),
    )
    settings = full(768, rms=rms)
    trace = AILayerNorm(CMP_RANGES=ranges).trace(x, channels, **settings)
    real = (x - 128.0) * 2.0**channels.alpha
    gamma, beta = channels.gamma / 32, channels.beta / 16
    exact = reference.layer_norm(real, gamma, beta)
    if rms:
        exact = reference.rms_norm(real, gamma) + beta
    errors = metrics.layer_norm_errors(trace.to_real(1 / 16), np.clip(exact, -8, 127 / 16))
    print(errors, ranges)
    assert errors.mean_abs_error < 1 / 32
    mean, std = trace.statistics()
    off = metrics.statistic_errors(mean, std, *reference.row_statistics(real, rms=bool(rms)))
    assert abs(off.mean_error_mean) < 1e-3
    assert abs(off.std_error_mean) < 0.02


# --- what it refuses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"CMP_RANGES": 1}, ValueError, "CMP_RANGES must be one of 2, 3, got 1"),
        ({"CMP_RANGES": True}, TypeError, "CMP_RANGES must be of type int, got True"),
    ],
)
def test_parameters(parameters, error, message):
    with pytest.raises(error, match=f"^{message}"):
        AILayerNorm(**parameters)


X = np.zeros((2, 64), np.uint8)
ZEROS = Channels(X[0], X[0].view(np.int8), X[0].view(np.int8))
BARE = Channels(None, ZEROS.gamma, ZEROS.beta)
BYTE = np.zeros(63, np.int8)


@pytest.mark.parametrize("run", [AILayerNorm.__call__, AILayerNorm.trace])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": X[:, :63]}, ValueError, "channels must have .* each of the 63 columns of x, got 64"),
        ({"channels": (X, X, X)}, TypeError, "channels must be Channels, got tuple"),
        ({"channels": BARE}, ValueError, "channels have no alpha: give one"),
        ({"zp": 256}, ValueError, "zp must be in 0..255, got 256"),
        ({"zp": -1}, ValueError, "zp must be in 0..255, got -1"),
        ({"zp": 1.0}, TypeError, r"zp must be an integer or an integer array \[rows\], got float"),
        ({"len": 65}, ValueError, "len must be in 0..64, got 65"),
        ({"len": np.array([1, -1])}, ValueError, "len must be in 0..64, got -1"),
        ({"inv_mant": 16383}, ValueError, "inv_mant must be in 16384..32768, got 16383"),
        ({"inv_mant": 32769}, ValueError, "inv_mant must be in 16384..32768, got 32769"),
        ({"inv_exp": 7}, ValueError, "inv_exp must be in 0..6, got 7"),
        ({"gfrac": 8}, ValueError, "gfrac must be in 0..7, got 8"),
        ({"gfrac": np.array([1, 2, 3])}, ValueError, "gfrac must be one integer or have one entry"),
        ({"ofrac": -1}, ValueError, "ofrac must be in 0..7, got -1"),
        ({"ofrac": "4"}, TypeError, "ofrac must be an integer .* got str"),
        ({"rms": 2}, ValueError, "rms must be in 0..1, got 2"),
    ],
)
def test_arguments(run, arguments, error, message):
    with pytest.raises(error, match=f"^{message}") as caught:
        run(AILayerNorm(8, 64), **{"x": X, "channels": ZEROS, **full(64), **arguments})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({"alpha": BYTE}, TypeError, "alpha must be a uint8 array, got int8: quantise it first"),
        ({"gamma": [1]}, TypeError, "gamma must be a int8 array, got list"),
        ({"beta": BYTE.astype(int)}, TypeError, "beta must be a int8 array, got int64"),
        ({"alpha": X}, ValueError, r"alpha must have .* each channel, got shape \(2, 64\)"),
        ({"beta": BYTE}, ValueError, r"beta must .* got shape \(63,\) beside gamma's \(64,\)"),
        ({"alpha": X[0] + np.uint8(4)}, ValueError, "alpha must be in 0..3, got 4"),
    ],
)
def test_channels(arrays, error, message):
    right = {"alpha": ZEROS.alpha, "gamma": ZEROS.gamma, "beta": ZEROS.beta}
    with pytest.raises(error, match=f"^{message}"):
        Channels(**right | arrays)
