# SPDX-License-Identifier: Apache-2.0
"""The bulk engine: whole batches through the RTL, compared with the models and the pin-level bench.

Mutations check that it reports wrong values, broken rules of the stream, hangs, lost and added
beats.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from softnorm.flow import tools
from softnorm.flow.bench import bulk as bench_bulk
from softnorm.flow.bench import cost as bench_cost
from softnorm.flow.bench.cost import Scored
from softnorm.flow.build.bulk import BulkBuild, bulk_build
from softnorm.flow.build.pins import SIMULATORS, BuildError, build
from softnorm.flow.bulk import rtl
from softnorm.flow.bulk.rtl import Instance, Instances, RtlError
from softnorm.flow.paths import DATA
from softnorm.flow.sim.simulate import simulate
from softnorm.models import vectors
from softnorm.models.arith import MAX_LEN_LIMIT
from softnorm.tb.bulk import beats
from softnorm.tb.check.contract import StreamShape
from softnorm.tb.stimulus import values as stimulus
from softnorm.tb.stimulus.scenarios import rows_of
from softnorm.tb.stimulus.values import SINKS, STALLS, RowMaker
from softnorm.units import ROW_UNITS, UNITS
from softnorm.units.unit import ChannelSet, Outputs, Rows
from tests.rtl import merged
from tests.rtl.mutations import Edit, plant, write

# No row is whole beats at 8 and 32 lanes, the longest ones of the build included.
SHAPES = {1: 19, 8: 100, 32: 200}
SMALL = {"LANES": 8, "MAX_LEN": 100}
LONGEST = {"LANES": 4, "MAX_LEN": MAX_LEN_LIMIT}
TWO_BYTES = [("rexp", {"LANES": lanes, "MAX_LEN": 37, "W": 15}) for lanes in (2, 16)]
# Where the engine is looked at rather than a unit: one without a channel table, one with.
TWO = ("e2softmax", "ailayernorm")
CONFIGURATIONS = [
    *(
        (unit, {"LANES": lanes, "MAX_LEN": most})
        for unit in UNITS
        for lanes, most in SHAPES.items()
        if lanes == 8 or unit in TWO
    ),
    *TWO_BYTES,
]
# On Icarus a lane or two every time: more take it seconds.
OFTEN = {"verilator": (8,), "icarus": (1, 2)}
each_unit = pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
# Tensors at full size of all are in the regression of each change, too.
two_at_first = pytest.mark.parametrize(
    "unit",
    [pytest.param(u, id=n, marks=[pytest.mark.slow] * (n not in TWO)) for n, u in UNITS.items()],
)
two_units = pytest.mark.parametrize("unit", [UNITS[name] for name in TWO], ids=TWO)


@pytest.fixture
def icarus():
    if tools.icarus() is None:
        pytest.skip("Icarus Verilog is not installed")


def batch(unit, parameters, count=150, seed=1) -> Rows:
    """Rows as random scenarios draw them: values, masks, lengths, settings, channels."""
    make = RowMaker(np.random.default_rng(seed), unit, parameters)
    return stimulus.batch(unit, parameters, [make.row() for _ in range(count)])


def differences(unit, parameters, rows, outputs) -> int:
    """Elements, exponents and flags that are not the model's."""
    model: Outputs = unit.predict(parameters, rows)
    refused = np.zeros(len(rows), bool) if model.err_len is None else model.err_len
    assert outputs.out.shape == model.out.shape
    assert outputs.out.dtype == model.out.dtype
    assert outputs.len_pulses == outputs.err_len.sum()
    assert outputs.keep_pulses == 0
    assert not outputs.err_keep.any()
    return int(
        (outputs.out != model.out).sum()
        + (outputs.exponent != model.exponent).sum()
        + (outputs.err_len != refused).sum()
    )


# ----------------------------------------------------------------------------------- right results


