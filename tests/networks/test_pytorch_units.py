# SPDX-License-Identifier: Apache-2.0
"""Units on tensors: what `UnitSoftmax` and `UnitNorm` give has the bits of the numpy models."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from softnorm.flow.networks import advice, stand_in  # noqa: E402
from softnorm.flow.pytorch import FittedNorm, UnitNorm, UnitSoftmax, fast, few, modules  # noqa: E402
from softnorm.models import ptf  # noqa: E402
from softnorm.models.e2softmax import E2Softmax  # noqa: E402
from softnorm.models.quantise import quantise_logits  # noqa: E402
from softnorm.units import ROW_UNITS  # noqa: E402

torch.set_num_threads(1)  # tests run side by side

SOFTMAXES = [
    *(name for name, unit in ROW_UNITS.items() if stand_in.is_softmax(unit)),
    "e2softmax LANES=8 DIV_BITS=3 EXP_FRAC=1 fmt=1",
    "e2softmax FORMATS=1 fmt=2 s7=1",
    "rexp W=15 INDEX_MODE=floor",
]
NORMS = [
    *(name for name, unit in ROW_UNITS.items() if not stand_in.is_softmax(unit)),
    "ailayernorm CMP_RANGES=3",
    "ailayernorm EXACT_SQ=1 EPS=1",
]
BUILDS = [
    E2Softmax(LANES=lanes, DIV_BITS=div_bits, EXP_FRAC=exp_frac)
    for lanes, div_bits, exp_frac in itertools.product((1, 8, 64), (1, 2, 3, 4), (0, 1))
]


@pytest.fixture(autouse=True)
def sums_may_be_far_from_1():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", advice.CalibrationWarning)
        yield


def draw_logits(rng, rows, length, frac):
    """Rows of all scales; some saturate, some are ties of the rounding or just below one."""
    x = rng.standard_normal((rows, length)) * rng.choice([0.1, 1, 5, 200], (rows, 1))
    ties = np.round(x * 2.0 ** (frac + 1)) * 2.0 ** -(frac + 1)
    kind = rng.integers(0, 3, (rows, 1))
    x = np.select([kind == 1, kind == 2], [ties, np.nextafter(ties, -np.inf, dtype=np.float32)], x)
    if rng.random() < 0.3:
        x.sort(axis=1)
    return x.astype(np.float32)


def differing(unit, rng):
    """How many elements `fast.e2softmax` has other than the model, over rows at random."""
    count = 0
    for frac, fmt, by_row in itertools.product(range(8), (0, 1), (False, True)):
        rows, length = rng.integers(1, (40, 200))
        x = draw_logits(rng, rows, length, frac)
        mask = rng.random(x.shape) < rng.choice([0.2, 0.9]) if rng.random() < 0.7 else None
        offset = float(rng.choice([0, 1.25, -30.1]))
        fracs = rng.integers(0, 8, rows) if by_row else np.full(rows, frac)
        q = quantise_logits(np.ldexp(x - np.float32(offset), fracs[:, None]), 0)
        want = unit(q, mask, frac=fracs, fmt=fmt).to_real().astype(np.float32)
        live = None if mask is None else torch.from_numpy(mask.astype(np.float32))
        if by_row:
            fracs = torch.from_numpy(fracs.astype(np.int32))[:, None]
            given = (fracs, torch.full((rows, 1), offset))
        else:
            given = (frac, offset)
        got = fast.e2softmax(unit, torch.from_numpy(x), live, *given, fmt)
        count += int((got.numpy() != want).sum())
    return count


@pytest.mark.parametrize("unit", BUILDS, ids=str)
def test_fast_e2softmax_has_the_models_bits(unit):
    assert not differing(unit, np.random.default_rng(1))


def test_long_rows_in_pieces_have_the_models_bits(monkeypatch):
    """Pieces of a row and of several, the last one shorter."""
    rng = np.random.default_rng(1)
    for rows, length, piece in ((7, 4096, 2000), (50, 96, 1000), (50, 70, 1000)):
        for name in ("PIECE", "TOGETHER"):
            monkeypatch.setattr(fast, name, piece * (4 if name == "TOGETHER" else 1))
        monkeypatch.setattr(fast, "EAGER", fast.EAGER._replace(piece=piece))
        unit = E2Softmax(MAX_LEN=4096, EXP_FRAC=1)
        x = draw_logits(rng, rows, length, 3)
        want = unit(quantise_logits(x, 3), frac=3, fmt=1).to_real().astype(np.float32)
        got = fast.e2softmax(unit, torch.from_numpy(x), None, 3, 0.0, 1)
        np.testing.assert_array_equal(got, want)


FAULTS = {
    "no quarter: ties are rounded to even": lambda: {"_QUARTER": 0.0},
    "a mask that is a logit": lambda: {"_LOWEST": 254},
    "another root": lambda: {"ROOT_HALF": 180},
    "a weight less": lambda: {"ONE": 126 + 15},
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name, monkeypatch):
    for what, value in FAULTS[name]().items():
        monkeypatch.setattr(fast, what, value)
    fast._constants.cache_clear()
    try:
        assert differing(E2Softmax(EXP_FRAC=1, DIV_BITS=3), np.random.default_rng(1))
    finally:
        fast._constants.cache_clear()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("words", SOFTMAXES)
def test_a_softmax_on_tensors_is_that_of_the_networks(words, dtype):
    """A head's own F and offset, masks, 0 LSB: `stand_in` runs the numpy models."""
    rng = np.random.default_rng(1)
    for batch, heads, queries, keys in ((2, 3, 5, 70), (1, 4, 1, 33), (3, 2, 9, 64)):
        frac, offset = rng.integers(0, 8, heads), rng.normal(size=heads) * 10
        x = (rng.normal(size=(batch, heads, queries, keys)) * rng.choice([1, 4, 30])).astype(dtype)
        mask = rng.random(x.shape) < 0.8
        unit = UnitSoftmax(words, frac, offset)
        numpys = stand_in.UnitSoftmax(
            *(unit.choice.unit, unit.choice.parameters, frac[None], unit.choice.every_setting),
            offset=offset[None],
        )
        for live in (mask, np.ones_like(mask)):
            got = unit(torch.from_numpy(x), torch.from_numpy(live))
            np.testing.assert_array_equal(got, numpys(x, live, 0))
            assert got.dtype == torch.from_numpy(x).dtype
        np.testing.assert_array_equal(unit(torch.from_numpy(x)), got)


