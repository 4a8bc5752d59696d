# SPDX-License-Identifier: Apache-2.0
"""Every sentence of the contract and of the units' pages has a row, and the row's names exist."""

import importlib
import re

import pytest

from softnorm.flow.formal.engine import Verdict
from softnorm.flow.pages import kept, sentences
from softnorm.flow.pages.sentences import Row, named, pages, rows
from softnorm.flow.paths import ROOT
from softnorm.flow.regress.testplans import plan_of
from softnorm.tb.stimulus.scenarios import SCENARIOS
from softnorm.units import UNITS
from tests.rtl.test_mutations import MUTATIONS, RULES

ANY = "any"  # on in every run of every scenario
COMMANDS = ("lint", "synth")
RULE_TEST = "stalls"  # the scenario that mutations which break a stream rule run
each_page = pytest.mark.parametrize("name", pages())


def text_of(name):
    return (ROOT / pages()[name]).read_text(encoding="utf-8")


def differences(text, found):
    """Sentences without a row, and rows without a sentence."""
    said = sentences.sentences(text)
    known = [row.says for row in found]
    missing = [f"no row says: {one}" for one in dict.fromkeys(said) if one not in known]
    left = [f"no sentence is: {one}" for one in known if one not in said]
    return missing + left


def test_every_unit_has_rows():
    without = set(UNITS) - set(pages())
    assert not without, f"write testplans/sentences/<unit>.hjson for {without}"


@each_page
def test_every_sentence_has_a_row_and_every_row_its_sentence(name):
    found = differences(text_of(name), rows(name))
    assert not found, f"testplans/sentences/{name}.hjson:\n" + "\n".join(found)


@each_page
def test_rows_are_in_the_pages_order_and_there_once(name):
    said = list(dict.fromkeys(sentences.sentences(text_of(name))))
    assert [row.says for row in rows(name)] == said


def bug_of(name):
    """A planted bug's scenario and a piece of its report; (None, "") for a test of pytest."""
    if "::" in name:
        assert is_test(name), f"there is no test {name}"
        return None, ""
    unit, _, bug = name.partition(": ")
    if bug in RULES.get(unit, {}):
        return RULE_TEST, RULES[unit][bug].report
    assert bug in MUTATIONS.get(unit, {}), f"there is no mutation {name!r}"
    return MUTATIONS[unit][bug].test, MUTATIONS[unit][bug].report


def is_test(name):
    """Whether `file::function` or `file::function[word of the file]` is there."""
    file, _, function = name.partition("::")
    function, _, case = function.rstrip("]").partition("[")
    path = ROOT / file
    if not path.is_file() or case not in path.read_text(encoding="utf-8"):
        return False
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    return callable(getattr(module, function, None))


def is_proved(title, folder=kept.DOCS):
    """Whether docs/proofs.json has a property of that name, proved of each unit and size."""
    found = kept.load(kept.PROOFS, folder).values()
    lines = [line for one in found for line in one.lines if line[0] == title]
    return bool(lines) and all(line[4].startswith(Verdict.PROVED.value) for line in lines)


def test_what_is_not_proved_of_every_unit_is_no_check(tmp_path):
    for results, proved in ((["proved", "proved, k = 2"], True), (["proved", "not proved"], False)):
        lines = [["stream", "", "-", "SAT", result, "1.0"] for result in results]
        kept.put(kept.PROOFS, {"a": kept.new("", [], lines)}, tmp_path)
        assert is_proved("stream", tmp_path) == proved
        assert not is_proved("streams", tmp_path)


# Scenarios of a testpoint in any unit's plan.
PLANNED = {test for unit in UNITS for point in plan_of(unit).testpoints for test in point.tests}


def check_exists(check):
    if check.startswith("tests/"):
        return is_test(check)
    of, _, short = check.partition(": ")
    if of == "proof":
        return is_proved(short)
    planned = of in SCENARIOS and of in PLANNED
    return short in named().checks and (planned or of in (ANY, *COMMANDS))