@pytest.mark.parametrize(
    ("sim", "name", "given"),
    [
        pytest.param(
            *(sim, *one),
            marks=[pytest.mark.slow] * (one[1]["LANES"] not in OFTEN[sim]),
        )
        for sim in SIMULATORS
        for one in CONFIGURATIONS
    ],
)
def test_outputs_are_the_models(sim, name, given):
    if sim == "icarus" and tools.icarus() is None:
        pytest.skip("Icarus Verilog is not installed")
    unit = UNITS[name]
    parameters = unit.resolve(given)
    rows = batch(unit, parameters, 150 if sim == "verilator" else 30)
    for stalls in (("none", "none"), ("half", "bursts"), ("starved", "rare")):
        outputs = rtl.run(unit, parameters, rows, sim=sim, stalls=stalls)
        assert differences(unit, parameters, rows, outputs) == 0, stalls


def longest(unit, parameters) -> Rows:
    """Rows of MAX_LEN 65536: the largest sums, one element less, a short one behind them."""
    make = RowMaker(np.random.default_rng(1), unit, parameters)
    lowest = {name: values[0] for name, values in make.drawn.items()}
    rows = [make.row(n, "extremes", "none") for n in (MAX_LEN_LIMIT, 9)]
    for number, length in enumerate((MAX_LEN_LIMIT, MAX_LEN_LIMIT - 1)):
        row = make.row(length, "flat", "none", **lowest)
        row.x[:] = make.limits[1]
        row.settings |= unit.complete(parameters, row.mask)
        row.channels = make.end_sets()[-1]
        rows.insert(number, row)
    return stimulus.batch(unit, parameters, rows)


@pytest.mark.parametrize(
    "unit",
    [pytest.param(u, marks=[pytest.mark.slow] * u.baseline) for u in ROW_UNITS.values()],
    ids=ROW_UNITS,
)
def test_the_longest_rows_that_there_are(unit):
    """Counters, addresses and sums at their widest, with settings at their lowest ends."""
    parameters = unit.resolve(LONGEST)
    rows = longest(unit, parameters)
    assert differences(unit, parameters, rows, rtl.run(unit, parameters, rows)) == 0


def test_a_bug_of_the_longest_rows_alone_is_seen(tmp_path):
    """An exponent of 16 takes five bits, all others four."""
    unit = UNITS["e2softmax"]
    edit = (
        "e2softmax/e2softmax.sv",
        "p2_rd_fmt ? 5'(p2_rd_ks) : 5'd0",
        "p2_rd_fmt ? 5'(4'(p2_rd_ks)) : 5'd0",
    )
    parameters = unit.resolve(LONGEST)
    rows = longest(unit, parameters)
    rows.settings["fmt"][:] = 1
    outputs = rtl.run(unit, parameters, rows, rtl=plant([edit], tmp_path))
    assert differences(unit, parameters, rows, outputs) == 1


@two_units
def test_both_simulators_take_the_same_clocks(unit, icarus):
    parameters = unit.resolve(SMALL)
    rows = batch(unit, parameters, 12, seed=2)
    for stalls in (("none", "none"), ("half", "half"), ("bursts", "starved"), ("rare", "heavy")):
        outputs = [rtl.run(unit, parameters, rows, sim=s, stalls=stalls) for s in SIMULATORS]
        assert outputs[0].clocks == outputs[1].clocks, stalls
        np.testing.assert_array_equal(outputs[0].out, outputs[1].out)


@each_unit
def test_every_pair_of_stall_patterns(unit):
    parameters = unit.resolve(SMALL)
    rows = batch(unit, parameters, 40)
    clocks = {}
    with Instance(bulk_build(unit, parameters)) as instance:
        for stalls in itertools.product(STALLS, SINKS):
            outputs = instance.run(rows, stalls=stalls)
            assert differences(unit, parameters, rows, outputs) == 0, stalls
            clocks[stalls] = outputs.clocks
    assert min(clocks.values()) == clocks["none", "none"]
    assert clocks["heavy", "none"] > 2 * clocks["none", "none"]
    assert clocks["none", "heavy"] > 2 * clocks["none", "none"]


@two_units
def test_outputs_are_those_of_the_pin_level_bench(unit):
    parameters = unit.resolve(SMALL)
    # On the simulator that builds in a second.
    pins = build(unit, parameters, "icarus" if tools.icarus() else "verilator")
    result = simulate(pins, "masks", 3, rows=60)
    assert result.passed, result.report
    seen = np.load(result.run.folder / "outputs.npz", allow_pickle=False)
    assert len(seen["length"]) > 50
    sets = len(seen[unit.channels[0].name]) if unit.channels else 0
    rows = Rows(
        seen["x"],
        seen["mask"],
        seen["length"],
        {setting.name: seen[setting.name] for setting in unit.settings(parameters)},
        tuple(
            ChannelSet({column.name: seen[column.name][number] for column in unit.channels})
            for number in range(sets)
        ),
        seen["channel_set"] if unit.channels else None,
    )
    outputs = rtl.run(unit, parameters, rows)
    np.testing.assert_array_equal(outputs.out, seen["out"])
    np.testing.assert_array_equal(outputs.exponent, seen["exponent"])


