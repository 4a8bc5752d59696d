# SPDX-License-Identifier: Apache-2.0
"""The RTL of every unit under every scenario, on both simulators, at 0 LSB against the models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from softnorm.flow import tools
from softnorm.flow.build.bulk import bulk_build
from softnorm.flow.build.pins import SIMULATORS
from softnorm.flow.paths import DATA
from softnorm.flow.sim import conform
from softnorm.flow.sim.bulk import simulate_bulk
from softnorm.models import vectors
from softnorm.tb.stimulus.scenarios import SCENARIOS
from softnorm.units import UNITS
from softnorm.units.coverage import Coverage

VECTORS = sorted((Path(__file__).parents[1] / "vectors").glob("*.npz"))
SMALL = {"LANES": 8, "MAX_LEN": 64}
PLAIN = [name for name, scenario in SCENARIOS.items() if not scenario.tensors]

# Where the bench is looked at rather than a unit: one without a channel table, one with.
TWO = ("e2softmax", "ailayernorm")
two_units = pytest.mark.parametrize("unit", TWO)
# On the simulator that builds in a second; where it is missing, the other finds the same.
ANY = "icarus" if tools.icarus() else "verilator"


ON_ICARUS = [(TWO[0], "random"), (TWO[1], "random"), (TWO[0], "reset")]
OFTEN = {*ON_ICARUS, *((unit, "errors") for unit in TWO)}


# In bulk all units have all scenarios (test_bulk_scenario.py), and the regression of each change
# has them pin by pin in this build.
@pytest.mark.parametrize(
    ("unit", "test"),
    [
        pytest.param(unit, test, marks=[pytest.mark.slow] * ((unit, test) not in OFTEN))
        for unit in UNITS
        for test in PLAIN
        if test in ("random", "errors") or unit in TWO
    ],
)
def test_scenario(run, sim, unit, test):
    if sim == "icarus" and (unit, test) not in ON_ICARUS:
        pytest.skip("on Icarus this runs in the regression, in corners or with mutations")
    run(sim, test, unit=unit, rows=60, **SMALL)


@pytest.mark.parametrize(
    ("sim", "unit"),
    [
        (ANY, "e2softmax"),
        *(
            pytest.param("verilator", unit, marks=pytest.mark.slow)
            for unit in UNITS
            if not UNITS[unit].baseline
        ),
    ],
)
def test_real_tensors(run, sim, unit, tmp_path):
    """All of them on Verilator, some on Icarus; baselines have theirs through the bulk engine."""
    tensors, step = None, 1
    if sim == "icarus":
        tensors, step = tmp_path / "some.npz", 20
        shipped = vectors.load(DATA / UNITS[unit].tensors)
        some = {name: getattr(shipped, name)[::step] for name in ("x", "length", "mask")}
        each = {name: values[::step] for name, values in shipped.row_settings.items()}
        vectors.save(tensors, replace(shipped, **some, row_settings=each))
    result = run(
        *(sim, "default"),
        unit=unit,
        rows=60 // step + 5,
        tensors=tensors,
        **SMALL | {"MAX_LEN": 384},
    )
    rows = len(vectors.load(result.run.tensors).x)
    assert result.values["rows"] == rows + 60 // step + 5  # every one fits


@pytest.mark.parametrize(
    "unit", [pytest.param(u, marks=[pytest.mark.slow] * (u != "e2softmax")) for u in UNITS]
)
def test_same_seed_same_stimulus_on_both_simulators(run, unit):
    if tools.icarus() is None:
        pytest.skip("Icarus Verilog is not installed")
    seen = {}
    for sim in SIMULATORS:
        result = run(sim, "random", unit=unit, seed=5, rows=20, **SMALL)
        with np.load(result.run.folder / "outputs.npz") as file:
            seen[sim] = (dict(file), result.values["clocks"])
    (first, clocks), (second, other_clocks) = seen.values()
    assert clocks == other_clocks
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


@two_units
def test_another_seed_is_another_stimulus(run, unit):
    rows = []
    for seed in (1, 5):  # which share a simulator
        result = run("verilator", "random", unit=unit, seed=seed, rows=20, **SMALL)
        with np.load(result.run.folder / "outputs.npz") as file:
            rows.append(file["x"].tobytes())
    assert rows[0] != rows[1]


def label(value):
    """A unit or a configuration as a test's name."""
    if isinstance(value, str):
        return value
    return " ".join(f"{k}={v}" for k, v in value.items()) or "defaults"


