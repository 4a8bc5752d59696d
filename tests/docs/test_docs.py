# SPDX-License-Identifier: Apache-2.0
"""Documentation: names exist, examples run, constants are right."""

import contextlib
import functools
import importlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from softnorm.flow import tools
from softnorm.flow.errors import UserError
from softnorm.flow.networks import advice
from softnorm.flow.paths import ROOT
from softnorm.flow.sim.report import table_bytes
from softnorm.flow.static import generate, site
from softnorm.models import vectors
from softnorm.models.e2softmax import E2Softmax, div_table
from softnorm.tb.check.contract import StreamShape
from softnorm.tb.check.coverage import StreamCoverage
from softnorm.tb.stimulus.scenarios import SCENARIOS
from softnorm.tb.stimulus.values import RowMaker, batch
from softnorm.units import ROW_UNITS, UNITS
from softnorm.units.unit import ParameterError, Setting
from tests.docs.shown import blocks, read
from tests.rtl.test_mutations import MUTATIONS
from tests.test_commands import command, refused

E2SOFTMAX = UNITS["e2softmax"]
EXAMPLE = "mynorm"  # the unit that docs/walkthrough.md makes
ALL_LANES = (1, 2, 4, 8, 16, 32, 64)
ALL_DIV_BITS = (1, 2, 3, 4)


@functools.cache
def repository():
    """Files in the repository, and new ones that git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return None
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted({name for name in listed.split("\0") if (ROOT / name).is_file()})


PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "data/README.md"]
PAGES += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
pages = pytest.mark.parametrize("page", PAGES)
each_unit = pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
each_row_unit = pytest.mark.parametrize("unit", ROW_UNITS.values(), ids=ROW_UNITS)
each_unit = pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)


def page_of(unit):
    """The page that fixes a unit to the last bit."""
    return f"docs/units/{unit.name}.md"


def section(page, title):
    """What stands below a heading, up to the next one."""
    return re.search(rf"^#+ {re.escape(title)}$(.*?)(?=^#+ |\Z)", read(page), re.M | re.S)[1]


def inline(text):
    """Words in backticks."""
    return re.findall(r"`([^`\n]+)`", text)


def code(page):
    """All code of a page: words in backticks, and blocks."""
    fenced = re.findall(r"^```\w*\n(.*?)^```$", read(page), re.M | re.S)
    return [*fenced, *inline(re.sub(r"^```.*?^```$", "", read(page), flags=re.M | re.S))]


# --- names ----------------------------------------------------------------------------------------


def targets():
    commands = re.search(r"^COMMANDS := (.+)$", read("Makefile"), re.M)[1].split()
    return {*commands, "help", "clean"}


def test_makefile_and_its_help_name_the_same_targets():
    shown = re.findall(r"echo 'make ([\w-]+)", read("Makefile"))
    assert {*shown, "help"} == targets()


def script(name):
    """The name of a command's script."""
    return name.replace("-", "_")


@pytest.mark.parametrize("name", sorted(targets() - {"help", "clean"}))
def test_every_command_has_a_script(name):
    assert (ROOT / f"scripts/{script(name)}.py").is_file()


@pages
def test_make_targets_exist(page):
    named = {name for text in code(page) for name in re.findall(r"\bmake ([a-z][a-z-]*)", text)}
    assert named <= targets()


def test_every_command_is_listed():
    listed = re.findall(r"^\| \[`make ([\w-]+)`\]\(#[\w-]+\) \|", read("docs/commands.md"), re.M)
    assert sorted(listed) == sorted(targets())


