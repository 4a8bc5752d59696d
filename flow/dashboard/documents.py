# SPDX-License-Identifier: Apache-2.0
"""Report pages from the documentation: accuracy; area, speed and energy; mutants; proofs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from ..accuracy import tables as measured
from ..paths import ROOT
from ..ppa import page as ppa_page
from ..ppa import store
from ..regress.folder import RegressionFolder
from .layout import page
from .markdown import images, rendered
from .markup import Html

DOCS = ROOT / "docs"


def accuracy(regression: RegressionFolder) -> Html:
    """The page of docs/accuracy.md: it depends on the models only, not on the regression."""
    return _document(regression, "accuracy.html")


def ppa(regression: RegressionFolder) -> Html:
    """The page of area, speed and energy, from docs/ppa.json and the present sources."""
    return _document(regression, "ppa.html")


def mutation(regression: RegressionFolder) -> Html:
    """The page of docs/mutation.md."""
    return _document(regression, "mutation.html")


def proofs(regression: RegressionFolder) -> Html:
    """The page of docs/proofs.md."""
    return _document(regression, "proofs.html")


def plots() -> list[Path]:
    """The plots that these pages show."""
    return [DOCS / name for text in _TEXTS.values() for name in images(text(), DOCS)]


def _kept(name: str) -> str:
    """A page of the documentation without its comments, which say what is made."""
    path = DOCS / name
    if not path.exists():
        return f"# {name.removesuffix('.md').capitalize()}\n\nNothing is recorded.\n"
    return re.sub(r"^<!--.*-->\n", "", path.read_text(encoding="utf-8"), flags=re.M)


# Markdown of each page by its name.
_TEXTS: dict[str, Callable[[], str]] = {
    "accuracy.html": lambda: (DOCS / measured.PAGE).read_text(encoding="utf-8"),
    "ppa.html": lambda: ppa_page.page(store.load(DOCS)),
    "mutation.html": lambda: _kept("mutation.md"),
    "proofs.html": lambda: _kept("proofs.md"),
}


def _document(regression: RegressionFolder, name: str) -> Html:
    title, body = _TEXTS[name]().removeprefix("# ").split("\n", 1)
    return page(regression, name, title, rendered(body, DOCS))
