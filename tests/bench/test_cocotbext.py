# SPDX-License-Identifier: Apache-2.0
"""docs/cocotbext.md: its bench, of a library that is not ours, on its wrappers."""

from __future__ import annotations

import re

import pytest

from softnorm.flow.paths import ROOT, RTL
from softnorm.units import UNITS
from tests.bench import foreign_run
from tests.bench.foreign_run import ANY

RTL_FILES = list(dict.fromkeys(UNITS["e2softmax"].rtl + UNITS["ailayernorm"].rtl))
FMT = ".cfg_fmt_i(s_axis_tuser[3]),\n"
SLOW = pytest.mark.slow
STRB = "    .s_axis_tdata(x), .s_axis_tkeep, .s_axis_tstrb"


@pytest.fixture
def client(tmp_path):
    """client(test, sim, edit): whether a test of the page passes on its wrapper, and the log."""
    page = (ROOT / "docs/cocotbext.md").read_text(encoding="utf-8")

    def run(test, sim=ANY, edit=("\0", "")):
        for language, name in (("systemverilog", "wrappers.sv"), ("python", "client.py")):
            blocks = re.findall(rf"^```{language}\n(.*?)^```$", page, re.M | re.S)
            (tmp_path / name).write_text("\n".join(blocks).replace(*edit))
        sources = [*(RTL / file for file in RTL_FILES), tmp_path / "wrappers.sv"]
        return foreign_run.run(sim, sources, f"{test}_axis", "client", tmp_path, test=test)

    return run


@pytest.mark.parametrize(
    "sim", [ANY, pytest.param("verilator", marks=SLOW)], ids=["any", "verilator"]
)
@pytest.mark.parametrize("test", ["softmax", "norm"])
def test_a_client_by_cocotbext_axi(test, sim, client):
    passed, log = client(test, sim)
    assert passed, log
    assert "PASS=1 FAIL=0" in log


@pytest.mark.parametrize(
    ("test", "edit"),
    [
        ("softmax", (FMT + STRB + "(counts)", FMT + STRB + "(s_axis_tkeep)")),
        ("softmax", (FMT, FMT.replace("s_axis_tuser[3]", "1'b0"))),
        pytest.param("norm", ("{rms, ofrac, gfrac,", "{rms, gfrac, ofrac,"), marks=SLOW),
    ],
    ids=["masks left out", "a setting left out", "settings in another order"],
)
def test_a_wrong_wrapper_is_seen(test, edit, client):
    passed, log = client(test, edit=edit)
    assert not passed  # nor if the page no longer has what is edited
    assert "AssertionError" in log