@pytest.mark.parametrize("name", sorted(targets() - {"help", "clean"}))
def test_a_commands_words_are_those_of_its_help(name):
    """All words but a unit's parameters, in the first column of the command's table."""
    code, told, _ = refused(script(name), "--help")
    assert code == 0
    words = re.findall(r"\b([A-Z][A-Z_]*)=", told.replace("NAME=VALUE", ""))
    words += [word.upper() for word in re.findall(r"--([a-z]+)\b", told) if word != "help"]
    others = {"LANES", "MAX_LEN", "CI", "SOFTNORM_FORGE"}
    cells = "\n".join(re.findall(r"^\| (`.+?) \|", section("docs/commands.md", name), re.M))
    assert set(re.findall(r"`([A-Z_]+)=", cells)) == set(words) - others


@pages
def test_words_of_shown_commands_exist(page):
    """Those of each line of a shell block that starts with `make`."""
    for line in re.findall(r"^make ([\w-]+ .+)$", "".join(blocks(page, "sh")), re.M):
        name, *given = shlex.split(line, comments=True)
        cells = section("docs/commands.md", name) if given else ""
        for word in given:
            title = word.partition("=")[0]
            known = title in parameter_names() or f"`{title}=" in cells
            assert known, f"{page}: make {line}"


@pages
def test_paths_exist(page):
    folders = "rtl|models|tb|flow|scripts|tests|testplans|regression|data|docs"
    for text in code(page):
        for path in re.findall(rf"(?<![\w/.])(?:{folders})/[\w./]*\w(?![\w*<])", text):
            assert (ROOT / path).exists() or EXAMPLE in path, f"{page} names {path}"


@pages
def test_scenarios_units_and_parameters_exist(page):
    parameters = parameter_names()
    for text in code(page):
        for name, value in re.findall(r"\b([A-Z][A-Z_]*)=([\w.<]+)", text):
            if value.startswith(("<", ".")):
                continue  # a place to fill in
            if name == "TEST":
                assert value in SCENARIOS, f"{page}: TEST={value}"
            elif name == "UNIT":
                assert value in (*UNITS, EXAMPLE), f"{page}: UNIT={value}"
            elif name in parameters:
                assert any(takes(unit, name, value) for unit in UNITS.values()), f"{page}: {name}"
    for name in re.findall(r"[Ss]cenarios? ((?:`\w+`(?:, | and )?)+)", read(page)):
        assert set(inline(name)) <= set(SCENARIOS), f"{page}: {name}"


def parameter_names():
    return {name for u in UNITS.values() for name in (*u.defaults, *u.features)}


def takes(unit, name, value):
    """Whether a unit has a parameter and takes a value for it."""
    try:
        unit.resolve({"MAX_LEN": 4096, **unit.parse({name: value})})
    except ParameterError:
        return False
    return True


@pages
def test_relative_links_resolve(page):
    for target in re.findall(r"\[[^][]*\]\(([^)\s]+)\)", read(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.resolve().exists(), f"{page} links {target}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.M)
            anchors = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}
            assert anchor in anchors, f"{page} links {target}"


@each_unit
def test_mutations_are_listed(unit):
    table = section(page_of(unit), "Mutations")
    listed = inline("\n".join(re.findall(r"^\| .+$", table, re.M)))
    assert sorted(listed) == sorted(MUTATIONS[unit.name])


def test_tests_of_each_night_are_listed(pytestconfig):
    """Those of the files that this run has collected; and what is listed is there."""
    table = section("docs/verification.md", "Tests of each night")
    cells = "\n".join(re.findall(r"^\| ([^|]+) \|", table, re.M))
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if path.name in cells]
    whole = {path.name for path in files}
    listed = {name for name in inline(cells) if name.startswith("test_")}
    for one in pytestconfig.slow_tests:
        file, name = one.split("::")
        assert name in listed or file in whole, f"docs/verification.md does not list {name}"
    text = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert all(f"def {name}(" in text for name in listed)


def points(page, title):
    """A table of coverage points: group -> its points."""
    lines = re.findall(r"^\| (\w+) \| (`.+) \|$", section(page, title), re.M)
    return {group: inline(listed) for group, listed in lines}


def grouped(coverage):
    groups = {}
    for name, point in coverage.points.items():
        groups.setdefault(point.group, []).append(name)
    return groups


