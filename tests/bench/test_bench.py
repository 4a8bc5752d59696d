# SPDX-License-Identifier: Apache-2.0
"""The test bench itself: that it fails when it must, and its parts that need no simulator."""

from __future__ import annotations

import numpy as np
import pytest

from softnorm.flow import tools
from softnorm.flow.build.pins import build
from softnorm.flow.sim.simulate import new_run
from softnorm.tb.check.contract import (
    KEEP_KINDS,
    KEEP_PLACES,
    ObservedRow,
    StreamShape,
    decode,
    pack,
)
from softnorm.tb.check.progress import NO_ROW, NO_TREADY, NO_TVALID, Progress, patience
from softnorm.tb.stimulus.channels import Banks, on_pins
from softnorm.tb.stimulus.values import MASKS, SHAPES, STALLS, Noise, Row, RowMaker, corner_lengths
from softnorm.tb.uvm.config import TableMirror
from softnorm.units import UNITS
from softnorm.units.coverage import Coverage
from softnorm.units.unit import BANKS, ChannelSet, Rows

UNIT = UNITS["e2softmax"]
WITH_TABLE = next(unit for unit in UNITS.values() if unit.channels)
SMALL = {"LANES": 4, "MAX_LEN": 12}
SIM = "icarus" if tools.icarus() else "verilator"


# --- a bench with a fault must fail ---------------------------------------------------------------


@pytest.fixture
def run_with(_simulators):
    """run_with(fault, unit, test, seed, rows): a run of the faulty bench."""

    def run_with(fault, unit, test="smoke", seed=1, rows=200, **given):
        made = build(unit, unit.resolve({**SMALL, **given}), SIM)
        run = new_run(made, test, seed, rows, None, f"make sim TEST={test} SEED={seed}")
        (run.folder / "fault").write_text(fault)
        return _simulators(made, seed, "tests.bench.faulty_bench").run(run)

    return run_with


@pytest.mark.parametrize(
    ("fault", "report"),
    [
        ("NothingReachesTheScoreboard", "nothing was compared"),
        ("OutputsAreNotSeen", "nothing was compared"),
        ("AnErrorIsLogged", "an error was logged: ['something is wrong here']"),
        ("ARowIsLost", "20 rows were driven, 19 are accounted for"),
        ("TheModelIsWrong", "e2softmax: row 2 does not match the model"),
        ("PulsesAreMiscounted", "err_keep_o was high for 1 clocks, expected 0"),
    ],
)
def test_a_bench_with_a_fault_fails(fault, report, run_with):
    result = run_with(fault, UNIT)
    assert not result.passed
    assert report in result.report
    assert "rerun: make sim TEST=smoke" in result.report


def test_a_mismatch_report_says_where_and_what(run_with):
    report = run_with("TheModelIsWrong", UNIT, seed=5).report
    for part in (
        "seed 5, parameters LANES=4 MAX_LEN=12 DIV_BITS=1 EXP_FRAC=0, settings frac=",
        "beat 0, lane 0 (element 0), tdata: expected ",
        "1 elements of the row differ",
        "input of the element: ",
        "beat in: ",
        "expected: ",
        "got: ",
        "log: ",
    ):
        assert part in report


@pytest.mark.parametrize(
    ("fault", "report"),
    [
        ("ARowOfTheOtherStreamIsLost", "1 rows are inside"),
        ("TheOtherStreamIsNotSeen", "20 rows are inside"),
    ],
)
def test_a_bench_with_a_fault_in_a_second_input_stream_fails(fault, report, run_with):
    """It waits for what went in on one stream alone."""
    result = run_with(fault, UNITS["residual_add"])
    assert not result.passed
    assert "stuck: no beat moved" in result.report
    assert report in result.report


@pytest.mark.parametrize(
    ("fault", "test", "report", "given"),
    [
        ("ChannelWritesAreMissed", "smoke", "does not match the model", {}),
        # Only a row that the sink holds up is still inside when its bank has been written anew.
        ("BanksAreWrittenWhileInUse", "random", "does not match the model", {}),
        ("BanksAreWrittenWhileInUse", "smoke", "does not match the model", {"BANKS": 1}),
        ("BanksAreNeverFree", "smoke", "stuck: no beat moved for 4000 clocks; ", {}),
    ],
)
def test_a_bench_with_a_fault_at_the_channel_table_fails(fault, test, report, given, run_with):
    result = run_with(fault, WITH_TABLE, test, **given)
    assert not result.passed
    assert report in result.report
    assert f"rerun: make sim TEST={test}" in result.report


