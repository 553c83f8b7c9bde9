"""Pose features: the motion of the body and the fingers, as the model takes it."""

from collections.abc import Sequence

import numpy as np

from shards.body135 import MIRRORED_POINTS
from shards.format.recipe import Recipe

# Head, shoulders, arms, neck and both hands: the 53 points of De Coster et al. 2021.
FEATURE_POINTS = np.array([*range(11), 17, 18, *range(25, 65)])
POSE_FEATURES = 2 * len(FEATURE_POINTS)
_MIRRORED_FEATURE_POINTS = MIRRORED_POINTS[FEATURE_POINTS]


def pose_features(flows: Sequence[np.ndarray], frames: np.ndarray, recipe: Recipe, mirrored: np.ndarray) -> np.ndarray:
    """The model's pose input for the sampled frames of B clips.

    Args:
        flows: B times float32 (T-1, 135, 2), angle in radians and magnitude, from each frame to the next.
        frames: int (B, L), the sampled frames.
        recipe: with `flow_after_frame`, frame f takes the flow from f to f + 1 (the last one there is, at the end; none
            at f = 0); without, the motion since the sampled frame before it, (0, 0) at the first.
        mirrored: bool (B,), as a mirror shows it: left and right points swapped, horizontal motion reversed.

    Returns:
        float32 (B, L, 106): for each of 53 points angle / π and magnitude.
    """
    points = [_MIRRORED_FEATURE_POINTS if mirror else FEATURE_POINTS for mirror in mirrored.tolist()]
    motion = (_flow_after if recipe.flow_after_frame else _motion_between)(flows, frames, points)
    if mirrored.any():
        # π - angle, wrapped; a point that does not move keeps angle 0.
        seen = motion[mirrored]
        angle = np.where(seen[..., 1] > 0, np.pi - seen[..., 0], seen[..., 0])
        seen[..., 0] = np.where(angle > np.pi, angle - 2 * np.pi, angle)
        motion[mirrored] = seen
    motion[..., 0] /= np.pi
    return motion.reshape(*frames.shape, POSE_FEATURES).astype(np.float32, copy=False)


def _flow_after(flows: Sequence[np.ndarray], frames: np.ndarray, points: list[np.ndarray]) -> np.ndarray:
    motion = np.zeros((*frames.shape, len(FEATURE_POINTS), 2))
    for clip, flow in enumerate(flows):
        if len(flow):
            motion[clip] = flow[np.minimum(frames[clip], len(flow) - 1)][:, points[clip]]
    motion[frames == 0] = 0
    return motion


def _motion_between(flows: Sequence[np.ndarray], frames: np.ndarray, points: list[np.ndarray]) -> np.ndarray:
    """Polar sum of the flows from each sampled frame to the next; zero at the first."""
    first, last = frames[:, 0], frames[:, -1]
    # The steps between all frames from the first to the last, clip after clip: S in all, (S, 53, 2).
    begin = (last - first).cumsum() - (last - first)
    ranges = zip(flows, points, first.tolist(), last.tolist(), strict=True)
    flow = np.concatenate([flow[low:high].take(clip_points, axis=1) for flow, clip_points, low, high in ranges])
    angle, length = flow[..., 0], flow[..., 1]
    # e^(i·angle) from float32 sines: np.exp of complex numbers takes five times as long.
    steps = np.empty(angle.shape, np.complex64)
    steps.real = length * np.cos(angle)
    steps.imag = length * np.sin(angle)
    moved = np.zeros((*frames.shape, len(FEATURE_POINTS)), np.complex64)
    # The first step from each sampled frame to the next, then the second, …; np.add.reduceat takes three times as long.
    count = np.diff(frames, axis=1)
    start = frames[:, :-1] + (begin - first)[:, None]
    for number in range(int(count.max(initial=0))):
        moved[:, 1:] += np.where((number < count)[..., None], steps.take(start + number, axis=0, mode="clip"), 0)
    magnitude = np.abs(moved)
    # The sum of steps out and back leaves rounding dust (float32 angles: 1e-7 per step), whose angle would be noise.
    # The smallest motion in OpenPose's files, 0.001 pixels, is some 2e-5 neck lengths.
    moved[magnitude < 1e-5] = 0
    motion = np.empty((*moved.shape, 2), np.float32)
    np.arctan2(moved.imag, moved.real, out=motion[..., 0])
    np.abs(moved, out=motion[..., 1])
    return motion
