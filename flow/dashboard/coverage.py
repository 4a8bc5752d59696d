# SPDX-License-Identifier: Apache-2.0
"""A unit's coverage: its functional points, down to the bin, and its code coverage below."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from softnorm.units import get
from softnorm.units.coverage import Coverage, Coverpoint

from ..coverage.code import Point
from ..regress.folder import RegressionFolder, functional_point
from .code import code_section
from .layout import page, switcher
from .markup import Html, el, link, rate, share, slug, table


def coverage_page(regression: RegressionFolder, unit: str) -> Html:
    """A unit's coverage, down to the bin."""
    covered = regression.covered.get(unit, {})
    code = code_section(regression, unit)
    parts: list[object] = [
        switcher(regression, "coverage", unit),
        el("p", get(unit).title, class_="lead"),
        el(
            "p",
            "Rows that were seen on the pins and compared, of the runs that passed. Bins that "
            "cannot be reached are not made. Each point opens to its bins. "
            f"{regression.measured[1]}",
        ),
    ]
    if not covered:
        parts.append(el("p", "No run that passed: there is no functional coverage."))
    else:
        lines = []
        for number, (name, c) in enumerate(covered.items(), 1):
            hit, total = regression.bins_of(unit, name, c.points)
            lines.append((link(name, f"#c{number}"), share(hit, total), total - hit))
        if code:
            lines.append((link("code coverage", "#code"), "", ""))
        parts.append(table(("configuration", "bins hit", "not hit"), lines, "configurations"))
        parts += _items(regression, unit, covered)
    for number, (name, coverage) in enumerate(covered.items(), 1):
        parts.append(el("h2", name, id=f"c{number}"))
        waived = regression.waived(unit, name)
        for group, points in groupby(coverage.points.items(), key=lambda item: item[1].group):
            parts.append(el("h3", f"Covergroup {group}", id=f"c{number}-{slug(group)}"))
            parts.append(
                el("div", *(_point(number, key, p, waived) for key, p in points), class_="points")
            )
    if code:
        parts.append(code)
    return page(regression, f"coverage_{unit}.html", f"Coverage of {unit}", *parts)


def item_anchor(item: str) -> str:
    """Where a covergroup, or a `group.point`, stands on its unit's page."""
    return slug("i", *item.split(".", 1))


def _items(
    regression: RegressionFolder, unit: str, covered: Mapping[str, Coverage]
) -> tuple[object, object, object]:
    """Every point, together and in each configuration: what testpoints refer to."""
    groups: dict[str, dict[str, tuple[int, int]]] = {}
    for coverage in covered.values():  # in the order in which they are made
        for name, point in coverage.points.items():
            item = f"{point.group}.{name}"
            groups.setdefault(point.group, {})[item] = regression.items[unit].get(item, (0, 0))
    lines = []
    for group, items in groups.items():
        hit, total = (sum(numbers) for numbers in zip(*items.values(), strict=True))
        about = {"id": item_anchor(group), "class_": "group"}
        lines.append((about, [group, rate(hit, total), *("" for _ in covered)]))
        for item, bins in items.items():
            name = item.partition(".")[2]
            cells = [
                _of_configuration(regression, unit, number, configuration, name)
                for number, configuration in enumerate(covered, 1)
            ]
            lines.append(({"id": item_anchor(item)}, [el("code", item), rate(*bins), *cells]))
    return (
        el("h2", "Points", id="points"),
        el(
            "p",
            "The bar is over the configurations that have goals: a bin counts as hit where any of "
            "them hit it. Other configurations have few seeds.",
            class_="lead",
        ),
        table(("point", "together", *covered), lines, f"points of {unit}", class_="tight"),
    )


def _of_configuration(
    regression: RegressionFolder, unit: str, number: int, configuration: str, name: str
) -> object:
    point = regression.covered[unit][configuration].points.get(name)
    if point is None:
        return el("span", "none", class_="soft")
    hit, total = regression.bins_of(unit, configuration, {name: point})
    return link(f"{hit:,}/{total:,}", f"#c{number}-{slug(point.group, name)}")


def _point(number: int, name: str, point: Coverpoint, waived: Mapping[Point, str]) -> Html:
    hit = [(bin, n) for bin, n in zip(point.bins, point.counts.tolist(), strict=True) if n]
    reasons = {bin: waived.get(functional_point(name, point, bin)) for bin in point.holes}
    holes = [bin for bin, reason in reasons.items() if reason is None]
    inside: list[object] = []
    if holes:
        inside.append(el("p", f"Not hit: {len(holes)}", class_="bins-title"))
        inside.append(el("ul", *(el("li", bin) for bin in holes), class_="bins holes"))
    for reason in dict.fromkeys(filter(None, reasons.values())):
        bins = [bin for bin, other in reasons.items() if other == reason]
        inside.append(el("p", f"Waived: {len(bins)}. {reason}", class_="bins-title"))
        inside.append(el("ul", *(el("li", bin) for bin in bins), class_="bins"))
    if hit:
        inside.append(el("p", f"Hit: {len(hit)}, with counts", class_="bins-title"))
        bins = (el("li", bin, " ", el("b", f"{count:,}")) for bin, count in hit)
        inside.append(el("ul", *bins, class_="bins"))
    head = el(
        "summary",
        el("b", name),
        share(point.hit, point.hit + len(holes)),
        el("span", point.about, class_="soft"),
        class_="point",
    )
    return el("details", head, *inside, id=f"c{number}-{slug(point.group, name)}")
