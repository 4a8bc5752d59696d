# SPDX-License-Identifier: Apache-2.0
"""Rows at edges of the arithmetic, without a simulator: a constant that is off by one shows.

The models' tables are changed in place of the RTL's; the rows are those of `Unit.edges`.
"""

from __future__ import annotations

import numpy as np
import pytest

from softnorm.models import ailayernorm, e2softmax, exact_softmax, lut2d, rexp, softermax
from softnorm.tb.stimulus.values import RowMaker, batch
from softnorm.units import UNITS
from softnorm.units.edges import Filler, at_sums, picked, ties

SMALL = {"LANES": 8, "MAX_LEN": 64}
each_unit = pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)


def edges(unit, seed=1, **given):
    """(parameters, rows) at edges of a unit."""
    parameters = unit.resolve({**SMALL, **given})
    make = RowMaker(np.random.default_rng(seed), unit, parameters)
    return parameters, list(make.edges())


class Shown:
    """Whether the rows at edges show a change of the model."""

    def __init__(self, monkeypatch, module, name, **given):
        self.patch, self.module, self.name = monkeypatch, module, name
        self.right = getattr(module, name)
        unit = UNITS[module.__name__.rpartition(".")[2]]
        parameters, rows = edges(unit, **given)
        rows = batch(unit, parameters, rows)
        model = unit.model(**parameters)

        def outputs():
            if not unit.channels:
                trace = model.trace(rows.x, rows.mask, **rows.settings)
                yield from (trace.out, trace.exponent)
            for n in range(len(rows.channels)):
                yield unit.traced(parameters, rows.select(rows.channel_set == n)).out

        self.outputs = outputs
        self.expected = list(outputs())

    def __call__(self, instead) -> bool:
        with self.patch.context() as patch:
            patch.setattr(self.module, self.name, instead)
            pairs = zip(self.outputs(), self.expected, strict=True)
            try:
                return any((a != b).any() for a, b in pairs)
            except IndexError:  # a place beyond the next table
                return True

    def hidden(self, table: np.ndarray, every: int = 1, by=(-1, 1)) -> dict[int, list[int]]:
        """Entries (by their number) whose change shows nowhere, by the change; none below 0."""
        found = {step: [] for step in by}
        for step in by:
            for at in range(0, table.size, every):
                changed = table.copy()
                changed.flat[at] += step
                if changed.flat[at] >= 0 and not self(lambda *_, changed=changed: changed):
                    found[step].append(at)
        return found


@each_unit
def test_the_same_rows_whatever_the_seed(unit):
    one, other = (edges(unit, seed)[1] for seed in (1, 2))
    assert len(one) == len(other) > 0
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.x, b.x)
        np.testing.assert_array_equal(a.mask, b.mask)
        assert a.settings == b.settings


@pytest.mark.parametrize("half", [0, 1])
def test_weights_of_e2softmax(monkeypatch, half):
    """Each weight by itself, at every F of both formats; and the constant of all half octaves."""
    shown = Shown(monkeypatch, e2softmax, "weight", EXP_FRAC=half)
    right = shown.right
    for code in range(16 << half):
        for step in (-2, -1, 1, 2):
            if right(code, half) + step >= 0:
                assert shown(lambda y, h=0, c=code, s=step: right(y, h) + (y == c) * s), code
    for constant in (23166, 23167, 23169, 23170) if half else ():
        assert shown(lambda y, h=0, c=constant: np.where(y & 1, c >> (y >> 1), right(y, h)))


def test_decays_of_e2softmax(monkeypatch):
    shown = Shown(monkeypatch, e2softmax, "decay", EXP_FRAC=1)
    for constant in (180, 182):
        assert shown(
            lambda total, y, _=0, c=constant: (total * np.where(y & 1, c, 256)) >> (8 + (y >> 1))
        )


@pytest.mark.parametrize("bits", [1, 4])
def test_divider_of_e2softmax(monkeypatch, bits):
    shown = Shown(monkeypatch, e2softmax, "div_table", DIV_BITS=bits)
    assert shown.hidden(shown.right(bits)) == {-1: [], 1: []}


@pytest.mark.parametrize("w", [2, 4, 8, 15])
def test_exponentials_of_rexp(monkeypatch, w):
    shown = Shown(monkeypatch, rexp, "t1_table", W=w)
    assert shown.hidden(shown.right(w)) == {-1: [], 1: []}


