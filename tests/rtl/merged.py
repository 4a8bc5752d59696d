# SPDX-License-Identifier: Apache-2.0
"""Many mutations in one build: each edit behind a number that is chosen when an instance starts.

An edit is widened to the statement around it, or to the whole right side of an `assign` or of a
port connection, and both are kept:

    if (sn_mutant_pkg::chosen == 7) begin <with the edit> end else begin <as it was> end

What cannot be chosen at run time (widths, parameters, declarations, events, generate blocks)
needs a build of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyslang import SourceManager, syntax

from softnorm.flow.paths import RTL
from tests.rtl.mutations import Edit, place

# tb/bulk/harness.cpp has the function.
_PACKAGE = """package sn_mutant_pkg;
  import "DPI-C" function int sn_chosen();
  int chosen = sn_chosen();
endpackage
"""


@dataclass
class Site:
    """A piece of a file, [start, end), and what it is in each of the mutants that change it."""

    start: int
    end: int
    statement: bool
    texts: dict[int, str] = field(default_factory=dict)


class _File:
    """A file of the RTL, its syntax and its sites."""

    def __init__(self, path: Path):
        self.text = path.read_text()
        assert self.text.isascii(), path  # the parser counts bytes
        self._tree = syntax.SyntaxTree.fromText(self.text, SourceManager(), path.name, path.name)
        self.sites: dict[tuple[int, int], Site] = {}

    def site(self, start: int, end: int) -> Site | None:
        """The smallest piece around [start, end) that can be chosen at run time."""
        node = _innermost(self._tree.root, start, end)
        while node is not None:
            if isinstance(node, syntax.StatementSyntax):
                if isinstance(node, syntax.TimingControlStatementSyntax):
                    return None
                return Site(*_span(node), True)
            if isinstance(node, syntax.ExpressionSyntax):
                parent = node.parent
                assigned = (
                    isinstance(parent, syntax.BinaryExpressionSyntax)
                    and isinstance(parent.parent, syntax.ContinuousAssignSyntax)
                    and _span(node) == _span(parent.right)
                )
                connected = isinstance(parent, syntax.SimpleSequenceExprSyntax)
                if assigned or connected:
                    return Site(*_span(node), False)
            node = node.parent
        return None

    def change(self, number: int, edits: Sequence[tuple[int, int, str]]) -> bool:
        """Put a mutant's edits behind its number; False if they cannot be."""
        sites = {}
        for start, end, _ in edits:
            found = self.site(start, end)
            if found is None:
                return False
            sites[found.start, found.end] = found
        outer = [
            one
            for one in sites.values()
            if not any(
                other is not one and other.start <= one.start and one.end <= other.end
                for other in sites.values()
            )
        ]
        for one in outer:
            inside = [e for e in edits if one.start <= e[0] and e[1] <= one.end]
            kept = self.sites.setdefault((one.start, one.end), one)
            kept.texts[number] = _edited(self.text, one.start, one.end, inside)
        return True

    def merged(self) -> str:
        """The file with all of its mutants."""
        return self._render(0, len(self.text), sorted(self.sites.values(), key=_order))

    def _render(self, start: int, end: int, sites: list[Site]) -> str:
        """[start, end) with these sites, of which the outer come before those in them."""
        parts, at = [], start
        while sites:
            site, *sites = sites
            inner = [one for one in sites if one.end <= site.end]
            sites = sites[len(inner) :]
            text = self._render(site.start, site.end, inner)
            for number, other in site.texts.items():
                condition = f"sn_mutant_pkg::chosen == {number}"
                if site.statement:
                    text = f"if ({condition}) begin\n{other}\nend else begin\n{text}\nend"
                else:
                    text = f"(({condition}) ? ({other}) : ({text}))"
            parts += [self.text[at : site.start], text]
            at = site.end
        return "".join([*parts, self.text[at:end]])


def _order(site: Site) -> tuple[int, int]:
    return site.start, -site.end


def _span(node) -> tuple[int, int]:
    where = node.sourceRange
    return where.start.offset, where.end.offset


def _innermost(root, start: int, end: int):
    node = root
    while True:
        for child in node:
            if isinstance(child, syntax.SyntaxNode) and child.sourceRange.start:
                low, high = _span(child)
                if low <= start and end <= high:
                    node = child
                    break
        else:
            return node


def _edited(text: str, start: int, end: int, edits: Sequence[tuple[int, int, str]]) -> str:
    parts, at = [], start
    for low, high, new in sorted(edits):
        parts += [text[at:low], new]
        at = high
    return "".join([*parts, text[at:end]])


def _narrowed(start: int, old: str, new: str) -> tuple[int, int, str]:
    """An edit without what it leaves as it is at its ends."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return start + head, start + len(old) - tail, new[head : len(new) - tail]


def merge(
    mutants: Mapping[str, Sequence[Edit]], files: Sequence[str]
) -> tuple[dict[str, str], dict[str, int]]:
    """All mutants that one build can hold: (file -> text, mutant -> its number).

    `files` are those of the unit, below rtl/, in order. Number 0 is the RTL as it is.
    """
    read = {name: _File(RTL / name) for name in files}
    numbers: dict[str, int] = {}
    for mutant, edits in mutants.items():
        number = len(numbers) + 1
        by_file: dict[str, list] = {}
        for name, old, new in edits:
            start = place(read[name].text, name, old)
            by_file.setdefault(name, []).append(_narrowed(start, old, new))
        if all(read[name].site(*edit[:2]) for name, some in by_file.items() for edit in some):
            for name, some in by_file.items():
                read[name].change(number, some)
            numbers[mutant] = number
    texts = {name: file.merged() for name, file in read.items() if file.sites}
    first = files[0]
    texts[first] = _PACKAGE + texts.get(first, read[first].text)
    return texts, numbers
