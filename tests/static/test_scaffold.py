# SPDX-License-Identifier: Apache-2.0
"""make new-unit: what it makes passes at once, in a copy of the checkout; what it refuses."""

from __future__ import annotations

import pytest

from softnorm.flow import tools
from softnorm.flow.static import scaffold
from softnorm.units import UNITS
from tests.copies import Checkout
from tests.test_commands import refused

SIM, OTHER = ("icarus", "verilator") if tools.icarus() else ("verilator", "icarus")
# The longest name, and one that sorts before and behind what it is imported with.
NAMES = {"softmax": "mynorm", "layernorm": "a_norm_of_24_characters1"}


@pytest.fixture(
    scope="module",
    params=["softmax", pytest.param("layernorm", marks=pytest.mark.slow)],  # scaffold.KINDS
)
def made(request, tmp_path_factory):
    """(the checkout, the new unit's name, what the command said)."""
    checkout = Checkout(tmp_path_factory.mktemp(request.param))
    name = NAMES[request.param]
    code, said = checkout.run(f"make new-unit NAME={name} KIND={request.param}")
    assert code == 0, said
    return checkout, name, said


def passes(checkout, line):
    code, said = checkout.run(line)
    assert code == 0, said
    return said


def test_it_says_what_it_wrote(made):
    checkout, name, said = made
    written = [line.removeprefix("written: ") for line in said.splitlines() if "written: " in line]
    assert len(written) == len(set(written)) == len(scaffold.PLACES) + len(scaffold.DERIVED) + 3
    for path in written:
        assert (checkout.root / path).is_file()
        text = (checkout.root / path).read_text().lower()
        assert name.replace("_", "") in text.replace("_", "")
        assert "@name@" not in text
    assert f"make sim UNIT={name} LANES=4 MAX_LEN=32" in said


def test_its_rtl_is_short(made):
    checkout, name, _ = made
    assert len((checkout.root / f"rtl/{name}/{name}.sv").read_text().splitlines()) < 120


def test_it_passes_lint(made):
    checkout, name, _ = made
    only = ["verilator", "slang", "ruff", *["icarus"] * (SIM == "icarus")]
    assert " 0 with findings" in passes(checkout, f"make lint UNIT={name} ONLY={','.join(only)}")


def test_it_simulates(made):
    checkout, name, _ = made
    words = f"UNIT={name} SIM={SIM} LANES=4 MAX_LEN=32 ROWS=40"
    for test in ("default", "timing"):
        assert "\nPASS\n" in passes(checkout, f"make sim {words} TEST={test}")


def test_its_tests_pass(made):
    """Its model's; those of derived files, pages and plans; its mutation is caught on pins."""
    checkout, name, _ = made
    files = "models/ static/test_generate.py static/test_manifests.py rtl/test_mutations.py"
    files += " docs/test_docs.py docs/test_drawings.py docs/test_sentences.py"
    files += " regress/test_testplans.py"
    chosen = f"({name} or test_generate or test_manifests) and not without_a_mutation"
    # In bulk Verilator would be built anew, its runtime too.
    chosen += (
        f" and not {OTHER} and not (is_caught and not on_pins) and not fusesoc_runs and not dvsim"
    )
    chosen += " and not torch"  # which is optional
    said = passes(checkout, f"cd tests && python -m pytest -v -n 0 -k '{chosen}' {files}")
    assert "SKIPPED" not in said
    assert "test_a_mutation_is_caught" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "NAME= is missing"),
        (["NAME=mynorm"], "KIND= is missing"),
        (["NAME=mynorm", "KIND=norm"], "KIND must be softmax or layernorm, not 'norm'"),
        (["NAME=mynorm", "KIND=softmax", "LANES=4"], "there is no LANES; there are: NAME KIND"),
        *(
            ([f"NAME={name}", "KIND=softmax"], "NAME must have at most 24 lower-case letters")
            for name in ("", "My", "2norm", "my-norm", "norm_", "../norm", "x" * 25)
        ),
        (["NAME=always_ff", "KIND=softmax"], "is a word of SystemVerilog or Python"),
        (["NAME=lambda", "KIND=softmax"], "is a word of SystemVerilog or Python"),
        (["NAME=rexp", "KIND=softmax"], "there is a unit rexp already"),
        (["NAME=common", "KIND=softmax"], "rtl/common is there already"),
        (["NAME=arith", "KIND=softmax"], "models/arith.py is there already"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_it_refuses_bad_words_in_one_line(words, message):
    code, out, err = refused("new-unit", *words)
    assert code == 2
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert out == ""


def test_a_step_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    """The generator stops; every file is as it was."""
    root = Checkout(tmp_path).root
    monkeypatch.setattr(scaffold, "ROOT", root)
    monkeypatch.setattr(scaffold, "_GENERATE", "import sys; sys.exit('error: no generator')")

    def state():
        files = (path for path in root.rglob("*") if path.is_file())
        return {path: path.read_bytes() for path in files if "_cache" not in str(path)}

    before = state()
    with pytest.raises(scaffold.UserError, match=r"nothing is written.*no generator"):
        scaffold.new_unit("mynorm", "softmax")
    assert state() == before
    assert not (root / "rtl/mynorm").exists()


def test_names_of_the_tests_are_free():
    assert not {*NAMES.values()} & {*UNITS}
