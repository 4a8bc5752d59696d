# SPDX-License-Identifier: Apache-2.0
"""How a property is proved: Yosys makes a model of RTL and bound checkers, its SAT solver decides.

A proof has properties (assertions named a_*), invariants that are proved with them (i_*), and
assertions that must be refuted (r_*), which show that the model can do something at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path

from .. import tools
from ..errors import UserError
from ..paths import ROOT, RTL, short

CHECKERS = ROOT / "tb/sv"


class ModelError(UserError):
    """Yosys cannot make a model of the sources."""

    exit_code = 1


class Verdict(Enum):
    """What came of a proof."""

    PROVED = "proved"
    REFUTED = "refuted"  # there is a trace
    SMALL = "not proved, refuted at a small size"  # there is a trace, but none at the proof's size
    BOUND = "not proved"  # no trace so long, no proof either
    TIME = "not proved (time)"
    EMPTY = "says nothing"  # what must be refuted is not: the model can do too little


@dataclass(frozen=True)
class Proof:
    """Properties that are proved in one go.

    unit        whose; "common" for a cell that units share
    name        a few words: the row of the table
    sentence    what is proved
    top         the module that is elaborated
    rtl         its files, below rtl/, in compile order
    checkers    files of tb/sv
    properties  labels of assertions, and those of invariants that they need
    reach       labels of assertions that must be refuted
    parameters  what is proved for
    small       over these, where traces are looked for: of what is not proved, and of reach
    defines     macros for the checkers
    memories    with what is in them; False: what is read from them may be anything
    cut         wires that may have any value, likewise
    depth       clocks of the longest induction; 0: combinational, all inputs at once
    trace       clocks of the longest trace
    limit       seconds for each question to the solver
    """

    unit: str
    name: str
    sentence: str
    top: str
    rtl: tuple[str, ...]
    checkers: tuple[str, ...]
    properties: tuple[str, ...] = ("a_*",)
    reach: tuple[str, ...] = ("r_*",)
    parameters: Mapping[str, int] = field(default_factory=dict)
    small: Mapping[str, int] = field(default_factory=dict)
    defines: Mapping[str, int | str] = field(default_factory=dict)
    memories: bool = False
    cut: tuple[str, ...] = ()
    depth: int = 0
    trace: int = 26
    limit: int = 900

    @property
    def size(self) -> str:
        """The parameters that are proved for."""
        return " ".join(f"{name}={value}" for name, value in self.parameters.items()) or "-"

    @property
    def method(self) -> str:
        """How, in a few words."""
        return "SAT, induction" if self.depth else "SAT, all inputs"

    @property
    def key(self) -> str:
        """A name for files."""
        return re.sub(r"\W+", "_", f"{self.unit} {self.name} {self.size}").strip("_")


@dataclass(frozen=True)
class Outcome:
    """What came of a proof.

    seconds  of the processor
    how      clocks of the induction, or of the trace, or how far the search for one went
    wrong    labels of the properties that are refuted, of reach those that are not
    trace    the VCD file of the first refuted one
    """

    verdict: Verdict
    seconds: float
    how: str = ""
    wrong: tuple[str, ...] = ()
    trace: Path | None = None

    @property
    def proved(self) -> bool:
        """Whether all properties hold."""
        return self.verdict is Verdict.PROVED


def prove(proof: Proof, folder: Path, rtl: Path = RTL) -> Outcome:
    """Prove it for the RTL in `rtl`; logs and a trace go to `folder`. Raises ModelError."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = _Asked(proof, folder, rtl)
    verdict, how = asked.all()
    wrong, trace = [], None
    if verdict is Verdict.PROVED:
        wrong = [label for label in asked.labels("r_") if not asked.reached(label)]
        if wrong or not asked.labels("r_"):
            verdict = Verdict.EMPTY
    else:
        for label in asked.labels("a_"):
            found, clocks = asked.hunt(label)
            if not found:
                continue
            wrong.append(label)
            trace = trace or folder / f"{label}.vcd"
            if verdict is Verdict.REFUTED:
                continue
            # What is wrong at a small size need not be at the proof's.
            there, other = asked.hunt_there(label) if proof.small else (True, clocks)
            if there:
                verdict, how = Verdict.REFUTED, other
            else:
                at = " ".join(f"{name}={value}" for name, value in proof.small.items())
                verdict, how = Verdict.SMALL, f"{at}, {clocks}"
    return Outcome(verdict, asked.seconds, how, tuple(wrong), trace)


_THERE = 60  # seconds for a trace at the size that is proved for
_LIST = "select -list t:$assert"
_REDUCE = (
    # X is any value, and not what suits the optimiser.
    "setundef -undriven -anyseq",
    # Logic that no assertion looks at goes.
    "delete -output",
    "opt_clean -purge",
    "memory_map",
    "opt -full",
    "opt_clean -purge",
)
_FAIL = re.compile(r"model found(?: for base case)?: FAIL!")


