# SPDX-License-Identifier: Apache-2.0
"""Drawings: nothing overlaps, they name what is there, and their clocks are those of the RTL."""

import copy
import itertools
import re
import subprocess
from xml.etree import ElementTree

import pytest

from softnorm.flow import drawings, tools
from softnorm.flow.drawings import blocks, timing
from softnorm.flow.drawings.svg import Rect, width
from softnorm.flow.paths import ROOT, RTL
from softnorm.flow.static.systems import SYSTEMS
from softnorm.units import UNITS

SOURCES = {path.stem: drawings.read(path) for path in sorted(drawings.SOURCES.glob("*.hjson"))}
BLOCKS = {name: source for name, source in SOURCES.items() if "grid" in source}
each_block = pytest.mark.parametrize("name", BLOCKS)
each_timing = pytest.mark.parametrize("name", [name for name in SOURCES if name not in BLOCKS])
each_unit = pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)


# --- block diagrams -------------------------------------------------------------------------------


def line(arrow):
    """An arrow's line, as a rectangle without an area."""
    (x, y), (x2, y2) = arrow[2]
    return Rect(min(x, x2), min(y, y2), abs(x2 - x), abs(y2 - y))


def holds(outer, inner):
    return (
        outer.x <= inner.x
        and outer.y <= inner.y
        and inner.right <= outer.right
        and inner.bottom <= outer.bottom
    )


def inner(rect):
    """Where text may stand in a box: some way off its edge."""
    return Rect(rect.x + 4, rect.y + 2, rect.w - 8, rect.h - 4)


@each_block
def test_nothing_overlaps(name):
    it = blocks.layout(BLOCKS[name])
    for (a, one), (b, two) in itertools.combinations(it.boxes.items(), 2):
        assert not one.meets(two), f"boxes {a} and {b}"
    for box, texts in it.inside.items():
        for text in texts:
            assert holds(inner(it.boxes[box]), text.box), f"'{text.text}' does not fit its box"
        for one, two in itertools.combinations(texts, 2):
            assert not one.box.meets(two.box), f"'{one.text}' and '{two.text}'"
    page = Rect(0, 0, *it.size)
    for text in it.texts:
        assert holds(page, text.box), f"'{text.text}' leaves the page"
        for box, rect in it.boxes.items():
            assert not text.box.meets(rect), f"'{text.text}' lies on {box}"
        for arrow in it.arrows:
            assert not text.box.meets(line(arrow)), f"'{text.text}' lies on {arrow[:2]}"
        for zone in it.zones:
            crossed = text.box.meets(zone) and not holds(zone, text.box)
            assert not crossed, f"'{text.text}' lies on a frame"
    for one, two in itertools.combinations(it.texts, 2):
        assert not one.box.meets(two.box), f"'{one.text}' and '{two.text}'"


@each_block
def test_arrows_cross_no_box_and_no_arrow(name):
    it = blocks.layout(BLOCKS[name])
    for arrow in it.arrows:
        for box, rect in it.boxes.items():
            assert not line(arrow).meets(rect), f"{arrow[:2]} crosses {box}"
    for one, two in itertools.combinations(it.arrows, 2):
        assert not line(one).meets(line(two)), f"{one[:2]} crosses {two[:2]}"


@each_block
def test_every_box_of_the_grid_is_described_and_used(name):
    source = BLOCKS[name]
    placed = set(source["grid"].split()) - {"."}
    assert placed == set(source["boxes"])
    ends = {end for arrow in source["arrows"] for end in blocks.ends(arrow)}
    assert ends == placed
    used = {box.get("kind", "plain") for box in source["boxes"].values()}
    assert set(source.get("legend", {})) <= used


@each_unit
def test_every_unit_has_a_drawing_of_its_memories_and_latency(unit):
    source = SOURCES[unit.name]
    texts = {name: " ".join(box["text"]) for name, box in source["boxes"].items()}
    memories = [text for name, text in texts.items() if source["boxes"][name]["kind"] == "memory"]
    drawn = re.findall(r"(\d+) x (\d+)", " ".join(memories))
    storage = unit.storage(unit.defaults).values()
    assert sorted((int(words), int(bits)) for words, bits in drawn) == sorted(storage)
    latency = f"+{sum(unit.latency(unit.defaults))}"
    assert source["boxes"]["mout"]["at"] == latency
    assert f"At {latency} the first" in source["foot"].replace("at +", "At +")


def test_the_width_of_the_text_decides_that_it_does_not_fit():
    source = {"title": "t", "desc": "d", "columns": [60], "grid": "a", "boxes": {}}
    for text, fits in (("wide", True), ("much too wide", False)):
        source["boxes"] = {"a": {"text": [text]}}
        it = blocks.layout(source)
        assert holds(inner(it.boxes["a"]), it.inside["a"][0].box) == fits


