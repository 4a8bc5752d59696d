# SPDX-License-Identifier: Apache-2.0
"""An inductive invariant of a circuit, found by SAT, that lets no observer see a difference.

A statement is that a few bits of the state are never all 1, such as `this register differs` and
`its valid bit`. The search starts without any. Whenever the solver finds a state that would show a
difference, or from which a statement breaks in the next clock, the bits of that state that matter
make new statements, those of few bits that random runs have never shown together. Where there are
none, the statement that breaks is given up. What is left in the end follows from itself, and holds
in every clock from reset on.

Random runs only suggest; what is proved follows from clauses alone. Effort is counted in states
and in conflicts of the solver, not in time: the result is the same on every machine.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pysat.solvers import Solver

_CONFLICTS = 50000  # a question
_RUNS, _CLOCKS = 512, 128  # of random inputs
_SPLIT = 8  # clocks, from one choice of runs to the next
_NEW = 8  # statements made of one state
_POOL, _POOL_OF_3 = 60, 40  # bits of a state that are tried, by twos and by threes
_WIDEST = 8  # bits of a statement
_CHANCE = 2.0  # times that they would have met in the random runs, were they independent
ALL = (1 << 64) - 1
Bit = tuple[int, int]  # a bit of the state: its literal now, and in the next clock
Statement = tuple[Bit, ...]  # never all 1
# A gate's literals in both circuits; then its inputs: gates (numbers), -1 where the two are the
# same, None where they are opposite.
Gate = tuple[int | None, ...]


@dataclass
class Effort:
    """What may still be spent on a proof. The longest proof seen took a third of it.

    rounds     states that are looked at
    conflicts  of the solver
    """

    rounds: int = 400
    conflicts: int = 150000

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return self.rounds <= 0 or self.conflicts <= 0


class Encoding:
    """A circuit's gates in a SAT solver, as far as questions need them."""

    def __init__(self, circuit: Simulation, effort: Effort, pairs: Sequence[Gate] = ()) -> None:
        self.circuit, self._effort = circuit, effort
        self._solver = Solver(name="glucose4")
        self._coded = {0}
        self._top = self._zero = circuit.size
        self.clause(-self._zero)
        self._pairs = pairs
        self._in: dict[int, list[int]] = {}  # variable -> gates that have it
        for n, (one, other, *_) in enumerate(pairs):
            for literal in (one, other):
                self._in.setdefault(literal >> 1, []).append(n)
        self._differs: dict[int, int] = {}  # gate -> the solver's variable

    def __enter__(self) -> Encoding:
        return self

    def __exit__(self, *_: object) -> None:
        self._solver.delete()

    def clause(self, *literals: int) -> None:
        """One of the solver's literals holds."""
        self._solver.add_clause(literals)

    def new(self) -> int:
        """A variable of the solver's own."""
        self._top += 1
        return self._top

    def code(self, literal: int) -> int:
        """The solver's literal, with its gates."""
        stack = [literal >> 1]
        while stack:
            variable = stack.pop()
            if variable in self._coded:
                continue
            self._coded.add(variable)
            for gate in self._in.get(variable, ()):
                self._pair(gate)
            if variable in self.circuit.gates:
                one, other = (self._literal(each) for each in self.circuit.gates[variable])
                self.clause(-variable, one)
                self.clause(-variable, other)
                self.clause(variable, -one, -other)
                stack += [each >> 1 for each in self.circuit.gates[variable]]
        return self._literal(literal)

    def _pair(self, gate: int) -> None:
        """Both gates of a pair differ only where an input does: said, not searched for."""
        one, other, *inputs = self._pairs[gate]
        if any(literal >> 1 not in self._coded for literal in (one, other)):
            return
        a, b, differs = self._literal(one), self._literal(other), self._difference(gate)
        self.clause(-differs, a, b)
        self.clause(-differs, -a, -b)
        self.clause(differs, -a, b)
        self.clause(differs, a, -b)
        if inputs and None not in inputs:
            self.clause(-differs, *(self._difference(each) for each in inputs if each >= 0))

    def _difference(self, gate: int) -> int:
        if gate not in self._differs:
            self._differs[gate] = self.new()
        return self._differs[gate]

    def _literal(self, literal: int) -> int:
        variable = literal >> 1 or self._zero
        return -variable if literal & 1 else variable

    def solve(self, *assumed: int, conflicts: int = _CONFLICTS) -> bool | None:
        """Whether all can hold; None: not decided."""
        if self._effort.spent:
            return None
        self._solver.conf_budget(min(conflicts, self._effort.conflicts))
        before = self._solver.accum_stats()["conflicts"]
        found = self._solver.solve_limited(assumptions=assumed)
        self._effort.conflicts -= self._solver.accum_stats()["conflicts"] - before
        return found

    def equal(self, one: int, other: int, conflicts: int) -> None:
        """If two literals are the same in every state, say so from now on."""
        a, b = self.code(one), self.code(other)
        for pair in ((a, -b), (-a, b)):
            if self.solve(*pair, conflicts=conflicts) is not False:
                return
            self.clause(-pair[0], -pair[1])

    def model(self) -> list[int]:
        """What all variables of the circuit are in the answer: 0 or 1; free ones are 0."""
        found = np.array(self._solver.get_model()[: self.circuit.size - 1]) > 0
        value = np.zeros((self.circuit.size, 1), np.uint64)
        value[1:][found] = ALL
        # What was not asked about has no value yet.
        now = next(self.circuit.run(1, np.random.default_rng(1), value))
        return (now[:, 0] & np.uint64(1)).tolist()

    def reason(self, aim: int, targets: Iterable[int], value: Sequence[int]) -> list[int]:
        """Variables of the state whose values, with those of the inputs, make `aim` true.

        aim      of the solver; it follows from `targets`, literals of the circuit
        value    of all variables, as in `model`
        """
        leaves = self.circuit.leaves(targets)
        valued = [one if value[one] else -one for one in leaves]
        inputs = [one for one in valued if abs(one) in self.circuit.inputs]
        states = [one for one in valued if abs(one) not in self.circuit.inputs]
        for _ in range(3):
            if self.solve(-aim, *inputs, *states) is not False:
                break
            core = set(self._solver.get_core() or ())
            fewer = [one for one in states if one in core]
            if len(fewer) == len(states):
                break
            states = fewer[::-1]
        return [abs(one) for one in states]


