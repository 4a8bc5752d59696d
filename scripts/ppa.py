#!/usr/bin/env python3
"""Area, speed and energy of the units in a real cell library, with Yosys, ABC and OpenSTA.

usage: scripts/ppa.py [NAME=VALUE ...]

  UNIT=name         this unit only (default: all)
  SET=default       LANES 32, MAX_LEN 1024; or smallest, or full: LANES 8 .. 64, MAX_LEN 256, 1024
  LANES=, MAX_LEN=  and any other parameter, in place of the set's
  LIBERTY=file      cell library, also as .gz (default: osu018 of Debian's qflow-tech-osu018)
  PERIOD=5          nanoseconds that gates are sized for
  PARTS=0           neither parts nor memories as flip-flops: half of the time
  POWER=0           no energy: nothing is simulated
  CHECK=1           with SET=smallest: fail if area or delay is over flow/ppa/agreed.json
  UPDATE=1          with SET=smallest: write that file
  OUT=folder        write ppa.md there (without any word: to docs)
  SRAM_AREA=        square micrometres that an SRAM takes a bit (default: 0.15 flip-flops)
  SRAM_ENERGY=1     picojoules that it takes for a bit read or written

Results are kept in build/ppa by the hash of what they depend on.
Exit code: 0 done; 1 a tool failed, gates are not their RTL, or CHECK=1 found something; 2 bad input
or a missing tool.
"""

import bootstrap  # noqa: F401  isort: skip

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from flow import tools
from flow.cli import flag, main, table, words
from flow.errors import UserError
from flow.paths import BUILD, ROOT, short
from flow.ppa import baseline, liberty, measure, page
from tb import units


def command(arguments: Sequence[str]) -> int:
    """Measure and print; return the exit code."""
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip())
        return 0
    given = words(arguments)
    asked = " ".join(["make ppa", *(f"{n}={v}" for n, v in given.items() if n != "OUT")])
    name = given.pop("UNIT", None)
    chosen = [units.get(name)] if name else list(units.UNITS.values())
    which = given.pop("SET", "default")
    if which not in measure.SETS:
        raise UserError(f"SET is one of {', '.join(measure.SETS)}, not {which!r}")
    period = _positive("PERIOD", given.pop("PERIOD", str(measure.PERIOD)))
    whole = flag("PARTS", given.pop("PARTS", "1"))
    energies = flag("POWER", given.pop("POWER", "1"))
    check, update = (flag(word, given.pop(word, "0")) for word in ("CHECK", "UPDATE"))
    if check or update:
        if which != "smallest" or name or given.keys() - {"OUT"}:
            raise UserError("CHECK=1 and UPDATE=1 are of SET=smallest: all units, no other word")
        whole = energies = False  # not in the file
    out = Path(given.pop("OUT")) if "OUT" in given else None if arguments else ROOT / "docs"
    library = liberty.load(given.pop("LIBERTY", None))
    sram = measure.Sram.of(
        library,
        *(
            _positive(word, given.pop(word)) if word in given else None
            for word in ("SRAM_AREA", "SRAM_ENERGY")
        ),
    )
    tools.package("pyosys")
    tools.require_opensta()
    parameters = chosen[0].parse(given)
    wanted = measure.configurations(chosen, which, parameters)
    found = measure.measure(
        wanted,
        partial(
            measure.figures,
            library=library,
            period=period,
            sram=sram,
            whole=whole,
            energies=energies,
        ),
        lambda line: print(line, flush=True),
    )
    folder = BUILD / "ppa"
    for one in found:
        text = " ".join(f"{n}={v}" for n, v in one.parameters.items())
        print(f"\n{one.unit} {text}: {one.delay:.2f} ns from {one.start} to {one.end}")
        print(f"  whole path and others: {one.report}")
        if one.parts:
            print(table(measure.parts_table(one), ("part", "um2", "share")))
        file = folder / f"{one.unit}_{text.replace(' ', '_')}_{library.name}.json"
        file.write_text(json.dumps(one.as_dict(), indent=2) + "\n")
    print(f"\n{table([measure.row(one) for one in found], measure.HEADER)}")
    print(f"\nlibrary {library.name}, gates sized for {period:g} ns; no wires, ideal clock")
    compared = page.ratios(found, page.pairs())
    if compared:
        print("\nbaseline over unit; the paper's ratios are the paper's own")
        print(table(compared, page.RATIO_TITLES))
    if out is not None:
        _write(out / page.PAGE, page.page(found, library, sram, asked))
    if update:
        _write(baseline.FILE, baseline.written(found))
    return baseline.check(found) if check else 0


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {error.filename}: {error.strerror}") from None
    print(f"written: {short(path)}")


def _positive(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UserError(f"{name} must be a number above 0, not {text!r}")
    return value


if __name__ == "__main__":
    main(command)