@each_unit
def test_a_units_coverage_points_are_listed(unit):
    assert points(page_of(unit), "Coverage") == grouped(unit.coverage(unit.defaults))


def test_the_streams_coverage_points_are_listed():
    shape, settings = StreamShape.of(E2SOFTMAX, E2SOFTMAX.defaults), (Setting("<setting>", "", ""),)
    wanted = grouped(StreamCoverage(shape, settings).coverage)
    cell = UNITS["residual_add"]
    two = grouped(StreamCoverage(StreamShape.of(cell, cell.defaults), ()).coverage)
    listed = points("docs/verification.md", "Functional coverage")
    assert listed == wanted | {"join": two["join"]}


def test_units_are_listed():
    linked = re.findall(r"^\| \[[^]]+\]\(units/(\w+)\.md\)", read("docs/units.md"), re.M)
    assert sorted(linked) == sorted(UNITS)


# --- examples -------------------------------------------------------------------------------------


def run_examples(page):
    """Run a page's Python one block after the other, as a reader types them: what each prints.

    What a block prints is the text that stands right behind it, if one does.
    """
    names, told = {}, []
    shown = r"^```python\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?"
    for example, text in re.findall(shown, read(page), re.M | re.S):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(example, names)
        told.append(out.getvalue())
        assert text in ("", told[-1])
    return told


def test_python_examples_print_what_they_say():
    if tools.icarus() is None:
        pytest.skip("Icarus Verilog is not installed")
    _, files, rtl, _ = run_examples("docs/python.md")
    assert files.splitlines() == [Path(file).name for file in E2SOFTMAX.rtl]
    assert rtl.startswith("True ")


def test_values_of_every_unit_are_what_the_page_says(tmp_path, monkeypatch):
    """From floats through the RTL and back; its asserts compare with the models."""
    monkeypatch.chdir(tmp_path)
    if tools.icarus() is None:
        pytest.skip("Icarus Verilog is not installed")
    told = "".join(run_examples("docs/values.md"))
    assert told.count("real [") == len(ROW_UNITS)
    for name in ROW_UNITS:
        assert f'("{name}"' in read("docs/values.md")


def test_another_print_than_the_pages_is_seen(monkeypatch):
    page = "```python\nprint(1)\n```\n\n```text\n2\n```\n"
    monkeypatch.setattr(sys.modules[__name__], "read", lambda name: page)
    with pytest.raises(AssertionError):
        run_examples("docs/values.md")


@each_row_unit
def test_the_formula_of_an_output_gives_its_real_value(unit):
    """As a reader types it, of a model's outputs and of the RTL's, dtypes and all."""
    output = re.search(r"^\| output \| .*?real value `(.+?)`", read(page_of(unit)), re.M)[1]
    words = output.replace("2^", "2.0 ** ").replace("exponent", "exponent[:, None]")
    parameters = unit.resolve({"LANES": 4, "MAX_LEN": 64})
    make = RowMaker(np.random.default_rng(1), unit, parameters)
    rows = batch(unit, parameters, [make.row(mask="none") for _ in range(8)])
    outputs = unit.predict(parameters, rows)
    assert outputs.out.any()
    step = 2.0**-3 if "ofrac" in words else None
    given = {"P": 2 ** parameters.get("W", 8) - 1, "ofrac": 3}
    typed = eval(words, given, {"out": outputs.out, "exponent": outputs.exponent})
    assert (typed == unit.to_real(parameters, outputs, step)).all()
    with pytest.raises(ValueError, match=r"give step|give no step"):
        unit.to_real(parameters, outputs, None if step else 1.0)


