import numpy as np
import pytest
import torch
from helpers.data.skeleton_making import made_keypoints, mirror_image, skeleton_of

from train.skeleton.features import skeleton_features
from train.skeleton.nodes import MIRRORED, sampled_frames

FRAMES = 16
# Of the channels x, y, score, steps over 1 and 2 frames, bone, place in the hand: those along x.
ACROSS = [0, 3, 5, 7, 9]
PARENTS = {1: 0, 2: 0, 3: 1, 4: 2, 5: 3, 6: 4}
PARENTS |= {7: 5, 8: 5, 10: 5, 12: 5, 14: 5, 9: 8, 11: 10, 13: 12, 15: 14}
PARENTS |= {16: 6, 17: 6, 19: 6, 21: 6, 23: 6, 18: 17, 20: 19, 22: 21, 24: 23}


def features_of(skeletons):
    return skeleton_features(torch.from_numpy(skeletons)).numpy().reshape(*skeletons.shape[:3], 11)


def skeleton(seed, frames=40, missing=0.25):
    return skeleton_of(made_keypoints(frames, seed, missing), sampled_frames(frames, FRAMES))


def independent_features(clip):
    """The specification's 11 channels, point by point: (T, 25, 3) → (T, 25, 11)."""
    place, there = clip[..., :2].astype(np.float64), clip[..., 2] > 0
    features = np.zeros((*clip.shape[:2], 11))
    for frame in range(len(clip)):
        for node in range(25):
            if not there[frame, node]:
                continue
            here, out = place[frame, node], features[frame, node]
            out[:3] = (*here, clip[frame, node, 2])
            for channel, later in ((3, frame + 1), (5, frame + 2)):
                if later < len(clip) and there[later, node]:
                    out[channel : channel + 2] = place[later, node] - here
            if node in PARENTS and there[frame, PARENTS[node]]:
                out[7:9] = here - place[frame, PARENTS[node]]
    for nodes in (range(7, 16), range(16, 25)):
        offsets = {}
        for frame in range(len(clip)):
            knuckles = [place[frame, node] for node in nodes[1::2] if there[frame, node]]
            for node in nodes:
                if knuckles and there[frame, node]:
                    offsets[frame, node] = place[frame, node] - np.mean(knuckles, axis=0)
        if offsets:
            radius = max(0.03, np.sqrt(np.mean([offset @ offset for offset in offsets.values()])))
        for (frame, node), offset in offsets.items():
            features[frame, node, 9:] = np.clip(offset / radius, -4, 4)
    return features


@pytest.mark.parametrize("missing", [0.0, 0.25, 0.9])
def test_features_are_those_of_an_independent_computation(missing):
    clips = np.stack([skeleton(seed, missing=missing) for seed in range(6)])
    clips[0, 3:6] = 0  # frames without anybody
    clips[1, :, 7:16] = 0  # never a left hand
    clips[2, :, 16:25, :2] = clips[2, :, 16:17, :2] + 0.001 * clips[2, :, 16:25, :2]  # a hand that is a spot
    clips[2, clips[2, ..., 2] == 0] = 0
    clips[3, :, 16:25, :2] *= 0.01
    clips[3, 5, 18] = 4, 4, 1  # a finger far off a small hand: beyond the limit
    expected = np.stack([independent_features(clip) for clip in clips])
    np.testing.assert_allclose(features_of(clips), expected, atol=1e-5)
    if missing < 0.9:
        assert np.abs(expected[3, ..., 9:]).max() == 4
        assert np.abs(expected[2, :, 16:, 9:]).max() < 0.5


def test_a_clip_has_the_same_features_in_any_batch():
    clips = np.stack([skeleton(seed) for seed in range(4)])
    together = features_of(clips)
    for number in range(4):
        np.testing.assert_array_equal(features_of(clips[number : number + 1])[0], together[number])


def test_the_mirrored_clip_has_the_mirrored_features():
    keypoints, frames = made_keypoints(40, 5), sampled_frames(40, FRAMES)
    features = features_of(np.stack([skeleton_of(clip, frames) for clip in (keypoints, mirror_image(keypoints))]))
    expected = features[0][:, MIRRORED].copy()
    expected[..., ACROSS] *= -1
    assert np.abs(expected).sum() > 100
    np.testing.assert_allclose(features[1], expected, atol=1e-4)


@pytest.mark.parametrize("junk", [float("nan"), float("inf"), -1.0, 1e9])
def test_what_stands_at_a_missing_point_changes_nothing(junk):
    clips = np.stack([skeleton(seed) for seed in range(3)])
    dirty = clips.copy()
    dirty[clips[..., 2] == 0, :2] = junk
    np.testing.assert_array_equal(features_of(dirty), features_of(clips))


def test_the_hand_s_place_does_not_depend_on_where_and_how_large_it_is():
    clips = skeleton(2)[None]
    moved = clips.copy()
    moved[..., :2] = np.where(clips[..., 2:] > 0, 0.5 * clips[..., :2] + np.float32([0.3, -0.2]), 0)
    np.testing.assert_allclose(features_of(moved)[..., 9:], features_of(clips)[..., 9:], atol=1e-4)


def test_gradients_are_finite_where_nothing_is_there():
    clips = np.stack([np.zeros((FRAMES, 25, 3), np.float32), skeleton(1)])
    clips[1, :, 7:16, :2] = 0  # a present hand on one spot
    tensor = torch.from_numpy(clips).requires_grad_()
    skeleton_features(tensor).square().sum().backward()
    assert torch.isfinite(tensor.grad).all()
    assert tensor.grad[1].abs().sum() > 0