def test_fresh_channels_for_every_row_are_no_fault(run_with):
    result = run_with("FreshChannels", WITH_TABLE, "random", rows=60)
    assert result.passed, result.report
    with np.load(result.run.folder / "outputs.npz") as file:
        assert len(set(file["channel_set"].tolist())) > 40


def test_a_phase_that_waits_for_its_channels_is_no_gap_of_the_unit(run):
    """Rows so short that their set is still on its way when the second phase begins."""
    run(SIM, "timing", unit=WITH_TABLE.name, seed=2, rows=40, LANES=4, MAX_LEN=4)


# --- the contract ---------------------------------------------------------------------------------

SHAPE = StreamShape(lanes=4, max_len=10, in_dtype=np.dtype(np.int8), out_dtype=np.dtype(np.uint8))


def observed(*beats):
    """An input row from (elements, tkeep, tstrb) beats, elements in lane order."""
    lines = []
    for number, (elements, keep, strb) in enumerate(beats):
        data = int.from_bytes(np.array(elements, np.int8).tobytes(), "little")
        last = str(int(number == len(beats) - 1))
        lines.append([f"{data:032b}", last, f"{keep:04b}", f"{strb:04b}"])
    return ObservedRow(beats=lines, settings={"frac": 3})


def test_decode_places_elements_and_masks():
    rows = [
        observed(([1, 2, 3, 4], 0b1111, 0b1011), ([5, 6, 99, 99], 0b0011, 0b0011)),
        observed(([-1, 99, 99, 99], 0b0001, 0b0000)),
    ]
    expected = decode(rows, SHAPE)
    np.testing.assert_array_equal(
        expected.rows.x, [[1, 2, 3, 4, 5, 6, 0, 0], [-1, 0, 0, 0, 0, 0, 0, 0]]
    )
    np.testing.assert_array_equal(
        expected.rows.mask, np.array([[1, 1, 0, 1, 1, 1, 0, 0], [0] * 8], bool)
    )
    assert expected.rows.length.tolist() == [6, 1]
    assert expected.beats.tolist() == [2, 1]
    assert not expected.err_len.any()
    assert not expected.err_keep.any()
    assert expected.rows.settings["frac"].tolist() == [3, 3]


def test_decode_cuts_at_max_len_by_element():
    full = ([1, 1, 1, 1], 0b1111, 0b1111)
    fits = observed(full, full, ([1, 1, 9, 9], 0b0011, 0b0011))
    one_over = observed(full, full, ([1, 1, 1, 9], 0b0111, 0b0111))
    a_beat_over = observed(full, full, full, full)
    nothing_over = observed(full, full, full, ([9, 9, 9, 9], 0b0000, 0b0000))
    expected = decode([fits, one_over, a_beat_over, nothing_over], SHAPE)
    assert expected.err_len.tolist() == [False, True, True, True]
    assert expected.beats.tolist() == [3, 3, 3, 3]
    assert expected.rows.length.tolist() == [10, 10, 10, 10]
    assert expected.keep.sum(axis=1).tolist() == [10, 10, 10, 10]
    assert expected.err_keep.tolist() == [False, False, False, True]


def test_decode_knows_where_a_wrong_tkeep_is_and_what_is_dropped():
    full, hole = ([1, 1, 1, 1], 0b1111, 0b1111), ([1, 1, 1, 1], 0b1011, 0b1011)
    rows = [[full] * 6 for _ in range(6)]
    for number, row in enumerate(rows):
        row[number] = hole
    expected = decode([observed(*row) for row in rows], SHAPE)
    places = [KEEP_PLACES[place] for place in expected.keep_places]
    inside, first, between, last = KEEP_PLACES
    assert places == [inside, inside, inside, first, between, last]
    assert expected.dropped.tolist() == [3] * 6
    assert decode([observed(full)], SHAPE).dropped.tolist() == [0]


