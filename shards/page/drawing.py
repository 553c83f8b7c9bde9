"""SVG drawings as data. Colors are those of CSS classes, so that a page's dark theme has its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """An SVG element."""

    name: str
    attributes: Mapping[str, object]
    text: str = ""  # what stands in it
    tip: str = ""  # shown by a browser while it is pointed at


@dataclass(frozen=True)
class Drawing:
    """An SVG."""

    view: tuple[float, float, float, float]  # x, y, width, height
    marks: Sequence[Mark]
    label: str = ""  # for those who cannot see it


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> Mark:
    """A line; `style` is its class."""
    ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    return Mark("line", {name: round(value, 1) for name, value in ends.items()} | {"class": style})


def text(x: float, y: float, words: str, anchor: str = "start", style: str | None = None, tip: str = "") -> Mark:
    """A text that starts, has its middle, or ends at x."""
    return Mark("text", {"x": round(x, 1), "y": round(y, 1), "text-anchor": anchor, "class": style}, words, tip)


def dot(x: float, y: float, radius: float, style: str, tip: str = "") -> Mark:
    """A filled circle."""
    place = {"cx": round(x, 1), "cy": round(y, 1), "r": round(radius, 1)}
    return Mark("circle", place | {"class": style}, tip=tip)


def rectangle(
    x: float, y: float, width: float, height: float, style: str, tip: str = "", more: Mapping[str, object] | None = None
) -> Mark:
    """A rectangle; `more` attributes as SVG names them."""
    sides = {"x": x, "y": y, "width": width, "height": height}
    attributes = {name: round(value, 1) for name, value in sides.items()}
    return Mark("rect", {**attributes, "class": style, **(more or {})}, tip=tip)
