# SPDX-License-Identifier: Apache-2.0
"""Block diagrams from text: boxes on a grid, arrows between them.

title, desc   what it is, and the same in words for who cannot see it
grid          a line of names a row of the grid; a name that is repeated spans, `.` is empty
columns       widths of the grid's columns; gap, between: what lies between rows, and columns
boxes         name: {kind, text: lines, the first one bold, at: a note in the corner}
arrows        "from -> to @0.5 left: label", always straight; ~> is dashed. 0.5 is the place on
              the stretch that both boxes share, left that of the label
zones         [{around: names, label, right: true}]: frames behind boxes, of whole rows
legend        kind: word;  foot: small print
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .svg import LINE, MARGIN, SIZE, Rect, Text, document, paragraph, width

_PAD = 9  # between a box's edge and its text
_ZONE = 26  # above a zone's first boxes, for its label
_ARROW = re.compile(
    r"(?P<a>\w+) (?P<way>->|~>) (?P<b>\w+)"
    r"(?: @(?P<at>[\d.]+))?(?P<left> left)?(?:: (?P<label>.+))?"
)
Point = tuple[float, float]


@dataclass
class Layout:
    """Where everything is."""

    size: tuple[float, float] = (0, 0)
    boxes: dict[str, Rect] = field(default_factory=dict)
    inside: dict[str, list[Text]] = field(default_factory=dict)  # texts of a box
    zones: list[Rect] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)  # all others
    arrows: list[tuple[str, str, tuple[Point, Point], bool]] = field(default_factory=list)  # dashed
    swatches: list[tuple[Rect, str]] = field(default_factory=list)


def render(source: dict) -> str:
    """The SVG."""
    it = layout(source)
    body = [zone.draw("zone", 10) for zone in it.zones]
    for *_, points, dashed in it.arrows:
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        body.append(f'<polyline class="line{" dashed" * dashed}" points="{path}"/>')
        body.append(_head(*points))
    for name, rect in it.boxes.items():
        kind = source["boxes"][name].get("kind", "plain")
        body.append(rect.draw(kind, min(rect.h / 2, 14) if kind == "port" else 6))
        body += [text.draw() for text in it.inside[name]]
    body += [rect.draw(kind, 3) for rect, kind in it.swatches]
    return document(source, it.size, [*body, *(text.draw() for text in it.texts)])


def layout(source: dict) -> Layout:
    """Place everything. Raises ValueError for an arrow that cannot be drawn."""
    it, places = Layout(), _places(source["grid"])
    columns, between = source["columns"], source.get("between", 24)
    zones = [(zone, zone["around"].split()) for zone in source.get("zones", [])]
    frame = 12 if zones else 0
    left = MARGIN + frame
    xs = [left + sum(columns[:n]) + n * between for n in range(len(columns))]
    total = xs[-1] + columns[-1] + left
    it.texts.append(Text(source["title"], left, MARGIN + 13, "start", "title"))

    starts = {min(places[name][0] for name in around) for _, around in zones}
    ends = {max(places[name][1] for name in around) for _, around in zones}
    tops, bottoms, y = [], [], MARGIN + 27.0
    for r in range(1 + max(last for _, last, *_ in places.values())):
        y += (_ZONE if r in starts else 0) + (source.get("gap", 28) if r else 0)
        alone = [name for name, place in places.items() if place[:2] == (r, r)]
        lines = max(len(source["boxes"][name]["text"]) for name in alone)
        tops.append(y)
        bottoms.append(y + 2 * _PAD + LINE * lines - (LINE - SIZE))
        y = bottoms[-1] + (frame if r in ends else 0)

    for name, (top, bottom, first, last) in places.items():
        w = xs[last] + columns[last] - xs[first]
        it.boxes[name] = rect = Rect(xs[first], tops[top], w, bottoms[bottom] - tops[top])
        it.inside[name] = _texts(source["boxes"][name], rect)
    for zone, around in zones:
        rects = [it.boxes[name] for name in around]
        x, top = min(r.x for r in rects) - frame, min(r.y for r in rects) - _ZONE
        w, h = max(r.right for r in rects) + frame - x, max(r.bottom for r in rects) + frame - top
        it.zones.append(Rect(x, top, w, h))
        side = (x + w - 10, "end") if zone.get("right") else (x + 10, "start")
        it.texts.append(Text(zone["label"], side[0], top + 17, side[1], "muted"))
    framed = {name for name, (_, bottom, *_) in places.items() if bottom in ends}
    for arrow in source.get("arrows", []):
        _place_arrow(it, arrow, framed, frame)
    it.size = (total, _below(it, source, left, y + 8, total - left) + MARGIN)
    return it


def _places(grid: str) -> dict[str, tuple[int, int, int, int]]:
    """name -> first and last row, first and last column."""
    places: dict[str, tuple[int, int, int, int]] = {}
    for r, row in enumerate(grid.strip().splitlines()):
        for c, name in enumerate(row.split()):
            if name != ".":
                top, _, left, _ = places.get(name, (r, r, c, c))
                places[name] = (top, r, left, c)
    return places


def _below(it: Layout, source: dict, left: float, y: float, right: float) -> float:
    """Legend and small print; gives their bottom."""
    x = left
    for kind, word in source.get("legend", {}).items():
        it.swatches.append((Rect(x, y + 5, 14, 12), kind))
        it.texts.append(Text(word, x + 20, y + 15, "start", "muted"))
        x += 34 + width(word)
    y += 24 if source.get("legend") else 0
    for line in paragraph(source.get("foot", ""), right - left):
        it.texts.append(Text(line, left, y + 13, "start", "muted"))
        y += LINE
    return y


def _texts(box: dict, rect: Rect) -> list[Text]:
    lines = box["text"]
    base = rect.y + (rect.h - LINE * len(lines)) / 2 + 13
    middle = rect.x + rect.w / 2
    texts = [
        Text(line, middle, base + LINE * n, "middle", "" if n else "bold")
        for n, line in enumerate(lines)
    ]
    if "at" in box:
        texts.append(Text(f"`{box['at']}`", rect.right - 7, rect.y + 15, "end", "muted"))
    return texts


def ends(arrow: str) -> tuple[str, str]:
    """The boxes that an arrow goes from and to."""
    found = _read(arrow)
    return found["a"], found["b"]


def _read(arrow: str) -> re.Match:
    found = _ARROW.fullmatch(arrow)
    if found is None:
        raise ValueError(f"an arrow is 'from -> to @0.5 left: label', not {arrow!r}")
    return found


def _place_arrow(it: Layout, arrow: str, framed: set[str], frame: float) -> None:
    """An arrow and its label, which keeps off the frame below a framed box."""
    found = _read(arrow)
    a, b, at = it.boxes[found["a"]], it.boxes[found["b"]], float(found["at"] or 0.5)
    lo, hi = max(a.x, b.x), min(a.right, b.right)
    top, bottom = max(a.y, b.y), min(a.bottom, b.bottom)
    if hi > lo:
        x, down = lo + at * (hi - lo), a.y < b.y
        points = (x, a.bottom if down else a.y), (x, b.y if down else b.bottom)
    elif bottom > top:
        y, on = top + at * (bottom - top), a.x < b.x
        points = (a.right if on else a.x, y), (b.x if on else b.right, y)
    else:
        raise ValueError(f"no straight arrow goes from {found['a']} to {found['b']}")
    it.arrows.append((found["a"], found["b"], points, found["way"] == "~>"))
    if found["label"]:
        (x, y), (x2, y2) = points
        if y == y2:
            it.texts.append(Text(found["label"], (x + x2) / 2, y - 6))
        else:  # in the gap behind the box that it comes from
            y += (frame + 17 if found["a"] in framed else 19) if y2 > y else -9
            left = found["left"]
            it.texts.append(
                Text(found["label"], x + (-6 if left else 6), y, "end" if left else "start")
            )


def _head(before: Point, end: Point) -> str:
    """An arrow's head."""
    (x0, y0), (x, y) = before, end
    ux, uy = (x > x0) - (x < x0), (y > y0) - (y < y0)
    corners = [
        (x, y),
        (x - 8 * ux - 4 * uy, y - 8 * uy - 4 * ux),
        (x - 8 * ux + 4 * uy, y - 8 * uy + 4 * ux),
    ]
    return f'<polygon class="head" points="{" ".join(f"{cx:g},{cy:g}" for cx, cy in corners)}"/>'