@pytest.mark.parametrize(
    ("keep", "last", "kind"),
    [
        (0b0000, False, "empty"),
        (0b0000, True, "empty at tlast"),
        (0b1011, False, "hole"),
        (0b1110, True, "hole at tlast"),
        (0b0111, False, "short"),
        (0b1111, False, None),
        (0b0111, True, None),
        (0b0001, True, None),
    ],
)
def test_decode_knows_each_wrong_tkeep(keep, last, kind):
    beat, good = ([1, 2, 3, 4], keep, keep), ([1, 2, 3, 4], 0b1111, 0b1111)
    expected = decode([observed(good, beat) if last else observed(beat, good)], SHAPE)
    assert [KEEP_KINDS[k] for k in expected.keep_kinds] == ([kind] if kind else [])
    assert expected.err_keep.tolist() == [kind is not None]
    assert expected.keep_wrong.sum() == int(kind is not None)


def test_pack_and_decode_agree_on_every_shape_and_mask():
    rng = np.random.default_rng(1)
    make = RowMaker(rng, UNIT, UNIT.resolve({"LANES": 4, "MAX_LEN": 10}))
    rows, seen = [], []
    for shape in SHAPES:
        for mask in MASKS:
            row = make.row(shape=shape, mask=mask)
            beats = pack(row, SHAPE, Noise(rng))
            rows.append(row)
            seen.append(
                ObservedRow(
                    beats=[
                        [f"{d:032b}", str(int(n == len(beats) - 1)), f"{k:04b}", f"{s:04b}"]
                        for n, (d, k, s) in enumerate(beats)
                    ],
                    settings=row.settings,
                )
            )
    expected = decode(seen, SHAPE)
    assert not expected.err_keep.any()
    for i, row in enumerate(rows):
        n = len(row.x)
        assert expected.rows.length[i] == n
        np.testing.assert_array_equal(expected.rows.x[i, :n], row.x)
        np.testing.assert_array_equal(expected.rows.mask[i, :n], row.mask)
        assert not expected.rows.mask[i, n:].any()


def test_lanes_without_an_element_carry_noise():
    row = Row(np.zeros(1, np.int8), np.ones(1, bool), {}, "")
    beats = [pack(row, SHAPE, Noise(np.random.default_rng(seed)))[0] for seed in range(40)]
    assert len({data for data, _, _ in beats}) > 20
    assert all((data & 0xFF, keep, strb & 1) == (0, 1, 1) for data, keep, strb in beats)
    assert {strb >> 1 for _, _, strb in beats} == set(range(8))
    row.keep = {0: 0b1010}
    strbs = {pack(row, SHAPE, Noise(np.random.default_rng(seed)))[0][2] for seed in range(40)}
    assert strbs == {0b0000, 0b0001, 0b0100, 0b0101}  # an added lane is masked


# --- progress -------------------------------------------------------------------------------------


def broken(limit, inside, clocks):
    """The first broken rule of (tvalid, tready, tready of the input) clocks, and at which it is."""
    progress = Progress(limit)
    progress.inside = inside
    for number, pins in enumerate(clocks, start=1):
        rule = progress.clock(*pins)
        if rule:
            return rule, number
    return None


def test_a_row_that_is_inside_shows_tvalid_in_time():
    nothing, refused = (False, True, False), (False, False, True)
    assert broken(5, 1, [refused] * 9) == (NO_TVALID, 6)
    assert broken(5, 1, [refused] * 2 + [nothing] + [refused] * 9) == (NO_ROW, 6)
    assert broken(5, 1, [refused] * 5 + [(True, False, True)] + [refused] * 5) is None
    assert broken(5, 0, [refused] * 20) is None
    # What was before the last tvalid does not count.
    assert broken(5, 1, [nothing, (True, True, True)] + [refused] * 6) == (NO_TVALID, 8)


def test_without_a_row_inside_the_input_has_tready():
    closed, open_ = (False, True, False), (False, True, True)
    assert broken(5, 0, [closed] * 9) == (NO_TREADY, 6)
    assert broken(5, 0, [closed] * 5 + [open_] + [closed] * 5) is None
    assert broken(5, 1, [(True, False, False)] * 20) is None


