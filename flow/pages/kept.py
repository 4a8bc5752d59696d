# SPDX-License-Identifier: Apache-2.0
"""docs/networks.json, synth.json, figures.json, ..: figures, by the command that measures them.

Each entry has the day and a hash of the sources that it is of: what has since become older shows
in the pages. An entry without a hash was measured before there were hashes, and counts as older.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from softnorm.units import UNITS
from softnorm.units.unit import Parameters, Unit

from .. import lists, tools
from ..accuracy import reach, tiles
from ..errors import UserError
from ..paths import DATA, ROOT, RTL, short, write_whole
from ..ppa import sources
from ..static.synth import Result

DOCS = ROOT / "docs"
NETWORKS, SYNTH, FIGURES = "networks.json", "synth.json", "figures.json"
PROOFS, REACH, ONNX = "proofs.json", reach.FILE, "onnx.json"
LISTED = ROOT / "flow/formal/proofs.hjson"  # what is proved
BULK = "make bench ONLY=bulk"


@dataclass(frozen=True)
class Kept:
    """What one command has measured.

    sources  hash of what it depends on; None: not known
    titles   of the table's columns
    lines    the table, as the command prints it
    facts    single values, by name
    """

    measured: str
    sources: str | None
    titles: list[str]
    lines: list[list[str]]
    facts: dict[str, int | float | str]

    def row(self, *first: str) -> dict[str, str]:
        """The line that begins with these cells: title -> cell. Raises UserError without one."""
        for line in self.lines:
            if tuple(line[: len(first)]) == first:
                return dict(zip(self.titles, line, strict=True))
        raise UserError(f"no line {' '.join(first)!r} was measured")


def new(
    of: str,
    titles: Sequence[str] = (),
    lines: Iterable[Sequence[object]] = (),
    facts: Mapping[str, int | float | str] | None = None,
) -> Kept:
    """What was measured today, on sources of this hash."""
    cells = [[str(cell) for cell in line] for line in lines]
    day = datetime.datetime.now().date().isoformat()
    return Kept(day, of, list(titles), cells, dict(facts or {}))


def command(name: str, given: Mapping[str, str]) -> str:
    """The command as it is typed, files by their names alone: the key of what it has measured."""
    shown = (
        f"{word}={shlex.quote(Path(value).name if word == 'STSB' else value)}"
        for word, value in given.items()
        if word != "OUT"
    )
    return " ".join(["make", name, *shown])


def load(file: str, folder: Path = DOCS) -> dict[str, Kept]:
    """What a file holds, by command; nothing without a file. Raises UserError."""
    path = folder / file
    if not path.exists():
        return {}
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        return {by: Kept(**one) for by, one in given.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"cannot read {short(path)}: {error!r}") from None


def put(file: str, found: Mapping[str, Kept], folder: Path) -> str:
    """Put what was measured into a file, in place of what the same commands had measured.

    Returns a line that says so. Raises UserError.
    """
    path = folder / file
    every = {**load(file, folder), **found}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, text(every))
    except OSError as error:
        raise UserError(f"cannot write {error.filename}: {error.strerror}") from None
    return f"written: {short(path)}; `make generate` writes it into the pages"


def text(every: Mapping[str, Kept]) -> str:
    """A file: a line for each line of a table, so that a change of one shows as one."""
    parts = []
    for by in sorted(every):
        one = asdict(every[by])
        lines = ",\n".join(json.dumps(line, ensure_ascii=False) for line in one["lines"])
        one["lines"] = []
        head = json.dumps(one, ensure_ascii=False)
        if lines:
            head = head.replace('"lines": []', f'"lines": [\n{lines}\n]')
        parts.append(f"{json.dumps(by)}: {head}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def of_synthesis(result: Result) -> tuple[str, Kept]:
    """What `make synth` has found of a configuration, by the command that finds it."""
    unit = result.unit
    found = {"gates": result.gates, "flip-flops": result.flip_flops}
    return synthesis(unit, result.parameters), new(of_gates(unit), facts=found)


def synthesis(unit: Unit, parameters: Parameters) -> str:
    """The command for a configuration: what is not the unit's default."""
    others = {name: str(value) for name, value in unit.others(parameters).items()}
    return command("synth", {"UNIT": unit.name, **others})