def test_the_readmes_formula_gives_an_outputs_real_value():
    [formula] = re.findall(r"An output's real value is\s+`(.+?)`", read("README.md"))
    out = E2Softmax()(np.full((2, 3), 7, np.int8), frac=4, fmt=np.array([0, 1]))
    words, exponent = formula.replace("2^", "2.0 ** "), out.exponent[:, None]
    assert exponent.any()
    assert (eval(words, {"byte": out.out, "exponent": exponent}) == out.to_real()).all()
    # Unsigned, -(8 + exponent) would be 248.
    typed = eval(words, {"byte": out.out, "exponent": exponent.astype(np.uint8)})
    assert (typed > 1).any()


@pytest.mark.parametrize("number", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_quick_start_prints_what_it_says(number):
    """`...` stands for lines that are left out."""
    shown = [block.splitlines() for block in blocks("README.md", "text")]
    runs = [shlex.split(line) for line in re.findall(r"^make (.+)$", read("README.md"), re.M)]
    assert len(shown) == len(runs) == 2
    name, *words = runs[number]
    code, out, _ = command(name, *words)
    assert code == 0
    given = iter([line.split() for line in out.splitlines()])
    for line in shown[number]:
        assert line == "..." or line.split() in given, line  # in this order


@pytest.mark.parametrize("page", ["README.md", *map(page_of, UNITS.values())])
def test_instantiation_template_has_the_ports_and_parameters_of_the_rtl(page):
    templates = blocks(page, "systemverilog")
    if page == page_of(E2SOFTMAX):
        assert not templates  # it stands in the README
        return
    [template] = templates
    unit = UNITS[re.match(r"(\w+) #\(", template)[1]]
    rtl = read(f"rtl/{unit.rtl[-1]}")
    header = rtl[rtl.index(f"module {unit.name} ") : rtl.index(");")]
    ports = re.findall(r"^ +(?:input|output) .*?(\w+)(?:,|\n| *//)", header, re.M)
    parameters = re.findall(r"^ +parameter +int (\w+)", header, re.M)
    assert re.findall(r"^ +\.(\w+)", template, re.M) == parameters + ports
    given = {name: int(value) for name, value in re.findall(r"\.([A-Z_]+) *\((-?\d+)\)", template)}
    recommended = {}
    if page == "README.md":  # the one to take, tests/docs/test_reach.py says why
        recommended = unit.parse(dict(re.findall(r"([A-Z_]+)=(\d+)", advice.RECOMMENDED)))
    assert given == unit.rtl_parameters({**unit.defaults, **unit.features, **recommended})


def test_vector_examples_write_files_that_can_be_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tensors, conformance = blocks("docs/vectors.md", "python")
    exec(tensors, {})
    rows = vectors.load("my.npz")
    assert rows.unit in UNITS
    assert rows.out is None
    exec(conformance, {})
    given = vectors.load("my_vectors.npz")
    result = E2Softmax(**given.parameters)(given.x, given.mask, **given.run_settings)
    assert (result.out == given.out).all()
    assert (result.exponent == given.exponent).all()


# --- constants ------------------------------------------------------------------------------------


@each_unit
def test_latency_in_the_rtls_header(unit):
    """The formula in the header, for a row of one beat."""
    header = read(f"rtl/{unit.rtl[-1]}")
    formula = re.search(r"LATENCY = ([\dTB +]+) clocks", header)[1]
    assert ("T" not in formula) or "T = floor(clog2(LANES) / 3)" in header
    for lanes in ALL_LANES:
        tree = (lanes.bit_length() - 1) // 3
        value = eval(re.sub(r"(\d) T", r"\1 * T", formula), {"T": tree, "B": 1})
        assert sum(unit.latency(unit.resolve({"LANES": lanes}))) == value, lanes


@each_unit
def test_latency_in_the_documentation(unit):
    table = section(page_of(unit), "Implementation")
    lanes = re.search(r"^\| LANES \| (.+) \|$", table, re.M)[1].split(" | ")
    latency = re.search(r"^\| latency \| (.+) \|$", table, re.M)[1].split(" | ")
    assert tuple(map(int, lanes)) == ALL_LANES
    for n, clocks in zip(lanes, latency, strict=True):
        passes = unit.latency(unit.resolve({"LANES": int(n)}))
        assert " + ".join(map(str, passes)) == clocks


@each_unit
def test_clock_of_err_len_in_the_rtls_header_and_in_the_documentation(unit):
    """A unit that says nothing has its pulse right after the beat (docs/stream.md)."""
    header = re.search(r"ERR_LEN = (\d) \+ T clocks", read(f"rtl/{unit.rtl[-1]}"))
    page = re.search(r"^\| err_len_o \| (.+) \|$", section(page_of(unit), "Implementation"), re.M)
    assert (header is None) == (page is None)
    for at, lanes in enumerate(ALL_LANES):
        delay = unit.err_len_delay(unit.resolve({"LANES": lanes}))
        tree = (lanes.bit_length() - 1) // 3
        assert delay == (int(header[1]) + tree if header else 1)
        assert page is None or int(page[1].split(" | ")[at]) == delay


@each_row_unit
def test_storage_in_the_documentation(unit):
    text = " ".join(section(page_of(unit), "Implementation").split())
    said = re.search(
        r"At the defaults: ([\dx, ]+); (\d+) bits in all, (\d+) for a row of 1024: ([\d.]+) per "
        r"element",
        text,
    )
    storage = unit.storage(unit.defaults).values()
    assert said[1] == ", ".join(f"{words} x {bits}" for words, bits in storage)
    assert int(said[2]) == sum(words * bits for words, bits in storage)
    assert int(said[3]) == unit.row_bits(unit.defaults)
    assert said[4] == f"{unit.row_bits(unit.defaults) / 1024:.2f}"


@pytest.mark.parametrize(
    ("name", "said", "parameters"),
    [
        ("ailayernorm", r"Tables: (\d+) bytes", {}),
        ("nnlut_layernorm", r"Tables: (\d+) bytes", {}),
        ("lut2d", r": (\d+) bytes at W = 8", {"W": 8}),
        ("rexp", r"at W = 8 it is (\d+) bytes for XS = 16", {"W": 8, "XS": 16}),
        ("rexp", r"and (\d+) for XS = 256", {"W": 8, "XS": 256}),
    ],
)
def test_bytes_of_tables_in_the_documentation(name, said, parameters):
    unit = UNITS[name]
    text = " ".join(read(page_of(unit)).split())
    assert int(re.search(said, text)[1]) == table_bytes(unit, unit.resolve(parameters))


@pytest.mark.parametrize("div_bits", ALL_DIV_BITS)
def test_divider_constants_in_the_documentation(div_bits):
    want = div_table(div_bits).tolist()
    lines = re.findall(
        r"^\| (\d) \| ([\d, ]+) \|$",
        section("docs/units/e2softmax.md", "The divider's constants"),
        re.M,
    )
    assert {int(bits): list(map(int, row.split(", "))) for bits, row in lines}[div_bits] == want
    assert len(lines) == len(ALL_DIV_BITS)


# --- the site -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "written", "want"),
    [
        ("index.md", "[a](docs/stream.md#ports)", "[a](stream.md#ports)"),
        ("index.md", "![a](docs/accuracy.svg)", "![a](accuracy.svg)"),
        ("index.md", "[a](data/README.md)", "[a](data.md)"),
        ("index.md", "[a](https://host/x)", "[a](https://host/x)"),
        ("index.md", "[a](docs/nothing.md)", "[a](docs/nothing.md)"),
        ("index.md", "[a](LICENSE)", "a"),
        ("data.md", "[a](../docs/units.md)", "[a](units.md)"),
        ("units/rexp.md", "[a](../../data/README.md)", "[a](../data.md)"),
        ("units/rexp.md", "[a](lut2d.md), [b](#c)", "[a](lut2d.md), [b](#c)"),
        ("stream.md", "[a](../rtl/common)", "a"),
    ],
)
def test_links_of_the_site(page, written, want):
    assert site.relinked(written, page) == want


