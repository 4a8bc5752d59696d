# SPDX-License-Identifier: Apache-2.0
"""An inductive invariant of unit and mutant side by side, found by SAT.

Most faults are in what nobody looks at: two registers are the same only where some valid bit is 1.
Candidates say just that: a few bits of the state are never all 1, such as `differs` and `valid`.
Those that random inputs show to be wrong go first. Then, over one clock, whatever does not follow
from all that are left is dropped, until all that are left follow from themselves; they hold in
every clock from reset on. If they leave nothing to see, the mutant is proved equal.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence

from pysat.solvers import Solver

_CONFLICTS = 30000  # a question
_ROUNDS = 400
_RUNS, _CLOCKS = 64, 6  # of random inputs from a state that the solver found
Bit = tuple[int, int]  # a bit of the state: its literal now, and in the next clock


class Induction:
    """A circuit of AND gates with its flip-flops, and what is asked of it.

    gates       variable -> two literals, in order
    flip_flops  literal -> what it takes
    started     literal: 0 in the first clock, whose state is free
    """

    def __init__(
        self, size: int, gates: dict[int, Bit], flip_flops: Sequence[Bit], started: int
    ) -> None:
        self._size, self._gates, self._flip_flops = size, gates, flip_flops
        self._started = started
        self._solver = Solver(name="glucose4")
        self._coded = {0}
        self._top = size + 1
        self._solver.add_clause([-size])  # the constant 0

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
            if variable in self._gates:
                one, other = (self._literal(each) for each in self._gates[variable])
                self._solver.add_clause([-variable, one])
                self._solver.add_clause([-variable, other])
                self._solver.add_clause([variable, -one, -other])
                stack += [each >> 1 for each in self._gates[variable]]
        return self._literal(literal)

    def _literal(self, literal: int) -> int:
        variable = literal >> 1 or self._size
        return -variable if literal & 1 else variable

    def _new(self) -> int:
        self._top += 1
        return self._top

    def _solve(self, assumed: Sequence[int]) -> bool | None:
        self._solver.conf_budget(_CONFLICTS)
        return self._solver.solve_limited(assumptions=assumed)

    def never(self, bad: int, candidates: Iterable[Sequence[Bit]], rng: random.Random) -> str:
        """`proved` if `bad` is 1 in no clock; else what came in the way."""
        left: dict[int, Sequence[Bit]] = {}  # the solver's variable that switches one on
        started = self._code(self._started)
        after: dict[int, int] = {}
        for one in candidates:
            switch, broken = self._new(), self._new()
            self._solver.add_clause([-switch, -started, *(-self._code(now) for now, _ in one)])
            for _, following in one:
                self._solver.add_clause([-broken, self._code(following)])
            left[switch], after[switch] = one, broken
        target = self._code(bad)
        for _ in range(_ROUNDS):
            if not left:
                break
            asked = self._new()
            self._solver.add_clause([-asked, *(after[switch] for switch in left)])
            found = self._solve([*left, asked])
            if found is None:
                return "not decided"
            if not found:
                break
            self._drop(left, rng)
            self._solver.add_clause([-asked])
        else:
            return "not decided"
        self.left = list(left.values())
        found = self._solve([*left, target])
        if found is None:
            return "not decided"
        if found:
            return "no invariant"
        return "proved"

    def _drop(self, left: dict[int, Sequence[Bit]], rng: random.Random) -> None:
        """Candidates that the solver's model breaks in the next clock, or random inputs later."""
        for of in self._from_model(_CLOCKS, rng):
            for switch, bits in list(left.items()):
                together = -1
                for _, following in bits:
                    together &= of(following)
                    if not together:
                        break
                else:
                    del left[switch]

    def shown(self, bits: dict[int, int]) -> list[int]:
        """Which of these the state that the solver found may set, with random inputs."""
        found = []
        for clock, of in enumerate(self._from_model(2, random.Random(1))):
            found += [one for one, bit in bits.items() if of(bit)]
        return list(dict.fromkeys(found))

    def _from_model(self, clocks: int, rng: random.Random):
        """The values of literals, clock by clock, in many runs."""
        model = self._solver.get_model()
        mask = (1 << _RUNS) - 1
        value = [0] * self._size
        for variable in range(1, self._size):
            if model[variable - 1] > 0:
                value[variable] = mask
        states = [one >> 1 for one, _ in self._flip_flops]
        held = set(states)
        inputs = [n for n in range(1, self._size) if n not in self._gates and n not in held]

        def of(literal: int) -> int:
            return value[literal >> 1] ^ (mask if literal & 1 else 0)

        for clock in range(clocks):
            if clock:
                for one in inputs:
                    value[one] = rng.getrandbits(_RUNS)
            for one, (a, b) in self._gates.items():
                x, y = value[a >> 1], value[b >> 1]
                value[one] = (x ^ mask if a & 1 else x) & (y ^ mask if b & 1 else y)
            yield of
            taken = [of(what) for _, what in self._flip_flops]
            for state, now in zip(states, taken, strict=True):
                value[state] = now


def pairs(one: Iterable, other: Iterable) -> Iterable:
    return itertools.product(one, other)
