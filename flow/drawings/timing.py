# SPDX-License-Identifier: Apache-2.0
"""Timing diagrams from WaveJSON, the format of WaveDrom, as far as the documentation needs it.

signal   lanes: {name, wave, data, period}; {} is a space. p clock, 0, 1, x unknown, . as before,
         = and 2 to 5 data of some colour, with a word of `data` each
head     {tock: number of the first clock, every: from one number to the next}; foot: {text}
and ours, which WaveDrom takes for spaces: a lane {spans: [[from, to, text]]} measures clocks;
`cell` is the width of a clock, `run` tells a test how to simulate it
"""

from __future__ import annotations

from .svg import LINE, MARGIN, Rect, Text, document, paragraph, width

_LANE, _SPACE, _WAVE = 26, 12, 18  # from lane to lane, an empty one, height of a wave
_KINDS = {"=": "plain", "2": "plain", "3": "beat", "4": "row", "5": "error", "x": "zone"}


def expand(wave: str) -> str:
    """A wave with what its dots stand for."""
    out = ""
    for sign in wave:
        out += out[-1] if sign == "." else sign
    return out


def runs(wave: str) -> list[tuple[str, int, int]]:
    """(sign, first column, columns) of each stretch; a data sign starts one of its own."""
    found: list[tuple[str, int, int]] = []
    for column, sign in enumerate(wave):
        if sign == "." or (found and found[-1][0] == sign and sign in "01xp"):
            last, first, columns = found[-1]
            found[-1] = (last, first, columns + 1)
        else:
            found.append((sign, column, 1))
    return found


def render(source: dict) -> str:
    """The SVG."""
    size, shapes, texts = layout(source)
    return document(source, size, [*shapes, *(text.draw() for text in texts)])


def layout(source: dict) -> tuple[tuple[float, float], list[str], list[Text]]:
    """Size, shapes and texts."""
    lanes, cell = source["signal"], source.get("cell", 20)
    left = MARGIN + 8 + max(width(f"`{lane['name']}`") for lane in lanes if "name" in lane)
    clocks = max(len(lane["wave"]) * lane.get("period", 1) for lane in lanes if "wave" in lane)
    total = left + clocks * cell + MARGIN
    texts = [Text(source["title"], MARGIN, MARGIN + 13, "start", "title")]
    y = MARGIN + 26.0
    head, shapes = source.get("head", {}), []
    bottom = y + 22 + sum(_LANE if lane else _SPACE for lane in lanes)
    for number in range(0, int(clocks), head.get("every", 1)):
        x = left + number * cell
        shapes.append(f'<path class="grid" d="M{x:g},{y + 20:g}V{bottom:g}"/>')
        texts.append(Text(str(head["tock"] + number), x + cell / 2, y + 13, "middle", "muted"))
    texts.append(Text("clock", left - 8, y + 13, "end", "muted"))
    y += 24
    for lane in lanes:
        if "name" in lane:
            texts.append(Text(f"`{lane['name']}`", left - 8, y + 14, "end"))
        if "wave" in lane:
            _wave(lane, left, y, cell * lane.get("period", 1), shapes, texts)
        for first, last, text in lane.get("spans", ()):
            _span(left + cell * (first + 0.5), left + cell * (last + 0.5), y, text, shapes, texts)
        y += _LANE if lane else _SPACE
    for line in paragraph(source.get("foot", {}).get("text", ""), total - 2 * MARGIN):
        texts.append(Text(line, MARGIN, y + 16, "start", "muted"))
        y += LINE
    return (total, y + MARGIN), shapes, texts


def _wave(
    lane: dict, left: float, y: float, cell: float, shapes: list[str], texts: list[Text]
) -> None:
    """Lines of bits, boxes of data."""
    words = iter(lane.get("data", ()))
    low, high = y + _WAVE, y
    line: list[str] = []  # a path that ends where data begins
    for sign, first, columns in runs(lane["wave"]):
        x, end = left + first * cell, left + (first + columns) * cell
        if sign == "p":
            for n in range(columns):
                up = x + n * cell
                line.append(f"L{up:g},{low:g}V{high:g}H{up + cell / 2:g}V{low:g}H{up + cell:g}")
        elif sign in "01":
            line.append(f"L{x:g},{high if sign == '1' else low:g}H{end:g}")
        else:
            _end(line, shapes)
            box = Rect(x + 0.5, high, end - x - 1, _WAVE)
            shapes.append(box.draw(_KINDS[sign], 4))
            if sign != "x":
                texts.append(Text(next(words, ""), (x + end) / 2, y + 14))
    _end(line, shapes)


def _end(line: list[str], shapes: list[str]) -> None:
    if line:
        shapes.append(f'<path class="line" d="M{"".join(line)[1:]}"/>')
        line.clear()


def _span(x: float, end: float, y: float, text: str, shapes: list[str], texts: list[Text]) -> None:
    """A measure from one clock to another, its word above it."""
    base = y + 18
    path = f"M{x:g},{base:g}H{end:g}M{x:g},{base - 4:g}v8M{end:g},{base - 4:g}v8"
    shapes.append(f'<path class="line" d="{path}"/>')
    texts.append(Text(text, (x + end) / 2, base - 5))
