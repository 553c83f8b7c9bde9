"""A skeleton (OpenPose's BODY_135) with the hand boxes, as SVG."""

import numpy as np

from shards.body135 import ARM_BONES, BODY_BONES, FACE_POINTS, HANDS, hand_bones
from shards.page.html import Markup, tag

HAND_COLORS = {"left": "#c2410c", "right": "#0f766e"}


def view_box(pose: np.ndarray, boxes: np.ndarray) -> tuple[float, float, float, float]:
    """x, y, width and height of a square round all that is seen in any frame.

    Args:
        pose: (T, 135, 3) keypoints.
        boxes: (N, 4) of the hands that are not missing.
    """
    seen = np.concatenate([pose[..., :2][pose[..., :2].any(axis=-1)], boxes.reshape(-1, 2), np.zeros((0, 2))])
    if not len(seen):
        return 0, 0, 1, 1
    low, high = seen.min(axis=0), seen.max(axis=0)
    side = float(max(high - low)) * 1.04 + 1
    x, y = ((low + high) / 2 - side / 2).tolist()
    return round(x, 1), round(y, 1), round(side, 1), round(side, 1)


def skeleton(
    points: np.ndarray, boxes: dict[str, np.ndarray | None], view: tuple[float, float, float, float]
) -> Markup:
    """One frame's points, (135, 3), as an SVG; missing points and what hangs on them are left out.

    Args:
        points: x, y in pixels, score.
        boxes: x0, y0, x1, y1 of each hand; None where it is missing.
        view: see `view_box`.
    """
    stroke = view[2] / 90
    parts = [_lines(points, [*BODY_BONES, *ARM_BONES["left"], *ARM_BONES["right"]], "#333", stroke)]
    dots = "".join(f"M{x:.0f} {y:.0f}h0" for x, y, _ in points[FACE_POINTS].tolist() if x or y)
    parts.append(tag("path", d=dots, stroke="#999", stroke_width=f"{stroke * 0.8:.1f}"))
    for hand in HANDS:
        parts.append(_lines(points, hand_bones(hand), HAND_COLORS[hand], stroke * 0.7))
        box = boxes[hand]
        if box is not None:
            x0, y0, x1, y1 = box.tolist()
            look = {"stroke": HAND_COLORS[hand], "stroke_width": f"{stroke * 0.5:.1f}"}
            dashes = f"{stroke * 2:.1f}"
            parts.append(tag("rect", x=x0, y=y0, width=x1 - x0, height=y1 - y0, stroke_dasharray=dashes, **look))
    box = " ".join(f"{value:g}" for value in view)
    return tag("svg", *parts, class_="skeleton", viewBox=box, fill="none", stroke_linecap="round")


def _lines(points: np.ndarray, pairs: list[tuple[int, int]], color: str, width: float) -> Markup:
    drawn = [pair for pair in pairs if points[list(pair), :2].any(axis=1).all()]
    path = "".join("M{:.1f} {:.1f}L{:.1f} {:.1f}".format(*points[a, :2], *points[b, :2]) for a, b in drawn)
    return tag("path", d=path, stroke=color, stroke_width=f"{width:.1f}")
