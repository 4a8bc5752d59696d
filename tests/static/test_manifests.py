# SPDX-License-Identifier: Apache-2.0
"""softnorm.core (FuseSoC) and Bender.yml list what the units' descriptors list."""

import pytest
import yaml

from softnorm.flow.paths import ROOT, RTL
from softnorm.units import UNITS


def core_files() -> list[str]:
    core = yaml.safe_load((ROOT / "softnorm.core").read_text())
    chosen = core["targets"]["default"]["filesets"]
    assert sorted(chosen) == sorted(core["filesets"])
    return [file for name in chosen for file in core["filesets"][name]["files"]]


def bender_files() -> list[str]:
    manifest = yaml.safe_load((ROOT / "Bender.yml").read_text())
    return [file for group in manifest["sources"] for file in group["files"]]


manifests = pytest.mark.parametrize("listed", [core_files, bender_files])


@manifests
def test_each_file_is_there_and_listed_once(listed):
    files = listed()
    assert len(set(files)) == len(files)
    for file in files:
        assert (ROOT / file).is_file(), file


@manifests
@pytest.mark.parametrize("name", UNITS)
def test_a_units_files_are_listed_in_its_order(listed, name):
    unit = [f"rtl/{file}" for file in UNITS[name].rtl]
    assert [file for file in listed() if file in unit] == unit


@manifests
def test_every_source_below_rtl_is_listed(listed):
    sources = {str(file.relative_to(ROOT)) for file in RTL.rglob("*.sv")}
    assert set(listed()) == sources


def test_every_source_below_rtl_belongs_to_a_unit():
    sources = {str(file.relative_to(RTL)) for file in RTL.rglob("*.sv")}
    assert {file for unit in UNITS.values() for file in unit.rtl} == sources


def test_the_lint_targets_top_is_a_unit():
    core = yaml.safe_load((ROOT / "softnorm.core").read_text())
    assert core["targets"]["lint"]["toplevel"] in UNITS
