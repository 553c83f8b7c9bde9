import numpy as np
import pytest
from helpers.data.skeleton_making import OTHER_SIDE, made_keypoints, mirror_image, skeleton_of

from train.skeleton.nodes import (
    HAND_PLACES,
    KNUCKLES,
    MIRRORED,
    NODES,
    PARENTS,
    body_frame,
    sampled_frames,
)

# As the specification of the stream writes them.
SPECIFIED = "0 5 6 7 8 9 10 28 29 32 33 36 37 40 41 44 48 49 52 53 56 57 60 61 64"
BONES = {(0, 5), (0, 6), (5, 7), (7, 9), (6, 8), (8, 10)}
BONES |= {(9, 28), (9, 29), (9, 33), (9, 37), (9, 41), (29, 32), (33, 36), (37, 40), (41, 44)}
BONES |= {(10, 48), (10, 49), (10, 53), (10, 57), (10, 61), (49, 52), (53, 56), (57, 60), (61, 64)}
CLIP = made_keypoints(30)


def test_nodes_bones_and_sides_are_the_specified_ones():
    assert NODES.tolist() == [int(point) for point in SPECIFIED.split()]
    bones = {(NODES[parent], NODES[child]) for child, parent in enumerate(PARENTS) if child != parent}
    assert bones == BONES
    assert NODES[MIRRORED].tolist() == OTHER_SIDE[NODES].tolist()
    assert [NODES[hand][KNUCKLES].tolist() for hand in HAND_PLACES] == [[29, 33, 37, 41], [49, 53, 57, 61]]


def independent_skeleton(keypoints, frames):
    """The specification, written as loops."""
    necks = [frame[17, :2] for frame in keypoints if frame[17, 2] > 0]
    pairs = [(frame[5, :2], frame[6, :2]) for frame in keypoints if frame[5, 2] > 0 and frame[6, 2] > 0]
    seen = [point[:2] for frame in keypoints for point in frame[NODES] if point[2] > 0]
    if necks:
        center = np.median(necks, axis=0)
    elif pairs:
        center = np.median([(left + right) / 2 for left, right in pairs], axis=0)
    else:
        center = np.mean(seen, axis=0)
    width = np.median([np.linalg.norm(left - right) for left, right in pairs]) if pairs else None
    if width is None:
        width = (np.max(seen, axis=0) - np.min(seen, axis=0)).max() / 2.6
    skeleton = np.zeros((len(frames), 25, 3))
    for row, frame in enumerate(frames):
        for place, point in enumerate(NODES):
            x, y, score = keypoints[frame, point]
            if score > 0:
                skeleton[row, place] = (*np.clip((np.array([x, y]) - center) / width, -4, 4), score)
    return skeleton


@pytest.mark.parametrize("hidden", [[], [17], [17, 5], [5], [17, 6]], ids=str)
@pytest.mark.parametrize("frames", [1, 2, 7, 30])
def test_a_skeleton_is_the_one_that_the_specification_gives(hidden, frames):
    clip = made_keypoints(frames, seed=3, missing=0.0 if frames == 1 else 0.2)
    clip[:, hidden] = 0
    chosen = sampled_frames(frames, 16)
    expected = independent_skeleton(clip.astype(np.float64), chosen)
    np.testing.assert_allclose(skeleton_of(clip, chosen), expected, atol=2e-5)


def test_a_point_far_off_is_held_at_four_shoulder_widths():
    clip = made_keypoints(30, missing=0)
    clip[3, 10, :2] += 5000, -5000
    assert skeleton_of(clip, np.arange(30))[3, 6, :2].tolist() == [4, -4]
    assert independent_skeleton(clip, range(30))[3, 6, :2].tolist() == [4, -4]


