# SPDX-License-Identifier: Apache-2.0
"""The example of a block's chain: both simulators, a place in an FPGA."""

from __future__ import annotations

import pytest

from softnorm.flow.errors import UserError
from softnorm.flow.paths import ROOT, RTL
from softnorm.flow.ppa import fpga
from softnorm.flow.static import lint
from softnorm.flow.static.systems import SYSTEMS
from tests.bench import foreign_run
from tests.bench.foreign_run import ANY

CHAIN = SYSTEMS["block_chain"]
TOP = "example/block_chain.sv"
SLOW = pytest.mark.slow


def simulated(sim, folder, edit=("\0", "")):
    """Whether both chains give what the models give in a row, and the log."""
    folder.mkdir(exist_ok=True)
    text = (RTL / TOP).read_text(encoding="utf-8")
    changed = folder / "block_chain.sv"
    changed.write_text(text.replace(*edit), encoding="utf-8")
    sources = [RTL / file for file in CHAIN.rtl if file != TOP]
    sources += [changed, ROOT / "tests/wrap/chain_top.sv"]
    return foreign_run.run(sim, sources, "chain_top", "tests.wrap.chain_bench", folder)


@pytest.mark.parametrize(
    "sim", [ANY, pytest.param("verilator", marks=SLOW)], ids=["any", "verilator"]
)
def test_the_chain_is_its_models_in_a_row(sim, tmp_path):
    passed, log = simulated(sim, tmp_path)
    assert passed, log
    assert "PASS=1 FAIL=0" in log


@pytest.mark.slow
@pytest.mark.parametrize(
    "edit",
    [
        (".s_axis_tstrb   (add_axis_tstrb)", ".s_axis_tstrb   (add_axis_tkeep)"),
        (".s_axis_tstrb   (score_axis_tstrb)", ".s_axis_tstrb   (score_axis_tkeep)"),
        (".EXACT_SQ(1)", ".EXACT_SQ(0)"),
        (".r_axis_tdata (res_axis_tdata)", ".r_axis_tdata (sum_axis_tdata)"),
    ],
    ids=["masks end in the adder", "keys are not masked", "compressed squares", "one stream twice"],
)
def test_a_planted_bug_is_seen(edit, tmp_path):
    assert (RTL / TOP).read_text(encoding="utf-8").count(edit[0]) == 1
    passed, log = simulated("verilator", tmp_path, edit)
    assert not passed
    assert "AssertionError" in log


@pytest.mark.slow
def test_it_fits_an_fpga():
    """make ppa's FPGA: an LFE5U-85F."""
    try:
        fpga.require()
    except UserError as error:
        pytest.skip(str(error))
    size = {"LANES": 4, "MAX_LEN": 256}
    found = fpga.place(lint.source(CHAIN, size), size)
    print(found)
    assert not found.over
    assert found.fmax is not None
    assert found.fmax > 25
