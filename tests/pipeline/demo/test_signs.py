"""The vocabulary: which signs share what, and how a performance runs."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pipeline.demo.signs import LEFT, RELAXED, RIGHT, SIGNS, activity, perform, random_style, vary


def performance(sign, seed=3):
    rng = np.random.default_rng(seed)
    return perform(sign, vary(random_style(rng), rng), rng)


def test_eight_named_signs_with_and_without_the_left_hand():
    assert len({sign.name for sign in SIGNS}) == 8
    assert Counter(sign.two_handed for sign in SIGNS) == {True: 5, False: 3}


def test_every_pair_of_signs_differs_in_motion():
    for number, one in enumerate(SIGNS):
        for other in SIGNS[number + 1 :]:
            assert np.abs(performance(one).wrists - performance(other).wrists).max() > 0.3


def test_the_hand_shape_changes_the_fingers_and_not_the_wrists():
    one, other = performance(SIGNS[0]), performance(replace(SIGNS[0], shape=SIGNS[3].shape))
    np.testing.assert_array_equal(one.wrists, other.wrists)
    np.testing.assert_array_equal(one.angle, other.angle)
    assert np.abs(one.curls[:, RIGHT] - other.curls[:, RIGHT]).max() > 0.7


def test_signs_that_share_a_hand_shape_differ_in_motion():
    pairs = [(a, b) for a in SIGNS for b in SIGNS if a is not b and a.shape == b.shape]
    assert {sign.shape for pair in pairs for sign in pair} == {sign.shape for sign in SIGNS}
    for a, b in pairs:
        assert np.abs(performance(a).wrists - performance(b).wrists).max() > 0.3


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.name)
def test_hands_move_as_the_sign_says(sign):
    motion = performance(sign)
    extent = np.ptp(motion.wrists, axis=0).max(axis=-1)
    assert extent[RIGHT] > 0.5
    assert extent[LEFT] > 0.5 if sign.two_handed else extent[LEFT] < 0.1
    middle = len(motion.wrists) // 2
    np.testing.assert_allclose(motion.curls[middle, RIGHT], sign.shape.curls, atol=0.21)
    # Right-handed and not mirrored: the right wrist stays on the signer's right, at smaller x.
    assert (motion.wrists[:, RIGHT, 0] < 0.1).all()


def test_hands_start_and_end_at_rest():
    rng = np.random.default_rng(0)
    style = replace(vary(random_style(rng), rng), curl=(0,) * 5)
    active = activity(style)
    assert active[0] == 0 and active[-1] == 0 and active.max() == 1
    motion = perform(SIGNS[0], style, rng)
    assert np.abs(motion.wrists[0, RIGHT] * (-1, 1, 1) - style.rest[RIGHT]).max() <= style.wobble
    np.testing.assert_allclose(motion.curls[0, RIGHT], RELAXED.curls)


def test_the_sign_fills_the_middle_32_frames():
    """Those are what 16 frames at stride 2 see of a clip."""
    for seed in range(200):
        rng = np.random.default_rng(seed)
        style = vary(random_style(rng), rng)
        assert 40 <= style.frames <= 60
        start = (style.frames - 32) // 2
        assert (activity(style)[start : start + 32] > 0.9).mean() > 0.5


def test_performances_of_one_signer_differ():
    rng = np.random.default_rng(1)
    habits = random_style(rng)
    assert vary(habits, rng) != vary(habits, rng)
