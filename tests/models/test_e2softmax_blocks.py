# SPDX-License-Identifier: Apache-2.0
"""E2Softmax's model for accelerators: logits of any width and scale, rows in blocks, formats.

Against a scalar model in plain Python, and against itself where one setting has to give what
another gives. Each check is tried on a model with a planted fault, which it has to see.
"""

from itertools import pairwise

import numpy as np
import pytest

from softnorm.flow.bulk.rtl import rows_of
from softnorm.models import e2softmax
from softnorm.models.e2softmax import SUM_LIMIT, E2Softmax, SoftmaxResult
from softnorm.units.e2softmax import E2SOFTMAX
from softnorm.units.unit import Outputs

from .test_e2softmax import DIV_C, rnd

PLAIN = {"LANES": 4, "MAX_LEN": 128}
WHOLE = {**PLAIN, "IN_W": 32, "SCALE": 1, "FORMATS": 1, "BLOCKS": 1}
CONFIGURATIONS = [
    {**PLAIN, "SCALE": 1},
    {**PLAIN, "BLOCKS": 1, "EXP_FRAC": 1, "DIV_BITS": 3},
    {**PLAIN, "FORMATS": 1, "EXP_FRAC": 1},
    {**PLAIN, "LOG_FIRST": 1},
    {**PLAIN, "LOG_FIRST": 1, "EXP_FRAC": 1, "DIV_BITS": 3},
    {**PLAIN, "LANES": 1, "IN_W": 16, "SCALE": 1, "FORMATS": 1, "BLOCKS": 1, "DIV_BITS": 2},
    {**WHOLE, "EXP_FRAC": 0},
    {**WHOLE, "EXP_FRAC": 1, "DIV_BITS": 4, "LANES": 16},
]
named = pytest.mark.parametrize("given", CONFIGURATIONS, ids=lambda given: "".join(given))


