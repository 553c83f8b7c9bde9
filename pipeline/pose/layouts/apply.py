"""The one function that applies a layout's table, and the steps after it: what is too uncertain, the neck."""

import numpy as np

from pipeline.pose.layouts.layout import FRACTION, PIXELS, KeypointLayout, mark_missing
from pipeline.pose.scripts import openpose_script
from shards.body135 import MIRRORED_POINTS, POINTS, UPPER_NECK

# A person's coordinates are fractions of the picture where half of them are at most this: MediaPipe's go a little
# beyond 1, and no person is 2 pixels large.
_LARGEST_MEDIAN_FRACTION = 2.0
# Of fractions from the upper left corner few are negative; of -1…1, or of what was centered on the person, half.
_MOST_NEGATIVE = 0.25


def apply_layout(
    points: np.ndarray, layout: KeypointLayout, size: tuple[int, int] | None, mirrored: bool = False
) -> np.ndarray:
    """The BODY_135 points of one person in the layout's points; nothing is thresholded, nothing is made up.

    Args:
        points: (T, N, 3): x, y, score.
        layout: the table of these N points.
        size: width and height of the picture in pixels; fractions need both, a mirrored picture needs the width.
        mirrored: the estimator saw a mirrored picture: x is turned back, and left and right are exchanged.

    Returns:
        float32 (T, 135, 3): x, y in pixels, score; a missing point is (0, 0, 0). Points outside of the picture stay.

    Raises:
        ValueError: the size is needed and not known, or the coordinates are neither pixels nor fractions.
    """
    body135 = np.zeros((len(points), POINTS, 3))
    targets = layout.body135
    body135[:, list(targets)] = points[:, list(targets.values())]
    body135 = mark_missing(body135)
    fractions = are_fractions(body135, layout)
    if not fractions and not mirrored:
        return body135.astype(np.float32)
    if size is None:
        why = "its coordinates are fractions of it" if fractions else "the picture was mirrored"
        raise ValueError(f"the size of the picture must be known, for {why}; give `pipeline run --picture-size WxH`")
    if mirrored:
        seen = np.asarray(body135[..., 2:] > 0)
        # A pixel's middle is a whole number, so that the last one is at width - 1; fractions are of the whole width.
        body135[..., 0] = (1 if fractions else size[0] - 1) - body135[..., 0]
        body135 = (body135 * seen)[:, MIRRORED_POINTS]
    if fractions:
        body135[..., :2] *= size
    return body135.astype(np.float32)


def are_fractions(points: np.ndarray, layout: KeypointLayout) -> bool:
    """Whether the coordinates of (T, N, 3) points are fractions of the picture, by the table or by their size.

    Raises:
        ValueError: they are from -1 to 1, or about some middle of their own.
    """
    seen = points[..., :2][points[..., 2] > 0]
    if layout.units == PIXELS or not len(seen):
        return layout.units == FRACTION
    small = np.median(np.abs(seen)) <= _LARGEST_MEDIAN_FRACTION
    if layout.units == FRACTION and not small:
        raise ValueError(f"{layout.name} has fractions of the picture, but these are larger, as if in pixels")
    if small and (seen < 0).mean() > _MOST_NEGATIVE:
        raise ValueError(
            "its coordinates are neither pixels nor fractions from 0 to 1, but lie about 0 (OpenPose's "
            "--keypoint_scale 4, or normalized): give them as they were estimated"
        )
    return bool(small)


def drop_uncertain(points: np.ndarray, layout: KeypointLayout) -> np.ndarray:
    """A copy of (T, 135, 3) points without those whose scores are lower than the table wants."""
    points = points.copy()
    for part in layout.parts:
        rows = list(part.body135)
        scores = points[:, rows, 2]
        low = np.asarray(scores < part.min_score)
        low |= scores.mean(axis=1, keepdims=True) < part.min_mean_score
        points[:, rows] *= ~low[..., None]
    return points


def add_neck(points: np.ndarray, before: np.ndarray) -> np.ndarray:
    """A copy of (T, 135, 3) points with UpperNeck and HeadTop, as the estimator scripts construct them.

    The head's place is taken from the points `before` any was dropped: a hidden ear still has its place.
    """
    points = points.copy()
    for frame, whole in zip(points, before, strict=True):
        openpose_script.add_neck(frame, openpose_script.head_of(whole))
    return points


def finish(points: np.ndarray, layout: KeypointLayout) -> np.ndarray:
    """The points that `apply_layout` gave, without uncertain ones, and with a neck where the layout has none."""
    kept = drop_uncertain(points, layout)
    return kept if UPPER_NECK in layout.body135 else add_neck(kept, points)
