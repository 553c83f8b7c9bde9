import numpy as np

from shards.body135 import ARM_BONES, BODY_BONES, FACE_POINTS, hand_bones
from shards.page.drawing import Drawing
from shards.page.skeleton import skeleton, view_box

_NOBODY: dict = {"left": None, "right": None}


def lines(drawing: Drawing, style: str) -> int:
    """How many bones of a style are drawn."""
    paths = [mark.attributes for mark in drawing.marks if mark.name == "path"]
    return sum(path["d"].count("L") for path in paths if path["class"] == style)


def test_bones_of_a_hand_reach_all_its_points_once() -> None:
    for hand, wrist, points in (("left", 9, range(25, 45)), ("right", 10, range(45, 65))):
        ends = [end for _, end in hand_bones(hand)]
        assert sorted(ends) == list(points)
        assert {start for start, _ in hand_bones(hand)} - set(points) == {wrist}


def test_every_bone_is_there_once_and_the_face_has_none() -> None:
    pairs = [*BODY_BONES, *ARM_BONES["left"], *ARM_BONES["right"], *hand_bones("left"), *hand_bones("right")]
    assert len({frozenset(pair) for pair in pairs}) == len(pairs) == 13 + 2 * 20
    assert not {point for pair in pairs for point in pair} & set(FACE_POINTS)


def test_missing_points_and_their_bones_are_left_out() -> None:
    points = np.ones((135, 3))
    whole = skeleton(points, _NOBODY, (0, 0, 100, 100))
    assert lines(whole, "left-hand") == lines(whole, "right-hand") == 20
    points[9] = 0  # the left wrist: five fingers and the forearm
    cut = skeleton(points, _NOBODY, (0, 0, 100, 100))
    assert lines(cut, "left-hand") == 15
    assert lines(cut, "body") == lines(whole, "body") - 1 == 12
    nobody = skeleton(np.zeros((135, 3)), _NOBODY, (0, 0, 100, 100))
    assert {mark.attributes["d"] for mark in nobody.marks} == {""}


def test_boxes() -> None:
    boxes = {"left": np.array([10, 20, 40, 60]), "right": None}
    drawing = skeleton(np.zeros((135, 3)), boxes, (0, 0, 100, 100))
    (box,) = (mark.attributes for mark in drawing.marks if mark.name == "rect")
    assert [box[name] for name in ("x", "y", "width", "height", "class")] == [10, 20, 30, 40, "left-hand"]


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