def by_hand(unit, x, mask, frac=0, mult=0, shift=0, fmt=0, s7=0, carry_max=0, carry_sum=0):
    """One row (lists of int and bool) in plain Python: (out, exponent, max, sum)."""
    half, lanes = unit.EXP_FRAC, unit.LANES
    top = 31 if half else 15
    if unit.LOG_FIRST:
        x = [rnd(23 * one, frac + 4 - half) for one in x]

    def log2exp(d):
        if unit.LOG_FIRST:
            return min(top, d)
        if not unit.SCALE:
            return min(top, rnd(23 * d, frac + 4 - half))
        t = d << (16 - shift) if shift <= 16 else d >> (shift - 16)
        return top if t >= 2 ** (13 + half) else min(top, ((128 + mult) * t + 2**15) >> 16)

    def times(value, code):
        """value * 2^-code, or 2^(-code/2), as the sum decays."""
        if not half:
            return value >> code
        return ((181 * value) >> 8) >> ((code - 1) // 2) if code % 2 else value >> (code // 2)

    total, m = carry_sum, carry_max if carry_sum else None
    codes, tops = {}, []
    for start in range(0, len(x), lanes):
        beat = [i for i in range(start, min(start + lanes, len(x))) if mask[i]]
        if beat:
            before, m = m, max([x[i] for i in beat] + ([] if m is None else [m]))
            codes |= {i: log2exp(m - x[i]) for i in beat}
            total = times(total, 0 if before is None else log2exp(m - before))
            total += sum(times(2**15, codes[i]) for i in beat)
            if unit.BLOCKS:
                total = min(2**32 - 1, total)
        tops.append(m)
    if not codes:
        return [0] * len(x), 0, (m if total else 0), total
    leading = total.bit_length() - 1
    ks = max(leading - 15, 0)
    j = (total * 2**unit.DIV_BITS >> leading) % 2**unit.DIV_BITS
    out = [0] * len(x)
    for i, y in codes.items():
        further = m - tops[i // lanes]
        k = min(2 * top, y + (further if unit.LOG_FIRST else log2exp(further)))
        constant = DIV_C[unit.DIV_BITS][j]
        if half and k % 2:
            constant = (181 * constant + 128) >> 8
        octaves = k >> half
        if fmt >= 2:
            value = rnd(181 if half and k % 2 else 256, octaves + 1 + s7)
        else:
            value = rnd(constant, octaves + s7 + (0 if fmt else ks))
        out[i] = min(127 if s7 else 255, value)
    return out, ks if fmt == 1 else 0, m, total


def draw(rng, unit, rows, length):
    """Rows of all the kinds that matter, masks, and settings of a unit."""
    low, high = -(1 << unit.IN_W - 1), (1 << unit.IN_W - 1) - 1
    settings = {}
    if unit.SCALE:
        settings["mult"] = rng.integers(0, 128, rows)
        settings["shift"] = rng.integers(0, 64, rows)
        width = np.exp2(settings["shift"] - 5.0)  # of logits that these scales tell apart
    else:
        settings["frac"] = rng.integers(0, 8, rows)
        width = np.exp2(settings["frac"] + 1.0)
    spread = (width * rng.choice([0.1, 1, 4, 1000], rows))[:, None]
    centre = rng.choice([low, 0, high], rows)[:, None]
    x = np.clip(np.rint(rng.normal(centre, spread, (rows, length))), low, high)
    kind = rng.integers(0, 8, rows)
    x[kind == 0] = np.sort(x[kind == 0], axis=1)  # the maximum grows and grows
    x[kind == 1] = rng.choice([low, high], (np.sum(kind == 1), length))
    mask = rng.random((rows, length)) < rng.choice([0, 0.1, 0.9, 1], rows)[:, None]
    settings["fmt"] = rng.integers(0, 4 if unit.FORMATS else 2, rows)
    if unit.FORMATS:
        settings["s7"] = rng.integers(0, 2, rows)
    if unit.BLOCKS:
        near = np.clip(x[:, 0] + np.rint(rng.normal(0, spread[:, 0])), low, high)
        settings["carry_max"] = np.where(rng.random(rows) < 0.2, low, near).astype(np.int64)
        sums = (0, 1, 3, 2**15 - 1, 2**15, 2**31, SUM_LIMIT - 2**15, SUM_LIMIT)
        settings["carry_sum"] = rng.choice(np.array(sums), rows)
    return x.astype(unit.in_dtype), mask, settings


def against_hand(unit, rows=200, seed=1):
    """Whether a call and a trace give what the scalar model gives."""
    rng = np.random.default_rng(seed)
    for length in (1, unit.LANES, 37):
        x, mask, settings = draw(rng, unit, rows, length)
        results = unit(x, mask, **settings), unit.trace(x, mask, **settings)
        for row in range(rows):
            chosen = {name: int(value[row]) for name, value in settings.items()}
            want = by_hand(unit, x[row].tolist(), mask[row].tolist(), **chosen)
            for got in results:
                if (got.out[row].tolist(), int(got.exponent[row])) != want[:2]:
                    return False
                if unit.BLOCKS and (int(got.out_max[row]), int(got.out_sum[row])) != want[2:]:
                    return False
    return True


@named
def test_scalar_model(given):
    assert against_hand(E2Softmax(**given))


def faulty(monkeypatch, **changes):
    for name, change in changes.items():
        monkeypatch.setattr(e2softmax, name, change)


def _floor_scaled(d, mult, shift, exp_frac=0):
    top = 31 if exp_frac else 15
    t = (d << np.maximum(16 - shift, 0)) >> np.maximum(shift - 16, 0)
    return np.minimum(top, ((128 + mult) * np.minimum(t, 1 << 14)) >> 16)


def _rounded_shift(d, mult, shift, exp_frac=0):
    top = 31 if exp_frac else 15
    t = np.ldexp(d.astype(float), 16 - shift) + 0.5
    return np.minimum(top, rnd((128 + mult) * np.minimum(t, 1 << 14).astype(np.int64), 16))


@pytest.mark.parametrize(
    "changes",
    [
        {"SUM_LIMIT": 1 << 40},
        {"UNNORMALISED": 3},
        {"log2exp_scaled": _floor_scaled},
        {"decay": lambda total, code, exp_frac=0: -(-total >> (code >> exp_frac))},
    ],
    ids=["no saturation", "fmt 2 as 1", "product floored", "decay"],
)
def test_the_scalar_model_sees_planted_faults(monkeypatch, changes):
    faulty(monkeypatch, **changes)
    assert not all(against_hand(E2Softmax(**given)) for given in CONFIGURATIONS[-2:])


def _papers_divider(self, total):
    """As if no sum were below 2^15, which is so without a carry."""
    leading = np.maximum(np.frexp(np.maximum(total, 1) * 1.0)[1] - 1, 15).astype(np.int64)
    return leading - 15, (total >> (leading - self.DIV_BITS)) & ((1 << self.DIV_BITS) - 1)


def _exponent_of_a_carry(self, x, mask, settings, right=E2Softmax._trace):
    trace = right(self, x, mask, settings)
    trace.exponent[:] = np.where(settings["fmt"] == 1, trace.ks, 0)
    return trace


def _limit_255(self, x, mask, settings, right=E2Softmax._trace):
    more = {**settings, "s7": np.zeros_like(settings["s7"])}
    trace = right(self, x, mask, more)
    trace.out[:] = np.where(settings["s7"][:, None] == 1, rnd(trace.out.astype(int), 1), trace.out)
    return trace


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ("_divider", _papers_divider),
        ("_trace", _exponent_of_a_carry),
        ("_trace", _limit_255),
    ],
)
def test_the_scalar_model_sees_planted_faults_of_methods(monkeypatch, method, wrong):
    monkeypatch.setattr(E2Softmax, method, wrong)
    assert not all(against_hand(E2Softmax(**given)) for given in CONFIGURATIONS[-3:])


