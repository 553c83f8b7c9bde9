"""Keypoints of a made-up person, for the tests of the skeleton stream: synthetic, with points missing at random."""

import numpy as np

from train.skeleton.nodes import NODES, body_frame, place_in_body

# Counterparts in BODY_135 of the points that the skeleton stream reads: body, hands. Written out, not imported.
OTHER_SIDE = np.arange(135)
OTHER_SIDE[[5, 6, 7, 8, 9, 10]] = 6, 5, 8, 7, 10, 9
OTHER_SIDE[25:45], OTHER_SIDE[45:65] = np.arange(45, 65), np.arange(25, 45)


def made_keypoints(frames: int, seed: int = 0, missing: float = 0.2) -> np.ndarray:
    """float32 (T, 135, 3): points that wander about random places of a 640×480 picture; a missing one is (0, 0, 0)."""
    random = np.random.default_rng([seed, frames])
    place = random.uniform((200, 100), (440, 380), (135, 2)) + random.normal(0, 6, (frames, 135, 2)).cumsum(axis=0)
    score = random.uniform(0.1, 1, (frames, 135)) * (random.random((frames, 135)) >= missing)
    return np.where(score[..., None] > 0, np.dstack([place, score]), 0).astype(np.float32)


def mirror_image(keypoints: np.ndarray, width: int = 640) -> np.ndarray:
    """The keypoints that an estimator would find in the mirrored picture."""
    mirrored = keypoints[:, OTHER_SIDE].copy()
    mirrored[..., 0] = np.where(mirrored[..., 2] > 0, width - 1 - mirrored[..., 0], 0)
    return mirrored


def skeleton_of(keypoints: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """float32 (T, 25, 3): the sampled frames (int (T,)) of one clip (float32 (L, 135, 3)) as the model sees them.

    Raises:
        ValueError: a point that has a score has no place.
    """
    skeleton, (center, width) = keypoints[frames[:, None], NODES], body_frame(keypoints)
    if not place_in_body(skeleton[None], center[None], np.array([width], np.float32)).all():
        raise ValueError("not finite")
    return skeleton
