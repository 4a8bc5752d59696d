# SPDX-License-Identifier: Apache-2.0
"""The sentences of the contract and of the units' pages, and what holds each of them.

`testplans/sentences/<page>.hjson` has a row for each sentence, in the page's order:

  says     the sentence, as it stands in the page (white space aside)
  checks   what fails where the hardware does not keep it
  bugs     planted bugs, each of which makes one of those checks fail
  no_bug   in place of `bugs`: why none can be planted
  nothing  in place of all of these: the kind of a sentence that promises nothing of the hardware

`checks.hjson` beside them names checks and kinds. `tests/docs/test_sentences.py` holds pages,
rows, checks and bugs together; docs/evidence.md is made of the rows. Headings, pictures, heads of
tables, code in a language and what `make generate` writes are no sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from softnorm.units import UNITS

from .. import lists
from ..errors import UserError
from ..paths import ROOT
from . import markers

FOLDER = ROOT / "testplans/sentences"
CONTRACT = "stream"
# Lists of names, which tests/docs/test_docs.py compares with what they list.
LISTS = ("Mutations", "Coverage")

_END = re.compile(r"(?<=[^\s.][.!?])(\*\*|\))?\s+(?=[\w`*\"(])")
_ABBREVIATED = re.compile(r"\b(?:al|vs|e\.g|i\.e|cf)\.$")


def pages() -> dict[str, str]:
    """Name -> page: of the contract, and of each unit that has rows."""
    units = [unit for unit in UNITS if (FOLDER / f"{unit}.hjson").exists()]
    return {CONTRACT: "docs/stream.md", **{unit: f"docs/units/{unit}.md" for unit in units}}


@dataclass(frozen=True)
class Row:
    """A sentence and what holds it; the fields are those of the file."""

    says: str
    checks: tuple[str, ...] = ()
    bugs: tuple[str, ...] = ()
    no_bug: str = ""
    nothing: str = ""

    @property
    def promises(self) -> bool:
        """Whether there is something for a check to hold."""
        return not self.nothing


@dataclass(frozen=True)
class Check:
    """A check: the file that has it, pieces of its reports there, what it says."""

    file: str
    reports: tuple[str, ...]
    about: str


@dataclass(frozen=True)
class Named:
    """What the rows may name: checks, and kinds of sentences that promise nothing."""

    checks: Mapping[str, Check]
    kinds: Mapping[str, str]


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def _split(text: str) -> Iterator[str]:
    """The sentences of a paragraph."""
    start = 0
    for match in _END.finditer(text):
        part = text[start : match.start() + len(match[1] or "")]
        if not _ABBREVIATED.search(part):
            yield _squeezed(part)
            start = match.end()
    if text[start:].strip():
        yield _squeezed(text[start:])


def sentences(text: str) -> list[str]:
    """A page's sentences in order: of paragraphs and list items, lines of tables and equations."""
    text = re.sub(r"<!--.*?-->", "", markers.without_made(text), flags=re.S)
    found: list[str] = []
    paragraph: list[str] = []
    language: str | None = None  # of the code block under way, "" for none
    title, table = "", 0

    def end() -> None:
        found.extend(_split("\n".join(paragraph)))
        paragraph.clear()

    for line in text.splitlines():
        if language is not None:
            if line.startswith("```"):
                language = None
            elif not language and line.strip() and title not in LISTS:
                found.append(_squeezed(line))
            continue
        table = table + 1 if line.startswith("|") else 0
        item = re.match(r"(?:[-*]|\d+\.) +(.*)", line)
        if item or not line.strip() or line.startswith(("#", "```", "|", "![")):
            end()
        if line.startswith("#"):
            title = line.strip("# ")
        elif line.startswith("```"):
            language = line[3:].strip()
        elif title in LISTS or line.startswith("!["):
            continue
        elif table:
            if table > 2:  # below the head and its line of dashes
                found.append(_squeezed(line))
        elif line.strip():
            paragraph.append(item[1] if item else line)
    end()
    return found


def named() -> Named:
    """What `checks.hjson` names."""
    file = lists.read(FOLDER / "checks.hjson", "checks", "kinds")
    checks = {
        name: Check(one["file"], tuple(one["reports"]), one["about"])
        for name, one in file["checks"].items()
    }
    return Named(checks, dict(file["kinds"]))


def rows(name: str) -> list[Row]:
    """The rows of a page. Raises UserError for a key that no row has."""
    path = FOLDER / f"{name}.hjson"
    found = []
    for one in lists.entries(path, "sentences"):
        values = {
            key: tuple(value) if isinstance(value, list) else value for key, value in one.items()
        }
        try:
            found.append(Row(**values))
        except TypeError as error:
            raise UserError(f"{path.relative_to(ROOT)}: {dict(one)}: {error}") from None
    return found


# --- the page that is made of the rows -----------------------------------------------------------


def _title(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8").partition("\n")[0].strip("# ")


def _cell(text: str) -> str:
    """A sentence in a cell of a table: the cells of a line in a row, an equation as code."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    if text.startswith("| "):
        return ": ".join(cell.strip() for cell in text.strip("| ").split(" | "))
    if not re.match(r"[A-Z*`(].*[.:!?*)]$|[a-z]+ (?:is|has|and|would)\b", text):
        return "`" + text.replace("|", "\\|") + "`"
    return text


def _table(titles: tuple[str, ...], lines: Iterable[tuple[object, ...]]) -> list[str]:
    dashes = "|".join(["---"] * len(titles))
    return [
        f"| {' | '.join(titles)} |",
        f"|{dashes}|",
        *(f"| {' | '.join(map(str, line))} |" for line in lines),
    ]


def summary() -> str:
    """Pages and how much of each is held: a table, and how many promises have no planted bug."""
    lines, total = [], [0] * 4
    for name, page in pages().items():
        found = rows(name)
        promises = [row for row in found if row.promises]
        counts = [
            len(found),
            len(promises),
            sum(bool(row.checks) for row in promises),
            sum(bool(row.bugs) for row in promises),
        ]
        total = [a + b for a, b in zip(total, counts, strict=True)]
        lines.append((f"[{_title(page)}]({page.removeprefix('docs/')})", *counts))
    lines.append(("all", *total))
    table = _table(("page", "sentences", "promises", "with a check", "with a planted bug"), lines)
    left = total[1] - total[3]
    return "\n".join([*table, "", f"Promises without a planted bug: {left}."])


def evidence() -> str:
    """The promises of each page with their checks and planted bugs, page by page."""
    text = []
    for name, page in pages().items():
        path = page.removeprefix("docs/")
        text += [f"## {_title(page)}", "", f"Sentences of [{path}]({path}).", ""]
        lines = [
            (_cell(row.says), "; ".join(row.checks), "; ".join(row.bugs) or f"none: {row.no_bug}")
            for row in rows(name)
            if row.promises
        ]
        text += [*_table(("sentence", "checks", "planted bugs"), lines), ""]
    return "\n".join(text)


def vocabulary() -> str:
    """The checks and kinds that the rows name."""
    known = named()
    checks = [(name, one.about, f"`{one.file}`") for name, one in known.checks.items()]
    kinds = known.kinds.items()
    return "\n".join(
        [
            *_table(("check", "fails when", "where"), checks),
            "",
            "Sentences that promise nothing of the hardware are of one of these kinds:",
            "",
            *_table(("kind", "such a sentence"), kinds),
        ]
    )