def test_links_of_the_site_lead_to_the_forge():
    forge = "https://host/me/softnorm/blob/main"
    assert site.relinked("[a](../rtl/common)", "stream.md", forge) == f"[a]({forge}/rtl/common)"


def test_the_site_has_every_page_in_its_navigation():
    listed = re.findall(r"^ +- (?:[^:\n]+: )?([\w/]+\.md)$", read("mkdocs.yml"), re.M)
    assert sorted(listed) == sorted(site.in_site(page) for page in PAGES)


def test_the_site_takes_nothing_from_the_network():
    pytest.importorskip("material", reason="the extra docs is not installed")
    code, out, err = command("site")
    assert code == 0, out + err
    folder = ROOT / "build/site"
    for page in folder.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|img|iframe)[^>]* src=\"?(https?:[^\" >]+)", text)
        fetched += re.findall(r"<link[^>]* href=\"?(https?:[^\" >]+)", text)
        assert not fetched, page
    assert "AILayerNorm" in (folder / "search/search_index.json").read_text(encoding="utf-8")


# --- the repository -------------------------------------------------------------------------------


def test_one_version():
    cited = re.search(r"^version: (.+)$", read("CITATION.cff"), re.M)[1]
    assert cited == generate.version()


def test_a_missing_torch_is_said(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("softnorm.flow.pytorch")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError, match=r"torch is not installed; run: .* -e '\.\[torch\]'"):
        importlib.import_module("softnorm.flow.pytorch")


