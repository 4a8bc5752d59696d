# SPDX-License-Identifier: Apache-2.0
"""A hook of MkDocs: pages that lie beside docs/ join the site, and links to sources lead to them.

A page is written once, for the forge, with links relative to its own place in the repository.
mkdocs.yml loads this file by its path.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

from softnorm.flow.paths import ROOT

# A page's place in the repository -> in the site.
BESIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "data/README.md": "data.md",
}
_LINK = re.compile(r"(?<!!)\[([^][]*)\]\(([^)\s#]+)(#[^)\s]*)?\)|(!\[[^]\n]*\]\()([^)\s]+)\)")


def in_site(path: str) -> str | None:
    """Where a file of the repository is in the site; None if it is not there."""
    return BESIDE.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)


def in_repository(page: str) -> str:
    """Where a page of the site is in the repository."""
    return {place: path for path, place in BESIDE.items()}.get(page, f"docs/{page}")


def relinked(text: str, page: str, forge: str = "") -> str:
    """A page's text with its links as the site needs them.

    A link to a source file or folder leads to `forge`; without one its words stay, and no link.
    """
    source = in_repository(page)

    def link(match: re.Match[str]) -> str:
        words, target, anchor, image, picture = match.groups()
        target = target or picture
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if "://" in target or not (ROOT / path).exists():
            return match[0]  # the site's strict build names what is not there
        place = in_site(path)
        if place is None:
            return f"[{words}]({forge}/{path}{anchor or ''})" if forge else words
        place = posixpath.relpath(place, posixpath.dirname(page) or ".")
        return f"{image}{place})" if image else f"[{words}]({place}{anchor or ''})"

    return _LINK.sub(link, text)


def on_files(files: Any, config: Any) -> Any:
    """MkDocs has found the files of docs/: add the pages beside it."""
    from mkdocs.structure.files import File

    for path, place in BESIDE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """MkDocs has read a page."""
    return relinked(markdown, page.file.src_uri, config.extra["forge"])
