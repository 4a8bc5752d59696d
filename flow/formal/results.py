# SPDX-License-Identifier: Apache-2.0
"""Proofs that are run, two at a time, and what docs/proofs.json keeps of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from softnorm.units.unit import Unit

from .. import cli, tools
from ..errors import UserError
from ..pages import kept
from ..paths import BUILD, RTL, short, write_whole
from ..ppa import sources
from . import trace
from .engine import CHECKERS, Outcome, Proof, Verdict, prove
from .proofs import of_unit, proofs

FOLDER = BUILD / "formal"
TITLES = ["property", "what is proved", "size", "by", "result", "seconds"]


@dataclass(frozen=True)
class Status:
    """Proofs of a unit, as docs/proofs.json has them.

    open   names of what is not proved, or not recorded
    older  the sources have changed since
    """

    proved: int
    open: tuple[str, ...]
    older: bool


def status(unit: Unit, folder: Path = kept.DOCS) -> Status:
    """What is proved of a unit, with the cells that it has. Raises UserError."""
    recorded = kept.load(kept.PROOFS, folder)
    wanted = of_unit(unit)
    proved, left = 0, []
    for proof in wanted:
        one = recorded.get(command(proof.unit))
        lines = [line for line in one.lines if (line[0], line[2]) == _place(proof)] if one else []
        if lines and lines[0][4].startswith(Verdict.PROVED.value):
            proved += 1
        else:
            left.append(f"{proof.name} {proof.size}")
    own = {proof.unit: recorded.get(command(proof.unit)) for proof in wanted}
    older = any(one and one.sources != kept.of_proofs(name) for name, one in own.items())
    return Status(proved, tuple(left), older)


def command(unit: str) -> str:
    """The command that proves what is proved of a unit: the key in docs/proofs.json."""
    return kept.command("formal", {"UNIT": unit})


def run(
    wanted: Sequence[Proof],
    keep: Callable[[dict[str, kept.Kept]], None] = lambda _: None,
    rtl: Path = RTL,
) -> int:
    """Prove these, print progress and a table; returns how many properties do not hold.

    What was proved of the same sources before is not proved again. `keep` gets the results, by
    command. A time-out counts only where docs/proofs.json says that there was a proof.
    """
    tools.package("pyosys")
    start = time.monotonic()
    print(f"{len(wanted)} properties to prove", flush=True)
    jobs = {proof.key: partial(_known, proof, rtl) for proof in wanted}
    of = {proof.key: proof for proof in wanted}
    outcomes: dict[str, Outcome] = {}
    for number, (key, outcome, _) in enumerate(tools.parallel(jobs), 1):
        outcomes[key] = outcome
        proof = of[key]
        print(
            f"[{number:3}/{len(jobs)}] {outcome.seconds:6.1f} s  {proof.unit}: {proof.name} "
            f"{proof.size}: {said(outcome)}",
            flush=True,
        )
    lines = [[one.unit, *shown(_line(one, outcomes[one.key]))] for one in wanted]
    print(f"\n{cli.table(lines, ['unit', *shown(TITLES)])}")
    for proof in wanted:
        if outcomes[proof.key].wrong:
            print(f"\n{explained(proof, outcomes[proof.key])}")
    keep(recorded(wanted, outcomes))
    bad = [one for one in wanted if failed(one, outcomes[one.key])]
    proved = sum(one.proved for one in outcomes.values())
    print(
        f"\nformal: {proved} of {len(wanted)} proved, {len(bad)} failed, "
        f"{time.monotonic() - start:.1f} s; logs and traces in {short(FOLDER)}"
    )
    return len(bad)


def failed(proof: Proof, outcome: Outcome) -> bool:
    """Whether it is refuted, if only at a small size, or empty, or no longer proved."""
    if outcome.verdict in (Verdict.REFUTED, Verdict.SMALL, Verdict.EMPTY):
        return True
    before = kept.load(kept.PROOFS).get(command(proof.unit))
    lines = before.lines if before else []
    was = [line[4].startswith(Verdict.PROVED.value) for line in lines if _at(line) == _place(proof)]
    return not outcome.proved and any(was)


def said(outcome: Outcome) -> str:
    """The verdict in a few words."""
    words = [outcome.verdict.value, outcome.how]
    return ", ".join(filter(None, [*words, *outcome.wrong]))


def shown(line: Sequence[str]) -> list[str]:
    """What is printed of a line: all but the sentence."""
    return [line[0], *line[2:]]


def explained(proof: Proof, outcome: Outcome) -> str:
    """What is wrong, in sentences, with the trace in the bench's words."""
    which = ", ".join(outcome.wrong)
    if outcome.verdict is Verdict.EMPTY:
        return f"{proof.unit}: {proof.name}: {which} must be refuted, and is not"
    told = f"{which} does not hold"
    if outcome.verdict is Verdict.SMALL:
        told = f"{which} is not proved; it does not hold at {outcome.how}; no trace at {proof.size}"
    lines = [f"{proof.unit}: {proof.name}: {told}", f"    {proof.sentence}"]
    if outcome.trace:
        lines += [trace.table(outcome.trace), f"    waves: {short(outcome.trace)}"]
    return "\n".join(lines)


