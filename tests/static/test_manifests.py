# SPDX-License-Identifier: Apache-2.0
"""FuseSoC's cores and Bender.yml give a unit's user the files that the unit needs, and no other."""

import re
import shutil
import sys
from functools import cache
from pathlib import Path

import pyslang
import pytest
import yaml
from pyslang.driver import Driver

from softnorm.flow import tools
from softnorm.flow.paths import ROOT, RTL
from softnorm.flow.static import generate
from softnorm.flow.static.systems import SYSTEMS
from softnorm.units import UNITS

FUSESOC = Path(sys.executable).parent / "fusesoc"


@cache
def needed(name: str) -> set[str]:
    """Files below rtl/ that elaboration of a unit goes into, over its narrow configurations."""
    unit, found = UNITS[name], set()
    for given in unit.configurations:
        if unit.resolve(given)["LANES"] > 8:  # these take longer, and go into nothing else
            continue
        driver = Driver()
        driver.addStandardArgs()
        numbers = unit.rtl_parameters(unit.resolve(given))
        words = ["slang", f"--top={name}", *(f"-G{key}={value}" for key, value in numbers.items())]
        assert driver.parseCommandLine(" ".join([*words, *map(str, sorted(RTL.rglob("*.sv")))]))
        assert driver.processOptions()
        assert driver.parseAllSources()
        compilation = driver.createCompilation()
        where = compilation.sourceManager

        def visit(symbol, where=where):
            if isinstance(symbol, pyslang.ast.InstanceSymbol):
                found.add(Path(where.getFileName(symbol.body.definition.location)).resolve())

        [top] = [one for one in compilation.getRoot().topInstances if one.name == name]
        top.visit(visit)
    packages = {path.stem: path for path in RTL.rglob("*_pkg.sv")}
    for path in list(found):
        found |= {packages[one] for one in re.findall(r"\b(\w+_pkg)::", path.read_text())}
    return {str(path.relative_to(RTL)) for path in found}


@cache
def cores() -> dict[str, tuple[list[str], list[str]]]:
    """By full name: a core's files, below rtl/, and the names of those that it depends on."""
    found = {}
    for path in [ROOT / "softnorm.core", *RTL.rglob("*.core")]:
        core = yaml.safe_load(path.read_text())
        rtl = core["filesets"]["rtl"]
        files = [str((path.parent / name).relative_to(RTL)) for name in rtl.get("files", ())]
        assert core["name"] not in found
        found[core["name"]] = files, [name.removeprefix("=") for name in rtl.get("depend", ())]
    return found


def core_files(name: str) -> list[str]:
    """What FuseSoC gives who depends on a core: each file once, those of its needs first."""
    given, ordered = cores(), []

    def add(full: str) -> None:
        files, needs = given[full]
        for need in needs:
            add(need)
        ordered.extend(file for file in files if file not in ordered)

    add(f"softnorm:ip:{name}:{generate.version()}")
    return ordered


def bender_files(*targets: str) -> list[str]:
    """What Bender gives with these targets."""
    words = {"any": lambda *many: any(many), "not_": lambda one: not one}
    chosen = []
    for group in yaml.safe_load((ROOT / "Bender.yml").read_text())["sources"]:
        text = group["target"].replace("*", "any(any(), not(any()))").replace("not(", "not_(")
        text = re.sub(r"\b(?!any\b|not_)(\w+)\b", r"('\1' in targets)", text)
        if eval(text, {**words, "targets": targets}):
            chosen += [file.removeprefix("rtl/") for file in group["files"]]
    return chosen


LISTED = {"FuseSoC": core_files, "Bender": bender_files}
manifests = pytest.mark.parametrize("listed", LISTED.values(), ids=LISTED)
units = pytest.mark.parametrize("name", UNITS)


@units
def test_a_unit_lists_what_its_elaboration_needs(name):
    assert {*UNITS[name].rtl} == needed(name)


