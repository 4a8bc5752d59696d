# SPDX-License-Identifier: Apache-2.0
"""Builds of the bulk engine: a unit behind a harness that moves whole arrays of beats.

On Verilator a build is a shared library: the unit, the stream's assertions, Verilator's runtime and
the harness of `tb/bulk`. On Icarus it is a program for vvp: the unit in a test top that reads and
writes files. Neither harness names a unit: a generated header describes its ports.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from softnorm.tb.check.contract import StreamShape
from softnorm.units.unit import Parameters, Unit

from .. import tools
from ..errors import UserError
from ..paths import BUILD, ROOT, RTL
from .pins import CHECKERS, BuildError, check_simulator, defines, kept

HARNESS = ROOT / "tb/bulk"
HARNESS_SOURCES = (HARNESS / "harness.cpp", HARNESS / "yardstick.cpp")
# What a library shows is its interface alone: several are open in one process, and each must use
# the runtime that is in it.
_FLAGS = ("-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique")
_DEFINES = ("VERILATOR=1", *(f"VM_{name}=0" for name in ("SC", "TIMING", "TRACE")))
_DEFINES += tuple(f"VM_TRACE_{name}=0" for name in ("FST", "VCD", "SAIF"))
_COVERAGE = ("--coverage-line", "--coverage-toggle", "--coverage-expr")

_FIRST = "first.h"  # what is precompiled
_SLOPPY = "pch_defines,time_macros"  # without these ccache keeps nothing that has such a header

# Before what runs once an instance, as Verilator has it: not worth the quarter of the compiler's
# time that its optimisation would take.
_ONCE = '#pragma GCC optimize("O0")\n'


@dataclass(frozen=True)
class BulkBuild:
    """A finished build.

    chosen  the number of the mutant that runs, of a build that holds several (Verilator alone)
    """

    unit: Unit
    parameters: dict[str, int | str]
    sim: str
    folder: Path
    reused: bool
    seconds: float
    coverage: bool = False
    chosen: int = 0

    @property
    def library(self) -> Path:
        """Verilator's."""
        return self.folder / "unit.so"

    @property
    def program(self) -> Path:
        """Icarus's, for vvp."""
        return self.folder / "unit.vvp"


def bulk_build(
    unit: Unit,
    parameters: Parameters,
    sim: str = "verilator",
    *,
    coverage: bool = False,
    rtl: Path = RTL,
) -> BulkBuild:
    """Build `unit` with all of its `parameters`, or return an existing build.

    `rtl` is the folder of the sources: the project's, or a copy with a mutation. With `coverage`
    the unit counts its lines, branches, toggles and expressions; only Verilator can. Raises
    UserError (unknown simulator, missing tool) and BuildError (sources refused).
    """
    if coverage and sim == "icarus":  # installed or not
        raise UserError(f"{sim} measures no code coverage; verilator does")
    check_simulator(sim)
    sources = [rtl / file for file in unit.rtl]
    if sim == "verilator":
        sources += [ROOT / file for file in CHECKERS]
        own = [*HARNESS.glob("*.h"), *HARNESS.glob("*.cpp")]
        header = ports_header(unit, parameters)
        numbers = unit.rtl_parameters(parameters)
        make = partial(_verilate, numbers=numbers, coverage=coverage)
    else:
        own = [*HARNESS.glob("*.sv")]
        header, make = _macros(unit, parameters), _interpret
    started = time.perf_counter()
    folder, reused = kept(
        f"{unit.name}-bulk-{sim}",
        [defines(unit, parameters), parameters, sim, coverage, tools.versions(sim), header],
        [*sources, *sorted(own), Path(__file__)],
        lambda folder: make(unit, parameters, sources=sources, header=header, folder=folder),
    )
    seconds = time.perf_counter() - started
    return BulkBuild(unit, dict(parameters), sim, folder, reused, seconds, coverage)