def recorded(wanted: Sequence[Proof], outcomes: dict[str, Outcome]) -> dict[str, kept.Kept]:
    """What docs/proofs.json keeps, by command."""
    found = {}
    for unit in dict.fromkeys(proof.unit for proof in wanted):
        lines = [_line(one, outcomes[one.key]) for one in wanted if one.unit == unit]
        proved = sum(outcomes[one.key].proved for one in wanted if one.unit == unit)
        facts = {"proved": proved, "properties": len(lines)}
        found[command(unit)] = kept.new(kept.of_proofs(unit), TITLES, lines, facts)
    return found


def _line(proof: Proof, outcome: Outcome) -> list[str]:
    result = ", ".join(filter(None, [outcome.verdict.value, outcome.how]))
    seconds = f"{outcome.seconds:.1f}"
    return [proof.name, proof.sentence, proof.size, proof.method, result, seconds]


def _at(line: Sequence[str]) -> tuple[str, str]:
    return line[0], line[2]


def _place(proof: Proof) -> tuple[str, str]:
    return proof.name, proof.size


def _known(proof: Proof, rtl: Path) -> Outcome:
    """The outcome, from an earlier run of the same sources if that was a proof."""
    folder = FOLDER / proof.key
    file = folder / "proved.json"
    files = [*(rtl / name for name in proof.rtl), *(CHECKERS / name for name in proof.checkers)]
    engine = sorted(Path(__file__).parent.glob("*.py"))
    about = [repr(proof), tools.versions("yosys")["pyosys"]]
    digest = sources.digest([*files, *(one for one in engine if one.name == "engine.py")], *about)
    if file.exists():
        had = json.loads(file.read_text())
        if had["sources"] == digest:
            return Outcome(Verdict.PROVED, had["seconds"], had["how"])
    outcome = prove(proof, folder, rtl)
    if outcome.proved:
        text = json.dumps({"sources": digest, "seconds": outcome.seconds, "how": outcome.how})
        write_whole(file, text)
    return outcome


def chosen(unit: str | None, name: str | None) -> list[Proof]:
    """The proofs of UNIT= and PROPERTY=, a piece of a property's name. Raises UserError."""
    every = proofs()
    units = list(dict.fromkeys(one.unit for one in every))
    if unit is not None and unit not in units:
        raise UserError(f"nothing is proved of {unit!r}; there are: {', '.join(units)}")
    found = [one for one in every if unit in (None, one.unit)]
    wanted = [one for one in found if name is None or name.lower() in one.name.lower()]
    if not wanted:
        names = ", ".join(dict.fromkeys(one.name for one in found))
        raise UserError(f"there is no property {name!r}; there are: {names}")
    return wanted
