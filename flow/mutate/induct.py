# SPDX-License-Identifier: Apache-2.0
"""An inductive invariant of unit and mutant side by side, found by SAT.

Most faults are in what nobody looks at: two registers are the same only where some valid bit is 1.
Candidates say just that: a few bits of the state are never all 1, such as `differs` and `valid`.
Those that random inputs show to be wrong go first. Then, over one clock, whatever does not follow
from all that are left is dropped, until all that are left follow from themselves; they hold in
every clock from reset on. If they leave nothing to see, the mutant is proved equal.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from pysat.solvers import Solver

_CONFLICTS = 30000  # a question
_ROUNDS = 300
_ALL = (1 << 64) - 1
_CLOCKS = 4  # of random inputs from a state that the solver found
Bit = tuple[int, int]  # a bit of the state: its literal now, and in the next clock


class Induction:
    """Questions about a circuit. `started` is a literal of it: 0 in the first clock, whose state
    is free."""

    def __init__(self, circuit: Simulation, started: int) -> None:
        self._circuit, self._started = circuit, started
        self._solver = Solver(name="glucose4")
        self._coded = {0}
        self._top = self._zero = circuit.size
        self._solver.add_clause([-self._zero])

    def __enter__(self) -> Induction:
        return self

    def __exit__(self, *_: object) -> None:
        self._solver.delete()

    def _code(self, literal: int) -> int:
        """The solver's literal, with its gates."""
        stack = [literal >> 1]
        while stack:
            variable = stack.pop()
            if variable in self._coded:
                continue
            self._coded.add(variable)
            if variable in self._circuit.gates:
                one, other = (self._literal(each) for each in self._circuit.gates[variable])
                self._solver.add_clause([-variable, one])
                self._solver.add_clause([-variable, other])
                self._solver.add_clause([variable, -one, -other])
                stack += [each >> 1 for each in self._circuit.gates[variable]]
        return self._literal(literal)

    def _literal(self, literal: int) -> int:
        variable = literal >> 1 or self._zero
        return -variable if literal & 1 else variable

    def _new(self) -> int:
        self._top += 1
        return self._top

    def _solve(self, assumed: Sequence[int]) -> bool | None:
        self._solver.conf_budget(_CONFLICTS)
        return self._solver.solve_limited(assumptions=assumed)

    def never(self, bad: int, candidates: Iterable[Sequence[Bit]]) -> bool:
        """Whether `bad` is proved to be 1 in no clock.

        A candidate is a set of bits of which one is 0 in every clock but the first.
        """
        left: dict[int, Sequence[Bit]] = {}  # the solver's variable that assumes one -> it
        broken: dict[int, int] = {}  # -> the one that says that it fails in the next clock
        started, target = self._code(self._started), self._code(bad)
        for one in candidates:
            assumed, fails = self._new(), self._new()
            self._solver.add_clause([-assumed, -started, *(-self._code(now) for now, _ in one)])
            for _, following in one:
                self._solver.add_clause([-fails, self._code(following)])
            left[assumed], broken[assumed] = one, fails
        rng = np.random.default_rng(1)
        for _ in range(_ROUNDS):
            # What is left only becomes less: where it is too little now, it stays so.
            if self._solve([*left, target]) is not False:
                return False
            asked = self._new()
            self._solver.add_clause([-asked, *(broken[assumed] for assumed in left)])
            found = self._solve([*left, asked])
            if found is None:
                return False
            if not found:
                return True
            self._drop(left, rng)
        return False

    def _drop(self, left: dict[int, Sequence[Bit]], rng: np.random.Generator) -> None:
        """Leave out what fails a clock after the state that was found, or, at random, later."""
        for value in self._from_model(_CLOCKS, rng):
            for assumed, bits in list(left.items()):
                if functools.reduce(int.__and__, (value(then) for _, then in bits)):
                    del left[assumed]

    def _from_model(self, clocks: int, rng: np.random.Generator) -> Iterator[Callable[[int], int]]:
        """From the state that was found: what a literal is in 64 runs, clock by clock."""
        model = np.array(self._solver.get_model()[: self._circuit.size - 1]) > 0
        start = np.zeros((self._circuit.size, 1), np.uint64)
        start[1:][model] = _ALL
        for now in self._circuit.run(clocks, rng, start):
            every = now[:, 0].tolist()
            yield lambda literal, every=every: every[literal >> 1] ^ _ALL * (literal & 1)


class Simulation:
    """A circuit of AND gates, in many runs at once: 64 in a word, the gates of a level together.

    gates       variable -> two literals, in order
    flip_flops  literal, and what it takes
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
            self._levels.append((out, a >> 1, _inverted(a), b >> 1, _inverted(b)))
        states, takes = np.array(flip_flops).T
        self._states, self._takes, self._inverted = states >> 1, takes >> 1, _inverted(takes)
        inputs = np.ones(size, bool)
        inputs[[0, *self._states, *gates]] = False
        self._inputs = np.flatnonzero(inputs)

    def run(
        self, clocks: int, rng: np.random.Generator, value: np.ndarray, high: int | None = None
    ) -> Iterator[np.ndarray]:
        """The values of all variables, uint64[size, words], in place, clock by clock.

        value  what flip-flops have in the first clock, and inputs, too, without `high`
        high   an input that is 0 rarely; then others are so in some runs, and 1 rarely in others
        """
        if high is not None:
            one, other = self._random(rng, value), self._random(rng, value)
            rare, often = one & other, one & ~other
        for clock in range(clocks):
            if clock or high is not None:
                now = self._random(rng, value)
                if high is not None:
                    one, other = self._random(rng, value), self._random(rng, value)
                    now = now & (one & other | ~rare) | often & (one | other)
                value[self._inputs] = now
                if high is not None:
                    value[high] |= np.bitwise_or.reduce(self._random(rng, value)[:5])
            for out, a, not_a, b, not_b in self._levels:
                value[out] = (value[a] ^ not_a) & (value[b] ^ not_b)
            yield value
            value[self._states] = value[self._takes] ^ self._inverted

    def _random(self, rng: np.random.Generator, value: np.ndarray) -> np.ndarray:
        shape = len(self._inputs), value.shape[1]
        return rng.integers(0, _ALL, shape, np.uint64, endpoint=True)


def _inverted(literals: np.ndarray) -> np.ndarray:
    return (-(literals & 1)).astype(np.uint64)[:, None]
