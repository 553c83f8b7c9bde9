"""The tables as a whole, and the steps after them."""

import numpy as np
import pytest
from helpers.data.keypoint_files import SIZE

from pipeline.pose.layouts.apply import add_neck, apply_layout, are_fractions, drop_uncertain
from pipeline.pose.layouts.layout import mark_missing
from pipeline.pose.layouts.point_tables import LAYOUTS, OPENPOSE_HAND_MEAN


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_table_has_a_body_and_both_hands(name: str) -> None:
    body135 = LAYOUTS[name].body135
    assert {0, *range(5, 11), *range(25, 65)} <= set(body135) <= set(range(135))
    assert len(set(body135.values())) == len(body135)
    assert max(body135.values()) < LAYOUTS[name].points


def test_a_mirror_of_a_mirror() -> None:
    random = np.random.default_rng(0)
    points = random.uniform(1, 400, (3, 135, 3))
    points[1, 4] = 0
    once = apply_layout(points, LAYOUTS["body135"], SIZE, mirrored=True)
    assert not once[1, 3].any() and once[1, 4].any()
    twice = apply_layout(once, LAYOUTS["body135"], SIZE, mirrored=True)
    np.testing.assert_allclose(twice, points, rtol=1e-4)


def test_every_mark_of_a_missing_point() -> None:
    marks = [(0, 0, 0.5), (5, 6, 0), (-1, -1, 0.3), (np.nan, 3, 1), (3, np.inf, 1), (3, 4, np.nan), (5, 6, -1)]
    assert not mark_missing(np.array(marks)).any()
    there = np.array([(0, 3, 0.5), (-1, 3, 0.01), (700, -20, 1.2)])
    np.testing.assert_array_equal(mark_missing(there), there)


def test_a_hand_that_is_noise_and_one_with_a_few_weak_points() -> None:
    points = np.ones((2, 135, 3))
    points[0, 25:45, 2] = 0.03
    points[1, 25:35, 2] = 0.02  # a hand whose mean is above the bound
    assert points[1, 25:45, 2].mean() > OPENPOSE_HAND_MEAN
    kept = drop_uncertain(points, LAYOUTS["body25"])
    assert not kept[0, 25:45].any() and kept[0, 45:].all() and kept[1].all()


def test_the_neck_where_ears_are_hidden_or_have_no_place() -> None:
    points = np.zeros((4, 135, 3))
    points[:, [0, 5, 6]] = (100, 60, 0.9), (140, 120, 0.8), (60, 120, 0.7)
    points[:, [1, 2, 3, 4]] = (110, 50, 1), (90, 50, 1), (120, 52, 1), (80, 52, 1)
    points[1, 3] = points[2, [1, 4]] = 0
    points[3, 5] = 0
    with_neck = add_neck(points, points)
    np.testing.assert_allclose(with_neck[0, 17], (100, 120 + 0.3 * (52 - 120), 0.7))
    np.testing.assert_allclose(with_neck[0, 18], (100, 120 + 1.6 * (52 - 120), 0.7))
    np.testing.assert_allclose(with_neck[1, 17], (100, 120 + 0.3 * (50 - 120), 0.7))  # of the eyes
    assert not with_neck[2:, 17:19].any()


def test_fractions_are_told_by_their_size() -> None:
    layout, random = LAYOUTS["wholebody133"], np.random.default_rng(0)
    fractions = random.uniform(0, 1.2, (3, 133, 3))
    assert are_fractions(fractions, layout) and not are_fractions(fractions * 300, layout)
    assert not are_fractions(np.zeros((3, 133, 3)), layout)
    with pytest.raises(ValueError, match="lie about 0"):
        are_fractions(np.concatenate([random.uniform(-1, 1, (3, 133, 2)), np.ones((3, 133, 1))], axis=2), layout)
    with pytest.raises(ValueError, match="mediapipe258 has fractions"):
        are_fractions(random.uniform(1, 300, (3, 75, 3)), LAYOUTS["mediapipe258"])
