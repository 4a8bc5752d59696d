# SPDX-License-Identifier: Apache-2.0
"""A curve over regressions as inline SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .layout import when
from .markup import Html, el


def chart(title: str, lines: Sequence[dict], of: Callable[[dict], float], unit: str = " %") -> Html:
    """A curve over regressions as inline SVG; its last value stands in the caption."""
    values = [of(line) for line in lines]
    low, high = _range(values, 100.0 if unit else None)
    width, height, left, right, top, bottom = 360, 170, 46, 14, 12, 24

    def x(number: int) -> float:
        inner = width - left - right
        return left + (inner * number / (len(values) - 1) if len(values) > 1 else inner / 2)

    def y(value: float) -> float:
        return top + (height - top - bottom) * (high - value) / (high - low)

    drawn: list[object] = []
    for tick in (low, (low + high) / 2, high):
        drawn.append(
            el(
                "line",
                x1=left,
                x2=width - right,
                y1=f"{y(tick):.1f}",
                y2=f"{y(tick):.1f}",
                class_="grid",
            )
        )
        drawn.append(
            el("text", f"{tick:,.4g}{unit}", x=left - 6, y=f"{y(tick) + 4:.1f}", text_anchor="end")
        )
    if len(values) > 1:
        points = " L".join(f"{x(n):.1f} {y(value):.1f}" for n, value in enumerate(values))
        drawn.append(el("path", d=f"M{points}", class_="curve"))
    for n, (line, value) in enumerate(zip(lines, values, strict=True)):
        told = f"{line['name']}, {when(line['started'])}: {value:,.4g}{unit}"
        at = {"cx": f"{x(n):.1f}", "cy": f"{y(value):.1f}", "r": 4}
        drawn.append(el("circle", el("title", told), class_="dot", **at))
    ends = [(0, "start"), (len(values) - 1, "end")] if len(values) > 1 else [(0, "middle")]
    for n, anchor in ends:
        day = lines[n]["started"][:10]
        drawn.append(el("text", day, x=f"{x(n):.1f}", y=height - 6, text_anchor=anchor))
    told = f"{title}: {values[-1]:,.4g}{unit} in the last of {len(values)} regressions"
    svg = el("svg", *drawn, viewBox=f"0 0 {width} {height}", role="img", aria_label=told)
    caption = el("figcaption", title, " ", el("span", f"{values[-1]:,.4g}{unit}"))
    return el("figure", caption, svg)


def _range(values: Sequence[float], most: float | None) -> tuple[float, float]:
    """An axis around values, a share's ending at 100; never so narrow that noise looks large."""
    low, high = min(values), max(values)
    least = 4.0 if most else max(high * 0.2, 1.0)
    spare = max((high - low) * 0.15, (least - (high - low)) / 2, 0.0)
    low = max(low - spare, 0.0)
    high = high + spare
    if most:
        low, high = min(low, most - least), min(high, most)
    step = 10 ** max(len(str(int(high - low))) - 1, 0) / 2
    low = low // step * step
    return low, max(-(-high // step) * step, low + step)
