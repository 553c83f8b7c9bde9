"""Following one person."""

import json

import numpy as np
import pytest
from helpers.data.keypoint_files import corpus

from pipeline.pose.layouts.openpose import load
from pipeline.pose.layouts.point_tables import LAYOUTS
from pipeline.pose.scripts.person import follow


def walkers(frames: int = 20) -> np.ndarray:
    """(T, 3, 4, 3): a small person, first and left; the largest, right; one in the middle. Each moves a little."""
    people = np.ones((frames, 3, 4, 3))
    corners = np.array([(0, 0), (1, 0), (0, 1), (1, 1)])
    for person, (x, side) in enumerate(((20, 20), (200, 60), (120, 30))):
        people[:, person, :, :2] = (x, 80) + side * corners + np.arange(frames)[:, None, None] * 2
    return people


@pytest.mark.parametrize(("choice", "person"), [("first", 0), ("largest", 1), ("central", 2)])
def test_the_one_who_was_chosen_through_changing_orders(choice: str, person: int) -> None:
    people = walkers()
    random = np.random.default_rng(0)
    shuffled = np.array([people[0], *(frame[random.permutation(3)] for frame in people[1:])])
    np.testing.assert_array_equal(follow(shuffled, choice, (270, 190)), people[:, person])


def test_nobody_stands_in_for_a_person_who_is_lost() -> None:
    people = walkers()
    expected = people[:, 1].copy()
    for frame in (3, 4, 5):
        people[frame, 1] = expected[frame] = 0
    people[8:10] = expected[8:10] = 0
    np.testing.assert_array_equal(follow(people, "largest"), expected)


def test_a_single_person_is_taken_wherever_they_are() -> None:
    people = walkers()[:, :1]
    people[10:] += 1000
    np.testing.assert_array_equal(follow(people, "central"), people[:, 0])


def test_central_needs_the_size() -> None:
    with pytest.raises(ValueError, match="size of the picture"):
        follow(walkers(), "central")


def test_badminton_players() -> None:
    folder = corpus("openpose_body25_people")
    expected = json.loads((folder / "expected.json").read_text())
    people = load(folder / "output_json", LAYOUTS["body25"]).points
    followed = follow(people, "largest")
    np.testing.assert_array_equal(followed[0], people[0, expected["person_with_largest_box"][0]])
    there = (followed[..., 2] > 0).any(axis=1)
    middles = np.array([frame[frame[:, 2] > 0, :2].mean(axis=0) for frame in followed[there]])
    assert there.mean() > 0.8
    assert np.linalg.norm(np.diff(middles, axis=0), axis=1).max() < 60  # of 1920: the file's first person jumps by 100s
    first = people[:, 0]
    jumps = np.linalg.norm(np.diff([frame[frame[:, 2] > 0, :2].mean(axis=0) for frame in first], axis=0), axis=1)
    assert jumps.max() > 300