@pytest.mark.parametrize("w", [4, 8])
def test_exponentials_and_columns_of_lut2d(monkeypatch, w):
    for name in ("e_table", "col_table"):
        shown = Shown(monkeypatch, lut2d, name, W=w)
        assert shown.hidden(shown.right(w)) == {-1: [], 1: []}, name


def test_constants_of_softermax(monkeypatch):
    """What shows nowhere shows in no row: fractions are shifted by one at least."""
    wide = {"LANES": 16}
    shown = Shown(monkeypatch, softermax, "pow2_table", **wide)
    assert shown.hidden(shown.right()) == {-1: [2, 3], 1: [1]}
    shown = Shown(monkeypatch, softermax, "reciprocal_table", **wide)
    lines = shown.right()
    j, t = np.divmod(np.arange(256), 32)

    def reciprocals(table):
        return (table[j, 0] - table[j, 1] * t + 128) >> 8

    for step, hidden in shown.hidden(lines).items():
        for at in hidden:
            changed = lines.copy()
            changed.flat[at] += step
            np.testing.assert_array_equal(reciprocals(changed), reciprocals(lines))


def test_exponentials_of_exact_softmax(monkeypatch):
    """An entry is read at one distance of each F that has it. Those of 0 cannot be less."""
    shown = Shown(monkeypatch, exact_softmax, "_by_distance")
    right = shown.right().reshape(8, 256)
    z = np.arange(256) << (exact_softmax.UNIT - np.arange(8)[:, None])
    for at in range(0, 1536, 7):
        first, step = [(a, b) for a, b, _ in exact_softmax.PARTS if a <= at][-1]
        entry = first + (at - first) // step * step
        here = (z >= entry) & (z < entry + step) & (z < 1536)
        for by in (-1, 1):
            if here.any() and right[here][0] + by >= 0:
                wrong = (right + by * here).ravel()
                assert shown(lambda wrong=wrong: wrong), (entry, by)


@pytest.mark.parametrize("ranges", [2, 3])
def test_constants_of_ailayernorm(monkeypatch, ranges):
    """The last entry of RSQRT, 513, makes what 512 and 511 make: A loses 8 bits."""
    shown = Shown(monkeypatch, ailayernorm, "rsqrt_table", CMP_RANGES=ranges)
    assert shown.hidden(shown.right(), every=3, by=(-2, 2)) == {-2: [95] * (95 % 3 == 0), 2: []}
    shown = Shown(monkeypatch, ailayernorm, "compress", CMP_RANGES=ranges)
    right = shown.right

    def changed(u, ranges, at, by):
        y, s = right(u, ranges)
        return np.where(u == at, y + by, y), s

    for at in range(2, 256):
        y = int(right(np.array([at]), ranges)[0][0])
        for by in (-1, 1) if y < 15 else (-1,):
            assert shown(lambda u, r, at=at, by=by: changed(u, r, at, by)), (at, by)


# -------------------------------------------------------------------------------------- the finder


def test_sums_are_filled_exactly_where_they_can_be():
    powers = Filler(1 << np.arange(15, -1, -1))
    for total in (1, 2**14, 2**15 - 1, 3 * 2**15 + 5):
        places, found = powers.below(total, 24)
        assert found == total == sum(1 << (15 - place) for place in places)
    assert Filler(np.array([10, 7])).below(16, 4)[1] == 14
    assert Filler(np.array([10, 7])).below(6, 4) == ([], 0)
    assert len(Filler(np.array([10, 1])).below(39, 5)[0]) <= 5


def test_rows_are_at_a_place_and_below_it():
    weights = np.array([8, 5, 2, 1, 0])
    rows = list(at_sums(weights, np.arange(5), [20, 31], 8))
    sums = [int(weights[row].sum()) for row in rows]
    assert set(sums) == {19, 20, 30, 31}
    assert {row[1] for row in rows} == set(range(5))
    assert all(row[0] == 0 and len(row) <= 8 for row in rows)
    assert list(at_sums(weights, np.arange(5), [], 8)) == []


def test_ties_and_picks():
    above, below = ties(np.array([4, 3, 12, -4, 5]), np.array([3, 3, 3, 3, 0]))
    assert above.tolist() == [0, np.inf, 0, 0, np.inf]
    assert below.tolist() == [np.inf, 1 / 8, np.inf, np.inf, np.inf]
    key, distance = np.array([1, 1, 2, 2]), np.array([0.5, 0.25, np.inf, 3])
    assert picked([(key, distance)]) == [1, 3]
    assert picked([(key, distance)], each=2) == [0, 1, 3]