# --- hashes of what figures depend on -------------------------------------------------------------


def models() -> str:
    """Hash of what the bit-exact models give: docs/accuracy.json, which a test holds to them."""
    return hashlib.sha256((DOCS / "accuracy.json").read_bytes()).hexdigest()


def of_network(name: str, units: Iterable[Unit] = ()) -> str:
    """Of what a network's figures depend on: what the models give, calibration, network, its data,
    and the RTL of these units."""
    files = [*(ROOT / "flow/networks").glob("*.py")]
    files += [ROOT / "models/ptf.py", ROOT / "models/quantise.py"]
    data = sorted(DATA.glob(f"{name}*.npz")) or [DATA / "sentences.txt"]
    contents = [hashlib.sha256(path.read_bytes()).hexdigest() for path in data]
    rtl = {RTL / file for unit in units for file in unit.rtl}
    return sources.digest([*sorted(files), *sorted(rtl)], models(), *contents)


def of_reach() -> str:
    """Of what figures over lengths, means, scales depend on: models, calibration, measurement."""
    files = ["flow/accuracy/reach.py", "flow/networks/stand_in.py", "models/quantise.py"]
    return sources.digest([ROOT / name for name in files], models())


def of_architectures() -> str:
    """Of what figures of architectures depend on: models, what replaces, the networks."""
    return sources.digest(sorted((ROOT / "flow/pytorch").glob("*.py")), models())


def of_onnx() -> str:
    """Of what figures of ONNX networks depend on: models, calibration, what replaces."""
    files = [*(ROOT / "flow/onnx").glob("*.py"), *(ROOT / "flow/calibration").glob("*.py")]
    return sources.digest(sorted(files), models())


def of_tiles(units: Iterable[Unit]) -> str:
    """Of what attention in tiles depends on: models, loop, measurement, the RTL that does it."""
    files = [ROOT / f"flow/{name}.py" for name in ("accuracy/tiles", "networks/flash")]
    built = [unit for unit in units if {*tiles.WIDE} <= {*unit.features}]
    rtl = {RTL / name for unit in built for name in unit.rtl}
    return sources.digest([*files, ROOT / "models/attention.py", *sorted(rtl)], models())


def of_gates(unit: Unit) -> str:
    """Of what generic gates depend on: the RTL, the script, Yosys."""
    files = [*(RTL / name for name in unit.rtl), ROOT / "flow/static/synth.py"]
    return sources.digest(files, tools.versions("yosys")["pyosys"])


def of_simulation(unit: Unit) -> str:
    """Of what a simulation's counts depend on: the RTL, what the model gives, the stimulus."""
    files = [*(RTL / name for name in unit.rtl), *sorted((ROOT / "tb/stimulus").glob("*.py"))]
    return sources.digest(files, models(), sources.rows(unit.tensors))


def of_proofs(unit: str) -> str:
    """Of what the proofs of a unit, or of the common cells, depend on: their entries, and files."""
    every = lists.entries(LISTED, "proofs")
    names = (unit, "all units") if unit in UNITS else (unit,)
    wanted = [one for one in every if one["of"] in names]
    files = {ROOT / "flow/formal/engine.py"}
    for one in wanted:
        files |= {RTL / name for name in one.get("rtl") or UNITS[unit].rtl}
        files |= {ROOT / "tb/sv" / name for name in one["checkers"]}
    entries = [json.dumps(one, sort_keys=True) for one in wanted]
    return sources.digest(sorted(files), tools.versions("yosys")["pyosys"], *entries)


def of_bulk(units: Iterable[Unit]) -> str:
    """Of what the bulk engine's speed depends on, beside the machine: the engine, the RTL."""
    engine = [*(ROOT / "flow/bulk").glob("*.py"), *(ROOT / "tb/bulk").glob("*.*")]
    rtl = {RTL / file for unit in units for file in unit.rtl}
    return sources.digest([*sorted(engine), *sorted(rtl)])
