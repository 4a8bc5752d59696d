# SPDX-License-Identifier: Apache-2.0
"""Whether a mutant can be told from the unit at all: proofs without a bound, by ABC.

Both are lowered to one circuit of AND gates and flip-flops, memories included, and run side by side
on the same inputs. What is compared is what the contract (docs/stream.md) lets an observer see:

- s_axis_tready, m_axis_tvalid and the error outputs, in every clock;
- the output's payload where tvalid is 1, and within reset from its second clock on.

All inputs are free in every clock: no stimulus is ruled out, legal or not. One thing is assumed:
the unit is in reset in the first clock. Before that registers and memories hold anything, the same
in both. A proof is for every such start and every stimulus, of every length.
"""

from __future__ import annotations

import functools
import itertools
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import tools
from . import induct
from .netlist import CHOSEN, Mutant, Mutants, MutateError

VERSION = 8  # of the proofs that are kept
_SECONDS = 8  # of the processor, for ABC, at a time
_TRIES = 1  # with more flip-flops apart
_RUNS, _CLOCKS = 128, 64  # of random inputs
_NEAR = 16  # signals near the fault
_EACH = 12  # controls tried for a flip-flop
_MANY = 100  # bits of the state tried for a flip-flop, by induction
_CAUSE = 14  # flip-flops that the fault depends on, or its first effects
_REDUCED = "reduced.aig"
_ALWAYS = ("s_axis_tready", "m_axis_tvalid", "err_len_o", "err_keep_o")
_PASSES = ("async2sync", "memory_map", "techmap", "dffunmap", "simplemap", "setundef -anyseq")
_LOWER = (*_PASSES, "aigmap")


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

    def write(
        self, path: Path, outputs: Sequence[int], flip_flops: Sequence[tuple[int, int]]
    ) -> None:
        """As binary AIGER; flip-flops (literal, next one) start at 0."""
        used, stack = (
            set(),
            [*(one >> 1 for one in outputs), *(following >> 1 for _, following in flip_flops)],
        )
        while stack:
            variable = stack.pop()
            if variable not in used:
                used.add(variable)
                stack += [literal >> 1 for literal in self.gates.get(variable, ())]
        states = [literal >> 1 for literal, _ in flip_flops]
        held = {0, *states}
        inputs = sorted(one for one in used if one not in self.gates and one not in held)
        gates = sorted(one for one in used if one in self.gates)
        number = {one: at for at, one in enumerate([0, *inputs, *states, *gates])}

        def renumbered(literal: int) -> int:
            return 2 * number[literal >> 1] | literal & 1

        counts = (len(number) - 1, len(inputs), len(states), len(outputs), len(gates))
        lines = ["aig " + " ".join(map(str, counts))]
        lines += [str(renumbered(following)) for _, following in flip_flops]
        lines += [str(renumbered(one)) for one in outputs]
        coded = bytearray()
        for one in gates:
            low, high = sorted(map(renumbered, self.gates[one]))
            for delta in (2 * number[one] - high, high - low):
                while delta > 127:
                    coded.append(delta & 127 | 128)
                    delta >>= 7
                coded.append(delta)
        path.write_bytes("\n".join(lines).encode() + b"\n" + bytes(coded))