@named
def test_rows_by_themselves_and_what_masked_elements_hold(given, monkeypatch):
    """A row does not depend on the others, masked values, memory order or blocks of rows."""
    unit, rng = E2Softmax(**given), np.random.default_rng(2)
    x, mask, settings = draw(rng, unit, 12, 50)
    want = unit(x, mask, **settings)

    def check(got, rows=slice(None)):
        for name in ("out", "exponent", "out_max", "out_sum"):
            if getattr(want, name) is not None:
                assert (getattr(got, name) == getattr(want, name)[rows]).all(), name

    ends = np.iinfo(unit.in_dtype)
    other = rng.integers(ends.min, ends.max, x.shape, x.dtype, endpoint=True)
    check(unit(np.where(mask, x, other), mask, **settings))
    check(unit(np.asfortranarray(x), np.asfortranarray(mask), **settings))
    monkeypatch.setattr(e2softmax, "BLOCK", 150)
    check(unit(x, mask, **settings))
    for row in range(len(x)):
        one = {name: int(value[row]) for name, value in settings.items()}
        check(unit(x[row : row + 1], mask[row : row + 1], **one), slice(row, row + 1))
    none = unit(x[:0], **{name: value[:0] for name, value in settings.items()})
    assert none.out.shape == (0, 50)
    assert none.to_real().shape == (0, 50)


# --- identities -----------------------------------------------------------------------------------


def papers_scale(rows=100):
    """Whether the papers' settings, as a scale, give the papers' bits."""
    rng = np.random.default_rng(3)
    for exp_frac in (0, 1):
        sizes = {"LANES": 8, "EXP_FRAC": exp_frac}
        plain, scaled = E2Softmax(**sizes), E2Softmax(**sizes, SCALE=1)
        wide = E2Softmax(**sizes, SCALE=1, IN_W=32)
        x, mask, settings = draw(rng, plain, rows, 61)
        want = plain(x, mask, **settings)
        scale = {"mult": 56, "shift": settings["frac"] + 7 - exp_frac, "fmt": settings["fmt"]}
        for got in (scaled(x, mask, **scale), wide(x.astype(np.int32), mask, **scale)):
            if (got.out != want.out).any() or (got.exponent != want.exponent).any():
                return False
    return True


def test_a_scale_that_is_a_frac():
    assert papers_scale()
    for exp_frac in (0, 1):
        for frac in range(8):
            d = np.arange(256)
            got = e2softmax.log2exp_scaled(d, 56, frac + 7 - exp_frac, exp_frac)
            assert (got == e2softmax.log2exp(d, frac, exp_frac)).all()


