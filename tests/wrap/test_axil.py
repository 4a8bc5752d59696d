# SPDX-License-Identifier: Apache-2.0
"""e2softmax_axil: registers, queue and streams by masters that are not ours, on Verilator.

Icarus does not read the unpacked structures of PeakRDL's registers.
"""

from __future__ import annotations

import json
import re

import pytest

from softnorm.flow import tools
from softnorm.flow.paths import ROOT, RTL
from softnorm.flow.static import registers
from softnorm.flow.static.systems import SYSTEMS
from tests.bench import foreign_run

HERE = ROOT / "tests/wrap"
WRAP = SYSTEMS["e2softmax_axil"]
FILES = WRAP.rtl
AXIL, QUEUE, TOP = "wrap/sn_axil.sv", "wrap/sn_row_queue.sv", "wrap/e2softmax_axil.sv"
REGS = "wrap/e2softmax_axil_regs.sv"
SLOW = pytest.mark.slow
STICKY = "if(hwif_in.IRQ.err_len.next) begin // stickybit"
BUGS = {  # name -> file, old, new, the test that fails
    "writes a full queue": (
        TOP,
        "(count == CntW'(DEPTH) || strb != 4'b1111)",
        "(strb != 4'b1111)",
        "full",
    ),
    "takes a part of a descriptor": (TOP, " || strb != 4'b1111", "", "full"),
    "refuses what is not a descriptor": (TOP, "desc && (count", "write && (count", "full"),
    "tready without a descriptor": (TOP, "= unit_ready && there;", "= unit_ready;", "waiting"),
    "a row without a descriptor": (TOP, "(s_axis_tvalid && there)", "(s_axis_tvalid)", "waiting"),
    "a descriptor a beat": (TOP, "&& s_axis_tready && s_axis_tlast;", "&& s_axis_tready;", "rows"),
    "settings of the row before": (TOP, ".push_i (push_q)", ".push_i (req && desc)", "full"),
    "waits for two descriptors": (
        TOP,
        "assign there         = count != '0;",
        "assign there         = count > CntW'(1);",
        "waiting",
    ),
    "a cleared cause that comes is lost": (
        REGS,
        STICKY,
        STICKY.replace("next)", "next && !decoded_reg_strb.IRQ)"),
        "sticky",
    ),
    "the next entry": (QUEUE, "entry_q[rd_q];", "entry_q[next(rd_q)];", "full"),
    "the queue wraps late": (QUEUE, "(DEPTH - 1)) ? '0", "(DEPTH)) ? '0", "rows"),
    "an address is overwritten": (
        AXIL,
        "s_axil_awready = live_q && !aw_q;",
        "s_axil_awready = live_q;",
        "identity",
    ),
    "a write without its data": (AXIL, "= aw_q && w_q && !", "= aw_q && !", "rows"),
    "a response is overwritten": (AXIL, "w_q && !s_axil_bvalid;", "w_q;", "identity"),
    "no error is answered": (AXIL, "(refuse_i || err_i) ? SlvErr", "err_i ? SlvErr", "full"),
}


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """bench(parameters, edit): whether all tests of bench.py pass, and the log."""

    def run(edit=None, test=None, **given):
        monkeypatch.setenv("SN_GIVEN", json.dumps(given))
        sources = [RTL / file for file in FILES]
        if edit:
            name, old, new = edit
            text = (RTL / name).read_text(encoding="utf-8")
            assert text.count(old) == 1, (name, old)
            copy = tmp_path / (RTL / name).name
            copy.write_text(text.replace(old, new), encoding="utf-8")
            sources[sources.index(RTL / name)] = copy
        sources += [RTL / "wrap/e2softmax_axil.vlt", HERE / "axil_top.sv"]
        return foreign_run.run(
            *("verilator", sources, "axil_top", "tests.wrap.bench", tmp_path, given, test),
            seen=[(WRAP.name, signal) for signal in ("err_len", "req", "write", "addr")],
        )

    return run


@pytest.mark.parametrize(
    "given",
    [
        {"DEPTH": 4},
        pytest.param({"DEPTH": 1}, marks=SLOW),
        pytest.param({"DEPTH": 5, "SCALE": 1, "IN_W": 32, "BLOCKS": 1, "FORMATS": 1}, marks=SLOW),
    ],
    ids=str,
)
def test_rows_by_descriptors(given, bench):
    passed, log = bench(**given)
    assert passed, log
    assert "PASS=6 FAIL=0" in log


@pytest.mark.slow
@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_seen(name, bench):
    *edit, test = BUGS[name]
    given = {"DEPTH": 5} if edit[0] == QUEUE else {"DEPTH": 4}
    passed, log = bench(edit, test, **given)
    assert not passed
    assert "AssertionError" in log or "SimTimeoutError" in log, log


def test_the_pages_c_compiles(tmp_path):
    page = (ROOT / "docs/axil.md").read_text(encoding="utf-8")
    [code] = re.findall(r"^```c\n(.*?)^```$", page, re.M | re.S)
    assert "frac[] = {4, 4, 5};" in code  # what the page says before
    (tmp_path / "rows.cpp").write_text(code, encoding="utf-8")
    command = ["g++", "-Wall", "-Werror", "-Wno-unused-function", "-fsyntax-only"]
    ended = tools.run([*command, f"-I{RTL / 'wrap'}", "rows.cpp"], tmp_path)
    assert ended.ok, ended.stderr


@pytest.mark.skipif(not registers.installed(), reason="the extra registers is not installed")
def test_registers_are_what_peakrdl_makes():
    made = registers.files()
    assert len(made) == 4
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, "run: make generate"
