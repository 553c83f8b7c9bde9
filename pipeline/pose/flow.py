"""Pose flow: how every keypoint moves from one frame to the next, in neck lengths.

The formulas are those of De Coster et al. (CVPRW 2021); `docs/recipes.md` lists where the two recipes differ.
"""

import numpy as np

from pipeline.errors import ClipError
from shards.body135 import HEAD_TOP, LEFT_SHOULDER, RIGHT_SHOULDER, UPPER_NECK
from shards.format.recipe import Recipe

# Median over 12 clips of AUTSL's form (0.65 to 0.90).
NECK_PER_SHOULDERS = 0.82


def pose_flow(keypoints: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Motion of every point from frame i to i + 1.

    Args:
        keypoints: (T, 135, 3) x, y in pixels, score; a missing point is (0, 0).
        recipe: `chained_imputation` and `scale_per_frame` matter.

    Returns:
        float32 (T-1, 135, 2): angle in radians (atan2, image axes), magnitude in neck lengths; (0, 0) for a point that
        is never seen.

    Raises:
        ClipError: no scale can be had from the clip.
    """
    # OpenPose writes thousandths of a pixel. Rounding gives back its decimals, which float32 blurs enough to turn the
    # angle of a point that hardly moves.
    points = keypoints[..., :2].astype(np.float64).round(3)
    filled = impute(points, chained=recipe.chained_imputation)
    if recipe.scale_per_frame:
        scale = np.linalg.norm(filled[:, UPPER_NECK] - filled[:, HEAD_TOP], axis=-1)[:, None, None]
        if not scale.all():
            raise ClipError(f"frame {int(np.argmin(scale))}: no neck, and the reference recipe divides by its length")
    else:
        scale = np.float64(_clip_scale(points))
    filled /= scale
    present = np.asarray(filled.any(axis=-1))
    step = np.diff(filled, axis=0)
    flow = np.stack([np.arctan2(step[..., 1], step[..., 0]), np.hypot(step[..., 0], step[..., 1])], axis=-1)
    flow[~(present[1:] & present[:-1])] = 0
    return flow.astype(np.float32)


def impute(points: np.ndarray, chained: bool) -> np.ndarray:
    """A copy of (T, N, 2) points with the missing ones filled from the nearest frame; of two equally near, the earlier.

    A point that is missing in every frame stays (0, 0). `chained`: a filled point counts as present for the next frame,
    so that every gap is filled with the last value before it (and a gap at the start with the first value after it).
    """
    source = source_frames(np.asarray(points.any(axis=-1)), chained)
    return np.take_along_axis(points, source[..., None], axis=0)


def source_frames(present: np.ndarray, chained: bool) -> np.ndarray:
    """int (T, N): the frame that fills frame t of thing n, by the rules of `impute`, from bool (T, N) where it is seen.

    Any frame for a thing that is never seen.
    """
    count = len(present)
    frames = np.arange(count)[:, None]
    before = np.maximum.accumulate(np.where(present, frames, -1), axis=0)
    after = np.minimum.accumulate(np.where(present, frames, count)[::-1], axis=0)[::-1]
    source = before if chained else np.where(frames - before <= after - frames, before, after)
    source = np.where(before < 0, after, np.where(after >= count, before, source))
    return np.clip(source, 0, count - 1)


def _clip_scale(points: np.ndarray) -> float:
    """The clip's neck length in pixels: the median over frames that show it, else estimated from the shoulders."""
    if neck := median_length(points, UPPER_NECK, HEAD_TOP):
        return neck
    if shoulders := median_length(points, LEFT_SHOULDER, RIGHT_SHOULDER):
        return shoulders * NECK_PER_SHOULDERS
    raise ClipError("neither a neck nor two shoulders in any frame: no scale for the pose flow")


def median_length(points: np.ndarray, first: int, second: int) -> float:
    """Median distance in pixels of two points over the frames of (T, N, 2) that show both; 0 where none does."""
    both = points[:, first].any(axis=-1) & points[:, second].any(axis=-1)
    lengths = np.linalg.norm(points[both, first] - points[both, second], axis=-1)
    return float(np.median(lengths)) if len(lengths) else 0.0
