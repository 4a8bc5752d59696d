# SPDX-License-Identifier: Apache-2.0
"""Report pages from the documentation: accuracy; area, speed and energy."""

from __future__ import annotations

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


def plots() -> list[Path]:
    """The plots that these pages show."""
    return [DOCS / name for text in _texts().values() for name in images(text, DOCS)]


def _texts() -> dict[str, str]:
    """Markdown of each page by its name."""
    return {
        "accuracy.html": (DOCS / measured.PAGE).read_text(encoding="utf-8"),
        "ppa.html": ppa_page.page(store.load(DOCS)),
    }


def _document(regression: RegressionFolder, name: str, text: str) -> Html:
    title, body = text.removeprefix("# ").split("\n", 1)
    return page(regression, name, title, rendered(body, DOCS))
