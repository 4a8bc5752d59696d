# SPDX-License-Identifier: Apache-2.0
"""E2Softmax with all of its features: vectors of somebody else, and rows in blocks."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from softnorm.flow import tools
from softnorm.flow.bulk import rtl
from softnorm.flow.errors import UserError
from softnorm.flow.sim import conform
from softnorm.models import vectors
from softnorm.models.vectors import Vectors
from softnorm.tb.stimulus.scenarios import rows_of
from softnorm.units import UNITS
from softnorm.units.unit import Rows

UNIT = UNITS["e2softmax"]
FOLDER = Path(__file__).parents[1] / "vectors/section8"
ANY = "icarus" if tools.icarus() else "verilator"


def builds() -> dict[str, list[Path]]:
    """Parameters as words -> the files of a build that has them."""
    found = defaultdict(list)
    for path in sorted(FOLDER.glob("e2softmax8_*.npz")):
        given = vectors.load(path).parameters
        found[" ".join(f"{name}={value}" for name, value in given.items())].append(path)
    return dict(found)


BUILDS = builds()
# Icarus has the rest at once; 32 lanes take it a minute each, and Verilator half of that to build.
# 8 lanes with all features take it ten seconds.
SLOW = [name for name in BUILDS if "LANES=32 " in name or "LANES=8 MAX_LEN=256 " in name]


def wrong_rows(unit, parameters, file: Vectors, outputs, first: int) -> list[str]:
    """Entries of a file that differ from its part of a batch's outputs."""
    part = slice(first, first + len(file.length))
    width = file.x.shape[1]
    got = {"exponent": outputs.exponent, **outputs.user}
    bad = [
        name
        for name, expected in {"exponent": file.exponent, **file.extra}.items()
        if name in got and (got[name][part] != expected).any()
    ]
    assert set(file.extra) <= {*got, *(one.name for one in unit.settings(parameters))}
    out = outputs.out[part, :width]
    return bad + ["out"] * bool((out != file.out[:, : out.shape[1]]).any())


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[pytest.mark.slow] * (one in SLOW)) for one in BUILDS]
)
def test_vectors_through_the_rtl(name):
    """All files of a build in one batch: outputs, exponents and, with BLOCKS = 1, states."""
    files = [vectors.load(path) for path in BUILDS[name]]
    parameters = UNIT.resolve(files[0].parameters)
    batch = Rows.joined([rows_of(UNIT, parameters, file) for file in files])
    sim = "verilator" if name in SLOW else ANY
    outputs = rtl.run(UNIT, parameters, batch, sim=sim, stalls=("rare", "rare"))
    first = 0
    for file in files:
        assert not wrong_rows(UNIT, parameters, file, outputs, first)
        first += len(file.length)
    assert first == len(batch)


def test_there_are_vectors_of_everything():
    files = [vectors.load(path) for paths in BUILDS.values() for path in paths]
    assert {file.settings["fmt"] for file in files} == set(range(4))
    assert {file.settings.get("s7", 0) for file in files} == {0, 1}
    for name in ("BLOCKS", "EXP_FRAC", "SCALE", "LOG_FIRST"):
        assert {file.parameters.get(name, 0) for file in files} == {0, 1}, name
    assert {file.parameters.get("IN_W", 8) for file in files} == {8, 16, 32}


SMALL = next(name for name in BUILDS if "LANES=4 " in name and "BLOCKS=1" in name)