@pytest.mark.parametrize(
    ("arrow", "why"), [("a to b", "an arrow is"), ("a -> b", "no straight arrow")]
)
def test_an_arrow_that_cannot_be_drawn_is_refused(arrow, why):
    boxes = {"a": {"text": ["a"]}, "b": {"text": ["b"]}}
    source = {"title": "t", "desc": "d", "columns": [60, 60], "grid": "a .\n. b", "boxes": boxes}
    with pytest.raises(ValueError, match=why):
        blocks.layout({**source, "arrows": [arrow]})


# --- timing diagrams ------------------------------------------------------------------------------

BENCH = """\
`timescale 1ns/1ns
module bench;
  {declared}
  {unit} #({parameters}) u_unit (.*);
  initial forever begin #5 clk_i = 1; #5 clk_i = 0; end
  initial begin
    #12 rst_ni = 0; #20 rst_ni = 1; #14;
    {steps}
    $finish;
  end
endmodule
"""


def simulate(source, folder):
    """Drive the RTL with what a timing diagram shows at inputs; what outputs are each half clock.

    Inputs that are not drawn are at rest: tkeep and tstrb all ones, tready 1, settings 0.
    """
    parameters = dict(source["run"])
    unit = {**UNITS, **SYSTEMS}[parameters.pop("of")]
    header = re.search(r"^module .*?^\);", (RTL / unit.rtl[-1]).read_text(), re.M | re.S)[0]
    ports = re.findall(r"^ +(input|output) +logic +(\[.*?\])? *(\w+)", header, re.M)
    # Its parameters become constants, of which its ports' widths are made here, too.
    constants = re.findall(
        r"^ +(?:parameter|localparam) +int +(\w+) += (.*?),? *(?://.*)?$", header, re.M
    )
    resting = {"tkeep": -1, "tstrb": -1, "tready": 1, "rst_ni": 1}
    rest = {name: resting.get(name.split("_axis_")[-1], 0) for _, _, name in ports}
    waves = {n["name"].split("[")[0]: halves(n) for n in source["signal"] if "wave" in n}
    inputs = [name for side, _, name in ports if side == "input" and name != "clk_i"]
    outputs = [name for side, _, name in ports if side == "output" and name in waves]
    steps = []
    for half in range(len(waves["clk_i"])):
        for name in inputs:
            steps.append(f"{name} = {number(waves.get(name), half, rest[name])};")
        steps.append(f'#2 $display("{" %b" * len(outputs)}", {", ".join(outputs)}); #3;')
    text = BENCH.format(
        declared="\n  ".join(
            [
                *(
                    f"localparam int {name} = {parameters.get(name, is_)};"
                    for name, is_ in constants
                ),
                *(
                    f"logic {width} {name}" + f" = {rest[name]}" * (side == "input") + ";"
                    for side, width, name in ports
                ),
            ]
        ),
        unit=unit.name,
        parameters=", ".join(f".{name}({value})" for name, value in parameters.items()),
        steps="\n    ".join(steps),
    )
    (folder / "bench.sv").write_text(text)
    files = [str(RTL / file) for file in unit.rtl]
    build = ["iverilog", "-g2012", "-s", "bench", "-o", "bench.vvp", *files, "bench.sv"]
    subprocess.run(build, cwd=folder, check=True)
    run = ["vvp", "-n", "bench.vvp"]
    said = subprocess.run(run, cwd=folder, check=True, capture_output=True, text=True).stdout
    lines = [line.split() for line in said.splitlines() if "finish" not in line]
    return {name: [line[n] for line in lines] for n, name in enumerate(outputs)}


def halves(lane):
    """(sign, word) of a lane in each half clock."""
    words, states = iter(lane.get("data", ())), []
    for sign in lane["wave"]:
        if sign != ".":
            state = (sign, next(words, "") if sign in "=2345" else "")
        states += [state] * round(2 * lane.get("period", 1))
    return states


def number(wave, half, otherwise):
    """What an input is driven with: what is drawn if it is a number."""
    value = None if wave is None else drawn(*wave[half])
    return otherwise if value is None else value


def drawn(sign, word):
    """The number that is drawn: a bit, or a binary or hexadecimal word; None if it is none."""
    if sign in "01":
        return int(sign)
    if re.fullmatch("0x[0-9a-f]+", word):
        return int(word, 16)
    return int(word, 2) if re.fullmatch("[01]+", word) else None


