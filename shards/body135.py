"""BODY_135, the points of OpenPose's whole-body model that all keypoints have here: numbers, ranges, bones, mirror map.

Left is the person's left. 0 to 24 are the body and the feet, 25 to 44 the left hand, 45 to 64 the right hand (five
fingers of four joints, from the palm to the tip; the wrists are points of the body), 65 to 134 the face.
"""

from itertools import pairwise

import numpy as np

POINTS = 135
HANDS = ("left", "right")
NOSE = 0
LEFT_SHOULDER, RIGHT_SHOULDER = 5, 6
LEFT_ELBOW, RIGHT_ELBOW = 7, 8
LEFT_WRIST, RIGHT_WRIST = 9, 10
LEFT_HIP, RIGHT_HIP = 11, 12
UPPER_NECK, HEAD_TOP = 17, 18
# (wrist, elbow) of each hand.
ARMS = {"left": (LEFT_WRIST, LEFT_ELBOW), "right": (RIGHT_WRIST, RIGHT_ELBOW)}
HAND_POINTS = {"left": range(25, 45), "right": range(45, 65)}
FACE_POINTS = range(65, 135)
BODY_BONES = ((3, 1), (1, 0), (0, 2), (2, 4), (17, 18), (5, 6), (5, 11), (6, 12), (11, 12))
ARM_BONES = {"left": ((5, 7), (7, 9)), "right": ((6, 8), (8, 10))}


def hand_bones(hand: str) -> list[tuple[int, int]]:
    """The bones of a hand, "left" or "right": pairs of points from the wrist along each finger."""
    wrist, joints = ARMS[hand][0], HAND_POINTS[hand]
    fingers = [joints[first : first + 4] for first in range(0, len(joints), 4)]
    return [bone for finger in fingers for bone in pairwise([wrist, *finger])]


def _mirror_map() -> np.ndarray:
    mirror = np.arange(POINTS)

    def exchange(left: range, right: range) -> None:
        mirror[left], mirror[right] = right, left

    exchange(range(1, 17, 2), range(2, 18, 2))  # eyes, ears, shoulders, elbows, wrists, hips, knees, ankles
    exchange(range(19, 22), range(22, 25))  # big toes, small toes, heels
    exchange(HAND_POINTS["left"], HAND_POINTS["right"])
    # The face has the 68 points of iBUG 300-W, in which these run from one side to the other, and two pupils.
    face = FACE_POINTS.start
    for first, last in ((0, 16), (17, 26), (31, 35), (36, 45), (48, 54), (55, 59), (60, 64), (65, 67), (68, 69)):
        mirror[face + first : face + last + 1] = np.arange(face + last, face + first - 1, -1)
    # The lids are numbered round each eye: 36 to 41 and 42 to 47.
    for one, other in zip((36, 37, 38, 39, 40, 41), (45, 44, 43, 42, 47, 46), strict=True):
        mirror[face + one], mirror[face + other] = face + other, face + one
    return mirror


# int64 (135,): for every point its counterpart on the other side; points in the middle stand for themselves.
MIRRORED_POINTS = _mirror_map()