def fitted(rng, rows, channels, rms=False):
    """(a calibrated norm of random parameters, inputs: small, large, level, ties)."""
    x = rng.standard_normal((rows, channels)) * rng.choice([0.01, 1, 20], (1, channels))
    x = (x + rng.choice([0, 3])).astype(np.float32)
    quantiser = ptf.calibrate_min_max(x)
    gamma, beta = rng.normal(size=(2, channels))
    samples = 3 * rng.normal(size=(50, channels))
    step = ptf.calibrate_output(samples, gamma, beta, octaves=int(rng.integers(0, 4)))
    folded = ptf.fold(gamma, beta, quantiser, step, rms)
    offset = rng.integers(2) * rng.normal(size=channels)
    norm = FittedNorm(quantiser, folded, offset, 0.0 if rms else float(rng.choice([0, 0.3])))
    halves = quantiser.dequantise(rng.integers(0, 256, x.shape) + 0.5)
    return norm, np.concatenate([1.3 * x, 0.01 * x, 0 * x, halves])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("words", NORMS)
def test_a_norm_on_tensors_is_that_of_the_networks(words, dtype):
    rng = np.random.default_rng(1)
    for rows, channels in ((1, 2), (30, 65), (9, 1000)):
        for rms in (False, True) if "nnlut" not in words else (False,):
            norm, x = fitted(rng, rows, channels, rms)
            x = x.astype(dtype)
            unit = UnitNorm(words, norm)
            want = norm.run(unit.choice.unit, unit.choice.parameters, x).astype(dtype)
            for some in (x, x[:7]):  # of few rows, too
                got = unit(torch.from_numpy(some))
                np.testing.assert_array_equal(got, want[: len(some)])
                assert got.dtype == torch.from_numpy(x).dtype


