"""BODY_135's tables against each other: every point has its place."""

import numpy as np

from shards.body135 import (
    ARM_BONES,
    ARMS,
    BODY_BONES,
    FACE_POINTS,
    HAND_POINTS,
    HANDS,
    MIRRORED_POINTS,
    POINTS,
    hand_bones,
)


def test_the_ranges_are_apart_and_end_with_the_last_point() -> None:
    ranges = [range(25), HAND_POINTS["left"], HAND_POINTS["right"], FACE_POINTS]
    assert [point for one in ranges for point in one] == list(range(POINTS))


def test_bones_of_a_hand_are_a_tree_from_the_wrist() -> None:
    for hand in HANDS:
        ends = [end for _, end in hand_bones(hand)]
        assert sorted(ends) == list(HAND_POINTS[hand])
        assert {start for start, _ in hand_bones(hand)} - set(ends) == {ARMS[hand][0]}


def test_the_mirror_keeps_every_bone_a_bone() -> None:
    assert (MIRRORED_POINTS[MIRRORED_POINTS] == np.arange(POINTS)).all()
    bones = {frozenset(bone) for hand in HANDS for bone in (*hand_bones(hand), *ARM_BONES[hand])}
    bones |= {frozenset(bone) for bone in BODY_BONES}
    for one, other in (tuple(bone) for bone in bones):
        assert frozenset((MIRRORED_POINTS[one], MIRRORED_POINTS[other])) in bones
    for left, right in zip(HAND_POINTS["left"], HAND_POINTS["right"], strict=True):
        assert MIRRORED_POINTS[left] == right
    assert {MIRRORED_POINTS[point] for point in FACE_POINTS} == set(FACE_POINTS)
    # Nose, neck, head; the chin, the bridge and the root of the nose, and the middles of the lips.
    alone = np.flatnonzero(np.arange(POINTS) == MIRRORED_POINTS)
    assert alone.tolist() == [0, 17, 18, 73, 92, 93, 94, 95, 98, 116, 122, 127, 131]
