# SPDX-License-Identifier: Apache-2.0
"""Every number of a page is made of what was measured, held by a test, or excepted with a reason.

docs/numbers.hjson has the numbers that are not made: which test holds them, or why none has to.
"""

from __future__ import annotations

import fnmatch
import functools
import importlib
import json
import re
import shutil

import hjson
import pytest

from softnorm.flow.dashboard import kept as dashboard
from softnorm.flow.errors import UserError
from softnorm.flow.networks import digits, minilm
from softnorm.flow.pages import kept, made, markers
from softnorm.flow.paths import ROOT
from softnorm.flow.ppa import sources
from softnorm.flow.sim import simulate
from softnorm.models.arith import MAX_LEN_LIMIT
from softnorm.tb.bulk import beats
from tests.test_commands import refused

PAGES = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]
NUMBER = re.compile(r"(?<![\w.])(?:\d[\d,]*\d|\d)(?:\.\d+)?(?:e[-+]?\d+)?(?!\w)")
# Of a section that is excepted whole, lines with these words are not: they may be measured.
MEASURED = re.compile(
    r"\b(?:latency|gates|flip-flops|um2|MHz|pJ|bytes|errors?(?! flags))\b"
    r"|bits in all|per element\b|\d %|\d times\b"
)


@functools.cache
def exceptions():
    """The lines of docs/numbers.hjson: page, reason or test, and a pattern or a section."""
    return hjson.loads((ROOT / "docs/numbers.hjson").read_text(encoding="utf-8"))["numbers"]


def blanked(text, pattern, flags=0):
    """The text with what matches turned into spaces."""
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=flags)


@functools.cache
def prose(text):
    """A page's sentences and tables: no code, no link's target, no list's number, nothing made."""
    text = markers.without_made(text)
    text = blanked(text, r"^```.*?^```$", re.M | re.S)
    text = blanked(text, r"`[^`]+`|\]\([^)]*\)|https?://\S+|<!--.*?-->", re.S)
    return blanked(text, r"^(?:#+| *) *\d+\. ", re.M)


def sections(text):
    """(title, start, end) of each heading's part, up to the next heading of any level."""
    heads = [*re.finditer(r"^#+ (.+)$", text, re.M)]
    ends = [*(head.start() for head in heads[1:]), len(text)]
    return [(head[1], head.start(), end) for head, end in zip(heads, ends, strict=True)]


def covered(page, text, entry):
    """Places of a page's text that an exception is for."""
    if not fnmatch.fnmatch(page, entry["page"]):
        return []
    if "pattern" in entry:
        pattern = entry["pattern"].replace(" ", r"\s+")
        return [match.span() for match in re.finditer(pattern, prose(text), re.M)]
    places = []
    for title, start, end in sections(text):
        if fnmatch.fnmatch(title, entry["section"]):
            at = start
            for line in prose(text)[start:end].splitlines(keepends=True):
                if not MEASURED.search(line):
                    places.append((at, at + len(line)))
                at += len(line)
    return places


def uncovered(page, text):
    """Numbers of a page that nothing accounts for, each with its line."""
    places = [place for entry in exceptions() for place in covered(page, text, entry)]
    found = []
    for match in NUMBER.finditer(prose(text)):
        if not any(start <= match.start() and match.end() <= end for start, end in places):
            line = text.count("\n", 0, match.start())
            found.append(f"{page}:{line + 1}: {match[0]}: {text.splitlines()[line][:120]}")
    return found


@functools.cache
def shipped():
    """What stands in the pages: path -> text."""
    return made.files()


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


# --- the pages ------------------------------------------------------------------------------------


def test_what_is_made_is_in_the_pages():
    for path, text in shipped().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run make generate"


@pytest.mark.parametrize("page", PAGES)
def test_every_number_has_a_source(page):
    found = uncovered(page, read(page))
    assert not found, (
        "measure them, test them, or say why not in docs/numbers.hjson:\n" + "\n".join(found)
    )


@pytest.mark.parametrize("entry", exceptions(), ids=lambda entry: str(dict(entry))[:90])
def test_every_exception_is_used_and_has_its_reason(entry):
    assert any(covered(page, read(page), entry) for page in PAGES), "it is for no number"
    assert ("pattern" in entry) != ("section" in entry)
    assert ("reason" in entry) != ("test" in entry)
    if "test" in entry:
        file, _, name = entry["test"].partition("::")
        module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
        assert callable(getattr(module, name))


def constant(file, name):
    """A number that a file of the code gives a name: as text, since torch may not be here."""
    return int(float(re.search(rf"^ *{name}(?:: \w+)? = ([\de]+)", read(file), re.M)[1]))