def ports_header(unit: Unit, parameters: Parameters) -> str:
    """sn_ports.h: the unit's own ports, and the bytes of the common ones."""
    shape = StreamShape.of(unit, parameters)
    lists = {
        "SETTINGS": [setting.port for setting in unit.settings(parameters)],
        "CHANNELS": [column.port for column in unit.channels],
        "ERRORS": [f"{name}_o" for name in unit.errors(parameters)],
        "OPERANDS": [f"{number}, {one.prefix}" for number, one in enumerate(unit.operands)],
    }
    numbers = {
        "OPERAND_COUNT": len(unit.operands),
        "HAS_CHANNELS": int(bool(unit.channels)),
        "CELL": int(unit.cell),
        "IN_BYTES": shape.lanes * shape.in_dtype.itemsize,
        "OUT_BYTES": shape.lanes * shape.out_dtype.itemsize,
        "KEEP_BYTES": -(-shape.lanes // 8),
        "USER_BYTES": shape.user_bytes,
    }
    lines = [f"#define SN_{k}(X) {' '.join(f'X({port})' for port in v)}" for k, v in lists.items()]
    lines += [f"#define SN_{name} {value}" for name, value in numbers.items()]
    return "\n".join(["#pragma once", *lines, ""])


def _macros(unit: Unit, parameters: Parameters) -> str:
    """sn_ports.svh: the same for the test top of SystemVerilog."""
    shape = StreamShape.of(unit, parameters)
    ports = []
    for number, setting in enumerate(unit.settings(parameters)):
        ports.append(f".{setting.port}(settings[{32 * number}+:{setting.bits}]),")
    if unit.channels:
        width = max(1, (shape.max_len - 1).bit_length())
        ports += [".chan_we_i(chan_we),", ".chan_bank_i(chan_bank),"]
        ports.append(f".chan_addr_i(chan_addr[{width - 1}:0]),")
    for number, column in enumerate(unit.channels):
        ports.append(f".{column.port}(line[{32 * number}+:{column.bits}]),")
    if unit.cell:
        ports.append(".m_axis_tstrb(m_tstrb),")
    for number, name in enumerate(unit.errors(parameters)):
        ports.append(f".{name}_o(err[{number}]),")
    numbers = unit.rtl_parameters(parameters)
    macros = {
        **{name.removeprefix("SN_"): text for name, text in defines(unit, parameters).items()},
        "PARAMETERS": ", ".join(f".{name}({value})" for name, value in numbers.items()),
        "PORTS": " ".join(ports),
        "DATA_W": 8 * shape.lanes * shape.in_dtype.itemsize,
        "OUT_W": 8 * shape.lanes * shape.out_dtype.itemsize,
        "KEEP_W": shape.lanes,
        "USER_W": shape.user_bits,
        "SETTINGS": max(1, len(unit.settings(parameters))),  # no vector has no bits
        "COLUMNS": len(unit.channels),
        "CELL": int(unit.cell),
        "BARE": int(unit.bare_output(parameters)),
        "ERRORS": len(unit.errors(parameters)),
    }
    return "".join(f"`define SN_{name} {value}\n" for name, value in macros.items())


def _run(sim: str, unit: Unit, folder: Path, environment: dict[str, str], *command: str) -> None:
    """A step of a build, logged. Raises BuildError if it fails."""
    path = folder / "build.log"
    ended = tools.run(command, folder, environment)
    said = [*ended.stdout, *ended.stderr]
    with path.open("a") as log:
        log.writelines(f"{line}\n" for line in (" ".join(command), *said))
    if not ended.ok:
        text = "\n  ".join([line for line in said if "rror" in line][:10] or said[-10:])
        raise BuildError(f"{sim} cannot build {unit.name}: see {path}\n  {text}")


def _interpret(unit, parameters, sources: Sequence[Path], header: str, folder: Path) -> None:
    (folder / "sn_ports.svh").write_text(header)
    run = partial(_run, "icarus", unit, folder, {})
    run(
        *("iverilog", "-g2012", "-Wall", "-Wno-timescale", "-I", ".", "-s", "sn_bulk_top"),
        *("-o", "unit.vvp", *map(str, sources), str(HARNESS / "sn_bulk_top.sv")),
    )


def netlist_library(
    unit: Unit, parameters: Parameters, sources: Sequence[Path], folder: Path
) -> None:
    """The library of a netlist: a top module with the unit's name and ports, but no parameters.

    It also has the inputs sn_select and sn_load, which choose one of its variants. Raises
    BuildError.
    """
    header = ports_header(unit, parameters) + "#define SN_VARIANTS\n"
    _verilate(unit, parameters, {}, sources, header, folder, effort="-O3")


def _verilate(
    unit: Unit,
    parameters: Parameters,
    numbers: Parameters,
    sources: Sequence[Path],
    header: str,
    folder: Path,
    coverage: bool = False,
    effort: str = "-O1",
) -> None:
    """`numbers`: parameters of the top module. `effort`: of the C++ compiler.

    What more than -O1 does takes a third of a build, and is 5 % of a long simulation.
    """
    environment = tools.verilator_env()
    run = partial(_run, "verilator", unit, folder, environment)
    counted: list[str] = []
    if coverage:
        counted = [*_COVERAGE, "control.vlt"]
        # What counts is the RTL, not the checkers that are bound to it.
        off = "".join(f'coverage_off -file "{ROOT / name}"\n' for name in CHECKERS)
        (folder / "control.vlt").write_text(f"`verilator_config\n{off}")
    run(
        *("verilator", "--cc", "--prefix", "Vtop", "--Mdir", ".", "--top-module", unit.name),
        *("-O3", "--assert", "--x-assign", "unique", "--x-initial", "unique", "-Wno-fatal"),
        *(
            "--timescale",
            "1ns/1ps",
            "--no-timing",
            *(f"-D{name}={text}" for name, text in defines(unit, parameters).items()),
        ),
        *(f"-G{name}={value}" for name, value in numbers.items()),
        *(*counted, *map(str, sources)),
    )
    made = sorted(path.name for path in folder.glob("Vtop*.cpp"))
    slow = [name for name in made if name.endswith("__Slow.cpp")]
    # In one piece with the harness: to read Verilator's headers takes half the time of a small one.
    parts = [[one for one in made if one not in slow], [one.name for one in HARNESS_SOURCES], slow]
    texts = ["".join(f'#include "{part}"\n' for part in some) for some in parts]
    (folder / "model.cpp").write_text(texts[0] + texts[1] + _ONCE + texts[2])
    runtime = Path(environment["VERILATOR_ROOT"]) / "include"
    names = ("verilated", "verilated_threads", *(["verilated_cov"] if coverage else []))
    same = [runtime / f"{name}.cpp" for name in names]
    options = [f"-D{name}" for name in (*_DEFINES, f"VM_COVERAGE={int(coverage)}")]
    options += [effort, f"-I{runtime}", f"-I{runtime / 'vltstd'}"]
    first = [str(HARNESS / "print.h"), "verilated.h", *(["verilated_cov.h"] if coverage else [])]
    compile_library(unit, folder, header, [folder / "model.cpp"], options, same, first)


def compile_library(
    unit: Unit,
    folder: Path,
    header: str,
    sources: Sequence[Path],
    options: Sequence[str] = (),
    runtime: Sequence[Path] = (),
    first: Sequence[str] = (),
) -> None:
    """Compile a model, whose class is Vtop, with HARNESS_SOURCES into the build's library.

    `header` is sn_ports.h. `runtime`: sources of Verilator, of which each build has the same.
    `first`: headers that all sources begin with. Raises BuildError.
    """
    environment, compiler = {}, ["g++"]
    ccache = tools.ccache()
    if ccache is not None:  # most of the time goes into what is the same for every build
        # The compiler's options tell it all that a precompiled header has defined.
        environment = {"CCACHE_DIR": str(BUILD / "ccache"), "CCACHE_SLOPPINESS": _SLOPPY}
        compiler.insert(0, str(ccache))
    (folder / "sn_ports.h").write_text(header)
    run = partial(_run, "g++", unit, folder, environment)
    flags = ["-O3", *_FLAGS, *options, "-I.", f"-I{HARNESS}"]
    before = (
        ["-include", str(_precompiled(unit, flags, first)), "-fpch-preprocess"] if first else []
    )
    objects = []
    for source in [*sources, *runtime]:
        objects.append(f"{source.stem}.o")
        # By its name alone where it is the build's own: the compiler's cache is asked by it.
        name = source.name if source.parent == folder else str(source)
        kind = ["-O1", *(f"-include{one}" for one in first[:1])] if source in runtime else before
        run(*compiler, *flags, *kind, "-c", name, "-o", objects[-1])
    run("g++", "-shared", "-Wl,-Bsymbolic", "-o", "unit.so", *objects, "-pthread", "-latomic")


def _precompiled(unit: Unit, flags: Sequence[str], first: Sequence[str]) -> Path:
    """A header of these headers, with what the compiler makes of it beside it.

    To read them takes a third of a small model's time. Where the compiler does not take what it has
    made, it reads them.
    """

    def make(folder: Path) -> None:
        (folder / _FIRST).write_text("".join(f'#include "{one}"\n' for one in first))
        _run("g++", unit, folder, {}, "g++", *flags, "-x", "c++-header", _FIRST)

    about = [list(flags), list(first), tools.versions("verilator"), _version()]
    folder, _ = kept("headers", about, [Path(one) for one in first[:1]], make)
    return folder / _FIRST


@functools.cache
def _version() -> str:
    """The compiler's."""
    ended = tools.run(["g++", "--version"], ROOT)
    return "".join(ended.stdout[:1])
