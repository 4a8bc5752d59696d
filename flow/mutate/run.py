# SPDX-License-Identifier: Apache-2.0
"""An analysis: mutants through the scenarios in worker processes, proofs of those alive.

What is finished is written at once, a line for each mutant, beside the netlist: an interrupted
analysis goes on where it was. Lines are of a hash of all that they depend on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path

from softnorm.tb.run import die_with_parent
from softnorm.units.unit import Parameters, Unit

from ..errors import UserError
from ..paths import RTL
from . import play, prove
from .netlist import Mutant, library, mutants, spent
from .results import HOLE, KILLED, PROVED, Result, Verdict, digest

SMALL = {"LANES": 8, "MAX_LEN": 64}  # the small configuration of the ci set
Say = Callable[[str], None]
_EVERY = 5  # seconds between two lines of progress


def analyse(
    unit: Unit,
    given: Parameters,
    count: int,
    seed: int,
    *,
    jobs: int | None = None,
    wanted: Sequence[play.Scenario] | None = None,
    rtl: Path = RTL,
    say: Say = print,
) -> tuple[Result, list[Verdict], Path]:
    """Draw mutants, play scenarios, try to prove what is alive: also the analysis' folder.

    jobs: worker processes; None: one a core. wanted: None: those of the ci set. Raises MutateError
    if the netlist without a fault fails; BuildError, UserError, ParameterError.
    """
    jobs = jobs or os.cpu_count() or 1
    parameters = unit.resolve({**_small(unit), **given})
    wanted = play.scenarios(unit.name) if wanted is None else wanted
    made = mutants(unit, parameters, count, seed, rtl=rtl)
    say(f"{len(made.mutants)} mutants of {unit.name} in one netlist: {made.folder}")
    build = library(made)
    began = _spent()
    about = hashlib.sha256(f"{digest(unit)} {wanted}".encode()).hexdigest()[:16]
    played = Lines(made.folder / f"played-{about}.jsonl")
    if not played.whole(made.mutants):
        ready = play.prepare(build, wanted, say)
        played.note({"order": [one.scenario.name for one in ready]})
        left = [one for one in made.mutants if one.number not in played.found]
        circuit = prove.Circuit.of(made)
        play_one = partial(_played, ready, circuit)
        each(left, play_one, jobs, played, _counts, say, len(made.mutants))
    ends = played.found
    alive = [one for one in made.mutants if not ends[one.number]["check"]]
    alive = [one for one in alive if not ends[one.number]["by"]]
    proved = Lines(made.folder / f"proved-{prove.VERSION}.jsonl")
    for path in sorted(made.folder.glob("proved-*.jsonl")):  # what is proved stays proved
        proved.found |= {n: one for n, one in Lines(path).found.items() if one["by"]}
    left = [one for one in alive if one.number not in proved.found]
    if left:
        say(f"{len(alive)} alive; trying to prove {len(left)} equal to the unit")
        circuit = prove.Circuit.of(made)
        each(left, circuit.prove, jobs, proved, _proofs, say, len(left))
    verdicts = [_verdict(one, ends[one.number], proved.found) for one in made.mutants]
    seconds = spent(made.folder) + spent(build.folder) + played.seconds
    seconds += sum(proved.found[one.number]["seconds"] for one in alive)
    seconds += _spent() - began - played.new - proved.new
    found = Result.of(unit, parameters, seed, verdicts, played.notes["order"], seconds)
    return found, verdicts, made.folder


def _small(unit: Unit) -> dict[str, int]:
    return {name: value for name, value in SMALL.items() if name in unit.defaults}


def _spent() -> float:
    """Processor seconds of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def _verdict(one: Mutant, played: Mapping, proved: Mapping[int, Mapping]) -> Verdict:
    about = (one.number, one.name, one.wire, one.lines)
    if played["check"]:
        return Verdict(*about, KILLED, played["check"], played["scenario"])
    proof = played if played["by"] else proved[one.number]
    if proof["by"]:
        return Verdict(*about, PROVED, proof["by"])
    return Verdict(*about, HOLE, "; ".join(filter(None, [played["broken"], proof["tried"]])))