class _Asked:
    """Questions to the solver about one proof.

    seconds  processor time of all of them
    """

    def __init__(self, proof: Proof, folder: Path, rtl: Path):
        self.seconds = 0.0
        self._proof, self._folder, self._rtl = proof, folder, rtl
        self._listed = ""

    def labels(self, prefix: str) -> list[str]:
        """Names of assertions that begin so and that the proof names, without their places."""
        named = (*self._proof.properties, *self._proof.reach)
        found = re.findall(rf"^{self._proof.top}/(?:\S+\.)?({prefix}\w+)$", self._listed, re.M)
        return sorted({one for one in found if any(fnmatchcase(one, name) for name in named)})

    def all(self) -> tuple[Verdict, str]:
        """Whether all properties are proved, and how."""
        proof = self._proof
        asked = self._sat("")
        if proof.depth:
            asked += f" -tempinduct -maxsteps {proof.depth}"
        passes = [*self._model(proof.properties, proof.parameters), *self._cuts(), *_REDUCE, asked]
        text = self._yosys(passes, "proof")
        self._listed = text.partition(f"{_LIST}' --")[2].partition("-- Running")[0]
        last = max(map(int, re.findall(r"Trying induction with length (\d+)", text)), default=0)
        if "Induction step proven: SUCCESS!" in text:
            return Verdict.PROVED, f"k = {last}"
        if "no model found: SUCCESS!" in text:
            return Verdict.PROVED, ""
        if "TIMEOUT" in text or "was ended after" in text:
            return Verdict.TIME, ""
        return Verdict.BOUND, f"no trace of {proof.depth} clocks" if proof.depth else ""

    def hunt(self, label: str) -> tuple[bool, str]:
        """Whether a property is refuted, in how many clocks; its trace is label.vcd."""
        vcd = f"-dump_vcd {self._folder}/{label}.vcd -show-ports -show-public"
        return self._refuted(label, ["setundef -undriven -anyseq", "memory_map", "opt_clean"], vcd)

    def hunt_there(self, label: str) -> tuple[bool, str]:
        """As hunt, at the size that is proved for, and without a trace: it may take long."""
        limit = min(self._proof.limit, _THERE)
        return self._refuted(label, _REDUCE, "", self._proof.parameters, limit)

    def reached(self, label: str) -> bool:
        """Whether what must be refuted is."""
        return self._refuted(label, [*self._cuts(), *_REDUCE], "")[0]

    def _refuted(
        self,
        label: str,
        passes: Sequence[str],
        more: str,
        parameters: Mapping[str, int] | None = None,
        limit: int | None = None,
    ) -> tuple[bool, str]:
        """`parameters` if not the small ones, `limit` in seconds if not the proof's."""
        proof = self._proof
        asked, log = self._sat(more, limit), label
        if parameters is None:
            parameters = {**proof.parameters, **proof.small}
        else:
            log += "_there"
        if proof.depth:
            asked += f" -tempinduct -tempinduct-baseonly -maxsteps {proof.trace}"
        text = self._yosys([*self._model([label], parameters), *passes, asked], log)
        steps = re.findall(r"Trying induction with length (\d+)", text)
        return _FAIL.search(text) is not None, f"in {steps[-1]} clocks" if steps else ""

    def _sat(self, more: str, limit: int | None = None) -> str:
        shown = more or "-show-inputs"
        return f"sat -prove-asserts -set-assumes -timeout {limit or self._proof.limit} {shown}"

    def _cuts(self) -> list[str]:
        cuts = [f"cutpoint w:{wire}" for wire in self._proof.cut]
        return cuts if self._proof.memories else [*cuts, "cutpoint t:$mem_v2"]

    def _model(self, properties: Sequence[str], parameters: Mapping[str, int]) -> list[str]:
        """The passes that make a model with these assertions alone."""
        top = self._proof.top
        words = [
            *(["--no-implicit-memories"] if self._proof.memories else []),
            f"--top {top} -D SN_PROOF -D SN_TOP={top} -D SN_UNIT={top}",
            *(f"-D {name}={value}" for name, value in self._proof.defines.items()),
            *(f"-G {name}={value}" for name, value in parameters.items()),
            *(str(self._rtl / name) for name in self._proof.rtl),
            *(str(CHECKERS / name) for name in self._proof.checkers),
        ]
        wanted = [f"n:*.{label}" for label in properties]
        return [
            f"read_slang {' '.join(words)}",
            "prep -flatten",
            # Not in one pass: assertions keep their names.
            "async2sync -nolower",
            "chformal -lower",
            _LIST,
            *(f"select -assert-min 1 t:$assert {one} %i" for one in wanted),
            f"delete t:$assert {' '.join(wanted)} {'%u ' * (len(wanted) - 1)}%d",
        ]

    def _yosys(self, passes: Sequence[str], log: str) -> str:
        """What Yosys says; a log has it, too. Raises ModelError."""
        file = self._folder / f"{log}.log"
        ended = tools.yosys(passes, ROOT, limit=2 * self._proof.limit + 600)
        text = "\n".join([*ended.stdout, *ended.stderr])
        file.write_text(text)
        if match := re.search(r"^processor seconds: ([\d.]+)$", text, re.M):
            self.seconds += float(match[1])
        elif "was ended after" not in text:
            said = [line for line in ended.stdout if "error:" in line.lower()] + ended.stderr
            head = f"no model of {self._proof.top}; see {short(file)}:"
            raise ModelError("\n    ".join([head, *said[-8:]]))
        return text
