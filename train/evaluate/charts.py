"""Charts of a report, as SVG elements."""

from collections.abc import Sequence

import numpy as np

from shards.page.html import Markup, tag
from train.evaluate.calibration import Calibration
from train.evaluate.intervals import Interval
from train.evaluate.report import Group

BLUE, RED, GREY, LINE, INK = "#2867b2", "#c8452f", "#9aa6b2", "#e1e6ec", "#1d2733"


def percent(share: float, digits: int = 1) -> str:
    """0.9292 → "92.9 %"."""
    return f"{100 * share:.{digits}f} %"


def _svg(width: float, height: float, *children: Markup, label: str) -> Markup:
    return tag(
        "svg", *children, viewBox=f"0 0 {width} {height}", width=width, height=height, role="img", aria_label=label
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = LINE, **more: object) -> Markup:
    return tag("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", stroke=colour, **more)


def _text(x: float, y: float, text: str, anchor: str = "start", **more: object) -> Markup:
    return tag("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, **more)


def _dot(x: float, y: float, radius: float, title: str) -> Markup:
    return tag("circle", tag("title", title), cx=f"{x:.1f}", cy=f"{y:.1f}", r=f"{radius:.1f}", fill=BLUE)


def whiskers(rows: Sequence[tuple[str, Interval]], value: float, low: float, high: float) -> Markup:
    """Named intervals below each other around one value, on an axis from `low` to `high`."""
    left, width, step = 66, 140, 21

    def x(share: float) -> float:
        return left + width * (share - low) / (high - low)

    parts = []
    for number, (name, interval) in enumerate(rows):
        y = 12 + step * number
        parts += [
            _text(0, y + 4, name),
            _line(left, y, left + width, y),
            _line(x(interval.low), y, x(interval.high), y, BLUE, stroke_width=4, stroke_linecap="round"),
            tag("circle", cx=f"{x(value):.1f}", cy=y, r=4, fill="#fff", stroke=INK, stroke_width=1.5),
            _text(left + width + 10, y + 4, f"{100 * interval.low:.1f} – {percent(interval.high)}"),
        ]
    return _svg(left + width + 125, step * len(rows) + 4, *parts, label="95 % intervals")


def signer_chart(signers: Sequence[Group], overall: float) -> Markup:
    """Accuracy of every signer with its interval, and the line of all samples' accuracy."""
    left, width, step, top = 110, 560, 24, 26
    low = min(group.interval.low for group in signers if group.interval)
    step_of_ticks = 0.05 if low >= 0.5 else 0.1
    low = max(0.0, float(np.floor(low / step_of_ticks) * step_of_ticks))
    height = top + step * len(signers)

    def x(share: float) -> float:
        return left + width * (share - low) / (1 - low)

    parts = []
    for tick in np.arange(low, 1.001, step_of_ticks):
        parts += [_line(x(tick), top - 6, x(tick), height), _text(x(tick), 12, percent(tick, 0), "middle")]
    parts.append(_line(x(overall), top - 6, x(overall), height, INK, stroke_dasharray="4 3"))
    for number, group in enumerate(signers):
        y = top + step * number + step / 2
        interval = group.interval or Interval(group.accuracy, group.accuracy)
        title = f"signer {group.name}: {group.hits} of {group.samples}"
        parts += [
            _text(left - 12, y + 4, f"signer {group.name}", "end"),
            _line(x(interval.low), y, x(interval.high), y, GREY, stroke_width=2.5),
            _dot(x(group.accuracy), y, 5, title),
            _text(left + width + 62, y + 4, percent(group.accuracy), "end"),
            _text(left + width + 80, y + 4, f"{group.hits} of {group.samples}"),
        ]
    return _svg(left + width + 160, height + 4, *parts, label="accuracy per signer")


def histogram(
    stacks: Sequence[tuple[str, str, Sequence[int]]], edges: Sequence[float], x_label: str, y_label: str
) -> Markup:
    """Stacked bars over shares from 0 to 1.

    Args:
        stacks: (name, colour, heights) from the bottom up, each with a height per bin.
        edges: of the bins, one more than bins.
        x_label: below the axis.
        y_label: what is counted.
    """
    left, top, width, height = 52, 26, 400, 220
    total = np.sum([heights for _, _, heights in stacks], axis=0)
    scale = height / max(int(total.max()), 1)
    parts = []
    for tick in np.unique(np.linspace(0, int(total.max()), 5).astype(int)).tolist():
        y = top + height - tick * scale
        parts += [_line(left, y, left + width, y), _text(left - 8, y + 4, str(tick), "end")]
    base = np.zeros(len(total))
    for name, colour, heights in stacks:
        for number, count in enumerate(heights):
            x0, x1 = (left + width * edges[number + side] for side in (0, 1))
            y = top + height - (base[number] + count) * scale
            title = f"{percent(edges[number], 0)} to {percent(edges[number + 1], 0)}: {count} {name}"
            box = {
                "x": f"{x0 + 1:.1f}",
                "y": f"{y:.1f}",
                "width": f"{x1 - x0 - 2:.1f}",
                "height": f"{count * scale:.1f}",
            }
            parts.append(tag("rect", tag("title", title), fill=colour, **box))
        base = base + heights
    parts += _share_axis(left, top, width, height, x_label)
    parts.append(_text(left, 12, y_label))
    return _svg(left + width + 24, top + height + 42, *parts, label=f"{y_label} by {x_label}")


def reliability(calibration: Calibration) -> Markup:
    """Accuracy against confidence; dots' areas follow the samples, the dashed line is where they should lie."""
    left, top, side = 52, 26, 220
    counts = [right + wrong for right, wrong in zip(calibration.right, calibration.wrong, strict=True)]
    parts = []
    for tick in np.linspace(0, 1, 6):
        y = top + side * (1 - tick)
        parts += [_line(left, y, left + side, y), _text(left - 8, y + 4, percent(tick, 0), "end")]
    parts.append(_line(left, top + side, left + side, top, GREY, stroke_dasharray="5 4", stroke_width=1.5))
    points = []
    for count, confidence, accuracy in zip(counts, calibration.confidence, calibration.accuracy, strict=True):
        if count:
            x, y = left + side * confidence, top + side * (1 - accuracy)
            points.append((x, y, 3 + 9 * (count / max(counts)) ** 0.5, count, confidence, accuracy))
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, *_ in points)
    parts.append(tag("polyline", points=path, fill="none", stroke=BLUE, stroke_width=1.5))
    for x, y, radius, count, confidence, accuracy in points:
        title = f"{count} samples: confidence {percent(confidence)}, accuracy {percent(accuracy)}"
        parts.append(_dot(x, y, radius, title))
    parts += _share_axis(left, top, side, side, "confidence")
    parts.append(_text(left, 12, "accuracy"))
    return _svg(left + side + 70, top + side + 42, *parts, label="accuracy by confidence")


def _share_axis(left: float, top: float, width: float, height: float, label: str) -> list[Markup]:
    """A horizontal axis from 0 to 100 %."""
    bottom = top + height
    ticks = [_text(left + width * tick, bottom + 18, percent(tick, 0), "middle") for tick in np.linspace(0, 1, 6)]
    middle = _text(left + width / 2, bottom + 36, label, "middle")
    return [_line(left, bottom, left + width, bottom, GREY), *ticks, middle]
