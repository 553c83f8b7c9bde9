"""Pose features: what the model is told of the motion of the body and the fingers."""

import numpy as np

from shards.recipe import Recipe

# Head, shoulders, arms, neck and both hands: the 53 points of De Coster et al. 2021.
FEATURE_POINTS = np.array([*range(11), 17, 18, *range(25, 65)])
WIDTH = 2 * len(FEATURE_POINTS)


def _mirrored_points() -> np.ndarray:
    """For every one of the 135 points, its counterpart on the other side of the body.

    Only those of the body and the hands have one here. Feet and face, which are no features, stand for themselves.
    """
    mirrored = np.arange(135)
    for left in (1, 3, 5, 7, 9, 11, 13, 15):
        mirrored[[left, left + 1]] = left + 1, left
    mirrored[25:45], mirrored[45:65] = np.arange(45, 65), np.arange(25, 45)
    return mirrored


MIRRORED_POINTS = _mirrored_points()


def pose_features(flow: np.ndarray, frames: np.ndarray, recipe: Recipe, mirrored: bool = False) -> np.ndarray:
    """The model's pose input for the sampled frames of a clip.

    Args:
        flow: float32 (T-1, 135, 2), angle in radians and magnitude, from each frame to the next.
        frames: int (L,), the sampled frames.
        recipe: with `flow_after_frame`, frame f takes the flow from f to f + 1 (the last one there is, at the end; none
            at f = 0); without, the motion since the sampled frame before it, (0, 0) at the first.
        mirrored: as a mirror shows it: left and right points swapped, horizontal motion reversed.

    Returns:
        float32 (L, 106): for each of 53 points angle / π and magnitude.
    """
    points = MIRRORED_POINTS[FEATURE_POINTS] if mirrored else FEATURE_POINTS
    motion = (_flow_after if recipe.flow_after_frame else _motion_between)(flow, frames, points)
    if mirrored:
        # π - angle, wrapped; a point that does not move keeps angle 0.
        angle = np.where(motion[..., 1] > 0, np.pi - motion[..., 0], motion[..., 0])
        motion[..., 0] = np.where(angle > np.pi, angle - 2 * np.pi, angle)
    motion[..., 0] /= np.pi
    return motion.reshape(len(frames), WIDTH).astype(np.float32)


def _flow_after(flow: np.ndarray, frames: np.ndarray, points: np.ndarray) -> np.ndarray:
    if not len(flow):
        return np.zeros((len(frames), len(points), 2))
    motion = flow[np.minimum(frames, len(flow) - 1)][:, points].astype(np.float64)
    motion[frames == 0] = 0
    return motion


def _motion_between(flow: np.ndarray, frames: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Polar sum of the flows from each sampled frame to the next; zero at the first."""
    first, last = int(frames[0]), int(frames[-1])
    moved = np.zeros((len(frames), len(points)), np.complex64)
    if last > first:
        part = flow[first:last].take(points, axis=1)
        # e^(i·angle) from float32 sines: np.exp of complex numbers takes five times as long.
        steps = np.zeros((last - first + 1, len(points)), np.complex64)  # after the last frame: no motion
        steps.real[:-1] = part[..., 1] * np.cos(part[..., 0])
        steps.imag[:-1] = part[..., 1] * np.sin(part[..., 0])
        np.add.reduceat(steps, frames[:-1] - first, axis=0, out=moved[1:])
        moved[1:][np.diff(frames) == 0] = 0  # where there is no step, reduceat gives the next one
    magnitude = np.abs(moved)
    # The sum of steps out and back leaves rounding dust (float32 angles: 1e-7 per step), whose angle would be noise.
    # The smallest motion in OpenPose's files, 0.001 pixels, is some 2e-5 neck lengths.
    moved[magnitude < 1e-5] = 0
    return np.stack([np.angle(moved), np.abs(moved)], axis=-1)
