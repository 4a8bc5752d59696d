# SPDX-License-Identifier: Apache-2.0
"""Stimulus of the scenarios, without a simulator: directed rows hit their bins."""

from __future__ import annotations

import itertools
import zlib
from fnmatch import fnmatchcase

import hjson
import numpy as np
import pytest

from softnorm.flow.coverage.waivers import WAIVERS
from softnorm.flow.paths import ROOT
from softnorm.flow.regress import plan
from softnorm.tb.stimulus import scenarios
from softnorm.tb.stimulus.scenarios import SCENARIOS, Bench
from softnorm.tb.stimulus.values import MASKS, RUNAWAY, STREAM_STATES, Row, RowMaker, random_resets
from softnorm.units import UNITS
from softnorm.units.unit import BANKS, ChannelSet, Rows, padded_together

SMALL = {"LANES": 8, "MAX_LEN": 64}
TWO = ("e2softmax", "ailayernorm")  # one without a channel table, one with
FIRST_SEED = 123456  # not that of any set

each_unit = pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)


def maker(unit, seed=1, use="", **given):
    rng = np.random.default_rng([seed, zlib.crc32(use.encode())])
    return RowMaker(rng, unit, unit.resolve(given or SMALL))


def batch(unit, drawn: list[Row]) -> Rows:
    """Rows as a monitor would hand them over, cut to the longest that is whole."""
    sets = {id(row.channels): row.channels for row in drawn if row.channels is not None}
    number = {key: at for at, key in enumerate(sets)}
    width = max(len(row.x) for row in drawn)
    names = [setting.name for setting in unit.settings(unit.defaults) if setting.name != "bank"]
    settings = {name: np.array([row.settings[name] for row in drawn]) for name in names}
    places = None
    if sets:
        places = np.array([number[id(row.channels)] for row in drawn])
        settings["bank"] = places % BANKS
    held = [
        ChannelSet({n: np.resize(v, max(width, len(v))) for n, v in one.values.items()})
        for one in sets.values()
    ]
    operands = [[row.operands[place] for row in drawn] for place in range(len(unit.operands))]
    masks = [[row.mask & o.mask for row, o in zip(drawn, some, strict=True)] for some in operands]
    (masks,) = masks or [[row.mask for row in drawn]]
    return Rows(
        x=padded_together([row.x[None] for row in drawn]),
        mask=padded_together([mask[None] for mask in masks]),
        length=np.array([len(row.x) for row in drawn]),
        settings=settings,
        channels=tuple(held),
        channel_set=places,
        operands=tuple(padded_together([o.x[None] for o in some]) for some in operands),
    )


def waived(unit, parameters) -> set[tuple[str, str]]:
    """(group.point, bin) of the waivers of functional coverage that hold for a build."""
    found = set()
    for waiver in hjson.loads(WAIVERS.read_text(encoding="utf-8"))["waivers"]:
        when = waiver.get("when", {}).items()
        if "point" not in waiver or not fnmatchcase(unit.name, waiver.get("unit", "*")):
            continue
        if all(parameters[name] == value for name, value in when):
            found |= {(waiver["point"], bin_) for bin_ in waiver["bin"]}
    return found


@pytest.mark.parametrize(  # the regression of each change holds the goals of all, with one seed
    "unit",
    [
        pytest.param(unit, id=name, marks=[pytest.mark.slow] * (name != TWO[0]))
        for name, unit in UNITS.items()
    ],
)
def test_the_ci_set_reaches_every_bin_of_a_unit_whatever_its_first_seed(unit):
    found: dict[tuple[str, str], int] = {}
    allowed = set()
    ci = plan.load_plan()
    for job in plan.jobs(ci, "ci", FIRST_SEED, unit=unit.name, sim="verilator"):
        parameters = job.parameters
        if job.test in ("errors", "reset") or not ci.has_goals(unit, parameters):  # cut; no goal
            continue
        make = maker(unit, job.seed, f"{unit.name} {job.test} rows", **parameters)
        bench = Bench(make, job.rows, ROOT / "data" / unit.tensors)
        drawn = [row for phase in SCENARIOS[job.test].phases(bench) for row in phase.rows]
        drawn = [row for row in drawn if not row.keep and len(row.x) <= make.max_len]
        drawn = [row for row in drawn if all(len(o.x) == len(row.x) for o in row.operands)]
        coverage = unit.coverage(parameters)
        for at in range(0, len(drawn), 500):
            unit.sample(coverage, parameters, batch(unit, drawn[at : at + 500]))
        allowed |= waived(unit, parameters)
        for name, point in coverage.points.items():
            for bin_, count in zip(point.bins, point.counts.tolist(), strict=True):
                key = (f"{point.group}.{name}", bin_)
                found[key] = found.get(key, 0) + count
    assert {key for key, count in found.items() if not count} - allowed == set()


@each_unit
def test_each_value_of_a_small_setting_comes_in_eight(unit):
    make = maker(unit)
    eight = scenarios._each_value(make)
    assert len(eight) == 8
    for name, values in scenarios._choices(make).items():
        assert len({settings[name] for settings in eight}) == min(8, len(values))