def test_a_norm_in_pieces_is_the_same_and_a_planted_fault_is_found(monkeypatch):
    norm, x = fitted(np.random.default_rng(1), 30, 64)
    x = torch.from_numpy(x)
    want = UnitNorm("ailayernorm", norm)(x)
    monkeypatch.setattr(fast, "NORM_PIECE", 7 * 64)
    monkeypatch.setattr(fast, "TOGETHER", 50 * 64)
    assert torch.equal(UnitNorm("ailayernorm", norm)(x), want)
    table = fast.rsqrt_table()
    monkeypatch.setattr(fast, "rsqrt_table", lambda: table + (np.arange(96) > 60))
    assert not torch.equal(UnitNorm("ailayernorm", norm)(x), want)


def of_few_differing(rng):
    """How many elements the functions of few rows have other than those of many.

    They are the models' to the bit by the tests above.
    """
    count = 0
    for build, fmt, frac, real in itertools.product(
        BUILDS[::3], (0, 1), (3, np.array([7, 0, 5])), (torch.float32, torch.float64)
    ):
        words = f"e2softmax LANES={build.LANES} DIV_BITS={build.DIV_BITS} EXP_FRAC={build.EXP_FRAC}"
        unit = UnitSoftmax(f"{words} fmt={fmt}", frac, float(rng.normal()))
        x = draw_logits(rng, 12, int(rng.integers(1, 300)), 3)
        x = torch.from_numpy(np.clip(x, -900, 900)).to(real).view(2, 3, 2, -1)
        got = unit.of_few(x)
        assert got.dtype == real
        unit._few = None
        count += int((got != unit(x)).sum())
    for words, rows, rms in itertools.product(NORMS[-2:], (1, few.ROWS), (False, True)):
        norm, x = fitted(rng, rows, 65, rms)
        unit = UnitNorm(words, norm)
        for part in torch.from_numpy(x).split(rows):
            got = unit.of_few(part)
            count += int((got != unit._fast(part)).sum())
    return count


def test_few_rows_have_the_bits_of_many():
    assert not of_few_differing(np.random.default_rng(1))


FAULTS_OF_FEW = {
    "what is no element counts": {"_ABSENT": 256},
    "a weight less": {"weight": lambda code, exp_frac: fast.ROOT_HALF + 0 * code},
    "another root": {"ROOT_HALF": 180},
    "the variance's limit": {"VAR_LIMIT": 1 << 20},
    "another mean": {"rnd": lambda a, n: (a + (1 << n >> 1) - 1) >> n},
}


@pytest.mark.parametrize("name", FAULTS_OF_FEW)
def test_a_fault_of_few_rows_is_found(name, monkeypatch):
    tables = (few._codes, few._outputs)
    for what, value in FAULTS_OF_FEW[name].items():
        monkeypatch.setattr(few, what, value)
    try:
        for table in tables:
            table.cache_clear()
        assert of_few_differing(np.random.default_rng(1))
    finally:
        for table in tables:
            table.cache_clear()


