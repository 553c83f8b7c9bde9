"""Charts as SVG, for the inspect page and the report of `evaluate`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shards.page.drawing import Drawing, Mark, dot, line, rectangle, text
from shards.page.render import percent

SERIES = tuple(f"series{number}" for number in range(5))  # classes in page.css
_CHARACTER = 6.5  # pixels: about the width of one
_BINS = 30  # of a histogram
_LONGEST = 10  # characters of a bar's label
_LONGEST_NAME = 20  # characters of a class's name beside a matrix
_WIDEST = 90.0  # pixels of a bar
_SIDE = 680.0  # pixels of a matrix without names
_FAINTEST = 0.6  # opacity of its cells, which are small
_CELL = 36  # pixels of a matrix's cell
# Opacity of a matrix's cells up to which a light page's counts are black and a dark page's white. With the colors in
# page.css, counts have a contrast of at least 4.5 on every cell in both.
_PALE = 0.8


@dataclass(frozen=True)
class IntervalRow:
    """A share with its interval, as one row of `interval_chart`."""

    name: str
    value: float
    low: float
    high: float
    note: str  # on the right


def bar_chart(
    title: str,
    labels: Sequence[str],
    counts: Mapping[str, Sequence[int]],
    size: tuple[int, int] = (1080, 150),
    styles: Sequence[str] = SERIES,
) -> Drawing:
    """Stacked bars, one per label; `counts` gives a series (split) its number for every label.

    Pointing at a bar tells what it is.
    """
    (width, height), left, bottom, top = size, 44, 20, 8
    most = max((sum(column) for column in zip(*counts.values(), strict=True)), default=0) or 1
    step = min((width - left) / max(len(labels), 1), _WIDEST)
    scale = (height - bottom - top) / most
    marks = []
    for value in sorted({0, most // 2, most}):
        y = height - bottom - value * scale
        marks += [line(left, y, width, y, "axis"), text(left - 6, y + 4, str(value), "end")]
    # Every so many labels, so that they do not run into one another.
    shown = math.ceil((max((len(_cut(label, _LONGEST)) for label in labels), default=1) + 1) * _CHARACTER / step)
    for place, label in enumerate(labels):
        x, y = left + place * step, float(height - bottom)
        for number, (series, values) in enumerate(counts.items()):
            if values[place]:
                y -= values[place] * scale
                tip = f"{label}: {values[place]} in {series}"
                style = styles[number % len(styles)]
                marks.append(rectangle(x + step * 0.08, y, step * 0.84, values[place] * scale, style, tip))
        if place % shown == 0:
            marks.append(text(x + step / 2, height - 6, _cut(label, _LONGEST), "middle"))
    return Drawing((0, 0, width, height), marks, title)


def binned(values: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Labels of at most 30 bins of whole numbers over int (N,) values, and int (N,) the bin of each."""
    low, high = int(values.min()), int(values.max())
    width = -(-(high - low + 1) // _BINS)
    starts = range(low, high + 1, width)
    labels = [str(start) if width == 1 else f"{start}–{start + width - 1}" for start in starts]
    return labels, (values - low) // width


def interval_chart(
    title: str,
    rows: Sequence[IntervalRow],
    span: tuple[float, float],
    width: int,
    ticks: Sequence[float] = (),
    overall: float | None = None,
    longest: int = _LONGEST_NAME,
) -> Drawing:
    """Shares with their intervals, one below the other.

    Args:
        title: for those who cannot see it.
        rows: from the top.
        span: the shares at the left and the right end of the axis.
        width: of the axis, in pixels.
        ticks: shares with a line and a number above.
        overall: a share with a dashed line.
        longest: characters of a name that there is room for.
    """
    step, top = 24, 22 if ticks else 0
    left = max(len(_cut(row.name, longest)) for row in rows) * _CHARACTER + 12
    height = top + step * len(rows)

    def x(share: float) -> float:
        return left + width * (share - span[0]) / (span[1] - span[0])

    marks = []
    for tick in ticks:
        marks += [line(x(tick), top - 6, x(tick), height, "axis"), text(x(tick), 12, percent(tick, 0), "middle")]
    if overall is not None:
        marks.append(line(x(overall), top - 6, x(overall), height, "reference"))
    for number, row in enumerate(rows):
        y = top + step * (number + 0.5)
        marks += [
            text(0, y + 4, _cut(row.name, longest), tip=row.name),
            line(left, y, left + width, y, "axis"),
            line(x(row.low), y, x(row.high), y, "interval"),
            dot(x(row.value), y, 4.5, "value", f"{row.name}: {percent(row.value)}"),
            text(left + width + 12, y + 4, row.note),
        ]
    right = max(len(row.note) for row in rows) * _CHARACTER + 16
    return Drawing((0, 0, math.ceil(left + width + right), height + 2), marks, title)


def reliability_chart(points: Sequence[tuple[float, float, int]]) -> Drawing:
    """Accuracy against confidence of (confidence, accuracy, samples); a dot's area follows its samples.

    The dashed line is where the dots of probabilities that mean what they say lie.
    """
    left, top, side = 52, 26, 220
    marks = [text(left, 12, "accuracy"), text(left + side / 2, top + side + 36, "confidence", "middle")]
    for tick in np.linspace(0, 1, 6).tolist():
        y = top + side * (1 - tick)
        marks += [line(left, y, left + side, y, "axis"), text(left - 8, y + 4, percent(tick, 0), "end")]
        marks.append(text(left + side * tick, top + side + 18, percent(tick, 0), "middle"))
    marks.append(line(left, top + side, left + side, top, "reference"))
    most = max((samples for _, _, samples in points), default=1)
    places = [(left + side * confidence, top + side * (1 - accuracy)) for confidence, accuracy, _ in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    marks.append(Mark("polyline", {"points": path, "class": "curve"}))
    for (x, y), (confidence, accuracy, samples) in zip(places, points, strict=True):
        tip = f"{samples} samples: confidence {percent(confidence)}, accuracy {percent(accuracy)}"
        marks.append(dot(x, y, 3 + 9 * (samples / most) ** 0.5, "value", tip))
    return Drawing((0, 0, left + side + 28, top + side + 42), marks, "Accuracy by confidence")


def matrix_chart(matrix: np.ndarray, names: Sequence[str], numbers: Sequence[int]) -> Drawing:
    """A small confusion matrix with names and counts: a row per right class, a column per predicted class.

    The cell of classes 3 and 5 is the element `cell=3,5`, which a link can lead to.

    Args:
        matrix: int (C, C).
        names: of the C classes.
        numbers: of the C classes.
    """
    count = len(names)
    labels = [_cut(name, _LONGEST_NAME) for name in names]
    left, top, side = max(map(len, labels)) * _CHARACTER + 30, 24, _CELL * count
    marks = [text(left, 14, "predicted", style="title"), text(left - 10, 14, "class", "end", "title")]
    for number, (label, name) in enumerate(zip(labels, names, strict=True)):
        middle = _CELL * (number + 0.5) + 4
        marks.append(text(left - 10, top + middle, label, "end", tip=name))
        turned = {"transform": f"translate({left + middle:.1f} {top + side + 8}) rotate(-90)", "text-anchor": "end"}
        marks.append(Mark("text", turned, label, name))
    for row, column in np.ndindex(count, count):
        samples, total = int(matrix[row, column]), int(matrix[row].sum())
        tip = f"{names[row]} → {names[column]}: {samples} of {total}"
        place = f"cell={numbers[row]},{numbers[column]}"
        x, y = left + _CELL * column, top + _CELL * row
        if not samples:
            marks.append(rectangle(x, y, _CELL - 1, _CELL - 1, "empty", tip, {"id": place}))
            continue
        kind, shade = _shade(row == column, samples / total)
        marks.append(rectangle(x, y, _CELL - 1, _CELL - 1, kind, tip, {"id": place, "fill-opacity": shade}))
        style = "strong" if shade > _PALE else "pale"
        marks.append(text(x + _CELL / 2, y + _CELL / 2 + 4, str(samples), "middle", style))
    return Drawing((0, 0, math.ceil(left + side + 2), math.ceil(top + side + left)), marks, "Confusion matrix")


def matrix_overview(matrix: np.ndarray, names: Sequence[str]) -> Drawing:
    """A large confusion matrix, a small square for every pair of classes that has samples, without names and counts.

    Args:
        matrix: int (C, C).
        names: of the C classes, shown by browsers.
    """
    left, top, cell = 20, 20, max(_SIDE / len(names), 0.5)
    side = cell * len(names)
    turned = {"transform": f"translate(12 {top + side / 2:.1f}) rotate(-90)", "text-anchor": "middle", "class": "title"}
    marks = [text(left + side / 2, 12, "predicted", "middle", "title"), Mark("text", turned, "class")]
    marks.append(rectangle(left, top, side, side, "frame"))
    totals = matrix.sum(axis=1)
    for row, column in np.argwhere(matrix).tolist():
        samples, total = int(matrix[row, column]), int(totals[row])
        tip = f"{names[row]} → {names[column]}: {samples} of {total}"
        kind, shade = _shade(row == column, samples / total)
        shade = max(shade, _FAINTEST)
        place = {"x": f"{left + cell * column:.2f}", "y": f"{top + cell * row:.2f}"}
        marks.append(rectangle(0, 0, cell, cell, kind, tip, {**place, "fill-opacity": shade}))
    return Drawing((0, 0, math.ceil(left + side + 2), math.ceil(top + side + 2)), marks, "Confusion matrix")


def _shade(right: bool, share: float) -> tuple[str, float]:
    """Class and opacity of a cell that has a share of its row's samples.

    Even one of many samples that are taken for another class is to be seen, so that it is the root for these.
    """
    return ("cell-right", round(0.1 + 0.9 * share, 2)) if right else ("cell-wrong", round(0.1 + 0.9 * share**0.5, 2))


def _cut(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