def test_patience_is_what_one_row_takes():
    unit = UNITS["exact_softmax"]
    parameters = unit.resolve({"LANES": 4, "MAX_LEN": 30})
    assert patience(unit, parameters) == sum(unit.latency(parameters)) + 2 * 8


# --- stimulus -------------------------------------------------------------------------------------


@pytest.mark.parametrize("lanes", [1, 2, 4, 32, 64])
@pytest.mark.parametrize("max_len", [64, 65, 100, 4096])
def test_corner_lengths_are_there(lanes, max_len):
    corners = corner_lengths(lanes, max_len)
    assert {1, max_len, lanes} <= set(corners)
    assert min(corners) >= 1
    assert max(corners) == max_len


def test_noise_does_not_repeat_at_once():
    noise = Noise(np.random.default_rng(1))
    pieces = [noise.take(33) for _ in range(3000)]  # once round and a half
    assert all(len(piece) == 33 for piece in pieces)
    assert len(set(pieces)) == len(pieces)


@pytest.mark.parametrize("name", STALLS)
def test_stall_patterns_make_progress(name):
    if STALLS[name] is None:
        return
    pattern = STALLS[name](np.random.default_rng(1))
    pairs = [next(pattern) for _ in range(500)]
    assert all(on >= 1 and off >= 0 for on, off in pairs)
    assert sum(off for _, off in pairs) > 0


def test_the_same_generator_makes_the_same_rows():
    def rows(seed):
        make = RowMaker(
            np.random.default_rng(seed), UNIT, UNIT.resolve({"LANES": 8, "MAX_LEN": 64})
        )
        return [
            (row.x.tobytes(), row.mask.tobytes(), str(row.settings))
            for row in (make.row() for _ in range(20))
        ]

    assert rows(3) == rows(3)
    assert rows(3) != rows(4)


# --- channel table --------------------------------------------------------------------------------


def channel_sets(count):
    return [ChannelSet({"gain": np.array([number])}) for number in range(count)]


def full_banks(*held):
    banks = Banks()
    for bank, channels in enumerate(held):
        banks.loaded(bank, channels)
    return banks


def test_a_bank_holds_a_set_from_loaded_to_loading():
    a, b = channel_sets(2)
    banks = Banks()
    assert banks.bank_of(a) is None
    banks.loaded(1, a)
    assert banks.bank_of(a) == 1
    assert banks.bank_of(b) is None
    banks.loading(1)
    assert banks.bank_of(a) is None
    banks.loaded(1, b)
    assert (banks.bank_of(a), banks.bank_of(b)) == (None, 1)


def test_sets_are_told_apart_by_identity():
    """Two sets of the same values are two: a monitor's copy must not pass for the driver's own."""
    [a], [b] = channel_sets(1), channel_sets(1)
    banks = full_banks(a)
    assert banks.bank_of(b) is None
    assert banks.to_load([a, b]) == (1, b)


def test_the_first_set_that_is_missing_is_loaded():
    a, b, c = channel_sets(3)
    assert Banks().to_load([]) is None
    assert Banks().to_load([a, b]) == (0, a)
    assert full_banks(a).to_load([a, a, b]) == (1, b)
    assert full_banks(a, b).to_load([b, a, b, a]) is None
    assert full_banks(a, b).to_load([c, a]) == (0, c)


def test_a_set_goes_into_a_bank_that_no_row_uses_if_there_is_one():
    a, b, c = channel_sets(3)
    banks = full_banks(a, b)
    token = banks.claim(0)
    assert banks.to_load([c]) == (1, c)
    assert banks.to_load([b, c]) == (0, c)  # the free one is needed first
    banks.claim(1)
    assert banks.to_load([c]) == (0, c)  # the first, where all are in use
    banks.release(token)
    assert banks.to_load([c]) == (0, c)


def test_no_set_is_loaded_over_one_that_rows_before_still_need():
    a, b, c = channel_sets(3)
    banks = full_banks(a, b)
    assert banks.to_load([a, c, b]) == (1, c)
    assert banks.to_load([b, c, a]) == (0, c)
    assert banks.to_load([a, b, c]) is None
    assert banks.to_load([b, a, a, c]) is None