def test_what_is_not_few_rows_of_plain_numbers_goes_the_other_way():
    """Masked, not finite, large, of other shapes or dtypes, with a gradient."""
    norm, _ = fitted(np.random.default_rng(1), 30, 40)
    softmax, layer = UnitSoftmax("e2softmax", np.array([4, 3])), UnitNorm("ailayernorm", norm)
    x = torch.zeros(2, 2, 40)
    assert softmax.of_few(x) is not None
    assert layer.of_few(x) is not None
    for value in (-torch.inf, torch.inf, torch.nan, 3e38, -6000.0):
        other = x.clone()
        other[0, 1, 2] = value
        assert softmax.of_few(other) is None
        assert value == -6000 or layer.of_few(other) is None
    for other in (x.half(), x.clone().requires_grad_(), torch.zeros(3, 2, 40), x[:0]):
        assert softmax.of_few(other) is None
    for other in (torch.zeros(2, 41), torch.zeros(few.ROWS + 1, 40), x.half()):
        assert layer.of_few(other) is None
    assert softmax.of_few(torch.zeros(2, 2, 2000)) is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_floats_are_computed_as_float32(dtype):
    x = torch.randn(5, 40, generator=torch.Generator().manual_seed(1)).to(dtype)
    norm, _ = fitted(np.random.default_rng(1), 30, 40)
    for unit in (
        UnitSoftmax("e2softmax", 4, 0.3),
        UnitSoftmax("rexp", 4),
        UnitNorm(NORMS[0], norm),
    ):
        got = unit(x)
        assert got.dtype == dtype
        assert torch.equal(got, unit(x.float()).to(dtype))


@pytest.mark.parametrize("words", [*SOFTMAXES, *NORMS])
def test_no_tensor_becomes_an_array(words, monkeypatch):
    """So a unit computes where the tensor is. CUDA is not tried by any test."""
    norm, x = fitted(np.random.default_rng(1), 30, 40)
    unit = UnitNorm(words, norm) if words in NORMS else UnitSoftmax(words, 4)

    def refused(*_, **__):
        raise AssertionError("a tensor becomes an array")

    x = torch.from_numpy(x)
    monkeypatch.setattr(few, "ELEMENTS", 0)  # as where the memory is not the processor's
    unit(x)  # its tables are made
    for name in ("numpy", "__array__", "cpu"):
        monkeypatch.setattr(torch.Tensor, name, refused)
    unit(x)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # by torch of itself
def test_compiled_passes_have_the_same_bits():
    """Rows of whole beats; others are not compiled. Compiling takes half a minute."""
    rng = np.random.default_rng(1)
    for words in ("e2softmax", SOFTMAXES[-3]):
        for frac in (4, np.array([2, 5, 4])):
            plain, compiled = (UnitSoftmax(words, frac, 0.3, compile=c) for c in (False, True))
            for keys in (64, 96, 70):
                x = torch.from_numpy(draw_logits(rng, 30, keys, 4)).view(2, 3, 5, keys)
                x[0, 1, :, 9:40] = -torch.inf
                assert torch.equal(compiled(x), plain(x))


def test_infinite_and_wrong_inputs_are_one_sentence():
    norm, _ = fitted(np.random.default_rng(1), 30, 40)
    for value in (torch.nan, torch.inf, -torch.inf):
        x = torch.zeros(3, 40)
        x[1, 2] = value
        if value != -torch.inf:  # a mask
            for words in ("e2softmax", "rexp"):
                with pytest.raises(ValueError, match=r"x must be finite, got (nan|inf)"):
                    UnitSoftmax(words, 4)(x)
        with pytest.raises(ValueError, match=r"x must be finite, got (nan|-?inf)"):
            UnitNorm("ailayernorm", norm)(x)
        dead = torch.ones(3, 40, dtype=torch.bool)
        dead[1, 2] = False
        assert torch.isfinite(UnitSoftmax("e2softmax", 4)(x, dead)).all()
    with pytest.raises(ValueError, match="logits has rows of length 2000, more than MAX_LEN"):
        UnitSoftmax("e2softmax", 4)(torch.zeros(1, 2000))
    large = torch.full((2, 40), 3e38)  # their sum overflows, none of them does
    assert modules._live(large, None).all()
    assert UnitSoftmax("e2softmax", 4)(torch.zeros(0, 40)).shape == (0, 40)
