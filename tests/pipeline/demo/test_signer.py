"""Builds and looks of drawn signers."""

import numpy as np

from pipeline.demo.signer import SIZE, random_body, random_look


def test_signers_differ_and_their_colours_stay_apart():
    looks = [random_look(np.random.default_rng(seed)) for seed in range(60)]
    assert len({look.clothes for look in looks}) > 50
    for look in looks:
        for other in (look.clothes, look.background[0]):
            assert np.linalg.norm(np.subtract(look.skin, other)) > 60


def test_colours_leave_room_for_noise():
    for seed in range(60):
        look = random_look(np.random.default_rng(seed))
        levels = np.array([look.skin, look.clothes, look.hair, *look.background])
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
    assert (random_body(one), random_look(one)) == (random_body(other), random_look(other))