def test_of_one_bank_rows_and_loads_take_turns():
    a, b = channel_sets(2)
    banks = Banks(1)
    assert banks.to_load([a, b]) == (0, a)
    banks.loaded(0, a)
    assert banks.to_load([a, b]) is None
    banks.claim(0)
    assert banks.to_load([b]) == (0, b)
    assert banks.in_use(0)
    banks.row_out()
    assert not banks.in_use(0)


def test_what_the_pins_name_of_one_bank_is_ignored():
    """They carry either number; the mirror of the writes has one bank, too."""
    rng = np.random.default_rng(1)
    assert [on_pins(bank, 2, rng) for bank in (0, 1)] == [0, 1]
    assert {on_pins(0, 1, rng) for _ in range(20)} == {0, 1}
    mirror = TableMirror(WITH_TABLE.channels, 2, 1)
    for bank, value in ((1, 5), (0, 7)):
        mirror.write(bank, bank, {"gamma": np.int8(value)})
    for bank in range(2):
        assert mirror.held(bank).values["gamma"].tolist() == [7, 5]


def test_a_bank_is_in_use_until_its_last_row_is_out():
    banks = Banks()
    for bank in (0, 1, 0):
        banks.claim(bank)
    in_use = []
    for _ in range(4):  # the last row_out is one more than there were rows
        in_use.append([banks.in_use(bank) for bank in range(BANKS)])
        banks.row_out()
    assert in_use == [[True, True], [True, True], [True, False], [False, False]]
    assert not banks.in_use(0)


def test_a_row_that_was_cut_off_gives_its_bank_back_and_no_other():
    banks = Banks()
    first, second, third = (banks.claim(bank) for bank in (0, 1, 1))
    banks.release(second)
    assert banks.in_use(1)
    banks.release(third)
    assert not banks.in_use(1)
    assert banks.in_use(0)
    banks.release(first)
    banks.release(first)  # after a reset it is no longer there
    assert not banks.in_use(0)


def test_a_reset_frees_the_banks_and_leaves_what_they_hold():
    a, b = channel_sets(2)
    banks = full_banks(a, b)
    token = banks.claim(0)
    banks.claim(1)
    banks.reset()
    assert not any(banks.in_use(bank) for bank in range(BANKS))
    banks.release(token)
    banks.row_out()
    assert (banks.bank_of(a), banks.bank_of(b)) == (0, 1)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_rows_want_they_get_it_in_order(seed, count):
    """The driver's loop in short: no bank is written under a row, and no row waits for ever."""
    rng = np.random.default_rng(seed)
    some = channel_sets(4)
    ahead = [some[number] for number in rng.integers(len(some), size=60)]
    banks, inside, writes = Banks(count), [], 0
    while ahead or inside:
        wanted = banks.to_load(ahead[:8])
        if wanted is not None and not banks.in_use(wanted[0]):
            bank, channels = wanted
            assert all(used != bank for used, _ in inside)
            banks.loading(bank)
            banks.loaded(bank, channels)
            writes += 1
        if ahead and (bank := banks.bank_of(ahead[0])) is not None and rng.random() < 0.5:
            banks.claim(bank)
            inside.append((bank, ahead.pop(0)))
        elif inside and rng.random() < 0.5:
            bank, channels = inside.pop(0)
            assert banks.bank_of(channels) == bank
            banks.row_out()
    assert writes > 4


def made_rows(count=600, **make):
    parameters = WITH_TABLE.resolve(SMALL)
    maker = RowMaker(np.random.default_rng(1), WITH_TABLE, parameters)
    for name, value in make.items():
        setattr(maker, name, value)
    return maker, [maker.row() for _ in range(count)]