@each_unit
def test_climbs_have_every_size_as_a_rise_and_as_a_distance_to_the_last_beat(unit):
    make = maker(unit)
    rises, below = set(), set()
    for row in scenarios._climbs(make):
        maxima = row.x.astype(int).reshape(-1, make.lanes).max(axis=1)
        assert (np.diff(maxima) >= 0).all()
        some = tuple(row.settings[name] for name in scenarios._choices(make))
        rises |= {(some, rise) for rise in np.diff(maxima).tolist()}
        below |= {(some, size) for size in (maxima[-1] - maxima[:-1]).tolist()}
    wanted = set(scenarios._sizes(make, 84).tolist())
    for settings in {some for some, _ in rises}:
        assert wanted <= {rise for some, rise in rises if some == settings}
        assert wanted <= {size for some, size in below if some == settings}


@each_unit
def test_distances_are_all_there_under_each_setting(unit):
    make = maker(unit)
    high = make.limits[1]
    every = {0, *scenarios._all_distances(make).tolist()}
    seen = {}
    for row in scenarios._distances(make):
        assert row.x.max() == high
        some = tuple(row.settings[name] for name in scenarios._choices(make))
        seen.setdefault(some, set()).update((high - row.x.astype(int)).tolist())
    assert len(seen) == (8 if scenarios._choices(make) else 1)
    assert all(distances == every for distances in seen.values())


@each_unit
@pytest.mark.parametrize("given", [{"LANES": 1, "MAX_LEN": 1}, {"LANES": 2, "MAX_LEN": 3}, SMALL])
@pytest.mark.parametrize("test", [name for name, one in SCENARIOS.items() if not one.tensors])
def test_rows_fit_every_build(unit, given, test):
    make = maker(unit, **given)
    longest = make.max_len
    if test in ("errors", "reset"):  # up to a power of two behind RUNAWAY times MAX_LEN, and a bit
        longest = 2 * RUNAWAY * (make.max_len + make.lanes) + 2 * make.lanes
    elif test == "timing":  # some are too long: an error costs no clock
        longest = make.max_len + 3 * make.lanes
    for phase in SCENARIOS[test].phases(Bench(make, 60, None)):
        for row in phase.rows:
            assert 1 <= len(row.x) <= longest
            assert row.x.shape == row.mask.shape
            assert row.x.dtype == unit.in_dtype


def test_ends_have_right_lengths_and_channels_at_the_ends():
    unit = next(unit for unit in UNITS.values() if unit.channels)
    make = maker(unit)
    rows = list(scenarios._ends(make))
    assert len(rows) == 2 * 3 * 2 ** len(make.drawn)
    assert len({id(row.channels) for row in rows}) == 2
    for row in rows:
        assert row.mask.all()
        assert row.settings.items() >= unit.complete(make.parameters, row.mask).items()
        for name, values in make.drawn.items():
            assert row.settings[name] in (values[0], values[-1])


def test_masks_are_tried_at_every_class_of_length():
    unit = next(iter(UNITS.values()))
    make = maker(unit)
    phase, _ = scenarios._masks(Bench(make, 200, None))
    tried = {(len(row.x), row.origin.split(", mask ")[1]) for row in phase.rows}
    assert tried >= set(itertools.product((1, 4, 7, 8, 9, 17, 63, 64), MASKS))


def test_every_other_reset_aims_at_each_pair_of_states_in_turn():
    first = list(itertools.islice(random_resets(np.random.default_rng(1)), 36))
    assert all(one.aim is None for one in first[::2])
    aims = [one.aim for one in first[1::2]]
    pairs = set(itertools.product(STREAM_STATES, repeat=2))
    assert set(aims[:9]) == set(aims[9:]) == pairs


@pytest.mark.parametrize("lanes", [1, 2, 32, 64])
def test_wrong_tkeeps_have_a_bit_a_lane(lanes):
    make = maker(UNITS["e2softmax"], LANES=lanes, MAX_LEN=4 * lanes + 1)
    phases = SCENARIOS["errors"].phases(Bench(make, 50, None))
    keeps = [keep for phase in phases for row in phase.rows for keep in row.keep.values()]
    assert len(keeps) > 10
    assert all(isinstance(keep, int) and 0 <= keep < 1 << lanes for keep in keeps)


@pytest.mark.parametrize("given", [{"LANES": 1, "MAX_LEN": 1}, {"LANES": 2, "MAX_LEN": 3}, SMALL])
def test_each_dropped_beat_has_a_wrong_tkeep_alone_and_no_row_is_too_long(given):
    """Beats beyond MAX_LEN: tkeep is wrong at each of five places; a lost tlast has any length."""
    make = maker(UNITS["e2softmax"], **given)
    stored = -(-make.max_len // make.lanes)
    alone, beats = set(), []
    for phase in SCENARIOS["errors"].phases(Bench(make, 50, None)):
        for row in phase.rows:
            beats.append(-(-len(row.x) // make.lanes))
            if beats[-1] == stored + 5 and len(row.keep) == 1:
                alone |= {beat - stored for beat in row.keep}
    assert alone >= set(range(5))
    assert max(beats) > RUNAWAY * stored
    # A count of any width from the least up wraps within two beats of a row's end.
    for power in range(stored.bit_length(), (RUNAWAY * stored - 1).bit_length() + 1):
        assert (1 << power) + 2 in beats
