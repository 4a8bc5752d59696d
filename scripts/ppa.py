#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Area, speed and energy of the units in a real cell library, with Yosys, ABC and OpenSTA.

usage: scripts/ppa.py [NAME=VALUE ...]

  UNIT=name         this unit only (default: all)
  SET=default       LANES 32, MAX_LEN 1024; or smallest; or full: LANES 8 .. 64, MAX_LEN 256, 1024;
                    or variants: every variant of each unit at LANES 32, MAX_LEN 1024; or features:
                    builds with a feature and those that they are compared with, at that size
  LANES=, MAX_LEN=  or any other parameter, instead of the set's
  LIBERTY=file      cell library, also as .gz (default: osu018 of Debian's qflow-tech-osu018)
  PERIOD=5          clock period in nanoseconds that gates are sized for
  PARTS=0           skip parts and memories as flip-flops; takes half the time
  POWER=0           skip energy; nothing is simulated
  GATED=1           flip-flops that share an enable get a gated clock in its place; with OUT= these
                    figures stand beside the others. Parts are as without
  RUNS=5            an odd number of runs, each with other names of wires and cells, which move the
                    mapper: figures are medians, and the page has the least and the greatest
  CHECK=1           with SET=smallest: fail if area or delay exceeds flow/ppa/reference.json
  UPDATE=1          with SET=smallest: write that file
  SRAM_AREA=        SRAM area per bit in square micrometres (default: 0.15 flip-flops)
  SRAM_ENERGY=1     SRAM energy in picojoules per bit read or written
  WIRES=1           place and route with graywolf and qrouter instead, at LANES 8, MAX_LEN 1024, one
                    unit after the other; takes UNIT=, parameters, POWER=0 and OUT=, which gets a
                    picture of each layout
  LIMIT=1800        with WIRES=1: seconds for placing, and for routing; what is not routed then
                    counts with half the perimeter of its pins
  FPGA=1            LUTs, flip-flops and Fmax in an ECP5 instead (needs the extra `fpga`), at
                    LANES 8, MAX_LEN 256; takes UNIT=, SET=, parameters and OUT=
  OUT=folder        replace the figures of these configurations in the folder's ppa.json, and write
                    ppa.md and its plots from all of its figures (without any argument: docs)
  PAGE=1            measure nothing; write ppa.md and its plots from ppa.json (OUT=docs)

Results are cached in build/ppa by a hash of their sources. Plots need matplotlib (the extra
`plot`); without it existing plots are left as they are.
Exit code: 0 done; 1 a tool failed, a netlist differs from its RTL, or CHECK=1 found a worse figure;
2 bad input or a missing tool.
"""

import bootstrap  # noqa: F401  isort: skip

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from softnorm import units
from softnorm.flow import tools
from softnorm.flow.accuracy.tables import write_plot
from softnorm.flow.cli import flag, main, table, words
from softnorm.flow.errors import UserError
from softnorm.flow.paths import BUILD, short, write_whole
from softnorm.flow.ppa import baseline, compare, fpga, liberty, measure, page, screen, sets, store
from softnorm.flow.ppa.wires import figures, picture, place
from softnorm.units.unit import Parameters, Unit


def command(arguments: Sequence[str]) -> int:
    """Measure, print and write; return the exit code."""
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip())
        return 0
    given = words(arguments)
    out = Path(given.pop("OUT")) if "OUT" in given else None if arguments else store.DOCS
    if flag("PAGE", given.pop("PAGE", "0")):
        return _page(given, out or store.DOCS)
    name = given.pop("UNIT", None)
    chosen = [units.get(name)] if name else list(units.ROW_UNITS.values())
    which = given.pop("SET", None)
    if which not in (None, *sets.SETS):
        raise UserError(f"SET is one of {', '.join(sets.SETS)}, not {which!r}")
    if flag("FPGA", given.pop("FPGA", "0")):
        return _fpga(chosen, which, given, out)
    if flag("WIRES", given.pop("WIRES", "0")):
        return _wires(chosen, which, given, out)
    return _cells(chosen, which or "default", given, out)


def _page(given: dict[str, str], out: Path) -> int:
    """The page of what is kept."""
    if given:
        raise UserError("PAGE=1 takes OUT=<folder> or no other word")
    print("\n".join(page.write(store.load(out), out)))
    return 0


def _fpga(
    chosen: Sequence[Unit], which: str | None, given: dict[str, str], out: Path | None
) -> int:
    """Figures in an FPGA."""
    parameters = chosen[0].parse(given)
    if which is None:
        parameters = {**fpga.SIZE, **parameters}
    wanted = sets.configurations(chosen, which or "default", parameters)
    if out:  # before anything is measured
        store.load(out)
    tools.package("pyosys")
    fpga.require()

    def one(unit: Unit, parameters: Parameters, say: Callable[[str], None]) -> fpga.FpgaFigures:
        say("synthesis, placing, routing")
        return fpga.fpga(unit, parameters)

    found = sets.measure(wanted, one, lambda line: print(line, flush=True))
    for one in found:
        _json(one.unit, one.parameters, "ecp5", one.as_dict())
    print(f"\n{table([fpga.row(one) for one in found], fpga.HEADER)}")
    print(f"\n{fpga.DEVICE}, nextpnr seed {fpga.SEED}; no pins, Fmax from register to register")
    if out:
        print("\n".join(page.write(store.load(out).with_fpga(found), out)))
    return 0


def _wires(
    chosen: Sequence[Unit], which: str | None, given: dict[str, str], out: Path | None
) -> int:
    """Figures with wires, in the default library: the only one with its cells' shapes."""
    if which is not None or "LIBERTY" in given:
        raise UserError("WIRES=1 takes no SET= and no LIBERTY=")
    limit = _positive("LIMIT", given.pop("LIMIT", str(figures.LIMIT)))
    energies = flag("POWER", given.pop("POWER", "1"))
    parameters = {**figures.SIZE, **chosen[0].parse(given)}
    library = liberty.load()
    sram = measure.Sram.of(library)
    flow = store.Flow.of(library, measure.PERIOD, sram)
    if out:  # before anything is measured
        store.load(out).check(flow, out / store.FILE)
    tools.package("pyosys")
    tools.require_opensta()
    place.require()

    found = []
    for unit in chosen:
        own = unit.taken(parameters)
        begun = time.monotonic()

        def say(words: str, unit: Unit = unit, begun: float = begun) -> None:
            print(f"{time.monotonic() - begun:8.1f} s  {unit.name}: {words}", flush=True)

        one, layout = figures.wired(unit, own, library, measure.PERIOD, sram, energies, limit, say)
        found.append(one)
        _json(one.unit, one.parameters, "wires", dataclasses.asdict(one))
        print(f"  {layout.routes.how}")
        # As soon as a unit is done: the next one may take half an hour.
        if out:
            print(write_plot(lambda: picture.png(one, layout), out / picture.name(one)))  # noqa: B023
            print("\n".join(page.write(store.load(out).with_wires([one], flow), out)))
    print(f"\n{table([screen.wired_row(one) for one in found], screen.WIRED_HEADER)}")
    print(f"\nlibrary {library.name}, gates sized for {measure.PERIOD:g} ns; clock without a tree")
    return 0


def _cells(chosen: Sequence[Unit], which: str, given: dict[str, str], out: Path | None) -> int:
    """Figures in a cell library."""
    period = _positive("PERIOD", given.pop("PERIOD", str(measure.PERIOD)))
    whole = flag("PARTS", given.pop("PARTS", "1"))
    energies = flag("POWER", given.pop("POWER", "1"))
    gated = flag("GATED", given.pop("GATED", "0"))
    runs = given.pop("RUNS", "1")
    if not runs.isdecimal() or int(runs) % 2 == 0:
        raise UserError(f"RUNS must be an odd number, not {runs!r}: figures are medians")
    check, update = (flag(word, given.pop(word, "0")) for word in ("CHECK", "UPDATE"))
    if check or update:
        if which != "smallest" or len(chosen) == 1 or given or gated or runs != "1":
            raise UserError("CHECK=1 and UPDATE=1 are of SET=smallest: all units, no other word")
        whole = energies = False  # not in the file
    library = _library(given.pop("LIBERTY", None))
    sram = measure.Sram.of(
        library,
        *(
            _positive(word, given.pop(word)) if word in given else None
            for word in ("SRAM_AREA", "SRAM_ENERGY")
        ),
    )
    wanted = sets.configurations(chosen, which, chosen[0].parse(given))
    flow = store.Flow.of(library, period, sram, gated)
    if out:  # before anything is measured
        store.load(out).of(flow.library).check(flow, out / store.FILE)
    tools.package("pyosys")
    tools.require_opensta()

    words = ["mapping to gates, timing", *["parts"] * whole, *["energy"] * energies]

    def one(unit: Unit, parameters: Parameters, say: Callable[[str], None]) -> measure.Figures:
        say(", ".join(words))
        return measure.figures(
            unit, parameters, library, period, sram, whole, energies, int(runs), gated
        )

    found = sets.measure(wanted, one, lambda line: print(line, flush=True))
    for one in found:
        text = " ".join(f"{n}={v}" for n, v in one.parameters.items())
        print(f"\n{one.unit} {text}: {one.delay:.2f} ns from {one.start} to {one.end}")
        print(f"  whole path and others: {one.report}")
        if one.parts:
            print(table(screen.parts_table(one), ("part", "um2", "share")))
        _json(one.unit, one.parameters, flow.library, one.as_dict())
    print(f"\n{table([screen.row(one) for one in found], screen.HEADER)}")
    print(f"\nlibrary {flow.library}, gates sized for {period:g} ns; no wires, ideal clock")
    compared = compare.ratios(found, compare.pairs())
    if compared:
        print("\nbaseline over unit; the paper's ratios are the paper's own")
        print(table(compared, compare.RATIO_TITLES))
    if out:  # as it is now: another run may have written to it in the meantime
        kept = store.load(out)
        own = kept.of(flow.library).with_cells(found, flow)
        print("\n".join(page.write(kept.beside(own), out)))
    if update:
        _write(baseline.FILE, baseline.written(found))
    return baseline.check(found) if check else 0


def _library(name: str | None) -> liberty.Library:
    """The cell library. Of one that a full disk has unpacked in part nothing is left."""
    try:
        return liberty.load(name)
    except OSError:
        for unpacked in (BUILD / "ppa").glob("*.lib"):
            unpacked.unlink()
        raise


def _json(unit: str, parameters: dict, target: str, figures: dict) -> None:
    folder = BUILD / "ppa"
    words = [f"{n}={v}" for n, v in parameters.items()]
    file = folder / f"{'_'.join([unit, *words, target])}.json"
    write_whole(file, json.dumps(figures, indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text)
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