def test_settings_that_follow_from_the_row_are_right_without_a_generator():
    parameters = WITH_TABLE.resolve(SMALL)
    for count in range(SMALL["MAX_LEN"] + 8):
        mask = np.arange(SMALL["MAX_LEN"] + 8) < count
        follow = WITH_TABLE.complete(parameters, mask)
        assert follow == WITH_TABLE.complete(parameters, mask[::-1])
        n = min(count, SMALL["MAX_LEN"])
        assert follow["len"] == n
        # The reciprocal to half a unit in its last place.
        scale = 1 << (15 + follow["inv_exp"])
        assert abs(follow["inv_mant"] - scale / max(n, 1)) <= 0.5
        assert 1 << 14 <= follow["inv_mant"] <= 1 << 15


def test_drawn_rows_have_wrong_lengths_now_and_then():
    _, rows = made_rows()
    names = {setting.name for setting in WITH_TABLE.settings(WITH_TABLE.resolve(SMALL))}
    parameters, wrong = WITH_TABLE.resolve(SMALL), []
    for row in rows:
        assert row.settings.keys() == names - {"bank"}  # the driver knows that
        right = WITH_TABLE.complete(parameters, row.mask)
        given = {name: row.settings[name] for name in right}
        wrong.append(given != right)
        for setting in WITH_TABLE.settings(parameters):
            assert row.settings.get(setting.name, setting.values[0]) in setting.values
    assert 0.01 < np.mean(wrong) < 0.1


def test_a_setting_in_the_inputs_range_is_often_one_of_the_inputs():
    _, rows = made_rows()
    low, high = np.iinfo(WITH_TABLE.in_dtype).min, np.iinfo(WITH_TABLE.in_dtype).max
    settings = WITH_TABLE.settings(WITH_TABLE.resolve(SMALL))
    [name] = [s.name for s in settings if s.drawn and (s.values[0], s.values[-1]) == (low, high)]
    share = np.mean([row.settings[name] in row.x for row in rows])
    assert 0.4 < share < 0.8
    maker, _ = made_rows(0)
    assert maker.row(**{name: 77}).settings[name] == 77


def test_rows_share_two_channel_sets_that_are_replaced_now_and_then():
    _, rows = made_rows()
    used = [id(row.channels) for row in rows]
    fresh = sum(one not in used[:at] for at, one in enumerate(used))
    assert 10 < fresh < 60
    for start in range(0, len(used) - 8, 8):
        assert len(set(used[start : start + 8])) <= 2 + 4
    sets = {id(row.channels): row.channels for row in rows}.values()
    for column in WITH_TABLE.channels:
        for channels in sets:
            values = channels.values[column.name]
            assert values.dtype == column.dtype
            assert values.shape == (SMALL["MAX_LEN"],)
            assert column.values[0] <= values.min() <= values.max() <= column.values[-1]
    # Some have every column at an end, so that sums and products are as large as they can be.
    ends = [
        tuple(int(channels.values[column.name][0]) for column in WITH_TABLE.channels)
        for channels in sets
        if all(
            len(set(channels.values[column.name].tolist())) == 1
            and channels.values[column.name][0] in (column.values[0], column.values[-1])
            for column in WITH_TABLE.channels
        )
    ]
    assert len(set(ends)) > 1


def test_channel_sets_stay_where_clocks_are_counted():
    _, rows = made_rows(keep_channels=True)
    assert len({id(row.channels) for row in rows}) == 2


def test_units_without_a_table_have_no_channels():
    row = RowMaker(np.random.default_rng(1), UNIT, UNIT.resolve(SMALL)).row()
    assert row.channels is None


def batch(values, channel_set=None, channels=()):
    """Rows of one element each."""
    x = np.array(values, np.int8)[:, None]
    return Rows(
        x=x,
        mask=np.ones(x.shape, bool),
        length=np.ones(len(x), int),
        settings={"frac": np.array(values)},
        channels=channels,
        channel_set=None if channel_set is None else np.array(channel_set),
    )


def sets_of(rows):
    return [rows.channels[number] for number in rows.channel_set]


def test_rows_that_are_joined_keep_their_channels():
    a, b, c = channel_sets(3)
    parts = [batch([1, 2, 3], [1, 0, 1], (a, b)), batch([4, 5], [0, 1], (c, a))]
    joined = Rows.joined(parts)
    assert joined.channels == (a, b, c)  # each once
    assert sets_of(joined) == [b, a, b, c, a]
    assert joined.settings["frac"].tolist() == [1, 2, 3, 4, 5]
    again = Rows.joined([joined, *parts])
    assert again.channels == (a, b, c)
    assert sets_of(again) == [*sets_of(joined), *sets_of(joined)]


