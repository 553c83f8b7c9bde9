import re
import xml.etree.ElementTree as ElementTree

import numpy as np

from shards.body135 import ARM_BONES, BODY_BONES, FACE_POINTS, bones
from shards.page.skeleton import HAND_COLORS, skeleton, view_box

_NOBODY: dict = {"left": None, "right": None}


def lines(svg: str, color: str) -> int:
    root = ElementTree.fromstring(svg)  # noqa: S314  our own
    return sum(path.get("d").count("L") for path in root.findall("path") if path.get("stroke") == color)


def test_bones_of_a_hand_reach_all_its_points_once() -> None:
    for hand, wrist, points in (("left", 9, range(25, 45)), ("right", 10, range(45, 65))):
        ends = [end for _, end in bones(hand)]
        assert sorted(ends) == list(points)
        assert {start for start, _ in bones(hand)} - set(points) == {wrist}


def test_every_bone_is_there_once_and_the_face_has_none() -> None:
    pairs = [*BODY_BONES, *ARM_BONES["left"], *ARM_BONES["right"], *bones("left"), *bones("right")]
    assert len({frozenset(pair) for pair in pairs}) == len(pairs) == 13 + 2 * 20
    assert not {point for pair in pairs for point in pair} & set(FACE_POINTS)


def test_missing_points_and_what_hangs_on_them_are_left_out() -> None:
    points = np.ones((135, 3))
    whole = skeleton(points, _NOBODY, (0, 0, 100, 100))
    assert lines(whole, HAND_COLORS["left"]) == lines(whole, HAND_COLORS["right"]) == 20
    points[9] = 0  # the left wrist: five fingers and the forearm
    cut = skeleton(points, _NOBODY, (0, 0, 100, 100))
    assert lines(cut, HAND_COLORS["left"]) == 15
    assert lines(cut, "#333") == lines(whole, "#333") - 1
    nobody = skeleton(np.zeros((135, 3)), _NOBODY, (0, 0, 100, 100))
    assert lines(nobody, "#333") == 0
    assert "M" not in nobody


def test_boxes() -> None:
    svg = skeleton(np.zeros((135, 3)), {"left": np.array([10, 20, 40, 60]), "right": None}, (0, 0, 100, 100))
    assert re.findall(r'<rect x="10" y="20" width="30" height="40"', svg)
    assert svg.count("<rect") == 1


def test_view_is_a_square_round_everything_seen() -> None:
    pose = np.zeros((3, 135, 3))
    pose[0, 5, :2], pose[2, 6, :2] = (100, 50), (300, 90)
    x, y, width, height = view_box(pose, np.array([[250, 40, 350, 140]]))
    assert width == height
    assert x <= 100
    assert y <= 40
    assert x + width >= 350
    assert y + height >= 140
    assert width < 300
    assert view_box(np.zeros((3, 135, 3)), np.zeros((0, 4))) == (0, 0, 1, 1)