def test_the_identity_of_scales_sees_a_planted_fault(monkeypatch):
    faulty(monkeypatch, log2exp_scaled=_floor_scaled)
    assert not papers_scale()


def edges_of_codes():
    """Whether codes change at the differences of logits at which they do in plain integers."""
    rng = np.random.default_rng(4)
    for exp_frac in (0, 1):
        top = 31 if exp_frac else 15

        def by_hand(d, mult, shift, exp_frac=exp_frac, top=top):
            t = d * 2**16 // 2**shift
            large = t >= 2 ** (13 + exp_frac)
            return top if large else min(top, ((128 + mult) * t + 2**15) // 2**16)

        mults = [0, 127, *rng.integers(0, 128, 600).tolist()]
        shifts = [*range(64), *rng.integers(5, 36, 538).tolist()]
        for mult, shift, code in zip(mults, shifts, rng.integers(1, top + 1, 602), strict=True):
            low, high = 0, 2**33
            while high - low > 1:  # the first d of this code, or more
                middle = (low + high) // 2
                low, high = (
                    (low, middle) if by_hand(middle, mult, shift) >= code else (middle, high)
                )
            d = np.unique([0, 1, low, min(high, 2**33 - 1), 2**32 - 1, 2**33 - 1])
            want = [by_hand(one, mult, shift) for one in d.tolist()]
            if e2softmax.log2exp_scaled(d, mult, shift, exp_frac).tolist() != want:
                return False
    return True


def test_codes_change_where_they_do_in_plain_integers():
    assert edges_of_codes()


@pytest.mark.parametrize("wrong", [_floor_scaled, _rounded_shift])
def test_the_edges_of_codes_see_planted_faults(monkeypatch, wrong):
    faulty(monkeypatch, log2exp_scaled=wrong)
    assert not edges_of_codes()


def splits(unit, rows=40, seed=5):
    """Whether rows in pieces, cut between any beats, end in the state of whole rows."""
    rng = np.random.default_rng(seed)
    length = 29 * unit.LANES + unit.LANES // 2 + 1
    x, mask, settings = draw(rng, unit, rows, length)
    mask[:, : 3 * unit.LANES] &= rng.random((rows, 1)) < 0.5
    whole = unit(x, mask, **settings)
    for pieces in (2, 5, 30):
        cuts = rng.choice(np.arange(1, 30), pieces - 1, replace=False)
        edges = [0, *sorted(cuts * unit.LANES), length]
        now = dict(settings)
        for start, end in pairwise(edges):
            part = unit(x[:, start:end], mask[:, start:end], **now)
            now |= {"carry_max": part.out_max, "carry_sum": part.out_sum}
        if (part.out_max != whole.out_max).any() or (part.out_sum != whole.out_sum).any():
            return False
    return True


@pytest.mark.parametrize("given", [one for one in CONFIGURATIONS if "BLOCKS" in one])
def test_any_split_ends_in_the_same_state(given):
    assert splits(E2Softmax(**{**given, "MAX_LEN": 1024}))


@pytest.mark.parametrize("fault", ["max", "saturated"])
def test_the_splits_see_planted_faults(monkeypatch, fault):
    """A state that is one too low in a block's maximum; one that saturates only at a row's end."""
    right = E2Softmax._trace

    def wrong(self, x, mask, settings):
        if fault == "max":
            lower = np.maximum(settings["carry_max"] - 1, -(1 << self.IN_W - 1))
            return right(self, x, mask, {**settings, "carry_max": lower})
        monkeypatch.setattr(e2softmax, "SUM_LIMIT", 1 << 40)
        trace = right(self, x, mask, settings)
        trace.sum[:] = np.minimum(trace.sum, (1 << 32) - 1)
        return trace

    monkeypatch.setattr(E2Softmax, "_trace", wrong)
    assert not all(
        splits(E2Softmax(**{**given, "MAX_LEN": 1024}), seed=seed)
        for given in CONFIGURATIONS[-3:]
        for seed in range(3)
    )


def test_blocks_and_formats_that_are_not_used_change_nothing():
    rng = np.random.default_rng(7)
    for exp_frac in (0, 1):
        sizes = {"LANES": 8, "EXP_FRAC": exp_frac, "DIV_BITS": 2}
        plain, more = E2Softmax(**sizes), E2Softmax(**sizes, BLOCKS=1, FORMATS=1)
        x, mask, settings = draw(rng, plain, 50, 77)
        want, got = plain(x, mask, **settings), more(x, mask, **settings)
        assert (got.out == want.out).all()
        assert (got.exponent == want.exponent).all()
        assert (got.out_sum == plain.trace(x, mask, **settings).sum).all()
        live = np.where(mask, x, np.int8(-128)).max(axis=1)
        assert (got.out_max == np.where(mask.any(axis=1), live, 0)).all()
        assert want.out_max is None
        assert want.out_sum is None


def test_formats():
    """3 acts as 2; unnormalised, the maximum is 1; s7 is half, real values stay."""
    rng = np.random.default_rng(8)
    unit = E2Softmax(**{**WHOLE, "EXP_FRAC": 1})
    x, mask, settings = draw(rng, unit, 80, 50)
    got = {fmt: unit(x, mask, **{**settings, "fmt": fmt}) for fmt in range(4)}
    assert (got[3].out == got[2].out).all()
    assert (got[3].exponent == got[2].exponent).all()
    x, scale = np.arange(-40, 1, dtype=np.int32)[None], {"mult": 56, "shift": 10}
    unit = E2Softmax(LANES=64, IN_W=32, SCALE=1, FORMATS=1, EXP_FRAC=1)
    full, half = (unit(x, fmt=2, s7=s7, **scale) for s7 in (0, 1))
    assert full.out[0, -1] == 128
    assert full.to_real()[0, -1] == half.to_real()[0, -1] == 1
    assert full.half_lsb().tolist() == [1 / 256]
    assert half.half_lsb().tolist() == [1 / 128]
    for fmt in (0, 1):
        full, half = (unit(x, fmt=fmt, s7=s7, **scale) for s7 in (0, 1))
        assert half.out.max() <= 127
        assert np.abs(full.to_real() - half.to_real()).max() <= half.half_lsb()[0] + 1e-12
    one = unit(x[:, -1:], fmt=0, s7=1, **scale)
    assert one.out[0, 0] == 105  # rnd(209 / 2)
    mixed = unit(
        np.repeat(x, 4, axis=0), fmt=np.array([0, 1, 2, 2]), s7=np.array([0, 1, 0, 1]), **scale
    )
    assert mixed.bits.tolist() == [8, 7, 7, 6]


def test_real_values_of_other_fraction_bits():
    result = SoftmaxResult(
        np.full((2, 1), 64, np.uint8), np.array([0, 1], np.int8), np.array([7, 6])
    )
    assert result.to_real().tolist() == [[0.5], [0.5]]


def test_a_masked_block_hands_its_carry_on():
    unit = E2Softmax(**WHOLE)
    x, mask = np.full((3, 9), 5, np.int32), np.zeros((3, 9), bool)
    carry = {"carry_max": np.array([-7, 9, 9]), "carry_sum": np.array([1 << 20, 3, 0])}
    result = unit(x, mask, mult=1, shift=2, fmt=1, **carry)
    assert not result.out.any()
    assert not result.exponent.any()
    assert result.out_max.tolist() == [-7, 9, 0]
    assert result.out_sum.tolist() == [1 << 20, 3, 0]


def test_a_scale_between_powers_of_two():
    """A scale of 0.1: right is 165, 61, 22, 8; the nearest power of two gives 184, 53, 15, 4."""
    x = np.array([[127, 117, 107, 97]], np.int8)
    exact = np.exp((x - 127.0) / 10)
    exact /= exact.sum()
    unit = E2Softmax(LANES=4, SCALE=1, EXP_FRAC=1, DIV_BITS=4)
    scale = 0.1 * np.log2(np.e) * 2  # M * 2^-9
    got = unit(x, mult=round(scale * 512) - 128, shift=9)
    near = E2Softmax(LANES=4, EXP_FRAC=1, DIV_BITS=4)(x, frac=3)
    assert np.abs(got.to_real() - exact).sum() < np.abs(near.to_real() - exact).sum() / 2


STEPS = np.random.default_rng(1).uniform(-30, 4, 500)


@pytest.mark.parametrize("half", [0, 1])
def test_settings_of_any_step_are_the_nearest(half):
    """M within half a step of 128 to 255; the step of a power of two's 23/16 gives its settings."""
    unit = E2Softmax(SCALE=1, EXP_FRAC=half)
    steps = np.exp(STEPS)
    octaves = steps * (1 + half) * np.log2(np.e)
    found = unit.scale_of(steps)
    got = (128 + found["mult"]) * np.ldexp(1.0, -found["shift"])
    assert (np.abs(got / octaves - 1) <= 1 / 256).all()
    assert {found["mult"].min(), found["mult"].max()} == {0, 127}
    papers = unit.scale_of(23 / 16 * np.log(2) * np.ldexp(1.0, -np.arange(8)))
    assert papers["mult"].tolist() == [56] * 8
    assert papers["shift"].tolist() == [f + 7 - half for f in range(8)]
    far = unit.scale_of(1e-30)
    assert (far["mult"], far["shift"]) == (0, 63)
    for wrong in (0.0, -1.0, np.nan, np.inf, [1.0, 0.0]):
        with pytest.raises(ValueError, match="step must be finite and above 0"):
            unit.scale_of(wrong)
    with pytest.raises(
        ValueError, match=r"step must be below (?:177|88\.5), got 200: no M holds it"
    ):
        unit.scale_of(200)


def test_what_outputs_of_every_format_are_worth():
    """By the descriptor, which is given fmt and s7 of the rows, as the model has them."""
    unit, parameters = E2SOFTMAX, E2SOFTMAX.resolve({"FORMATS": 1, "EXP_FRAC": 1})
    x = np.random.default_rng(1).integers(-40, 41, (8, 30)).astype(np.int8)
    settings = {"frac": 3, "fmt": np.arange(8) % 4, "s7": np.arange(8) // 4}
    want = unit.model(**parameters)(x, **settings)
    outputs = Outputs(want.out, want.exponent)
    np.testing.assert_array_equal(
        unit.to_real(parameters, outputs, settings=settings), want.to_real()
    )
    for row, fmt in enumerate(settings["fmt"]):  # a byte and 7 bits mean the same
        right = 1 if fmt < 2 else want.to_real()[row].sum()
        assert abs(want.to_real()[row].sum() / right - 1) < 0.25
    planted = unit.to_real(parameters, outputs, settings={**settings, "s7": 0})
    np.testing.assert_array_equal(planted[4:] * 2, want.to_real()[4:])
    assert (planted[4:] != want.to_real()[4:]).any()
    with pytest.raises(ValueError, match="from fmt and s7: give the rows' settings"):
        unit.to_real(parameters, outputs)


def test_figures_of_outputs_of_7_bits_are_of_their_own_step():
    """Accuracy of a row of 7 bits, and what an output of 0 may stand for there."""
    unit, parameters = E2SOFTMAX, E2SOFTMAX.resolve({"FORMATS": 1, "EXP_FRAC": 1})
    x = np.random.default_rng(1).integers(-60, 41, (50, 30)).astype(np.int8)
    found = {}
    for s7 in (0, 1):
        rows = rows_of(unit, parameters, x, settings={"frac": 3, "fmt": 1, "s7": s7})
        found[s7] = unit.accuracy(parameters, rows, unit.predict(parameters, rows))
    assert abs(found[1]["row_sum_error_mean"]) < 0.1  # not the half
    assert found[0]["mean_abs_error"] < found[1]["mean_abs_error"] < 4 * found[0]["mean_abs_error"]


def test_long_rows_saturate_where_the_page_says():
    """A second block of equal logits: the state stays at 2^32 - 1, and still ends a row."""
    unit = E2Softmax(LANES=64, MAX_LEN=65536, BLOCKS=1)
    x = np.zeros((1, 65536), np.int8)
    one = unit(x, frac=0)
    assert one.out_sum[0] == 1 << 31
    two = unit(x, frac=0, carry_max=one.out_max, carry_sum=one.out_sum, fmt=1)
    assert two.out_sum[0] == SUM_LIMIT
    assert two.exponent[0] == 16
    assert (two.out == 145).all()


# --- octaves first --------------------------------------------------------------------------------


def monotone():
    """Whether outputs never fall where logits rise, and do not depend on where beats fall."""
    rng = np.random.default_rng(9)
    for exp_frac in (0, 1):
        x, mask, settings = draw(rng, E2Softmax(EXP_FRAC=exp_frac), 100, 64)
        outs = [
            E2Softmax(lanes, 64, EXP_FRAC=exp_frac, LOG_FIRST=1)(x, mask, **settings).out
            for lanes in (1, 8, 64)
        ]
        order = np.argsort(np.where(mask, x, np.int8(-128)), axis=1, kind="stable")
        rising = np.take_along_axis(np.where(mask, outs[0], 0), order, axis=1).astype(int)
        unmasked = np.take_along_axis(mask, order, axis=1)
        rising = np.where(unmasked, rising, np.maximum.accumulate(rising, axis=1))
        if (np.diff(rising, axis=1) < 0).any() or (outs[1] != outs[2]).any():
            return False
    return True


def test_octaves_first_are_monotone():
    assert monotone()


def test_monotone_sees_the_papers_order(monkeypatch):
    right = E2Softmax.__post_init__

    def logits_first(self):
        right(self)
        object.__setattr__(self, "LOG_FIRST", 0)

    monkeypatch.setattr(E2Softmax, "__post_init__", logits_first)
    assert not monotone()


def test_octaves_first_count_on_beyond_the_top_code():
    """A beat's codes stop at the top; the way to a later maximum, and the sum, at twice that."""
    unit = E2Softmax(LANES=1, LOG_FIRST=1)
    trace = unit.trace(np.array([[-12, 0, 50]], np.int8), frac=0)
    assert trace.correction1.tolist() == [[0, 15, 15]]
    assert trace.correction2.tolist() == [[30, 30, 0]]  # 89 and 72 octaves
    near = unit.trace(np.array([[-12, 0]], np.int8), frac=0)
    assert near.correction2.tolist() == [[17, 0]]
    assert near.k.tolist() == [[17, 0]]
    both = E2Softmax(LANES=2, LOG_FIRST=1).trace(np.array([[-12, -20, 50, 50]], np.int8), frac=0)
    assert both.k.tolist() == [[30, 30, 0, 0]]


# --- merging --------------------------------------------------------------------------------------


def test_correction_and_reciprocal():
    unit = E2Softmax(**{**WHOLE, "DIV_BITS": 2})
    before, after = np.array([0, -5, -16, -1000, 3]), np.array([0, 11, 0, 1000, 3])
    scale = {"mult": 0, "shift": 10}  # 1/8 an octave, or a quarter of half an octave
    assert unit.correction(before, after, **scale).tolist() == [1, 2**-2, 2**-2, 2**-15, 1]
    half = E2Softmax(**{**WHOLE, "EXP_FRAC": 1})
    after = np.array([8, 19, -8, 1000, 3])
    want = [181 / 256, 181 / 512, 181 / 256, 181 / 256 * 2**-15, 1]
    assert half.correction(before, after, **scale).tolist() == want
    # Bins of 1 + s = 1, 1.25, .. 1.75, then ks = 1, a state that no unit hands out, and none.
    sums = np.array([*(4 + j << 13 for j in range(4)), 1 << 16, 3, 0])
    want = [*(c / 256 for c in DIV_C[2]), 228 / 512, 158 / 256, 228 / 256]
    assert unit.reciprocal(sums).tolist() == want


# --- what it refuses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"IN_W": 16}, ValueError, "IN_W = 16 needs SCALE = 1: set it, or IN_W = 8"),
        ({"IN_W": 32, "BLOCKS": 1}, ValueError, "IN_W = 32 needs SCALE = 1"),
        ({"IN_W": 12}, ValueError, "IN_W must be one of 8, 16, 32, got 12"),
        ({"IN_W": 8.0}, TypeError, "IN_W must be of type int"),
        ({"SCALE": 2}, ValueError, "SCALE must be in 0..1, got 2"),
        ({"BLOCKS": True}, TypeError, "BLOCKS must be of type int, got True"),
        (
            {"LOG_FIRST": 1, "SCALE": 1, "IN_W": 16},
            ValueError,
            "LOG_FIRST = 1 cannot be with SCALE",
        ),
        ({"LOG_FIRST": 1, "BLOCKS": 1}, ValueError, "LOG_FIRST = 1 cannot be with BLOCKS = 1: set"),
        ({"LOG_FIRST": 1, "FORMATS": 1}, ValueError, "LOG_FIRST = 1 cannot be with FORMATS = 1"),
        ({"FORMATS": -1}, ValueError, "FORMATS must be in 0..1, got -1"),
    ],
)
def test_parameters(parameters, error, message):
    with pytest.raises(error, match=f"^{message}"):
        E2Softmax(**parameters)