@two_at_first
def test_real_tensors(unit):
    parameters = unit.resolve(LONGEST)
    rows = rows_of(unit, parameters, vectors.load(DATA / unit.tensors))
    outputs = rtl.run(unit, parameters, rows, stalls=("rare", "rare"))
    assert differences(unit, parameters, rows, outputs) == 0


@each_unit
def test_a_beat_a_clock_and_no_clock_more(unit):
    """Whole beats, no stalls: a clock a beat and the latency of the last row."""
    parameters = unit.resolve(SMALL)
    x = np.zeros((200, 40), unit.in_dtype)
    channels = unit.draw_channels(np.random.default_rng(1), 40) if unit.channels else None
    outputs = rtl.run(unit, parameters, x, channels=channels)
    latency = unit.latency(parameters)
    # The channels go in while the unit gets ready after its reset, which takes a clock.
    before = 40 if unit.channels else 1
    behind = 0 if unit.cell else len(latency) * (5 - 1)  # a cell's last beat waits for no other
    assert outputs.clocks == before + 200 * 5 + sum(latency) + behind


@pytest.mark.parametrize("unit", ROW_UNITS.values(), ids=ROW_UNITS)
def test_rows_over_the_longest_are_cut(unit):
    parameters = unit.resolve(SMALL)
    rng = np.random.default_rng(1)
    low, high = np.iinfo(unit.in_dtype).min, np.iinfo(unit.in_dtype).max
    x = rng.integers(low, high, (30, 130), endpoint=True).astype(unit.in_dtype)
    length = rng.integers(90, 131, 30)
    channels = unit.draw_channels(rng, 100) if unit.channels else None
    mask = np.arange(130) < np.minimum(length, 100)[:, None]
    follow = [unit.complete(parameters, one) for one in mask[:, :100]]
    settings = {name: np.array([one[name] for one in follow]) for name in follow[0]}
    outputs = rtl.run(unit, parameters, x, settings=settings, channels=channels, length=length)
    np.testing.assert_array_equal(outputs.err_len, length > 100)
    assert outputs.len_pulses == (length > 100).sum()
    cut = rtl.rows_of(
        unit, parameters, x[:, :100], None, settings, channels, length=np.minimum(length, 100)
    )
    model = unit.predict(parameters, cut)
    np.testing.assert_array_equal(outputs.out[:, :100], model.out)
    assert not outputs.out[:, 100:].any()


def test_rows_of_one_length_are_driven_as_they_lie():
    """Neither side copies: what is packed is x, what comes back is what was written."""
    unit = UNITS["e2softmax"]
    parameters = unit.resolve(SMALL)
    x = np.zeros((5, 16), np.int8)
    rows = rtl.rows_of(unit, parameters, x)
    packed = beats.pack(
        StreamShape.of(unit, parameters), rows, np.zeros((5, 2)), np.random.default_rng(1)
    )
    assert np.shares_memory(packed.data, x)
    copied = rtl.rows_of(unit, parameters, x, length=np.full(5, 15))
    packed = beats.pack(
        StreamShape.of(unit, parameters), copied, np.zeros((5, 2)), np.random.default_rng(1)
    )
    assert not np.shares_memory(packed.data, copied.x)


def test_no_rows_give_no_outputs():
    unit = UNITS["e2softmax"]
    outputs = rtl.run(unit, SMALL, np.zeros((0, 16), np.int8))
    assert outputs.out.shape == (0, 16)
    assert outputs.beats == outputs.clocks == 0


# -------------------------------------------------------------------------- seeds, state, instances