@pytest.mark.parametrize("bulk", [True, False])
def test_each_entry_of_a_vector_file_is_compared(bulk, tmp_path):
    """A flipped bit of any is seen, pin by pin too; an entry that nobody knows is refused."""
    file = vectors.load(BUILDS[SMALL][2])
    path = tmp_path / "flipped.npz"
    for name in (None, "out_max", "out_sum", "out", "exponent") if bulk else ("out_sum",):
        changed = {n: a.copy() for n, a in (*file.extra.items(), *vars(file).items()) if n == name}
        for array in changed.values():
            array.flat[np.flatnonzero(file.mask)[0] if name == "out" else -1] ^= 1
        extra = {n: changed.get(n, a) for n, a in file.extra.items()}
        changed = {n: a for n, a in changed.items() if n not in extra}
        vectors.save(path, replace(file, extra=extra, **changed))
        assert conform.conform_rtl(path, ANY, bulk=bulk).mismatches == (name is not None)
        assert conform.conform_model(path).mismatches == (name is not None)
    vectors.save(path, replace(file, extra={**file.extra, "out_min": file.extra["out_max"]}))
    with pytest.raises(UserError, match="e2softmax has no entry out_min there; there are: out_max"):
        conform.conform_model(path)
    vectors.save(path, replace(file, extra={"out_max": file.out}))
    with pytest.raises(UserError, match=r"out_max must be \(16,\) integers"):
        conform.conform_model(path)


def blocks_of(rng, count: int, width: int, lanes: int) -> np.ndarray:
    """Where rows are cut, in beats: [rows, 4] with the row's beats last."""
    beats = -(-width // lanes)
    cuts = np.sort(rng.integers(1, beats, (count, 3)), axis=1)
    return np.column_stack([cuts, np.full(count, beats)])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(one, marks=[pytest.mark.slow] * ("IN_W=32" in one))
        for one in BUILDS
        if "LANES=32" not in one and "BLOCKS=1" in one
    ],
)
def test_a_row_in_blocks_ends_in_the_state_of_the_whole(name):
    """Any split at beats, masks and all: bit for bit."""
    parameters = UNIT.resolve(vectors.load(BUILDS[name][0]).parameters)
    lanes, rng = parameters["LANES"], np.random.default_rng(5)
    count, width = 48, 7 * lanes - 2
    dtype = UNIT.input_dtype(parameters)
    climb = np.cumsum(rng.integers(-9, 12, (count, width)), axis=1)
    x = np.clip(climb + rng.integers(-60, 60, (count, 1)), -128, 127).astype(dtype)
    mask = rng.random(x.shape) < rng.choice([0.05, 0.5, 1], (count, 1))
    mask[:3] = False
    settings = {"fmt": np.arange(count) % 3}
    if parameters.get("SCALE"):
        up = rng.integers(0, 8 * (dtype.itemsize - 1) + 1, count)
        x = x << up[:, None].astype(dtype)
        settings |= {"mult": rng.integers(128, size=count), "shift": up + 9}
    else:
        settings |= {"frac": rng.integers(8, size=count)}
    whole = rtl.run(UNIT, parameters, x, mask, settings, sim=ANY)
    cuts = blocks_of(rng, count, width, lanes)
    state = {"carry_max": np.zeros(count, int), "carry_sum": np.zeros(count, int)}
    start, beats = np.zeros(count, int), np.arange(width) // lanes
    for cut in cuts.T:
        some = cut > start
        inside = (beats >= start[:, None]) & (beats < cut[:, None])
        # Each row's block to the left end, as long as it is.
        order = np.argsort(~inside, axis=1, kind="stable")
        part, part_mask = (np.take_along_axis(a, order, axis=1) for a in (x, mask & inside))
        length = inside.sum(axis=1)
        chosen = {n: v[some] for n, v in {**settings, **state}.items()}
        got = rtl.run(
            UNIT, parameters, part[some], part_mask[some], chosen, length=length[some], sim=ANY
        )
        for carry, out in (("carry_max", "out_max"), ("carry_sum", "out_sum")):
            state[carry][some] = got.user[out]
        start = cut
    np.testing.assert_array_equal(state["carry_max"], whole.user["out_max"])
    np.testing.assert_array_equal(state["carry_sum"], whole.user["out_sum"])
    assert (whole.user["out_sum"] == 0).sum() >= 3
    assert len(np.unique(whole.user["out_sum"])) > count // 2
    # One state wrong by a bit does not end there.
    last = replace_state(chosen, "carry_sum")
    got = rtl.run(UNIT, parameters, part[some], part_mask[some], last, length=length[some], sim=ANY)
    assert (got.user["out_sum"] != whole.user["out_sum"][some]).any()


def replace_state(settings: dict, name: str) -> dict:
    return {**settings, name: settings[name] ^ (1 << 14)}
