# SPDX-License-Identifier: Apache-2.0
"""Coverage for other tools: LCOV tracefiles and UCIS interchange XML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from softnorm.units import get

from ..paths import RTL
from .code import Figures, Point


def lcov(figures: Iterable[Figures]) -> str:
    """LCOV tracefile: lines and branches of each unit (as test name), without what is waived."""
    text = []
    for one in figures:
        by_file: dict[str, list[tuple[Point, int]]] = {}
        for point, count in one.counts.items():
            if point.kind in ("line", "branch") and point not in one.waived:
                by_file.setdefault(point.file, []).append((point, count))
        for file, points in sorted(by_file.items()):
            text += [f"TN:{one.unit}", f"SF:{RTL / file}"]
            arms = sorted((p, n) for p, n in points if p.kind == "branch")
            lines = sorted((p, n) for p, n in points if p.kind == "line")
            run = {p.line: n for p, n in lines}
            number: dict[int, int] = {}
            for point, count in arms:
                index = number.setdefault(point.line, 0)
                number[point.line] += 1
                taken = count if run.get(point.line, 1) else "-"
                text.append(f"BRDA:{point.line},0,{index},{taken}")
            text += [f"BRF:{len(arms)}", f"BRH:{sum(1 for _, n in arms if n)}"]
            text += [f"DA:{point.line},{count}" for point, count in lines]
            text += [f"LF:{len(lines)}", f"LH:{sum(1 for _, n in lines if n)}", "end_of_record"]
    return "\n".join(text) + "\n"


def ucis(figures: Iterable[Figures], when: str, tools: Mapping[str, str]) -> str:
    """UCIS 1.0 interchange XML: an instance for each unit and each file of it.

    Lines are statements, expressions conditions; what is waived is there as excluded, with its
    reason. `when` is the time of the regression, `tools` the simulators that ran it, name ->
    version.
    """
    figures = list(figures)
    when = when[:19]  # pyucis reads no time zone
    tops = {one.unit: get(one.unit).rtl[-1] for one in figures}  # functional coverage is a unit's
    files = sorted({p.file for one in figures for p in one.counts if p.line} | {*tops.values()})
    number = {file: index for index, file in enumerate(files, 1)}
    root = Element("UCIS", ucisVersion="1.0", writtenBy="softnorm", writtenTime=when)
    for file, index in number.items():
        SubElement(root, "sourceFiles", fileName=f"rtl/{file}", id=str(index))
    for index, (tool, version) in enumerate(tools.items()):
        SubElement(
            root,
            "historyNodes",
            historyNodeId=str(index),
            logicalName=f"regression on {tool}",
            testStatus="true",
            date=when,
            toolCategory="UCIS:simulator",
            ucisVersion="1.0",
            vendorId=tool,
            vendorTool=tool,
            vendorToolVersion=version,
        )
    for one in figures:
        by_file: dict[str, dict[str, list[Point]]] = {}
        for point in one.counts:
            by_file.setdefault(point.file, {}).setdefault(point.kind, []).append(point)
        top = SubElement(root, "instanceCoverages", name=one.unit, key="0", moduleName=one.unit)
        source = number[tops[one.unit]]
        _statement(top, "id", source, 1)
        groups = {f: kinds["functional"] for f, kinds in by_file.items() if "functional" in kinds}
        if groups:
            _covergroups(SubElement(top, "covergroupCoverage"), one, groups, source)
        for file in sorted(number.keys() & by_file.keys()):
            module = Path(file).stem
            node = SubElement(
                root,
                "instanceCoverages",
                name=f"{one.unit}.{module}",
                key="0",
                moduleName=module,
            )
            _statement(node, "id", number[file], 1)
            for name, kind, write in (
                ("toggleCoverage", "toggle", _toggles),
                ("blockCoverage", "line", _statements),
                ("conditionCoverage", "expression", _conditions),
                ("branchCoverage", "branch", _branches),
            ):
                if kind in by_file[file]:
                    write(SubElement(node, name), one, by_file[file][kind], number[file])
    indent(root, " ")
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _statement(parent: Element, name: str, file: int, line: int) -> None:
    SubElement(parent, name, file=str(file), line=str(line), inlineCount="1")


def _bin(parent: Element, name: str, one: Figures, point: Point, label: str = "") -> None:
    excluded = {}
    if point in one.waived:
        excluded = {"excluded": "true", "excludedReason": one.waived[point]}
    made = SubElement(parent, name, excluded)
    SubElement(made, "contents", nameComponent=label, coverageCount=str(one.counts[point]))


def _toggles(parent: Element, one: Figures, points: list[Point], file: int) -> None:
    signals: dict[tuple[int, str], dict[str, list[tuple[Point, str, str]]]] = {}
    for point in points:
        bit, _, change = point.detail.rpartition(":")
        start, _, end = change.partition("->")
        signal = re.sub(r"(\[\d+\])+$", "", bit)
        bits = signals.setdefault((point.line, signal), {})
        bits.setdefault(bit, []).append((point, start, end))
    for (line, signal), bits in signals.items():
        node = SubElement(parent, "toggleObject", name=signal, key="0")
        _statement(node, "id", file, line)
        for bit, changes in bits.items():
            inner = SubElement(node, "toggleBit", name=bit, key="0")
            for point, start, end in changes:
                _bin(SubElement(inner, "toggle", {"from": start, "to": end}), "bin", one, point)


def _statements(parent: Element, one: Figures, points: list[Point], file: int) -> None:
    for point in points:
        node = SubElement(parent, "statement")
        _statement(node, "id", file, point.line)
        _bin(node, "bin", one, point)


def _conditions(parent: Element, one: Figures, points: list[Point], file: int) -> None:
    for index, point in enumerate(points):
        column, _, row = point.detail.partition(": ")
        node = SubElement(
            parent,
            "expr",
            name=column,
            key="0",
            exprString=row,
            index=str(index),
            width="1",
        )
        _statement(node, "id", file, point.line)
        SubElement(node, "subExpr").text = row
        _bin(node, "bin", one, point, row)


def _branches(parent: Element, one: Figures, points: list[Point], file: int) -> None:
    lines: dict[int, list[Point]] = {}
    for point in points:
        lines.setdefault(point.line, []).append(point)
    for line, arms in lines.items():
        node = SubElement(parent, "statement", statementType="if")
        _statement(node, "id", file, line)
        for point in arms:
            arm = SubElement(node, "branch")
            _statement(arm, "id", file, line)
            _bin(arm, "branchBin", one, point, point.detail)


def _covergroups(
    parent: Element, one: Figures, groups: Mapping[str, list[Point]], source: int
) -> None:
    instances: dict[str, Element] = {}
    for name, points in groups.items():
        group, _, label = name.partition(".")
        if group not in instances:
            instances[group] = SubElement(parent, "cgInstance", name=group, key="0")
            SubElement(instances[group], "options")
            where = SubElement(instances[group], "cgId", cgName=group, moduleName=one.unit)
            _statement(where, "cginstSourceId", source, 1)
            _statement(where, "cgSourceId", source, 1)
        node = SubElement(instances[group], "coverpoint", name=label, key="0")
        SubElement(node, "options")
        for index, point in enumerate(points):
            kind = "ignore" if point in one.waived else "bins"
            made = SubElement(node, "coverpointBin", name=point.detail, type=kind, key="0")
            place = SubElement(made, "range", {"from": str(index), "to": str(index)})
            SubElement(place, "contents", coverageCount=str(one.counts[point]))
