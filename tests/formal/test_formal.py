# SPDX-License-Identifier: Apache-2.0
"""Proofs: what is quick to prove is proved here, and each planted bug breaks its proof."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softnorm.flow.errors import UserError
from softnorm.flow.formal import results
from softnorm.flow.formal.engine import Outcome, Verdict, prove
from softnorm.flow.formal.proofs import COMMON, of_unit, proofs
from softnorm.flow.pages import kept
from softnorm.units import UNITS
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
        small={},
        properties=(bug.label, *(one for one in first.properties if one.startswith("i_"))),
    )
    outcome = prove(small, tmp_path, plant(bug.edits, tmp_path))
    assert outcome.verdict is Verdict.REFUTED
    assert bug.label in outcome.wrong
    told = results.explained(small, outcome)
    assert bug.label in told
    assert small.sentence in told
    assert "clock" in told


def test_each_proof_has_a_planted_bug():
    named = {(bug.unit, bug.proof) for bug in PLANTED.values()}
    assert {(one.unit, one.name) for one in proofs()} == named


@pytest.mark.slow
def test_what_is_wrong_at_a_small_size_alone_is_not_called_refuted(tmp_path):
    # With 32 lanes and 1024 elements a row has to be longer than any trace before it wraps.
    bug = PLANTED["guard: a runaway row wraps"]
    first = next(one for one in proofs() if one.name == bug.proof)
    wanted = replace(first, properties=(bug.label,))
    outcome = prove(wanted, tmp_path, plant(bug.edits, tmp_path))
    assert outcome.verdict is Verdict.SMALL
    told = results.explained(wanted, outcome)
    assert f"{bug.label} is not proved; it does not hold at LANES=2 MAX_LEN=3, in " in told
    assert results.failed(wanted, outcome)


def test_a_changed_entry_makes_what_is_recorded_older(monkeypatch):
    before = kept.of_proofs(COMMON)
    changed = [replace(one, depth=one.depth + 1) for one in proofs()]
    monkeypatch.setattr(kept, "proofs", lambda: changed)
    assert kept.of_proofs(COMMON) != before


def test_what_is_empty_is_no_proof(tmp_path):
    first = next(one for one in proofs() if one.name == "larger of two")
    outcome = prove(replace(first, reach=("a_equation",)), tmp_path)
    assert outcome.verdict is Verdict.EMPTY
    assert "must be refuted, and is not" in results.explained(first, outcome)


def test_what_is_no_longer_proved_fails_and_what_never_was_does_not(monkeypatch):
    first = proofs()[0]
    late = Outcome(Verdict.TIME, 1.0)
    proved = results.recorded([first], {first.key: Outcome(Verdict.PROVED, 1.0, "k = 2")})
    for recorded, fails in (proved, True), ({}, False):
        monkeypatch.setattr(results.kept, "load", lambda *_, found=recorded: found)
        assert results.failed(first, late) == fails
    assert results.failed(first, Outcome(Verdict.REFUTED, 1.0))
    assert not results.failed(first, Outcome(Verdict.PROVED, 1.0))


def test_status_counts_the_cells_that_a_unit_has():
    unit = UNITS[proofs()[0].unit]
    status = results.status(unit)
    assert status.proved + len(status.open) == len(of_unit(unit))
    assert {one.unit for one in of_unit(unit)} == {unit.name, COMMON}


def test_a_property_that_there_is_not_is_named():
    with pytest.raises(UserError, match="nothing is proved of 'x'; there are: "):
        results.chosen("x", None)
    with pytest.raises(UserError, match="there is no property 'x'; there are: "):
        results.chosen(COMMON, "x")