# Corners of the parameters from each descriptor: no lane tree, one beat a row, a last
# beat that MAX_LEN cuts. The defaults and rows of 4096 on 64 lanes have a test of their own.
CORNERS = [
    (unit, given)
    for unit in UNITS
    for given in UNITS[unit].configurations
    if given.get("MAX_LEN", 4096) < 4096
]
# Shapes of the stream that no descriptor need have: a beat a row on several lanes, 16 lanes, a
# second beat with one element.
SHAPES = [{"LANES": 4, "MAX_LEN": 4}, {"LANES": 16, "MAX_LEN": 100}, {"LANES": 32, "MAX_LEN": 33}]
KINDS = ("random", "errors", "reset", "timing")


def in_corners():
    """Each corner with each kind of test; where Icarus takes long, with one every time, few rows.

    Of features that are off the regression of each change has all kinds; here are their vectors.
    """
    for unit, given in [*CORNERS, *((unit, shape) for shape in SHAPES for unit in UNITS)]:
        feature = bool({*given} & {*UNITS[unit].features})
        large = (given["LANES"] >= 8 and given["MAX_LEN"] > 32) or UNITS[unit].cell
        for test in KINDS:
            slow = feature or (large and test != "random")
            slow |= (large or given in SHAPES) and UNITS[unit].baseline
            slow |= test == "timing" or (test == "errors" and UNITS[unit].baseline)
            slow |= given["LANES"] >= 16 and UNITS[unit].cell  # its lanes know nothing of others
            # A row whose tlast was lost is 20 times as long as the longest.
            slow |= test == "errors" and given["MAX_LEN"] >= 64 * given["LANES"]
            yield pytest.param(
                *(unit, given, test, 10 if large else 20),
                marks=[pytest.mark.slow] * slow,
                id=f"{unit} {label(given)} {test}",
            )


@pytest.mark.parametrize(("unit", "parameters", "test", "rows"), list(in_corners()))
def test_corner_in_bulk(unit, parameters, test, rows):
    unit = UNITS[unit]
    made = bulk_build(unit, unit.resolve(parameters), ANY)
    result = simulate_bulk(made, test, 1, rows=rows)
    assert result.passed, result.report
    assert result.values["rows"] > 0


kinds = pytest.mark.parametrize("test", KINDS)  # on one build in a row


@pytest.mark.slow
@kinds
@pytest.mark.parametrize(("unit", "parameters"), CORNERS, ids=label)
def test_corner_configuration(run, sim, unit, parameters, test):
    """Each on the simulator that has more to say: what resets leave as X is for Icarus to find."""
    wide = parameters["LANES"] >= 16
    if wide and test != "random":
        pytest.skip("shapes of 32 lanes have it, and the regression")
    drawn = test in ("random", "timing") and not UNITS[unit].baseline
    if tools.icarus() and sim != ("verilator" if drawn and not wide else "icarus"):
        pytest.skip("the other simulator runs it")
    run(sim, test, unit=unit, rows=40 if sim == "icarus" else 200, **parameters)


def test_without_an_output_register_the_idle_payload_is_anything(run):
    """And X in a reset at the pins, of the unit whose last memory is read into its last adder."""
    run(ANY, "reset", unit="ailayernorm", rows=30, LANES=2, MAX_LEN=8, IN_REG=0, OUT_REG=0)


@pytest.mark.slow
@kinds
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_corner_shape(run, unit, shape, test):
    run(ANY, test, unit=unit, rows=40, **shape)


