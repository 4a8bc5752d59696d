# SPDX-License-Identifier: Apache-2.0
"""What every model of whole rows promises, whatever it computes: held once, over all units.

A descriptor asks its model for a batch of rows (`Unit.predict`); `through` says how the model is
called for that: the fast call, or `trace`, which keeps every intermediate.
"""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pytest

from softnorm.models import vectors
from softnorm.tb.stimulus.scenarios import rows_of
from softnorm.tb.stimulus.values import RowMaker, batch
from softnorm.units import ROW_UNITS, UNITS

VECTORS = sorted((Path(__file__).parents[1] / "vectors").glob("*.npz"))
CONFIGURATIONS = [
    (unit, given)
    for unit in ROW_UNITS.values()
    for given in unit.configurations
    if unit.resolve(given)["MAX_LEN"] <= 4096
]
each_unit = pytest.mark.parametrize("unit", ROW_UNITS.values(), ids=ROW_UNITS)
each_configuration = pytest.mark.parametrize(
    ("unit", "given"),
    CONFIGURATIONS,
    ids=[
        "-".join([unit.name, *(f"{name}{value}" for name, value in given.items())])
        for unit, given in CONFIGURATIONS
    ],
)


@pytest.fixture(params=["call", "trace"])
def through(request, monkeypatch):
    """through(unit, change): have the model called so, with (x, .., mask) changed first."""

    def set_up(unit, change=lambda arrays: arrays, settings=lambda given: given):
        if unit.cell and request.param == "trace":
            pytest.skip("a cell's model has no trace")
        run = getattr(unit.model, {"call": "__call__", "trace": "trace"}[request.param])

        def called(self, *arrays, **given):
            return run(self, *change(arrays), **settings(given))

        monkeypatch.setattr(unit.model, "__call__", called)

    return set_up


def draw(unit, given=(), rows=40, seed=1, **fixed):
    """(parameters, random rows) of all the kinds that scenarios know."""
    parameters = unit.resolve(dict(given) or {"LANES": 8, "MAX_LEN": 256})
    make = RowMaker(np.random.default_rng(seed), unit, parameters)
    return parameters, batch(unit, parameters, [make.row(**fixed) for _ in range(rows)])


def same(got, want, chosen=slice(None), width=None):
    """Whether outputs are those that `want` has for the chosen rows and the first columns."""
    assert (got.out == want.out[chosen, :width]).all()
    assert (got.exponent == want.exponent[chosen]).all()
    assert (got.err_len is None) == (want.err_len is None)
    if got.err_len is not None:
        assert (got.err_len == want.err_len[chosen]).all()


@each_configuration
def test_a_call_gives_what_trace_gives(unit, given, monkeypatch):
    parameters, rows = draw(unit, given, rows=120)
    called = unit.predict(parameters, rows)
    monkeypatch.setattr(unit.model, "__call__", unit.model.trace)
    same(called, unit.predict(parameters, rows))
    assert called.out.any()


@each_unit
def test_a_row_does_not_depend_on_the_others(unit, through):
    """Settings as an array [rows], and as a plain number for one row."""
    parameters, rows = draw(unit)
    through(unit)
    whole = unit.predict(parameters, rows)
    through(unit, settings=lambda given: {name: int(v[0]) for name, v in given.items()})
    for row in range(len(rows)):
        one = np.array([row])
        same(unit.predict(parameters, rows.select(one)), whole, one)


@each_unit
def test_masked_values_do_not_matter_and_come_out_as_0(unit, through):
    parameters, rows = draw(unit)
    through(unit)
    ends = np.iinfo(unit.in_dtype)
    other = np.random.default_rng(2).integers(
        ends.min, ends.max, rows.x.shape, unit.in_dtype, endpoint=True
    )
    want = unit.predict(parameters, rows)
    changed = dataclasses.replace(rows, x=np.where(rows.mask, rows.x, other))
    same(unit.predict(parameters, changed), want)
    assert not want.out[~rows.mask].any()


@each_unit
def test_no_mask_is_a_mask_of_true(unit, through):
    parameters, rows = draw(unit, length=77, mask="none")
    assert rows.mask.all()
    through(unit)
    want = unit.predict(parameters, rows)
    through(unit, lambda arrays: (*arrays[:-1], None))
    same(unit.predict(parameters, rows), want)


@each_unit
def test_masked_beyond_the_end_is_a_shorter_row(unit, through):
    parameters, rows = draw(unit, length=130)
    through(unit)
    for width in (1, 7, 8, 31, 100):
        rows.mask[:, width:] = False
        want = unit.predict(parameters, rows)
        short = dataclasses.replace(rows, x=rows.x[:, :width], mask=rows.mask[:, :width])
        same(unit.predict(parameters, short), want, width=width)


@each_unit
def test_no_rows(unit, through):
    parameters, rows = draw(unit, length=9)
    through(unit)
    for mask in (lambda arrays: arrays, lambda arrays: (*arrays[:-1], None)):
        through(unit, mask)
        result = unit.predict(parameters, rows.select(np.zeros(0, int)))
        assert result.out.shape == (0, 9)
        assert result.exponent.shape == (0,)


