"""The lines of a drawn BODY_135: which points they join, and whose they are."""

from itertools import pairwise
from typing import NamedTuple

from pipeline.body import (
    HEAD_TOP,
    LEFT_ELBOW,
    LEFT_SHOULDER,
    LEFT_WRIST,
    RIGHT_ELBOW,
    RIGHT_SHOULDER,
    RIGHT_WRIST,
    UPPER_NECK,
)

NOSE, LEFT_EYE, RIGHT_EYE, LEFT_EAR, RIGHT_EAR, LEFT_HIP, RIGHT_HIP = 0, 1, 2, 3, 4, 11, 12
FACE = range(65, 135)
_FINGERS = 5
_JOINTS = 4  # per finger, from the palm to the tip


class Line(NamedTuple):
    """A line from one point to another; `owner` is "body", "left" or "right"."""

    start: int
    end: int
    owner: str


def _hand(wrist: int, first: int, owner: str) -> list[Line]:
    lines = []
    for finger in range(first, first + _FINGERS * _JOINTS, _JOINTS):
        chain = [wrist, *range(finger, finger + _JOINTS)]
        lines += [Line(start, end, owner) for start, end in pairwise(chain)]
    return lines


BODY_LINES = [
    Line(LEFT_SHOULDER, RIGHT_SHOULDER, "body"),
    Line(LEFT_SHOULDER, LEFT_ELBOW, "left"),
    Line(LEFT_ELBOW, LEFT_WRIST, "left"),
    Line(RIGHT_SHOULDER, RIGHT_ELBOW, "right"),
    Line(RIGHT_ELBOW, RIGHT_WRIST, "right"),
    Line(UPPER_NECK, HEAD_TOP, "body"),
    Line(LEFT_SHOULDER, LEFT_HIP, "body"),
    Line(RIGHT_SHOULDER, RIGHT_HIP, "body"),
    Line(LEFT_HIP, RIGHT_HIP, "body"),
    Line(NOSE, LEFT_EYE, "body"),
    Line(NOSE, RIGHT_EYE, "body"),
    Line(LEFT_EYE, LEFT_EAR, "body"),
    Line(RIGHT_EYE, RIGHT_EAR, "body"),
]
HAND_LINES = [*_hand(LEFT_WRIST, 25, "left"), *_hand(RIGHT_WRIST, 45, "right")]
