"""Bar charts as SVG, for the inspect page."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from shards.page.html import Markup, joined, tag

COLORS = ("#3566a8", "#d9822b", "#4f8a4c", "#8a5aa8", "#777777")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 1080, 150, 44, 20, 8
_CHARACTER = 6.5  # width of one, about
_LONGEST = 10  # characters of a label
_WIDEST = 90.0


def bar_chart(title: str, labels: Sequence[str], counts: Mapping[str, Sequence[int]]) -> Markup:
    """A chart of stacked bars, one per label; `counts` gives a series (split) its number for every label.

    Hovering over a bar tells what it is.
    """
    most = max((sum(column) for column in zip(*counts.values(), strict=True)), default=0) or 1
    step = min((_WIDTH - _LEFT) / max(len(labels), 1), _WIDEST)
    scale = (_HEIGHT - _BOTTOM - _TOP) / most
    parts = _axis(most, scale)
    ticks = [label if len(label) <= _LONGEST else label[: _LONGEST - 1] + "…" for label in labels]
    # Every so many labels, so that they do not run into one another.
    shown = math.ceil((max(map(len, ticks), default=1) + 1) * _CHARACTER / step)
    for place, label in enumerate(labels):
        x, y = _LEFT + place * step, float(_HEIGHT - _BOTTOM)
        for number, (series, values) in enumerate(counts.items()):
            height = values[place] * scale
            y -= height
            if values[place]:
                tip = tag("title", f"{label}: {values[place]} in {series}")
                where = {"x": f"{x + step * 0.08:.1f}", "y": f"{y:.1f}"}
                size = {"width": f"{step * 0.84:.1f}", "height": f"{height:.1f}"}
                parts.append(tag("rect", tip, **where, **size, fill=COLORS[number % len(COLORS)]))
        if place % shown == 0:
            parts.append(_text(x + step / 2, _HEIGHT - 6, ticks[place], "middle"))
    svg = tag("svg", *parts, class_="chart", viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=title)
    return tag("figure", tag("figcaption", title), svg)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return tag("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor)


def _axis(most: int, scale: float) -> list[Markup]:
    lines = []
    for value in sorted({0, most // 2, most}):
        y = _HEIGHT - _BOTTOM - value * scale
        lines.append(tag("line", x1=_LEFT, x2=_WIDTH, y1=f"{y:.1f}", y2=f"{y:.1f}", stroke="#ddd"))
        lines.append(_text(_LEFT - 6, y + 4, str(value), "end"))
    return lines


def legend(series: Sequence[str]) -> Markup:
    """Names of the series with their colours."""
    marks = [tag("i", style=f"background:{COLORS[number % len(COLORS)]}") for number in range(len(series))]
    return joined(*(tag("span", mark, name, class_="key") for mark, name in zip(marks, series, strict=True)))


def binned(values: np.ndarray, bins: int = 30) -> tuple[list[str], np.ndarray]:
    """Labels of at most `bins` bins of whole numbers over int (N,) values, and int (N,) the bin of each."""
    low, high = int(values.min()), int(values.max())
    width = -(-(high - low + 1) // bins)
    starts = range(low, high + 1, width)
    labels = [str(start) if width == 1 else f"{start}–{start + width - 1}" for start in starts]
    return labels, (values - low) // width
