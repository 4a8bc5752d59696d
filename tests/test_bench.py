"""The test bench itself: that it fails when it must, and its parts that need no simulator."""

from __future__ import annotations

import numpy as np
import pytest

from flow import tools
from flow.build import build
from flow.simulate import execute, new_run
from tb.contract import KEEP_KINDS, ObservedRow, StreamShape, decode, pack
from tb.coverage import Coverage
from tb.stimulus import MASKS, SHAPES, STALLS, Noise, Row, RowMaker, corner_lengths
from tb.units import UNITS

UNIT = UNITS["e2softmax"]
SIM = "icarus" if tools.icarus() else "verilator"


# --- a bench with a fault must fail ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "report"),
    [
        ("NothingReachesTheScoreboard", "nothing was compared"),
        ("OutputsAreNotSeen", "nothing was compared"),
        ("AnErrorIsLogged", "an error was logged: ['something is wrong here']"),
        ("ARowIsLost", "21 rows were driven, 20 are accounted for"),
        ("TheModelIsWrong", "e2softmax: row 2 does not match the model"),
        ("PulsesAreMiscounted", "err_keep_o was high for 1 clocks, expected 0"),
    ],
)
def test_a_bench_with_a_fault_fails(fault, report, monkeypatch):
    monkeypatch.setenv("SOFTNORM_FAULT", fault)
    made = build(UNIT, UNIT.resolve({"LANES": 4, "MAX_LEN": 32}), SIM)
    run = new_run(made, "smoke", 1, 200, None, "make sim TEST=smoke")
    result = execute(made, run, "tests.faulty_bench")
    assert not result.passed
    assert report in result.report
    assert "rerun: make sim TEST=smoke" in result.report


def test_a_mismatch_report_says_where_and_what(monkeypatch):
    monkeypatch.setenv("SOFTNORM_FAULT", "TheModelIsWrong")
    made = build(UNIT, UNIT.resolve({"LANES": 4, "MAX_LEN": 32}), SIM)
    run = new_run(made, "smoke", 3, 200, None, "make sim TEST=smoke SEED=3")
    report = execute(made, run, "tests.faulty_bench").report
    for part in (
        "seed 3, parameters LANES=4 MAX_LEN=32 DIV_BITS=1 EXP_FRAC=0, settings frac=",
        "beat 0, lane 0 (element 0), tdata: expected ",
        "1 elements of the row differ",
        "input of the element: ",
        "beat in: ",
        "expected: ",
        "got: ",
        "log: ",
    ):
        assert part in report


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
    assert expected.keep_pulses.tolist() == [int(kind is not None)]


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
    words = {pack(row, SHAPE, Noise(np.random.default_rng(seed)))[0][0] for seed in range(8)}
    assert len(words) > 4
    assert all(word & 0xFF == 0 for word in words)


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
