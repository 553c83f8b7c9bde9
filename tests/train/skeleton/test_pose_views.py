import numpy as np
import pytest

from train.skeleton.nodes import HAND_PLACES
from train.skeleton.pose_views import SkeletonViews, draw_skeleton_views


def fields(views):
    return [views.mirrored, views.begin, views.end, views.bend, *views.distortions]


@pytest.fixture(scope="module")
def views():
    return draw_skeleton_views(7, 0, [f"sample{number}" for number in range(3000)], 16)


def test_a_view_depends_on_seed_epoch_and_id_only():
    together = fields(draw_skeleton_views(1, 2, ["b", "a", "c"], 16))
    alone = fields(draw_skeleton_views(1, 2, ["a"], 16))
    for column, one in zip(together, alone, strict=True):
        np.testing.assert_array_equal(column[1], one[0])
    for seed, epoch, sample_id in ((0, 2, "a"), (1, 3, "a"), (1, 2, "b")):
        other = fields(draw_skeleton_views(seed, epoch, [sample_id], 16))
        assert not any(np.array_equal(column, one) for column, one in zip(other[1:], alone[1:], strict=True))


def test_draws_stay_in_their_ranges_and_fill_them(views):
    assert 0.45 < views.mirrored.mean() < 0.55
    assert views.begin.min() >= 0
    assert views.end.max() <= 1
    shift = views.distortions[0][:, :, 2]
    for values, low, high in (
        (views.end - views.begin, 0.7, 1),
        (views.bend, -0.4, 0.4),
        (shift[:, 0], -0.15, 0.15),
        (shift[:, 1], -0.15, 0.15),
    ):
        assert low - 1e-6 <= values.min() < low + 0.02 * (high - low), (low, high)
        assert high + 1e-6 >= values.max() > high - 0.02 * (high - low), (low, high)


def test_the_affine_map_is_a_shear_then_a_rotation_and_a_scale(views):
    for affine in views.distortions[0][:300]:
        matrix = affine[:, :2].astype(np.float64)
        # QR: the rotation takes (1, 0) to the first column, and what is left is the shear.
        scale, angle = np.hypot(*matrix[:, 0]), np.arctan2(matrix[1, 0], matrix[0, 0])
        rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        left = np.linalg.inv(rotation) @ matrix
        np.testing.assert_allclose(left, [[1, left[0, 1]], [0, 1]], atol=1e-6)
        assert 0.85 <= scale <= 1.15
        assert abs(np.degrees(angle)) <= 15
        assert abs(left[0, 1]) <= 0.15 + 1e-6


def test_noise_is_a_hundredth_of_a_shoulder_width(views):
    noise = views.distortions[1]
    assert noise.dtype == np.float32
    assert abs(noise.std() - 0.01) < 1e-4
    assert abs(noise.mean()) < 1e-4


def test_points_hands_and_spans_are_hidden_as_often_as_they_should(views):
    hidden = views.distortions[2]
    empty = hidden.all(axis=2)
    body, hands = hidden[..., :7][~empty], [hidden[..., nodes][~empty] for nodes in HAND_PLACES]
    assert 0.037 < body.mean() < 0.043
    for hand in hands:
        assert 0.045 < hand.all(axis=1).mean() < 0.055
    # A span of 0 to 4 of the 16 frames, in 3 of 10 clips: 3.75 % of all frames.
    assert 0.032 < empty.mean() < 0.043
    assert empty.sum(axis=1).max() == 4
    assert all(np.diff(np.flatnonzero(clip)).max(initial=1) == 1 for clip in empty)


@pytest.mark.parametrize("length", [2, 3, 60])
def test_draws_are_of_the_model_s_length(length):
    affine, noise, hidden = draw_skeleton_views(0, 0, ["a", "b"], length).distortions
    assert affine.shape == (2, 2, 3)
    assert noise.shape == (2, length, 25, 2)
    assert hidden.shape == (2, length, 25)


def test_evaluation_sees_everything():
    views = SkeletonViews(np.zeros(2, bool))
    assert (views.begin, views.end, views.bend, views.distortions) == (0, 1, 0, ())