@each_unit
def test_all_masked_rows_are_0(unit, through):
    parameters, rows = draw(unit, mask="all")
    through(unit)
    assert not unit.predict(parameters, rows).out.any()


@each_unit
def test_inputs_may_lie_anyhow_and_stay(unit, through):
    parameters, rows = draw(unit, length=64)
    through(unit)
    want = unit.predict(parameters, rows)

    def fixed(array):
        array = array.copy()
        array.setflags(write=False)
        return array

    for lie in (np.asfortranarray, lambda array: np.repeat(array, 2, axis=-1)[..., ::2], fixed):
        kept = []

        def change(arrays, lie=lie, kept=kept):
            lain = tuple(lie(a) if isinstance(a, np.ndarray) else a for a in arrays)
            kept += [(a, a.copy()) for a in lain if isinstance(a, np.ndarray)]
            return lain

        through(unit, change)
        same(unit.predict(parameters, rows), want)
        assert kept
        assert all((array == before).all() for array, before in kept)


@pytest.mark.parametrize("block", [1, 64, 65, 1000])
@each_unit
def test_blocks_do_not_matter(unit, block, monkeypatch):
    """Fast models work through large batches in blocks."""
    parameters, rows = draw(unit, rows=23)
    whole = unit.predict(parameters, rows)
    names = ("e2softmax", "ailayernorm", "lut_softmax")
    for module in (importlib.import_module(f"softnorm.models.{name}") for name in names):
        monkeypatch.setattr(module, "BLOCK", block)
    same(unit.predict(parameters, rows), whole)


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_conformance(path, through):
    """The vectors, made by other models than these, bit for bit."""
    file = vectors.load(path)
    unit = UNITS[file.unit]
    parameters = unit.resolve(file.parameters)
    through(unit)
    result = unit.predict(parameters, rows_of(unit, parameters, file))
    assert (result.out == file.out).all()
    assert (result.exponent == file.exponent).all()
    assert result.err_len is None or not result.err_len.any()


def test_every_unit_has_vectors():
    count = dict.fromkeys(UNITS, 0)
    for path in VECTORS:
        count[vectors.load(path).unit] += 1
    assert min(count.values()) >= 2


def _first(change):
    return lambda arrays: (change(arrays[0]), *arrays[1:])


def _last(change):
    return lambda arrays: (*arrays[:-1], change(arrays[-1]))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (_first(lambda x: x.tolist()), TypeError, "x must be an array, got list"),
        (_first(lambda x: x.astype(float)), TypeError, "x must be .*, got float64: quantise it fi"),
        (_first(lambda x: x.astype(np.int64)), TypeError, "x must be .*, got int64"),
        (_first(lambda x: x[0]), ValueError, r"x must be 2-D \[rows, length\], got shape \(64,\)"),
        (_first(lambda x: x[:, :0]), ValueError, "x has rows of length 0"),
        (_first(lambda x: np.repeat(x, 2, 1)), ValueError, "x has rows of length 128, more than M"),
        (_last(lambda mask: mask * 1), TypeError, "mask must be a bool array or None, got int64"),
        (_last(lambda mask: mask.tolist()), TypeError, "mask must be a bool array .*, got list"),
        (
            _last(lambda mask: mask[0]),
            ValueError,
            r"mask must have the shape \(3, 64\) of its rows",
        ),
    ],
)
@each_unit
def test_wrong_rows_and_masks_are_one_sentence(unit, change, error, message, through):
    parameters, rows = draw(unit, {"LANES": 8, "MAX_LEN": 64}, rows=3, length=64)
    through(unit, change)
    with pytest.raises(error, match=f"^{message}") as caught:
        unit.predict(parameters, rows)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"LANES": 3}, ValueError, "LANES must be one of 1, 2, 4, 8, 16, 32, 64, got 3"),
        ({"LANES": 8.0}, TypeError, r"LANES must be of type int, got 8\.0"),
        ({"MAX_LEN": 31}, ValueError, "MAX_LEN must be in 32..65536, got 31"),
        ({"MAX_LEN": 65537}, ValueError, "MAX_LEN must be in 32..65536, got 65537"),
    ],
)
@each_unit
def test_wrong_sizes_are_one_sentence(unit, parameters, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        unit.model(**parameters)


@pytest.mark.parametrize("name", ["IN_REG", "OUT_REG"])
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (2, ValueError, "must be in 0..1, got 2"),
        (-1, ValueError, "must be in 0..1, got -1"),
        (True, TypeError, "must be of type int, got True"),
    ],
)
def test_wrong_port_registers_are_one_sentence(name, value, error, message):
    tried = [unit for unit in ROW_UNITS.values() if not unit.cell]
    assert tried
    for unit in tried:
        with pytest.raises(error, match=f"^{name} {message}$"):
            unit.model(**{name: value})


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "must be in 1..2, got 0"),
        (3, ValueError, "must be in 1..2, got 3"),
        (True, TypeError, "must be of type int, got True"),
    ],
)
def test_wrong_numbers_of_banks_are_one_sentence(value, error, message):
    tried = [unit for unit in UNITS.values() if unit.channels]
    assert tried
    for unit in tried:
        with pytest.raises(error, match=f"^BANKS {message}$"):
            unit.model(BANKS=value)
