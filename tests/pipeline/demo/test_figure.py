"""The drawn figure: arm lengths, hand shapes, and that pixels lie where the skeleton says."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.demo.figure import ELBOWS, SHOULDERS, WRISTS, Scene, skeleton
from pipeline.demo.signer import SIZE, random_body, random_look
from pipeline.demo.signs import FIST, LEFT, OPEN, RIGHT, SIGNS, perform, random_style, vary

SIGNERS = range(12)


def signer(seed):
    rng = np.random.default_rng(seed)
    return random_body(rng), random_look(rng), vary(random_style(rng), rng), rng


def performed(seed, sign):
    body, look, style, rng = signer(seed)
    return body, look, skeleton(body, perform(sign, style, rng)), rng


def unmissed(points):
    return points[~np.isnan(points[:, 0])]


@pytest.mark.parametrize("seed", SIGNERS)
def test_bones_keep_their_length(seed):
    body, _, points, _ = performed(seed, SIGNS[seed % 8])
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
        body, _, points, _ = performed(seed, sign)
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
    body, _, style, rng = signer(0)
    motion = perform(SIGNS[2], style, rng)
    reach = {}
    for shape in (OPEN, FIST):
        curls = np.broadcast_to(shape.curls, motion.curls.shape)
        points = skeleton(body, replace(motion, curls=curls, spread=np.full_like(motion.spread, shape.spread)))
        tips = points[:, [32, 36, 40, 44], :2] - points[:, 9:10, :2]
        reach[shape] = np.linalg.norm(tips, axis=-1).mean() / body.unit / body.hand
    assert reach[OPEN] > 0.8 and reach[FIST] < 0.5


@pytest.mark.parametrize("seed", SIGNERS)
def test_fingers_are_drawn_at_their_keypoints(seed):
    body, look, points, rng = performed(seed, SIGNS[2])
    scene = Scene(body, replace(look, noise=0.0), rng)
    middle = points[len(points) // 2]
    colour, _ = scene.draw(middle)
    blank, _ = scene.draw(middle + np.array([10_000, 10_000, 0]))
    x, y = middle[25:65, :2].round().astype(int).T
    drawn = colour[y, x].astype(int)
    # A neighbour's edge may cover a joint; never the room or the clothes.
    edge = (np.array(look.skin) * 0.6).astype(int).clip(24)
    on_skin = (drawn == look.skin).all(axis=-1)
    assert (on_skin | (drawn == edge).all(axis=-1)).all()
    assert on_skin.mean() > 0.6
    assert (np.abs(drawn - blank[y, x]).max(axis=-1) > 10).all()


def test_depth_is_bright_where_near():
    body, look, points, rng = performed(2, SIGNS[2])
    _, depth = Scene(body, replace(look, noise=0.0), rng).draw(points[len(points) // 2])
    middle = points[len(points) // 2]
    hand, shoulder = middle[29, :2].round().astype(int), middle[5, :2].round().astype(int)
    assert depth[hand[1], hand[0]] > depth[shoulder[1], shoulder[0]] + 30
    assert depth[shoulder[1], shoulder[0]] > depth[2, 2] + 30


def test_noise_never_wraps_round():
    """Brightest and darkest colours with the strongest noise stay within 16 levels of the clean picture."""
    body, look, points, rng = performed(1, SIGNS[0])
    look = replace(look, background=((24, 24, 24), (231, 231, 231)), near=200.0)
    clean, noisy = (Scene(body, replace(look, noise=sigma), rng).draw(points[20]) for sigma in (0.0, 4.0))
    for calm, rough in zip(clean, noisy, strict=True):
        difference = np.abs(calm.astype(int) - rough.astype(int))
        assert 0 < difference.max() <= 16


def test_the_idle_hand_rests_while_the_other_signs():
    _, _, points, _ = performed(3, SIGNS[0])
    assert np.ptp(points[:, WRISTS[LEFT], :2], axis=0).max() < 0.3 * np.ptp(points[:, WRISTS[RIGHT], :2], axis=0).max()
