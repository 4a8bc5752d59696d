# SPDX-License-Identifier: Apache-2.0
"""What all drawings share: colours for light and dark, text and its estimated width, the file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

SIZE = 13  # of text; the least that a phone still shows
TITLE = 15
LINE = 17  # from one line of text to the next
MARGIN = 14

# name: (light, dark). A kind of box has a fill and a stroke.
_COLOURS = {
    "page": ("#ffffff", "#0d1117"),
    "frame": ("#d1d9e0", "#3d444d"),
    "zone": ("#f6f8fa", "#151b23"),
    "text": ("#1f2328", "#f0f6fc"),
    "muted": ("#59636e", "#9198a1"),
    "line": ("#57606a", "#a6b0bb"),
    "plain": ("#ffffff", "#212830"),
    "plain-line": ("#8c959f", "#656c76"),
    "beat": ("#ddf4ff", "#10294a"),
    "beat-line": ("#3487d6", "#3f87d9"),
    "row": ("#f3e8ff", "#2f1d4d"),
    "row-line": ("#9561d8", "#9a6ae0"),
    "memory": ("#fff3cd", "#3b2a06"),
    "memory-line": ("#bf8700", "#c08f1a"),
    "port": ("#dafbe1", "#0f3320"),
    "port-line": ("#2da44e", "#35a354"),
    "error": ("#ffe3e0", "#4a1518"),
    "error-line": ("#d1453b", "#e5534b"),
}
KINDS = [name.removesuffix("-line") for name in _COLOURS if name.endswith("-line")]
_SANS = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
_MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"


@dataclass(frozen=True)
class Rect:
    """A rectangle; x and y are its upper left corner."""

    x: float
    y: float
    w: float
    h: float

    @property
    def right(self) -> float:
        return self.x + self.w

    @property
    def bottom(self) -> float:
        return self.y + self.h

    def meets(self, other: Rect) -> bool:
        """Whether the two have a point in common, edges left out."""
        return (
            self.x < other.right
            and other.x < self.right
            and self.y < other.bottom
            and other.y < self.bottom
        )

    def draw(self, classes: str, radius: float = 6) -> str:
        return (
            f'<rect class="{classes}" x="{self.x:g}" y="{self.y:g}" width="{self.w:g}" '
            f'height="{self.h:g}" rx="{radius:g}"/>'
        )


@dataclass(frozen=True)
class Text:
    """A line of text; `words in backticks` are code. y is its base line, x what anchor says."""

    text: str
    x: float
    y: float
    anchor: str = "middle"  # start, middle, end
    style: str = ""  # bold, muted, title

    @property
    def size(self) -> int:
        return TITLE if self.style == "title" else SIZE

    @property
    def box(self) -> Rect:
        """The room that it takes, estimated."""
        w = width(self.text, self.size, bold=self.style in ("bold", "title"))
        left = {"start": 0.0, "middle": w / 2, "end": w}[self.anchor]
        return Rect(self.x - left, self.y - 0.8 * self.size, w, self.size)

    def draw(self) -> str:
        parts = [
            f'<tspan class="code">{escape(part, quote=False)}</tspan>'
            if number % 2
            else escape(part, quote=False)
            for number, part in enumerate(self.text.split("`"))
        ]
        classes = f' class="{self.style}"' if self.style else ""
        anchor = f' text-anchor="{self.anchor}"' if self.anchor != "start" else ""
        return f'<text{classes} x="{self.x:g}" y="{self.y:g}"{anchor}>{"".join(parts)}</text>'


def width(text: str, size: float = SIZE, *, bold: bool = False) -> float:
    """The width of a text in a wide font (DejaVu): in most others it is less."""
    total = 0.0
    for number, part in enumerate(text.split("`")):
        for sign in part:
            if number % 2:
                total += 0.57  # code is set a little smaller
            elif sign in " .,:;'|!()[]ijl":
                total += 0.34
            elif sign in "mwMW@%":
                total += 0.95
            else:
                total += 0.69 if sign.isupper() else 0.62
    return total * size * (1.08 if bold else 1)


def paragraph(text: str, room: float) -> list[str]:
    """A text in lines that are not wider than the room."""
    lines: list[str] = []
    for word in text.split():
        if lines and width(f"{lines[-1]} {word}") <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def document(source: dict, size: tuple[float, float], body: Iterable[str]) -> str:
    """The file: title and description for those who listen, colours for both schemes."""

    def scheme(number: int) -> str:
        return "".join(f"--{name}:{pair[number]};" for name, pair in _COLOURS.items())

    w, h = (round(side) for side in size)
    rules = [
        f"svg{{{scheme(0)}font:{SIZE}px {_SANS}}}",
        f"@media(prefers-color-scheme:dark){{svg{{{scheme(1)}}}}}",
        "text{fill:var(--text)}",
        f".code{{font:{SIZE - 1}px {_MONO}}}",
        f".title{{font-size:{TITLE}px}}.title,.bold{{font-weight:600}}",
        ".bold .code{font-weight:600}",
        ".muted{fill:var(--muted)}",
        ".page{fill:var(--page);stroke:var(--frame)}",
        ".zone{fill:var(--zone);stroke:var(--frame);stroke-dasharray:4 3}",
        *(f".{kind}{{fill:var(--{kind});stroke:var(--{kind}-line)}}" for kind in KINDS),
        ".line{fill:none;stroke:var(--line);stroke-width:1.4}.dashed{stroke-dasharray:4 3}",
        ".head{fill:var(--line)}",
        ".grid{fill:none;stroke:var(--frame)}",
    ]
    page = Rect(0.5, 0.5, w - 1, h - 1).draw("page", 10)
    plain = re.sub(r"\s+", " ", source["desc"]).strip()
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" '
            f'height="{h}" role="img" aria-labelledby="title desc">',
            "<!-- Made by `make generate` from the text file of the same name. -->",
            f'<title id="title">{escape(source["title"], quote=False)}</title>',
            f'<desc id="desc">{escape(plain, quote=False)}</desc>',
            "<style>",
            *rules,
            "</style>",
            page,
            *body,
            "</svg>",
            "",
        ]
    )