def _played(ready: Sequence[play.Played], circuit: prove.Circuit, mutant: Mutant) -> dict:
    """The first check that fires, and where; what ended without one; or that it is proved.

    Most faults die in the first scenario, and most of those that cannot are proved at once: they
    need not play the others, which would take longer than all the kills.
    """
    broken, found = [], {"check": "", "scenario": "", "by": ""}
    for n, one in enumerate(ready):
        if n == 1 and circuit.same_structure(mutant):
            return {**found, "by": prove.SAME, "broken": ""}
        seen = one.see(mutant.number)
        if seen.check:
            return {**found, "check": seen.check, "scenario": one.scenario.name, "broken": ""}
        if seen.broken:
            broken.append(f"{one.scenario.name}: {seen.broken}")
    return {**found, "broken": "; ".join(broken)[:500]}


class Lines:
    """A file of finished mutants, a JSON object a line; what was cut off by an end is left out.

    found    number -> what was found
    notes    what else was said
    seconds  of the processor, of all; `new` of those found in this process's time
    """

    def __init__(self, path: Path):
        self._path, self.found, self.notes = path, {}, {}
        self.seconds = self.new = 0.0
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(json.JSONDecodeError):
                    self._take(json.loads(line))

    def _take(self, one: dict) -> None:
        if "number" in one:
            self.found[one["number"]] = one
            self.seconds += one["seconds"]
        else:
            self.notes |= one

    def whole(self, mutants: Sequence[Mutant]) -> bool:
        """Whether every mutant is there."""
        return all(one.number in self.found for one in mutants)

    def add(self, one: dict) -> None:
        """A mutant that is finished."""
        self.note(one)
        self.new += one["seconds"]

    def note(self, one: dict) -> None:
        """Something, written at once."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(one) + "\n")
        self._take(one)


def _counts(found: Mapping[int, Mapping]) -> str:
    killed = sum(bool(one["check"]) for one in found.values())
    proved = sum(bool(one["by"]) for one in found.values())
    return f"{killed} killed, {proved} proved, {len(found) - killed - proved} alive"


def _proofs(found: Mapping[int, Mapping]) -> str:
    proved = sum(bool(one["by"]) for one in found.values())
    return f"{proved} proved, {len(found) - proved} not"


def each(
    work: Sequence[Mutant],
    do: Callable[[Mutant], dict],
    jobs: int,
    lines: Lines,
    counts: Callable[[Mapping[int, Mapping]], str],
    say: Say,
    whole: int,
) -> None:
    """Do something with each mutant, in processes; a process that is lost loses one mutant."""
    started = said = time.monotonic()
    done = whole - len(work)
    for one in _processes(work, do, min(jobs, len(work))):
        lines.add(one)
        done += 1
        now = time.monotonic()
        if now - said > _EVERY or done == whole:
            said = now
            say(f"[{done:4}/{whole}] {now - started:5.0f} s  {counts(lines.found)}")


def _processes(work: Sequence[Mutant], do: Callable[[Mutant], dict], jobs: int) -> Iterator[dict]:
    """What `do` gives, with the mutant's number and the processor's seconds, as each ends."""
    fork = multiprocessing.get_context("fork")
    left, running = list(reversed(work)), {}

    def start() -> None:
        ours, theirs = fork.Pipe()
        process = fork.Process(target=_worker, args=(theirs, do, os.getpid()), daemon=True)
        process.start()
        theirs.close()
        one = left.pop()
        ours.send(one)
        running[ours] = process, one

    try:
        for _ in range(jobs):
            start()
        while running:
            for ours in wait(list(running)):
                process, one = running.pop(ours)
                try:
                    found = ours.recv()
                except EOFError:
                    process.join()
                    found = {"lost": f"the process ended with {process.exitcode}"}
                if "error" in found:
                    raise UserError(f"mutant {one.number}, {one.name}: {found['error']}")
                if "lost" in found:  # a crash is no kill
                    none = {"check": "", "scenario": "", "broken": found["lost"], "by": ""}
                    yield {**none, "tried": found["lost"], "number": one.number, "seconds": 0.0}
                    if left:
                        start()
                    continue
                yield {"number": one.number, **found}
                if left:
                    following = left.pop()
                    ours.send(following)
                    running[ours] = process, following
                else:
                    ours.send(None)
                    process.join()
    finally:
        for process, _ in running.values():
            process.kill()


def _worker(pipe: Connection, do: Callable[[Mutant], dict], parent: int) -> None:
    die_with_parent(parent)
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            one = pipe.recv()
            if one is None:  # to close the pipe is not enough: other workers hold its end
                return
            started = _spent()
            try:
                found = do(one)
            except Exception as error:  # told to whoever waits
                found = {"error": repr(error)}
            found["seconds"] = round(_spent() - started, 3)
            pipe.send(found)
