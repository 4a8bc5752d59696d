# SPDX-License-Identifier: Apache-2.0
"""Builds: used again when nothing changed, made again when anything did, safe to share."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import textwrap

import pytest

from softnorm.flow import tools
from softnorm.flow.build import pins as build_module
from softnorm.flow.build.pins import BuildError, build
from softnorm.flow.paths import RTL
from softnorm.flow.sim.simulate import simulate
from softnorm.units import UNITS

UNIT = UNITS["e2softmax"]
SMALL = UNIT.resolve({"LANES": 2, "MAX_LEN": 8})
SIM = "icarus" if tools.icarus() else "verilator"


@pytest.fixture(autouse=True)
def own_builds(tmp_path, monkeypatch):
    monkeypatch.setattr(build_module, "BUILD", tmp_path / "build")


def test_a_build_is_used_again():
    first, second = build(UNIT, SMALL, SIM), build(UNIT, SMALL, SIM)
    assert not first.reused
    assert second.reused
    assert second.folder == first.folder


def test_a_change_of_anything_makes_it_anew(tmp_path, monkeypatch):
    rtl = tmp_path / "rtl"
    shutil.copytree(RTL, rtl)
    folders = {build(UNIT, SMALL, SIM, rtl=rtl).folder}
    source = rtl / UNIT.rtl[0]
    source.write_text(source.read_text() + "// a comment\n")
    folders.add(build(UNIT, SMALL, SIM, rtl=rtl).folder)
    folders.add(build(UNIT, {**SMALL, "DIV_BITS": 2}, SIM, rtl=rtl).folder)
    folders.add(build(UNIT, SMALL, SIM, rtl=rtl, waves=True).folder)
    versions = {**tools.versions(SIM), "numpy": "another"}
    monkeypatch.setattr(tools, "versions", lambda sim: versions)
    folders.add(build(UNIT, SMALL, SIM, rtl=rtl).folder)
    assert len(folders) == 5


def test_verilator_is_named_by_its_package_and_by_itself():
    package, itself = r"5\.48\.0", r"5\.49"  # as installed by requirements.txt, as it says
    told = tools.versions("verilator")["verilator"]
    assert re.fullmatch(rf"{package} \(it calls itself {itself}\)", told)


def test_a_build_that_was_cut_off_is_made_anew():
    first = build(UNIT, SMALL, SIM)
    (first.folder / "done").unlink()
    second = build(UNIT, SMALL, SIM)
    assert not second.reused
    assert (second.folder / "done").exists()


def test_sources_that_do_not_compile_say_where(tmp_path):
    shutil.copytree(RTL, tmp_path / "rtl")
    top = tmp_path / "rtl/e2softmax/e2softmax.sv"
    top.write_text(top.read_text().replace("endmodule", "logic = ;\nendmodule"))
    with pytest.raises(BuildError, match=r"cannot build e2softmax.*\n.*e2softmax\.sv:\d+"):
        build(UNIT, SMALL, SIM, rtl=tmp_path / "rtl")


def test_two_runs_at_once_share_a_build(tmp_path):
    """Two processes that start together: one compiles, both simulate, both pass."""
    script = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from softnorm.flow.build import pins as build
        from softnorm.flow.sim import simulate
        from softnorm.units import UNITS
        build.BUILD = simulate.BUILD = Path({str(tmp_path / "both")!r})
        unit = UNITS["e2softmax"]
        made = build.build(unit, {SMALL!r}, {SIM!r})
        result = simulate.simulate(made, "smoke", 1)
        print("reused", made.reused)
        sys.exit(not result.passed)
    """)
    both = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = sorted(process.communicate()[0].strip() for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert said == ["reused False", "reused True"]


@pytest.mark.parametrize("fst", [True, False])
def test_waves_of_verilator_are_fst_where_it_can_be_compiled(fst, monkeypatch):
    asked = []

    class Runner:
        def build(self, **how):
            asked.append((how["waves"], "--trace-fst" in how["build_args"]))

    monkeypatch.setattr(tools, "has_fst", lambda: fst)
    monkeypatch.setattr(build_module, "runner", lambda sim: Runner())
    folders = {build(UNIT, SMALL, "verilator", waves=waves).folder for waves in (False, True)}
    assert asked == [(False, False), (True, fst)]
    assert len(folders) == 2


def test_what_fst_needs_is_looked_for(monkeypatch):
    """By compiling and linking: not by a file's name."""
    said = []

    def run(command, folder):
        said.append((command, (folder / command[1]).read_text()))
        return tools.Ended(False, [], [])

    monkeypatch.setattr(tools, "run", run)
    assert not tools.has_fst.__wrapped__()
    ((command, source),) = said
    assert command[-2:] == ["-llz4", "-lz"]
    assert "#include <lz4.h>" in source


@pytest.mark.slow
def test_fst_is_written_and_is_small():
    if not tools.has_fst():
        pytest.skip(f"not installed: {tools.FST_PACKAGES}")
    made = build(UNIT, SMALL, "verilator", waves=True)
    result = simulate(made, "smoke", 1, rows=20)
    assert result.passed, result.report
    assert result.waves.name == "dump.fst"
    assert result.waves.read_bytes()[:9] == bytes([0]) + (329).to_bytes(8, "big")  # its header
    assert result.waves.stat().st_size < 100_000
    shutil.rmtree(result.run.folder)
