# SPDX-License-Identifier: Apache-2.0
"""Report pages from the documentation: accuracy; area, speed and energy; mutants; proofs."""

from __future__ import annotations

import re
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
    return _document(regression, "accuracy.html", _texts()["accuracy.html"])


def ppa(regression: RegressionFolder) -> Html:
    """The page of area, speed and energy, from docs/ppa.json and the present sources."""
    return _document(regression, "ppa.html", _texts()["ppa.html"])


def mutation(regression: RegressionFolder) -> Html:
    """The page of docs/mutation.md."""
    return _document(regression, "mutation.html", _texts()["mutation.html"])


def proofs(regression: RegressionFolder) -> Html:
    """The page of docs/proofs.md."""
    return _document(regression, "proofs.html", _texts()["proofs.html"])


def plots() -> list[Path]:
    """The plots that these pages show."""
    return [DOCS / name for text in _texts().values() for name in images(text, DOCS)]


def _texts() -> dict[str, str]:
    """Markdown of each page by its name."""
    return {
        "accuracy.html": (DOCS / measured.PAGE).read_text(encoding="utf-8"),
        "ppa.html": ppa_page.page(store.load(DOCS)),
        "mutation.html": _kept("mutation.md"),
        "proofs.html": _kept("proofs.md"),
    }


def _kept(name: str) -> str:
    """A page of the documentation without its comments, which say what is made."""
    path = DOCS / name
    if not path.exists():
        return f"# {name.removesuffix('.md').capitalize()}\n\nNothing is recorded.\n"
    return re.sub(r"^<!--.*-->\n", "", path.read_text(encoding="utf-8"), flags=re.M)


def _document(regression: RegressionFolder, name: str, text: str) -> Html:
    title, body = text.removeprefix("# ").split("\n", 1)
    return page(regression, name, title, rendered(body, DOCS))
