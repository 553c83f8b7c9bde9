"""Builds and appearances of drawn signers."""

import numpy as np

from pipeline.demo.signer import SIZE, random_appearance, random_body


def test_signers_differ_and_their_colors_stay_apart():
    appearances = [random_appearance(np.random.default_rng(seed)) for seed in range(60)]
    assert len({one.clothes for one in appearances}) > 50
    for one in appearances:
        for other in (one.clothes, one.background[0]):
            assert np.linalg.norm(np.subtract(one.skin, other)) > 60


def test_colors_leave_room_for_noise():
    for seed in range(60):
        one = random_appearance(np.random.default_rng(seed))
        levels = np.array([one.skin, one.clothes, one.hair, *one.background])
        assert levels.min() >= 24 and levels.max() <= 255 - 16


def test_builds_differ_and_stay_in_the_picture():
    """Shoulders of 100 to 190 pixels, with room for a head above and signing hands below and beside."""
    bodies = [random_body(np.random.default_rng(seed)) for seed in range(60)]
    assert len({round(body.unit) for body in bodies}) > 30
    for body in bodies:
        assert 100 <= body.unit <= 190
        assert body.unit < body.y < SIZE - body.unit
        assert body.unit < body.x < SIZE - body.unit


def test_the_same_seed_gives_the_same_signer():
    one, other = (np.random.default_rng(5) for _ in range(2))
    assert (random_body(one), random_appearance(one)) == (random_body(other), random_appearance(other))
