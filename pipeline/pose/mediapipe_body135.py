"""What MediaPipe Holistic finds in a frame, as BODY_135 keypoints and as OpenPose's JSON.

Imports nothing of the project: `mediapipe_openpose.py` needs it in an environment that lacks it.
"""

from typing import Any

import numpy as np

# A body point of lower visibility is missing: it would be a guess behind something or beyond the picture. 0.5 is the
# threshold of MediaPipe's own drawings. Of the points inside the picture in 62 KArSL clips it drops 28 % of the hips
# (all in the lowest 6 %) and 2 % of the right wrists (in the lowest 14 %, none with a hand found), and no others.
MIN_VISIBILITY = 0.5

# BODY_135 points and the MediaPipe pose landmarks they come from; for LSmallToe (20) and RSmallToe (23) there is none.
BODY = [*range(17), 19, 21, 22, 24]
POSE_LANDMARKS = [0, 2, 5, 7, 8, *range(11, 17), *range(23, 29), 31, 29, 32, 30]
NOSE, LEFT_EAR, RIGHT_EAR, LEFT_SHOULDER, RIGHT_SHOULDER, UPPER_NECK, HEAD_TOP = 0, 3, 4, 5, 6, 17, 18
HAND = list(range(1, 21))  # MediaPipe has OpenPose's order, after the wrist
LEFT_HAND, RIGHT_HAND, FACE = slice(25, 45), slice(45, 65), slice(65, 135)

# Positions on the line from the middle of the shoulders (0) to the middle of the ears (1). Drillis and Contini's body
# proportions, in heights: shoulders 0.818, chin 0.870, eyes (level with the ears) 0.936, crown 1.000; so the chin lies
# at 0.44 and the crown at 1.54. OpenPose's UpperNeck is the throat below the chin, and hair adds to the crown. The neck
# length is then 0.79 shoulder widths (median of the KArSL clips); it is 0.82 in the released keypoints of autsl-mini.
# A nod turns about the ears, so the length, by which pose flow is divided, varies less within a clip than it does when
# taken from the nose (standard deviation 0.8 % against 1.1 %).
UPPER_NECK_AT, HEAD_TOP_AT = 0.3, 1.6

# The usual 68-point layout in the face mesh (jaw from the person's right to left, brows, nose, eyes, outer and inner
# lips), then the right and the left pupil: the middles of the irises.
FACE_MESH = [162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389]
FACE_MESH += [71, 63, 105, 66, 107, 336, 296, 334, 293, 301, 168, 197, 5, 4, 75, 97, 2, 326, 305]
FACE_MESH += [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380]
FACE_MESH += [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87, 468, 473]

# OpenPose's other lists of a person: empty under BODY_135, which has hands and face among its 135 points.
EMPTY_LISTS = ["face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d", "pose_keypoints_3d"]
EMPTY_LISTS += ["face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d"]


def to_body135(
    body: np.ndarray,
    left_hand: np.ndarray | None,
    right_hand: np.ndarray | None,
    face: np.ndarray | None,
    size: tuple[int, int],
) -> np.ndarray:
    """The BODY_135 keypoints of what MediaPipe Holistic found in one frame, `size` = (width, height) pixels.

    The landmarks are (points, 3) rows of x and y, as fractions of the picture, and visibility, in MediaPipe's order:
    33 of the body, 21 of each hand (its wrist is left out: BODY_135 has that among the body's points), 478 of the face;
    None for what was not found. Left is the person's left in both. Scores are the visibility for the body, and 1 for
    hands and face, where MediaPipe gives none. Points outside of the picture are missing, as they are in OpenPose:
    MediaPipe extrapolates them.

    Returns:
        float64 (135, 3): x, y in pixels, score; a missing point is (0, 0, 0).
    """
    points = np.zeros((135, 3))
    points[BODY] = body[POSE_LANDMARKS]
    ears = (points[LEFT_EAR, :2] + points[RIGHT_EAR, :2]) / 2  # before any is dropped: a hidden ear still has its place
    points[(points[:, 2] < MIN_VISIBILITY) | _outside(points)] = 0
    _add_neck(points, ears)
    parts = ((LEFT_HAND, left_hand, HAND), (RIGHT_HAND, right_hand, HAND), (FACE, face, FACE_MESH))
    for rows, landmarks, order in parts:
        if landmarks is not None:
            points[rows, :2] = landmarks[order, :2]
            points[rows, 2] = 1
    points[_outside(points)] = 0
    points[:, :2] *= size
    return points


def _outside(points: np.ndarray) -> np.ndarray:
    return np.asarray(((points[:, :2] < 0) | (points[:, :2] >= 1)).any(axis=1))


def _add_neck(points: np.ndarray, ears: np.ndarray) -> None:
    """Set UpperNeck and HeadTop where both shoulders and the nose are seen, scored as the least certain of these."""
    score = points[[NOSE, LEFT_SHOULDER, RIGHT_SHOULDER], 2].min()
    if score:
        shoulders = (points[LEFT_SHOULDER, :2] + points[RIGHT_SHOULDER, :2]) / 2
        for index, position in ((UPPER_NECK, UPPER_NECK_AT), (HEAD_TOP, HEAD_TOP_AT)):
            points[index] = (*(shoulders + position * (ears - shoulders)), score)


def openpose_json(points: np.ndarray | None) -> dict[str, Any]:
    """A frame as OpenPose writes it, from (135, 3) keypoints; `people` is empty for None or where all are missing."""
    if points is None or not points.any():
        return {"version": 1.3, "people": []}
    person = {"person_id": [-1], "pose_keypoints_2d": points.round(3).ravel().tolist()}
    return {"version": 1.3, "people": [person | {name: [] for name in EMPTY_LISTS}]}
