# SPDX-License-Identifier: Apache-2.0
"""residual_add at its pins: two input streams, which the bench of the units does not have.

`residual_bench.py` drives and compares, inside the simulator; the beats that must come out are its
model's. The stream rules are bound to all three streams on Verilator.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from softnorm.flow.paths import ROOT, RTL
from softnorm.models import vectors
from softnorm.models.stream_cells import Beats, ResidualAdd
from softnorm.units.residual_add import RESIDUAL_ADD
from tests.bench import foreign_run
from tests.rtl.mutations import Edit, plant

BENCH = Path(__file__).with_name("residual_bench.py")
CHECKS = (ROOT / "tb/sv/sn_stream_checker.sv", Path(__file__).with_name("residual_checks.sv"))
VECTORS = sorted((ROOT / "tests/vectors/section8").glob("residual_add_*.npz"))
ANY = foreign_run.ANY
SIMS = [ANY, pytest.param("verilator", marks=pytest.mark.slow)]


def stream(rng, lanes, width, lengths, wrong=0.0):
    """Beats of rows of these lengths; values often near the ends; that share of wrong tkeeps."""
    counts = -(-lengths // lanes)
    total = int(counts.sum())
    row = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    keep = number[:, None] * lanes + np.arange(lanes) < lengths[row][:, None]
    bad = rng.random(total) < wrong
    keep[bad] = rng.random((int(bad.sum()), lanes)) < 0.5
    ends = np.iinfo(f"int{width}")
    data = rng.integers(ends.min, ends.max, keep.shape, ends.dtype, endpoint=True)
    near = rng.random(keep.shape) < 0.3
    data[near] = rng.choice([ends.min, ends.min + 1, -1, 0, 1, ends.max], int(near.sum()))
    last = number == counts[row] - 1
    return Beats(data, keep, rng.random(keep.shape) < 0.8, last)


def rows_of_two(seed, lanes, width, rows=60):
    """Two streams: a third of the rows of unequal lengths, some beats with a wrong tkeep.

    Half of the rows are whole beats: nothing but tlast tells those of unequal lengths. A quarter of
    the wrong tkeeps are the same in both streams.
    """
    rng = np.random.default_rng(seed)
    lengths = np.tile(rng.integers(1, 5 * lanes + 1, rows), (2, 1))
    other = rng.random(rows) < 0.35
    lengths[1, other] = rng.integers(1, 5 * lanes + 1, int(other.sum()))
    whole = rng.random(rows) < 0.5
    lengths[:, whole] = -(-lengths[:, whole] // lanes) * lanes
    s, r = (stream(rng, lanes, width, one, 0.2) for one in lengths)
    starts = [np.cumsum(-(-one // lanes)) - -(-one // lanes) for one in lengths]
    for at_s, at_r in zip(*starts, strict=True):
        if rng.random() < 0.25:
            r.keep[at_r] = s.keep[at_s] = rng.random(lanes) < 0.5
    return s, r


def equal_rows(seed, lanes, width, rows=40):
    """Two streams of the same rows, no error: what comes out has a beat a clock."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 4 * lanes + 1, rows)
    s, r = (stream(rng, lanes, width, lengths) for _ in range(2))
    return s, Beats(r.data, s.keep, r.strb, r.last)


def simulate(s, r, width, sim=ANY, edits: tuple[Edit, ...] = (), seed=1):
    """Whether the RTL does with two streams what the model does, under all stalls; the log."""
    lanes = s.keep.shape[1]
    want = ResidualAdd(lanes, width).beats(s, r)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rtl = plant(edits, folder) if edits else RTL
        arrays = {f"{n}_{k}": v for n, one in (("s", s), ("r", r)) for k, v in vars(one).items()}
        np.savez(folder / "beats.npz", seed=seed, **arrays, **vars(want))
        shutil.copyfile(BENCH, folder / "residual_bench.py")
        sources = [rtl / file for file in RESIDUAL_ADD.rtl]
        if sim == "verilator":
            sources += CHECKS
        return foreign_run.run(
            *(sim, sources, "residual_add", "residual_bench", folder),
            parameters={"LANES": lanes, "IN_W": width},
        )


@pytest.mark.parametrize("sim", SIMS)
@pytest.mark.parametrize(("lanes", "width"), [(4, 16), (2, 32)])
def test_rows_that_do_not_fit_each_other(sim, lanes, width):
    passed, log = simulate(*rows_of_two(lanes, lanes, width), width, sim)
    assert passed, log


@pytest.mark.parametrize("sim", SIMS)
def test_a_beat_a_clock_and_the_latency(sim):
    passed, log = simulate(*equal_rows(3, 1, 32), 32, sim)
    assert passed, log