@dataclass(frozen=True)
class Circuit:
    """The netlist with all mutants as AND gates.

    inputs   (port, bit) -> literal; ports of x bits have no name and are in `free`
    states   literals of flip-flops, and what they take
    outputs  (port, bit) -> literal
    gates    variables in order, with their two literals
    flags    states that are registers of one bit
    memory   states of memories
    """

    size: int
    inputs: dict[tuple[str, int], int]
    free: list[int]
    states: list[tuple[int, int]]
    outputs: dict[tuple[str, int], int]
    gates: list[tuple[int, int, int]]
    flags: set[int]
    memory: set[int]

    @classmethod
    def of(cls, mutants: Mutants) -> Circuit:
        """Lower the mutants' netlist. Raises MutateError."""
        circuit, names = mutants.folder / "mutants.aag", mutants.folder / "mutants.map"
        if not circuit.exists():
            part = circuit.with_suffix(".part")
            passes = [f"read_rtlil {mutants.folder / 'mutants.il'}", *_LOWER]
            ended = tools.yosys(
                [*passes, f"write_aiger -ascii -map {names} {part}"], mutants.folder, 3600
            )
            if not ended.ok:
                said = "\n    ".join(ended.stderr)
                raise MutateError(f"Yosys cannot lower {mutants.unit.name} to gates:\n    {said}")
            part.replace(circuit)
        found = cls.read(circuit, names)
        assert found._controls is not None  # once, for all processes
        return found

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
        registers: dict[str, set[int]] = {}
        for line in names.read_text(encoding="utf-8").splitlines():
            kind, number, bit, name = line.split(maxsplit=3)
            if kind in ("latch", "invlatch"):
                registers.setdefault(name, set()).add(parts[1][int(number)][0])
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
            flags={min(bits) for bits in registers.values() if len(bits) == 1},
            memory={one for name, bits in registers.items() if ".mem" in name for one in bits},
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

    def prove(self, mutant: Mutant) -> dict:
        """Try to prove a mutant equal: {by: how, empty if it is not, tried: what was found}."""
        aig = _Aig()
        fixed = self._inputs(aig)
        shared = {literal: aig.new() for literal, _ in self.states}
        right, wrong = (self.copy(aig, n, fixed | shared) for n in (0, mutant.number))
        # In the same state: what is taken differently, and what is seen differently.
        apart = [
            (literal, a, b)
            for literal, following in self.states
            for a, b in [(_of(right, following), _of(wrong, following))]
            if a != b
        ]
        seen = self._seen(aig, right, wrong, 0)
        if not apart and seen == 0:
            return {"by": "same structure", "tried": ""}
        bad = aig.any([seen, *(aig.differ(a, b) for _, a, b in apart)])
        if _abc(aig, [bad], [], "read_aiger miter.aig; iprove") == "proved":
            return {"by": "same in every state", "tried": ""}
        return self._sequential(mutant, [literal for literal, _, _ in apart])

    def _sequential(self, mutant: Mutant, apart: Sequence[int]) -> dict:
        """From reset, side by side.

        Flip-flops that are apart exist twice, the others once: that both would take the same is to
        be proved, too, so that a proof with few of them is one of the whole. Which are apart is
        seen with random inputs.
        """
        every = _Pair(self, mutant, [literal for literal, _ in self.states])
        values = every.simulated()
        if _value(values, every.seen):
            return {"by": "", "tried": "differs with random inputs, legal or not"}
        twice = dict.fromkeys(apart)
        twice |= {one: None for one, bit in every.differ.items() if _value(values, bit)}
        few = _Pair(self, mutant, list(twice))
        if few.invariant(self, flags=False):
            return {"by": "invariant", "tried": ""}
        for _ in range(_TRIES):
            pair = _Pair(self, mutant, list(twice))
            # Most faults are in what nobody looks at: then both are the same only where some valid
            # bit is 1. scorr, which finds signals that are always 0, is shown what may be.
            hints = pair.hints(self._controls)
            how = f"&r miter.aig; &scorr; &w {_REDUCED}; &scorr -F 2; &w {_REDUCED}"
            said = _abc(pair.aig, [pair.bad, *hints], pair.flip_flops, how)
            if said == "proved":
                return {"by": "same from reset on", "tried": ""}
            if not pair.reached:
                break
            twice |= dict.fromkeys(pair.reached)
        if few.invariant(self, flags=True):
            return {"by": "invariant", "tried": ""}
        # The other engine is slower and finds more.
        how = f"read_aiger miter.aig; scorr; write_aiger {_REDUCED}"
        said = _abc(every.aig, [every.bad], every.flip_flops, how)
        return {
            "by": "same from reset on" * (said == "proved"),
            "tried": "" if said == "proved" else said,
        }

    def _inputs(self, aig: _Aig) -> dict[int, int]:
        """Literals of their own for all inputs."""
        ports = [literal for (name, _), literal in self.inputs.items() if name != CHOSEN]
        return {literal: aig.new() for literal in [*ports, *self.free]}

    def _seen(self, aig: _Aig, right: list[int], wrong: list[int], in_reset: int) -> int:
        """1 where an observer can tell the two apart."""
        pairs = {one: (_of(right, at), _of(wrong, at)) for one, at in self.outputs.items()}
        always = [aig.differ(*both) for (name, _), both in pairs.items() if name in _ALWAYS]
        payload = [aig.differ(*both) for (name, _), both in pairs.items() if name not in _ALWAYS]
        shown = aig.either(pairs["m_axis_tvalid", 0][0], in_reset)
        return aig.either(aig.any(always), aig.both(shown, aig.any(payload)))

    @functools.cached_property
    def _controls(self) -> list[int]:
        """Flip-flops that a reset sets: valid bits, and others that say what is going on."""
        aig = _Aig()
        known = self._inputs(aig)
        known |= {literal: aig.new() for literal, _ in self.states}
        known[self.inputs["rst_ni", 0]] = 0
        value = self.copy(aig, 0, known)
        return [literal for literal, takes in self.states if _of(value, takes) < 2]


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
        self._states, changed = (
            {literal: aig.choose(first, start[literal], there[literal]) for literal in state}
            for there in (state, state | other)
        )
        right = circuit.copy(aig, 0, fixed | self._states)
        wrong = circuit.copy(aig, mutant.number, fixed | changed)
        takes = [(one, _of(right, what), _of(wrong, what)) for one, what in circuit.states]
        self.flip_flops = [(started, 1), (reset_before, fixed[reset] ^ 1)]
        self.flip_flops += [(state[one], what) for one, what, _ in takes]
        self.flip_flops += [(other[one], what) for one, _, what in takes if one in other]
        reached = {one: aig.differ(a, b) for one, a, b in takes if one not in other and a != b}
        self._running = fixed[reset]
        # Where the fault is: the first signals that it may change.
        bits = (aig.differ(right[n], wrong[n]) for n, _, _ in circuit.gates if right[n] != wrong[n])
        self._near = list(itertools.islice((bit for bit in bits if bit > 1), _NEAR))
        in_reset = aig.both(fixed[reset] ^ 1, reset_before)
        self.seen = circuit._seen(aig, right, wrong, in_reset)
        self.bad = aig.any([self.seen, *reached.values()])
        self.reached, self.started = reached, started
        self.differ = {one: aig.differ(self._states[one], changed[one]) for one in other}
        # Bits of the state, now and in the next clock.
        self._right = {one: (state[one], what) for one, what, _ in takes}
        self._wrong = {one: (other[one], what) for one, _, what in takes if one in other}
        self._apart = [
            tuple(aig.differ(*both) for both in zip(self._right[one], there, strict=True))
            for one, there in self._wrong.items()
        ]
        self._cause = self._support([*self._near[:1], *(then for _, then in self._apart)])

    def _support(self, literals: Sequence[int]) -> list[int]:
        """The flip-flops that literals depend on, the nearest first."""
        owner = {now >> 1: one for one, (now, _) in self._right.items()}
        seen = {literal >> 1: None for literal in literals}
        line = list(seen)
        for variable in line:  # grows
            new = {one >> 1: None for one in self.aig.gates.get(variable, ())}
            line += [one for one in new if one not in seen]
            seen |= new
        return [owner[one] for one in seen if one in owner]

    def simulated(self) -> list[int]:
        """Values of all variables with random inputs: a bit for each clock of each of many runs."""
        aig = self.aig
        circuit = induct.Simulation(aig.size, aig.gates, self.flip_flops)
        value = np.zeros((aig.size, _RUNS // 64), np.uint64)
        rng, reset = np.random.default_rng(1), self._reset >> 1
        clocks = [one.copy() for one in circuit.run(_CLOCKS, rng, value, reset)]
        whole = np.stack(clocks, axis=1).reshape(aig.size, -1)
        return [int.from_bytes(one.tobytes(), "little") for one in whole]

    def invariant(self, circuit: Circuit, flags: bool) -> bool:
        """Whether one of these candidates proves that `bad` is never 1 (induct.py)."""
        both = induct.Simulation(self.aig.size, self.aig.gates, self.flip_flops)
        with induct.Induction(both, self.started) as work:
            return work.never(self.bad, self.candidates(circuit, flags))

    def candidates(self, circuit: Circuit, flags: bool) -> list[tuple[induct.Bit, ...]]:
        """Bits of the state that are never all 1 with random inputs, for an invariant.

        With `flags` those of a flag and any flip-flop, too.
        """
        values = self.simulated()
        started = _value(values, self.started)

        def shown(bits: Iterable[induct.Bit]) -> list[tuple[induct.Bit, int]]:
            """Bits and their complements with their values, where these are not always 0."""
            both = [one for now, then in bits for one in ((now, then), (now ^ 1, then ^ 1))]
            every = [(one, _value(values, one[0]) & started) for one in both]
            return [one for one in every if one[1]]

        single = shown([*self._right.values(), *self._wrong.values()])
        single.sort(key=lambda one: -one[1].bit_count())
        apart = [(one, _value(values, one[0]) & started) for one in self._apart]
        found: list[tuple[induct.Bit, ...]] = []
        # Where two flip-flops are not the same: never, not while some bit is 1, not alone.
        for one, here in apart:
            if not here:
                found.append((one,))
                continue
            never = (other for other, there in single if not here & there)
            found += [(one, other) for other in itertools.islice(never, _MANY)]
            found += [
                (one, (now ^ 1, then ^ 1))
                for (now, then), there in apart
                if now != one[0] and not here & ~there
            ]
        # What the unit never does: flags with flip-flops, and what the fault depends on.
        wide = [one for one in self._right if flags and one not in circuit.memory]
        known = circuit.flags.union(circuit._controls)
        narrow = shown(self._right[one] for one in wide if one in known)
        cause = shown(self._right[one] for one in self._cause[:_CAUSE])
        sets = [shown(self._right[one] for one in wide), narrow], [cause, cause]
        for some in sets:
            for (one, here), (other, there) in itertools.product(*some):
                if not here & there and one[0] | 1 != other[0] | 1:
                    found.append((one, other))
        for (one, a), (two, b), (three, c) in itertools.combinations(cause, 3):
            if not a & b & c:
                found.append((one, two, three))
        return found

    def hints(self, controls: Sequence[int]) -> list[int]:
        """What may never be 1: a flip-flop that is not the same while some control is 1."""
        now = [self.aig.both(self._states[one], self._running) for one in controls]
        values, found = self.simulated(), []
        when = [(one, _value(values, one)) for one in now]
        when = sorted(when, key=lambda one: -one[1].bit_count())
        for bit in [*self.differ.values(), *self._near]:
            apart = _value(values, bit)
            never = [control for control, ones in when if ones and not ones & apart]
            found += [self.aig.both(bit, control) for control in never[:_EACH]]
        return found


def _value(values: Sequence[int], literal: int) -> int:
    return values[literal >> 1] ^ (((1 << _RUNS * _CLOCKS) - 1) if literal & 1 else 0)


def _of(value: Sequence[int], literal: int) -> int:
    return value[literal >> 1] ^ literal & 1


def _abc(aig: _Aig, outputs: Sequence[int], flip_flops: Sequence[tuple[int, int]], how: str) -> str:
    """`proved` if the first output is never 1, else what ABC found, in words."""
    if outputs[0] == 0:
        return "proved"
    abc = tools.package("pyosys") / "yosys-abc"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        aig.write(folder / "miter.aig", outputs, flip_flops)
        command = f"{how}; print_status"
        # Of the processor: a busy machine proves as much.
        limited = ["sh", "-c", f'ulimit -t {_SECONDS}; exec "$@"', "abc", str(abc), "-q", command]
        ended = tools.run(limited, folder)
        # pdr does not say that what scorr has reduced to a constant is proved.
        if (folder / _REDUCED).exists() and _is_zero(folder / _REDUCED):
            return "proved"
    text = "\n".join(ended.stdout)
    if "Status = 1" in text:
        return "proved"
    if "Status = 0" in text:
        return "differs"
    return "not decided"


def _is_zero(path: Path) -> bool:
    """Whether the first output of a binary AIGER is the constant 0."""
    lines = path.read_bytes().split(b"\n")
    flip_flops = int(lines[0].split()[3])
    return lines[1 + flip_flops] == b"0"
