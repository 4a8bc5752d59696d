# SPDX-License-Identifier: Apache-2.0
"""e2softmax_axil: registers, queue and streams by masters that are not ours, on Verilator.

Icarus does not read the unpacked structures of PeakRDL's registers.
"""

from __future__ import annotations

import json

import pytest

from softnorm.flow.paths import ROOT, RTL
from softnorm.units import UNITS
from tests.bench import foreign_run

HERE = ROOT / "tests/wrap"
WRAP = RTL / "wrap"
FILES = [
    *(f"wrap/e2softmax_axil_{part}.sv" for part in ("regs_pkg", "regs")),
    *("wrap/sn_axil.sv", "wrap/sn_row_queue.sv", "wrap/e2softmax_axil.sv"),
]
SLOW = pytest.mark.slow


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """bench(parameters, edit): whether all tests of bench.py pass, and the log."""

    def run(edit=None, test=None, **given):
        monkeypatch.setenv("SN_GIVEN", json.dumps(given))
        sources = [RTL / file for file in (*UNITS["e2softmax"].rtl, *FILES)]
        if edit:
            name, old, new = edit
            text = (RTL / name).read_text(encoding="utf-8")
            assert text.count(old) == 1, (name, old)
            copy = tmp_path / "changed.sv"
            copy.write_text(text.replace(old, new), encoding="utf-8")
            sources[sources.index(RTL / name)] = copy
        sources += [HERE / "waivers.vlt", HERE / "axil_top.sv"]
        return foreign_run.run(
            *("verilator", sources, "axil_top", "tests.wrap.bench", tmp_path, given, test)
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