@pytest.mark.parametrize("sim", SIMS)
@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_conformance_of_two_streams(sim, path):
    """The rows of somebody else's model, as beats; the model gives what the file has."""
    file = vectors.load(path)
    lanes, width = file.parameters["LANES"], file.parameters["IN_W"]
    streams = []
    for data, mask in ((file.x, file.mask), (file.extra["residual"], np.ones_like(file.mask))):
        parts = []
        for row, length in enumerate(file.length.tolist()):
            beats = -(-length // lanes)
            keep = (np.arange(beats * lanes) < length).reshape(beats, lanes)
            some = [one[row, : beats * lanes].reshape(beats, lanes) for one in (data, mask)]
            parts.append((some[0], keep, some[1], np.arange(beats) == beats - 1))
        streams.append(Beats(*(np.concatenate(of) for of in zip(*parts, strict=True))))
    want = ResidualAdd(lanes, width).beats(*streams)
    rows = [file.out[n, : -(-length // lanes) * lanes] for n, length in enumerate(file.length)]
    assert (want.data == np.concatenate(rows).reshape(-1, lanes)).all()
    passed, log = simulate(*streams, width, sim)
    assert passed, log


@dataclass(frozen=True)
class Bug:
    """An edit of the RTL, and a piece of the bench's report."""

    old: str
    new: str
    report: str
    file: str = "residual_add/residual_add.sv"


SUM = "(sum[IN_W] != sum[IN_W-1]) ? {sum[IN_W], {(IN_W - 1) {!sum[IN_W]}}} : sum[IN_W-1:0]"
BUGS = {
    "sum wraps": Bug(SUM, "sum[IN_W-1:0]", "tdata: expected"),
    "saturates at the other end": Bug(
        "{sum[IN_W], {(IN_W - 1)", "{!sum[IN_W], {(IN_W - 1)", "tdata"
    ),
    "mask of s alone": Bug("keep & s.strb & r.strb;", "keep & s.strb;", "tstrb: expected"),
    "mask of r alone": Bug("keep & s.strb & r.strb;", "keep & r.strb;", "tstrb: expected"),
    "tkeep of s": Bug("s.keep & r.keep;", "s.keep;", "tkeep: expected"),
    "masked elements come out": Bug("fits & {IN_W{active[i]}}", "fits & {IN_W{keep[i]}}", "tdata"),
    "a row ends with s": Bug(
        "assign last     = s.last || r.last;", "assign last     = s.last;", ""
    ),
    "rest of s not dropped": Bug("s_drops_q  <= r.last && !s.last;", "s_drops_q  <= 1'b0;", ""),
    "rest of r not dropped": Bug("r_drops_q  <= s.last && !r.last;", "r_drops_q  <= 1'b0;", ""),
    "drops on after tlast": Bug("if (r_valid && r.last) r_drops_q <= 1'b0;", "", ""),
    "unequal tkeep let pass": Bug(" || s.keep != r.keep ||", " ||", "tuser: expected"),
    "unequal tlast let pass": Bug(" || s.last != r.last;", ";", "tuser: expected"),
    "wrong tkeep in both let pass": Bug("wrong    = s_bad || r_bad || ", "wrong    = ", "tuser"),
    "flag of the beat alone": Bug("err_keep = wrong || err_keep_q;", "err_keep = wrong;", "tuser"),
    "flag of the row before": Bug(
        "err_keep_q <= err_keep && !last;", "err_keep_q <= err_keep;", "tuser"
    ),
    "dropped beats are not checked": Bug(
        "(joined && wrong) || (s_drops_q && s_valid && s_bad) ||",
        "(joined && wrong) ||",
        "err_keep_o",
    ),
    "err_keep_o while the output waits": Bug(
        "err_keep_o <= (joined && wrong)", "err_keep_o <= (pair && wrong)", "err_keep_o"
    ),
    "s goes on without r": Bug(
        "assign s_take   = joined ||", "assign s_take   = (s_valid && advance) ||", ""
    ),
    "a pair while r is dropped": Bug("&& !s_drops_q && !r_drops_q;", "&& !s_drops_q;", ""),
    "not reset": Bug(
        "      s_drops_q  <= 1'b0;\n      r_drops_q  <= 1'b0;\n      err", "      err", ""
    ),
    "err_len_o not 0": Bug("err_len_o = 1'b0;", "err_len_o = s_valid;", "err_len_o"),
}
EVERY_TIME = ("sum wraps", "rest of s not dropped", "flag of the row before")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in EVERY_TIME)) for n in BUGS]
)
def test_a_planted_bug_is_seen(name):
    bug = BUGS[name]
    edits = ((bug.file, bug.old, bug.new),)
    passed, log = simulate(*rows_of_two(4, 4, 16), 16, edits=edits)
    assert not passed
    assert "AssertionError" in log
    assert bug.report in log