BYTES = np.zeros((2, 8), np.int8)


@pytest.mark.parametrize("run", [E2Softmax.__call__, E2Softmax.trace])
@pytest.mark.parametrize(
    ("parameters", "arguments", "error", "message"),
    [
        ({}, {}, TypeError, "frac must be given for a unit with SCALE = 0"),
        ({}, {"frac": 1, "mult": 3}, ValueError, "mult is a setting of SCALE = 1: build the unit"),
        ({}, {"frac": 1, "shift": 3}, ValueError, "shift is a setting of SCALE = 1: build"),
        ({}, {"frac": 1, "s7": 1}, ValueError, "s7 is a setting of FORMATS = 1: build"),
        ({}, {"frac": 1, "fmt": 2}, ValueError, "fmt must be in 0..1, got 2"),
        ({}, {"frac": 1, "carry_max": -1}, ValueError, "carry_max is a setting of BLOCKS = 1"),
        ({}, {"frac": 1, "carry_sum": 1}, ValueError, "carry_sum is a setting of BLOCKS = 1"),
        ({"SCALE": 1}, {"mult": 1}, TypeError, "shift must be given for a unit with SCALE = 1"),
        ({"SCALE": 1}, {"shift": 1}, TypeError, "mult must be given for a unit with SCALE = 1"),
        ({"SCALE": 1}, {"mult": 128, "shift": 0}, ValueError, "mult must be in 0..127, got 128"),
        ({"SCALE": 1}, {"mult": 0, "shift": 64}, ValueError, "shift must be in 0..63, got 64"),
        (
            {"SCALE": 1},
            {"mult": 1, "shift": 1, "frac": 2},
            ValueError,
            "frac is a setting of SCALE = 0: build the unit so, or leave it out",
        ),
        ({"FORMATS": 1}, {"frac": 0, "fmt": 4}, ValueError, "fmt must be in 0..3, got 4"),
        ({"FORMATS": 1}, {"frac": 0, "s7": 2}, ValueError, "s7 must be in 0..1, got 2"),
        ({"BLOCKS": 1}, {"frac": 0, "carry_max": 128}, ValueError, "carry_max must be in -128..12"),
        (
            {"BLOCKS": 1},
            {"frac": 0, "carry_sum": np.array([0, 1 << 32])},
            ValueError,
            "carry_sum must be in 0..4294967295, got 4294967296",
        ),
        (
            {"IN_W": 16, "SCALE": 1},
            {"mult": 1, "shift": 1},
            TypeError,
            "x must be int16, got int8: quantise it first",
        ),
    ],
)
def test_arguments(run, parameters, arguments, error, message):
    with pytest.raises(error, match=f"^{message}") as caught:
        run(E2Softmax(8, 64, **parameters), BYTES, **arguments)
    assert "\n" not in str(caught.value)


def test_a_setting_that_is_off_may_be_tied_low():
    tied = {"mult": 0, "shift": np.zeros(2, int), "s7": 0, "carry_max": 0, "carry_sum": 0}
    assert (E2Softmax()(BYTES, frac=3, **tied).out == E2Softmax()(BYTES, frac=3).out).all()