@manifests
@units
def test_who_takes_a_unit_gets_its_files_alone(listed, name):
    files = listed(name)
    assert len(set(files)) == len(files)
    assert {*files} == needed(name)
    # Packages come before what reads them: a unit's own files are in its order.
    own = [file for file in UNITS[name].rtl if not file.startswith("common/")]
    assert [file for file in files if file in own] == own


@pytest.mark.parametrize("file", ["baseline/softermax/softermax.sv", "common/sn_multiply.sv"])
def test_a_file_too_many_or_too_few_is_seen(file):
    assert {*UNITS["e2softmax"].rtl, file} != needed("e2softmax")
    assert {*UNITS["softermax"].rtl} - {file} != needed("softermax")


@manifests
def test_who_takes_all_gets_each_file_once(listed):
    files = listed("softnorm") if listed is core_files else listed()
    assert len(set(files)) == len(files)
    assert {*files} == {str(file.relative_to(RTL)) for file in RTL.rglob("*.sv")}


@manifests
@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_who_takes_a_system_gets_its_units_and_nothing_else(listed, system):
    files = listed(system.name)
    assert len(set(files)) == len(files)
    assert {*files} == {*system.rtl}
    assert tuple(files[-len(system.files) :]) == system.files


@manifests
def test_two_units_share_their_cells(listed):
    both = ("e2softmax", "ailayernorm")
    files = bender_files(*both) if listed is bender_files else {*map(str, core_files(both[0]))}
    if listed is core_files:  # who depends on both gets each core once
        files = list(dict.fromkeys([*core_files(both[0]), *core_files(both[1])]))
    assert len(set(files)) == len(files)
    assert {*files} == {*UNITS[both[0]].rtl, *UNITS[both[1]].rtl}


def test_a_cell_lists_the_cells_that_it_instantiates():
    for full, (files, needs) in cores().items():
        if full.startswith("softnorm:cell:"):
            code = re.sub("//.*", "", (RTL / files[0]).read_text())
            inside = {*re.findall(r"^ *(sn_\w+) (?:#\(|u_)", code, re.M)}
            assert {need.split(":")[2] for need in needs} == inside, full


def test_no_core_is_left_of_what_is_no_more():
    assert {*RTL.rglob("*.core")} == {*generate.cores()} - {ROOT / "softnorm.core"}


@pytest.mark.skipif(not FUSESOC.exists(), reason="the extra fusesoc is not installed")
@pytest.mark.parametrize(
    ("name", "target", "setup"),
    [
        ("e2softmax", "lint", []),
        ("rexp", "sim", []),
        ("ailayernorm", "synth", ["--setup"]),  # there may be no program named yosys
        ("softnorm", "lint", []),
        ("e2softmax_axil", "lint", []),  # with waivers of what PeakRDL makes
    ],
)
def test_fusesoc_runs_a_units_targets(tmp_path, name, target, setup):
    if target == "sim" and tools.icarus() is None:
        pytest.skip("iverilog is not installed")
    shutil.copy(ROOT / "softnorm.core", tmp_path)
    command = [FUSESOC, "--cores-root", RTL, "--cores-root", tmp_path, "run", *setup]
    command += [f"--target={target}", "--no-export", f"--work-root={tmp_path / 'work'}"]
    command += [f"softnorm:ip:{name}", *(["--LANES", "8"] if name in UNITS else [])]
    ended = tools.run([*map(str, command)], tmp_path, tools.verilator_env())
    said = [*ended.stdout, *ended.stderr]
    assert ended.ok, said
    assert not any("warning" in line.lower() for line in said)
    [made] = (tmp_path / "work").glob("*.eda.yml")
    edam = yaml.safe_load(made.read_text())
    rtl = [file["name"] for file in edam["files"] if file["file_type"] != "vlt"]
    files = [(made.parent / file).resolve() for file in rtl]
    assert sorted(files) == sorted(RTL / file for file in core_files(name))
    if name in UNITS:
        assert edam["toplevel"] == name
        assert edam["parameters"]["LANES"]["default"] == 8