@pytest.mark.slow
@two_units
def test_full_rate_and_latency_at_full_size(run, unit):
    """One beat a clock at every row length: each clock is accounted for by the timing test.

    The regression of each change has the defaults of the other units, the full one all corners.
    """
    [wide] = [c for c in UNITS[unit].configurations if c.get("MAX_LEN") == 4096]
    for parameters in ({}, wide):
        result = run("verilator", "timing", unit=unit, **parameters)
        measured = result.values["measured"]
        assert measured["input beats per clock"] == 1.0
        # The smallest seen: of rows of one beat, whatever the passes are.
        assert measured["latency"] == sum(UNITS[unit].latency(result.run.parameters))


@pytest.mark.parametrize(
    ("unit", "length", "most"),
    [
        # In the build of the other tests; longer rows in one of their own.
        pytest.param(
            *(unit, length, most),
            marks=[pytest.mark.slow] * (unit != "e2softmax" or most > SMALL["MAX_LEN"]),
        )
        for unit in UNITS
        if not UNITS[unit].baseline
        for length, most in (
            (1, 64),
            (7, 64),
            (8, 64),
            (9, 64),
            (64, 64),
            (384, 1024),
            (1024, 1024),
        )
    ],
)
def test_one_beat_per_clock(run, tmp_path, unit, length, most):
    """The rate at one row length alone, on real-shaped data."""
    rng = np.random.default_rng(length)
    descriptor = UNITS[unit]
    rows = max(8, 256 // -(-length // 8))
    limits = np.iinfo(descriptor.in_dtype)
    x = rng.normal((limits.min + limits.max) // 2, 20, (rows, length)).round()
    channels = descriptor.draw_channels(rng, length).values if descriptor.channels else {}
    settings = {s.name: s.values[-1] for s in descriptor.settings(descriptor.defaults) if s.drawn}
    file = vectors.Vectors(
        unit=unit,
        parameters={},
        settings=settings,
        x=x.clip(limits.min, limits.max).astype(descriptor.in_dtype),
        channels=dict(channels),
    )
    vectors.save(tmp_path / "rows.npz", file)
    size = {"LANES": 8, "MAX_LEN": most}
    result = run("verilator", "timing_tensors", unit=unit, tensors=tmp_path / "rows.npz", **size)
    assert result.values["measured"]["input beats per clock"] == 1.0
    assert result.values["rows"] == rows


def test_every_unit_has_vectors():
    assert {vectors.load(path).unit for path in VECTORS} == set(UNITS)


each_file = pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)


def is_large(path):
    """Where Icarus takes seconds: rows of hundreds of elements; one unit has them every time."""
    file = vectors.load(path)
    wide = file.x.shape[1]
    return wide > 1024 or (wide > 100 and file.unit != "e2softmax")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * is_large(path))
        for path in VECTORS
    ],
)
def test_conformance_in_bulk(path):
    product = UNITS[vectors.load(path).unit].cell  # of 48 bits in each lane: slow on Icarus
    result = conform.conform_rtl(path, "verilator" if product else ANY, bulk=True)
    assert result.mismatches == 0, result.report
    assert result.rows > 0


@pytest.mark.slow
@each_file
def test_conformance(sim, path):
    """On Icarus, which builds in a second; on Verilator those that other tests have builds of."""
    unit, parameters, _ = conform.load(path)
    built = unit.name in TWO and parameters in [unit.resolve(one) for one in unit.configurations]
    if sim == "verilator" and tools.icarus() and not built:
        pytest.skip("Icarus runs it")
    result = conform.conform_rtl(path, sim)
    assert result.mismatches == 0, result.report
    assert result.rows > 0


@two_units
def test_coverage_of_a_run_is_saved_and_adds_up(run, unit):
    runs = [run("verilator", test, unit=unit, rows=60, **SMALL) for test in ("masks", "reset")]
    parts = [Coverage.load(r.run.folder / "coverage.json") for r in runs]
    whole = Coverage()
    for part in reversed(parts):
        whole.merge(part)
    other = Coverage()
    for part in parts:
        other.merge(part)
    for name, point in whole.points.items():
        np.testing.assert_array_equal(point.counts, sum(p.points[name].counts for p in parts))
        np.testing.assert_array_equal(point.counts, other.points[name].counts)
    assert parts[0].points["mask"].hit == 6
    assert parts[1].points["input at reset"].hit == 3
