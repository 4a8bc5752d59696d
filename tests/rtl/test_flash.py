# SPDX-License-Identifier: Apache-2.0
"""FlashAttention's loop through the RTL: the model's to the bit, and a unit that is never idle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from softnorm.flow import tools
from softnorm.flow.accuracy import tiles
from softnorm.flow.build.bulk import bulk_build
from softnorm.flow.bulk.rtl import Instance, RtlError
from softnorm.flow.networks.flash import flash_attention
from softnorm.models import attention
from softnorm.units import UNITS
from tests.rtl.mutations import e2softmax, plant

UNIT = UNITS["e2softmax"]
ANY = "icarus" if tools.icarus() else "verilator"
BUILD = {"LANES": 2, "MAX_LEN": 16, "DIV_BITS": 3, "EXP_FRAC": 1}
BUILD |= {"IN_W": 32, "SCALE": 1, "BLOCKS": 1, "FORMATS": 1}
PARAMETERS = UNIT.resolve(BUILD)
LATENCY = UNIT.latency(PARAMETERS)[0]
SCALE = {"mult": 60, "shift": 18}


def tensors(queries: int, keys: int, seed: int = 1) -> tuple[np.ndarray, ...]:
    """q, k, v int8 of a head of 16, values of 4; a causal mask with a query that sees nothing."""
    rng = np.random.default_rng(seed)
    q, k = (rng.integers(-60, 61, (n, 16)).astype(np.int8) for n in (queries, keys))
    mask = np.arange(keys) <= np.linspace(2, keys, queries)[:, None]
    mask[-1] = False
    return q, k, rng.integers(-128, 128, (keys, 4)).astype(np.int8), mask


def run(queries: int, keys: int = 18, block: int = 4, **how):
    made = bulk_build(UNIT, PARAMETERS, ANY, **how)
    q, k, v, mask = tensors(queries, keys)
    with Instance(made) as instance:
        ran = flash_attention(instance, q, k, v, mask, block=block, **SCALE)
    model = attention.flash_attention(UNIT.model(**PARAMETERS), q, k, v, mask, block=block, **SCALE)
    return ran, model


def test_the_loop_is_the_models_to_the_bit():
    """18 keys in blocks of 2 beats, and one of 1; 16 queries in turn keep the unit busy."""
    ran, model = run(16)
    np.testing.assert_array_equal(ran.state.max, model.max)
    np.testing.assert_array_equal(ran.state.sum, model.sum)
    np.testing.assert_array_equal(ran.state.acc, model.acc)
    np.testing.assert_array_equal(ran.state.finish(), model.finish())
    assert (ran.state.sum > 0).tolist() == [True] * 15 + [False]
    assert len(np.unique(ran.state.finish())) > 20
    assert ran.early == 0
    assert (ran.beats, ran.together) == (16 * 9, 16 * 9)  # a beat a clock
    assert ran.alone == 16 * 9 + 16 * 4 * LATENCY
    assert ran.utilisation == (1, 9 / (9 + 4 * LATENCY))


@pytest.mark.parametrize("queries", [1, LATENCY // 2, 1 + -(-LATENCY // 2)])
def test_too_few_queries_in_turn_are_seen(queries):
    """A state is out LATENCY clocks after a block's last beat: other queries must fill them."""
    ran, _ = run(queries, keys=16)
    others = 2 * (queries - 1)  # beats
    assert (ran.early > 0) == (others < LATENCY)


@pytest.mark.parametrize(
    "name",
    [
        "blocks: sum of the blocks before ignored",
        "wide maximum: that of the blocks before ignored",
        "formats: odd half octaves of 182",
    ],
)
def test_a_planted_bug_is_seen(name, tmp_path):
    ran, model = run(8, rtl=plant(e2softmax.MUTATIONS[name].edits, tmp_path))
    assert (ran.state.finish() != model.finish()).any()


def test_the_table_counts_states_that_are_not_the_whole_rows(tmp_path, monkeypatch):
    """Tiles through a right unit and through a wrong one, whole rows through a right one."""
    monkeypatch.setattr(tiles, "BLOCK", 16)
    monkeypatch.setattr(tiles, "QUERIES", 5)
    planted = plant(e2softmax.MUTATIONS["blocks: sum of the blocks before ignored"].edits, tmp_path)
    whole = UNIT.resolve({**BUILD, "MAX_LEN": 48})
    builds = [bulk_build(UNIT, PARAMETERS, ANY, **how) for how in ({}, {"rtl": planted})]
    with Instance(bulk_build(UNIT, whole, ANY)) as other:
        lines = []
        for made in builds:
            with Instance(made) as tiled:
                lines.append(["", "48", *tiles._line(tiled, other, 48)])
    right, wrong = (dict(zip(tiles.TITLES, line, strict=True)) for line in lines)
    assert (right["rows"], right["other state"], right["early"]) == ("5", "0", "0")
    assert (right["beats"], right["clocks"], right["in turn"]) == ("120", "120", "1.000")
    assert right["one at a time"] == f"{120 / (120 + 5 * 2 * LATENCY):.3f}"
    assert 0 < float(right["mean difference"]) < 8
    assert (wrong["other state"], tiles.wrong(lines[:1]), tiles.wrong(lines)) == ("5", False, True)


def test_a_unit_that_is_another_in_one_go_is_seen():
    """A state that depends on the row before shows where rows follow one another."""
    made = bulk_build(UNIT, PARAMETERS, ANY)
    q, k, v, mask = tensors(4, 12)
    with Instance(made) as instance:
        instance.run = lambda rows, **how: changed(Instance.run(instance, rows, **how))
        with pytest.raises(RtlError, match="out_sum in one go is not that of block by block"):
            flash_attention(instance, q, k, v, mask, block=4, **SCALE)


def changed(out):
    return replace(out, user={**out.user, "out_sum": out.user["out_sum"] ^ 1})
