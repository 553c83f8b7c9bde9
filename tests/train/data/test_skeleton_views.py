import numpy as np
import pytest

from train.data import skeleton_views
from train.data.skeleton import HANDS
from train.data.skeleton_views import WHOLE, draw_skeleton_view


def numbers(view):
    distortion = view.distortion
    fields = [np.float32([view.mirrored, view.begin, view.end, view.bend]), *vars(distortion).values()]
    return b"".join(np.ascontiguousarray(field).tobytes() for field in fields)


@pytest.fixture(scope="module")
def views():
    return [draw_skeleton_view(7, epoch, f"sample{number}", 16) for epoch in range(10) for number in range(200)]


def test_a_view_depends_on_seed_epoch_and_id_only():
    first = numbers(draw_skeleton_view(1, 2, "a", 16))
    np.random.default_rng(0).random(5)
    draw_skeleton_view(5, 5, "other", 16)
    assert numbers(draw_skeleton_view(1, 2, "a", 16)) == first
    others = {numbers(draw_skeleton_view(*key, 16)) for key in ((0, 2, "a"), (1, 3, "a"), (1, 2, "b"))}
    assert len({first, *others}) == 4


def test_draws_stay_in_their_ranges_and_fill_them(views):
    assert 0.45 < np.mean([view.mirrored for view in views]) < 0.55
    assert min(view.begin for view in views) >= 0
    assert max(view.end for view in views) <= 1
    for values, low, high in (
        ([view.end - view.begin for view in views], 0.7, 1),
        ([view.bend for view in views], -0.4, 0.4),
        ([view.distortion.affine[0, 2] for view in views], -0.15, 0.15),
        ([view.distortion.affine[1, 2] for view in views], -0.15, 0.15),
    ):
        assert low - 1e-6 <= min(values) < low + 0.02 * (high - low) + 1e-6, (low, high)
        assert high + 1e-6 >= max(values) > high - 0.02 * (high - low) - 1e-6, (low, high)


def test_the_affine_map_is_a_shear_then_a_rotation_and_a_scale(views):
    for view in views[:300]:
        matrix = view.distortion.affine[:, :2].astype(np.float64)
        # QR: the rotation takes (1, 0) to the first column, and what is left is the shear.
        scale, angle = np.hypot(*matrix[:, 0]), np.arctan2(matrix[1, 0], matrix[0, 0])
        rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        left = np.linalg.inv(rotation) @ matrix
        np.testing.assert_allclose(left, [[1, left[0, 1]], [0, 1]], atol=1e-6)
        assert 0.85 <= scale <= 1.15
        assert abs(np.degrees(angle)) <= 15
        assert abs(left[0, 1]) <= 0.15 + 1e-6


def test_noise_is_a_hundredth_of_a_shoulder_width(views):
    noise = np.stack([view.distortion.noise for view in views])
    assert abs(noise.std() - 0.01) < 1e-4
    assert abs(noise.mean()) < 1e-4


def test_points_hands_and_spans_are_hidden_as_often_as_they_should(views):
    hidden = np.stack([view.distortion.hidden for view in views])
    empty = hidden.all(axis=2)
    body, hands = hidden[..., :7][~empty], [hidden[..., nodes][~empty] for nodes in HANDS]
    assert 0.037 < body.mean() < 0.043
    for hand in hands:
        assert 0.045 < hand.all(axis=1).mean() < 0.055
    # A span of 0 to 4 of the 16 frames, in 3 of 10 clips: 3.75 % of all frames.
    assert 0.032 < empty.mean() < 0.043
    assert empty.sum(axis=1).max() == 4
    assert all(np.diff(np.flatnonzero(clip)).max(initial=1) == 1 for clip in empty)


def test_evaluation_sees_everything():
    assert (WHOLE.mirrored, WHOLE.begin, WHOLE.end, WHOLE.bend, WHOLE.distortion) == (False, 0, 1, 0, None)


def test_length_of_what_is_drawn(monkeypatch):
    monkeypatch.setattr(skeleton_views, "HIDDEN_SPANS", 1.0)
    for length in (2, 3, 60):
        distortion = draw_skeleton_view(0, 0, "a", length).distortion
        assert distortion.noise.shape == (length, 25, 2)
        assert distortion.hidden.shape == (length, 25)
        assert distortion.noise.dtype == distortion.affine.dtype == np.float32