class Induction:
    """Questions about a circuit.

    started  a literal of it: 0 in the first clock, whose state is free
    high     an input that is 0 rarely, in random runs
    bits     of the state that statements are made of
    apart    bits that tell that two others differ -> the two
    pairs    gates that exist twice
    """

    def __init__(
        self,
        circuit: Simulation,
        started: int,
        high: int,
        bits: Sequence[Bit],
        apart: Mapping[Bit, tuple[Bit, Bit]],
        effort: Effort,
        pairs: Sequence[Gate] = (),
    ) -> None:
        self._encoding = Encoding(circuit, effort, pairs)
        self._circuit, self._started = circuit, started
        self._effort = effort
        self._of = {now >> 1: (now, then) for now, then in bits}
        self._apart = {one[0] >> 1: (bit, both) for bit, both in apart.items() for one in both}
        self._differ = dict.fromkeys(apart)
        every = [*bits, *apart]
        self._row = {now >> 1: n for n, (now, _) in enumerate(every)}
        self._samples = self._sampled([now >> 1 for now, _ in every], high)
        self._count = functools.cache(lambda bit: int(_ones(self._values(bit))))
        self._left: dict[Statement, tuple[int, int]] = {}
        self._given_up: set[Statement] = set()
        self.last: list[int] = []  # the state that could not be ruled out; empty: the effort ended

    def __enter__(self) -> Induction:
        return self

    def __exit__(self, *_: object) -> None:
        self._encoding.__exit__()

    def _sampled(self, variables: Sequence[int], high: int) -> np.ndarray:
        """The values of variables in random runs, without the first clock, a bit each."""
        words = _RUNS // 64
        value = np.zeros((self._circuit.size, words), np.uint64)
        found = np.zeros((len(variables), words * (_CLOCKS - 1)), np.uint64)
        rare = [now for now, _ in self._differ]
        clocks = self._circuit.run(_CLOCKS, np.random.default_rng(1), value, high, rare)
        for n, now in enumerate(clocks, -1):
            if n >= 0:
                found[:, n * words : (n + 1) * words] = now[variables]
        return found

    def _values(self, bit: Bit) -> np.ndarray:
        found = self._samples[self._row[bit[0] >> 1]]
        return ~found if bit[0] & 1 else found

    def never(self, bad: int) -> bool:
        """Whether `bad` is proved to be 1 in no clock."""
        encoding = self._encoding
        target = encoding.code(bad)
        while not self._effort.spent:
            self._effort.rounds -= 1
            self.last = []
            assumed = [one for one, _ in self._left.values()]
            found = encoding.solve(*assumed, target)
            if found is None:
                return False
            if found:
                self.last = encoding.model()
                if not self._rule_out(target, [bad]):
                    return False
                continue
            asked = encoding.new()
            encoding.clause(-asked, *(fails for _, fails in self._left.values()))
            found = encoding.solve(*assumed, asked)
            if not found:
                return found is False
            self.last = value = encoding.model()
            broken = next(
                statement
                for statement in self._left
                if all(_bit(value, then) for _, then in statement)
            )
            aim = encoding.new()
            nexts = [then for _, then in broken]
            encoding.clause(aim, *(-encoding.code(then) for then in nexts))
            if not self._rule_out(aim, nexts):
                del self._left[broken]
                self._given_up.add(broken)
        self.last = []
        return False

    def _rule_out(self, aim: int, targets: Sequence[int]) -> bool:
        """Add statements that the last state contradicts; False if there are none."""
        value = self.last
        if not _bit(value, self._started):
            return False
        pool = self._pool(self._encoding.reason(aim, targets, value), value)
        new = self._unseen(pool)
        for statement in new:
            assumed, fails = self._encoding.new(), self._encoding.new()
            now = [-self._encoding.code(now) for now, _ in statement]
            self._encoding.clause(-assumed, -self._encoding.code(self._started), *now)
            for _, then in statement:
                self._encoding.clause(-fails, self._encoding.code(then))
            self._left[statement] = assumed, fails
        return bool(new)

    def _pool(self, reason: Iterable[int], value: Sequence[int]) -> list[Bit]:
        """Bits that are 1 in a state: those of a reason, and whether they differ."""
        found: dict[Bit, None] = {}
        for variable in reason:
            if variable not in self._of:
                continue
            if variable in self._apart:
                differs, both = self._apart[variable]
                if len({_bit(value, now) for now, _ in both}) == 2:
                    found[differs] = None
            now, then = self._of[variable]
            zero = 1 - value[variable]
            found[now ^ zero, then ^ zero] = None
        return sorted(found, key=lambda bit: (bit not in self._differ, self._count(bit)))

    def _unseen(self, pool: Sequence[Bit]) -> list[Statement]:
        """Statements of a few bits of a pool that no random run contradicts, the likeliest first.

        The oftener bits would have met by chance, the more it says that they never have.
        """
        if not pool:
            return []
        pool = pool[:_POOL]
        rows = np.stack([self._values(bit) for bit in pool])
        counts = [self._count(bit) for bit in pool]
        found = [(np.inf, (n,)) for n, count in enumerate(counts) if not count]
        found = found or self._pairs(rows, counts)
        found = self._fresh(pool, found)
        if not found:
            found = self._fresh(pool, self._triples(rows[:_POOL_OF_3], counts))
        return found or self._wide(pool, rows)

    def _fresh(
        self, pool: Sequence[Bit], found: Iterable[tuple[float, tuple[int, ...]]]
    ) -> list[Statement]:
        """The likeliest, without those that have been tried."""
        some = [(chance, tuple(sorted(pool[n] for n in which))) for chance, which in found]
        some = [one for one in some if self._is_new(one[1])]
        # What the unit alone never does is rarely what is missing.
        about = [one for one in some if any(bit in self._differ for bit in one[1])]
        some = about or some
        return [one for _, one in sorted(some, key=lambda one: -one[0])[:_NEW]]

    def _is_new(self, statement: Statement) -> bool:
        return statement not in self._left and statement not in self._given_up

    def _pairs(
        self, rows: np.ndarray, counts: Sequence[int]
    ) -> list[tuple[float, tuple[int, ...]]]:
        found = []
        whole = 64 * rows.shape[1]
        for one in range(len(rows) - 1):
            met = _ones(rows[one] & rows[one + 1 :])
            for other in (np.flatnonzero(met == 0) + one + 1).tolist():
                chance = counts[one] * counts[other] / whole
                if chance >= _CHANCE:
                    found.append((chance, (one, other)))
        return found

    def _triples(
        self, rows: np.ndarray, counts: Sequence[int]
    ) -> list[tuple[float, tuple[int, ...]]]:
        found = []
        whole = 64 * rows.shape[1]
        part = rows[:, ::8]  # most are told from a few runs
        for a, b in itertools.combinations(range(len(rows) - 1), 2):
            met = _ones(part[a] & part[b] & part[b + 1 :])
            for c in (np.flatnonzero(met == 0) + b + 1).tolist():
                both = rows[a] & rows[b]
                if np.any(both & rows[c]):
                    continue
                pairs = [(both, c), (rows[a] & rows[c], b), (rows[b] & rows[c], a)]
                chance = min(_ones(two) * counts[one] for two, one in pairs) / whole
                if chance >= _CHANCE:
                    found.append((chance, (a, b, c)))
        return found

    def _wide(self, pool: Sequence[Bit], rows: np.ndarray) -> list[Statement]:
        """One of more bits: those that leave the fewest runs, one by one."""
        left, chosen = list(range(len(pool))), []
        met = np.full(rows.shape[1], ALL, np.uint64)
        while left:
            counts = _ones(met & rows[left])
            best = int(np.argmin(counts))
            chosen.append(left.pop(best))
            met = met & rows[chosen[-1]]
            if not counts[best]:
                break
        else:
            return []
        for one in list(chosen):
            fewer = [other for other in chosen if other != one]
            if fewer and not np.any(np.bitwise_and.reduce(rows[fewer], axis=0)):
                chosen = fewer
        statement = tuple(sorted(pool[n] for n in chosen))
        if len(chosen) > _WIDEST or not self._is_new(statement):
            return []
        return [statement]


