# SPDX-License-Identifier: Apache-2.0
"""Whether a mutant can be told from the unit at all: proofs without a bound, by SAT.

Both are lowered to one circuit of AND gates and flip-flops, memories included, and run side by side
on the same inputs. What is compared is what the contract (docs/stream.md) lets an observer see:

- tready of the input streams, m_axis_tvalid and the error outputs, in every clock;
- the output's payload where tvalid is 1, and within reset from its second clock on.

All inputs are free in every clock: no stimulus is ruled out, legal or not. One thing is assumed:
the unit is in reset in the first clock. Before that registers and memories hold anything, the same
in both. A proof is for every such start and every stimulus, of every length.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import tools
from . import induct
from .netlist import CHOSEN, Mutant, Mutants, MutateError

VERSION = 17  # of the proofs that are kept
_LOWERED = 12  # version of how a circuit is made
_TRIES = 6  # with more flip-flops apart
_RUNS, _CLOCKS = 256, 128  # of random inputs
_SWEPT = 200  # conflicts of the solver for each pair of signals
_SELECT = Path(__file__).with_name("first_selected.v")
LOWER = (
    *("async2sync", "memory_map", f"techmap -map {_SELECT}", "techmap", "dffunmap", "simplemap"),
    *("setundef -anyseq", "aigmap"),
)
SAME = "same structure"


def _always(name: str) -> bool:
    """Whether an output means something in every clock."""
    return name == "m_axis_tvalid" or name.endswith("_tready") or name.startswith("err_")


class _Aig:
    """AND gates with structural hashing; a literal is twice a variable, plus 1 if inverted.

    Constant 0 is literal 0. Equal functions of equal literals are one literal, so that what two
    circuits have in common exists once.
    """

    def __init__(self) -> None:
        self.size = 1  # variables
        self.gates: dict[int, tuple[int, int]] = {}  # variable -> literals
        self._known: dict[tuple[int, int], int] = {}

    def new(self) -> int:
        """A literal of its own: an input or a flip-flop."""
        self.size += 1
        return 2 * (self.size - 1)

    def both(self, a: int, b: int) -> int:
        """AND."""
        if a > b:
            a, b = b, a
        if a == 0 or a == b ^ 1:
            return 0
        if a == 1 or a == b:
            return b
        made = self._known.get((a, b))
        if made is None:
            made = self.new()
            self._known[a, b] = made
            self.gates[made >> 1] = a, b
        return made

    def either(self, a: int, b: int) -> int:
        """OR."""
        return self.both(a ^ 1, b ^ 1) ^ 1

    def differ(self, a: int, b: int) -> int:
        """XOR."""
        return self.either(self.both(a, b ^ 1), self.both(a ^ 1, b))

    def choose(self, which: int, one: int, zero: int) -> int:
        """A multiplexer."""
        return self.either(self.both(which, one), self.both(which ^ 1, zero))

    def any(self, literals: Iterable[int]) -> int:
        """OR of several."""
        return functools.reduce(self.either, literals, 0)


@dataclass(frozen=True)
class Circuit:
    """The netlist with all mutants as AND gates.

    inputs   (port, bit) -> literal; ports of x bits have no name and are in `free`
    states   literals of flip-flops, and what they take
    outputs  (port, bit) -> literal
    gates    variables in order, with their two literals
    register of a state -> the states of all of the register's bits
    """

    size: int
    inputs: dict[tuple[str, int], int]
    free: list[int]
    states: list[tuple[int, int]]
    outputs: dict[tuple[str, int], int]
    gates: list[tuple[int, int, int]]
    register: dict[int, list[int]]

    @classmethod
    def of(cls, mutants: Mutants) -> Circuit:
        """Lower the mutants' netlist. Raises MutateError."""
        circuit = mutants.folder / f"circuit-{_LOWERED}.aag"
        names = circuit.with_suffix(".map")
        if not circuit.exists():
            part = circuit.with_suffix(".part")
            passes = [f"read_rtlil {mutants.folder / 'mutants.il'}", *LOWER]
            ended = tools.yosys(
                [*passes, f"write_aiger -ascii -map {names} {part}"], mutants.folder, 3600
            )
            if not ended.ok:
                said = "\n    ".join(ended.stderr)
                raise MutateError(f"Yosys cannot lower {mutants.unit.name} to gates:\n    {said}")
            part.replace(circuit)
        return cls.read(circuit, names)

    @classmethod
    def read(cls, circuit: Path, names: Path) -> Circuit:
        """Yosys' ASCII AIGER and its map."""
        lines = circuit.read_text(encoding="utf-8").splitlines()
        size, inputs, states, outputs, gates = map(int, lines[0].split()[1:6])
        at, parts = 1, []
        for count in (inputs, states, outputs, gates):
            parts.append([tuple(map(int, line.split())) for line in lines[at : at + count]])
            at += count
        named: dict[str, dict[tuple[str, int], int]] = {"input": {}, "output": {}}
        registers: dict[str, list[int]] = {}
        for line in names.read_text(encoding="utf-8").splitlines():
            kind, number, bit, name = line.split(maxsplit=3)
            if kind in ("latch", "invlatch"):
                registers.setdefault(name, []).append(parts[1][int(number)][0])
            if kind in named:
                place = parts[0 if kind == "input" else 2][int(number)][0]
                named[kind][name, int(bit)] = place
        known = set(named["input"].values())
        return cls(
            size=size + 1,
            inputs=named["input"],
            free=[one for (one,) in parts[0] if one not in known],
            states=[(one, following) for one, following, *_ in parts[1]],
            outputs=named["output"],
            gates=[(one >> 1, a, b) for one, a, b in parts[3]],
            register={one: bits for bits in registers.values() for one in bits},
        )

    def copy(self, aig: _Aig, chosen: int, known: dict[int, int]) -> list[int]:
        """Build it with one mutant chosen (0: none): variable -> literal.

        known  literal of the circuit -> literal there, of all inputs and flip-flops
        """
        value = [0] * self.size
        for literal, there in known.items():
            value[literal >> 1] = there
        for (name, bit), literal in self.inputs.items():
            if name == CHOSEN:
                value[literal >> 1] = chosen >> bit & 1
        both = aig.both
        for variable, a, b in self.gates:
            value[variable] = both(value[a >> 1] ^ a & 1, value[b >> 1] ^ b & 1)
        return value

    def same_structure(self, mutant: Mutant) -> bool:
        """Whether both are the same gates, with constants carried through."""
        pair = _Pair(self, mutant, [])
        return pair.bad == 0

    def prove(self, mutant: Mutant) -> dict:
        """Try to prove a mutant equal: {by: how, empty if it is not, tried: what was found}."""
        pair = _Pair(self, mutant, [])
        if pair.bad == 0:
            return {"by": SAME, "tried": ""}
        effort = induct.Effort()
        if pair.same_anywhere(effort):
            return {"by": "same in every state", "tried": ""}
        # From reset on. Flip-flops that are apart exist twice, the others once: that both would
        # take the same is to be proved, too, so that a proof with few of them is one of the whole.
        every = _Pair(self, mutant, [literal for literal, _ in self.states])
        apart, seen = every.simulated()
        if seen:
            return {"by": "", "tried": "differs with random inputs, legal or not"}
        for _ in range(_TRIES):
            proved, more = _Pair(self, mutant, apart).invariant(effort)
            if proved:
                return {"by": "invariant", "tried": ""}
            if not more or effort.spent:
                break
            # The others of the register will be next.
            bits = (bit for one in more for bit in self.register.get(one, [one]))
            apart = list(dict.fromkeys([*apart, *more, *bits]))
        return {"by": "", "tried": "not decided"}

    def _inputs(self, aig: _Aig) -> dict[int, int]:
        """Literals of their own for all inputs."""
        ports = [literal for (name, _), literal in self.inputs.items() if name != CHOSEN]
        return {literal: aig.new() for literal in [*ports, *self.free]}

    def _seen(self, aig: _Aig, right: list[int], wrong: list[int], in_reset: int) -> int:
        """1 where an observer can tell the two apart."""
        pairs = {one: (_of(right, at), _of(wrong, at)) for one, at in self.outputs.items()}
        always = [aig.differ(*both) for (name, _), both in pairs.items() if _always(name)]
        payload = [aig.differ(*both) for (name, _), both in pairs.items() if not _always(name)]
        shown = aig.either(pairs["m_axis_tvalid", 0][0], in_reset)
        return aig.either(aig.any(always), aig.both(shown, aig.any(payload)))


