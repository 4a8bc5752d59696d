# SPDX-License-Identifier: Apache-2.0
"""As much of Markdown as the documentation needs that is shown in the report."""

from __future__ import annotations

import re
from pathlib import Path

from .markup import Html, el, join, table

_IMAGE = r"^!\[(.*)\]\((.*)\)$"


def images(text: str, folder: Path) -> list[str]:
    """The images that a text shows and that `folder` has."""
    return [name for _, name in re.findall(_IMAGE, text, re.M) if (folder / name).exists()]


def rendered(text: str, folder: Path) -> Html:
    """As much of Markdown as the pages are written in. An image that `folder` lacks is left out."""
    parts: list[object] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.splitlines()
        image = re.fullmatch(_IMAGE, block.strip())
        if block.startswith("#"):
            level, _, title = block.partition(" ")
            parts.append(el(f"h{len(level)}", inline(title)))
        elif image and not (folder / image[2]).exists():
            continue
        elif image:
            plot = el("img", src=image[2], alt=image[1], loading="lazy")
            parts.append(el("figure", plot, class_="plot"))
        elif lines[0].startswith("|"):
            head, _, *rows = [[inline(c.strip()) for c in li.strip("|").split("|")] for li in lines]
            what = _heading(parts)
            parts.append(table(head, rows, what, class_="tight" if len(head) > 2 else None))
        elif lines[0].startswith("- "):
            items = re.split(r"^- ", block, flags=re.M)[1:]
            parts.append(el("ul", *(el("li", inline(" ".join(i.split()))) for i in items)))
        elif re.match(r"\d+\. ", block):
            items = re.split(r"^\d+\. ", block, flags=re.M)[1:]
            parts.append(el("ol", *(el("li", inline(" ".join(i.split()))) for i in items)))
        else:
            parts.append(el("p", inline(" ".join(lines))))
    return join(parts)


def _heading(parts: list[object]) -> str:
    """The last heading's text: what a table is of."""
    titles = [part for part in map(str, parts) if re.match(r"<h\d", part)]
    return re.sub(r"<[^>]*>", "", titles[-1]) if titles else "table"


def inline(text: str) -> Html:
    """Code, bold words and links of a line. A link out of the report becomes its text."""
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    cut = re.split(r"`([^`]+)`", text)
    return join(el("code", part) if i % 2 else _bold(part) for i, part in enumerate(cut))


def _bold(text: str) -> Html:
    cut = re.split(r"\*\*([^*]+)\*\*", text)
    return join(el("strong", part) if i % 2 else part for i, part in enumerate(cut))
