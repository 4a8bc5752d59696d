# SPDX-License-Identifier: Apache-2.0
"""What two input streams need of the bench: the join against the cell's model, progress, files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from softnorm.flow import tools
from softnorm.flow.bulk import rtl
from softnorm.flow.errors import UserError
from softnorm.flow.sim import conform
from softnorm.models import vectors
from softnorm.models.stream_cells import Beats
from softnorm.tb.check import join as join_module
from softnorm.tb.check.contract import InputBeats, StreamShape, expect, pack
from softnorm.tb.check.join import Joiner, Stream
from softnorm.tb.check.progress import Pairs
from softnorm.tb.run import Run
from softnorm.tb.stimulus.replay import Stimulus
from softnorm.tb.stimulus.scenarios import SCENARIOS, Bench
from softnorm.tb.stimulus.values import Noise, RowMaker
from softnorm.units import UNITS

UNIT = UNITS["residual_add"]
VECTORS = sorted((Path(__file__).parents[1] / "vectors").glob("residual_add_*.npz"))
ANY = "icarus" if tools.icarus() else "verilator"
SMALL = UNIT.resolve({"LANES": 4, "IN_W": 16})


def rows_drawn(test="errors"):
    make = RowMaker(np.random.default_rng(3), UNIT, SMALL)
    phases = SCENARIOS[test].phases(Bench(make, 60, None))
    return [row for phase in phases for row in phase.rows]


def beats_of(rows):
    """Beats of rows as the model and as the join take them."""
    shape, noise = StreamShape.of(UNIT, SMALL), Noise(np.random.default_rng(1))
    packed = [pack(row, shape, noise) for row in rows]
    count = np.array([len(one) for one in packed])
    raw = np.array([beat for one in packed for beat in one], object)
    lane = np.arange(4)
    data = (raw[:, :1] >> 16 * lane & 0xFFFF).astype(np.uint16).view(np.int16)
    keep, strb = (((raw[:, [at]] >> lane) & 1).astype(bool) for at in (1, 2))
    last = np.zeros(len(raw), bool)
    last[np.cumsum(count) - 1] = True
    stream = Stream(
        InputBeats(count, data, keep, strb, {}),
        np.arange(len(raw)),
        np.ones(len(count), bool),
    )
    return Beats(data, keep, strb, last), stream


def join_is_the_models():
    """Whether the beats and pulses of drawn rows, which mostly do not fit, are the model's."""
    rows = rows_drawn()
    (s, one), (r, other) = beats_of(rows), beats_of([row.operands[0] for row in rows])
    want = UNIT.model(**SMALL).beats(s, r)
    joined, _ = Joiner().join([one, other], [])
    got = expect(joined, StreamShape.of(UNIT, SMALL))
    model = UNIT.predict(SMALL, got.rows)
    pairs = np.arange(got.keep_flags.shape[1]) < got.beats[:, None]
    live = got.rows.mask.reshape(*pairs.shape, -1)
    assert want.pulses > 100
    assert want.drained > 100
    return (
        np.array_equal(np.flatnonzero(want.last), np.cumsum(got.beats) - 1)
        and np.array_equal(want.data, model.out.reshape(live.shape)[pairs])
        and np.array_equal(want.keep, got.keep.reshape(live.shape)[pairs])
        and np.array_equal(want.strb, live[pairs])
        and np.array_equal(want.err_keep, got.keep_flags[pairs])
        and want.pulses == len(joined.joint.pulses[0])
        and want.drained == len(joined.joint.dropped)
    )


def test_the_join_is_the_models():
    assert join_is_the_models()


def test_a_wrong_join_is_seen(monkeypatch):
    right = join_module.judge_keep
    monkeypatch.setattr(join_module, "judge_keep", lambda keep, last: right(keep, last | True))
    assert not join_is_the_models()


def test_pairs_inside_and_streams_that_are_awaited():
    pairs = Pairs(2)
    assert pairs.clock([False, None], False) == 0
    assert pairs.awaited == [1]
    assert pairs.clock([True, True], False) == 1  # r ends first: the second of s is dropped
    assert pairs.awaited == [0, 1]
    assert pairs.clock([None, False], True) == 0
    assert pairs.clock([False, None], False) == 1
    assert pairs.clock([True, None], False) == 1  # it waits for r
    assert pairs.awaited == [1]
    pairs.restart()
    assert pairs.awaited == [0, 1]
    assert pairs.clock([True, False], False) == 1
    assert pairs.clock([True, False], False) == 1  # r is still dropped
    assert pairs.awaited == [1]
    assert pairs.clock([None, True], False) == 1
    assert pairs.clock([None, True], False) == 2


def test_a_flipped_bit_of_an_operand_is_seen_and_none_is_refused(tmp_path):
    file = vectors.load(VECTORS[0])
    residual = file.extra["residual"].copy()
    residual[tuple(np.argwhere(file.mask & (abs(file.out) < 32767))[0])] ^= 1
    path = tmp_path / "flipped.npz"
    vectors.save(path, replace(file, extra={"residual": residual}))
    assert conform.conform_model(path).mismatches == 1
    vectors.save(path, replace(file, extra={"residual": residual * 100_000}))
    with pytest.raises(UserError, match=r"residual must be \(16, 64\) int16, not \(16, 64\) int64"):
        conform.conform_model(path)
    vectors.save(path, replace(file, extra={}))
    with pytest.raises(UserError, match="has no residual: residual_add needs it beside x"):
        conform.conform_model(path)


def test_a_row_has_any_length():
    """Rows of 3,001 elements on 4 lanes, and one of an element behind each."""
    rng = np.random.default_rng(1)
    x, residual = rng.integers(-(1 << 15), 1 << 15, (2, 4, 3_001)).astype(np.int16)
    mask = rng.random(x.shape) < 0.9
    length = np.array([3_001, 1, 3_001, 1])
    rows = rtl.rows_of(UNIT, SMALL, x, mask, length=length, operands=(residual,))
    got = rtl.run(UNIT, SMALL, rows, stalls=("rare", "rare"), sim=ANY)
    assert (got.out == UNIT.predict(SMALL, rows).out).all()
    assert not got.err_keep.any()
    with pytest.raises(ValueError, match=r"residual must be \(4, 3001\) int16, not"):
        rtl.rows_of(UNIT, SMALL, x, operands=(residual[:, :7],))


def test_a_stimulus_file_holds_both_streams(tmp_path):
    run = Run(tmp_path, UNIT.name, SMALL, ANY, "random", 5, 40, None, "")
    stimulus = Stimulus.of(run)
    path = tmp_path / "stimulus.json"
    path.write_text(stimulus.to_json(run))
    again = Stimulus.load(path, UNIT, SMALL)
    assert again.to_json(run) == stimulus.to_json(run)
    assert {phase.other for phase in again.phases} > {"none", "half"}
    assert any(len(row.operands[0].x) != len(row.x) for row in again.rows)