@each_timing
def test_words_of_a_timing_diagram_fit(name):
    source = SOURCES[name]
    size, _, texts = timing.layout(source)
    for text in texts:
        assert holds(Rect(0, 0, *size), text.box), f"'{text.text}' leaves the page"
    for one, two in itertools.combinations(texts, 2):
        assert not one.box.meets(two.box), f"'{one.text}' and '{two.text}'"
    for lane in source["signal"]:
        words = iter(lane.get("data", ()))
        for sign, _, columns in timing.runs(lane.get("wave", "")):
            room = columns * lane.get("period", 1) * source["cell"]
            assert sign in "01xp" or width(next(words)) <= room, lane["name"]
        assert list(words) == [], f"{lane['name']} has words that are not shown"


def differences(source, folder):
    """Where an output is not the number that is drawn: (port, clock)."""
    if tools.icarus() is None:
        pytest.skip("Icarus Verilog is not installed")
    seen, found, compared = simulate(source, folder), [], 0
    for lane in source["signal"]:
        port, high, low = re.fullmatch(r"(\w*)(?:\[(\d+):(\d+)\])?", lane.get("name", "")).groups()
        for half, state in enumerate(halves(lane) if port in seen else ()):
            if (value := drawn(*state)) is not None:
                bits = seen[port][half]
                bits = bits[len(bits) - 1 - int(high) : len(bits) - int(low)] if high else bits
                compared += 1
                if bits != f"{value:0{len(bits)}b}":
                    found.append((port, half / 2))
    assert compared > 100
    return found


@each_timing
def test_a_timing_diagram_is_what_the_rtl_does(name, tmp_path):
    assert differences(SOURCES[name], tmp_path) == []


def test_a_wrong_clock_in_a_timing_diagram_is_seen(tmp_path):
    source = copy.deepcopy(SOURCES["overlap"])
    [lane] = [lane for lane in source["signal"] if lane.get("name") == "m_axis_tvalid"]
    lane["wave"] = lane["wave"].replace(".1", "1.")
    assert differences(source, tmp_path) == [("m_axis_tvalid", 20.0), ("m_axis_tvalid", 20.5)]


def latency(name, **given):
    return sum(UNITS[name].latency(UNITS[name].resolve(given)))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("overlap", 2 * [latency("e2softmax", LANES=8)]),
        (
            "chain",
            [
                latency("e2softmax", LANES=4, MAX_LEN=8, IN_W=32, SCALE=1),
                latency("residual_add", LANES=4, IN_W=32)
                + latency("ailayernorm", LANES=4, MAX_LEN=8, IN_W=32, EXACT_SQ=1),
            ],
        ),
    ],
)
def test_latencies_in_timing_diagrams_are_the_descriptors(name, wanted):
    spans = [span for lane in SOURCES[name]["signal"] for span in lane.get("spans", ())]
    assert [(last - first, text) for first, last, text in spans] == [
        (clocks, f"latency {clocks}") for clocks in wanted
    ]


# --- the files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOURCES)
def test_a_drawing_says_what_it_shows_in_both_schemes(name):
    root = ElementTree.fromstring(drawings.render(SOURCES[name]))
    tag = "{http://www.w3.org/2000/svg}"
    assert root.find(f"{tag}title").text == SOURCES[name]["title"]
    assert len(root.find(f"{tag}desc").text) > 100
    assert float(root.get("width")) <= 720
    style = root.find(f"{tag}style").text
    dark = re.search(r"prefers-color-scheme:dark\)\{svg\{(.*?)\}", style)[1]
    light = re.search(r"^svg\{(.*?)font:", style, re.M)[1]
    defined = {part.split(":")[0] for part in light.split(";")} - {""}
    assert defined == {part.split(":")[0] for part in dark.split(";")} - {""}
    assert set(re.findall(r"var\((.*?)\)", style)) <= defined
    classes = {word for element in root.iter() for word in element.get("class", "").split()}
    assert classes <= set(re.findall(r"\.([a-z]+)", style))
    assert not list(root.iter(f"{tag}script"))


@pytest.mark.parametrize("name", SOURCES)
def test_a_page_shows_the_drawing(name):
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    shown = [
        (page, alt)
        for page in pages
        for alt, path in re.findall(r"!\[([^]]*)\]\((.*?)\)", page.read_text(encoding="utf-8"))
        if (page.parent / path).resolve() == drawings.SOURCES / f"{name}.svg"
    ]
    assert shown or name == "system"
    assert all(len(alt) > 20 for _, alt in shown)
    if name in UNITS:
        assert [page for page, _ in shown] == [ROOT / f"docs/units/{name}.md"]


def test_every_svg_has_its_text():
    made = {path.stem for path in drawings.SOURCES.glob("*.svg")}
    assert made == set(SOURCES)