@pytest.mark.parametrize("junk", [np.nan, np.inf, -np.inf, -1, 1e9], ids=str)
@pytest.mark.parametrize("score", [0, -1, np.nan], ids=str)
def test_what_stands_at_a_missing_point_changes_nothing(junk, score):
    missing = ~(CLIP[..., 2] > 0)
    assert missing[:, [5, 6, 17]].any()
    clip = CLIP.copy()
    clip[missing] = junk, junk, score
    frames = sampled_frames(len(clip), 16)
    np.testing.assert_array_equal(skeleton_of(clip, frames), skeleton_of(CLIP, frames))


def test_missing_points_are_zero_and_never_imputed():
    skeleton = skeleton_of(CLIP, np.arange(30))
    missing = CLIP[:, NODES, 2] == 0
    assert missing.any()
    assert not skeleton[missing].any()
    assert (skeleton[~missing][:, 2] == CLIP[:, NODES][~missing][:, 2]).all()


@pytest.mark.parametrize("junk", [np.nan, np.inf, 1e38, -1e6])
def test_a_point_with_a_score_but_without_a_place_is_refused(junk):
    clip = CLIP.copy()
    clip[4, 9] = junk, 3, 0.5
    with pytest.raises(ValueError, match="finite"):
        skeleton_of(clip, np.arange(30))
    # The neck and the shoulders are looked at in all frames.
    for point in (5, 17):
        clip = CLIP.copy()
        clip[1, [5, 6, 17]] = 1
        clip[1, point, 1] = junk
        with pytest.raises(ValueError, match="finite"):
            skeleton_of(clip, np.arange(5, 20))


def test_a_clip_with_nobody_in_it_gives_zeros():
    assert not skeleton_of(np.zeros((5, 135, 3), np.float32), sampled_frames(5, 16)).any()
    center, width = body_frame(np.zeros((5, 135, 3), np.float32))
    assert (center.tolist(), width) == ([0, 0], 1)


def test_shoulders_on_one_spot_are_no_measure():
    clip = CLIP.copy()
    clip[:, 6] = clip[:, 5]
    assert np.isfinite(skeleton_of(clip, np.arange(30))).all()
    assert body_frame(clip)[1] > 1


@pytest.mark.parametrize("hidden", [[], [17], [17, 5, 6]], ids=str)
def test_the_mirrored_clip_has_the_mirrored_skeleton(hidden):
    clip = made_keypoints(30, seed=1)
    clip[:, hidden] = 0
    frames = sampled_frames(30, 16)
    expected = skeleton_of(clip, frames)[:, MIRRORED] * np.float32([-1, 1, 1])
    np.testing.assert_allclose(skeleton_of(mirror_image(clip), frames), expected, atol=1e-5)


def test_the_input_is_left_as_it_is():
    clip = CLIP.copy()
    skeleton_of(clip, np.arange(30))
    np.testing.assert_array_equal(clip, CLIP)


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 75, 500])
@pytest.mark.parametrize("length", [2, 16, 60])
def test_frames_are_evenly_spread_over_the_whole_clip(count, length):
    assert sampled_frames(count, length).tolist() == np.linspace(0, count - 1, length).round().tolist()
    for bend in (-0.4, 0.4):
        frames = sampled_frames(count, length, 0.1, 0.8, bend)
        assert (np.diff(frames) >= 0).all()
        assert [frames[0], frames[-1]] == [round(0.1 * (count - 1)), round(0.8 * (count - 1))]


def test_a_clip_s_frames_do_not_depend_on_the_batch():
    counts = np.array([1, 2, 29, 75, 1000])
    begin, end, bend = np.array([[0, 0.1, 0.2, 0.3, 0.05], [1, 0.8, 1, 0.9, 0.8], [0.4, -0.4, 0, 0.2, 0.1]])
    together = sampled_frames(counts, 17, begin, end, bend)
    for row, *alone in zip(together, counts, begin, end, bend, strict=True):
        np.testing.assert_array_equal(sampled_frames(alone[0], 17, *alone[1:]), row)


def test_bent_time_begins_fast_and_ends_slow():
    steps = np.diff(sampled_frames(10_001, 101, bend=0.4))
    assert abs(steps[0] - 140) <= 1
    assert abs(steps[-1] - 60) <= 1
    assert steps.sum() == 10_000
