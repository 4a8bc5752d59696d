# SPDX-License-Identifier: Apache-2.0
"""Markup: elements, tables, badges and bars. Text is escaped in one place, `escaped`."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

# A state's sign; its class in style.css follows from its word.
NOT_IN_SET = "not in this set"
STATES = {
    "passed": "\u2713",
    "failed": "\u2717",
    "partly run": "\u25d0",
    "not run": "\u25cb",
    NOT_IN_SET: "\u2013",
}


class Html(str):
    """Text that is markup already. All other text is escaped where it is put in."""

    __slots__ = ()


_VOID = {"meta", "link", "img", "br"}
# What XML 1.0 has no place for and HTML no use, a simulator's colours as a whole.
_CONTROL = re.compile("\x1b\\[[0-9;]*m|[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def plain(text: object) -> str:
    """Text without the control characters that no markup has a place for."""
    return _CONTROL.sub("", str(text))


def escaped(text: object) -> Html:
    """Text as markup."""
    return text if isinstance(text, Html) else Html(html.escape(plain(text)))


def el(name: str, /, *inside: object, **attributes: object) -> Html:
    """An element. `class_` is the attribute class, `_` in a name is `-`; None leaves it out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{join(inside)}</{name}>")


def join(parts: Iterable[object]) -> Html:
    """Parts one after the other."""
    return Html("".join(map(escaped, parts)))


def table(header: Sequence[object], rows: Iterable[Sequence[object]], what: str, **more) -> Html:
    """A table in a box of its own that scrolls. Numbers go to the right, the first cell is a head.

    A row may be (dict of the row's attributes, cells). `what` names it for a screen reader.
    """
    made = []
    numeric: set[int] = set()
    for row in rows:
        about, cells = row if len(row) == 2 and isinstance(row[0], dict) else ({}, row)
        line = []
        for column, cell in enumerate(cells):
            if isinstance(cell, (int, float)):
                numeric.add(column)
                shown = f"{cell:,}" if isinstance(cell, int) else f"{cell:,.1f}"
                line.append(el("td", shown, class_="num", data_value=cell))
            else:
                line.append(el("th" if not column else "td", cell, scope=None if column else "row"))
        made.append(el("tr", *line, **about))
    head = [
        el("th", cell, scope="col", class_="num" if column in numeric else None)
        for column, cell in enumerate(header)
    ]
    whole = el("table", el("thead", el("tr", *head)), el("tbody", Html("\n".join(made))), **more)
    return el("div", whole, class_="scroll", tabindex=0, role="region", aria_label=what)


def state(word: str) -> Html:
    """One of STATES as a badge."""
    kind = {"partly run": "part", "not run": "none", NOT_IN_SET: "none"}.get(word, word)
    return el("span", f"{STATES[word]} {word}", class_=f"state {kind}")


def rate(hit: int, total: int, *, less: str = "part", goal: float = 100) -> Html:
    """`hit` of `total` as a bar that is full at the goal, a percentage and the two numbers.

    `less` is what less than the goal in percent is: "failed" or "part". What has no goal has no
    bar: `share`.
    """
    if not total:
        return el("span", "none", class_="soft")
    filled = min(100 * 100 * hit / total / goal, 100)
    kind = "all" if 100 * hit >= goal * total else less
    bar = el("i", el("i", style=f"display:block;width:{filled:.1f}%"))
    numbers = el("small", f"{hit:,}/{total:,}")
    return el("span", bar, el("span", percent(hit, total)), " ", numbers, class_=f"rate {kind}")


def share(hit: int, total: int) -> Html:
    """`hit` of `total` as a percentage and the two numbers."""
    if not total:
        return el("span", "none", class_="soft")
    return el("span", percent(hit, total), " ", el("small", f"{hit:,}/{total:,}"), class_="share")


def percent(hit: int, total: int) -> str:
    """A share that says 100 % only of all, and 0 % only of none."""
    if not total:
        return "-"
    share = 1000 * hit // total / 10
    return f"{share:.0f} %" if share in (0, 100) and hit in (0, total) else f"{share:.1f} %"


def link(text: object, target: str) -> Html:
    """A link."""
    return el("a", text, href=target)


def slug(*names: str) -> str:
    """An anchor from names."""
    return "-".join(re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") for name in names)
