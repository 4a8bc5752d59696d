# SPDX-License-Identifier: Apache-2.0
"""Scenarios in bulk: the same rows, verdicts, coverage and clocks as pin by pin."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace

import numpy as np
import pytest

from softnorm.flow import tools
from softnorm.flow.build.bulk import bulk_build
from softnorm.flow.build.pins import SIMULATORS, build
from softnorm.flow.bulk.rtl import Instance
from softnorm.flow.sim.bulk import simulate_bulk
from softnorm.flow.sim.simulate import simulate
from softnorm.models import vectors
from softnorm.tb.bulk import beats
from softnorm.tb.bulk.beats import Drive, Job, Room
from softnorm.tb.check.contract import ObservedRow, OutputBeats, StreamShape, collect, expect
from softnorm.tb.check.scoring import Scorer, Timing
from softnorm.tb.stimulus.replay import Stimulus
from softnorm.tb.stimulus.scenarios import SCENARIOS
from softnorm.tb.stimulus.values import STREAM_STATES, Reset, Row, RowMaker, batch
from softnorm.units import UNITS
from softnorm.units.coverage import Coverage
from softnorm.units.unit import ChannelSet, UserField
from tests.rtl.mutations import simulate_mutated

SMALL = {"LANES": 8, "MAX_LEN": 100}
TINY = {"LANES": 4, "MAX_LEN": 32}
PINS = {"LANES": 8, "MAX_LEN": 64}  # of which test_rtl.py has builds
each_unit = pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)


def run_bulk(unit, test, sim="verilator", given=SMALL, rows=60, **how):
    result = simulate_bulk(bulk_build(unit, unit.resolve(given), sim), test, 3, rows=rows, **how)
    assert result.passed, result.report
    return result


def points(result) -> dict[str, list[int]]:
    """Counts of each coverpoint."""
    coverage = Coverage.load(result.run.folder / "coverage.json")
    return {f"{p.group}.{name}": p.counts.tolist() for name, p in coverage.points.items()}


# ------------------------------------------------------------------------------------ the same rows


@pytest.mark.parametrize(
    ("sim", "name", "test", "given"),
    [
        ("verilator", "ailayernorm", "errors", PINS),
        ("verilator", "e2softmax", "random", PINS),
        ("icarus", "e2softmax", "errors", TINY),
    ],
)
def test_a_scenario_is_what_it_is_pin_by_pin(sim, name, test, given):
    """Rows that came out, and every bin but those of where stalls and banks fell."""
    if sim == "icarus" and tools.icarus() is None:
        pytest.skip("Icarus Verilog is not installed")
    unit = UNITS[name]
    pins = simulate(build(unit, unit.resolve(given), sim), test, 3, rows=60)
    assert pins.passed, pins.report
    bulk = run_bulk(unit, test, sim, given)
    for value in ("rows", "elements", "mismatches", "beats", "accuracy"):
        assert bulk.values[value] == pins.values[value], value
    rows, theirs = (np.load(one.run.folder / "outputs.npz") for one in (bulk, pins))
    sets = {column.name for column in unit.channels}
    assert set(rows) == set(theirs)
    # What masked elements hold that a wrong tkeep added is noise.
    np.testing.assert_array_equal(rows["x"] * rows["mask"], theirs["x"] * theirs["mask"])
    for key in set(rows) - sets - {"x", "bank", "channel_set"}:
        np.testing.assert_array_equal(rows[key], theirs[key], key)
    for key in sets:
        np.testing.assert_array_equal(
            rows[key][rows["channel_set"]], theirs[key][theirs["channel_set"]], key
        )
    drawn = ("stalls.", "errors.error x output waits", "settings.bank changes", "length.bank")
    ours, wanted = (
        {n: c for n, c in points(one).items() if not n.startswith(drawn)} for one in (bulk, pins)
    )
    assert ours == wanted


@pytest.mark.parametrize("test", ["errors", "reset", "stalls"])
def test_both_simulators_make_the_same_of_a_scenario(test):
    """To the clock: resets come at the same ones, and find the same under way."""
    if tools.icarus() is None:
        pytest.skip("Icarus Verilog is not installed")
    unit, given = UNITS["ailayernorm"], {"LANES": 4, "MAX_LEN": 8}
    first, second = (run_bulk(unit, test, sim, given, rows=20) for sim in SIMULATORS)
    for value in ("rows", "elements", "beats", "clocks", "resets", "aborted"):
        assert first.values[value] == second.values[value], value
    assert points(first) == points(second)


@each_unit
@pytest.mark.parametrize("test", [one for one in SCENARIOS if not one.endswith("tensors")])
def test_every_scenario_passes_in_bulk(unit, test):
    result = run_bulk(unit, test)
    assert result.values["mismatches"] == 0
    assert result.values["rows"] > 5
    if test == "timing":
        assert result.values["measured"]["latency"] >= sum(unit.latency(unit.resolve(SMALL)))
    if test == "stalls":
        seen = {name: c for name, c in points(result).items() if name.startswith("stalls.")}
        assert all(all(seen[f"stalls.{name}"]) for name in ("gaps", "input waits", "output waits"))
    if test == "reset":
        assert result.values["resets"] > 5
        assert result.values["aborted"] > 5


def test_a_stimulus_from_a_file_is_driven(tmp_path):
    unit = UNITS["e2softmax"]
    drawn = run_bulk(unit, "errors", given=TINY)
    file = tmp_path / "stimulus.json"
    file.write_text(Stimulus.of(drawn.run).to_json(drawn.run))
    again = run_bulk(unit, "errors", given=TINY, stimulus=file)
    assert points(again) == points(drawn)
    assert again.values["clocks"] == drawn.values["clocks"]
    assert f"STIMULUS={file} BULK=1" in again.run.rerun


# --------------------------------------------------------------------------------- what is driven


def drive(unit, parameters, rows: list[Row], how: Drive, sim="verilator"):
    """(job, what moved) of rows."""
    job = Job.of(unit, parameters, batch(unit, parameters, rows), how, 1)
    with Instance(bulk_build(unit, parameters, sim)) as instance:
        moved = instance.simulator.drive(job, reset=True)
    assert not moved.error
    return job, moved


def test_each_phase_has_its_own_stalls(sim):
    unit = UNITS["e2softmax"]
    parameters = unit.resolve(TINY)
    make = RowMaker(np.random.default_rng(1), unit, parameters)
    rows = [make.row(length=32) for _ in range(40)]
    phases = ((0, "none", "none"), (10, "alternate", "none"), (20, "none", "starved"))
    phases += ((30, "none", "none"),)
    job, _ = drive(unit, parameters, rows, Drive(phases, clocks=True), sim)
    shown, moved = job.in_clocks.astype(int).reshape(40, 8, 2).transpose(2, 0, 1)
    gaps = (shown[:, 1:] - moved[:, :-1] - 1).sum(axis=1)
    assert not gaps[:10].any()
    assert (gaps[10:20] == 7).all()  # a clock before each beat
    assert not gaps[20:].any()
    shown, moved, _ = job.out_clocks.astype(int).reshape(40, 8, 3).transpose(2, 0, 1)
    waits = (moved - shown).sum(axis=1)
    assert not waits[:9].any()
    assert (waits[21:26] > 8 * 8).all()  # some come out when the phase is over already
    assert not waits[32:].any()


def test_a_sink_waits_for_tvalid(sim):
    """No tready without tvalid, which costs no clock; a pattern costs as many as it says."""
    unit = UNITS["exact_softmax"]
    parameters = unit.resolve(SMALL if sim == "verilator" else TINY)
    make = RowMaker(np.random.default_rng(1), unit, parameters)
    rows = [make.row(length=32) for _ in range(20)]
    took = {}
    for sink in ("none", "none after tvalid", "alternate after tvalid"):
        job, _ = drive(unit, parameters, rows, Drive(((0, "none", sink),), clocks=True), sim)
        shown, moved, before = job.out_clocks.astype(int).T
        took[sink] = moved
        assert before[0] == (1 if "after" in sink else 2)
        assert (before & 2).any() == (sink == "none")
        assert ((moved - shown)[1:] == (sink == "alternate after tvalid")).all()
    np.testing.assert_array_equal(took["none"], took["none after tvalid"])


def test_a_wrong_tkeep_goes_to_the_pins_as_it_is():
    unit = UNITS["rexp"]
    parameters = unit.resolve({"LANES": 16, "MAX_LEN": 40, "W": 15})
    make = RowMaker(np.random.default_rng(1), unit, parameters)
    rows = [make.row(length=n, mask="some") for n in (40, 33, 16)]
    keeps = {(0, 1): 0x8001, (1, 2): 0xFF00, (2, 0): 0}
    batched = batch(unit, parameters, rows)
    job = Job.of(unit, parameters, batched, Drive(keeps=keeps), 1)
    given = beats.driven(unit, parameters, batched, job, slice(0, 3))
    packed = np.packbits(given.keep, axis=1, bitorder="little").view("<u2")[:, 0]
    assert packed.tolist() == [0xFFFF, 0x8001, 0xFF, 0xFFFF, 0xFFFF, 0xFF00, 0]
    np.testing.assert_array_equal(given.strb[0], rows[0].mask[:16])
    kept = given.strb & given.keep
    np.testing.assert_array_equal(kept[1], rows[0].mask[16:32] & given.keep[1])
    assert not kept[5].any()  # lanes that hold no element stay masked
    assert 0 < given.strb[~given.keep].mean() < 1  # and without tkeep tstrb is noise
    expected = expect(given, StreamShape.of(unit, parameters))
    assert expected.err_keep.all()


def test_a_reset_comes_when_it_is_asked_for(sim):
    unit = UNITS["e2softmax"]
    parameters = unit.resolve(TINY)
    make = RowMaker(np.random.default_rng(1), unit, parameters)
    rows = [make.row(length=32) for _ in range(20)]
    states = ("between beats", "beat waiting")
    resets = [Reset(21, 1, 2), Reset(30, 1980, 1), Reset(3, 1, 4, states)]
    how = Drive(((0, "none", "half"),), resets=resets, clocks=True)
    job, moved = drive(unit, parameters, rows, how, sim)
    first, second, third = moved.cuts
    assert tuple(STREAM_STATES[one] for one in third.states) == states
    # A row that was under way is not driven again.
    assert first.part
    moved = job.in_clocks[:, 1].reshape(20, 8)
    assert moved[first.row].max() < 21
    assert not moved[first.row][first.beat % 8 :].any()
    assert moved[first.row + 1].all()
    assert moved[first.row + 1].min() >= 21
    assert first.row < second.row <= third.row


# ---------------------------------------------------------------------------------- mutations

E2SOFTMAX = importlib.import_module("tests.rtl.mutations.e2softmax")


def test_a_failure_says_how_to_run_it_again_in_bulk():
    """tests/rtl/test_mutations.py has all mutations."""
    mutation = E2SOFTMAX.MUTATIONS["reset waits for a clock"]
    result = simulate_mutated(
        "e2softmax", E2SOFTMAX.SMALL, mutation.edits, mutation.test, bulk=True
    )
    assert mutation.report in result.report
    assert "BULK=1" in result.report
    assert json.loads((result.run.folder / "result.json").read_text())["driven"] > 0


@pytest.mark.parametrize("name", E2SOFTMAX.RULES)
def test_a_broken_rule_is_named_in_bulk(name):
    rule = E2SOFTMAX.RULES[name]
    if rule.needs_x and tools.icarus() is None:
        pytest.skip("Verilator has no X")
    result = simulate_mutated("e2softmax", E2SOFTMAX.SMALL, rule.edits, "stalls", bulk=True)
    assert not result.passed
    assert rule.report.replace("X on a pin that must have a value", "X on an output") in (
        result.report
    )


# ------------------------------------------------------------------------------------- the scorer


SUMS = np.array([0, (1 << 32) - 1, 0x12345678])


class WithFields(type(UNITS["e2softmax"])):
    """With a tuser of 42 bits."""

    def user_fields(self, parameters):
        return (UserField("low", 3, signed=True), UserField("high", 32))

    def predict(self, parameters, rows):
        outputs = UNITS["e2softmax"].predict(parameters, rows)
        return replace(outputs, user={"low": np.full(3, -3), "high": SUMS})


def test_the_scorer_looks_at_each_beat_of_a_row():
    unit = WithFields(**vars(UNITS["e2softmax"]))
    parameters = unit.resolve(TINY)
    shape = StreamShape.of(unit, parameters)
    assert (shape.user_bits, shape.user_bytes) == (7 + 3 + 32, 6)
    make = RowMaker(np.random.default_rng(1), unit, parameters)
    rows = batch(unit, parameters, [make.row(length=12, fmt=1) for _ in range(3)])
    job = Job.of(unit, parameters, rows, Drive(), 1)
    given = expect(beats.driven(unit, parameters, rows, job, slice(0, 3)), shape)
    model = unit.predict(parameters, rows)
    none = np.zeros(3, int)
    timing = Timing(none, none, none, [([1, 2, 3], [4, 5, 6])] * 3, none)
    data, keep = model.out.reshape(9, 4), given.keep.reshape(9, 4)
    # Three rows of three beats, as the pins show them.
    user = [
        int(e) | 0b101 << 7 | one << 10
        for e, one in zip(model.exponent, SUMS.tolist(), strict=True)
    ]
    raw = np.array([list(one.to_bytes(6, "little")) for one in user], np.uint8)
    room = Room(data, beats._lane_bits(keep.reshape(9, 4)), job.beats.last, raw.repeat(3, axis=0))
    right = beats.came(shape, replace(job, room=room), np.array([3, 6, 9]), 0)
    np.testing.assert_array_equal(right.user[:, 2], np.repeat(SUMS, 3))
    text = [f"{one:042b}" for one in user]
    shown = [ObservedRow([["0" * 32, "1", "1111", one]]) for one in [*text, "x" + text[0][1:]]]
    pins = OutputBeats.of(shown, shape).user
    np.testing.assert_array_equal(pins[:3], right.user[::3])
    assert pins[3].tolist() == [*right.user[0, :2], -1]

    def report(**wrong):
        scorer = Scorer(unit, parameters, 1)
        return scorer.compare(given, collect(replace(right, **wrong), shape), timing)

    def changed(array, change, place=1):
        """Beat 2 of row 1, in place 1 of it."""
        copy = array.copy()
        copy[5, place] = change(copy[5, place])
        return copy

    assert report() is None
    assert "beat 2, tuser {err_keep, err_len, exponent}: expected" in report(
        user=changed(right.user, lambda bits: bits ^ 64, 0)
    )
    assert "got an X" in report(user=changed(right.user, lambda _: -1, 0))
    said = report(user=changed(right.user, lambda bits: bits ^ 0b111))
    assert "beat 2, tuser low: expected -3, got 2" in said
    said = report(user=changed(right.user, lambda bits: bits ^ 1 << 31, 2))
    assert f"beat 2, tuser high: expected {SUMS[1]}, got {SUMS[1] - (1 << 31)}" in said
    where = "beat 2, lane 1"
    assert f"{where} (element 9), tdata: expected" in report(data=changed(data, lambda x: x ^ 1))
    assert f"{where}, tkeep: expected 1, got 0" in report(keep=changed(keep, np.logical_not))
    early = report(count=np.array([3, 2, 4]))
    assert "beats (tlast): expected 3, got 2" in early
    assert "row 1 does not match the model" in early


# ------------------------------------------------------------------------------- short channel sets

WITH_CHANNELS = [name for name, unit in UNITS.items() if unit.channels]


@pytest.fixture(scope="module")
def short_sets(tmp_path_factory):
    """short_sets(unit): a tensor file of two channel sets that are shorter than the table."""

    def short_sets(unit):
        rng = np.random.default_rng(7)
        width, length = 21, np.array([21, 5, 20, 21, 9, 1])  # the last beats are part of one
        mask = np.arange(width) < length[:, None]
        sets = [unit.draw_channels(rng, width).values for _ in range(2)]
        complete = [
            unit.complete(unit.resolve(SMALL), row[:n]) for row, n in zip(mask, length, strict=True)
        ]
        file = vectors.Vectors(
            unit.name,
            {},
            {},
            rng.integers(0, 200, mask.shape).astype(unit.in_dtype) * mask.astype(unit.in_dtype),
            length,
            row_settings={name: np.array([one[name] for one in complete]) for name in complete[0]},
            channels={name: np.stack([one[name] for one in sets]) for name in sets[0]},
            channel_set=np.array([0, 0, 1, 1, 0, 1]),
        )
        path = tmp_path_factory.mktemp("tensors") / f"{unit.name}.npz"
        vectors.save(path, file)
        return path

    return short_sets


@pytest.mark.parametrize("name", WITH_CHANNELS)
@pytest.mark.parametrize("test", ["default", "tensors"])
def test_channel_sets_shorter_than_the_table(sim, name, test, short_sets):
    """Alone, and before random rows that are longer than the sets are."""
    unit = UNITS[name]
    result = run_bulk(unit, test, sim, tensors=short_sets(unit), rows=8)
    assert result.values["rows"] == 6 + 8 * (test == "default")


@pytest.mark.parametrize("name", WITH_CHANNELS)
def test_channel_sets_shorter_than_the_table_pin_by_pin(name, run, short_sets):
    sim = "icarus" if tools.icarus() else "verilator"
    result = run(sim, "default", unit=name, tensors=short_sets(UNITS[name]), rows=8, **SMALL)
    assert result.values["rows"] == 14


def test_a_set_that_is_not_made_as_long_as_the_table_is_seen(short_sets, monkeypatch):
    """Without what makes it so."""
    monkeypatch.setattr(ChannelSet, "padded", lambda self, count: self)
    unit = UNITS["ailayernorm"]
    sim = "icarus" if tools.icarus() else "verilator"
    with pytest.raises(ValueError, match="for each of the 96 columns"):
        run_bulk(unit, "default", sim, tensors=short_sets(unit), rows=8)
