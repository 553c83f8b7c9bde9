"""The drawn figure's skeleton: arm lengths, hand shapes, hands in the picture."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.demo.figure import ELBOWS, SHOULDERS, WRISTS, figure_keypoints
from pipeline.demo.signer import SIZE, random_body
from pipeline.demo.signs import FIST, LEFT, OPEN, RIGHT, SIGNS, perform, random_style, vary

SIGNERS = range(12)


def signer(seed):
    rng = np.random.default_rng(seed)
    return random_body(rng), vary(random_style(rng), rng), rng


def performed(seed, sign):
    body, style, rng = signer(seed)
    return body, figure_keypoints(body, perform(sign, style, rng))


def unmissed(points):
    return points[~np.isnan(points[:, 0])]


@pytest.mark.parametrize("seed", SIGNERS)
def test_bones_keep_their_length(seed):
    body, points = performed(seed, SIGNS[seed % 8])
    points[..., :2] = (points[..., :2] - (body.x, body.y)) / body.unit
    for start, end, length in ((SHOULDERS, ELBOWS, body.upper_arm), (ELBOWS, WRISTS, body.forearm)):
        bones = np.linalg.norm(points[:, end] - points[:, start], axis=-1)
        np.testing.assert_allclose(bones, length, rtol=1e-9)
    # Knuckle to next joint of the left index finger, however it is curled.
    index = np.linalg.norm(points[:, 30] - points[:, 29], axis=-1)
    np.testing.assert_allclose(index, index[0], rtol=1e-9)


@pytest.mark.parametrize("seed", SIGNERS)
def test_a_body_has_autsl_measures_and_keeps_signing_hands_in_the_picture(seed):
    for sign in SIGNS:
        body, points = performed(seed, sign)
        assert 100 <= body.unit <= 190
        shoulders = np.linalg.norm(points[:, 5, :2] - points[:, 6, :2], axis=-1)
        np.testing.assert_allclose(shoulders, body.unit)
        assert points[0, 5, 0] > points[0, 6, 0]  # not mirrored: the signer's left is at larger x
        hand = points[len(points) // 2, 45:65, :2]
        assert (hand > 0).all() and (hand < SIZE).all()
    body = points[0]
    assert body[18, 1] < body[0, 1] < body[17, 1] < body[11, 1]  # head top, nose, neck, hip
    assert np.isnan(body[[13, 14, 15, 16, 19, 20, 21, 22, 23, 24]]).all()
    assert len(unmissed(body)) == 125


def test_open_hands_reach_farther_than_fists():
    body, style, rng = signer(0)
    motion = perform(SIGNS[2], style, rng)
    reach = {}
    for shape in (OPEN, FIST):
        curls = np.broadcast_to(shape.curls, motion.curls.shape)
        points = figure_keypoints(body, replace(motion, curls=curls, spread=np.full_like(motion.spread, shape.spread)))
        tips = points[:, [32, 36, 40, 44], :2] - points[:, 9:10, :2]
        reach[shape] = np.linalg.norm(tips, axis=-1).mean() / body.unit / body.hand
    assert reach[OPEN] > 0.8 and reach[FIST] < 0.5


def test_the_idle_hand_rests_while_the_other_signs():
    _, points = performed(3, SIGNS[0])
    assert np.ptp(points[:, WRISTS[LEFT], :2], axis=0).max() < 0.3 * np.ptp(points[:, WRISTS[RIGHT], :2], axis=0).max()
