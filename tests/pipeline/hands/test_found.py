"""Hands that were found, by the conventions of the three estimators, and in real keypoints."""

import numpy as np
import pytest
from helpers.data.clip_making import SHARED

from pipeline.hands.found import hands_found
from pipeline.pose.layouts.apply import apply_layout
from pipeline.pose.layouts.point_tables import LAYOUTS
from pipeline.pose.layouts.read import load_source

LEFT, RIGHT = slice(25, 45), slice(45, 65)


def signer(frames: int = 1) -> np.ndarray:
    """(T, 135, 3) of somebody with arms and a face and no hands."""
    keypoints = np.zeros((frames, 135, 3), np.float32)
    keypoints[:, :25] = (100, 50, 0.9)
    keypoints[:, 65:] = (100, 40, 0.9)
    return keypoints


def with_hand(hand: slice, scores: float | list[float]) -> np.ndarray:
    """The signer with points of these scores in a hand."""
    keypoints = signer()
    keypoints[:, hand, :2] = (120, 80)
    keypoints[:, hand, 2] = scores
    return keypoints


def test_arms_are_no_hands() -> None:
    assert hands_found(signer(3)).tolist() == [[False, False]] * 3


@pytest.mark.parametrize(("hand", "found"), [(LEFT, [True, False]), (RIGHT, [False, True])])
def test_each_side_is_its_own(hand: slice, found: list[bool]) -> None:
    assert hands_found(with_hand(hand, 1.0)).tolist() == [found]


@pytest.mark.parametrize(("count", "found"), [(20, True), (2, True), (1, False)])
def test_mediapipes_hand_at_the_edge_of_the_picture(count: int, found: bool) -> None:
    keypoints = with_hand(LEFT, 1.0)
    keypoints[:, 25 + count : 45] = 0
    assert hands_found(keypoints)[0, 0] == found


@pytest.mark.parametrize(("score", "found"), [(0.02, False), (0.09, False), (0.11, True), (0.48, True)])
def test_openpose_writes_hands_that_it_does_not_see(score: float, found: bool) -> None:
    assert hands_found(with_hand(RIGHT, score))[0, 1] == found


def test_a_score_without_a_place_counts_nothing() -> None:
    keypoints = with_hand(LEFT, 1.0)
    keypoints[:, LEFT, :2] = 0
    assert not hands_found(keypoints).any()


def test_a_one_handed_sign_of_openposes_has_one_hand() -> None:
    """`good` of the Pakistani signs, as OpenPose wrote it, with points in a left hand that is not seen."""
    folder = SHARED / "data" / "formats" / "openpose_body25_hands" / "good"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here: the corpus is not part of the project")
    [folder] = folder.iterdir()
    layout = LAYOUTS["body25"]
    keypoints = apply_layout(load_source(folder, layout).points[:, 0], layout, None)
    present = keypoints[..., 2].any(axis=1)
    assert (keypoints[present, 25:45, 2] > 0).any()
    assert hands_found(keypoints).tolist() == [[False, bool(seen)] for seen in present]
