"""Hand boxes against the reference's figures on real clips, and what the default recipe does with lost points."""

import json
import tracemalloc

import numpy as np
import pytest
from helpers.data.clip_making import GOLDEN, moving_keypoints

from pipeline.hands.boxes import hand_boxes, nearest_present
from shards.format.recipe import DEFAULT, REFERENCE


def test_reference_boxes_are_the_reference_s(mini_keypoints: dict[str, np.ndarray]) -> None:
    for key, golden in json.loads((GOLDEN / "crop_boxes.json").read_text()).items():
        for hand in ("left", "right"):
            boxes, missing = hand_boxes(mini_keypoints[key.split("/")[1]], hand, 512, 512, REFERENCE)
            found = np.concatenate([boxes, missing[:, None]], axis=1)[golden["frames"]]
            np.testing.assert_array_equal(found, golden[hand], err_msg=f"{key} {hand}")


def test_a_lost_shoulder_does_not_change_the_box() -> None:
    keypoints = moving_keypoints(9, 0)
    boxes, missing = hand_boxes(keypoints, "left", 160, 120, DEFAULT)
    keypoints[4, 5] = 0
    again, _ = hand_boxes(keypoints, "left", 160, 120, DEFAULT)
    np.testing.assert_array_equal(again, boxes)
    assert not missing.any()
    huge, _ = hand_boxes(keypoints, "left", 160, 120, REFERENCE)
    assert huge[4, 2] - huge[4, 0] > 1.3 * (boxes[4, 2] - boxes[4, 0])


def test_wrist_elbow_or_box_can_be_missing() -> None:
    keypoints = moving_keypoints(9, 0)
    keypoints[1, 9] = 0
    keypoints[2, 7] = 0
    keypoints[3, 9, :2] = (900, 900)
    _, missing = hand_boxes(keypoints, "left", 160, 120, DEFAULT)
    assert missing.tolist() == [False, True, True, True, False, False, False, False, False]


def test_boxes_stay_in_the_frame() -> None:
    boxes, missing = hand_boxes(moving_keypoints(30, 5), "right", 160, 120, DEFAULT)
    good = boxes[~missing]
    assert (good >= 0).all()
    assert (good <= [160, 120, 160, 120]).all()
    assert (good[:, :2] < good[:, 2:]).all()


def test_coordinates_beyond_all_numbers_of_pixels(recwarn: pytest.WarningsRecorder) -> None:
    keypoints = moving_keypoints(30, 5)
    keypoints[3, :, :2] *= 1e9
    boxes, _ = hand_boxes(keypoints, "right", 160, 120, DEFAULT)
    assert boxes.min() >= 0
    assert (boxes.max(axis=0) <= [160, 120, 160, 120]).all()
    assert not recwarn.list


def test_nearest_present_prefers_the_earlier() -> None:
    missing = np.array([True, False, True, True, True, False, True])
    assert nearest_present(missing).tolist() == [1, 1, 1, 1, 5, 5, 5]
    assert nearest_present(np.ones(3, bool)) is None


def test_nearest_present_is_the_nearest_of_all() -> None:
    random = np.random.default_rng(0)
    for _ in range(500):
        missing = random.random(random.integers(1, 40)) < random.random()
        present = np.flatnonzero(~missing)
        if len(present):
            distance = np.abs(np.arange(len(missing))[:, None] - present[None, :])
            np.testing.assert_array_equal(nearest_present(missing), present[distance.argmin(axis=1)])


def test_nearest_present_of_a_long_clip_needs_little_memory() -> None:
    missing = np.arange(20_000) % 3 == 0
    tracemalloc.start()
    nearest_present(missing)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000  # frames × frames would be 2 GB
