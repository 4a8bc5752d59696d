"""Drawings: nothing overlaps, they name what is there, and their clocks are those of the RTL."""

import itertools
import re

import pytest

from flow import drawings
from flow.drawings import blocks
from flow.drawings.svg import Rect
from tb.units import UNITS

SOURCES = {path.stem: drawings.read(path) for path in sorted(drawings.SOURCES.glob("*.hjson"))}
BLOCKS = {name: source for name, source in SOURCES.items() if "grid" in source}
each_block = pytest.mark.parametrize("name", BLOCKS)
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


@each_block
def test_nothing_overlaps(name):
    it = blocks.layout(BLOCKS[name])
    for (a, one), (b, two) in itertools.combinations(it.boxes.items(), 2):
        assert not one.meets(two), f"boxes {a} and {b}"
    for box, texts in it.inside.items():
        for text in texts:
            assert holds(it.boxes[box], text.box), f"'{text.text}' does not fit its box"
        for one, two in itertools.combinations(texts, 2):
            assert not one.box.meets(two.box), f"'{one.text}' and '{two.text}'"
    page = Rect(0, 0, *it.size)
    for text in it.texts:
        assert holds(page, text.box), f"'{text.text}' leaves the page"
        for box, rect in it.boxes.items():
            assert not text.box.meets(rect), f"'{text.text}' lies on {box}"
        for arrow in it.arrows:
            assert not text.box.meets(line(arrow)), f"'{text.text}' lies on {arrow[:2]}"
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
        assert holds(it.boxes["a"], it.inside["a"][0].box) == fits


@pytest.mark.parametrize(
    ("arrow", "why"), [("a to b", "an arrow is"), ("a -> b", "no straight arrow")]
)
def test_an_arrow_that_cannot_be_drawn_is_refused(arrow, why):
    boxes = {"a": {"text": ["a"]}, "b": {"text": ["b"]}}
    source = {"title": "t", "desc": "d", "columns": [60, 60], "grid": "a .\n. b", "boxes": boxes}
    with pytest.raises(ValueError, match=why):
        blocks.layout({**source, "arrows": [arrow]})