class _Pair:
    """Unit and mutant side by side, from a first clock in reset.

    seen     1 where an observer can tell them apart; bad: or where a flip-flop that exists once
             would take something else in the two
    differ   of each flip-flop that exists twice: 1 where it is not the same
    reached  flip-flops that exist once and that the others may reach: 1 where they do
    started  0 in the first clock
    """

    def __init__(self, circuit: Circuit, mutant: Mutant, twice: Sequence[int]):
        aig = self.aig = _Aig()
        started, reset_before = aig.new(), aig.new()
        first = started ^ 1
        fixed = circuit._inputs(aig)
        reset = circuit.inputs["rst_ni", 0]
        self._reset = fixed[reset]
        fixed[reset] = aig.both(fixed[reset], started)
        state = {literal: aig.new() for literal, _ in circuit.states}
        other = {literal: aig.new() for literal in twice}
        start = {literal: aig.new() for literal in state}
        states, changed = (
            {literal: aig.choose(first, start[literal], there[literal]) for literal in state}
            for there in (state, state | other)
        )
        right = circuit.copy(aig, 0, fixed | states)
        wrong = circuit.copy(aig, mutant.number, fixed | changed)
        self._gates = [
            (right[n], wrong[n]) for n, _, _ in circuit.gates if right[n] | 1 != wrong[n] | 1
        ]
        self._pairs = _pairs(circuit, right, wrong)
        takes = [(one, _of(right, what), _of(wrong, what)) for one, what in circuit.states]
        self.flip_flops = [(started, 1), (reset_before, fixed[reset] ^ 1)]
        self.flip_flops += [(state[one], what) for one, what, _ in takes]
        self.flip_flops += [(other[one], what) for one, _, what in takes if one in other]
        self.reached = {one: aig.differ(a, b) for one, a, b in takes if one not in other and a != b}
        in_reset = aig.both(aig.both(fixed[reset] ^ 1, reset_before), started)
        self.seen = circuit._seen(aig, right, wrong, in_reset)
        self.bad = aig.any([self.seen, *self.reached.values()])
        self.started = started
        self.differ = {one: aig.differ(states[one], changed[one]) for one in other}
        # Bits of the state, now and in the next clock.
        self._right = {one: (state[one], what) for one, what, _ in takes}
        self._wrong = {one: (other[one], what) for one, _, what in takes if one in other}
        self._apart = {one: self._differ(self._right[one], self._wrong[one]) for one in other}

    def _differ(self, one: induct.Bit, other: induct.Bit) -> induct.Bit:
        return self.aig.differ(one[0], other[0]), self.aig.differ(one[1], other[1])

    def _simulation(self) -> induct.Simulation:
        return induct.Simulation(self.aig.size, self.aig.gates, self.flip_flops)

    def simulated(self) -> tuple[list[int], bool]:
        """Flip-flops that random inputs set apart, and whether an observer sees something."""
        wanted = [*self.differ.values(), self.seen]
        variables, inverted = (np.array(wanted) >> 1), induct.inverted(np.array(wanted))
        ever = np.zeros((len(wanted), _RUNS // 64), np.uint64)
        value = np.zeros((self.aig.size, _RUNS // 64), np.uint64)
        rng = np.random.default_rng(1)
        about = (value, self._reset >> 1, [*self.differ.values()])
        for now in self._simulation().run(_CLOCKS, rng, *about):
            ever |= now[variables] ^ inverted
        shown = ever.any(axis=1).tolist()
        return [one for one, yes in zip(self.differ, shown, strict=False) if yes], shown[-1]

    def same_anywhere(self, effort: induct.Effort) -> bool:
        """Whether `bad` is 1 in no state at all."""
        circuit = self._simulation()
        with induct.Encoding(circuit, effort, self._pairs) as encoding:
            found = encoding.solve(encoding.code(self.bad))
            if found is None:
                # Signal by signal, those that random values do not tell apart.
                value = np.zeros((self.aig.size, _RUNS // 64), np.uint64)
                rng = np.random.default_rng(1)
                value[1:] = rng.integers(0, induct.ALL, value[1:].shape, np.uint64, endpoint=True)
                now = next(circuit.run(1, rng, value))
                for one, other in self._gates:
                    same = now[one >> 1] ^ now[other >> 1] ^ induct.inverted(np.int64(one ^ other))
                    if not same.any():
                        encoding.equal(one, other, _SWEPT)
                found = encoding.solve(encoding.code(self.bad))
        return found is False

    def invariant(self, effort: induct.Effort) -> tuple[bool, list[int]]:
        """Whether `bad` is proved never to be 1; else flip-flops that should exist twice."""
        apart = {bit: (self._right[one], self._wrong[one]) for one, bit in self._apart.items()}
        bits = [*self._right.values(), *self._wrong.values()]
        about = (self._simulation(), self.started, self._reset >> 1, bits, apart)
        with induct.Induction(*about, effort, self._pairs) as work:
            if work.never(self.bad):
                return True, []
            last = work.last
        reached = self.reached.items() if last else ()
        return False, [one for one, here in reached if last[here >> 1] ^ here & 1]


def _pairs(circuit: Circuit, right: Sequence[int], wrong: Sequence[int]) -> list[induct.Gate]:
    """The circuit's gates and flip-flops that are not the same literal in unit and mutant."""
    number: dict[int, int] = {}  # variable of the circuit -> place
    pairs: list[induct.Gate] = []

    def place(variable: int) -> int | None:
        if right[variable] == wrong[variable]:
            return -1
        return None if right[variable] == wrong[variable] ^ 1 else number[variable]

    leaves = [(literal >> 1, ()) for literal, _ in circuit.states]
    gates = [(n, (a >> 1, b >> 1)) for n, a, b in circuit.gates]
    for n, inputs in [*leaves, *gates]:
        if right[n] | 1 == wrong[n] | 1:
            continue
        number[n] = len(pairs)
        pairs.append((right[n], wrong[n], *(place(each) for each in inputs)))
    return pairs


def _of(value: Sequence[int], literal: int) -> int:
    return value[literal >> 1] ^ literal & 1