def test_rows_that_are_selected_keep_their_channels():
    a, b, c = channel_sets(3)
    rows = batch([1, 2, 3, 4], [2, 0, 1, 2], (a, b, c))
    for chosen in (np.array([3, 1]), np.array([False, True, False, True])):
        some = rows.select(chosen)
        assert {id(one) for one in sets_of(some)} == {id(a), id(c)}
        assert some.x[:, 0].tolist() == some.settings["frac"].tolist()
    assert sets_of(rows.select(np.array([3, 1]))) == [c, a]
    assert len(rows.select(np.zeros(4, bool))) == 0
    assert sets_of(Rows.joined([rows.select(np.array([2])), rows])) == [b, c, a, b, c]


def test_rows_without_channels_are_joined_and_selected_as_well():
    joined = Rows.joined([batch([1, 2]), batch([3])])
    assert joined.channels == ()
    assert joined.channel_set is None
    assert joined.select(np.array([2])).channel_set is None


def test_decode_numbers_the_channel_sets_of_a_batch():
    a, b = channel_sets(2)
    rows = [observed(([1, 2, 3, 4], 0b1111, 0b1111)) for _ in range(4)]
    for row, channels in zip(rows, (b, a, a, b), strict=True):
        row.channels = channels
    decoded = decode(rows, SHAPE).rows
    assert decoded.channels == (b, a)
    assert decoded.channel_set.tolist() == [0, 1, 1, 0]
    for row in rows:
        row.channels = None
    assert decode(rows, SHAPE).rows.channel_set is None


# --- coverage -------------------------------------------------------------------------------------


def test_coverage_counts_and_crosses():
    coverage = Coverage()
    coverage.group("g")
    coverage.point("a", range(3), "three")
    coverage.point("b", ("x", "y"), "two")
    coverage.cross("a x b", ("a", "b"), "all but (0, y)", lambda a, b: (a, b) != (0, 1))
    coverage.sample("a", np.array([0, 2, 2, -1]))
    coverage.sample("a x b", np.array([0, 2, 2]), np.array([0, 0, 1]))
    assert coverage.points["a"].counts.tolist() == [1, 0, 2]
    assert coverage.points["a"].holes == ["1"]
    assert coverage.points["a x b"].bins == ["0, x", "1, x", "1, y", "2, x", "2, y"]
    assert coverage.points["a x b"].counts.tolist() == [1, 0, 0, 1, 1]
    assert (coverage.hit, coverage.total) == (5, 10)


def test_coverage_refuses_what_is_left_out_and_what_is_no_bin():
    coverage = Coverage()
    coverage.point("a", range(2), "two")
    coverage.cross("a x a", ("a", "a"), "the diagonal", lambda i, j: i == j)
    with pytest.raises(ValueError, match="left out as unreachable"):
        coverage.sample("a x a", np.array([0]), np.array([1]))
    with pytest.raises(ValueError, match="no bin 2"):
        coverage.sample("a", np.array([2]))
    with pytest.raises(ValueError, match="made twice"):
        coverage.point("a", range(2), "again")


def test_coverage_files_come_back_and_merge(tmp_path):
    def one(index):
        coverage = Coverage()
        coverage.group("g")
        coverage.point("a", range(3), "three")
        coverage.sample("a", np.array([index]))
        path = tmp_path / f"{index}.json"
        coverage.save(path, {"seed": index})
        return Coverage.load(path)

    whole = one(0)
    whole.merge(one(2))
    assert whole.points["a"].counts.tolist() == [1, 0, 1]
    other = Coverage()
    other.point("a", range(4), "four")
    with pytest.raises(ValueError, match="other bins"):
        whole.merge(other)


def test_every_reachable_bin_count_is_positive():
    for parameters in UNIT.configurations:
        coverage = UNIT.coverage(UNIT.resolve(parameters))
        assert coverage.total > 0
        assert all(point.bins for point in coverage.points.values())
