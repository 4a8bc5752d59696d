# SPDX-License-Identifier: Apache-2.0
"""What continuous integration and the nightly job run, and that nothing is in neither."""

import re

import pytest

from softnorm.flow.paths import ROOT
from softnorm.units import UNITS

SCRIPTS = ("run", "nightly")


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_commands_of_a_script_exist(name):
    commands = re.findall(r"^ *(?:step|all) make (\w+)", text(f".ci/{name}"), re.M)
    assert commands
    there = re.search(r"^COMMANDS := (.*)$", text("Makefile"), re.M)[1].split()
    assert {*commands} <= {*there}


def test_the_workflows_run_the_scripts_and_nothing_of_their_own():
    for workflow, name in (("ci", "run"), ("nightly", "nightly")):
        steps = re.findall(r"^ +run: (.*)$", text(f".github/workflows/{workflow}.yml"), re.M)
        assert [step for step in steps if "apt-get" not in step] == [f".ci/{name}"]


def test_ci_runs_the_test_command_of_the_readme():
    assert "`make test`" in text("README.md")
    assert "\nstep make test\n" in text(".ci/run")


def test_each_night_every_unit_is_mutated_the_main_ones_most():
    script = text(".ci/nightly")
    loops = re.findall(
        r"^for unit in (.*); do\n"
        r"(?: +for seed in ([\d ]+);.*\n)? +all make mutate UNIT=\S+ COUNT=(\d+)( SEED=\S+)?$",
        script,
        re.M,
    )
    assert len(loops) == script.count("make mutate")
    counts = dict.fromkeys(UNITS, 0)
    for names, seeds, count, seed in loops:
        assert bool(seeds) == (seed == ' SEED="$seed"')
        fresh = {*seeds.split()} - {"1"} if seeds else {"1"}  # without SEED= it is 1
        for name in names.split():
            counts[name] += int(count) * len(fresh)
    for name, unit in UNITS.items():
        assert counts[name] >= (1000 if unit.baseline or unit.cell else 5000), name