def _ones(words: np.ndarray) -> np.ndarray:
    return np.bitwise_count(words).sum(axis=-1, dtype=np.int64)


def _bit(value: Sequence[int], literal: int) -> int:
    return value[literal >> 1] ^ literal & 1


class Simulation:
    """A circuit of AND gates, in many runs at once: 64 in a word, the gates of a level together.

    gates       variable -> two literals, in order
    flip_flops  literal, and what it takes
    inputs      variables that are neither
    """

    def __init__(self, size: int, gates: Mapping[int, Bit], flip_flops: Sequence[Bit]) -> None:
        self.size, self.gates = size, gates
        level = [0] * size
        levels: dict[int, list[tuple[int, int, int]]] = {}
        for one, (a, b) in gates.items():
            level[one] = 1 + max(level[a >> 1], level[b >> 1])
            levels.setdefault(level[one], []).append((one, a, b))
        self._levels = []
        for _, some in sorted(levels.items()):
            out, a, b = np.array(some).T
            self._levels.append((out, a >> 1, inverted(a), b >> 1, inverted(b)))
        states, takes = np.array(flip_flops).T
        self._states, self._takes, self._inverted = states >> 1, takes >> 1, inverted(takes)
        inputs = np.ones(size, bool)
        inputs[[0, *self._states, *gates]] = False
        self._inputs = np.flatnonzero(inputs)
        self.inputs = frozenset(self._inputs.tolist())

    def leaves(self, literals: Iterable[int]) -> list[int]:
        """Inputs and flip-flops that literals depend on, the nearest first."""
        seen = {literal >> 1: None for literal in literals}
        line = list(seen)
        for variable in line:  # grows
            new = {one >> 1: None for one in self.gates.get(variable, ())}
            line += [one for one in new if one not in seen]
            seen |= new
        return [one for one in seen if one and one not in self.gates]

    def run(
        self,
        clocks: int,
        rng: np.random.Generator,
        value: np.ndarray,
        high: int | None = None,
        rare: Sequence[int] = (),
    ) -> Iterator[np.ndarray]:
        """The values of all variables, uint64[size, words], in place, clock by clock.

        value  what flip-flops have in the first clock, and inputs, too, without `high`
        high   an input that is 0 rarely; then others are so in some runs, and 1 rarely in others
        rare   literals: runs in which one is 1 that is so in few go on in place of others, too
        """
        wanted = np.array(rare, int)
        if high is not None:
            one, other = self._random(rng, value), self._random(rng, value)
            seldom, often = one & other, one & ~other
        for clock in range(clocks):
            if clock or high is not None:
                now = self._random(rng, value)
                if high is not None:
                    one, other = self._random(rng, value), self._random(rng, value)
                    now = now & (one & other | ~seldom) | often & (one | other)
                value[self._inputs] = now
                if high is not None:
                    value[high] |= np.bitwise_or.reduce(self._random(rng, value)[:5])
            for out, a, not_a, b, not_b in self._levels:
                value[out] = (value[a] ^ not_a) & (value[b] ^ not_b)
            yield value
            hit = value[wanted >> 1] ^ inverted(wanted) if len(wanted) else None
            value[self._states] = value[self._takes] ^ self._inverted
            if hit is not None and clock % _SPLIT == _SPLIT - 1:
                self._split(rng, value, hit)

    def _split(self, rng: np.random.Generator, value: np.ndarray, hit: np.ndarray) -> None:
        """Let states of few runs take the place of those of others, up to half of all."""
        runs = 64 * value.shape[1]
        counts = _ones(hit)
        few = np.bitwise_or.reduce(hit[(counts > 0) & (counts < runs // 8)], axis=0)
        some = _unpacked(few[None])[0].astype(bool)
        having, lacking = np.flatnonzero(some), np.flatnonzero(~some)
        count = runs // 2 - len(having)
        if not len(having) or count <= 0:
            return
        bits = _unpacked(value[self._states])
        bits[:, rng.permutation(lacking)[:count]] = bits[:, rng.choice(having, count)]
        value[self._states] = np.packbits(bits, axis=1, bitorder="little").view(np.uint64)

    def _random(self, rng: np.random.Generator, value: np.ndarray) -> np.ndarray:
        shape = len(self._inputs), value.shape[1]
        return rng.integers(0, ALL, shape, np.uint64, endpoint=True)


def _unpacked(words: np.ndarray) -> np.ndarray:
    """A byte for each bit, uint8[.., 64 words]."""
    return np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")


def inverted(literals: np.ndarray) -> np.ndarray:
    """All ones where a literal is inverted, uint64[.., 1]."""
    return (-(literals & 1)).astype(np.uint64)[..., None]
