"""Pose flow against the reference's figures on real clips, and the default recipe against plain loops."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.data.clip_making import GOLDEN, moving_keypoints

from pipeline.errors import ClipError
from pipeline.pose.flow import NECK_PER_SHOULDERS, impute, pose_flow
from pipeline.stages.poseflow import keep_flow
from shards.format.recipe import DEFAULT, REFERENCE


def test_reference_flow_is_the_reference_s(mini_keypoints: dict[str, np.ndarray]) -> None:
    golden = np.load(GOLDEN / "pose_flow.npz")
    for key in golden.files:
        flow = pose_flow(mini_keypoints[key.split("__")[1]], REFERENCE)
        np.testing.assert_allclose(flow, golden[key], atol=1e-6, err_msg=key)


def _plain_impute(points: np.ndarray, chained: bool) -> np.ndarray:
    """Frame by frame, as the reference's description reads."""
    filled = points.copy()
    for t in range(len(points)):
        for n in range(points.shape[1]):
            if points[t, n].any():
                continue
            source = filled if chained else points
            present = [f for f in range(len(points)) if source[f, n].any()]
            if present:
                filled[t, n] = source[min(present, key=lambda f: (abs(f - t), f)), n]
    return filled


@pytest.mark.parametrize("chained", [False, True])
def test_imputation_is_that_of_plain_loops(chained: bool) -> None:
    random = np.random.default_rng(3)
    points = random.uniform(1, 9, (12, 30, 2)) * (random.random((12, 30, 1)) < 0.5)
    np.testing.assert_array_equal(impute(points, chained), _plain_impute(points, chained))


def test_a_point_that_is_never_seen_stays_still() -> None:
    keypoints = moving_keypoints(9, 0)
    keypoints[:, 30] = 0
    assert not pose_flow(keypoints, DEFAULT)[:, 30].any()


def test_default_scale_is_one_for_the_clip() -> None:
    """Twice the size gives the same flow, and one frame with a jittering neck does not move the other points."""
    keypoints = moving_keypoints(12, 1)
    flow = pose_flow(keypoints, DEFAULT)
    # Thousandths of a pixel are rounded, so not bit for bit.
    np.testing.assert_allclose(pose_flow(keypoints * [2, 2, 1], DEFAULT)[..., 1], flow[..., 1], atol=1e-4)
    jittered = keypoints.copy()
    jittered[5, 18, 1] -= 7
    others = np.delete(np.arange(135), 18)
    np.testing.assert_array_equal(pose_flow(jittered, DEFAULT)[:, others], flow[:, others])
    assert np.abs(pose_flow(jittered, REFERENCE) - pose_flow(keypoints, REFERENCE))[:, others, 1].max() > 0.1


def test_a_missing_neck_is_survived_by_shoulders() -> None:
    keypoints = moving_keypoints(12, 2)
    without_neck = keypoints.copy()
    without_neck[:, 17] = 0
    flow = pose_flow(without_neck, DEFAULT)
    # Neck 27 pixels, shoulders 40.
    expected = pose_flow(keypoints, DEFAULT)[:, 9, 1] * 27 / (40 * NECK_PER_SHOULDERS)
    np.testing.assert_allclose(flow[:, 9, 1], expected, rtol=1e-5)
    without_neck[:, 18] = 0
    with pytest.raises(ClipError, match="frame 0: no neck"):
        pose_flow(without_neck, REFERENCE)
    without_neck[:, 5] = 0
    with pytest.raises(ClipError, match="neither a neck nor two shoulders"):
        pose_flow(without_neck, DEFAULT)


def test_one_frame_has_no_flow() -> None:
    assert pose_flow(moving_keypoints(1, 0), DEFAULT).shape == (0, 135, 2)


def test_switches_are_independent() -> None:
    """Each switch alone changes what it says, on a clip with gaps."""
    keypoints = moving_keypoints(20, 4)
    keypoints[6:12, 9] = 0
    keypoints[3, 18, 1] -= 4
    default = pose_flow(keypoints, DEFAULT)
    chained = pose_flow(keypoints, replace(DEFAULT, chained_imputation=True))
    assert (chained[:, 9] != default[:, 9]).any()
    assert (chained[:, 8] == default[:, 8]).all()
    per_frame = pose_flow(keypoints, replace(DEFAULT, scale_per_frame=True))
    assert (per_frame[2:4, 0] != default[2:4, 0]).any()


def test_the_stage_writes_what_the_function_gives(tiny_work: Path) -> None:
    for path in sorted((tiny_work / "keypoints").glob("*.npy")):
        flow = np.load(tiny_work / "poseflow" / path.name)
        assert flow.dtype == np.float32
        np.testing.assert_array_equal(flow, pose_flow(np.load(path), DEFAULT))


def test_a_flow_that_cannot_be_fails_its_clip(tmp_path: Path) -> None:
    flow = np.zeros((3, 135, 2), np.float32)
    keep_flow(flow, tmp_path / "a.npy")
    for wrong in (np.nan, 1e38):
        flow[1, 7, 1] = wrong
        with pytest.raises(ClipError, match="a: its pose flow has "):
            keep_flow(flow, tmp_path / "a.npy")