def test_constants_of_the_code():
    """What pages say of limits and sizes, and where the code has them."""
    images = [len(digits.load_digits(part)) for part in digits.SPLIT]
    vit = (digits.LAYERS, digits.WIDTH, digits.HEADS, digits.TOKENS)
    e2softmax = made.UNITS["e2softmax"]
    latency = e2softmax.latency(e2softmax.resolve({"LANES": 8}))
    calibration = "flow/calibration/fit.py"
    said = [
        ("networks", r"(\d+) layers, d = (\d+), (\d+) heads, (\d+) tokens", vit),
        ("networks", r"(\d+) images to train it, (\d+) to choose the step, (\d+) to test", images),
        (
            "networks",
            r"(\d+) layers, (\d+) heads, width (\d+)",
            (minilm.LAYERS, minilm.HEADS, minilm.WIDTH),
        ),
        ("pytorch", r"on (\d+) queries", [constant(calibration, "QUERIES")]),
        ("pytorch", r"is (\d+) below", [constant(calibration, "MASKED")]),
        ("pytorch", r"on (\d+) rows, as in", [constant(calibration, "ROWS")]),
        ("pytorch", r"fewer than (\d+) rows", [constant(calibration, "FEWEST")]),
        ("pytorch", r"longer than (\d+) need", [e2softmax.defaults["MAX_LEN"]]),
        ("verification", r"hangs \((\d+) minutes\)", [simulate.TIME_LIMIT // 60]),
        ("verification", r"after (\d+) pauses", [beats._PAIRS]),
        ("verification", r"files of up to (\d+) MiB", [dashboard.LARGEST >> 20]),
        ("verification", r"signals wider than (\d+) bits", [256]),  # Verilator's own limit
        (
            "verification",
            r"MAX_LEN (\d+) is simulated in bulk alone",
            [MAX_LEN_LIMIT],
        ),
        ("verification", r"configurations of (\d+) lanes and more", [16]),
        ("bench", r"for (\d+) rows than for one", [constant("tb/uvm/scoreboard.py", "BATCH")]),
        ("stream", r"where E2Softmax's latency is (\d+)\.", latency),
        ("stream", r"starts at 21 = 11 \+ (\d+)", latency),
    ]
    for page, pattern, values in said:
        text = read(f"docs/{page}.md")
        assert re.search(pattern.replace(" ", r"\s+"), text).groups() == tuple(map(str, values)), (
            pattern
        )
    assert 'parameters["LANES"] >= 16' in read("tests/rtl/test_rtl.py")
    assert re.search(r"MAX_LEN > 65536", read("rtl/e2softmax/e2softmax.sv"))


# --- changes show ---------------------------------------------------------------------------------


@pytest.fixture
def copied(tmp_path):
    """A copy of the figures."""
    for path in (ROOT / "docs").glob("*.json"):
        shutil.copy(path, tmp_path)
    return tmp_path


def replaced(path, was, now):
    text = path.read_text(encoding="utf-8")
    assert was in text
    path.write_text(text.replace(was, now, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "page"),
    [
        (kept.NETWORKS, "docs/networks.md"),
        (kept.SYNTH, "docs/units.md"),
        (kept.FIGURES, "README.md"),
        ("accuracy.json", "README.md"),
        ("ppa.json", "README.md"),
    ],
)
def test_a_changed_figure_changes_its_page(file, page, copied):
    was, now = {
        kept.NETWORKS: ('"585/597"', '"584/597"'),
        kept.SYNTH: ('"gates": ', '"gates": 9'),
        kept.FIGURES: ('"elements": ', '"elements": 9'),
        "accuracy.json": ('"mean_abs_error": 0.', '"mean_abs_error": 0.9'),
        "ppa.json": ('"MAX_LEN": 1024, "DIV_BITS": 1, "EXP_FRAC": 0}, "logic": ', "\\g<0>9"),
    }[file]
    if file == "ppa.json":
        text = (copied / file).read_text(encoding="utf-8")
        changed, count = re.subn(f'"LANES": 32, {re.escape(was)}', now, text)
        assert count == 1
        (copied / file).write_text(changed, encoding="utf-8")
    else:
        replaced(copied / file, was, now)
    assert made.filled(read(page), copied) != shipped()[ROOT / page]


def test_figures_of_other_sources_are_said_to_be_older(copied):
    [by] = [by for by in kept.load(kept.NETWORKS) if by.endswith("NETWORK=digits")]
    current = kept.load(kept.NETWORKS)[by].sources
    replaced(copied / kept.NETWORKS, f'"sources": "{current}"', '"sources": "0123456789abcdef"')
    block = made.Made(copied).block("digits")
    assert f"`{by}`" in block
    assert made.SINCE in block
    assert made.OLDER in made.Made(copied).number("digits: float + float: correct")


UNIT = made.UNITS["e2softmax"]
HASHES = {
    "network": lambda: kept.of_network("digits"),
    "rtl": lambda: kept.of_network("digits", [UNIT]),
    "gates": lambda: kept.of_gates(UNIT),
    "simulation": lambda: kept.of_simulation(UNIT),
    "bulk": lambda: kept.of_bulk([UNIT]),
}


@pytest.mark.parametrize(
    ("changed", "sees"),
    [
        ("what the models give", {"network", "rtl", "simulation"}),
        ("ptf.py", {"network", "rtl"}),
        ("stand_in.py", {"network", "rtl"}),
        ("e2softmax.sv", {"rtl", "gates", "simulation", "bulk"}),
        ("synth.py", {"gates"}),
        ("scenarios.py", {"simulation"}),
        ("harness.cpp", {"bulk"}),
    ],
)
def test_the_hash_is_of_what_a_figure_depends_on(changed, sees, monkeypatch):
    before = {name: of() for name, of in HASHES.items()}
    known = sources._code
    monkeypatch.setattr(
        sources, "_code", lambda path: "other" if path.name == changed else known(path)
    )
    if changed == "what the models give":
        monkeypatch.setattr(kept, "models", lambda: "other")
    assert {name for name, of in HASHES.items() if of() != before[name]} == sees


# --- the mechanism --------------------------------------------------------------------------------

PAGE = "# T\n\nA <!--=x: y-->1<!----> here.\n\n<!-- begin made: t -->\nold 7\n<!-- end made -->\n"


def test_markers_are_filled():
    page = markers.filled(PAGE, lambda name: f"block {name}\n", lambda name: f"2 of {name}")
    assert "A <!--=x: y-->2 of x: y<!----> here." in page
    assert "<!-- begin made: t -->\nblock t\n<!-- end made -->" in page
    assert markers.filled(page, lambda _: "block t", lambda _: "2 of x: y") == page


@pytest.mark.parametrize(
    "text",
    [
        "<!-- begin made: t -->\nno end\n",
        "no begin\n<!-- end made -->\n",
        "a number <!--=x-->1 without its end\n",
        "first in\n<!--=x-->1<!----> its line\n",
    ],
)
def test_a_wrong_marker_is_refused(text):
    with pytest.raises(UserError, match="marker"):
        markers.filled(text, lambda _: "", lambda _: "")


@pytest.mark.parametrize("name", ["digits: no such fact", "digits: float + float: no", "no: table"])
def test_a_name_that_nothing_makes_is_refused(name):
    with pytest.raises(UserError, match="there is no"):
        made.Made().number(name)
    with pytest.raises(UserError, match="nothing makes"):
        made.Made().block(name)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("it takes 12.06 bits, 1,379 pairs and 2.8e-7", ["12.06", "1,379", "2.8e-7"]),
        ("| a | 13647 | 0.5 % |", ["13647", "0.5"]),
        ("`LANES=8` in int8, 2D-LUT, W8A8, [7](a8.md#9), https://x.y/1 ", ["7"]),
        ("1. first\n2. second", []),
        ("```\n12\n```\n13", ["13"]),
        (PAGE, []),
    ],
)
def test_numbers_are_found(text, found):
    assert NUMBER.findall(prose(text)) == found


