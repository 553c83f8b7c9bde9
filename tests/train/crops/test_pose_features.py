import numpy as np
import pytest
from helpers.models.golden_weights import GOLDEN

from shards.body135 import MIRRORED_POINTS
from shards.format.recipe import DEFAULT, REFERENCE
from train.crops.pose_features import FEATURE_POINTS
from train.crops.pose_features import pose_features as batch_features
from train.data.window import Window, window_frames


def flow_of(places: np.ndarray) -> np.ndarray:
    """Angle and magnitude from each frame to the next, of points that are always there; (T, 135, 2) → (T-1, 135, 2)."""
    steps = np.diff(places, axis=0)
    return np.stack([np.arctan2(steps[..., 1], steps[..., 0]), np.hypot(steps[..., 0], steps[..., 1])], axis=-1)


def pose_features(flow, frames, recipe, mirrored=False) -> np.ndarray:
    """Those of a single clip."""
    return batch_features([flow], frames[None], recipe, np.array([mirrored]))[0]


@pytest.fixture
def places():
    """Points on a random walk of 30 frames."""
    return np.random.default_rng(0).normal(0, 0.1, (30, 135, 2)).cumsum(axis=0)


def angle_difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of angles in half turns: -1 is 1."""
    return np.abs((a - b + 1) % 2 - 1)


def assert_same_motion(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found[:, 1::2], expected[:, 1::2], atol=1e-6)
    assert angle_difference(found[:, ::2], expected[:, ::2]).max() < 1e-5


def test_reference_features_are_the_golden_ones():
    with np.load(GOLDEN / "pose_flow.npz") as flows, np.load(GOLDEN / "pose_features.npz") as features:
        assert len(flows.files) == 12
        for key in flows.files:
            frames = window_frames(len(flows[key]) + 1, Window(16, 2), REFERENCE)
            found = pose_features(flows[key], frames, REFERENCE)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, features[key], atol=1e-6)


def test_reference_features_at_both_ends():
    flow = np.random.default_rng(0).uniform(0.1, 1, (4, 135, 2)).astype(np.float32)
    found = pose_features(flow, np.array([0, 3, 4]), REFERENCE)
    assert (found[0] == 0).all()
    assert (found[2] == found[1]).all()  # the last frame has no flow of its own
    np.testing.assert_allclose(found[1, 1::2], flow[3, FEATURE_POINTS, 1])


def test_default_features_are_the_motion_since_the_sampled_frame_before(places):
    frames = np.array([3, 5, 9, 9, 28])
    found = pose_features(flow_of(places).astype(np.float32), frames, DEFAULT)
    moved = np.diff(places[frames][:, FEATURE_POINTS], axis=0, prepend=places[None, 3, FEATURE_POINTS])
    assert (found[0] == 0).all()
    assert (found[3] == 0).all()  # a repeated frame
    expected = np.stack([np.arctan2(moved[..., 1], moved[..., 0]) / np.pi, np.hypot(moved[..., 0], moved[..., 1])], -1)
    moving = [1, 2, 4]
    assert_same_motion(found[moving], expected.reshape(5, 106)[moving])


def test_a_way_out_and_back_is_no_motion_and_has_no_angle():
    flow = np.zeros((2, 135, 2), np.float32)
    flow[0], flow[1] = (0.3, 0.7), (0.3 - np.pi, 0.7)
    found = pose_features(flow, np.array([0, 2]), DEFAULT)
    assert (found == 0).all()  # float32 angles leave 6e-8 neck lengths


@pytest.mark.parametrize("recipe", [DEFAULT, REFERENCE], ids=lambda recipe: recipe.name)
def test_mirrored_features_are_those_of_a_mirrored_clip(places, recipe):
    mirrored = places[:, MIRRORED_POINTS] * (-1, 1)
    frames = np.arange(1, 29, 3)
    found = pose_features(flow_of(places).astype(np.float32), frames, recipe, mirrored=True)
    assert_same_motion(found, pose_features(flow_of(mirrored).astype(np.float32), frames, recipe))


@pytest.mark.parametrize("recipe", [DEFAULT, REFERENCE], ids=lambda recipe: recipe.name)
def test_clips_of_a_batch_do_not_touch_each_other(recipe):
    random = np.random.default_rng(1)
    flows = [random.uniform(-1, 1, (count - 1, 135, 2)).astype(np.float32) for count in (40, 1, 9, 25)]
    frames = np.stack([window_frames(len(flow) + 1, Window(8, 3), recipe) for flow in flows])
    mirrored = np.array([False, True, True, False])
    found = batch_features(flows, frames, recipe, mirrored)
    for number, flow in enumerate(flows):
        alone = pose_features(flow, frames[number], recipe, bool(mirrored[number]))
        np.testing.assert_array_equal(found[number], alone)


def test_mirroring_points_twice_changes_nothing_and_swaps_the_sides():
    assert (MIRRORED_POINTS[MIRRORED_POINTS] == np.arange(135)).all()
    assert MIRRORED_POINTS[[0, 5, 7, 9, 17, 18, 25, 44]].tolist() == [0, 6, 8, 10, 17, 18, 45, 64]


@pytest.mark.parametrize("recipe", [DEFAULT, REFERENCE], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_clip_of_one_frame_does_not_move(recipe, mirrored):
    found = pose_features(np.zeros((0, 135, 2), np.float32), np.zeros(4, int), recipe, mirrored)
    assert found.shape == (4, 106)
    assert (found == 0).all()
