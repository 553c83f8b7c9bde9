"""A skeleton (BODY_135) with the hand boxes, as SVG."""

from collections.abc import Iterable, Mapping

import numpy as np

from shards.body135 import ARM_BONES, BODY_BONES, FACE_POINTS, HANDS, hand_bones
from shards.page.drawing import Drawing, Mark, rectangle

ViewBox = tuple[float, float, float, float]


def view_box(pose: np.ndarray, boxes: np.ndarray) -> ViewBox:
    """x, y, width and height of a square around all that is there in any frame.

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


def skeleton(points: np.ndarray, boxes: Mapping[str, np.ndarray | None], view: ViewBox) -> Drawing:
    """One frame's points, (135, 3); missing points, and bones that end at one, are left out.

    Args:
        points: x, y in pixels, score.
        boxes: x0, y0, x1, y1 of each hand; None where it is missing; {} of a sample without video.
        view: see `view_box`.
    """
    stroke = view[2] / 90
    body = [*BODY_BONES, *ARM_BONES["left"], *ARM_BONES["right"]]
    face = "".join(f"M{x:.0f} {y:.0f}h0" for x, y, _ in points[FACE_POINTS].tolist() if x or y)
    marks = [_bones(points, body, "body", stroke), _path(face, "face", stroke * 0.8)]
    for hand in HANDS:
        marks.append(_bones(points, hand_bones(hand), f"{hand}-hand", stroke * 0.7))
        box = boxes.get(hand)
        if box is not None:
            x0, y0, x1, y1 = box.tolist()
            width = {"stroke-width": round(stroke * 0.5, 1), "stroke-dasharray": round(stroke * 2, 1)}
            marks.append(rectangle(x0, y0, x1 - x0, y1 - y0, f"{hand}-hand", more=width))
    return Drawing(view, marks, "skeleton")


def _bones(points: np.ndarray, pairs: Iterable[tuple[int, int]], style: str, width: float) -> Mark:
    drawn = [pair for pair in pairs if points[list(pair), :2].any(axis=1).all()]
    lines = "".join("M{:.1f} {:.1f}L{:.1f} {:.1f}".format(*points[a, :2], *points[b, :2]) for a, b in drawn)
    return _path(lines, style, width)


def _path(lines: str, style: str, width: float) -> Mark:
    return Mark("path", {"d": lines, "class": style, "stroke-width": round(width, 1)})
