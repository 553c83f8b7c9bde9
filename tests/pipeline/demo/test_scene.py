"""The drawn picture and depth map: pixels lie where the skeleton says, near is bright, noise stays small."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.demo.figure import figure_keypoints
from pipeline.demo.scene import Scene
from pipeline.demo.signer import random_appearance, random_body
from pipeline.demo.signs import SIGNS, perform, random_style, vary

SIGNERS = range(12)


def performed(seed, sign):
    rng = np.random.default_rng(seed)
    body, appearance, style = random_body(rng), random_appearance(rng), vary(random_style(rng), rng)
    return body, appearance, figure_keypoints(body, perform(sign, style, rng)), rng


@pytest.mark.parametrize("seed", SIGNERS)
def test_fingers_are_drawn_at_their_keypoints(seed):
    body, appearance, points, rng = performed(seed, SIGNS[2])
    scene = Scene(body, replace(appearance, noise=0.0), rng)
    middle = points[len(points) // 2]
    color, _ = scene.draw(middle)
    blank, _ = scene.draw(middle + np.array([10_000, 10_000, 0]))
    x, y = middle[25:65, :2].round().astype(int).T
    drawn = color[y, x].astype(int)
    # A neighbour's edge may cover a joint; never the room or the clothes.
    edge = (np.array(appearance.skin) * 0.6).astype(int).clip(24)
    on_skin = (drawn == appearance.skin).all(axis=-1)
    assert (on_skin | (drawn == edge).all(axis=-1)).all()
    assert on_skin.mean() > 0.6
    assert (np.abs(drawn - blank[y, x]).max(axis=-1) > 10).all()


def test_depth_is_bright_where_near():
    body, appearance, points, rng = performed(2, SIGNS[2])
    _, depth = Scene(body, replace(appearance, noise=0.0), rng).draw(points[len(points) // 2])
    middle = points[len(points) // 2]
    hand, shoulder = middle[29, :2].round().astype(int), middle[5, :2].round().astype(int)
    assert depth[hand[1], hand[0]] > depth[shoulder[1], shoulder[0]] + 30
    assert depth[shoulder[1], shoulder[0]] > depth[2, 2] + 30


def test_noise_never_wraps_round():
    """Brightest and darkest colors with the strongest noise stay within 16 levels of the clean picture."""
    body, appearance, points, rng = performed(1, SIGNS[0])
    appearance = replace(appearance, background=((24, 24, 24), (231, 231, 231)), near=200.0)
    clean, noisy = (Scene(body, replace(appearance, noise=sigma), rng).draw(points[20]) for sigma in (0.0, 4.0))
    for calm, rough in zip(clean, noisy, strict=True):
        difference = np.abs(calm.astype(int) - rough.astype(int))
        assert 0 < difference.max() <= 16
