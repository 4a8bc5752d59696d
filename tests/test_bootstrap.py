# SPDX-License-Identifier: Apache-2.0
"""What each command does first: `.venv`, and one line about whatever stands in the way."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from find_libpython import find_libpython

from softnorm.flow import tools
from softnorm.flow.build import pins
from softnorm.flow.errors import UserError
from softnorm.flow.paths import ROOT
from softnorm.units import UNITS

_OUTSIDE = {"SOFTNORM_PYTHON", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "PYTHON"}
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))


@pytest.fixture
def bootstrap(monkeypatch):
    """The module, which does nothing when the running Python is the one to use."""
    monkeypatch.setenv("SOFTNORM_PYTHON", "current")
    spec = importlib.util.spec_from_file_location("fresh", ROOT / "scripts/bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Project:
    """A folder with bootstrap.py and a script that prints where it has come to."""

    def __init__(self, root: Path):
        self.root = root
        (root / "scripts").mkdir(parents=True)
        shutil.copy(ROOT / "scripts/bootstrap.py", root / "scripts")
        shutil.copy(ROOT / "Makefile", root)
        (root / "scripts/sim.py").write_text(
            "import bootstrap, os, sys\n"
            "foreign = {'PYTHONOPTIMIZE', 'PYTHONPATH', 'PYTHONHOME'}.intersection(os.environ)\n"
            "print(sys.prefix, sys.flags.optimize, *foreign, os.getenv('PYTHONUNBUFFERED'))\n"
        )
        (root / "requirements.txt").touch()
        (root / "pyproject.toml").touch()

    def run(self, *command: str, **environment: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of a command in it: by default its script."""
        done = subprocess.run(
            command or [sys.executable, "scripts/sim.py"],
            cwd=self.root,
            env={**{k: v for k, v in os.environ.items() if k not in _OUTSIDE}, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def finish(self, bootstrap, monkeypatch) -> None:
        """Make .venv, as if all were installed in it."""
        venv.create(self.root / ".venv", with_pip=False, symlinks=True)
        monkeypatch.setattr(bootstrap, "VENV", self.root / ".venv")
        bootstrap._stamp("packages", self.root / "requirements.txt").touch()
        bootstrap._stamp("project", self.root / "pyproject.toml", str(self.root)).touch()


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path.resolve() / "project")


def one_line(said: str) -> str:
    assert said.startswith("error: "), said
    assert said.count("\n") == 1, said
    return said


def test_every_command_begins_with_it():
    for path in SCRIPTS:
        if path.name != "bootstrap.py":
            first = re.search(r"^(?:import|from) (\S+)", path.read_text(), re.M)
            assert first[1] == "bootstrap", path


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_an_older_python_gets_as_far_as_its_error(path):
    """Of Debian 10 and of Ubuntu 20.04: what it cannot parse would be a traceback instead."""
    ast.parse(path.read_text(), feature_version=(3, 7))


def test_an_older_python_is_one_line(bootstrap, monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    with pytest.raises(SystemExit) as ended:
        bootstrap._enter()
    assert ended.value.code == 2
    assert one_line(capsys.readouterr().err).endswith("newer is needed, this is 3.10.4\n")


# --- a place that the tools cannot work in --------------------------------------------------------


@pytest.mark.parametrize("command", [[], ["make", "sim"], ["make", "lint"]])
def test_a_space_in_the_path_is_one_line(tmp_path, command):
    project = Project(tmp_path / "my work")
    shutil.copy(project.root / "scripts/sim.py", project.root / "scripts/lint.py")
    for python in ({}, {"SOFTNORM_PYTHON": "current"}):
        code, _, err = project.run(*command, **python)
        line, *rest = err.splitlines()
        assert code == 2
        assert "with a space in its path: move" in one_line(line + "\n")
        assert not any("Traceback" in more for more in rest)
    assert not (project.root / ".venv").exists()


@pytest.mark.parametrize(
    "name", ["a b", "a$b", "a:b", "a#b", "a%b", "a=b", "a,b", "it's", "a\\b", "a\tb", "größe"]
)
def test_a_path_that_make_would_read_otherwise_is_refused(bootstrap, name):
    assert "in its path" in bootstrap.unfit(Path("/home") / name)


@pytest.mark.parametrize("name", ["softnorm-0.3+x", "a@d~e"])
def test_other_paths_are_not(bootstrap, name):
    assert bootstrap.unfit(Path("/home") / name) == ""


def test_a_build_below_a_space_is_refused_from_python(monkeypatch):
    monkeypatch.setattr(tools, "BUILD", Path("/my cache/softnorm"))
    with pytest.raises(UserError, match="with a space in its path: /my cache"):
        pins.check_simulator("verilator")


# --- what a fresh system lacks --------------------------------------------------------------------


def test_all_that_is_missing_is_one_line_before_venv_is_made(project, tmp_path):
    code, _, err = project.run(PATH=str(tmp_path))
    assert code == 2
    assert "g++, make, perl not found; run: apt-get install g++ make perl" in one_line(err)
    assert not (project.root / ".venv").exists()


def test_libpython_and_venv_are_named_by_their_packages(bootstrap, monkeypatch):
    monkeypatch.setattr(bootstrap, "_has_libpython", lambda: False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said = bootstrap.missing()
    assert re.search(r"venv, libpython3\S* not found; run: apt-get install .*libpython3-dev$", said)
    assert "python3-venv" in said


def test_a_static_python_is_told_from_a_missing_package(bootstrap, monkeypatch):
    monkeypatch.setattr(bootstrap, "_has_libpython", lambda: False)
    monkeypatch.setattr(bootstrap.sysconfig, "get_config_var", lambda name: 0)
    assert "was built without its shared library" in bootstrap.missing()
    assert "apt-get" not in bootstrap.missing()


def test_libpython_is_found_where_cocotb_finds_it(bootstrap, monkeypatch):
    import ctypes

    assert bootstrap._has_libpython() == (find_libpython() is not None)

    def none(name):
        raise OSError(name)

    monkeypatch.setattr(os.path, "exists", lambda path: False)
    monkeypatch.setattr(ctypes, "CDLL", none)
    assert not bootstrap._has_libpython()


def test_a_python_without_its_library_is_one_sentence_from_python(monkeypatch, sim):
    monkeypatch.setattr("find_libpython.find_libpython", lambda: None)
    with pytest.raises(UserError, match=r"apt-get install libpython3\.\d+$"):
        pins.build(UNITS["e2softmax"], UNITS["e2softmax"].defaults, sim)


def test_the_packages_are_those_of_the_pages():
    [line] = re.findall(r"apt-get install -y (.*)", (ROOT / "docs/install.md").read_text())[:1]
    assert {"g++", "make", "perl", "python3-venv", "libpython3-dev", "iverilog"} <= {*line.split()}
    assert f"apt-get install -y {line}\n" in (ROOT / "README.md").read_text()


def test_a_checkout_that_cannot_be_written_is_one_line(project, bootstrap, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "ROOT", project.root)
    monkeypatch.setattr(bootstrap, "VENV", project.root / ".venv")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # to root all can be written
    with pytest.raises(SystemExit) as ended:
        bootstrap._enter()
    assert ended.value.code == 2
    assert "cannot be written by this user" in one_line(capsys.readouterr().err)
    assert not (project.root / ".venv.lock").exists()


def test_another_python_must_have_the_packages(project):
    code, _, err = project.run(SOFTNORM_PYTHON="/usr/bin/python3")
    assert code == 2
    assert "SOFTNORM_PYTHON must be current" in one_line(err)
    venv.create(project.root / "bare", with_pip=False, symlinks=True)
    bare = str(project.root / "bare/bin/python")
    code, _, err = project.run(bare, "scripts/sim.py", SOFTNORM_PYTHON="current")
    assert code == 2
    assert f"{bare} has no softnorm; run: {bare} -m pip install" in one_line(err)


# --- .venv ----------------------------------------------------------------------------------------


def test_what_a_link_points_to_is_left_alone(project, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "work.txt").write_text("mine")
    (project.root / ".venv").symlink_to(elsewhere)
    code, _, err = project.run()
    assert code == 2
    assert "is a symbolic link" in one_line(err)
    assert (elsewhere / "work.txt").read_text() == "mine"


def test_somebody_elses_venv_is_left_alone(project):
    mine = project.root / ".venv/lib/mine.py"
    mine.parent.mkdir(parents=True)
    mine.touch()
    code, _, err = project.run()
    assert code == 2
    assert "was not made by these scripts" in one_line(err)
    assert mine.exists()


def test_its_own_venv_is_emptied(bootstrap, monkeypatch, tmp_path):
    own, outside = tmp_path / ".venv", tmp_path / "outside"
    monkeypatch.setattr(bootstrap, "VENV", own)
    monkeypatch.setattr(bootstrap, "MADE", own / "softnorm-made-this")
    bootstrap._clear()  # none yet
    (own / "lib").mkdir()
    (own / "lib/old.py").touch()
    (outside / "data").mkdir(parents=True)
    (own / "link").symlink_to(outside)
    bootstrap._clear()
    assert [path.name for path in own.iterdir()] == ["softnorm-made-this"]
    assert (outside / "data").exists()


def test_emptied_by_its_own_python_it_is_made_again_by_the_one_outside(bootstrap):
    code = (
        "import sys; sys.path.insert(0, 'scripts'); import bootstrap; print(bootstrap._outside())"
    )
    own = ROOT / ".venv/bin/python"
    said = subprocess.run([own, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert Path(said.stdout.strip()).is_file()
    assert ROOT / ".venv" not in Path(said.stdout.strip()).parents


# --- the environment ------------------------------------------------------------------------------


def test_pythons_variables_stay_outside(project, bootstrap, monkeypatch):
    project.finish(bootstrap, monkeypatch)
    expected = f"{project.root}/.venv 0 1\n"
    foreign = {"PYTHONOPTIMIZE": "2", "PYTHONPATH": "/nowhere", "PYTHONUNBUFFERED": "1"}
    assert project.run(**foreign) == (0, expected, "")
    inside = str(project.root / ".venv/bin/python")
    assert project.run(inside, "scripts/sim.py", **foreign) == (0, expected, "")
    # Python itself would not start with these, but make does not hand them on.
    foreign |= {"PYTHONHOME": "/nowhere", "PYTHONSAFEPATH": "1"}
    assert project.run("make", "sim", f"PYTHON={sys.executable}", **foreign) == (0, expected, "")


def test_without_room_for_bytecode_a_command_begins_once(project, bootstrap, monkeypatch):
    project.finish(bootstrap, monkeypatch)
    script = project.root / "scripts/bootstrap.py"
    script.write_text(re.sub("^_ROOM = .*", "_ROOM = 1 << 80", script.read_text(), flags=re.M))
    # The variable that it sets is its own, and no reason to begin anew, for ever.
    assert project.run("timeout", "20", sys.executable, "scripts/sim.py")[0] == 0


@pytest.mark.parametrize(
    "name",
    [
        *("COCOTB_TEST_FILTER", "COCOTB_RANDOM_SEED", "GPI_LOG_LEVEL", "PYGPI_PYTHON_BIN", "WAVES"),
        *("RANDOM_SEED", "MAKEFLAGS", "VERILATOR_ROOT", "IVERILOG_VPI_MODULE_PATH", "CXXFLAGS"),
        *("PYTEST_ADDOPTS", "PYTHONOPTIMIZE", "GIT_DIR", "CCACHE_PREFIX", "PERL5OPT"),
    ],
)
def test_a_shells_variable_is_gone_before_a_run(monkeypatch, name):
    monkeypatch.setenv(name, "x")
    pins.check_simulator("verilator")
    assert name not in os.environ


@pytest.mark.parametrize("name", ["PATH", "HOME", "LANG", "SOFTNORM_RUNS", "PYTEST_CURRENT_TEST"])
def test_others_stay(name):
    assert not tools._FOREIGN.fullmatch(name)
