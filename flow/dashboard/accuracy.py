"""The accuracy page, from docs/accuracy.md; and as much of Markdown as that needs."""

from __future__ import annotations

import re

from flow.dashboard.layout import page
from flow.dashboard.markup import Html, el, join, table
from flow.finished import Finished
from flow.paths import ROOT

ACCURACY = ROOT / "docs/accuracy.md"
PLOT = ROOT / "docs/accuracy.svg"


def accuracy(regression: Finished) -> Html:
    """The page, of docs/accuracy.md: of the models, so the same for all regressions of a source."""
    text = ACCURACY.read_text(encoding="utf-8")
    title, body = text.removeprefix("# ").split("\n", 1)
    return page(regression, "accuracy.html", title, rendered(body))


def rendered(text: str) -> Html:
    """As much of Markdown as docs/accuracy.md is written in."""
    parts: list[object] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.splitlines()
        image = re.fullmatch(r"!\[(.*)\]\((.*)\)", block.strip())
        if block.startswith("#"):
            level, _, title = block.partition(" ")
            parts.append(el(f"h{len(level)}", inline(title)))
        elif image:
            plot = el("img", src=PLOT.name, alt=image[1], loading="lazy")
            parts.append(el("figure", plot, class_="plot"))
        elif lines[0].startswith("|"):
            head, _, *rows = [[inline(c.strip()) for c in li.strip("|").split("|")] for li in lines]
            parts.append(table(head, rows, "accuracy", class_="tight" if len(head) > 2 else None))
        elif lines[0].startswith("- "):
            items = re.split(r"^- ", block, flags=re.M)[1:]
            parts.append(el("ul", *(el("li", inline(" ".join(i.split()))) for i in items)))
        else:
            parts.append(el("p", inline(" ".join(lines))))
    return join(parts)


def inline(text: str) -> Html:
    """Code and links of a line. A link out of the report becomes its text: it leads nowhere."""
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    cut = re.split(r"`([^`]+)`", text)
    return join(el("code", part) if i % 2 else part for i, part in enumerate(cut))
