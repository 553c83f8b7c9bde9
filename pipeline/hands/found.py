"""Whether a hand was seen, or only the arm that it hangs on."""

import numpy as np

from pipeline.pose.layouts.point_tables import OPENPOSE_HAND_MEAN
from shards.body135 import HAND_POINTS, HANDS


def hands_found(keypoints: np.ndarray) -> np.ndarray:
    """In which frames an estimator found the hands themselves: points on their fingers, not only wrist and elbow.

    A hand is found where the scores of its 20 points sum to 2 or more; a missing point, (0, 0), counts 0. That is the
    mean of 0.1 by which hands are told in OpenPose's files (`OPENPOSE_HAND_MEAN`), which have points of scores about
    0.02 wherever there is a wrist. MediaPipe gives a hand whole, with scores of 1, or not at all: two of its points
    inside the picture are enough. RTMW guesses every hand, and what it scores lower than 0.3 is missing.

    A box needs only wrist and elbow (`boxes.hand_boxes`): in a frame with a box and no hand found it is a guess.

    Args:
        keypoints: (T, 135, 3) x, y in pixels, score; a missing point is (0, 0).

    Returns:
        bool (T, 2): left hand, right hand.
    """
    scores = np.where(keypoints[..., :2].any(axis=-1), keypoints[..., 2], 0)
    hands = [scores[:, list(HAND_POINTS[hand])] for hand in HANDS]
    return np.stack([hand.sum(axis=1) >= OPENPOSE_HAND_MEAN * hand.shape[1] for hand in hands], axis=1)
