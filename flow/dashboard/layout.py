# SPDX-License-Identifier: Apache-2.0
"""What every page has around its own: head, navigation and footer; how a time is said."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ..regress.folder import TIME, RegressionFolder
from .markup import Html, el

SCRIPTED = ("runs.html", "failures.html")  # pages that page.js adds something to
OF_UNITS = {"plan": "Test plans", "coverage": "Coverage"}  # pages that each unit has


def page(regression: RegressionFolder, name: str, title: str, *body: object) -> Html:
    """A whole page: what every page has around `body`."""
    first = regression.units[:1]
    count = f" ({regression.failed})" if regression.failed else ""
    places = [
        ("index.html", "Overview"),
        *((f"{kind}_{unit}.html", text) for kind, text in OF_UNITS.items() for unit in first),
        ("failures.html", f"Failures{count}"),
        ("runs.html", "Runs"),
        ("history.html", "History"),
        ("mutation.html", "Mutants"),
        ("proofs.html", "Proofs"),
        ("accuracy.html", "Accuracy"),
        ("ppa.html", "Area"),
    ]
    here = next((p for p, _ in places if p.split("_")[0] == name.split("_")[0]), name)
    nav = el("nav", *_links(places, here), aria_label="pages")
    head = el("strong", "softnorm ", el("span", f"regression {regression.name}"))
    about = regression.metadata
    whole = el(
        "html",
        el(
            "head",
            el("meta", charset="utf-8"),
            el("meta", name="viewport", content="width=device-width, initial-scale=1"),
            el("title", f"{title} - softnorm regression {regression.name}"),
            el("link", rel="icon", href="data:,"),
            el("link", rel="stylesheet", href="style.css"),
        ),
        el(
            "body",
            el("header", el("div", head, nav), class_="top"),
            el("main", el("h1", title), *body),
            el(
                "footer",
                f"Regression {regression.name}, started {when(about.get('started', ''))}, commit "
                f"{about.get('commit', '')[:12] or 'unknown'}. Written by ",
                el("code", "make report"),
                ".",
            ),
            el("script", src="page.js") if name in SCRIPTED else "",
        ),
        lang="en-GB",
    )
    return Html(f"<!DOCTYPE html>\n{whole}\n")


def _links(places: Iterable[tuple[str, str]], here: str) -> list[Html]:
    return [
        el("a", text, href=target, aria_current="page" if target == here else None)
        for target, text in places
    ]


def switcher(regression: RegressionFolder, kind: str, here: str) -> Html:
    """Links to the same page of the other units."""
    places = [(f"{kind}_{unit}.html", unit) for unit in regression.units]
    return el("nav", *_links(places, f"{kind}_{here}.html"), class_="units", aria_label="units")


def when(started: str) -> str:
    """An ISO time as a person says it."""
    try:
        time = datetime.strptime(started, TIME)
    except ValueError:
        return started or "unknown"
    offset = {"+0000": "UTC"}.get(started[-5:], started[-5:])
    return f"{time.day} {time:%B %Y, %H:%M} {offset}"