KNOW_UNITS = (
    "flow/capture",
    "flow/bench",
    "flow/networks/advice",
    "flow/networks/flash",
    "flow/networks/minilm",
    "flow/onnx/evaluation",  # what any 8-bit hardware loses
    "flow/pages/builds",
    "flow/pages/made",
    "flow/pytorch/fast",
    "flow/pytorch/speed",
    "tb/sv/sn_back_checker",  # is bound inside a unit
)  # what they are for


def test_the_bench_and_the_flow_know_no_unit_by_name():
    # A cell has the name of what it does: `.quantise(`, `models/quantise.py` are others.
    names = re.compile(rf"(?<!\.|/)(?<!def )\b({'|'.join(UNITS)})\b(?!\()")
    for path in [*(ROOT / "tb").rglob("*.*"), *(ROOT / "flow").rglob("*.py")]:
        place = str(path.relative_to(ROOT))
        if path.suffix in (".py", ".sv") and not place.startswith(KNOW_UNITS):
            assert not names.search(path.read_text(encoding="utf-8")), place


def test_no_file_names_a_place_outside_the_repository():
    if repository() is None:
        pytest.skip("not a git checkout")
    foreign = [f"/{name}/".encode() for name in ("work",)] + ["/".join(("shared", "spec")).encode()]
    for name in repository():
        content = (ROOT / name).read_bytes()
        for text in foreign:
            assert text not in content, f"{name} contains {text.decode()}"


def test_every_source_names_its_licence():
    """In its first line, or behind the shebang."""
    if repository() is None:
        pytest.skip("not a git checkout")
    marks = {".py": "#", ".sv": "//", ".v": "//", ".cpp": "//", ".h": "//", "": "#"}
    sources = [
        name
        for name in repository()
        if name == "Makefile" or name.startswith(".ci/") or Path(name).suffix in marks.keys() - {""}
    ]
    assert len(sources) > 2
    for name in sources:
        lines = [line for line in read(name).split("\n") if not line.startswith("#!")]
        mark = marks[Path(name).suffix]
        assert lines[0] == f"{mark} SPDX-License-Identifier: Apache-2.0", name


def test_findings_can_be_run_and_are_listed():
    scripts = {path.name for path in (ROOT / "findings").glob("*.sh")}
    assert {*re.findall(r"^\| `(\w+\.sh)`", read("findings/README.md"), re.M)} == scripts
    for name in scripts:
        assert os.access(ROOT / "findings" / name, os.X_OK), f"chmod +x findings/{name}"
