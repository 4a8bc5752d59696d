# SPDX-License-Identifier: Apache-2.0
"""The first commands of a newcomer, in minimal Debians that hold what README.md says and no more.

Each is made by debootstrap, from the mirror that this machine's apt uses, and removed again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from softnorm.flow.paths import ROOT
from softnorm.flow.static import lint
from softnorm.units import UNITS
from tests.copies import copy
from tests.static.test_lint import tools_told

SUITES = {  # name in docs/install.md, Python, Icarus
    "bookworm": ("Debian 12", "3.11", "11.0"),
    "trixie": ("Debian 13", "3.13", "12.0"),
}
_LINE = re.search(r"^sudo apt-get install -y (.*)$", (ROOT / "README.md").read_text(), re.M)[1]
_CERTIFICATES = "mirror.crt"


def _mirror() -> str:
    """Where this machine's apt has Debian from; "" if it has it not."""
    if shutil.which("apt-get") is None:
        return ""
    words = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found = [line.rstrip("/") for line in done.stdout.splitlines()]
    return next((uri for uri in found if uri.endswith("/debian")), "")


def _pip() -> dict[str, str]:
    """Where this machine's pip has packages from."""
    words = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    lines = re.findall(r"^[\w:.-]+\.([\w-]+)='(.*)'$", done.stdout, re.M)
    given = {name: value for name, value in lines if name in ("index-url", "cert", "proxy")}
    return {f"PIP_{name.replace('-', '_').upper()}": value for name, value in given.items()}


class System:
    """A minimal Debian below `root`, with a copy of this checkout for each of its users."""

    def __init__(self, root: Path, suite: str):
        self.root = root
        self._environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "DEBIAN_FRONTEND": "noninteractive",
            **_pip(),
        }
        bundle = self._environment.get("PIP_CERT")
        done = subprocess.run(
            ["debootstrap", "--variant=minbase", suite, root, _mirror()],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"debootstrap cannot make {suite}: {done.stdout.splitlines()[-1:]}")
        if bundle:
            shutil.copy(bundle, root / _CERTIFICATES)
            self._environment["PIP_CERT"] = f"/{_CERTIFICATES}"
        self.run("root", "/", "apt-get update -q && useradd -m newcomer")

    def run(self, user: str, folder: str, command: str, code: int = 0) -> str:
        """Run a shell's command as a user; return what it said. It must end with this exit code."""
        home = "/root" if user == "root" else f"/home/{user}"
        done = subprocess.run(
            # A mount and process space of its own: nothing stays mounted, nothing goes on running.
            [
                *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
                f"--mount-proc={self.root}/proc",
                *("chroot", f"--userspec={user}:{user}", self.root, "bash", "-c"),
                f"cd {folder} && {command}",
            ],
            env={**self._environment, "HOME": home, "USER": user},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        print(f"{user}$ {command}\n{done.stdout[-2000:]}")
        assert done.returncode == code, done.stdout
        return done.stdout

    def checkout(self, user: str) -> str:
        """A copy of this checkout in the home of a user: its folder."""
        folder = "root/softnorm" if user == "root" else f"home/{user}/softnorm"
        copy(self.root / folder)
        self.run("root", "/", f"chown -R {user}:{user} /{folder}")
        return f"/{folder}"


@pytest.fixture(scope="module")
def system(request, tmp_path_factory):
    """A Debian of a suite; skipped where none can be made."""
    missing = [name for name in ("debootstrap", "unshare", "chroot") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: no Debian can be made")
    if os.geteuid() != 0:
        pytest.skip("only root can make a Debian")
    if not _mirror():
        pytest.skip("apt knows no mirror of Debian")
    folder = tmp_path_factory.mktemp("debian")
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False).returncode:
        pytest.skip("no namespaces here: this is a container without rights")
    made = System(folder / request.param, request.param)
    made.suite = request.param
    made.folder = made.checkout("newcomer")
    yield made
    shutil.rmtree(folder)


suites = pytest.mark.parametrize("system", SUITES, indirect=True, scope="module")


@pytest.mark.slow
@suites
def test_the_first_commands_in_a_minimal_debian(system):
    _, python, icarus = SUITES[system.suite]
    # What is missing is one line, before .venv is made.
    system.run("root", "/", "apt-get install -yq --no-install-recommends python3 make")
    user = "newcomer"
    folder = system.folder
    said = system.run(user, folder, "make sim", code=2)
    [line, *_] = said.splitlines()
    assert re.fullmatch(
        rf"error: g\+\+, Python's venv, libpython{python}\S* not found; "
        r"run: apt-get install g\+\+ python3-venv libpython3-dev",
        line,
    )
    assert "Traceback" not in said
    assert not (system.root / folder.lstrip("/") / ".venv").exists()

    system.run("root", "/", f"apt-get install -yq {_LINE}")
    assert python in system.run(user, folder, "python3 --version")
    assert f"version {icarus}" in system.run(user, folder, "iverilog -V 2>&1 | head -1")
    assert "\nPASS\n" in system.run(user, folder, "make sim TEST=smoke LANES=8 MAX_LEN=64")
    small = "make sim SIM=icarus TEST=smoke LANES=8 MAX_LEN=64"
    assert "\nPASS\n" in system.run(user, folder, small)
    assert ", 0 with findings" in system.run(user, folder, "make lint ONLY=icarus")
    first = "tests/test_bootstrap.py tests/test_build.py tests/static/test_lint.py"
    system.run(user, folder, f"make test ARGS='-q {first}'")
    root = system.checkout("root")
    assert "\nPASS\n" in system.run("root", root, small)


@pytest.mark.slow
@suites
def test_a_debians_own_tools_say_to_the_rtl_what_the_page_says(system):
    debian, _, icarus = SUITES[system.suite]
    told = {
        tool: (version, said)
        for (tool, version), (source, said) in tools_told().items()
        if source.startswith(debian)
    }
    assert told["Icarus Verilog"] == (icarus, "nothing")  # which make lint says above
    system.run("root", "/", "apt-get install -yq --no-install-recommends verilator yosys")
    versions = system.run("newcomer", "/", "verilator --version; yosys -V")
    assert re.search(rf"Verilator {told['Verilator'][0]} .*\nYosys {told['Yosys'][0]} ", versions)

    warnings, errors = set(), set()
    for unit, parameters in ((u, u.resolve(c)) for u in UNITS.values() for c in u.configurations):
        source = lint.source(unit, parameters)
        words = [f"-G{name}={value}" for name, value in source.parameters.items()]
        words += ["-Wno-fatal", "--top-module", source.top, *source.files]
        command = f"verilator --lint-only -Wall {' '.join(words)}"
        warnings |= {*re.findall(r"%\w+-(\w+)", system.run("newcomer", system.folder, command))}
        if parameters["LANES"] <= 2:  # enough of each unit, in seconds
            passes = "; ".join(lint.passes(source))
            command = f"yosys -p '{passes}' >yosys.log 2>&1; grep -iE 'warning|error' yosys.log"
            errors |= {*system.run("newcomer", system.folder, f"{command} | cat").splitlines()}
    assert (", ".join(sorted(warnings)) or "nothing") == told["Verilator"][1]
    if told["Yosys"][1] == "nothing":
        assert not errors
    else:
        assert told["Yosys"][1].startswith("a syntax error")
        assert errors
        assert all("syntax error, unexpected '['" in line for line in errors)
