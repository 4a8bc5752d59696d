# SPDX-License-Identifier: Apache-2.0
"""Proofs: what is quick to prove is proved here, and each planted bug breaks its proof."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softnorm.flow.formal import results
from softnorm.flow.formal.engine import Verdict, prove
from softnorm.flow.formal.proofs import proofs
from tests.formal.planted import PLANTED
from tests.rtl.mutations import plant

QUICK = [proof for proof in proofs() if not proof.depth]
OTHERS = [proof for proof in proofs() if proof.depth]


@pytest.mark.parametrize(
    "proof",
    [*QUICK, *(pytest.param(one, marks=pytest.mark.slow) for one in OTHERS)],
    ids=lambda proof: proof.key,
)
def test_it_is_proved(proof, tmp_path):
    outcome = prove(proof, tmp_path)
    assert outcome.proved, results.explained(proof, outcome)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if bug.slow else [], id=name)
        for name, bug in PLANTED.items()
    ],
)
def test_a_planted_bug_breaks_its_proof(name, tmp_path):
    bug = PLANTED[name]
    first = next(one for one in proofs() if (one.unit, one.name) == (bug.unit, bug.proof))
    # That property alone, with the invariants, at the size where traces are found.
    small = replace(
        first,
        parameters={**first.parameters, **first.small},
        properties=(bug.label, *(one for one in first.properties if one.startswith("i_"))),
    )
    outcome = prove(small, tmp_path, plant(bug.edits, tmp_path))
    assert outcome.verdict is Verdict.REFUTED
    assert bug.label in outcome.wrong
    told = results.explained(small, outcome)
    assert bug.label in told
    assert small.sentence in told
    assert "clock" in told
