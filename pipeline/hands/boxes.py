"""Where the hands are: a square box around each, from wrist, elbow and shoulders."""

import numpy as np

from pipeline.pose.flow import median_length, source_frames
from shards.body135 import ARMS, LEFT_SHOULDER, RIGHT_SHOULDER
from shards.format.recipe import Recipe

# De Coster et al. 2021: a square of 1.2 shoulder widths, centered a little beyond the wrist.
SIDE_PER_SHOULDERS = 1.2
BEYOND_WRIST = 0.15


def hand_boxes(
    keypoints: np.ndarray, hand: str, width: int, height: int, recipe: Recipe
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of one hand in every frame of a clip.

    With s the shoulder width and d = 1.2·s: center = wrist + 0.15·(wrist - elbow); box = [int(cx - d//2), int(cx +
    d//2)] by the same in y, clipped to the frame.

    Args:
        keypoints: (T, 135, 3) x, y in pixels, score; a missing point is (0, 0).
        hand: "left" or "right".
        width: of the frame, in pixels.
        height: of the frame, in pixels.
        recipe: `box_per_frame` says whether s is that of the frame or the median of the clip.

    Returns:
        int32 (T, 4) x0, y0, x1, y1 and bool (T,), true where the hand is missing: no wrist, no elbow, or an empty box
        (which may lie anywhere).
    """
    points = keypoints[..., :2].astype(np.float64)
    wrist, elbow = (points[:, point] for point in ARMS[hand])
    if recipe.box_per_frame:
        shoulders = np.linalg.norm(points[:, LEFT_SHOULDER] - points[:, RIGHT_SHOULDER], axis=-1)
    else:
        shoulders = np.full(len(points), median_length(points, LEFT_SHOULDER, RIGHT_SHOULDER))
    half = (SIDE_PER_SHOULDERS * shoulders // 2)[:, None]
    center = wrist + BEYOND_WRIST * (wrist - elbow)
    # astype truncates toward zero, as int() does.
    corners = np.concatenate([center - half, center + half], axis=1).clip(-1e9, 1e9).astype(np.int32)
    boxes = np.clip(corners, 0, [width, height, width, height]).astype(np.int32)
    empty = (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1])
    return boxes, empty | ~wrist.any(axis=-1) | ~elbow.any(axis=-1)


def nearest_present(missing: np.ndarray) -> np.ndarray | None:
    """For every frame the nearest one that is not missing (of two, the earlier); None where all are."""
    if missing.all():
        return None
    return source_frames(~missing[:, None], chained=False)[:, 0]