def sees(check, test, report):
    """Whether a row's check is the one that a bug with that scenario and report makes fail."""
    of, _, short = check.partition(": ")
    if of not in (test, ANY) or "::" in check:
        return False
    reports = [one.replace("{{", "{").replace("}}", "}") for one in named().checks[short].reports]
    return any(report in words or words in report for words in reports)


@each_page
def test_a_promise_names_checks_and_bugs_that_exist(name):
    for row in rows(name):
        if row.nothing:
            assert row.nothing in named().kinds, row
            assert row == Row(row.says, nothing=row.nothing)
            continue
        assert row.checks, f"no check holds: {row.says}"
        assert bool(row.bugs) != bool(row.no_bug), f"a planted bug, or why there is none: {row}"
        for check in row.checks:
            assert check_exists(check), f"there is no check {check!r}: {row.says}"
        for bug in row.bugs:
            test, report = bug_of(bug)
            seen = test is None or any(sees(check, test, report) for check in row.checks)
            assert seen, f"{bug!r} is seen by {test} ({report!r}), which is no check of {row.says}"


@pytest.mark.parametrize("check", named().checks.values(), ids=named().checks)
def test_a_checks_words_are_in_its_file(check):
    text = (ROOT / check.file).read_text(encoding="utf-8")
    assert check.reports
    assert all(words in text for words in check.reports)


def test_every_check_and_kind_is_used():
    every = [row for name in pages() for row in rows(name)]
    assert {row.nothing for row in every if row.nothing} == set(named().kinds)
    short = [check.partition(": ") for row in every for check in row.checks if "::" not in check]
    used = {name for of, _, name in short if of != "proof"}
    assert used == set(named().checks)


# --- what the splitter takes for a sentence, and that a change is seen ----------------------------

PAGE = """# A title

One sentence, i.e. the first (Yu et al. say so). `b` is
the second! 3 is no end at 1.5 or 0 .. 2.

<!-- begin made: x -->
Made.
<!-- end made -->

| head | of a table |
|---|---|
| a | b. C |

- **An item.** Goes on.
1. Another

![a picture](x.svg)

```
a = b
    + c
```

```sh
make test
```

## Mutations

| `one` |
"""


def test_what_a_sentence_is():
    assert sentences.sentences(PAGE) == [
        "One sentence, i.e. the first (Yu et al. say so).",
        "`b` is the second!",
        "3 is no end at 1.5 or 0 .. 2.",
        "| a | b. C |",
        "**An item.**",
        "Goes on.",
        "Another",
        "a = b",
        "+ c",
    ]


@pytest.mark.parametrize(
    ("change", "report"),
    [
        (("Goes on.", "Goes on.\n"), None),
        (("Goes on.", "Goes far."), "no row says: Goes far."),
        (("Goes on.", ""), "no sentence is: Goes on."),
        (("+ c", "- c"), "no row says: - c"),
        (("| b. C |", "| b. D |"), "no row says: | a | b. D |"),
    ],
)
def test_a_changed_sentence_is_seen(change, report):
    found = differences(PAGE.replace(*change), [Row(one) for one in sentences.sentences(PAGE)])
    assert (report in found) if report else not found


def test_a_row_needs_the_check_that_its_bug_makes_fail():
    assert sees("errors: flags", "errors", "tuser {err_keep, err_len, exponent}: expected")
    assert not sees("stalls: flags", "errors", "tuser {err_keep, err_len, exponent}: expected")
    assert not sees("errors: keep", "errors", "tuser {err_keep, err_len, exponent}: expected")


@pytest.mark.parametrize(
    "name",
    ["tests/docs/test_sentences.py::test_nothing", "tests/x.py::test_is", "tests/docs::test_is"],
)
def test_a_test_that_is_not_there_is_seen(name):
    assert not is_test(name)


def test_a_check_that_is_not_there_is_seen():
    assert check_exists("errors: data")
    for check in ("errors: colour", "storms: data", "data", "any: ", "proof: nothing"):
        assert not check_exists(check)


def test_the_page_counts_what_has_no_bug():
    left = sum(row.promises and not row.bugs for name in pages() for row in rows(name))
    page = (ROOT / "docs/evidence.md").read_text(encoding="utf-8")
    assert int(re.search(r"Promises without a planted bug: (\d+)\.", page)[1]) == left