@each_unit
def test_a_seed_gives_the_same_clocks_again(unit):
    parameters = unit.resolve(SMALL)
    rows = batch(unit, parameters, 60)
    stalls = ("half", "half")
    first, again, other = (
        rtl.run(unit, parameters, rows, stalls=stalls, seed=seed) for seed in (5, 5, 6)
    )
    assert first.clocks == again.clocks != other.clocks
    np.testing.assert_array_equal(first.out, other.out)


@each_unit
def test_instances_share_the_rows(unit):
    parameters = unit.resolve(SMALL)
    rows = batch(unit, parameters, 151)
    outputs = rtl.run(unit, parameters, rows, instances=2)
    assert differences(unit, parameters, rows, outputs) == 0
    assert outputs.beats == rtl.run(unit, parameters, rows).beats


def test_instances_of_several_units_run_in_threads():
    """Two of each unit at once, each with rows of its own."""
    wrong, threads = {}, []

    def one(unit, seed):
        parameters = unit.resolve(SMALL)
        rows = batch(unit, parameters, 300, seed)
        with Instance(bulk_build(unit, parameters), seed) as instance:
            outputs = [instance.run(rows, stalls=("rare", "half"), seed=seed) for _ in range(3)]
        wrong[unit.name, seed] = [differences(unit, parameters, rows, one) for one in outputs]

    for unit, seed in itertools.product(UNITS.values(), (1, 2)):
        bulk_build(unit, unit.resolve(SMALL))
        threads.append(threading.Thread(target=one, args=(unit, seed)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == {(unit, seed): [0, 0, 0] for unit in UNITS for seed in (1, 2)}


@each_unit
def test_a_batch_goes_on_where_the_one_before_ended(unit):
    parameters = unit.resolve(SMALL)
    rows = batch(unit, parameters, 60)
    with Instance(bulk_build(unit, parameters)) as instance:
        first = instance.run(rows)
        for _ in range(2):
            outputs = instance.run(rows, reset=False)
            assert differences(unit, parameters, rows, outputs) == 0
            assert outputs.clocks <= first.clocks


# ---------------------------------------------------------------------------------- mutations

UNIT = UNITS["e2softmax"]
TOP = "e2softmax/e2softmax.sv"
OUTPUT = "common/sn_row_output.sv"
ON_VALID = "else if (advance_o) m_axis_tvalid"
ON_PAYLOAD = "      if (advance_o) begin\n        m_axis_tdata"


def waiting(clocked, statement):
    """An edit: what a register of the output does while it waits."""
    new = clocked.replace(
        "(advance_o)", f"(!advance_o) begin\n      {statement}\n    end else if (1'b1)"
    )
    return (OUTPUT, clocked, new)


WRONG_VALUE = (
    OUTPUT,
    "m_axis_tdata <= valid_i ? data_i : '0;",
    "m_axis_tdata <= valid_i && last_i ? data_i ^ 1 : valid_i ? data_i : '0;",
)
RULES = {
    "tvalid": (waiting(ON_VALID, "m_axis_tvalid <= 1'b0;"), "tvalid fell before tready came"),
    "tdata": (
        waiting(ON_PAYLOAD, "m_axis_tdata <= ~m_axis_tdata;"),
        "payload changed while tvalid waited",
    ),
}


SHAPES_BROKEN = {
    "hang": (
        (OUTPUT, ON_VALID, ON_VALID.replace("advance_o", "1'b0")),
        r"no tvalid came, with.*\n.* came out",
    ),
    "tlast": (
        (OUTPUT, "m_axis_tlast <= valid_i && last_i;", "m_axis_tlast <= rst_ni;"),
        "more came out|tlast is not where",
    ),
    "no tlast": (
        (OUTPUT, "m_axis_tlast <= valid_i && last_i;", "m_axis_tlast <= 1'b0;"),
        "no tvalid came|tuser changed within",
    ),
    "tkeep": (
        (OUTPUT, "m_axis_tkeep <= valid_i ? keep_i : '0;", "m_axis_tkeep <= {LANES{rst_ni}};"),
        "row .*, beat .*: tkeep is not that of the beat that went in",
    ),
}


@functools.cache
def together() -> tuple[BulkBuild, dict[Edit, int]]:
    """One build with all edits of above, each behind its number."""
    edits = [WRONG_VALUE, *(edit for edit, _ in [*RULES.values(), *SHAPES_BROKEN.values()])]
    texts, numbers = merged.merge({edit: (edit,) for edit in edits}, UNIT.rtl)
    assert len(numbers) == len(edits)
    with tempfile.TemporaryDirectory() as folder:
        rtl = plant((), Path(folder))
        for file, text in texts.items():
            write(rtl / file, text)
        return bulk_build(UNIT, UNIT.resolve(SMALL), rtl=rtl), numbers


def build_of(tmp_path, sim, edit) -> BulkBuild:
    """A build with an edit; Verilator's has the others beside it, which are not chosen."""
    if sim == "verilator":
        made, numbers = together()
        if edit in numbers:
            return dataclasses.replace(made, chosen=numbers[edit])
    return bulk_build(UNIT, UNIT.resolve(SMALL), sim, rtl=plant([edit], tmp_path))


def mutated(tmp_path, sim, edit, instances=1, **how):
    """A batch through E2Softmax with an edit in its RTL: (unit, parameters, rows, outputs)."""
    made = build_of(tmp_path, sim, edit)
    rows = batch(UNIT, made.parameters, 60)
    with Instances(made, instances, 1) as several:
        return UNIT, made.parameters, rows, several.run(rows, **how)


def test_a_wrong_value_is_seen(tmp_path, sim):
    assert differences(*mutated(tmp_path, sim, WRONG_VALUE)) > 0


@pytest.mark.parametrize("name", RULES)
def test_a_broken_rule_of_the_stream_is_an_exception(tmp_path, sim, name):
    edit, report = RULES[name]
    with pytest.raises(RtlError, match=report) as raised:
        mutated(tmp_path, sim, edit, stalls=("none", "half"))
    assert "LANES=8" in str(raised.value)
    assert "seed 1, stalls none half" in str(raised.value)
    if sim == "verilator":
        assert "u_check_m_axis" in str(raised.value)


def test_an_instance_goes_on_after_an_assertion(tmp_path):
    """The process lives, and so does the instance: the same batch fails at the same clock."""
    made = build_of(tmp_path, "verilator", RULES["tvalid"][0])
    rows = batch(UNIT, made.parameters, 60)
    said = []
    with Instance(made) as instance:
        for reset in (True, False):
            with pytest.raises(RtlError) as raised:
                instance.run(rows, stalls=("none", "half"), reset=reset)
            said.append(str(raised.value).partition(":")[0])
        assert differences(UNIT, made.parameters, rows, instance.run(rows)) == 0
    assert said[0] == said[1]


def test_a_failure_of_one_instance_is_raised_from_all(tmp_path):
    with pytest.raises(RtlError, match="tvalid fell"):
        mutated(tmp_path, "verilator", RULES["tvalid"][0], stalls=("none", "half"), instances=2)


def test_a_loop_that_does_not_settle_is_an_exception(tmp_path):
    """Verilator gives up in the middle of an evaluation: that must not end the process either."""
    edit = (
        TOP,
        "endmodule",
        "  logic turn;\n  always_comb turn = !(turn & m_axis_tvalid);\n"
        '  always_ff @(posedge clk_i) if (turn && err_len_o) $display("x");\nendmodule',
    )
    with pytest.raises(RtlError, match="converge"):
        mutated(tmp_path, "verilator", edit)


@pytest.mark.parametrize("name", SHAPES_BROKEN)
def test_rows_of_another_shape_are_an_exception(tmp_path, sim, name):
    edit, report = SHAPES_BROKEN[name]
    with pytest.raises(RtlError, match=report):
        mutated(tmp_path, sim, edit)


def test_an_x_is_an_exception(tmp_path, icarus):
    with pytest.raises(RtlError, match="X on an output"):
        mutated(tmp_path, "icarus", (OUTPUT, "<= valid_i && last_i;", "<= last_i && rst_ni;"))


@pytest.mark.parametrize(("banks", "sim"), [(2, "verilator"), (1, "icarus")])
def test_a_bank_that_is_written_too_early_is_seen(monkeypatch, banks, sim):
    """The plan of the channel table is held to: with rows still inside, they come out wrong."""
    if sim == "icarus" and tools.icarus() is None:
        pytest.skip("Icarus Verilog is not installed")
    unit = UNITS["ailayernorm"]
    parameters = unit.resolve({**SMALL, "BANKS": banks})
    rows = batch(unit, parameters, 300)
    assert len(rows.channels) > 4
    good = beats.plan

    def early(*given):
        loads = good(*given)
        return dataclasses.replace(loads, after=np.zeros_like(loads.after))

    assert differences(unit, parameters, rows, rtl.run(unit, parameters, rows, sim=sim)) == 0
    monkeypatch.setattr(beats, "plan", early)
    assert differences(unit, parameters, rows, rtl.run(unit, parameters, rows, sim=sim)) > 0


def test_of_one_bank_a_load_and_the_row_behind_it_lose_no_clock(icarus):
    """The first write a clock behind the last beat out, the first beat in a clock behind the last
    write: what docs/stream.md allows at the earliest. One word of channels, and several.
    """
    unit = UNITS["ailayernorm"]
    for longest in (4, 12):
        parameters = unit.resolve({"LANES": 4, "MAX_LEN": longest, "BANKS": 1})
        rng = np.random.default_rng(1)
        sets = [unit.draw_channels(rng, longest) for _ in range(2)]
        x = rng.integers(256, size=(12, longest), dtype=np.uint8)
        given = {"channels": sets, "channel_set": np.arange(12) % 2}
        rows = rtl.rows_of(unit, parameters, x, **given)
        outputs = rtl.run(unit, parameters, rows, sim="icarus")
        assert differences(unit, parameters, rows, outputs) == 0
        [latency] = unit.latency(parameters)
        count = longest // 4  # beats
        assert outputs.clocks == 12 * (longest + count - 1 + latency + count)


# -------------------------------------------------------------------------------------- bad inputs


@pytest.mark.parametrize(
    ("arguments", "report"),
    [
        ({"x": np.zeros(4, np.int8)}, r"x must be \[rows, width\]"),
        ({"x": np.zeros((1, 4), np.int16)}, "of int8"),
        ({"mask": np.ones((1, 3), bool)}, "mask must be"),
        ({"length": np.array([5])}, "lengths must be 1 to 4"),
        ({"length": np.array([0])}, "lengths must be 1 to 4"),
        ({"settings": {"frac": 8}}, "setting frac must be 0 to 7"),
        ({"settings": {"frac": 4.5}}, r"setting frac must be \(1,\) integers, not \(1,\) float64"),
        ({"settings": {"nothing": 1}}, "no setting nothing"),
    ],
)
def test_what_cannot_be_driven_is_refused(arguments, report):
    given = {"x": np.zeros((1, 4), np.int8), **arguments}
    with pytest.raises(ValueError, match=report):
        rtl.run(UNITS["e2softmax"], SMALL, **given)


def test_names_of_stalls_are_looked_at():
    with pytest.raises(ValueError, match="no stalls 'often'; there are: none, rare"):
        rtl.run(UNITS["e2softmax"], SMALL, np.zeros((1, 4), np.int8), stalls=("none", "often"))


@pytest.mark.parametrize(
    ("channels", "report"),
    [
        (None, "needs channels"),
        ({"alpha": np.full(4, 4, np.uint8)}, "alpha must be 0 to 3"),
        ({"alpha": None}, "channels have no alpha, and ailayernorm needs one"),
        ({"gamma": np.full(4, 0.5)}, "gamma must be integers, not float64"),
        ({"gamma": np.zeros(3, np.int8)}, r"gamma must be \[4 to 100\], not \(3,\)"),
        ({"gamma": np.zeros(101, np.int8)}, r"gamma must be \[4 to 100\]"),
    ],
)
def test_channels_that_cannot_be_loaded_are_refused(channels, report):
    unit = UNITS["ailayernorm"]
    if channels is not None:
        drawn = unit.draw_channels(np.random.default_rng(1), 4)
        values = {**drawn.values, **channels}
        channels = ChannelSet({name: one for name, one in values.items() if one is not None})
    with pytest.raises(ValueError, match=report):
        rtl.run(unit, SMALL, np.zeros((1, 4), np.uint8), channels=channels)


@pytest.mark.parametrize("name", [name for name, unit in UNITS.items() if unit.channels])
def test_each_channel_set_is_as_long_as_its_own_rows(name, sim):
    """Long rows of one set among short rows of another."""
    unit, parameters = UNITS[name], UNITS[name].resolve(SMALL)
    rng = np.random.default_rng(3)
    length = np.array([40, 5, 17, 3, 40, 5])
    x = rng.integers(0, 200, (len(length), 40)).astype(unit.in_dtype)
    sets = [unit.draw_channels(rng, count) for count in (40, 5)]
    which = (length == 5).astype(int)
    rows = rtl.rows_of(unit, parameters, x, channels=sets, length=length, channel_set=which)
    assert differences(unit, parameters, rows, rtl.run(unit, parameters, rows, sim=sim)) == 0
    name = unit.channels[0].name
    short = dataclasses.replace(rows, channel_set=np.array([0, 1, 1, 0, 0, 1]))
    with pytest.raises(ValueError, match=rf"{name} must be \[17 to 100\], not \(5,\)"):
        rtl.run(unit, parameters, short)


def test_icarus_keeps_no_state(icarus):
    unit = UNITS["e2softmax"]
    parameters = unit.resolve(SMALL)
    instance = Instance(bulk_build(unit, parameters, "icarus"))
    with pytest.raises(ValueError, match="starts every batch with a reset"):
        instance.run(batch(unit, parameters, 2), reset=False)


def test_sources_that_do_not_compile_say_where(tmp_path, sim):
    made = plant([(TOP, "module e2softmax", "module e2softmax = ;")], tmp_path)
    unit = UNITS["e2softmax"]
    with pytest.raises(BuildError, match=r"cannot build e2softmax.*\n.*e2softmax\.sv:\d+"):
        bulk_build(unit, unit.resolve(SMALL), sim, rtl=made)


# -------------------------------------------------------------------------------------------- speed


def test_the_bench_measures_what_it_says(monkeypatch):
    unit = UNITS["ailayernorm"]
    monkeypatch.setattr(bench_bulk, "ROW_UNITS", {unit.name: unit})
    for module, name, value in (
        (bench_bulk, "BEATS", 4000),
        (bench_bulk, "LOOP_LANES", (8,)),
        (bench_cost, "BEATS", 4000),
        (bench_cost, "LANES", (8,)),
        (bench_cost, "LENGTHS", (32, 100)),
    ):
        monkeypatch.setattr(module, name, value)
    (speed,) = bench_bulk.bulk_against_loop(1)
    assert (speed.unit, speed.lanes) == (unit.name, 8)
    assert speed.steady_ratio == pytest.approx(speed.steady / speed.loop)
    assert speed.random_ratio > 0
    scored = bench_cost.rows_scored((unit.name,), 1)
    assert [(one.lanes, one.length) for one in scored] == [(8, 32), (8, 100)]
    for one in scored:
        assert one.beats_per_s == pytest.approx(one.rows_per_s * -(-one.length // 8))
        assert 0 < one.model_share < 1


def test_the_fit_finds_what_a_row_a_beat_and_an_element_cost():
    def batch(lanes, length, row, beat, element, count=100):
        seconds = count * (row + beat * -(-length // lanes) + element * length)
        return Scored("unit", lanes, length, count, 0.75 * seconds, 0.25 * seconds)

    sizes = list(itertools.product((1, 8, 64), (32, 256, 4096)))
    for costs in ((1e-6, 2e-7, 5e-9), (0, 2e-7, 5e-9), (1e-6, 0, 5e-9)):
        fit = bench_cost.fitted([batch(*size, *costs) for size in sizes])
        np.testing.assert_allclose((fit.row, fit.beat, fit.element), costs, atol=1e-12)
        assert fit.off == pytest.approx(1)
    late = [batch(*size, 1e-6, 2e-7, 5e-9) for size in sizes]
    late[4] = dataclasses.replace(late[4], rtl_s=2 * late[4].rtl_s)
    fit = bench_cost.fitted(late)
    assert fit.worst is late[4]
    assert 1.2 < fit.ratio < 1.8


def test_the_plot_shows_each_unit_once():
    pytest.importorskip("matplotlib", reason="the extra plot is not installed")
    batches = [
        Scored(unit, lanes, length, 10, lanes * length * 1e-6, 1e-5)
        for unit in ("one", "two")
        for lanes in (1, 8)
        for length in (32, 64)
    ]
    drawn = bench_cost.plot(batches)
    assert drawn == bench_cost.plot(batches)
    assert drawn.count(b'<g id="axes_') == 2