def test_what_was_measured_is_kept(tmp_path):
    one = kept.new("0" * 16, ["a", "b"], [[1, "2"]], {"pairs": 3})
    kept.put("x.json", {"make x": one}, tmp_path)
    kept.put("x.json", {"make y": kept.new("1" * 16, facts={"n": 1})}, tmp_path)
    assert kept.load("x.json", tmp_path)["make x"] == one
    assert list(json.loads((tmp_path / "x.json").read_text())) == ["make x", "make y"]
    assert one.row("1") == {"a": "1", "b": "2"}
    with pytest.raises(UserError, match="no line"):
        one.row("2")
    assert kept.load("y.json", tmp_path) == {}
    (tmp_path / "z.json").write_text("[")
    with pytest.raises(UserError, match="cannot read"):
        kept.load("z.json", tmp_path)


def test_a_commands_key_is_the_command_without_places():
    given = {"NETWORK": "minilm", "STSB": "/a/sts.tsv", "ONLY": "A, b", "OUT": "docs"}
    assert kept.command("accuracy", given) == (
        "make accuracy NETWORK=minilm STSB=sts.tsv ONLY='A, b'"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["SEED=1"], "figures takes UNIT=<unit> and OUT=<folder>"),
        (["UNIT=softmin"], "no unit 'softmin'"),
    ],
)
def test_bad_words_are_one_line(words, message):
    code, _, err = refused("figures", *words)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
